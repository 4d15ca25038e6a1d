"""Scores of a Parquet file from outside: its rows as a level's columns, the level's detector, the scores beside the keys.

No lake is needed. Only a schema's own columns are read, never one that says what is true of a row (label, event_id, ignore,
kind, sev, aux, window_id): a file scores alike with and without them. Nor does it matter how its rows lie, or whether some
stand twice.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from gpulake.detecting.outcomes import FileScored
from gpulake.detectors import Block, Columns, Detector, Level, Matrix, all_detectors
from gpulake.detectors.levels import fixed, whole
from gpulake.detectors.rows import once
from gpulake.errors import ContractError, SourceError, UsageError

_DAY_H = 24


@dataclass(frozen=True)
class _Schema:
    """A kind of file: its level, the columns of each kind, which of them are the key, when it is learned from.

    `more` matches further numbers, and `measured` are those that a variant lacks, by the variant's name.
    """

    level: Level
    keys: tuple[tuple[str, ...], ...]
    names: tuple[str, ...]
    numbers: tuple[str, ...]
    schedule: Callable[[Columns], Sequence[Block]]
    times: tuple[str, ...] = ()
    more: re.Pattern[str] | None = None
    lacks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def _machine_hours(rows: Columns) -> Sequence[Block]:
    return fixed(fit=(3 * _DAY_H, 14 * _DAY_H), calibrate=(14 * _DAY_H, 21 * _DAY_H), until=_end(rows["hour_idx"]))


def _gpu_hours(rows: Columns) -> Sequence[Block]:
    return fixed(fit=(3 * _DAY_H, 12 * _DAY_H), calibrate=(12 * _DAY_H, 18 * _DAY_H), until=_end(rows["hour_idx"]))


def _jobs(rows: Columns) -> Sequence[Block]:
    learned = 21.0 * _DAY_H
    return fixed(
        fit=(min(0.0, _first(rows["start"])), learned), calibrate=(learned, learned), until=_end(rows["start"])
    )


def _series(rows: Columns) -> Sequence[Block]:
    moments = rows["step"] if "step" in rows else rows["ts"]
    return whole(first=_first(moments), until=_end(moments))


def _first(moments: Matrix) -> float:
    return float(np.nanmin(moments)) if np.isfinite(moments).any() else 0.0


def _end(moments: Matrix) -> float:
    """Past the last moment, so that a half-open span holds it."""
    return float(np.nanmax(moments)) + 1 if np.isfinite(moments).any() else 0.0


_SCHEMAS = {
    "fleet_machine_hour": _Schema(
        level=Level.MACHINE_HOUR,
        keys=(("hour_idx", "machine"),),
        names=("machine", "cohort", "main_job"),
        numbers=(
            *("hour_idx", "gpu_util", "gpu_util_p95", "cpu_util", "net", "load1", "mem", "alloc"),
            *("power", "temp", "clock", "gpus_visible", "n_samples"),
        ),
        schedule=_machine_hours,
        lacks={"pai": ("power", "temp", "clock", "gpus_visible")},
    ),
    "fleet_gpu_hour": _Schema(
        level=Level.GPU_HOUR,
        keys=(("hour_idx", "machine", "gpu"),),
        names=("machine", "gpu", "cohort", "job"),
        numbers=("hour_idx", "util", "power", "temp", "clock", "alloc"),
        schedule=_gpu_hours,
    ),
    "fleet_jobs": _Schema(
        level=Level.JOB,
        keys=(("job",),),
        names=("job", "user", "cohort"),
        numbers=("size", "start", "dur", "gpu_util", "cpu_per_gpu", "net_per_gpu", "mem_gb"),
        schedule=_jobs,
    ),
    "series": _Schema(
        level=Level.SERIES,
        keys=(("entity", "split", "step"), ("series", "ts")),
        names=("entity", "split", "series"),
        numbers=("step", "value"),
        times=("ts",),
        schedule=_series,
        more=re.compile(r"m\d+"),
    ),
}
SCHEMAS = tuple(_SCHEMAS)
VARIANTS = tuple(sorted({variant for schema in _SCHEMAS.values() for variant in schema.lacks}))


def score_file(
    source: Path, *, schema: str, out: Path, variant: str | None = None, dry_run: bool = False
) -> FileScored:
    """Score a file's rows into another: its keys, `score` (null: not judged) and `flag` (0 or 1), in the order of its rows.

    Raises UsageError where the call is wrong or the result cannot be written, SourceError where the file cannot be read, and
    ContractError where it lacks rows, columns, keys or types that the schema promises.
    """
    kind = _kind(schema, variant)
    _refuse_bad_places(source, out)
    table, detector = _read(source, schema=schema, kind=kind, without=kind.lacks[variant] if variant else ())
    keys = next(key for key in kind.keys if set(key) <= set(table.column_names))
    where = str(source)
    columns = {name: _column(table[name], name, kind=kind, keys=keys, where=where) for name in table.column_names}
    # A detector's answer depends on no order and no repetition; shown sorted and once, its rounding does not either.
    shown = once(
        [columns[name] for name in keys], values=[values for name, values in columns.items() if name not in keys]
    )
    rows: Columns = {name: shown.column(values) for name, values in columns.items()}
    verdicts = detector.judge(rows, kind.schedule(rows))
    is_scored = ~np.isnan(verdicts.score)
    is_flagged = verdicts.flag & is_scored & (True if verdicts.is_judged is None else verdicts.is_judged)
    score, flag = shown.spread(verdicts.score), shown.spread(is_flagged)
    scores = table.select(list(keys))
    scores = scores.append_column("score", pa.array(score, pa.float64(), from_pandas=True))
    scores = scores.append_column("flag", pa.array(flag.astype(np.int8), pa.int8()))
    if not dry_run:
        _write(scores.replace_schema_metadata(), out)
    return FileScored(
        schema=schema,
        variant=variant,
        detector=detector.name,
        rows=table.num_rows,
        scored=int(np.sum(~np.isnan(score))),
        flagged=int(np.sum(flag)),
        out=None if dry_run else str(out),
    )


def _kind(schema: str, variant: str | None) -> _Schema:
    kind = _SCHEMAS.get(schema)
    if kind is None:
        raise UsageError(f"there is no schema {schema!r}.", where="--schema", do=f"name one of {', '.join(SCHEMAS)}")
    if variant is not None and variant not in kind.lacks:
        known = [f"{each} of {name}" for name, other in _SCHEMAS.items() for each in other.lacks]
        raise UsageError(
            f"{schema} has no variant {variant!r}.", where="--variant", do=f"leave it out, or use {', '.join(known)}"
        )
    return kind


def _refuse_bad_places(source: Path, out: Path) -> None:
    if not source.is_file():
        what = "is a folder" if source.is_dir() else "is not there"
        raise UsageError(f"the file to score {what}.", where=str(source), do="name a Parquet file")
    if out.is_dir():
        raise UsageError("the place of the scores is a folder.", where=str(out), do="name a file in it")
    if out.exists() and out.samefile(source):
        raise UsageError(
            "the scores would replace the file that they are of.", where=str(out), do="name another file for --out"
        )


def _read(source: Path, *, schema: str, kind: _Schema, without: Sequence[str]) -> tuple[pa.Table, Detector]:
    """The columns of the file that the schema has, and the detector that they serve."""
    try:
        with pq.ParquetFile(source) as file:
            there = file.schema_arrow.names
            known = {*kind.names, *kind.numbers, *kind.times} - set(without)
            chosen = [name for name in there if name in known or (kind.more and kind.more.fullmatch(name))]
            detector = _detector(kind, chosen, schema=schema, where=str(source))
            table = file.read(columns=chosen)
    except (OSError, pa.ArrowException) as error:
        raise SourceError(
            f"this file cannot be read as Parquet: {str(error).splitlines()[0].rstrip('.')}.",
            where=str(source),
            do="deliver a whole Parquet file",
        ) from error
    if not table.num_rows:
        raise ContractError("the file has no row.", where=str(source), do="deliver rows to score")
    return table, detector


def _detector(kind: _Schema, there: Sequence[str], *, schema: str, where: str) -> Detector:
    """The detector of the level that lacks the fewest columns, which must be none."""
    of_level = [each for each in all_detectors() if each.level is kind.level and not each.retrospective]
    if not of_level:
        raise UsageError(f"no detector judges a {kind.level.value}.", where=f"--schema {schema}", do="add one")
    missing = {
        each.name: [name for name in dict.fromkeys((*_keys_of(kind, each), *each.needs)) if name not in there]
        for each in of_level
    }
    best = min(of_level, key=lambda each: len(missing[each.name]))
    if missing[best.name]:
        raise ContractError(
            f"the file lacks {_listed(missing[best.name])}, which {schema} has.",
            where=where,
            do="add the columns, or name another --schema",
        )
    return best


def _keys_of(kind: _Schema, detector: Detector) -> tuple[str, ...]:
    """The schema's key that the detector's own columns name most of."""
    return max(kind.keys, key=lambda key: len(set(key) & set(detector.needs)))


def _column(
    values: pa.ChunkedArray, name: str, *, kind: _Schema, keys: Sequence[str], where: str
) -> NDArray[np.generic]:
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    of, type_ = values.type, pa.types
    is_text = type_.is_string(of) or type_.is_large_string(of)
    is_number = type_.is_integer(of) or type_.is_floating(of) or type_.is_boolean(of) or type_.is_decimal(of)
    is_time = type_.is_timestamp(of) or type_.is_date(of)
    if name in keys and values.null_count:
        raise ContractError(
            f"{values.null_count:,} rows have no {name}, which is part of the key.", where=where, do="leave them out"
        )
    if name in kind.times and is_time:
        return _floats(values.cast(pa.timestamp("us", tz=getattr(of, "tz", None))).cast(pa.int64())) / 1e6
    if name in kind.names and is_text:
        return np.asarray(pc.fill_null(values, "").to_numpy()).astype(str)
    if name in kind.names and (type_.is_integer(of) or type_.is_boolean(of)):
        return np.asarray(pc.fill_null(values.cast(pa.int64()), -1).to_numpy())
    if is_number or type_.is_null(of):
        found = _floats(values)
        return np.where(np.isfinite(found), found, np.nan)
    wanted = "times or numbers" if name in kind.times else "names or whole numbers" if name in kind.names else "numbers"
    raise ContractError(f"{name} is of type {of}: {wanted} are needed.", where=where, do="deliver it as such")


def _floats(values: pa.ChunkedArray) -> Matrix:
    return np.asarray(values.cast(pa.float64(), safe=False).to_numpy(), np.float64)


def _write(scores: pa.Table, out: Path) -> None:
    unfinished = out.with_name(out.name + ".unfinished")
    try:
        pq.write_table(scores, unfinished)
        unfinished.replace(out)
    except OSError as error:
        with suppress(OSError):
            unfinished.unlink()
        raise UsageError(
            f"the scores cannot be written: {os.strerror(error.errno) if error.errno else error}.",
            where=str(out),
            do="choose another place, or free some space",
        ) from error


def _listed(names: Sequence[str]) -> str:
    return f"the column {names[0]}" if len(names) == 1 else f"the columns {', '.join(names)}"
