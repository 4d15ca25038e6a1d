"""A run of a collector: what it fetches lands once, and what it could not land is neither lost nor asked for twice."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from gpulake import lake, meta
from gpulake.collecting import Asked, Collector, Fetched, Option, read_options
from gpulake.collecting.periods import moment, seconds
from gpulake.collecting.running import Spool, collect
from gpulake.config import Config
from gpulake.errors import LockError, SourceError, UsageError

HEADER = (
    "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time\n"
)


def pod(number):
    return f"openb-pod-{number:04d},12000,16384,1,1000,,LS,Running,0,{12_537_496 + number},0\n"


def pods(asked: Asked):
    """Hands out one pod per file, from the first that is new up to the third; breaks off where it is told to."""
    for number in range(int(asked.cursor.get("next", 0)), 3):
        if number == asked.options.get("break_at"):
            raise SourceError("the scheduler does not answer.", where="pods", do="wait")
        text = "no,such,table\n1,2,3\n" if number == asked.options.get("bad_at") else HEADER + pod(number)
        yield Fetched({"next": number + 1}, f"pods_{number}.csv", text.encode(), 1, asked.now, asked.now)


PODS = Collector("pods", "openb2023", "Pods.", pods, plan=lambda asked: [f"pods from {asked.cursor.get('next', 0)} on"])


def run(config, **more):
    options = {name: more.pop(name) for name in ("break_at", "bad_at") if name in more}
    return collect(config, more.pop("collector", PODS), options=options, environ={}, cluster="c", **more)


def landed(config):
    with lake.open_newest(config.lake) as reader:
        return reader.sql("SELECT name FROM lake.main.bronze_openb2023_pod ORDER BY name")["name"].to_pylist()


@pytest.fixture
def config(tmp_path):
    return Config(lake=tmp_path / "lake")


@pytest.fixture
def spool(config):
    return Spool(config.lake, "pods", "c")


def test_what_is_fetched_lands_and_the_next_run_asks_for_what_is_new_only(config, spool):
    """A run every five minutes must not fetch the year again, nor keep two copies of it."""
    first, second = run(config), run(config)

    assert (3, 3, None) == (first.deliveries, first.rows, first.error)
    assert {"next": 3} == spool.cursor()
    assert (0, None, None) == (second.deliveries, second.land, second.error)
    assert [f"openb-pod-{number:04d}" for number in range(3)] == landed(config)
    assert [] == spool.files()


def test_what_was_fetched_before_an_error_lands_and_the_next_run_goes_on_there(config):
    """A server that dies half-way costs the half that it did not answer."""
    broken = run(config, break_at=2)
    mended = run(config)

    assert ("the scheduler does not answer.", 2) == (broken.error.what, broken.deliveries)
    assert (1, None) == (mended.deliveries, mended.error)
    assert 3 == len(landed(config))


def test_a_file_that_is_no_table_is_put_aside_and_told_once(config, spool):
    """One bad answer must neither be lost nor stop every later run."""
    told = run(config, bad_at=1)
    after = run(config)

    assert isinstance(told.error, SourceError) or told.land.unrecognised
    assert ["pods_1.csv"] == [file.name for file in spool.refused.iterdir()]
    assert spool.refused == told.refused_folder
    assert (0, None) == (after.deliveries, after.error)
    assert 2 == len(landed(config))


def test_what_cannot_land_waits_and_is_not_fetched_again(config, spool):
    """A run beside a refresh finds the lake locked: its files land with the next run, which fetches nothing twice."""
    with lake.writing(config.lake, purpose="test"), pytest.raises(LockError):
        run(config)
    assert 3 == len(spool.files())
    after = run(config)

    assert (0, {"next": 3}) == (after.deliveries, spool.cursor())
    assert [] == spool.files()
    assert 3 == len(landed(config))


def test_a_run_that_is_killed_loses_nothing_and_fetches_nothing_twice(config, spool):
    """Whatever was whole on the disk lands with the next run, the file before its cursor."""

    def killed(asked):
        yield next(pods(asked))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(config, collector=replace(PODS, collect=killed))
    assert ({"next": 1}, 1) == (spool.cursor(), len(spool.files()))
    after = run(config)

    assert 2 == after.deliveries
    assert 3 == len(landed(config))


def test_two_runs_at_once_are_one_too_many(config, spool):
    """They would fetch the same, and note it over each other."""
    with spool.alone(), pytest.raises(LockError, match="another run collects pods of c"):
        run(config)


def test_an_endless_collector_lands_each_file_as_it_comes(config):
    """Who samples for a week wants to see the first hour before its end."""

    def one_by_one(asked):
        for fetched in pods(asked):
            yield fetched
            seen.append(len(landed(config)))

    seen = []
    run(config, collector=replace(PODS, collect=one_by_one, is_endless=True))

    assert [1, 2, 3] == seen


def test_a_dry_run_asks_nothing_and_leaves_no_folder(config):
    """Somebody who looks what would happen must find nothing happened."""
    result = run(config, dry_run=True)

    assert ("pods from 0 on",) == result.plan
    assert not config.lake.exists()


def test_landed_files_stay_where_they_are_asked_for(config, spool):
    """Whoever passes the raw answers on needs them."""
    run(config, keep=True)

    assert 3 == len(list(spool.folder.with_name("c.landed").iterdir()))
    assert [] == spool.files()


def test_the_lake_is_whole_with_a_spool_beside_its_data(config):
    """The spool lies in the lake's folder, and is no part of the lake."""
    run(config)
    with lake.open_newest(config.lake) as reader:
        assert {"c"} == set(meta.clusters(reader))


def test_an_option_is_read_or_refused_by_name():
    """A typing error in an address must be told before anything is asked."""
    reads = replace(
        PODS, options=(Option("url", "Where.", is_required=True), Option("step", "How.", "LENGTH", seconds))
    )

    assert {"url": "http://a", "step": 30.0} == read_options(reads, {"url": "http://a", "step": "30s"})
    assert {"url": "http://a", "step": None} == read_options(reads, {"url": "http://a", "step": None})
    with pytest.raises(UsageError, match="--url is missing"):
        read_options(reads, {})
    with pytest.raises(UsageError, match="'often' is no LENGTH") as told:
        read_options(reads, {"url": "a", "step": "often"})
    assert "--step" == told.value.where


NOW = datetime.fromisoformat("2026-11-30T12:00")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-30", "2026-11-30T00:00"),
        ("2026-11-30T06:30", "2026-11-30T06:30"),
        ("2026-11-30T06:30+02:00", "2026-11-30T04:30"),
        ("2026-11-30T06:30:00Z", "2026-11-30T06:30"),
        ("6h", "2026-11-30T06:00"),
        ("7d", "2026-11-23T12:00"),
        ("now", "2026-11-30T12:00"),
    ],
)
def test_a_time_is_utc_unless_it_says_otherwise(text, expected):
    """Six hours too many or too few would be fetched else."""
    assert expected == moment(text, now=NOW).isoformat(timespec="minutes")


@pytest.mark.parametrize("text", ["", "soon", "6 hours", "-6h", "2026-13-01", "0h"])
def test_what_is_no_time_is_refused(text):
    """A guess would fetch another period than was meant."""
    with pytest.raises(ValueError, match="expected"):
        moment(text, now=NOW)
