"""The worksheet docs/explanation/one-day-by-hand.md, landed and built: every value there was worked out by hand."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from gpulake import pipeline
from gpulake.config import Config
from gpulake.lake import open_publication

ROWS = Path(__file__).parents[1] / "fixtures" / "worksheet"


@pytest.fixture(scope="module")
def days(tmp_path_factory):
    lake = tmp_path_factory.mktemp("worksheet") / "lake"
    result = pipeline.refresh(Config(lake=lake), data=ROWS)
    assert result.error is None
    with open_publication(lake) as publication:
        rows = publication.sql("select * from gold_cluster_util_daily order by dt").to_pylist()
    return {row["dt"]: row for row in rows}


def test_the_worksheet_day_is_published_as_worked_out_by_hand(days):
    """A reader who recomputes one day with a pencil must get the published figures."""
    day = days[date(1970, 1, 2)]

    by_hand = {
        "covered_gpu_s": 19_800,
        "capacity_gpu_s": 1_036_800,
        "coverage_ratio": 19_800 / 1_036_800,
        "gpu_pct_s": 978_000,
        "avg_gpu_util": 978_000 / 19_800,
        "machine_hours": 3,
        "p95_gpu_util": 215 / 3,
        "covered_core_s": 1_612_800,
        "capacity_core_s": 352 * 86_400,
        "core_pct_s": 71_856_000,
        "avg_cpu_util": 71_856_000 / 1_612_800,
        "covered_machines": 3,
        "over_capacity_windows": 0,
        "windows": 8,
        "avg_gpu_util_unweighted": 400 / 7,
        "p95_gpu_util_unweighted": 135.0,
        "avg_cpu_util_unweighted": 30.0,
    }
    assert by_hand == pytest.approx({name: day[name] for name in by_hand}, abs=1e-6)


def test_a_window_over_midnight_is_split(days):
    """The hour before midnight belongs to the day before, whatever day its window ended on."""
    before = days[date(1970, 1, 1)]

    assert (75.0, 7_200, 0) == (before["avg_gpu_util"], before["covered_gpu_s"], before["windows"])


def test_only_the_two_days_of_the_trace_are_published(days):
    """A time of 0 is "not known": it must not open the calendar at some first day of its own."""
    assert [date(1970, 1, 1), date(1970, 1, 2)] == sorted(days)
