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
    """As many as there is room for; those asked for last stay. For many threads at once.

    They are kept written out: DuckDB answers with room for two thousand rows in each column, whatever it holds.
    """

    def __init__(self, room_b: int = _ROOM_B) -> None:
        self._room_b = room_b
        self._held_b = 0
        self._kept: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self._lock = Lock()

    def of(self, query: str, params: Sequence[object], ask: Callable[[], pa.Table]) -> pa.Table:
        """The rows of a query: kept, else asked for."""
        key = (query, repr(params))
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None:
                self._kept.move_to_end(key)
        if kept is not None:
            return pa.ipc.open_stream(kept).read_all()
        found = ask()
        if found.nbytes <= _LARGEST_B:
            self._keep(key, _written(found))
        return found

    def take(self, others: Answers, *, but: str) -> None:
        """Keep what others hold as well, save answers to queries that contain a text."""
        with others._lock:
            held = [(key, rows) for key, rows in others._kept.items() if but not in key[0]]
        for key, rows in held:
            self._keep(key, rows)

    def _keep(self, key: tuple[str, str], rows: bytes) -> None:
        with self._lock:
            if key not in self._kept:
                self._kept[key] = rows
                self._held_b += _size(key, rows)
            while self._held_b > self._room_b:
                self._held_b -= _size(*self._kept.popitem(last=False))


def _written(rows: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as stream:
        stream.write_table(rows)
    return bytes(sink.getvalue().to_pybytes())


def _size(key: tuple[str, str], rows: bytes) -> int:
    return len(rows) + sum(map(len, key))
