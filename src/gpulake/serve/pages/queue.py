"""Queue: how long jobs wait, by what they ask for and by whom; those that never started count for as long as they waited."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gpulake.reading.waits import DAYS, waits_of
from gpulake.serve.drawn import spread_of
from gpulake.serve.listing import Column, Listing
from gpulake.serve.look import Look
from gpulake.serve.page import Filled, Page
from gpulake.serve.pages.jobs import of_day
from gpulake.serve.things import LONGEST_ADDRESS, url_of
from gpulake.telling.sentences import queue_sentence

_FIGURES = (
    Column("jobs_submitted", "jobs"),
    Column("jobs_never_started", "never started"),
    Column("wait_p50_s", "half of started"),
    Column("km_p50_s", "half of all"),
    Column("wait_p90_s", "90 % of started"),
    Column("km_p90_s", "90 % of all"),
    Column("wait_p99_s", "99 % of started"),
    Column("km_p99_s", "99 % of all"),
)


def _of_user(look: Look, row: Mapping[str, Any]) -> str | None:
    return url_of(look, "users", row["value"])


def _of_model(look: Look, row: Mapping[str, Any]) -> str | None:
    if row["value"] == "cpu":
        return look.url("/jobs", size="cpu")
    return look.url("/jobs", model=row["value"]) if len(row["value"] or "") <= LONGEST_ADDRESS else None


def _of_size(look: Look, row: Mapping[str, Any]) -> str | None:
    return look.url("/jobs", size=row["value"])


def _fill(look: Look) -> Filled:
    waits = waits_of(look)
    lacks = look.not_recorded("gold_jobs")

    def by(
        grouped_by: str, title: str, words: str, link: Callable[[Look, Mapping[str, Any]], str | None], order: str
    ) -> Listing:
        return Listing(
            look,
            name=grouped_by,
            title=title,
            table=waits.table,
            query=waits.by,
            params=(*waits.params, grouped_by),
            columns=(Column("value", words, link=link), *_FIGURES),
            order=order,
            rows_a_page=10,
            empty="No job was submitted on this day." if waits.is_day else "No job has landed.",
            is_small=True,
        )

    days = Listing(
        look,
        name="days",
        title="By day of submission",
        table="gold_queue_wait_daily",
        query=DAYS,
        params=(look.cluster.cluster_id, look.since, look.until),
        columns=(Column("dt", "day", link=of_day), *_FIGURES, Column("jobs_waiting_at_window_end", "still waiting")),
        order="-dt",
        rows_a_page=31,
        empty="No job was submitted in this range.",
        is_small=True,
    )
    wait = look.row(waits.all, *waits.params)
    sizes = by("size_class", "By GPUs asked for", "GPUs", _of_size, "-km_p90_s")
    return {
        "sentence": queue_sentence(wait),
        "wait": wait,
        "table": waits.table,
        "is_day": waits.is_day,
        "sizes": sizes,
        "sizes_chart": spread_of(
            sizes,
            title="How long do jobs wait, by the GPUs that they ask for?",
            quantiles=("wait_p50_s", "wait_p90_s", "wait_p99_s"),
            noun="wait",
            subtitle="of those that started: a bar from the median to the 99th percentile, a dot at the 90th",
        ),
        "models": None
        if "gpu_model" in lacks
        else by("gpu_model", "By GPU model", "GPU model", _of_model, "-km_p90_s"),
        "users": None if "user_id" in lacks else by("user", "By user", "user", _of_user, "-jobs_submitted"),
        "days": days,
        "lacks": {name: why for name, why in lacks.items() if name in {"gpu_model", "user_id"}},
    }


PAGE = Page(
    path="/queue",
    title="Queue",
    answers="How long do jobs wait, and for what?",
    template="queue.html",
    fill=_fill,
    place=60,
)
