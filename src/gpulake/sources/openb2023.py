"""Alibaba openb 2023 (cluster-trace-gpu-v2023): the nodes and pods of a Kubernetes cluster that shares its GPUs.

Times are seconds since the trace began, so 0 is a time. A pod that was never scheduled has no `scheduled_time`; one
that was still there when the trace ended is deleted at 12,902,960, its last second. No pod names its node.
"""

from __future__ import annotations

from gpulake.contract import Column, Source, Span, Table


def _text(name: str, *, required: bool = False) -> Column:
    return Column(name, "text", required=required)


def _number(name: str, unit: str) -> Column:
    return Column(name, "number", unit=unit)


NODE = Table(
    name="openb_node_list",
    bronze="bronze_openb2023_node",
    stems=("openb_node_list_all_node", "openb_node_list"),
    look_alikes=(
        (
            "openb_node_list_",
            "its nodes are numbered anew: an sn of it is another node of openb_node_list_all_node, which has them all",
        ),
    ),
    key=("sn",),
    shapes_history=True,
    published_sha256="5a85c2af79c66a1efff8bbcbda430400aae56d8431370d738480967e1a9c6b15",
    columns=(
        _text("sn", required=True),
        _number("cpu_milli", "thousandths of a core"),
        _number("memory_mib", "MiB"),
        _number("gpu", "GPUs"),
        _text("model"),
    ),
)

POD = Table(
    name="openb_pod_list",
    bronze="bronze_openb2023_pod",
    stems=("openb_pod_list_default", "openb_pod_list"),
    look_alikes=(
        (
            "openb_pod_list_",
            "a variant that the publisher drew from openb_pod_list_default: the same pod names, other pods behind them",
        ),
    ),
    key=("name",),
    span=Span("creation_time", "deletion_time", between=("scheduled_time",)),
    published_sha256="1ee7ed79c27a3b0861cda8ddba86a004c6aba904caafa329a76ae93ca63834a8",
    columns=(
        _text("name", required=True),
        _number("cpu_milli", "thousandths of a core"),
        _number("memory_mib", "MiB"),
        _number("num_gpu", "GPUs; 0 is CPU-only"),
        _number("gpu_milli", "thousandths of a GPU, of each of num_gpu"),
        _text("gpu_spec"),
        _text("qos"),
        _text("pod_phase"),
        _number("creation_time", "s since the trace began"),
        _number("deletion_time", "s since the trace began"),
        _number("scheduled_time", "s since the trace began; null is never scheduled"),
    ),
)

SOURCE = Source(
    name="openb2023",
    title="Alibaba openb 2023 (cluster-trace-gpu-v2023)",
    licence="Apache-2.0",
    time_zone="UTC",
    time_basis="offset",
    has_weekdays=False,
    pools="all",
    tables=(NODE, POD),
)
