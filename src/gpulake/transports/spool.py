"""A folder of files as a stream: `TOPIC/PARTITION/OFFSET.jsonl`, a line a message, named by the offset of its first.

Files are there as a whole or not at all, and never change. Deleting the oldest is allowed.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from uuid import uuid4

from gpulake.errors import SourceError
from gpulake.transports import Assignment, Bounds, NoStreamError, Place, Record
from gpulake.whole import write_whole

_NAME = "stream-id"
_ENDING = ".jsonl"


class SpoolOutlet:
    """Writes a stream into a folder. One at a time does so."""

    def __init__(self, folder: Path, *, partitions: int = 4) -> None:
        self._folder = folder
        self._partitions = partitions
        self._waiting: dict[Place, list[bytes]] = {}
        self._ends: dict[Place, int] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not (folder / _NAME).exists():
                write_whole(folder / _NAME, uuid4().hex.encode() + b"\n")
        except OSError as error:
            raise _unwritten(folder, error) from error

    def send(self, topic: str, messages: Sequence[tuple[bytes, bytes]]) -> None:
        """Take messages. A line ends a message, so none may hold one."""
        for key, value in messages:
            self._waiting.setdefault((topic, zlib.crc32(key) % self._partitions), []).append(value)

    def flush(self) -> None:
        """Write what waits, a file per partition."""
        for place, values in self._waiting.items():
            folder = self._folder / place[0] / str(place[1])
            try:
                folder.mkdir(parents=True, exist_ok=True)
                if place not in self._ends:
                    self._ends[place] = _bounds(folder).end
                write_whole(folder / f"{self._ends[place]:020}{_ENDING}", b"\n".join(values) + b"\n")
            except OSError as error:
                raise _unwritten(folder, error) from error
            self._ends[place] += len(values)
        self._waiting = {}

    def close(self) -> None:
        """Write what waits."""
        self.flush()


class SpoolInlet:
    """Reads a stream out of a folder. Two of them read the same: what lands is what the lake has not got."""

    def __init__(self, folder: Path, topics: Sequence[str]) -> None:
        self._folder = folder
        self._topics = tuple(topics)
        self._positions: dict[Place, int] = {}
        self._is_paused = False
        self._open: dict[Place, tuple[int, list[bytes]]] = {}
        try:
            self.stream = (folder / _NAME).read_text(encoding="ascii").strip()
        except (OSError, ValueError) as error:
            raise NoStreamError(
                "the folder is no stream.", where=str(folder), do="write one: gpulake replay SOURCE --to DIR"
            ) from error
        if not any((folder / topic).is_dir() for topic in topics):
            raise NoStreamError(
                f"there is no topic {' or '.join(sorted(topics)[:3])}{' …' if len(topics) > 3 else ''}.",
                where=str(folder),
                do="check whose messages they are: gpulake stream SOURCE",
            )

    def assigned(self) -> Assignment:
        """All partitions that are there."""
        places = frozenset(
            (topic, int(folder.name))
            for topic in self._topics
            for folder in (self._folder / topic).glob("*")
            if folder.name.isdecimal() and folder.is_dir()
        )
        return Assignment(0, places)

    def end(self, place: Place) -> int | None:
        """The end of a partition."""
        return self.bounds(place).end

    def reached(self, place: Place) -> int | None:  # noqa: ARG002  # every offset holds a message here
        """Never past the last message."""
        return None

    def bounds(self, place: Place) -> Bounds:
        """What a partition holds."""
        return _bounds(self._at(place))

    def start(self, positions: Mapping[Place, int]) -> None:
        """Read from offsets on."""
        self._positions = dict(positions)

    def poll(self, *, at_most: int, wait_s: float) -> Sequence[Record]:
        """What is there, or after so long whatever has come."""
        found = self._found(at_most)
        if not found and wait_s > 0:
            time.sleep(wait_s)
            found = self._found(at_most)
        return found

    def pause(self) -> None:
        """Give nothing."""
        self._is_paused = True

    def resume(self) -> None:
        """Give again."""
        self._is_paused = False

    def close(self) -> None:
        """There is nothing to give back."""

    def _found(self, at_most: int) -> Sequence[Record]:
        found: list[Record] = []
        if self._is_paused:
            return found
        # A share of each first: where much waits, no partition runs ahead of the others.
        for share in (-(-at_most // max(len(self._positions), 1)), at_most):
            for place in sorted(self._positions):
                found += self._of(place, min(share, at_most - len(found)))
        return found

    def _of(self, place: Place, at_most: int) -> list[Record]:
        found: list[Record] = []
        while len(found) < at_most:
            offset = self._positions[place]
            values = self._read(place, offset)[: at_most - len(found)]
            if not values:
                break
            found += [Record(*place, offset + number, value) for number, value in enumerate(values)]
            self._positions[place] += len(values)
        return found

    def _read(self, place: Place, offset: int) -> list[bytes]:
        """The messages of one file from an offset on."""
        first, held = self._open.get(place, (0, []))
        if not first <= offset < first + len(held):
            firsts = [start for start in _firsts(self._at(place)) if start <= offset]
            if not firsts:
                return []
            first = firsts[-1]
            held = _lines(self._at(place) / f"{first:020}{_ENDING}")
            self._open[place] = (first, held)
        return held[offset - first :]

    def _at(self, place: Place) -> Path:
        return self._folder / place[0] / str(place[1])


def _firsts(folder: Path) -> list[int]:
    return sorted(int(file.stem) for file in folder.glob(f"*{_ENDING}") if file.stem.isdecimal())


def _bounds(folder: Path) -> Bounds:
    firsts = _firsts(folder)
    if not firsts:
        return Bounds(0, 0)
    return Bounds(firsts[0], firsts[-1] + len(_lines(folder / f"{firsts[-1]:020}{_ENDING}")))


def _lines(file: Path) -> list[bytes]:
    try:
        return file.read_bytes().removesuffix(b"\n").split(b"\n")
    except OSError as error:
        raise SourceError(f"a file of the stream cannot be read: {error.strerror}.", where=str(file)) from error


def _unwritten(folder: Path, error: OSError) -> SourceError:
    return SourceError(
        f"messages cannot be written: {error.strerror}.", where=str(folder), do="check the folder's rights and the disk"
    )
