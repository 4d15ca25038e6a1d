"""The accounting of a small fleet, one second and one GPU at a time.

Slow and obvious on purpose. Days are given by their borders, so a day may have 23, 24 or 25 hours; an hour begins at a
whole hour after its day's first second. Amounts are milli-GPU-seconds.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

HOUR_S = 3_600


@dataclass(frozen=True)
class Machine:
    machine: str
    gpus: int


@dataclass(frozen=True)
class Sample:
    """GPUs used on average from `start` to `end`, at the latest where the next sample of the span begins; None measures nothing."""

    start: int
    end: int
    used: float | None


@dataclass(frozen=True)
class Span:
    """GPUs (or a fraction of one) that a unit (a job, an attempt) holds on a machine from `start` up to `end`.

    `used` is one mean over the whole span, None where it was not measured, or samples.
    """

    unit: str
    machine: str | None
    start: int
    end: int
    gpus: float
    used: float | Sequence[Sample] | None = None


@dataclass
class Figures:
    """Sums of one grain; `over_allocated` is counted by machine and hour, and 0 for units."""

    capacity: int = 0
    over_allocated: int = 0
    allocated: int = 0
    active: int | Fraction = 0
    idle_held: int | Fraction = 0
    unknown: int = 0
    over_use: int | Fraction = 0
    zero_util: int = 0

    @property
    def unallocated(self) -> int:
        return self.capacity + self.over_allocated - self.allocated


@dataclass(frozen=True)
class Fleet:
    """Days are numbered by the borders, hours within their day. Active, idle_held and over_use are rounded per span, sample and day, and exact in hours."""

    unit_days: dict[tuple[str, int], Figures]
    machine_days: dict[tuple[str | None, int], Figures]
    machine_hours: dict[tuple[str | None, int, int], Figures]
    days: dict[int, Figures]
    hours: dict[tuple[int, int], Figures]


def used_at(span: Span, second: int) -> tuple[int, float | None]:
    """(number of the sample, GPUs used) in one second of a span; used is None where nothing measured it."""
    if span.used is None or isinstance(span.used, (int, float)):
        return 0, span.used
    samples = sorted(span.used, key=lambda sample: sample.start)
    for number, sample in enumerate(samples):
        following = samples[number + 1].start if number + 1 < len(samples) else sample.end
        if sample.start <= second < min(sample.end, following):
            return number, sample.used
    return -1, None


def count(machines: Sequence[Machine], spans: Sequence[Span], *, borders: Sequence[int]) -> Fleet:
    """Everything, second by second, from the first border to the last; what lies outside is not counted."""
    capacity: Counter[tuple[str | None, int, int]] = Counter()
    held: Counter[tuple[str | None, int, int]] = Counter()
    seconds: Counter[tuple[int, int, float | None, int, int]] = Counter()
    for day, (first, last) in enumerate(pairwise(borders)):
        for second in range(first, last):
            hour = (second - first) // HOUR_S
            for machine in machines:
                capacity[machine.machine, day, hour] += machine.gpus * 1_000
        for number, span in enumerate(spans):
            for second in range(max(first, span.start), min(last, span.end)):
                hour = (second - first) // HOUR_S
                sample, used = used_at(span, second)
                seconds[number, sample, used, day, hour] += 1
                held[span.machine, day, hour] += mgpu(span)
    tables: tuple[dict, ...] = tuple(defaultdict(Figures) for _ in range(5))
    unit_days, machine_days, machine_hours, days, hours = tables
    for (machine, day, hour), there in capacity.items():
        for figures in (machine_days[machine, day], machine_hours[machine, day, hour], days[day], hours[day, hour]):
            figures.capacity += there
    for (machine, day, hour), there in held.items():
        for figures in (machine_days[machine, day], machine_hours[machine, day, hour], days[day], hours[day, hour]):
            figures.over_allocated += max(0, there - capacity[machine, day, hour])
    by_day: Counter[tuple[int, int, float | None, int]] = Counter()
    for (number, sample, used, day, hour), long in seconds.items():
        by_day[number, sample, used, day] += long
        for figures in (machine_hours[spans[number].machine, day, hour], hours[day, hour]):
            _exact(figures, spans[number], used, long)
    for (number, _, used, day), long in by_day.items():
        span = spans[number]
        for figures in (unit_days[span.unit, day], machine_days[span.machine, day], days[day]):
            _rounded(figures, span, used, long)
    return Fleet(*map(dict, tables))


def mgpu(span: Span) -> int:
    """Whole milli-GPUs of a span."""
    return math.floor(span.gpus * 1_000 + 0.5)


def _rounded(figures: Figures, span: Span, used: float | None, seconds: int) -> None:
    active = over_use = 0
    if used is not None:
        had = mgpu(span) / 1000  # what is held is whole milli-GPUs: use beyond them is over_use, never active
        active = math.floor(min(used, had) * seconds * 1000 + 0.5)
        over_use = math.floor(max(used - had, 0.0) * seconds * 1000 + 0.5)
    _add(figures, span, used, seconds, active, over_use)


def _exact(figures: Figures, span: Span, used: float | None, seconds: int) -> None:
    active = over_use = Fraction(0)
    if used is not None:
        took, had = Fraction(str(used)), Fraction(mgpu(span), 1_000)
        active = min(took, had) * seconds * 1000
        over_use = max(took - had, Fraction(0)) * seconds * 1000
    _add(figures, span, used, seconds, active, over_use)


def _add(figures, span, used, seconds, active, over_use) -> None:
    allocated = mgpu(span) * seconds
    figures.allocated += allocated
    figures.active += active
    figures.over_use += over_use
    if used is None:
        figures.unknown += allocated
    else:
        figures.idle_held += allocated - active
        figures.zero_util += allocated if used == 0 else 0
