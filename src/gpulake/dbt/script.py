"""What dbt would run, written down once and run without it: a build of everything or of what is touched, or the data tests.

The statements of such a command follow from the project, those of a full build also from which sources have landed, and
from nothing that a delivery brings. So dbt writes them once; each build after that runs them on DuckDB alone.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any  # JSON, and DuckDB's cursors

from gpulake.dbt.asked import Asked
from gpulake.dbt.idle import Idle
from gpulake.dbt.near import Near
from gpulake.dbt.results import BuildResult, CompiledModel, NodeResult
from gpulake.dbt.standing import Standing
from gpulake.dbt.transactions import FewCommits
from gpulake.lake import Connection, QueryError, first_line
from gpulake.whole import keep_newest, write_whole

_FAILING_ROWS_SHOWN = 5
_KEPT = 64


@dataclass(frozen=True)
class Step:
    """One model, seed or data test.

    `makes` is what a full build makes anew, as SQL names it: what stands there is dropped first. `failing` is a test's own query:
    the rows that fail it; `warns`: they only warn.
    """

    name: str
    kind: str
    statements: tuple[str, ...]
    makes: str = ""
    failing: str = ""
    warns: bool = False


@dataclass(frozen=True)
class Script:
    """The steps of one command in their order, and of a full build what explains its models."""

    steps: tuple[Step, ...]
    compiled: tuple[CompiledModel, ...] = ()


# ---------------------------------------------------------------------------------------------- keeping


def file_of(folder: Path, *, digest: str, request: object) -> Path:
    """Where the script for a request is kept; `digest` is that of the project, and of what reads it."""
    asked = hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()
    return folder / f"{digest}-{asked[:16]}.json"


def read(written: Mapping[str, Any]) -> Script:
    """The script out of the objects that JSON knows."""
    steps = (Step(**{**step, "statements": tuple(step["statements"])}) for step in written["steps"])
    lists = ("depends_on", "depends_on_files")
    compiled = (
        CompiledModel(**{**model, **{each: tuple(model[each]) for each in lists}}) for model in written["compiled"]
    )
    return Script(tuple(steps), tuple(compiled))


def kept(file: Path) -> Script | None:
    """The script, if it was kept and is whole."""
    try:
        found = read(json.loads(file.read_text()))
    except (OSError, ValueError, TypeError, LookupError):
        return None
    with suppress(OSError):
        file.touch()  # the ones used last are the ones kept
    return found


def keep(script: Script, file: Path) -> None:
    """Keep it, and only the few that were used last. Where that cannot be, dbt writes it again."""
    with suppress(OSError):
        write_whole(file, json.dumps(asdict(script)).encode())
        keep_newest(file.parent.glob("*.json"), _KEPT)


# ---------------------------------------------------------------------------------------------- running


def build(
    connection: Connection,
    script: Script,
    *,
    rows_held: int,
    idle: Idle | None = None,
    standing: Standing | None = None,
) -> BuildResult:
    """Run a build, with few commits. The first failure ends it, and what was committed before stays.

    `idle` knows which models have nothing to do: those are left out. `standing`: what stands as the build begins, where its small
    tables may be held in memory.
    """
    started = time.monotonic()
    stands = _standing(connection) if any(step.makes for step in script.steps) else {}
    commits = FewCommits(connection, rows_held=rows_held)
    run = _Run(commits.execute, Asked(connection), _near(script, standing, commits.cursor.execute))
    nodes: list[NodeResult] = []
    error = ""
    try:
        for number, step in enumerate(script.steps):
            began, before = time.monotonic(), commits.changed
            message = ""
            if idle is None or not idle.changes_nothing(step.statements):
                message = _do(commits, run, step, number, stands=stands.get(step.makes))
                if idle is not None and commits.changed > before:
                    idle.ran(step.statements)
            status = "error" if message else "success"
            nodes.append(NodeResult(step.name, step.kind, status, message, time.monotonic() - began))
            if message:
                break
    finally:
        try:
            commits.finish(keep=len(nodes) == len(script.steps) and nodes[-1].ok)
        except QueryError as failure:  # a full disk, a lost file
            error = f"the last commit failed: {failure}"
    ok = not error and all(node.ok for node in nodes)
    if ok:
        run.done()
    return BuildResult(ok, tuple(nodes), time.monotonic() - started, error, script.compiled)


@dataclass(frozen=True)
class _Run:
    """Runs the statements of one script: what they ask first is asked, and what is near is read there."""

    execute: Callable[[str, Sequence[object]], Any]
    asked: Asked
    near: Near | None

    def statement(self, statement: str, *, step: int) -> Any:
        """Run one. Returns its cursor."""
        sql, values = self.asked.within(statement)
        return self.execute(self.near.within(sql, step=step) if self.near else sql, values)

    def done(self) -> None:
        """Leave nothing behind on the connection."""
        if self.near:
            with suppress(
                QueryError
            ):  # a database that a full disk has broken drops nothing, and ends with its connection
                self.near.drop()


def _near(script: Script, standing: Standing | None, run: Callable[[str], Any]) -> Near | None:
    return Near([step.statements for step in script.steps], standing, run=run) if standing else None


def _standing(connection: Connection) -> dict[str, str]:
    """The kind of each relation of the lake, by its name in SQL."""
    found = connection.execute(
        "SELECT database_name, schema_name, table_name, 'TABLE' FROM duckdb_tables() WHERE database_name = 'lake' "
        "UNION ALL SELECT database_name, schema_name, view_name, 'VIEW' FROM duckdb_views() WHERE database_name = 'lake'"
    )
    return {f'"{lake}"."{schema}"."{name}"': kind for lake, schema, name, kind in found.fetchall()}


def _do(commits: FewCommits, run: _Run, step: Step, number: int, *, stands: str | None) -> str:
    """Run one model. Returns what went wrong, or nothing."""
    try:
        if stands:
            commits.execute(f"DROP {stands} {step.makes}")
        for statement in step.statements:
            run.statement(statement, step=number)
        commits.node_ended()
    except QueryError as failure:
        return first_line(failure)
    return ""


def test(connection: Connection, script: Script, *, idle: Idle | None, standing: Standing | None) -> BuildResult:
    """Run data tests, each whatever became of the others. A failed one's message shows the first rows that fail it.

    `idle` knows which tests no row can fail: those have passed. `standing`: as in `build`.
    """
    started = time.monotonic()
    run = _Run(connection.execute, Asked(connection), _near(script, standing, connection.execute))
    nodes = tuple(
        NodeResult(step.name, step.kind, "pass", "", 0.0)
        if idle is not None and idle.gives_nothing(step.failing)
        else _tested(run, step)
        for step in script.steps
    )
    run.done()
    return BuildResult(all(node.ok for node in nodes), nodes, time.monotonic() - started)


def _tested(run: _Run, step: Step) -> NodeResult:
    began = time.monotonic()
    (statement,) = step.statements
    message = ""
    try:
        found = run.statement(statement, step=0).fetchone()
        assert found is not None
        _, should_warn, should_error = found
        if should_error and not step.warns:
            status, message = "fail", _rows_that_fail(run, step)
        elif should_warn:
            status = "warn"
        else:
            status = "pass"
    except QueryError as failure:
        status, message = "error", first_line(failure)
    return NodeResult(step.name, step.kind, status, message, time.monotonic() - began)


def _rows_that_fail(run: _Run, step: Step) -> str:
    found = run.statement(step.failing, step=0)
    names = [column[0] for column in found.description]
    rows = [dict(zip(names, row, strict=True)) for row in found.fetchmany(_FAILING_ROWS_SHOWN)]
    return "; ".join(", ".join(f"{name} = {value}" for name, value in row.items()) for row in rows)
