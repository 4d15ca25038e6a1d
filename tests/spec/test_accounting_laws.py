"""The laws of the accounting over deliveries and damage: what must hold whatever arrives, and what must be seen."""

from __future__ import annotations

import random

import pytest
from accounting_fleets import delivered, drawn, fleets, sampled_fleets, thinned
from tiny_lake import TinyLake

from gpulake.dbt.warehouse import Warehouse

pytestmark = pytest.mark.slow
UNSEEN = {"landing_no", "source_row", "landing_id"}
TABLES = ("silver_allocation_days", "silver_job_days", "silver_machine_days", "silver_allocation_hours",
          "silver_unbounded_spans", "silver_allocations", "silver_jobs")  # fmt: skip
FLEETS = drawn(fleets(conflicts=False), n=8, start=2) + drawn(sampled_fleets(), n=4, start=2)


@pytest.fixture(scope="module")
def at_once(tmp_path_factory):
    """All rows in one delivery, built and tested once."""
    lake = TinyLake(tmp_path_factory.mktemp("laws") / "lake")
    lake.add(*FLEETS, *thinned())
    lake.build(full=True)
    yield lake
    lake.close()


@pytest.fixture(scope="module")
def dbt(at_once):
    with Warehouse(at_once.folder) as warehouse:
        yield warehouse


def silver(lake: TinyLake, cases) -> dict[str, list[tuple]]:
    """The published columns of every accounting table, as sorted rows."""
    names = ", ".join(f"'{case.name}'" for case in cases)
    return {
        table: sorted(
            (
                tuple(value for column, value in row.items() if column not in UNSEEN)
                for row in lake.rows(f"SELECT * FROM lake.main.{table} WHERE cluster_id IN ({names})")
            ),
            key=repr,
        )
        for table in TABLES
    }


def deliver(lake: TinyLake, cases, order, dbt: Warehouse) -> None:
    for place, number in enumerate(order):
        lake.add(*cases, only_landing=number)
        lake.build_with(dbt, full=place == 0)


def check_same(expected, found) -> None:
    for table, rows in expected.items():
        assert rows, table
        assert rows == found[table], table


def test_late_and_repeated_deliveries_change_nothing(tmp_path, at_once):
    """A backfill of what is already there must not move a published figure, nor may a late file leave another one than in time."""
    lake, dice = TinyLake(tmp_path / "lake"), random.Random(4)
    cases = [delivered(case, dice=dice, parts=3, first=2) for case in FLEETS]
    with Warehouse(lake.folder) as dbt:
        deliver(lake, cases, [2, 1, 3], dbt)
    check_same(silver(at_once, FLEETS), silver(lake, FLEETS))
    lake.close()


def test_any_order_of_deliveries_equals_a_full_rebuild(tmp_path):
    """Whatever arrives first: the tables are those of a lake that got all at once, row for row."""
    start = random.SystemRandom().randrange(2**31)
    print(f"seed {start}")
    dice = random.Random(start)
    fresh = drawn(fleets(conflicts=False), n=12, start=start) + drawn(sampled_fleets(), n=6, start=start)
    order = dice.sample(range(1, 5), 4)
    lake, whole = TinyLake(tmp_path / "lake"), TinyLake(tmp_path / "whole")
    with Warehouse(lake.folder) as dbt:
        deliver(lake, [delivered(case, dice=dice, parts=4, first=order[0]) for case in fresh], [*order, order[1]], dbt)
    by_parts = silver(lake, fresh)
    whole.add(*fresh)
    whole.build(full=True)
    check_same(silver(whole, fresh), by_parts)
    lake.build(full=True)
    check_same(silver(lake, fresh), by_parts)
    lake.close()
    whole.close()


# ---------------------------------------------------------------------------------------------- broken on purpose

AMOUNT_TABLES = ("silver_allocation_days", "silver_job_days", "silver_machine_days", "silver_allocation_hours")


def one(table: str, where: str = "cluster_id = 'means_whole' AND active_mgpu_s > 1000") -> str:
    return f"rowid = (SELECT min(rowid) FROM lake.main.{table} WHERE {where})"


def changed(table: str, what: str) -> str:
    return f"UPDATE lake.main.{table} SET {what} WHERE {one(table)}"


BREAKS = [
    *(
        (f"{table}_holds", "allocation_closes", table, changed(table, "unknown_mgpu_s = unknown_mgpu_s + 1"))
        for table in AMOUNT_TABLES
    ),
    *(
        (
            f"{table}_holds", "no_amount_is_negative", table,
            changed(table, "active_mgpu_s = -1, idle_held_mgpu_s = idle_held_mgpu_s + active_mgpu_s + 1"),
        )
        for table in AMOUNT_TABLES
    ),
    *(
        (
            f"{table}_holds", "grain_is_unique", table,
            f"INSERT INTO lake.main.{table} SELECT * FROM lake.main.{table} WHERE {one(table)}",
        )
        for table in AMOUNT_TABLES[1:]
    ),
    *(
        (f"{table}_holds", "zero_use_is_idle", table, changed(table, "zero_util_mgpu_s = idle_held_mgpu_s + 1"))
        for table in AMOUNT_TABLES
    ),
    *(
        (f"{table}_holds", "pool_is_not_null", table, changed(table, "pool = NULL"))
        for table in AMOUNT_TABLES
    ),
    (
        "silver_allocation_days_holds", "allocation_is_held_times_seconds", "silver_allocation_days",
        changed("silver_allocation_days", "held_mgpu = held_mgpu + 1"),
    ),
    (
        "silver_allocation_days_holds", "span_is_not_empty", "silver_allocation_days",
        changed("silver_allocation_days", "end_s = start_s"),
    ),
    *(
        (
            "accounting_sums_agree", "", table,
            changed(table, "allocated_mgpu_s = allocated_mgpu_s + 1, unknown_mgpu_s = unknown_mgpu_s + 1"),
        )
        for table in AMOUNT_TABLES[:3]
    ),
    (
        "accounting_sums_agree", "", "silver_job_days",
        f"DELETE FROM lake.main.silver_job_days WHERE {one('silver_job_days')}",
    ),
    (
        "allocation_hours_agree_with_days", "", "silver_allocation_hours",
        changed("silver_allocation_hours", "allocated_mgpu_s = allocated_mgpu_s + 1, unknown_mgpu_s = unknown_mgpu_s + 1"),
    ),
    (
        "allocation_hours_agree_with_days", "", "silver_machine_days",
        changed("silver_machine_days", "active_mgpu_s = active_mgpu_s + 2000, idle_held_mgpu_s = idle_held_mgpu_s - 2000"),
    ),
    (
        "allocation_hours_agree_with_days", "", "silver_machine_days",
        changed("silver_machine_days", "over_allocated_mgpu_s = over_allocated_mgpu_s + 1"),
    ),
    (
        "allocation_days_lie_in_their_day", "", "silver_allocation_days",
        changed("silver_allocation_days", "start_s = start_s - 86400, end_s = end_s - 86400"),
    ),
    (
        "allocation_parts_sum_to_spans", "", "silver_allocation_days",
        f"DELETE FROM lake.main.silver_allocation_days WHERE {one('silver_allocation_days')}",
    ),
    (
        "unbounded_work_fits_what_was_free", "", "gold_waste_window",
        "UPDATE lake.main.gold_waste_window SET failed_unbounded_gpu_h_high = unallocated_gpu_h + 1",
    ),
]  # fmt: skip
TESTS = sorted({name for name, *_ in BREAKS})


def broken(lake: TinyLake, dbt: Warehouse, *tests: str) -> dict[str, str]:
    """Those of some data tests that fail at the newest version, and what they say."""
    lake.close()
    with lake.writing() as writer:
        version = writer.version()
    result = dbt.test(version=version, slow_ones_too=True)
    assert not result.error, result.error
    assert set(tests) <= {node.name for node in result.nodes}
    return {node.name: node.message for node in result.failures if node.name in tests}


def test_no_law_is_broken_by_what_was_built(at_once, dbt):
    """Also the one law that is too dear for each refresh."""
    assert {} == broken(at_once, dbt, *TESTS)


@pytest.mark.parametrize(
    ("test", "law", "table", "damage"),
    [pytest.param(*one, id=f"{number}-{one[0]}-{one[1]}") for number, one in enumerate(BREAKS)],
)
def test_a_broken_law_is_seen(test, law, table, damage, at_once, dbt):
    """A data test that cannot fail protects nobody."""
    at_once.close()
    with at_once.writing() as writer:
        sound = writer.version()
        with writer.transaction("damage"):
            writer.sql(damage)
        assert writer.version() > sound, "no row was damaged"
    try:
        failures = broken(at_once, dbt, test)
        assert test in failures
        assert law in failures[test]
    finally:
        with at_once.writing() as writer:  # in one transaction the old version would be seen without what was deleted
            writer.sql(f"DELETE FROM lake.main.{table}")
            writer.sql(f"INSERT INTO lake.main.{table} SELECT * FROM lake.main.{table} AT (VERSION => {sound})")
            (n,) = writer.sql(f"SELECT count(*) AS n FROM lake.main.{table}")["n"].to_pylist()
        assert n
