"""Incidents as pages show them: of a cluster and of the lake itself, one entry per group, with what people have asked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from gpulake import clock
from gpulake.alert import Kind, Request
from gpulake.findings import Severity
from gpulake.incidents import inbox
from gpulake.reading.scope import Cluster
from gpulake.serve.look import Look
from gpulake.telling.mails.layout import Clock, beginning, moment, urgency

if TYPE_CHECKING:
    import pyarrow as pa

ASKED_WORDS = {Kind.ACKNOWLEDGE: "acknowledge", Kind.SILENCE: "silence", Kind.RESOLVE: "resolve"}

# What people did holds until the incident opens or closes again. A silence is of the last one who asked for it.
INCIDENTS = """
    with newest as (
        select
            incident_id,
            max_by(advice, seq) filter (where state = 'firing') as advice,
            max(seq) filter (where kind in ('open', 'reopen', 'resolve')) as turned_seq,
            max(seq) filter (where kind = 'acknowledge') as acknowledged_seq,
            max_by(silenced_until, seq) filter (where kind = 'silence') as silenced_until
        from ops.main.gold_alert_events
        group by incident_id
    )

    select
        incidents.incident_id,
        incidents.group_id,
        nullif(incidents.cluster_id, '') as cluster_id,
        incidents.rule,
        incidents.key_json,
        incidents.severity,
        incidents.audience,
        coalesce(incidents.title, incidents.rule) as title,
        incidents.message,
        newest.advice,
        incidents.value,
        incidents.expected,
        incidents.unit,
        incidents.gpu_h,
        incidents.since,
        incidents.opened_at,
        incidents.last_judged_at,
        incidents.resolved_at,
        incidents.is_open,
        case when newest.acknowledged_seq > newest.turned_seq then incidents.acknowledged_by end as acknowledged_by,
        newest.silenced_until,
        incidents.history,
        incidents.times_opened,
        incidents.times_told,
        incidents.events
    from ops.main.gold_incidents as incidents
    left join newest on incidents.incident_id = newest.incident_id
"""

# What people did to the one that a group is told under holds for the group.
_OPEN = f"""
    with opened as (
        select *, coalesce(array_position(['page', 'ticket', 'info'], severity), 9) as urgency
        from ({INCIDENTS})
        where is_open and (cluster_id = ? or cluster_id is null)
    ),

    heads as (
        select
            * replace (
                coalesce(
                    max(acknowledged_by) filter (where incident_id = group_id) over (partition by group_id), acknowledged_by
                ) as acknowledged_by,
                coalesce(
                    max(silenced_until) filter (where incident_id = group_id) over (partition by group_id), silenced_until
                ) as silenced_until
            ),
            count(*) over (partition by group_id) as size
        from opened
        qualify row_number() over (
            partition by group_id
            order by urgency, incident_id <> group_id, gpu_h desc nulls last, since, incident_id
        ) = 1
    )

    select * from heads
    order by acknowledged_by is not null, urgency, gpu_h desc nulls last, since, incident_id
    limit ?
"""
# An incident of several findings begins with the first of them. Days and hours are those of the cluster's clock.
_BEGUN = """
    with groups as (
        select
            min(since) as since,
            arg_min(coalesce(title, rule), (coalesce(array_position(['page', 'ticket', 'info'], severity), 9), since)) as title,
            bool_or(severity in ('page', 'ticket')) as is_urgent
        from ops.main.gold_incidents
        where cluster_id = ?
        group by group_id
    ),

    steps as (
        select
            *,
            cast(since at time zone 'UTC' at time zone ? as date) as dt,
            since - (
                (since at time zone 'UTC' at time zone ?) - date_trunc('hour', since at time zone 'UTC' at time zone ?)
            ) as hour_start_at
        from groups
    )

    select dt, hour_start_at, title, is_urgent from steps
    where dt between ? and ?
    order by is_urgent desc, since, title
    limit ?
"""
_COUNTED = """
    with opened as (
        select
            group_id,
            coalesce(any_value(nullif(cluster_id, '')), ?1) = ?1 as is_here,
            bool_or(severity = 'page') as is_page,
            bool_or(severity = 'ticket') as is_ticket
        from ops.main.gold_incidents
        where is_open
        group by group_id
    )

    select
        count(*) filter (where is_here) as open_groups,
        count(*) filter (where is_here and is_page) as pages,
        count(*) filter (where is_here and is_ticket and not is_page) as tickets,
        count(*) filter (where not is_here) as elsewhere
    from opened
"""


@dataclass(frozen=True)
class Need:
    """One group of open incidents: `row` is its worst one, `size` how many they are, `asked` what waits for a writer."""

    row: Mapping[str, Any]
    clock: Cluster
    asked: tuple[Request, ...]

    @property
    def size(self) -> int:
        """How many incidents are told as one."""
        return int(self.row["size"])

    @property
    def state(self) -> str:
        """What has been done, and what has been asked for."""
        return state_of(self.row, self.asked, now=clock.now())

    @property
    def urgency(self) -> str:
        """How soon a person should look."""
        return urgency_of(str(self.row["severity"]))

    @property
    def since(self) -> str:
        """Since when, by the clock of the cluster."""
        return since_words(self.row["since"] or self.row["opened_at"], self.clock)


def needs(look: Look, *, most: int) -> list[Need]:
    """What is open in the cluster or of the lake itself: what nobody has taken comes first, then the most urgent."""
    waiting = asked_of(look)
    found = look.rows(_OPEN, look.cluster.cluster_id, most)
    return [Need(row, clock_of(look, row["cluster_id"]), _asked(row, waiting)) for row in found]


def begun(look: Look, *, most: int) -> pa.Table:
    """The incidents of the cluster that began in the range, by `dt` and `hour_start_at`: what a person should look at first."""
    cluster = look.cluster
    return look.table(_BEGUN, cluster.cluster_id, *[cluster.time_zone] * 3, look.since, look.until, most)


def _asked(row: Mapping[str, Any], waiting: Mapping[str, tuple[Request, ...]]) -> tuple[Request, ...]:
    names = dict.fromkeys((row["incident_id"], row["group_id"]))
    return tuple(each for name in names for each in waiting.get(name, ()))


def counts(look: Look) -> Mapping[str, Any]:
    """How many groups are open, by their worst urgency, and how many in other clusters."""
    (row,) = look.rows(_COUNTED, look.cluster.cluster_id)
    return row


def asked_of(look: Look) -> dict[str, tuple[Request, ...]]:
    """The requests that wait for the next writer, by incident."""
    found: dict[str, list[Request]] = defaultdict(list)
    if look.lake is not None:
        for each in inbox.read(look.lake):
            found[each.request.incident_id].append(each.request)
    return {name: tuple(requests) for name, requests in found.items()}


def state_of(row: Mapping[str, Any], asked: Sequence[Request], *, now: datetime) -> str:
    """The state of an incident in words, with what is queued."""
    said = ["open" if row["is_open"] else "resolved"]
    if row["is_open"] and row["acknowledged_by"]:
        said = [f"taken by {row['acknowledged_by']}"]
    if row["is_open"] and row["silenced_until"] and row["silenced_until"] > now:
        said.append(f"silent until {row['silenced_until']:%Y-%m-%d %H:%M} UTC")
    return ", ".join([*said, *(f"{ASKED_WORDS[each.kind]} by {each.by} queued" for each in asked)])


def urgency_of(severity: str) -> str:
    """How soon a person should look, in words; a severity that has none keeps its name."""
    return urgency(Severity(severity)) if severity in set(Severity) else severity


def clock_of(look: Look, cluster_id: str | None) -> Cluster:
    """By which clock an incident's times are told: its cluster's, and for the lake's own that of the wall."""
    of = next((each for each in look.clusters if each.cluster_id == cluster_id), None)
    return of or replace(look.cluster, time_zone="UTC", time_basis="real")


def since_words(at: datetime, of: Cluster) -> str:
    """A time since when something is so."""
    return beginning(at, Clock(of.time_zone, of.time_basis, has_weekdays=False))


def incident_path(incident_id: str) -> str:
    """The address of an incident."""
    return f"/alerts/{quote(incident_id, safe='')}"


def moment_words(at: datetime, of: Cluster) -> str:
    """A moment by the clock of a cluster; the end of a day belongs to that day."""
    return moment(at, Clock(of.time_zone, of.time_basis, has_weekdays=False))
