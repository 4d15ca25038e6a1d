"""A stream leaves few files and few versions behind, whatever its number of batches, and loses nothing over it."""

from __future__ import annotations

import json
import shutil
from contextlib import nullcontext
from datetime import datetime, timedelta
from itertools import count

import pytest

from gpulake import clock, meta, session, stream, upkeep
from gpulake.config import Config
from gpulake.lake import Writer, files, open_publication, writing
from gpulake.sources import all_sources
from gpulake.tables import BUILDS
from gpulake.transports import address
from gpulake.transports.memory import Queue

(PAI,) = (source for source in all_sources() if source.name == "pai2020")
TOPIC = "site.pai_machine_metric"
TOPICS = stream.topics_of(address(f"kafka://here:1/{TOPIC}"), [PAI])
NOW = datetime(2026, 11, 30)  # noqa: DTZ001  # the lake keeps UTC without a zone
ROWS = "SELECT worker_name, start_time FROM lake.main.bronze_machine_metrics ORDER BY ALL"


def message(number):
    row = {"worker_name": f"{number:060x}", "machine": f"{1:024x}", "start_time": 3600.0 * number,
           "end_time": 3600.0 * (number + 1), "machine_gpu": 50.0}  # fmt: skip
    return json.dumps(row).encode()


class _Held(stream.Consumer):
    """A consumer under a lock that is held already."""

    def __init__(self, folder, inlet, writer, **options):
        super().__init__(Config(lake=folder), inlet, TOPICS, **options)
        self._held = writer

    def _writing(self):
        return nullcontext(self._held)

    def _note(self, *_, **__):
        pass


def opened(folder):
    return writing(folder, purpose="test", tables=session.all_tables())


def publish(writer):
    number = writer.version()
    writer.publish(
        build_id=number, data_version=number, fingerprint="f", full_build=True, rows={}, landing_ids=[], now=clock.now()
    )
    return number


def live_files(writer):
    return {
        row["table_name"]: row["file_count"]
        for row in writer.sql("SELECT table_name, file_count FROM ducklake_table_info('lake')").to_pylist()
    }


def test_many_batches_leave_few_files_and_few_versions(tmp_path, monkeypatch):
    """A week of ten seconds is sixty thousand batches: without a bound readers, copies of the catalog and the disk would drown."""
    monkeypatch.setattr(upkeep, "_MANY_VERSIONS", 40)
    monkeypatch.setattr(stream, "_BATCHES_BETWEEN_TENDING", 16)
    began, asked = clock.now(), count()
    monkeypatch.setattr(clock, "now", lambda: began + timedelta(hours=1) * next(asked))  # the whole goes on for days
    folder, queue, shown, tend = tmp_path / "lake", Queue(partitions=1), {}, upkeep.tend
    most = {"files": 0, "versions": 0}

    def looked_at(writer, *, now):
        most["files"] = max(most["files"], *live_files(writer).values())
        most["versions"] = max(most["versions"], writer.count_versions())
        rows = writer.sql(ROWS).to_pylist()
        if len(rows) == 49:
            shown[publish(writer)] = rows
        return tend(writer, now=now)

    monkeypatch.setattr(upkeep, "tend", looked_at)
    for number in range(100):
        queue.put(TOPIC, 0, message(number))
    with opened(folder) as writer:
        one = _Held(folder, queue.consumer([TOPIC]), writer, batch=stream.Batch(messages=1))
        done = one.run(stopping=lambda: False, once=True)
        left = writer.sql(ROWS).to_pylist()
        (found,) = stream.audit(writer)

    assert (100, 100) == (done.batches, len(left))
    assert (100, 100, True) == (found.messages, found.landed, found.closes)
    # Of each table eight small files more than one may stand, and a round's further sixteen come.
    assert most["files"] <= 9 + 16
    # Forty more than were left, and those of one round: sixteen landings, three tables merged.
    assert most["versions"] <= 5 + 40 + 19
    # A day after they were merged small files are gone from the disk: else there were three hundred.
    assert len(list(folder.rglob("*.parquet"))) < 200
    for build_id, rows in shown.items():
        with open_publication(folder, build_id=build_id) as reader:
            assert rows == reader.sql(ROWS).to_pylist()
    assert shown


def test_a_consumer_that_is_started_for_each_batch_tidies_too(tmp_path):
    """As a timer does it: counted by each process alone, its next round would never come."""
    folder, queue = tmp_path / "lake", Queue(partitions=1)
    with opened(folder) as writer:
        for number in range(12):
            queue.put(TOPIC, 0, message(number))
            _Held(folder, queue.consumer([TOPIC]), writer).run(stopping=lambda: False, once=True)
        assert max(live_files(writer).values()) <= 9


class _KilledError(Exception):
    pass


@pytest.fixture(scope="module")
def scattered(tmp_path_factory):
    """A lake of ten small batches with a publication after the eighth, and what that showed."""
    folder, queue = tmp_path_factory.mktemp("scattered") / "lake", Queue(partitions=1)
    with pytest.MonkeyPatch.context() as patched, opened(folder) as writer:
        patched.setattr(Writer, "tidy", lambda _self: ())
        one = _Held(folder, queue.consumer([TOPIC]), writer)
        one.step()
        for number in range(10):
            queue.put(TOPIC, 0, message(number))
            one.step()
            one._with_lock()
            if number == 7:
                shown, build_id = writer.sql(ROWS).to_pylist(), publish(writer)
    return folder, build_id, shown


@pytest.mark.parametrize(
    "point", ["merge_adjacent_files", "expire_snapshots", "CHECKPOINT", "copy", "pointer", "cleanup_old_files"]
)
def test_tending_that_is_cut_off_anywhere_loses_nothing(scattered, tmp_path, monkeypatch, point):
    """Right after merging, forgetting, the readers' fresh copy and deleting: whoever reads then, and later, reads the same."""
    made, build_id, shown = scattered
    folder = shutil.copytree(made, tmp_path / "lake")
    later = clock.now() + timedelta(days=2)  # all that may be deleted is
    (folder / "tended").write_text("2026-01-01T00:00:00 1")

    def dying(real, is_there):
        def run(*given, **options):
            done = real(*given, **options)
            if is_there(*given):
                raise _KilledError
            return done

        return run

    with monkeypatch.context() as patched:
        patched.setattr(Writer, "_execute", dying(Writer._execute, lambda _self, query, *_: point in query))
        patched.setattr(files, "copy_whole", dying(files.copy_whole, lambda *_: point == "copy"))
        patched.setattr(files, "replace", dying(files.replace, lambda *_: point == "pointer"))
        with pytest.raises(_KilledError), opened(folder) as writer:
            upkeep.tend(writer, now=later)

    for round_no in range(2):
        with open_publication(folder, build_id=build_id) as reader:
            assert shown == reader.sql(ROWS).to_pylist()
        with opened(folder) as writer:
            upkeep.tend(writer, now=later + timedelta(days=2 * round_no))
            assert 10 == len(writer.sql(ROWS))
            assert 1 == live_files(writer)["bronze_machine_metrics"]
    assert 1 == len(list((folder / "data" / "main" / "bronze_machine_metrics").glob("*.parquet")))


def test_what_is_built_and_not_published_yet_is_not_forgotten(scattered, tmp_path):
    """`gpulake publish` tests the version that `gpulake detect` made: a stream that lands between them must leave it."""
    folder = shutil.copytree(scattered[0], tmp_path / "lake")
    with opened(folder) as writer:
        build_id = writer.version()
        with writer.transaction("build", build_id=build_id):
            writer.insert(BUILDS, [(build_id, NOW, "f", False, 10, "{}")])
        with writer.transaction("detect", build_id=build_id):
            writer._execute("CREATE TABLE lake.main.scores (n bigint)")
        scored = writer.version()
        with writer.transaction("land"):
            writer._execute("CREATE TABLE lake.main.landed (n bigint)")
        (folder / "tended").write_text("2026-01-01T00:00:00 1")
        upkeep.tend(writer, now=clock.now())
        kept = set(writer.sql("SELECT snapshot_id FROM lake.snapshots()")["snapshot_id"].to_pylist())
        assert scored == meta.scored_version(writer, build_id)
    assert {build_id, scored} <= kept
