"""Machines: which are idle, which are busy, which were not observed; and one machine, its days and its jobs."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import quote

from gpulake.charts import Chart, Seen, machines_by_hour, series
from gpulake.reading import ranges
from gpulake.reading.fleet import FLEET
from gpulake.serve.listing import Column, Listing
from gpulake.serve.look import Look
from gpulake.serve.page import Filled, Page
from gpulake.serve.pages.jobs import LONGEST_CHOICE
from gpulake.serve.things import near_miss, nothing_called
from gpulake.telling.sentences import machine_sentence, machines_sentence

DAYS_BY_HOUR = 3
_GPU_USE = Seen(
    "gpu_util_per_gpu_pct",
    "GPU use, per GPU, %",
    at_least="gpu_util_per_gpu_low",
    at_most="gpu_util_per_gpu_high",
)
_POOL = "(? is null or pool = ?)"


def _machines(look: Look) -> Filled:
    days = (look.cluster.cluster_id, look.since, look.until)
    pool = look.asked.get("pool")
    by_machine = ranges.MACHINES.query(by=("machine_id", "pool", "gpu_count"), where=_POOL)
    machines = Listing(
        look,
        name="machines",
        title="Machines",
        table="gold_machine_util_daily",
        query=f"select * from ({by_machine})",
        params=(*days, pool, pool),
        columns=(
            Column("machine_id", "machine", link=lambda look, row: look.url(machine_path(row["machine_id"]))),
            Column("pool", "GPU model"),
            Column("gpu_count", "GPUs"),
            Column("idle_held_gpu_h", "held and idle", bar="idle"),
            Column("allocated_gpu_h", "held"),
            Column("unknown_gpu_h", "held, not measured"),
            Column("gpu_util_per_gpu_pct", "GPU use", between=("gpu_util_per_gpu_low", "gpu_util_per_gpu_high")),
            Column("cpu_util_pct", "CPU use", between=("cpu_util_low", "cpu_util_high")),
            Column("coverage_ratio", "observed"),
        ),
        order="-idle_held_gpu_h",
        empty="No machine was measured or held in this range.",
    )
    pools = look.rows(
        "select pool, count(distinct machine_id) as machines from gold_machine_util_daily where cluster_id = ? "
        "and pool is not null group by pool order by machines desc, pool",
        days[0],
    )
    fleet = look.row(FLEET, days[0])
    return {
        "machines": machines,
        "heat": _heat(look, machines),
        "pools": [row for row in pools if len(row["pool"]) <= LONGEST_CHOICE],
        "pool": pool,
        "fleet": fleet,
        "sentence": machines_sentence(fleet, machines.rows[:1] if machines.count else []),
    }


def _heat(look: Look, machines: Listing) -> Chart:
    """The machines of this page of the list, hour by hour, over the last days of the range."""
    since = max(look.since, look.until - timedelta(days=DAYS_BY_HOUR - 1))
    names = [row["machine_id"] for row in machines.rows]
    hours = look.table(
        # A join with the names would compute the hours of all machines first.
        "select machine_id, hour_start_at, gpu_util_weighted_pct from gold_machine_util_hourly "
        "where list_contains(?1::varchar[], machine_id) and cluster_id = ?2 and dt between ?3 and ?4 "
        "order by list_position(?1::varchar[], machine_id), hour_start_at",
        names,
        look.cluster.cluster_id,
        since,
        look.until,
    )
    days = f"{look.cluster.day(since)} to {look.cluster.day(look.until)}"
    return machines_by_hour(
        hours,
        title="How busy was each of these machines, hour by hour?",
        subtitle=days,
        value="gpu_util_weighted_pct",
        unit="GPU use, %",
        machines=machines.count,
        calendar=look.calendar,
    )


def _machine(look: Look) -> Filled:
    cluster, name = look.cluster.cluster_id, look.named["machine_id"]
    days = (cluster, look.since, look.until, name)
    known = look.row(
        "select machine_id, pool, gpu_model, gpu_model_source, gpu_count, cpu_cores, memory_bytes, valid_from, valid_to from silver_machines "
        "where cluster_id = ? and machine_id = ? order by valid_from desc nulls last limit 1",
        cluster,
        name,
    )
    summed = look.row(ranges.MACHINES.query(by=("machine_id", "pool", "gpu_count"), where="machine_id = ?"), *days)
    if known is None and summed is None:
        names = look.rows("select distinct machine_id from silver_machines where cluster_id = ?", cluster)
        near = near_miss(name, [row["machine_id"] for row in names])
        raise nothing_called(name, kind="machine", look=look, near=near)
    daily = Listing(
        look,
        name="days",
        title="Day by day",
        table="gold_machine_util_daily",
        query="select * from gold_machine_util_daily where cluster_id = ? and dt between ? and ? and machine_id = ?",
        params=days,
        columns=(
            Column("dt", "day", link=lambda look, row: look.url(f"/days/{look.cluster.written(row['dt'])}")),
            Column(
                "gpu_util_per_gpu_pct",
                "GPU use",
                bar="active",
                between=("gpu_util_per_gpu_low", "gpu_util_per_gpu_high"),
            ),
            Column("coverage_ratio", "observed"),
            Column("cpu_util_pct", "CPU use", between=("cpu_util_low", "cpu_util_high")),
            Column("allocated_gpu_h", "held"),
            Column("idle_held_gpu_h", "held and idle"),
            Column("unknown_gpu_h", "held, not measured"),
            Column(
                "main_job_id",
                "job that held most",
                link=lambda look, row: look.url(f"/jobs/{quote(row['main_job_id'], safe='')}"),
            ),
        ),
        order="-dt",
        is_small=True,
        empty="Nothing was measured or held on this machine in this range.",
    )
    flagged = Listing(
        look,
        name="flagged",
        title="Hours that stand out from its peers",
        table="gold_machine_anomalies",
        query="select * from gold_machine_anomalies where cluster_id = ? and dt between ? and ? and machine_id = ? "
        "and judgement = 'anomaly'",
        params=days,
        columns=(
            Column("hour_start_at", "hour"),
            Column("anomaly_driver", "figure"),
            Column("hours_in_a_row", "hours in a row"),
            Column("anomaly_reason", "why"),
        ),
        order="-hour_start_at",
        empty="No hour of this machine was flagged in this range.",
    )
    return {
        "known": known,
        "summed": summed,
        "daily": daily,
        "use": _use(look, daily),
        "flagged": flagged,
        "name": name,
        "sentence": machine_sentence(name, summed),
    }


def _use(look: Look, daily: Listing) -> Chart:
    return series(
        daily.read.select(["dt", *_GPU_USE.columns]).sort_by("dt"),
        title="How busy were its GPUs, day by day?",
        subtitle="upright bars: hold the truth nine times in ten"
        if daily.read["gpu_util_per_gpu_low"].drop_null()
        else "",
        seen=_GPU_USE,
        at="dt",
        step=timedelta(days=1),
        calendar=look.calendar,
    )


def machine_path(machine_id: str) -> str:
    """Where a machine's page is."""
    return f"/machines/{quote(machine_id, safe='')}"


MACHINES = Page(
    path="/machines",
    title="Machines",
    answers="Which machines sit idle while they are held, and which were not observed?",
    template="machines.html",
    fill=_machines,
    place=50,
)
MACHINE = Page(
    path="/machines/{machine_id:path}",
    title="Machine",
    answers="What did this machine do, day by day, and for whom?",
    template="machine.html",
    fill=_machine,
)
