"""The publication in other hands: one DuckDB file for the DuckDB shell and BI tools, and the words to attach the lake."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gpulake.errors import UsageError
from gpulake.lake import EXTENSIONS, SETTINGS, Layout, attach_options, extension_file, write_duckdb

LAYERS = ("silver", "gold")
_DUCKDB_MAGIC = b"DUCK"  # at byte 8 of every DuckDB file


@dataclass(frozen=True)
class Exported:
    """One written file: rows by table, all of one build."""

    file: Path
    build_id: int
    rows: Mapping[str, int]
    bytes: int
    error: None = None

    def as_json(self) -> dict[str, object]:
        """The same for machines."""
        return {
            "file": str(self.file),
            "build_id": self.build_id,
            "tables": dict(self.rows),
            "bytes": self.bytes,
            "error": None,
        }


def to_duckdb(lake: Path, file: Path, *, with_bronze: bool = False) -> Exported:
    """Write silver and gold (and bronze, if asked) into one DuckDB file under the lake's own table names.

    An older export is replaced in one step, so a reader never sees half a file. Raises UsageError where the path holds
    something else than a DuckDB file.
    """
    _check_replaceable(file)
    unfinished = file.with_name(f".{file.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    try:
        publication, rows = write_duckdb(lake, unfinished, layers=("bronze", *LAYERS) if with_bronze else LAYERS)
        written_bytes = unfinished.stat().st_size
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)
    return Exported(file=file, build_id=publication.build_id, rows=rows, bytes=written_bytes)


def _check_replaceable(file: Path) -> None:
    if not file.parent.is_dir() or not os.access(file.parent, os.W_OK):
        raise UsageError("the folder cannot be written to.", where=str(file.parent), do="choose another --duckdb FILE")
    if file.is_dir():
        raise UsageError("this is a folder.", where=str(file), do="name a file, as --duckdb telemetry.db")
    if file.exists():
        if not file.is_file():
            raise UsageError("this is no plain file.", where=str(file), do="name a file, as --duckdb telemetry.db")
        with file.open("rb") as opened:
            head = opened.read(12)
        if head and head[8:] != _DUCKDB_MAGIC:
            raise UsageError("there is a file here that is no DuckDB file.", where=str(file), do="choose another name")


def shell_setup(lake: Path) -> str:
    """What the DuckDB shell must run first to read the publication. Raises UsageError before the first one."""
    layout = Layout(lake)
    publication = layout.publication()
    if publication is None:
        raise UsageError("nothing is published here yet.", where=str(lake), do="run: gpulake refresh --data DIR")
    catalog = str(lake / publication.catalog).replace("'", "''")
    settings = [f"SET {name} = {_literal(value)}" for name, value in SETTINGS.items()]
    loads = [f"LOAD {_literal(str(extension_file(name)))}" for name in EXTENSIONS]
    if Path(publication.catalog).suffix == ".sqlite":
        raise UsageError(
            "this lake was made by the version before.", where=str(lake), do="bring it over first: gpulake compact"
        )
    options = attach_options(layout.data, version=publication.data_version)
    attach = f"ATTACH 'ducklake:{catalog}' AS lake ({options})"
    return "; ".join([*settings, *loads, "SET TimeZone = 'UTC'", attach, "USE lake"]) + ";"


def _literal(value: str | bool, /) -> str:  # noqa: FBT001  # the value itself, not a switch
    return str(value).lower() if isinstance(value, bool) else "'" + value.replace("'", "''") + "'"
