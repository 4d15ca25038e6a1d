"""Few commits: what the nodes of a build make on one connection is committed together.

dbt gives each node a connection and a commit of its own. On DuckLake a commit costs some 30 ms, and as much again for
reading the catalog after it: more than most of our models. A table that is not committed yet counts as empty when
DuckDB plans a join, so the many rows of a large one are committed as soon as its node ends: then a plan is off by a
hundred thousand rows at the most.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any  # dbt's cursors and DuckDB's

_CHANGES = ("create", "insert", "delete")
"""Statements that say how many rows they changed. They begin so: the project asks for no comments in front."""
ROWS_HELD = 100_000


class FewCommits:
    """A cursor that is always inside a transaction.

    `rows_held`: how many rows written, or deleted, may wait for the next commit. After a statement that fails nothing
    is committed any more; what only reads goes on.
    """

    def __init__(self, cursor: Any, *, rows_held: int = ROWS_HELD) -> None:
        self.cursor = cursor
        self._rows_held = rows_held
        self._failed = False
        self.changed = 0
        """How many rows were written, or deleted, in all."""
        self._begin()

    def execute(self, sql: str, values: Sequence[object] | None = None) -> Any:
        """One statement. Returns the cursor."""
        with self._losing_what_is_held():
            self.cursor.execute(sql, values)
            if sql.lstrip()[:6].lower() in _CHANGES and (changed := self.cursor.fetchone()):
                self._rows += changed[0]
                self.changed += changed[0]
        return self.cursor

    def node_ended(self) -> None:
        """Commit, where many rows are held."""
        if self._rows > self._rows_held and not self._failed:
            with self._losing_what_is_held():
                self.cursor.execute("COMMIT")
                self._begin()

    def finish(self, *, keep: bool) -> None:
        """Commit what is left, where it is to be kept and no statement failed."""
        if keep and not self._failed:
            self.cursor.execute("COMMIT")
        else:
            # A database that a full disk has broken does not take it.
            with suppress(Exception):
                self.cursor.execute("ROLLBACK")

    def _begin(self) -> None:
        self._rows = 0
        self.cursor.execute("BEGIN")

    @contextmanager
    def _losing_what_is_held(self) -> Iterator[None]:
        """What was made since the last commit is lost by a failure; those who read on see the lake as it was there."""
        try:
            yield
        except Exception:
            self._failed = True
            # Ctrl-C stops this thread only. Without a word the others go on, and a rollback waits until they are done.
            self.cursor.interrupt()
            # A database that a full disk has broken takes neither; the failure that is told is the first.
            with suppress(Exception):
                self.cursor.execute("ROLLBACK")
            with suppress(Exception):
                self._begin()
            raise
