"""What is published about PAI 2020, as the numbers that the simulator is calibrated to.

The three CSV files beside this module are small tables of counts and quantiles derived from Alibaba's cluster-trace-gpu-v2020
(CC-BY 4.0; Weng et al., "MLaaS in the Wild", NSDI 2022): no row of the trace itself is shipped.
Constants name where they come from: the publisher's README, its notebook's figures, the paper, or counts over the real files.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np

from gpulake.simulate.curves import Curve, Floats

DAYS_AT_FULL_LENGTH = 62
"""July and August 2020, the publisher's README: `scale` 1 over this many days is the real trace's size."""

UTC_OFFSET_S = 8 * 3600
"""Asia/Shanghai, no daylight saving: read so, the hour of day and the weekday are right (publisher's README)."""

FIRST_LOCAL_DAY = 5
"""Window starts on local day 5 of the offset clock (1970-01-06, a Tuesday): the real trace's first days hold nothing."""

GPU_TYPES = ("T4", "MISC", "P100", "V100", "V100M32")
MACHINE_TYPES = (*GPU_TYPES, "CPU")
TASKS_BY_GPU_TYPE = (227_000, 696_000, 73_000, 29_000, 19_000)

PLAN_GPU = (1, 5, 10, 15, 20, 25, 30, 40, 50, 60, 75, 100, 200, 300, 400, 500, 600, 800)
"""Percent of a GPU that one instance asks for. 10, 25, 50, 100, 200 and 800 are counted; the rest is split as in real rows."""
TASKS_BY_PLAN_GPU = (
    *(2_000, 16_500, 116_648, 2_500, 15_500, 272_243, 1_000, 1_000, 136_701, 400, 600),
    *(442_591, 16_312, 1_500, 4_000, 1_647, 1_000, 4_943),
)
SHARE_CLASSES = ("plan_gpu<25", "25<=plan_gpu<50", "50<=plan_gpu<100", "plan_gpu=100", "plan_gpu>100")

ASKED_CPU_AND_MEMORY = (
    *((600.0, 29.296875, 308), (100.0, 29.296875, 44), (1800.0, 58.59375, 23), (20.0, 29.296875, 16), (600.0, 2.0, 11)),
    *((600.0, 19.53125, 6), (1600.0, 29.296875, 6), (400.0, 19.53125, 5), (1000.0, 19.55078125, 5)),
    *((800.0, 29.296875, 4), (50.0, 29.296875, 4), (3200.0, 19.53125, 4), (1200.0, 29.296875, 4), (9000.0, 300.0, 3)),
    *((600.0, 4.0, 3), (600.0, 2.9296875, 3), (500.0, 29.296875, 3), (50.0, 48.828125, 3), (400.0, 9.765625, 3)),
    *((400.0, 14.6484375, 3), (200.0, 29.296875, 6), (800.0, 48.828125, 5)),
)
"""(plan_cpu in percent of a core, plan_mem in GB, rows of 500 real requests): site defaults, spikes instead of curves."""

ATTEMPTS_OF_RETRIED = (
    (2, 373),
    (3, 114),
    (4, 11),
    (5, 4),
    (6, 4),
    (7, 8),
    (8, 6),
    (9, 12),
    (10, 14),
    (11, 22),
    (12, 4),
)
"""(rows, instances): how often a retried instance was started, in 18,229 real rows."""

RETRIED_SHARE = 741 / 24_040
ROWS_PER_INSTANCE = 25_541 / 24_040
SHARED_WORKER_SHARE = 61 / 25_541
ZERO_LENGTH_SHARE = 7 / 25_541
"""Of all rows, those that end in the second in which they start."""

NULLS_OF_STATUS = {
    "Failed": (("start and end", 1), ("start only", 1_839), ("end only", 565)),
    "Running": (("start only", 718), ("neither", 1_767)),
}
"""Which times an instance row shows, counted in 25,541 real rows. Terminated shows both, Interrupted its end, Waiting none."""

FAILED_MEDIAN_RUN_S, TERMINATED_MEDIAN_RUN_S = 220.0, 663.0
FAILED_SHARE_OF_CPU_TASKS = 0.018
FAILED_RATE_LAST_QUARTER_OVER_BEFORE = 43.4 / 20.1
FAILED_SHARE_IN_GROUPS_OF_50 = 0.526

ARRIVALS = ((0.2, 95_971), (0.4, 281_948), (0.6, 503_707), (0.8, 738_560), (0.95, 1_002_720), (1.0, 1_055_501))
"""(share of the span, jobs submitted by then): the load grows."""

WORKLOADS = ("graphlearn", "ctr", "bert", "nmt", "resnet", "inception", "rl", "xlnet")

EXTRA_TASK_COUNTS = {
    "users": 1_430,
    "retyped CPU-only tasks": 5_965,
    "group rows without a job": 1_061,
    "jobs with a group row": 1_053_971,
}

GPU_USE = Curve.through(
    ((0.35, 0.05), (0.5, 1.5), (0.754, 10.0), (0.90, 29.0), (0.95, 50.0), (0.98, 92.0)), least=0.04, most=210.0
)
"""Lifetime gpu_wrk_util of a worker, above GPU_USE_ZERO_SHARE of exact zeros (a published study of the sensor table)."""
GPU_USE_ZERO_SHARE = 0.345
GPU_USE_OVER_PLAN_SHARE = 0.021

CPU_USE = Curve.through(
    ((0.05, 3.0), (0.25, 45.0), (0.5, 112.0), (0.75, 300.0), (0.87, 600.0), (0.95, 1_100.0), (0.99, 2_200.0)),
    least=0.3,
    most=4_000.0,
)
"""Lifetime cpu_usage of a worker in percent of a core, near the notebook's task sums; 15 % exceed the common request of 600."""

GANG_SPREAD_S = Curve.through(((0.3, 0.6), (0.5, 2.0), (0.9, 97.0), (0.99, 1_858.0)), least=0.4, most=6_000.0)
"""Seconds between the first and the last start of one task's instances, in real rows."""


@dataclass(frozen=True)
class MachineClass:
    """Machines of one kind: how many there are at full scale, and what each has."""

    gpu_type: str
    machines: int
    cap_cpu: int
    cap_mem: int
    cap_gpu: int


def _rows(name: str) -> list[dict[str, str]]:
    text = (files("gpulake.simulate") / "reference" / name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


@cache
def machine_classes() -> tuple[MachineClass, ...]:
    """Every kind of machine of the real fleet, in the order of its own machine table."""
    return tuple(
        MachineClass(
            row["gpu_type"], int(row["machines"]), int(row["cap_cpu"]), int(row["cap_mem"]), int(row["cap_gpu"])
        )
        for row in _rows("pai2020_machines.csv")
    )


def gpus_of_type(gpu_type: str) -> int:
    """GPUs of one type that the real fleet's machine table lists."""
    return sum(kind.machines * kind.cap_gpu for kind in machine_classes() if kind.gpu_type == gpu_type)


@cache
def quantiles() -> dict[tuple[str, str], list[tuple[float, float]]]:
    """Digitised (share, value) points by (metric, population), as read from the publisher's figures."""
    points: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    for row in _rows("pai2020_quantiles.csv"):
        if row["cdf_percent"]:
            points[row["metric"], row["population"]].append((float(row["cdf_percent"]) / 100, float(row["value"])))
    return {key: sorted(found) for key, found in points.items()}


@cache
def counts() -> dict[tuple[str, str], float]:
    """Counted facts about the real files by (table, statistic)."""
    return {(row["table"], row["statistic"]): float(row["value"]) for row in _rows("pai2020_counts.csv")}


def count_of(table: str, statistic: str) -> int:
    """One counted fact as a whole number; an unknown one is a KeyError, since it is a mistake of ours."""
    return round(counts()[table, statistic])


def runtime_curve(gpu_type: str) -> Curve:
    """Seconds that a Terminated task of this type runs (mean over its instances), the notebook's figure 4a."""
    points = quantiles()["task_runtime_mean_of_instances", gpu_type]
    return Curve.through(points, least=8.0, most=points[-1][1] * 4.0)


def wait_curve(population: str) -> Curve:
    """Seconds from submission to the first start, by share class or by GPU type, the notebook's figures."""
    points = quantiles()["task_wait_time", population]
    return Curve.through(points, least=max(1.0, points[0][1] * 0.6), most=points[-1][1] * 5.0)


def tasks_per_user() -> list[tuple[float, float]]:
    """(share of users, tasks) points of the notebook."""
    return quantiles()["tasks_per_user", "users"]


def median_tasks_by_hour() -> Floats:
    """Median number of tasks submitted in each local hour of the day."""
    return np.array([dict(quantiles()["tasks_submitted_per_hour", f"{hour:02d}"])[0.5] for hour in range(24)])


@cache
def instance_share_by_task_size() -> tuple[tuple[int, float], ...]:
    """(n, share of all instances that sit in tasks of at least n instances), in order of n."""
    metric = "share_of_instances_in_tasks_of_at_least_n_instances"
    found = [
        (int(row["population"].removeprefix("n=")), float(row["value"]) / 100)
        for row in _rows("pai2020_quantiles.csv")
        if row["metric"] == metric
    ]
    return tuple(sorted(found))
