"""Who held GPUs, how long jobs waited and how many failed: against an oracle that reads the files only, and by hand."""

from __future__ import annotations

import csv
import gzip
import math
import random
import sys
from collections import Counter, defaultdict
from datetime import date
from fractions import Fraction
from pathlib import Path

import pai2020 as oracle
import polars as pl
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "spec"))

from tiny_lake import Case, TinyLake

from gpulake import pipeline
from gpulake.config import Config
from gpulake.dbt import warehouse
from gpulake.lake import open_publication

ROOT = Path(__file__).parents[2]
DAY_S, HOUR_S = 86_400, 3_600
MGPU_S_PER_GPU_H = 3_600_000
BUILT = (
    "silver_job_cohorts", "silver_owner_days", "gold_user_gpu_usage_daily", "gold_group_gpu_usage_daily",
    "gold_queue_wait_daily", "gold_queue_wait", "gold_failures_daily", "gold_failures", "gold_runtime_distribution",
)  # fmt: skip


def mgpu_s(gpu_h):
    """GPU-hours as the whole number that they were divided from."""
    return round(gpu_h * MGPU_S_PER_GPU_H)


# ------------------------------------------------------------------------------------------ a simulated PAI


class Compared:
    def __init__(self, folder):
        self.trace = oracle.read(folder / "trace")
        self.ledger = oracle.account(self.trace)
        self.folder, self.lake = folder, folder / "lake"
        with_tasks = {job for job, _ in self.trace.tasks}
        assert with_tasks >= self.ledger.jobs.keys(), "the oracle calls a job without a task a CPU job"
        self.jobs = list(self.ledger.jobs.values())

    def rows(self, query):
        with open_publication(self.lake) as publication:
            return publication.sql(query).to_pylist()

    def true_mgpu_s(self):
        """What jobs really held, by (group, whether the job failed)."""
        held = defaultdict(int)
        truth = pl.read_parquet(self.folder / "trace" / "truth" / "jobs.parquet")
        for name, amount in truth.select("job_name", "allocated_mgpu_s").iter_rows():
            job = self.ledger.jobs[name]
            for group in groups_of(job):
                held[group, job.status in oracle.FAILED] += amount
        return held


@pytest.fixture(scope="module")
def small(simulated):
    folder, _ = simulated
    return Compared(folder)


def groups_of(job):
    """The (grouped_by, value) pairs of a job, by the oracle's own words."""
    cpu = job.size_class == "cpu"
    model = oracle.GPU_MODELS.get(job.gpu_type, job.gpu_type)
    return [
        ("all", "all"),
        ("needs_gpu", "cpu" if cpu else "gpu"),
        ("gpu_model", "cpu" if cpu else model),
        ("size_class", job.size_class),
        ("user", job.user),
    ]


def by_group(function, ledger, *, daily):
    """What the oracle says of every group, one way of grouping after the other."""
    found = {}
    for place in range(5):

        def key(job, place=place):
            return (*((job.submitted_day,) if daily else ()), *groups_of(job)[place])

        found |= function(ledger, key)
    return found


def same(expected, found):
    if expected is None or found is None:
        return expected is None and found is None
    return math.isclose(float(expected), found, rel_tol=1e-12, abs_tol=1e-9)


@pytest.mark.parametrize("daily", [True, False], ids=["daily", "whole"])
def test_waits_are_the_oracles(small, daily):
    """A wait that leaves out whoever gave up makes a full cluster look quick."""
    table = "gold_queue_wait_daily" if daily else "gold_queue_wait"
    rows = small.rows(f"from {table}")
    expected = by_group(oracle.waits, small.ledger, daily=daily)
    found = {((row["dt"],) if daily else ()) + (row["grouped_by"], row["value"]): row for row in rows}
    known = {key for key, row in found.items() if row["jobs_submitted"] > row.get("jobs_without_submission", 0)}

    assert expected.keys() == known
    for key, waits in expected.items():
        row = found[key]
        assert len(waits.started) == row["jobs_with_wait"], key
        assert waits.unknown <= row["jobs_start_unknown"], key
        assert len(waits.censored) == row["jobs_censored"], key
        for name in ("p50", "p90", "p99", "mean"):
            assert same(waits.naive[name], row[f"wait_{name}_s"]), (key, name)
        for name in ("p50", "p90", "p99"):
            assert same(waits.kaplan_meier[name], row[f"km_{name}_s"]), (key, name)
        if daily:
            assert len(waits.started) + waits.unknown + len(waits.censored) == row["jobs_submitted"], key
            assert waits.unknown == row["jobs_start_unknown"], key


@pytest.mark.parametrize("daily", [True, False], ids=["daily", "whole"])
def test_failures_are_the_oracles(small, daily):
    """Each job in one cohort, with its final status and all that it held."""
    table = "gold_failures_daily" if daily else "gold_failures"
    rows = small.rows(f"from {table}")
    expected = by_group(oracle.cohorts, small.ledger, daily=daily)
    if daily:
        expected = {key: cohort for key, cohort in expected.items() if key[0] is not None}
    found = {((row["dt"],) if daily else ()) + (row["grouped_by"], row["value"]): row for row in rows}

    assert expected.keys() == found.keys()
    for key, cohort in expected.items():
        row = found[key]
        assert cohort.submitted == row["jobs_submitted"], key
        assert (cohort.failed, cohort.succeeded, cohort.unfinished, cohort.statuses["preempted"]) == (
            row["jobs_failed"], row["jobs_succeeded"], row["jobs_unfinished"], row["jobs_preempted"],
        ), key  # fmt: skip
        assert (cohort.allocated, cohort.failed_allocated) == (
            mgpu_s(row["allocated_gpu_h"]), mgpu_s(row["failed_gpu_h"]),
        ), key  # fmt: skip
        assert same(cohort.failed_ratio, row["failed_ratio_of_submitted"]), key
        assert same(cohort.failed_gpu_ratio, row["failed_gpu_h_ratio"]), key
        assert (cohort.unbounded, cohort.failed_unbounded) == (
            row["unbounded_spans"], row["failed_unbounded_spans"],
        ), key  # fmt: skip


def test_failed_hours_are_within_bounds_that_hold_what_is_hidden(small):
    """A ratio that leaves out most failed work, and does not say so, is an all-clear that nobody gave."""
    limits = by_group(oracle.unbounded_limits, small.ledger, daily=False)
    truth = small.true_mgpu_s()
    for row in small.rows("from gold_failures"):
        group = row["grouped_by"], row["value"]
        failed, other = limits.get(group, (0, 0))
        unknown = mgpu_s(row["status_unknown_gpu_h"])
        held, of_failed = mgpu_s(row["allocated_gpu_h"]), mgpu_s(row["failed_gpu_h"])
        high, rest = of_failed + unknown + failed, held - of_failed + other

        assert (high, rest) == (mgpu_s(row["failed_gpu_h_high"]), mgpu_s(row["other_gpu_h_high"])), group
        for part, whole, column in (
            (of_failed, of_failed + rest, "failed_gpu_h_ratio_low"),
            (high, high + held - of_failed - unknown, "failed_gpu_h_ratio_high"),
        ):
            assert same(Fraction(part, whole) if whole else None, row[column]), (group, column)
        true_failed, true_other = truth[group, True], truth[group, False]
        assert of_failed <= true_failed <= high, group
        if true_failed + true_other:
            true_ratio = true_failed / (true_failed + true_other)
            # A bound of nothing by nothing is not known.
            low, upper = row["failed_gpu_h_ratio_low"], row["failed_gpu_h_ratio_high"]
            assert low is None or low <= true_ratio, group
            assert upper is None or true_ratio <= upper, group
    assert oracle.running_limits(small.ledger) == {
        (row["pool"], row["dt"]): mgpu_s(row["unbounded_running_gpu_h"])
        for row in small.rows("from gold_capacity_daily where pool <> 'unknown machine'")
    }
    (waste,) = small.rows("from gold_waste_window")
    assert limits["all", "all"][0] == mgpu_s(waste["failed_unbounded_gpu_h_high"])
    assert (
        sum(job.unbounded_spans for job in small.jobs),
        sum(job.unbounded_spans for job in small.jobs if job.status in oracle.FAILED),
    ) == (waste["unbounded_spans"], waste["failed_unbounded_spans"])


def test_started_jobs_are_those_that_were_placed(small):
    (row,) = small.rows("select * from gold_failures where grouped_by = 'all'")
    placed = [job for job in small.jobs if job.placed]
    failed = [job for job in placed if job.status in oracle.FAILED]

    assert len(placed) == row["jobs_started"]
    assert same(Fraction(len(failed), len(placed)), row["failed_ratio_of_started"])
    assert sum(job.submitted is None for job in small.jobs) == row["jobs_without_submission"]


def test_users_days_are_the_oracles(small):
    """GPU-hours by the day they were held on, counts by the day of submission, both on one row."""
    rows = small.rows("from gold_user_gpu_usage_daily")
    found = {(row["user_id"], row["dt"]): row for row in rows}
    cohorts = {key: cohort for key, cohort in oracle.user_cohorts(small.ledger).items() if key[1] is not None}

    unbounded = oracle.unbounded_by_user(small.ledger)

    assert small.ledger.user_days.keys() | cohorts.keys() | unbounded.keys() == found.keys()
    assert len(rows) == len(found)
    for key, row in found.items():
        held, cohort = small.ledger.user_days.get(key, oracle.Amounts()), cohorts.get(key, oracle.Cohort())
        for name in ("allocated", "active", "idle_held", "unknown", "over_use", "zero_util"):
            assert getattr(held, name) == mgpu_s(row[f"{name}_gpu_h"]), (key, name)
        bounds = (held.active, held.active + held.unknown, held.allocated - held.unknown)
        for part, name in zip(bounds, ("efficiency_low", "efficiency_high", "allocation_coverage_ratio"), strict=True):
            assert same(Fraction(part, held.allocated) if held.allocated else None, row[name]), (key, name)
        assert (cohort.submitted, cohort.failed, cohort.succeeded, cohort.unfinished) == (
            row["jobs_submitted"], row["jobs_failed"], row["jobs_succeeded"], row["jobs_unfinished"],
        ), key  # fmt: skip
        assert same(cohort.failed_ratio, row["failed_ratio_of_submitted"]), key
        assert unbounded.get(key, (0, 0)) == (row["unbounded_spans"], row["failed_unbounded_spans"]), key


def test_the_days_failed_hours_are_the_oracles(small):
    """Σ users = the day; and there is one row for all that is not recorded, not one per null."""
    totals = defaultdict(Counter)
    for row in small.rows("select dt, allocated_gpu_h, failed_gpu_h from gold_user_gpu_usage_daily"):
        totals[row["dt"]].update(allocated=mgpu_s(row["allocated_gpu_h"]), failed=mgpu_s(row["failed_gpu_h"] or 0))
    found = {dt: (total["allocated"], total["failed"]) for dt, total in totals.items() if total["allocated"]}
    assert oracle.failed_by_day(small.ledger) == found

    spans = small.rows(
        "select sum(unbounded_spans)::bigint as n, sum(failed_unbounded_spans)::bigint as failed from gold_group_gpu_usage_daily"
    )
    known = oracle.unbounded_by_user(small.ledger).values()
    assert [{"n": sum(spans for spans, _ in known), "failed": sum(failed for _, failed in known)}] == spans

    groups = small.rows("select dt, group_id, queue, allocated_gpu_h, rank from gold_group_gpu_usage_daily")
    assert {(dt, None, None) for dt in totals} == {(row["dt"], row["group_id"], row["queue"]) for row in groups}
    assert found == {
        row["dt"]: (mgpu_s(row["allocated_gpu_h"]), found[row["dt"]][1]) for row in groups if row["dt"] in found
    }
    assert {None} == {row["rank"] for row in groups}, "what is not recorded has no place"


def test_the_rank_is_by_what_was_held(small):
    ranked = defaultdict(list)
    for row in small.rows(
        "select dt, user_id, allocated_gpu_h, rank from gold_user_gpu_usage_daily where user_id is not null"
    ):
        ranked[row["dt"]].append((-row["allocated_gpu_h"], row["user_id"], row["rank"]))
    for day in ranked.values():
        assert list(range(1, len(day) + 1)) == [rank for _, _, rank in sorted(day)]


def test_run_times_are_the_oracles(small):
    """By final status: what failed after a minute must not shorten what succeeded after a day."""
    rows = small.rows("from gold_runtime_distribution where grouped_by = 'gpu_model'")

    def key(job):
        return (groups_of(job)[2][1], job.status)

    expected = oracle.run_times(small.ledger, key)
    jobs = Counter(map(key, small.jobs))
    assert jobs == {(row["value"], row["job_status"]): row["jobs"] for row in rows}
    for row in rows:
        summary = expected.get((row["value"], row["job_status"]), {})
        assert summary.get("count", 0) == row["jobs"] - row["jobs_without_run_s"]
        for name in ("p50", "p90", "p99", "mean"):
            assert same(summary.get(name), row[f"run_{name}_s"]), (row["value"], row["job_status"], name)


# ------------------------------------------------------------------------------------------ openb, the real one


@pytest.fixture(scope="module")
def openb(tmp_path_factory):
    lake = tmp_path_factory.mktemp("openb") / "lake"
    result = pipeline.refresh(Config(lake=lake), data=ROOT / "examples" / "openb2023")
    assert result.published, result.why
    with open_publication(lake) as reader:
        yield reader


@pytest.fixture(scope="module")
def gpu_pods():
    with gzip.open(ROOT / "examples" / "openb2023" / "openb_pod_list_default.csv.gz", "rt", newline="") as lines:
        return [pod for pod in csv.DictReader(lines) if int(pod["num_gpu"])]


def only(reader, query):
    (row,) = reader.sql(query).to_pylist()
    return row


@pytest.mark.slow
def test_openb_waits_show_those_who_gave_up(openb, gpu_pods):
    """Over the started the wait is 70 s in the mean, 2 s in the median, 1,109 s at most for 99 of 100; 861 never started."""
    row = only(openb, "select * from gold_queue_wait where grouped_by = 'needs_gpu' and value = 'gpu'")
    started = [int(pod["scheduled_time"]) - int(pod["creation_time"]) for pod in gpu_pods if pod["scheduled_time"]]
    in_vain = [int(pod["deletion_time"]) - int(pod["creation_time"]) for pod in gpu_pods if not pod["scheduled_time"]]
    curve = oracle.survival([(wait, True) for wait in started] + [(wait, False) for wait in in_vain])

    assert (7_064, 6_203, 861, 861, 0, 0) == (
        row["jobs_submitted"], row["jobs_started"], row["jobs_never_started"], row["jobs_censored"],
        row["jobs_start_unknown"], row["jobs_waiting_at_window_end"],
    )  # fmt: skip
    assert (len(started), len(in_vain)) == (row["jobs_with_wait"], row["jobs_censored"])
    assert (69.951153, 2.0, 1_108.78) == (
        round(row["wait_mean_s"], 6), row["wait_p50_s"], round(row["wait_p99_s"], 6),
    )  # fmt: skip
    assert same(Fraction(sum(started), len(started)), row["wait_mean_s"])
    assert [oracle.survival_quantile(curve, q) for q in oracle.QUANTILES] == [row[f"km_p{p}_s"] for p in (50, 90, 99)]
    assert (3, 313, 3_354) == (row["km_p50_s"], row["km_p90_s"], row["km_p99_s"])


@pytest.mark.slow
def test_openb_failures_by_three_counts_and_by_hours(openb, gpu_pods):
    """30.1 % of the scheduled pods, 91.0 % of the finished ones, 1.8 % of the GPU-hours: one cluster, three headlines."""
    row = only(openb, "select * from gold_failures where grouped_by = 'needs_gpu' and value = 'gpu'")
    held: Counter[str] = Counter()
    phases: Counter[str] = Counter()
    for pod in gpu_pods:
        if pod["scheduled_time"]:
            seconds = int(pod["deletion_time"]) - int(pod["scheduled_time"])
            held[pod["pod_phase"]] += int(pod["num_gpu"]) * int(pod["gpu_milli"]) * seconds
            phases[pod["pod_phase"]] += 1

    assert (1_869, 6_203, 2_054) == (row["jobs_failed"], row["jobs_started"], row["jobs_finished"])
    assert (30.1306, 90.9932, 1.81846) == (
        round(100 * row["failed_ratio_of_started"], 4),
        round(100 * row["failed_ratio_of_finished"], 4),
        round(100 * row["failed_gpu_h_ratio"], 5),
    )
    assert same(Fraction(phases["Failed"], phases.total()), row["failed_ratio_of_started"])
    assert same(Fraction(phases["Failed"], phases["Failed"] + phases["Succeeded"]), row["failed_ratio_of_finished"])
    assert same(Fraction(held["Failed"], held.total()), row["failed_gpu_h_ratio"])
    assert held.total() == mgpu_s(row["allocated_gpu_h"])
    assert 51_470.674158 == round(row["allocated_gpu_h"], 6)


@pytest.mark.slow
def test_openb_measures_nothing_and_says_so(openb):
    """A queue whose use nobody measured is not idle: its efficiency is null, between 0 and 1, covered by 0."""
    rows = openb.sql("from gold_group_gpu_usage_daily where allocated_gpu_h > 0").to_pylist()
    assert {"LS", "Burstable", "Guaranteed", "BE"} >= {row["queue"] for row in rows} > set()
    assert {(None, None, 0.0, 1.0, 0.0)} == {
        (
            r["idle_held_gpu_h"],
            r["efficiency_ratio"],
            r["efficiency_low"],
            r["efficiency_high"],
            r["allocation_coverage_ratio"],
        )
        for r in rows
    }
    reason = only(
        openb, "select available, reason from gold_availability where table_name = 'gold_group_gpu_usage_daily' "
        "and column_name = 'efficiency_ratio'"
    )  # fmt: skip
    assert {"available": False, "reason": "The trace measures no utilisation."} == reason


# ------------------------------------------------------------------------------------------ by deliveries


def everything(lake):
    return {name: sorted(map(repr, lake.rows(f"select * from lake.main.{name}"))) for name in BUILT}


def full_build(folder, *cases):
    lake = TinyLake(folder)
    lake.add(*cases)
    lake.build(full=True)
    found = everything(lake)
    lake.close()
    return found


WAITING = Case(
    name="waiting",
    rows={
        # Day 2: a waits 44 hours; b waits in vain; c gives up after one hour. d comes with a later delivery.
        "jobs": """
            job | user | status     | start            | end              | landing
            a   | u    | Terminated | 1970-01-02 00:00 | 1970-01-03 22:00 | 1
            b   | u    | Waiting    | 1970-01-02 12:00 |                  | 1
            c   | v    | Failed     | 1970-01-02 12:00 | 1970-01-02 13:00 | 1
            d   | v    | Terminated | 1970-01-06 00:00 | 1970-01-06 02:00 | 2
        """,
        "instances": """
            job | task   | instance | worker | status     | start            | end              | machine | landing
            a   | worker | a1       | a1     | Terminated | 1970-01-03 20:00 | 1970-01-03 22:00 | m1      | 1
            b   | worker | b1       |        | Waiting    |                  |                  |         | 1
            d   | worker | d1       | d1     | Terminated | 1970-01-06 01:00 | 1970-01-06 02:00 | m1      | 2
        """,
        "tasks": """
            job | task   | n | gpu | landing
            a   | worker | 1 | 100 | 1
            b   | worker | 1 | 100 | 1
            c   | worker | 1 | 100 | 1
            d   | worker | 1 | 100 | 2
        """,
    },
)  # fmt: skip


@pytest.mark.slow
def test_who_still_waits_waits_longer_when_the_window_grows(tmp_path):
    """A job that never started is censored at the window's end: a later delivery that names none of its day moves its figures."""
    lake = TinyLake(tmp_path / "lake")
    waits = "select * from lake.main.gold_queue_wait_daily where grouped_by = 'all' and dt = '1970-01-02'"
    with warehouse.Warehouse(lake.folder) as dbt:
        lake.add(WAITING, only_landing=1)
        lake.build_with(dbt, full=True)
        (before,) = lake.rows(waits)
        lake.add(WAITING, only_landing=2)
        lake.build_with(dbt, full=False)
        (after,) = lake.rows(waits)
    found = everything(lake)
    touched = lake.rows("select dt from lake.meta.touched_days where entity = 'job'")
    lake.close()

    # b waited 36 hours until the window's end, so at 44 hours a was alone: all have started. Later b is still there.
    assert (44 * HOUR_S, 44 * HOUR_S) == (before["km_p50_s"], before["km_p99_s"])
    assert (44 * HOUR_S, None) == (after["km_p50_s"], after["km_p90_s"])
    for row in (before, after):
        assert (3, 1, 1, 1, 1, 1) == tuple(row[name] for name in (
            "jobs_submitted", "jobs_started", "jobs_never_started", "jobs_censored", "jobs_waiting_at_window_end",
            "jobs_perhaps_started",
        ))  # fmt: skip
        assert 44 * HOUR_S == row["wait_p50_s"] == row["wait_mean_s"], "of the started alone"
    assert [{"dt": date(1970, 1, 6)}] == touched
    assert full_build(tmp_path / "full", WAITING) == found


def delivered_anyhow(seed, *, jobs=60, deliveries=4):
    """Jobs, tasks and instances, each in a delivery of its own, some delivered again with other times or another user."""
    dice = random.Random(seed)
    rows = {"jobs": [], "tasks": [], "instances": []}
    last = 2 * DAY_S
    for n in range(jobs):
        landing = 1 + n * deliveries // jobs
        submitted = dice.randrange(DAY_S, (1 + landing) * DAY_S)
        wait = dice.choice([None, None, 0, 60, HOUR_S, 30 * HOUR_S])
        ended = None if dice.random() < 0.3 else submitted + (wait or 0) + dice.choice([60, HOUR_S, 40 * HOUR_S])
        last = max(last, ended or 0)
        status = dice.choice(["Terminated", "Failed", "Waiting", "Running", "odd"])
        job = {"job_name": f"j{n}", "user": dice.choice(["u", "v", None]), "status": status, "start_time": submitted,
               "end_time": ended, "landing": landing}  # fmt: skip
        rows["jobs"].append({**job, "start_time": None} if dice.random() < 0.1 else job)
        if dice.random() < 0.3:  # a correction
            moved = {"start_time": submitted - 3 * HOUR_S, "user": "w", "landing": dice.randint(1, deliveries)}
            rows["jobs"].append({**job, **moved, "start_time": max(1, moved["start_time"])})
        rows["tasks"].append({"job_name": f"j{n}", "task_name": "t", "inst_num": 1.0, "landing": dice.randint(1, deliveries),
                              "plan_gpu": dice.choice([None, 25.0, 100.0, 800.0]), "gpu_type": "T4"})  # fmt: skip
        started = None if wait is None else submitted + wait
        placed = wait is not None or dice.random() < 0.3
        rows["instances"].append({
            "job_name": f"j{n}", "task_name": "t", "inst_name": f"i{n}", "worker_name": f"w{n}", "status": status,
            "start_time": started, "end_time": None if started is None else ended,
            "machine": "m1" if placed else None, "landing": dice.randint(1, deliveries),
        })  # fmt: skip
    machines = [{"machine": "m1", "gpu_type": "T4", "cap_gpu": 8.0, "cap_cpu": 8.0}]
    return Case(name="anyhow", zone="Asia/Shanghai", rows={**rows, "machines": machines})


@pytest.mark.slow
@pytest.mark.parametrize("order", [(1, 2, 3, 4), (1, 4, 2, 3)])
def test_deliveries_one_by_one_equal_all_at_once(tmp_path, order):
    """A start that comes a day after its submission, or a corrected user, must reach the day it belongs to."""
    seed = random.SystemRandom().randrange(10_000)
    print(f"seed {seed}")
    case = delivered_anyhow(seed)
    lake, full = TinyLake(tmp_path / "lake"), TinyLake(tmp_path / "full")
    with warehouse.Warehouse(lake.folder) as dbt:
        for number, delivery in enumerate(order):
            lake.add(case, only_landing=delivery)
            full.add(case, only_landing=delivery)
            lake.build_with(dbt, full=number == 0, publish=number != 1)
    full.build(full=True)

    expected, found = everything(full), everything(lake)
    for name, rows in expected.items():
        assert rows == found[name], name
    lake.close()
    full.close()
