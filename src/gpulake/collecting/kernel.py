"""Ask this machine's kernel what it has logged since the last time: the journal where there is one, else dmesg.

Of the journal all boots are asked for, and every entry once: it goes on behind the last one that landed. dmesg counts its
times from the boot, which is written above them, and holds the last messages only.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gpulake.collecting import Asked, Collector, Fetched, Option
from gpulake.errors import SourceError

_FILE_BYTES = 16 << 20
_JOURNAL_CURSOR = re.compile(rb'"__CURSOR"\s*:\s*"([^"\\]*)"')
_JOURNAL_MICROS = re.compile(rb'"__REALTIME_TIMESTAMP"\s*:\s*"(\d+)"')
_UPTIME = re.compile(rb"\[ *(\d+\.\d+)\]")
_NOT_ALLOWED = "You are currently not seeing messages from other users"


@dataclass(frozen=True)
class Host:
    """A machine as the collector sees it.

    `lines` gives what a program writes, line by line. It raises FileNotFoundError without the program, and SourceError
    where that ends with a fault, or says that it may not show everything.
    """

    name: str
    booted_at: Callable[[], datetime]
    lines: Callable[[Sequence[str]], Iterator[bytes]]


def this_host() -> Host:
    """The machine that this program runs on."""
    return Host(socket.gethostname().split(".")[0], _booted_at, _lines)


def collect(asked: Asked, *, host: Host | None = None) -> Iterator[Fetched]:
    """What is new, in files of whole lines. Raises SourceError where the kernel's messages cannot be read."""
    host = host or this_host()
    machine = str(asked.options.get("machine") or host.name)
    way = str(asked.options.get("from_") or "")
    if way != "dmesg":
        try:
            yield from _of_journal(asked, host, machine)
        except FileNotFoundError as error:
            if way:
                raise SourceError(
                    "there is no journalctl on this machine.", where=machine, do="ask for --from dmesg"
                ) from error
        else:
            return
    try:
        yield from _of_dmesg(asked, host, machine)
    except FileNotFoundError as error:
        raise SourceError(
            "there is neither a journalctl nor a dmesg on this machine.",
            where=machine,
            do="run it on the machine itself, not in a container",
        ) from error


def plan(asked: Asked) -> Sequence[str]:
    """The program that would be run."""
    if asked.options.get("from_") == "dmesg":
        return ("dmesg, for what is newer than the last run's last line",)
    return (" ".join(_journal_command(asked)),)


def _of_journal(asked: Asked, host: Host, machine: str) -> Iterator[Fetched]:
    block: list[bytes] = []
    size = 0
    for line in host.lines(_journal_command(asked)):
        if not line.startswith(b"{"):
            continue
        block.append(line)
        size += len(line)
        if size >= _FILE_BYTES:
            yield _journal_file(block, machine)
            block, size = [], 0
    if block:
        yield _journal_file(block, machine)


def _journal_command(asked: Asked) -> list[str]:
    # `-k` would ask for this boot alone.
    command = ["journalctl", "_TRANSPORT=kernel", "-o", "json", "--output-fields=MESSAGE,_HOSTNAME", "--no-pager", "-q"]
    cursor = asked.cursor.get("journal")
    if asked.since:
        command.append(f"--since=@{asked.since.replace(tzinfo=UTC).timestamp():.6f}")
    elif isinstance(cursor, str) and not asked.again:
        command.append(f"--after-cursor={cursor}")
    if asked.until:
        command.append(f"--until=@{asked.until.replace(tzinfo=UTC).timestamp():.6f}")
    return command


def _journal_file(lines: Sequence[bytes], machine: str) -> Fetched:
    times = [_moment(found) for line in (lines[0], lines[-1]) if (found := _JOURNAL_MICROS.search(line))]
    cursor = _JOURNAL_CURSOR.search(lines[-1])
    begins = _JOURNAL_MICROS.search(lines[0])
    return Fetched(
        {"journal": cursor[1].decode("ascii", "replace")} if cursor else {},
        f"{machine}.{begins[1].decode() if begins else 0}.journal.json",
        b"".join(lines),
        len(lines),
        min(times, default=None),
        max(times, default=None),
    )


def _moment(micros: re.Match[bytes]) -> datetime:
    return datetime(1970, 1, 1) + timedelta(microseconds=min(int(micros[1]), 4_102_444_800_000_000))  # noqa: DTZ001  # UTC


def _of_dmesg(asked: Asked, host: Host, machine: str) -> Iterator[Fetched]:
    booted_at = host.booted_at()
    boot = f"{booted_at:%Y-%m-%dT%H:%M:%SZ}"
    last = _last_uptime(asked, boot)
    since = max(last, (asked.since - booted_at).total_seconds()) if asked.since else last
    until = (asked.until - booted_at).total_seconds() if asked.until else float("inf")
    kept: list[bytes] = []
    first_s: float | None = None
    at_s = newest_s = last
    for line in host.lines(["dmesg"]):
        if found := _UPTIME.match(line):
            at_s = float(found[1])
            first_s = at_s if first_s is None else first_s
        if since < at_s <= until:
            kept.append(line)
            newest_s = at_s
    if first_s is not None and 0 <= last < first_s:
        asked.tell(f"the kernel has overwritten what it said between {last:.0f} and {first_s:.0f} s after its boot.")
    if kept:
        header = f"# boot_at={boot} machine={machine}\n".encode()
        yield Fetched(
            {"dmesg": {"boot_at": boot, "uptime_s": max(newest_s, last)}},
            f"{machine}.{booted_at:%Y%m%dT%H%M%SZ}.{newest_s:.6f}.dmesg.log",
            header + b"".join(kept),
            len(kept),
            booted_at + timedelta(seconds=max(since, first_s or 0)),
            booted_at + timedelta(seconds=newest_s),
        )


def _last_uptime(asked: Asked, boot: str) -> float:
    """How far the last run came in this boot, in seconds after it; before any line where there was none."""
    noted = asked.cursor.get("dmesg")
    if asked.again or not isinstance(noted, dict) or noted.get("boot_at") != boot:
        return -1.0
    at_s = noted.get("uptime_s")
    return float(at_s) if isinstance(at_s, int | float) else -1.0


def _booted_at() -> datetime:
    """When the kernel started, to the second: the same at every call. Raises SourceError where it does not say."""
    try:
        stat = Path("/proc/stat").read_text(encoding="ascii", errors="replace")
    except OSError as error:
        raise SourceError("when this machine was booted cannot be read.", where="/proc/stat") from error
    found = re.search(r"^btime (\d{1,10})$", stat, re.MULTILINE)
    if not found:
        raise SourceError("it does not say when this machine was booted.", where="/proc/stat")
    return datetime.fromtimestamp(int(found[1]), UTC).replace(tzinfo=None)


def _lines(command: Sequence[str]) -> Iterator[bytes]:
    with (
        tempfile.TemporaryFile() as told,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=told, stdin=subprocess.DEVNULL, env={**os.environ, "LC_ALL": "C"}
        ) as running,
    ):
        assert running.stdout is not None
        try:
            yield from running.stdout
        except GeneratorExit:
            running.terminate()
            raise
        code = running.wait()
        told.seek(0)
        words = told.read(4096).decode("utf-8", "replace").strip()
    if code or _NOT_ALLOWED in words:
        raise SourceError(
            f"{command[0]} ended with {code}: {words.splitlines()[0] if words else 'it said nothing'}.",
            where=" ".join(command),
            do="run it as root, or as a member of the groups adm or systemd-journal",
        )


def _way(text: str) -> str:
    if text not in {"journal", "dmesg"}:
        raise ValueError("journal or dmesg is expected")
    return text


def machine_name(text: str) -> str:
    """A name that may stand in a file's. Raises ValueError for another."""
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,63}", text):
        raise ValueError("letters, digits, - and _ are expected")
    return text


COLLECTOR = Collector(
    name="kernel",
    source="kernel_log",
    help="What this machine's kernel has logged of its GPUs: Xids, NVLink, PCIe, memory. Run it on each machine.",
    collect=collect,
    plan=plan,
    options=(
        Option("machine", "The machine's name. [default: its host name, without a domain]", "NAME", machine_name),
        Option("from", "What to ask. [default: the journal, else dmesg]", "journal|dmesg", _way),
    ),
)
