"""The next step of every incident: what the findings change, what belongs together, and who must be told.

Told is by level, not by edge: after the findings have been applied, what people believe is compared with what is so. What was
held back (in maintenance, by silence, while it flapped) is told when nothing holds it back any more, if it is still so.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from gpulake.alert.facts import RANK, Event, History, Incident, Kind, Told, apply, incident_id, key_of
from gpulake.alert.grouping import groups, worst_first
from gpulake.alert.policy import Cluster, Policy
from gpulake.findings import Finding, Severity, State

MOST_PARTS = 20
"""So many members of a group are named in its notice; all are counted."""


@dataclass(frozen=True)
class Notice:
    """One thing to tell one audience. `group` is the same in every notice of one trouble: services join them by it.

    `finding` is the worst that is open, or the last that was; `parts` are further findings of the group, the worst first,
    and `counts` how many of its incidents each rule has.
    """

    event_id: str
    group: str
    told: Told
    severity: Severity
    audience: str
    finding: Finding
    opened_at: datetime
    at: datetime
    parts: tuple[Finding, ...] = ()
    counts: tuple[tuple[str, int], ...] = ()
    by: str = ""
    note: str = ""


@dataclass(frozen=True)
class Request:
    """What a person asks of an incident: to acknowledge, silence or resolve it."""

    request_id: str
    kind: Kind
    incident_id: str
    by: str
    at: datetime
    until: datetime | None = None
    note: str = ""


@dataclass(frozen=True)
class Stepped:
    """What one step adds: the facts, what is to be told of them, and the incidents after it."""

    events: tuple[Event, ...]
    notices: tuple[Notice, ...]
    incidents: Mapping[str, Incident] = field(repr=False)

    @property
    def open_now(self) -> tuple[Incident, ...]:
        """Every incident that is not resolved, the worst first."""
        return tuple(worst_first(incident for incident in self.incidents.values() if incident.is_open))


def step(
    incidents: Mapping[str, Incident],
    findings: Sequence[Finding],
    now: datetime,
    *,
    policy: Policy | None = None,
    clusters: Mapping[str, Cluster] | None = None,
) -> Stepped:
    """Apply findings to incidents. Their order is irrelevant, and the same findings again change nothing.

    `now` is the wall clock; conditions go by `clusters`, and where one is not named by the latest that was judged of it.
    UNKNOWN changes nothing. What is older than what was judged before is ignored.
    """
    stepping = _Stepping(incidents, findings, now, policy or Policy(), clusters or {})
    stepping.judge(findings)
    stepping.group()
    stepping.tell()
    return stepping.stepped()


def act(
    incidents: Mapping[str, Incident],
    requests: Sequence[Request],
    now: datetime,
    *,
    policy: Policy | None = None,
    clusters: Mapping[str, Cluster] | None = None,
) -> Stepped:
    """Do what people ask, in the order in which they asked. What leads a group stands for all of it.

    A request about an incident that is over, or is not known, changes nothing.
    """
    stepping = _Stepping(incidents, (), now, policy or Policy(), clusters or {})
    for request in sorted(requests, key=lambda request: (request.at, request.request_id)):
        stepping.do(request)
    stepping.tell()
    return stepping.stepped()


class _Stepping:
    def __init__(
        self,
        incidents: Mapping[str, Incident],
        findings: Sequence[Finding],
        now: datetime,
        policy: Policy,
        clusters: Mapping[str, Cluster],
    ) -> None:
        self._now = now
        self._policy = policy
        self._state = dict(incidents)
        self._events: dict[str, list[Event]] = defaultdict(list)
        self._before: dict[str, Incident | None] = {}
        self._notices: list[Notice] = []
        self._fired: set[str] = set()
        self._clusters = {**_latest_judged(incidents.values(), findings), **clusters}

    def stepped(self) -> Stepped:
        """What has come of it."""
        events = sorted(
            (event for events in self._events.values() for event in events),
            key=lambda event: (event.at, event.incident_id, event.seq),
        )
        notices = sorted(
            self._notices,
            key=lambda notice: (-RANK[notice.severity], notice.at, -len(notice.parts), notice.event_id),
        )
        return Stepped(tuple(events), tuple(notices), self._state)

    # --- what the findings change ---

    def judge(self, findings: Iterable[Finding]) -> None:
        """Open, update, reopen and resolve, key by key in the order of time."""
        by_key: dict[str, dict[datetime, Finding]] = defaultdict(dict)
        for finding in findings:
            if finding.state is not State.UNKNOWN:
                bare = replace(finding, values=()) if finding.values else finding
                of_key = by_key[key_of(bare)]
                of_key[bare.at] = max(of_key[bare.at], bare, key=_strength) if bare.at in of_key else bare
        for key in sorted(by_key):
            for at in sorted(by_key[key]):
                self._judge(key, by_key[key][at])

    def _judge(self, key: str, finding: Finding) -> None:
        incident = self._state.get(key)
        is_firing = finding.state is State.FIRING
        if incident is not None and (finding.at < incident.last_at or finding == incident.last_finding):
            return
        if incident is None or (is_firing and not incident.is_open and self._is_another(incident, finding)):
            if is_firing:
                self._open(key, finding, before=incident)
        elif is_firing:
            kind = Kind.UPDATE if incident.is_open else Kind.REOPEN
            history = self._history(finding)
            if incident.is_open and incident.history is not History.OLD:  # what began long ago and is so today is news
                history = incident.history
            group = incident.group if incident.is_open else incident.incident_id
            self._add(incident, kind, finding.at, finding, clear_s=0.0, group=group, history=history)
            self._fired.add(incident.incident_id)
        elif incident.is_open:
            clear_s = _clear_s(incident, finding)
            # Of the lake itself no hour is without data.
            is_over = clear_s >= self._policy.closes_after.total_seconds() or not finding.cluster_id
            kind = Kind.RESOLVE if is_over else Kind.UPDATE
            self._add(incident, kind, finding.at, finding, clear_s=clear_s)

    def _is_another(self, incident: Incident, finding: Finding) -> bool:
        over = incident.resolved_at is not None and finding.at - incident.resolved_at > self._policy.reopens_within
        return over and not incident.is_believed_open

    def _history(self, finding: Finding) -> History | None:
        cluster = self._clusters[finding.cluster_id]
        if cluster.is_first:
            return History.FIRST
        return History.OLD if finding.at < cluster.now - self._policy.history_after else None

    def _open(self, key: str, finding: Finding, *, before: Incident | None) -> None:
        name = incident_id(finding)
        until = before.silenced_until if before else None
        self._append(
            key,
            Event(
                incident_id=name,
                seq=1,
                kind=Kind.OPEN,
                at=finding.at,
                recorded_at=self._now,
                finding=finding,
                group=name,
                history=self._history(finding),
                until=until if until and until > self._now else None,
            ),
        )
        self._fired.add(name)

    def _add(self, incident: Incident, kind: Kind, at: datetime, finding: Finding, **facts: object) -> None:
        """One more event of an incident; what is not said stays as it is."""
        flips = [*incident.flips, at] if kind in (Kind.REOPEN, Kind.RESOLVE) else list(incident.flips)
        recent = [flip for flip in flips if flip > at - self._policy.flips_within]
        is_calm = at - flips[-1] >= self._policy.calm
        known: dict[str, object] = {
            "clear_s": incident.clear_s,
            "group": incident.group,
            "history": incident.history,
            "is_flapping": not is_calm and (incident.is_flapping or len(recent) >= self._policy.flips),
        }
        event = Event(
            incident_id=incident.incident_id,
            seq=incident.seq + 1,
            kind=kind,
            at=at,
            recorded_at=self._now,
            finding=finding,
            **{**known, **facts},  # type: ignore[arg-type]  # fields of Event, by name
        )
        self._append(incident.key, event)

    def _append(self, key: str, event: Event) -> None:
        before = self._state.get(key)
        before = before if before is not None and before.incident_id == event.incident_id else None
        self._before.setdefault(event.incident_id, before)
        self._events[event.incident_id].append(event)
        self._state[key] = apply(before, event)

    # --- what belongs together ---

    def group(self) -> None:
        """Give what has just opened its group; what has lost the leader of its group is given another."""
        there = {incident.incident_id for incident in self._state.values()}
        fresh, standing, lost = [], [], []
        for incident in self._state.values():
            if not incident.is_open:
                continue
            kinds = {event.kind for event in self._events.get(incident.incident_id, ())}
            if kinds & {Kind.OPEN, Kind.REOPEN}:
                fresh.append(incident)
            elif incident.group not in there:
                lost.append(incident)
            else:
                standing.append(incident)
        if not fresh and not lost:
            return
        found = groups([*fresh, *lost], standing, policy=self._policy, clusters=self._clusters)
        for incident in fresh:
            if (group := found[incident.incident_id]) != incident.group:
                self._regroup(incident, group)
        for incident in lost:
            self._add(incident, Kind.UPDATE, incident.last_at, incident.last_finding, group=found[incident.incident_id])

    def _regroup(self, incident: Incident, group: str) -> None:
        """The group of an incident from where it opened last in this step."""
        events = self._events[incident.incident_id]
        opened = max(n for n, event in enumerate(events) if event.kind in (Kind.OPEN, Kind.REOPEN))
        events[opened:] = [replace(event, group=group) for event in events[opened:]]
        self._fold(incident.key, incident.incident_id)

    def _fold(self, key: str, name: str) -> None:
        folded = self._before[name]
        for event in self._events[name]:
            folded = apply(folded, event)
        assert folded is not None
        self._state[key] = folded

    # --- who must be told ---

    def tell(self) -> None:
        """Compare what people believe of each group with what is so."""
        by_id = {incident.incident_id: incident for incident in self._state.values()}
        members: dict[str, list[Incident]] = defaultdict(list)
        for incident in by_id.values():
            if incident.is_open or incident.is_believed_open or incident.incident_id in self._events:
                members[incident.group].append(incident)
        for group in sorted(members):
            leader = by_id.get(group)
            if leader is None:
                continue
            still = [incident for incident in members[group] if incident.is_open]
            told = self._to_tell(leader, worst_first(still)) if still else self._to_tell_after(leader, members[group])
            if told is not None:
                self._tell(leader, told, worst_first(still or members[group]))

    def _to_tell(self, leader: Incident, still: Sequence[Incident]) -> Told | None:
        worst, policy = still[0], self._policy
        severity = worst.finding.severity
        if RANK[severity] < RANK[policy.told_from] or all(incident.history for incident in still):
            return None
        if self._is_silenced(leader) or all(self._is_silenced(incident) for incident in still):
            return None
        if all(any(window.covers(incident.finding) for window in policy.maintenance) for incident in still):
            return None
        if all(incident.is_flapping for incident in still):
            return None
        is_worse = RANK[severity] > RANK[leader.told_severity]
        if leader.told_at is not None and not is_worse and not self._may_repeat(leader, severity):
            return None
        if not leader.is_believed_open:
            return Told.OPENED
        if is_worse:
            return Told.WORSE
        fired = any(incident.incident_id in self._fired for incident in still)
        return Told.REMINDED if fired and not leader.acknowledged_by else None

    def _may_repeat(self, leader: Incident, severity: Severity) -> bool:
        """Whether its window is over by the cluster's clock and by the wall's: a build may make up for many days at once."""
        window = self._policy.repeat.get(severity)
        if window is None or leader.told_at is None or leader.told_recorded_at is None:
            return False
        return self._cluster_now(leader) - leader.told_at >= window and self._now - leader.told_recorded_at >= window

    def _to_tell_after(self, leader: Incident, over: Sequence[Incident]) -> Told | None:
        is_calm = self._cluster_now(leader) - leader.flips[-1] >= self._policy.calm
        if leader.is_flapping and not is_calm:
            return None
        if leader.is_believed_open or any(self._has_passed_unseen(incident) for incident in over):
            return Told.RESOLVED
        return None

    def _has_passed_unseen(self, incident: Incident) -> bool:
        """Whether it began and ended between two judgements, and would have been told if somebody had looked meanwhile."""
        kinds = {event.kind for event in self._events.get(incident.incident_id, ())}
        finding = incident.finding
        return (
            bool(kinds & {Kind.OPEN, Kind.REOPEN})
            and Kind.RESOLVE in kinds
            and not incident.history
            and RANK[finding.severity] >= RANK[self._policy.told_from]
            and not self._is_silenced(incident)
            and not any(window.covers(finding) for window in self._policy.maintenance)
        )

    def _is_silenced(self, incident: Incident) -> bool:
        return incident.silenced_until is not None and incident.silenced_until > self._now

    def _cluster_now(self, incident: Incident) -> datetime:
        return max(self._clusters[incident.finding.cluster_id].now, incident.last_at)

    def _tell(
        self, leader: Incident, told: Told, concerned: Sequence[Incident], *, by: str = "", note: str = ""
    ) -> None:
        worst = concerned[0]
        severity = worst.finding.severity
        if told is not Told.OPENED:  # who was told of something urgent is told of its end, however mild it has become
            severity = max(severity, leader.told_severity, key=RANK.__getitem__)
        events = self._events[leader.incident_id]
        if not events or events[-1].told is not None:
            at = self._cluster_now(leader)
            self._add(leader, Kind.UPDATE, at, leader.last_finding)
        events[-1] = replace(events[-1], told=told, told_severity=severity)
        self._fold(leader.key, leader.incident_id)
        self._notices.append(
            Notice(
                event_id=events[-1].event_id,
                group=leader.incident_id,
                told=told,
                severity=severity,
                audience=leader.finding.audience,
                finding=worst.finding,
                opened_at=min(incident.opened_at for incident in concerned),
                at=events[-1].at,
                parts=tuple(incident.finding for incident in concerned[1 : MOST_PARTS + 1]),
                counts=tuple(sorted(Counter(incident.finding.rule for incident in concerned).items())),
                by=by or events[-1].by,
                note=note or events[-1].note,
            )
        )

    # --- what people ask ---

    def do(self, request: Request) -> None:
        """Acknowledge, silence or resolve what is open of an incident, or of the group that it leads."""
        chosen = [
            incident
            for incident in self._state.values()
            if incident.is_open and request.incident_id in (incident.incident_id, incident.group)
        ]
        for incident in chosen:
            if request.kind is Kind.ACKNOWLEDGE and incident.acknowledged_by:
                continue
            self._add(
                incident,
                request.kind,
                self._cluster_now(incident),
                incident.last_finding,
                by=request.by,
                note=request.note,
                until=request.until,
                request_id=request.request_id,
            )
        named = next((incident for incident in chosen if incident.incident_id == request.incident_id), None)
        if request.kind is Kind.ACKNOWLEDGE and named is not None:
            named = self._state[named.key]
            if named.is_believed_open and self._events.get(named.incident_id):
                self._tell(named, Told.ACKNOWLEDGED, worst_first(chosen), by=request.by, note=request.note)


def _latest_judged(incidents: Iterable[Incident], findings: Iterable[Finding]) -> dict[str, Cluster]:
    found: dict[str, Cluster] = {}
    for cluster_id, at in (
        *((incident.finding.cluster_id, incident.last_at) for incident in incidents),
        *((finding.cluster_id, finding.at) for finding in findings),
    ):
        if cluster_id not in found or found[cluster_id].now < at:
            found[cluster_id] = Cluster(at)
    return found


_STATES = {State.UNKNOWN: 0, State.CLEAR: 1, State.FIRING: 2}


def _strength(finding: Finding) -> tuple[object, ...]:
    """Of two findings of one thing at one time the worse counts; the rest only makes the choice the same every time."""
    return (_STATES[finding.state], RANK[finding.severity], finding.value or 0.0, repr(finding))


def _clear_s(incident: Incident, finding: Finding) -> float:
    """For how long it has been clear: since when the finding says, or what was counted before and what has come since."""
    said = (finding.at - finding.since).total_seconds() if finding.since else 0.0
    since = max(finding.since, incident.last_at) if finding.since else incident.last_at
    counted = incident.clear_s + max(0.0, (finding.at - since).total_seconds())
    return said if finding.at == incident.last_at else max(said, counted)
