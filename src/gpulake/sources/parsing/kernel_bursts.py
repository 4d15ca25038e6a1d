"""Many lines that say the same, as one: a burst of them, with its count and its first and last time.

Two lines say the same where they differ only in what is volatile: addresses, numbers of processes, sizes. A break of
more than three minutes begins another burst. Folding is associative, so that a log of any length is folded block by block.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

BREAK_S = 180
_VOLATILE = (
    r"\b(?:pid=)'?\d+'?|\b[Pp]rocess \d+|\[\d+\]|\b[Uu][Ii][Dd][:=]\d+|:\d+kB|"
    r"(?:\b0x[0-9A-Fa-f]+|\b[0-9A-Fa-f]{9,16})\b|\b[0-9A-Fa-f]{8}(?:[ ,;)\]]|$)"
)
_KEY = ("clock", "machine", "same")


def of_lines(lines: pl.DataFrame) -> pl.DataFrame:
    """Lines (`source_row`, `text`, `at`, `clock`, `machine`, `says`) as bursts."""
    import polars as pl

    return folded(
        lines.select(
            "source_row",
            "text",
            "clock",
            "machine",
            "says",
            same=pl.col("says").str.replace_all(_VOLATILE, "#"),
            first_at="at",
            last_at="at",
            event_count=pl.lit(1, dtype=pl.Int64),
        )
    )


def folded(bursts: pl.DataFrame) -> pl.DataFrame:
    """Bursts of several blocks as bursts of all."""
    import polars as pl

    ordered = bursts.sort(*_KEY, "first_at", "source_row", nulls_last=True)
    so_far = pl.col("last_at").cum_max().shift().over(_KEY)
    is_other = (pl.col("first_at") - so_far > pl.duration(seconds=BREAK_S)).fill_null(value=False)
    first = pl.col("source_row").arg_min()
    return (
        ordered.with_columns(burst=is_other.cum_sum().over(_KEY))
        .group_by(*_KEY, "burst", maintain_order=True)
        .agg(
            pl.col("text", "says").get(first),
            pl.col("source_row").min(),
            pl.col("first_at").min(),
            pl.col("last_at").max(),
            pl.col("event_count").sum(),
        )
        .drop("burst")
    )
