"""Rows of one published table as values: nothing is computed on the way, so every figure is one that `explain` reaches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    import pyarrow as pa

Row = TypeVar("Row")


class Sql(Protocol):
    """As much of a Publication as a reader needs."""

    def sql(self, query: str, params: Sequence[object] = ..., /) -> pa.Table:
        """The rows of a query."""
        ...


@dataclass(frozen=True)
class Rows(Generic[Row]):
    """What is read of a table: the columns that `kind`, a dataclass, has as fields; in the order of `order_by`.

    `where` leaves rows out, and no more than `limit` come: of a large table only what people are shown.
    """

    kind: type[Row]
    table: str
    order_by: tuple[str, ...] = ()
    where: str = "true"
    limit: int | None = None

    def of(self, publication: Sql, cluster_id: str) -> tuple[Row, ...]:
        """The rows of one cluster."""
        columns = ", ".join(field.name for field in fields(self.kind))  # type: ignore[arg-type]  # no type says "a dataclass"
        order = f"order by {', '.join(self.order_by)}" if self.order_by else ""
        limit = "" if self.limit is None else f"limit {self.limit:d}"
        query = f"select {columns} from {self.table} where cluster_id = ? and ({self.where}) {order} {limit}"
        found: list[dict[str, Any]] = publication.sql(query, [cluster_id]).to_pylist()
        return tuple(self.kind(**row) for row in found)
