"""Hours from windows against the truth, on fresh seeds of the simulator and of a generator made apart from it.

python -m bench.reconstruction [--scale 0.05] [--days 62] [--seeds 311,312,313]

Beside the sweep: errors of days, of their 95th percentile and of single hours, in percentage points, and how often a 90 % range holds.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

from gpulake.reconstruct import Days, Windows, reconstruct

HOUR, DAY = 3600, 86_400


@dataclass(frozen=True)
class Fleet:
    """Windows in percent of all GPUs of a machine, and the true mean of each machine's covered seconds of each hour."""

    machine: np.ndarray
    start_s: np.ndarray
    end_s: np.ndarray
    pct: np.ndarray
    gpus: np.ndarray
    truth: pl.DataFrame  # machine, hour, covered_s, true


def simulated(*, scale: float, days: int, seed: int) -> Fleet:
    """The project's simulator, with faults; implausible windows are left out, as a build does."""
    from gpulake.simulate import pai2020

    with TemporaryDirectory() as folder:
        pai2020.simulate(Path(folder), scale=scale, days=days, seed=seed, faults=True)
        truth = pl.read_parquet(Path(folder) / "truth" / "machine_hours.parquet").filter(
            (pl.col("gpus") > 0) & (pl.col("covered_s") > 0)
        )
        rows = pl.read_csv(Path(folder) / "pai_machine_metric.csv", has_header=False, infer_schema=False)
    rows = rows.select(
        machine=pl.col(rows.columns[1]),
        **{name: pl.col(rows.columns[at]).cast(pl.Float64) for name, at in (("start", 2), ("end", 3), ("pct", 7))},
    ).unique()
    machines = truth.group_by("machine").agg(gpus=pl.col("gpus").first()).sort("machine").with_row_index("place")
    rows = rows.join(machines, on="machine").drop_nulls()
    rows = rows.filter((pl.col("start") > 0) & (pl.col("start") < pl.col("end")))
    rows = rows.filter(pl.col("pct").is_between(0, 110 * pl.col("gpus")))
    shift = int(truth["hour_start_s"].min()) // DAY * DAY - 8 * HOUR  # its days begin at midnight in Shanghai
    told = truth.join(machines.select("machine", "place"), on="machine").select(
        machine=pl.col("place").cast(pl.Int64),
        hour=(pl.col("hour_start_s") - shift) // HOUR,
        covered_s="covered_s",
        true=pl.col("covered_gpu_pct_s") / (pl.col("covered_s") * pl.col("gpus")),
    )
    return Fleet(
        rows["place"].to_numpy().astype(np.int64),
        rows["start"].to_numpy().astype(np.int64) - shift,
        rows["end"].to_numpy().astype(np.int64) - shift,
        (rows["pct"] / rows["gpus"]).to_numpy(),
        machines["gpus"].to_numpy().astype(np.int64),
        told,
    )


def generated(*, machines: int, days: int, seed: int) -> Fleet:
    """Apart from the simulator: workers come in gangs by a daily curve, each machine's load is level within hours and higher the more run."""
    dice = np.random.default_rng(seed)
    hours = days * 24
    n = machines * days * 16
    place = dice.integers(0, machines, n)
    hour = dice.integers(0, hours, n)
    hour = hour[dice.random(n) < 0.25 + 0.75 * np.sin(np.pi * (hour % 24) / 24) ** 2]
    place = place[: hour.size]
    start = hour * HOUR + dice.integers(0, HOUR, hour.size)
    end = np.minimum(start + np.maximum(5, dice.lognormal(8.3, 1.7, hour.size)).astype(np.int64), hours * HOUR)
    running = np.zeros((machines, hours + 1))
    np.add.at(running, (place, start // HOUR), 1)
    np.add.at(running, (place, np.minimum(end // HOUR + 1, hours)), -1)
    running = np.cumsum(running, axis=1)[:, :hours]
    walk = np.zeros((machines, hours))
    for at in range(1, hours):
        walk[:, at] = 0.85 * walk[:, at - 1] + dice.normal(0, 0.35, machines)
    level = 100 / (1 + np.exp(2.2 - 0.5 * np.log1p(running) - walk))
    sums = np.concatenate((np.zeros((machines, 1)), np.cumsum(level, axis=1)), axis=1)

    def until(at: np.ndarray) -> np.ndarray:
        whole = np.minimum(at // HOUR, hours - 1)
        return sums[place, whole] + level[place, whole] * (at - whole * HOUR) / HOUR

    pct = (until(end) - until(start)) * HOUR / (end - start)
    machine, hour = (each.ravel() for each in np.meshgrid(np.arange(machines), np.arange(hours), indexing="ij"))
    told = pl.DataFrame({"machine": machine, "hour": hour, "covered_s": HOUR, "true": level.ravel()})
    return Fleet(place, start, end, pct, np.full(machines, 2), told)


def swept(fleet: Fleet) -> pl.DataFrame:
    """The mean in each hour of the windows over it, weighed by the seconds that each runs there: the sweep, but within hours."""
    first, last = fleet.start_s // HOUR, (fleet.end_s - 1) // HOUR
    count = last - first + 1
    row = np.repeat(np.arange(first.size), count)
    hour = first[row] + np.arange(row.size) - np.repeat(np.cumsum(count) - count, count)
    inside = np.minimum(fleet.end_s[row], (hour + 1) * HOUR) - np.maximum(fleet.start_s[row], hour * HOUR)
    return (
        pl.DataFrame({"machine": fleet.machine[row], "hour": hour, "s": inside, "pct": fleet.pct[row] * inside})
        .group_by("machine", "hour")
        .agg(swept=pl.col("pct").sum() / pl.col("s").sum())
    )


def compared(fleet: Fleet, *, days: int) -> dict[str, float]:
    """Errors of both methods, and what it cost."""
    machines = fleet.gpus.size
    lane, day = np.divmod(np.arange(machines * days), days)
    asked = Days(lane, day * DAY, (day + 1) * DAY, np.full((lane.size, 1), 100.0))
    windows = Windows(fleet.machine, fleet.start_s, fleet.end_s, fleet.pct[:, None])
    began = time.process_time()
    hours, left = reconstruct(windows, days=asked)
    cost = time.process_time() - began
    found = pl.DataFrame(
        {
            "machine": lane[hours.day], "hour": day[hours.day] * 24 + hours.hour_no, "seen_s": hours.covered_s,
            "mean": hours.mean[:, 0], "sd": np.sqrt(hours.variance[:, 0]), "share": hours.share[:, 0],
        }
    )  # fmt: skip
    gpus = pl.DataFrame({"machine": np.arange(machines), "gpus": fleet.gpus})
    both = found.join(fleet.truth, on=["machine", "hour"]).join(swept(fleet), on=["machine", "hour"])
    both = both.join(gpus, on="machine").with_columns(weight=pl.col("seen_s") * pl.col("gpus"))
    half = both.filter(pl.col("seen_s") * 2 >= HOUR)
    by_day = both.group_by(pl.col("hour") // 24).agg(
        **{name: (pl.col(name) * pl.col("weight")).sum() / pl.col("weight").sum() for name in ("mean", "swept", "true")},
        sd=((pl.col("share") * pl.col("gpus") ** 2).sum().sqrt() * HOUR / pl.col("weight").sum()).pow(2).add(0.16).sqrt(),
    )  # fmt: skip
    p95 = half.group_by(pl.col("hour") // 24).agg(
        pl.col("mean", "swept", "true").quantile(0.95, interpolation="linear")
    )

    def rmse(table: pl.DataFrame, name: str) -> float:
        return float(((table[name] - table["true"]) ** 2).mean() ** 0.5)

    def holds(table: pl.DataFrame) -> float:
        return float(((table["mean"] - table["true"]).abs() <= 1.645 * table["sd"]).mean()) * 100

    result = {"windows": float(fleet.pct.size), "cpu_s": cost}
    for label, table in (("day", by_day), ("p95", p95), ("hour", half)):
        result |= {f"{label}_swept": rmse(table, "swept"), label: rmse(table, "mean")}
    result |= {"hour_holds_pct": holds(half), "day_holds_pct": holds(by_day)}
    error = left.reconstructed[:, 0] - left.measured[:, 0], left.swept[:, 0] - left.measured[:, 0]
    return result | {"left_out": float(np.sqrt(np.mean(error[0] ** 2))), "left_out_swept": float(np.sqrt(np.mean(error[1] ** 2)))}  # fmt: skip


def main() -> None:
    """Print a line per fleet."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--scale", type=float, default=0.05)
    asked.add_argument("--days", type=int, default=62)
    asked.add_argument("--seeds", default="311,312,313")
    options = asked.parse_args()
    for seed in map(int, options.seeds.split(",")):
        fleets = (
            ("simulator", simulated(scale=options.scale, days=options.days, seed=seed)),
            ("generator", generated(machines=round(1642 * options.scale), days=options.days, seed=seed)),
        )
        for name, fleet in fleets:
            figures = compared(fleet, days=options.days)
            print(f"{name} {seed}: " + ", ".join(f"{key} {value:.2f}" for key, value in figures.items()), flush=True)


if __name__ == "__main__":
    main()
