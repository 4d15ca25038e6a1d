"""What the PAI trace lacks of its GPUs, put beside the simulated fleet: memory, power, temperature, clocks, errors, as tables of `plain`.

Each GPU of a machine is measured every ten minutes: its utilisation is the exact mean of what the instances placed there use (`signal`), cut at
100 %; the rest follows from it by the physical model of `site.signal`. Times are the trace's, seconds of an offset clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from gpulake.simulate.activity import Activity
from gpulake.simulate.curves import Floats, Ints
from gpulake.simulate.dice import Dice
from gpulake.simulate.fleet import Machines
from gpulake.simulate.identifiers import Names
from gpulake.simulate.instances import Rows
from gpulake.simulate.reference import MACHINE_TYPES
from gpulake.simulate.site.faults import ECC_STORM, THROTTLING, Fault
from gpulake.simulate.site.fleet import Grid, Site
from gpulake.simulate.site.incidents import Event, double_bits_s
from gpulake.simulate.site.models import PAI_MODELS
from gpulake.simulate.site.plain import MIB, samples_frame
from gpulake.simulate.site.signal import measure
from gpulake.simulate.site.truth import utc
from gpulake.simulate.site.use import Use
from gpulake.simulate.tasks import Tasks
from gpulake.simulate.truth import Growing, save
from gpulake.simulate.usage import PER_PERCENT, Usage

EVERY_S = 600
_GPUS_AT_A_TIME = 60
_FAULTS = ((THROTTLING, 48), (THROTTLING, 24), (ECC_STORM, 24), (ECC_STORM, 12))
_HOTTER_THAN_ALLOWED_C, _SINGLE_BIT_PER_HOUR = 10, 120.0
_DRAWS = {
    PAI_MODELS[name].name: share
    for name, share in (("T4", 0.85), ("MISC", 0.8), ("P100", 0.7), ("V100", 0.8), ("V100M32", 0.85))
}
"""How much of a model's power its work draws at full use."""


_TRAITS = {
    name: np.full((1, 1), share, np.float32)
    for name, share in (
        ("sm_share", 0.8),
        ("tensor_share", 0.2),
        ("dram_share", 0.4),
        ("pcie_mb_per_s", 0),
        ("nvlink_mb_per_s", 0),
    )
}
_NOT_MEASURED = (
    *("gr_engine_active_ratio", "sm_active_ratio", "sm_occupancy_ratio", "tensor_active_ratio", "dram_active_ratio"),
    *("pcie_rx_bytes_per_s", "pcie_tx_bytes_per_s", "nvlink_rx_bytes_per_s", "nvlink_tx_bytes_per_s", "job_id"),
)
"""PAI's use is what the driver calls utilisation: with the multiprocessors' own the fleet would have two truths."""


@dataclass(frozen=True)
class _Pieces:
    """Each placed instance once per GPU that it holds."""

    gpu: Ints
    row: Ints
    swinging: Floats
    steady: Floats


def write_gpu_metrics(
    out: Path,
    rows: Rows,
    tasks: Tasks,
    usage: Usage,
    activity: Activity,
    *,
    machines: Machines,
    names: Names,
    dice: Dice,
    broken: bool,
) -> dict[str, int]:
    """Write `plain_gpu_samples`, `plain_gpus`, `plain_events` under `out`, and with `broken` some sick GPUs, labelled in `truth/gpu_faults.parquet`."""
    window = activity.window
    grid = Grid("UTC", window.start_s, window.end_s, EVERY_S)
    first = np.cumsum(machines.true_gpus) - machines.true_gpus
    machine = np.repeat(np.arange(len(machines)), machines.true_gpus)
    site = _site(machines, machine, names, dice)
    pieces = _pieces(rows, tasks, usage, first)
    faults = _plan(pieces, rows, site, grid, dice) if broken else ()
    events = _events(faults)
    index = np.arange(len(machine)) - first[machine]
    file = Growing(out / "plain_gpu_samples.parquet")
    count = 0
    for start in range(0, len(machine), _GPUS_AT_A_TIME):
        part = range(start, min(start + _GPUS_AT_A_TIME, len(machine)))
        use = _use(pieces, rows, activity, site, machine, grid, part)
        samples = measure(use, _TRAITS, faults, events, site, grid, dice)
        frame = samples_frame(samples, (), site, grid).drop(*_NOT_MEASURED)
        gpu = np.repeat(np.array(part), len(grid))[samples.seen.ravel()]
        frame = frame.with_columns(
            pl.Series("gpu_index", index[gpu]),
            pl.lit("interval_mean").alias("sample_kind"),
            # A mean bears the time at which it ends
            (pl.col("sampled_at") + pl.duration(seconds=EVERY_S)).alias("sampled_at"),
            pl.lit(EVERY_S).cast(pl.Int64).alias("interval_s"),
        )
        file.add(frame)
        count += frame.height
    file.close()
    _write_small(out, faults, events, site, machine, index, grid)
    return {"plain_gpu_samples": count, "plain_gpus": len(machine), "plain_events": len(events)}


def _site(machines: Machines, machine: Ints, names: Names, dice: Dice) -> Site:
    """Every GPU as a machine with one, so that machines may differ in how many they have."""
    rng = dice.on("gpu metrics")
    gpus = len(machine)
    models = tuple(PAI_MODELS[MACHINE_TYPES[kind]] for kind in machines.gpu_type[machine].tolist())
    words = rng.integers(0, 1 << 48, gpus)
    ambient = np.array([model.ambient_c for model in models]) + rng.standard_normal(gpus)
    resistance = np.array([model.resistance_c_per_w for model in models]) * np.exp(0.04 * rng.standard_normal(gpus))
    return Site(
        machines=tuple(names.of("machine", machine).to_list()),
        models=models,
        partitions=("",) * gpus,
        gpus_per_node=1,
        uuids=tuple(f"GPU-{number:08x}-0000-4000-8000-{word:012x}" for number, word in enumerate(words.tolist())),
        ambient_c=ambient,
        resistance_c_per_w=resistance,
        boot_s=np.full(gpus, -30 * 86_400, np.int64),
    )


def _pieces(rows: Rows, tasks: Tasks, usage: Usage, first: Ints) -> _Pieces:
    placed = np.flatnonzero((rows.start_s >= 0) & (tasks.gpu_type[rows.task] >= 0) & (rows.end_s > rows.start_s))
    count = -(-tasks.plan_gpu[rows.task[placed]] // 100).astype(np.int64)
    row = np.repeat(placed, count)
    number = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    share = 1 / np.repeat(count, count) / PER_PERCENT
    gpu = first[rows.machine[row]] + rows.first_gpu[row] + number
    return _Pieces(gpu, row, usage.swinging[row] * share, usage.steady[row] * share)


def _use(pieces: _Pieces, rows: Rows, activity: Activity, site: Site, machine: Ints, grid: Grid, part: range) -> Use:
    """Integrals over each ten minutes, in which a machine's activity is constant."""
    mine = np.flatnonzero((pieces.gpu >= part.start) & (pieces.gpu < part.stop))
    row, local = pieces.row[mine], pieces.gpu[mine] - part.start
    start, end = rows.start_s[row].astype(np.int64), np.minimum(rows.end_s[row].astype(np.int64), grid.end_s)
    shape = (len(part), len(grid))
    swinging, steady, held = (
        _seconds(weight, local, start - grid.start_s, end - grid.start_s, shape)
        for weight in (pieces.swinging[mine], pieces.steady[mine], np.ones(len(mine)))
    )
    hour = np.minimum((grid.moments_s - grid.start_s) // 3_600, activity.factor.shape[1] - 1)
    factor = activity.factor[machine[part.start : part.stop]][:, hour]
    percent_s = np.minimum(swinging * factor + steady, 100.0 * EVERY_S)
    draws = np.array([_DRAWS[site.models[gpu].name] for gpu in part])[:, None]
    busy = percent_s / (100.0 * EVERY_S)
    held = np.minimum(held, EVERY_S)
    memory = np.array([site.models[gpu].memory_mib - site.models[gpu].reserved_mib for gpu in part])[:, None]
    nobody = np.full(shape, -1, np.int32)
    return Use(
        first_gpu=part.start,
        holder=nobody,
        doer=nobody,
        held_s=np.rint(held).astype(np.int32),
        use_pct_s=np.rint(percent_s).astype(np.int32),
        activity=(busy * draws).astype(np.float32),
        memory_mib=np.rint(memory * np.minimum((held / EVERY_S) * (0.12 + 0.6 * busy), 0.97)).astype(np.int32),
    )


def _seconds(weight: Floats, row: Ints, start: Ints, end: Ints, shape: tuple[int, int]) -> Floats:
    """Weight x seconds that spans lie in each cell of a row."""
    rows, cells = shape
    first, last = start // EVERY_S, (end - 1) // EVERY_S
    flat = np.zeros(rows * (cells + 1))
    step = np.zeros(rows * (cells + 1))
    line = row.astype(np.int64) * (cells + 1)
    inside = first == last
    until = np.where(inside, end, (first + 1) * EVERY_S)
    flat += np.bincount(line + first, weights=weight * (until - start), minlength=len(flat))
    flat += np.bincount(line + last, weights=np.where(inside, 0, weight * (end - last * EVERY_S)), minlength=len(flat))
    full = np.where(inside, 0.0, weight * EVERY_S)
    step += np.bincount(line + first + 1, weights=full, minlength=len(step))
    step -= np.bincount(line + np.maximum(last, first + 1), weights=full, minlength=len(step))
    total = flat.reshape(rows, -1) + np.cumsum(step.reshape(rows, -1), axis=1)
    return np.maximum(total[:, :cells], 0)


def _plan(pieces: _Pieces, rows: Rows, site: Site, grid: Grid, dice: Dice) -> tuple[Fault, ...]:
    """Sick GPUs where most is done in some span of hours; each GPU once."""
    rng = dice.on("gpu faults")
    faults: list[Fault] = []
    rate = pieces.swinging + pieces.steady
    for kind, hours in _FAULTS:
        length = min(hours * 3_600, (grid.end_s - grid.start_s) // 4)
        begin = grid.start_s + int(rng.integers((grid.end_s - grid.start_s - length) // 3_600)) * 3_600
        seconds = np.minimum(rows.end_s[pieces.row], begin + length) - np.maximum(rows.start_s[pieces.row], begin)
        work = np.bincount(pieces.gpu, weights=rate * np.maximum(seconds, 0), minlength=site.gpus)
        work[[fault.gpu for fault in faults]] = -1
        gpu = int(np.argmax(work))
        strength = _SINGLE_BIT_PER_HOUR
        if kind == THROTTLING:
            model = site.models[gpu]
            usual = min(float(work[gpu]) / (100 * length), 1.0) * _DRAWS[model.name]
            usual_w = model.idle_w + model.held_w + (model.tdp_w - model.idle_w - model.held_w) * usual
            wanted = model.max_operating_c + _HOTTER_THAN_ALLOWED_C - site.ambient_c[gpu]
            # So hot that its usual work is too much: most of PAI's GPUs do little
            strength = round(float(wanted / (site.resistance_c_per_w[gpu] * usual_w)), 3)
        faults.append(Fault(kind, gpu, gpu, begin, begin + length, strength))
    return tuple(faults)


def _events(faults: tuple[Fault, ...]) -> tuple[Event, ...]:
    text = "An uncorrectable double bit error (DBE) has been detected on GPU in the framebuffer."
    storms = [fault for fault in faults if fault.kind == ECC_STORM]
    return tuple(
        Event(at, fault.machine, fault.gpu, "xid", 48, -1, "", text) for fault in storms for at in double_bits_s(fault)
    )


def _write_small(
    out: Path, faults: tuple[Fault, ...], events: tuple[Event, ...], site: Site, machine: Ints, index: Ints, grid: Grid
) -> None:
    gpus = np.arange(len(machine))
    pl.DataFrame(
        {
            "machine_id": list(site.machines),
            "gpu_index": index,
            "gpu_uuid": list(site.uuids),
            "gpu_model": [site.models[gpu].name for gpu in gpus.tolist()],
            "memory_bytes": [site.models[gpu].memory_mib * MIB for gpu in gpus.tolist()],
            "seen_at": utc([grid.start_s] * len(gpus)),
        }
    ).write_csv(out / "plain_gpus.csv", datetime_format="%Y-%m-%dT%H:%M:%SZ")
    pl.DataFrame(
        {
            "machine_id": pl.Series([site.machines[one.gpu] for one in events], dtype=pl.String),
            "happened_at": utc([one.at_s for one in events]),
            "kind": pl.Series([one.kind for one in events], dtype=pl.String),
            "code": pl.Series([one.code for one in events], dtype=pl.Int64),
            "gpu_index": pl.Series([int(index[one.gpu]) for one in events], dtype=pl.Int64),
            "gpu_uuid": pl.Series([site.uuids[one.gpu] for one in events], dtype=pl.String),
            "message": pl.Series([one.text for one in events], dtype=pl.String),
        }
    ).write_csv(out / "plain_events.csv", datetime_format="%Y-%m-%dT%H:%M:%SZ")
    if faults:
        labels = pl.DataFrame(
            {
                "kind": [fault.kind for fault in faults],
                "machine": [site.machines[fault.gpu] for fault in faults],
                "gpu_index": [int(index[fault.gpu]) for fault in faults],
                "gpu_uuid": [site.uuids[fault.gpu] for fault in faults],
                "start_s": [fault.from_s for fault in faults],
                "end_s": [fault.to_s for fault in faults],
                "strength": [fault.strength for fault in faults],
            }
        )
        save(labels, out.parent / "truth" / "gpu_faults.parquet")
