"""The definitions, one small case each: what goes in, what must come out, and what would break for a user."""

from __future__ import annotations

import pytest
from tiny_lake import Case, table

from oracle import daily

ONE_MACHINE = """
    machine | gpu_type | gpus | cores
    m1      | T4       | 2    | 4
"""

CASES = [
    Case(
        name="a_second_counts_once",
        breaks="co-located workers repeat the machine's time: a busy machine would weigh more than a quiet one",
        rows={
            "machines": "machine | gpus | cores\n m1 | 1 | 1\n m2 | 1 | 1",
            "windows": """
                worker | machine | start            | end              | gpu | cpu
                w1     | m1      | 1970-01-02 00:00 | 1970-01-02 02:00 | 80  | 10
                w2     | m1      | 1970-01-02 00:00 | 1970-01-02 02:00 | 80  | 10
                w3     | m1      | 1970-01-02 00:00 | 1970-01-02 02:00 | 80  | 10
                w4     | m2      | 1970-01-02 00:00 | 1970-01-02 02:00 | 20  | 30
            """,
        },
        expect={
            "daily": """
                dt         | avg_gpu_util | avg_cpu_util | covered_gpu_s | covered_machines | avg_gpu_util_unweighted
                1970-01-02 | 50           | 20           | 14400         | 2                | 65
            """
        },
    ),
    Case(
        name="plain_mean_over_covering_windows",
        breaks="two windows that disagree about the same second would be added, or the longer one would win",
        rows={
            "machines": ONE_MACHINE,
            # 00:00-01:00 only w1: 100; 01:00-02:00 both: (100 + 40) / 2 = 70; over two hours (100 + 70) / 2 / 2 GPUs
            "windows": """
                worker | machine | start            | end              | gpu | cpu
                w1     | m1      | 1970-01-02 00:00 | 1970-01-02 02:00 | 100 | 20
                w2     | m1      | 1970-01-02 01:00 | 1970-01-02 02:00 | 40  | 40
            """,
        },
        expect={
            "daily": """
                dt         | avg_gpu_util_swept | covered_gpu_s
                1970-01-02 | 42.5               | 14400
            """
        },
    ),
    Case(
        name="hours_lie_behind_the_means_of_their_windows",
        breaks="the p95 would follow means over half a day instead of what was measured within the hour",
        rows={
            "machines": "machine | gpus | cores\n m1 | 1 | 1",
            # w1 says 160 over four hours, and w2 that 90 of them were in the third: 70 are left for three hours
            "windows": """
                worker | machine | start            | end              | gpu | cpu
                w1     | m1      | 1970-01-02 00:00 | 1970-01-02 04:00 | 40  |
                w2     | m1      | 1970-01-02 02:00 | 1970-01-02 03:00 | 90  |
            """,
        },
        expect={
            "hours": """
                hour_start_at       | gpu_util_weighted_pct | gpu_covered_s | cpu_covered_s
                1970-01-02 00:00:00 | 12.909480    | 3600          | 0
                1970-01-02 01:00:00 | 23.935986    | 3600          | 0
                1970-01-02 02:00:00 | 89.952828    | 3600          | 0
                1970-01-02 03:00:00 | 33.390396    | 3600          | 0
            """,
            # By loops (tests/oracle). 0.95 of the way: 33.390396 + 0.85 * (89.952828 - 33.390396)
            "daily": """
                dt         | avg_gpu_util | p95_gpu_util | avg_cpu_util | machine_hours
                1970-01-02 | 40.0471725   | 81.468463    |              | 4
            """,
        },
    ),
    Case(
        name="p95_leaves_out_hours_seen_for_less_than_half",
        breaks="a minute at 100 percent would count as much as a whole hour",
        rows={
            "machines": "machine | gpus | cores\n m1 | 1 | 1",
            "windows": """
                worker | machine | start               | end                 | gpu | cpu
                w1     | m1      | 1970-01-02 00:00    | 1970-01-02 00:30    | 10  | 1
                w2     | m1      | 1970-01-02 05:00    | 1970-01-02 05:29:59 | 100 | 1
            """,
        },
        # That a load of 100 follows five hours later draws the first up by 0.02 (by loops: tests/oracle).
        expect={
            "daily": """
                dt         | p95_gpu_util | machine_hours | covered_gpu_s
                1970-01-02 | 10.021152    | 1             | 3599
            """
        },
    ),
    Case(
        name="a_day_is_a_day_of_the_clusters_zone",
        breaks="the evening in Shanghai would be booked on the wrong day",
        zone="Asia/Shanghai",
        rows={
            "machines": ONE_MACHINE,
            # 22:00-02:00 local: two hours on each day; a plain mean over rows books the whole row on the day it ends
            "windows": """
                worker | machine | start            | end              | gpu | cpu
                w1     | m1      | 1970-01-05 22:00 | 1970-01-06 02:00 | 60  | 5
            """,
        },
        expect={
            "daily": """
                dt         | avg_gpu_util | covered_gpu_s | capacity_gpu_s | windows | avg_gpu_util_unweighted
                1970-01-05 | 30           | 14400         | 172800         | 0       |
                1970-01-06 | 30           | 14400         | 172800         | 1       | 60
            """,
        },
    ),
    Case(
        name="a_row_that_ends_at_midnight_is_a_record_of_the_new_day",
        breaks="the plain mean of a trace whose last row ends at midnight would lose that row",
        zone="Asia/Shanghai",
        rows={
            "machines": ONE_MACHINE,
            "windows": """
                worker | machine | start            | end              | gpu | cpu
                w1     | m1      | 1970-01-02 23:00 | 1970-01-03 00:00 | 80  | 20
            """,
        },
        expect={
            "series": """
                worker_id | dt         | window_s
                w1        | 1970-01-03 | 3600
            """,
            "daily": """
                dt         | avg_gpu_util | coverage_ratio       | covered_gpu_s | windows | avg_gpu_util_unweighted
                1970-01-02 | 40           | 0.041666666666666664 | 7200          | 0       |
                1970-01-03 |              | 0                    | 0             | 1       | 80
            """,
        },
    ),
    Case(
        name="a_day_may_have_23_hours",
        breaks="coverage of the day on which the clocks change would be wrong by an hour",
        zone="Europe/Berlin",
        rows={
            "machines": "machine | gpus | cores\n m1 | 1 | 1",
            "windows": """
                worker | machine | start            | end              | gpu | cpu
                w1     | m1      | 2020-03-28 12:00 | 2020-03-30 12:00 | 50  | 5
            """,
        },
        expect={
            "daily": """
                dt         | covered_gpu_s | capacity_gpu_s | coverage_ratio | machine_hours
                2020-03-28 | 43200         | 86400          | 0.5            | 12
                2020-03-29 | 82800         | 82800          | 1              | 23
                2020-03-30 | 43200         | 86400          | 0.5            | 12
            """,
        },
    ),
    Case(
        name="a_day_without_metrics_is_unknown",
        breaks="a gap in the metrics would read as an idle cluster",
        rows={
            "machines": ONE_MACHINE,
            "jobs": """
                job | id | user | status  | start            | end
                j1  | i1 | u1   | Running | 1970-01-04 10:00 |
            """,
            "windows": """
                worker | machine | start            | end              | gpu | cpu
                w1     | m1      | 1970-01-02 10:00 | 1970-01-02 11:00 | 0   | 0
            """,
        },
        expect={
            "daily": """
                dt         | avg_gpu_util | coverage_ratio | covered_gpu_s | covered_machines | windows
                1970-01-02 | 0            | 0.041666666667 | 7200          | 1                | 1
                1970-01-03 |              | 0              | 0             | 0                | 0
                1970-01-04 |              | 0              | 0             | 0                | 0
            """,
        },
    ),
    Case(
        name="a_machine_without_spec_has_no_gpu_figure",
        breaks="a sum over unknown GPUs would be taken for a percentage",
        rows={
            "machines": ONE_MACHINE,
            "windows": """
                worker | machine | start            | end              | gpu | cpu
                w1     | m1      | 1970-01-02 00:00 | 1970-01-02 01:00 | 50  | 10
                w2     | other   | 1970-01-02 00:00 | 1970-01-02 01:00 | 700 | 90
            """,
        },
        expect={
            "daily": """
                dt         | avg_gpu_util | avg_cpu_util | covered_gpu_s | covered_machines | avg_gpu_util_unweighted
                1970-01-02 | 25           | 10           | 7200          | 2                | 375
            """,
            "series": """
                machine_id | gpu_util_pct | gpu_util_per_gpu_pct | over_capacity
                m1         | 50           | 25                   | False
                other      | 700          |                      |
            """,
        },
    ),
    Case(
        name="no_machine_table_no_capacity",
        breaks="coverage would be a ratio to a guessed capacity",
        rows={
            "windows": """
                worker | machine | start            | end              | gpu | cpu
                w1     | m1      | 1970-01-02 00:00 | 1970-01-02 01:00 | 50  | 10
            """
        },
        expect={
            "daily": """
                dt         | avg_gpu_util | coverage_ratio | covered_gpu_s | capacity_gpu_s | avg_gpu_util_unweighted
                1970-01-02 |              |                |               |                | 50
            """,
            "availability": """
                table_name              | column_name             | available | missing_table
                gold_cluster_util_daily | avg_gpu_util            | False     | pai_machine_spec
                gold_cluster_util_daily | avg_gpu_util_unweighted | True      |
                silver_jobs             | wait_s                  | False     | pai_instance_table
            """,
        },
    ),
    Case(
        name="cpu_only_machines_have_no_gpu_utilisation",
        breaks="a CPU machine would pull the fleet's GPU mean towards 0",
        rows={
            "machines": """
                machine | gpu_type | gpus | cores
                m1      | T4       | 2    | 4
                c1      | CPU      | 0    | 12
            """,
            "windows": """
                worker | machine | start            | end              | gpu | cpu
                w1     | m1      | 1970-01-02 00:00 | 1970-01-02 01:00 | 100 | 20
                w2     | c1      | 1970-01-02 00:00 | 1970-01-02 01:00 | 0   | 60
            """,
        },
        expect={
            "daily": """
                dt         | avg_gpu_util | avg_cpu_util | capacity_gpu_s | capacity_core_s | machine_hours
                1970-01-02 | 50           | 50           | 172800         | 1382400         | 1
            """
        },
    ),
    Case(
        name="more_than_all_gpus_is_flagged_not_clipped",
        breaks="a faulty counter or a wrong GPU count would hide behind a neat 100 percent",
        rows={
            "machines": ONE_MACHINE,
            "windows": """
                worker | machine | start            | end              | gpu | cpu
                w1     | m1      | 1970-01-02 00:00 | 1970-01-02 01:00 | 220 | 10
            """,
        },
        expect={"daily": "dt | avg_gpu_util | over_capacity_windows\n 1970-01-02 | 110 | 1"},
    ),
    Case(
        name="what_no_gpu_can_show_is_not_measured",
        breaks="one wild counter would decide a day's mean, and with it an alarm",
        rows={
            "machines": ONE_MACHINE,
            "windows": """
                worker | machine | start            | end              | gpu        | cpu
                w1     | m1      | 1970-01-02 00:00 | 1970-01-02 01:00 | 50         | 10
                w2     | m1      | 1970-01-02 00:00 | 1970-01-02 01:00 | 221        | 30
                w3     | m1      | 1970-01-02 00:00 | 1970-01-02 01:00 | -5         | 111
                w4     | m1      | 1970-01-02 01:00 | 1970-01-02 02:00 | 4294967295 | 20
            """,
        },
        expect={
            "daily": """
                dt         | avg_gpu_util | covered_gpu_s | avg_cpu_util | over_capacity_windows | avg_gpu_util_unweighted
                1970-01-02 | 25           | 7200          | 20           | 0                     | 50
            """
        },
    ),
    Case(
        name="pai_time_zero_is_not_a_time",
        breaks="14.1 instead of 3.8 million GPU-hours: a blank start would be the first second of 1970",
        rows={
            "machines": ONE_MACHINE,
            "jobs": """
                job | id | user | status     | start            | end
                j0  | i0 | u1   | Waiting    | 0                | 0
                j1  | i1 | u1   | Terminated | 1970-01-02 10:00 | 1970-01-02 11:00
            """,
            "windows": """
                worker | machine | start            | end              | gpu | cpu
                w0     | m1      | 0                | 1970-01-02 11:00 | 90  | 10
                w1     | m1      | 1970-01-02 10:00 | 1970-01-02 11:00 | 40  | 10
            """,
        },
        expect={
            "jobs": """
                job_id | job_status | start_time | run_time_sec | submitted_at        | submitted_day
                j0     | waiting    |            |              |                     |
                j1     | succeeded  | 122400.0   | 3600.0       | 1970-01-02 10:00:00 | 1970-01-02
            """,
            "daily": "dt | avg_gpu_util | covered_gpu_s | windows\n 1970-01-02 | 20 | 7200 | 2",
        },
    ),
    Case(
        name="one_row_per_key",
        breaks="a table delivered twice would double every sum",
        rows={
            "machines": ONE_MACHINE,
            "jobs": """
                landing | job | id | user | status     | start            | end
                1       | j1  | i1 | u1   | Running    | 1970-01-02 10:00 |
                1       | j2  | i2 | u1   | Failed     | 1970-01-02 10:00 | 1970-01-02 12:00
                1       | j2  | i2 | u1   | Terminated | 1970-01-02 10:00 | 1970-01-02 12:00
                1       | j3  | i3 | u2   | Failed     | 1970-01-02 10:00 | 1970-01-02 12:00
                2       | j1  | i1 | u1   | Terminated | 1970-01-02 10:00 | 1970-01-02 11:00
                2       | j3  | i3 | u2   | Failed     | 1970-01-02 10:00 | 1970-01-02 12:00
            """,
            "windows": """
                landing | worker | machine | start            | end              | gpu | cpu
                1       | w1     | m1      | 1970-01-02 00:00 | 1970-01-02 01:00 | 20  | 10
                1       | w1     | m1      | 1970-01-02 00:00 | 1970-01-02 01:00 | 20  | 10
                2       | w1     | m1      | 1970-01-02 00:00 | 1970-01-02 01:00 | 10  | 10
            """,
            "sensors": """
                landing | job | task | worker | gpu
                1       | j1  | t1   | w1     | 50
                1       | j1  | t1   | w2     | 50
                2       | j1  | t1   | w1     | 30
            """,
        },
        expect={
            # the later landing stands; inside one landing the greatest text ("Terminated" > "Failed")
            "jobs": """
                job_id | job_status
                j1     | succeeded
                j2     | succeeded
                j3     | failed
            """,
            "daily": "dt | avg_gpu_util | windows\n 1970-01-02 | 5 | 1",
            "conflicts": """
                entity         | losers | equal_rows | beaten_rows
                job            | 3      | 1          | 2
                machine_window | 2      | 0          | 2
                usage          | 1      | 0          | 1
            """,
        },
    ),
    Case(
        name="wait_ends_with_the_first_instance",
        breaks="PAI's job start is its submission: end - start is no run time, and no wait would ever show",
        rows={
            "jobs": """
                job | id | user | status      | start            | end
                j1  | i1 | u1   | Terminated  | 1970-01-02 10:00 | 1970-01-02 12:00
                j2  | i2 | u1   | Interrupted | 1970-01-02 10:00 | 1970-01-02 12:00
                j3  | i3 | u1   | Oddity      | 1970-01-02 10:00 |
            """,
            "tasks": """
                job | task   | n | cpu | mem       | gpu
                j1  | worker | 3 | 600 | 29.296875 | 50
                j1  | ps     | 1 | 100 | 1         |
            """,
            "instances": """
                job | task   | instance | worker | machine | status     | start            | end
                j1  | worker | a        | w1     | m1      | Failed     | 1970-01-02 10:20 | 1970-01-02 10:30
                j1  | worker | a        | w2     | m1      | Terminated | 1970-01-02 10:30 | 1970-01-02 12:00
                j2  | worker | a        | w3     | m1      | Failed     |                  | 1970-01-02 12:00
                j2  | worker | b        | w4     | m1      | Terminated | 1970-01-02 11:00 | 1970-01-02 12:00
            """,
            "tags": "id | user | gpu_type_spec | group | workload\n i1 | u1 | V100 | g7 | bert",
        },
        expect={
            "jobs": """
                job_id | job_status | run_time_sec | wait_s | run_s  | n_tasks | n_instances | gpu_request_count
                j1     | succeeded  | 7200.0       | 1200.0 | 6000.0 | 2       | 4           | 1.5
                j2     | preempted  | 7200.0       |        |        |         |             |
                j3     | unknown    |              |        |        |         |             |
            """,
            "requests": """
                job_id | cpu_request_cores | memory_request_bytes | recurrence_id | workload_tag | gpu_model_request
                j1     | 19.0              | 95445581824          | g7            | bert         | V100
                j2     |                   |                      |               |              |
                j3     |                   |                      |               |              |
            """,
        },
    ),
]

QUERIES = {
    "daily": "SELECT * FROM lake.main.gold_cluster_util_daily WHERE cluster_id = ? ORDER BY dt",
    "hours": "SELECT * FROM lake.main.silver_machine_hours WHERE cluster_id = ? ORDER BY machine_id, hour_start_at",
    "series": "SELECT * FROM lake.main.silver_gpu_timeseries WHERE cluster_id = ? ORDER BY machine_id, ts",
    "jobs": "SELECT * FROM lake.main.silver_jobs WHERE cluster_id = ? ORDER BY job_id",
    "requests": "SELECT * FROM lake.main.silver_jobs WHERE cluster_id = ? ORDER BY job_id",
    "conflicts": "SELECT * FROM lake.meta.conflicts WHERE cluster_id = ? ORDER BY entity",
    "availability": "SELECT * FROM lake.main.gold_availability WHERE cluster_id = ? ORDER BY table_name, column_name",
}


def agrees(wanted: str | None, found: object) -> bool:
    if wanted is None or found is None:
        return wanted is None and found is None
    if isinstance(found, (bool, str)) or not hasattr(found, "__float__"):
        return wanted == str(found)
    return float(wanted) == pytest.approx(float(found), abs=1e-6)


@pytest.mark.parametrize(
    ("case", "what"), [pytest.param(case, what, id=f"{case.name}-{what}") for case in CASES for what in case.expect]
)
def test_the_models_keep_the_definition(case, what, built):
    found = built.rows(QUERIES[what], case.name)
    wanted = table(case.expect[what])
    if what == "availability":
        asked = [(row["table_name"], row["column_name"]) for row in wanted]
        found = [row for row in found if (row["table_name"], row["column_name"]) in asked]
    assert len(wanted) == len(found), case.breaks
    for expected, row in zip(wanted, found, strict=True):
        for column, cell in expected.items():
            assert agrees(cell, row[column]), f"{column} = {row[column]}, expected {cell}: {case.breaks}"


@pytest.mark.parametrize(
    "case",
    [pytest.param(c, id=c.name) for c in CASES if "daily" in c.expect and c.name != "one_row_per_key"],
)
def test_the_oracle_keeps_the_definition(case):
    """The brute-force oracle is only worth comparing with if it gives the hand-computed figures itself."""
    for expected, row in zip(table(case.expect["daily"]), daily(case), strict=True):
        for column in expected.keys() & row.keys():
            assert agrees(expected[column], row[column]), f"{column} = {row[column]}, expected {expected[column]}"
