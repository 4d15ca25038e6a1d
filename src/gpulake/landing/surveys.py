"""What a folder holds: every file that may be a table of a source, and what it was recognised as."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gpulake.contract import Source, Table
from gpulake.errors import GpulakeError, SourceError
from gpulake.landing.recognition import Recognised, Unrecognised, endings, recognise


@dataclass(frozen=True)
class Delivered:
    """One recognised file and the source that knows it."""

    source: Source
    recognised: Recognised

    @property
    def path(self) -> Path:
        """The file."""
        return self.recognised.path

    @property
    def file_name(self) -> str:
        """Its name as a table can hold it: bytes that are not UTF-8 are shown as such."""
        return os.fsencode(self.path.name).decode("utf-8", "replace")

    @property
    def table(self) -> Table:
        """The table it is a delivery of."""
        return self.recognised.table


@dataclass(frozen=True)
class Refused:
    """A recognised file that did not land, and why."""

    path: Path
    error: GpulakeError

    def as_json(self) -> dict[str, object]:
        """For machines."""
        return {"file": str(self.path), "error": self.error.as_json()}


@dataclass(frozen=True)
class Survey:
    """What a folder holds, before anything is read whole."""

    delivered: tuple[Delivered, ...]
    unrecognised: tuple[Unrecognised, ...]
    refused: tuple[Refused, ...]


def survey(data: Path, sources: Sequence[Source]) -> Survey:
    """Recognise every file below a folder whose name ends as a table's may (or the one file given).

    Raises SourceError when there is no such folder, or when it holds nothing that any of the sources knows.
    """
    owners = {table.name: source for source in sources for table in source.tables}
    tables = [table for source in sources for table in source.tables]
    files = _files(data, endings(tables))
    delivered, unrecognised, refused = [], [], []
    for path in files:
        try:
            match recognise(path, tables):
                case Recognised() as recognised:
                    delivered.append(Delivered(owners[recognised.table.name], recognised))
                case Unrecognised() as other:
                    unrecognised.append(other)
        except SourceError as error:
            refused.append(Refused(path, error))
    if not delivered and not refused:
        names = ", ".join(sorted(owners))
        why = f": {unrecognised[0].reason}" if len(unrecognised) == 1 else ""
        raise SourceError(
            f"none of its {len(files)} data files is a table of {', '.join(s.name for s in sources)}{why}.",
            where=str(data),
            do=f"expect {names} as {', '.join(endings(tables))}; `gpulake fetch` downloads them",
        )
    return Survey(tuple(delivered), tuple(unrecognised), tuple(refused))


def _files(data: Path, endings: tuple[str, ...]) -> list[Path]:
    if data.is_file():
        return [data]
    if not data.is_dir():
        raise SourceError("there is no such file or folder.", where=str(data), do="name the folder with the tables")
    try:
        next(data.iterdir(), None)
    except OSError as error:
        raise SourceError(
            f"the folder cannot be read: {error.strerror}.", where=str(data), do="check its rights"
        ) from error
    return sorted(path for path in data.rglob("*") if _is_data(path, endings))


def _is_data(path: Path, endings: tuple[str, ...]) -> bool:
    """A dangling link is one too, to be told; a folder or a pipe is not."""
    return path.name.endswith(endings) and not path.name.startswith(".") and (path.is_file() or not path.exists())
