"""Events and notices as rows of the lake, and back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from gpulake.alert import Event, History, Incident, Kind, Told, replay
from gpulake.findings import Finding, Severity, State
from gpulake.meta import Asked, last_build
from gpulake.notifiers import Message
from gpulake.sources import all_sources
from gpulake.tables import ALERT_EVENTS, JUDGINGS, NOTICES, LakeTable
from gpulake.telling.mails.layout import Clock

_KINDS = {
    "varchar": pa.string(),
    "bigint": pa.int64(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "timestamp": pa.timestamp("us"),
}


def table_of(declared: LakeTable, rows: Iterable[Mapping[str, object]]) -> pa.Table:
    """Rows by column name as one table, in the declared order."""
    schema = pa.schema([(name, _KINDS[kind]) for name, kind in declared.columns])
    return pa.Table.from_pylist(list(rows), schema=schema)


def are_there(view: Asked) -> bool:
    """Whether the lake has these tables: one that an earlier version made gets them from its next writer."""
    found = view.sql(
        "SELECT 1 FROM information_schema.tables WHERE table_catalog = 'lake' AND table_schema = ? AND table_name = ?",
        [ALERT_EVENTS.schema, ALERT_EVENTS.name],
    )
    return bool(found.num_rows)


# --- events ----------------------------------------------------------------------------------------------------------


def event_row(event: Event) -> dict[str, object]:
    """One row of `alert_events`."""
    finding = event.finding
    return {
        "event_id": event.event_id,
        "incident_id": event.incident_id,
        "seq": event.seq,
        "kind": str(event.kind),
        "happened_at": event.at,
        "recorded_at": event.recorded_at,
        "cluster_id": finding.cluster_id or None,
        "rule": finding.rule,
        "key_json": _json(sorted(finding.key)),
        "state": str(finding.state),
        "judged_at": finding.at,
        "since": finding.since,
        "severity": str(finding.severity),
        "audience": finding.audience,
        "title": finding.title,
        "message": finding.message,
        "advice": finding.do,
        "link": finding.link,
        "value": finding.value,
        "expected": finding.expected,
        "unit": finding.unit,
        "gpu_h": finding.gpu_h,
        "machines_json": _json(finding.machines),
        "jobs_json": _json(finding.jobs),
        "group_id": event.group,
        "clear_s": event.clear_s,
        "history": event.history and str(event.history),
        "is_flapping": event.is_flapping,
        "told": event.told and str(event.told),
        "told_severity": event.told_severity and str(event.told_severity),
        "silenced_until": event.until,
        "done_by": event.by or None,
        "note": event.note or None,
        "request_id": event.request_id or None,
    }


def event_of(row: Mapping[str, Any]) -> Event:
    """The event that a row is."""
    finding = Finding(
        rule=row["rule"],
        key=tuple((name, value) for name, value in json.loads(row["key_json"])),
        state=State(row["state"]),
        at=row["judged_at"],
        since=row["since"],
        severity=Severity(row["severity"]),
        audience=row["audience"],
        title=row["title"],
        message=row["message"],
        do=row["advice"],
        link=row["link"],
        value=row["value"],
        expected=row["expected"],
        unit=row["unit"],
        gpu_h=row["gpu_h"],
        machines=tuple(json.loads(row["machines_json"])),
        jobs=tuple(json.loads(row["jobs_json"])),
    )
    return Event(
        incident_id=row["incident_id"],
        seq=row["seq"],
        kind=Kind(row["kind"]),
        at=row["happened_at"],
        recorded_at=row["recorded_at"],
        finding=finding,
        group=row["group_id"],
        clear_s=row["clear_s"],
        history=History(row["history"]) if row["history"] else None,
        is_flapping=row["is_flapping"],
        told=Told(row["told"]) if row["told"] else None,
        told_severity=Severity(row["told_severity"]) if row["told_severity"] else None,
        until=row["silenced_until"],
        by=row["done_by"] or "",
        note=row["note"] or "",
        request_id=row["request_id"] or "",
    )


def events_of(view: Asked, incident_ids: Sequence[str]) -> list[Event]:
    """All events of some incidents, in their order."""
    rows = view.sql(
        f"SELECT * FROM {ALERT_EVENTS.qualified} WHERE list_contains(?, incident_id) ORDER BY incident_id, seq",
        [list(incident_ids)],
    )
    return [event_of(row) for row in rows.to_pylist()]


def incidents(view: Asked) -> Mapping[str, Incident]:
    """The newest incident of every key, open or over."""
    rows = view.sql(
        f"SELECT * FROM {ALERT_EVENTS.qualified} SEMI JOIN (SELECT incident_id FROM {ALERT_EVENTS.qualified} WHERE seq = 1 "
        "QUALIFY row_number() OVER (PARTITION BY rule, key_json ORDER BY happened_at DESC, incident_id DESC) = 1) AS newest "
        "USING (incident_id)"
    )
    return replay(event_of(row) for row in rows.to_pylist())


def requests_done(view: Asked, request_ids: Sequence[str]) -> frozenset[str]:
    """Which requests of people have become events."""
    found = view.sql(
        f"SELECT DISTINCT request_id FROM {ALERT_EVENTS.qualified} WHERE list_contains(?, request_id)",
        [list(request_ids)],
    )
    return frozenset(found["request_id"].to_pylist())


# --- notices ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Queued:
    """A notice to one channel that waits to be sent. `queued_at` is when it was decided, by the wall clock."""

    message: Message
    channel: str
    audience: str
    event_id: str
    queued_at: datetime
    seq: int = 1
    attempts: int = 0

    @property
    def notice_id(self) -> str:
        """The same in every try."""
        return self.message.notice_id


def queued_row(queued: Queued, *, state: str) -> dict[str, object]:
    """The first row of a notice."""
    return {
        "notice_id": queued.notice_id,
        "seq": queued.seq,
        "state": state,
        "happened_at": queued.queued_at,
        "event_id": queued.event_id or None,
        "group_id": queued.message.dedup_key,
        "told": queued.message.told,
        "severity": queued.message.severity,
        "audience": queued.audience,
        "channel": queued.channel,
        "attempts": 0,
        "message_json": _json(asdict(queued.message)),
    }


def receipt_row(
    queued: Queued, *, state: str, at: datetime, attempts: int, code: int | None, words: str
) -> dict[str, object]:
    """A further row of a notice: what came of a try."""
    return {
        **queued_row(queued, state=state),
        "seq": queued.seq + 1,
        "happened_at": at,
        "attempts": queued.attempts + attempts,
        "reply_code": code,
        "reply": words or None,
        "message_json": None,
    }


def waiting(view: Asked) -> list[Queued]:
    """Every notice that is neither sent nor given up, in the order in which they were decided."""
    rows = view.sql(
        "WITH last AS (SELECT notice_id, max(seq) AS seq, max_by(state, seq) AS state, max(attempts) AS attempts, "
        f"min(happened_at) AS queued_at FROM {NOTICES.qualified} GROUP BY notice_id HAVING max_by(state, seq) IN ('queued', 'retry')) "
        "SELECT first.message_json, first.channel, first.audience, first.event_id, last.queued_at, last.seq, last.attempts "
        f"FROM last INNER JOIN {NOTICES.qualified} AS first ON last.notice_id = first.notice_id AND first.seq = 1"
    ).to_pylist()
    found = [
        Queued(
            message=message_of(row["message_json"]),
            channel=row["channel"],
            audience=row["audience"],
            event_id=row["event_id"] or "",
            queued_at=row["queued_at"],
            seq=row["seq"],
            attempts=row["attempts"],
        )
        for row in rows
    ]
    return sorted(found, key=lambda queued: (queued.queued_at, queued.event_id, queued.channel))


def message_of(text: str) -> Message:
    """The message that was written down."""
    written = json.loads(text)
    return Message(**{**written, "facts": tuple((name, value) for name, value in written["facts"])})


def notices_known(view: Asked, notice_ids: Sequence[str]) -> frozenset[str]:
    """Which of some notices have been decided before."""
    found = view.sql(
        f"SELECT DISTINCT notice_id FROM {NOTICES.qualified} WHERE list_contains(?, notice_id)", [list(notice_ids)]
    )
    return frozenset(found["notice_id"].to_pylist())


def last_digest_at(view: Asked) -> datetime | None:
    """When a digest was last made."""
    found: datetime | None = view.sql(
        f"SELECT max(happened_at) AS made_at FROM {NOTICES.qualified} WHERE told = 'digest' AND seq = 1"
    )["made_at"][0].as_py()
    return found


# --- clusters --------------------------------------------------------------------------------------------------------


def clocks(view: Asked) -> dict[str, Clock]:
    """How each cluster's time is shown."""
    without_weekdays = {source.name for source in all_sources() if not source.has_weekdays}
    rows = view.sql(
        "SELECT cluster_id, max_by(source, noted_at) AS source, max_by(time_zone, noted_at) AS time_zone, "
        "max_by(time_basis, noted_at) AS time_basis FROM lake.meta.clusters GROUP BY ALL ORDER BY ALL"
    ).to_pylist()
    return {
        row["cluster_id"]: Clock(
            row["time_zone"] or "UTC", row["time_basis"] or "real", row["source"] not in without_weekdays
        )
        for row in rows
    }


def judged_before(view: Asked) -> frozenset[str]:
    """The clusters that rules have judged before."""
    found = view.sql(f"SELECT DISTINCT cluster_id FROM {JUDGINGS.qualified}")
    return frozenset(found["cluster_id"].to_pylist())


def machines(view: Asked) -> dict[str, int]:
    """How many machines each cluster has; empty where nothing is built yet."""
    if last_build(view) is None:
        return {}
    rows = view.sql("SELECT cluster_id, count(DISTINCT machine_id) AS n FROM lake.main.silver_machines GROUP BY ALL")
    return {row["cluster_id"]: row["n"] for row in rows.to_pylist()}


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
