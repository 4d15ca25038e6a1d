"""Health: which GPUs are sick, since when and how sure, whose jobs they hit, and what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gpulake.reading.health import Health, read_health
from gpulake.reading.scope import Scope
from gpulake.telling.health import health_sentence, lost_words
from gpulake.telling.lines import Col, Line, Note, Part, Span, heading, line, meter, table, text_lines
from gpulake.telling.reports import Kind, Teller
from gpulake.telling.words import counted, ratio_pct

MOST_SICK, MOST_LOOK, MOST_INCIDENTS = 8, 6, 6
_RELIABILITY = (
    Col("value", "machines"), Col("failures", "failures"), Col("node_days", "node-days"), Col("mtbf_h", "hours between"),
    Col("mtbf_low_h", "at least"), Col("mtbf_high_h", "at most"),
)  # fmt: skip
_SPIKES = (
    Col("dt", "day"), Col("event_class", "errors of"), Col("errors", "seen"), Col("expected_high", "expected at most"),
    Col("main_machine_id", "most on"),
)  # fmt: skip


def _read(scope: Scope, _name: str | None) -> Health:
    return read_health(scope)


def _sentence(found: Health, _teller: Teller) -> str:
    return health_sentence(found)


def _lines(found: Health, teller: Teller) -> list[Line]:
    gpus = sum(found.counts.values())
    if not gpus:
        return []
    sick, look, unknown = (found.counts.get(verdict, 0) for verdict in ("sick", "look", "unknown"))
    well = found.counts.get("well", 0)
    lines: list[Line] = [
        *meter(
            "GPUs well", [Part("active", well), Part("unknown", unknown)], of=gpus, figure=f"{well:,}",
            note=f"of {gpus:,}; {unknown:,} unknown (░)" if unknown else f"of {gpus:,}",
        )
    ]  # fmt: skip
    for title, verdict, of, most in (("Sick", "sick", sick, MOST_SICK), ("Look at", "look", look, MOST_LOOK)):
        if of:
            rows = [row for row in found.gpus if row["verdict"] == verdict][:most]
            lines += [(), *heading(title, _of(len(rows), of))]
            for row in rows:
                lines += _gpu(row, found.incidents if verdict == "sick" else (), teller)
    if found.alike:
        shown = found.alike[:MOST_INCIDENTS]
        lines += [(), *heading("Critical incidents, the latest first", _of(len(shown), len(found.alike)))]
        for row in shown:
            lines += _incident(row, teller)
    if found.spikes:
        lines += [(), *heading("Days with more errors than their past lets expect", "")]
        lines += table(found.spikes[:MOST_INCIDENTS], _SPIKES, cluster=teller.scope.cluster)
    groups = [row for row in found.reliability if row["grouped_by"] in {"all", "gpu_model"}]
    if groups:
        lines += [(), *heading("How often machines fail", "hours between failures, 95 % interval")]
        lines += table(groups, _RELIABILITY, cluster=teller.scope.cluster)
    return lines


def _of(shown: int, there: int) -> str:
    return f"{shown} of {there:,}" if there > shown else ""


def _gpu(row: Mapping[str, Any], incidents: Sequence[Mapping[str, Any]], teller: Teller) -> list[Line]:
    cluster = teller.scope.cluster
    since = cluster.day(row["first_dt"])
    when = since if row["days"] == 1 else f"{counted(row['days'], 'day')} since {since}"
    seen = ratio_pct(row["sampled_s"] / row["expected_s"] if row["expected_s"] else None, digits=0)
    now = f", {row['last_verdict']} since" if row["last_verdict"] != row["verdict"] else ""
    mark = Span("▲ ", "anomaly") if row["verdict"] == "sick" else Span("· ", "soft")
    lines = [
        line(
            mark, Span(f"{row['machine_id']} GPU {row['gpu_device']}", "strong"), f"   {when}{now}, seen {seen} of it"
        ),
        *text_lines(str(row["verdict_reason"]), first="  ", rest="  "),
    ]
    hit = [
        one
        for one in incidents
        if one["machine_id"] == row["machine_id"] and row["gpu_device"] in str(one["gpu_devices"]).split(", ")
    ]
    jobs = dict.fromkeys(job for one in hit if one["job_ids"] for job in one["job_ids"].split(", "))
    if jobs:
        lines += text_lines(f"jobs: {', '.join(jobs)}", first="  ", rest="  ")
    todo = next((one["to_do"] for one in hit if one["severity"] == "critical"), None) or row["to_do"]
    if todo:
        lines += text_lines(str(todo), first="  do: ", rest="      ")
    return lines


def _incident(row: Mapping[str, Any], teller: Teller) -> list[Line]:
    where = f" GPU {row['gpu_devices']}" if row["gpu_devices"] else ""
    times = f"  {row['times']} times" if row["times"] > 1 else ""
    lines = [
        line(
            Span(f"{teller.text('started_at', row['started_at'])}  ", "soft"),
            Span(f"{row['machine_id']}{where}", "strong"),
            f"  {row['event_names']}{times}",
        )
    ]
    if row["jobs_failed"]:
        lines += text_lines(f"ended {row['failed_job_ids']}: {lost_words(row['lost_gpu_h'])}", first="  ", rest="  ")
    elif row["job_ids"]:
        lines += text_lines(f"jobs there: {_names(row['job_ids'])}; none failed", first="  ", rest="  ")
    return lines


def _names(texts: str) -> str:
    """Each name once."""
    return ", ".join(dict.fromkeys(texts.split(", ")))


def _notes(found: Health, teller: Teller) -> list[Note]:
    told: list[Note] = []
    sick = next((row for row in found.gpus if row["verdict"] == "sick"), None)
    if sick is not None:
        day = teller.scope.cluster.written(sick["dt"])
        key = tuple(
            ("key", f"{name}={value}")
            for name, value in (
                ("cluster_id", teller.scope.cluster.cluster_id), ("dt", day),
                ("machine_id", sick["machine_id"]), ("gpu_device", sick["gpu_device"]),
            )
        )  # fmt: skip
        told.append(
            (
                "Where the first verdict comes from:",
                teller.command("explain", "gold_gpu_health_daily", "verdict", options=key),
            )
        )
    failed = next((row for row in found.incidents if row["failed_job_ids"]), None)
    if failed is not None:
        job = failed["failed_job_ids"].split(", ")[0]
        told.append(("What the last job that was lost had done:", teller.command("report", "job", job)))
    if found.counts.get("unknown"):
        told.append(("Unknown is not well: too little was seen of those GPUs to say anything.", None))
    if found.reliability:
        told.append(
            ("Failures often come in bursts, which these intervals know nothing of: they are too narrow then.", None)
        )
    return told


KIND = Kind(
    name="health",
    answers="which GPUs are sick, since when, how sure, whose jobs they hit, and what to do",
    title="GPU health",
    read=_read,
    sentence=_sentence,
    lines=_lines,
    notes=_notes,
    paths=lambda _name: ("/health",),
)
