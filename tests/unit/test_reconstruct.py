"""Hours from the means of overlapping windows: exact against a loop, and lawful whatever is delivered."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.oracle.hours_from_windows import day as by_loops
from tests.oracle.hours_from_windows import whole_day

from gpulake.reconstruct import Days, Windows, bearing, class_of_length, reconstruct, reconstruct_columns

H, DAY = 3600, 86_400


def windows_of(rows):
    """Rows of lane, start, end, values."""
    lane, start, end, *values = (list(column) for column in zip(*rows, strict=True)) if rows else ([], [], [], [])
    return Windows(
        np.array(lane, dtype=np.int64),
        np.array(start, dtype=np.int64),
        np.array(end, dtype=np.int64),
        np.array(values, dtype=np.float64).T.reshape(len(rows), -1),
    )


def days_of(*days, full=100.0, columns=1):
    """Days as (lane, start, end)."""
    lane, start, end = (np.array(column, dtype=np.int64) for column in zip(*days, strict=True))
    return Days(lane, start, end, np.full((lane.size, columns), full))


def hours_of(rows, *days, full=100.0, noise=0.0):
    """{(place of the day, hour): (covered seconds, mean, variance)}, and the days' shares."""
    asked = days_of(*(days or [(0, 0, DAY)]), full=full)
    hours, _ = reconstruct(windows_of(rows), days=replace(asked, noise=np.full(asked.full.shape, noise)))
    found = zip(hours.day, hours.hour_no, hours.covered_s, hours.mean[:, 0], hours.variance[:, 0], strict=True)
    return {(int(d), int(h)): (int(s), float(m), float(v)) for d, h, s, m, v in found}, hours


def test_a_day_of_two_windows_is_what_was_worked_out_beside_the_code():
    """A window of a day at 20 % and one of half an hour at 80 %: the peak stands, and the hours without it sink."""
    expected = {0: 24.5707, 5: 52.2414, 6: 74.0378, 7: 56.0978, 12: 13.3245, 23: 0.5274}

    found, _ = hours_of([(0, 0, DAY, 20), (0, 6 * H + 1800, 7 * H, 80)])

    for hour, mean in expected.items():
        assert mean == pytest.approx(found[0, hour][1], abs=1e-4)


def test_mass_is_kept_where_the_plain_mean_over_windows_invents_some():
    """Beside a day at 50 %, two windows of 2 h at 100 % make the plain mean 52.8 %."""
    found, _ = hours_of([(0, 0, DAY, 50), (0, 0, 2 * H, 100), (0, 0, 2 * H, 100)])

    assert 50 == pytest.approx(np.mean([mean for _, mean, _ in found.values()]), abs=0.2)
    assert found[0, 0][1] == pytest.approx(100, abs=1)


times = st.integers(-30 * H, 54 * H)
lengths = st.one_of(st.integers(300, 4 * H), st.integers(H, 40 * H))
values = st.floats(0, 800, allow_subnormal=False)
rows = st.lists(
    st.tuples(st.just(0), times, lengths, values).map(lambda row: (row[0], row[1], row[1] + row[2], row[3])),
    min_size=1,
    max_size=8,
)


@given(rows, st.sampled_from([0.0, 400.0, 40_000.0]))
@settings(max_examples=40, deadline=None)
def test_stacks_say_what_loops_say(given_rows, noise):
    """Wrong terms, margins or merges would show as another figure, or another band."""
    expected, expected_share = by_loops([row[1:] for row in given_rows], start=0, end=DAY, full=800.0, noise=noise)

    found, hours = hours_of(given_rows, full=800.0, noise=noise)

    assert {hour for _, hour in found} == set(expected)
    for hour, (covered_s, mean, variance) in expected.items():
        assert covered_s == found[0, hour][0]
        assert mean == pytest.approx(found[0, hour][1], abs=2e-6)  # told to 1e-6
        assert variance == pytest.approx(found[0, hour][2], abs=1e-2)
    assert expected_share == pytest.approx(hours.share.sum(), abs=1, rel=1e-6)


@given(rows, st.sampled_from([0.0, 400.0]))
@settings(max_examples=40, deadline=None)
def test_what_a_machine_knows_of_its_fleets_day_is_what_loops_say(given_rows, noise):
    """A wrong sum would move every machine of the day."""
    expected = whole_day([row[1:] for row in given_rows], start=0, end=DAY, full=800.0, noise=noise)

    _, hours = hours_of(given_rows, full=800.0, noise=noise)

    told = [expected["hours"][hour] for hour in hours.hour_no]
    assert [each[1] for each in told] == pytest.approx(hours.unbounded[:, 0].tolist(), abs=1e-5, rel=1e-8)
    assert [each[3] for each in told] == pytest.approx(hours.per_shift[:, 0].tolist(), abs=1e-5, rel=1e-8)
    assert [expected["most"]] * len(told) == pytest.approx(hours.most[:, 0].tolist())
    assert expected["pull"] == pytest.approx(hours.pull.sum(), abs=1e-5, rel=1e-6)
    assert expected["pull_weight"] == pytest.approx(hours.pull_weight.sum(), abs=1e-5, rel=1e-6)


def test_a_machine_whose_windows_tell_days_apart_knows_a_shift_and_one_of_one_window_does_not():
    """By hand: one window over two days has no say in which was higher, and gains half of a shift of its second day."""
    _, apart = hours_of([(0, -DAY, 0, 40), (0, 0, DAY, 20)])
    _, one = hours_of([(0, -DAY, DAY, 40)])

    assert apart.pull.sum() < 0 < apart.pull_weight.sum()
    assert (0, 0) == (one.pull.sum(), one.pull_weight.sum())
    assert one.per_shift[:, 0] == pytest.approx(20)


lanes = st.lists(
    st.tuples(st.integers(0, 2), st.integers(-30 * H, 5 * DAY), lengths, values, values).map(
        lambda row: (row[0], row[1], row[1] + row[2], row[3], row[4])
    ),
    min_size=1,
    max_size=40,
)
WEEK = [(lane, at * DAY, (at + 1) * DAY) for lane in range(3) for at in range(5)]


@given(lanes, st.randoms(use_true_random=False), st.sets(st.sampled_from(range(len(WEEK))), min_size=1))
@settings(max_examples=30, deadline=None)
def test_some_days_alone_and_rows_in_any_order_give_the_same_bits(given_rows, random, some):
    """A day that is built again after a delivery would differ from the same day of a full build."""
    all_hours, all_left = reconstruct(windows_of(given_rows), days=days_of(*WEEK, columns=2))
    shuffled = random.sample(given_rows, len(given_rows))
    chosen = sorted(some, key=lambda _: random.random())
    near = [
        row for row in shuffled
        if any(row[0] == lane and row[1] < end + DAY and row[2] > start - DAY for lane, start, end in (WEEK[i] for i in chosen))
    ]  # fmt: skip
    days = days_of(*(WEEK[i] for i in chosen), columns=2)
    if not near:
        near = [(0, 0, 0, 0.0, 0.0)]

    hours, left = reconstruct(windows_of(near), days=days)

    for whole, part in ((all_hours, hours), (all_left, left)):
        names = [field.name for field in fields(whole) if field.name != "day"]
        for place, day in enumerate(chosen):
            for name in names:
                assert np.array_equal(getattr(whole, name)[whole.day == day], getattr(part, name)[part.day == place])


@given(lanes, st.sampled_from([3, 40]))
@settings(max_examples=20, deadline=None)
def test_a_column_beside_another_gives_the_bits_that_it_gives_alone(given_rows, every):
    """CPU would move a GPU's figure, or one that lacks a few values would move where the other has them."""
    both = windows_of(given_rows)
    gone = np.arange(len(given_rows)) % every == 0
    holes = both.value.copy()
    holes[gone, 1] = np.nan
    uneven = Windows(both.lane, both.start_s, both.end_s, holes)
    days = days_of(*WEEK, columns=2)

    (first, _), (second, _) = reconstruct_columns(uneven, days=days)

    for column, kept, found in ((0, ~gone | gone, first), (1, ~gone, second)):
        alone = Windows(both.lane[kept], both.start_s[kept], both.end_s[kept], both.value[kept][:, [column]])
        expected, _ = reconstruct(alone, days=Days(days.lane, days.start_s, days.end_s, days.full[:, [column]]))
        order = np.lexsort((found.hour_no, found.day))
        assert np.array_equal(expected.mean, found.mean[order])
        assert np.array_equal(expected.share, found.share[order])


@pytest.mark.parametrize(
    ("given_rows", "hours"),
    [
        ([(0, H, 2 * H, 30)], {1}),
        ([(0, -5 * DAY, 15 * DAY, 30)], set(range(24))),
        ([(0, -90 * DAY, 90 * DAY, 30), (0, -200 * DAY, H, 40)], set(range(24))),
        ([(0, H, 3 * H, 30)] * 1000, {1, 2}),
        ([(0, H, H + 1, 0), (0, H, H + 1, 100)], {1}),
        ([(0, at * 60, at * 60 + 5, at % 101) for at in range(1000)], set(range(17))),
        ([(0, -DAY, -H, 30)], set()),
        ([(0, H, H, 30), (0, 3 * H, 2 * H, 30)], set()),
        ([], set()),
        ([(0, H, 2 * H, 900)], {1}),
        ([(0, 200_000 * DAY, 200_001 * DAY, 50), (0, H, 2 * H, 10)], {1}),
        ([(7, H, 2 * H, 900)], set()),
    ],
    ids=[
        "one", "twenty_days", "half_a_year", "a_thousand_equal", "contradicting_seconds", "a_thousand_short",
        "ended_before", "no_span", "none", "more_than_is_there", "the_year_2500", "another_lane",
    ],
)  # fmt: skip
def test_whatever_is_delivered_gives_a_value_or_no_row(given_rows, hours):
    """One odd window would end a build, or publish a NaN."""
    found, figures = hours_of(given_rows) if given_rows else (
        {}, reconstruct(Windows(*(np.empty(0, dtype=np.int64),) * 3, np.empty((0, 1))), days=days_of((0, 0, DAY)))[0]
    )  # fmt: skip

    assert hours == {hour for _, hour in found}
    for figure in (figures.mean, figures.variance, figures.share):
        assert np.isfinite(figure).all()
    most = max([100.0, *(row[3] for row in given_rows)])
    assert all(0 <= mean <= most and variance >= 0 for _, mean, variance in found.values())


def test_a_column_without_a_value_has_no_row_and_leaves_the_other_alone():
    """A trace whose GPUs were not measured would publish hours of NaN."""
    nan = float("nan")
    windows = windows_of([(0, H, 2 * H, nan, 30), (0, H, 3 * H, nan, 40), (1, 0, DAY, nan, nan)])
    days = days_of((0, 0, DAY), (1, 0, DAY), columns=2)

    (gpu, _), (cpu, left) = reconstruct_columns(windows, days=days)

    assert (0, [1, 2]) == (gpu.hour_no.size, cpu.hour_no.tolist())
    assert all(np.isfinite(figure).all() for figure in (cpu.mean, cpu.variance, cpu.share, left.reconstructed))


def test_noise_draws_hours_to_the_mean_of_their_windows_and_leaves_quiet_days_alone():
    """Windows that err by 30 points are believed by half; a day or a quantity without noise keeps its bits."""
    rows = [(0, 0, 2 * DAY, 20, 20), (0, 6 * H, 7 * H, 80, 80), (0, 12 * H, 13 * H, 10, 10)]
    days = days_of((0, 0, DAY), (0, DAY, 2 * DAY), columns=2)
    noise = np.array([[900.0, 0.0], [0.0, 0.0]])

    (quiet, _), (quiet_cpu, _) = reconstruct_columns(windows_of(rows), days=days)
    (noisy, _), (cpu, _) = reconstruct_columns(
        windows_of(rows), days=Days(days.lane, days.start_s, days.end_s, days.full, noise)
    )

    def by_hour(hours):
        order = np.lexsort((hours.hour_no, hours.day))
        return hours.mean[order, 0]

    assert np.array_equal(by_hour(quiet_cpu), by_hour(cpu))
    assert np.array_equal(by_hour(quiet)[24:], by_hour(noisy)[24:])
    assert 25 < by_hour(noisy)[6] < by_hour(quiet)[6] - 5
    assert by_hour(noisy)[12] > by_hour(quiet)[12]


def test_one_window_says_its_own_value():
    """A machine that ran one job would be shown with another use than it had."""
    found, _ = hours_of([(0, H, 2 * H, 30)])

    assert {(0, 1): 30.0} == {hour: mean for hour, (_, mean, _) in found.items()}


def test_a_day_that_clocks_make_longer_has_its_hour():
    """The hour that clocks show twice would be lost, or counted into the next day."""
    found, _ = hours_of([(0, 0, 3 * DAY, 40)], (0, 0, DAY + H), (0, DAY + H, 2 * DAY + 1800))

    assert [25, 24] == [sum(1 for day, _ in found if day == place) for place in (0, 1)]
    assert 1800 == found[1, 23][0]


def test_a_window_is_left_out_by_what_it_is_and_told_by_its_neighbours():
    """The held-out error would be measured on the very value that it asks for."""
    given_rows = [(0, -DAY, DAY, 20), (0, 6 * H, 12 * H, 60), (0, 6 * H, 11 * H, 62)]
    _, left = reconstruct(windows_of(given_rows), days=days_of((0, 0, DAY)))
    (length_s,) = left.length_s
    (kept,) = (value for _, s, e, value in given_rows[1:] if e - s != length_s)
    moved = [(lane, s, e, 99 if e - s == length_s else value) for lane, s, e, value in given_rows]

    _, again = reconstruct(windows_of(moved), days=days_of((0, 0, DAY)))

    # In 5 h the other two say the mean of both, and where the longer is asked for, in its sixth hour the day alone says 20.
    assert left.swept[0, 0] == pytest.approx(((kept + 20) / 2 * 5 + (20 if length_s > 5 * H else 0)) / (length_s / H))
    assert left.swept[0, 0] == again.swept[0, 0]
    assert left.reconstructed[0, 0] == again.reconstructed[0, 0]
    assert kept == pytest.approx(left.reconstructed[0, 0], abs=5)


def test_classes_of_length_are_half_open():
    """A window of exactly one hour is no short one."""
    assert [0, 1, 1, 2] == class_of_length(np.array([3599, 3600, 6 * H, 6 * H + 1])).tolist()


# ------------------------------------------------------------------------------------------------ weights


def bearing_on(rows, *, start=0, end=DAY):
    return bearing(windows_of(rows), day=days_of((0, start, end)))


def test_an_hours_weights_times_the_windows_values_are_the_hour():
    """By hand: of two windows that weigh 1 together, the one at 80 weighs (hour - 20) / 60, below zero where the hour is below 20."""
    found = bearing_on([(0, 0, DAY, 20), (0, 6 * H + 1800, 7 * H, 80)])

    assert ([(0, DAY, 1, 20), (23_400, 25_200, 1, 80)]) == list(
        zip(found.start_s, found.end_s, found.windows, found.value, strict=True)
    )
    for hour, short in {0: 0.076178, 5: 0.537357, 6: 0.900630, 7: 0.601630, 12: -0.111258, 23: -0.324543}.items():
        assert [1 - short, short] == pytest.approx(found.weights[:, hour], abs=2e-6)
    sums = found.value @ found.weights
    assert sums.min() < 0, "an hour that is put to 0"
    assert found.mean == pytest.approx(np.maximum(sums, 0), abs=1e-6)


@given(rows)
@settings(max_examples=40, deadline=None)
def test_weights_sum_to_one_and_with_the_values_to_the_hours(given_rows):
    """Weights of another solution than the figure's would explain another figure; so would one lost piece of an hour."""
    hours, _ = reconstruct(windows_of(given_rows), days=days_of((0, 0, DAY)))
    found = bearing_on(given_rows)

    if found is None:
        assert not hours.hour_no.size
        return
    assert np.array_equal(hours.hour_no, found.hour_no)
    assert np.array_equal(hours.covered_s, found.covered_s)
    assert found.weights.sum(axis=0) == pytest.approx(1, abs=1e-8)
    within = np.clip(found.value @ found.weights, 0, max(100, found.value.max()))
    assert within == pytest.approx(hours.mean[:, 0], abs=2e-6, rel=1e-9)


def test_like_windows_weigh_as_one_and_a_day_without_a_covered_second_has_none():
    """A thousand equal rows must not fill the list, nor a window that ended the day before make one."""
    found = bearing_on([(0, 600, 2 * H, 30), (0, 1200, 2 * H, 50), (1, 0, DAY, 99)])
    assert [(900, 2 * H, 2, 40)] == list(zip(found.start_s, found.end_s, found.windows, found.value, strict=True))
    assert [[1, 1]] == found.weights.tolist()

    assert None is bearing_on([(0, -H, 0, 30)])
    assert None is bearing_on([(0, H, H, 30)])
    assert None is bearing_on([(1, 0, DAY, 99)])
