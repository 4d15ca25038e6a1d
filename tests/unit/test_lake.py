"""The lake's rules, each with the fault it prevents; publications as readers meet them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from contextlib import closing
from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from gpulake import lake as lake_module
from gpulake.errors import LakeError, LockError, UsageError
from gpulake.lake import Layout, open_newest, open_publication, writing
from gpulake.lake.connection import attach, connect
from gpulake.tables import META_TABLES, LakeTable

NOW = datetime(2026, 11, 25, 12)  # noqa: DTZ001  # as the lake keeps it
NUMBERS = LakeTable("main", "numbers", (("n", "bigint"),))
TABLES = (*META_TABLES, NUMBERS)
PACKAGE = Path(lake_module.__file__).parents[1]


def publish(writer, *, now=NOW):
    """Publish what stands, as a refresh does after its tests."""
    number = writer.version()
    return writer.publish(
        build_id=number, data_version=number, fingerprint="f", full_build=True, rows={}, landing_ids=[], now=now
    )


def numbers(view):
    return sorted(view.sql("SELECT n FROM lake.main.numbers")["n"].to_pylist())


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A lake with one number, published, and then a second one that is not."""
    folder = tmp_path_factory.mktemp("made") / "lake"
    with writing(folder, purpose="make", tables=TABLES) as writer:
        with writer.transaction("one"):
            writer.insert(NUMBERS, [(1,)])
        publish(writer)
        with writer.transaction("two"):
            writer.insert(NUMBERS, [(2,)])
    return folder


@pytest.fixture
def folder(made, tmp_path):
    return shutil.copytree(made, tmp_path / "lake")


# ------------------------------------------------------------------------------------------- the ten rules


def test_rule_1_versions_are_exact():
    """Other builds of DuckDB refuse these extensions, so any other version is a broken install."""
    pinned = (PACKAGE.parents[1] / "pyproject.toml").read_text()
    for name in ("duckdb", "duckdb-extension-ducklake", "duckdb-extension-sqlite-scanner"):
        assert f'"{name}=={version(name)}"' in pinned


def test_rule_2_every_connection_distrusts_statistics(folder):
    """After a merge, old versions would be answered from today's statistics: wrong, and without an error."""
    query = "SELECT current_setting('disabled_optimizers') AS off"
    with open_publication(folder) as reader, open_newest(folder) as view:
        assert ["statistics_propagation"] * 2 == [v.sql(query)["off"][0].as_py() for v in (reader, view)]
    with writing(folder, purpose="test", tables=TABLES) as writer:
        assert "statistics_propagation" in writer.sql(query)["off"][0].as_py().split(",")
        for threads in (1, 2):
            with writer.lend(version=None, threads=threads, memory="100MB", scratch=folder) as lent:
                assert "statistics_propagation" in lent.execute(query).fetchone()[0].split(",")
    profile = (PACKAGE.parents[1] / "warehouse" / "profiles.yml").read_text()
    assert "disabled_optimizers: statistics_propagation" in profile


# Another process, which opens a lake's catalog and does something with it.
ELSEWHERE = """
import sys
from pathlib import Path
from gpulake.lake import Layout
from gpulake.lake.connection import attach, connect
layout = Layout(Path(sys.argv[1]))
with connect() as lake:
    attach(lake, layout.catalog, layout.data, alias="lake")
    exec(sys.argv[2])
"""


def elsewhere(folder, what):
    return subprocess.Popen(
        [sys.executable, "-c", ELSEWHERE, folder, what], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


HOLD = "print('holding', flush=True); sys.stdin.read()"


def test_rule_3_whoever_opens_the_catalog_keeps_all_others_out(folder):
    """Somebody's database browser, say: a writer says which process it is, and readers have a copy of their own."""
    holder = elsewhere(folder, HOLD)
    assert "holding\n" == holder.stdout.readline()
    with pytest.raises(LockError, match=f"PID {holder.pid}"), writing(folder, purpose="test", tables=TABLES):
        pass
    with open_publication(folder) as reader:
        assert [1] == numbers(reader)
    holder.communicate()


def test_rule_3_a_writer_lets_go_of_the_catalog_for_another_process(folder):
    """dbt builds in a child process: its commits must be there afterwards, and in the next publication."""
    with writing(folder, purpose="test", tables=TABLES) as writer:
        with writer.transaction("three"):
            writer.insert(NUMBERS, [(3,)])
        writer.let_go()
        child = elsewhere(folder, "lake.execute('INSERT INTO lake.main.numbers VALUES (4)')")
        _, told = child.communicate()
        assert 0 == child.returncode, told
        assert [1, 2, 3, 4] == numbers(writer)
        writer.let_go()
        child = elsewhere(folder, "lake.execute('INSERT INTO lake.main.numbers VALUES (5)')")
        child.communicate()
    with open_publication(folder) as reader:
        assert [1, 2, 3, 4, 5] == sorted(reader.sql("FROM ops.main.numbers")["n"].to_pylist())


@pytest.mark.parametrize("threads", [1, 2])
def test_who_borrows_the_connection_leaves_no_limit_behind(folder, tmp_path, threads):
    """A build's 800 MB are for its sorts and joins, which can spill; what is read into memory afterwards cannot."""
    large = "SELECT length(string_agg(repeat('x', 1_000_000), '')) AS n FROM range(100)"
    with writing(folder, purpose="test", tables=META_TABLES) as writer:
        before = writer.sql("SELECT current_setting('threads') AS n")["n"].to_pylist()
        with writer.lend(version=None, threads=threads, memory="30MB", scratch=tmp_path) as lent:
            with pytest.raises(duckdb.OutOfMemoryException):
                lent.execute(large)
            lent.execute("BEGIN; CREATE TABLE lake.main.cut_off (n INTEGER); SELECT 1")
        assert writer.sql(large)["n"].to_pylist() == [100_000_000]
        assert writer.sql("SELECT current_setting('threads') AS n")["n"].to_pylist() == before
        assert writer.sql("SELECT 1 FROM duckdb_tables() WHERE table_name = 'cut_off'").num_rows == 0


def test_what_fails_on_a_borrowed_connection_ends_with_it(folder, tmp_path):
    """A build that Ctrl-C or a full disk has cut off in its transaction leaves nothing to the next statement."""
    with writing(folder, purpose="test", tables=TABLES) as writer:
        borrowed = writer.lend(version=None, threads=1, memory="30MB", scratch=tmp_path)
        borrowed.__enter__().execute("BEGIN; INSERT INTO lake.main.numbers VALUES (3)")
        borrowed.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
        assert [1, 2] == numbers(writer)
        with writer.transaction("four"):
            writer.insert(NUMBERS, [(4,)])
        assert [1, 2, 4] == numbers(writer)


@pytest.mark.parametrize("threads", [1, 2])
def test_who_borrows_a_version_reads_that_one_and_writes_none(folder, tmp_path, threads):
    """Tests look at what would be published, and change nothing of it: also where it is the newest version."""
    with writing(folder, purpose="test", tables=TABLES) as writer:
        before = writer.version()
        with writer.transaction("three"):
            writer.insert(NUMBERS, [(3,)])
        for version, seen in ((before, [1, 2]), (writer.version(), [1, 2, 3])):
            with writer.lend(version=version, threads=threads, memory="30MB", scratch=tmp_path) as lent:
                found = lent.execute("SELECT n FROM lake.main.numbers ORDER BY n").fetchall()
                with pytest.raises(duckdb.InvalidInputException, match="read-only"):
                    lent.execute("INSERT INTO lake.main.numbers VALUES (4)")
            assert seen == [n for (n,) in found]
        assert [1, 2, 3] == numbers(writer)


def test_a_borrower_that_breaks_the_database_is_no_fault_of_its_own(folder, tmp_path):
    """A full disk breaks it in the middle of a build, which says so: what comes after must not drown that."""
    with writing(folder, purpose="test", tables=TABLES) as writer:
        with writer.lend(version=None, threads=1, memory="30MB", scratch=tmp_path) as lent:
            lent.close()
        assert [1, 2] == numbers(writer)


def test_what_a_killed_writer_committed_is_not_lost(folder):
    """Its last commits stand in a log beside the catalog: whoever looks, writes or publishes next must see them."""
    victim = elsewhere(folder, f"lake.execute('INSERT INTO lake.main.numbers VALUES (3)'); {HOLD}")
    assert "holding\n" == victim.stdout.readline()
    victim.kill()
    victim.communicate()
    assert Layout(folder).log.stat().st_size

    with open_newest(folder) as view:
        assert [1, 2, 3] == numbers(view)
    with writing(folder, purpose="test", tables=TABLES) as writer:
        assert [1, 2, 3] == numbers(writer)
    assert not Layout(folder).log.exists()
    with open_publication(folder) as reader:
        assert [1, 2, 3] == sorted(reader.sql("FROM ops.main.numbers")["n"].to_pylist())


def test_looking_at_the_newest_commit_beside_a_writer(folder):
    """`gpulake status` during a refresh must not fail: it shows what stood when the writer began."""
    with writing(folder, purpose="test", tables=TABLES) as writer, writer.transaction("three"):
        writer.insert(NUMBERS, [(3,)])
        with open_newest(folder) as during:
            assert [1, 2] == numbers(during)
    with open_newest(folder) as after:
        assert [1, 2, 3] == numbers(after)


def test_looking_at_a_lake_that_is_being_made_names_the_writer(tmp_path):
    """Nothing is published yet, so there is nothing to look at: say whom to wait for."""
    with (
        writing(tmp_path / "lake", purpose="the first refresh", tables=TABLES),
        pytest.raises(LockError, match=f"pid {os.getpid()}: the first refresh"),
        open_newest(tmp_path / "lake"),
    ):
        pass


def test_looking_keeps_nobody_out(folder, tmp_path, monkeypatch):
    """`gpulake verify` may take an hour: a refresh that starts meanwhile must run. And nothing is left behind."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    with open_newest(folder) as view:
        with writing(folder, purpose="test", tables=TABLES) as writer, writer.transaction("three"):
            writer.insert(NUMBERS, [(3,)])
        assert [1, 2] == numbers(view)
        assert [] == list((tmp_path / "temporary").iterdir())


def test_rule_4_one_writer_at_a_time_and_the_second_is_told_who(folder):
    """Two writers lose commits; whoever must wait wants to know for whom."""
    with (
        writing(folder, purpose="the first", tables=TABLES),
        pytest.raises(LockError) as told,
        writing(folder, purpose="the second", tables=TABLES),
    ):
        pytest.fail("two writers at once")
    assert f"pid {os.getpid()}: the first" in told.value.what
    assert "--wait" in told.value.do


def test_rule_4_a_second_writer_waits_if_asked(folder):
    """A nightly refresh that meets a landing must not fail for it."""
    entered, release = threading.Event(), threading.Event()

    def hold():
        with writing(folder, purpose="holder", tables=TABLES):
            entered.set()
            release.wait(20)

    holder = threading.Thread(target=hold)
    holder.start()
    assert entered.wait(20)
    threading.Timer(0.5, release.set).start()
    started = time.monotonic()
    with writing(folder, purpose="waiter", tables=TABLES, wait_s=30):
        waited = time.monotonic() - started
    holder.join()

    assert 0.3 < waited < 20


def test_rule_4_a_lock_outlives_no_process(folder):
    """A stale text in the lock file must not lock anybody out: only a living process holds it."""
    Layout(folder).lock.write_text("pid 1: crashed years ago\n")

    with writing(folder, purpose="now", tables=TABLES):
        assert f"pid {os.getpid()}: now" in Layout(folder).lock.read_text()


def test_rule_5_small_rows_are_files_too(folder):
    """Inlined rows vanish under a long reader when somebody flushes them."""
    with writing(folder, purpose="test", tables=TABLES) as writer:
        (kept,) = writer.sql(
            "SELECT value FROM lake.options() WHERE option_name = 'data_inlining_row_limit'"
        ).to_pylist()
        assert "0" == str(kept["value"])
    with duckdb.connect(Layout(folder).catalog) as catalog:
        inlined = catalog.execute("SELECT count(*) FROM ducklake_inlined_data_tables").fetchone()
    assert (0,) == inlined
    assert 2 == len(list((folder / "data" / "main" / "numbers").glob("*.parquet")))


def test_rule_6_readers_see_the_publication_until_the_next(folder):
    """A reader beside a writer neither waits nor sees half a build, and can be renewed at will."""
    with open_publication(folder) as before, writing(folder, purpose="test", tables=TABLES) as writer:
        with writer.transaction("three"):
            writer.insert(NUMBERS, [(3,)])
            with open_publication(folder) as during:
                assert [1] == numbers(during)
        publish(writer)
        with open_publication(folder) as after:
            assert [1, 2, 3] == numbers(after)
        with pytest.raises(UsageError):
            after.sql("SELECT nothing FROM lake.main.numbers")
        assert [1] == numbers(before)


def test_rule_7_nothing_checkpoints_or_rewrites():
    """A rewrite makes as-of reads wrong: only merging is allowed, and putting a catalog's own file in order."""
    text = "\n".join(path.read_text() for path in PACKAGE.rglob("*.py"))

    assert "ducklake_rewrite_data_files" not in text
    assert {"__ducklake_metadata_lake", "new"} == set(re.findall(r"CHECKPOINT[ ;'\"](\w*)", text))


def test_rules_2_and_7_show_their_fault_when_both_are_dropped(tmp_path):
    """Why the rules stand: without them an old version answers from today's statistics. With rule 2 it is right."""

    def ask(*, careful):
        settings = dict(lake_module.SETTINGS) if careful else {}
        with closing(duckdb.connect(config=settings)) as connection:
            for name in lake_module.EXTENSIONS:
                connection.execute(f"LOAD '{lake_module.extension_file(name)}'")
            folder = tmp_path / str(careful)
            folder.mkdir()
            connection.execute(f"ATTACH 'ducklake:{folder}/c.duckdb' AS l (DATA_PATH '{folder}/data/')")
            connection.execute("CALL l.set_option('data_inlining_row_limit', 0)")
            connection.execute("CREATE TABLE l.t AS SELECT CASE WHEN i % 100 > 0 THEN i END AS v FROM range(1000) r(i)")
            (old,) = connection.execute("SELECT max(snapshot_id) FROM l.snapshots()").fetchone()
            connection.execute("DELETE FROM l.t WHERE v IS NULL OR v > 400")
            connection.execute("CALL ducklake_rewrite_data_files('l', delete_threshold => 0)")
            return connection.execute(f"SELECT count(*) FROM l.t AT (VERSION => {old}) WHERE v IS NULL").fetchone()[0]

    assert 10 == ask(careful=True)
    assert 10 != ask(careful=False), "this DuckLake is cured: rules 2 and 7 may go"


def test_rule_8_only_listed_versions_expire(folder):
    """`older_than` would drop publications too: there is no pin."""
    with writing(folder, purpose="test", tables=TABLES) as writer:
        versions = writer.sql("SELECT snapshot_id FROM lake.snapshots()")["snapshot_id"].to_pylist()
        writer.expire(versions[1:2])
        left = writer.sql("SELECT snapshot_id FROM lake.snapshots()")["snapshot_id"].to_pylist()
        options = writer.sql("FROM lake.options()")["option_name"].to_pylist()

    assert sorted(set(versions) - set(versions[1:2])) == [v for v in sorted(left) if v <= max(versions)]
    assert "expire_older_than" not in options


def test_rule_9_dbt_has_one_thread():
    """More than one loses nodes: 3 of 15 with four."""
    profile = (PACKAGE.parents[1] / "warehouse" / "profiles.yml").read_text()

    assert {"1"} == set(re.findall(r"threads: (\d+)", profile))


def test_rule_10_a_bare_sum_of_integers_loses_its_last_digit(folder):
    """Why every integer sum is cast: the lake would keep it as a double."""
    with closing(connect()) as connection:
        layout = Layout(folder)
        attach(connection, layout.catalog, layout.data, alias="lake")
        big = "SELECT {} AS total FROM (VALUES (9007199254740992::bigint), (1)) t(n)"
        connection.execute("CREATE TABLE lake.main.bare AS " + big.format("sum(n)"))
        connection.execute("CREATE TABLE lake.main.cast_ AS " + big.format("sum(n)::bigint"))
        read = [connection.execute(f"SELECT total::bigint FROM lake.main.{t}").fetchone()[0] for t in ("bare", "cast_")]

    assert [9007199254740992, 9007199254740993] == read


def test_a_slow_query_draws_nothing_on_standard_output(folder, capfd):
    """DuckDB's own progress bar stood in front of the JSON object that a program was waiting for."""
    with open_publication(folder) as reader:
        assert [False] == reader.sql("SELECT current_setting('enable_progress_bar') AS drawn")["drawn"].to_pylist()
    assert ("", "") == capfd.readouterr()


# -------------------------------------------------------------------------------------- transactions


def test_no_reader_loads_code(folder):
    """Nobody checks who signed an extension, so what reads a publication loads none."""
    with open_publication(folder) as reader, pytest.raises(UsageError, match="extensions is disabled"):
        reader.sql(f"LOAD '{lake_module.extension_file('sqlite_scanner')}'")


def test_nothing_but_our_own_is_loaded_unsigned():
    """A file beside a lake would run as we do, if a statement could load it."""
    with connect() as connection:
        assert connection.execute("SELECT current_setting('allow_unsigned_extensions')").fetchall() == [(False,)]
        with pytest.raises(duckdb.InvalidInputException, match="Cannot change"):
            connection.execute("SET allow_unsigned_extensions = true")


def test_a_transaction_is_all_or_nothing(folder):
    """A landing whose second half fails must leave no first half."""
    with writing(folder, purpose="test", tables=TABLES) as writer:
        before = writer.version()
        with pytest.raises(LakeError), writer.transaction("half"):
            writer.insert(NUMBERS, [(9,), ("no number",)])

        assert before == writer.version()
        assert [1, 2] == numbers(writer)


COMMIT_UNTIL_FULL = """
import resource, sys
from pathlib import Path
from gpulake.errors import LakeError
from gpulake.lake import writing
from gpulake.tables import LakeTable
table = LakeTable("main", "numbers", (("n", "bigint"),))
committed = 0
try:
    with writing(Path(sys.argv[1]), purpose="test", tables=()) as writer:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
        while committed < 10_000:
            with writer.transaction("more"):
                writer.insert(table, [(100 + committed,)])
            committed += 1
except LakeError as error:
    print(committed, error.what)
"""


def test_a_catalog_that_cannot_grow_loses_no_commit(folder):
    """A full disk ends the commits with an error; those before it stay, and with space there are more."""
    full = subprocess.run([sys.executable, "-c", COMMIT_UNTIL_FULL, folder], capture_output=True, text=True, check=True)
    committed, _, told = full.stdout.partition(" ")
    assert "File too large" in told
    assert int(committed) > 10
    with open_newest(folder) as view:
        assert [1, 2, *range(100, 100 + int(committed))] == numbers(view)
    with writing(folder, purpose="test", tables=TABLES) as writer:
        with writer.transaction("space"):
            writer.insert(NUMBERS, [(3,)])
        publish(writer)
    with open_publication(folder) as reader:
        assert [1, 2, 3, *range(100, 100 + int(committed))] == numbers(reader)


def test_the_catalog_counts_rows_as_a_query_does(folder):
    with writing(folder, purpose="count", tables=TABLES) as writer:
        with writer.transaction("more"):
            writer.insert(NUMBERS, [(n,) for n in range(3, 9)])
        with writer.transaction("fewer"):
            writer.delete(NUMBERS, "n % 2 = ?", [0])
        (counted,) = writer.sql("SELECT count(*) AS n FROM lake.main.numbers")["n"].to_pylist()
        assert writer.rows_of("main") == {"numbers": counted} == {"numbers": 4}  # 1, 3, 5, 7


def test_only_rows_that_differ_are_replaced(tmp_path):
    """A verdict that stays keeps its row; rows of a key that has several, as an older version left them, become one."""
    table = LakeTable("main", "said", (("who", "varchar"), ("day", "bigint"), ("value", "double"), ("build", "bigint")))

    def rows(*found):
        return pa.Table.from_pylist([dict(zip(("who", "day", "value", "build"), row, strict=True)) for row in found])

    with writing(tmp_path / "lake", purpose="say", tables=(*META_TABLES, table)) as writer:
        with writer.transaction("one"):
            writer.insert(table, rows(("a", 1, 1.0, 7), ("a", 2, 2.0, 7), ("a", 3, None, 7), ("a", 4, 4.0, 7)))
            writer.insert(table, rows(("a", 4, 4.0, 8), ("b", 1, 9.0, 7)))
        with writer.transaction("two"):
            arriving = rows(("a", 1, 1.0, 9), ("a", 2, 2.5, 9), ("a", 3, None, 9), ("a", 4, 4.0, 9), ("a", 5, 5.0, 9))
            writer.replace(table, arriving, of=("who",), key=("day",), but=("build",))
        with writer.transaction("three"):
            writer.replace(table, arriving.slice(0, 4), of=("who",), key=("day",), but=("build",))
        found = [tuple(row.values()) for row in writer.sql("FROM lake.main.said ORDER BY ALL").to_pylist()]

    assert [("a", 1, 1.0, 7), ("a", 2, 2.5, 9), ("a", 3, None, 7), ("a", 4, 4.0, 9), ("b", 1, 9.0, 7)] == found


def test_opening_a_lake_makes_no_version(folder):
    """Looking is not writing: else "nothing new" would be new each night."""
    versions = []
    for _ in range(2):
        with writing(folder, purpose="test", tables=TABLES) as writer:
            versions.append(writer.version())
    assert versions[0] == versions[1]


# -------------------------------------------------------------------------------------- publications


@pytest.mark.parametrize(
    "cut", ["copy missing", "copies left", "pointer old", "pointer missing", "pointer damaged", "old copies left"]
)
def test_every_writer_first_finishes_a_cut_off_publication(folder, cut):
    """A kill between the record and the pointer file must cost one more start, and nothing else."""
    layout = Layout(folder)
    old = layout.pointer.read_text()
    with writing(folder, purpose="test", tables=TABLES) as writer:
        published = publish(writer)
    match cut:
        case "copy missing":
            (folder / published.catalog).unlink()
        case "pointer old":
            layout.pointer.write_text(old)
        case "pointer missing":
            layout.pointer.unlink()
        case "pointer damaged":
            layout.pointer.write_text("{")
        case "copies left":
            (layout.published / "catalog-1.duckdb").write_bytes(b"left over")
        case "old copies left":
            (layout.published / "catalog-1.duckdb").write_bytes(b"left over")
            layout.pointer.write_text(old)
    with writing(folder, purpose="test", tables=TABLES):
        pass

    with open_publication(folder) as reader:
        assert published.build_id == reader.build_id
        assert [1, 2] == numbers(reader)
    assert 1 == len(list(layout.published.iterdir()))


def test_a_damaged_pointer_is_told(folder):
    """Readers must say so, not fail with a traceback or show something else."""
    Layout(folder).pointer.write_text('{"build_id": 3}')

    with pytest.raises(LakeError, match="pointer is damaged"), open_publication(folder):
        pass


def test_nothing_published_is_told(tmp_path):
    """A first look before the first refresh is a usage error that names the next step; a slip in --lake is told as one."""
    (tmp_path / "landed").mkdir()
    (tmp_path / "landed" / "catalog.duckdb").touch()
    for folder, what in [("landed", "nothing is published"), ("", "there is no lake here"), ("typo", "no such folder")]:
        with pytest.raises(UsageError, match=what) as told, open_publication(tmp_path / folder):
            pass
        assert "gpulake refresh" in told.value.do


def test_older_publications_stay_readable_as_they_were(folder):
    """A figure in last week's report can be looked up by its build id."""
    first = Layout(folder).publication().build_id
    with writing(folder, purpose="test", tables=TABLES) as writer:
        publish(writer, now=NOW + timedelta(hours=1))
        with writer.transaction("gone"):
            writer.delete(NUMBERS, "n < ?", [3])
        publish(writer, now=NOW + timedelta(hours=2))
    with open_publication(folder, build_id=first) as then, open_publication(folder) as now:
        assert ([1], []) == (numbers(then), numbers(now))
    with pytest.raises(UsageError, match="no publication of build 999"), open_publication(folder, build_id=999):
        pass


def test_operations_are_read_as_of_the_newest_commit(folder):
    """Acknowledged today, seen today: `ops` runs ahead of the tested data."""
    with open_publication(folder) as reader:
        published = reader.publication
        ops = reader.sql("SELECT n FROM ops.main.numbers ORDER BY n")["n"].to_pylist()

    assert published.ops_version > published.data_version
    assert [1, 2] == ops


def test_a_reader_outlives_the_copy_it_opened(folder):
    """A dashboard that stays open while the next publications come and go goes on showing what it opened."""
    first = Layout(folder).publication().build_id
    with writing(folder, purpose="test", tables=TABLES) as writer:
        publish(writer, now=NOW + timedelta(hours=1))
    with open_publication(folder, build_id=first, earlier=first) as reader:
        with writing(folder, purpose="test", tables=TABLES) as writer:
            with writer.transaction("three"):
                writer.insert(NUMBERS, [(3,)])
            publish(writer, now=NOW + timedelta(hours=2))
        assert not (folder / reader.publication.catalog).exists()
        for alias, shown in {"lake": [1], "earlier": [1], "ops": [1, 2]}.items():
            assert shown == sorted(reader.sql(f"FROM {alias}.main.numbers")["n"].to_pylist())


def test_a_folder_for_temporary_files_that_is_full_or_missing_is_told(folder, monkeypatch):
    """Without a traceback, and with the variable that mends it."""
    monkeypatch.setattr("tempfile.tempdir", "/nowhere at all")

    with pytest.raises(LakeError, match="cannot be copied") as told, open_newest(folder):
        pass
    assert "TMPDIR" in told.value.do


def test_a_moved_lake_works(folder, tmp_path):
    """A lake is a folder: it may be renamed, copied to a stick and written to there."""
    moved = folder.rename(tmp_path / "another name with 'quotes'")
    with open_publication(moved) as reader:
        assert [1] == numbers(reader)
    with writing(moved, purpose="test", tables=TABLES) as writer:
        with writer.transaction("three"):
            writer.insert(NUMBERS, [(3,)])
        publish(writer)
    with open_publication(moved) as reader:
        assert [1, 2, 3] == numbers(reader)
    assert not folder.exists()


# -------------------------------------------------------------------------------------------- damage


@pytest.mark.parametrize("damage", ["garbage", "cut", "empty", "missing"])
def test_a_damaged_catalog_is_a_lake_error_for_writers(folder, damage):
    """An emptied catalog must not be taken for a new lake: the first cleaning would delete every file of the old."""
    catalog = Layout(folder).catalog
    content = catalog.read_bytes()
    match damage:
        case "garbage":
            catalog.write_bytes(b"garbage" * 1000)
        case "cut":
            catalog.write_bytes(content[: len(content) // 3])
        case "empty":
            catalog.write_bytes(b"")
        case "missing":
            catalog.unlink()
    files = sorted(path.name for path in (folder / "data").rglob("*.parquet"))

    with pytest.raises(LakeError), writing(folder, purpose="test", tables=TABLES):
        pass
    assert files == sorted(path.name for path in (folder / "data").rglob("*.parquet"))
    with open_publication(folder) as reader:
        assert [1] == numbers(reader), "readers have a copy of their own"


@pytest.mark.parametrize("damage", ["garbage", "empty", "missing"])
def test_a_damaged_copy_is_a_lake_error_for_readers(folder, damage):
    """No traceback, and no empty answer."""
    (copy,) = Layout(folder).published.iterdir()
    copy.unlink()
    if damage != "missing":
        copy.write_bytes(b"garbage" * 1000 if damage == "garbage" else b"")

    with pytest.raises(LakeError), open_publication(folder) as reader:
        numbers(reader)


def test_a_missing_file_is_a_lake_error(folder):
    """And the way to find out more stands in it."""
    for file in (folder / "data" / "main" / "numbers").glob("*.parquet"):
        file.unlink()

    with open_publication(folder) as reader, pytest.raises(LakeError) as told:
        numbers(reader)
    assert "gpulake verify" in told.value.do


def test_a_folder_that_cannot_be_a_lake_is_told(tmp_path):
    """A file in the way is a LakeError."""
    (tmp_path / "file").write_text("x")

    with pytest.raises(LakeError, match="cannot be made"), writing(tmp_path / "file", purpose="test"):
        pass


def test_a_lake_of_an_earlier_version_gains_the_columns_it_lacks(folder):
    """Else the first refresh after an upgrade would stop at a table that is one column short."""
    wider = LakeTable("main", "numbers", (("word", "varchar"), ("n", "bigint")))
    with writing(folder, purpose="upgrade", tables=(*META_TABLES, wider)) as writer:
        writer.insert(wider, [("three", 3)])
        found = writer.sql("SELECT word, n FROM lake.main.numbers ORDER BY n").to_pylist()
    assert [(None, 1), (None, 2), ("three", 3)] == [(row["word"], row["n"]) for row in found]


def test_what_needs_a_lake_makes_none(tmp_path):
    """`gpulake compact --lake TYPO` must not leave an empty lake behind and call it well."""
    with (
        pytest.raises(UsageError, match="there is no such folder"),
        writing(tmp_path / "typo", purpose="test", make=False),
    ):
        pass
    assert [] == list(tmp_path.iterdir())


@pytest.fixture
def read_only(folder):
    """The lake without a single write permission, put right again afterwards."""
    paths = [folder, *folder.rglob("*")]
    modes = {path: path.stat().st_mode for path in paths}
    for path in paths:
        path.chmod(modes[path] & ~0o222)
    yield folder
    for path, mode in modes.items():
        if path.exists():
            path.chmod(mode)


def test_a_file_system_without_locks_can_be_read(folder, monkeypatch):
    """Some network disks know none: no writer gets one there either, so nothing need be waited for."""

    def no_locks(*_):
        raise OSError(37, "No locks available")

    with open_newest(folder) as view:
        expected = view.sql("SELECT count(*) AS n FROM lake.main.numbers")["n"][0].as_py()
    monkeypatch.setattr("fcntl.flock", no_locks)
    with open_newest(folder) as view:
        assert expected == view.sql("SELECT count(*) AS n FROM lake.main.numbers")["n"][0].as_py()


def test_readers_need_no_write_permission_and_writers_say_so(read_only, mortal_gpulake):
    """A lake on a read-only disk is readable; whoever would write gets one clear error."""
    asked = mortal_gpulake("sql", "--lake", read_only, "--json", "select n from numbers")
    compacted = mortal_gpulake("compact", "--lake", read_only, "--json")

    assert [{"n": 1}] == json.loads(asked.stdout), asked.stderr
    for command in ("status", "verify"):
        looked = mortal_gpulake(command, "--lake", read_only, "--json")
        assert (0, None) == (looked.returncode, json.loads(looked.stdout)["error"]), looked.stderr
    assert 15 == compacted.returncode, compacted.stderr
    error = json.loads(compacted.stdout)["error"]
    assert "LakeError" == error["kind"]
    assert "cannot be written" in error["what"]
    assert str(read_only) in error["where"]
