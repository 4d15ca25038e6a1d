"""Sums over a range are those of its days: over the whole window they are what the window's own tables say."""

from __future__ import annotations

import pytest

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
    monkeypatch.setattr(ranges, "USERS", ranges.Summed(given, ("idle_held_gpu_h",)))
    found = sql(ranges.idle_users_query(), "c", "1970-01-01", "1970-01-03")
    assert [(row["user_id"], row["idle_held_share_ratio"]) for row in found] == [("u", 0.6)]


def test_what_nobody_held_is_a_part_of_the_bill(sql):
    pools = sql(ranges.bills_query(), *WHOLE, *WHOLE)
    (bill,) = sql(ranges.bill_query(), *WHOLE, *WHOLE)
    held = sql("select sum(cost_usd) as usd from gold_user_cost_daily where cluster_id = 'pai2020'")[0]["usd"]
    priced = [pool for pool in pools if pool["cost_usd"] is not None]
    assert len(priced) > 1
    assert float(bill["cost_usd"]) == pytest.approx(sum(pool["cost_usd"] for pool in priced))
    assert float(bill["cost_usd"] - bill["idle_usd"]) == pytest.approx(float(held))


def test_an_amount_that_one_day_does_not_know_is_not_known_of_the_range(sql):
    given = ranges.Summed("(values ('c', date '1970-01-02', 1.0, 5.0), ('c', date '1970-01-03', null, 7.0)) as t (cluster_id, dt, a, b)",
                          ("a",), {"r": ("a", "b")}, partly=("b",))  # fmt: skip
    assert sql(given.query(), "c", "1970-01-02", "1970-01-03") == [{"a": None, "b": 12.0, "r": None}]
    assert sql(given.query(), "c", "1970-01-02", "1970-01-02") == [{"a": 1.0, "b": 5.0, "r": 0.2}]
    assert sql(given.query(), "c", "1970-01-05", "1970-01-06") == []
