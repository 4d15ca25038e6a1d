"""Of a job: whether the GPUs that it held were well on its days, and which errors hit it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gpulake.reading import health
from gpulake.serve.listing import Column, Listing
from gpulake.serve.look import Look
from gpulake.serve.page import Filled, Part
from gpulake.serve.pages.anomalies import day_link, named_link
from gpulake.telling.health import job_health_sentence


def _fill(look: Look) -> Filled | None:
    found = health.read_job_health(look, look.named["job_id"])
    if not found.gpus and not found.incidents:
        return None
    key = (look.cluster.cluster_id, look.named["job_id"])
    gpus = Listing(
        look,
        name="gpus",
        title="Its GPUs that were not well on its days",
        table="gold_gpu_health_daily",
        query=f"select * from ({health.JOB_GPUS}) where gravest > 0",
        params=key,
        columns=(
            Column("machine_id", "machine", link=named_link("machines", "machine_id")),
            Column("gpu_device", "GPU"),
            Column("verdict", "at its worst"),
            Column("verdict_reason", "why"),
            Column("dt", "last so", link=day_link),
            Column("temperature_c_max", "hottest, °C"),
        ),
        order="machine_id",
        is_small=True,
        kind_of_row=_kind,
    )
    incidents = Listing(
        look,
        name="incidents",
        title="Errors that hit it",
        table="gold_gpu_incidents",
        query=health.JOB_INCIDENTS,
        params=key,
        columns=(
            Column("started_at", f"when, {look.cluster.time_zone}"),
            Column("machine_id", "machine", link=named_link("machines", "machine_id")),
            Column("gpu_devices", "GPUs"),
            Column("severity"),
            Column("event_names", "errors"),
            Column("to_do", "what to do"),
        ),
        order="started_at",
        is_small=True,
        kind_of_row=lambda row: "odd" if row["is_lost"] else "",
    )
    return {"health_sentence": job_health_sentence(found), "gpus": gpus, "incidents": incidents}


def _kind(row: Mapping[str, Any]) -> str:
    return {"sick": "odd", "unknown": "dim"}.get(row["verdict"], "")


PART = Part(of="/jobs/{job_id:path}", template="job_health.html", fill=_fill)
