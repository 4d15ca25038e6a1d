"""Names that nobody should trust, lakes with next to nothing in them, and lakes that break while somebody looks."""

from __future__ import annotations

import csv
import io
import re
import resource
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from urllib.parse import quote

import pytest
from tests.browser.walker import MAIN, addresses, serving, settled

from gpulake.lake import open_publication
from gpulake.serve.newest import MOST_BEHIND

pytestmark = pytest.mark.browser

PAGES = ("/", "/anomalies", "/jobs", "/users", "/groups", "/machines", "/queue", "/cost", "/alerts", "/data")
HOSTILE = (
    '<script>window.pwned=1;alert("x")</script>',
    '"><img src=x onerror="window.pwned=1"><b a="',
    "</script><svg onload=window.pwned=1>",
    "javascript:window.pwned=1",
    "{{ 7 * 7 }} {% raw %} ${7*7}",
    "' OR 1=1; drop table gold_jobs --",
    "a/b?c=d&e#f%20g/../..",
    "two\nlines",
    "\N{RIGHT-TO-LEFT OVERRIDE}gnp.exe",
    "\N{HEBREW LETTER SHIN}\N{HEBREW LETTER LAMED}\N{HEBREW LETTER VAV}\N{HEBREW LETTER FINAL MEM} 12 %",
    "\N{PILE OF POO}\N{ZERO WIDTH JOINER}\N{WHITE FLAG}" * 3,
    "W" * 5_000,
    "long " + "words and words " * 70_000,
)
"""Markup, templates, SQL, an address, two lines, text that runs the other way, one long word, a megabyte."""


def fetched(address, *, data=None, headers=None):
    """The status and the text of an answer, whatever they are."""
    asked = urllib.request.Request(address, data=data, headers=headers or {})
    try:
        with urllib.request.urlopen(asked, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def is_one_clear_page(text):
    assert 1 == text.count("<h1>"), text[:2_000]
    assert "Traceback" not in text
    assert "site-packages" not in text, "nothing of the machine is told"
    return re.sub(r"<[^>]+>", " ", text[text.index("<main") :])


def row(*cells):
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow(cells)
    return out.getvalue()


@pytest.fixture(scope="module")
def hostile(tmp_path_factory, pai, typed):
    """A lake in which users, machines, tasks, GPU models and groups are called so; ordinary figures stand behind them."""
    folder = tmp_path_factory.mktemp("hostile")
    jobs, tasks, instances, metrics, sensors, specs, tags = [], [], [], [], [], [], []
    for no, name in enumerate(HOSTILE):
        machine = pai.name24(50 + no)
        jobs.append(
            row(pai.name24(no), pai.name60(no), name, "Failed" if no % 2 else "Terminated", "100000.0", "120000.0")
        )
        tasks.append(
            row(pai.name24(no), "worker", "1.0", "Terminated", "100000.0", "120000.0", "600.0", "29.3", "100.0", name)
        )
        instances.append(row(pai.name24(no), "worker", pai.name60(2000 + no), pai.name60(1000 + no), pai.name60(no),
                             "Terminated", "100060.0", "120000.0", machine))  # fmt: skip
        metrics.append(
            row(pai.name60(1000 + no), machine, 100060, 120000, 0.0, 4.0, 20.0, 30.0, 12.5, 1000.0, 3.0, 24.0)
        )
        sensors.append(pai.sensor(no, worker=no, machine=50 + no))
        specs.append(row(machine, name, "96.0", "512.0", "2.0"))
        tags.append(row(pai.name60(no), name, "", name, name))
    for file, lines in (("job_table", jobs), ("task_table", tasks), ("instance_table", instances), ("machine_metric", metrics),
                        ("sensor_table", sensors), ("machine_spec", specs), ("group_tag_table", tags)):  # fmt: skip
        pai.write(folder / "trace" / f"pai_{file}.csv", lines)
    typed("refresh", "--data", folder / "trace", "--lake", folder / "lake")
    return folder / "lake"


def test_whatever_things_are_called_nothing_is_run_and_nothing_breaks_out(tab, hostile):
    with open_publication(hostile) as reader:

        def sql(query, *params):
            return reader.sql(query, params).to_pylist()

        users = [each["user_id"] for each in sql("select distinct user_id from gold_jobs where user_id is not null")]
        pools = [each["pool"] for each in sql("select distinct pool from gold_capacity_daily where pool is not null")]
        pages = addresses(sql)
    assert len(users) >= len(HOSTILE) - 1, "the names have landed"
    short = [name for name in users if len(name) < 1_000]
    with serving(hostile) as address:
        page, phone = tab(address=address), tab(address=address, width=390, height=844)
        every = [*PAGES, *pages.values(), *(f"/users/{quote(name, safe='')}" for name in short),
                 *(f"/jobs?user={quote(name, safe='')}" for name in short),
                 *(f"/machines?pool={quote(name, safe='')}" for name in pools if len(name) < 1_000)]  # fmt: skip
        for path in every:
            page.visit(path)
            assert page.evaluate("() => window.pwned === undefined && document.querySelectorAll('h1').length === 1"), (
                path
            )
            assert not page.evaluate(
                "() => document.querySelectorAll('main img, main b[a], main script:not([type])').length"
            ), path
        for path in (*PAGES, f"/users/{quote(short[0], safe='')}"):
            phone.visit(path)
            assert phone.evaluate("() => document.documentElement.scrollWidth") <= 390, path
            assert len(fetched(address + path)[1]) < 700_000, f"{path}: a long name is cut"
        page.visit(f"/users/{quote(HOSTILE[0], safe='')}")
        assert HOSTILE[0] in page.text_content("main")


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/jobs/nobody", 404, "no job"),
        ("/users/nobody", 404, "no user"),
        ("/machines/nobody", 404, "no machine"),
        ("/alerts/nobody", 404, "no incident"),
        ("/days/9999", 404, "no day of"),
        ("/days/yesterday", 400, "is no day"),
        ("/jobs/" + quote(HOSTILE[0], safe=""), 404, "no job"),
        ("/nothing", 404, "no such page"),
        ("/jobs?jobs_rows=10000", 400, "no number from 1 to 500"),
        ("/jobs?jobs_page=0", 400, "no number"),
        ("/?cluster=nowhere", 400, "no cluster"),
        ("/?since=1e9", 400, "is no day"),
    ],
)
def test_what_is_not_there_is_one_clear_page(tab, path, status, said):
    page = tab()
    page.witness.expected_status.add(status)
    answer = page.goto(page.witness.address + path)
    assert answer.status == status
    assert said in is_one_clear_page(page.content()).lower()
    page.click("a.brand")
    settled(page)
    assert page.url.rstrip("/") == page.witness.address, "and leads on"


def test_ranges_outside_the_data_and_the_longest_pages_are_shown(tab, sql):
    page = tab()
    for path in PAGES:
        page.visit(f"{path}?since=2000&until=2001")
        page.visit(f"{path}?since=30&until=20")
    page.visit("/jobs?jobs_rows=500")
    assert page.locator("#jobs tbody tr").count() == 500
    (jobs,) = sql("select count(*) as n from gold_jobs where cluster_id = 'pai2020'")
    assert jobs["n"] > 2_000
    page.visit(f"/jobs?jobs_rows=500&jobs_page={-(-jobs['n'] // 500)}")
    assert page.locator("#jobs tbody tr").count() == (jobs["n"] - 1) % 500 + 1
    page.visit(f"/jobs?jobs_rows=500&jobs_page={jobs['n']}")
    assert page.locator("#jobs tbody tr").count() == 0


def test_an_empty_lake_says_what_to_do_next(tab, tmp_path):
    for folder in (tmp_path / "nowhere", tmp_path / "empty"):
        if folder.name == "empty":
            folder.mkdir()
        with serving(folder) as address:
            for path in (*PAGES, "/users/x", "/definition/gold_jobs/wait_s"):
                status, text = fetched(address + path)
                assert status in {400, 404, 503}, path
                assert "gpulake refresh" in is_one_clear_page(text)


def test_a_lake_of_one_row_then_under_rebuild_then_with_a_failed_publication(tab, tmp_path, pai, typed):
    """Readers see one whole publication all along: the old one until the new one is tested."""
    trace, lake = tmp_path / "trace", tmp_path / "lake"
    pai.write(trace / "pai_machine_metric.csv", [pai.metric(1)])
    typed("land", "--data", trace, "--lake", lake)
    with serving(lake) as address:
        status, text = fetched(f"{address}/")
        assert status == 503, "landed, and not published yet"
        assert "nothing is published" in is_one_clear_page(text).lower()
        typed("refresh", "--data", trace, "--lake", lake)
        page = tab(address=address)
        for path in PAGES:
            page.visit(path)
        page.visit("/machines")
        assert page.locator("#machines tbody tr").count() == 1
        build = page.text_content("footer")

        pai.write(trace / "pai_machine_metric.csv", [pai.metric(1), pai.metric(2, machine=2, start=103600, end=107200)])
        writer = subprocess.Popen([sys.executable, "-c", MAIN, "refresh", "--data", str(trace), "--lake", str(lake)],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
        looked = 0
        while writer.poll() is None:
            for path in PAGES:
                assert page.goto(address + path).status == 200, path
                looked += 1
        assert writer.returncode == 0
        assert looked >= len(PAGES)
        late = time.monotonic() + MOST_BEHIND.total_seconds() + 1
        page.visit("/machines")
        while page.text_content("footer") == build and time.monotonic() < late:
            page.visit("/machines")
        assert page.locator("#machines tbody tr").count() == 2
        assert page.text_content("footer") != build
        build = page.text_content("footer")

        # A build whose files are damaged before its tests is not published.
        before = set(lake.rglob("*.parquet"))
        pai.write(trace / "pai_machine_metric.csv", [pai.metric(3, machine=3, start=107200, end=110800)])
        typed("land", "--data", trace, "--lake", lake)
        typed("build", "--lake", lake)
        fresh = [file for file in lake.rglob("*.parquet") if file not in before and "gold_" in str(file)]
        for file in fresh:
            file.write_bytes(b"x" * file.stat().st_size)
        assert typed("publish", "--lake", lake, check=False).returncode != 0
        for path in PAGES:
            page.visit(path)
        assert page.text_content("footer") == build


def test_a_lake_that_is_damaged_under_a_running_server_is_one_clear_page(tmp_path, lake):
    damaged = tmp_path / "lake"
    shutil.copytree(lake, damaged)
    with serving(damaged) as address:
        for file in (*damaged.rglob("*.parquet"), *damaged.glob("published/*")):
            file.write_bytes(b"not what it was")
        answers = [fetched(address + path) for path in PAGES]
    assert {status for status, _ in answers} == {503}
    for _, text in answers:
        assert "verify" in is_one_clear_page(text).lower() or "refresh" in text, text


def _no_file_grows():
    resource.setrlimit(resource.RLIMIT_FSIZE, (16, 16))


def test_a_request_on_a_full_disk_is_refused_in_words_and_leaves_nothing(tmp_path, lake, shown_pages):
    full = tmp_path / "lake"
    shutil.copytree(lake, full)
    incident = urllib.parse.unquote(shown_pages["incident"].rpartition("/")[2])
    form = {"do": "acknowledge", "incident_id": incident, "by": "me", "back": shown_pages["incident"]}
    with serving(full, before=_no_file_grows) as address:
        said = fetched(f"{address}/ask", data=urllib.parse.urlencode(form).encode(), headers={"Origin": address})
        assert said[0] in {503, 507}
        assert "free some space" in is_one_clear_page(said[1])
        assert list((full / "inbox").glob("*")) == []
        assert fetched(address + shown_pages["incident"])[0] == 200, "and the pages go on"


def test_a_request_waits_in_the_inbox_and_the_page_says_so(tab, tmp_path, lake, shown_pages):
    copy = tmp_path / "lake"
    shutil.copytree(lake, copy)
    with serving(copy) as address:
        page = tab(address=address)
        page.visit(shown_pages["incident"])
        page.fill("input[name=by]", HOSTILE[1])
        page.fill("input[name=note]", HOSTILE[0])
        page.click("button[value=acknowledge]")
        settled(page)
        assert HOSTILE[0] in page.text_content(".asked")
        assert page.evaluate("() => window.pwned") is None
    assert len(list((copy / "inbox").glob("*.json"))) == 1
