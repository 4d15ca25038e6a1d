"""The flow's own part: what is tried again, and how the steps' results become one. No server, no flow run."""

import sqlite3
from contextlib import closing, nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("prefect")

from prefect.settings import PREFECT_API_URL, PREFECT_HOME, get_current_settings, temporary_settings

from gpulake import flows, pipeline
from gpulake.detecting.outcomes import Detected, Judged
from gpulake.errors import ContractError, DataTestError, LakeError, LockError, SourceError, UsageError
from gpulake.incidents import Told
from gpulake.lake import Publication
from gpulake.landing import Landing, LandReport, Refused
from gpulake.pipeline import Alerted, Built, StepResult

LANDING = Landing(
    landing_id="1f", status="landed", source="pai2020", cluster_id="pai2020", table="pai_machine_metric",
    bronze_table="bronze_machine_metrics", file_name="pai_machine_metric.csv", layout="headerless",
    published_bytes=False, rows_in=21, rows_kept=20, rows_refused=1, reasons={"machine_gpu is not a number": 1},
)  # fmt: skip
REFUSED = Refused(Path("/data/pai_job_table.csv"), SourceError("the file is empty."))
PUBLICATION = Publication(31, 33, 34, "published/catalog-34.duckdb", "2026-11-25T16:00:00")

LANDED = StepResult(why="1 landings wait for the next build", land=LandReport((LANDING,), (), ()))
BUILT = StepResult(why="built; next: gpulake detect", build=Built(31, True, {"gold_cluster_util_daily": 10}, 25, 4.2))
DETECTED = StepResult(
    why="scored; next: gpulake publish",
    detect=Detected(
        31,
        (Judged("iforest", "cluster_day", 10, 1, 2, is_shown=True, is_as_before=False, flagged_days=("1970-01-29",)),),
        landed=True,
    ),
)
PUBLISHED = StepResult(
    why="every data test passed", published=True, tests=pipeline.Tested(33, True, 14, (), ()), publication=PUBLICATION
)


ALERTED = StepResult(
    why="judged by the rules", publication=PUBLICATION, alerts=Alerted(17, 3, (), Told(opened=2, open_now=5))
)
SILENT = StepResult(why="nobody has to be told anything", publication=PUBLICATION)
NOTHING = StepResult(why="nothing is new since the last publication", publication=PUBLICATION)


def walked(*results):
    """A walk whose steps give these results, in their order; an error is raised."""
    return asked_for(*results)[0]


def asked_for(*results, alerted=SILENT):
    """The same, and what the step that tells people was asked for where nothing was published."""
    left, asked_of = list(results), []

    def do(step, asked):
        if not left:
            assert pipeline.ALERT is step
            asked_of.append((asked.failure, asked.only_if_due))
            result = alerted
        else:
            result = left.pop(0)
        if isinstance(result, Exception):
            raise result
        return result

    result = pipeline.walk(do, pipeline.Asked())
    assert [] == left
    return result, asked_of


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (LockError("busy"), True),
        (LakeError("disk full"), True),
        (SourceError("truncated"), False),
        (ContractError("no row"), False),
        (DataTestError("a test failed"), False),
        (UsageError("no such source"), False),
        (KeyError("a bug"), False),
    ],
)
def test_only_a_busy_or_faulty_lake_is_tried_again(error, again):
    """A retry of bad data would find the same data, and hide a bug for a minute."""
    from prefect.states import Failed

    assert again == flows.may_pass(None, None, Failed(data=error))


def test_every_step_is_a_task_with_retries():
    """The names are what people see in the UI."""
    assert ["land", "build", "detect", "publish", "alert"] == list(flows.TASKS)
    for name, step in flows.TASKS.items():
        assert (name, 3, flows.may_pass) == (step.name, step.retries, step.retry_condition_fn)


def test_the_flow_keeps_the_name_that_schedules_know():
    """A deployment made for gpu_telemetry_full_refresh finds it."""
    assert "gpu_telemetry_full_refresh" == flows.gpu_telemetry_full_refresh.name


def test_the_parameters_are_plain_values():
    """A deployment keeps them as JSON and the UI shows a field for each."""
    fields = flows.gpu_telemetry_full_refresh.parameters.properties

    assert ["data", "lake", "source", "cluster", "rehash", "again", "corrects", "full", "wait_s"] == list(fields)
    assert ["data"] == flows.gpu_telemetry_full_refresh.parameters.required


def test_five_results_become_the_one_that_refresh_gives():
    """A program reads the same JSON from `gpulake flow` as from `gpulake refresh`."""
    expected = StepResult(
        why="every data test passed",
        published=True,
        land=LANDED.land,
        build=BUILT.build,
        detect=DETECTED.detect,
        tests=PUBLISHED.tests,
        publication=PUBLICATION,
        alerts=ALERTED.alerts,
    )

    assert expected == walked(LANDED, BUILT, DETECTED, PUBLISHED, ALERTED)
    assert expected.as_json().keys() == walked(LANDED, NOTHING).as_json().keys()


def test_nothing_new_keeps_the_reason_and_the_publication():
    """The result says that nothing was done, and which build stays."""
    result = walked(LANDED, NOTHING)

    assert ("nothing is new since the last publication", False, 31) == (result.why, result.published, result.build_id)


def test_people_are_told_however_a_walk_ends():
    """A build that fails, and a cluster that has fallen silent, publish nothing: nobody would hear of them."""
    broken = DataTestError("the build failed")

    assert [(None, True)] == asked_for(LANDED, NOTHING)[1]
    assert [(broken, False)] == asked_for(LANDED, broken)[1]
    assert [] == asked_for(LANDED, LakeError("the disk is full"))[1]  # it cannot be recorded either
    assert [] == asked_for(LANDED, BUILT, DETECTED, PUBLISHED, ALERTED)[1]
    assert ALERTED.alerts == asked_for(LANDED, NOTHING, alerted=ALERTED)[0].alerts
    assert "nothing is new since the last publication" == asked_for(LANDED, NOTHING, alerted=ALERTED)[0].why


def test_that_people_could_not_be_told_hides_no_other_failure():
    """The first fault is the one to mend; alone, it is the run's."""
    broken, full = DataTestError("the build failed"), LakeError("the disk is full")

    assert broken is asked_for(LANDED, broken, alerted=full)[0].error
    assert full is asked_for(LANDED, NOTHING, alerted=full)[0].error
    told = asked_for(LANDED, BUILT, DETECTED, PUBLISHED, full)[0]
    assert (True, "published, but people were not told: the disk is full") == (told.published, told.why)


def test_a_refused_file_stays_the_error_of_a_run_that_published():
    """The rest is published, and the run still fails, as the exit code of refresh says."""
    landed = replace(LANDED, error=REFUSED.error)
    result = walked(landed, BUILT, DETECTED, PUBLISHED, ALERTED)

    assert (True, REFUSED.error) == (result.published, result.error)


@pytest.mark.parametrize("error", [DataTestError("x"), LakeError("x"), UsageError("x"), LockError("x")])
def test_a_later_steps_error_hides_no_refused_file(error):
    """Told of the last step alone, people look for a fault where there is none: the first reason is the file."""
    landed = replace(LANDED, error=REFUSED.error, land=LandReport((), (REFUSED,), ()))
    result = walked(landed, BUILT, error)

    assert (error, (REFUSED,), False) == (result.error, result.land.refused, result.published)
    with pytest.raises(type(error)):
        walked(error)


@pytest.mark.parametrize("before", [[LANDED], [LANDED, BUILT], [LANDED, BUILT, DETECTED]])
def test_a_failed_test_keeps_what_was_done_and_publishes_nothing(before):
    """Whoever repairs it sees how far it came; people go on reading what is published."""
    before = [replace(step, publication=PUBLICATION) for step in before]
    result = walked(*before, DataTestError("2 of 14 data tests failed."))

    assert ("not published: 2 of 14 data tests failed.", False) == (result.why, result.published)
    assert isinstance(result.error, DataTestError)
    assert (LANDED.land, PUBLICATION) == (result.land, result.publication)
    assert (len(before) > 1, len(before) > 2) == (result.build is not None, result.detect is not None)


def test_artifacts_name_every_file_with_its_rows():
    """People see in the UI what landed, what was refused and why."""
    landed = replace(LANDED, land=LandReport((LANDING,), (REFUSED,), ()))
    rows = flows.landed_rows(landed)

    assert [("pai_machine_metric.csv", 20, 1), ("pai_job_table.csv", None, None)] == [
        (row["file"], row["kept"], row["refused"]) for row in rows
    ]
    assert ["1 x machine_gpu is not a number", "the file is empty."] == [row["why"] for row in rows]


def test_artifacts_count_rows_days_and_tests():
    """One small table per step."""
    assert [{"table": "gold_cluster_util_daily", "rows": 10}] == flows.built_rows(BUILT)
    assert [8, 1, 2] == [row["count"] for row in flows.judged_rows(DETECTED)]
    assert [14, 0, 31, 33] == [row["value"] for row in flows.published_rows(PUBLISHED)]
    assert {"rules": 17, "firing": 3, "opened": 2, "open_now": 5}.items() <= {
        row["what"]: row["count"] for row in flows.alert_rows(ALERTED)
    }.items()
    assert [] == flows.landed_rows(BUILT) == flows.built_rows(LANDED) == flows.judged_rows(LANDED)


@pytest.mark.parametrize("revision", [None, "9725c1cbee35", "ffffffffffff"])
def test_a_prefect_database_of_another_version_is_told_at_once(tmp_path, revision):
    """Prefect tells it after two minutes, in two thousand lines of traceback."""
    if revision:
        with closing(sqlite3.connect(tmp_path / "prefect.db")) as database:
            database.execute("CREATE TABLE alembic_version (version_num VARCHAR)")
            database.execute("INSERT INTO alembic_version VALUES (?)", [revision])
            database.commit()
    with temporary_settings({PREFECT_HOME: tmp_path, PREFECT_API_URL: None}):
        here = get_current_settings()
    told = pytest.raises(UsageError, match="of another version") if revision == "ffffffffffff" else nullcontext()
    with told:
        flows._check_database(here)
