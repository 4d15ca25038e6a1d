"""One small problem per lane and day: which windows bear on it, and which pieces of hours are asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gpulake.reconstruct import cover
from gpulake.reconstruct.cover import Cover, Groups, Tracks
from gpulake.reconstruct.values import HOUR_S, Bools, Days, Floats, Ints, Parameters, Windows

_DAY_BITS = 40


@dataclass(frozen=True)
class Members:
    """Merged windows of blocks, sorted by block; times from the block's start. `level`: mean of running windows' logarithm."""

    block: Ints
    start_s: Ints
    end_s: Ints
    windows: Ints
    value: Floats
    level: Floats
    may_be_left_out: Bools


@dataclass(frozen=True)
class Pieces:
    """Covered spans within single hours of blocks, sorted by block and time."""

    block: Ints
    start_s: Ints
    end_s: Ints
    hour_no: Ints
    level: Floats


def blocks_of(windows: Windows, *, days: Days, parameters: Parameters) -> tuple[Members, Pieces]:
    """The problems of days that are sorted by lane and start; a day without a covered second has no piece, and no member."""
    tracks = cover.tracks_of(days, reach_s=parameters.reach_s)
    value = np.rint(windows.value * cover.VALUE_UNITS).astype(np.int64)
    row, track = cover.on_tracks(windows, tracks)
    start_s, end_s = windows.start_s[row] - tracks.origin_s[track], windows.end_s[row] - tracks.origin_s[track]
    covered = cover.cover(track, start_s, end_s, tracks=tracks)
    pieces = _pieces(covered, days=days, tracks=tracks)
    asked = np.zeros(days.lane.size, dtype=np.bool_)
    asked[pieces.block] = True

    fine = cover.merged(track, start_s, end_s, value[row], cell_s=parameters.fine_cell_s)
    lists = [
        _meeting(fine, days=days, tracks=tracks, cell_s=parameters.fine_cell_s),
        _beside(windows, value, days=days, parameters=parameters, is_before=True),
        _beside(windows, value, days=days, parameters=parameters, is_before=False),
    ]
    block, starts, ends, count, total = (np.concatenate(parts) for parts in zip(*lists, strict=True))
    order = np.argsort(block, kind="stable")
    order = order[asked[block[order]]]
    block, starts, ends, count, total = (each[order] for each in (block, starts, ends, count, total))
    is_fine = order < lists[0][0].size
    length_s = days.end_s[block] - days.start_s[block]
    return (
        Members(
            block,
            starts,
            ends,
            count,
            total / (count[:, None] * float(cover.VALUE_UNITS)) / days.full[block],
            _levels(block, starts, ends, covered, days=days, tracks=tracks, reach_s=parameters.reach_s),
            is_fine & (ends > 0) & (ends <= length_s) & (ends - starts <= parameters.margin_s + parameters.reach_s),
        ),
        pieces,
    )


def _pieces(covered: Cover, *, days: Days, tracks: Tracks) -> Pieces:
    first, last = covered.start_s // HOUR_S, (covered.end_s - 1) // HOUR_S
    row, hour = cover.spread(first, last - first + 1)
    track = covered.track[row]
    start_s = np.maximum(covered.start_s[row], hour * HOUR_S)
    end_s = np.minimum(covered.end_s[row], (hour + 1) * HOUR_S)
    # Days of a track are sorted, and a lane's tracks stand beside each other: look for the last day that has begun.
    day_starts_s = days.start_s - tracks.origin_s[tracks.of_day]
    order = np.argsort((tracks.of_day << _DAY_BITS) + day_starts_s, kind="stable")
    codes = ((tracks.of_day << _DAY_BITS) + day_starts_s)[order]
    place = np.searchsorted(codes, (track << _DAY_BITS) + start_s, side="right") - 1
    day = order[np.maximum(place, 0)]
    start_s, end_s = start_s - day_starts_s[day], end_s - day_starts_s[day]
    end_s = np.minimum(end_s, days.end_s[day] - days.start_s[day])
    inside = (place >= 0) & (tracks.of_day[day] == track) & (start_s >= 0) & (start_s < end_s)
    day, start_s, end_s = day[inside], start_s[inside], end_s[inside]
    level = covered.level[tracks.first_hour[track[inside]] + hour[inside]] / cover.FRACTION
    sorted_by_day = np.lexsort((start_s, day))
    day, start_s, end_s = day[sorted_by_day], start_s[sorted_by_day], end_s[sorted_by_day]
    return Pieces(day, start_s, end_s, start_s // HOUR_S, level[sorted_by_day])


def days_near(windows: Windows, *, days: Days, within_s: int) -> Bools:
    """On which days any window of their lane runs, or comes so near."""
    found = np.zeros(days.lane.size, dtype=np.bool_)
    if not windows.lane.size or not found.size:
        return found
    origin = min(int(days.start_s.min()), int(windows.start_s.min()) - within_s)
    order = np.lexsort((days.start_s, days.lane))
    starts = ((days.lane << _DAY_BITS) + days.start_s - origin)[order]
    ends = ((days.lane << _DAY_BITS) + days.end_s - origin)[order]
    base = windows.lane << _DAY_BITS
    first = np.searchsorted(ends, base + windows.start_s - within_s - origin, side="right")
    last = np.searchsorted(starts, base + windows.end_s + within_s - origin, side="left")
    _, place = cover.spread(first, np.maximum(last - first, 0))
    found[order[place]] = True
    return found


_List = tuple[Ints, Ints, Ints, Ints, Ints]
"""Blocks, starts and ends from the block's start, windows, totals."""


def _meeting(fine: Groups, *, days: Days, tracks: Tracks, cell_s: int) -> _List:
    """Groups whose cells meet a day, once for each day that they meet."""
    relative = days.start_s - tracks.origin_s[tracks.of_day]
    code = (tracks.of_day << _DAY_BITS) + relative
    order = np.argsort(code, kind="stable")
    starts, ends = code[order], (code + days.end_s - days.start_s)[order]
    base = fine.key << _DAY_BITS
    limit = (1 << _DAY_BITS) - 1
    first = np.searchsorted(ends, base + np.clip(fine.first_cell * cell_s, 0, limit), side="right")
    last = np.searchsorted(starts, base + np.clip(fine.end_cell * cell_s, 0, limit), side="left")
    row, place = cover.spread(first, np.maximum(last - first, 0))
    day = order[place]
    return day, fine.start_s[row] - relative[day], fine.end_s[row] - relative[day], fine.windows[row], fine.total[row]


def _beside(windows: Windows, value: Ints, *, days: Days, parameters: Parameters, is_before: bool) -> _List:
    """Windows wholly on one side of a day that come within the margin, merged in coarse cells: each bears on one day there."""
    if is_before:  # the first day that begins at its end or later
        edge_s, near_s = days.start_s, windows.end_s
    else:  # the last day that ended at its start or before
        edge_s, near_s = days.end_s, windows.start_s
    origin = min(int(edge_s.min()), int(near_s.min(initial=edge_s[0])))
    codes = (days.lane << _DAY_BITS) + (edge_s - origin)
    code = (windows.lane << _DAY_BITS) + (near_s - origin)
    place = np.searchsorted(codes, code, side="left" if is_before else "right") - (0 if is_before else 1)
    day = np.clip(place, 0, codes.size - 1)
    distance = np.abs(codes[day] - code)
    # An end at exactly the margin is outside of it, a start too.
    near = (place == day) & (days.lane[day] == windows.lane) & (distance < parameters.margin_s)
    day = day[near]
    found = cover.merged(
        day,
        windows.start_s[near] - edge_s[day],
        windows.end_s[near] - edge_s[day],
        value[near],
        cell_s=parameters.coarse_cell_s,
    )
    shift = edge_s[found.key] - days.start_s[found.key]
    return found.key, found.start_s + shift, found.end_s + shift, found.windows, found.total


def _levels(
    block: Ints, start_s: Ints, end_s: Ints, covered: Cover, *, days: Days, tracks: Tracks, reach_s: int
) -> Floats:
    """The mean level of each member over its part within reach of the day."""
    track = tracks.of_day[block]
    length_s = days.end_s[block] - days.start_s[block]
    shift = days.start_s[block] - tracks.origin_s[track]
    start_s, end_s = np.maximum(start_s, -reach_s), np.minimum(end_s, length_s + reach_s)
    sums = []
    for at in (start_s + shift, end_s + shift):
        hour = np.minimum(at // HOUR_S, tracks.hours[track] - 1)
        place = tracks.first_hour[track] + hour
        sums.append(cover.level_until(covered, hour=place, rest_s=at - hour * HOUR_S))
    found: Floats = (sums[1] - sums[0]) / np.maximum(end_s - start_s, 1) / cover.FRACTION
    return found
