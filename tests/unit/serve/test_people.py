"""Jobs, users, groups and the queue: what their pages show is what SQL says, whatever things are called."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from urllib.parse import quote

import pytest

from gpulake.lake import open_publication
from gpulake.reading.scope import clusters_of
from gpulake.serve.markup import kept_together
from gpulake.serve.things import LONGEST_ADDRESS
from gpulake.telling.figures import text_of, unit_of
from gpulake.telling.sentences import (
    job_advice,
    job_sentence,
    queue_sentence,
    user_sentence,
    users_sentence,
    wait_sentence,
)

TAGS = re.compile(r"<[^>]+>")


@pytest.fixture(scope="module")
def get(site):
    """Asks for a page."""
    return site.get


@pytest.fixture(scope="module")
def cluster(lake):
    """The cluster of the lake."""
    with open_publication(lake) as reader:
        (found,) = clusters_of(reader)
    return found


def table(text, name):
    """A listing's cells by the words of their headings, without bars and notes; one dictionary a row."""
    part = text[text.index(f'<section class="listing" id="{name}">') :]
    part = part[: part.index("</section>")]
    rows = []
    for row in part.split("<tr")[2:]:
        cells = re.findall(r'<td[^>]*data-name="([^"]*)"[^>]*>(.*?)</td>', row, re.DOTALL)
        assert len({words for words, _ in cells}) == len(cells), "two columns share a heading"
        rows.append(
            {html.unescape(words).replace("\N{NON-BREAKING HYPHEN}", "-"): html.unescape(TAGS.sub("", re.search(r"<bdi>(.*?)</bdi>", cell, re.DOTALL)[1]))
             for words, cell in cells}
        )  # fmt: skip
    return rows


def tiles(text):
    """The tiles by the column that each leads to; what stands in them."""
    found = {}
    for tile in re.findall(r"<li[^>]*>\s*<b>(.*?)</li>", text, re.DOTALL):
        column = re.search(r'href="/definition/(\w+)/(\w+)["?]', tile)
        found[column[1], column[2]] = html.unescape(re.sub(r"\s+", " ", TAGS.sub("", tile.split("</b>")[0]))).strip()
    return found


def same(shown, row, cluster, columns):
    """Whether cells are the row's values as they are written; `columns` by heading."""
    assert shown == {**shown, **{words: text_of(name, row[name], cluster) for words, name in columns.items()}}


JOBS = {"job": "job_id", "user": "user_id", "status": "job_status", "held, GPU-h": "allocated_gpu_h",
        "idle, GPU-h": "idle_held_gpu_h", "in use, of measured, %": "efficiency_ratio", "waited": "wait_s", "ran": "run_s",
        "cost, USD": "cost_usd"}  # fmt: skip


def test_jobs_stand_by_their_idle_gpu_hours_as_gold_has_them(get, sql, cluster):
    text = get("/jobs?jobs_rows=40").text
    said = sql("""
        select * from gold_jobs order by idle_held_gpu_h desc nulls last, job_id, user_id, job_status,
        gpu_request_count, allocated_gpu_h limit 40
    """)
    shown = table(text, "jobs")
    assert len(shown) == 40
    for cells, row in zip(shown, said, strict=True):
        same(cells, row, cluster, JOBS)
    (jobs,) = sql("select count(*) as n from gold_jobs")
    assert f"{jobs['n']:,} jobs" in text


def test_what_is_not_known_of_a_job_is_a_dash_and_never_a_zero(get, sql):
    (job,) = sql("select job_id from gold_jobs where allocated_gpu_h is null order by job_id limit 1")
    shown = table(get(f"/jobs?job={job['job_id']}").text, "jobs")
    assert [(row["held, GPU-h"], row["idle, GPU-h"], row["cost, USD"]) for row in shown] == [("—", "—", "—")]


@pytest.mark.parametrize(
    ("asked", "column"), [("status", "job_status"), ("model", "gpu_model"), ("size", "size_class"), ("user", "user_id")]
)
def test_a_filter_keeps_the_jobs_that_are_so_and_no_others(get, sql, asked, column):
    for row in sql(
        f"select {column} as value, count(*) as n from gold_jobs where {column} is not null group by 1 order by n limit 3"
    ):
        text = get(f"/jobs?{asked}={quote(row['value'], safe='')}").text
        assert f'Jobs <span class="count">{row["n"]:,}</span>' in text
        if asked != "user":
            assert f"<option selected>{html.escape(row['value'])}</option>" in text


def test_filters_and_days_go_together(get, sql, cluster):
    (row,) = sql("select submitted_day as dt, user_id from gold_jobs where submitted_day is not null "
                 "group by all order by count(*) desc, dt, user_id limit 1")  # fmt: skip
    (n,) = sql("select count(*) as n from gold_jobs where submitted_day = ? and user_id = ? and job_status = 'failed'",
               row["dt"], row["user_id"])  # fmt: skip
    day = cluster.written(row["dt"])
    text = get(f"/jobs?since={day}&until={day}&user={row['user_id']}&status=failed").text
    assert (f'Jobs <span class="count">{n["n"]:,}</span>' in text) == (n["n"] > 0)
    assert "nothing else does" in text


def test_nothing_found_says_what_to_do(get):
    text = get("/jobs?user=nobody&status=failed").text
    assert "No job is like that" in text
    assert "Take a condition away" in text


def test_run_times_and_waits_are_those_of_the_group_that_is_asked_for(get, sql, cluster):
    (row,) = sql("select value from gold_runtime_distribution where grouped_by = 'user' group by 1 "
                 "order by sum(jobs) desc limit 1")  # fmt: skip
    for address, grouped_by, value in (("/jobs", "all", "all"), (f"/jobs?user={row['value']}", "user", row["value"])):
        text = get(address).text
        said = sql("select * from gold_runtime_distribution where grouped_by = ? and value = ? order by jobs desc, "
                   "job_status", grouped_by, value)  # fmt: skip
        shown = table(text, "run")
        for cells, each in zip(shown, said, strict=True):
            same(cells, each, cluster, {"status": "job_status", "jobs": "jobs", "of them unknown": "jobs_without_run_s",
                                        "5 % within": "run_p05_s", "half": "run_p50_s", "95 %": "run_p95_s",
                                        "longest": "run_max_s"})  # fmt: skip
        assert [row["of them unknown"] for row in shown] == [f"{row['jobs_without_run_s']:,}" for row in said], (
            "a count"
        )
        (wait,) = sql("select * from gold_queue_wait where grouped_by = ? and value = ?", grouped_by, value)
        shown = tiles(text)
        for column in ("jobs_submitted", "jobs_never_started", "km_p50_s", "km_p90_s", "km_p99_s"):
            assert shown["gold_queue_wait", column] == text_of(column, wait[column], cluster)


FIGURES = ("allocated_gpu_h", "idle_held_gpu_h", "unknown_gpu_h", "efficiency_ratio", "cost_usd", "wait_s", "run_s")


@pytest.mark.parametrize(
    "which",
    [
        "idle_held_gpu_h > 0 order by idle_held_gpu_h desc",
        "gpu_h_reason is not null order by allocated_gpu_h desc nulls last",
        "gpu_h_reason is not null and allocated_gpu_h is null",
        "job_status = 'waiting'",
        "size_class = 'cpu'",
        "cost_reason is not null and gpu_h_reason is null and allocated_gpu_h > 0",
    ],
)
def test_a_job_shows_its_row_of_gold(get, sql, cluster, which):
    (job,) = sql(f"select * from gold_jobs where {which} limit 1")
    text = get(f"/jobs/{quote(job['job_id'], safe='')}").text
    shown = tiles(text)
    for column in FIGURES:
        assert shown["gold_jobs", column].split(" ")[0] == text_of(column, job[column], cluster).split(" ")[0], column
    plain = html.unescape(re.sub(r"\s+", " ", TAGS.sub("", text)))
    assert job_sentence(job) in plain
    for reason in (job["gpu_h_reason"], job["cost_reason"]):
        assert reason is None or reason in plain
    for advice in job_advice(job):
        assert advice in plain
    for name in (
        "submitted_at",
        "started_at",
        "ended_at",
        "gpu_request_count",
        "machines_used",
        "gpu_mem_used_bytes_max",
    ):
        fact = re.search(rf'/gold_jobs/{name}[^"]*">[^<]*</a></dt><dd>(.*?)</dd>', text, re.DOTALL)[1]
        assert fact.startswith(html.escape(text_of(name, job[name], cluster)))


def test_a_jobs_days_costs_and_attempts_are_all_that_there_are(get, sql, cluster):
    (job,) = sql("select job_id from gold_job_efficiency_daily group by 1 order by count(*) desc, 1 limit 1")
    text = get(f"/jobs/{job['job_id']}?attempts_rows=500").text
    days = sql("select * from gold_job_efficiency_daily where job_id = ? order by dt", job["job_id"])
    for cells, row in zip(table(text, "days"), days, strict=True):
        same(cells, row, cluster, {"day": "dt", "held, GPU-h": "allocated_gpu_h", "in use, GPU-h": "active_gpu_h",
                                   "idle, GPU-h": "idle_held_gpu_h", "not measured, GPU-h": "unknown_gpu_h",
                                   "at least, %": "efficiency_low", "at most, %": "efficiency_high"})  # fmt: skip
    costs = sql("select * from gold_cost_daily where job_id = ? order by dt, pool", job["job_id"])
    for cells, row in zip(table(text, "costs"), costs, strict=True):
        same(cells, row, cluster, {"day": "dt", "pool": "pool", "held, GPU-h": "allocated_gpu_h",
                                   "kind of price": "price_label", "why there is none": "price_reason"})  # fmt: skip
    attempts = sql("select * from silver_instances where job_id = ?", job["job_id"])
    shown = table(text, "attempts")
    assert sorted(row["machine"] for row in shown) == sorted(
        text_of("m", row["machine_id"], cluster) for row in attempts
    )
    for machine in {row["machine_id"] for row in attempts} - {None}:
        assert f'href="/machines/{machine}"' in text


def test_an_unusual_job_says_why(get, sql):
    for flag in sql("select * from gold_job_anomalies where judgement = 'anomaly' limit 1"):
        assert flag["anomaly_reason"] in html.unescape(get(f"/jobs/{flag['job_id']}").text)


USERS = {"user": "user_id", "held, GPU-h": "allocated_gpu_h", "idle, GPU-h": "idle_held_gpu_h",
         "not measured, GPU-h": "unknown_gpu_h", "in use, of measured, %": "efficiency_ratio",
         "at least, %": "efficiency_low", "at most, %": "efficiency_high", "held by failed jobs, GPU-h": "failed_gpu_h",
         "jobs": "jobs_submitted", "of them failed, %": "failed_ratio_of_submitted", "cost, USD": "cost_usd",
         "half start within": "km_p50_s"}  # fmt: skip
SUMS = """
    with held as (
        select user_id, sum(allocated_gpu_h) as allocated_gpu_h, sum(active_gpu_h) as active_gpu_h,
               sum(idle_held_gpu_h) as idle_held_gpu_h, sum(unknown_gpu_h) as unknown_gpu_h, sum(failed_gpu_h) as failed_gpu_h,
               sum(jobs_submitted)::bigint as jobs_submitted, sum(jobs_failed)::bigint as jobs_failed
        from gold_user_gpu_usage_daily where dt between ? and ? group by user_id
    ),
    costs as (select user_id, sum(cost_usd) as cost_usd from gold_user_cost_daily where dt between ? and ? group by 1)
    select *, active_gpu_h / nullif(allocated_gpu_h - unknown_gpu_h, 0) as efficiency_ratio,
           active_gpu_h / nullif(allocated_gpu_h, 0) as efficiency_low,
           (active_gpu_h + unknown_gpu_h) / nullif(allocated_gpu_h, 0) as efficiency_high,
           jobs_failed / nullif(jobs_submitted, 0) as failed_ratio_of_submitted
    from held left join costs using (user_id)
    left join (select value as user_id, km_p50_s from gold_queue_wait where grouped_by = 'user') using (user_id)
"""


@pytest.fixture(scope="module")
def ranges(sql, cluster):
    """The whole window and a part of it."""
    days = sql("select distinct dt from gold_user_gpu_usage_daily order by dt")
    return [(cluster.first_day, cluster.last_day, ""), (days[2]["dt"], days[6]["dt"],
            f"since={cluster.written(days[2]['dt'])}&until={cluster.written(days[6]['dt'])}")]  # fmt: skip


@pytest.mark.parametrize("part", [0, 1], ids=["window", "range"])
def test_users_are_sums_over_the_days_and_ratios_of_sums(get, sql, cluster, ranges, part):
    since, until, query = ranges[part]
    said = {text_of("user_id", row["user_id"], cluster): row for row in sql(SUMS, since, until, since, until)}
    shown = table(get(f"/users?users_rows=500&{query}").text, "users")
    assert sorted(row["user"] for row in shown) == sorted(said)
    for cells in shown:
        same(cells, said[cells["user"]], cluster, USERS)
    held = sorted((row for row in said.values() if row["allocated_gpu_h"]), key=lambda row: -row["allocated_gpu_h"])
    places = {row["user"]: row["place"] for row in shown}
    assert [places[row["user_id"]] for row in held] == [f"{place:,}" for place in range(1, len(held) + 1)]


@pytest.mark.parametrize("part", [0, 1], ids=["window", "range"])
def test_a_user_shows_the_same_sums_and_each_day(get, sql, cluster, ranges, part):
    since, until, query = ranges[part]
    row = max(sql(SUMS, since, until, since, until), key=lambda row: row["allocated_gpu_h"] or 0)
    text = get(f"/users/{row['user_id']}?days_rows=500&{query}").text
    shown = tiles(text)
    for column in (
        "allocated_gpu_h",
        "idle_held_gpu_h",
        "unknown_gpu_h",
        "efficiency_ratio",
        "jobs_submitted",
    ):
        assert shown["gold_user_gpu_usage_daily", column].split(" ")[0] == text_of(column, row[column], cluster)
    assert shown["gold_user_cost_daily", "cost_usd"].split(" ")[0] == text_of("cost_usd", row["cost_usd"], cluster)
    assert f"{row['jobs_failed']:,} of {row['jobs_submitted']:,}" in text, "a rate stands with what it is a rate of"
    assert f"failed jobs held {text_of('failed_gpu_h', row['failed_gpu_h'], cluster)} GPU-h" in text
    days = sql(
        "select * from gold_user_gpu_usage_daily where user_id = ? and dt between ? and ? order by dt desc",
        row["user_id"], since, until,
    )  # fmt: skip
    for cells, day in zip(table(text, "days"), days, strict=True):
        same(cells, day, cluster, {"day": "dt", "place": "rank", "held, GPU-h": "allocated_gpu_h",
                                   "jobs": "jobs_submitted", "of them failed, %": "failed_ratio_of_submitted"})  # fmt: skip
    (wait,) = sql("select * from gold_queue_wait where grouped_by = 'user' and value = ?", row["user_id"])
    assert shown["gold_queue_wait", "km_p90_s"] == text_of("km_p90_s", wait["km_p90_s"], cluster)


WAITS = {"jobs": "jobs_submitted", "never started": "jobs_never_started", "half of started": "wait_p50_s",
         "half of all": "km_p50_s", "90 % of started": "wait_p90_s", "90 % of all": "km_p90_s",
         "99 % of started": "wait_p99_s", "99 % of all": "km_p99_s"}  # fmt: skip


def test_the_queue_shows_naive_waits_beside_those_with_the_never_started(get, sql, cluster):
    text = get("/queue?user_rows=500&days_rows=500").text
    for name, heading in (("size_class", "GPUs"), ("gpu_model", "GPU model"), ("user", "user")):
        said = {text_of("value", row["value"], cluster): row
                for row in sql("select * from gold_queue_wait where grouped_by = ?", name)}  # fmt: skip
        shown = table(text, name)
        assert sorted(row[heading] for row in shown) == sorted(said)
        for cells in shown:
            same(cells, said[cells[heading]], cluster, WAITS)
    days = sql("select * from gold_queue_wait_daily where grouped_by = 'all' and dt between ? and ? order by dt desc",
               cluster.first_day, cluster.last_day)  # fmt: skip
    for cells, row in zip(table(text, "days"), days, strict=True):
        same(cells, row, cluster, {"day": "dt", **WAITS})
    (wait,) = sql("select * from gold_queue_wait where grouped_by = 'all'")
    assert queue_sentence(wait) in TAGS.sub("", text)
    for column in (
        "jobs_with_wait",
        "jobs_started_before_submission",
        "jobs_perhaps_started",
        "jobs_without_submission",
    ):
        assert f'<dt>{wait[column]:,}</dt><dd><a class="def" href="/definition/gold_queue_wait/{column}">' in text


def test_the_queue_of_one_day_is_that_days(get, sql, cluster):
    (row,) = sql(
        "select * from gold_queue_wait_daily where grouped_by = 'all' order by jobs_submitted desc, dt limit 1"
    )
    day = cluster.written(row["dt"])
    text = get(f"/queue?since={day}&until={day}").text
    shown = tiles(text)
    for column in ("jobs_submitted", "km_p90_s", "wait_p90_s", "jobs_never_started", "jobs_waiting_at_window_end"):
        assert shown["gold_queue_wait_daily", column] == text_of(column, row[column], cluster)
    said = sql("select value from gold_queue_wait_daily where grouped_by = 'size_class' and dt = ?", row["dt"])
    assert len(table(text, "size_class")) == len(said)


def test_groups_that_a_source_does_not_name_are_not_recorded_with_its_reason(get, sql):
    text = html.unescape(get("/groups").text)
    assert "not recorded" in text
    for row in sql("select reason from gold_availability where table_name = 'gold_group_gpu_usage_daily' and column_name "
                   "in ('group_id', 'queue') and not available"):  # fmt: skip
        assert row["reason"] in text


def test_a_user_of_any_name_has_a_page_and_a_list_of_jobs(get, sql):
    """The lake has users whose names are markup, SQL, an address, and text that runs the other way."""
    odd = sql("""
        select user_id as name, count(*) as jobs, min(job_id) as job_id from gold_jobs
        where not regexp_full_match(user_id, '[0-9a-zA-Z]+') group by 1
    """)
    assert len(odd) > 2
    users = get("/users?users_rows=500").text
    for row in odd:
        address = f"/users/{quote(row['name'], safe='')}"
        assert address in users
        answer = get(address)
        assert answer.status_code == 200
        assert row["name"] not in answer.text or html.escape(row["name"]) == row["name"], "markup of a name is text"
        link = next(each for each in re.findall(r'href="([^"]*)"', answer.text) if each.startswith("/jobs?"))
        assert f'Jobs <span class="count">{row["jobs"]:,}</span>' in get(html.unescape(link)).text
        assert address in get(f"/jobs/{row['job_id']}").text


@pytest.mark.parametrize("kind", ["jobs", "users"])
@pytest.mark.parametrize(
    "name",
    [
        "nothing",
        '<script>alert("y")</script>',
        "two\nlines",
        "\n",
        "'; drop table gold_jobs; --",
        "..",
        "a" * 3000,
        "\N{RIGHT-TO-LEFT OVERRIDE}",
    ],
    ids=lambda name: ascii(name[:12]),
)
def test_what_is_not_there_is_not_found_and_said_plainly(get, kind, name):
    answer = get(f"/{kind}/{quote(name, safe='').replace('.', '%2E')}")
    assert answer.status_code == 404
    assert f"has no {kind[:-1]}" in answer.text or name == ".."
    assert "<script>alert" not in answer.text


def test_a_slip_is_told_the_nearest_name(get, sql):
    (job,) = sql("select max(job_id) as job_id from gold_jobs")
    assert "did you mean" in get(f"/jobs/{job['job_id']}x").text


@pytest.mark.parametrize(("path", "name"), [("/jobs", "jobs"), ("/users", "users"), ("/queue", "days")])
def test_days_outside_the_data_are_empty_and_no_fault(get, path, name):
    answer = get(f"{path}?since=5000&until=5001")
    assert answer.status_code == 200
    part = answer.text.split(f'<section class="listing" id="{name}">')[1].split("</section>")[0]
    assert '<p class="empty">' in part
    assert "<tbody>" not in part


def test_a_name_too_long_for_an_address_has_no_link(lake, cluster):
    from gpulake.serve.look import Look
    from gpulake.serve.things import url_of

    with open_publication(lake) as reader:
        look = Look(reader, clusters=(cluster,), path="/users", asked={"since": "6"})
        assert url_of(look, "users", "é" * LONGEST_ADDRESS) is None
        assert url_of(look, "users", "x" * 1_000_000) is None
        assert url_of(look, "users", None) is None
        assert url_of(look, "users", "a/b?c\n") == "/users/a%2Fb%3Fc%0A?since=6"


JOB = {"job_status": "succeeded", "run_s": 3720.0, "wait_s": 61.0, "allocated_gpu_h": 8.25, "gpu_h_reason": None,
       "efficiency_ratio": 0.125, "gpu_request_count": 8.0, "gpu_used_count_max": 1.0, "machines_used": 4,
       "machines_needed": 1, "gpu_mem_ratio": 0.05}  # fmt: skip


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, ("This job held 8.2 GPU-h; of what was measured, 12 % was in use. "
              "It succeeded after 1 h 02 min, having waited 1 min 01 s.")),
        ({"allocated_gpu_h": None, "run_s": None, "wait_s": None, "job_status": "failed"},
         "What this job held is not known. It failed."),
        ({"allocated_gpu_h": 0.0, "job_status": "waiting", "wait_s": None},
         "This job held no GPU. It was waiting when last heard of: it has not started."),
        ({"gpu_h_reason": "one lacks an end", "efficiency_ratio": None, "job_status": "running", "wait_s": None},
         ("This job held 8.2 GPU-h as far as is known; whether it used them, was not measured. "
          "It was running when last heard of.")),
    ],
)  # fmt: skip
def test_a_job_in_words(given, said):
    assert said == job_sentence(JOB | given)


def test_advice_is_for_what_its_owner_can_change():
    assert job_advice(JOB) == (
        "It asked for 8 GPUs and used at most 1 GPU: ask for fewer, or look for what kept the others waiting.",
        "It sat on 4 machines where one would have held it: GPUs talk faster when packed.",
    )
    good = JOB | {"gpu_used_count_max": 4.0, "machines_needed": 3, "gpu_mem_ratio": 0.25}
    assert job_advice(good) == ()
    unknown = dict.fromkeys(JOB) | {"job_status": "unknown"}
    assert job_advice(unknown) == ()
    assert job_sentence(unknown) == "What this job held is not known. How it ended is not known."


def test_users_and_waits_in_words():
    most = {"user_id": "a", "allocated_gpu_h": 10.0, "allocated_share_ratio": 0.5, "idle_held_gpu_h": 1.0}
    idlest = most | {"user_id": "b", "idle_held_share_ratio": 0.75}
    assert users_sentence(1, None, None) == "1 user; none is known to have held a GPU."
    assert users_sentence(0, None, None) == "No user is recorded here."
    assert users_sentence(3, most, idlest) == "3 users; one held 50 % of what was held, another 75 % of what sat idle."
    assert user_sentence(None, None) == "This user held no GPU and submitted no job in these days."
    user = {"allocated_gpu_h": 10.0, "rank": 22, "efficiency_ratio": None, "jobs_submitted": 4, "jobs_failed": 1,
            "failed_ratio_of_submitted": 0.25}  # fmt: skip
    assert user_sentence(user, None) == "This user held 10.0 GPU-h, the 22nd most of all users. Of 4 jobs 25 % failed."
    wait = {"jobs_submitted": 10, "jobs_with_wait": 6, "jobs_never_started": 4, "km_p50_s": 30.0, "km_p90_s": None}
    assert queue_sentence(wait) == (
        "Half of the jobs start within 30 s; nine of ten never did while anybody looked. 4 jobs never started, and count."
    )
    assert queue_sentence(None) == "No job was submitted here."


def test_a_price_is_in_money_and_never_rounded_to_a_tenth(cluster):
    assert unit_of("usd_per_gpu_h").words == "USD"
    assert [text_of("usd_per_gpu_h", value, cluster) for value in (2.48, 0.4, 0.034, None)] == [
        "2.48",
        "0.40",
        "0.034",
        "—",
    ]


def test_no_figure_of_a_sentence_is_parted_from_its_unit():
    said = kept_together("76 % of 504,024 GPU-h <b>, after 38 h 47 min; 5 %s")
    assert str(said) == (
        '<span class="figure">76 %</span> of <span class="figure">504,024 GPU-h</span> &lt;b&gt;, after '
        '<span class="figure">38 h 47 min</span>; 5 %s'
    )


LIKE = {"km_p50_s": 8.0, "km_p90_s": 95.0}
FREE = {"pool": "T4", "capacity_gpu_h": 120.0, "unallocated_gpu_h": 30.0}


@pytest.mark.parametrize(
    ("waited", "like", "free", "said"),
    [
        (None, LIKE, FREE, ""),
        (7, LIKE, None, "It waited 7 s, as half of the jobs that ask for as many GPUs do: those start within 8 s."),
        (9, LIKE, None, "It waited 9 s, longer than half of the jobs that ask for as many GPUs (8 s); nine of ten start within 1 min 35 s."),
        (96, LIKE, None, "It waited 1 min 36 s, longer than nine of ten jobs that ask for as many GPUs: those start within 1 min 35 s."),
        (96, {"km_p50_s": 8.0, "km_p90_s": None}, FREE,
         "It waited 1 min 36 s. In the hour of its submission nobody held 30.0 GPU-h of the 120 GPU-h of T4."),
        (96, None, {**FREE, "unallocated_gpu_h": None}, "It waited 1 min 36 s."),
    ],
)  # fmt: skip
def test_what_is_said_of_a_wait(waited, like, free, said):
    assert wait_sentence({"wait_s": waited}, like=like, free=free) == said


def test_the_last_days_are_a_link_where_there_are_more(get, sql, cluster):
    (days,) = sql("select max(dt) - min(dt) + 1 as n, max(dt) as last from gold_cluster_util_daily")
    assert 7 < days["n"] <= 30
    week = f"since={cluster.written(days['last'] - timedelta(days=6))}&amp;until={cluster.written(days['last'])}"
    text = get("/cost?users_sort=cost_usd").text
    assert f'<a href="/cost?users_sort=cost_usd&amp;{week}">last 7 days</a>' in text
    assert "last 30 days" not in text
    assert "last 7 days" not in get(f"/cost?{html.unescape(week)}").text
