"""Where the GPU-hours went: classes that do not overlap and add up to the first."""

from __future__ import annotations

from html import escape

from gpulake.reading.report import ClusterReport
from gpulake.telling.markup import themed
from gpulake.telling.pictures.waterfall import waterfall_svg
from gpulake.telling.sections import Section
from gpulake.telling.text import text_table
from gpulake.telling.words import counted, gpu_hours, ratio_pct, waste_headline, waste_steps

BAR = 40
"""Columns of the first bar."""


def _lines(cluster: ClusterReport) -> list[str]:
    waste = cluster.waste
    if waste is None:
        return []
    rows = [
        [step.words, gpu_hours(step.gpu_h), ratio_pct(step.ratio), "█" * round((step.ratio or 0.0) * BAR)]
        for step in waste_steps(waste)
    ]
    lines = text_table(["where the GPU-hours went", "", "", ""], rows, right={1, 2})
    if waste.unbounded_spans:
        lines.append(
            f"beside it  {counted(waste.unbounded_spans, 'attempt')} with GPUs lack a start or an end: not counted"
        )
    if waste.over_allocated_gpu_h:
        lines.append(
            f"beyond it  {gpu_hours(waste.over_allocated_gpu_h)} were held above what machines have: a fault of the data"
        )
    return lines


def _html(cluster: ClusterReport) -> str:
    waste = cluster.waste
    if waste is None:
        return ""
    beside = []
    if waste.unbounded_spans:
        beside.append(
            f"{counted(waste.unbounded_spans, 'attempt')} with GPUs lack a start or an end and are not counted."
        )
    if waste.over_allocated_gpu_h:
        beside.append(
            f"{gpu_hours(waste.over_allocated_gpu_h)} were held above what machines have: a fault of the data."
        )
    svg = themed(waterfall_svg(cluster), label=waste_headline(cluster))
    return (
        "<h2>Where the GPU-hours went</h2>\n"
        f"<figure>\n{svg}\n<figcaption>The classes do not overlap and add up to the first bar. "
        f"{escape(' '.join(beside))}</figcaption>\n</figure>"
    )


SECTION = Section(name="waste", place=30, lines=_lines, html=_html)
