"""What the machines of a fleet tell of its day together: each is moved by what the others know."""

from __future__ import annotations

import pytest
from rendered import asking, table

HOURS = dict.fromkeys(
    (
        "machine_no", "day_no", "hour_no", "gpu_micro_pull", "gpu_micro_pull_weight", "cpu_micro_pull", "cpu_micro_pull_weight",
    ),
    "whole",
)  # fmt: skip


def shifts(machines):
    """Of each machine on each day the shift of its GPUs, from (machine, day): (pull, weight) of GPUs, told in its first hour."""
    rows = []
    for (machine, day), (pull, weight) in machines.items():
        first = [round(1e6 * pull), round(1e6 * weight), None, None] if pull is not None else [None] * 4
        rows += [
            dict(zip(HOURS, [machine, day, hour, *(first if hour == 7 else [None] * 4)], strict=True))
            for hour in (7, 8)
        ]
    with asking("int_fleet_shifts", {"int_reconstructed_hours": table(HOURS, rows)}) as ask:
        found = ask("SELECT * FROM int_fleet_shifts")
    assert {0} == {row["cpu_shift"] for row in found}
    return {(row["machine_no"], row["day_no"]): row["gpu_shift"] for row in found}


def test_each_machine_is_moved_by_what_all_others_tell():
    """By hand: the others of 1 know -30 and 60: -30 / 60 + 1 / 30; those of 2 -50 and 120, those of 3 -40 and 100."""
    found = shifts({(1, 0): (-30, 80), (2, 0): (-10, 20), (3, 0): (-20, 40)})

    by_hand = {(1, 0): -1 / 2 + 1 / 30, (2, 0): -5 / 12 + 1 / 50, (3, 0): -2 / 5 + 1 / 40}
    assert by_hand == pytest.approx(found)


def test_days_and_machines_without_a_gpu_told_of_count_apart():
    """Another day's machines say nothing of this one; one that knows nothing is moved as the others say."""
    found = shifts({(1, 0): (20, 50), (2, 0): (None, None), (1, 1): (7, 9), (2, 1): (8, 10)})

    by_hand = {(1, 0): 0, (2, 0): 20 / 50 - 1 / 20, (1, 1): 8 / 10 - 1 / 8, (2, 1): 7 / 9 - 1 / 7}
    assert by_hand == pytest.approx(found)


@pytest.mark.parametrize("pull", [7, -7, 0])
def test_what_may_be_chance_moves_nothing(pull):
    """7² is no more than 49: an estimate of 1 / 7 with as large an error."""
    assert {(1, 0): 0, (2, 0): 0} == shifts({(1, 0): (pull, 49), (2, 0): (pull, 49)})
    assert {(1, 0): 0} == shifts({(1, 0): (100, 49)}), "alone, a machine is not moved"
