"""Which builds, tables and columns a Publication shows."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from gpulake import meta
from gpulake.lake import Reader

LAYERS = ("gold", "silver")
"""Tables that people read figures from; the others are deliveries, steps and operations."""


def publications(reader: Reader) -> dict[int, dict[str, Any]]:
    """Every publication by build, and whether it is still kept."""
    return {each.build_id: asdict(each) for each in meta.publications(reader, catalog="ops")}


def tables(reader: Reader, catalog: str) -> list[str]:
    """The gold and silver tables and views, by name."""
    found: list[str] = reader.sql(
        "SELECT table_name FROM information_schema.tables WHERE table_catalog = ? AND table_schema = 'main' "
        "AND list_contains(?, split_part(table_name, '_', 1)) ORDER BY table_name",
        [catalog, list(LAYERS)],
    )["table_name"].to_pylist()
    return found


def columns(reader: Reader, catalog: str, table: str) -> dict[str, str]:
    """The columns of a table in order, with their types; none where the table is not there."""
    rows = reader.sql(
        "SELECT column_name, data_type FROM information_schema.columns WHERE table_catalog = ? AND table_schema = 'main' "
        "AND table_name = ? ORDER BY ordinal_position",
        [catalog, table],
    ).to_pylist()
    return {row["column_name"]: row["data_type"] for row in rows}
