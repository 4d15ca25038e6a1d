"""Health: which GPUs are sick, since when and how sure, whose jobs they hit, and what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gpulake.reading.health import Health, read_health
from gpulake.reading.scope import Scope
from gpulake.telling.health import health_sentence, lost_words, moved_words
from gpulake.telling.lines import Col, Line, Note, Part, Span, heading, line, meter, table, text_lines
from gpulake.telling.reports import Kind, Teller
from gpulake.telling.words import counted, ratio_pct

MOST_SICK, MOST_LOOK, MOST_INCIDENTS, MOST_MOVES = 8, 6, 6, 6
MOST_USERS, MOST_JOBS = 4, 3
_RELIABILITY = (
    Col("value", "machines"), Col("failures", "failures"), Col("node_days", "node-days"), Col("mtbf_h", "hours between"),
    Col("mtbf_low_h", "at least"), Col("mtbf_high_h", "at most"),
)  # fmt: skip
_SPIKES = (
    Col("dt", "day"), Col("event_class", "errors of"), Col("errors", "seen"), Col("expected_high", "expected at most"),
    Col("main_machine_id", "most on"),
)  # fmt: skip


def _read(scope: Scope, _name: str | None) -> Health:
    return read_health(scope, with_holders=True)


def _sentence(found: Health, _teller: Teller) -> str:
    return health_sentence(found)


def _lines(found: Health, teller: Teller) -> list[Line]:
    gpus = sum(found.counts.values())
    if not gpus:
        return []
    well, unknown = found.counts.get("well", 0), found.counts.get("unknown", 0)
    lines: list[Line] = [
        *meter(
            "GPUs well", [Part("active", well), Part("unknown", unknown)], of=gpus, figure=f"{well:,}",
            note=f"of {gpus:,}; {unknown:,} unknown (░)" if unknown else f"of {gpus:,}",
        )
    ]  # fmt: skip
    sick_now = [row for row in found.groups if row["verdict"] == "sick" and row["is_so_still"]]
    sick_then = [row for row in found.groups if row["verdict"] == "sick" and not row["is_so_still"]]
    looked_at = [row for row in found.groups if row["verdict"] == "look"]
    for title, rows, most in (
        (f"Sick on {teller.scope.cluster.day(teller.scope.until)}, the last day", sick_now, MOST_SICK),
        ("Sick before", sick_then, MOST_SICK),
        ("To look at", looked_at, MOST_LOOK),
    ):
        if rows:
            lines += [(), *heading(title, _of(min(len(rows), most), len(rows)))]
            for row in rows[:most]:
                lines += _gpus(row, teller)
    if found.alike:
        shown = found.alike[:MOST_INCIDENTS]
        lines += [(), *heading("Critical incidents, the latest first", _of(len(shown), found.there["alike"]))]
        for row in shown:
            lines += _incident(row, teller)
    if found.spikes:
        lines += [(), *heading("Days with more errors than their past lets expect", "")]
        lines += table(found.spikes[:MOST_INCIDENTS], _SPIKES, cluster=teller.scope.cluster)
    if found.moves:
        shown = found.moves[:MOST_MOVES]
        lines += [(), *heading("GPUs that are found elsewhere", _of(len(shown), found.there["moves"]))]
        for row in shown:
            lines += text_lines(moved_words(row, teller.text("moved_at", row["moved_at"])))
    if found.reliability:
        lines += [(), *heading("How often machines fail", "hours between failures, 95 % interval")]
        lines += table(found.reliability, _RELIABILITY, cluster=teller.scope.cluster)
    return lines


def _of(shown: int, there: int) -> str:
    return f"{shown} of {there:,}" if there > shown else ""


def _gpus(row: Mapping[str, Any], teller: Teller) -> list[Line]:
    cluster = teller.scope.cluster
    since = cluster.day(row["first_dt"])
    when = since if row["days"] == 1 else f"{counted(row['days'], 'day')} since {since}"
    seen = ratio_pct(row["sampled_s"] / row["expected_s"] if row["expected_s"] else None, digits=0)
    now = "" if row["is_so_still"] else f", {row['last_verdict']} on the last day"
    mark = Span("▲ ", "anomaly") if row["verdict"] == "sick" else Span("· ", "soft")
    name = f"{row['machine_id']} {'GPU' if row['gpus'] == 1 else 'GPUs'} {row['gpu_devices']}"
    lines = [
        line(mark, Span(name, "strong"), f"   {when}{now}, seen {seen} of it"),
        *text_lines(str(row["verdict_reason"]), first="  ", rest="  "),
    ]
    if row.get("holders"):
        lines += text_lines(_held_by(row["holders"]), first="  held by: ", rest="      ")
    if row["to_do"]:
        lines += text_lines(str(row["to_do"]), first="  do: ", rest="      ")
    return lines


def _held_by(holders: Sequence[Mapping[str, Any]]) -> str:
    """Jobs by user: ada (12, 13), bob (9)."""
    jobs: dict[str, dict[str, None]] = {}
    for each in holders:
        user = each["user_id"] if each["user_id"] is not None else "users not recorded"
        jobs.setdefault(user, {})[each["job_id"]] = None
    told = [
        f"{user} ({', '.join([*list(ids)[:MOST_JOBS], *(['…'] if len(ids) > MOST_JOBS else [])])})"
        for user, ids in jobs.items()
    ]
    more = len(told) - MOST_USERS
    return ", ".join(told[:MOST_USERS]) + (f" and {counted(more, 'more user')}" if more > 0 else "")


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
    sick = next((row for row in found.groups if row["verdict"] == "sick"), None)
    if sick is not None:
        day = teller.scope.cluster.written(sick["dt"])
        key = tuple(
            ("key", f"{name}={value}")
            for name, value in (
                ("cluster_id", teller.scope.cluster.cluster_id), ("dt", day),
                ("machine_id", sick["machine_id"]), ("gpu_device", sick["gpu_devices"].split(", ")[0]),
            )
        )  # fmt: skip
        told.append(
            (
                "Where the first verdict comes from:",
                teller.command("explain", "gold_gpu_health_daily", "verdict", options=key),
            )
        )
    failed = found.critical["last_failed_job_ids"]
    if failed:
        job = failed.split(", ")[0]
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
