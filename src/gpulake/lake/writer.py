"""Writing a lake: one writer at a time, whole transactions, and publications that survive being cut off."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa

from gpulake.errors import GpulakeError, LakeError
from gpulake.lake import files
from gpulake.lake.connection import (
    Connection,
    answer,
    attach,
    connect,
    for_few_rows,
    give_back,
    hold_at_most,
    lake_error,
    lent,
    quoted,
)
from gpulake.lake.layout import Layout, Publication
from gpulake.lake.migration import bring_over
from gpulake.lake.tidying import Untidy, find_untidy
from gpulake.tables import META_TABLES, PUBLICATIONS, PUBLISHED_LANDINGS, LakeTable

_CATALOG_OPTIONS = {
    # Inlined rows can vanish under a long reader when somebody flushes them.
    "data_inlining_row_limit": "0",
    # The codec must be set before its level.
    "parquet_compression": "zstd",
    "parquet_compression_level": "1",
    # Its encodings of numbers and of ids are written in three quarters of the time, and are smaller.
    "parquet_version": "2",
    # Who looks for few rows of a table that lies in their order reads a third of what he would read by default.
    "parquet_row_group_size": "40960",
}

_SQLITE = ".sqlite"


class Writer:
    """The one writer of a lake, while it holds the lock."""

    def __init__(self, layout: Layout, lock_fd: int) -> None:
        self.layout = layout
        self.lock_fd = lock_fd
        self._duckdb: duckdb.DuckDBPyConnection | None = None
        self._attached = False
        self._renewed = False

    @property
    def _connection(self) -> duckdb.DuckDBPyConnection:
        if self._duckdb is None:
            self._duckdb = connect()
            for_few_rows(self._duckdb)
        if not self._attached:
            try:
                attach(self._duckdb, self.layout.catalog, self.layout.data, alias="lake")
            except duckdb.Error as error:
                self._close()
                raise lake_error(error, self.layout.folder) from error
            self._attached = True
        self._renewed = False
        return self._duckdb

    def let_go(self) -> None:
        """Close the catalog, so that the one process that may open it can be another. The next use opens it again.

        DuckDB is closed with it: another costs a hundredth of a second, and what it has read would stay in memory beside the next.
        """
        self._close()
        self._renewed = False

    def give_back(self) -> None:
        """Hold no memory for later, until the catalog is closed: others of this process need it."""
        give_back(self._connection)

    @contextmanager
    def lend(self, *, version: int | None, threads: int, memory: str, scratch: Path) -> Iterator[Connection]:
        """A connection for statements of somebody else: see `lent`.

        For few rows at the newest version it is the writer's own; else that is closed meanwhile.
        """
        if threads > 1 or version is not None:
            self.let_go()
            with lent(self.layout, version=version, threads=threads, memory=memory, scratch=scratch) as connection:
                yield connection
            return
        connection = self._connection
        ((limit,),) = connection.execute("SELECT current_setting('memory_limit')").fetchall()
        try:
            hold_at_most(connection, memory, scratch=scratch)
            yield connection
        except BaseException:
            connection.interrupt()  # what Ctrl-C has left running in other threads
            self._close()  # with whatever it was in
            raise
        try:
            with suppress(duckdb.TransactionException):  # none was left open
                connection.execute("ROLLBACK")
            connection.execute(f"SET memory_limit = '{limit}'")  # RESET resets only what is shown
        except (
            duckdb.Error
        ):  # a full disk may have broken the database: what failed has been told, and the next use opens another
            self._close()

    def sql(self, query: str, params: Sequence[object] = ()) -> pa.Table:
        """The rows of one query at the newest version."""
        return answer(self._connection, query, params)

    def rows_of(self, schema: str) -> dict[str, int]:
        """The rows of each table of a schema at the newest version, as the catalog counts them: no file is opened."""
        counted = self.sql(
            "SELECT held.table_name, "
            "coalesce(sum(file.record_count), 0) - coalesce(sum(deletion.delete_count), 0) AS n "
            "FROM __ducklake_metadata_lake.ducklake_table AS held "
            "INNER JOIN __ducklake_metadata_lake.ducklake_schema AS house USING (schema_id) "
            "LEFT JOIN __ducklake_metadata_lake.ducklake_data_file AS file "
            "ON held.table_id = file.table_id AND file.end_snapshot IS NULL "
            "LEFT JOIN __ducklake_metadata_lake.ducklake_delete_file AS deletion "
            "ON file.data_file_id = deletion.data_file_id AND deletion.end_snapshot IS NULL "
            "WHERE held.end_snapshot IS NULL AND house.end_snapshot IS NULL AND house.schema_name = ? "
            "GROUP BY held.table_name ORDER BY held.table_name",
            [schema],
        )
        return {name: int(n) for name, n in zip(*(column.to_pylist() for column in counted.columns), strict=True)}

    def version(self) -> int:
        """The lake's newest version."""
        return int(self.sql("FROM lake.current_snapshot()")["id"][0].as_py())

    def count_versions(self) -> int:
        """How many versions can be read."""
        return int(self.sql("SELECT count(*) AS n FROM __ducklake_metadata_lake.ducklake_snapshot")["n"][0].as_py())

    @contextmanager
    def transaction(self, message: str, **extra: object) -> Iterator[None]:
        """All or nothing. `extra` is kept with the commit. Raises LakeError when the commit fails (disk full…)."""
        self._execute("BEGIN")
        try:
            self._execute(
                "CALL lake.set_commit_message('gpulake', ?, extra_info => ?)", [message, json.dumps(extra, default=str)]
            )
            yield
            self._execute("COMMIT")
        except BaseException:
            with suppress(GpulakeError):  # a failed COMMIT has already ended the transaction
                self._execute("ROLLBACK")
            raise

    def insert(self, table: LakeTable, rows: Sequence[Sequence[object]] | pa.Table) -> None:
        """Append rows, in the table's own column order (a pa.Table: by column name)."""
        columns = rows.column_names if isinstance(rows, pa.Table) else [name for name, _ in table.columns]
        names = ", ".join(f'"{name}"' for name in columns)
        if isinstance(rows, pa.Table):
            self._connection.register("arriving", rows)
            self._execute(f"INSERT INTO {table.qualified} ({names}) SELECT {names} FROM arriving")
            self._connection.unregister("arriving")
            return
        places = ", ".join("?" for _ in columns)
        for row in rows:
            self._execute(f"INSERT INTO {table.qualified} ({names}) VALUES ({places})", list(row))

    def replace(
        self, table: LakeTable, rows: pa.Table, *, of: Sequence[str], key: Sequence[str], but: Sequence[str] = ()
    ) -> None:
        """Make the rows with these values of `of` be these, by `key`: one that differs in no column, but `but`, stays as it is."""
        values = ", ".join(f'"{name}"' for name in rows.column_names if name not in but)
        names = ", ".join(f'"{name}"' for name in rows.column_names)
        place = ", ".join(f'"{name}"' for name in (*of, *key))
        group = ", ".join(f'"{name}"' for name in of)
        self._connection.register("arriving", rows)
        held = f"SELECT {values} FROM {table.qualified} SEMI JOIN arriving USING ({group})"
        new = f"SELECT {values} FROM arriving"
        self._execute(
            f"CREATE OR REPLACE TEMP TABLE changed AS SELECT {place} FROM ({held} EXCEPT {new}) "
            f"UNION SELECT {place} FROM ({new} EXCEPT {held}) "
            f"UNION SELECT {place} FROM ({held}) GROUP BY {place} HAVING count(*) > 1"
        )
        self._execute(f"DELETE FROM {table.qualified} WHERE ({place}) IN (SELECT ({place}) FROM changed)")
        self._execute(
            f"INSERT INTO {table.qualified} ({names}) SELECT {names} FROM arriving SEMI JOIN changed USING ({place})"
        )
        self._execute("DROP TABLE changed")
        self._connection.unregister("arriving")

    def delete(self, table: LakeTable, where: str, params: Sequence[object]) -> None:
        """Delete the rows of a declared table that meet a condition with bound values."""
        self._execute(f"DELETE FROM {table.qualified} WHERE {where}", list(params))

    def data_folder(self, table: LakeTable) -> Path:
        """Where files of a table belong that `add_files` will make part of it."""
        return self.layout.data / table.schema / table.name

    def add_files(self, table: LakeTable, files: Sequence[Path]) -> None:
        """Make finished Parquet files part of a table, in the current transaction; absent columns read as null."""
        if files:
            self._execute(
                "CALL ducklake_add_data_files('lake', ?, ?, schema => ?, allow_missing => true)",
                [table.name, [str(file) for file in files], table.schema],
            )

    def publish(
        self,
        *,
        build_id: int,
        data_version: int,
        fingerprint: str,
        full_build: bool,
        rows: Mapping[str, int],
        landing_ids: Sequence[str],
        now: datetime,
        tested_everything: bool = True,
        waited_s: float | None = None,
        event_age_s: float | None = None,
    ) -> Publication:
        """Make a tested version the Publication: the record first, then the catalog copy, then the pointer."""
        told = json.dumps(dict(rows))
        record = (
            build_id, data_version, now, fingerprint, full_build, told, tested_everything, waited_s, event_age_s
        )  # fmt: skip
        with self.transaction("publish", build_id=build_id):
            self.insert(PUBLICATIONS, [record])
            ids = pa.table(
                {
                    "build_id": pa.array([build_id] * len(landing_ids), pa.int64()),
                    "landing_id": pa.array(landing_ids, pa.string()),
                }
            )
            self.insert(PUBLISHED_LANDINGS, ids)
        publication = self.renew_copy()
        assert publication is not None
        return publication

    def renew_copy(self, *, anyway: bool = False) -> Publication | None:
        """Bring the readers' catalog copy and pointer up to the newest commit; None before the first publication.

        `anyway`: also where no version is newer, since versions were forgotten.
        """
        if self._renewed and not anyway:
            return self.layout.publication()
        last = self.sql(
            "SELECT build_id, data_version, published_at, waited_s, event_age_s FROM lake.meta.publications "
            "ORDER BY build_id DESC LIMIT 1"
        ).to_pylist()
        version = self.version()
        if not last:
            return None
        publication = Publication(
            build_id=last[0]["build_id"],
            data_version=last[0]["data_version"],
            ops_version=version,
            catalog=f"published/catalog-{version}.duckdb",
            published_at=last[0]["published_at"].isoformat(),
            waited_s=last[0]["waited_s"],
            event_age_s=last[0]["event_age_s"],
        )
        if anyway or publication != self._pointer_or_none():
            # All of it goes into the one file. (The lake itself is never checkpointed: that would rewrite its tables.)
            self._execute("CHECKPOINT __ducklake_metadata_lake")
            self._detach()
            self._write_copy(publication)
        self._drop_other_copies(publication)  # also what a writer left that was cut off last of all
        self._renewed = True
        return publication

    def _write_copy(self, publication: Publication) -> None:
        try:
            files.copy_whole(self.layout.catalog, self.layout.folder / publication.catalog)
            files.replace(self.layout.pointer, json.dumps(asdict(publication), indent=2).encode() + b"\n")
        except OSError as error:
            raise LakeError(
                f"the publication cannot be written: {error}.",
                where=str(self.layout.published),
                do="free some space, and run any writing command: it finishes the publication",
            ) from error

    def _drop_other_copies(self, publication: Publication) -> None:
        for old in self.layout.published.iterdir():
            if old.name != Path(publication.catalog).name and old.suffix != _SQLITE:
                old.unlink(missing_ok=True)

    def drop_retired(self) -> None:
        """Drop the catalogs of the version before, which were kept for whoever still read them."""
        for old in (self.layout.retired_catalog, *self.layout.published.glob(f"*{_SQLITE}")):
            old.unlink(missing_ok=True)
        if not self.layout.sqlite_catalog.exists():
            self.layout.sqlite_lock.unlink(missing_ok=True)

    def tidy(self) -> tuple[str, ...]:
        """Leave no table in many small files, or with many files of deletions; the names of those that were.

        Every version reads as before. Cut off anywhere, some tables are tidy and some are not yet.
        """
        found = find_untidy(self.sql)
        for untidy in found:
            if untidy.is_scattered:
                # (Never rewrite or checkpoint: older versions would read today's statistics.)
                self._execute(
                    "CALL ducklake_merge_adjacent_files('lake', ?, schema => ?, min_file_size => ?, max_file_size => ?)",
                    [untidy.table, untidy.schema, untidy.smallest, untidy.largest],
                )
            if untidy.worn:
                self._write_anew(untidy)
        return tuple(dict.fromkeys(f"{untidy.schema}.{untidy.table}" for untidy in found))

    def _write_anew(self, untidy: Untidy) -> None:
        """Take the rows out of some files and put them into new ones. A file without rows is dropped."""
        listed = self.sql(
            "SELECT data_file FROM ducklake_list_files('lake', ?, schema => ?)", [untidy.table, untidy.schema]
        )["data_file"]
        # Spelled out: only so are the other files left unread.
        worn = ", ".join(f"'{quoted(Path(file))}'" for file in listed.to_pylist() if Path(file).name in untidy.worn)
        order = ", ".join(f'"{column}"' for column in untidy.ordered_by)
        taken = f"FROM {untidy.qualified} WHERE filename IN ({worn})"
        with self.transaction("tidy", table=f"{untidy.schema}.{untidy.table}"):
            put = self.sql(f"INSERT INTO {untidy.qualified} SELECT * {taken} {f'ORDER BY {order}' if order else ''}")
            gone = self.sql(f"DELETE {taken}")
            if put != gone:
                raise LakeError(f"{untidy.qualified} could not be tidied: {put} rows put back of {gone}.")

    def merge_files(self) -> None:
        """Merge all that can be merged, in every table."""
        self._execute("CALL ducklake_merge_adjacent_files('lake')")

    def expire(self, versions: Sequence[int]) -> None:
        """Forget the versions given, and no other."""
        if versions:
            self._execute("CALL ducklake_expire_snapshots('lake', versions => ?)", [list(versions)])

    def delete_forgotten_files(self, *, older_than: datetime) -> None:
        """Delete files that no version needs since a time that lies before every running query's start."""
        self._execute("CALL ducklake_cleanup_old_files('lake', older_than => ?::timestamptz)", [_utc(older_than)])

    def delete_orphans(self, *, older_than: datetime) -> None:
        """Delete files that no version has ever known, as a killed writer leaves them. It looks at every file there is."""
        self._execute("CALL ducklake_delete_orphaned_files('lake', older_than => ?::timestamptz)", [_utc(older_than)])

    def _pointer_or_none(self) -> Publication | None:
        with suppress(LakeError):
            publication = self.layout.publication()
            if publication and (self.layout.folder / publication.catalog).is_file():
                return publication
        return None

    def _execute(self, query: str, params: Sequence[object] = ()) -> None:
        try:
            self._connection.execute(query, params)
        except duckdb.Error as error:
            raise lake_error(error, self.layout.folder) from error

    def prepare(self, tables: Sequence[LakeTable]) -> None:
        """Make the lake and whatever declared table it lacks; a lake that has all is left as it is."""
        kept = {option["option_name"]: option["value"] for option in self.sql("FROM lake.options()").to_pylist()}
        for name, value in _CATALOG_OPTIONS.items():
            # (A version is kept as V2: set anew, each look at the lock would write the catalog.)
            if kept.get(name, "").removeprefix("V") != value:
                self._execute(f"CALL lake.set_option('{name}', ?)", [value])
        # Asked of the catalog itself: DuckDB would read the statistics of each table, and bind each view, for its own list.
        found = self.sql(
            "SELECT house.schema_name, held.table_name, part.column_name "
            "FROM __ducklake_metadata_lake.ducklake_column AS part "
            "INNER JOIN __ducklake_metadata_lake.ducklake_table AS held USING (table_id) "
            "INNER JOIN __ducklake_metadata_lake.ducklake_schema AS house USING (schema_id) "
            "WHERE part.end_snapshot IS NULL AND held.end_snapshot IS NULL AND house.end_snapshot IS NULL"
        )
        there = {(f"lake.{row['schema_name']}.{row['table_name']}", row["column_name"]) for row in found.to_pylist()}
        missing = [table for table in tables if table.qualified not in {name for name, _ in there}]
        older = [table for table in tables if table not in missing]
        lacking = [(t, name, kind) for t in older for name, kind in t.columns if (t.qualified, name) not in there]
        if not missing and not lacking:
            return
        with self.transaction("make tables"):
            for schema in sorted({table.schema for table in missing} - {"main"}):
                self._execute(f"CREATE SCHEMA IF NOT EXISTS lake.{schema}")
            for table in missing:
                columns = ", ".join(f'"{name}" {kind}' for name, kind in table.columns)
                self._execute(f"CREATE TABLE {table.qualified} ({columns})")
            for table, name, kind in lacking:  # the lake was made by an earlier version
                self._execute(f'ALTER TABLE {table.qualified} ADD COLUMN "{name}" {kind}')
        self.count_empty_tables()

    def count_empty_tables(self) -> None:
        """Note of each table that never held a row that it has none.

        Of a table without counts a plan asks the catalog once per column: 0.7 ms each, in every query that names the table.
        """
        self._execute(
            "INSERT INTO __ducklake_metadata_lake.ducklake_table_stats (table_id, record_count, next_row_id, file_size_bytes) "
            "SELECT table_id, 0, 0, 0 FROM __ducklake_metadata_lake.ducklake_table AS held "
            "WHERE end_snapshot IS NULL AND NOT EXISTS "
            "(FROM __ducklake_metadata_lake.ducklake_table_stats AS counted WHERE counted.table_id = held.table_id)"
        )

    def _detach(self) -> None:
        if self._attached and self._duckdb is not None:
            self._attached = False
            try:
                self._duckdb.execute("DETACH lake")
            except duckdb.Error:  # a full disk may have broken the database; without a connection it ends all the same
                self._close()

    def _close(self) -> None:
        self._detach()
        if self._duckdb is not None:
            self._duckdb.close()
            self._duckdb = None


@contextmanager
def writing(
    folder: Path, *, purpose: str, wait_s: float = 0.0, tables: Sequence[LakeTable] = META_TABLES, make: bool = True
) -> Iterator[Writer]:
    """Take the lock and write; a cut-off publication is finished first. A missing lake is made, if `make` allows.

    A lake of the version before is brought over first.

    Raises LockError, naming the holder, when another writer does not finish within `wait_s` seconds; UsageError when
    there is no lake and none is to be made.
    """
    layout = Layout(folder)
    if not make and not any(file.exists() for file in (layout.catalog, layout.sqlite_catalog, layout.pointer)):
        raise Layout(folder).no_lake()
    try:
        for part in (layout.folder, layout.data, layout.published, layout.artefacts):
            part.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LakeError(f"the lake's folder cannot be made: {error.strerror}.", where=str(folder)) from error
    lock_fd = files.lock(layout, purpose, wait_s)
    writer = Writer(layout, lock_fd)
    try:
        bring_over(layout)
        _check_catalog(layout)
        writer.prepare(tables)
        writer.renew_copy()
        yield writer
        writer.renew_copy()
    finally:
        writer._close()  # noqa: SLF001  # the context manager is the class's other half
        os.close(lock_fd)


def _utc(moment: datetime) -> str:
    return f"{moment.isoformat()}+00"


def _check_catalog(layout: Layout) -> None:
    """A lost catalog must not be taken for a new lake: its files would be forgotten, then deleted."""
    if layout.pointer.exists() and not (layout.catalog.is_file() and layout.catalog.stat().st_size):
        raise LakeError(
            "the catalog is lost, but something was published here.",
            where=str(layout.catalog),
            do="restore it from a backup, or from the published copy beside publication.json",
        )
