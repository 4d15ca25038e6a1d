"""Simulated fleets: are the days of low use flagged, and how often is an ordinary day?

Each seed is simulated twice, as it is and with faults, and refreshed as a user would; what is counted is what reports show.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from bench.measure import GPULAKE, Target, run, verdict
from bench.traces import HOME

SEEDS = [int(seed) for seed in os.environ.get("GPULAKE_BENCH_SEEDS", "42 1 2 3 4 5 6 7 8 9 10").split()]
SCALE, DAYS = 0.05, 62
DECLARED_A_YEAR = 4.0
SHOWN = """
    select dt, judgement, anomaly_reason, coverage_ratio from gold_cluster_util_daily_scored
    where cluster_id = 'pai2020' order by dt
"""
UTC_OFFSET_S = 28_800
EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class Judged:
    """What is shown of one fleet's days: judged, flagged, and flagged though little of them was observed."""

    judged: int
    flagged: frozenset[str]
    thin_flagged: int


def judge(seed: int, *, faults: bool) -> tuple[Judged, frozenset[str], frozenset[str]]:
    """Refresh one fleet: what its days are judged, those on which all of it was made to use little, those of a burst of jobs."""
    folder = HOME / "simulated"
    shutil.rmtree(folder, ignore_errors=True)
    trace, lake = folder / "trace", folder / "lake"
    faulty = ["--faults"] if faults else []
    run([GPULAKE, "simulate", "pai2020", "--scale", str(SCALE), "--days", str(DAYS), "--seed", str(seed), *faulty,
         "--out", str(trace)])  # fmt: skip
    run([GPULAKE, "refresh", "--data", str(trace), "--lake", str(lake), "--json"])
    answer = folder / "answer.json"
    run([GPULAKE, "sql", SHOWN, "--lake", str(lake), "--json"], answer=answer)
    days = json.loads(answer.read_text())
    known = sorted(day["coverage_ratio"] for day in days)
    usual = known[len(known) // 2]
    flagged = [day for day in days if day["judgement"] == "anomaly"]
    judged = Judged(
        judged=sum(day["judgement"] != "not_judged" for day in days),
        flagged=frozenset(day["dt"] for day in flagged),
        thin_flagged=sum(day["coverage_ratio"] < usual / 4 for day in flagged),
    )
    if not faults:
        return judged, frozenset(), frozenset()
    return judged, _days_of(trace, "fleet_low_use"), _days_of(trace, "user_burst")


def _days_of(trace: Path, kind: str) -> frozenset[str]:
    import duckdb

    found = duckdb.sql(
        "SELECT unnest(range(start_s + $offset - (start_s + $offset) % 86400, end_s + $offset, 86400)) AS day_s "
        f"FROM read_parquet('{trace}/**/faults.parquet') WHERE kind = $kind",
        params={"offset": UTC_OFFSET_S, "kind": kind},
    )
    return frozenset(str(EPOCH + timedelta(seconds=day_s)) for (day_s,) in found.fetchall())


def tell() -> None:
    """A line per seed, then the sums."""
    print(f"\nsimulated fleets, scale {SCALE:g}, {DAYS} days: what reports show of them")
    print(
        "  seed  days of low use: found, missed | a burst, flagged | other days flagged | thin ones | clean: judged, flagged"
    )
    found = missed = other = thin = judged = false = 0
    for seed in SEEDS:
        faulty, low, burst = judge(seed, faults=True)
        clean, _, _ = judge(seed, faults=False)
        hits = low & faulty.flagged
        print(
            f"  {seed:4}  {len(low)}: {len(hits)}, {' '.join(sorted(low - hits)) or 0} | "
            f"{' '.join(sorted(faulty.flagged & burst)) or 0} | {' '.join(sorted(faulty.flagged - low - burst)) or 0} | {faulty.thin_flagged + clean.thin_flagged} | "
            f"{clean.judged}, {' '.join(sorted(clean.flagged)) or 0}",
            flush=True,
        )
        found, missed = found + len(hits), missed + len(low - hits)
        other += len(faulty.flagged - low - burst)
        thin += faulty.thin_flagged + clean.thin_flagged
        judged, false = judged + clean.judged, false + len(clean.flagged)
    print(f"  in all: {found} found, {missed} missed, {other} other days flagged, {thin} thin ones flagged")
    a_year = 365.25 * false / judged
    print(f"  missed{missed:8}{verdict(missed, Target(0))}")
    print(f"  thin days flagged{thin:8}{verdict(thin, Target(0))}")
    print(f"  flagged a year, clean{a_year:8.1f}{verdict(a_year, Target(2 * DECLARED_A_YEAR))}")


if __name__ == "__main__":
    tell()
