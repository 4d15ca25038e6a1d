"""Keeping a lake: what it holds, whether it is whole, and which versions it may forget."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path

from gpulake import meta
from gpulake.errors import LakeError, UsageError
from gpulake.lake import Layout, Publication, View, Writer, open_newest, open_publication

KEEP_ALL = timedelta(hours=24)
KEEP_LAST_OF_DAY = timedelta(days=35)
_LONGEST_QUERY = timedelta(days=1)
_BETWEEN_FORGETTING = timedelta(days=1)
_MANY_VERSIONS = 1_000
"""So many versions more than were left make it worth to forget before a day is over."""

Progress = Callable[[str, float], None]


# ------------------------------------------------------------------------------------------------ status


@dataclass(frozen=True)
class TableStatus:
    """One table at the newest version."""

    name: str
    rows: int
    files: int
    bytes: int


@dataclass(frozen=True)
class Status:
    """A lake at a glance."""

    lake: str
    version: int
    tables: tuple[TableStatus, ...]
    clusters: tuple[dict[str, object], ...]
    last_landing: Mapping[str, object] | None
    pending_landings: int
    quarantined_rows: int
    last_build: dict[str, object] | None
    publication: Publication | None
    streams: tuple[meta.StreamTopic, ...] = ()
    consumers: tuple[Mapping[str, object], ...] = ()
    """What each process that lands a stream said of itself last; those that have ended stay until the next one begins."""
    error: None = None

    def as_json(self) -> dict[str, object]:
        """For machines."""
        return asdict(self)


def status(folder: Path) -> Status:
    """Look at the newest version. Raises UsageError where there is no lake."""
    with open_newest(folder) as view:
        if view is None:
            raise Layout(folder).no_lake()
        return Status(
            lake=str(folder),
            version=_one(view, "SELECT max(snapshot_id) AS v FROM lake.snapshots()"),
            tables=_tables(view),
            clusters=tuple(meta.windows(view)),
            last_landing=meta.last_landing(view),
            pending_landings=len(meta.pending(view)),
            quarantined_rows=meta.quarantined_rows(view),
            last_build=_build_told(meta.last_build(view)),
            publication=Layout(folder).publication(),
            streams=meta.stream_topics(view),
            consumers=consumers(folder),
        )


def consumers(folder: Path) -> tuple[Mapping[str, object], ...]:
    """The notes of those who land streams; one that cannot be read is left out."""
    found = []
    for file in sorted(Layout(folder).streams.glob("*.json")):
        with suppress(OSError, ValueError):
            found.append(json.loads(file.read_text(encoding="utf-8")))
    return tuple(found)


@dataclass(frozen=True)
class Quarantine:
    """Rows that were refused, and values of kept rows that are implausible, by reason."""

    refused: tuple[meta.LeftOut, ...]
    implausible: tuple[meta.LeftOut, ...]
    error: None = None

    def as_json(self) -> dict[str, object]:
        """For machines."""
        return asdict(self)


def quarantine(folder: Path, *, lines: int) -> Quarantine:
    """Look at what was left out, with so many lines of each reason. Raises UsageError where there is no lake."""
    with open_newest(folder) as view:
        if view is None:
            raise Layout(folder).no_lake()
        return Quarantine(meta.refused_by_reason(view, lines=lines), meta.implausible_by_reason(view, lines=lines))


def _tables(view: View) -> tuple[TableStatus, ...]:
    names = view.sql(
        "SELECT table_schema || '.' || table_name AS name FROM information_schema.tables "
        "WHERE table_catalog = 'lake' AND table_type = 'BASE TABLE' ORDER BY ALL"
    )["name"].to_pylist()
    sizes = {
        row["name"]: row
        for row in view.sql(
            "SELECT table_name AS name, file_count, file_size_bytes FROM ducklake_table_info('lake')"
        ).to_pylist()
    }
    return tuple(
        TableStatus(
            name=name,
            rows=_one(view, f"SELECT count(*) AS v FROM lake.{name}"),
            files=sizes[name.split(".")[1]]["file_count"],
            bytes=sizes[name.split(".")[1]]["file_size_bytes"],
        )
        for name in names
    )


def _one(view: View, query: str) -> int:
    return int(view.sql(query)["v"][0].as_py() or 0)


def _build_told(build: meta.Build | None) -> dict[str, object] | None:
    if build is None:
        return None
    return {"build_id": build.build_id, "built_at": build.built_at, "full_build": build.full_build}


# ---------------------------------------------------------------------------------------------- retention


def kept_publications(publications: Sequence[tuple[int, datetime]], *, now: datetime) -> tuple[int, ...]:
    """Which builds stay readable: all of 24 hours, the last of each day for 35 days, the last of each month for ever.

    The newest one always does. `publications` are (build_id, published_at), in any order.
    """
    ordered = sorted(publications, key=lambda publication: (publication[1], publication[0]))
    last_of_day = {at.date(): build_id for build_id, at in ordered}
    last_of_month = {(at.year, at.month): build_id for build_id, at in ordered}
    return tuple(
        build_id
        for build_id, at in ordered
        if build_id == ordered[-1][0]
        or now - at <= KEEP_ALL
        or (now - at <= KEEP_LAST_OF_DAY and last_of_day[at.date()] == build_id)
        or last_of_month[at.year, at.month] == build_id
    )


@dataclass(frozen=True)
class Compacted:
    """What one round of maintenance did."""

    kept_builds: tuple[int, ...]
    expired_versions: int
    error: None = None

    def as_json(self) -> dict[str, object]:
        """For machines."""
        return asdict(self)


def compact(writer: Writer, *, now: datetime, progress: Progress | None = None) -> Compacted:
    """Merge small files, forget versions that no kept publication needs, and delete files unused for a day.

    The readers' catalog copy is renewed before any file goes, so an open query never misses one.
    """
    if progress:
        progress("merging files", 0.0)
    writer.merge_files()
    writer.tidy()
    if progress:
        progress("deleting unused files", 0.5)
    compacted = _forget(writer, now=now)
    writer.delete_orphans(older_than=now - _LONGEST_QUERY)
    return compacted


def tend(writer: Writer, *, now: datetime) -> tuple[str, ...]:
    """What a refresh does when it has published, and a stream when it has landed for a while; the tables that were tidied.

    Files are kept few, and old versions forgotten once a day, or when many have come together. So a lake that is never
    compacted does not grow for ever. Only what killed writers left stays.
    """
    tidied = writer.tidy()
    if _is_due(writer, now=now):
        _forget(writer, now=now)
    return tidied


def _is_due(writer: Writer, *, now: datetime) -> bool:
    versions = writer.count_versions()
    try:
        at, _, left = writer.layout.tended.read_text(encoding="utf-8").partition(" ")
        last, least = datetime.fromisoformat(at), int(left or versions)
    except (OSError, ValueError):
        # The first time, or lost: the day begins here. (A lake that was brought over keeps its old catalog so long.)
        _note(writer, now=now)
        return False
    return versions - least >= _MANY_VERSIONS or not timedelta(0) <= now - last < _BETWEEN_FORGETTING


def _note(writer: Writer, *, now: datetime) -> None:
    with suppress(OSError):
        writer.layout.tended.write_text(f"{now.isoformat()} {writer.count_versions()}", encoding="utf-8")


def _forget(writer: Writer, *, now: datetime) -> Compacted:
    publications = meta.publications(writer)
    kept = kept_publications([(each.build_id, each.published_at) for each in publications], now=now)
    needed = {each.data_version for each in publications if each.build_id in kept} | {writer.version()}
    # A stream lands between two steps of somebody who has built and not published yet.
    needed |= meta.versions_to_publish(writer)
    versions = writer.sql("SELECT snapshot_id FROM lake.snapshots()")["snapshot_id"].to_pylist()
    expired = [version for version in versions if version not in needed]
    writer.expire(expired)
    writer.renew_copy(anyway=True)
    writer.delete_forgotten_files(older_than=now - _LONGEST_QUERY)
    writer.drop_retired()
    # Scores of days that did not change stand for later builds too, and so do the models that gave them.
    scored = writer.sql(
        "SELECT DISTINCT scored_build_id AS id FROM lake.meta.scorings WHERE list_contains(?, build_id)", [list(kept)]
    )["id"].to_pylist()
    _drop_artefacts(writer.layout.artefacts, kept, scored=scored)
    _note(writer, now=now)
    return Compacted(kept, len(expired))


def _drop_artefacts(artefacts: Path, kept: Sequence[int], *, scored: Sequence[int]) -> None:
    """Drop the models of builds that are forgotten or were never published, unless their scores stand for a kept one.

    A newer build may be published yet.
    """
    newest = max(kept, default=-1)
    try:
        for folder in artefacts.iterdir():
            if folder.name.isdecimal() and int(folder.name) <= newest and int(folder.name) not in {*kept, *scored}:
                shutil.rmtree(folder)
    except OSError as error:
        raise LakeError(
            f"old models cannot be deleted: {error.strerror}.", where=str(artefacts), do="check the folder's rights"
        ) from error


# ----------------------------------------------------------------------------------------------- verify


@dataclass(frozen=True)
class Verification:
    """What was checked, and everything that is not as it should be."""

    publications: tuple[int, ...]
    tables_scanned: int
    files_checked: int
    faults: tuple[str, ...]
    tests_passed: int | None = None
    """Data tests that held for every row of the Publication; None where they were not run."""

    @property
    def error(self) -> LakeError | None:
        """The faults as one error, or None."""
        if not self.faults:
            return None
        return LakeError(f"{len(self.faults)} faults: {self.faults[0]}.", do="restore the lake from a backup")

    def as_json(self) -> dict[str, object]:
        """For machines."""
        return {**asdict(self), "error": self.error.as_json() if self.error else None}


def verify(folder: Path, *, now: datetime) -> Verification:
    """Read every column of every table of every kept publication, and compare rows with what the landings say.

    A `count(*)` is not enough: it is answered from the catalog, also where a file is gone.
    """
    with open_newest(folder) as view:
        if view is None:
            raise Layout(folder).no_lake()
        try:
            faults = _against_landings(view)
            publications = meta.publications(view)
        except LakeError as error:
            return Verification((), 0, 0, (f"the records of the lake cannot be read: {error.what}",))
    versions = kept_publications([(each.build_id, each.published_at) for each in publications], now=now)
    files: set[str] = set()
    scanned = 0
    for build_id in versions:
        try:
            with open_publication(folder, build_id=build_id) as reader:
                for name, table_files in _files(reader, reader.data_version):
                    scanned += 1
                    files |= table_files
                    faults += _scan(reader, name, table_files, build_id)
        except (LakeError, UsageError) as error:
            faults.append(f"build {build_id} cannot be read: {error.what}")
    return Verification(versions, scanned, len(files), tuple(faults))


def _against_landings(view: View) -> list[str]:
    faults = []
    tables = view.sql("SELECT DISTINCT bronze_table FROM lake.meta.landings ORDER BY ALL")["bronze_table"].to_pylist()
    for table in tables:
        try:
            rows = view.sql(
                f'WITH held AS (SELECT landing_id, count(source_row) AS n FROM lake.main."{table}" GROUP BY ALL) '
                "SELECT landing_id, rows_kept, coalesce(n, 0) AS n FROM lake.meta.landings FULL JOIN held USING (landing_id) "
                "WHERE coalesce(bronze_table, ?) = ? AND rows_kept IS DISTINCT FROM coalesce(n, 0)",
                [table, table],
            ).to_pylist()
        except (LakeError, UsageError) as error:
            faults.append(f"{table} cannot be read: {error.what}")
            continue
        faults += [
            f"{table} has {row['n']} rows of landing {str(row['landing_id'])[:12]}, which kept {row['rows_kept']}"
            for row in rows
        ]
    refused = view.sql(
        "SELECT landing_id, rows_refused, count(source_row) AS n FROM lake.meta.landings "
        "LEFT JOIN lake.meta.quarantine USING (landing_id) GROUP BY ALL HAVING rows_refused <> n"
    ).to_pylist()
    return faults + [
        f"quarantine has {row['n']} rows of landing {row['landing_id'][:12]}, which refused {row['rows_refused']}"
        for row in refused
    ]


def _files(view: View, version: int) -> list[tuple[str, set[str]]]:
    names = view.sql(
        "SELECT table_schema, table_name FROM information_schema.tables "
        "WHERE table_catalog = 'lake' AND table_type = 'BASE TABLE' ORDER BY ALL"
    ).to_pylist()
    found = []
    for row in names:
        listed = view.sql(
            "SELECT data_file, delete_file FROM ducklake_list_files('lake', ?, schema => ?, snapshot_version => ?)",
            [row["table_name"], row["table_schema"], version],
        )
        files = {file for column in listed.columns for file in column.to_pylist() if file}
        found.append((f'{row["table_schema"]}."{row["table_name"]}"', files))
    return found


def _scan(view: View, name: str, files: set[str], build_id: int) -> list[str]:
    try:
        missing = [file for file in sorted(files) if not Path(file).is_file()]
    except OSError as error:
        return [f"build {build_id}, {name}: its files cannot be looked at: {error.strerror}, as {error.filename}"]
    if missing:
        return [f"build {build_id}, {name}: {len(missing)} files are missing, as {missing[0]}"]
    try:
        view.sql(f"SELECT count(COLUMNS(*)) FROM lake.{name}")
    except (LakeError, UsageError) as error:
        return [f"build {build_id}, {name} cannot be read: {error.what}"]
    return []
