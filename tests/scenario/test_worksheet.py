"""The worksheet docs/explanation/one-day-by-hand.md, landed and built: every value there was worked out by hand or by loops."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest
from tests.oracle.hours_from_windows import days_of_fleet

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
        "gpu_swept_pct_s": 978_000,
        "avg_gpu_util_swept": 978_000 / 19_800,
        "machine_hours": 3,
        "covered_core_s": 1_612_800,
        "capacity_core_s": 352 * 86_400,
        "covered_machines": 3,
        "over_capacity_windows": 0,
        "windows": 8,
        "avg_gpu_util_unweighted": 400 / 7,
        "p95_gpu_util_unweighted": 135.0,
        "avg_cpu_util_unweighted": 30.0,
    }
    assert by_hand == pytest.approx({name: day[name] for name in by_hand}, abs=1e-6)


def test_the_hours_behind_the_means_are_those_of_the_loops(days):
    """The page shows what a loop says, and the build must say the same."""
    midnight = 24 * 3600
    gpu = {
        "A": [(0, 3600, 100), (1800, 5400, 60), (1800, 2700, 40)],
        "B": [(-3600, 3600, 150), (10_800, 11_700, 20)],
    }
    cpu = {
        "A": [(0, 3600, 10), (1800, 5400, 20), (1800, 2700, 30)],
        "B": [(-3600, 3600, 40), (7200, 9000, 50), (10_800, 11_700, 5)],
        "C": [(0, 7200, 70)],
    }

    def behind(machines, full):
        return days_of_fleet({name: (windows, full) for name, windows in machines.items()}, start=0, end=midnight)

    of_gpus, of_cpus = behind(gpu, 200), behind(cpu, 100)
    gpu_hours = [hour for hours, _ in of_gpus.values() for hour in hours.values()]
    gpu_pct_s = sum(covered_s * mean for covered_s, mean, _ in gpu_hours)
    core_pct_s = sum(
        covered_s * mean * {"A": 96, "B": 64, "C": 96}[machine]
        for machine, (hours, _) in of_cpus.items()
        for covered_s, mean, _ in hours.values()
    )
    day = days[date(1970, 1, 2)]
    variance = sum(variance for _, variance in of_gpus.values())
    error = (variance * 3600**2 / 19_800**2 + 0.16) ** 0.5
    cores = {"A": 96, "B": 64, "C": 96}
    core_variance = sum(variance * cores[machine] ** 2 for machine, (_, variance) in of_cpus.items())
    core_error = (core_variance * 3600**2 / 1_612_800**2 + 0.16) ** 0.5

    by_loops = {
        "avg_gpu_util": gpu_pct_s / 19_800,
        "avg_gpu_util_low": gpu_pct_s / 19_800 - 1.645 * error,
        "avg_gpu_util_high": gpu_pct_s / 19_800 + 1.645 * error,
        "p95_gpu_util": float(np.percentile([mean / 2 for covered_s, mean, _ in gpu_hours if covered_s >= 1800], 95)),
        "avg_cpu_util": core_pct_s / 1_612_800,
        "avg_cpu_util_low": core_pct_s / 1_612_800 - 1.645 * core_error,
        "avg_cpu_util_high": core_pct_s / 1_612_800 + 1.645 * core_error,
    }
    assert by_loops == pytest.approx({name: day[name] for name in by_loops}, abs=1e-5)
    on_the_page = {"avg_gpu_util": 44.2245530, "p95_gpu_util": 67.6594977, "avg_cpu_util": 45.9844078}
    assert on_the_page == pytest.approx({name: day[name] for name in on_the_page}, abs=1e-5)


def test_a_window_over_midnight_is_split(days):
    """The hour before midnight belongs to the day before, whatever day its window ended on."""
    before = days[date(1970, 1, 1)]

    assert (75.0, 7_200, 0) == (before["avg_gpu_util_swept"], before["covered_gpu_s"], before["windows"])
    assert before["avg_gpu_util"] == pytest.approx(78.5989, abs=1e-4)


def test_only_the_two_days_of_the_trace_are_published(days):
    """A time of 0 is "not known": it must not open the calendar at some first day of its own."""
    assert [date(1970, 1, 1), date(1970, 1, 2)] == sorted(days)
