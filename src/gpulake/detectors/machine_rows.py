"""The hours of machines as a detector needs them: once each, sorted, unknown as NaN; and the rules that need no learning."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpulake.detectors import Columns, blocks

METRICS = ("gpu_util", "gpu_util_p95", "cpu_util", "net", "load1", "mem", "power", "temp", "clock")
UNITS = ("%", "%", "%", "Gbit/s", "", "%", "W", "°C", "MHz")
WORDS = (
    "GPU use",
    "95th percentile of GPU use",
    "CPU use",
    "network",
    "load",
    "memory",
    "power",
    "temperature",
    "clock",
)
"""How people read a metric."""
UTIL, TEMP = METRICS.index("gpu_util"), METRICS.index("temp")
LOG_FACTOR = {METRICS.index("net"): 10.0, METRICS.index("load1"): 1.0}
"""These span decades: a detector sees log(1 + factor × value)."""
VISIBLE = "gpus_visible"
ZERO_PCT, BUSY_PCT = 0.05, 5.0
WHOLE_MACHINE_GPUS = 8.0
LEAST_TELLING = 3


@dataclass(frozen=True)
class Fleet:
    """Rows once each, by machine and hour."""

    order: blocks.Order
    hour: NDArray[Any]
    machine: blocks.Ints
    names: NDArray[Any]
    cohort: blocks.Ints
    values: blocks.Floats  # rows × METRICS, float32
    alloc: blocks.Floats
    gpus: blocks.Floats
    visible: blocks.Floats
    samples: blocks.Floats
    job: blocks.Ints  # -1: none known
    flagged: blocks.Bools  # by an earlier run: not learned from
    sampled: blocks.Bools  # measured in this hour: a mean over a job's life stands still by its nature

    @property
    def busy(self) -> blocks.Bools:
        """Hours in which a GPU was allocated."""
        return self.alloc > 0

    @property
    def whole(self) -> blocks.Bools:
        """Hours in which one job may hold the whole machine, so that its mates can be compared."""
        return (self.alloc >= self.gpus) & (self.job >= 0)

    def take(self, at: blocks.Ints) -> Fleet:
        """Some of the rows, in the same order."""
        parts = (
            "hour",
            "machine",
            "cohort",
            "values",
            "alloc",
            "gpus",
            "visible",
            "samples",
            "job",
            "flagged",
            "sampled",
        )
        return replace(self, **{name: getattr(self, name)[at] for name in parts})


@dataclass(frozen=True)
class Rules:
    """What needs no learning: facts of the row and of the machine's earlier rows."""

    visible: blocks.Bools
    unchanged: blocks.Bools
    unchanged_hours: blocks.Ints
    zero: blocks.Bools
    was_busy: blocks.Bools  # this job's earlier median here was above 5 %
    idle_jobs: blocks.Ints  # jobs that held it since it was last seen doing anything
    mates_pct: blocks.Floats  # the mates' median utilisation
    mates: blocks.Ints  # and their number

    def take(self, at: blocks.Ints) -> Rules:
        """Those of some of the rows."""
        return Rules(**{field.name: getattr(self, field.name)[at] for field in fields(self)})


def known(columns: Columns, name: str, rows: int) -> blocks.Floats:
    """An optional column as float32, unknown where it is not there. Infinite is unknown."""
    if name not in columns:
        return np.full(rows, np.nan, np.float32)
    values = np.asarray(columns[name]).astype(np.float32)
    return np.where(np.isfinite(values), values, np.float32(np.nan))


def fleet_of(columns: Columns) -> Fleet:
    """Read the rows of the level. Of two rows of one machine and hour the greater stands, wherever they lie."""
    hour = np.asarray(columns["hour_idx"], dtype=np.int64)
    rows = len(hour)
    names, first, machine = np.unique(columns["machine"], return_index=True, return_inverse=True)
    machine = machine.astype(np.int64)
    if "machine_name" in columns:
        names = np.asarray(columns["machine_name"])[first]
    flagged = np.asarray(columns.get("flagged", np.zeros(rows, np.bool_)))
    sampled = np.asarray(columns.get("is_sampled", np.ones(rows, np.bool_)))
    values = np.column_stack([known(columns, name, rows) for name in METRICS])
    alloc, visible = known(columns, "alloc", rows), known(columns, VISIBLE, rows)
    gpus = np.nan_to_num(known(columns, "gpu_count", rows), nan=WHOLE_MACHINE_GPUS)
    if "n_samples" in columns or "coverage_ratio" not in columns:
        samples = known(columns, "n_samples", rows) if "n_samples" in columns else np.full(rows, np.float32(240))
    else:
        samples = known(columns, "coverage_ratio", rows) * blocks.FULL_HOUR_SAMPLES
    job = jobs_by_number(columns["main_job"])
    order = blocks.once_each(machine, hour, job, alloc, gpus, visible, samples, *values.T)
    at = order.kept
    for j, factor in LOG_FACTOR.items():
        values[:, j] = np.log1p(factor * np.maximum(values[:, j], 0))
    return Fleet(
        order=order,
        hour=hour[at],
        machine=machine[at],
        names=names,
        cohort=blocks.coded(np.asarray(columns["cohort"])[at]),
        values=values[at],
        alloc=alloc[at],
        gpus=gpus[at],
        visible=visible[at],
        samples=samples[at],
        job=job[at],
        flagged=flagged[at],
        sampled=sampled[at],
    )


def jobs_by_number(jobs: NDArray[Any]) -> blocks.Ints:
    """One number per job, -1 where none is known (-1, "" or NaN)."""
    jobs = np.asarray(jobs)
    if jobs.dtype.kind in "iu":
        return jobs.astype(np.int64)
    if jobs.dtype.kind == "f":
        return np.where(np.isfinite(jobs), np.nan_to_num(jobs, nan=-1), -1).astype(np.int64)
    names, code = np.unique(jobs.astype(str), return_inverse=True)
    return np.where((names == "") | (names == "-1"), -1, np.arange(len(names)))[code].astype(np.int64)


def rules_of(fleet: Fleet) -> Rules:
    """Which rules hold in each hour; a thin hour breaks none."""
    seen_enough = fleet.samples >= blocks.THIN_SAMPLES
    unchanged = _unchanged(fleet) & seen_enough & fleet.sampled
    util = fleet.values[:, UTIL]
    zero = (fleet.alloc >= 1) & (util < ZERO_PCT) & seen_enough
    mates = np.full(len(util), np.nan, np.float32)
    whole = np.flatnonzero(fleet.whole)
    count = np.zeros(len(util), np.int64)
    if len(whole):
        key = blocks.coded(fleet.hour[whole], fleet.job[whole])
        mates[whole] = blocks.median_of_others(util[whole], key)
        count[whole] = np.bincount(key)[key] - 1
    return Rules(
        visible=(fleet.visible < fleet.gpus) & seen_enough,
        unchanged=unchanged,
        unchanged_hours=_streak(unchanged),
        zero=zero,
        was_busy=_was_busy(fleet),
        idle_jobs=_jobs_while(zero, fleet),
        mates_pct=mates,
        mates=count,
    )


def _unchanged(fleet: Fleet) -> blocks.Bools:
    """All metrics but the clock equal the machine's row before, of which at least three are not 0."""
    if not len(fleet.hour):
        return np.zeros(0, np.bool_)
    before = np.r_[False, fleet.machine[1:] == fleet.machine[:-1]]
    same = np.ones(len(before), np.bool_)
    telling = np.zeros(len(before), np.int64)
    for j, name in enumerate(METRICS):
        if name == "clock":
            continue
        value = fleet.values[:, j]
        earlier = np.r_[np.float32(np.nan), value[:-1]]
        unknown = np.isnan(value)
        same &= (value == earlier) | (unknown & np.isnan(earlier))
        telling += ~unknown & (value != 0)
    unchanged: blocks.Bools = before & same & (telling >= LEAST_TELLING)
    return unchanged


def _streak(flag: blocks.Bools) -> blocks.Ints:
    """How many rows running it has held."""
    places = np.arange(len(flag))
    return places - np.maximum.accumulate(np.where(flag, -1, places)) if len(flag) else places


def _jobs_while(flag: blocks.Bools, fleet: Fleet) -> blocks.Ints:
    """How many jobs have held a machine so far since the flag rose; 0 where it is down. A gap neither raises nor lowers it."""
    out = np.zeros(len(flag), np.int64)
    starts = np.r_[True, fleet.machine[1:] != fleet.machine[:-1]] if len(flag) else flag
    stretch = np.cumsum(starts | ~flag)
    at = np.flatnonzero(flag & (fleet.job >= 0))
    _, first = np.unique(blocks.coded(stretch[at], fleet.job[at]), return_index=True)
    new = np.zeros(len(flag), np.int64)
    new[at[first]] = 1
    so_far = np.cumsum(new)
    before = np.maximum.accumulate(np.where(starts | ~flag, so_far - new, 0)) if len(flag) else so_far
    out[flag] = (so_far - before)[flag]
    return out


def _was_busy(fleet: Fleet) -> blocks.Bools:
    """More than half of the earlier hours of this job on this machine were above 5 %."""
    out = np.zeros(len(fleet.hour), np.bool_)
    at = np.flatnonzero((fleet.job >= 0) & ~np.isnan(fleet.values[:, UTIL]))
    if not len(at):
        return out
    order = at[np.lexsort((fleet.hour[at], fleet.job[at], fleet.machine[at]))]
    busy = (fleet.values[order, UTIL] > BUSY_PCT).astype(np.int64)
    starts = np.flatnonzero(
        np.r_[True, (np.diff(fleet.machine[order]) != 0) | (np.diff(fleet.job[order]) != 0)],
    )
    first = np.repeat(starts, np.diff(np.r_[starts, len(order)]))
    so_far = np.cumsum(busy) - busy
    earlier = np.arange(len(order)) - first
    out[order] = 2 * (so_far - so_far[first]) > earlier
    return out
