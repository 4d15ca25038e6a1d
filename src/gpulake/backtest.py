"""What would the rules have told, and to whom? History replayed step by step, through the same judge and the same incidents.

Nothing of a later step is seen at an earlier one. Where labelled faults are given, the incidents of rules that claim to find
their kinds are held against them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import median

from gpulake import judging, lake
from gpulake.alert import Cluster, Incident, Policy, Told, key_of, step
from gpulake.errors import GpulakeError, UsageError
from gpulake.findings import Severity
from gpulake.judging import Broken, Clock, Moment, Rule, clocks_of
from gpulake.lake import Reader
from gpulake.tables import BACKTESTS

FLEET = ""
"""The entity of a fault, or an incident, of the whole cluster."""


@dataclass(frozen=True)
class Fault:
    """A labelled fault: its kind, the machine or user it befell (FLEET: all), and when (UTC), half-open; how strong, where that is known."""

    kind: str
    entity: str
    began_at: datetime
    ended_at: datetime
    magnitude: float | None = None


@dataclass(frozen=True)
class Past:
    """One incident of the past: what it was about, when it was known, and the stretch of time that it says something of."""

    incident_id: str
    rule: str
    key: tuple[tuple[str, str], ...]
    cluster_id: str
    entity: str
    severity: Severity
    audience: str
    title: str
    message: str
    since: datetime
    known_at: datetime
    until: datetime
    resolved_at: datetime | None


@dataclass(frozen=True)
class Sent:
    """One notice that would have been sent; `things` is how many incidents it tells of."""

    at: datetime
    told: Told
    severity: Severity
    audience: str
    rule: str
    cluster_id: str
    title: str
    message: str
    things: int

    @property
    def is_alarm(self) -> bool:
        """Whether it says that something is wrong; else that it is over."""
        return self.told is not Told.RESOLVED


@dataclass(frozen=True)
class Score:
    """One rule over the days: what it told, and how that stands to the labelled faults; None where there are none for it."""

    rule: str
    severity: Severity
    audience: str
    incidents: int
    notices: int
    open_at_the_end: int
    busiest_day: date | None
    busiest: int
    faults: int | None
    faults_found: int | None
    hits: int | None
    delay_h: float | None

    @property
    def precision(self) -> float | None:
        """Of its incidents, how many touch a fault."""
        return None if self.hits is None or not self.incidents else self.hits / self.incidents

    @property
    def recall(self) -> float | None:
        """Of the faults of its kinds, how many it told of."""
        return None if self.faults_found is None or not self.faults else self.faults_found / self.faults


@dataclass(frozen=True)
class Day:
    """How many alarms would have been sent on one day, by severity."""

    day: date
    sent: Mapping[Severity, int]


@dataclass(frozen=True)
class Backtest:
    """A stretch of history under some rules."""

    since: date
    until: date
    build_id: int
    scores: tuple[Score, ...]
    days: tuple[Day, ...]
    incidents: tuple[Past, ...]
    sent: tuple[Sent, ...]
    faults: tuple[Fault, ...] | None
    found_by: tuple[Mapping[str, float], ...]
    """Of each fault, the rules that look for its kind and told of it, with the hours from its begin until it was known."""
    confusion: Mapping[str, Mapping[str, int]]
    not_replayed: tuple[str, ...]
    broken: tuple[Broken, ...]
    error: GpulakeError | None = None

    @property
    def audiences(self) -> Mapping[str, int]:
        """Who would have been sent alarms, and how many."""
        return dict(sorted(Counter(each.audience for each in self.sent if each.is_alarm).items()))

    def as_json(self) -> dict[str, object]:
        """The facts, for machines."""
        return {
            "since": self.since,
            "until": self.until,
            "days": len(self.days),
            "build_id": self.build_id,
            "rules": [{**asdict(score), "precision": score.precision, "recall": score.recall} for score in self.scores],
            "audiences": self.audiences,
            "per_day": [{"day": each.day, **each.sent} for each in self.days],
            "incidents": [{**asdict(each), "key": dict(each.key)} for each in self.incidents],
            "sent": [asdict(each) for each in self.sent],
            "faults": None
            if self.faults is None
            else [{**asdict(fault), "found_by": by} for fault, by in zip(self.faults, self.found_by, strict=True)],
            "found_by_kind": self.confusion,
            "not_replayed": self.not_replayed,
            "broken": [{"rule": each.name, **each.error.as_json()} for each in self.broken],
            "error": self.error.as_json() if self.error else None,
        }


def backtest(
    reader: Reader,
    rules: Sequence[Rule],
    *,
    since: date | None = None,
    until: date | None = None,
    faults: Sequence[Fault] | None = None,
    policy: Policy | None = None,
) -> Backtest:
    """Replay the rules over the days from `since` on, before `until`. Left out: from the first day, to the last.

    Rules over tables without a time are named in `not_replayed`: nobody knows what those tables said then.
    """
    clocks = clocks_of(reader)
    first, last = _window(reader)
    begins, ends = since or first, min(until or last + timedelta(days=1), last + timedelta(days=1))
    if begins >= ends:
        raise UsageError(
            f"no day is left to replay: from {begins} to {ends}.", do=f"choose days from {first} to {last}"
        )

    def day_of(cluster_id: str, at: datetime) -> date:
        return clocks.get(cluster_id, Clock()).local(at - timedelta(seconds=1)).date()

    # From the first day on: what began before `since` is no news of it.
    after = (policy or Policy()).closes_after + timedelta(days=3)
    moments, broken = judging.replay(reader, rules, since=first, until=ends, after=after)
    incidents, sent = lived_through(moments, rules, machines=_machines(reader), policy=policy)
    known = tuple(each for each in incidents if day_of(each.cluster_id, each.known_at) >= begins)
    sent = tuple(each for each in sent if day_of(each.cluster_id, each.at) >= begins)
    by_day: dict[date, Counter[Severity]] = {}
    for notice in sent:
        if notice.is_alarm:
            by_day.setdefault(day_of(notice.cluster_id, notice.at), Counter())[notice.severity] += 1
    days = _days(reader, begins, ends)
    usable = [rule for rule in rules if rule.time is not None and rule.name not in {each.name for each in broken}]
    seen = None if faults is None else tuple(fault for fault in faults if _is_inside(fault, clocks, begins, ends))
    found_by = tuple(_found_by(usable, known, fault) for fault in seen or ())
    return Backtest(
        since=begins,
        until=ends,
        build_id=reader.build_id,
        scores=tuple(_score(rule, known, sent, seen, day_of) for rule in usable),
        days=tuple(Day(day, {kind: by_day.get(day, Counter())[kind] for kind in Severity}) for day in days),
        incidents=known,
        sent=sent,
        faults=seen,
        found_by=found_by,
        confusion={} if seen is None else _confusion(usable, seen, found_by),
        not_replayed=tuple(rule.name for rule in rules if rule.time is None),
        broken=tuple(broken),
    )


def lived_through(
    moments: Iterable[Moment], rules: Iterable[Rule], *, machines: Mapping[str, int], policy: Policy | None = None
) -> tuple[tuple[Past, ...], tuple[Sent, ...]]:
    """The incidents and the notices that some moments make, each moment stepped when it came: the wall clock is the cluster's."""
    entity_of = {rule.name: "machine_id" if "machine_id" in rule.per else "user_id" for rule in rules}
    incidents: Mapping[str, Incident] = {}
    past: dict[str, Past] = {}
    sent: list[Sent] = []
    for moment in moments:
        names = {finding.cluster_id for finding in moment.findings}
        clusters = {name: Cluster(moment.at, machines.get(name, 0)) for name in names}
        stepped = step(incidents, moment.findings, moment.at, policy=policy, clusters=clusters)
        incidents = stepped.incidents
        for key in {key_of(event.finding) for event in stepped.events}:
            held = incidents[key]
            before = past.get(held.incident_id)
            past[held.incident_id] = (
                replace(before, until=held.finding.at, resolved_at=held.resolved_at)
                if before
                else _past(held, moment.at, entity_of)
            )
        sent += [
            Sent(
                at=moment.at,
                told=notice.told,
                severity=notice.severity,
                audience=notice.audience,
                rule=notice.finding.rule,
                cluster_id=notice.finding.cluster_id,
                title=notice.finding.title,
                message=notice.finding.message,
                things=sum(count for _, count in notice.counts),
            )
            for notice in stepped.notices
        ]
    return tuple(sorted(past.values(), key=lambda each: (each.known_at, each.rule, each.key))), tuple(sent)


def read_faults(file: Path) -> tuple[Fault, ...]:
    """Labelled faults as the simulator writes them: kind, machine, user, start_s, end_s (seconds since 1970, UTC), and magnitude where it stands.

    Parquet or CSV. Raises UsageError for another file.
    """
    import pyarrow as pa
    from pyarrow import csv, parquet

    try:
        rows = (csv.read_csv(file) if file.suffix == ".csv" else parquet.read_table(file)).to_pylist()
        return tuple(
            Fault(
                row["kind"],
                row["machine"] or row["user"] or FLEET,
                _moment(row["start_s"]),
                _moment(row["end_s"]),
                row.get("magnitude"),
            )
            for row in rows
        )
    except (pa.ArrowException, OSError, KeyError, TypeError) as error:
        raise UsageError(
            f"the faults cannot be read: {str(error).splitlines()[0]}.",
            where=str(file),
            do="give a .parquet or .csv with kind, machine, user, start_s and end_s, as simulate --faults writes it",
        ) from error


def record(lake_dir: Path, found: Backtest, rules: Iterable[Rule], *, now: datetime, wait_s: float = 0.0) -> int:
    """Write down in the lake that these rules were replayed, and what came of it. Returns how many rules it was."""
    digests = {rule.name: rule.digest for rule in rules}
    rows = [
        [
            score.rule, digests[score.rule], found.build_id, found.since, found.until, len(found.days), score.incidents,
            score.notices, score.faults, score.faults_found, score.hits, now,
        ]
        for score in found.scores
    ]  # fmt: skip
    with (
        lake.writing(lake_dir, purpose="record a back-test", wait_s=wait_s, make=False) as writer,
        writer.transaction("record a back-test"),
    ):
        writer.insert(BACKTESTS, rows)
    return len(rows)


def recorded(reader: Reader) -> Mapping[str, tuple[str, datetime]]:
    """Of each rule that was replayed, the digest of its file and when; the last time counts."""
    there = reader.sql(
        "select count(*) as n from information_schema.tables where table_catalog = 'ops' and table_name = ?",
        [BACKTESTS.name],
    )
    if not there["n"][0].as_py():
        return {}
    rows = reader.sql(
        f"select rule, arg_max(digest, recorded_at) as digest, max(recorded_at) as at from ops.meta.{BACKTESTS.name} group by rule"
    ).to_pylist()
    return {row["rule"]: (row["digest"], row["at"]) for row in rows}


def _past(incident: Incident, known_at: datetime, entity_of: Mapping[str, str]) -> Past:
    finding = incident.finding
    return Past(
        incident_id=incident.incident_id,
        rule=finding.rule,
        key=finding.key,
        cluster_id=finding.cluster_id,
        entity=dict(finding.key).get(entity_of[finding.rule], FLEET),
        severity=finding.severity,
        audience=finding.audience,
        title=finding.title,
        message=finding.message,
        since=finding.since or finding.at,
        known_at=known_at,
        until=finding.at,
        resolved_at=incident.resolved_at,
    )


def _score(
    rule: Rule,
    incidents: Sequence[Past],
    sent: Sequence[Sent],
    faults: Sequence[Fault] | None,
    day_of: Callable[[str, datetime], date],
) -> Score:
    own = [each for each in incidents if each.rule == rule.name]
    by_day = Counter(day_of(each.cluster_id, each.known_at) for each in own)
    busiest = max(by_day, key=lambda day: (by_day[day], day), default=None)
    labelled = None if faults is None or not rule.finds else [each for each in faults if each.kind in rule.finds]
    found = [(fault, [each for each in own if _touches(each, fault)]) for fault in labelled or ()]
    delays = [
        (min(each.known_at for each in hits) - fault.began_at).total_seconds() / 3_600 for fault, hits in found if hits
    ]
    return Score(
        rule=rule.name,
        severity=rule.severity,
        audience=rule.audience,
        incidents=len(own),
        notices=sum(each.rule == rule.name and each.is_alarm for each in sent),
        open_at_the_end=sum(each.resolved_at is None for each in own),
        busiest_day=busiest,
        busiest=by_day[busiest] if busiest else 0,
        faults=None if labelled is None else len(labelled),
        faults_found=None if labelled is None else len(delays),
        # One that touches a fault of another kind is no false alarm either: something was wrong.
        hits=None if labelled is None else sum(any(_touches(each, fault) for fault in faults or ()) for each in own),
        delay_h=median(delays) if delays else None,
    )


def _found_by(rules: Sequence[Rule], incidents: Sequence[Past], fault: Fault) -> Mapping[str, float]:
    looking = {rule.name for rule in rules if fault.kind in rule.finds}
    found: dict[str, float] = {}
    for each in incidents:  # in the order in which they were known
        if each.rule in looking and _touches(each, fault):
            found.setdefault(each.rule, (each.known_at - fault.began_at).total_seconds() / 3_600)
    return found


def _confusion(
    rules: Sequence[Rule], faults: Sequence[Fault], found_by: Sequence[Mapping[str, float]]
) -> dict[str, dict[str, int]]:
    """Of each kind of fault, how many there are, how many were told of by the rules that look for it, and by which."""
    table: dict[str, dict[str, int]] = {}
    for kind in sorted({fault.kind for fault in faults}):
        hits = [found for fault, found in zip(faults, found_by, strict=True) if fault.kind == kind]
        looking = [rule.name for rule in rules if kind in rule.finds]
        by_rule = {name: sum(name in found for found in hits) for name in looking}
        table[kind] = {"faults": len(hits), "found": sum(map(bool, hits)), **by_rule}
    return table


def _touches(incident: Past, fault: Fault) -> bool:
    # What was known before the fault began, and went on, did not find it.
    return (
        incident.entity == fault.entity
        and incident.since < fault.ended_at
        and fault.began_at < incident.until
        and fault.began_at < incident.known_at
    )


def _is_inside(fault: Fault, clocks: Mapping[str, Clock], since: date, until: date) -> bool:
    clock = next(iter(clocks.values()), Clock())
    return fault.ended_at > clock.midnight(since) and fault.began_at < clock.midnight(until)


def _days(reader: Reader, begins: date, ends: date) -> list[date]:
    """The days that any cluster has: clocks that count from a trace's start leave decades between theirs and real ones."""
    found: list[date] = reader.sql(
        "select distinct dt from gold_cluster_util_daily where dt >= ? and dt < ? order by dt", [begins, ends]
    )["dt"].to_pylist()
    return found


def _window(reader: Reader) -> tuple[date, date]:
    row = reader.sql("select min(dt) as first, max(dt) as last from gold_cluster_util_daily").to_pylist()[0]
    if row["first"] is None:
        raise UsageError("the publication holds no day.", do="run: gpulake refresh --data DIR")
    return row["first"], row["last"]


def _machines(reader: Reader) -> Mapping[str, int]:
    """How many machines each cluster has; of one whose machines are not described nothing."""
    rows = reader.sql("select cluster_id, machines from gold_fleet").to_pylist()
    return {row["cluster_id"]: row["machines"] for row in rows}


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)
