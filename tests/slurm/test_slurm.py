"""A real Slurm, asked by gpulake: what it says is what the scheduler did, by the scheduler's own figures and the jobs' own words."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from tests.slurm.site import GPUS_PER_NODE, Site

from gpulake.lake import open_publication
from gpulake.landing import recognition, rows
from gpulake.sources.slurm import SOURCE

pytestmark = [pytest.mark.slow, pytest.mark.slurm]

ENDED = {
    # job, its status, GPUs that it was given
    "ok": ("succeeded", 1),
    "fails": ("failed", 2),
    "spread": ("succeeded", 4),
    "alone": ("succeeded", GPUS_PER_NODE),
    "too_long": ("timeout", 1),
    "stopped": ("cancelled", 1),
    "never": ("cancelled", 2),
    "again": ("succeeded", 1),
    "plain": ("succeeded", None),
    "two\nlines | of it": ("succeeded", 1),
}


def gpulake(site: Site, *args: object, environ: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """The command line, as a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "gpulake", *map(str, args)],
        env=environ or site.environ,
        capture_output=True,
        text=True,
        check=False,
    )


class Story:
    """What happened to the jobs, and what was collected on the way."""

    def __init__(self, site: Site, folder: Path) -> None:
        self.site = site
        self.lake = folder / "lake"
        self.devices = folder / "devices"
        self.jobs: dict[str, str] = {}

    def collect(self, *options: object) -> dict[str, object]:
        """One run of the collector, as it says what it did."""
        done = gpulake(self.site, "collect", "slurm", "--cluster", "lab", "--lake", self.lake, "--json", *options)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    def ask(self, query: str) -> list[dict[str, object]]:
        """Rows of the publication."""
        with open_publication(self.lake) as reader:
            return reader.sql(query).to_pylist()


@pytest.fixture(scope="module")
def story(site, tmp_path_factory):
    """Jobs of every fate, collected while some run and when all have ended, then built and published."""
    told = Story(site, tmp_path_factory.mktemp("story"))
    submit, jobs = site.submit, told.jobs
    ends = f'echo "$SLURM_JOB_ID $SLURMD_NODENAME $CUDA_VISIBLE_DEVICES" >> {told.devices}; sleep 20'
    jobs["spread"] = submit("spread", f"srun sh -c '{ends}'", "--nodes=2", "--gres=gpu:h100:2")
    site.until(lambda: site.state(jobs["spread"]) == "RUNNING", "the job on two nodes runs")
    jobs["too_long"] = submit("too_long", "sleep 300", "--gres=gpu:1", "--time=1", "--account=bio")
    jobs["again"] = submit(
        "again", '[ "${SLURM_RESTART_COUNT:-0}" -gt 0 ] || sleep 60; true', "--gres=gpu:1", "--requeue"
    )
    jobs["stopped"] = submit("stopped", "sleep 300", "--gres=gpu:h100:1", "--account=bio")
    jobs["never"] = submit("never", "true", "--gres=gpu:2", "--begin=now+1hour")
    site.until(lambda: all(site.state(jobs[name]) == "RUNNING" for name in ("again", "stopped", "spread")), "jobs run")
    site.until(lambda: told.devices.exists() and told.devices.read_text().count("\n") == 2, "the two nodes have spoken")
    told.first = told.collect()
    site.run("scontrol", "requeue", jobs["again"])
    site.run("scancel", jobs["stopped"], jobs["never"])
    site.until(lambda: site.state(jobs["again"]) == "PENDING", "the job waits again", 60)
    site.run("scontrol", "update", f"JobId={jobs['again']}", "StartTime=now")  # else it waits for two minutes
    site.until(lambda: site.state(jobs["spread"]) == "COMPLETED", "the job on two nodes has ended", 60)
    jobs["ok"] = submit("ok", "sleep 2", "--gres=gpu:1")
    jobs["fails"] = submit("fails", "exit 7", "--gres=gpu:h100:2")
    jobs["plain"] = submit("plain", "sleep 1")
    jobs["sweep"] = submit("sweep", "sleep 1", "--array=0-2", "--gres=gpu:1", "--account=bio")
    jobs["two\nlines | of it"] = submit("two\nlines | of it", "sleep 1", "--gres=gpu:1", "--comment=a|b\nc")
    waited = ("ok", "fails", "plain", "two\nlines | of it", "again")
    site.until(lambda: all(site.state(jobs[name]) in {"COMPLETED", "FAILED"} for name in waited), "all have ended", 90)
    site.until(lambda: set(site.state(jobs["sweep"]).split()) == {"COMPLETED"}, "the array has ended", 60)
    jobs["alone"] = submit("alone", "sleep 2", "--exclusive", "--gres=gpu:1")
    site.until(lambda: site.state(jobs["alone"]) == "COMPLETED", "the exclusive job has ended", 60)
    site.run("scontrol", "update", "NodeName=gpu2", "State=drain", "Reason=fan failed | really")
    site.until(lambda: "drain" in site.run("sinfo", "-h", "-N", "-n", "gpu2", "-o", "%T"), "the node is drained")
    site.run("scontrol", "update", "NodeName=gpu2", "State=resume")
    site.until(lambda: site.state(jobs["too_long"]) == "TIMEOUT", "the long job was ended", 150)
    told.second = told.collect("--refresh")
    told.third = told.collect()
    return told


def test_each_job_ended_as_it_did(story):
    """A job that was cancelled, timed out or failed is told apart, with what it was given."""
    jobs = {
        row["recurrence_id"].removeprefix("root/"): (row["job_status"], row["gpu_request_count"])
        for row in story.ask("select * from silver_jobs where recurrence_id != 'root/sweep'")
    }

    assert ENDED == jobs


def test_accounts_partitions_and_models_are_kept(story):
    """Whose bill it is."""
    (row,) = story.ask("select * from silver_jobs where recurrence_id = 'root/stopped'")

    assert ("bio", "train", "root", "normal", "h100") == tuple(
        row[name] for name in ("group_id", "queue", "user_id", "workload_tag", "gpu_model_request")
    )


def test_an_array_is_a_job_per_task(story):
    """Each task waits, runs and fails by itself."""
    rows = story.ask("select job_id, job_status from silver_jobs where recurrence_id = 'root/sweep' order by job_id")

    assert [f"{story.jobs['sweep']}_{task}" for task in range(3)] == [row["job_id"].partition("@")[0] for row in rows]
    assert {"succeeded"} == {row["job_status"] for row in rows}


def test_a_requeued_job_is_one_job_with_two_attempts(story):
    """Its second submission is not its own, and its wait is that of its first attempt."""
    (job,) = story.ask("select * from silver_jobs where recurrence_id = 'root/again'")
    attempts = story.ask(f"select * from silver_instances where job_id = '{job['job_id']}' order by started_at")

    assert ["REQUEUED", "COMPLETED"] == [attempt["status_source"] for attempt in attempts]
    assert attempts[0]["ended_at"] <= attempts[1]["started_at"]
    assert job["submitted_at"] <= attempts[0]["started_at"] == job["started_at"]
    assert attempts[1]["ended_at"] == job["ended_at"]


def test_gpu_seconds_are_those_of_the_scheduler(story):
    """Σ over attempts of what sacct says they lasted × what it says they held."""
    printed = story.site.run("sacct", "-D", "-X", "-a", "-n", "-P", "-S", "now-1hour", "--format=ElapsedRaw,AllocTRES")
    expected = 0
    for line in printed.splitlines():
        elapsed, _, tres = line.partition("|")
        held = re.search(r"gres/gpu=(\d+)", tres)
        expected += int(elapsed) * int(held[1]) if held else 0
    (found,) = story.ask("select sum(allocated_mgpu_s) as mgpu_s from silver_allocations")

    assert expected > 0
    assert expected * 1000 == found["mgpu_s"]


def test_the_job_itself_saw_the_devices_that_it_is_said_to_hold(story):
    """CUDA_VISIBLE_DEVICES of the job, on each of its nodes."""
    seen = set()
    for line in story.devices.read_text().splitlines():
        job, node, devices = line.split()
        seen |= {(job, node, float(device)) for device in devices.split(",")}
    held = story.ask(
        f"select jobid, node, gpu_index from bronze_slurm_placement where jobid = '{story.jobs['spread']}'"
    )

    assert 4 == len(seen)
    assert seen == {(row["jobid"], row["node"], row["gpu_index"]) for row in held}


def test_machines_are_the_nodes(story):
    """Capacity, and what was drained."""
    machines = story.ask("select machine_id, gpu_model_source, gpu_count, cpu_cores from silver_machines order by 1")
    events = story.ask("select * from bronze_slurm_event where node = 'gpu2'")

    assert [("gpu1", "h100", GPUS_PER_NODE, 8), ("gpu2", "h100", GPUS_PER_NODE, 8)] == [
        tuple(m.values()) for m in machines
    ]
    assert "fan failed | really" in {event["state_reason"] for event in events}
    assert all(event["to_at"] is not None for event in events if "fan" in event["state_reason"])


def test_nothing_is_handed_out_twice(story):
    """The third run found what the second had left: nothing."""
    assert 0 == story.third["rows"]
    assert story.first["rows"] > 0
    assert story.second["rows"] > 0
    told = story.ask(
        'select jobid, submit, start, "end", count(*) as times from bronze_slurm_job group by all having count(*) > 1'
    )
    assert [] == [row for row in told if row["end"] is not None]


@pytest.mark.parametrize("delimiter", ["|", "^"])
def test_text_and_json_say_the_same(story, tmp_path, delimiter):
    """Whichever a site exports, the same jobs."""
    asked = ("sacct", "-D", "-a", "-S", "now-1hour")
    text, document = tmp_path / "sacct.txt", tmp_path / "sacct.json"
    fields = "User,State,JobID,Submit,Start,End,ElapsedRaw,Account,Partition,QOS,NodeList,ReqTRES,AllocTRES,JobName,Comment,SubmitLine"
    text.write_text(story.site.run(*asked, "-P", f"--delimiter={delimiter}", f"--format={fields}"))
    document.write_text(story.site.run(*asked, "--json"))
    names = [
        "jobid",
        "user",
        "account",
        "partition",
        "qos",
        "state",
        "submit",
        "start",
        "end",
        "nodes",
        "alloc_gpus",
        "req_gpus",
    ]
    frames = []
    for file in (text, document):
        found = recognition.recognise(file, SOURCE.tables)
        converted = rows.convert(found, landing_id="0" * 64, folder=tmp_path / file.name[6:], time_zone="UTC")
        assert [] == converted.refused.to_pylist()
        frame = pl.concat([pl.read_parquet(part) for part in converted.files])
        frame = frame.filter(~pl.col("jobid").str.contains(".", literal=True))
        frames.append(frame.select(names).with_columns(pl.col("state").str.extract(r"^(\w+)")).sort("jobid", "submit"))

    assert 13 == frames[0].height
    assert frames[0].rows() == frames[1].rows()


def test_a_slurm_that_does_not_answer_is_one_line(story, tmp_path):
    """What is called at night is not a traceback."""
    environ = story.site.environ | {"SLURM_CONF": str(tmp_path / "nothing.conf")}
    done = gpulake(
        story.site, "collect", "slurm", "--lake", tmp_path / "lake", "--timeout", "3", "--json", environ=environ
    )

    assert 10 == done.returncode
    assert "sacct did not answer within 3 s." == json.loads(done.stdout)["error"]["what"]
    assert "Traceback" not in done.stderr
