"""The edge between commands and people: options they share, what goes to which stream, errors and exit codes.

Results go to standard output, everything else to standard error. With --json standard output carries exactly one JSON
value, whatever happens.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import date, datetime, time
from decimal import Decimal
from io import BytesIO, TextIOWrapper
from math import isfinite
from pathlib import Path
from threading import current_thread, main_thread
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Annotated, Protocol, TextIO

import typer

from gpulake.errors import EndedError, GpulakeError, StoppedError, UsageError
from gpulake.telling.cells import visible

if TYPE_CHECKING:
    from gpulake.config import Config


def _folder(text: str) -> Path:
    """As a path nothing would be the working folder: `--lake "$UNSET"` would make a lake of it."""
    if not text:
        raise UsageError("the name of the lake's folder is empty.", where="--lake", do="name a folder, or leave it out")
    return Path(text)


LakeOption = Annotated[
    Path | None,
    typer.Option(
        "--lake", metavar="DIR", parser=_folder, help="The lake's folder. [env: GPULAKE_LAKE; default: ./lake]"
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
WaitOption = Annotated[
    float, typer.Option("--wait", metavar="SECONDS", min=0, help="Wait so long for another writer of this lake.")
]


def config_of(lake: Path | None) -> Config:
    """The settings of this call."""
    from gpulake import config

    return config.load(os.environ, lake=lake)


# --- standard output -------------------------------------------------------------------------------------------------


def put(text: str) -> None:
    """A result for people."""
    with standard_output() as stream:
        stream.write(visible(text if text.endswith("\n") else text + "\n"))


def put_json(value: object) -> None:
    """A result for machines."""
    with standard_output() as stream:
        stream.write(json.dumps(plain(value), ensure_ascii=False, allow_nan=False) + "\n")


def open_closed_streams() -> None:
    """Give what was closed before we started to /dev/null, lest the lake's files get the numbers of these streams."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115  # for as long as the process lives


@contextmanager
def standard_output() -> Iterator[TextIO]:
    """Where results go. A full disk or a closed stream behind it ends the command, with a word on standard error."""
    if sys.stdout is None:
        raise _untold("standard output is closed")
    try:
        yield sys.stdout
        sys.stdout.flush()
    except OSError as error:
        # What could not be written would be tried again, and be told again, when Python ends.
        sys.stdout = TextIOWrapper(BytesIO())
        if isinstance(error, BrokenPipeError):  # `| head` has seen enough
            raise typer.Exit(GpulakeError.exit_code) from error
        raise _untold(str(error.strerror)) from error


def _untold(why: str) -> typer.Exit:
    sys.stderr.write(error_text(GpulakeError(f"the result cannot be written: {why}.")))
    return typer.Exit(GpulakeError.exit_code)


@contextmanager
def writing_to(path: Path) -> Iterator[None]:
    """Write where the call says; what stands in the way there is the call's fault, and no bug."""
    try:
        yield
    except UnicodeEncodeError as error:
        raise UsageError("the path is not valid UTF-8.", where=str(path), do="choose another name") from error
    except OSError as error:
        raise UsageError(
            f"this cannot be written: {error.strerror or error}.",
            where=str(error.filename or path),
            do="choose another place, or free some space",
        ) from error


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Where to write what shall stand at `path`: the old file stays until the new one is written to its end.

    A device, a pipe or a folder is no file to put another in place of: it is written to itself. Raises as `writing_to` does.
    """
    with writing_to(path):
        file = Path(os.path.realpath(path))  # a link stays one
        if file.exists() and not file.is_file():
            yield path
            return
        unfinished = file.with_name(f".{file.name}.{os.getpid()}.unfinished")
        try:
            yield unfinished
            if file.exists():
                unfinished.chmod(file.stat().st_mode)
            unfinished.replace(file)
        except OSError as error:
            if error.filename == str(unfinished):
                error.filename = str(path)
            raise
        finally:
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)


def plain(value: object) -> object:
    """A value with nothing in it that JSON lacks: times are ISO text, NaN and infinities are null."""
    match value:
        case float() if not isfinite(value):
            return None
        case None | bool() | int() | float() | str():
            return value
        case datetime() | date() | time():
            return value.isoformat()
        case Decimal():
            return float(value)
        case bytes():
            return value.hex()
        case Mapping():
            return {str(key): plain(part) for key, part in value.items()}
        case Sequence() | set() | frozenset():
            return [plain(part) for part in value]
        case _:
            return str(value)


class Result(Protocol):
    """What every step returns: facts for machines, and the error that sets the exit code, if there was one."""

    @property
    def error(self) -> GpulakeError | None:
        """A refused file, a failed test, a fault of the lake."""
        ...

    def as_json(self) -> dict[str, object]:
        """The facts, with `error` among them."""
        ...


def answer(result: Result, *, as_json: bool) -> None:
    """Tell the result of a step, and leave with its error's exit code."""
    from gpulake.cli.words import text_of

    if as_json:
        put_json(result.as_json())
    else:
        put(text_of(result))
        for warning in getattr(result, "warnings", ()):
            tell_error(warning)
    if result.error is not None:
        if not as_json:
            sys.stdout.flush()
            sys.stderr.write(error_text(result.error))
        raise typer.Exit(result.error.exit_code)


# --- standard error --------------------------------------------------------------------------------------------------


class Screen:
    """Progress on standard error: a line per step, and on a terminal a live line below them."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._is_terminal = self._stream.isatty()
        self._has_live_line = False
        self._begun: set[str] = set()
        self._quarters: dict[str, int] = {}

    def say(self, sentence: str) -> None:
        """One line that stays."""
        self._clear()
        self._stream.write(sentence + "\n")
        self._stream.flush()

    def live(self, text: str) -> None:
        """A line that the next one replaces; nothing where there is no terminal."""
        if self._is_terminal:
            self._clear()
            self._stream.write(text[: self._columns()])
            self._stream.flush()
            self._has_live_line = True

    def step(self, what: str, share: float) -> None:
        """How far a named step is, 0 to 1: live on a terminal, a line as it begins elsewhere."""
        if self._is_terminal and share < 1:
            self.live(f"{what}  {share:4.0%}")
        elif self._is_terminal or what not in self._begun:
            self.say(what)
        self._begun.add(what)

    def amount(self, name: str, done: int, total: int) -> None:
        """How much of a long transfer is done: live on a terminal, each quarter elsewhere."""
        share = done / total if total else 1.0
        text = f"{name}  {share:4.0%}  {done:,} of {total:,}"
        quarter = int(share * 4)
        if self._is_terminal:
            self.live(text)
        elif quarter > self._quarters.get(name, 0):
            self._quarters[name] = quarter
            self.say(text)

    @contextmanager
    def closing(self) -> Iterator[Screen]:
        """Leave no half line behind."""
        try:
            yield self
        finally:
            self._clear()

    def _clear(self) -> None:
        if self._has_live_line:
            self._stream.write("\r\x1b[K")
            self._has_live_line = False

    def _columns(self) -> int:
        try:
            columns = os.get_terminal_size(self._stream.fileno()).columns
        except OSError:
            columns = 0
        return (columns or 80) - 1  # some terminals do not know and say 0


def show_error(error: GpulakeError, *, as_json: bool) -> int:
    """Tell an error to whoever asked; its exit code."""
    if as_json:
        with suppress(typer.Exit):  # nobody reads it: the exit code is left
            put_json({"error": error.as_json()})
    else:
        sys.stderr.write(error_text(error))
    return error.exit_code


def tell_error(error: GpulakeError) -> None:
    """Tell an error that does not end the command, below what was printed."""
    sys.stdout.flush()
    sys.stderr.write(error_text(error))


def error_text(error: GpulakeError) -> str:
    """What happened, where, and what to do, each on its own line."""
    lines = [f"gpulake: {error.what}"]
    if error.where:
        lines.append(f"  where: {error.where}")
    if error.do:
        lines.append(f"  do:    {error.do}")
    return visible("\n".join(lines) + "\n")


@contextmanager
def ended_as_by_ctrl_c() -> Iterator[None]:
    """Let SIGTERM end the command as Ctrl-C does. Raises EndedError then.

    Where a program that calls us has a handler of its own, or in a thread, nothing is changed.
    """
    ended = False

    def end(_number: int, _frame: FrameType | None) -> None:
        nonlocal ended
        ended = True
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a second one ends it at once
        raise KeyboardInterrupt

    if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL or current_thread() is not main_thread():
        yield
        return
    signal.signal(signal.SIGTERM, end)
    try:
        yield
    except StoppedError as error:
        if ended:
            raise EndedError("told to end (SIGTERM).", do=error.do) from error
        raise
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def told_to_end() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C or SIGTERM has asked to end; what is under way is finished first. A second one ends it at once."""
    asked = False

    def end(number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        asked = True
        signal.signal(number, before[signal.Signals(number)])

    if current_thread() is not main_thread():
        yield lambda: False
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, end)
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def show_bug_as_json(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """An exception hook: a bug of ours keeps its traceback, and a program that waits for JSON still gets it."""
    told = {
        "kind": kind.__name__,
        "exit_code": 1,
        "what": f"gpulake has a bug: {error}",
        "where": "the traceback on standard error",
        "do": "report it",
    }
    with suppress(typer.Exit):
        put_json({"error": told})
    sys.__excepthook__(kind, error, trace)
