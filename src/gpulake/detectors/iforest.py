"""An isolation forest that flags 5 % of the days: StandardScaler and IsolationForest over the whole history.

It is refitted and rescored whole at each build, so it sees the future of every day but the last: no rule reads it.
`contamination = 0.05` is a quota, not a finding: it flags 3 of any 49 days, and 4 of any 62, however ordinary they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpulake.detectors import Detector, Matrix, Verdicts

FEATURES = ("avg_gpu_util", "p95_gpu_util", "avg_cpu_util")
TREES, CONTAMINATION, SEED = 100, 0.05, 42


@dataclass(frozen=True)
class _Forest:
    scaler: Any  # scikit-learn has no types
    trees: Any
    days: int


def _fit(days: Matrix) -> _Forest:
    from sklearn.ensemble import IsolationForest
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(days)
    trees = IsolationForest(n_estimators=TREES, contamination=CONTAMINATION, random_state=SEED)
    return _Forest(scaler, trees.fit(scaler.transform(days)), len(days))


def _score(forest: _Forest, days: Matrix) -> Verdicts:
    z = forest.scaler.transform(days)
    decision = forest.trees.decision_function(z)
    drivers = np.abs(z).argmax(axis=1)
    return Verdicts(
        flag=(decision < 0).astype(np.int64),
        score=decision,
        driver=tuple(FEATURES[i] for i in drivers),
        reason=tuple(
            f"{FEATURES[i]} of {day[i]:.1f} % is {abs(deviation[i]):.1f} standard deviations "
            f"{'above' if deviation[i] > 0 else 'below'} the {forest.days}-day mean of {forest.scaler.mean_[i]:.1f} %"
            for i, day, deviation in zip(drivers, days, z, strict=True)
        ),
    )


def _artefacts(forest: _Forest) -> Mapping[str, object]:
    return {"cluster_anomaly_iforest": forest.trees, "cluster_anomaly_scaler": forest.scaler}


DETECTOR = Detector(
    name="iforest",
    note="The isolation forest flags about 5 % of the days whatever happens: a ranking, not an alarm.",
    features=FEATURES,
    needs_days=7,
    fit=_fit,
    score=_score,
    artefacts=_artefacts,
    retrospective=True,
    libraries=("sklearn.ensemble", "sklearn.preprocessing"),
)
