"""What is left out of a script would have done nothing, and what is read from a copy is the same: by plans, and by running both."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpulake.dbt import script
from gpulake.dbt.idle import Idle, is_met, needs_of
from gpulake.dbt.near import Near
from gpulake.dbt.script import Script, Step
from gpulake.dbt.standing import Standing, look
from gpulake.lake import Connection, Layout, lent
from gpulake.lake.connection import attach, connect

TABLES = ("a", "b", "c")


@pytest.fixture(scope="module")
def shapes() -> Iterator[Connection]:
    with duckdb.connect(config={"disabled_optimizers": "statistics_propagation"}) as made:
        made.execute("ATTACH ':memory:' AS lake")
        for name in TABLES:
            made.execute(f"CREATE TABLE lake.{name} (i INTEGER, j INTEGER, l INTEGER[])")
        yield made


QUERIES = {
    # By hand: the sets of tables of which one must be empty, each set whole.
    "SELECT i FROM lake.a": ["a"],
    "SELECT i FROM lake.a WHERE false": [""],
    "SELECT count(*) AS n FROM lake.a": [],
    "SELECT count(*) AS n FROM lake.a HAVING count(*) > 0": ["a"],
    "SELECT count(*) AS n FROM lake.a HAVING max(i) IS NULL AND count(*) > 0": ["a"],
    "SELECT count(*) AS n FROM lake.a HAVING max(i) IS NULL OR count(*) > 0": [],
    "SELECT i, count(*) AS n FROM lake.a GROUP BY i": ["a"],
    "SELECT i, count(*) AS n FROM lake.a GROUP BY ROLLUP (i)": [],
    "SELECT i, count(*) AS n FROM lake.a GROUP BY GROUPING SETS ((), (i))": [],
    "SELECT a.i FROM lake.a INNER JOIN lake.b USING (i)": ["a", "b"],
    "SELECT a.i FROM lake.a LEFT JOIN lake.b USING (i)": ["a"],
    "SELECT b.j FROM lake.a RIGHT JOIN lake.b USING (i)": ["b"],
    "SELECT i FROM lake.a FULL JOIN lake.b USING (i)": ["ab"],
    "SELECT a.i FROM lake.a, lake.b": ["a", "b"],
    "SELECT a.i FROM lake.a LEFT JOIN lake.b ON a.i < b.i AND a.j <> b.j": ["a"],
    "SELECT i FROM lake.a UNION ALL SELECT i FROM lake.b": ["ab"],
    "SELECT i FROM lake.a UNION SELECT i FROM lake.b": ["ab"],
    "SELECT i FROM lake.a EXCEPT SELECT i FROM lake.b": ["a"],
    "SELECT i FROM lake.a INTERSECT SELECT i FROM lake.b": ["a", "b"],
    "SELECT i FROM lake.a WHERE i IN (SELECT i FROM lake.b)": ["a", "b"],
    "SELECT i FROM lake.a WHERE i NOT IN (SELECT i FROM lake.b)": ["a"],
    "SELECT i FROM lake.a WHERE NOT EXISTS (FROM lake.b WHERE b.i = a.i)": ["a"],
    "SELECT i, (SELECT max(b.j) FROM lake.b WHERE b.i < a.i) AS m FROM lake.a": ["a"],
    "SELECT i, row_number() OVER (PARTITION BY j ORDER BY i) AS r FROM lake.a": ["a"],
    "SELECT unnest(l) AS u FROM lake.a": ["a"],
    "SELECT i FROM lake.a ORDER BY i LIMIT 2": ["a"],
    "SELECT x FROM (VALUES (1), (2)) AS t (x) LEFT JOIN lake.b ON b.i = x": [],
    "SELECT x FROM (VALUES (1), (2)) AS t (x) INNER JOIN lake.b ON b.i = x": ["b"],
    "WITH n AS (SELECT i, count(*) AS n FROM lake.a GROUP BY i) SELECT x.i FROM n AS x JOIN n AS y USING (i) "
    "LEFT JOIN lake.b USING (i)": ["a"],
    "WITH n AS (SELECT i FROM lake.a) SELECT i FROM n UNION ALL SELECT n.i FROM n JOIN lake.c USING (i)": ["a"],
    "WITH RECURSIVE r AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM r WHERE x < 3) SELECT x FROM r": [],
    "SELECT nothing FROM lake.nowhere": [],
}


@pytest.mark.parametrize("query", QUERIES, ids=range(len(QUERIES)))
def test_a_query_needs_the_tables_that_its_plan_says(shapes: Connection, query: str) -> None:
    needs = needs_of(shapes, query)
    for chosen in range(8):
        empty = {name for bit, name in enumerate(TABLES) if chosen >> bit & 1}
        expected = any(set(whole) <= empty for whole in QUERIES[query])
        assert is_met(needs, {f"main.{name}" for name in empty}) == expected, (empty, needs)
        if "nowhere" not in query:
            # And it is true: no row comes, whatever the others hold.
            shapes.execute("BEGIN")
            for name in set(TABLES) - empty:
                shapes.execute(f"INSERT INTO lake.{name} VALUES (1, 2, [3]), (2, 1, [1, 2]), (NULL, NULL, NULL)")
            rows = shapes.execute(query).fetchall()
            shapes.execute("ROLLBACK")
            assert not (expected and rows)


@given(st.sets(st.sampled_from(["a", "b", "c"]), max_size=2), st.data())
@settings(max_examples=15, deadline=None)
def test_what_is_left_out_changes_no_table(filled: set[str], data: st.DataObject) -> None:
    """The law: random models on random tables, each run whole, and with everything that may be left out or held near."""
    sources = ["main.a", "main.b", "main.c", "meta.touched"]
    steps = []
    for number in range(data.draw(st.integers(3, 8), label="models")):
        one, other = (data.draw(st.sampled_from(sources), label="reads") for _ in range(2))
        shape = data.draw(st.sampled_from(_SHAPES), label="shape")
        made = f"main.made{number}"
        name = _of_lake(made)
        steps.append(
            Step(
                f"made{number}",
                "model",
                (f"delete from {name}", f"insert into {name} by name ({shape.format(_of_lake(one), _of_lake(other))})"),
            )
        )
        sources.append(made)
    again = data.draw(st.booleans(), label="built before")
    whole, spared = (_built(Script(tuple(steps)), filled, spare=spare, again=again) for spare in (False, True))
    assert whole == spared


_SHAPES = (
    "select x.i from {0} as x",
    "select x.i from {0} as x inner join {1} as y on x.i = y.i",
    "select x.i from {0} as x left join {1} as y on x.i = y.i",
    "select cast(count(*) as integer) as i from {0}",
    "select i from {0} union all select i from {1}",
    "select i from {0} where i not in (select i from {1} where i is not null)",
    "with x as (select i from {0}), y as (select i from x) select y.i from y, {1} as z, x where x.i = y.i and z.i > 0",
)


def _of_lake(name: str) -> str:
    schema, _, table = name.partition(".")
    return f'"lake"."{schema}"."{table}"'


def _built(steps: Script, filled: set[str], *, spare: bool, again: bool) -> list[list[tuple[object, ...]]]:
    """What a script makes in a database that stands in for a lake: its tables' rows are counted as the catalog counts them."""
    with duckdb.connect(config={"disabled_optimizers": "statistics_propagation"}) as connection:
        connection.execute("ATTACH ':memory:' AS lake; CREATE SCHEMA lake.meta")
        tables = ["main.a", "main.b", "main.c", "meta.touched", *(f"main.{step.name}" for step in steps.steps)]
        for name in tables:
            connection.execute(f"CREATE TABLE lake.{name} (i INTEGER)")
        for name in filled:
            connection.execute(f"INSERT INTO lake.{name} VALUES (1), (2), (2), (NULL)")
        for _ in range(2 if again else 1):
            rows = {
                name: int(connection.execute(f"SELECT count(*) FROM lake.{name}").fetchall()[0][0]) for name in tables
            }
            standing = Standing(rows, {})
            done = script.build(
                connection,
                steps,
                rows_held=0,
                idle=Idle(connection, standing) if spare else None,
                standing=standing if spare else None,
            )
            assert done.ok, done.why()
        return [connection.execute(f"FROM lake.{name} ORDER BY ALL").fetchall() for name in tables]


def test_a_model_with_rows_is_no_idle_one(tmp_path: Path) -> None:
    """Its rows must go, though no row comes; and what may change another thing is run."""
    standing = Standing({"main.a": 0, "main.made": 0, "main.old": 2}, {})
    with duckdb.connect() as connection:
        connection.execute("ATTACH ':memory:' AS lake; CREATE TABLE lake.a (i INTEGER)")
        for name in ("made", "old"):
            connection.execute(f"CREATE TABLE lake.{name} (i INTEGER)")
        idle = Idle(connection, standing, beside=tmp_path / "script.json")
        insert = 'insert into "lake"."main"."{}" by name (select i from "lake"."main"."a")'
        assert idle.changes_nothing(('delete from "lake"."main"."made" where i = 1', insert.format("made")))
        assert idle.changes_nothing(("set threads = 1", insert.format("made")))
        assert not idle.changes_nothing(('delete from "lake"."main"."old"', insert.format("old")))
        assert not idle.changes_nothing(('create table "lake"."main"."more" as select 1', insert.format("made")))
        assert not idle.changes_nothing(('delete from "lake"."main"."made"',))
        # What has got rows is not empty any more, and who reads it is not idle.
        idle.ran(('insert into "lake"."main"."a" by name (select 1 as i)',))
        assert not idle.changes_nothing((insert.format("made"),))
        idle.keep()
    (kept,) = tmp_path.glob("*.needs")
    assert list(json.loads(kept.read_text()).values()) == ["main.a"]


def test_rows_are_those_of_a_version_of_a_lake(tmp_path: Path) -> None:
    """Deleted rows are none, and a version knows no later ones."""
    layout = Layout(tmp_path)
    with connect() as writer:
        attach(writer, layout.catalog, layout.data, alias="lake")
        writer.execute("CALL lake.set_option('data_inlining_row_limit', '0')")
        writer.execute("CREATE TABLE lake.filled (i INTEGER); CREATE TABLE lake.bare (i INTEGER)")
        writer.execute("INSERT INTO lake.filled VALUES (1), (2), (3)")
        writer.execute("CREATE VIEW lake.seen AS SELECT i FROM lake.filled")
        writer.execute("DELETE FROM lake.filled WHERE i = 2")
        ((version,),) = writer.execute("SELECT id FROM lake.current_snapshot()").fetchall()
        writer.execute("INSERT INTO lake.bare VALUES (1); DELETE FROM lake.filled")
    for asked, rows in ((None, {"main.filled": 0, "main.bare": 1}), (version, {"main.filled": 2, "main.bare": 0})):
        with lent(layout, version=asked, threads=1, memory="200MB", scratch=tmp_path) as connection:
            standing = look(connection, version=asked)
            assert standing.rows == rows
            assert Idle(connection, standing).gives_nothing('SELECT i FROM "lake"."main"."seen"') == (asked is None)


@pytest.mark.parametrize("kind", ["TABLE", "VIEW"])
def test_a_name_in_a_catalog_is_no_more_than_a_name(tmp_path: Path, kind: str) -> None:
    """A lake may come from somebody else: a statement in the name of a table would be run by whoever builds it."""
    layout, stolen = Layout(tmp_path), tmp_path / "stolen.csv"
    name = f"a AS SELECT 1 AS i; COPY (SELECT 1 AS i) TO '{stolen}'; --"
    with connect() as writer:
        attach(writer, layout.catalog, layout.data, alias="lake")
        writer.execute(f'CREATE {kind} lake."{name}" AS SELECT 1 AS i; CREATE TABLE lake.bare (i INTEGER)')
    with lent(layout, version=None, threads=1, memory="200MB", scratch=tmp_path) as connection:
        assert Idle(connection, look(connection)).gives_nothing('SELECT i FROM "lake"."main"."bare"')
    assert not stolen.exists()


def test_a_table_is_held_from_when_it_is_written_no_more() -> None:
    """And a view that reads it; a large one, or one that is seldom read, is not."""
    done: list[str] = []
    with duckdb.connect() as connection:
        connection.execute(
            "ATTACH ':memory:' AS lake; CREATE SCHEMA lake.meta; CREATE TABLE lake.meta.days (i INTEGER)"
        )
        connection.execute("CREATE TABLE lake.many AS SELECT range AS i FROM range(2_000)")
        connection.execute("CREATE VIEW lake.seen AS SELECT i FROM lake.meta.days")

        def run(sql: str) -> object:
            done.append(sql)
            return connection.execute(sql)

        days, many, seen = ('"lake"."meta"."days"', '"lake"."main"."many"', '"lake"."main"."seen"')
        reads = f"select * from {days}, {many}, {seen} where i in (select i from {days})"
        steps = [[reads], [f"insert into {days} by name (select 1 as i from {days})"], *([reads] for _ in range(4))]
        standing = Standing({"meta.days": 0}, {"main.seen": "SELECT i FROM {DUCKLAKE_CATALOG}.meta.days"})
        near = Near(steps, standing, run=run)
        assert near.within(reads, step=0) == reads
        assert near.within(steps[1][0], step=1) == steps[1][0]
        connection.execute(f"insert into {days} values (5)")
        held = near.within(reads, step=2)
        assert (
            held
            == f'select * from temp.main."days", {many}, temp.main."seen" where i in (select i from temp.main."days")'
        )
        assert connection.execute('from temp.main."days"').fetchall() == [(5,)]
        near.drop()
        assert connection.execute("SELECT count(*) FROM duckdb_tables() WHERE database_name = 'temp'").fetchall() == [
            (0,)
        ]
