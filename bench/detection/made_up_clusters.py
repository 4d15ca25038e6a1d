"""Clusters to try a day detector on: machines of the labelled fleet drawn with repetition, its weeks shuffled, faults put in.

Rows of the fleet that carry a label are left out, so that a made-up cluster has no fault but those that it names.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

FAULTS = ("dead", "half dead", "6-h outage", "holiday ×.6", "busy ×1.45", "step, days 1–3")
NO_FAULTS = ("missing", "thin")
"""Days that were badly observed: a flag on one is false."""
WEEKS, FIRST_WEEK, LAST_WEEK = 14, 1, 8
FIRST_FAULTY_DAY = 24
DARK = 0.02
STEP = 0.65


@dataclass(frozen=True)
class MadeUp:
    """One cluster's days as a detector sees them, and what is true of each: a kind, or ""."""

    days: dict[str, NDArray[Any]]
    kind: NDArray[np.str_]


def fleet_weeks(file: Path) -> NDArray[np.float64]:
    """Utilisation without labelled rows: weeks × hours of the week × machines."""
    table = pq.read_table(file, columns=["hour_idx", "machine", "gpu_util", "event_id", "ignore"])
    hour, machine = table["hour_idx"].to_numpy(), table["machine"].to_numpy()
    is_labelled = (table["event_id"].to_numpy() > 0) | table["ignore"].to_numpy(zero_copy_only=False)
    util = np.full((LAST_WEEK * 168, machine.max() + 1), np.nan)
    inside = hour < len(util)
    util[hour[inside], machine[inside]] = np.where(is_labelled, np.nan, table["gpu_util"].to_numpy())[inside]
    for dark in np.flatnonzero(np.isnan(util).mean(axis=1) > 0.6):
        util[dark] = util[dark - 24] if dark >= 24 else np.nan  # an event of the whole cluster: the day before
    return util[FIRST_WEEK * 168 :].reshape(-1, 168, util.shape[1])


def made_up(weeks: NDArray[np.float64], *, seed: int, has_faults: bool) -> MadeUp:
    """The cluster of a seed: each fault twice, days apart, and a lasting step at the end."""
    dice = np.random.default_rng(seed)
    machines = dice.integers(0, weeks.shape[2], size=dice.integers(60, 140))
    order = np.concatenate([dice.permutation(len(weeks)) for _ in range(-(-WEEKS // len(weeks)))])[:WEEKS]
    util = weeks[order][:, :, machines].reshape(WEEKS * 7, 24, len(machines))
    count = len(util)
    weekday = np.arange(count) % 7
    load = np.where(weekday < 5, 1, dice.uniform(0.75, 1.05))
    load *= np.exp(np.cumsum(dice.normal(0, 0.01, count)) + dice.normal(0, 0.03, count))
    load *= np.repeat(np.exp(dice.normal(0, 0.04, WEEKS)), 7)
    noise = np.exp(dice.normal(0, 0.04, util.shape[:2]))[:, :, np.newaxis]
    util = np.clip(util * load[:, np.newaxis, np.newaxis] * noise, 0, 100)
    kind = np.full(count, "", dtype="U16")
    if has_faults:
        _put_in(util, kind, dice)
    return MadeUp(_as_days(util, weekday), kind)


def _put_in(util: NDArray[np.float64], kind: NDArray[np.str_], dice: np.random.Generator) -> None:
    count, _, machines = util.shape
    for fault in (*FAULTS[:-1], *NO_FAULTS) * 2:
        free = [day for day in range(FIRST_FAULTY_DAY, count - 6) if not (kind[max(0, day - 3) : day + 4] != "").any()]
        if not free:
            continue
        day = int(dice.choice(free))
        kind[day] = fault
        match fault:
            case "dead":
                util[day] *= DARK
            case "half dead":
                util[day][:, dice.permutation(machines)[: machines // 2]] *= DARK
            case "6-h outage":
                start = int(dice.integers(0, 18))
                util[day, start : start + 6] *= DARK
            case "holiday ×.6":
                util[day] *= 0.6
            case "busy ×1.45":
                util[day] = np.clip(util[day] * 1.45, 0, 100)
            case "missing":
                util[day] = np.nan
            case "thin":  # 85 % of the rows are lost, busy machines first
                busy_first = np.argsort(dice.normal(0, 15, util[day].shape) - np.nan_to_num(util[day], nan=-1), axis=1)
                np.put_along_axis(util[day], busy_first[:, : int(0.85 * machines)], np.nan, axis=1)
    util[-3:] *= STEP
    kind[-3:] = FAULTS[-1]


def _as_days(util: NDArray[np.float64], weekday: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    cover = np.mean(~np.isnan(util), axis=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a day without a row has no mean
        hour_util, day_util = np.nanmean(util, axis=2), np.nanmean(util, axis=(1, 2))
        p95 = np.nanquantile(util.reshape(len(util), -1), 0.95, axis=1)
    no_25th = np.full((len(util), 1), np.nan)
    return {
        "day": np.arange(len(util)),
        "weekday": weekday,
        "avg_gpu_util": day_util,
        "p95_gpu_util": p95,
        "avg_cpu_util": day_util,
        "coverage_ratio": cover.mean(axis=1),
        "hour_gpu_util": np.hstack([hour_util, no_25th]),
        "hour_coverage_ratio": np.hstack([cover, no_25th]),
    }
