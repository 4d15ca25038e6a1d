"""What the SQL linter sees instead of the project's macros and dbt's own names: short texts of the right kind, no lake."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

QUERIES = {
    "winning_rows", "union_staging", "losing_rows", "pending_jobs", "days_of_spans", "quarters_of_days", "numbered_days",
    "job_requests", "job_starts", "unweighted_days", "pending_tagged_jobs", "gpu_tasks", "accounting_units",
    "genai_samples", "accounted_clusters", "status_words", "job_groups", "observed_waits", "pool_capacities", "pool_rests",
    "prices_of_days", "bill_weights", "shared_cents", "job_uses", "job_machines", "job_totals",
    "job_costs", "lacking_figures", "jobs_and_totals", "clusters_with_news",
}  # fmt: skip
"""Macros that stand for a whole select."""
CONDITIONS = {
    "within_touched_range", "touched_days_only", "touched_jobs_only", "pending_only", "not_yet_here", "touched_cohorts_only",
    "due_jobs_only", "of_days", "within_due_days",
}  # fmt: skip
"""Macros that stand for a condition."""
TABLES = {
    "swept_machine_hours": "swept_hours", "gpu_spans": "spans", "usage_pieces": "usage_pieces", "cut_at_days": "day_parts",
    "allocated_hours": "allocated_hours", "pool_days": "pool_days", "job_measures": "job_measures",
    "owner_days": "owner_days", "wait_figures": "wait_figures", "failure_figures": "failure_figures",
}  # fmt: skip
"""Macros that stand for tables of a `with`, by the last one's name."""


def _stub(name: str) -> Callable[..., object]:
    if name in {"amounts", "use_amounts"}:
        return lambda: ["allocated"]
    if name == "inlined":
        return lambda: ""
    if name in QUERIES:
        text = "select staged.* from staged"
    elif name in CONDITIONS:
        text = "true"
    elif name in TABLES:
        text = f"{TABLES[name]} as (select events.* from events)"
    else:
        text = f"{name}(1)"
    return lambda *_, **__: text


for file in sorted((Path(__file__).parents[1] / "macros").glob("*.sql")):
    for macro in re.findall(r"{% macro (\w+)\(", file.read_text(encoding="utf-8")):
        globals()[macro] = _stub(macro)


def entities_built() -> list[str]:
    """Any two: the linter needs to see the loop's border."""
    return ["job", "machine"]


flags = SimpleNamespace(FULL_REFRESH=False)


def amounts() -> list[str]:
    """Any two."""
    return ["allocated", "active"]
