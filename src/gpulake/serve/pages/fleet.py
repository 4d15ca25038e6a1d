"""Fleet: where the GPU-hours went, who holds them without using them, and whether anything needs someone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from gpulake.charts import (
    FLAGGED,
    NOTED,
    URGENT,
    Chart,
    Mark,
    capacity_waterfall,
    even_steps,
    parts_by_day,
    parts_by_hour,
    week,
)
from gpulake.reading import ranges, unusual
from gpulake.reading.fleet import FLEET, POOLS, bill_of, waste_costs_of, waste_of
from gpulake.serve.incidents import begun, counts, incident_path, needs
from gpulake.serve.listing import Column, Listing
from gpulake.serve.look import Look
from gpulake.serve.page import Filled, Page
from gpulake.serve.pages.jobs import jobs_of, of_user
from gpulake.telling.sentences import fleet_sentence

_PARTS = "active_gpu_h, idle_held_gpu_h, unknown_gpu_h"
MOST_NEEDS = 3
MOST_DAYS_BY_HOUR = 7
MOST_MARKS = 200
"""Incidents marked in the picture; `/alerts` has all."""

FEWEST_DAYS_OF_WEEK = 14
"""Below, a cell of hour and weekday is a single hour, which the hours' own picture shows better."""

_WEEK_FIGURES = (
    ("allocated_ratio", "held, of capacity", "gold_capacity_daily"),
    ("allocated_gpu_h", "held", "gold_capacity_daily"),
    ("idle_held_gpu_h", "held and idle", "gold_capacity_daily"),
    ("unknown_gpu_h", "held, use not measured", "gold_capacity_daily"),
    ("efficiency_ratio", "in use, of what was measured", "gold_capacity_daily"),
    ("cost_usd", "cost of what jobs held", "gold_cost_daily"),
    ("jobs_submitted", "jobs submitted", "gold_user_gpu_usage_daily"),
    ("failed_ratio_of_submitted", "of these failed", "gold_user_gpu_usage_daily"),
)


def _fill(look: Look) -> Filled:
    cluster, since, until = look.cluster.cluster_id, look.since, look.until
    days = (cluster, since, until)
    waste = waste_of(look)
    bill = bill_of(look)
    idle_users = Listing(
        look,
        name="users",
        title="Who holds GPUs without using them",
        table="gold_user_gpu_usage_daily",
        query=ranges.idle_users_query(),
        params=(*days, *days),
        columns=(
            Column("user_id", "user", link=of_user),
            Column("idle_held_gpu_h", "idle", bar="idle"),
            Column("idle_held_share_ratio", "of all idle"),
            Column("allocated_gpu_h", "held"),
            Column("efficiency_ratio", "in use, of measured"),
            Column("allocation_coverage_ratio", "measured"),
            Column("cost_usd", "cost"),
        ),
        order="-idle_held_gpu_h",
        rows_a_page=10,
        empty="No user's idle GPU-hours are known in this range: no use was measured, or all that was held was in use.",
    )
    pools = Listing(
        look,
        name="pools",
        title="Pools",
        table="gold_capacity_daily",
        query=POOLS,
        params=(*days, *days, *days),
        columns=(
            Column("pool", "GPU model"),
            Column("capacity_gpu_h", "capacity"),
            Column("allocated_ratio", "held"),
            Column("allocated_gpu_h", "held"),
            Column("idle_held_gpu_h", "idle", bar="idle"),
            Column("efficiency_ratio", "in use, of measured"),
            Column("cost_usd", "cost"),
            Column("idle_usd", "cost of what nobody held"),
        ),
        order="-capacity_gpu_h",
        empty="No capacity is known in this range.",
    )
    return {
        "waste": waste,
        "keys": {"gold_waste_window": {"cluster_id": cluster}} if look.is_whole else {},
        **({} if waste is None else _pictures(look, waste, bill)),
        "sentence": fleet_sentence(waste, idle_users.rows[:1]),
        "fleet": look.row(FLEET, cluster),
        "needs": needs(look, most=MOST_NEEDS),
        "open_groups": counts(look)["open_groups"],
        "path_of": incident_path,
        "weeks": _weeks(look, starts_at_capacity=bool(waste and waste["starts_at_capacity"])),
        "hours_of_week": _hours_of_week(look),
        "lacks": look.not_recorded("gold_capacity_daily"),
        "bill": bill,
        "users": idle_users,
        "jobs": jobs_of(
            look,
            title="Which jobs held GPUs without using them",
            where="idle_held_gpu_h > 0",
            params=(),
            lacks=look.not_recorded("gold_jobs"),
            rows=5,
        ),
        "pools": pools,
    }


def _pictures(look: Look, waste: Mapping[str, Any], bill: Mapping[str, Any] | None) -> Filled:
    days = (look.cluster.cluster_id, look.since, look.until)
    calendar = look.calendar
    # What nobody held cannot be told of a sample of the load.
    free = (
        "down_gpu_h, unallocated_gpu_h"
        if waste["starts_at_capacity"]
        else "null as down_gpu_h, null as unallocated_gpu_h"
    )
    by_hour = (look.until - look.since).days < MOST_DAYS_BY_HOUR
    step = "hour_start_at" if by_hour else "dt"
    sums = (ranges.CAPACITY_HOURS if by_hour else ranges.CAPACITY).query(by=(step,))
    parts = look.table(f"select {step}, {_PARTS}, {free} from ({sums}) order by {step}", *days)
    title = "What became of the GPUs, hour by hour" if by_hour else "What became of the GPUs, day by day"
    flagged_days = look.table(unusual.FLAGGED_BY_DAY, *days)
    flagged = look.table(unusual.FLAGGED_BY_HOUR, *days) if by_hour else flagged_days
    costs = waste_costs_of(look)
    told = {name: value for name, value in {**waste, **(costs or {})}.items() if name != "cluster_id"}
    return {
        "waterfall": capacity_waterfall(
            pa.Table.from_pylist([told]),
            title="Where did the GPU-hours and the money go?" if costs else "Where did the GPU-hours go?",
            subtitle=f"{look.range_words}; money of the pools that have a price"
            if costs and bill and bill["unpriced_gpu_h"]
            else look.range_words,
            calendar=calendar,
        ),
        "stack": (parts_by_hour if by_hour else parts_by_day)(
            parts, title=title, marks=_marks(look, flagged, step), calendar=calendar
        ),
        "flagged_days": flagged_days.column("dt").to_pylist(),
    }


def _marks(look: Look, flagged: pa.Table, step: str) -> tuple[Mark, ...]:
    """What stands above the stack: what was unusual, and where incidents began."""
    incidents = begun(look, most=MOST_MARKS)
    urgent = incidents.column("is_urgent")
    return (
        Mark(FLAGGED, "diamond: unusual", flagged, step, "anomaly_reason"),
        Mark(URGENT, "dark triangle: an incident began", incidents.filter(urgent), step, "title"),
        Mark(
            NOTED,
            "light triangle: something to look at when you can",
            incidents.filter(pc.invert(urgent)),
            step,
            "title",
        ),
    )


def _weeks(look: Look, *, starts_at_capacity: bool) -> Mapping[str, Any] | None:
    """The last seven days of the range beside the seven before; None where they are not two whole weeks of the range."""
    last = min(look.until, look.cluster.last_day or look.until)
    first, before = last - timedelta(days=ranges.WEEK_DAYS - 1), last - timedelta(days=ranges.WEEK_DAYS)
    begins = before - timedelta(days=ranges.WEEK_DAYS - 1)
    if begins < look.since:
        return None
    cluster = look.cluster.cluster_id
    row = look.row(ranges.week_on_week_query(), *(before, cluster, begins, last) * 3)
    if row is None:
        return None
    figures = [each for each in _WEEK_FIGURES if starts_at_capacity or each[0] != "allocated_ratio"]
    return {
        "row": row,
        "figures": figures,
        "ratios": ranges.WEEK_RATIOS,
        "this": f"{look.cluster.day(first)} to {look.cluster.day(last)}",
        "before": f"{look.cluster.day(begins)} to {look.cluster.day(before)}",
    }


def _hours_of_week(look: Look) -> Chart | None:
    """Mean use by weekday and hour; None where nothing was measured, no weekday is known, or the range is short."""
    if not look.cluster.has_weekdays or (look.until - look.since).days + 1 < FEWEST_DAYS_OF_WEEK:
        return None
    days = (look.cluster.cluster_id, look.since, look.until)
    cells = look.table(
        f"select * from ({ranges.HOURS_OF_WEEK.query(by=('weekday', 'hour_no'))}) order by weekday, hour_no", *days
    )
    if not cells.column("avg_gpu_util").drop_null():
        return None
    return week(
        cells,
        title="When in the week are GPUs used?",
        value="avg_gpu_util",
        unit="mean GPU use, % of measured GPU time",
        steps=even_steps(cells.column("avg_gpu_util")),
        subtitle=look.range_words,
        calendar=look.calendar,
    )


PAGE = Page(
    path="/",
    title="Fleet",
    answers="Where did the GPU-hours go, and who holds them without using them?",
    template="fleet.html",
    fill=_fill,
    place=10,
)
