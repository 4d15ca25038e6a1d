"""Slurm, asked by its own commands: sacct for jobs, sacctmgr for outages, scontrol for nodes and the devices of jobs.

Times are asked for as "so long ago", and told in seconds since 1970: neither clock's error, nor the site's zone, nor the
hour that clocks show twice moves anything. A record that was handed out before is not handed out again.
"""

from __future__ import annotations

import hashlib
import math
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise

from gpulake.collecting import Asked, Collector, Fetched, Option
from gpulake.collecting.commands import Runner
from gpulake.collecting.periods import seconds
from gpulake.errors import GpulakeError, SourceError

FIELDS = (
    "JobID", "JobIDRaw", "User", "UID", "Account", "Partition", "QOS", "JobName", "State", "ExitCode", "Submit",
    "Eligible", "Start", "End", "ElapsedRaw", "Suspended", "TimelimitRaw", "NNodes", "NodeList", "ReqTRES", "AllocTRES",
    "Reason", "DBIndex", "Cluster",
)  # fmt: skip
"""What is asked of sacct: the last is one that holds no line break, so that each record ends where it seems to."""

NEEDED = frozenset({"JobID", "User", "State", "Submit", "Start", "End"})
"""Without one of these there is no job to tell of."""

_UNIT = "\x1f"
"""Between fields: nobody types it into a comment."""

_FIRST_PERIOD = timedelta(days=7)
_WINDOW = timedelta(hours=30)
"""So much is asked for at once: a day, and what runs overlap by."""

_IDS_AT_ONCE = 500
_GOES_ON = {"RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT", "RESIZING"}


@dataclass(frozen=True)
class _Seen:
    """What earlier runs handed out, by short hashes: records by the window that they were in last, and the rest."""

    records: Mapping[str, str]
    events: frozenset[str]
    placements: frozenset[str]
    nodes: str
    until: datetime | None

    @classmethod
    def of(cls, asked: Asked) -> _Seen:
        """What the cursor says; nothing where all is to be fetched once more, or the note is of another kind."""
        note = asked.cursor
        until = note.get("until")
        at = datetime.fromisoformat(until) if isinstance(until, str) else None
        if asked.again:
            return cls({}, frozenset(), frozenset(), "", at)
        records = note.get("records")
        return cls(
            records=dict(records) if isinstance(records, dict) else {},
            events=_hashes(note.get("events")),
            placements=_hashes(note.get("placements")),
            nodes=str(note.get("nodes") or ""),
            until=at,
        )

    @property
    def cursor(self) -> dict[str, object]:
        """What is noted."""
        return {
            "until": self.until.isoformat() if self.until else None,
            "records": dict(self.records),
            "events": sorted(self.events),
            "placements": sorted(self.placements),
            "nodes": self.nodes,
        }


def _hashes(value: object) -> frozenset[str]:
    return frozenset(str(each) for each in value) if isinstance(value, list) else frozenset()


def collect(asked: Asked) -> Iterator[Fetched]:
    """Jobs window by window, then outages, nodes and devices. Raises SourceError, after all that could be asked."""
    runner, overlap = runner_of(asked), _overlap(asked)
    seen = _Seen.of(asked)
    windows = _windows(asked, seen, overlap)
    fields = list(FIELDS)
    for number, (start, end, is_last) in enumerate(windows):
        asked.progress(f"asking sacct for {start:%Y-%m-%d %H:%M}", number / len(windows))
        new, seen = _jobs(asked, runner, fields, start, end, seen, is_last=is_last, overlap=overlap)
        name = f"sacct-{start:%Y%m%dT%H%M%S}-{end:%Y%m%dT%H%M%S}.txt"
        yield _fetched(seen, name, new, len(new) - 1, start, end)
    failed: GpulakeError | None = None
    for ask in (_events, _nodes, _placements):
        try:
            name, new, seen = ask(asked, runner, seen, windows[0][0] if windows else asked.now - overlap)
        except SourceError as error:
            failed = failed or error
            continue
        yield _fetched(seen, name, new, len(new), None, None)
    if failed:
        raise failed


def plan(asked: Asked) -> Sequence[str]:
    """The commands that would be run."""
    runner, overlap = runner_of(asked), _overlap(asked)
    windows = _windows(asked, _Seen.of(asked), overlap)
    first = windows[0][0] if windows else asked.now
    return [
        *(f"run {runner.shown(_sacct(asked, list(FIELDS), start, end, is_last=last))}" for start, end, last in windows),
        f"run {runner.shown(_sacctmgr(asked, first))}",
        f"run {runner.shown(['scontrol', 'show', 'node'])}",
        f"run {runner.shown(['scontrol', 'show', 'job', '--details'])}",
    ]


def runner_of(asked: Asked) -> Runner:
    """What starts Slurm's commands, as the options say."""
    via, timeout_s = asked.options.get("via") or (), asked.options.get("timeout") or 300.0
    assert isinstance(via, tuple)
    assert isinstance(timeout_s, float)
    return Runner(asked.environ, via, {"SLURM_TIME_FORMAT": "%s", "LC_ALL": "C.UTF-8"}, timeout_s)


def _overlap(asked: Asked) -> timedelta:
    overlap_s = asked.options.get("overlap") or 86_400.0
    assert isinstance(overlap_s, float)
    return timedelta(seconds=overlap_s)


def _windows(asked: Asked, seen: _Seen, overlap: timedelta) -> list[tuple[datetime, datetime, bool]]:
    """Days from the first moment that is asked for to the last; whether each is the one that reaches the present."""
    until = min(asked.until or asked.now, asked.now)
    since = asked.since
    if since is None:
        since = seen.until - overlap if seen.until else asked.now - _FIRST_PERIOD
        if seen.until is None:
            asked.tell(
                f"no run before this one: jobs from {since:%Y-%m-%d %H:%M} UTC on. --since asks for earlier ones."
            )
    parts = max(math.ceil((until - since) / _WINDOW), 1)
    borders = [since + (until - since) * part / parts for part in range(parts)] + [until]
    return [(start, end, end == asked.now) for start, end in pairwise(borders) if start < end]


def _fetched(
    seen: _Seen, name: str, new: Sequence[bytes], rows: int, since: datetime | None, until: datetime | None
) -> Fetched:
    content = b"\n".join(new) + b"\n" if rows > 0 else None
    return Fetched(seen.cursor, name, content, max(rows, 0), since, until)


# ---------------------------------------------------------------------- sacct


def _sacct(asked: Asked, fields: Sequence[str], start: datetime, end: datetime, *, is_last: bool) -> list[str]:
    """Jobs that were in any state between two moments. What is to begin later is of the present too."""
    until = "now+365days" if is_last else _ago(asked, end)
    return [
        "sacct", "--duplicates", "--allusers", "--allocations", "--parsable2", f"--delimiter={_UNIT}",
        f"--format={','.join(fields)}", f"--starttime={_ago(asked, start)}", f"--endtime={until}",
    ]  # fmt: skip


def _ago(asked: Asked, moment: datetime) -> str:
    seconds_ago = max(round((asked.now - moment).total_seconds()), 0)
    return f"now-{seconds_ago}seconds" if seconds_ago else "now"


def _jobs(
    asked: Asked,
    runner: Runner,
    fields: list[str],
    start: datetime,
    end: datetime,
    seen: _Seen,
    *,
    is_last: bool,
    overlap: timedelta,
) -> tuple[list[bytes], _Seen]:
    """The header and the records of a window that are new, with the earlier attempts of jobs that were requeued."""
    records = _records(runner, _sacct(asked, fields, start, end, is_last=is_last), fields)
    ids = _requeued(records, fields)
    for at in range(0, len(ids), _IDS_AT_ONCE):
        command = _sacct(asked, fields, start, end, is_last=is_last)[:-2]
        records += _records(runner, [*command, f"--jobs={','.join(ids[at : at + _IDS_AT_ONCE])}"], fields)
    known = dict(seen.records)
    new = [_UNIT.join(fields).encode()]
    for record in dict.fromkeys(records):
        hashed = _hash(record)
        if hashed not in known:
            new.append(record)
        known[hashed] = end.isoformat()
    # Of what no later window can hold nothing needs to be known.
    oldest = (end - overlap).isoformat()
    kept = {hashed: window for hashed, window in known.items() if window > oldest}
    return new, replace(seen, records=kept, until=max(end, seen.until or end))


def _records(runner: Runner, command: list[str], fields: list[str]) -> list[bytes]:
    """What sacct prints but for its header; a field that this Slurm does not know is no longer asked for."""
    asked_for = [f"--format={','.join(fields)}" if word.startswith("--format=") else word for word in command]
    try:
        printed = runner.output(asked_for)
    except SourceError as error:
        unknown = re.search(r"[Ii]nvalid field requested: \"?(\w+)", error.what)
        if not unknown or unknown[1] not in fields or unknown[1] in NEEDED:
            raise
        fields.remove(unknown[1])
        return _records(runner, command, fields)
    lines = printed.split(b"\n")
    header = _UNIT.join(fields).encode()
    if header not in lines:
        first = lines[0].decode("utf-8", "replace")[:200]
        raise SourceError(
            f"sacct printed no table, but '{first}'." if first else "sacct printed nothing, not even a header.",
            where=runner.shown(asked_for),
            do="run it by hand to see more",
        )
    records: list[bytes] = []
    begun: list[bytes] = []
    for line in lines[lines.index(header) + 1 :]:
        begun.append(line)
        if sum(part.count(_UNIT.encode()) for part in begun) >= len(fields) - 1:
            records.append(_settled(b"\n".join(begun), fields))
            begun = []
    return records


def _settled(record: bytes, fields: Sequence[str]) -> bytes:
    """A record without what changes by itself: how long a job has run so far."""
    parts = record.split(_UNIT.encode())
    state = parts[fields.index("State")].decode("utf-8", "replace").split(" ")[0]
    if "ElapsedRaw" in fields and state in _GOES_ON:
        parts[fields.index("ElapsedRaw")] = b""
    return _UNIT.encode().join(parts)


def _requeued(records: Sequence[bytes], fields: Sequence[str]) -> list[str]:
    """Jobs that may have had an attempt before the window: a requeued one is not eligible at once."""
    if not {"JobIDRaw", "Eligible"} <= set(fields):
        return []
    raw, submit, eligible = (fields.index(name) for name in ("JobIDRaw", "Submit", "Eligible"))
    first: dict[str, bool] = {}
    for record in records:
        parts = [part.decode("utf-8", "replace") for part in record.split(_UNIT.encode())]
        waits = parts[submit].isdigit() and parts[eligible].isdigit() and int(parts[eligible]) > int(parts[submit]) + 1
        if parts[raw].isdigit():
            first.setdefault(parts[raw], waits)
    return [job for job, may_be in first.items() if may_be]


# ---------------------------------------------------------------------- outages, nodes, devices


def _sacctmgr(asked: Asked, start: datetime) -> list[str]:
    return [
        "sacctmgr", "--parsable2", "show", "event", f"start={_ago(asked, start)}",
        "format=Cluster,NodeName,Start,End,State,Reason,User",
    ]  # fmt: skip


def _events(asked: Asked, runner: Runner, seen: _Seen, start: datetime) -> tuple[str, list[bytes], _Seen]:
    """Outages that are new, or that have ended."""
    lines = runner.output(_sacctmgr(asked, start)).splitlines()
    at = next((at for at, line in enumerate(lines) if b"NodeName|" in line), None)
    if at is None:
        raise SourceError(
            "sacctmgr printed no table.", where=runner.shown(_sacctmgr(asked, start)), do="run it by hand to see more"
        )
    all_events = [line for line in lines[at + 1 :] if line.strip()]
    new = [line for line in all_events if _hash(line) not in seen.events]
    seen = replace(seen, events=frozenset(map(_hash, all_events)))
    return f"sacctmgr_show_event-{asked.now:%Y%m%dT%H%M%S}.txt", [lines[at], *new] if new else [], seen


def _nodes(_asked: Asked, runner: Runner, seen: _Seen, _start: datetime) -> tuple[str, list[bytes], _Seen]:
    """What nodes are made of, where that has changed: their load, and whether they are up, is not of it."""
    printed = runner.output(["scontrol", "show", "node", "--oneliner"])
    facts = []
    for line in printed.decode("utf-8", "replace").splitlines():
        said = dict(re.findall(r"(?:^|\s)(NodeName|CPUTot|RealMemory|Gres|CfgTRES)=(\S+)", line))
        if "NodeName" in said:
            facts.append(" ".join(f"{key}={value}" for key, value in said.items()).encode())
    facts.sort()
    hashed = _hash(b"\n".join(facts))
    new = facts if hashed != seen.nodes else []
    return f"scontrol_show_node-{hashed}.txt", new, replace(seen, nodes=hashed)


def _placements(asked: Asked, runner: Runner, seen: _Seen, _start: datetime) -> tuple[str, list[bytes], _Seen]:
    """Jobs that run, with their devices, each once."""
    printed = runner.output(["scontrol", "show", "job", "--details"])
    new, running = [], set()
    for block in re.split(rb"\n(?=JobId=)", printed):
        if b"JobState=RUNNING" not in block or b"(IDX:" not in block:
            continue
        job = b"\n".join(
            re.findall(
                rb"^JobId=.*|.*(?:UserId=|JobState=|SubmitTime=|StartTime=|NodeList=| GRES=).*", block, re.MULTILINE
            )
        )
        steady = b"".join(re.findall(rb"JobId=\d+|SubmitTime=\S+|Nodes=\S+|GRES=\S+", job))
        running.add(_hash(steady))
        if _hash(steady) not in seen.placements:
            new.append(re.sub(rb" EndTime=\S+", b"", job) + b"\n")
    seen = replace(seen, placements=frozenset(running))
    return f"scontrol_show_job-{asked.now:%Y%m%dT%H%M%S}.txt", new, seen


def _hash(record: bytes) -> str:
    return hashlib.sha256(record).hexdigest()[:16]


def _words(text: str) -> tuple[str, ...]:
    words = tuple(shlex.split(text))
    if not words:
        raise ValueError("a command is expected, as 'ssh login1'")
    return words


COLLECTOR = Collector(
    name="slurm",
    source="slurm",
    help="Ask Slurm for its jobs, its nodes and which GPUs jobs hold: by sacct, sacctmgr and scontrol.",
    collect=collect,
    plan=plan,
    options=(
        Option(
            "via",
            "Run Slurm's commands through this one, as 'ssh login1' or 'sudo -u slurm'.",
            metavar="COMMAND",
            read=_words,
            default=(),
        ),
        Option("timeout", "How long a command may take. [default: 5m]", metavar="LENGTH", read=seconds, default=300.0),
        Option(
            "overlap",
            "How far before the end of the last run to look again: records may reach the accounting late. [default: 1d]",
            metavar="LENGTH",
            read=seconds,
            default=86_400.0,
        ),
    ),
)
