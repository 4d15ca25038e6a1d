"""What one column of a table means, what it is made of, and the SQL that makes it; of one row, its figure and what fed it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from gpulake.dbt import warehouse
from gpulake.errors import UsageError
from gpulake.reading import figure
from gpulake.reading.models import Model, read_models
from gpulake.reading.workings import Workings
from gpulake.serve.look import Look
from gpulake.serve.page import Filled, Page
from gpulake.serve.things import NotFoundError, near_miss
from gpulake.telling import workings as telling


@cache
def models() -> dict[str, Model]:
    """Every model of the warehouse, by name; read once in a process."""
    return read_models(warehouse.project())


def _fill(look: Look) -> Filled:
    table, name = look.named["table"], look.named["column"]
    model = models().get(table)
    if model is None:
        near = near_miss(table, list(models()))
        raise NotFoundError(
            f"there is no table {table[:80]!r}.", where=look.path[:200], do=f"did you mean {near}?" if near else ""
        )
    key = {part: look.asked[part] for part in model.grain if part in look.asked}
    return {
        "model": model,
        "table": table,
        "column": model.columns.get(name),
        "name": name,
        "key": key,
        "worked": None,
        **(_figure(look, table, name, key) if key else {"found": None, "not_found": ""}),
    }


def _figure(look: Look, table: str, name: str, key: Mapping[str, str]) -> Filled:
    """One figure with what fed it, or why there is none: an incident that began after the build is in no row of it yet."""
    named = [f"{part}={value}" for part, value in key.items()]
    try:
        found = figure.explain(look.reader, models(), table=table, column=name, key=named)
    except UsageError as error:
        return {"found": None, "not_found": error.what}
    return {"found": found, "not_found": "", **(_workings(found, found.workings) if found.workings else {})}


def _workings(found: figure.Explanation, worked: Workings) -> Filled:
    return {
        "worked": worked,
        "methods": telling.method_words(worked),
        "assumed": telling.parameter_words(worked.parameters),
        "summed": telling.sum_words(worked.of_windows) if worked.of_windows else "",
        "machine_figure": _machine_figure(found, worked),
    }


def _machine_figure(found: figure.Explanation, worked: Workings) -> tuple[str, Mapping[str, object]] | None:
    """Where the same figure of one machine of the fleet stands, and its key without the machine; None of many days."""
    if found.day is None:
        return None
    cluster = {"cluster_id": found.cluster_id}
    if hour := found.key.get("hour_start_at"):
        column = {"gpu": "gpu_util_weighted_pct", "cpu": "cpu_util_pct"}[worked.quantity]
        return f"/definition/gold_machine_util_hourly/{column}", {**cluster, "hour_start_at": hour}
    column = {"gpu": "gpu_util_per_gpu_pct", "cpu": "cpu_util_pct"}[worked.quantity]
    return f"/definition/gold_machine_util_daily/{column}", {**cluster, "dt": found.day}


PAGE = Page(
    path="/definition/{table}/{column}",
    title="Definition",
    answers="What does this figure mean, and how is it made?",
    template="definition.html",
    fill=_fill,
    needs_cluster=False,
)
