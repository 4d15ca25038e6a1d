"""What windows cover: pieces of hours, how many windows run in an hour, and like windows merged. All in whole numbers.

Whole numbers make a day's figures the same to the last bit, whichever other days are asked for beside it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gpulake.reconstruct.values import HOUR_S, Days, Ints, Windows

FRACTION = 1 << 20
"""How finely the running windows of an hour are told: their logarithm in 2⁻²⁰."""
VALUE_UNITS = 100_000_000
"""Values are summed in units of 1e-8 percent."""
_TRACK = 1 << 40


@dataclass(frozen=True)
class Tracks:
    """Lanes by the second of the hour at which their days begin: one each, but where clocks change by half an hour.

    Times on a track count from `origin_s`, a whole number of hours before the first day that is asked for.
    """

    lane: Ints
    origin_s: Ints
    hours: Ints
    of_day: Ints

    @property
    def first_hour(self) -> Ints:
        """Where each track's hours begin in a list of all hours; each track has one more than it needs."""
        return np.concatenate(([0], np.cumsum(self.hours + 1)))


@dataclass(frozen=True)
class Groups:
    """Like windows as one: sorted by what they were grouped by. Times as those that were given; `total` in VALUE_UNITS."""

    key: Ints
    start_s: Ints
    end_s: Ints
    first_cell: Ints
    end_cell: Ints
    windows: Ints
    total: Ints


@dataclass(frozen=True)
class Cover:
    """What windows cover of each track's hours: `level_sum` sums levels × seconds up to each hour's start."""

    covered_s: Ints
    level: Ints
    level_sum: Ints
    start_s: Ints
    end_s: Ints
    track: Ints


def tracks_of(days: Days, *, reach_s: int) -> Tracks:
    """The tracks of days that are sorted by lane and start."""
    phase = days.start_s % HOUR_S
    keys, of_day = np.unique(days.lane * HOUR_S + phase, return_inverse=True)
    first = np.full(keys.size, np.iinfo(np.int64).max)
    last = np.full(keys.size, np.iinfo(np.int64).min)
    np.minimum.at(first, of_day, days.start_s)
    np.maximum.at(last, of_day, days.end_s)
    hours = -(-(last - first) // HOUR_S) + 2 * reach_s // HOUR_S
    return Tracks(keys // HOUR_S, first - reach_s, hours, of_day.reshape(-1).astype(np.int64))


def on_tracks(windows: Windows, tracks: Tracks) -> tuple[Ints, Ints]:
    """Which windows stand on which track: places in both."""
    first = np.searchsorted(tracks.lane, windows.lane, side="left")
    count = np.searchsorted(tracks.lane, windows.lane, side="right") - first
    return spread(first, count)


def spread(first: Ints, count: Ints) -> tuple[Ints, Ints]:
    """Each row as often as it counts, and the numbers that it counts from `first` on."""
    rows = np.repeat(np.arange(count.size), count)
    step = np.arange(rows.size) - np.repeat(np.cumsum(count) - count, count)
    return rows, first[rows] + step


def cover(track: Ints, start_s: Ints, end_s: Ints, *, tracks: Tracks) -> Cover:
    """What windows, in times of their tracks, cover."""
    start_s, end_s = np.maximum(start_s, 0), np.minimum(end_s, tracks.hours[track] * HOUR_S)
    inside = start_s < end_s
    track, start_s, end_s = track[inside], start_s[inside], end_s[inside]
    first_hour = tracks.first_hour
    running_s = _seconds_of_hours(track, start_s, end_s, first_hour=first_hour)
    track, start_s, end_s = _united(track, start_s, end_s)
    covered_s = _seconds_of_hours(track, start_s, end_s, first_hour=first_hour)
    level = np.rint(np.log1p(running_s / np.maximum(covered_s, 1)) * FRACTION).astype(np.int64)
    level_sum = np.concatenate(([0], np.cumsum(level * HOUR_S)))[:-1]
    return Cover(covered_s, level, level_sum, start_s, end_s, track)


def _seconds_of_hours(track: Ints, start_s: Ints, end_s: Ints, *, first_hour: Ints) -> Ints:
    """Σ of the seconds of spans that lie in each hour of each track."""
    size = int(first_hour[-1])
    opens, closes = first_hour[track] + start_s // HOUR_S, first_hour[track] + end_s // HOUR_S
    whole = np.bincount(opens, minlength=size) - np.bincount(closes, minlength=size)
    rest = np.bincount(closes, weights=end_s % HOUR_S, minlength=size)
    rest -= np.bincount(opens, weights=start_s % HOUR_S, minlength=size)
    return np.cumsum(whole) * HOUR_S + rest.astype(np.int64)


def _united(track: Ints, start_s: Ints, end_s: Ints) -> tuple[Ints, Ints, Ints]:
    """The maximal spans that are covered, in the order of track and time."""
    code_start, code_end = track * _TRACK + start_s, track * _TRACK + end_s
    order = np.argsort(code_start, kind="stable")
    code_start, reached = code_start[order], np.maximum.accumulate(code_end[order])
    opens = np.ones(order.size, dtype=np.bool_)
    opens[1:] = code_start[1:] > reached[:-1]
    closes = np.append(opens[1:], True)[: order.size]
    found = code_start[opens]
    return found // _TRACK, found % _TRACK, reached[closes] % _TRACK


def merged(key: Ints, start_s: Ints, end_s: Ints, value: Ints, *, cell_s: int) -> Groups:
    """Windows of one key that begin in the same cell and end in the same one, as one window: mean times, and how many."""
    first_cell, end_cell = start_s // cell_s, -(-end_s // cell_s)
    order = np.lexsort((end_cell, first_cell, key))
    key, first_cell, end_cell = key[order], first_cell[order], end_cell[order]
    begins = np.ones(order.size, dtype=np.bool_)
    begins[1:] = (key[1:] != key[:-1]) | (first_cell[1:] != first_cell[:-1]) | (end_cell[1:] != end_cell[:-1])
    at = np.flatnonzero(begins)
    if not at.size:
        return Groups(key, start_s, end_s, first_cell, end_cell, key, value)
    windows = np.diff(np.append(at, order.size))

    def mean(of: Ints) -> Ints:
        found: Ints = (2 * np.add.reduceat(of[order], at) + windows) // (2 * windows)
        return found

    return Groups(
        key[at],
        mean(start_s),
        mean(end_s),
        first_cell[at],
        end_cell[at],
        windows,
        np.add.reduceat(value[order], at, axis=0),
    )


def level_until(covered: Cover, *, hour: Ints, rest_s: Ints) -> Ints:
    """The sum of levels × seconds up to a moment: an hour's place in the list of all hours, and seconds since."""
    return covered.level_sum[hour] + covered.level[hour] * rest_s
