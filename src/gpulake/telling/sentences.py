"""What a person would say after reading a page, in one or two sentences made of gold figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gpulake.telling.words import gpu_hours, ratio_pct


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
