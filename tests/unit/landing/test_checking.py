"""What `gpulake check` tells of a folder: the rows that landing would refuse, and what is doubtful across files."""

from __future__ import annotations

from datetime import datetime

import pytest

from gpulake.config import Config
from gpulake.landing import check, look, nothing_known
from gpulake.sources import all_sources

NOW = datetime(2026, 2, 1)  # noqa: DTZ001  # the lake keeps UTC without a zone
JOBS = "job_id,submitted_at,started_at,ended_at,status\n"
ALLOCATIONS = "job_id,machine_id,started_at,ended_at,gpu_count,gpu_indices,gpu_share_ratio\n"
MACHINES = "machine_id,gpu_count,memory_bytes\nn1,4,549755813888\nn2,2,549755813888\n"
DAY = "2026-01-15T"


@pytest.fixture
def checked(tmp_path):
    """Writes files and checks them."""

    def do(**files):
        folder = tmp_path / "mine"
        folder.mkdir()
        for name, text in files.items():
            (folder / f"{name}.csv").write_text(text)
        surveyed = look(folder, all_sources())
        found = check(
            surveyed, config=Config(lake=tmp_path / "lake"), cluster=None, now=NOW, status_words={"plain": {"DONE"}}
        )
        assert sorted(files) == sorted(path.stem for path in folder.iterdir()), "a check writes nothing"
        assert not (tmp_path / "lake").exists()
        return found, nothing_known(surveyed, folder, all_sources())

    return do


def doubts(found):
    return [(doubt.table, doubt.rows, doubt.where, doubt.what) for doubt in found.doubts]


def job(number, *, submitted="08:00", started="09:00", ended="10:00", status="DONE"):
    return f"{number},{DAY}{submitted}Z,{DAY}{started}Z,{DAY}{ended}Z,{status}\n"


def held(number, machine, start, end, *, gpus="", indices="", share=""):
    return f'{number},{machine},{DAY}{start}Z,{DAY}{end}Z,{gpus},"{indices}",{share}\n'


def test_what_is_right_is_told_without_a_doubt(checked):
    """A check that doubts good data is not typed a second time."""
    rows = [held(1, "n1", "09:00", "10:00", gpus=4, indices="0,1,2,3"), held(2, "n1", "10:00", "11:00", gpus=4, indices="0 1 2 3"),
            held(3, "n2", "09:00", "10:00", indices="0", share=0.5), held(4, "n2", "09:00", "10:00", indices="[0, 1]", share=0.5)]  # fmt: skip
    found, error = checked(
        jobs=JOBS + "".join(map(job, range(1, 5))), allocations=ALLOCATIONS + "".join(rows), machines=MACHINES
    )

    assert [] == doubts(found)
    assert error is None
    assert [("allocations.csv", 4), ("jobs.csv", 4), ("machines.csv", 2)] == [
        (each.file, each.rows_kept) for each in found.files
    ]
    assert ("job_id", "submitted_at", "started_at", "ended_at", "status") == found.files[1].given


def test_refused_rows_are_told_with_their_reason_their_line_and_their_text(checked):
    """The first bad line, as it stands, is what people mend."""
    found, _ = checked(
        jobs=JOBS + job(1) + job(2, submitted="25:00") + job(3, submitted="26:00") + job(4, ended="07:00")
    )
    (file,) = found.files

    assert (4, 1, 3) == (file.rows_in, file.rows_kept, file.rows_refused)
    assert [
        ("submitted_at is not a time (iso8601_or_epoch)", 2, 3),
        ("ended_at is before submitted_at", 1, 5),
    ] == [(reason.what, reason.rows, reason.first_row) for reason in file.reasons]
    assert job(2, submitted="25:00").strip() == file.reasons[0].example


def test_a_column_that_nobody_takes_is_told_with_the_one_that_was_meant(checked):
    """`user` for `user_id` is a report without users."""
    found, _ = checked(
        jobs="job_id,submitted_at,user,colour,gpu_request_cnt,queue,status\n" + f"1,{DAY}08:00Z,ada,red,1,b,\n"
    )

    assert {"user": "user_id", "colour": "", "gpu_request_cnt": "gpu_request_count"} == found.files[0].left


def test_names_that_nothing_bears(checked):
    """A job id with a prefix in one file only: everything lands, and nothing meets."""
    found, _ = checked(
        jobs=JOBS + job(1), machines=MACHINES,
        allocations=ALLOCATIONS + held(1, "n1", "09:00", "10:00", gpus=1) + held("job-1", "n9", "09:00", "10:00", gpus=1),
    )  # fmt: skip

    assert [
        ("plain_allocations", 1, "allocations.csv:3", "a job_id that plain_jobs does not have, as 'job-1'"),
        ("plain_allocations", 1, "allocations.csv:3", "a machine_id that plain_machines does not have, as 'n9'"),
    ] == doubts(found)


def test_what_is_not_delivered_cannot_be_missed(checked):
    """Allocations alone are a delivery too: their jobs landed yesterday."""
    found, _ = checked(allocations=ALLOCATIONS + held(1, "n1", "09:00", "10:00", gpus=1))

    assert [] == doubts(found)


def test_times_that_run_backwards_or_are_of_another_age(checked):
    """Two clocks, or two zones, disagree: waits would be negative."""
    future = "9,2026-03-01T00:00:00Z,,,DONE\n"
    found, _ = checked(jobs=JOBS + job(1, started="07:30") + job(2, started="09:30", ended="09:00") + future)

    assert [
        ("plain_jobs", 1, "jobs.csv:2", "started_at is before submitted_at, as '2026-01-15 07:30:00'"),
        ("plain_jobs", 1, "jobs.csv:3", "ended_at is before started_at, as '2026-01-15 09:00:00'"),
        ("plain_jobs", 1, "jobs.csv:4", "submitted_at is in the future, as '2026-03-01 00:00:00'"),
    ] == doubts(found)


def test_a_date_without_dashes_is_a_second_of_1970(checked):
    """20260115 is read as seconds: it would open a calendar of half a century."""
    found, _ = checked(jobs="job_id,submitted_at\n1,20260115\n")

    assert [
        ("plain_jobs", 1, "jobs.csv:2", "submitted_at is before the year 2000, as '1970-08-23 11:48:35'")
    ] == doubts(found)


@pytest.mark.parametrize(
    ("column", "values", "what"),
    [
        ("gpu_util_pct", "0,0.5,1.0", "gpu_util_pct goes up to 1: it is meant in percent, 0 to 100, and these look like ratios"),
        ("sm_active_ratio", "0,0.5,97", "sm_active_ratio goes up to 97: it is meant in ratios, 0 to 1, and these look like percent"),
        ("memory_used_bytes", "0,40960,7", "memory_used_bytes goes up to 40960: it is meant in bytes, and these look like MiB or GiB"),
        ("sm_clock_hz", "210,1410,210", "sm_clock_hz goes up to 1410: it is meant in Hz, and these look like MHz"),
        ("power_w", "0,399000,2", "power_w goes up to 399000: it is meant in W, and these look like mW"),
        ("temperature_c", "90,150,100", "temperature_c goes up to 150: it is meant in degrees Celsius, and these look like Fahrenheit or Kelvin"),
        ("gpu_util_pct", "0,0,0", None),
        ("gpu_util_pct", "0,1,2", None),
        ("sm_active_ratio", "0,1,1.01", None),
        ("power_w", "0,700,55.5", None),
    ],
)  # fmt: skip
def test_amounts_in_another_unit(checked, column, values, what):
    """A ratio in a column of percent makes every GPU idle, and nobody sees why."""
    lines = [f"n1,0,{DAY}08:0{number}:00Z,{value}\n" for number, value in enumerate(values.split(","))]
    found, _ = checked(samples=f"machine_id,gpu_index,sampled_at,{column}\n{''.join(lines)}")

    assert ([what] if what else []) == [doubt.what for doubt in found.doubts]


def test_more_held_at_once_than_there_is(checked):
    """Over-allocated hours are shown as such later: here whoever writes the files can still mend them."""
    rows = [held(1, "n2", "09:00", "11:00", gpus=1), held(2, "n2", "10:00", "12:00", gpus=1.5), held(3, "n2", "12:00", "13:00", gpus=2)]  # fmt: skip
    found, _ = checked(allocations=ALLOCATIONS + "".join(rows), machines=MACHINES)

    assert [
        ("plain_allocations", 1, "allocations.csv:3", "more GPUs held at once than the machine has, as 'n2'")
    ] == doubts(found)


def test_devices_that_are_not_there_held_twice_or_not_read(checked):
    """A list that is not understood names no device, so no sample finds its job."""
    rows = [held(1, "n1", "09:00", "11:00", gpus=1, indices="1"), held(2, "n1", "10:00", "12:00", gpus=1, indices="1"),
            held(3, "n2", "09:00", "10:00", gpus=1, indices="2"), held(4, "n1", "12:00", "13:00", gpus=2, indices="2-3")]  # fmt: skip
    found, _ = checked(allocations=ALLOCATIONS + "".join(rows), machines=MACHINES)

    assert [
        (5, "gpu_indices is no list of numbers, so nobody knows which devices are meant, as '2-3'"),
        (4, "a GPU index that the machine does not have (they are counted from 0), as '2'"),
        (3, "a device held twice at once, as 'n1'"),
    ] == [(int(doubt.where.split(":")[1]), doubt.what) for doubt in found.doubts]


def test_an_attempt_in_several_rows_is_told_but_for_parts_of_gpus(checked):
    """One row per device reads well, and all but one of them would be lost."""
    header = "job_id,machine_id,started_at,ended_at,gpu_count,gpu_indices,mig_id,attempt_id\n"
    rows = "".join(
        f"{job},n1,{DAY}09:00Z,{DAY}10:00Z,{gpus},{index},{mig},{attempt}\n"
        for job, gpus, index, mig, attempt in [
            (1, 1, 0, "", ""), (1, 1, 1, "", ""), (2, 0.5, 2, 1, ""), (2, 0.5, 2, 2, ""), (3, 1, 3, "", "a"), (4, 1, "", "", "b"),
        ]
    )  # fmt: skip
    found, _ = checked(allocations=header + rows)

    assert [
        (
            1,
            "allocations.csv:3",
            "an earlier row is of the same attempt on the same machine: one of them stands, as '1'",
        )
    ] == [(doubt.rows, doubt.where, doubt.what) for doubt in found.doubts]


def test_words_that_are_not_known_and_rows_that_come_twice(checked):
    """An unknown status is neither a failure nor a success, in no figure."""
    events = f"machine_id,happened_at,kind\nn1,{DAY}08:00Z,XID\nn1,{DAY}09:00Z,boom\n"
    states = f"machine_id,state,from_at\nn1,Down,{DAY}08:00Z\nn2,sleeping,{DAY}08:00Z\n"
    found, _ = checked(jobs=JOBS + job(1) + job(1) + job(2, status="WEIRD"), events=events, states=states)

    assert [
        ("plain_jobs", "an earlier row has the same job_id: one of them stands"),
        ("plain_jobs", "a status that no common word is known for: it is read as unknown, as 'WEIRD'"),
        ("plain_machine_states", "a state that is none of those known, as 'sleeping'"),
        ("plain_events", "a kind that is none of those known, as 'boom'"),
    ] == [(doubt.table, doubt.what) for doubt in found.doubts]


def test_a_file_that_would_be_refused_whole_sets_the_exit_code(checked):
    """What the refresh would say tomorrow morning is said today."""
    found, _ = checked(jobs=JOBS + job(1, submitted="x"), machines=MACHINES, plain_events="machine_id,when\nn1,x\n")

    assert [("jobs.csv", 11), ("plain_events.csv", 11)] == sorted(
        (refused.path.name, refused.error.exit_code) for refused in found.refused
    )
    assert "1 × submitted_at is not a time (iso8601_or_epoch): '2026-01-15TxZ'" in next(
        r.error.what for r in found.refused if r.path.stem == "jobs"
    )


def test_a_folder_of_nothing_known_says_why_of_each_file(checked):
    """The first try of a newcomer: every file is named, with the reason."""
    found, error = checked(a="x,y\n1,2\n", jobs=JOBS)

    assert 10 == error.exit_code
    assert {"a.csv", "jobs.csv"} == {other.path.name for other in found.unrecognised}
