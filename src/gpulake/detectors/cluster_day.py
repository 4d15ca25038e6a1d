"""A day of a cluster against its own past: each hour's deviation from what that hour usually shows, averaged to the day.

Utilisation is judged on the logit scale, so that 2 % against 4 % counts as 50 % against 68 %. Expected is a level (the last
seven days), an hour of the day and a weekday, all of at most 42 days that lie before. Hours that were hardly observed are
left out; a day with fewer than twelve others is not judged. A day that is far out is no reference for later ones, until it
lasts: from the third such day on, it is the usual.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import erfc, sqrt

import numpy as np
from numpy.typing import NDArray

from gpulake.detectors import Block, Columns, Detector, Level, Matrix, Verdicts
from gpulake.detectors.rows import Once, median_of_rows, once

METRICS = ("avg_gpu_util",)
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
    cover, util = np.asarray(days["hour_coverage_ratio"]), np.asarray(days["hour_gpu_util"])
    shown = once([np.asarray(days["day"])], values=[np.nansum(cover, axis=1), np.nansum(util, axis=1)])
    avg_gpu_util = shown.column(np.asarray(days["avg_gpu_util"], np.float64))
    walk = _walk(
        shown.column(util.astype(np.float64)),
        cover=np.nan_to_num(shown.column(cover.astype(np.float64))),
        weekday=shown.column(np.asarray(days["weekday"], np.int64)),
    )
    return _verdicts(walk, avg_gpu_util, shown)


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
        if walk.hours[day] < LEAST_HOURS:
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
    if here.sum() < LEAST_HOURS:  # at hours of the day that no reference day has
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


def _verdicts(walk: _Walk, avg_gpu_util: Matrix, shown: Once) -> Verdicts:
    size = np.abs(walk.z)
    is_judged = ~np.isnan(size)
    flag = np.nan_to_num(size) >= FLAG_AT

    def reason(row: int) -> str:
        day = int(shown.place[row])
        return _judged(day) if is_judged[day] else _not_judged(day)

    def _not_judged(day: int) -> str:
        if walk.hours[day] < LEAST_HOURS:
            least = 100 * LOW_COVERAGE * min(1.0, float(np.nan_to_num(walk.usual_coverage[day])))
            return (
                f"only {walk.hours[day]} hours were observed well enough (at least {least:.0f} % of their GPU time, "
                f"half of the usual): {LEAST_HOURS} are needed"
            )
        if walk.known[day] < 2 * LEAST_PAST_DAYS:
            return (
                f"too few earlier days were observed well enough: {walk.known[day]} of the {2 * LEAST_PAST_DAYS} "
                "that a first expectation and its band need"
            )
        return "no earlier day shows what is usual at its hours"

    def _judged(day: int) -> str:
        side = "lower" if walk.z[day] < 0 else "higher"
        further, references = int(walk.further[day]), int(walk.references[day])
        told = (
            f"avg GPU utilisation {avg_gpu_util[day]:.1f} %, expected {walk.expected[day]:.1f} % "
            f"({walk.low[day]:.1f}–{walk.high[day]:.1f}): hour by hour {side} than on {further} of {references} "
            f"reference days, p {_p_value(size[day]):.2g}"
        )
        is_inside = walk.low[day] <= avg_gpu_util[day] <= walk.high[day]
        if flag[day] and is_inside and walk.odd_hours[day]:
            told += f"; the day's mean is ordinary, {walk.odd_hours[day]} of its hours are far {side}"
        return told

    return Verdicts(
        score=shown.spread(size),
        flag=shown.spread(flag),
        metrics=METRICS,
        driver=shown.spread(np.where(is_judged, 0, -1)),
        reasons=lambda rows: [reason(row) for row in rows],
        seen=shown.spread(avg_gpu_util),
        expected=shown.spread(walk.expected),
        low=shown.spread(walk.low),
        high=shown.spread(walk.high),
        p_value=shown.spread(np.array([_p_value(one) for one in size.tolist()], np.float64)),
    )


def _p_value(size: float) -> float:
    return float("nan") if np.isnan(size) else erfc(size / sqrt(2))


DETECTOR = Detector(
    name="cluster_day",
    level=Level.CLUSTER_DAY,
    note=(
        "A day's hours against the same hours of at most 42 days before it. Whole or half days of low or high use show, "
        "a busy user or an outage of two hours does not; a lasting step is the usual from its third day."
    ),
    needs=("day", "weekday", "avg_gpu_util", "hour_gpu_util", "hour_coverage_ratio"),
    judge=_judge,
    false_alarms="4 days a year",
    false_alarms_per_1000=11,
)
