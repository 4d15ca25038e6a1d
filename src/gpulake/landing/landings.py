"""Landing: each delivery becomes bronze rows and quarantined rows, once and whole, in one transaction of the lake."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any, Literal

import pyarrow as pa

from gpulake import meta
from gpulake.config import Config
from gpulake.contract import Parsed, Table
from gpulake.errors import ContractError, GpulakeError, SourceError
from gpulake.lake import Writer
from gpulake.landing import files, recognition, rows
from gpulake.landing.clusters import cluster_settings, note_cluster
from gpulake.landing.files import Digest
from gpulake.landing.memory import Hashed, Memory, identity
from gpulake.landing.recognition import Unrecognised
from gpulake.landing.rows import Converted
from gpulake.landing.surveys import Delivered, Refused, Survey
from gpulake.tables import LANDINGS, QUARANTINE, bronze_tables

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  # the lake keeps UTC without a zone

Progress = Callable[[str, float], None]
"""Told what is being done and how far it is, 0 to 1."""


@dataclass(frozen=True)
class Landing:
    """One delivery in the lake. `status` is "already" when its bytes had landed before: no row was added.

    Of a "replayed" one the counts are of the rows that had been refused.

    `missing` counts the numbers and times of each column that the kept rows lack; `columns_left` are the fields that no
    column takes. The `note` says what stands for rows that had landed before.
    """

    landing_id: str
    status: Literal["landed", "already", "would land", "replayed"]
    source: str
    cluster_id: str
    table: str
    bronze_table: str
    file_name: str
    layout: str
    published_bytes: bool
    rows_in: int | None = None
    rows_kept: int | None = None
    rows_refused: int | None = None
    times_unknown: int | None = None
    values_missing: int | None = None
    missing: Mapping[str, int] = field(default_factory=dict)
    columns_left: tuple[str, ...] = ()
    reasons: Mapping[str, int] = field(default_factory=dict)
    note: str = ""

    def as_json(self) -> dict[str, object]:
        """For machines."""
        return asdict(self)


@dataclass(frozen=True)
class LandReport:
    """Everything that became of a folder."""

    landings: tuple[Landing, ...]
    refused: tuple[Refused, ...]
    unrecognised: tuple[Unrecognised, ...]

    @property
    def landed(self) -> tuple[Landing, ...]:
        """The deliveries that are new."""
        return tuple(landing for landing in self.landings if landing.status != "already")

    def as_json(self) -> dict[str, object]:
        """For machines."""
        return {
            "landings": [landing.as_json() for landing in self.landings],
            "refused": [refused.as_json() for refused in self.refused],
            "unrecognised": [{"file": str(file.path), "reason": file.reason} for file in self.unrecognised],
        }


def land(
    writer: Writer,
    surveyed: Survey,
    *,
    config: Config,
    now: datetime,
    cluster: str | None = None,
    memory: Memory | None = None,
    rehash: bool = False,
    again: bool = False,
    corrects: bool = False,
    on_new: Callable[[], object] | None = None,
    progress: Progress | None = None,
) -> LandReport:
    """Land each delivery once: repeating a call adds no row. `on_new` is called when the first new one is met.

    `again`: what has landed lands once more, as the latest, unless it is the latest of its table.
    `corrects`: what the delivery says of machines has always been so; without it a change holds from the cluster's now. Files that cannot be read, or of which no row survives, are in the report's `refused`; the others have landed.
    """
    landings: list[Landing] = []
    refused, left_alone = list(surveyed.refused), list(surveyed.unrecognised)
    waiting = _in_order(surveyed.delivered)
    known = set(meta.landed_bytes(writer))
    number = meta.last_landing_no(writer)
    for delivered, hash_it in _hashed_ahead(waiting, None if rehash else memory):
        try:
            hashed = hash_it()
            left_alone += _beside(delivered, hashed.digest)
            named = _bytes(delivered, hashed.digest.sha256, cluster)
            before = meta.landings_of(writer, named) if named in known else []
            landing = _known(delivered, before[0]) if before else None
            if landing and not delivered.is_shipped:
                is_latest = not again or named in meta.landed_bytes(writer, latest_only=True)
                is_said = not (corrects and delivered.table.shapes_history) or before[0]["corrects"]
                landing = landing if is_latest and is_said else None
            if landing is None:
                landing_id = name_landing(named, time=len(before) + 1)
                if on_new:
                    on_new()
                    on_new = None
                meter = _meter(delivered.path.name, hashed.digest.size, progress)
                landing = _land_one(
                    writer, delivered, hashed, landing_id, number=number + 1, config=config, cluster=cluster,
                    corrects=corrects, now=now, progress=meter,
                )  # fmt: skip
                number += 1
                known.add(named)
            landings.append(landing)
        except (SourceError, ContractError) as error:
            refused.append(Refused(delivered.path, error))
            if memory:
                memory.forget(delivered.recognised)
            continue
        if memory:
            memory.keep(delivered.recognised, hashed)
    return LandReport(tuple(_with_notes(writer, landings, waiting)), tuple(refused), tuple(left_alone))


def _with_notes(writer: Writer, landings: Sequence[Landing], delivered: Sequence[Delivered]) -> Iterator[Landing]:
    """Of what had landed before, say which later landing stands for it, unless that is delivered here as well."""
    tables = {each.table.name: each.table for each in delivered}
    old = [landing for landing in landings if landing.status == "already"]
    overtaken = meta.overtaken(writer, [landing.landing_id for landing in landings]) if old else {}
    for landing in landings:
        later = overtaken.get(landing.landing_id, []) if landing.status == "already" else []
        table = tables[landing.table]
        # An end is what a later landing corrects.
        key = [name for name in table.key if table.span is None or name != table.span.end or name == table.span.start]
        standing = meta.standing_for(writer, landing.landing_id, later, bronze=table.bronze, key=key) if later else None
        yield replace(landing, note=_note(standing)) if standing else landing


def _note(standing: Mapping[str, Any]) -> str:
    return (
        f"landing {standing['landing_no']} ({standing['file_name']}, {standing['landed_at']:%Y-%m-%d %H:%M} UTC) "
        f"stands for {standing['rows_overtaken']:,} of its rows; --again lands it once more, as the latest"
    )


def _beside(delivered: Delivered, digest: Digest) -> Iterator[Unrecognised]:
    """The other files of a delivery's archive: a licence, a read-me."""
    for name in digest.beside:
        yield Unrecognised(delivered.path / name, "not a table of this source")


def _meter(name: str, total_bytes: int, progress: Progress | None) -> Callable[[int], None]:
    """Turn bytes read into the share of a file that has been landed."""
    done = 0

    def read(more: int) -> None:
        nonlocal done
        done += more
        if progress:
            progress(f"landing {name}", min(done / total_bytes, 1.0) if total_bytes else 1.0)

    read(0)
    return read


def foresee(
    surveyed: Survey,
    *,
    cluster: str | None,
    landed: AbstractSet[meta.Bytes],
    latest: AbstractSet[meta.Bytes] | None = None,
    corrects: bool = False,
) -> LandReport:
    """What landing would do, without a lake: hash every delivery and say which are new.

    `latest`: what lands again is what has landed, but is not among these.
    """
    landings, refused, left_alone = [], list(surveyed.refused), list(surveyed.unrecognised)
    for delivered in surveyed.delivered:
        try:
            digest = recognition.digest(delivered.recognised)
        except SourceError as error:
            refused.append(Refused(delivered.path, error))
            continue
        left_alone += _beside(delivered, digest)
        sha256 = digest.sha256
        named = _bytes(delivered, sha256, cluster)
        is_there = named in (landed if latest is None or delivered.is_shipped else landed & latest)
        is_there = is_there and (delivered.is_shipped or not (corrects and delivered.table.shapes_history))
        landings.append(
            Landing(
                landing_id=name_landing(named),
                status="already" if is_there else "would land",
                source=delivered.source.name,
                cluster_id=_cluster_id(delivered, cluster),
                table=delivered.table.name,
                bronze_table=delivered.table.bronze,
                file_name=delivered.file_name,
                layout=delivered.recognised.layout.name,
                published_bytes=sha256 == delivered.table.published_sha256,
            )
        )
    return LandReport(tuple(landings), tuple(refused), tuple(left_alone))


def name_landing(delivered: meta.Bytes, *, time: int = 1) -> str:
    """The landing_id: sha256 over source, cluster, table and the sha256 of the uncompressed bytes; later times are told."""
    parts = (*delivered, *([str(time)] if time > 1 else []))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _bytes(delivered: Delivered, sha256: str, cluster: str | None) -> meta.Bytes:
    return delivered.source.name, _cluster_id(delivered, cluster), delivered.table.name, sha256


def _cluster_id(delivered: Delivered, cluster: str | None) -> str:
    return cluster if cluster and delivered.source.describes_cluster else delivered.source.name


def _hashed_ahead(
    waiting: Sequence[Delivered], memory: Memory | None
) -> Iterator[tuple[Delivered, Callable[[], Hashed]]]:
    """Each delivery with the call that gives its digest, hashed in a thread ahead of the caller, who may leave early."""
    left = Event()

    def go_on(_more: int) -> None:
        if left.is_set():
            raise CancelledError

    def hash_one(delivered: Delivered) -> Hashed:
        known = memory.recall(delivered.recognised) if memory else None
        if known:
            return known
        before = identity(delivered.path)
        return Hashed(recognition.digest(delivered.recognised, progress=go_on), before)

    with ThreadPoolExecutor(1) as pool:
        try:
            futures = [pool.submit(hash_one, delivered) for delivered in waiting]
            for delivered, future in zip(waiting, futures, strict=True):
                yield delivered, future.result
        finally:
            left.set()
            pool.shutdown(cancel_futures=True)


def _known(delivered: Delivered, found: Mapping[str, object]) -> Landing:
    facts: dict[str, Any] = {name: found[name] for name in Landing.__dataclass_fields__ if name in found}
    return Landing(status="already", table=str(found["table_name"]), **{**facts, "file_name": delivered.file_name})


def _land_one(
    writer: Writer,
    delivered: Delivered,
    hashed: Hashed,
    landing_id: str,
    *,
    number: int,
    config: Config,
    cluster: str | None,
    corrects: bool,
    now: datetime,
    progress: files.Progress,
) -> Landing:
    table, digest = delivered.table, hashed.digest
    (bronze,) = (t for t in bronze_tables([delivered.source]) if t.name == table.bronze)
    cluster_id = _cluster_id(delivered, cluster)
    time_zone, _, _ = cluster_settings(cluster_id, delivered.source, config)
    converted = rows.convert(
        delivered.recognised,
        landing_id=landing_id,
        folder=writer.data_folder(bronze),
        time_zone=time_zone,
        progress=progress,
    )
    try:
        _check(delivered, converted, hashed.identity)
    except GpulakeError:
        for file in converted.files:
            file.unlink(missing_ok=True)
        raise
    landing = Landing(
        landing_id=landing_id,
        status="landed",
        source=delivered.source.name,
        cluster_id=cluster_id,
        table=table.name,
        bronze_table=table.bronze,
        file_name=delivered.file_name,
        layout=delivered.recognised.layout.name,
        rows_in=converted.rows_in,
        rows_kept=converted.rows_kept,
        rows_refused=converted.refused.num_rows,
        times_unknown=converted.times_unknown,
        values_missing=sum(converted.missing.values()),
        missing=converted.missing,
        columns_left=converted.left,
        published_bytes=digest.sha256 == table.published_sha256,
        reasons=reasons_of(converted.refused),
    )
    recorded: dict[str, object] = {
        **{name: getattr(landing, name) for name, _ in LANDINGS.columns if hasattr(landing, name)},
        "landing_no": number,
        "table_name": table.name,
        "file_sha256": digest.sha256,
        "file_bytes": digest.size,
        "min_event_at": moment_of(converted.min_event_s),
        "max_event_at": moment_of(converted.max_event_s),
        "landed_at": now,
        "corrects": corrects,
        "fields": json.dumps(delivered.recognised.layout.fields) if delivered.recognised.layout.fields else None,
    }
    with writer.transaction("land", landing_id=landing_id):
        writer.add_files(bronze, converted.files)
        writer.insert(QUARANTINE, _quarantined(converted.refused, landing))
        writer.insert(LANDINGS, [[recorded[name] for name, _ in LANDINGS.columns]])
        if delivered.source.describes_cluster:
            note_cluster(writer, landing.cluster_id, delivered.source, config, now)
    return landing


def _check(delivered: Delivered, converted: Converted, before: tuple[int, int, int]) -> None:
    path, table = delivered.path, delivered.table
    if identity(path) != before:
        raise SourceError("the file changed while it was read.", where=str(path), do="run it again when it is complete")
    if converted.rows_kept == 0 and not _is_quiet(converted, table):
        first = converted.refused["source_row"][0].as_py() if converted.rows_in else 1
        raise ContractError(
            f"no row of {converted.rows_in} is a row of {table.name}: {_summary(reasons_of(converted.refused))}.",
            where=f"{path}:{first}",
            do="compare it with the table's columns, or take it out of the folder",
        )


def _is_quiet(converted: Converted, table: Table) -> bool:
    """Whether a file says by having no rows that nothing happened, as a log does; one that refused some does not."""
    return converted.rows_in == 0 and isinstance(table.format, Parsed) and recognition.may_be_empty(table)


def _in_order(delivered: Sequence[Delivered]) -> list[Delivered]:
    """Small files first: while one is parsed the next is hashed. Files of one table that say when they begin, in time."""
    by_size = sorted(delivered, key=lambda one: (_size(one.path), one.path))
    in_time = sorted(by_size, key=lambda one: one.recognised.begins_s or 0.0)
    waiting = {
        name: iter([one for one in in_time if one.table.bronze == name and one.recognised.begins_s is not None])
        for name in {one.table.bronze for one in by_size}
    }
    return [one if one.recognised.begins_s is None else next(waiting[one.table.bronze]) for one in by_size]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0  # gone since it was recognised: refused when it is hashed


def reasons_of(refused: pa.Table) -> dict[str, int]:
    """How many rows were refused for each reason, the most frequent first; values in quotes are left out."""
    counts: dict[str, int] = {}
    for entry in refused["reason"].value_counts().to_pylist():
        reason = str(entry["values"]).split(": '")[0]
        counts[reason] = counts.get(reason, 0) + entry["counts"]
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _summary(reasons: Mapping[str, int]) -> str:
    return "; ".join(f"{count} x {reason}" for reason, count in list(reasons.items())[:3]) or "it has no rows"


def _quarantined(refused: pa.Table, landing: Landing) -> pa.Table:
    return pa.table(
        {
            "landing_id": pa.array([landing.landing_id] * refused.num_rows, pa.string()),
            "file_name": pa.array([landing.file_name] * refused.num_rows, pa.string()),
            "source_row": refused["source_row"],
            "reason": refused["reason"],
            "raw_text": refused["raw_text"],
        }
    )


def moment_of(seconds: float | None) -> datetime | None:
    """Seconds since 1970 as the lake keeps them."""
    return None if seconds is None else _EPOCH + timedelta(seconds=seconds)
