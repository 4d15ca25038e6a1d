"""From the fleet to a machine by clicking: every figure on the way is the figure that SQL gives."""

from __future__ import annotations

import re

import pytest
from tests.browser.shown import compare, read, says

pytestmark = pytest.mark.browser

C = "pai2020"
DAY = "'day ' || date_diff('day', date '1970-01-01', {0})"
AT = "'day ' || date_diff('day', timestamp '1970-01-01', {0} + interval 8 hour) || strftime({0} + interval 8 hour, ' %H:%M')"


def day(column):
    return f"{DAY.format(column)} as {column}"


def at(column):
    return f"{AT.format(column)} as {column}"


def pct(above, below, name):
    return f"100 * sum({above}) / nullif(sum({below}), 0) as {name}"


def tiles_say(page, expected):
    """Every tile of the page, by its definition and words."""
    shown = {name: text for name, text, _ in read(page)["tiles"]}
    assert set(shown) == set(expected)
    wrong = {name: (text, expected[name]) for name, text in shown.items() if not says(text, expected[name])}
    assert not wrong
    return len(shown)


def sorted_first(rows, column, count):
    known = sorted((row for row in rows if row[column] is not None), key=lambda row: -float(row[column]))
    return known[:count]


IN_USE = ("active_gpu_h", "allocated_gpu_h - unknown_gpu_h")
MEASURED = ("allocated_gpu_h - unknown_gpu_h", "allocated_gpu_h")


def fleet(page, sql):
    (waste,) = sql("""
        select sum(capacity_gpu_h + over_allocated_gpu_h) as capacity, sum(unallocated_gpu_h) as free, sum(unknown_gpu_h) as unknown,
               sum(idle_held_gpu_h) as idle, sum(productive_gpu_h) as productive, sum(failed_active_gpu_h) as failed
        from gold_waste_daily where cluster_id = ?""", C)  # fmt: skip
    of_all = {name: 100 * waste[name] / waste["capacity"] for name in ("free", "unknown", "idle", "productive")}
    used = waste["productive"] + waste["failed"]
    (bill,) = sql("select sum(cost_usd) as usd from gold_cost_daily where cluster_id = ?", C)
    n = tiles_say(page, {
        "gold_cost_daily.cost_usd cost of the capacity that has a price": bill["usd"],
        "gold_waste_window.starts_at_gpu_h capacity": waste["capacity"],
        "gold_waste_window.unallocated_ratio held by nobody, or down": of_all["free"],
        "gold_waste_window.unknown_ratio held, use not measured": of_all["unknown"],
        "gold_waste_window.idle_held_ratio held and idle": of_all["idle"],
        "gold_waste_window.productive_ratio in use": of_all["productive"],
        "gold_waste_window.efficiency_ratio in use, of what was measured": 100 * used / (used + waste["idle"]),
    })  # fmt: skip
    users = sql(f"""
        select user_id, sum(idle_held_gpu_h) as idle, sum(allocated_gpu_h) as held,
               100 * sum(idle_held_gpu_h) / (select sum(idle_held_gpu_h) from gold_user_gpu_usage_daily where cluster_id = ?1) as share,
               {pct(*IN_USE, "used")}, {pct(*MEASURED, "measured")}, any_value(cost_usd) as cost
        from gold_user_gpu_usage_daily
        left join (select user_id, sum(cost_usd) as cost_usd from gold_user_cost_daily where cluster_id = ?1 group by 1)
            using (user_id)
        where cluster_id = ?1 and user_id is not null group by 1""", C)  # fmt: skip
    bills = "select pool, sum(cost_usd) as cost, sum(cost_usd) filter (is_idle) as free_cost from gold_cost_daily group by 1"
    pools = sql(f"""
        select any_value(cost) as cost, any_value(free_cost) as free_cost, pool, sum(capacity_gpu_h) as capacity, {pct("allocated_gpu_h", "capacity_gpu_h", "held_pct")},
               sum(allocated_gpu_h) as held, sum(idle_held_gpu_h) as idle, {pct(*IN_USE, "used")}
        from gold_capacity_daily left join ({bills}) using (pool) where cluster_id = ? group by pool""", C)  # fmt: skip
    jobs = sql(f"select *, 100 * efficiency_ratio as used, {AT.format('submitted_at')} as submitted from gold_jobs "
               "where cluster_id = ?", C)  # fmt: skip
    tables = read(page)["tables"]
    n += compare(tables["jobs"], jobs, key="job", where="fleet, jobs", columns={
        "job": "job_id", "user": "user_id", "status": "job_status", "GPUs": "gpu_request_count", "held, GPU-h": "allocated_gpu_h",
        "idle, GPU-h": "idle_held_gpu_h", "in use, of measured, %": "used", "waited": "wait_s", "ran": "run_s",
        "cost, USD": "cost_usd", "submitted, Asia/Shanghai": "submitted"})  # fmt: skip
    assert [row["job"] for row in tables["jobs"]] == [row["job_id"] for row in sorted_first(jobs, "idle_held_gpu_h", 5)]
    assert [row["user"] for row in tables["users"]] == [row["user_id"] for row in sorted_first(users, "idle", 10)]
    n += compare(tables["users"], users, key="user", where="fleet, users", columns={
        "user": "user_id", "idle, GPU-h": "idle", "of all idle, %": "share", "held, GPU-h": "held",
        "in use, of measured, %": "used", "measured, %": "measured", "cost, USD": "cost"})  # fmt: skip
    n += compare(tables["pools"], pools, key="GPU model", where="fleet, pools", columns={
        "GPU model": "pool", "capacity, GPU-h": "capacity", "held, %": "held_pct", "held, GPU-h": "held",
        "idle, GPU-h": "idle", "in use, of measured, %": "used", "cost, USD": "cost",
        "cost of what nobody held, USD": "free_cost"})  # fmt: skip
    assert set(tables) == {"users", "jobs", "pools"}
    return n + weeks(page, sql)


def weeks(page, sql):
    """The last seven days beside the seven before, and what changed: in percent, or in points where it is a share."""
    halves = sql(f"""
        with last as (select max(dt) as dt from gold_cluster_util_daily where cluster_id = ?1),
        held as (
            select (select dt from last) - dt < 7 as is_this, sum(allocated_gpu_h) as allocated_gpu_h,
                   sum(idle_held_gpu_h) as idle_held_gpu_h, sum(unknown_gpu_h) as unknown_gpu_h,
                   {pct(*IN_USE, "efficiency_ratio")}, {pct("allocated_gpu_h", "capacity_gpu_h", "allocated_ratio")}
            from gold_capacity_daily where cluster_id = ?1 and dt > (select dt from last) - 14 group by 1
        ),
        asked as (
            select (select dt from last) - dt < 7 as is_this, sum(jobs_submitted) as jobs_submitted,
                   100 * sum(jobs_failed) / sum(jobs_submitted) as failed_ratio_of_submitted
            from gold_user_gpu_usage_daily where cluster_id = ?1 and dt > (select dt from last) - 14 group by 1
        ),
        paid as (
            select (select dt from last) - dt < 7 as is_this, sum(cost_usd) as cost_usd
            from gold_cost_daily where cluster_id = ?1 and dt > (select dt from last) - 14 and not is_idle group by 1
        )
        select * from held join asked using (is_this) join paid using (is_this) order by is_this desc""", C)  # fmt: skip
    this, before = halves
    shown = page.evaluate("""() => [...document.querySelectorAll('#weeks tbody tr')].map(row =>
        [row.querySelector('a').getAttribute('href').split('?')[0].split('/').pop(), ...[...row.querySelectorAll('td.n')].map(each => each.textContent)])""")  # fmt: skip
    assert {row[0] for row in shown} == set(this) - {"is_this"}
    for name, now, then, change in shown:
        new, old = float(this[name]), float(before[name])
        number, unit = change.replace("\N{MINUS SIGN}", "-").lstrip("+").split(" ")
        moved = new - old if unit == "points" else 100 * (new / old - 1)
        assert unit == ("points" if "ratio" in name else "%")
        assert (says(now, new), says(then, old), says(number, moved)) == (True, True, True), (
            name,
            now,
            then,
            change,
            new,
            old,
        )
    return 3 * len(shown)


def anomalies(page, sql):
    tables = read(page)["tables"]
    days = sql(f"""
        select *, 100 * coverage_ratio as measured, {DAY.format("dt")} as day,
               case anomaly_driver when 'allocated_gpu_util' then expected_allocated_low when 'typical_job_gpu_util' then
                    expected_typical_low else expected_low end as low,
               case anomaly_driver when 'allocated_gpu_util' then expected_allocated_high when 'typical_job_gpu_util' then
                    expected_typical_high else expected_high end as high
        from gold_cluster_util_daily_scored where cluster_id = ?""", C)  # fmt: skip
    flagged = [row for row in days if row["judgement"] == "anomaly"]
    assert len(tables["flagged"]) == len(flagged) > 0
    n = compare(tables["flagged"], flagged, key="day", where="anomalies, flagged", columns={
        "day": "day", "why": "anomaly_reason", "seen, %": "seen", "expected, %": "expected", "at least, %": "low",
        "at most, %": "high", "measured, %": "measured", "score": "anomaly_score"})  # fmt: skip
    n += compare(tables["days"], days, key="day", where="anomalies, days", columns={
        "day": "day", "mean GPU use, %": "avg_gpu_util", "expected, %": "expected_gpu_util", "at least, %": "expected_low",
        "at most, %": "expected_high", "95th percentile, %": "p95_gpu_util", "use of held GPUs, %": "allocated_gpu_util",
        "CPU use, %": "avg_cpu_util", "measured, %": "measured", "judgement": "judgement", "why": "anomaly_reason"})  # fmt: skip
    runs = sql(f"select * exclude (dt, start_at, end_at), {day('dt')}, {at('start_at')}, {at('end_at')} "
               "from gold_anomaly_runs where cluster_id = ?", C)  # fmt: skip
    span = {"day": "dt", "from": "start_at", "to": "end_at", "hours, h": "hours", "score": "anomaly_score",
            "why": "anomaly_reason"}  # fmt: skip
    for name, key, columns in (
        ("machines", ("machine", "from"), {**span, "machine": "machine_id"}),
        ("hours", "from", span),
    ):
        found = [row for row in runs if (row["machine_id"] is None) == (name == "hours")]
        assert bool(tables[name]) == bool(found)
        if found:
            n += compare(tables[name], found, key=key, where=f"anomalies, {name}", columns=columns)
    jobs = sql(
        f"select * exclude (dt), {day('dt')} from gold_job_anomalies where cluster_id = ? and judgement = 'anomaly'", C
    )
    n += compare(tables["jobs"], jobs, key="job", where="anomalies, jobs", columns={
        "job": "job_id", "user": "user_id", "started": "dt", "held, GPU-h": "allocated_gpu_h", "score": "anomaly_score",
        "why": "anomaly_reason"})  # fmt: skip
    judges = sql("select * exclude (is_shown), case when is_shown then 'yes' else 'no' end as shown from gold_detectors "
                 "where cluster_id = ?", C)  # fmt: skip
    n += compare(tables["detectors"], judges, key=("detector", "judges"), where="anomalies, detectors", columns={
        "detector": "detector", "judges": "level", "shown": "shown", "scored": "scored_rows", "flagged": "flagged_rows",
        "not judged": "not_judged_rows", "false alarms to expect": "false_alarms", "what it sees": "note"})  # fmt: skip
    assert set(tables) == {"flagged", "days", "machines", "hours", "jobs", "detectors"}
    return n


def one_day(page, sql, number):
    of_day = f"where cluster_id = ? and dt = date '1970-01-01' + interval {int(number)} day"
    (row,) = sql(f"select * from gold_cluster_util_daily_scored {of_day}", C)
    shown = page.evaluate("""() => [...document.querySelectorAll('h2 + .wide tbody tr')].filter(row => !row.closest('.listing'))
        .map(row => [row.querySelector('a').getAttribute('href').split('?')[0].split('/').pop(),
                     ...[...row.querySelectorAll('td.n')].map(cell => (cell.querySelector('span') ?? cell).textContent.trim())])""")  # fmt: skip
    ranges = page.evaluate("""() => [...document.querySelectorAll('h2 + .wide tbody tr')].filter(row => !row.closest('.listing') && row.querySelector('.between'))
        .map(row => [row.querySelector('a').getAttribute('href').split('?')[0].split('/').pop(), ...row.querySelector('.between').textContent.split('–')])""")  # fmt: skip
    assert {name for name, *_ in ranges} == {"avg_gpu_util", "p95_gpu_util", "avg_cpu_util"}
    assert all(says(low, row[f"{name}_low"]) and says(high, row[f"{name}_high"]) for name, low, high in ranges)
    bands = {"avg_gpu_util": "expected_gpu_util expected_low expected_high",
             "allocated_gpu_util": "expected_allocated_gpu_util expected_allocated_low expected_allocated_high",
             "typical_job_gpu_util": "expected_typical_gpu_util expected_typical_low expected_typical_high"}  # fmt: skip
    n = 0
    for name, *cells in shown:
        wanted = [row[each] for each in (name, *bands.get(name, "").split())]
        assert all(says(text, value) for text, value in zip(cells, wanted, strict=False)), (name, cells, wanted)
        n += len(wanted)
    assert {name for name, *_ in shown} == {*bands, "p95_gpu_util", "avg_cpu_util"}
    (waste,) = sql(f"""
        select sum(capacity_gpu_h + over_allocated_gpu_h) as capacity, sum(unallocated_gpu_h) as free, sum(unknown_gpu_h) as unknown,
               sum(idle_held_gpu_h) as idle, sum(productive_gpu_h) as productive, sum(failed_active_gpu_h) as failed
        from gold_waste_daily {of_day}""", C)  # fmt: skip
    costs = {each["is_idle"]: each["usd"] for each in sql(
        f"select is_idle, sum(cost_usd) as usd from gold_cost_daily {of_day} group by 1", C)}  # fmt: skip
    n += tiles_say(page, {
        "gold_waste_window.starts_at_gpu_h capacity": waste["capacity"],
        "gold_waste_daily.unallocated_gpu_h held by nobody, or down": waste["free"],
        "gold_waste_daily.unknown_gpu_h held, use not measured": waste["unknown"],
        "gold_waste_daily.idle_held_gpu_h held and idle": waste["idle"],
        "gold_waste_daily.failed_active_gpu_h in use by jobs that failed": waste["failed"],
        "gold_waste_daily.productive_gpu_h in use otherwise": waste["productive"],
        "gold_cost_daily.cost_usd for what jobs held": costs[False],
        "gold_cost_daily.cost_usd for what nobody held": costs[True],
    })  # fmt: skip
    tables = read(page)["tables"]
    rates = "100 * efficiency_ratio as used, 100 * allocation_coverage_ratio as measured"
    jobs = sql(f"select *, {rates} from gold_job_efficiency_daily {of_day}", C)
    held = {"held, GPU-h": "allocated_gpu_h", "idle, GPU-h": "idle_held_gpu_h", "in use, of measured, %": "used",
            "measured, %": "measured"}  # fmt: skip
    assert all(
        says(cells["held, GPU-h"], row["allocated_gpu_h"])
        for cells, row in zip(tables["jobs"], sorted_first(jobs, "allocated_gpu_h", 10), strict=True)
    )
    n += compare(tables["jobs"], jobs, key="job", where="day, jobs",
                 columns={"job": "job_id", "user": "user_id", "status": "job_status", **held})  # fmt: skip
    users = sql(f"select *, {rates} from gold_user_gpu_usage_daily {of_day}", C)
    n += compare(tables["users"], users, key="user", where="day, users", columns={
        "user": "user_id", **held, "held by jobs that failed, GPU-h": "failed_gpu_h", "jobs submitted": "jobs_submitted"})  # fmt: skip
    machines = sql(f"select *, 100 * coverage_ratio as measured from gold_machine_util_daily {of_day}", C)
    n += compare(tables["machines"], machines, key="machine", where="day, machines", columns={
        "machine": "machine_id", "GPU model": "pool", "GPUs": "gpu_count", "held, GPU-h": "allocated_gpu_h",
        "idle, GPU-h": "idle_held_gpu_h", "GPU use, %": "gpu_util_per_gpu_pct", "CPU use, %": "cpu_util_pct",
        "measured, %": "measured"})  # fmt: skip
    hours = sql(f"""
        select hours.*, {AT.format("hours.hour_start_at")} as begins, 100 * coverage_ratio as of_all,
               100 * allocation_coverage_ratio as of_held, judgement, anomaly_reason
        from (select * from gold_cluster_util_hourly {of_day}) as hours
        left join (select hour_start_at, judgement, anomaly_reason from gold_cluster_hours_scored {of_day}) using (hour_start_at)
        """, C, C)  # fmt: skip
    assert len(tables["hours"]) == len(hours) == 24
    n += compare(tables["hours"], hours, key="from", where="day, hours", columns={
        "from": "begins", "mean GPU use, %": "avg_gpu_util", "use of held GPUs, %": "allocated_gpu_util",
        "held, GPU-h": "allocated_gpu_h", "measured, of all, %": "of_all", "measured, of held, %": "of_held",
        "judgement": "judgement", "why": "anomaly_reason"})  # fmt: skip
    pools = sql(f"select * from gold_capacity_daily {of_day}", C)
    n += compare(tables["pools"], pools, key="GPU model", where="day, pools", columns={
        "GPU model": "pool", "capacity, GPU-h": "capacity_gpu_h", "down, GPU-h": "down_gpu_h",
        "held by nobody, GPU-h": "unallocated_gpu_h", "held, not measured, GPU-h": "unknown_gpu_h",
        "held and idle, GPU-h": "idle_held_gpu_h", "in use, GPU-h": "active_gpu_h"})  # fmt: skip
    assert set(tables) == {"jobs", "users", "machines", "hours", "pools"}
    return n


BOUNDS = """100 * sum(active_gpu_h) / nullif(sum(allocated_gpu_h), 0) as low,
    100 * sum(active_gpu_h + unknown_gpu_h) / nullif(sum(allocated_gpu_h), 0) as high"""
SUMS = f"""sum(allocated_gpu_h) as held, sum(idle_held_gpu_h) as idle, sum(unknown_gpu_h) as unknown,
    sum(failed_gpu_h) as failed, sum(jobs_submitted) as jobs,
    100 * sum(jobs_failed) / nullif(sum(jobs_submitted), 0) as failed_pct, {BOUNDS}, {pct(*IN_USE, "used")}"""


def user(page, sql, name):
    (row,) = sql(f"select {SUMS} from gold_user_gpu_usage_daily where cluster_id = ? and user_id = ?", C, name)
    (cost,) = sql("select sum(cost_usd) as usd from gold_user_cost_daily where cluster_id = ? and user_id = ?", C, name)
    (wait,) = sql("select * from gold_queue_wait where cluster_id = ? and grouped_by = 'user' and value = ?", C, name)
    u, w = "gold_user_gpu_usage_daily", "gold_queue_wait"
    n = tiles_say(page, {
        f"{u}.allocated_gpu_h held": row["held"], f"{u}.idle_held_gpu_h of it idle": row["idle"],
        f"{u}.unknown_gpu_h of it not measured": row["unknown"], f"{u}.efficiency_ratio in use, of measured": row["used"],
        "gold_user_cost_daily.cost_usd cost": cost["usd"], f"{u}.jobs_submitted jobs submitted": row["jobs"],
        f"{u}.failed_ratio_of_submitted of them failed": row["failed_pct"],
        f"{w}.km_p50_s half of all start within": wait["km_p50_s"], f"{w}.km_p90_s 90 % of all": wait["km_p90_s"],
        f"{w}.wait_p50_s half of the started": wait["wait_p50_s"], f"{w}.wait_p90_s 90 % of the started": wait["wait_p90_s"],
        f"{w}.jobs_never_started never started": wait["jobs_never_started"],
    })  # fmt: skip
    beside = next(text for name, _, text in read(page)["tiles"] if name.startswith(f"{u}.efficiency_ratio"))
    low, high = re.search(r"between ([\d.]+) and ([\d.]+) % of all", beside).groups()
    assert says(low, row["low"])
    assert says(high, row["high"])
    tables = read(page)["tables"]
    jobs = sql(f"select *, 100 * efficiency_ratio as used, {AT.format('submitted_at')} as submitted from gold_jobs "
               "where cluster_id = ? and user_id = ?", C, name)  # fmt: skip
    n += compare(tables["jobs"], jobs, key="job", where="user, jobs", columns={
        "job": "job_id", "status": "job_status", "GPUs": "gpu_request_count", "held, GPU-h": "allocated_gpu_h",
        "idle, GPU-h": "idle_held_gpu_h", "in use, of measured, %": "used", "waited": "wait_s", "ran": "run_s",
        "cost, USD": "cost_usd", "submitted, Asia/Shanghai": "submitted"})  # fmt: skip
    assert tables["jobs"][0]["job"] == sorted_first(jobs, "idle_held_gpu_h", 1)[0]["job_id"]
    ranked = f"select dt, user_id, row_number() over (partition by dt order by allocated_gpu_h desc nulls last, user_id) as place from {u} where cluster_id = ?1 and user_id is not null"
    days = sql(f"""
        select {DAY.format("dt")} as day, any_value(place) as place, any_value(usd) as usd, {SUMS}
        from {u} left join ({ranked}) as ranked using (dt, user_id)
        left join (select dt, cost_usd as usd from gold_user_cost_daily where cluster_id = ?1 and user_id = ?2) using (dt)
        where cluster_id = ?1 and user_id = ?2 group by dt""", C, name)  # fmt: skip
    n += compare(tables["days"], days, key="day", where="user, days", columns={
        "day": "day", "place": "place", "held, GPU-h": "held", "idle, GPU-h": "idle", "not measured, GPU-h": "unknown",
        "in use, of measured, %": "used", "at least, %": "low", "at most, %": "high", "held by failed jobs, GPU-h": "failed",
        "jobs": "jobs", "of them failed, %": "failed_pct", "cost, USD": "usd"})  # fmt: skip
    assert set(tables) == {"jobs", "days"}
    return n


def job(page, sql, name):
    (row,) = sql(f"""
        select *, 100 * efficiency_ratio as used, 100 * efficiency_low as low, 100 * efficiency_high as high,
               100 * gpu_mem_ratio as memory, {AT.format("submitted_at")} as submitted, {AT.format("started_at")} as started,
               {AT.format("ended_at")} as ended
        from gold_jobs where cluster_id = ? and job_id = ?""", C, name)  # fmt: skip
    j = "gold_jobs"
    n = tiles_say(page, {
        f"{j}.allocated_gpu_h held": row["allocated_gpu_h"], f"{j}.idle_held_gpu_h of it idle": row["idle_held_gpu_h"],
        f"{j}.unknown_gpu_h of it not measured": row["unknown_gpu_h"], f"{j}.efficiency_ratio in use, of measured": row["used"],
        f"{j}.cost_usd cost": row["cost_usd"], f"{j}.wait_s waited": row["wait_s"], f"{j}.run_s ran": row["run_s"],
    })  # fmt: skip
    shown = read(page)
    facts = {words: re.sub(r"^(—) .*", r"\1", text) for words, text in shown["facts"]}
    wanted = {"submitted": "submitted", "started": "started", "ended": "ended", "GPUs asked for": "gpu_request_count",
              "GPUs used at most": "gpu_used_count_max", "GPU model": "gpu_model", "machines": "machines_used",
              "machines that would have done": "machines_needed", "held at a use of exactly 0": "zero_util_gpu_h",
              "GPU memory, mean": "gpu_mem_used_bytes_mean", "GPU memory, largest": "gpu_mem_used_bytes_max",
              "of the GPU's memory": "memory"}  # fmt: skip
    wrong = {
        words: (facts[words], row[column]) for words, column in wanted.items() if not says(facts[words], row[column])
    }
    assert not wrong
    days = sql(f"""
        select *, {DAY.format("dt")} as day, 100 * efficiency_ratio as used, 100 * efficiency_low as low,
               100 * efficiency_high as high from gold_job_efficiency_daily where cluster_id = ? and job_id = ?""", C, name)  # fmt: skip
    n += len(wanted) + compare(shown["tables"]["days"], days, key="day", where="job, days", columns={
        "day": "day", "held, GPU-h": "allocated_gpu_h", "in use, GPU-h": "active_gpu_h", "idle, GPU-h": "idle_held_gpu_h",
        "not measured, GPU-h": "unknown_gpu_h", "in use, of measured, %": "used", "at least, %": "low", "at most, %": "high"})  # fmt: skip
    assert len(shown["tables"]["days"]) == len(days)
    attempts = sql(f"""
        select *, {AT.format("started_at")} as started, {AT.format("ended_at")} as ended,
               instance_status || ' / ' || status_source as status
        from silver_instances where cluster_id = ? and job_id = ?""", C, name)  # fmt: skip
    n += compare(shown["tables"]["attempts"], attempts, key=("task", "attempt"), where="job, attempts", columns={
        "task": "task_id", "attempt": "attempt_id", "machine": "machine_id", "status": "status",
        "started, Asia/Shanghai": "started", "ended": "ended", "ran": "run_s"})  # fmt: skip
    like = sql("select * from gold_queue_wait where cluster_id = ?", C)
    words = {"all": "all jobs", "size_class": "as many GPUs", "gpu_model": "its GPU model", "user": "its user"}
    alike = [{**each, "alike": words[each["grouped_by"]]} for each in like if each["grouped_by"] in words]
    n += compare(shown["tables"]["like"], alike, key=("alike in", "that is"), where="job, like", columns={
        "alike in": "alike", "that is": "value", "jobs": "jobs_submitted", "half start within": "km_p50_s",
        "90 % within": "km_p90_s", "never started": "jobs_never_started"})  # fmt: skip
    costs = sql(
        f"select *, {DAY.format('dt')} as day from gold_cost_daily where cluster_id = ? and job_id = ?", C, name
    )
    n += compare(shown["tables"]["costs"], costs, key=("day", "pool"), where="job, costs", columns={
        "day": "day", "pool": "pool", "held, GPU-h": "allocated_gpu_h", "price of a GPU-h of capacity, USD": "usd_per_gpu_h",
        "kind of price": "price_label", "its share of the bill, USD": "cost_usd", "why there is none": "price_reason"})  # fmt: skip
    assert set(shown["tables"]) == {"days", "attempts", "costs", "like"}
    return n


def machine(page, sql, name):
    (row,) = sql("""
        select sum(gpu_pct_s) / sum(gpu_covered_s * gpu_count) as use, 100 * sum(gpu_covered_s) / sum(day_s) as observed,
               sum(allocated_gpu_h) as held, sum(idle_held_gpu_h) as idle, sum(unknown_gpu_h) as unknown,
               sum(cpu_pct_s) / sum(cpu_covered_s) as cpu
        from gold_machine_util_daily where cluster_id = ? and machine_id = ?""", C, name)  # fmt: skip
    (known,) = sql("select * from silver_machines where cluster_id = ? and machine_id = ? "
                   "order by valid_from desc nulls last limit 1", C, name)  # fmt: skip
    m = "gold_machine_util_daily"
    n = tiles_say(page, {
        f"{m}.gpu_util_per_gpu_pct GPU use, per GPU": row["use"], f"{m}.coverage_ratio observed": row["observed"],
        f"{m}.allocated_gpu_h held by jobs": row["held"], f"{m}.idle_held_gpu_h held and idle": row["idle"],
        f"{m}.unknown_gpu_h held, use not measured": row["unknown"], f"{m}.cpu_util_pct CPU use": row["cpu"],
    })  # fmt: skip
    shown = read(page)
    facts = dict(shown["facts"])
    assert facts["GPUs"] == f"{known['gpu_count']} × {known['gpu_model'] or known['gpu_model_source']}"
    assert says(facts["CPU cores"], known["cpu_cores"])
    assert says(facts["memory"], known["memory_bytes"])
    days = sql(f"select *, {DAY.format('dt')} as day, 100 * coverage_ratio as observed from {m} "
               "where cluster_id = ? and machine_id = ?", C, name)  # fmt: skip
    n += 3 + compare(shown["tables"]["days"], days, key="day", where="machine, days", columns={
        "day": "day", "GPU use, %": "gpu_util_per_gpu_pct", "observed, %": "observed", "CPU use, %": "cpu_util_pct",
        "held, GPU-h": "allocated_gpu_h", "held and idle, GPU-h": "idle_held_gpu_h",
        "held, not measured, GPU-h": "unknown_gpu_h", "job that held most": "main_job_id"})  # fmt: skip
    n += compare(shown["tables"]["load"], days, key="day", where="machine, load", columns={
        "day": "day", "memory in use": "memory_used_bytes", "memory there": "memory_total_bytes", "load": "load_1m",
        "received": "net_rx_bytes_per_s", "sent": "net_tx_bytes_per_s"})  # fmt: skip
    hours = sql(f"select *, {AT.format('hour_start_at')} as hour from gold_machine_anomalies where cluster_id = ? "
                "and machine_id = ? and judgement = 'anomaly'", C, name)  # fmt: skip
    assert bool(shown["tables"]["flagged"]) == bool(hours)
    if hours:
        n += compare(shown["tables"]["flagged"], hours, key="hour", where="machine, flagged", columns={
            "hour": "hour", "figure": "anomaly_driver", "hours in a row": "hours_in_a_row", "why": "anomaly_reason"})  # fmt: skip
    assert set(shown["tables"]) == {"days", "flagged", "load"}
    return n


def test_from_the_fleet_to_a_machine_every_figure_is_what_sql_says(tab, sql):
    """One walk by clicks alone: each page leads on to the next, and no figure on the way is of another build or rounded wrongly."""
    page = tab()
    page.visit("/")
    n = {"fleet": fleet(page, sql)}
    page.click("nav[aria-label=Pages] >> text=Anomalies")
    n["anomalies"] = anomalies(page, sql)
    page.click("#flagged tbody tr:first-child td:first-child a")
    page.wait_for_url("**/days/*")
    n["day"] = one_day(page, sql, page.url.rpartition("/")[2])
    page.click("#users tbody tr:first-child td:first-child a")
    page.wait_for_url("**/users/*")
    n["user"] = user(page, sql, page.url.rpartition("/")[2])
    page.click("#jobs tbody tr:first-child td:first-child a")
    page.wait_for_url("**/jobs/*")
    n["job"] = job(page, sql, page.url.rpartition("/")[2])
    page.click("#attempts tbody a[href^='/machines/']")
    page.wait_for_url("**/machines/*")
    n["machine"] = machine(page, sql, page.url.rpartition("/")[2])
    print(n)
    assert all(count > 20 for count in n.values()), n
