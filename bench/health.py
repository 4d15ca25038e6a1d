"""Simulated sites: how many healthy ones have any finding, and which injected faults are found, by what.

Each site is a cluster of one lake, landed and built as a user would. GPULAKE_BENCH_FLEETS says how many are healthy (60); an
eighth as many have one fault of each kind. Of the healthy ones every second has counters that begin anew.
"""

from __future__ import annotations

import os
import shutil
import time
from datetime import date, timedelta
from pathlib import Path

import polars as pl

from bench.measure import Target, verdict
from bench.traces import HOME
from gpulake import pipeline
from gpulake.config import Config
from gpulake.lake import open_publication
from gpulake.simulate import site

FLEETS = int(os.environ.get("GPULAKE_BENCH_FLEETS", "60"))
FIRST_SEED = 1_000
SIZE = {"nodes": 4, "gpus_per_node": 4, "days": 3, "every_s": 120}
MOST_FALSE = 0.05
"""Of healthy sites, those that may have any finding."""
OF_MACHINES = {"node_down", "flapping"}
"""What takes a machine away: an incident tells of it, not a GPU's verdict."""
BLINDS = {"exporter_outage"}
"""What only blinds: the verdict is unknown."""
FOUND = ("sick", "look")

VERDICTS = "select cluster_id, dt, machine_id, gpu_device, verdict from gold_gpu_health_daily"
INCIDENTS = "select cluster_id, dt, machine_id, severity, worst_event from gold_gpu_incidents"
SPIKES = "select cluster_id, dt, event_class from gold_error_spikes_daily where is_spike"


def _simulated(folder: Path, *, seed: int, faults: str) -> Path:
    site.simulate(folder, start=date(2026, 3, 2), zone="UTC", seed=seed, faults=faults, roads=("plain",), **SIZE)
    return folder / "plain"


def landed(folder: Path) -> Config:
    """A lake of all the sites, named by whether and how they are ill, and published."""
    shutil.rmtree(folder, ignore_errors=True)
    config = Config(lake=folder / "lake")
    asked = [(f"healthy{n:03}", "counter_reset" if n % 2 else "") for n in range(FLEETS)]
    asked += [(f"faulty{n:03}", "all") for n in range(-(-FLEETS // 8))]
    for number, (name, faults) in enumerate(asked):
        data = _simulated(folder / name, seed=FIRST_SEED + number, faults=faults)
        result = (pipeline.refresh if number == len(asked) - 1 else pipeline.land)(config, data=data, cluster=name)
        assert result.error is None, result.error
        shutil.rmtree(data)
    return config


def _labels(folder: Path) -> pl.DataFrame:
    """One row per fault of the faulty sites and day on which it lasts."""
    files = sorted(folder.glob("faulty*/truth/faults.parquet"))
    faults = pl.concat(
        pl.read_parquet(file).with_columns(pl.lit(file.parts[-3]).alias("cluster_id"), pl.lit(number).alias("site"))
        for number, file in enumerate(files)
    ).with_row_index("fault")
    last = (pl.col("to_at") - timedelta(seconds=1)).dt.date()
    return faults.with_columns(
        pl.date_ranges(pl.col("from_at").dt.date(), pl.max_horizontal(last, pl.col("from_at").dt.date())).alias("dt")
    ).explode("dt")


def tell_healthy(verdicts: pl.DataFrame, incidents: pl.DataFrame, spikes: pl.DataFrame) -> None:
    """How many healthy sites have a finding of each kind, and of any."""
    found = {
        "a GPU sick or to look at": verdicts.filter(pl.col("verdict").is_in(FOUND)),
        "an incident": incidents,
        "a day with more errors than expected": spikes,
    }
    named = {what: set(rows["cluster_id"].str.head(99)) for what, rows in found.items()}
    healthy = {what: {name for name in names if name.startswith("healthy")} for what, names in named.items()}
    print(f"  healthy sites: {FLEETS}, of them with")
    for what, names in healthy.items():
        print(f"    {what:40}{len(names):4}  {' '.join(sorted(names))}")
    false = len(set().union(*healthy.values())) / FLEETS
    print(f"    any of these{false:33.3f}{verdict(false, Target(MOST_FALSE))}")


def tell_faulty(labels: pl.DataFrame, verdicts: pl.DataFrame, incidents: pl.DataFrame) -> None:
    """Of each kind of fault how many are found, and of what is found how much is of a fault."""
    device = pl.col("gpu_device").cast(pl.Int64, strict=False)
    of_gpus = labels.join(verdicts, on=["cluster_id", "machine_id", "dt"]).filter(
        pl.col("gpu_index").is_null() | (pl.col("gpu_index") == device)
    )
    down = labels.join(incidents.filter(pl.col("severity") == "critical"), on=["cluster_id", "machine_id", "dt"])
    found = pl.concat(
        [
            of_gpus.filter(~pl.col("kind").is_in([*OF_MACHINES, *BLINDS]) & pl.col("verdict").is_in(FOUND)),
            of_gpus.filter(pl.col("kind").is_in(BLINDS) & (pl.col("verdict") != "well")),
            down.filter(pl.col("kind").is_in(OF_MACHINES)),
        ],
        how="diagonal",
    )
    hit = set(found["fault"])
    print(f"  faulty sites: {labels['cluster_id'].n_unique()}; of each kind of fault found")
    for (kind,), rows in labels.sort("kind").group_by("kind", maintain_order=True):
        if kind != "counter_reset":
            faults = set(rows["fault"])
            print(f"    {kind:20}{len(faults & hit):4} of {len(faults)}")
    flagged = verdicts.filter(pl.col("cluster_id").str.starts_with("faulty") & pl.col("verdict").is_in(FOUND))
    ill = labels.select("cluster_id", "machine_id", "dt", "gpu_index").unique()
    true = flagged.join(ill, on=["cluster_id", "machine_id", "dt"]).filter(
        pl.col("gpu_index").is_null() | (pl.col("gpu_index") == device)
    )
    keys = ["cluster_id", "machine_id", "dt", "gpu_device"]
    print(f"    GPU-days sick or to look at: {flagged.height}, of a labelled fault {true.select(keys).unique().height}")


def main() -> None:
    """Print both."""
    folder = HOME / "health"
    started = time.monotonic()
    config = landed(folder)
    print(
        f"\nhealth of simulated sites, 16 GPUs for 3 days each ({time.monotonic() - started:.0f} s to make and build)"
    )
    with open_publication(config.lake) as publication:
        verdicts, incidents, spikes = (
            pl.DataFrame(pl.from_arrow(publication.sql(query))) for query in (VERDICTS, INCIDENTS, SPIKES)
        )
    tell_healthy(verdicts, incidents, spikes)
    tell_faulty(_labels(folder), verdicts, incidents)


if __name__ == "__main__":
    main()
