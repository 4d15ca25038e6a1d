"""What dbt's nodes make on one connection is committed together, and large tables at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from dbt.adapters.duckdb.credentials import DuckDBCredentials

from gpulake.dbt.connection import SharedConnection

_LARGE = 100_001


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[SharedConnection]:
    environment = SharedConnection(DuckDBCredentials(path=":memory:", schema="main"))
    environment.handle().execute(f"ATTACH '{tmp_path / 'lake.duckdb'}' AS lake")
    # A statement that changes the catalog of all databases is its own transaction's only one.
    environment.execute("CREATE TABLE lake.begun AS SELECT 1 AS one")
    yield environment
    environment.finish(keep=False)


def _node(shared: SharedConnection, *statements: str) -> None:
    """As dbt runs a model: a connection of its own, a transaction, and the connection's end."""
    connection = shared.handle()
    connection.execute("BEGIN")
    for statement in statements:
        connection.cursor().execute(statement)
    connection.execute("COMMIT")
    connection.close()


def _committed(shared: SharedConnection) -> set[str]:
    """What another connection sees."""
    conn: Any = shared.conn
    found = conn.cursor().execute("SELECT table_name FROM duckdb_tables() WHERE database_name = 'lake'").fetchall()
    return {name for (name,) in found}


def test_small_tables_are_committed_together_at_the_end(shared: SharedConnection, tmp_path: Path) -> None:
    _node(shared, "CREATE TABLE lake.one AS SELECT 1 AS n", "INSERT INTO lake.one VALUES (2)")
    _node(shared, "CREATE TABLE lake.two AS FROM lake.one")
    assert _committed(shared) == set()
    shared.finish(keep=True)
    with duckdb.connect(str(tmp_path / "lake.duckdb")) as lake:
        assert lake.sql("FROM two ORDER BY n").fetchall() == [(1,), (2,)]


@pytest.mark.parametrize(
    "statement", [f"CREATE TABLE lake.many AS FROM range({_LARGE})", f"INSERT INTO lake.begun FROM range({_LARGE})"]
)
def test_many_rows_are_committed_when_their_node_ends(shared: SharedConnection, statement: str) -> None:
    _node(shared, statement)
    assert "begun" in _committed(shared)
    _node(shared, "CREATE TABLE lake.few AS SELECT 1 AS n")
    assert "few" not in _committed(shared)


def test_many_nodes_of_few_rows_are_committed_in_between(shared: SharedConnection) -> None:
    _node(shared, "CREATE TABLE lake.half AS FROM range(60_000)")
    assert "half" not in _committed(shared)
    _node(shared, "CREATE TABLE lake.other_half AS FROM range(60_000)")
    assert {"half", "other_half"} <= _committed(shared)


def test_a_failed_statement_loses_what_was_not_committed(shared: SharedConnection, tmp_path: Path) -> None:
    _node(shared, f"CREATE TABLE lake.kept AS FROM range({_LARGE})")
    _node(shared, "CREATE TABLE lake.lost AS SELECT 1 AS n")
    with pytest.raises(duckdb.ConversionException):
        _node(shared, "CREATE TABLE lake.never AS SELECT CAST('word' AS INTEGER) AS n")
    # Tests of a pinned version go on after one that cannot run.
    assert shared.handle().execute("SELECT count(*) FROM lake.kept").fetchall() == [(_LARGE,)]
    # dbt has begun one more node when it hears of the failure: what that makes stands on nothing.
    _node(shared, f"CREATE TABLE lake.after AS FROM range({_LARGE})")
    shared.finish(keep=True)
    with duckdb.connect(str(tmp_path / "lake.duckdb")) as lake:
        assert {name for (name,) in lake.sql("SELECT table_name FROM duckdb_tables()").fetchall()} == {"begun", "kept"}


def test_what_is_not_to_be_kept_is_not(shared: SharedConnection, tmp_path: Path) -> None:
    """A macro that fails is no failed statement: dbt knows of it, the connection does not."""
    _node(shared, "CREATE TABLE lake.half AS SELECT 1 AS n")
    shared.finish(keep=False)
    with duckdb.connect(str(tmp_path / "lake.duckdb")) as lake:
        assert lake.sql("SELECT table_name FROM duckdb_tables()").fetchall() == []


def test_a_commit_that_fails_is_a_failed_statement(shared: SharedConnection, tmp_path: Path) -> None:
    """As when the disk is full: nothing of it is there, and nothing after it is committed by itself."""
    _node(shared, "CREATE TABLE lake.one (n INTEGER PRIMARY KEY)", f"INSERT INTO lake.one FROM range({_LARGE})")
    conn: Any = shared.conn
    shared.handle().execute("INSERT INTO lake.one VALUES (-1)")
    conn.cursor().execute("INSERT INTO lake.one VALUES (-1)")
    with pytest.raises(duckdb.Error, match="commit"):
        _node(shared, f"INSERT INTO lake.one FROM range({_LARGE}, {3 * _LARGE})")
    _node(shared, "CREATE TABLE lake.after AS SELECT 1 AS n")
    assert "after" not in _committed(shared)
    shared.finish(keep=True)
    with duckdb.connect(str(tmp_path / "lake.duckdb")) as lake:
        assert lake.sql("SELECT count(*) FROM one").fetchall() == [(_LARGE + 1,)]


def test_a_query_gives_its_own_first_row(shared: SharedConnection) -> None:
    found = shared.handle().cursor().execute('SELECT 5 AS "Count"')
    assert (found.description[0][0], found.fetchall()) == ("Count", [(5,)])
