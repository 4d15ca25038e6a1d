"""Where the GPU-hours went: classes that do not overlap and add up to the first."""

from __future__ import annotations

from textwrap import wrap

from gpulake.reading.report import ClusterReport
from gpulake.telling.sections import Section
from gpulake.telling.text import WIDTH, text_table
from gpulake.telling.words import Step, beside_waste, gpu_hours, measured_by, ratio_pct, waste_steps

BAR = 40
"""Columns of the first bar."""


def _lines(cluster: ClusterReport) -> list[str]:
    waste = cluster.waste
    if waste is None:
        return []
    rows = [
        [step.words, gpu_hours(step.gpu_h), ratio_pct(step.ratio), f"{_bar(step)} {step.lacks}".strip()]
        for step in waste_steps(waste)
    ]
    lines = text_table(["where the GPU-hours went", "", "", ""], rows, right={1, 2})
    for sentence in (*measured_by(waste), *beside_waste(waste)):
        lines += wrap(
            sentence, WIDTH, initial_indent="beside it  ", subsequent_indent="           ", break_on_hyphens=False
        )
    return lines


def _bar(step: Step) -> str:
    return "█" * round((step.ratio or 0.0) * BAR)


SECTION = Section(name="waste", place=15, lines=_lines)
