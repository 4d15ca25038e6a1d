"""Three readers, each with a question: answered in at most four clicks from the front page, by figures that are SQL's."""

from __future__ import annotations

import json
import re

import pytest
from tests.browser.shown import read, says
from tests.browser.walker import settled

pytestmark = pytest.mark.browser

C = "pai2020"
MOST_CLICKS = 4


class Reader:
    """Who opens the front page and clicks; typing is free, every press of the mouse counts."""

    def __init__(self, page):
        self.page, self.clicks = page, 0
        page.visit("/")

    def click(self, selector):
        self.clicks += 1
        assert self.clicks <= MOST_CLICKS
        self.page.click(selector)
        self.page.wait_for_load_state()
        settled(self.page)

    def tile(self, words):
        """The figure of the tile whose words begin so."""
        return next(text for name, text, _ in read(self.page)["tiles"] if name.split(" ", 1)[1].startswith(words))


@pytest.fixture
def reader(tab):
    return Reader(tab())


def test_on_call_what_is_wrong_now_since_when_and_whose_jobs(reader, sql):
    """At night: the first line says it; one click to the incident, one to whom it concerns."""
    needs = reader.page.locator(".needs li")
    incidents = {row["title"]: row for row in sql(
        "select *, 'day ' || date_diff('day', date '1970-01-01', coalesce(since, opened_at) + interval 8 hour) as since_day "
        "from ops.main.gold_incidents where is_open and cluster_id = ?", C)}  # fmt: skip
    title = needs.first.locator("b").text_content()
    row = incidents[title]
    assert row["since_day"] in needs.first.text_content()
    reader.click(".needs li:first-child a")
    facts = dict(read(reader.page)["facts"])
    assert facts["state"] == "open"
    assert facts["since"].startswith(row["since_day"])
    assert says(facts["it concerns"], row["gpu_h"])
    key = dict(json.loads(row["key_json"]))
    assert facts["user"] == key["user_id"]
    reader.click("main dd a[href^='/users/']")
    (jobs,) = sql("select count(*) as n from gold_jobs where cluster_id = ? and user_id = ?", C, key["user_id"])
    assert f"{jobs['n']:,}" in reader.page.text_content("#jobs h2")
    reader.click("#jobs tbody a")
    assert key["user_id"] in reader.page.text_content("main .over"), "and this is one of them"
    assert reader.clicks == 3


def test_manager_where_did_last_months_money_go_and_what_do_i_change(reader, sql):
    """One click for the days, one for the money, one for whoever could give most of it back."""
    reader.click("text=last 30 days")
    (days,) = sql("select max(dt) - 29 as first, max(dt) as last from gold_cluster_util_daily where cluster_id = ?", C)
    span = (C, days["first"], days["last"])
    reader.click("nav[aria-label=Pages] >> text=Cost")
    (bill,) = sql("select sum(cost_usd) as all_usd, sum(cost_usd) filter (where is_idle) as free_usd from gold_cost_daily "
                  "where cluster_id = ? and dt between ? and ?", *span)  # fmt: skip
    money, share = re.search(
        r"cost ([\d,]+) USD; (\d+) % of it paid for GPUs that nobody held", read(reader.page)["sentence"]
    ).groups()
    assert says(money, bill["all_usd"])
    assert says(share, 100 * bill["free_usd"] / bill["all_usd"])
    pools = {row["GPU model"]: row for row in read(reader.page)["tables"]["pools"]}
    for row in sql("select pool, sum(cost_usd) as usd, sum(cost_usd) filter (where is_idle) as free from gold_cost_daily "
                   "where cluster_id = ? and dt between ? and ? group by 1", *span):  # fmt: skip
        assert says(pools[row["pool"]]["cost, USD"], row["usd"])
        assert says(pools[row["pool"]]["of it held by nobody, USD"], row["free"])
    dearest = sql("select user_id, sum(cost_usd) as usd from gold_user_cost_daily where cluster_id = ? and dt between ? and ? "
                  "and user_id is not null group by 1 order by 2 desc nulls last limit 1", *span)[0]  # fmt: skip
    shown = read(reader.page)["tables"]["users"][0]
    assert (shown["user"], says(shown["cost, USD"], dearest["usd"])) == (dearest["user_id"], True)
    reader.click("#users tbody a")
    (use,) = sql("select sum(idle_held_gpu_h) as idle, sum(jobs_failed) / sum(jobs_submitted) * 100 as failed from "
                 "gold_user_gpu_usage_daily where cluster_id = ? and dt between ? and ? and user_id = ?", *span, dearest["user_id"])  # fmt: skip
    assert says(reader.tile("of it idle"), use["idle"]), "this is what to change"
    assert says(reader.tile("of them failed"), use["failed"])
    assert says(reader.tile("cost"), dearest["usd"])
    assert reader.clicks == 3


def test_researcher_why_did_my_job_wait_and_is_it_using_its_gpus(reader, sql):
    """Who knows the name of a job types it; three clicks later its wait stands beside that of jobs like it."""
    (job,) = sql("select * from gold_jobs where cluster_id = ? and wait_s > 600 and efficiency_ratio is not null "
                 "and gpu_model is not null order by wait_s desc, job_id limit 1", C)  # fmt: skip
    reader.click("nav[aria-label=Pages] >> text=Jobs")
    reader.page.fill("input[name=job]", job["job_id"])
    reader.click("form.filter button")
    reader.click("#jobs tbody a")
    assert says(reader.tile("waited"), job["wait_s"])
    assert says(reader.tile("in use, of measured"), 100 * job["efficiency_ratio"])
    assert says(reader.tile("of it idle"), job["idle_held_gpu_h"])
    wait = reader.page.text_content("h2:text('Its wait') + p")
    (like,) = sql(
        "select * from gold_queue_wait where cluster_id = ? and grouped_by = 'size_class' and value = ?",
        C,
        job["size_class"],
    )
    assert job["wait_s"] > like["km_p90_s"]
    most = re.search(r"longer than nine of ten jobs that ask for as many GPUs: those start within ([^.]+)\.", wait)[1]
    assert says(most, like["km_p90_s"])
    (then,) = sql("select capacity_gpu_h, unallocated_gpu_h from gold_capacity_hourly where cluster_id = ? and pool = ? "
                  "and hour_start_at = date_trunc('hour', ?::timestamp)", C, job["gpu_model"], job["submitted_at"])  # fmt: skip
    free, capacity = re.search(r"nobody held ([\d.,]+) GPU-h of the ([\d.,]+) GPU-h of", wait).groups()
    assert says(free, then["unallocated_gpu_h"])
    assert says(capacity, then["capacity_gpu_h"])
    assert reader.clicks == 3
