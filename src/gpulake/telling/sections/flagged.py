"""The days that stand out, each with what makes it so."""

from __future__ import annotations

from gpulake.reading.report import ClusterReport
from gpulake.telling.day_table import day_table
from gpulake.telling.sections import Section
from gpulake.telling.text import RULE
from gpulake.telling.words import FOREST_NOTE, driver_words, pct, ratio_pct

MOST_DAYS = 6
"""Days listed one by one in a terminal; a page lists them all."""


def _lines(cluster: ClusterReport) -> list[str]:
    if not cluster.flagged:
        return []
    shown = cluster.flagged[-MOST_DAYS:]
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
        lines += ["   ".join(figures), f"    {day.anomaly_reason or driver_words(day)}"]
    if len(shown) < len(cluster.flagged):
        lines.append(f"    and {len(cluster.flagged) - len(shown)} earlier ones")
    if "iforest" in cluster.detectors:
        lines.append(FOREST_NOTE)
    return lines


def _html(cluster: ClusterReport) -> str:
    if not cluster.flagged:
        return ""
    note = f'\n<p class="soft">{FOREST_NOTE}</p>' if "iforest" in cluster.detectors else ""
    return "<h2>Flagged days</h2>\n" + day_table(cluster, cluster.flagged, has_reason=True) + note


SECTION = Section(name="flagged", place=40, lines=_lines, html=_html)
