"""What is read of a whole cluster: where its GPU-hours went, and what the capacity cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gpulake.reading import ranges
from gpulake.reading.jobs import largest_jobs
from gpulake.reading.scope import Scope

FLEET = "select machines, gpus from gold_fleet where cluster_id = ?"


def waste_of(scope: Scope) -> dict[str, Any] | None:
    """Where the GPU-hours of a scope went: the row of `gold_waste_window`, or the same of a range."""
    cluster = scope.cluster.cluster_id
    if scope.is_whole:
        return scope.row("select * from gold_waste_window where cluster_id = ?", cluster)
    return scope.row(ranges.waste_query(), cluster, scope.since, scope.until)


def waste_costs_of(scope: Scope) -> dict[str, Any] | None:
    """What the classes of `waste_of` cost, in the pools that have a price; None where none has."""
    return scope.row(ranges.waste_cost_query(), scope.cluster.cluster_id, scope.since, scope.until)


def bill_of(scope: Scope) -> dict[str, Any] | None:
    """What the capacity of a scope cost, and how much of that nobody held."""
    days = (scope.cluster.cluster_id, scope.since, scope.until)
    return scope.row(ranges.bill_query(), *days, *days)


MACHINES = ranges.MACHINES.query(by=("machine_id", "pool", "gpu_count"))
"""Parameters: the cluster, the first and the last day."""


POOLS = f"""
    select
        pools.* exclude (cluster_id) replace (case when known.starts_at_capacity then pools.allocated_ratio end as allocated_ratio),
        bills.cost_usd,
        bills.idle_usd,
        bills.idle_cost_ratio
    from ({ranges.CAPACITY.query(by=("cluster_id", "pool"))}) as pools
    left join gold_waste_window as known using (cluster_id)
    left join ({ranges.bills_query()}) as bills using (pool)
"""
"""Capacity and bill of each pool; of a sample of the load nobody knows which share was held. Parameters, three times: the cluster, the first and the last day."""


@dataclass(frozen=True)
class Wasted:
    """Where the GPU-hours of a scope went, what they cost, and with whom they sat idle: users, jobs, machines; and pools.

    Each list begins with the most idle GPU-hours. Of pools the capacity and the bill are told.
    """

    waste: Mapping[str, Any] | None
    bill: Mapping[str, Any] | None
    users: Sequence[Mapping[str, Any]]
    users_all: int
    jobs: Sequence[Mapping[str, Any]]
    machines: Sequence[Mapping[str, Any]]
    pools: Sequence[Mapping[str, Any]]
    lacks: Mapping[str, str]


def read_waste(scope: Scope, *, most: int = 8) -> Wasted:
    """What became of the GPU-hours of a scope."""
    days = (scope.cluster.cluster_id, scope.since, scope.until)
    users = scope.rows(
        f"select *, count(*) over () as there from ({ranges.idle_users_query()}) "
        f"order by idle_held_gpu_h desc, user_id limit {most:d}",
        *days,
        *days,
    )
    return Wasted(
        waste=waste_of(scope),
        bill=bill_of(scope),
        users=[{name: value for name, value in row.items() if name != "there"} for row in users],
        users_all=users[0]["there"] if users else 0,
        jobs=largest_jobs(scope, most=most),
        machines=scope.rows(
            f"select * from ({MACHINES}) where idle_held_gpu_h > 0 order by idle_held_gpu_h desc, machine_id limit {most:d}",
            *days,
        ),
        pools=scope.rows(f"{POOLS} order by capacity_gpu_h desc nulls last, pool", *days, *days, *days),
        lacks=scope.not_recorded("gold_jobs"),
    )
