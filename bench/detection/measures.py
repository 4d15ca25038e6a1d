"""How well scores and flags find labelled events: average precision, VUS-PR, event F1, precision and recall of alarms.

A row that was not scored (NaN) ranks below every row that was. Rows to ignore count neither as hit nor as false alarm.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

JOIN_STEPS = 6
WIDEST_BUFFER_STEPS = 24
MOST_FLAGGED = 0.10


@dataclass(frozen=True)
class Labelled:
    """What is true of each row: whose it is, when, in which event (0: none), and whether it counts."""

    entity: NDArray[Any]
    step: Ints
    event: Ints
    ignore: Bools

    @cached_property
    def order(self) -> Ints:
        """The rows by entity and step."""
        return np.lexsort((self.step, self.codes))

    @cached_property
    def codes(self) -> Ints:
        """The entities by number."""
        return np.unique(self.entity, return_inverse=True)[1].astype(np.int64)

    @cached_property
    def events(self) -> Ints:
        """The events that have a row."""
        return np.unique(self.event[self.event > 0])


@dataclass(frozen=True)
class Alarms:
    """What a set of alarms is worth. Precision is NaN without an alarm that counts, recall without an event."""

    hits: int
    false: int
    found: int
    events: int

    @property
    def precision(self) -> float:
        """Alarms that touch an event, of the alarms that count."""
        return self.hits / (self.hits + self.false) if self.hits + self.false else float("nan")

    @property
    def recall(self) -> float:
        """Events that an alarm touches, of all."""
        return self.found / self.events if self.events else float("nan")

    @property
    def f1(self) -> float:
        """The harmonic mean of both, 0 without a hit."""
        return 2 * self.precision * self.recall / (self.precision + self.recall) if self.hits else 0.0


def labelled(label: NDArray[Any], *, entity: NDArray[Any] | None = None, step: NDArray[Any] | None = None) -> Labelled:
    """Rows with a plain label: each unbroken stretch of labelled rows of an entity is one event. Rows stand in the order of time."""
    rows = len(label)
    entity = np.zeros(rows, np.int64) if entity is None else entity
    step = np.arange(rows) if step is None else step
    bare = Labelled(entity, step.astype(np.int64), np.zeros(rows, np.int64), np.zeros(rows, np.bool_))
    there = np.asarray(label)[bare.order] > 0
    codes = bare.codes[bare.order]
    starts = there & ~(np.r_[False, there[:-1]] & np.r_[False, codes[1:] == codes[:-1]])
    event = np.zeros(rows, np.int64)
    event[bare.order] = np.where(there, np.cumsum(starts), 0)
    return Labelled(entity, bare.step, event, bare.ignore)


def average_precision(label: NDArray[Any], score: NDArray[Any]) -> float:
    """Mean precision over the rises of recall; rows of one score are one step."""
    hit = np.asarray(label) > 0
    if not hit.any():
        return float("nan")
    ranked, ends = _ranked(np.asarray(score, np.float64))
    found = np.cumsum(hit[ranked])[ends]
    return float(np.sum(np.diff(found, prepend=0) / hit.sum() * found / (ends + 1)))


def auc_pr(rows: Labelled, score: NDArray[Any]) -> float:
    """Average precision over the rows that count."""
    return average_precision(rows.event[~rows.ignore], np.asarray(score)[~rows.ignore])


def vus_pr(rows: Labelled, score: NDArray[Any], *, widest: int = WIDEST_BUFFER_STEPS) -> float:
    """Mean over buffers of 0 … widest steps of the range average precision.

    With buffer w each event grows by w // 2 steps on both sides, where a row d steps away weighs √(1 - d/w). Recall is the
    weight found by the labelled rows, at most 1, times the share of events that are touched.
    """
    if not len(rows.events):
        return float("nan")
    kept = np.flatnonzero(~rows.ignore)
    ranked, ends = _ranked(np.asarray(score, np.float64)[kept])
    ranked = kept[ranked]
    rank = np.full(len(rows.step), len(ranked))
    rank[ranked] = np.repeat(np.arange(len(ends)), np.diff(ends, prepend=-1))
    near = [*_near(rows, widest // 2)]
    plain = float(np.count_nonzero(rows.event[kept]))
    return float(np.mean([_range_precision(w, near, rank, ranked, ends, plain) for w in range(widest + 1)]))


def _range_precision(
    w: int, near: list[tuple[Ints, Ints]], rank: Ints, ranked: Ints, ends: Ints, plain: float
) -> float:
    weight = np.zeros(len(rank))
    first = []
    for at, distance in near:
        inside = at[distance <= w // 2]
        weight[inside] += np.sqrt(1 - distance[distance <= w // 2] / w) if w else 1.0
        first.append(rank[inside].min())
    weight = np.minimum(weight, 1)
    touched = np.searchsorted(np.sort(first), np.arange(len(ends)), side="right") / len(near)
    found = np.cumsum(weight[ranked])[ends]
    recall = np.minimum(found / plain, 1) * touched
    return float(np.sum(np.diff(recall, prepend=0) * found / (ends + 1)))


def _near(rows: Labelled, reach: int) -> Iterator[tuple[Ints, Ints]]:
    """Per event: the rows of its entity that lie at most `reach` steps outside it, and how far."""
    codes, steps = rows.codes[rows.order], rows.step[rows.order]
    for event in rows.events:
        inside = np.flatnonzero(rows.event == event)
        start, end = rows.step[inside].min(), rows.step[inside].max()
        for code in np.unique(rows.codes[inside])[:1]:
            low, high = np.searchsorted(codes, [code, code + 1])
            since, until = low + np.searchsorted(steps[low:high], [start - reach, end + reach + 1])
            at = steps[since:until]
            yield rows.order[since:until], np.maximum(np.maximum(start - at, at - end), 0)


def alarms(rows: Labelled, flag: NDArray[Any]) -> Alarms:
    """Flagged rows of one entity are one alarm over gaps of at most 6 steps: a hit if it touches an event.

    One that touches rows to ignore and no event is neither a hit nor false.
    """
    order = rows.order[np.asarray(flag, np.bool_)[rows.order]]
    return _joined(rows.codes[order], rows.step[order], rows.event[order], rows.ignore[order], len(rows.events))


def _joined(codes: Ints, steps: Ints, event: Ints, ignore: Bools, events: int) -> Alarms:
    if not len(codes):
        return Alarms(0, 0, 0, events)
    starts = np.flatnonzero(np.r_[True, (np.diff(codes) != 0) | (np.diff(steps) > JOIN_STEPS)])
    hit = np.logical_or.reduceat(event > 0, starts)
    false = ~hit & ~np.logical_or.reduceat(ignore, starts)
    return Alarms(int(hit.sum()), int(false.sum()), len(np.unique(event[event > 0])), events)


def event_f1(rows: Labelled, score: NDArray[Any]) -> float:
    """The best F1 of alarms (precision) and events (recall) over the thresholds that flag at most a tenth of the rows."""
    most = int(MOST_FLAGGED * len(rows.step))
    return max((found.f1 for _, found in _by_threshold(rows, score, most=most)), default=0.0)


def at_budget(rows: Labelled, score: NDArray[Any], *, false_alarms: float) -> Alarms:
    """The alarms of the lowest threshold that, like all above it, gives at most this many false alarms."""
    best = Alarms(0, 0, 0, len(rows.events))
    for _, found in _by_threshold(rows, score, most=len(rows.step)):
        if found.false > false_alarms:
            break
        best = found
    return best


def _by_threshold(rows: Labelled, score: NDArray[Any], *, most: int) -> Iterator[tuple[float, Alarms]]:
    """The alarms at each score that occurs, from the highest down, as long as at most this many rows are flagged."""
    values = np.asarray(score, np.float64)[rows.order]
    known = np.flatnonzero(~np.isnan(values))
    if len(known) > most:
        lowest = np.partition(values[known], len(known) - most - 1)[len(known) - most - 1]
        known = known[values[known] > lowest]
    order, values = rows.order[known], values[known]
    codes, steps, event, ignore = rows.codes[order], rows.step[order], rows.event[order], rows.ignore[order]
    for threshold in np.unique(values)[::-1]:
        at = np.flatnonzero(values >= threshold)
        yield float(threshold), _joined(codes[at], steps[at], event[at], ignore[at], len(rows.events))


def _ranked(score: Floats) -> tuple[Ints, Ints]:
    """The rows from the highest score down, and the last place of each run of equal scores. NaN is the lowest."""
    falling = np.where(np.isnan(score), -np.inf, score)
    ranked = np.argsort(-falling, kind="stable")
    steps = falling[ranked]
    return ranked, np.flatnonzero(np.r_[steps[1:] != steps[:-1], True])
