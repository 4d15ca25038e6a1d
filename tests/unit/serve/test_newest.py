"""A newer publication takes the place of the one before once it is ready, and nobody waits for that."""

from __future__ import annotations

import os
import shutil
import threading
import time
from contextlib import contextmanager
from datetime import datetime

import pytest

from gpulake.errors import UsageError
from gpulake.lake import Layout, writing
from gpulake.serve import newest
from gpulake.serve.newest import MOST_BEHIND, Newest
from gpulake.tables import META_TABLES, LakeTable

NOW = datetime(2026, 11, 25, 12)  # noqa: DTZ001  # as the lake keeps it
NUMBERS = LakeTable("main", "numbers", (("n", "bigint"),))
SEEN = "select count(*) as n from numbers"
BUILDS = "select count(*) as n from ops.meta.publications"


def put(folder, number):
    """Publish one more number, as a refresh does."""
    with writing(folder, purpose="put", tables=(*META_TABLES, NUMBERS)) as writer:
        with writer.transaction("put"):
            writer.insert(NUMBERS, [(number,)])
        version = writer.version()
        writer.publish(
            build_id=version, data_version=version, fingerprint="f", full_build=True, rows={}, landing_ids=[], now=NOW
        )


def note(folder):
    """Write operations only, as whoever tells of incidents does."""
    with writing(folder, purpose="note", tables=(*META_TABLES, NUMBERS)) as writer:
        with writer.transaction("note"):
            writer.insert(NUMBERS, [(0,)])
        writer.renew_copy()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "lake"
    put(folder, 1)
    return folder


@pytest.fixture
def folder(made, tmp_path, monkeypatch):
    monkeypatch.setattr(newest, "clusters_of", lambda _reader: ())
    monkeypatch.setattr(newest, "LOOKS_EVERY_S", 0.02)
    return shutil.copytree(made, tmp_path / "lake")


class Visit:
    """Counts what is asked ahead; goes on from one piece to the next only as long as it is let."""

    def __init__(self):
        self.readers, self.let = [], threading.Event()

    def __call__(self, reader, _clusters):
        self.readers.append(reader)
        while not self.let.wait(0.01):
            yield
        reader.sql(SEEN)
        yield


@contextmanager
def served(folder, visit):
    pages = Newest(folder)
    with pages.watched(visit):
        yield pages
    pages.close()


def seen(pages):
    with pages.open() as (reader, _):
        return reader.sql(SEEN)["n"][0].as_py()


def until(holds):
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.01)


def test_who_comes_while_a_publication_is_made_ready_sees_the_one_before(folder):
    visit = Visit()
    with served(folder, visit) as pages:
        assert seen(pages) == 1
        visit.let.set()
        until(lambda: len(visit.readers) == 1)
        visit.let.clear()
        put(folder, 2)
        until(lambda: len(visit.readers) == 2)
        assert seen(pages) == 1, "nobody waits"
        visit.let.set()
        until(lambda: seen(pages) == 2)


def test_a_publication_that_never_gets_ready_is_shown_all_the_same(folder):
    """A visitor of the next day must not see the figures of the day before."""
    with served(folder, Visit()) as pages:
        assert seen(pages) == 1
        put(folder, 2)
        assert seen(pages) == 1
        late = time.time() - MOST_BEHIND.total_seconds()
        os.utime(Layout(folder).pointer, (late, late))
        assert seen(pages) == 2


def test_nothing_is_asked_before_the_first_visitor_comes(folder):
    visit = Visit()
    with served(folder, visit) as pages:
        time.sleep(0.1)
        assert visit.readers == []
        seen(pages)
        until(lambda: visit.readers)


def test_what_operations_change_is_asked_again_and_nothing_else(folder, monkeypatch):
    """A tick of the alerts renews the readers' copy every minute; the figures of the pages stay what they were."""
    asked = []
    answer = newest.Answers.of

    def told(answers, query, params, ask):
        return answer(answers, query, params, lambda: asked.append(query) or ask())

    monkeypatch.setattr(newest.Answers, "of", told)
    pages = Newest(folder)
    for change in (note, None):
        with pages.open() as (reader, _):
            assert reader.sql(SEEN)["n"].to_pylist() == [1]
            assert reader.sql(BUILDS)["n"].to_pylist() == [1]
        if change:
            change(folder)
    pages.close()
    assert asked == [SEEN, BUILDS, BUILDS]


def test_no_thread_outlives_the_server(folder):
    """Though nobody has come, or what is asked ahead would never end."""
    with served(folder, Visit()):
        pass
    visit = Visit()
    with served(folder, visit) as pages:
        seen(pages)
        until(lambda: visit.readers)
    assert "newest" not in [thread.name for thread in threading.enumerate()]


def test_a_lake_that_went_away_is_said_and_a_new_one_in_its_place_is_shown(folder):
    visit = Visit()
    visit.let.set()
    with served(folder, visit) as pages:
        assert seen(pages) == 1
        aside = folder.with_name("aside")
        folder.rename(aside)
        with pytest.raises(UsageError, match="no such folder"):
            seen(pages)
        aside.rename(folder)
        put(folder, 2)
        until(lambda: seen(pages) == 2)
