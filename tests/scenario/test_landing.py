"""Refreshing again and again: nothing new is nothing done, and every answer is one object with its exit code."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from gpulake import pipeline
from gpulake.cli.words import text_of
from gpulake.config import ClusterSettings, Config
from gpulake.dbt import script
from gpulake.lake import Layout, open_newest


@pytest.fixture
def lake(refreshed, tmp_path):
    """A copy of the refreshed lake, with its trace beside it."""
    shutil.copytree(refreshed[0] / "trace", tmp_path / "trace")
    return shutil.copytree(refreshed[0] / "lake", tmp_path / "lake")


def version(lake):
    with open_newest(lake) as view:
        return view.sql("SELECT max(snapshot_id) AS v FROM lake.snapshots()")["v"][0].as_py()


@pytest.mark.parametrize("change", ["nothing", "touched", "rehash"])
def test_nothing_new_is_nothing_done(lake, tmp_path, gpulake_json, change):
    """A nightly run over old data costs a moment: no version, no dbt, no scikit-learn."""
    code, first = gpulake_json("refresh", "--data", tmp_path / "trace", "--lake", lake)
    assert (0, False) == (code, first["published"])
    before, pointer = version(lake), (lake / "publication.json").read_text()
    if change == "touched":
        for file in (tmp_path / "trace").iterdir():
            os.utime(file)
    code = (
        "import subprocess, sys\n"
        "def no_child(*a, **k): raise AssertionError('a child was started')\n"
        "subprocess.Popen = no_child\n"
        "from gpulake.cli import main\n"
        "code = main(sys.argv[1:])\n"
        "print(sorted({'dbt', 'sklearn', 'prefect', 'vl_convert'} & {m.split('.')[0] for m in sys.modules}), file=sys.stderr)\n"
        "sys.exit(code)"
    )
    again = subprocess.run(
        [sys.executable, "-c", code, "refresh", "--data", tmp_path / "trace", "--lake", lake, "--json",
         *(["--rehash"] if change == "rehash" else [])], check=False, capture_output=True, text=True,
    )  # fmt: skip

    assert 0 == again.returncode, again.stderr
    assert "[]" == again.stderr.splitlines()[-1]
    answer = json.loads(again.stdout)
    assert (False, "nothing is new since the last publication") == (answer["published"], answer["why"])
    assert {"already"} == {landing["status"] for landing in answer["landings"]}
    assert before == version(lake)
    assert pointer == (lake / "publication.json").read_text()


@pytest.mark.parametrize("command", [["refresh", "--data"], ["land", "--data"], ["build"], ["publish"]])
def test_a_command_that_finds_nothing_to_do_writes_nothing(lake, tmp_path, gpulake_json, command):
    """A version for each look would fill the catalog of a lake that is refreshed every minute, and wake every reader."""
    catalog = Layout(lake).catalog
    before = version(lake), catalog.stat().st_mtime_ns, catalog.read_bytes()
    data = [tmp_path / "trace"] if "--data" in command else []
    code, answer = gpulake_json(*command, *data, "--lake", lake)

    assert (0, False) == (code, answer["published"])
    assert before == (version(lake), catalog.stat().st_mtime_ns, catalog.read_bytes())


def test_other_settings_are_noted_by_what_builds_with_them(lake, tmp_path):
    """A look at the lake from a folder with another gpulake.toml must not change what the next build does."""
    before = version(lake)
    elsewhere = Config(lake=lake, clusters={"pai2020": ClusterSettings("America/New_York")})
    published = pipeline.publish(elsewhere)
    landed = pipeline.land(elsewhere, data=tmp_path / "trace")

    assert ("nothing is new", False) == (landed.why, published.published)
    assert before == version(lake)


def test_a_dry_run_changes_nothing(lake, tmp_path, pai):
    """It says what would land, and leaves the lake as it was, even where there is none."""
    pai.write(tmp_path / "trace" / "more" / "pai_job_table.csv", [pai.job(1)])
    before = version(lake)
    planned = pipeline.refresh(Config(lake=lake), data=tmp_path / "trace", dry_run=True)
    elsewhere = pipeline.refresh(Config(lake=tmp_path / "none"), data=tmp_path / "trace", dry_run=True)

    assert ["pai_job_table"] == [landing.table for landing in planned.land.landed]
    assert re.search(r"^pai_job_table {2,}\S+ +would land +\S*pai_job_table\.csv$", text_of(planned), re.MULTILINE), (
        "rows are not known yet"
    )
    assert before == version(lake)
    assert len(elsewhere.land.landed) > 1
    assert not (tmp_path / "none").exists()


@pytest.mark.slow
@pytest.mark.parametrize("more", [False, True])
def test_a_build_of_other_settings_that_was_not_published_is_made_good(lake, tmp_path, pai, more):
    """Whoever tries another zone and takes it back must not be left with days of both, nor told that all is well."""
    config = Config(lake=lake)
    pipeline.build(Config(lake=lake, clusters={"pai2020": ClusterSettings("America/New_York")}))
    if more:
        start = 25 * 86_400 + 90
        pai.write(tmp_path / "trace" / "more" / "pai_machine_metric.csv", [pai.metric(1, start=start, end=start + 60)])
    done = pipeline.refresh(config, data=tmp_path / "trace")
    again = pipeline.refresh(config, data=tmp_path / "trace")

    assert (True, None) == (done.published, done.error)
    assert done.build.full_build
    with open_newest(lake) as view:
        begins = view.sql("SELECT DISTINCT hour(starts_at) AS h FROM lake.main.silver_days")["h"].to_pylist()
    assert [16] == begins, "midnight in Shanghai"
    assert "nothing is new since the last publication" == again.why


@pytest.mark.slow
def test_a_full_build_that_did_not_finish_is_begun_again(lake, tmp_path, monkeypatch):
    """Half its tables may be new: to build only the touched days on top would mix two kinds for ever."""
    ran, whole = [], script._do

    def fail_late(*given, **named):
        ran.append(whole(*given, **named) if len(ran) < 40 else "too late")
        return ran[-1]

    with monkeypatch.context() as broken:
        broken.setenv("GPULAKE_ROWS_HELD", "0")
        broken.setattr(script, "_do", fail_late)
        failed = pipeline.refresh(Config(lake=lake), data=tmp_path / "trace", full=True)
    done = pipeline.refresh(Config(lake=lake), data=tmp_path / "trace")

    assert "DataTestError" == failed.error.as_json()["kind"]
    assert (True, True) == (done.published, done.build.full_build)


def test_a_size_of_memory_that_is_none_is_named(lake, tmp_path, monkeypatch):
    """A setting that somebody typed wrong is no fault of the lake."""
    monkeypatch.setenv("GPULAKE_MEMORY", "no size")
    failed = pipeline.refresh(Config(lake=lake), data=tmp_path / "trace", full=True)
    assert ("UsageError", "GPULAKE_MEMORY") == (failed.error.as_json()["kind"], failed.error.where)


@pytest.mark.slow
def test_a_build_that_was_not_published_is_work_left_over(lake, tmp_path):
    """To call it nothing new would hide that the newest tables are not those that people read."""
    built = pipeline.build(Config(lake=lake), full=True)
    done = pipeline.refresh(Config(lake=lake), data=tmp_path / "trace")

    assert built.build.full_build
    assert (True, False) == (done.published, done.build.full_build)


ALONE = {
    "sensors": ("pai_sensor_table.csv", f"j,worker,w,i,m,/dev/nvidia0,{',1.0' * 10}\n".replace(",,", ",")),
    "nodes": ("openb_node_list.csv", "sn,cpu_milli,memory_mib,gpu,model\nn1,64000,262144,2,T4\n"),
}


@pytest.mark.parametrize("what", [pytest.param(what, marks=pytest.mark.slow) for what in ALONE])
def test_one_table_alone_is_published(tmp_path, cli, what):
    """Whoever tries it with the first table at hand gets a lake, also where nothing of it can be scored."""
    name, content = ALONE[what]
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / name).write_text(content)
    done = cli("refresh", "--data", tmp_path / "data", "--lake", tmp_path / "lake", "--json")
    answer = json.loads(done.stdout)

    assert (0, True) == (done.returncode, answer["published"]), answer["error"]
    assert {"landed"} == {landing["status"] for landing in answer["landings"]}
    assert {(0, False)} == {(judged["rows"], judged["is_as_before"]) for judged in answer["detect"]["judged"]}
    told = cli("report", "--lake", tmp_path / "lake")
    assert 0 == told.returncode, told.stderr


BAD_FILES = {
    "empty": (b"", 10, "SourceError", "the file is empty"),
    "truncated gzip": (b"\x1f\x8b\x08\x00cut", 10, "SourceError", "cannot be read to its end"),
    "all lines torn": (b"a,b\nc\n", 11, "ContractError", "no row of 2 is a row of pai_job_table"),
}


@pytest.mark.parametrize("kind", BAD_FILES)
@pytest.mark.slow
def test_a_refused_file_sets_the_exit_code_and_the_rest_lands(tmp_path, pai, gpulake_json, kind):
    """A scheduler sees that something is wrong; people see which file and why; nothing waits for it."""
    content, exit_code, family, what = BAD_FILES[kind]
    pai.write(tmp_path / "data" / "pai_machine_spec.csv", [pai.spec(1)])
    (tmp_path / "data" / "pai_job_table.csv").write_bytes(content)
    code, answer = gpulake_json("land", "--data", tmp_path / "data", "--lake", tmp_path / "lake")

    assert (exit_code, family) == (code, answer["error"]["kind"])
    assert what in answer["error"]["what"]
    assert str(tmp_path / "data" / "pai_job_table.csv") in answer["error"]["where"]
    assert {"pai_machine_spec", "gpu_specs"} == {landing["table"] for landing in answer["landings"]}
    assert [str(tmp_path / "data" / "pai_job_table.csv")] == [refused["file"] for refused in answer["refused"]]


@pytest.mark.parametrize("command", [["build"], ["detect"], ["publish"], ["compact"]])
def test_a_step_without_a_lake_makes_none(tmp_path, gpulake_json, command):
    """A typing slip in --lake must not be answered with an empty lake."""
    code, answer = gpulake_json(*command, "--lake", tmp_path / "typo")

    assert (2, "UsageError") == (code, answer["error"]["kind"])
    assert not (tmp_path / "typo").exists()


def test_quarantined_rows_are_allowed(tmp_path, pai, gpulake_json):
    """Real data has bad lines: they are told, and the exit code is 0."""
    pai.write(
        tmp_path / "pai_machine_metric.csv",
        [pai.metric(1), pai.metric(2, start=10, end=5), pai.metric(3, machine=None)],
    )
    code, answer = gpulake_json("land", "--data", tmp_path, "--lake", tmp_path / "lake")

    (landing,) = (landing for landing in answer["landings"] if landing["table"] == "pai_machine_metric")
    assert 0 == code
    assert {"end_time is before start_time": 1, "machine is missing": 1} == landing["reasons"]
    assert (3, 1, 2) == (landing["rows_in"], landing["rows_kept"], landing["rows_refused"])


def test_a_busy_lake_names_its_holder(lake, tmp_path, gpulake_json):
    """Exit code 13, at once, with the process to wait for."""
    from gpulake.lake import writing

    with writing(lake, purpose="a long build"):
        code, answer = gpulake_json("refresh", "--data", tmp_path / "trace", "--lake", lake)

    assert (13, "LockError") == (code, answer["error"]["kind"])
    assert f"pid {os.getpid()}: a long build" in answer["error"]["what"]
