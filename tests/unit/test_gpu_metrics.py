"""What the PAI trace lacks of its GPUs: it is the simulated fleet's own use, seen by the sensors of its models."""

from __future__ import annotations

import hashlib
from types import SimpleNamespace

import polars as pl
import pytest

from gpulake.simulate.pai2020 import simulate

START_S = 5 * 86_400 - 8 * 3_600


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    """A few machines for two days, with what is broken."""
    out = tmp_path_factory.mktemp("pai") / "fleet"
    summary = simulate(out, scale=0.002, days=2, seed=3, faults=True, gpu_metrics=True)
    samples = pl.read_parquet(out / "gpu_metrics" / "plain_gpu_samples.parquet")
    hours = pl.read_parquet(out / "truth" / "machine_hours.parquet")
    return SimpleNamespace(out=out, summary=summary, samples=samples, hours=hours)


def test_every_gpu_is_seen_every_ten_minutes_by_the_traces_clock(fleet):
    """Machines are the trace's, their seconds too, so samples meet its instances."""
    counted = fleet.samples.group_by("machine_id", "gpu_index").agg(
        pl.len(), pl.col("sampled_at").dt.epoch("s").min(), pl.col("interval_s").max()
    )
    assert {(2 * 144, START_S + 600, 600)} == set(counted.select("len", "sampled_at", "interval_s").rows())
    listed = {line.split(",")[0] for line in (fleet.out / "pai_machine_spec.csv").read_text().splitlines()}
    assert set(counted["machine_id"]) <= listed
    assert counted.height == fleet.summary.rows["plain_gpus"]


def test_the_gpus_of_a_machine_use_together_what_the_machine_uses(fleet):
    """A machine's hour in the truth and its GPUs' percents are one signal: half a percent of rounding a sample, and what 100 % cuts."""
    shown = fleet.samples.group_by(
        "machine_id",
        (pl.col("sampled_at") - pl.duration(seconds=600)).dt.truncate("1h").dt.epoch("s").alias("hour_start_s"),
    ).agg((pl.col("gpu_util_pct").sum() * 600).alias("shown"), pl.col("gpu_index").n_unique().alias("gpus"))
    hours = fleet.hours.rename({"machine": "machine_id"}).drop("gpus").join(shown, on=["machine_id", "hour_start_s"])
    assert hours.height == shown.height
    off = (hours["gpu_pct_s"] - hours["shown"]).abs() - 0.5 * 3_600 * hours["gpus"]
    assert (off <= 0).mean() > 0.97
    assert abs(hours["shown"].sum() / hours["gpu_pct_s"].sum() - 1) < 0.03


def test_sick_gpus_are_where_the_labels_say(fleet):
    """A throttled GPU shows it within its hours, an ECC storm's counter grows within its own, and elsewhere nothing does."""
    labels = pl.read_parquet(fleet.out / "truth" / "gpu_faults.parquet")
    assert ["ecc_storm", "ecc_storm", "throttling", "throttling"] == sorted(labels["kind"])
    seen = fleet.samples.with_columns((pl.col("sampled_at").dt.epoch("s") - 600).alias("at")).join(
        labels, on="gpu_uuid", how="left"
    )
    inside = (pl.col("at") >= pl.col("start_s")) & (pl.col("at") < pl.col("end_s"))
    hot = seen.filter((pl.col("clocks_event_reasons") // 32) % 2 == 1)
    assert {"throttling"} == set(hot["kind"])
    assert hot.select(inside.all()).item()
    errors = seen.group_by("gpu_uuid", "kind").agg(
        pl.col("ecc_sbe_aggregate").max() - pl.col("ecc_sbe_aggregate").min(), pl.col("ecc_dbe_aggregate").max()
    )
    assert {"ecc_storm"} == set(errors.filter(pl.col("ecc_sbe_aggregate") > 0)["kind"])
    assert {0, 3} == set(errors["ecc_dbe_aggregate"])


def test_the_trace_is_what_it_is_without(fleet, tmp_path):
    """Who wants no GPU metrics gets the same bytes as before there were any."""
    simulate(tmp_path, scale=0.002, days=2, seed=3, faults=True)

    def digests(folder):
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.csv")}

    assert digests(tmp_path) == digests(fleet.out)
    assert not (tmp_path / "gpu_metrics").exists()
