"""Times as sources write them, read as UTC."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

LATEST_S = 4_102_444_800.0
"""Seconds: the year 2100. A later time is milliseconds, or garbage; either would stretch every calendar."""

LONGEST_S = 10 * 365.25 * 86_400
"""Seconds: ten years. Nothing runs for longer, and no table goes on after a longer break."""

ISO_8601 = (
    r"^(?P<date>\d{4}-\d{2}-\d{2})"
    r"(?:[T ](?P<clock>\d{2}:\d{2})(?P<seconds>:\d{2}(?:[.,]\d{1,9})?)?(?P<offset>[Zz]|[+-]\d{2}(?::?\d{2})?)?)?$"
)
EPOCH_SECONDS = r"^[+-]?\d{1,11}(?:\.\d*)?$"
"""Seconds since 1970 as a text: with an exponent their last digits are gone, and more digits are no seconds."""

_UNITS_PER_SECOND = {"epoch_s": 1.0, "epoch_ms": 1000.0}


@dataclass(frozen=True)
class Moment:
    """A column of times: in UTC (null where it is unknown), and what was written, in whichever clock that was."""

    utc: pl.Expr
    written: pl.Expr


def moment(field: pl.Expr, *, dtype: pl.DataType, form: str, time_zone: str) -> Moment:
    """Read a column of texts, numbers or times. Where `written` is known and `utc` is not, the clock is ambiguous."""
    if dtype.is_temporal():
        local = field.cast(pl.Datetime("us"))
        if getattr(dtype, "time_zone", None):
            utc = field.dt.convert_time_zone("UTC").dt.replace_time_zone(None).dt.cast_time_unit("us")
            return Moment(utc, utc)
        return Moment(_utc(local, time_zone), local)
    if form == "iso8601_or_epoch" and dtype.is_numeric():
        form = "epoch_s"
    if form in _UNITS_PER_SECOND:
        return _epoch(field, _UNITS_PER_SECOND[form])
    text = field.cast(pl.String)
    if form == "iso8601_or_epoch":
        iso = _iso_8601(text, time_zone)
        epoch = _epoch(pl.when(text.str.contains(EPOCH_SECONDS)).then(text), 1.0)
        return Moment(pl.coalesce(iso.utc, epoch.utc), pl.coalesce(iso.written, epoch.written))
    if form == "iso8601":
        return _iso_8601(text, time_zone)
    if "%z" in form:
        utc = text.str.strptime(pl.Datetime("us", "UTC"), form, strict=False).dt.replace_time_zone(None)
        return Moment(utc, utc)
    local = text.str.strptime(pl.Datetime("us"), form, strict=False)
    return Moment(_utc(local, time_zone), local)


def _epoch(field: pl.Expr, units_per_second: float) -> Moment:
    seconds = field.cast(pl.Float64, strict=False) / units_per_second
    is_time = seconds.is_finite() & (seconds.abs() <= LATEST_S)
    utc = pl.when(is_time).then((seconds * 1e6).round().cast(pl.Int64, strict=False).cast(pl.Datetime("us")))
    return Moment(utc, utc)


def _iso_8601(text: pl.Expr, time_zone: str) -> Moment:
    part = text.str.extract_groups(ISO_8601).struct.field
    clock = pl.concat_str(
        part("date"),
        pl.lit("T"),
        part("clock").fill_null("00:00"),
        part("seconds").fill_null(":00").str.replace(",", ".", literal=True),
    )
    written = clock.str.strptime(pl.Datetime("us"), "%Y-%m-%dT%H:%M:%S%.f", strict=False)
    offset = part("offset")
    # "Z" has no digits: the offset is then 0.
    minutes = offset.str.slice(1, 2).cast(pl.Int64, strict=False).fill_null(0) * 60 + offset.str.extract(
        r"(\d{2})$"
    ).cast(pl.Int64).fill_null(0) * (offset.str.len_chars() > 3)
    behind = pl.when(offset.str.starts_with("-")).then(-minutes).otherwise(minutes)
    utc = pl.when(offset.is_null()).then(_utc(written, time_zone)).otherwise(written - pl.duration(minutes=behind))
    return Moment(utc, written)


def _utc(local: pl.Expr, time_zone: str) -> pl.Expr:
    """Null where the zone's clocks show a local time twice, or never: which instant it was, nobody can tell."""
    zoned = local.dt.replace_time_zone(time_zone, ambiguous="null", non_existent="null")
    return zoned.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
