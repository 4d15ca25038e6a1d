"""Hours from windows against the truth, on fresh seeds of the simulator and of a generator made apart from it, and what they cost.

python -m bench.reconstruction [--scale 0.05] [--days 62] [--seeds 311,312,313] [--troubles] [--cost]

Beside the sweep: errors of days, of their 95th percentile, of machine-days and of single hours, in percentage points, and how often a
90 % range holds. `--troubles` spoils the windows first, `--cost` times the step on the bench's trace (GPULAKE_BENCH_SCALE).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

from bench.measure import run_script
from bench.traces import SCALE, trace
from gpulake.reconstruct import Days, Hours, LeftOut, Windows, reconstruct, reconstruct_columns

HOUR, DAY = 3600, 86_400
METRIC_COLUMNS = (0, 1, 2, 3, 7, 11)
"""Of pai_machine_metric: worker, machine, start, end, GPU and CPU."""
ENOUGH_LEFT_OUT, ENOUGH_PAIRS, PAIR = 30, 10, 2
SHARED_POINTS, SHARED_WINDOWS, SHARED_RATIO = 0.4, 5, 1 / 20
"""As `chosen_method`, `noise_of_pairs` and `shared_variance` in the models; `shifted` as `shift_of`."""


@dataclass(frozen=True)
class Fleet:
    """Windows in percent of all GPUs of a machine, and the true mean of each machine's covered seconds of each hour."""

    machine: np.ndarray
    start_s: np.ndarray
    end_s: np.ndarray
    pct: np.ndarray
    gpus: np.ndarray
    truth: pl.DataFrame  # machine, hour, covered_s, true

    def where(self, chosen: np.ndarray) -> Fleet:
        """Only some of its windows."""
        return replace(
            self,
            machine=self.machine[chosen],
            start_s=self.start_s[chosen],
            end_s=self.end_s[chosen],
            pct=self.pct[chosen],
        )


def simulated(*, scale: float, days: int, seed: int) -> dict[str, Fleet]:
    """The project's simulator, with faults, its GPUs and its CPUs; implausible windows are left out, as a build does.

    Machines' CPUs count alike.
    """
    from gpulake.simulate import pai2020

    with TemporaryDirectory() as folder:
        pai2020.simulate(Path(folder), scale=scale, days=days, seed=seed, faults=True)
        truth = pl.read_parquet(Path(folder) / "truth" / "machine_hours.parquet").filter(
            (pl.col("gpus") > 0) & (pl.col("covered_s") > 0)
        )
        rows = pl.read_csv(Path(folder) / "pai_machine_metric.csv", has_header=False, infer_schema=False)
    rows = windows_of(rows.select(rows.columns[at] for at in METRIC_COLUMNS))
    machines = truth.group_by("machine").agg(gpus=pl.col("gpus").first()).sort("machine").with_row_index("place")
    rows = rows.join(machines, on="machine")
    shift = int(truth["hour_start_s"].min()) // DAY * DAY - 8 * HOUR  # its days begin at midnight in Shanghai
    told = truth.join(machines.select("machine", "place"), on="machine").select(
        machine=pl.col("place").cast(pl.Int64),
        hour=(pl.col("hour_start_s") - shift) // HOUR,
        covered_s="covered_s",
        gpu=pl.col("covered_gpu_pct_s") / (pl.col("covered_s") * pl.col("gpus")),
        cpu=pl.col("covered_cpu_pct_s") / pl.col("covered_s"),
    )
    found = {}
    for name, per in (("gpu", pl.col("gpus")), ("cpu", pl.lit(1))):
        some = rows.with_columns(pct=pl.col(name) / per).drop_nulls("pct").filter(pl.col("pct").is_between(0, 110))
        found[name] = Fleet(
            some["place"].to_numpy().astype(np.int64),
            some["start"].to_numpy().astype(np.int64) - shift,
            some["end"].to_numpy().astype(np.int64) - shift,
            some["pct"].to_numpy(),
            machines["gpus"].to_numpy().astype(np.int64) if name == "gpu" else np.ones(machines.height, dtype=np.int64),
            told.rename({name: "true"}),
        )
    return found


def windows_of(metric: pl.DataFrame) -> pl.DataFrame:
    """The windows of METRIC_COLUMNS, as numbers, each once."""
    rows = metric.rename(
        dict(zip(metric.columns, ("worker", "machine", "start", "end", "gpu", "cpu"), strict=True))
    ).unique()
    rows = rows.with_columns(pl.col("start", "end", "gpu", "cpu").cast(pl.Float64, strict=False))
    return rows.filter((pl.col("start") > 0) & (pl.col("start") < pl.col("end")))


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


# ------------------------------------------------------------------------------------------------ troubles


def noisy(fleet: Fleet, dice: np.random.Generator) -> Fleet:
    """Each window ten points off (one standard deviation), though not below zero."""
    return replace(fleet, pct=np.clip(fleet.pct + dice.normal(0, 10, fleet.pct.size), 0, 110))


def thinned(fleet: Fleet, dice: np.random.Generator) -> Fleet:
    """30 % of the windows are missing."""
    return fleet.where(dice.random(fleet.pct.size) >= 0.3)


def with_wrong_clocks(fleet: Fleet, dice: np.random.Generator) -> Fleet:
    """The clocks of one machine in ten are an hour off, before or behind."""
    off_s = np.where(dice.random(fleet.gpus.size) < 0.1, dice.choice((-HOUR, HOUR), fleet.gpus.size), 0)[fleet.machine]
    return replace(fleet, start_s=fleet.start_s + off_s, end_s=fleet.end_s + off_s)


TROUBLES: dict[str, Callable[[Fleet, np.random.Generator], Fleet]] = {
    "noise of 10 points": noisy,
    "30 % missing": thinned,
    "clocks an hour off": with_wrong_clocks,
}

# ------------------------------------------------------------------------------------------------ errors


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
    """Errors of both methods, and of that which a build chooses for each day."""
    machines = fleet.gpus.size
    lane, day = np.divmod(np.arange(machines * days), days)
    noise = learnt_noise(fleet, days=days)[day][:, None]
    asked = Days(lane, day * DAY, (day + 1) * DAY, np.full((lane.size, 1), 100.0), noise)
    windows = Windows(fleet.machine, fleet.start_s, fleet.end_s, fleet.pct[:, None])
    began = time.process_time()
    hours, left = reconstruct(windows, days=asked)
    cost = time.process_time() - began
    hours, left = shifted(hours, left, day)
    found = pl.DataFrame(
        {
            "machine": lane[hours.day], "hour": day[hours.day] * 24 + hours.hour_no, "seen_s": hours.covered_s,
            "mean": hours.mean[:, 0], "sd": np.sqrt(hours.variance[:, 0]), "share": hours.share[:, 0],
        }
    )  # fmt: skip
    gpus = pl.DataFrame({"machine": np.arange(machines), "gpus": fleet.gpus})
    both = found.join(fleet.truth, on=["machine", "hour"]).join(swept(fleet), on=["machine", "hour"])
    both = both.join(gpus, on="machine").with_columns(
        weight=pl.col("seen_s") * pl.col("gpus"), day=pl.col("hour") // 24
    )
    is_swept = swept_days(left, day)
    both = both.with_columns(chosen=pl.when(pl.col("day").is_in(is_swept)).then(pl.col("swept")).otherwise("mean"))
    half = both.filter(pl.col("seen_s") * 2 >= HOUR)
    methods = ("mean", "swept", "chosen", "true")
    by_day = both.group_by("day").agg(
        **{name: (pl.col(name) * pl.col("weight")).sum() / pl.col("weight").sum() for name in methods},
        own=((pl.col("share") * pl.col("gpus") ** 2).sum() * HOUR**2 / pl.col("weight").sum() ** 2),
    ).join(shared_variances(left, day), on="day", how="left").with_columns(
        sd=(pl.col("own") + pl.col("shared").fill_null(SHARED_POINTS**2)).sqrt()
    )  # fmt: skip
    by_machine = both.group_by("day", "machine").agg(
        **{name: (pl.col(name) * pl.col("seen_s")).sum() / pl.col("seen_s").sum() for name in methods},
        sd=pl.col("share").sum().clip(0).sqrt() * HOUR / pl.col("seen_s").sum(),
    )
    p95 = half.group_by("day").agg(pl.col(*methods).quantile(0.95, interpolation="linear"))

    def rmse(table: pl.DataFrame, name: str) -> float:
        return float(((table[name] - table["true"]) ** 2).mean() ** 0.5)

    def holds(table: pl.DataFrame) -> float:
        return float(((table["mean"] - table["true"]).abs() <= 1.645 * table["sd"]).mean()) * 100

    result = {"windows": float(fleet.pct.size), "cpu_s": cost, "noise": float(np.sqrt(noise.mean()))}
    for label, table in (("day", by_day), ("p95", p95), ("machine_day", by_machine), ("hour", half)):
        result |= {f"{label}_swept": rmse(table, "swept"), label: rmse(table, "mean")}
    result |= {"day_chosen": rmse(by_day, "chosen"), "days_swept": float(len(is_swept)), "days": float(by_day.height)}
    result |= {
        "hour_holds_pct": holds(half),
        "machine_day_holds_pct": holds(by_machine),
        "day_holds_pct": holds(by_day),
    }
    error = left.reconstructed[:, 0] - left.measured[:, 0], left.swept[:, 0] - left.measured[:, 0]
    return result | {"left_out": float(np.sqrt(np.mean(error[0] ** 2))), "left_out_swept": float(np.sqrt(np.mean(error[1] ** 2)))}  # fmt: skip


def learnt_noise(fleet: Fleet, *, days: int) -> np.ndarray:
    """Of each day the variance of a window's own error, as `int_window_noise` learns it from pairs that tell the same time."""
    windows = pl.DataFrame({"machine": fleet.machine, "start": fleet.start_s, "end": fleet.end_s, "pct": fleet.pct})
    pairs = windows.group_by("machine", "start", "end").agg(pl.len(), off=pl.col("pct").max() - pl.col("pct").min())
    of_days = (
        pairs.filter(pl.col("len") == PAIR)
        .group_by(day=(pl.col("end") - 1) // DAY)
        .agg(pl.len(), variance=(pl.col("off") ** 2).median() / 2 / 0.455)
        .filter((pl.col("len") >= ENOUGH_PAIRS) & pl.col("day").is_between(0, days - 1))
    )
    found = np.zeros(days)
    found[of_days["day"].to_numpy()] = of_days["variance"].to_numpy()
    return found


def shifted(hours: Hours, left: LeftOut, day: np.ndarray) -> tuple[Hours, LeftOut]:
    """Both as the fleet's days move them: as `int_shifted_hours`, of what each day's other machines know of it."""
    pull, weight = (np.bincount(hours.day, each[:, 0], minlength=day.size) for each in (hours.pull, hours.pull_weight))
    others = [np.bincount(day, each)[day] - each for each in (pull, weight)]
    is_told = (others[1] > 0) & (others[0] ** 2 > others[1])
    shift = np.where(is_told, others[0] / np.where(is_told, others[1], 1) - 1 / np.where(is_told, others[0], 1), 0)

    def bounded(rows: Hours | LeftOut) -> np.ndarray:
        return np.clip(rows.unbounded + shift[rows.day][:, None] * rows.per_shift, 0, rows.most)

    return replace(hours, mean=bounded(hours)), replace(left, reconstructed=bounded(left))


def shared_variances(left: LeftOut, day: np.ndarray) -> pl.DataFrame:
    """Of each day with left-out windows the variance of what all machines err by together."""
    errors = pl.DataFrame({"day": day[left.day], "square": (left.reconstructed[:, 0] - left.measured[:, 0]) ** 2})
    said = SHARED_WINDOWS * SHARED_POINTS**2 + SHARED_RATIO**2 * pl.col("square").sum()
    return errors.group_by("day").agg(shared=said / (SHARED_WINDOWS + pl.len()))


def swept_days(left: LeftOut, day: np.ndarray) -> list[int]:
    """The days that a build sweeps: where enough windows were left out, and the sweep told them no worse."""
    errors = pl.DataFrame(
        {
            "day": day[left.day],
            "mean": np.abs(left.reconstructed[:, 0] - left.measured[:, 0]),
            "swept": np.abs(left.swept[:, 0] - left.measured[:, 0]),
        }
    )
    sums = errors.group_by("day").agg(pl.len(), pl.col("mean", "swept").sum())
    chosen = sums.filter((pl.col("len") >= ENOUGH_LEFT_OUT) & (pl.col("mean") >= pl.col("swept")))
    return chosen["day"].to_list()


# ------------------------------------------------------------------------------------------------ cost


def timed(folder: str) -> dict[str, float]:
    """The step over a whole trace, GPU and CPU, in groups of machines as a build has them; and one day of it. In one process."""
    file = Path(folder) / "pai_machine_metric.csv"
    rows = windows_of(pl.read_csv(file, infer_schema=False, columns=list(METRIC_COLUMNS)))
    spec = pl.read_csv(Path(folder) / "pai_machine_spec.csv", infer_schema=False)
    gpus = spec.select(machine=spec.columns[0], gpus=pl.col(spec.columns[4]).cast(pl.Int64))
    rows = rows.join(gpus, on="machine", how="left").sort("machine")
    per_gpu = rows["gpu"] / rows["gpus"].fill_null(1).clip(1)
    lane = rows["machine"].rank("dense").to_numpy().astype(np.int64) - 1
    start_s, end_s = (rows[name].to_numpy().astype(np.int64) for name in ("start", "end"))
    value = np.stack([per_gpu.to_numpy(), rows["cpu"].to_numpy()], axis=1)
    value[(value < 0) | (value > 110)] = np.nan
    first, last = int(start_s.min()) // DAY, int(end_s.max()) // DAY
    del rows, per_gpu
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak of reading
    before_mib = _memory_mib("VmRSS")

    def solve(days: range) -> float:
        began = time.process_time()
        for group in range(0, int(lane.max()) + 1, 64):
            of, until = np.searchsorted(lane, (group, group + 64))
            some = Windows(lane[of:until] - group, start_s[of:until], end_s[of:until], value[of:until])
            near = (some.start_s < (days[-1] + 2) * DAY) & (some.end_s > (days[0] - 1) * DAY)
            machine, day = (each.ravel() for each in np.meshgrid(np.arange(64), days, indexing="ij"))
            asked = Days(machine, day * DAY, (day + 1) * DAY, np.full((machine.size, 2), 100.0))
            reconstruct_columns(some.where(near), days=asked)
        return time.process_time() - began

    return {
        "windows": float(lane.size),
        "machines": float(lane.max() + 1),
        "cpu_s": solve(range(first, last + 1)),
        "one_day_cpu_s": solve(range((first + last) // 2, (first + last) // 2 + 1)),
        "more_mib": _memory_mib("VmHWM") - before_mib,
    }


def _memory_mib(name: str) -> float:
    """What the kernel says of this process: VmRSS what it holds, VmHWM the most since that was forgotten."""
    status = Path("/proc/self/status").read_text().splitlines()
    return float(next(line.split()[1] for line in status if line.startswith(f"{name}:"))) / 1024


def told(figures: dict[str, float]) -> str:
    """Figures in a line."""
    return ", ".join(f"{key} {value:.2f}" for key, value in figures.items())


def errors(*, scale: float, days: int, seeds: list[int], with_troubles: bool) -> None:
    """Print a line per fleet, and one per trouble."""
    for seed in seeds:
        of_seed = simulated(scale=scale, days=days, seed=seed)
        fleets = {
            "simulator": of_seed["gpu"],
            "generator": generated(machines=round(1642 * scale), days=days, seed=seed),
            "simulator, CPU": of_seed["cpu"],
        }
        for name, fleet in fleets.items():
            print(f"{name} {seed}: {told(compared(fleet, days=days))}", flush=True)
            if with_troubles:
                for trouble, spoil in TROUBLES.items():
                    spoilt = spoil(fleet, np.random.default_rng(seed))
                    print(f"{name} {seed}, {trouble}: {told(compared(spoilt, days=days))}", flush=True)


def cost() -> None:
    """Print what the step takes on the bench's trace."""
    from bench.reconstruction import timed  # by its own name: it runs in another process

    whole, figures = run_script(timed, trace(), env={"OPENBLAS_NUM_THREADS": "1"})  # as every command has it
    print(f"scale {SCALE:g}: {told(figures)}, rss_mib {whole.rss:.0f}", flush=True)


def main() -> None:
    """As `make bench` runs it: one seed with every trouble, and the cost."""
    errors(scale=0.05, days=62, seeds=[404], with_troubles=True)
    cost()


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--scale", type=float, default=0.05)
    asked.add_argument("--days", type=int, default=62)
    asked.add_argument("--seeds", default="311,312,313")
    asked.add_argument("--troubles", action="store_true")
    asked.add_argument("--cost", action="store_true")
    options = asked.parse_args()
    if options.cost:
        cost()
    else:
        errors(
            scale=options.scale,
            days=options.days,
            seeds=[int(seed) for seed in options.seeds.split(",")],
            with_troubles=options.troubles,
        )
