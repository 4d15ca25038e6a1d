"""What a GPU's sensors show of its use: one small physical model of power, clock and temperature.

Power is idle + held + (limit of the model - idle - held) x activity x (clock share)^2.4. Temperature follows ambient + resistance x power with a
lag. The clock is lowered so far that power stays under its limit, and temperature under the highest operating one. Energy is the sum of
power, so it is exact. The constants stand in `models`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gpulake.simulate.curves import Flags, Floats, Ints
from gpulake.simulate.dice import Dice
from gpulake.simulate.site import faults as kinds
from gpulake.simulate.site.faults import Fault, blind_spans, reboots
from gpulake.simulate.site.fleet import Grid, Site
from gpulake.simulate.site.incidents import Event, double_bits_s
from gpulake.simulate.site.models import CLOCK_EXPONENT, CLOCK_STEP_MHZ, LAG_S, LEAST_CLOCK_SHARE, Model
from gpulake.simulate.site.scheduling import Attempt
from gpulake.simulate.site.use import Small, Use

IDLE, POWER_CAP, HW_SLOWDOWN, SW_THERMAL, HW_THERMAL = 0x1, 0x4, 0x8, 0x20, 0x40
"""Bits of the reasons why a clock is what it is, as NVML has them."""

_POWER_NOISE, _RATIO_NOISE, _RATE_NOISE = 0.008, 0.015, 0.05


Traits = Mapping[str, Small]
"""Per sample: shares of the GPU's time that its multiprocessors, tensor cores and memory are busy, and MB a second on its links."""


@dataclass(frozen=True)
class Samples:
    """One row per GPU of some machines, one column per moment; whole numbers in the finest unit that any format carries.

    Utilisation in percent, power in tenths of a watt, ratios in thousandths, energy in millijoule, memory in MiB, clocks in MHz.
    `seen` says which samples somebody took. `true_power_dw` differs from `power_dw` where a sensor is stuck.
    """

    use: Use
    seen: Flags
    true_power_dw: Ints
    columns: dict[str, Ints]

    def __getattr__(self, name: str) -> Ints:
        """A column by its name."""
        try:
            return self.columns[name]
        except KeyError:
            raise AttributeError(name) from None


def measure(
    use: Use,
    traits: Traits,
    faults: Sequence[Fault],
    events: Sequence[Event],
    site: Site,
    grid: Grid,
    dice: Dice,
) -> Samples:
    """Everything that DCGM shows of some machines' GPUs, with the faults put in."""
    rows = len(use.holder)
    gpus = np.arange(use.first_gpu, use.first_gpu + rows)
    mine = [fault for fault in faults if fault.machine in set((gpus // site.gpus_per_node).tolist())]
    bodies = _Bodies.of(gpus, site)
    power, hot, capped, hottest = _warm(use, mine, bodies, site, grid)
    rng = [dice.on(f"sensors of machine {machine}") for machine in dict.fromkeys((gpus // site.gpus_per_node).tolist())]

    def noise(scale: float) -> Small:
        part = (site.gpus_per_node, len(grid))
        return np.concatenate([one.standard_normal(part, dtype=np.float32) for one in rng]) * np.float32(scale)

    every = grid.every_s
    limit_w = _limits(mine, bodies, use.first_gpu, site, grid)
    idle = (use.held_s == 0) & (use.use_pct_s == 0)
    true_dw = np.rint(np.minimum(power * (1 + noise(_POWER_NOISE)), limit_w) * 10).astype(np.int32)
    util = np.rint(use.use_pct_s / every).astype(np.int16)
    busy: Small = util.astype(np.float32) / np.float32(100)
    graphics = np.minimum(busy * (1 + noise(_RATIO_NOISE)), 1)
    sm_active = graphics * traits["sm_share"] * (1 - np.abs(noise(_RATIO_NOISE)))
    temperature = hottest + noise(0.3)
    memory_c = bodies.memory_ambient_c + (hottest - bodies.ambient_c) * bodies.memory_per_core_c
    rate = 1 + noise(_RATE_NOISE)
    columns: dict[str, Ints] = {
        "gpu_util_pct": util,
        "gr_engine_milli": _milli(graphics),
        "sm_active_milli": _milli(sm_active),
        "sm_occupancy_milli": _milli(sm_active * 0.55),
        "tensor_milli": _milli(sm_active * traits["tensor_share"]),
        "dram_milli": _milli(graphics * traits["dram_share"]),
        "mem_copy_util_pct": np.rint(25 * busy * traits["dram_share"]).astype(np.int16),
        "memory_used_mib": use.memory_mib,
        "power_dw": true_dw.copy(),
        "power_limit_w": np.rint(limit_w).astype(np.int16),
        "temperature_c": np.rint(temperature).astype(np.int16),
        "memory_temperature_c": np.rint(memory_c).astype(np.int16),
        "sm_clock_mhz": _clock(power, use, idle, bodies),
        "reasons": (
            np.where(util == 0, IDLE, 0)
            + np.where(capped & ~hot, POWER_CAP, 0)
            + np.where(hot, SW_THERMAL, 0)
            + np.where(hot & (hottest > bodies.slowdown_c), HW_SLOWDOWN | HW_THERMAL, 0)
        ).astype(np.int16),
        "pcie_rx_kb_per_s": _rate(busy, traits["pcie_mb_per_s"], rate),
        "pcie_tx_kb_per_s": _rate(busy, traits["pcie_mb_per_s"] * np.float32(0.4), rate),
        "nvlink_rx_kb_per_s": _rate(busy, traits["nvlink_mb_per_s"], rate),
        "nvlink_tx_kb_per_s": _rate(busy, traits["nvlink_mb_per_s"], rate),
    }
    columns |= _counters(true_dw, mine, events, gpus, site, grid, dice)
    seen = np.ones((rows, len(grid)), np.bool_)
    moments = grid.moments_s
    for fault in mine:
        part = _rows(fault, use.first_gpu, site)
        for begin, end in blind_spans(fault):
            seen[part, (moments >= begin) & (moments < end)] = False
        if fault.kind == kinds.OFF_THE_BUS:  # and the others of its machine while it reboots
            of_machine = _rows(Fault(fault.kind, fault.machine, -1, 0, 0, 0), use.first_gpu, site)
            seen[of_machine, (moments >= fault.to_s - kinds.REBOOT_S) & (moments < fault.to_s)] = False
        if fault.kind == kinds.STUCK_SENSOR:
            stuck = np.flatnonzero((moments >= fault.from_s) & (moments < fault.to_s))
            for name in ("power_dw", "temperature_c"):
                columns[name][part, stuck[0] :][:, : len(stuck)] = columns[name][part, stuck[0]][:, None]
    return Samples(use, seen, true_dw, columns)


def active_milli_s(samples: Samples, grid: Grid) -> dict[tuple[int, int], int]:
    """By attempt and GPU: thousandths x seconds in which multiprocessors were busy for it.

    A sample in whose time two attempts ran is divided as their use was.
    """
    every, first = grid.every_s, samples.use.first_gpu
    busy = samples.sm_active_milli.astype(np.int64)
    before = np.concatenate((np.zeros((len(busy), 1), np.int64), np.cumsum(busy, axis=1)), axis=1)
    found = {}
    for (attempt, gpu), piece in samples.use.pieces.items():
        row = gpu - first
        total = (
            (int(before[row, piece.end - 1]) - int(before[row, piece.begin + 1])) * every
            if piece.end - piece.begin > 2
            else 0
        )
        edges = {piece.begin: piece.first_pct_s, piece.end - 1: piece.last_pct_s}
        for cell, used in edges.items():
            total += round(int(busy[row, cell]) * every * used / max(int(samples.use.use_pct_s[row, cell]), 1))
        found[attempt, gpu] = total
    return found


def _rows(fault: Fault, first_gpu: int, site: Site) -> slice:
    """Rows of a fault's GPUs among those of a block."""
    first = fault.machine * site.gpus_per_node - first_gpu
    return (
        slice(first, first + site.gpus_per_node)
        if fault.gpu < 0
        else slice(fault.gpu - first_gpu, fault.gpu - first_gpu + 1)
    )


@dataclass(frozen=True)
class _Bodies:
    """Constants of each GPU, as columns."""

    idle_w: Floats
    held_w: Floats
    tdp_w: Floats
    ambient_c: Floats
    resistance: Floats
    memory_ambient_c: Floats
    memory_per_core_c: Floats
    max_operating_c: Floats
    slowdown_c: Floats
    idle_clock: Floats
    max_clock: Floats

    @staticmethod
    def of(gpus: Ints, site: Site) -> _Bodies:
        models = [site.models[gpu // site.gpus_per_node] for gpu in gpus.tolist()]

        def column(name: str) -> Floats:
            return np.array([[float(getattr(model, name))] for model in models])

        ambient = site.ambient_c[gpus][:, None]
        return _Bodies(
            idle_w=column("idle_w"),
            held_w=column("held_w"),
            tdp_w=column("tdp_w"),
            ambient_c=ambient,
            resistance=site.resistance_c_per_w[gpus][:, None],
            memory_ambient_c=column("memory_ambient_c") + ambient - column("ambient_c"),
            memory_per_core_c=column("memory_c_per_w") / column("resistance_c_per_w"),
            max_operating_c=column("max_operating_c"),
            slowdown_c=column("slowdown_c"),
            idle_clock=column("idle_clock_mhz"),
            max_clock=column("max_clock_mhz"),
        )


def wanted_w(use: Use, bodies: _Bodies, every: int) -> tuple[Floats, Floats]:
    """Power without clock, and what activity adds to it at the full clock."""
    held = np.minimum(use.held_s / every, 1.0)
    base = bodies.idle_w + bodies.held_w * held
    return base, (bodies.tdp_w - bodies.idle_w - bodies.held_w) * use.activity


def _limits(faults: Sequence[Fault], bodies: _Bodies, first_gpu: int, site: Site, grid: Grid) -> Floats:
    limit = np.repeat(bodies.tdp_w, len(grid), axis=1)
    for fault in faults:
        if fault.kind == kinds.POWER_CAP:
            limit[_rows(fault, first_gpu, site), grid.slot(fault.from_s) : grid.slot(fault.to_s)] *= fault.strength
    return np.rint(limit)


def _warm(
    use: Use, faults: Sequence[Fault], bodies: _Bodies, site: Site, grid: Grid
) -> tuple[Floats, Flags, Flags, Floats]:
    """Power, whether heat or the limit held it down, and temperature: step by step, since heat lowers what heats."""
    every = grid.every_s
    base, dyn = (np.ascontiguousarray(part.T) for part in wanted_w(use, bodies, every))
    limit = np.ascontiguousarray(_limits(faults, bodies, use.first_gpu, site, grid).T)
    resistance = bodies.resistance[:, 0].copy()
    changes: dict[int, list[tuple[slice, float]]] = {}
    for fault in faults:
        if fault.kind == kinds.THROTTLING:
            part = _rows(fault, use.first_gpu, site)
            changes.setdefault(grid.slot(fault.from_s), []).append((part, fault.strength))
            changes.setdefault(grid.slot(fault.to_s), []).append((part, 1 / fault.strength))
    ambient, most = bodies.ambient_c[:, 0], bodies.max_operating_c[:, 0]
    kept = float(np.exp(-every / LAG_S))
    least = base + dyn * LEAST_CLOCK_SHARE**CLOCK_EXPONENT
    power = np.minimum(base + dyn, np.maximum(limit, least))
    capped = base + dyn > limit + 0.5
    hot = np.zeros(power.shape, np.bool_)
    temperature = np.empty_like(power)
    now = ambient + resistance * power[0]
    for step in range(len(grid)):
        for part, factor in changes.get(step, ()):
            resistance[part] *= factor
        target = ambient + resistance * power[step]
        after = target + (now - target) * kept
        if (after > most).any():
            over = after > most
            allowed = ((most - now * kept) / (1 - kept) - ambient) / resistance
            power[step] = np.where(over, np.minimum(np.maximum(allowed, least[step]), power[step]), power[step])
            hot[step] = over
            target = ambient + resistance * power[step]
            after = target + (now - target) * kept
        now = after
        temperature[step] = now
    return power.T, hot.T, capped.T, temperature.T


def _clock(power: Floats, use: Use, idle: Flags, bodies: _Bodies) -> Ints:
    base, dyn = wanted_w(use, bodies, max(int(use.held_s.max()), 1))
    share = np.clip((power - base) / np.maximum(dyn, 1e-9), 0, 1) ** (1 / CLOCK_EXPONENT)
    share = np.where(use.activity > 0, share, 1.0)
    clock = np.rint(bodies.max_clock * share / CLOCK_STEP_MHZ) * CLOCK_STEP_MHZ
    result: Ints = np.where(idle, bodies.idle_clock, np.maximum(clock, bodies.idle_clock)).astype(np.int16)
    return result


def traits_of(attempts: Sequence[Attempt], doer: Ints) -> Traits:
    """Of each sample's job: what its kernels do."""
    names = ("sm_share", "tensor_share", "dram_share", "pcie_mb_per_s", "nvlink_mb_per_s")
    table = {name: np.array([getattr(one.job.kind, name) for one in attempts] + [0.0], np.float32) for name in names}
    alone = np.array([len(one.gpus) < 2 for one in attempts] + [True])
    table["nvlink_mb_per_s"][alone] = 0
    return {name: values[doer] for name, values in table.items()}


def _milli(ratio: Small) -> Ints:
    return np.rint(np.clip(ratio, 0, 1) * 1_000).astype(np.int16)


def _rate(busy: Small, mb_per_s: Small, noise: Small) -> Ints:
    result: Ints = np.rint(np.maximum(busy * mb_per_s * noise, 0) * 1_000).astype(np.int32)
    return result


def _counters(
    true_dw: Ints, faults: Sequence[Fault], events: Sequence[Event], gpus: Ints, site: Site, grid: Grid, dice: Dice
) -> dict[str, Ints]:
    """What only grows, but for reboots and resets. Between two samples energy grows by the power of the earlier, times the step."""
    shape, first = true_dw.shape, int(gpus[0])
    rows, step_s = shape[0], grid.every_s
    rng = dice.on("counters")
    uptime_s = grid.start_s - site.boot_s[gpus // site.gpus_per_node]
    before_mj = rng.uniform(150, 400, site.gpus)[gpus].astype(np.int64) * uptime_s * 1_000
    energy = np.zeros(shape, np.int64)
    np.cumsum(true_dw[:, :-1], axis=1, dtype=np.int64, out=energy[:, 1:])
    energy = energy * (100 * step_s) + before_mj[:, None]
    old_single, old_replays = rng.poisson(2.0, site.gpus)[gpus], rng.poisson(1.0, site.gpus)[gpus]
    single, double, pending = (np.zeros(shape, np.int32) for _ in range(3))
    replays = np.repeat(old_replays[:, None], shape[1], axis=1).astype(np.int32)
    xid = np.zeros(shape, np.int32)
    for event in events:
        if event.kind == "xid" and first <= event.gpu < first + rows:
            xid[event.gpu - first, grid.first_from(event.at_s) :] = event.code
    for fault in faults:
        if fault.kind == kinds.ECC_STORM:
            row = fault.gpu - first
            begin, end = grid.slot(fault.from_s), grid.slot(fault.to_s)
            lot = dice.on(f"single bits of gpu {fault.gpu} at {fault.from_s}").poisson(
                fault.strength * step_s / 3_600, end - begin
            )
            single[row, begin:end] += np.cumsum(lot).astype(np.int32)
            single[row, end:] += int(lot.sum())
            for at in double_bits_s(fault):
                double[row, grid.first_from(at) :] += 1
            pending[row, grid.first_from(double_bits_s(fault)[0]) :] = 1
    resets = sorted(((at, one) for one in faults for at in reboots(one)), key=lambda pair: pair[0])
    aggregate_single, aggregate_double, remapped = (
        single + old_single[:, None].astype(np.int32),
        double.copy(),
        double.copy(),
    )
    for at, fault in resets:
        begin = grid.first_from(at)
        if begin >= shape[1]:
            continue
        part = _rows(Fault(fault.kind, fault.machine, -1, 0, 0, 0), first, site)
        for counter in (energy, single, double):
            counter[part, begin:] -= counter[part, begin][:, None]
        for gauge in (replays, xid, pending):
            same = gauge[part, begin:] == gauge[part, begin][:, None]
            gauge[part, begin:][np.logical_and.accumulate(same, axis=1)] = 0
    zeros = np.zeros(shape, np.int16)
    return {
        "energy_mj": energy,
        "ecc_sbe_volatile": single,
        "ecc_dbe_volatile": double,
        "ecc_sbe_aggregate": aggregate_single,
        "ecc_dbe_aggregate": aggregate_double,
        "remapped_uncorrectable": remapped,
        "remapped_correctable": zeros,
        "row_remap_pending": pending,
        "row_remap_failed": zeros,
        "pcie_replays": replays,
        "nvlink_errors": zeros,
        "xid": xid,
    }


def model_of(site: Site, gpu: int) -> Model:
    """A GPU's model."""
    return site.models[gpu // site.gpus_per_node]
