"""Several pictures on one sheet, one below the other, as a PNG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gpulake.charts.chart import Chart
from gpulake.charts.colours import hexadecimal
from gpulake.charts.drawing import png_of

BETWEEN_PX = 44
_OF_ALL = ("config", "padding")


def sheet(charts: Sequence[Chart], *, dark: bool = False, scale: float = 2, width: int = 1_080) -> bytes:
    """The pictures below each other, each under its own title. At least one."""
    assert charts
    colours = hexadecimal(dark=dark)
    specs = [_apart(chart.specification(colours, width=width, is_titled=True), i) for i, chart in enumerate(charts)]
    whole = {
        **{name: specs[0][name] for name in _OF_ALL},
        "datasets": {name: rows for spec in specs for name, rows in spec["datasets"].items()},
        "vconcat": [
            {name: part for name, part in spec.items() if name not in {*_OF_ALL, "datasets"}} for spec in specs
        ],
        "spacing": BETWEEN_PX,
        "resolve": {"scale": dict.fromkeys(("x", "y", "color", "size"), "independent")},
    }
    return png_of(whole, scale=scale)


def _apart(part: Any, number: int) -> Any:
    """The specification with its data under names of their own."""
    if isinstance(part, list):
        return [_apart(each, number) for each in part]
    if not isinstance(part, Mapping):
        return part
    found = {name: _apart(value, number) if name != "datasets" else value for name, value in part.items()}
    if "name" in (data := found.get("data", {})):
        found["data"] = {**data, "name": f"{data['name']}_{number}"}
    if "datasets" in found:
        found["datasets"] = {f"{name}_{number}": rows for name, rows in found["datasets"].items()}
    return found
