"""An isolation forest that flags 5 % of the days: StandardScaler and IsolationForest over the whole history.

It is refitted and rescored whole at each build, so it sees the future of every day but the last: no rule reads it.
`contamination = 0.05` is a quota, not a finding: it flags 3 of any 49 days, and 4 of any 62, however ordinary they are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gpulake.detectors import Block, Columns, Detector, Level, Verdicts

FEATURES = ("avg_gpu_util", "p95_gpu_util", "avg_cpu_util")
TREES, CONTAMINATION, SEED = 100, 0.05, 42
NEEDS_DAYS = 7
LOW_COVERAGE = 0.5
"""A day is not judged when less than this share of the cluster's median coverage was observed."""


def _judge(days: Columns, _blocks: Sequence[Block]) -> Verdicts:
    """The score is scikit-learn's decision function: below 0 it flags."""
    features = np.column_stack([days[name] for name in FEATURES])
    count = len(features)
    unknown = np.full(count, np.nan)
    whole = np.flatnonzero(~np.isnan(features).any(axis=1))
    score, flag, driver = unknown.copy(), np.zeros(count, np.bool_), np.full(count, -1)
    seen, deviation, means = unknown.copy(), unknown.copy(), np.full(len(FEATURES), np.nan)
    learned = {}
    if len(whole) >= NEEDS_DAYS:
        from sklearn.ensemble import IsolationForest
        from sklearn.preprocessing import StandardScaler

        scaler = StandardScaler().fit(features[whole])
        z = scaler.transform(features[whole])
        trees = IsolationForest(n_estimators=TREES, contamination=CONTAMINATION, random_state=SEED).fit(z)
        score[whole] = trees.decision_function(z)
        flag[whole] = score[whole] < 0
        driver[whole] = np.abs(z).argmax(axis=1)
        seen[whole] = features[whole, driver[whole]]
        deviation[whole] = z[np.arange(len(whole)), driver[whole]]
        means = scaler.mean_
        learned = {"cluster_anomaly_iforest": trees, "cluster_anomaly_scaler": scaler}
    coverage = days["coverage_ratio"]
    usual = np.nanmedian(coverage) if np.isfinite(coverage).any() else np.nan
    thin = ~(coverage >= LOW_COVERAGE * usual) if np.isfinite(usual) else np.ones(count, np.bool_)

    def reason(day: int) -> str:
        if np.isnan(score[day]):
            if len(whole) < NEEDS_DAYS:
                return f"too few whole days are known: {len(whole)} of the {NEEDS_DAYS} that iforest needs"
            return "a feature is not known on this day"
        if thin[day]:
            return (
                f"only {coverage[day] * 100:.1f} % of the GPU time was observed, "
                f"less than half of the usual {usual * 100:.1f} %"
            )
        return (
            f"{FEATURES[driver[day]]} of {seen[day]:.1f} % is {abs(deviation[day]):.1f} standard deviations "
            f"{'above' if deviation[day] > 0 else 'below'} the {len(whole)}-day mean of {means[driver[day]]:.1f} %"
        )

    return Verdicts(
        score=score,
        flag=flag,
        is_judged=~np.isnan(score) & ~thin,
        metrics=FEATURES,
        driver=driver,
        reasons=lambda rows: [reason(row) for row in rows],
        seen=seen,
        expected=unknown,
        low=unknown,
        high=unknown,
        p_value=unknown,
        learned=learned,
    )


DETECTOR = Detector(
    name="iforest",
    level=Level.CLUSTER_DAY,
    note="The isolation forest flags about 5 % of the days whatever happens: a ranking, not an alarm.",
    needs=(*FEATURES, "coverage_ratio"),
    judge=_judge,
    false_alarms="5 % of all days, whatever happens",
    false_alarms_per_1000=50,
    retrospective=True,
    libraries=("sklearn.ensemble", "sklearn.preprocessing"),
)
