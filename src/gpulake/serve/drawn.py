"""Pictures of listings: the rows that a table shows, drawn; nothing is read twice and nothing computed."""

from __future__ import annotations

import pyarrow as pa

from gpulake.charts import Calendar, Chart, parts_by_day, spread
from gpulake.serve.listing import Listing

FEWEST_DAYS = 4
MOST_GROUPS = 40
"""Bars of a spread; a table has all."""


def held_by_day(days: Listing, *, title: str) -> Chart | None:
    """What became of the GPU-hours that somebody held, by day; None for a few days, which a table says as well.

    `days` has a row per day, with `dt` and the parts of what was held.
    """
    table = days.read
    if table.num_rows < FEWEST_DAYS or not table.column("allocated_gpu_h").drop_null():
        return None
    for name in ("unallocated_gpu_h", "down_gpu_h"):  # nobody's, so no part of what somebody held
        table = table.append_column(name, pa.nulls(table.num_rows, pa.float64()))
    cluster = days.cluster
    return parts_by_day(table, title=title, calendar=Calendar.of(cluster.time_zone, time_basis=cluster.time_basis))


def spread_of(
    groups: Listing, *, title: str, quantiles: tuple[str, str, str], noun: str, subtitle: str
) -> Chart | None:
    """A bar per group from a low to a high quantile with a dot between; None where no group has any.

    Groups stand as in their table, whose first column names them.
    """
    name = groups.columns[0].name
    known = groups.read.select([name, *quantiles]).drop_null().slice(0, MOST_GROUPS)
    if not known.num_rows:
        return None
    low, middle, high = quantiles
    return spread(known, title=title, name=name, low=low, middle=middle, high=high, noun=noun, subtitle=subtitle)
