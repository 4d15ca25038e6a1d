"""kill -9 of a refresh, at any moment: the next run, started at once, finishes the work as if nothing had been."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gpulake import lake as lakes
from gpulake import pipeline, upkeep
from gpulake.clock import now
from gpulake.config import Config
from gpulake.lake import open_publication

pytestmark = pytest.mark.slow

_EACH_MODEL_COMMITS = {"GPULAKE_ROWS_HELD": "0"}
_REFRESH = "import sys; from gpulake.cli import main; sys.exit(main())"
# Runs the refresh until a border of the publication order, and dies there as a killed process does.
_DIE_AT = """
import os, signal, sys
from gpulake import lake, session
from gpulake.detecting import runs
from gpulake.lake import files
from gpulake.landing import landings
die = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
def after(owner, name):
    real = getattr(owner, name)
    def then_die(*args, **options):
        real(*args, **options); die()
    setattr(owner, name, then_die)
def before(owner, name):
    setattr(owner, name, die)
from gpulake.dbt import warehouse
{border}
from gpulake.cli import main
sys.exit(main())
"""
BORDERS = {
    "in the middle of a landing": "before(lake.Writer, 'add_files')",
    "after the first landing": "after(landings, '_land_one')",
    "before the build": "before(warehouse.Warehouse, 'build')",
    "after dbt has built": "after(warehouse.Warehouse, 'build')",
    "after the build's row": "after(session.Session, 'build')",
    "after the scores": "after(runs, 'run')",
    "after the tests": "after(warehouse.Warehouse, 'test')",
    "after the publication's row": "before(files, 'copy_whole')",
    "after the catalog copy": "after(files, 'copy_whole')",
    "after the pointer": "after(files, 'replace')",
    "before people are told": "before(session.Session, 'alert')",
    "before old copies go": "before(lake.Writer, '_drop_other_copies')",
}


@pytest.fixture(scope="module")
def deliveries(tmp_path_factory, pai):
    """A first delivery, and a second one that a refresh is killed over: 12 days, two machines, some bad lines."""
    folder = tmp_path_factory.mktemp("deliveries")
    days = {"first": range(1, 9), "second": range(9, 13)}
    pai.write(folder / "first" / "pai_machine_spec.csv", [pai.spec(1), pai.spec(2, gpus="8.0")])
    for name, numbers in days.items():
        windows, jobs, instances = ["torn,line"], [], []
        for day in numbers:
            for n in range(20):
                start = day * 86_400 + n * 4_000
                number = day * 100 + n
                windows.append(pai.metric(number, machine=1 + n % 2, start=start, end=start + 9_000, gpu=f"{n}.5"))
                jobs.append(pai.job(number, start=f"{start}.0", end=f"{start + 9_000}.0"))
                instances.append(pai.instance(number, start=f"{start}.0", end=f"{start + 9_000}.0"))
        pai.write(folder / name / "pai_machine_metric.csv", windows)
        pai.write(folder / name / "pai_job_table.csv", jobs)
        pai.write(folder / name / "pai_instance_table.csv", instances)
    return folder


@pytest.fixture(scope="module")
def begun(deliveries, tmp_path_factory):
    """A lake with the first delivery published."""
    lake = tmp_path_factory.mktemp("begun") / "lake"
    assert pipeline.refresh(Config(lake=lake), data=deliveries / "first").published
    return lake


def start(lake, data, code=_REFRESH, **env):
    return subprocess.Popen(
        [sys.executable, "-c", code, "refresh", "--data", data, "--lake", lake, "--wait", "60", "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | env,
    )  # fmt: skip


@pytest.fixture(scope="module")
def published(published_rows):
    """What gives every published row of a lake, and what landed."""

    def read(lake):
        with open_publication(lake) as reader:
            rows = published_rows(lambda query: reader.sql(query).to_pylist())
            operations = {
                "landings": "SELECT landing_id, rows_in, rows_kept, rows_refused FROM ops.meta.landings",
                "quarantine": "FROM ops.meta.quarantine",
                "bronze": "FROM lake.main.bronze_machine_metrics",
                "jobs": "FROM lake.main.bronze_job_events",
            }
            return rows | {name: sorted(map(repr, reader.sql(query).to_pylist())) for name, query in operations.items()}

    return read


@pytest.fixture(scope="module")
def undisturbed(begun, deliveries, tmp_path_factory, published):
    """What one quiet refresh of the second delivery publishes, and how long it takes."""
    for name in ("first", "second"):  # the first has dbt write down what the others run: they take less
        lake = tmp_path_factory.mktemp("undisturbed") / name
        shutil.copytree(begun, lake)
        started = time.monotonic()
        done = start(lake, deliveries / "second")
        _, told = done.communicate()
        assert 0 == done.returncode, told
    return published(lake), time.monotonic() - started


def assert_finished(lake, data, expected, published):
    done = start(lake, data)
    printed, told = done.communicate(timeout=120)
    assert 0 == done.returncode, printed + told
    found = published(lake)
    for name, rows in expected.items():
        assert rows == found[name], name
    assert () == upkeep.verify(lake, now=now()).faults
    with lakes.open_newest(lake) as view:
        judged = view.sql("SELECT max(build_id) AS v FROM lake.meta.judgings")["v"][0].as_py()
    assert lakes.Layout(lake).publication().build_id == judged  # whoever published has told nobody yet
    assert 1 == len(list((lake / "published").iterdir()))


def readable(lake):
    """Readers are never disturbed: whatever was killed, they see one whole publication."""
    with open_publication(lake) as reader:
        return reader.sql("SELECT count(*) AS n FROM gold_cluster_util_daily")["n"][0].as_py()


def test_killed_at_any_moment_the_next_refresh_finishes(begun, deliveries, undisturbed, tmp_path, published):
    """A power cut in the night must cost nothing but time: 20 kills, spread over a refresh, two to a lake: the run that mends is
    killed too.
    """
    expected, whole_s = undisturbed
    seed = int(os.environ.get("GPULAKE_KILL_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 30)
    print(f"GPULAKE_KILL_SEED={seed}, an undisturbed refresh takes {whole_s:.1f} s")
    dice = random.Random(seed)
    # Few rows are one commit; every other victim leaves half a build, as one of many rows does.
    kills = [(number + dice.random(), _EACH_MODEL_COMMITS if number % 2 else {}) for number in range(20)]
    dice.shuffle(kills)
    killed = 0
    for number in range(0, 20, 2):
        lake = shutil.copytree(begun, tmp_path / f"lake-{number}")
        for moment, settings in kills[number : number + 2]:
            victim = start(lake, deliveries / "second", **settings)
            time.sleep(whole_s * moment / 20)
            victim.send_signal(signal.SIGKILL)
            victim.communicate()
            if victim.returncode == -signal.SIGKILL:
                killed += 1
            else:  # a refresh takes less than it did before: the machine has less to do
                whole_s *= 0.9
            assert readable(lake) in {9, 13}
        assert_finished(lake, deliveries / "second", expected, published)
        shutil.rmtree(lake)
    assert killed >= 12, "the refresh was over too soon to be killed"


def test_killed_in_its_first_refresh_a_lake_is_not_lost(deliveries, undisturbed, tmp_path):
    """The same where there was no lake before: half a catalog must not stand in the way."""
    _, whole_s = undisturbed
    for number, share in enumerate([0.05, 0.15, 0.3, 0.6]):
        lake = tmp_path / f"lake-{number}"
        victim = start(lake, deliveries / "first", **_EACH_MODEL_COMMITS)
        time.sleep(whole_s * share)
        victim.kill()
        victim.communicate()
        done = start(lake, deliveries / "first")
        printed, told = done.communicate(timeout=120)

        assert 0 == done.returncode, printed + told
        assert 9 == readable(lake)


@pytest.mark.parametrize("border", BORDERS)
def test_killed_at_a_border_of_the_publication_order(begun, deliveries, undisturbed, tmp_path, border, published):
    """Each step leaves what the next run needs: the record first, then the copy, then the pointer."""
    lake = Path(shutil.copytree(begun, tmp_path / "lake"))
    victim = start(lake, deliveries / "second", _DIE_AT.format(border=BORDERS[border]))
    _, told = victim.communicate()
    assert -signal.SIGKILL == victim.returncode, told
    assert readable(lake) in {9, 13}

    assert_finished(lake, deliveries / "second", undisturbed[0], published)
