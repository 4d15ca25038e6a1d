"""What every section of a report obeys, found by listing the folder: a new section is tested by being there."""

from __future__ import annotations

import ast
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from gpulake.reading import report
from gpulake.reading.rows import Rows
from gpulake.telling import sections
from gpulake.telling.sections import all_sections, further_reads, page_sections
from gpulake.telling.text import WIDTH

EACH = pytest.mark.parametrize("section", all_sections(), ids=lambda section: section.name)
VOID = frozenset({"meta", "br", "path", "use"})


class Closed(HTMLParser):
    """Notes which tags stay open."""

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert tag == self.open.pop()


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
    (found,) = report.read(made).clusters
    return replace(
        found, further=dict.fromkeys(further_reads(), ())
    )  # a table of its own may be empty, and not known here


def test_every_file_of_the_folder_is_a_section_with_a_name_of_its_own():
    """A section that is not found is not told, and two of one name would read each other's rows."""
    files = [file for file in Path(sections.__file__).parent.glob("*.py") if file.name != "__init__.py"]

    assert len(files) == len(all_sections()) == len({section.name for section in all_sections()})
    assert [] == [section.name for section in all_sections() if not section.lines and not section.html]
    assert len(page_sections()) == len({section.page_place or section.place for section in page_sections()})


@EACH
def test_its_lines_fit_a_terminal(section, cluster):
    """What is cut off by the terminal's border is not read."""
    assert all(len(line) <= WIDTH and "\n" not in line for line in (section.lines(cluster) if section.lines else ()))


@EACH
def test_its_markup_is_whole(section, cluster):
    """A tag left open would swallow the sections after it."""
    tags = Closed()
    tags.feed(section.html(cluster) if section.html else "")

    assert [] == tags.open


@EACH
def test_it_asks_for_nothing_by_itself(section):
    """A query in a teller would be a figure that no table holds and `gpulake explain` cannot reach."""
    tree = ast.parse(Path((section.lines or section.html).__code__.co_filename).read_text(encoding="utf-8"))
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
