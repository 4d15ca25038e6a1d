"""How a cluster's time is written: its zone, and whether its dates may be shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

DAY_MS = 86_400_000
LABELS_APART_PX = 12
"""Between two labels of an axis of time at least: "day 31" and "day 40" would read as one."""


@dataclass(frozen=True)
class Calendar:
    """A cluster's zone; where its source hides its dates people read "day 12" and never a date of 1970."""

    zone: str = "UTC"
    hides_dates: bool = False
    has_weekdays: bool = True

    @classmethod
    def of(cls, time_zone: str, *, time_basis: str, has_weekdays: bool = True) -> Calendar:
        """The calendar of a row of `meta.clusters`."""
        return cls(time_zone, hides_dates=time_basis != "real", has_weekdays=has_weekdays)

    def local(self, column: pa.ChunkedArray) -> pa.ChunkedArray:
        """Instants (UTC) as the cluster's clocks show them."""
        if column.type.tz is None:
            column = pc.assume_timezone(column, "UTC")
        return pc.local_timestamp(column.cast(pa.timestamp(column.type.unit, tz=self.zone)))

    def day_words(self, at_ms: int) -> str:
        """A day: its date or its number, with its weekday where one is known."""
        when = _moment(at_ms)
        day = f"day {at_ms // DAY_MS}" if self.hides_dates else f"{when:%Y-%m-%d}"
        return f"{day}, {when:%a}" if self.has_weekdays else day

    def instant_words(self, at_ms: int) -> str:
        """An instant, to the minute."""
        when = _moment(at_ms)
        return f"day {at_ms // DAY_MS}, {when:%H:%M}" if self.hides_dates else f"{when:%Y-%m-%d %H:%M}"

    def day_axis(self, days_ms: Sequence[int]) -> dict[str, Any]:
        """An axis of days, with a tick on Mondays, or on every seventh day where no weekday is known."""
        days = sorted(days_ms)
        # Day 0 of an offset clock was a Thursday, so day 4 a Monday: the weekday of such a clock is right, its date is not.
        ticks = (
            [
                ms
                for ms in range(days[0], days[-1] + DAY_MS, DAY_MS)
                if ms // DAY_MS % 7 == (4 if self.has_weekdays else 0)
            ]
            if days
            else []
        )
        if len(ticks) < 2:
            ticks = days
        return {
            "title": f"day{self._of_zone}{', Mondays named' if self.has_weekdays and len(days) > 7 else ''}{self._span(days)}",
            # As an expression: a list of numbers would become calls of `datetime`, which Vega's interpreter answers otherwise.
            "values": {"expr": str(ticks)},
            "labelExpr": self._day_expression,
            "labelOverlap": "greedy",
            "labelSeparation": LABELS_APART_PX,
            "grid": False,
        }

    def instant_axis(self, at_ms: Sequence[int]) -> dict[str, Any]:
        """An axis of hours: midnights are named by their day, other ticks by their hour."""
        return {
            "title": f"time{self._of_zone}{self._span(sorted(at_ms))}",
            "tickCount": {"expr": "max(2, width / 110)"},
            "labelExpr": f"utchours(datum.value) == 0 && utcminutes(datum.value) == 0 ? {self._day_expression} : utcFormat(datum.value, '%H:%M')",
            "labelOverlap": "greedy",
            "labelSeparation": LABELS_APART_PX,
            "grid": False,
        }

    def spelled_day(self, field: str) -> str:
        """An expression of Vega that writes the day in a field as `day_words` does."""
        weekday = f" + utcFormat(datum.{field}, ', %a')" if self.has_weekdays else ""
        day = (
            f"'day ' + floor(datum.{field} / {DAY_MS})" if self.hides_dates else f"utcFormat(datum.{field}, '%Y-%m-%d')"
        )
        return f"{day}{weekday}"

    def spelled_instant(self, field: str) -> str:
        """The same of an instant."""
        if self.hides_dates:
            return f"'day ' + floor(datum.{field} / {DAY_MS}) + utcFormat(datum.{field}, ', %H:%M')"
        return f"utcFormat(datum.{field}, '%Y-%m-%d %H:%M')"

    @property
    def _day_expression(self) -> str:
        return f"'day ' + floor(datum.value / {DAY_MS})" if self.hides_dates else "utcFormat(datum.value, '%d %b')"

    @property
    def _of_zone(self) -> str:
        return "" if self.hides_dates and self.zone == "UTC" else f" in {self.zone}"

    def _span(self, at_ms: Sequence[int]) -> str:
        if self.hides_dates or not at_ms:
            return ""
        first, last = _moment(at_ms[0]), _moment(at_ms[-1])
        return f", {first:%Y-%m-%d}" if first.date() == last.date() else f", {first:%Y-%m-%d} to {last:%Y-%m-%d}"


def day_ms(dt: date) -> int:
    """A day as pictures count time."""
    return (dt - date(1970, 1, 1)).days * DAY_MS


def _moment(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, tz=UTC)
