"""What a Prometheus server has kept of a cluster, or an exporter shows: DCGM, node_exporter, kube-state-metrics, any other.

One row per sample as delivered: metric, labels, time, value. A server's replies to range and instant queries are read, and
an exporter's page; which metrics mean what is the staging models' matter. Numbers by which DCGM says that it has none are
null, and `blank` says why. A page does not name its machine: the name of its file does, up to the first dot.
"""

from __future__ import annotations

from gpulake.contract import Column, Parsed, Source, Span, Table
from gpulake.sources.parsing import prometheus_pages, prometheus_replies

SAMPLE = Table(
    name="prometheus_sample",
    bronze="bronze_prometheus_sample",
    stems=("prometheus_samples",),
    format=Parsed(
        is_it=prometheus_replies.is_reply,
        rows=prometheus_replies.rows,
        suffixes=(".json", ".txt"),
        begins_s=prometheus_replies.begins_s,
    ),
    also=(
        Parsed(
            is_it=prometheus_pages.is_page,
            rows=prometheus_pages.rows,
            suffixes=(".prom", ".txt", ".metrics"),
            begins_s=prometheus_pages.begins_s,
        ),
    ),
    key=("metric", "labels", "sampled_at"),
    span=Span("sampled_at", "sampled_at"),
    in_pieces=True,
    columns=(
        Column("metric", "text", required=True),
        Column("labels", "text", unit="JSON, keys sorted"),
        Column("sampled_at", "time", form="epoch_s", required=True),
        Column("value", "number", unit="the metric's own"),
        Column("interval_s", "number", unit="s to the next sample: the query's step", may_lack=True),
        Column("blank", "text", unit="why there is no value, in DCGM's words", may_lack=True),
        Column("machine", "text", unit="as the name of a page's file has it", may_lack=True),
    ),
)

SOURCE = Source(
    name="prometheus",
    title="Prometheus: DCGM, node_exporter and kube-state-metrics",
    licence="the cluster's own",
    tables=(SAMPLE,),
)
