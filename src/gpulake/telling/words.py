"""Figures in words: headlines, percentages with a dash for what is unknown, reasons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gpulake.reading.report import ClusterReport, Day, Judge, Waste


def headline(cluster: ClusterReport) -> str:
    """The finding in one line: the title of the report, the picture and the page."""
    window = cluster.window
    if window is None or not cluster.has_gpu_use:
        return f"{cluster.cluster_id}: GPU use was not measured" if cluster.waste is None else waste_headline(cluster)
    return (
        f"{counted(window.window_days, 'day')} of GPU use: mean {pct(window.avg_gpu_util, digits=0)} of measured time, "
        + flagged_words(cluster)
    )


def flagged_words(cluster: ClusterReport) -> str:
    """How many days the shown detector flags."""
    flagged = cluster.shown.counted.flagged_rows if cluster.shown else 0
    return f"{counted(flagged, 'day')} flagged" if flagged else "no day flagged"


def waste_headline(cluster: ClusterReport) -> str:
    """Where the GPU-hours went, in one line."""
    waste = cluster.waste
    if waste is None:
        return f"{cluster.cluster_id}: GPU-hours cannot be told"
    held = gpu_hours(waste.allocated_gpu_h)
    if not waste.measured_gpu_h:
        return f"{cluster.cluster_id}: {held} held, GPU use was not measured"
    return f"{cluster.cluster_id}: {held} held; of the measured part {ratio_pct(waste.efficiency_ratio)} in use"


@dataclass(frozen=True)
class Step:
    """One bar of the waterfall: GPU-hours that went one way, their share of the first bar, and what they leave out."""

    kind: str
    words: str
    gpu_h: float
    ratio: float | None
    lacks: str = ""


def waste_steps(waste: Waste) -> tuple[Step, ...]:
    """The first bar, then the classes in order; one that is empty is left out, unless it is what the picture is about."""
    first = "capacity and over-held" if waste.over_allocated_gpu_h else "capacity"
    failed = waste.failed_unbounded_spans
    classes = [
        Step("unknown", "held, use not measured", waste.unknown_gpu_h, waste.unknown_ratio),
        Step("idle_held", "held, measured, idle", waste.idle_held_gpu_h or 0.0, waste.idle_held_ratio),
        Step(
            "failed",
            "in use by jobs that failed",
            waste.failed_active_gpu_h or 0.0,
            waste.failed_active_ratio,
            f"without {counted(failed, 'attempt')} of unknown length" if failed else "",
        ),
        Step("productive", "in use otherwise", waste.productive_gpu_h or 0.0, waste.productive_ratio),
    ]
    if waste.starts_at_capacity:
        classes = [
            Step("down", "down", waste.down_gpu_h or 0.0, waste.down_ratio),
            Step("unallocated", _free(waste), waste.unallocated_gpu_h or 0.0, waste.unallocated_ratio),
            *classes,
        ]
    shown = {"unknown", *(["productive"] if waste.measured_gpu_h else [])}
    return (
        Step(
            "total",
            first if waste.starts_at_capacity else "held by jobs",
            waste.starts_at_gpu_h,
            1.0 if waste.starts_at_gpu_h else None,
        ),
        *(step for step in classes if step.gpu_h or step.lacks or step.kind in shown),
    )


def beside_waste(waste: Waste) -> tuple[str, ...]:
    """What the classes do not hold, one sentence each: attempts of unknown length, and what was held above the capacity."""
    told: list[str] = []
    if waste.unbounded_spans:
        where = "not counted"
        if waste.starts_at_capacity:
            where = f"what they held is in {_free(waste)!r}"
        told.append(f"{counted(waste.unbounded_spans, 'attempt')} with GPUs lack a start or an end: {where}")
    if waste.failed_unbounded_spans:
        most = waste.failed_unbounded_gpu_h_high
        told.append(
            f"of them {waste.failed_unbounded_spans:,} are of jobs that failed"
            + ("" if most is None else f": these held up to {gpu_hours(most)} more")
        )
    if waste.over_allocated_gpu_h:
        told.append(f"{gpu_hours(waste.over_allocated_gpu_h)} were held above what machines have: a fault of the data")
    return tuple(told)


def measured_by(waste: Waste) -> tuple[str, ...]:
    """Whose measurement the classes are: a sentence, where anything was measured."""
    if not waste.measured_gpu_h:
        return ()
    share = ratio_pct(waste.allocation_coverage_ratio)
    return (f"use is here what was measured of the GPUs that jobs held: {share} of what was held",)


def _free(waste: Waste) -> str:
    return "unallocated" if waste.down_gpu_h is not None else "unallocated or down"


def gpu_hours(value: float) -> str:
    """GPU-hours, whole where there are many."""
    return f"{value:,.0f} GPU-h" if value >= 100 else f"{value:,.1f} GPU-h"


def span(seconds: float) -> str:
    """A length of time in the two largest units that people count in."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.0f} s" if seconds >= 1 or not seconds else "< 1 s"
    minutes, rest_s = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest_s:02d} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02d} min"
    days, hours = divmod(hours, 24)
    return f"{days:,} d {hours:02d} h"


def counted(number: int, noun: str) -> str:
    """A number with its noun, in the plural where it needs one."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def pct(value: float | None, *, digits: int = 1) -> str:
    """A percentage, or a dash: unknown is never 0."""
    return "—" if value is None else f"{value:.{digits}f} %"


def ratio_pct(ratio: float | None, *, digits: int = 1) -> str:
    """A 0–1 ratio in percent; a small one that is not zero never reads "0.0 %"."""
    if ratio is not None and 0 < ratio * 100 < 10**-digits / 2:
        return f"< {10**-digits:.{digits}f} %"
    return pct(None if ratio is None else ratio * 100, digits=digits)


DRIVERS = {
    "avg_gpu_util": "mean GPU use",
    "p95_gpu_util": "95th percentile of GPU use",
    "avg_cpu_util": "mean CPU use",
    "allocated_gpu_util": "use of held GPUs",
    "typical_job_gpu_util": "use by a typical job",
}
EXPECTED = {
    "avg_gpu_util": ("expected_gpu_util", "expected_low", "expected_high"),
    "allocated_gpu_util": ("expected_allocated_gpu_util", "expected_allocated_low", "expected_allocated_high"),
    "typical_job_gpu_util": ("expected_typical_gpu_util", "expected_typical_low", "expected_typical_high"),
}
"""By driver, the columns of what was expected of it and of the band around that."""


def driver_words(day: Day) -> str:
    """The figure that made a day unusual, with its value; one we have no word for keeps its column name."""
    if day.anomaly_driver is None:
        return "no single figure stands out"
    name = DRIVERS.get(day.anomaly_driver, day.anomaly_driver)
    value: float | None = getattr(day, day.anomaly_driver, None)
    return name if value is None else f"{name} {pct(value)}"


def shared_reason(days: Sequence[Day]) -> str | None:
    """The reason that all these days share, if they do."""
    reasons = {day.anomaly_reason for day in days}
    return reasons.pop() if len(reasons) == 1 else None


def not_judged_words(judge: Judge) -> str:
    """How many days a detector may not judge, and how many of those it flags: with the flagged days these are all flags."""
    kept = judge.counted.flagged_not_judged_rows
    told = counted(judge.counted.not_judged_rows, "day")
    return f"{told}, {kept:,} of them flagged all the same" if kept else told


def kept_flag(day: Day) -> str:
    """A day that is not judged may still carry a detector's flag: say so, beside its name."""
    return " (flagged all the same)" if day.anomaly_flag else ""
