"""What node_exporter shows of each machine: processors, load, memory, network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gpulake.simulate.curves import Flags, Ints
from gpulake.simulate.dice import Dice
from gpulake.simulate.site.faults import EXPORTER_OUTAGE, FLAPPING, NODE_DOWN, OFF_THE_BUS, REBOOT_S, Fault, blind_spans
from gpulake.simulate.site.fleet import Grid, Site
from gpulake.simulate.site.scheduling import Attempt
from gpulake.simulate.site.use import Use

_IDLE_MEMORY_MIB, _MEMORY_MIB_PER_GPU = 12_288, 60_000


@dataclass(frozen=True)
class HostSamples:
    """One row per machine of a block, one column per moment; network in kB a second since the sample before."""

    first_machine: int
    seen: Flags
    cpu_pct: Ints
    load_centi: Ints
    memory_used_mib: Ints
    net_rx_kb_per_s: Ints
    net_tx_kb_per_s: Ints


def host_samples(
    use: Use,
    attempts: Sequence[Attempt],
    faults: Sequence[Fault],
    site: Site,
    grid: Grid,
    dice: Dice,
    *,
    machines: range,
) -> HostSamples:
    """What the machines of a block do for their GPUs' jobs."""
    per_node, shape = site.gpus_per_node, (len(machines), len(grid))
    cores = np.array([one.job.kind.cores_busy for one in attempts] + [0.0], np.float32)[use.doer]
    wide = np.array([one.job.nodes > 1 for one in attempts] + [False])[use.doer]
    busy = use.use_pct_s.astype(np.float32) / (100 * grid.every_s)
    held = use.held_s.astype(np.float32) / grid.every_s
    by_machine = (len(machines), per_node, len(grid))
    working = (cores * (0.3 * held + 0.7 * busy)).reshape(by_machine).sum(axis=1)
    noise = np.stack(
        [dice.on(f"host {machine}").standard_normal((3, len(grid)), dtype=np.float32) for machine in machines]
    )
    cores_busy = np.maximum(0.02 * site.cores_per_node + working * (1 + 0.05 * noise[:, 0]), 0.1)
    read = (busy * 40_000).reshape(by_machine).sum(axis=1) * (1 + 0.1 * noise[:, 1]) + 30
    between = (busy * wide * 25_000).reshape(by_machine).sum(axis=1)
    memory = _IDLE_MEMORY_MIB + (held * _MEMORY_MIB_PER_GPU).reshape(by_machine).sum(axis=1) * (1 + 0.01 * noise[:, 2])
    seen = np.ones(shape, np.bool_)
    moments = grid.moments_s
    for fault in faults:
        if fault.machine in machines:
            row = fault.machine - machines.start
            spans = blind_spans(fault) if fault.kind in {NODE_DOWN, FLAPPING, EXPORTER_OUTAGE} else ()
            if fault.kind == OFF_THE_BUS:
                spans = ((fault.to_s - REBOOT_S, fault.to_s),)
            for begin, end in spans:
                seen[row, (moments >= begin) & (moments < end)] = False
    return HostSamples(
        first_machine=machines.start,
        seen=seen,
        cpu_pct=np.rint(np.minimum(100 * cores_busy / site.cores_per_node, 100)).astype(np.int16),
        load_centi=np.rint(100 * cores_busy).astype(np.int32),
        memory_used_mib=np.rint(np.minimum(memory, site.memory_mib_per_node)).astype(np.int32),
        net_rx_kb_per_s=np.rint(np.maximum(read + between, 1)).astype(np.int32),
        net_tx_kb_per_s=np.rint(np.maximum(read * 0.1 + between, 1)).astype(np.int32),
    )
