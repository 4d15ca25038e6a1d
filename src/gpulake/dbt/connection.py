"""DuckDB as dbt gets it here: as it makes it itself, or one that only notes what each node would do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any  # dbt has no types

from dbt.adapters.duckdb import environments
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.adapters.duckdb.environments.local import LocalEnvironment
from dbt.adapters.factory import get_adapter_by_type

_MAKES = ("model.", "seed.")
_ASKS = ("select", "with", "describe")
"""How the statements of a model or seed begin that change nothing."""
_NOTHING_FAILED = "SELECT 0 AS failures, false AS should_warn, false AS should_error"


class Scribe(LocalEnvironment):
    """Notes what each node would change, or ask as a test, and does none of it. What dbt asks of the catalog is answered.

    `noted`: the statements of each node, in the order in which dbt ran them. What a node would drop is not noted: that is a
    matter of the lake, not of the project.
    """

    def __init__(self, credentials: Any, noted: dict[str, list[str]]) -> None:
        super().__init__(credentials)
        self.conn: Any
        self.noted = noted
        self._cursor: Any = None

    def handle(self) -> Any:
        """What dbt takes for a connection of its own."""
        with self.lock:
            if self._cursor is None:
                self.conn = self.initialize_db(self.creds, self._plugins)
                self._cursor = self.initialize_cursor(self.creds, self.conn.cursor(), self._plugins, {})
            return _Handle(self)

    def execute(self, sql: str, bindings: Any = None) -> Any:
        """One statement, noted or done. Returns a cursor that answers as a change, or a passed test, would."""
        adapter: Any = get_adapter_by_type("duckdb")  # type: ignore[no-untyped-call]
        node = str(adapter.connections.get_thread_connection().name)
        begins = sql.lstrip().lower()
        is_change = node.startswith(_MAKES) and not begins.startswith(_ASKS)
        is_test = node.startswith("test.") and "should_error" in sql
        if sql in ("BEGIN", "COMMIT"):
            return self._cursor
        if is_change or is_test:
            if not begins.startswith("drop"):
                self.noted.setdefault(node, []).append(sql)
            return self._cursor.execute(_NOTHING_FAILED)
        return self._cursor.execute(sql, bindings)

    @property
    def cursor(self) -> Any:
        """DuckDB's."""
        return self._cursor


class _Handle:
    """A connection and its cursor in one, as dbt uses them."""

    def __init__(self, scribe: Scribe) -> None:
        self._scribe = scribe

    def cursor(self) -> Any:
        return self

    def execute(self, sql: str, bindings: Any = None) -> Any:
        self._scribe.execute(sql, bindings)
        return self

    def rollback(self) -> None:
        """dbt asks for it after a failed statement, and after a node that only read."""

    def close(self) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        return getattr(self._scribe.cursor, name)


def own_connections() -> None:
    """Give each node of the next dbt command a connection of its own, as dbt does."""
    _make(LocalEnvironment)


def note() -> dict[str, list[str]]:
    """Have the next dbt command only noted: what this returns is filled as it goes."""
    noted: dict[str, list[str]] = {}
    _make(lambda credentials: Scribe(credentials, noted))
    return noted


def _make(kind: Callable[[Any], LocalEnvironment]) -> None:
    offered: Any = environments  # dbt-duckdb offers no other way to have one of another kind
    offered.create = kind


def close() -> None:
    """Close DuckDB: dbt would keep the lake attached until its next command."""
    manager: Any = DuckDBConnectionManager  # dbt-duckdb offers no other way to close
    with manager._LOCK:  # noqa: SLF001
        environment, manager._ENV = manager._ENV, None  # noqa: SLF001
        if environment is not None:
            environment.close()
