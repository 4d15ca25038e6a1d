"""The detectors, found by listing this folder: every module here that defines DETECTOR is one.

A detector is a value with one pure function. Which rows it is shown, where its scores go and when it runs is `gpulake.detecting`'s
work. It walks forward: the verdict on a row depends on this row and earlier ones only, on no row's place in the
input, and on none of them twice; so later rows leave old verdicts as they were. The one exception says so
(`retrospective`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from threading import Thread
from typing import Any

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
Columns = Mapping[str, NDArray[Any]]
"""Arrays of one length by name; one entry (of a matrix: one line) per row. Unknown is NaN, of a text ""."""


_NOTHING: Matrix = np.empty(0)
"""Stands for as many NaN as there are rows."""


class Level(StrEnum):
    """What one row is. The columns of each, with their units, stand in `detectors.levels`."""

    CLUSTER_DAY = "cluster_day"
    CLUSTER_HOUR = "cluster_hour"
    MACHINE_HOUR = "machine_hour"
    GPU_HOUR = "gpu_hour"
    JOB = "job"
    SERIES = "series"


@dataclass(frozen=True)
class Block:
    """One stretch of the level's own time (hours, days): what is learned from, where thresholds are set, what is scored.

    Each is half-open, [from, until). What is scored never lies before the end of what was learned from.
    """

    fit: tuple[float, float]
    calibrate: tuple[float, float]
    score: tuple[float, float]


@dataclass(frozen=True)
class Verdicts:
    """One entry per row shown, in the order shown. A NaN score is a row that was not judged.

    A larger score is stranger. `driver` indexes `metrics` (-1: none); `seen`, `expected`, `low` and `high` are the driver's, in
    its own unit; an expectation that a detector does not form stays NaN, and lands as null. `reasons` says one sentence for each of some
    rows, also why a row was not judged. `learned` are the parts of a fitted model that are worth keeping. `is_judged`
    is false where a row has a score that nobody should act on, since too little of it was seen; None: every row with a score is judged.
    `bands` are the expectation and its two bounds of further metrics, for who draws them.
    """

    score: Matrix
    flag: NDArray[np.bool_]
    metrics: tuple[str, ...]
    driver: NDArray[np.int64]
    reasons: Callable[[Sequence[int]], list[str]]
    seen: Matrix = field(default_factory=lambda: _NOTHING)
    expected: Matrix = field(default_factory=lambda: _NOTHING)
    low: Matrix = field(default_factory=lambda: _NOTHING)
    high: Matrix = field(default_factory=lambda: _NOTHING)
    p_value: Matrix = field(default_factory=lambda: _NOTHING)
    learned: Mapping[str, object] = field(default_factory=dict)
    is_judged: NDArray[np.bool_] | None = None
    bands: Mapping[str, tuple[Matrix, Matrix, Matrix]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("seen", "expected", "low", "high", "p_value"):
            if getattr(self, name) is _NOTHING:
                object.__setattr__(self, name, np.full(len(self.score), np.nan))


@dataclass(frozen=True)
class Detector:
    """Turns rows of one level into verdicts.

    `needs` are columns that must be there, `uses` those that help where they are. `note` is what people must know who read its flags:
    reports print it beneath them. `false_alarms` is the declared rate, as a person reads it, and `false_alarms_per_1000` the same
    per thousand rows of the level. `libraries` are the heavy modules that it imports only when it is used: a refresh may load
    them while the build runs. `looks_back` is how much of the past, in the level's own time, a verdict can depend on; None: all of it.
    """

    name: str
    level: Level
    note: str
    needs: tuple[str, ...]
    judge: Callable[[Columns, Sequence[Block]], Verdicts]
    false_alarms: str
    false_alarms_per_1000: float
    uses: tuple[str, ...] = ()
    retrospective: bool = False
    libraries: tuple[str, ...] = ()
    looks_back: float | None = None


@cache
def all_detectors() -> tuple[Detector, ...]:
    """Every known detector, by name."""
    modules = (import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__))
    found = (module.DETECTOR for module in modules if hasattr(module, "DETECTOR"))
    return tuple(sorted(found, key=lambda detector: detector.name))


def load_ahead() -> None:
    """Start to import the detectors' libraries in a thread: it takes a second, and the caller is about to wait for dbt."""
    names = [name for detector in all_detectors() for name in detector.libraries]
    Thread(target=lambda: [import_module(name) for name in names], name="detectors' libraries").start()
