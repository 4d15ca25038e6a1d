"""How text is laid out for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

WIDTH = 100
"""Columns that the terminal's texts are laid out for, but for reports."""

RULE = "─" * 64


def text_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, right: set[int], columns: int = WIDTH
) -> list[str]:
    """Lines of a table whose columns are as wide as their widest cell; the last column is cut at `columns`."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        text = "  ".join(padded).rstrip()
        return text if len(text) <= columns else text[: columns - 1] + "…"

    return [line(header), RULE, *(line(row) for row in rows)]
