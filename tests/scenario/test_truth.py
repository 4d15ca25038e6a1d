"""Published figures against the truth that the simulated fleet wrote beside its trace."""

from __future__ import annotations

import random

import pai2020 as oracle
import polars as pl
import pytest

from gpulake import pipeline
from gpulake.config import Config
from gpulake.lake import open_publication
from gpulake.simulate import pai2020

RMSE_BOUND = 0.016
"""Of the day's mean GPU use, as a ratio, against the truth of the covered machine-seconds."""

BRONZE = {
    "pai_job_table": "bronze_job_events",
    "pai_task_table": "bronze_task_table",
    "pai_instance_table": "bronze_instance_table",
    "pai_sensor_table": "bronze_sensor_table",
    "pai_group_tag_table": "bronze_group_tag_table",
    "pai_machine_spec": "bronze_machine_spec",
    "pai_machine_metric": "bronze_machine_metrics",
}


class Compared:
    """One trace, its truth, and what was published of it."""

    def __init__(self, folder, *, scale, days, seed):
        print(f"scale {scale}, {days} days, seed {seed}")
        trace = folder / "trace"
        pai2020.simulate(trace, scale=scale, days=days, seed=seed)
        result = pipeline.refresh(Config(lake=folder / "lake"), data=trace)
        assert result.error is None, result.error
        self.trace = trace
        self.lake = folder / "lake"

    def truth(self, table):
        return pl.read_parquet(self.trace / "truth" / f"{table}.parquet")

    def raw(self, table, **columns):
        """Some columns of a table as written, by their place; a name that ends in `_time` is a number."""
        frame = pl.read_csv(
            self.trace / f"{table}.csv", has_header=False, columns=list(columns.values()), infer_schema=False
        )
        frame = frame.rename(dict(zip(frame.columns, columns, strict=True)))
        return frame.with_columns(pl.col(name).cast(pl.Float64) for name in columns if name.endswith("_time"))

    def published(self, query):
        with open_publication(self.lake) as publication:
            return pl.from_arrow(publication.sql(query))


def check_row_counts(compared):
    truth = compared.truth("counts").filter(pl.col("statistic") == "rows")
    assert truth.height == len(BRONZE)
    for table, rows in truth.select("table_name", "value").iter_rows():
        assert rows == compared.published(f"select count(*) as n from {BRONZE[table]}")["n"][0], table
    assert compared.truth("jobs").height == compared.published("select count(*) as n from silver_jobs")["n"][0]


def shown_times(compared):
    """Per job: whether the trace shows when it first started (each of its placed instances does), and when it ended."""
    instances = compared.raw("pai_instance_table", job_name=0, start_time=6, machine=8)
    starts = instances.group_by("job_name").agg(
        (
            pl.col("start_time").is_not_null().any()
            & (pl.col("start_time").is_not_null() | pl.col("machine").is_null()).all()
        ).alias("starts")
    )
    jobs = compared.raw("pai_job_table", job_name=0, start_time=4, end_time=5)
    return jobs.join(starts, on="job_name", how="left").select(
        "job_name",
        submitted=pl.col("start_time").is_not_null(),
        starts=pl.col("starts").fill_null(value=False),
        ends=pl.col("end_time").is_not_null(),
    )


def check_run_times(compared):
    jobs = (
        compared.truth("jobs")
        .join(shown_times(compared), on="job_name")
        .join(
            compared.published(
                "select job_id as job_name, wait_s as wait, run_s as run, run_time_sec from silver_jobs"
            ),
            on="job_name",
        )
    )
    assert jobs.height == compared.truth("jobs").height
    for published, true, shown in (
        ("wait", pl.col("wait_s"), pl.col("submitted") & pl.col("starts")),
        ("run", pl.col("run_s"), pl.col("starts") & pl.col("ends")),
        ("run_time_sec", pl.col("ended_s") - pl.col("submitted_s"), pl.col("submitted") & pl.col("ends")),
    ):
        expected = pl.when(shown).then(true)
        assert jobs.filter(~pl.col(published).eq_missing(expected)).height == 0, published
        assert jobs[published].null_count() < jobs.height / 2, published


def wild_windows(compared):
    """The hours that a machine's window touches which shows more than 110 % of its GPUs: as some of PAI's P100 machines do."""
    gpus = compared.raw("pai_machine_spec", machine=0, gpus_time=4)
    windows = compared.raw("pai_machine_metric", machine=1, start_time=2, end_time=3, gpu_time=7).join(
        gpus, on="machine"
    )
    return (
        windows.filter((pl.col("gpu_time") > 110 * pl.col("gpus_time")) & (pl.col("start_time") > 0))
        .select(
            "machine",
            pl.int_ranges(pl.col("start_time").cast(pl.Int64) // 3600, pl.col("end_time").cast(pl.Int64) // 3600 + 1)
            .list.eval(pl.element() * 3600)
            .alias("hour_start_s"),
        )
        .explode("hour_start_s")
        .unique()
    )


def check_coverage(compared):
    hours = compared.published(
        "select machine_id as machine, epoch(hour_start_at)::bigint as hour_start_s, gpu_covered_s "
        "from silver_machine_hours where gpu_count > 0"
    )
    truth = compared.truth("machine_hours").filter((pl.col("covered_s") > 0) & (pl.col("gpus") > 0))
    wild = wild_windows(compared)
    assert wild.height < 0.1 * truth.height
    both = truth.join(hours, on=["machine", "hour_start_s"], how="full", coalesce=True)
    exact = both.join(wild, on=["machine", "hour_start_s"], how="anti")
    assert exact.filter((pl.col("covered_s") != pl.col("gpu_covered_s")).fill_null(value=True)).height == 0
    touched = both.join(wild, on=["machine", "hour_start_s"], how="semi")
    assert touched.filter((pl.col("covered_s") < pl.col("gpu_covered_s")).fill_null(value=True)).height == 0


def days(compared):
    return compared.truth("days").join(
        compared.published("select * from gold_cluster_util_daily"), on="dt", suffix="_gold"
    )


def check_days(compared):
    found = days(compared)
    assert found.height == compared.truth("days").height
    assert found["capacity_gpu_s"].equals(found["capacity_gpu_s_gold"], check_names=False)
    wild_days = wild_windows(compared).select(
        dt=pl.from_epoch("hour_start_s").dt.offset_by("8h").cast(pl.Date)  # Asia/Shanghai
    )
    exact, touched = (found.join(wild_days, on="dt", how=how) for how in ("anti", "semi"))
    assert exact["covered_gpu_s"].equals(exact["covered_gpu_s_gold"], check_names=False)
    assert touched["covered_gpu_s_gold"].is_between(0.8 * touched["covered_gpu_s"], touched["covered_gpu_s"]).all()


def rmse_ratio(days, published, truth):
    return float(((days[published] - days[truth]) ** 2).mean() ** 0.5) / 100


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return Compared(tmp_path_factory.mktemp("small"), scale=0.004, days=10, seed=7)


def test_a_small_fleet_is_counted_exactly(small):
    """Rows, run times, waits and measured seconds are facts: a published one that differs from the fleet's is wrong."""
    check_row_counts(small)
    check_run_times(small)
    check_coverage(small)


def test_a_machines_load_and_traffic_are_means_over_time(small):
    """A minute's load would weigh as much as a day's, and a mean of hours' means is off by up to three times."""
    rows = small.published("select * from gold_machine_util_daily where load_1m is not null")
    for column, mean, seconds, slack in (
        (8, "load_1m", "load_covered_s", 1e-6),
        (9, "net_rx_bytes_per_s", "net_covered_s", 0.5),
    ):
        expected = oracle.machine_means(small.trace, column)
        found = {(row["machine_id"], row["dt"]): row for row in rows.iter_rows(named=True)}
        assert expected.keys() == found.keys()
        for key, (value, covered) in expected.items():
            assert covered == found[key][seconds], (mean, key)
            assert abs(found[key][mean] - value) <= slack, (mean, key)


def test_a_small_fleets_days_close(small):
    """Capacity and covered GPU-seconds are whole numbers; they must be the fleet's own."""
    check_days(small)


@pytest.mark.slow
@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_fresh_fleet_is_published_as_it_was(tmp_path, capsys, number):
    """On any fleet by itself: counts, run times and coverage exact; the day's mean within the bound; the plain mean far outside."""
    seed = random.SystemRandom().randrange(2**31)
    compared = Compared(tmp_path, scale=0.05, days=62, seed=seed)
    check_row_counts(compared)
    check_run_times(compared)
    check_coverage(compared)
    check_days(compared)
    found = days(compared)
    ours, plain = (
        rmse_ratio(found, mean, "avg_gpu_util_covered") for mean in ("avg_gpu_util_gold", "avg_gpu_util_unweighted")
    )
    with capsys.disabled():
        print(f"\nfleet {number}, seed {seed}: RMSE {ours:.4f} (the plain mean: {plain:.4f})")
    assert ours <= RMSE_BOUND, seed
    assert plain > 5 * RMSE_BOUND, seed
