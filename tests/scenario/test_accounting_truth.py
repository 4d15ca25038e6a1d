"""The accounting of simulated fleets, against a plain-Python oracle of the CSV files and against the truth beside them."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC

import pai2020 as oracle
import polars as pl
import pytest

from gpulake import pipeline
from gpulake.config import Config
from gpulake.lake import open_publication
from gpulake.simulate import pai2020

AMOUNTS = ("allocated", "active", "idle_held", "unknown", "over_use", "zero_util")
KINDS = {"started_only": "start only", "ended_only": "end only", "neither": "neither"}


@pytest.fixture(scope="module", params=range(1, 6))
def fleet(request, tmp_path_factory):
    """A fresh trace with its truth, what the oracle makes of its files, and a reader of what was published."""
    dice = random.SystemRandom()
    folder, seed = tmp_path_factory.mktemp("fleet"), dice.randrange(2**31)
    scale, days = dice.choice([0.02, 0.03, 0.04]), dice.choice([10, 11, 12])
    print(f"fleet {request.param}: scale {scale}, {days} days, seed {seed}")
    pai2020.simulate(folder / "trace", scale=scale, days=days, seed=seed, faults=dice.random() < 0.5)
    result = pipeline.refresh(Config(lake=folder / "lake"), data=folder / "trace")
    assert result.published, result.why
    trace = oracle.read(folder / "trace")
    with open_publication(folder / "lake") as publication:
        yield folder / "trace", trace, oracle.account(trace), publication


def amounts(one, names=AMOUNTS):
    return tuple(int(getattr(one, name)) for name in names)


def published(publication, table, *key, names=AMOUNTS):
    rows = publication.sql(f"SELECT * FROM {table}").to_pylist()
    return {tuple(row[name] for name in key): tuple(row[f"{name}_mgpu_s"] for name in names) for row in rows}


def check_equal(wanted, found):
    assert wanted
    wrong = [
        (key, wanted.get(key), found.get(key))
        for key in wanted.keys() | found.keys()
        if wanted.get(key) != found.get(key)
    ]
    assert not wrong, f"{len(wrong)} of {len(wanted)} differ (key, oracle, published): {wrong[:5]}"


@pytest.mark.slow
def test_the_tables_equal_the_oracle(fleet):
    """Whole numbers have one right value."""
    _, _, ledger, publication = fleet
    check_equal(
        {key: amounts(one) for key, one in ledger.job_days.items()},
        published(publication, "silver_job_days", "job_id", "dt", "pool"),
    )
    check_equal(
        {(machine, dt, hour): job for (machine, dt, hour), job in ledger.main_jobs.items() if hour is None},
        {
            (row["machine_id"], row["dt"], None): row["main_job_id"]
            for row in publication.sql("SELECT * FROM gold_machine_util_daily WHERE allocated_gpu_h > 0").to_pylist()
        },
    )
    over = Counter()
    for (machine, dt, _), one in ledger.machine_hours.items():
        over[machine, dt] += one.over_allocated
    check_equal(
        {key: (*amounts(one), over[key]) for key, one in ledger.machine_days.items()},
        published(publication, "silver_machine_days", "machine_id", "dt", names=(*AMOUNTS, "over_allocated")),
    )
    check_equal(
        {
            (dt, pool, KINDS[kind]): spans
            for (dt, pool), kinds in ledger.unbounded.items()
            for kind, spans in kinds.items()
        },
        {
            tuple(row.values())[:3]: row["spans"]
            for row in publication.sql(
                "SELECT dt, pool, known_times, sum(spans)::bigint AS spans FROM silver_unbounded_spans GROUP BY ALL"
            ).to_pylist()
        },
    )


@pytest.mark.slow
def test_the_hours_equal_the_oracle(fleet):
    """Hours are exact but for the use, which is rounded once an hour."""
    _, _, ledger, publication = fleet
    exact = ("allocated", "unknown", "zero_util", "capacity", "over_allocated")
    check_equal(
        {key: amounts(one, exact) for key, one in ledger.machine_hours.items()},
        published(publication, "silver_allocation_hours", "machine_id", "dt", "hour_no", names=exact),
    )
    named = publication.sql(
        "SELECT machine_id, dt, hour_start_at, main_job_id FROM gold_machine_util_hourly WHERE main_job_id IS NOT NULL"
    ).to_pylist()
    check_equal(
        {(machine, dt, hour): job for (machine, dt, hour), job in ledger.main_jobs.items() if hour is not None},
        {
            (row["machine_id"], row["dt"], (int(row["hour_start_at"].replace(tzinfo=UTC).timestamp()) - oracle.start_of(row["dt"])) // 3600):
            row["main_job_id"] for row in named
        },
    )  # fmt: skip
    rounded = published(
        publication, "silver_allocation_hours", "machine_id", "dt", "hour_no", names=("active", "idle_held")
    )
    for key, one in ledger.machine_hours.items():
        bound = 0.5 + 0.002 * one.parts
        assert all(
            abs(got - wanted) <= bound for got, wanted in zip(rounded[key], (one.active, one.idle_held), strict=True)
        ), key


def shown(folder):
    """One row per line of the instance table that ran and held GPUs: its truth, and what the trace shows of it."""
    names = {"job_name": 0, "worker": 3, "start": 6, "end": 7}
    lines = pl.read_csv(
        folder / "pai_instance_table.csv", has_header=False, columns=list(names.values()), infer_schema=False
    )
    lines = lines.rename(dict(zip(lines.columns, names, strict=True))).with_row_index("instance_row", offset=1)
    sensors = pl.read_csv(folder / "pai_sensor_table.csv", has_header=False, columns=[0, 2, 7], infer_schema=False)
    sensors = sensors.rename(dict(zip(sensors.columns, ("job_name", "worker", "use"), strict=True)))
    rows = (
        pl.read_parquet(folder / "truth" / "instances.parquet")
        .join(lines.cast({"instance_row": pl.Int64}), on="instance_row")
        .with_columns(
            run_s=pl.col("end_s") - pl.col("start_s"),
            bounded=pl.col("start").is_not_null() & pl.col("end").is_not_null(),
        )
        .with_columns(
            allocated=pl.col("held_mgpu") * pl.col("run_s").cast(pl.Int64),
            shares_its_name=pl.len().over("job_name", "worker") > 1,
        )
    )
    measured = (
        rows.filter("bounded")
        .sort("run_s", "start_s", descending=True)
        .unique(["job_name", "worker"], keep="first", maintain_order=True)
        .join(sensors.filter(pl.col("use").is_not_null()), on=["job_name", "worker"])
        .select("instance_row", is_measured=True)
    )
    rows = rows.join(measured, on="instance_row", how="left").with_columns(pl.col("is_measured").fill_null(value=False))
    return rows.filter(pl.col("held_mgpu") > 0)


def by_job(rows, column):
    sums = rows.group_by("job_name").agg(pl.col(column).sum())
    return {job: value for job, value in sums.iter_rows() if value}


@pytest.mark.slow
def test_the_tables_equal_the_truth(fleet):
    """What a trace shows is counted as it was, what it hides is named as hidden, and an estimate keeps its bounds."""
    folder, _, _, publication = fleet
    rows = shown(folder)
    bounded, hidden = rows.filter("bounded"), rows.filter(~pl.col("bounded"))
    jobs = publication.sql(
        "SELECT job_id, sum(allocated_mgpu_s)::bigint AS allocated, sum(active_mgpu_s)::bigint AS active, "
        "sum(unknown_mgpu_s)::bigint AS unknown, sum(parts)::bigint AS parts FROM silver_job_days GROUP BY job_id"
    ).to_pylist()
    check_equal(by_job(bounded, "allocated"), {job["job_id"]: job["allocated"] for job in jobs})
    check_equal(
        by_job(bounded.filter(~pl.col("is_measured")), "allocated"),
        {job["job_id"]: job["unknown"] for job in jobs if job["unknown"]},
    )
    whole = Counter({job["job_id"]: job["allocated"] for job in jobs}) + Counter(by_job(hidden, "allocated"))
    truth = pl.read_parquet(folder / "truth" / "jobs.parquet").select("job_name", "allocated_mgpu_s")
    check_equal({job: held for job, held in truth.iter_rows() if held}, dict(whole))
    assert hidden.height

    measured = by_job(bounded.filter("is_measured"), "active_mgpu_s")
    # Where attempts share a name, which one a mean measured is a guess, and may be wrong by all that the attempt held.
    guessed = by_job(bounded.filter("is_measured", "shares_its_name"), "allocated")
    spent = by_job(bounded, "active_mgpu_s")
    for job in jobs:
        # Each part is rounded once.
        slack = 0.51 * job["parts"] + guessed.get(job["job_id"], 0)
        assert abs(job["active"] - measured.get(job["job_id"], 0)) <= slack, job
        assert job["active"] - slack <= spent.get(job["job_id"], 0) <= job["active"] + job["unknown"] + slack, job
