"""Machines and GPUs: each detector beside random scores, the mission's forest and simple rivals, with the bars that it must meet.

Labels are read for scoring only. The windows are those of the data's README; a rival's own are said beside it.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.detection.measures import Alarms, Labelled, alarms, at_budget, auc_pr, event_f1, vus_pr
from bench.measure import ROOT, run_script
from gpulake.detectors import Block, Columns, Detector, blocks, gpu_peers, machine_peers
from gpulake.detectors.machine_rows import METRICS, WHOLE_MACHINE_GPUS, jobs_by_number

DATA = ROOT.parent / "shared" / "data" / "anomaly"
LABELS = ("event_id", "ignore")
SENSORS = ("power", "temp", "clock", "gpus_visible")
HOURS_PER_DAY, HOURS_PER_WEEK = 24, 168
MACHINE_BLOCK = Block((3 * 24, 14 * 24), (14 * 24, 21 * 24), (21 * 24, 60 * 24))
GPU_BLOCK = Block((3 * 24, 12 * 24), (12 * 24, 18 * 24), (18 * 24, 40 * 24))
WEEKS_PER_ALARM = 100
SPEED_MACHINES, SPEED_HOURS = 1897, 1500
MOST_SPEED_S, MOST_SPEED_MIB = 180, 2048

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Task:
    """One file as a detector may see it, and what is true of its scored rows."""

    title: str
    detector: Detector
    block: Block
    columns: Columns
    metrics: tuple[str, ...]
    entity: NDArray[Any]
    scored: NDArray[np.bool_]
    truth: Labelled
    bars: Mapping[str, float]

    @property
    def hour(self) -> NDArray[np.int64]:
        """Of each row."""
        return np.asarray(self.columns["hour_idx"], np.int64)

    @property
    def false_alarms(self) -> float:
        """How many the budget allows in the scored rows."""
        return float(self.scored.sum()) / HOURS_PER_WEEK / WEEKS_PER_ALARM


def table(name: str) -> dict[str, NDArray[Any]]:
    """A labelled file, by column."""
    from pyarrow import parquet

    read = parquet.read_table(DATA / name)
    return {column: read[column].to_numpy(zero_copy_only=False) for column in read.column_names}


def machines(*, blind: bool) -> Task:
    """Machine-hours; blind: from utilisation alone, so that what cannot be seen then counts neither way."""
    columns = table("fleet_machine_hour.parquet")
    event, ignore = columns["event_id"].astype(np.int64), columns["ignore"].astype(np.bool_)
    if blind:
        with (DATA / "fleet_events.csv").open(newline="") as lines:
            unseen = [
                int(row["event_id"])
                for row in csv.DictReader(lines)
                if row["kind"] == "throttle" or (row["kind"] == "drift" and row["aux"] == "0")
            ]
        hidden = np.isin(event, unseen)
        event, ignore = np.where(hidden, 0, event), ignore | hidden
    return _task(
        "machine-hour, utilisation only" if blind else "machine-hour",
        machine_peers.DETECTOR,
        MACHINE_BLOCK,
        {name: column for name, column in columns.items() if name not in (*LABELS, *(SENSORS if blind else ()))},
        tuple(name for name in METRICS if not (blind and name in SENSORS)),
        columns["machine"].astype(np.int64),
        event,
        ignore,
        {"AUC": 0.45, "flags P": 0.75, "flags R": 0.50}
        if blind
        else {"AUC": 0.72, "VUS": 0.68, "flags P": 0.80, "flags R": 0.85, "budget R": 0.85},
    )


def gpus() -> Task:
    """GPU-hours."""
    columns = table("fleet_gpu_hour.parquet")
    return _task(
        "GPU-hour",
        gpu_peers.DETECTOR,
        GPU_BLOCK,
        {name: column for name, column in columns.items() if name not in LABELS},
        gpu_peers.METRICS,
        blocks.coded(columns["machine"], columns["gpu"]),
        columns["event_id"].astype(np.int64),
        columns["ignore"].astype(np.bool_),
        {"AUC": 0.70, "budget P": 0.80, "budget R": 0.80},
    )


def _task(  # noqa: PLR0917  one call site per file, in the order of Task
    title: str,
    detector: Detector,
    block: Block,
    columns: Columns,
    metrics: tuple[str, ...],
    entity: NDArray[Any],
    event: NDArray[np.int64],
    ignore: NDArray[np.bool_],
    bars: Mapping[str, float],
) -> Task:
    hour = np.asarray(columns["hour_idx"], np.int64)
    scored = blocks.within(hour, block.score)
    truth = Labelled(entity[scored], hour[scored], event[scored], ignore[scored])
    return Task(title, detector, block, columns, metrics, entity, scored, truth, bars)


def by_chance(task: Task) -> Floats:
    """A die per row."""
    return np.random.default_rng(0).random(len(task.entity))


def by_mission_forest(task: Task) -> Floats:
    """The mission's: raw metrics, contamination .05, fitted on the rows that it scores."""
    from sklearn.ensemble import IsolationForest
    from sklearn.preprocessing import StandardScaler

    raw = np.column_stack([task.columns[name] for name in task.metrics])[task.scored].astype(np.float64)
    known = np.where(np.isnan(raw), np.nanmean(raw, axis=0), raw)
    scaled = StandardScaler().fit_transform(known)
    forest = IsolationForest(n_estimators=100, contamination=0.05, random_state=42).fit(scaled)
    out = np.full(len(task.entity), np.nan)
    out[task.scored] = -forest.decision_function(scaled)
    return out


def by_hour_of_day(task: Task) -> Floats:
    """The largest distance of a metric to its own median at this hour of the day, in MADs of the days learned from."""
    past = task.hour < task.block.calibrate[1]
    own = blocks.coded(task.entity, task.hour % HOURS_PER_DAY)
    strangest = np.zeros(len(own))
    for name in task.metrics:
        values = np.asarray(task.columns[name], np.float64)
        middle = _known_of(values, own, past)
        apart = np.abs(values - middle)
        spread = 1.4826 * _known_of(apart, own, past)
        least = np.nanmedian(spread) / 4
        strangest = np.fmax(strangest, apart / np.maximum(spread, least))
    return strangest


def _known_of(values: Floats, group: NDArray[np.int64], past: NDArray[np.bool_]) -> Floats:
    return np.asarray(blocks.median_of_group(np.where(past, values, np.nan), group), np.float64)


def by_mates(task: Task) -> Floats:
    """Root mean square of the distances to the median of the job-mates, in scales of the days learned from."""
    job = jobs_by_number(task.columns["main_job" if "main_job" in task.columns else "job"])
    whole = job >= 0
    if "main_job" in task.columns:
        whole &= np.asarray(task.columns["alloc"]) >= WHOLE_MACHINE_GPUS
    at = np.flatnonzero(whole)
    key = blocks.coded(task.hour[at], job[at])
    apart = np.full((len(job), len(task.metrics)), np.nan)
    for j, name in enumerate(task.metrics):
        values = np.asarray(task.columns[name], np.float64)[at]
        apart[at, j] = values - blocks.median_of_others(values, key)
    past = blocks.within(task.hour, (task.block.fit[0], task.block.calibrate[1]))
    cohort = blocks.coded(np.asarray(task.columns["cohort"]))
    scales = blocks.robust_scales(apart, cohort, past=past, groups=int(cohort.max()) + 1)
    return np.asarray(blocks.rms(blocks.clipped(apart / scales[cohort])), np.float64)


RIVALS: Mapping[str, Callable[[Task], Floats]] = {
    "random": by_chance,
    "mission's IsolationForest (fit on what it scores)": by_mission_forest,
    "own hour-of-day median + MAD": by_hour_of_day,
    "job-mates only, by the hour": by_mates,
}


def measure(task: Task, score: Floats, *, seconds: float, flag: NDArray[np.bool_] | None = None) -> dict[str, float]:
    """All figures of one scorer."""
    scored = score[task.scored]
    budget = at_budget(task.truth, scored, false_alarms=task.false_alarms)
    own: Alarms | None = None if flag is None else alarms(task.truth, flag[task.scored])
    nothing = float("nan")
    return {
        "AUC": auc_pr(task.truth, scored),
        "VUS": vus_pr(task.truth, scored),
        "event F1": event_f1(task.truth, scored),
        "flags P": own.precision if own else nothing,
        "flags R": own.recall if own else nothing,
        "false per 100 weeks": own.false / task.false_alarms if own else nothing,
        "budget P": budget.precision,
        "budget R": budget.recall,
        "seconds": seconds,
    }


def of_detector(task: Task) -> dict[str, float]:
    """The figures of the task's detector, in its fixed windows."""
    started = time.monotonic()
    verdicts = task.detector.judge(task.columns, (task.block,))
    return measure(task, verdicts.score, seconds=time.monotonic() - started, flag=verdicts.flag)


def compare(task: Task) -> None:
    """Print the detector and its rivals, then each bar beside its value."""
    ours = of_detector(task)
    print(f"\n{task.title}: {len(task.truth.events)} events in {int(task.scored.sum()):,} scored rows")
    print(f"  {'':52}" + "".join(f"{name:>10}" for name in ours if name != "false per 100 weeks"))
    _line(task.detector.name, ours)
    for name, rival in RIVALS.items():
        started = time.monotonic()
        score = rival(task)
        _line(name, measure(task, score, seconds=time.monotonic() - started))
    print(f"  false alarms by flags: {ours['false per 100 weeks']:.2f} per 100 weeks (declared: 1)")
    for name, least in task.bars.items():
        print(f"  {name:9} {ours[name]:.2f}  (bar ≥ {least:.2f}): {'met' if ours[name] >= least else 'MISSED'}")


def _line(name: str, figures: Mapping[str, float]) -> None:
    told = "".join(
        f"{'-' if value != value else f'{value:.3f}' if key != 'seconds' else f'{value:.1f}':>10}"  # noqa: PLR0124  NaN: none
        for key, value in figures.items()
        if key != "false per 100 weeks"
    )
    print(f"  {name:52}{told}")


def many_machines() -> dict[str, float]:
    """Judge 1,897 machines over 1,500 hours, made of copies of the labelled fleet: seconds without the making."""
    source = table("fleet_machine_hour.parquet")
    names, machine = np.unique(source["machine"], return_inverse=True)
    copies = -(-SPEED_MACHINES // len(names))
    repeats = -(-SPEED_HOURS // (60 * HOURS_PER_DAY))
    # Job numbers must not meet across copies, or machines of two copies would be mates.
    jobs = int(source["main_job"].max()) + 1
    parts: dict[str, list[NDArray[Any]]] = {name: [] for name in source if name not in LABELS}
    for copy in range(copies):
        kept = machine + copy * len(names) < SPEED_MACHINES
        for again in range(repeats):
            hour = source["hour_idx"].astype(np.int64) + again * 60 * HOURS_PER_DAY
            rows = kept & (hour < SPEED_HOURS)
            for name, made in parts.items():
                values = source[name][rows]
                if name == "machine":
                    values = (machine[rows] + copy * len(names)).astype(np.int32)
                elif name == "hour_idx":
                    values = hour[rows].astype(np.int32)
                elif name == "main_job":
                    number = values + (copy * repeats + again) * jobs
                    values = np.where(values < 0, -1, number).astype(np.int32)
                made.append(values)
    columns = {name: np.concatenate(parts.pop(name)) for name in list(parts)}
    rows = len(columns["hour_idx"])
    started = time.monotonic()
    block = Block(MACHINE_BLOCK.fit, MACHINE_BLOCK.calibrate, (MACHINE_BLOCK.score[0], SPEED_HOURS))
    verdicts = machine_peers.DETECTOR.judge(columns, (block,))
    return {"rows": rows, "seconds": time.monotonic() - started, "flagged": float(verdicts.flag.sum())}


def speed() -> None:
    """In a process of its own, so that the peak of memory is the detector's with its input."""
    cost, figures = run_script(many_machines)
    print(
        f"\nmachine-hour, {SPEED_MACHINES:,} machines x {SPEED_HOURS:,} h: {figures['rows']:,.0f} rows x {len(METRICS)} metrics"
    )
    for what, value, most in (("s", figures["seconds"], MOST_SPEED_S), ("MiB at most", cost.rss, MOST_SPEED_MIB)):
        print(f"  {value:7.0f} {what:11} (bar ≤ {most}): {'met' if value <= most else 'MISSED'}")


def tell() -> None:
    """Print every table of the fleet; nothing where the labelled files are not there."""
    if not Path(DATA).is_dir():
        print(f"no labelled fleet at {DATA}: skipped")
        return
    for task in (machines(blind=False), machines(blind=True), gpus()):
        compare(task)
    speed()
