"""DuckDB as every part of gpulake opens it, and its errors in our own words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

import duckdb
import pyarrow as pa

from gpulake.errors import GpulakeError, LakeError, LockError, UsageError
from gpulake.lake.layout import Layout

Connection = duckdb.DuckDBPyConnection
QueryError = duckdb.Error
"""Whatever DuckDB says of a statement. Ctrl-C is none: it ends the query by a RuntimeError."""

EXTENSIONS = ("ducklake",)
SETTINGS: Mapping[str, str | bool] = {
    # After a merge or a widened type, filters would be answered from statistics of another version.
    "disabled_optimizers": "statistics_propagation",
    # Everything needed is installed; nothing is fetched while running.
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}
_TRUSTED: Mapping[str, bool] = {
    # What is loaded came with a wheel, as DuckDB itself did, by the lock file's digest. To have its signature checked takes a ninth of
    # a second each time. It holds for these files alone: `connect` takes it back, for good, as soon as they are loaded.
    "allow_unsigned_extensions": True,
}


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
    options = [f"DATA_PATH '{quoted(data)}/'", "OVERRIDE_DATA_PATH true"]
    if version is not None:
        options.extend(["READ_ONLY", f"SNAPSHOT_VERSION {int(version)}"])
    elif read_only:
        options.append("READ_ONLY")
    return ", ".join(options)


def connect(*, extensions: Sequence[str] = EXTENSIONS) -> duckdb.DuckDBPyConnection:
    """DuckDB with nothing attached yet. Whatever else is loaded must be signed by DuckDB's makers."""
    connection = duckdb.connect(config={**SETTINGS, **_TRUSTED})
    for name in extensions:
        load(connection, name)
    connection.execute("SET allow_unsigned_extensions = false")
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    # A query of more than two seconds would draw it on standard output, in front of the one JSON object.
    connection.execute("SET enable_progress_bar = false")
    return connection


def for_few_rows(connection: duckdb.DuckDBPyConnection) -> None:
    """Keep nothing for the next statement: small ones leave what they need where it lies, and their peaks do not add up.

    A second thread would do nothing but wait, and take its time; what is read of a file lies in the machine's own memory already.
    """
    connection.execute("SET threads = 1")
    connection.execute("SET enable_external_file_cache = false")
    # It reads a table's description from the catalog once more, to spare the columns of rows that are few as it is.
    connection.execute(f"SET disabled_optimizers = '{SETTINGS['disabled_optimizers']},late_materialization'")


def give_back(connection: duckdb.DuckDBPyConnection) -> None:
    """Leave to the machine, after each statement, the memory that it does not hold any more: it costs a tenth of small statements."""
    connection.execute("SET allocator_bulk_deallocation_flush_threshold = '1MB'")


def hold_at_most(connection: duckdb.DuckDBPyConnection, memory: str, *, scratch: Path) -> None:
    """What DuckDB may hold at once; beyond it sorts and joins spill into `scratch`. Raises UsageError where that is no size."""
    try:
        connection.execute(f"SET memory_limit = '{quoted(memory)}'")
    except duckdb.ParserException as error:
        raise UsageError(
            f"{memory[:40]!r} is no size of memory.", where="GPULAKE_MEMORY", do="write it as 800MB"
        ) from error
    with suppress(duckdb.NotImplementedException):  # once it was used it cannot be another
        connection.execute(f"SET temp_directory = '{quoted(scratch)}'")


def load(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    """Load an extension: only those that are needed are."""
    connection.execute(f"LOAD '{quoted(extension_file(name))}'")


def attach(
    connection: duckdb.DuckDBPyConnection,
    catalog: Path,
    data: Path,
    *,
    alias: str,
    version: int | None = None,
    read_only: bool = False,
) -> None:
    """Attach a lake and open its catalog. Raises duckdb.Error where that cannot be."""
    options = attach_options(data, version=version, read_only=read_only)
    kind = ""
    if catalog.suffix == ".sqlite":  # a lake of the version before, until the next writer brings it over
        load(connection, "sqlite_scanner")
        kind, options = "sqlite:", f"{options}, META_BUSY_TIMEOUT 30000"
    connection.execute(f"ATTACH 'ducklake:{kind}{quoted(catalog)}' AS {alias} ({options})")
    # ATTACH alone opens nothing. An open catalog can be read to the end, whatever becomes of its file's name.
    connection.execute(f"FROM {alias}.current_snapshot()")


@contextmanager
def lent(
    layout: Layout,
    *,
    version: int | None,
    threads: int,
    memory: str,
    scratch: Path,
) -> Iterator[Connection]:
    """A connection for statements that name their tables `lake.<schema>.<table>`: at the newest version, or read-only at one.

    Who writes holds the lock, and nobody else has the catalog open.
    `memory`: what DuckDB may hold at once; beyond it sorts and joins spill into `scratch`. Raises LakeError where the
    lake cannot be opened.
    """
    used = connect()
    try:
        if threads == 1:
            for_few_rows(used)
            give_back(used)
        else:
            used.execute(f"SET threads = {int(threads)}")
        hold_at_most(used, memory, scratch=scratch)
        try:
            attach(used, layout.catalog, layout.data, alias="lake", version=version)
        except duckdb.Error as error:
            raise lake_error(error, layout.folder) from error
        yield used
    except BaseException:
        used.interrupt()  # what Ctrl-C has left running in other threads
        raise
    finally:
        with suppress(duckdb.Error):  # a full disk may have broken the database
            used.execute("DETACH lake")
        used.close()


def answer(
    connection: duckdb.DuckDBPyConnection, query: str, params: Sequence[object] | Mapping[str, object]
) -> pa.Table:
    """The rows of one query. Raises UsageError where the query is at fault, LakeError where the lake is."""
    try:
        return connection.execute(query, params).to_arrow_table()
    except (RuntimeError, KeyboardInterrupt):
        # Ctrl-C stops this thread only. Without a word the others go on, and whoever closes the connection waits for them.
        connection.interrupt()
        raise
    except (duckdb.IOException, duckdb.InternalException, duckdb.FatalException, duckdb.OutOfMemoryException) as error:
        raise LakeError(first_line(error), do="run: gpulake verify") from error
    except duckdb.Error as error:
        # DuckLake's own: its catalog cannot be read. Or a data file is not what it was.
        if type(error) is duckdb.Error or (isinstance(error, duckdb.InvalidInputException) and "arquet" in str(error)):
            raise LakeError(first_line(error), do="run: gpulake verify") from error
        raise UsageError(first_line(error), do="mend the query") from error


def lake_error(error: Exception, folder: Path) -> GpulakeError:
    """DuckDB's error, or a full disk's, as one of ours."""
    text = first_line(error)
    if "Could not set lock on file" in text:
        return LockError(text, where=str(folder), do="try again when that process has ended")
    do = "free some space and run it again" if "space" in text.lower() else "run: gpulake verify"
    return LakeError(text, where=str(folder), do=do)


def first_line(error: Exception) -> str:
    """DuckDB's message without its drawing of the query, but with the near miss, or the cause, that it names."""
    first, *others = str(error).strip().split("\n")
    near = next(
        (line for line in others if line.startswith(("Did you mean", "Candidate bindings", "Failed to commit"))), ""
    )
    return f"{first} {near}".rstrip()


def quoted(path: Path | str) -> str:
    """A path, or another text, inside an SQL string."""
    return str(path).replace("'", "''")
