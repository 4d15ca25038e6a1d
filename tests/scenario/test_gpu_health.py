"""Whether GPUs are well: injected faults are found, healthy sites have none, and people are told whose GPUs it was.

Each site is a cluster of one lake. `bench/health` counts the same over many more sites.
"""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from gpulake import pipeline
from gpulake.config import Config
from gpulake.lake import open_publication
from gpulake.reading.health import read_health
from gpulake.reading.scope import clusters_of
from gpulake.serve.look import Look
from gpulake.serve.page import all_pages, all_parts, filled
from gpulake.simulate import site

pytestmark = pytest.mark.slow

FOUND_AS = {
    "throttling": {"sick"},
    "ecc_storm": {"sick"},
    "fallen_off_the_bus": {"sick"},
    "xid_storm": {"look", "sick"},
    "stuck_sensor": {"look", "sick"},
    "power_cap": {"look", "sick"},
}
"""Faults of GPUs, and the verdicts that tell of them. What takes a machine down is an incident, not a sick GPU.

Half of an outage of the exporter may lie on each of two days: then less than a tenth of either is missing.
"""
SEEDS = {"ill14": "all", "ill15": "all", "ill16": "all", "well1": "none", "well2": "counter_reset", "well3": "none"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Six sites of 16 GPUs for three days, landed one after the other and built together."""
    folder = tmp_path_factory.mktemp("sites")
    config = Config(lake=folder / "lake")
    for name, faults in SEEDS.items():
        site.simulate(
            folder / name, nodes=4, gpus_per_node=4, days=3, start=date(2026, 3, 2), zone="UTC",
            seed=int(name.strip("ilwe")), faults="" if faults == "none" else faults, every_s=60, roads=("plain",),
        )  # fmt: skip
        last = name == list(SEEDS)[-1]
        result = (pipeline.refresh if last else pipeline.land)(config, data=folder / name / "plain", cluster=name)
        assert result.error is None, result.error
    assert result.published, result.why
    return folder


@pytest.fixture(scope="module")
def lake(folder):
    with open_publication(folder / "lake") as reader:
        yield reader


@pytest.fixture
def look(lake):
    """A visitor of one cluster and thing."""

    def at(path: str, cluster: str, **named: str) -> Look:
        return Look(lake, clusters=clusters_of(lake), path=path, asked={"cluster": cluster}, named=named)

    return at


def page_of(path: str):
    return next(page for page in all_pages() if page.path == path)


def labels_of(folder: Path, name: str) -> list[dict]:
    return pl.read_parquet(folder / name / "truth" / "faults.parquet").to_dicts()


@pytest.mark.parametrize("name", [name for name in SEEDS if name.startswith("ill")])
def test_injected_faults_are_found(folder, lake, name):
    """Each labelled fault of a GPU shows in a verdict of its days; each machine that went down is a critical incident."""
    verdicts = lake.sql(
        "select machine_id, gpu_device, dt, verdict from gold_gpu_health_daily where cluster_id = ?", [name]
    ).to_pylist()
    incidents = lake.sql(
        "select machine_id, worst_event from gold_gpu_incidents where severity = 'critical' and cluster_id = ?", [name]
    ).to_pylist()

    missed = []
    for label in labels_of(folder, name):
        last = label["to_at"] - timedelta(seconds=1)
        seen = {
            row["verdict"]
            for row in verdicts
            if row["machine_id"] == label["machine_id"]
            and label["from_at"].date() <= row["dt"] <= last.date()
            and label["gpu_index"] in {None, int(row["gpu_device"])}
        }
        if label["kind"] in FOUND_AS and not seen & FOUND_AS[label["kind"]]:
            missed.append((label["kind"], label["machine_id"], sorted(seen)))
        if label["kind"] in {"node_down", "flapping"}:
            down = [
                row for row in incidents if row["machine_id"] == label["machine_id"] and "down" in row["worst_event"]
            ]
            assert len(down) >= (6 if label["kind"] == "flapping" else 1)
    assert [] == missed


def test_a_healthy_site_has_no_sick_gpu(lake):
    """A false alarm per week and fleet would be switched off; a counter that begins anew is no error."""
    of_well = "cluster_id like 'well%'"

    assert [] == lake.sql(f"select * from gold_gpu_health_daily where {of_well} and verdict <> 'well'").to_pylist()
    assert [] == lake.sql(f"select * from gold_gpu_incidents where {of_well}").to_pylist()
    assert [] == lake.sql(f"select * from gold_error_spikes_daily where {of_well} and is_spike").to_pylist()


def test_a_jobs_page_tells_of_the_error_that_ended_it(folder, lake, look):
    """Who lost a job to a GPU must learn which GPU, and that it was not the code."""
    (label,) = [each for each in labels_of(folder, "ill14") if each["kind"] == "fallen_off_the_bus"]
    (incident,) = lake.sql(
        "select failed_job_ids from gold_gpu_incidents where cluster_id = 'ill14' and machine_id = ? and gpu_devices = ?"
        " and event_names like '%Xid 79%'",
        [label["machine_id"], str(label["gpu_index"])],
    ).to_pylist()
    job = incident["failed_job_ids"].split(", ")[0]
    assert job in label["job_ids"].split()

    shown = filled(page_of("/jobs/{job_id:path}"), look(f"/jobs/{job}", "ill14", job_id=job))

    assert ["job_health.html"] == shown["further"]
    assert "hit it, and it failed" in shown["health_sentence"]
    assert (label["machine_id"], str(label["gpu_index"]), "sick", True) in [
        (row["machine_id"], row["gpu_device"], row["verdict"], row["is_its_own"]) for row in shown["gpus"].all_rows
    ]
    held = {row["gpu_device"] for row in shown["gpus"].all_rows if row["machine_id"] == label["machine_id"]}
    truth = pl.read_parquet(folder / "ill14" / "truth" / "holds.parquet").filter(
        (pl.col("job_id") == job) & (pl.col("machine_id") == label["machine_id"])
    )
    assert held <= {str(index) for index in truth["gpu_index"]}, "no GPU of another job"


def test_a_machines_page_tells_of_its_errors(folder, look):
    """Before it goes back into service somebody looks here."""
    (label,) = [each for each in labels_of(folder, "ill14") if each["kind"] == "ecc_storm"]
    machine = label["machine_id"]

    shown = filled(page_of("/machines/{machine_id:path}"), look(f"/machines/{machine}", "ill14", machine_id=machine))

    assert "sick" in shown["health_sentence"]
    assert any("Xid 48" in row["event_names"] for row in shown["incidents"].all_rows)
    assert 4 == shown["gpus"].count


def test_a_pages_part_is_of_a_page_that_there_is():
    """A part of a page that was renamed would be shown to nobody."""
    assert {part.of for part in all_parts()} <= {page.path for page in all_pages()}


def test_gpus_of_which_the_same_is_said_are_told_once_and_with_their_jobs(folder, look):
    """Four GPUs behind one power cap are one thing to do."""
    (label,) = [each for each in labels_of(folder, "ill14") if each["kind"] == "power_cap"]

    found = read_health(look("/health", "ill14"), with_holders=True)

    capped = [
        group
        for group in found.groups
        if group["machine_id"] == label["machine_id"] and "may draw" in group["verdict_reason"]
    ]
    assert {"0, 1, 2, 3"} >= {group["gpu_devices"] for group in capped if group["gpus"] == 4}
    assert 4 == sum(group["gpus"] for group in capped)
    assert set(label["job_ids"].split()) & {each["job_id"] for group in capped for each in group["holders"]}
    assert found.critical["incidents"] >= 6 + 1 + 1
    assert sum(group["gpus"] for group in found.groups if group["verdict"] == "sick") == found.counts["sick"]
