"""Reading a lake: the publication, an older one that is kept, or the newest commit."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pyarrow as pa

from gpulake.errors import GpulakeError, LakeError, UsageError
from gpulake.lake import files
from gpulake.lake.answers import Answers
from gpulake.lake.connection import answer, attach, connect, lake_error, quoted
from gpulake.lake.layout import Layout, Publication


class View:
    """A read-only look at `lake`. `answers`: those given before, where they are kept."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, answers: Answers | None = None) -> None:
        self._connection = connection
        self._answers = answers

    def sql(self, query: str, params: Sequence[object] = ()) -> pa.Table:
        """The rows of one query. Raises UsageError where the query is at fault, LakeError where the lake is."""
        if self._answers is None:
            return answer(self._connection, query, params)
        return self._answers.of(query, params, lambda: answer(self._connection, query, params))

    @contextmanager
    def read_once(self, table: str, query: str, params: Sequence[object] = ()) -> Iterator[None]:
        """While it lasts, the name of a table means the rows of a query, which are in memory: for several queries over few columns.

        Raises as `sql` does.
        """
        assert self._answers is None, "what a name means must not change where answers are kept"
        name = _identifier(table)
        answer(self._connection, f"CREATE TEMP TABLE {name} AS {query}", params)
        try:
            yield
        finally:
            self._connection.execute(f"DROP TABLE temp.{name}")


class Reader(View):
    """One pinned view: `lake` is the published data, `ops` the operations as of the newest commit."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, publication: Publication, answers: Answers | None = None
    ) -> None:
        super().__init__(connection, answers)
        self.publication = publication
        self.build_id = publication.build_id
        self.data_version = publication.data_version
        self.published_at = datetime.fromisoformat(publication.published_at)

    @contextmanager
    def beside(self) -> Iterator[Reader]:
        """The same look for another thread, while this one is open."""
        with closing(self._connection.cursor()) as cursor:
            cursor.execute("USE lake")
            yield Reader(cursor, self.publication, self._answers)

    def ask(self, query: str, params: Sequence[object] | Mapping[str, object] = ()) -> pa.Table:
        """The rows of one statement that a person wrote. Raises UsageError unless it does nothing but read the lake.

        `params` stand for its `?` in order, or for its `$name` by name.
        """
        _check_only_reads(self._connection, query)
        return answer(self._connection, query, params)


@contextmanager
def open_publication(
    folder: Path,
    *,
    build_id: int | None = None,
    earlier: int | None = None,
    threads: int | None = None,
    answers: Answers | None = None,
) -> Iterator[Reader]:
    """Open the publication, or an older kept one; another as `earlier`, if asked. Raises UsageError if there is none.

    `threads`: so many work on a query; else one per core. `answers`: where they are kept, to be given again.
    """
    connection, publication = _published(folder, build_id=build_id, earlier=earlier)
    with closing(connection):
        if threads is not None:
            connection.execute(f"SET threads = {int(threads)}")
        connection.execute(f"SET allowed_directories = ['{quoted(Layout(folder).data)}/']")
        connection.execute("SET enable_external_access = false")
        # Without it a table name may be a variable of the Python program.
        connection.execute("SET python_enable_replacements = false")
        connection.execute("SET lock_configuration = true")
        yield Reader(connection, publication, answers)


@contextmanager
def in_memory(tables: Mapping[str, pa.Table]) -> Iterator[View]:
    """Plain tables without a lake, for what must be tried out before it meets one. Nothing outside of them can be read."""
    connection = connect(extensions=())
    with closing(connection):
        for name, rows in tables.items():
            connection.register("given", rows)
            connection.execute(f'CREATE TABLE "{name}" AS FROM given')
            connection.unregister("given")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET python_enable_replacements = false")
        connection.execute("SET lock_configuration = true")
        yield View(connection)


@contextmanager
def open_newest(folder: Path) -> Iterator[View | None]:
    """Read the newest commit, published or not, as `lake`; None where there is no lake yet.

    Beside a writer: what the readers' copy knows, which is the newest commit of whoever wrote before. Raises LockError
    where there is no such copy yet.
    """
    layout = Layout(folder)
    if not layout.is_there():
        yield None
        return
    connection = _at_rest(layout) if layout.catalog.is_file() else _of_the_version_before(layout)
    if connection is None:
        if layout.publication() is None:
            raise files.busy(layout)
        connection, _ = _published(folder, newest=True)
    with closing(connection):
        yield View(connection)


@contextmanager
def open_operations(folder: Path) -> Iterator[View]:
    """Read operations as of the newest commit that readers' copy knows, as `lake`. Raises UsageError if nothing is published."""
    connection, _ = _published(folder, newest=True)
    with closing(connection):
        yield View(connection)


def write_duckdb(
    folder: Path,
    file: Path,
    *,
    layers: Sequence[str] = (),
    tables: Sequence[str] = (),
    comments: Mapping[str, Mapping[str, str]] | None = None,
    stamp: str | None = None,
) -> tuple[Publication, dict[str, int]]:
    """Copy the publication's tables that are named, or whose names begin with a layer, into a new DuckDB file; their rows by name.

    Views become tables. `comments`: by table, what its columns mean, and under "" what the table does. `stamp`: a table
    of one row besides, which says what build this is. Raises LakeError when the file cannot be written.
    """
    connection, publication = _published(folder)
    with closing(connection):
        counts: dict[str, int] = {}
        try:
            connection.execute(f"ATTACH '{quoted(file)}' AS out")
            for name in _named(connection, layers, tables):
                counted = connection.execute(f'CREATE TABLE out."{name}" AS FROM lake.main."{name}"').fetchone()
                counts[name] = counted[0] if counted else 0
                _comment(connection, name, (comments or {}).get(name, {}))
            if stamp is not None:
                connection.execute(
                    f'CREATE TABLE out."{stamp}" AS SELECT ?::bigint AS build_id, ?::timestamp AS published_at',
                    [publication.build_id, publication.published_at],
                )
            connection.execute("DETACH out")
        except (duckdb.Error, OSError) as error:
            raise lake_error(error, file) from error
    return publication, counts


def write_parquet(folder: Path, out: Path, *, layers: Sequence[str]) -> tuple[Publication, dict[str, int]]:
    """Write the publication's tables whose names begin with a layer as `<out>/<table>/<table>.parquet`; their rows by name.

    A time is marked as UTC, and a whole number beyond 63 bits is a decimal: so every engine reads what is meant.
    Raises LakeError when a file cannot be written.
    """
    connection, publication = _published(folder)
    with closing(connection):
        counts: dict[str, int] = {}
        try:
            for name in _named(connection, layers, ()):
                (out / name).mkdir(parents=True)
                file = out / name / f"{name}.parquet"
                columns = ", ".join(_for_others(column, kind) for column, kind in _columns(connection, name))
                counted = connection.execute(
                    f"COPY (SELECT {columns} FROM lake.main.{_identifier(name)}) TO '{quoted(file)}' "
                    "(FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)"
                ).fetchone()
                counts[name] = counted[0] if counted else 0
        except (duckdb.Error, OSError) as error:
            raise lake_error(error, out) from error
    return publication, counts


def _named(connection: duckdb.DuckDBPyConnection, layers: Sequence[str], tables: Sequence[str]) -> list[str]:
    """The publication's tables that are named, or whose names begin with a layer."""
    found = connection.execute(
        "SELECT table_name FROM information_schema.tables WHERE table_catalog = 'lake' AND table_schema = 'main' "
        "AND (list_contains(?, split_part(table_name, '_', 1)) OR list_contains(?, table_name)) ORDER BY table_name",
        [list(layers), list(tables)],
    ).fetchall()
    return [str(name) for (name,) in found]


def _columns(connection: duckdb.DuckDBPyConnection, table: str) -> list[tuple[str, str]]:
    found = connection.execute(f"DESCRIBE lake.main.{_identifier(table)}").fetchall()
    return [(str(row[0]), str(row[1])) for row in found]


def _for_others(column: str, kind: str) -> str:
    """A column as other engines read it right."""
    name = _identifier(column)
    match kind:
        case "TIMESTAMP":
            return f"{name} AT TIME ZONE 'UTC' AS {name}"
        case "HUGEINT" | "UBIGINT":
            return f"CAST({name} AS DECIMAL(38, 0)) AS {name}"
        case _:
            return name


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _comment(connection: duckdb.DuckDBPyConnection, table: str, words: Mapping[str, str]) -> None:
    for column, comment in words.items():
        what = f'COLUMN out."{table}"."{column}"' if column else f'TABLE out."{table}"'
        connection.execute("COMMENT ON {} IS '{}'".format(what, comment.replace("'", "''")))


def _published(
    folder: Path, *, build_id: int | None = None, earlier: int | None = None, newest: bool = False
) -> tuple[duckdb.DuckDBPyConnection, Publication]:
    layout = Layout(folder)
    for attempt in range(3):
        publication = layout.publication()
        if publication is None:
            if not layout.is_there():
                raise layout.no_lake()
            raise UsageError("nothing is published here yet.", where=str(folder), do="run: gpulake refresh --data DIR")
        copy = folder / publication.catalog
        connection = connect()
        try:
            attach(connection, copy, layout.data, alias="ops", version=publication.ops_version)
            shown = publication
            if build_id is not None and build_id != publication.build_id:
                shown = _kept(connection, publication, build_id)
            if earlier is not None:
                other = _kept(connection, publication, earlier)
                attach(connection, copy, layout.data, alias="earlier", version=other.data_version)
            version = publication.ops_version if newest else shown.data_version
            attach(connection, copy, layout.data, alias="lake", version=version)
            connection.execute("USE lake")
        except (duckdb.Error, OSError) as error:
            connection.close()
            if attempt < 2 and layout.publication() != publication:
                continue  # a newer publication replaced the copy between reading the pointer and opening it
            raise lake_error(error, folder) from error
        except GpulakeError:
            connection.close()
            raise
        return connection, shown
    raise AssertionError


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


def _at_rest(layout: Layout) -> duckdb.DuckDBPyConnection | None:
    """The writers' own catalog, by a copy; None while one of them is at work.

    To open the catalog itself would keep the next writer out for as long as somebody looks.
    """
    connection = connect()
    try:
        with TemporaryDirectory(prefix="gpulake-") as own:
            copy = Path(own) / layout.catalog.name
            with files.at_rest(layout) as free:
                if not free:
                    connection.close()
                    return None
                # A writer that was killed has left a part of its commits in the log, or in the log's successors.
                for part in layout.folder.glob(f"{layout.catalog.name}*"):
                    shutil.copyfile(part, copy.with_name(part.name))
            attach(connection, copy, layout.data, alias="lake", read_only=True)
    except duckdb.Error as error:
        connection.close()
        raise lake_error(error, layout.folder) from error
    except OSError as error:
        connection.close()
        raise LakeError(
            f"the catalog cannot be copied to look at it: {error.strerror}.",
            where=str(layout.folder),
            do="check its rights, free some space, or set TMPDIR to another folder",
        ) from error
    except GpulakeError:
        connection.close()
        raise
    return connection


def _of_the_version_before(layout: Layout) -> duckdb.DuckDBPyConnection:
    """A lake that no writer has brought over yet: any number of processes can open its catalog."""
    connection = connect()
    try:
        attach(connection, layout.sqlite_catalog, layout.data, alias="lake", read_only=True)
    except duckdb.Error as error:
        connection.close()
        raise lake_error(error, layout.folder) from error
    return connection


# What a person's query may call in its FROM clause. DuckDB's own limits have holes: COPY and EXPORT may write wherever
# reading is allowed.
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
