"""Utilisation of a day, the slow and obvious way: one machine after the other, by loops and by an array of seconds."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from tests.oracle.hours_from_windows import days_of_fleet
from tiny_lake import Case


def days_of(case: Case) -> dict[date, tuple[int, int]]:
    """Every day of the window with its first and last second."""
    zone = ZoneInfo(case.zone)
    times = [
        row[key]
        for short in ("jobs", "tasks", "instances", "windows")
        for row in case.source_rows(short)
        for key in ("start_time", "end_time")
        if (row.get(key) or 0) > 0
    ]
    first, last = (datetime.fromtimestamp(t, zone).date() for t in (min(times), max(times)))
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]

    def start(day: date) -> int:
        return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp())

    return {day: (start(day), start(day + timedelta(days=1))) for day in days}


def plausible(value: float | None, most: float) -> float | None:
    """What a machine can show, with a tenth for clocks and counters; another value measures nothing."""
    return value if value is not None and 0 <= value <= most else None


def daily(case: Case) -> list[dict[str, object]]:
    """One row per day, in the columns of gold_cluster_util_daily."""
    machines = {
        row["machine"]: (int(row["cap_gpu"] or 0), int(row["cap_cpu"] or 0)) for row in case.source_rows("machines")
    }
    by_machine = defaultdict(list)
    for row in case.source_rows("windows"):
        start, end = row["start_time"], row["end_time"]
        if start and end and 0 < start < end:
            gpus, _ = machines.get(row["machine"], (1_000, 0))  # more than any machine has, where none is described
            gpu, cpu = plausible(row["machine_gpu"], 110 * gpus), plausible(row["machine_cpu"], 110)
            by_machine[row["machine"]].append((int(start), int(end), gpu, cpu))
    result = []
    for day, (first, last) in days_of(case).items():
        seconds = last - first
        gpu_s = gpu_pct_s = swept_pct_s = core_s = core_pct_s = 0.0
        hours: list[float] = []
        covered_machines = 0
        of_gpus = days_of_fleet(
            {
                machine: (
                    [(start, end, pct) for start, end, pct, _ in windows if pct is not None],
                    100 * max(machines.get(machine, (0, 0))[0], 1),
                )
                for machine, windows in by_machine.items()
            },
            start=first,
            end=last,
        )
        of_cpus = days_of_fleet(
            {
                machine: ([(start, end, pct) for start, end, _, pct in windows if pct is not None], 100)
                for machine, windows in by_machine.items()
            },
            start=first,
            end=last,
        )
        for machine, windows in by_machine.items():
            gpus, cores = machines.get(machine, (0, 0))
            n, gpu = np.zeros(seconds), np.zeros(seconds)
            for start, end, gpu_pct, _ in windows:
                if gpu_pct is not None:
                    span = slice(max(start - first, 0), max(min(end - first, seconds), 0))
                    n[span] += 1
                    gpu[span] += gpu_pct
            known = n > 0
            of_gpu, of_cpu = of_gpus[machine][0], of_cpus[machine][0]
            covered_machines += bool(of_gpu or of_cpu)
            gpu_s += gpus * known.sum()
            swept_pct_s += (gpu[known] / n[known]).sum() if gpus else 0
            gpu_pct_s += sum(covered * mean for covered, mean, _ in of_gpu.values()) if gpus else 0
            core_s += cores * sum(covered for covered, _, _ in of_cpu.values())
            core_pct_s += cores * sum(covered * mean for covered, mean, _ in of_cpu.values())
            hours += [mean / gpus for covered, mean, _ in of_gpu.values() if gpus and covered * 2 >= 3600]
        capacity = sum(gpus for gpus, _ in machines.values()) * seconds
        result.append({
            "dt": day,
            "avg_gpu_util": gpu_pct_s / gpu_s if gpu_s else None,
            "avg_gpu_util_swept": swept_pct_s / gpu_s if gpu_s else None,
            "p95_gpu_util": float(np.percentile(hours, 95)) if hours else None,
            "avg_cpu_util": core_pct_s / core_s if core_s else None,
            "coverage_ratio": gpu_s / capacity if capacity else None,
            "covered_gpu_s": int(gpu_s) if machines else None,
            "covered_machines": covered_machines,
            "machine_hours": len(hours),
        })  # fmt: skip
    return result
