"""Of a machine: its memory, load and network, day by day, where anything is recorded of them."""

from __future__ import annotations

from gpulake.serve.listing import Column, Listing
from gpulake.serve.look import Look
from gpulake.serve.page import Filled, Part
from gpulake.serve.pages.anomalies import day_link


def _fill(look: Look) -> Filled | None:
    load = Listing(
        look,
        name="load",
        title="Its memory, load and network, day by day",
        table="gold_machine_util_daily",
        query="select * from gold_machine_util_daily where cluster_id = ? and dt between ? and ? and machine_id = ? "
        "and greatest(memory_covered_s, load_covered_s, net_covered_s, sent_covered_s) > 0",
        params=(look.cluster.cluster_id, look.since, look.until, look.named["machine_id"]),
        columns=(
            Column("dt", "day", link=day_link),
            Column("memory_used_bytes", "memory in use", bar="active"),
            Column("memory_total_bytes", "memory there"),
            Column("load_1m", "load"),
            Column("net_rx_bytes_per_s", "received"),
            Column("net_tx_bytes_per_s", "sent"),
        ),
        order="-dt",
        is_small=True,
    )
    return {"load": load} if load.count else None


PART = Part(of="/machines/{machine_id:path}", template="machine_load.html", fill=_fill)
