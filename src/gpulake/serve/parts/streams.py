"""Of the data: how far each partition of a stream has landed, and whether those who land keep up."""

from __future__ import annotations

from gpulake import clock, upkeep
from gpulake.reading import streams
from gpulake.serve.listing import Column, Listing
from gpulake.serve.look import Look
from gpulake.serve.page import Filled, Part
from gpulake.telling.streams import consumer_sentence


def _fill(look: Look) -> Filled | None:
    topics = streams.read_topics(look)
    if not topics:
        return None
    now = clock.now()
    ours = {topic.stream for topic in topics}
    notes = upkeep.consumers(look.lake) if look.lake else ()
    consumers = [each for each in streams.read_consumers(notes) if each.stream in ours]
    partitions = Listing(
        look,
        name="partitions",
        title="Streams, by partition",
        table="",
        query=streams.partitions_query(topics),
        params=streams.partitions_params(look.cluster.cluster_id, consumers, now=now),
        columns=(
            Column("topic", "topic", note="stream"),
            Column("partition"),
            Column("last_event_at", "events up to"),
            Column("messages_waiting", "waiting"),
            Column("rows_kept", "rows landed"),
            Column("rows_duplicate", "of these duplicates"),
            Column("rows_refused", "refused"),
            Column("messages_lost", "lost"),
            Column("next_offset", "next offset"),
            Column("last_landed_at", "last landed"),
        ),
        order="topic",
        key=("stream", "topic", "partition"),
    )
    return {
        "partitions": partitions,
        "consumers": [(consumer_sentence(each, now=now), each.is_lost(now=now)) for each in consumers],
        "uncounted": [topic.topic for topic in topics if not topic.is_counted],
        "most_counted": streams.MOST_COUNTED,
        "source": look.cluster.source,
    }


PART = Part(of="/data", template="streams.html", fill=_fill)
