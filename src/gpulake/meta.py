"""What the lake's own records say: landings, builds, publications. Every question to the `meta` schema is asked here.

A landing is *pending* until a publication includes it. A publication is *stale* when it lacks a landing, was made by
other definitions or settings, or is not of the last build that was begun.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any, Protocol

import pyarrow as pa

from gpulake.tables import (
    BUILDS,
    CLUSTERS,
    FULL_BUILD_STARTS,
    JUDGINGS,
    LANDINGS,
    NOTICES,
    OFFSETS,
    PRICES,
    PUBLICATIONS,
    PUBLISHED_LANDINGS,
    QUARANTINE,
)


class Asked(Protocol):
    """Whatever gives the rows of a query on `lake`: a reader, or the writer."""

    def sql(self, query: str, params: Sequence[object] = ()) -> pa.Table:
        """The rows of one query."""
        ...


# ---------------------------------------------------------------------------------------------- landings


@dataclass(frozen=True)
class PendingLanding:
    """A landing that no publication includes."""

    landing_id: str
    landing_no: int
    source: str
    table_name: str
    rows_kept: int


Bytes = tuple[str, str, str, str]
"""What names delivered bytes: source, cluster, table, and their sha256."""


def landed_bytes(view: Asked, *, latest_only: bool = False) -> frozenset[Bytes]:
    """All bytes that have landed, or those only that no later landing of the same table follows."""
    found = view.sql(
        f"SELECT source, cluster_id, table_name, file_sha256 FROM {LANDINGS.qualified} "
        "QUALIFY NOT ? OR landing_no = max(landing_no) OVER (PARTITION BY source, cluster_id, table_name)",
        [latest_only],
    )
    return frozenset(tuple(row.values()) for row in found.to_pylist())


def landings_of(view: Asked, delivered: Bytes) -> list[Mapping[str, object]]:
    """The records of each time that some bytes landed, the newest first."""
    columns = ", ".join(name for name, _ in LANDINGS.columns)
    found: list[Mapping[str, object]] = view.sql(
        f"SELECT {columns} FROM {LANDINGS.qualified} WHERE source = ? AND cluster_id = ? AND table_name = ? "
        "AND file_sha256 = ? ORDER BY landing_no DESC",
        list(delivered),
    ).to_pylist()
    return found


def overtaken(view: Asked, landing_ids: Sequence[str]) -> dict[str, list[str]]:
    """Of some landings those that later ones of the same table and time may stand for, which are none of them."""
    found = view.sql(
        f"SELECT this.landing_id, list(later.landing_id) AS later FROM {LANDINGS.qualified} AS this "
        f"JOIN {LANDINGS.qualified} AS later USING (source, cluster_id, table_name) "
        "WHERE later.landing_no > this.landing_no AND list_contains(?, this.landing_id) "
        "AND NOT list_contains(?, later.landing_id) "
        "AND coalesce(later.min_event_at <= this.max_event_at AND later.max_event_at >= this.min_event_at, true) "
        "GROUP BY ALL",
        [list(landing_ids)] * 2,
    )
    return {row["landing_id"]: row["later"] for row in found.to_pylist()}


def standing_for(
    view: Asked, landing_id: str, later: Sequence[str], *, bronze: str, key: Sequence[str]
) -> Mapping[str, object] | None:
    """The newest of some later landings with rows of the same keys, and how many of the first's rows those are."""
    names = ", ".join(f'"{name}"' for name in key)
    same = " AND ".join(f'this."{name}" IS NOT DISTINCT FROM later."{name}"' for name in key)
    return _first(
        view.sql(
            f'WITH later AS (SELECT DISTINCT landing_id, {names} FROM lake.main."{bronze}" '
            "WHERE list_contains(?, landing_id)) "
            "SELECT landing_no, file_name, landed_at, count(*) AS rows_overtaken "
            f'FROM lake.main."{bronze}" AS this JOIN later ON {same} '
            f"JOIN {LANDINGS.qualified} AS landings ON later.landing_id = landings.landing_id "
            "WHERE this.landing_id = ? GROUP BY ALL ORDER BY landing_no DESC LIMIT 1",
            [list(later), landing_id],
        )
    )


def last_landing(view: Asked) -> Mapping[str, object] | None:
    """The newest landing's record, without its id."""
    return _first(view.sql(f"SELECT * EXCLUDE (landing_id) FROM {LANDINGS.qualified} ORDER BY landing_no DESC LIMIT 1"))


def last_landing_no(view: Asked) -> int:
    """The number of the newest landing; 0 before the first."""
    return _number(view, f"SELECT max(landing_no) AS v FROM {LANDINGS.qualified}")


def pending(view: Asked, *, through: int | None = None) -> tuple[PendingLanding, ...]:
    """The landings that wait for a publication, in their order; those up to a landing's number, if one is given."""
    found = view.sql(
        f"SELECT landing_id, landing_no, source, table_name, rows_kept FROM {LANDINGS.qualified} "
        f"ANTI JOIN {PUBLISHED_LANDINGS.qualified} USING (landing_id) "
        "WHERE landing_no <= coalesce(?, landing_no) ORDER BY landing_no",
        [through],
    )
    return tuple(PendingLanding(**row) for row in found.to_pylist())


def landed_sources(view: Asked) -> list[str]:
    """The sources of which anything has landed."""
    found: list[str] = view.sql(f"SELECT DISTINCT source FROM {LANDINGS.qualified} ORDER BY ALL")["source"].to_pylist()
    return found


def quarantined_rows(view: Asked) -> int:
    """How many rows were refused in all."""
    return _number(view, f"SELECT count(*) AS v FROM {QUARANTINE.qualified}")


def landings_with_refusals(view: Asked) -> list[dict[str, Any]]:
    """The records of landings of which rows have been refused, in their order."""
    columns = ", ".join(name for name, _ in LANDINGS.columns)
    found: list[dict[str, Any]] = view.sql(
        f"SELECT {columns} FROM {LANDINGS.qualified} SEMI JOIN {QUARANTINE.qualified} USING (landing_id) "
        "ORDER BY landing_no"
    ).to_pylist()
    return found


def refused_rows(view: Asked, landing_id: str) -> pa.Table:
    """The refused rows of one landing, in their order."""
    return view.sql(
        f"SELECT source_row, raw_text, reason FROM {QUARANTINE.qualified} WHERE landing_id = ? ORDER BY source_row",
        [landing_id],
    )


@dataclass(frozen=True)
class LeftOut:
    """Rows, or values, that were left out for one reason, and the first of them: file, line, and what stood there."""

    cluster_id: str
    table_name: str
    reason: str
    count: int
    lines: tuple[Mapping[str, Any], ...]


def refused_by_reason(view: Asked, *, lines: int) -> tuple[LeftOut, ...]:
    """Refused rows by reason, the most frequent first; values in quotes are no part of a reason."""
    return _left_out(
        view,
        "SELECT landings.*, quarantine.source_row, quarantine.reason AS whole_reason, quarantine.raw_text AS line, "
        "split_part(quarantine.reason, ': ''', 1) AS reason "
        f"FROM {QUARANTINE.qualified} AS quarantine JOIN {LANDINGS.qualified} AS landings USING (landing_id)",
        lines,
    )


def implausible_by_reason(view: Asked, *, lines: int) -> tuple[LeftOut, ...]:
    """Values of kept rows that were left out as implausible, by reason, each with its row; none before a build found any."""
    known = "SELECT 1 FROM information_schema.tables WHERE table_catalog = 'lake' AND table_schema = 'meta' "
    if not view.sql(f"{known} AND table_name = 'implausible_values'").num_rows:
        return ()
    tables = view.sql(
        f"SELECT DISTINCT bronze_table AS name FROM {LANDINGS.qualified} "
        "SEMI JOIN lake.meta.implausible_values USING (landing_id) ORDER BY ALL"
    )["name"].to_pylist()
    found = [
        each
        for name in tables
        for each in _left_out(
            view,
            "SELECT landings.*, value.source_row, value.reason, "
            "value.column_name || ' = ' || value.delivered_value AS whole_reason, as_delivered::varchar AS line "
            f"FROM lake.meta.implausible_values AS value JOIN {LANDINGS.qualified} AS landings USING (landing_id) "
            f'JOIN lake.main."{name}" AS as_delivered '
            "ON value.landing_id = as_delivered.landing_id AND value.source_row = as_delivered.source_row",
            lines,
        )
    ]
    return tuple(sorted(found, key=lambda each: -each.count))


def _left_out(view: Asked, query: str, lines: int) -> tuple[LeftOut, ...]:
    rows = view.sql(
        "SELECT cluster_id, table_name, reason, file_name, source_row, whole_reason, line, "
        "count(*) OVER (PARTITION BY cluster_id, table_name, reason) AS n "
        f"FROM ({query}) QUALIFY row_number() OVER ("
        "PARTITION BY cluster_id, table_name, reason ORDER BY landing_no, source_row) <= greatest(?, 1) "
        "ORDER BY n DESC, cluster_id, table_name, reason, landing_no, source_row",
        [lines],
    ).to_pylist()
    of_reason = groupby(rows, key=lambda row: (row["cluster_id"], row["table_name"], row["reason"], row["n"]))
    return tuple(
        LeftOut(
            *what,
            lines=tuple(
                {name: row[name] for name in ("file_name", "source_row", "whole_reason", "line")} for row in each
            )[:lines],
        )
        for what, each in of_reason
    )


# ----------------------------------------------------------------------------------------------- streams


@dataclass(frozen=True)
class Position:
    """How far one partition of a stream has landed."""

    generation: int
    next_offset: int
    topic_uid: str


def positions(view: Asked, stream: str) -> dict[tuple[str, int], Position]:
    """How far each partition of a stream has landed, by topic and partition; what never landed is not in it."""
    found = view.sql(
        "SELECT topic, partition, generation, max(next_offset) AS next_offset, "
        "max_by(topic_uid, next_offset) AS topic_uid "
        f"FROM {OFFSETS.qualified} WHERE stream = ? GROUP BY topic, partition, generation "
        "QUALIFY row_number() OVER (PARTITION BY topic, partition ORDER BY generation DESC) = 1",
        [stream],
    )
    return {
        (row["topic"], row["partition"]): Position(row["generation"], row["next_offset"], row["topic_uid"])
        for row in found.to_pylist()
    }


@dataclass(frozen=True)
class StreamTopic:
    """What has landed of one topic. `watermark` is the latest time of an event in that of its partitions which lags most."""

    stream: str
    topic: str
    partitions: int
    messages: int
    rows_kept: int
    rows_refused: int
    lost: int
    watermark: datetime | None
    last_landed_at: datetime


def stream_topics(view: Asked) -> tuple[StreamTopic, ...]:
    """Every topic of every stream; none in a lake that knows none."""
    known = view.sql(
        "SELECT 1 FROM information_schema.tables WHERE table_catalog = 'lake' AND table_schema = 'meta' "
        "AND table_name = ?",
        [OFFSETS.name],
    )
    if not known.num_rows:
        return ()
    found = view.sql(
        "WITH parts AS (SELECT stream, topic, partition, sum(messages) AS messages, sum(rows_kept) AS rows_kept, "
        "sum(rows_refused) AS rows_refused, sum(lost) AS lost, max(offsets.max_event_at) AS watermark, "
        "max(offsets.landed_at) AS last_landed_at "
        f"FROM {OFFSETS.qualified} AS offsets JOIN {LANDINGS.qualified} AS landings USING (landing_id) "
        "GROUP BY stream, topic, partition) "
        "SELECT stream, topic, count(*) AS partitions, sum(messages)::bigint AS messages, "
        "sum(rows_kept)::bigint AS rows_kept, sum(rows_refused)::bigint AS rows_refused, sum(lost)::bigint AS lost, "
        "min(watermark) AS watermark, max(last_landed_at) AS last_landed_at FROM parts GROUP BY stream, topic ORDER BY ALL"
    )
    return tuple(StreamTopic(**row) for row in found.to_pylist())


@dataclass(frozen=True)
class Audited:
    """What became of the messages of one topic: each landed, is a duplicate of one that did, or is in quarantine.

    `gaps` are places where one landing does not go on where the one before ended.
    """

    stream: str
    topic: str
    messages: int
    landed: int
    duplicates: int
    quarantined: int
    lost: int
    gaps: int

    @property
    def closes(self) -> bool:
        """Whether every message is accounted for, exactly once."""
        return self.messages == self.landed + self.duplicates + self.quarantined and not self.gaps


def audited(view: Asked, keys: Mapping[str, Sequence[str]]) -> tuple[Audited, ...]:
    """Count what lies in the lake, not what was noted of it. `keys`: by bronze table, the columns that name an event."""
    found = []
    topics = view.sql(
        f"SELECT stream, topic, bronze_table FROM {OFFSETS.qualified} JOIN {LANDINGS.qualified} USING (landing_id) "
        "GROUP BY ALL ORDER BY ALL"
    ).to_pylist()
    for topic in topics:
        names = ", ".join(f'"{name}"' for name in keys[topic["bronze_table"]])
        of_topic = f"{OFFSETS.qualified} AS offsets WHERE stream = ? AND topic = ?"
        (row,) = view.sql(
            f"WITH mine AS (SELECT landing_id FROM {of_topic}), "
            f'held AS (SELECT {names} FROM lake.main."{topic["bronze_table"]}" SEMI JOIN mine USING (landing_id)), '
            "stretches AS (SELECT *, lag(next_offset) OVER (PARTITION BY partition, generation ORDER BY from_offset) "
            f"AS before FROM {of_topic}) "
            "SELECT sum(messages)::bigint AS messages, coalesce(sum(lost), 0)::bigint AS lost, "
            "count(*) FILTER (coalesce(before + lost, from_offset) <> from_offset) AS gaps, "
            f"(SELECT count(*) FROM (SELECT DISTINCT {names} FROM held)) AS landed, "
            "(SELECT count(*) FROM held) AS kept, "
            f"(SELECT count(*) FROM {QUARANTINE.qualified} SEMI JOIN mine USING (landing_id)) AS quarantined FROM stretches",
            [topic["stream"], topic["topic"]] * 2,
        ).to_pylist()
        found.append(
            Audited(
                topic["stream"], topic["topic"], row["messages"], row["landed"], row["kept"] - row["landed"],
                row["quarantined"], row["lost"], row["gaps"],
            )
        )  # fmt: skip
    return tuple(found)


# ---------------------------------------------------------------------------------------------- clusters


def clusters(view: Asked) -> dict[str, tuple[str, tuple[str, str, str]]]:
    """What is noted of each cluster: its source, and its zone, time basis and pools."""
    found = view.sql(f"SELECT cluster_id, source, time_zone, time_basis, pools FROM {CLUSTERS.qualified} ORDER BY ALL")
    return {
        row["cluster_id"]: (row["source"], (row["time_zone"], row["time_basis"], row["pools"]))
        for row in found.to_pylist()
    }


def prices(view: Asked) -> list[tuple[object, ...]]:
    """What GPU-hours cost by the settings that a build saw last; empty: as shipped."""
    names = ", ".join(name for name, _ in PRICES.columns)
    return [tuple(row.values()) for row in view.sql(f"SELECT {names} FROM {PRICES.qualified}").to_pylist()]


def windows(view: Asked) -> list[dict[str, object]]:
    """Each cluster with its first and last day, in its own zone."""
    rows: list[dict[str, object]] = view.sql(
        "SELECT cluster_id, time_zone, time_basis, "
        "min(timezone(time_zone, timezone('UTC', min_event_at)))::date AS first_day, "
        "max(timezone(time_zone, timezone('UTC', max_event_at)))::date AS last_day "
        f"FROM {LANDINGS.qualified} JOIN {CLUSTERS.qualified} USING (cluster_id) GROUP BY ALL ORDER BY ALL"
    ).to_pylist()
    return rows


def fingerprint(view: Asked, definitions: str) -> str:
    """One hash over everything but the data that decides what is published: definitions, settings, sources."""
    # A version that an earlier gpulake made may lack some of the columns.
    columns = "COLUMNS('^(cluster_id|time_zone|time_basis|pools)$')"
    settings = view.sql(f"SELECT {columns} FROM {CLUSTERS.qualified} ORDER BY ALL").to_pylist()
    # The views are planned for the landed sources alone, so a further one makes another project of them.
    return hashlib.sha256(json.dumps([definitions, settings, landed_sources(view)]).encode()).hexdigest()


# ------------------------------------------------------------------------------------------------ judgements


def judged_until(view: Asked) -> dict[str, datetime]:
    """The end of the data up to which rules have judged each cluster (UTC); empty before the first time."""
    found = view.sql(
        f"SELECT cluster_id, max(judged_until) AS until FROM {JUDGINGS.qualified} "
        "WHERE cluster_id <> '' AND judged_until IS NOT NULL GROUP BY cluster_id ORDER BY cluster_id"
    )
    return dict(zip(found["cluster_id"].to_pylist(), found["until"].to_pylist(), strict=True))


def judged_build(view: Asked) -> int | None:
    """The newest build whose publication rules have judged."""
    found = view.sql(f"SELECT max(build_id) AS v FROM {JUDGINGS.qualified}")
    newest: int | None = found["v"][0].as_py()
    return newest


def judged_at(view: Asked) -> datetime | None:
    """When rules last judged a cluster whose clock is ours; None where there is none, or they never have."""
    found = view.sql(
        f"SELECT max(judged_at) AS v FROM {JUDGINGS.qualified} SEMI JOIN "
        f"(FROM {CLUSTERS.qualified} WHERE time_basis = 'real') AS real_time USING (cluster_id)"
    )
    last: datetime | None = found["v"][0].as_py()
    return last


def notices_wait(view: Asked) -> bool:
    """Whether any notice is neither sent nor given up."""
    return bool(
        view.sql(
            f"SELECT 1 FROM {NOTICES.qualified} GROUP BY notice_id HAVING max_by(state, seq) IN ('queued', 'retry') LIMIT 1"
        ).num_rows
    )


# ------------------------------------------------------------------------------------------------ builds


@dataclass(frozen=True)
class Build:
    """One finished build, published or not."""

    build_id: int
    built_at: datetime
    fingerprint: str
    full_build: bool
    through_landing_no: int
    rows: Mapping[str, int]


def last_build(view: Asked) -> Build | None:
    """The newest finished build, or None."""
    names = ", ".join(name for name, _ in BUILDS.columns)
    for row in view.sql(f"SELECT {names} FROM {BUILDS.qualified} ORDER BY build_id DESC LIMIT 1").to_pylist():
        return Build(rows=json.loads(row.pop("rows_json")), **row)
    return None


def is_changed_since(view: Asked, build_id: int) -> bool:
    """Whether tables were changed after a build: by one that did not finish, by dbt by hand, by a replay."""
    return _changed_since(view, build_id) is not None


def _changed_since(view: Asked, build_id: int) -> int | None:
    # dbt's commits have no message; merging files changes no row.
    found: int | None = view.sql(
        "SELECT max(snapshot_id) AS version FROM lake.snapshots() "
        "WHERE snapshot_id > ? AND coalesce(commit_message, 'replay') = 'replay' "
        "AND len(list_filter(map_keys(changes), lambda change: change != 'merge_adjacent')) > 0",
        [build_id],
    )["version"][0].as_py()
    return found


def versions_to_publish(view: Asked) -> frozenset[int]:
    """Which versions the steps after the last build ask for: its own, that of its scores, and one that changed tables after it."""
    build = last_build(view)
    if build is None:
        return frozenset()
    found = (build.build_id, scored_version(view, build.build_id), _changed_since(view, build.build_id))
    return frozenset(version for version in found if version is not None)


def scored_version(view: Asked, build_id: int) -> int | None:
    """The version that a build's scores made, or None where it has none yet."""
    found: int | None = view.sql(
        "SELECT max(snapshot_id) AS version FROM lake.snapshots() "
        "WHERE commit_message = 'detect' AND (commit_extra_info ->> 'build_id') = ?",
        [str(build_id)],
    )["version"][0].as_py()
    return found


def must_be_full(view: Asked, fingerprint: str, *, shaping: AbstractSet[tuple[str, str]]) -> bool:
    """Whether the tables are of other definitions, published or not, or of a full build that did not finish.

    So it is too where a table of `shaping`, as (source, table), is pending: it changes figures of every day; and where a source
    has landed for the first time since: what its words mean is read by full builds.
    """
    whole = view.sql(
        f"SELECT 1 FROM (FROM {FULL_BUILD_STARTS.qualified} ORDER BY from_version DESC LIMIT 1) AS begun "
        f"SEMI JOIN {BUILDS.qualified} AS done ON done.full_build AND done.build_id > begun.from_version "
        "WHERE begun.fingerprint = ?",
        [fingerprint],
    )
    new_sources = view.sql(
        f"SELECT source FROM {LANDINGS.qualified} GROUP BY source HAVING min(landing_no) > "
        f"(SELECT max(coalesce(through_landing_no, {2**62})) FROM {BUILDS.qualified} WHERE full_build)"
    )
    return bool(not whole.num_rows or new_sources.num_rows) or any(
        (waiting.source, waiting.table_name) in shaping for waiting in pending(view)
    )


def has_new_machines(view: Asked, *, shaping: AbstractSet[tuple[str, str]]) -> bool:
    """Whether pending landings show machines, or more GPUs of one, that no table of `shaping` describes: history has them too.

    It is asked of a lake that is built: its machines are those of the last full build.
    """
    waiting = [landing.landing_id for landing in pending(view) if (landing.source, landing.table_name) not in shaping]
    if not waiting:
        return False
    found = view.sql(
        "SELECT 1 FROM lake.main.int_delivered_machines AS seen ANTI JOIN ("
        "SELECT machines.cluster_id, machines.machine_id, CASE WHEN list_contains(?, concat_ws('.', source, table_name)) "
        f"THEN NULL ELSE gpu_count END AS gpus FROM lake.main.silver_machines AS machines JOIN {LANDINGS.qualified} "
        "USING (landing_id)) AS known ON seen.cluster_id = known.cluster_id AND seen.machine_id = known.machine_id "
        "AND coalesce(known.gpus >= seen.gpu_count, true) WHERE seen.is_seen AND list_contains(?, seen.landing_id) LIMIT 1",
        [[f"{source}.{table}" for source, table in sorted(shaping)], waiting],
    )
    return bool(found.num_rows)


def has_new_places(view: Asked) -> bool:
    """Whether pending landings tell the place of a GPU that rows of before name by its uuid alone: they are of that place too.

    It is asked of a lake that is built. Who tells one GPU two places tells none.
    """
    by_uuid = (
        "SELECT DISTINCT cluster_id, machine_id, gpu_uuid FROM lake.main.silver_gpus "
        "WHERE split_part(gpu_device, '/', 1) = gpu_uuid"
    )
    if not view.sql(f"{by_uuid} LIMIT 1").num_rows:
        return False
    found = view.sql(
        f"SELECT 1 FROM lake.main.int_delivered_gpus AS told SEMI JOIN ({by_uuid}) AS known "
        "USING (cluster_id, machine_id, gpu_uuid) WHERE told.gpu_index IS NOT NULL AND told.mig_id IS NULL "
        "GROUP BY told.cluster_id, told.machine_id, told.gpu_uuid "
        "HAVING min(told.gpu_index) = max(told.gpu_index) AND bool_or(list_contains(?, told.landing_id)) LIMIT 1",
        [[landing.landing_id for landing in pending(view)]],
    )
    return bool(found.num_rows)


def has_moved_gpus(view: Asked) -> bool:
    """Whether pending landings show a GPU in another machine than it was last in: it says what machines have, and had.

    It is asked of a lake that is built. A GPU that is seen by two names, as before, has not moved.
    """
    waiting = [landing.landing_id for landing in pending(view)]
    if not waiting:
        return False
    found = view.sql(
        "WITH last AS (SELECT cluster_id, gpu_uuid, arg_max(machine_id, coalesce(valid_from, TIMESTAMP '0001-01-01')) AS machine_id "
        "FROM lake.main.silver_gpus WHERE gpu_uuid IS NOT NULL GROUP BY cluster_id, gpu_uuid) "
        "SELECT 1 FROM lake.main.int_delivered_gpus AS seen JOIN last USING (cluster_id, gpu_uuid) "
        "WHERE list_contains(?, seen.landing_id) AND seen.machine_id IS NOT NULL "
        "GROUP BY cluster_id, gpu_uuid HAVING NOT bool_or(seen.machine_id = last.machine_id) LIMIT 1",
        [waiting],
    )
    return bool(found.num_rows)


# ------------------------------------------------------------------------------------------ publications


@dataclass(frozen=True)
class Published:
    """One publication that was made. `is_kept`: its version can still be read."""

    build_id: int
    data_version: int
    published_at: datetime
    fingerprint: str
    is_kept: bool


def publications(view: Asked, *, catalog: str = "lake") -> tuple[Published, ...]:
    """Every publication, by build."""
    names = "build_id, data_version, published_at, fingerprint"
    found = view.sql(
        f"SELECT {names}, data_version IN (SELECT snapshot_id FROM {catalog}.snapshots()) AS is_kept "
        f"FROM {catalog}.{PUBLICATIONS.schema}.{PUBLICATIONS.name} ORDER BY build_id"
    )
    return tuple(Published(**row) for row in found.to_pylist())


def everything_tested_at(view: Asked) -> datetime | None:
    """When a version was published last of which every row had been tested; None where there is none, or a full build is newer.

    A full build makes every row again, whether or not a version with it has been tested since.
    """
    found: datetime | None = view.sql(
        f"SELECT max(published_at) AS at FROM {PUBLICATIONS.qualified} WHERE coalesce(tested_everything, true) "
        f"AND build_id >= (SELECT coalesce(max(build_id), 0) FROM {BUILDS.qualified} WHERE full_build)"
    )["at"][0].as_py()
    return found


def freshness(view: Asked, *, through: int, now: datetime) -> tuple[float | None, float | None]:
    """Of the landings up to a number that wait for a publication: for how many seconds the earliest of them has waited, and how old their newest event is, in clusters whose clock is ours.

    None where there is none. An event of the future has a negative age.
    """
    row = view.sql(
        "SELECT min(landed_at) AS landed, max(max_event_at) FILTER (time_basis = 'real') AS event "
        f"FROM {LANDINGS.qualified} LEFT JOIN {CLUSTERS.qualified} USING (cluster_id) "
        f"ANTI JOIN {PUBLISHED_LANDINGS.qualified} USING (landing_id) WHERE landing_no <= ?",
        [through],
    ).to_pylist()[0]
    return _since(row["landed"], now), _since(row["event"], now)


def _since(moment: datetime | None, now: datetime) -> float | None:
    return None if moment is None else round((now - moment).total_seconds(), 3)


def is_stale(view: Asked, fingerprint: str) -> bool:
    """Whether the publication lacks a landing, was made by other definitions, or is not of the last build begun."""
    if pending(view):
        return True
    current = view.sql(
        f"SELECT 1 FROM (FROM {PUBLICATIONS.qualified} ORDER BY build_id DESC LIMIT 1) AS published "
        f"ANTI JOIN (SELECT build_id FROM {BUILDS.qualified} "
        f"UNION ALL SELECT from_version FROM {FULL_BUILD_STARTS.qualified}) AS begun "
        "ON begun.build_id > published.build_id WHERE published.fingerprint = ?",
        [fingerprint],
    )
    return not current.num_rows


def _first(rows: pa.Table) -> dict[str, object] | None:
    found: list[dict[str, object]] = rows.slice(0, 1).to_pylist()
    return found[0] if found else None


def _number(view: Asked, query: str) -> int:
    return int(view.sql(query)["v"][0].as_py() or 0)
