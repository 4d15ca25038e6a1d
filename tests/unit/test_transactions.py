"""What the nodes of a build make on one connection is committed together, and large tables at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from gpulake.dbt.transactions import FewCommits

_LARGE = 100_001


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{tmp_path / 'lake.duckdb'}' AS lake")
        connection.execute("CREATE TABLE lake.begun AS SELECT 1 AS one")
        yield connection


@pytest.fixture
def commits(lake: duckdb.DuckDBPyConnection) -> FewCommits:
    return FewCommits(lake.cursor())


def _node(commits: FewCommits, *statements: str) -> None:
    """As a model is run."""
    for statement in statements:
        commits.execute(statement)
    commits.node_ended()


def _committed(lake: duckdb.DuckDBPyConnection) -> set[str]:
    """What another connection sees."""
    found = lake.cursor().execute("SELECT table_name FROM duckdb_tables() WHERE database_name = 'lake'").fetchall()
    return {name for (name,) in found} - {"begun"}


def test_small_tables_are_committed_together_at_the_end(lake: duckdb.DuckDBPyConnection, commits: FewCommits) -> None:
    _node(commits, "CREATE TABLE lake.one AS SELECT 1 AS n", "INSERT INTO lake.one VALUES (2)")
    _node(commits, "CREATE TABLE lake.two AS FROM lake.one")
    assert _committed(lake) == set()
    commits.finish(keep=True)
    assert lake.execute("FROM lake.two ORDER BY n").fetchall() == [(1,), (2,)]


@pytest.mark.parametrize(
    "statement", [f"CREATE TABLE lake.many AS FROM range({_LARGE})", f"INSERT INTO lake.begun FROM range({_LARGE})"]
)
def test_many_rows_are_committed_when_their_node_ends(
    lake: duckdb.DuckDBPyConnection, commits: FewCommits, statement: str
) -> None:
    _node(commits, statement)
    (name,) = _committed(lake) or {"begun"}
    ((held,),) = lake.cursor().execute(f"SELECT count(*) FROM lake.{name}").fetchall()
    assert held >= _LARGE
    _node(commits, "CREATE TABLE lake.few AS SELECT 1 AS n")
    assert "few" not in _committed(lake)


def test_many_nodes_of_few_rows_are_committed_in_between(lake: duckdb.DuckDBPyConnection, commits: FewCommits) -> None:
    _node(commits, "CREATE TABLE lake.half AS FROM range(60_000)")
    assert _committed(lake) == set()
    _node(commits, "CREATE TABLE lake.other_half AS FROM range(60_000)")
    assert _committed(lake) == {"half", "other_half"}


def test_a_failed_statement_loses_what_was_not_committed(lake: duckdb.DuckDBPyConnection, commits: FewCommits) -> None:
    _node(commits, f"CREATE TABLE lake.kept AS FROM range({_LARGE})")
    _node(commits, "CREATE TABLE lake.lost AS SELECT 1 AS n")
    with pytest.raises(duckdb.ConversionException):
        _node(commits, "CREATE TABLE lake.never AS SELECT CAST('word' AS INTEGER) AS n")
    # Tests of a pinned version go on after one that cannot run.
    assert commits.execute("SELECT count(*) FROM lake.kept").fetchall() == [(_LARGE,)]
    # What is made after the failure stands on nothing.
    _node(commits, f"CREATE TABLE lake.after AS FROM range({_LARGE})")
    commits.finish(keep=True)
    assert _committed(lake) == {"kept"}


def test_what_is_not_to_be_kept_is_not(lake: duckdb.DuckDBPyConnection, commits: FewCommits) -> None:
    _node(commits, "CREATE TABLE lake.half AS SELECT 1 AS n")
    commits.finish(keep=False)
    assert _committed(lake) == set()


def test_a_commit_that_fails_is_a_failed_statement(lake: duckdb.DuckDBPyConnection, commits: FewCommits) -> None:
    """As when the disk is full: nothing of it is there, and nothing after it is committed by itself."""
    _node(commits, "CREATE TABLE lake.one (n INTEGER PRIMARY KEY)", f"INSERT INTO lake.one FROM range({_LARGE})")
    commits.execute("INSERT INTO lake.one VALUES (-1)")
    lake.cursor().execute("INSERT INTO lake.one VALUES (-1)")
    with pytest.raises(duckdb.Error, match="commit"):
        _node(commits, f"INSERT INTO lake.one FROM range({_LARGE}, {3 * _LARGE})")
    _node(commits, "CREATE TABLE lake.after AS SELECT 1 AS n")
    commits.finish(keep=True)
    assert _committed(lake) == {"one"}
    assert lake.execute("SELECT count(*) FROM lake.one").fetchall() == [(_LARGE + 1,)]


def test_a_query_gives_its_own_first_row(commits: FewCommits) -> None:
    found = commits.execute('SELECT 5 AS "Count"')
    assert (found.description[0][0], found.fetchall()) == ("Count", [(5,)])
