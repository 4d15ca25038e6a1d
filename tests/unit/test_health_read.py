"""What the health page asks of days of GPUs: expected values by hand."""

from __future__ import annotations

import duckdb
import pytest

from gpulake.reading import health

COLUMNS = (
    "cluster_id, dt, machine_id, gpu_device, gpu_model, verdict, verdict_reason, to_do, sampled_s, expected_s, "
    "temperature_c_max"
)
DAYS = """
    ('c', date '2026-03-01', 'm1', '0', 'A100', 'look', 'warm', 'look', 10, 86400, 80.0),
    ('c', date '2026-03-02', 'm1', '0', 'A100', 'sick', 'first', 'drain', 20, 86400, null),
    ('c', date '2026-03-04', 'm1', '0', 'H100', 'sick', 'last', 'mend', 30, null, 91.0),
    ('c', date '2026-03-05', 'm1', '0', null, 'well', 'nothing found', null, 40, 86400, 60.0),
    ('c', date '2026-03-01', 'm1', '1', 'H100', 'well', 'nothing found', null, 50, 86400, 50.0),
    ('c', date '2026-03-02', 'm1', '1', 'H100', 'unknown', 'no sample', 'ask', 0, 86400, null),
    ('other', date '2026-03-02', 'm1', '1', 'H100', 'sick', 'of others', 'drain', 1, 1, 99.0),
    ('c', date '2027-03-02', 'm1', '1', 'H100', 'sick', 'too late', 'drain', 1, 1, 99.0)
"""


@pytest.fixture
def days() -> duckdb.DuckDBPyConnection:
    """A GPU that was sick twice and is well, and one that nobody saw on its second day."""
    connection = duckdb.connect()
    connection.execute(f"create table gold_gpu_health_daily as from (values {DAYS}) as days ({COLUMNS})")
    return connection


def _asked(connection: duckdb.DuckDBPyConnection, query: str) -> list[dict[str, object]]:
    found = connection.execute(query, ["c", "2026-01-01", "2026-12-31"])
    names = [column[0] for column in found.description]
    return [dict(zip(names, map(_plain, row), strict=True)) for row in sorted(found.fetchall())]


def _plain(value: object) -> object:
    return str(value) if hasattr(value, "isoformat") else value


def test_a_gpu_is_told_by_its_gravest_day_and_of_several_by_the_last(days: duckdb.DuckDBPyConnection) -> None:
    first, second = _asked(days, health.gpus_query())
    assert first == {
        "machine_id": "m1",
        "gpu_device": "0",
        "gpu_model": "H100",  # the last that is known
        "verdict": "sick",
        "first_dt": "2026-03-02",
        "dt": "2026-03-04",
        "days": 2,
        "verdict_reason": "last",
        "to_do": "mend",
        "sampled_s": 30,
        "expected_s": 86400,  # the last that is known of those days
        "last_verdict": "well",
        "temperature_c_max": 91.0,
        "gravest": 3,
    }
    assert (second["verdict"], second["dt"], second["days"], second["last_verdict"]) == (
        "unknown",
        "2026-03-02",
        1,
        "unknown",
    )
    assert (second["temperature_c_max"], second["sampled_s"], second["gravest"]) == (50.0, 0, 1)


def test_gpus_of_a_machine_are_grouped_where_a_look_is_wanted(days: duckdb.DuckDBPyConnection) -> None:
    (group,) = _asked(days, health.groups_query())
    assert (group["gpu_devices"], group["gpus"], group["verdict"]) == ("0", 1, "sick")
    assert (group["is_so_still"], group["first_dt"], group["days"]) == (False, "2026-03-02", 2)
