"""Reports laid out for a terminal, COLUMNS wide: whose it is, a sentence, and what follows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gpulake.telling.cells import cut
from gpulake.telling.lines import COLUMNS, Line, Span, heading, line, notes, text_lines
from gpulake.telling.reports import Kind, Teller


def told(
    kind: Kind, found: Any, teller: Teller, *, name: str = "", before: Sequence[Line] = (), after: Sequence[Line] = ()
) -> list[Line]:
    """One report of one cluster; `found` is what the kind has read, `before` and `after` stand around what it lays out."""
    title = _title(kind, teller, name=name)
    sentence = text_lines(kind.sentence(found, teller), means="strong")
    return _without_gaps(
        [*title, (), *sentence, (), *before, *kind.lines(found, teller), *after, *_notes(kind, found, teller)]
    )


def _notes(kind: Kind, found: Any, teller: Teller) -> list[Line]:
    told = kind.notes(found, teller)
    return [(), *heading("Notes"), *notes(told)] if told else []


def _without_gaps(lines: Sequence[Line]) -> list[Line]:
    """The lines with one empty line where several follow each other, and none at the end."""
    kept = [each for place, each in enumerate(lines) if each or (place and lines[place - 1])]
    return kept if kept[-1] else kept[:-1]


def _title(kind: Kind, teller: Teller, *, name: str) -> list[Line]:
    """Whose report it is on the left, which days of which cluster, by which build on the right."""
    cluster, reader = teller.scope.cluster, teller.scope.reader
    whose = f"{kind.title} {name}" if name else kind.title
    days = f", {teller.scope.range_words}" if kind.is_ranged else ""
    which = f"{cluster.cluster_id}{days}, {cluster.time_zone}"
    build = f"build {reader.build_id} of {reader.published_at:%Y-%m-%d %H:%M} UTC"
    lines = [line(Span(cut(whose, COLUMNS), "strong")), *text_lines(f"{which}; {build}", means="soft")]
    outside = _outside(teller) if kind.is_ranged else ""
    return [*lines, *text_lines(outside, means="anomaly")] if outside else lines


def _outside(teller: Teller) -> str:
    """A word on a range that leaves the data."""
    scope, cluster = teller.scope, teller.scope.cluster
    if cluster.first_day is None or cluster.last_day is None:
        return ""
    if cluster.first_day <= scope.since <= scope.until <= cluster.last_day:
        return ""
    inside = scope.since <= cluster.last_day and scope.until >= cluster.first_day
    part = "Part of this range" if inside else "This range"
    return f"{part} is outside the data: days are known from {cluster.day(cluster.first_day)} to {cluster.day(cluster.last_day)}."
