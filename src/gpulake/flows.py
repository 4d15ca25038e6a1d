"""The refresh under Prefect: a task per step, with retries, and row counts as artifacts. The steps are pipeline's own.

Each step takes the lake's lock for itself, so other writers get their turn between two steps. A step that meets a busy
or faulty lake is tried again; bad data is not, since a second look finds the same.
"""

from __future__ import annotations

import glob
import os
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

# Quiet and at home: no telemetry, and time enough for the first start of Prefect's temporary server, which lays out
# its own database. Whatever the user has set wins.
for _name, _value in {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
}.items():
    os.environ.setdefault(_name, _value)

# Prefect reads the settings above when it is imported.
import prefect  # noqa: E402
from prefect import flow, get_run_logger, task  # noqa: E402
from prefect.artifacts import create_table_artifact  # noqa: E402
from prefect.cache_policies import NO_CACHE  # noqa: E402
from prefect.client.schemas.objects import State, TaskRun  # noqa: E402
from prefect.settings import Settings, get_current_settings  # noqa: E402
from prefect.states import Completed, Failed  # noqa: E402
from prefect.tasks import Task  # noqa: E402

from gpulake import config as settings  # noqa: E402
from gpulake import pipeline  # noqa: E402
from gpulake.config import Config  # noqa: E402
from gpulake.errors import LakeError, LockError, UsageError  # noqa: E402
from gpulake.pipeline import Asked, Step, StepResult  # noqa: E402

_RETRY_AFTER_S = [2.0, 10.0, 30.0]

Rows = list[dict[str, object]]
"""A table for people: one dictionary per row."""


def may_pass(_task: Task[..., object], _run: TaskRun, state: State[object]) -> bool:
    """Whether a step that failed so is worth another try: the lake was busy or faulty, not the data."""
    return isinstance(state.data, LockError | LakeError)


# -------------------------------------------------------------------------------------------------- tasks


def _task_of(step: Step) -> Task[..., StepResult]:
    """A step as a task of its own name, which keeps its table."""

    @task(
        name=step.name,
        retries=3,
        retry_delay_seconds=_RETRY_AFTER_S,
        retry_condition_fn=may_pass,
        cache_policy=NO_CACHE,
    )
    def run(config: Config, asked: Asked, *, wait_s: float) -> StepResult:
        result = pipeline.do(step, config, asked, wait_s=wait_s, progress=_log_each_step())
        key, rows_of = _TABLES[step.name]
        if rows := rows_of(result):
            create_table_artifact(key=key, table=rows, description=result.why)
        return result

    return run


TASKS: Mapping[str, Task[..., StepResult]] = {step.name: _task_of(step) for step in pipeline.STEPS}
"""Each step of a refresh, by name."""


# --------------------------------------------------------------------------------------------------- flow


@flow(name="gpu_telemetry_full_refresh")
def gpu_telemetry_full_refresh(  # noqa: PLR0917  Prefect passes parameters by name
    data: str,
    lake: str | None = None,
    source: str | None = None,
    cluster: str | None = None,
    rehash: bool = False,  # noqa: FBT001, FBT002
    again: bool = False,  # noqa: FBT001, FBT002
    corrects: bool = False,  # noqa: FBT001, FBT002
    full: bool = False,  # noqa: FBT001, FBT002
    wait_s: float = 60.0,
) -> State[StepResult]:
    """Land what is new, build what it touches, detect, test and publish. Nothing new: nothing is done.

    The run fails when a file was refused or a data test failed, as the command's exit code would say; what could be
    landed and published is. Parameters are plain values, so a deployment can carry them.
    """
    config = settings.load(os.environ, lake=Path(lake) if lake else None)
    asked = Asked(
        data=Path(data), source=source, cluster=cluster, rehash=rehash, again=again, corrects=corrects, full=full
    )
    result = pipeline.walk(lambda step, asked: TASKS[step.name](config, asked, wait_s=wait_s), asked)
    result = pipeline.renew_dashboards(config, result)
    if result.error:
        return Failed(message=str(result.error), data=result)
    return Completed(message=result.why, data=result)


def refresh(
    config: Config,
    *,
    data: Path,
    source: str | None = None,
    cluster: str | None = None,
    rehash: bool = False,
    again: bool = False,
    corrects: bool = False,
    full: bool = False,
    wait_s: float = 0.0,
) -> StepResult:
    """`pipeline.refresh` as a flow run: the same result, and the run is on record.

    It is recorded by the server that PREFECT_API_URL names, else by a temporary one of Prefect's own. Raises what the
    steps raise, when they have been tried often enough, and UsageError where Prefect's own database is of another version.
    """
    _check_database(get_current_settings())
    state = gpu_telemetry_full_refresh(
        data=str(data),
        lake=str(config.lake),
        source=source,
        cluster=cluster,
        rehash=rehash,
        again=again,
        corrects=corrects,
        full=full,
        wait_s=wait_s,
        return_state=True,
    )
    result = state.result(raise_on_failure=False)
    if isinstance(result, StepResult):
        return result
    assert isinstance(result, BaseException)
    raise result


def _check_database(settings: Settings) -> None:
    """Raise UsageError where the temporary server would not start, since another Prefect laid out its database.

    Prefect tells it after minutes, by the traceback of each attempt.
    """
    url = settings.server.database.connection_url
    file = settings.home / "prefect.db"
    if settings.api.url or (url and url.get_secret_value() != f"sqlite+aiosqlite:///{file}") or not file.is_file():
        return
    known = Path(prefect.__file__).parent / "server" / "database" / "_migrations" / "versions" / "sqlite"
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as database:
            laid_out = [str(row[0]) for row in database.execute("SELECT version_num FROM alembic_version")]
    except sqlite3.Error:
        return  # new, or locked: Prefect's own affair
    if any(not list(known.glob(f"*{glob.escape(revision)}*.py")) for revision in laid_out):
        raise UsageError(
            f"Prefect's database is of another version than Prefect {prefect.__version__}.",
            where=str(file),
            do="set PREFECT_HOME to another folder, or PREFECT_API_URL to a server; `gpulake refresh` needs neither",
        )


# ---------------------------------------------------------------------------------------------- artifacts


def landed_rows(result: StepResult) -> Rows:
    """What became of each file."""
    if result.land is None:
        return []
    files: Rows = [
        {
            "file": landing.file_name,
            "table": landing.table,
            "outcome": landing.status,
            "rows": landing.rows_in,
            "kept": landing.rows_kept,
            "refused": landing.rows_refused,
            "why": "; ".join(f"{rows} x {reason}" for reason, rows in landing.reasons.items()),
        }
        for landing in result.land.landings
    ]
    others = [(refused.path.name, "refused", refused.error.what) for refused in result.land.refused]
    others += [(other.path.name, "left alone", other.reason) for other in result.land.unrecognised]
    return files + [_left_out(name, outcome, why) for name, outcome, why in others]


def _left_out(name: str, outcome: str, why: str) -> dict[str, object]:
    return {"file": name, "table": "", "outcome": outcome, "rows": None, "kept": None, "refused": None, "why": why}


def built_rows(result: StepResult) -> Rows:
    """The rows of each silver and gold table."""
    rows: Mapping[str, int] = result.build.rows if result.build else {}
    return [{"table": table, "rows": count} for table, count in rows.items()]


def judged_rows(result: StepResult) -> Rows:
    """How many days or hours each detector judged, and which days it flagged."""
    return [
        row
        for judged in (result.detect.judged if result.detect else ())
        for row in (
            {"detector": judged.detector, "rows": "judged", "count": judged.rows - judged.not_judged, "which": ""},
            {
                "detector": judged.detector,
                "rows": "flagged",
                "count": judged.flagged,
                "which": ", ".join(judged.flagged_days),
            },
            {"detector": judged.detector, "rows": "not judged", "count": judged.not_judged, "which": ""},
        )
    ]


def published_rows(result: StepResult) -> Rows:
    """What the data tests said, and what people read now."""
    tests: Rows = []
    if result.tests:
        tests = [
            {"what": "tests passed", "value": result.tests.passed},
            {"what": "tests that warned", "value": ", ".join(result.tests.warned) or 0},
        ]
    publication = result.publication
    return [
        *tests,
        {"what": "published build", "value": publication.build_id if publication else "none"},
        {"what": "lake version", "value": publication.data_version if publication else "none"},
    ]


def alert_rows(result: StepResult) -> Rows:
    """What people were told."""
    alerts = result.alerts
    if alerts is None:
        return []
    counts = {"rules": alerts.rules, "firing": alerts.firing, "rules that could not be asked": len(alerts.broken)}
    told = {name: count for name, count in asdict(alerts.told).items() if isinstance(count, int)}
    return [{"what": name, "count": count} for name, count in (counts | told).items()]


_TABLES: Mapping[str, tuple[str, Callable[[StepResult], Rows]]] = {
    "land": ("gpulake-landed", landed_rows),
    "build": ("gpulake-built", built_rows),
    "detect": ("gpulake-judged", judged_rows),
    "publish": ("gpulake-published", published_rows),
    "alert": ("gpulake-alerts", alert_rows),
}
"""The table that each step keeps, and what makes its rows."""


def _log_each_step() -> Callable[[str, float], None]:
    """Progress for a log: a line as each thing begins."""
    logger, begun = get_run_logger(), set[str]()

    def tell(what: str, _share: float) -> None:
        if what not in begun:
            begun.add(what)
            logger.info(what)

    return tell
