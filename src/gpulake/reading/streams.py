"""How far each stream has landed, by partition, and what those who land it say of themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from gpulake.reading.scope import Scope
from gpulake.sources import all_sources

MOST_COUNTED = 200_000
"""Of topics with more rows duplicates are not looked for: a page would keep its visitor waiting. An audit counts them."""

SILENT = timedelta(seconds=60)
"""Who lands says so each second: after so long without a word it is not known what has come since."""

# A publication of an earlier gpulake has no such table. What names operations is asked anew with each of their commits.
_IS_KNOWN = """
    select 1 from information_schema.tables
    where concat_ws('.', table_catalog, table_schema, table_name) = 'ops.meta.offsets'
"""
_TOPICS = """
    select offsets.stream, offsets.topic, landings.bronze_table, sum(landings.rows_kept)::bigint as rows_kept
    from ops.meta.offsets as offsets
    inner join ops.meta.landings as landings using (landing_id)
    where landings.cluster_id = ?
    group by all
    order by all
"""
_PARTITIONS = """
    with stretches as (
        select
            offsets.stream,
            offsets.topic,
            offsets.partition,
            offsets.messages,
            offsets.lost,
            {{'generation': offsets.generation, 'next_offset': offsets.next_offset}} as reached,
            offsets.max_event_at,
            offsets.landed_at,
            landings.landing_id,
            landings.landing_no,
            landings.rows_kept,
            landings.rows_refused
        from ops.meta.offsets as offsets
        inner join ops.meta.landings as landings using (landing_id)
        where landings.cluster_id = ?
    ),

    waiting as (
        select
            unnest(?::varchar[]) as stream,
            unnest(?::varchar[]) as topic,
            unnest(?::bigint[]) as partition,
            unnest(?::bigint[]) as messages_waiting
    ),

    counted as (
        select stream, topic
        from stretches
        group by stream, topic
        having sum(rows_kept) <= {most}
    ),

    duplicates as ({duplicates}
    ),

    partitions as (
        select
            stream,
            topic,
            partition,
            sum(messages)::bigint as messages,
            sum(rows_kept)::bigint as rows_kept,
            sum(rows_refused)::bigint as rows_refused,
            sum(lost)::bigint as messages_lost,
            max(reached).next_offset as next_offset,
            max(max_event_at) as last_event_at,
            max(landed_at) as last_landed_at
        from stretches
        group by stream, topic, partition
    )

    select
        partitions.*,
        case when counted.topic is not null then coalesce(duplicates.rows_duplicate, 0) end as rows_duplicate,
        waiting.messages_waiting
    from partitions
    left join counted using (stream, topic)
    left join duplicates using (stream, topic, partition)
    left join waiting using (stream, topic, partition)
"""
# The first of an event is the row itself, in the order of landing; whatever tells of it again is a duplicate.
_DUPLICATES = """
        select stream, topic, partition, count(*) as rows_duplicate
        from (
            select
                stretches.stream,
                stretches.topic,
                stretches.partition,
                row_number() over (
                    partition by stretches.stream, stretches.topic, {key}
                    order by stretches.landing_no, held.source_row
                ) as telling_no
            from ops.main."{bronze}" as held
            inner join stretches on held.landing_id = stretches.landing_id
            inner join counted on stretches.stream = counted.stream and stretches.topic = counted.topic
        )
        where telling_no > 1
        group by stream, topic, partition"""


@dataclass(frozen=True)
class Topic:
    """One topic of a stream that has landed in a cluster."""

    stream: str
    topic: str
    bronze_table: str
    rows_kept: int

    @property
    def is_counted(self) -> bool:
        """Whether its duplicates are looked for."""
        return self.rows_kept <= MOST_COUNTED


@dataclass(frozen=True)
class Consumer:
    """What one process that lands a stream said of itself last. `waiting`: what has not landed, by topic and partition."""

    pid: int
    stream: str
    state: str
    noted_at: datetime
    lag: int | None
    waiting_since: datetime | None
    error: str | None
    waiting: Mapping[tuple[str, int], int]

    def is_heard(self, *, now: datetime) -> bool:
        """Whether it lands still."""
        return self.state not in {"stopped", "failed"} and now - self.noted_at <= SILENT

    def is_lost(self, *, now: datetime) -> bool:
        """Whether it ended otherwise than by being told to."""
        return self.state != "stopped" and not self.is_heard(now=now)


def read_topics(scope: Scope) -> tuple[Topic, ...]:
    """The topics that have landed in the cluster; none in a lake that knows no streams."""
    if not scope.rows(_IS_KNOWN):
        return ()
    return tuple(Topic(**row) for row in scope.rows(_TOPICS, scope.cluster.cluster_id))


def partitions_query(topics: Iterable[Topic]) -> str:
    """One row per partition: what has landed of it, and what waits. Its parameters are those of `partitions_params`."""
    keys = {table.bronze: table.key for source in all_sources() for table in source.tables}
    counted = sorted({topic.bronze_table for topic in topics if topic.is_counted})
    parts = [
        _DUPLICATES.format(bronze=bronze, key=", ".join(f'held."{name}"' for name in keys[bronze]))
        for bronze in counted
    ] or [
        "\n        select null::varchar as stream, null::varchar as topic, null::bigint as partition, 0 as rows_duplicate where false"
    ]
    return _PARTITIONS.format(most=MOST_COUNTED, duplicates="\n        union all".join(parts))


def partitions_params(cluster_id: str, consumers: Iterable[Consumer], *, now: datetime) -> tuple[object, ...]:
    """What waits is known of those partitions only of which a consumer was heard."""
    waiting = [
        (consumer.stream, topic, partition, messages)
        for consumer in consumers
        if consumer.is_heard(now=now)
        for (topic, partition), messages in consumer.waiting.items()
    ]
    return (cluster_id, *([row[at] for row in waiting] for at in range(4)))


def read_consumers(notes: Iterable[Mapping[str, Any]]) -> tuple[Consumer, ...]:
    """The notes of those who land streams; what is none is left out."""
    found = []
    for note in notes:
        try:
            found.append(_consumer(note))
        except (KeyError, TypeError, ValueError, AttributeError):
            continue
    return tuple(found)


def _consumer(note: Mapping[str, Any]) -> Consumer:
    return Consumer(
        pid=int(note["pid"]),
        stream=str(note["stream"]),
        state=str(note["state"]),
        noted_at=datetime.fromisoformat(note["noted_at"]),
        lag=None if note["lag"] is None else int(note["lag"]),
        waiting_since=datetime.fromisoformat(note["waiting_since"]) if note["waiting_since"] else None,
        error=str(note["error"]["what"]) if note["error"] else None,
        waiting={
            (str(each["topic"]), int(each["partition"])): int(each["messages"])
            for each in note.get("behind", ())
            if each["messages"] is not None
        },
    )
