"""What landed, table by table, and what was refused."""

from __future__ import annotations

from textwrap import wrap

from gpulake.reading.report import ClusterReport
from gpulake.telling.lines import COLUMNS as WIDTH
from gpulake.telling.sections import Section
from gpulake.telling.text import text_table


def _lines(cluster: ClusterReport) -> list[str]:
    if not cluster.landed:
        return []
    lines = text_table(
        ["what landed", "files", "rows", "kept", "refused", "layout"],
        [
            [
                landed.table_name,
                f"{landed.files:,}",
                f"{landed.rows_in:,}",
                f"{landed.rows_kept:,}",
                f"{landed.rows_refused:,}",
                landed.layouts,
            ]
            for landed in cluster.landed
        ],
        right={1, 2, 3, 4},
        columns=WIDTH,
    )
    shown = cluster.refused[:5]
    lines += [f"  refused: {refused.rows:,} × {refused.reason} ({refused.table_name})" for refused in shown]
    hidden_rows = sum(refused.rows for refused in cluster.refused[len(shown) :])
    if hidden_rows:
        lines.append(f"  refused: {hidden_rows:,} more for other reasons (select * from meta.quarantine)")
    shown_values = cluster.implausible[:5]
    for each in shown_values:
        told = f"  not believed: {each.values:,} × {each.reason} ({each.table_name})"
        lines += wrap(told, WIDTH, subsequent_indent="    ", break_on_hyphens=False)
    hidden_values = sum(each.values for each in cluster.implausible[len(shown_values) :])
    if hidden_values:
        lines.append(f"  not believed: {hidden_values:,} more implausible values (select * from gold_quarantine_daily)")
    return lines


SECTION = Section(name="landed", place=55, lines=_lines)
