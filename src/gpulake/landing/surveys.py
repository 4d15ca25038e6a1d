"""What a folder holds: every file that may be a table of a source, and what it was recognised as."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gpulake.contract import Source, Table
from gpulake.errors import ContractError, GpulakeError, SourceError
from gpulake.lake import Layout
from gpulake.landing.recognition import Recognised, Unrecognised, endings, name_alike, named_table, recognise


@dataclass(frozen=True)
class Delivered:
    """One recognised file and the source that knows it. `is_shipped`: it came with gpulake, and not with this call."""

    source: Source
    recognised: Recognised
    is_shipped: bool = False

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


def survey(data: Path, sources: Sequence[Source], *, cluster: str | None = None) -> Survey:
    """Say of every file below a folder (or of the one file given) which table it is, or why it is none.

    Raises SourceError when there is no such folder, or when it holds nothing that any of the sources knows.
    """
    found = look(data, sources, cluster=cluster)
    if error := nothing_known(found, data, sources):
        raise error
    return found


def nothing_known(found: Survey, data: Path, sources: Sequence[Source]) -> SourceError | None:
    """What is wrong with a folder that holds nothing which any of the sources knows; None where it does."""
    if found.delivered or found.refused:
        return None
    tables = [table for source in sources for table in source.tables]
    names = ", ".join(sorted(table.name for table in tables))
    why = f": {found.unrecognised[0].reason}" if len(found.unrecognised) == 1 else ""
    return SourceError(
        f"none of its {len(found.unrecognised)} files is a table of {', '.join(s.name for s in sources)}{why}.",
        where=str(data),
        do=f"expect {names} as {', '.join(endings(tables))}; `gpulake fetch` downloads them",
    )


def look(data: Path, sources: Sequence[Source], *, cluster: str | None = None) -> Survey:
    """The same, also of a folder that holds nothing known.

    A table's look-alike is a delivery where a cluster of its own is named, and no other file is of that table.
    Raises SourceError when there is no such folder.
    """
    owners = {table.name: source for source in sources for table in source.tables}
    tables = [table for source in sources for table in source.tables]
    files, others = _files(data, endings(tables))
    own = [table for table in tables if cluster not in {None, owners[table.name].name}]
    delivered, refused = [], []
    unrecognised = [_of_no_ending(path, why, tables) for path, why in others]
    for path in files:
        try:
            match _recognised(path, tables, own, files):
                case Recognised() as recognised:
                    delivered.append(Delivered(owners[recognised.table.name], recognised))
                case Unrecognised() as other:
                    unrecognised.append(other)
        except (SourceError, ContractError) as error:
            refused.append(Refused(path, error))
    return Survey(tuple(delivered), tuple(unrecognised), tuple(refused))


def _recognised(
    path: Path, tables: Sequence[Table], own: Sequence[Table], files: Sequence[Path]
) -> Recognised | Unrecognised:
    """What a file is; of the tables of clusters of their own, look-alikes are asked for too."""
    alike = next((table for table in tables if name_alike(path, table)), None)
    if alike is None or alike not in own:
        found = recognise(path, tables)
        if alike and isinstance(found, Unrecognised):
            return Unrecognised(path, f"{found.reason}; with --cluster NAME it lands as a cluster of its own")
        return found
    if any(other != path and _is_named(other, alike) for other in files):
        return Unrecognised(path, f"one of several files that are named as {alike.name}: deliver it without the others")
    return recognise(path, tables, with_look_alikes=True)


def _is_named(path: Path, table: Table) -> bool:
    return name_alike(path, table) or named_table(path, [table]) is not None


_HIDDEN = "its name begins with a dot"
_LAKE = "a lake of gpulake, and no delivery"


def _files(data: Path, endings: tuple[str, ...]) -> tuple[list[Path], list[tuple[Path, str]]]:
    """The files to look into, and the other things that lie there, each with the reason why it is left alone."""
    if data.is_file():
        return [data], []
    if not data.is_dir():
        raise SourceError("there is no such file or folder.", where=str(data), do="name the folder with the tables")
    if Layout(data).is_there():
        raise SourceError(f"the folder is {_LAKE}.", where=str(data), do="name the folder with the tables")
    try:
        next(data.iterdir(), None)
    except OSError as error:
        raise SourceError(
            f"the folder cannot be read: {error.strerror}.", where=str(data), do="check its rights"
        ) from error
    files: list[Path] = []
    others: list[tuple[Path, str]] = []

    def tell(error: OSError) -> None:
        others.append((Path(error.filename), f"the folder cannot be read: {error.strerror}"))

    for folder, below, names in os.walk(data, onerror=tell):
        for name in list(below):
            path = Path(folder, name)
            why = _LAKE if Layout(path).is_there() else _HIDDEN if name.startswith(".") else ""
            why = why or ("a link to a folder: deliver that folder" if path.is_symlink() else "")
            if why:
                below.remove(name)
                others.append((path, why))
        for path in (Path(folder, name) for name in names):
            if path.name.startswith("."):
                others.append((path, _HIDDEN))
            elif not path.name.lower().endswith(endings):
                others.append((path, f"its name does not end as a table's: {', '.join(endings)}"))
            elif path.is_file() or not path.exists():  # a dangling link is told when it is opened
                files.append(path)
            else:
                others.append((path, "neither a file nor a folder"))
    return sorted(files), sorted(others)


def _of_no_ending(path: Path, why: str, tables: Sequence[Table]) -> Unrecognised:
    named = named_table(path, tables)
    return Unrecognised(path, f"named as {named.name}, but {why}" if named and why != _LAKE else why)
