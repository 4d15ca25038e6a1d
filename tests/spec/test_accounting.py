"""The accounting keeps its definitions case by case, and agrees on random fleets with a loop over seconds."""

from __future__ import annotations

import random
import shutil
from collections import Counter, defaultdict

import pytest
from accounting_cases import CASES, QUERIES
from accounting_fleets import TRIALS, days_of, drawn, expected, expected_unbounded, fleets, sampled_fleets, thinned
from test_definitions import agrees
from tiny_lake import TinyLake, table

from gpulake.dbt import warehouse

FLEETS = drawn(fleets(), n=15, start=1) + drawn(sampled_fleets(), n=5, start=1)
AMOUNTS = ("allocated", "active", "idle_held", "unknown", "over_use", "zero_util")


@pytest.fixture(scope="module")
def accounted(tmp_path_factory):
    """All cases and fleets in one lake, built and tested once."""
    lake = TinyLake(tmp_path_factory.mktemp("accounting") / "lake")
    lake.add(*CASES, *FLEETS, *thinned())
    lake.build(full=True)
    yield lake
    lake.close()


@pytest.mark.parametrize(
    ("case", "what"), [pytest.param(case, what, id=f"{case.name}-{what}") for case in CASES for what in case.expect]
)
def test_the_accounting_keeps_the_definition(case, what, accounted):
    """What the page shows is what is computed."""
    keeps_the_definition(case, what, accounted)


def keeps_the_definition(case, what, lake):
    found = lake.rows(QUERIES[what], case.name)
    wanted = table(case.expect[what])
    assert len(wanted) == len(found), (case.breaks, found)
    for wished, row in zip(wanted, found, strict=True):
        for column, cell in wished.items():
            assert agrees(cell, row[column]), f"{column} = {row[column]}, expected {cell}: {case.breaks}"


@pytest.mark.slow
def test_a_sample_ends_at_the_next_though_its_source_says_later(tmp_path, monkeypatch):
    """A source that tells how long a sample holds must not count a second twice where the next one comes early."""
    project = shutil.copytree(
        warehouse.project(), tmp_path / "project", ignore=shutil.ignore_patterns("target", "logs")
    )
    staging = project / "models" / "staging" / "genai2026" / "stg_genai2026__usage.sql"
    clipped = "'least(followed.sampled_s + ' ~ genai_sample_s() ~ ', followed.next_duty_s)'"
    assert clipped in staging.read_text()
    staging.write_text(staging.read_text().replace(clipped, "'followed.sampled_s + ' ~ genai_sample_s()"))
    monkeypatch.setattr(warehouse, "project", lambda: project)
    (case,) = (case for case in CASES if case.name == "a_sample_measures_its_own_interval")
    lake = TinyLake(tmp_path / "lake")
    lake.add(case)
    lake.build(full=True)
    ends = lake.rows("SELECT count(*) AS n FROM lake.main.silver_usage WHERE measured_to = '1970-01-02 00:01:54'")
    assert [{"n": 1}] == ends, "unclipped by its source"
    for what in case.expect:
        keeps_the_definition(case, what, lake)
    lake.close()


# ---------------------------------------------------------------------------------------------- random fleets


def by_cluster(lake, query):
    found = defaultdict(list)
    for row in lake.rows(query):
        found[row["cluster_id"]].append(row)
    return found


def sums(rows, *key):
    """Each amount summed by some columns."""
    found = defaultdict(Counter)
    for row in rows:
        found[tuple(row[name] for name in key)].update({name: row[f"{name}_mgpu_s"] or 0 for name in AMOUNTS})
    return {key: dict(amounts) for key, amounts in found.items()}


def figures(table, days):
    """The oracle's sums of units or machines by day, where anything was held."""
    return {
        (unit, days[day]): {name: int(getattr(one, name)) for name in AMOUNTS}
        for (unit, day), one in table.items()
        if one.allocated
    }


def disagreement(case, job_days, machine_days, hours, unbounded):
    """What differs between the tables and a loop over seconds; empty when nothing does."""
    days, _ = days_of(case)
    fleet = expected(case)
    pairs = {
        "job days": (figures(fleet.unit_days, days), sums(job_days, "job_id", "dt")),
        "machine days": (figures(fleet.machine_days, days), sums(machine_days, "machine_id", "dt")),
        "unbounded": (
            dict(expected_unbounded(case)),
            dict(
                sum(
                    (Counter({(row["job_id"], row["dt"], row["known_times"]): row["spans"]}) for row in unbounded),
                    Counter(),
                )
            ),
        ),
        "hours": (
            {
                (machine, days[day], hour): (one.allocated, one.unknown, one.zero_util)
                for (machine, day, hour), one in fleet.machine_hours.items()
                if one.allocated
            },
            {
                (row["machine_id"], row["dt"], row["hour_no"]): tuple(
                    row[f"{name}_mgpu_s"] for name in ("allocated", "unknown", "zero_util")
                )
                for row in hours
            },
        ),
    }
    wrong = [f"{what}: expected {wanted}, found {found}" for what, (wanted, found) in pairs.items() if wanted != found]
    if wrong:
        return wrong
    numbers = {day: number for number, day in enumerate(days)}
    over = Counter()
    for row in hours:
        one = fleet.machine_hours[row["machine_id"], numbers[row["dt"]], row["hour_no"]]
        # Use is counted in billionths of a GPU by the hour: half a unit, and 0.002 for each of the parts.
        wrong += [
            f"hour {row}: {name} is {float(getattr(one, name))}"
            for name in ("active", "idle_held")
            if abs(row[f"{name}_mgpu_s"] - getattr(one, name)) > 0.6
        ]
        if case.source == "pai2020":
            over[row["machine_id"], row["dt"]] += one.over_allocated
            if (row["capacity_mgpu_s"], row["over_allocated_mgpu_s"]) != (one.capacity, one.over_allocated):
                wrong.append(f"hour {row}: expected {one}")
        elif (row["capacity_mgpu_s"], row["over_allocated_mgpu_s"]) != (None, None):
            wrong.append(f"hour {row}: a capacity that nobody described")
    wrong += [
        f"over-allocated of {row}" for row in machine_days
        if case.source == "pai2020" and row["over_allocated_mgpu_s"] != over[row["machine_id"], row["dt"]]
    ]  # fmt: skip
    return wrong


def check_fleets(lake, cases):
    """Tells the smallest fleet that disagrees, and how."""
    found = [
        by_cluster(lake, f"SELECT * FROM lake.main.{name}")
        for name in ("silver_job_days", "silver_machine_days", "silver_allocation_hours", "silver_unbounded_spans")
    ]
    failing = []
    for case in cases:
        wrong = disagreement(case, *(rows[case.name] for rows in found))
        if wrong:
            failing.append((sum(len(rows) for rows in case.rows.values()), case.name, wrong, case))
    if failing:
        print(f"{len(failing)} of {len(cases)} fleets disagree; the smallest:", *min(failing), sep="\n")
    assert not failing, "fleets that disagree: " + ", ".join(sorted(name for _, name, *_ in failing))


def test_random_fleets_agree_with_a_loop_over_seconds(accounted):
    """Overlaps, shares, empty and open spans, day borders, retries, unknown machines: a sum only the SQL can make is no sum."""
    check_fleets(accounted, FLEETS)


@pytest.mark.parametrize("kind", ["samples", "means"])
def test_the_truth_stays_between_the_bounds_when_measurements_are_lost(kind, accounted):
    """An efficiency whose bounds the truth can leave is a guess with decimals."""

    def of(cluster):
        rows = accounted.rows(
            "SELECT job_id, sum(allocated_mgpu_s) AS allocated, sum(active_mgpu_s) AS active, sum(unknown_mgpu_s) AS unknown "
            "FROM lake.main.silver_job_days WHERE cluster_id = ? GROUP BY job_id", cluster,
        )  # fmt: skip
        return {row["job_id"]: row for row in rows}

    whole, thin = of(f"{kind}_whole"), of(f"{kind}_thinned")
    assert TRIALS == len(whole)
    assert whole.keys() == thin.keys()
    for trial, truth in whole.items():
        left = thin[trial]
        assert (0, truth["allocated"]) == (truth["unknown"], left["allocated"]), trial
        assert left["active"] <= truth["active"] <= left["active"] + left["unknown"], trial
    assert sum(row["unknown"] > 0 for row in thin.values()) > TRIALS * 0.9


@pytest.mark.slow
def test_many_fresh_fleets_agree_with_a_loop_over_seconds(tmp_path):
    """On any fleet by itself: an error that twenty fleets miss would be found by somebody's cluster."""
    start = random.SystemRandom().randrange(2**31)
    print(f"seed {start}")
    cases = drawn(fleets(), n=150, start=start) + drawn(sampled_fleets(), n=50, start=start)
    lake = TinyLake(tmp_path / "lake")
    lake.add(*cases)
    lake.build(full=True)
    check_fleets(lake, cases)
    lake.close()
