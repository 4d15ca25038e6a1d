"""The detectors, found by listing this folder: every module here that defines DETECTOR is one.

A detector is a value with two pure functions. Which days it is shown, where its scores go and when it runs is
`gpulake.detect`'s work: it is shown the past only, unless it says of itself that it is retrospective.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from threading import Thread
from typing import Any

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
Model = Any  # whatever `fit` returns and `score` understands: each detector's own


@dataclass(frozen=True)
class Verdicts:
    """One entry per scored day. An expectation that a detector does not form stays NaN, which lands as null."""

    flag: NDArray[np.int64]
    score: Matrix
    driver: tuple[str, ...]
    reason: tuple[str, ...]
    expected: Matrix | None = None
    low: Matrix | None = None
    high: Matrix | None = None
    p_value: Matrix | None = None


@dataclass(frozen=True)
class Detector:
    """Turns the days of one cluster into verdicts. `features` are columns of gold_cluster_util_daily.

    `note` is what people must know who read its flags: reports print it beneath them. `artefacts` names the parts of a
    fitted model that are worth keeping; each is saved with its hash. `libraries` are the heavy modules that it imports only
    when it is used: a refresh may load them while the build runs.
    """

    name: str
    note: str
    features: tuple[str, ...]
    needs_days: int
    fit: Callable[[Matrix], Model]
    score: Callable[[Model, Matrix], Verdicts]
    artefacts: Callable[[Model], Mapping[str, object]]
    retrospective: bool = False
    libraries: tuple[str, ...] = ()


@cache
def all_detectors() -> tuple[Detector, ...]:
    """Every known detector, by name."""
    found = (import_module(f"{__name__}.{module.name}").DETECTOR for module in iter_modules(__path__))
    return tuple(sorted(found, key=lambda detector: detector.name))


def load_ahead() -> None:
    """Start to import the detectors' libraries in a thread: it takes a second, and the caller is about to wait for dbt."""
    names = [name for detector in all_detectors() for name in detector.libraries]
    Thread(target=lambda: [import_module(name) for name in names], name="detectors' libraries").start()
