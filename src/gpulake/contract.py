"""What a table of an outside source is: its columns, types, units, key, and what makes a row unacceptable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class Column:
    """One column as the source writes it.

    `pattern` is a regular expression its text must match in full when a headerless file is recognised by its content;
    it never refuses a row.
    """

    name: str
    kind: Literal["text", "number"]
    unit: str = ""
    required: bool = False
    pattern: str = ""

    @property
    def sql_type(self) -> str:
        """The bronze type: every number is a double, so no digit of the source is lost."""
        return "varchar" if self.kind == "text" else "double"


@dataclass(frozen=True)
class Span:
    """Two columns of one row that bound a time span; times at or below `null_at_or_below` mean "not known".

    They are one column where a row is a sample: it then speaks for `lasts_s` seconds from its time on.
    """

    start: str
    end: str
    null_at_or_below: float | None = None
    lasts_s: float = 0.0


@dataclass(frozen=True)
class Table:
    """One table of a source and the bronze table it lands in.

    `stems` are the beginnings of file names that announce it; a file with another name is recognised by its header
    row or its content, unless it is told `only_by_name` because other tables have the same header. A landing of a
    `shapes_history` table changes figures of every day, so it forces a full build.
    `look_alikes` are beginnings of other file names, each with why: such files have the same columns but hold other
    facts, so they are listed and left alone.
    """

    name: str
    bronze: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    stems: tuple[str, ...] = ()
    only_by_name: bool = False
    look_alikes: tuple[tuple[str, str], ...] = ()
    span: Span | None = None
    shapes_history: bool = False
    published_sha256: str = ""

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names in the order the source writes them."""
        return tuple(column.name for column in self.columns)


@dataclass(frozen=True)
class Download:
    """One file that the publisher offers: `bytes` and `sha256` are of the archive itself."""

    table: str
    file_name: str
    url: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Source:
    """One outside format. A value, never an effect: reading and landing it is `gpulake.landing`'s work."""

    name: str
    title: str
    licence: str
    tables: tuple[Table, ...]
    time_zone: str = "UTC"
    time_basis: Literal["real", "offset", "shifted"] = "real"
    pools: Literal["gpu_model", "all"] = "gpu_model"
    """How capacity is told apart: by the machine's GPU model, or not at all where jobs do not name their machine."""
    downloads: tuple[Download, ...] = ()
    kaggle_dataset: str = ""
    shipped: tuple[Path, ...] = ()
    """Deliveries that come with gpulake itself and land in every lake."""
    describes_cluster: bool = True
    """False for reference tables that belong to no cluster."""

    def table(self, name: str) -> Table:
        """The table of that name; KeyError if the source has none."""
        for table in self.tables:
            if table.name == name:
                return table
        raise KeyError(name)


LINEAGE_COLUMNS: Sequence[tuple[str, str]] = (("landing_id", "varchar"), ("source_row", "bigint"))
"""Added to every bronze row: the delivery it came in, and its 1-based line in the uncompressed file."""
