"""Landing messages: some of each partition, in one transaction together with how far they reach.

The lake alone knows how far a stream has landed. Whoever lands says where he went on; where the lake is further already,
as after another consumer took over, what it holds is left out, so that no message ever lands twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import polars as pl
import pyarrow as pa

from gpulake import meta
from gpulake.config import Config
from gpulake.contract import Source, Table
from gpulake.lake import Writer
from gpulake.landing import rows
from gpulake.landing.clusters import cluster_settings, note_cluster
from gpulake.landing.landings import moment_of, name_landing
from gpulake.landing.messages import MESSAGES, Messages, as_messages
from gpulake.tables import LANDINGS, OFFSETS, QUARANTINE, LakeTable, bronze_tables

_NEIGHBOURS = 1_000
"""So many messages are looked at closely together, where one of them needs it."""


@dataclass(frozen=True)
class Stretch:
    """Messages of one partition in their order. `from_offset` is where reading went on, `next_offset` where it goes on."""

    source: Source
    table: Table
    stream: str
    topic: str
    partition: int
    generation: int
    topic_uid: str
    from_offset: int
    next_offset: int
    offsets: Sequence[int]
    values: Sequence[bytes]
    lost: int = 0

    @property
    def name(self) -> str:
        """What names it among all that ever land."""
        parts = (self.stream, self.topic, self.partition, self.generation, self.from_offset, self.next_offset)
        return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()


@dataclass(frozen=True)
class StretchLanded:
    """What became of a stretch."""

    stretch: Stretch
    landing_id: str
    rows_kept: int
    rows_refused: int
    max_event_at: datetime | None


class StretchLander:
    """Lands messages of one stream while a lock is held: what only its holder can change is asked of the lake once."""

    def __init__(self, writer: Writer, *, stream: str, config: Config, cluster: str | None) -> None:
        self._writer = writer
        self._stream = stream
        self._config = config
        self._cluster = cluster
        self._positions: dict[tuple[str, int], meta.Position] | None = None
        self._last_no: int | None = None
        self._noted: set[str] = set()

    def positions(self) -> Mapping[tuple[str, int], meta.Position]:
        """How far each partition of the stream has landed, by topic and partition."""
        if self._positions is None:
            self._positions = meta.positions(self._writer, self._stream)
        return self._positions

    def land(self, stretches: Sequence[Stretch], *, now: datetime) -> tuple[StretchLanded, ...]:
        """Land messages with their offsets: all or nothing. Raises LakeError; then nothing has landed."""
        writer = self._writer
        positions = dict(self.positions())
        first_no = (meta.last_landing_no(writer) if self._last_no is None else self._last_no) + 1
        landed: list[_Landed] = []
        by_table: dict[str, list[Stretch]] = {}
        for stretch in stretches:
            by_table.setdefault(stretch.table.name, []).append(stretch)
        for together in by_table.values():
            landed += _converted(writer, together, config=self._config, cluster=self._cluster)
        sources = {each.stretch.source.name: each.stretch.source for each in landed}
        with writer.transaction("land", stretches=[each.landing_id for each in landed]):
            for each in landed:
                if each.file is not None:
                    writer.add_files(each.bronze, [each.file])
            if refused := [each.refused for each in landed if each.refused is not None and each.refused.height]:
                writer.insert(QUARANTINE, pl.concat(refused).to_arrow())
            records = [each.record(first_no + number, now) for number, each in enumerate(landed)]
            writer.insert(LANDINGS, _arrow(LANDINGS, records))
            writer.insert(OFFSETS, _arrow(OFFSETS, [each.offsets_record(now) for each in landed]))
            for source in sources.values():
                if source.describes_cluster and source.name not in self._noted:
                    note_cluster(writer, _cluster_id(source, self._cluster), source, self._config, now)
        for stretch in stretches:
            place = (stretch.topic, stretch.partition)
            positions[place] = meta.Position(stretch.generation, stretch.next_offset, stretch.topic_uid)
        self._positions = positions
        self._last_no = first_no + len(landed) - 1
        self._noted |= sources.keys()
        return tuple(each.told() for each in landed)


@dataclass(frozen=True)
class _Landed:
    stretch: Stretch
    landing_id: str
    cluster_id: str
    bronze: LakeTable
    file: Path | None  # that of all stretches of a table stands with the first of them
    rows_kept: int
    refused: pl.DataFrame | None  # None where no row of any stretch of its table is
    times_unknown: int
    values_missing: int
    low: float | None
    high: float | None

    @property
    def rows_refused(self) -> int:
        return 0 if self.refused is None else self.refused.height

    def record(self, landing_no: int, now: datetime) -> dict[str, object]:
        stretch = self.stretch
        return {
            "landing_id": self.landing_id,
            "landing_no": landing_no,
            "source": stretch.source.name,
            "cluster_id": self.cluster_id,
            "table_name": stretch.table.name,
            "bronze_table": stretch.table.bronze,
            "file_name": f"{stretch.topic}/{stretch.partition}",
            "file_sha256": stretch.name,
            "file_bytes": sum(map(len, stretch.values)),
            "layout": MESSAGES,
            "rows_in": len(stretch.values),
            "rows_kept": self.rows_kept,
            "rows_refused": self.rows_refused,
            "times_unknown": self.times_unknown,
            "values_missing": self.values_missing,
            "published_bytes": False,
            "min_event_at": moment_of(self.low),
            "max_event_at": moment_of(self.high),
            "landed_at": now,
            "fields": None,
            "corrects": False,
        }

    def offsets_record(self, now: datetime) -> dict[str, object]:
        stretch = self.stretch
        return {
            "stream": stretch.stream,
            "topic": stretch.topic,
            "partition": stretch.partition,
            "generation": stretch.generation,
            "topic_uid": stretch.topic_uid,
            "from_offset": stretch.from_offset,
            "next_offset": stretch.next_offset,
            "messages": len(stretch.values),
            "lost": stretch.lost,
            "landing_id": self.landing_id,
            "max_event_at": moment_of(self.high),
            "landed_at": now,
        }

    def told(self) -> StretchLanded:
        return StretchLanded(self.stretch, self.landing_id, self.rows_kept, self.rows_refused, moment_of(self.high))


def _cluster_id(source: Source, cluster: str | None) -> str:
    return cluster if cluster and source.describes_cluster else source.name


def _converted(writer: Writer, stretches: Sequence[Stretch], *, config: Config, cluster: str | None) -> list[_Landed]:
    """The rows of some stretches of one table, written into one file."""
    source, table = stretches[0].source, as_messages(stretches[0].table)
    cluster_id = _cluster_id(source, cluster)
    ids = [name_landing((source.name, cluster_id, table.name, stretch.name)) for stretch in stretches]
    (bronze,) = (each for each in bronze_tables([source]) if each.name == table.bronze)
    zone, _, _ = cluster_settings(cluster_id, source, config)
    values = [value for stretch in stretches for value in stretch.values]
    whose = pl.DataFrame(
        {
            "landing": pl.concat(
                [
                    pl.repeat(number, len(each.values), dtype=pl.Int64, eager=True)
                    for number, each in enumerate(stretches)
                ]
            ),
            "offset": pl.Series([offset for each in stretches for offset in each.offsets], dtype=pl.Int64),
        }
    )
    read = _read(values, table, zone)
    frame = _placed(read.frame, whose)
    refused = _placed(read.refused, whose) if read.refused.height else None
    names = pl.Series(ids, dtype=pl.String)
    file = None
    if frame.height:
        folder = writer.data_folder(bronze)
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"ducklake-{ids[0][:24]}-messages.parquet"
        in_order = frame.with_columns(landing_id=names.gather(frame["landing"]))
        rows.write(in_order.select(*table.column_names, "landing_id", "source_row"), file, is_lasting=False)
    landed = []
    for number, stretch in enumerate(stretches):
        own = frame if len(stretches) == 1 else frame.filter(pl.col("landing") == number)
        low, high = rows.event_range(own, table)
        own_refused = None
        if refused is not None:
            own_refused = refused.filter(pl.col("landing") == number).select(
                landing_id=pl.lit(ids[number]),
                file_name=pl.lit(f"{stretch.topic}/{stretch.partition}"),
                source_row="source_row",
                reason="reason",
                raw_text="raw_text",
            )
        landed.append(
            _Landed(
                stretch=stretch,
                landing_id=ids[number],
                cluster_id=cluster_id,
                bronze=bronze,
                file=file if number == 0 else None,
                rows_kept=own.height,
                refused=own_refused,
                times_unknown=int(own["times_unknown"].sum()),
                values_missing=sum(_lacking(own, table).values()),
                low=low,
                high=high,
            )
        )
    return landed


def _read(values: Sequence[bytes], table: Table, zone: str) -> rows.Read:
    """The rows of messages. How one is read depends on no other: so a fault costs the quick way to its neighbours only."""
    if whole := rows.read_quickly(Messages(values, table), table, None, zone):
        return whole
    pieces = []
    for start in range(0, len(values), _NEIGHBOURS):
        read = rows.read_chunk(Messages(values[start : start + _NEIGHBOURS], table), table, None, zone)
        at = pl.col("source_row") + start
        pieces.append(replace(read, frame=read.frame.with_columns(at), refused=read.refused.with_columns(at)))
    return rows.joined(pieces, table)


def _lacking(frame: pl.DataFrame, table: Table) -> Mapping[str, int]:
    """Without what a message may leave out."""
    lackable = {column.name for column in table.columns if column.may_lack}
    missing = rows.missing_values(frame, table)
    return {name: count for name, count in missing.items() if count < frame.height or name not in lackable}


def _placed(frame: pl.DataFrame, whose: pl.DataFrame) -> pl.DataFrame:
    """The rows with the stretch that they are of, and their offset as their number."""
    at = frame["source_row"]
    return frame.with_columns(landing=whose["landing"].gather(at), source_row=whose["offset"].gather(at))


_TYPES = {
    "varchar": pa.string(),
    "bigint": pa.int64(),
    "boolean": pa.bool_(),
    "timestamp": pa.timestamp("us"),
}


def _arrow(table: LakeTable, records: Sequence[Mapping[str, object]]) -> pa.Table:
    """Records of a table as one insertion: each insertion is a file."""
    return pa.Table.from_pylist(list(records), schema=pa.schema([(name, _TYPES[kind]) for name, kind in table.columns]))
