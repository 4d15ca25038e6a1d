"""What replies and pages share: labels in one spelling, and numbers of which some mean "there is none"."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

_BLANK_WORDS = ("blank", "not found", "not supported", "not permitted")
_INT64_BLANK = 0x7FFFFFFFFFFFFFF0
BLANKS: Mapping[float, str] = {
    **{float(0x7FFFFFF0 + at): word for at, word in enumerate(_BLANK_WORDS)},
    **{140737488355328.0 + at: word for at, word in enumerate(_BLANK_WORDS)},
    # A server keeps doubles, and the four values of 64 bits are one double.
    float(_INT64_BLANK): "blank",
}
"""Values by which DCGM says that it has none (dcgm_structs.h: the blank of each type, and one, two, three above it)."""

BLANK_TEXTS: Mapping[str, str] = {str(_INT64_BLANK + at): word for at, word in enumerate(_BLANK_WORDS)}
"""The same where a page shows all digits."""

_LATEST_S = 1e11
"""A larger number of seconds is none that a calendar has."""


def canonical(labels: object) -> str | None:
    """Labels as JSON text with sorted keys; None for what are no labels. An empty label is none, as in Prometheus."""
    if not isinstance(labels, dict) or not all(isinstance(value, str) for value in labels.values()):
        return None
    known = {_whole(name): _whole(value) for name, value in labels.items() if value and name != "__name__"}
    return json.dumps(known, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def samples(
    frame: pl.DataFrame, *, interval_s: float | None = None, machine: str | None = None
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows of `source_row, metric, labels, at, text` (at in seconds, null for none; text the value's) as a table's rows, and the refused.

    A row that has a `reason` already keeps it; refused ones have their `raw_text`, if the frame holds it.
    """
    import polars as pl

    value = pl.col("text").cast(pl.Float64, strict=False)
    is_time = pl.col("at").is_finite() & (pl.col("at").abs() <= _LATEST_S)
    known = pl.col("reason") if "reason" in frame.columns else pl.lit(None, dtype=pl.String)
    why = (
        pl.when(known.is_not_null())
        .then(known)
        .when(pl.col("metric").is_null() | (pl.col("metric") == ""))
        .then(pl.lit("it names no metric"))
        .when(pl.col("labels").is_null())
        .then(pl.lit("its labels cannot be read"))
        .when(~is_time.fill_null(value=False))
        .then(pl.lit("its time is none"))
        .when(value.is_null())
        .then(pl.concat_str(pl.lit("its value is not a number: '"), pl.col("text").fill_null(""), pl.lit("'")))
    )
    frame = frame.with_columns(reason=why, value=value)
    bad = frame.filter(pl.col("reason").is_not_null())
    if bad.height:
        frame = frame.filter(pl.col("reason").is_null())
    blank = _blank()
    good = frame.select(
        "source_row",
        "metric",
        "labels",
        (pl.col("at") * 1e6).round().cast(pl.Int64).cast(pl.Datetime("us", "UTC")).alias("sampled_at"),
        pl.when(blank.is_null()).then(pl.col("value")).alias("value"),
        pl.lit(interval_s, dtype=pl.Float64).alias("interval_s"),
        blank.alias("blank"),
        pl.lit(machine, dtype=pl.String).alias("machine"),
    )
    told = (
        pl.col("raw_text")
        if "raw_text" in frame.columns
        else pl.struct("metric", "labels", "at", "text").struct.json_encode()
    )
    return good, bad.select("source_row", "metric", "reason", told.alias("raw_text"))


def _blank() -> pl.Expr:
    """The word for a value that means none, of DCGM's fields only: elsewhere the number may be one."""
    import polars as pl

    word = pl.col("text").replace_strict(BLANK_TEXTS, default=None, return_dtype=pl.String)
    rounded = pl.col("value").replace_strict(dict(BLANKS), default=None, return_dtype=pl.String)
    # All of them lie above 2e9, where few values of any field do.
    may_be = pl.col("metric").str.starts_with("DCGM_") & (pl.col("value") > 2e9)
    return pl.when(may_be).then(pl.coalesce(word, rounded))


def _whole(text: str) -> str:
    """JSON can write half of a surrogate pair, which is no character and cannot be kept."""
    return text.encode("utf-8", "replace").decode("utf-8")
