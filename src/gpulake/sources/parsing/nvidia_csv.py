"""`nvidia-smi --query-gpu=… --format=csv`, with `noheader` and `nounits` or without: any columns, for as long as it ran.

A header names the columns of the lines behind it; so does a comment that holds the command. A file may hold many, as
when each run is appended. Units are those of nvidia-smi, whether they stand in the header, in the value, or nowhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from gpulake.sources.parsing.devices import ABSENT
from gpulake.sources.parsing.naming import bus_ids
from gpulake.sources.parsing.nvidia_text import COMMAND

if TYPE_CHECKING:
    import polars as pl

TEXTS = {
    "driver_version": ("driver_version",),
    "gpu_uuid": ("uuid", "gpu_uuid"),
    "pci_bus_id": ("pci.bus_id", "gpu_bus_id"),
    "product_name": ("name", "gpu_name"),
}
NUMBERS = {
    "attached_gpus": ("count",),
    "gpu_index": ("index",),
    "memory_total_mib": ("memory.total",),
    "memory_used_mib": ("memory.used",),
    "gpu_util_pct": ("utilization.gpu",),
    "memory_util_pct": ("utilization.memory",),
    "power_draw_w": ("power.draw", "power.draw.average"),
    "power_draw_instant_w": ("power.draw.instant",),
    "power_limit_w": ("enforced.power.limit", "power.limit"),
    "temperature_c": ("temperature.gpu",),
    "temperature_margin_c": ("temperature.gpu.tlimit",),
    "memory_temperature_c": ("temperature.memory",),
    "sm_clock_mhz": ("clocks.current.sm", "clocks.sm"),
    "mem_clock_mhz": ("clocks.current.memory", "clocks.mem", "clocks.memory"),
    "remapped_rows_correctable": ("remapped_rows.correctable",),
    "remapped_rows_uncorrectable": ("remapped_rows.uncorrectable",),
    "row_remap_pending": ("remapped_rows.pending",),
    "row_remap_failed": ("remapped_rows.failure",),
    **{
        f"ecc_{kind}_{life}": (f"ecc.errors.{word}.{life}.total",)
        for life in ("volatile", "aggregate")
        for kind, word in (("sbe", "corrected"), ("dbe", "uncorrected"))
    },
}
_MASKS = ("clocks_event_reasons.active", "clocks_throttle_reasons.active")
_TIMES = ("timestamp",)

_KNOWN = {
    *_TIMES,
    *_MASKS,
    *(name for names in (*TEXTS.values(), *NUMBERS.values()) for name in names),
}
_FIELD = re.compile(r"([A-Za-z][A-Za-z0-9_.]*)(?: \[[^\]]*\])?")
_OTHERS = {"pid", "retired_pages.address"}
"""Columns of other queries of nvidia-smi: of processes and of pages."""

_MAY_BE_HEADER = r"(?:^|,)\s*(?:" + "|".join(re.escape(name) for name in sorted(_KNOWN)) + r")\s*(?:\[|,|$)"
_VALUES = re.compile(r"\d{4}/\d{2}/\d{2} \d{2}:\d{2}:\d{2}\.\d{3},")
"""How a line without a header begins, if the time was asked for first."""

NO_HEADER = "no header says which columns these are: put the line '# nvidia-smi --query-gpu=<columns>' above it"
NO_TIME = "it has no timestamp: ask nvidia-smi for the column timestamp too"
_TIME = r"^(\d{4})[/-](\d{2})[/-](\d{2})[ T](\d{2}:\d{2}:\d{2}(?:\.\d+)?)$"


def columns_of(header: str) -> tuple[str, ...]:
    """The columns that a header or a command's comment names, without units; nothing where it is neither."""
    if command := COMMAND.match(header):
        return tuple(name.strip().lower() for name in command[1].split(","))
    fields = [_FIELD.fullmatch(part.strip()) for part in header.split(",")]
    names = tuple(found[1].lower() for found in fields if found)
    return names if len(names) == len(fields) and _KNOWN & set(names) else ()


def is_table(lines: Sequence[str]) -> bool:
    """Whether a file that begins with these lines holds such a table: a name with a point in it is nvidia-smi's alone."""
    names = next((names for line in lines if (names := columns_of(line))), ())
    if names:
        return any("." in name for name in _KNOWN & set(names)) and not _OTHERS & set(names)
    return any(_VALUES.match(line) for line in lines[:1])


def frames(lines: Iterable[pl.DataFrame], *, machine: str, no_machine: str) -> Iterator[pl.DataFrame]:
    """The rows of numbered lines (`source_row`, `text`), one frame for each of theirs; a header holds on to the next."""
    import polars as pl

    standing: str | None = None
    for block in lines:
        may_be = block.filter(pl.col("text").str.contains(_MAY_BE_HEADER) | pl.col("text").str.starts_with("#"))
        headers = [text for text in may_be["text"].unique().to_list() if columns_of(text)]
        is_header = pl.col("text").is_in(headers)
        under = block.with_columns(
            header=pl.when(is_header).then("text").forward_fill().fill_null(pl.lit(standing, dtype=pl.String)),
            is_row=~is_header & (pl.col("text").str.strip_chars() != "") & ~pl.col("text").str.starts_with("#"),
        )
        if under.height:
            standing = under["header"][-1]
        parts = [
            _rows(part, columns_of(part["header"][0] or ""), machine, no_machine)
            for part in under.filter("is_row").partition_by("header", maintain_order=True)
        ]
        yield from (part for part in parts if part.height)


def _rows(lines: pl.DataFrame, names: tuple[str, ...], machine: str, no_machine: str) -> pl.DataFrame:
    import polars as pl

    if _OTHERS & set(names):
        return lines.clear()
    wanted = [name for name in dict.fromkeys(names) if name in _KNOWN]
    fields = lines["text"].str.split(",")
    bare = pl.col(wanted).str.strip_chars().str.strip_prefix("[").str.strip_suffix("]")
    read = (
        lines.with_columns(width=fields.list.len())
        .with_columns(fields.list.get(names.index(name), null_on_oob=True).alias(name) for name in wanted)
        .with_columns(bare)
        .with_columns(pl.when(~pl.col(wanted).str.to_lowercase().is_in(list(ABSENT))).then(pl.col(wanted)))
    )

    def known(places: Sequence[str]) -> pl.Expr:
        return pl.coalesce([pl.col(name) for name in places if name in names] or [pl.lit(None, dtype=pl.String)])

    def number(places: Sequence[str]) -> pl.Expr:
        text = known(places)
        written = text.str.extract(r"^(-?\d+(?:\.\d+)?)(?: ?[A-Za-z%/]+)?$").cast(pl.Float64)
        return pl.when(text == "Yes").then(1.0).when(text == "No").then(0.0).otherwise(written)

    mask = known(_MASKS).str.extract(r"^0x([0-9A-Fa-f]{1,16})$")
    rows = read.select(
        "source_row",
        machine=pl.lit(machine),
        sampled_at=known(_TIMES).str.replace(_TIME, "$1-$2-${3}T$4"),
        **{column: known(places) for column, places in TEXTS.items()},
        **{column: number(places) for column, places in NUMBERS.items()},
        clocks_event_reasons=mask.str.to_integer(base=16, strict=False).cast(pl.Float64),
        raw_text=pl.col("text"),
        width=pl.col("width"),
    )
    misshapen = pl.format("{} fields where {} are expected", "width", pl.lit(len(names)))
    reason = (
        pl.when(pl.lit(not names))
        .then(pl.lit(NO_HEADER))
        .when(pl.col("width") != len(names))
        .then(misshapen)
        .when(pl.lit(not machine))
        .then(pl.lit(no_machine))
        .when(pl.col("sampled_at").is_null())
        .then(pl.lit(NO_TIME))
        .when(pl.all_horizontal(pl.col("gpu_uuid", "pci_bus_id", "gpu_index").is_null()))
        .then(pl.lit("it names no GPU: ask nvidia-smi for the column uuid too"))
    )
    rows = rows.with_columns(reason=reason, pci_bus_id=bus_ids(pl.col("pci_bus_id")))
    return rows.with_columns(raw_text=pl.when(pl.col("reason").is_not_null()).then("raw_text")).drop("width")
