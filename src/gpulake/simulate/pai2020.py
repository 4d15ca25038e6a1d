"""A fleet like Alibaba's PAI cluster of 2020: the seven tables in the publisher's text, and the truth beside them.

Calibrated to what is published about cluster-trace-gpu-v2020 (CC-BY 4.0; Weng et al., NSDI 2022). The order of work:
jobs, their tasks, the instances; placement on real slots of the machines; use; the machines' exact signals; the files.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from gpulake.errors import UsageError
from gpulake.simulate import measurements, tables, truth
from gpulake.simulate.activity import Activity, draw_activity, with_faults
from gpulake.simulate.curves import Flags, Ints
from gpulake.simulate.dice import Dice
from gpulake.simulate.faults import (
    TELEMETRY_GAP,
    Fault,
    burst_of,
    holds_of,
    plan_faults,
    plan_of_fleet,
    plan_of_machines,
)
from gpulake.simulate.fleet import Machines, build_machines
from gpulake.simulate.gpu_metrics import write_gpu_metrics
from gpulake.simulate.identifiers import Names
from gpulake.simulate.injecting import Pauses, meets, unused, with_failures, with_holds, with_killed
from gpulake.simulate.instances import Rows, Shown, close_at_window_end, draw_rows, hide, leave_waiting
from gpulake.simulate.placement import place
from gpulake.simulate.population import MOST_BURSTS, RUNNING, STATUSES, WAITING, Jobs, Window, draw_jobs
from gpulake.simulate.signal import Host, Means, draw_hosts, sweep
from gpulake.simulate.tasks import Tasks, draw_tasks
from gpulake.simulate.usage import Usage, draw_usage, with_metric, with_sensor

Progress = Callable[[str, float], None]

_JOBS_AT_A_TIME = 60_000
_ROWS_AT_A_TIME = 200_000


@dataclass(frozen=True)
class Summary:
    """What was simulated and where it is."""

    out: Path
    truth: Path
    scale: float
    days: int
    seed: int
    rows: dict[str, int]
    machines: int
    gpus: int
    start_s: int
    end_s: int
    faults: int


@dataclass(frozen=True)
class _Fleet:
    """Everything that was drawn and placed, before it is written."""

    window: Window
    dice: Dice
    names: Names
    machines: Machines
    jobs: Jobs
    tasks: Tasks
    rows: Rows
    submit_s: Ints
    shown: Shown
    usage: Usage
    hosts: Host
    activity: Activity
    sensed: Flags
    observed: Flags
    faults: tuple[Fault, ...]


def simulate(
    out: Path,
    *,
    scale: float,
    days: int,
    seed: int,
    faults: bool = False,
    many_faults: bool = False,
    gpu_metrics: bool = False,
    progress: Progress | None = None,
) -> Summary:
    """Write seven tables and `truth/` under `out`: the same scale, days and seed give the same bytes.

    Scale 1 over 62 days is the real trace's size; machines follow the scale, jobs follow scale x days, so that the load per machine
    is the same at any size. Memory follows scale x days. `faults` puts in a few, `many_faults` some two dozen of eight kinds instead.
    `gpu_metrics` adds what the trace lacks of its GPUs, in `gpu_metrics/`; the trace and its truth stay what they are without it.
    Raises UsageError for a scale outside (0, 1], no days, a negative seed, or too few days for many faults.
    """
    if not 0 < scale <= 1:
        raise UsageError(f"scale is {scale}, but a fleet has a scale above 0 and at most 1", do="give --scale 0.05")
    if days < 1:
        raise UsageError(f"days is {days}, but a fleet lives for one day at least", do="give --days 62")
    if seed < 0:
        raise UsageError(f"seed is {seed}, but a seed is zero or more", do="give --seed 42")
    tell = progress or _silent
    window, dice = Window(days), Dice(seed)
    of_fleet = plan_of_fleet(window, dice) if many_faults else ()
    (out / "truth").mkdir(parents=True, exist_ok=True)
    fleet = _draw(scale, window, seed, few=faults and not many_faults, of_fleet=of_fleet, tell=tell)
    rows = _write(fleet, out, scale, tell)
    if gpu_metrics:
        tell("measuring GPUs", 0.85)
        (out / "gpu_metrics").mkdir(exist_ok=True)
        rows |= write_gpu_metrics(
            out / "gpu_metrics",
            fleet.rows,
            fleet.tasks,
            fleet.usage,
            fleet.activity,
            machines=fleet.machines,
            names=fleet.names,
            dice=fleet.dice,
            broken=faults or many_faults,
        )
    tell("simulated", 1.0)
    return Summary(
        out=out,
        truth=out / "truth",
        scale=scale,
        days=days,
        seed=seed,
        rows=rows,
        machines=len(fleet.machines),
        gpus=int(fleet.machines.gpus.sum()),
        start_s=fleet.window.start_s,
        end_s=fleet.window.end_s,
        faults=len(fleet.faults),
    )


def _silent(_what: str, _share: float) -> None:
    return


def _draw(scale: float, window: Window, seed: int, *, few: bool, of_fleet: tuple[Fault, ...], tell: Progress) -> _Fleet:
    dice, names = Dice(seed), Names(seed)
    machines = build_machines(scale)
    many = bool(of_fleet)
    tell("drawing jobs", 0.02)
    jobs = draw_jobs(scale, window, dice, bursts=MOST_BURSTS if many else int(few))
    if many:
        jobs = with_failures(jobs, of_fleet, dice)
    jobs, tasks = draw_tasks(jobs, machines.gpus_by_type(), window, dice)
    pauses = Pauses.of(of_fleet)
    held: Ints = np.empty(0, np.int64)
    if many:
        tasks, held = with_holds(jobs, tasks, machines.gpus_by_type(), window, pauses=pauses)
    rows = draw_rows(jobs, tasks, dice)
    tell("placing instances", 0.2)
    rows.wish_s[:] = np.where(rows.wish_s >= 0, pauses.shrunk(rows.wish_s), rows.wish_s)
    submit_s = place(rows, tasks, jobs.submit_s, machines, window, dice)
    if many:
        jobs, tasks = with_killed(jobs, tasks, rows, pauses.put_back(rows))
    close_at_window_end(rows, window)
    leave_waiting(rows, jobs, tasks, dice, spared=tasks.job[held])
    jobs, tasks = _settled(jobs, tasks, rows, window)
    # What never started has waited since it was first submitted
    submit_s = np.where(jobs.status == WAITING, jobs.submit_s, submit_s)
    shown = hide(rows, tasks, window, dice)
    tell("drawing use", 0.35)
    healthy = draw_activity(len(machines), window, dice)
    planned = plan_faults(machines, window, dice) if few else of_fleet
    if many:
        planned += plan_of_machines(rows, tasks, machines, window, dice)
    injected = (*planned, *burst_of(jobs), *holds_of(jobs, tasks, rows, held))
    idle = np.isin(rows.task, held)
    unseen = meets(rows, injected, TELEMETRY_GAP)
    sensed = with_sensor(rows, shown.worker_row, dice) & ~unseen
    usage = draw_usage(rows, jobs, tasks, healthy, dice, sensed=sensed, faults=injected)
    return _Fleet(
        window=window,
        dice=dice,
        names=names,
        machines=machines,
        jobs=jobs,
        tasks=tasks,
        rows=rows,
        submit_s=submit_s,
        shown=shown,
        usage=unused(usage, idle),
        hosts=draw_hosts(machines, dice),
        activity=with_faults(healthy, injected) if injected else healthy,
        sensed=sensed | (idle & (rows.start_s >= 0)),
        observed=with_metric(rows, shown.worker_row, dice, end_s=window.end_s) & ~unseen,
        faults=injected,
    )


def _settled(jobs: Jobs, tasks: Tasks, rows: Rows, window: Window) -> tuple[Jobs, Tasks]:
    """Statuses after placement: a job of which nothing started waits; what the window's end cuts, or keeps from starting, is running."""
    first = np.flatnonzero(np.concatenate(([True], rows.task[1:] != rows.task[:-1])))
    ended = np.maximum.reduceat(rows.end_s, first)
    job_ended = np.maximum.reduceat(ended, tasks.first_of_job)
    status = np.where((ended < 0) | (ended >= window.end_s), RUNNING, tasks.status)
    status[job_ended[tasks.job] < 0] = WAITING
    cut = np.maximum.reduceat((ended < 0) | (ended >= window.end_s), tasks.first_of_job)
    job_status = np.select([job_ended < 0, cut], [WAITING, RUNNING], jobs.status)
    return replace(jobs, status=job_status), replace(tasks, status=status)


def _write(fleet: _Fleet, out: Path, scale: float, tell: Progress) -> dict[str, int]:
    amounts = truth.row_truth(fleet.rows, fleet.tasks, fleet.usage, fleet.activity)
    with tables.writing(out) as writer:
        tables.write_machines(writer, fleet.machines, fleet.names)
        _write_jobs(fleet, writer, out, amounts)
        tables.write_strays(writer, fleet.names, scale, fleet.dice)
        tell("writing instances", 0.5)
        _write_rows(fleet, writer, out, scale, amounts)
        tell("sweeping machines", 0.75)
        means = _write_machine_truth(fleet, out)
        for start in range(0, len(means.row), _ROWS_AT_A_TIME):
            measurements.write_metrics(
                writer,
                fleet.rows,
                means,
                machines=fleet.machines,
                hosts=fleet.hosts,
                part=slice(start, start + _ROWS_AT_A_TIME),
                names=fleet.names,
                dice=fleet.dice,
            )
    user_days = truth.user_days_frame(fleet.jobs, fleet.tasks, fleet.rows, fleet.usage, fleet.activity, fleet.names)
    truth.save(user_days, out / "truth" / "user_days.parquet")
    truth.save(truth.faults_frame(fleet.faults, fleet.names), out / "truth" / "faults.parquet")
    truth.save(_counts(fleet, writer.rows), out / "truth" / "counts.parquet")
    return dict(writer.rows)


def _write_jobs(fleet: _Fleet, writer: tables.Writer, out: Path, amounts: truth.RowTruth) -> None:
    shown = tables.show_jobs(fleet.jobs, fleet.tasks, fleet.rows, fleet.submit_s, window=fleet.window, dice=fleet.dice)
    file = truth.Growing(out / "truth" / "jobs.parquet")
    for start in range(0, len(fleet.jobs), _JOBS_AT_A_TIME):
        part = slice(start, min(start + _JOBS_AT_A_TIME, len(fleet.jobs)))
        tables.write_jobs(
            writer, fleet.jobs, fleet.tasks, shown, fleet.submit_s, part=part, names=fleet.names, dice=fleet.dice
        )
        file.add(
            truth.jobs_frame(
                fleet.jobs,
                fleet.tasks,
                fleet.rows,
                amounts,
                fleet.submit_s,
                window=fleet.window,
                part=part,
                names=fleet.names,
            )
        )
    file.close()


def _write_rows(fleet: _Fleet, writer: tables.Writer, out: Path, scale: float, amounts: truth.RowTruth) -> None:
    sensed = np.flatnonzero(fleet.sensed)
    strange = measurements.unknown_machines(sensed, scale, fleet.dice)
    file = truth.Growing(out / "truth" / "instances.parquet")
    machine_names = fleet.names.of("machine", np.arange(len(fleet.machines)))
    for start in range(0, len(fleet.rows), _ROWS_AT_A_TIME):
        part = slice(start, min(start + _ROWS_AT_A_TIME, len(fleet.rows)))
        tables.write_instances(writer, fleet.rows, fleet.tasks, fleet.shown, part=part, names=fleet.names)
        file.add(truth.instances_frame(fleet.rows, fleet.tasks, amounts, part=part, machine_names=machine_names))
        measurements.write_sensors(
            writer,
            fleet.rows,
            fleet.tasks,
            fleet.usage,
            sensed[slice(*np.searchsorted(sensed, (part.start, part.stop)).tolist())],
            activity=fleet.activity,
            strange=strange,
            names=fleet.names,
            dice=fleet.dice,
        )
    file.close()


def _write_machine_truth(fleet: _Fleet, out: Path) -> Means:
    file = truth.Growing(out / "truth" / "machine_hours.parquet")
    machine_names = fleet.names.of("machine", np.arange(len(fleet.machines)))
    days = truth.Days(fleet.window)
    means = []
    for hours, part in sweep(
        fleet.rows,
        fleet.tasks,
        fleet.usage,
        fleet.observed,
        machines=fleet.machines,
        hosts=fleet.hosts,
        activity=fleet.activity,
    ):
        file.add(truth.machine_hours_frame(hours, fleet.machines, machine_names))
        days.add(hours, fleet.machines)
        means.append(part)
    file.close()
    truth.save(days.frame(), out / "truth" / "days.parquet")
    return measurements.sorted_means(means)


def _counts(fleet: _Fleet, rows: dict[str, int]) -> pl.DataFrame:
    """Rows of each table, and of each status where a table has one."""
    found = [(table, "rows", count) for table, count in rows.items()]
    for table, status in (
        ("pai_job_table", fleet.jobs.status),
        ("pai_task_table", fleet.tasks.status),
        ("pai_instance_table", fleet.rows.status),
    ):
        counted = np.bincount(status, minlength=len(STATUSES))
        found += [(table, f"status={name}", int(count)) for name, count in zip(STATUSES, counted, strict=True)]
    return pl.DataFrame(
        found, schema={"table_name": pl.String, "statistic": pl.String, "value": pl.Int64}, orient="row"
    )
