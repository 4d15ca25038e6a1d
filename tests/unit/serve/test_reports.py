"""Terminal reports beside the pages: the same sentences, the same figures, and both what SQL says by hand."""

from __future__ import annotations

import html
import re
import shlex
import subprocess
import sys
from urllib.parse import quote

import pytest

from gpulake.cli import main
from gpulake.telling.cells import width
from gpulake.telling.lines import COLUMNS
from gpulake.telling.reports import words

from .conftest import HOSTILE

TAGS = re.compile(r"<[^>]+>")
DAYS = ("8", "12")
SINCE, UNTIL = "1970-01-09", "1970-01-13"
RANGES = pytest.mark.parametrize("days", [None, DAYS], ids=["the whole window", "a few days"])


@pytest.fixture(scope="module")
def known():
    """What reports have said so far, by what was asked: nobody writes to the lake, so the same is not asked twice."""
    return {}


@pytest.fixture
def told(lake, capsys, known):
    """The lines of a report of the shared lake."""

    def run(*args, code=0):
        if args not in known:
            assert code == main(["report", "--lake", str(lake), *args])
            found = capsys.readouterr()
            known[args] = found.out if code == 0 else found.err
        return known[args]

    return run


@pytest.fixture
def as_json(lake, gpulake_json, known):
    """What a report of the shared lake says to machines, of its only cluster."""

    def run(*args):
        if (*args, "--json") not in known:
            code, found = gpulake_json("report", "--lake", lake, *args)
            assert (0, None) == (code, found["error"])
            (known[(*args, "--json")],) = found["clusters"]
        return known[(*args, "--json")]

    return run


@pytest.fixture(scope="module")
def someone(sql):
    """The user who let most sit idle, and the job of theirs that did."""
    (row,) = sql(
        "select user_id, job_id from gold_jobs where idle_held_gpu_h > 0 order by idle_held_gpu_h desc, job_id limit 1"
    )
    return row


def options(days):
    return ["--since", days[0], "--until", days[1]] if days else []


def sentence_of(text):
    """What a page begins with."""
    return " ".join(html.unescape(TAGS.sub("", re.search(r"<h1[^>]*>(.*?)</h1>", text, re.DOTALL)[1])).split())


@RANGES
@pytest.mark.parametrize("word", words())
def test_a_report_begins_with_the_sentence_of_its_page(word, days, told, as_json, site, someone):
    """Two people who look at the same thing say the same of it."""
    if word == "job" and days:
        pytest.skip("a job is told whole")
    name = {"job": someone["job_id"], "user": someone["user_id"]}.get(word)
    path = {"job": "/jobs/", "user": "/users/"}.get(word, "/" if word in {"fleet", "waste"} else f"/{word}")
    asked = {"since": days[0], "until": days[1]} if days else {}

    page = site.get(path + (quote(name, safe="") if name else ""), params=asked)
    args = [word, *([name] if name else []), *options(days)]
    said = " ".join(told(*args).split())

    assert sentence_of(page.text) == as_json(*args)["sentence"]
    assert sentence_of(page.text) in said


@RANGES
def test_where_hours_sit_idle_is_what_the_pages_show(days, told, site, sql):
    """Who reads a user's idle hours at the terminal and on the page must not find two numbers."""
    since, until = (SINCE, UNTIL) if days else ("1970-01-01", "1970-12-31")
    lines = told("waste", *options(days)).splitlines()
    page = site.get("/users", params={"since": days[0], "until": days[1]} if days else {}).text
    page = page[page.index('<section class="listing" id="users">') :]
    users = sql(
        "select user_id, sum(idle_held_gpu_h::decimal(28, 12))::double as idle from gold_user_gpu_usage_daily "
        "where dt between ? and ? and user_id is not null group by user_id having idle > 0 order by idle desc limit 8",
        since, until,
    )  # fmt: skip

    assert len(users) > 3
    for user in users:
        (line,) = [
            each
            for each in lines[: lines.index("Jobs that let most sit idle")]
            if each.startswith(f"{user['user_id']} ")
        ]
        (row,) = [each for each in page.split("<tr") if f">{user['user_id']}<" in each]
        cells = {heading.replace("\u2011", "-"): html.unescape(TAGS.sub("", re.search(r"<bdi>(.*?)</bdi>", cell, re.DOTALL)[1])).replace("< ", "<")
                 for heading, cell in re.findall(r'<td[^>]*data-name="([^"]*)"[^>]*>(.*?)</td>', row, re.DOTALL)}  # fmt: skip
        figures = re.sub(r"[▒ ]{2,}", "  ", line).replace("< ", "<").split()
        assert [cells["idle, GPU-h"], cells["held, GPU-h"], cells["in use, of measured, %"], cells["cost, USD"]] == [
            figures[1], figures[3], figures[4], figures[6],
        ]  # fmt: skip


@RANGES
def test_what_became_of_the_hours_adds_up_to_gold(days, as_json, sql):
    """Summed by hand over the same days."""
    since, until = (SINCE, UNTIL) if days else ("1970-01-01", "1970-12-31")
    (said,) = sql(
        "select sum(idle_held_gpu_h) as idle_held_gpu_h, sum(unknown_gpu_h) as unknown_gpu_h, sum(total_gpu_h) as total_gpu_h "
        "from gold_waste_daily where dt between ? and ?",
        since, until,
    )  # fmt: skip
    (money,) = sql(
        "select sum(cost_usd)::double as cost_usd from gold_cost_daily where dt between ? and ?", since, until
    )

    found = as_json("waste", *options(days))["told"]

    assert said == {name: pytest.approx(found["waste"][name]) for name in said}
    assert pytest.approx(money["cost_usd"]) == found["bill"]["cost_usd"]
    assert found == as_json("fleet", *options(days))["told"] | {
        name: found[name] for name in ("users", "jobs", "machines")
    }  # of these the fleet tells fewer


def test_a_job_is_its_row_of_gold(as_json, told, sql, someone):
    """Every figure of it can be asked for again."""
    (row,) = sql("select * from gold_jobs where job_id = ?", someone["job_id"])
    days = sql(
        "select dt, allocated_gpu_h from gold_job_efficiency_daily where job_id = ? order by dt", someone["job_id"]
    )
    (attempts,) = sql("select count(*) as n from silver_instances where job_id = ?", someone["job_id"])

    found = as_json("job", someone["job_id"])["told"]

    assert (row["allocated_gpu_h"], row["efficiency_low"], row["efficiency_high"]) == tuple(
        found["job"][name] for name in ("allocated_gpu_h", "efficiency_low", "efficiency_high")
    )
    assert [each["allocated_gpu_h"] for each in days] == [each["allocated_gpu_h"] for each in found["days"]]
    assert attempts["n"] == found["attempts_all"]
    text = told("job", someone["job_id"])
    assert f"measured     [{'█' * round(36 * row['allocation_coverage_ratio'])}" in text
    assert f"{100 * row['efficiency_ratio']:.1f} %  of measured" in text


@RANGES
def test_a_user_is_the_sum_of_days(days, as_json, sql, someone):
    """Over a range too; the place is among all users."""
    since, until = (SINCE, UNTIL) if days else ("1970-01-01", "1970-12-31")
    (said,) = sql(
        "select sum(allocated_gpu_h) as allocated_gpu_h, sum(idle_held_gpu_h) as idle_held_gpu_h, "
        "sum(jobs_submitted)::bigint as jobs_submitted from gold_user_gpu_usage_daily where user_id = ? and dt between ? and ?",
        someone["user_id"], since, until,
    )  # fmt: skip

    found = as_json("user", someone["user_id"], *options(days))["told"]

    assert {name: pytest.approx(found["user"][name]) for name in said} == said
    assert found["jobs"] == sorted(found["jobs"], key=lambda job: -(job["idle_held_gpu_h"] or 0))
    assert found == as_json("--user", someone["user_id"], *options(days))["told"]


def test_waits_are_those_of_gold(as_json, sql):
    """Jobs that never started are among them."""
    (row,) = sql("select * from gold_queue_wait where grouped_by = 'all'")
    sizes = sql(
        "select value, km_p90_s, jobs_never_started from gold_queue_wait where grouped_by = 'size_class' order by coalesce(value, '')"
    )

    found = as_json("queue")["told"]

    assert row == {**row, **{name: found["wait"][name] for name in row}}
    shown = sorted(found["sizes"], key=lambda each: each["value"] or "")
    assert sizes == [{name: each[name] for name in ("value", "km_p90_s", "jobs_never_started")} for each in shown]


def test_unusual_days_stand_with_what_was_expected(as_json, told, sql):
    """Each flagged day of gold, and no other."""
    days = sql("select dt, seen from gold_cluster_util_daily_scored where judgement = 'anomaly' order by dt")

    found = as_json("anomalies")["told"]

    assert [each["dt"].isoformat() for each in days] == sorted(each["dt"] for each in found["days"])
    assert len(days) == min(told("anomalies").count("▲ day"), len(days)) or len(days) > 8


@RANGES
@pytest.mark.parametrize("args", [["fleet"], ["waste"], ["queue"], ["anomalies"], *(["user", name] for name in HOSTILE)],
                         ids=lambda args: "-".join(args)[:12])  # fmt: skip
def test_every_line_fits_and_steers_nothing(args, days, told):
    """Whatever users are called."""
    text = told(*args[:1], *options(days), "--", *args[1:]) if args[1:] else told(*args, *options(days))

    assert {True} == {width(line) <= COLUMNS for line in text.splitlines()}
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u200b-\u200f\u202a-\u202e]", text)
    assert "Notes" in text or args == ["fleet"]


@pytest.mark.slow
def test_commands_that_are_told_can_be_typed(told, capsys, someone):
    """The next step of a report is a command that works."""
    seen = set()
    for args in (
        ["waste"],
        ["job", someone["job_id"]],
        ["user", someone["user_id"], "--since", "8"],
        ["queue"],
        ["anomalies"],
        ["fleet"],
    ):
        text = told(*args).replace("\\\n", " ")
        seen |= {
            command
            for command in re.findall(r"^    gpulake (.+)$", text, re.MULTILINE)
            if not command.startswith("serve")
        }

    assert len(seen) > 8
    for command in sorted(seen):
        assert 0 == main(shlex.split(command)), command
        capsys.readouterr()


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["wast"], "did you mean waste?"),
        (["job"], "gpulake report job ID"),
        (["job", "nobody knows"], "check its name"),
        (["queue", "x"], "takes no name"),
        (["job", "x", "--since", "8"], "leave them out"),
        (["waste", "--user", "x"], "gpulake report user NAME"),
        (["waste", "--since", "12", "--until", "8"], "turn them round"),
        (["waste", "--since", "noon"], "write one as 12"),
        (["waste", "--cluster", "pai"], "choose pai2020"),
        (["queue", "--user", "nobody knows"], "there is no user"),
        (["anomalies", "--user", "nobody knows"], "there is no user"),
        (["job", "x" * 100_000], "there is no job"),
        (["waste", "--png", "x.png"], "--png and --waterfall draw the fleet"),
    ],
    ids=lambda value: " ".join(value)[:30] if isinstance(value, list) else "",
)
def test_what_cannot_be_told_is_refused_with_a_way_on(args, said, told):
    """A wrong name is the commonest fault, and the next one must be right."""
    text = told(*args, code=2)

    assert said in text
    assert len(text) < 1_000


def test_a_wrong_name_is_answered_with_a_near_one(told, someone):
    """A letter that was lost on the way is found."""
    name = someone["user_id"]

    assert f"did you mean {name}" in told("user", name[:-1], code=2)
    assert someone["job_id"] in told("job", someone["job_id"][:-1] + "x", code=2)


def test_days_outside_the_data_are_said_to_be(told):
    """Nothing there would read as nothing used."""
    assert "This range is outside the data: days are known from day" in told(
        "waste", "--since", "900", "--until", "901"
    )
    assert "Part of this range is outside the data" in " ".join(told("waste", "--since", "8", "--until", "901").split())


def test_pages_are_written_into_one_file(told, tmp_path, someone):
    """The report can be sent to somebody without a terminal."""
    file = tmp_path / "deep" / "job.html"

    said = told("job", someone["job_id"], "--html", str(file))

    assert str(file) in said.replace("\n", "")
    assert someone["job_id"] in file.read_text(encoding="utf-8")


def test_a_job_is_told_without_the_libraries_of_pictures(lake, someone):
    """A second to wait is long at a terminal: nothing is loaded that draws, builds or serves."""
    script = (
        "import sys; from gpulake.cli import main; code = main(sys.argv[1:]); "
        "assert not {'fastapi', 'vl_convert', 'sklearn', 'polars', 'dbt', 'pyarrow.compute'} & set(sys.modules), sys.modules; sys.exit(code)"
    )
    found = subprocess.run(
        [sys.executable, "-c", script, "report", "job", someone["job_id"], "--lake", str(lake)], capture_output=True, text=True, check=False
    )  # fmt: skip

    assert (0, "") == (found.returncode, found.stderr)
    assert "\x1b" not in found.stdout
