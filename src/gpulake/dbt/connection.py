"""One connection for all nodes of a dbt command, with few commits.

dbt gives each node a connection and a commit of its own. On DuckLake a commit costs some 30 ms, and as much again for
reading the catalog after it: more than most of our models. Here the nodes share one connection, and what they made is
committed together. A table that is not committed yet counts as empty when DuckDB plans a join, so the many rows of a
large one are committed as soon as its node ends: then a plan is off by a hundred thousand rows at the most.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any  # dbt has no types

from dbt.adapters.duckdb import environments
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.adapters.duckdb.environments.local import LocalEnvironment

_CHANGES = ("create", "insert", "delete")
"""Statements that say how many rows they changed. They begin so: the project asks for no comments in front."""


class SharedConnection(LocalEnvironment):
    """DuckDB for dbt with a single connection, always inside a transaction.

    `rows_held`: how many rows written, or deleted, may wait for the next commit. After a statement that fails nothing
    is committed any more; what only reads goes on.
    """

    def __init__(self, credentials: Any, *, rows_held: int = 100_000) -> None:
        super().__init__(credentials)
        self.conn: Any
        self._cursor: Any = None
        self._rows_held = rows_held
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
        try:
            if sql == "COMMIT":
                if self._rows > self._rows_held and not self._failed:
                    self._cursor.execute("COMMIT")
                    self._begin()
                return self._cursor
            self._cursor.execute(sql, bindings)
            if sql.lstrip()[:6].lower() in _CHANGES and (changed := self._cursor.fetchone()):
                self._rows += changed[0]
        except Exception:
            # What was made since the last commit is lost; those who read on see the lake as it was there.
            self._failed = True
            # A database that a full disk has broken takes neither; the failure that is told is the first.
            with suppress(Exception):
                self._cursor.execute("ROLLBACK")
            with suppress(Exception):
                self._begin()
            raise
        return self._cursor

    def finish(self, *, keep: bool) -> None:
        """Commit what is left, where it is to be kept and no statement failed, and close."""
        with self.lock:
            try:
                if self._cursor is not None and keep and not self._failed:
                    self._cursor.execute("COMMIT")
            finally:
                self._cursor = None
                self.close()  # type: ignore[no-untyped-call]

    def _begin(self) -> None:
        self._rows = 0
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

    def create(creds: Any) -> LocalEnvironment:
        if shared:
            return SharedConnection(creds, rows_held=int(os.environ["GPULAKE_ROWS_HELD"]))
        return LocalEnvironment(creds)

    environments.create = create


def close(*, keep: bool) -> None:
    """Close DuckDB: dbt would keep the lake attached until its next command. `keep`: commit what a shared connection holds."""
    manager: Any = DuckDBConnectionManager  # dbt-duckdb offers no other way to close
    with manager._LOCK:  # noqa: SLF001
        environment, manager._ENV = manager._ENV, None  # noqa: SLF001
        if isinstance(environment, SharedConnection):
            environment.finish(keep=keep)
        elif environment is not None:
            environment.close()
