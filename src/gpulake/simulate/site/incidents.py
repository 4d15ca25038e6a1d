"""What a site's kernels write and its scheduler notes: error events, and spans in which machines were away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gpulake.simulate.dice import Dice
from gpulake.simulate.site.faults import (
    COUNTER_RESET,
    ECC_STORM,
    OFF_THE_BUS,
    THROTTLING,
    XID_STORM,
    Fault,
    breakdowns_of,
    first_fatal_s,
)
from gpulake.simulate.site.fleet import Grid
from gpulake.simulate.site.scheduling import DOWN, DRAINED, Attempt

_DOUBLE_BITS = 3
"""Uncorrectable errors of an ECC storm, the first at `first_fatal_s`."""
_STORM = (13, 31, 43)


@dataclass(frozen=True)
class Event:
    """One line of a kernel log that matters; `gpu` is a GPU's number or -1, `code` an Xid or -1."""

    at_s: int
    machine: int
    gpu: int
    kind: str
    code: int
    process_id: int
    process_name: str
    text: str


@dataclass(frozen=True)
class State:
    """A span in which a machine takes no jobs, as the controller notes it."""

    machine: int
    from_s: int
    to_s: int
    state: str
    reason: str
    by: str


def states_of(faults: Sequence[Fault]) -> tuple[State, ...]:
    """Spans of machines that were down, or drained by an administrator, in order."""
    found = []
    for fault in faults:
        for one in breakdowns_of(fault):
            if one.state == DOWN:
                found.append(State(one.machine, one.from_s, one.to_s, DOWN, one.reason, "slurm"))
            elif one.state == DRAINED:
                found.append(State(one.machine, one.from_s, one.reboots_s, DRAINED, one.reason, "root"))
                found.append(State(one.machine, one.reboots_s, one.to_s, DOWN, "reboot", "root"))
    return tuple(sorted(found, key=lambda state: (state.from_s, state.machine)))


def double_bits_s(fault: Fault) -> tuple[int, ...]:
    """When an ECC storm has its uncorrectable errors."""
    first = first_fatal_s(fault)
    step = (fault.to_s - first) // _DOUBLE_BITS
    return tuple(first + number * step for number in range(_DOUBLE_BITS))


def events_of(faults: Sequence[Fault], attempts: Sequence[Attempt], grid: Grid, dice: Dice) -> tuple[Event, ...]:
    """All events in order of time; a healthy site has none."""
    found: list[Event] = []
    for number, fault in enumerate(faults):
        rng = dice.on(f"events of fault {number}")
        if fault.kind == OFF_THE_BUS:
            found += _off_the_bus(fault)
        elif fault.kind == ECC_STORM:
            for at in double_bits_s(fault):
                found += _double_bit(fault, at, _pid_at(fault.gpu, at, attempts, grid), rng)
        elif fault.kind == XID_STORM:
            found += _xid_storm(fault, attempts, grid, rng)
        elif fault.kind == THROTTLING:
            found += _hot_air(fault, rng)
        found += _reboot_lines(fault)
    inside = [event for event in found if grid.start_s <= event.at_s < grid.end_s]
    return tuple(sorted(inside, key=lambda event: (event.at_s, event.machine, event.gpu, event.code, event.text)))


def _pid_at(gpu: int, at_s: int, attempts: Sequence[Attempt], grid: Grid) -> int:
    for attempt in attempts:
        if gpu in attempt.gpus and attempt.start_s <= at_s < attempt.until(grid):
            return 20_000 + attempt.job.job_id % 40_000
    return -1


def _xid(fault: Fault, at_s: int, code: int, text: str, pid: int = -1) -> Event:
    return Event(at_s, fault.machine, fault.gpu, "xid", code, pid, "python3" if pid >= 0 else "", text)


def _off_the_bus(fault: Fault) -> list[Event]:
    lost = _xid(fault, fault.from_s, 79, "GPU has fallen off the bus.")
    action = "GPU recovery action changed from 0x0 (None) to 0x2 (Node Reboot Required)"
    aer = Event(fault.from_s, fault.machine, fault.gpu, "pcie", -1, -1, "", "AER: Uncorrectable (Fatal) error received")
    return [aer, lost, _xid(fault, fault.from_s + 1, 154, action)]


def _double_bit(fault: Fault, at_s: int, pid: int, rng: np.random.Generator) -> list[Event]:
    row = int(rng.integers(0x100, 0x1FFF))
    return [
        _xid(
            fault,
            at_s,
            48,
            "An uncorrectable double bit error (DBE) has been detected on GPU in the framebuffer at physical address "
            f"0x{row:x}000 partition {row % 12}, subpartition {row % 2}.",
        ),
        _xid(fault, at_s, 63, f"Row Remapper: New row (0x{row:016x}) marked for remapping, reset gpu to activate."),
        _xid(fault, at_s + 1, 94, "Contained: HBM (0x3,0x0). RST: No, D-RST: No", pid),
    ]


def _xid_storm(fault: Fault, attempts: Sequence[Attempt], grid: Grid, rng: np.random.Generator) -> list[Event]:
    """Bursts of the three errors of a process that walks through memory that is not its own; the first at the fault's begin."""
    at = np.sort(rng.integers(fault.from_s, fault.to_s, int(fault.strength)))
    at[0] = fault.from_s
    found = []
    for number, moment in enumerate(at.tolist()):
        code = _STORM[number % len(_STORM)]
        pid = max(_pid_at(fault.gpu, moment, attempts, grid), 0) or 31_337
        channel = int(rng.integers(1, 64))
        text = {
            13: f"Graphics Exception: ESR 0x50{channel:02x}48=0x10009 0x50{channel:02x}50=0x0",
            31: f"Ch {channel:08x}, intr 00000000. MMU Fault: ENGINE GRAPHICS GPCCLIENT_T1_{channel % 8} faulted @ 0x7fc1_23{channel:02x}6000. "
            "Fault is of type FAULT_PDE ACCESS_TYPE_VIRT_READ",
            43: f"Ch {channel:08x}",
        }[code]
        found.append(_xid(fault, moment, code, text, pid))
    return found


def _hot_air(fault: Fault, rng: np.random.Generator) -> list[Event]:
    """The processors of a machine whose air is hot complain too."""
    at = np.sort(rng.integers(fault.from_s, fault.to_s, 12))
    return [
        Event(
            moment,
            fault.machine,
            -1,
            "thermal",
            -1,
            -1,
            "",
            f"CPU{number * 4}: Package temperature above threshold, cpu clock throttled (total events = {number + 1})",
        )
        for number, moment in enumerate(at.tolist())
    ]


def _reboot_lines(fault: Fault) -> list[Event]:
    """The first line that a kernel writes."""
    version = "Linux version 5.15.0-112-generic (buildd@lcy02-amd64-051) (gcc 11.4.0) #122-Ubuntu SMP"
    if fault.kind == COUNTER_RESET:
        return []
    ends = [one.to_s for one in breakdowns_of(fault) if one.state]
    return [Event(end, fault.machine, -1, "reboot", -1, -1, "", version) for end in ends]
