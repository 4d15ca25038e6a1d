"""Kernel logs of GPU machines: Xid, SXid, NVLink, PCIe, thermal and memory faults, from dmesg, /dev/kmsg and the journal.

A row is a burst of lines that say the same of the same device, with their count, so that a storm of hundreds of
thousands of lines is the few events that it is. Lines that say nothing of a GPU are no rows. A time since boot needs the
collector's header line; a time without an offset is local time of the cluster's zone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from gpulake.contract import Column, Parsed, Source, Span, Table
from gpulake.sources.parsing import kernel_bursts, kernel_events, kernel_lines
from gpulake.sources.parsing.lines import numbered
from gpulake.sources.parsing.naming import machine_of

if TYPE_CHECKING:
    import polars as pl

_XID = re.compile(r"NVRM: Xid \((?:PCI:)?[0-9A-Fa-f]{4,8}:[0-9A-Fa-f:.]+[^)]*\): \d")
_FABRIC_MANAGER = re.compile(r"\[[A-Z][a-z]{2} [ \d]\d \d{4} \d{2}:\d{2}:\d{2}\] \[\w+\] \[tid \d+\]")
_LOOKED_AT = 50
_FITTING_SHARE = 0.8
"""A file is a kernel log when this share of its first lines has one of the forms of one."""


def is_it(head: bytes) -> bool:
    """Whether a file begins as a kernel log does, or holds an Xid in its first lines."""
    lines = [line.strip() for line in head.decode("utf-8", "replace").splitlines()[: 4 * _LOOKED_AT]]
    lines = [line for line in lines if line][:_LOOKED_AT]
    if not lines:
        return False
    if kernel_lines.HEADER.match(lines[0]) or _FABRIC_MANAGER.match(lines[0]) or any(map(_XID.search, lines)):
        return True
    forms = sum(bool(kernel_lines.ANY_FORM.match(line) or kernel_lines.JOURNAL.match(line)) for line in lines)
    return forms >= _FITTING_SHARE * len(lines)


def rows(blocks: Iterable[bytes], file_name: str) -> Iterator[pl.DataFrame]:
    """The bursts of a log, in the order in which they began; one without a time or a machine is refused."""
    import polars as pl

    machine, bursts = machine_of(file_name), None
    for lines in kernel_lines.written(numbered(blocks), machine=machine, words=kernel_events.WORDS):
        of_block = kernel_bursts.of_lines(lines)
        bursts = of_block if bursts is None else kernel_bursts.folded(pl.concat([bursts, of_block]))
    if bursts is not None:
        yield kernel_events.events(bursts)


def _text(name: str, *, required: bool = False) -> Column:
    return Column(name, "text", required=required, may_lack=not required)


def _number(name: str, unit: str) -> Column:
    return Column(name, "number", unit=unit, may_lack=True)


EVENT = Table(
    name="kernel_log",
    bronze="bronze_kernel_log_event",
    stems=("kernel_log",),
    format=Parsed(is_it=is_it, rows=rows, suffixes=(".log", ".txt", ".json", ".jsonl", ".dmesg", ".kmsg", ".out")),
    key=("machine", "happened_at", "kind", "code", "pci_bus_id", "message", "process_id"),
    span=Span("happened_at", "last_at"),
    columns=(
        _text("machine", required=True),
        Column("happened_at", "time", required=True),
        Column("last_at", "time", may_lack=True),
        _text("kind", required=True),
        _number("code", "the driver's number: Xid or SXid"),
        _text("pci_bus_id"),
        _text("gpu_uuid"),
        _number("event_count", "lines"),
        _text("message"),
        _number("process_id", "of the process that the line names"),
        _text("process_name"),
        _text("job_id"),
    ),
)

SOURCE = Source(
    name="kernel_log",
    title="Kernel logs of GPU machines (dmesg, /dev/kmsg, journal)",
    licence="yours",
    tables=(EVENT,),
)
