"""The days that the shown detector cannot judge, and why."""

from __future__ import annotations

from textwrap import wrap

from gpulake.reading.report import ClusterReport, Judge
from gpulake.telling.lines import COLUMNS as WIDTH
from gpulake.telling.sections import Section
from gpulake.telling.text import RULE
from gpulake.telling.words import kept_flag, not_judged_words, shared_reason

MOST_DAYS = 6
"""Days listed one by one."""


def _lines(cluster: ClusterReport) -> list[str]:
    return _judge_lines(cluster, cluster.shown) if cluster.shown and cluster.shown.not_judged else []


def _judge_lines(cluster: ClusterReport, judge: Judge) -> list[str]:
    days = judge.not_judged
    lines = [f"not judged: {not_judged_words(judge)}", RULE]
    shared = shared_reason(days)
    if shared is not None:
        return [*lines, *wrap(f"all of them: {shared}", WIDTH, subsequent_indent="    ", break_on_hyphens=False)]
    names = [f"{cluster.day_name(day.dt)}{kept_flag(day)}" for day in days[:MOST_DAYS]]
    for name, day in zip(names, days, strict=False):
        lines += wrap(f"{name.ljust(max(map(len, names)))}   {day.anomaly_reason or 'no reason was given'}", WIDTH,
                      subsequent_indent="    ", break_on_hyphens=False)  # fmt: skip
    if len(days) > MOST_DAYS:
        lines.append(f"    and {len(days) - MOST_DAYS} more")
    return lines


SECTION = Section(name="not judged", place=50, lines=_lines)
