"""What dbt wrote down is run as dbt would run it: few commits, the first failure ends a build, every test is run."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from threading import Timer

import duckdb
import pytest

from gpulake.dbt import script
from gpulake.dbt.asked import Asked
from gpulake.dbt.results import CompiledModel
from gpulake.dbt.script import Script, Step


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(tmp_path / "lake.duckdb")) as lake:
        lake.execute("CREATE TABLE days AS SELECT unnest([1, 2, 3]) AS day")
        lake.execute("CREATE TABLE made (day INTEGER)")
        yield lake


def _model(*statements: str) -> Step:
    return Step("model", "model", statements)


def _test(rows: str, **settings: object) -> Step:
    counted = f"SELECT count(*), count(*) != 0, count(*) != 0 FROM ({rows})"
    return Step("test", "test", (counted,), failing=rows, **settings)  # type: ignore[arg-type]


def _asked(query: str) -> str:
    return f"/*asked first*/ {query} /*:asked first*/"


def _made(connection: duckdb.DuckDBPyConnection) -> list[int | None]:
    return [day for (day,) in connection.sql("FROM made ORDER BY day").fetchall()]


def test_what_is_asked_first_stands_in_the_statement_as_its_values(connection: duckdb.DuckDBPyConnection) -> None:
    within = Asked(connection).within
    assert within(
        f"SELECT 1 WHERE 1 IN ({_asked('SELECT day FROM days ORDER BY day')}) OR 5 = ({_asked('SELECT 5')})"
    ) == (
        "SELECT 1 WHERE 1 IN (1, 2, 3) OR 5 = (5)",
        [],
    )
    # A question inside a question is asked before it.
    inner = _asked("SELECT max(day) FROM days")
    assert within(f"SELECT ({_asked(f'SELECT {inner} + 1')})") == ("SELECT (4)", [])


def test_only_what_is_our_own_is_written_into_a_statement(connection: duckdb.DuckDBPyConnection) -> None:
    """A text that people chose is bound, whatever it looks like."""
    landing, people = "0123456789abcdef" * 4, ["it's", "0" * 63, "') OR (true", "A" * 64]
    connection.execute("CREATE TABLE told (what VARCHAR)")
    connection.executemany("INSERT INTO told VALUES (?)", [[text] for text in [*people, landing]])
    for query, written, bound in (
        ("SELECT what FROM told", f"?, ?, ?, ?, '{landing}'", people),
        ("SELECT DATE '0001-01-01'", "date '0001-01-01'", []),
        ("SELECT 18446744073709551615::UBIGINT", "18446744073709551615", []),
        ("SELECT -7", "-7", []),
        ("SELECT 1.5::DOUBLE", "?", [1.5]),
        ("SELECT true", "?", [True]),
        ("SELECT NULL", "?", [None]),
    ):
        sql, values = Asked(connection).within(f"SELECT * FROM ({query}) AS t (v) WHERE v IN ({_asked(query)})")
        assert (f"WHERE v IN ({written})", bound) == (sql[sql.index("WHERE") :], values)
        assert connection.execute(sql, values).fetchall() == [
            row for row in connection.execute(query).fetchall() if row != (None,)
        ]


def test_no_value_is_no_null(connection: duckdb.DuckDBPyConnection) -> None:
    """Nothing is not in an empty list, and unknown in one that holds a null."""
    sql, values = Asked(connection).within(f"SELECT 1 NOT IN ({_asked('SELECT day FROM days WHERE day > 3')})")
    assert connection.execute(sql, values).fetchall() == [(True,)]


def test_many_values_are_left_where_they_are(connection: duckdb.DuckDBPyConnection) -> None:
    within = Asked(connection).within
    query = f"SELECT unnest(range({_asked('SELECT 501')}))"
    assert within(f"SELECT 7 IN ({_asked(query)})") == ("SELECT 7 IN ( SELECT unnest(range(501)) )", [])


def test_a_question_is_asked_once_in_a_build(connection: duckdb.DuckDBPyConnection) -> None:
    """The first statement changes the answer, and the second still has the one of before."""
    insert = f"INSERT INTO made SELECT {_asked('SELECT count(*) FROM days')}"
    done = script.build(connection, Script((_model(insert, "DELETE FROM days"), _model(insert))), rows_held=0)
    assert done.ok
    assert _made(connection) == [3, 3]


def test_a_failure_ends_a_build_and_keeps_nothing(connection: duckdb.DuckDBPyConnection) -> None:
    steps = Script(
        (
            _model("INSERT INTO made FROM days"),
            _model("INSERT INTO made SELECT CAST('word' AS INTEGER)"),
            _model("INSERT INTO made VALUES (9)"),
        )
    )
    done = script.build(connection, steps, rows_held=100)
    assert [node.status for node in done.nodes] == ["success", "error"]
    assert "Could not convert string 'word'" in done.why()
    assert _made(connection) == []
    # Where each model's rows are many, what went before stays, as a build that is cut off leaves it.
    assert not script.build(connection, steps, rows_held=0).ok
    assert _made(connection) == [1, 2, 3]


def test_a_full_build_makes_anew_what_stands(tmp_path: Path) -> None:
    """Whatever it was: a table that has become a view, too. What has no model any more stays."""
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{tmp_path / 'lake.duckdb'}' AS lake")
        for statement in ("TABLE one AS SELECT 1 AS n", "TABLE two AS SELECT 1 AS n", "TABLE old AS SELECT 1 AS n"):
            connection.execute(f"CREATE {statement.replace('TABLE ', 'TABLE lake.')}")
        steps = (
            Step("one", "model", ("CREATE TABLE lake.main.one AS SELECT 5 AS n",), makes='"lake"."main"."one"'),
            Step("two", "model", ("CREATE VIEW lake.main.two AS FROM lake.main.one",), makes='"lake"."main"."two"'),
            Step("new", "model", ("CREATE VIEW lake.main.new AS FROM lake.main.two",), makes='"lake"."main"."new"'),
        )
        for _ in range(2):
            done = script.build(connection, Script(steps), rows_held=0)
            assert done.ok, done.why()
            found = connection.execute("SELECT * FROM lake.new, lake.old").fetchall()
            assert found == [(5, 1)]


def test_ctrl_c_is_no_failure_of_a_model(connection: duckdb.DuckDBPyConnection) -> None:
    """It ends the command, as the command line's own exit code for it, at once, and nothing of the build is kept.

    Every thread has a part of work that would last for hours: to wait for one of them would be to hang.
    """
    connection.execute("SET threads = 3")
    connection.execute("CREATE TABLE many AS SELECT range AS one FROM range(500_000)")  # more than one thread's part
    endless = "INSERT INTO made SELECT sum(hash(many.one + other.range)) % 9 FROM many, range(100_000_000) AS other"
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    try:
        with pytest.raises((RuntimeError, KeyboardInterrupt)):
            script.build(connection, Script((_model("INSERT INTO made FROM days"), _model(endless))), rows_held=100)
    finally:
        signal.signal(signal.SIGINT, before)
    assert _made(connection) == []


def test_each_test_is_run_whatever_became_of_the_others(connection: duckdb.DuckDBPyConnection) -> None:
    steps = (
        _test("SELECT * FROM days WHERE day > 1"),
        _test("SELECT * FROM nowhere"),
        _test("SELECT * FROM days WHERE day > 2", warns=True),
        _test("SELECT * FROM days WHERE day > 3"),
    )
    done = script.test(connection, Script(steps), idle=None, standing=None)
    assert [node.status for node in done.nodes] == ["fail", "error", "warn", "pass"]
    assert not done.ok
    assert done.nodes[0].message == "day = 2; day = 3"
    assert "nowhere does not exist" in done.nodes[1].message


def test_a_script_is_kept_for_its_request_and_project(tmp_path: Path) -> None:
    explained = CompiledModel("made", "models/made.sql", ("days",), ("",), "FROM days")
    steps = Script((_model("INSERT INTO made FROM days"), _test("SELECT 1", warns=True)), (explained,))
    file = script.file_of(tmp_path, digest="one", request={"landed": ["a"]})
    assert script.kept(file) is None
    script.keep(steps, file)
    assert script.kept(file) == steps
    others = {
        script.file_of(tmp_path, digest="two", request={"landed": ["a"]}),
        script.file_of(tmp_path, digest="one", request={"landed": ["b"]}),
    }
    assert len({file, *others}) == 3
    file.write_text(file.read_text()[:-9])
    assert script.kept(file) is None


def test_only_the_scripts_used_last_are_kept(tmp_path: Path) -> None:
    files = [tmp_path / f"{n:03}.json" for n in range(script._KEPT + 1)]
    for file in files:
        script.keep(Script((_model("SELECT 1"),)), file)
        script.kept(files[0])
    kept = sorted(tmp_path.glob("*.json"))
    assert len(kept) == script._KEPT
    assert files[0] in kept
    assert files[1] not in kept
