"""Kernel log lines in every form that a time is written in: when each was written, on which machine, and what it says.

`dmesg` (seconds since boot), `dmesg -T`, `dmesg --time-format iso`, each with `-x` or without, /dev/kmsg, `journalctl -o
json` and `-o short-iso`, a log file of rsyslog with ISO times, and NVIDIA's fabric manager. Of lines that hold none of
the words asked for nothing is computed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

HEADER = re.compile(r"#\s*boot_at=(\S+)(?:\s+machine=(\S+))?\s*$")
"""What a collector writes above lines whose times are seconds since boot: when that was, and on which machine."""

_LEVEL = r"^(?:[a-z0-9]+ *: *[a-z]+ *: *)?"
_ISO = r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}"
_FORMS = (
    _LEVEL
    + r"(?:\[(?:"
    + r"(?P<local>[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d{2}:\d{2}:\d{2} \d{4})"
    + r"|(?P<fabric>[A-Z][a-z]{2} [ \d]\d \d{4} \d{2}:\d{2}:\d{2})"
    + r"| *(?P<uptime>\d{1,11}(?:\.\d{1,9})?)"
    + r")\]"
    + r"|\d+,\d+,(?P<micros>\d{1,17}),[^;]*;"
    + rf"|(?P<iso>{_ISO},\d{{1,9}}(?:Z|[+-]\d{{2}}:?\d{{2}}))"
    + rf"|(?P<syslog>{_ISO}(?:\.\d{{1,9}})?(?:Z|[+-]\d{{2}}:?\d{{2}}))"
    + r"(?: (?P<host>[^\s:]+) [A-Za-z][\w.@/-]*(?:\[\d+\])?:)?"
    + r")\s*(?:\[ *\d+\.\d+\] )?(?P<says>.*)$"
)
ANY_FORM = re.compile(_FORMS)
JOURNAL = re.compile(r'\s*\{.*"__REALTIME_TIMESTAMP"')


@dataclass(frozen=True)
class Header:
    """When a machine was booted (seconds since 1970, where known), and its name."""

    boot_at: str | None = None
    machine: str | None = None


def written(lines: Iterable[pl.DataFrame], *, machine: str, words: Sequence[str]) -> Iterator[pl.DataFrame]:
    """Of numbered lines (`source_row`, `text`) those that hold one of the words: `at`, `clock`, `machine` and `says`.

    `at` is what the `clock` showed: `utc`, or the `local` one of the cluster; null where a line says no time, and where it
    says one since a boot that no header dates (`clock` is then `boot`). A machine that a line names stands before a
    header's, and that before the file's.
    """
    import polars as pl

    standing = Header(machine=machine or None)
    for block in lines:
        parts, standing = _under_headers(block, standing)
        for part, header in parts:
            kept = part.filter(pl.col("text").str.contains_any(list(words), ascii_case_insensitive=True))
            if kept.height:
                yield _read(kept, header)


def _under_headers(block: pl.DataFrame, standing: Header) -> tuple[list[tuple[pl.DataFrame, Header]], Header]:
    """A block cut at the headers in it, each part with the header that it stands under, and the last of them."""
    import polars as pl

    found = block.with_row_index("at").filter(pl.col("text").str.starts_with("#"))
    parts, first = [], 0
    for place, text in found.select("at", "text").iter_rows():
        if header := HEADER.match(text):
            parts.append((block.slice(first, place - first), standing))
            standing = replace(standing, boot_at=header[1], machine=header[2] or standing.machine)
            first = place + 1
    return [*parts, (block.slice(first), standing)], standing


def _read(lines: pl.DataFrame, header: Header) -> pl.DataFrame:
    import polars as pl

    is_json = pl.col("text").str.starts_with("{")
    frames = [
        read(part, header)
        for read, part in ((_text, lines.filter(~is_json)), (_json, lines.filter(is_json)))
        if part.height
    ]
    return pl.concat(frames)


def _text(lines: pl.DataFrame, header: Header) -> pl.DataFrame:
    import polars as pl

    part = pl.col("text").str.extract_groups(_FORMS).struct.field
    boot = pl.lit(header.boot_at, dtype=pl.String).pipe(_utc)
    known = lines.with_columns(
        part("local", "fabric", "uptime", "micros", "iso", "syslog", "host", "says"),
    )
    uptime = pl.coalesce(
        (pl.col("uptime").cast(pl.Float64) * 1e6).round().cast(pl.Int64, strict=False),
        pl.col("micros").cast(pl.Int64, strict=False),
    )
    is_boot, is_local = uptime.is_not_null(), pl.coalesce("local", "fabric").is_not_null()
    local = pl.coalesce(
        pl.col("local").str.to_datetime("%a %b %e %H:%M:%S %Y", time_unit="us", strict=False),
        pl.col("fabric").str.to_datetime("%b %e %Y %H:%M:%S", time_unit="us", strict=False),
    )
    return known.select(
        "source_row",
        "text",
        at=pl.coalesce(_utc(pl.coalesce("iso", "syslog")), boot + pl.duration(microseconds=uptime), local),
        clock=pl.when(is_local)
        .then(pl.lit("local"))
        .when(is_boot & boot.is_null())
        .then(pl.lit("boot"))
        .otherwise(pl.lit("utc")),
        machine=pl.coalesce(_short("host"), pl.lit(header.machine, dtype=pl.String)),
        says=pl.coalesce("says", "text"),
    )


def _json(lines: pl.DataFrame, header: Header) -> pl.DataFrame:
    """Lines of the journal. A message that is no text, or has a character that JSON escapes, is read one by one."""
    import polars as pl

    def value(name: str) -> pl.Expr:
        return pl.col("text").str.extract(rf'"{name}"\s*:\s*"([^"\\]*)"')

    micros = value("__REALTIME_TIMESTAMP").cast(pl.Int64, strict=False)
    read = lines.with_columns(says=value("MESSAGE"))
    escaped = read.filter(pl.col("says").is_null()).with_columns(
        says=pl.col("text").map_elements(_message, return_dtype=pl.String)
    )
    return read.join(escaped.select("source_row", "says"), on="source_row", how="left").select(
        "source_row",
        "text",
        at=pl.when(micros.is_between(0, 4_102_444_800_000_000)).then(micros).cast(pl.Datetime("us")),
        clock=pl.lit("utc"),
        machine=pl.coalesce(value("_HOSTNAME").pipe(_short), pl.lit(header.machine, dtype=pl.String)),
        says=pl.coalesce("says", "says_right", pl.lit("")),
    )


def _message(line: str) -> str | None:
    import json

    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    message = found.get("MESSAGE") if isinstance(found, dict) else None
    if isinstance(message, list) and all(isinstance(byte, int) and 0 <= byte < 256 for byte in message):
        return bytes(message).decode("utf-8", "replace")
    return message.encode("utf-8", "replace").decode("utf-8") if isinstance(message, str) else None


def _utc(text: pl.Expr) -> pl.Expr:
    """ISO 8601 with an offset, as UTC without one."""
    import polars as pl

    plain = text.str.replace(",", ".", literal=True).str.replace(r"Z$", "+00:00")
    zoned = plain.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%z", time_unit="us", strict=False)
    return zoned.dt.convert_time_zone("UTC").dt.replace_time_zone(None).cast(pl.Datetime("us"))


def _short(host: pl.Expr | str) -> pl.Expr:
    """A machine's name without its domain."""
    import polars as pl

    column = pl.col(host) if isinstance(host, str) else host
    return column.str.extract(r"^([^.]+)")
