"""The openb trace: its published counts come out of the lake, and its oddities are kept as what they are."""

from __future__ import annotations

import csv
import gzip
import hashlib
import shutil
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from gpulake import pipeline
from gpulake.config import Config
from gpulake.lake import open_newest, open_publication
from gpulake.reading import report
from gpulake.reading.fleet import POOLS
from gpulake.sources import openb2023
from gpulake.telling.drawings import write_days
from gpulake.telling.ink import written
from gpulake.telling.lines import COLUMNS
from gpulake.telling.reports.fleet import sections_after, sections_before

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "openb2023"
FIXTURES = ROOT / "tests" / "fixtures" / "openb2023"
REAL = ROOT.parent / "shared" / "data" / "alibaba-gpu-2023-openb"
START, END_S = datetime(1970, 1, 1), 12_902_960  # noqa: DTZ001  # the lake keeps UTC without a zone


def delivered(table):
    """The shipped rows, read with nothing but gzip and csv."""
    (name,) = (f"{stem}.csv.gz" for stem in table.stems if (EXAMPLE / f"{stem}.csv.gz").exists())
    with gzip.open(EXAMPLE / name, "rt", newline="") as lines:
        return list(csv.DictReader(lines))


@pytest.fixture(scope="module")
def pods():
    return delivered(openb2023.POD)


@pytest.fixture(scope="module")
def openb(tmp_path_factory):
    """A lake of the shipped trace and nothing else."""
    lake = tmp_path_factory.mktemp("openb") / "lake"
    result = pipeline.refresh(Config(lake=lake), data=EXAMPLE)
    assert result.published, result.why
    assert ["README.md"] == [file.path.name for file in result.land.unrecognised]
    assert () == result.land.refused
    with open_publication(lake) as reader:
        yield reader


def one(reader, query):
    (row,) = reader.sql(query).to_pylist()
    return tuple(row.values())


def test_the_shipped_files_are_the_publishers():
    """What the report calls the publisher's own must be just that."""
    for table in openb2023.SOURCE.tables:
        (file,) = (EXAMPLE / f"{stem}.csv.gz" for stem in table.stems if (EXAMPLE / f"{stem}.csv.gz").exists())
        assert table.published_sha256 == hashlib.sha256(gzip.decompress(file.read_bytes())).hexdigest()
    assert sum(file.stat().st_size for file in EXAMPLE.iterdir()) < 200_000


def test_nodes_and_gpus_are_the_published_ones(openb):
    """1,523 nodes with 6,212 GPUs and 125,514 cores; models that the publisher hides stay unnamed."""
    assert (1_523, 6_212, 125_514, 310) == one(
        openb, "SELECT count(*), sum(gpu_count), sum(cpu_cores), count(*) FILTER (gpu_count = 0) FROM silver_machines"
    )
    found = openb.sql(
        "SELECT gpu_model_source AS s, any_value(gpu_model) AS m, sum(gpu_count) AS n FROM silver_machines GROUP BY s"
    ).to_pylist()
    assert {
        "G2": (None, 4_392),
        "G3": (None, 312),
        "T4": ("Tesla T4", 842),
        "P100": ("Tesla P100-PCIE-16GB", 265),
        "V100M32": ("Tesla V100-SXM2-32GB", 204),
        "V100M16": ("Tesla V100-SXM2-16GB", 195),
        "A10": ("NVIDIA A10", 2),
        None: (None, 0),
    } == {row["s"]: (row["m"], row["n"]) for row in found}


def test_phases_are_the_published_ones(openb, pods):
    """5,193 Running, 1,870 Failed, 897 Pending and 192 Succeeded, in common words beside the source's own."""
    found = openb.sql(
        "SELECT status_source AS s, job_status AS j, count(*) AS n FROM silver_jobs GROUP BY ALL"
    ).to_pylist()

    assert {
        ("Running", "running"): 5_193,
        ("Failed", "failed"): 1_870,
        ("Pending", "waiting"): 897,
        ("Succeeded", "succeeded"): 192,
    } == {(row["s"], row["j"]): row["n"] for row in found}
    assert Counter(pod["pod_phase"] for pod in pods) == {row["s"]: row["n"] for row in found}


def test_waits_leave_nobody_out(openb):
    """7,064 GPU pods, of which 6,203 started: mean 70 s, p50 2 s, p99 1,110 s; 861 waited in vain and have no wait."""
    assert (7_064, 6_203, 6_203, 433_907.0, 2.0, 14_330.0, 861) == one(
        openb,
        "SELECT count(*), count(started_at), count(wait_s), sum(wait_s), quantile_cont(wait_s, 0.5), max(wait_s), "
        "count(*) FILTER (started_at IS NULL AND job_status = 'waiting') FROM silver_jobs WHERE gpu_request_count > 0",
    )
    assert (69.951, 1_108.78) == one(
        openb,
        "SELECT round(avg(wait_s), 3), round(quantile_cont(wait_s, 0.99), 6) FROM silver_jobs WHERE gpu_request_count > 0",
    )


def test_gpu_hours_count_the_fraction_that_a_pod_holds(openb, pods):
    """51,471 GPU-hours; as whole GPUs they would be 59,612. Failed pods are 30.1 % of the pods and 1.8 % of the hours."""
    held = "cast(round(j.gpu_request_count * 1000) AS bigint) * cast(i.run_s AS bigint)"
    found = openb.sql(
        f"SELECT status_source AS phase, count(*) AS n, cast(sum({held}) AS bigint) AS mgpu_s "
        "FROM silver_jobs AS j JOIN silver_instances AS i USING (cluster_id, job_id, status_source) "
        "WHERE j.gpu_request_count > 0 AND i.run_s IS NOT NULL GROUP BY ALL"
    ).to_pylist()
    by_hand: Counter[str] = Counter()
    for pod in pods:
        if pod["scheduled_time"]:
            seconds = int(pod["deletion_time"]) - int(pod["scheduled_time"])
            by_hand[pod["pod_phase"]] += int(pod["num_gpu"]) * int(pod["gpu_milli"]) * seconds

    assert {"Running": 167_183_673_170, "Succeeded": 14_741_248_000, "Failed": 3_369_505_800} == by_hand
    assert by_hand == {row["phase"]: row["mgpu_s"] for row in found}
    assert {"Running": 4_149, "Succeeded": 185, "Failed": 1_869} == {row["phase"]: row["n"] for row in found}
    assert 185_294_426_970 == by_hand.total()


def test_of_a_sample_nobody_says_which_share_of_the_capacity_was_held(openb):
    """The trace has the pods of a part of the load: what else its 6,212 GPUs did is in no file."""
    days = ("openb2023", START.date(), START.date() + timedelta(days=149))
    (pool,) = openb.sql(POOLS, days * 3).to_pylist()
    assert (pool["capacity_gpu_h"], pool["allocated_ratio"], pool["idle_usd"]) == (6_212 * 24 * 150.0, None, None)
    assert pool["allocated_gpu_h"] > 0


def test_days_run_from_the_first_second_to_the_last(openb):
    """Second 0 opens day 0; the trace ends in its 150th day."""
    assert (150, START.date(), (START + timedelta(seconds=END_S)).date()) == one(
        openb, "SELECT count(*), min(dt), max(dt) FROM silver_days"
    )
    assert (START, START, 0.0) == one(
        openb, "SELECT submitted_at, started_at, wait_s FROM silver_jobs WHERE job_id = 'openb-pod-0000'"
    )


def test_the_worksheets_three_figures_are_published(openb):
    """docs/explanation/openb-by-hand.md works them out from the raw rows; a pencil must agree with the page."""
    (day,) = openb.sql(
        "SELECT * FROM gold_capacity_daily WHERE dt = '1970-02-01' AND cluster_id = 'openb2023'"
    ).to_pylist()
    (waits,) = openb.sql(
        "SELECT * FROM gold_queue_wait_daily WHERE dt = '1970-04-08' AND grouped_by = 'needs_gpu' AND value = 'gpu'"
    ).to_pylist()

    # 86,400 + 0.46 · 86,400 + 86,400 + 0.46 · 74,756 + 6,716 = 253,647.76 GPU-seconds
    assert 253_647.76 / 3_600 == pytest.approx(day["allocated_gpu_h"], abs=1e-9)
    assert 149_088 - 253_647.76 / 3_600 == pytest.approx(day["unallocated_gpu_h"], abs=1e-9)
    assert (None, None, 0.0, 1.0) == (
        day["active_gpu_h"], day["efficiency_ratio"], day["efficiency_low"], day["efficiency_high"]
    )  # fmt: skip
    assert (2, 18.5, 18.5) == (waits["jobs_started"], waits["wait_mean_s"], waits["wait_p50_s"])  # 34 s and 3 s


def told(found):
    """What the report of the fleet tells of each cluster's whole window."""
    lines = [line for each in found.clusters for line in (*sections_before(each), *sections_after(each))]
    return written(lines, inks={}, encoding="utf-8")


def test_a_cluster_without_measurements_is_told_and_not_judged(openb, tmp_path):
    """No utilisation is no fault and no zero: figures are null, days are not judged, and the report says why."""
    assert (0, 0, 150, 6_212 * 86_400) == one(
        openb,
        "SELECT count(avg_gpu_util), count(avg_cpu_util), count(*) FILTER (judgement = 'not_judged'), "
        "min(capacity_gpu_s) FROM gold_cluster_util_daily_scored",
    )
    found = report.read(openb)
    text = told(found)
    write_days(found, tmp_path / "days.png")

    assert "1,523 machines with 6,212 GPUs" in text
    assert "the publisher's own files, by checksum" in text
    assert "The trace measures no utilisation." in text
    assert "The trace does not say on which node a pod ran." in text
    assert (tmp_path / "days.png").read_bytes().startswith(b"\x89PNG")
    assert max(map(len, text.splitlines())) <= COLUMNS


# -------------------------------------------------------------------------------------------- oddities


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """The chosen rows, refreshed."""
    lake = tmp_path_factory.mktemp("odd") / "lake"
    result = pipeline.refresh(Config(lake=lake), data=FIXTURES)
    assert result.published, result.why
    with open_publication(lake) as reader:
        yield reader


def test_a_pod_that_was_never_scheduled_has_run_for_no_time(odd):
    """It has waited until its deletion, and held nothing."""
    found = odd.sql(
        "SELECT i.started_at, i.ended_at, i.run_s, j.started_at AS job_started_at, j.wait_s, j.run_s AS job_run_s, "
        "j.ended_at IS NOT NULL AS deleted FROM silver_instances AS i JOIN silver_jobs AS j USING (cluster_id, job_id) "
        "WHERE j.status_source = 'Pending'"
    ).to_pylist()

    assert [(None, None, None, None, None, None, True)] * 5 == [tuple(row.values()) for row in found]


def test_requests_are_fractions_and_none_is_null(odd):
    """460 thousandths are 0.46 GPUs, eight whole ones are 8, and a CPU pod asked for nothing, not for 0."""
    names = {"0001": 0.46, "0017": 8.0, "0422": 2.0, "2182": 4.0, "0005": None, "0210": None}
    found = odd.sql(
        "SELECT right(job_id, 4) AS pod, gpu_request_count AS gpus FROM silver_jobs "
        f"WHERE right(job_id, 4) IN ({', '.join(map(repr, names))})"
    ).to_pylist()

    assert names == {row["pod"]: row["gpus"] for row in found}
    assert (6.0, 12_288 * 2**20) == one(
        odd, "SELECT cpu_request_cores, memory_request_bytes FROM silver_jobs WHERE job_id = 'openb-pod-0001'"
    )


def test_a_pod_that_was_still_there_ends_with_the_trace(odd):
    """Nothing is known of it afterwards: its span is what was seen."""
    assert (END_S - 427_061.0,) == one(odd, "SELECT run_s FROM silver_instances WHERE job_id = 'openb-pod-0001'")


def test_no_pod_is_said_to_have_run_on_a_node(odd):
    """The trace does not name it: a guess would make machines busy that were idle."""
    assert (24, 0) == one(odd, "SELECT count(*), count(machine_id) FROM silver_instances")


# -------------------------------------------------------------------------------------------- variants


@pytest.fixture
def real():
    """The publisher's files, where this machine has them beside the repository."""
    if not REAL.is_dir():
        pytest.skip(f"the real files of the trace are not here: {REAL}")
    return REAL


def test_variants_are_listed_with_their_reason_and_change_nothing(real, tmp_path):
    """They reuse names for other pods and nodes: merged, each would take another's place."""
    config = Config(lake=tmp_path / "lake")
    landed = pipeline.land(config, data=real).land

    assert {"openb_node_list": 1_523, "openb_pod_list": 8_152} == {
        landing.table: landing.rows_kept for landing in landed.landings if landing.source == "openb2023"
    }
    of_its_own = "; with --cluster NAME it lands as a cluster of its own"
    assert {
        "openb_node_list_gpu_node.csv": openb2023.NODE.look_alikes[0][1] + of_its_own,
        "openb_pod_list_gpushare40.csv": openb2023.POD.look_alikes[0][1] + of_its_own,
        "openb_pod_list_gpuspec33.csv": openb2023.POD.look_alikes[0][1] + of_its_own,
    } == {file.path.name: file.reason for file in landed.unrecognised if file.path.suffix == ".csv"}


@pytest.mark.slow
def test_a_variant_under_another_name_can_be_a_cluster_of_its_own(real, tmp_path):
    """The way that the pages describe to study one."""
    config = Config(lake=tmp_path / "lake")
    pipeline.land(config, data=EXAMPLE)
    (tmp_path / "share40").mkdir()
    shutil.copy(real / "openb_pod_list_gpushare40.csv", tmp_path / "share40" / "pods.csv")
    pipeline.land(config, data=tmp_path / "share40", cluster="share40")

    with open_newest(config.lake) as reader:
        found = reader.sql(
            "SELECT cluster_id, sum(rows_kept) AS n FROM lake.meta.landings WHERE table_name = 'openb_pod_list' GROUP BY ALL"
        ).to_pylist()
    assert {"openb2023": 8_152, "share40": 8_152} == {row["cluster_id"]: int(row["n"]) for row in found}


@pytest.mark.slow
def test_one_lake_holds_both_clusters(pai_fixtures, tmp_path):
    """A second source changes no figure of the first, and each keeps its own days and zone."""
    alone, both = Config(lake=tmp_path / "alone"), Config(lake=tmp_path / "both")
    assert pipeline.refresh(alone, data=pai_fixtures / "oddities").published
    pipeline.land(both, data=FIXTURES)
    assert pipeline.refresh(both, data=pai_fixtures / "oddities").published

    query = "SELECT * FROM gold_cluster_util_daily WHERE cluster_id = 'pai2020' ORDER BY dt"
    with open_publication(alone.lake) as first, open_publication(both.lake) as second:
        assert first.sql(query).equals(second.sql(query))
        clusters = second.sql("SELECT cluster_id, time_zone, pools FROM meta.clusters ORDER BY ALL").to_pylist()
        text = told(report.read(second))
    assert [("openb2023", "UTC", "all"), ("pai2020", "Asia/Shanghai", "gpu_model")] == [
        tuple(row.values()) for row in clusters
    ]
    assert "GPU-h held, GPU use was not measured" in text
