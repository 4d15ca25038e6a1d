"""A real Superset, installed and started as a user does, looked at in a real browser: each chart against SQL on the publication.

Minutes, 1 GB of disk and a package index: run with -m superset. Where there is no index, no Playwright or no Chromium the
tests are skipped with the reason; where GPULAKE_MUST_BROWSE is set, as on the build server, that is a failure.
"""

from __future__ import annotations

import json
import math
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from collections import defaultdict
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.browser.walker import MAIN, browser_there, browsing

from gpulake.lake import open_publication
from gpulake.superset import bundle

pytestmark = [
    pytest.mark.superset,
    pytest.mark.skipif(sys.version_info[:2] > (3, 12), reason="Superset's libraries need Python 3.11 or 3.12"),
]

ROOT = Path(__file__).parents[2]
CLUSTER = "pai2020"
LONGEST_S = 420
DASHBOARDS = {dashboard.name: dashboard for dashboard in bundle.dashboards()}
CHARTS = {chart.name: chart for chart in bundle.charts()}
NO_INDEX = "could not be installed"

# What each chart must show of one cluster, written by hand: the columns are named as the chart names them.
USE = """
    select epoch_ms(dt) as dt, {seen} as measured, {stem} as expected__yhat, {low} as expected__yhat_lower,
        {high} as expected__yhat_upper
    from gold_cluster_util_daily_scored where cluster_id = ?
"""
MARKS = """
    select epoch_ms(dt) as dt, case when judgement = 'anomaly' then {seen} end as "flagged day"
    from gold_cluster_util_daily_scored where cluster_id = ?
"""
WAITS = 'wait_p50_s as "half within", wait_p90_s as "90 % within", wait_p99_s as "99 % within"'


def of_use(seen, expected, low, high):
    return [USE.format(seen=seen, stem=expected, low=low, high=high), MARKS.format(seen=seen)]


EXPECTED = {
    "days-judged": [
        """select count(*) as "days judged" from gold_cluster_util_daily_scored
        where cluster_id = ? and judgement in ('normal', 'anomaly')"""
    ],
    "days-flagged": [
        'select count(*) as "days flagged" from gold_cluster_util_daily_scored where cluster_id = ? and anomaly_flag = 1'
    ],
    "use-of-all-gpus": of_use("avg_gpu_util", "expected_gpu_util", "expected_low", "expected_high"),
    "use-of-held-gpus": of_use(
        "allocated_gpu_util", "expected_allocated_gpu_util", "expected_allocated_low", "expected_allocated_high"
    ),
    "use-by-a-typical-job": of_use(
        "typical_job_gpu_util", "expected_typical_gpu_util", "expected_typical_low", "expected_typical_high"
    ),
    "gpu-hours-by-day": [
        """select epoch_ms(dt) as dt, sum(productive_gpu_h) as "in use",
            sum(failed_active_gpu_h) as "in use by jobs that failed", sum(idle_held_gpu_h) as "held, idle",
            sum(unknown_gpu_h) as "held, not measured", sum(unallocated_gpu_h) as "held by nobody", sum(down_gpu_h) as down
        from gold_waste_daily where cluster_id = ? group by all"""
    ],
    "coverage-by-day": [
        """select epoch_ms(dt) as dt, coverage_ratio as "share measured"
        from gold_cluster_util_daily_scored where cluster_id = ?"""
    ],
    "flagged-days": [
        """select strftime(dt, '%Y-%m-%d') as date_text, day_label, anomaly_score, seen, expected, anomaly_reason
        from gold_cluster_util_daily_scored where cluster_id = ? and anomaly_flag = 1 order by anomaly_score desc"""
    ],
    "jobs-of-the-days": [
        """select strftime(dt, '%Y-%m-%d') as date_text, job_id, user_id, idle_held_gpu_h, allocated_gpu_h, active_gpu_h,
            unknown_gpu_h, job_status
        from gold_job_efficiency_daily where cluster_id = ?
        order by idle_held_gpu_h desc nulls last, allocated_gpu_h desc nulls last, job_id, dt limit 200"""
    ],
    "odd-jobs-of-the-days": [
        """select strftime(dt, '%Y-%m-%d') as date_text, job_id, user_id, allocated_gpu_h, anomaly_score, anomaly_reason
        from gold_job_anomalies where cluster_id = ? and judgement = 'anomaly'
        order by anomaly_score desc, job_id limit 200"""
    ],
    "users-of-the-days": [
        """select user_id, sum(idle_held_gpu_h) as "held, idle" from gold_user_gpu_usage_daily where cluster_id = ?
        group by all order by 2 desc nulls last limit 10"""
    ],
    "wait-by-size": [f"select value, {WAITS} from gold_queue_wait where cluster_id = ? and grouped_by = 'size_class'"],
    "wait-by-day": [
        f"select epoch_ms(dt) as dt, {WAITS} from gold_queue_wait_daily where cluster_id = ? and grouped_by = 'all'"
    ],
    "what-became-of-submissions": [
        """select value, jobs_never_started as "never started", jobs_perhaps_started as "start not known"
        from gold_queue_wait where cluster_id = ? and grouped_by = 'size_class'"""
    ],
    "run-time-by-status": [
        """select job_status, run_p05_s as "5 % within", run_p50_s as "half within", run_p90_s as "90 % within",
            run_p99_s as "99 % within"
        from gold_runtime_distribution where cluster_id = ? and grouped_by = 'all' and run_p50_s is not null"""
    ],
    "run-time-by-size": [
        """select value, job_status, jobs, jobs_without_run_s, run_p25_s, run_p50_s, run_p75_s, run_p95_s, run_p99_s,
            run_max_s
        from gold_runtime_distribution where cluster_id = ? and grouped_by = 'size_class'"""
    ],
}
IN_ORDER = {"flagged-days", "jobs-of-the-days", "odd-jobs-of-the-days"}


def missing(reason):
    """Nothing to be done about it here; on a build server it is a fault."""
    if os.environ.get("GPULAKE_MUST_BROWSE"):
        pytest.fail(reason)
    pytest.skip(reason)


def environment():
    """Superset's libraries are installed once per clone, as those of `make setup` are."""
    tools = ROOT / ".tools"
    uv_cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "uv"
    return {
        "UV_CACHE_DIR": str(uv_cache),
        **os.environ,
        "PATH": f"{tools / 'bin'}:{os.environ['PATH']}",
        "XDG_CACHE_HOME": str(tools / "cache"),
    }


def gpulake(*args, env=None):
    return subprocess.run(
        [sys.executable, "-c", MAIN, *map(str, args)], capture_output=True, text=True, check=False, env=env
    )


def free_port():
    with closing(socket.create_server(("127.0.0.1", 0))) as opened:
        return opened.getsockname()[1]


class Up:
    """`gpulake superset up`, until it is stopped."""

    def __init__(self, folder):
        self.folder, self.port = folder, free_port()
        self.out, self.err = folder / "out", folder / "err"
        with self.out.open("w") as out, self.err.open("w") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-c", MAIN, "superset", "up", "--lake", str(folder / "lake"), "--port", str(self.port)],
                stdout=out, stderr=err, stdin=subprocess.DEVNULL, env=environment(), start_new_session=True,
            )  # fmt: skip
        self.address = f"http://127.0.0.1:{self.port}"

    def wait_for(self, words, *, where):
        deadline = time.monotonic() + LONGEST_S
        while words not in where.read_text():
            if self.process.poll() is not None:
                told = self.err.read_text()
                if NO_INDEX in told:
                    missing(told)
                pytest.fail(told)
            assert time.monotonic() < deadline, self.err.read_text()
            time.sleep(0.2)

    def ready(self):
        self.wait_for("open http://", where=self.out)
        return self

    def end(self, number=signal.SIGTERM):
        """Told to end, nothing of its process group is left."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.process.wait(timeout=30)
        deadline = time.monotonic() + 20
        while alive(self.process.pid):
            assert time.monotonic() < deadline
            time.sleep(0.1)


def alive(group):
    """Whether anything of a process group lives."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a refreshed lake of six weeks with a flagged day, and then what Superset makes of it."""
    folder = tmp_path_factory.mktemp("superset")
    simulated = ("--scale", "0.01", "--days", "40", "--seed", "42", "--faults", "--out", folder / "trace")
    assert 0 == gpulake("simulate", "pai2020", *simulated).returncode
    done = gpulake("refresh", "--data", folder / "trace", "--lake", folder / "lake")
    assert 0 == done.returncode, done.stderr
    return folder


@pytest.fixture(scope="module")
def up(folder):
    """Superset, brought up after a first try that was killed while it laid out its records."""
    first = Up(folder)
    try:
        first.wait_for("laying out Superset's records", where=first.err)
        time.sleep(1.5)
    finally:
        os.killpg(first.process.pid, signal.SIGKILL)
    first.process.wait()
    running = Up(folder)
    try:
        yield running.ready()
    finally:
        running.end()


def password(folder):
    return (folder / "lake" / "superset" / "home" / "admin_password").read_text().strip()


class Browser:
    """Somebody who has logged in, and what the charts were answered."""

    def __init__(self, page, address):
        self.page, self.address = page, address
        self.answers = defaultdict(list)
        self.left, self.names = [], {}
        page.context.route(re.compile(".*"), self._let_pass)
        page.on("requestfinished", self._keep)

    def _let_pass(self, route):
        if urlsplit(route.request.url).netloc == urlsplit(self.address).netloc:
            route.continue_()
        else:
            self.left.append(route.request.url)
            route.abort()

    def _keep(self, request):
        if "/api/v1/chart/data" in request.url and request.method == "POST":
            self.answers[json.loads(request.post_data)["form_data"].get("slice_id")].append(request)

    def log_in(self, secret):
        self.page.goto(f"{self.address}/login/")
        self.page.fill("input[name=username], input#username", "admin")
        self.page.fill("input[type=password]", secret)
        self.page.keyboard.press("Enter")
        self.page.wait_for_url(lambda url: "/login" not in url)
        listed = self.page.request.get(f"{self.address}/api/v1/chart/?q=(page_size:100)").json()["result"]
        by_title = {chart.title: chart.name for chart in CHARTS.values()}
        self.names = {each["id"]: by_title[each["slice_name"]] for each in listed}

    def open(self, dashboard):
        """Until every chart of it has its answer and is drawn."""
        self.answers.clear()
        self.page.goto(
            f"{self.address}/superset/dashboard/{dashboard.name}/?standalone=1", wait_until="domcontentloaded"
        )
        self._until(lambda: set(dashboard.charts) <= {self.names.get(number) for number in self.answers})
        self.page.wait_for_timeout(1_500)

    def _until(self, holds, *, timeout_s=120):
        deadline = time.monotonic() + timeout_s
        while not holds():
            assert time.monotonic() < deadline, {self.names.get(number) for number in self.answers}
            self.page.wait_for_timeout(100)

    def answer(self, chart):
        """The rows that Superset gave the logged-in user for a chart, one list per question."""
        number = next(number for number, name in self.names.items() if name == chart)
        told = self.answers[number][-1].response().json()
        return [each["data"] for each in told["result"]]

    def holder(self, chart):
        return self.page.locator(f"[data-test-chart-id='{next(n for n, name in self.names.items() if name == chart)}']")


@pytest.fixture(scope="module")
def browser(up, folder):
    try:
        import playwright  # noqa: F401
    except ImportError:
        missing("Playwright is not installed; do: scripts/setup browser")
    if browser_there() is None:
        missing("there is no Chromium on this machine")
    with browsing() as opened:
        # Tall enough for every chart of a dashboard: those below the fold are not drawn.
        page = opened.new_page(viewport={"width": 1400, "height": 2600})
        page.set_default_timeout(120_000)  # the machine may have other work
        visitor = Browser(page, up.address)
        visitor.log_in(password(folder))
        yield visitor


def rows(table):
    """Rows as values that can be compared and sorted."""
    return [{name: comparable(value) for name, value in row.items()} for row in table]


def comparable(value):
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(f"{value:.9g}")
    return value


def in_any_order(found):
    """Rows that are drawn: Superset leaves out those of which every figure is missing."""
    told = [row for row in found if any(isinstance(value, float) for name, value in row.items() if name != "dt")]
    return sorted(told, key=lambda row: json.dumps(row, sort_keys=True))


def as_sql_says(folder, chart, *, extra=""):
    with open_publication(folder / "lake") as reader:
        return [
            rows(reader.sql(query.replace("cluster_id = ?", f"cluster_id = ? {extra}"), [CLUSTER]).to_pylist())
            for query in EXPECTED[chart]
        ]


def build_id(folder):
    return json.loads((folder / "lake" / "publication.json").read_text())["build_id"]


# --------------------------------------------------------------------------------------------------------------- tests


def test_every_chart_is_compared():
    assert {*EXPECTED, "published-build"} == set(CHARTS)


@pytest.mark.parametrize("name", DASHBOARDS)
def test_each_chart_shows_what_sql_says(browser, folder, name):
    """In the answer to the logged-in user, and in what the browser drew of it."""
    browser.open(DASHBOARDS[name])
    for chart in DASHBOARDS[name].charts:
        if chart == "published-build":
            assert [[{"build": build_id(folder)}]] == browser.answer(chart)
            assert str(build_id(folder)) in browser.holder(chart).inner_text()
            continue
        told, expected = [rows(part) for part in browser.answer(chart)], as_sql_says(folder, chart)
        assert len(expected) == len(told), chart
        for found, wanted in zip(told, expected, strict=True):
            assert wanted, f"{chart} has nothing to show: the test's lake is too small"
            order = list if chart in IN_ORDER else in_any_order
            assert order(wanted) == order(found), chart
        assert_drawn(browser, CHARTS[chart], expected)


def assert_drawn(browser, chart, expected):
    holder = browser.holder(chart.name)
    assert chart.title in holder.inner_text(), chart.name
    if chart.viz_type == "big_number_total":
        assert f"{expected[0][0].popitem()[1]:,.0f}" in holder.inner_text()
    elif chart.viz_type == "table":
        first = expected[0][0]
        shown = holder.locator("tbody tr").first.locator("td").all_inner_texts() if chart.name in IN_ORDER else []
        for name, told in zip(first, shown, strict=False):
            form = chart.params["column_config"].get(name, {}).get("d3NumberFormat", "")
            value = first[name]
            assert told == (f"{value:{form.replace('d', '.0f')}}" if form and value is not None else str(value)), name
        cells = holder.locator("tbody tr").all_inner_texts()
        assert len(cells) == min(len(expected[0]), chart.params.get("page_length", 1000))
    else:
        assert_pointed_at(browser, chart, expected)


def assert_pointed_at(browser, chart, expected):
    """A picture says its numbers to whoever points at it."""
    canvas = browser.holder(chart.name).locator("canvas").first
    box = canvas.bounding_box()
    told = ""
    for across in (0.62, 0.45, 0.3, 0.75, 0.2):
        browser.page.mouse.move(box["x"] + box["width"] * across, box["y"] + box["height"] * 0.6, steps=4)
        browser.page.wait_for_timeout(400)
        told = " ".join(browser.page.locator("body > div").all_inner_texts()).strip()
        if any(label in told for label in labels_of(chart)) and re.search(r"\d", told):
            break
    axis = chart.params["x_axis"]
    for row in expected[0]:
        name = row[axis]
        shown = datetime.fromtimestamp(name / 1000, tz=UTC).date().isoformat() if axis == "dt" else str(name)
        form = chart.params["y_axis_format"]
        values = [value for label, value in row.items() if label in labels_of(chart) and value is not None]
        if shown in told and values and all(formatted(value, form) in told for value in values):
            return
    pytest.fail(f"{chart.name}: none of its rows is told by {told!r}")


def labels_of(chart):
    return {measure["label"] for measure in chart.params["metrics"] if not measure["label"].startswith("expected")}


def formatted(value, form):
    """As d3 writes it: half away from zero."""
    if form == ".0%":
        return f"{math.floor(value * 100 + 0.5)}%"
    return f"{math.floor(value + 0.5):,}" if form.startswith(",") else f"{math.floor(value + 0.5)}"


def test_a_click_on_a_day_lists_its_jobs(browser, folder):
    """From "this day was odd" to "whose jobs ran"."""
    browser.open(DASHBOARDS["anomalous-days"])
    (flagged, *_) = as_sql_says(folder, "flagged-days")[0]
    day = flagged["date_text"]
    browser.answers.clear()
    browser.holder("flagged-days").get_by_text(day, exact=True).first.click()
    clicked = {"jobs-of-the-days", "odd-jobs-of-the-days", "users-of-the-days"}
    browser._until(lambda: clicked <= {browser.names.get(number) for number in browser.answers})

    assert date.fromisoformat(day)
    for chart in clicked:
        wanted = as_sql_says(folder, chart, extra=f"and dt = date '{day}'")
        assert in_any_order(wanted[0]) == in_any_order(rows(browser.answer(chart)[0])), chart


def test_nothing_outside_was_asked(browser):
    """No pixel, no font, no map: a fleet's figures are nobody else's, and many such machines have no network."""
    assert [] == browser.left


def test_secrets_are_in_no_log_and_are_nobody_elses(up, folder):
    home = folder / "lake" / "superset" / "home"
    secrets = [(home / name).read_text().strip() for name in ("admin_password", "secret_key")]
    logs = [up.out, up.err, home / "prepare.log"]
    assert not [file.name for file in logs for secret in secrets if secret in file.read_text(errors="replace")]
    assert secrets[0] not in " ".join(
        Path(f"/proc/{up.process.pid}/{part}").read_text() for part in ("cmdline", "environ")
    )
    assert {0o600} == {stat.S_IMODE((home / name).stat().st_mode) for name in ("admin_password", "secret_key")}
    assert 0o700 == stat.S_IMODE(home.stat().st_mode)


def test_it_answers_to_this_machine_only(up):
    listening = Path("/proc/net/tcp").read_text() + Path("/proc/net/tcp6").read_text()
    assert f"0100007F:{up.port:04X} 00000000:0000 0A" in listening
    assert f"00000000:{up.port:04X}" not in re.sub(r"00000000:0000 ", "", listening)


def test_a_second_one_of_the_lake_is_refused(up, folder):
    done = gpulake("superset", "up", "--lake", folder / "lake", "--port", free_port(), env=environment())
    assert 13 == done.returncode
    assert up.address in done.stderr


def test_sql_typed_into_it_reads_the_publication_only(browser):
    """SQL Lab is a part of Superset: it must not become a way to write, or to other files."""
    token = browser.page.request.get(f"{browser.address}/api/v1/security/csrf_token/").json()["result"]
    database = browser.page.request.get(f"{browser.address}/api/v1/database/").json()["result"][0]["id"]

    def run(sql):
        return browser.page.request.post(
            f"{browser.address}/api/v1/sqllab/execute/",
            data={"database_id": database, "sql": sql, "schema": "main", "client_id": str(time.monotonic_ns())[-10:]},
            headers={"X-CSRFToken": token, "Referer": browser.address},
        ).text()

    assert '"n": 1' in run("select count(*) as n from publication")
    assert "file system operations are disabled" in run("select * from read_text('/etc/hostname')")
    assert '"status": "success"' not in run("create table mine as select 1 as n")


def test_the_next_publication_is_shown_without_a_restart(browser, folder):
    """Who left the dashboard open over night reloads it and sees today."""
    before = build_id(folder)
    small = ("--scale", "0.002", "--days", "3", "--seed", "7", "--out", folder / "second")
    assert 0 == gpulake("simulate", "pai2020", *small).returncode
    done = gpulake("refresh", "--data", folder / "second", "--cluster", "second", "--lake", folder / "lake")
    assert 0 == done.returncode, done.stderr
    assert f"dashboards: their file holds build {build_id(folder)}" in done.stdout
    assert before != build_id(folder)

    browser.open(DASHBOARDS["daily-utilisation"])
    assert [[{"build": build_id(folder)}]] == browser.answer("published-build")
    # With a second cluster in the lake the figures are still of one: that of which most was measured.
    assert as_sql_says(folder, "days-judged") == [rows(part) for part in browser.answer("days-judged")]
    found = [rows(part) for part in browser.answer("gpu-hours-by-day")]
    assert in_any_order(as_sql_says(folder, "gpu-hours-by-day")[0]) == in_any_order(found[0])


def test_brought_in_again_there_is_one_of_each(folder, up):
    """An upgrade brings the dashboards in over the old ones; what people made of their own stays."""
    up.end(signal.SIGINT)
    records = folder / "lake" / "superset" / "home"
    (records / "prepared.json").write_text("{}")  # as if the files had changed
    again = Up(folder)
    try:
        again.ready()
    finally:
        again.end()

    import sqlite3

    with closing(sqlite3.connect(records / "superset.db")) as database:
        counts = [
            database.execute(f"select count(*) from {table}").fetchone()[0]
            for table in ("dashboards", "slices", "tables")
        ]
    assert [len(DASHBOARDS), len(CHARTS), len(bundle.tables()) + 1] == counts
