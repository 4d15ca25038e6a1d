"""The days that stand out, each with what makes it so; beneath them what further detectors flag, to compare."""

from __future__ import annotations

from textwrap import wrap

from gpulake.reading.report import ClusterReport, Judge
from gpulake.telling.lines import COLUMNS as WIDTH
from gpulake.telling.sections import Section
from gpulake.telling.text import RULE
from gpulake.telling.words import counted, driver_words, pct, ratio_pct

MOST_DAYS = 6
"""Days listed one by one."""


def _lines(cluster: ClusterReport) -> list[str]:
    lines = _judge_lines(cluster, cluster.shown) if cluster.shown and cluster.shown.flagged else []
    for told in _others(cluster):
        lines += wrap(told, WIDTH, subsequent_indent="    ", break_on_hyphens=False)
    return lines


def _judge_lines(cluster: ClusterReport, judge: Judge) -> list[str]:
    shown = judge.flagged[-MOST_DAYS:]
    names = [cluster.day_name(day.dt) for day in shown]
    lines = ["flagged days", RULE]
    for name, day in zip(names, shown, strict=True):
        figures = [
            name.ljust(max(map(len, names))),
            f"GPU {pct(day.avg_gpu_util)}",
            f"95th percentile {pct(day.p95_gpu_util)}",
            f"CPU {pct(day.avg_cpu_util)}",
            f"measured {ratio_pct(day.coverage_ratio, digits=0)}",
        ]
        lines += wrap("  ".join(figures), WIDTH, subsequent_indent="    ", break_on_hyphens=False)
        reason = day.anomaly_reason or driver_words(day)
        lines += wrap(reason, WIDTH, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False)
    if len(shown) < len(judge.flagged):
        lines.append(f"    and {len(judge.flagged) - len(shown)} earlier ones")
    return [*lines, *wrap(judge.counted.note, WIDTH, break_on_hyphens=False)]


def _others(cluster: ClusterReport) -> list[str]:
    """A sentence for each further detector that flags anything."""
    return [
        f"to compare: {judge.name} flags {counted(judge.counted.flagged_rows, 'day')} "
        f"({', '.join(cluster.day_label(day.dt) for day in judge.flagged[-MOST_DAYS:])}). {judge.counted.note}"
        for judge in cluster.judges[1:]
        if judge.flagged
    ]


SECTION = Section(name="flagged", place=40, lines=_lines)
