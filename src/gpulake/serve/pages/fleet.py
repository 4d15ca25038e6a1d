"""Fleet: where the GPU-hours went, who holds them without using them, and whether anything needs someone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import pyarrow as pa

from gpulake.charts import capacity_waterfall, parts_by_day, parts_by_hour
from gpulake.reading import ranges
from gpulake.reading.fleet import FLEET, waste_of
from gpulake.serve.incidents import counts, incident_path, needs
from gpulake.serve.listing import Column, Listing
from gpulake.serve.look import Look
from gpulake.serve.page import Filled, Page
from gpulake.telling.sentences import fleet_sentence

_PARTS = "active_gpu_h, idle_held_gpu_h, unknown_gpu_h"
MOST_NEEDS = 3
MOST_DAYS_BY_HOUR = 7


def _fill(look: Look) -> Filled:
    cluster, since, until = look.cluster.cluster_id, look.since, look.until
    days = (cluster, since, until)
    waste = waste_of(look)
    idle_users = Listing(
        look,
        name="users",
        title="Who holds GPUs without using them",
        table="gold_user_gpu_usage_daily",
        query=ranges.idle_users_query(),
        params=days,
        columns=(
            Column("user_id", "user", link=lambda look, row: look.url(f"/users/{quote(row['user_id'], safe='')}")),
            Column("idle_held_gpu_h", "idle", bar="idle"),
            Column("idle_held_share_ratio", "of all idle"),
            Column("allocated_gpu_h", "held"),
            Column("efficiency_ratio", "in use, of measured"),
            Column("allocation_coverage_ratio", "measured"),
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
        query=ranges.CAPACITY.query(by=("pool",)),
        params=days,
        columns=(
            Column("pool", "GPU model"),
            Column("capacity_gpu_h", "capacity"),
            Column("allocated_ratio", "held"),
            Column("allocated_gpu_h", "held"),
            Column("idle_held_gpu_h", "idle", bar="idle"),
            Column("efficiency_ratio", "in use, of measured"),
        ),
        order="-capacity_gpu_h",
        empty="No capacity is known in this range.",
    )
    return {
        "waste": waste,
        **({} if waste is None else _pictures(look, waste)),
        "sentence": fleet_sentence(waste, idle_users.rows[:1]),
        "fleet": look.row(FLEET, cluster),
        "needs": needs(look, most=MOST_NEEDS),
        "open_groups": counts(look)["open_groups"],
        "path_of": incident_path,
        "users": idle_users,
        "pools": pools,
    }


def _pictures(look: Look, waste: Mapping[str, Any]) -> Filled:
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
    told = {name: value for name, value in waste.items() if name != "cluster_id"}
    return {
        "waterfall": capacity_waterfall(
            pa.Table.from_pylist([told]),
            title="Where did the GPU-hours go?",
            subtitle=look.range_words,
            calendar=calendar,
        ),
        "stack": (parts_by_hour if by_hour else parts_by_day)(parts, title=title, calendar=calendar),
    }


PAGE = Page(
    path="/",
    title="Fleet",
    answers="Where did the GPU-hours go, and who holds them without using them?",
    template="fleet.html",
    fill=_fill,
    place=10,
)
