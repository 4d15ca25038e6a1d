"""A table of a page: it sorts, pages and exports by its address alone, and shows rows of one gold table."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from gpulake.errors import UsageError
from gpulake.reading.scope import Cluster
from gpulake.serve.look import Look
from gpulake.telling.figures import UNKNOWN, heading_of, text_of, unit_of

if TYPE_CHECKING:
    import pyarrow as pa

ROWS_A_PAGE = 25
MOST_ROWS_A_PAGE = 500
MOST_UNBROKEN = 26
"""Characters of a text that is never broken; longer words are broken where the room ends."""
MOST_BESIDE = 14
"""Characters of a text that has another one beside it on a phone."""
_NAME = re.compile(r"[a-z_][a-z0-9_]*")

Link = Callable[[Look, Mapping[str, Any]], str | None]


@dataclass(frozen=True)
class Column:
    """A column of a listing. `of` is the gold table's column that `explain` is asked for, the same name where it is left out.

    `link`: where a cell leads; `note`: a second, quieter column in the same cell; `kind`: words, or the class of a bar. `between`: the
    columns of the range that holds the truth nine times in ten, which stands beside the figure.
    """

    name: str
    label: str = ""
    link: Link | None = None
    note: str = ""
    bar: str = ""
    of: str = ""
    between: tuple[str, str] | None = None

    @property
    def heading(self) -> str:
        """Its name for people, with the unit where all cells share one."""
        return heading_of(self.name, self.label)


@dataclass(frozen=True)
class Cell:
    """One cell: its text, whether it is a number, where it leads, its range, and the share of a bar behind it (0 to 1)."""

    text: str
    is_number: bool
    link: str | None = None
    note: str = ""
    bar: str = ""
    share: float | None = None
    between: str = ""

    @property
    def kinds(self) -> str:
        """How it is laid out: "n" to the right, "t" in one line, "long" broken anywhere, and on a phone "w" in a line of its own,
        "none" left out.
        """
        is_text = not self.is_number
        kinds = {
            "n": self.is_number,
            "t": is_text and len(self.text) <= MOST_UNBROKEN and not self.note,
            "long": any(len(word) > MOST_UNBROKEN for word in self.text.split()),
            "w": bool(self.bar) or (is_text and len(self.text + self.note) > MOST_BESIDE),
            "none": is_text and self.text == UNKNOWN,
        }
        return " ".join(kind for kind, is_so in kinds.items() if is_so)


@dataclass(frozen=True)
class Listing:
    """Rows of `query` (whose columns are gold columns, or sums of them by `ranges`), in an order that the visitor chooses.

    `name` tells listings of one page apart in its address; `table` is the gold table that definitions are asked of,
    none for operations; `order` is how rows stand at first, by a column, the largest first where it begins with "-"; `empty`
    is said where there is no row. `is_small`: the rows are few, so they are read once, and counted and cut from that. `key`: what
    tells rows apart, so that those of many equals stand in one order; else all columns together.
    """

    look: Look
    name: str
    title: str
    table: str
    query: str
    params: Sequence[object]
    columns: Sequence[Column]
    order: str
    empty: str = "No row in this range."
    rows_a_page: int = ROWS_A_PAGE
    is_small: bool = False
    key: Sequence[str] = ()
    kind_of_row: Callable[[Mapping[str, Any]], str] = field(default=lambda _row: "")

    def __post_init__(self) -> None:
        assert all(_NAME.fullmatch(column.name) for column in self.columns)

    @property
    def cluster(self) -> Cluster:
        """Whose rows they are."""
        return self.look.cluster

    @cached_property
    def sorted_by(self) -> tuple[str, bool]:
        """The column, and whether the largest comes first. Raises UsageError for a column that is not shown."""
        asked = self.look.asked.get(f"{self.name}_sort") or self.order
        column = asked.removeprefix("-")
        if column not in {each.name for each in self.columns}:
            names = ", ".join(each.name for each in self.columns)
            raise UsageError(
                f"{column[:60]!r} is no column of this table.", where=f"{self.name}_sort", do=f"use {names}"
            )
        return column, asked.startswith("-")

    @cached_property
    def page(self) -> int:
        """Which page is shown, from 1. Raises UsageError."""
        return _whole(self.look.asked.get(f"{self.name}_page"), 1, where=f"{self.name}_page", most=10_000_000)

    @cached_property
    def page_size(self) -> int:
        """How many rows a page has. Raises UsageError."""
        asked = self.look.asked.get(f"{self.name}_rows")
        return _whole(asked, self.rows_a_page, where=f"{self.name}_rows", most=MOST_ROWS_A_PAGE)

    @cached_property
    def count(self) -> int:
        """How many rows there are in all; not asked for where this page shows the last of them."""
        if self.is_small:
            return int(self.read.num_rows)
        if self.rows and len(self.rows) < self.page_size:
            return (self.page - 1) * self.page_size + len(self.rows)
        if not self.rows and self.page == 1:
            return 0
        return int(self._totals["n"])

    @property
    def pages(self) -> int:
        """How many pages that makes."""
        return max(1, -(-self.count // self.page_size))

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """The rows of this page."""
        first = (self.page - 1) * self.page_size
        if self.is_small:
            return self.all_rows[first : first + self.page_size]
        return self.look.rows(f"{self._ordered} limit {self.page_size:d} offset {first:d}", *self.params)

    @cached_property
    def all_rows(self) -> list[dict[str, Any]]:
        """All rows in their order; of a small listing only."""
        assert self.is_small
        rows: list[dict[str, Any]] = self.read.to_pylist()
        return rows

    def cells(self, row: Mapping[str, Any]) -> Iterator[Cell]:
        """A row as it is shown."""
        for column in self.columns:
            value = row[column.name]
            most = self._most.get(column.name)
            yield Cell(
                text=text_of(column.name, value, self.cluster),
                is_number=self.is_number(column),
                link=column.link(self.look, row) if column.link and value is not None else None,
                note=self._note(column, row),
                between=self._between(column, row),
                bar=column.bar,
                share=float(value) / most if column.bar and value is not None and most else None,
            )

    def _note(self, column: Column, row: Mapping[str, Any]) -> str:
        known = column.note and row[column.note] is not None
        return text_of(column.note, row[column.note], self.cluster) if known else ""

    def _between(self, column: Column, row: Mapping[str, Any]) -> str:
        if column.between is None or any(row[name] is None for name in column.between):
            return ""
        return "–".join(text_of(name, row[name], self.cluster) for name in column.between)

    @property
    def has_ranges(self) -> bool:
        """Whether any figure that is shown stands beside its range."""
        return any(self._between(column, row) for column in self.columns if column.between for row in self.rows)

    def is_number(self, column: Column) -> bool:
        """Whether its cells stand to the right."""
        return unit_of(column.name) is not None or any(
            isinstance(row[column.name], int | float) and not isinstance(row[column.name], bool) for row in self.rows
        )

    def sort_url(self, column: Column) -> str:
        """The same rows by this column: the largest first, and the other way at the second click."""
        name, falls = self.sorted_by
        first = column.name if not self.is_number(column) else f"-{column.name}"
        other = column.name if falls else f"-{column.name}"
        return (
            self.look.url(**{f"{self.name}_sort": other if name == column.name else first, f"{self.name}_page": None})
            + f"#{self.name}"
        )

    def sort_state(self, column: Column) -> str:
        """What a screen reader says of the order: ascending, descending or none."""
        name, falls = self.sorted_by
        return "none" if name != column.name else "descending" if falls else "ascending"

    def page_url(self, page: int) -> str:
        """Another page of it."""
        return self.look.url(**{f"{self.name}_page": page if page > 1 else None}) + f"#{self.name}"

    def export_url(self, kind: str) -> str:
        """All its rows as a file."""
        return self.look.url(export=f"{self.name}.{kind}")

    def definition_url(self, column: Column) -> str:
        """What the column means, and how it is made."""
        return f"/definition/{self.table}/{column.of or column.name}"

    def whole(self) -> pa.Table:
        """Every row, in this order; for a file."""
        return self.look.reader.sql(self._ordered, self.params)

    @cached_property
    def read(self) -> pa.Table:
        """The same as a table, read once; of a small listing only."""
        assert self.is_small
        return self.whole()

    @property
    def _ordered(self) -> str:
        name, falls = self.sorted_by
        apart = self.key or [column.name for column in self.columns]
        others = ", ".join(each for each in apart if each != name)
        then = f", {others}" if others else ""
        return f"select * from ({self.query}) order by {name} {'desc' if falls else 'asc'} nulls last{then}"

    @cached_property
    def _most(self) -> dict[str, float]:
        """The largest of all rows in each column with a bar."""
        bars = [column.name for column in self.columns if column.bar]
        if not bars:
            return {}
        if self.is_small:
            known = ((name, [row[name] for row in self.all_rows if row[name] is not None]) for name in bars)
            return {name: float(max(values)) for name, values in known if values and max(values)}
        if bars == [self._first_is_most]:
            first = self.rows[0][bars[0]] if self.rows else None
            return {bars[0]: float(first)} if first else {}
        return {name: float(self._totals[name]) for name in bars if self._totals[name]}

    @property
    def _first_is_most(self) -> str | None:
        """The column whose largest value stands in the first row."""
        name, falls = self.sorted_by
        return name if falls and self.page == 1 else None

    @cached_property
    def _totals(self) -> dict[str, Any]:
        """How many rows there are, as `n`, and the largest of each column with a bar that the first row does not show."""
        bars = [column.name for column in self.columns if column.bar]
        asked = [] if bars == [self._first_is_most] else bars
        maxima = "".join(f", max({name})::double as {name}" for name in asked)
        (row,) = self.look.rows(f"select count(*) as n{maxima} from ({self.query})", *self.params)
        return row


def _whole(text: str | None, otherwise: int, *, where: str, most: int) -> int:
    if not text:
        return otherwise
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:12]) <= most or len(text) > 12:
        raise UsageError(f"{text[:20]!r} is no number from 1 to {most:,}.", where=where, do=f"write {otherwise}")
    return int(text)
