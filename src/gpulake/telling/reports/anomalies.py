"""What is unusual: days against what was expected of them, hours, machines and jobs, each with its reason and the next step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gpulake.reading.people import near_users
from gpulake.reading.scope import Scope
from gpulake.reading.unusual import Unusual, read_unusual
from gpulake.telling.lines import Line, Note, Part, Span, heading, line, meter, text_lines
from gpulake.telling.reports import Kind, Teller
from gpulake.telling.sentences import days_sentence
from gpulake.telling.words import counted

MOST_DAYS, MOST_OTHERS = 8, 4


def _read(scope: Scope, user: str | None) -> Unusual | None:
    return read_unusual(scope, user=user)


def _sentence(found: Unusual, teller: Teller) -> str:
    judged = found.judged
    strangest = teller.scope.cluster.day(judged["strangest_day"]) if judged and judged["strangest_day"] else None
    return days_sentence(judged, strangest=strangest)


def _lines(found: Unusual, teller: Teller) -> list[Line]:
    lines: list[Line] = []
    judged = found.judged
    if judged and judged["days"]:
        lines += meter(
            "days flagged", [Part("anomaly", judged["flagged_days"]), Part("unknown", judged["not_judged_days"])],
            of=judged["days"], figure=f"{judged['flagged_days']:,}", note=f"of {judged['days']:,}",
        )  # fmt: skip
    if found.days:
        lines += [(), *heading("Flagged days, the strangest first", _of(found.there["days"], MOST_DAYS))]
        for row in found.days[:MOST_DAYS]:
            lines += _day(row, teller)
    for title, kind, rows, name in (
        ("Hours in which the whole fleet made a step", "hours", found.hours, ""),
        ("Machines that went another way than the others", "machines", found.machines, "machine_id"),
        ("Jobs unlike their user's earlier ones", "jobs", found.jobs, "job_id"),
    ):
        if rows:
            lines += [(), *heading(title, _of(found.there[kind], MOST_OTHERS))]
            for row in rows[:MOST_OTHERS]:
                lines += _other(row, name, teller)
    return [*lines]


def _of(there: int, most: int) -> str:
    return f"{most} of {there:,}" if there > most else ""


def _day(row: Mapping[str, Any], teller: Teller) -> list[Line]:
    figures = [f"seen {teller.text('seen_pct', row['seen_pct'])}"]
    if row["expected_pct"] is not None:
        figures.append(f"expected {teller.text('expected_pct', row['expected_pct'])}")
    if row["expected_low_pct"] is not None and row["expected_high_pct"] is not None:
        low, high = (
            teller.text(name, row[name], with_unit=False) for name in ("expected_low_pct", "expected_high_pct")
        )
        figures.append(f"({low} to {high})")
    figures.append(f"  measured {teller.text('coverage_ratio', row['coverage_ratio'])}")
    day = teller.text("dt", row["dt"])
    return [
        line(Span("▲ ", "anomaly"), Span(day, "strong"), f"   {' '.join(figures)}"),
        *text_lines(str(row["anomaly_reason"] or ""), first="  ", rest="  "),
    ]


def _other(row: Mapping[str, Any], name: str, teller: Teller) -> list[Line]:
    who = [Span(f"{teller.text(name, row[name])}   ", "strong")] if name else []
    if "start_at" in row:
        when = f"{teller.text('start_at', row['start_at'])} to {teller.text('end_at', row['end_at'])}, {counted(row['hours'], 'hour')}"
    else:
        user = row["user_id"] if row["user_id"] is not None else "not recorded"
        when = f"{teller.text('dt', row['dt'])}, user {user}, held {teller.text('allocated_gpu_h', row['allocated_gpu_h'])}"
    reason = str(row["anomaly_reason"] or "").removeprefix(f"{row[name]}: " if name else "")
    return [line(Span("▲ ", "anomaly"), *who, when), *text_lines(reason, first="  ", rest="  ")]


def _notes(found: Unusual, teller: Teller) -> list[Note]:
    told: list[Note] = []
    if found.days:
        day = teller.scope.cluster.written(found.days[0]["dt"])
        told.append(
            (
                "What that day's GPUs did, and for whom:",
                teller.command("report", "waste", options=(("since", day), ("until", day))),
            )
        )
        key = (
            ("key", f"cluster_id={teller.scope.cluster.cluster_id}"),
            ("key", f"dt={teller.text('dt', found.days[0]['dt'])}"),
        )
        told.append(
            (
                "Where its figures come from:",
                teller.command("explain", "gold_cluster_util_daily_scored", "seen", options=key),
            )
        )
    if found.jobs:
        told.append(("The strangest job:", teller.command("report", "job", found.jobs[0]["job_id"])))
    judge = next((row for row in found.judges if row["level"] == "cluster_day"), None)
    if judge:
        told.append((f"Days are judged by {judge['detector']}: {judge['note']}", None))
    else:
        told.append(
            ("Nothing has judged the days of this cluster: gpulake refresh does, where its GPU use is measured.", None)
        )
    return told


KIND = Kind(
    name="anomalies",
    answers="which days, hours, machines and jobs are unusual, against what, and how to go on",
    title="Anomalies",
    read=_read,
    near=near_users,
    sentence=_sentence,
    lines=_lines,
    notes=_notes,
    paths=lambda _name: ("/anomalies",),
    takes_user=True,
)
