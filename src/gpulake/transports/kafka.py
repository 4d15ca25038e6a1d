"""Apache Kafka, and whatever speaks its protocol. The library is loaded here and nowhere else."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gpulake.errors import SourceError, UsageError
from gpulake.transports import Assignment, Bounds, NoStreamError, Place, Record

_ANSWER_S = 15.0
"""So long a broker may take to answer a question."""

_LOOK_S = 1.0
"""So often it is looked, while nobody answers, whether the client has said why."""

_NO_UID = "A" * 22
"""What brokers before Kafka 2.8 tell as a topic's id: 16 bytes of zero."""

_LONGEST_POLL_MS = 600_000
"""A consumer that does not poll for so long has lost its partitions: a landing is far shorter."""


def _library() -> Any:  # the library has no types
    try:
        import confluent_kafka
    except ImportError as error:
        raise UsageError(
            "Kafka's client is not installed.",
            do="install the extra: pip install 'gpulake[kafka]', or scripts/setup all",
        ) from error
    return confluent_kafka


def read_properties(file: Path | None) -> dict[str, str]:
    """Settings of the client, as librdkafka names them: `sasl.username=…`, one a line. Raises UsageError."""
    if file is None:
        return {}
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the client's settings cannot be read: {error}.", where=str(file)) from error
    found = {}
    for number, line in enumerate(lines, 1):
        name, is_setting, value = line.strip().partition("=")
        if line.strip() and not line.strip().startswith("#"):
            if not is_setting:
                raise UsageError("a line is no setting.", where=f"{file}:{number}", do="write NAME=VALUE")
            found[name.strip()] = value.strip()
    return found


class _Errors:
    """What the client tells of in passing: the last of it says why nobody answers."""

    def __init__(self, brokers: str) -> None:
        self._brokers = brokers
        self.last = ""
        self.fatal = ""

    def note(self, error: Any) -> None:
        """Called by whoever polls the client."""
        library = _library()
        if error.code() != library.KafkaError._ALL_BROKERS_DOWN or not self.last:  # noqa: SLF001  # so the library names it
            self.last = error.str()
        refused = (library.KafkaError._AUTHENTICATION, library.KafkaError._SSL)  # noqa: SLF001  # so the library names them
        if error.fatal() or error.code() in refused:
            self.fatal = self.last

    def topics(self, client: Any) -> Any:
        """What a broker says of itself and its topics. Raises SourceError where it refuses the client, or nobody answers."""
        library = _library()
        until = time.monotonic() + _ANSWER_S
        while True:
            try:
                return client.list_topics(timeout=_LOOK_S)
            except library.KafkaException as error:
                client.poll(0)  # so that it says why
                if self.fatal:
                    raise self.told("the broker refuses the client") from error
                if time.monotonic() >= until:
                    raise self.told("no broker answers", error.args[0].str()) from error

    def told(self, what: str, error: object = "") -> SourceError:
        """An error with the last word of the client."""
        why = self.fatal or self.last or str(error)
        return SourceError(
            f"{what}{f': {why}' if why else ''}.",
            where=f"kafka://{self._brokers}",
            do="check that the broker runs and can be reached, and the settings of --kafka-config",
        )


class KafkaInlet:
    """One member of a group of consumers. Offsets are never committed to the broker: the lake holds them."""

    def __init__(
        self, brokers: str, topics: Sequence[str], *, group: str, properties: Mapping[str, str] | None = None
    ) -> None:
        library = _library()
        self._errors = _Errors(brokers)
        self._topics = tuple(topics)
        self._consumer = _made(
            library.Consumer,
            {
                "group.id": group,
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "error",
                "max.poll.interval.ms": _LONGEST_POLL_MS,
                "session.timeout.ms": 10_000,
                "partition.assignment.strategy": "range",
                "allow.auto.create.topics": False,
                "topic.metadata.refresh.interval.ms": 10_000,
                **(properties or {}),
                "bootstrap.servers": brokers,
                "error_cb": self._errors.note,
                "log_level": 3,
            },
        )
        self._assigned = Assignment(0, frozenset())
        self._started: frozenset[Place] = frozenset()
        self._is_paused = False
        self._uids: dict[str, str] = {}
        self._reached: dict[Place, int] = {}
        self._asked = {
            **(properties or {}),
            "bootstrap.servers": brokers,
            "error_cb": self._errors.note,
            "log_level": 3,
        }
        described = self._errors.topics(self._consumer)
        self.stream = described.cluster_id or f"kafka://{brokers}"
        there = {name for name, topic in described.topics.items() if topic.error is None}
        if not there & set(self._topics):
            self._consumer.close()
            raise NoStreamError(
                f"there is no topic {' or '.join(sorted(self._topics)[:3])}{' …' if len(self._topics) > 3 else ''}.",
                where=f"kafka://{brokers}",
                do="check the stream's NAME, or make the topic first",
            )
        self._consumer.subscribe(
            sorted(self._topics), on_assign=self._given, on_revoke=self._taken, on_lost=self._taken
        )

    def _given(self, consumer: Any, partitions: Sequence[Any]) -> None:
        """The lake says where to begin: until it has been asked nothing is read."""
        self._renew((each.topic, each.partition) for each in partitions)
        consumer.assign([])

    def _taken(self, consumer: Any, _partitions: Sequence[Any]) -> None:
        self._renew(())
        consumer.unassign()

    def _renew(self, places: Iterable[Place]) -> None:
        self._assigned = Assignment(self._assigned.number + 1, frozenset(places))
        self._started = frozenset()
        self._is_paused = False
        self._uids.clear()
        self._reached.clear()

    def assigned(self) -> Assignment:
        """The partitions that the group gave to it."""
        return self._assigned

    def end(self, place: Place) -> int | None:
        """The end of a partition as its last answer told it."""
        library = _library()
        try:
            _, end = self._consumer.get_watermark_offsets(library.TopicPartition(*place), cached=True)
        except library.KafkaException:
            return None
        return end if end >= 0 else None

    def bounds(self, place: Place) -> Bounds:
        """What a partition holds."""
        library = _library()
        try:
            first, end = self._consumer.get_watermark_offsets(library.TopicPartition(*place), timeout=_ANSWER_S)
        except library.KafkaException as error:
            raise self._errors.told(f"nothing can be learnt of {place[0]}", error) from error
        return Bounds(first, end, self._uid(place[0]))

    def _uid(self, topic: str) -> str:
        if topic not in self._uids:
            self._uids[topic] = self._asked_uid(topic)
        return self._uids[topic]

    def _asked_uid(self, topic: str) -> str:
        """The id that a topic gets when it is made; empty where the broker tells none."""
        library = _library()
        from confluent_kafka import admin as of_admin

        admin: Any = _made(of_admin.AdminClient, self._asked)
        try:
            futures = admin.describe_topics(library.TopicCollection([topic]), request_timeout=_ANSWER_S)
            uid = str(futures[topic].result(_ANSWER_S + 1).topic_id or "")
        except (library.KafkaException, TimeoutError):
            return ""  # without it a topic made anew is known by its offsets alone
        return "" if uid == _NO_UID else uid

    def reached(self, place: Place) -> int | None:
        """How far reading has come where the last offsets hold no message, as after a transaction."""
        return self._reached.get(place)

    def start(self, positions: Mapping[Place, int]) -> None:
        """Read from offsets on."""
        library = _library()
        self._consumer.assign([library.TopicPartition(*place, offset) for place, offset in positions.items()])
        self._started = frozenset(positions)
        self._reached.clear()
        # A partition that was paused when it was last its own still is.
        self._consumer.resume(self._partitions())
        self._is_paused = False

    def poll(self, *, at_most: int, wait_s: float) -> Sequence[Record]:
        """What has come, at most so much."""
        library = _library()
        try:
            found = self._consumer.consume(max(at_most, 1), timeout=wait_s)
        except library.KafkaException as error:
            raise self._errors.told("reading cannot go on", error) from error
        if self._errors.fatal:
            raise self._errors.told("reading cannot go on")
        records = []
        for message in found:
            if (fault := message.error()) is not None:
                if fault.code() == library.KafkaError._PARTITION_EOF:  # noqa: SLF001  # so the library names it
                    self._reached[message.topic(), message.partition()] = message.offset()
                    continue
                self._raise_unless_passing(fault, message)
                continue
            value = message.value()
            records.append(
                Record(message.topic(), message.partition(), message.offset(), value if value is not None else b"")
            )
        return records

    def _raise_unless_passing(self, error: Any, message: Any) -> None:
        library = _library()
        if error.code() == library.KafkaError._AUTO_OFFSET_RESET:  # noqa: SLF001  # so the library names it
            raise SourceError(
                f"{message.topic()} no longer holds the messages that come next: it was made anew, or they were deleted.",
                do="run it again: it says what is lost and how to go on",
            )
        refused = (library.KafkaError.TOPIC_AUTHORIZATION_FAILED, library.KafkaError.GROUP_AUTHORIZATION_FAILED)
        if error.code() in refused:
            raise self._errors.told(f"the broker refuses {message.topic()}", error.str())
        self._errors.last = error.str()

    def pause(self) -> None:
        """Read nothing; polling keeps the partitions."""
        if not self._is_paused and self._started:
            self._consumer.pause(self._partitions())
            self._is_paused = True

    def resume(self) -> None:
        """Go on."""
        if self._is_paused:
            self._consumer.resume(self._partitions())
            self._is_paused = False

    def _partitions(self) -> list[Any]:
        library = _library()
        return [library.TopicPartition(*place) for place in sorted(self._started)]

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close()


class KafkaOutlet:
    """A producer; the broker sees each message once, though it be sent again."""

    def __init__(self, brokers: str, *, partitions: int = 4, properties: Mapping[str, str] | None = None) -> None:
        library = _library()
        self._errors = _Errors(brokers)
        self._partitions = partitions
        self._failed: list[str] = []
        settings = {**(properties or {}), "bootstrap.servers": brokers, "error_cb": self._errors.note, "log_level": 3}
        self._producer = _made(
            library.Producer,
            {
                "enable.idempotence": True,
                "linger.ms": 20,
                "compression.type": "lz4",
                "partitioner": "murmur2",
                **settings,
            },
        )
        self._settings = settings
        self._known: set[str] = set()

    def send(self, topic: str, messages: Sequence[tuple[bytes, bytes]]) -> None:
        """Take messages; while the client's own queue is full this waits."""
        if topic not in self._known:
            self._make(topic)
        for key, value in messages:
            while True:
                try:
                    self._producer.produce(topic, value=value, key=key, on_delivery=self._delivered)
                except BufferError:
                    self._producer.poll(0.1)
                    self._raise_if_failed()
                    continue
                break
        self._producer.poll(0)
        self._raise_if_failed()

    def flush(self) -> None:
        """Wait for the broker's word on every message."""
        left = self._producer.flush(120)
        self._raise_if_failed()
        if left:
            raise self._errors.told(f"{left} messages were not delivered within two minutes")

    def close(self) -> None:
        """Deliver what is left."""
        self.flush()

    def _delivered(self, error: Any, _message: Any) -> None:
        if error is not None:
            self._failed.append(error.str())

    def _raise_if_failed(self) -> None:
        if self._failed or self._errors.fatal:
            raise self._errors.told("a message was not delivered", self._failed[0] if self._failed else "")

    def _make(self, topic: str) -> None:
        library = _library()
        from confluent_kafka import admin as of_admin

        admin: Any = _made(of_admin.AdminClient, self._settings)
        made_of: Any = of_admin.NewTopic  # type: ignore[attr-defined]  # it is there, but not declared
        try:
            if topic not in self._errors.topics(admin).topics:
                made: dict[str, Callable[[], Any]] = {
                    name: future.result
                    for name, future in admin.create_topics([made_of(topic, self._partitions)]).items()
                }
                made[topic]()
        except library.KafkaException as error:
            if error.args[0].code() != library.KafkaError.TOPIC_ALREADY_EXISTS:
                raise self._errors.told(f"the topic {topic} cannot be made", error.args[0].str()) from error
        self._known.add(topic)


def _made(kind: Callable[[dict[str, Any]], Any], settings: Mapping[str, Any]) -> Any:
    library = _library()
    try:
        return kind(dict(settings))
    except library.KafkaException as error:
        raise UsageError(
            f"the client's settings are refused: {error.args[0].str()}.", where="--kafka-config", do="mend the file"
        ) from error
