"""What cannot be computed, and for want of what."""

from __future__ import annotations

from itertools import groupby
from textwrap import wrap

from gpulake.reading.report import ClusterReport
from gpulake.telling.lines import COLUMNS as WIDTH
from gpulake.telling.sections import Section
from gpulake.telling.text import RULE

MOST_REASONS = 3
"""Things a source never records that are listed with their columns."""


def _lines(cluster: ClusterReport) -> list[str]:
    lines: list[str] = []
    shown = list(cluster.unavailable)
    reasons = dict.fromkeys(gap.why for gap in shown if gap.missing_table is None)
    if len(reasons) > MOST_REASONS:
        shown = [gap for gap in shown if gap.missing_table]
        lines += [line for why in reasons for line in wrap(f"{why}.", WIDTH, subsequent_indent="    ")]
        lines.append('Which columns: gpulake sql "from gold_availability where not available"')
    for why, gaps in groupby(shown, key=lambda gap: gap.why):
        lines += wrap(f"{why.removesuffix('.')}, so these are empty", WIDTH, break_on_hyphens=False)
        for gap in gaps:
            lines += wrap(f"{gap.table_name}: {', '.join(gap.columns)}", WIDTH, initial_indent="  ",
                          subsequent_indent="    ", break_on_hyphens=False)  # fmt: skip
    return ["cannot be computed", RULE, *lines] if lines else []


SECTION = Section(name="unavailable", place=60, lines=_lines)
