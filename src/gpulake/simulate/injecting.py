"""Faults of jobs, of outages and of measurement, put into a fleet while it is drawn.

What cuts use is put into the machines' activity instead (`activity.with_faults`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from gpulake.simulate.curves import Flags, Floats, Ints
from gpulake.simulate.dice import Dice
from gpulake.simulate.faults import FAILING_JOBS, HOLDS, OUTAGE, Fault
from gpulake.simulate.instances import Rows
from gpulake.simulate.population import FAILED, TERMINATED, Jobs, Window
from gpulake.simulate.tasks import Tasks
from gpulake.simulate.usage import Usage

_HOLDS_WITHIN = (0.3, 0.85)
_MOST_JOBS_OF_A_HOLDER = 40
_ROOM_S = 43_200
"""The holder's job nearest to the wanted time is taken, and may have to queue."""


def with_failures(jobs: Jobs, faults: Iterable[Fault], dice: Dice) -> Jobs:
    """The same jobs, of which a share of those that would have succeeded fails on the days of FAILING_JOBS."""
    luck, status = dice.on("failing jobs").random(len(jobs)), jobs.status.copy()
    for fault in faults:
        if fault.kind == FAILING_JOBS:
            of_day = (jobs.submit_s >= fault.start_s) & (jobs.submit_s < fault.end_s)
            status[of_day & (status == TERMINATED) & (luck < fault.magnitude)] = FAILED
    return replace(jobs, status=status)


def with_holds(jobs: Jobs, tasks: Tasks, gpus_by_type: Floats, window: Window, *, pauses: Pauses) -> tuple[Tasks, Ints]:
    """The same tasks, a few of which hold whole GPUs for days; and which ones. Each is of another user, who has few jobs beside.

    An outage would end them, so they keep clear of `pauses` where there is room.
    """
    first = tasks.first_of_job
    single = np.diff(np.append(first, len(tasks))) == 1
    owned = np.bincount(jobs.user)
    few = owned[jobs.user] <= max(_MOST_JOBS_OF_A_HOLDER, int(np.median(owned[owned > 0])))
    possible = single & few & (jobs.status == TERMINATED) & (tasks.gpu_type[first] >= 0) & ~jobs.burst
    span_s = window.end_s - window.start_s
    chosen: list[int] = []
    for (_, days), at in zip(HOLDS, np.linspace(*_HOLDS_WITHIN, len(HOLDS)), strict=True):
        begin = pauses.clear_of(window.start_s + int(at * span_s), days * 86_400 + _ROOM_S)
        begin = min(begin, window.end_s - (days + 1) * 86_400)
        late = np.abs(jobs.submit_s - begin) + np.where(possible, 0, span_s * 10)
        job = int(np.argmin(late))
        chosen.append(int(first[job]))
        possible &= jobs.user != jobs.user[job]
    held = np.array(chosen)
    columns = {name: getattr(tasks, name).copy() for name in ("gpu_type", "plan_gpu", "inst_num", "run_s", "wait_s")}
    columns["gpu_type"][held] = int(np.argmax(gpus_by_type))
    columns["plan_gpu"][held] = 100
    columns["inst_num"][held] = [gpus for gpus, _ in HOLDS]
    columns["run_s"][held] = [days * 86_400 for _, days in HOLDS]
    columns["wait_s"][held] = 60
    return replace(tasks, **columns), held


def unused(usage: Usage, members: Flags) -> Usage:
    """The same use, and none of those members."""
    return replace(
        usage, **{name: np.where(members, 0, getattr(usage, name)) for name in ("swinging", "steady", "within")}
    )


@dataclass(frozen=True)
class Pauses:
    """Stretches of time in which nothing runs. A fleet is placed as if they did not exist, and put back around them."""

    starts_s: Ints
    ends_s: Ints

    @classmethod
    def of(cls, faults: Iterable[Fault]) -> Pauses:
        """The outages, in the order of their begin."""
        spans = sorted((fault.start_s, fault.end_s) for fault in faults if fault.kind == OUTAGE)
        return cls(np.array([start for start, _ in spans], np.int64), np.array([end for _, end in spans], np.int64))

    def clear_of(self, at_s: int, length_s: int) -> int:
        """The first moment from `at_s` on after which so much time has no pause in it."""
        for start, end in zip(self.starts_s.tolist(), self.ends_s.tolist(), strict=True):
            if at_s < end + _ROOM_S and start < at_s + length_s:
                at_s = int(end) + _ROOM_S
        return at_s

    def shrunk(self, at_s: Ints) -> Ints:
        """Moments by a clock that stands still in a pause."""
        lost = np.zeros(len(at_s), np.int64)
        for start, end in zip(self.starts_s.tolist(), self.ends_s.tolist(), strict=True):
            lost += np.clip(at_s.astype(np.int64) - start, 0, end - start)
        return (at_s - lost).astype(at_s.dtype)

    def put_back(self, rows: Rows) -> Flags:
        """Give the placed rows their real times, in place; what a pause meets ends at its begin, failed. Returns which rows that are."""
        placed = rows.start_s >= 0
        lengths = self.ends_s - self.starts_s
        before = self.starts_s - (np.cumsum(lengths) - lengths)  # where each pause lies by the shrunk clock
        passed = np.append(0, np.cumsum(lengths))
        # What starts with a pause starts after it, and what ends with it ends before it.
        begun = np.searchsorted(before, rows.start_s, side="right")
        ended = np.searchsorted(before, rows.end_s, side="left")
        killed = placed & (ended > begun)
        start_s = rows.start_s + passed[begun]
        end_s = np.where(killed, np.append(self.starts_s, 0)[begun], rows.end_s + passed[np.maximum(ended, begun)])
        rows.start_s[placed], rows.end_s[placed] = start_s[placed], end_s[placed]
        rows.status[killed] = FAILED
        return killed


def with_killed(jobs: Jobs, tasks: Tasks, rows: Rows, killed: Flags) -> tuple[Jobs, Tasks]:
    """What loses an instance to an outage has failed."""
    task, job = tasks.status.copy(), jobs.status.copy()
    task[rows.task[killed]] = FAILED
    job[tasks.job[rows.task[killed]]] = FAILED
    return replace(jobs, status=job), replace(tasks, status=task)


def meets(rows: Rows, faults: Iterable[Fault], kind: str) -> Flags:
    """Rows that run while a fault of a kind lasts."""
    met = np.zeros(len(rows), np.bool_)
    for fault in faults:
        if fault.kind == kind:
            met |= (rows.start_s >= 0) & (rows.start_s < fault.end_s) & (rows.end_s > fault.start_s)
    return met
