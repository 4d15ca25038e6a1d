"""The file that dashboards read: some tables of the publication in DuckDB's own format, renewed when one is published.

Who sets up dashboards for a lake leaves an order in its folder: which tables. Without it nothing is written.
A file is never changed. Its successor is written beside it, then the link turns to it in one step; a reader that
resolves the link for each connection sees the successor, and one that is still reading keeps what it has.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from gpulake.errors import GpulakeError, LakeError, UsageError
from gpulake.lake import Layout, Publication, write_duckdb
from gpulake.reading.models import Column, Model
from gpulake.whole import write_whole

PUBLICATION = "publication"
"""The table that says which build the file holds."""


@dataclass(frozen=True)
class Renewed:
    """What became of the file: the build that it holds, or why it still holds an older one."""

    file: Path
    build_id: int
    bytes: int | None = None
    error: GpulakeError | None = None

    def as_json(self) -> dict[str, object]:
        """For machines."""
        return {**asdict(self), "file": str(self.file), "error": self.error.as_json() if self.error else None}


def folder(lake: Path) -> Path:
    """Where the order, the file and whatever shows it lie."""
    return lake / "superset"


def link(lake: Path) -> Path:
    """What always names the newest file."""
    return folder(lake) / "publication.duckdb"


def _order(lake: Path) -> Path:
    return folder(lake) / "tables.json"


def order(lake: Path, *, tables: Sequence[str]) -> None:
    """Have these tables written from the next publication on. Raises UsageError where there is no lake, or no room to write."""
    layout = Layout(lake)
    if not layout.is_there():
        raise layout.no_lake()
    wanted = json.dumps({"tables": sorted(tables)}) + "\n"
    file = _order(lake)
    try:
        folder(lake).mkdir(exist_ok=True)
        if not file.is_file() or file.read_text(encoding="utf-8") != wanted:
            write_whole(file, wanted.encode())
    except OSError as error:
        raise UsageError(
            f"the lake's folder cannot be written: {error.strerror}.",
            where=str(file),
            do="check its rights, or free space",
        ) from error


def is_ordered(lake: Path) -> bool:
    """Whether anybody has set up dashboards for this lake."""
    return _order(lake).is_file()


def renew(lake: Path, *, models: Mapping[str, Model]) -> Renewed | None:
    """Bring the file up to the publication; None where nobody ordered one, nothing is published, or it is up to date.

    What stands in the way is told in the result and never raised: the publication does not depend on it.
    """
    publication = Layout(lake).publication()
    if publication is None or not is_ordered(lake):
        return None
    try:
        with _alone(lake):
            return _renew(lake, publication, models)
    except (GpulakeError, OSError, ValueError, LookupError, TypeError) as error:  # an order may hold anything
        return Renewed(link(lake), publication.build_id, error=_as_warning(error, lake))


def _renew(lake: Path, publication: Publication, models: Mapping[str, Model]) -> Renewed | None:
    wanted = json.loads(_order(lake).read_text(encoding="utf-8"))["tables"]
    name = link(lake)
    before = name.readlink() if name.is_symlink() else None
    if before == _file_name(publication, wanted) and name.is_file():
        return None
    comments = {table: _words(models[table]) for table in wanted if table in models}
    for left in [*folder(lake).glob("build.unfinished*"), *folder(lake).glob("*.turned")]:
        left.unlink()  # of a process that was killed
    unfinished = folder(lake) / "build.unfinished"
    try:
        written, _ = write_duckdb(lake, unfinished, tables=wanted, comments=comments, stamp=PUBLICATION)
        size_bytes = unfinished.stat().st_size
        file = _file_name(written, wanted)
        unfinished.replace(folder(lake) / file)
        turned = name.with_suffix(".turned")
        turned.symlink_to(file)
        turned.replace(name)
    finally:
        for left in folder(lake).glob("build.unfinished*"):
            left.unlink()
    # Somebody may have resolved the link a moment ago and not opened the file yet: the one before stays until the next.
    for old in folder(lake).glob("build-*.duckdb"):
        if Path(old.name) not in {file, before}:
            old.unlink(missing_ok=True)
    return Renewed(name, written.build_id, bytes=size_bytes)


def _file_name(publication: Publication, tables: Sequence[str]) -> Path:
    asked = hashlib.sha256(json.dumps(sorted(tables)).encode()).hexdigest()[:6]
    return Path(f"build-{publication.build_id}-{publication.data_version}-{asked}.duckdb")


def words_of(column: Column) -> str:
    """What a column means as people read it, with its unit."""
    return f"{column.definition.rstrip('.')} ({column.unit})." if column.unit else column.definition


def _words(model: Model) -> dict[str, str]:
    return {"": model.description} | {column.name: words_of(column) for column in model.columns.values()}


@contextmanager
def _alone(lake: Path) -> Iterator[None]:
    descriptor = os.open(folder(lake) / "renewing.lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _as_warning(error: Exception, lake: Path) -> GpulakeError:
    why = error.what if isinstance(error, GpulakeError) else getattr(error, "strerror", None) or str(error)
    return LakeError(
        f"dashboards still show the build before: their file could not be renewed: {why.rstrip('.')}.",
        where=str(folder(lake)),
        do="free some space or mend what it names, then run: gpulake publish",
    )
