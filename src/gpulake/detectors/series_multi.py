"""Several metrics of one thing, each judged by the others and by the sample before: learned on a stretch that is mostly normal.

Two views are joined. One is the distance of two samples in a row from the mean, in the units in which the metrics move together
(Mahalanobis, with a shrunken covariance), as the mean of the last five; the other the distance of ten samples in a row to the nearest of
fifty typical ones. The metric to look at is the one that deviates most from what the others make likely.
Metrics are expected as shares of their usual range, 0 to 1; a metric of a larger unit is brought there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpulake.detectors import Block, Columns, Detector, Level, Matrix, Verdicts
from gpulake.detectors.rows import Places, once
from gpulake.detectors.walking import before, in_batches, mean_of_last

LEAST_TRAIN_ROWS = 100
SAMPLES_MOVED, SAMPLES_TYPICAL = 2, 10
MEAN_OF = 5
CENTRES, WINDOWS, ROUNDS, SEED = 50, 2000, 20, 7
LEAST_SCALE, CLIP = 0.02, 30.0
LEAST_VARIANCE, LEAST_DISTANCE = 1e-4, 1e-2
HALVES = 2
FALSE_SHARE = 0.001
LATELY = 200
BAND = 3.29


@dataclass(frozen=True)
class _Learned:
    """`middle` and `scale` are robust, `mean` and `deviation` plain, per metric; the rest is in those units."""

    middle: Matrix
    scale: Matrix
    mean: Matrix
    deviation: Matrix
    location: Matrix
    precision: Matrix
    centres: Matrix


@dataclass(frozen=True)
class _Seen:
    score: Matrix
    driver: NDArray[np.int64]
    expected: Matrix
    deviation: Matrix
    away: Matrix
    """How far the driver is from what is expected, in its own deviations, as the mean of the last five."""


def _judge(series: Columns, _blocks: Sequence[Block]) -> Verdicts:
    metrics = tuple(sorted(name for name in series if name.startswith("m") and name[1:].isdigit()))
    values = np.column_stack([np.asarray(series[name], np.float64) for name in metrics])
    entity, step = np.asarray(series["entity"]).astype(str), np.asarray(series["step"], np.float64)
    is_train = np.asarray(series["split"]).astype(str) == "train"
    shown = once([entity, is_train, step], values=list(values.T))
    entity, is_train, values = entity[shown.rows], is_train[shown.rows], values[shown.rows]

    count = len(entity)
    score, flag, driver = np.full(count, np.nan), np.zeros(count, np.bool_), np.full(count, -1)
    expected, low, high, seen, away = (np.full(count, np.nan) for _ in range(5))
    train_rows = np.zeros(count, np.int64)
    for name in np.unique(entity):
        of_entity = entity == name
        train, test = np.flatnonzero(of_entity & is_train), np.flatnonzero(of_entity & ~is_train)
        train = train[~np.isnan(values[train]).all(axis=1)]
        train_rows[test] = len(train)
        if len(train) < LEAST_TRAIN_ROWS or not len(test):
            continue
        learned = _learn(values[train])
        found = _look(values[test], learned)
        limit = _limit(values[train]).after(found.score)
        is_known = ~np.isnan(values[test]).all(axis=1)
        rows: Places = test[is_known]
        score[rows], driver[rows] = found.score[is_known], found.driver[is_known]
        flag[rows], away[rows] = score[rows] > limit[is_known], found.away[is_known]
        expected[rows], band = found.expected[is_known], BAND * found.deviation[is_known]
        low[rows], high[rows], seen[rows] = expected[rows] - band, expected[rows] + band, values[rows, driver[rows]]

    def reason(row: int) -> str:
        at = int(shown.place[row])
        if driver[at] >= 0:
            return (
                f"{entity[at]}: {metrics[driver[at]]} {seen[at]:.3g}, expected {expected[at]:.3g} "
                f"({low[at]:.3g}–{high[at]:.3g}) given its {len(metrics) - 1} other metrics and the sample before; "
                f"over the last {MEAN_OF} samples {away[at]:.1f} times its usual deviation"
            )
        if is_train[at]:
            return "this row is learned from"
        if train_rows[at] < LEAST_TRAIN_ROWS:
            return f"too few rows to learn from: {train_rows[at]} of {LEAST_TRAIN_ROWS} with split train"
        return "nothing was measured"

    return Verdicts(
        score=shown.spread(score),
        flag=shown.spread(flag),
        metrics=metrics,
        driver=shown.spread(driver),
        reasons=lambda rows: [reason(row) for row in rows],
        seen=shown.spread(seen),
        expected=shown.spread(expected),
        low=shown.spread(low),
        high=shown.spread(high),
        p_value=np.full(len(shown.place), np.nan),
    )


def _learn(train: Matrix) -> _Learned:
    middle, lower, upper = (np.nanquantile(train, share, axis=0) for share in (0.5, 0.16, 0.84))
    middle, lower, upper = (np.nan_to_num(part) for part in (middle, lower, upper))
    known = np.where(np.isnan(train), middle, train)
    mean, deviation = known.mean(axis=0), known.std(axis=0)
    least = LEAST_SCALE * np.maximum(1.0, np.quantile(np.abs(known), 0.999, axis=0))
    scale = np.maximum(np.maximum((upper - lower) / 2, deviation / 2), least)
    deviation = np.maximum(deviation, least)
    location, covariance = _shrunken(_stacked(_units(train, middle, scale), SAMPLES_MOVED))
    whole = np.arange(SAMPLES_TYPICAL - 1, len(train))
    some = whole[:: max(1, len(whole) // WINDOWS), np.newaxis] - np.arange(SAMPLES_TYPICAL)
    windows = _units(train, mean, deviation)[some].reshape(len(some), -1)
    return _Learned(
        middle=middle,
        scale=scale,
        mean=mean,
        deviation=deviation,
        location=location,
        precision=np.asarray(np.linalg.inv(covariance + LEAST_VARIANCE * np.eye(len(covariance))), np.float64),
        centres=_centres(windows),
    )


def _look(values: Matrix, learned: _Learned) -> _Seen:
    units = _units(values, learned.middle, learned.scale)
    apart = _stacked(units, SAMPLES_MOVED) - learned.location
    pulled = in_batches(apart, lambda rows: rows @ learned.precision)
    moved = mean_of_last(np.sqrt(np.maximum(np.sum(apart * pulled, axis=1), 0)), MEAN_OF)
    windows = _stacked(_units(values, learned.mean, learned.deviation), SAMPLES_TYPICAL)
    odd = in_batches(windows, lambda rows: _nearest(rows, learned.centres)[:, np.newaxis])[:, 0]
    # A residual given all other inputs, and its size in units of its own deviation, stand in the precision matrix.
    own = np.diag(learned.precision)[: values.shape[1]]
    here = pulled[:, : values.shape[1]]
    away = mean_of_last(np.abs(here) / np.sqrt(own), MEAN_OF)
    at, driver = np.arange(len(values)), away.argmax(axis=1)
    residual = here[at, driver] / own[driver]
    return _Seen(
        score=np.log(np.maximum(moved, LEAST_DISTANCE)) + 0.5 * np.log(np.maximum(odd, LEAST_DISTANCE)),
        driver=driver,
        expected=(units[at, driver] - residual) * learned.scale[driver] + learned.middle[driver],
        deviation=learned.scale[driver] / np.sqrt(own[driver]),
        away=away[at, driver],
    )


@dataclass(frozen=True)
class _Limit:
    """The usual score of train rows, and the one that one of a thousand of them exceeds."""

    usual: float
    high: float

    def after(self, scores: Matrix) -> Matrix:
        """The limit of each row: as far above what was usual lately as it is above what was usual in training, where that is more.

        So a lasting change is told when it comes, and is the usual after half of that time.
        """
        lately = before(scores, LATELY, 0.5, least=LATELY // 2)
        return self.high + np.maximum(np.nan_to_num(lately, nan=self.usual) - self.usual, 0)


def _limit(train: Matrix) -> _Limit:
    """From train rows, each half judged by what the other taught."""
    halves = [half for half in np.array_split(train, HALVES) if len(half) > SAMPLES_TYPICAL]
    scores = np.concatenate(
        [_look(half, _learn(np.concatenate([other for other in halves if other is not half]))).score for half in halves]
    )
    return _Limit(float(np.median(scores)), float(np.quantile(scores, 1 - FALSE_SHARE)))


def _units(values: Matrix, middle: Matrix, scale: Matrix) -> Matrix:
    """What is missing is as usual."""
    return np.asarray(np.nan_to_num(np.clip((values - middle) / scale, -CLIP, CLIP)))


def _stacked(rows: Matrix, samples: int) -> Matrix:
    """Each row beside those before it; before the first stands the first."""
    lags = [np.concatenate([np.repeat(rows[:1], lag, axis=0), rows])[: len(rows)] for lag in range(samples)]
    return np.hstack(lags)


def _shrunken(rows: Matrix) -> tuple[Matrix, Matrix]:
    """The mean, and the covariance drawn towards a ball as far as chance explains it (Ledoit and Wolf 2004)."""
    count, width = rows.shape
    location = rows.mean(axis=0)
    apart = rows - location
    sample = apart.T @ apart / count
    ball = float(np.trace(sample)) / width
    spread = float(np.sum((sample - ball * np.eye(width)) ** 2))
    chance = (float(np.sum(np.sum(apart**2, axis=1) ** 2)) / count - float(np.sum(sample**2))) / count
    share = min(chance, spread) / spread if spread > 0 else 0.0
    return location, (1 - share) * sample + share * ball * np.eye(width)


def _centres(windows: Matrix) -> Matrix:
    """Typical windows: k-means from a seeded choice. Plain sums in a fixed order, so that two runs agree to the last bit."""
    chosen = np.sort(np.random.default_rng(SEED).permutation(len(windows))[:CENTRES])
    centres = windows[chosen]
    for _ in range(ROUNDS):
        nearest = _squares(windows, centres).argmin(axis=1)
        is_in = (nearest == np.arange(len(centres))[:, np.newaxis]).astype(np.float64)
        members = is_in.sum(axis=1, keepdims=True)
        moved = np.where(members > 0, is_in @ windows / np.maximum(members, 1), centres)
        if np.array_equal(moved, centres):
            break
        centres = moved
    return centres


def _nearest(rows: Matrix, centres: Matrix) -> Matrix:
    return np.asarray(np.sqrt(np.maximum(_squares(rows, centres).min(axis=1), 0)))


def _squares(rows: Matrix, centres: Matrix) -> Matrix:
    return np.asarray(np.sum(rows**2, axis=1)[:, np.newaxis] - 2 * rows @ centres.T + np.sum(centres**2, axis=1))


DETECTOR = Detector(
    name="series_multi",
    level=Level.SERIES,
    note=(
        "Learned once, on the rows with split train. What changes for good afterwards is flagged for about 100 samples; its score stays high."
    ),
    needs=("entity", "split", "step", "m00"),
    judge=_judge,
    false_alarms="1 row of 1,000",
    false_alarms_per_1000=1,
)
