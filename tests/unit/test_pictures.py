"""The picture and the page: drawn from the report alone, readable without a network."""

import re
from datetime import date, timedelta
from html.parser import HTMLParser

import pytest

from gpulake.reading import report
from gpulake.telling.page import write_html
from gpulake.telling.pictures.days import PALETTE, placed, write_png
from gpulake.telling.pictures.waterfall import write_waterfall


class Tags(HTMLParser):
    """Collects what a page asks for, and whether its tags close."""

    VOID = frozenset({"meta", "br", "path", "use"})

    def __init__(self):
        super().__init__()
        self.open, self.addresses, self.text = [], [], []

    def handle_starttag(self, tag, attrs):
        self.addresses += [value for name, value in attrs if name in {"src", "href", "xlink:href", "srcset", "data"}]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.addresses += [value for name, value in attrs if name in {"src", "href", "xlink:href"}]

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert tag == self.open.pop()

    def handle_data(self, data):
        self.text.append(data)


def page_of(publication, tmp_path):
    """The page's text and its tags."""
    file = tmp_path / "out" / "page.html"
    write_html(report.read(publication), file)
    text = file.read_text(encoding="utf-8")
    tags = Tags()
    tags.feed(text)
    return text, tags


def size_of(png):
    """Width and height, as its header states them."""
    head = png.read_bytes()[:24]
    assert head.startswith(b"\x89PNG")
    return int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")


def test_the_waterfall_is_drawn_for_every_cluster_and_in_the_page(two_months, tmp_path):
    """The first question of whoever pays: where did the GPU-hours go."""
    two_months.add_waste(over=1.0, unbounded=2, failed_unbounded=1)
    file = tmp_path / "gpu-hours.png"
    write_waterfall(report.read(two_months), file)
    write_html(report.read(two_months), tmp_path / "page.html")

    assert file.read_bytes().startswith(b"\x89PNG")
    page = (tmp_path / "page.html").read_text()
    assert "Where the GPU-hours went" in page
    assert "held, measured, idle" in page
    assert "2 attempts with GPUs lack a start or an end" in page
    assert "without 1 attempt of unknown length" in page


def test_a_publication_without_gpu_hours_draws_a_sentence(empty_publication, tmp_path):
    """An empty lake is no error of the picture."""
    write_waterfall(report.read(empty_publication), tmp_path / "w.png")

    assert (tmp_path / "w.png").stat().st_size > 0


def test_the_picture_is_a_png_of_the_promised_shape(two_months, tmp_path):
    """1200 × 700, at twice the points, in a folder that did not exist."""
    file = tmp_path / "out" / "demo.png"
    write_png(report.read(two_months), file)

    assert (2400, 1920) == size_of(file)


def test_the_page_needs_nothing_but_itself(two_months, tmp_path):
    """It opens from a mail or an archive: no script, no style sheet, no font and no picture from elsewhere."""
    text, tags = page_of(two_months, tmp_path)

    assert [] == [address for address in tags.addresses if not address.startswith("#")]
    assert "<script" not in text
    assert "@import" not in text
    assert not re.search(r"url\((?!#)", text)
    assert [] == tags.open


def test_the_page_tells_what_the_report_tells(two_months, tmp_path):
    """Picture, page and terminal show one set of figures."""
    text, _ = page_of(two_months, tmp_path)

    for said in (
        "62 days of GPU use: mean 23 % of measured time, 3 days flagged",
        "<b>23.5 %</b>",
        "day 43, Friday",
        "is 3.1 standard deviations off",
        "build 41",
        "machine_gpu is not a number",
        "1 of 3 files carry the publisher&#x27;s checksum",
        "GPUs in 95 machines",
    ):
        assert said in text
    assert "1970" not in text


def test_the_page_follows_a_dark_screen(two_months, tmp_path):
    """Every colour of the drawing is a variable that the dark style sets again."""
    text, _ = page_of(two_months, tmp_path)
    drawing = text[text.index("<svg") : text.rindex("</svg>")]
    light, dark = re.findall(r":root \{(.*?)\}", text, flags=re.DOTALL)

    used = set(re.findall(r"var\((--[a-z-]+)\)", text))
    assert used <= set(re.findall(r"(--[a-z-]+):", light))
    assert used <= set(re.findall(r"(--[a-z-]+):", dark))
    assert [] == re.findall(r"#[0-9a-f]{6}", drawing)


def test_each_day_answers_the_pointer(two_months, tmp_path):
    """The figures behind a line can be read off it."""
    text, _ = page_of(two_months, tmp_path)

    assert 62 == text.count('<g class="day"><title>')
    assert "<title>day 43, Friday: mean 14.2 %, 95th percentile 40.1 %" in text


def test_words_from_outside_are_only_words(empty_publication, tmp_path):
    """A cluster or a refused row cannot put markup into the page."""
    empty_publication.add_cluster("<b>&", time_zone="UTC", time_basis="real")
    empty_publication.add_landing("t", kept=1, refused=1, reason="<script>alert(1)</script>", cluster_id="<b>&")
    empty_publication.add_day(date(2026, 11, 23), avg=20.0, cluster_id="<b>&", judgement="anomaly", reason="<i>")

    text, _ = page_of(empty_publication, tmp_path)

    assert "<script>" not in text
    assert "<i>" not in text
    assert "Cluster &lt;b&gt;&amp;" in text


def test_text_in_the_drawing_cannot_be_mathematics_or_markup(empty_publication, tmp_path):
    """A name with dollar signs or angle brackets is drawn as it is written."""
    name = "$x^2$ <g> & co"
    empty_publication.add_cluster(name, time_zone="UTC", time_basis="real")
    empty_publication.add_day(date(2026, 11, 23), avg=20.0, cluster_id=name, judgement="anomaly", driver="a_$b$_c")

    text, tags = page_of(empty_publication, tmp_path)
    write_png(report.read(empty_publication), tmp_path / "page.png")

    assert [] == tags.open
    assert "a_$b$_c" in text[text.index("<svg") : text.index("</svg>")]


@pytest.mark.parametrize("kind", ["nothing landed", "no metrics", "one day", "no GPUs", "a gap of a week", "two years"])
def test_thin_and_long_histories_are_drawn_too(empty_publication, tmp_path, kind):
    """The first refresh of a new cluster must not end in a traceback."""
    made = empty_publication
    if kind != "nothing landed":
        made.add_cluster()
    match kind:
        case "no metrics":
            made.add_gap("avg_gpu_util", missing_table="pai_machine_metric")
        case "one day":
            made.add_day(date(1970, 1, 13), avg=20.0)
        case "no GPUs":
            made.add_day(date(1970, 1, 13), avg=None, p95=None, covered=0.0, unweighted=None, judgement="not_judged")
        case "a gap of a week":
            made.add_day(date(1970, 1, 13), avg=20.0)
            made.add_day(date(1970, 1, 20), avg=30.0, judgement="anomaly", driver="avg_cpu_util")
        case "two years":
            for offset in range(730):
                made.add_day(date(1970, 1, 13) + timedelta(days=offset), avg=20.0 + offset % 7,
                             judgement="anomaly" if offset % 20 == 0 else "normal")  # fmt: skip

    _, tags = page_of(made, tmp_path)
    write_png(report.read(made), tmp_path / "page.png")

    assert [] == tags.open
    assert 2400 == size_of(tmp_path / "page.png")[0]


def test_each_cluster_has_a_panel_of_its_own(two_months, tmp_path):
    """Two clusters are two pictures, one below the other."""
    two_months.add_cluster("ours", time_zone="UTC", time_basis="real")
    two_months.add_day(date(2026, 11, 23), avg=80.0, cluster_id="ours")

    write_png(report.read(two_months), tmp_path / "page.png")

    assert (2400, 3840) == size_of(tmp_path / "page.png")


def test_a_cluster_without_measurements_takes_no_panel_beside_one_that_has(two_months, tmp_path):
    """Half a picture of nothing says nothing; the page and the report tell of the cluster."""
    two_months.add_cluster("silent", time_zone="UTC", time_basis="offset")
    two_months.add_day(date(1970, 1, 1), avg=None, p95=None, cpu=None, covered=0.0, unweighted=None,
                       judgement="not_judged", cluster_id="silent")  # fmt: skip

    text, _ = page_of(two_months, tmp_path)
    write_png(report.read(two_months), tmp_path / "page.png")

    assert (2400, 1920) == size_of(tmp_path / "page.png")
    assert "silent: GPU use was not measured" in text


def test_no_colour_is_part_of_another():
    """Colours become style variables by replacing their text, so each must be unique."""
    colours = [getattr(PALETTE, name) for name in PALETTE.__dataclass_fields__]

    assert len(set(colours)) == len(colours)


def test_names_of_flagged_days_touch_neither_each_other_nor_a_line(empty_publication):
    """Two names printed over each other are none."""
    empty_publication.add_cluster()
    for offset in range(62):
        is_odd = offset in {0, 19, 26, 28, 29, 41, 60, 61}
        empty_publication.add_day(date(1970, 1, 6) + timedelta(days=offset), avg=20.0, driver="avg_gpu_util" if is_odd else None,
                                  judgement="anomaly" if is_odd else "normal")  # fmt: skip
    (cluster,) = report.read(empty_publication).clusters

    names = placed(cluster.days, cluster)

    assert 6 <= len(names)
    for name in names:
        for other in names:
            if other is not name and other.row == name.row:
                assert name.last <= other.first or other.last <= name.first
            if other.row > name.row:  # its line comes down through the lower row
                assert not other.first < (name.day.dt - date(1970, 1, 1)).days < other.last
