"""The truth beside the tables: what the fleet really did, summed from its own placements, as Parquet."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from gpulake.simulate import reference
from gpulake.simulate.activity import Activity
from gpulake.simulate.curves import Floats, Ints
from gpulake.simulate.faults import FLEET, Fault
from gpulake.simulate.fleet import Machines
from gpulake.simulate.identifiers import Names
from gpulake.simulate.instances import Rows
from gpulake.simulate.population import Jobs, Window
from gpulake.simulate.signal import MachineHours
from gpulake.simulate.tables import masked
from gpulake.simulate.tasks import Tasks
from gpulake.simulate.usage import Usage

_ROWS_AT_A_TIME = 500_000
MGPU_PER_PERCENT = 10


class Growing:
    """One Parquet file that grows by parts."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: pq.ParquetWriter | None = None

    def add(self, frame: pl.DataFrame) -> None:
        """Append a part."""
        table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._path, table.schema, compression="zstd", compression_level=1)
        self._writer.write_table(table)

    def close(self) -> None:
        """Finish the file."""
        if self._writer is not None:
            self._writer.close()


def save(frame: pl.DataFrame, path: Path) -> None:
    """Write one small table."""
    pq.write_table(frame.to_arrow(compat_level=pl.CompatLevel.oldest()), path, compression="zstd", compression_level=1)


@dataclass
class Days:
    """Sums per local day over all machines with GPUs, gathered while the machines pass by."""

    window: Window
    sums: dict[str, Floats] = field(default_factory=dict)
    hourly_pct: list[Floats] = field(default_factory=list)
    hourly_day: list[Ints] = field(default_factory=list)

    def add(self, hours: MachineHours, machines: Machines) -> None:
        """Add some machines' hours."""
        day = (hours.hour_start_s - self.window.start_s) // 86_400
        gpus, cores = machines.gpus[hours.machine], machines.cores[hours.machine]
        amounts = {
            "capacity_gpu_s": gpus * 3_600.0,
            "allocated_mgpu_s": hours.allocated_mgpu_s,
            "active_mgpu_s": hours.active_mgpu_s,
            "gpu_pct_s": hours.gpu_pct_s,
            "covered_machine_s": np.where(gpus > 0, hours.covered_s, 0),
            "covered_gpu_s": hours.covered_s * gpus,
            "covered_gpu_pct_s": hours.covered_gpu_pct_s,
            "capacity_core_s": cores * 3_600.0,
            "cpu_pct_core_s": hours.cpu_pct_s * cores,
            "covered_core_s": hours.covered_s * cores,
            "covered_cpu_pct_core_s": hours.covered_cpu_pct_s * cores,
        }
        for name, amount in amounts.items():
            summed = np.bincount(day, weights=amount, minlength=self.window.days)
            self.sums[name] = self.sums.get(name, np.zeros(self.window.days)) + summed
        half = (hours.covered_s >= 1_800) & (gpus > 0)
        self.hourly_pct.append(hours.covered_gpu_pct_s[half] / (hours.covered_s[half] * gpus[half]))
        self.hourly_day.append(day[half])

    def frame(self) -> pl.DataFrame:
        """One row per local day; `dt` is the date that the offset clock gives, `day` counts from the window's first."""
        day, pct = np.concatenate(self.hourly_day), np.concatenate(self.hourly_pct)
        p95 = [
            float(np.quantile(pct[day == one], 0.95)) if (day == one).any() else None for one in range(self.window.days)
        ]
        epoch_day = (self.window.start_s + reference.UTC_OFFSET_S) // 86_400
        whole = {"capacity_gpu_s", "allocated_mgpu_s", "active_mgpu_s", "covered_machine_s", "covered_gpu_s"}
        whole |= {"capacity_core_s", "covered_core_s"}
        frame = pl.DataFrame(
            {
                "dt": pl.Series(np.arange(self.window.days) + epoch_day, dtype=pl.Int32).cast(pl.Date),
                "day": np.arange(self.window.days),
                **{name: values.astype(np.int64) if name in whole else values for name, values in self.sums.items()},
                "p95_gpu_util_covered_hours": pl.Series(p95, dtype=pl.Float64),
            }
        )
        return frame.with_columns(
            avg_gpu_util=pl.col("gpu_pct_s") / pl.col("capacity_gpu_s"),
            avg_gpu_util_covered=_ratio("covered_gpu_pct_s", "covered_gpu_s"),
            avg_cpu_util=pl.col("cpu_pct_core_s") / pl.col("capacity_core_s"),
            avg_cpu_util_covered=_ratio("covered_cpu_pct_core_s", "covered_core_s"),
            coverage_ratio=pl.col("covered_gpu_s") / pl.col("capacity_gpu_s"),
        )


def _ratio(part: str, whole: str) -> pl.Expr:
    return pl.when(pl.col(whole) > 0).then(pl.col(part) / pl.col(whole))


def machine_hours_frame(hours: MachineHours, machines: Machines, names: pl.Series) -> pl.DataFrame:
    """One row per machine and hour, as the fleet was."""
    return pl.DataFrame(
        {
            "machine": names.gather(hours.machine),
            "hour_start_s": hours.hour_start_s,
            "gpus": machines.gpus[hours.machine],
            "allocated_mgpu_s": hours.allocated_mgpu_s,
            "active_mgpu_s": hours.active_mgpu_s,
            "idle_mgpu_s": hours.allocated_mgpu_s - hours.active_mgpu_s,
            "gpu_pct_s": hours.gpu_pct_s,
            "covered_s": hours.covered_s,
            "covered_gpu_pct_s": hours.covered_gpu_pct_s,
            "cpu_pct_s": hours.cpu_pct_s,
            "covered_cpu_pct_s": hours.covered_cpu_pct_s,
        }
    )


@dataclass(frozen=True)
class RowTruth:
    """Per instance row: GPUs held and used, in milli-GPU-seconds."""

    allocated_mgpu_s: Ints
    active_mgpu_s: Floats


def row_truth(rows: Rows, tasks: Tasks, usage: Usage, activity: Activity) -> RowTruth:
    """Amounts of every row over its whole run; zero for what never started."""
    allocated = np.zeros(len(rows), dtype=np.int64)
    active = np.zeros(len(rows))
    for start in range(0, len(rows), _ROWS_AT_A_TIME):
        members = start + np.flatnonzero(rows.start_s[start : start + _ROWS_AT_A_TIME] >= 0)
        held = tasks.plan_gpu[rows.task[members]] * MGPU_PER_PERCENT
        allocated[members] = held * (rows.end_s[members] - rows.start_s[members])
        active[members] = usage.active_pct_s(rows, members, activity) * MGPU_PER_PERCENT
    return RowTruth(allocated, active)


def jobs_frame(
    jobs: Jobs,
    tasks: Tasks,
    rows: Rows,
    amounts: RowTruth,
    submit_s: Ints,
    *,
    window: Window,
    part: slice,
    names: Names,
) -> pl.DataFrame:
    """One row per job, with the waits and ends that the trace hides; null where nothing started, or nothing ended yet."""
    first_row = np.searchsorted(rows.task, tasks.first_of_job[part.start : part.stop])
    last_row = len(rows) if part.stop >= len(jobs) else int(np.searchsorted(rows.task, tasks.first_of_job[part.stop]))
    inside = slice(int(first_row[0]), last_row)
    local = first_row - first_row[0]
    start = rows.start_s[inside].astype(np.int64)  # wide enough for the sentinel below
    started = np.minimum.reduceat(np.where(start < 0, np.iinfo(np.int64).max, start), local)
    ended = np.maximum.reduceat(rows.end_s[inside], local)
    ran, done = ended >= 0, (ended >= 0) & (ended < window.end_s)
    allocated = np.add.reduceat(amounts.allocated_mgpu_s[inside], local)
    active = np.rint(np.add.reduceat(amounts.active_mgpu_s[inside], local)).astype(np.int64)
    number = np.arange(part.start, part.stop)
    return pl.DataFrame(
        {
            "job_name": names.of("job", number),
            "inst_id": names.of("inst_id", number),
            "user": names.of("user", jobs.user[part]),
            "submitted_s": submit_s[part],
            "started_s": masked(started, ran),
            "ended_s": masked(ended, done),
            "wait_s": masked(started - submit_s[part], ran),
            "run_s": masked(ended - started, done),
            "allocated_mgpu_s": allocated,
            "active_mgpu_s": active,
            "idle_mgpu_s": allocated - active,
        }
    )


def user_days_frame(
    jobs: Jobs, tasks: Tasks, rows: Rows, usage: Usage, activity: Activity, names: Names
) -> pl.DataFrame:
    """One row per user and local day: runs are cut at midnight first."""
    window = activity.window
    users = int(jobs.user.max()) + 1
    allocated, active = np.zeros(users * window.days, dtype=np.int64), np.zeros(users * window.days)
    for start in range(0, len(rows), _ROWS_AT_A_TIME):
        members = start + np.flatnonzero(rows.start_s[start : start + _ROWS_AT_A_TIME] >= 0)
        members = members[tasks.plan_gpu[rows.task[members]] > 0]
        since, until = rows.start_s[members] - window.start_s, rows.end_s[members] - window.start_s
        first = since // 86_400
        days = np.maximum((until - 1) // 86_400, first) - first + 1
        row = np.repeat(np.arange(len(members)), days)
        day = first[row] + np.arange(len(row)) - np.repeat(np.cumsum(days) - days, days)
        begins = np.maximum(since[row], day * 86_400) + window.start_s
        ends = np.minimum(until[row], (day + 1) * 86_400) + window.start_s
        cut = Rows(**{**rows.__dict__, "start_s": begins, "end_s": ends})
        machine, index = rows.machine[members][row], members[row]
        live = activity.until(machine, cut.end_s) - activity.until(machine, cut.start_s)
        used = (usage.swinging[index] * live + usage.within[index] * (ends - begins)) / 1_000_000
        key = jobs.user[tasks.job[rows.task[index]]] * window.days + day
        held = tasks.plan_gpu[rows.task[index]] * MGPU_PER_PERCENT * (ends - begins)
        allocated += np.bincount(key, weights=held, minlength=len(allocated)).astype(np.int64)
        active += np.bincount(key, weights=used * MGPU_PER_PERCENT, minlength=len(active))
    there = np.flatnonzero(allocated > 0)
    epoch_day = (window.start_s + reference.UTC_OFFSET_S) // 86_400
    used_mgpu_s = np.rint(active[there]).astype(np.int64)
    return pl.DataFrame(
        {
            "user": names.of("user", there // window.days),
            "dt": pl.Series(there % window.days + epoch_day).cast(pl.Int32).cast(pl.Date),
            "day": there % window.days,
            "allocated_mgpu_s": allocated[there],
            "active_mgpu_s": used_mgpu_s,
            "idle_mgpu_s": allocated[there] - used_mgpu_s,
        }
    )


def instances_frame(
    rows: Rows, tasks: Tasks, amounts: RowTruth, *, part: slice, machine_names: pl.Series
) -> pl.DataFrame:
    """One row per row of the instance table that really ran: where, when, on how much; `instance_row` counts its lines from 1."""
    members = part.start + np.flatnonzero(rows.start_s[part] >= 0)
    plan = tasks.plan_gpu[rows.task[members]]
    return pl.DataFrame(
        {
            "instance_row": members + 1,
            "job": tasks.job[rows.task[members]],
            "machine": machine_names.gather(rows.machine[members]),
            "first_gpu": rows.first_gpu[members],
            "gpu_count": -(-plan // 100),
            "held_mgpu": plan * MGPU_PER_PERCENT,
            "start_s": rows.start_s[members],
            "end_s": rows.end_s[members],
            "active_mgpu_s": amounts.active_mgpu_s[members],
        }
    )


def faults_frame(faults: tuple[Fault, ...], names: Names) -> pl.DataFrame:
    """One row per injected fault; machine and user are null where the fault has none."""
    machine = np.array([max(fault.machine, 0) for fault in faults], dtype=np.int64)
    user = np.array([max(fault.user, 0) for fault in faults], dtype=np.int64)
    on_machine = pl.Series([fault.machine != FLEET for fault in faults], dtype=pl.Boolean)
    of_user = pl.Series([fault.user >= 0 for fault in faults], dtype=pl.Boolean)
    return pl.DataFrame(
        {
            "kind": pl.Series([fault.kind for fault in faults], dtype=pl.String),
            "machine": pl.select(pl.when(on_machine).then(names.of("machine", machine))).to_series(),
            "user": pl.select(pl.when(of_user).then(names.of("user", user))).to_series(),
            "start_s": pl.Series([fault.start_s for fault in faults], dtype=pl.Int64),
            "end_s": pl.Series([fault.end_s for fault in faults], dtype=pl.Int64),
            "magnitude": pl.Series([fault.magnitude for fault in faults], dtype=pl.Float64),
        }
    )
