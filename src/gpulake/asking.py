"""The way in for Python programs: a lake's publication by SQL and by table, as Arrow, Polars or pandas."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from gpulake.lake import Reader


def open(lake: str | os.PathLike[str] | None = None, *, build_id: int | None = None) -> Lake:  # noqa: A001  # gpulake.open
    """Open what is published in a lake, read-only; of none given, the lake that gpulake.toml or GPULAKE_LAKE names.

    It stays as it is now, whatever is published later. `build_id`: an older publication that is kept.
    Raises UsageError where there is no lake, nothing is published, or no such build is kept.

        >>> with gpulake.open("lake") as lake:                                             # doctest: +SKIP
        ...     held = lake.table("gold_user_gpu_usage_daily").polars()
        ...     mine = lake.sql("select * from gold_jobs where user_id = ?", ["ada"]).arrow()
    """
    from gpulake import config
    from gpulake.lake import open_publication

    named = config.load(os.environ, lake=None if lake is None else Path(lake))
    with ExitStack() as stack:
        reader = stack.enter_context(open_publication(named.lake, build_id=build_id))
        return Lake(reader, stack.pop_all())
    raise AssertionError


class Lake:
    """One publication of a lake. Made by `gpulake.open`; it can close itself, as a file does. One thread at a time."""

    def __init__(self, reader: Reader, stack: ExitStack) -> None:
        self._reader = reader
        self._stack = stack

    @property
    def build_id(self) -> int:
        """The build that is read."""
        return self._reader.build_id

    @property
    def tables(self) -> tuple[str, ...]:
        """The names of all tables."""
        found = self._reader.sql(
            "SELECT table_name FROM information_schema.tables "
            "WHERE table_catalog = 'lake' AND table_schema = 'main' ORDER BY table_name"
        )
        return tuple(found["table_name"].to_pylist())

    def sql(self, query: str, params: Sequence[object] | Mapping[str, object] = ()) -> Answer:
        """The rows of one statement that reads, in DuckDB's SQL. `params` stand for its `?`, or for its `$name`.

        Times are UTC without a zone, unless the query gives them one. Raises UsageError where the query is at fault, or does
        anything but read the lake.
        """
        return Answer(self._reader.ask(query, params))

    def table(self, name: str) -> Answer:
        """All rows of one table; its times are marked as UTC. Raises UsageError where there is no such table."""
        from difflib import get_close_matches

        from gpulake.errors import UsageError

        tables = self.tables
        if name not in tables:
            near = get_close_matches(name, tables, n=3) or [table for table in tables if table.startswith("gold_")]
            raise UsageError(f"there is no table {name!r}.", do=f"use {', '.join(near)}")
        return Answer(_marked_as_utc(self._reader.sql(f'SELECT * FROM lake.main."{name}"')))

    def close(self) -> None:
        """Let go of the lake. What was read stays."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@dataclass(frozen=True)
class Answer:
    """Rows that were asked for. They are in memory, and stay when the lake is closed."""

    _rows: pa.Table

    def __len__(self) -> int:
        return int(self._rows.num_rows)

    def arrow(self) -> pa.Table:
        """As a table of pyarrow."""
        return self._rows

    def polars(self) -> pl.DataFrame:
        """As a frame of Polars."""
        import polars as pl

        return pl.DataFrame(self._rows)

    def pandas(self) -> pd.DataFrame:
        """As a frame of pandas. Raises UsageError where pandas is not installed: gpulake does not bring it."""
        from importlib import import_module

        from gpulake.errors import UsageError

        try:
            import_module("pandas")
        except ImportError as error:
            raise UsageError(
                "pandas is not installed.", do="install pandas, or ask for .polars() or .arrow()"
            ) from error
        return self._rows.to_pandas()


def _marked_as_utc(table: pa.Table) -> pa.Table:
    import pyarrow as pa

    fields = [
        field.with_type(pa.timestamp(field.type.unit, "UTC"))
        if pa.types.is_timestamp(field.type) and field.type.tz is None
        else field
        for field in table.schema
    ]
    return table.cast(pa.schema(fields))
