"""One connection for all nodes of a dbt command, with few commits.

dbt gives each node a connection and a commit of its own. On DuckLake a commit costs some 30 ms, and as much again for
reading the catalog after it: more than most of our models. Here the nodes share one connection, and what they made is
committed together. A table that is not committed yet counts as empty when DuckDB plans a join, so the many rows of a
large one are committed as soon as its node ends: then a plan is off by a hundred thousand rows at the most.
"""

from __future__ import annotations

from typing import Any  # dbt has no types

from dbt.adapters.duckdb import environments
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.adapters.duckdb.environments.local import LocalEnvironment

_CHANGES = {"create", "insert", "delete"}
"""Statements that say how many rows they changed. They begin so: the project asks for no comments in front."""
_ROWS_HELD = 100_000
"""Rows written, or deleted, that may wait for the next commit."""


class SharedConnection(LocalEnvironment):
    """DuckDB for dbt with a single connection, always inside a transaction. A failed statement spoils the command."""

    def __init__(self, credentials: Any) -> None:
        super().__init__(credentials)
        self.conn: Any
        self._cursor: Any = None
        self._rows = 0
        self._failed = False

    def handle(self) -> Any:
        """What dbt takes for a connection of its own."""
        with self.lock:
            if self._cursor is None:
                self.conn = self.initialize_db(self.creds, self._plugins)
                self._cursor = self.initialize_cursor(self.creds, self.conn.cursor(), self._plugins, {})
                self._cursor.execute("BEGIN")
            return _Handle(self)

    def execute(self, sql: str, bindings: Any = None) -> Any:
        """One statement. Returns DuckDB's cursor."""
        if sql == "BEGIN":
            return self._cursor
        if sql == "COMMIT":
            if self._rows > _ROWS_HELD:
                self._end("COMMIT")
            return self._cursor
        try:
            self._cursor.execute(sql, bindings)
        except Exception:
            # What was made since the last commit is lost; the nodes that follow see the lake as it was there.
            self._failed = True
            self._end("ROLLBACK")
            raise
        if sql.split(maxsplit=1)[0].lower() in _CHANGES and (changed := self._cursor.fetchone()):
            self._rows += changed[0]
        return self._cursor

    def finish(self) -> None:
        """Commit what is left, unless a statement failed, and close."""
        with self.lock:
            if self._cursor is not None and not self._failed:
                self._cursor.execute("COMMIT")
            self._cursor = None
            self.close()  # type: ignore[no-untyped-call]

    def _end(self, how: str) -> None:
        self._rows = 0
        self._cursor.execute(how)
        self._cursor.execute("BEGIN")


class _Handle:
    """A connection and its cursor in one, as dbt uses them: neither ends the shared transaction."""

    def __init__(self, shared: SharedConnection) -> None:
        self._shared = shared

    def cursor(self) -> Any:
        return self

    def execute(self, sql: str, bindings: Any = None) -> Any:
        self._shared.execute(sql, bindings)
        return self

    def rollback(self) -> None:
        """dbt asks for it after a failed statement, whose transaction has ended, and after a node that only read."""

    def close(self) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        return getattr(self._shared._cursor, name)  # noqa: SLF001


def share(*, shared: bool) -> None:
    """Give the next dbt command one connection for all its nodes, or one for each."""
    environments.create = SharedConnection if shared else LocalEnvironment  # type: ignore[assignment]


def close() -> None:
    """Commit what a shared connection holds and close DuckDB: dbt would keep the lake attached until its next command."""
    manager: Any = DuckDBConnectionManager  # dbt-duckdb offers no other way to close
    with manager._LOCK:  # noqa: SLF001
        environment, manager._ENV = manager._ENV, None  # noqa: SLF001
        if isinstance(environment, SharedConnection):
            environment.finish()
        elif environment is not None:
            environment.close()
