"""The rows of each level: their columns with units. A source that lacks an optional one leaves it out.

Rows stand in any order. `entity` columns tell the rows of one moment apart.

cluster_day: one row per day of one cluster.
    day (days since the first), weekday (0 to 6; -1 where the source's days have none),
    avg_gpu_util, p95_gpu_util, avg_cpu_util (%), coverage_ratio (0 to 1),
    hour_gpu_util (days × 25: mean utilisation of the machines that report, by hour of the day, %; NaN where there is no such hour),
    hour_coverage_ratio (days × 25, 0 to 1); optional allocated_gpu_util, hour_allocated_gpu_util, hour_allocation_coverage_ratio (the same of the GPUs that jobs
    held), typical_job_gpu_util (%: mean over the day's jobs), measured_jobs_ratio
cluster_hour: one row per hour of one cluster.
    hour_idx (hours since the first), hour_of_day (0 to 23), alloc_gpu_util (%: Σ GPUs × utilisation ÷ Σ GPUs allocated, over
    machines with some allocated), coverage_ratio
machine_hour: one row per machine and hour; a missing row is a gap in reporting.
    hour_idx, machine, cohort (the kind of machine), gpu_util (mean of its GPUs, %), alloc (GPUs given to jobs), main_job
    (-1 or "": none); optional machine_name (text, where machine is a number), flagged (bool: an earlier verdict on the same row; such rows are not learned from), is_sampled (bool:
    measured in this hour; where false the values are means over a whole job, so that equal ones in a row say nothing), gpu_count (GPUs of the machine; else 8), gpu_util_p95, cpu_util, net (Gbit/s), load1, mem (%), power (W), temp
    (hottest GPU, °C), clock (MHz), gpus_visible, n_samples (of 240; or coverage_ratio)
gpu_hour: hour_idx, machine, gpu, cohort, util (%), power (W), temp (°C), clock (MHz), alloc (bool), job
job: job, user, cohort, size (GPUs), start (hours), dur (hours), gpu_util (%); optional cpu_per_gpu, net_per_gpu, mem_gb
series: either entity, split (train or test), step, m00 … : several metrics of one thing;
    or series, ts, value: one metric
"""

from __future__ import annotations

from collections.abc import Sequence

from gpulake.detectors import Block

HOURS_PER_WEEK = 168


def fixed(*, fit: tuple[float, float], calibrate: tuple[float, float], until: float) -> tuple[Block, ...]:
    """One block: learn once, score everything after."""
    return (Block(fit, calibrate, (calibrate[1], until)),)


def weekly(
    *, first: float, until: float, week: float = HOURS_PER_WEEK, learn: int = 2, most: int = 6
) -> tuple[Block, ...]:
    """Refit each week on the past; its last week sets the thresholds. The first `learn` weeks are not scored.

    At most `most` weeks are looked back on, so that a day costs the same however old a lake is. The weeks are counted from
    `first`, the first moment of the history, so the blocks of the past never move.
    """
    blocks: list[Block] = []
    start = first + learn * week
    while start < until:
        blocks.append(
            Block((max(first, start - most * week), start - week), (start - week, start), (start, start + week))
        )
        start += week
    return tuple(blocks)


def whole(*, first: float, until: float) -> Sequence[Block]:
    """One block without a past: for a detector that is retrospective, or that walks by itself."""
    return (Block((first, until), (first, until), (first, until)),)
