"""One job: what it held, used, cost and waited for, how it ended, whether its GPUs were well, and what its owner could change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gpulake.reading.health import JobHealth, read_job_health
from gpulake.reading.jobs import OneJob, near_jobs, read_job
from gpulake.reading.scope import Scope
from gpulake.telling.health import job_health_sentence
from gpulake.telling.held import use_meters
from gpulake.telling.lines import Col, Line, Note, Part, facts, heading, meter, table, text_lines
from gpulake.telling.reports import Kind, Teller, page_of
from gpulake.telling.sentences import job_advice, job_sentence
from gpulake.telling.words import counted

MOST_DAYS, MOST_ATTEMPTS, MOST_GPUS = 7, 8, 8


@dataclass(frozen=True)
class Told(OneJob):
    """The job, and how the GPUs that it held were meanwhile."""

    health: JobHealth


def _read(scope: Scope, name: str | None) -> Told | None:
    found = read_job(scope, name or "")
    if found is None:
        return None
    return Told(**vars(found), health=read_job_health(scope, found.job["job_id"]))


def _sentence(found: Told, _teller: Teller) -> str:
    return job_sentence(found.job)


def _lines(found: Told, teller: Teller) -> list[Line]:
    job = found.job
    return [
        *facts(_facts(job, teller)),
        (),
        *heading("What it held, and used of it", teller.text("allocated_gpu_h", job["allocated_gpu_h"])),
        *(
            use_meters(job, teller)
            or text_lines("What it held is not known." if job["allocated_gpu_h"] is None else "No GPU.")
        ),
        *_more_meters(job, teller),
        *_health(found.health, teller),
        *_days(found, teller),
        *_attempts(found, teller),
    ]


def _facts(job: Mapping[str, Any], teller: Teller) -> list[tuple[str, str]]:
    def known(column: str, words: str = "not recorded") -> str:
        return words if job[column] is None else teller.text(column, job[column])

    status = known("job_status")
    if job["status_source"] is not None and job["status_source"].lower() != status:
        status += f" ({job['status_source']})"
    gpus = "none" if job["size_class"] == "cpu" else known("gpu_request_count")
    if gpus != "none" and job["gpu_model"] is not None:
        gpus += f" × {job['gpu_model']}"
    machines = known("machines_used", "")
    if machines and job["machines_needed"] and job["machines_needed"] < job["machines_used"]:
        machines += f" ({job['machines_needed']:,} would do)"
    return [
        ("user", known("user_id")),
        ("submitted", known("submitted_at")),
        ("status", status),
        ("started", known("started_at", "not known")),
        ("end reason", known("end_reason", "")),
        ("ended", known("ended_at", "not known")),
        ("GPUs", gpus),
        ("waited", known("wait_s", "not known")),
        ("machines", machines),
        ("ran", known("run_s", "not known")),
        ("queue", known("queue", "")),
        ("group", known("group_id", "")),
        ("cost", known("cost_usd", "not known")),
        ("zone", teller.scope.cluster.time_zone),
    ]


def _more_meters(job: Mapping[str, Any], teller: Teller) -> list[Line]:
    lines: list[Line] = []
    asked, used = job["gpu_request_count"], job["gpu_used_count_max"]
    if asked and used is not None:
        lines += meter(
            "used at most", [Part("active", used)], of=asked, figure=f"{used:,.3g}", note=f"GPUs, of {asked:,.3g}",
        )  # fmt: skip
    if job["gpu_mem_ratio"] is not None:
        lines += meter(
            "GPU memory", [Part("active", job["gpu_mem_ratio"])],
            figure=teller.text("gpu_mem_ratio", job["gpu_mem_ratio"]), note="at its fullest",
        )  # fmt: skip
    return lines


def _health(found: JobHealth, teller: Teller) -> list[Line]:
    if not found.gpus and not found.incidents:
        return []
    gpus, incidents = found.unwell[:MOST_GPUS], found.incidents[:MOST_GPUS]
    lines: list[Line] = [(), *heading("Its GPUs' health", ""), *text_lines(job_health_sentence(found))]
    if gpus:
        columns = (
            Col("machine_id", "machine"),
            Col("gpu_device", "GPU"),
            Col("verdict", "at its worst"),
            Col("verdict_reason", "why"),
        )
        lines += table(gpus, columns, cluster=teller.scope.cluster)
    if incidents:
        columns = (
            Col("started_at", "when"),
            Col("machine_id", "machine"),
            Col("gpu_devices", "GPUs"),
            Col("event_names", "errors"),
        )
        lines += table(incidents, columns, cluster=teller.scope.cluster)
    more = [(len(found.unwell) - len(gpus), "more GPU"), (len(found.incidents) - len(incidents), "more incident")]
    left = [counted(count, word) for count, word in more if count > 0]
    return [*lines, *text_lines(f"And {' and '.join(left)}.")] if left else lines


def _days(found: OneJob, teller: Teller) -> list[Line]:
    if len(found.days) < 2:
        return []
    shown: Sequence[Mapping[str, Any]] = found.days[-MOST_DAYS:]
    more = len(found.days) - len(shown)
    return [
        (),
        *heading("Its days", f"the last {len(shown)} of {len(found.days)}" if more else ""),
        *table(
            shown,
            (
                Col("dt", "day"), Col("allocated_gpu_h", "held"), Col("active_gpu_h", "in use"),
                Col("idle_held_gpu_h", "idle", bar="idle_held"), Col("unknown_gpu_h", "not measured"),
                Col("efficiency_ratio", "in use"),
            ),
            cluster=teller.scope.cluster,
            lacks=found.lacks,
        ),
    ]  # fmt: skip


def _attempts(found: OneJob, teller: Teller) -> list[Line]:
    shown = found.attempts[:MOST_ATTEMPTS]
    if not shown:
        return []
    more = found.attempts_all - len(shown)
    columns = [
        Col("machine_id", "machine"), Col("task_id", "task"), Col("instance_status", "status"),
        Col("started_at", "started"), Col("ended_at", "ended"), Col("run_s", "ran"),
    ]  # fmt: skip
    lacks = {column.name for column in columns[:2] if all(row[column.name] is None for row in shown)}
    return [
        (),
        *heading("Its attempts", f"the first {len(shown)} of {found.attempts_all:,}" if more else ""),
        *table(shown, columns, cluster=teller.scope.cluster, lacks=tuple(lacks)),
    ]


def _notes(found: Told, teller: Teller) -> list[Note]:
    job = found.job
    told: list[Note] = [(each, None) for each in job_advice(job)]
    lost = next((row for row in found.health.incidents if row["is_lost"] and row["to_do"]), None)
    if lost is not None:
        told.append((f"What to do about the error that it failed by: {lost['to_do']}", None))
    if found.verdict and found.verdict["judgement"] == "anomaly":
        told.append((f"Unusual for its user: {found.verdict['anomaly_reason']}", None))
    for column, words in (("gpu_h_reason", "Its GPU-hours"), ("cost_reason", "Its cost")):
        if job[column] and not (column == "cost_reason" and job[column] == job["gpu_h_reason"]):
            part = (
                "are known in part" if column == "gpu_h_reason" and job["allocated_gpu_h"] is not None else "not known"
            )
            part = "is not known" if column == "cost_reason" else part if part.startswith("are") else "are not known"
            told.append((f"{words} {part}: {job[column]}.", None))
    if job["wait_s"]:
        told.append(("Is that wait usual?", teller.command("report", "queue")))
    if job["user_id"]:
        told.append(("All that its user holds:", teller.command("report", "user", job["user_id"])))
    key = (("key", f"cluster_id={teller.scope.cluster.cluster_id}"), ("key", f"job_id={job['job_id']}"))
    explain = teller.command("explain", "gold_jobs", "efficiency_ratio", options=key)
    told.append(("Where a figure comes from:", explain))
    return told


KIND = Kind(
    name="job",
    answers="what one job held, used, cost and waited for, whether its GPUs were well, and what to change",
    takes="ID",
    title="Job",
    read=_read,
    near=near_jobs,
    sentence=_sentence,
    lines=_lines,
    notes=_notes,
    paths=lambda name: (page_of("jobs", name),),
    is_ranged=False,
)
