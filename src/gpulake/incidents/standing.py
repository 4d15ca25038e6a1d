"""What is so now, for people: what is open, what has been asked for and not done yet, the life of one incident, the day's digest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from gpulake.alert import RANK, Event, Incident, Kind, Request, replay
from gpulake.alert.grouping import worst_first
from gpulake.config import Config
from gpulake.errors import GpulakeError, UsageError
from gpulake.incidents import inbox, records
from gpulake.meta import Asked
from gpulake.notifiers import Message
from gpulake.reading.report import Need
from gpulake.tables import ALERT_EVENTS, NOTICES
from gpulake.telling.mails import digest as digests
from gpulake.telling.mails.digest import Digest, Entry
from gpulake.telling.mails.layout import Clocks, title_of

_FIRST_DIGEST = timedelta(days=1)


@dataclass(frozen=True)
class Listed:
    """What is open, or was, one entry per group; and the requests that wait for a writer, by incident."""

    entries: tuple[Entry, ...]
    queued: Mapping[str, tuple[Request, ...]]
    waiting_notices: int
    clocks: Clocks = field(default_factory=dict)

    @property
    def error(self) -> GpulakeError | None:
        """Reading has none of its own."""
        return None

    def as_json(self) -> dict[str, object]:
        """For machines."""
        return {
            "incidents": [
                {**incident_json(entry.incident), "size": entry.size, "queued": requests_json(self.of(entry.incident))}
                for entry in self.entries
            ],
            "waiting_notices": self.waiting_notices,
            "error": None,
        }

    def of(self, incident: Incident) -> tuple[Request, ...]:
        """What has been asked of an incident and not done yet."""
        return self.queued.get(incident.incident_id, ())

    def needs(self) -> tuple[Need, ...]:
        """The entries as a report tells them, in the same order."""
        return tuple(
            Need(
                incident_id=entry.incident.group,
                cluster_id=entry.incident.finding.cluster_id,
                severity=str(entry.incident.finding.severity),
                state=", ".join(
                    [state_of(entry.incident), *(f"{each.kind} queued" for each in self.of(entry.incident))]
                ),
                title=title_of(entry.incident.finding),
                message=entry.incident.finding.message,
                advice=entry.incident.finding.do,
                audience=entry.incident.finding.audience,
                since=entry.incident.finding.since or entry.incident.opened_at,
                size=entry.size,
            )
            for entry in self.entries
        )


@dataclass(frozen=True)
class Shown:
    """One incident: what it is, what happened, what goes with it, and what was sent of it."""

    incident: Incident
    events: tuple[Event, ...]
    members: tuple[Incident, ...]
    notices: tuple[Mapping[str, object], ...]
    queued: tuple[Request, ...]
    clocks: Clocks = field(default_factory=dict)

    @property
    def error(self) -> GpulakeError | None:
        """Reading has none of its own."""
        return None

    def as_json(self) -> dict[str, object]:
        """For machines."""
        return {
            "incident": incident_json(self.incident),
            "events": [
                {
                    name: row[name]
                    for name in (
                        "seq",
                        "kind",
                        "happened_at",
                        "recorded_at",
                        "state",
                        "value",
                        "told",
                        "done_by",
                        "note",
                    )
                }
                for row in map(records.event_row, self.events)
            ],
            "together": [incident_json(member) for member in self.members],
            "notices": list(self.notices),
            "queued": requests_json(self.queued),
            "error": None,
        }


def incident_json(incident: Incident) -> dict[str, object]:
    """One incident for machines."""
    finding = incident.finding
    return {
        "incident_id": incident.incident_id,
        "group": incident.group,
        "state": state_of(incident),
        "rule": finding.rule,
        "key": dict(finding.key),
        "severity": str(finding.severity),
        "audience": finding.audience,
        "title": finding.title,
        "message": finding.message,
        "do": finding.do,
        "link": finding.link,
        "value": finding.value,
        "expected": finding.expected,
        "unit": finding.unit,
        "gpu_h": finding.gpu_h,
        "opened_at": incident.opened_at,
        "since": finding.since,
        "last_judged_at": incident.last_at,
        "resolved_at": incident.resolved_at,
        "acknowledged_by": incident.acknowledged_by or None,
        "silenced_until": incident.silenced_until,
        "is_flapping": incident.is_flapping,
        "history": incident.history and str(incident.history),
        "told": incident.told and str(incident.told),
    }


def requests_json(requests: Sequence[Request]) -> list[dict[str, object]]:
    """Requests that wait, for machines."""
    return [{"kind": str(each.kind), "by": each.by, "at": each.at, "until": each.until} for each in requests]


def state_of(incident: Incident) -> str:
    """One word for its state."""
    if not incident.is_open:
        return "resolved"
    return "acknowledged" if incident.acknowledged_by else "open"


def listed(view: Asked, *, config: Config, with_resolved: bool = False) -> Listed:
    """What is open, the worst first; with those that are over too, if asked."""
    if not records.are_there(view):
        return Listed((), {}, 0)
    found = records.incidents(view)
    entries = entries_of([each for each in found.values() if with_resolved or each.is_open], leaders=found)
    return Listed(entries, _queued(config), len(records.waiting(view)), records.clocks(view))


def shown(view: Asked, name: str, *, config: Config) -> Shown:
    """One incident, by the beginning of its id. Raises UsageError where there is none, or more than one."""
    incident_id = _whole_id(view, name) if records.are_there(view) else None
    if incident_id is None:
        raise UsageError(f"there is no incident {name!r}.", do="see: gpulake alerts list --all")
    events = records.events_of(view, [incident_id])
    (incident,) = replay(events).values()
    members = [
        each
        for each in records.incidents(view).values()
        if each.group == incident_id and each.incident_id != incident_id
    ]
    notices = view.sql(
        f"SELECT notice_id, channel, told, state, happened_at, attempts, reply_code, reply FROM {NOTICES.qualified} "
        "WHERE group_id = ? QUALIFY row_number() OVER (PARTITION BY notice_id ORDER BY seq DESC) = 1 "
        "ORDER BY happened_at, channel",
        [incident_id],
    ).to_pylist()
    return Shown(
        incident=incident,
        events=tuple(events),
        members=tuple(worst_first(members)),
        notices=tuple(notices),
        queued=_queued(config).get(incident_id, ()),
        clocks=records.clocks(view),
    )


def ask(
    config: Config, kind: Kind, incident_id: str, *, by: str, at: datetime, until: datetime | None, note: str
) -> Request:
    """Put a request into the lake's inbox. Raises LakeError where that cannot be written."""
    request = Request(inbox.new_id(at), kind, incident_id, by, at, until, note)
    inbox.ask(config.lake, request)
    return request


def digest(view: Asked, *, config: Config, now: datetime) -> Message:
    """The digest of now, laid out."""
    if records.are_there(view):
        found = digest_of(view, config=config, now=now, since=records.last_digest_at(view))
        return digests.message_of(found, notice_id="", clocks=records.clocks(view))
    return digests.message_of(Digest(now.date(), now, None, (), (), ()), notice_id="", clocks={})


def _whole_id(view: Asked, name: str) -> str | None:
    found = view.sql(
        f"SELECT DISTINCT incident_id FROM {ALERT_EVENTS.qualified} WHERE seq = 1 AND starts_with(incident_id, ?) ORDER BY ALL",
        [name],
    )["incident_id"].to_pylist()
    if name and len(found) > 1 and name not in found:
        raise UsageError(f"{name!r} begins the names of {len(found)} incidents.", do=f"use: {', '.join(found[:5])}")
    return (name if name in found else str(found[0])) if found and name else None


def _queued(config: Config) -> dict[str, tuple[Request, ...]]:
    by_incident: dict[str, list[Request]] = defaultdict(list)
    for asked in inbox.read(config.lake):
        by_incident[asked.request.incident_id].append(asked.request)
    return {name: tuple(requests) for name, requests in by_incident.items()}


def entries_of(incidents: Sequence[Incident], *, leaders: Mapping[str, Incident]) -> tuple[Entry, ...]:
    """One entry per group, of the worst in it; the worst group first. What people did to the leader holds for the group."""
    by_group: dict[str, list[Incident]] = defaultdict(list)
    for incident in incidents:
        by_group[incident.group].append(incident)
    by_id = {incident.incident_id: incident for incident in leaders.values()}
    entries = []
    for group, some in by_group.items():
        worst = worst_first(some)[0]
        shown_one = (
            by_id[group] if group in by_id and by_id[group] in some and _is_as_bad(by_id[group], worst) else worst
        )
        gpu_h = max((each.finding.gpu_h for each in some if each.finding.gpu_h is not None), default=None)
        entries.append(Entry(shown_one, len(some), gpu_h))
    order = {each.incident_id: n for n, each in enumerate(worst_first(entry.incident for entry in entries))}
    return tuple(sorted(entries, key=lambda entry: order[entry.incident.incident_id]))


def _is_as_bad(incident: Incident, worst: Incident) -> bool:
    return RANK[incident.finding.severity] >= RANK[worst.finding.severity]


def digest_of(view: Asked, *, config: Config, now: datetime, since: datetime | None) -> Digest:
    """What the digest of today tells; without one before it, of the last day."""
    found = records.incidents(view)
    after = since or now - _FIRST_DIGEST
    changed = view.sql(
        f"SELECT incident_id, max_by(kind, seq) AS kind FROM {ALERT_EVENTS.qualified} "
        "WHERE recorded_at > ? AND kind IN ('open', 'reopen', 'resolve') GROUP BY incident_id",
        [after],
    ).to_pylist()
    kinds = {row["incident_id"]: row["kind"] for row in changed}
    still_open = entries_of([each for each in found.values() if each.is_open], leaders=found)
    amounts = [entry.gpu_h for entry in still_open if entry.gpu_h is not None]

    def of_kind(*wanted: str) -> tuple[Entry, ...]:
        return entries_of([each for each in found.values() if kinds.get(each.incident_id) in wanted], leaders=found)

    return Digest(
        day=now.date(),
        made_at=now,
        since=since,
        still_open=still_open,
        opened=of_kind("open", "reopen"),
        resolved=of_kind("resolve"),
        gpu_h=sum(amounts) if amounts else None,
        failed_channels=tuple(
            sorted({dict(each.finding.key)["channel"] for each in found.values() if each.is_open and each.finding.rule == "channel_failed"})
        ),
        maintenance=tuple(window for window in config.alerts.policy.maintenance if window.since <= now < window.until),
        is_shadow=config.alerts.shadow,
    )  # fmt: skip
