"""A cluster of one's own, in plain files: jobs that hold named GPUs, and samples of each GPU."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest

MIDNIGHT = datetime(2026, 3, 1)  # noqa: DTZ001


def at(hour: float) -> str:
    return (MIDNIGHT + timedelta(hours=hour)).isoformat() + "Z"


MACHINES = ["machine_id,gpu_count,gpu_model,cpu_cores", "m1,2,H100,30", "m2,2,H100,10"]
JOBS = [
    "job_id,submitted_at,started_at,ended_at,status,user_id,gpu_request_count",
    f"j1,{at(0)},{at(0)},{at(6)},succeeded,ada,2",
    f"j2,{at(3)},{at(19 / 6)},{at(25 / 6)},failed,bob,1",
    f"j3,{at(6)},{at(6)},{at(8)},succeeded,bob,1",
    f"j4,{at(10)},{at(10)},{at(12)},succeeded,eve,0.5",
    f"j5,{at(11)},{at(11)},{at(13)},succeeded,fay,0.5",
]
HELD = [
    "job_id,machine_id,started_at,ended_at,gpu_count,gpu_indices",
    f'j1,m1,{at(0)},{at(6)},2,"0,1"',
    f"j2,m2,{at(19 / 6)},{at(25 / 6)},1,0",
    f"j3,m2,{at(6)},{at(8)},1,1",
    f"j4,m2,{at(10)},{at(12)},0.5,0",
    f"j5,m2,{at(11)},{at(13)},0.5,0",
]
SAMPLED = "machine_id,gpu_index,sampled_at,interval_s,gpu_util_pct,memory_used_bytes,power_w,energy_j,ecc_sbe_volatile,clocks_event_reasons"


def samples() -> list[str]:
    """Each half hour of m1's two GPUs and of m2's first one; m2's second is silent."""
    lines = []
    for step in range(48):
        hour = step / 2
        # The counter of errors grows by one in five hours; it begins anew at noon, and one has come since.
        errors = step // 10 if step < 24 else 1 + (step - 24) // 10
        lines += [
            f"m1,0,{at(hour)},1800,{50 if hour < 6 else 0},1000,400,{1000 * step},{errors},{4 if hour < 1 else 0}",
            f"m1,1,{at(hour)},1800,0,0,100,,0,{-1 if step == 6 else 1}",
            f"m2,0,{at(hour)},1800,{80 if 3 <= hour < 4.5 else 40 if 10 <= hour < 13 else 0},500,200,,0,1",
        ]
    return lines


HOSTS = "machine_id,sampled_at,interval_s,cpu_util_pct,load_1,memory_used_bytes,memory_total_bytes,net_rx_bytes_per_s,net_tx_bytes_per_s"


def hosts() -> list[str]:
    """What each hour of the machines says of the hour before it; m2's exporter is silent until noon."""
    return [
        f"{machine},{at(hour)},3600,{share * hour},{hour},{1000 * hour},100000,{10 * hour},{20 * hour}"
        for machine, share, first in (("m1", 1, 1), ("m2", 4, 13))
        for hour in range(first, 24)
    ]


def deliver(folder: Path, **tables: list[str]) -> Path:
    folder.mkdir(parents=True)
    for table, lines in tables.items():
        (folder / f"plain_{table}.csv").write_text("\n".join(lines) + "\n")
    return folder


def refresh(cli, data: Path, lake: Path) -> None:
    done = cli("refresh", "--data", data, "--lake", lake, "--cluster", "site", "--json")
    assert 0 == done.returncode, done.stderr + done.stdout


def ask(cli, lake: Path, query: str) -> list[dict]:
    done = cli("sql", query, "--lake", lake, "--json")
    assert 0 == done.returncode, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def lake(cli, tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    data = deliver(
        folder / "data",
        machines=MACHINES,
        jobs=JOBS,
        allocations=HELD,
        gpu_samples=[SAMPLED, *samples()],
        machine_samples=[HOSTS, *hosts()],
    )
    refresh(cli, data, folder / "lake")
    return folder / "lake"


def test_samples_of_gpus_say_what_the_jobs_that_held_them_used(cli, lake):
    """By hand. j1 holds 12 GPU-h: half of one GPU, nothing of the other. j2's hour lies across samples of 80 %. j3's GPU is silent.

    j4 and j5 share a GPU for an hour: what was measured then is nobody's, so it is unknown; alone they use 40 % of a GPU, of
    which each holds half.
    """
    found = ask(
        cli,
        lake,
        "select job_id, allocated_gpu_h, active_gpu_h, idle_held_gpu_h, unknown_gpu_h, zero_util_gpu_h, gpu_mem_used_bytes_max from gold_jobs order by 1",
    )

    assert [
        ("j1", 12.0, 3.0, 9.0, 0.0, 6.0, 1000),
        ("j2", 1.0, 0.8, 0.2, 0.0, 0.0, 500),
        ("j3", 2.0, 0.0, 0.0, 2.0, 0.0, None),
        ("j4", 1.0, 0.4, 0.1, 0.5, 0.0, 500),
        ("j5", 1.0, 0.4, 0.1, 0.5, 0.0, 500),
    ] == [
        tuple(pytest.approx(value, abs=1e-9) if isinstance(value, float) else value for value in row.values())
        for row in found
    ]


def test_the_capacity_of_a_live_cluster_closes(cli, lake):
    """Two machines of two GPUs for a day are 96 GPU-h."""
    (found,) = ask(
        cli,
        lake,
        "select capacity_gpu_h, unallocated_gpu_h, allocated_gpu_h, active_gpu_h, idle_held_gpu_h, unknown_gpu_h, over_allocated_gpu_h from gold_capacity_daily",
    )

    assert {
        "capacity_gpu_h": 96.0,
        "unallocated_gpu_h": 79.0,
        "allocated_gpu_h": 17.0,
        "active_gpu_h": pytest.approx(4.6),
        "idle_held_gpu_h": pytest.approx(9.4),
        "unknown_gpu_h": 3.0,
        "over_allocated_gpu_h": 0.0,
    } == found


def test_an_hour_of_a_gpu_has_its_means_and_what_its_counters_grew_by(cli, lake):
    """A counter that fell began anew at 0, and what it shows since is news; the first sample of all says nothing of before."""
    hours = ask(
        cli,
        lake,
        "select date_part('hour', hour_start_at) as hour, used_us, power_w, energy_j, ecc_sbe_volatile, sw_power_cap_s, counter_resets "
        "from silver_gpu_hours where machine_id = 'm1' and gpu_device = '0' order by 1",
    )

    assert 24 == len(hours)
    assert [1_800_000_000] * 6 + [0] * 18 == [hour["used_us"] for hour in hours]
    assert {400.0} == {hour["power_w"] for hour in hours}
    assert [1000.0] + [2000.0] * 23 == [hour["energy_j"] for hour in hours]
    # Half hours 10, 20, 34 and 44 each show one error more; at half hour 24 the counter had begun anew, and shows one.
    assert {5: 1.0, 10: 1.0, 12: 1.0, 17: 1.0, 22: 1.0} == {
        hour["hour"]: hour["ecc_sbe_volatile"] for hour in hours if hour["ecc_sbe_volatile"]
    }
    assert [12] == [hour["hour"] for hour in hours if hour["counter_resets"]]
    assert {0: 3600} == {hour["hour"]: hour["sw_power_cap_s"] for hour in hours if hour["sw_power_cap_s"]}


def test_a_mask_of_all_bits_is_no_reason(cli, lake):
    """Some exporters write -1 for what they cannot read: every bit of it would be a reason."""
    hours = ask(
        cli,
        lake,
        "select date_part('hour', hour_start_at) as hour, reasons_covered_s, sw_power_cap_s "
        "from silver_gpu_hours where machine_id = 'm1' and gpu_device = '1' order by 1",
    )

    assert {3: 1800} == {hour["hour"]: hour["reasons_covered_s"] for hour in hours if hour["reasons_covered_s"] != 3600}
    assert {0} == {hour["sw_power_cap_s"] for hour in hours}


def test_a_machine_is_as_busy_as_its_gpus(cli, lake):
    """m1 has one GPU at 50 % and one at none; of m2 only one GPU was measured, so half of its hour is."""
    hours = ask(
        cli,
        lake,
        "select machine_id, gpu_covered_s, gpu_util_weighted_pct from silver_machine_hours where hour_start_at = '2026-03-01 03:00:00' order by 1",
    )

    assert [
        {"machine_id": "m1", "gpu_covered_s": 3600, "gpu_util_weighted_pct": 25.0},
        {"machine_id": "m2", "gpu_covered_s": 1800, "gpu_util_weighted_pct": 80.0},
    ] == hours


def test_a_machine_is_as_busy_as_its_own_samples_say(cli, lake):
    """By hand. m1's hours are 1 to 23 %, m2's 52 to 92 % from noon on; a core of either counts alike."""
    asked = "cpu_util_pct, cpu_covered_s, load_1m, net_rx_bytes_per_s, net_tx_bytes_per_s, memory_used_bytes, memory_total_bytes"
    days = ask(cli, lake, f"select {asked} from gold_machine_util_daily where dt = '2026-03-01' order by machine_id")
    (hour,) = ask(
        cli,
        lake,
        f"select {asked} from gold_machine_util_hourly where machine_id = 'm2' and hour_start_at = '2026-03-01 13:00:00'",
    )
    (cluster,) = ask(
        cli,
        lake,
        "select avg_cpu_util, covered_core_s, capacity_core_s from gold_cluster_util_daily where dt = '2026-03-01'",
    )

    assert [
        (12.0, 23 * 3600, 12.0, 120.0, 240.0, 12000.0, 100000),
        (72.0, 11 * 3600, 18.0, 180.0, 360.0, 18000.0, 100000),
    ] == [tuple(day.values()) for day in days]
    assert (56.0, 3600, 14.0, 140.0, 280.0, 14000.0, 100000) == tuple(hour.values())
    # 30 cores for 23 hours and 10 for 11: (12 × 690 + 72 × 110) / 800
    assert (20.25, 800 * 3600, 40 * 86400) == tuple(cluster.values())


TABLES = (
    "gold_machine_util_daily",
    "gold_jobs",
    "gold_capacity_daily",
    "silver_gpu_hours",
    "silver_machine_hours",
    "silver_allocation_days",
    "gold_cluster_util_daily",
)


@pytest.mark.slow
def test_deliveries_in_any_order_give_the_same_figures(cli, lake, tmp_path):
    """Samples come every few minutes, and jobs when they end: what is known at last must not depend on it.

    j4 is alone on its GPU until j5 comes, with the last delivery: what both did is nobody's then either.
    """
    late = tmp_path / "late"
    first, second = samples()[:60], samples()[60:]
    refresh(cli, deliver(tmp_path / "1", gpu_samples=[SAMPLED, *second], machine_samples=[HOSTS, *hosts()[:6]]), late)
    refresh(
        cli,
        deliver(tmp_path / "2", machines=MACHINES, jobs=[*JOBS[:2], JOBS[4]], allocations=[*HELD[:2], HELD[4]]),
        late,
    )
    refresh(
        cli,
        deliver(
            tmp_path / "3", gpu_samples=[SAMPLED, *first, *second[:7]], machine_samples=[HOSTS, *reversed(hosts()[5:])]
        ),
        late,
    )
    jobs, held = ([lines[0], *lines[2:4], lines[5]] for lines in (JOBS, HELD))
    refresh(cli, deliver(tmp_path / "4", jobs=jobs, allocations=held), late)

    for table in TABLES:
        columns = "* exclude (landing_no, source_row)" if table == "silver_allocation_days" else "*"
        query = f"select {columns} from {table} order by all"
        assert ask(cli, lake, query) == ask(cli, late, query), table


def every(step_s: int, since: str, until: str, *, gpu: int = 0) -> list[str]:
    """Samples of a GPU of m1 that tell no interval; their use and counter differ from one to the next."""
    first, end = (datetime.fromisoformat(f"2026-03-0{moment}:00+00:00") for moment in (since, until))
    count = int((end - first).total_seconds()) // step_s
    return [
        f"m1,{gpu},{first + timedelta(seconds=at * step_s):%Y-%m-%dT%H:%M:%SZ},{at % 7 * 10},{200 + at % 5},{at // 3}"
        for at in range(count)
    ]


@pytest.mark.slow
def test_a_usual_step_may_change_with_any_delivery(cli, tmp_path):
    """Samples that tell no interval speak for their device's usual step of the day: hours are made again where that moves, and
    where a lone sample had none; not where it stays. Whatever came first, the figures are those of one delivery.
    """
    header = "machine_id,gpu_index,sampled_at,gpu_util_pct,power_w,ecc_sbe_volatile"
    parts = [
        every(600, "1T00:00", "1T06:00") + every(600, "1T03:00", "1T03:10", gpu=1),
        every(600, "1T06:00", "1T08:00") + every(600, "1T11:00", "1T14:00", gpu=1),  # 3:00 is no lone one any more
        every(600, "1T08:00", "1T09:00"),
        every(120, "1T09:00", "1T20:00"),  # from here on two minutes are usual
        every(600, "2T00:00", "2T02:00"),  # on the next day ten minutes
        every(120, "1T23:00", "2T00:00") + every(600, "1T02:00", "1T03:00", gpu=1),
    ]
    described = {"machines": MACHINES, "jobs": JOBS[:2], "allocations": HELD[:2]}
    samples_of_all = [line for part in parts for line in part]
    at_once, by_and_by = tmp_path / "at_once", tmp_path / "by_and_by"
    refresh(cli, deliver(tmp_path / "all", gpu_samples=[header, *samples_of_all], **described), at_once)
    for number, part in enumerate(parts):
        first = described if number == 0 else {}
        refresh(cli, deliver(tmp_path / f"{number}", gpu_samples=[header, *part], **first), by_and_by)
        if number == 2:
            (steps,) = ask(cli, by_and_by, "select distinct usual_step_s from silver_gpu_hours where gpu_device = '0'")
            assert {"usual_step_s": 600} == steps

    for table in ("silver_gpu_hours", "silver_machine_hours", "gold_machine_util_daily", "gold_jobs"):
        query = f"select * from {table} order by all"
        assert ask(cli, at_once, query) == ask(cli, by_and_by, query), table
