"""DuckDB as dbt gets it here: one connection for all nodes of a command; or one that only notes what they would do."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any  # dbt has no types

from dbt.adapters.duckdb import environments
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.adapters.duckdb.environments.local import LocalEnvironment
from dbt.adapters.factory import get_adapter_by_type

from gpulake.dbt.asked import Asked
from gpulake.dbt.transactions import ROWS_HELD, FewCommits

_NOTED = ("create", "insert", "delete", "set")
"""How statements of a model begin that change something."""
_NOTHING_FAILED = "SELECT 0 AS failures, false AS should_warn, false AS should_error"


class SharedConnection(LocalEnvironment):
    """DuckDB for dbt with a single connection, always inside a transaction."""

    def __init__(self, credentials: Any, *, rows_held: int = ROWS_HELD) -> None:
        super().__init__(credentials)
        self.conn: Any
        self._commits: FewCommits | None = None
        self._asked: Asked | None = None
        self._rows_held = rows_held

    def handle(self) -> Any:
        """What dbt takes for a connection of its own."""
        with self.lock:
            if self._commits is None:
                self.conn = self.initialize_db(self.creds, self._plugins)
                cursor = self.initialize_cursor(self.creds, self.conn.cursor(), self._plugins, {})
                self._commits, self._asked = FewCommits(cursor, rows_held=self._rows_held), Asked(cursor)
            return _Handle(self)

    def execute(self, sql: str, bindings: Any = None) -> Any:
        """One statement. Returns DuckDB's cursor."""
        assert self._commits is not None
        assert self._asked is not None
        if sql == "COMMIT":
            self._commits.node_ended()
        elif sql != "BEGIN":
            asking, values = self._asked.within(sql)
            self._commits.execute(asking, values or bindings)
        return self.cursor

    @property
    def cursor(self) -> Any:
        """DuckDB's."""
        assert self._commits is not None
        return self._commits.cursor

    def finish(self, *, keep: bool) -> None:
        """Commit what is left, where it is to be kept and no statement failed, and close."""
        with self.lock:
            try:
                if self._commits is not None:
                    self._commits.finish(keep=keep)
            finally:
                self._commits = None
                self.close()  # type: ignore[no-untyped-call]


class Scribe(SharedConnection):
    """Notes what each node would change, or ask as a test, and does none of it. What dbt asks of the catalog is answered.

    `noted`: the statements of each node, in the order in which dbt ran them.
    """

    def __init__(self, credentials: Any, noted: dict[str, list[str]]) -> None:
        super().__init__(credentials)
        self.noted = noted

    def execute(self, sql: str, bindings: Any = None) -> Any:
        """One statement, noted or done. Returns a cursor that answers as a change, or a passed test, would."""
        adapter: Any = get_adapter_by_type("duckdb")  # type: ignore[no-untyped-call]
        node = str(adapter.connections.get_thread_connection().name)
        is_change = node.startswith("model.") and sql.lstrip().lower().startswith(_NOTED)
        is_test = node.startswith("test.") and "should_error" in sql
        if sql in ("BEGIN", "COMMIT"):
            return self.cursor
        if is_change or is_test:
            self.noted.setdefault(node, []).append(sql)
            return super().execute(_NOTHING_FAILED)
        return super().execute(sql, bindings)


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
        return getattr(self._shared.cursor, name)


def own_connections() -> None:
    """Give each node of the next dbt command a connection of its own, as dbt does."""
    _make(LocalEnvironment)


def share() -> None:
    """Give the nodes of the next dbt command one connection, with few commits."""
    _make(lambda credentials: SharedConnection(credentials, rows_held=int(os.environ["GPULAKE_ROWS_HELD"])))


def note() -> dict[str, list[str]]:
    """Have the next dbt command only noted: what this returns is filled as it goes."""
    noted: dict[str, list[str]] = {}
    _make(lambda credentials: Scribe(credentials, noted))
    return noted


def _make(kind: Callable[[Any], LocalEnvironment]) -> None:
    offered: Any = environments  # dbt-duckdb offers no other way to have one of another kind
    offered.create = kind


def close(*, keep: bool) -> None:
    """Close DuckDB: dbt would keep the lake attached until its next command. `keep`: commit what a shared connection holds."""
    manager: Any = DuckDBConnectionManager  # dbt-duckdb offers no other way to close
    with manager._LOCK:  # noqa: SLF001
        environment, manager._ENV = manager._ENV, None  # noqa: SLF001
        if isinstance(environment, SharedConnection):
            environment.finish(keep=keep)
        elif environment is not None:
            environment.close()
