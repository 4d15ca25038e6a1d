"""What goes wrong at a site: kinds, where and when each is put, and what it takes from the scheduler."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gpulake.errors import UsageError
from gpulake.simulate.curves import Floats
from gpulake.simulate.dice import Dice
from gpulake.simulate.site.fleet import Grid, Site
from gpulake.simulate.site.jobs import Job
from gpulake.simulate.site.scheduling import DOWN, DRAINED, Attempt, Breakdown, schedule

THROTTLING, ECC_STORM, XID_STORM, OFF_THE_BUS = "throttling", "ecc_storm", "xid_storm", "fallen_off_the_bus"
NODE_DOWN, FLAPPING, POWER_CAP, STUCK_SENSOR = "node_down", "flapping", "power_cap", "stuck_sensor"
COUNTER_RESET, EXPORTER_OUTAGE = "counter_reset", "exporter_outage"

_HOURS = {
    THROTTLING: 10.0,
    ECC_STORM: 4.0,
    XID_STORM: 0.5,
    OFF_THE_BUS: 8.0,
    NODE_DOWN: 5.0,
    FLAPPING: 4.0,
    POWER_CAP: 24.0,
    STUCK_SENSOR: 12.0,
    COUNTER_RESET: 0.0,
    EXPORTER_OUTAGE: 6.0,
}
KINDS = tuple(_HOURS)
_OF_ONE_GPU = {THROTTLING, ECC_STORM, XID_STORM, OFF_THE_BUS, STUCK_SENSOR}

REBOOT_S = 600
FLAPS = 6
CAPPED_SHARE = 0.55
_HOTTER_THAN_ALLOWED_C = 18
_SINGLE_BIT_PER_HOUR, _XIDS_OF_A_STORM = 400.0, 240.0
_FIRST, _LAST = 0.08, 0.92
_LEAST_S = 900
_LOOKED_AT = 8
"""Moments that are looked at for each fault: it is put where most would meet it."""
_APART_S = 1_800
"""Two faults of one machine lie at least so far apart."""


@dataclass(frozen=True)
class Fault:
    """One fault and its label. `gpu` is a GPU's number, -1 for the whole machine.

    `strength`: of throttling the factor on thermal resistance; of an ECC storm single-bit errors an hour; of an Xid storm lines of the kernel
    log; of a power cap the limit over the model's own; of flapping how often; 1 of what is there or not.
    """

    kind: str
    machine: int
    gpu: int
    from_s: int
    to_s: int
    strength: float

    def covers(self, machine: int, gpu: int) -> bool:
        """Whether it is that GPU's, or its whole machine's."""
        return self.machine == machine and self.gpu in {-1, gpu}


def asked(words: str) -> tuple[str, ...]:
    """Kinds of faults from `all`, or from a list such as `throttling,node_down:2`. Raises UsageError for a word that is none."""
    if words in {"", "none"}:
        return ()
    if words == "all":
        return KINDS
    kinds: list[str] = []
    for word in words.split(","):
        kind, _, count = word.strip().partition(":")
        if kind not in KINDS or not (count or "1").isdigit():
            raise UsageError(f"there is no fault {word.strip()!r}", do=f"choose from all, {', '.join(KINDS)}")
        kinds += [kind] * int(count or "1")
    return tuple(kinds)


def plan_faults(
    kinds: Sequence[str], jobs: Sequence[Job], site: Site, grid: Grid, dice: Dice
) -> tuple[tuple[Fault, ...], tuple[Attempt, ...]]:
    """Put faults where GPUs are at work, one after the other, and schedule the jobs around them.

    Each fault is put where the schedule with all earlier ones has most work. Raises UsageError where there is no room left.
    """
    attempts = schedule(jobs, site, grid)
    faults: list[Fault] = []
    rng = dice.on("site faults")
    edges = np.linspace(_FIRST, _LAST, len(kinds) + 1)
    span_s = grid.end_s - grid.start_s
    shrink = min(1.0, grid.days / 7)
    for number, which in enumerate(rng.permutation(len(kinds))):
        kind, room_s = kinds[which], span_s * (edges[number + 1] - edges[number])
        places = []
        for at in rng.uniform(0.1, 0.6, _LOOKED_AT):
            begin = grid.start_s + int(span_s * edges[number] + at * room_s)
            begin -= (begin - grid.start_s) % 60
            length_s = max(_LEAST_S, int(_HOURS[kind] * shrink * 3_600)) if _HOURS[kind] else grid.every_s
            end = min(begin + length_s - length_s % 60, grid.end_s) if _HOURS[kind] else begin + length_s
            places.append(_place(kind, begin, end, attempts, faults, site, grid, rng))
        faults.append(max(places, key=lambda place: place[0])[1])
        if breakdowns_of(faults[-1]):
            every = [breakdown for fault in faults for breakdown in breakdowns_of(fault)]
            attempts = schedule(jobs, site, grid, every)
    return tuple(faults), attempts


def _place(
    kind: str,
    from_s: int,
    to_s: int,
    attempts: Sequence[Attempt],
    faults: Sequence[Fault],
    site: Site,
    grid: Grid,
    rng: np.random.Generator,
) -> tuple[float, Fault]:
    """The GPU, or machine, with most work in those hours of which no other fault is near; and how much that is."""
    work = _work(attempts, site, grid, from_s, max(to_s, from_s + 600)) + 1e-6 * rng.random(site.gpus)
    per_node = site.gpus_per_node
    for other in faults:
        if other.from_s - _APART_S < to_s and other.to_s + _APART_S > from_s:
            work[other.machine * per_node : (other.machine + 1) * per_node] = -1
    if work.max() < 0:
        raise UsageError(
            f"{len(faults) + 1} faults do not fit on {len(site.machines)} machines in {grid.days:.3g} days",
            do="give more --nodes or --days, or fewer --faults",
        )
    if kind in _OF_ONE_GPU:
        gpu = int(np.argmax(work))
        machine, most = gpu // per_node, float(work[gpu])
    else:
        of_machine = work.reshape(-1, per_node).sum(axis=1)
        gpu, machine, most = -1, int(np.argmax(of_machine)), float(of_machine.max())
    return most, Fault(kind, machine, gpu, from_s, to_s, _strength(kind, gpu, machine, site))


def _strength(kind: str, gpu: int, machine: int, site: Site) -> float:
    if kind == THROTTLING:
        model = site.models[machine]
        wanted = model.max_operating_c + _HOTTER_THAN_ALLOWED_C - site.ambient_c[gpu]
        return round(float(wanted / (site.resistance_c_per_w[gpu] * model.tdp_w)), 3)
    fixed = {ECC_STORM: _SINGLE_BIT_PER_HOUR, XID_STORM: _XIDS_OF_A_STORM, POWER_CAP: CAPPED_SHARE}
    return fixed.get(kind, float(FLAPS) if kind == FLAPPING else 1.0)


def _work(attempts: Sequence[Attempt], site: Site, grid: Grid, from_s: int, to_s: int) -> Floats:
    """Per GPU: seconds held, weighted with what the job draws."""
    work = np.zeros(site.gpus)
    for attempt in attempts:
        if attempt.ran:
            seconds = min(attempt.until(grid), to_s) - max(attempt.start_s, from_s)
            if seconds > 0:
                of_job = attempt.job.intensity * attempt.job.use_pct / 100
                # Held at the begin counts double: who dies of a fault must be there when it strikes
                there = 1.0 if attempt.start_s <= from_s < attempt.until(grid) else 0.0
                work[list(attempt.gpus)] += of_job * (seconds / (to_s - from_s) + there)
    return work


def breakdowns_of(fault: Fault) -> tuple[Breakdown, ...]:
    """What a fault takes from the scheduler; nothing where it only slows or blinds."""
    if fault.kind == NODE_DOWN:
        return (Breakdown(fault.machine, fault.from_s, fault.to_s, DOWN, "Not responding"),)
    if fault.kind == FLAPPING:
        return tuple(Breakdown(fault.machine, start, end, DOWN, "Not responding") for start, end in flaps(fault))
    if fault.kind == OFF_THE_BUS:
        return (
            Breakdown(
                *(fault.machine, fault.from_s, fault.to_s, DRAINED, "GPU has fallen off the bus"),
                gpu=fault.gpu,
                kills=True,
                reboots_s=fault.to_s - REBOOT_S,
            ),
        )
    if fault.kind in {ECC_STORM, XID_STORM}:
        return (Breakdown(fault.machine, first_fatal_s(fault), fault.to_s, gpu=fault.gpu, kills=True),)
    return ()


def flaps(fault: Fault) -> tuple[tuple[int, int], ...]:
    """The spans in which a flapping machine is away: a third of its time, in equal parts of whole minutes."""
    length = (fault.to_s - fault.from_s) // FLAPS
    away = max(60, length // 3 - length // 3 % 60)
    return tuple((fault.from_s + part * length, fault.from_s + part * length + away) for part in range(FLAPS))


def first_fatal_s(fault: Fault) -> int:
    """When the first error comes that a process does not survive."""
    lead_s = (fault.to_s - fault.from_s) // 6 if fault.kind == ECC_STORM else 0
    return fault.from_s + lead_s


def blind_spans(fault: Fault) -> tuple[tuple[int, int], ...]:
    """When nothing of the fault's GPUs is measured: of `fault.gpu`, or of all of its machine."""
    if fault.kind in {NODE_DOWN, EXPORTER_OUTAGE, OFF_THE_BUS}:
        return ((fault.from_s, fault.to_s),)
    return flaps(fault) if fault.kind == FLAPPING else ()


def reboots(fault: Fault) -> tuple[int, ...]:
    """When its machine comes back with counters from zero."""
    if fault.kind in {NODE_DOWN, OFF_THE_BUS, COUNTER_RESET}:
        return (fault.from_s if fault.kind == COUNTER_RESET else fault.to_s,)
    return tuple(end for _, end in flaps(fault)) if fault.kind == FLAPPING else ()
