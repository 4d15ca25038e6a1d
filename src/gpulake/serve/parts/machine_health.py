"""Of a machine: its GPUs by their gravest day of the range, and its errors with the jobs that they hit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gpulake.reading import health
from gpulake.serve.listing import Column, Listing
from gpulake.serve.look import Look
from gpulake.serve.page import Filled, Part
from gpulake.serve.pages.anomalies import day_link
from gpulake.telling.health import machine_health_sentence


def _fill(look: Look) -> Filled | None:
    days = (look.cluster.cluster_id, look.since, look.until, look.named["machine_id"])
    gpus = Listing(
        look,
        name="gpus",
        title="Its GPUs, by their gravest day",
        table="gold_gpu_health_daily",
        query=health.gpus_query(health.OF_MACHINE),
        params=days,
        columns=(
            Column("gpu_device", "GPU"),
            Column("verdict", "at its worst"),
            Column("verdict_reason", "why"),
            Column("to_do", "what to do"),
            Column("first_dt", "first so", of="dt"),
            Column("dt", "last so", link=day_link),
            Column("last_verdict", "on the last day", of="verdict"),
            Column("temperature_c_max", "hottest, °C"),
            Column("gpu_model", "model"),
        ),
        order="gpu_device",
        is_small=True,
        kind_of_row=_kind,
    )
    incidents = Listing(
        look,
        name="incidents",
        title="Its errors",
        table="gold_gpu_incidents",
        query=health.MACHINE_INCIDENTS,
        params=days,
        columns=(
            Column("started_at", f"when, {look.cluster.time_zone}"),
            Column("gpu_devices", "GPUs"),
            Column("severity"),
            Column("event_names", "errors"),
            Column("job_ids", "jobs hit"),
            Column("failed_job_ids", "jobs lost"),
            Column("lost_gpu_h", "lost"),
            Column("to_do", "what to do"),
        ),
        order="-started_at",
        empty="No error of it or its GPUs is known in this range.",
        is_small=True,
        kind_of_row=lambda row: "odd" if row["severity"] == "critical" else "",
    )
    if not gpus.count and not incidents.count:
        return None
    return {
        "health_sentence": machine_health_sentence(gpus.all_rows, incidents.all_rows),
        "gpus": gpus,
        "incidents": incidents,
    }


def _kind(row: Mapping[str, Any]) -> str:
    return {"sick": "odd", "unknown": "dim"}.get(row["verdict"], "")


PART = Part(of="/machines/{machine_id:path}", template="machine_health.html", fill=_fill)
