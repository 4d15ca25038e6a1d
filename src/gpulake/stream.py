"""Landing a stream: messages in, batches into the lake, each in one transaction with the offsets that it reaches.

The lake knows how far each partition has landed, and nobody else does. A consumer that is killed anywhere goes on from
there; one that was thought dead and lands late finds the lake further than itself and lands nothing twice.
While another writer holds the lock, reading pauses and the partitions are kept.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from itertools import groupby
from operator import itemgetter

from gpulake import clock, lake, landing, meta, session, upkeep
from gpulake.config import Config
from gpulake.contract import Source, Table
from gpulake.errors import GpulakeError, LockError, SourceError, UsageError
from gpulake.lake import Writer
from gpulake.landing import Stretch, StretchLanded, StretchLander
from gpulake.sources import all_sources
from gpulake.transports import Address, Assignment, Bounds, Inlet, Place, Record
from gpulake.whole import keep_newest, write_whole

_HOLD_S = 5.0
"""So long the lock is held at most while much is waiting; others get their turn between."""

_REST_S = 0.2
_BATCHES_BETWEEN_TENDING = 32
_BETWEEN_NOTES_S = 1.0
_NOTES_KEPT = 8

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Batch:
    """When what has been read lands: so many messages, so many bytes, or so long after the first of them."""

    messages: int = 10_000
    bytes: int = 32 << 20
    seconds: float = 10.0


@dataclass(frozen=True)
class Told:
    """Where a topic's messages belong."""

    source: Source
    table: Table


def topics_of(where: Address, sources: Sequence[Source], tables: Sequence[str] = ()) -> dict[str, Told]:
    """Which topic holds which table of some sources. Raises UsageError for a table that none of them has."""
    known = {table.name: Told(source, table) for source in sources for table in source.tables}
    for name in tables:
        if name not in known:
            whose = " and ".join(source.name for source in sources)
            raise UsageError(f"{whose} has no table {name!r}.", do=f"use: {', '.join(known)}")
    return {where.topic(name): known[name] for name in where.narrowed(tables or list(known))}


@dataclass
class _Pending:
    """What has been read of one partition and has not landed."""

    from_offset: int
    offsets: list[int] = field(default_factory=list)
    values: list[bytes] = field(default_factory=list)

    @property
    def next_offset(self) -> int:
        return self.offsets[-1] + 1 if self.offsets else self.from_offset

    def parted(self, open_end: int) -> tuple[_Pending, _Pending]:
        """Without its last messages, and those; all of it and none, where nothing else waits."""
        cut = len(self.values) - open_end or len(self.values)
        whole = _Pending(self.from_offset, self.offsets[:cut], self.values[:cut])
        return whole, _Pending(whole.next_offset, self.offsets[cut:], self.values[cut:])


class Buffer:
    """What waits to land, by partition. `open_end`: how many of a partition's last messages may go on in what is read next."""

    def __init__(self, batch: Batch, *, open_end: Callable[[Place, Sequence[bytes]], int] = lambda *_: 0) -> None:
        self._batch = batch
        self._open_end = open_end
        self._held: dict[Place, _Pending] = {}
        self._left: dict[Place, _Pending] = {}
        self._since: float | None = None
        self.messages = 0
        self.bytes = 0

    def begin(self, places: Mapping[Place, int]) -> None:
        """Forget all: reading goes on at these offsets."""
        self._held = {place: _Pending(offset) for place, offset in places.items()}
        self._since, self.messages, self.bytes = None, 0, 0

    def positions(self) -> dict[Place, int]:
        """Where reading goes on."""
        return {place: pending.next_offset for place, pending in self._held.items()}

    def add(self, records: Sequence[Record], *, now_s: float) -> None:
        """Take messages. Those of partitions that are no longer ours are left to others."""
        for place, of_place in groupby(records, key=itemgetter(0, 1)):
            pending = self._held.get(place)
            if pending is None:
                continue
            before = pending.next_offset
            fresh = [record for record in of_place if record.offset >= before]
            if not fresh:
                continue
            pending.offsets += [record.offset for record in fresh]
            pending.values += (values := [record.value for record in fresh])
            self.messages += len(values)
            self.bytes += sum(map(len, values))
            if self._since is None:
                self._since = now_s

    @property
    def room(self) -> int:
        """How many more messages a batch takes."""
        return self._batch.messages - self.messages if self.bytes < self._batch.bytes else 0

    def due(self, *, now_s: float) -> bool:
        """Whether what waits should land."""
        return self._since is not None and (self.room <= 0 or now_s - self._since >= self._batch.seconds)

    def waiting(self) -> Iterator[tuple[Place, _Pending]]:
        """What waits, of each partition of which something does."""
        return ((place, pending) for place, pending in sorted(self._held.items()) if pending.offsets)

    def ready(self) -> Iterator[tuple[Place, _Pending]]:
        """What of it should land: what goes on in the next messages lands with them, or the next time."""
        self._left = {}
        for place, pending in self.waiting():
            whole, self._left[place] = pending.parted(self._open_end(place, pending.values))
            yield place, whole

    def landed(self, *, now_s: float) -> None:
        """What was ready is in the lake."""
        left = {place: pending for place, pending in self._left.items() if pending.offsets}
        self.begin(self.positions())
        self._held |= left
        self.messages = sum(len(pending.values) for pending in left.values())
        self.bytes = sum(len(value) for pending in left.values() for value in pending.values)
        self._since = now_s if left else None


@dataclass(frozen=True)
class Streamed:
    """What a consumer did. `lag` is what its partitions still hold, where that is known."""

    stream: str
    state: str = "starting"
    batches: int = 0
    messages: int = 0
    rows_kept: int = 0
    rows_refused: int = 0
    seen_before: int = 0
    merges: int = 0
    partitions: int = 0
    lag: int | None = None
    watermark: datetime | None = None
    waiting_since: datetime | None = None
    error: GpulakeError | None = None

    def as_json(self) -> dict[str, object]:
        """For machines."""
        return {**asdict(replace(self, error=None)), "error": self.error.as_json() if self.error else None}


class Consumer:
    """Lands what an inlet gives. `step` does a little of it, `run` goes on until told to stop."""

    def __init__(
        self,
        config: Config,
        inlet: Inlet,
        topics: Mapping[str, Told],
        *,
        cluster: str | None = None,
        batch: Batch | None = None,
        anew: bool = False,
        tell: Tell = lambda _sentence: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._inlet = inlet
        self._topics = topics
        self._cluster = cluster
        self._buffer = Buffer(
            batch or Batch(), open_end=lambda place, values: landing.open_end(values, topics[place[0]].table)
        )
        self._anew = anew
        self._tell = tell
        self._monotonic = monotonic
        self._placed: Assignment | None = None  # None: the lake must be asked where to go on
        self._at: dict[Place, meta.Position] = {}
        self._lost: dict[Place, int] = {}
        self._ends: dict[Place, int] = {}
        self._has_shipped = False
        self._noted_s = float("-inf")
        self.done = Streamed(inlet.stream)

    # ------------------------------------------------------------------------------------------------ going on

    def run(self, *, stopping: Callable[[], bool], once: bool = False) -> Streamed:
        """Go on until told to stop, or with `once` until what was there at the beginning has landed.

        What has been read lands before it ends, unless another writer is at work. Raises SourceError, LakeError, UsageError.
        """
        try:
            while not stopping():
                self.step(flush=once)
                if once and self._has_all():
                    break
            self._land_last()
        except GpulakeError as error:
            self._note("failed", error=error, anyway=True)
            raise
        else:
            self._note("stopped", anyway=True)
        finally:
            self._inlet.close()
        return self.done

    def step(self, *, flush: bool = False, wait_s: float = 0.5) -> None:
        """Read a little, and land what is due; `flush`: also what is not, where nothing more comes."""
        records = self._inlet.poll(at_most=max(self._buffer.room, 0), wait_s=wait_s) if self._has_room() else ()
        if not self._has_room():
            self._inlet.pause()
            self._inlet.poll(at_most=1, wait_s=0.0)  # keeps the partitions
        self._settle()
        self._buffer.add(records, now_s=self._monotonic())
        is_due = self._buffer.due(now_s=self._monotonic()) or (flush and not records and self._buffer.messages > 0)
        if is_due or self._must_place():
            self._with_lock(flush=flush)
        self._note("reading" if self.done.waiting_since is None else "paused: another writer is at work")

    def _has_room(self) -> bool:
        return self._buffer.room > 0

    def _settle(self) -> None:
        """After a rebalance nothing that was read counts: the lake says where each partition goes on."""
        if self._placed is not None and self._placed != self._inlet.assigned():
            self._placed = None
            self._buffer.begin({})

    def _must_place(self) -> bool:
        return self._placed is None and bool(self._inlet.assigned().places)

    def _has_all(self) -> bool:
        if self._placed is None or self._buffer.messages:
            return False
        return all(position >= self._ends[place] for place, position in self._read_up_to().items())

    def _read_up_to(self) -> dict[Place, int]:
        """The last offsets of a partition may hold no message: they are read nevertheless."""
        return {
            place: max(position, self._inlet.reached(place) or 0)
            for place, position in self._buffer.positions().items()
        }

    # ------------------------------------------------------------------------------------------- under the lock

    def _with_lock(self, *, flush: bool = False) -> None:
        try:
            with self._writing() as writer:
                self._was_let_in()
                lander = StretchLander(writer, stream=self._inlet.stream, config=self._config, cluster=self._cluster)
                until = self._monotonic() + _HOLD_S
                while True:
                    self._settle()
                    if self._must_place():
                        self._place(lander)
                    elif self._buffer.messages:
                        self._land(writer, lander)
                        self._note("reading")
                    has_held_long = self._monotonic() >= until
                    if has_held_long:
                        break
                    # Much is waiting: the next batch is worth no lock of its own.
                    records = self._inlet.poll(at_most=self._buffer.room, wait_s=0.05)
                    self._settle()
                    self._buffer.add(records, now_s=self._monotonic())
                    if self._has_room() and not (flush and records) and not self._must_place():
                        break
        except LockError:
            if self.done.waiting_since is None:
                self._tell("another writer is at work: reading waits for it")
                self.done = replace(self.done, waiting_since=clock.now())
            self._inlet.pause()
            return
        if self._has_room():
            self._inlet.resume()
        if has_held_long:
            time.sleep(_REST_S)  # whoever waits for the lock looks every few hundredths of a second

    @contextmanager
    def _writing(self) -> Iterator[Writer]:
        with lake.writing(self._config.lake, purpose="stream", tables=session.all_tables()) as writer:
            if not self._has_shipped:
                self._land_shipped(writer)
                self._has_shipped = True
            yield writer

    def _was_let_in(self) -> None:
        if self.done.waiting_since is not None:
            self._tell("reading goes on")
            self.done = replace(self.done, waiting_since=None)

    def _land_shipped(self, writer: Writer) -> None:
        """What comes with gpulake itself lands in every lake."""
        for owner in all_sources():
            for path in owner.shipped:
                landing.land(writer, landing.survey(path, [owner]), config=self._config, now=clock.now())

    def _place(self, lander: StretchLander) -> None:
        """Go on where the lake ends, in each partition."""
        assignment = self._inlet.assigned()
        known = lander.positions()
        self._at, self._lost = {}, {}
        positions = {}
        for place in sorted(assignment.places):
            bounds = self._inlet.bounds(place)
            self._at[place], self._lost[place] = self._begin(place, known.get(place), bounds)
            positions[place] = self._at[place].next_offset
            self._ends[place] = bounds.end
        self._buffer.begin({place: position - self._lost[place] for place, position in positions.items()})
        self._inlet.start(positions)
        self._placed = assignment
        self.done = replace(self.done, partitions=len(positions))

    def _begin(self, place: Place, known: meta.Position | None, bounds: Bounds) -> tuple[meta.Position, int]:
        """Where one partition begins, and how much of it is lost. Raises SourceError where that must be allowed first."""
        if known is None:
            return meta.Position(0, bounds.first, bounds.uid), 0
        topic, partition = place
        is_new = bool(known.topic_uid and bounds.uid and known.topic_uid != bounds.uid)
        if is_new or known.next_offset > bounds.end:
            if not self._anew:
                raise SourceError(
                    f"{topic} was made anew: {known.next_offset:,} messages of its partition {partition} have landed, "
                    f"and it holds {bounds.end - bounds.first:,}, up to offset {bounds.end:,}.",
                    where=self._inlet.stream,
                    do="check that it is the stream you mean; --anew reads the new topic from its beginning",
                )
            return meta.Position(known.generation + 1, bounds.first, bounds.uid), 0
        lost = max(0, bounds.first - known.next_offset)
        if lost and not self._anew:
            raise SourceError(
                f"{lost:,} messages of {topic}, partition {partition}, were deleted before they landed "
                f"(offsets {known.next_offset:,} to {bounds.first - 1:,}).",
                where=self._inlet.stream,
                do="deliver them as files if you have them; --anew goes on with what the topic still holds",
            )
        return meta.Position(
            known.generation, max(known.next_offset, bounds.first), bounds.uid or known.topic_uid
        ), lost

    def _land(self, writer: Writer, lander: StretchLander) -> None:
        """Land what waits, but for what the lake has got from somebody else."""
        known = lander.positions()
        stretches = []
        for place, pending in self._buffer.ready():
            landed = known.get(place)
            if landed is not None and not self._goes_on(place, landed, pending.from_offset):
                # Somebody else landed here: where it went on is read again.
                self._placed = None
                self.done = replace(self.done, seen_before=self.done.seen_before + self._buffer.messages)
                self._buffer.begin({})
                return
            stretches.append(self._stretch(place, pending))
        done = lander.land(stretches, now=clock.now())
        self._lost |= {(stretch.topic, stretch.partition): 0 for stretch in stretches}
        self._buffer.landed(now_s=self._monotonic())
        self._count(done)
        # Also after the first: a consumer that is started for each batch would never get to the next.
        if self.done.batches % _BATCHES_BETWEEN_TENDING == 1 and upkeep.tend(writer, now=clock.now()):
            self.done = replace(self.done, merges=self.done.merges + 1)

    def _goes_on(self, place: Place, landed: meta.Position, from_offset: int) -> bool:
        at = self._at[place]
        return at.generation > landed.generation or (
            at.generation == landed.generation and landed.next_offset == from_offset
        )

    def _stretch(self, place: Place, pending: _Pending) -> Stretch:
        told, at = self._topics[place[0]], self._at[place]
        return Stretch(
            source=told.source,
            table=told.table,
            stream=self._inlet.stream,
            topic=place[0],
            partition=place[1],
            generation=at.generation,
            topic_uid=at.topic_uid,
            from_offset=pending.from_offset + self._lost[place],
            next_offset=pending.next_offset,
            offsets=pending.offsets,
            values=pending.values,
            lost=self._lost[place],
        )

    def _land_last(self) -> None:
        if self._buffer.messages:
            self._with_lock()
        if self._buffer.messages:
            self._tell(f"{self._buffer.messages:,} messages did not land: they are read again next time")

    # ----------------------------------------------------------------------------------------------- telling

    def _count(self, landed: Sequence[StretchLanded]) -> None:
        times = [each.max_event_at for each in landed if each.max_event_at is not None]
        self.done = replace(
            self.done,
            batches=self.done.batches + 1,
            messages=self.done.messages + sum(len(each.stretch.values) for each in landed),
            rows_kept=self.done.rows_kept + sum(each.rows_kept for each in landed),
            rows_refused=self.done.rows_refused + sum(each.rows_refused for each in landed),
            watermark=max([*times, *([self.done.watermark] if self.done.watermark else [])], default=None),
        )

    def _note(self, state: str, *, error: GpulakeError | None = None, anyway: bool = False) -> None:
        """Leave a note for whoever asks how it goes: a file, since the lake may be held by somebody else."""
        now_s = self._monotonic()
        if not anyway and now_s - self._noted_s < _BETWEEN_NOTES_S:
            return
        self._noted_s = now_s
        behind = self._behind()
        known = [messages for messages in (behind or {}).values() if messages is not None]
        lag = sum(known) if behind is not None and len(known) == len(behind) else None
        self.done = replace(self.done, state=state, lag=lag, error=error)
        note = {
            **self.done.as_json(),
            "pid": os.getpid(),
            "noted_at": clock.now(),
            "topics": sorted(self._topics),
            "behind": [
                {"topic": topic, "partition": partition, "messages": messages}
                for (topic, partition), messages in sorted((behind or {}).items())
            ],
        }
        folder = lake.Layout(self._config.lake).streams
        with suppress(OSError):  # nobody is told for a moment
            folder.mkdir(exist_ok=True)
            write_whole(folder / f"{os.getpid()}.json", json.dumps(note, default=str).encode())
            keep_newest(folder.glob("*.json"), _NOTES_KEPT)

    def _behind(self) -> dict[Place, int | None] | None:
        """How many messages of each partition have not landed, where its end is known; None while reading begins anew."""
        if self._placed is None or self._placed != self._inlet.assigned():
            return None
        waiting = {place: len(pending.offsets) for place, pending in self._buffer.waiting()}
        ends = {place: (position, self._inlet.end(place)) for place, position in self._read_up_to().items()}
        return {
            place: None if end is None else max(0, end - position) + waiting.get(place, 0)
            for place, (position, end) in ends.items()
        }


def audit(view: meta.Asked) -> tuple[meta.Audited, ...]:
    """Account for every message that has landed."""
    return meta.audited(view, {table.bronze: table.key for source in all_sources() for table in source.tables})
