"""Which job runs where and when: first come first served with backfill, one job per GPU, and what breakdowns do to it."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from heapq import heapify, heappop, heappush
from typing import NamedTuple

from gpulake.simulate.site.fleet import BATCH, Grid, Site
from gpulake.simulate.site.jobs import Job

_STARVES_AFTER_S = 3 * 3_600
_REQUEUED_AFTER_S = 120
_KEPT_OF_A_LOST_RUN = 0.8
"""Share of what a job has done that its checkpoints keep when its machine dies."""
_LINGERS_S = 40
"""A job notices a lost GPU when its next collective call runs into its time limit."""

DOWN, DRAINED = "down", "drained"


@dataclass(frozen=True)
class Breakdown:
    """What takes machines or GPUs from the scheduler.

    `down`: the machine is away, its jobs die with it. `drained`: nothing starts there; at `reboots_s` it is away until the end.
    A `gpu` is lost from `from_s` on; `kills` says that whatever runs on it dies, whether the GPU is lost or not.
    """

    machine: int
    from_s: int
    to_s: int
    state: str = ""
    reason: str = ""
    gpu: int = -1
    kills: bool = False
    reboots_s: int = -1


@dataclass(frozen=True)
class Attempt:
    """One run of a job, or its waiting: `gpus` are the GPU numbers that it holds over [start_s, end_s). -1 is not yet."""

    job: Job
    number: int
    submit_s: int
    start_s: int
    end_s: int
    state: str
    exit_code: str
    by: str
    gpus: tuple[int, ...]

    @property
    def ran(self) -> bool:
        """Whether it ever held a GPU."""
        return self.start_s >= 0

    def until(self, grid: Grid) -> int:
        """Its end, or the window's."""
        return min(self.end_s, grid.end_s) if self.end_s >= 0 else grid.end_s


_EXITS = {
    "COMPLETED": "0:0",
    "FAILED": "1:0",
    "TIMEOUT": "0:0",
    "CANCELLED": "0:15",
    "OUT_OF_MEMORY": "0:125",
    "NODE_FAIL": "1:0",
}
# Order of what happens at the same second: ends free GPUs before anybody asks
_END, _KILL, _AWAY, _BACK, _ASK, _GIVE_UP = range(6)


def schedule(jobs: Sequence[Job], site: Site, grid: Grid, breakdowns: Sequence[Breakdown] = ()) -> tuple[Attempt, ...]:
    """Place every job; attempts come in order of their submission. No GPU is ever held twice."""
    return _Scheduler(jobs, site, grid, breakdowns).run()


@dataclass(frozen=True)
class _Waiting:
    """An attempt that has asked; `order` says who came first."""

    job: Job
    number: int
    submit_s: int
    run_s: int
    order: int


class _Shape(NamedTuple):
    """What decides whether a job fits."""

    partition: str
    nodes: int
    gpus_per_node: int


class _Scheduler:
    """The state of the site at one moment, moved from event to event."""

    def __init__(self, jobs: Sequence[Job], site: Site, grid: Grid, breakdowns: Sequence[Breakdown]) -> None:
        self._site, self._grid = site, grid
        per_node = site.gpus_per_node
        self._free = [
            list(range(machine * per_node, (machine + 1) * per_node)) for machine in range(len(site.machines))
        ]
        self._members = {partition: site.of_partition(partition) for partition in set(site.partitions)}
        self._kept_for: dict[str, _Waiting] = {}
        self._kept: dict[str, frozenset[int]] = {}
        self._away = [0] * len(site.machines)
        self._lost: set[int] = set()
        self._queue: dict[_Shape, deque[_Waiting]] = {}
        self._running: dict[int, tuple[_Waiting, int, tuple[int, ...]]] = {}
        self._done: list[Attempt] = []
        self._events: list[tuple[int, int, int, object]] = []
        self._count, self._jobs = 0, len(jobs)
        for job in jobs:
            self._put(job.submit_s, _ASK, _Waiting(job, 0, job.submit_s, job.run_s, job.number))
        for breakdown in breakdowns:
            self._plan(breakdown)

    def _put(self, at_s: int, what: int, whom: object) -> None:
        self._count += 1
        heappush(self._events, (at_s, what, self._count, whom))

    def _plan(self, breakdown: Breakdown) -> None:
        if breakdown.kills:
            self._put(breakdown.from_s, _KILL, breakdown)
        if breakdown.state:
            self._put(breakdown.from_s, _AWAY, breakdown)
            self._put(breakdown.to_s, _BACK, breakdown)
        if breakdown.reboots_s >= 0:
            self._put(breakdown.reboots_s, _KILL, replace(breakdown, gpu=-1))

    def run(self) -> tuple[Attempt, ...]:
        """Work through all events of the window."""
        while self._events and self._events[0][0] < self._grid.end_s:
            now = self._events[0][0]
            while self._events and self._events[0][0] == now:
                _, what, _, whom = heappop(self._events)
                self._take(what, whom, now)
            self._start_what_fits(now)
        for waiting, start_s, gpus in self._running.values():
            self._note(waiting, start_s, -1, "RUNNING", "0:0", "", gpus)
        for waiting in (one for line in self._queue.values() for one in line):
            self._note(waiting, -1, -1, "PENDING", "0:0", "", ())
        return tuple(sorted(self._done, key=lambda one: (one.submit_s, one.job.number, one.number)))

    def _note(
        self, waiting: _Waiting, start_s: int, end_s: int, state: str, exit_code: str, by: str, gpus: tuple[int, ...]
    ) -> None:
        self._done.append(
            Attempt(waiting.job, waiting.number, waiting.submit_s, start_s, end_s, state, exit_code, by, gpus)
        )

    def _take(self, what: int, whom: object, now: int) -> None:
        if what == _ASK:
            assert isinstance(whom, _Waiting)
            self._queue.setdefault(self._shape(whom.job), deque()).append(whom)
            if whom.job.patience_s >= 0:
                self._put(now + whom.job.patience_s, _GIVE_UP, whom)
        elif what == _GIVE_UP:
            assert isinstance(whom, _Waiting)
            line = self._queue[self._shape(whom.job)]
            if whom in line:
                line.remove(whom)
                if self._kept_for.get(self._shape(whom.job).partition) is whom:
                    del self._kept_for[self._shape(whom.job).partition]
                self._note(whom, -1, now, "CANCELLED", "0:0", whom.job.user, ())
        elif what == _END:
            assert isinstance(whom, int)
            if whom in self._running:
                job = self._running[whom][0].job
                exit_code = "0:9" if job.state == "FAILED" and job.number % 4 == 0 else _EXITS[job.state]
                self._finish(whom, now, job.state, exit_code, job.user if job.state == "CANCELLED" else "")
        elif what == _AWAY:
            assert isinstance(whom, Breakdown)
            self._away[whom.machine] += 1
            if whom.gpu >= 0:
                self._lose(whom.gpu)
            if whom.state == DOWN:
                self._die(whom, now)
        elif what == _BACK:
            assert isinstance(whom, Breakdown)
            self._away[whom.machine] -= 1
            if whom.gpu in self._lost:
                self._lost.discard(whom.gpu)
                self._release((whom.gpu,))
        else:
            assert isinstance(whom, Breakdown)
            self._kill(whom, now)

    def _lose(self, gpu: int) -> None:
        self._lost.add(gpu)
        free = self._free[gpu // self._site.gpus_per_node]
        if gpu in free:
            free.remove(gpu)

    def _release(self, gpus: tuple[int, ...]) -> None:
        for gpu in gpus:
            if gpu not in self._lost:
                free = self._free[gpu // self._site.gpus_per_node]
                free.append(gpu)
                free.sort()

    def _finish(self, key: int, now: int, state: str, exit_code: str, by: str) -> None:
        waiting, start_s, gpus = self._running.pop(key)
        self._note(waiting, start_s, now, state, exit_code, by, gpus)
        self._release(gpus)

    def _on(self, breakdown: Breakdown) -> list[int]:
        per_node = self._site.gpus_per_node
        if breakdown.gpu >= 0:
            return [key for key, (_, _, gpus) in self._running.items() if breakdown.gpu in gpus]
        return [
            key
            for key, (_, _, gpus) in self._running.items()
            if any(gpu // per_node == breakdown.machine for gpu in gpus)
        ]

    def _die(self, breakdown: Breakdown, now: int) -> None:
        """Jobs of a machine that is gone have failed with it, and wait again under the same id."""
        for key in self._on(replace(breakdown, gpu=-1)):
            waiting, start_s, _ = self._running[key]
            left_s = max(60, waiting.run_s - int(_KEPT_OF_A_LOST_RUN * (now - start_s)))
            self._finish(key, now, "NODE_FAIL", _EXITS["NODE_FAIL"], "")
            again_s = now + _REQUEUED_AFTER_S
            self._count += 1
            once_more = _Waiting(
                replace(waiting.job, patience_s=-1), waiting.number + 1, again_s, left_s, self._jobs + self._count
            )
            self._put(again_s, _ASK, once_more)

    def _kill(self, breakdown: Breakdown, now: int) -> None:
        """Jobs on a GPU that failed end a little later; those that a reboot meets are cancelled by root."""
        for key in self._on(breakdown):
            if breakdown.gpu < 0:
                self._finish(key, now, "CANCELLED", "0:15", "root")
            elif now < breakdown.from_s + _LINGERS_S:
                self._put(breakdown.from_s + _LINGERS_S, _KILL, breakdown)
            else:
                self._finish(key, now, "FAILED", "134:0", "")

    def _start_what_fits(self, now: int) -> None:
        """Start jobs in the order of their asking; what does not fit lets others pass, but not for ever.

        Within one moment room only shrinks, so that of each shape the first that does not fit speaks for all behind it.
        """
        heads = [(line[0].order, shape) for shape, line in self._queue.items() if line]
        heapify(heads)
        while heads:
            _, shape = heappop(heads)
            line = self._queue[shape]
            waiting = line[0]
            gpus = self._room(shape, waiting)
            if gpus:
                line.popleft()
                if self._kept_for.get(shape.partition) is waiting:
                    del self._kept_for[shape.partition]
                self._count += 1
                self._running[self._count] = (waiting, now, gpus)
                self._put(now + waiting.run_s, _END, self._count)
                if line:
                    heappush(heads, (line[0].order, shape))
            elif now - waiting.submit_s > _STARVES_AFTER_S and shape.partition not in self._kept_for:
                self._keep(shape, waiting)

    def _keep(self, shape: _Shape, waiting: _Waiting) -> None:
        """Keep the machines that are free soonest for one that has waited for long: nobody else starts there until it does."""
        per_node = self._site.gpus_per_node
        until = dict.fromkeys(self._members[shape.partition], 0)
        for one, start_s, gpus in self._running.values():
            for machine in {gpu // per_node for gpu in gpus}:
                if machine in until:
                    until[machine] = max(until[machine], start_s + one.job.limit_s)
        soonest = sorted(until, key=lambda machine: (self._away[machine] > 0, until[machine], machine))
        self._kept_for[shape.partition] = waiting
        self._kept[shape.partition] = frozenset(soonest[: shape.nodes])

    def _shape(self, job: Job) -> _Shape:
        partition = job.kind.partition if job.kind.partition in self._members else BATCH
        return _Shape(partition, job.nodes, job.gpus_per_node)

    def _room(self, shape: _Shape, waiting: _Waiting) -> tuple[int, ...]:
        """GPUs for a job: on the fullest machines that have room, so that whole machines stay free for gangs."""
        keeper = self._kept_for.get(shape.partition)
        kept = self._kept[shape.partition] if keeper not in {None, waiting} else frozenset()
        possible = [
            machine
            for machine in self._members[shape.partition]
            if machine not in kept and not self._away[machine] and len(self._free[machine]) >= shape.gpus_per_node
        ]
        if len(possible) < shape.nodes:
            return ()
        possible.sort(key=lambda machine: (len(self._free[machine]), machine))
        taken: list[int] = []
        for machine in sorted(possible[: shape.nodes]):
            taken += self._free[machine][: shape.gpus_per_node]
            del self._free[machine][: shape.gpus_per_node]
        return tuple(taken)
