"""Rows in any order, some of them twice, as one row per key in the key's order: so that neither can change a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpulake.detectors import Columns, Matrix

Places = NDArray[np.intp]


@dataclass(frozen=True)
class Once:
    """`rows` is one row per key, sorted by key; `place` says for every row shown which of those stands for it."""

    rows: Places
    place: Places

    def column(self, values: NDArray[Any]) -> NDArray[Any]:
        """The values of the rows that count."""
        return values[self.rows]

    def spread(self, values: NDArray[Any]) -> NDArray[Any]:
        """What was found per key, for every row shown."""
        return values[self.place]


def once(keys: Sequence[NDArray[Any]], *, values: Sequence[NDArray[Any]] = ()) -> Once:
    """One row per key, the first key the slowest. Of rows that differ, the one with the greatest values stands, a known
    value before an unknown one.
    """
    count = len(keys[0])
    codes = [codes_of(key) for key in keys]
    known_last = [np.where(np.isnan(value), -np.inf, value) for value in map(_as_floats, values)]
    order = np.lexsort((*reversed(known_last), *reversed(codes)))
    is_last = np.ones(count, np.bool_)
    if count > 1:
        is_last[:-1] = np.any([code[order][1:] != code[order][:-1] for code in codes], axis=0)
    place = np.empty(count, np.intp)
    place[order] = np.concatenate(([0], np.cumsum(is_last)[:-1])) if count else order
    return Once(order[is_last], place)


def codes_of(values: NDArray[Any]) -> NDArray[np.int64]:
    """Small whole numbers that sort and compare as the values do."""
    return np.unique(values, return_inverse=True)[1].reshape(-1).astype(np.int64)


def quantile_of_rows(values: Matrix, share: float) -> Matrix:
    """The quantile of what is known in each row, NaN where nothing is: np.nanquantile's, many times as fast."""
    ordered = np.sort(values, axis=1)
    known = np.sum(~np.isnan(values), axis=1)
    if not values.shape[1]:
        return np.full(len(values), np.nan)
    at, rows = np.maximum(known - 1, 0) * share, np.arange(len(values))
    lower = at.astype(np.intp)
    upper = np.minimum(lower + 1, np.maximum(known - 1, 0))
    below = ordered[rows, lower]
    return np.asarray(below + (ordered[rows, upper] - below) * (at - lower))


def median_of_rows(values: Matrix) -> Matrix:
    """The median of what is known in each row, NaN where nothing is."""
    return quantile_of_rows(values, 0.5)


def of_columns(columns: Columns, names: Sequence[str]) -> list[NDArray[Any]]:
    """Those of the columns that are there."""
    return [np.asarray(columns[name]) for name in names if name in columns]


def _as_floats(values: NDArray[Any]) -> Matrix:
    return values.astype(np.float64) if values.dtype.kind in "biuf" else codes_of(values).astype(np.float64)
