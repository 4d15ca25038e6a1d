"""The queue: how long jobs wait, by what they ask for and by whom; those that never started count for as long as they waited."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gpulake.reading.people import near_users
from gpulake.reading.scope import Scope
from gpulake.reading.waits import Queue, read_queue
from gpulake.telling.lines import Col, Line, Note, facts, heading, table
from gpulake.telling.reports import Kind, Teller
from gpulake.telling.sentences import queue_sentence

MOST_DAYS = 7
_FIGURES = (
    Col("jobs_submitted", "jobs"),
    Col("jobs_never_started", "never started", bar="idle_held"),
    Col("km_p50_s", "half start within"),
    Col("km_p90_s", "90 % within"),
    Col("wait_p90_s", "90 % of started"),
    Col("km_p99_s", "99 % within"),
)


def _read(scope: Scope, user: str | None) -> Queue | None:
    return read_queue(scope, user=user)


def _sentence(found: Queue, _teller: Teller) -> str:
    return queue_sentence(found.wait)


def _lines(found: Queue, teller: Teller) -> list[Line]:
    wait = found.wait
    lines: list[Line] = []
    if wait is not None and wait["jobs_submitted"]:
        lines += facts([
            ("jobs", teller.text("jobs_submitted", wait["jobs_submitted"])),
            ("never began", teller.text("jobs_never_started", wait["jobs_never_started"])),
            *((words, teller.text(column, wait[column])) for column, words in (
                ("km_p50_s", "half within"), ("wait_p50_s", "of started"), ("km_p90_s", "90 % within"), ("wait_p90_s", "of started"),
                ("km_p99_s", "99 % within"), ("wait_p99_s", "of started"),
            )),
        ])  # fmt: skip
    for title, words, rows, more in (
        ("By GPUs asked for", "GPUs", found.sizes, 0),
        ("By GPU model", "GPU model", found.models, 0),
        ("By user", "user", found.users, found.users_all - len(found.users)),
    ):
        if len(rows) > 1:
            beside = f"those with the most jobs, of {found.users_all:,}" if more else ""
            lines += [(), *heading(title, beside), *_groups(rows, words, teller)]
    return [*lines, *_days(found, teller)]


def _groups(rows: Sequence[Mapping[str, Any]], words: str, teller: Teller) -> list[Line]:
    return table(rows, (Col("value", words), *_FIGURES), cluster=teller.scope.cluster)


def _days(found: Queue, teller: Teller) -> list[Line]:
    shown = found.days[-MOST_DAYS:]
    if len(shown) < 2:
        return []
    more = f"the last {len(shown)} of {len(found.days)}" if len(found.days) > len(shown) else ""
    columns = (Col("dt", "day"), *_FIGURES)
    return [(), *heading("By day of submission", more), *table(shown, columns, cluster=teller.scope.cluster)]


def _notes(found: Queue, teller: Teller) -> list[Note]:
    told: list[Note] = [
        (
            (
                "“Within” is of all jobs: one that never started counts for as long as it waited. A dash: so many have not "
                "started that the wait is longer than can be told. “Of started” leaves them out, and so is too short."
            ),
            None,
        )
    ]
    if not found.is_day and not teller.scope.is_whole:
        told.append(
            ("Waits of several days cannot be had from those of each: by group they are of the whole window.", None)
        )
    told += [(f"Not told by {words}: {found.lacks[name]}", None) for name, words in (("gpu_model", "GPU model"), ("user_id", "user"))
             if name in found.lacks]  # fmt: skip
    if len(found.users) > 1 and found.users[0]["value"] is not None:
        told.append(
            ("Whose jobs wait:", teller.command("report", "queue", options=(("user", found.users[0]["value"]),)))
        )
    told.append(("What was free meanwhile:", teller.command("report", "waste", keeps_range=True)))
    return told


KIND = Kind(
    name="queue",
    answers="how long jobs wait, by size, model, user and day",
    title="Queue",
    read=_read,
    near=near_users,
    sentence=_sentence,
    lines=_lines,
    notes=_notes,
    paths=lambda _name: ("/queue",),
    takes_user=True,
)
