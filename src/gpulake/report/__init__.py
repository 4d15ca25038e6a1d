"""What a publication says, read once and told in plain text.

`read` turns the Publication into a `Report`; `render` lays it out for a terminal; `pictures` draws the same report.
"""

from __future__ import annotations

from gpulake.report.figures import ClusterReport, Day, Report, Step, Waste, day_label, day_name, day_number, read
from gpulake.report.terminal import WIDTH, render, text_table
from gpulake.report.words import (
    FOREST_NOTE,
    counted,
    driver_words,
    forest_flag,
    gpu_hours,
    headline,
    pct,
    ratio_pct,
    share_pct,
    shared_reason,
    waste_headline,
)

__all__ = [
    "FOREST_NOTE",
    "WIDTH",
    "ClusterReport",
    "Day",
    "Report",
    "Step",
    "Waste",
    "counted",
    "day_label",
    "day_name",
    "day_number",
    "driver_words",
    "forest_flag",
    "gpu_hours",
    "headline",
    "pct",
    "ratio_pct",
    "read",
    "render",
    "share_pct",
    "shared_reason",
    "text_table",
    "waste_headline",
]
