"""The whole cluster: what became of its GPU-hours, who holds them without using them, pools; and what `sections` tell beside."""

from __future__ import annotations

from collections.abc import Sequence

from gpulake.reading.fleet import Wasted, read_waste
from gpulake.reading.report import ClusterReport
from gpulake.reading.scope import Scope
from gpulake.telling.capacity import capacity_lines
from gpulake.telling.cells import shown, width
from gpulake.telling.lines import COLUMNS, Line, Note, heading, line, table, text_lines
from gpulake.telling.reports import Kind, Teller
from gpulake.telling.reports.waste import POOLS, USERS
from gpulake.telling.sections import Section, all_sections
from gpulake.telling.sentences import fleet_sentence
from gpulake.telling.text import RULE

MOST = 4


def _read(scope: Scope, _name: str | None) -> Wasted:
    return read_waste(scope, most=MOST)


def _sentence(found: Wasted, _teller: Teller) -> str:
    return fleet_sentence(found.waste, found.users)


def _lines(found: Wasted, teller: Teller) -> list[Line]:
    cluster = teller.scope.cluster
    lines = capacity_lines(found.waste, found.bill)
    if found.users:
        beside = f"{len(found.users)} of {found.users_all:,}" if found.users_all > len(found.users) else ""
        lines += [
            (),
            *heading("Who holds GPUs without using them", beside),
            *table(found.users, USERS, cluster=cluster),
        ]
    if len(found.pools) > 1:
        lines += [(), *heading("Pools"), *table(found.pools, POOLS, cluster=cluster)]
    return lines


_FIRST = 10
"""Sections of a lower place stand before where the GPU-hours went: what needs someone is read first."""


def sections_before(cluster: ClusterReport) -> list[Line]:
    """What the first sections tell of the whole window, each ended by an empty line."""
    return _sections(cluster, [section for section in all_sections() if section.place < _FIRST])


def sections_after(cluster: ClusterReport) -> list[Line]:
    """What the others tell, each begun by an empty line."""
    told = _sections(cluster, [section for section in all_sections() if section.place >= _FIRST])
    return [(), *told[:-1]] if told else []


def _sections(cluster: ClusterReport, sections: Sequence[Section]) -> list[Line]:
    told: list[Line] = []
    for section in sections:
        lines = list(section.lines(cluster))
        if len(lines) > 1 and lines[1] == RULE:
            told += heading(lines[0][:1].upper() + lines[0][1:])
            lines = lines[2:]
        for each in lines:
            # What is too wide goes on below, behind the words that begin it.
            indent = " " * (len(each) - len(each.lstrip()) + 4)
            told += (
                [line(each)]
                if width(shown(each)) <= COLUMNS
                else text_lines(each.strip(), first=indent[4:], rest=indent)
            )
        told += [()] if told and told[-1] else []
    return told


def _notes(_found: Wasted, teller: Teller) -> list[Note]:
    return [
        ("Where idle hours stand, with whom:", teller.command("report", "waste", keeps_range=True)),
        ("How long jobs wait:", teller.command("report", "queue", keeps_range=True)),
        ("Which days were unusual, and why:", teller.command("report", "anomalies", keeps_range=True)),
        ("Any table:", teller.command("sql", "select * from gold_cluster_util_daily_scored")),
        ("All of it, to click through:", teller.command("serve")),
    ]


KIND = Kind(
    name="fleet",
    answers="where the GPU-hours went, who holds them, what needs someone, what is unusual",
    title="Fleet",
    read=_read,
    sentence=_sentence,
    lines=_lines,
    notes=_notes,
    paths=lambda _name: ("/", "/anomalies", "/data"),
)
