"""Simulated sites: do the detectors of machine-hours and GPU-hours find injected faults, and are healthy sites quiet?

Hours are made of what the sites' sensors show, without a lake: what is compared is what a detector is shown.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpulake.detectors import Columns, Detector, gpu_peers, machine_peers
from gpulake.detectors.levels import weekly
from gpulake.simulate.site.faults import COUNTER_RESET, Fault
from gpulake.simulate.site.telling import Week, draw

SEEDS = [int(seed) for seed in os.environ.get("GPULAKE_BENCH_SEEDS", "21 22 23").split()]
NODES, GPUS, DAYS, EVERY_S = 6, 4, 28, 300
KINDS = "throttling:4,power_cap:4,stuck_sensor:4,fallen_off_the_bus:4,ecc_storm:2,node_down:2,exporter_outage:2,counter_reset:2"


@dataclass(frozen=True)
class Hours:
    """GPU × hour: the mean of what is seen of each, NaN where nothing is."""

    values: dict[str, NDArray[Any]]
    week: Week


def hours_of(seed: int, *, faults: str) -> Hours:
    """A site's hours."""
    week = draw(
        nodes=NODES, gpus_per_node=GPUS, days=DAYS, start=date(2026, 3, 2), zone="UTC", seed=seed, faults=faults,
        every_s=EVERY_S,
    )  # fmt: skip
    parts: dict[str, list[NDArray[Any]]] = {}
    for machines in week.blocks():
        samples, _ = week.measured(machines)
        seen = samples.seen

        def mean(values: NDArray[Any], seen: NDArray[Any] = seen) -> NDArray[Any]:
            by_hour = np.where(seen, values, np.nan).reshape(len(seen), -1, 3_600 // EVERY_S)
            known = (~np.isnan(by_hour)).sum(axis=2)
            return np.divide(np.nansum(by_hour, axis=2), known, out=np.full(known.shape, np.nan), where=known > 0)

        found = {
            "util": mean(samples.sm_active_milli / 10), "power": mean(samples.power_dw / 10),
            "temp": mean(samples.temperature_c), "clock": mean(samples.sm_clock_mhz),
            "seen": seen.reshape(len(seen), -1, 3_600 // EVERY_S).mean(axis=2),
            "alloc": (samples.use.held_s.reshape(len(seen), -1, 3_600 // EVERY_S).mean(axis=2) > EVERY_S / 2),
            "job": np.where(
                samples.use.holder.reshape(len(seen), -1, 3_600 // EVERY_S)[:, :, 6] >= 0,
                samples.use.holder.reshape(len(seen), -1, 3_600 // EVERY_S)[:, :, 6], -1,
            ),
        }  # fmt: skip
        for name, values in found.items():
            parts.setdefault(name, []).append(values)
    return Hours({name: np.concatenate(values) for name, values in parts.items()}, week)


def gpu_rows(hours: Hours) -> Columns:
    """One row per GPU and hour in which it is seen."""
    gpus, count = hours.values["util"].shape
    gpu, hour = np.divmod(np.arange(gpus * count), count)
    models = np.array([str(model) for model in hours.week.site.models])
    rows = {
        "hour_idx": hour, "machine": gpu // GPUS, "gpu": gpu % GPUS, "cohort": models[gpu // GPUS],
        **{name: hours.values[name].ravel() for name in ("util", "power", "temp", "clock", "job")},
        "alloc": hours.values["alloc"].ravel().astype(float),
    }  # fmt: skip
    known = hours.values["seen"].ravel() > 0
    return {name: values[known] for name, values in rows.items()}


def machine_rows(hours: Hours, *, sensors: bool) -> Columns:
    """One row per machine and hour in which one of its GPUs is seen."""
    count = hours.values["util"].shape[1]

    def of_machine(values: NDArray[Any], how: Any) -> NDArray[Any]:
        return how(values.reshape(NODES, GPUS, count), axis=1).ravel()

    machine, hour = np.divmod(np.arange(NODES * count), count)
    models = np.array([str(model) for model in hours.week.site.models])
    seen, jobs = hours.values["seen"], hours.values["job"].reshape(NODES, GPUS, count)
    whole = (jobs == jobs[:, :1]).all(axis=1)
    with np.errstate(all="ignore"):
        rows: dict[str, NDArray[Any]] = {
            "hour_idx": hour, "machine": machine, "cohort": models[machine],
            "gpu_count": np.full(len(hour), GPUS), "gpu_util": of_machine(hours.values["util"], np.nanmean),
            "alloc": of_machine(hours.values["alloc"].astype(float), np.sum),
            "main_job": np.where(whole, jobs[:, 0], -1).ravel(), "n_samples": 240 * of_machine(seen, np.max),
        }  # fmt: skip
        if sensors:
            most = np.repeat(seen.reshape(NODES, GPUS, count).max(axis=1), GPUS, axis=0).reshape(seen.shape)
            rows |= {
                "power": of_machine(hours.values["power"], np.nanmean), "temp": of_machine(hours.values["temp"], np.nanmax),
                "clock": of_machine(hours.values["clock"], np.nanmean),
                "gpus_visible": of_machine((2 * seen >= most).astype(float), np.sum),
            }  # fmt: skip
    known = of_machine(seen, np.max) > 0
    return {name: values[known] for name, values in rows.items()}


def told(detector: Detector, rows: Columns, week: Week) -> tuple[dict[str, list[bool]], int, int, int]:
    """Of each kind of fault in the judged weeks whether it is flagged, runs of flags of a fault and of none, and hours judged."""
    verdicts = detector.judge(rows, weekly(first=0, until=DAYS * 24))
    flag = verdicts.flag & ~np.isnan(verdicts.score)
    hour, machine = np.asarray(rows["hour_idx"]), np.asarray(rows["machine"])
    gpu = np.asarray(rows["gpu"]) if "gpu" in rows else np.full(len(hour), -1)
    start = week.grid.start_s
    faults = [fault for fault in week.faults if fault.kind != COUNTER_RESET]

    def hits(fault: Fault) -> NDArray[np.bool_]:
        late = (fault.to_s - start) / 3_600 + 6
        place = (machine == fault.machine) & ((gpu < 0) | (fault.gpu < 0) | (gpu == fault.gpu % GPUS))
        return np.asarray(place & (hour >= (fault.from_s - start) // 3_600) & (hour <= late))

    found: dict[str, list[bool]] = {}
    of_faults = np.zeros(len(hour), np.bool_)
    for fault in faults:
        mine = hits(fault)
        of_faults |= mine
        if (fault.from_s - start) / 3_600 >= 14 * 24:
            found.setdefault(fault.kind, []).append(bool(flag[mine].any()))
    right = false = 0
    order = np.lexsort((hour, gpu, machine))
    last: tuple[int, int, int] | None = None
    is_right = False
    for row in order[flag[order]].tolist():  # few: what is flagged
        here = (int(machine[row]), int(gpu[row]), int(hour[row]))
        if last is None or here[:2] != last[:2] or here[2] - last[2] > 6:
            if last is not None:
                right, false = right + is_right, false + (not is_right)
            is_right = False
        is_right |= bool(of_faults[row])
        last = here
    if last is not None:
        right, false = right + is_right, false + (not is_right)
    return found, right, false, int(np.sum(~np.isnan(verdicts.score)))


def tell(seeds: Sequence[int] = SEEDS) -> None:
    """A line per way of looking: what is found by kind, alarms of faults and of none, with faults and without."""
    ways = {
        "machine_peers, use only": (machine_peers.DETECTOR, lambda hours: machine_rows(hours, sensors=False)),
        "machine_peers, with sensors": (machine_peers.DETECTOR, lambda hours: machine_rows(hours, sensors=True)),
        "gpu_peers": (gpu_peers.DETECTOR, gpu_rows),
    }
    ill = [hours_of(seed, faults=KINDS) for seed in seeds]
    well = [hours_of(seed, faults="") for seed in seeds]
    for name, (detector, rows) in ways.items():
        found: dict[str, list[bool]] = {}
        right = false = 0
        for hours in ill:
            by_kind, of_fault, of_none, _ = told(detector, rows(hours), hours.week)
            right, false = right + of_fault, false + of_none
            for kind, are in by_kind.items():
                found.setdefault(kind, []).extend(are)
        clean = [told(detector, rows(hours), hours.week) for hours in well]
        weeks = sum(judged for *_, judged in clean) / 168
        print(
            f"  {name}: alarms of a fault {right}, of none {false}; healthy {sum(each[2] for each in clean)} in {weeks:.0f} weeks"
        )
        print("    " + ", ".join(f"{kind} {sum(are)} of {len(are)}" for kind, are in sorted(found.items())))


if __name__ == "__main__":
    tell()
