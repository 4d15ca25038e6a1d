"""The warehouse: dbt in a child process, with typed results. Nobody else starts dbt."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version as installed
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from gpulake.errors import LakeError
from gpulake.lake import EXTENSIONS, Layout, extension_file

_SHAPING = ("models", "macros", "seeds")
_MEMORY = "800MB"
"""What DuckDB may hold at once; beyond it sorts and joins spill into the lake's folder."""
_ROWS_HELD = "100000"
"""Rows that a build writes, or deletes, before it commits: see `connection`."""


@dataclass(frozen=True)
class NodeResult:
    """What became of one model, seed or test. A failed data test's message shows the rows it found."""

    name: str
    kind: str
    status: str
    message: str
    seconds: float

    @property
    def ok(self) -> bool:
        """Built, passed, or warned only."""
        return self.status in {"success", "pass", "warn"}


@dataclass(frozen=True)
class CompiledModel:
    """The SQL that a full build ran for a model, and what it stands on: names, and the file of each or ""."""

    model: str
    file: str
    depends_on: tuple[str, ...]
    depends_on_files: tuple[str, ...]
    compiled_sql: str


@dataclass(frozen=True)
class BuildResult:
    """What one dbt command did. `error` is set when dbt could not even begin; `compiled` is told of a full build."""

    ok: bool
    nodes: tuple[NodeResult, ...]
    seconds: float
    error: str = ""
    compiled: tuple[CompiledModel, ...] = ()

    @property
    def failures(self) -> tuple[NodeResult, ...]:
        """Nodes that failed themselves, without those skipped because of them."""
        return tuple(node for node in self.nodes if not node.ok and node.status != "skipped")

    def why(self) -> str:
        """The failures in one line; empty when there are none."""
        return "; ".join(f"{node.name}: {node.message}" for node in self.failures) or self.error


class Warehouse:
    """One dbt child, started at once so that its imports run beside the caller's work.

    The child inherits `lock_fd`, so the lake stays locked until it has ended, and it ends when this object closes or its
    process dies. It opens the catalog for the time of one command: whoever else in this process has it open lets go of
    it by `let_go`, which is called before each.
    """

    def __init__(self, lake_dir: Path, *, lock_fd: int | None, let_go: Callable[[], None] | None = None) -> None:
        self._layout = Layout(lake_dir.resolve())
        self._let_go = let_go
        self._replies, child_end = _pipe()
        passed = (child_end,) if lock_fd is None else (child_end, lock_fd)
        try:
            with (self.log.parent / "console.log").open("wb") as console:
                self._child = subprocess.Popen(
                    [sys.executable, "-P", "-m", "gpulake.dbt.child", str(child_end)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=console,
                    pass_fds=passed,
                    env={**os.environ, **environment(self._layout)},
                    text=True,
                )
        finally:
            os.close(child_end)

    @property
    def log(self) -> Path:
        """Dbt's own log."""
        return _folder(self._layout) / "dbt.log"

    def build(
        self, *, full: bool, landed: Sequence[str] = (), pending: Sequence[str] = (), is_small: bool = False
    ) -> BuildResult:
        """Build every model at the lake's newest version: all of it, or what the pending landings touch.

        `landed` are all bronze tables of which anything has landed, as `<source>.<table>`; no others are planned for.
        `pending` are all pending landings' ids. Both save work; where none is given the models find out by themselves.
        `is_small`: there are so few pending rows that one thread does them in the same time.
        """
        asked = {"do": "build", "full": full, "landed": list(landed), "pending": list(pending), "is_small": is_small}
        return self._ask(asked)

    def test(
        self, *, version: int, everything: bool = True, slow_ones_too: bool = False, is_small: bool = False
    ) -> BuildResult:
        """Test the lake as it was at one version, read-only: what is tested is exactly what would be published.

        Not `everything`: only the rows that the last build made again, where all others have been tested before.
        `slow_ones_too`: also the tests that read every attempt, which no refresh runs.
        """
        asked = {"everything": everything, "slow_ones_too": slow_ones_too, "is_small": is_small}
        return self._ask({"do": "test", "version": version, **asked})

    def dbt(self, arguments: Sequence[str], *, version: int | None = None) -> BuildResult:
        """Run any dbt command by hand, on the newest version or, read-only, on the one that is given."""
        return self._ask({"do": "dbt", "arguments": list(arguments), "version": version})

    def close(self) -> None:
        """End the child and wait for it."""
        if self._child.stdin:
            self._child.stdin.close()
        self._child.wait()
        self._replies.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, request: Mapping[str, object]) -> BuildResult:
        assert self._child.stdin is not None
        if self._let_go:
            self._let_go()
        try:
            self._child.stdin.write(json.dumps(request) + "\n")
            self._child.stdin.flush()
            line = self._replies.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise LakeError(
                f"dbt ended without an answer (exit code {self._child.wait()}).",
                where=str(self.log.parent / "console.log"),
                do="read that file; a full disk or too little memory end it so",
            )
        reply = json.loads(line)
        nodes = tuple(NodeResult(**node) for node in reply["nodes"])
        compiled = tuple(CompiledModel(**model) for model in reply.get("compiled", ()))
        return BuildResult(reply["ok"], nodes, reply["seconds"], reply["error"], compiled)


def run_by_hand(lake_dir: Path, args: Sequence[str], *, lock_fd: int) -> int:
    """Run one dbt command on the newest version, talking on this process's own stdout; its exit code."""
    layout = Layout(lake_dir.resolve())
    child = subprocess.run(
        [sys.executable, "-P", "-m", "gpulake.dbt.child", "--", *args],
        pass_fds=(lock_fd,),
        env={**os.environ, **environment(layout)},
        check=False,
    )
    return child.returncode


def project() -> Path:
    """Where the dbt project lies: in the wheel, or beside `src` in a checkout."""
    package = Path(__file__).resolve().parents[1]
    shipped = package / "_warehouse"
    return shipped if shipped.is_dir() else package.parents[1] / "warehouse"


def fingerprint() -> str:
    """A digest of all that shapes the tables: another one means that everything must be built again."""
    digest = hashlib.sha256()
    for name in ("gpulake", "dbt-core", "dbt-duckdb", "duckdb"):
        digest.update(f"{name}=={installed(name)}\n".encode())
    files = [project() / "dbt_project.yml"]
    for folder in _SHAPING:
        files.extend(file for file in (project() / folder).rglob("*") if file.suffix in {".sql", ".yml", ".csv"})
    for file in sorted(files):
        digest.update(f"{file.relative_to(project()).as_posix()}\0".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()


def docs(out: Path) -> Path:
    """Write the models' documentation as one page that needs no server and no lake. Returns its file."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, Warehouse(Path(folder), lock_fd=None) as warehouse:
        made = warehouse.dbt(["docs", "generate", "--static", "--empty-catalog", "--no-compile", "--quiet"])
        if not made.ok:
            raise LakeError(f"the models' documentation could not be made: {made.why()}.", where=str(project()))
        page = _folder(warehouse._layout) / "target" / "static_index.html"  # noqa: SLF001
        return page.rename(out / "index.html") if page.stat().st_dev == out.stat().st_dev else _copied(page, out)


def environment(layout: Layout) -> dict[str, str]:
    """What dbt and `profiles.yml` read from the environment."""
    folder = _folder(layout)
    scratch = folder / "scratch"
    scratch.mkdir(exist_ok=True)
    return {
        "DBT_PROJECT_DIR": str(project()),
        "DBT_PROFILES_DIR": str(project()),
        "DBT_TARGET_PATH": str(folder / "target"),
        "DBT_LOG_PATH": str(folder),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DO_NOT_TRACK": "1",
        "GPULAKE_CATALOG": str(layout.catalog),
        "GPULAKE_DATA": f"{layout.data}/",
        "GPULAKE_SCRATCH": str(scratch),
        "GPULAKE_EXTENSION_FILES": os.pathsep.join(str(extension_file(name)) for name in EXTENSIONS),
        "GPULAKE_PARSED": str(_parsed_folder(folder)),
        "GPULAKE_MEMORY": os.environ.get("GPULAKE_MEMORY", _MEMORY),
        "GPULAKE_ROWS_HELD": os.environ.get("GPULAKE_ROWS_HELD", _ROWS_HELD),
    }


def _folder(layout: Layout) -> Path:
    folder = layout.folder / "dbt"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _parsed_folder(fallback: Path) -> Path:
    """Where the parsed project is kept: it is the same for every lake of a user."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "gpulake" / "dbt"
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):
        return fallback
    return cache


def _copied(page: Path, out: Path) -> Path:
    target = out / "index.html"
    target.write_bytes(page.read_bytes())
    return target


def _pipe() -> tuple[IO[str], int]:
    ours, theirs = os.pipe()
    return os.fdopen(ours, encoding="utf-8"), theirs
