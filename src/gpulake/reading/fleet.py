"""What is read of a whole cluster: where its GPU-hours went, and what the capacity cost."""

from __future__ import annotations

from typing import Any

from gpulake.reading import ranges
from gpulake.reading.scope import Scope

FLEET = "select machines, gpus from gold_fleet where cluster_id = ?"


def waste_of(scope: Scope) -> dict[str, Any] | None:
    """Where the GPU-hours of a scope went: the row of `gold_waste_window`, or the same of a range."""
    cluster = scope.cluster.cluster_id
    if scope.is_whole:
        return scope.row("select * from gold_waste_window where cluster_id = ?", cluster)
    return scope.row(ranges.waste_query(), cluster, scope.since, scope.until)


def bill_of(scope: Scope) -> dict[str, Any] | None:
    """What the capacity of a scope cost, and how much of that nobody held."""
    days = (scope.cluster.cluster_id, scope.since, scope.until)
    return scope.row(ranges.bill_query(), *days, *days)
