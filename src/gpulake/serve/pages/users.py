"""Users, and where a source records them groups: who held what, used it, lost it, waited and paid; and one user's days."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gpulake.reading import people, ranges
from gpulake.serve.drawn import held_by_day
from gpulake.serve.listing import Column, Listing
from gpulake.serve.look import Look
from gpulake.serve.page import Filled, Page
from gpulake.serve.pages.jobs import jobs_of, of_day, of_user
from gpulake.serve.things import nothing_called
from gpulake.telling.sentences import user_sentence, users_sentence

_USE = (
    Column("allocated_gpu_h", "held"),
    Column("idle_held_gpu_h", "idle", bar="idle"),
    Column("unknown_gpu_h", "not measured"),
    Column("efficiency_ratio", "in use, of measured"),
    Column("efficiency_low", "at least"),
    Column("efficiency_high", "at most"),
)
_JOBS = (
    Column("failed_gpu_h", "held by failed jobs"),
    Column("jobs_submitted", "jobs"),
    Column("failed_ratio_of_submitted", "of them failed"),
)


def _fill_users(look: Look) -> Filled:
    cluster = look.cluster.cluster_id
    days = (cluster, look.since, look.until)
    users = Listing(
        look,
        name="users",
        title="Users",
        table="gold_user_gpu_usage_daily",
        query=people.USERS,
        params=(*days, *days, cluster),
        columns=(
            Column("user_id", "user", link=of_user),
            Column("rank", "place"),
            *_USE,
            *_JOBS,
            Column("cost_usd", "cost"),
            Column("km_p50_s", "half start within"),
        ),
        order="-idle_held_gpu_h",
        empty="Nobody held a GPU or submitted a job in this range.",
        is_small=True,
    )
    named = [row for row in users.all_rows if row["user_id"] is not None]
    most, idlest = (_largest(named, column) for column in ("allocated_gpu_h", "idle_held_gpu_h"))
    return {
        "sentence": users_sentence(len(named), most, idlest),
        "first": [
            (words, row["user_id"], of_user(look, row))
            for words, row in (("held most", most), ("most idle", idlest))
            if row
        ],
        "users": users,
        "lacks": look.not_recorded("gold_user_gpu_usage_daily"),
    }


def _largest(rows: Sequence[Mapping[str, Any]], column: str) -> Mapping[str, Any] | None:
    return max((row for row in rows if row[column]), key=lambda row: float(row[column]), default=None)


def _fill_user(look: Look) -> Filled:
    cluster, name = look.cluster.cluster_id, look.named["user_id"]
    wait = look.row(people.WAIT, cluster, name)
    user = people.user_row(look, name)
    if not name or not (user or wait or look.row(people.HAS_DAYS, cluster, name)):
        near = look.row(people.NEAR, name, name, cluster) if name else None
        raise nothing_called(name, kind="user", look=look, near=near["name"] if near else None)
    listing = Listing(
        look,
        name="days",
        title="Day by day",
        table="gold_user_gpu_usage_daily",
        query=people.DAYS,
        params=(cluster, name, look.since, look.until, cluster, name),
        columns=(
            Column("dt", "day", link=of_day),
            Column("rank", "place"),
            *_USE,
            *_JOBS,
            Column("cost_usd", "cost"),
        ),
        order="-dt",
        rows_a_page=31,
        empty="This user held no GPU and submitted no job in these days.",
        is_small=True,
    )
    lacks = look.not_recorded("gold_jobs")
    jobs = jobs_of(
        look,
        title="Jobs, those with the most idle first" if "idle_held_gpu_h" not in lacks else "Jobs, the largest first",
        where="user_id = ?",
        params=(name,),
        rows=10,
        lacks={**lacks, "user_id": "it is this user's page"},
    )
    return {
        "sentence": user_sentence(user, wait),
        "name": name,
        "user": user,
        "wait": wait,
        "days": listing,
        "days_chart": held_by_day(listing, title="What became of the GPU-hours that this user held?"),
        "jobs": jobs,
        "jobs_url": look.url("/jobs", user=name),
        "failed_url": look.url("/jobs", user=name, status="failed"),
    }


def _fill_groups(look: Look) -> Filled:
    lacks = look.not_recorded("gold_group_gpu_usage_daily")
    names = tuple(
        Column(name, words) for name, words in (("group_id", "group"), ("queue", "queue")) if name not in lacks
    )
    groups = Listing(
        look,
        name="groups",
        title="Groups and queues",
        table="gold_group_gpu_usage_daily",
        query=ranges.GROUPS.query(by=("group_id", "queue")),
        params=(look.cluster.cluster_id, look.since, look.until),
        columns=(*names, *_USE, *_JOBS),
        order="-allocated_gpu_h",
        empty="No group or queue held a GPU or submitted a job in this range.",
        is_small=True,
    )
    return {"groups": groups, "lacks": lacks, "is_recorded": bool(names)}


PAGE = Page(
    path="/users",
    title="Users",
    answers="Who holds GPUs, who uses them, whose jobs fail or wait, and what does it cost?",
    template="users.html",
    fill=_fill_users,
    place=40,
)
USER = Page(
    path="/users/{user_id:path}",
    title="User",
    answers="What did this user hold, use and lose, and how long did the jobs wait?",
    template="user.html",
    fill=_fill_user,
)
GROUPS = Page(
    path="/groups",
    title="Groups",
    answers="Which teams and queues hold GPUs, and which of them use what they hold?",
    template="groups.html",
    fill=_fill_groups,
)
