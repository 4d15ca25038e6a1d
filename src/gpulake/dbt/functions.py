"""Functions that the models call and SQL lacks: whoever runs a build's statements has them registered first."""

from __future__ import annotations

from contextlib import suppress
from typing import Any  # DuckDB's connections, as dbt has them too

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from gpulake.lake import QueryError
from gpulake.reconstruct import Days, Hours, LeftOut, Windows, reconstruct_columns

_WINDOWS = "STRUCT(start_s BIGINT, end_s BIGINT, gpu_pct DOUBLE, cpu_pct DOUBLE)[]"
_DAYS = "STRUCT(day_no BIGINT, start_s BIGINT, end_s BIGINT, gpus BIGINT, gpu_noise DOUBLE, cpu_noise DOUBLE)[]"
_AMOUNTS = ("micro_pct", "micro_variance", "micro_share", "most_micro_pct", "micro_per_shift")
_SHIFT = ("micro_pull", "micro_pull_weight")
_LEFT_OUT = (
    "left_out_s",
    "left_out_micro_pct",
    "left_out_swept_micro_pct",
    "left_out_reconstructed_micro_pct",
    "left_out_most_micro_pct",
    "left_out_micro_per_shift",
)
_COLUMNS = tuple(f"{quantity}_{name}" for quantity in ("gpu", "cpu") for name in (*_AMOUNTS, *_SHIFT, *_LEFT_OUT))
_HOUR = pa.struct([(name, pa.int64()) for name in ("day_no", "hour_no", *_COLUMNS)])
_HOURS = f"STRUCT({', '.join(f'{field.name} BIGINT' for field in _HOUR)})[]"
_LISTS_AT_ONCE = 1024
_HOURS_A_DAY = 32
"""Room for those of a day that clocks make longer."""

_Ints = npt.NDArray[np.int64]


def register(connection: Any) -> None:
    """Make the functions known to a database: once is enough, and again changes nothing."""
    with suppress(QueryError):  # it has them
        connection.create_function("hours_from_windows", hours_from_windows, [_WINDOWS, _DAYS], _HOURS, type="arrow")


def hours_from_windows(windows: Any, days: Any) -> pa.Array:
    """Of each list of windows, of one machine, the hours of each list of days: see `gpulake.reconstruct`.

    Windows tell of one GPU, so that a machine may change its number. Amounts come in millionths of a percent, summed over the GPUs that
    it has on the day; of what was left out in those of one GPU. Noise: the variance of one window's own error, of one GPU (percent²).
    Means are what the machine's own windows say, out of bounds too; what they tell of a shift of the fleet's day stands in its first hour.
    """
    windows, days = _whole(windows), _whole(days)
    parts = [
        _solved(windows[at : at + _LISTS_AT_ONCE], days[at : at + _LISTS_AT_ONCE])
        for at in range(0, len(days), _LISTS_AT_ONCE)
    ]
    return pa.concat_arrays(parts) if parts else pa.array([], type=pa.list_(_HOUR))


def _whole(lists: Any) -> Any:
    return lists.combine_chunks() if isinstance(lists, pa.ChunkedArray) else lists


def _solved(windows: Any, days: Any) -> pa.Array:
    lane, of_window = _rows(windows)
    day_lane, of_day = _rows(days)
    size = np.stack((_ints(of_day, "gpus"), np.ones(day_lane.size, dtype=np.int64)), axis=1)
    value, noise = _floats(of_window, "gpu_pct", "cpu_pct"), _floats(of_day, "gpu_noise", "cpu_noise")
    asked = Days(day_lane, _ints(of_day, "start_s"), _ints(of_day, "end_s"), np.full(size.shape, 100.0), noise)
    found = reconstruct_columns(
        Windows(lane, _ints(of_window, "start_s"), _ints(of_window, "end_s"), value), days=asked
    )
    keys = np.unique(np.concatenate([hours.day * _HOURS_A_DAY + hours.hour_no for hours, _ in found]))
    keys = keys[np.argsort(day_lane[keys // _HOURS_A_DAY], kind="stable")]
    columns = [_ints(of_day, "day_no")[keys // _HOURS_A_DAY], keys % _HOURS_A_DAY]
    arrays = [pa.array(column) for column in columns]
    for (hours, left), of_size in zip(found, size.T, strict=True):
        arrays += _amounts(keys, hours, of_size[hours.day]) + _left_out(keys, left, asked)
    hours_of = pa.StructArray.from_arrays(arrays, fields=list(_HOUR))
    counts = np.bincount(day_lane[keys // _HOURS_A_DAY], minlength=len(days))
    return pa.ListArray.from_arrays(pa.array(np.append(0, np.cumsum(counts)), type=pa.int32()), hours_of)


def _rows(lists: Any) -> tuple[_Ints, Any]:
    """The rows of all lists, and whose each is."""
    counts = np.diff(lists.offsets.to_numpy())
    return np.repeat(np.arange(counts.size), counts), lists.flatten()


def _ints(rows: Any, name: str) -> _Ints:
    found: _Ints = rows.field(name).to_numpy(zero_copy_only=False).astype(np.int64)
    return found


def _floats(rows: Any, *names: str) -> npt.NDArray[np.float64]:
    return np.stack([rows.field(name).to_numpy(zero_copy_only=False).astype(np.float64) for name in names], axis=1)


def _amounts(keys: _Ints, hours: Hours, size: _Ints) -> list[Any]:
    own = hours.day * _HOURS_A_DAY + hours.hour_no
    square = size * size
    figures = [
        _micro(hours.unbounded[:, 0]) * size,
        _micro(hours.variance[:, 0]) * square,
        _micro(hours.share[:, 0]) * square,
        _micro(hours.most[:, 0]) * size,
        _micro(hours.per_shift[:, 0]) * size,
    ]
    begins = hours.pull_weight[:, 0] != 0
    of_shift = [_micro(each[begins, 0]) for each in (hours.pull, hours.pull_weight)]
    return _placed(keys, own, figures) + _placed(keys, own[begins], of_shift)


def _left_out(keys: _Ints, left: LeftOut, asked: Days) -> list[Any]:
    own = left.day * _HOURS_A_DAY + (left.end_s - asked.start_s[left.day] - 1) // 3600
    told = (left.measured, left.swept, left.unbounded, left.most, left.per_shift)
    figures = [_micro(each[:, 0]) for each in told]
    return _placed(keys, own, [left.length_s, *figures])


def _micro(figures: npt.NDArray[np.float64]) -> _Ints:
    return np.rint(figures * 1e6).astype(np.int64)


def _placed(keys: _Ints, own: _Ints, columns: list[_Ints]) -> list[Any]:
    """Columns at their rows, and nothing at the others."""
    order = np.argsort(own, kind="stable")
    if not own.size:
        return [pa.nulls(keys.size, pa.int64()) for _ in columns]
    place = np.minimum(np.searchsorted(own[order], keys), own.size - 1)
    is_there = own[order][place] == keys
    return [pa.array(column[order][place], mask=~is_there) for column in columns]
