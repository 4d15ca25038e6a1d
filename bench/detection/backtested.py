"""Faulty and clean fleets, back-tested as a user would: which faults are told of, how late, and what is told that is none.

Each seed is simulated twice, with two dozen faults of eight kinds and with none, refreshed, and replayed by the shipped rules. What a rule
tells that touches no injected fault is "other": of rules that judge by a detector it is a false alarm; of rules that count GPU-hours
or money it is what the simulated users do.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.measure import GPULAKE, Target, run, verdict
from bench.traces import HOME
from gpulake.detectors import Detector, all_detectors

SEEDS = [int(seed) for seed in os.environ.get("GPULAKE_BENCH_SEEDS", "42 1 2 3").split()]
SCALE = float(os.environ.get("GPULAKE_BENCH_FLEET_SCALE", "0.05"))
DAYS = int(os.environ.get("GPULAKE_BENCH_FLEET_DAYS", "62"))

# Which detector each rule reads, and in which table what it judged stands
READ_BY = {
    "anomaly_day": ("cluster_day", "gold_cluster_util_daily_scored"),
    "busy_day": ("cluster_day", "gold_cluster_util_daily_scored"),
    "anomaly_hour": ("cluster_hour", "gold_cluster_hours_scored"),
    "machine_anomaly": ("machine_peers", "gold_machine_anomalies"),
    "machine_host_anomaly": ("machine_peers", "gold_machine_anomalies"),
}
JUDGED = " union all ".join(
    f"select '{rule}' as rule, count(*) as judged from {table} where judgement <> 'not_judged'"
    for rule, (_, table) in READ_BY.items()
)


@dataclass(frozen=True)
class Told:
    """What a back-test says of one fleet, and how many rows each detector judged."""

    report: Mapping[str, Any]  # the JSON of the command
    judged: Mapping[str, int]

    @property
    def days(self) -> int:
        """How many were replayed."""
        return int(self.report["days"])

    def sent(self, severity: str) -> int:
        """Alarms of a severity."""
        return sum(day[severity] for day in self.report["per_day"])


def told_of(seed: int, *, faulty: bool, home: Path, scale: float = SCALE, days: int = DAYS) -> Told:
    """Simulate, refresh and back-test one fleet in a folder of its own."""
    folder = home / f"{'faulty' if faulty else 'clean'}-{seed}"
    shutil.rmtree(folder, ignore_errors=True)
    trace, lake = folder / "trace", folder / "lake"
    run([GPULAKE, "simulate", "pai2020", "--scale", str(scale), "--days", str(days), "--seed", str(seed),
         *(["--many-faults"] if faulty else []), "--out", str(trace)])  # fmt: skip
    run([GPULAKE, "refresh", "--data", str(trace), "--lake", str(lake), "--json"])
    run([GPULAKE, "rules", "backtest", "--truth", str(trace / "truth" / "faults.parquet"), "--lake", str(lake), "--json"],
        answer=folder / "report.json")  # fmt: skip
    run([GPULAKE, "sql", JUDGED, "--lake", str(lake), "--json"], answer=folder / "judged.json")
    report = json.loads((folder / "report.json").read_text())
    judged = {row["rule"]: row["judged"] for row in json.loads((folder / "judged.json").read_text())}
    shutil.rmtree(folder)
    return Told(report, judged)


def kinds(faults: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], list[Mapping[str, Any]]]:
    """Faults by kind and strength."""
    groups = defaultdict(list)
    for fault in faults:
        groups[fault["kind"], strength(fault)].append(fault)
    return dict(sorted(groups.items()))


def strength(fault: Mapping[str, Any]) -> str:
    """How strong a fault is, and for how long, as people read it."""
    from datetime import datetime

    began, ended = (datetime.fromisoformat(fault[name]) for name in ("began_at", "ended_at"))
    hours = (ended - began).total_seconds() / 3_600
    size = fault["magnitude"]
    if fault["kind"] == "user_burst":
        return f"{int(size) // 50 * 50}+ jobs"
    if fault["kind"] == "user_idle_hold":
        return f"{size:.0f} GPUs, 4 days"
    if fault["kind"] == "failing_jobs":
        return f"{size:.0%} of a day's"
    return f"{hours:.0f} h" + (f", × {size:g}" if size else "")


def allowed(rule: str, clean: Sequence[Told]) -> float:
    """Twice the declared rate of the detector that a rule reads, over what it judged."""
    detector = _detectors()[READ_BY[rule][0]]
    return 2 * detector.false_alarms_per_1000 / 1000 * sum(each.judged[rule] for each in clean)


def _detectors() -> dict[str, Detector]:
    return {detector.name: detector for detector in all_detectors()}


def incidents_of(told: Sequence[Told], rule: str) -> int:
    """How many incidents a rule opened."""
    return sum(score["incidents"] for each in told for score in each.report["rules"] if score["rule"] == rule)


def print_matrix(faulty: Sequence[Told]) -> None:
    """A line per kind and strength, then one per rule."""
    print("\n  fault                 strength          found  hours until told: first by which rule")
    for (kind, how), group in kinds([fault for each in faulty for fault in each.report["faults"]]).items():
        first = [min(by.items(), key=lambda each: each[1]) for fault in group if (by := fault["found_by"])]
        late = ", ".join(f"{hours:.0f} {rule}" for rule, hours in sorted(first, key=lambda each: each[1]))
        print(f"  {kind:<20}  {how:<16}  {len(first)} of {len(group)}  {late}")
    print("\n  rule                    severity  right  other  a month")
    days = sum(each.days for each in faulty)
    for name in sorted({score["rule"] for each in faulty for score in each.report["rules"]}):
        own = [score for each in faulty for score in each.report["rules"] if score["rule"] == name]
        count = sum(score["incidents"] for score in own)
        right = sum(score["hits"] or 0 for score in own)
        if count:
            print(f"  {name:<22}  {own[0]['severity']:<8} {right:6} {count - right:6} {30 * count / days:8.1f}")


def print_sent(title: str, told: Sequence[Told]) -> None:
    """How much would have been sent."""
    days = sum(each.days for each in told)
    counts = {severity: sum(each.sent(severity) for each in told) for severity in ("page", "ticket")}
    said = ", ".join(f"{count} × {severity} ({count / days:.2f} a day)" for severity, count in counts.items())
    print(f"  {title}: {said}, over {days} days")


def tell() -> None:
    """The matrix of all seeds together, what was sent, and the clean fleets against the declared rates."""
    print(f"\nback-tested fleets, scale {SCALE:g}, {DAYS} days, seeds {' '.join(map(str, SEEDS))}")
    faulty, clean = [], []
    for seed in SEEDS:
        faulty.append(told_of(seed, faulty=True, home=HOME / "backtested"))
        clean.append(told_of(seed, faulty=False, home=HOME / "backtested"))
    print_matrix(faulty)
    print()
    print_sent("faulty", faulty)
    print_sent("clean", clean)
    for name in sorted({score["rule"] for each in clean for score in each.report["rules"]}):
        count = incidents_of(clean, name)
        beside = verdict(count, Target(round(allowed(name, clean), 1))) if name in READ_BY else ""
        if count or beside:
            print(f"  clean, {name:<22}{count:4} incidents{beside}")


if __name__ == "__main__":
    tell()
