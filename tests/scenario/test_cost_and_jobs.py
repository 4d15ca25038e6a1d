"""What jobs held, used and cost: against a plain count of the trace, under other prices, and with late deliveries."""

from __future__ import annotations

import shutil
import sys
from collections import defaultdict
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pai2020 as oracle
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "spec"))

from tiny_lake import Case, TinyLake

from gpulake.dbt import warehouse
from gpulake.lake import open_publication

MGPU_S_OF_A_GPU_H = 3_600_000
AMOUNTS = ("allocated", "active", "idle_held", "unknown", "over_use", "zero_util")


@pytest.fixture(scope="module")
def fleet(simulated):
    """A simulated trace counted by the oracle, and the rows published of it."""
    folder, seed = simulated
    trace = oracle.read(folder / "trace")
    with open_publication(folder / "lake") as reader:
        jobs = {row["job_id"]: row for row in reader.sql("SELECT * FROM gold_jobs").to_pylist()}
        costs = reader.sql("SELECT * FROM gold_cost_daily").to_pylist()
    return trace, oracle.account(trace), jobs, costs, seed


def test_every_job_held_and_used_what_a_plain_count_says(fleet):
    """A GPU-hour more or less on one job is somebody's bill."""
    _, ledger, published, _, seed = fleet
    assert ledger.jobs.keys() == published.keys(), seed
    for name, job in ledger.jobs.items():
        row = published[name]
        told = row["gpu_h_reason"] or ""
        assert (job.unbounded_spans > 0) == told.startswith(f"{job.unbounded_spans} of its attempts with GPUs lack"), (
            name,
            seed,
        )
        for amount in AMOUNTS:
            if job.unbounded_spans and not job.parts:
                assert row[f"{amount}_gpu_h"] is None, (amount, name, seed)
                continue
            found = row[f"{amount}_gpu_h"] * MGPU_S_OF_A_GPU_H
            assert getattr(job, amount) == round(found) == pytest.approx(found, abs=1e-3), (amount, name, seed)
        assert (job.user, job.status, job.wait_s, job.run_s, job.size_class) == (
            row["user_id"], row["job_status"], row["wait_s"], row["run_s"], row["size_class"],
        ), (name, seed)  # fmt: skip
        assert job.unbounded_spans == row["unbounded_spans"], (name, seed)
        assert (len(job.machines) or None) == row["machines_used"], (name, seed)
        for ratio, column in (
            (job.efficiency, "efficiency_ratio"), (job.efficiency_low, "efficiency_low"),
            (job.efficiency_high, "efficiency_high"), (job.coverage, "allocation_coverage_ratio"),
        ):  # fmt: skip
            assert (ratio is None) == (row[column] is None), (column, name, seed)
            assert ratio is None or float(ratio) == pytest.approx(row[column], abs=1e-12), (column, name, seed)


def test_machines_needed_and_the_most_used_follow_from_the_rows(fleet):
    """A job is told to ask for less, or to sit closer together, on the word of these two."""
    trace, ledger, published, _, seed = fleet
    measures = oracle.measured(trace)
    uses = defaultdict(lambda: defaultdict(list))
    for row in trace.instances:
        task = trace.tasks.get((row.job, row.task))
        if task is None or not task.held_mgpu or None in (row.start, row.end) or row.start == row.end:
            continue
        key = (row.job, row.worker or "")
        use = trace.sensors.get(key) if measures.get(key) is row else None
        uses[row.job][row.task, row.instance].append(use)
    several = 0
    for name, job in ledger.jobs.items():
        row = published[name]
        largest = [max((use for use in attempts if use is not None), default=None) for attempts in uses[name].values()]
        most = None if not largest or None in largest else float(sum(largest)) / 100
        assert (most is None) == (row["gpu_used_count_max"] is None), (name, seed)
        assert most is None or most == pytest.approx(row["gpu_used_count_max"], abs=1e-6 * len(largest)), (name, seed)
        if job.machines and job.gpu_request_mgpu:
            sizes = [trace.machines[machine].cap_mgpu for machine in job.machines if machine in trace.machines]
            needed = -(-job.gpu_request_mgpu // max(sizes)) if any(sizes) else None
            assert needed == row["machines_needed"], (name, seed)
            several += needed is not None and needed > 1
    assert several > 0, seed


def test_each_pools_day_is_shared_out_to_the_cent(fleet):
    """Σ jobs + idle = bill: what is billed twice, or to nobody, is found by whoever pays."""
    _, ledger, published, costs, seed = fleet
    days, of_jobs = defaultdict(list), defaultdict(list)
    for row in costs:
        days[row["pool"], row["dt"]].append(row)
        if not row["is_idle"]:
            of_jobs[row["job_id"]].append(row["cost_usd"])
    assert ledger.pool_days.keys() == days.keys(), seed
    for key, pool in ledger.pool_days.items():
        rows = days[key]
        price = rows[0]["usd_per_gpu_h"]
        assert sum(row["is_idle"] for row in rows) == (pool.capacity > 0), (key, seed)
        if price is None or not pool.capacity:
            assert all(row["cost_usd"] is None and row["price_reason"] for row in rows), (key, seed)
        else:
            bill = (pool.capacity * price / MGPU_S_OF_A_GPU_H).quantize(Decimal("0.01"), rounding="ROUND_HALF_UP")
            assert bill == sum(row["cost_usd"] for row in rows), (key, seed)
    for name, row in published.items():
        parts = of_jobs[name]
        unpriced = None in parts or row["unbounded_spans"]
        assert row["cost_usd"] == (None if unpriced else sum(parts)), (name, seed)
        assert (row["cost_usd"] is None) == (row["cost_reason"] is not None), (name, seed)


GPU = "Tesla T4"
TWO_DAYS = Case(
    name="c",
    rows={
        "machines": "machine | gpu_type | gpus | cores\n m1 | T4 | 1 | 8",
        "jobs": """
            landing | job | id | user | status     | start            | end
            1       | j1  | i1 | u1   | Terminated | 1970-01-02 00:00 | 1970-01-04 00:00
            2       | j2  | i2 | u2   | Terminated | 1970-01-03 00:00 | 1970-01-04 00:00
            1       | j3  | i3 | u2   | Waiting    | 1970-01-03 00:00 |
        """,
        "tasks": """
            landing | job | task   | n | gpu | gpu_type
            1       | j1  | worker | 1 | 100 | T4
            1       | j0  | worker | 1 | 50  | T4
            1       | j3  | worker | 1 | 50  | T4
            2       | j2  | worker | 1 | 100 | T4
        """,
        "instances": """
            landing | job | task   | instance | worker | machine | status     | start            | end
            1       | j1  | worker | a        | w1     | m1      | Terminated | 1970-01-02 00:00 | 1970-01-04 00:00
            1       | j0  | worker | a        | w0     | gone    | Terminated | 1970-01-02 00:00 | 1970-01-02 02:00
            2       | j2  | worker | a        | w2     | m1      | Terminated | 1970-01-03 00:00 | 1970-01-04 00:00
        """,
    },
)
COSTS = "SELECT dt, pool, job_id, cost_usd, price_reason FROM lake.main.gold_cost_daily ORDER BY ALL"
JOBS = "SELECT * FROM lake.main.gold_jobs ORDER BY job_id"


@pytest.fixture
def priced(tmp_path, monkeypatch):
    """Build and test the same lake again under another price book (its lines without the head)."""
    copy = tmp_path / "warehouse"
    shutil.copytree(warehouse.project(), copy, ignore=shutil.ignore_patterns("target", "logs"))
    monkeypatch.setattr(warehouse, "project", lambda: copy)
    book = copy / "seeds" / "price_book.csv"
    head = book.read_text(encoding="utf-8").splitlines()[0]

    def build(lake, *lines):
        book.write_text("\n".join([head, *lines]) + "\n", encoding="utf-8")
        with warehouse.Warehouse(lake.folder) as dbt:
            assert dbt.build(full=True).ok
            with lake.writing() as writer:
                version = writer.version()
            tested = dbt.test(version=version)
        assert tested.ok, tested.why()
        found = {(row["dt"].day, row["pool"], row["job_id"]): row for row in lake.rows(COSTS)}
        lake.close()
        return found, [node for node in tested.nodes if node.status == "warn"]

    return build


@pytest.mark.slow
def test_a_changed_price_reprices_the_days_it_touches(tmp_path, priced):
    """A contract that changes on a day must not rewrite the bills before it; a slip in the book is told, and stops nothing."""
    lake = TinyLake(tmp_path / "lake")
    lake.add(TWO_DAYS)
    with lake.writing() as writer:
        writer._execute("UPDATE lake.meta.clusters SET time_basis = 'real'")
    before, quiet = priced(lake, f",{GPU},,,1,list")
    after, _ = priced(lake, f",{GPU},,1970-01-03,1,list", f",{GPU},1970-01-03,,3,list")
    doubled, told = priced(lake, f",{GPU},,1970-01-04,1,list", f",{GPU},1970-01-03,,3,list")

    assert [] == quiet
    assert {key: row for key, row in before.items() if key[0] == 2} == {
        key: row for key, row in after.items() if key[0] == 2
    }
    assert (Decimal(24), Decimal(0)) == (before[2, GPU, "j1"]["cost_usd"], before[2, GPU, None]["cost_usd"])
    assert (Decimal(12), Decimal(12)) == (before[3, GPU, "j1"]["cost_usd"], before[3, GPU, "j2"]["cost_usd"])
    assert (Decimal(36), Decimal(36)) == (after[3, GPU, "j1"]["cost_usd"], after[3, GPU, "j2"]["cost_usd"])
    assert before[2, GPU, "j1"] == doubled[2, GPU, "j1"]
    assert (None, "the price book has 2 prices for this day") == (
        doubled[3, GPU, "j1"]["cost_usd"], doubled[3, GPU, "j1"]["price_reason"],
    )  # fmt: skip
    assert ["price_book_has_one_price_a_day"] == [node.name for node in told]


@pytest.mark.slow
def test_a_late_job_changes_the_cost_of_those_it_shared_the_day_with(tmp_path):
    """Built by what is touched or at once, the same rows: a job that nothing was delivered of may still cost less."""
    at_once, late = TinyLake(tmp_path / "at_once"), TinyLake(tmp_path / "late")
    at_once.add(TWO_DAYS)
    at_once.build(full=True)
    with warehouse.Warehouse(late.folder) as dbt:
        late.add(TWO_DAYS, only_landing=1)
        late.build_with(dbt, full=True)
        alone = {row["job_id"]: row["cost_usd"] for row in late.rows(JOBS)}
        late.add(TWO_DAYS, only_landing=2)
        late.build_with(dbt, full=False)
    together = {row["job_id"]: row for row in late.rows(JOBS)}

    assert Decimal("16.80") == alone["j1"]  # 48 h × 0.35
    assert Decimal("12.60") == together["j1"]["cost_usd"]  # 8.40 + half of 8.40
    assert Decimal("4.20") == together["j2"]["cost_usd"]
    assert list(together.values()) == at_once.rows(JOBS)
    assert late.rows(COSTS) == at_once.rows(COSTS)
    assert [date(1970, 1, 2), date(1970, 1, 3), date(1970, 1, 4)] == sorted({row["dt"] for row in late.rows(COSTS)})
    for lake in (at_once, late):
        lake.close()


@pytest.mark.slow
def test_the_first_rows_of_a_table_tell_of_every_job(tmp_path):
    """Without instances nobody knows what a job held; when they come, a job that none of them names has held nothing."""
    lake = TinyLake(tmp_path / "lake")
    without = replace(TWO_DAYS, rows={name: rows for name, rows in TWO_DAYS.rows.items() if name != "instances"})
    only = replace(TWO_DAYS, rows={"instances": TWO_DAYS.rows["instances"]})
    with warehouse.Warehouse(lake.folder) as dbt:
        lake.add(without)
        lake.build_with(dbt, full=True)
        unknown, unbilled = lake.rows(JOBS), lake.rows(COSTS)
        lake.add(only)
        lake.build_with(dbt, full=False)
    known = {row["job_id"]: row["allocated_gpu_h"] for row in lake.rows(JOBS)}
    billed = lake.rows("SELECT DISTINCT dt FROM lake.main.gold_cost_daily WHERE is_idle AND cost_usd IS NOT NULL")
    lake.close()

    assert {(None, None, "what the job held is not known")} == {
        (row["allocated_gpu_h"], row["cost_usd"], row["cost_reason"]) for row in unknown
    }
    assert {"j0": 1.0, "j1": 48.0, "j2": 24.0, "j3": 0.0} == known
    assert {(None, "what jobs held is not known in this cluster, so its bills cannot be shared out")} == {
        (row["cost_usd"], row["price_reason"]) for row in unbilled
    }
    assert len({row["dt"] for row in unbilled}) == len(billed) == 3


def test_what_is_not_known_of_a_job_is_null_and_says_why(tmp_path):
    """A job of an unknown machine has no bill; a job that no table but one knows is still counted; unmeasured is not idle."""
    lake = TinyLake(tmp_path / "lake")
    lake.add(TWO_DAYS)
    lake.build(full=True)
    jobs = {row["job_id"]: row for row in lake.rows(JOBS)}
    lacking = lake.rows(
        "SELECT column_name, missing_table FROM lake.main.gold_availability WHERE table_name = 'gold_jobs' AND NOT available"
    )
    lake.close()

    assert {"j0", "j1", "j2", "j3"} == set(jobs)
    assert (0.0, Decimal(0), None, None) == tuple(
        jobs["j3"][name] for name in ("allocated_gpu_h", "cost_usd", "machines_used", "end_reason")
    )
    assert ("unknown", None, 1.0) == tuple(jobs["j0"][name] for name in ("job_status", "user_id", "allocated_gpu_h"))
    assert (None, "no machine of this pool is described, so there is no capacity to bill") == (
        jobs["j0"]["cost_usd"], jobs["j0"]["cost_reason"],
    )  # fmt: skip
    assert (48.0, 48.0, None, None, 0.0, 1.0) == tuple(
        jobs["j1"][name]
        for name in (
            "allocated_gpu_h",
            "unknown_gpu_h",
            "active_gpu_h",
            "efficiency_ratio",
            "efficiency_low",
            "efficiency_high",
        )
    )
    assert {"column_name": "active_gpu_h", "missing_table": "pai_sensor_table"} in lacking
