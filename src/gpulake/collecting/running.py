"""One run of a collector: its files are on the disk before less is asked for next time, and there until they have landed.

A run that is cut off anywhere loses nothing and fetches nothing twice: files that were whole land with the next run, which
asks for the rest.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from gpulake import clock
from gpulake.collecting import Asked, Collector, Cursor, Fetched, Progress, Tell
from gpulake.config import Config, check_cluster_name
from gpulake.errors import GpulakeError, LakeError, LockError, SourceError, UsageError
from gpulake.whole import write_whole

if TYPE_CHECKING:
    from gpulake.landing import LandReport
    from gpulake.pipeline import StepResult

_BYTES_PER_LANDING = 64 << 20
"""So much of what has been fetched waits at most for a landing; each landing has its price."""


@dataclass(frozen=True)
class Collected:
    """What one run did: how many files and rows it fetched, of which time, and what became of them in the lake.

    `error` is what ended it early, or the first file that was refused: it is kept in `refused_folder`.
    """

    collector: str
    source: str
    cluster_id: str
    since: datetime | None = None
    until: datetime | None = None
    deliveries: int = 0
    rows: int = 0
    plan: tuple[str, ...] = ()
    land: LandReport | None = None
    refresh: StepResult | None = None
    refused_folder: Path | None = None
    dry_run: bool = False
    error: GpulakeError | None = None

    def as_json(self) -> dict[str, object]:
        """One object, whatever happened."""
        facts: dict[str, object] = {
            "collector": self.collector,
            "source": self.source,
            "cluster_id": self.cluster_id,
            "since": self.since,
            "until": self.until,
            "deliveries": self.deliveries,
            "rows": self.rows,
        }
        if self.dry_run:
            facts |= {"dry_run": True, "plan": list(self.plan)}
        if self.land:
            facts |= self.land.as_json()
        if self.refresh:
            facts["refresh"] = self.refresh.as_json()
        return facts | {
            "refused_folder": str(self.refused_folder) if self.refused_folder else None,
            "error": self.error.as_json() if self.error else None,
        }


@dataclass(frozen=True)
class Spool:
    """Where the files of one collector and cluster wait: `<lake>/collected/<collector>/<cluster>` and beside it."""

    lake: Path
    collector: str
    cluster: str

    @property
    def folder(self) -> Path:
        """The files that have not landed."""
        return self.lake / "collected" / self.collector / self.cluster

    @property
    def refused(self) -> Path:
        """Files that landing refused as a whole: nobody tries them again by himself."""
        return self.folder.with_name(f"{self.cluster}.refused")

    @property
    def landed(self) -> Path:
        """Files that have landed, where somebody wants to keep them."""
        return self.folder.with_name(f"{self.cluster}.landed")

    @property
    def cursor_file(self) -> Path:
        """What the last run noted."""
        return self.folder.with_name(f"{self.cluster}.cursor.json")

    def files(self) -> list[Path]:
        """What waits to land, in the order in which it was fetched."""
        found = (path for path in self.folder.glob("*") if path.is_file() and path.suffix != ".unfinished")
        return sorted(found, key=lambda path: (path.stat().st_mtime_ns, path.name))

    def cursor(self) -> Cursor:
        """What the last run noted; nothing where there was none. Raises LakeError for a damaged note."""
        try:
            found = json.loads(self.cursor_file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise LakeError(
                "what the collector noted cannot be read.",
                where=str(self.cursor_file),
                do="delete it: the next run then asks from --since on",
            ) from error
        return found if isinstance(found, dict) else {}

    def keep(self, fetched: Fetched) -> int:
        """Put a file there, whole; its bytes. Raises LakeError where the disk does not take it."""
        assert fetched.content is not None
        _write(self.folder / fetched.file_name, fetched.content)
        return len(fetched.content)

    def note(self, cursor: Cursor) -> None:
        """Note how far it has come. Raises as `keep` does."""
        _write(self.cursor_file, json.dumps(cursor).encode())

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Make the folder, and keep other runs out. Raises LockError while there is one, LakeError without a folder."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.folder.with_name(f"{self.cluster}.lock"), os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise _unwritten(self.folder, error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError as error:
            raise LockError(
                f"another run collects {self.collector} of {self.cluster}.",
                where=str(self.folder),
                do="try again when it has finished",
            ) from error
        finally:
            os.close(descriptor)


def collect(
    config: Config,
    collector: Collector,
    *,
    options: Mapping[str, object],
    environ: Mapping[str, str],
    cluster: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    again: bool = False,
    keep: bool = False,
    refresh: bool = False,
    dry_run: bool = False,
    wait_s: float = 0.0,
    tell: Tell = lambda _sentence: None,
    progress: Progress = lambda _what, _share: None,
) -> Collected:
    """Fetch what is new, note how far that is, and land it; with `refresh` build and publish it too.

    What went wrong on the way is the result's `error`: whatever was fetched before has landed, or waits for the next run.
    Raises UsageError for a call that cannot be meant, LockError while another run of it goes on.
    """
    cluster_id = cluster or collector.source
    check_cluster_name(cluster_id, where="--cluster")
    spool = Spool(config.lake, collector.name, cluster_id)
    result = Collected(collector.name, collector.source, cluster_id)
    asked = Asked(
        cluster=cluster_id,
        now=clock.now(),
        cursor=spool.cursor(),
        options=options,
        environ=environ,
        since=since,
        until=until,
        again=again,
        tell=tell,
        progress=progress,
    )
    if dry_run:
        return replace(result, plan=tuple(collector.plan(asked)), dry_run=True)
    with spool.alone():
        run = _Run(config, collector, spool, asked, result, wait_s=wait_s, keep=keep)
        result = run.through()
    if refresh and result.error is None:
        result = _refreshed(config, result, wait_s=wait_s, progress=progress)
    return result


class _Run:
    """What one run has fetched, and what of it has landed."""

    def __init__(
        self,
        config: Config,
        collector: Collector,
        spool: Spool,
        asked: Asked,
        result: Collected,
        *,
        wait_s: float,
        keep: bool,
    ) -> None:
        self._config = config
        self._collector = collector
        self._spool = spool
        self._asked = asked
        self._result = result
        self._wait_s = wait_s
        self._keep = keep
        self._waiting_bytes = 0

    def through(self) -> Collected:
        """Fetch to the end, or to an error; then land what waits."""
        failed: GpulakeError | None = None
        try:
            for fetched in self._collector.collect(self._asked):
                self._take(fetched)
        except (UsageError, LockError):
            raise
        except GpulakeError as error:
            failed = error
        self._land()
        return replace(self._result, error=failed or self._result.error)

    def _take(self, fetched: Fetched) -> None:
        result = self._result
        if fetched.content is not None:
            self._waiting_bytes += self._spool.keep(fetched)
            result = replace(result, deliveries=result.deliveries + 1, rows=result.rows + fetched.rows)
        self._result = replace(
            result,
            since=_first(min, result.since, fetched.since),
            until=_first(max, result.until, fetched.until),
        )
        self._spool.note(fetched.cursor)
        if self._collector.is_endless or self._waiting_bytes >= _BYTES_PER_LANDING:
            try:
                self._land()
            except LockError as error:  # a refresh is at work: the files wait for it
                self._asked.tell(f"{error.what} What was fetched waits.")

    def _land(self) -> None:
        """Land the files that wait, the oldest first. Raises LockError and LakeError: then they wait on."""
        for file in self._spool.files():
            # One by one: where two speak of one thing the later landing stands, so that it must be the later file.
            land, error = self._landed(file)
            self._put_away(file, is_refused=land is None or bool(land.refused or land.unrecognised))
            self._result = replace(
                self._result,
                land=_together(self._result.land, land) if land else self._result.land,
                error=self._result.error or error,
            )
        self._waiting_bytes = 0

    def _landed(self, file: Path) -> tuple[LandReport | None, GpulakeError | None]:
        """What became of a file; None where it is none that the source reads."""
        from gpulake import pipeline

        try:
            step = pipeline.land(
                self._config,
                data=file,
                source=self._collector.source,
                cluster=self._asked.cluster,
                wait_s=self._wait_s,
                progress=self._asked.progress,
            )
        except SourceError as error:
            return None, error
        return step.land, step.error

    def _put_away(self, file: Path, *, is_refused: bool) -> None:
        kept = self._spool.refused if is_refused else self._spool.landed
        if is_refused:
            self._result = replace(self._result, refused_folder=kept)
        if is_refused or self._keep:
            kept.mkdir(exist_ok=True)
            file.replace(kept / file.name)
        else:
            file.unlink(missing_ok=True)


def _refreshed(config: Config, result: Collected, *, wait_s: float, progress: Progress) -> Collected:
    from gpulake import pipeline

    def do(step: pipeline.Step, asked: pipeline.Asked) -> StepResult:
        return pipeline.do(step, config, asked, wait_s=wait_s, progress=progress)

    steps = (pipeline.BUILD, pipeline.DETECT, pipeline.PUBLISH, pipeline.ALERT)
    done = pipeline.renew_dashboards(config, pipeline.walk(do, pipeline.Asked(), steps=steps))
    return replace(result, refresh=done, error=done.error)


def _together(before: LandReport | None, after: LandReport) -> LandReport:
    if before is None:
        return after
    ids = {landing.landing_id for landing in before.landings}
    return replace(
        before,
        landings=(*before.landings, *(landing for landing in after.landings if landing.landing_id not in ids)),
        refused=(*before.refused, *after.refused),
        unrecognised=(*before.unrecognised, *after.unrecognised),
    )


def _first(
    choose: Callable[[datetime, datetime], datetime], one: datetime | None, other: datetime | None
) -> datetime | None:
    if one is None or other is None:
        return one or other
    return choose(one, other)


def _write(file: Path, content: bytes) -> None:
    """Put a file there that is whole, also if the power goes. Raises LakeError where the disk does not take it."""
    try:
        write_whole(file, content)
        for path in (file, file.parent):
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
    except OSError as error:
        raise _unwritten(file, error) from error


def _unwritten(path: Path, error: OSError) -> LakeError:
    return LakeError(
        f"what was collected cannot be written: {error.strerror or error}.",
        where=str(path),
        do="free some space or check the folder's rights, and run it again: it goes on from there",
    )
