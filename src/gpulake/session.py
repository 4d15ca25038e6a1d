"""The steps of one call, under one lock, with at most one dbt child. Which steps follow on which is `pipeline`'s work."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from gpulake import clock, lake, landing, meta, price_list, upkeep
from gpulake.config import Config, shipped_rules
from gpulake.errors import DataTestError, GpulakeError, UsageError
from gpulake.findings import Finding, Severity, State
from gpulake.lake import Publication, Writer
from gpulake.landing import LandReport, Survey
from gpulake.price_list import Price
from gpulake.sources import all_sources
from gpulake.tables import BUILDS, FULL_BUILD_STARTS, META_TABLES, MODELS, PRICES, LakeTable, bronze_tables

if TYPE_CHECKING:
    import pyarrow as pa

    # dbt and scikit-learn are loaded when there is something to build or judge, and not before.
    from gpulake.dbt.results import BuildResult
    from gpulake.dbt.warehouse import Warehouse
    from gpulake.detecting.outcomes import Detected
    from gpulake.incidents import Told

_BETWEEN_TESTS_OF_EVERYTHING = timedelta(days=7)
_BETWEEN_JUDGEMENTS = timedelta(hours=1)
_SMALL_ROWS = 100_000
"""Up to this many rows, what waits is little work."""

Progress = Callable[[str, float], None]
"""Told what is being done and how far it is, 0 to 1."""


@dataclass(frozen=True)
class Built:
    """One finished build: the lake version it made, and the rows of each silver and gold table in it.

    `implausible` are the values of all that has landed that no machine or device can show, by reason: they are not known.
    """

    build_id: int
    full_build: bool
    rows: Mapping[str, int]
    models: int
    seconds: float
    implausible: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Tested:
    """What the data tests said of one pinned version."""

    version: int
    everything: bool
    passed: int
    warned: tuple[str, ...]
    failed: tuple[str, ...]


@dataclass(frozen=True)
class Alerted:
    """What the rules said of the Publication, and what people were told. `broken` rules could not be asked."""

    rules: int
    firing: int
    broken: tuple[str, ...]
    told: Told


PIPELINE_RULE = "pipeline"
"""The one rule that is no file: whether the last build was published."""


@contextmanager
def opened(
    config: Config, purpose: str, *, wait_s: float, progress: Progress | None, make: bool = False, whole: bool = False
) -> Iterator[Session]:
    """Take the lock. On a lake that is whole this writes nothing; steps that find nothing to do do neither.

    `whole`: every step will follow, so what takes seconds to load is loaded beside the ones before.
    """
    with ExitStack() as stack:
        writer = stack.enter_context(
            lake.writing(config.lake, purpose=purpose, wait_s=wait_s, tables=all_tables(), make=make)
        )
        yield Session(config, writer, stack, progress, whole=whole)


class Session:
    """Lands, builds, detects, tests, publishes; says what the lake holds."""

    def __init__(
        self, config: Config, writer: Writer, stack: ExitStack, progress: Progress | None, *, whole: bool
    ) -> None:
        self._config = config
        self._writer = writer
        self._stack = stack
        self._progress = progress
        self._whole = whole
        self._child: Warehouse | None = None

    def land(self, surveyed: Survey, *, cluster: str | None, rehash: bool, again: bool, corrects: bool) -> LandReport:
        """Land what is new, and what is asked for again."""
        memory = landing.Memory(self._config.lake / "files.json")
        report = landing.land(
            self._writer,
            surveyed,
            config=self._config,
            now=clock.now(),
            cluster=cluster,
            memory=memory,
            rehash=rehash,
            again=again,
            corrects=corrects,
            # dbt takes seconds to load: its child does so while the rest is landed.
            on_new=self._warehouse if self._whole else None,
            progress=self._progress,
        )
        memory.save()
        return report

    def replay(self) -> LandReport:
        """Read refused rows once more."""
        return landing.replay(self._writer, all_sources(), config=self._config, now=clock.now())

    def waiting(self) -> int:
        """How many landings no publication includes."""
        return len(meta.pending(self._writer))

    def publication(self) -> Publication | None:
        """What people read."""
        return self._writer.layout.publication()

    def is_due(self, *, full: bool) -> bool:
        """Whether there is anything to build, by the settings of this call: they are noted where they have changed."""
        landing.settle_clusters(self._writer, all_sources(), config=self._config, now=clock.now())
        self._settle_prices()
        return full or meta.is_stale(self._writer, meta.fingerprint(self._writer, self._definitions))

    def _settle_prices(self) -> None:
        """Bring the lake's own prices into line with the settings of this call."""
        written = [price.row() for price in _prices(self._config)]
        if sorted(map(repr, written)) != sorted(map(repr, meta.prices(self._writer))):
            with self._writer.transaction("note prices"):
                self._writer.delete(PRICES, "true", [])
                self._writer.insert(PRICES, written)

    def last_build(self) -> int:
        """The newest build. Raises UsageError where there is none, or where it is not what the tables hold."""
        found = meta.last_build(self._writer)
        if found is None:
            raise UsageError("nothing has been built.", where=str(self._config.lake), do="run: gpulake build")
        if meta.is_changed_since(self._writer, found.build_id):
            raise UsageError(
                f"tables were changed after build {found.build_id}: a later build did not finish, "
                "dbt was run by hand, or refused rows were replayed.",
                where=str(self._config.lake),
                do="run: gpulake build --full",
            )
        return found.build_id

    def build(self, *, full: bool) -> Built:
        """Build what pending landings touch, or everything. Raises DataTestError when a model fails."""
        started = time.monotonic()
        made_by = meta.fingerprint(self._writer, self._definitions)
        shaping = {(source.name, t.name) for source in all_sources() for t in source.tables if t.shapes_history}
        full = full or meta.must_be_full(self._writer, made_by, shaping=shaping)
        full = full or meta.has_new_machines(self._writer, shaping=shaping) or meta.has_new_places(self._writer)
        full = full or meta.has_moved_gpus(self._writer)
        is_small = self._is_small()
        if self._whole and (full or not is_small):  # else what they hold would lie beside the build's for nothing
            from gpulake.detecting import runs as detection

            detection.load_ahead(self._writer)
        self._tell("building every day" if full else "building the touched days", 0.0)
        through = meta.last_landing_no(self._writer)
        warehouse = self._warehouse()
        if full:
            # Cut off anywhere, it leaves tables of two kinds: that must be known before the first one is made.
            begun = [self._writer.version(), clock.now(), made_by]
            with self._writer.transaction("begin a full build"):
                self._writer.insert(FULL_BUILD_STARTS, [begun])
        result = warehouse.build(
            full=full,
            sources=meta.landed_sources(self._writer),
            # What waits is all there is, or all that is read.
            is_small=is_small and (not full or self.publication() is None),
        )
        if not result.ok:
            raise DataTestError(
                f"the build failed: {_names(result)}.",
                where=str(self._config.lake),
                do="mend what it names; nothing was published, and the next refresh builds it again",
            )
        self._writer.count_empty_tables()
        build_id, rows, implausible = self._writer.version(), self._rows(), self._implausible()
        with self._writer.transaction("build", build_id=build_id):
            self._writer.insert(BUILDS, [[build_id, clock.now(), made_by, full, through, json.dumps(rows)]])
            if result.compiled:
                self._writer.delete(MODELS, "fingerprint = ?", [made_by])
                self._writer.insert(MODELS, _model_rows(result, made_by))
        return Built(build_id, full, rows, len(result.nodes), round(time.monotonic() - started, 3), implausible)

    def detect(self, build_id: int, *, dry_run: bool = False) -> Detected:
        """Score the days of a build."""
        from gpulake.detecting import runs as detection
        from gpulake.detectors import Level, all_detectors

        self._tell("judging days and hours", 0.0)
        self._writer.give_back()
        known = all_detectors()
        for level, name in self._config.detectors.items():
            # Rules read what is shown, and rules see the past only.
            names = [detector.name for detector in known if detector.level == level and not detector.retrospective]
            if name not in names:
                raise UsageError(
                    f"there is no detector {name!r} of {level} that sees only the past.",
                    where=self._config.origins.get(f"detectors.{level}", "gpulake.toml"),
                    do=f"use: {', '.join(names)}",
                )
        return detection.run(
            self._writer,
            known,
            build_id=build_id,
            now=clock.now(),
            shown={Level(level): name for level, name in self._config.detectors.items()},
            dry_run=dry_run,
        )

    def test(self, build_id: int) -> Tested:
        """Test the version that the scores of this build made. Raises DataTestError when a test fails."""
        found = meta.scored_version(self._writer, build_id)
        if found is None:
            raise UsageError(f"build {build_id} has no scores yet.", do="run: gpulake detect")
        self._tell(f"testing version {found}", 0.0)
        everything = self._must_test_everything()
        result = self._warehouse().test(
            version=found, everything=everything, is_small=not everything and self._is_small()
        )
        tested = Tested(
            version=found,
            everything=everything,
            passed=sum(node.status == "pass" for node in result.nodes),
            warned=tuple(node.name for node in result.nodes if node.status == "warn"),
            failed=tuple(node.name for node in result.failures),
        )
        if not result.nodes:
            raise DataTestError(
                f"no data test ran: {_names(result)}.",
                where=f"lake version {found}",
                do="run: gpulake dbt test; what was not tested is not published",
            )
        if not result.ok:
            raise DataTestError(
                f"{len(tested.failed)} of {len(result.nodes)} data tests failed: {_names(result)}.",
                where=f"lake version {found}",
                do="mend what it names; the last publication stays as it is",
            )
        return tested

    def publish(self, tested: Tested) -> Publication:
        """Make a tested version of the newest build the Publication."""
        newest = meta.last_build(self._writer)
        assert newest is not None
        self._tell(f"publishing build {newest.build_id}", 0.0)
        waiting = meta.pending(self._writer, through=newest.through_landing_no)
        now = clock.now()
        waited_s, event_age_s = meta.freshness(self._writer, through=newest.through_landing_no, now=now)
        publication = self._writer.publish(
            build_id=newest.build_id,
            data_version=tested.version,
            fingerprint=newest.fingerprint,
            full_build=newest.full_build,
            rows=newest.rows,
            landing_ids=[included.landing_id for included in waiting],
            now=now,
            tested_everything=tested.everything,
            waited_s=waited_s,
            event_age_s=event_age_s,
        )
        self._tell(f"published build {newest.build_id}", 1.0)
        upkeep.tend(self._writer, now=clock.now())
        return publication

    def alert(self, *, failure: GpulakeError | None = None) -> Alerted:
        """Judge the Publication by the rules, record what that opens and ends, and tell people.

        `failure`: why nothing was published. Then only that is judged, since the Publication is as it was.
        """
        from gpulake import incidents, judging
        from gpulake.dbt import warehouse

        self._tell("judging the publication by its rules", 0.0)
        findings: list[Finding] = [self._whether_published(failure)]
        rules: tuple[judging.Rule, ...] = ()
        broken: tuple[judging.Broken, ...] = ()
        if failure is None and self.publication() is not None:
            loaded = judging.load_kept(
                self._config, folder=warehouse.parsed_folder(self._config.lake / "dbt"), key=self._definitions
            )
            since = meta.judged_until(self._writer)
            self._writer.let_go()  # or its memory would lie beside the reader's
            # Rules are many small queries: a second thread does nothing but wait, and that takes a quarter of the time.
            with lake.open_publication(self._config.lake, threads=1) as reader:
                judged = judging.catch_up(reader, loaded.usable, since=since)
            rules, broken = loaded.usable, (*loaded.broken, *judged.broken)
            findings += judged.findings
        told = incidents.tell(self._writer, findings, config=self._config, now=clock.now())
        self._writer.renew_copy()  # who looks sees them, and what is answered is what they see
        return Alerted(
            rules=len(rules),
            firing=sum(finding.state is State.FIRING for finding in findings),
            broken=tuple(f"{each.name}: {each.error.what}" for each in broken),
            told=told,
        )

    def must_alert(self) -> bool:
        """Whether people must be told though nothing was published: of a request, a notice that waits, or of silence.

        A cluster whose clock is ours may have fallen silent: that nothing arrives is what a rule looks for. And a refresh
        that was cut off after it published has told nobody.
        """
        publication = self.publication()
        if publication is not None and publication.build_id > (meta.judged_build(self._writer) or -1):
            return True
        if any((self._config.lake / "inbox").glob("*.json")) or meta.notices_wait(self._writer):
            return True
        last = meta.judged_at(self._writer)
        return last is not None and clock.now() - last >= _BETWEEN_JUDGEMENTS

    def _whether_published(self, failure: GpulakeError | None) -> Finding:
        now = clock.now()
        return Finding(
            rule=PIPELINE_RULE,
            key=(("lake", self._config.lake.name),),
            state=State.FIRING if failure else State.CLEAR,
            at=now,
            since=now if failure else None,
            severity=Severity.TICKET,
            title=f"the lake {self._config.lake.name} could not be refreshed",
            message=f"The lake {self._config.lake.name} could not be refreshed: {failure.what}" if failure else "",
            do=f"{failure.do} ({failure.where})" if failure else "",
        )

    @cached_property
    def _definitions(self) -> str:
        """As this call found them."""
        return _definitions(self._config)

    def _is_small(self) -> bool:
        return sum(waiting.rows_kept for waiting in meta.pending(self._writer)) <= _SMALL_ROWS

    def _must_test_everything(self) -> bool:
        """After a full build, and once a week: else the rows that were not built again have been tested and published."""
        tested_at = meta.everything_tested_at(self._writer)
        return tested_at is None or clock.now() - tested_at >= _BETWEEN_TESTS_OF_EVERYTHING

    def _warehouse(self) -> Warehouse:
        if self._child is None:
            from gpulake.dbt.warehouse import Warehouse

            self._child = self._stack.enter_context(Warehouse(self._config.lake, writer=self._writer))
        return self._child

    def _rows(self) -> dict[str, int]:
        """As the catalog counts them; to count a view is to compute it."""
        counted = self._writer.rows_of("main")
        return {name: rows for name, rows in counted.items() if name.startswith(("gold", "silver"))}

    def _implausible(self) -> dict[str, int]:
        told = self._writer.sql(
            "SELECT table_name || ': ' || reason AS reason, sum(values_implausible)::bigint AS n "
            "FROM lake.main.gold_quarantine_daily WHERE values_implausible > 0 GROUP BY ALL ORDER BY n DESC, reason"
        )
        return dict(zip(told["reason"].to_pylist(), told["n"].to_pylist(), strict=True))

    def _tell(self, what: str, share: float) -> None:
        if self._progress:
            self._progress(what, share)


def fingerprint(view: meta.Asked, config: Config) -> str:
    """One hash over everything but the data that decides what is published and told."""
    return meta.fingerprint(view, _definitions(config))


def _definitions(config: Config) -> str:
    from gpulake.dbt import warehouse

    digest = hashlib.sha256(warehouse.fingerprint().encode())
    package = Path(__file__).parent
    for file in sorted([*(package / "detecting").glob("*.py"), *(package / "detectors").glob("*.py")]):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    for folder in (shipped_rules(), *([config.rules] if config.rules else [])):
        for file in sorted(folder.glob("*.yml")):
            digest.update(file.name.encode() + b"\0" + file.read_bytes())
    digest.update(json.dumps(dict(config.detectors), sort_keys=True).encode())
    if prices := _prices(config):
        digest.update(repr(sorted(repr(price.row()) for price in prices)).encode())
    return digest.hexdigest()


def _prices(config: Config) -> tuple[Price, ...]:
    """What GPU-hours cost by a file of one's own. Raises UsageError for what is wrong in it."""
    return price_list.read(config.prices) if config.prices else ()


def all_tables() -> tuple[LakeTable, ...]:
    """Every table that Python writes."""
    return (*META_TABLES, *bronze_tables(all_sources()))


def _model_rows(result: BuildResult, made_by: str) -> pa.Table:
    import pyarrow as pa

    return pa.Table.from_pylist(
        [
            {
                "fingerprint": made_by,
                "model": each.model,
                "file": each.file,
                "depends_on": "\n".join(each.depends_on),
                "depends_on_files": "\n".join(each.depends_on_files),
                "compiled_sql": each.compiled_sql,
            }
            for each in result.compiled
        ]
    )


def _names(result: BuildResult) -> str:
    bad = result.failures
    if not bad:
        return result.error or "dbt gave no reason"
    shown = "; ".join(f"{node.name}: {' '.join((node.message or node.status).split())[:300]}" for node in bad[:3])
    return shown + (f" and {len(bad) - 3} more" if len(bad) > 3 else "")
