"""Retention, compaction and verification: nothing kept is lost, and every loss is found."""

from __future__ import annotations

import os
import shutil
from datetime import datetime, timedelta

import pytest

from gpulake import clock, landing, upkeep
from gpulake.config import Config
from gpulake.errors import LakeError, UsageError
from gpulake.lake import files, open_newest, open_publication, writing
from gpulake.sources import pai2020
from gpulake.tables import META_TABLES, SCORINGS, bronze_tables

TABLES = (*META_TABLES, *bronze_tables([pai2020.SOURCE]))
NOW = datetime(2026, 3, 20, 12)  # noqa: DTZ001  # as the lake keeps it


def at(text):
    return datetime.fromisoformat(f"2026-{text}")


# -------------------------------------------------------------------------------------------- retention

CALENDAR = [
    # build, published, kept on 2026-03-20 at 12:00?
    (1, "01-05T10:00", False),  # January: not its last
    (2, "01-31T23:00", True),  # the last of January, for ever
    (3, "02-12T09:00", False),  # 36 days ago, not the last of February
    (4, "02-13T11:00", False),  # 35 days and one hour ago
    (5, "02-13T13:00", True),  # 34 days and 23 hours ago: the last of its day
    (6, "02-28T08:00", False),  # not the last of its day
    (7, "02-28T20:00", True),  # the last of February
    (8, "03-19T11:00", False),  # 25 hours ago, not the last of its day
    (9, "03-19T12:00", True),  # 24 hours ago
    (10, "03-19T13:00", True),
    (11, "03-20T08:00", True),
    (12, "03-20T08:01", True),
]


def test_retention_is_the_calendar_worked_out_by_hand():
    """All of 24 hours, the last of each day for 35 days, the last of each month for ever: no more and no less."""
    publications = [(build, at(when)) for build, when, _ in CALENDAR]

    kept = [build for build, _, keep in CALENDAR if keep]
    assert kept == list(upkeep.kept_publications(publications, now=NOW))
    assert set(kept) == set(upkeep.kept_publications(publications[::-1], now=NOW))


def test_the_newest_is_kept_however_old():
    """A lake that nobody refreshed for a year still has something to show."""
    assert (1,) == upkeep.kept_publications([(1, NOW - timedelta(days=400))], now=NOW)
    assert () == upkeep.kept_publications([], now=NOW)


def test_keeping_is_stable():
    """Forgetting twice forgets no more: else the monthly ones would be worn away by nightly rounds."""
    publications = [(hour, NOW - timedelta(hours=hour)) for hour in range(0, 24 * 120, 7)]
    kept = upkeep.kept_publications(publications, now=NOW)
    left = [publication for publication in publications if publication[0] in kept]

    assert sorted(kept) == sorted(upkeep.kept_publications(left, now=NOW))


# ----------------------------------------------------------------------------------------------- a lake


def land(writer, file):
    return landing.land(
        writer, landing.survey(file, [pai2020.SOURCE]), config=Config(lake=writer.layout.folder), now=NOW
    )


def publish(writer, now):
    version = writer.version()
    return writer.publish(
        build_id=version, data_version=version, fingerprint="f", full_build=True, rows={}, landing_ids=[], now=now
    ).build_id


JOBS = "SELECT * EXCLUDE landing_id FROM lake.main.bronze_job_events ORDER BY ALL"


@pytest.fixture(scope="module")
def history(tmp_path_factory, pai):
    """A lake with five landings and five publications over a month, and what each showed when it was new."""
    folder = tmp_path_factory.mktemp("history")
    seen = {}
    with writing(folder / "lake", purpose="test", tables=TABLES) as writer:
        for number, days_ago in enumerate([60, 40, 3, 0.1, 0]):
            lines = [pai.job(number * 10 + n) for n in range(number + 1)] + (["bad"] if number == 2 else [])
            land(writer, pai.write(folder / f"pai_job_table.{number}.csv", lines))
            build_id = publish(writer, NOW - timedelta(days=days_ago))
            seen[build_id] = writer.sql(JOBS).to_pylist()
    return folder / "lake", seen


@pytest.fixture
def lake(history, tmp_path):
    return shutil.copytree(history[0], tmp_path / "lake")


def test_compaction_keeps_every_kept_publication_as_it_was(history, lake, pai):
    """A figure of last month must be found again after later landings, merging and forgetting."""
    _, seen = history
    with writing(lake, purpose="compact", tables=TABLES) as writer:
        compacted = upkeep.compact(writer, now=NOW)
        land(writer, pai.write(lake.parent / "pai_job_table.late.csv", [pai.job(99)]))
        upkeep.compact(writer, now=NOW)

    builds = list(seen)
    assert builds == list(compacted.kept_builds), "each is the last of its month or day, or of today"
    assert compacted.expired_versions > 0
    for build_id, rows in seen.items():
        with open_publication(lake, build_id=build_id) as reader:
            assert rows == reader.sql(JOBS).to_pylist()
    assert () == upkeep.verify(lake, now=NOW).faults


def test_compaction_forgets_what_is_not_kept(history, lake):
    """A lake that keeps everything grows without end; models go with their build, unless their scores stand for a later one."""
    _, seen = history
    first, second, *_ = seen
    newer, mine = str(max(seen) + 1), "notes"
    never_published = [str(min(seen) - 1), str(max(seen) - 1)]
    for name in [*map(str, seen), *never_published, newer, mine]:
        (lake / "artefacts" / name / "iforest").mkdir(parents=True)
    later = NOW + timedelta(days=3)
    standing, newest = never_published[0], max(seen)
    with writing(lake, purpose="compact", tables=TABLES) as writer:
        with writer.transaction("detect"):
            writer.insert(
                SCORINGS, [(newest, "toy", "c", int(standing), "digest", "note", "cluster_day", True, "never")]
            )
        writer._execute(
            "UPDATE lake.meta.publications SET published_at = published_at + interval 20 day WHERE build_id = ?",
            [first],
        )
        writer.renew_copy()
        compacted = upkeep.compact(writer, now=later)

    assert set(compacted.kept_builds) < set(seen)
    assert set(never_published).isdisjoint(map(str, seen))
    assert {str(build) for build in compacted.kept_builds} | {newer, mine, standing} == {
        folder.name for folder in (lake / "artefacts").iterdir()
    }
    assert second in seen


def test_a_query_that_runs_during_compaction_ends_well(lake):
    """Files go only when no running query can need them."""
    with open_publication(lake) as reader, writing(lake, purpose="compact", tables=TABLES) as writer:
        before = reader.sql(JOBS).to_pylist()
        upkeep.compact(writer, now=NOW)

        assert before == reader.sql(JOBS).to_pylist()


def versions(lake):
    with open_newest(lake) as view:
        return set(view.sql("SELECT snapshot_id FROM lake.snapshots()")["snapshot_id"].to_pylist())


def test_a_refresh_forgets_once_a_day_and_nothing_that_is_kept(history, lake):
    """A lake that is refreshed every hour and never compacted must neither grow for ever nor forget each time."""
    _, seen = history
    whole, files_of = versions(lake), lambda: {path.name for path in lake.rglob("*.parquet")}
    with writing(lake, purpose="refresh", tables=TABLES) as writer:
        upkeep.tend(writer, now=NOW)
        upkeep.tend(writer, now=NOW + timedelta(hours=23))
    assert whole == versions(lake)

    with writing(lake, purpose="refresh", tables=TABLES) as writer:
        writer.merge_files()
        upkeep.tend(writer, now=NOW + timedelta(hours=24))
    january, february, march, *_, last_but_one, newest = sorted(seen)
    left, before = versions(lake), files_of()
    assert {january, february, march, newest, max(left)} == left, "two of one day, and the first is over a day old"
    assert last_but_one in whole

    # Merged files may go when nobody can be reading them any more: a day later, by the machine's clock.
    with writing(lake, purpose="refresh", tables=TABLES) as writer:
        upkeep.tend(writer, now=clock.now() + timedelta(days=2))
    assert files_of() < before
    for build_id, rows in ((build_id, seen[build_id]) for build_id in (january, february, newest)):
        with open_publication(lake, build_id=build_id) as reader:
            assert rows == reader.sql(JOBS).to_pylist()


# ----------------------------------------------------------------------------------------------- verify


def test_a_whole_lake_has_no_fault(history):
    """Every kept publication, every table, every file is looked at."""
    folder, seen = history
    found = upkeep.verify(folder, now=NOW)

    assert () == found.faults
    assert found.error is None
    assert tuple(seen) == found.publications
    assert found.files_checked >= 5


def damage(kind, files):
    victim = files[0]
    match kind:
        case "deleted":
            victim.unlink()
        case "truncated":
            victim.write_bytes(victim.read_bytes()[:-40])
        case "emptied":
            victim.write_bytes(b"")
        case "swapped":
            shutil.copy(files[-1], victim)


@pytest.mark.parametrize("kind", ["deleted", "truncated", "emptied", "swapped"])
def test_every_loss_of_a_file_is_found(lake, kind):
    """A `count(*)` would be answered from the catalog and call all of these well."""
    damage(
        kind, sorted((lake / "data" / "main" / "bronze_job_events").glob("*.parquet"), key=lambda f: f.stat().st_size)
    )
    found = upkeep.verify(lake, now=NOW)

    assert found.faults
    assert isinstance(found.error, LakeError)
    assert any("bronze_job_events" in fault for fault in found.faults)


def test_lost_records_are_a_fault_like_any_other(lake):
    """Whoever is told "run: gpulake verify" must not be told the same again by it."""
    shutil.rmtree(lake / "data" / "meta")
    found = upkeep.verify(lake, now=NOW)

    assert "the records of the lake cannot be read" in found.faults[0]
    assert "restore the lake" in found.error.do


def test_what_two_writers_without_the_lock_do_is_found(lake, pai, monkeypatch):
    """Why the lock stands: two that look, see "not landed yet" and land double every row, and nothing fails."""
    file = pai.write(lake.parent / "pai_job_table.csv", [pai.job(7), pai.job(8)])
    monkeypatch.setattr(files, "lock", lambda layout, purpose, wait_s: os.open(layout.lock, os.O_RDWR))
    surveyed = landing.survey(file, [pai2020.SOURCE])
    options = {"config": Config(lake=lake), "now": NOW}
    reports = []
    with writing(lake, purpose="one", tables=TABLES) as one:

        def land_too():
            one.let_go()
            with writing(lake, purpose="two", tables=TABLES) as two:
                reports.append(landing.land(two, surveyed, **options))

        # "New" is told between the look and the landing: there the other one lands.
        reports.append(landing.land(one, surveyed, **options, on_new=land_too))
    assert [["landed"], ["landed"]] == [[landing.status for landing in report.landings] for report in reports]

    faults = upkeep.verify(lake, now=NOW).faults
    assert any("bronze_job_events has 4 rows of landing" in fault and "which kept 2" in fault for fault in faults)


def test_a_lost_catalog_copy_is_found(lake):
    """Readers have nothing else."""
    for copy in (lake / "published").iterdir():
        copy.unlink()

    assert any("cannot be read" in fault for fault in upkeep.verify(lake, now=NOW).faults)


def test_there_must_be_a_lake(tmp_path):
    """A typing slip is a usage error."""
    for ask in (upkeep.status, lambda folder: upkeep.verify(folder, now=NOW)):
        with pytest.raises(UsageError, match="there is no lake here"):
            ask(tmp_path)


# ----------------------------------------------------------------------------------------------- status


def test_status_counts_what_is_there(history):
    """Tables, rows, days, the last landing, what waits: at a glance and true."""
    folder, seen = history
    found = upkeep.status(folder)

    rows = {table.name: table.rows for table in found.tables}
    assert 1 + 2 + 3 + 4 + 5 == rows["main.bronze_job_events"] == len(list(seen.values())[-1])
    assert 5 == rows["meta.landings"] == found.pending_landings
    assert (1, 1) == (found.quarantined_rows, rows["meta.quarantine"])
    assert "pai_job_table.4.csv" == found.last_landing["file_name"]
    assert max(seen) == found.publication.build_id
    assert [("pai2020", "Asia/Shanghai")] == [(c["cluster_id"], c["time_zone"]) for c in found.clusters]
    by_name = {table.name: table for table in found.tables}
    assert by_name["main.bronze_job_events"].bytes == sum(
        file.stat().st_size for file in (folder / "data" / "main" / "bronze_job_events").glob("*.parquet")
    )
