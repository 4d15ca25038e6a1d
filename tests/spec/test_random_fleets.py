"""Two ways agree: on random fleets, a per-second loop and the SQL give the same figures."""

from __future__ import annotations

import random
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from tiny_lake import Case

from oracle import daily

ZONES = [("UTC", "2020-05-01"), ("Asia/Shanghai", "1970-01-03"), ("Asia/Kolkata", "2021-02-27"),
         ("America/New_York", "2020-10-31"), ("Australia/Lord_Howe", "2020-10-03"),
         ("America/Havana", "2020-10-31"), ("Pacific/Kiritimati", "1970-01-03"), ("Africa/Monrovia", "1970-01-03")]  # fmt: skip


def fleet(seed: int) -> Case:
    dice = random.Random(seed)
    zone, first_day = ZONES[seed % len(ZONES)]
    first = datetime.fromisoformat(first_day).replace(tzinfo=ZoneInfo(zone)).timestamp()
    machines = [
        {"machine": f"m{n}", "cap_gpu": dice.choice([0, 1, 2, 8]), "cap_cpu": dice.choice([8, 64, 96])}
        for n in range(5)
    ]
    windows = []
    for n in range(dice.choice([40, 400])):
        start = first + dice.randrange(3 * 86400)
        length = int(dice.choice([dice.uniform(0, 90), dice.lognormvariate(7, 2)]))
        windows.append({
            "worker_name": f"w{n}",
            "machine": dice.choice(["m0", "m1", "m2", "m3", "unknown"]),
            "start_time": dice.choice([start] * 30 + [0, None]),
            "end_time": min(start + length, first + 3 * 86400 - 1),
            "machine_gpu": dice.choice([round(dice.expovariate(0.02), dice.choice([0, 3, 12]))] * 20 + [None]),
            "machine_cpu": dice.choice([dice.uniform(0, 100)] * 20 + [None]),
        })  # fmt: skip
    return Case(name=f"fleet_{seed}", zone=zone, rows={"machines": machines, "windows": windows})


FLEETS = [fleet(seed) for seed in range(10)]


@pytest.mark.parametrize("case", [pytest.param(one, id=f"{one.name}-{one.zone}") for one in FLEETS])
def test_the_models_agree_with_a_loop_over_seconds(case, built):
    """A figure that only the SQL can reproduce cannot be trusted."""
    found = built.rows("SELECT * FROM lake.main.gold_cluster_util_daily WHERE cluster_id = ? ORDER BY dt", case.name)
    expected = daily(case)
    assert [row["dt"] for row in expected] == [row["dt"] for row in found]
    for wanted, row in zip(expected, found, strict=True):
        for column, value in wanted.items():
            got = row[column]
            if isinstance(value, float):
                assert value == pytest.approx(got, rel=1e-6, abs=1e-6), f"{case.name} {row['dt']} {column}"
            else:
                assert value == got, f"{case.name} {row['dt']} {column}"
