"""One simulated day by two roads, Slurm with Prometheus and kernel logs, and plain tables: the figures are the same, and the truth's."""

from __future__ import annotations

import json
from datetime import date
from types import SimpleNamespace

import polars as pl
import pytest

from gpulake import pipeline
from gpulake.config import load
from gpulake.lake import open_publication
from gpulake.simulate.site import simulate

pytestmark = pytest.mark.slow

ROADS = {"own": ("slurm", "prometheus", "kernel_log"), "plain": ("plain",)}
ZONE = '[clusters.site]\ntime_zone = "Europe/Berlin"\n'


@pytest.fixture(scope="module")
def day(cli, tmp_path_factory):
    """Two lakes of the same day, and its truth."""
    folder = tmp_path_factory.mktemp("roads")
    simulate(
        folder / "site",
        nodes=3,
        gpus_per_node=4,
        days=1,
        start=date(2026, 3, 2),
        zone="Europe/Berlin",
        seed=7,
        faults="node_down,throttling,exporter_outage",
        every_s=120,
    )
    (folder / "gpulake.toml").write_text(ZONE)
    for lake, roads in ROADS.items():
        for step, road in enumerate(roads, start=1):
            command = "refresh" if step == len(roads) else "land"
            data, into = folder / "site" / road, folder / lake
            done = cli(command, "--data", data, "--lake", into, "--cluster", "site", "--json", cwd=folder)
            assert 0 == done.returncode, done.stderr + done.stdout

    def ask(lake, query):
        done = cli("sql", query, "--lake", folder / lake, "--json")
        assert 0 == done.returncode, done.stderr
        return json.loads(done.stdout)

    truth = {path.stem: pl.read_parquet(path) for path in (folder / "site" / "truth").glob("*.parquet")}
    return SimpleNamespace(folder=folder, ask=ask, truth=SimpleNamespace(**truth))


@pytest.mark.parametrize(
    "query",
    [
        # a query of a range tells its step; files tell none, so their samples speak for the usual one
        pytest.param("select * exclude (usual_step_s) from silver_gpu_hours order by all", id="gpu hours"),
        # what processors did is told as counters by the one road: its first sample tells nothing of them
        pytest.param(
            "select * exclude (avg_cpu_util, covered_core_s, core_pct_s) from gold_cluster_util_daily order by all",
            id="days",
        ),
        pytest.param("select * from gold_cluster_util_hourly order by all", id="hours"),
        pytest.param("select * from gold_user_gpu_usage_daily order by all", id="users"),
        pytest.param("select * from gold_group_gpu_usage_daily order by all", id="groups"),
        # Slurm's ids carry the submission, and its pools are named by what the scheduler calls a model
        pytest.param("select * exclude (job_id) from gold_job_efficiency_daily order by all", id="jobs"),
        pytest.param(
            "select dt, sum(capacity_gpu_h), sum(allocated_gpu_h), sum(active_gpu_h), sum(unknown_gpu_h), sum(down_gpu_h) "
            "from gold_capacity_daily group by dt order by all",
            id="capacity",
        ),
    ],
)
def test_both_roads_give_the_same_figures(day, query):
    """Who has exporters and who has files must not be told different things of the same site."""
    expected = day.ask("plain", query)
    assert expected
    assert expected == day.ask("own", query)


@pytest.mark.parametrize("road", ["own", "plain"])
def test_the_day_as_a_stream_is_the_day_by_files(day, road, cli, published_rows):
    """Batch = stream for jobs, samples and kernel events too, with disorder, late events and duplicates: no row of any table differs.

    But for columns that a file says it has not.
    """
    lake = day.folder / f"{road}-stream"
    data = day.folder / "site" / (road if road in ROADS[road] else "")
    words = ("--cluster", "site", "--data", data, "--to", "queue", "--disorder", "10m", "--late", "1%",
             "--late-by", "3h", "--duplicates", "2%", "--seed", "5", "--lake", lake, "--json")  # fmt: skip
    done = cli("replay", ",".join(ROADS[road]), *words, cwd=day.folder)
    assert 0 == done.returncode, done.stderr + done.stdout
    told = json.loads(done.stdout)
    assert told["duplicates"] > 100
    assert (told["messages"], 0) == (told["landed"]["rows_kept"], told["landed"]["rows_refused"])
    settings = load({}, lake=lake, folder=day.folder)
    assert pipeline.catch_up(settings).published

    found = []
    for each in (day.folder / road, lake):
        with open_publication(each) as reader:
            found.append(published_rows(lambda query, reader=reader: reader.sql(query).to_pylist()))
    by_files, by_stream = found
    assert by_files.keys() == by_stream.keys()
    lacking = {"plain": ["gold_availability"], "own": []}[road]
    assert lacking == [name for name in by_files if by_files[name] != by_stream[name]]


def test_machines_are_as_busy_by_both_roads(day):
    """Counters of processors and network cards against percents and rates: they differ by rounding, and by a first sample."""
    query = (
        "select machine_id, cpu_util_pct, load_1m, net_rx_bytes_per_s, memory_used_bytes from gold_machine_util_daily "
        "order by machine_id"
    )
    plain, own = day.ask("plain", query), day.ask("own", query)
    assert 3 == len(plain)
    for expected, row in zip(plain, own, strict=True):
        assert expected.pop("machine_id") == row.pop("machine_id")
        assert row == pytest.approx(expected, rel=0.01)


def test_finished_jobs_hold_what_they_truly_held_and_did_what_they_truly_did(day):
    """Allocated hours are exact; the active ones lie within what the samples leave open."""
    figures = "allocated_gpu_h, active_gpu_h, unknown_gpu_h"
    jobs = {row["job_id"]: row for row in day.ask("plain", f"select job_id, {figures} from gold_jobs")}
    ended = day.truth.jobs.filter(pl.col("ended_at").is_not_null() & pl.col("started_at").is_not_null())
    assert ended.height > 20
    open_s = 0.0
    for job_id, gpus, attempts, allocated, active in ended.select(
        "job_id", "gpus", "attempts", "allocated_gpu_s", "active_gpu_s"
    ).iter_rows():
        shown = jobs[job_id]
        assert shown["allocated_gpu_h"] == pytest.approx(allocated / 3_600)
        unknown = shown["unknown_gpu_h"] or 0.0
        open_s += 3_600 * unknown
        # At its begin and its end a job shares a sample with nobody or with others: two samples of each GPU are blurred
        slack = 2 * 120 * gpus * attempts / 3_600
        assert shown["active_gpu_h"] - slack <= active / 3_600 <= shown["active_gpu_h"] + unknown + slack
    assert open_s > 0
