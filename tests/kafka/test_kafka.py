"""Through a real Kafka: whatever dies on the way, the figures are those of the files, and every message is accounted for."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from gpulake.errors import SourceError
from gpulake.lake import open_publication
from gpulake.sources import all_sources

pytestmark = pytest.mark.kafka

_MAIN = "import sys; from gpulake.cli import main; sys.exit(main())"
_PATIENCE_S = 150.0


def gpulake(*words, check=True):
    done = subprocess.run([sys.executable, "-c", _MAIN, *map(str, words)], capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, done.stderr + done.stdout
    return done


def asked(*words):
    return json.loads(gpulake(*words, "--json").stdout)


@contextmanager
def streaming(lake, address, *options):
    """A consumer in a process of its own; it is killed if it still runs in the end."""
    words = ["stream", "pai2020", "--from", address, "--lake", str(lake), "--batch-seconds", "0.3", *options]
    process = subprocess.Popen(
        [sys.executable, "-c", _MAIN, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stdout.close()


def note_of(lake, process):
    """What a consumer says of itself; nothing before it has said anything."""
    try:
        return json.loads((lake / "streams" / f"{process.pid}.json").read_text())
    except FileNotFoundError:
        return {"messages": 0, "lag": None, "partitions": 0, "batches": 0, "state": "starting"}


def until(what, told=lambda: ""):
    """Wait for something; what does not come within minutes is told as it stands."""
    deadline = time.monotonic() + _PATIENCE_S
    while not what():
        if time.monotonic() > deadline:
            pytest.fail(f"waited in vain: {told()}")
        time.sleep(0.05)


@pytest.fixture(scope="module")
def trace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trace")
    gpulake("simulate", "pai2020", "--scale", "0.02", "--days", "7", "--seed", "15", "--out", folder)
    return folder


def test_a_week_by_kafka_is_the_week_by_files(broker, trace, tmp_path, published_rows):
    """Batch = stream, with disorder, duplicates, late events, three kill -9, a restart of the broker and a rebalance."""
    lake, address = tmp_path / "stream", f"kafka://{broker.address}/week"
    words = ["replay", "pai2020", "--data", trace, "--to", address, "--speed", "8000x", "--disorder", "1h", "--duplicates", "1%",
             "--late", "1%", "--late-by", "1d", "--seed", "15", "--json"]  # fmt: skip
    replaying = subprocess.Popen([sys.executable, "-c", _MAIN, *map(str, words)], stdout=subprocess.PIPE, text=True)
    _wait_for_topics(broker, 7)
    for _ in range(3):
        with streaming(lake, address) as one:
            until(
                lambda one=one: note_of(lake, one)["batches"] >= 1 or one.poll() is not None, lambda: note_of(lake, one)
            )
            assert one.poll() is None, one.stdout.read()
            os.kill(one.pid, signal.SIGKILL)
    with streaming(lake, address) as one:
        until(lambda: note_of(lake, one)["batches"] >= 1, lambda: note_of(lake, one))
        broker.stop()
        broker.start()
        seen = note_of(lake, one)["messages"]
        until(lambda: note_of(lake, one)["messages"] > seen, lambda: note_of(lake, one))
        with streaming(lake, address) as other:
            until(lambda: note_of(lake, other)["partitions"] == 14, lambda: note_of(lake, other))
            one.send_signal(signal.SIGTERM)
            assert 0 == one.wait(60), one.stdout.read()
            sent = json.loads(replaying.communicate(timeout=_PATIENCE_S)[0])
            until(lambda: note_of(lake, other)["lag"] == 0 and note_of(lake, other)["partitions"] == 28,
                  lambda: note_of(lake, other))  # fmt: skip
            other.send_signal(signal.SIGTERM)
            assert 0 == other.wait(60), other.stdout.read()
    assert sent["duplicates"] > 0

    topics = {each["topic"]: each for each in asked("stream", "pai2020", "--audit", "--lake", lake)["topics"]}
    assert sent["topics"] == {name: each["messages"] for name, each in topics.items()}
    assert all(each["closes"] and not each["quarantined"] for each in topics.values())

    for step in ("build", "detect", "publish"):
        gpulake(step, "--lake", lake)
    gpulake("refresh", "--data", trace, "--lake", tmp_path / "files")
    found = []
    for folder in (tmp_path / "files", lake):
        with open_publication(folder) as reader:
            found.append(published_rows(lambda query, reader=reader: reader.sql(query).to_pylist()))
    (pai,) = (source for source in all_sources() if source.name == "pai2020")
    with open_publication(tmp_path / "files") as reader:
        for table in pai.tables:
            key = ", ".join(f'"{name}"' for name in table.key)
            counted = reader.sql(f"SELECT count(*) AS n FROM (SELECT DISTINCT {key} FROM {table.bronze})").to_pylist()
            assert counted[0]["n"] == topics[f"week.{table.name}"]["landed"], table.name
    by_files, by_stream = found
    assert by_files.keys() == by_stream.keys()
    assert [] == [name for name in by_files if by_files[name] != by_stream[name]]


def _wait_for_topics(broker, count):
    from confluent_kafka.admin import AdminClient

    admin = AdminClient({"bootstrap.servers": broker.address})
    until(lambda: sum(name.startswith("week.") for name in admin.list_topics(timeout=5).topics) == count)


def test_poison_goes_to_quarantine_and_the_rest_lands(broker, tmp_path):
    """A message of 10 MB, broken JSON, a foreign key, the year 2262: each is kept with its reason, none stops the stream."""
    from confluent_kafka import Producer

    topic = "poison.pai_machine_metric"
    good = {"machine": "a" * 24, "worker_name": "b" * 60, "start_time": 100_000.0, "end_time": 103_600.0}
    gpulake(
        "replay",
        "pai2020",
        "--data",
        _one_row(tmp_path, good),
        "--to",
        f"kafka://{broker.address}/poison",
        "--partitions",
        1,
    )
    poison = [b"{", b"\xff", json.dumps({**good, "end_time": 9_214_646_400}).encode(), b"[]", None,
              json.dumps({**good, "machine_cpu": "hot"}).encode(), b'{"machine": "' + b"x" * 10_000_000 + b'"}']  # fmt: skip
    producer = Producer({"bootstrap.servers": broker.address, "message.max.bytes": 12_000_000})
    for value in poison:
        producer.produce(topic, value=value)
    producer.produce(topic, value=json.dumps({**good, "firmware": 9, "machine_num_worker": 1, "machine_cpu": 1,
                                              "machine_cpu_iowait": 1, "machine_cpu_kernel": 1, "machine_cpu_usr": 1,
                                              "machine_gpu": 1, "machine_load_1": 1, "machine_net_receive": 1}).encode())  # fmt: skip
    producer.flush(30)

    gpulake("stream", "pai2020", "--from", f"kafka://{broker.address}/poison", "--lake", tmp_path / "lake", "--once")

    (found,) = asked("stream", "pai2020", "--audit", "--lake", tmp_path / "lake")["topics"]
    assert (9, 7, True) == (found["messages"], found["quarantined"], found["closes"])
    assert 2 == found["landed"] + found["duplicates"]


def _one_row(tmp_path, row):
    folder = tmp_path / "one"
    folder.mkdir()
    (folder / "pai_machine_metric.jsonl").write_text(json.dumps(row) + "\n")
    return folder


def test_what_cannot_be_read_is_told(broker, tmp_path):
    """Whoever mistypes an address must not wait for messages that never come."""
    words = ("stream", "pai2020", "--lake", tmp_path / "lake", "--from")
    nobody = gpulake(*words, "kafka://127.0.0.1:9/site", check=False)
    missing = gpulake(*words, f"kafka://{broker.address}/nothing", check=False)
    assert SourceError.exit_code == nobody.returncode == missing.returncode
    assert "no broker answers" in nobody.stderr
    assert "there is no topic nothing." in missing.stderr


def test_who_is_not_let_in_is_told_at_once_and_how(broker, tmp_path):
    """A wrong password must not look like a broker that is down, and must not be waited for."""
    told = {}
    for password in ("right", "wrong"):
        settings = tmp_path / f"{password}.properties"
        settings.write_text(
            f"security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\nsasl.username=reader\nsasl.password={password}\n"
        )
        address = f"kafka://{broker.guarded_address}/{password}"
        row = {"machine": "a" * 24, "worker_name": "b" * 60, "start_time": 100_000.0, "end_time": 103_600.0}
        data = tmp_path / "one" if (tmp_path / "one").is_dir() else _one_row(tmp_path, row)
        options = ("--kafka-config", settings)
        began = time.monotonic()
        sent = gpulake("replay", "pai2020", "--data", data, "--to", address, *options, check=False)
        landed = gpulake(
            "stream", "pai2020", "--from", address, "--lake", tmp_path / "lake", "--once", *options, check=False
        )
        told[password] = [(each.returncode, each.stderr) for each in (sent, landed)]
        if password == "wrong":
            assert time.monotonic() - began < 15, "it waited as for a broker that is down"
    assert [0, 0] == [code for code, _ in told["right"]]
    for code, why in told["wrong"]:
        assert SourceError.exit_code == code
        assert "the broker refuses the client" in why
        assert "uthentication failed" in why
        assert "--kafka-config" in why


@pytest.mark.parametrize("sent", [1, 3], ids=["shorter", "longer"])
def test_a_topic_that_was_made_anew_is_told(broker, tmp_path, sent):
    """Offsets that jump back are a new topic, not messages that have landed; where they do not, the topic's id tells."""
    from confluent_kafka.admin import AdminClient

    row = {"machine": "a" * 24, "worker_name": "b" * 60, "start_time": 100_000.0, "end_time": 103_600.0}
    data, address = _one_row(tmp_path, row), f"kafka://{broker.address}/again{sent}"
    topic = f"again{sent}.pai_machine_metric"
    words = ("stream", "pai2020", "--from", address, "--lake", tmp_path / "lake", "--once")
    send = ("replay", "pai2020", "--data", data, "--to", address, "--partitions", 1)
    gpulake(*send)
    gpulake(*send)
    gpulake(*words)
    admin = AdminClient({"bootstrap.servers": broker.address})
    admin.delete_topics([topic])[topic].result()
    until(lambda: topic not in admin.list_topics(timeout=5).topics)
    for _ in range(sent):
        gpulake(*send)

    refused = gpulake(*words, check=False)
    gpulake(*words, "--anew")

    assert SourceError.exit_code == refused.returncode
    assert f"was made anew: 2 messages of its partition 0 have landed, and it holds {sent}" in refused.stderr
    (found,) = asked("stream", "pai2020", "--audit", "--lake", tmp_path / "lake")["topics"]
    assert (2 + sent, 1, 1 + sent, True) == (found["messages"], found["landed"], found["duplicates"], found["closes"])


def test_partitions_that_were_paused_are_read_after_a_rebalance(broker):
    """A consumer that waited for the lake's lock when another one left would else never read its partitions again."""
    from gpulake.transports.kafka import KafkaInlet, KafkaOutlet

    out = KafkaOutlet(broker.address, partitions=2)
    out.send("pausing.pai_machine_spec", [(b"%d" % number, b"{}") for number in range(20)])
    out.flush()

    def given(inlet, count):
        until(lambda: inlet.poll(at_most=1, wait_s=0.2) is not None and len(inlet.assigned().places) == count)
        inlet.start(dict.fromkeys(inlet.assigned().places, 0))

    def member():
        return KafkaInlet(broker.address, ["pausing.pai_machine_spec"], group="pausing")

    stays = member()
    given(stays, 2)
    stays.pause()
    leaves = member()
    before = stays.assigned().number
    until(lambda: [each.poll(at_most=1, wait_s=0.1) for each in (stays, leaves)] and leaves.assigned().places)
    leaves.close()
    until(lambda: stays.poll(at_most=1, wait_s=0.2) is not None and stays.assigned().number > before + 1)
    given(stays, 2)
    read = []
    until(lambda: read.extend(stays.poll(at_most=100, wait_s=0.2)) or len(read) == 20, lambda: len(read))
    stays.close()
