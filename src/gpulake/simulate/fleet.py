"""The machines, and how their GPUs are carved into slots: no slot's share is ever counted twice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gpulake.simulate import reference
from gpulake.simulate.curves import Flags, Floats, Ints, apportion
from gpulake.simulate.dice import Dice
from gpulake.simulate.reference import MACHINE_TYPES, MachineClass

SLOT_LIMITS = np.array([10, 25, 50, 100, 200, 400, 800])
"""Largest plan_gpu that each kind of slot holds."""
_GPUS_PER_SLOT = np.array([1, 1, 1, 1, 2, 4, 8])
_SLOTS_PER_UNIT = np.array([10, 4, 2, 1, 1, 1, 1])

_FEWEST_OF_A_CLASS = 3
_UNDERSTATED_OF_REAL, _UNDERSTATED_GPUS = 14, 8
"""P100 machines with more GPUs than their row says: about 0.2 % of real metric rows show over 100 % per listed GPU, all on P100."""
_CPU_SLOT_CORES = {"CPU": 3, "other": 8}


@dataclass(frozen=True)
class Machines:
    """One entry per machine; `gpus` is what the machine table lists, `true_gpus` what is there."""

    gpu_type: Ints
    cores: Ints
    memory_gb: Ints
    gpus: Ints
    true_gpus: Ints

    def __len__(self) -> int:
        """Number of machines."""
        return len(self.gpu_type)

    def gpus_by_type(self) -> Floats:
        """True GPUs of each GPU type, in the order of GPU_TYPES."""
        by_type = np.bincount(self.gpu_type, weights=self.true_gpus.astype(np.float64), minlength=len(MACHINE_TYPES))
        return by_type[:-1].astype(np.float64)


@dataclass(frozen=True)
class Slots:
    """Equal places for instances: machine, first GPU and number of GPUs of each (no GPU for CPU-only places)."""

    machine: Ints
    first_gpu: Ints
    gpu_count: Ints

    def __len__(self) -> int:
        """Number of places."""
        return len(self.machine)


def build_machines(scale: float) -> Machines:
    """The real fleet's classes, in proportion: exactly its counts at scale 1, at least three of each class below."""
    classes = reference.machine_classes()
    by_type: dict[str, list[MachineClass]] = {}
    for kind in classes:
        by_type.setdefault(kind.gpu_type, []).append(kind)
    chosen: list[MachineClass] = []
    for kinds in by_type.values():
        real = np.array([kind.machines for kind in kinds], dtype=np.float64)
        number = max(round(real.sum() * scale), _FEWEST_OF_A_CLASS)
        for kind, count in zip(kinds, apportion(real, number), strict=True):
            chosen.extend([kind] * int(count))
    gpus = np.array([kind.cap_gpu for kind in chosen])
    gpu_type = np.array([MACHINE_TYPES.index(kind.gpu_type) for kind in chosen])
    true_gpus = gpus.copy()
    weak = np.flatnonzero(gpu_type == MACHINE_TYPES.index("P100"))
    understated = max(1, round(_UNDERSTATED_OF_REAL * scale))
    true_gpus[weak[:: max(1, len(weak) // understated)][:understated]] = _UNDERSTATED_GPUS
    return Machines(
        gpu_type,
        np.array([kind.cap_cpu for kind in chosen]),
        np.array([kind.cap_mem for kind in chosen]),
        gpus,
        true_gpus,
    )


def slot_kind(plan_gpu: Ints) -> Ints:
    """Kind of slot that holds each plan_gpu."""
    return np.searchsorted(SLOT_LIMITS, plan_gpu)


def gpu_weight(kind: Ints) -> Floats:
    """GPUs that one slot of each kind takes up."""
    result: Floats = _GPUS_PER_SLOT[kind] / _SLOTS_PER_UNIT[kind]
    return result


def carve(machines: Machines, gpu_type: int, need: Floats, dice: Dice) -> dict[int, Slots]:
    """Cut the GPUs of one type into slots, each kind in proportion to the GPUs needed at its busiest hours."""
    members = np.flatnonzero(machines.gpu_type == gpu_type)
    free = np.arange(int(machines.true_gpus[members].max()))[None, :] < machines.true_gpus[members][:, None]
    total = int(free.sum())
    wanted = need * total / max(float(need.sum()), 1e-9)
    slots: dict[int, Slots] = {}
    for kind in (6, 5, 4):
        if need[kind] <= 0:
            continue
        unit = int(_GPUS_PER_SLOT[kind])
        blocks = _free_blocks(free, unit, max(1, round(wanted[kind] / unit)))
        if blocks:
            rows, columns = (np.array(part) for part in zip(*blocks, strict=True))
            slots[kind] = Slots(members[rows], columns, np.full(len(rows), unit))
    row, column = np.nonzero(free)
    order = dice.on(f"carve {gpu_type}").permutation(len(row))
    small = np.flatnonzero(need[:4] > 0)
    shares = apportion(np.maximum(wanted[small] - 1, 0.01), max(len(row) - len(small), 0)) + 1
    start = 0
    for kind, count in zip(small.tolist(), shares.tolist(), strict=True):
        picked = order[start : start + count]
        start += count
        per_gpu = int(_SLOTS_PER_UNIT[kind])
        machine = np.repeat(members[row[picked]], per_gpu)
        slots[kind] = Slots(machine, np.repeat(column[picked], per_gpu), np.ones(len(machine), dtype=np.int64))
    return slots


def _free_blocks(free: Flags, unit: int, wanted: int) -> list[tuple[int, int]]:
    """Take up to `wanted` aligned runs of `unit` free GPUs, one per machine in turn; always leaves GPUs for smaller slots."""
    blocks: list[tuple[int, int]] = []
    for column in range(0, free.shape[1] - unit + 1, unit):
        for row in range(free.shape[0]):
            if len(blocks) >= wanted or int(free.sum()) - unit < 4:
                return blocks
            if free[row, column : column + unit].all():
                free[row, column : column + unit] = False
                blocks.append((row, column))
    return blocks


def cpu_slots(machines: Machines) -> tuple[Slots, Slots]:
    """Places for CPU-only instances: those on machines without GPUs, and those beside GPU work."""
    bare = machines.gpu_type == MACHINE_TYPES.index("CPU")
    parts = []
    for chosen, cores in ((bare, _CPU_SLOT_CORES["CPU"]), (~bare, _CPU_SLOT_CORES["other"])):
        members = np.flatnonzero(chosen)
        machine = np.repeat(members, machines.cores[members] // cores)
        parts.append(Slots(machine, np.zeros(len(machine), dtype=np.int64), np.zeros(len(machine), dtype=np.int64)))
    return parts[0], parts[1]
