"""Detection: the mission's forest against scikit-learn by hand, and what every detector may see and say."""

from __future__ import annotations

import hashlib
import json
from datetime import date, datetime, timedelta
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from gpulake import detect
from gpulake.detectors import Detector, Verdicts, all_detectors
from gpulake.detectors.iforest import DETECTOR
from gpulake.errors import LakeError

NOW = datetime(2026, 11, 25, 12)  # noqa: DTZ001  # as the lake keeps it
FIRST = date(1970, 1, 5)


def gold(values, *, coverage=None, cluster_id="c"):
    """Days of gold: (avg, p95, cpu) each, or None for a day without figures."""
    coverage = coverage or [0.5] * len(values)
    rows = [
        {
            "cluster_id": cluster_id,
            "dt": FIRST + timedelta(days=n),
            **dict(zip(DETECTOR.features, value or (None, None, None), strict=True)),
            "coverage_ratio": covered,
        }
        for n, (value, covered) in enumerate(zip(values, coverage, strict=True))
    ]
    kinds = [("cluster_id", pa.string()), ("dt", pa.date32())]
    kinds += [(name, pa.float64()) for name in (*DETECTOR.features, "coverage_ratio")]
    return pa.Table.from_pylist(rows, schema=pa.schema(kinds))


def random_days(count, seed=1):
    dice = np.random.default_rng(seed)
    return [tuple(row) for row in dice.normal([20, 60, 30], [4, 9, 5], (count, 3)).tolist()]


def score(table, *, detector=DETECTOR, folder=None):
    return detect._score(detector, table, build_id=7, folder=folder, now=NOW).to_pylist()


def test_the_forest_is_the_missions_computed_by_hand():
    """StandardScaler, 100 trees, contamination 0.05, seed 42: the same flags and scores as a notebook gives."""
    from sklearn.ensemble import IsolationForest
    from sklearn.preprocessing import StandardScaler

    values = random_days(62)
    z = StandardScaler().fit_transform(np.array(values))
    forest = IsolationForest(n_estimators=100, contamination=0.05, random_state=42).fit(z)
    rows = score(gold(values))

    assert forest.decision_function(z).tolist() == [row["anomaly_score"] for row in rows]
    assert (forest.predict(z) == -1).astype(int).tolist() == [row["anomaly_flag"] for row in rows]


@pytest.mark.parametrize(("days", "flagged"), [(49, 3), (62, 4), (20, 1), (21, 1), (22, 2)])
def test_the_quota_is_a_quota(days, flagged):
    """The docs say that contamination 0.05 flags 3 of any 49 days, however ordinary: it must be so."""
    for seed in range(3):
        assert flagged == sum(row["anomaly_flag"] for row in score(gold(random_days(days, seed))))


def test_scores_do_not_depend_on_chance():
    """Two builds of the same days must not disagree."""
    table = gold(random_days(30))

    assert score(table) == score(table)


def test_an_unknown_feature_gives_an_unknown_flag():
    """Missing is never 0: the day is not judged, and the others are judged as if it were not there."""
    values = random_days(30)
    with_gap = [*values[:10], None, *values[10:]]
    rows = score(gold(with_gap))

    gap = rows.pop(10)
    assert (None, None, "not_judged") == (gap["anomaly_flag"], gap["anomaly_score"], gap["judgement"])
    assert "not known" in gap["anomaly_reason"]
    assert [row["anomaly_score"] for row in score(gold(values))] == [row["anomaly_score"] for row in rows]


def test_a_day_of_low_coverage_is_marked_and_not_sold_as_an_anomaly():
    """Half blind is not strange: the flag stays the mission's, the judgement is ours."""
    values = [*random_days(29), (99.0, 99.0, 99.0)]
    (*others, odd) = score(gold(values, coverage=[0.5] * 29 + [0.24]))

    assert 1 == odd["anomaly_flag"]
    assert "not_judged" == odd["judgement"]
    assert "24.0 %" in odd["anomaly_reason"]
    assert {"normal", "anomaly"} >= {row["judgement"] for row in others}


@pytest.mark.parametrize(("coverage", "judgement"), [(0.25, "anomaly"), (0.249, "not_judged")])
def test_the_border_of_low_coverage(coverage, judgement):
    """Half of the cluster's median, exactly as written."""
    values = [*random_days(29), (99.0, 99.0, 99.0)]

    assert judgement == score(gold(values, coverage=[0.5] * 29 + [coverage]))[-1]["judgement"]


@pytest.mark.parametrize("days", [0, 1, 6])
def test_too_few_days_are_not_judged(days):
    """A forest of six days knows nothing; it says so and does not fail."""
    rows = score(gold(random_days(days) if days else []))

    assert [(None, "not_judged")] * days == [(row["anomaly_flag"], row["judgement"]) for row in rows]
    assert all("too few" in row["anomaly_reason"] for row in rows)


def test_an_anomaly_names_its_driver():
    """People ask "why": the feature farthest from its mean, in its own numbers."""
    rows = score(gold([*random_days(29), (20.0, 60.0, 95.0)]))

    assert "avg_cpu_util" == rows[-1]["anomaly_driver"]
    assert "avg_cpu_util of 95.0 %" in rows[-1]["anomaly_reason"]
    assert "above" in rows[-1]["anomaly_reason"]


def recorder(seen, *, needs_days=3):
    """A detector that notes what it is shown."""

    def fit(past):
        seen.append(past[:, 0].tolist())
        return past

    def judge(model, days):
        n = len(days)
        return Verdicts(
            flag=np.zeros(n, np.int64), score=np.full(n, float(len(model))), driver=("",) * n, reason=("",) * n
        )

    return Detector(
        name="toy", features=("avg_gpu_util",), needs_days=needs_days, fit=fit, score=judge, artefacts=lambda model: {}
    )


def test_a_detector_sees_only_the_past():
    """A verdict that knew the future cannot be reproduced on the day itself."""
    seen = []
    values = [(float(n), 0.0, 0.0) for n in range(6)]
    rows = score(gold([*values[:4], None, *values[4:]]), detector=recorder(seen))

    assert [[0.0, 1.0, 2.0], [0.0, 1.0, 2.0, 3.0], [0.0, 1.0, 2.0, 3.0, 4.0]] == seen
    assert [None, None, None, 3.0, None, 4.0, 5.0] == [row["anomaly_score"] for row in rows]


def test_a_first_day_is_told_that_it_has_too_little_past():
    """ "A feature is not known" would send people looking for a gap that is not there."""
    values = [(float(n), 0.0, 0.0) for n in range(6)]
    rows = score(gold([*values[:2], None, *values[2:4], None, *values[4:]]), detector=recorder([]))

    assert [
        "too few whole days lie before this one: 0 of the 3 that toy needs",
        "too few whole days lie before this one: 1 of the 3 that toy needs",
        "too few whole days lie before this one: 2 of the 3 that toy needs",
        "too few whole days lie before this one: 2 of the 3 that toy needs",
        "",
        "a feature is not known on this day",
        "",
        "",
    ] == [row["anomaly_reason"] for row in rows]


def test_a_later_day_changes_no_verdict_of_the_past():
    """Except for the mission's forest, and that is said."""
    values = [(float(n), 0.0, 0.0) for n in range(9)]
    short, long = (score(gold(values[:n]), detector=recorder([])) for n in (7, 9))

    assert short == long[:7]
    assert DETECTOR.retrospective


@pytest.mark.parametrize("detector", all_detectors(), ids=lambda detector: detector.name)
def test_its_card_says_what_a_model_was_made_of(tmp_path, detector):
    """A flag can be explained a year later: which days, features and library, and that nobody changed the file."""
    score(gold(random_days(20)), detector=detector, folder=tmp_path)
    card = json.loads((tmp_path / "card.json").read_text())

    assert {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in tmp_path.glob("*.joblib")} == card[
        "sha256"
    ]
    assert card["sha256"]
    assert (list(detector.features), 7, 20) == (card["features"], card["training_snapshot"], len(card["training_days"]))
    assert {"scikit-learn", "numpy"} <= set(card["libraries"])


def test_a_model_that_cannot_be_kept_is_an_error_of_the_lake(tmp_path):
    """A full disk is told with its place and exit code 15, not as a bug."""
    (tmp_path / "in the way").write_text("")

    with pytest.raises(LakeError, match="a model cannot be kept") as told:
        score(gold(random_days(20)), folder=tmp_path / "in the way" / "c")
    assert "in the way" in told.value.where


def test_no_days_at_all_is_no_failure():
    """The first landing may be a machine spec alone."""
    fake = SimpleNamespace(sql=lambda query: gold([]))
    found = detect.run(fake, all_detectors(), build_id=1, now=NOW, dry_run=True)

    assert (0, (), 0) == (found.days, found.flagged_days, found.not_judged)
