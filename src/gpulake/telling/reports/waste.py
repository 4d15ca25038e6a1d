"""Waste: where the GPU-hours went, and with whom they sat idle: users, jobs, machines, pools, with their money."""

from __future__ import annotations

from gpulake.reading.fleet import Wasted, read_waste
from gpulake.reading.scope import Scope
from gpulake.telling.capacity import capacity_lines
from gpulake.telling.lines import Col, Line, Note, heading, table
from gpulake.telling.reports import Kind, Teller
from gpulake.telling.sentences import fleet_sentence

USERS = (
    Col("user_id", "user"), Col("idle_held_gpu_h", "idle", bar="idle_held"), Col("idle_held_share_ratio", "of all idle"),
    Col("allocated_gpu_h", "held"), Col("efficiency_ratio", "in use"), Col("allocation_coverage_ratio", "measured"),
    Col("cost_usd", "cost"),
)  # fmt: skip
POOLS = (
    Col("pool", "GPU model"), Col("capacity_gpu_h", "capacity"), Col("allocated_ratio", "held"),
    Col("idle_held_gpu_h", "idle", bar="idle_held"), Col("cost_usd", "cost"), Col("idle_usd", "held by nobody"),
)  # fmt: skip
_JOBS = (
    Col("job_id", "job"), Col("user_id", "user"), Col("idle_held_gpu_h", "idle", bar="idle_held"),
    Col("allocated_gpu_h", "held"), Col("efficiency_ratio", "in use"), Col("cost_usd", "cost"),
)  # fmt: skip
_MACHINES = (
    Col("machine_id", "machine"), Col("pool", "GPU model"), Col("gpu_count", "GPUs"),
    Col("idle_held_gpu_h", "idle", bar="idle_held"), Col("allocated_gpu_h", "held"), Col("gpu_util_per_gpu_pct", "GPU use"),
)  # fmt: skip


def _read(scope: Scope, _name: str | None) -> Wasted:
    return read_waste(scope)


def _sentence(found: Wasted, _teller: Teller) -> str:
    return fleet_sentence(found.waste, found.users)


def _lines(found: Wasted, teller: Teller) -> list[Line]:
    cluster, lacks = teller.scope.cluster, tuple(found.lacks)
    lines = capacity_lines(found.waste, found.bill)
    for title, beside, rows, columns in (
        ("Users who hold GPUs without using them", _of(len(found.users), found.users_all), found.users, USERS),
        ("Jobs that let most sit idle", "", [row for row in found.jobs if row["idle_held_gpu_h"]], _JOBS),
        ("Machines on which most sat idle", "", found.machines, _MACHINES),
        ("Pools", "", found.pools, POOLS),
    ):
        if rows:
            lines += [
                (),
                *heading(title, beside),
                *table(rows, columns, cluster=cluster, lacks=lacks if columns is _JOBS else ()),
            ]
    return [*lines]


def _of(shown: int, there: int) -> str:
    return f"{shown} of {there:,}" if there > shown else ""


def _notes(found: Wasted, teller: Teller) -> list[Note]:
    told: list[Note] = []
    if found.users:
        told.append(
            (
                "Talk about the largest first:",
                teller.command("report", "user", found.users[0]["user_id"], keeps_range=True),
            )
        )
    idle = [row for row in found.jobs if row["idle_held_gpu_h"]]
    if idle:
        told.append(("What that job asked for, and used:", teller.command("report", "job", idle[0]["job_id"])))
    if found.waste is not None and not found.users and not idle:
        told.append(("No idle GPU-hours are known: no use was measured, or all that was held was in use.", None))
    if "idle_held_gpu_h" in found.lacks:
        told.append((f"Of jobs: {found.lacks['idle_held_gpu_h']}", None))
    if found.waste is not None and (found.bill is None or found.bill["cost_usd"] is None):
        told.append(("No money is told: no pool of this cluster has a price.", None))
    told.append(("Who waits meanwhile:", teller.command("report", "queue", keeps_range=True)))
    return told


KIND = Kind(
    name="waste",
    answers="where idle GPU-hours stand: users, jobs, machines, pools, with their money",
    title="Waste",
    read=_read,
    sentence=_sentence,
    lines=_lines,
    notes=_notes,
    paths=lambda _name: ("/", "/users", "/machines", "/cost"),
)
