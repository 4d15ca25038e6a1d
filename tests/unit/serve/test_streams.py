"""The Data page of a lake that streams: what landed of each partition, what waits, and who lands it."""

from __future__ import annotations

import json
import os
import re
import shutil
from datetime import timedelta

import httpx
import pytest

from gpulake import clock, stream
from gpulake.config import Config
from gpulake.lake import open_publication
from gpulake.reading import streams
from gpulake.reading.scope import Scope, clusters_of
from gpulake.sources import all_sources
from gpulake.telling.streams import consumer_sentence
from gpulake.transports import address
from gpulake.transports.memory import Queue

(PAI,) = (source for source in all_sources() if source.name == "pai2020")
TOPIC = "site.pai_machine_metric"


def window(number):
    row = {"worker_name": f"{number:060x}", "machine": f"{1:024x}", "start_time": 100_000.0 + 3600 * number,
           "end_time": 103_600.0 + 3600 * number, "machine_gpu": 50.0}  # fmt: skip
    return json.dumps(row).encode()


@pytest.fixture(scope="module")
def streamed(lake, tmp_path_factory):
    """A copy of the pages' lake into which two partitions were streamed; one more message waits."""
    folder = shutil.copytree(lake, tmp_path_factory.mktemp("streamed") / "lake")
    queue = Queue(partitions=2, stream="here")
    told = {0: [window(1), window(3), window(5), window(3), b"{"], 1: [window(2), window(4)]}
    for partition, values in told.items():
        for value in values:
            queue.put(TOPIC, partition, value)
    topics = stream.topics_of(address(f"kafka://here:1/{TOPIC}"), [PAI])
    one = stream.Consumer(Config(lake=folder), queue.consumer([TOPIC]), topics)
    for _ in range(2):
        one.step(flush=True)
    assert 7 == one.done.messages
    queue.put(TOPIC, 1, window(6))
    one._note("reading", anyway=True)
    return folder


def shown(text, name):
    part = text[text.index(f'id="{name}"') :]
    body = part[part.index("<tbody>") : part.index("</tbody>")]
    return [re.findall(r"<bdi>(.*?)</bdi>", row, re.DOTALL) for row in body.split("<tr")[1:]]


def test_each_partition_says_what_landed_of_it_and_what_waits(streamed, served):
    """Whoever runs a stream sees at a glance whether events still come, and whether anything is lost, doubled or refused."""
    text = httpx.get(f"{served(streamed).address}/data", timeout=30).text
    rows = shown(text, "partitions")
    landed = [row.pop() for row in rows]
    # 100,000 and so many hours of seconds, by the clock of Shanghai. The topic's stream stands beside it.
    assert [
        [TOPIC, "here", "0", "day 1 17:46", "0", "4", "1", "1", "0", "5"],
        [TOPIC, "here", "1", "day 1 16:46", "1", "2", "0", "0", "0", "2"],
    ] == rows
    assert all(at.endswith(" UTC") for at in landed)
    assert f"Consumer {os.getpid()} is reading, 1 message behind." in text.replace("\N{NO-BREAK SPACE}", " ")


def test_a_lake_that_streams_nothing_says_nothing_of_streams(site):
    assert 'id="partitions"' not in site.get("/data").text


def test_duplicates_that_nobody_counted_are_not_none(streamed, monkeypatch):
    """Unknown is never zero."""
    monkeypatch.setattr(streams, "MOST_COUNTED", 5)
    with open_publication(streamed) as reader:
        scope = Scope(reader, clusters=clusters_of(reader))
        topics = streams.read_topics(scope)
        params = streams.partitions_params(scope.cluster.cluster_id, (), now=clock.now())
        rows = scope.rows(streams.partitions_query(topics), *params)
    assert [(4, None, None), (2, None, None)] == [
        (row["rows_kept"], row["rows_duplicate"], row["messages_waiting"])
        for row in sorted(rows, key=lambda row: row["partition"])
    ]


def noted(**changed):
    note = {"pid": 7, "stream": "here", "state": "reading", "noted_at": "2026-11-30 06:00:00.5", "lag": 1200,
            "waiting_since": None, "error": None, "behind": []}  # fmt: skip
    return {**note, **changed}


@pytest.mark.parametrize(
    ("changed", "after_s", "said"),
    [
        ({}, 5, "Consumer 7 is reading, 1,200 messages behind."),
        ({"lag": 0}, 5, "Consumer 7 is reading, with nothing behind it."),
        ({"lag": None}, 5, "Consumer 7 is reading, and how far it is behind is not known."),
        ({}, 61, "Consumer 7 has said nothing since 2026-11-30 06:00:00 UTC: it was killed, or hangs."),
        ({"waiting_since": "2026-11-30 05:59:00"}, 5,
         "Consumer 7 reads nothing since 05:59:00 UTC, because another writer is at work, 1,200 messages behind."),
        ({"state": "stopped", "lag": 0}, 9_999,
         "Consumer 7 ended at 2026-11-30 06:00:00 UTC, with nothing behind it when it did."),
        ({"state": "failed", "error": {"what": "the topic is gone."}}, 9_999,
         "Consumer 7 failed at 2026-11-30 06:00:00 UTC: the topic is gone."),
    ],
)  # fmt: skip
def test_what_is_said_of_a_consumer(changed, after_s, said):
    (found,) = streams.read_consumers([noted(**changed)])
    assert said == consumer_sentence(found, now=found.noted_at + timedelta(seconds=after_s))


def test_what_is_no_note_is_left_out():
    """Any file may lie there."""
    assert () == streams.read_consumers([{}, [], noted(noted_at="soon"), noted(pid=None), noted(behind=[3])])


def test_what_waits_is_not_known_of_who_is_not_heard():
    (found,) = streams.read_consumers([noted(behind=[{"topic": "t", "partition": 0, "messages": 3}])])
    for after, waits in ((timedelta(seconds=1), [3]), (streams.SILENT * 2, [])):
        assert waits == streams.partitions_params("c", [found], now=found.noted_at + after)[-1]
