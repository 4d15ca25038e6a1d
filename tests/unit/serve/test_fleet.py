"""The first page: what it sets side by side is what the lake says, and only what is whole is compared."""

from __future__ import annotations

import json
import re
from datetime import date, timedelta

import pytest

from gpulake.serve import incidents


def section(text, name):
    found = re.search(rf'id="{name}".*?</(?:section|figure)>', text, re.DOTALL)
    return found and found[0]


def cells(text):
    return [re.sub(r"<.*?>", "", cell).strip() for cell in re.findall(r"<td.*?>(.*?)</td>", text, re.DOTALL)]


@pytest.fixture(scope="module")
def window(sql):
    (row,) = sql("select first_day, last_day from gold_cluster_util_window where cluster_id = 'pai2020'")
    return (row["first_day"].toordinal() - 719163, row["last_day"].toordinal() - 719163)


def test_week_on_week_shows_the_sums_of_its_days(site, sql):
    days = sql("select dt, sum(allocated_gpu_h) as held, sum(idle_held_gpu_h) as idle from gold_capacity_daily "
               "where cluster_id = 'pai2020' group by dt order by dt")  # fmt: skip
    this, before = days[-7:], days[-14:-7]
    held, held_before = sum(day["held"] for day in this), sum(day["held"] for day in before)
    shown = cells(section(site.get("/").text, "weeks"))

    at = shown.index("held, GPU\N{NON-BREAKING HYPHEN}h")
    assert [f"{held:,.0f}", f"{held_before:,.0f}"] == shown[at + 1 : at + 3]
    assert f"{100 * (held / held_before - 1):+.1f} %".replace("-", "\N{MINUS SIGN}") == shown[at + 3]
    at = shown.index("held and idle, GPU\N{NON-BREAKING HYPHEN}h")
    assert f"{sum(day['idle'] for day in this):,.0f}" == shown[at + 1]


@pytest.mark.parametrize(("back", "has_weeks"), [(13, True), (12, False), (0, False)])
def test_less_than_two_weeks_are_not_compared(site, window, back, has_weeks):
    """Six days beside seven would look like a loss; a range that ends after the last day ends with it."""
    page = site.get("/", params={"since": window[1] - back, "until": window[1] + 30}).text
    assert bool(section(page, "weeks")) == has_weeks


def test_the_week_by_hours_is_drawn_where_each_has_come_twice(site, window):
    assert section(site.get("/").text, "hours_of_week")
    assert not section(site.get("/", params={"since": window[1] - 12}).text, "hours_of_week")


def test_the_stack_marks_unusual_days_and_incidents(site, sql):
    """What was flagged and what somebody was told stands on the day of it."""
    flagged = {row["dt"].toordinal() - 719163 for row in sql(
        "select dt from gold_cluster_util_daily_scored where cluster_id = 'pai2020' and judgement = 'anomaly'")}  # fmt: skip
    groups = sql("select count(distinct group_id) as n from ops.main.gold_incidents where cluster_id = 'pai2020'")[0][
        "n"
    ]
    figure = section(site.get("/").text, "parts")
    data = json.loads(re.search(r'<script type="application/json">(.*?)</script>', figure, re.DOTALL)[1])
    if not flagged and not groups:
        assert "marks" not in data["rows"]
        return
    marks = data["rows"]["marks"]
    kinds = marks["kind"] if isinstance(marks["kind"], list) else [marks["kind"]["of"][i] for i in marks["kind"]["at"]]
    at = marks["at"] if isinstance(marks["at"], list) else [marks["at"]["of"][i] for i in marks["at"]["at"]]
    assert flagged == {ms // 86_400_000 for ms, kind in zip(at, kinds, strict=True) if kind == "flagged"}
    assert ({"urgent", "noted"} & set(kinds)) or not groups


def test_an_incident_is_marked_at_the_hour_of_its_own_zone(sql):
    """Where clocks stand half an hour beside UTC the steps of a picture begin at half past."""
    zone = "Asia/Kolkata"
    found = sql(incidents._BEGUN, "pai2020", zone, zone, zone, date(1970, 1, 1), date(2100, 1, 1), 1000)
    begun = {row["since"] for row in sql("select since from ops.main.gold_incidents where cluster_id = 'pai2020'")}
    assert found
    for row in found:
        assert row["hour_start_at"].minute == 30
        assert any(timedelta(0) <= since - row["hour_start_at"] < timedelta(hours=1) for since in begun)


def test_the_heat_map_has_the_machines_of_its_page(site, sql):
    """In their order; who turns the page sees others."""
    shown = []
    for page in (1, 2):
        text = site.get(f"/machines?machines_rows=2&machines_page={page}").text
        data = json.loads(re.search(r'<script type="application/json">(.*?)</script>', text, re.DOTALL)[1])
        drawn = json.dumps(data["rows"])
        names = re.findall(r'<a href="/machines/(\w+)', text)
        machines = [row["machine_id"] for row in sql("select distinct machine_id from gold_machine_util_daily")]
        assert {name for name in machines if f'"{name}' in drawn} <= set(names)
        shown += [name for name in machines if f'"{name}' in drawn]
    assert len(shown) == len(set(shown)) > 1
