"""The days that no detector may judge, and why."""

from __future__ import annotations

from html import escape
from textwrap import wrap

from gpulake.reading.report import ClusterReport
from gpulake.telling.markup import WORDS, table
from gpulake.telling.sections import Section
from gpulake.telling.text import RULE, WIDTH
from gpulake.telling.words import counted, forest_flag, shared_reason

MOST_DAYS = 6
"""Days listed one by one in a terminal; a page lists them all."""


def _lines(cluster: ClusterReport) -> list[str]:
    days = cluster.not_judged
    if not days:
        return []
    lines = [f"not judged: {counted(len(days), 'day')}", RULE]
    shared = shared_reason(days)
    if shared is not None:
        return [*lines, f"all of them: {shared}"]
    names = [f"{cluster.day_name(day.dt)}{forest_flag(day)}" for day in days[:MOST_DAYS]]
    for name, day in zip(names, days, strict=False):
        lines += wrap(f"{name.ljust(max(map(len, names)))}   {day.anomaly_reason or 'no reason was given'}", WIDTH,
                      subsequent_indent="    ", break_on_hyphens=False)  # fmt: skip
    if len(days) > MOST_DAYS:
        lines.append(f"    and {len(days) - MOST_DAYS} more")
    return lines


def _html(cluster: ClusterReport) -> str:
    days = cluster.not_judged
    if not days:
        return ""
    shared = shared_reason(days)
    if shared is not None:
        return f"<h2>Not judged</h2>\n<p>{counted(len(days), 'day')}: {escape(shared)}.</p>"
    rows = [[cluster.day_name(day.dt) + forest_flag(day), day.anomaly_reason or ""] for day in days]
    return "<h2>Not judged</h2>\n" + table([("day", ""), ("why", WORDS)], rows)


SECTION = Section(name="not judged", place=50, lines=_lines, html=_html)
