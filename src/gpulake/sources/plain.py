"""Anybody's data: what is known of jobs, of machines and of GPUs, in plain files whose columns say what they hold.

A file may lack most columns, and a delivery most tables: each more makes more figures known. A column's name says its
unit. A time is ISO 8601 with an offset from UTC, ISO 8601 without one (local time of the cluster's zone), or seconds
since 1970. One delivery is of one cluster; its zone stands in gpulake.toml.

A file of any name is a table where its header holds the columns that the table cannot do without. One that is named
after a table (`plain_jobs.csv`) is held to that: if a column lacks there, it is refused, and not left alone.
"""

from __future__ import annotations

from gpulake.contract import Column, Delimited, Source, Span, Table
from gpulake.sources.checks.plain import doubts

_TIME = "iso8601_or_epoch"


def _text(name: str) -> Column:
    return Column(name, "text", may_lack=True)


def _number(name: str, unit: str) -> Column:
    return Column(name, "number", unit=unit, may_lack=True)


def _time(name: str, *, may_lack: bool = True, required: bool = False) -> Column:
    return Column(name, "time", form=_TIME, may_lack=may_lack, required=required)


def _key(name: str) -> Column:
    return Column(name, "text", required=True)


def _index() -> Column:
    return Column("gpu_index", "number", unit="GPUs of its machine, counted from 0; empty where only the uuid is known")


def _table(
    name: str,
    columns: tuple[Column, ...],
    key: tuple[str, ...],
    *,
    span: Span | None = None,
    shapes_history: bool = False,
) -> Table:
    return Table(
        name=f"plain_{name}",
        bronze=f"bronze_plain_{name}",
        stems=(f"plain_{name}",),
        format=Delimited(",", suffixes=(".csv",)),
        columns=columns,
        key=key,
        span=span,
        shapes_history=shapes_history,
    )


JOBS = _table(
    "jobs",
    (
        _key("job_id"),
        _time("submitted_at", may_lack=False),
        _time("started_at"),
        _time("ended_at"),
        _text("status"),
        _text("user_id"),
        _text("group_id"),
        _text("queue"),
        _number("gpu_request_count", "GPUs, of the whole job; 0 is CPU-only"),
        _number("cpu_request_cores", "cores, of the whole job"),
        _number("memory_request_bytes", "bytes, of the whole job"),
        _text("gpu_model_request"),
        _text("machine_id"),
        _text("recurrence_id"),
        _text("workload_tag"),
    ),
    ("job_id",),
    span=Span("submitted_at", "ended_at", between=("started_at",)),
)
"""One row per job. `machine_id` is for a job that ran on one machine and has no row in the allocations."""

ALLOCATIONS = _table(
    "allocations",
    (
        _key("job_id"),
        _key("machine_id"),
        _time("started_at", may_lack=False),
        _time("ended_at"),
        _text("attempt_id"),
        _text("status"),
        _number("gpu_count", "GPUs held on this machine; parts of one are parts"),
        _text("gpu_indices"),
        _text("gpu_uuids"),
        _text("mig_id"),
        _number("gpu_share_ratio", "share of each device named, 0 to 1; empty is the whole"),
    ),
    ("job_id", "machine_id", "started_at", "attempt_id", "gpu_indices", "gpu_uuids", "mig_id"),
    span=Span("started_at", "ended_at"),
)
"""One row per job and machine, and once more for each further attempt: what it held there, and from when to when.

A job that holds parts of GPUs (MIG) has a row per part.
"""

MACHINES = _table(
    "machines",
    (
        _key("machine_id"),
        Column("gpu_count", "number", unit="GPUs"),
        _text("gpu_model"),
        _number("cpu_cores", "cores"),
        _number("memory_bytes", "bytes"),
        _time("valid_from_at"),
        _time("valid_to_at"),
    ),
    ("machine_id",),
    shapes_history=True,
)
"""One row per machine: what it has. Without times it has always been so."""

GPUS = _table(
    "gpus",
    (
        _key("machine_id"),
        _index(),
        Column("gpu_uuid", "text"),
        _text("mig_id"),
        _text("mig_profile"),
        _text("gpu_model"),
        _number("memory_bytes", "bytes"),
        _text("pci_bus_id"),
        _text("driver_version"),
        _time("seen_at"),
    ),
    ("machine_id", "gpu_index", "gpu_uuid", "mig_id", "seen_at"),
)
"""One row per device and time at which it was seen: which GPU is where."""

GPU_SAMPLES = _table(
    "gpu_samples",
    (
        _key("machine_id"),
        _index(),
        _time("sampled_at", may_lack=False, required=True),
        _text("gpu_uuid"),
        _text("mig_id"),
        _number(
            "interval_s",
            "s that a sample speaks for: a mean of those up to its time, an instant one of those from it on",
        ),
        _text("sample_kind"),
        _number("gpu_util_pct", "percent of the time in which any kernel ran, 0 to 100"),
        _number("gr_engine_active_ratio", "share of the time, 0 to 1"),
        _number("sm_active_ratio", "share of the time and of the multiprocessors, 0 to 1"),
        _number("sm_occupancy_ratio", "share of the warps, 0 to 1"),
        _number("tensor_active_ratio", "share of the cycles, 0 to 1"),
        _number("dram_active_ratio", "share of the cycles, 0 to 1"),
        _number("mem_copy_util_pct", "percent of the time in which memory was read or written, 0 to 100"),
        _number("memory_used_bytes", "bytes"),
        _number("memory_total_bytes", "bytes"),
        _number("power_w", "W"),
        _number("power_limit_w", "W"),
        _number("energy_j", "J since the driver was loaded"),
        _number("temperature_c", "degrees Celsius"),
        _number("memory_temperature_c", "degrees Celsius"),
        _number("sm_clock_hz", "Hz"),
        _number("mem_clock_hz", "Hz"),
        _number("clocks_event_reasons", "NVIDIA's bit mask, as a decimal number"),
        _number("pcie_rx_bytes_per_s", "bytes per second"),
        _number("pcie_tx_bytes_per_s", "bytes per second"),
        _number("nvlink_rx_bytes_per_s", "bytes per second"),
        _number("nvlink_tx_bytes_per_s", "bytes per second"),
        _number("ecc_sbe_volatile", "errors since the driver was loaded"),
        _number("ecc_dbe_volatile", "errors since the driver was loaded"),
        _number("ecc_sbe_aggregate", "errors in the GPU's life"),
        _number("ecc_dbe_aggregate", "errors in the GPU's life"),
        _number("remapped_rows_correctable", "rows in the GPU's life"),
        _number("remapped_rows_uncorrectable", "rows in the GPU's life"),
        _number("row_remap_pending", "1 where a reset is due, else 0"),
        _number("row_remap_failed", "1 where a row could not be remapped, else 0"),
        _number("pcie_replays", "replays since the driver was loaded"),
        _number("nvlink_errors", "errors since the driver was loaded, of all links"),
        _number("xid", "the last Xid; 0 is none"),
        _text("job_id"),
    ),
    ("machine_id", "gpu_index", "gpu_uuid", "mig_id", "sampled_at"),
    span=Span("sampled_at", "sampled_at"),
)
"""One row per GPU (or MIG instance) and time: what was measured of it."""

MACHINE_SAMPLES = _table(
    "machine_samples",
    (
        _key("machine_id"),
        _time("sampled_at", may_lack=False, required=True),
        _number("interval_s", "s that a sample speaks for, up to its time"),
        _number("cpu_util_pct", "percent of all cores, 0 to 100"),
        _number("load_1", "processes, mean of a minute"),
        _number("memory_used_bytes", "bytes"),
        _number("memory_total_bytes", "bytes"),
        _number("net_rx_bytes_per_s", "bytes per second"),
        _number("net_tx_bytes_per_s", "bytes per second"),
        _number("power_w", "W"),
    ),
    ("machine_id", "sampled_at"),
    span=Span("sampled_at", "sampled_at"),
)
"""One row per machine and time: what was measured of it."""

EVENTS = _table(
    "events",
    (
        _key("machine_id"),
        _time("happened_at", may_lack=False, required=True),
        _key("kind"),
        _number("code", "the number that the driver gives, as an Xid's"),
        _number("gpu_index", "GPUs of its machine, counted from 0"),
        _text("gpu_uuid"),
        _text("pci_bus_id"),
        _time("last_at"),
        _number("event_count", "times that it happened, up to last_at; empty is once"),
        _text("message"),
        _number("process_id", "of the process"),
        _text("process_name"),
        _text("job_id"),
    ),
    ("machine_id", "happened_at", "kind", "code", "gpu_index", "gpu_uuid", "message"),
    span=Span("happened_at", "last_at"),
)
"""One row per thing that went wrong, or that was done: `kind` is one of the words that the reference lists."""

MACHINE_STATES = _table(
    "machine_states",
    (
        _key("machine_id"),
        _key("state"),
        _time("from_at", may_lack=False, required=True),
        _time("to_at"),
        _text("state_reason"),
    ),
    ("machine_id", "from_at"),
    span=Span("from_at", "to_at"),
)
"""One row per span in which a machine was up, down or drained."""

SOURCE = Source(
    name="plain",
    title="Your own data in plain files",
    licence="yours",
    doubts=doubts,
    tables=(JOBS, ALLOCATIONS, MACHINES, GPUS, GPU_SAMPLES, MACHINE_SAMPLES, EVENTS, MACHINE_STATES),
)
