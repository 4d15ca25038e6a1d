"""Pages of an exporter: the Prometheus text format and OpenMetrics, one or several pages in a file.

A sample without a time of its own has that of the line `# scraped_at 2026-11-30T06:00:00Z` before it; without one it is
refused, since nobody knows when it was true.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from gpulake.sources.parsing.prometheus import canonical, samples

if TYPE_CHECKING:
    import polars as pl

_LABEL = r'\s*([a-zA-Z_]\w*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*'
_SAMPLE = (
    r"^([a-zA-Z_:][a-zA-Z0-9_:]*)\s*"
    r'(?:\{((?:[^"{}]|"(?:[^"\\]|\\.)*")*)\})?'
    r"\s*([^\s{}#]+)(?:\s+([^\s#]+))?\s*(?:#.*)?$"
)
"""A name, labels, a value, perhaps a time; OpenMetrics may add an example after a hash."""

_SCRAPED_AT = r"^#\s*scraped_at\s+(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?)Z\s*$"
_FIRST_MILLISECONDS = 1e11
"""Times in seconds are below it until the year 5138, those in milliseconds above it since 1973."""

_TIME = r"[0-9]{9,13}(?:\.[0-9]{1,9})?"
_MOST_HEAD_LINES = 200
_ESCAPES = {"n": "\n", '"': '"', "\\": "\\"}


def is_page(head: bytes) -> bool:
    """Whether a file begins as a page does: nearly all of its first lines are samples, some with comments or labels."""
    lines = head.decode("utf-8", "replace").removeprefix("\ufeff").split("\n")[:_MOST_HEAD_LINES]
    lines = [line.strip() for line in (lines[:-1] if len(lines) > 1 else lines) if line.strip()]
    comments = [line for line in lines if line.startswith("#")]
    found = [line for line in lines if not line.startswith("#")]
    fitting = [line for line in found if re.match(_SAMPLE, line)]
    announced = any(re.match(r"#\s*(HELP|TYPE|UNIT|EOF|scraped_at)\b", line) for line in comments)
    labelled = sum("{" in line for line in fitting)
    return len(fitting) >= 0.8 * len(found) and (announced or 2 * labelled > len(found))


def begins_s(head: bytes) -> float | None:
    """The first time among the lines that a file begins with; None where they show none."""
    text = head.decode("utf-8", "replace")
    own = [float(at) for *_, at in re.findall(_SAMPLE, text, re.MULTILINE) if re.fullmatch(_TIME, at)]
    times = [at / 1_000 if at >= _FIRST_MILLISECONDS else at for at in own]
    for scraped in re.findall(_SCRAPED_AT, text, re.MULTILINE):
        with suppress(ValueError):  # of a 13th month
            times.append(datetime.fromisoformat(f"{scraped}+00:00").timestamp())
    return min(times, default=None)


def rows(blocks: Iterable[bytes], file_name: str) -> Iterator[pl.DataFrame]:
    """The samples of all pages, each with the number of its line. Raises nothing."""
    import polars as pl

    first_row, scraped_s = 1, None
    for block in blocks:
        lines = [line.rstrip("\r") for line in block.decode("utf-8", "replace").split("\n")]
        numbers = pl.int_range(first_row, first_row + len(lines), dtype=pl.Int64, eager=True)
        first_row += len(lines) - block.endswith(b"\n")
        frame = _taken_apart(pl.DataFrame({"source_row": numbers, "raw_text": lines}), scraped_s)
        scraped_s = frame["scraped_s"][-1]
        found = frame.filter(~pl.col("raw_text").str.contains(r"^\s*(#|$)"))
        yield from (each for each in samples(found, machine=file_name.split(".", maxsplit=1)[0]) if each.height)


def _taken_apart(frame: pl.DataFrame, scraped_s: float | None) -> pl.DataFrame:
    """Every line with its parts: metric, labels, text, at, and when its page was scraped, if a line said so."""
    import polars as pl

    at = pl.col("raw_text").str.extract(_SCRAPED_AT)
    moment = at.str.strptime(pl.Datetime("us"), "%Y-%m-%dT%H:%M:%S%.f", strict=False)
    part = pl.col("raw_text").str.strip_chars().str.extract_groups(_SAMPLE).struct.field
    stamp = part("4").cast(pl.Float64, strict=False)
    frame = frame.with_columns(
        scraped_s=(moment.dt.epoch("us") / 1e6).forward_fill().fill_null(pl.lit(scraped_s, dtype=pl.Float64)),
        metric=part("1"),
        labels=part("2").fill_null(""),
        text=part("3"),
        stamp=part("4"),
        stamp_s=pl.when(stamp.abs() >= _FIRST_MILLISECONDS).then(stamp / 1000).otherwise(stamp),
    )
    known = {text: _labels(text) for text in frame["labels"].unique()}
    no_time = "it has no time, and no line '# scraped_at' stands before it"
    return frame.with_columns(
        labels=pl.col("labels").replace_strict(known, default=None, return_dtype=pl.String),
        at=pl.when(pl.col("stamp").is_null()).then(pl.col("scraped_s")).otherwise(pl.col("stamp_s")),
        reason=pl.when(pl.col("metric").is_null())
        .then(pl.lit("it is no sample"))
        .when(pl.col("stamp").is_null() & pl.col("scraped_s").is_null())
        .then(pl.lit(no_time)),
    )


@lru_cache(maxsize=200_000)
def _labels(text: str) -> str | None:
    """The labels between braces as JSON text; None where they are none."""
    found: dict[str, str] = {}
    at = 0
    while at < len(text) and not text[at:].isspace():
        label = re.compile(_LABEL).match(text, at)
        if label is None or label[1] in found:
            return None
        found[label[1]] = re.sub(r"\\(.)", lambda escape: _ESCAPES.get(escape[1], escape[0]), label[2], flags=re.DOTALL)
        at = label.end()
        if at < len(text):
            if text[at] != ",":
                return None
            at += 1
    return canonical(found)
