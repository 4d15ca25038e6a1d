"""The warehouse over several deliveries: any order, any number of builds, the same tables."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "spec"))

from tiny_lake import Case, TinyLake

from gpulake.dbt import warehouse
from gpulake.errors import LakeError

DAY_S = 86_400


def sliced(seed: int, *, days: int) -> Case:
    """A fleet whose rows are delivered by day, each in the delivery of the day it ends; some rows come twice."""
    dice = random.Random(seed)
    rows: dict[str, list[dict[str, object]]] = {
        "jobs": [],
        "instances": [],
        "windows": [],
        "tags": [],
        "tasks": [],
        "sensors": [],
    }
    for n in range(120):
        start = float(dice.randrange(DAY_S, days * DAY_S))
        end = start + dice.choice([60, 3_000, 40_000, 130_000])
        delivered = 1 + min(int(end // DAY_S) - 1, days - 1)
        span = {"start_time": start, "end_time": end}
        window = {
            **span, "worker_name": f"w{n}", "machine": f"m{n % 4}", "machine_gpu": dice.uniform(0, 200),
            "machine_cpu": dice.uniform(0, 100), "landing": delivered,
        }  # fmt: skip
        rows["windows"].append(window)
        if n % 10 == 0:  # delivered again, as it was
            rows["windows"].append({**window, "landing": 1 + delivered % days})
        rows["jobs"].append({
            **span, "job_name": f"j{n // 2}", "inst_id": f"i{n // 2}", "user": "u",
            "status": "Terminated", "landing": delivered, "start_time": float(DAY_S + 100 * (n // 2)), "end_time": None,
        } if n % 2 == 0 else {
            **span, "job_name": f"k{n}", "inst_id": f"l{n}", "user": "v", "status": "Failed", "landing": delivered,
        })  # fmt: skip
        rows["instances"].append({
            **span, "job_name": f"j{n // 2}", "task_name": f"t{n % 2}", "inst_name": f"a{n}", "worker_name": f"w{n}",
            "machine": f"m{n % 4}", "status": "Terminated", "landing": delivered,
        })  # fmt: skip
        rows["tasks"].append({"job_name": f"j{n // 2}", "task_name": f"t{n % 2}", "inst_num": 2.0, "plan_gpu": 50.0,
                              "landing": delivered})  # fmt: skip
        if n % 3 == 0:
            rows["sensors"].append({"job_name": f"j{n // 2}", "worker_name": f"w{n}", "gpu_wrk_util": dice.uniform(0, 70),
                                    "max_gpu_wrk_mem": 4.0, "avg_gpu_wrk_mem": 2.0, "landing": 1 + n % days})  # fmt: skip
        rows["tags"].append({"inst_id": f"i{n}", "group": f"g{n % 7}", "landing": 1 + n % days})
    machines = [{"machine": f"m{n}", "cap_gpu": 2.0, "cap_cpu": 8.0} for n in range(4)]
    return Case(name="c", zone="Asia/Shanghai", rows={**rows, "machines": machines})


def assert_same(expected, found):
    for name, rows in expected.items():
        assert rows == found[name], name


def copied_project(folder: Path) -> Path:
    shutil.copytree(warehouse.project(), folder, ignore=shutil.ignore_patterns("target", "logs"))
    return folder


@pytest.fixture(scope="module")
def two_days(tmp_path_factory):
    """The folder of a lake of two days, built once."""
    lake = TinyLake(tmp_path_factory.mktemp("two_days") / "lake")
    lake.add(sliced(1, days=2))
    lake.build(full=True)
    lake.close()
    return lake.folder


@pytest.fixture
def built(two_days, tmp_path):
    """A copy of that lake, to be damaged."""
    lake = TinyLake(shutil.copytree(two_days, tmp_path / "lake"))
    yield lake
    lake.close()


@pytest.fixture(scope="module")
def at_once(tmp_path_factory, published_rows):
    """The same rows, landed together and built in full."""
    case = sliced(7, days=4)
    lake = TinyLake(tmp_path_factory.mktemp("full") / "lake")
    lake.add(case)
    lake.build(full=True)
    yield case, published_rows(lake.rows)
    lake.close()


@pytest.mark.slow
def test_deliveries_in_any_order_equal_one_delivery(tmp_path, at_once, published_rows):
    """A late day must leave the same figures as a day that came in time, to the last digit."""
    case, expected = at_once
    lake = TinyLake(tmp_path / "lake")
    with warehouse.Warehouse(lake.folder) as dbt:
        for number, delivery in enumerate([3, 1, 4, 2]):
            lake.add(case, only_landing=delivery)
            lake.build_with(dbt, full=number == 0 or delivery == 1)  # delivery 1 holds the machine table
    assert_same(expected, published_rows(lake.rows))
    lake.close()


@pytest.mark.slow
@pytest.mark.parametrize("late", [("tasks", "sensors"), ("instances", "tags"), ("jobs", "windows")])
def test_a_table_that_comes_last_counts_as_if_it_had_come_first(tmp_path, late, published_rows):
    """A delivery's build is the same whatever has landed: a table that lands later must find its place without a full build."""
    case = replace(sliced(7, days=3), zone="Etc/GMT+12")  # its day begins half a day before that of UTC
    for name in late:
        case.rows[name] = [{**row, "landing": 9} for row in case.rows[name]]
    found = []
    for deliveries in ([None], [1, 2, 3, 9]):
        lake = TinyLake(tmp_path / f"lake-{len(found)}")
        with warehouse.Warehouse(lake.folder) as dbt:
            for number, delivery in enumerate(deliveries):
                lake.add(case, only_landing=delivery)
                lake.build_with(dbt, full=number == 0)
        found.append(published_rows(lake.rows))
        lake.close()
    assert_same(*found)


@pytest.mark.slow
def test_what_dbt_wrote_down_makes_what_dbt_makes(tmp_path, published_rows):
    """The same delivery into the same lake, once by the script and once by dbt itself."""
    case = sliced(7, days=2)
    found = []
    for by_hand in (False, True):
        lake = TinyLake(tmp_path / f"lake-{by_hand}")
        lake.add(case, only_landing=1)
        lake.build(full=True)
        lake.add(case, only_landing=2)
        lake.close()
        with warehouse.Warehouse(lake.folder) as dbt:
            if by_hand:
                made = dbt.dbt(["run", "--exclude", "config.materialized:view", "tag:full_builds_only", "--quiet"])
            else:
                made = dbt.build(full=False)
        assert made.ok, made.why()
        found.append(([node.name for node in made.nodes], published_rows(lake.rows)))
        lake.close()
    assert sorted(found[0][0]) == sorted(found[1][0])
    assert_same(found[1][1], found[0][1])


@pytest.mark.slow
def test_what_is_written_down_needs_no_dbt(tmp_path):
    lake = TinyLake(tmp_path / "lake")
    lake.add(sliced(7, days=2))
    lake.build(full=True)
    lake.build(full=False)
    lake.close()
    with warehouse.Warehouse(lake.folder) as dbt:
        assert dbt._child is None
    lake.build(full=False)
    lake.close()


@pytest.mark.slow
@pytest.mark.parametrize(("rows_held", "left"), [("0", True), ("100000", False)])
def test_a_build_that_fails_in_the_middle_is_repaired_by_the_next(
    tmp_path, at_once, published_rows, monkeypatch, rows_held, left
):
    """Of many rows a prefix of the build is left, of few nothing; what stands after the failure is never committed."""
    case, expected = at_once
    monkeypatch.setenv("GPULAKE_ROWS_HELD", rows_held)
    broken = copied_project(tmp_path / "project")
    model = broken / "models" / "silver" / "allocations" / "silver_machine_days.sql"
    model.write_text(f"select * from ({model.read_text()}) as made where error('too late') is not null")
    lake = TinyLake(tmp_path / "lake")
    lake.add(case, only_landing=1)
    lake.build(full=True)
    for delivery in (2, 3, 4):
        lake.add(case, only_landing=delivery)
    with lake.writing() as writer:
        before = writer.version()
    with monkeypatch.context() as patched:
        patched.setattr(warehouse, "project", lambda: broken)
        with warehouse.Warehouse(lake.folder) as dbt:
            made = dbt.build(full=False)
    assert ["silver_machine_days"] == [node.name for node in made.failures]
    assert "too late" in made.why()
    with lake.writing() as writer:
        assert left == (writer.version() > before)
    lake.build(full=False)
    assert_same(expected, published_rows(lake.rows))
    lake.close()


def test_hours_of_many_long_spans_count_once(tmp_path):
    """More hours than the engine hands on in one piece: none may be lost, or come twice."""
    machines = [f"m{n}" for n in range(120)]
    span = {"start_time": 2.0 * DAY_S - 8 * 3_600, "end_time": 3.0 * DAY_S - 8 * 3_600}
    rows = {
        "machines": [{"machine": name, "cap_gpu": 2.0, "cap_cpu": 8.0} for name in machines],
        "windows": [
            {**span, "worker_name": name, "machine": name, "machine_gpu": 50.0, "machine_cpu": 5.0, "landing": 1}
            for name in machines
        ],
        "jobs": [{**span, "job_name": "j", "inst_id": "i", "user": "u", "status": "Terminated", "landing": 1}],
        "tasks": [{"job_name": "j", "task_name": "t", "inst_num": 120.0, "plan_gpu": 50.0, "landing": 1}],
        "instances": [
            {**span, "job_name": "j", "task_name": "t", "inst_name": name, "worker_name": name, "machine": name,
             "status": "Terminated", "landing": 1}
            for name in machines
        ],
    }  # fmt: skip
    lake = TinyLake(tmp_path / "lake")
    lake.add(Case(name="c", zone="Asia/Shanghai", rows=rows))
    lake.build(full=True)
    covered = lake.rows(
        "SELECT count(*) AS hours, min(gpu_covered_s) AS least, max(gpu_covered_s) AS most FROM lake.main.silver_machine_hours"
    )
    held = lake.rows(
        "SELECT count(*) AS hours, min(allocated_mgpu_s) AS least, max(allocated_mgpu_s) AS most "
        "FROM lake.main.silver_allocation_hours"
    )
    lake.close()
    assert [{"hours": 2_880, "least": 3_600, "most": 3_600}] == covered
    assert [{"hours": 2_880, "least": 1_800_000, "most": 1_800_000}] == held


@pytest.mark.slow
def test_of_two_rows_for_a_status_word_the_one_decided_last_stands(tmp_path):
    """A word that turns out to mean something else gets a further row, and the old one stays as the record."""
    lake = TinyLake(tmp_path / "lake")
    lake.add(sliced(1, days=2))
    with warehouse.Warehouse(lake.folder) as dbt:
        lake.build_with(dbt, full=True)
        with lake.writing() as writer, writer.transaction("decide"):
            for word, decided_on in (("failed", "2030-01-01"), ("killed", "2001-01-01")):
                writer.sql(
                    "INSERT INTO lake.meta.status_map VALUES ('pai2020', 'Terminated', ?, ?)", [word, decided_on]
                )
        assert dbt.dbt(["run", "--quiet", "--full-refresh", "--select", "silver_jobs"]).ok
    words = lake.rows("SELECT DISTINCT job_status FROM lake.main.silver_jobs WHERE status_source = 'Terminated'")
    assert [{"job_status": "failed"}] == words
    lake.close()


@pytest.mark.slow
def test_a_build_that_was_not_published_is_repaired_by_the_next(tmp_path, at_once, published_rows):
    """A build that failed its tests, or was killed, leaves rows behind: they must not count twice."""
    case, expected = at_once
    lake = TinyLake(tmp_path / "lake")
    with warehouse.Warehouse(lake.folder) as dbt:
        lake.add(case, only_landing=1)
        lake.build_with(dbt, full=True)
        for delivery in (2, 3, 4):
            lake.add(case, only_landing=delivery)
            lake.build_with(dbt, full=False, publish=False)
        before = lake.rows("SELECT count(*) AS n FROM lake.main.silver_gpu_timeseries")
        lake.build_with(dbt, full=False)
    assert before == lake.rows("SELECT count(*) AS n FROM lake.main.silver_gpu_timeseries")
    assert_same(expected, published_rows(lake.rows))
    lake.close()


@pytest.mark.slow
def test_one_days_delivery_rebuilds_only_the_days_it_bears_on(tmp_path):
    """A landing of one day must not cost a whole rebuild: a window bears on hours within a day of it, and on no others."""
    case = sliced(3, days=6)
    window = {"worker_name": "late", "machine": "m0", "start_time": 3.2 * DAY_S, "end_time": 3.4 * DAY_S,
              "machine_gpu": 5.0, "machine_cpu": 5.0, "landing": 99}  # fmt: skip
    case.rows["windows"].append(window)
    lake = TinyLake(tmp_path / "lake")
    for delivery in range(1, 7):
        lake.add(case, only_landing=delivery)
    with warehouse.Warehouse(lake.folder) as dbt:
        lake.build_with(dbt, full=True)
        before = lake.rows("SELECT rowid, dt FROM lake.main.silver_machine_hours")
        lake.add(case, only_landing=99)
        lake.build_with(dbt, full=False)
    touched = lake.rows("SELECT DISTINCT dt::varchar AS dt FROM lake.meta.touched_days WHERE entity = 'machine_window'")
    after = lake.rows("SELECT rowid, dt FROM lake.main.silver_machine_hours")
    near = {"1970-01-03", "1970-01-04", "1970-01-05"}
    assert near == {row["dt"] for row in touched}
    kept = {row["rowid"] for row in before if str(row["dt"]) not in near}
    assert kept
    assert kept == {row["rowid"] for row in after if str(row["dt"]) not in near}
    lake.close()


def test_a_failed_test_names_the_broken_law_and_the_rows(built):
    """'1 test failed' helps nobody at night."""
    with warehouse.Warehouse(built.folder) as dbt:
        with built.writing() as writer:
            writer._execute("UPDATE lake.main.gold_cluster_util_daily SET coverage_ratio = 7 WHERE dt = '1970-01-02'")
            version = writer.version()
        broken = dbt.test(version=version)
        assert not broken.ok
        assert "gold_cluster_util_daily_holds: broken_law = coverage_is_a_ratio, broken_rows = 1" in broken.why()
        assert dbt.test(version=version - 1).ok  # pinned: the version before is as it was


@pytest.mark.slow
@pytest.mark.parametrize("touched", [True, False])
def test_a_small_builds_tests_look_at_what_it_made_again(tmp_path, touched):
    """A delivery of one day must not pay for testing years; a fault on a day that it touched is found all the same."""
    case = sliced(3, days=5)
    window = {"worker_name": "late", "machine": "m0", "start_time": 4.2 * DAY_S, "end_time": 4.4 * DAY_S,
              "machine_gpu": 5.0, "machine_cpu": 5.0, "landing": 99}  # fmt: skip
    case.rows["windows"].append(window)
    lake = TinyLake(tmp_path / "lake")
    with warehouse.Warehouse(lake.folder) as dbt:
        for delivery in range(1, 6):
            lake.add(case, only_landing=delivery)
        lake.build_with(dbt, full=True)
        lake.add(case, only_landing=99)
        lake.build_with(dbt, full=False)
        day = "1970-01-05" if touched else "1970-01-03"
        assert touched == (day in {str(row["dt"]) for row in lake.rows("SELECT dt FROM lake.meta.due_days")})
        lake.close()
        with lake.writing() as writer:
            writer._execute("UPDATE lake.main.gold_cluster_util_daily SET coverage_ratio = 7 WHERE dt = ?", [day])
            version = writer.version()
        assert touched == (not dbt.test(version=version, everything=False).ok)
        everything = dbt.test(version=version)
    assert "coverage_is_a_ratio, broken_rows = 1" in everything.why()


def test_a_bronze_row_without_a_landing_fails_the_test_of_every_source(built):
    """Rows are counted in each source's tables, also in those that came after the test was written."""
    with warehouse.Warehouse(built.folder) as dbt:
        with built.writing() as writer:
            writer._execute("INSERT INTO lake.main.bronze_openb2023_node (sn) VALUES ('stray')")
            version = writer.version()
        broken = dbt.test(version=version)

    assert not broken.ok
    assert "bronze_table = bronze_openb2023_node, rows_held = 1, rows_kept = 0" in broken.why()


def test_the_tests_cannot_write(built):
    """What is tested is exactly what would be published, so testing must change nothing."""
    with warehouse.Warehouse(built.folder) as dbt:
        with built.writing() as writer:
            version = writer.version()
        assert dbt.test(version=version).ok
        refused = dbt.dbt(["run", "--quiet", "--select", "silver_machines"], version=version)
        assert not refused.ok
        assert "read-only" in refused.why()
        with built.writing() as writer:
            assert version == writer.version()


def test_unit_tests_of_the_models(built):
    """Each definition, alone: the models' own unit tests, and the tests that are too slow for every refresh."""
    with warehouse.Warehouse(built.folder) as dbt:
        units = dbt.dbt(["test", "--quiet", "--select", "test_type:unit", "tag:by_hand"])
        assert units.ok, units.why()
        assert len(units.nodes) >= 2


def test_the_child_ends_with_its_parents_pipe(tmp_path, monkeypatch):
    """A killed refresh must not leave a process that holds the lake's lock for ever."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    lake = TinyLake(tmp_path / "lake")
    dbt = warehouse.Warehouse(lake.folder)
    dbt._child.stdin.close()
    assert 0 == dbt._child.wait(timeout=60)
    dbt._replies.close()


@pytest.mark.slow
def test_a_killed_child_is_an_error_and_the_next_build_works(tmp_path, monkeypatch):
    """The machine may kill dbt for memory: say so, and lose nothing."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    lake = TinyLake(tmp_path / "lake")
    lake.add(sliced(1, days=2))
    with warehouse.Warehouse(lake.folder) as dbt:
        time.sleep(1)
        os.kill(dbt._child.pid, signal.SIGKILL)
        with pytest.raises(LakeError, match="ended without an answer"):
            dbt.build(full=True)
    lake.build(full=True)
    lake.close()


def test_a_full_build_checks_each_contract(built):
    """Columns that people rely on may neither vanish nor come, nor change their type, unnoticed."""
    with warehouse.Warehouse(built.folder) as dbt:
        written = dbt._script({"do": "write down a full build", "sources": ["pai2020"]})
    project = warehouse.project()
    enforced = sum(file.read_text().count("contract: {enforced: true}") for file in project.rglob("*.yml"))
    checks = {step.name: step.statements[0] for step in written.steps if step.statements[0].startswith("/*contract*/")}
    assert len(checks) == enforced > 20
    check = checks["gold_incidents"].replace("('rule', typeof(cast(null as varchar)))", "('ruler', typeof(1))")
    with built.writing() as writer:
        writer._execute(checks["gold_incidents"])
        with pytest.raises(Exception, match="rule is VARCHAR, and its contract says nothing; ruler is missing, and"):
            writer._execute(check)


def test_the_fingerprint_follows_the_models(monkeypatch, tmp_path):
    """A changed model with an unchanged fingerprint would be built over half the days only."""
    first = warehouse.fingerprint()
    copy = copied_project(tmp_path / "warehouse")
    monkeypatch.setattr(warehouse, "project", lambda: copy)
    assert first == warehouse.fingerprint()
    (copy / "macros" / "units.sql").write_text("changed")
    assert first != warehouse.fingerprint()


@pytest.mark.slow
def test_a_damaged_cache_of_the_parsed_project_is_parsed_again(tmp_path, monkeypatch):
    """A cut-off write in a user's cache must not stop every refresh."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    lake = TinyLake(tmp_path / "lake")
    lake.add(sliced(1, days=2))
    lake.build(full=True)
    (kept,) = (tmp_path / "cache" / "gpulake" / "dbt").glob("*.msgpack")
    for script in kept.parent.glob("*.json"):
        script.write_text(script.read_text()[:1000])
    whole = kept.read_bytes()
    kept.write_bytes(whole[:1000])
    lake.build(full=True)
    assert len(whole) == pytest.approx(kept.stat().st_size, rel=0.01)
    shutil.rmtree(kept.parent)
    kept.parent.write_text("a file in the folder's place")
    lake.build(full=True)
    lake.close()


@pytest.mark.slow
def test_a_parsed_project_is_not_taken_for_its_equal_in_another_folder(tmp_path, monkeypatch):
    """A parsed project names its seeds' files: of a checkout that has been removed they are gone."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    lake = TinyLake(tmp_path / "lake")
    lake.add(sliced(1, days=2))
    for project in [copied_project(tmp_path / name) for name in ("first", "second")]:
        monkeypatch.setattr(warehouse, "project", lambda project=project: project)
        lake.build(full=True)
        shutil.rmtree(project)
    lake.close()


@pytest.mark.slow
def test_a_table_built_again_keeps_its_partitions(tmp_path):
    """A table that lost them would be read whole for every touched day."""
    lake = TinyLake(tmp_path / "lake")
    lake.add(sliced(1, days=2))
    for _ in range(2):
        lake.build(full=True)
    files = lake.rows("SELECT data_file FROM ducklake_list_files('lake', 'silver_machine_hours')")
    assert files
    assert all("/year=1970/month=1/" in row["data_file"] for row in files)
    lake.close()


@pytest.mark.slow
def test_the_models_documentation_is_one_page_that_needs_nothing(tmp_path):
    """`gpulake docs` worked once and failed ever after: a parsed project from the cache must do as well as a fresh one."""
    for folder in ("once", "again"):
        page = warehouse.docs(tmp_path / folder)
        text = page.read_text(encoding="utf-8")
        assert "gold_cluster_util_daily" in text
        assert "silver_machine_hours" in text
