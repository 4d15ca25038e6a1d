"""What a person would say after reading a page, in one or two sentences made of gold figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gpulake.telling.words import gpu_hours, pct, ratio_pct


def fleet_sentence(waste: Mapping[str, Any] | None, idle_users: Sequence[Mapping[str, Any]]) -> str:
    """What became of the capacity, and who holds most of what sat idle; only what is known is said.

    `waste` has the columns of `gold_waste_window`; `idle_users` begins with the user with the most idle GPU-hours, whose
    `idle_held_share_ratio` is the share of all users' idle GPU-hours.
    """
    if waste is None or not waste["starts_at_gpu_h"]:
        return "No GPU-hours are known here."
    if waste["starts_at_capacity"]:
        free = "nobody" if waste["down_gpu_h"] is not None else "nobody, or was down"
        said = f"{_share(waste['unallocated_ratio'])} of {gpu_hours(waste['starts_at_gpu_h'])} were held by {free}"
    else:
        said = f"Jobs held {gpu_hours(waste['allocated_gpu_h'])}"
    if waste["efficiency_ratio"] is None:
        return f"{said}. Whether what was held was used, was not measured."
    said += f"; of what was held and measured, {ratio_pct(1 - waste['efficiency_ratio'], digits=0)} sat idle."
    if idle_users and (share := idle_users[0]["idle_held_share_ratio"]) is not None:
        said += f" One user holds {ratio_pct(share, digits=0)} of the idle part."
    return said


def _share(ratio: float) -> str:
    return f"{100 * ratio:.0f} %"


def machines_sentence(fleet: Mapping[str, Any] | None, idlest: Sequence[Mapping[str, Any]]) -> str:
    """How many machines there are, and which of them was held and idle for longest.

    `fleet` is a row of `gold_fleet`; `idlest` begins with the machine of the most idle GPU-hours.
    """
    said = (
        "No machine table has landed"
        if fleet is None
        else (f"{fleet['machines']:,} machines hold {fleet['gpus']:,} GPUs")
    )
    if not idlest or not idlest[0]["idle_held_gpu_h"]:
        return f"{said}. No machine is known to have been held and idle."
    first = idlest[0]
    return f"{said}; on {first['machine_id']} jobs left {gpu_hours(first['idle_held_gpu_h'])} idle, more than on any other."


def machine_sentence(machine_id: str, summed: Mapping[str, Any] | None) -> str:
    """What one machine did in a range: its use, how much of it was observed, and what jobs left idle."""
    if summed is None:
        return f"{machine_id}: nothing was measured or held in this range."
    told = []
    if summed["gpu_util_per_gpu_pct"] is not None:
        told.append(
            f"its GPUs were {pct(summed['gpu_util_per_gpu_pct'], digits=0)} in use, "
            f"as far as it was observed ({ratio_pct(summed['coverage_ratio'], digits=0)} of the time)"
        )
    if summed["allocated_gpu_h"]:
        idle = summed["idle_held_gpu_h"]
        told.append(
            f"jobs held {gpu_hours(summed['allocated_gpu_h'])}"
            + ("" if idle is None else f" and left {gpu_hours(idle)} idle")
        )
    return f"{machine_id}: {'; '.join(told) or 'its GPUs were neither measured nor held'}."


def cost_sentence(bill: Mapping[str, Any] | None, dearest: Sequence[Mapping[str, Any]]) -> str:
    """What the range cost, how much of that paid for capacity that nobody held, and who cost most.

    `bill` has cost_usd, idle_usd and idle_cost_ratio; `dearest` begins with the user who cost most.
    """
    if bill is None or bill["cost_usd"] is None:
        return "No cost is known here: no pool of this cluster has a price."
    said = f"The capacity cost {usd(bill['cost_usd'])}"
    if bill["idle_cost_ratio"] is not None:
        said += f"; {ratio_pct(bill['idle_cost_ratio'], digits=0)} of it paid for GPUs that nobody held"
    if dearest and dearest[0]["cost_usd"]:
        said += f". The user who cost most: {usd(dearest[0]['cost_usd'])}"
    return said + "."


def usd(value: Any) -> str:  # a decimal, or a double
    """Money, in whole dollars where there is much of it."""
    return f"{value:,.0f} USD" if abs(value) >= 100 else f"{value:,.2f} USD"
