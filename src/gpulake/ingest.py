"""Landing: whatever a folder delivers becomes bronze rows and quarantined rows, each delivery once and whole.

A delivery is one table of one source, named by the hash of its uncompressed bytes: the .csv and the .tar.gz of a table
are the same delivery. Each is one transaction of the lake. A delivery that cannot be read is refused as a whole, with
its reason; the others land.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Literal

import pyarrow as pa

from gpulake import delimited
from gpulake.config import Config
from gpulake.contract import Source, Table
from gpulake.delimited import Recognised, Unrecognised
from gpulake.errors import ContractError, GpulakeError, SourceError
from gpulake.lake import Writer
from gpulake.tables import CLUSTERS, LANDINGS, QUARANTINE, bronze_tables

SUFFIXES = (".csv", ".csv.gz", ".tar.gz", ".tgz")
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  # the lake keeps UTC without a zone

Progress = Callable[[str, float], None]
"""Told what is being done and how far it is, 0 to 1."""


@dataclass(frozen=True)
class Delivered:
    """One recognised file and the source that knows it."""

    source: Source
    recognised: Recognised

    @property
    def path(self) -> Path:
        """The file."""
        return self.recognised.path

    @property
    def file_name(self) -> str:
        """Its name as a table can hold it: bytes that are not UTF-8 are shown as such."""
        return os.fsencode(self.path.name).decode("utf-8", "replace")

    @property
    def table(self) -> Table:
        """The table it is a delivery of."""
        return self.recognised.table


@dataclass(frozen=True)
class Refused:
    """A recognised file that did not land, and why."""

    path: Path
    error: GpulakeError

    def as_json(self) -> dict[str, object]:
        """For machines."""
        return {"file": str(self.path), "error": self.error.as_json()}


@dataclass(frozen=True)
class Survey:
    """What a folder holds, before anything is read whole."""

    delivered: tuple[Delivered, ...]
    unrecognised: tuple[Unrecognised, ...]
    refused: tuple[Refused, ...]


@dataclass(frozen=True)
class Landing:
    """One delivery in the lake. `status` is "already" when its bytes had landed before: no row was added."""

    landing_id: str
    status: Literal["landed", "already", "would land"]
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
    reasons: Mapping[str, int] = field(default_factory=dict)

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


# ----------------------------------------------------------------------------------------------- survey


def survey(data: Path, sources: Sequence[Source]) -> Survey:
    """Recognise every delimited file below a folder (or the one file given).

    Raises SourceError when there is no such folder, or when it holds nothing that any of the sources knows.
    """
    files = _files(data)
    owners = {table.name: source for source in sources for table in source.tables}
    tables = [table for source in sources for table in source.tables]
    delivered, unrecognised, refused = [], [], []
    for path in files:
        try:
            match delimited.recognise(path, tables):
                case Recognised() as recognised:
                    delivered.append(Delivered(owners[recognised.table.name], recognised))
                case Unrecognised() as other:
                    unrecognised.append(other)
        except SourceError as error:
            refused.append(Refused(path, error))
    if not delivered and not refused:
        names = ", ".join(sorted(owners))
        why = f": {unrecognised[0].reason}" if len(unrecognised) == 1 else ""
        raise SourceError(
            f"none of its {len(files)} delimited files is a table of {', '.join(s.name for s in sources)}{why}.",
            where=str(data),
            do=f"expect {names} as {', '.join(SUFFIXES)}; `gpulake fetch` downloads them",
        )
    return Survey(tuple(delivered), tuple(unrecognised), tuple(refused))


def _files(data: Path) -> list[Path]:
    if data.is_file():
        return [data]
    if not data.is_dir():
        raise SourceError("there is no such file or folder.", where=str(data), do="name the folder with the tables")
    try:
        next(data.iterdir(), None)
    except OSError as error:
        raise SourceError(
            f"the folder cannot be read: {error.strerror}.", where=str(data), do="check its rights"
        ) from error
    return sorted(path for path in data.rglob("*") if _is_delimited(path))


def _is_delimited(path: Path) -> bool:
    """A dangling link is one too, to be told; a folder or a pipe is not."""
    return path.name.endswith(SUFFIXES) and not path.name.startswith(".") and (path.is_file() or not path.exists())


# -------------------------------------------------------------------------------------------------- land


def land(
    writer: Writer,
    surveyed: Survey,
    *,
    config: Config,
    now: datetime,
    cluster: str | None = None,
    memory: Memory | None = None,
    rehash: bool = False,
    on_new: Callable[[], object] | None = None,
    progress: Progress | None = None,
) -> LandReport:
    """Land each delivery once: repeating a call adds no row. `on_new` is called when the first new one is met.

    Files that cannot be read, or of which no row survives, are in the report's `refused`; the others have landed.
    """
    landings: list[Landing] = []
    refused, left_alone = list(surveyed.refused), list(surveyed.unrecognised)
    # Small files first: while one is parsed the next, larger one is hashed.
    waiting = sorted(surveyed.delivered, key=lambda delivered: (_size(delivered.path), delivered.path))
    for delivered, hash_it in _hashed_ahead(waiting, None if rehash else memory):
        try:
            hashed = hash_it()
            left_alone += _beside(delivered, hashed.digest)
            landing_id = name_landing(delivered, hashed.digest.sha256, cluster)
            landing = _known(writer, landing_id)
            if landing is None:
                if on_new:
                    on_new()
                    on_new = None
                meter = _meter(delivered.path.name, hashed.digest.size, progress)
                landing = _land_one(
                    writer, delivered, hashed, landing_id, config=config, cluster=cluster, now=now, progress=meter
                )
            landings.append(landing)
        except (SourceError, ContractError) as error:
            refused.append(Refused(delivered.path, error))
            if memory:
                memory.forget(delivered.recognised)
            continue
        if memory:
            memory.keep(delivered.recognised, hashed)
    return LandReport(tuple(landings), tuple(refused), tuple(left_alone))


def _beside(delivered: Delivered, digest: delimited.Digest) -> Iterator[Unrecognised]:
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


def foresee(surveyed: Survey, *, cluster: str | None, landed: AbstractSet[str]) -> LandReport:
    """What landing would do, without a lake: hash every delivery and say which are new."""
    landings, refused, left_alone = [], list(surveyed.refused), list(surveyed.unrecognised)
    for delivered in surveyed.delivered:
        try:
            digest = delimited.digest(delivered.recognised)
        except SourceError as error:
            refused.append(Refused(delivered.path, error))
            continue
        left_alone += _beside(delivered, digest)
        sha256 = digest.sha256
        landing_id = name_landing(delivered, sha256, cluster)
        landings.append(
            Landing(
                landing_id=landing_id,
                status="already" if landing_id in landed else "would land",
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


def name_landing(delivered: Delivered, sha256: str, cluster: str | None) -> str:
    """The landing_id: sha256 over source, cluster, table and the sha256 of the uncompressed bytes."""
    parts = (delivered.source.name, _cluster_id(delivered, cluster), delivered.table.name, sha256)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _cluster_id(delivered: Delivered, cluster: str | None) -> str:
    return cluster if cluster and delivered.source.describes_cluster else delivered.source.name


@dataclass(frozen=True)
class _Hashed:
    """A digest and the identity (size, mtime in ns, inode) that the file had when hashing began."""

    digest: delimited.Digest
    identity: tuple[int, int, int]


def _hashed_ahead(
    waiting: Sequence[Delivered], memory: Memory | None
) -> Iterator[tuple[Delivered, Callable[[], _Hashed]]]:
    """Each delivery with the call that gives its digest, hashed in a thread ahead of the caller, who may leave early."""
    left = Event()

    def go_on(_more: int) -> None:
        if left.is_set():
            raise CancelledError

    def hash_one(delivered: Delivered) -> _Hashed:
        known = memory.recall(delivered.recognised) if memory else None
        if known:
            return known
        identity = _identity(delivered.path)
        return _Hashed(delimited.digest(delivered.recognised, progress=go_on), identity)

    with ThreadPoolExecutor(1) as pool:
        try:
            futures = [pool.submit(hash_one, delivered) for delivered in waiting]
            for delivered, future in zip(waiting, futures, strict=True):
                yield delivered, future.result
        finally:
            left.set()
            pool.shutdown(cancel_futures=True)


def _known(writer: Writer, landing_id: str) -> Landing | None:
    columns = [name for name, _ in LANDINGS.columns]
    rows = writer.sql(f"SELECT {', '.join(columns)} FROM {LANDINGS.qualified} WHERE landing_id = ?", [landing_id])
    for row in rows.to_pylist():
        return Landing(
            status="already",
            table=row["table_name"],
            **{name: row[name] for name in Landing.__dataclass_fields__ if name in row},
        )
    return None


def _land_one(
    writer: Writer,
    delivered: Delivered,
    hashed: _Hashed,
    landing_id: str,
    *,
    config: Config,
    cluster: str | None,
    now: datetime,
    progress: delimited.Progress,
) -> Landing:
    table, digest = delivered.table, hashed.digest
    (bronze,) = (t for t in bronze_tables([delivered.source]) if t.name == table.bronze)
    converted = delimited.convert(
        delivered.recognised, landing_id=landing_id, folder=writer.data_folder(bronze), progress=progress
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
        cluster_id=_cluster_id(delivered, cluster),
        table=table.name,
        bronze_table=table.bronze,
        file_name=delivered.file_name,
        layout=delivered.recognised.layout.name,
        rows_in=converted.rows_in,
        rows_kept=converted.rows_kept,
        rows_refused=converted.refused.num_rows,
        published_bytes=digest.sha256 == table.published_sha256,
        reasons=_reasons(converted.refused),
    )
    next_no = writer.sql(f"SELECT coalesce(max(landing_no), 0) + 1 AS no FROM {LANDINGS.qualified}")["no"][0].as_py()
    recorded: dict[str, object] = {
        **{name: getattr(landing, name) for name, _ in LANDINGS.columns if hasattr(landing, name)},
        "landing_no": next_no,
        "table_name": table.name,
        "file_sha256": digest.sha256,
        "file_bytes": digest.size,
        "min_event_at": _moment(converted.min_event_s),
        "max_event_at": _moment(converted.max_event_s),
        "landed_at": now,
    }
    with writer.transaction("land", landing_id=landing_id):
        writer.add_files(bronze, converted.files)
        writer.insert(QUARANTINE, _quarantined(converted.refused, landing))
        writer.insert(LANDINGS, [[recorded[name] for name, _ in LANDINGS.columns]])
        if delivered.source.describes_cluster:
            _note_cluster(writer, landing.cluster_id, delivered.source, config, now)
    return landing


def _check(delivered: Delivered, converted: delimited.Converted, identity: tuple[int, int, int]) -> None:
    path, table = delivered.path, delivered.table
    if _identity(path) != identity:
        raise SourceError("the file changed while it was read.", where=str(path), do="run it again when it is complete")
    if converted.rows_kept == 0:
        first = converted.refused["source_row"][0].as_py() if converted.rows_in else 1
        raise ContractError(
            f"no row of {converted.rows_in} is a row of {table.name}: {_summary(_reasons(converted.refused))}.",
            where=f"{path}:{first}",
            do="compare it with the table's columns, or take it out of the folder",
        )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0  # gone since it was recognised: refused when it is hashed


def _identity(path: Path) -> tuple[int, int, int]:
    try:
        stat = path.stat()
    except OSError as error:
        raise SourceError(f"the file cannot be read any more: {error.strerror}.", where=str(path)) from error
    return stat.st_size, stat.st_mtime_ns, stat.st_ino


def _reasons(refused: pa.Table) -> dict[str, int]:
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


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else _EPOCH + timedelta(seconds=seconds)


# ---------------------------------------------------------------------------------------------- clusters


def settle_clusters(writer: Writer, sources: Iterable[Source], *, config: Config, now: datetime) -> None:
    """Bring what is noted of each cluster into line with the settings of this call."""
    by_name = {source.name: source for source in sources}
    for row in writer.sql(f"SELECT cluster_id, source FROM {CLUSTERS.qualified}").to_pylist():
        cluster_id, source = row["cluster_id"], by_name[row["source"]]
        if not _is_noted(writer, cluster_id, source, config):
            with writer.transaction("note cluster", cluster_id=cluster_id):
                _note_cluster(writer, cluster_id, source, config, now)


def cluster_settings(cluster_id: str, source: Source, config: Config) -> tuple[str, str, str]:
    """The reporting zone, time basis and pools of a cluster: as written in gpulake.toml, else the source's own."""
    written = config.cluster(cluster_id)
    return (
        written.time_zone or source.time_zone,
        written.time_basis or source.time_basis,
        written.pools or source.pools,
    )


def _is_noted(writer: Writer, cluster_id: str, source: Source, config: Config) -> bool:
    noted = writer.sql(
        f"SELECT time_zone, time_basis, pools FROM {CLUSTERS.qualified} WHERE cluster_id = ?", [cluster_id]
    ).to_pylist()
    return [tuple(row.values()) for row in noted] == [cluster_settings(cluster_id, source, config)]


def _note_cluster(writer: Writer, cluster_id: str, source: Source, config: Config, now: datetime) -> None:
    if not _is_noted(writer, cluster_id, source, config):
        settled = cluster_settings(cluster_id, source, config)
        writer.delete(CLUSTERS, "cluster_id = ?", [cluster_id])
        writer.insert(CLUSTERS, [(cluster_id, source.name, *settled, now)])


# ------------------------------------------------------------------------------------------------ memory


class Memory:
    """Which deliveries were hashed before, by path, size, time and inode, and by the archive's file and its table.

    Only to spare work, never to decide.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._known: dict[str, list[object]] = {}
        with suppress(OSError, ValueError, TypeError):
            self._known = dict(json.loads(file.read_text(encoding="utf-8")))

    def recall(self, delivery: Recognised) -> _Hashed | None:
        """The digest of a file that has not been touched since, and was then a delivery of the same table."""
        match self._known.get(_place(delivery)):
            case [int(size), int(mtime_ns), int(inode), str(sha256), int(length), [*beside], *which]:
                same = which == [delivery.member, delivery.table.name]
                if same and (size, mtime_ns, inode) == _identity(delivery.path):
                    digest = delimited.Digest(sha256, length, tuple(map(str, beside)))
                    return _Hashed(digest, (size, mtime_ns, inode))
        return None

    def keep(self, delivery: Recognised, hashed: _Hashed) -> None:
        """Remember a file that has landed."""
        digest, which = hashed.digest, [delivery.member, delivery.table.name]
        self._known[_place(delivery)] = [*hashed.identity, digest.sha256, digest.size, list(digest.beside), *which]

    def forget(self, delivery: Recognised) -> None:
        """A refused file is read again next time."""
        self._known.pop(_place(delivery), None)

    def save(self) -> None:
        """Write it down where that is possible; what is not remembered is read again."""
        unfinished = self._file.with_suffix(".unfinished")
        with suppress(OSError):
            unfinished.write_text(json.dumps(self._known), encoding="utf-8")
            unfinished.replace(self._file)


def _place(delivery: Recognised) -> str:
    return str(delivery.path.absolute())
