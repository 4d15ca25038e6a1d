"""Which tables have come to lie in too many files, or in files with too many deleted rows.

Each landing and each build adds a file per table and partition, however few its rows, and each row deleted from a file
that holds others adds a file of deletions beside it. Small files become one when some have gathered, as do larger ones,
but never small with large: so a row is written again a few times in its life, whatever its table's size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa

LIMIT = 8
"""So many files more than one per partition, or with deletions, a table may have of each size."""
_MB = 1_000_000
SIZES = ((0, 4 * _MB), (4 * _MB, 64 * _MB), (64 * _MB, 512 * _MB))

# A live file with deletions is worn when it is small, or when a quarter of its rows is gone.
_UNTIDY = f"""
WITH partitions AS (
    SELECT data_file_id, list(partition_value ORDER BY partition_key_index) AS key
    FROM __ducklake_metadata_lake.ducklake_file_partition_value
    GROUP BY data_file_id
),
files AS (
    SELECT
        file.table_id,
        file.partition_id,
        coalesce(partitions.key, []) AS key,
        string_split(file.path, '/')[-1] AS name,
        list_last(list_filter([{", ".join(str(lower) for lower, _ in SIZES)}], lower -> file.file_size_bytes >= lower)) AS lower,
        deletion.data_file_id IS NOT NULL AS has_deletions,
        has_deletions
            AND (lower = 0 OR 4 * deletion.delete_count >= file.record_count) AS is_worn
    FROM __ducklake_metadata_lake.ducklake_data_file AS file
    LEFT JOIN __ducklake_metadata_lake.ducklake_delete_file AS deletion
        ON file.data_file_id = deletion.data_file_id AND deletion.end_snapshot IS NULL
    LEFT JOIN partitions ON file.data_file_id = partitions.data_file_id
    WHERE file.end_snapshot IS NULL AND file.file_size_bytes < {SIZES[-1][1]}
),
tables AS (
    SELECT
        table_id,
        lower,
        count(*) FILTER (NOT has_deletions)
            - count(DISTINCT (partition_id, key)) FILTER (NOT has_deletions) > {LIMIT} AS is_scattered,
        list(name) FILTER (is_worn) AS worn
    FROM files
    GROUP BY ALL
    HAVING is_scattered OR len(worn) > {LIMIT}
),
ordering AS (
    SELECT part.table_id, list(col.column_name ORDER BY part.partition_key_index) AS ordered_by
    FROM __ducklake_metadata_lake.ducklake_partition_column AS part
    INNER JOIN __ducklake_metadata_lake.ducklake_partition_info AS info
        ON part.partition_id = info.partition_id AND info.end_snapshot IS NULL
    INNER JOIN __ducklake_metadata_lake.ducklake_column AS col
        ON part.table_id = col.table_id AND part.column_id = col.column_id AND col.end_snapshot IS NULL
    GROUP BY part.table_id
)
SELECT
    schema_name,
    table_name,
    lower,
    is_scattered,
    CASE WHEN len(worn) > {LIMIT} THEN worn ELSE [] END AS worn,
    coalesce(ordered_by, []) AS ordered_by
FROM tables
INNER JOIN __ducklake_metadata_lake.ducklake_table AS held USING (table_id)
INNER JOIN __ducklake_metadata_lake.ducklake_schema AS house USING (schema_id)
LEFT JOIN ordering USING (table_id)
WHERE held.end_snapshot IS NULL AND house.end_snapshot IS NULL
ORDER BY ALL
"""


@dataclass(frozen=True)
class Untidy:
    """Files of one size that a table has too many of: those to be merged, and the names of those to be written anew."""

    schema: str
    table: str
    smallest: int
    largest: int
    is_scattered: bool
    worn: tuple[str, ...]
    ordered_by: tuple[str, ...]

    @property
    def qualified(self) -> str:
        """The name as SQL writes it inside the attached lake."""
        return f'lake."{self.schema}"."{self.table}"'


def find_untidy(ask: Callable[[str], pa.Table]) -> list[Untidy]:
    """By one question to the catalog, however many tables there are."""
    upper = dict(SIZES)
    return [
        Untidy(
            schema=row["schema_name"],
            table=row["table_name"],
            smallest=row["lower"],
            largest=upper[row["lower"]],
            is_scattered=row["is_scattered"],
            worn=tuple(row["worn"]),
            ordered_by=tuple(dict.fromkeys(row["ordered_by"])),
        )
        for row in ask(_UNTIDY).to_pylist()
    ]
