"""Detection: the forest against scikit-learn by hand, what every detector may see and say, and when it scores at all."""

from __future__ import annotations

import hashlib
import json
from datetime import date, datetime, timedelta
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from gpulake import detect, detectors
from gpulake.detectors import Detector, Verdicts, all_detectors
from gpulake.detectors.iforest import DETECTOR
from gpulake.errors import LakeError
from gpulake.lake import writing
from gpulake.tables import META_TABLES, LakeTable

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


def test_the_forest_is_scikit_learns_computed_by_hand():
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
    """Half blind is not strange: the flag stays the forest's, the judgement is ours."""
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
        name="toy",
        note="A toy.",
        features=("avg_gpu_util",),
        needs_days=needs_days,
        fit=fit,
        score=judge,
        artefacts=lambda model: {},
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
    """Except for the isolation forest, and that is said."""
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
    fake = SimpleNamespace(sql=lambda query, params=(): gold([]))
    found = detect.run(fake, all_detectors(), build_id=1, now=NOW, dry_run=True)

    assert [(0, (), 0)] * len(all_detectors()) == [
        (judged.days, judged.flagged_days, judged.not_judged) for judged in found.judged
    ]


# ------------------------------------------------------------------------------------------ scored once

GOLD = LakeTable(
    "main",
    "gold_cluster_util_daily",
    (("cluster_id", "varchar"), ("dt", "date"), *((name, "double") for name in (*DETECTOR.features, "coverage_ratio"))),
)


@pytest.fixture
def lake(tmp_path):
    """A lake with a gold table that each call fills anew and scores, with a detector that notes how often it is asked."""
    with writing(tmp_path / "lake", purpose="test", tables=(*META_TABLES, GOLD)) as writer:

        def scored(build_id, *clusters, needs_days=3, dry_run=False):
            with writer.transaction("gold"):
                writer.delete(GOLD, "true", [])
                for table in clusters:
                    writer.insert(GOLD, table)
            seen = []
            toy = recorder(seen, needs_days=needs_days)
            found = detect.run(writer, [toy], build_id=build_id, now=NOW, dry_run=dry_run)
            standing = writer.sql(
                "SELECT cluster_id, scored_build_id FROM lake.meta.scorings WHERE build_id = ? ORDER BY ALL", [build_id]
            )
            return found.judged[0], len(seen), [tuple(row.values()) for row in standing.to_pylist()]

        scored.writer = writer
        yield scored


def test_days_that_did_not_change_are_not_scored_again(lake):
    """A corrected job must not cost what scoring a year of days costs; the scores of before stand, and are told."""
    a, b = gold(random_days(20), cluster_id="a"), gold(random_days(20, seed=2), cluster_id="b")
    first, calls, _ = lake(7, a, b)
    again, calls_again, standing = lake(9, b, a)

    assert (2 * 17, 0) == (calls, calls_again)
    assert (False, True) == (first.is_as_before, again.is_as_before)
    assert (40, first.flagged_days, 6) == (again.days, again.flagged_days, again.not_judged)
    assert [("a", 7), ("b", 7)] == standing
    assert 40 == lake.writer.sql("SELECT count(*) AS n FROM lake.meta.scores")["n"][0].as_py()


def test_a_changed_day_is_scored_with_its_whole_cluster_and_no_other(lake):
    """A late file moves one day: a forest judges all days by it, but another cluster's days are as they were."""
    a, b = gold(random_days(20), cluster_id="a"), gold(random_days(20, seed=2), cluster_id="b")
    lake(7, a, b)
    changed = gold([*random_days(20)[:19], (99.0, 99.0, 99.0)], cluster_id="a")
    _, calls, standing = lake(9, changed, b)

    assert 17 == calls
    assert [("a", 9), ("b", 7)] == standing


def test_scores_stand_over_several_builds_and_are_made_anew_when_days_go_back(lake):
    """Only the last scoring is compared with: the models of one before may be gone."""
    old, new = gold(random_days(20)), gold(random_days(21))

    assert [[("c", 7)], [("c", 7)], [("c", 11)], [("c", 13)]] == [
        lake(build_id, days)[2] for build_id, days in ((7, old), (9, old), (11, new), (13, old))
    ]


def test_a_build_that_is_scored_twice_is_scored_anew(lake):
    """`gpulake detect` twice on one build: the second replaces what the first landed, and refers to no deleted row."""
    days = gold(random_days(20))
    lake(7, days)
    _, calls, standing = lake(7, days)

    assert 17 == calls
    assert [("c", 7)] == standing
    assert 20 == lake.writer.sql("SELECT count(*) AS n FROM lake.meta.scores")["n"][0].as_py()


def test_coverage_and_the_detector_itself_count_as_changes(lake):
    """A day may become one that is not judged though no feature moved; a mended detector judges every day anew."""
    lake(7, gold(random_days(20)))
    thinner = gold(random_days(20), coverage=[0.5] * 19 + [0.1])
    _, calls, _ = lake(9, thinner)
    _, calls_of_another, standing = lake(11, thinner, needs_days=4)

    assert (17, 16) == (calls, calls_of_another)
    assert [("c", 11)] == standing


def test_a_dry_run_lands_nothing_and_tells_the_same(lake):
    """What it says would happen is what would happen."""
    days = gold(random_days(20))
    lake(7, days)
    dry, calls, standing = lake(9, days, dry_run=True)

    assert (True, 0, []) == (dry.is_as_before, calls, standing)


def test_libraries_are_loaded_ahead_only_where_days_were_scored(lake, monkeypatch):
    """Their import is a second of work: a lake whose days stand still must not pay it at each delivery."""
    loaded = []
    monkeypatch.setattr(detectors, "load_ahead", lambda: loaded.append("now"))
    days = gold(random_days(20))

    detect.load_ahead(lake.writer)
    lake(7, days)
    detect.load_ahead(lake.writer)
    lake(9, days)
    detect.load_ahead(lake.writer)

    assert ["now", "now"] == loaded
