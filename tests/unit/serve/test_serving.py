"""What holds for every page: addresses, tables, files, faults, and who may come."""

from __future__ import annotations

import csv
import io
import re
import signal
import subprocess
import sys
from html import unescape
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import httpx
import pyarrow.parquet as pq
import pytest
from jinja2 import ChoiceLoader, DictLoader

from gpulake.cli import main
from gpulake.reading.scope import Cluster
from gpulake.serve import app, markup
from gpulake.serve.app import POLICY
from gpulake.serve.page import all_pages, menu
from gpulake.telling.figures import text_of

ROOT = Path(__file__).parents[3]
CLUSTER = Cluster("c", "s", "Asia/Tokyo", "shifted", None, None, None, None)


class Links(HTMLParser):
    """What a page links to and loads, and its headings."""

    def __init__(self, text):
        super().__init__()
        self.found, self.loaded, self.inline, self.ids = [], [], 0, []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.ids += [given["id"]] if given.get("id") else []
        if tag == "a" and given.get("href"):
            self.found.append(given["href"])
        if tag in {"script", "link", "img"}:
            self.loaded += [given[name] for name in ("src", "href") if given.get(name)]
        self.inline += (tag == "style") + ("style" in given) + sum(name.startswith("on") for name in given)
        self.inline += tag == "script" and "src" not in given and given.get("type") != "application/json"


def rows_of(text, name):
    """The cells of a listing as they stand in a page."""
    part = text[text.index(f'id="{name}"') :]
    part = part[: part.index("</section>")]
    body = part[part.index("<tbody>") : part.index("</tbody>")]
    cells = [re.findall(r"<bdi>(.*?)</bdi>", row, re.DOTALL) for row in body.split("<tr")[1:]]
    return [[cell for cell in row if cell] for row in cells]


@pytest.mark.parametrize("page", menu(), ids=lambda page: page.title)
def test_a_page_answers_for_every_cluster_and_range(site, page):
    for address in (
        page.path,
        f"{page.path}?since=6&until=7",
        f"{page.path}?since=900&until=901",
        f"{page.path}?since=9&until=3",
    ):
        answer = site.get(address)
        assert answer.status_code == 200, answer.text
        assert "<h1>" in answer.text
        assert "published" in answer.text


def _kinds(there):
    """What is new in an address: its page, with each thing that it may be asked; whichever thing it names."""
    path = re.sub(r"^(/(?:machines|users|jobs|days|alerts|definition)/).+", r"\1…", there.path)
    return {(path, part.partition("=")[0]) for part in ("", *there.query.split("&"))}


@pytest.mark.slow
def test_every_link_of_every_page_leads_somewhere(site):
    """From the front page on: each page, and whatever it may be asked, once; however many things there are of a kind."""
    waiting, followed = ["/"], {("/", "")}
    while waiting:
        address = waiting.pop()
        answer = site.get(address)
        assert answer.status_code == 200, (address, answer.text[:800])
        if "html" not in answer.headers["content-type"]:
            continue
        links = Links(answer.text)
        assert len(links.ids) == len(set(links.ids)), address
        assert links.inline == 0, address
        for link in (*links.found, *links.loaded):
            there = urlsplit(urljoin(address, link))
            assert not there.netloc, f"{address} leads out: {link}"
            assert not there.fragment or there.path != urlsplit(address).path or there.fragment in links.ids, link
            if not _kinds(there) <= followed:
                followed |= _kinds(there)
                waiting.append(there.path + (f"?{there.query}" if there.query else ""))
    paths = {path for path, _ in followed}
    assert {page.path for page in menu()} <= paths
    assert {"/machines/…", "/users/…", "/jobs/…", "/days/…", "/definition/…"} <= paths


def test_a_table_sorts_by_each_of_its_columns_both_ways(site, sql):
    said = {row["machine_id"]: row["n"] for row in sql(
        "select machine_id, sum(allocated_gpu_h::decimal(28, 12))::double as n from gold_machine_util_daily group by all"
    )}  # fmt: skip
    for way in (-1, 1):
        asked = "-allocated_gpu_h" if way < 0 else "allocated_gpu_h"
        answer = site.get(f"/machines?machines_sort={asked}&machines_rows=500")
        shown = [row[0] for row in rows_of(answer.text, "machines")]
        known = [name for name in shown if said[name] is not None]
        assert sorted(shown) == sorted(said)
        assert known == sorted(known, key=lambda name: (way * said[name], 0))
        assert shown[: len(known)] == known, "what is not known comes last, both ways"


def test_pages_of_a_table_hold_every_row_once(site, sql):
    (n,) = (row["n"] for row in sql("select count(distinct machine_id) as n from gold_machine_util_daily"))
    shown, page = [], 1
    while (
        rows := rows_of(answer.text, "machines")
        if "<tbody>" in (answer := site.get(f"/machines?machines_rows=4&machines_page={page}")).text
        else []
    ):
        shown += [row[0] for row in rows]
        page += 1
    assert len(shown) == len(set(shown)) == n


def test_a_file_holds_every_row_in_the_order_that_is_shown(site):
    address = "/machines?machines_sort=-gpu_util_per_gpu_pct&machines_rows=3"
    shown = [row[0] for row in rows_of(site.get(address).text, "machines")]
    text = site.get(f"{address}&export=machines.csv")
    rows = list(csv.DictReader(io.StringIO(text.text)))
    table = pq.read_table(io.BytesIO(site.get(f"{address}&export=machines.parquet").content)).to_pylist()
    assert text.headers["content-type"].startswith("text/csv")
    assert [row["machine_id"] for row in rows] == [row["machine_id"] for row in table]
    assert shown == [row["machine_id"] for row in table[:3]]


@pytest.mark.parametrize(
    ("address", "status", "said"),
    [
        ("/?cluster=nowhere", 400, "there is no cluster"),
        ("/?since=yesterday", 400, "is no day"),
        ("/?until=99999999999999999999", 400, "is no day"),
        ("/machines?machines_sort=drop", 400, "no column"),
        ("/machines?machines_page=0", 400, "no number"),
        ("/machines?machines_rows=10000", 400, "no number"),
        ("/machines?export=secrets.csv", 400, "no file"),
        ("/machines?export=machines.exe", 400, "no file"),
        ("/machines/nobody", 404, "has no machine"),
        ("/definition/nothing/at_all", 404, "no table"),
        ("/definition/gold_jobs/cost_usd?job_id=nobody", 200, "no row of gold_jobs"),
        ("/definition/gold_jobs/cost_usd?cluster_id=pai2020", 200, "several rows of gold_jobs"),
        ("/definition/gold_jobs/nothing?cluster_id=pai2020", 200, "no column"),
        ("/nothing", 404, "no such page"),
        ("/static/../app.py", 404, ""),
    ],
)
def test_what_cannot_be_shown_is_one_clear_page(site, address, status, said):
    answer = site.get(address)
    assert answer.status_code == status
    assert said.lower() in answer.text.lower()
    assert "Traceback" not in answer.text


def test_a_page_may_load_its_own_files_only(site):
    answer = site.get("/")
    assert answer.headers["content-security-policy"] == POLICY
    assert "unsafe" not in POLICY
    for file in Links(answer.text).loaded:
        assert site.get(file).status_code == 200, file


def test_only_its_own_names_are_answered(site):
    """A foreign page that gives this machine a name of its own reads nothing."""
    assert site.get("/", headers={"Host": "evil.example"}).status_code == 421


def test_a_request_from_another_page_changes_nothing(site, lake):
    form = {"do": "acknowledge", "incident_id": "1", "by": "me"}
    assert site.post("/ask", data=form).status_code == 403
    assert site.post("/ask", data=form, headers={"Origin": "http://evil.example"}).status_code == 403
    assert not list((lake / "inbox").glob("*"))


def test_another_address_needs_the_token(lake, served):
    server = served(lake, hosts=("*",), token="one-two-three")  # a test's
    with httpx.Client(base_url=server.address) as visitor:
        refused = visitor.get("/")
        assert refused.status_code == 401
        assert "GPU-h" not in refused.text
        assert visitor.get("/?token=one-two-thre").status_code == 401
        assert visitor.get("/", headers={"Authorization": "Bearer one-two-three"}).status_code == 200
        come = visitor.get("/?token=one-two-three&since=6")
        assert (come.status_code, come.headers["location"]) == (307, "/?since=6")
        assert visitor.get("/machines").status_code == 200, "the cookie is enough from there on"


def test_an_empty_lake_says_what_to_do(tmp_path, served):
    with httpx.Client(base_url=served(tmp_path / "nowhere").address) as visitor:
        answer = visitor.get("/")
        assert answer.status_code == 400
        assert "gpulake refresh" in answer.text


@pytest.mark.slow
def test_a_new_publication_is_shown_to_who_comes_next(tmp_path, served, pai):
    """Whoever has begun to look goes on looking at the same; the next one sees the new build."""
    trace, lake = tmp_path / "trace", tmp_path / "lake"
    pai.write(trace / "pai_machine_spec.csv", [pai.spec(1)])
    pai.write(trace / "pai_machine_metric.csv", [pai.metric(1)])
    assert main(["refresh", "--data", str(trace), "--lake", str(lake)]) == 0
    server = served(lake)
    with httpx.Client(base_url=server.address, timeout=60) as visitor:
        first = re.search(r"Build (\d+)", visitor.get("/machines").text)
        with server.newest.open() as (before, _):
            pai.write(trace / "pai_machine_metric.csv", [pai.metric(1), pai.metric(2, start=103600, end=107200)])
            assert main(["refresh", "--data", str(trace), "--lake", str(lake)]) == 0
            then = re.search(r"Build (\d+)", visitor.get("/machines").text)
            assert int(then[1]) > int(first[1]) == before.build_id
            assert before.sql("select count(*) as n from gold_machine_util_daily").to_pylist() == [{"n": 1}]


def test_the_page_that_the_how_to_shows_is_served(lake, served, sql, monkeypatch):
    """Who writes a page copies that one."""
    text = (ROOT / "docs" / "how-to" / "add-a-page.md").read_text(encoding="utf-8")
    code, template = (re.search(rf"```{kind}\n(.*?)```", text, re.DOTALL)[1] for kind in ("python", "html"))
    module = {"__name__": "busy"}
    exec(code, module)
    monkeypatch.setattr(app, "all_pages", lambda: (module["PAGE"],))
    shipped = markup.PackageLoader
    monkeypatch.setattr(
        markup, "PackageLoader", lambda *where: ChoiceLoader([DictLoader({"busy.html": template}), shipped(*where)])
    )
    busy = sql("select dt from gold_cluster_util_daily where cluster_id = 'pai2020' and avg_gpu_util >= 50")
    with httpx.Client(base_url=served(lake).address, timeout=30) as visitor:
        answer = visitor.get("/busy?cluster=pai2020")
        assert answer.status_code == 200, answer.text
        assert f"<h1>{len(busy)} busy days</h1>" in answer.text


def test_every_page_has_a_question_and_a_place_of_its_own():
    pages = all_pages()
    assert len({page.path for page in pages}) == len(pages)
    assert len({page.place for page in menu()}) == len(menu())
    assert all(page.answers.endswith("?") for page in pages)


@pytest.mark.parametrize(
    ("column", "value", "text"),
    [
        ("idle_held_gpu_h", None, "—"),
        ("idle_held_gpu_h", 0.0, "0"),
        ("idle_held_gpu_h", 0.01, "< 0.1"),
        ("idle_held_gpu_h", 12345.6, "12,346"),
        ("efficiency_ratio", 0.5, "50.0"),
        ("efficiency_ratio", 0.0001, "< 0.1"),
        ("efficiency_low", 0.5, "50.0"),
        ("avg_gpu_util_low", 18.44, "18.4"),
        ("gpu_util_per_gpu_high", 18.44, "18.4"),
        ("wait_s", 59.4, "59 s"),
        ("wait_s", 3600, "1 h 00 min"),
        ("wait_s", 200_000, "2 d 07 h"),
        ("jobs_failed", 12000, "12,000"),
        ("is_idle", True, "yes"),
        ("gpu_mem_bytes", 34359738368, "32.0 GiB"),
        ("net_tx_bytes_per_s", 3 * 2**20, "3.0 MiB/s"),  # not three million seconds
    ],
)
def test_a_value_is_written_by_the_unit_in_its_name(column, value, text):
    assert text_of(column, value, CLUSTER) == text


def test_the_command_prints_where_it_listens_and_ends_by_ctrl_c(lake):
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from gpulake.cli import main; sys.exit(main())"
    )
    started = [sys.executable, "-c", code, "serve", "--lake", str(lake), "--port", "0"]
    with subprocess.Popen(started, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        line = child.stdout.readline()
        address = re.search(r"http://127\.0\.0\.1:\d+/", line)[0]
        assert httpx.get(f"{address}machines", timeout=30).status_code == 200
        child.send_signal(signal.SIGINT)
        assert child.wait(20) == 130
        assert "Traceback" not in child.stderr.read()


def test_a_taken_port_is_said_in_a_line(lake, site, capsys):
    assert main(["serve", "--lake", str(lake), "--port", str(site.base_url.port)]) == 2
    assert "cannot be served" in capsys.readouterr().err


def test_a_figure_leads_to_what_fed_it(site, sql):
    """From a job's page: its value, what it is divided by, the build, the landings, the SQL, and the command for the same."""
    (job,) = sql(
        "select job_id, active_gpu_h, efficiency_ratio from gold_jobs where efficiency_ratio > 0 order by job_id limit 1"
    )
    page = site.get(f"/jobs/{job['job_id']}").text
    (address,) = {unescape(link) for link in re.findall(r'href="(/definition/gold_jobs/efficiency_ratio[^"]*)"', page)}
    text = unescape(site.get(address).text)
    assert f"<b>{job['efficiency_ratio']}</b>" in text
    assert f"<code>active_gpu_h</code> = {job['active_gpu_h']}" in text
    (build,) = {row["build_id"] for row in sql("select max(build_id) as build_id from ops.meta.publications")}
    assert f"<dd>{build}, published " in text
    assert "pai_instance_table.csv" in text
    assert f"gpulake explain gold_jobs efficiency_ratio --key cluster_id=pai2020 --key job_id={job['job_id']}" in text
    assert "with int_job_totals as (" in text, "the SQL that ran, not its template"


def test_a_day_and_an_incident_lead_to_what_fed_them(site, sql):
    (day,) = sql("select * from gold_cluster_util_daily_scored where dt = date '1970-01-10'")
    page = site.get("/days/9").text
    for name in ("avg_gpu_util", "p95_gpu_util", "avg_cpu_util"):
        assert f">{day[f'{name}_low']:.1f}–{day[f'{name}_high']:.1f}</small>" in page
    text = site.get(f"/definition/gold_cluster_util_daily_scored/avg_gpu_util?cluster_id=pai2020&dt={day['dt']}").text
    assert f"<b>{day['avg_gpu_util']}</b>" in text
    assert "memory 6 h" in text
    machines = [unescape(link) for link in re.findall(r'href="(/definition/gold_machine_util_daily/[^"]*)"', text)]
    machine = site.get(machines[0]).text
    assert 'id="windows"' in machine
    assert (
        "nine times in ten" in site.get(re.search(r"machine_id=([^&]*)", machines[0])[1].join(("/machines/", ""))).text
    )
    assert "Σ weight × value = " in machine
    for (name,) in {(row["incident_id"],) for row in sql("select incident_id from gold_incidents limit 1")}:
        answer = site.get("/definition/gold_incidents/since", params={"incident_id": name})
        assert answer.status_code == 200
        assert name in unescape(answer.text)


def test_each_kind_of_tile_has_its_colour():
    """The page style knows every kind that a template gives a tile: one that it does not looks like any other."""
    folder = files("gpulake.serve")
    style = (folder / "static" / "style.css").read_text()
    given = {
        kind
        for template in (folder / "templates").iterdir()
        if template.name.endswith(".html")
        for tile in re.findall(r"parts\.tile\((.*)\) }}", template.read_text())
        for kind in re.findall(r'kind="(\w+)"', tile)
    }
    assert {"active", "odd"} <= given
    assert [] == [kind for kind in sorted(given) if f".tiles .{kind} " not in style]
