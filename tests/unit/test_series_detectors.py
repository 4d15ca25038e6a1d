"""The detectors of days, hours, jobs and series: what they must not see, must not flag, and must find."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.covariance import LedoitWolf

from gpulake.detectors import Block, cluster_day, cluster_hour, job_template, series_multi, series_single
from gpulake.detectors.rows import median_of_rows, once, quantile_of_rows
from gpulake.detectors.walking import before, ewma, in_batches, mean_of_last

DAYS, HOURS, JOBS, STEPS = 60, 24 * 30, 3000, 700
JOB_BLOCK = (Block((0, 504), (504, 504), (504, 2000)),)


def days(*, usual_coverage=1.0, seed=1):
    """Sixty days with a rhythm of the day and a weekly one."""
    dice = np.random.default_rng(seed)
    hour = 30 + 8 * np.sin(np.arange(25) / 24 * 2 * np.pi)
    week = np.where(np.arange(DAYS) % 7 < 5, 1.0, 0.7)
    util = hour * week[:, np.newaxis] * np.exp(dice.normal(0, 0.04, (DAYS, 25)))
    cover = np.full((DAYS, 25), usual_coverage)
    util[:, 24] = cover[:, 24] = np.nan
    return {
        "day": np.arange(DAYS),
        "weekday": np.arange(DAYS) % 7,
        "avg_gpu_util": np.nanmean(util, axis=1),
        "coverage_ratio": np.full(DAYS, usual_coverage),
        "hour_gpu_util": util,
        "hour_coverage_ratio": cover,
    }


def hours(seed=1):
    dice = np.random.default_rng(seed)
    return {
        "hour_idx": np.arange(HOURS),
        "hour_of_day": np.arange(HOURS) % 24,
        "alloc_gpu_util": 55 + 5 * np.sin(np.arange(HOURS) / 24 * 2 * np.pi) + dice.normal(0, 1.5, HOURS),
        "coverage_ratio": np.full(HOURS, 0.9),
    }


def jobs(seed=1):
    dice = np.random.default_rng(seed)
    user = dice.integers(0, 20, JOBS)
    return {
        "job": np.arange(JOBS),
        "user": user,
        "size": dice.choice([1, 2, 8], JOBS),
        "start": np.sort(dice.uniform(0, 1000, JOBS)),
        "gpu_util": np.clip(40 + 2.0 * user + dice.normal(0, 5, JOBS), 0.5, 100),
        "cpu_per_gpu": np.exp(dice.normal(1, 0.2, JOBS)),
        "net_per_gpu": np.exp(dice.normal(-2, 0.3, JOBS)),
        "mem_gb": np.exp(dice.normal(3, 0.3, JOBS)),
        "dur": np.exp(dice.normal(1, 1, JOBS)),
    }


def several(seed=1):
    dice = np.random.default_rng(seed)
    common = dice.normal(0, 1, STEPS)
    metrics = {f"m{n:02}": 0.5 + 0.05 * (common + 0.5 * dice.normal(0, 1, STEPS)) for n in range(5)}
    split = np.where(np.arange(STEPS) < 400, "train", "test")
    return {"entity": np.full(STEPS, "a"), "split": split, "step": np.arange(STEPS), **metrics}


def one(seed=1):
    dice = np.random.default_rng(seed)
    ts = 3600.0 * np.arange(STEPS)
    return {"series": np.full(STEPS, "a"), "ts": ts, "value": 10 + dice.normal(0, 1, STEPS)}


CASES = {
    "cluster_day": (cluster_day.DETECTOR, days, "day", ()),
    "cluster_hour": (cluster_hour.DETECTOR, hours, "hour_idx", ()),
    "job_template": (job_template.DETECTOR, jobs, "start", JOB_BLOCK),
    "series_multi": (series_multi.DETECTOR, several, "step", ()),
    "series_single": (series_single.DETECTOR, one, "ts", ()),
}
EACH = pytest.mark.parametrize("name", CASES)


def judged(name, columns=None):
    detector, rows, _, blocks = CASES[name]
    return detector.judge(rows() if columns is None else columns, blocks)


def told(verdicts, chosen=slice(None)):
    """Score, flag and driver of some rows, to the last bit."""
    return [part[chosen].tobytes() for part in (verdicts.score, verdicts.flag, verdicts.driver)]


@EACH
def test_neither_order_nor_repetition_matters(name):
    """How rows lie in a file must not change a verdict, and a row delivered twice is still one row."""
    columns = CASES[name][1]()
    count = len(next(iter(columns.values())))
    order = np.random.default_rng(3).permutation(np.concatenate([np.arange(count), np.arange(0, count, 3)]))
    shuffled = judged(name, {key: values[order] for key, values in columns.items()})
    expected = judged(name)

    assert told(expected, order) == told(shuffled)


@EACH
@pytest.mark.parametrize("share", [0.7, 0.93])
def test_later_rows_leave_old_scores_equal_to_the_last_bit(name, share):
    """A score that was acted on must be the same tomorrow."""
    _, rows, time, _ = CASES[name]
    columns = rows()
    early = columns[time] <= np.quantile(columns[time], share)

    assert told(judged(name), early) == told(judged(name, {key: values[early] for key, values in columns.items()}))


@EACH
@pytest.mark.parametrize("value", [0.0, 7.0, np.nan], ids=["zero", "constant", "missing"])
def test_what_never_moves_or_is_not_known_is_calm(name, value):
    """Nothing happened, so nobody is called; and nothing raises."""
    _, rows, time, _ = CASES[name]
    keys = {time, "day", "weekday", "hour_of_day", "user", "size", "job", "hour_coverage_ratio", "coverage_ratio"}
    columns = {
        key: values if key in keys or values.dtype.kind == "U" else np.full(values.shape, value)
        for key, values in rows().items()
    }
    verdicts = judged(name, columns)

    assert not verdicts.flag.any()
    assert all(verdicts.reasons(range(len(verdicts.score))))


@EACH
@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_series_of_a_point_or_none_is_not_judged(name, count):
    """A machine's first hour is no anomaly, and an empty source is no error."""
    columns = {key: values[:count] for key, values in CASES[name][1]().items()}
    verdicts = judged(name, columns)

    assert [True] * count == np.isnan(verdicts.score).tolist()
    assert not verdicts.flag.any()
    assert count == len(verdicts.reasons(range(count)))


@EACH
def test_every_row_with_a_score_has_a_driver_and_a_sentence(name):
    """A number without a why sends people to the logs, and so does a blank."""
    verdicts = judged(name)
    has_score = ~np.isnan(verdicts.score)

    assert has_score.any()
    assert np.array_equal(has_score, verdicts.driver >= 0)
    assert np.array_equal(has_score, ~np.isnan(verdicts.expected))
    assert (verdicts.low[has_score] <= verdicts.expected[has_score]).all()
    assert (verdicts.expected[has_score] <= verdicts.high[has_score]).all()


# ----------------------------------------------------------------------------------------------- cluster-day


@pytest.mark.parametrize("usual_coverage", [1.0, 0.36])
def test_a_day_of_low_use_is_flagged_however_little_is_usually_covered(usual_coverage):
    """A trace that covers a third of its GPU time at best still has days that are wrong."""
    columns = days(usual_coverage=usual_coverage)
    columns["hour_gpu_util"][50] *= 0.4
    columns["avg_gpu_util"][50] *= 0.4
    verdicts = judged("cluster_day", columns)

    assert [50] == np.flatnonzero(verdicts.flag).tolist()
    assert verdicts.seen[50] < verdicts.low[50] < verdicts.expected[50]
    assert "lower than on" in verdicts.reasons([50])[0]


def test_a_thin_day_is_not_judged_and_is_no_reference():
    """Rows that were lost are not use that was lost."""
    columns = days()
    clean = judged("cluster_day", columns).score
    columns["hour_gpu_util"][50] *= 0.2
    columns["hour_coverage_ratio"][50, :24] = 0.15
    verdicts = judged("cluster_day", columns)

    assert np.isnan(verdicts.score[50])
    assert "only 0 hours were observed well enough" in verdicts.reasons([50])[0]
    assert not np.isnan(clean[50])
    assert not verdicts.flag[51:].any()


def test_twelve_good_hours_are_enough_and_eleven_are_not():
    """The bound between a short day and one that says nothing."""
    for hours_seen, is_judged in ((12, True), (11, False)):
        columns = days()
        columns["hour_coverage_ratio"][50, hours_seen:24] = 0.1

        assert is_judged == bool(~np.isnan(judged("cluster_day", columns).score[50]))


def test_a_lasting_step_is_the_usual_from_its_third_day():
    """A cluster that has shrunk for good must not page for weeks."""
    columns = days()
    columns["hour_gpu_util"][45:] *= 0.3
    flag = judged("cluster_day", columns).flag

    assert flag[45:47].all()
    assert not flag[53:].any()


def test_a_source_without_weekdays_has_no_weekly_effect():
    """Day 12 of an undated trace is no Monday."""
    columns = days()
    columns["weekday"] = np.full(DAYS, -1)
    columns["hour_gpu_util"] = np.full((DAYS, 25), 30.0)
    verdicts = judged("cluster_day", columns)

    assert pytest.approx(30.0) == verdicts.expected[40]


# ------------------------------------------------------------------------------------- hours, jobs and series


def test_an_outage_of_a_third_of_the_gpus_is_found_within_its_first_hour():
    """Three to seven hours of a part of a day do not show in the day."""
    columns = hours()
    columns["alloc_gpu_util"][500:505] *= 0.65
    verdicts = judged("cluster_hour", columns)

    assert verdicts.flag[500]
    assert not verdicts.flag[:500].any()
    assert verdicts.seen[500] < verdicts.low[500]


def test_an_hour_that_was_hardly_observed_is_not_judged():
    """The few machines that still report are not the cluster."""
    columns = hours()
    columns["alloc_gpu_util"][500], columns["coverage_ratio"][500] = 5.0, 0.2
    verdicts = judged("cluster_hour", columns)

    assert np.isnan(verdicts.score[500])
    assert not verdicts.flag.any()


@pytest.mark.parametrize(
    ("changes", "driver", "words"),
    [
        ({"cpu_per_gpu": 8}, "cpu_per_gpu", "more host processors"),
        ({"mem_gb": 20}, "mem_gb", "more host memory"),
        ({"net_per_gpu": 20}, "net_per_gpu", "more network"),
        ({"gpu_util": 0.01, "cpu_per_gpu": 0.1, "dur": 3}, None, "its GPUs and its host did little"),
    ],
)
def test_a_job_unlike_its_users_others_is_told_by_what_differs(changes, driver, words):
    """The owner must read which of five numbers to look at."""
    columns = jobs()
    for name, factor in changes.items():
        columns[name][2500] *= factor
    verdicts = judged("job_template", columns)

    assert verdicts.flag[2500]
    assert driver in {None, verdicts.metrics[verdicts.driver[2500]]}
    assert words in verdicts.reasons([2500])[0]


def test_a_source_that_measures_only_gpus_is_judged_by_what_it_has():
    """Optional columns may be absent: no missing metric is a zero."""
    columns = {name: jobs()[name] for name in job_template.DETECTOR.needs}
    verdicts = judged("job_template", columns)

    assert (~np.isnan(verdicts.score[columns["start"] >= 504])).all()


def test_the_metric_that_leaves_the_others_is_named():
    """Five metrics move together; one stays behind, each value well inside its own range."""
    columns = several()
    columns["m03"] = columns["m03"].copy()
    columns["m03"][600:610] = 1.0 - columns["m03"][600:610] + 0.15
    verdicts = judged("series_multi", columns)

    assert "m03" == verdicts.metrics[verdicts.driver[605]]
    assert verdicts.score[600:610].max() > np.nanmax(verdicts.score[:600])


def test_a_jump_of_one_metric_is_flagged_and_an_hour_given_as_a_time_is_one():
    """Seconds and timestamps are two ways to say when."""
    columns = one()
    columns["value"][500:504] = 40.0
    by_seconds = judged("series_single", columns)
    columns["ts"] = columns["ts"].astype("datetime64[s]").astype("datetime64[us]")

    assert by_seconds.flag[501]
    assert told(by_seconds) == told(judged("series_single", columns))


# ------------------------------------------------------------------------------------------- building blocks


def test_the_shrunken_covariance_is_scikit_learns():
    """An independent implementation of the same estimate."""
    rows = np.random.default_rng(4).normal(0, 1, (300, 12)) @ np.random.default_rng(5).normal(0, 1, (12, 12))
    location, covariance = series_multi._shrunken(rows)
    theirs = LedoitWolf().fit(rows)

    np.testing.assert_allclose(theirs.location_, location, atol=1e-12)
    np.testing.assert_allclose(theirs.covariance_, covariance, rtol=1e-9)


def test_a_mean_that_forgets_is_the_sum_by_hand():
    """Uneven steps, and stretches so long that powers of two would overflow."""
    dice = np.random.default_rng(6)
    steps = dice.choice([0.1, 1.0, 700.0, 5000.0], 300)
    values = dice.normal(0, 1, 300)
    expected, state = [], 0.0
    for i, (step, value) in enumerate(zip(steps, values, strict=True)):
        weight = 1.0 if i == 0 else 1 - 2.0 ** (-step / 3)
        state += weight * (value - state)
        expected.append(state)

    np.testing.assert_allclose(expected, ewma(values, steps, half_life=3.0), atol=1e-12)


def test_quantiles_of_rows_are_numpys():
    """Those of what is known, and none where nothing is."""
    rows = np.random.default_rng(7).normal(0, 1, (40, 9))
    rows[np.random.default_rng(8).random(rows.shape) < 0.4] = np.nan
    rows[0] = np.nan

    assert np.isnan(median_of_rows(rows)[0])
    for share in (0.1, 0.5, 0.9):
        np.testing.assert_allclose(np.nanquantile(rows[1:], share, axis=1), quantile_of_rows(rows, share)[1:])


def test_windows_end_before_the_row():
    """A row that counted for its own expectation would hide itself."""
    assert [None, 1.0, 1.5, 2.5] == [
        None if np.isnan(value) else value for value in before(np.array([1.0, 2.0, 3.0, 9.0]), 2, 0.5)
    ]
    assert [1.0, 1.5, 2.5] == mean_of_last(np.array([1.0, 2.0, 3.0]), 2).tolist()


def test_a_batch_does_not_know_how_many_rows_follow():
    """Sums of matrices are rounded by their size."""
    rows, weights = np.random.default_rng(9).normal(0, 1, (700, 30)), np.random.default_rng(9).normal(0, 1, (30, 30))
    whole = in_batches(rows, lambda part: part @ weights)

    assert whole[:301].tobytes() == in_batches(rows[:301], lambda part: part @ weights).tobytes()


def test_of_two_rows_with_one_key_the_greater_stands_and_a_known_value_before_an_unknown():
    """Whichever came last, the same one must count."""
    keys, values = np.array([2, 1, 2, 1]), np.array([5.0, np.nan, 7.0, 3.0])
    shown = once([keys], values=[values])

    assert [3.0, 7.0] == shown.column(values).tolist()
    assert [7.0, 3.0, 7.0, 3.0] == shown.spread(shown.column(values)).tolist()


def test_the_scales_of_users_are_those_of_each_users_jobs_alone():
    rng = np.random.default_rng(7)
    sizes = np.round(rng.normal(size=600), 2)
    sizes[rng.random(600) < 0.1] = np.nan
    user, past = rng.integers(0, 40, 600), rng.random(600) < 0.6
    user[user == 3] = 4  # one has no jobs at all

    found = job_template._scales_of_users(sizes, user, past, of_all=0.7)

    for each in np.unique(user):
        own = sizes[(user == each) & past & (sizes > 0)]
        scale = max(np.median(own) / 0.6745, np.quantile(own, 0.99) / 2.576, 0.05) if len(own) else 0.7
        expected = np.sqrt((len(own) * scale**2 + 30 * 0.7**2) / (len(own) + 30))
        assert found[user == each] == pytest.approx(expected, rel=1e-12)
