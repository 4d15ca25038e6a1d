"""One day: why it is flagged or not, its hours, where its GPU-hours and its money went, and who held them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import pyarrow.compute as pc

from gpulake.charts import Chart, Seen, series
from gpulake.reading import ranges
from gpulake.reading.scope import Cluster
from gpulake.serve.listing import Column, Listing
from gpulake.serve.look import Look
from gpulake.serve.page import Filled, Page
from gpulake.serve.pages.anomalies import named_link
from gpulake.serve.things import NotFoundError
from gpulake.telling.sentences import day_sentence

# What is seen of a day, with the columns of what was expected of it; the last two have no expectation.
METRICS = (
    ("avg_gpu_util", "mean use of all GPUs", ("expected_gpu_util", "expected_low", "expected_high")),
    (
        "allocated_gpu_util",
        "use of held GPUs",
        ("expected_allocated_gpu_util", "expected_allocated_low", "expected_allocated_high"),
    ),
    (
        "typical_job_gpu_util",
        "use by a typical job",
        ("expected_typical_gpu_util", "expected_typical_low", "expected_typical_high"),
    ),
    ("p95_gpu_util", "95th percentile of the machines' hours", ()),
    ("avg_cpu_util", "mean use of all CPUs", ()),
)

_DAYS = "select * from gold_cluster_util_daily_scored where cluster_id = ?"
"""All days: to read one takes as long, and the next visitor asks for another."""
_HOURS = """
    select
        hours.hour_start_at, hours.avg_gpu_util, hours.avg_gpu_util_low, hours.avg_gpu_util_high,
        hours.allocated_gpu_util, hours.coverage_ratio,
        hours.allocation_coverage_ratio, hours.allocated_gpu_h, scored.judgement, scored.anomaly_reason
    from gold_cluster_util_hourly as hours
    left join gold_cluster_hours_scored as scored
        on hours.cluster_id = scored.cluster_id and hours.hour_start_at = scored.hour_start_at and hours.dt = scored.dt
    where hours.cluster_id = ? and hours.dt = ?
"""
_JOBS = """
    select
        job_id, user_id, job_status, allocated_gpu_h, idle_held_gpu_h, efficiency_ratio, allocation_coverage_ratio
    from gold_job_efficiency_daily
    where cluster_id = ? and dt = ?
"""
_USERS = """
    select
        user_id, allocated_gpu_h, idle_held_gpu_h, efficiency_ratio, allocation_coverage_ratio, failed_gpu_h, jobs_submitted
    from gold_user_gpu_usage_daily
    where cluster_id = ? and dt = ?
"""
_MACHINES = """
    select
        machine_id, pool, gpu_count, allocated_gpu_h, idle_held_gpu_h, gpu_util_per_gpu_pct, gpu_util_per_gpu_low,
        gpu_util_per_gpu_high, cpu_util_pct, cpu_util_low, cpu_util_high, coverage_ratio
    from gold_machine_util_daily
    where cluster_id = ? and dt = ?
"""


_HELD_BY_HOUR = Seen("allocated_gpu_util", "use of held GPUs, %")


def _picture(look: Look, hours: Listing) -> Chart | None:
    """The hours of the day, those that are flagged marked; None where no use was measured."""
    rows = hours.read.sort_by("hour_start_at")
    if rows["allocated_gpu_util"].null_count == rows.num_rows:
        return None
    return series(
        rows, title="At which hours were held GPUs used?", seen=_HELD_BY_HOUR, mark="judgement", why="anomaly_reason",
        subtitle="diamonds: flagged hours", calendar=look.calendar,
    )  # fmt: skip


def _name(cluster: Cluster, dt: date) -> str:
    return f"{cluster.day(dt)}, a {dt:%A}," if cluster.has_weekdays else cluster.day(dt)


def _kind(row: Mapping[str, Any]) -> str:
    return {"anomaly": "odd", "not_judged": "dim"}.get(row["judgement"] or "", "")


def _fill(look: Look) -> Filled:
    cluster = look.cluster
    dt = cluster.read_day(look.named["day"], where=look.path[:200])
    first, last = cluster.first_day, cluster.last_day
    if first is None or last is None or not first <= dt <= last:
        known = f"choose {cluster.day(first)} to {cluster.day(last)}" if first and last else "nothing dates its records"
        raise NotFoundError(f"{cluster.day(dt)} is no day of {cluster.cluster_id}.", where=look.path[:200], do=known)
    one = (cluster.cluster_id, dt)
    range_of_one = (cluster.cluster_id, dt, dt)
    days = look.table(_DAYS, cluster.cluster_id)
    row = next(iter(days.filter(pc.field("dt") == dt).to_pylist()), None)
    hours = Listing(
        look,
        name="hours",
        title="Its hours",
        table="gold_cluster_util_hourly",
        query=_HOURS,
        params=one,
        columns=(
            Column("hour_start_at", "from"),
            Column("avg_gpu_util", "mean GPU use", bar="active", between=("avg_gpu_util_low", "avg_gpu_util_high")),
            Column("allocated_gpu_util", "use of held GPUs"),
            Column("allocated_gpu_h", "held"),
            Column("coverage_ratio", "measured, of all"),
            Column("allocation_coverage_ratio", "measured, of held"),
            Column("judgement"),
            Column("anomaly_reason", "why"),
        ),
        order="hour_start_at",
        is_small=True,
        kind_of_row=_kind,
        empty="No hour of this day has a figure.",
    )
    return {
        "dt": dt,
        "day": row,
        "keys": {"gold_cluster_util_daily_scored": {"cluster_id": cluster.cluster_id, "dt": dt.isoformat()}},
        "sentence": day_sentence(_name(cluster, dt), row),
        "metrics": METRICS,
        "picture": _picture(look, hours),
        "before": look.url(f"/days/{cluster.written(dt - timedelta(days=1))}") if dt > first else None,
        "after": look.url(f"/days/{cluster.written(dt + timedelta(days=1))}") if dt < last else None,
        "day_name": cluster.day,
        "one_day": timedelta(days=1),
        "range_url": lambda path: look.day_url(path, dt),
        "waste": look.row(ranges.waste_query(), *range_of_one),
        "costs": {each["is_idle"]: each for each in look.rows(ranges.COSTS.query(by=("is_idle",)), *range_of_one)},
        "no_price": look.row(
            "select any_value(price_reason) as why from gold_cost_daily where cluster_id = ? and dt = ? and cost_usd is null",
            *one,
        ),
        "hours": hours,
        "jobs": Listing(
            look,
            name="jobs",
            title="Jobs that held most",
            table="gold_job_efficiency_daily",
            query=_JOBS,
            params=one,
            columns=(
                Column("job_id", "job", link=named_link("jobs", "job_id")),
                Column("user_id", "user", link=named_link("users", "user_id")),
                Column("job_status", "status"),
                Column("allocated_gpu_h", "held"),
                Column("idle_held_gpu_h", "idle", bar="idle"),
                Column("efficiency_ratio", "in use, of measured"),
                Column("allocation_coverage_ratio", "measured"),
            ),
            key=("job_id",),
            order="-allocated_gpu_h",
            rows_a_page=10,
            empty="No job is known to have held a GPU on this day.",
        ),
        "users": Listing(
            look,
            name="users",
            title="Users who held most",
            table="gold_user_gpu_usage_daily",
            query=_USERS,
            params=one,
            columns=(
                Column("user_id", "user", link=named_link("users", "user_id")),
                Column("allocated_gpu_h", "held"),
                Column("idle_held_gpu_h", "idle", bar="idle"),
                Column("efficiency_ratio", "in use, of measured"),
                Column("allocation_coverage_ratio", "measured"),
                Column("failed_gpu_h", "held by jobs that failed"),
                Column("jobs_submitted", "jobs submitted"),
            ),
            order="-allocated_gpu_h",
            rows_a_page=10,
            empty="No user is known to have held a GPU on this day.",
        ),
        "machines": Listing(
            look,
            name="machines",
            title="Machines on which most sat idle",
            table="gold_machine_util_daily",
            query=_MACHINES,
            params=one,
            columns=(
                Column("machine_id", "machine", link=named_link("machines", "machine_id")),
                Column("pool", "GPU model"),
                Column("gpu_count", "GPUs"),
                Column("allocated_gpu_h", "held"),
                Column("idle_held_gpu_h", "idle", bar="idle"),
                Column("gpu_util_per_gpu_pct", "GPU use", between=("gpu_util_per_gpu_low", "gpu_util_per_gpu_high")),
                Column("cpu_util_pct", "CPU use", between=("cpu_util_low", "cpu_util_high")),
                Column("coverage_ratio", "measured"),
            ),
            order="-idle_held_gpu_h",
            rows_a_page=10,
            empty="No machine is known on this day: this source does not say where jobs ran, or nothing was measured.",
        ),
        "pools": Listing(
            look,
            name="pools",
            title="GPU models",
            table="gold_capacity_daily",
            query=ranges.CAPACITY.query(by=("pool",)),
            params=range_of_one,
            columns=(
                Column("pool", "GPU model"),
                Column("capacity_gpu_h", "capacity"),
                Column("down_gpu_h", "down"),
                Column("unallocated_gpu_h", "held by nobody"),
                Column("unknown_gpu_h", "held, not measured"),
                Column("idle_held_gpu_h", "held and idle", bar="idle"),
                Column("active_gpu_h", "in use", bar="active"),
            ),
            order="-capacity_gpu_h",
            is_small=True,
            empty="No capacity is known of this day.",
        ),
    }


PAGE = Page(
    path="/days/{day}",
    title="Day",
    answers="Why is this day unusual or not, and whose jobs, users and machines made it so?",
    template="day.html",
    fill=_fill,
    has_range=False,
)
