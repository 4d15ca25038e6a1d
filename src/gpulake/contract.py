"""What a table of an outside source is: its columns, types, units, key, and what makes a row unacceptable."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class Delimited:
    """A row is a line, its fields stand between delimiters; one that holds a delimiter stands in double quotes.

    The delimiter is one ASCII character.
    """

    delimiter: str = ","
    suffixes: tuple[str, ...] = (".csv", ".tsv", ".txt")


@dataclass(frozen=True)
class JsonLines:
    """A row is a line with one JSON object. Its keys are columns; a key that is absent is null.

    A further key is left out where the row has all columns; else it is a fault, since it may be one of them, misspelt.
    """

    suffixes: tuple[str, ...] = (".jsonl", ".ndjson", ".json")


@dataclass(frozen=True)
class Parquet:
    """A Parquet file, its columns known by name and read as the contract says, whatever type the file gives them."""

    suffixes: tuple[str, ...] = (".parquet",)


@dataclass(frozen=True)
class Parsed:
    """Text that its source takes apart by itself: a document, a log, a report for people.

    `is_it` says by the first bytes of a file (at most 64 KiB, uncompressed) whether it is one. `rows` gets the file in
    blocks of whole lines, and its name without a folder; it yields frames: `source_row` (the 1-based line at which a row
    begins, or the row's number where a line holds several) and the columns that it knows, as text, numbers or times; one
    that it lacks is null. Where it refuses a row, `reason` says why and `raw_text` is what stands there; both are null in
    other rows. It raises nothing because of what it reads, but SourceError where the whole is no such document.
    `begins_s` says by the same bytes when what a file tells begins, in seconds since 1970: files of one table that say so
    land in that order, whatever their sizes.
    """

    is_it: Callable[[bytes], bool]
    rows: Callable[[Iterable[bytes], str], Iterator[pl.DataFrame]]
    suffixes: tuple[str, ...] = (".txt", ".log", ".json", ".out")
    begins_s: Callable[[bytes], float | None] | None = None


Format = Delimited | JsonLines | Parquet | Parsed
"""How the rows of a table stand in a file. `suffixes` announce it, in any case; text may be compressed or in an archive."""


@dataclass(frozen=True)
class Column:
    """One column as the source writes it. Empty text is null, in every format.

    `pattern` is a regular expression its text must match in full when a headerless file is recognised by its content;
    it never refuses a row.
    `form` is how a time is written: `iso8601`, `epoch_s`, `epoch_ms`, `iso8601_or_epoch` (digits alone are seconds since
    1970), or a strptime format. A text that tells no offset from UTC is local time of the cluster's zone. Bronze holds
    UTC. The hour that the zone's clocks show twice, and the one that they skip, cannot be told: such a time is null, and
    the landing counts it (`times_unknown`).
    A file that names its columns may be without one that it `may_lack`, which is null then.
    """

    name: str
    kind: Literal["text", "number", "time"]
    unit: str = ""
    required: bool = False
    pattern: str = ""
    form: str = "iso8601"
    may_lack: bool = False

    @property
    def sql_type(self) -> str:
        """The bronze type: every number is a double, so no digit of the source is lost."""
        return {"text": "varchar", "number": "double", "time": "timestamp"}[self.kind]


@dataclass(frozen=True)
class Span:
    """Two columns of one row, both times or both numbers of seconds, that bound a time span.

    Numbers at or below `null_at_or_below` mean "not known". The two are one column where a row is a sample: it then speaks for `lasts_s` seconds from its time on.
    `between` names further columns that hold such numbers: a start between a submission and an end.
    """

    start: str
    end: str
    null_at_or_below: float | None = None
    lasts_s: float = 0.0
    between: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Every column of it, once."""
        return tuple(dict.fromkeys((self.start, self.end, *self.between)))


@dataclass(frozen=True)
class Table:
    """One table of a source and the bronze table it lands in.

    `stems` are the beginnings of file names that announce it; a file with another name is recognised by its header
    row or its content, unless it is told `only_by_name` because other tables have the same header. A landing of a
    `shapes_history` table changes figures of every day, so it forces a full build.
    `format` is how its source writes it, and `also` how it does so elsewhere. JSON lines and Parquet are read too, where a
    file names the columns.
    `in_pieces`: what a machine tells of one moment is many rows, which are read together and land together.
    `look_alikes` are beginnings of other file names, each with why: such files have the same columns but hold other
    facts, so they are listed and left alone, unless they are delivered as a cluster of their own.
    """

    name: str
    bronze: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    format: Format = Delimited()
    also: tuple[Parsed, ...] = ()
    stems: tuple[str, ...] = ()
    only_by_name: bool = False
    look_alikes: tuple[tuple[str, str], ...] = ()
    span: Span | None = None
    shapes_history: bool = False
    in_pieces: bool = False
    published_sha256: str = ""
    is_own_format: bool = True
    """False in one that its source does not write."""

    @property
    def in_other_formats(self) -> tuple[Table, ...]:
        """The table in its further formats, as JSON lines and as Parquet, where that is not how its source writes it."""
        others = [form for form in (JsonLines(), Parquet()) if type(form) is not type(self.format)]
        return (
            *(replace(self, format=form) for form in self.also),
            *(replace(self, format=form, is_own_format=False) for form in others),
        )

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names in the order the source writes them."""
        return tuple(column.name for column in self.columns)

    @property
    def needed_names(self) -> tuple[str, ...]:
        """Those of columns that every file has."""
        return tuple(column.name for column in self.columns if not column.may_lack)


@dataclass(frozen=True)
class Download:
    """One file that the publisher offers: `bytes` and `sha256` are of the archive itself."""

    table: str
    file_name: str
    url: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Doubt:
    """Something that is no fault of a row by itself, and most likely not what was meant: an end before a start.

    `where` is the first of the `rows` that show it, as `file:line`, where there is one.
    """

    table: str
    what: str
    rows: int
    where: str = ""
    do: str = ""


class Doubts(Protocol):
    """What a source doubts of deliveries that lie together. Each table has its columns, `source_row` and `file`."""

    def __call__(
        self, tables: Mapping[str, pl.LazyFrame], /, *, now: datetime, status_words: frozenset[str]
    ) -> Iterator[Doubt]:
        """Look at all of them. `status_words` are those of the source that have a common word; none: nobody knows."""
        ...


@dataclass(frozen=True)
class Source:
    """One outside format. A value, never an effect: reading and landing it is `gpulake.landing`'s work."""

    name: str
    title: str
    licence: str
    tables: tuple[Table, ...]
    time_zone: str = "UTC"
    time_basis: Literal["real", "offset", "shifted"] = "real"
    has_weekdays: bool = True
    """Whether the weekday of a time is what it was: not where the clock starts with the trace."""
    has_lifetime_means: bool = False
    """Whether what it measures is a mean over a job's life, so that the hours of a job are all alike."""
    pools: Literal["gpu_model", "all"] = "gpu_model"
    """How capacity is told apart: by the machine's GPU model, or not at all where jobs do not name their machine."""
    downloads: tuple[Download, ...] = ()
    kaggle_dataset: str = ""
    shipped: tuple[Path, ...] = ()
    """Deliveries that come with gpulake itself and land in every lake."""
    doubts: Doubts | None = None
    """What `gpulake check` doubts beside what landing refuses."""
    describes_cluster: bool = True
    """False for reference tables that belong to no cluster."""

    def table(self, name: str) -> Table:
        """The table of that name; KeyError if the source has none."""
        for table in self.tables:
            if table.name == name:
                return table
        raise KeyError(name)


LINEAGE_COLUMNS: Sequence[tuple[str, str]] = (("landing_id", "varchar"), ("source_row", "bigint"))
"""Added to every bronze row: the delivery it came in, and its 1-based line in the uncompressed file (of Parquet: its row)."""
