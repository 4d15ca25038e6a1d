"""Deliveries that correct earlier ones: what stands is counted as if the rest had never come, in any number of builds."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "spec"))

from tiny_lake import Case, TinyLake

from gpulake.dbt import warehouse

MACHINES = "machine | gpu_type | gpus | cores\n m1 | T4 | 2 | 4"
TASKS = "job | task | n | gpu\n j1 | t | 1 | 100\n j2 | t | 1 | 100"

CASES = [
    # The end moves from the fifth day to the second: 2 GPU-hours are held, and the days after the second have no record.
    Case(
        name="a_shorter_end",
        rows={
            "machines": MACHINES,
            "tasks": TASKS,
            "jobs": """
                job | id | user | status     | start            | end              | landing
                j1  | i1 | u    | Terminated | 1970-01-02 01:00 | 1970-01-05 04:00 | 1
                j1  | i1 | u    | Terminated | 1970-01-02 01:00 | 1970-01-02 04:00 | 2
            """,
            "instances": """
                job | task | instance | worker | status     | start            | end              | machine | landing
                j1  | t    | a1       | w1     | Terminated | 1970-01-02 02:00 | 1970-01-05 04:00 | m1      | 1
                j1  | t    | a1       | w1     | Terminated | 1970-01-02 02:00 | 1970-01-02 04:00 | m1      | 2
            """,
        },
    ),
    # A wrong end on day 8 is taken back; then a record on day 5 widens the window again: days 3 to 5 are new.
    Case(
        name="a_window_that_shrinks_and_grows",
        rows={
            "machines": MACHINES,
            "jobs": """
                job | id | user | status     | start            | end              | landing
                j1  | i1 | u    | Terminated | 1970-01-02 01:00 | 1970-01-08 04:00 | 1
                j1  | i1 | u    | Terminated | 1970-01-02 01:00 | 1970-01-02 04:00 | 2
                j2  | i2 | u    | Waiting    | 1970-01-05 01:00 |                  | 3
            """,
        },
    ),
    # What has no start gives way; whose start moves holds twice; what ran has ended; the anonymous ones are two.
    Case(
        name="starts",
        rows={
            "machines": MACHINES,
            "tasks": TASKS,
            "jobs": """
                job | id | user | status     | start            | end              | landing
                j1  | i1 | u    | Running    | 1970-01-02 01:00 |                  | 1
                j1  | i1 | u    | Terminated | 1970-01-02 01:00 | 1970-01-02 08:00 | 2
                j2  | i2 | u    | Running    | 1970-01-02 01:00 |                  | 1
                j2  | i2 | u    | Terminated | 1970-01-02 01:00 | 1970-01-02 09:00 | 2
            """,
            "instances": """
                job | task | instance | worker | status     | start            | end              | machine | landing
                j1  | t    | a1       | w1     | Running    |                  |                  | m1      | 1
                j1  | t    | a1       | w1     | Terminated | 1970-01-02 02:00 | 1970-01-02 04:00 | m1      | 2
                j1  | t    | a2       | w2     | Terminated | 1970-01-02 02:00 | 1970-01-02 03:00 | m1      | 1
                j1  | t    | a2       | w2     | Terminated | 1970-01-02 05:00 | 1970-01-02 06:00 | m1      | 2
                j2  | t    | a3       |        | Running    | 1970-01-02 02:00 |                  | m1      | 1
                j2  | t    | a3       |        | Terminated | 1970-01-02 02:00 | 1970-01-02 05:00 | m1      | 2
                j2  | t    |          |        | Terminated |                  | 1970-01-02 07:00 | m1      | 1
                j2  | t    |          |        | Terminated |                  | 1970-01-02 08:00 | m1      | 2
            """,
        },
    ),
    # A, B, and A again: A stands.
    Case(
        name="there_and_back",
        rows={
            "machines": MACHINES,
            "tasks": TASKS,
            "jobs": """
                job | id | user | status     | start            | end              | landing
                j1  | i1 | u    | Terminated | 1970-01-02 01:00 | 1970-01-02 04:00 | 1
                j1  | i1 | u    | Failed     | 1970-01-02 01:00 | 1970-01-03 04:00 | 2
                j1  | i1 | u    | Terminated | 1970-01-02 01:00 | 1970-01-02 04:00 | 3
            """,
            "instances": """
                job | task | instance | worker | status     | start            | end              | machine | landing
                j1  | t    | a1       | w1     | Terminated | 1970-01-02 02:00 | 1970-01-02 04:00 | m1      | 1
                j1  | t    | a1       | w1     | Failed     | 1970-01-02 02:00 | 1970-01-03 04:00 | m1      | 2
                j1  | t    | a1       | w1     | Terminated | 1970-01-02 02:00 | 1970-01-02 04:00 | m1      | 3
            """,
        },
    ),
    # Four attempts run: two until the window's end, two at the most until the end of their job; a fifth nobody knows where.
    Case(
        name="bounds",
        rows={
            "machines": MACHINES,
            "tasks": TASKS,
            "jobs": """
                job | id | user | status     | start            | end              | landing
                j1  | i1 | u    | Running    | 1970-01-02 01:00 |                  | 1
                j2  | i2 | u    | Failed     | 1970-01-02 01:00 | 1970-01-03 06:00 | 2
                j3  | i3 | u    | Waiting    | 1970-01-04 01:00 |                  | 1
            """,
            "instances": """
                job | task | instance | worker | status     | start            | end              | machine | landing
                j1  | t    | a1       | w1     | Running    | 1970-01-02 20:00 |                  | m1      | 1
                j1  | t    | a2       | w2     | Running    | 1970-01-03 21:00 |                  | m1      | 1
                j2  | t    | b1       | w3     | Running    | 1970-01-02 18:00 |                  | m1      | 1
                j2  | t    | b2       | w4     | Running    | 1970-01-02 22:00 |                  | m1      | 1
                j1  | t    | a9       | w9     | Running    | 1970-01-03 00:00 |                  | m9      | 1
            """,
        },
    ),
    # Waits: j1 300 s before its submission, j2 an hour after; j3 and j4 have ended and nothing of them has landed before
    # delivery 2, which brings j4; j5 waits; j6 has failed, and its instance never had a machine.
    Case(
        name="waits",
        rows={
            "machines": MACHINES,
            "tasks": "job | task | n | gpu\n j1 | t | 1 | 150\n j2 | t | 1 | 750\n j3 | t | 1 | 100\n j4 | t | 1 | 800",
            "jobs": """
                job | id | user | status     | start            | end              | landing
                j1  | i1 | u    | Terminated | 1970-01-02 01:05 | 1970-01-02 04:00 | 1
                j2  | i2 | u    | Terminated | 1970-01-02 01:00 | 1970-01-02 04:00 | 1
                j3  | i3 | u    | Terminated | 1970-01-02 01:00 | 1970-01-02 05:00 | 1
                j4  | i4 | u    | Failed     | 1970-01-02 01:00 | 1970-01-02 05:00 | 1
                j5  | i5 | u    | Waiting    | 1970-01-02 22:00 |                  | 1
                j6  | i6 | u    | Failed     | 1970-01-02 03:00 | 1970-01-02 04:00 | 1
            """,
            "instances": """
                job | task | instance | worker | status     | start            | end              | machine | landing
                j1  | t    | a1       | w1     | Terminated | 1970-01-02 01:00 | 1970-01-02 04:00 | m1      | 1
                j2  | t    | a2       | w2     | Terminated | 1970-01-02 02:00 | 1970-01-02 04:00 | m1      | 1
                j4  | t    | a4       | w4     | Failed     | 1970-01-02 03:00 | 1970-01-02 04:00 | m1      | 2
                j6  | t    | a6       |        | Waiting    |                  |                  |         | 1
            """,
        },
    ),
]

# Delivery 1 says 2 GPUs and has a record of day 2; 2 says 4 and has day 3; 3 says 4 once more and has day 4, and a late one of
# day 2; 4 says another model, 5 the old one again before any record of then, and 6 brings day 5. m2 is new in delivery 3.
DATED = """
    machine | gpu_type | gpus | cores | landing
    m1      | T4       | 2    | 4     | 1
    m1      | T4       | 4    | 4     | 2
    m1      | T4       | 4    | 4     | 3
    m2      | P100     | 1    | 4     | 3
    m1      | V100     | 4    | 4     | 4
    m1      | T4       | 8    | 4     | 5
"""
WORK = """
    worker | machine | start            | end              | gpu | cpu | landing
    w1     | m1      | 1970-01-02 00:00 | 1970-01-02 12:00 | 100 | 1   | 1
    w2     | m1      | 1970-01-02 12:00 | 1970-01-03 00:00 | 100 | 1   | 1
    w3     | m1      | 1970-01-03 00:00 | 1970-01-04 00:00 | 100 | 1   | 2
    w4     | m1      | 1970-01-04 00:00 | 1970-01-05 00:00 | 100 | 1   | 3
    w5     | m1      | 1970-01-02 12:00 | 1970-01-02 13:00 | 100 | 1   | 3
    w6     | m1      | 1970-01-05 00:00 | 1970-01-05 23:00 | 100 | 1   | 6
"""
HELD = {
    "tasks": "job | task | n | gpu\n j1 | t | 1 | 800",
    "instances": """
        job | task | instance | worker | status     | start            | end              | machine | landing
        j1  | t    | a1       | v1     | Terminated | 1970-01-02 00:00 | 1970-01-05 12:00 | m1      | 6
    """,
}
MACHINES_CHANGE = [
    Case(name="dated", rows={"machines": DATED, "windows": WORK, **HELD}),
    Case(name="always", corrects=frozenset({5}), rows={"machines": DATED, "windows": WORK, **HELD}),
]


def asked(lake, query):
    return [
        tuple(str(value) if hasattr(value, "year") else value for value in row.values()) for row in lake.rows(query)
    ]


def days(lake, case):
    return [
        dt for (dt,) in asked(lake, f"SELECT dt FROM lake.main.silver_days WHERE cluster_id = '{case}' ORDER BY ALL")
    ]


def jobs(lake, case):
    return asked(
        lake,
        "SELECT job_id, job_status, allocated_gpu_h, unbounded_spans, wait_s FROM lake.main.gold_jobs "
        f"WHERE cluster_id = '{case}' ORDER BY ALL",
    )


def waits(lake):
    return asked(
        lake,
        "SELECT jobs_submitted, jobs_started, jobs_start_unknown, jobs_started_before_submission, jobs_with_wait, "
        "jobs_never_started, jobs_perhaps_started, jobs_censored, wait_mean_s, wait_p50_s, km_p50_s "
        "FROM lake.main.gold_queue_wait_daily WHERE cluster_id = 'waits' AND grouped_by = 'all'",
    )


@pytest.fixture(scope="module")
def corrected(tmp_path_factory, published_rows):
    """Three deliveries, a build after each; what was told after the first one, the lake, and all its rows."""
    lake = TinyLake(tmp_path_factory.mktemp("corrected") / "lake")
    with warehouse.Warehouse(lake.folder) as dbt:
        for delivery in (1, 2, 3):
            lake.add(*CASES, only_landing=delivery)
            lake.build_with(dbt, full=delivery == 1)
            if delivery == 1:
                before = {"days": days(lake, "a_shorter_end"), "waits": waits(lake), "jobs": jobs(lake, "starts")}
    yield before, lake, published_rows(lake.rows)
    lake.close()


def test_the_later_landings_end_stands(corrected):
    """The GPU-hours of the old row and of the corrected one would be added up, and days without a record stay in the window."""
    before, lake, _ = corrected
    assert ["1970-01-02", "1970-01-03", "1970-01-04", "1970-01-05"] == before["days"]
    assert [("j1", "succeeded", 2.0, 0, 3_600.0)] == jobs(lake, "a_shorter_end")
    assert ["1970-01-02"] == days(lake, "a_shorter_end")
    for table in ("silver_allocation_days", "silver_job_days", "silver_allocation_hours", "gold_job_efficiency_daily",
                  "gold_capacity_daily", "gold_cluster_util_daily", "gold_user_gpu_usage_daily", "gold_machine_util_daily"):  # fmt: skip
        dates = asked(lake, f"SELECT DISTINCT dt FROM lake.main.{table} WHERE cluster_id = 'a_shorter_end'")
        assert [("1970-01-02",)] == dates, table


def test_beaten_rows_do_not_stretch_the_window_and_new_days_fill_it(corrected):
    """Days that only a beaten row had recorded would be taken for published ones, and stay without figures for ever."""
    _, lake, _ = corrected
    expected = ["1970-01-02", "1970-01-03", "1970-01-04", "1970-01-05"]
    assert expected == days(lake, "a_window_that_shrinks_and_grows")
    told = asked(
        lake,
        "SELECT dt, capacity_gpu_h FROM lake.main.gold_capacity_daily "
        "WHERE cluster_id = 'a_window_that_shrinks_and_grows' ORDER BY ALL",
    )
    assert [(dt, 48.0) for dt in expected] == told


def test_a_row_without_a_start_gives_way_and_two_starts_both_hold(corrected):
    """A job would be unbounded beside its own end, or lose the hours of an attempt that started twice."""
    before, lake, _ = corrected
    # w1 without times, w2 an hour; a3 runs, one of no name has only an end
    assert [("j1", "running", 1.0, 1, None), ("j2", "running", None, 2, None)] == before["jobs"]
    # w1 2 h, w2 1 h and 1 h; a3 3 h, two of no name that only have an end
    assert [("j1", "succeeded", 4.0, 0, 3_600.0), ("j2", "succeeded", 3.0, 2, None)] == jobs(lake, "starts")


def test_what_is_delivered_last_stands_also_if_it_came_before(corrected):
    """A mistaken correction could not be taken back."""
    _, lake, _ = corrected
    assert [("j1", "succeeded", 2.0, 0, 3_600.0)] == jobs(lake, "there_and_back")
    assert ["1970-01-02"] == days(lake, "there_and_back")


def test_a_bound_ends_with_its_job_and_within_the_capacity(corrected):
    """What runs would be said to hold more than the pool has, and to go on after its job's end."""
    _, lake, _ = corrected
    told = asked(
        lake,
        "SELECT dt, pool, unbounded_spans, unbounded_running_gpu_h FROM lake.main.gold_capacity_daily "
        "WHERE cluster_id = 'bounds' ORDER BY ALL",
    )
    # day 2: a1 4 h, b1 6 h, b2 2 h; day 3: a1 24 h, a2 3 h, b1 and b2 6 h each;
    # day 4: a1 and a2 24 h each: all of the capacity. Who knows what m9 has?
    assert [
        ("1970-01-02", "Tesla T4", 3, 12.0), ("1970-01-02", "unknown machine", 0, 0.0),
        ("1970-01-03", "Tesla T4", 1, 39.0), ("1970-01-03", "unknown machine", 1, None),
        ("1970-01-04", "Tesla T4", 0, 48.0), ("1970-01-04", "unknown machine", 0, None),
    ] == told  # fmt: skip


def test_a_wait_is_known_or_counted(corrected):
    """Clocks that disagree would shorten the mean, and jobs whose work has not landed would have waited in vain."""
    before, lake, _ = corrected
    # j1 before its submission, j2 3,600 s, j3 and j4 not known, j5 7,200 s and still waiting, j6 3,600 s in vain:
    # of three still waiting one starts at 3,600 s, so more than half have not started.
    assert [(6, 2, 0, 1, 1, 2, 2, 2, 3_600.0, 3_600.0, None)] == before["waits"]
    # j4 waited 7,200 s: at 3,600 s of four one starts (0.75), at 7,200 s of two one (0.375)
    assert [(6, 3, 0, 1, 2, 2, 1, 2, 5_400.0, 5_400.0, 7_200.0)] == waits(lake)
    sizes = asked(
        lake,
        "SELECT job_id, size_class FROM lake.main.gold_jobs WHERE cluster_id = 'waits' AND job_id < 'j5' ORDER BY ALL",
    )
    assert [("j1", ">1, <8"), ("j2", ">1, <8"), ("j3", "1"), ("j4", "8")] == sizes


@pytest.mark.slow
@pytest.mark.parametrize("builds", [[(1, 2, 3)], [(1,), (2, 3)]])
def test_any_number_of_builds_gives_the_same_rows(tmp_path, corrected, published_rows, builds):
    """A correction that is built alone must leave what a full build of everything makes."""
    lake = TinyLake(tmp_path / "lake")
    with warehouse.Warehouse(lake.folder) as dbt:
        for number, deliveries in enumerate(builds):
            for delivery in deliveries:
                lake.add(*CASES, only_landing=delivery)
            lake.build_with(dbt, full=number == 0)
    found = published_rows(lake.rows)
    lake.close()
    for name, rows in corrected[2].items():
        assert rows == found[name], name


@pytest.fixture(
    scope="module",
    params=[
        pytest.param([(1,), (2,), (3,), (4,), (5, 6)], id="one by one", marks=pytest.mark.slow),
        pytest.param([(1, 2, 3, 4, 5, 6)], id="at once"),
    ],
)
def machines_changed(tmp_path_factory, request):
    """Machines that change, built after each delivery, or once."""
    lake = TinyLake(tmp_path_factory.mktemp("machines") / "lake")
    with warehouse.Warehouse(lake.folder) as dbt:
        for deliveries in request.param:
            for delivery in deliveries:
                lake.add(*MACHINES_CHANGE, only_landing=delivery)
            lake.build_with(dbt, full=True)
    yield lake
    lake.close()


def test_a_changed_machine_holds_from_the_clusters_now(machines_changed):
    """A repair of today would change the capacity, the use and the over-allocation of every past day."""
    # m1: 2 GPUs on day 2, 4 on days 3 and 4; what was said of a V100 before day 5 had a record is overruled by the 8 GPUs,
    # which hold from day 5 on. m2, never said before, always had its GPU. 8 GPUs are held until noon of day 5.
    capacity = asked(
        machines_changed,
        "SELECT dt, pool, capacity_gpu_h, allocated_gpu_h, over_allocated_gpu_h FROM lake.main.gold_capacity_daily "
        "WHERE cluster_id = 'dated' ORDER BY pool, dt",
    )
    assert [
        *((f"1970-01-0{day}", "Tesla P100-PCIE-16GB", 24.0, 0.0, 0.0) for day in (2, 3, 4, 5)),
        ("1970-01-02", "Tesla T4", 48.0, 192.0, 144.0), ("1970-01-03", "Tesla T4", 96.0, 192.0, 96.0),
        ("1970-01-04", "Tesla T4", 96.0, 192.0, 96.0), ("1970-01-05", "Tesla T4", 192.0, 96.0, 0.0),
    ] == capacity  # fmt: skip
    # 100 % on m1 is a half of 2 GPUs, a quarter of 4, an eighth of 8; windows that differ are each believed but for a hundredth.
    use = asked(
        machines_changed,
        "SELECT dt, avg_gpu_util, covered_gpu_s FROM lake.main.gold_cluster_util_daily WHERE cluster_id = 'dated' ORDER BY dt",
    )
    assert [
        ("1970-01-02", pytest.approx(50.0, abs=0.01), 172_800),
        ("1970-01-03", pytest.approx(25.0, abs=0.01), 345_600),
        ("1970-01-04", pytest.approx(25.0, abs=0.01), 345_600),
        ("1970-01-05", pytest.approx(12.5, abs=0.01), 662_400),
    ] == use
    machine_days = asked(
        machines_changed,
        "SELECT DISTINCT dt, gpu_count FROM lake.main.gold_machine_util_daily WHERE cluster_id = 'dated' ORDER BY dt",
    )
    assert [("1970-01-02", 2), ("1970-01-03", 4), ("1970-01-04", 4), ("1970-01-05", 8)] == machine_days
    hours = asked(
        machines_changed,
        "SELECT dt, gpu_count, count(*) FROM lake.main.gold_machine_util_hourly WHERE cluster_id = 'dated' "
        "GROUP BY ALL ORDER BY dt",
    )
    assert [("1970-01-02", 2, 24), ("1970-01-03", 4, 24), ("1970-01-04", 4, 24), ("1970-01-05", 8, 23)] == hours
    needed = asked(
        machines_changed, "SELECT machines_used, machines_needed FROM lake.main.gold_jobs WHERE cluster_id = 'dated'"
    )
    assert [(1, None)] == needed  # nobody knows what a job asks for that the job table lacks


def test_a_delivery_that_corrects_says_how_it_always_was(machines_changed):
    """An inventory that was wrong from the start could not be put right."""
    found = asked(
        machines_changed,
        "SELECT machine_id, gpu_count, valid_from, valid_to FROM lake.main.silver_machines WHERE cluster_id = 'always' ORDER BY ALL",
    )
    assert [("m1", 8, None, None), ("m2", 1, None, None)] == found
    capacity = asked(
        machines_changed,
        "SELECT dt, capacity_gpu_h FROM lake.main.gold_capacity_daily WHERE cluster_id = 'always' AND pool = 'Tesla T4' ORDER BY dt",
    )
    assert [(f"1970-01-0{day}", 192.0) for day in (2, 3, 4, 5)] == capacity
