"""Where and when each instance really runs: the earliest free slot of its kind, never two instances in one slot."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heapify, heapreplace

import numpy as np

from gpulake.simulate.curves import Flags, Floats, Ints
from gpulake.simulate.dice import Dice
from gpulake.simulate.fleet import Machines, Slots, carve, cpu_slots, gpu_weight, slot_kind
from gpulake.simulate.instances import Rows
from gpulake.simulate.population import Window
from gpulake.simulate.reference import GPU_TYPES
from gpulake.simulate.tasks import Tasks

_CHUNK = 200_000
_SLOT_BITS = 24
_BUSY_QUANTILE = 0.97
_ON_CPU_MACHINES = 0.39
"""Share of CPU-only tasks on machines without GPUs: 3.9 % of all real instance rows are there."""


def place(rows: Rows, tasks: Tasks, submit_s: Ints, machines: Machines, window: Window, dice: Dice) -> Ints:
    """Fill in where and when every started row runs; returns each job's submission, moved by what its tasks had to queue.

    The wait that the trace publishes is drawn, the queueing is simulated; where a slot frees later than the drawn wait allows, the
    job is submitted later by as much, so that waits keep their published distribution and GPUs are still never overfull.
    """
    started = rows.wish_s >= 0
    gpu_type = tasks.gpu_type[rows.task]
    kind = slot_kind(tasks.plan_gpu[rows.task])
    for number, _ in enumerate(GPU_TYPES):
        members = np.flatnonzero(started & (gpu_type == number))
        if not len(members):
            continue
        kinds = kind[members]
        need = np.array(
            [_need(rows, members[kinds == one], window) * gpu_weight(np.array([one]))[0] for one in range(7)]
        )
        slots = carve(machines, number, need, dice)
        for one in range(7):
            inside = members[kinds == one]
            if len(inside):
                _fill(rows, inside, _nearest(slots, one))
    delay = _queued(rows, tasks, len(submit_s), gpu_type >= 0)
    bare, beside = cpu_slots(machines)
    at_bare = dice.on("cpu machines").random(len(tasks)) < _ON_CPU_MACHINES
    for chosen, slots_ in ((at_bare, bare), (~at_bare, beside)):
        inside = np.flatnonzero(started & (gpu_type < 0) & chosen[rows.task])
        rows.wish_s[inside] += delay[tasks.job[rows.task[inside]]]
        _fill(rows, inside, slots_)
    return submit_s + delay


def _nearest(slots: dict[int, Slots], kind: int) -> Slots:
    """Slots of the kind, or of the next larger one where a tiny fleet has none."""
    larger = [one for one in sorted(slots) if one >= kind]
    return slots[larger[0] if larger else max(slots)]


def _need(rows: Rows, members: Ints, window: Window) -> float:
    """Slots in use at the busiest hours, if nobody ever queued."""
    if not len(members):
        return 0.0
    hours = window.days * 24 + 1
    start = np.clip((rows.wish_s[members] - window.start_s) / 3_600, 0, hours - 1)
    end = np.clip(start + rows.run_s[members] / 3_600, 0, hours - 1)
    first, last = np.floor(start).astype(np.int64), np.floor(end).astype(np.int64)
    # Occupied part of the first and the last hour, and a step up and down for the full hours between
    used = np.bincount(first, weights=np.where(first == last, end - start, first + 1 - start), minlength=hours)
    used += np.bincount(last, weights=np.where(first == last, 0.0, end - last), minlength=hours)
    steps = np.bincount(np.minimum(first + 1, last), minlength=hours + 1) - np.bincount(last, minlength=hours + 1)
    inside: Floats = used + np.cumsum(steps)[:hours] * 1.0
    return float(np.quantile(inside, _BUSY_QUANTILE)) + 0.3


def _fill(rows: Rows, members: Ints, slots: Slots) -> None:
    """Place rows in order of their wish; each takes the slot that has been free for longest, or waits for the first to free."""
    if not len(members):
        return
    order = members[np.argsort(rows.wish_s[members], kind="stable")]
    mask = (1 << _SLOT_BITS) - 1
    heap = list(range(len(slots)))
    heapify(heap)
    for part in range(0, len(order), _CHUNK):
        inside = order[part : part + _CHUNK]
        taken = np.fromiter(
            _steps(heap, rows.wish_s[inside], rows.run_s[inside], mask), dtype=np.int64, count=len(inside)
        )
        slot = taken & mask
        rows.start_s[inside] = np.maximum(rows.wish_s[inside], taken >> _SLOT_BITS)
        rows.machine[inside] = slots.machine[slot]
        rows.first_gpu[inside] = slots.first_gpu[slot]
    rows.end_s[members] = rows.start_s[members] + rows.run_s[members]


def _steps(heap: list[int], wish_s: Ints, run_s: Ints, mask: int) -> Iterator[int]:
    bits = _SLOT_BITS
    for wish, run in zip(wish_s.tolist(), run_s.tolist(), strict=True):
        top = heap[0]
        free = top >> bits
        yield heapreplace(heap, (((max(free, wish)) + run) << bits) | (top & mask))


def _queued(rows: Rows, tasks: Tasks, jobs: int, on_gpu: Flags) -> Ints:
    """Seconds by which each job's earliest GPU task had to queue beyond its drawn wait."""
    # The first attempt of a task's first instance says how long the task queued: the others wished to start later
    opening = np.flatnonzero(on_gpu & (rows.start_s >= 0) & rows.opens_task)
    queued = np.full(jobs, np.iinfo(np.int64).max)
    np.minimum.at(queued, tasks.job[rows.task[opening]], rows.start_s[opening] - rows.wish_s[opening])
    return np.where(queued == np.iinfo(np.int64).max, 0, queued)
