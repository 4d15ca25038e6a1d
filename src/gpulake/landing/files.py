"""The bytes of a delivery: plain, compressed or in an archive, streamed, hashed, and read to their end.

Nothing is unpacked to disk. A damaged trailer is noticed because every reader is drained.
"""

from __future__ import annotations

import bz2
import hashlib
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, cast

import pyarrow as pa
from isal import igzip, isal_zlib

from gpulake.errors import SourceError

HEAD_BYTES = 64 << 10
"""How much of a file is looked at to say what it is."""

PARQUET_MAGIC = b"PAR1"
"""What every Parquet file begins with."""

_UNREADABLE = (
    OSError,
    EOFError,
    zlib.error,
    cast("type[Exception]", isal_zlib.error),
    lzma.LZMAError,
    tarfile.TarError,
    zipfile.BadZipFile,
    NotImplementedError,  # a ZIP file's way of packing that Python does not know
)
_TAR_MAGIC = slice(257, 262)
_ZIP_MAGICS = (b"PK\x03\x04", b"PK\x05\x06")
_ENCRYPTED = 1

Archive = Literal["", "tar", "zip"]
"""What kind of archive the uncompressed bytes of a file are."""


def _gunzip(raw: IO[bytes]) -> IO[bytes]:
    return cast("IO[bytes]", igzip.open(raw, "rb"))  # type: ignore[no-untyped-call]  # isal ships no types


def _by_arrow(kind: str) -> Callable[[IO[bytes]], IO[bytes]]:
    def decompressed(raw: IO[bytes]) -> IO[bytes]:
        return io.BufferedReader(pa.input_stream(raw, compression=kind), 1 << 20)

    return decompressed


_COMPRESSIONS: dict[bytes, Callable[[IO[bytes]], IO[bytes]]] = {
    b"\x1f\x8b": _gunzip,
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\0": lzma.LZMAFile,
    b"\x28\xb5\x2f\xfd": _by_arrow("zstd"),
    b"\x04\x22\x4d\x18": _by_arrow("lz4"),
}
"""What a compressed file begins with, and how it is read."""

COMPRESSED_ENDINGS = (".gz", ".bz2", ".xz", ".zst", ".lz4")
ARCHIVE_ENDINGS = (".zip", ".tar", ".tgz", ".tbz2", ".txz", ".tzst")
"""A .tar may be compressed, and end in both."""

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
    """The uncompressed bytes of a file, or of one file of an archive, as a stream.

    Leaving the context reads to the end, so that a damaged trailer is noticed, and adds the archive's other files to
    `beside`. Raises SourceError, also when one of them is a table too.
    """
    with uncompressed(path) as (plain, archive):
        if not archive:
            yield plain
        else:
            with members(plain, archive) as files:
                others = [] if beside is None else beside
                for each in files:
                    if each.number == member:
                        yield each.stream
                        _drain(each.stream)
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
        _drain(plain)


@contextmanager
def uncompressed(path: Path) -> Iterator[tuple[IO[bytes], Archive]]:
    """The bytes of a file, and what archive they are. Raises SourceError, for reading inside too."""
    try:
        with path.open("rb") as raw:
            head = raw.peek(512)
            read = next((read for magic, read in _COMPRESSIONS.items() if head.startswith(magic)), None)
            if read is None:
                yield raw, "zip" if head.startswith(_ZIP_MAGICS) else _tar_or_none(head)
                return
            with path.open("rb") as first, read(first) as start:
                head = start.read(512)
            with read(raw) as plain:
                yield plain, _tar_or_none(head)
    except _UNREADABLE as error:
        raise SourceError(
            f"cannot be read to its end: {str(error) or type(error).__name__}.",
            where=str(path),
            do="fetch the file again and compare its size and checksum",
        ) from error


def is_compressed(head: bytes) -> bool:
    """Whether bytes are those of a compressed file, or of a ZIP file."""
    return head.startswith((*_COMPRESSIONS, *_ZIP_MAGICS))


@contextmanager
def members(plain: IO[bytes], archive: Archive) -> Iterator[Iterator[Member]]:
    """The files of an archive's uncompressed bytes, in their order, but for those in which a Mac keeps attributes."""
    if archive == "zip":
        with zipfile.ZipFile(plain) as packed:
            yield _numbered(_of_zip(packed))
    else:
        with tarfile.open(fileobj=plain, mode="r|", bufsize=1 << 20) as tar:
            yield _numbered(_of_tar(tar))


def hash_stream(stream: IO[bytes], *, progress: Progress | None = None) -> tuple[str, int]:
    """The sha256 and the size of what is left of a stream."""
    sha256, size = hashlib.sha256(), 0
    while block := stream.read(1 << 20):
        sha256.update(block)
        size += len(block)
        if progress:
            progress(len(block))
    return sha256.hexdigest(), size


def _tar_or_none(head: bytes) -> Archive:
    return "tar" if head[_TAR_MAGIC] == b"ustar" else ""


def _drain(stream: IO[bytes]) -> None:
    while stream.read(1 << 20):
        pass


def _numbered(files: Iterator[tuple[str, IO[bytes], int]]) -> Iterator[Member]:
    number = 0
    for name, stream, ends_at in files:
        if not Path(name).name.startswith("._"):
            yield Member(number, name, stream, ends_at)
            number += 1


def _of_tar(archive: tarfile.TarFile) -> Iterator[tuple[str, IO[bytes], int]]:
    for entry in archive:
        stream = archive.extractfile(entry) if entry.isfile() else None
        if stream is not None:
            yield entry.name, stream, entry.offset_data + entry.size


def _of_zip(archive: zipfile.ZipFile) -> Iterator[tuple[str, IO[bytes], int]]:
    looked_at = 0
    for entry in archive.infolist():
        if entry.is_dir():
            continue
        if entry.flag_bits & _ENCRYPTED:
            raise SourceError(
                "the archive is locked with a password.", where=str(archive.filename), do="unpack it there"
            )
        looked_at += min(entry.file_size, HEAD_BYTES)  # of those before the table no more is unpacked
        with archive.open(entry) as stream:
            yield entry.filename, stream, looked_at
