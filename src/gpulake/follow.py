"""Following a lake: what has landed is built, judged and published again and again, and each publication says how fresh it is."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from gpulake import lake, pipeline
from gpulake.config import Config
from gpulake.errors import DataTestError, GpulakeError, LockError, UsageError

if TYPE_CHECKING:
    from gpulake.pipeline import StepResult
    from gpulake.session import Progress

_NAP_S = 0.2
_REST_S, _REST_SHARE = 1.0, 0.25
"""Between two rounds, at the least, and of the length of the last one: whoever waits for the lock gets it then.

Where rounds take long, so does landing what came in the meantime.
"""

_PATIENCE_S = 8.0
"""So long a round waits for the lock: a stream that lands holds it for five seconds at a time."""


@dataclass(frozen=True)
class Followed:
    """What was done so far. `freshness_s`: for how long the earliest landing that the last publication first told of had waited.

    `slowest_s` is the worst of these, `event_age_s` how old the newest event was then, of clusters whose clock is ours.
    """

    cycles: int = 0
    publications: int = 0
    freshness_s: float | None = None
    slowest_s: float | None = None
    event_age_s: float | None = None
    last_build: int | None = None
    failures: int = 0
    error: GpulakeError | None = None

    def as_json(self) -> dict[str, object]:
        """For machines."""
        return {**asdict(replace(self, error=None)), "error": self.error.as_json() if self.error else None}


def follow(
    config: Config,
    *,
    every_s: float,
    data: Path | None = None,
    source: str | None = None,
    cluster: str | None = None,
    stopping: Callable[[], bool],
    tell: Callable[[str], None] = lambda _sentence: None,
    progress: Progress | None = None,
    refresh: Callable[[], StepResult] | None = None,
    sleep: Callable[[float], None] = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
) -> Followed:
    """Refresh on a cadence until told to stop. A build or test that fails, or a writer at work, is told and tried again.

    `data`: a folder that is landed each time as well; without one it is what streams and other commands have landed.
    Raises LakeError and UsageError.
    """

    def once() -> StepResult:
        if data is not None:
            return pipeline.refresh(
                config, data=data, source=source, cluster=cluster, wait_s=_PATIENCE_S, progress=progress
            )
        return pipeline.catch_up(config, wait_s=_PATIENCE_S, progress=progress)

    done, next_s = Followed(), monotonic()
    while not stopping():
        if monotonic() < next_s:
            sleep(min(_NAP_S, next_s - monotonic()))
            continue
        began_s = monotonic()
        done = _cycle(config, done, refresh or once, tell)
        ended_s = monotonic()
        next_s = max(began_s + every_s, ended_s + max(_REST_S, _REST_SHARE * (ended_s - began_s)))
    return done


def _cycle(config: Config, done: Followed, refresh: Callable[[], StepResult], tell: Callable[[str], None]) -> Followed:
    done = replace(done, cycles=done.cycles + 1)
    try:
        result = refresh()
    except LockError:  # a stream lands, or somebody else refreshes: its turn comes
        return done
    except DataTestError as error:
        tell(f"not published: {error.what}")
        return replace(done, failures=done.failures + 1, error=error)
    except UsageError:
        if not lake.Layout(config.lake).is_there():  # nothing has landed yet
            return done
        raise
    if isinstance(result.error, GpulakeError) and not result.published:
        tell(f"not published: {result.error.what}")
        return replace(done, failures=done.failures + 1, error=result.error)
    made = result.publication
    if made is None or not result.published:
        return done
    done = replace(
        done,
        publications=done.publications + 1,
        freshness_s=made.waited_s,
        slowest_s=max((s for s in (made.waited_s, done.slowest_s) if s is not None), default=None),
        event_age_s=made.event_age_s,
        last_build=made.build_id,
        error=None,
    )
    told = "" if made.waited_s is None else f", {made.waited_s:.1f} s after the first of it landed"
    tell(f"published build {made.build_id}{told}")
    return done
