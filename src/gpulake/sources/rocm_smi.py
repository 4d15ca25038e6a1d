"""AMD's tool: `rocm-smi -a --json`, one object with a key for each card; units stand in the keys, values are texts.

Keys differ between versions of ROCm. The tool writes no time and no machine: a file is named
`<machine>.<time>.<anything>`, as `node01.20260714T081238Z.rocm-smi.json`; a time without an offset is local time of the
cluster's zone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from gpulake.contract import Column, Parsed, Source, Span, Table
from gpulake.sources.parsing.naming import NO_MACHINE, bus_id, machine_of

if TYPE_CHECKING:
    import polars as pl

NO_TIME = "neither the file nor its name says when it was taken: name it <machine>.<time>.json, as node01.20260714T081238Z.json"

_TEXTS: Mapping[str, tuple[str, ...]] = {
    "gpu_uuid": ("unique id",),
    "pci_bus_id": ("pci bus",),
    "product_name": ("card series", "device name", "card model"),
}
_NUMBERS: Mapping[str, tuple[str, ...]] = {
    "memory_total_bytes": ("vram total memory (b)",),
    "memory_used_bytes": ("vram total used memory (b)",),
    "gpu_util_pct": ("gpu use (%)",),
    "memory_util_pct": ("gpu memory read/write activity (%)", "gpu memory use (%)"),
    "power_w": ("average graphics package power (w)", "current socket graphics package power (w)"),
    "power_limit_w": ("max graphics package power (w)",),
    "temperature_edge_c": ("temperature (sensor edge) (c)",),
    "temperature_junction_c": ("temperature (sensor junction) (c)",),
    "memory_temperature_c": ("temperature (sensor memory) (c)", "temperature (sensor hbm 0) (c)"),
    "sclk_mhz": ("sclk clock speed:", "sclk clock speed"),
    "mclk_mhz": ("mclk clock speed:", "mclk clock speed"),
    "pcie_replays": ("pcie replay count",),
    "energy_uj": ("accumulated energy (uj)",),
}
_CARD = re.compile(r"card(\d{1,4})")
_BEGINS = re.compile(rb'\s*\{(?:\s*"system"\s*:|\s*"timestamp"\s*:|\s*"card\d+"\s*:\s*\{)')
_CARD_INSIDE = re.compile(rb'"card\d+"\s*:\s*\{')
_NUMBER = re.compile(r"\(?(-?\d+(?:\.\d+)?)(?: ?[A-Za-z%]+)?\)?")
_NAME_TIME = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})T(\d{2})[:-]?(\d{2})(?:[:-]?(\d{2}))?(Z|[+-]\d{2}:?\d{2})?")
_ABSENT = {"", "n/a", "na", "none", "unknown", "unsupported", "not supported"}


def is_it(head: bytes) -> bool:
    """Whether a file begins as the tool's output does."""
    return bool(_BEGINS.match(head)) and bool(_CARD_INSIDE.search(head))


def rows(blocks: Iterable[bytes], file_name: str) -> Iterator[pl.DataFrame]:
    """One row per card of each object; without a time or a machine it is refused."""
    import polars as pl

    text = b"".join(blocks).decode("utf-8", "replace")
    machine, named_at = machine_of(file_name), _time_in(file_name)
    found = [row for value in _objects(text) for row in _rows(value, machine, named_at)]
    if found:
        texts = {column.name: pl.String for column in SNAPSHOT.columns if column.kind != "number"}
        numbers = {column.name: pl.Float64 for column in SNAPSHOT.columns if column.kind == "number"}
        schema = {"source_row": pl.Int64, **texts, **numbers, "reason": pl.String, "raw_text": pl.String}
        numbered = [{**row, "source_row": number} for number, row in enumerate(found, 1)]
        yield pl.DataFrame(numbered, schema=schema)


def _objects(text: str) -> Iterator[object]:
    """Every JSON value of a text, one behind another, and the text from where it is none."""
    decoder, at = json.JSONDecoder(), 0
    while (start := _next(text, at)) < len(text):
        try:
            value, at = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            yield text[start : start + 1000]
            return
        yield value


def _next(text: str, at: int) -> int:
    found = re.compile(r"\S").search(text, at)
    return found.start() if found else len(text)


def _rows(value: object, machine: str, named_at: str | None) -> Iterator[dict[str, object]]:
    if not isinstance(value, dict):
        yield {"reason": "it is no JSON object of rocm-smi", "raw_text": str(value)[:1000]}
        return
    system = value.get("system")
    at = named_at or _time_in(_plain(value.get("timestamp")) or "")
    driver = _plain(system.get("Driver version")) if isinstance(system, dict) else None
    cards = [(int(found[1]), card) for key, card in value.items() if (found := _CARD.fullmatch(key))]
    if not cards:
        yield {"reason": "it describes no card", "raw_text": _text_of(value)}
    for index, card in cards:
        readings = (
            {str(key).strip().lower(): _plain(text) for key, text in card.items()} if isinstance(card, dict) else {}
        )
        row = _card(readings)
        reason = (
            ("" if readings else "its card is no JSON object")
            or ("" if machine else NO_MACHINE)
            or ("" if at else NO_TIME)
        )
        yield {
            "machine": machine,
            "sampled_at": at,
            "driver_version": driver,
            "gpu_index": float(index),
            **row,
            "reason": reason or None,
            "raw_text": _text_of(card) if reason else None,
        }


def _card(readings: Mapping[str, str | None]) -> dict[str, object]:
    texts = {column: _first(readings, keys) for column, keys in _TEXTS.items()}
    numbers = {column: _number(_first(readings, keys)) for column, keys in _NUMBERS.items()}
    return {**texts, **numbers, "pci_bus_id": bus_id(texts["pci_bus_id"])}


def _first(readings: Mapping[str, str | None], keys: Iterable[str]) -> str | None:
    return next((text for key in keys if (text := readings.get(key)) is not None), None)


def _plain(value: object) -> str | None:
    """A reading as text, or None where the tool says that there is none."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    text = str(value).strip().encode("utf-8", "replace").decode("utf-8")
    return None if text.lower() in _ABSENT else text


def _number(text: str | None) -> float | None:
    found = _NUMBER.fullmatch(text or "")
    return float(found[1]) if found else None


def _time_in(text: str) -> str | None:
    """The first time in a name or a text, in ISO 8601's basic or extended form."""
    found = _NAME_TIME.search(text)
    if not found:
        return None
    year, month, day, hour, minute, second, offset = found.groups()
    return f"{year}-{month}-{day}T{hour}:{minute}:{second or '00'}{offset or ''}"


def _text_of(value: object) -> str:
    return json.dumps(value)[:1000]


def _text(name: str, *, required: bool = False) -> Column:
    return Column(name, "text", required=required, may_lack=not required)


def _unit(name: str, unit: str) -> Column:
    return Column(name, "number", unit=unit, may_lack=True)


SNAPSHOT = Table(
    name="rocm_smi",
    bronze="bronze_rocm_smi_gpu",
    stems=("rocm_smi",),
    format=Parsed(is_it=is_it, rows=rows, suffixes=(".json", ".txt", ".log", ".out")),
    key=("machine", "gpu_index", "gpu_uuid", "sampled_at"),
    span=Span("sampled_at", "sampled_at"),
    columns=(
        _text("machine", required=True),
        Column("sampled_at", "time", required=True),
        _text("driver_version"),
        _unit("gpu_index", "cards of the machine, counted from 0"),
        _text("gpu_uuid"),
        _text("pci_bus_id"),
        _text("product_name"),
        _unit("memory_total_bytes", "bytes"),
        _unit("memory_used_bytes", "bytes"),
        _unit("gpu_util_pct", "percent of the time in which the GPU was busy"),
        _unit("memory_util_pct", "percent of the time in which memory was read or written"),
        _unit("power_w", "W, of the package"),
        _unit("power_limit_w", "W, of the package"),
        _unit("temperature_edge_c", "degrees Celsius at the edge of the die"),
        _unit("temperature_junction_c", "degrees Celsius at its hottest place"),
        _unit("memory_temperature_c", "degrees Celsius"),
        _unit("sclk_mhz", "MHz"),
        _unit("mclk_mhz", "MHz"),
        _unit("pcie_replays", "replays since the driver was loaded"),
        _unit("energy_uj", "microjoules since the driver was loaded"),
    ),
)

SOURCE = Source(
    name="rocm_smi",
    title="AMD's rocm-smi: snapshots as JSON",
    licence="yours",
    tables=(SNAPSHOT,),
)
