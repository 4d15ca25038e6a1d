"""Replaying: refused rows are read once more, as the source's contract says today; what is a row now joins its landing.

A row keeps its landing and its number, so it stands and falls as if it had never been refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from gpulake import meta
from gpulake.config import Config
from gpulake.contract import Column, Delimited, Source, Table
from gpulake.lake import Writer
from gpulake.landing import delimited, jsonlines, rows
from gpulake.landing.clusters import cluster_settings
from gpulake.landing.landings import Landing, LandReport, moment_of, reasons_of
from gpulake.landing.messages import MESSAGES, as_messages
from gpulake.landing.times import LONGEST_S
from gpulake.tables import FULL_BUILD_STARTS, LANDINGS, PUBLISHED_LANDINGS, QUARANTINE, LakeTable, bronze_tables

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  # the lake keeps UTC without a zone


@dataclass(frozen=True)
class _Refused:
    """Refused rows of one landing as a chunk: their text is all that there is."""

    frame: pl.DataFrame
    table: Table
    fields: delimited.Fields | None

    size = 0

    def quick(self) -> None:
        """Never."""

    def closely(self) -> pl.DataFrame:
        """The rows taken apart once more; those of Parquet, and of text that its source takes apart, have been kept as JSON."""
        if self.fields:
            return delimited.taken_apart(self.frame, self.fields)
        return jsonlines.taken_apart(self.frame, self.table.column_names, needed=self.table.needed_names)


def replay(writer: Writer, sources: Sequence[Source], *, config: Config, now: datetime) -> LandReport:
    """Read every refused row once more. Figures of any day may change, so the next build makes all anew."""
    replayed = tuple(_replayed(writer, sources, config=config, now=now))
    return LandReport(replayed, (), ())


def _replayed(writer: Writer, sources: Sequence[Source], *, config: Config, now: datetime) -> Iterator[Landing]:
    by_name = {source.name: source for source in sources}
    for record in meta.landings_with_refusals(writer):
        source = by_name.get(record["source"])
        table = next((table for table in source.tables if table.name == record["table_name"]), None) if source else None
        if source is None or table is None:
            continue
        (bronze,) = (each for each in bronze_tables([source]) if each.name == table.bronze)
        zone, _, _ = cluster_settings(record["cluster_id"], source, config)
        found = pl.DataFrame(meta.refused_rows(writer, record["landing_id"]))
        # What could not be read as text has been kept with its broken letters replaced.
        frame = found.select("source_row", "raw_text", broken=pl.col("reason") == "not valid UTF-8")
        version = writer.version()
        file = writer.data_folder(bronze) / f"ducklake-{record['landing_id'][:24]}-replay-{version}.parquet"
        if record["layout"] == MESSAGES:
            table = as_messages(table)
        file.parent.mkdir(parents=True, exist_ok=True)  # of messages none may have been kept yet
        chunk = _Refused(frame, table, _fields_of(record, table))
        part = rows.convert_chunk(chunk, table, _body(record), zone, record["landing_id"], file)
        if part.file:
            kept = sorted(set(found["source_row"]) - set(part.refused["source_row"]))
            _join(writer, bronze, record, part, kept, version=version, now=now)
        yield Landing(
            status="replayed",
            table=table.name,
            rows_in=found.height,
            rows_kept=part.rows,
            rows_refused=part.refused.height,
            times_unknown=part.times_unknown,
            values_missing=sum(part.missing.values()),
            missing=part.missing,
            reasons=reasons_of(part.refused.to_arrow()),
            **{name: record[name] for name in _AS_RECORDED},
        )


_AS_RECORDED = ("landing_id", "source", "cluster_id", "bronze_table", "file_name", "layout", "published_bytes")


def _join(
    writer: Writer,
    bronze: LakeTable,
    record: Mapping[str, Any],
    part: rows.Part,
    kept: Sequence[int],
    *,
    version: int,
    now: datetime,
) -> None:
    times = [
        (min, "min_event_at", part.min_event_s),
        (max, "max_event_at", part.max_event_s),
    ]
    changed = {
        "rows_kept": record["rows_kept"] + part.rows,
        "rows_refused": record["rows_refused"] - part.rows,
        "times_unknown": (record["times_unknown"] or 0) + part.times_unknown,
        "values_missing": (record["values_missing"] or 0) + sum(part.missing.values()),
        **{
            name: which((at for at in (record[name], moment_of(seconds)) if at is not None), default=None)
            for which, name, seconds in times
        },
    }
    assert part.file is not None
    with writer.transaction("replay", landing_id=record["landing_id"]):
        writer.add_files(bronze, [part.file])
        writer.delete(QUARANTINE, "landing_id = ? AND list_contains(?, source_row)", [record["landing_id"], list(kept)])
        writer.delete(LANDINGS, "landing_id = ?", [record["landing_id"]])
        writer.insert(LANDINGS, [[{**record, **changed}[name] for name, _ in LANDINGS.columns]])
        # It waits for a build again; and what a build knows of older landings is of before.
        writer.delete(PUBLISHED_LANDINGS, "landing_id = ?", [record["landing_id"]])
        writer.insert(FULL_BUILD_STARTS, [[version, now, "replay"]])


def _fields_of(record: Mapping[str, Any], table: Table) -> delimited.Fields | None:
    """Where the columns stood in the file, or None for rows of keys: JSON lines, and what has been kept as such."""
    if record["layout"] in {"keys", "columns", "parsed", MESSAGES}:
        return None
    assert isinstance(table.format, Delimited)
    names = json.loads(record["fields"]) if record["fields"] else None
    if names is None:
        first = int(record["layout"].endswith("index"))
        names = [*([""] * first), *table.column_names]
    columns: dict[int, Column] = {at: column for column in table.columns for at in _places(names, column.name)}
    return delimited.Fields(columns, len(names), table.format.delimiter)


def _places(names: Sequence[str], name: str) -> list[int]:
    return [names.index(name)] if name in names else []


def _body(record: Mapping[str, Any]) -> rows.Body | None:
    """Times that are not far from those of the landing."""
    low, high = record["min_event_at"], record["max_event_at"]
    if low is None or high is None:
        return None
    return (low - _EPOCH).total_seconds() - LONGEST_S, (high - _EPOCH).total_seconds() + LONGEST_S
