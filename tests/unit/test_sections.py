"""What every section of a report obeys, found by listing the folder: a new section is tested by being there."""

from __future__ import annotations

import ast
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from gpulake.reading import report
from gpulake.reading.report import Counted, Need
from gpulake.reading.rows import Rows
from gpulake.telling import sections
from gpulake.telling.lines import COLUMNS as WIDTH
from gpulake.telling.sections import all_sections, further_reads, hours, jobs, needs_someone

EACH = pytest.mark.parametrize("section", all_sections(), ids=lambda section: section.name)
SIX_O_CLOCK = datetime.fromisoformat("1970-01-05T22:00")  # on day 5, in Shanghai


def a_need(name="b3eb22261234", *, severity="ticket", title="m1: power is low", cluster_id="pai2020", size=1):
    """An open incident; it began on day 5 at 06:00 in Shanghai."""
    return Need(name, cluster_id, severity, "open", title, f"{title}, really.", 'Drain it. gpulake sql "from t where a < b"',
                "operators", SIX_O_CLOCK, size)  # fmt: skip


def a_run(machine_id="m" * 24, *, start=SIX_O_CLOCK, hours_=3, reason=None):
    """Flagged hours without a break, from day 5, 06:00 in Shanghai."""
    return hours.Run(machine_id, date(1970, 1, 6), start, start + timedelta(hours=hours_), hours_, start,
                     reason or f"{machine_id}: gpu_util 0 %, expected 40 ± 3 % " + "given its other metrics " * 9)  # fmt: skip


def counted_(level, flagged, *, scored=1_000, is_shown=True):
    return Counted("some", level, is_shown, f"what to know of {level}", "few", scored, flagged, 0, 0)


@pytest.fixture(params=["two months", "nothing but a name"])
def cluster(request, two_months, empty_publication):
    """A cluster with everything, and one of which nothing is known."""
    if request.param == "two months":
        two_months.add_waste(over=1.0, unbounded=2_000_000, failed_unbounded=1_000_000, limit=1e9)
        two_months.add_gap("avg_cpu_util", reason="CPU use is not recorded.")
        made = two_months
    else:
        made = empty_publication
        made.add_cluster()
    (found,) = report.read(made, needs=[a_need(str(n), title="t " * n) for n in range(1, 40)]).clusters
    empty = dict.fromkeys(further_reads(), ())  # a table of its own may be empty, and not known here
    odd = jobs.Odd("j" * 60, date(1970, 1, 13), None, None, "longer than usual " * 20)
    full = {**empty, "hours": (a_run(), a_run(None, reason="all of them " * 20)) * 50, "jobs": (odd,) * 30}
    return replace(
        found,
        detectors=(counted_("cluster_hour", 50), counted_("machine_hour", 150), counted_("job", 31)),
        further=full if request.param == "two months" else empty,
    )


def test_every_file_of_the_folder_is_a_section_with_a_name_of_its_own():
    """A section that is not found is not told, and two of one name would read each other's rows."""
    files = [file for file in Path(sections.__file__).parent.glob("*.py") if file.name != "__init__.py"]

    assert len(files) == len(all_sections()) == len({section.name for section in all_sections()})
    assert len(all_sections()) == len({section.place for section in all_sections()})


@EACH
def test_its_lines_fit_a_terminal(section, cluster):
    """What is cut off by the terminal's border is not read."""
    assert all(len(line) <= WIDTH and "\n" not in line for line in section.lines(cluster))


@EACH
def test_it_asks_for_nothing_by_itself(section):
    """A query in a teller would be a figure that no table holds and `gpulake explain` cannot reach."""
    tree = ast.parse(Path(section.lines.__code__.co_filename).read_text(encoding="utf-8"))
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]

    assert [] == [text for text in texts if text.lower().startswith(("select ", "with ", "from lake"))]


@dataclass(frozen=True)
class Gap:
    """As much of gold_availability as the test below asks for."""

    column_name: str
    available: bool


def test_a_section_may_read_a_table_of_its_own(two_months):
    """Whoever adds a mart and wants it told writes one file: the reader needs no edit."""
    two_months.add_gap("b", reason="no")
    two_months.add_gap("a", reason="no")
    two_months.add_cluster("ours")
    two_months.add_gap("c", reason="no", cluster_id="ours")
    asked = {"gaps": Rows(Gap, "gold_availability", order_by=("column_name",))}

    pai, ours = report.read(two_months, further=asked).clusters

    assert (Gap("a", available=False), Gap("b", available=False)) == pai.further["gaps"]
    assert (Gap("c", available=False),) == ours.further["gaps"]


def test_rows_of_a_large_table_are_chosen_where_they_lie(two_months):
    """A million judged jobs are not read for the few that stand out."""
    for name in ("c", "a", "b"):
        two_months.add_gap(name, reason="no")
    asked = {"gaps": Rows(Gap, "gold_availability", order_by=("column_name",), where="column_name <> 'a'", limit=1)}

    (pai,) = report.read(two_months, further=asked).clusters

    assert (Gap("b", available=False),) == pai.further["gaps"]


# --- what stands out, and whom it needs ----------------------------------------------------------------------------------


def test_the_hours_of_a_machine_are_one_line_in_the_clusters_time(two_months):
    """Eight lines for eight hours of one machine would hide the other machines."""
    (found,) = report.read(two_months).clusters
    runs = (
        a_run("m1", hours_=8, reason="m1: gpu_util 0 %, expected 40 ± 3 %, for 1 h"),
        a_run("m2", start=datetime.fromisoformat("1970-01-06T15:00"), hours_=1, reason="m2: gone"),  # 23:00 to midnight
        a_run("m3", start=datetime.fromisoformat("1970-01-06T14:00"), hours_=4, reason="m3: slow"),
        a_run(None, hours_=1, reason="a step"),
    )
    runs = tuple(replace(run, dt=(run.start_at + timedelta(hours=8)).date()) for run in runs)
    cluster = replace(found, further={"hours": runs}, detectors=(
        counted_("cluster_hour", 1), counted_("machine_hour", 13), counted_("machine_hour", 99, is_shown=False)))  # fmt: skip

    assert [
        "hours that stand out: 1 of the whole cluster, 13 of machines, in 4 runs",
        "machine m1, day 5 06:00 to 14:00, 8 hours",
        "    at 06:00 gpu_util 0 %, expected 40 ± 3 %, for 1 h",
        "machine m2, day 5 23:00 to 24:00, 1 hour",
        "    gone",
        "machine m3, day 5 22:00 to day 6 02:00, 4 hours",
        "    at 22:00 slow",
        "the whole cluster, day 5 06:00 to 07:00, 1 hour",
        "    a step",
    ] == [line for line in hours.SECTION.lines(cluster) if not line.startswith("─")]


def test_the_count_of_jobs_is_that_of_the_detector_however_many_are_listed(cluster):
    """Who counts in SQL finds the number that the report says."""
    shown = replace(cluster, further={"jobs": (jobs.Odd("j", date(1970, 1, 13), "ann", 715.2, "too long"),) * 30})

    lines = jobs.SECTION.lines(shown)

    assert "jobs that stand out: 31 of 1,000 finished jobs" == lines[0]
    assert ("715 GPU-h   job j, day 12, user ann", "    and 28 that held less") == (lines[2], lines[-1])


def test_what_needs_someone_stands_in_the_order_it_came_in_with_what_to_do(two_months):
    """Whoever opens the report at nine must see what to do first, and under which name to take it."""
    two_months.add_cluster("ours")
    needs = [
        a_need("aaaaaaaabbbb", severity="page", size=9),
        a_need("ccccccccdddd", cluster_id="ours"),
        a_need("eeeeeeeeffff", cluster_id="", title="channel slack does not work"),
    ]

    pai, ours = report.read(two_months, needs=needs).clusters

    lines = needs_someone.SECTION.lines(pai)
    assert "what needs someone: 2 open incidents" == lines[0]
    assert "page    aaaaaaaa  m1: power is low (and 8 more), since day 5, 06:00" == lines[2]
    assert '→ Drain it. gpulake sql "from t where a < b"' == lines[3].strip()
    assert lines[4].startswith("ticket  eeeeeeee  channel slack does not work")
    assert ["ccccccccdddd"] == [need.incident_id for need in ours.needs]


def test_nothing_is_said_where_nobody_is_needed(two_months):
    """An empty heading is read every day for nothing."""
    (found,) = report.read(two_months).clusters

    assert [] == needs_someone.SECTION.lines(found)
