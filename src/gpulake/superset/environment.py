"""Superset's own environment: made once per user and list of versions, whole or absent."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from gpulake.errors import UsageError
from gpulake.superset.places import Say, tail

REQUIREMENTS = Path(__file__).parent / "requirements.txt"
_VERSIONS = (3, 12), (3, 11)  # what the list's newest common versions have wheels for, the newest first
_LONGEST_START_S = 30


def ready(environ: Mapping[str, str], *, say: Say) -> Path:
    """The folder of an environment with every library of the list; made where it is not there, or only in part.

    Raises UsageError where no Python here can run Superset, or the libraries cannot be had.
    """
    python = _python(environ)
    folder = _folder(environ, python)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _alone(folder.with_name(f"{folder.name}.lock"), say) as lock:
            if not _made(folder).is_file():
                _make(folder, python, environ, say, lock=lock)
    except OSError as error:
        raise UsageError(
            f"Superset's environment cannot be made: {error.strerror or error}.",
            where=str(folder),
            do="free a gigabyte, or set XDG_CACHE_HOME to another folder",
        ) from error
    return folder


@dataclass(frozen=True)
class _Python:
    """An interpreter that can run Superset, and its version as 3.12."""

    program: str
    version: str


def _python(environ: Mapping[str, str]) -> _Python:
    """The Python that runs this, if Superset's libraries run on it, else the newest on PATH on which they do. Raises UsageError."""
    if (version := _running()) in _VERSIONS:
        return _Python(str(getattr(sys, "_base_executable", "") or sys.executable), _text(version))
    for wanted in map(_text, _VERSIONS):
        program = shutil.which(f"python{wanted}", path=environ.get("PATH"))
        if program and _starts_as(program, wanted, environ):
            return _Python(program, wanted)
    names = " or ".join(f"python{_text(wanted)}" for wanted in _VERSIONS)
    raise UsageError(
        f"Superset's libraries run on Python 3.11 and 3.12: this is {_text(version)}, and there is no {names} on PATH.",
        do=f"install one, as by `apt install python3.12 python3.12-venv` or `uv python install 3.12`, so that {names} "
        "starts it; gpulake itself stays on this one",
    )


def _running() -> tuple[int, int]:
    return sys.version_info[:2]


def _starts_as(program: str, version: str, environ: Mapping[str, str]) -> bool:
    """A version manager's shim may stand for nothing."""
    asked = [program, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    try:
        done = subprocess.run(
            asked, capture_output=True, text=True, env=_variables(environ), check=False, timeout=_LONGEST_START_S
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and done.stdout.strip() == version


def _text(version: tuple[int, int]) -> str:
    return "{}.{}".format(*version)


def _folder(environ: Mapping[str, str], python: _Python) -> Path:
    cache = Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute()
    listed = hashlib.sha256(REQUIREMENTS.read_bytes() + python.version.encode()).hexdigest()[:12]
    return cache / "gpulake" / f"superset-{python.version}-{listed}"


def _made(folder: Path) -> Path:
    """The last thing that is written: without it the folder is half made."""
    return folder / "made-by-gpulake"


def _make(folder: Path, base: _Python, environ: Mapping[str, str], say: Say, *, lock: int) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    count = sum(bool(line.strip()) and not line.startswith("#") for line in REQUIREMENTS.read_text().splitlines())
    say(f"installing Superset: {count} libraries, 0.7 GB, into {folder} (once; a minute or two)")
    log = folder.with_name(f"{folder.name}.log")
    with log.open("w", encoding="utf-8") as told:
        for command in _commands(folder, base.program):
            done = subprocess.run(
                command,
                stdout=told,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=_variables(environ),
                check=False,
                pass_fds=(lock,),  # should this process be killed, nobody else begins while the child is at work
            )
            if done.returncode:
                raise UsageError(
                    f"Superset's libraries could not be installed: {tail(log)}",
                    where=str(log),
                    do="look there; it needs a package index that can be reached. Run it again: it begins anew",
                )
    _made(folder).write_text("whole\n", encoding="utf-8")


def _commands(folder: Path, base: str) -> list[list[str]]:
    python = str(folder / "bin" / "python")
    on_path = shutil.which("uv")
    uv_words = [on_path] if on_path else [sys.executable, "-m", "uv"] if find_spec("uv") else []
    if uv_words:
        return [
            [*uv_words, "venv", "--quiet", "--python", base, str(folder)],
            [
                *uv_words,
                "pip",
                "install",
                "--compile-bytecode",
                "--python",
                python,
                "--requirements",
                str(REQUIREMENTS),
            ],
        ]
    return [
        [base, "-m", "venv", str(folder)],
        [python, "-m", "pip", "install", "--no-input", "--disable-pip-version-check", "-r", str(REQUIREMENTS)],
    ]


def _variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Compiled once here, or every start compiles everything again; and whoever git and curl trust here is trusted."""
    known = {name: value for name, value in environ.items() if name not in {"VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME"}}
    known.pop("PYTHONDONTWRITEBYTECODE", None)
    return {"UV_SYSTEM_CERTS": "1", "UV_PYTHON_DOWNLOADS": "never", **known}


@contextmanager
def _alone(lock: Path, say: Say) -> Iterator[int]:
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another process is installing Superset; waiting for it")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)
