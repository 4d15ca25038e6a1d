"""A refresh in plain functions: land → build → detect → test → publish → judge and tell. Each step is also a command of its own.

A landing is *pending* until a publication includes it. So a refresh that was cut off anywhere, or whose tests failed,
leaves work that the next one finds and finishes; and a refresh that finds nothing pending does nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from gpulake import clock, lake, landing, meta, session, upkeep
from gpulake.config import Config, check_cluster_name
from gpulake.contract import Source
from gpulake.errors import DataTestError, GpulakeError, UsageError
from gpulake.lake import Publication
from gpulake.landing import Checked, LandReport, Survey
from gpulake.reading import dashboards
from gpulake.reading.dashboards import Renewed
from gpulake.session import Alerted, Built, Progress, Session, Tested
from gpulake.sources import all_sources

if TYPE_CHECKING:
    # dbt and scikit-learn are loaded when there is something to build or judge, and not before.
    from gpulake.detecting.outcomes import Detected
    from gpulake.reading.difference import Difference
    from gpulake.reading.figure import Explanation
    from gpulake.reading.needs import Need


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
    alerts: Alerted | None = None
    error: GpulakeError | None = None
    dry_run: bool = False
    dashboards: Renewed | None = None

    @property
    def build_id(self) -> int | None:
        """The build this is about, else the one that is published."""
        if self.build:
            return self.build.build_id
        return self.publication.build_id if self.publication else None

    @property
    def warnings(self) -> tuple[GpulakeError, ...]:
        """What went wrong beside the steps, and undoes none of them."""
        return (self.dashboards.error,) if self.dashboards and self.dashboards.error else ()

    def as_json(self) -> dict[str, object]:
        """One object, whatever happened."""
        facts: dict[str, object] = {"build_id": self.build_id, "published": self.published, "why": self.why}
        if self.dry_run:
            facts["dry_run"] = True
        if self.land:
            facts |= self.land.as_json()
        if self.dashboards:
            facts["dashboards"] = self.dashboards.as_json()
        facts |= {
            "build": asdict(self.build) if self.build else None,
            "detect": self.detect.as_json() if self.detect else None,
            "tests": asdict(self.tests) if self.tests else None,
            "publication": asdict(self.publication) if self.publication else None,
            "alerts": asdict(self.alerts) if self.alerts else None,
            "error": self.error.as_json() if self.error else None,
        }
        return facts


# ------------------------------------------------------------------------------------------------- steps


@dataclass(frozen=True)
class Asked:
    """What a call asks of the steps."""

    data: Path | None = None
    source: str | None = None
    cluster: str | None = None
    rehash: bool = False
    again: bool = False
    corrects: bool = False
    full: bool = False
    dry_run: bool = False
    failure: GpulakeError | None = None
    """Why a walk has published nothing: what people are told."""
    only_if_due: bool = False
    """Nothing was published: people are told only what waits, or that a cluster has fallen silent."""

    @cached_property
    def surveyed(self) -> Survey:
        """What the folder holds. Raises SourceError, UsageError."""
        assert self.data is not None
        return _survey(self.data, self.source, self.cluster)


@dataclass(frozen=True)
class Step:
    """One step: what it does in a session, and whether its result leaves the next ones nothing to do."""

    name: str
    run: Callable[[Session, Asked], StepResult]
    is_last: Callable[[StepResult], bool] = lambda _result: False
    makes_lake: bool = False


def _land(opened: Session, asked: Asked) -> StepResult:
    report = opened.land(
        asked.surveyed, cluster=asked.cluster, rehash=asked.rehash, again=asked.again, corrects=asked.corrects
    )
    waiting = opened.waiting()
    return StepResult(
        why=f"{waiting} landings wait for the next build" if waiting else "nothing is new",
        land=report,
        publication=opened.publication(),
        error=report.refused[0].error if report.refused else None,
    )


def _replay(opened: Session, _asked: Asked) -> StepResult:
    report = opened.replay()
    rows = sum(landing.rows_kept or 0 for landing in report.landings)
    return StepResult(why=f"{rows:,} rows were replayed", land=report, publication=opened.publication())


def _build(opened: Session, asked: Asked) -> StepResult:
    if not opened.is_due(full=asked.full):
        return StepResult(why="nothing is new since the last publication", publication=opened.publication())
    built = opened.build(full=asked.full)
    return StepResult(why="built; next: gpulake detect", build=built, publication=opened.publication())


def _detect(opened: Session, asked: Asked) -> StepResult:
    detected = opened.detect(opened.last_build(), dry_run=asked.dry_run)
    why = "scored, nothing landed" if asked.dry_run else "scored; next: gpulake publish"
    return StepResult(why=why, detect=detected, publication=opened.publication(), dry_run=asked.dry_run)


def _publish(opened: Session, asked: Asked) -> StepResult:
    newest, current = opened.last_build(), opened.publication()
    if current and current.build_id == newest:
        return StepResult(why=f"build {newest} is published already", publication=current)
    tested = opened.test(newest)
    passed = StepResult(why="every data test passed", tests=tested, publication=current, dry_run=asked.dry_run)
    return passed if asked.dry_run else replace(passed, published=True, publication=opened.publish(tested))


def _alert(opened: Session, asked: Asked) -> StepResult:
    if asked.only_if_due and not opened.must_alert():
        return StepResult(why="nobody has to be told anything", publication=opened.publication())
    alerts = opened.alert(failure=asked.failure)
    return StepResult(why="judged by the rules", publication=opened.publication(), alerts=alerts)


def _landings(result: StepResult) -> Sequence[landing.Landing]:
    return result.land.landings if result.land else ()


LAND = Step("land", _land, makes_lake=True)
REPLAY = Step("replay", _replay, is_last=lambda result: not any(each.rows_kept for each in _landings(result)))
BUILD = Step("build", _build, is_last=lambda result: result.build is None)
DETECT = Step("detect", _detect)
PUBLISH = Step("publish", _publish)
ALERT = Step("alert", _alert)
STEPS = (LAND, BUILD, DETECT, PUBLISH, ALERT)
"""A refresh, in its order. Whoever runs one walks this list."""


def walk(do: Callable[[Step, Asked], StepResult], asked: Asked, *, steps: Sequence[Step] = STEPS) -> StepResult:
    """Do one step after the other until one leaves nothing to do; what they did as one result.

    A step that fails ends the walk and is the result's error, beside what the steps before it did and refused; the lake
    stays as published. However it ends, people are told what they must be told. Raises what the first step raises.
    """
    done: list[StepResult] = []
    failure: GpulakeError | None = None
    step = steps[0]
    try:
        for step in steps:
            done.append(do(step, asked))
            if step.is_last(done[-1]):
                break
    except GpulakeError as error:
        if not done:
            if isinstance(error, DataTestError) and ALERT in steps:
                with suppress(GpulakeError):  # the failure itself is what must be heard of
                    do(ALERT, replace(asked, failure=error))
            raise
        failure = error
    result = _as_one(done)
    if step is not ALERT and ALERT in steps and (failure is None or isinstance(failure, DataTestError)):
        try:
            told = do(ALERT, replace(asked, failure=failure, only_if_due=failure is None))
        except GpulakeError as error:
            failure = failure or error
        else:
            result = replace(result, alerts=told.alerts)
    if failure is None:
        return result
    what = "published, but people were not told" if result.published else "not published"
    return replace(result, why=f"{what}: {failure.what}", error=failure)


def _as_one(done: Sequence[StepResult]) -> StepResult:
    """What each step alone knows, and the last one's word; a file that was refused stays the error."""
    return StepResult(
        why=next((step.why for step in reversed(done) if not step.alerts), done[-1].why),
        published=any(step.published for step in done),
        land=next((step.land for step in done if step.land), None),
        build=next((step.build for step in done if step.build), None),
        detect=next((step.detect for step in done if step.detect), None),
        tests=next((step.tests for step in done if step.tests), None),
        publication=done[-1].publication,
        alerts=next((step.alerts for step in done if step.alerts), None),
        error=next((step.error for step in done if step.error), None),
    )


def renew_dashboards(config: Config, result: StepResult) -> StepResult:
    """The result, and the file that dashboards read brought up to the publication, where somebody has set some up.

    It comes last, without the lock: nobody waits for it, and what goes wrong with it is told beside what was done.
    """
    if not dashboards.is_ordered(config.lake):
        return result
    from gpulake.dbt import warehouse
    from gpulake.reading.models import read_models

    return replace(result, dashboards=dashboards.renew(config.lake, models=read_models(warehouse.project())))


def do(
    step: Step, config: Config, asked: Asked, *, wait_s: float = 0.0, progress: Progress | None = None
) -> StepResult:
    """One step alone, under a lock of its own."""
    if step is LAND:
        _ = asked.surveyed  # before the lock, and before a slip in --data makes a lake
    with session.opened(config, step.name, wait_s=wait_s, progress=progress, make=step.makes_lake) as opened:
        return step.run(opened, asked)


def refresh(
    config: Config,
    *,
    data: Path,
    source: str | None = None,
    cluster: str | None = None,
    dry_run: bool = False,
    rehash: bool = False,
    again: bool = False,
    corrects: bool = False,
    full: bool = False,
    wait_s: float = 0.0,
    progress: Progress | None = None,
) -> StepResult:
    """Do all of it under one lock. Nothing new, and nothing left over: nothing is done, and it says so.

    A file that is refused is the result's `error`, and so is a build or test that fails; the lake stays as published.
    """
    asked = Asked(data=data, source=source, cluster=cluster, rehash=rehash, again=again, corrects=corrects, full=full)
    _ = asked.surveyed  # before the lock, as in `do`
    if dry_run:
        return _plan(config, asked)
    with session.opened(config, "refresh", wait_s=wait_s, progress=progress, make=True, whole=True) as opened:
        result = walk(lambda step, asked: step.run(opened, asked), asked)
    return renew_dashboards(config, result)


def land(
    config: Config,
    *,
    data: Path,
    source: str | None = None,
    cluster: str | None = None,
    rehash: bool = False,
    again: bool = False,
    corrects: bool = False,
    wait_s: float = 0.0,
    progress: Progress | None = None,
) -> StepResult:
    """Only land: what is new waits for the next build."""
    asked = Asked(data=data, source=source, cluster=cluster, rehash=rehash, again=again, corrects=corrects)
    return do(LAND, config, asked, wait_s=wait_s, progress=progress)


def replay(config: Config, *, wait_s: float = 0.0, progress: Progress | None = None) -> StepResult:
    """Read refused rows once more, as the sources' contracts say today; if any is one now, build all anew and publish."""
    with session.opened(config, "replay", wait_s=wait_s, progress=progress) as opened:
        result = walk(
            lambda step, asked: step.run(opened, asked), Asked(), steps=(REPLAY, BUILD, DETECT, PUBLISH, ALERT)
        )
    return renew_dashboards(config, result)


def catch_up(config: Config, *, wait_s: float = 0.0, progress: Progress | None = None) -> StepResult:
    """Build, judge and publish what has landed, under one lock. Nothing waits: nothing is done, and it says so."""
    with session.opened(config, "refresh", wait_s=wait_s, progress=progress, whole=True) as opened:
        result = walk(lambda step, asked: step.run(opened, asked), Asked(), steps=(BUILD, DETECT, PUBLISH, ALERT))
    return renew_dashboards(config, result)


def quarantine(config: Config, *, lines: int) -> upkeep.Quarantine:
    """What was left out, by reason. Raises UsageError where there is no lake."""
    return upkeep.quarantine(config.lake, lines=lines)


def build(config: Config, *, full: bool = False, wait_s: float = 0.0, progress: Progress | None = None) -> StepResult:
    """Only build what pending landings touch, or everything. Raises DataTestError when a model fails."""
    return do(BUILD, config, Asked(full=full), wait_s=wait_s, progress=progress)


def detect(
    config: Config, *, dry_run: bool = False, wait_s: float = 0.0, progress: Progress | None = None
) -> StepResult:
    """Only score the newest build."""
    return do(DETECT, config, Asked(dry_run=dry_run), wait_s=wait_s, progress=progress)


def publish(
    config: Config, *, dry_run: bool = False, wait_s: float = 0.0, progress: Progress | None = None
) -> StepResult:
    """Only test the newest build, and publish it if every test passes. Raises DataTestError when one fails."""
    result = do(PUBLISH, config, Asked(dry_run=dry_run), wait_s=wait_s, progress=progress)
    return result if dry_run else renew_dashboards(config, result)


def alert(config: Config, *, wait_s: float = 0.0, progress: Progress | None = None) -> StepResult:
    """Only judge the Publication by the rules, and tell whom it concerns."""
    return do(ALERT, config, Asked(), wait_s=wait_s, progress=progress)


# ------------------------------------------------------------------------------------------- other calls


@dataclass(frozen=True)
class CheckResult:
    """What would become of a folder, and what further tables and columns of its sources would make known."""

    checked: Checked
    unlocks: tuple[Need, ...]
    error: GpulakeError | None
    """What sets the exit code of a refresh sets that of a check: the first file that would be refused."""

    def as_json(self) -> dict[str, object]:
        """For machines."""
        return {
            **self.checked.as_json(),
            "unlocks": [asdict(need) for need in self.unlocks],
            "error": self.error.as_json() if self.error else None,
        }


def check(config: Config, *, data: Path, source: str | None = None, cluster: str | None = None) -> CheckResult:
    """Say what is wrong with a folder before anything lands; nothing is written. Raises SourceError, UsageError."""
    from gpulake.dbt import warehouse
    from gpulake.reading.needs import read_needs, read_status_words

    if cluster is not None:
        check_cluster_name(cluster, where="--cluster")
    sources = _choose(source)
    surveyed = landing.look(data, sources, cluster=cluster)
    names = sorted({each.source.name for each in surveyed.delivered})
    words = {name: read_status_words(warehouse.project(), name) for name in names}
    checked = landing.check(surveyed, config=config, cluster=cluster, now=clock.now(), status_words=words)
    given = {each.table for each in checked.files}
    given |= {f"{each.table}.{column}" for each in checked.files for column in each.given}
    needs = [need for name in names for need in read_needs(warehouse.project(), name)]
    return CheckResult(
        checked,
        unlocks=tuple(need for need in needs if need.unlocks and not need.is_met(given)),
        error=checked.refused[0].error if checked.refused else landing.nothing_known(surveyed, data, sources),
    )


def status(config: Config) -> upkeep.Status:
    """What the lake holds. Raises UsageError where there is no lake."""
    return upkeep.status(config.lake)


def verify(config: Config, *, deep: bool = False, wait_s: float = 0.0) -> upkeep.Verification:
    """Check the catalog against the files and the rows against the landings.

    `deep`: run every data test over every row of the Publication too, also those that no refresh runs.
    """
    found = upkeep.verify(config.lake, now=clock.now())
    if not deep:
        return found
    from gpulake.dbt.warehouse import Warehouse

    with lake.writing(config.lake, purpose="verify", wait_s=wait_s, tables=session.all_tables(), make=False) as writer:
        publication = writer.layout.publication()
        if publication is None:
            raise UsageError("nothing is published here yet.", where=str(config.lake), do="run: gpulake refresh")
        with Warehouse(config.lake, writer=writer) as dbt:
            tested = dbt.test(version=publication.data_version, slow_ones_too=True)
    broken = tuple(f"the data test {node.name} fails: {node.message}" for node in tested.failures)
    if tested.error and not broken:
        broken = (f"the data tests cannot run: {tested.error}",)
    passed = sum(node.status == "pass" for node in tested.nodes)
    return replace(found, faults=(*found.faults, *broken), tests_passed=passed)


def explain(config: Config, *, table: str, column: str, key: Sequence[str], as_of: int | None = None) -> Explanation:
    """Where one published figure comes from, and what it was in an older build. Raises UsageError where there is none."""
    from gpulake.dbt import warehouse
    from gpulake.reading import figure
    from gpulake.reading.models import read_models

    models = read_models(warehouse.project())
    with lake.open_publication(config.lake, earlier=as_of) as reader:
        return figure.explain(
            reader,
            models,
            table=table,
            column=column,
            key=key,
            as_of=as_of,
            fingerprint=session.fingerprint(reader, config),
        )


def diff(config: Config, *, first: int | None = None, second: int | None = None) -> Difference:
    """Which published figures differ between two kept builds: the last two, or an older one and the Publication."""
    from gpulake.dbt import warehouse
    from gpulake.reading import difference
    from gpulake.reading.models import read_models

    if first is None:
        with lake.open_publication(config.lake) as reader:
            first, second = difference.last_two(reader)
    models = read_models(warehouse.project())
    with lake.open_publication(config.lake, build_id=second, earlier=first) as reader:
        return difference.between(reader, models, first=first)


def compact(config: Config, *, wait_s: float = 0.0, progress: Progress | None = None) -> upkeep.Compacted:
    """Merge small files and drop the versions that no kept publication needs."""
    with lake.writing(config.lake, purpose="compact", wait_s=wait_s, tables=session.all_tables(), make=False) as writer:
        return upkeep.compact(writer, now=clock.now(), progress=progress)


def run_dbt(config: Config, args: Sequence[str], *, wait_s: float = 0.0, progress: Progress | None = None) -> int:
    """Run dbt by hand under the lake's lock; its exit code."""
    from gpulake.dbt import warehouse

    with lake.writing(config.lake, purpose="dbt", wait_s=wait_s, tables=session.all_tables(), make=False) as writer:
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
    found = landing.survey(data, _choose(source), cluster=cluster)
    shipped = [landing.survey(path, [owner]) for owner in all_sources() for path in owner.shipped]
    return Survey(
        delivered=(
            *found.delivered,
            *(replace(delivered, is_shipped=True) for each in shipped for delivered in each.delivered),
        ),
        unrecognised=found.unrecognised,
        refused=found.refused,
    )


def _plan(config: Config, asked: Asked) -> StepResult:
    with lake.open_newest(config.lake) as reader:
        landed = meta.landed_bytes(reader) if reader else frozenset()
        latest = meta.landed_bytes(reader, latest_only=True) if reader and asked.again else None
    report = landing.foresee(
        asked.surveyed, cluster=asked.cluster, landed=landed, latest=latest, corrects=asked.corrects
    )
    new = len(report.landed)
    return StepResult(
        why=f"would land {new} deliveries, build and publish" if new else "nothing would land",
        land=report,
        publication=lake.Layout(config.lake).publication(),
        error=report.refused[0].error if report.refused else None,
        dry_run=True,
    )
