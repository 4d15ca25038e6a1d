"""The pages as one file: they say what the served ones say, and need nothing but themselves."""

from __future__ import annotations

import re
import shutil
import subprocess
from html import escape
from html.parser import HTMLParser
from urllib.parse import quote

import httpx
import pytest

from gpulake.cli import main
from gpulake.config import load
from gpulake.errors import UsageError
from gpulake.serve.alone import write_pages
from gpulake.serve.linking import within
from gpulake.serve.page import menu
from gpulake.serve.things import NotFoundError

ADDRESSES = ["/?cluster=pai2020", "/anomalies?cluster=pai2020"]
CHROMIUM = shutil.which("chromium")
VOID = frozenset({"meta", "br", "wbr", "link", "input", "hr", "img"})


class Read(HTMLParser):
    """What a page asks for, names and says; and whether its tags close."""

    def __init__(self, text):
        super().__init__()
        self.open, self.addresses, self.ids, self.cells, self.titles = [], [], [], [], []
        self.feed(text)
        assert [] == self.open

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.addresses += [given[name] for name in ("src", "href", "xlink:href", "srcset", "data") if given.get(name)]
        self.ids += [given["id"]] if "id" in given else []
        if tag not in VOID:
            self.open.append(tag)
        if tag in {"td", "h1"}:
            (self.cells if tag == "td" else self.titles).append("")

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert tag == self.open.pop()

    def handle_data(self, data):
        for place, texts in (("td", self.cells), ("h1", self.titles)):
            if place in self.open:
                texts[-1] += data


@pytest.fixture(scope="module")
def written(lake, tmp_path_factory):
    """The front pages of the shared lake, in a folder that did not exist."""
    file = tmp_path_factory.mktemp("alone") / "out" / "demo.html"
    write_pages(load({}, lake=lake), addresses=ADDRESSES, file=file)
    return file.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(written):
    return Read(written)


def test_it_needs_nothing_but_itself(written, page):
    """It opens from a mail or an archive: no script, no style sheet, no font and no picture from elsewhere."""
    assert [] == [address for address in page.addresses if not address.startswith("#")]
    assert "<script" not in written
    assert "<form" not in written
    assert "@import" not in written
    assert not re.search(r"url\((?!#)", written)


def test_every_link_leads_to_one_place(page):
    """A link to nowhere, or to the other cluster's table of the same name, is worse than none."""
    assert len(page.ids) == len(set(page.ids))
    assert set() == {address[1:] for address in page.addresses} - set(page.ids)
    assert {"#p1", "#p2"} <= set(page.addresses)


def test_it_says_what_the_served_pages_say(page, site):
    """Two renderers would drift apart, and nobody would know which one to believe."""
    served = [Read(site.get(address).text) for address in ADDRESSES]

    assert [title for each in served for title in each.titles] == page.titles
    assert [cell for each in served for cell in each.cells] == page.cells
    assert 40 < len(page.cells)


def test_each_figure_says_what_it_means(written, page):
    """A reader on a train cannot ask the server for a definition."""
    leads = {address[1:] for address in page.addresses if address.startswith("#means-")}

    assert 20 < len(leads)
    assert leads <= set(page.ids)
    assert "gold_waste_window.<wbr>idle_held_ratio</dt>" in written


def test_it_follows_a_dark_screen_and_a_narrow_one(written):
    """Every colour of a picture is a variable that the dark style sets again; a phone gets a picture of its width."""
    drawings = re.findall(r"<svg role.*?</svg>", written, flags=re.DOTALL)
    light, dark = (
        set(re.findall(r"(--chart-[a-z0-9-]+):", block))
        for block in re.findall(r":root \{(.*?)\}", written, flags=re.DOTALL)[:2]
    )

    used = set(re.findall(r"var\((--chart-[a-z0-9-]+)", written))
    assert used <= light == dark
    assert drawings
    assert [] == [found for drawing in drawings for found in re.findall(r'(?:fill|stroke)="#[0-9a-f]{6}"', drawing)]
    assert written.count('class="picture on-screen"') == written.count('class="picture on-phone"') == len(drawings) / 2


def test_every_page_of_the_menu_can_stand_in_a_file(lake, sql, tmp_path):
    """A report of waste or of one job writes its pages too; none may fetch, lead nowhere, or ask for a server."""
    (job,) = sql("select job_id from gold_jobs where allocated_gpu_h > 0 order by job_id limit 1")
    addresses = [*(page.path for page in menu()), f"/jobs/{job['job_id']}?cluster=pai2020"]
    write_pages(load({}, lake=lake), addresses=addresses, file=tmp_path / "all.html")

    text = (tmp_path / "all.html").read_text(encoding="utf-8")
    read = Read(text)
    assert len(addresses) == len(re.findall(r'<article id="p\d+">', text))
    assert {"#"} == {address[0] for address in read.addresses}
    assert set() == {address[1:] for address in read.addresses} - set(read.ids)
    assert len(read.ids) == len(set(read.ids))
    assert len(text) < 3_000_000


def test_names_that_are_markup_stay_words(lake, sql, tmp_path):
    """A user may be called <script>; whoever opens the file must not run him."""
    (name,) = {row["user_id"] for row in sql("select user_id from gold_jobs where user_id like '<script>%'")}
    file = tmp_path / "users.html"

    write_pages(load({}, lake=lake), addresses=[f"/users/{quote(name, safe='')}", "/users"], file=file)

    text = file.read_text(encoding="utf-8")
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert Read(text).titles


def test_an_address_without_a_page_is_refused(lake, tmp_path):
    """A wrong address must not become an empty file."""
    for address, error in (("/nowhere", UsageError), ("/jobs/nobody", NotFoundError), ("/?cluster=x", UsageError)):
        with pytest.raises(error):
            write_pages(load({}, lake=lake), addresses=[address], file=tmp_path / "a.html")

    assert [] == list(tmp_path.iterdir())


def test_a_lake_without_clusters_is_told_as_a_page(lake, tmp_path):
    """The first look at an empty lake says what to do."""
    write_pages(load({}, lake=lake), addresses=[], file=tmp_path / "a.html")

    assert "Nothing has landed yet" in (tmp_path / "a.html").read_text(encoding="utf-8")


def test_what_needs_a_server_is_left_out_and_the_rest_stands_as_it_was():
    """The markup between is the templates': it is not written anew."""
    markup = (
        '<p id="a">1 &lt; 2 &#39;<a class="k" href="/x?y=1&amp;z=2" title="t">to <b>x</b></a><br></p>'
        '<form><input name="q"><p>gone</p></form><nav data-served><a href="/x">gone</a></nav>'
        '<svg viewBox="0 0 1 1"><clipPath id="c"/><g clip-path="url(#c)"><path d="M0"/></g></svg><a href="#a">up</a>'
    )
    asked = []

    def leads(address):
        asked.append(address)
        return "#p1-a" if address == "#a" else None

    assert (
        '<p id="p1-a">1 &lt; 2 &#39;<span class="k">to <b>x</b></span><br></p>'
        '<svg viewBox="0 0 1 1"><clipPath id="p1-c"/><g clip-path="url(#p1-c)"><path d="M0"/></g></svg><a href="#p1-a">up</a>'
    ) == within(markup, name="p1", leads=leads)
    assert ["/x?y=1&z=2", "#a"] == asked


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium to lay the page out")
def test_a_phone_shows_it_without_scrolling_sideways(lake, sql, tmp_path):
    """Half of a figure beside the screen is not read; names of users are as wide as anybody made them."""
    file = tmp_path / "all.html"
    write_pages(load({}, lake=lake), addresses=[*ADDRESSES, "/users?users_rows=500", "/jobs"], file=file)
    # The file's own policy forbids the script that measures.
    text = re.sub(r"<meta http-equiv=.*?>", "", file.read_text(encoding="utf-8"))
    (tmp_path / "phone.html").write_text(
        f'<iframe style="border:0;width:390px;height:3000px" srcdoc="{escape(text)}"></iframe><pre></pre><script>'
        "onload = () => { const page = document.querySelector('iframe').contentDocument.documentElement;"
        "document.querySelector('pre').textContent = `wide ${page.scrollWidth} of ${page.clientWidth}`; }</script>",
        encoding="utf-8",
    )
    chromium = [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    shown = subprocess.run([*chromium, "--virtual-time-budget=3000", "--dump-dom", f"file://{tmp_path / 'phone.html'}"],
                           capture_output=True, text=True, check=True, timeout=120).stdout  # fmt: skip

    wide, of = re.search(r"wide (\d+) of (\d+)", shown).groups()
    assert 300 < int(of) <= 390
    assert wide == of


@pytest.mark.slow
@pytest.mark.parametrize("tables", [("spec",), ("spec", "metric"), ("metric",)])
def test_a_lake_of_one_row_is_written_drawn_and_served(tmp_path, pai, served, tables):
    """The first file of a new cluster must not end in a traceback, whichever table comes first; to ask its page of jobs for
    a column that its source cannot give is no fault of the visitor's.
    """
    trace, lake = tmp_path / "trace", tmp_path / "lake"
    for table in tables:
        name = "pai_machine_spec" if table == "spec" else "pai_machine_metric"
        pai.write(trace / f"{name}.csv", [getattr(pai, table)(1)])
    assert main(["refresh", "--data", str(trace), "--lake", str(lake)]) == 0
    files = {flag: tmp_path / flag for flag in ("--png", "--waterfall", "--html")}

    assert main(["report", "--lake", str(lake), *(str(part) for pair in files.items() for part in pair)]) == 0

    text = files["--html"].read_text(encoding="utf-8")
    assert Read(text).titles
    assert all(files[flag].read_bytes().startswith(b"\x89PNG") for flag in ("--png", "--waterfall"))
    answer = httpx.get(f"{served(lake).address}/jobs", timeout=30)
    assert (answer.status_code, "No job is like that" in answer.text) == (200, True), answer.text
