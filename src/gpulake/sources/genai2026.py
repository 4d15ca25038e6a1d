"""Alibaba GenAI serving 2026 (cluster-trace-v2026-GenAI): what each container's GPU was doing, sampled every 57 s.

Two tables of one shape: container, time, value. Their columns stand in another order in each, and further files of the
trace have the same header, so a file is told by its name and read by its header. Times are epoch seconds shifted by
the publisher, who states no zone. The trace names no machine, no GPU model, no user and no submission.
"""

from __future__ import annotations

from gpulake.contract import Column, Source, Span, Table

SAMPLE_S = 57.0
"""The publisher's step: no sample says anything of a later second."""


def _samples(name: str, file_stem: str, bronze: str, unit: str, sha256: str) -> Table:
    return Table(
        name=name,
        bronze=bronze,
        stems=(file_stem,),
        only_by_name=True,
        key=("container_ip", "timestamp_anon"),
        span=Span("timestamp_anon", "timestamp_anon", lasts_s=SAMPLE_S),
        published_sha256=sha256,
        columns=(
            Column("container_ip", "text", required=True),
            Column("timestamp_anon", "number", unit="s since 1970, shifted", required=True),
            Column("value", "number", unit=unit),
        ),
    )


DUTY_CYCLE = _samples(
    "genai_pod_gpu_duty_cycle",
    "pod_gpu_duty_cycle_anon",
    "bronze_genai2026_duty_cycle",
    "percent of the container's GPU",
    "b3a91d9bd9141156e66da6b8d34520602246ee043ac60b0d2172e689a3919f99",
)

MEMORY = _samples(
    "genai_pod_gpu_memory_used_bytes",
    "pod_gpu_memory_used_bytes_anon",
    "bronze_genai2026_memory",
    "bytes of GPU memory, scaled by the publisher",
    "0edc1ad35284b6b7236bdd2e69795052bedc302d7b295a1a32c5bb9ff4579596",
)

SOURCE = Source(
    name="genai2026",
    title="Alibaba GenAI serving trace (cluster-trace-v2026-GenAI)",
    licence="none stated: study use only, nothing of it may be passed on",
    time_zone="UTC",
    time_basis="shifted",
    pools="all",
    tables=(DUTY_CYCLE, MEMORY),
)
