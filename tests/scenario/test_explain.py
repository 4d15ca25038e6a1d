"""A late file moves one day's figure: what it was, what it is, and which file moved it can all be asked."""

from __future__ import annotations

import re
import shutil
from datetime import date, timedelta
from pathlib import Path

import pytest

from gpulake import clock, pipeline, upkeep
from gpulake.config import Config
from gpulake.dbt import warehouse
from gpulake.lake import open_publication, writing
from gpulake.reading.compiled import compiled
from gpulake.reading.models import computable, read_models
from gpulake.simulate import pai2020

pytestmark = pytest.mark.slow  # each of its lakes is refreshed twice

FIXTURES = Path(__file__).parents[1] / "fixtures"
MOVED = date(1970, 1, 13)
KEY = ("--key", f"dt={MOVED}", "--key", "cluster_id=pai2020")
UTIL = ("explain", "gold_cluster_util_daily", "avg_gpu_util", *KEY)


@pytest.fixture(scope="module")
def moved(tmp_path_factory, pai):
    """A lake with two builds; the second has one more hour of one machine on day 12, noon in Shanghai."""
    folder = tmp_path_factory.mktemp("moved")
    windows, jobs = [], []
    for day in range(10, 20):
        for n in range(4):
            number, start = day * 100 + n, day * 86_400 + n * 14_000
            windows.append(pai.metric(number, machine=1 + n % 2, start=start, end=start + 9_000, gpu=f"{20.0 + n}"))
            jobs.append(pai.job(number, start=f"{start}.0", end=f"{start + 9_000}.0"))
    pai.write(folder / "first" / "pai_machine_metric.csv", windows)
    pai.write(folder / "first" / "pai_job_table.csv", jobs)
    pai.write(folder / "first" / "pai_machine_spec.csv", [pai.spec(1), pai.spec(2, gpus="8.0")])
    noon = 12 * 86_400 + 4 * 3_600
    pai.write(
        folder / "late" / "pai_machine_metric.csv",
        [pai.metric(99_999, machine=1, start=noon + 6_000, end=noon + 9_600, gpu="150.0")],
    )
    builds = [pipeline.refresh(Config(lake=folder / "lake"), data=folder / part).build_id for part in ("first", "late")]
    return folder / "lake", *builds


def test_explain_shows_the_figure_its_parts_and_what_fed_it(moved, gpulake_json):
    """ "Where does this number come from?" is answered to the file."""
    lake, first, second = moved
    code, told = gpulake_json(*UTIL, "--lake", lake)

    assert (0, None, second, None) == (code, told["error"], told["build_id"], told["as_of"])
    assert "percent" == told["unit"]
    assert told["value"] == pytest.approx(told["numerator"]["value"] / told["denominator"]["value"])
    assert ("gpu_pct_s", "covered_gpu_s") == (told["numerator"]["formula"], told["denominator"]["formula"])
    with open_publication(lake) as reader:
        (row,) = reader.sql(
            "select sum(gpu_pct_s) as used, sum(gpu_covered_s * gpu_count) as covered from silver_machine_hours "
            "where dt = ?", [MOVED],
        ).to_pylist()  # fmt: skip
    assert (float(row["used"]), row["covered"]) == (told["numerator"]["value"], told["denominator"]["value"])
    assert {("pai_machine_metric", first), ("pai_machine_metric", second), ("pai_machine_spec", first)} <= {
        (landing["table_name"], landing["first_build_id"]) for landing in told["landings"]
    }
    assert "from days" in told["sql"]
    assert not told["definitions_are_newer"]


def test_the_way_from_a_fleets_day_to_single_windows_adds_up_at_each_step(moved, gpulake_json, cli):
    """Machines make the day, windows make the machine's day and hour: with their weights, what is published comes out."""
    lake, *_ = moved
    _, day = gpulake_json(*UTIL, "--lake", lake)
    machines = day["workings"]["of_machines"]["named"]
    assert {"reconstructed": 1} == day["workings"]["methods"]
    assert day["value"] == pytest.approx(sum(each["weight"] * each["value_pct"] for each in machines))

    of_machine = ("--key", f"machine_id={machines[0]['machine_id']}", "--lake", lake)
    _, machine = gpulake_json("explain", "gold_machine_util_daily", "gpu_util_per_gpu_pct", *KEY, *of_machine)
    assert machines[0]["value_pct"] == pytest.approx(machine["value"])
    with open_publication(lake) as reader:
        (hour,) = reader.sql(
            "select max(hour_start_at) as at from gold_machine_util_hourly where dt = ? and machine_id = ?",
            [MOVED, machines[0]["machine_id"]],
        ).to_pylist()
    hourly = ("explain", "gold_machine_util_hourly", "gpu_util_weighted_pct", "--key", f"hour_start_at={hour['at']}")
    _, hour = gpulake_json(*hourly, *of_machine)
    for told in (machine, hour):
        made_of = told["workings"]["of_windows"]
        assert 0 == made_of["other_windows"]
        assert made_of["sum_pct"] == pytest.approx(sum(each["weight"] * each["value_pct"] for each in made_of["named"]))
        assert told["value"] == pytest.approx(
            made_of["sum_pct"] + made_of["fleet_pct"] + made_of["bounded_by_pct"], abs=2e-5
        )
    text = cli(*hourly, *of_machine).stdout
    assert "worked out   reconstructed" in text
    assert "memory 6 h" in text


def test_every_published_table_shows_sql_that_runs_and_gives_its_rows(moved, gpulake_json):
    """A template, a name that only dbt knows or the SQL of another build would explain nothing."""
    lake, *_ = moved
    project = warehouse.project()
    with open_publication(lake) as reader:
        (made,) = reader.sql("select fingerprint from ops.meta.publications order by build_id desc limit 1").to_pylist()
        for table in ("gold_cluster_util_window", "gold_waste_daily", "gold_capacity_daily", "gold_jobs"):
            found = compiled(reader, table, fingerprint=made["fingerprint"])
            assert not {"{{", "{%", '"lake"', "__dbt__"} & {
                mark for mark in ("{{", "{%", '"lake"', "__dbt__") if mark in found.sql
            }
            assert (project / found.file).is_file()
            assert found.stands_on
            assert [] == [each.name for each in found.stands_on if each.file and not (project / each.file).is_file()]
            rows = "select count(*) as n, sum(hash(r)) as digest from ({}) as r"
            assert (
                reader.sql(rows.format(f"from {table}")).to_pylist() == reader.sql(rows.format(found.sql)).to_pylist()
            )
    _, told = gpulake_json(*UTIL, "--lake", lake)
    assert {"name": "silver_days", "file": "warehouse/models/silver/calendar/silver_days.sql"} in told["stands_on"]


def test_explain_as_of_tells_what_moved_and_the_landing_that_moved_it(moved, gpulake_json, cli):
    """The figure in last week's slides is found beside today's, with the reason."""
    lake, first, _ = moved
    _, told = gpulake_json(*UTIL, "--as-of", first, "--lake", lake)
    with open_publication(lake, build_id=first) as reader:
        (then,) = reader.sql("select * from gold_cluster_util_daily where dt = ?", [MOVED]).to_pylist()
    as_of = told["as_of"]

    assert (first, then["avg_gpu_util"]) == (as_of["figure"]["build_id"], as_of["figure"]["value"])
    assert {"value", "numerator", "denominator", "coverage"} == set(as_of["moved"])
    assert then["covered_gpu_s"] == as_of["moved"]["denominator"]["then"]
    assert as_of["moved"]["value"]["change"] == pytest.approx(told["value"] - then["avg_gpu_util"])
    assert [("pai_machine_metric", 1)] == [(each["table_name"], each["rows_kept"]) for each in as_of["landings_since"]]
    assert ([], False) == (as_of["settings_changed"], as_of["definitions_changed"])

    other = gpulake_json(*(part.replace("1970-01-13", "1970-01-15") for part in UTIL), "--as-of", first, "--lake", lake)
    assert ({}, [], 1) == tuple(other[1]["as_of"][name] for name in ("moved", "landings_since", "other_landings_since"))

    text = cli(*UTIL, "--as-of", first, "--lake", lake).stdout
    assert "day 12, Tuesday" in text
    assert re.search(r"^value +\S+ +\S+ +\+\d", text, re.MULTILINE), text
    assert "included since, and reaching it: 1" in text


def test_a_status_that_comes_late_is_what_moved_the_days_of_its_job(tmp_path, pai, gpulake_json):
    """A job of day 10 fails; its GPU-hours of day 12 are failed ones now, though no row of that delivery names day 12."""
    start, end = 10 * 86_400, 13 * 86_400
    first, late = tmp_path / "first", tmp_path / "late"
    pai.write(first / "pai_job_table.csv", [pai.job(n, status="Running", start=f"{start}.0", end="") for n in (1, 2)])
    pai.write(first / "pai_task_table.csv", [pai.task(1), pai.task(2)])
    pai.write(first / "pai_instance_table.csv", [
        pai.instance(1, start=f"{start}.0", end=f"{end}.0"), pai.instance(2, start=f"{start}.0", end=f"{start + 60}.0"),
    ])  # fmt: skip
    pai.write(first / "pai_machine_spec.csv", [pai.spec(1)])
    pai.write(late / "1" / "pai_job_table.csv", [pai.job(1, status="Failed", start=f"{start}.0", end="")])
    pai.write(late / "2" / "pai_job_table.csv", [pai.job(2, status="Failed", start=f"{start}.0", end="")])
    builds = [
        pipeline.refresh(Config(lake=tmp_path / "lake"), data=part).build_id for part in (first, late / "1", late / "2")
    ]
    key = ("--key", f"dt={date(1970, 1, 13)}", "--key", "cluster_id=pai2020", "--key", f"user_id={7:012x}")
    _, told = gpulake_json(
        "explain", "gold_user_gpu_usage_daily", "failed_gpu_h", *key, "--as-of", builds[0], "--lake", tmp_path / "lake"
    )

    assert {"then": 0.0, "now": 12.0, "change": 12.0} == told["as_of"]["moved"]["value"]  # half a GPU for a day
    assert [("pai_job_table", builds[1])] == [
        (each["table_name"], each["first_build_id"]) for each in told["as_of"]["landings_since"]
    ]
    assert 1 == told["as_of"]["other_landings_since"]  # the one of job 2, which held nothing on that day
    assert ("pai_job_table", builds[1]) in [(each["table_name"], each["first_build_id"]) for each in told["landings"]]


def test_diff_lists_exactly_the_day_that_moved(moved, gpulake_json, cli):
    """No other day but its neighbour, and no table that says the same. (The forest is fitted anew: its verdicts move on any day.)"""
    lake, first, second = moved
    code, told = gpulake_json("diff", "--lake", lake)
    tables = {table["table"]: table for table in told["tables"]}

    assert (0, None, first, second) == (code, told["error"], told["first"]["build_id"], told["second"]["build_id"])
    assert {
        "gold_cluster_util_daily", "gold_cluster_util_daily_scored", "gold_cluster_util_hourly", "gold_cluster_util_window",
        "gold_data_freshness", "gold_detector_days", "gold_machine_util_daily", "gold_machine_util_hourly",
    } == set(tables) - {"gold_detectors"}  # fmt: skip
    for name in (
        "gold_cluster_util_daily",
        "gold_cluster_util_hourly",
        "gold_machine_util_daily",
        "gold_machine_util_hourly",
    ):
        # An hour of a day bears on the windows of the next 24 hours too, by a hair.
        days = [("pai2020", f"{MOVED}"), ("pai2020", f"{MOVED + timedelta(days=1)}")]
        assert days == [(group["cluster_id"], group["dt"]) for group in tables[name]["groups"]]
    day, after = tables["gold_cluster_util_daily"]["groups"]
    assert not {"covered_gpu_s", "windows", "avg_gpu_util_swept"} & {each["column"] for each in after["columns"]}
    assert (0, 0, 1) == (day["rows_added"], day["rows_removed"], day["rows_changed"])
    assert {"avg_gpu_util", "covered_gpu_s", "windows"} <= {each["column"] for each in day["columns"]}
    assert not {"capacity_gpu_s", "avg_cpu_util"} & {each["column"] for each in day["columns"]}
    assert {"gold_availability", "gold_capacity_daily", "gold_waste_daily"} <= set(told["unchanged"])

    assert [] == gpulake_json("diff", first, first, "--lake", lake)[1]["tables"]
    assert told["tables"] == gpulake_json("diff", first, "--lake", lake)[1]["tables"]
    assert "no published figure changed" in cli("diff", second, second, "--lake", lake).stdout
    assert "day 12, Tuesday" in cli("diff", first, second, "--lake", lake).stdout


def test_a_build_that_is_not_kept_is_refused_with_those_that_are(moved, gpulake_json):
    """The next call must be right."""
    lake, first, second = moved
    for call in ((*UTIL, "--as-of", 1), ("diff", 1), ("diff", first, 1)):
        code, told = gpulake_json(*call, "--lake", lake)
        assert (2, f"choose a build that is kept: {first}, {second}") == (code, told["error"]["do"])


def test_what_is_typed_is_a_value(moved, gpulake_json):
    """User text never becomes SQL."""
    lake, *_ = moved
    for key in ("dt=' or 1=1", "dt=1970-01-13' or '1'='1", "dt=1970-01-13; drop table x"):
        code, told = gpulake_json(*UTIL[:3], "--key", key, "--key", "cluster_id=pai2020", "--lake", lake)
        assert (2, "UsageError") == (code, told["error"]["kind"])
        assert told["error"]["what"].startswith("no row of gold_cluster_util_daily has")


def test_every_figure_is_its_numerator_over_its_denominator(tmp_path):
    """The parts that the yml names are the parts that the SQL divides, in every row of every table and source."""
    pai2020.simulate(tmp_path / "data", scale=0.02, days=8, seed=5, faults=True)
    for source in ("openb2023", "genai2026"):
        shutil.copytree(FIXTURES / source, tmp_path / "data" / source)
    assert pipeline.refresh(Config(lake=tmp_path / "lake"), data=tmp_path / "data").published
    wrong, filled = {}, 0
    with open_publication(tmp_path / "lake") as reader:
        for name, model in read_models(warehouse.project()).items():
            for column, told in model.columns.items():
                parts = [told.parts.get(part, "") for part in ("numerator", "denominator")]
                if name.startswith("gold_") and all(parts):
                    over, under = (computable(part, model.columns) for part in parts)
                    whole = f"({over}) / nullif(cast({under} as double), 0)"
                    (row,) = reader.sql(
                        f"select count(*) filter (where ({column} is null) <> ({whole} is null)) as unlike, count({column}) as rows, "
                        f"count(*) filter (where abs({column} - {whole}) > 1e-9 * greatest(1, abs({column}))) as wrong from {name}"
                    ).to_pylist()
                    filled += row["rows"] > 0
                    if row["unlike"] or row["wrong"]:
                        wrong[name, column] = row
    assert {} == wrong
    assert filled > 60


def test_after_compaction_the_old_figure_is_still_explained(moved, gpulake_json):
    """A kept build is an older version inside the catalog copy: merging files must not lose it."""
    lake, first, _ = moved
    before = gpulake_json(*UTIL, "--as-of", first, "--lake", lake)
    told = gpulake_json("diff", "--lake", lake)
    with writing(lake, purpose="compact") as writer:
        compacted = upkeep.compact(writer, now=clock.now())

    assert first in compacted.kept_builds
    assert before == gpulake_json(*UTIL, "--as-of", first, "--lake", lake)
    assert told == gpulake_json("diff", "--lake", lake)
