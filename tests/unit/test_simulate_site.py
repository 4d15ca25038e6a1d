"""The simulated site: what every road tells is one week, its laws hold, and its sensors behave as the captured ones do."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest

from gpulake.errors import UsageError
from gpulake.simulate.dice import Dice
from gpulake.simulate.site import simulate
from gpulake.simulate.site import faults as kinds
from gpulake.simulate.site.fleet import Grid, build_site
from gpulake.simulate.site.models import A100, H100, H200, LAG_S
from gpulake.simulate.site.prometheus import exporter_page
from gpulake.simulate.site.signal import measure
from gpulake.simulate.site.slurm import duration, folded
from gpulake.simulate.site.telling import draw
from gpulake.simulate.site.use import Use

ZONE = "Europe/Berlin"
SMALL = {"nodes": 2, "gpus_per_node": 4, "days": 1, "zone": ZONE, "seed": 11}
# The last Sunday of October: Berlin's clocks show 02:00 to 03:00 twice
LONG_DAY = date(2026, 10, 25)
CAPTURES = Path(__file__).parents[2].parent / "shared" / "data" / "nvidia-smi-captures" / "text"


def told(out, **changes):
    """Simulate into a folder and read the truth back."""
    asked = {**SMALL, "start": LONG_DAY, **changes}
    summary = simulate(out, **asked)
    truth = {path.stem: pl.read_parquet(path) for path in (out / "truth").glob("*.parquet")}
    return SimpleNamespace(out=out, summary=summary, truth=SimpleNamespace(**truth))


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    """One long day with every road, two breakdowns, and samples each minute."""
    return told(tmp_path_factory.mktemp("day"), faults="node_down,exporter_outage", every_s=60)


@pytest.fixture(scope="module")
def plain_samples(day):
    return pl.read_parquet(day.out / "plain" / "plain_gpu_samples.parquet")


@pytest.fixture(scope="module")
def sacct(day):
    lines = (day.out / "slurm" / "sacct.txt").read_text().splitlines()
    header = lines[0].split("|")
    return [dict(zip(header, line.split("|"), strict=True)) for line in lines[1:]]


@pytest.fixture(scope="module")
def scraped(day):
    """Every value of every file, by metric, labels and moment; a second value of one moment would be seen."""
    values = {}
    for path in sorted((day.out / "prometheus").glob("*.json")):
        answer = json.loads(path.read_text())
        assert ("success", "matrix") == (answer["status"], answer["data"]["resultType"])
        for series in answer["data"]["result"]:
            metric = series["metric"]
            for at, value in series["values"]:
                key = (metric["__name__"], metric.get("Hostname", metric["instance"].split(":")[0]), metric.get("gpu"), at)
                key += (metric.get("mode"),)
                assert key not in values
                values[key] = (float(value), metric)
    return values


def local_s(text):
    """Seconds since 1970 of a text of the site's clocks, as the first and as the second hour of that name."""
    naive = datetime.fromisoformat(text)
    return {int(naive.replace(tzinfo=ZoneInfo(ZONE), fold=fold).timestamp()) for fold in (0, 1)}


def seconds(moment):
    return int(moment.timestamp())


class TestSameBytes:
    """Who simulates again, elsewhere or later, gets the same data."""

    def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(self, tmp_path):
        """Text files are compared byte by byte, tables by their rows."""

        def digest(name, seed):
            out = tmp_path / name
            simulate(out, **{**SMALL, "seed": seed}, start=date(2026, 3, 2), faults="ecc_storm", every_s=300)
            found = {}
            for path in sorted(out.rglob("*.*")):
                content = pl.read_parquet(path).write_csv().encode() if path.suffix == ".parquet" else path.read_bytes()
                found[str(path.relative_to(out))] = hashlib.sha256(content).hexdigest()
            return found

        first = digest("first", 3)
        assert first == digest("second", 3)
        other = digest("other", 4)
        assert set(first) == set(other)
        assert first["slurm/sacct.txt"] != other["slurm/sacct.txt"]
        assert first["plain/plain_gpu_samples.parquet"] != other["plain/plain_gpu_samples.parquet"]

    def test_it_does_not_matter_how_machines_are_taken_together(self):
        """A larger site is written in blocks: the border between two of them must not be seen."""
        week = draw(**SMALL, start=LONG_DAY, faults="throttling,counter_reset", every_s=300)
        together, _ = week.measured(range(2))
        apart = [week.measured(range(one, one + 1))[0] for one in range(2)]
        for name, column in together.columns.items():
            assert np.array_equal(column, np.concatenate([part.columns[name] for part in apart])), name

    def test_faults_leave_the_jobs_that_were_asked_for_as_they_were(self):
        """A comparison with and without a fault compares nothing else."""
        healthy = draw(**SMALL, start=LONG_DAY, every_s=300)
        ill = draw(**SMALL, start=LONG_DAY, faults="node_down", every_s=300)
        assert healthy.jobs == ill.jobs


class TestConservation:
    """The truth adds up, and the samples are its measurement."""

    def test_the_day_has_25_hours(self, day):
        """A day of local time is not always 24 hours."""
        assert 25 * 3_600 == day.summary.end_s - day.summary.start_s
        assert 25 * 8 == day.truth.gpu_hours.height

    def test_gpu_seconds_of_gpus_holds_and_jobs_are_the_same(self, day):
        """Three ways to count what was allocated, and what was active, give one number each."""
        truth = day.truth
        held = truth.gpu_hours["held_s"].sum()
        assert held == truth.holds["held_s"].sum() == truth.jobs["allocated_gpu_s"].sum()
        active = truth.gpu_hours["active_pct_s"].sum()
        assert active == truth.holds["active_pct_s"].sum() == pytest.approx(100 * truth.jobs["active_gpu_s"].sum())
        assert 0 < active < 100 * held < 100 * 8 * 25 * 3_600
        idle = truth.jobs["idle_gpu_s"].sum()
        assert idle == pytest.approx(held - active / 100)

    def test_no_gpu_is_held_twice(self, day):
        """One job per GPU: else allocated time could exceed the clock's."""
        holds = day.truth.holds.sort("gpu_uuid", "from_at")
        before = holds.with_columns(pl.col("to_at").shift(1).over("gpu_uuid").alias("before"))
        assert 0 == before.filter(pl.col("from_at") < pl.col("before")).height

    def test_samples_are_the_mean_use_of_their_time(self, day, plain_samples):
        """A percent is rounded once per sample: half a percent of a sample's time is all that may be lost in it."""
        every = 60
        hour = ((pl.col("sampled_at").dt.epoch("s") - 1) // 3_600 * 3_600 * 1_000).cast(pl.Datetime("ms", "UTC"))
        shown = plain_samples.group_by("gpu_uuid", hour.alias("hour_start_at")).agg(
            (pl.col("gpu_util_pct").sum() * every).alias("shown"), pl.len().alias("count")
        )
        both = day.truth.gpu_hours.join(shown, on=["gpu_uuid", "hour_start_at"], how="left").fill_null(0)
        assert both["seen_util_pct_s"].to_list() == both["shown"].to_list()
        assert both["samples"].to_list() == both["count"].to_list()
        whole = both.filter(pl.col("samples") == 60)
        assert whole.height > 100
        assert (whole["shown"] - whole["active_pct_s"]).abs().max() <= 0.5 * every * 60
        assert abs(whole["shown"].sum() - whole["active_pct_s"].sum()) <= 0.001 * whole["active_pct_s"].sum()

    def test_energy_is_the_integral_of_power(self, plain_samples):
        """Joules from one sample to the next are the later one's watts times the seconds, to the last digit."""
        ordered = plain_samples.sort("gpu_uuid", "sampled_at").with_columns(
            pl.col("energy_j").diff().over("gpu_uuid").alias("grown"),
            pl.col("sampled_at").diff().over("gpu_uuid").dt.total_seconds().alias("since"),
        )
        next_to = ordered.filter(pl.col("since") == 60)
        assert next_to.height > 10_000
        assert (next_to["grown"] - 60 * next_to["power_w"]).abs().max() < 1e-3

    def test_sm_active_lies_below_utilisation(self, plain_samples):
        """Utilisation says that a kernel ran, not that it filled the GPU."""
        busy = plain_samples.filter(pl.col("gpu_util_pct") > 20)
        assert (busy["sm_active_ratio"] < busy["gpu_util_pct"] / 100).mean() > 0.99
        assert (busy["tensor_active_ratio"] <= busy["sm_active_ratio"]).all()
        held = plain_samples.filter(pl.col("job_id").is_null() & (pl.col("gpu_util_pct") == 0))
        assert held.height > 0


class TestRoads:
    """Whoever reads any road reads the same week."""

    def test_sacct_tells_the_jobs_of_the_truth(self, day, sacct):
        """Local text stands for one of the moments that bear it, and the elapsed seconds say which."""
        jobs = [row for row in sacct if "." not in row["JobID"]]
        truth = {row["job_id"]: row for row in day.truth.jobs.iter_rows(named=True)}
        assert set(truth) == {row["JobID"] for row in jobs}
        last = {row["JobID"]: row for row in jobs}
        for job_id, row in last.items():
            mine = truth[job_id]
            assert seconds(mine["submitted_at"]) in local_s(next(one for one in jobs if one["JobID"] == job_id)["Submit"])
            assert (mine["user_id"], mine["group_id"]) == (row["User"], row["Account"])
            assert mine["state"] == row["State"].split(" ")[0]
            if mine["ended_at"] is not None:
                assert seconds(mine["ended_at"]) in local_s(row["End"])
            else:
                assert row["End"] == "Unknown"
        per_attempt = day.truth.holds.group_by("job_id", "attempt").agg(pl.col("held_s").first())
        assert sorted(per_attempt["held_s"]) == sorted(int(row["ElapsedRaw"]) for row in jobs if row["AllocTRES"])

    def test_a_local_time_in_the_hour_shown_twice_is_told_as_it_is_shown(self, sacct):
        """Such a text names two moments. A reader must not trust it, so the simulator must write some."""
        twice = [row["Start"] for row in sacct if row["Start"].startswith("2026-10-25T02")]
        assert twice
        assert all(2 == len(local_s(text)) for text in twice)
        across = [
            row
            for row in sacct
            if row["Start"] < "2026-10-25T02" and "2026-10-25T03" < row["End"] < "2026-10-26" and "." not in row["JobID"]
        ]
        assert across
        for row in across:
            by_text = datetime.fromisoformat(row["End"]) - datetime.fromisoformat(row["Start"])
            assert timedelta(seconds=int(row["ElapsedRaw"])) == by_text + timedelta(hours=1)

    def test_scontrol_names_the_gpus_that_jobs_hold(self, day):
        """Indices of every job that ran are those of the truth."""
        blocks = (day.out / "slurm" / "scontrol_show_job.txt").read_text().split("\n\n")
        found = set()
        for block in blocks:
            job = re.search(r"JobId=(\d+)", block)[1]
            restarts = re.search(r"Restarts=(\d+)", block)[1]
            for machine, index in re.findall(r"Nodes=(\S+) .*\(IDX:([\d,-]+)\)", block):
                for part in index.split(","):
                    first, _, last = part.partition("-")
                    found |= {(int(job), int(restarts), machine, gpu) for gpu in range(int(first), int(last or first) + 1)}
        holds = day.truth.holds.select("job_id_raw", "attempt", "machine_id", "gpu_index").rows()
        assert set(holds) == found

    def test_prometheus_shows_the_samples_of_plain(self, plain_samples, scraped):
        """The same moments, and the same values to the last digit."""
        named = {
            "DCGM_FI_DEV_GPU_UTIL": ("gpu_util_pct", 1),
            "DCGM_FI_DEV_POWER_USAGE": ("power_w", 1),
            "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": ("energy_j", 1_000),
            "DCGM_FI_DEV_GPU_TEMP": ("temperature_c", 1),
            "DCGM_FI_DEV_SM_CLOCK": ("sm_clock_hz", 1e-6),
            "DCGM_FI_DEV_FB_USED": ("memory_used_bytes", 2**-20),
            "DCGM_FI_PROF_SM_ACTIVE": ("sm_active_ratio", 1),
            "DCGM_FI_PROF_PCIE_RX_BYTES": ("pcie_rx_bytes_per_s", 1),
        }
        for metric, (column, factor) in named.items():
            expected = {
                (machine, str(gpu), at // 1_000): value
                for machine, gpu, at, value in plain_samples.select(
                    "machine_id", "gpu_index", pl.col("sampled_at").dt.epoch("ms"), column
                ).iter_rows()
            }
            shown = {key[1:4]: value for key, (value, _) in scraped.items() if key[0] == metric}
            assert set(expected) == set(shown)
            if factor in {1, 1_000}:
                assert all(value == pytest.approx(expected[key] * factor, rel=1e-15) for key, value in shown.items())
            else:
                assert all(round(expected[key] * factor) == value for key, value in shown.items())

    def test_a_label_names_the_job_that_holds_the_gpu(self, day, scraped):
        """hpc_job is the raw id of whoever held the GPU until then; nobody's GPU has no such label."""
        holds = {}
        for job, machine, gpu, begin, end in day.truth.holds.select(
            "job_id_raw", "machine_id", "gpu_index", "from_at", "to_at"
        ).iter_rows():
            holds.setdefault((machine, str(gpu)), []).append((seconds(begin), seconds(end), str(job)))
        looked = 0
        for (metric, machine, gpu, at, _), (_, labels) in scraped.items():
            if metric == "DCGM_FI_DEV_XID_ERRORS":
                mine = [job for begin, end, job in holds.get((machine, gpu), ()) if begin < at <= end]
                assert mine == [labels["hpc_job"]] if "hpc_job" in labels else not mine
                looked += 1
        assert looked > 10_000

    def test_node_exporters_counters_give_the_rates_of_plain(self, day, scraped):
        """What grew since the sample before, over the seconds, is what plain calls the rate."""
        hosts = pl.read_parquet(day.out / "plain" / "plain_machine_samples.parquet")
        received = {key[1:4:2]: value for key, (value, _) in scraped.items() if key[0] == "node_network_receive_bytes_total"}
        idle = {
            key[1:4:2]: value for key, (value, _) in scraped.items() if key[0] == "node_cpu_seconds_total" and key[4] == "idle"
        }
        looked = 0
        for machine, at, rate, cpu in hosts.select(
            "machine_id", pl.col("sampled_at").dt.epoch("s"), "net_rx_bytes_per_s", "cpu_util_pct"
        ).iter_rows():
            if (machine, at - 60) in received:
                assert received[machine, at] - received[machine, at - 60] == 60 * rate
                assert idle[machine, at] - idle[machine, at - 60] == pytest.approx(60 * (1 - cpu / 100))
                looked += 1
        assert looked > 2_000

    def test_an_exporters_page_says_what_is_scraped_then(self):
        """A server of such pages feeds a real Prometheus with the same values."""
        week = draw(**SMALL, start=LONG_DAY, every_s=300)
        samples, _ = week.measured(range(2))
        page = exporter_page(samples, week.attempts, week.site, 100, machine="gpu002")
        shown = re.findall(r'^DCGM_FI_DEV_POWER_USAGE\{.*gpu="(\d)".*\} ([\d.]+)$', page, re.MULTILINE)
        assert [(str(gpu), f"{samples.columns['power_dw'][4 + gpu, 100] / 10:.6f}") for gpu in range(4)] == shown
        assert page.count("# TYPE DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION counter") == 1

    def test_sacctmgr_tells_when_machines_were_away(self, day):
        """Spans of the truth, by local clocks."""
        lines = (day.out / "slurm" / "sacctmgr_show_event.txt").read_text().splitlines()
        rows = [dict(zip(lines[0].split("|"), line.split("|"), strict=True)) for line in lines[1:]]
        states = day.truth_states = pl.read_parquet(day.out / "truth" / "machine_states.parquet")
        assert states.height == len(rows) == 1
        assert states["machine_id"][0] == rows[0]["NodeName"]
        assert seconds(states["from_at"][0]) in local_s(rows[0]["TimeStart"])
        assert seconds(states["to_at"][0]) in local_s(rows[0]["TimeEnd"])

    def test_slurms_words_for_numbers(self):
        """Ranges and durations as Slurm folds them."""
        assert folded([0, 1, 2, 5, 7, 8]) == "0-2,5,7-8"
        assert folded([1, 2, 10], width=3) == "001-002,010"
        assert duration(59) == "00:00:59"
        assert duration(90_061) == "1-01:01:01"
