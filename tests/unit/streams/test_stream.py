"""A stream lands each message once, whatever happens between: with the queue in memory, which behaves as a broker does."""

from __future__ import annotations

import json
import random
import resource
import threading
from dataclasses import replace
from datetime import datetime

import pytest

from gpulake import landing, session, stream
from gpulake.config import Config
from gpulake.errors import LakeError, SourceError
from gpulake.lake import writing
from gpulake.sources import all_sources
from gpulake.transports import Record, address
from gpulake.transports.memory import Queue
from gpulake.transports.spool import SpoolInlet, SpoolOutlet

(PAI,) = (source for source in all_sources() if source.name == "pai2020")
METRIC = PAI.table("pai_machine_metric")
TOPICS = stream.topics_of(address("kafka://here:1/site"), [PAI])
TOPIC = "site.pai_machine_metric"
NOW = datetime(2026, 11, 30)  # noqa: DTZ001  # the lake keeps UTC without a zone


def window(number, *, gpu=50.0, machine=1):
    """One machine window of an hour as a message."""
    start = 100_000.0 + 3600 * number
    row = {"worker_name": f"{number:060x}", "machine": f"{machine:024x}", "start_time": start, "end_time": start + 3600,
           "machine_gpu": gpu, "machine_cpu": 24.5}  # fmt: skip
    return json.dumps(row).encode()


def consumer(lake, inlet, **options):
    return stream.Consumer(Config(lake=lake), inlet, TOPICS, **options)


def drain(lake, queue, **options):
    """Land everything that the queue holds."""
    member = queue.consumer([TOPIC])
    return consumer(lake, member, **options).run(stopping=lambda: False, once=True)


@pytest.fixture
def lake(tmp_path, monkeypatch):
    # What comes with gpulake is landed by its own tests.
    monkeypatch.setattr(stream.Consumer, "_land_shipped", lambda *_: None)
    return tmp_path / "lake"


def ask(lake, query):
    with writing(lake, purpose="test", tables=session.all_tables()) as writer:
        return writer.sql(query).to_pylist()


def audit(lake):
    with writing(lake, purpose="test", tables=session.all_tables()) as writer:
        return stream.audit(writer)


def test_what_is_produced_lands_is_a_duplicate_or_is_refused(lake):
    """An audit that does not close would hide lost or doubled rows."""
    queue = Queue(partitions=2)
    poison = [b"", b"{", b"[1]", b"\xff{}", b'{"machine": null}', b'{"machine": "m", "start_time": "soon"}',
              b'{"machine": "m", "start_time": 9214646400, "end_time": 9214646400}',
              b'{"machine": "%s"}' % (b"x" * 10_000_000)]  # fmt: skip
    for number in range(10):
        queue.put(TOPIC, number % 2, window(number))
    for number in (3, 7, 7):
        queue.put(TOPIC, number % 2, window(number))
    for value in poison:
        queue.put(TOPIC, 0, value)

    done = drain(lake, queue)

    (found,) = audit(lake)
    assert (21, 10, 3, 8) == (found.messages, found.landed, found.duplicates, found.quarantined)
    assert found.closes
    assert (13, 8) == (done.rows_kept, done.rows_refused)


def test_a_refused_message_is_kept_with_its_place_and_reason(lake):
    """Whoever mends a producer must find the message, and why it was refused."""
    queue = Queue(partitions=1)
    for value in (window(1), b"{broken", window(2)):
        queue.put(TOPIC, 0, value)

    drain(lake, queue)

    (row,) = ask(lake, "SELECT file_name, source_row, reason, raw_text FROM lake.meta.quarantine")
    assert {"file_name": f"{TOPIC}/0", "source_row": 1, "reason": "not valid JSON", "raw_text": "{broken"} == row
    offsets = ask(lake, "SELECT source_row FROM lake.main.bronze_machine_metrics ORDER BY ALL")
    assert [0, 2] == [each["source_row"] for each in offsets]


def test_a_second_run_lands_nothing(lake):
    """A restarted consumer must not double a row: the lake says how far it came."""
    queue = Queue(partitions=3)
    queue.send(TOPIC, [(b"%d" % n, window(n)) for n in range(20)])

    first, second = drain(lake, queue), drain(lake, queue)

    assert (20, 0) == (first.rows_kept, second.messages)


class _KilledError(Exception):
    pass


def test_killed_anywhere_in_the_commit_nothing_is_lost_or_doubled(lake, monkeypatch):
    """Rows without offsets would land twice, offsets without rows would never land."""
    from gpulake.lake import Writer

    queue = Queue(partitions=1)
    for value in (window(1), b"poison", window(2)):
        queue.put(TOPIC, 0, value)
    real_insert, real_execute = Writer.insert, Writer._execute
    point = ""

    def insert(self, table, rows):
        if point == table.name:
            raise _KilledError
        real_insert(self, table, rows)

    def execute(self, query, params=()):
        if point and point in query:
            raise _KilledError
        real_execute(self, query, params)

    monkeypatch.setattr(Writer, "insert", insert)
    monkeypatch.setattr(Writer, "_execute", execute)
    with writing(lake, purpose="test", tables=session.all_tables()) as writer:

        def one():
            return _Held(Config(lake=lake), queue.consumer([TOPIC]), TOPICS, writer)

        for point in ("add_data_files", "quarantine", "landings", "offsets", "COMMIT"):  # noqa: B007  # both read it
            with pytest.raises(_KilledError):
                one().run(stopping=lambda: False, once=True)
            assert () == stream.audit(writer)
        point = ""
        one().run(stopping=lambda: False, once=True)
        (found,) = stream.audit(writer)
    assert (3, 2, 0, 1) == (found.messages, found.landed, found.duplicates, found.quarantined)
    assert found.closes


def test_a_consumer_that_was_thought_dead_lands_nothing_twice(lake):
    """After a rebalance the old owner of a partition may still hold messages that the new one has landed."""
    queue = Queue(partitions=1)
    for number in range(5):
        queue.put(TOPIC, 0, window(number))
    dead = consumer(lake, queue.consumer([TOPIC]))
    dead.step()
    dead.step()
    assert 5 == dead._buffer.messages
    queue.members.clear()  # the broker gave it up; it does not know yet

    drain(lake, queue)
    dead._with_lock()

    assert (0, 5) == (dead.done.messages, dead.done.seen_before)
    assert [{"n": 5}] == ask(lake, "SELECT count(*) AS n FROM lake.main.bronze_machine_metrics")


def test_two_consumers_share_the_partitions_and_one_dies(lake):
    """The partitions of a dead consumer go to the other, from where the lake ends."""
    queue = Queue(partitions=4)
    queue.make(TOPIC)
    first, second = (consumer(lake, queue.consumer([TOPIC]), batch=stream.Batch(messages=3)) for _ in range(2))
    queue.send(TOPIC, [(b"%d" % n, window(n)) for n in range(40)])
    for _ in range(3):
        first.step(flush=True)
        second.step()
    queue.leave(second._inlet)  # with what it had read

    first.run(stopping=lambda: False, once=True)

    (found,) = audit(lake)
    assert (40, 40, 0) == (found.messages, found.landed, found.duplicates)
    assert found.closes


def test_while_another_writer_is_at_work_reading_waits_and_nothing_is_lost(lake, monkeypatch):
    """A refresh takes minutes; a consumer that gave up its partitions each time would never get on."""
    monkeypatch.setattr("gpulake.lake.files._LONGEST_LOOK_S", 0.0)
    queue = Queue(partitions=1)
    queue.put(TOPIC, 0, window(1))
    one = consumer(lake, queue.consumer([TOPIC]))
    with writing(lake, purpose="refresh", tables=session.all_tables()):
        one.step(flush=True)
        one.step(flush=True)
        assert one.done.waiting_since is not None

    one.run(stopping=lambda: False, once=True)

    assert (1, None) == (one.done.rows_kept, one.done.waiting_since)


def test_a_topic_made_anew_is_told_and_goes_on_when_allowed(lake):
    """Offsets that jump back would else be taken for messages that have landed."""
    queue = Queue(partitions=1)
    for number in range(5):
        queue.put(TOPIC, 0, window(number))
    drain(lake, queue)
    queue.drop(TOPIC)
    for number in range(3, 7):
        queue.put(TOPIC, 0, window(number))

    with pytest.raises(SourceError, match="was made anew: 5 messages of its partition 0 have landed"):
        drain(lake, queue)
    done = drain(lake, queue, anew=True)

    (found,) = audit(lake)
    assert 4 == done.rows_kept
    assert (9, 7, 2) == (found.messages, found.landed, found.duplicates)
    assert found.closes


def test_a_topic_made_anew_that_has_grown_further_is_told_by_its_uid(lake):
    """Its offsets alone would look as if the stream went on."""
    queue = Queue(partitions=1)
    for number in range(3):
        queue.put(TOPIC, 0, window(number))
    drain(lake, queue)
    queue.drop(TOPIC)
    for number in range(10, 16):
        queue.put(TOPIC, 0, window(number))

    with pytest.raises(SourceError, match="was made anew"):
        drain(lake, queue)
    drain(lake, queue, anew=True)

    (found,) = audit(lake)
    assert (9, 9, 0) == (found.messages, found.landed, found.duplicates)


@pytest.mark.parametrize("messages", [0, 3])
def test_once_ends_where_the_last_offsets_hold_no_message(lake, messages):
    """The end of a transaction takes an offset, and no message ever comes for it."""
    queue = Queue(partitions=1)
    queue.make(TOPIC)
    for number in range(messages):
        queue.put(TOPIC, 0, window(number))
    member = queue.consumer([TOPIC])
    bounds, poll = member.bounds, member.poll
    has_ended = []

    def seen(**options):
        records = poll(**options)
        if not records:
            has_ended.append(True)
        return records

    member.bounds = lambda place: replace(bounds(place), end=messages + 2)
    member.poll = seen
    member.reached = lambda _place: messages + 2 if has_ended else None
    one = consumer(lake, member)
    steps = iter(range(20))

    done = one.run(stopping=lambda: next(steps, None) is None, once=True)

    assert messages == done.rows_kept
    assert next(steps, None) is not None, "it was told to stop"


def test_messages_that_the_broker_forgot_are_told(lake):
    """A gap that nobody is told of would be taken for a quiet hour."""
    queue = Queue(partitions=1)
    for number in range(8):
        queue.put(TOPIC, 0, window(number))
    drain(lake, queue)
    for number in range(8, 12):
        queue.put(TOPIC, 0, window(number))
    queue.forget((TOPIC, 0), 10)

    with pytest.raises(SourceError, match=r"2 messages of site\.pai_machine_metric, partition 0, were deleted"):
        drain(lake, queue)
    drain(lake, queue, anew=True)

    (found,) = audit(lake)
    assert (10, 10, 2) == (found.messages, found.landed, found.lost)
    assert found.closes


def test_a_full_disk_in_the_middle_loses_nothing(lake, monkeypatch):
    """The error is told, and the next run lands what this one could not."""
    from gpulake.landing import stretches

    queue = Queue(partitions=1)
    queue.put(TOPIC, 0, window(1))

    def full(*_, **__):
        raise LakeError("a file cannot be written: No space left on device.")

    with monkeypatch.context() as patched:
        patched.setattr(stretches.rows, "write", full)
        with pytest.raises(LakeError, match="No space left"):
            drain(lake, queue)

    assert 1 == drain(lake, queue).rows_kept


def test_a_disk_that_fills_up_inside_a_commit_loses_nothing(lake):
    """The rows are written and the refused ones are not: of such a batch nothing may stay, and it lands when there is space."""
    queue = Queue(partitions=1)
    queue.put(TOPIC, 0, window(1))
    drain(lake, queue)
    queue.put(TOPIC, 0, window(2))
    queue.put(TOPIC, 0, random.Random(1).randbytes(450_000).hex().encode())
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, before[1]))
    try:
        with pytest.raises(LakeError, match="File too large"):
            drain(lake, queue)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [{"n": 1}] == ask(lake, "SELECT count(*) AS n FROM lake.main.bronze_machine_metrics")

    drain(lake, queue)

    (found,) = audit(lake)
    assert (3, 2, 0, 1) == (found.messages, found.landed, found.duplicates, found.quarantined)
    assert found.closes


def test_two_streams_on_one_lake_keep_their_offsets_apart(lake):
    """Topics of one name at two brokers: taken for each other, half of the messages would count as landed."""
    here, there = Queue(partitions=1, stream="here"), Queue(partitions=1, stream="there")
    for number in range(5):
        here.put(TOPIC, 0, window(number))
        there.put(TOPIC, 0, window(number + (100 if number < 4 else 0)))  # one event is told by both
    one, other = (consumer(lake, queue.consumer([TOPIC]), batch=stream.Batch(messages=2)) for queue in (here, there))
    for _ in range(4):
        one.step(flush=True)
        other.step(flush=True)

    assert (5, 5) == (one.done.rows_kept, other.done.rows_kept)
    assert [("here", 5, 0), ("there", 5, 0)] == [(each.stream, each.landed, each.gaps) for each in audit(lake)]
    nos = ask(lake, "SELECT count(*) AS n, count(DISTINCT landing_no) AS nos FROM lake.meta.landings")
    assert nos[0]["n"] == nos[0]["nos"]


def test_a_new_field_is_not_looked_at_message_by_message(lake, monkeypatch):
    """A producer that is brought up to date sends one more field from then on, in every message."""
    from gpulake.landing.messages import Messages

    monkeypatch.setattr(Messages, "closely", lambda _self: pytest.fail("each message was looked at by itself"))
    queue = Queue(partitions=1)
    names = set(METRIC.column_names)
    full = dict.fromkeys(names, 1.0) | json.loads(window(1))
    for further in ({}, {"driver": "550.54"}, {"driver": None, "fans": [1, 2], "at": {"rack": 3}}):
        queue.put(TOPIC, 0, json.dumps({**full, **further}).encode())

    assert (3, 0) == (drain(lake, queue).rows_kept, drain(lake, queue).rows_kept)


def test_a_hundred_shuffled_replays_give_the_same_rows(lake):
    """Batch = stream: however messages are ordered, doubled, parted and interrupted, the lake holds the same rows."""
    dice = random.Random(15)
    values = [window(number, gpu=number % 7 * 12.5, machine=number % 3) for number in range(15)]
    with writing(lake, purpose="test", tables=session.all_tables()) as writer:
        for number in range(100):
            queue = Queue(partitions=dice.randint(1, 3), stream=f"replay {number}")
            told = [*values, *dice.sample(values, 3)]
            dice.shuffle(told)
            for value in told:
                queue.put(TOPIC, dice.randrange(queue.partitions), value)
            # Killed after a few steps, or not at all; each goes on where the lake ends.
            for steps in (*dice.choice([(), (), (2,), (3, 2)]), 1000):
                one = _Held(Config(lake=lake), queue.consumer([TOPIC]), TOPICS, writer,
                            batch=stream.Batch(messages=dice.choice([6, 18, 18])))  # fmt: skip
                for _ in range(steps):
                    one.step(flush=steps == 1000, wait_s=0)
                    if one._has_all():
                        break
                one._inlet.close()
        names = ", ".join(METRIC.column_names)
        found = writer.sql(
            f"SELECT stream, count(*) AS n, hash(list_sort(list(DISTINCT ({names})::varchar))) AS h "
            "FROM lake.main.bronze_machine_metrics JOIN lake.meta.offsets USING (landing_id) GROUP BY stream"
        ).to_pylist()
    assert (100, {18}, 1) == (len(found), {each["n"] for each in found}, len({each["h"] for each in found}))


class _Held(stream.Consumer):
    """A consumer under a lock that is held already: taking it a thousand times is other tests' matter."""

    def __init__(self, config, inlet, topics, writer, **options):
        super().__init__(config, inlet, topics, **options)
        self._held = writer

    def _writing(self):
        from contextlib import nullcontext

        return nullcontext(self._held)

    def _note(self, *_, **__):
        pass


def test_a_batch_parts_no_moment_of_a_machine_that_tells_in_pieces():
    """Metrics of one scrape are fields of one row: those that landed apart would be taken for two rows, of which one stands."""
    (prometheus,) = (source for source in all_sources() if source.name == "prometheus")
    table, place = prometheus.tables[0], ("site.prometheus_sample", 0)

    def sample(machine, second, metric):
        labels = json.dumps({"Hostname": machine}, separators=(",", ":"))
        return json.dumps({"metric": metric, "labels": labels, "sampled_at": second, "value": 1.0}).encode()

    told = [
        sample("m1", 0, "a"),
        sample("m1", 0, "b"),
        b"{broken",
        sample("m1", 30, "a"),
        sample("m2", 30, "a"),
        sample("m2", 30, "b"),
    ]
    assert [1, 2, 1, 1, 1, 2] == [landing.open_end(told[:end], table) for end in range(1, 7)]
    assert 0 == landing.open_end([window(1)], METRIC)
    odd = [{"labels": {"Hostname": "m1"}}, {"labels": [1]}, {"labels": "\ud800", "sampled_at": True}, {"sampled_at": 5}]
    poison = [*(json.dumps(each).encode() for each in odd), b"[" * 100_000, b"\xff", b"7"]
    assert all(1 <= landing.open_end(poison[:end], table) <= end for end in range(1, len(poison) + 1))

    buffer = stream.Buffer(stream.Batch(seconds=5), open_end=lambda _place, values: landing.open_end(values, table))
    buffer.begin({place: 0})
    buffer.add([Record(*place, offset, value) for offset, value in enumerate(told[:5])], now_s=0)
    ((_, ready),) = buffer.ready()
    buffer.landed(now_s=6)
    assert ([0, 1, 2, 3], 4, 1, {place: 5}) == (ready.offsets, ready.next_offset, buffer.messages, buffer.positions())
    assert not buffer.due(now_s=10)
    buffer.add([Record(*place, 5, told[5])], now_s=10)
    ((_, ready),) = buffer.ready()  # nothing else waits, so that it is whole
    buffer.landed(now_s=12)
    assert (4, [4, 5], 0) == (ready.from_offset, ready.offsets, buffer.messages)
    assert not buffer.due(now_s=99)


def test_a_folder_of_files_is_a_stream_too(tmp_path, lake):
    """Where there is no broker, a spool does: the same rows, once, also in several files."""
    out = SpoolOutlet(tmp_path / "spool", partitions=2)
    for part in range(3):
        out.send(TOPIC, [(b"%d" % n, window(n)) for n in range(part * 10, part * 10 + 10)])
        out.flush()
    SpoolOutlet(tmp_path / "spool", partitions=2).send(TOPIC, [])

    for _ in range(2):
        inlet = SpoolInlet(tmp_path / "spool", [TOPIC])
        consumer(lake, inlet, batch=stream.Batch(messages=7)).run(stopping=lambda: False, once=True)

    (found,) = audit(lake)
    assert (30, 30, 0, 0) == (found.messages, found.landed, found.duplicates, found.quarantined)
    assert found.closes


def test_no_partition_of_a_folder_runs_ahead_of_the_others(tmp_path):
    """Where much waits, a machine whose partition comes last would look as if it had fallen silent."""
    out = SpoolOutlet(tmp_path / "spool", partitions=3)
    out.send(TOPIC, [(b"%d" % n, window(n)) for n in range(90)])
    out.close()
    inlet = SpoolInlet(tmp_path / "spool", [TOPIC])
    sizes = {place[1]: inlet.bounds(place).end for place in inlet.assigned().places}
    inlet.start(dict.fromkeys(inlet.assigned().places, 0))
    first = [record.partition for record in inlet.poll(at_most=12, wait_s=0)]
    rest = [record.partition for _ in range(9) for record in inlet.poll(at_most=12, wait_s=0)]
    assert [0] * 4 + [1] * 4 + [2] * 4 == first
    assert sizes == {number: [*first, *rest].count(number) for number in range(3)}


def test_refused_messages_can_be_replayed_from_quarantine(lake):
    """A table that learns a value later takes what was refused: it keeps its landing and its offset."""
    queue = Queue(partitions=1)
    queue.put(TOPIC, 0, b"{broken")
    drain(lake, queue)
    with writing(lake, purpose="test", tables=session.all_tables()) as writer:
        with writer.transaction("mend"):
            writer._execute("UPDATE lake.meta.quarantine SET raw_text = ?", [window(1).decode()])
        landing.replay(writer, all_sources(), config=Config(lake=lake), now=NOW)
        (found,) = stream.audit(writer)
    assert (1, 1, 0, 0) == (found.messages, found.landed, found.duplicates, found.quarantined)


def test_the_status_says_how_far_a_stream_is(lake):
    """Whoever looks must see at a glance whether events still come, and whether the consumer keeps up."""
    from gpulake import upkeep
    from gpulake.cli.words import text_of

    queue = Queue(partitions=1)
    for value in (window(1), window(2), b"poison"):
        queue.put(TOPIC, 0, value)
    drain(lake, queue)

    status = upkeep.status(lake)

    (topic,) = status.streams
    assert (3, 2, 1, datetime(1970, 1, 2, 6, 46, 40)) == (  # noqa: DTZ001  # 100,000 + 3 hours of seconds
        topic.messages, topic.rows_kept, topic.rows_refused, topic.watermark
    )  # fmt: skip
    assert ("stopped", 0) == (status.consumers[0]["state"], status.consumers[0]["lag"])
    assert f"stream {TOPIC}: 3 messages, 1 refused, events up to 1970-01-02 06:46:40 UTC" in text_of(status)


def test_a_stream_that_is_not_there_yet_is_waited_for_when_asked(tmp_path, lake, gpulake_json):
    """Whoever starts both ends at once must not have to guess which one is up first."""
    words = ("stream", "pai2020", "--from", tmp_path / "spool", "--lake", lake, "--once")
    assert SourceError.exit_code == gpulake_json(*words)[0]
    outlet = SpoolOutlet(tmp_path / "spool", partitions=1)
    assert SourceError.exit_code == gpulake_json(*words)[0]  # nor is one of other topics

    def come():
        outlet.send("events.pai_machine_metric", [(b"", window(1))])
        outlet.close()

    late = threading.Timer(0.2, come)
    late.start()
    code, told = gpulake_json(*words, "--wait", "20")
    late.join()
    assert (0, 1, None) == (code, told["messages"], told["error"])
