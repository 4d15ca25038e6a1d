"""Tidying: few files whatever the number of landings and builds, and every version reads as it did."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import datetime, timedelta

import pytest

from gpulake import clock, upkeep
from gpulake.lake import open_publication, writing
from gpulake.tables import META_TABLES, LakeTable

NOW = datetime(2026, 11, 25, 12)  # noqa: DTZ001  # as the lake keeps it
DAYS = LakeTable("main", "days", (("dt", "date"), ("k", "bigint")))
PLAIN = LakeTable("main", "plain", (("k", "bigint"), ("v", "double")))
TABLES = (*META_TABLES, DAYS, PLAIN)


def publish(writer, *, now=NOW):
    number = writer.version()
    return writer.publish(
        build_id=number, data_version=number, fingerprint="f", full_build=True, rows={}, landing_ids=[], now=now
    )


@pytest.fixture
def writer(tmp_path):
    with writing(tmp_path / "lake", purpose="test", tables=TABLES) as made:
        made._execute("ALTER TABLE lake.main.days SET PARTITIONED BY (year(dt), month(dt))")
        yield made


def build_day(writer, number, *, rows=10):
    """As a model does: a touched day is deleted, and put back with its rows of now."""
    with writer.transaction("day"):
        writer._execute(f"DELETE FROM lake.main.days WHERE dt = date '2026-01-01' + {number}")
        writer._execute(f"INSERT INTO lake.main.days SELECT date '2026-01-01' + {number}, range FROM range({rows})")


def files(writer, table):
    """How many live files a table has, and how many of them with deletions."""
    listed = writer.sql("FROM ducklake_list_files('lake', ?)", [table])
    return listed.num_rows, listed.num_rows - listed["delete_file"].null_count


def shown(writer, version):
    return writer.sql(f"SELECT dt, sum(k)::bigint AS k, count(*) AS n FROM lake.main.days AT (VERSION => {version}) "
                      "GROUP BY dt ORDER BY dt").to_pylist()  # fmt: skip


def test_many_landings_become_one_file(writer):
    """One file per landing: a year of them would be opened by every read of the table."""
    for number in range(9):
        writer.insert(PLAIN, [(number, 0.5)])
    assert () == writer.tidy(), "few files more than one are none too many"
    writer.insert(PLAIN, [(9, 0.5)])
    before = writer.version()

    assert ("main.plain",) == writer.tidy()
    assert (1, 0) == files(writer, "plain")
    assert 45 == writer.sql("SELECT sum(k)::bigint AS k FROM lake.main.plain")["k"][0].as_py()
    assert 9 == writer.sql(f"SELECT count(*) AS n FROM lake.main.plain AT (VERSION => {before - 1})")["n"][0].as_py()


def test_small_files_are_never_merged_with_large_ones(writer):
    """A delivery of a thousand rows into a table of millions must not write the millions again."""
    writer._execute("INSERT INTO lake.main.plain SELECT range, random() FROM range(600_000)")
    large = writer.sql("SELECT data_file FROM ducklake_list_files('lake', 'plain')")["data_file"][0].as_py()
    for number in range(10):
        writer.insert(PLAIN, [(number, 0.5)])
    writer.tidy()

    left = writer.sql("SELECT data_file FROM ducklake_list_files('lake', 'plain')")["data_file"].to_pylist()
    assert 2 == len(left)
    assert large in left


def test_many_builds_leave_few_files_and_every_version_as_it_was(writer):
    """After months of daily builds, each of which mends yesterday, reads must cost what they did in the first week."""
    seen = {}
    for number in range(75):
        if number:
            build_day(writer, number - 1, rows=12)
        build_day(writer, number)
        seen[writer.version()] = shown(writer, writer.version())
        writer.tidy()
        now, worn = files(writer, "days")
        months = number // 30 + 1
        assert now <= months + 17, number
        assert worn <= 9, number
    for version in list(seen)[::7]:
        assert seen[version] == shown(writer, version)


def test_files_with_deletions_are_written_anew_by_partition(writer):
    """A file of deletions beside each file doubles what a read opens."""
    for month in range(1, 11):
        writer._execute(
            f"INSERT INTO lake.main.days SELECT date '2026-{month:02}-01' + range::int, range FROM range(20)"
        )
    writer._execute("DELETE FROM lake.main.days WHERE day(dt) = 7")
    before = writer.version()
    assert (10, 10) == files(writer, "days")
    expected = shown(writer, before)

    assert ("main.days",) == writer.tidy()
    assert (10, 0) == files(writer, "days")
    assert expected == shown(writer, before) == shown(writer, writer.version())
    newest = writer.sql("SELECT commit_message FROM lake.snapshots() ORDER BY snapshot_id DESC LIMIT 1")
    assert ["tidy"] == newest["commit_message"].to_pylist(), "else it would be taken for dbt run by hand"


def test_a_tidy_lake_is_asked_one_question(writer, monkeypatch):
    """Each refresh asks: with a question per table it would cost more than it saves."""
    asked = []
    real = writer.sql
    before = writer.version()
    monkeypatch.setattr(writer, "sql", lambda query, *more: asked.append(query) or real(query, *more))

    assert () == writer.tidy()
    assert 1 == len(asked)
    assert before == writer.version()


TIDY_AND_DIE = """
import os, signal, sys
from pathlib import Path
from gpulake.lake import Writer, writing
def dying(real):
    def run(self, query, *more):
        found = real(self, query, *more)
        if sys.argv[2] in query:
            os.kill(os.getpid(), signal.SIGKILL)
        return found
    return run
with writing(Path(sys.argv[1]), purpose="test", tables=()) as writer:
    Writer._execute, Writer.sql = dying(Writer._execute), dying(Writer.sql)
    writer.tidy()
"""


@pytest.mark.parametrize("border", ["merge_adjacent_files", "INSERT", "DELETE", "COMMIT"])
def test_tidying_that_is_cut_off_loses_nothing(tmp_path, border):
    """Killed between merging and cleaning, and before the readers' copy knows of it: what is kept stays readable."""
    lake = tmp_path / "lake"
    with writing(lake, purpose="test", tables=TABLES) as writer:
        writer._execute("ALTER TABLE lake.main.days SET PARTITIONED BY (year(dt), month(dt))")
        for month in range(1, 11):
            first = f"date '2026-{month:02}-01'"
            writer._execute(f"INSERT INTO lake.main.days SELECT {first} + range::int, range FROM range(20)")
            writer.insert(PLAIN, [(month, 0.5)])
        writer._execute("DELETE FROM lake.main.days WHERE day(dt) = 7")
        build_id = publish(writer).build_id
        expected = shown(writer, build_id)
    killed = subprocess.run([sys.executable, "-c", TIDY_AND_DIE, lake, border], check=False)
    assert -signal.SIGKILL == killed.returncode

    query = "SELECT dt, sum(k)::bigint AS k, count(*) AS n FROM lake.main.days GROUP BY dt ORDER BY dt"
    for _ in range(2):
        with open_publication(lake, build_id=build_id) as reader:
            assert expected == reader.sql(query).to_pylist()
            assert 55 == reader.sql("SELECT sum(k)::bigint AS k FROM lake.main.plain")["k"][0].as_py()
        with writing(lake, purpose="compact", tables=TABLES) as writer:
            upkeep.compact(writer, now=clock.now() + timedelta(days=2))
            assert expected == shown(writer, writer.version())
            assert ((10, 0), (1, 0)) == (files(writer, "days"), files(writer, "plain"))
