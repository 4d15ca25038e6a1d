"""Hex names in the trace's lengths, each a hash of a counter: unique, repeatable, never stored."""

from __future__ import annotations

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from gpulake.simulate.curves import Ints

_PAIRS = np.frombuffer("".join(f"{byte:02x}" for byte in range(256)).encode(), dtype=np.uint16)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)

LENGTHS = {
    "job": 24,
    "inst_id": 60,
    "user": 12,
    "machine": 24,
    "group": 32,
    "instance": 60,
    "worker": 60,
    "stranger": 24,
    "lost": 60,
}
"""Hex digits of each kind of name, as in the publisher's README and the real rows."""


def _mixed(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    # splitmix64's finaliser: a bijection of 64-bit words, so two counters never share the first sixteen digits
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    result: NDArray[np.uint64] = words ^ (words >> np.uint64(31))
    return result


class Names:
    """Names of one simulated fleet: the same seed gives the same names, another seed others."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def of(self, kind: str, numbers: Ints) -> pl.Series:
        """Name each number; equal numbers get equal names, different ones different names (12-digit ones by odds of 2^-48)."""
        digits = LENGTHS[kind]
        words = (digits + 15) // 16
        key = _mixed(
            np.array([self._seed & 0xFFFFFFFFFFFFFFFF], dtype=np.uint64)
            + np.array([sorted(LENGTHS).index(kind) + 1], dtype=np.uint64) * _GOLDEN
        )
        hashed = np.empty((len(numbers), words), dtype=np.uint64)
        counters = numbers.astype(np.uint64) * _GOLDEN
        for word in range(words):
            key = _mixed(key + _GOLDEN)
            hashed[:, word] = _mixed(counters + key)
        text = _PAIRS[hashed.view(np.uint8)[:, : digits // 2]]
        offsets = np.arange(len(numbers) + 1, dtype=np.int64) * digits
        array = pa.LargeStringArray.from_buffers(
            len(numbers), pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(text))
        )
        return pl.Series(kind, array)
