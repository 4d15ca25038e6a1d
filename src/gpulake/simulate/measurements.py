"""The two measurement tables: lifetime means per worker (sensors) and of the machine over a worker's life (metrics)."""

from __future__ import annotations

import numpy as np
import polars as pl

from gpulake.simulate.activity import Activity
from gpulake.simulate.curves import Flags, Floats, Ints
from gpulake.simulate.dice import Dice
from gpulake.simulate.fleet import Machines
from gpulake.simulate.identifiers import Names
from gpulake.simulate.instances import Rows
from gpulake.simulate.reference import GPU_TYPES, count_of
from gpulake.simulate.signal import Host, Means
from gpulake.simulate.tables import Writer, masked, quantile_noise
from gpulake.simulate.tasks import ROLES, Tasks
from gpulake.simulate.usage import Usage

_GPU_MEMORY_GB = dict(zip(GPU_TYPES, (15.0, 12.0, 16.0, 16.0, 32.0), strict=True))
_UNKNOWN_MACHINES = count_of("pai_sensor_table", "machine not in pai_machine_spec")
_NO_NETWORK_SHARE, _NO_WORKERS_SHARE = 0.012, 0.021
_BYTES_READ_MEDIAN = 0.2789 * 2**30 / 8


def _shares_of_nulls() -> dict[str, float]:
    total = count_of("pai_sensor_table", "rows")
    return {
        column: count_of("pai_sensor_table", f"{column} empty") / total
        for column in ("cpu_usage", "avg_mem", "network columns")
    }


def unknown_machines(sensed: Ints, scale: float, dice: Dice) -> Ints:
    """Rows of the instance table whose sensor row names a machine that is in no machine table."""
    number = max(1, round(_UNKNOWN_MACHINES * scale))
    return dice.on("unknown machines").permutation(sensed)[:number]


def write_sensors(
    writer: Writer,
    rows: Rows,
    tasks: Tasks,
    usage: Usage,
    sensed: Ints,
    *,
    activity: Activity,
    strange: Ints,
    names: Names,
    dice: Dice,
) -> None:
    """Write the sensor rows of some instance rows; GPU columns are empty where no GPU was asked for."""
    if not len(sensed):
        return
    rng = dice.on(f"sensors {int(sensed[0])}")
    number = len(sensed)
    task = rows.task[sensed]
    job = tasks.job[task]
    on_gpu = tasks.gpu_type[task] >= 0
    seconds = np.maximum(rows.end_s[sensed] - rows.start_s[sensed], 1)
    gpu_pct = usage.gpu_pct_s(rows, sensed, activity) / seconds
    memory = np.minimum(quantile_noise(rng, 0.22, 0.9, number), 1.6) * tasks.plan_mem[task]
    of_card = np.array([*_GPU_MEMORY_GB.values(), 0.0])[tasks.gpu_type[task]]
    held = np.where(gpu_pct > 0, np.minimum(quantile_noise(rng, 0.13, 1.0, number), 0.97), 0.02 * rng.random(number))
    gpu_memory = held * of_card
    read = quantile_noise(rng, _BYTES_READ_MEDIAN, 2.0, number)
    write = read * quantile_noise(rng, 0.35, 1.0, number)
    nulls = {name: rng.random(number) >= share for name, share in _shares_of_nulls().items()}
    jobs, position = np.unique(job, return_inverse=True)
    machine_names = names.of("machine", np.arange(int(rows.machine.max()) + 1)).append(
        names.of("stranger", np.arange(1))
    )
    machine = np.where(np.isin(sensed, strange), len(machine_names) - 1, rows.machine[sensed])
    device = pl.Series([f"/dev/nvidia{number}" for number in range(8)]).gather(np.maximum(rows.first_gpu[sensed], 0))
    shown_gpu = pl.Series(on_gpu)
    growth = 1 + 0.6 * rng.random(number)
    writer.write(
        "pai_sensor_table",
        (
            names.of("job", jobs).gather(position),
            pl.Series(ROLES).gather(tasks.role[task]),
            names.of("worker", sensed),
            names.of("inst_id", jobs).gather(position),
            machine_names.gather(machine),
            pl.select(pl.when(shown_gpu).then(device)).to_series(),
            masked(usage.cpu_pct[sensed], nulls["cpu_usage"]),
            masked(gpu_pct, on_gpu),
            masked(memory, nulls["avg_mem"]),
            masked(memory * growth, nulls["avg_mem"]),
            masked(gpu_memory, on_gpu),
            masked(np.minimum(gpu_memory * growth, of_card), on_gpu),
            masked(read, nulls["network columns"]),
            masked(write, nulls["network columns"]),
            masked(np.rint(read / 60_000.0), nulls["network columns"]),
            masked(np.rint(write / 60_000.0), nulls["network columns"]),
        ),
    )


def sorted_means(parts: list[Means]) -> Means:
    """All means in order of their instance rows."""
    row = np.concatenate([part.row for part in parts])
    order = np.argsort(row)
    columns: list[Floats] = [
        np.concatenate([getattr(part, name) for part in parts])[order] for name in ("gpu_pct", "cpu_pct", "workers")
    ]
    return Means(row[order], *columns)


def write_metrics(
    writer: Writer, rows: Rows, means: Means, *, machines: Machines, hosts: Host, part: slice, names: Names, dice: Dice
) -> None:
    """Write one row per observed worker: its machine's means over its life; the parts of the CPU add up to the whole."""
    row = means.row[part]
    if not len(row):
        return
    rng = dice.on(f"metrics {part.start}")
    number = len(row)
    machine = rows.machine[row]
    kernel = means.cpu_pct[part] * hosts.kernel_share[machine]
    user = means.cpu_pct[part] - kernel
    iowait = hosts.iowait_pct[machine]
    load = means.cpu_pct[part] / 100 * machines.cores[machine] * quantile_noise(rng, 0.9, 0.45, number)
    network = quantile_noise(rng, 3.2e7, 0.8, number) * (1 + means.workers[part])
    seen: Flags = rng.random(number) >= _NO_NETWORK_SHARE
    writer.write(
        "pai_machine_metric",
        (
            names.of("worker", row),
            names.of("machine", np.arange(len(machines))).gather(machine),
            pl.Series(rows.start_s[row]),
            pl.Series(rows.end_s[row]),
            pl.Series(iowait),
            pl.Series(kernel),
            pl.Series(user),
            pl.Series(means.gpu_pct[part]),
            pl.Series(load),
            masked(network, seen),
            masked(means.workers[part], rng.random(number) >= _NO_WORKERS_SHARE),
            pl.Series(user + kernel + iowait),
        ),
    )
