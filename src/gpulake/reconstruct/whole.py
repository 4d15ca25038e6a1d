"""The whole way: windows in, hours out, in stacks of blocks of equal size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from gpulake.reconstruct.blocks import Members, Pieces, blocks_of, days_near
from gpulake.reconstruct.kriging import Solved, Stack, is_long, solved
from gpulake.reconstruct.values import (
    HOUR_S,
    PARAMETERS,
    Bools,
    Days,
    Floats,
    Hours,
    Ints,
    LeftOut,
    Parameters,
    Windows,
)

_STEP_LIST = (*range(2, 17, 2), 20, 24, 28, 32, 40, 48, 64)
_ENTRIES_AT_ONCE = 40_000
_EXACT = 1e6
"""Figures are told to so many parts of one: what is beyond depends on the machine."""
_COMPARED_FROM = 0.5
"""A window is left out and predicted where others cover so much of it."""
_COLUMNS = 2
"""Blocks are always solved for as many quantities: how many are asked for changes no bit."""


_Rows = TypeVar("_Rows", Hours, LeftOut)


@dataclass(frozen=True)
class _Sums:
    """Of each piece: its part of its hour's sum, of that sum's variance, of its day's sum's, and of what a shift adds.

    Of each block the most that is, and what it knows of a shift.
    """

    mean: Floats
    variance: Floats
    share: Floats
    per_shift: Floats
    most: Floats
    pull: Floats
    pull_weight: Floats


def reconstruct(windows: Windows, *, days: Days, parameters: Parameters = PARAMETERS) -> tuple[Hours, LeftOut]:
    """The hours of days as far as windows cover them, and one window a day left out and predicted.

    Values are known, in one or two columns. The order of rows is irrelevant; a day depends on the windows that meet it or come within
    a day's reach of it, and on nothing else.
    """
    order = np.lexsort((days.start_s, days.lane))
    columns = windows.value.shape[1]
    windows, asked = _two_columns(windows.where(windows.start_s < windows.end_s)), _two_full(days.where(order))
    if not windows.lane.size or not order.size:
        return _nothing(columns)
    members, pieces = blocks_of(windows, days=asked, parameters=parameters)
    if not members.block.size:
        return _nothing(columns)
    left_out = _left_out(members, days=asked)
    sums, left = _solved(members, pieces, left_out, days=asked, parameters=parameters)
    hours = _hours(pieces, sums, days=asked)
    return _columns(hours, slice(columns), order), _columns(left, slice(columns), order)


def reconstruct_columns(
    windows: Windows, *, days: Days, parameters: Parameters = PARAMETERS
) -> list[tuple[Hours, LeftOut]]:
    """As `reconstruct`, once per column: a window whose value is NaN does not exist for that column.

    Days on which only windows with both values bear, without noise, are solved once for both.
    """
    missing = np.isnan(windows.value)
    odd = windows.where(np.flatnonzero(missing.any(axis=1) & ~missing.all(axis=1)))
    uneven = days_near(odd, days=days, within_s=parameters.reach_s + HOUR_S) | days.noise_ratio.any(axis=1)
    found: list[list[tuple[Hours, LeftOut]]] = [[] for _ in range(windows.value.shape[1])]
    for is_even, columns in [(True, slice(None)), *((False, slice(at, at + 1)) for at in range(len(found)))]:
        of_days = np.flatnonzero(uneven != is_even)
        chosen = np.isin(windows.lane, days.lane[of_days]) & ~missing[:, columns].any(axis=1)
        some = Windows(
            windows.lane[chosen], windows.start_s[chosen], windows.end_s[chosen], windows.value[chosen][:, columns]
        )
        asked = days.where(of_days).columns(columns)
        hours, left = reconstruct(some, days=asked, parameters=parameters)
        for place, column in enumerate(range(len(found))[columns]):
            one = slice(place, place + 1)
            found[column].append((_columns(hours, one, of_days), _columns(left, one, of_days)))
    return [(_joined([hours for hours, _ in parts]), _joined([left for _, left in parts])) for parts in found]


def _columns(rows: _Rows, chosen: slice, of_days: Ints) -> _Rows:
    """Some quantities of hours or of windows that were left out, and the days as places in another list."""
    fields = {name: each[:, chosen] if each.ndim > 1 else each for name, each in vars(rows).items()}
    return type(rows)(**{**fields, "day": of_days[rows.day]})


def _joined(parts: Sequence[_Rows]) -> _Rows:
    """The rows of all parts: at least one."""
    return type(parts[0])(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in vars(parts[0])})


def _two_columns(windows: Windows) -> Windows:
    missing = _COLUMNS - windows.value.shape[1]
    value = np.pad(windows.value, ((0, 0), (0, missing)))
    return Windows(windows.lane, windows.start_s, windows.end_s, value)


def _two_full(days: Days) -> Days:
    missing = _COLUMNS - days.full.shape[1]
    full = np.pad(days.full, ((0, 0), (0, missing)), constant_values=1.0)
    noise = None if days.noise is None else np.pad(days.noise, ((0, 0), (0, missing)))
    return Days(days.lane, days.start_s, days.end_s, full, noise)


def _nothing(columns: int) -> tuple[Hours, LeftOut]:
    none, empty = np.empty(0, dtype=np.int64), np.empty((0, columns))
    return Hours(none, none, none, *(empty,) * 8), LeftOut(none, none, none, *(empty,) * 6)


# ---------------------------------------------------------------------------------------------- stacks


def _padded(count: Ints) -> Ints:
    """The next size of a fixed list: it depends on nothing but the block, so a block's bits do not either."""
    steps = [*_STEP_LIST]
    while steps[-1] < count.max(initial=0):
        steps.append(steps[-1] * 5 // 4)
    sizes = np.array(steps)
    return sizes[np.searchsorted(sizes, count)]


def _left_out(members: Members, *, days: Days) -> Ints:
    """The member of each day that is left out: by a number made of its times, so that it is the same in every build."""
    start_s = (days.start_s[members.block] + members.start_s).astype(np.uint64)
    length_s = (members.end_s - members.start_s).astype(np.uint64)
    mixed = (start_s * np.uint64(0x9E3779B97F4A7C15)) ^ (length_s * np.uint64(0xC2B2AE3D27D4EB4F))
    mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    place = np.where(members.may_be_left_out, (mixed >> np.uint64(33)).astype(np.int64), np.iinfo(np.int64).max)
    order = np.lexsort((place, members.block))
    blocks, first = np.unique(members.block[order], return_index=True)
    found = np.full(days.lane.size, -1)
    chosen = order[first]
    found[blocks] = np.where(members.may_be_left_out[chosen], chosen, -1)
    return found


@dataclass(frozen=True)
class StackOf:
    """A stack and where it comes from: the blocks, and of each of its places the member or piece, and whether there is one."""

    stack: Stack
    blocks: Ints
    member: Ints
    is_member: Bools
    piece: Ints
    is_piece: Bools


def stacks(
    members: Members, pieces: Pieces, left_out: Ints, *, days: Days, parameters: Parameters
) -> Iterator[StackOf]:
    """Every block that has windows and pieces, in stacks of equal size."""
    blocks = days.lane.size
    sizes = np.bincount(members.block, minlength=blocks)
    counts = np.bincount(pieces.block, minlength=blocks)
    first, first_piece = np.cumsum(sizes) - sizes, np.cumsum(counts) - counts
    long = np.zeros(blocks, dtype=np.bool_)
    long[members.block[is_long(members.start_s, members.end_s, parameters=parameters)]] = True
    wide, high = _padded(sizes), _padded(counts)
    order = np.lexsort((long, high, wide))
    order = order[(sizes[order] > 0) & (counts[order] > 0)]
    kind = np.stack((wide, high, long))[:, order]
    changes = np.flatnonzero((kind[:, 1:] != kind[:, :-1]).any(axis=0)) + 1
    for same in np.split(order, changes):
        if not same.size:
            continue
        n, p = int(wide[same[0]]), int(high[same[0]])
        at_once = max(1, _ENTRIES_AT_ONCE // max(n * n, n * p, p * p))
        for some in np.split(same, range(at_once, same.size, at_once)):
            at = first[some][:, None] + np.arange(n)
            at_piece = first_piece[some][:, None] + np.arange(p)
            real = np.arange(n) < sizes[some][:, None]
            real_piece = np.arange(p) < counts[some][:, None]
            chosen = np.where(left_out[some] >= 0, left_out[some] - first[some], -1)
            stack = _stack(members, pieces, (at, real), (at_piece, real_piece), days.where(some), chosen, long[same[0]])
            yield StackOf(stack, some, at, real, at_piece, real_piece)


def _solved(
    members: Members, pieces: Pieces, left_out: Ints, *, days: Days, parameters: Parameters
) -> tuple[_Sums, LeftOut]:
    of_pieces = (np.zeros((pieces.block.size, _COLUMNS)) for _ in range(4))
    of_blocks = (np.zeros((days.lane.size, _COLUMNS)) for _ in range(3))
    sums = _Sums(*of_pieces, *of_blocks)
    parts: list[LeftOut] = []
    for each in stacks(members, pieces, left_out, days=days, parameters=parameters):
        done = solved(each.stack, parameters=parameters)
        taken = each.piece[each.is_piece]
        block, seconds = np.nonzero(each.is_piece)[0], each.stack.piece_s[each.is_piece][:, None]
        scale = done.scale[block]
        sums.mean[taken] = done.mean[each.is_piece] * seconds
        sums.variance[taken] = done.of_hour[each.is_piece][:, None] * scale
        sums.share[taken] = done.of_day[each.is_piece][:, None] * scale
        sums.per_shift[taken] = done.height[block] * (done.untold[each.is_piece][:, None] * seconds)
        sums.most[each.blocks] = done.most
        sums.pull[each.blocks], sums.pull_weight[each.blocks] = done.pull, done.pull_weight
        parts.append(_left(each.stack, done, each.blocks, days=days))
    return sums, _joined(parts)


def _stack(
    members: Members,
    pieces: Pieces,
    places: tuple[Ints, Bools],
    piece_places: tuple[Ints, Bools],
    days: Days,
    left_out: Ints,
    is_long: bool,  # noqa: FBT001
) -> Stack:
    at, real = places
    at = np.where(real, at, 0)
    at_piece, real_piece = piece_places
    at_piece = np.where(real_piece, at_piece, 0)
    return Stack(
        start_s=np.where(real, members.start_s[at], 0).astype(np.float64),
        end_s=np.where(real, members.end_s[at], 0).astype(np.float64),
        windows=np.where(real, members.windows[at], 0).astype(np.float64),
        level=np.where(real, members.level[at], 0),
        value=np.where(real[:, :, None], members.value[at], 0),
        piece_start_s=np.where(real_piece, pieces.start_s[at_piece], 0).astype(np.float64),
        piece_end_s=np.where(real_piece, pieces.end_s[at_piece], 0).astype(np.float64),
        piece_s=np.where(real_piece, pieces.end_s[at_piece] - pieces.start_s[at_piece], 0).astype(np.float64),
        piece_hour=np.where(real_piece, pieces.hour_no[at_piece], -1),
        piece_level=np.where(real_piece, pieces.level[at_piece], 0),
        length_s=(days.end_s - days.start_s).astype(np.float64),
        noise=days.noise_ratio,
        left_out=left_out,
        is_long=is_long,
    )


def _left(stack: Stack, done: Solved, block: Ints, *, days: Days) -> LeftOut:
    found = np.flatnonzero(done.beside_ratio >= _COMPARED_FROM)
    place, block = stack.left_out[found], block[found]
    full = days.full[block]
    return LeftOut(
        block,
        days.start_s[block] + stack.end_s[found, place].astype(np.int64),
        (stack.end_s[found, place] - stack.start_s[found, place]).astype(np.int64),
        _exact(stack.value[found, place] * full),
        _exact(np.clip(done.predicted[found], 0, done.most[found]) * full),
        _exact(done.swept[found] * full),
        _exact(done.predicted[found] * full),
        _exact(done.most[found] * full),
        _exact(done.predicted_per_shift[found] * full),
    )


def _hours(pieces: Pieces, sums: _Sums, *, days: Days) -> Hours:
    """Pieces summed into hours, in the order of time."""
    begins = np.ones(pieces.block.size, dtype=np.bool_)
    begins[1:] = (pieces.block[1:] != pieces.block[:-1]) | (pieces.hour_no[1:] != pieces.hour_no[:-1])
    at = np.flatnonzero(begins)
    day = pieces.block[at]
    is_first = np.append(np.bool_(1), day[1:] != day[:-1])[:, None]
    full = days.full[day]
    covered_s = np.add.reduceat(pieces.end_s - pieces.start_s, at)
    mean, per_shift = (np.add.reduceat(each, at) / covered_s[:, None] for each in (sums.mean, sums.per_shift))
    variance = np.add.reduceat(sums.variance, at) / (covered_s * covered_s)[:, None]
    share = np.add.reduceat(sums.share, at) / HOUR_S**2
    return Hours(
        day,
        pieces.hour_no[at],
        covered_s,
        _exact(np.clip(mean, 0, sums.most[day]) * full),
        _exact(np.maximum(variance, 0) * full**2),
        _exact(share * full**2),
        _exact(mean * full),
        _exact(sums.most[day] * full),
        _exact(per_shift * full),
        *(_exact(np.where(is_first, each[day], 0)) for each in (sums.pull, sums.pull_weight)),
    )


def _exact(figures: Floats) -> Floats:
    return np.rint(figures * _EXACT) / _EXACT + 0.0
