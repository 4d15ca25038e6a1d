"""Where things lie in a lake's folder, and what its pointer file says."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from gpulake.errors import LakeError, UsageError


@dataclass(frozen=True)
class Publication:
    """What people read: tables at `data_version`, operations (`meta`) at `ops_version`, both in one catalog copy.

    `waited_s` and `event_age_s` say how fresh it was when it was made: see the table of publications.
    """

    build_id: int
    data_version: int
    ops_version: int
    catalog: str
    published_at: str
    waited_s: float | None = None
    event_age_s: float | None = None


@dataclass(frozen=True)
class Layout:
    """Where things lie in a lake's folder."""

    folder: Path

    @property
    def catalog(self) -> Path:
        """The writers' catalog: a DuckDB file, which one process at a time can open."""
        return self.folder / "catalog.duckdb"

    @property
    def log(self) -> Path:
        """What a writer that was cut off has committed and not yet moved into the catalog."""
        return self.folder / "catalog.duckdb.wal"

    @property
    def lock(self) -> Path:
        """The one write lock; its text says who holds it."""
        return self.folder / "catalog.lock"

    @property
    def sqlite_catalog(self) -> Path:
        """The catalog of a lake of the version before."""
        return self.folder / "catalog.sqlite"

    @property
    def sqlite_lock(self) -> Path:
        """The write lock of the version before."""
        return self.folder / "catalog.sqlite.lock"

    @property
    def retired_catalog(self) -> Path:
        """What the SQLite catalog is called once its lake has been brought over."""
        return self.folder / "catalog.sqlite.retired"

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

    @property
    def streams(self) -> Path:
        """The folder where each process that lands a stream says how it goes; it may be lost."""
        return self.folder / "streams"

    @property
    def tended(self) -> Path:
        """When a refresh last forgot old versions; the file may be lost."""
        return self.folder / "tended"

    def is_there(self) -> bool:
        """Whether the folder holds a lake."""
        return self.catalog.is_file() or self.sqlite_catalog.is_file()

    def no_lake(self) -> UsageError:
        """What to tell whoever looks for one where there is none."""
        what = "there is no lake here." if self.folder.is_dir() else "there is no such folder."
        return UsageError(what, where=str(self.folder), do="check --lake, or run: gpulake refresh --data DIR")

    def publication(self) -> Publication | None:
        """The current publication, or None before the first."""
        try:
            return Publication(**json.loads(self.pointer.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unreadable(error) from error
        except (ValueError, TypeError) as error:
            raise LakeError(
                "the publication pointer is damaged.", where=str(self.pointer), do="run any writing command to renew it"
            ) from error

    def pointed_at(self) -> datetime:
        """Since when the pointer says what it says."""
        try:
            return datetime.fromtimestamp(self.pointer.stat().st_mtime, UTC).replace(tzinfo=None)
        except OSError as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: OSError) -> LakeError:
        return LakeError(
            f"the publication pointer cannot be read: {error.strerror}.", where=str(self.pointer), do="check its rights"
        )
