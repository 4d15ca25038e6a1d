"""Telling again what has happened: events in the order of their times, as fast as asked, out of order and doubled as asked.

What is sent when is settled before anything is sent (`plan`), from a seed; so a replay can be made again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gpulake import lake, landing
from gpulake.config import Config
from gpulake.contract import Source
from gpulake.errors import UsageError
from gpulake.landing import Events
from gpulake.transports import Address, Outlet

_PER_SEND = 5_000
_TICK_S = 0.05
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  # the lake keeps UTC without a zone

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Pace:
    """How events are told. `speed` 0 is as fast as possible; shares are 0 to 1; the rest is seconds of event time.

    Each event is delayed by up to `disorder_s`; a share `late` of them by up to `late_by_s` more. A share `duplicates` is
    told twice. After each `pause_every_s` of events nothing is told for `pause_s` seconds of the clock on the wall.
    """

    speed: float = 0.0
    disorder_s: float = 0.0
    duplicates: float = 0.0
    late: float = 0.0
    late_by_s: float = 6 * 3600.0
    pause_every_s: float = 0.0
    pause_s: float = 0.0
    seed: int = 42


@dataclass(frozen=True)
class Replayed:
    """What was told: how many events, and messages of them by topic, and from when to when the events happened."""

    source: str
    to: str
    events: int
    messages: int
    duplicates: int
    topics: dict[str, int] = field(default_factory=dict)
    since: datetime | None = None
    until: datetime | None = None
    seconds: float = 0.0
    dry_run: bool = False
    error: None = None

    def as_json(self) -> dict[str, object]:
        """For machines."""
        return asdict(self)


def plan(
    at_s: npt.NDArray[np.float64], pace: Pace, *, together: npt.NDArray[np.int64] | None = None
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Which event is told when: their places in `at_s`, some twice, and the event time at which each is told, ascending.

    What has no time is told first. Events with the same number in `together` are told one after the other.
    """
    own = np.arange(len(at_s)) if together is None else together
    numbers, firsts, of_row = np.unique(own, return_index=True, return_inverse=True)
    which, when = _plan(at_s[firsts], pace)
    order = np.argsort(of_row, kind="stable")
    counts = np.bincount(of_row, minlength=len(numbers))
    begins = np.concatenate([[0], np.cumsum(counts)])
    sizes = counts[which]
    within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return order[np.repeat(begins[which], sizes) + within].astype(np.int64), np.repeat(when, sizes)


def _plan(at_s: npt.NDArray[np.float64], pace: Pace) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    dice = np.random.default_rng(pace.seed)
    count = len(at_s)
    begin = float(np.nanmin(at_s)) if count and not np.isnan(at_s).all() else 0.0
    told_s = np.where(np.isnan(at_s), begin, at_s)
    told_s = told_s + dice.uniform(0.0, 1.0, count) * pace.disorder_s
    told_s = (
        told_s
        + np.where(dice.uniform(0.0, 1.0, count) < pace.late, dice.uniform(0.0, 1.0, count), 0.0) * pace.late_by_s
    )
    twice = np.flatnonzero(dice.uniform(0.0, 1.0, count) < pace.duplicates)
    again_s = told_s[twice] + dice.uniform(0.0, 1.0, len(twice)) * max(pace.disorder_s, 1.0)
    which, when = np.concatenate([np.arange(count), twice]), np.concatenate([told_s, again_s])
    order = np.argsort(when, kind="stable")
    return which[order].astype(np.int64), when[order]


def wall_s(when_s: npt.NDArray[np.float64], pace: Pace) -> npt.NDArray[np.float64]:
    """How long after the first each is told on the wall's clock."""
    if not len(when_s):
        return when_s
    passed = when_s - when_s[0]
    waited: npt.NDArray[np.float64] = passed / pace.speed if pace.speed else np.zeros_like(passed)
    if pace.pause_every_s > 0:
        waited = waited + np.floor(passed / pace.pause_every_s) * pace.pause_s
    return waited


def events_of(
    config: Config,
    sources: Sequence[Source],
    *,
    data: Path | None,
    cluster: str | None,
    tables: Sequence[str],
) -> list[Events]:
    """The events of a folder's files, or of what has landed of a cluster and is published. Raises UsageError, SourceError."""
    if data is not None:
        surveyed = landing.survey(data, sources, cluster=cluster)
        found = list(landing.of_delivery(surveyed, config=config, cluster=cluster, tables=tuple(tables)))
    else:
        with lake.open_publication(config.lake) as reader:
            found = [
                each
                for source in sources
                for each in landing.of_lake(reader, source, cluster=cluster or source.name, tables=tuple(tables))
            ]
    if not found:
        raise UsageError(
            f"there is nothing of {', '.join(source.name for source in sources)} to replay.",
            where=str(data or config.lake),
            do="name its files with --data, or check --table and --cluster",
        )
    return found


def replay(
    events: Sequence[Events],
    outlet: Outlet,
    *,
    to: Address,
    pace: Pace,
    since: timedelta | datetime | None = None,
    until: timedelta | datetime | None = None,
    stopping: Callable[[], bool] = lambda: False,
    progress: Progress = lambda _what, _share: None,
    dry_run: bool = False,
    sleep: Callable[[float], None] = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
) -> Replayed:
    """Tell events, until all are told or it is told to stop. A length of time counts from the first event on.

    Raises SourceError where they cannot be delivered; what was delivered stays.
    """
    started_s = monotonic()
    at_s = np.concatenate([each.at_s for each in events])
    of_table = np.repeat(np.arange(len(events)), [len(each.at_s) for each in events])
    in_table = np.concatenate([np.arange(len(each.at_s)) for each in events])
    low, high = _bounds(at_s, since, until)
    chosen = np.flatnonzero(np.isnan(at_s) | ((at_s >= low) & (at_s < high)))
    starts = np.cumsum([0, *(len(each.at_s) for each in events)])
    together = np.concatenate([each.together + start for each, start in zip(events, starts, strict=False)])
    which, when_s = plan(at_s[chosen], pace, together=together[chosen])
    due_s = wall_s(when_s, pace)
    topics: dict[str, int] = {}
    sent = 0
    for first, last in _due(due_s, stopping=stopping, sleep=sleep, monotonic=monotonic):
        if dry_run:
            last = len(due_s)  # noqa: PLW2901  # all at once
        part = chosen[which[first:last]]
        for number, each in enumerate(events):
            mine = in_table[part[of_table[part] == number]].astype(np.int64)
            if len(mine):
                topic = to.topic(each.table.name)
                topics[topic] = topics.get(topic, 0) + len(mine)
                if not dry_run:
                    outlet.send(topic, each.messages(mine))
        sent = last
        if dry_run:
            break
        outlet.flush()
        progress("replaying", last / len(due_s))
    known = at_s[chosen][~np.isnan(at_s[chosen])]
    return Replayed(
        source=",".join(dict.fromkeys(each.source.name for each in events)),
        to=to.name if to.kind == "queue" else f"{to.kind}:{to.where}",
        events=len(chosen),
        messages=sent,
        duplicates=sent - len(np.unique(which[:sent])),
        topics=topics,
        since=_moment(known.min()) if len(known) else None,
        until=_moment(known.max()) if len(known) else None,
        seconds=round(monotonic() - started_s, 3),
        dry_run=dry_run,
    )


def _due(
    due_s: npt.NDArray[np.float64],
    *,
    stopping: Callable[[], bool],
    sleep: Callable[[float], None],
    monotonic: Callable[[], float],
) -> Iterator[tuple[int, int]]:
    """What to send next, from where to where, each as soon as it is due."""
    began_s, first = monotonic(), 0
    while first < len(due_s) and not stopping():
        passed_s = monotonic() - began_s
        last = min(int(np.searchsorted(due_s, passed_s, side="right")), first + _PER_SEND)
        if last > first:
            yield first, last
            first = last
        else:
            sleep(min(max(due_s[first] - passed_s, 0.0), _TICK_S))


def _bounds(
    at_s: npt.NDArray[np.float64], since: timedelta | datetime | None, until: timedelta | datetime | None
) -> tuple[float, float]:
    begin = float(np.nanmin(at_s)) if not np.isnan(at_s).all() else 0.0
    return _second(since, begin, float("-inf")), _second(until, begin, float("inf"))


def _second(bound: timedelta | datetime | None, begin: float, default: float) -> float:
    match bound:
        case None:
            return default
        case timedelta():
            return begin + bound.total_seconds()
        case _:
            return (bound - _EPOCH).total_seconds()


def _moment(seconds: float) -> datetime:
    return _EPOCH + timedelta(seconds=float(seconds))
