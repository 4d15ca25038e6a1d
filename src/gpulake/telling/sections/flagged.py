"""The days that stand out, each with what makes it so, for every detector."""

from __future__ import annotations

from html import escape

from gpulake.reading.report import ClusterReport, Judge
from gpulake.telling.day_table import day_table
from gpulake.telling.sections import Section
from gpulake.telling.text import RULE
from gpulake.telling.words import by_whom, driver_words, pct, ratio_pct

MOST_DAYS = 6
"""Days listed one by one in a terminal; a page lists them all."""


def _lines(cluster: ClusterReport) -> list[str]:
    parts = [_judge_lines(cluster, judge) for judge in cluster.judges if judge.flagged]
    return [line for i, part in enumerate(parts) for line in (["", *part] if i else part)]


def _judge_lines(cluster: ClusterReport, judge: Judge) -> list[str]:
    shown = judge.flagged[-MOST_DAYS:]
    names = [cluster.day_name(day.dt) for day in shown]
    lines = [f"flagged days{by_whom(cluster, judge)}", RULE]
    for name, day in zip(names, shown, strict=True):
        figures = [
            name.ljust(max(map(len, names))),
            f"GPU {pct(day.avg_gpu_util)}",
            f"95th percentile {pct(day.p95_gpu_util)}",
            f"CPU {pct(day.avg_cpu_util)}",
            f"measured {ratio_pct(day.coverage_ratio, digits=0)}",
        ]
        lines += ["   ".join(figures), f"    {day.anomaly_reason or driver_words(day)}"]
    if len(shown) < len(judge.flagged):
        lines.append(f"    and {len(judge.flagged) - len(shown)} earlier ones")
    return [*lines, judge.counted.note]


def _html(cluster: ClusterReport) -> str:
    return "\n".join(
        f"<h2>Flagged days{escape(by_whom(cluster, judge))}</h2>\n"
        + day_table(cluster, judge.flagged, has_reason=True)
        + f'\n<p class="soft">{escape(judge.counted.note)}</p>'
        for judge in cluster.judges
        if judge.flagged
    )


SECTION = Section(name="flagged", place=40, lines=_lines, html=_html)
