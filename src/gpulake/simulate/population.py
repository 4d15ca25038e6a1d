"""Who submits what and when: users, their recurring groups of jobs, and each job's submission and final status."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from gpulake.simulate import reference
from gpulake.simulate.curves import Curve, Flags, Floats, Ints, apportion, choose, deal, fit_table, ranks
from gpulake.simulate.dice import Dice

TERMINATED, FAILED, RUNNING, WAITING, INTERRUPTED = range(5)
STATUSES = ("Terminated", "Failed", "Running", "Waiting", "Interrupted")

_JOBS_BY_GROUP_SIZE = (((1, 1), 0.24), ((2, 4), 0.21), ((5, 49), 0.17), ((50, 499), 0.25), ((500, 3_000), 0.13))
"""((least, most), share of jobs) in groups of that size before users' ends cut them: 65 % of tasks recur five times (paper)."""

_WEEKEND, _WEEKEND_AFTERNOON = 0.85, 0.68
"""Submissions on a weekend over those on a weekday, and from 14 to 22 h: fits the quartiles over the days that the notebook gives by hour."""

_BURST_HOURS = 5
_BURSTS = (((0.35, 0.5), 0.6), ((0.55, 0.7), 0.3), ((0.75, 0.9), 0.15))
"""Where in the window each burst lies, and how many jobs it has for each one that the fleet is given on a day."""
MOST_BURSTS = len(_BURSTS)

_JOBS_OF_A_BUSY_GROUP = 300


@dataclass(frozen=True)
class Window:
    """Whole local days of the simulated fleet, in the trace's offset seconds."""

    days: int

    @property
    def start_s(self) -> int:
        """First second: a local midnight."""
        return reference.FIRST_LOCAL_DAY * 86_400 - reference.UTC_OFFSET_S

    @property
    def end_s(self) -> int:
        """First second after the window."""
        return self.start_s + self.days * 86_400


@dataclass(frozen=True)
class Jobs:
    """One entry per job, in order of submission."""

    user: Ints
    group: Ints
    group_size: Ints
    submit_s: Ints
    late: Flags
    cpu_only: Flags
    status: Ints
    burst: Flags

    def __len__(self) -> int:
        """Number of jobs."""
        return len(self.user)


def job_count(scale: float, days: int) -> int:
    """Jobs of a fleet: the real number at scale 1 over the real length."""
    real = reference.count_of("pai_job_table", "rows")
    return max(round(real * scale * days / reference.DAYS_AT_FULL_LENGTH), 1)


def draw_jobs(scale: float, window: Window, dice: Dice, *, bursts: int = 0) -> Jobs:
    """Draw every job of the window; of so many `bursts`, in each one user submits hundreds of jobs within a few hours."""
    total = job_count(scale, window.days)
    user = _users(total, dice)
    group, group_size = _groups(user, dice)
    share = _positions(group, dice)
    submit_s, late = _submissions(share, window, dice)
    bursting = np.zeros(total, dtype=bool)
    for number in range(bursts):
        submit_s, bursting = _burst(user, submit_s, bursting, window, dice, number=number)
    order = np.argsort(submit_s, kind="stable")
    cpu_only = _cpu_only(group, dice)
    jobs = Jobs(user, group, group_size, submit_s, late, cpu_only, np.zeros(total, dtype=np.int64), bursting)
    jobs = replace(jobs, **{name: getattr(jobs, name)[order] for name in jobs.__dataclass_fields__})
    return replace(jobs, status=_statuses(jobs, dice))


def _users(total: int, dice: Dice) -> Ints:
    """User of each job: few users own most jobs, as in the notebook's figure of tasks per user."""
    real_jobs, real_tasks = reference.count_of("pai_job_table", "rows"), reference.count_of("pai_task_table", "rows")
    number = max(round(reference.EXTRA_TASK_COUNTS["users"] * total / real_jobs), min(8, total))
    curve = Curve.through(reference.tasks_per_user(), least=1.0, most=40_000.0)
    jobs = curve.quantile((np.arange(number) + 0.5) / number) * (real_jobs / real_tasks)
    top = np.arange(number) >= number - max(1, round(number * 0.03))
    left = total - float(jobs[~top].sum())
    if left > float(jobs[top].sum()) * 0.3:
        jobs[top] *= left / float(jobs[top].sum())
    owned = np.maximum(apportion(jobs, total), 1)
    names = dice.on("users").permutation(number)
    return np.repeat(names, owned)[:total]


def _groups(user: Ints, dice: Dice) -> tuple[Ints, Ints]:
    """Group of each job and that group's size; a group belongs to one user."""
    rng = dice.on("groups")
    total = len(user)
    bounds = np.array([bound for bound, _ in _JOBS_BY_GROUP_SIZE], dtype=np.float64)
    share = np.array([share for _, share in _JOBS_BY_GROUP_SIZE])
    spread = np.log((bounds[:, 1] + 1) / bounds[:, 0])
    mean = (bounds[:, 1] + 1 - bounds[:, 0]) / spread
    odds = share / mean
    # Dealt, not drawn: a few large groups more or less would change how much recurs
    kind = rng.permutation(deal(rng.random(drawn := int(total * odds.sum() * 1.1) + 50), odds))
    even = np.empty(drawn)
    for number in range(len(odds)):
        inside = kind == number
        even[inside] = rng.permutation((np.arange(inside.sum()) + 0.5) / max(inside.sum(), 1))
    sizes = np.floor(bounds[kind, 0] * np.exp(even * spread[kind])).astype(np.int64)
    ends = np.cumsum(sizes)
    starts = np.zeros(total, dtype=bool)
    starts[ends[ends < total]] = True
    starts[0] = True
    starts[1:] |= user[1:] != user[:-1]
    group = np.cumsum(starts) - 1
    return group, np.bincount(group)[group]


def _positions(group: Ints, dice: Dice) -> Floats:
    """Where in the arrival order each job stands: a group lives for a while, so the fleet's mix changes from day to day."""
    rng = dice.on("positions")
    number = int(group[-1]) + 1
    centre = rng.random(number)
    # Large groups live long: else one of them would fill the fleet for days
    least = np.clip(np.bincount(group) / _JOBS_OF_A_BUSY_GROUP, 0.03, 0.5)
    width = least * (0.8 / least) ** rng.random(number)
    raw = np.abs(centre[group] + width[group] * rng.standard_normal(len(group))) % 2.0
    return ranks(np.where(raw > 1.0, 2.0 - raw, raw))


def _submissions(share: Floats, window: Window, dice: Dice) -> tuple[Ints, Flags]:
    """Second of submission by position, and whether it lies in the last quarter of the window."""
    by_hour = arrival_weights(window, dice)
    edges = np.concatenate(([0.0], np.cumsum(by_hour)))
    hours = np.interp(share, edges / edges[-1], np.arange(len(edges), dtype=np.float64))
    submit_s = window.start_s + np.floor(hours * 3_600).astype(np.int64)
    return submit_s, hours >= 0.75 * len(by_hour)


def arrival_weights(window: Window, dice: Dice) -> Floats:
    """Expected share of submissions in each hour of the window: growth, weekday, hour of day."""
    span, arrived = zip(*((0.0, 0), *reference.ARRIVALS), strict=True)
    by_day = np.diff(np.interp(np.linspace(0.0, 1.0, window.days + 1), span, arrived))
    by_day = by_day * np.exp(0.07 * dice.on("arrival days").standard_normal(window.days))
    hours = np.arange(window.days * 24)
    # 1970-01-01 was a Thursday, so local day 2 was a Saturday
    weekday = (reference.FIRST_LOCAL_DAY + hours // 24 - 2) % 7
    hour = hours % 24
    weekend = np.where((hour >= 14) & (hour < 22), _WEEKEND_AFTERNOON, _WEEKEND)
    profile = reference.median_tasks_by_hour()[hour] * np.where(weekday < 2, weekend, 1.0)
    daily = profile.reshape(-1, 24).sum(axis=1)
    result: Floats = profile * by_day[hours // 24] / daily.mean()
    return result


def _burst(user: Ints, submit_s: Ints, before: Flags, window: Window, dice: Dice, *, number: int) -> tuple[Ints, Flags]:
    """Move some hundred jobs of one busy user into a few hours of one day; another user's in each burst."""
    rng = dice.on("burst" if number == 0 else f"burst {number}")
    within, size = _BURSTS[number]
    owned = np.bincount(user)
    owned[user[before]] = 0
    busy = np.argsort(owned, kind="stable")[-max(1, len(owned) // 20) :]
    chosen = int(rng.choice(busy))
    day = int(window.days * rng.uniform(*within))
    per_day = len(user) // window.days
    mine = np.flatnonzero(user == chosen)
    moved = rng.permutation(mine)[: max(1, int(per_day * size))]
    start = window.start_s + day * 86_400 + 9 * 3_600
    result = submit_s.copy()
    result[moved] = start + np.sort(rng.integers(0, _BURST_HOURS * 3_600, len(moved)))
    bursting = before.copy()
    bursting[moved] = True
    return result, bursting


CPU_JOBS_OF_REAL = 47_215
"""Jobs without any GPU task: the CPU-only tasks less those (mostly parameter servers) that accompany GPU tasks."""


def _cpu_only(group: Ints, dice: Dice) -> Flags:
    rng = dice.on("cpu-only jobs")
    real = reference.count_of("pai_job_table", "rows")
    by_group = rng.random(int(group[-1]) + 1)
    score = by_group[group] + 0.02 * rng.random(len(group))
    return choose(score, round(CPU_JOBS_OF_REAL * len(group) / real))


def status_quotas(total: int) -> tuple[int, ...]:
    """Jobs of each status (Terminated, Failed, Running, Waiting) among so many, as in the real job table."""
    counted = [reference.count_of("pai_job_table", f"status={status} rows") for status in STATUSES[:4]]
    return tuple(apportion(np.array(counted, dtype=np.float64), total).tolist())


def _statuses(jobs: Jobs, dice: Dice) -> Ints:
    """Final status of each job: exact counts; failures gather in repeated groups and in the last quarter.

    No job waits yet: what does is chosen when it is known what never started before the window's end.
    """
    rng = dice.on("statuses")
    total = len(jobs)
    table = "pai_job_table"
    _, failed, running, _ = status_quotas(total)
    by_group = rng.standard_normal(int(jobs.group.max()) + 1)
    score = by_group[jobs.group] + 0.8 * rng.standard_normal(total)
    big = jobs.group_size >= 50
    cell = jobs.late * 4 + big * 2 + jobs.cpu_only
    members = np.bincount(cell, minlength=8).reshape(2, 2, 2).astype(np.float64)
    early_jobs, late_jobs = members.sum(axis=(1, 2))
    lift = reference.FAILED_RATE_LAST_QUARTER_OVER_BEFORE
    early = failed * early_jobs / (early_jobs + lift * late_jobs)
    real_failed_tasks = reference.count_of("pai_task_table", "plan_gpu empty") * reference.FAILED_SHARE_OF_CPU_TASKS
    of_cpu = min(real_failed_tasks * total / reference.count_of(table, "rows"), members[..., 1].sum())
    of_big = min(failed * reference.FAILED_SHARE_IN_GROUPS_OF_50, members[:, 1].sum())
    wanted = fit_table(
        members,
        (
            ((1,), np.array([failed - of_big, of_big])),
            ((2,), np.array([failed - of_cpu, of_cpu])),
            ((0,), np.array([early, failed - early])),
        ),
    )
    status = np.full(total, TERMINATED, dtype=np.int64)
    quota = np.minimum(apportion(wanted.ravel(), failed), members.ravel().astype(np.int64))
    for number, count in enumerate(quota):
        inside = np.flatnonzero(cell == number)
        status[inside[choose(score[inside], int(count))]] = FAILED
    open_ = np.flatnonzero(status == TERMINATED)
    # What is left over is dealt by another score of the group, so that stuck jobs recur too
    other = rng.standard_normal(len(by_group))[jobs.group[open_]] + 1.2 * rng.standard_normal(len(open_))
    dealt = deal(other, np.array([running, max(len(open_) - running, 0)], dtype=np.float64))
    status[open_] = np.array([RUNNING, TERMINATED])[dealt]
    return status
