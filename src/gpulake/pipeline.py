"""A refresh in plain functions: land → build → detect → test → publish. Each step is also a command of its own.

A landing is *pending* until a publication includes it. So a refresh that was cut off anywhere, or whose tests failed,
leaves work that the next one finds and finishes; and a refresh that finds nothing pending does nothing.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from gpulake import clock, lake, landing, upkeep
from gpulake.config import Config, check_cluster_name
from gpulake.contract import Source
from gpulake.errors import DataTestError, GpulakeError, UsageError
from gpulake.lake import Publication, View, Writer
from gpulake.landing import LandReport, Survey
from gpulake.sources import all_sources
from gpulake.tables import (
    BUILDS,
    CLUSTERS,
    FULL_BUILD_STARTS,
    LANDINGS,
    META_TABLES,
    PUBLICATIONS,
    PUBLISHED_LANDINGS,
    LakeTable,
    bronze_tables,
)

if TYPE_CHECKING:
    # dbt and scikit-learn are loaded when there is something to build or judge, and not before.
    from gpulake.detect import Detected
    from gpulake.explain import Difference, Explanation
    from gpulake.warehouse import BuildResult, Warehouse

Progress = Callable[[str, float], None]
"""Told what is being done and how far it is, 0 to 1."""


@dataclass(frozen=True)
class Built:
    """One finished build: the lake version it made, and the rows of each silver and gold table in it."""

    build_id: int
    full_build: bool
    rows: Mapping[str, int]
    models: int
    seconds: float


@dataclass(frozen=True)
class Tested:
    """What the data tests said of one pinned version."""

    version: int
    passed: int
    warned: tuple[str, ...]
    failed: tuple[str, ...]


@dataclass(frozen=True)
class StepResult:
    """What one step, or the whole refresh, did; a part that was not reached or not asked for is None."""

    why: str
    published: bool = False
    land: LandReport | None = None
    build: Built | None = None
    detect: Detected | None = None
    tests: Tested | None = None
    publication: Publication | None = None
    error: GpulakeError | None = None
    dry_run: bool = False

    @property
    def build_id(self) -> int | None:
        """The build this is about, else the one that is published."""
        if self.build:
            return self.build.build_id
        return self.publication.build_id if self.publication else None

    def as_json(self) -> dict[str, object]:
        """One object, whatever happened."""
        facts: dict[str, object] = {"build_id": self.build_id, "published": self.published, "why": self.why}
        if self.dry_run:
            facts["dry_run"] = True
        if self.land:
            facts |= self.land.as_json()
        facts |= {
            "build": asdict(self.build) if self.build else None,
            "detect": self.detect.as_json() if self.detect else None,
            "tests": asdict(self.tests) if self.tests else None,
            "publication": asdict(self.publication) if self.publication else None,
            "error": self.error.as_json() if self.error else None,
        }
        return facts


# ------------------------------------------------------------------------------------------------- steps


def refresh(
    config: Config,
    *,
    data: Path,
    source: str | None = None,
    cluster: str | None = None,
    dry_run: bool = False,
    rehash: bool = False,
    full: bool = False,
    wait_s: float = 0.0,
    progress: Progress | None = None,
) -> StepResult:
    """Do all of it under one lock. Nothing new, and nothing left over: nothing is done, and it says so.

    A file that is refused is the result's `error`, and so is a build or test that fails; the lake stays as published.
    """
    surveyed = _survey(data, source, cluster)
    if dry_run:
        return _plan(config, surveyed, cluster=cluster)
    with _session(config, "refresh", wait_s=wait_s, progress=progress, make=True) as session:
        report = session.land(surveyed, cluster=cluster, rehash=rehash)
        refusal = report.refused[0].error if report.refused else None
        if not (full or session.is_stale()):
            return StepResult(
                why="nothing is new since the last publication",
                land=report,
                publication=session.publication(),
                error=refusal,
            )
        build: Built | None = None
        detected: Detected | None = None
        try:
            session.load_detectors()
            build = session.build(full=full)
            detected = session.detect(build.build_id)
            tested = session.test(build.build_id)
        except DataTestError as error:
            why = f"not published: {error.what}"
            return StepResult(
                why=why, land=report, build=build, detect=detected, publication=session.publication(), error=error
            )
        return StepResult(
            why="every data test passed",
            published=True,
            land=report,
            build=build,
            detect=detected,
            tests=tested,
            publication=session.publish(tested.version),
            error=refusal,
        )


def land(
    config: Config,
    *,
    data: Path,
    source: str | None = None,
    cluster: str | None = None,
    rehash: bool = False,
    wait_s: float = 0.0,
    progress: Progress | None = None,
) -> StepResult:
    """Only land: what is new waits for the next build."""
    surveyed = _survey(data, source, cluster)
    with _session(config, "land", wait_s=wait_s, progress=progress, make=True) as session:
        report = session.land(surveyed, cluster=cluster, rehash=rehash, start_dbt=False)
        waiting = session.pending()
        return StepResult(
            why=f"{len(waiting)} landings wait for the next build" if waiting else "nothing is new",
            land=report,
            publication=session.publication(),
            error=report.refused[0].error if report.refused else None,
        )


def build(config: Config, *, full: bool = False, wait_s: float = 0.0, progress: Progress | None = None) -> StepResult:
    """Only build what pending landings touch, or everything. Raises DataTestError when a model fails."""
    with _session(config, "build", wait_s=wait_s, progress=progress) as session:
        if not (full or session.is_stale()):
            return StepResult(why="nothing is new since the last publication", publication=session.publication())
        return StepResult(
            why="built; next: gpulake detect", build=session.build(full=full), publication=session.publication()
        )


def detect(
    config: Config, *, dry_run: bool = False, wait_s: float = 0.0, progress: Progress | None = None
) -> StepResult:
    """Only score the newest build."""
    with _session(config, "detect", wait_s=wait_s, progress=progress) as session:
        detected = session.detect(session.last_build(), dry_run=dry_run)
        why = "scored, nothing landed" if dry_run else "scored; next: gpulake publish"
        return StepResult(why=why, detect=detected, publication=session.publication(), dry_run=dry_run)


def publish(
    config: Config, *, dry_run: bool = False, wait_s: float = 0.0, progress: Progress | None = None
) -> StepResult:
    """Only test the newest build, and publish it if every test passes. Raises DataTestError when one fails."""
    with _session(config, "publish", wait_s=wait_s, progress=progress) as session:
        newest, current = session.last_build(), session.publication()
        if current and current.build_id == newest:
            return StepResult(why=f"build {newest} is published already", publication=current)
        tested = session.test(newest)
        if dry_run:
            return StepResult(why="every data test passed", tests=tested, publication=current, dry_run=True)
        return StepResult(
            why="every data test passed", published=True, tests=tested, publication=session.publish(tested.version)
        )


def status(config: Config) -> upkeep.Status:
    """What the lake holds. Raises UsageError where there is no lake."""
    return upkeep.status(config.lake)


def verify(config: Config) -> upkeep.Verification:
    """Check the catalog against the files and the rows against the landings."""
    return upkeep.verify(config.lake, now=clock.now())


def explain(config: Config, *, table: str, column: str, key: Sequence[str], as_of: int | None = None) -> Explanation:
    """Where one published figure comes from, and what it was in an older build. Raises UsageError where there is none."""
    from gpulake import explain as explaining
    from gpulake import warehouse

    models = explaining.read_models(warehouse.project())
    with lake.open_publication(config.lake, earlier=as_of) as reader:
        return explaining.figure(
            reader, models, table=table, column=column, key=key, as_of=as_of, fingerprint=_fingerprint(reader)
        )


def diff(config: Config, *, first: int | None = None, second: int | None = None) -> Difference:
    """Which published figures differ between two kept builds: the last two, or an older one and the Publication."""
    from gpulake import explain as explaining
    from gpulake import warehouse

    if first is None:
        with lake.open_publication(config.lake) as reader:
            first, second = explaining.last_two(reader)
    models = explaining.read_models(warehouse.project())
    with lake.open_publication(config.lake, build_id=second, earlier=first) as reader:
        return explaining.difference(reader, models, first=first)


def compact(config: Config, *, wait_s: float = 0.0, progress: Progress | None = None) -> upkeep.Compacted:
    """Merge small files and drop the versions that no kept publication needs."""
    with lake.writing(config.lake, purpose="compact", wait_s=wait_s, tables=_all_tables(), make=False) as writer:
        return upkeep.compact(writer, now=clock.now(), progress=progress)


def run_dbt(config: Config, args: Sequence[str], *, wait_s: float = 0.0, progress: Progress | None = None) -> int:
    """Run dbt by hand under the lake's lock; its exit code."""
    from gpulake import warehouse

    with lake.writing(config.lake, purpose="dbt", wait_s=wait_s, tables=_all_tables(), make=False) as writer:
        if progress:
            progress("dbt", 0.0)
        writer.let_go()
        return warehouse.run_by_hand(config.lake, args, lock_fd=writer.lock_fd)


# ------------------------------------------------------------------------------------------------ survey


def _choose(name: str | None) -> tuple[Source, ...]:
    sources = all_sources()
    chosen = tuple(source for source in sources if name in (None, source.name))
    if not chosen:
        names = [source.name for source in sources]
        near = get_close_matches(str(name), names, n=1)
        raise UsageError(f"there is no source {name!r}.", do=f"use {near[0] if near else ' or '.join(names)}")
    return chosen


def _survey(data: Path, source: str | None, cluster: str | None) -> Survey:
    if cluster is not None:
        check_cluster_name(cluster, where="--cluster")
    found = landing.survey(data, _choose(source))
    shipped = [landing.survey(path, [owner]) for owner in all_sources() for path in owner.shipped]
    return Survey(
        delivered=(*found.delivered, *(delivered for each in shipped for delivered in each.delivered)),
        unrecognised=found.unrecognised,
        refused=found.refused,
    )


def _plan(config: Config, surveyed: Survey, *, cluster: str | None) -> StepResult:
    with lake.open_newest(config.lake) as reader:
        landed = (
            set(reader.sql("SELECT landing_id FROM lake.meta.landings")["landing_id"].to_pylist()) if reader else set()
        )
    report = landing.foresee(surveyed, cluster=cluster, landed=landed)
    new = len(report.landed)
    return StepResult(
        why=f"would land {new} deliveries, build and publish" if new else "nothing would land",
        land=report,
        publication=lake.Layout(config.lake).publication(),
        error=report.refused[0].error if report.refused else None,
        dry_run=True,
    )


# ----------------------------------------------------------------------------------------------- session


@contextmanager
def _session(
    config: Config, purpose: str, *, wait_s: float, progress: Progress | None, make: bool = False
) -> Iterator[_Session]:
    with ExitStack() as stack:
        writer = stack.enter_context(
            lake.writing(config.lake, purpose=purpose, wait_s=wait_s, tables=_all_tables(), make=make)
        )
        yield _Session(config, writer, stack, progress)


class _Session:
    """The steps of one call, under one lock, with at most one dbt child."""

    def __init__(self, config: Config, writer: Writer, stack: ExitStack, progress: Progress | None) -> None:
        self._config = config
        self._writer = writer
        self._stack = stack
        self._progress = progress
        self._child: Warehouse | None = None
        landing.settle_clusters(writer, all_sources(), config=config, now=clock.now())

    def land(self, surveyed: Survey, *, cluster: str | None, rehash: bool, start_dbt: bool = True) -> LandReport:
        memory = landing.Memory(self._config.lake / "files.json")
        report = landing.land(
            self._writer,
            surveyed,
            config=self._config,
            now=clock.now(),
            cluster=cluster,
            memory=memory,
            rehash=rehash,
            # dbt takes seconds to load: its child does so while the rest is landed.
            on_new=self._warehouse if start_dbt else None,
            progress=self._progress,
        )
        memory.save()
        return report

    def pending(self) -> list[dict[str, str]]:
        """The landings that no publication includes, with source and table."""
        rows: list[dict[str, str]] = self._writer.sql(
            f"SELECT landing_id, source, table_name FROM {LANDINGS.qualified} ANTI JOIN {PUBLISHED_LANDINGS.qualified} "
            "USING (landing_id) ORDER BY landing_no"
        ).to_pylist()
        return rows

    def publication(self) -> Publication | None:
        return self._writer.layout.publication()

    def is_stale(self) -> bool:
        """Whether the publication lacks a landing, was made by other definitions, or is not of the last build begun."""
        if self.pending():
            return True
        current = self._writer.sql(
            f"SELECT 1 FROM (FROM {PUBLICATIONS.qualified} ORDER BY build_id DESC LIMIT 1) AS published "
            f"ANTI JOIN (SELECT build_id FROM {BUILDS.qualified} "
            f"UNION ALL SELECT from_version FROM {FULL_BUILD_STARTS.qualified}) AS begun "
            "ON begun.build_id > published.build_id WHERE published.fingerprint = ?",
            [_fingerprint(self._writer)],
        )
        return not current.num_rows

    def last_build(self) -> int:
        found = self._writer.sql(f"SELECT max(build_id) AS build_id FROM {BUILDS.qualified}")["build_id"][0].as_py()
        if found is None:
            raise UsageError("nothing has been built.", where=str(self._config.lake), do="run: gpulake build")
        # dbt's commits have no message; merging files changes no row.
        later = self._writer.sql(
            "SELECT 1 FROM lake.snapshots() WHERE snapshot_id > ? AND commit_message IS NULL "
            "AND len(list_filter(map_keys(changes), lambda change: change != 'merge_adjacent')) > 0",
            [found],
        )
        if later.num_rows:
            raise UsageError(
                f"tables were changed after build {found}: a later build did not finish, or dbt was run by hand.",
                where=str(self._config.lake),
                do="run: gpulake build --full",
            )
        return int(found)

    def build(self, *, full: bool) -> Built:
        started = time.monotonic()
        fingerprint = _fingerprint(self._writer)
        full = full or self._must_be_full(fingerprint)
        self._tell("building every day" if full else "building the touched days", 0.0)
        through = self._writer.sql(f"SELECT max(landing_no) AS no FROM {LANDINGS.qualified}")["no"][0].as_py()
        warehouse = self._warehouse()
        if full:
            # Cut off anywhere, it leaves tables of two kinds: that must be known before the first one is made.
            begun = [self._writer.version(), clock.now(), fingerprint]
            with self._writer.transaction("begin a full build"):
                self._writer.insert(FULL_BUILD_STARTS, [begun])
        pending = [row["landing_id"] for row in self.pending()]
        result = warehouse.build(full=full, landed=_landed_tables(self._writer), pending=pending)
        if not result.ok:
            raise DataTestError(
                f"the build failed: {_names(result)}.",
                where=str(self._config.lake / "dbt" / "dbt.log"),
                do="mend what it names; nothing was published, and the next refresh builds it again",
            )
        build_id, rows = self._writer.version(), self._rows()
        with self._writer.transaction("build", build_id=build_id):
            self._writer.insert(BUILDS, [[build_id, clock.now(), fingerprint, full, through or 0, json.dumps(rows)]])
        return Built(build_id, full, rows, len(result.nodes), round(time.monotonic() - started, 3))

    def load_detectors(self) -> None:
        from gpulake.detectors import load_ahead

        load_ahead()

    def detect(self, build_id: int, *, dry_run: bool = False) -> Detected:
        from gpulake import detect as detection
        from gpulake.detectors import all_detectors

        self._tell("judging the days", 0.0)
        return detection.run(self._writer, all_detectors(), build_id=build_id, now=clock.now(), dry_run=dry_run)

    def test(self, build_id: int) -> Tested:
        """Test the version that the scores of this build made. Raises DataTestError when a test fails."""
        found = self._writer.sql(
            "SELECT max(snapshot_id) AS version FROM lake.snapshots() "
            "WHERE commit_message = 'detect' AND (commit_extra_info ->> 'build_id') = ?",
            [str(build_id)],
        )["version"][0].as_py()
        if found is None:
            raise UsageError(f"build {build_id} has no scores yet.", do="run: gpulake detect")
        self._tell(f"testing version {found}", 0.0)
        result = self._warehouse().test(version=int(found))
        tested = Tested(
            version=int(found),
            passed=sum(node.status == "pass" for node in result.nodes),
            warned=tuple(node.name for node in result.nodes if node.status == "warn"),
            failed=tuple(node.name for node in result.failures),
        )
        if not result.nodes:
            raise DataTestError(
                f"no data test ran: {_names(result)}.",
                where=f"lake version {found}",
                do="see <lake>/dbt/dbt.log; what was not tested is not published",
            )
        if not result.ok:
            raise DataTestError(
                f"{len(tested.failed)} of {len(result.nodes)} data tests failed: {_names(result)}.",
                where=f"lake version {found}",
                do="see <lake>/dbt/dbt.log; the last publication stays as it is",
            )
        return tested

    def publish(self, version: int) -> Publication:
        (newest,) = self._writer.sql(f"SELECT * FROM {BUILDS.qualified} ORDER BY build_id DESC LIMIT 1").to_pylist()
        self._tell(f"publishing build {newest['build_id']}", 0.0)
        included = self._writer.sql(
            f"SELECT landing_id FROM {LANDINGS.qualified} ANTI JOIN {PUBLISHED_LANDINGS.qualified} USING (landing_id) "
            "WHERE landing_no <= ? ORDER BY landing_no",
            [newest["through_landing_no"]],
        )["landing_id"].to_pylist()
        publication = self._writer.publish(
            build_id=newest["build_id"],
            data_version=version,
            fingerprint=newest["fingerprint"],
            full_build=newest["full_build"],
            rows=json.loads(newest["rows_json"]),
            landing_ids=included,
            now=clock.now(),
        )
        self._tell(f"published build {newest['build_id']}", 1.0)
        upkeep.tend(self._writer, now=clock.now())
        return publication

    def _warehouse(self) -> Warehouse:
        if self._child is None:
            from gpulake.warehouse import Warehouse

            self._child = self._stack.enter_context(
                Warehouse(self._config.lake, lock_fd=self._writer.lock_fd, let_go=self._writer.let_go)
            )
        return self._child

    def _must_be_full(self, fingerprint: str) -> bool:
        """Whether the tables are of other definitions, published or not, or of a full build that did not finish."""
        whole = self._writer.sql(
            f"SELECT 1 FROM (FROM {FULL_BUILD_STARTS.qualified} ORDER BY from_version DESC LIMIT 1) AS begun "
            f"SEMI JOIN {BUILDS.qualified} AS done ON done.full_build AND done.build_id > begun.from_version "
            "WHERE begun.fingerprint = ?",
            [fingerprint],
        )
        shaping = {(source.name, t.name) for source in all_sources() for t in source.tables if t.shapes_history}
        return not whole.num_rows or any((row["source"], row["table_name"]) in shaping for row in self.pending())

    def _rows(self) -> dict[str, int]:
        # Views of silver are left out: to count silver_instances is to deduplicate all of bronze.
        names = self._writer.sql(
            "SELECT table_name FROM information_schema.tables WHERE table_catalog = 'lake' AND table_schema = 'main' "
            "AND (table_name LIKE 'gold%' OR table_name LIKE 'silver%' AND table_type = 'BASE TABLE') "
            "ORDER BY table_name"
        )["table_name"].to_pylist()
        return {
            name: self._writer.sql(f'SELECT count(*) AS n FROM lake.main."{name}"')["n"][0].as_py() for name in names
        }

    def _tell(self, what: str, share: float) -> None:
        if self._progress:
            self._progress(what, share)


def _fingerprint(view: View | Writer) -> str:
    """One hash over everything but the data that decides what is published."""
    from gpulake import warehouse

    digest = hashlib.sha256(warehouse.fingerprint().encode())
    package = Path(__file__).parent
    for file in sorted([package / "detect.py", *(package / "detectors").glob("*.py")]):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    # A version that an earlier gpulake made may lack some of them.
    columns = "COLUMNS('^(cluster_id|time_zone|time_basis|pools)$')"
    settings = view.sql(f"SELECT {columns} FROM {CLUSTERS.qualified} ORDER BY ALL")
    digest.update(json.dumps([settings.to_pylist(), _landed_sources(view)]).encode())
    return digest.hexdigest()


def _landed_sources(view: View | Writer) -> list[str]:
    """The views are planned for these alone, so a further one makes another project of them."""
    found: list[str] = view.sql(f"SELECT DISTINCT source FROM {LANDINGS.qualified} ORDER BY ALL")["source"].to_pylist()
    return found


def _landed_tables(writer: Writer) -> list[str]:
    """The bronze tables that hold anything, as `<source>.<table>`."""
    names: list[str] = writer.sql(
        f"SELECT DISTINCT source || '.' || bronze_table AS name FROM {LANDINGS.qualified} ORDER BY ALL"
    )["name"].to_pylist()
    return names


def _names(result: BuildResult) -> str:
    bad = result.failures
    if not bad:
        return result.error or "dbt gave no reason"
    shown = "; ".join(f"{node.name}: {' '.join((node.message or node.status).split())[:300]}" for node in bad[:3])
    return shown + (f" and {len(bad) - 3} more" if len(bad) > 3 else "")


def _all_tables() -> tuple[LakeTable, ...]:
    return (*META_TABLES, *bronze_tables(all_sources()))
