"""Alerts: what is open and how urgent it is, and what is over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gpulake.serve.incidents import INCIDENTS, counts, incident_path, needs
from gpulake.serve.listing import Column, Listing
from gpulake.serve.look import Look
from gpulake.serve.page import Filled, Page
from gpulake.telling.sentences import alerts_sentence

MOST_NEEDS, MOST_URGENT, MOST_OTHERS = 100, 30, 5
"""Open groups told one by one, and how many of them, urgent and not, before the rest is folded; the table has them all."""

_OPEN = f"select * from ({INCIDENTS}) where is_open and (cluster_id = ? or cluster_id is null)"
_RESOLVED = f"""
    select * from ({INCIDENTS})
    where not is_open and (cluster_id = ? and opened_at < ?::date + interval 2 day and resolved_at >= ?::date - interval 1 day
        or cluster_id is null)
"""


def _incident(look: Look, row: Mapping[str, Any]) -> str:
    return look.url(incident_path(str(row["incident_id"])))


def _fill(look: Look) -> Filled:
    cluster = look.cluster.cluster_id
    found = needs(look, most=MOST_NEEDS)
    counted = counts(look)
    shared = (
        Column("title", "what", link=_incident),
        Column("severity", "urgency"),
        Column("since", "since"),
    )
    opened = Listing(
        look,
        name="open",
        title="All that is open",
        table="gold_incidents",
        query=_OPEN,
        params=(cluster,),
        columns=(
            *shared,
            Column("opened_at", "opened"),
            Column("audience", "told to"),
            Column("acknowledged_by", "taken by"),
            Column("gpu_h", "it concerns"),
            Column("times_opened", "opened, times"),
            Column("times_told", "told, times"),
        ),
        order="-opened_at",
    )
    resolved = Listing(
        look,
        name="resolved",
        title="Over",
        table="gold_incidents",
        query=_RESOLVED,
        params=(cluster, look.until, look.since),
        columns=(
            *shared,
            Column("resolved_at", "over at"),
            Column("audience", "told to"),
            Column("times_opened", "opened, times"),
            Column("times_told", "told, times"),
        ),
        order="-resolved_at",
        empty="Nothing that was open in these days is over.",
    )
    return {
        "sentence": alerts_sentence(counted, oldest=found[0].since if found else ""),
        "needs": found,
        "shown": max(MOST_OTHERS, min(MOST_URGENT, int(counted["pages"]) + int(counted["tickets"]))),
        "counted": counted,
        "others": [each for each in look.clusters if each != look.cluster] if counted["elsewhere"] else [],
        "path_of": incident_path,
        "open": opened,
        "resolved": resolved,
    }


PAGE = Page(
    path="/alerts",
    title="Alerts",
    answers="What needs someone, how soon, and who has it in hand?",
    template="alerts.html",
    fill=_fill,
    place=80,
)
