"""What Kafka's consumer asks and hears, against a client that stands in for the library's: no broker is needed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

confluent_kafka = pytest.importorskip("confluent_kafka", reason="the extra kafka is not installed")

from confluent_kafka import KafkaError, KafkaException, Uuid, admin  # noqa: E402

from gpulake.transports.kafka import KafkaInlet  # noqa: E402

TOPIC = "site.events"


class _Message:
    def __init__(self, offset: int, value: bytes | None = b"{}", error: KafkaError | None = None) -> None:
        self._offset, self._value, self._error = offset, value, error

    def topic(self) -> str:
        return TOPIC

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return self._offset

    def value(self) -> bytes | None:
        return self._value

    def error(self) -> KafkaError | None:
        return self._error


class _Client:
    """A consumer whose topic holds offsets 0 to 4, the last two of them no messages."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings
        self.coming: list[_Message] = []
        self.on_assign: Any = None

    def list_topics(self, **_: Any) -> Any:
        return SimpleNamespace(cluster_id="c", topics={TOPIC: SimpleNamespace(error=None)})

    def subscribe(self, _topics: list[str], *, on_assign: Any, **_: Any) -> None:
        self.on_assign = on_assign

    def get_watermark_offsets(self, *_: Any, **__: Any) -> tuple[int, int]:
        return 0, 5

    def consume(self, *_: Any, **__: Any) -> list[_Message]:
        coming, self.coming = self.coming, []
        return coming

    def assign(self, _partitions: Any) -> None: ...

    def resume(self, _partitions: Any) -> None: ...


class _Admin:
    uid: Any = Uuid(1, 2)
    asked = 0

    def __init__(self, _settings: dict[str, Any]) -> None: ...

    def describe_topics(self, topics: Any, **_: Any) -> dict[str, Any]:
        type(self).asked += 1

        def result(_wait_s: float) -> Any:
            if isinstance(self.uid, Exception):
                raise self.uid
            return SimpleNamespace(topic_id=self.uid)

        assert isinstance(topics, confluent_kafka.TopicCollection)
        return {TOPIC: SimpleNamespace(result=result)}


@pytest.fixture
def inlet(monkeypatch: pytest.MonkeyPatch) -> KafkaInlet:
    monkeypatch.setattr(confluent_kafka, "Consumer", _Client)
    monkeypatch.setattr(admin, "AdminClient", _Admin)
    monkeypatch.setattr(_Admin, "asked", 0)
    return KafkaInlet("broker:9092", [TOPIC], group="g")


def _give(inlet: KafkaInlet) -> _Client:
    client: _Client = inlet._consumer
    client.on_assign(client, [confluent_kafka.TopicPartition(TOPIC, 0)])
    return client


def test_a_topic_made_anew_has_another_uid(inlet: KafkaInlet, monkeypatch: pytest.MonkeyPatch) -> None:
    _give(inlet)
    first = inlet.bounds((TOPIC, 0)).uid
    assert first == str(Uuid(1, 2))
    inlet.bounds((TOPIC, 1))
    assert _Admin.asked == 1  # once a topic, not once a partition
    monkeypatch.setattr(_Admin, "uid", Uuid(3, 4))
    _give(inlet)
    assert inlet.bounds((TOPIC, 0)).uid == str(Uuid(3, 4)) != first


@pytest.mark.parametrize("told", [None, Uuid(0, 0), KafkaException(KafkaError(KafkaError.UNSUPPORTED_VERSION))])
def test_a_broker_without_uids_tells_none(inlet: KafkaInlet, monkeypatch: pytest.MonkeyPatch, told: object) -> None:
    monkeypatch.setattr(_Admin, "uid", told)
    assert inlet.bounds((TOPIC, 0)).uid == ""


def test_offsets_without_a_message_at_the_end_are_reached(inlet: KafkaInlet) -> None:
    client = _give(inlet)
    assert client.settings["enable.partition.eof"] is True
    inlet.start({(TOPIC, 0): 0})
    client.coming = [_Message(2), _Message(5, None, KafkaError(KafkaError._PARTITION_EOF))]
    assert [record.offset for record in inlet.poll(at_most=10, wait_s=0.0)] == [2]
    assert inlet.reached((TOPIC, 0)) == 5
    inlet.start({(TOPIC, 0): 0})
    assert inlet.reached((TOPIC, 0)) is None
