"""Jobs: which held GPUs without using them, how long they ran and waited; and one job: what became of it, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gpulake.reading import jobs as reading
from gpulake.serve.drawn import held_by_day, spread_of
from gpulake.serve.listing import Column, Listing
from gpulake.serve.look import Look
from gpulake.serve.page import Filled, Page
from gpulake.serve.things import nothing_called, url_of
from gpulake.telling.sentences import job_advice, job_sentence, jobs_sentence, wait_sentence

_FILTERS = {"user": "user_id", "status": "job_status", "model": "gpu_model", "size": "size_class"}
"""What a visitor may ask for, and the column of it."""
_GROUPINGS = {"user": "user", "model": "gpu_model", "size": "size_class"}
"""Those that the distributions of the whole window are grouped by as well."""
_ORDERS = ("-idle_held_gpu_h", "-allocated_gpu_h", "-submitted_at", "job_id")
"""How jobs stand at first: by the first that the source can give."""
LONGEST_CHOICE = 200
"""Characters of what may be chosen from a list; what is longer can be asked for by its address."""


def of_job(look: Look, row: Mapping[str, Any]) -> str | None:
    """Where a job's name leads."""
    return url_of(look, "jobs", row["job_id"])


def of_user(look: Look, row: Mapping[str, Any]) -> str | None:
    """Where a user's name leads."""
    return url_of(look, "users", row["user_id"])


def of_machine(look: Look, row: Mapping[str, Any]) -> str | None:
    """Where a machine's name leads."""
    return url_of(look, "machines", row["machine_id"])


def of_day(look: Look, row: Mapping[str, Any]) -> str | None:
    """Where a day leads."""
    return look.url(f"/days/{look.cluster.written(row['dt'])}")


def jobs_of(
    look: Look, *, title: str, where: str, params: tuple[object, ...], rows: int = 25, lacks: Mapping[str, str]
) -> Listing:
    """The jobs of the range that fulfil a condition; those of the whole window where no range is asked for.

    A job belongs to the day on which it was submitted. `lacks`: columns that the source cannot give, left out.
    """
    columns = (
        Column("job_id", "job", link=of_job),
        Column("user_id", "user", link=of_user),
        Column("job_status", "status"),
        Column("gpu_request_count", "GPUs"),
        Column("allocated_gpu_h", "held"),
        Column("idle_held_gpu_h", "idle", bar="idle"),
        Column("efficiency_ratio", "in use, of measured"),
        Column("wait_s", "waited"),
        Column("run_s", "ran"),
        Column("cost_usd", "cost"),
        Column("submitted_at", f"submitted, {look.cluster.time_zone}"),
    )
    return Listing(
        look,
        name="jobs",
        title=title,
        table="gold_jobs",
        query=reading.listed_query(where=where, is_whole=look.is_whole),
        params=(look.cluster.cluster_id, *params, *(() if look.is_whole else (look.since, look.until))),
        columns=tuple(column for column in columns if column.name not in lacks),
        order=next(order for order in _ORDERS if order.removeprefix("-") not in lacks),
        rows_a_page=rows,
        key=("job_id",),
        empty="No job is like that. Take a condition away, or look at all days.",
        kind_of_row=lambda row: "odd" if row["job_status"] == "failed" else "",
    )


def run_times(look: Look, *, grouped_by: str, value: str, status: str | None) -> Listing:
    """How long the jobs of one group ran, by how they ended; over the whole window."""
    of_status = "and job_status = ?" if status else ""
    quantiles = ("run_p05_s", "run_p25_s", "run_p50_s", "run_p75_s", "run_p95_s", "run_max_s")
    return Listing(
        look,
        name="run",
        title="How long they ran",
        table="gold_runtime_distribution",
        query=f"""
            select job_status, jobs, jobs_without_run_s, {", ".join(quantiles)} from gold_runtime_distribution
            where cluster_id = ? and grouped_by = ? and value = ? {of_status}
        """,
        params=(look.cluster.cluster_id, grouped_by, value, *([status] if status else [])),
        columns=(
            Column("job_status", "status", link=lambda look, row: look.url(status=row["job_status"], jobs_page=None)),
            Column("jobs"),
            Column("jobs_without_run_s", "of them unknown"),
            Column("run_p05_s", "5 % within"),
            Column("run_p25_s", "25 %"),
            Column("run_p50_s", "half"),
            Column("run_p75_s", "75 %"),
            Column("run_p95_s", "95 %"),
            Column("run_max_s", "longest"),
        ),
        order="-jobs",
        empty="No run time is known of such jobs.",
        is_small=True,
    )


def _fill_jobs(look: Look) -> Filled:
    cluster = look.cluster.cluster_id
    asked = {name: value for name in _FILTERS if (value := look.asked.get(name))}
    lacks = look.not_recorded("gold_jobs")
    where = ["true", *(f"{_FILTERS[name]} = ?" for name in asked)]
    params = [*asked.values()]
    if begins := look.asked.get("job"):
        where.append("starts_with(job_id, ?)")
        params.append(begins)
    by = next((name for name in _GROUPINGS if name in asked), None)
    grouped_by, value = (_GROUPINGS[by], asked[by]) if by else ("all", "all")
    jobs = jobs_of(look, title="Jobs", where=" and ".join(where), params=tuple(params), lacks=lacks)
    wait = look.row(
        "select * from gold_queue_wait where cluster_id = ? and grouped_by = ? and value = ?",
        cluster,
        grouped_by,
        value,
    )
    offered = look.rows(
        """
        select distinct grouped_by, case when grouped_by = 'all' then job_status else value end as value
        from gold_runtime_distribution
        where cluster_id = ? and grouped_by in ('all', 'gpu_model', 'size_class') and value is not null
        order by grouped_by, value
        """,
        cluster,
    )
    kinds = {"status": ("status", "all"), "model": ("GPU model", "gpu_model"), "size": ("GPUs asked for", "size_class")}
    run = run_times(look, grouped_by=grouped_by, value=value, status=asked.get("status"))
    return {
        "sentence": jobs_sentence(jobs.count, jobs.rows[:1], is_first=jobs.page == 1, order=jobs.sorted_by[0]),
        "jobs": jobs,
        "asked": asked,
        "begins": begins or "",
        "choices": [
            (name, words, options)
            for name, (words, kind) in kinds.items()
            # A model "cpu" stands for jobs without one, which the size "cpu" finds.
            if (
                options := [
                    row["value"]
                    for row in offered
                    if row["grouped_by"] == kind
                    and (name, row["value"]) != ("model", "cpu")
                    and len(row["value"]) <= LONGEST_CHOICE
                ]
            )
        ],
        "has_users": "user_id" not in lacks,
        "of_whom": asked[by] if by else None,
        "is_narrower": not look.is_whole or len(asked) > (1 if by else 0) or bool(begins),
        "run": run,
        "run_chart": spread_of(
            run,
            title="How long do jobs run, by how they end?",
            quantiles=("run_p05_s", "run_p50_s", "run_p95_s"),
            noun="run time",
            subtitle="a bar from the 5th to the 95th percentile, a dot at the median; the whole window",
        ),
        "wait": wait,
        "lacks": lacks,
    }


def _fill_job(look: Look) -> Filled:
    cluster, name = look.cluster.cluster_id, look.named["job_id"]
    job = reading.job_row(look, name)
    if job is None:
        near = look.row(reading.NEAR, cluster, name, name) if name else None
        raise nothing_called(name, kind="job", look=look, near=near["name"] if near else None)
    lacks = {column: why for column, why in look.not_recorded("gold_jobs").items() if job.get(column) is None}
    flag = reading.verdict_on(look, job)
    days = Listing(
        look,
        name="days",
        title="Its days",
        table="gold_job_efficiency_daily",
        query=reading.DAYS,
        params=(cluster, name),
        columns=(
            Column("dt", "day", link=of_day),
            Column("allocated_gpu_h", "held", bar="active"),
            Column("active_gpu_h", "in use"),
            Column("idle_held_gpu_h", "idle"),
            Column("unknown_gpu_h", "not measured"),
            Column("efficiency_ratio", "in use, of measured"),
            Column("efficiency_low", "at least"),
            Column("efficiency_high", "at most"),
        ),
        order="dt",
        empty=f"No day of it is known: {job['gpu_h_reason']}." if job["gpu_h_reason"] else "It held no GPU on any day.",
        is_small=True,
    )
    costs = Listing(
        look,
        name="costs",
        title="What it cost, by day and pool",
        table="gold_cost_daily",
        query=reading.COSTS,
        params=(cluster, name),
        columns=(
            Column("dt", "day", link=of_day),
            Column("pool"),
            Column("allocated_gpu_h", "held"),
            Column("usd_per_gpu_h", "price of a GPU-h of capacity"),
            Column("price_label", "kind of price"),
            Column("cost_usd", "its share of the bill"),
            Column("price_reason", "why there is none"),
        ),
        order="dt",
        empty="It has no share of any bill.",
        is_small=True,
    )
    attempts = Listing(
        look,
        name="attempts",
        title="Its attempts and machines",
        table="silver_instances",
        query=reading.ATTEMPTS,
        params=(cluster, name),
        columns=(
            Column("task_id", "task"),
            Column("attempt_id", "attempt"),
            Column("machine_id", "machine", link=of_machine),
            Column("instance_status", "status", note="status_source"),
            Column("started_at", f"started, {look.cluster.time_zone}"),
            Column("ended_at", "ended"),
            Column("run_s", "ran"),
        ),
        order="started_at",
        empty="No attempt of it has landed.",
        is_small=True,
        kind_of_row=lambda row: "dim" if row["started_at"] is None or row["ended_at"] is None else "",
    )
    like = _waits_like(look, job)
    of_size = next((row for row in like.all_rows if row["grouped_by"] == "size_class"), None)
    return {
        "sentence": job_sentence(job),
        "wait_sentence": wait_sentence(job, like=of_size, free=_free_then(look, job)),
        "like": like,
        "advice": job_advice(job),
        "job": job,
        "keys": {
            table: {"cluster_id": look.cluster.cluster_id, "job_id": job["job_id"]}
            for table in ("gold_jobs", "gold_job_anomalies")
        },
        "user_url": of_user(look, job),
        "lacks": lacks,
        "flag": flag,
        "days": days,
        "days_chart": held_by_day(days, title="What became of the GPU-hours that it held?"),
        "costs": costs,
        "attempts": attempts,
    }


_OF_LIKE = {"all": "all jobs", "size_class": "as many GPUs", "gpu_model": "its GPU model", "user": "its user"}


def _waits_like(look: Look, job: Mapping[str, Any]) -> Listing:
    names = " ".join(f"when '{name}' then '{words}'" for name, words in _OF_LIKE.items())
    return Listing(
        look,
        name="like",
        title="How long jobs like it wait, whole window",
        table="gold_queue_wait",
        query=f"select *, case grouped_by {names} end as alike from ({reading.WAITS_LIKE})",
        params=(look.cluster.cluster_id, job["size_class"], job["gpu_model"], job["user_id"]),
        columns=(
            Column("alike", "alike in", of="grouped_by"),
            Column("value", "that is"),
            Column("jobs_submitted", "jobs"),
            Column("km_p50_s", "half start within"),
            Column("km_p90_s", "90 % within"),
            Column("jobs_never_started", "never started"),
        ),
        order="jobs_submitted",
        is_small=True,
        empty="No wait of such jobs is known.",
    )


def _free_then(look: Look, job: Mapping[str, Any]) -> Mapping[str, Any] | None:
    model, at = job["gpu_model"], job["submitted_at"]
    known = model is not None and at is not None
    return look.row(reading.FREE_THEN, look.cluster.cluster_id, model, at, at) if known else None


PAGE = Page(
    path="/jobs",
    title="Jobs",
    answers="Which jobs held GPUs without using them, and how long do jobs run and wait?",
    template="jobs.html",
    fill=_fill_jobs,
    place=30,
)
JOB = Page(
    path="/jobs/{job_id:path}",
    title="Job",
    answers="What did this job hold, use and cost, why did it wait, and how did it end?",
    template="job.html",
    fill=_fill_job,
)
