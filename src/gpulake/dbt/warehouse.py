"""The warehouse: builds and tests of one lake, with typed results. Nobody else starts dbt."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from functools import cache
from importlib.metadata import version as installed
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from gpulake.dbt import functions, script
from gpulake.dbt.idle import Idle
from gpulake.dbt.project import digest, files_of
from gpulake.dbt.results import BuildResult, NodeResult
from gpulake.dbt.standing import look
from gpulake.dbt.transactions import ROWS_HELD
from gpulake.errors import LakeError
from gpulake.lake import EXTENSIONS, Connection, Layout, Writer, extension_file, lent

_SHAPING = ("models/", "macros/", "seeds/")
_MEMORY = "800MB"
"""What DuckDB may hold at once; beyond it sorts and joins spill into the lake's folder."""


class Warehouse:
    """Builds and tests one lake by what dbt has written down: see `script`.

    dbt runs in a child that is started when it is first needed; at once where it has written nothing yet, so that its imports
    run beside the caller's work. The child inherits the lock, so the lake stays locked until it has ended, and it ends when this object
    closes or its process dies. The catalog is open for the time of one command, here or in the child: `writer`, which holds the
    lock, lets go of it before each.
    """

    def __init__(self, lake_dir: Path, *, writer: Writer | None = None) -> None:
        self._layout = Layout(lake_dir.resolve())
        self._writer = writer
        self._environment = environment(self._layout)
        self._digest = digest(project())
        self._child: subprocess.Popen[str] | None = None
        if not any(self._kept_in.glob(f"{self._digest}-*.json")):
            self._child = self._woken()

    @property
    def log(self) -> Path:
        """Dbt's own log."""
        return _folder(self._layout) / "dbt.log"

    def build(self, *, full: bool, sources: Sequence[str] = (), is_small: bool = False) -> BuildResult:
        """Build every model at the lake's newest version: all of it, or what the pending landings touch.

        `sources` are those of which anything has landed: a full build's views are planned for no others, and for all where none
        is given. What is touched is built on the views that stand, so it is the same for every lake.
        `is_small`: there are so few pending rows that one thread does them in the same time.
        """
        request = (
            {"do": "write down a full build", "sources": sorted(sources)} if full else {"do": "write down a build"}
        )
        written = self._script(request)
        if isinstance(written, BuildResult):
            return written
        rows_held = int(self._environment["GPULAKE_ROWS_HELD"])
        with self._lent(version=None, is_small=is_small) as connection:
            functions.register(connection)
            if full:
                return script.build(connection, written, rows_held=rows_held)
            standing = look(connection)
            idle = Idle(connection, standing, beside=self._file_of(request))
            built = script.build(connection, written, rows_held=rows_held, idle=idle, standing=standing)
        idle.keep()
        return built

    def test(
        self,
        *,
        version: int,
        everything: bool = True,
        slow_ones_too: bool = False,
        is_small: bool = False,
    ) -> BuildResult:
        """Test the lake as it was at one version, read-only: what is tested is exactly what would be published.

        Not `everything`: only the rows that the last build made again, where all others have been tested before.
        `slow_ones_too`: also the tests that read every attempt, which no refresh runs.
        """
        asked = {"do": "write down the tests", "everything": everything, "slow_ones_too": slow_ones_too}
        written = self._script(asked)
        if isinstance(written, BuildResult):
            return written
        with self._lent(version=version, is_small=is_small) as connection:
            standing = look(connection, version=version)
            idle = Idle(connection, standing, beside=self._file_of(asked))
            tested = script.test(connection, written, idle=idle, standing=standing)
        idle.keep()
        return tested

    def dbt(self, arguments: Sequence[str], *, version: int | None = None) -> BuildResult:
        """Run any dbt command by hand, on the newest version or, read-only, on the one that is given."""
        return _result(self._ask({"do": "dbt", "arguments": list(arguments), "version": version}))

    def close(self) -> None:
        """End the child, if one was started, and wait for it."""
        if self._child is None:
            return
        if self._child.stdin:
            with suppress(BrokenPipeError):  # it was killed before it read what was asked
                self._child.stdin.close()
        self._child.wait()
        self._replies.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def _kept_in(self) -> Path:
        return Path(self._environment["GPULAKE_PARSED"])

    def _file_of(self, request: Mapping[str, object]) -> Path:
        return script.file_of(self._kept_in, digest=self._digest, request=request)

    def _script(self, request: Mapping[str, object]) -> script.Script | BuildResult:
        """What dbt would run, from where it is kept, else from dbt; where dbt cannot tell, what it says instead."""
        file = self._file_of(request)
        found = script.kept(file)
        if found is None:
            reply = self._ask(request)
            if not reply["ok"]:
                return _result(reply)
            found = script.read(reply)
            script.keep(found, file)
        return found

    def _lent(self, *, version: int | None, is_small: bool) -> AbstractContextManager[Connection]:
        # On few rows a second thread does nothing but wait, and that takes a third of the time.
        threads = 1 if is_small else os.cpu_count() or 1
        memory, scratch = self._environment["GPULAKE_MEMORY"], Path(self._environment["GPULAKE_SCRATCH"])
        if self._writer:
            return self._writer.lend(version=version, threads=threads, memory=memory, scratch=scratch)
        return lent(self._layout, version=version, threads=threads, memory=memory, scratch=scratch)

    def _woken(self) -> subprocess.Popen[str]:
        self._replies, child_end = _pipe()
        passed = (child_end, self._writer.lock_fd) if self._writer else (child_end,)
        try:
            with (self.log.parent / "console.log").open("wb") as console:
                return subprocess.Popen(
                    [sys.executable, "-P", "-m", "gpulake.dbt.child", str(child_end)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=console,
                    pass_fds=passed,
                    env={**os.environ, **self._environment},
                    text=True,
                )
        finally:
            os.close(child_end)

    def _ask(self, request: Mapping[str, object]) -> dict[str, Any]:
        if self._child is None:
            self._child = self._woken()
        assert self._child.stdin is not None
        if self._writer:
            self._writer.let_go()
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
        reply: dict[str, Any] = json.loads(line)
        return reply


def _result(reply: Mapping[str, Any]) -> BuildResult:
    nodes = tuple(NodeResult(**node) for node in reply["nodes"])
    return BuildResult(reply["ok"], nodes, reply["seconds"], reply["error"])


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


@cache
def project() -> Path:
    """Where the dbt project lies: in the wheel, or beside `src` in a checkout."""
    package = Path(__file__).resolve().parents[1]
    shipped = package / "_warehouse"
    return shipped if shipped.is_dir() else package.parents[1] / "warehouse"


def fingerprint() -> str:
    """A digest of all that shapes the tables: another one means that everything must be built again."""
    found = hashlib.sha256()
    for name in ("gpulake", "dbt-core", "dbt-duckdb", "duckdb"):
        found.update(f"{name}=={installed(name)}\n".encode())
    for name, file in files_of(project()):
        if name == "dbt_project.yml" or (name.startswith(_SHAPING) and not name.endswith(".md")):
            found.update(f"{name}\0".encode())
            found.update(file.read_bytes())
    return found.hexdigest()


def docs(out: Path) -> Path:
    """Write the models' documentation as one page that needs no server and no lake. Returns its file."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, Warehouse(Path(folder)) as warehouse:
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
        "GPULAKE_PARSED": str(parsed_folder(folder)),
        "GPULAKE_THREADS": str(os.cpu_count() or 1),
        "GPULAKE_MEMORY": os.environ.get("GPULAKE_MEMORY", _MEMORY),
        "GPULAKE_ROWS_HELD": os.environ.get("GPULAKE_ROWS_HELD", str(ROWS_HELD)),
    }


def _folder(layout: Layout) -> Path:
    folder = layout.folder / "dbt"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def parsed_folder(fallback: Path) -> Path:
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
