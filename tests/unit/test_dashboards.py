"""The file that dashboards read: written when it is wanted, whole, one build at a time, and never at a publication's cost."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import closing
from datetime import datetime

import duckdb
import pytest

from gpulake.errors import UsageError
from gpulake.lake import Layout, writing
from gpulake.reading import dashboards
from gpulake.reading.models import Column, Model
from gpulake.tables import META_TABLES, LakeTable

NOW = datetime(2026, 11, 25, 12)  # noqa: DTZ001  # as the lake keeps it
NUMBERS = LakeTable("main", "gold_numbers", (("n", "bigint"),))
OTHERS = LakeTable("main", "gold_others", (("n", "bigint"),))
TABLES = (*META_TABLES, NUMBERS, OTHERS)
MODELS = {
    "gold_numbers": Model(
        name="gold_numbers",
        description="One row per number.",
        grain=("n",),
        columns={"n": Column("n", "It's the number", "count", {}, None)},
        sql_file="gold_numbers.sql",
        sql="",
    )
}


def publish(folder, n):
    """Publish one more number."""
    with writing(folder, purpose="test", tables=TABLES) as writer:
        with writer.transaction("more"):
            writer.insert(NUMBERS, [(n,)])
        number = writer.version()
        writer.publish(
            build_id=number, data_version=number, fingerprint="f", full_build=True, rows={}, landing_ids=[], now=NOW
        )
    return number


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "lake"
    publish(folder, 1)
    return folder


@pytest.fixture
def folder(made, tmp_path):
    """A lake with one number, published, for which dashboards were set up."""
    lake = shutil.copytree(made, tmp_path / "lake")
    dashboards.order(lake, tables=["gold_numbers"])
    return lake


def asked(file, query):
    with closing(duckdb.connect(str(file), read_only=True)) as connection:
        return connection.execute(query).fetchall()


def numbers(folder):
    return [n for (n,) in asked(os.path.realpath(dashboards.link(folder)), "SELECT n FROM gold_numbers ORDER BY n")]


def test_who_has_no_dashboards_pays_nothing(made, tmp_path):
    """A delivery must not write what nobody reads."""
    lake = shutil.copytree(made, tmp_path / "lake")

    assert dashboards.renew(lake, models=MODELS) is None
    assert not dashboards.folder(lake).exists()


def test_the_file_holds_the_tables_asked_for_and_which_build_they_are(folder):
    renewed = dashboards.renew(folder, models=MODELS)

    assert renewed is not None
    assert renewed.error is None
    assert [1] == numbers(folder)
    held = asked(renewed.file, "SELECT table_name FROM duckdb_tables() ORDER BY ALL")
    assert [("gold_numbers",), ("publication",)] == held
    publication = Layout(folder).publication()
    assert [(publication.build_id, NOW)] == asked(renewed.file, "SELECT * FROM publication")


def test_tables_and_columns_are_described(folder):
    renewed = dashboards.renew(folder, models=MODELS)

    assert [("One row per number.",)] == asked(
        renewed.file, "SELECT comment FROM duckdb_tables() WHERE table_name = 'gold_numbers'"
    )
    assert [("It's the number (count).",)] == asked(
        renewed.file, "SELECT comment FROM duckdb_columns() WHERE table_name = 'gold_numbers'"
    )


def test_twice_is_once(folder):
    dashboards.renew(folder, models=MODELS)
    file = dashboards.link(folder).stat()

    assert dashboards.renew(folder, models=MODELS) is None
    assert (file.st_ino, file.st_mtime_ns) == (dashboards.link(folder).stat().st_ino, file.st_mtime_ns)


def test_a_publication_is_swapped_in_and_an_open_reader_keeps_its_own(folder):
    """A dashboard that is being drawn must not mix two builds, and the next one must show the new one."""
    dashboards.renew(folder, models=MODELS)
    with closing(duckdb.connect(os.path.realpath(dashboards.link(folder)), read_only=True)) as reader:
        for n in (2, 3, 4):
            publish(folder, n)
            assert dashboards.renew(folder, models=MODELS).error is None
            assert list(range(1, n + 1)) == numbers(folder)
        assert [(1,)] == reader.execute("SELECT n FROM gold_numbers").fetchall()
    assert 2 == len(list(dashboards.folder(folder).glob("*.duckdb"))) - 1  # this one, the one before, and the link


def test_other_tables_asked_for_are_a_new_file(folder):
    """After an upgrade dashboards may read more."""
    dashboards.renew(folder, models=MODELS)
    dashboards.order(folder, tables=["gold_others", "gold_numbers"])

    renewed = dashboards.renew(folder, models=MODELS)
    assert [(3,)] == asked(renewed.file, "SELECT count(*) FROM duckdb_tables()")


def test_what_a_killed_process_left_is_cleared(folder):
    for name in ("build.unfinished", "build.unfinished.wal"):
        (dashboards.folder(folder) / name).write_bytes(b"half")
    (dashboards.folder(folder) / "publication.turned").symlink_to("nowhere")

    assert dashboards.renew(folder, models=MODELS).error is None
    assert [1] == numbers(folder)
    assert not [*dashboards.folder(folder).glob("*unfinished*"), *dashboards.folder(folder).glob("*.turned")]


RENEW_WHILE_FULL = """
import resource, sys
from pathlib import Path
from gpulake.reading import dashboards
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
renewed = dashboards.renew(Path(sys.argv[1]), models={})
print(renewed.error)
"""


def test_a_full_disk_leaves_the_file_as_it_was_and_says_so(folder):
    """The publication stands; the dashboards show the build before, and people are told."""
    dashboards.renew(folder, models=MODELS)
    publish(folder, 2)
    told = subprocess.run(
        [sys.executable, "-c", RENEW_WHILE_FULL, folder], capture_output=True, text=True, check=True
    ).stdout

    assert told.startswith("dashboards still show the build before: their file could not be renewed:")
    assert "run: gpulake publish" in told
    assert [1] == numbers(folder)
    assert not list(dashboards.folder(folder).glob("*unfinished*"))
    assert dashboards.renew(folder, models=MODELS).error is None
    assert [1, 2] == numbers(folder)


@pytest.mark.parametrize("order", ["{", "[]", "{}", "null", '{"tables": 5}'])
def test_a_damaged_order_is_a_warning_and_no_crash(folder, order):
    (dashboards.folder(folder) / "tables.json").write_text(order, encoding="utf-8")

    renewed = dashboards.renew(folder, models=MODELS)
    assert "could not be renewed" in renewed.error.what
    assert json.dumps(renewed.as_json())


def test_no_order_is_left_where_there_is_no_lake(tmp_path):
    with pytest.raises(UsageError, match="there is no"):
        dashboards.order(tmp_path / "none", tables=["gold_numbers"])
    assert not (tmp_path / "none").exists()
