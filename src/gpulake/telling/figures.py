"""How a value of a gold column is shown: its unit stands in the column's name, and unknown is a dash."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from gpulake.reading.scope import Cluster
from gpulake.telling.words import span

UNKNOWN = "—"
MOST_TEXT = 200
"""Characters of a text that a page shows; exports have it whole."""


@dataclass(frozen=True)
class Unit:
    """What a column counts: `words` for its heading, and how one value is written."""

    words: str
    text: Callable[[Any], str]
    is_number: bool = True


def _hours(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 or not value else f"{value:,.1f}" if abs(value) >= 0.05 else "< 0.1"


def _ratio(value: float) -> str:
    return "< 0.1" if 0 < value < 0.0005 else f"{100 * value:.1f}"


def _bytes(value: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if abs(value) < 1024 or unit == "TiB":
            break
        value /= 1024
    return f"{value:,.0f} {unit}" if unit == "B" else f"{value:,.1f} {unit}"


_COUNT = Unit("", lambda value: f"{value:,}")
_PRICE = Unit("USD", lambda value: f"{value:,.2f}" if value >= 0.1 or not value else f"{value:,.3g}")
_BY_SUFFIX = (
    ("_without_run_s", _COUNT),
    # What is expected of a figure is in the figure's own unit: percent of a day's, the driver's of an hour's or a job's.
    ("allocated_low", Unit("%", lambda value: f"{value:.1f}")),
    ("allocated_high", Unit("%", lambda value: f"{value:.1f}")),
    ("typical_low", Unit("%", lambda value: f"{value:.1f}")),
    ("typical_high", Unit("%", lambda value: f"{value:.1f}")),
    ("expected_low", Unit("", lambda value: f"{value:,.4g}")),
    ("expected_high", Unit("", lambda value: f"{value:,.4g}")),
    # The range of a use is in percent, as the use is.
    *(
        (f"{of}_{end}", Unit("%", lambda value: f"{value:.1f}"))
        for of in ("util", "util_per_gpu")
        for end in ("low", "high")
    ),
    ("usd_per_gpu_h", _PRICE),
    ("gpu_h", Unit("GPU-h", _hours)),
    ("_ratio", Unit("%", _ratio)),
    ("_ratio_of_submitted", Unit("%", _ratio)),
    ("_low", Unit("%", _ratio)),
    ("_high", Unit("%", _ratio)),
    ("_gpu_util", Unit("%", lambda value: f"{value:.1f}")),
    ("_cpu_util", Unit("%", lambda value: f"{value:.1f}")),
    ("_pct", Unit("%", lambda value: f"{value:.1f}")),
    ("_usd", Unit("USD", lambda value: f"{value:,.2f}")),
    ("_bytes_per_s", Unit("", lambda value: f"{_bytes(value)}/s")),
    ("_s", Unit("", span)),
    ("_bytes", Unit("", _bytes)),
    ("_bytes_mean", Unit("", _bytes)),
    ("_bytes_max", Unit("", _bytes)),
    ("_h", Unit("h", _hours)),
    ("p_value", Unit("", lambda value: f"{value:.2g}")),
    ("score", Unit("", lambda value: f"{value:.3g}")),
)
WALL_CLOCK = frozenset({
    "landed_at", "last_landed_at", "landed_day", "built_at", "published_at", "recorded_at", "silenced_until", "sent_at",
})  # fmt: skip
"""Columns that tell the time of the lake, not of a cluster: UTC, and dates everywhere."""

_PLAIN = Unit("", lambda value: f"{value:,.4g}")
_TEXT = Unit("", str, is_number=False)


def unit_of(column: str) -> Unit | None:
    """What a column of numbers counts, by its name; None where the name says none."""
    return next((unit for suffix, unit in _BY_SUFFIX if column.endswith(suffix)), None)


def label_of(column: str) -> str:
    """A column's name in words, without its unit."""
    for suffix in ("_gpu_h", "_ratio", "_pct", "_usd", "_bytes_per_s", "_s", "_bytes", "_at", "_id", "_count"):
        column = column.removesuffix(suffix) if column != suffix else column
    return "day" if column == "dt" else column.replace("_", " ")


def heading_of(column: str, words: str = "") -> str:
    """A column's name for people, with the unit where all its cells share one."""
    unit = unit_of(column)
    words = words or label_of(column)
    return f"{words}, {unit.words}" if unit and unit.words else words


def text_of(column: str, value: object, cluster: Cluster) -> str:
    """One value as a cell or a tile shows it."""
    match value:
        case None:
            return UNKNOWN
        case bool():
            return "yes" if value else "no"
        case datetime() if column in WALL_CLOCK:
            return f"{value:%Y-%m-%d %H:%M} UTC"
        case date() if column in WALL_CLOCK:
            return value.isoformat()
        case datetime():
            local = value.replace(tzinfo=UTC).astimezone(ZoneInfo(cluster.time_zone))
            return f"{cluster.day(local.date())} {local:%H:%M}"
        case date():
            return cluster.day(value)
        case int() | float() | Decimal():
            found = unit_of(column)
            if found:
                return found.text(value)
            return _COUNT.text(value) if isinstance(value, int) else _PLAIN.text(value)
        case _:
            text = str(value)
            return text if len(text) <= MOST_TEXT else text[:MOST_TEXT] + "…"
