"""The seven tables as the publisher ships them: no header, comma, no quotes, LF, empty for null, float text such as `4550879.0`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gpulake.simulate import reference
from gpulake.simulate.curves import Flags, Floats, Ints, choose
from gpulake.simulate.dice import Dice
from gpulake.simulate.fleet import Machines
from gpulake.simulate.identifiers import Names
from gpulake.simulate.instances import Rows, Shown
from gpulake.simulate.population import FAILED, RUNNING, STATUSES, TERMINATED, WAITING, Jobs, Window
from gpulake.simulate.reference import MACHINE_TYPES, count_of
from gpulake.simulate.tasks import NO_GPU, ROLES, Tasks

TABLES = (
    *("pai_job_table", "pai_task_table", "pai_instance_table", "pai_sensor_table", "pai_group_tag_table"),
    *("pai_machine_spec", "pai_machine_metric"),
)

_STATUS_TEXT = pl.Series("status", STATUSES)
_ROLE_TEXT = pl.Series("task_name", ROLES)
_TYPE_TEXT = pl.Series("gpu_type", (*MACHINE_TYPES, None))


@dataclass(frozen=True)
class Writer:
    """Open tables of one folder, and how many rows went into each."""

    files: dict[str, BinaryIO]
    rows: Counter[str] = field(default_factory=Counter)

    def write(self, table: str, columns: Sequence[pl.Series]) -> None:
        """Append rows to one table."""
        frame = pl.DataFrame([column.alias(str(number)) for number, column in enumerate(columns)])
        frame.write_csv(self.files[table], include_header=False, quote_style="never", null_value="")
        self.rows[table] += frame.height


@contextmanager
def writing(out: Path) -> Iterator[Writer]:
    """Open the seven tables for writing, emptied."""
    with ExitStack() as stack:
        yield Writer({table: stack.enter_context((out / f"{table}.csv").open("wb")) for table in TABLES})


def masked(values: NDArray[np.generic], shown: Flags) -> pl.Series:
    """A column that is empty where it is not shown."""
    return pl.select(pl.when(pl.Series(shown)).then(pl.Series(values))).to_series()


def text_time(seconds: Ints, shown: Flags) -> pl.Series:
    """Seconds as the trace writes them, `4550879.0`."""
    return masked(seconds.astype(np.float64), shown)


def write_machines(writer: Writer, machines: Machines, names: Names) -> None:
    """Write the machine table: what each machine is listed with."""
    writer.write(
        "pai_machine_spec",
        (
            names.of("machine", np.arange(len(machines))),
            _TYPE_TEXT.gather(machines.gpu_type),
            pl.Series(machines.cores),
            pl.Series(machines.memory_gb),
            pl.Series(machines.gpus),
        ),
    )


@dataclass(frozen=True)
class JobsShown:
    """What the job, task and group tables show of each job and task."""

    end_s: Ints
    task_end_s: Ints
    ends: Flags
    task_ends: Flags
    tagged: Flags
    workload: Ints


def show_jobs(jobs: Jobs, tasks: Tasks, rows: Rows, submit_s: Ints, *, window: Window, dice: Dice) -> JobsShown:
    """Decide which ends the trace shows, at the counted rates per status, and which jobs have a group row and a workload."""
    rng = dice.on("job ends")
    first_row = np.flatnonzero(np.concatenate(([True], rows.task[1:] != rows.task[:-1])))
    task_end = np.maximum.reduceat(rows.end_s, first_row)
    job_end = np.maximum.reduceat(task_end, tasks.first_of_job)
    ends = jobs.status == TERMINATED
    for status in (FAILED, RUNNING, WAITING):
        name = STATUSES[status]
        inside = np.flatnonzero(jobs.status == status)
        share = count_of("pai_job_table", f"status={name} with end_time") / count_of(
            "pai_job_table", f"status={name} rows"
        )
        # What the window's end cuts has no end to show
        luck = np.where(job_end[inside] < window.end_s, rng.random(len(inside)), -1.0)
        ends[inside[choose(luck, round(share * len(inside)))]] = True
    # A job that waits for ever has no last instance: what ends it is someone giving up
    given_up = np.minimum(submit_s + rng.integers(60, 86_400, len(jobs)), window.end_s - 1)
    job_end = np.where(job_end < 0, given_up, job_end)
    task_end = np.where(task_end < 0, job_end[tasks.job], task_end)
    task_ends = (tasks.status == TERMINATED) | ((tasks.status == jobs.status[tasks.job]) & ends[tasks.job])
    return JobsShown(job_end, task_end, ends, task_ends, *_tags(jobs, dice))


def _tags(jobs: Jobs, dice: Dice) -> tuple[Flags, Ints]:
    rng = dice.on("tags")
    share = reference.EXTRA_TASK_COUNTS["jobs with a group row"] / count_of("pai_job_table", "rows")
    tagged = choose(rng.random(len(jobs)), round(share * len(jobs)))
    by_group = rng.random(int(jobs.group.max()) + 1)
    filled = choose(by_group[jobs.group] + 0.01 * rng.random(len(jobs)), round(_WORKLOAD_FILLED * len(jobs)))
    workload = (by_group[jobs.group] * 1e6).astype(np.int64) % len(reference.WORKLOADS)
    return tagged, np.where(filled, workload, -1)


_WORKLOAD_FILLED = 0.0978
_NO_GROUP_SHARE = 0.012
_ASKS_TYPE_SHARE = 0.12


def write_jobs(
    writer: Writer, jobs: Jobs, tasks: Tasks, shown: JobsShown, submit_s: Ints, *, part: slice, names: Names, dice: Dice
) -> None:
    """Write the job, task and group rows of a run of jobs."""
    number = np.arange(part.start, part.stop)
    job_name, inst_id = names.of("job", number), names.of("inst_id", number)
    user = names.of("user", jobs.user[part])
    begun = jobs.status[part] != WAITING
    writer.write(
        "pai_job_table",
        (
            job_name,
            inst_id,
            user,
            _STATUS_TEXT.gather(jobs.status[part]),
            text_time(submit_s[part], begun),
            text_time(shown.end_s[part], shown.ends[part]),
        ),
    )
    inside = slice(*np.searchsorted(tasks.job, (part.start, part.stop)).tolist())
    job = tasks.job[inside]
    plan_gpu = tasks.plan_gpu[inside]
    writer.write(
        "pai_task_table",
        (
            job_name.gather(job - part.start),
            _ROLE_TEXT.gather(tasks.role[inside]),
            pl.Series(tasks.inst_num[inside].astype(np.float64)),
            _STATUS_TEXT.gather(tasks.status[inside]),
            text_time(submit_s[job], tasks.status[inside] != WAITING),
            text_time(shown.task_end_s[inside], shown.task_ends[inside]),
            pl.Series(tasks.plan_cpu[inside]),
            pl.Series(tasks.plan_mem[inside]),
            masked(plan_gpu.astype(np.float64), plan_gpu > 0),
            _TYPE_TEXT.gather(_written_type(tasks, inside, dice)),
        ),
    )
    rng = dice.on(f"tags {part.start}")
    kept = np.flatnonzero(shown.tagged[part])
    leading = tasks.gpu_type[tasks.first_of_job[part]]
    asks = (rng.random(len(number)) < _ASKS_TYPE_SHARE) & (leading != NO_GPU)
    groups = names.of("group", jobs.group[part])
    has_group = pl.Series(rng.random(len(number)) >= _NO_GROUP_SHARE)
    workloads = pl.Series((*reference.WORKLOADS, None))
    writer.write(
        "pai_group_tag_table",
        (
            inst_id.gather(kept),
            user.gather(kept),
            _TYPE_TEXT.gather(np.where(asks, leading, len(MACHINE_TYPES))[kept]),
            pl.select(pl.when(has_group).then(groups)).to_series().gather(kept),
            workloads.gather(np.where(shown.workload[part] < 0, len(reference.WORKLOADS), shown.workload[part])[kept]),
        ),
    )


def _written_type(tasks: Tasks, inside: slice, dice: Dice) -> Ints:
    """Type column: empty for nearly all CPU-only tasks, a type for a few of them as in the real table."""
    written = np.where(tasks.gpu_type[inside] == NO_GPU, len(MACHINE_TYPES), tasks.gpu_type[inside])
    bare = np.flatnonzero(written == len(MACHINE_TYPES))
    share = reference.EXTRA_TASK_COUNTS["retyped CPU-only tasks"] / count_of("pai_task_table", "plan_gpu empty")
    rng = dice.on(f"retyped {inside.start}")
    typed = bare[rng.random(len(bare)) < share]
    written[typed] = rng.choice((0, 1, 5), size=len(typed), p=(0.2, 0.5, 0.3))
    return written


def write_strays(writer: Writer, names: Names, scale: float, dice: Dice) -> None:
    """Write the group rows whose job is in no other table."""
    number = max(1, round(reference.EXTRA_TASK_COUNTS["group rows without a job"] * scale))
    lost = np.arange(number)
    nothing = pl.Series([None] * number, dtype=pl.String)
    users = dice.on("strays").integers(0, 40, number)
    writer.write(
        "pai_group_tag_table",
        (names.of("lost", lost), names.of("user", users), nothing, names.of("group", lost), nothing),
    )


def write_instances(writer: Writer, rows: Rows, tasks: Tasks, shown: Shown, *, part: slice, names: Names) -> None:
    """Write a run of instance rows; what never started has neither worker nor machine."""
    task = rows.task[part]
    job = tasks.job[task]
    first = int(job[0])
    jobs = np.arange(first, int(job[-1]) + 1)
    placed = rows.machine[part] >= 0
    worker = names.of("worker", shown.worker_row[part])
    machine = names.of("machine", np.arange(int(rows.machine.max()) + 1))
    there = pl.Series(placed)
    writer.write(
        "pai_instance_table",
        (
            names.of("job", jobs).gather(job - first),
            _ROLE_TEXT.gather(tasks.role[task]),
            names.of("instance", rows.instance[part]),
            pl.select(pl.when(there).then(worker)).to_series(),
            names.of("inst_id", jobs).gather(job - first),
            _STATUS_TEXT.gather(rows.status[part]),
            text_time(rows.start_s[part], shown.start[part]),
            text_time(rows.end_s[part], shown.end[part]),
            machine.gather(pl.select(pl.when(there).then(pl.Series(rows.machine[part]))).to_series()),
        ),
    )


def quantile_noise(rng: np.random.Generator, median: float, spread: float, number: int) -> Floats:
    """Log-normal values around a median."""
    result: Floats = median * np.exp(spread * rng.standard_normal(number))
    return result
