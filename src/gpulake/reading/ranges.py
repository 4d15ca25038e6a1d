"""Sums of a gold table over a range of days: amounts are summed, and ratios made of those sums, never a mean of means.

One place says what is summed and what divides what, for every reader that lets people choose a range. Over the whole window
the sums are those of the window's own tables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

EFFICIENCY = {
    "efficiency_ratio": ("active_gpu_h", "allocated_gpu_h - unknown_gpu_h"),
    "efficiency_low": ("active_gpu_h", "allocated_gpu_h"),
    "efficiency_high": ("active_gpu_h + unknown_gpu_h", "allocated_gpu_h"),
    "allocation_coverage_ratio": ("allocated_gpu_h - unknown_gpu_h", "allocated_gpu_h"),
}
_HELD = ("allocated_gpu_h", "active_gpu_h", "idle_held_gpu_h", "unknown_gpu_h", "zero_util_gpu_h")
_JOBS = ("jobs_submitted", "jobs_failed", "jobs_succeeded", "jobs_cancelled", "jobs_unfinished")
_FAILED = {
    "failed_gpu_h_ratio": ("failed_gpu_h", "allocated_gpu_h"),
    "failed_ratio_of_submitted": ("jobs_failed", "jobs_submitted"),
}


@dataclass(frozen=True)
class Summed:
    """A daily gold table: `amounts` are summed, `ratios` are numerator / denominator, in sums.

    An amount that is not known on a day is not known of the range, but for `partly`, which is the sum of what is known and
    says so by another column. `variances` are summed where each day that has the amount beside it has one. `has_days`: whether `days` says how many days have a row.
    """

    table: str
    amounts: Sequence[str]
    ratios: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    partly: Sequence[str] = ()
    variances: Mapping[str, str] = field(default_factory=dict)
    has_days: bool = False

    def query(self, *, by: Sequence[str] = (), where: str = "true") -> str:
        """One row per value of `by`. Its parameters are the cluster, the first and the last day, then those of `where`."""
        # Doubles summed in any order would differ in their last digits from read to read.
        exact = {
            name: f"sum({name})::bigint" if _is_count(name) else f"sum({name}::decimal(28, 12))::double"
            for name in (*self.amounts, *self.partly)
        }
        sums = [f"case when count({name}) = count(*) then {exact[name]} end as {name}" for name in self.amounts]
        sums += [f"{exact[name]} as {name}" for name in self.partly]
        sums += [
            f"case when count({name}) = count({of}) then sum({name}::decimal(28, 12))::double end as {name}"
            for name, of in self.variances.items()
        ]
        sums += ["count(distinct dt) as days"] if self.has_days else []
        ratios = [f"({above}) / nullif({below}, 0) as {name}" for name, (above, below) in self.ratios.items()]
        keys = "".join(f"{name}, " for name in by)
        grouped = f" group by {', '.join(by)}" if by else " having count(*) > 0"
        return (
            f"select *{''.join(f', {ratio}' for ratio in ratios)} from (select {keys}{', '.join(sums)} from {self.table} "
            f"where cluster_id = ? and dt between ? and ? and ({where}){grouped})"
        )


def _bounds(pct_s: str, covered_s: str, variance: str) -> tuple[tuple[str, str], tuple[str, str]]:
    """The ends of the range of a mean, as ratios: its sum less, and more, 1.645 standard errors of that."""
    error = f"1.645 * 3600 * sqrt(greatest(0, {variance}))"
    known = f"case when {variance} is not null then"
    return (
        (f"{known} greatest(0, {pct_s} - {error}) end", covered_s),
        (f"{known} greatest({pct_s}, least(100 * {covered_s}, {pct_s} + {error})) end", covered_s),
    )


def _is_count(name: str) -> bool:
    return name.startswith("jobs_") or name.endswith("_spans")


USERS = Summed(
    "gold_user_gpu_usage_daily",
    (*_HELD, "failed_gpu_h", "unbounded_spans", *_JOBS),
    {**EFFICIENCY, **_FAILED},
)
GROUPS = Summed("gold_group_gpu_usage_daily", USERS.amounts, USERS.ratios)
CAPACITY = Summed(
    "gold_capacity_daily",
    ("capacity_gpu_h", "over_allocated_gpu_h", "unallocated_gpu_h", *_HELD),
    {**EFFICIENCY, "allocated_ratio": ("allocated_gpu_h", "capacity_gpu_h")},
    partly=("down_gpu_h",),
)
CAPACITY_HOURS = Summed("gold_capacity_hourly", CAPACITY.amounts, CAPACITY.ratios, partly=CAPACITY.partly)
"""By hour: `hour_start_at` among the keys."""
WASTE = Summed(
    "gold_waste_daily",
    ("over_allocated_gpu_h", "total_gpu_h", "unallocated_gpu_h", "unknown_gpu_h", "idle_held_gpu_h", "failed_active_gpu_h",
     "productive_gpu_h", "unbounded_spans", "failed_unbounded_spans"),
    partly=("capacity_gpu_h", "down_gpu_h"),
)  # fmt: skip
JOBS = Summed("gold_job_efficiency_daily", _HELD, EFFICIENCY)
USER_COSTS = Summed("gold_user_cost_daily", ("allocated_gpu_h", "unpriced_gpu_h"), partly=("cost_usd",))
_GPU_LOW, _GPU_HIGH = _bounds("gpu_pct_s", "(gpu_covered_s * gpu_count)", "gpu_pct_h_variance")
_CPU_LOW, _CPU_HIGH = _bounds("cpu_pct_s", "cpu_covered_s", "cpu_pct_h_variance")
MACHINES = Summed(
    "gold_machine_util_daily",
    ("gpu_covered_s", "day_s"),
    {
        "gpu_util_per_gpu_pct": ("gpu_pct_s", "gpu_covered_s * gpu_count"),
        "gpu_util_per_gpu_low": _GPU_LOW,
        "gpu_util_per_gpu_high": _GPU_HIGH,
        "cpu_util_pct": ("cpu_pct_s", "cpu_covered_s"),
        "cpu_util_low": _CPU_LOW,
        "cpu_util_high": _CPU_HIGH,
        "coverage_ratio": ("gpu_covered_s", "day_s"),
    },
    partly=("gpu_pct_s", "cpu_pct_s", "cpu_covered_s", *_HELD, "over_allocated_gpu_h"),
    variances={"gpu_pct_h_variance": "gpu_pct_s", "cpu_pct_h_variance": "cpu_pct_s"},
)
"""By machine, with `pool` and `gpu_count` among the keys."""
WASTE_COSTS = Summed(
    "gold_waste_cost_daily",
    (),
    partly=(
        "cost_usd",
        "down_usd",
        "unallocated_usd",
        "unknown_usd",
        "idle_held_usd",
        "failed_active_usd",
        "productive_usd",
    ),
)
COSTS = Summed("gold_cost_daily", (), partly=("allocated_gpu_h", "unallocated_gpu_h", "cost_usd"))

HOURS_OF_WEEK = Summed(
    "(select *, isodow(dt) as weekday from gold_cluster_util_hourly)",
    (),
    {"avg_gpu_util": ("gpu_pct_s", "covered_gpu_s"), "coverage_ratio": ("covered_gpu_s", "capacity_gpu_s")},
    partly=("gpu_pct_s", "covered_gpu_s", "capacity_gpu_s"),
)
"""By `weekday` (1 = Monday) and `hour_no`, both by the cluster's clock."""

_HELD_ONLY = Summed("gold_user_gpu_usage_daily", ("allocated_gpu_h",))
_RANK = """
    case when user_id is not null and allocated_gpu_h is not null then
        row_number() over (partition by user_id is null order by allocated_gpu_h desc nulls last, user_id)
    end as rank
"""


_IDLE_SHARE = "idle_held_gpu_h / nullif(sum(idle_held_gpu_h) over (), 0) as idle_held_share_ratio"


def idle_users_query() -> str:
    """Of `users_query` those who are known to have left something idle. Parameters as there."""
    return f"select * from ({users_query()}) where user_id is not null and idle_held_gpu_h > 0"


def bills_query() -> str:
    """One row per pool: what its capacity cost, and how much of that nobody held. Without a price both are null.

    What nobody held is not told of a sample of the load: others may have held it.

    Parameters: the cluster, the first and the last day, and these three once more.
    """
    return f"""
        select *, idle_usd / nullif(cost_usd, 0) as idle_cost_ratio
        from (
            select costs.* exclude (cluster_id), case when starts_at_capacity then idle.cost_usd end as idle_usd
            from ({COSTS.query(by=("cluster_id", "pool"))}) as costs
            left join ({COSTS.query(by=("pool",), where="is_idle")}) as idle using (pool)
            left join gold_waste_window as known using (cluster_id)
        )
    """


def bill_query() -> str:
    """The same of all pools that have a price, and the GPU-hours of the others as `unpriced_gpu_h`. Parameters as for `bills_query`."""
    return f"""
        select *, idle_usd / nullif(cost_usd, 0) as idle_cost_ratio
        from (
            select
                sum(cost_usd::decimal(28, 12)) as cost_usd,
                sum(idle_usd::decimal(28, 12)) as idle_usd,
                sum(coalesce(allocated_gpu_h, 0)::decimal(28, 12) + coalesce(unallocated_gpu_h, 0)::decimal(28, 12))
                    filter (where cost_usd is null)::double as unpriced_gpu_h
            from ({bills_query()})
        )
    """


def users_query() -> str:
    """One row per user of a range: sums, costs, place by what was held, and shares of all that was held and of all idle.

    Parameters: the cluster, the first and the last day, and these three once more.
    """
    return f"""
        select
            held.*,
            costs.cost_usd,
            costs.unpriced_gpu_h,
            allocated_gpu_h / nullif(sum(allocated_gpu_h) over (), 0) as allocated_share_ratio,
            {_IDLE_SHARE}
        from (select *, {_RANK} from ({USERS.query(by=("user_id",))})) as held
        left join (select * exclude (allocated_gpu_h) from ({USER_COSTS.query(by=("user_id",))})) as costs
            on held.user_id is not distinct from costs.user_id
    """


def user_query() -> str:
    """The row of one user in `users_query`, but for its shares and its place, without summing what others did.

    Parameters: the cluster, the first and the last day, and the user; and these four once more.
    """
    one = "user_id = ?"
    return f"""
        select held.*, costs.cost_usd, costs.unpriced_gpu_h
        from ({USERS.query(by=("user_id",), where=one)}) as held
        left join ({USER_COSTS.query(by=("user_id",), where=one)}) as costs using (user_id)
    """


def places_query() -> str:
    """The place of each user by what was held in a range, the same for whoever asks. Parameters: the cluster, the first and the last day."""
    return f"select user_id, {_RANK} from ({_HELD_ONLY.query(by=('user_id',))})"


def waste_query() -> str:
    """Where the GPU-hours of a range went, as `gold_waste_window` says it of the whole window: classes, and their shares.

    Parameters: the cluster, the first and the last day.
    """
    classes = ("down", "unallocated", "unknown", "idle_held", "failed_active", "productive")
    of_capacity = {"down", "unallocated"}
    shares = ", ".join(
        f"case when starts_at_capacity then {name}_gpu_h / nullif(starts_at_gpu_h, 0) end as {name}_ratio"
        if name in of_capacity
        else f"{name}_gpu_h / nullif(starts_at_gpu_h, 0) as {name}_ratio"
        for name in classes
    )
    return f"""
        with summed as ({WASTE.query(by=("cluster_id",))}),
        parts as (
            select
                summed.*,
                starts_at_capacity,
                total_gpu_h - coalesce(down_gpu_h, 0) - coalesce(unallocated_gpu_h, 0) as allocated_gpu_h,
                failed_active_gpu_h + productive_gpu_h as active_gpu_h
            from summed
            inner join (select cluster_id, starts_at_capacity from gold_waste_window) using (cluster_id)
        ),
        begun as (
            select
                *,
                case when starts_at_capacity then total_gpu_h else allocated_gpu_h end as starts_at_gpu_h,
                allocated_gpu_h - unknown_gpu_h as measured_gpu_h
            from parts
        )
        select
            *,
            {shares},
            active_gpu_h / nullif(measured_gpu_h, 0) as efficiency_ratio,
            measured_gpu_h / nullif(allocated_gpu_h, 0) as allocation_coverage_ratio
        from begun
    """


def waste_cost_query() -> str:
    """What each class of `waste_query` cost, in the pools that have a price: `<class>_usd`, and what the bars start at.

    Parameters: the cluster, the first and the last day.
    """
    return f"""
        select
            costs.* replace (
                case when starts_at_capacity then down_usd end as down_usd,
                case when starts_at_capacity then unallocated_usd end as unallocated_usd
            ),
            case when starts_at_capacity then cost_usd else cost_usd - coalesce(down_usd, 0) - unallocated_usd end as starts_at_usd
        from ({WASTE_COSTS.query(by=("cluster_id",))}) as costs
        inner join gold_waste_window using (cluster_id)
        where cost_usd is not null
    """


WEEK_DAYS = 7
WEEK_RATIOS = ("allocated_ratio", "efficiency_ratio", "failed_ratio_of_submitted")
WEEK_AMOUNTS = ("allocated_gpu_h", "idle_held_gpu_h", "unknown_gpu_h", "jobs_submitted", "cost_usd")


@dataclass(frozen=True)
class WeekTables:
    """What two weeks are compared by: what was held, which jobs came, and what was paid for what jobs held."""

    held: Summed = Summed(
        "gold_capacity_daily",
        ("capacity_gpu_h", "allocated_gpu_h", "active_gpu_h", "idle_held_gpu_h", "unknown_gpu_h"),
        {name: CAPACITY.ratios[name] for name in ("allocated_ratio", "efficiency_ratio")},
        has_days=True,
    )
    jobs: Summed = Summed(
        "gold_user_gpu_usage_daily",
        ("jobs_submitted", "jobs_failed"),
        {"failed_ratio_of_submitted": _FAILED["failed_ratio_of_submitted"]},
    )
    costs: Summed = Summed("gold_cost_daily", (), partly=("cost_usd",))


def week_on_week_query(tables: WeekTables = WeekTables()) -> str:
    """One row: each figure of seven days, that of the seven before as `<name>_before`, and `<name>_change`.

    The change of a ratio is a difference, that of an amount a share of what it was; money is that of what jobs held. No row
    where a day of the two weeks has no row. Parameters, three times: the last day of the week before, the cluster, the first
    day of that week and the last of the other.
    """
    changes = [f"this.{name} - before.{name} as {name}_change" for name in WEEK_RATIOS]
    changes += [f"(this.{name} - before.{name}) / nullif(before.{name}, 0) as {name}_change" for name in WEEK_AMOUNTS]
    figures = [f"this.{name}, before.{name} as {name}_before" for name in (*WEEK_RATIOS, *WEEK_AMOUNTS)]
    parts = (_by_week(tables.held), _by_week(tables.jobs), _by_week(tables.costs, where="not is_idle"))
    held, jobs, costs = parts
    return f"""
        with weeks as (
            select *
            from ({held})
            left join ({jobs}) using (is_this)
            left join ({costs}) using (is_this)
            where days = {WEEK_DAYS}
        )
        select {", ".join((*figures, *changes))}
        from weeks as this
        inner join weeks as before on this.is_this and not before.is_this
    """


def _by_week(summed: Summed, *, where: str = "true") -> str:
    parted = f"(select *, dt > ? as is_this from {summed.table})"
    return replace(summed, table=parted).query(by=("is_this",), where=where)


def judged_query() -> str:
    """How many days of a range are unusual, as usual, or not judged, and the strangest of them.

    Parameters: the cluster, the first and the last day.
    """
    return """
        select
            count(*) as days,
            count(*) filter (where judgement = 'anomaly') as flagged_days,
            count(*) filter (where judgement = 'not_judged') as not_judged_days,
            max_by(dt, anomaly_score) filter (where judgement = 'anomaly') as strangest_day
        from gold_cluster_util_daily_scored
        where cluster_id = ? and dt between ? and ?
    """
