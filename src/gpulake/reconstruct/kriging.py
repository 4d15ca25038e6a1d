"""The best linear unbiased estimate: a stack of blocks of equal size, solved at once.

`E` is the mean, over two spans, of exp(-|t - t'| / memory). With F(z) = m² exp(-|z| / m) + m |z| it is
[F(b - c) + F(a - d) - F(a - c) - F(b - d)] / ((b - a)(d - c)); the terms m |z| add up to 2 m × overlap.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gpulake.reconstruct.values import Bools, Floats, Ints, Parameters

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
    noise: Floats
    left_out: Ints
    is_long: bool


@dataclass(frozen=True)
class Solved:
    """Of each piece its mean, and its part of its hour's variance and of its day's sum's, in s² × `scale`.

    `most`: what no value exceeds. Of the window that is left out: what both methods say, and how much of it others cover; what is
    `predicted` may lie out of bounds, as `mean`. `height`: one whole level, and `untold` which part of it a mean gains where all of the
    day is higher by that: the rest its windows tell already. `pull` / `pull_weight` is the estimate of such a shift, 1 / `pull_weight` its variance.
    `towards_pieces`, `ones`, `bias`: the answers that `weights` are made of.
    """

    mean: Floats
    of_hour: Floats
    of_day: Floats
    scale: Floats
    most: Floats
    height: Floats
    untold: Floats
    pull: Floats
    pull_weight: Floats
    predicted: Floats
    predicted_per_shift: Floats
    swept: Floats
    beside_ratio: Floats
    towards_pieces: Floats
    ones: Floats
    bias: Floats

    @property
    def weights(self) -> Floats:
        """How much of each window's value is in each piece's mean, before that is put between 0 and `most`: they sum to one.

        Axes: block, window, piece.
        """
        share: Floats = self.ones / self.ones.sum(axis=1)[:, None]
        return self.towards_pieces + share[:, :, None] * self.bias[:, None, :]


def solved(stack: Stack, *, parameters: Parameters) -> Solved:
    """Every block of a stack. Each is solved by itself: its bits do not depend on its neighbours."""
    real = stack.windows > 0
    windows = _Spans.of(stack.start_s, stack.end_s, parameters=parameters, is_long=stack.is_long)
    pieces = _Spans.of(stack.piece_start_s, stack.piece_end_s, parameters=parameters, is_long=stack.is_long)
    # What windows share beyond their times, as factors: how many run, each one's own level, and what lies beyond the margins.
    per_worker, own_level, outside = (
        ratio**0.5 for ratio in (parameters.per_worker_ratio, parameters.own_level_ratio, parameters.outside_ratio)
    )
    shared_s = windows.shared_s(windows)
    own = shared_s * (own_level * windows.inverse)[:, :, None]
    before, after = _shares_outside(stack, windows.inverse, parameters)
    factors = np.concatenate(
        (own, (per_worker * stack.level)[:, :, None], (outside * before)[:, :, None], (outside * after)[:, :, None]),
        axis=2,
    )
    matrix = windows.mean_of(windows, shared_s)
    matrix += factors @ factors.transpose(0, 2, 1)
    size = np.arange(real.shape[1])
    nugget = (parameters.nugget_ratio + _noise_ratio(stack)[:, None]) / np.maximum(stack.windows, 1)
    matrix[:, size, size] += np.where(real, nugget, 1.0)

    crossing_s = pieces.shared_s(windows)
    part = crossing_s * (own_level * pieces.inverse)[:, :, None]
    piece_factors = np.concatenate((part, (per_worker * stack.piece_level)[:, :, None]), axis=2)
    towards = pieces.mean_of(windows, crossing_s)
    towards += piece_factors @ factors[:, :, : piece_factors.shape[2]].transpose(0, 2, 1)

    columns = stack.value.shape[2]
    chosen = np.maximum(stack.left_out, 0)
    rows = np.arange(chosen.size)
    inside = _shares_inside(stack, windows.inverse)
    asked = np.zeros((*real.shape, columns + 3 + towards.shape[1]))
    asked[:, :, :columns] = stack.value
    asked[:, :, columns] = real
    asked[rows, chosen, columns + 1] = 1
    asked[:, :, columns + 2] = inside
    asked[:, :, columns + 3 :] = towards.transpose(0, 2, 1)
    answer = np.asarray(np.linalg.solve(matrix, asked), dtype=np.float64)
    ones, alone, shifted, spread = (*(answer[:, :, columns + at] for at in range(3)), answer[:, :, columns + 3 :])
    sum_of_ones = ones.sum(axis=1)
    level = answer[:, :, :columns].sum(axis=1) / sum_of_ones[:, None]
    weights = answer[:, :, :columns] - level[:, None, :] * ones[:, :, None]
    mean = level[:, None, :] + towards @ weights

    bias = 1 - (towards @ ones[:, :, None])[:, :, 0]
    of_hour, of_day = _errors(stack, pieces, piece_factors, towards @ spread, bias, sum_of_ones)
    count = real.sum(axis=1)
    fit = (stack.value * weights).sum(axis=1)
    scale = (SPREAD_RATIO * np.clip(level, LEAST_LEVEL, 1) + np.maximum(fit, 0)) / (PRIOR_WINDOWS + count[:, None])
    most = np.maximum(1.0, stack.value.max(axis=1))

    # A level that is unknown takes some of a shift upon itself.
    taken = shifted.sum(axis=1) / sum_of_ones
    shifted = shifted - taken[:, None] * ones
    height = np.maximum(level, LEAST_LEVEL)
    told = taken[:, None] + (towards @ shifted[:, :, None])[:, :, 0]
    pull = height * (inside[:, :, None] * weights).sum(axis=1) / scale
    pull_weight = height**2 * (inside * shifted).sum(axis=1)[:, None] / scale

    own_part = alone[rows, chosen] - ones[rows, chosen] ** 2 / sum_of_ones
    known = (own_part > 0) & (count > 1)
    own_part = np.where(known, own_part, 1)[:, None]
    predicted = stack.value[rows, chosen] - weights[rows, chosen] / own_part
    swept, beside = _swept_without(stack, chosen)
    beside = np.where(known & (stack.left_out >= 0), beside, 0)
    return Solved(
        mean=mean,
        of_hour=of_hour,
        of_day=of_day,
        scale=scale,
        most=most,
        height=height,
        untold=1 - told,
        pull=pull,
        pull_weight=pull_weight,
        predicted=predicted,
        predicted_per_shift=height * shifted[rows, chosen][:, None] / own_part,
        swept=swept,
        beside_ratio=beside,
        towards_pieces=spread,
        ones=ones,
        bias=bias,
    )


def _noise_ratio(stack: Stack) -> Floats:
    """A window's own error, in units of the variance of a load of its block's mean; of two quantities the larger."""
    total = (stack.windows[:, :, None] * stack.value).sum(axis=1) / np.maximum(stack.windows.sum(axis=1), 1)[:, None]
    ratio: Floats = (stack.noise / (SPREAD_RATIO * np.clip(total, LEAST_LEVEL, 1))).max(axis=1)
    return ratio


def _errors(
    stack: Stack, pieces: _Spans, factors: Floats, told: Floats, bias: Floats, sum_of_ones: Floats
) -> tuple[Floats, Floats]:
    """Each piece's part of the variance of its hour's sum and of its day's: what is not `told` by the windows."""
    error = pieces.mean_of(pieces, pieces.shared_s(pieces))
    shared = np.concatenate((factors, (bias / np.sqrt(sum_of_ones)[:, None])[:, :, None]), axis=2)
    error += shared @ shared.transpose(0, 2, 1)
    error -= told
    seconds = stack.piece_s[:, :, None]
    of_day = (error @ seconds)[:, :, 0] * stack.piece_s
    error *= stack.piece_hour[:, :, None] == stack.piece_hour[:, None, :]
    return (error @ seconds)[:, :, 0] * stack.piece_s, of_day


def _shares_outside(stack: Stack, inverse: Floats, parameters: Parameters) -> tuple[Floats, Floats]:
    """Which part of each window lies before the margins, and after them."""
    lengths = stack.end_s - stack.start_s
    before = np.clip(-parameters.margin_s - stack.start_s, 0, lengths) * inverse
    after = np.clip(stack.end_s - stack.length_s[:, None] - parameters.margin_s, 0, lengths) * inverse
    return before, after


def _shares_inside(stack: Stack, inverse: Floats) -> Floats:
    """Which part of each window lies in the day itself."""
    inside = np.minimum(stack.end_s, stack.length_s[:, None]) - np.maximum(stack.start_s, 0)
    shares: Floats = np.maximum(inside, 0) * inverse
    return shares


def _swept_without(stack: Stack, chosen: Ints) -> tuple[Floats, Floats]:
    """The mean over the covered seconds of one window of the plain mean of the others; and how much of it others cover."""
    rows = np.arange(chosen.size)
    start_s, end_s = stack.start_s[rows, chosen][:, None], stack.end_s[rows, chosen][:, None]
    borders = np.clip(np.concatenate((stack.start_s, stack.end_s), axis=1), start_s, end_s)
    order = np.argsort(borders, axis=1, kind="stable")
    windows = stack.windows.copy()
    windows[rows, chosen] = 0
    opening = np.concatenate((windows, -windows), axis=1)
    running = np.cumsum(np.take_along_axis(opening, order, axis=1), axis=1)[:, :-1]
    weighted = np.concatenate((stack.value, stack.value), axis=1) * opening[:, :, None]
    total = np.cumsum(np.take_along_axis(weighted, order[:, :, None], axis=1), axis=1)[:, :-1]
    covered_s = np.where(running > 0, np.diff(np.take_along_axis(borders, order, axis=1), axis=1), 0)
    swept = (total * (covered_s / np.maximum(running, 1))[:, :, None]).sum(axis=1)
    total_s = covered_s.sum(axis=1)
    return swept / np.maximum(total_s, 1)[:, None], total_s / np.maximum(end_s - start_s, 1)[:, 0]


@dataclass(frozen=True)
class _Spans:
    """Spans of a stack's blocks, and what makes terms of their pairs: padding has no length, and 0 as its inverse.

    `grown`, `shrunk`: of the starts and the ends, e to the power of the time in memories, and the inverse; so no exponential is taken
    per pair. Where they would overflow there are none.
    """

    start_s: Floats
    end_s: Floats
    length_s: Floats
    inverse: Floats
    memory_s: float
    grown: tuple[Floats, Floats] | None
    shrunk: tuple[Floats, Floats] | None

    @classmethod
    def of(cls, start_s: Floats, end_s: Floats, *, parameters: Parameters, is_long: bool) -> _Spans:
        length_s = np.maximum(end_s - start_s, 1)
        memory_s = float(parameters.memory_s)
        grown = None if is_long else (np.exp(start_s / memory_s), np.exp(end_s / memory_s))
        return cls(
            start_s=start_s,
            end_s=end_s,
            length_s=length_s,
            inverse=(end_s > start_s) / length_s,
            memory_s=memory_s,
            grown=grown,
            shrunk=None if grown is None else (1 / grown[0], 1 / grown[1]),
        )

    def shared_s(self, other: _Spans) -> Floats:
        """Seconds that each shares with each of another list."""
        shared = np.minimum(self.end_s[:, :, None], other.end_s[:, None, :])
        shared -= np.maximum(self.start_s[:, :, None], other.start_s[:, None, :])
        return np.maximum(shared, 0, out=shared)

    def mean_of(self, other: _Spans, shared_s: Floats) -> Floats:
        """`E` of each with each of another list."""
        near = self._faded(0, other, 1)
        near = near + near.transpose(0, 2, 1) if self is other else near + self._faded(1, other, 0)
        near -= self._faded(0, other, 0)
        near -= self._faded(1, other, 1)
        near += shared_s * (2 / self.memory_s)
        near *= (self.memory_s * self.inverse)[:, :, None] * (self.memory_s * other.inverse)[:, None, :]
        return near

    def _faded(self, end: int, other: _Spans, other_end: int) -> Floats:
        """exp(-|t - t'| / memory) for each pair of starts (0) or ends (1)."""
        if self.grown is None or self.shrunk is None or other.grown is None or other.shrunk is None:
            one, two = (self.start_s, self.end_s)[end], (other.start_s, other.end_s)[other_end]
            return np.exp(-np.abs(one[:, :, None] - two[:, None, :]) / self.memory_s)
        near = self.grown[end][:, :, None] * other.shrunk[other_end][:, None, :]
        return np.minimum(near, self.shrunk[end][:, :, None] * other.grown[other_end][:, None, :], out=near)


def is_long(start_s: Ints, end_s: Ints, *, parameters: Parameters) -> Bools:
    """Where the powers of a time from the day's start would overflow."""
    return np.maximum(np.abs(start_s), np.abs(end_s)) > 300 * parameters.memory_s
