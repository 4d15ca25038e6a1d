"""What the detectors of machines and GPUs are built of: residuals, their scale, their memory, and when an alarm opens.

Everything works on whole arrays. Rows are sorted by entity and hour where a function speaks of runs; a run is an entity's rows
without a gap of more than 6 hours. Unknown is NaN, and stays NaN until it enters a mean over metrics, as 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

MOST_GAP_HOURS = 6
FULL_HOUR_SAMPLES = 240
THIN_SAMPLES = 60
CLIP_Z = 10.0
SMALLEST_SCALE = 0.005
"""Of a metric's spread: a residual below it is never strange."""
BIAS_PRIOR_ROWS = 12
CLIP_INPUT = 10.0
RIDGE = 1.0
REWEIGHTINGS = 3
HUBER = 2.0
MOST_FIT_ROWS = 20_000
LEAST_FIT_ROWS = 200
BAND = 2.45
"""Half-width of a band in scales: of a normal residual 1.4 % lie outside."""
HOLD = 0.7
LEVEL_STEP, LEVELS = 0.97, 100
BURST, BURST_SHARE, BURST_HOURS = 5, 0.05, 2
AIM, STEEPEST_TAIL = 0.5, -0.4
_CHUNK_ROWS = 50_000


@dataclass(frozen=True)
class Order:
    """Rows once each, by entity and hour: `kept` are their places in the input, `back` the place here of each input row."""

    kept: Ints
    back: Ints


def once_each(entity: NDArray[Any], hour: NDArray[Any], *values: NDArray[Any]) -> Order:
    """Sort rows by entity and hour. Of rows with one key the greatest by `values` stands, whatever their order was."""
    order = np.lexsort((hour, entity))
    if not len(order):
        return Order(order, order)
    repeats = _same_as_before(entity[order], hour[order])
    doubled = repeats | np.r_[repeats[1:], False]
    if doubled.any():
        # Only the doubled ones are sorted by value: a full sort of all columns costs ten times as much.
        at = order[doubled]
        order[doubled] = at[np.lexsort((*(value[at] for value in values[::-1]), hour[at], entity[at]))]
    last = np.r_[~repeats[1:], True]
    back = np.empty(len(order), np.int64)
    back[order] = np.cumsum(~repeats) - 1
    return Order(order[last], back)


def _same_as_before(*keys: NDArray[Any]) -> Bools:
    same: Bools = np.r_[False, np.logical_and.reduce([key[1:] == key[:-1] for key in keys])]
    return same


def coded(*keys: NDArray[Any]) -> Ints:
    """One number per distinct combination of keys, in their order."""
    codes = np.zeros(len(keys[0]), np.int64)
    for key in keys:
        distinct, inverse = np.unique(key, return_inverse=True)
        codes = codes * len(distinct) + inverse
    return np.unique(codes, return_inverse=True)[1].astype(np.int64) if len(keys) > 1 else codes


def runs(entity: Ints, hour: NDArray[Any]) -> Ints:
    """Where each run starts: at another entity, or after a gap of more than 6 hours."""
    if not len(entity):
        return np.empty(0, np.int64)
    breaks = (np.diff(entity) != 0) | (np.diff(hour) > MOST_GAP_HOURS)
    return np.flatnonzero(np.r_[True, breaks])


def ewma(z: Floats, starts: Ints, *, half_life: float) -> Floats:
    """The exponentially weighted mean of each column along each run, from 0; half_life counts rows. NaN counts as 0."""
    step = np.float32(1 - 0.5 ** (1 / half_life))
    z = np.nan_to_num(z, nan=0.0)
    lengths = np.diff(np.r_[starts, len(z)])
    longest = np.argsort(-lengths, kind="stable")
    first, lengths = starts[longest], lengths[longest]
    out = np.empty_like(z)
    state = np.zeros((len(starts), *z.shape[1:]), z.dtype)
    # The runs go hand in hand, one step each: the loop is as long as the longest run.
    for k in range(lengths[0] if len(lengths) else 0):
        going = int(np.searchsorted(-lengths, -k))
        at = first[:going] + k
        state[:going] += step * (z[at] - state[:going])
        out[at] = state[:going]
    return out


def rms(z: Floats) -> Floats:
    """Root of the mean square over all metrics of each row; a missing one counts as 0."""
    columns = max(z.shape[1], 1)
    mean: Floats = np.nansum(np.square(z), axis=1) / columns
    return np.sqrt(mean)


def thin_weight(samples: Floats) -> Floats:
    """What a row's deviation counts, by the samples it stands on, of 240."""
    return np.sqrt(np.clip(np.nan_to_num(samples, nan=0.0), 0, FULL_HOUR_SAMPLES) / FULL_HOUR_SAMPLES)


@dataclass(frozen=True)
class _Sorted:
    order: Ints  # rows by group and value, unknown values last in their group
    start: Ints  # of each row in this order: where its group starts
    known: Ints  # and how many known values its group has


def _by_group(values: Floats, group: Ints) -> _Sorted:
    order = np.lexsort((values, group))
    starts = np.flatnonzero(~_same_as_before(group[order])) if len(order) else np.empty(0, np.int64)
    sizes = np.diff(np.r_[starts, len(order)])
    known = np.add.reduceat((~np.isnan(values[order])).astype(np.int64), starts) if len(order) else sizes
    return _Sorted(order, np.repeat(starts, sizes), np.repeat(known, sizes))


def median_of_group(values: Floats, group: Ints, *, least: int = 1) -> Floats:
    """Each row's group's median of the known values; NaN in a group with fewer than `least` of them."""
    out = np.full(len(values), np.nan, values.dtype)
    by = _by_group(values, group)
    there = by.known >= max(least, 1)
    start, known = by.start[there], by.known[there]
    ranked = values[by.order]
    out[by.order[there]] = (ranked[start + (known - 1) // 2] + ranked[start + known // 2]) / 2
    return out


def median_of_others(values: Floats, group: Ints) -> Floats:
    """The median of the other known values of each row's group, exactly; NaN where there is none, or the row's is unknown."""
    out = np.full(len(values), np.nan, values.dtype)
    by = _by_group(values, group)
    place = np.arange(len(values)) - by.start
    there = (by.known >= 2) & (place < by.known)
    start, others, place = by.start[there], by.known[there] - 1, place[there]
    low, high = (others - 1) // 2, others // 2
    ranked = values[by.order]
    # From a row's own place on, the others stand one further along.
    low, high = low + (low >= place), high + (high >= place)
    out[by.order[there]] = (ranked[start + low] + ranked[start + high]) / 2
    return out


def without_own_bias(residual: Floats, entity: Ints, *, past: Bools) -> Floats:
    """The residual minus the entity's own median over its past rows × n/(n + 12). Without a past: nothing is taken off."""
    values = np.where(past, residual, np.nan).astype(residual.dtype)
    known = np.bincount(entity, weights=~np.isnan(values), minlength=1)[entity] if len(entity) else values
    bias = np.nan_to_num(median_of_group(values, entity), nan=0.0)
    return (residual - bias * (known / (known + BIAS_PRIOR_ROWS))).astype(residual.dtype)


def robust_scales(residual: Floats, group: Ints, *, past: Bools, groups: int) -> Floats:
    """Per group and metric: max(1.4826 × MAD, q90 of |r| / 1.645, 0.005) over its past rows. With fewer than 12: of all groups."""
    columns = residual.shape[1]
    scales = np.full((groups, columns), np.nan, np.float32)
    for j in range(columns):
        there = past & ~np.isnan(residual[:, j])
        known, mine = residual[there, j], group[there]
        scales[:, j] = _scale(known)
        for code in np.flatnonzero(np.bincount(mine, minlength=groups) >= BIAS_PRIOR_ROWS):
            scales[code, j] = _scale(known[mine == code])
    return np.maximum(scales, np.float32(SMALLEST_SCALE))


def _scale(residual: Floats) -> float:
    if not len(residual):
        return float("nan")
    spread = 1.4826 * np.median(np.abs(residual - np.median(residual)))
    return float(max(spread, np.quantile(np.abs(residual), 0.9) / 1.645))


def clipped(z: Floats) -> Floats:
    """No single hour counts for more than 10 scales."""
    return np.clip(z, -CLIP_Z, CLIP_Z)


Terms = Callable[[Floats], tuple[Floats, Bools]]
"""From inputs (rows × metrics, then what is always known) to terms (rows × terms), and which metric (metrics × terms) each uses."""


@dataclass(frozen=True)
class Conditional:
    """What the metrics of one kind of machine say of each other: of metric j nothing is used to expect metric j."""

    weights: Floats  # terms × metrics

    def expected(self, inputs: Floats, *, terms: Terms) -> Floats:
        """What each metric should be, in spreads about its middle."""
        return (terms(inputs)[0] @ self.weights).astype(np.float32)


def learn(targets: Floats, inputs: Floats, *, terms: Terms) -> Conditional:
    """Ridge regression of each metric on terms of the others, reweighted three times so that strange rows count less.

    A metric with fewer than 200 known rows expects NaN.
    """
    matrix, uses = terms(inputs)
    metrics = targets.shape[1]
    weights = np.full((matrix.shape[1], metrics), np.nan)
    for j in range(metrics):
        known = ~np.isnan(targets[:, j])
        if known.sum() < LEAST_FIT_ROWS:
            continue
        columns = ~uses[j]
        weights[:, j] = 0
        weights[columns, j] = _huber_ridge(matrix[known][:, columns], targets[known, j].astype(np.float64))
    return Conditional(weights)


def _huber_ridge(x: Floats, y: Floats) -> Floats:
    found = _ridge(x, y, None)
    for _ in range(REWEIGHTINGS):
        residual = np.abs(y - x @ found)
        spread = 1.4826 * np.median(residual)
        found = _ridge(x, y, np.minimum(1, HUBER * spread / np.maximum(residual, 1e-12)) if spread > 0 else None)
    return found


def _ridge(x: Floats, y: Floats, weight: Floats | None) -> Floats:
    weighted = x if weight is None else x * weight[:, np.newaxis]
    found: Floats = np.linalg.solve(x.T @ weighted + RIDGE * np.eye(x.shape[1]), weighted.T @ y)
    return found


def fewer(hour: NDArray[Any], *, most: int = MOST_FIT_ROWS) -> Bools:
    """Which rows to learn from when there are many: every n-th hour, n prime to the day, so that all hours of the day stay."""
    keep = np.ones(len(hour), np.bool_)
    stride = -(-len(hour) // most)
    if stride > 1:
        while stride % 2 == 0 or stride % 3 == 0:
            stride += 1
        keep = np.asarray(hour, np.int64) % stride == 0
    return keep


@dataclass(frozen=True)
class Spread:
    """The middle and the width of each metric in one kind of machine; a metric that never had a value, or only 0, has NaN."""

    middle: Floats
    width: Floats

    def apart(self, values: Floats) -> Floats:
        """Values in widths about the middle."""
        return ((values - self.middle) / self.width).astype(np.float32)


def spread_of(values: Floats) -> Spread:
    """Median, and q90 - q10; of a metric that hardly moves 2.56 standard deviations or a twentieth of its median."""
    middle, width = np.full(values.shape[1], np.nan), np.full(values.shape[1], np.nan)
    for j in range(values.shape[1]):
        known = values[~np.isnan(values[:, j]), j].astype(np.float64)
        if len(known):
            middle[j] = np.median(known)
            low, high = np.quantile(known, [0.1, 0.9])
            width[j] = max(high - low, 2.56 * known.std() if high == low else 0, abs(middle[j]) / 20)
    return Spread(middle, np.where(width > 0, width, np.nan))


def chunks(rows: Ints, *, most: int = _CHUNK_ROWS) -> list[Ints]:
    """The rows in parts that fit in memory with all their terms."""
    return [rows[start : start + most] for start in range(0, len(rows), most)]


def cuts(entity: Ints, *, most: int = 4 * _CHUNK_ROWS) -> list[slice]:
    """Rows sorted by entity in stretches of about this many, none of which ends inside an entity."""
    starts = np.flatnonzero(np.r_[True, np.diff(entity) != 0]) if len(entity) else np.zeros(1, np.int64)
    first = starts[np.flatnonzero(np.diff(starts // most, prepend=-1) > 0)]
    return [slice(int(low), int(high)) for low, high in zip(first, [*first[1:], len(entity)], strict=True)]


def within(hour: NDArray[Any], window: tuple[float, float]) -> Bools:
    """Which hours lie in a half-open window."""
    inside: Bools = (hour >= window[0]) & (hour < window[1])
    return inside


def mates_in_words(count: int) -> str:
    """How many mates a row was compared with."""
    return f"{count} job-mate{'' if count == 1 else 's'}"


def said(value: float) -> str:
    """A number as a person reads it: whole from 100 on, else with one digit, small ones with two."""
    return f"{value:.{0 if abs(value) >= 100 else 1 if abs(value) >= 1 else 2}f}"


def opened(statistic: Floats, starts: Ints, *, threshold: float, rule: Bools | None = None) -> Bools:
    """The hours in which an alarm stands: it opens when two hours running reach the threshold, or by a rule at once.

    It holds while 0.7 of the threshold is reached, or the rule stands.
    """
    if not len(statistic):
        return np.zeros(0, np.bool_)
    rule = np.zeros(len(statistic), np.bool_) if rule is None else rule
    first = np.zeros(len(statistic), np.bool_)
    first[starts] = True
    high = statistic >= threshold
    opens = (high & np.r_[False, high[:-1]] & ~first) | rule
    holds = (statistic >= HOLD * threshold) | rule
    begins = holds & (first | ~np.r_[False, holds[:-1]])
    places = np.arange(len(statistic))
    last_open = np.maximum.accumulate(np.where(opens, places, -1))
    last_begin = np.maximum.accumulate(np.where(begins, places, -1))
    return holds & (last_open >= last_begin) & (last_open >= 0)


def alarm_starts(flag: Bools, entity: Ints, hour: NDArray[Any]) -> Ints:
    """The first row of each alarm: flagged rows of an entity are one alarm over gaps of at most 6 hours."""
    at = np.flatnonzero(flag)
    return at[runs(entity[at], hour[at])]


def threshold_for(statistic: Floats, entity: Ints, hour: NDArray[Any], *, entity_weeks: float, rate: float) -> float:
    """The threshold that keeps to `rate` alarms per entity and week, told from a window's own alarms; infinite without any.

    One alarm more or less in a window would move a threshold that is read off it by a third, and the highest may be faults.
    So the lowest thresholds that allow n, 2 n, 4 n and 8 n alarms are continued by the power law through them, to half the rate,
    since what is learned ages until it is learned again. n is what the rate allows, at least 1.
    """
    first = max(1.0, rate * entity_weeks)
    counts = np.unique(np.round(first * np.array([1, 2, 4, 8])).astype(np.int64))
    levels = np.array([lowest_threshold(statistic, entity, hour, most_alarms=int(count)) for count in counts])
    if not np.isfinite(levels).all() or entity_weeks <= 0:
        return float("inf")
    falls, at_one = np.polyfit(np.log(counts), np.log(levels), 1)
    return float(np.exp(at_one + max(falls, STEEPEST_TAIL) * np.log(AIM * rate * entity_weeks)))


def lowest_threshold(statistic: Floats, entity: Ints, hour: NDArray[Any], *, most_alarms: int) -> float:
    """The lowest threshold that, like all above it, gives at most this many alarms; infinite without a deviation."""
    if not len(statistic):
        return float("inf")
    starts = runs(entity, hour)
    pair = np.minimum(statistic, np.r_[0, statistic[:-1]])
    pair[starts] = 0
    if not pair.max() > 0:
        return float("inf")
    burst = max(BURST, int(BURST_SHARE * len(np.unique(entity))))
    found = float(np.nextafter(pair.max(), np.inf))
    for level in found * LEVEL_STEP ** np.arange(1, LEVELS):
        opening = hour[alarm_starts(opened(statistic, starts, threshold=float(level)), entity, hour)]
        if _separate(np.sort(opening), burst) > most_alarms:
            break
        found = float(level)
    return found


def _separate(opening: NDArray[Any], burst: int) -> int:
    """Alarms by their sorted opening hours: those of many entities within 2 hours are the cluster's, and count as none."""
    if len(opening) < burst:
        return len(opening)
    together = opening[burst - 1 :] - opening[: len(opening) - burst + 1] <= BURST_HOURS
    begins = np.r_[together, np.zeros(burst - 1, np.bool_)].astype(np.int64)
    covered = np.cumsum(begins) - np.r_[np.zeros(burst, np.int64), np.cumsum(begins)[:-burst]]
    return int(np.count_nonzero(covered == 0))


def hours_standing(flag: Bools, entity: Ints, hour: NDArray[Any]) -> Ints:
    """Of each flagged row: the hours since its alarm opened, this one included; else 0."""
    out = np.zeros(len(flag), np.int64)
    at = np.flatnonzero(flag)
    starts = runs(entity[at], hour[at])
    opening = np.repeat(hour[at][starts], np.diff(np.r_[starts, len(at)]))
    out[at] = hour[at] - opening + 1
    return out
