"""Where messages come from and go to: a broker, a folder of files, a queue in memory. All three look alike from here.

A topic has partitions; a partition holds messages in their order, each with an offset that never changes. Whoever reads
keeps account of how far he has come by himself: no transport is asked to remember it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from gpulake.errors import SourceError, UsageError

Place = tuple[str, int]
"""A topic and one of its partitions."""


class NoStreamError(SourceError):
    """A stream is not there; it may come."""


class Record(NamedTuple):
    """One message as it was delivered. A message without a value is empty."""

    topic: str
    partition: int
    offset: int
    value: bytes


@dataclass(frozen=True)
class Bounds:
    """What a partition holds: from its first offset up to, and without, its end. `uid` names the topic, where it has a name."""

    first: int
    end: int
    uid: str = ""


class Assignment(NamedTuple):
    """The partitions that are a consumer's own. The number rises when they were given anew, be they the same ones."""

    number: int
    places: frozenset[Place]


class Inlet(Protocol):
    """Reads messages. Which partitions are its own may change whenever it is polled."""

    @property
    def stream(self) -> str:
        """What names the broker, folder or queue, also when it is found at another address."""
        ...

    def assigned(self) -> Assignment:
        """The partitions that are its own for the present. Given anew, none of them is read before `start`."""
        ...

    def end(self, place: Place) -> int | None:
        """The end of a partition as it was seen last, at no cost; None where it was not."""
        ...

    def reached(self, place: Place) -> int | None:
        """Up to which offset reading has come since `start` where no message lies there; None: up to the last message."""
        ...

    def bounds(self, place: Place) -> Bounds:
        """What a partition holds at present. Raises SourceError where nobody answers."""
        ...

    def start(self, positions: Mapping[Place, int]) -> None:
        """Read all partitions that are its own, each from an offset on. Before that nothing is read."""
        ...

    def poll(self, *, at_most: int, wait_s: float) -> Sequence[Record]:
        """Some messages, those of a partition in their order; none after so long. Raises SourceError where reading cannot go on."""
        ...

    def pause(self) -> None:
        """Read nothing until told to go on; polling keeps its partitions."""
        ...

    def resume(self) -> None:
        """Go on where it paused."""
        ...

    def close(self) -> None:
        """Give its partitions to others."""
        ...


class Outlet(Protocol):
    """Writes messages; those of one key stay in their order."""

    def send(self, topic: str, messages: Sequence[tuple[bytes, bytes]]) -> None:
        """Take messages, each a key and a value. Raises SourceError where they cannot be delivered."""
        ...

    def flush(self) -> None:
        """Wait until all that was taken has been delivered. Raises as `send` does."""
        ...

    def close(self) -> None:
        """Deliver what is left, and end."""
        ...


@dataclass(frozen=True)
class Address:
    """Where a stream is: `kafka://HOST:PORT[,HOST:PORT]/NAME`, a folder, or `queue`. NAME begins the topics' names."""

    kind: str
    where: str
    name: str

    def topic(self, table: str) -> str:
        """The topic of a table: NAME.TABLE, or NAME where it ends so already."""
        return self.name if self.name.split(".")[-1] == table else f"{self.name}.{table}"

    def narrowed(self, tables: Sequence[str]) -> list[str]:
        """The tables that it can carry: all, or the one with which its NAME ends."""
        return [name for name in tables if self.name.split(".")[-1] == name] or list(tables)


def address(text: str) -> Address:
    """Read an address. Raises UsageError for what is none."""
    if text == "queue":
        return Address("queue", "", "queue")
    if text.startswith("kafka://"):
        brokers, _, name = text.removeprefix("kafka://").partition("/")
        if not (brokers and name) or "/" in name:
            raise UsageError(f"{text!r} is no address of a stream.", do="write kafka://HOST:PORT/NAME")
        return Address("kafka", brokers, name)
    if "://" in text or not text:
        raise UsageError(f"{text!r} is no address of a stream.", do="write kafka://HOST:PORT/NAME, a folder, or queue")
    return Address("folder", text, "events")
