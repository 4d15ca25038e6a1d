"""Slurm: jobs as its accounting tells them, nodes with their GPUs, spans in which they were down, devices that jobs hold.

Times are the site's local ones, without an offset; only the JSON says which instant it was. A job's number is used again
after some years, or after the controller lost its state, and a job that is requeued gets a new submission time: what tells
one job from another stands in the staging models.
"""

from __future__ import annotations

from gpulake.contract import Column, Parsed, Source, Span, Table
from gpulake.sources.parsing import slurm_jobs, slurm_nodes, slurm_placements

_TEXT = (".txt", ".psv", ".csv", ".log", ".out", ".sacct")


def _text(name: str, *, required: bool = False, may_lack: bool = True) -> Column:
    return Column(name, "text", required=required, may_lack=may_lack)


def _number(name: str, unit: str) -> Column:
    return Column(name, "number", unit=unit, may_lack=True)


def _time(name: str, *, required: bool = False, may_lack: bool = True) -> Column:
    return Column(name, "time", required=required, may_lack=may_lack, form="iso8601_or_epoch")


JOB = Table(
    name="slurm_job",
    bronze="bronze_slurm_job",
    stems=("sacct", "squeue"),
    format=Parsed(slurm_jobs.is_sacct, slurm_jobs.sacct_rows, suffixes=_TEXT),
    also=(Parsed(slurm_jobs.is_json, slurm_jobs.json_rows, suffixes=(".json",)),),
    key=("jobid", "submit", "start"),
    span=Span("start", "end", between=("submit", "eligible")),
    columns=(
        _text("jobid", required=True, may_lack=False),
        _text("jobidraw"),
        _text("user", may_lack=False),
        _text("uid"),
        _text("account"),
        _text("partition"),
        _text("qos"),
        _text("jobname"),
        _text("state", required=True, may_lack=False),
        _text("state_reason"),
        _text("exitcode"),
        _time("submit", may_lack=False),
        _time("eligible"),
        _time("start", may_lack=False),
        _time("end", may_lack=False),
        _number("elapsedraw", "s, without what it was suspended"),
        _number("suspended_s", "s"),
        _number("timelimitraw", "min"),
        _number("nnodes", "nodes"),
        _text("nodelist"),
        _text("nodes"),
        _number("nodes_named", "nodes"),
        _text("reqtres"),
        _text("alloctres"),
        _number("req_cpus", "logical cores, over all nodes"),
        _number("req_memory_bytes", "bytes, over all nodes"),
        _number("req_gpus", "GPUs, over all nodes; a MIG device is its share of one"),
        _text("req_gpu_model"),
        _number("alloc_cpus", "logical cores, over all nodes"),
        _number("alloc_memory_bytes", "bytes, over all nodes"),
        _number("alloc_gpus", "GPUs, over all nodes; a MIG device is its share of one"),
        _text("alloc_gpu_model"),
        _text("cluster"),
        _text("dbindex"),
    ),
)
"""One row per record of the accounting: each attempt of a job, and each of its steps."""

NODE = Table(
    name="slurm_node",
    bronze="bronze_slurm_node",
    stems=("scontrol_show_node", "sinfo", "nodes"),
    format=Parsed(slurm_nodes.is_scontrol, slurm_nodes.scontrol_rows, suffixes=_TEXT),
    also=(
        Parsed(slurm_nodes.is_sinfo, slurm_nodes.sinfo_rows, suffixes=_TEXT),
        Parsed(slurm_nodes.is_json, slurm_nodes.json_rows, suffixes=(".json",)),
    ),
    key=("node",),
    shapes_history=True,
    columns=(
        _text("node", required=True, may_lack=False),
        _number("cpus", "logical cores"),
        _number("memory_mib", "MiB"),
        _text("gres"),
        _number("gpus", "GPUs; a MIG device is its share of one"),
        _text("gpu_model"),
        _text("state", may_lack=False),
        _text("state_reason"),
        _time("reason_at"),
        _text("partitions"),
    ),
)
"""One row per node, and partition where it is told by partition."""

EVENT = Table(
    name="slurm_event",
    bronze="bronze_slurm_event",
    stems=("sacctmgr_show_event", "sacctmgr"),
    format=Parsed(slurm_nodes.is_event, slurm_nodes.event_rows, suffixes=_TEXT),
    key=("node", "from_at"),
    span=Span("from_at", "to_at"),
    columns=(
        _text("cluster"),
        _text("node"),
        _text("state"),
        _text("state_reason"),
        _text("by_user"),
        _time("from_at", may_lack=False),
        _time("to_at", may_lack=False),
    ),
)
"""One row per span in which a node was down or drained, and per event of the cluster."""

PLACEMENT = Table(
    name="slurm_placement",
    bronze="bronze_slurm_placement",
    stems=("scontrol_show_job",),
    format=Parsed(slurm_placements.is_jobs, slurm_placements.job_rows, suffixes=_TEXT),
    key=("jobid", "submit", "node", "gpu_index"),
    span=Span("start", "end", between=("submit",)),
    columns=(
        _text("jobid", required=True, may_lack=False),
        _text("user", may_lack=False),
        _text("state"),
        _time("submit", may_lack=False),
        _time("start", may_lack=False),
        _time("end"),
        _text("nodelist"),
        _text("node"),
        _number("node_place", "place of the node in nodelist, counted from 1"),
        _text("gres"),
        _number("gpu_index", "GPUs of its node as Slurm numbers them, counted from 0"),
        _text("gpu_model"),
    ),
)
"""One row per device that a job holds, and per node of a job that holds none."""

SOURCE = Source(
    name="slurm",
    title="Slurm: sacct, sinfo, scontrol, sacctmgr",
    licence="yours",
    tables=(JOB, NODE, EVENT, PLACEMENT),
)
