"""The look that all pictures share: one type face, quiet axes, words where the eye begins."""

from __future__ import annotations

from typing import Any

from gpulake.charts.colours import colour

FONT = 'system-ui, "Segoe UI", Roboto, "Helvetica Neue", "Liberation Sans", Arial, sans-serif'
DRAWN_FONT = 'Arial, "Liberation Sans", Helvetica, sans-serif'
"""Of pictures that are drawn in process: its letters are as wide wherever it is found, so words stay where they were put."""

LEFT_PX, RIGHT_PX = 52, 14
"""Room for the numbers left of a picture, and right of it: the same everywhere, so that pictures one below the other share an axis."""


def config() -> dict[str, Any]:
    """Vega-Lite's settings. No picture sets a font or a grey of its own."""
    text = {"labelFont": FONT, "titleFont": FONT, "labelColor": colour("soft"), "titleColor": colour("soft")}
    return {
        "background": colour("paper"),
        "font": FONT,
        "aria": False,  # one sentence and one table speak for the picture, not thousands of marks
        "padding": {"left": 0, "top": 0, "right": 0, "bottom": 4},
        "view": {"stroke": None},
        "mark": {"font": FONT},
        "text": {"font": FONT, "fontSize": 11, "fill": colour("ink")},
        "line": {"strokeWidth": 1.8, "strokeJoin": "round"},
        "axis": {
            **text,
            "labelFontSize": 11,
            "titleFontSize": 11,
            "titleFontWeight": "normal",
            "domainColor": colour("hair"),
            "gridColor": colour("hair"),
            "tickColor": colour("hair"),
            "tickSize": 4,
            "labelPadding": 4,
            "titlePadding": 8,
        },
        "axisX": {"titleAnchor": "start", "titleAlign": "left"},
        "axisY": {
            # The unit stands above the axis and is read without turning the head.
            "titleAngle": 0,
            "titleAlign": "left",
            "titleAnchor": "end",
            "titleBaseline": "bottom",
            "titleX": -LEFT_PX,
            "titleY": -7,
            "domain": False,
            "ticks": False,
            "minExtent": LEFT_PX,
            "maxExtent": LEFT_PX,
        },
        "legend": {
            **text,
            "labelFontSize": 11.5,
            "labelColor": colour("ink"),
            "labelLimit": 260,
            "titleLimit": 400,
            "orient": "top",
            "title": None,
            "symbolType": "square",
            "symbolStrokeWidth": 0,
            "symbolSize": 110,
            "columnPadding": 14,
            "rowPadding": 3,
            "offset": 20,
        },
        "header": {**text, "title": None},
        "title": {
            "font": FONT,
            "fontSize": 15,
            "fontWeight": "bold",
            "color": colour("ink"),
            "subtitleFont": FONT,
            "subtitleFontSize": 11.5,
            "subtitleColor": colour("soft"),
            "subtitlePadding": 5,
            "anchor": "start",
            "frame": "bounds",
            "offset": 10,
        },
        "concat": {"spacing": 26},
    }
