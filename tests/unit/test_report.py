"""The report says what the publication holds: figures from sums, days by the names people use, gaps as gaps."""

from dataclasses import asdict
from datetime import date

import pytest

from gpulake.errors import UsageError
from gpulake.reading import report
from gpulake.telling import words
from gpulake.telling.capacity import capacity_lines
from gpulake.telling.ink import written
from gpulake.telling.lines import COLUMNS
from gpulake.telling.reports.fleet import sections_after, sections_before


def told(found):
    """What the report of the fleet tells of a whole window, cluster by cluster."""
    lines = []
    for cluster in found.clusters:
        waste = asdict(cluster.waste) if cluster.waste else None
        lines += [*sections_before(cluster), *capacity_lines(waste, None), *sections_after(cluster)]
    return written(lines, inks={}, encoding="utf-8")


def read_one(publication):
    """The report of the only cluster."""
    (cluster,) = report.read(publication).clusters
    return cluster


def test_the_mean_of_a_window_weighs_days_by_what_was_measured(empty_publication):
    """A nearly silent day must not count as much as a fully measured one."""
    empty_publication.add_cluster()
    empty_publication.add_day(date(1970, 1, 13), avg=10.0, covered=90.0)
    empty_publication.add_day(date(1970, 1, 14), avg=50.0, covered=10.0)

    window = read_one(empty_publication).window

    assert pytest.approx(14.0) == window.avg_gpu_util  # (10 · 90 + 50 · 10) / 100
    assert pytest.approx(0.5) == window.coverage_ratio  # 100 of 200


def test_a_mean_is_told_with_the_range_that_it_may_lie_in(empty_publication):
    """A figure worked out of overlapping means would look as sure as a counted one."""
    empty_publication.add_cluster()
    empty_publication.add_day(date(1970, 1, 13), avg=14.0, covered=3600.0, capacity=7200.0)
    assert "nine times in ten" not in told(report.read(empty_publication))
    # (0.3 GPU-h × points)² over one GPU-hour, and 0.4 points of all machines: a standard error of 0.5
    empty_publication.connection.execute(
        "update gold_cluster_util_daily_scored set gpu_pct_h_variance = 0.09, gpu_shared_variance = 0.16"
    )
    text = told(report.read(empty_publication))

    assert "mean 14.0 % (13.2 % to 14.8 %, nine times in ten)" in text
    assert "CPU use    mean 30.0 %\n" in text, "its error is not known"
    empty_publication.connection.execute(
        "update gold_cluster_util_daily_scored set core_pct_h_variance = 0.09, core_shared_variance = 0.16"
    )
    assert "CPU use    mean 30.0 % (29.2 % to 30.8 %, nine times in ten)" in told(report.read(empty_publication))


def test_the_unweighted_mean_is_the_plain_mean_of_the_rows(empty_publication):
    """Who computed the plain mean over rows elsewhere finds it again: each row of the raw column once."""
    empty_publication.add_cluster()
    empty_publication.add_day(date(1970, 1, 13), avg=10.0, unweighted=100.0, windows=1)
    empty_publication.add_day(date(1970, 1, 14), avg=10.0, unweighted=200.0, windows=3)

    assert pytest.approx(175.0) == read_one(empty_publication).window.avg_gpu_util_unweighted


def test_a_day_that_is_not_judged_is_no_extreme(empty_publication):
    """The lowest day is a low day, not a day that was hardly measured."""
    empty_publication.add_cluster()
    empty_publication.add_day(date(1970, 1, 13), avg=1.0, covered=1.0, judgement="not_judged")
    empty_publication.add_day(date(1970, 1, 14), avg=20.0)
    empty_publication.add_day(date(1970, 1, 15), avg=30.0)

    window = read_one(empty_publication).window

    assert (date(1970, 1, 14), date(1970, 1, 15)) == (window.lowest_day, window.highest_day)


def test_people_never_see_1970(two_months):
    """A cluster that hides its dates has numbered days; its weekdays are right."""
    text = told(report.read(two_months))

    assert "1970" not in text
    assert "day 12, Tuesday to day 73, Sunday" in text
    assert "day 56, Thursday" in text


def test_one_detector_is_shown_and_the_others_are_there_to_compare(two_months):
    """One count in the headline, the bars, the list; a second detector's flags stand beneath, with its name and its note."""
    for offset in range(62):
        dt = date.fromordinal(date(1970, 1, 13).toordinal() + offset)
        two_months.judge(dt, "toy", "anomaly" if offset == 20 else "not_judged" if offset < 7 else "normal",
                         driver="avg_cpu_util", reason="more than the week before" if offset == 20 else "no week before")  # fmt: skip

    text = told(report.read(two_months))

    for said in (
        "3 days flagged\n",
        "▲ flagged  · not judged",
        "Flagged days\n",
        "forest flags what it flags.",
        "to compare: toy flags 1 day (day 32). toy flags what it flags.",
        "Not judged: 3 days",
    ):
        assert said in text
    assert "no week before" not in text
    assert max(map(len, text.splitlines())) <= COLUMNS


def test_a_real_clock_shows_dates(empty_publication):
    """Days of a cluster that tells the time are dates."""
    empty_publication.add_cluster("ours", time_zone="UTC", time_basis="real")
    empty_publication.add_day(date(2026, 11, 23), avg=20.0, cluster_id="ours")

    assert "2026-11-23, Monday" in told(report.read(empty_publication))


def test_the_report_says_what_landed_what_was_refused_and_what_was_flagged(two_months):
    """These are the questions somebody has after a refresh."""
    text = told(report.read(two_months))
    unbroken = " ".join(text.split())

    for said in (
        "62 days of GPU use: mean 23 % of measured time, 3 days flagged",
        "95 machines with 380 GPUs",
        "jobs       900: 600 completed, 300 failed",
        "pai_machine_metric      1  100,474  100,471        3  headerless",
        "refused: 3 × machine_gpu is not a number (pai_machine_metric)",
        "not believed: 1,007 × gpu_util_pct is implausible: above 110 % of the GPUs of",
        "day 43, Friday    GPU 14.2 %",
        "avg_gpu_util of 14.2 % is 3.1 standard deviations off",
        "Not judged: 3 days",
        "less than half of the usual",
        "52.4 % of all GPU time, by the machines' windows",
        "forest flags what it flags.",
    ):
        assert said in text or said in unbroken


def test_all_flags_are_told(two_months):
    """Who counts anomaly_flag in SQL finds more than the report says were flagged, and trusts neither."""
    two_months.connection.execute("update gold_detector_days set anomaly_flag = 1 where judgement = 'not_judged'")

    text = told(report.read(two_months))

    assert "3 days flagged" in text
    assert "Not judged: 3 days, 3 of them flagged all the same" in text


def test_the_report_fits_a_terminal(two_months):
    """100 columns and about 40 lines can be read at a glance."""
    lines = told(report.read(two_months)).splitlines()

    assert max(map(len, lines)) <= COLUMNS
    assert len(lines) <= 55


def test_what_cannot_be_computed_names_the_missing_table(empty_publication):
    """A delivery without metrics gives no utilisation, and says which file would."""
    empty_publication.add_cluster()
    empty_publication.add_landing("pai_machine_spec", kept=1897, published=True)
    for column in ("avg_gpu_util", "p95_gpu_util"):
        empty_publication.add_gap(column, missing_table="pai_machine_metric")

    cluster = read_one(empty_publication)
    text = told(report.read(empty_publication))

    assert cluster.window is None
    assert "pai2020: GPU use was not measured" in text
    assert "pai_machine_metric was not delivered, so these are empty" in text
    assert "gold_cluster_util_daily: avg_gpu_util, p95_gpu_util" in text


def test_what_no_table_records_is_told_by_its_reason(empty_publication):
    """Nothing can be delivered to mend it, so no file is named."""
    empty_publication.add_cluster()
    empty_publication.add_gap("avg_cpu_util", reason="CPU use is not recorded.")

    text = told(report.read(empty_publication))

    assert "CPU use is not recorded, so these are empty" in text
    assert "was not delivered" not in text


def test_what_a_source_never_records_is_told_reason_by_reason(empty_publication):
    """Two reasons in one sentence would leave it open which holds for which column."""
    empty_publication.add_cluster()
    empty_publication.add_gap("avg_gpu_util", reason="The trace measures nothing.")
    empty_publication.add_gap("avg_cpu_util", reason="The trace measures nothing.")
    empty_publication.add_gap("user_id", reason="The trace names no user.")

    text = told(report.read(empty_publication))

    assert (
        "The trace measures nothing, so these are empty\n  gold_cluster_util_daily: avg_cpu_util, avg_gpu_util" in text
    )
    assert "The trace names no user, so these are empty\n  gold_cluster_util_daily: user_id" in text


def test_a_publication_of_an_earlier_version_is_told_what_to_do(empty_publication):
    """Between an upgrade and the next refresh "table does not exist" would look like a bug."""
    empty_publication.connection.execute("drop view gold_fleet")

    with pytest.raises(UsageError, match="has no gold_fleet: an earlier version") as told:
        report.read(empty_publication)
    assert "gpulake refresh" in told.value.do


def test_many_things_that_a_source_never_records_are_told_in_a_line_each(empty_publication):
    """Sixty columns of a trace that has no users nor queues would push the figures off the screen."""
    empty_publication.add_cluster()
    for number in range(4):
        empty_publication.add_gap(f"column_{number}", reason=f"The trace has no thing {number}.")

    text = told(report.read(empty_publication))

    assert "The trace has no thing 0.\nThe trace has no thing 1." in text
    assert "column_0" not in text
    assert "from gold_availability where not available" in text


def test_clusters_with_a_measured_use_come_first(two_months):
    """A reader looks at the top: "not measured" must not stand before what was."""
    two_months.add_cluster("a-first", time_zone="UTC", time_basis="offset")

    assert ["pai2020", "a-first"] == [cluster.cluster_id for cluster in report.read(two_months).clusters]


def test_the_classes_of_the_waterfall_add_up_to_its_first_bar(empty_publication):
    """Classes that overlap, or a rest that is left out, would sum to another fleet than the one that is paid for."""
    empty_publication.add_cluster()
    empty_publication.add_waste(free=60.0, unknown=20.0, idle=10.0, failed=4.0, productive=6.0)
    empty_publication.add_waste(free=40.0, unknown=20.0, idle=10.0, failed=4.0, productive=6.0, dt=date(1970, 1, 14))

    steps = words.waste_steps(read_one(empty_publication).waste)

    assert [("total", 180.0), ("unallocated", 100.0), ("unknown", 40.0), ("idle_held", 20.0), ("failed", 8.0),
            ("productive", 12.0)] == [(step.kind, step.gpu_h) for step in steps]  # fmt: skip
    assert [1, 100 / 180, 40 / 180, 20 / 180, 8 / 180, 12 / 180] == [step.ratio for step in steps]
    assert "unallocated or down" == steps[1].words
    text = told(report.read(empty_publication))
    assert "pai2020: 80.0 GPU-h held; of the measured part 50.0 % in use" in text  # (8 + 12) / (20 + 8 + 12)


def test_a_sample_of_a_clusters_load_starts_at_what_it_holds(empty_publication):
    """Of a trace that leaves pods out, nobody can say what was free."""
    empty_publication.add_cluster(pools="all")
    empty_publication.add_waste(free=60.0, unknown=20.0, idle=0.0, failed=0.0, productive=0.0, unbounded=3)

    text = told(report.read(empty_publication))

    assert "pai2020: 20.0 GPU-h held, GPU use was not measured" in text
    assert "held by jobs" in text
    assert "unallocated" not in text
    assert "in use" not in text  # not measured is not 0
    assert "3 attempts with GPUs lack a start or an end: not counted" in text


def test_attempts_of_unknown_length_stand_in_the_line_that_lacks_them(empty_publication):
    """Failed work that has no end would read as hardly any failed work."""
    empty_publication.add_cluster()
    empty_publication.add_waste(failed=0.0, unbounded=12, failed_unbounded=1, limit=60.0)
    empty_publication.add_waste(dt=date(1970, 1, 14), failed=0.0)

    text = " ".join(told(report.read(empty_publication)).split())

    assert "in use by jobs that failed 0.0 GPU-h 0.0 % without 1 attempt of unknown length" in text
    assert "12 attempts with GPUs lack a start or an end: what they held is in 'unallocated or down'." in text
    assert "Of them 1 are of jobs that failed: these held up to 60.0 GPU-h more." in text


def test_unknown_is_a_dash_and_never_zero(empty_publication):
    """A cluster whose machines have no GPU has no GPU use, not a use of 0."""
    empty_publication.add_cluster()
    empty_publication.add_day(date(1970, 1, 13), avg=None, p95=None, covered=0.0, unweighted=None)

    text = told(report.read(empty_publication))

    assert "pai2020: GPU use was not measured" in text
    assert "GPU use    mean" not in text


@pytest.mark.parametrize(
    ("published", "told"),
    [
        ((True, True), "the publisher's own files, by checksum"),
        ((False, False), "simulated or altered data: no file carries the publisher's checksum"),
        ((True, False), "1 of 2 files carry the publisher's checksum"),
    ],
)
def test_the_report_says_whose_bytes_these_are(empty_publication, published, told):
    """A simulated trace must not be taken for the real one."""
    empty_publication.add_cluster()
    for i, is_published in enumerate(published):
        empty_publication.add_landing(f"table_{i}", kept=1, published=is_published)

    assert told == read_one(empty_publication).provenance


def test_two_clusters_are_two_reports(two_months):
    """Figures of one cluster never count in another's."""
    two_months.add_cluster("ours", time_zone="UTC", time_basis="real")
    two_months.add_day(date(2026, 11, 23), avg=80.0, cluster_id="ours")

    ours, pai = report.read(two_months).clusters

    assert (1, 62) == (ours.window.window_days, pai.window.window_days)
    assert pytest.approx(80.0) == ours.window.avg_gpu_util


def test_a_small_share_never_reads_as_none():
    """0.02 % of a fleet is not nothing."""
    assert "< 0.1 %" == words.ratio_pct(0.0002)
    assert "0.0 %" == words.ratio_pct(0.0)
    assert "—" == words.ratio_pct(None)


def test_a_long_history_keeps_its_newest_days_in_the_bars(empty_publication):
    """A year does not fit a line: the last days do, and the report says so."""
    empty_publication.add_cluster()
    for offset in range(120):
        empty_publication.add_day(date.fromordinal(date(1970, 2, 1).toordinal() + offset), avg=10.0 + offset % 7)

    text = told(report.read(empty_publication))

    assert "the last 60 of 120 days" in text
    assert max(map(len, text.splitlines())) <= COLUMNS
