"""A day of a cluster against its own past: each hour's deviation from what that hour usually shows, averaged to the day.

Utilisation is judged on the logit scale, so that 2 % against 4 % counts as 50 % against 68 %. Expected is a level (the last
seven days), an hour of the day and a weekday, all of at most 42 days that lie before. Hours that were hardly observed are
left out; a day with fewer than twelve others is not judged. A day that is far out is no reference for later ones, until it
lasts: from the third such day on, it is the usual.

Three things are judged so, where they are known: what all GPUs do, what those do that jobs hold, both hour by hour, and what a typical job does.
A fleet that nobody asks shows in the first; jobs that stand still under an ever changing load in the second; something that
slows all jobs in the third, also where a few giant jobs move the others from day to day. The strangest of them is the day's, and
its p counts how many there were.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import erfc, sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from gpulake.detectors import Block, Columns, Detector, Level, Matrix, Verdicts
from gpulake.detectors.rows import Once, median_of_rows, once

METRICS = ("avg_gpu_util", "allocated_gpu_util", "typical_job_gpu_util")
PARTS = {
    "avg_gpu_util": ("hour_gpu_util", "hour_coverage_ratio"),
    "allocated_gpu_util": ("hour_allocated_gpu_util", "hour_allocation_coverage_ratio"),
    "typical_job_gpu_util": ("typical_job_gpu_util", "measured_jobs_ratio"),
}
WORDS = {
    "avg_gpu_util": "avg GPU utilisation",
    "allocated_gpu_util": "utilisation of the GPUs that jobs held",
    "typical_job_gpu_util": "use by a typical job of the GPUs that it held",
}
PAST_DAYS, LEAST_PAST_DAYS = 42, 7
SCALE_DAYS = 56
LEVEL_DAYS = 7
LEAST_HOURS = 12
LOW_COVERAGE = 0.5
FLAG_AT, EXCLUDE_AT = 2.45, 6.0
LEAST_SCALE = 0.02


@dataclass
class _Walk:
    """What the walk over the days writes down, one entry per day."""

    z: Matrix
    deviation: Matrix
    expected: Matrix
    low: Matrix
    high: Matrix
    usual_coverage: Matrix
    hours: NDArray[np.int64]
    known: NDArray[np.int64]
    references: NDArray[np.int64]
    further: NDArray[np.int64]
    odd_hours: NDArray[np.int64]
    is_excluded: NDArray[np.bool_]


def _judge(days: Columns, _blocks: Sequence[Block]) -> Verdicts:
    metrics = [metric for metric in METRICS if metric == "avg_gpu_util" or {metric, *PARTS[metric]} <= set(days)]
    hours = {name: np.asarray(days[name], np.float64) for metric in metrics for name in PARTS[metric]}
    sums = [np.nansum(_by_part(values), axis=1) for values in hours.values()]
    shown = once([np.asarray(days["day"])], values=sums)
    weekday = shown.column(np.asarray(days["weekday"], np.int64))
    walks, seen = [], []
    for metric in metrics:
        util, cover = (shown.column(hours[name]) for name in PARTS[metric])
        walks.append(_walk(_by_part(util), cover=np.nan_to_num(_by_part(cover)), weekday=weekday))
        seen.append(shown.column(np.asarray(days[metric], np.float64)))
    return _verdicts(tuple(metrics), walks, seen, shown)


def _by_part(values: Matrix) -> Matrix:
    """Days by hours; a figure of the whole day is one part."""
    return values if values.ndim > 1 else values[:, np.newaxis]


def _walk(util: Matrix, *, cover: Matrix, weekday: NDArray[np.int64]) -> _Walk:
    count = len(util)
    floats, counts = iter(np.full((6, count), np.nan)), iter(np.zeros((5, count), np.int64))
    walk = _Walk(
        z=next(floats),
        deviation=next(floats),
        expected=next(floats),
        low=next(floats),
        high=next(floats),
        usual_coverage=next(floats),
        hours=next(counts),
        known=next(counts),
        references=next(counts),
        further=next(counts),
        odd_hours=next(counts),
        is_excluded=np.zeros(count, np.bool_),
    )
    least = min(LEAST_HOURS, util.shape[1])
    share = np.clip(util, 0.5, 99.5) / 100
    logit = np.log(share / (1 - share))
    day_cover = np.where(np.isnan(util), np.nan, cover)
    typical = median_of_rows(day_cover)
    references: list[int] = []
    for day in range(count):
        past_cover = typical[max(0, day - PAST_DAYS) : day]
        past_cover = past_cover[~np.isnan(past_cover)]
        usual = float(np.median(past_cover)) if len(past_cover) else typical[day]
        walk.usual_coverage[day] = usual
        logit[day, ~(cover[day] >= LOW_COVERAGE * min(1.0, usual))] = np.nan
        walk.hours[day] = np.sum(~np.isnan(logit[day]))
        if walk.hours[day] < least:
            continue
        walk.known[day] = len(references)
        if len(references) >= LEAST_PAST_DAYS:
            _look(walk, logit, weekday, day, references)
        far = np.abs(walk.z[max(0, day - 3) : day]) > EXCLUDE_AT
        walk.is_excluded[day] = abs(walk.z[day]) > EXCLUDE_AT and far.sum() < 2
        if not walk.is_excluded[day]:
            references.append(day)
    return walk


def _look(walk: _Walk, logit: Matrix, weekday: NDArray[np.int64], day: int, references: Sequence[int]) -> None:
    """Judge one day by the reference days before it."""
    past = np.array(references[-PAST_DAYS:])
    hour = median_of_rows(logit[past].T)
    hour -= np.nanmean(hour)
    levels = _mean_of_rows(logit[past] - hour)
    effects = _weekday_effects(levels, weekday[past])
    level = np.median((levels - effects[weekday[past]])[-LEVEL_DAYS:])
    expected = level + hour + effects[weekday[day]]
    deviations = logit[day] - expected
    here = ~np.isnan(deviations)
    if here.sum() < min(LEAST_HOURS, len(here)):  # at hours of the day that no reference day has
        return
    deviation = deviations[here].mean()
    earlier = walk.deviation[np.array(references[-SCALE_DAYS:])]
    earlier = earlier[~np.isnan(earlier)]
    walk.deviation[day] = deviation
    walk.references[day] = len(earlier)
    if len(earlier) < LEAST_PAST_DAYS:
        return
    size = np.abs(earlier)
    scale = max(1.4826 * float(np.median(size)), float(np.quantile(size, 0.9)) / 1.645, LEAST_SCALE)
    walk.z[day] = deviation / scale
    walk.further[day] = np.sum(earlier > deviation) if deviation < 0 else np.sum(earlier < deviation)
    side = np.sign(deviation) * deviations[here]
    walk.odd_hours[day] = np.sum(side > 3 * max(FLAG_AT * scale, float(np.median(side))))
    center = expected[here]
    for name, shift in (("expected", 0.0), ("low", -FLAG_AT * scale), ("high", FLAG_AT * scale)):
        getattr(walk, name)[day] = 100 * np.mean(1 / (1 + np.exp(-(center + shift))))


def _weekday_effects(levels: Matrix, weekday: NDArray[np.int64]) -> Matrix:
    """By weekday, and 0 at the last place, where -1 finds it: a source without weekdays has no effect of theirs."""
    apart = np.where(weekday == np.arange(7)[:, np.newaxis], levels - np.median(levels), np.nan)
    seen = np.sum(~np.isnan(apart), axis=1)
    return np.append(np.nan_to_num(median_of_rows(apart)) * seen / (seen + 1), 0.0)


def _mean_of_rows(values: Matrix) -> Matrix:
    known = ~np.isnan(values)
    return np.asarray(np.where(known, values, 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1))


def _verdicts(metrics: tuple[str, ...], walks: Sequence[_Walk], seen: Sequence[Matrix], shown: Once) -> Verdicts:
    sizes = np.nan_to_num(np.abs([walk.z for walk in walks]), nan=-1.0)
    days = np.arange(sizes.shape[1])
    tests = (sizes >= 0).sum(axis=0)
    is_judged = tests > 0
    driver = sizes.argmax(axis=0) if len(days) else days
    p_value = np.array(
        [_p_of_any(sizes[metric, day], int(tests[day])) for day, metric in enumerate(driver)], np.float64
    )
    score = np.array([_size_of(p) for p in p_value.tolist()], np.float64)
    flag = np.nan_to_num(score) >= FLAG_AT

    def reason(row: int) -> str:
        day = int(shown.place[row])
        return _judged(day) if is_judged[day] else _not_judged(walks[0], day)

    def _judged(day: int) -> str:
        walk, value, name = walks[driver[day]], seen[driver[day]][day], WORDS[metrics[driver[day]]]
        side = "lower" if walk.z[day] < 0 else "higher"
        how = "hour by hour " if walk.hours[day] > 1 else ""
        told = (
            f"{name} {value:.1f} %, expected {walk.expected[day]:.1f} % "
            f"({walk.low[day]:.1f}–{walk.high[day]:.1f}): {how}{side} than on {int(walk.further[day])} of "
            f"{int(walk.references[day])} reference days, p {p_value[day]:.2g}"
        )
        is_inside = walk.low[day] <= value <= walk.high[day]
        if flag[day] and is_inside and walk.odd_hours[day]:
            told += f"; the day's mean is ordinary, {walk.odd_hours[day]} of its hours are far {side}"
        return told

    def of_driver(name: str) -> Matrix:
        found = np.array([getattr(walk, name) for walk in walks])[driver, days]
        return shown.spread(np.where(is_judged, found, np.nan))

    return Verdicts(
        score=shown.spread(score),
        flag=shown.spread(flag),
        metrics=metrics,
        driver=shown.spread(np.where(is_judged, driver, -1)),
        reasons=lambda rows: [reason(row) for row in rows],
        seen=shown.spread(np.array(seen)[driver, days]),
        expected=of_driver("expected"),
        low=of_driver("low"),
        high=of_driver("high"),
        p_value=shown.spread(p_value),
        bands={
            metric: (shown.spread(walk.expected), shown.spread(walk.low), shown.spread(walk.high))
            for metric, walk in zip(metrics, walks, strict=True)
        },
    )


def _not_judged(walk: _Walk, day: int) -> str:
    if walk.hours[day] < LEAST_HOURS:
        least = 100 * LOW_COVERAGE * min(1.0, float(np.nan_to_num(walk.usual_coverage[day])))
        if not least and not walk.hours[day]:
            return f"none of its hours was measured: {LEAST_HOURS} are needed"
        return (
            f"only {walk.hours[day]} hours were observed well enough (at least {least:.0f} % of their GPU time, "
            f"half of the usual): {LEAST_HOURS} are needed"
        )
    if walk.known[day] < 2 * LEAST_PAST_DAYS:
        return (
            f"fewer than {2 * LEAST_PAST_DAYS} earlier days were observed well enough: so many are needed for a first "
            "expectation and its band"
        )
    return "no earlier day shows what is usual at its hours"


def _p_of_any(size: float, tests: int) -> float:
    """The chance that the largest of some deviations is as large, at most; NaN where there is none."""
    return min(1.0, tests * max(erfc(size / sqrt(2)), 1e-300)) if tests else float("nan")


def _size_of(p_value: float) -> float:
    """A single deviation of the same chance, in units of its scale."""
    return float("nan") if np.isnan(p_value) else abs(NormalDist().inv_cdf(p_value / 2))


DETECTOR = Detector(
    name="cluster_day",
    level=Level.CLUSTER_DAY,
    note=(
        "A day's hours against the same hours of at most 42 days before it: what all GPUs do, what those that jobs hold do, what a typical job does. Whole or half days of low or high use show, "
        "a busy user or an outage of two hours does not; a lasting step is the usual from its third day."
    ),
    needs=("day", "weekday", "avg_gpu_util", "hour_gpu_util", "hour_coverage_ratio"),
    uses=(
        "allocated_gpu_util",
        "hour_allocated_gpu_util",
        "hour_allocation_coverage_ratio",
        "typical_job_gpu_util",
        "measured_jobs_ratio",
    ),
    judge=_judge,
    false_alarms="4 days a year",
    false_alarms_per_1000=11,
)
