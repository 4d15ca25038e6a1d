"""What would become of a folder: every row is read as landing reads it, and nothing is kept."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pyarrow as pa

from gpulake.config import Config
from gpulake.contract import Doubt, Source, Table
from gpulake.errors import ContractError, SourceError
from gpulake.landing import rows
from gpulake.landing.clusters import cluster_settings
from gpulake.landing.recognition import Unrecognised
from gpulake.landing.rows import Converted
from gpulake.landing.surveys import Delivered, Refused, Survey

_REASONS = 5
"""So many reasons are shown of one file."""


@dataclass(frozen=True)
class Reason:
    """Why some rows of a file are refused: how many, and the first of them."""

    what: str
    rows: int
    first_row: int
    example: str


@dataclass(frozen=True)
class FileChecked:
    """One file that is a table: what would be kept of it, and what refused.

    `given` are the columns in which any kept row has a value; `left` are fields that no column takes, each with the column
    that was most likely meant, or none. `time_zone`: local times are read as this zone's.
    """

    file: str
    source: str
    table: str
    layout: str
    rows_in: int
    rows_kept: int
    rows_refused: int
    times_unknown: int
    reasons: tuple[Reason, ...]
    given: tuple[str, ...]
    left: Mapping[str, str]
    missing: Mapping[str, int]
    time_zone: str


@dataclass(frozen=True)
class Checked:
    """Everything that a folder holds, as landing would read it."""

    files: tuple[FileChecked, ...]
    doubts: tuple[Doubt, ...]
    refused: tuple[Refused, ...]
    unrecognised: tuple[Unrecognised, ...]

    def as_json(self) -> dict[str, object]:
        """For machines."""
        return {
            "files": [asdict(each) for each in self.files],
            "doubts": [asdict(each) for each in self.doubts],
            "refused": [each.as_json() for each in self.refused],
            "unrecognised": [{"file": str(each.path), "reason": each.reason} for each in self.unrecognised],
        }


def check(
    surveyed: Survey, *, config: Config, cluster: str | None, now: datetime, status_words: Mapping[str, Collection[str]]
) -> Checked:
    """Read every delivery as landing would, into a folder of its own that is gone afterwards.

    `status_words`: by source, the words that have a common word.
    """
    files: list[FileChecked] = []
    refused = list(surveyed.refused)
    frames: dict[str, dict[str, list[pl.LazyFrame]]] = defaultdict(lambda: defaultdict(list))
    sources = {delivered.source.name: delivered.source for delivered in surveyed.delivered}
    with TemporaryDirectory(prefix="gpulake-check-") as folder:
        for delivered in surveyed.delivered:
            try:
                converted, time_zone = _converted(delivered, Path(folder), config, cluster)
            except (SourceError, ContractError) as error:
                refused.append(Refused(delivered.path, error))
                continue
            frame = pl.scan_parquet(list(converted.files)).with_columns(file=pl.lit(delivered.file_name))
            frames[delivered.source.name][delivered.table.name].append(frame)
            files.append(_told(delivered, converted, frame, time_zone))
        doubts = [
            doubt
            for name, tables in frames.items()
            for doubt in _doubts(sources[name], tables, now, frozenset(status_words.get(name, ())))
        ]
    return Checked(tuple(files), tuple(doubts), tuple(refused), surveyed.unrecognised)


def _converted(delivered: Delivered, folder: Path, config: Config, cluster: str | None) -> tuple[Converted, str]:
    cluster_id = cluster if cluster and delivered.source.describes_cluster else delivered.source.name
    time_zone, _, _ = cluster_settings(cluster_id, delivered.source, config)
    name = hashlib.sha256(bytes(delivered.path)).hexdigest()
    converted = rows.convert(delivered.recognised, landing_id=name, folder=folder / name, time_zone=time_zone)
    if converted.rows_kept == 0:
        what = "it has no rows" if converted.rows_in == 0 else f"no row of {converted.rows_in} is a row of it"
        reasons = "; ".join(f"{reason.rows} × {reason.what}" for reason in _reasons(converted.refused))
        raise ContractError(
            f"{delivered.table.name}: {what}{': ' if reasons else ''}{reasons}.",
            where=f"{delivered.path}:{converted.refused['source_row'][0].as_py() if converted.rows_in else 1}",
            do="compare it with the table's columns, or take it out of the folder",
        )
    return converted, time_zone


def _told(delivered: Delivered, converted: Converted, frame: pl.LazyFrame, time_zone: str) -> FileChecked:
    table = delivered.table
    counts = frame.select(pl.col(table.column_names).count()).collect().row(0, named=True)
    given = tuple(name for name in table.column_names if counts[name])
    free = [column.name for column in table.columns if column.name not in given]
    return FileChecked(
        file=delivered.file_name,
        source=delivered.source.name,
        table=table.name,
        layout=delivered.recognised.layout.name,
        rows_in=converted.rows_in,
        rows_kept=converted.rows_kept,
        rows_refused=converted.refused.num_rows,
        times_unknown=converted.times_unknown,
        reasons=tuple(_reasons(converted.refused)),
        given=given,
        left={name: _meant(name, free) for name in converted.left},
        missing=converted.missing,
        time_zone=time_zone,
    )


def _meant(name: str, free: list[str]) -> str:
    """The column that a name stands for most likely: one that it begins, or one that is spelled nearly so."""
    if len(name) > 2 and (begun := [column for column in free if column.startswith(name)]):
        return begun[0]
    return next(iter(get_close_matches(name, free, n=1, cutoff=0.75)), "")


def _reasons(refused: pa.Table) -> Iterator[Reason]:
    """Why rows are refused, the most frequent first; what stands in quotes differs from row to row."""
    found = (
        pl.DataFrame(pl.from_arrow(refused))
        .with_columns(what=pl.col("reason").str.split(": '").list.first())
        .group_by("what", maintain_order=True)
        .agg(pl.len().alias("rows"), pl.col("source_row", "reason", "raw_text").first())
        .sort("rows", descending=True, maintain_order=True)
    )
    for row in found.head(_REASONS).iter_rows(named=True):
        yield Reason(
            row["reason"] if row["rows"] == 1 else row["what"], row["rows"], row["source_row"], row["raw_text"]
        )


def _doubts(
    source: Source, tables: Mapping[str, list[pl.LazyFrame]], now: datetime, status_words: frozenset[str]
) -> Iterator[Doubt]:
    if source.doubts is None:
        return
    whole = {name: pl.concat(parts) for name, parts in tables.items()}
    for name, frame in whole.items():
        yield from _twice(source.table(name), frame)
    yield from source.doubts(whole, now=now, status_words=status_words)


def _twice(table: Table, frame: pl.LazyFrame) -> Iterator[Doubt]:
    again = frame.filter(~pl.struct(table.key).is_first_distinct())
    found = again.select(pl.len().alias("rows"), pl.col("file", "source_row").first()).collect().row(0, named=True)
    if found["rows"]:
        what = f"an earlier row has the same {', '.join(table.key)}: one of them stands"
        place = f"{found['file']}:{found['source_row']}"
        yield Doubt(table.name, what, found["rows"], place, "deliver each once")
