"""Explaining and comparing: the laws on two tiny builds made of plain tables, and calls that name nothing."""

from __future__ import annotations

import re
from datetime import date

import duckdb
import pytest

from gpulake.cli.words import text_of
from gpulake.errors import UsageError
from gpulake.reading import difference, figure
from gpulake.reading.compiled import readable
from gpulake.reading.difference import GroupChange
from gpulake.reading.models import Column, Model, computable

SQL = """
    attach ':memory:' as ops; attach ':memory:' as earlier; attach ':memory:' as lake;
    create schema ops.meta; create schema earlier.meta; create schema lake.meta;
    create macro ops.snapshots() as table select unnest([10, 20, 30]) as snapshot_id;
    create table ops.meta.publications as from (values
        (1, 10, timestamp '2026-01-01', 'f'), (2, 15, timestamp '2026-01-02', 'f'), (3, 20, timestamp '2026-01-03', 'f'),
        (4, 30, timestamp '2026-01-04', 'g')
    ) as t(build_id, data_version, published_at, fingerprint);
    create table ops.meta.landings (
        landing_id varchar, landing_no int, cluster_id varchar, table_name varchar, file_name varchar, rows_kept bigint,
        min_event_at timestamp, max_event_at timestamp
    );
    create table ops.meta.published_landings (build_id bigint, landing_id varchar);
    create table earlier.meta.clusters as
        select 'a' as cluster_id, 'Asia/Shanghai' as time_zone, 'offset' as time_basis, 'all' as pools;
    create table lake.meta.clusters as from earlier.meta.clusters;
    create table lake.meta.models (
        fingerprint varchar, model varchar, file varchar, depends_on varchar, depends_on_files varchar, compiled_sql varchar
    );
    create table earlier.meta.models as from lake.meta.models;
"""


class MadeBuilds:
    """Two builds of a lake, as a Reader with `earlier` shows them."""

    build_id = 4

    def __init__(self):
        self.connection = duckdb.connect()
        self.connection.execute(SQL)

    def sql(self, query, params=()):
        return self.connection.execute(query, list(params)).to_arrow_table()

    def land(self, name, *, build, first=None, last=None, cluster="a"):
        self.connection.execute(
            "insert into ops.meta.landings select ?, count(*), ?, 'table', 'file.csv', 1, ?, ? from ops.meta.landings",
            [name, cluster, first, last],
        )
        self.connection.execute("insert into ops.meta.published_landings values (?, ?)", [build, name])


@pytest.fixture
def builds():
    return MadeBuilds()


def model(name="gold_days", grain=("cluster_id", "dt"), **columns):
    described = {c: Column(c, "", None, parts, None) for c, parts in columns.items()}
    return Model(name, "", tuple(grain), described, "models/x.sql", "select 1")


def days(builds, catalog, rows, *, name="gold_days"):
    builds.connection.execute(
        f"create or replace table {catalog}.main.{name} (cluster_id varchar, dt date, used double, held bigint, word varchar)"
    )
    for row in rows:
        builds.connection.execute(f"insert into {catalog}.main.{name} values ('a', ?, ?, ?, ?)", list(row))


def compared(builds, *models, first=3):
    return difference.between(builds, {each.name: each for each in models}, first=first)


def explained(builds, *key, column="used", table="gold_days", **options):
    models = {
        "gold_days": model(
            used={"numerator": "used × held", "denominator": "held \N{MINUS SIGN} 1", "coverage": "said by nobody"}
        )
    }
    return figure.explain(builds, models, table=table, column=column, key=key, **options)


KEY = ("cluster_id=a", "dt=1970-01-11")


# ----------------------------------------------------------------------------------------------- compare


def test_only_changed_days_are_listed_each_with_what_changed(builds):
    """A reader of last week's slides must see which of their numbers moved, and no other."""
    days(builds, "earlier", [("1970-01-01", 1, 1, "x"), ("1970-01-02", 2, 5, "x"), ("1970-01-03", 3, 1, "x")])
    days(builds, "lake", [("1970-01-01", 1, 1, "x"), ("1970-01-02", 2.5, 2, "y"), ("1970-01-04", 4, 1, "x")])

    (change,) = compared(builds, model()).tables

    assert [
        (date(1970, 1, 2), 0, 0, 1), (date(1970, 1, 3), 0, 1, 0), (date(1970, 1, 4), 1, 0, 0)
    ] == [(g.dt, g.rows_added, g.rows_removed, g.rows_changed) for g in change.groups]  # fmt: skip
    assert [("used", 1, 0.5), ("held", 1, 3.0), ("word", 1, None)] == [
        (each.column, each.changed, each.max_abs_change) for each in change.groups[0].columns
    ]
    assert change.groups[0].columns == change.columns


def test_unknown_is_another_figure_than_zero_and_a_sums_last_digit_is_not(builds):
    """A figure that became unknown has changed; one summed in another order has not."""
    days(builds, "earlier", [("1970-01-01", 0, None, None), ("1970-01-02", 0.1 + 0.2, 1, None)])
    days(builds, "lake", [("1970-01-01", None, None, None), ("1970-01-02", 0.3, 1, None)])

    (change,) = compared(builds, model()).tables
    assert [date(1970, 1, 1)] == [group.dt for group in change.groups]
    assert (None,) == tuple(each.max_abs_change for each in change.columns)


def test_the_same_build_has_no_difference(builds):
    """Nothing is computed where nothing can differ."""
    days(builds, "earlier", [("1970-01-01", 1, 1, "x")])
    days(builds, "lake", [("1970-01-01", 1, 1, "x")])

    assert () == compared(builds, model(), first=4).tables
    assert ("gold_days",) == compared(builds, model()).unchanged


def test_tables_and_columns_of_one_build_are_named(builds):
    """A new figure is no change of an old one."""
    days(builds, "earlier", [("1970-01-01", 1, 1, "x")])
    days(builds, "earlier", [], name="gold_gone")
    days(builds, "lake", [("1970-01-01", 1, 1, "x")])
    days(builds, "lake", [], name="gold_new")
    for catalog in ("earlier", "lake"):
        days(builds, catalog, [], name="gold_grainless")
    builds.connection.execute("alter table lake.gold_days add column extra double default 7")
    builds.connection.execute("alter table lake.gold_days alter word type blob")

    found = compared(builds, model())
    assert (("gold_gone",), ("gold_new",), ("gold_grainless",)) == (
        found.only_in_first, found.only_in_second, found.not_compared
    )  # fmt: skip
    (change,) = found.tables
    assert ((), ("word", "extra"), ("word",)) == (change.groups, change.columns_added, change.columns_removed)


def test_a_table_without_days_is_compared_by_cluster_and_a_null_key_is_a_key(builds):
    """Rows of an unnamed pool must pair with each other."""
    for catalog, value in (("earlier", 1), ("lake", 2)):
        builds.connection.execute(
            f"create table {catalog}.main.gold_pools as from (values ('a', null, {value}), ('b', 'x', 1)) "
            "as t(cluster_id, pool, gpus)"
        )
    (change,) = compared(builds, model("gold_pools", grain=("cluster_id", "pool"))).tables

    assert (GroupChange("a", None, 0, 0, 1, change.columns),) == change.groups


def test_the_last_two_are_of_those_that_are_kept(builds):
    """Build 2's version was forgotten."""
    assert (3, 4) == difference.last_two(builds)
    builds.connection.execute("delete from ops.meta.publications where build_id in (1, 3)")
    with pytest.raises(UsageError, match="only build 4 is kept"):
        difference.last_two(builds)


# ----------------------------------------------------------------------------------------------- explain


def test_parts_are_computed_from_the_row_or_stand_in_words(builds):
    """A part that the table cannot tell is described, never guessed."""
    days(builds, "lake", [("1970-01-11", 0.5, 3, "x")])
    found = explained(builds, *KEY)

    assert (0.5, "used × held", 1.5, "held \N{MINUS SIGN} 1", 2) == (
        found.figure.value, found.figure.numerator.formula, found.figure.numerator.value,
        found.figure.denominator.formula, found.figure.denominator.value,
    )  # fmt: skip
    assert ("said by nobody", None) == (found.figure.coverage.formula, found.figure.coverage.value)


@pytest.mark.parametrize(
    ("formula", "sql"),
    [
        ("used", "used"),
        ("used \N{MINUS SIGN} held", "used - held"),
        ("(used + held) × 2.5 / held", "(used + held) * 2.5 / held"),
        ("used of silver_hours", None),
        ("3600", None),
        ("coalesce(used, 0)", "coalesce(used, 0)"),
        ("case when held then used end", "case when held then used end"),
        ("coalesce, 0", None),
        ("sum(used)", None),
        ("used; drop table x", None),
        ("", None),
    ],
)
def test_a_formula_is_arithmetic_over_columns_or_words(formula, sql):
    """Words in the yml must never be run."""
    assert sql == computable(formula, ["used", "held"])


def test_landings_are_those_that_reach_the_clusters_own_day(builds):
    """Day 10 in Shanghai is 16:00 to 16:00 UTC; what has no times reaches every day, as do shared tables."""
    days(builds, "lake", [("1970-01-11", 1, 1, "x")])
    for name, first, last in (
        ("ends at its start", "1970-01-09 00:00", "1970-01-10 16:00"),
        ("starts at its end", "1970-01-11 16:00", "1970-01-12 00:00"),
        ("ends before", "1970-01-09 00:00", "1970-01-10 15:59"),
        ("inside", "1970-01-11 00:00", "1970-01-11 00:00"),
        ("without", None, None),
    ):
        builds.land(name, build=3, first=first, last=last)
    builds.land("other cluster", build=3, cluster="b")
    builds.land("later build", build=5)
    builds.connection.execute(
        "insert into lake.meta.clusters select 'b', * exclude (cluster_id) from lake.meta.clusters"
    )
    builds.land("of no cluster", build=4, cluster="gpu_specs")

    names = [each.landing_id for each in explained(builds, *KEY).landings]
    assert ["ends at its start", "inside", "without", "of no cluster"] == names


def test_as_of_shows_what_moved_and_what_was_included_since(builds):
    """ "Why does last week's figure differ?" has one answer: these files, and these definitions."""
    days(builds, "earlier", [("1970-01-11", 0.5, 3, "x")])
    days(builds, "lake", [("1970-01-11", 0.75, 3, None)])
    builds.land("before", build=3)
    builds.land("late", build=4, first="1970-01-11 00:00", last="1970-01-11 00:00")
    builds.land("other day", build=4, first="1970-01-15 00:00", last="1970-01-15 00:00")
    found = explained(builds, *KEY, as_of=3).as_of

    assert (3, 0.5, ["late"], 1) == (
        found.figure.build_id, found.figure.value, [each.landing_id for each in found.landings_since],
        found.other_landings_since,
    )  # fmt: skip
    assert {"value": (0.5, 0.75, 0.25), "numerator": (1.5, 2.25, 0.75)} == {
        name: (move.then, move.now, move.change) for name, move in found.moved.items()
    }
    assert ((), True) == (found.settings_changed, found.definitions_changed)
    assert None is explained(builds, *KEY, column="word", as_of=3).as_of.moved["value"].change


def test_changed_settings_are_told_and_then_definitions_are_not_known(builds):
    """A zone that was mended moves every day."""
    for catalog in ("earlier", "lake"):
        days(builds, catalog, [("1970-01-11", 0.5, 3, "x")])
    builds.connection.execute("update lake.meta.clusters set time_zone = 'UTC'")
    found = explained(builds, *KEY, as_of=3).as_of

    assert ("time_zone of a was Asia/Shanghai and is UTC",) == found.settings_changed
    assert None is found.definitions_changed
    assert {} == found.moved


def test_a_table_that_came_later_has_no_row_then(builds):
    """As-of must not fail for what did not exist; a row that is gone is still explained as of then."""
    days(builds, "lake", [("1970-01-11", 0.5, 3, "x")])
    found = explained(builds, *KEY, as_of=3)
    assert (True, False, None) == (found.figure.has_row, found.as_of.figure.has_row, found.as_of.figure.value)

    days(builds, "earlier", [("1970-01-12", 0.5, 3, "x")])
    gone = explained(builds, "cluster_id=a", "dt=1970-01-12", as_of=3)
    assert (False, 0.5) == (gone.figure.has_row, gone.as_of.figure.value)


def test_a_figure_made_by_other_definitions_says_so(builds):
    """After an upgrade the SQL that is shown is not yet the SQL that made the figure."""
    days(builds, "lake", [("1970-01-11", 0.5, 3, "x")])

    assert [False, False, True] == [
        explained(builds, *KEY, fingerprint=each).definitions_are_newer for each in ("", "g", "h")
    ]


@pytest.mark.parametrize(
    ("key", "what", "do"),
    [
        ([], "no row is named", "--key cluster_id=a --key dt=1970-01-11"),
        (["dt"], "is not of the form COLUMN=VALUE", "--key dt="),
        (["=x"], "is not of the form COLUMN=VALUE", "--key dt="),
        (["dt=1", "dt=2"], "is given twice", "write each part once"),
        (["user=7"], "'user' is no key column of gold_days: its rows are told apart by cluster_id, dt", "--key dt="),
        (["used=0.5"], "'used' is no key column", "--key dt="),
        (["cluster_id=a"], "they are told apart by dt", "--key cluster_id=a --key dt=1970-01-11"),
        (["cluster_id=a", "dt=1970-01-01"], "no row of gold_days has cluster_id = a, dt = 1970-01-01", "--key dt="),
        (["cluster_id=a", "dt=soon"], "no row of gold_days has", "--key dt="),
        (["cluster_id=a", "dt=' or 1=1"], "no row of gold_days has", "--key dt="),
        (["cluster_id=' or 1=1 --", "dt=1970-01-11"], "no row of gold_days has", "--key dt="),
        (['dt" is not null or "dt=1'], "is no key column", "--key dt="),
        (["cluster_id=", "dt=1970-01-11"], "no row of gold_days has", "--key dt="),
    ],
)
def test_a_key_that_names_no_row_or_several_is_refused_with_one_that_works(builds, key, what, do):
    """What a person types is a value, whatever it holds."""
    days(builds, "lake", [("1970-01-11", 0.5, 3, "x"), ("1970-01-12", 0.5, 3, "x")])
    with pytest.raises(UsageError) as caught:
        explained(builds, *key)

    assert what in caught.value.what
    assert do in caught.value.do


def test_a_day_may_be_named_as_people_see_it(builds):
    """Reports say "day 10, Sunday", never 1970."""
    days(builds, "lake", [("1970-01-11", 0.5, 3, "x")])

    assert [{"cluster_id": "a", "dt": date(1970, 1, 11)}] * 2 == [
        explained(builds, "cluster_id=a", f"dt={day}").key for day in ("10", "day 10")
    ]


@pytest.mark.parametrize(
    ("asked", "do"),
    [
        ({"table": "gold_day"}, "did you mean gold_days?"),
        ({"table": "publications"}, "choose one of gold_days"),
        ({"table": 'gold_days" where true --'}, "choose one of gold_days"),
        ({"column": "usd"}, "did you mean used?"),
        ({"column": 'used" from x --'}, "choose one of cluster_id, dt, held, used, word"),
    ],
)
def test_names_must_be_published_ones(builds, asked, do):
    """A near miss is named."""
    days(builds, "lake", [("1970-01-11", 0.5, 3, "x")])
    with pytest.raises(UsageError) as caught:
        explained(builds, *KEY, **asked)

    assert do == caught.value.do


def test_the_text_tells_unknown_from_no_row(builds):
    """Missing is never 0."""
    from gpulake.cli.words import text_of

    days(builds, "lake", [("1970-01-11", None, 3, "x")])
    text = text_of(explained(builds, *KEY, as_of=3))

    assert "value        unknown\n" in text
    assert "dt = day 10, Sunday" in text
    assert ["value", "no row", "unknown"] == re.split(r"  +", next(x for x in text.splitlines() if "no row" in x))


# -------------------------------------------------------------------------------------------- compiled SQL


def kept_sql(builds, catalog, sql, *, fingerprint="g"):
    builds.connection.execute(
        f"insert into {catalog}.meta.models values (?, 'gold_days', 'models/gold/gold_days.sql', ?, ?, ?)",
        [fingerprint, "silver_days\nmeta.scores", "models/silver/silver_days.sql\n", sql],
    )


def test_the_sql_is_what_ran_with_each_table_it_stands_on_and_its_file(builds):
    """Who checks a figure must see the arithmetic, not a template, and where to read on."""
    days(builds, "lake", [("1970-01-11", 0.5, 3, "x")])
    kept_sql(builds, "lake", 'select *\nfrom "lake"."main"."silver_days"')
    found = explained(builds, *KEY)

    assert ("warehouse/models/gold/gold_days.sql", "select *\nfrom silver_days\n", True) == (
        found.sql_file, found.sql, found.sql_is_compiled,
    )  # fmt: skip
    told = text_of(found)
    assert "  silver_days  warehouse/models/silver/silver_days.sql\n  meta.scores  written by gpulake" in told
    assert "  from silver_days" in told


def test_a_build_that_kept_no_sql_shows_the_models_template(builds):
    """A lake of an earlier version is explained as far as it can be, until its next refresh."""
    days(builds, "lake", [("1970-01-11", 0.5, 3, "x")])
    builds.connection.execute("drop table lake.meta.models")
    found = explained(builds, *KEY)

    assert ("warehouse/models/x.sql", "select 1", False, ()) == (
        found.sql_file, found.sql, found.sql_is_compiled, found.stands_on,
    )  # fmt: skip


def test_an_older_build_is_explained_by_the_sql_of_then(builds):
    """A figure that moved because its definition did is not explained by today's definition."""
    for catalog in ("earlier", "lake"):
        days(builds, catalog, [("1970-01-11", 0.5, 3, "x")])
        kept_sql(builds, catalog, "select 1 as old", fingerprint="f")
    kept_sql(builds, "lake", "select 2 as new")
    found = explained(builds, *KEY, as_of=3)

    assert ("select 2 as new\n", "select 1 as old\n") == (found.sql, found.as_of.sql)
    assert "the SQL of build 3\n  select 1 as old" in text_of(found)


def test_the_same_sql_is_not_printed_twice(builds):
    """Another model of the project changed, not this one."""
    for catalog in ("earlier", "lake"):
        days(builds, catalog, [("1970-01-11", 0.5, 3, "x")])
        kept_sql(builds, catalog, "select 1", fingerprint="f")
    kept_sql(builds, "lake", "select 1")

    assert explained(builds, *KEY, as_of=3).as_of.sql is None


@pytest.mark.parametrize(
    ("ran", "shown"),
    [
        ("\n\n\nselect 1\n\n\n\nfrom t  \n", "select 1\n\nfrom t\n"),
        ('from "lake"."main"."a"\njoin "lake"."meta"."b"', "from a\njoin meta.b\n"),
        (
            "with  __dbt__cte__spans as (\nselect 1\n), days as (\nselect * from __dbt__cte__spans\n)",
            "with  spans as (\nselect 1\n), days as (\nselect * from spans\n)\n",
        ),
        (
            "with  __dbt__cte__spans as (\nselect 1\n), spans as (\nselect * from __dbt__cte__spans\n)",
            "with  spans_model as (\nselect 1\n), spans as (\nselect * from spans_model\n)\n",
        ),
        (
            "with  __dbt__cte__a as (select 1), __dbt__cte__a_b as (select * from __dbt__cte__a) from __dbt__cte__a_b",
            "with  a as (select 1), a_b as (select * from a) from a_b\n",
        ),
    ],
)
def test_compiled_sql_reads_as_if_a_person_wrote_it(ran, shown):
    """What dbt sends to DuckDB is right, and hard to read."""
    assert shown == readable(ran)
