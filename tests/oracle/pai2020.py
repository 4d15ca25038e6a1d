"""The accounting of a PAI trace from its seven CSV files, the slow and obvious way: plain loops, plain dicts, exact numbers.

It knows the definitions and nothing of the warehouse, so that the two can disagree.
Amounts are milli-GPU-seconds: whole numbers where a day part is the grain, exact decimals where an hour is.

What the definitions leave open, and what is done here:

- GPUs held are whole milli-GPUs (33.333 % is 333): use is capped there, so active never exceeds what is allocated.
- A tie for a sensor row (same worker, same length, same start) goes to the greatest row text, as conflicts of keys do.
- A sensor row looks at every instance row with both times, also at CPU-only ones: what it measures may hold no GPU.
- A machine that is not named, not listed or listed without GPUs has no capacity: its pool is `unknown machine`, and all
  that is held there is over-allocated.
- A time at a day's first second opens that day, also where it is the last record of all.
- An instance is placed where it names a machine or has a start. A job of which none is never started if it waits, or has
  ended without success and has instances; else nobody knows, and it counts as `perhaps`.
- A job that started before its submission has no wait: two clocks disagree, and it counts as `early`.
- A job that some placed instance without a start may have begun earlier has no wait: it counts as `unknown`, neither
  as started nor as censored.
- A GPU row without both times is unbounded on the day of the one it has; with neither it has no day (None), and it
  counts only if it was placed: a waiting row holds nothing yet. Of a user's days, one with neither counts on the day of its
  job's submission.
- Such a row ran no earlier than its job was submitted and no later than its job ended, unless that contradicts the time
  that it has; else the window's border limits it. Of a pool all of a group's rows held at the most what was unallocated.
"""

from __future__ import annotations

import csv
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

UTC_OFFSET_S = 8 * 3_600
DAY_S, HOUR_S = 86_400, 3_600
EPOCH = date(1970, 1, 1)
UNKNOWN_MACHINE = "unknown machine"
STATUSES = {
    "Waiting": "waiting",
    "Running": "running",
    "Terminated": "succeeded",
    "Failed": "failed",
    "Interrupted": "preempted",
}
FAILED = {"failed", "timeout", "node_fail"}
UNFINISHED = {"waiting", "running"}
GPU_MODELS = {
    "T4": "Tesla T4",
    "P100": "Tesla P100-PCIE-16GB",
    "V100": "Tesla V100-SXM2-16GB",
    "V100M32": "Tesla V100-SXM2-32GB",
}
"""What PAI's bare names stand for, by the notes of the table of GPU specs; MISC is several models and keeps its word."""
HALF, NINE_TENTHS, P99 = Fraction(1, 2), Fraction(9, 10), Fraction(99, 100)
QUANTILES = (HALF, NINE_TENTHS, P99)
_DIGITS = 60  # decimals stay exact: float text has at most 17 digits


@dataclass(frozen=True, slots=True)
class Job:
    job: str
    user: str | None
    status_source: str | None
    submitted: int | None
    ended: int | None

    @property
    def status(self) -> str:
        return STATUSES.get(self.status_source or "", "unknown")


@dataclass(frozen=True, slots=True)
class Task:
    job: str
    task: str
    inst_num: Decimal | None
    plan_gpu: Decimal | None
    gpu_type: str | None

    @property
    def held_mgpu(self) -> int:
        """Milli-GPUs of one instance; 0 is CPU-only."""
        if self.plan_gpu is None or self.plan_gpu <= 0:
            return 0
        return _whole(self.plan_gpu * 10)


@dataclass(frozen=True, slots=True)
class Instance:
    job: str
    task: str | None
    instance: str | None
    worker: str | None
    status_source: str | None
    start: int | None
    end: int | None
    machine: str | None
    text: str

    @property
    def placed(self) -> bool:
        return self.machine is not None or self.start is not None


@dataclass(frozen=True, slots=True)
class Machine:
    machine: str
    gpu_type: str | None
    cap_mgpu: int
    pool: str


@dataclass(frozen=True)
class Trace:
    """One delivery, one row per key; `sensors` has the GPU use of a (job, worker) in percent, None where it is empty."""

    jobs: dict[str, Job]
    tasks: dict[tuple[str, str | None], Task]
    instances: list[Instance]
    sensors: dict[tuple[str, str], Decimal | None]
    machines: dict[str, Machine]
    days: list[date]

    @property
    def end(self) -> int:
        """The second after the window."""
        return start_of(self.days[-1]) + DAY_S

    def pool_of(self, machine: str | None) -> str:
        listed = self.machines.get(machine or "")
        return listed.pool if listed is not None else UNKNOWN_MACHINE


def read(folder: Path, *, pool_names: dict[str, str] = GPU_MODELS) -> Trace:
    """The trace of a folder; a table that is not there has no rows, rows that end before they start are refused."""
    jobs, tasks, instances, sensors, machines, moments = ({} for _ in range(6))

    def kept(start: int | None, end: int | None) -> bool:
        return start is None or end is None or end >= start

    def record(key: tuple, row: list[str], start: int | None, end: int | None) -> None:
        # A beaten row counts for nothing, nor for the window.
        _keep(moments, key, row, [time for time in (start, end) if time is not None])

    for row in _rows(folder, "pai_job_table", "job_name"):
        name, _, user, status, start, end = row
        if kept(_time(start), _time(end)):
            record(("job", name), row, _time(start), _time(end))
            _keep(jobs, name, row, Job(name, user or None, status or None, _time(start), _time(end)))
    for row in _rows(folder, "pai_task_table", "job_name"):
        name, task, inst_num, _, start, end, _, _, plan_gpu, gpu_type = row
        if kept(_time(start), _time(end)):
            record(("task", name, task), row, _time(start), _time(end))
            found = Task(name, task, _number(inst_num), _number(plan_gpu), gpu_type or None)
            _keep(tasks, (name, task), row, found)
    for row in _rows(folder, "pai_instance_table", "job_name"):
        name, task, instance, worker, _, status, start, end, machine = row
        if kept(_time(start), _time(end)):
            found = Instance(name, task or None, instance or None, worker or None, status or None, _time(start), _time(end),
                             machine or None, ",".join(row))  # fmt: skip
            key = (name, task, instance, worker, found.start, None if instance or worker else found.end)
            record(("instance", *key), row, found.start, found.end)
            _keep(instances, key, row, found)
    for row in _rows(folder, "pai_machine_metric", "worker_name"):
        if kept(_time(row[2]), _time(row[3])):
            record(("window", *row[:4]), row, _time(row[2]), _time(row[3]))
    for row in _rows(folder, "pai_sensor_table", "job_name"):
        _keep(sensors, (row[0], row[2]), row, _number(row[7]))
    for row in _rows(folder, "pai_machine_spec", "machine"):
        name, gpu_type, _, _, cap_gpu = row
        cap_mgpu = _whole((_number(cap_gpu) or Decimal(0)) * 1_000)
        pool = pool_names.get(gpu_type, gpu_type) if cap_mgpu else UNKNOWN_MACHINE
        _keep(machines, name, row, Machine(name, gpu_type or None, cap_mgpu, pool))
    times = [time for found in _values(moments).values() for time in found]
    first, last = (_day_number(min(times)), _day_number(max(times))) if times else (0, -1)
    return Trace(
        jobs=_values(jobs),
        tasks=_values(tasks),
        instances=list(_values(instances).values()),
        sensors=_values(sensors),
        machines=_values(machines),
        days=[EPOCH + timedelta(days=number) for number in range(first, last + 1)],
    )


def _rows(folder: Path, table: str, first_column: str) -> Iterator[list[str]]:
    path = Path(folder) / f"{table}.csv"
    if path.exists():
        with path.open(newline="", encoding="utf-8") as lines:
            yield from (row for row in csv.reader(lines) if row and row[0] != first_column)


def _keep(table: dict, key: Hashable, row: list[str], value: object) -> None:
    """Of rows with one key the greatest row text stands."""
    text = ",".join(row)
    if key not in table or table[key][0] < text:
        table[key] = (text, value)


def _values(table: dict) -> dict:
    return {key: value for key, (_, value) in table.items()}


def _time(text: str) -> int | None:
    """Whole seconds; empty, 0 and less are not known."""
    if not text or (seconds := float(text)) <= 0:
        return None
    if not seconds.is_integer():
        raise ValueError(f"{text} is no whole second, and the oracle counts whole seconds")
    return int(seconds)


def _number(text: str) -> Decimal | None:
    return Decimal(text) if text else None


def _whole(amount: Decimal) -> int:
    return int(amount.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def _day_number(second: int) -> int:
    return (second + UTC_OFFSET_S) // DAY_S


def day_of(second: int) -> date:
    """The day of Asia/Shanghai, which has no daylight saving here."""
    return EPOCH + timedelta(days=_day_number(second))


def start_of(day: date) -> int:
    return (day - EPOCH).days * DAY_S - UTC_OFFSET_S


@dataclass(slots=True)
class Amounts:
    """Milli-GPU-seconds, and of how many parts they are the sum."""

    allocated: int = 0
    active: int | Decimal = 0
    idle_held: int | Decimal = 0
    unknown: int = 0
    over_use: int | Decimal = 0
    zero_util: int = 0
    parts: int = 0

    def add(self, other: Amounts) -> None:
        self.allocated += other.allocated
        self.active += other.active
        self.idle_held += other.idle_held
        self.unknown += other.unknown
        self.over_use += other.over_use
        self.zero_util += other.zero_util
        self.parts += other.parts


@dataclass(slots=True)
class MachineHour(Amounts):
    """What is held on a machine in an hour, against what it has."""

    capacity: int = 0

    @property
    def over_allocated(self) -> int:
        return max(0, self.allocated - self.capacity)


@dataclass(slots=True)
class Pool(Amounts):
    """A pool's day or hour: capacity + over_allocated = unallocated + allocated; PAI records no outages."""

    capacity: int = 0
    over_allocated: int = 0
    active_failed: int | Decimal = 0

    @property
    def unallocated(self) -> int:
        return self.capacity + self.over_allocated - self.allocated

    @property
    def waste(self) -> dict[str, int | Decimal]:
        """The classes, in their order; they sum up to capacity + over_allocated."""
        return {
            "unallocated": self.unallocated,
            "unknown": self.unknown,
            "idle_held": self.idle_held,
            "failed_active": self.active_failed,
            "productive": self.active - self.active_failed,
        }


@dataclass(frozen=True, slots=True)
class Unbounded:
    """A GPU row without both times."""

    pool: str
    held_mgpu: int
    start: int | None
    end: int | None
    status: str

    @property
    def kind(self) -> str:
        if self.start is None:
            return "neither" if self.end is None else "ended_only"
        return "started_only"

    def longest(self, job: JobFigures, window: tuple[int, int]) -> int:
        """Seconds from its earliest start to its latest end."""
        first, last = self.start, self.end
        if first is None and job.submitted is not None and (last is None or job.submitted <= last):
            first = job.submitted
        if last is None and job.ended is not None and (self.start is None or job.ended >= self.start):
            last = job.ended
        return (window[1] if last is None else last) - (window[0] if first is None else first)


@dataclass(slots=True)
class JobFigures(Amounts):
    """One job of the job table; times in source seconds, ratios exact or None where there is nothing to divide by."""

    job: str = ""
    user: str | None = None
    status: str = "unknown"
    submitted: int | None = None
    started: int | None = None
    ended: int | None = None
    placed: bool = False
    has_instances: bool = False
    machines: set[str] = field(default_factory=set)
    """Machines of the spans counted: both times, some length, GPUs held."""
    machines_named: set[str] = field(default_factory=set)
    """Machines of all instance rows of its GPU tasks."""
    gpu_types: set[str | None] = field(default_factory=set)
    gpu_request_mgpu: int | None = None
    unbounded: list[Unbounded] = field(default_factory=list)

    @property
    def submitted_day(self) -> date | None:
        return None if self.submitted is None else day_of(self.submitted)

    @property
    def wait_s(self) -> int | None:
        wait = _difference(self.started, self.submitted)
        return None if wait is None or wait < 0 else wait

    @property
    def run_s(self) -> int | None:
        run = _difference(self.ended, self.started)
        return None if run is None or run < 0 else run

    @property
    def gpu_type(self) -> str | None:
        """The GPU type of its GPU tasks; None where there is none, or several."""
        return next(iter(self.gpu_types)) if len(self.gpu_types) == 1 else None

    @property
    def size_class(self) -> str:
        """By the GPUs asked for: the label says what it holds."""
        asked = self.gpu_request_mgpu or 0
        edges = ((1, "cpu"), (1_000, "<1"), (1_001, "1"), (8_000, ">1, <8"), (8_001, "8"))
        return next((name for edge, name in edges if asked < edge), ">8")

    @property
    def unbounded_spans(self) -> int:
        return len(self.unbounded)

    @property
    def coverage(self) -> Fraction | None:
        return _ratio(self.allocated - self.unknown, self.allocated)

    @property
    def efficiency(self) -> Fraction | None:
        return _ratio(self.active, self.allocated - self.unknown)

    @property
    def efficiency_low(self) -> Fraction | None:
        return _ratio(self.active, self.allocated)

    @property
    def efficiency_high(self) -> Fraction | None:
        return _ratio(self.active + self.unknown, self.allocated)


def _difference(later: int | None, earlier: int | None) -> int | None:
    return None if later is None or earlier is None else later - earlier


def _ratio(part: int, whole: int) -> Fraction | None:
    return Fraction(part, whole) if whole else None


@dataclass(frozen=True)
class Ledger:
    """All amounts by grain. Keys: `dt` is a date of Asia/Shanghai, `hour` counts from 0 in it."""

    job_days: dict[tuple[str, date, str], Amounts]
    """(job, dt, pool)"""
    machine_days: dict[tuple[str | None, date], Amounts]
    """(machine, dt), where anything is held"""
    machine_hours: dict[tuple[str | None, date, int], MachineHour]
    """(machine, dt, hour), where anything is held; active, idle_held and over_use are exact decimals"""
    pool_days: dict[tuple[str, date], Pool]
    pool_hours: dict[tuple[str, date, int], Pool]
    user_days: dict[tuple[str | None, date], Amounts]
    jobs: dict[str, JobFigures]
    unbounded: dict[tuple[date | None, str], Counter[str]]
    """(dt, pool): rows that are started_only, ended_only or of neither time"""
    main_jobs: dict[tuple[str | None, date, int | None], str]
    """(machine, dt, hour): the job that held most, of equals the last by name; without an hour, of the whole day"""
    window_start: int
    window_end: int


def measured(trace: Trace) -> dict[tuple[str, str], Instance]:
    """The one instance row that each (job, worker) measures: the longest, then the latest start, then the greatest text."""
    best: dict[tuple[str, str], tuple[tuple[int, int, str], Instance]] = {}
    for row in trace.instances:
        if row.worker is None or row.start is None or row.end is None:
            continue
        rank = (row.end - row.start, row.start, row.text)
        if (row.job, row.worker) not in best or best[row.job, row.worker][0] < rank:
            best[row.job, row.worker] = (rank, row)
    return {key: row for key, (_, row) in best.items()}


def _day_part(held_mgpu: int, use: Decimal | None, seconds: int) -> Amounts:
    """A part within a day: active and over_use are rounded, as doubles in this order of operations."""
    allocated = held_mgpu * seconds
    if use is None:
        return Amounts(allocated, unknown=allocated, parts=1)
    used, held = float(use) / 100, held_mgpu / 1000
    active = math.floor(min(used, held) * seconds * 1000 + 0.5)
    over_use = math.floor(max(used - held, 0.0) * seconds * 1000 + 0.5)
    return Amounts(allocated, active, allocated - active, 0, over_use, allocated if use == 0 else 0, 1)


def _hour_part(held_mgpu: int, use: Decimal | None, seconds: int) -> Amounts:
    """A part within an hour, exact."""
    allocated = held_mgpu * seconds
    if use is None:
        return Amounts(allocated, unknown=allocated, parts=1)
    used_mgpu = use * 10
    active = min(used_mgpu, Decimal(held_mgpu)) * seconds
    over_use = max(used_mgpu - held_mgpu, Decimal(0)) * seconds
    return Amounts(allocated, active, allocated - active, 0, over_use, allocated if use == 0 else 0, 1)


def cut(start: int, end: int, *, length: int) -> Iterator[tuple[int, int]]:
    """(number of the day or hour since the local epoch, seconds within it) of a half-open span."""
    while start < end:
        number = (start + UTC_OFFSET_S) // length
        border = min(end, (number + 1) * length - UTC_OFFSET_S)
        yield number, border - start
        start = border


def account(trace: Trace) -> Ledger:
    """Every amount of the trace, from its instance rows one by one."""
    with localcontext(prec=_DIGITS):
        return _account(trace)


def _account(trace: Trace) -> Ledger:
    jobs = _jobs(trace)
    job_days, machine_days, user_days = (defaultdict(Amounts) for _ in range(3))
    machine_hours: dict = defaultdict(MachineHour)
    pool_days, pool_hours = _empty_pools(trace)
    unbounded: dict = defaultdict(Counter)
    held_by: dict = defaultdict(Counter)
    measures = measured(trace)
    for row in trace.instances:
        task = trace.tasks.get((row.job, row.task))
        if task is None or not task.held_mgpu:
            continue
        pool, job = trace.pool_of(row.machine), jobs.get(row.job)
        if row.start is None or row.end is None:
            if row.placed or row.end is not None:
                known = row.start if row.end is None else row.end
                status = STATUSES.get(row.status_source or "", "unknown")
                span = Unbounded(pool, task.held_mgpu, row.start, row.end, status)
                unbounded[None if known is None else day_of(known), pool][span.kind] += 1
                if job is not None:
                    job.unbounded.append(span)
            continue
        if row.start == row.end:
            continue
        if job is not None and row.machine is not None:
            job.machines.add(row.machine)
        key = (row.job, row.worker or "")
        use = trace.sensors.get(key) if measures.get(key) is row else None
        failed = job is not None and job.status in FAILED
        machine = trace.machines.get(row.machine or "")
        for number, seconds in cut(row.start, row.end, length=DAY_S):
            part = _day_part(task.held_mgpu, use, seconds)
            dt = EPOCH + timedelta(days=number)
            job_days[row.job, dt, pool].add(part)
            machine_days[row.machine, dt].add(part)
            held_by[row.machine, dt, None][row.job] += part.allocated
            user_days[job.user if job is not None else None, dt].add(part)
            pool_days[pool, dt].add(part)
            pool_days[pool, dt].active_failed += part.active if failed else 0
            if job is not None:
                job.add(part)
        for number, seconds in cut(row.start, row.end, length=HOUR_S):
            part = _hour_part(task.held_mgpu, use, seconds)
            dt, hour = EPOCH + timedelta(days=number // 24), number % 24
            held = machine_hours[row.machine, dt, hour]
            held.add(part)
            held_by[row.machine, dt, hour][row.job] += part.allocated
            held.capacity = machine.cap_mgpu * HOUR_S if machine is not None else 0
            pool_hours[pool, dt, hour].add(part)
            pool_hours[pool, dt, hour].active_failed += part.active if failed else 0
    for (machine, dt, hour), held in machine_hours.items():
        pool = trace.pool_of(machine)
        pool_hours[pool, dt, hour].over_allocated += held.over_allocated
        pool_days[pool, dt].over_allocated += held.over_allocated
    plain = (job_days, machine_days, machine_hours, pool_days, pool_hours, user_days, jobs, unbounded)
    borders = (start_of(trace.days[0]), trace.end) if trace.days else (0, 0)
    main_jobs = {key: max(jobs, key=lambda job: (jobs[job], job)) for key, jobs in held_by.items()}
    return Ledger(*map(dict, plain), main_jobs, *borders)


def machine_means(folder: Path, column: int) -> dict[tuple[str, date], tuple[Fraction, int]]:
    """By machine and day the mean of a column of the metrics over the seconds that some window covers, and those seconds.

    In each second the value is the plain mean of the windows that cover it.
    """
    windows: dict[tuple[str, int, int, str], tuple[str, str]] = {}
    for row in _rows(folder, "pai_machine_metric", "worker_name"):
        start, end = _time(row[2]), _time(row[3])
        if start is not None and end is not None and start < end:
            _keep(windows, (row[1], start, end, row[0]), row, row[column])
    by_machine: dict[str, list[tuple[int, int, Fraction]]] = defaultdict(list)
    for (machine, start, end, _), value in _values(windows).items():
        if value:
            by_machine[machine].append((start, end, Fraction(value)))
    sums: dict[tuple[str, date], list] = defaultdict(lambda: [Fraction(0), 0])
    for machine, found in by_machine.items():
        borders = sorted({border for start, end, _ in found for border in (start, end)})
        for first, last in pairwise(borders):
            values = [value for start, end, value in found if start <= first and last <= end]
            for number, seconds in cut(first, last, length=DAY_S) if values else ():
                day = sums[machine, EPOCH + timedelta(days=number)]
                day[0] += sum(values) / len(values) * seconds
                day[1] += seconds
    return {key: (total / seconds, seconds) for key, (total, seconds) in sums.items()}


def _empty_pools(trace: Trace) -> tuple[dict, dict]:
    """Every pool with its capacity on every day and hour of the window."""
    mgpu: Counter[str] = Counter()
    for machine in trace.machines.values():
        if machine.cap_mgpu:
            mgpu[machine.pool] += machine.cap_mgpu
    days, hours = defaultdict(Pool), defaultdict(Pool)
    for pool, there in mgpu.items():
        for dt in trace.days:
            days[pool, dt].capacity = there * DAY_S
            for hour in range(24):
                hours[pool, dt, hour].capacity = there * HOUR_S
    return days, hours


def _jobs(trace: Trace) -> dict[str, JobFigures]:
    jobs = {
        job.job: JobFigures(job=job.job, user=job.user, status=job.status, submitted=job.submitted, ended=job.ended)
        for job in trace.jobs.values()
    }
    for task in trace.tasks.values():
        if task.held_mgpu and task.job in jobs:
            job = jobs[task.job]
            job.gpu_types.add(task.gpu_type)
            asked = _whole(task.plan_gpu * 10 * (task.inst_num or 0))
            job.gpu_request_mgpu = (job.gpu_request_mgpu or 0) + asked
    starts: dict[str, list[int | None]] = defaultdict(list)
    for row in trace.instances:
        if row.job in jobs:
            jobs[row.job].has_instances = True
        if row.placed:
            starts[row.job].append(row.start)
            task = trace.tasks.get((row.job, row.task))
            if row.job in jobs and row.machine is not None and task is not None and task.held_mgpu:
                jobs[row.job].machines_named.add(row.machine)
    for name, found in starts.items():
        if name in jobs:
            jobs[name].placed = True
            jobs[name].started = None if None in found else min(found)
    return jobs


Key = Callable[[JobFigures], Hashable]


def by_submitted_day(job: JobFigures) -> date | None:
    return job.submitted_day


def by_gpu_type(job: JobFigures) -> str | None:
    return job.gpu_type


@dataclass(slots=True)
class Waits:
    """Waits of a group of jobs with a submission: `unknown` are those that started nobody knows when, `perhaps` those that may have."""

    started: list[int] = field(default_factory=list)
    censored: list[int] = field(default_factory=list)
    unknown: int = 0
    early: int = 0
    perhaps: int = 0

    @property
    def naive(self) -> dict[str, Fraction | None]:
        """Of the started alone: too short, as the longest waits are missing."""
        return _summary(self.started)

    @property
    def kaplan_meier(self) -> dict[str, int | None]:
        """With the censored: None where so many never started that nobody can say."""
        observed = [(wait, True) for wait in self.started] + [(wait, False) for wait in self.censored]
        curve = survival(observed)
        return {name: survival_quantile(curve, q) for name, q in zip(("p50", "p90", "p99"), QUANTILES, strict=True)}


def waits(ledger: Ledger, key: Key = by_submitted_day) -> dict[Hashable, Waits]:
    """The waits by group; jobs without a submission have none."""
    groups: dict[Hashable, Waits] = defaultdict(Waits)
    for job in ledger.jobs.values():
        if job.submitted is None:
            continue
        group = groups[key(job)]
        if job.wait_s is not None:
            group.started.append(job.wait_s)
        elif job.placed and job.started is not None:
            group.early += 1
        elif job.placed:
            group.unknown += 1
        elif job.status != "waiting" and (not job.has_instances or job.status in {"running", "succeeded"}):
            group.perhaps += 1
        else:
            until = ledger.window_end if job.ended is None else job.ended
            group.censored.append(until - job.submitted)
    return dict(groups)


def run_times(ledger: Ledger, key: Key = by_gpu_type) -> dict[Hashable, dict[str, Fraction | None]]:
    """count, quantiles and mean of run_s by group, of the jobs that have one."""
    groups: dict[Hashable, list[int]] = defaultdict(list)
    for job in ledger.jobs.values():
        if job.run_s is not None:
            groups[key(job)].append(job.run_s)
    return {group: _summary(runs) for group, runs in groups.items()}


def instance_run_times(trace: Trace) -> dict[str, dict[str, Fraction | None]]:
    """The same of the instance rows with both times, by their own common status."""
    groups: dict[str, list[int]] = defaultdict(list)
    for row in trace.instances:
        if row.start is not None and row.end is not None:
            groups[STATUSES.get(row.status_source or "", "unknown")].append(row.end - row.start)
    return {status: _summary(runs) for status, runs in groups.items()}


def _summary(values: Sequence[int]) -> dict[str, Fraction | None]:
    ordered = sorted(values)
    spread = {"p50": HALF, "p90": NINE_TENTHS, "p99": P99}
    return {
        "count": Fraction(len(ordered)),
        **{name: quantile(ordered, q) for name, q in spread.items()},
        "mean": Fraction(sum(ordered), len(ordered)) if ordered else None,
    }


def quantile(ordered: Sequence[int], q: Fraction) -> Fraction | None:
    """Linear between neighbours: rank q × (n - 1) counted from 0."""
    if not ordered:
        return None
    rank = q * (len(ordered) - 1)
    below = math.floor(rank)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (rank - below) * (ordered[above] - ordered[below])


def survival(observed: Iterable[tuple[int, bool]]) -> list[tuple[int, Fraction]]:
    """The product-limit estimate: (t, S(t)) at each time of an event; what is censored at t is still at risk there."""
    at: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    for time, happened in observed:
        at[time][0 if happened else 1] += 1
    risk = sum(map(sum, at.values()))
    left, curve = Fraction(1), []
    for time in sorted(at):
        events, censored = at[time]
        if events:
            left *= Fraction(risk - events, risk)
            curve.append((time, left))
        risk -= events + censored
    return curve


def survival_quantile(curve: Iterable[tuple[int, Fraction]], q: Fraction) -> int | None:
    """The smallest t with S(t) <= 1 - q; None where the curve ends above."""
    return next((time for time, left in curve if left <= 1 - q), None)


@dataclass(slots=True)
class Cohort:
    """Jobs by what became of them, and the milli-GPU-seconds of all and of the failed."""

    statuses: Counter[str] = field(default_factory=Counter)
    allocated: int = 0
    failed_allocated: int = 0
    unbounded: int = 0
    failed_unbounded: int = 0

    @property
    def submitted(self) -> int:
        return self.statuses.total()

    @property
    def failed(self) -> int:
        return sum(self.statuses[status] for status in FAILED)

    @property
    def unfinished(self) -> int:
        return sum(self.statuses[status] for status in UNFINISHED)

    @property
    def succeeded(self) -> int:
        return self.statuses["succeeded"]

    @property
    def failed_ratio(self) -> Fraction | None:
        return _ratio(self.failed, self.submitted)

    @property
    def failed_gpu_ratio(self) -> Fraction | None:
        return _ratio(self.failed_allocated, self.allocated)


def cohorts(ledger: Ledger, key: Key = by_submitted_day) -> dict[Hashable, Cohort]:
    """Jobs by group (submission day; None: not known) with what they held in their whole lives."""
    groups: dict[Hashable, Cohort] = defaultdict(Cohort)
    for job in ledger.jobs.values():
        cohort = groups[key(job)]
        cohort.statuses[job.status] += 1
        cohort.allocated += job.allocated
        cohort.failed_allocated += job.allocated if job.status in FAILED else 0
        cohort.unbounded += job.unbounded_spans
        cohort.failed_unbounded += job.unbounded_spans if job.status in FAILED else 0
    return dict(groups)


def unbounded_limits(ledger: Ledger, key: Key) -> dict[Hashable, tuple[int, int]]:
    """Milli-GPU-seconds that rows without both times held at the most, by group: (of failed or unknown jobs, of not failed)."""
    free: Counter[str] = Counter()
    for (pool, _), day in ledger.pool_days.items():
        free[pool] += day.unallocated
    by_pool: dict[tuple, list[int]] = defaultdict(lambda: [0, 0])
    for job in ledger.jobs.values():
        for span in job.unbounded:
            most = span.held_mgpu * span.longest(job, (ledger.window_start, ledger.window_end))
            held = by_pool[key(job), span.pool]
            held[0] += most if job.status in FAILED | {"unknown"} else 0
            held[1] += 0 if job.status in FAILED else most
    limits: dict[Hashable, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for (group, pool), held in by_pool.items():
        failed, other = held if pool == UNKNOWN_MACHINE else (min(each, free[pool]) for each in held)
        limits[group] = (limits[group][0] + failed, limits[group][1] + other)
    return dict(limits)


def running_limits(ledger: Ledger) -> dict[tuple[str, date], int]:
    """Milli-GPU-seconds that running rows without an end held at the most, by (pool, day): not above the day's capacity."""
    days: Counter[tuple[str, date]] = Counter()
    for job in ledger.jobs.values():
        for span in job.unbounded:
            if span.kind == "started_only" and span.status == "running":
                end = span.start + span.longest(job, (ledger.window_start, ledger.window_end))
                for number, seconds in cut(span.start, end, length=DAY_S):
                    days[span.pool, EPOCH + timedelta(days=number)] += span.held_mgpu * seconds
    return {key: min(days[key], pool.capacity) for key, pool in ledger.pool_days.items() if key[0] != UNKNOWN_MACHINE}


def unbounded_by_user(ledger: Ledger) -> dict[tuple[str | None, date], tuple[int, int]]:
    """Rows without both times by (user, day): (all, those of failed jobs); without a known day they are not here."""
    days: dict[tuple[str | None, date], list[int]] = defaultdict(lambda: [0, 0])
    for job in ledger.jobs.values():
        for span in job.unbounded:
            known = span.end if span.start is None else span.start
            dt = job.submitted_day if known is None else day_of(known)
            if dt is not None:
                days[job.user, dt][0] += 1
                days[job.user, dt][1] += job.status in FAILED
    return {key: (spans, failed) for key, (spans, failed) in days.items()}


def user_cohorts(ledger: Ledger) -> dict[Hashable, Cohort]:
    """The same by (user, submission day)."""
    return cohorts(ledger, lambda job: (job.user, job.submitted_day))


def failed_by_day(ledger: Ledger) -> dict[date, tuple[int, int]]:
    """Milli-GPU-seconds by the day they were held on: (allocated, of it by failed jobs)."""
    days: dict[date, list[int]] = defaultdict(lambda: [0, 0])
    for (name, dt, _), amounts in ledger.job_days.items():
        job = ledger.jobs.get(name)
        days[dt][0] += amounts.allocated
        days[dt][1] += amounts.allocated if job is not None and job.status in FAILED else 0
    return {dt: (total, failed) for dt, (total, failed) in days.items()}
