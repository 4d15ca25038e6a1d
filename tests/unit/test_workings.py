"""How a figure was worked out of windows: the weights are those that made it, and what is not known is not told."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import duckdb
import pytest

from gpulake.reading.workings import RowOf, workings
from gpulake.telling.workings import workings_lines

DAY = date(1970, 1, 2)
MIDNIGHT = datetime(1970, 1, 2)  # noqa: DTZ001  # UTC, as the lake's
SQL = """
    attach ':memory:' as lake;
    create table lake.main.silver_days as
        select 'c' as cluster_id, date '1970-01-02' as dt, timestamp '1970-01-02' as starts_at, timestamp '1970-01-03' as ends_at;
    create table lake.main.silver_gpu_timeseries (
        cluster_id varchar, machine_id varchar, started_at timestamp, ended_at timestamp, gpu_util_pct double, cpu_util_pct double,
        gpu_count bigint
    );
    create table lake.main.silver_machine_hours (
        cluster_id varchar, dt date, machine_id varchar, hour_start_at timestamp, hour_s bigint, gpu_count bigint, cpu_cores bigint,
        gpu_covered_s bigint, cpu_covered_s bigint, gpu_pct_s decimal(18, 6), cpu_pct_s decimal(18, 6),
        gpu_util_weighted_pct decimal(18, 6), gpu_method varchar, cpu_method varchar,
        gpu_shift double, gpu_window_variance double, cpu_shift double, cpu_window_variance double
    );
    create table lake.main.gold_cluster_util_daily (cluster_id varchar, dt date, p95_gpu_util double);
    create table lake.main.gold_left_out_windows_daily (
        cluster_id varchar, dt date, quantity varchar, window_length varchar, windows bigint,
        reconstructed_squares double, swept_squares double
    );
"""


class MadeLake:
    """A publication of a few rows."""

    def __init__(self):
        self.connection = duckdb.connect()
        self.connection.execute(SQL)

    def sql(self, query, params=()):
        return self.connection.execute(query, list(params)).to_arrow_table()

    def window(self, start_h, end_h, gpu, *, machine="m", cpu=None, gpus=2):
        at = [MIDNIGHT + timedelta(hours=hours) for hours in (start_h, end_h)]
        self.connection.execute(
            "insert into lake.silver_gpu_timeseries values ('c', ?, ?, ?, ?, ?, ?)", [machine, *at, gpu, cpu, gpus]
        )

    def hour(
        self,
        hour,
        gpu,
        *,
        machine="m",
        gpus=2,
        covered_s=3600,
        method="reconstructed",
        cpu_method=None,
        dt=DAY,
        shift=0.0,
        variance=0.0,
    ):
        self.connection.execute(
            "insert into lake.silver_machine_hours values ('c', ?, ?, ?, 3600, ?, 8, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0)",
            [
                dt, machine, MIDNIGHT + timedelta(hours=hour), gpus, covered_s, covered_s, gpu * covered_s * (gpus or 1),
                gpu * covered_s, gpu, method, cpu_method, shift, variance,
            ],
        )  # fmt: skip

    def told(self, table, column, **row):
        return workings(self, table=table, column=column, row=RowOf("c", **{"dt": DAY, **row}))


@pytest.fixture
def made():
    return MadeLake()


PUBLISHED = {0: 24.5707, 5: 52.2414, 6: 74.0378, 7: 56.0978, 12: 13.3245, 23: 0.5274}
"""Hours that were worked out beside the code, of a day at 20 % and half an hour at 80 %."""


@pytest.mark.parametrize("hour", PUBLISHED)
def test_weights_times_values_are_the_published_hour(made, hour):
    """Who adds up what the list says must come to the figure: two GPUs at 40 and 160 are one at 20 and 80."""
    made.window(0, 24, 40.0)
    made.window(6.5, 7, 160.0)
    made.window(0, 24, 999.0, machine="other")
    made.window(-30, -26, 999.0)  # further than a day bears
    made.hour(hour, PUBLISHED[hour])
    found = made.told(
        "gold_machine_util_hourly",
        "gpu_util_weighted_pct",
        machine_id="m",
        hour_start_at=MIDNIGHT + timedelta(hours=hour),
    )

    by_hand = {80: (PUBLISHED[hour] - 20) / 60, 20: 1 - (PUBLISHED[hour] - 20) / 60}
    named = found.of_windows.named
    assert by_hand == {each.value_pct: pytest.approx(each.weight, abs=2e-6) for each in named}
    assert abs(named[0].weight) >= abs(named[1].weight)
    assert PUBLISHED[hour] == pytest.approx(sum(each.weight * each.value_pct for each in named), abs=1e-4)
    assert (0, 0, 0, None) == (
        found.of_windows.other_windows, found.of_windows.other_weight, found.of_windows.bounded_by_pct, found.of_machines,
    )  # fmt: skip
    assert {6 * 3600} == {found.parameters["memory_s"]}


def test_a_machines_day_is_the_mean_of_its_hours_with_what_was_cut_off_told(made):
    """Of that day the windows say 20 %, and 0.7 % were added since some hours would lie below 0 (20.7 on the page)."""
    made.window(0, 24, 40.0)
    made.window(6.5, 7, 160.0)
    for hour in range(24):
        made.hour(hour, 1.0)
    found = made.told("gold_machine_util_daily", "gpu_util_per_gpu_pct", machine_id="m").of_windows

    assert 1 == pytest.approx(sum(each.weight for each in found.named))
    assert 20.7 == pytest.approx(found.sum_pct + found.bounded_by_pct, abs=0.05)
    assert found.bounded_by_pct > 0.1


def test_noise_of_the_day_is_told_and_weighs(made):
    """What the build learnt of a window's own error must be what draws the hour here too."""
    made.window(0, 24, 40.0)
    made.window(6.5, 7, 160.0)
    made.hour(6, 50.0)
    made.hour(6, 50.0, machine="n", variance=400 / 0.91)
    made.window(0, 24, 40.0, machine="n")
    made.window(6.5, 7, 160.0, machine="n")
    of_hour = ("gold_machine_util_hourly", "gpu_util_weighted_pct")
    clean, noisy = (made.told(*of_hour, machine_id=name, hour_start_at=MIDNIGHT + timedelta(hours=6)) for name in "mn")

    assert "noise_points" not in clean.parameters
    assert (400 / 0.91) ** 0.5 == pytest.approx(noisy.parameters["noise_points"])
    assert noisy.of_windows.sum_pct < clean.of_windows.sum_pct - 1, "one short window is believed less"
    assert any("noise points 20.96" in line for line in workings_lines(noisy))


def test_what_the_fleets_day_adds_is_told_and_drawn_within_bounds(made):
    """A day of which others tell that it is lower by a quarter: windows that lie in it have told most of that themselves."""
    made.window(-24, 24, 80.0)
    made.hour(6, 30.0, shift=-0.25)
    of_hour = ("gold_machine_util_hourly", "gpu_util_weighted_pct")
    row = {"machine_id": "m", "hour_start_at": MIDNIGHT + timedelta(hours=6)}
    found = made.told(*of_hour, **row)

    # By hand: of one window, half of it in the day, the level takes half of a shift upon itself: 40 × (1 - 1 / 2) × -1 / 4.
    assert (40, -5, 0) == pytest.approx(
        (found.of_windows.sum_pct, found.of_windows.fleet_pct, found.of_windows.bounded_by_pct)
    )
    assert any("; -5.00000 as the fleet's day tells" in line for line in workings_lines(found))


def test_only_reconstructed_hours_of_a_day_are_told_by_their_windows(made):
    """Where samples made an hour, windows over it bear on nothing."""
    made.window(0, 1, 20.0)
    made.window(30, 31, 60.0)
    made.window(20, 21, 100.0)
    made.hour(0, 10.0)
    made.hour(20, 50.0, method="sampled")
    found = made.told("gold_machine_util_daily", "gpu_util_per_gpu_pct", machine_id="m")
    alone = made.told("gold_machine_util_hourly", "gpu_util_weighted_pct", machine_id="m", hour_start_at=MIDNIGHT)

    assert {"reconstructed": 0.5, "sampled": 0.5} == found.methods
    assert alone.of_windows == found.of_windows


def test_twenty_windows_are_named_and_the_rest_is_counted(made):
    """A list of hundreds hides what matters; the sum must close all the same."""
    for at in range(23):
        made.window(at, at + 1, 2.0 * at)
        made.window(at, at + 1, 2.0 * at)
    made.hour(3, 3.0)
    found = made.told(
        "silver_machine_hours", "gpu_util_weighted_pct", machine_id="m", hour_start_at=MIDNIGHT + timedelta(hours=3)
    )
    weights = [abs(each.weight) for each in found.of_windows.named]

    assert (20, 6) == (len(weights), found.of_windows.other_windows)
    assert sorted(weights, reverse=True) == weights
    assert 3 == found.of_windows.named[0].value_pct
    assert 1 == pytest.approx(sum(each.weight for each in found.of_windows.named) + found.of_windows.other_weight)
    assert any(line.startswith("and 6 windows more, together ") for line in workings_lines(found))


def test_a_fleets_figure_is_told_by_its_machines(made):
    """3 GPUs for an hour and 1 GPU for half of one: weights 6 of 7 and 1 of 7; by cores, 2 of 3 and 1 of 3."""
    made.hour(0, 10.0, machine="big", gpus=3, cpu_method="reconstructed")
    made.hour(0, 80.0, machine="small", gpus=1, covered_s=1800, method="swept", cpu_method="reconstructed")
    made.hour(0, 99.0, machine="unknown", gpus=None, cpu_method=None, covered_s=0)
    made.hour(24, 99.0, machine="big", gpus=3, dt=DAY + timedelta(days=1))
    found = made.told("gold_cluster_util_daily", "avg_gpu_util")
    cpu = made.told("gold_cluster_util_daily", "avg_cpu_util").of_machines

    assert [("big", 6 / 7, 10, "reconstructed"), ("small", 1 / 7, 80, "swept")] == [
        (each.machine_id, pytest.approx(each.weight), pytest.approx(each.value_pct), each.method)
        for each in found.of_machines.named
    ]
    assert {"reconstructed": pytest.approx(6 / 7), "swept": pytest.approx(1 / 7)} == found.methods
    assert (0, 0.0, None) == (found.of_machines.other_machines, found.of_machines.other_weight, found.of_windows)
    assert [("big", 2 / 3, 10), ("small", 1 / 3, 80)] == [
        (each.machine_id, pytest.approx(each.weight), pytest.approx(each.value_pct)) for each in cpu.named
    ]
    window = made.told("gold_cluster_util_window", "avg_gpu_util", dt=None).of_machines
    assert 12 / 13 == pytest.approx(window.named[0].weight), "both days of it"


def test_a_percentile_hangs_on_the_hours_at_it_and_above(made):
    """Machines whose hours lie below it only hold it where it is by their number."""
    for hour, value in enumerate((10.0, 60.0, 70.0)):
        made.hour(hour, value, machine="a")
        made.hour(hour, value - 10, machine="b")
    made.hour(5, 90.0, machine="c", covered_s=1799)  # less than half
    made.connection.execute("insert into lake.gold_cluster_util_daily values ('c', ?, 60)", [DAY])
    for column in ("p95_gpu_util", "p95_gpu_util_high"):
        found = made.told("gold_cluster_util_daily", column).of_machines
        assert [("a", 2 / 3, 65), ("b", 1 / 3, 60)] == [
            (each.machine_id, pytest.approx(each.weight), each.value_pct) for each in found.named
        ]
        assert "machine-hours at the figure or above" == found.weighed_by


def test_more_than_twenty_machines_are_counted(made):
    """Of a fleet of thousands the heaviest are told, and how much the rest weighs."""
    for at in range(25):
        made.hour(0, 1.0, machine=f"m{at:02}", gpus=8)
    found = made.told("gold_cluster_util_hourly", "avg_gpu_util", hour_start_at=MIDNIGHT)

    assert ("m00", "m19", 5, pytest.approx(5 / 25)) == (
        found.of_machines.named[0].machine_id, found.of_machines.named[-1].machine_id,
        found.of_machines.other_machines, found.of_machines.other_weight,
    )  # fmt: skip
    assert "and 5 machines more, together 0.200000" in list(workings_lines(found))


def test_the_held_out_error_is_of_the_day_and_of_the_quantity(made):
    """Over many days errors add up by their squares, weighted by windows: √((3 × 4 + 1 × 16) / 4)."""
    made.hour(0, 1.0)
    rows = [
        (DAY, "gpu", "under 1 h", 3, 12, 27), (DAY, "gpu", "over 6 h", 1, 9, 1), (DAY, "cpu", "under 1 h", 1, 1, 1),
        (DAY + timedelta(days=1), "gpu", "under 1 h", 1, 16, 9),
    ]  # fmt: skip
    made.connection.executemany("insert into lake.gold_left_out_windows_daily values ('c', ?, ?, ?, ?, ?, ?)", rows)
    of_day, of_all = (
        made.told("gold_cluster_util_daily", "avg_gpu_util"),
        made.told("gold_cluster_util_window", "avg_gpu_util", dt=None),
    )

    assert [("under 1 h", 3, 2, 3), ("over 6 h", 1, 3, 1)] == [
        (each.window_length, each.windows, each.reconstructed_rmse, each.swept_rmse) for each in of_day.left_out
    ]
    assert [("under 1 h", 4, pytest.approx(7**0.5), 3), ("over 6 h", 1, 3, 1)] == [
        (each.window_length, each.windows, each.reconstructed_rmse, each.swept_rmse) for each in of_all.left_out
    ]


def test_a_swept_hour_has_no_weights_and_says_so(made):
    """Weights of a solution that was not used would explain another figure."""
    made.window(0, 1, 40.0)
    made.hour(0, 20.0, method="swept")
    found = made.told("gold_machine_util_hourly", "gpu_util_weighted_pct", machine_id="m", hour_start_at=MIDNIGHT)

    assert ({"swept": 1.0}, {}, None) == (found.methods, found.parameters, found.of_windows)
    lines = list(workings_lines(found))
    assert lines[0].startswith("worked out   swept (each second has the mean")
    assert "windows that were left out and told from the others: none" in lines


def test_what_no_window_made_is_not_explained_by_windows(made):
    """Sampled hours, other columns, an hour that is not there, and a lake of an earlier gpulake."""
    made.hour(0, 20.0, method="sampled")
    hour = {"machine_id": "m", "hour_start_at": MIDNIGHT}
    assert None is made.told("gold_machine_util_hourly", "gpu_util_weighted_pct", **hour)
    assert None is made.told("gold_machine_util_hourly", "load_1m", **hour)
    assert None is made.told("gold_jobs", "gpu_h", **hour)
    assert None is made.told("gold_machine_util_daily", "gpu_util_per_gpu_pct", machine_id="nobody")
    assert None is workings(made, table="gold_cluster_util_window", column="avg_gpu_util", row=RowOf(None))

    made.hour(1, 20.0)
    hour["hour_start_at"] += timedelta(hours=1)
    assert None is made.told("gold_machine_util_hourly", "gpu_util_weighted_pct", **hour).of_windows, (
        "no windows are left"
    )
    made.connection.execute("alter table lake.silver_machine_hours drop gpu_shift")
    assert None is made.told("gold_machine_util_hourly", "gpu_util_weighted_pct", **hour)
