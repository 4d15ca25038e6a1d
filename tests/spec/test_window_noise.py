"""What windows err by themselves: two that tell the very same time of a machine differ by their errors alone."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from rendered import asking, table

MIDNIGHT = datetime(2026, 3, 1)  # noqa: DTZ001  # the lake's times are UTC, without a zone
DAYS = {"cluster_no": "whole", "day_no": "whole", "starts_s": "whole", "ends_s": "whole"}
MACHINES = {"cluster_id": "text", "machine_id": "text", "cluster_no": "whole", "machine_no": "whole"}
WINDOWS = {
    "cluster_id": "text", "machine_id": "text", "started_at": "moment", "ended_at": "moment", "gpu_util_pct": "number",
    "cpu_util_pct": "number", "gpu_count": "whole",
}  # fmt: skip


def learnt(windows):
    """By day the noise of GPU and of CPU use, of windows (machine, first hour, last hour, GPU, CPU), of two GPUs each."""
    start_s = 1_772_323_200  # 2026-03-01
    names = sorted({window[0] for window in windows})
    rows = [
        {
            "cluster_id": "c", "machine_id": machine, "started_at": MIDNIGHT + timedelta(hours=begin),
            "ended_at": MIDNIGHT + timedelta(hours=end), "gpu_util_pct": gpu, "cpu_util_pct": cpu, "gpu_count": 2,
        }
        for machine, begin, end, gpu, cpu in windows
    ]  # fmt: skip
    given = {
        "int_days": table(
            DAYS,
            [
                {
                    "cluster_no": 1,
                    "day_no": day,
                    "starts_s": start_s + day * 86400,
                    "ends_s": start_s + (day + 1) * 86400,
                }
                for day in (0, 1)
            ],
        ),
        "int_measured_machines": table(
            MACHINES,
            [
                {"cluster_id": "c", "machine_id": name, "cluster_no": 1, "machine_no": number}
                for number, name in enumerate(names)
            ],
        ),
        "silver_gpu_timeseries": table(WINDOWS, rows),
    }
    with asking("int_window_noise", given) as ask:
        found = ask("SELECT * FROM int_window_noise")
    return {row["day_no"]: (row["gpu_noise"], row["cpu_noise"]) for row in found}


def pairs(count, *, until=5):
    """Of so many machines two windows of one time: 40 and 80 % of two GPUs, 10 and 12 % of the processors."""
    return [(f"m{at}", 3, until, *told) for at in range(count) for told in ((40.0, 10.0), (80.0, 12.0))]


def test_ten_pairs_tell_the_variance_of_one_window():
    """They differ by 20 points per GPU and by 2: 20² / 2 and 2² / 2 are 0.455 of the variance, at the median."""
    assert {0: pytest.approx((400 / 0.91, 4 / 0.91))} == learnt(pairs(10))


@pytest.mark.parametrize(
    "windows",
    [
        pytest.param(pairs(9), id="nine are too few"),
        pytest.param([*pairs(9), ("m9", 3, 5, 60.0, 10.0)], id="one window is no pair"),
        pytest.param([*pairs(10), ("m9", 3, 5, 60.0, 11.0)], id="nor are three"),
        pytest.param([*pairs(9), ("m9", 3, 5, 40.0, 10.0), ("m9", 3, 6, 80.0, 12.0)], id="nor two of other lengths"),
        pytest.param(
            [*pairs(9), ("m9", 3, 5, 40.0, 10.0), ("m9", 3, 5, None, None)], id="nor one beside what is not known"
        ),
    ],
)
def test_fewer_pairs_tell_nothing(windows):
    assert {0: (0.0, 0.0)} == learnt(windows)


def test_a_pair_is_of_the_day_that_it_ends_on():
    """Days are built one at a time: each learns from what ends in it, also at its last second."""
    assert {0} == set(learnt(pairs(10, until=24)))
    assert {1} == set(learnt(pairs(10, until=25)))
