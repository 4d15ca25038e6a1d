"""What is wrong, since when, whose it is, and who has it in hand: anomalies, days, alerts and data against SQL."""

from __future__ import annotations

import re
import shutil
from datetime import UTC, datetime, timedelta
from html import unescape
from urllib.parse import quote

import httpx
import pytest

from gpulake import incidents
from gpulake.cli import main
from gpulake.config import load
from gpulake.findings import Finding, Severity, State
from gpulake.incidents import inbox
from gpulake.lake import open_operations, open_publication, writing
from gpulake.reading.scope import clusters_of
from gpulake.telling import sentences
from gpulake.telling.figures import text_of

CLUSTER = "pai2020"
HOSTILE = "<img src=x onerror=alert(1)>\"' \N{RIGHT-TO-LEFT OVERRIDE}txet\n\N{PILE OF POO}"
LONG = "hot " * 250_000
SETTINGS = """
[channels.duty]
url = "http://127.0.0.1:9/"
[audiences.operators]
channels = ["duty"]
[alerts]
shadow = true
"""


def table(text, name):
    """The cells of a listing as a reader sees them."""
    part = text[text.index(f'<section class="listing" id="{name}"') :]
    part = part[: part.index("</section>")]
    if "<tbody>" not in part:
        return []
    body = part[part.index("<tbody>") : part.index("</tbody>")]
    return [
        [unescape(cell) for cell in re.findall(r"<td.*?<bdi>(.*?)</bdi>", row, re.DOTALL)]
        for row in body.split("<tr")[1:]
    ]


def main_of(text):
    return text[text.index("<main") : text.index("</main>")]


def finding(name, *, at, severity=Severity.PAGE, state="firing", title=HOSTILE, **more):
    key = (("cluster_id", CLUSTER), ("machine_id", name))
    return Finding("hot", key, State(state), at, at if state == "firing" else None, severity, title=title, audience="operators",
                   message=f"{name} {HOSTILE}", do=f"look: gpulake sql {HOSTILE}", machines=(name,), value=83.0, expected=71.0,
                   unit="C", gpu_h=12.5, **more)  # fmt: skip


class Watched:
    """A lake with incidents of every kind, and a visitor of its pages."""

    def __init__(self, folder, address):
        self.config = load({}, lake=folder / "lake", folder=folder)
        self.visitor = httpx.Client(base_url=address, timeout=30)

    def tell(self, *findings, now):
        with writing(self.config.lake, purpose="test") as writer:
            incidents.tell(writer, findings, config=self.config, now=now, sleep=lambda _: None)

    def sql(self, query, *params):
        with open_publication(self.config.lake) as reader:
            return reader.sql(query, params).to_pylist()

    def id_of(self, machine):
        (row,) = self.sql("select incident_id from ops.main.gold_incidents where contains(key_json, ?)", f'"{machine}"')
        return row["incident_id"]

    def ask(self, **form):
        return self.visitor.post("/ask", data=form, headers={"Origin": str(self.visitor.base_url).rstrip("/")})


@pytest.fixture(scope="module")
def watched(lake, served, tmp_path_factory):
    folder = tmp_path_factory.mktemp("watched")
    shutil.copytree(lake, folder / "lake")
    (folder / "gpulake.toml").write_text(SETTINGS)
    made = Watched(folder, served(folder / "lake").address)
    (row,) = made.sql("select max(cluster_now) as now from ops.meta.judgings where cluster_id = ?", CLUSTER)
    hour, now = timedelta(hours=1), row["now"]
    made.tell(
        finding("late", at=now, severity=Severity.TICKET, title="not soon"),
        finding("early", at=now - hour),
        finding("over", at=now - hour, title="over by now"),
        finding("big", at=now - hour, title=LONG),
        now=datetime.now(UTC).replace(tzinfo=None),
    )
    made.tell(finding("over", at=now + 12 * hour, state="clear"), now=datetime.now(UTC).replace(tzinfo=None))
    with made.visitor:
        yield made


@pytest.fixture(scope="module")
def cluster(lake):
    with open_publication(lake) as reader:
        return clusters_of(reader)[0]


# --- anomalies and days ----------------------------------------------------------------------------------------------


def test_every_day_is_shown_with_what_was_seen_and_expected(site, sql, cluster):
    columns = (
        ("dt", "dt"), ("avg_gpu_util", "avg_gpu_util"), ("expected_gpu_util", "expected_gpu_util"), ("expected_low", "x_pct"),
        ("expected_high", "x_pct"), ("p95_gpu_util", "p95_gpu_util"), ("allocated_gpu_util", "allocated_gpu_util"),
        ("avg_cpu_util", "avg_cpu_util"), ("coverage_ratio", "coverage_ratio"), ("judgement", "judgement"),
        ("anomaly_reason", "anomaly_reason"),
    )  # fmt: skip
    rows = sql("from gold_cluster_util_daily_scored order by dt desc")
    shown = table(site.get("/anomalies?days_rows=500").text, "days")
    assert [[text_of(kind, row[name], cluster) for name, kind in columns] for row in rows] == shown
    for judgement in ("anomaly", "not_judged", "normal"):
        part = table(site.get(f"/anomalies?judgement={judgement}&days_rows=500").text, "days")
        assert sum(row["judgement"] == judgement for row in rows) == len(part)
    assert site.get("/anomalies?judgement=odd").status_code == 400


def test_runs_jobs_and_detectors_are_those_of_the_lake(site, sql, cluster):
    page = site.get("/anomalies?machines_rows=500&jobs_rows=500&hours_rows=500").text
    for name, query in {
        "hours": "select count(*) as n from gold_anomaly_runs where machine_id is null",
        "machines": "select count(*) as n from gold_anomaly_runs where machine_id is not null",
        "jobs": "select count(*) as n from gold_job_anomalies where judgement = 'anomaly'",
        "detectors": "select count(*) as n from gold_detectors where cluster_id = 'pai2020'",
    }.items():
        assert sql(query)[0]["n"] == len(table(page, name)), name
    shown = {row["detector"] for row in sql("from gold_detectors where is_shown and level = 'cluster_day'")}
    assert any(f'<a href="#detectors">{name}</a>' in page for name in shown)


def test_a_day_shows_its_hours_jobs_users_and_machines(site, sql, cluster):
    (row,) = sql("select arg_max(dt, allocated_gpu_h) as dt from gold_capacity_daily")
    page = site.get(f"/days/{cluster.written(row['dt'])}?jobs_rows=500&users_rows=500&machines_rows=500").text
    for name, source, columns in (
        ("hours", "gold_cluster_util_hourly", ("hour_start_at", "avg_gpu_util", "allocated_gpu_util", "allocated_gpu_h", "coverage_ratio", "allocation_coverage_ratio")),
        ("jobs", "gold_job_efficiency_daily", ("job_id", "user_id", "job_status", "allocated_gpu_h", "idle_held_gpu_h", "efficiency_ratio", "allocation_coverage_ratio")),
        ("users", "gold_user_gpu_usage_daily", ("user_id", "allocated_gpu_h", "idle_held_gpu_h", "efficiency_ratio", "allocation_coverage_ratio", "failed_gpu_h", "jobs_submitted")),
        ("machines", "gold_machine_util_daily", ("machine_id", "pool", "gpu_count", "allocated_gpu_h", "idle_held_gpu_h", "gpu_util_per_gpu_pct", "cpu_util_pct", "coverage_ratio")),
    ):  # fmt: skip
        expected = [
            [text_of(column, each[column], cluster) for column in columns]
            for each in sql(f"from {source} where dt = ?", row["dt"])
        ]
        assert expected, name
        assert sorted(expected) == sorted(cells[: len(columns)] for cells in table(page, name)), name
    (costs,) = sql(
        "select sum(cost_usd) filter (where not is_idle) as held, sum(cost_usd) filter (where is_idle) as idle "
        "from gold_cost_daily where dt = ?",
        row["dt"],
    )
    for amount in costs.values():
        assert text_of("cost_usd", amount, cluster) in page


def test_the_days_lead_to_each_other_and_end(site, cluster):
    def ways(page):
        part = page[page.index('aria-label="Days"') :]
        return re.findall(r'href="(/days/\d+)" rel="(\w+)"', part[: part.index("</nav>")])

    first, last = int(cluster.written(cluster.first_day)), int(cluster.written(cluster.last_day))
    assert [(f"/days/{first + 1}", "next")] == ways(site.get(f"/days/{first}").text)
    assert [(f"/days/{last - 1}", "prev")] == ways(site.get(f"/days/{last}").text)
    for day, status in ((last + 1, 404), (first - 1, 404), ("monday", 400), ("9" * 40, 400)):
        assert site.get(f"/days/{day}").status_code == status


@pytest.mark.parametrize(
    ("days", "flagged", "unjudged", "said"),
    [
        (0, 0, 0, "No day of this range has a figure."),
        (9, 0, 9, "None of 9 days could be judged: too little was measured, or too little went before."),
        (9, 0, 0, "No day is unusual, of 9 days."),
        (9, 1, 2, "Day 3 is unusual, of 9 days; 2 could not be judged."),
        (9, 2, 0, "2 of 9 days are unusual, most of all day 3."),
    ],
)
def test_what_is_said_of_days(days, flagged, unjudged, said):
    row = {"days": days, "flagged_days": flagged, "not_judged_days": unjudged}
    assert sentences.days_sentence(row, strangest="day 3") == said


def test_what_is_said_of_a_day():
    row = {"judgement": "anomaly", "anomaly_reason": "it is low.", "anomaly_driver": "avg_gpu_util", "avg_gpu_util": 3.0,
           "expected_gpu_util": 20.0, "expected_low": 9.6, "expected_high": 31.0}  # fmt: skip
    said = "Day 3 is unusual: mean GPU use was 3.0 %, expected 20.0 % (10 to 31)."
    assert sentences.day_sentence("day 3", row) == said
    other = {**row, "anomaly_driver": "avg_cpu_util"}
    assert sentences.day_sentence("day 3", other) == "Day 3 is unusual: it is low."
    normal = "Day 3 was as usual: GPUs were in use for 3.0 % of what was measured."
    assert sentences.day_sentence("day 3", {**row, "judgement": "normal"}) == normal
    assert sentences.day_sentence("day 3", {**row, "judgement": "not_judged"}) == "Day 3 is not judged: it is low."
    assert sentences.day_sentence("day 3", None) == "Day 3: GPU use was not measured."


# --- alerts ----------------------------------------------------------------------------------------------------------


def test_open_incidents_come_most_urgent_first_on_two_pages(watched):
    page = main_of(watched.visitor.get("/alerts").text)
    places = [page.index(f"/alerts/{watched.id_of(name)}") for name in ("early", "late")]
    assert places == sorted(places)
    assert "over by now" in page[page.index('id="resolved"') :]
    assert "over by now" not in page[: page.index('id="resolved"')]
    (row,) = watched.sql(
        "select count(distinct group_id) filter (where severity = 'page') as pages from ops.main.gold_incidents where is_open"
    )
    assert re.search(rf"<h1>{row['pages']} needs? someone now", page)
    groups = watched.sql("select count(distinct group_id) as n from ops.main.gold_incidents where is_open")[0]["n"]
    said = re.search(r"<h1>(.*?)</h1>", page)[1]
    assert groups == sum(int(number) for number in re.findall(r"(\d+) (?:need|can)", said)), "each group counts once"
    fleet = main_of(watched.visitor.get("/").text)
    assert "What needs someone" in fleet
    assert f"/alerts/{watched.id_of('early')}" in fleet


def test_no_text_of_an_incident_becomes_markup(watched):
    for address in ("/", "/alerts", f"/alerts/{watched.id_of('early')}"):
        page = watched.visitor.get(address).text
        assert "<img" not in page
        assert "&lt;img src=x" in page
    big = watched.visitor.get(f"/alerts/{watched.id_of('big')}")
    assert big.status_code == 200
    assert len(big.content) < 300_000


def test_an_incident_tells_what_where_and_what_was_sent(watched):
    name = watched.id_of("early")
    page = main_of(watched.visitor.get(f"/alerts/{name}").text)
    (row,) = watched.sql("from ops.main.gold_incidents where incident_id = ?", name)
    assert f"{row['value']:.0f} C" in page
    assert f"{row['expected']:.0f} C" in page
    assert f"{row['gpu_h']} GPU-h" in page
    assert 'href="/machines/early?' in page
    events = watched.sql("from ops.main.gold_alert_events where incident_id = ? order by seq desc", name)
    assert [[str(each["seq"]), each["kind"]] for each in events] == [[row[0], row[2]] for row in table(page, "events")]
    sent = watched.sql("from ops.meta.notices where group_id = ?", row["group_id"])
    assert sent
    assert [(each["channel"], each["state"]) for each in sent] == [(row[1], row[3]) for row in table(page, "notices")]


@pytest.mark.parametrize("name", ["nope", "a/b?c", "'; drop table x; --", "%00", "x" * 3000, HOSTILE])
def test_an_incident_that_is_not_there(watched, name):
    answer = watched.visitor.get(f"/alerts/{quote(name, safe='')}")
    assert answer.status_code == 404
    assert "<img" not in answer.text


def test_what_is_asked_is_queued_and_then_done_by_the_next_writer(watched):
    """The whole way of an acknowledgement: the form, the inbox, the page, the writer, the page."""
    name = watched.id_of("late")
    back = f"/alerts/{name}"
    answer = watched.ask(do="acknowledge", incident_id=name, by="<b>ann</b>", note=HOSTILE, hours="8", back=back)
    assert (answer.status_code, answer.headers["location"]) == (303, back)
    page = main_of(watched.visitor.get(back).text)
    assert "acknowledge by <bdi>&lt;b&gt;ann&lt;/b&gt;</bdi>" in page
    assert "queued" in watched.visitor.get("/alerts").text
    assert watched.ask(do="silence", incident_id=name, by="ann", hours="8", back=back).status_code == 303
    assert 2 == len(inbox.read(watched.config.lake))

    assert main(["alerts", "send", "--lake", str(watched.config.lake)]) == 0

    page = main_of(watched.visitor.get(back).text)
    assert not inbox.read(watched.config.lake)
    assert "Queued" not in page
    assert "taken by &lt;b&gt;ann&lt;/b&gt;, silent until" in page
    assert {"acknowledge", "silence"} <= {row[2] for row in table(page, "events")}
    assert "<img" not in page
    with open_operations(watched.config.lake) as view:
        assert incidents.shown(view, name, config=watched.config).incident.acknowledged_by == "<b>ann</b>"


@pytest.mark.parametrize(
    "form",
    [{"do": "acknowledge", "by": ""}, {"do": "silence", "by": "ann", "hours": "0"}, {"do": "delete", "by": "ann"}],
)
def test_a_request_that_is_not_whole_is_refused(watched, form):
    assert watched.ask(incident_id=watched.id_of("early"), **form).status_code == 400
    assert not inbox.read(watched.config.lake)


@pytest.mark.parametrize(
    ("groups", "pages", "tickets", "said"),
    [
        (0, 0, 0, "Nothing needs anyone: no incident is open."),
        (3, 0, 0, "Nothing is urgent: 3 can wait until somebody has time."),
        (
            3,
            1,
            0,
            "1 needs someone now, 2 can wait until somebody has time; the first in the list has been so since day 3.",
        ),
        (2, 0, 2, "2 need someone this working day; the first in the list has been so since day 3."),
    ],
)
def test_what_is_said_of_open_incidents(groups, pages, tickets, said):
    found = {"open_groups": groups, "pages": pages, "tickets": tickets}
    assert sentences.alerts_sentence(found, oldest="day 3") == said


# --- data ------------------------------------------------------------------------------------------------------------


def test_what_landed_and_what_did_not(site, sql, cluster):
    page = main_of(site.get("/data?landings_rows=500&unavailable_rows=500").text)
    tables = sql("from gold_data_freshness where cluster_id = ?", CLUSTER)
    shown = {row[0]: row for row in table(page, "tables")}
    assert set(shown) == {row["table_name"] for row in tables}
    for row in tables:
        assert shown[row["table_name"]][4:7] == [f"{row[name]:,}" for name in ("rows_kept", "rows_refused", "landings")]
    assert f"{sum(row['rows_kept'] for row in tables):,} rows landed" in page
    landings = sql("from ops.meta.landings where cluster_id = ? order by landing_no desc", CLUSTER)
    assert [row["file_name"] for row in landings] == [row[3] for row in table(page, "landings")]
    assert f"{landings[0]['landed_at']:%Y-%m-%d %H:%M} UTC" == table(page, "landings")[0][1]
    empty = sql("from gold_availability where cluster_id = ? and not available", CLUSTER)
    assert sorted(row["column_name"] for row in empty) == sorted(row[1] for row in table(page, "unavailable"))
    left_out = sql("from gold_quarantine_daily where cluster_id = ?", CLUSTER)
    for name, amount in (("refused", "rows_refused"), ("implausible", "values_implausible")):
        expected = sorted([f"{row[amount]:,}", row["reason"]] for row in left_out if row[amount])
        assert expected == sorted(row[:2] for row in table(page, name))
