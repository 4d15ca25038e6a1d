"""A queue in memory that behaves as a broker does: partitions, offsets, groups that share them and lose them again."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import count, repeat

from gpulake.errors import SourceError
from gpulake.transports import Assignment, Bounds, Place, Record


class Queue:
    """A broker of this process. Consumers of it are one group."""

    def __init__(self, *, partitions: int = 4, stream: str = "queue") -> None:
        self.stream = stream
        self.partitions = partitions
        self._held: dict[Place, list[bytes]] = {}
        self._firsts: dict[Place, int] = {}
        self._uids: dict[str, int] = {}
        self.members: list[QueueInlet] = []

    def send(self, topic: str, messages: Sequence[tuple[bytes, bytes]]) -> None:
        """Put messages at the end of their partitions."""
        self.make(topic)
        for key, value in messages:
            self._held[topic, zlib.crc32(key) % self.partitions].append(value)

    def put(self, topic: str, partition: int, value: bytes) -> None:
        """Put one message at the end of a partition."""
        self.make(topic)
        self._held[topic, partition].append(value)

    def flush(self) -> None:
        """There is nothing to wait for."""

    def close(self) -> None:
        """It ends with the process."""

    def make(self, topic: str) -> None:
        """A topic, if it is not there yet."""
        if (topic, 0) not in self._held:
            self._uids[topic] = self._uids.get(topic, 0) + 1
            self._held |= {(topic, partition): [] for partition in range(self.partitions)}
            self.share_out()

    def drop(self, topic: str) -> None:
        """Delete a topic with all that it holds; one of that name can be made anew."""
        for place in [place for place in self._held if place[0] == topic]:
            del self._held[place]
            self._firsts.pop(place, None)
        self.share_out()

    def forget(self, place: Place, before: int) -> None:
        """Delete the messages of a partition before an offset, as a broker does when they are old."""
        gone = before - self._firsts.get(place, 0)
        self._held[place] = self._held[place][gone:]
        self._firsts[place] = before

    def bounds(self, place: Place) -> Bounds:
        """What a partition holds. Raises SourceError where there is none."""
        if place not in self._held:
            raise SourceError(f"there is no topic {place[0]}.", where=self.stream)
        first = self._firsts.get(place, 0)
        return Bounds(first, first + len(self._held[place]), str(self._uids[place[0]]))

    def read(self, place: Place, offset: int, at_most: int) -> Sequence[Record]:
        """Messages of a partition from an offset on."""
        start = offset - self._firsts.get(place, 0)
        values = self._held.get(place, [])[start : start + at_most]
        fields = zip(repeat(place[0]), repeat(place[1]), count(offset), values, strict=False)
        return list(map(partial(tuple.__new__, Record), fields))

    def consumer(self, topics: Sequence[str]) -> QueueInlet:
        """A further member of the group."""
        member = QueueInlet(self, frozenset(topics))
        self.members.append(member)
        self.share_out()
        return member

    def leave(self, member: QueueInlet) -> None:
        """Give a member's partitions to the others."""
        if member in self.members:
            self.members.remove(member)
        self.share_out()

    def share_out(self) -> None:
        """A rebalance: every member loses all, and gets its share."""
        for number, member in enumerate(self.members):
            places = sorted(place for place in self._held if place[0] in member.topics)
            member.given(places[number :: len(self.members)])


class QueueInlet:
    """A consumer of a queue."""

    def __init__(self, queue: Queue, topics: frozenset[str]) -> None:
        self.topics = topics
        self._queue = queue
        self._assigned = Assignment(0, frozenset())
        self._positions: dict[Place, int] = {}
        self._is_paused = False

    @property
    def stream(self) -> str:
        """The queue's name."""
        return self._queue.stream

    def given(self, places: Sequence[Place]) -> None:
        """Told by the queue which partitions are its own; it starts anew."""
        self._assigned = Assignment(self._assigned.number + 1, frozenset(places))
        self._positions = {}

    def end(self, place: Place) -> int | None:
        """The end of a partition."""
        return self._queue.bounds(place).end

    def assigned(self) -> Assignment:
        """The partitions that are its own."""
        return self._assigned

    def reached(self, place: Place) -> int | None:  # noqa: ARG002  # every offset holds a message here
        """Never past the last message."""
        return None

    def bounds(self, place: Place) -> Bounds:
        """What a partition holds."""
        return self._queue.bounds(place)

    def start(self, positions: Mapping[Place, int]) -> None:
        """Read from offsets on."""
        self._positions = dict(positions)

    def poll(self, *, at_most: int, wait_s: float) -> Sequence[Record]:
        """What is there; it never waits."""
        del wait_s
        found: list[Record] = []
        if self._is_paused:
            return found
        for place in sorted(self._positions):
            more = self._queue.read(place, self._positions[place], at_most - len(found))
            self._positions[place] += len(more)
            found += more
        return found

    def pause(self) -> None:
        """Give nothing."""
        self._is_paused = True

    def resume(self) -> None:
        """Give again."""
        self._is_paused = False

    def close(self) -> None:
        """Leave the group."""
        self._queue.leave(self)
