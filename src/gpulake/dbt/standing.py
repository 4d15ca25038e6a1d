"""What the lake holds when a script begins, as its catalog tells: the rows of each table, and the text of each view."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gpulake.lake import Connection

_NEWEST = 2**62
_ROWS = """
SELECT house.schema_name || '.' || held.table_name, coalesce(filled.n, 0)
FROM __ducklake_metadata_lake.ducklake_table AS held
INNER JOIN __ducklake_metadata_lake.ducklake_schema AS house USING (schema_id)
LEFT JOIN (
    SELECT file.table_id, sum(file.record_count - coalesce(deletion.delete_count, 0)) AS n
    FROM __ducklake_metadata_lake.ducklake_data_file AS file
    LEFT JOIN __ducklake_metadata_lake.ducklake_delete_file AS deletion
        ON file.data_file_id = deletion.data_file_id
            AND greatest(deletion.partial_max, deletion.begin_snapshot) <= $version
            AND coalesce(deletion.end_snapshot > $version, true)
    WHERE file.begin_snapshot <= $version AND coalesce(file.end_snapshot > $version, true)
    GROUP BY file.table_id
) AS filled USING (table_id)
WHERE held.begin_snapshot <= $version AND coalesce(held.end_snapshot > $version, true)
"""
_VIEWS = """
SELECT house.schema_name || '.' || seen.view_name, seen.sql
FROM __ducklake_metadata_lake.ducklake_view AS seen
INNER JOIN __ducklake_metadata_lake.ducklake_schema AS house USING (schema_id)
WHERE seen.begin_snapshot <= $version AND coalesce(seen.end_snapshot > $version, true)
ORDER BY seen.view_id
"""


@dataclass(frozen=True)
class Standing:
    """By `<schema>.<name>`. A file that several versions have been merged into may hold rows of later ones: never fewer are told."""

    rows: Mapping[str, int]
    views: Mapping[str, str]


def look(connection: Connection, *, version: int | None = None) -> Standing:
    """Look at the newest version, or at the one that is given."""
    asked = {"version": _NEWEST if version is None else version}
    rows = connection.execute(_ROWS, asked).fetchall()
    views = connection.execute(_VIEWS, asked).fetchall()
    return Standing({name: int(n) for name, n in rows}, dict(views))
