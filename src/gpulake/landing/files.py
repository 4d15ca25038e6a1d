"""The bytes of a delivery: plain, gzipped or in an archive, streamed, hashed, and read to their end.

Nothing is unpacked to disk. A damaged trailer is noticed because every reader is drained.
"""

from __future__ import annotations

import hashlib
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from isal import igzip, isal_zlib

from gpulake.errors import SourceError

HEAD_BYTES = 64 << 10
"""How much of a file is looked at to say what it is."""

PARQUET_MAGIC = b"PAR1"
"""What every Parquet file begins with."""

_UNREADABLE = (OSError, EOFError, zlib.error, cast("type[Exception]", isal_zlib.error), tarfile.TarError)
_TAR_MAGIC = slice(257, 262)

Progress = Callable[[int], None]
"""Told how many more uncompressed bytes have been read."""


@dataclass(frozen=True)
class Digest:
    """The sha256 and size of a table's uncompressed bytes, and the names of its archive's other files."""

    sha256: str
    size: int
    beside: tuple[str, ...] = ()


@dataclass(frozen=True)
class Member:
    """One file of an archive: its place among those that count, its name, and how far into the archive it ends."""

    number: int
    name: str
    stream: IO[bytes]
    ends_at: int


@contextmanager
def opened(
    path: Path, *, member: int, is_table: Callable[[str, bytes], bool], beside: list[str] | None = None
) -> Iterator[IO[bytes]]:
    """The uncompressed bytes of a file, of a gzipped one, or of one file of a .tar.gz, as a stream.

    Leaving the context reads to the end, so that a damaged trailer is noticed, and adds the archive's other files to
    `beside`. Raises SourceError, also when one of them is a table too.
    """
    with uncompressed(path) as (plain, is_tar):
        if not is_tar:
            yield plain
        else:
            with members(plain) as files:
                others = [] if beside is None else beside
                for each in files:
                    if each.number == member:
                        yield each.stream
                        break
                    others.append(each.name)
                else:
                    raise SourceError("the archive changed while it was read.", where=str(path), do="run it again")
                for each in files:
                    if is_table(each.name, each.stream.read(HEAD_BYTES)):
                        raise SourceError(
                            "the archive holds more than one table.", where=str(path), do="unpack it there"
                        )
                    others.append(each.name)
        while plain.read(1 << 20):
            pass


@contextmanager
def uncompressed(path: Path) -> Iterator[tuple[IO[bytes], bool]]:
    """The bytes of a file, and whether they are a tar archive's. Raises SourceError, for reading inside too."""
    try:
        with path.open("rb") as raw:
            if raw.peek(2)[:2] != b"\x1f\x8b":
                yield raw, False
                return
            with _gunzip(path) as start:
                is_tar = start.read(512)[_TAR_MAGIC] == b"ustar"
            with _gunzip(raw) as plain:
                yield plain, is_tar
    except _UNREADABLE as error:
        raise SourceError(
            f"cannot be read to its end: {str(error) or type(error).__name__}.",
            where=str(path),
            do="fetch the file again and compare its size and checksum",
        ) from error


@contextmanager
def members(plain: IO[bytes]) -> Iterator[Iterator[Member]]:
    """The files of an archive's uncompressed bytes, in their order."""
    with tarfile.open(fileobj=plain, mode="r|", bufsize=1 << 20) as archive:
        yield _files_of(archive)


def hash_stream(stream: IO[bytes], *, progress: Progress | None = None) -> tuple[str, int]:
    """The sha256 and the size of what is left of a stream."""
    sha256, size = hashlib.sha256(), 0
    while block := stream.read(1 << 20):
        sha256.update(block)
        size += len(block)
        if progress:
            progress(len(block))
    return sha256.hexdigest(), size


def _gunzip(file: Path | IO[bytes]) -> IO[bytes]:
    return cast("IO[bytes]", igzip.open(file, "rb"))  # type: ignore[no-untyped-call]  # isal ships no types


def _files_of(archive: tarfile.TarFile) -> Iterator[Member]:
    """The files of an archive in their order, but for those in which a Mac keeps attributes."""
    number = 0
    for entry in archive:
        stream = archive.extractfile(entry) if entry.isfile() else None
        if stream is not None and not Path(entry.name).name.startswith("._"):
            yield Member(number, entry.name, stream, entry.offset_data + entry.size)
            number += 1
