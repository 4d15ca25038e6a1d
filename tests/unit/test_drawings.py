"""The pictures of a report: drawn from the report alone, for whatever history it holds."""

from datetime import date, timedelta

import pytest

from gpulake.reading import report
from gpulake.telling.drawings import MOST_TOLD, days_of, waterfall_of, write_days, write_waterfall


def size_of(png):
    """Width and height, as its header states them."""
    head = png.read_bytes()[:24]
    assert head.startswith(b"\x89PNG")
    return int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")


def height_of_days(publication, file):
    write_days(report.read(publication), file)
    return size_of(file)[1]


def test_the_days_say_why_they_are_flagged(two_months):
    """Who gets the picture in a mail has no pointer to ask with."""
    (cluster,) = report.read(two_months).clusters

    drawn = days_of(cluster)

    assert "62 days of GPU use: mean 23 % of measured time, 3 days flagged" == drawn.title
    flagged = [day for day in cluster.days if day.judgement == "anomaly"]
    assert 3 == len(flagged)
    for day in flagged:
        assert any(note.startswith(f"{cluster.day_name(day.dt)}: ") for note in drawn.notes)


def test_many_flagged_days_are_counted_and_not_all_told(empty_publication):
    """A picture with a hundred reasons is read by nobody, one that hides some is not believed."""
    empty_publication.add_cluster()
    for offset in range(40):
        empty_publication.add_day(date(1970, 1, 13) + timedelta(days=offset), avg=20.0, judgement="anomaly")

    (cluster,) = report.read(empty_publication).clusters

    assert f"and {40 - MOST_TOLD} more flagged days" == days_of(cluster).notes[-1]


def test_the_waterfall_says_what_its_bars_leave_out(two_months, tmp_path):
    """The first question of whoever pays: where did the GPU-hours go."""
    two_months.add_waste(over=1.0, unbounded=2, failed_unbounded=1)
    found = report.read(two_months)
    write_waterfall(found, tmp_path / "out" / "gpu-hours.png")

    drawn = waterfall_of(found.clusters[0])

    assert [100.0, 60.0, 20.0, 10.0, 4.0, 6.0] == [row["gpu_h"] for row in drawn.rows["steps"]]
    assert any("2 attempts with GPUs lack a start or an end" in note for note in drawn.notes)
    assert size_of(tmp_path / "out" / "gpu-hours.png")


def test_a_publication_without_gpu_hours_draws_a_sentence(empty_publication, tmp_path):
    """An empty lake is no error of the picture."""
    write_waterfall(report.read(empty_publication), tmp_path / "w.png")

    assert size_of(tmp_path / "w.png")


def test_each_cluster_has_a_panel_of_its_own(two_months, tmp_path):
    """Two clusters are two pictures, one below the other; one that measured nothing takes no room from the other."""
    one = height_of_days(two_months, tmp_path / "one.png")
    two_months.add_cluster("silent", time_zone="UTC", time_basis="offset")
    two_months.add_day(date(1970, 1, 1), avg=None, p95=None, cpu=None, covered=0.0, unweighted=None,
                       judgement="not_judged", cluster_id="silent")  # fmt: skip
    with_silent = height_of_days(two_months, tmp_path / "silent.png")
    two_months.add_cluster("ours", time_zone="UTC", time_basis="real")
    two_months.add_day(date(2026, 11, 23), avg=80.0, cluster_id="ours")

    assert one == with_silent < height_of_days(two_months, tmp_path / "two.png")


def test_the_same_report_gives_the_same_bytes(two_months, tmp_path):
    """A picture that is kept in git must not change by itself."""
    found = report.read(two_months)
    for name in ("a.png", "b.png"):
        write_days(found, tmp_path / name)

    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize(
    "kind", ["nothing landed", "no metrics", "one day", "no GPUs", "a gap of a week", "more than are drawn"]
)
def test_thin_and_long_histories_are_drawn_too(empty_publication, tmp_path, kind):
    """The first refresh of a new cluster must not end in a traceback."""
    made = empty_publication
    if kind != "nothing landed":
        made.add_cluster("$x^2$ <g> & co")
    of = {"cluster_id": "$x^2$ <g> & co"}
    match kind:
        case "no metrics":
            made.add_gap("avg_gpu_util", missing_table="pai_machine_metric", **of)
        case "one day":
            made.add_day(date(1970, 1, 13), avg=20.0, **of)
        case "no GPUs":
            made.add_day(
                date(1970, 1, 13), avg=None, p95=None, covered=0.0, unweighted=None, judgement="not_judged", **of
            )
        case "a gap of a week":
            made.add_day(date(1970, 1, 13), avg=20.0, **of)
            made.add_day(date(1970, 1, 20), avg=30.0, judgement="anomaly", driver="avg_cpu_util", **of)
        case "more than are drawn":
            for offset in range(410):
                made.add_day(date(1970, 1, 13) + timedelta(days=offset), avg=20.0 + offset % 7,
                             judgement="anomaly" if offset % 20 == 0 else "normal", **of)  # fmt: skip

    write_days(report.read(made), tmp_path / "page.png")

    assert size_of(tmp_path / "page.png")
