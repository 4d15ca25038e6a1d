"""One incident: what is wrong, since when, who is hit, what to do, what happened and who was told; and to take it in hand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from gpulake import clock
from gpulake.reading.scope import Cluster
from gpulake.serve.incidents import (
    ASKED_WORDS,
    INCIDENTS,
    asked_of,
    clock_of,
    incident_path,
    moment_words,
    since_words,
    state_of,
    urgency_of,
)
from gpulake.serve.listing import Column, Listing
from gpulake.serve.look import Look
from gpulake.serve.page import Filled, Page
from gpulake.serve.things import nothing_called
from gpulake.telling.mails.layout import amount

MOST_HIT = 50
"""Machines and jobs named one by one; the rest is counted."""

_INCIDENT = f"select * from ({INCIDENTS}) where incident_id = ?"
_LAST_FIRING = """
    select link, machines_json, jobs_json
    from ops.meta.alert_events
    where incident_id = ? and state = 'firing'
    order by seq desc
    limit 1
"""
_EVENTS = """
    select seq, happened_at, kind, done_by, note, silenced_until, value, told, recorded_at
    from ops.main.gold_alert_events
    where incident_id = ?
"""
_TOGETHER = f"select * from ({INCIDENTS}) where group_id = ? and incident_id <> ?"
_NOTICES = """
    select channel, told, state, happened_at as sent_at, attempts, reply_code, reply
    from ops.meta.notices
    where group_id = ?
    qualify row_number() over (partition by notice_id order by seq desc) = 1
"""
_PLACES = {"machine_id": "machines", "job_id": "jobs", "user_id": "users"}


@dataclass(frozen=True)
class _Told(Listing):
    """Rows whose times are told by the incident's own clock."""

    of: Cluster | None = None

    @property
    def cluster(self) -> Cluster:
        """Whose clock it is."""
        return self.of or self.look.cluster


def _link(look: Look, name: str, value: str) -> str | None:
    return look.url(f"/{_PLACES[name]}/{quote(value, safe='')}") if name in _PLACES else None


def _of(look: Look, row: Mapping[str, Any]) -> str:
    return look.url(incident_path(str(row["incident_id"])))


def _fill(look: Look) -> Filled:
    name = look.named["incident_id"]
    row = look.row(_INCIDENT, name)
    if row is None:
        raise nothing_called(name, kind="incident", look=look)
    # The page is of the incident's cluster, whichever the address names.
    own = row["cluster_id"] if row["cluster_id"] in {each.cluster_id for each in look.clusters} else None
    kept = {
        key: value for key, value in look.asked.items() if own in {None, look.cluster.cluster_id} or key != "cluster"
    }
    look = replace(look, asked={**kept, **({"cluster": own} if own else {})})
    of = clock_of(look, own)
    hit = look.row(_LAST_FIRING, name) or {"link": None, "machines_json": "[]", "jobs_json": "[]"}
    key = [(str(part), str(value)) for part, value in json.loads(row["key_json"])]
    machines, jobs = json.loads(hit["machines_json"] or "[]"), json.loads(hit["jobs_json"] or "[]")
    asked = asked_of(look).get(name, ())
    leader = row["group_id"] if row["group_id"] != name else None
    return {
        "look": look,
        "of": of,
        "incident": row,
        "keys": {"gold_incidents": {"incident_id": name}},
        "since": since_words(row["since"] or row["opened_at"], of),
        "judged": moment_words(row["last_judged_at"], of) if row["last_judged_at"] else "",
        "over": moment_words(row["resolved_at"], of) if row["resolved_at"] else "",
        "state": state_of(row, (), now=clock.now()),
        "urgency": urgency_of(row["severity"]),
        "seen": None if row["value"] is None else amount(row["value"], row["unit"] or ""),
        "expected": None if row["expected"] is None else amount(row["expected"], row["unit"] or ""),
        "thing": [
            (part.removesuffix("_id"), value, _link(look, part, value)) for part, value in key if part != "address"
        ],
        "link": hit["link"] if (hit["link"] or "").startswith(("https://", "http://")) else None,
        "every_machine": "*" in machines,
        "machines": [(each, _link(look, "machine_id", each)) for each in machines[:MOST_HIT] if each != "*"],
        "more_machines": max(0, len(machines) - MOST_HIT),
        "jobs": [(each, _link(look, "job_id", each)) for each in jobs[:MOST_HIT]],
        "more_jobs": max(0, len(jobs) - MOST_HIT),
        "leader": leader and look.url(incident_path(leader)),
        "why_not_told": _WHY_NOT_TOLD.get(row["history"] or ""),
        "asked": [(ASKED_WORDS[each.kind], each) for each in asked],
        "back": look.url(),
        "events": _Told(
            look,
            name="events",
            title="What happened",
            table="gold_alert_events",
            query=_EVENTS,
            params=(name,),
            columns=(
                Column("seq", "no."),
                Column("happened_at", "when"),
                Column("kind", "what"),
                Column("done_by", "by"),
                Column("note"),
                Column("silenced_until", "silent until"),
                Column("value", f"seen, {row['unit']}" if row["unit"] and len(row["unit"]) < 40 else "seen"),
                Column("told", "told as"),
            ),
            order="-seq",
            of=of,
        ),
        "notices": Listing(
            look,
            name="notices",
            title="Who was told",
            table="",
            query=_NOTICES,
            params=(row["group_id"],),
            columns=(
                Column("sent_at", "when"),
                Column("channel"),
                Column("told", "told as"),
                Column("state", "outcome"),
                Column("attempts", "tries"),
                Column("reply_code", "answer"),
                Column("reply", "in words"),
            ),
            order="-sent_at",
            empty="Nobody: it was recorded and no notice of it was sent.",
        ),
        "together": _Told(
            look,
            name="together",
            title="Told together with it",
            table="gold_incidents",
            query=_TOGETHER,
            params=(row["group_id"], name),
            columns=(
                Column("title", "what", link=_of),
                Column("severity", "urgency"),
                Column("is_open", "open"),
                Column("since"),
                Column("gpu_h", "it concerns"),
            ),
            order="since",
            of=of,
        ),
    }


_WHY_NOT_TOLD = {
    "first": "it was so when its cluster was first judged",
    "old": "it lay more than two days back when it was found",
}

PAGE = Page(
    path="/alerts/{incident_id:path}",
    title="Incident",
    answers="What is wrong, since when, who is hit, what is to be done, and who has it in hand?",
    template="incident.html",
    fill=_fill,
    has_range=False,
)
