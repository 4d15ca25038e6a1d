"""NVIDIA's own tool: `nvidia-smi -q -x` (XML), `-q` (text), `--query-gpu` (CSV), and captures of several of them.

A row is one GPU, or one MIG device of it, as one run saw it. Times are local time of the cluster's zone: the tool writes
none. The machine stands in the file's name only, `<machine>.<anything>`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING

from gpulake.contract import Column, Parsed, Source, Span, Table
from gpulake.sources.parsing import nvidia_csv, nvidia_text, nvidia_xml
from gpulake.sources.parsing.devices import Snapshot, rows_of
from gpulake.sources.parsing.lines import numbered
from gpulake.sources.parsing.naming import NO_MACHINE, machine_of

if TYPE_CHECKING:
    import polars as pl

_LOOKED_AT = 40
"""Lines at the start of a file in which a header, or the command, is looked for."""


def is_it(head: bytes) -> bool:
    """Whether a file begins as one that nvidia-smi wrote."""
    if b"<nvidia_smi_log" in head:
        return True
    text = head.decode("utf-8", "replace")
    return _is_text(text) or nvidia_csv.is_table(text.splitlines()[:_LOOKED_AT])


def rows(blocks: Iterable[bytes], file_name: str) -> Iterator[pl.DataFrame]:
    """The GPUs and MIG devices that each run saw; a run without a time, and what names no GPU, is refused."""
    machine = machine_of(file_name)
    blocks = iter(blocks)
    head = next(blocks, b"")
    all_blocks = chain([head], blocks)
    if b"<nvidia_smi_log" in head:
        for snapshot in nvidia_xml.snapshots(all_blocks):
            yield from _frame([snapshot], machine)
    elif _is_text(head[: 64 << 10].decode("utf-8", "replace")):
        parts = nvidia_text.sections(b"".join(all_blocks).decode("utf-8", "replace"))
        yield from _frame(parts.snapshots, machine)
        yield from nvidia_csv.frames([_lines(parts.tables)], machine=machine, no_machine=NO_MACHINE)
    else:
        yield from nvidia_csv.frames(numbered(all_blocks), machine=machine, no_machine=NO_MACHINE)


def _is_text(text: str) -> bool:
    return f"={nvidia_text.LOG}=" in text or ("\n# $ nvidia-smi" in text and text.startswith(nvidia_text.BANNER))


def _frame(snapshots: Iterable[Snapshot], machine: str) -> Iterator[pl.DataFrame]:
    import polars as pl

    found = [row for snapshot in snapshots for row in rows_of(snapshot, machine=machine, no_machine=NO_MACHINE)]
    if found:
        texts = {column.name: pl.String for column in SNAPSHOT.columns if column.kind != "number"}
        numbers = {column.name: pl.Float64 for column in SNAPSHOT.columns if column.kind == "number"}
        schema = {"source_row": pl.Int64, **texts, **numbers, "reason": pl.String, "raw_text": pl.String}
        yield pl.DataFrame(found, schema=schema)


def _lines(lines: Iterable[tuple[int, str]]) -> pl.DataFrame:
    import polars as pl

    return pl.DataFrame(list(lines), schema={"source_row": pl.Int64, "text": pl.String}, orient="row")


def _text(name: str, *, required: bool = False) -> Column:
    return Column(name, "text", required=required, may_lack=not required)


def _number(name: str, unit: str) -> Column:
    return Column(name, "number", unit=unit, may_lack=True)


SNAPSHOT = Table(
    name="nvidia_smi",
    bronze="bronze_nvidia_smi_gpu",
    stems=("nvidia_smi",),
    format=Parsed(is_it=is_it, rows=rows, suffixes=(".xml", ".csv", ".txt", ".log", ".out")),
    key=("machine", "gpu_uuid", "pci_bus_id", "mig_gpu_instance", "mig_compute_instance", "sampled_at"),
    span=Span("sampled_at", "sampled_at"),
    columns=(
        _text("machine", required=True),
        Column("sampled_at", "time", required=True),
        _text("driver_version"),
        _number("attached_gpus", "GPUs of the machine"),
        _number("gpu_index", "GPUs of the machine, counted from 0"),
        _text("gpu_uuid"),
        _text("pci_bus_id"),
        _text("product_name"),
        _text("mig_gpu_instance"),
        _text("mig_compute_instance"),
        _text("mig_profile"),
        _number("memory_total_mib", "MiB"),
        _number("memory_used_mib", "MiB"),
        _number("gpu_util_pct", "percent of the last sampling period in which any kernel ran"),
        _number("memory_util_pct", "percent of the last sampling period in which memory was read or written"),
        _number("power_draw_w", "W, mean of up to a second"),
        _number("power_draw_instant_w", "W"),
        _number("power_limit_w", "W"),
        _number("temperature_c", "degrees Celsius"),
        _number("temperature_slowdown_c", "degrees Celsius at which the device slows down"),
        _number("temperature_margin_c", "degrees Celsius left to the device's limit"),
        _number("memory_temperature_c", "degrees Celsius"),
        _number("sm_clock_mhz", "MHz"),
        _number("mem_clock_mhz", "MHz"),
        _number("clocks_event_reasons", "NVML's bit mask"),
        _number("pcie_rx_kb_per_s", "kB/s over 20 ms"),
        _number("pcie_tx_kb_per_s", "kB/s over 20 ms"),
        _number("pcie_replays", "replays since the driver was loaded"),
        _number("ecc_sbe_volatile", "corrected errors since the driver was loaded"),
        _number("ecc_dbe_volatile", "uncorrected errors since the driver was loaded"),
        _number("ecc_sbe_aggregate", "corrected errors in the device's life"),
        _number("ecc_dbe_aggregate", "uncorrected errors in the device's life"),
        _number("remapped_rows_correctable", "rows in the device's life"),
        _number("remapped_rows_uncorrectable", "rows in the device's life"),
        _number("row_remap_pending", "1 where a reset is due, else 0"),
        _number("row_remap_failed", "1 where a row could not be remapped, else 0"),
    ),
)

SOURCE = Source(
    name="nvidia_smi",
    title="NVIDIA's nvidia-smi: snapshots as XML, CSV or text",
    licence="yours",
    tables=(SNAPSHOT,),
)
