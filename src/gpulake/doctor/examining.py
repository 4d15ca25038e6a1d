"""All that is checked, in one order: the installation, the settings, the lake, then each source that the settings name."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from importlib.metadata import PackageNotFoundError, requires, version

from gpulake import clock, lake, price_list, upkeep
from gpulake.collecting import Asked, collector_named, read_options, settled
from gpulake.collecting.running import Spool
from gpulake.config import Config
from gpulake.doctor import Found, State, all_checks, fail, ok, warn
from gpulake.errors import GpulakeError, LakeError, UsageError
from gpulake.telling.words import counted

_LEAST_BYTES, _FEW_BYTES = 200 << 20, 5 << 30
_SILENT = timedelta(days=1)


@dataclass(frozen=True)
class Diagnosis:
    """What was found, each with what it is about; `error` is that of the first failure, and sets the exit code."""

    found: tuple[tuple[str, Found], ...] = field(default_factory=tuple)

    @property
    def error(self) -> GpulakeError | None:
        """What the first failure is told as."""
        return next((found.error for _, found in self.found if found.state is State.FAIL), None)

    def as_json(self) -> dict[str, object]:
        """For machines."""
        return {
            "checks": [
                {"of": of, "state": found.state.value, "what": found.what, "do": found.do} for of, found in self.found
            ],
            "warnings": sum(found.state is State.WARN for _, found in self.found),
            "failures": sum(found.state is State.FAIL for _, found in self.found),
            "error": self.error.as_json() if self.error else None,
        }


def examine(
    load: Callable[[], Config],
    *,
    environ: Mapping[str, str],
    tell: Callable[[str], None] = lambda _sentence: None,
    now: datetime | None = None,
) -> Diagnosis:
    """Check everything; `load` reads the settings. Nothing is changed, and nothing that is found is raised."""
    now = now or clock.now()
    found: list[tuple[str, Found]] = []

    def look(of: str, checks: Callable[[], Iterator[Found]]) -> None:
        tell(f"looking at {of}")
        try:
            found.extend((of, each) for each in checks())
        except GpulakeError as error:
            found.append((of, fail(error)))

    look("gpulake", _installation)
    try:
        config = load()
    except UsageError as error:
        return Diagnosis((*found, ("settings", fail(error))))
    look("settings", lambda: _settings(config))
    look("lake", lambda: _lake(config, now))
    for name in config.collect:
        look(name, lambda name=name: _source(config, name, environ, now))  # type: ignore[misc]
    return Diagnosis(tuple(found))


def _installation() -> Iterator[Found]:
    versions = {name: _version(name) for name in ("gpulake", "duckdb", "dbt-core")}
    pins = dict(re.findall(r"^([\w.-]+)==([\w.]+)$", "\n".join(requires("gpulake") or []), re.MULTILINE))
    wrong = {name: wanted for name, wanted in pins.items() if _version(name) != wanted}
    told = ", ".join(f"{name} {number}" for name, number in versions.items())
    yield ok(f"{told}, Python {sys.version.split()[0]}")
    for name, wanted in wrong.items():
        yield warn(f"{name} is {_version(name)}, and {wanted} is expected", do=f"pip install '{name}=={wanted}'")


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _settings(config: Config) -> Iterator[Found]:
    file = next((where for where in config.origins.values() if where.endswith("gpulake.toml")), None)
    if file:
        yield ok(f"{file} can be read")
    else:
        yield warn("there is no gpulake.toml here: every setting is the default", do="gpulake init")
    if config.prices:
        yield ok(f"{counted(len(price_list.read(config.prices)), 'price')} in {config.prices.name}")
    if not config.collect:
        yield warn("no source is named, so none was looked at", do="write [collect.slurm] or [collect.prometheus]")


def _lake(config: Config, now: datetime) -> Iterator[Found]:
    folder = config.lake
    stands = next(path for path in (folder, *folder.parents) if path.exists())
    if not (stands.is_dir() and os.access(stands, os.W_OK | os.X_OK)):
        raise LakeError(
            "the lake's folder cannot be written.", where=str(stands), do="give its user the right, or name another"
        )
    free = shutil.disk_usage(stands).free
    if free < _LEAST_BYTES:
        yield fail(
            LakeError(
                f"{free / 1e9:.1f} GB are free.",
                where=str(stands),
                do="free some space: a build needs its own size again",
            )
        )
    elif free < _FEW_BYTES:
        yield warn(
            f"only {free / 1e9:.1f} GB are free at {stands}", do="free some space: a build needs its own size again"
        )
    else:
        yield ok(f"{stands} can be written, {free / 1e9:,.0f} GB are free")
    if not any(file.exists() for file in (lake.Layout(folder).catalog, lake.Layout(folder).pointer)):
        yield ok("there is no lake yet: the first landing makes it")
        return
    status = upkeep.status(folder)
    if status.publication is None:
        yield warn("nothing is published yet", do="gpulake build, gpulake detect, gpulake publish; or refresh")
        return
    age = now - datetime.fromisoformat(status.publication.published_at)
    told = f"build {status.publication.build_id} is published, {_length(age)} ago"
    waits = f"; {counted(status.pending_landings, 'landing')} waiting" if status.pending_landings else ""
    if status.pending_landings and age > _SILENT:
        yield warn(told + waits, do="gpulake refresh, or collect with --refresh, and look at what it says")
    else:
        yield ok(told + waits)
    yield from _prices_of_nothing(config)


def _prices_of_nothing(config: Config) -> Iterator[Found]:
    """Own prices of models that nobody has: a slip of the pen there leaves a pool without a cost."""
    try:
        models = {price.gpu_model for price in price_list.read(config.prices)} if config.prices else set()
    except UsageError:
        return  # told of the settings
    if not models:
        return
    with lake.open_publication(config.lake) as reader:
        pools = reader.sql("SELECT DISTINCT pool FROM gold_capacity_daily ORDER BY pool")["pool"].to_pylist()
        known = {*pools, *reader.sql("SELECT alias FROM meta.gpu_model_aliases")["alias"].to_pylist(), "all"}
    for model in sorted(models - known):
        near = get_close_matches(model, sorted(known), n=1)
        yield warn(
            f"a price is of {model!r}, which no machine here is",
            do=f"is {near[0]} meant?" if near else f"use a pool's name: {', '.join(pools[:5])}",
        )


def _source(config: Config, name: str, environ: Mapping[str, str], now: datetime) -> Iterator[Found]:
    collector = collector_named(name)
    settings = config.collect[name]
    cluster = settings.get("cluster") or collector.source
    spool = Spool(config.lake, name, cluster)
    if cluster not in config.clusters and not collector.is_endless:
        yield warn(
            f"the settings say nothing of the cluster {cluster}: its days are those of UTC",
            do=f"write [clusters.{cluster}] with its time_zone",
        )
    options = read_options(collector, settled(collector, {}, settings))
    asked = Asked(cluster=cluster, now=now, cursor=spool.cursor(), options=options, environ=environ)
    if name in all_checks():
        yield from all_checks()[name].look(asked)
    yield from _freshness(spool, now)


def _freshness(spool: Spool, now: datetime) -> Iterator[Found]:
    try:
        at = datetime.fromtimestamp(spool.cursor_file.stat().st_mtime, tz=UTC).replace(tzinfo=None)
    except FileNotFoundError:
        yield warn("nothing has been collected from it yet", do=f"gpulake collect {spool.collector}")
        return
    told = f"collected {_length(now - at)} ago"
    if now - at > _SILENT:
        yield warn(told, do=f"gpulake collect {spool.collector}, every few minutes by cron or a timer")
    else:
        yield ok(told)
    if waiting := len(spool.files()):
        yield warn(f"{counted(waiting, 'file')} waiting to land", do=f"gpulake collect {spool.collector}")
    if refused := len([*spool.refused.glob("*")]):
        yield warn(
            f"{counted(refused, 'file')} refused whole, in {spool.refused}",
            do=f"gpulake check {spool.refused}",
        )


def _length(span: timedelta) -> str:
    seconds = max(span.total_seconds(), 0)
    for size, unit in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
