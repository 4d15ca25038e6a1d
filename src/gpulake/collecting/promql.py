"""What a Prometheus server is asked for: GPUs, machines and pods, each as the last sample of a step and no older one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_NO_CARDS = "lo|bond.*|br-.*|cali.*|cilium.*|cni.*|docker.*|flannel.*|lxc.*|podman.*|tap.*|tun.*|veth.*|virbr.*|vxlan.*"
_GPU_RESOURCES = "nvidia_com_.+|amd_com_gpu"
_POD_STEP_S = 300.0
"""What is known of a pod changes seldom, and its times stand in values: only who is there, and on which node, is sampled."""

_XID = '{__name__=~"DCGM_FI_DEV_XID_ERRORS?"}'
_DEVICE = "instance, Hostname, UUID, gpu, GPU_I_ID"


@dataclass(frozen=True)
class Query:
    """One expression; `{step}` in it is the time since the step before, which is not of it. `metric` names what it computes.

    `step_s` None: that of the run. `is_before`: asked once, for the moment before a span begins.
    """

    expression: str
    metric: str = ""
    step_s: float | None = None
    is_before: bool = False
    instead: str = ""
    """What is asked where this is too much for the server."""

    def text(self, step_s: float, *, is_closed: bool) -> str:
        """The expression for a step. `is_closed`: a server whose spans of time hold both of their ends, as before version 3."""
        return self.expression.replace("{step}", length(step_s - 0.001 if is_closed else step_s))

    def steps(self, since_s: float, until_s: float, step_s: float) -> tuple[float, float] | None:
        """The first and the last time of a half-open span at which it is asked; None where a span holds none of its steps."""
        own_s = self.step_s or step_s
        first = math.ceil(since_s / own_s) * own_s
        last = math.ceil(until_s / own_s) * own_s - own_s
        return (first, last) if first <= last else None


def queries(more: Sequence[str] = ()) -> tuple[Query, ...]:
    """Every query of a run; `more` are selectors of further metrics, as `up{job="dcgm"}`."""
    asks_for_gpus = f'on (namespace, pod) last_over_time(kube_pod_container_resource_requests{{resource=~"{_GPU_RESOURCES}"}}[{{step}}])'
    return (
        _last('{__name__=~"DCGM_FI_.+"}'),
        _last(
            '{__name__=~"node_load1|node_memory_MemTotal_bytes|node_memory_MemAvailable_bytes|node_uname_info|'
            'ipmi_dcmi_power_consumption_watts"}'
        ),
        Query("sum without (cpu) (last_over_time(node_cpu_seconds_total[{step}]))", "node_cpu_seconds_total"),
        Query(
            'count without (cpu, mode) (last_over_time(node_cpu_seconds_total{mode="idle"}[{step}]))', "node_cpu_cores"
        ),
        _last(f'{{__name__=~"node_network_(receive|transmit)_bytes_total",device!~"{_NO_CARDS}"}}'),
        Query(
            f'last_over_time(kube_pod_container_resource_requests{{resource=~"{_GPU_RESOURCES}|cpu|memory"}}[{{step}}]) '
            f"and {asks_for_gpus}",
            step_s=_POD_STEP_S,
        ),
        Query(
            'last_over_time({__name__=~"kube_pod_(info|created|status_scheduled_time|completion_time)"}[{step}]) '
            f"and {asks_for_gpus}",
            step_s=_POD_STEP_S,
        ),
        Query(
            f'last_over_time({{__name__=~"kube_pod_status_(phase|reason)"}}[{{step}}]) == 1 and {asks_for_gpus}',
            step_s=_POD_STEP_S,
        ),
        *(_last(selector) for selector in more),
        # What a gauge of the last Xid showed before tells whether its first value is news: a moment ago, or where nobody
        # answered then, up to a day ago. Its labels may change with it, so that only the newest counts.
        Query(
            f"(last_over_time({_XID}[{{step}}]) or on ({_DEVICE}) last_over_time({_XID}[10m]) "
            f"or on ({_DEVICE}) last_over_time({_XID}[1d:5m])) + 0",
            "DCGM_FI_DEV_XID_ERRORS_BEFORE",
            is_before=True,
            instead=f"{_XID} + 0",
        ),
    )


def length(seconds: float) -> str:
    """A length of time as PromQL writes it."""
    return f"{seconds:.0f}s" if seconds == int(seconds) else f"{seconds * 1000:.0f}ms"


def _last(selector: str) -> Query:
    """The last sample of each step, and none that is older: a gap stays one, whatever the server looks back for."""
    return Query(f"last_over_time({selector}[{{step}}])")


CLOSED_OR_NOT = "count_over_time(vector(1)[10s:10s])"
"""Asked at a full ten seconds it is 2 on a server whose spans hold both of their ends, and 1 on one whose spans do not."""
