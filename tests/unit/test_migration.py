"""A lake of the version before, with its catalog in SQLite, is brought over whole, or left as it is."""

from __future__ import annotations

import fcntl
import json
import shutil
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from gpulake import clock, upkeep
from gpulake.errors import LakeError, LockError, UsageError
from gpulake.lake import Layout, files, migration, open_newest, open_publication, writing
from gpulake.lake.connection import attach_options, connect, load
from gpulake.reading import export
from gpulake.tables import META_TABLES, LakeTable

NOW = datetime(2026, 11, 25, 12)  # noqa: DTZ001  # as the lake keeps it
NUMBERS = LakeTable("main", "numbers", (("n", "bigint"),))
TABLES = (*META_TABLES, NUMBERS)


def publish(writer, *, now):
    number = writer.version()
    return writer.publish(
        build_id=number, data_version=number, fingerprint="f", full_build=True, rows={}, landing_ids=[], now=now
    ).build_id


def numbers(view, alias="lake"):
    return sorted(view.sql(f"SELECT n FROM {alias}.main.numbers")["n"].to_pylist())


def make_old(folder):
    """Put a lake's catalog, and the readers' copy of it, into SQLite files as the version before wrote them."""
    layout = Layout(folder)
    with closing(connect()) as connection:
        load(connection, "sqlite_scanner")
        options = f"{attach_options(layout.data)}, META_JOURNAL_MODE 'WAL'"
        connection.execute(f"ATTACH 'ducklake:sqlite:{layout.sqlite_catalog}' AS lake ({options})")
        connection.execute("FROM lake.snapshots()")
        connection.execute("DETACH lake")
        connection.execute(f"ATTACH '{layout.catalog}' AS new (READ_ONLY)")
        connection.execute(f"ATTACH '{layout.sqlite_catalog}' AS old (TYPE sqlite)")
        for table, columns in migration._columns(connection, "old").items():
            typed = ", ".join(f'"{name}"::{kind} AS "{name}"' for name, kind in columns)
            connection.execute(f'DELETE FROM old."{table}"')
            connection.execute(f'INSERT INTO old."{table}" BY NAME SELECT {typed} FROM new."{table}"')
    pointer = json.loads(layout.pointer.read_text())
    copy = folder / pointer["catalog"].replace(".duckdb", ".sqlite")
    with closing(sqlite3.connect(layout.sqlite_catalog)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
        target.execute("PRAGMA journal_mode = delete")
    layout.pointer.write_text(json.dumps({**pointer, "catalog": f"published/{copy.name}"}))
    layout.catalog.unlink()
    copy.with_suffix(".duckdb").unlink()
    layout.lock.rename(layout.sqlite_lock)


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    """An old lake with two publications, a deletion, merged files, and a number that is not published; their builds."""
    folder = tmp_path_factory.mktemp("old") / "lake"
    with writing(folder, purpose="make", tables=TABLES) as writer:
        for number in (1, 2, 3):
            writer.insert(NUMBERS, [(number,)])
        first = publish(writer, now=NOW)
        writer.merge_files()
        writer.delete(NUMBERS, "n = ?", [2])
        second = publish(writer, now=NOW + timedelta(days=1))
        with writer.transaction("land", landing_id="it's mine"):
            writer.insert(NUMBERS, [(4,)])
    make_old(folder)
    return folder, first, second


@pytest.fixture
def folder(old, tmp_path):
    return shutil.copytree(old[0], tmp_path / "lake")


def records(view):
    """Every version with its time and message."""
    return view.sql("FROM lake.snapshots() ORDER BY snapshot_id").to_pylist()


def assert_brought_over(folder, old, before):
    _, first, second = old
    with writing(folder, purpose="test", tables=TABLES) as writer:
        assert [1, 3, 4] == numbers(writer)
        assert before == records(writer)
    for build_id, expected in {first: [1, 2, 3], second: [1, 3]}.items():
        with open_publication(folder, build_id=build_id) as reader:
            assert expected == numbers(reader)
            assert [1, 3, 4] == numbers(reader, "ops")
    assert () == upkeep.verify(folder, now=NOW).faults
    assert not Layout(folder).sqlite_catalog.exists()
    assert Layout(folder).retired_catalog.is_file(), "whoever mistrusts the new one still has the old"


def test_a_lake_of_the_version_before_can_be_read(folder, old):
    """An upgrade must not stop the dashboards until the next refresh."""
    _, first, second = old
    with open_publication(folder) as reader, open_publication(folder, build_id=first, earlier=second) as both:
        assert ([1, 3], [1, 3, 4]) == (numbers(reader), numbers(reader, "ops"))
        assert ([1, 2, 3], [1, 3]) == (numbers(both), numbers(both, "earlier"))
    with open_newest(folder) as view:
        assert [1, 3, 4] == numbers(view)
    assert Layout(folder).sqlite_catalog.exists()


def test_the_duckdb_shell_needs_it_brought_over(folder):
    """The words to attach it would fail there with an error of DuckDB's own."""
    with pytest.raises(UsageError, match="version before") as told:
        export.shell_setup(folder)
    assert "gpulake compact" in told.value.do


def test_the_next_writer_brings_it_over_whole(folder, old):
    """Every landing and every kept publication, with nothing to do for whoever upgrades."""
    with open_newest(folder) as view:
        before = records(view)
    with open_publication(folder) as reader:
        assert_brought_over(folder, old, before)
        assert [1, 3] == numbers(reader), "a reader of the old copy goes on reading"


def test_compaction_drops_what_is_left_of_the_old_one(folder, old):
    """It knows of files that are deleted then."""
    with writing(folder, purpose="compact", tables=TABLES) as writer:
        upkeep.compact(writer, now=clock.now() + timedelta(days=2))

    assert [] == [path for path in folder.rglob("*sqlite*") if path.is_file()]
    with open_publication(folder, build_id=old[1]) as reader:
        assert [1, 2, 3] == numbers(reader)


@pytest.mark.parametrize("cut", ["before the name", "after the name", "half a copy", "before the readers' copy"])
def test_cut_off_anywhere_the_next_writer_ends_it(folder, old, cut, monkeypatch):
    """A power cut in the minute of the upgrade must cost nothing."""
    with open_newest(folder) as view:
        before = records(view)

    def die(*_):
        raise KeyboardInterrupt

    match cut:
        case "before the name":
            monkeypatch.setattr(files, "put", die)
        case "after the name":
            real = Path.replace
            monkeypatch.setattr(Path, "replace", lambda path, to: die() if path.suffix == ".sqlite" else real(path, to))
        case "half a copy":
            (folder / "catalog.unfinished").write_bytes(b"half a copy")
            (folder / "catalog.unfinished.wal").write_bytes(b"and its log")
        case "before the readers' copy":
            monkeypatch.setattr(files, "copy_whole", die)
    if cut != "half a copy":
        with pytest.raises(KeyboardInterrupt), writing(folder, purpose="test", tables=TABLES):
            pass
    monkeypatch.undo()
    with open_publication(folder) as reader:
        assert [1, 3] == numbers(reader)

    assert_brought_over(folder, old, before)
    assert not list(folder.glob("catalog.unfinished*"))


def test_what_stands_in_its_log_comes_along(folder, old, tmp_path):
    """The old version was killed last: its newest commits are not in the file but beside it."""
    layout = Layout(folder)
    with closing(sqlite3.connect(layout.sqlite_catalog)) as killed:
        killed.execute("PRAGMA journal_mode = wal")
        killed.execute("UPDATE ducklake_snapshot_changes SET author = 'the late one' WHERE snapshot_id = 1")
        killed.commit()
        copied = shutil.copytree(folder, tmp_path / "after the kill")
    assert (copied / "catalog.sqlite-wal").stat().st_size
    with writing(copied, purpose="test", tables=TABLES) as writer:
        assert "the late one" == records(writer)[1]["author"]


@pytest.mark.parametrize("damage", ["garbage", "cut", "unknown table"])
def test_a_damaged_one_is_told_and_left_as_it_is(folder, damage):
    """Half a catalog must not become the new one."""
    catalog = Layout(folder).sqlite_catalog
    match damage:
        case "garbage":
            catalog.write_bytes(b"garbage" * 1000)
        case "cut":
            catalog.write_bytes(catalog.read_bytes()[:20_000])
        case "unknown table":
            with closing(sqlite3.connect(catalog)) as connection:
                connection.execute("CREATE TABLE ducklake_inlined_data_1_1 (n)")
    size = catalog.stat().st_size

    with pytest.raises(LakeError) as told, writing(folder, purpose="test", tables=TABLES):
        pass
    assert str(catalog) in str(told.value)
    assert size == catalog.stat().st_size
    assert not Layout(folder).catalog.exists()
    with open_publication(folder) as reader:
        assert [1, 3] == numbers(reader)


def test_an_old_gpulake_at_work_is_waited_for(folder):
    """It holds a lock of another name: what it is about to commit must not be lost."""
    with Layout(folder).sqlite_lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with (
            pytest.raises(LockError, match="version before is writing"),
            writing(folder, purpose="test", tables=TABLES),
        ):
            pass
    assert Layout(folder).sqlite_catalog.exists()


def test_a_second_old_catalog_is_told(folder):
    """An old gpulake that came back has landed something there: nobody may throw that away unseen."""
    with writing(folder, purpose="test", tables=TABLES):
        pass
    shutil.copy(Layout(folder).retired_catalog, Layout(folder).sqlite_catalog)

    with pytest.raises(LakeError, match="second catalog") as told, writing(folder, purpose="test", tables=TABLES):
        pass
    assert "land again" in told.value.do
