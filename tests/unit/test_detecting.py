"""Detection over a lake: the forest against scikit-learn by hand, what detectors are shown, and when they are asked at all."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from gpulake import detectors
from gpulake.detecting import runs
from gpulake.detectors import Detector, Level, Verdicts, all_detectors
from gpulake.detectors.iforest import DETECTOR as FOREST
from gpulake.detectors.levels import HOURS_PER_WEEK, weekly
from gpulake.errors import LakeError
from gpulake.lake import writing
from gpulake.tables import META_TABLES, LakeTable

NOW = datetime(2026, 11, 25, 12)  # noqa: DTZ001  # as the lake keeps it
FIRST = date(1970, 1, 5)
MIDNIGHT = datetime(1970, 1, 5)  # noqa: DTZ001  # as the lake keeps it


def made(name, **columns):
    return LakeTable("main", name, tuple(columns.items()))


DAILY = made(
    "gold_cluster_util_daily", cluster_id="varchar", dt="date", avg_gpu_util="double", p95_gpu_util="double",
    avg_cpu_util="double", coverage_ratio="double",
)  # fmt: skip
HOURLY = made(
    "gold_cluster_util_hourly", cluster_id="varchar", dt="date", hour_no="integer", hour_start_at="timestamp",
    avg_gpu_util="double", coverage_ratio="double", allocated_gpu_util="double", allocation_coverage_ratio="double",
    active_gpu_h="double", measured_gpu_h="double",
)  # fmt: skip
MACHINES = made(
    "gold_machine_util_hourly", cluster_id="varchar", dt="date", hour_start_at="timestamp", machine_id="varchar",
    pool="varchar", gpu_count="bigint", gpu_util_swept_pct="double", coverage_ratio="double", cpu_util_pct="double",
    load_1m="double", net_rx_bytes_per_s="double", gpus_allocated="double", main_job_id="varchar", gpu_covered_s="bigint",
)  # fmt: skip
GPU_HOURS = made(
    "silver_gpu_hours", cluster_id="varchar", machine_id="varchar", gpu_device="varchar", hour_start_at="timestamp",
    sampled_s="bigint", power_w="double", temperature_c="double", sm_clock_hz="double",
)  # fmt: skip
TYPICAL = made(
    "gold_typical_job_daily",
    cluster_id="varchar",
    dt="date",
    typical_job_gpu_util="double",
    measured_jobs_ratio="double",
)
DAYS = made("silver_days", cluster_id="varchar", dt="date", starts_at="timestamp", ends_at="timestamp")
DUE = LakeTable("meta", "due_days", (("cluster_id", "varchar"), ("dt", "date")))
GOLD = (DAILY, HOURLY, TYPICAL, MACHINES, GPU_HOURS, DAYS, DUE)


def table_of(table, rows):
    kinds = {"varchar": pa.string(), "date": pa.date32(), "double": pa.float64(), "timestamp": pa.timestamp("us"),
             "integer": pa.int32(), "bigint": pa.int64()}  # fmt: skip
    return pa.Table.from_pylist(rows, schema=pa.schema([(name, kinds[kind]) for name, kind in table.columns]))


def days_of(values, *, coverage=None, cluster_id="c"):
    """Days of gold: (avg, p95, cpu) each, or None for a day without figures."""
    coverage = coverage or [0.5] * len(values)
    return [
        {
            "cluster_id": cluster_id,
            "dt": FIRST + timedelta(days=n),
            **dict(zip(("avg_gpu_util", "p95_gpu_util", "avg_cpu_util"), value or (None,) * 3, strict=True)),
            "coverage_ratio": covered,
        }
        for n, (value, covered) in enumerate(zip(values, coverage, strict=True))
    ]


def random_days(count, seed=1):
    dice = np.random.default_rng(seed)
    return [tuple(row) for row in dice.normal([20, 60, 30], [4, 9, 5], (count, 3)).tolist()]


def calm(columns, **found):
    """Verdicts of a toy: `score` for every row, none of them flagged, unless told otherwise."""
    count = len(columns[next(iter(columns))])
    unknown = np.full(count, np.nan)
    parts = {"score": np.zeros(count), "flag": np.zeros(count, bool), "driver": np.zeros(count, np.int64), **found}
    return Verdicts(
        metrics=("avg_gpu_util",), reasons=lambda rows: [f"row {row}" for row in rows], seen=unknown, expected=unknown,
        low=unknown, high=unknown, p_value=unknown, **parts,
    )  # fmt: skip


def toy(judge, *, level=Level.CLUSTER_DAY, name="toy", **more):
    return Detector(name=name, level=level, note="A toy.", needs=("avg_gpu_util",), judge=judge, false_alarms="never",
                    false_alarms_per_1000=1, **more)  # fmt: skip


@pytest.fixture
def lake(tmp_path):
    """A lake whose gold each call fills anew, then scores."""
    with writing(tmp_path / "lake", purpose="test", tables=(*META_TABLES, *GOLD)) as writer:

        def scored(build_id, days=(), *, by, due=None, hours=(), machines=(), gpu_hours=(), clusters=None, **more):
            ids = {day["cluster_id"] for day in days}
            known = {day["dt"] for day in [*days, *hours, *machines]}
            calendar = clusters or [(name, dt) for name in sorted(ids | {"c"}) for dt in sorted(known)]
            parts = {
                DAILY: days,
                HOURLY: hours,
                MACHINES: machines,
                GPU_HOURS: gpu_hours,
                DAYS: [
                    {"cluster_id": name, "dt": dt, "starts_at": start, "ends_at": start + timedelta(days=1)}
                    for name, dt in calendar
                    for start in [MIDNIGHT + (dt - FIRST)]
                ],
                DUE: [{"cluster_id": "c", "dt": dt} for dt in (known if due is None else due)],
            }
            with writer.transaction("gold"):
                for table, rows in parts.items():
                    writer.delete(table, "true", [])
                    writer.insert(table, table_of(table, list(rows)))
            found = runs.run(writer, by, build_id=build_id, now=NOW, **more)
            return {judged.detector: judged for judged in found.judged}

        scored.writer = writer
        scored.rows = lambda query, *params: writer.sql(query, list(params)).to_pylist()
        yield scored


# -------------------------------------------------------------------------------------------------- the forest


def forest_rows(lake, values, **more):
    lake(7, days_of(values, **more), by=[FOREST])
    return lake.rows("FROM lake.meta.scores ORDER BY dt")


def test_the_forest_is_scikit_learns_computed_by_hand(lake):
    """StandardScaler, 100 trees, contamination 0.05, seed 42: the same flags and scores as a notebook gives."""
    from sklearn.ensemble import IsolationForest
    from sklearn.preprocessing import StandardScaler

    values = random_days(62)
    z = StandardScaler().fit_transform(np.array(values))
    forest = IsolationForest(n_estimators=100, contamination=0.05, random_state=42).fit(z)
    rows = forest_rows(lake, values)

    assert forest.decision_function(z).tolist() == [row["anomaly_score"] for row in rows]
    assert (forest.predict(z) == -1).astype(int).tolist() == [row["anomaly_flag"] for row in rows]


@pytest.mark.parametrize(("days", "flagged"), [(49, 3), (62, 4), (20, 1), (21, 1), (22, 2)])
def test_the_quota_is_a_quota(days, flagged):
    """The docs say that contamination 0.05 flags 3 of any 49 days, however ordinary: it must be so."""
    for seed in range(3):
        names = ("avg_gpu_util", "p95_gpu_util", "avg_cpu_util")
        columns = dict(zip(names, np.array(random_days(days, seed)).T, strict=True))
        assert flagged == FOREST.judge({**columns, "coverage_ratio": np.full(days, 0.5)}, ()).flag.sum()


def test_an_unknown_feature_gives_an_unknown_flag(lake):
    """Missing is never 0: the day is not judged, and the others are judged as if it were not there."""
    values = random_days(30)
    rows = forest_rows(lake, [*values[:10], None, *values[10:]])

    gap = rows.pop(10)
    assert (None, None, "not_judged") == (gap["anomaly_flag"], gap["anomaly_score"], gap["judgement"])
    assert "not known" in gap["anomaly_reason"]
    assert [row["anomaly_score"] for row in forest_rows(lake, values)] == [row["anomaly_score"] for row in rows]


@pytest.mark.parametrize(("coverage", "judgement"), [(0.25, "anomaly"), (0.249, "not_judged")])
def test_a_day_of_low_coverage_is_marked_and_not_sold_as_an_anomaly(lake, coverage, judgement):
    """Half blind is not strange: the flag stays the forest's, the judgement is ours. Half of the median, exactly as written."""
    (*others, odd) = forest_rows(lake, [*random_days(29), (99.0, 99.0, 99.0)], coverage=[0.5] * 29 + [coverage])

    assert (1, judgement) == (odd["anomaly_flag"], odd["judgement"])
    assert ("24.9 %" in odd["anomaly_reason"]) == (judgement == "not_judged")
    assert {"normal", "anomaly"} >= {row["judgement"] for row in others}


@pytest.mark.parametrize("days", [1, 6])
def test_too_few_days_are_not_judged(lake, days):
    """A forest of six days knows nothing; it says so and does not fail."""
    rows = forest_rows(lake, random_days(days))

    assert [(None, "not_judged")] * days == [(row["anomaly_flag"], row["judgement"]) for row in rows]
    assert all("too few" in row["anomaly_reason"] for row in rows)


def test_an_anomaly_names_its_driver(lake):
    """People ask "why": the feature farthest from its mean, in its own numbers."""
    odd = forest_rows(lake, [*random_days(29), (20.0, 60.0, 95.0)])[-1]

    assert "avg_cpu_util" == odd["anomaly_driver"]
    assert "avg_cpu_util of 95.0 %" in odd["anomaly_reason"]
    assert "above" in odd["anomaly_reason"]


def test_what_is_kept_of_a_model_says_what_it_was_made_of(lake):
    """A flag can be explained a year later: which days, features and library, that nobody changed the file; and it scores the same."""
    import hashlib

    import joblib

    values = random_days(20)
    rows = forest_rows(lake, [*values[:5], None, *values[5:]])
    folder = lake.writer.layout.artefacts / "7" / "iforest" / "c"
    card = json.loads((folder / "card.json").read_text())
    parts = {file.stem: joblib.load(file) for file in folder.glob("*.joblib")}
    z = parts["cluster_anomaly_scaler"].transform(np.array(values))

    assert {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in folder.glob("*.joblib")} == card["sha256"]
    assert (["avg_gpu_util", "p95_gpu_util", "avg_cpu_util"], 7) == (card["features"], card["training_snapshot"])
    assert [str(FIRST + timedelta(days=n)) for n in range(21) if n != 5] == card["training_days"]
    assert {"scikit-learn", "numpy", "joblib"} == set(card["libraries"])
    assert parts["cluster_anomaly_iforest"].decision_function(z).tolist() == [
        row["anomaly_score"] for row in rows if row["anomaly_score"] is not None
    ]


def test_a_model_that_cannot_be_kept_is_an_error_of_the_lake(lake):
    """A full disk is told with its place and exit code 15, not as a bug; and nothing of the run stays."""
    (lake.writer.layout.artefacts / "7").write_text("in the way")

    with pytest.raises(LakeError, match="a model cannot be kept") as told:
        forest_rows(lake, random_days(20))
    assert "artefacts" in told.value.where
    assert [] == lake.rows("FROM lake.meta.scorings")


# ----------------------------------------------------------------------------------------------- what is shown


def test_no_days_at_all_is_no_failure_and_is_noted(lake):
    """The first landing may be a machine spec alone; tests and publication look for what detection has noted."""
    found = lake(1, by=all_detectors())

    assert found
    assert {(0, 0, 0, False)} == {(j.rows, j.flagged, j.not_judged, j.is_as_before) for j in found.values()}
    assert len(found) == len(lake.rows("FROM lake.meta.scorings WHERE build_id = 1 AND cluster_id IS NULL"))


def test_a_day_is_shown_with_its_hours_and_its_weekday(lake):
    """Hours that have no row are unknown; the weekday is the date's, whatever day the trace begins on."""
    seen = {}
    days = days_of([(20.0, 60.0, 30.0), None, (40.0, 70.0, 35.0)])
    hours = [
        {"cluster_id": "c", "dt": FIRST, "hour_no": 3, "hour_start_at": MIDNIGHT, "avg_gpu_util": 25.0, "coverage_ratio": 0.5,
         "allocated_gpu_util": 60.0, "allocation_coverage_ratio": 0.4, "active_gpu_h": 3.0, "measured_gpu_h": 4.0},
        {"cluster_id": "c", "dt": FIRST, "hour_no": 4, "hour_start_at": MIDNIGHT, "active_gpu_h": 1.0, "measured_gpu_h": 4.0},
    ]  # fmt: skip
    lake(7, days, hours=hours, by=[toy(lambda columns, _: seen.update(columns) or calm(columns))])

    assert [0, 1, 2] == seen["day"].tolist()
    assert [0, 1, 2] == seen["weekday"].tolist()  # 5 January 1970 was a Monday
    assert (3, 25) == seen["hour_gpu_util"].shape
    assert {(0, 3)} == set(zip(*np.nonzero(~np.isnan(seen["hour_gpu_util"])), strict=True))
    assert (25.0, 60.0, 0.4) == tuple(
        seen[name][0, 3] for name in ("hour_gpu_util", "hour_allocated_gpu_util", "hour_allocation_coverage_ratio")
    )
    assert 50.0 == seen["allocated_gpu_util"][0]  # 4 of 8 GPU-hours
    assert np.isnan(seen["allocated_gpu_util"][1])
    assert np.isnan(seen["typical_job_gpu_util"]).all()


def machine_rows(weeks, *, machines=2):
    return [
        {
            "cluster_id": "c", "dt": (start := MIDNIGHT + timedelta(hours=hour)).date(), "hour_start_at": start,
            "machine_id": f"m{machine}", "pool": "T4", "gpu_count": 2, "gpu_util_swept_pct": 50.0 + machine,
            "coverage_ratio": 0.5, "cpu_util_pct": 10.0, "load_1m": 1.0, "net_rx_bytes_per_s": 125e6,
            "gpus_allocated": 1.5, "main_job_id": "job" if machine else None, "gpu_covered_s": 1800,
        }
        for hour in range(weeks * HOURS_PER_WEEK)
        for machine in range(machines)
    ]  # fmt: skip


def test_a_machines_hour_has_what_its_gpus_show(lake):
    """A GPU that is seen for less than half as long as its neighbour is gone; parts of one are one; what nobody measured is unknown."""
    seen = []

    def judge(columns, blocks):
        seen.append(
            {name: columns[name][columns["machine"] == 0] for name in ("power", "temp", "clock", "gpus_visible")}
        )
        seen.append(
            {name: columns[name][columns["machine"] == 1] for name in ("power", "temp", "clock", "gpus_visible")}
        )
        return by_score(columns, blocks)

    at = MIDNIGHT + timedelta(hours=350)
    gpu_hours = [
        {"cluster_id": cluster, "machine_id": "m0", "gpu_device": device, "hour_start_at": at, "sampled_s": sampled_s,
         "power_w": power, "temperature_c": celsius, "sm_clock_hz": 1e9}
        for cluster, device, sampled_s, power, celsius in (
            ("c", "0/1", 3600, 100.0, 40.0), ("c", "0/2", 3600, 200.0, 50.0), ("c", "1", 1800, 300.0, None),
            ("c", "2", 1799, None, 60.0), ("other", "3", 3600, 900.0, 90.0),
        )
    ]  # fmt: skip
    lake(7, hours=(), machines=machine_rows(3), gpu_hours=gpu_hours, by=[toy(judge, level=Level.MACHINE_HOUR)])

    known = {name: values[~np.isnan(values)].tolist() for name, values in seen[0].items()}
    assert {"power": [200.0], "temp": [60.0], "clock": [1000.0], "gpus_visible": [2.0]} == known
    assert np.flatnonzero(~np.isnan(seen[0]["power"])).tolist() == [350]
    assert all(np.isnan(values).all() for values in seen[1].values())


def by_score(columns, blocks):
    """Each hour's score is its number; hour 400 is flagged."""
    return calm(columns, score=columns["hour_idx"].astype(float), flag=columns["hour_idx"] == 400)


def test_machine_hours_are_judged_week_by_week_from_a_past_that_knows_what_was_flagged(lake):
    """A fault must not be learned as the usual; what is not judged yet has no row."""
    asked = []

    def judge(columns, blocks):
        (block,) = blocks
        earlier = columns["hour_idx"] < block.score[0]
        asked.append((block.score, columns["hour_idx"].min(), int(columns["flagged"][earlier].sum())))
        return by_score(columns, blocks)

    found = lake(7, hours=(), machines=machine_rows(4), by=[toy(judge, level=Level.MACHINE_HOUR)])["toy"]
    landed = lake.rows(
        "SELECT machine_id, hour_start_at, anomaly_score, judgement, anomaly_reason FROM lake.meta.hour_scores ORDER BY ALL"
    )

    assert [((336, 504), 0, 0), ((504, 672), 0, 2)] == asked
    assert (2 * 336, 2, 0) == (found.rows, found.flagged, found.not_judged)
    assert MIDNIGHT + timedelta(hours=336) == landed[0]["hour_start_at"]
    assert {("m0", 400.0), ("m1", 400.0)} == {
        (r["machine_id"], r["anomaly_score"]) for r in landed if r["anomaly_reason"]
    }


def test_a_machine_hour_is_shown_in_the_units_of_its_level(lake):
    """A bandwidth in the wrong unit would be the strangest thing in the cluster."""
    seen = {}
    lake(7, machines=machine_rows(3), by=[toy(lambda c, b: seen.update(c) or by_score(c, b), level=Level.MACHINE_HOUR)])

    assert {"2 × T4"} == set(seen["cohort"].tolist())
    assert (120.0, 1.0, 1.5, 2) == (seen["n_samples"][0], seen["net"][0], seen["alloc"][0], seen["gpu_count"][0])
    assert {-1} == set(seen["main_job"][seen["machine"] == 0].tolist())
    assert {-1}.isdisjoint(seen["main_job"][seen["machine"] == 1].tolist())
    assert seen["is_sampled"].all()


def verdicts(rows):
    return sorted(str({**row, "build_id": None}) for row in rows)


def test_only_renewed_days_are_judged_again_and_older_verdicts_stay(lake):
    """One more day must not cost what two months cost, and must not move a verdict that somebody acted on."""
    rows = machine_rows(4)
    detector = toy(by_score, level=Level.MACHINE_HOUR)
    last = max(row["dt"] for row in rows)
    lake(7, machines=rows, by=[detector])
    before = lake.rows("FROM lake.meta.hour_scores ORDER BY ALL")
    lake(9, machines=rows, by=[detector], due=[last])
    after = lake.rows("FROM lake.meta.hour_scores ORDER BY ALL")
    untouched = lake(11, machines=rows, by=[detector], due=[])["toy"]

    assert {7: 2 * (336 - 24), 9: 2 * 24} == {b: sum(row["build_id"] == b for row in after) for b in (7, 9)}
    assert {last} == {row["dt"] for row in after if row["build_id"] == 9}
    assert verdicts(before) == verdicts(after)
    assert untouched.is_as_before


def test_the_weeks_of_the_past_never_move():
    """A longer history must not shift the borders at which a detector learned."""
    short, long = weekly(first=0, until=1000), weekly(first=0, until=5000)

    assert short == long[: len(short)]
    assert (0, 168) == short[0].fit
    assert 6 * HOURS_PER_WEEK == long[-1].score[0] - long[-1].fit[0]
    assert all(block.fit[1] == block.calibrate[0] and block.calibrate[1] == block.score[0] for block in long)


# -------------------------------------------------------------------------------------------------- scored once


def counting(name="toy"):
    calls = []

    def judge(columns, blocks):
        calls.append(len(columns["day"]))
        return calm(columns, score=columns["avg_gpu_util"])

    return toy(judge, name=name), calls


def test_days_that_did_not_change_are_not_scored_again(lake):
    """A corrected job must not cost what scoring a year of days costs; the scores of before stand, and are told."""
    days = [*days_of(random_days(20), cluster_id="a"), *days_of(random_days(20, seed=2), cluster_id="b")]
    both = [(name, FIRST + timedelta(days=n)) for name in "ab" for n in range(20)]
    detector, calls = counting()
    first = lake(7, days, by=[detector], clusters=both)["toy"]
    again = lake(9, days[::-1], by=[detector], clusters=both)["toy"]

    assert [20, 20] == calls
    assert (False, True) == (first.is_as_before, again.is_as_before)
    assert (40, 40) == (first.rows, again.rows)
    assert [("a", 7), ("b", 7)] == [
        (row["cluster_id"], row["scored_build_id"])
        for row in lake.rows("FROM lake.meta.scorings WHERE build_id = 9 ORDER BY cluster_id")
    ]


def test_a_changed_day_lands_alone(lake):
    """Verdicts that stay as they were keep their row: who reads the history sees when a verdict really changed."""
    detector, calls = counting()
    values = random_days(20)
    lake(7, days_of(values), by=[detector])
    lake(9, days_of([*values[:19], (99.0, 99.0, 99.0)]), by=[detector])
    rows = lake.rows("SELECT dt, build_id, anomaly_score FROM lake.meta.scores ORDER BY dt")

    assert [20, 20] == calls
    assert [7] * 19 + [9] == [row["build_id"] for row in rows]
    assert 99.0 == rows[-1]["anomaly_score"]


def test_a_day_that_is_gone_takes_its_verdict_along(lake):
    """A withdrawn delivery must not leave a flag behind."""
    detector, _ = counting()
    lake(7, days_of(random_days(20)), by=[detector])
    lake(9, days_of(random_days(20)[:15]), by=[detector])

    assert 15 == len(lake.rows("FROM lake.meta.scores"))


def test_a_dry_run_lands_nothing_and_tells_what_would_stand(lake):
    """What it says would happen is what would happen."""
    detector, _ = counting()
    told = lake(7, days_of(random_days(20)), by=[detector], dry_run=True)["toy"]

    assert 20 == told.rows
    assert ([], []) == (lake.rows("FROM lake.meta.scores"), lake.rows("FROM lake.meta.scorings"))


def test_people_are_shown_one_detector_of_each_level(lake):
    """One that sees the future is shown only where the settings ask for it."""
    detector, _ = counting("a_toy")
    lake(7, days_of(random_days(20)), by=[FOREST, detector])
    lake(9, days_of(random_days(20)), by=[FOREST, detector], shown={Level.CLUSTER_DAY: "iforest"})

    assert [(7, "a_toy"), (9, "iforest")] == [
        (row["build_id"], row["detector"]) for row in lake.rows("FROM lake.meta.scorings WHERE is_shown ORDER BY ALL")
    ]


def test_libraries_are_loaded_ahead_only_where_days_were_scored(lake, monkeypatch):
    """Their import is a second of work: a lake whose days stand still must not pay it at each delivery."""
    loaded = []
    monkeypatch.setattr(detectors, "load_ahead", lambda: loaded.append("now"))
    detector, _ = counting()
    days = days_of(random_days(20))

    runs.load_ahead(lake.writer)
    lake(7, days, by=[detector])
    runs.load_ahead(lake.writer)
    lake(9, days, by=[detector])
    runs.load_ahead(lake.writer)

    assert ["now", "now"] == loaded


# --------------------------------------------------------------------------------------------------------- jobs

JOBS = made(
    "gold_jobs", cluster_id="varchar", job_id="varchar", user_id="varchar", gpu_model="varchar", started_at="timestamp",
    run_s="double", gpu_request_count="double", efficiency_ratio="double",
)  # fmt: skip


def test_what_is_learned_of_jobs_had_ended_by_then(lake):
    """A job that ends in week four must not move what was said of jobs in week three."""
    starts = {"short": (10, 1), "long": (20, 600), "third_week": (340, 1), "fourth_week": (510, 1), "cpu": (30, 1)}
    rows = [
        {"cluster_id": "c", "job_id": name, "user_id": "ada", "started_at": MIDNIGHT + timedelta(hours=start),
         "run_s": 3600.0 * hours, "gpu_request_count": None if name == "cpu" else 1.0, "efficiency_ratio": 0.5}
        for name, (start, hours) in starts.items()
    ]  # fmt: skip
    lake.writer.prepare([JOBS])
    with lake.writer.transaction("jobs"):
        lake.writer.insert(JOBS, table_of(JOBS, rows))
    asked = []

    def judge(columns, blocks):
        asked.append(sorted(columns["start"].tolist()))
        return calm(columns, score=columns["start"])

    days = [("c", FIRST + timedelta(days=n)) for n in range(28)]
    lake(7, days_of(random_days(28)), by=[toy(judge, level=Level.JOB)], clusters=days)

    assert [[10, 340], [10, 340, 510]] == asked
    assert ["fourth_week", "third_week"] == [
        row["job_id"] for row in lake.rows("SELECT job_id FROM lake.meta.job_scores ORDER BY ALL")
    ]
