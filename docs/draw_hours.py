"""Draws the picture of docs/explanation/hours-from-windows.md: five windows of one machine, and what each method makes of them.

python docs/draw_hours.py docs/images/hours-from-windows.svg
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from gpulake.charts.drawing import png_of, svg_of
from gpulake.reconstruct import Days, Windows, reconstruct

WINDOWS_H = ((0, 24, 40), (2, 6, 80), (8.5, 9, 95), (9, 16, 40), (14, 20, 10))
"""Start and end in hours, and the mean that was told, in percent."""


def main(out: Path) -> None:
    """Solve the day, and draw it."""
    start, end, mean = (np.array(column) for column in zip(*WINDOWS_H, strict=True))
    lane = np.zeros(start.size, dtype=np.int64)
    windows = Windows(lane, (start * 3600).astype(np.int64), (end * 3600).astype(np.int64), mean[:, None].astype(float))
    day = Days(np.array([0]), np.array([0]), np.array([86_400]), np.array([[100.0]]))
    hours, _ = reconstruct(windows, days=day)
    error = 1.645 * np.sqrt(hours.variance[:, 0])
    rows = []
    for hour, value, half in zip(hours.hour_no.tolist(), hours.mean[:, 0].tolist(), error.tolist(), strict=True):
        moments = hour + (np.arange(60) + 0.5) / 60
        runs = (start <= moments[:, None]) & (moments[:, None] < end)
        swept = float(((runs * mean).sum(axis=1) / runs.sum(axis=1)).mean())
        rows.append(
            {
                "hour": hour,
                "reconstructed": value,
                "low": max(0, value - half),
                "high": min(100, value + half),
                "swept": swept,
            }
        )
    x = {"field": "hour", "type": "quantitative", "title": "hour of the day", "scale": {"domain": [0, 24]}}
    y = {"type": "quantitative", "title": "GPU use, %", "scale": {"domain": [0, 100]}}
    told = [{"from": a, "until": b, "mean": value} for a, b, value in WINDOWS_H]
    step = {"interpolate": "step-after"}
    means = f"mean of the day: swept {np.mean([row['swept'] for row in rows]):.1f} %, reconstructed {hours.mean.mean():.1f} %; the day's own window says 40 %"
    spec = {
        "title": {"text": "Five windows (grey), their sweep (dashed) and the hours behind them (line, 90 % band)", "subtitle": means},
        "background": "#ffffff", "width": 640, "height": 260,
        "layer": [
            {"data": {"values": rows}, "mark": {"type": "area", **step, "opacity": 0.2, "color": "#1b6ca8"},
             "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}}},
            {"data": {"values": rows}, "mark": {"type": "line", **step, "color": "#1b6ca8", "strokeWidth": 2.5},
             "encoding": {"x": x, "y": {**y, "field": "reconstructed"}}},
            {"data": {"values": rows}, "mark": {"type": "line", **step, "color": "#c2571a", "strokeDash": [5, 3]},
             "encoding": {"x": x, "y": {**y, "field": "swept"}}},
            {"data": {"values": told}, "mark": {"type": "rule", "color": "#777", "strokeWidth": 3},
             "encoding": {"x": {**x, "field": "from"}, "x2": {"field": "until"}, "y": {**y, "field": "mean"}}},
        ],
    }  # fmt: skip
    out.write_text(svg_of(spec), encoding="utf-8")
    if out.suffix != ".svg":
        out.write_bytes(png_of(spec, scale=1.5))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
