"""The best linear unbiased estimate: a stack of blocks of equal size, solved at once.

`E` is the mean, over two spans, of exp(-|t - t'| / memory). With F(z) = m² exp(-|z| / m) + m |z| it is
[F(b - c) + F(a - d) - F(a - c) - F(b - d)] / ((b - a)(d - c)); the terms m |z| add up to 2 m × overlap.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gpulake.reconstruct.values import Bools, Floats, Ints, Noise, Parameters

LEAST_LEVEL, SPREAD_RATIO, PRIOR_WINDOWS = 0.005, 0.6, 2
"""The variance of a load where few windows tell it: in proportion to its mean, as if from so many windows."""


@dataclass(frozen=True)
class Stack:
    """Blocks padded to one size. Axes: block, window or piece, quantity. What is padding has no windows, and no covered seconds."""

    start_s: Floats
    end_s: Floats
    windows: Floats
    level: Floats
    value: Floats
    piece_start_s: Floats
    piece_end_s: Floats
    piece_s: Floats
    piece_hour: Ints
    piece_level: Floats
    length_s: Floats
    left_out: Ints
    is_long: bool


@dataclass(frozen=True)
class Solved:
    """Of each piece its mean, and its part of its hour's variance and of its day's sum's, in s² × `scale`.

    `most`: what no value exceeds. Of the window that is left out: what both methods say, and how much of it others cover.
    """

    mean: Floats
    of_hour: Floats
    of_day: Floats
    scale: Floats
    most: Floats
    predicted: Floats
    swept: Floats
    beside_ratio: Floats
    weights: Floats


def solved(stack: Stack, *, parameters: Parameters, noise: Noise) -> Solved:
    """Every block of a stack. Each is solved by itself: its bits do not depend on its neighbours."""
    among = _Terms(stack, parameters)
    real = stack.windows > 0
    lengths = stack.end_s - stack.start_s
    outside_before, outside_after = _shares_outside(stack, lengths, parameters)
    ratio = parameters.per_worker_ratio
    overlap = among.overlap(stack.start_s, stack.end_s, stack.start_s, stack.end_s)
    overlap *= real[:, :, None] & real[:, None, :]
    own = overlap / lengths[:, :, None]
    matrix = among.mean_of(overlap, stack.start_s, stack.end_s, stack.start_s, stack.end_s)
    matrix += ratio * stack.level[:, :, None] * stack.level[:, None, :]
    matrix += parameters.outside_ratio * (
        outside_before[:, :, None] * outside_before[:, None, :] + outside_after[:, :, None] * outside_after[:, None, :]
    )
    matrix += parameters.own_level_ratio * (own @ own.transpose(0, 2, 1))
    matrix *= real[:, :, None] & real[:, None, :]
    size = np.arange(lengths.shape[1])
    nugget = (parameters.nugget_ratio + noise.of(lengths)) / np.maximum(stack.windows, 1)
    matrix[:, size, size] += np.where(real, nugget, 1.0)

    crossing = among.overlap(stack.piece_start_s, stack.piece_end_s, stack.start_s, stack.end_s) * real[:, None, :]
    lengths_p = stack.piece_end_s - stack.piece_start_s
    towards = among.mean_of(crossing, stack.piece_start_s, stack.piece_end_s, stack.start_s, stack.end_s)
    towards += ratio * stack.piece_level[:, :, None] * stack.level[:, None, :]
    part = crossing / lengths_p[:, :, None]
    towards += parameters.own_level_ratio * (part @ own.transpose(0, 2, 1))
    towards *= real[:, None, :]

    columns = stack.value.shape[2]
    asked = np.zeros((*real.shape, columns + 2))
    asked[:, :, :columns] = stack.value
    asked[:, :, columns] = real
    chosen = np.maximum(stack.left_out, 0)
    rows = np.arange(chosen.size)
    asked[rows, chosen, columns + 1] = 1
    answer = np.linalg.solve(matrix, np.concatenate((asked, towards.transpose(0, 2, 1)), axis=2))
    ones, alone, spread = answer[:, :, columns], answer[:, :, columns + 1], answer[:, :, columns + 2 :]
    sum_of_ones = ones.sum(axis=1)
    level = answer[:, :, :columns].sum(axis=1) / sum_of_ones[:, None]
    weights = answer[:, :, :columns] - level[:, None, :] * ones[:, :, None]
    mean = level[:, None, :] + towards @ weights

    bias = 1 - (towards @ ones[:, :, None])[:, :, 0]
    error = among.mean_of(
        among.overlap(stack.piece_start_s, stack.piece_end_s, stack.piece_start_s, stack.piece_end_s),
        stack.piece_start_s,
        stack.piece_end_s,
        stack.piece_start_s,
        stack.piece_end_s,
    )
    error += ratio * stack.piece_level[:, :, None] * stack.piece_level[:, None, :]
    error += parameters.own_level_ratio * (part @ part.transpose(0, 2, 1))
    error -= towards @ spread
    error += bias[:, :, None] * bias[:, None, :] / sum_of_ones[:, None, None]
    error *= stack.piece_s[:, :, None] * stack.piece_s[:, None, :]
    same_hour = stack.piece_hour[:, :, None] == stack.piece_hour[:, None, :]
    count = real.sum(axis=1)
    fit = (stack.value * weights).sum(axis=1)
    scale = (SPREAD_RATIO * np.clip(level, LEAST_LEVEL, 1) + np.maximum(fit, 0)) / (PRIOR_WINDOWS + count[:, None])
    most = np.maximum(1.0, stack.value.max(axis=1))

    own_part = alone[rows, chosen] - ones[rows, chosen] ** 2 / sum_of_ones
    known = (own_part > 0) & (count > 1)
    missed = weights[rows, chosen] / np.where(known, own_part, 1)[:, None]
    predicted = np.clip(stack.value[rows, chosen] - missed, 0, most)
    swept, beside = _swept_without(stack, chosen)
    beside = np.where(known & (stack.left_out >= 0), beside, 0)
    return Solved(
        mean, (error * same_hour).sum(axis=2), error.sum(axis=2), scale, most, predicted, swept, beside, weights
    )


def _shares_outside(stack: Stack, lengths: Floats, parameters: Parameters) -> tuple[Floats, Floats]:
    """Which part of each window lies before the margins, and after them."""
    before = np.clip(-parameters.margin_s - stack.start_s, 0, lengths) / lengths
    after = np.clip(stack.end_s - stack.length_s[:, None] - parameters.margin_s, 0, lengths) / lengths
    return before, after


def _swept_without(stack: Stack, chosen: Ints) -> tuple[Floats, Floats]:
    """The mean over the covered seconds of one window of the plain mean of the others; and how much of it others cover."""
    rows = np.arange(chosen.size)
    start_s, end_s = stack.start_s[rows, chosen][:, None], stack.end_s[rows, chosen][:, None]
    borders = np.sort(np.clip(np.concatenate((stack.start_s, stack.end_s), axis=1), start_s, end_s), axis=1)
    span_s, middle = np.diff(borders, axis=1), (borders[:, 1:] + borders[:, :-1]) / 2
    windows = stack.windows.copy()
    windows[rows, chosen] = 0
    runs = (stack.start_s[:, None, :] < middle[:, :, None]) & (middle[:, :, None] < stack.end_s[:, None, :])
    weighted = runs * windows[:, None, :]
    count = weighted.sum(axis=2)
    covered_s = np.where(count > 0, span_s, 0)
    plain = (weighted @ stack.value) / np.maximum(count, 1)[:, :, None]
    total_s = covered_s.sum(axis=1)
    swept = (plain * covered_s[:, :, None]).sum(axis=1) / np.maximum(total_s, 1)[:, None]
    return swept, total_s / np.maximum(end_s - start_s, 1)[:, 0]


class _Terms:
    """Terms of pairs of spans, for one stack: no exponential is taken per pair where none overflows."""

    def __init__(self, stack: Stack, parameters: Parameters) -> None:
        self._memory_s = float(parameters.memory_s)
        self._is_long = stack.is_long

    @staticmethod
    def overlap(start_s: Floats, end_s: Floats, other_start_s: Floats, other_end_s: Floats) -> Floats:
        """Seconds that each of one list shares with each of another."""
        shared = np.minimum(end_s[:, :, None], other_end_s[:, None, :])
        shared -= np.maximum(start_s[:, :, None], other_start_s[:, None, :])
        return np.maximum(shared, 0)

    def mean_of(self, overlap: Floats, start_s: Floats, end_s: Floats, from_s: Floats, until_s: Floats) -> Floats:
        """`E` of each of one list with each of another."""
        memory = self._memory_s
        near = self._faded(end_s, from_s) + self._faded(start_s, until_s)
        near -= self._faded(start_s, from_s) + self._faded(end_s, until_s)
        near *= memory * memory
        near += 2 * memory * overlap
        return near / ((end_s - start_s)[:, :, None] * (until_s - from_s)[:, None, :])

    def _faded(self, one: Floats, other: Floats) -> Floats:
        """exp(-|t - t'| / memory) for each pair."""
        if self._is_long:
            return np.exp(-np.abs(one[:, :, None] - other[:, None, :]) / self._memory_s)
        grown, grown_other = np.exp(one / self._memory_s), np.exp(other / self._memory_s)
        return np.minimum(
            grown[:, :, None] * (1 / grown_other)[:, None, :], (1 / grown)[:, :, None] * grown_other[:, None, :]
        )


def is_long(start_s: Ints, end_s: Ints, *, parameters: Parameters) -> Bools:
    """Where the powers of a time from the day's start would overflow."""
    return np.maximum(np.abs(start_s), np.abs(end_s)) > 300 * parameters.memory_s
