"""The GenAI serving trace: made-up samples with each oddity, and the real ones where this machine has them."""

from __future__ import annotations

import csv
import io
import shutil
import tarfile
from collections import defaultdict
from datetime import date
from pathlib import Path

import pytest

from gpulake import pipeline
from gpulake.config import Config
from gpulake.lake import open_newest, open_publication

pytestmark = pytest.mark.slow  # its lakes are refreshed twice, and the real samples are many

FIXTURES = Path(__file__).parents[1] / "fixtures" / "genai2026"
DUTY, MEMORY = "pod_gpu_duty_cycle_anon", "pod_gpu_memory_used_bytes_anon"

USAGE = """
    SELECT right(job_id, 1)::int AS container, epoch(measured_from)::int - 1000079700 AS start,
        epoch(measured_to - measured_from)::int AS s, gpu_used_count AS gpus, gpu_mem_used_bytes_mean / 1e9 AS gb
    FROM stg_genai2026__usage ORDER BY container, start
"""
SPANS = """
    SELECT right(job_id, 1)::int AS container, epoch(started_at)::int - 1000079700 AS start, run_s
    FROM silver_jobs ORDER BY container
"""


def tuples(reader, query):
    return [tuple(row.values()) for row in reader.sql(query).to_pylist()]


# ---------------------------------------------------------------------------------------------- made up


@pytest.fixture(scope="module")
def twice(tmp_path_factory):
    """Duty alone, then everything: the spans as first published, and the second result."""
    folder = tmp_path_factory.mktemp("genai")
    config = Config(lake=folder / "lake")
    first = pipeline.refresh(config, data=FIXTURES / f"{DUTY}.csv")
    assert first.published, first.why
    with open_publication(config.lake) as reader:
        spans = tuples(reader, SPANS)
    second = pipeline.refresh(config, data=FIXTURES)
    assert second.published, second.why
    assert not second.build.full_build
    with open_publication(config.lake) as reader:
        yield spans, second, reader


def test_samples_land_by_name_and_other_measures_are_left_alone(twice):
    """Five files of the trace have this header; a queue's times read as a duty cycle would be nonsense figures."""
    _, second, reader = twice
    landed = {landing.table: (landing.rows_kept, landing.rows_refused) for landing in second.land.landings}
    (other,) = [file for file in second.land.unrecognised if file.path.suffix == ".csv"]

    assert (9, 0) == landed["genai_pod_gpu_duty_cycle"]
    assert (10, 0) == landed["genai_pod_gpu_memory_used_bytes"]
    assert ("queue_rt_raw_anon.csv", True) == (other.path.name, "known by their file names" in other.reason)
    assert [(1_000_079_700.0, 50.0)] == tuples(
        reader, "SELECT timestamp_anon, value FROM lake.main.bronze_genai2026_duty_cycle WHERE source_row = 2"
    )


def test_a_container_is_seen_from_its_first_sample_to_the_end_of_its_last(twice):
    """Memory that arrives later prolongs a life that was published: an incremental build must see it."""
    spans, _, reader = twice

    assert [(1, 0, 257.0), (2, 0, 342.0), (3, 228, 57.0)] == spans
    assert [(1, 0, 311.0), (2, 0, 342.0), (3, 228, 57.0), (4, 0, 114.0)] == tuples(reader, SPANS)


def test_samples_measure_at_most_their_step(twice):
    """Filled up to the next sample, a silent exporter would look like measured use.

    120 % at 200 s is not believed: it counts for nothing, so it does not cut off the sample before it either.
    """
    _, _, reader = twice

    assert [
        (1, 0, 57, 0.5, 2.0), (1, 57, 57, 0.0, 2.0), (1, 114, 57, None, 2.0), (1, 171, 57, 0.25, 1.0),
        (1, 200, 57, 1.2, None), (1, 254, 57, None, 2.0),
        (2, 0, 57, 0.0, 3.0), (2, 57, 57, 0.0, 0.5), (2, 114, 57, None, None), (2, 285, 57, 0.8, 3.0),
        (3, 228, 57, 0.1, None),
        (4, 0, 57, None, 4.0), (4, 57, 57, None, 4.0),
    ] == tuples(reader, USAGE)  # fmt: skip


def test_what_the_trace_does_not_record_is_null_with_its_reason(twice):
    """A wait of 0 s or a status "running" would be ours, not the trace's."""
    _, second, reader = twice
    jobs = reader.sql(
        "SELECT DISTINCT job_status, status_source, submitted_at, wait_s, user_id, gpu_request_count FROM silver_jobs"
    ).to_pylist()
    gaps = dict(
        tuples(
            reader,
            "SELECT column_name, reason FROM gold_availability WHERE table_name = 'silver_jobs' "
            "AND cluster_id = 'genai2026' AND NOT available AND missing_table IS NULL",
        )
    )

    assert [
        {"job_status": "unknown", "status_source": None, "submitted_at": None, "wait_s": None, "user_id": None,
         "gpu_request_count": 1.0}
    ] == jobs  # fmt: skip
    assert "Waiting begins at the submission, which is not recorded." == gaps["wait_s"]
    assert {"job_status", "submitted_at", "user_id"} < set(gaps)
    assert () == second.tests.warned


def test_what_nobody_held_is_as_unknown_in_the_bill_as_in_the_capacity(twice):
    """The trace describes no machines: 0 idle GPU-hours would say that all were held."""
    _, _, reader = twice

    assert [(None,)] == tuples(reader, "SELECT DISTINCT unallocated_gpu_h FROM gold_capacity_daily")
    assert [(None,)] == tuples(reader, "SELECT DISTINCT unallocated_gpu_h FROM gold_cost_daily")


def test_the_window_holds_the_last_samples_step(twice):
    """Cut off at the last sample, the seconds after midnight would belong to no day."""
    _, _, reader = twice

    assert [(date(2001, 9, 9),), (date(2001, 9, 10),)] == tuples(reader, "SELECT dt FROM silver_days ORDER BY dt")


def test_the_publishers_archive_is_the_same_landing(tmp_path, pai):
    """A Mac's companion of the table is skipped, and the archive's bytes are the table's."""
    data = tmp_path / "data"
    data.mkdir()
    shutil.copy(FIXTURES / f"{DUTY}.csv", data)
    content = (FIXTURES / f"{DUTY}.csv").read_bytes()
    pai.tar(data / f"{DUTY}.tar.gz", [(f"._{DUTY}.csv", b"\0\5\x16\7"), (f"{DUTY}.csv", content)])
    report = pipeline.land(Config(lake=tmp_path / "lake"), data=data).land
    landings = [landing for landing in report.landings if landing.source == "genai2026"]

    assert ["already", "landed"] == sorted(landing.status for landing in landings)
    assert 1 == len({landing.landing_id for landing in landings})
    with open_newest(tmp_path / "lake") as view:
        found = tuples(
            view, "SELECT min_event_at::text, max_event_at::text FROM lake.meta.landings WHERE source = 'genai2026'"
        )
    assert [("2001-09-09 23:55:00", "2001-09-10 00:00:42")] == found


# -------------------------------------------------------------------------------------------- real ones


def samples(file):
    """(container, time) to value, read with nothing but tarfile and the csv module."""
    with tarfile.open(file) as archive:
        (member,) = (m for m in archive if m.isfile() and not Path(m.name).name.startswith("._"))
        text = io.TextIOWrapper(archive.extractfile(member), newline="")
        return {
            (row["container_ip"], float(row["timestamp_anon"])): float(row["value"]) for row in csv.DictReader(text)
        }


@pytest.fixture(scope="module")
def real(real_genai, tmp_path_factory):
    """The real samples: as an independent reading has them, and as published."""
    lake = tmp_path_factory.mktemp("genai-real") / "lake"
    result = pipeline.refresh(Config(lake=lake), data=real_genai)
    assert result.published, result.why
    with open_publication(lake) as reader:
        yield samples(real_genai / f"{DUTY}.tar.gz"), samples(real_genai / f"{MEMORY}.tar.gz"), result, reader


def test_the_real_samples_land_whole_and_the_rest_is_listed(real):
    """157,417 and 161,413 samples with the publisher's own bytes; six other measures are left alone, with a reason."""
    duty, memory, result, _ = real
    landed = [landing for landing in result.land.landings if landing.source == "genai2026"]

    assert (157_417, 161_413) == (len(duty), len(memory))
    assert [157_417, 161_413] == sorted(landing.rows_kept for landing in landed)
    assert {(0, True)} == {(landing.rows_refused, landing.published_bytes) for landing in landed}
    assert () == result.land.refused
    assert 6 == len([file for file in result.land.unrecognised if file.path.name != "README.md"])
    assert all(file.reason for file in result.land.unrecognised)


def test_a_zero_is_a_measurement(real):
    """Mean duty is 7.03 %; with zeros dropped it reads 21.19 %, three times as much."""
    duty, _, _, reader = real
    busy = [value for value in duty.values() if value]
    ((mean, busy_mean, measured),) = tuples(
        reader,
        "SELECT avg(gpu_used_count) * 100, avg(gpu_used_count) FILTER (gpu_used_count > 0) * 100, count(gpu_used_count) "
        "FROM stg_genai2026__usage",
    )

    assert (7.03, 21.19) == (round(sum(busy) / len(duty), 2), round(sum(busy) / len(busy), 2))
    assert (7.03, 21.19, 157_417) == (round(mean, 2), round(busy_mean, 2), measured)


def test_two_kinds_of_samples_meet_at_container_and_time(real):
    """3,998 memory samples have no duty sample: taken as zero use they would be idle time that nobody measured."""
    duty, memory, _, reader = real
    matched = duty.keys() & memory.keys()
    idle = sum(1 for key in matched if duty[key] == 0 and memory[key] > 1e9)
    ((only_memory, only_duty, both, held),) = tuples(
        reader,
        "SELECT count(*) FILTER (gpu_used_count IS NULL), count(*) FILTER (m IS NULL), count(gpu_used_count + m), "
        "count(*) FILTER (gpu_used_count = 0 AND m > 1e9) "
        "FROM (SELECT *, gpu_mem_used_bytes_mean AS m FROM stg_genai2026__usage)",
    )

    assert (3_998, 2) == (len(memory.keys() - duty.keys()), len(duty.keys() - memory.keys()))
    assert (3_998, 2, len(matched), idle) == (only_memory, only_duty, both, held)
    assert (157_415, 104_949, 0.667) == (both, held, round(held / both, 3))


def test_held_used_and_unknown_gpu_time_of_the_real_samples(real):
    """144 containers hold 2,571.4 GPU-hours, use 175.1 of them, and of 78.9 nothing is known."""
    duty, memory, _, reader = real
    seen = defaultdict(list)
    for container, at in duty.keys() | memory.keys():
        seen[container].append(at)
    held_s = sum(max(times) + 57 - min(times) for times in seen.values())
    follows, used_s, measured_s = {}, 0.0, 0.0
    for container, at in sorted(duty, reverse=True):
        covered_s = min(57.0, follows.get(container, at + 57) - at)
        follows[container] = at
        measured_s += covered_s
        used_s += covered_s * duty[container, at] / 100
    ((measured, used),) = tuples(
        reader,
        "SELECT sum(s), sum(s * gpu_used_count) FROM (SELECT *, epoch(measured_to - measured_from) AS s "
        "FROM stg_genai2026__usage WHERE gpu_used_count IS NOT NULL)",
    )
    ((containers, held, lines),) = tuples(
        reader,
        "SELECT count(DISTINCT job_id), sum(run_s), count(DISTINCT (landing_id, source_row)) FROM silver_instances",
    )

    assert (144, 143) == (len(seen), len({container for container, _ in duty}))
    assert (144, 144, held_s) == (containers, lines, held)
    assert (measured_s, pytest.approx(used_s)) == (measured, used)
    assert (2_571.4, 175.1, 78.9) == (
        round(held / 3600, 1),
        round(used / 3600, 1),
        round((held - measured) / 3600, 1),
    )
