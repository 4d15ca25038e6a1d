"""A sentence where a picture would stand, when there is nothing to draw."""

from __future__ import annotations

from gpulake.charts.chart import PLOT_WIDTH, Chart
from gpulake.charts.theme import config


def sentence(title: str, *, subtitle: str = "") -> Chart:
    """Only the words: a file that was asked for is written, and says why it shows nothing."""
    spec = {
        "config": config(),
        "width": PLOT_WIDTH,
        "height": 1,
        "data": {"values": [{}]},
        "mark": {"type": "text", "text": ""},
    }
    return Chart(title=title, subtitle=subtitle, description=title, spec=spec, rows={})
