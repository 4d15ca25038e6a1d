"""Sums over a range are those of its days: over the whole window they are what the window's own tables say."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pyarrow as pa
import pytest

from gpulake.lake import in_memory
from gpulake.reading import ranges

WHOLE = ("pai2020", "1970-01-01", "2100-01-01")
NOT_OF_DAYS = {"cluster_id", "unbounded_spans", "failed_unbounded_spans", "failed_unbounded_gpu_h_high"}
"""The window's table counts attempts without any day too."""


def test_where_the_gpu_hours_went_over_all_days_is_what_the_window_says(sql):
    (window,) = sql("select * from gold_waste_window where cluster_id = 'pai2020'")
    (summed,) = sql(ranges.waste_query(), *WHOLE)
    for name in window.keys() - NOT_OF_DAYS:
        assert summed[name] == (None if window[name] is None else pytest.approx(window[name], rel=1e-9)), name


def test_two_halves_make_the_whole_and_a_ratio_is_that_of_the_sums(sql):
    """Never a mean of means: the ratio of all days is not that of the two halves' ratios."""
    query = ranges.USERS.query(by=("cluster_id",))
    (whole,) = sql(query, *WHOLE)
    halves = [sql(query, "pai2020", *days)[0] for days in (("1970-01-01", "1970-01-13"), ("1970-01-14", "2100-01-01"))]
    for name in ranges.USERS.amounts:
        assert sum(half[name] for half in halves) == pytest.approx(whole[name], rel=1e-9), name
    active, measured = whole["active_gpu_h"], whole["allocated_gpu_h"] - whole["unknown_gpu_h"]
    assert whole["efficiency_ratio"] == pytest.approx(active / measured)
    assert whole["efficiency_low"] <= whole["efficiency_ratio"] <= whole["efficiency_high"]
    assert whole["failed_ratio_of_submitted"] == whole["jobs_failed"] / whole["jobs_submitted"]


def test_a_share_is_of_all_that_sat_idle_whoever_held_it(sql, monkeypatch):
    """By hand: of 10 idle GPU-hours u holds 6; the 4 of whom nobody knows belong to the whole, and to no list of users."""
    given = "(values ('c', date '1970-01-02', 'u', 6.0), ('c', date '1970-01-02', null, 4.0)) as t (cluster_id, dt, user_id, idle_held_gpu_h)"
    given = (
        given.replace("idle_held_gpu_h)", "idle_held_gpu_h, allocated_gpu_h)")
        .replace("6.0)", "6.0, 8.0)")
        .replace("4.0)", "4.0, 4.0)")
    )
    monkeypatch.setattr(ranges, "USERS", ranges.Summed(given, ("idle_held_gpu_h", "allocated_gpu_h")))
    days = ("c", "1970-01-01", "1970-01-03")
    found = sql(ranges.idle_users_query(), *days, *days)
    assert [(row["user_id"], row["idle_held_share_ratio"]) for row in found] == [("u", 0.6)]


def test_the_range_of_a_machines_use_is_of_all_its_days_or_not_told():
    """By hand: 2 GPUs, an hour a day; 40 and 60 % of both, errors of 3 and 4 GPU-h × points: 50 ± 1.645 × 5 / 4."""
    days = [
        (date(1970, 1, 2), 3600, 40.0 * 7200, 9.0, 3600, 0.0, 1.0),
        (date(1970, 1, 3), 3600, 60.0 * 7200, 16.0, 3600, 30.0 * 3600, None),
        (date(1970, 1, 4), 0, None, None, 0, None, None),
    ]
    names = "dt gpu_covered_s gpu_pct_s gpu_pct_h_variance cpu_covered_s cpu_pct_s cpu_pct_h_variance"
    given = [
        {"cluster_id": "c", "machine_id": "m", "gpu_count": 2, **dict(zip(names.split(), day, strict=True))}
        for day in days
    ]
    summed = replace(
        ranges.MACHINES,
        amounts=("gpu_covered_s",),
        ratios={name: parts for name, parts in ranges.MACHINES.ratios.items() if name != "coverage_ratio"},
        partly=("gpu_pct_s", "cpu_pct_s", "cpu_covered_s"),
    )
    query = summed.query(by=("machine_id", "gpu_count"))
    with in_memory({"gold_machine_util_daily": pa.Table.from_pylist(given)}) as reader:
        (two,) = reader.sql(query, ["c", date(1970, 1, 2), date(1970, 1, 4)]).to_pylist()
        (first,) = reader.sql(query, ["c", date(1970, 1, 2), date(1970, 1, 2)]).to_pylist()

    assert (50, 50 - 1.645 * 1.25, 50 + 1.645 * 1.25) == pytest.approx(
        tuple(two[f"gpu_util_per_gpu_{end}"] for end in ("pct", "low", "high"))
    )
    assert (15, None, None) == tuple(two[f"cpu_util_{end}"] for end in ("pct", "low", "high")), "one day's is not known"
    assert (0, 0, 1.645) == pytest.approx(tuple(first[f"cpu_util_{end}"] for end in ("pct", "low", "high")))


def test_what_nobody_held_is_a_part_of_the_bill(sql):
    pools = sql(ranges.bills_query(), *WHOLE, *WHOLE)
    (bill,) = sql(ranges.bill_query(), *WHOLE, *WHOLE)
    held = sql("select sum(cost_usd) as usd from gold_user_cost_daily where cluster_id = 'pai2020'")[0]["usd"]
    priced = [pool for pool in pools if pool["cost_usd"] is not None]
    assert len(priced) > 1
    assert float(bill["cost_usd"]) == pytest.approx(sum(pool["cost_usd"] for pool in priced))
    assert float(bill["cost_usd"] - bill["idle_usd"]) == pytest.approx(float(held))


def test_what_became_of_the_gpus_cost_what_the_bill_says(sql):
    """The waterfall in money must end where the bill does, and its grey bar must be what Cost calls held by nobody."""
    (costs,) = sql(ranges.waste_cost_query(), *WHOLE)
    (bill,) = sql(ranges.bill_query(), *WHOLE, *WHOLE)
    parts = ("unallocated_usd", "unknown_usd", "idle_held_usd", "failed_active_usd", "productive_usd")
    assert all(costs[part] > 0 for part in parts if part != "failed_active_usd")
    assert costs["starts_at_usd"] == costs["cost_usd"] == pytest.approx(float(bill["cost_usd"]), abs=0.001)
    assert costs["unallocated_usd"] == pytest.approx(float(bill["idle_usd"]), abs=0.001)
    assert sum(costs[part] for part in parts) == pytest.approx(costs["cost_usd"], abs=0.001)
    assert sql(ranges.waste_cost_query(), "openb2023", "1970-01-01", "2100-01-01") == []


def test_an_amount_that_one_day_does_not_know_is_not_known_of_the_range(sql):
    given = ranges.Summed("(values ('c', date '1970-01-02', 1.0, 5.0), ('c', date '1970-01-03', null, 7.0)) as t (cluster_id, dt, a, b)",
                          ("a",), {"r": ("a", "b")}, partly=("b",))  # fmt: skip
    assert sql(given.query(), "c", "1970-01-02", "1970-01-03") == [{"a": None, "b": 12.0, "r": None}]
    assert sql(given.query(), "c", "1970-01-02", "1970-01-02") == [{"a": 1.0, "b": 5.0, "r": 0.2}]
    assert sql(given.query(), "c", "1970-01-05", "1970-01-06") == []


TWO_WEEKS = ("1970-01-08", "c", "1970-01-02", "1970-01-15")


@pytest.fixture
def two_weeks():
    """Seven days of 10 GPU-hours capacity of which 4 are held and 1 is in use, after seven of which 2 are held and 1 is."""
    held = """(
        select 'c' as cluster_id, date '1970-01-02' + i::int as dt, case when i < 7 then 2.0 else 4.0 end as allocated_gpu_h,
            10.0 as capacity_gpu_h, 1.0 as active_gpu_h, 0.0 as unknown_gpu_h, case when i < 7 then 1.0 else 3.0 end as idle_held_gpu_h,
            10 as jobs_submitted, i as jobs_failed, null::double as cost_usd, false as is_idle
        from range(14) as t (i)
    )"""
    given = ranges.WeekTables()
    return ranges.WeekTables(**{name: replace(getattr(given, name), table=held) for name in ("held", "jobs", "costs")})


def test_a_week_beside_the_one_before(sql, two_weeks):
    """By hand: 28 held of 70 after 14 of 70; 7 of 28 in use after 7 of 14; what nobody priced has no change either."""
    (row,) = sql(ranges.week_on_week_query(two_weeks), *TWO_WEEKS * 3)

    assert (row["allocated_gpu_h"], row["allocated_gpu_h_before"], row["allocated_gpu_h_change"]) == (28.0, 14.0, 1.0)
    assert row["allocated_ratio_change"] == pytest.approx(0.2)
    assert (row["efficiency_ratio"], row["efficiency_ratio_before"]) == (0.25, 0.5)
    assert row["efficiency_ratio_change"] == -0.25
    assert row["failed_ratio_of_submitted_change"] == pytest.approx(70 / 70 - 21 / 70)
    assert row["jobs_submitted_change"] == 0.0
    assert row["unknown_gpu_h_change"] is None, "nothing was, so no share of it"
    assert (row["cost_usd"], row["cost_usd_change"]) == (None, None)


def test_a_week_that_is_not_whole_is_compared_with_nothing(sql, two_weeks):
    """Six days beside seven would look like a loss."""
    later = ("1970-01-09", "c", "1970-01-03", "1970-01-16")
    assert sql(ranges.week_on_week_query(two_weeks), *later * 3) == []


def test_the_use_of_an_hour_of_the_week_is_that_of_its_sums(sql):
    """The mean of all Mondays' nines, each weighed by what was measured of it."""
    cells = sql(ranges.HOURS_OF_WEEK.query(by=("weekday", "hour_no")), *WHOLE)
    hours = sql(
        "select dt, hour_no, gpu_pct_s, covered_gpu_s from gold_cluster_util_hourly where cluster_id = 'pai2020'"
    )
    for cell in cells:
        of = [row for row in hours if (row["dt"].isoweekday(), row["hour_no"]) == (cell["weekday"], cell["hour_no"])]
        covered = sum(row["covered_gpu_s"] for row in of)
        expected = sum(row["gpu_pct_s"] or 0.0 for row in of) / covered if covered else None
        assert cell["avg_gpu_util"] == (None if expected is None else pytest.approx(expected))
    assert len(cells) == 24 * 7


@pytest.mark.parametrize(("is_whole", "idle"), [(True, 7.0), (False, None)])
def test_what_nobody_held_is_not_billed_of_a_sample(is_whole, idle):
    """By hand: of 10 USD 7 paid for what no job of the trace held. Where the trace is a sample others may have held it."""
    day = date(1970, 1, 2)
    costs = [
        {"cluster_id": "c", "dt": day, "pool": "P", "is_idle": False, "allocated_gpu_h": 3.0, "unallocated_gpu_h": None, "cost_usd": 3.0},
        {"cluster_id": "c", "dt": day, "pool": "P", "is_idle": True, "allocated_gpu_h": 0.0, "unallocated_gpu_h": 7.0, "cost_usd": 7.0},
    ]  # fmt: skip
    window = [{"cluster_id": "c", "starts_at_capacity": is_whole}]
    given = {"gold_cost_daily": pa.Table.from_pylist(costs), "gold_waste_window": pa.Table.from_pylist(window)}
    with in_memory(given) as view:
        (pool,) = view.sql(ranges.bills_query(), ["c", day, day] * 2).to_pylist()
        (bill,) = view.sql(ranges.bill_query(), ["c", day, day] * 2).to_pylist()
    assert (pool["pool"], float(pool["cost_usd"]), pool["idle_usd"]) == ("P", 10.0, idle)
    assert (float(bill["cost_usd"]), bill["idle_cost_ratio"] and float(bill["idle_cost_ratio"])) == (10.0, idle and 0.7)
