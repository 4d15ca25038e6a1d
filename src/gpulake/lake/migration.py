"""Bringing over a lake whose catalog is a SQLite file, as the version before made it.

The new catalog is made beside the old one, compared with it row for row, and only then given its name. The old one
stays under another name until the next compaction. Cut off anywhere, the next writer begins again, or ends it.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import duckdb

from gpulake.errors import LakeError, LockError
from gpulake.lake import files
from gpulake.lake.connection import attach, connect, lake_error, load, quoted
from gpulake.lake.layout import Layout


def bring_over(layout: Layout) -> None:
    """Give a lake of the version before its new catalog; any other lake is left as it is.

    Raises LakeError where the old catalog cannot be read, and LockError where an old gpulake is writing it.
    """
    old = layout.sqlite_catalog
    if not old.is_file() or not old.stat().st_size:
        return
    if not layout.catalog.is_file():
        with _kept_from_old_writers(layout):
            unfinished = layout.folder / "catalog.unfinished"
            try:
                _copy(old, unfinished, layout)
                files.put(unfinished, layout.catalog)
            except (duckdb.Error, OSError) as error:
                raise lake_error(error, old) from error
            except sqlite3.Error as error:
                raise LakeError(
                    f"the catalog of the version before cannot be read: {error}.",
                    where=str(old),
                    do="restore it from a backup",
                ) from error
    elif layout.retired_catalog.exists():
        raise LakeError(
            "a gpulake of the version before has begun a second catalog here.",
            where=str(old),
            do="move that file away, and land again what was landed with the old version",
        )
    old.replace(layout.retired_catalog)


@contextmanager
def _kept_from_old_writers(layout: Layout) -> Iterator[None]:
    """They take turns at a lock of another name."""
    descriptor = os.open(layout.sqlite_lock, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise LockError(
            "a gpulake of the version before is writing this lake.",
            where=str(layout.sqlite_lock),
            do="try again when it has finished",
        ) from None
    finally:
        os.close(descriptor)


def _copy(old: Path, new: Path, layout: Layout) -> None:
    for part in layout.folder.glob(f"{new.name}*"):
        part.unlink()
    # What stands in its log goes into the file, which is then all there is of the old catalog.
    with closing(sqlite3.connect(old)) as catalog:
        catalog.execute("PRAGMA journal_mode = delete")
    with closing(connect()) as connection:
        # An empty lake, for its tables. (They are DuckLake's own; it has made them differently for each catalog.)
        attach(connection, new, layout.data, alias="lake")
        connection.execute("DETACH lake")
        load(connection, "sqlite_scanner")
        # SQLite stores what it is given, whatever a column is declared as.
        connection.execute("SET sqlite_all_varchar = true")
        connection.execute(f"ATTACH '{quoted(old)}' AS old (TYPE sqlite, READ_ONLY)")
        connection.execute(f"ATTACH '{quoted(new)}' AS new")
        tables = _columns(connection, "new")
        strange = sorted(set(_columns(connection, "old")) - set(tables))
        if strange:
            raise LakeError(
                f"the catalog of the version before holds unknown tables: {', '.join(strange)}.", where=str(old)
            )
        for table, columns in tables.items():
            typed = ", ".join(f'"{name}"::{kind} AS "{name}"' for name, kind in columns)
            connection.execute(f'DELETE FROM new."{table}"')
            connection.execute(f'INSERT INTO new."{table}" BY NAME SELECT {typed} FROM old."{table}"')
            differing = connection.execute(
                f'SELECT count(*) FROM ((FROM new."{table}" EXCEPT ALL SELECT {typed} FROM old."{table}") UNION ALL '
                f'(SELECT {typed} FROM old."{table}" EXCEPT ALL FROM new."{table}"))'
            ).fetchone()
            if differing != (0,):
                raise LakeError(f"the catalog's table {table} could not be copied whole.", where=str(old))
        connection.execute("CHECKPOINT new")
        connection.execute("DETACH new")


def _columns(connection: duckdb.DuckDBPyConnection, database: str) -> dict[str, list[tuple[str, str]]]:
    found = connection.execute(
        "SELECT table_name, list((column_name, data_type) ORDER BY column_index) FROM duckdb_columns() "
        "WHERE database_name = ? GROUP BY table_name ORDER BY table_name",
        [database],
    )
    return dict(found.fetchall())
