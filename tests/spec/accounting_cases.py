"""The definitions of the accounting, one small case each: rows in, GPU-seconds out. docs/explanation/accounting.md shows them."""

from __future__ import annotations

from collections.abc import Iterator

from tiny_lake import Case, table

DEFAULTS = {
    "machines": """
        machine | gpu_type | gpus
        m1      | T4       | 2
    """,
    "jobs": """
        job | user | status
        j1  | u1   | Terminated
    """,
    "tasks": """
        job | gpu
        j1  | 100
    """,
}
"""What every case of a PAI cluster has unless it shows its own: a task's `gpu` is the share that each attempt asks for."""

TITLES = {
    "job_days": "Σ by job and day",
    "machine_days": "Σ by machine and day",
    "hours": "by machine and hour",
    "day_lengths": "hours of a day",
    "unbounded": "unbounded spans",
}
_AMOUNTS = ("allocated", "active", "idle_held", "unknown", "over_use", "zero_util")


def _gpu_s(*names: str) -> str:
    return ", ".join(f"{name}_mgpu_s / 1000.0 AS {name}" for name in names)


QUERIES = {
    "job_days": f"SELECT job_id AS job, dt, pool, parts, {_gpu_s(*_AMOUNTS)} FROM lake.main.silver_job_days "
    "WHERE cluster_id = ? ORDER BY job, dt, pool",
    "machine_days": f"SELECT machine_id AS machine, dt, pool, parts, main_job_id AS main_job, "
    f"{_gpu_s(*_AMOUNTS, 'over_allocated', 'failed_active')} FROM lake.main.silver_machine_days "
    "WHERE cluster_id = ? ORDER BY machine, dt, pool",
    "hours": f"SELECT machine_id AS machine, dt, hour_no AS hour, pool, main_job_id AS main_job, "
    f"{_gpu_s('capacity', 'over_allocated', *(name for name in _AMOUNTS if name != 'over_use'))} "
    "FROM lake.main.silver_allocation_hours WHERE cluster_id = ? ORDER BY machine, dt, hour",
    "day_lengths": "SELECT dt, count(*) AS hours, sum(capacity_mgpu_s) / 1000.0 AS capacity, "
    "sum(allocated_mgpu_s) / 1000.0 AS allocated FROM lake.main.silver_allocation_hours "
    "WHERE cluster_id = ? GROUP BY dt ORDER BY dt",
    "unbounded": "SELECT job_id AS job, dt, pool, known_times, spans, held_mgpu / 1000.0 AS gpus "
    "FROM lake.main.silver_unbounded_spans WHERE cluster_id = ? ORDER BY job, known_times, dt",
}


def held(name: str, breaks: str, *, expect: dict[str, str], zone: str = "UTC", **rows: str) -> Case:
    """A case of a PAI cluster. An attempt is the one instance of its job's one task unless it says otherwise."""
    filled: dict[str, str | list[dict[str, object]]] = {}
    for short, text in {**DEFAULTS, **rows}.items():
        filled[short] = [_named(short, dict(row)) for row in table(text)]
    return Case(name=name, breaks=breaks, zone=zone, rows=filled, expect=expect, shown=rows)


def _named(short: str, row: dict[str, object]) -> dict[str, object]:
    if short in {"tasks", "instances", "sensors"}:
        row.setdefault("task", "worker")
    if short == "instances":
        row.setdefault("instance", row.get("worker"))
        row.setdefault("status", "Terminated")
    return row


CASES = [
    held(
        "a_silent_gpu_is_unknown_not_idle",
        "a user would be blamed for idling because an exporter was down",
        instances="""
            job | worker | machine | start            | end
            j1  | w1     | m1      | 1970-01-02 10:00 | 1970-01-02 11:00
            j1  | w2     | m1      | 1970-01-02 10:00 | 1970-01-02 11:00
        """,
        sensors="""
            job | worker | gpu
            j1  | w1     | 25
        """,
        expect={
            "job_days": """
                job | dt         | pool     | allocated | active | idle_held | unknown | over_use | zero_util
                j1  | 1970-01-02 | Tesla T4 | 7200      | 900    | 2700      | 3600    | 0        | 0
            """
        },
    ),
    held(
        "a_use_that_no_gpu_can_have_is_no_measurement",
        "one counter gone wild would keep everybody's figures from being published, or raise them all",
        instances="""
            job | worker | machine | start            | end
            j1  | w1     | m1      | 1970-01-02 10:00 | 1970-01-02 11:00
            j1  | w2     | m1      | 1970-01-02 10:00 | 1970-01-02 11:00
            j1  | w3     | m1      | 1970-01-02 10:00 | 1970-01-02 11:00
        """,
        sensors="""
            job | worker | gpu
            j1  | w1     | -25
            j1  | w2     | nan
            j1  | w3     | 1e300
        """,
        expect={
            "job_days": """
                job | dt         | pool     | allocated | active | idle_held | unknown | over_use | zero_util
                j1  | 1970-01-02 | Tesla T4 | 10800     | 0      | 0         | 10800   | 0        | 0
            """
        },
    ),
    held(
        "a_use_that_its_machine_cannot_have_is_no_measurement",
        "a machine table with too few GPUs, or a wild counter, would raise the use of all",
        tasks="""
            job | gpu
            j1  | 100
            j2  | 100
        """,
        instances="""
            job | worker | machine | start            | end
            j1  | w1     | m1      | 1970-01-02 10:00 | 1970-01-02 11:00
            j2  | w2     | m1      | 1970-01-02 10:00 | 1970-01-02 11:00
        """,
        sensors="""
            job | worker | machine | gpu
            j1  | w1     | m1      | 220
            j2  | w2     | m1      | 220.001
        """,
        expect={
            "job_days": """
                job | dt         | pool     | allocated | active | idle_held | unknown | over_use | zero_util
                j1  | 1970-01-02 | Tesla T4 | 3600      | 3600   | 0         | 0       | 4320     | 0
                j2  | 1970-01-02 | Tesla T4 | 3600      | 0      | 0         | 3600    | 0        | 0
            """
        },
    ),
    held(
        "devices_of_one_worker_are_summed",
        "one device would stand for all, or an unknown one for 0",
        tasks="""
            job | gpu
            j1  | 200
            j2  | 200
            j3  | 200
            j4  | 200
        """,
        instances="""
            job | worker | machine | start            | end
            j1  | w1     | m1      | 1970-01-02 10:00 | 1970-01-02 11:00
            j2  | w2     | m1      | 1970-01-02 11:00 | 1970-01-02 12:00
            j3  | w3     | m1      | 1970-01-02 12:00 | 1970-01-02 13:00
            j4  | w4     | m1      | 1970-01-02 13:00 | 1970-01-02 14:00
        """,
        sensors="""
            job | worker | machine | gpu_name | gpu  | cpu_usage
            j1  | w1     | m1      | 0        | 25   |
            j1  | w1     | m1      | 1        | 75.5 |
            j2  | w2     | m1      | 0        | 25   |
            j2  | w2     | m1      | 1        | -5   |
            j3  | w3     | m1      | 0        | 150  |
            j3  | w3     | m1      | 1        | 150  |
            j4  | w4     | m1      | 0        | 25   |
            j4  | w4     | m1      | 0        | 9    | 100
        """,
        expect={
            "job_days": """
                job | dt         | pool     | allocated | active | idle_held | unknown | over_use | zero_util
                j1  | 1970-01-02 | Tesla T4 | 7200      | 3618   | 3582      | 0       | 0        | 0
                j2  | 1970-01-02 | Tesla T4 | 7200      | 0      | 0         | 7200    | 0        | 0
                j3  | 1970-01-02 | Tesla T4 | 7200      | 0      | 0         | 7200    | 0        | 0
                j4  | 1970-01-02 | Tesla T4 | 7200      | 324    | 6876      | 0       | 0        | 0
            """
        },
    ),
    held(
        "a_share_of_a_gpu_is_that_share",
        "counted whole, shared GPUs would be held several times over",
        tasks="""
            job | gpu
            j1  | 46
        """,
        instances="""
            job | worker | machine | start            | end
            j1  | w1     | m1      | 1970-01-02 10:00 | 1970-01-02 11:00
        """,
        sensors="""
            job | worker | gpu
            j1  | w1     | 23
        """,
        expect={
            "job_days": """
                job | dt         | allocated | active | idle_held | unknown | over_use
                j1  | 1970-01-02 | 1656      | 828    | 828       | 0       | 0
            """
        },
    ),
    held(
        "use_counts_up_to_ones_own_share",
        "a greedy neighbour's use would hide that another's share stands idle, and efficiency would pass 100 %",
        jobs="""
            job | user | status
            j1  | u1   | Terminated
            j2  | u2   | Terminated
        """,
        tasks="""
            job | gpu
            j1  | 25
            j2  | 25
        """,
        instances="""
            job | worker | machine | start            | end
            j1  | w1     | m1      | 1970-01-02 10:00 | 1970-01-02 11:00
            j2  | w2     | m1      | 1970-01-02 10:00 | 1970-01-02 11:00
        """,
        sensors="""
            job | worker | gpu
            j1  | w1     | 60
            j2  | w2     | 5
        """,
        expect={
            "job_days": """
                job | dt         | allocated | active | idle_held | over_use
                j1  | 1970-01-02 | 900       | 900    | 0         | 1260
                j2  | 1970-01-02 | 900       | 180    | 720       | 0
            """,
            "machine_days": """
                machine | dt         | allocated | active | idle_held | over_use | main_job
                m1      | 1970-01-02 | 1800      | 1080   | 720       | 1260     | j2
            """,
        },
    ),
    held(
        "the_main_job_is_the_one_that_held_most",
        "a machine's trouble would be laid at the door of a job with one long attempt, instead of the one that filled it",
        tasks="""
            job | gpu
            j1  | 100
            j2  | 100
        """,
        instances="""
            job | worker | machine | start            | end
            j1  | w1     | m1      | 1970-01-02 10:00 | 1970-01-02 11:30
            j1  | w2     | m1      | 1970-01-02 10:00 | 1970-01-02 11:30
            j2  | w3     | m1      | 1970-01-02 10:30 | 1970-01-02 13:00
        """,
        expect={
            "machine_days": """
                machine | dt         | allocated | main_job
                m1      | 1970-01-02 | 19800     | j1
            """,
            "hours": """
                machine | dt         | hour | allocated | main_job
                m1      | 1970-01-02 | 10   | 9000      | j1
                m1      | 1970-01-02 | 11   | 7200      | j2
                m1      | 1970-01-02 | 12   | 3600      | j2
            """,
        },
    ),
    held(
        "what_is_held_is_whole_thousandths_of_a_gpu",
        "a third of a GPU in full use would be active for longer than it was allocated, and the idle would be negative",
        tasks="""
            job | gpu
            j1  | 33.3333
        """,
        instances="""
            job | worker | machine | start            | end
            j1  | w1     | m1      | 1970-01-02 10:00 | 1970-01-02 11:00
            j1  | w2     | m1      | 1970-01-02 12:00 | 1970-01-02 13:00
        """,
        sensors="""
            job | worker | gpu
            j1  | w1     | 90
            j1  | w2     | 33.3333
        """,
        expect={
            # 0.333 x 3600 s twice; (0.9 - 0.333) x 3600 s + (0.333333 - 0.333) x 3600 s
            "job_days": """
                job | dt         | allocated | active | idle_held | over_use
                j1  | 1970-01-02 | 2397.6    | 2397.6 | 0         | 2042.399
            """
        },
    ),
    held(
        "zero_use_is_exactly_zero",
        "a rule about unused GPUs would accuse somebody who used a little",
        instances="""
            job | worker | machine | start            | end
            j1  | w1     | m1      | 1970-01-02 10:00 | 1970-01-02 11:00
            j1  | w2     | m1      | 1970-01-02 10:00 | 1970-01-02 11:00
        """,
        sensors="""
            job | worker | gpu
            j1  | w1     | 0
            j1  | w2     | 0.001
        """,
        expect={
            "job_days": """
                job | dt         | allocated | active | idle_held | zero_util
                j1  | 1970-01-02 | 7200      | 0.036  | 7199.964  | 3600
            """
        },
    ),
    held(
        "a_lifetime_mean_is_spread_over_the_life",
        "all of a night's work would stand on the day it ended",
        instances="""
            job | worker | machine | start            | end
            j1  | w1     | m1      | 1970-01-02 23:00 | 1970-01-03 00:30
        """,
        sensors="""
            job | worker | gpu
            j1  | w1     | 50
        """,
        expect={
            "job_days": """
                job | dt         | allocated | active | idle_held | parts
                j1  | 1970-01-02 | 3600      | 1800   | 1800      | 1
                j1  | 1970-01-03 | 1800      | 900    | 900       | 1
            """,
            "hours": """
                machine | dt         | hour | capacity | allocated | active | idle_held
                m1      | 1970-01-02 | 23   | 7200     | 3600      | 1800   | 1800
                m1      | 1970-01-03 | 0    | 7200     | 1800      | 900    | 900
            """,
        },
    ),
    held(
        "a_day_of_23_hours_holds_23",
        "on the day on which the clocks go forward more would be held than there is",
        zone="Europe/Berlin",
        instances="""
            job | worker | machine | start            | end
            j1  | w1     | m1      | 2020-03-28 12:00 | 2020-03-30 12:00
        """,
        expect={
            "day_lengths": """
                dt         | hours | capacity | allocated
                2020-03-28 | 12    | 86400    | 43200
                2020-03-29 | 23    | 165600   | 82800
                2020-03-30 | 12    | 86400    | 43200
            """
        },
    ),
    held(
        "a_day_of_25_hours_holds_25",
        "an hour would be missing from the day on which the clocks go back",
        zone="Europe/Berlin",
        instances="""
            job | worker | machine | start            | end
            j1  | w1     | m1      | 2020-10-24 12:00 | 2020-10-26 12:00
        """,
        expect={
            "day_lengths": """
                dt         | hours | capacity | allocated
                2020-10-24 | 12    | 86400    | 43200
                2020-10-25 | 25    | 180000   | 90000
                2020-10-26 | 12    | 86400    | 43200
            """
        },
    ),
    held(
        "a_span_without_length_holds_nothing",
        "a division by its length would fail, or a rounded-up second would be billed",
        instances="""
            job | worker | machine | start            | end
            j1  | w1     | m1      | 1970-01-02 10:00 | 1970-01-02 10:00
            j1  | w2     | m1      | 1970-01-02 10:00 | 1970-01-02 10:00:01
        """,
        expect={
            "job_days": """
                job | dt         | allocated | parts
                j1  | 1970-01-02 | 1         | 1
            """,
            "unbounded": "job | dt | spans",
        },
    ),
    held(
        "a_span_without_a_start_or_an_end_is_counted_not_guessed",
        "an end that nobody recorded would be invented, or GPUs that were held would vanish without a trace",
        instances="""
            job | worker | machine | status  | start            | end
            j1  | w1     | m1      | Running | 1970-01-02 10:00 |
            j1  | w2     | m1      | Failed  |                  | 1970-01-03 11:00
            j1  | w3     | m1      | Failed  |                  |
            j1  |        |         | Waiting |                  |
        """,
        expect={
            "job_days": "job | dt | allocated",
            "unbounded": """
                job | dt         | pool     | known_times | spans | gpus
                j1  | 1970-01-03 | Tesla T4 | end only    | 1     | 1
                j1  |            | Tesla T4 | neither     | 1     | 1
                j1  | 1970-01-02 | Tesla T4 | start only  | 1     | 1
            """,
        },
    ),
    held(
        "a_job_that_never_ends_stands_beside_the_partition",
        "its finished attempts would be lost with the one that still runs, or that one would be counted up to an end that nobody knows",
        jobs="""
            job | user | status  | start            | end
            j1  | u1   | Running | 1970-01-02 09:00 |
        """,
        instances="""
            job | worker | machine | status     | start            | end
            j1  | w1     | m1      | Terminated | 1970-01-02 10:00 | 1970-01-02 11:00
            j1  | w2     | m1      | Running    | 1970-01-02 11:00 |
        """,
        expect={
            "job_days": """
                job | dt         | allocated | unknown
                j1  | 1970-01-02 | 3600      | 3600
            """,
            "unbounded": """
                job | dt         | known_times | spans | gpus
                j1  | 1970-01-02 | start only  | 1     | 1
            """,
        },
    ),
    held(
        "a_clock_that_jumps_back_holds_nothing",
        "negative GPU-hours would lower somebody's bill (a landing refuses such a row and keeps it in meta.quarantine)",
        instances="""
            job | worker | machine | start            | end
            j1  | w1     | m1      | 1970-01-02 11:00 | 1970-01-02 10:00
            j1  | w2     | m1      | 1970-01-02 10:00 | 1970-01-02 10:10
        """,
        expect={
            "job_days": """
                job | dt         | allocated | parts
                j1  | 1970-01-02 | 600       | 1
            """,
            "unbounded": "job | dt | spans",
        },
    ),
    held(
        "of_two_rows_that_share_a_worker_the_longest_is_measured",
        "one measurement would count for two spans",
        instances="""
            job | instance | worker | machine | start            | end
            j1  | a        | w1     | m1      | 1970-01-02 10:00 | 1970-01-02 11:00
            j1  | b        | w1     | m1      | 1970-01-02 10:00 | 1970-01-02 10:30
        """,
        sensors="""
            job | worker | gpu
            j1  | w1     | 50
        """,
        expect={
            "job_days": """
                job | dt         | allocated | active | idle_held | unknown | parts
                j1  | 1970-01-02 | 5400      | 1800   | 1800      | 1800    | 2
            """
        },
    ),
    held(
        "of_two_equally_long_the_row_that_says_more_is_measured",
        "which of them was measured would hang on their names, and a machine lose its use to nowhere",
        instances="""
            job | instance | worker | machine | start            | end
            j1  | a        | w1     | m1      | 1970-01-02 10:00 | 1970-01-02 11:00
            j1  | b        | w1     |         | 1970-01-02 10:00 | 1970-01-02 11:00
        """,
        sensors="""
            job | worker | gpu
            j1  | w1     | 50
        """,
        expect={
            "machine_days": """
                machine | dt         | allocated | active | idle_held | unknown
                m1      | 1970-01-02 | 3600      | 1800   | 1800      | 0
                        | 1970-01-02 | 3600      | 0      | 0         | 3600
            """
        },
    ),
    held(
        "a_row_delivered_again_counts_once",
        "a backfill would double the bill; of two measurements of one attempt the later delivery stands",
        instances="""
            landing | job | worker | machine | start            | end
            1       | j1  | w1     | m1      | 1970-01-02 10:00 | 1970-01-02 11:00
            1       | j1  | w1     | m1      | 1970-01-02 10:00 | 1970-01-02 11:00
            2       | j1  | w1     | m1      | 1970-01-02 10:00 | 1970-01-02 11:00
        """,
        sensors="""
            landing | job | worker | gpu
            1       | j1  | w1     | 75
            2       | j1  | w1     | 50
        """,
        expect={
            "job_days": """
                job | dt         | allocated | active | idle_held | parts
                j1  | 1970-01-02 | 3600      | 1800   | 1800      | 1
            """
        },
    ),
    held(
        "every_attempt_of_a_retry_holds_its_gpus",
        "retries are the cost of failures: counting the last attempt alone would hide them",
        jobs="""
            job | user | status
            j1  | u1   | Failed
        """,
        instances="""
            job | instance | worker | machine | status     | start            | end
            j1  | a        | w1     | m1      | Failed     | 1970-01-02 10:00 | 1970-01-02 10:30
            j1  | a        | w2     | m1      | Terminated | 1970-01-02 11:00 | 1970-01-02 12:00
        """,
        sensors="""
            job | worker | gpu
            j1  | w2     | 100
        """,
        expect={
            "machine_days": """
                machine | dt         | allocated | active | idle_held | unknown | failed_active | parts
                m1      | 1970-01-02 | 5400      | 3600   | 0         | 1800    | 3600          | 2
            """
        },
    ),
    held(
        "a_task_without_gpus_holds_none",
        "parameter servers would be billed for GPUs (in PAI an empty plan_gpu is CPU-only, not unknown)",
        jobs="""
            job | user | status
            j1  | u1   | Terminated
            j2  | u1   | Terminated
        """,
        tasks="""
            job | gpu
            j1  |
            j2  | 0
        """,
        instances="""
            job | worker | machine | start            | end
            j1  | w1     | m1      | 1970-01-02 10:00 | 1970-01-02 11:00
            j2  | w2     | m1      | 1970-01-02 10:00 |
        """,
        expect={"job_days": "job | dt | allocated", "unbounded": "job | dt | spans"},
    ),
    held(
        "a_machine_that_nobody_describes_is_over_allocated",
        "capacity would be invented, or the GPU-hours would be dropped because the machine table is old",
        machines="""
            machine | gpu_type | gpus
            m1      | T4       | 2
            cpu1    | CPU      | 0
        """,
        instances="""
            job | worker | machine | start            | end
            j1  | w1     | m9      | 1970-01-02 10:00 | 1970-01-02 11:00
            j1  | w2     | cpu1    | 1970-01-02 10:00 | 1970-01-02 10:30
            j1  | w3     |         | 1970-01-02 10:00 | 1970-01-02 10:15
        """,
        expect={
            "machine_days": """
                machine | dt         | pool            | allocated | unknown | over_allocated
                cpu1    | 1970-01-02 | unknown machine | 1800      | 1800    | 1800
                m9      | 1970-01-02 | unknown machine | 3600      | 3600    | 3600
                        | 1970-01-02 | unknown machine | 900       | 900     | 900
            """
        },
    ),
    held(
        "more_than_the_machine_has_is_over_allocated_by_the_hour",
        "utilisation would pass 100 %, or the excess would be hidden in another term; a quiet hour cannot pay for a full one",
        instances="""
            job | worker | machine | start            | end
            j1  | w1     | m1      | 1970-01-02 10:00 | 1970-01-02 11:30
            j1  | w2     | m1      | 1970-01-02 10:00 | 1970-01-02 11:30
            j1  | w3     | m1      | 1970-01-02 10:00 | 1970-01-02 11:30
        """,
        expect={
            "hours": """
                machine | dt         | hour | capacity | over_allocated | allocated
                m1      | 1970-01-02 | 10   | 7200     | 3600           | 10800
                m1      | 1970-01-02 | 11   | 7200     | 0              | 5400
            """,
            "machine_days": """
                machine | dt         | over_allocated | allocated
                m1      | 1970-01-02 | 3600           | 16200
            """,
        },
    ),
    held(
        "job_ids_of_one_cluster_mean_nothing_in_another_here",
        "two clusters that number their jobs alike would measure each other's work",
        instances="""
            job | worker | machine | start            | end
            j1  | w1     | m1      | 1970-01-02 10:00 | 1970-01-02 11:00
        """,
        sensors="""
            job | worker | gpu
            j1  | w1     | 50
        """,
        expect={
            "job_days": """
                job | dt         | allocated | active | unknown
                j1  | 1970-01-02 | 3600      | 1800   | 0
            """
        },
    ),
    held(
        "job_ids_of_one_cluster_mean_nothing_in_another_there",
        "the same job, attempt and machine in a second cluster, where nothing was measured and half a GPU was held",
        tasks="""
            job | gpu
            j1  | 50
        """,
        instances="""
            job | worker | machine | start            | end
            j1  | w1     | m1      | 1970-01-02 10:00 | 1970-01-02 11:00
        """,
        expect={
            "job_days": """
                job | dt         | allocated | active | unknown
                j1  | 1970-01-02 | 1800      | 0      | 1800
            """
        },
    ),
    Case(
        name="a_pod_that_was_never_scheduled_held_nothing",
        breaks="the wait of a pod would be billed as GPU time (in openb a scheduled_time of 0 is a time)",
        source="openb2023",
        pools="all",
        rows={
            "nodes": """
                node | gpus
                n1   | 2
            """,
            "pods": """
                pod | gpus | milli | phase     | created | scheduled | deleted
                p1  | 1    | 460   | Succeeded | 0       | 0         | 3600
                p2  | 2    | 1000  | Failed    | 60      |           | 7200
            """,
        },
        expect={
            "job_days": """
                job | dt         | pool | allocated | active | unknown
                p1  | 1970-01-01 | all  | 1656      | 0      | 1656
            """,
            "unbounded": "job | dt | spans",
        },
    ),
    Case(
        name="a_sample_measures_its_own_interval",
        breaks="a gap in the samples would be filled with the last value; a sample cannot last into the next",
        source="genai2026",
        pools="all",
        rows={
            # 57 s each, the second cut after 30 s by the third; nothing from 01:27 to 03:00
            "duty": """
                container | at                  | value
                c1        | 1970-01-02 00:00:00 | 100
                c1        | 1970-01-02 00:00:57 | 0
                c1        | 1970-01-02 00:01:27 | 50
                c1        | 1970-01-02 00:03:00 | 10
            """
        },
        expect={
            "job_days": """
                job | dt         | allocated | active | idle_held | unknown | zero_util | parts
                c1  | 1970-01-02 | 237       | 91.2   | 109.8     | 36      | 30        | 5
            """
        },
    ),
]


def page_part() -> Iterator[str]:
    """The cases as a page shows them."""
    yield "Every case of a PAI cluster has these rows unless it shows its own:\n"
    yield from _blocks(DEFAULTS)
    for case in CASES:
        yield f"### {case.name.replace('_', ' ').capitalize()}"
        yield f"Else {case.breaks}.\n" + (f"Zone: {case.zone}.\n" if case.zone != "UTC" else "")
        yield from _blocks(case.shown or case.rows)
        yield from _blocks({f"⇒ {TITLES[what]}": text for what, text in case.expect.items()})


def _blocks(tables) -> Iterator[str]:
    lines = []
    for title, text in tables.items():
        rows = [line.strip() for line in text.strip().splitlines() if line.strip()]
        none = [] if len(rows) > 1 else ["(none)"]
        lines += [title, *(f"  {row}" for row in rows + none)]
    yield "```text\n" + "\n".join(lines) + "\n```\n"
