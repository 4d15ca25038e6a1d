"""What a source told, as events to be told again: rows with the time at which each became known, and as messages."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import polars as pl

from gpulake.config import Config
from gpulake.contract import Source, Table
from gpulake.lake import View
from gpulake.landing import rows
from gpulake.landing.clusters import cluster_settings
from gpulake.landing.messages import keys, written
from gpulake.landing.surveys import Survey


@dataclass(frozen=True)
class Events:
    """The rows of one table. `at_s`: when each is known, in its source's seconds; NaN where it has no time.

    `together`: the first row of those that a row is told together with, often itself.
    """

    source: Source
    table: Table
    at_s: npt.NDArray[np.float64] = field(repr=False)
    together: npt.NDArray[np.int64] = field(repr=False)
    _frame: pl.DataFrame = field(repr=False)

    def messages(self, which: npt.NDArray[np.int64]) -> list[tuple[bytes, bytes]]:
        """The key and the value of some rows, in the order asked for."""
        rows_asked = self._frame[which]
        told = zip(keys(rows_asked, self.table), written(rows_asked, self.table), strict=True)
        return [(key.encode(), value.encode()) for key, value in told]


def of_delivery(surveyed: Survey, *, config: Config, cluster: str | None, tables: tuple[str, ...]) -> Iterator[Events]:
    """The good rows of files, by table. Raises SourceError for a file that cannot be read."""
    found: dict[str, list[pl.DataFrame]] = {}
    owners: dict[str, tuple[Source, Table]] = {}
    with TemporaryDirectory(prefix="gpulake-replay-") as folder:
        for delivered in surveyed.delivered:
            if tables and delivered.table.name not in tables:
                continue
            cluster_id = cluster if cluster and delivered.source.describes_cluster else delivered.source.name
            zone, _, _ = cluster_settings(cluster_id, delivered.source, config)
            name = hashlib.sha256(bytes(delivered.path)).hexdigest()
            converted = rows.convert(delivered.recognised, landing_id=name, folder=Path(folder) / name, time_zone=zone)
            owners[delivered.table.name] = (delivered.source, delivered.source.table(delivered.table.name))
            found.setdefault(delivered.table.name, []).extend(
                pl.read_parquet(file, columns=list(delivered.table.column_names)) for file in converted.files
            )
    for name, frames in found.items():
        if frames:
            yield _events(*owners[name], pl.concat(frames))


def of_lake(view: View, source: Source, *, cluster: str, tables: tuple[str, ...]) -> Iterator[Events]:
    """The rows of a cluster that have landed and are published, by table."""
    for table in source.tables:
        if tables and table.name not in tables:
            continue
        names = ", ".join(f'"{name}"' for name in table.column_names)
        frame = pl.DataFrame(
            pl.from_arrow(
                view.sql(
                    f'SELECT {names} FROM lake.main."{table.bronze}" SEMI JOIN (SELECT landing_id FROM lake.meta.landings '
                    "WHERE source = ? AND cluster_id = ? AND table_name = ?) AS mine USING (landing_id)",
                    [source.name, cluster, table.name],
                )
            )
        )
        if frame.height:
            yield _events(source, table, frame)


def _events(source: Source, table: Table, frame: pl.DataFrame) -> Events:
    if table.span is None:
        return Events(source, table, np.full(frame.height, np.nan), np.arange(frame.height), frame)
    at = frame.select(rows.known_at(table).cast(pl.Float64))[:, 0].to_numpy()
    at_s = np.asarray(at, dtype=np.float64)
    return Events(source, table, at_s, _together(frame, table, at_s), frame)


def _together(frame: pl.DataFrame, table: Table, at_s: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    if not table.in_pieces:
        return np.arange(frame.height)
    moments = pl.DataFrame({"key": keys(frame, table), "at_s": at_s}).with_row_index("row")
    return moments.select(pl.col("row").min().over("key", "at_s").cast(pl.Int64))["row"].to_numpy()
