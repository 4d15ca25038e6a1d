"""Published figures, recomputed: every row of docs/explanation/reproductions.md says what comes out of the files."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from gpulake import pipeline
from gpulake.config import Config
from gpulake.lake import open_publication

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "explanation" / "reproductions.md"
SHARED = ROOT.parent / "shared" / "data"
ROWS = {
    cells[0].strip("`"): cells
    for line in PAGE.read_text(encoding="utf-8").splitlines()
    if line.startswith("| `") and (cells := [cell.strip() for cell in line.strip("|").split("|")])
}
ENDS = ("complete", "cancel", "fail")


def shown(trace):
    """What the page says we get, by key."""
    return {key: cells[3] for key, cells in ROWS.items() if key.startswith(f"{trace}.")}


def table(path, **options):
    """A delivered CSV as a list of rows."""
    if not path.exists():
        pytest.skip(f"the publisher's file is not here: {path}")
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines, **options))


def refreshed(data, lake):
    result = pipeline.refresh(Config(lake=lake), data=data)
    assert result.published, result.why
    return open_publication(lake)


def one(reader, query):
    (row,) = reader.sql(query).to_pylist()
    return tuple(row.values())


def fleet(reader):
    """Every definition's figures of the only cluster."""
    return {row["definition"]: row for row in reader.sql("SELECT * FROM gold_definition_diff_fleet").to_pylist()}


def test_every_row_says_what_was_expected_and_why_it_differs():
    """A discrepancy without a reason is a mistake of somebody, and nobody knows whose."""
    assert 5 * len(ROWS) == sum(map(len, ROWS.values()))
    unexplained = [key for key, cells in ROWS.items() if cells[2] != cells[3] and not cells[4]]
    assert ["acme.Seren.complete"] == unexplained, "0.212 and 0.2120 are the same"


@pytest.mark.slow
def test_openb(tmp_path):
    """The counts, GPU-hours, failures and waits that are quoted of this trace come out of the shipped files."""
    with refreshed(ROOT / "examples" / "openb2023", tmp_path / "lake") as reader:
        nodes, gpus = one(reader, "SELECT count(*), sum(gpu_count) FROM silver_machines")
        pods, scheduled, mean, p50, p99 = one(
            reader,
            "SELECT count(*), count(started_at), avg(wait_s), quantile_cont(wait_s, 0.5), quantile_cont(wait_s, 0.99) "
            "FROM silver_jobs WHERE gpu_request_count > 0",
        )
        (p99_all,) = one(reader, "SELECT quantile_cont(wait_s, 0.99) FROM silver_jobs")
        held, failed_h, later_h = one(
            reader,
            "SELECT sum(allocated_mgpu_s) / 3.6e6, sum(allocated_mgpu_s) FILTER (job_status = 'failed') / 3.6e6, "
            "sum(allocated_mgpu_s) FILTER (job_id != 'openb-pod-0000') / 3.6e6 FROM silver_allocation_days",
        )
        failed, succeeded = one(
            reader,
            "SELECT count(*) FILTER (job_status = 'failed'), count(*) FILTER (job_status = 'succeeded') "
            "FROM silver_jobs WHERE gpu_request_count > 0 AND started_at IS NOT NULL",
        )
        (most,) = one(
            reader,
            "SELECT max(held) / 1000 FROM (SELECT sum(change) OVER (ORDER BY moment, change) AS held FROM ("
            "SELECT started_at AS moment, held_mgpu AS change FROM silver_allocations "
            "UNION ALL SELECT ended_at, -held_mgpu FROM silver_allocations))",
        )
        whole = fleet(reader)["opencost"]["gpu_h"]
        assert held == pytest.approx(fleet(reader)["ours"]["gpu_h"], abs=1e-9)

    assert {
        "openb.nodes": f"{nodes:,}",
        "openb.gpus": f"{gpus:,}",
        "openb.gpu_pods": f"{pods:,}",
        "openb.scheduled": f"{scheduled:,}",
        "openb.gpu_h": f"{held:,.2f}",
        "openb.whole_gpu_h": f"{whole:,.2f}",
        "openb.gpu_h_without_second_0": f"{later_h:,.2f}",
        "openb.failed_of_scheduled": f"{100 * failed / scheduled:.4f} %",
        "openb.failed_of_ended": f"{100 * failed / (failed + succeeded):.2f} %",
        "openb.failed_of_gpu_h": f"{100 * failed_h / held:.3f} %",
        "openb.wait_mean": f"{mean:.2f} s",
        "openb.wait_p50": f"{p50:.0f} s",
        "openb.wait_p99": f"{p99:,.2f} s",
        "openb.wait_p99_all": f"{p99_all:.2f} s",
        "openb.most_gpus": f"{most:.2f}",
    } == shown("openb")
    assert (f"{100 * (whole / held - 1):.1f} % more", 6.8) == ("15.8 % more", round(100 * (1 - later_h / held), 1))


@pytest.mark.slow
def test_genai(real_genai, tmp_path):
    """Dropping zeros triples the mean: both figures come out of the lake, beside ours."""
    with refreshed(real_genai, tmp_path / "lake") as reader:
        figures = fleet(reader)
        samples, only_memory, idle, zeros = one(
            reader,
            "SELECT count(gpu_used_count), count(*) FILTER (gpu_used_count IS NULL), "
            "count(*) FILTER (gpu_used_count = 0 AND gpu_mem_used_bytes_mean > 1e9) "
            "/ count(gpu_used_count + gpu_mem_used_bytes_mean), "
            "count(*) FILTER (gpu_used_count = 0) / count(gpu_used_count) FROM silver_usage",
        )
        mean, busy_mean = one(
            reader,
            "SELECT avg(gpu_used_count) * 100, avg(gpu_used_count) FILTER (gpu_used_count != 0) * 100 FROM silver_usage",
        )
    ours, plain, gcm = (figures[name] for name in ("ours", "plain_mean", "gcm"))

    assert {
        "genai.samples": f"{samples:,}",
        "genai.mean_duty": f"{plain['util_pct']:.2f} %",
        "genai.mean_without_zeros": f"{gcm['util_pct']:.2f} %",
        "genai.efficiency": f"{ours['util_pct']:.2f} %",
        "genai.idle_with_memory": f"{100 * idle:.2f} %",
        "genai.memory_only": f"{only_memory:,}",
    } == shown("genai")
    assert (175.10, 2_492.44, 66.8) == (
        round(ours["util_pct"] * ours["denominator_gpu_h"] / 100, 2),
        round(ours["denominator_gpu_h"], 2),
        round(100 * zeros, 1),
    )
    # No sample is lost or counted twice, not even one that midnight cuts.
    assert (mean, busy_mean) == pytest.approx((plain["util_pct"], gcm["util_pct"]), rel=1e-8)


def test_acme():
    """Twelve shares recomputed from their inputs; whatever else of the table does not fit is on the page."""
    rows = {row["id"]: row for row in table(SHARED / "acme" / "cluster_summary.csv")}
    found, wrong = {}, []
    for name, row in rows.items():
        times = {end: float(row[f"{end}_gpu_time"] or 0) for end in ENDS}
        for end in ENDS if sum(times.values()) else ():
            found[f"acme.{name}.{end}"] = f"{times[end] / sum(times.values()):.4f}"
            published = row[f"{end}_rate_gpu_time"]
            assert published == ROWS[f"acme.{name}.{end}"][2]
            wrong += [(name, end)] if round(times[end] / sum(times.values()), 3) != float(published) else []
    kinds = {"gpu": "by count", "cpu": "CPU by count", "gpu_time": "by GPU time"}
    sums = {
        f"{name} {words}": round(sum(float(row[f"{end}_rate_{kind}"]) for end in ENDS), 3)
        for name, row in rows.items()
        for kind, words in kinds.items()
        if row[f"complete_rate_{kind}"]
    }
    inexact = [f"{name} {total}" for name, total in sums.items() if total != 1]
    seren, kalos, pai = (rows[name] for name in ("Seren", "Kalos", "PAI"))
    (example, *_) = table(SHARED / "acme" / "trace_kalos.example_rows.csv")

    assert [] == wrong
    assert "0.397" == kalos["fail_rate_gpu"] == ROWS["acme.Kalos.fail_by_count"][2]
    assert 880_740 - int(kalos["job_num"]) == int(ROWS["acme.Seren.jobs"][2].replace(",", ""))
    assert {
        **found,
        "acme.Kalos.fail_by_count": "published, not recomputed",
        "acme.inexact_sums": ", ".join(inexact),
        "acme.Seren.jobs": f"{int(seren['job_num']):,}",
        "acme.PAI.jobs_of_no_kind": f"{int(pai['job_num']) - int(pai['cpu_job_num']) - int(pai['gpu_job_num']):,}",
        "acme.Kalos.example_duration": f"{example['duration']} s",
    } == shown("acme")
    # The other clusters' jobs are all of one kind or the other.
    assert {"PAI"} == {
        name for name, row in rows.items() if int(row["job_num"]) != int(row["cpu_job_num"]) + int(row["gpu_job_num"])
    }


def test_pai(real_trace):
    """The audits of the whole trace, its machine table and Acme's row of it fit each other, but for what the page says."""
    counts = {
        (row["table"], row["statistic"]): float(row["value"]) for row in table(real_trace / "pai_reference_counts.csv")
    }
    acme = {row["id"]: row for row in table(SHARED / "acme" / "cluster_summary.csv")}["PAI"]
    machines = table(real_trace / "pai_machine_spec.csv", fieldnames=["machine", "gpu_type", "cores", "memory", "gpus"])
    jobs = {
        status: (
            counts["pai_job_table", f"status={status} rows"],
            counts.get(("pai_job_table", f"status={status} with end_time")),
        )
        for status in ("Terminated", "Failed", "Running", "Waiting")
    }
    all_jobs = sum(rows for rows, _ in jobs.values())
    without_end = sum(rows - ended for rows, ended in jobs.values())
    tasks, cpu_tasks = counts["pai_task_table", "rows"], counts["pai_task_table", "plan_gpu empty"]

    assert counts["pai_job_table", "rows"] == all_jobs
    assert counts["pai_job_table", "end_time empty rows"] == without_end
    assert 230_935 == jobs["Failed"][0] - jobs["Failed"][1]
    assert f"{int(acme['gpu_job_num']):,}" == ROWS["pai.gpu_tasks"][2]
    assert (f"{int(acme['job_num']):,}", 130) == (ROWS["pai.tasks"][2], tasks - int(acme["job_num"]))
    assert 83 == sum(1 for machine in machines if float(machine["gpus"]) == 0)
    assert {
        "pai.machines": f"{len(machines):,}",
        "pai.gpus": f"{sum(float(machine['gpus']) for machine in machines):,.0f}",
        "pai.job_statuses": f"{all_jobs:,.0f}",
        "pai.jobs_without_end": f"{without_end:,.0f}",
        "pai.jobs_without_end_pct": f"{100 * without_end / all_jobs:.2f} %",
        "pai.gpu_tasks": f"{tasks - cpu_tasks:,.0f}",
        "pai.tasks": f"{tasks:,.0f}",
    } == shown("pai")


def test_the_page_names_its_test():
    """Who doubts a row must find what recomputes it."""
    (named,) = re.findall(r"`(tests/scenario/test_\w+\.py)`", PAGE.read_text(encoding="utf-8"))
    assert (ROOT / named).samefile(__file__)
