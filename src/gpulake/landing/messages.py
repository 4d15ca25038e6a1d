"""Messages: a row of a table as one JSON object, whatever file format its source has.

Its keys are the table's columns. Numbers are JSON numbers; a time is ISO 8601 or seconds since 1970, and without an offset
the cluster's local time, as in files. What files say of keys that lack and of further keys holds here too.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

import polars as pl
import pyarrow as pa
import pyarrow.json

from gpulake.contract import JsonLines, Source, Table
from gpulake.landing import jsonlines

MESSAGES = "messages"
"""The layout of what came as messages."""

LONGEST_BYTES = 1 << 20
"""A longer message is refused: no row of a table is."""

_LOOKED_AT = 16
"""In so many messages of a batch further keys are looked for."""

_MOST_FURTHER = 128
"""So many keys and brackets a message may have to be read quickly where it has further keys."""

KEYS = ("machine", "machine_id", "node", "sn", "job_name", "job_id", "jobid", "container_ip")
"""What a message is keyed by, the first of these that its row knows: so what one machine or job says stays in its order."""

_MOST_PIECES = 4_096

LABELS = ("Hostname", "node", "kubernetes_node", "instance")
"""Where a row names its machine in labels alone, the first of these that it has; without the port."""


def as_messages(table: Table) -> Table:
    """The table as its messages are read."""
    columns = (replace(each, form="iso8601_or_epoch") if each.kind == "time" else each for each in table.columns)
    return replace(table, format=JsonLines(), also=(), columns=tuple(columns))


def key_columns(table: Table) -> tuple[str, ...]:
    """The columns of which the first that is known is the key of a message; `labels` are those of `LABELS`."""
    named = tuple(name for name in ("labels", *KEYS) if name in table.column_names)
    return named or table.key[:1]


def keys(frame: pl.DataFrame, table: Table) -> pl.Series:
    """The key of each row's message; empty where the row knows none."""
    known = [each for name in key_columns(table) for each in _key_of(name)]
    return frame.select(key=pl.coalesce(*known, pl.lit("")))["key"]


def open_end(values: Sequence[bytes], table: Table) -> int:
    """How many of the last messages may go on in the next ones: those of one machine and moment, where it tells in pieces."""
    if not table.in_pieces or not values:
        return 0
    assert table.span
    rows = [_object(value) for value in values[-_MOST_PIECES:]]
    columns = (*key_columns(table), table.span.start)
    frame = pl.DataFrame({name: pl.Series([_text(row.get(name)) for row in rows], dtype=pl.String) for name in columns})
    moments = list(zip(keys(frame, table), frame[table.span.start], strict=True))
    return next((n for n, moment in enumerate(reversed(moments)) if moment != moments[-1]), len(moments))


def _object(value: bytes) -> dict[str, object]:
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):  # it is refused where it lands
        return {}
    return found if isinstance(found, dict) else {}


def _text(value: object) -> str | None:
    """A value as text, whatever somebody sends in its place: half a letter too."""
    return None if value is None else str(value).encode("utf-8", "replace").decode()


def _key_of(column: str) -> list[pl.Expr]:
    if column != "labels":
        return [pl.col(column).cast(pl.String)]
    return [pl.col(column).str.extract(rf'"{name}":"([^"]*?)(?::\d+)?"') for name in LABELS]


def json_schema(source: Source, table: Table) -> dict[str, object]:
    """What a message of a table is, as JSON Schema."""
    kinds: dict[str, dict[str, object]] = {
        "text": {"type": ["string", "null"]},
        "number": {"type": ["number", "null"]},
        "time": {"type": ["string", "number", "null"], "description": "ISO 8601, or seconds since 1970"},
    }
    properties = {
        column.name: {
            **kinds[column.kind],
            **({"description": column.unit} if column.unit else {}),
            **({"type": [kind for kind in _types(kinds[column.kind]) if kind != "null"]} if column.required else {}),
        }
        for column in table.columns
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"{source.name}.{table.name}",
        "description": f"One row of {table.name} as a message, keyed by {' or else '.join(key_columns(table))}. A key that is absent is null.",
        "type": "object",
        "required": [column.name for column in table.columns if column.required],
        "properties": properties,
    }


def _types(kind: dict[str, object]) -> list[str]:
    types = kind["type"]
    assert isinstance(types, list)
    return types


@dataclass(frozen=True)
class Messages:
    """Some messages as a chunk: `source_row` counts them from 0."""

    values: Sequence[bytes]
    table: Table

    @property
    def size(self) -> int:
        """Their bytes."""
        return sum(map(len, self.values))

    def quick(self) -> pl.DataFrame | None:
        """The rows, where each message is one object of the table's keys with values of the table's types, written plainly."""
        # One object per line, so that as many rows as lines means that each message is one.
        if not all(value[:1] == b"{" and value[-1:] == b"}" and len(value) <= LONGEST_BYTES for value in self.values):
            return None
        text = b"\n".join(self.values)
        if text.count(b"\n") != len(self.values) - 1 or not _is_utf8(text):
            return None
        rows = self._rows(text)
        if rows is None and (schema := self._with_further()):
            rows = self._rows(text, schema)
        if rows is None:
            return None
        further = [name for name in rows.column_names if name not in self.table.column_names]
        if rows.num_rows != len(self.values) or (further and not self._may_leave(further, rows)):
            return None
        frame = pl.DataFrame(pl.from_arrow(rows.select(self.table.column_names))).with_row_index("source_row")
        blank = pl.when(pl.col(pl.String) != "").then(pl.col(pl.String)).name.keep()
        frame = frame.with_columns(blank, pl.col("source_row").cast(pl.Int64))
        return frame.with_columns(left=pl.lit(further, dtype=pl.List(pl.String))) if further else frame

    def _rows(self, text: bytes, schema: pa.Schema | None = None, *, further: str = "error") -> pa.Table | None:
        types = {"text": pa.string(), "number": pa.float64(), "time": pa.string()}
        schema = schema or pa.schema([(each.name, types[each.kind]) for each in self.table.columns])
        try:
            return pyarrow.json.read_json(
                pa.BufferReader(text),
                read_options=pyarrow.json.ReadOptions(use_threads=False, block_size=len(text) + 1),
                parse_options=pyarrow.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior=further),
            )
        except pa.ArrowInvalid:
            return None

    def _with_further(self) -> pa.Schema | None:
        """The columns with the further keys of some messages; None where those have many, or many levels: each would be a column."""
        some = [*self.values[:: -(-len(self.values) // _LOOKED_AT)], max(self.values, key=len)]
        if any(value.count(b"[") + value.count(b"{") + value.count(b":") > _MOST_FURTHER for value in some):
            return None
        rows = self._rows(b"\n".join(some), further="infer")
        return rows.schema if rows is not None and len(rows.column_names) <= _MOST_FURTHER else None

    def _may_leave(self, further: Sequence[str], rows: pa.Table) -> bool:
        """Whether further keys are no column's, written otherwise: every row has all that it needs, so that none lacks."""
        names = {name.strip().lower() for name in further}
        is_apart = len(names) == len(further) and names.isdisjoint(self.table.column_names)
        return is_apart and not any(rows[name].null_count for name in self.table.needed_names)

    def closely(self) -> pl.DataFrame:
        """The rows message by message, with their text, and the reason where one is no row."""
        text = [value.decode("utf-8", "replace") for value in self.values]
        is_long = pl.Series([len(value) > LONGEST_BYTES for value in self.values], dtype=pl.Boolean)
        frame = pl.DataFrame(
            {
                "source_row": pl.Series(range(len(text)), dtype=pl.Int64),
                "raw_text": pl.Series(text, dtype=pl.String),
                "broken": pl.Series(
                    ["\ufffd" in one and not _is_utf8(raw) for one, raw in zip(text, self.values, strict=True)],
                    dtype=pl.Boolean,
                ),
                "is_long": is_long,
            }
        )
        # What is too long is not taken apart, but kept.
        read = frame.with_columns(raw_text=pl.when(~pl.col("is_long")).then("raw_text").otherwise(pl.lit("{}")))
        rows = jsonlines.taken_apart(read, self.table.column_names, needed=self.table.needed_names)
        why = (
            pl.when(frame["is_long"])
            .then(pl.lit(f"the message is longer than {LONGEST_BYTES >> 20} MiB"))
            .when(frame["raw_text"].str.strip_chars() == "")
            .then(pl.lit("the message is empty"))
        )
        return rows.with_columns(raw_text=frame["raw_text"], reason=pl.coalesce(why, pl.col("reason")))


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def written(frame: pl.DataFrame, table: Table) -> pl.Series:
    """Rows of bronze as messages that are read as the same rows. Infinity, which JSON lacks, is a text."""
    columns = []
    for column in table.columns:
        value = pl.col(column.name)
        if column.kind == "time":
            value = value.dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")
        elif column.kind == "number" and frame[column.name].is_infinite().any():
            value = value.cast(pl.String)
        columns.append(value)
    return frame.select(pl.struct(columns).struct.json_encode().alias("message"))["message"]
