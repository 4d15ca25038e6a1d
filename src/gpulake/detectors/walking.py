"""What is known at each row of a series from the rows before it: means that forget, and quantiles of all that was.

Every value depends on its own row and earlier ones only, to the last bit: a longer series begins with the same values.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from gpulake.detectors import Matrix
from gpulake.detectors.rows import quantile_of_rows

GROWTH = 1.02
_LONGEST_HALVINGS = 400
_BATCH_ROWS = 256
_WINDOWS = 4096


def ewma(values: Matrix, steps: Matrix, *, half_life: float) -> Matrix:
    """The mean that forgets half in `half_life`, in the unit of `steps`: the time from each row to the one before."""
    if not len(values):
        return values
    halvings = np.cumsum(steps / half_life) - steps[0] / half_life
    weight = 1 - 2.0 ** (-steps / half_life)
    weight[0] = 1.0
    found = np.empty(len(values))
    stretch = (halvings // _LONGEST_HALVINGS).astype(np.int64)
    before, until = 0.0, 0.0
    for first, last in _runs(stretch):
        inside = halvings[first:last] - halvings[first]
        carried = before * 2.0 ** (until - halvings[first])
        found[first:last] = 2.0**-inside * (carried + np.cumsum(2.0**inside * weight[first:last] * values[first:last]))
        before, until = float(found[last - 1]), float(halvings[last - 1])
    return found


def _runs(codes: NDArray[np.int64]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(codes)) + 1
    bounds = [0, *edges.tolist(), len(codes)]
    return list(pairwise(bounds))


def of_the_past(values: Matrix, statistic: Callable[[Matrix], float], *, least: int) -> Matrix:
    """The statistic of the rows before, NaN before there are `least`. It is taken anew each time that they have grown by a fiftieth."""
    found = np.full(len(values), np.nan)
    at = least
    while at < len(values):
        following = max(at + 1, int(at * GROWTH))
        found[at:following] = statistic(values[:at])
        at = following
    return found


def mean_of_last(values: Matrix, count: int) -> Matrix:
    """The mean of each row and the `count - 1` before it; the first rows' of what there is."""
    total = np.zeros_like(values)
    for lag in range(count):
        total[lag:] += values[: len(values) - lag]
    known = np.minimum(np.arange(len(values)) + 1, count)
    return total / known.reshape(-1, *[1] * (values.ndim - 1))


def before(values: Matrix, length: int, share: float, *, least: int = 1) -> Matrix:
    """The quantile of the `length` values before each, NaN where fewer than `least` of them are known."""
    padded = np.concatenate([np.full(length, np.nan), values])[:-1] if len(values) else values
    found = np.full(len(values), np.nan)
    for first in range(0, len(values), _WINDOWS):
        windows = sliding_window_view(padded[first : first + _WINDOWS + length - 1], length)
        enough = np.sum(~np.isnan(windows), axis=1) >= least
        found[first : first + _WINDOWS] = np.where(enough, quantile_of_rows(windows, share), np.nan)
    return found


def in_batches(rows: Matrix, work: Callable[[Matrix], Matrix]) -> Matrix:
    """The work on batches of one fixed size: how a row's sums are rounded must not depend on how many rows follow."""
    found = []
    for first in range(0, len(rows), _BATCH_ROWS):
        batch = rows[first : first + _BATCH_ROWS]
        missing = _BATCH_ROWS - len(batch)
        found.append(work(np.pad(batch, ((0, missing), (0, 0))))[: len(batch)])
    return np.concatenate(found) if found else work(np.zeros((_BATCH_ROWS, rows.shape[1])))[:0]
