"""Which files were hashed before: only to spare work, never to decide."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gpulake.errors import SourceError
from gpulake.landing.files import Digest
from gpulake.landing.recognition import Recognised
from gpulake.whole import write_whole


@dataclass(frozen=True)
class Hashed:
    """A digest and the identity (size, mtime in ns, inode) that the file had when hashing began."""

    digest: Digest
    identity: tuple[int, int, int]


def identity(path: Path) -> tuple[int, int, int]:
    """The size, mtime in ns and inode of a file. Raises SourceError when it is gone."""
    try:
        stat = path.stat()
    except OSError as error:
        raise SourceError(f"the file cannot be read any more: {error.strerror}.", where=str(path)) from error
    return stat.st_size, stat.st_mtime_ns, stat.st_ino


class Memory:
    """Which deliveries were hashed before, by path, size, time and inode, and by the archive's file and its table.

    Only to spare work, never to decide.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._known: dict[str, list[object]] = {}
        with suppress(OSError, ValueError, TypeError):
            self._known = dict(json.loads(file.read_text(encoding="utf-8")))

    def recall(self, delivery: Recognised) -> Hashed | None:
        """The digest of a file that has not been touched since, and was then a delivery of the same table."""
        match self._known.get(_place(delivery)):
            case [int(size), int(mtime_ns), int(inode), str(sha256), int(length), [*beside], *which]:
                same = which == [delivery.member, delivery.table.name]
                if same and (size, mtime_ns, inode) == identity(delivery.path):
                    digest = Digest(sha256, length, tuple(map(str, beside)))
                    return Hashed(digest, (size, mtime_ns, inode))
        return None

    def keep(self, delivery: Recognised, hashed: Hashed) -> None:
        """Remember a file that has landed."""
        digest, which = hashed.digest, [delivery.member, delivery.table.name]
        self._known[_place(delivery)] = [*hashed.identity, digest.sha256, digest.size, list(digest.beside), *which]

    def forget(self, delivery: Recognised) -> None:
        """A refused file is read again next time."""
        self._known.pop(_place(delivery), None)

    def save(self) -> None:
        """Write it down where that is possible; what is not remembered is read again."""
        with suppress(OSError):
            write_whole(self._file, json.dumps(self._known).encode())


def _place(delivery: Recognised) -> str:
    return str(delivery.path.absolute())
