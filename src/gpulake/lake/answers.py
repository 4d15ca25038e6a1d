"""Answers given before, of a look that cannot change: who asks the same again has the same rows at once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from threading import Lock

import pyarrow as pa

_ROOM_B = 64 * 1024 * 1024
_LARGEST_B = 4 * 1024 * 1024
"""A larger answer is a file that somebody fetches, and not asked for twice."""


class Answers:
    """As many as there is room for; those asked for last stay. For many threads at once."""

    def __init__(self, room_b: int = _ROOM_B) -> None:
        self._room_b = room_b
        self._held_b = 0
        self._kept: OrderedDict[tuple[str, str], pa.Table] = OrderedDict()
        self._lock = Lock()

    def of(self, query: str, params: Sequence[object], ask: Callable[[], pa.Table]) -> pa.Table:
        """The rows of a query: kept, else asked for."""
        key = (query, repr(params))
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        found = ask()
        if _size(key, found) <= _LARGEST_B:
            with self._lock:
                if key not in self._kept:
                    self._kept[key] = found
                    self._held_b += _size(key, found)
                while self._held_b > self._room_b:
                    self._held_b -= _size(*self._kept.popitem(last=False))
        return found


def _size(key: tuple[str, str], rows: pa.Table) -> int:
    return int(rows.nbytes) + sum(map(len, key))
