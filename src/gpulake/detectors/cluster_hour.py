"""A step in the use of the GPUs that jobs hold, from one hour to the next: outages and dips of a part of a day.

What all allocated GPUs of a cluster do moves slowly: many jobs average out. So an hour is judged against the three before it, minus the
step that this hour of the day usually makes, in units of the steps of the last fourteen days. An hour that was hardly
observed is not judged and stands for nothing. One user's burst is no step here.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import erfc, sqrt

import numpy as np
from numpy.typing import NDArray

from gpulake.detectors import Block, Columns, Detector, Level, Matrix, Verdicts
from gpulake.detectors.rows import once
from gpulake.detectors.walking import before

METRICS = ("alloc_gpu_util",)
HOURS_BEFORE, LEAST_HOURS_BEFORE = 3, 2
PAST_DAYS, LEAST_PAST_DAYS = 14, 4
FLAG_AT = 4.0
LEAST_SCALE = 0.01
LOW_COVERAGE = 0.5


def _judge(hours: Columns, _blocks: Sequence[Block]) -> Verdicts:
    hour_idx = np.asarray(hours["hour_idx"], np.int64)
    util, cover = (np.asarray(hours[name], np.float64) for name in ("alloc_gpu_util", "coverage_ratio"))
    shown = once([hour_idx], values=[cover, util])
    at = shown.column(hour_idx)
    at = at - at.min() if len(at) else at
    count = int(at[-1]) + 1 if len(at) else 0
    hour_of_day = _of_every_hour(at, shown.column(np.asarray(hours["hour_of_day"], np.int64)), count=count)
    every_cover = _placed(shown.column(cover), at, count)
    logit = _logit(_placed(shown.column(util), at, count))
    usual = before(every_cover, 24 * PAST_DAYS, 0.5)
    logit[~(every_cover >= LOW_COVERAGE * np.minimum(1, np.where(np.isnan(usual), every_cover, usual)))] = np.nan
    step = logit - before(logit, HOURS_BEFORE, 0.5, least=LEAST_HOURS_BEFORE)
    own = step - _usual_step(step, hour_of_day)
    scale = _scale(own)
    z, expected = (own / scale)[at], (logit - own)[at]
    is_judged, is_seen = ~np.isnan(z), ~np.isnan(logit[at])
    size, flag = np.abs(z), np.abs(np.nan_to_num(z)) >= FLAG_AT
    low, middle, high = (
        np.where(is_judged, _percent(expected + shift * scale[at]), np.nan) for shift in (-FLAG_AT, 0, FLAG_AT)
    )
    seen = shown.column(util)

    def reason(row: int) -> str:
        hour = int(shown.place[row])
        if not is_seen[hour]:
            return "no GPU was held by a job, or less than half of the usual GPU time was observed"
        if not is_judged[hour]:
            return (
                f"too few earlier hours: {LEAST_HOURS_BEFORE} of the last {HOURS_BEFORE} hours and {LEAST_PAST_DAYS} "
                "earlier days at this hour are needed"
            )
        return (
            f"utilisation of the allocated GPUs {seen[hour]:.1f} %, expected {middle[hour]:.1f} % "
            f"({low[hour]:.1f}–{high[hour]:.1f}) after the {HOURS_BEFORE} hours before: a step of "
            f"{size[hour]:.1f} times the usual"
        )

    return Verdicts(
        score=shown.spread(size),
        flag=shown.spread(flag),
        metrics=METRICS,
        driver=shown.spread(np.where(is_judged, 0, -1)),
        reasons=lambda rows: [reason(row) for row in rows],
        seen=shown.spread(seen),
        expected=shown.spread(middle),
        low=shown.spread(low),
        high=shown.spread(high),
        p_value=shown.spread(np.array([erfc(one / sqrt(2)) for one in size.tolist()], np.float64)),
    )


def _scale(own: Matrix) -> Matrix:
    """How large an hour's own step usually is, by the hours before it that were not flagged themselves.

    Each round settles at least the earliest hour that the round before had wrong, and most often all of them.
    """
    is_flagged = np.zeros(len(own), np.bool_)
    while True:
        calm = np.where(is_flagged, np.nan, np.abs(own))
        scale = np.maximum(before(calm, 24 * PAST_DAYS, 0.9, least=24 * LEAST_PAST_DAYS // 2) / 1.645, LEAST_SCALE)
        found = np.abs(own) >= FLAG_AT * scale
        if np.array_equal(found, is_flagged):
            return scale
        is_flagged = found


def _usual_step(step: Matrix, hour_of_day: NDArray[np.int64]) -> Matrix:
    usual = np.full(len(step), np.nan)
    for hour in range(24):
        here = np.flatnonzero(hour_of_day == hour)
        usual[here] = before(step[here], PAST_DAYS, 0.5, least=LEAST_PAST_DAYS)
    return usual


def _of_every_hour(at: NDArray[np.int64], hour_of_day: NDArray[np.int64], *, count: int) -> NDArray[np.int64]:
    """The hour of the day of hours without a row too: counted on from the last that has one."""
    every = np.arange(count)
    last = np.searchsorted(at, every, side="right") - 1
    return np.asarray((hour_of_day[last] + every - at[last]) % 24)


def _placed(values: Matrix, at: NDArray[np.int64], count: int) -> Matrix:
    every = np.full(count, np.nan)
    every[at] = values
    return every


def _logit(percent: Matrix) -> Matrix:
    share = np.clip(percent, 0.5, 99.5) / 100
    return np.asarray(np.log(share / (1 - share)))


def _percent(logit: Matrix) -> Matrix:
    return np.asarray(100 / (1 + np.exp(-logit)))


DETECTOR = Detector(
    name="cluster_hour",
    level=Level.CLUSTER_HOUR,
    note="A step of all allocated GPUs within an hour: outages and dips that many jobs share. Slow changes do not show.",
    needs=("hour_idx", "hour_of_day", "alloc_gpu_util", "coverage_ratio"),
    judge=_judge,
    false_alarms="1 hour in 39 days",
    false_alarms_per_1000=1,
)
