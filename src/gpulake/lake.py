"""The lake: DuckLake behind its lock, its transactions and its publications. Nobody else opens DuckDB or the catalog.

A lake is one folder. Writers take turns at `catalog.sqlite` under one file lock; readers attach a copy of the catalog
that is made at each publication, read-only and pinned, so they never wait and never see a mix. The settings below are
needed for right answers, not for speed: each stands beside the fault it prevents.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from tempfile import gettempdir, mkdtemp

import duckdb
import pyarrow as pa

from gpulake.errors import GpulakeError, LakeError, LockError, UsageError
from gpulake.tables import META_TABLES, PUBLICATIONS, PUBLISHED_LANDINGS, LakeTable

EXTENSIONS = ("ducklake", "sqlite_scanner")
SETTINGS: Mapping[str, str | bool] = {
    # After a merge or a widened type, filters would be answered from statistics of another version.
    "disabled_optimizers": "statistics_propagation",
    # Everything needed is installed; nothing is fetched while running.
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}
_CATALOG_OPTIONS = {
    # Inlined rows can vanish under a long reader when somebody flushes them.
    "data_inlining_row_limit": "0",
    # The codec must be set before its level.
    "parquet_compression": "zstd",
    "parquet_compression_level": "1",
    # Its encodings of numbers and of ids are written in three quarters of the time, and are smaller.
    "parquet_version": "2",
}
_LOCK_POLL_S = 0.2
_OWN_PREFIX = "gpulake-reader-"


@dataclass(frozen=True)
class Publication:
    """What people read: tables at `data_version`, operations (`meta`) at `ops_version`, both in one catalog copy."""

    build_id: int
    data_version: int
    ops_version: int
    catalog: str
    published_at: str


@dataclass(frozen=True)
class Layout:
    """Where things lie in a lake's folder."""

    folder: Path

    @property
    def catalog(self) -> Path:
        """The writers' catalog."""
        return self.folder / "catalog.sqlite"

    @property
    def lock(self) -> Path:
        """The one write lock; its text says who holds it."""
        return self.folder / "catalog.sqlite.lock"

    @property
    def data(self) -> Path:
        """Every Parquet file, by schema and table."""
        return self.folder / "data"

    @property
    def pointer(self) -> Path:
        """The small file that says which catalog copy and versions are published."""
        return self.folder / "publication.json"

    @property
    def published(self) -> Path:
        """The folder of the catalog copy."""
        return self.folder / "published"

    @property
    def artefacts(self) -> Path:
        """The folder of the detectors' models, one folder per build."""
        return self.folder / "artefacts"

    def publication(self) -> Publication | None:
        """The current publication, or None before the first."""
        try:
            return Publication(**json.loads(self.pointer.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise LakeError(
                f"the publication pointer cannot be read: {error.strerror}.",
                where=str(self.pointer),
                do="check its rights",
            ) from error
        except (ValueError, TypeError) as error:
            raise LakeError(
                "the publication pointer is damaged.", where=str(self.pointer), do="run any writing command to renew it"
            ) from error


# ---------------------------------------------------------------------------------------------- reading


class View:
    """A read-only look at `lake`."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def sql(self, query: str, params: Sequence[object] = ()) -> pa.Table:
        """The rows of one query. Raises UsageError where the query is at fault, LakeError where the lake is."""
        return _rows(self._connection, query, params)


class Reader(View):
    """One pinned view: `lake` is the published data, `ops` the operations as of the newest commit."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, publication: Publication) -> None:
        super().__init__(connection)
        self.publication = publication
        self.build_id = publication.build_id
        self.data_version = publication.data_version
        self.published_at = datetime.fromisoformat(publication.published_at)

    def ask(self, query: str) -> pa.Table:
        """The rows of one statement that a person typed. Raises UsageError unless it does nothing but read the lake."""
        _check_only_reads(self._connection, query)
        return self.sql(query)


@contextmanager
def open_publication(folder: Path, *, build_id: int | None = None, earlier: int | None = None) -> Iterator[Reader]:
    """Open the publication, or an older kept one; another as `earlier`, if asked. Raises UsageError if there is none."""
    with _attached(folder, build_id, earlier) as (connection, publication):
        connection.execute(f"SET allowed_directories = ['{_quoted(Layout(folder).data)}/']")
        connection.execute("SET enable_external_access = false")
        # Without it a table name may be a variable of the Python program.
        connection.execute("SET python_enable_replacements = false")
        connection.execute("SET lock_configuration = true")
        yield Reader(connection, publication)


@contextmanager
def open_newest(folder: Path) -> Iterator[View | None]:
    """Read the newest commit, published or not, as `lake`; None where there is no lake yet."""
    layout = Layout(folder)
    if not layout.catalog.is_file():
        yield None
        return
    with closing(_connect()) as connection:
        _attach(connection, layout.catalog, layout.data, alias="lake", read_only=True)
        yield View(connection)


def write_duckdb(folder: Path, file: Path, *, layers: Sequence[str]) -> tuple[Publication, dict[str, int]]:
    """Copy the publication's tables whose names begin with a layer into a new DuckDB file; their rows by name.

    Views become tables. Raises LakeError when the file cannot be written.
    """
    with _attached(folder, None, None) as (connection, publication):
        named = connection.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_catalog = 'lake' AND table_schema = 'main' "
            "AND list_contains(?, split_part(table_name, '_', 1)) ORDER BY table_name",
            [list(layers)],
        ).fetchall()
        rows: dict[str, int] = {}
        try:
            connection.execute(f"ATTACH '{_quoted(file)}' AS out")
            for (name,) in named:
                counted = connection.execute(f'CREATE TABLE out."{name}" AS FROM lake.main."{name}"').fetchone()
                rows[name] = counted[0] if counted else 0
            connection.execute("DETACH out")
        except duckdb.Error as error:
            raise _lake_error(error, file) from error
    return publication, rows


@contextmanager
def _attached(folder: Path, *builds: int | None) -> Iterator[tuple[duckdb.DuckDBPyConnection, Publication]]:
    (build_id, earlier), layout = builds, Layout(folder)
    # DuckLake opens its catalog anew for each query, and the next publication removes this one's copy: a reader that
    # is to stay where it is needs one of its own, under a name that stays.
    with _own_folder() as own:
        for attempt in range(3):
            publication = layout.publication()
            if publication is None:
                raise UsageError(
                    "nothing is published here yet.", where=str(folder), do="run: gpulake refresh --data DIR"
                )
            connection = _connect()
            try:
                copy = Path(shutil.copy(folder / publication.catalog, own))
                _attach(connection, copy, layout.data, alias="ops", version=publication.ops_version)
                if earlier is not None:
                    other = _kept(connection, publication, earlier)
                    _attach(connection, copy, layout.data, alias="earlier", version=other.data_version)
                if build_id is not None and build_id != publication.build_id:
                    publication = _kept(connection, publication, build_id)
                _attach(connection, copy, layout.data, alias="lake", version=publication.data_version)
            except (duckdb.Error, OSError) as error:
                connection.close()
                if attempt < 2 and layout.publication() != publication:
                    continue  # a newer publication replaced the copy between reading the pointer and opening it
                raise _lake_error(error, folder) from error
            except GpulakeError:
                connection.close()
                raise
            with closing(connection):
                connection.execute("USE lake")
                yield connection, publication
                return


@contextmanager
def _own_folder() -> Iterator[Path]:
    """A temporary folder of this process; those that killed processes left behind are removed on the way."""
    try:
        _drop_ownerless_folders()
        folder = Path(mkdtemp(prefix=_OWN_PREFIX))
        while (lock := _claim(folder)) is None:
            folder = Path(mkdtemp(prefix=_OWN_PREFIX))
    except OSError as error:
        raise LakeError(
            f"no temporary folder can be made: {error.strerror}.", do="free some space, or set TMPDIR to another folder"
        ) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _claim(folder: Path) -> int | None:
    """Lock a folder while the descriptor given is open; None if it was taken for dead before."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        return None
    with suppress(OSError):  # a file system without locks: then nobody else can take the folder for dead
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    if folder.is_dir():
        return descriptor
    os.close(descriptor)
    return None


def _drop_ownerless_folders() -> None:
    """A living owner holds its folder's lock. (A process id would not do: it may be another process's by now.)"""
    for folder in Path(gettempdir()).glob(f"{_OWN_PREFIX}*"):
        with suppress(OSError):  # locked, somebody else's, or gone already
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                if os.fstat(descriptor).st_uid == os.geteuid():
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(folder)
            finally:
                os.close(descriptor)


def _kept(connection: duckdb.DuckDBPyConnection, newest: Publication, build_id: int) -> Publication:
    kept = connection.execute(
        "FROM ops.meta.publications WHERE data_version IN (SELECT snapshot_id FROM ops.snapshots()) ORDER BY build_id"
    ).fetchall()
    found = next((row for row in kept if row[0] == build_id), None)
    if found is None:
        raise UsageError(
            f"no publication of build {build_id} is kept: it was never made, or has been forgotten.",
            do=f"choose a build that is kept: {', '.join(str(row[0]) for row in kept)}",
        )
    return Publication(build_id, found[1], newest.ops_version, newest.catalog, found[2].isoformat())


# ---------------------------------------------------------------------------------------------- writing


class Writer:
    """The one writer of a lake, while it holds the lock."""

    def __init__(self, layout: Layout, lock_fd: int) -> None:
        self.layout = layout
        self.lock_fd = lock_fd
        self._open: duckdb.DuckDBPyConnection | None = None

    @property
    def _connection(self) -> duckdb.DuckDBPyConnection:
        if self._open is None:
            self._open = _connect()
            _attach(self._open, self.layout.catalog, self.layout.data, alias="lake")
        return self._open

    def sql(self, query: str, params: Sequence[object] = ()) -> pa.Table:
        """The rows of one query at the newest version."""
        return _rows(self._connection, query, params)

    def version(self) -> int:
        """The lake's newest version."""
        return int(self.sql("SELECT max(snapshot_id) AS version FROM lake.snapshots()")["version"][0].as_py())

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
    ) -> Publication:
        """Make a tested version the Publication: the record first, then the catalog copy, then the pointer."""
        with self.transaction("publish", build_id=build_id):
            self.insert(PUBLICATIONS, [(build_id, data_version, now, fingerprint, full_build, json.dumps(dict(rows)))])
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

    def renew_copy(self) -> Publication | None:
        """Bring the readers' catalog copy and pointer up to the newest commit; None before the first publication."""
        last = self.sql(
            "SELECT build_id, data_version, published_at FROM lake.meta.publications ORDER BY build_id DESC LIMIT 1"
        ).to_pylist()
        version = self.version()
        if not last:
            return None
        current = self._pointer_or_none()
        if current and (current.build_id, current.ops_version) == (last[0]["build_id"], version):
            self._drop_other_copies(current)  # a writer that was cut off last of all left them
            return current
        # Two SQLite libraries must not hold one file open in one process: closing either drops the other's locks.
        self._close()
        publication = Publication(
            build_id=last[0]["build_id"],
            data_version=last[0]["data_version"],
            ops_version=version,
            catalog=f"published/catalog-{version}.sqlite",
            published_at=last[0]["published_at"].isoformat(),
        )
        try:
            _copy_catalog(self.layout.catalog, self.layout.folder / publication.catalog)
            _replace(self.layout.pointer, json.dumps(asdict(publication), indent=2).encode() + b"\n")
            self._drop_other_copies(publication)
        except (OSError, sqlite3.Error) as error:
            raise LakeError(
                f"the publication cannot be written: {error}.",
                where=str(self.layout.published),
                do="free some space, and run any writing command: it finishes the publication",
            ) from error
        return publication

    def _drop_other_copies(self, publication: Publication) -> None:
        for old in self.layout.published.iterdir():
            if old.name != Path(publication.catalog).name:
                old.unlink(missing_ok=True)

    def merge_files(self) -> None:
        """Merge small adjacent files. (Never rewrite or checkpoint: older versions would read today's statistics.)"""
        self._execute("CALL ducklake_merge_adjacent_files('lake')")

    def expire(self, versions: Sequence[int]) -> None:
        """Forget the versions given, and no other."""
        if versions:
            self._execute("CALL ducklake_expire_snapshots('lake', versions => ?)", [list(versions)])

    def delete_unused_files(self, *, older_than: datetime) -> None:
        """Delete files that no version needs since a time that lies before every running query's start."""
        for function in ("ducklake_cleanup_old_files", "ducklake_delete_orphaned_files"):
            self._execute(f"CALL {function}('lake', older_than => ?::timestamptz)", [f"{older_than.isoformat()}+00"])

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
            raise _lake_error(error, self.layout.folder) from error

    def prepare(self, tables: Sequence[LakeTable]) -> None:
        """Make the lake and whatever declared table it lacks; a lake that has all is left as it is."""
        kept = {option["option_name"]: option["value"] for option in self.sql("FROM lake.options()").to_pylist()}
        for name, value in _CATALOG_OPTIONS.items():
            if kept.get(name) != value:
                self._execute(f"CALL lake.set_option('{name}', ?)", [value])
        found = self.sql(
            "SELECT schema_name, table_name, column_name FROM duckdb_columns() WHERE database_name = 'lake'"
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

    def _close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None


@contextmanager
def writing(
    folder: Path, *, purpose: str, wait_s: float = 0.0, tables: Sequence[LakeTable] = META_TABLES, make: bool = True
) -> Iterator[Writer]:
    """Take the lock and write; a cut-off publication is finished first. A missing lake is made, if `make` allows.

    Raises LockError, naming the holder, when another writer does not finish within `wait_s` seconds; UsageError when
    there is no lake and none is to be made.
    """
    layout = Layout(folder)
    if not make and not layout.catalog.is_file() and not layout.pointer.exists():
        raise UsageError("there is no lake here.", where=str(folder), do="run: gpulake refresh --data DIR")
    try:
        for part in (layout.folder, layout.data, layout.published, layout.artefacts):
            part.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LakeError(f"the lake's folder cannot be made: {error.strerror}.", where=str(folder)) from error
    lock_fd = _lock(layout, purpose, wait_s)
    writer = Writer(layout, lock_fd)
    try:
        _check_catalog(layout)
        writer.prepare(tables)
        writer.renew_copy()
        yield writer
        writer.renew_copy()
    finally:
        writer._close()  # noqa: SLF001  # the context manager is the class's other half
        os.close(lock_fd)


def _check_catalog(layout: Layout) -> None:
    """A lost catalog must not be taken for a new lake: its files would be forgotten, then deleted."""
    if layout.pointer.exists() and not (layout.catalog.is_file() and layout.catalog.stat().st_size):
        raise LakeError(
            "the catalog is lost, but something was published here.",
            where=str(layout.catalog),
            do="restore it from a backup, or from the published copy beside publication.json",
        )


def _lock(layout: Layout, purpose: str, wait_s: float) -> int:
    try:
        descriptor = os.open(layout.lock, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise LakeError(
            f"the lake cannot be written: {error.strerror}.", where=str(layout.lock), do="check the folder's rights"
        ) from error
    deadline = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() < deadline:
                time.sleep(_LOCK_POLL_S)
                continue
            holder = os.pread(descriptor, 4096, 0).decode("utf-8", "replace").strip()
            os.close(descriptor)
            raise LockError(
                f"another process is writing this lake ({holder or 'it does not say who'}).",
                where=str(layout.lock),
                do="try again when it has finished, or wait for it with --wait SECONDS",
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"pid {os.getpid()}: {purpose}\n".encode(), 0)
        return descriptor


# --------------------------------------------------------------------------------------------- plumbing


def extension_file(name: str) -> Path:
    """The binary of an extension, as its PyPI wheel installed it."""
    spec = find_spec(f"duckdb_extension_{name}")
    if spec is None or not spec.submodule_search_locations:
        raise LakeError(f"the DuckDB extension {name} is not installed.", do="install gpulake again")
    found = sorted(Path(spec.submodule_search_locations[0]).glob(f"extensions/v*/{name}.duckdb_extension"))
    if not found:
        raise LakeError(f"the DuckDB extension {name} has no binary for this machine.", do="install gpulake again")
    return found[-1]


def attach_options(data: Path, *, version: int | None = None, read_only: bool = False) -> str:
    """The options of every ATTACH: pinned to a version, or at the newest one. A pinned one is read-only.

    The data path is given each time, so that a lake may be moved.
    """
    options = [
        f"DATA_PATH '{_quoted(data)}/'",
        "OVERRIDE_DATA_PATH true",
        # Without it readers and a writer fail on each other's locks.
        "META_BUSY_TIMEOUT 30000",
    ]
    if version is not None:
        options.extend(["READ_ONLY", f"SNAPSHOT_VERSION {int(version)}"])
    elif read_only:
        options.append("READ_ONLY")
    else:
        options.append("META_JOURNAL_MODE 'WAL'")
    return ", ".join(options)


def _connect() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config=dict(SETTINGS))
    for name in EXTENSIONS:
        connection.execute(f"LOAD '{_quoted(extension_file(name))}'")
    connection.execute("SET TimeZone = 'UTC'")
    # A query of more than two seconds would draw it on standard output, in front of the one JSON object.
    connection.execute("SET enable_progress_bar = false")
    return connection


def _attach(
    connection: duckdb.DuckDBPyConnection,
    catalog: Path,
    data: Path,
    *,
    alias: str,
    version: int | None = None,
    read_only: bool = False,
) -> None:
    options = attach_options(data, version=version, read_only=read_only)
    try:
        connection.execute(f"ATTACH 'ducklake:sqlite:{_quoted(catalog)}' AS {alias} ({options})")
    except duckdb.Error as error:
        if version is None:
            raise _lake_error(error, catalog.parent) from error
        raise


# What a person's query may call in its FROM clause. DuckDB's own limits have holes: the SQLite scanner opens any file
# of the machine, and COPY and EXPORT may write wherever reading is allowed.
_READING_FUNCTIONS = frozenset({
    "duckdb_columns", "duckdb_functions", "duckdb_schemas", "duckdb_settings", "duckdb_tables", "duckdb_types",
    "duckdb_views", "generate_series", "json_each", "json_tree", "pragma_table_info", "range", "repeat", "summary",
    "unnest",
})  # fmt: skip


def _check_only_reads(connection: duckdb.DuckDBPyConnection, query: str) -> None:
    explained = re.sub(r"^\s*explain(\s+analyze)?\b", "", query, count=1, flags=re.IGNORECASE)
    found = connection.execute("SELECT json_serialize_sql(?)", [explained]).fetchone()
    assert found is not None
    tree = json.loads(found[0])
    if tree["error"] and tree["error_type"] == "parser":
        raise UsageError(f"the query cannot be parsed: {tree['error_message']}.", do="mend the query")
    if tree["error"] or len(tree["statements"]) != 1:
        raise UsageError(
            "only one statement that reads is allowed.",
            do="write one select, from, with, values, describe, show, summarize or explain",
        )
    for name in _table_functions(tree["statements"]):
        if name not in _READING_FUNCTIONS:
            raise UsageError(f"the table function {name} is not allowed here.", do="read the lake's own tables")


def _table_functions(tree: object) -> Iterator[str]:
    """Every table function called anywhere in a parsed statement."""
    if isinstance(tree, list):
        for part in tree:
            yield from _table_functions(part)
    elif isinstance(tree, dict):
        if tree.get("type") == "TABLE_FUNCTION":
            yield str(tree["function"]["function_name"]).lower()
        for part in tree.values():
            yield from _table_functions(part)


def _rows(connection: duckdb.DuckDBPyConnection, query: str, params: Sequence[object]) -> pa.Table:
    try:
        return connection.execute(query, params).to_arrow_table()
    except (duckdb.IOException, duckdb.InternalException, duckdb.FatalException, duckdb.OutOfMemoryException) as error:
        raise LakeError(_first_line(error), do="run: gpulake verify") from error
    except duckdb.Error as error:
        # DuckLake's own: its catalog cannot be read. Or a data file is not what it was.
        if type(error) is duckdb.Error or (isinstance(error, duckdb.InvalidInputException) and "arquet" in str(error)):
            raise LakeError(_first_line(error), do="run: gpulake verify") from error
        raise UsageError(_first_line(error), do="mend the query") from error


def _lake_error(error: Exception, folder: Path) -> LakeError:
    text = _first_line(error)
    do = "free some space and run it again" if "space" in text.lower() else "run: gpulake verify"
    return LakeError(text, where=str(folder), do=do)


def _first_line(error: Exception) -> str:
    """DuckDB's message without its drawing of the query, but with the near miss it names."""
    first, *others = str(error).strip().split("\n")
    near = next((line for line in others if line.startswith(("Did you mean", "Candidate bindings"))), "")
    return f"{first} {near}".rstrip()


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")


def _copy_catalog(catalog: Path, copy: Path) -> None:
    unfinished = copy.with_suffix(".unfinished")
    unfinished.unlink(missing_ok=True)
    with closing(sqlite3.connect(catalog)) as source, closing(sqlite3.connect(unfinished)) as target:
        source.backup(target)
        target.execute("PRAGMA journal_mode = delete")
    _sync(unfinished)
    unfinished.replace(copy)
    _sync(copy.parent)


def _replace(file: Path, content: bytes) -> None:
    unfinished = file.with_suffix(".unfinished")
    unfinished.write_bytes(content)
    _sync(unfinished)
    unfinished.replace(file)
    _sync(file.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
