"""The template's day, from files to figures that were worked out by hand; then asked from Python and by other engines."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from types import ModuleType

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import gpulake
from gpulake import pipeline, templates
from gpulake.config import Config
from gpulake.errors import UsageError
from gpulake.lake import open_publication
from gpulake.reading import export

DAY = date(2026, 1, 15)
A100, V100 = "NVIDIA A100-SXM4-80GB", "Tesla V100-SXM2-16GB"


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """The lake of the example, as a cluster of its own name."""
    folder = tmp_path_factory.mktemp("plain")
    written = templates.write(folder / "own")
    result = pipeline.refresh(Config(lake=folder / "lake"), data=written.example[0].parent, cluster="lab")
    assert result.published, result.why
    assert {0} == {landing.rows_refused for landing in result.land.landings}
    return folder / "lake"


@pytest.fixture(scope="module")
def reader(lake):
    with open_publication(lake) as opened:
        yield opened


def rows(reader, query):
    return [tuple(row.values()) for row in reader.sql(query).to_pylist()]


# Two machines of four GPUs are 96 GPU-hours a day each. On node01 job 1001 held 4 × 6 h and job 1003 4 × 3 h; on node02 job
# 1002 held 2 × 2 h and job 1003 4 × 3 h.


def test_capacity_and_what_was_held(reader):
    """36 and 16 of 96 GPU-hours: every figure of a fleet stands on these."""
    asked = (
        "select dt, pool, capacity_gpu_h, allocated_gpu_h, over_allocated_gpu_h from gold_capacity_daily order by pool"
    )

    assert [(DAY, A100, 96.0, 36.0, 0.0), (DAY, V100, 96.0, 16.0, 0.0)] == rows(reader, asked)


def test_what_was_used_of_it_and_what_was_down(reader, lake):
    """Each sample speaks of ten minutes; node02 was down for half an hour, so two of its GPU-hours were nobody's to hold."""
    asked = "select pool, active_gpu_h, idle_held_gpu_h, unknown_gpu_h, down_gpu_h, unallocated_gpu_h from gold_capacity_daily order by pool"
    used = {"node01": 0.0, "node02": 0.0}
    for row in templates.example()["plain_gpu_samples"]:
        used[row["machine_id"]] += row["gpu_util_pct"] / 100 / 6

    assert [
        (A100, pytest.approx(used["node01"]), pytest.approx(36 - used["node01"]), 0.0, 0.0, 60.0),
        (V100, pytest.approx(used["node02"]), pytest.approx(16 - used["node02"]), 0.0, 2.0, 78.0),
    ] == rows(reader, asked)
    assert [(1.0,)] == rows(reader, "select coverage_ratio from gold_cluster_util_daily")


def test_waits_and_run_times_are_those_of_the_jobs(reader):
    """10, 60 and 120 minutes of waiting, 6, 2 and 3 hours of work."""
    asked = "select job_id, job_status, wait_s / 60, run_s / 3600, gpu_request_count, size_class, gpu_model from silver_jobs order by job_id"

    assert [
        ("1001", "succeeded", 10.0, 6.0, 4.0, ">1, <8", A100),
        ("1002", "failed", 60.0, 2.0, 2.0, ">1, <8", V100),
        ("1003", "succeeded", 120.0, 3.0, 8.0, "8", None),
    ] == rows(reader, asked)


def test_users_teams_and_failures(reader):
    """Ada held 24 GPU-hours, Bob 4 that came to nothing and 24 more."""
    users = (
        "select user_id, jobs_submitted, allocated_gpu_h, failed_gpu_h from gold_user_gpu_usage_daily order by user_id"
    )
    teams = (
        "select group_id, sum(allocated_gpu_h) as h from gold_group_gpu_usage_daily group by group_id order by group_id"
    )
    failed = (
        "select jobs_submitted, jobs_failed, failed_gpu_h, allocated_gpu_h from gold_failures where grouped_by = 'all'"
    )

    assert [("ada", 1, 24.0, 0.0), ("bob", 2, 28.0, 4.0)] == rows(reader, users)
    assert [("language", 28.0), ("vision", 24.0)] == rows(reader, teams)
    assert [(3, 1, 4.0, 52.0)] == rows(reader, failed)


def test_each_device_that_is_held_is_known_by_its_index(reader):
    """By these samples find their jobs: 4 + 2 + 8 devices."""
    asked = "select job_id, machine_id, list(gpu_index order by gpu_index) as held from stg_plain__gpu_hold group by all order by all"

    assert [
        ("1001", "node01", [0, 1, 2, 3]),
        ("1002", "node02", [0, 1]),
        ("1003", "node01", [0, 1, 2, 3]),
        ("1003", "node02", [0, 1, 2, 3]),
    ] == rows(reader, asked)


def test_the_other_tables_reach_their_entities(reader):
    """Rows that stop in staging are read by nobody."""
    samples = "select count(*), sum(case when gpu_util_pct > 0 then interval_s end) / 3600 from stg_plain__gpu_sample"
    events = "select machine_id, gpu_index, kind, code, event_count, last_at = happened_at from stg_plain__event"
    states = "select machine_id, state, state_source, reason, epoch(to_at - from_at) as s from stg_plain__machine_state"
    gpus = "select pci_bus_id from stg_plain__gpu where machine_id = 'node01' order by gpu_index"

    assert [(1152, 50.0)] == rows(reader, samples)
    assert [("node02", 0, "xid", 31, 1, True)] == rows(reader, events)
    assert [("node02", "down", "down", "new kernel", 1800.0)] == rows(reader, states)
    assert [(f"00000000:{bus}:00.0",) for bus in ("10", "30", "50", "70")] == rows(reader, gpus)


def test_what_lacks_is_only_what_plain_data_cannot_tell(reader):
    """The example fills every column that unlocks something."""
    asked = "select distinct missing_table, reason from gold_availability where cluster_id = 'lab' and not available order by 2"

    assert [
        (None, "It is a mean over windows, and plain data has samples."),
        (None, "Plain data tells jobs and what they hold, and no tasks between."),
    ] == rows(reader, asked)


# --------------------------------------------------------------------------------- jobs without allocations


@pytest.mark.slow
def test_jobs_alone_tell_waits_failures_and_gpu_hours_and_allocations_take_their_place(tmp_path):
    """A list of jobs is what everybody has; what they held on each machine may come a day later, and is not counted twice."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "jobs.csv").write_text(
        "job_id,submitted_at,started_at,ended_at,status,gpu_request_count\n"
        "1,2026-01-15T08:00:00Z,2026-01-15T09:00:00Z,2026-01-15T11:00:00Z,FAILED,4\n"
        "2,2026-01-15T08:00:00Z,2026-01-15T08:30:00Z,2026-01-15T09:30:00Z,COMPLETED,\n"
        "3,2026-01-15T08:00:00Z,,,CANCELLED,1\n"
    )
    config = Config(lake=tmp_path / "lake")
    assert pipeline.refresh(config, data=folder).published
    jobs = "select job_id, wait_s, allocated_gpu_h, size_class from gold_jobs order by job_id"
    with open_publication(config.lake) as reader:
        assert [("1", 3600.0, 8.0, ">1, <8"), ("2", 1800.0, None, None), ("3", None, 0.0, "1")] == [
            (job_id, wait_s, held if job_id != "2" else None, size) for job_id, wait_s, held, size in rows(reader, jobs)
        ]
        missing = dict(
            rows(
                reader,
                "select column_name, missing_table from gold_availability where table_name = 'gold_jobs' and not available",
            )
        )
    assert "plain_jobs.user_id" == missing["user_id"]
    assert "plain_allocations or plain_jobs.machine_id" == missing["machines_used"]

    (folder / "held.csv").write_text(
        "job_id,machine_id,started_at,ended_at,gpu_count\n"
        "1,n1,2026-01-15T09:00:00Z,2026-01-15T11:00:00Z,1\n"
        "1,n2,2026-01-15T09:00:00Z,2026-01-15T11:00:00Z,2\n"
        "2,n1,2026-01-15T08:30:00Z,2026-01-15T09:30:00Z,2\n"
    )
    assert pipeline.refresh(config, data=folder).published
    with open_publication(config.lake) as reader:
        assert [("1", 4.0, 6.0), ("2", 2.0, 2.0), ("3", 1.0, 0.0)] == rows(
            reader, "select job_id, gpu_request_count, allocated_gpu_h from gold_jobs order by job_id"
        )


# ------------------------------------------------------------------------------------------- from Python


def test_the_python_way_in(lake):
    """A notebook reads what is published, and can change nothing."""
    with gpulake.open(lake) as opened:
        capacity, jobs = opened.table("gold_capacity_daily"), opened.table("gold_jobs")
        by_place = opened.sql("select job_id from gold_jobs where user_id = ? order by job_id", ["bob"])
        by_name = opened.sql("select job_id from gold_jobs where user_id = $who order by job_id", {"who": "bob"})
        for query in ("create table mine as select 1", "copy gold_jobs to 'x.csv'", "from read_csv('/etc/passwd')", "select 1; select 2"):  # fmt: skip
            with pytest.raises(UsageError):
                opened.sql(query)
        with pytest.raises(UsageError, match="use gold_jobs"):
            opened.table("gold_job")
        assert {"gold_jobs", "silver_jobs", "bronze_plain_jobs"} <= set(opened.tables)
        with open_publication(lake) as reader:
            assert reader.build_id == opened.build_id

    assert isinstance(capacity.arrow(), pa.Table)
    assert 52.0 == capacity.polars()["allocated_gpu_h"].sum()
    assert [{"job_id": "1002"}, {"job_id": "1003"}] == by_place.arrow().to_pylist() == by_name.arrow().to_pylist()
    assert (3, 2) == (len(jobs), len(by_place))
    assert datetime(2026, 1, 15, 8, tzinfo=UTC) == jobs.polars().sort("job_id")["submitted_at"][0]
    with pytest.raises(UsageError, match="pandas is not installed"):
        jobs.pandas()


def test_pandas_is_given_where_it_is(monkeypatch):
    """It is asked of pyarrow, which loads it; nothing of ours does."""

    class Rows:
        def to_pandas(self):
            return "a frame"

    monkeypatch.setitem(sys.modules, "pandas", ModuleType("pandas"))

    assert "a frame" == gpulake.Answer(Rows()).pandas()


def test_importing_gpulake_loads_no_heavy_library():
    """A program that only asks for the version must not wait for DuckDB."""
    code = (
        "import sys, gpulake; heavy = {'duckdb', 'polars', 'pyarrow', 'pandas', 'numpy', 'dbt', 'typer', 'sklearn', 'fastapi'};"
        "print(sorted(heavy & set(sys.modules)), sorted(gpulake.__all__))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "[] ['Answer', 'Lake', 'open']" == done.stdout.strip()


# ----------------------------------------------------------------------------------------- other engines


def test_the_export_is_read_right_by_other_engines(lake, reader, tmp_path):
    """Money as a float loses cents, a time without a zone is read as local, and a 128-bit number as a double is another one."""
    exported = export.to_parquet(lake, tmp_path / "tables")
    money = pl.read_parquet(tmp_path / "tables" / "gold_cost_daily")
    jobs = pq.read_table(tmp_path / "tables" / "gold_jobs")
    label = json.loads((tmp_path / "tables" / "_export.json").read_text())

    assert (
        {name: len(pl.read_parquet(tmp_path / "tables" / name)) for name in exported.rows}
        == exported.rows
        == label["tables"]
    )
    assert reader.build_id == exported.build_id == label["build_id"]
    assert pl.Decimal(18, 2) == money.schema["cost_usd"]
    ((cost,),) = rows(reader, "select sum(cost_usd) from gold_cost_daily")
    assert isinstance(cost, Decimal)
    assert cost == money["cost_usd"].sum()
    assert pa.timestamp("us", "UTC") == jobs.schema.field("submitted_at").type
    assert datetime(2026, 1, 15, 8, tzinfo=UTC) == min(jobs["submitted_at"].to_pylist())
    assert not [name for name in exported.rows if not name.startswith(("silver_", "gold_"))]
    naive = [
        f"{folder.name}.{field.name}"
        for folder in (tmp_path / "tables").iterdir()
        if folder.is_dir()
        for field in pq.read_schema(next(folder.glob("*.parquet")))
        if (pa.types.is_timestamp(field.type) and field.type.tz is None) or pa.types.is_unsigned_integer(field.type)
    ]
    assert [] == naive


def test_an_export_replaces_an_export_and_nothing_else(lake, tmp_path):
    """A slip of the hand must not cost anybody's folder."""
    first = export.to_parquet(lake, tmp_path / "tables", with_bronze=True)
    again = export.to_parquet(lake, tmp_path / "tables")
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.tex").write_text("")

    assert "bronze_plain_jobs" in first.rows
    assert not (tmp_path / "tables" / "bronze_plain_jobs").exists()
    assert set(again.rows) == {folder.name for folder in (tmp_path / "tables").iterdir() if folder.is_dir()}
    assert ["mine", "tables"] == sorted(path.name for path in tmp_path.iterdir())
    for place in (mine, mine / "thesis.tex", tmp_path / "none" / "tables"):
        with pytest.raises(UsageError):
            export.to_parquet(lake, place)


def test_the_command_line_asks_for_one_of_the_two(cli, lake, tmp_path):
    """Both at once would be one of them, without a word."""
    done = cli("export", "--lake", lake, "--json")
    both = cli("export", "--lake", lake, "--duckdb", tmp_path / "a.db", "--parquet", tmp_path / "b")
    (tmp_path / "b").mkdir()  # an empty folder is nobody's
    good = cli("export", "--lake", lake, "--parquet", tmp_path / "b", "--json")

    assert [2, 2, 0] == [done.returncode, both.returncode, good.returncode]
    assert str(tmp_path / "b") == json.loads(good.stdout)["file"]


def test_check_and_template_on_the_command_line(cli, tmp_path):
    """What is typed first: it must answer with the right code, in one JSON object too."""
    assert 0 == cli("template", "--out", tmp_path / "own").returncode
    good = cli("check", tmp_path / "own" / "example", "--json", cwd=tmp_path)
    empty = cli("check", tmp_path / "own" / "empty", "--json", cwd=tmp_path)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "plain_jobs.csv").write_text("job_id,when\n1,2\n")
    bad = cli("check", tmp_path / "bad", cwd=tmp_path)

    assert [0, 10, 11] == [good.returncode, empty.returncode, bad.returncode]
    told = json.loads(good.stdout)
    assert (8, [], [], None) == (len(told["files"]), told["doubts"], told["unlocks"], told["error"])
    assert 10 == json.loads(empty.stdout)["error"]["exit_code"]
    assert "plain_jobs.csv: its header is not plain_jobs's: it lacks submitted_at" in bad.stdout
    assert not (tmp_path / "lake").exists()


@pytest.mark.slow
def test_a_sample_that_speaks_for_hours_keeps_them_beside_later_ones(tmp_path):
    """GPU 1 was sampled at 5 for seven hours, GPU 0 every ten minutes: what comes of 0 takes no hour of 1, and what comes of 1 ends it."""

    def samples(*rows):
        told = [f"n1,{gpu},2026-11-20T{at}:00Z,{interval_s},50" for gpu, at, interval_s in rows]
        return "\n".join(["machine_id,gpu_index,sampled_at,interval_s,gpu_util_pct", *told, ""])

    often = [(0, f"{hour:02}:{minute:02}", 600) for hour in range(11) for minute in range(0, 60, 10)]
    found = []
    for number, given in enumerate([[*often[:60], (1, "05:00", 25200)], often[60:], [(1, "06:00", 600)]]):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "gpu_samples.csv").write_text(samples(*given))
        if number == 0:
            (folder / "machines.csv").write_text("machine_id,gpu_count,gpu_model\nn1,2,A100\n")
        result = pipeline.refresh(Config(lake=tmp_path / "lake"), data=folder, cluster="lab")
        assert result.published, result.why
        with open_publication(tmp_path / "lake") as reader:
            asked = "select cast(sum(use_covered_s) as bigint) from silver_gpu_hours group by gpu_device order by gpu_device"
            found.append([seconds for (seconds,) in rows(reader, asked)])

    assert [[36000, 25200], [39600, 25200], [39600, 3600 + 600]] == found
