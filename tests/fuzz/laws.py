"""What every parser of a source keeps to, whatever bytes it reads: `check` raises where one does not."""

from __future__ import annotations

import io
import tempfile
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from gpulake.contract import Parsed, Table
from gpulake.errors import SourceError
from gpulake.landing.parsed import Found
from gpulake.landing.rows import convert_chunk
from gpulake.sources import all_sources

FIXTURES = Path(__file__).parents[1] / "fixtures"
HEAD_BYTES = 64 << 10


@dataclass(frozen=True)
class Target:
    """One format of one table."""

    name: str
    source: str
    table: Table
    form: Parsed

    def seeds(self) -> list[bytes]:
        """Fixtures of its source that it takes for its own."""
        files = sorted(file for file in (FIXTURES / self.source).rglob("*") if file.is_file())
        contents = [file.read_bytes() for file in files]
        return [content for content in contents if self.form.is_it(content[:HEAD_BYTES])]


def targets() -> list[Target]:
    """Every format that a source takes apart by itself."""
    return [
        Target(f"{table.name}-{number}", source.name, table, form)
        for source in all_sources()
        for table in source.tables
        for number, form in enumerate((table.format, *table.also))
        if isinstance(form, Parsed)
    ]


def check(target: Target, content: bytes) -> None:
    """Nothing is raised but SourceError; rows in are rows kept and refused; where blocks end makes no difference."""
    target.form.is_it(content[:HEAD_BYTES])
    whole = _landed(target, [content])
    if (
        target.source == "nvidia_smi"
    ):  # it takes a page for what its first block shows, which is no smaller than the head
        return
    lines = io.BytesIO(content).readlines()
    # Where it is cut depends on the bytes alone, so that a find can be repeated.
    cut = sum(content[:64]) % (len(lines) + 1)
    parted = _landed(target, [b"".join(lines[:cut]), b"".join(lines[cut:])])
    if whole is None or parted is None:
        assert (whole is None) == (parted is None), "one reading raises, the other does not"
        return
    # How a refused row is shown may differ: as it stands there, or as what was read of it.
    whole, parted = (found.drop("raw_text") for found in (whole, parted))
    assert whole.equals(parted), f"cut before line {cut + 1} it reads otherwise: {_differences(whole, parted)}"


def _landed(target: Target, blocks: list[bytes]) -> pl.DataFrame | None:
    """Rows as bronze has them, and refused ones; None where the whole is refused."""
    try:
        frames = list(target.form.rows([block for block in blocks if block], "n1.20260101T000000Z.fuzz"))
    except SourceError:
        return None
    parts = [_of(target, frame) for frame in frames if frame.height]
    found = pl.concat([_empty(target), *parts], how="diagonal").sort("source_row")
    assert found["source_row"].is_unique().all(), "a row number comes twice"
    return found


def _differences(one: pl.DataFrame, other: pl.DataFrame) -> str:
    if one["source_row"].to_list() != other["source_row"].to_list():
        return f"rows {one['source_row'].to_list()} and {other['source_row'].to_list()}"
    found = [
        f"{name} of row {one['source_row'][at]}: {one[name][at]!r} and {other[name][at]!r}"
        for name in one.columns
        for at in one[name].ne_missing(other[name]).arg_true()[:3]
    ]
    return "; ".join(found)


def _of(target: Target, frame: pl.DataFrame) -> pl.DataFrame:
    known = {"source_row", "reason", "raw_text", "left", *target.table.column_names}
    assert set(frame.columns) <= known, f"columns that the table has not: {set(frame.columns) - known}"
    assert frame["source_row"].null_count() == 0, "a row without its number"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.parquet"
        part = convert_chunk(Found(frame, 0), target.table, None, "Europe/Berlin", "0" * 64, file)
        kept = pl.read_parquet(file) if part.file else _empty(target)
    assert kept.height == part.rows, "not every kept row was written"
    assert part.rows + part.refused.height == frame.height, "rows in are not rows kept and refused"
    assert part.refused["raw_text"].null_count() == 0, "a refused row without its text"
    return pl.concat([kept, part.refused], how="diagonal")


def _empty(target: Target) -> pl.DataFrame:
    kinds = {"text": pl.String(), "number": pl.Float64(), "time": pl.Datetime("us")}
    columns = {column.name: kinds[column.kind] for column in target.table.columns}
    more = {"landing_id": pl.String(), "source_row": pl.Int64(), "reason": pl.String(), "raw_text": pl.String()}
    return pl.DataFrame(schema={**columns, **more})
