"""GPU health: which GPUs are sick, since when, whose jobs their failures hit, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gpulake.reading import health
from gpulake.serve.listing import Column, Listing
from gpulake.serve.look import Look
from gpulake.serve.page import Filled, Page
from gpulake.serve.pages.anomalies import day_link, named_link
from gpulake.telling.health import health_sentence


def _kind(row: Mapping[str, Any]) -> str:
    return {"sick": "odd", "unknown": "dim"}.get(row["verdict"], "")


def _fill(look: Look) -> Filled:
    days = (look.cluster.cluster_id, look.since, look.until)
    found = health.read_health(look)
    gpus = Listing(
        look,
        name="gpus",
        title="GPUs that were not well",
        table="gold_gpu_health_daily",
        query=f"select * from ({health.gpus_query()}) where gravest > 0",
        params=days,
        columns=(
            Column("machine_id", "machine", link=named_link("machines", "machine_id")),
            Column("gpu_device", "GPU"),
            Column("verdict", "at its worst"),
            Column("verdict_reason", "why"),
            Column("to_do", "what to do"),
            Column("first_dt", "first so", of="dt"),
            Column("dt", "last so", link=day_link),
            Column("days", "days so", of="dt"),
            Column("last_verdict", "on the last day", of="verdict"),
            Column("gpu_model", "model"),
            Column("gravest", "how grave", of="verdict"),
        ),
        order="-gravest",
        is_small=True,
        empty="No GPU was found to be other than well in this range.",
        kind_of_row=_kind,
    )
    incidents = Listing(
        look,
        name="incidents",
        title="Incidents",
        table="gold_gpu_incidents",
        query=health.INCIDENTS,
        params=days,
        columns=(
            Column("started_at", "when"),
            Column("machine_id", "machine", link=named_link("machines", "machine_id")),
            Column("gpu_devices", "GPUs"),
            Column("severity"),
            Column("event_names", "errors"),
            Column("jobs_hit", "jobs hit"),
            Column("failed_job_ids", "jobs lost"),
            Column("lost_gpu_h", "lost"),
            Column("to_do", "what to do"),
        ),
        order="-started_at",
        empty="No error of a GPU or machine is known in this range.",
        kind_of_row=lambda row: "odd" if row["severity"] == "critical" else "",
    )
    spikes = Listing(
        look,
        name="spikes",
        title="Days with more errors than their past lets expect",
        table="gold_error_spikes_daily",
        query=health.SPIKES,
        params=days,
        columns=(
            Column("dt", "day", link=day_link),
            Column("event_class", "errors of"),
            Column("errors", "seen"),
            Column("expected_high", "expected at most"),
            Column("main_machine_id", "most on", link=named_link("machines", "main_machine_id")),
            Column("main_machine_ratio", "its part"),
        ),
        order="-dt",
        is_small=True,
        empty="No day of this range had more errors than its past lets expect, as far as there is one.",
    )
    reliability = Listing(
        look,
        name="reliability",
        title="How often machines fail, in the whole window",
        table="gold_reliability",
        query=health.RELIABILITY,
        params=days[:1],
        columns=(
            Column("grouped_by", "by"),
            Column("value", "which"),
            Column("machines", "machines"),
            Column("node_days", "node-days"),
            Column("failures", "failures"),
            Column("mtbf_h", "between failures"),
            Column("mtbf_low_h", "at least, 95 %"),
            Column("mtbf_high_h", "at most, 95 %"),
        ),
        order="-failures",
        rows_a_page=12,
        is_small=True,
        empty="Nobody tells errors or states of this cluster's machines: how often they fail is not known.",
    )
    return {
        "sentence": health_sentence(found),
        "counts": found.counts,
        "has_gpus": bool(found.counts),
        "gpus": gpus,
        "incidents": incidents,
        "spikes": spikes,
        "reliability": reliability,
    }


PAGE = Page(
    path="/health",
    title="GPU health",
    answers="Which GPUs are sick, since when, whose jobs did they hit, and what is to be done?",
    template="health.html",
    fill=_fill,
    place=55,
)
