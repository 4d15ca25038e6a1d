"""Quantile curves, exact quotas and contingency tables: how published shares become rows.

Everything here deals by rank instead of by chance: a published share of 24.3 % gives exactly that share of the rows,
whatever the seed; the seed only decides which rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.signedinteger[Any]]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Curve:
    """A distribution known at a few points: `share` of it lies at or below `value`; log-linear between the points."""

    share: Floats
    value: Floats

    @staticmethod
    def through(points: Sequence[tuple[float, float]], *, least: float, most: float) -> Curve:
        """Make the curve through (share, value) points, closed by its smallest and its largest value."""
        ordered = [(0.0, least), *points, (1.0, most)]
        return Curve(np.array([share for share, _ in ordered]), np.array([value for _, value in ordered]))

    def quantile(self, share: Floats) -> Floats:
        """Value below which `share` of the distribution lies."""
        result: Floats = np.exp(np.interp(share, self.share, np.log(self.value)))
        return result

    def cdf(self, value: Floats) -> Floats:
        """Share of the distribution at or below each value; a step in the curve counts from its foot."""
        steps = np.log(self.value) + np.arange(len(self.value)) * 1e-9
        result: Floats = np.interp(np.log(value), steps, self.share)
        return result


def ranks(scores: Floats) -> Floats:
    """Turn scores into evenly spread shares in (0, 1): the smallest score gets 0.5/n."""
    n = len(scores)
    result = np.empty(n)
    result[np.argsort(scores)] = (np.arange(n) + 0.5) / max(n, 1)
    return result


def apportion(weights: Floats, total: int) -> Ints:
    """Split `total` into whole parts in proportion to the weights (largest remainder); the parts sum to it exactly."""
    sum_of_weights = float(weights.sum())
    if total <= 0 or sum_of_weights <= 0:
        return np.zeros(len(weights), dtype=np.int64)
    exact = weights * (total / sum_of_weights)
    parts = np.floor(exact).astype(np.int64)
    missing = total - int(parts.sum())
    order = np.argsort(parts - exact, kind="stable")
    parts[order[:missing]] += 1
    return parts


def deal(scores: Floats, weights: Floats) -> Ints:
    """Give each score a category, so that the categories have exactly their shares and stand in order of score."""
    counts = apportion(weights, len(scores))
    result = np.empty(len(scores), dtype=np.int64)
    result[np.argsort(scores)] = np.repeat(np.arange(len(weights)), counts)
    return result


def choose(scores: Floats, count: int) -> Flags:
    """Mark the `count` highest scores."""
    n = len(scores)
    count = min(max(count, 0), n)
    chosen = np.zeros(n, dtype=bool)
    if count:
        chosen[np.argpartition(scores, n - count)[n - count :]] = True
    return chosen


def fit_table(prior: Floats, margins: Sequence[tuple[tuple[int, ...], Floats]], *, rounds: int = 200) -> Floats:
    """Scale a table until its sums meet every margin in turn (iterative proportional fitting); the last margin is met exactly.

    A margin names the axes that it keeps and the sums it wants over all the others.
    """
    table = prior.astype(np.float64)
    for _ in range(rounds):
        for kept, wanted in margins:
            dropped = tuple(axis for axis in range(table.ndim) if axis not in kept)
            have = table.sum(axis=dropped, keepdims=True)
            shape = [table.shape[axis] if axis in kept else 1 for axis in range(table.ndim)]
            table = table * np.divide(wanted.reshape(shape), have, out=np.zeros(have.shape), where=have > 0)
    return table
