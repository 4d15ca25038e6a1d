"""One metric over time, judged by its own past as it arrives: how far it is from all that was, and from the last hours.

Two distances are joined: to the median of the whole past (a level that is new), and to the mean of the last hours (a jump). Each is
measured in units of what that distance was before, both on a logarithmic scale, and an hour is averaged. Nothing is fitted
ahead, so a series is judged from its 25th row on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpulake.detectors import Block, Columns, Detector, Level, Matrix, Verdicts
from gpulake.detectors.rows import once
from gpulake.detectors.walking import ewma, of_the_past

METRICS = ("value",)
LEAST_ROWS = 24
FAST_H, SMOOTH_H = 3.0, 1.0
CLIP = 50.0
LEAST_SHARE_OF_SIZE = 1e-6
USUAL_SHARE, LEAST_FLAGGED = 0.995, 2.5
SECONDS_PER_HOUR = 3600.0


@dataclass(frozen=True)
class _Seen:
    """One series: per row its score, its limit, and the nearer story: what was expected, by which distance, in which unit."""

    score: Matrix
    limit: Matrix
    expected: Matrix
    scale: Matrix
    is_jump: NDArray[np.bool_]


def _judge(series: Columns, _blocks: Sequence[Block]) -> Verdicts:
    name, time_h = np.asarray(series["series"]).astype(str), _hours(np.asarray(series["ts"]))
    value = np.asarray(series["value"], np.float64)
    shown = once([name, time_h], values=[value])
    name, time_h, value = name[shown.rows], time_h[shown.rows], value[shown.rows]
    count = len(name)
    score, limit, expected, scale = (np.full(count, np.nan) for _ in range(4))
    is_jump, earlier = np.zeros(count, np.bool_), np.zeros(count, np.int64)
    known = np.flatnonzero(np.isfinite(value) & np.isfinite(time_h))
    edges = np.flatnonzero(name[known][1:] != name[known][:-1]) + 1
    for rows in np.split(known, edges) if len(known) else ():
        found = _look(value[rows], time_h[rows])
        score[rows], limit[rows], expected[rows] = found.score, found.limit, found.expected
        scale[rows], is_jump[rows], earlier[rows] = found.scale, found.is_jump, np.arange(len(rows))
    is_judged = ~np.isnan(score)
    band = _limit_of_one(limit) * scale
    flag = np.nan_to_num(score, nan=-np.inf) > np.nan_to_num(limit, nan=np.inf)

    def reason(row: int) -> str:
        at = int(shown.place[row])
        if is_judged[at]:
            usual = "the mean of the last hours" if is_jump[at] else "the median of its past"
            return (
                f"{name[at]}: value {value[at]:.4g}, expected {expected[at]:.4g} "
                f"({expected[at] - band[at]:.4g}–{expected[at] + band[at]:.4g}), {usual}"
            )
        if not np.isfinite(value[at]):
            return "no value is known"
        return f"too few earlier values: {earlier[at]} of {LEAST_ROWS}"

    return Verdicts(
        score=shown.spread(score),
        flag=shown.spread(flag),
        metrics=METRICS,
        driver=shown.spread(np.where(is_judged, 0, -1)),
        reasons=lambda rows: [reason(row) for row in rows],
        seen=shown.spread(value),
        expected=shown.spread(np.where(is_judged, expected, np.nan)),
        low=shown.spread(expected - band),
        high=shown.spread(expected + band),
        p_value=np.full(len(shown.place), np.nan),
    )


def _hours(moments: NDArray[np.generic]) -> Matrix:
    """From times, or from seconds."""
    if moments.dtype.kind == "M":
        return moments.astype("datetime64[us]").astype(np.int64) / (1e6 * SECONDS_PER_HOUR)
    return np.asarray(moments, np.float64) / SECONDS_PER_HOUR


def _look(value: Matrix, time_h: Matrix) -> _Seen:
    steps = np.diff(time_h, prepend=time_h[0])
    level = of_the_past(value, _median, least=1)
    recent = np.concatenate([[np.nan], ewma(value, steps, half_life=FAST_H)[:-1]])
    least = LEAST_SHARE_OF_SIZE * of_the_past(np.abs(value), _largest, least=1)
    sizes, scales = [], []
    for usual in (level, recent):
        apart = np.nan_to_num(value - usual)
        scale = np.maximum(of_the_past(apart, _robust_scale, least=LEAST_ROWS), np.maximum(least, 1e-100))
        sizes.append(np.minimum(np.abs(apart) / scale, CLIP))
        scales.append(scale)
    raw = np.log1p(sizes[0]) + np.log1p(sizes[1])
    is_ready = ~np.isnan(raw)
    score = np.full(len(value), np.nan)
    score[is_ready] = ewma(raw[is_ready], steps[is_ready], half_life=SMOOTH_H)
    limit = np.maximum(of_the_past(np.nan_to_num(score), _high, least=LEAST_ROWS), LEAST_FLAGGED)
    is_jump = sizes[1] > sizes[0]
    return _Seen(
        score=score,
        limit=limit,
        expected=np.where(is_jump, recent, level),
        scale=np.where(is_jump, scales[1], scales[0]),
        is_jump=is_jump,
    )


def _limit_of_one(limit: Matrix) -> Matrix:
    """How large one of two equal distances is where both together reach the limit."""
    return np.expm1(limit / 2)


def _median(values: Matrix) -> float:
    return float(np.median(values))


def _largest(values: Matrix) -> float:
    return float(values.max())


def _high(values: Matrix) -> float:
    return float(np.quantile(values, USUAL_SHARE))


def _robust_scale(apart: Matrix) -> float:
    middle = float(np.median(apart))
    return max(1.4826 * float(np.median(np.abs(apart - middle))), float(np.quantile(np.abs(apart), 0.9)) / 1.645)


DETECTOR = Detector(
    name="series_single",
    level=Level.SERIES,
    note="One metric by its own past. What recurs daily is not known to it: a nightly peak is odd until it has been seen often.",
    needs=("series", "ts", "value"),
    judge=_judge,
    false_alarms="3 rows of 1,000",
    false_alarms_per_1000=3,
)
