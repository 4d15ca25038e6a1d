"""Cost: what the capacity cost, what of it was held by nobody, and which users and models it went to."""

from __future__ import annotations

from gpulake.reading import ranges
from gpulake.reading.fleet import bill_of
from gpulake.serve.listing import Column, Listing
from gpulake.serve.look import Look
from gpulake.serve.page import Filled, Page
from gpulake.serve.pages.jobs import of_user
from gpulake.telling.sentences import cost_sentence

_BY_POOL = ranges.bills_query()
_DAYS = ranges.COSTS.query(by=("dt",))
_PRICES = """
    select pool, usd_per_gpu_h, price_label, price_reason, min(dt) as first_day, max(dt) as last_day
    from gold_cost_daily where cluster_id = ? and dt between ? and ? group by all
"""


def _fill(look: Look) -> Filled:
    days = (look.cluster.cluster_id, look.since, look.until)
    users = Listing(
        look,
        name="users",
        title="What users cost",
        table="gold_user_cost_daily",
        query=f"select * from ({ranges.USER_COSTS.query(by=('user_id',))})",
        params=days,
        columns=(
            Column("user_id", "user", link=of_user),
            Column("cost_usd", "cost", bar="free"),
            Column("allocated_gpu_h", "held"),
            Column("unpriced_gpu_h", "of it without a price"),
        ),
        order="-cost_usd",
        empty="No user held GPUs in this range.",
    )
    pools = Listing(
        look,
        name="pools",
        title="Where the money went, by GPU model",
        table="gold_cost_daily",
        query=_BY_POOL,
        params=(*days, *days),
        columns=(
            Column("pool", "GPU model"),
            Column("cost_usd", "cost", bar="free"),
            Column("idle_usd", "of it held by nobody", bar="idle"),
            Column("idle_cost_ratio", "held by nobody"),
            Column("allocated_gpu_h", "held"),
        ),
        order="-cost_usd",
        empty="No capacity is known in this range.",
    )
    daily = Listing(
        look,
        name="days",
        title="Day by day",
        table="gold_cost_daily",
        query=f"select * from ({_DAYS})",
        params=days,
        columns=(
            Column("dt", "day", link=lambda look, row: look.url(f"/days/{look.cluster.written(row['dt'])}")),
            Column("cost_usd", "cost"),
            Column("allocated_gpu_h", "held"),
            Column("unallocated_gpu_h", "held by nobody"),
        ),
        order="-dt",
        rows_a_page=10,
    )
    prices = Listing(
        look,
        name="prices",
        title="Prices",
        table="gold_cost_daily",
        query=_PRICES,
        params=days,
        columns=(
            Column("pool", "GPU model"),
            Column("usd_per_gpu_h", "a GPU-hour"),
            Column("price_label", "kind"),
            Column("price_reason", "why there is none"),
            Column("first_day", "from"),
            Column("last_day", "to"),
        ),
        order="pool",
    )
    bill = bill_of(look)
    unpriced = look.rows(
        f"select pool, allocated_gpu_h from ({_BY_POOL}) where cost_usd is null order by pool", *days, *days
    )
    return {
        "bill": bill,
        "unpriced": unpriced,
        "users": users,
        "pools": pools,
        "daily": daily,
        "prices": prices,
        "sentence": cost_sentence(bill, users.rows[:1] if users.sorted_by == ("cost_usd", True) else []),
    }


PAGE = Page(
    path="/cost",
    title="Cost",
    answers="What did the capacity cost, and where did the money go?",
    template="cost.html",
    fill=_fill,
    place=70,
)
