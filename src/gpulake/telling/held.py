"""What somebody held, and what became of it: the meters that reports of a job and of a user share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gpulake.telling.lines import Line, Part, legend, meter
from gpulake.telling.reports import Teller

_PARTS = (
    ("active", "active_gpu_h", "in use"),
    ("idle_held", "idle_held_gpu_h", "held, idle"),
    ("unknown", "unknown_gpu_h", "not measured"),
)


def use_meters(row: Mapping[str, Any], teller: Teller) -> list[Line]:
    """How much of what was held is in use, with its bounds, and how much of it was measured; nothing where nothing was held.

    `row` has the GPU-hours that were held, their parts, and the rates of these.
    """
    if not row["allocated_gpu_h"]:
        return []
    held, low, high = row["allocated_gpu_h"], row["efficiency_low"], row["efficiency_high"]
    lines = meter(
        "GPU use",
        [Part(means, row[column]) for means, column, _ in _PARTS],
        of=held,
        figure=teller.text("efficiency_ratio", row["efficiency_ratio"]),
        note="of measured" if row["efficiency_ratio"] is not None else "not measured",
    )
    lines += legend([
        (means, words, teller.text(column, row[column], with_unit=False))
        for means, column, words in _PARTS
        if row[column] is not None
    ])  # fmt: skip
    if low is not None and row["efficiency_ratio"] is not None and row["unknown_gpu_h"]:
        lines += meter(
            "at least", [Part("active", low)], figure=teller.text("efficiency_low", low), note="of all held"
        )[:1]
        lines += meter("at most", [Part("active", high)], figure=teller.text("efficiency_high", high))
    lines += meter(
        "measured",
        [Part("total", row["allocation_coverage_ratio"])],
        figure=teller.text("allocation_coverage_ratio", row["allocation_coverage_ratio"]),
        note="of what was held",
    )
    return lines
