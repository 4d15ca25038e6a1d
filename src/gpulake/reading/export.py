"""The publication in other hands: one DuckDB file, a folder of Parquet files, and the words to attach the lake."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gpulake.errors import UsageError
from gpulake.lake import EXTENSIONS, SETTINGS, Layout, attach_options, extension_file, write_duckdb, write_parquet

LAYERS = ("silver", "gold")
_DUCKDB_MAGIC = b"DUCK"  # at byte 8 of every DuckDB file
_LABEL = "_export.json"
"""What an exported folder is known by: a name that begins so is no data to other engines."""


@dataclass(frozen=True)
class Exported:
    """One written file, or folder: rows by table, all of one build."""

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


def to_parquet(lake: Path, folder: Path, *, with_bronze: bool = False) -> Exported:
    """Write silver and gold (and bronze, if asked) as plain Parquet files, one folder per table.

    An older export is replaced as a whole when this one is complete. Raises UsageError where the path holds something
    else than an export.
    """
    _check_replaceable_folder(folder)
    unfinished, before = (folder.with_name(f".{folder.name}.{word}") for word in ("unfinished", "before"))
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        publication, rows = write_parquet(lake, unfinished, layers=("bronze", *LAYERS) if with_bronze else LAYERS)
        written = sum(file.stat().st_size for file in unfinished.rglob("*.parquet"))
        label = {"build_id": publication.build_id, "published_at": publication.published_at, "tables": rows}
        (unfinished / _LABEL).write_text(json.dumps(label, indent=2) + "\n", encoding="utf-8")
        if folder.exists():
            shutil.rmtree(before, ignore_errors=True)
            folder.rename(before)
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.rmtree(before, ignore_errors=True)
    return Exported(file=folder, build_id=publication.build_id, rows=rows, bytes=written)


def _check_replaceable_folder(folder: Path) -> None:
    do = "name a folder that is not there, as --parquet out/tables"
    if not folder.parent.is_dir() or not os.access(folder.parent, os.W_OK):
        raise UsageError("the folder above cannot be written to.", where=str(folder.parent), do=do)
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise UsageError("this is no folder.", where=str(folder), do=do)
    if folder.exists() and any(folder.iterdir()) and not (folder / _LABEL).is_file():
        raise UsageError("there is something here that is no export.", where=str(folder), do=do)


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
