"""Replies of a Prometheus server's query API: JSON documents, one after the other, each with any number of series.

A reply as servers write it is cut into series and points by what stands between them, millions of points at a time; any
other JSON of the same meaning is read as such, and comes to the same rows. A line before a reply may say what was asked:
`{"gpulake_query": {"step_s": 30, "metric": "node_cpu_seconds_total"}}`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from gpulake.errors import SourceError
from gpulake.sources.parsing.prometheus import canonical, samples

if TYPE_CHECKING:
    import polars as pl

_HEAD = re.compile(
    rb'\s*\{\s*"(?:gpulake_query"\s*:'
    rb'|status"\s*:\s*"(?:success|error)"\s*,[^\[]{0,300}"(?:resultType|errorType)"'
    rb'|data"\s*:\s*\{\s*"result(?:Type)?"\s*:)'
)
_AS_WRITTEN = re.compile(
    r'\s*\{"status":"success",(?:"isPartial":(?:true|false),)?"data":\{"resultType":"matrix","result":\['
)
_SERIES, _VALUES, _END = '{"metric":', ',"values":[[', "]]}"
_NAME = r'"__name__"\s*:\s*"((?:[^"\\]|\\.)*)"'
_NAME_AND_COMMA = r',\s*"__name__"\s*:\s*"(?:[^"\\]|\\.)*"|"__name__"\s*:\s*"(?:[^"\\]|\\.)*"\s*,?'
_TEXT_PER_FRAME = 24 << 20
"""Characters of a reply that become one frame: about a million points."""

_TIMES = re.compile(rb'\[\s*(\d{9,10}(?:\.\d+)?)\s*,\s*"')
"""Times of points, as `[1782885600.5,"97"]`."""

_MOST_LOOKED_AT = 100
"""Series in whose points a step is looked for."""


def is_reply(head: bytes) -> bool:
    """Whether a file begins as a reply does."""
    return bool(_HEAD.match(head))


def begins_s(head: bytes) -> float | None:
    """The first time among the points that a file begins with; None where they show none."""
    return min(map(float, _TIMES.findall(head)), default=None)


def rows(blocks: Iterable[bytes], _file_name: str) -> Iterator[pl.DataFrame]:
    """The points of all replies, numbered through. Raises SourceError for a file that ends in the middle of one."""
    asked = _Query()
    first_row = 1
    for text, series in _documents(blocks):
        if series is None and text.lstrip().startswith('{"gpulake_query"'):
            asked = _query(text)
            continue
        row = first_row
        for frame in _frames(text, series, asked):
            yield frame.with_columns(source_row=frame["source_row"] + row)
            first_row += frame.height
        asked = _Query()


@dataclass(frozen=True)
class _Query:
    """What was asked, as far as the reply does not say it itself."""

    step_s: float | None = None
    metric: str = ""


def _query(text: str) -> _Query:
    found = _loaded(text)
    told = found.get("gpulake_query") if isinstance(found, dict) else None
    if not isinstance(told, dict):
        return _Query()
    metric = told.get("metric")
    return _Query(_length_s(told.get("step_s")), metric if isinstance(metric, str) else "")


def _length_s(value: object) -> float | None:
    is_one = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e9
    return float(value) if is_one and isinstance(value, int | float) else None


# ------------------------------------------------------------------------------------------------- documents


def _documents(blocks: Iterable[bytes]) -> Iterator[tuple[str, pl.DataFrame | None]]:
    """Each JSON document, and its series where it is as servers write it; one that goes over many lines is joined."""
    broken: list[str] = []
    for block in blocks:
        for line in block.decode("utf-8", "replace").split("\n"):
            text = line.strip()
            if broken or (text and not (text.startswith("{") and text.endswith("}"))):
                broken.append(line)
            elif text:
                yield text, _cut(text)
    # No JSON text has a line break in itself.
    series = _cut("".join(broken))
    if series is not None:
        yield "", series
    else:
        yield from ((text, None) for text in _joined("\n".join(broken)))


def _joined(text: str) -> Iterator[str]:
    decoder, at = json.JSONDecoder(), 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        try:
            _, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            raise _broken() from error
        yield text[at:end]
        at = end


def _loaded(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _broken() from error


def _broken() -> SourceError:
    return SourceError("a reply in it is no whole JSON: it may have been cut off.", do="fetch it again")


# ------------------------------------------------------------------------------------------------- series


def _frames(text: str, series: pl.DataFrame | None, asked: _Query) -> Iterator[pl.DataFrame]:
    """The rows of one document, numbered from 0; refused ones in frames of their own."""
    import polars as pl

    refused = None
    if series is None:
        series, refused = _read(_loaded(text))
    step_s = asked.step_s or _step_s(series)
    row = 0
    for part in _parts(series):
        frame = _points(part, asked)
        frame = frame.with_columns(pl.int_range(row, row + pl.len(), dtype=pl.Int64).alias("source_row"))
        row += frame.height
        good, bad = samples(frame, interval_s=step_s)
        yield from (each for each in (good, bad) if each.height)
    if refused:
        yield pl.DataFrame(
            {
                "source_row": range(row, row + len(refused)),
                "metric": [None] * len(refused),
                "reason": [why for why, _ in refused],
                "raw_text": [raw for _, raw in refused],
            },
            schema={"source_row": pl.Int64, "metric": pl.String, "reason": pl.String, "raw_text": pl.String},
        )


def _cut(text: str) -> pl.DataFrame | None:
    """The series of a reply as servers write it: `metric` and `points`, as text. None where it is written otherwise."""
    import polars as pl

    start = _AS_WRITTEN.match(text)
    if start is None:
        return None
    first, *pieces = text[start.end() :].split(_SERIES)
    if first or not pieces:
        return None
    # A quote inside a JSON text is escaped, so none of the marks can stand in a label.
    end = pieces[-1].find(_END + "]", pieces[-1].find(_VALUES))
    if end < 0 or not _is_json('{"data":{"result":[' + pieces[-1][end + len(_END) :]):
        return None
    pieces[-1] = pieces[-1][: end + len(_END)] + ","
    series = pl.DataFrame({"piece": pieces}).select(
        pl.col("piece").str.split_exact(_VALUES, 1).struct.rename_fields(["metric", "points"])
    ).unnest("piece")  # fmt: skip
    if not series["points"].str.ends_with(_END + ",").fill_null(value=False).all():
        return None
    return series.with_columns(pl.col("points").str.strip_suffix(_END + ","))


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _read(reply: object) -> tuple[pl.DataFrame, list[tuple[str, str]]]:
    """The same of any JSON of that meaning, and what of it is no series: why, and its text."""
    import polars as pl

    result, kind, refused = _result(reply)
    metrics: list[str] = []
    points: list[str] = []
    for each in result:
        found = _pairs(each, kind)
        if found is None:
            refused.append(("it is no series with numbers", _text(each)))
            continue
        metrics.append(_text(each["metric"]))
        points.append("],[".join(found))
    series = pl.DataFrame({"metric": metrics, "points": points}, schema={"metric": pl.String, "points": pl.String})
    return series, refused


def _result(reply: object) -> tuple[Sequence[Mapping[str, object]], str, list[tuple[str, str]]]:
    if not isinstance(reply, dict):
        return [], "", [("it is no reply", _text(reply))]
    if reply.get("status") == "error":
        return [], "", [(f"the server answered: {reply.get('errorType')}: {reply.get('error')}", _text(reply))]
    data = reply.get("data")
    kind = data.get("resultType") if isinstance(data, dict) else None
    result = data.get("result") if isinstance(data, dict) else None
    if kind not in {"matrix", "vector"} or not isinstance(result, list):
        return [], "", [("it is no reply with series over time (matrix) or at one time (vector)", _text(reply))]
    return result, str(kind), []


def _pairs(series: object, kind: str) -> list[str] | None:
    """The points of a series as servers write them, without their brackets; None where it is none."""
    if not isinstance(series, dict) or not isinstance(series.get("metric"), dict):
        return None
    points = [series.get("value")] if kind == "vector" else series.get("values")
    if not isinstance(points, list) or not points or "histograms" in series:
        return None
    if not all(isinstance(point, list) and len(point) == 2 for point in points):
        return None
    return [f'{_plain(at)},"{_plain(value)}"' for at, value in points]


def _plain(value: object) -> str:
    """A number or a text without what parts points; anything else is no number, and is refused as such."""
    text = value if isinstance(value, str) else repr(value) if isinstance(value, int | float) else _text(value)
    return re.sub(r'[\]\[,"]', "?", text)


def _text(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace").decode("utf-8")


# ------------------------------------------------------------------------------------------------- points


def _parts(series: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """The series in parts whose text is not too long."""
    if series.is_empty():
        return
    part = (series["points"].str.len_bytes().cum_sum() - 1) // _TEXT_PER_FRAME
    yield from series.with_columns(part=part).partition_by("part", maintain_order=True, include_key=False)


def _points(series: pl.DataFrame, asked: _Query) -> pl.DataFrame:
    """One row per point: metric, labels, at, text."""
    import polars as pl

    named = series.select(
        pl.col("metric").str.extract(_NAME).alias("name"),
        pl.col("metric").str.replace(_NAME_AND_COMMA, "").alias("rest"),
        pl.col("points").str.split("],["),
    )
    names = {name: _unescaped(name) for name in named["name"].unique() if name is not None}
    labels = {rest: _labels(rest) for rest in named["rest"].unique()}
    return named.select(
        metric=pl.col("name").replace_strict(names, default=asked.metric, return_dtype=pl.String),
        labels=pl.col("rest").replace_strict(labels, default=None, return_dtype=pl.String),
        point="points",
    ).explode("point").with_columns(
        pl.col("point").str.split_exact(',"', 1).struct.rename_fields(["at", "text"])
    ).unnest("point").with_columns(
        pl.col("at").cast(pl.Float64, strict=False), pl.col("text").str.strip_suffix('"')
    )  # fmt: skip


@lru_cache(maxsize=200_000)
def _labels(text: str) -> str | None:
    """A cluster's labels are the same in every reply."""
    try:
        return canonical(json.loads(text))
    except (ValueError, RecursionError):
        return None


def _unescaped(name: str) -> str:
    try:
        return str(json.loads(f'"{name}"')) if "\\" in name else name
    except ValueError:
        return ""


def _step_s(series: pl.DataFrame) -> float | None:
    """The smallest distance of two points of a series: a range is answered at equal steps. None where no series has two."""
    import polars as pl

    at = pl.element().str.extract("^([^,]*),").cast(pl.Float64, strict=False)
    points = series.head(_MOST_LOOKED_AT).select(pl.col("points").str.split("],[").list.eval(at.diff()))
    steps = points["points"].explode()
    smallest = steps.filter(steps > 0).min()
    return float(smallest) if isinstance(smallest, int | float) else None
