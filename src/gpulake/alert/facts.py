"""Events, and the incidents that they add up to: events are the facts, an incident is what they say together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from hashlib import sha256

from gpulake.findings import Finding, Severity


class Kind(StrEnum):
    """What can happen to an incident."""

    OPEN = "open"
    UPDATE = "update"
    ACKNOWLEDGE = "acknowledge"
    SILENCE = "silence"
    RESOLVE = "resolve"
    REOPEN = "reopen"


class Told(StrEnum):
    """What a notice said, and so what people believe who got it."""

    OPENED = "opened"
    WORSE = "worse"
    REMINDED = "reminded"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class History(StrEnum):
    """Why an incident is recorded and not told: its finding was old, or its cluster was judged for the first time."""

    OLD = "old"
    FIRST = "first"


RANK = {Severity.INFO: 0, Severity.TICKET: 1, Severity.PAGE: 2}
"""How soon a person must look, as a number that can be compared."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to one incident: a row of `alert_events`, never changed.

    `at` is the cluster's own time, `recorded_at` the wall clock's. `finding` is what was known then. `clear_s` is for how many
    covered seconds the condition has been clear; `group` names the incident with which it is told; `told` says that a notice
    belongs to this event, and `told_severity` how soon it asked people to look. `until` ends a silence (wall clock).
    `request_id` names the request of a person, `by`.
    """

    incident_id: str
    seq: int
    kind: Kind
    at: datetime
    recorded_at: datetime
    finding: Finding
    group: str
    clear_s: float = 0.0
    history: History | None = None
    is_flapping: bool = False
    told: Told | None = None
    told_severity: Severity | None = None
    until: datetime | None = None
    by: str = ""
    note: str = ""
    request_id: str = ""

    @property
    def event_id(self) -> str:
        """Its name: the incident and its number there."""
        return f"{self.incident_id}-{self.seq}"


@dataclass(frozen=True, slots=True)
class Incident:
    """What its events say of one thing. Reopened within a day it is the same incident.

    `finding` is the last that fired, `last_at` the end of the last period that was judged, firing or clear. What a group was
    told stands at the incident that leads it: `told` last, and when and how urgently last that something is wrong.
    """

    incident_id: str
    seq: int
    finding: Finding
    group: str
    opened_at: datetime
    last_at: datetime
    last_finding: Finding
    recorded_at: datetime
    is_open: bool = True
    history: History | None = None
    is_flapping: bool = False
    clear_s: float = 0.0
    resolved_at: datetime | None = None
    acknowledged_by: str = ""
    silenced_until: datetime | None = None
    flips: tuple[datetime, ...] = field(default=())
    told: Told | None = None
    told_severity: Severity = Severity.INFO
    told_at: datetime | None = None
    told_recorded_at: datetime | None = None

    @property
    def key(self) -> str:
        """What a finding of the same thing has too."""
        return key_of(self.finding)

    @property
    def is_leader(self) -> bool:
        """Whether its group is told under its name."""
        return self.group == self.incident_id

    @property
    def is_believed_open(self) -> bool:
        """Whether whoever was told last was told that something is wrong."""
        return self.told not in (None, Told.RESOLVED)


KEPT_FLIPS = 16
"""More than any policy counts."""


def key_of(finding: Finding) -> str:
    """The rule and the thing, whatever the order of the key's columns."""
    return repr((finding.rule, *sorted(finding.key)))


def incident_id(finding: Finding) -> str:
    """The same for the same thing opened at the same time, on every machine and in every repetition."""
    return sha256(f"{key_of(finding)}@{finding.at.isoformat()}".encode()).hexdigest()[:12]


def apply(incident: Incident | None, event: Event) -> Incident:
    """The incident after one more event."""
    finding, fires = event.finding, event.kind in (Kind.OPEN, Kind.REOPEN)
    if incident is None:
        now = Incident(
            incident_id=event.incident_id,
            seq=event.seq,
            finding=finding,
            group=event.group,
            opened_at=event.at,
            last_at=finding.at,
            last_finding=finding,
            recorded_at=event.recorded_at,
            history=event.history,
            silenced_until=event.until,
            flips=(event.at,),
        )
    else:
        now = replace(
            incident,
            seq=event.seq,
            finding=finding if finding.state == "firing" else incident.finding,
            last_finding=finding,
            last_at=finding.at,
            recorded_at=event.recorded_at,
            group=event.group,
            clear_s=event.clear_s,
            history=event.history,
            is_flapping=event.is_flapping,
        )
        if fires or event.kind is Kind.RESOLVE:
            now = replace(
                now,
                is_open=fires,
                resolved_at=None if fires else event.at,
                acknowledged_by="",
                flips=(*incident.flips, event.at)[-KEPT_FLIPS:],
            )
        elif event.kind is Kind.ACKNOWLEDGE:
            now = replace(now, acknowledged_by=event.by or "somebody")
        elif event.kind is Kind.SILENCE:
            now = replace(now, silenced_until=event.until)
    if event.told is Told.RESOLVED:
        return replace(now, told=event.told)
    if event.told not in (None, Told.ACKNOWLEDGED):  # an acknowledgement says nothing of the condition
        return replace(
            now,
            told=event.told,
            told_severity=event.told_severity or Severity.INFO,
            told_at=event.at,
            told_recorded_at=event.recorded_at,
        )
    return now


def replay(events: Iterable[Event], *, since: Mapping[str, Incident] | None = None) -> Mapping[str, Incident]:
    """The incidents that events add up to, by key: the newest of each. Events may come in any order."""
    by_id: dict[str, Incident] = {incident.incident_id: incident for incident in (since or {}).values()}
    for event in sorted(events, key=lambda event: (event.incident_id, event.seq)):
        by_id[event.incident_id] = apply(by_id.get(event.incident_id), event)
    newest: dict[str, Incident] = {}
    for incident in sorted(by_id.values(), key=lambda incident: (incident.opened_at, incident.incident_id)):
        newest[incident.key] = incident
    return newest
