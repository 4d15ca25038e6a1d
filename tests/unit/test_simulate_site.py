"""The simulated site: what every road tells is one week, its laws hold, and its sensors behave as the captured ones do."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest

from gpulake.errors import UsageError
from gpulake.simulate.dice import Dice
from gpulake.simulate.site import faults as kinds
from gpulake.simulate.site import simulate
from gpulake.simulate.site.fleet import Grid, build_site
from gpulake.simulate.site.models import A100, H100, H200, LAG_S
from gpulake.simulate.site.prometheus import exporter_page
from gpulake.simulate.site.signal import measure, traits_of
from gpulake.simulate.site.slurm import duration, folded
from gpulake.simulate.site.telling import draw
from gpulake.simulate.site.use import Use

ZONE = "Europe/Berlin"
SMALL = {"nodes": 2, "gpus_per_node": 4, "days": 1, "zone": ZONE, "seed": 11}
# The last Sunday of October: Berlin's clocks show 02:00 to 03:00 twice
LONG_DAY = date(2026, 10, 25)
EVERY = 300
CAPTURES = Path(__file__).parents[2].parent / "shared" / "data" / "nvidia-smi-captures" / "text"


def told(out, **changes):
    """Simulate into a folder and read the truth back."""
    asked = {**SMALL, "start": LONG_DAY, **changes}
    summary = simulate(out, **asked)
    truth = {path.stem: pl.read_parquet(path) for path in (out / "truth").glob("*.parquet")}
    return SimpleNamespace(out=out, summary=summary, truth=SimpleNamespace(**truth))


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    """One long day with every road, two breakdowns, and samples each five minutes."""
    return told(tmp_path_factory.mktemp("day"), faults="node_down,exporter_outage", every_s=EVERY)


@pytest.fixture(scope="module")
def plain_samples(day):
    return pl.read_parquet(day.out / "plain" / "plain_gpu_samples.parquet")


@pytest.fixture(scope="module")
def sacct(day):
    return _sacct(day.out)


def _sacct(out):
    lines = (out / "slurm" / "sacct.txt").read_text().splitlines()
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
                key = (
                    metric["__name__"],
                    metric.get("Hostname", metric["instance"].split(":")[0]),
                    metric.get("gpu"),
                    at,
                )
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
        busy = truth.gpu_hours["busy_pct_s"].sum()
        assert busy == truth.holds["busy_pct_s"].sum() == pytest.approx(100 * truth.jobs["busy_gpu_s"].sum())
        active = truth.gpu_hours["active_milli_s"].sum()
        # Where two jobs share a sample's time its part is rounded to a thousandth-second for each
        assert abs(active - truth.holds["active_milli_s"].sum()) <= truth.holds.height
        assert truth.holds["active_milli_s"].sum() == pytest.approx(1_000 * truth.jobs["active_gpu_s"].sum())
        assert 0 < active / 1_000 < busy / 100 < held < 8 * 25 * 3_600
        idle = truth.jobs["idle_gpu_s"].sum()
        assert idle == pytest.approx(held - truth.jobs["active_gpu_s"].sum())

    def test_no_gpu_is_held_twice(self, day):
        """One job per GPU: else allocated time could exceed the clock's."""
        holds = day.truth.holds.sort("gpu_uuid", "from_at")
        before = holds.with_columns(pl.col("to_at").shift(1).over("gpu_uuid").alias("before"))
        assert 0 == before.filter(pl.col("from_at") < pl.col("before")).height

    def test_samples_are_the_mean_use_of_their_time(self, day, plain_samples):
        """A percent is rounded once per sample: half a percent of a sample's time is all that may be lost in it."""
        hour = pl.col("sampled_at").dt.truncate("1h")
        shown = plain_samples.group_by("gpu_uuid", hour.alias("hour_start_at")).agg(
            (pl.col("gpu_util_pct").sum() * EVERY).alias("shown"), pl.len().alias("count")
        )
        both = day.truth.gpu_hours.join(shown, on=["gpu_uuid", "hour_start_at"], how="left").fill_null(0)
        assert both["seen_util_pct_s"].to_list() == both["shown"].to_list()
        assert both["samples"].to_list() == both["count"].to_list()
        whole = both.filter(pl.col("samples") == 3_600 // EVERY)
        assert whole.height > 100
        assert (whole["shown"] - whole["busy_pct_s"]).abs().max() <= 0.5 * EVERY * (3_600 // EVERY)
        assert abs(whole["shown"].sum() - whole["busy_pct_s"].sum()) <= 0.005 * whole["busy_pct_s"].sum()

    def test_energy_is_the_integral_of_power(self, plain_samples):
        """Joules from one sample to the next are the earlier one's watts times the seconds, to the last digit."""
        ordered = plain_samples.sort("gpu_uuid", "sampled_at").with_columns(
            pl.col("energy_j").diff().over("gpu_uuid").alias("grown"),
            pl.col("sampled_at").diff().over("gpu_uuid").dt.total_seconds().alias("since"),
            pl.col("power_w").shift(1).over("gpu_uuid").alias("before_w"),
        )
        next_to = ordered.filter(pl.col("since") == EVERY)
        assert next_to.height > 2_000
        assert (next_to["grown"] - EVERY * next_to["before_w"]).abs().max() < 1e-3

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
            assert seconds(mine["submitted_at"]) in local_s(
                next(one for one in jobs if one["JobID"] == job_id)["Submit"]
            )
            assert (mine["user_id"], mine["group_id"]) == (row["User"], row["Account"])
            assert mine["state"] == row["State"].split(" ")[0]
            if mine["ended_at"] is not None:
                assert seconds(mine["ended_at"]) in local_s(row["End"])
            else:
                assert row["End"] == "Unknown"
        per_attempt = day.truth.holds.group_by("job_id", "attempt").agg(pl.col("held_s").first())
        assert sorted(per_attempt["held_s"]) == sorted(int(row["ElapsedRaw"]) for row in jobs if row["AllocTRES"])

    def test_a_local_time_in_the_hour_shown_twice_is_told_as_it_is_shown(self, tmp_path):
        """Such a text names two moments. A reader must not trust it, so the simulator must write some."""
        larger = {"nodes": 8, "gpus_per_node": 4, "days": 2, "roads": ("slurm",), "every_s": 3_600}
        sacct = _sacct(told(tmp_path, **larger, start=LONG_DAY - timedelta(days=1)).out)
        twice = [row["Start"] for row in sacct if row["Start"].startswith("2026-10-25T02")]
        assert twice
        assert all(2 == len(local_s(text)) for text in twice)
        across = [
            row for row in sacct if row["Start"] < "2026-10-25T02" and "2026-10-25T03" < row["End"] < "2026-10-26"
        ]
        assert across
        for row in across:
            by_text = datetime.fromisoformat(row["End"]) - datetime.fromisoformat(row["Start"])
            assert timedelta(seconds=int(row["ElapsedRaw"])) == by_text + timedelta(hours=1)

    def test_scontrol_names_the_gpus_that_jobs_hold(self, day):
        """Indices of every job that ran are those of the truth."""
        blocks = (day.out / "slurm" / "scontrol_show_job.txt").read_text().strip().split("\n\n")
        found = set()
        for block in blocks:
            job = re.search(r"JobId=(\d+)", block)[1]
            restarts = re.search(r"Restarts=(\d+)", block)[1]
            for machine, index in re.findall(r"Nodes=(\S+) .*\(IDX:([\d,-]+)\)", block):
                for part in index.split(","):
                    first, _, last = part.partition("-")
                    found |= {
                        (int(job), int(restarts), machine, gpu) for gpu in range(int(first), int(last or first) + 1)
                    }
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
            assert all(
                value == (expected[key] if factor == 1 else round(expected[key] * factor))
                for key, value in shown.items()
            )

    def test_a_label_names_the_job_that_holds_the_gpu(self, day, scraped):
        """hpc_job is the raw id of whoever holds the GPU at that moment; nobody's GPU has no such label."""
        holds = {}
        for job, machine, gpu, begin, end in day.truth.holds.select(
            "job_id_raw", "machine_id", "gpu_index", "from_at", "to_at"
        ).iter_rows():
            holds.setdefault((machine, str(gpu)), []).append((seconds(begin), seconds(end), str(job)))
        looked = 0
        for (metric, machine, gpu, at, _), (_, labels) in scraped.items():
            if metric == "DCGM_FI_DEV_XID_ERRORS":
                mine = [job for begin, end, job in holds.get((machine, gpu), ()) if begin <= at < end]
                assert mine == [labels["hpc_job"]] if "hpc_job" in labels else not mine
                looked += 1
        assert looked > 2_000

    def test_node_exporters_counters_give_the_rates_of_plain(self, day, scraped):
        """What grew since the sample before, over the seconds, is what plain calls the rate."""
        hosts = pl.read_parquet(day.out / "plain" / "plain_machine_samples.parquet")
        received = {
            key[1:4:2]: value for key, (value, _) in scraped.items() if key[0] == "node_network_receive_bytes_total"
        }
        idle = {
            key[1:4:2]: value
            for key, (value, _) in scraped.items()
            if key[0] == "node_cpu_seconds_total" and key[4] == "idle"
        }
        looked = 0
        for machine, at, rate, cpu in hosts.select(
            "machine_id", pl.col("sampled_at").dt.epoch("s"), "net_rx_bytes_per_s", "cpu_util_pct"
        ).iter_rows():
            if (machine, at - EVERY) in received:
                assert received[machine, at] - received[machine, at - EVERY] == EVERY * rate
                assert idle[machine, at] - idle[machine, at - EVERY] == pytest.approx(EVERY * (1 - cpu / 100))
                looked += 1
        assert looked > 400

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
        states = pl.read_parquet(day.out / "truth" / "machine_states.parquet")
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


def gpu_burn(model, *, busy_s, every_s, limit_share=None, hotter=None):
    """One GPU of a model, idle for an hour, then under the activity at which the captured ones draw 633 W of 700."""
    grid = Grid(ZONE, 0, 3_600 + busy_s, every_s)
    site = build_site(nodes=1, gpus_per_node=1, grid=grid, dice=Dice(1))
    site = SimpleNamespace(
        **{
            **vars(site),
            "models": (model,),
            "gpus": 1,
            "ambient_c": np.array([model.ambient_c]),
            "resistance_c_per_w": np.array([model.resistance_c_per_w]),
        }
    )
    busy = (np.arange(len(grid)) >= 3_600 // every_s)[None]
    zeros = np.zeros(busy.shape, np.int32)
    activity = (633 - 69.9 - 45) / (700 - 69.9 - 45)
    use = Use(
        first_gpu=0,
        holder=zeros - 1,
        doer=zeros - 1,
        held_s=np.where(busy, every_s, 0).astype(np.int32),
        use_pct_s=np.where(busy, 100 * every_s, 0).astype(np.int32),
        activity=np.where(busy, activity, 0).astype(np.float32),
        memory_mib=zeros,
    )
    broken = []
    if limit_share:
        broken.append(kinds.Fault(kinds.POWER_CAP, 0, -1, 3_600, grid.end_s, limit_share))
    if hotter:
        broken.append(kinds.Fault(kinds.THROTTLING, 0, 0, 3_600, grid.end_s, hotter))
    samples = measure(use, traits_of((), use.doer), broken, (), site, grid, Dice(2))
    return {name: values[0] for name, values in samples.columns.items()}, 3_600 // every_s


def captured(name, part):
    """Rows of `nvidia-smi dmon` in a capture, idle or under load: watts, temperatures, percents, clocks."""
    path = CAPTURES / name
    if not path.is_file():
        pytest.skip(f"no capture at {path}")
    text = path.read_text()
    text = text[text.index(f"# {part} :: dmon") :]
    rows = re.findall(
        r"^ +0((?: +\d+)+) *$", text[: text.index("# load ::") if part == "idle" else len(text)], re.MULTILINE
    )
    names = ("power", "gpu_c", "memory_c", "sm", "mem", "enc", "dec", "jpg", "ofa", "memory_clock", "sm_clock")
    return [dict(zip(names, map(int, row.split()), strict=True)) for row in rows]


class TestCalibration:
    """The simulated GPUs behave as those whose nvidia-smi was captured."""

    @pytest.mark.parametrize(
        ("model", "capture"),
        [
            (H100, "linux-x86_64__nvidia-h100-80gb-hbm3__590.48.01.txt"),
            (H200, "linux-x86_64__nvidia-h200__590.48.01.txt"),
        ],
    )
    def test_idle_and_gpu_burn_are_as_captured(self, model, capture):
        """Idle exactly; under load the watts and clocks, and temperatures that pass the captured ones within two minutes."""
        shown, begin = gpu_burn(model, busy_s=600, every_s=5)
        for row in captured(capture, "idle"):
            assert abs(shown["power_dw"][begin - 1] / 10 - row["power"]) <= 2
            assert abs(shown["temperature_c"][begin - 1] - row["gpu_c"]) <= 1
            assert abs(shown["memory_temperature_c"][begin - 1] - row["memory_c"]) <= 1
            assert (shown["sm_clock_mhz"][begin - 1], model.memory_clock_mhz) == (row["sm_clock"], row["memory_clock"])
        loaded = captured(capture, "load")
        assert loaded
        for row in loaded:
            assert abs(shown["power_dw"][begin:].mean() / 10 - row["power"]) <= 0.03 * row["power"]
            assert (shown["sm_clock_mhz"][-1], row["sm"]) == (row["sm_clock"], shown["gpu_util_pct"][-1])
            passed = np.flatnonzero(shown["temperature_c"] >= row["gpu_c"])
            assert 0 < (passed[0] - begin) * 5 <= 120
            assert row["memory_c"] - 1 <= shown["memory_temperature_c"][-1] <= row["memory_c"] + 4

    def test_temperature_follows_power_with_its_lag(self):
        """After one time constant 63 % of the rise is there: 41 + 0.63 x 28 = 59 C."""
        shown, begin = gpu_burn(H100, busy_s=900, every_s=5)
        after = begin + int(LAG_S) // 5 - 1
        assert abs(shown["temperature_c"][after] - 58.9) <= 1.5
        assert abs(shown["temperature_c"][-1] - (37.5 + 0.05 * 633)) <= 1

    def test_a_power_cap_slows_the_clock_as_measured_with_zeus(self):
        """Of the watts above idle and held, (385 - 115) / (633 - 115) remain: 0.52^(1/2.4) = 0.76 of 1980 MHz."""
        shown, begin = gpu_burn(H100, busy_s=900, every_s=30, limit_share=0.55)
        assert set(shown["power_limit_w"][begin:].tolist()) == {385}
        assert shown["power_dw"][begin:].max() <= 3_850
        assert abs(shown["sm_clock_mhz"][-1] - 1_508) <= 15
        assert set(shown["reasons"][begin:].tolist()) == {0x4}
        assert set(shown["gpu_util_pct"][begin:].tolist()) == {100}

    def test_heat_holds_the_clock_down_and_the_temperature_at_the_highest_allowed(self):
        """Hot air makes a GPU slow, not ever hotter, and its use says nothing of it."""
        shown, begin = gpu_burn(H100, busy_s=1_800, every_s=30, hotter=2.0)
        steady = slice(begin + 20, None)
        assert abs(shown["temperature_c"][steady].mean() - 87) < 1
        assert set(shown["reasons"][steady].tolist()) == {0x20}
        assert abs(shown["power_dw"][steady].mean() / 10 - (87 - 37.5) / 0.1) < 10
        assert shown["sm_clock_mhz"][-1] < 1_900
        assert set(shown["gpu_util_pct"][steady].tolist()) == {100}

    def test_an_a100_idles_as_captured(self):
        """a100-sxm4-v12.xml: 67.03 W, 27 C, memory 44 C."""
        shown, begin = gpu_burn(A100, busy_s=60, every_s=30)
        assert abs(shown["power_dw"][begin - 1] / 10 - 67.03) < 2
        assert (27, 44) == (shown["temperature_c"][begin - 1], shown["memory_temperature_c"][begin - 1])


@pytest.fixture(scope="module")
def ill():
    """Five days with one fault of each kind; what stands in samples is looked up by fault."""
    week = draw(nodes=6, gpus_per_node=4, days=5, start=date(2026, 6, 1), zone="UTC", seed=5, faults="all", every_s=120)
    samples, hosts = week.measured(range(6))
    return SimpleNamespace(
        week=week, samples=samples, hosts=hosts, by_kind={fault.kind: fault for fault in week.faults}
    )


class TestFaults:
    """A label says where, when and how strong: that is where the telemetry shows it, and nowhere else."""

    def span(self, ill, fault):
        at = ill.week.grid.moments_s
        return (at >= fault.from_s) & (at < fault.to_s)

    def rows(self, fault):
        return slice(4 * fault.machine, 4 * fault.machine + 4) if fault.gpu < 0 else slice(fault.gpu, fault.gpu + 1)

    def test_every_kind_is_there_once_and_apart(self, ill):
        """Two faults of one machine at once could not be told from each other."""
        assert sorted(kinds.KINDS) == sorted(ill.by_kind)
        spans = sorted((fault.machine, fault.from_s, fault.to_s) for fault in ill.week.faults)
        assert all(one[0] != two[0] or one[2] + 1_800 <= two[1] for one, two in pairwise(spans))

    def test_a_healthy_site_shows_nothing(self):
        """A detector that finds something there is wrong."""
        week = draw(nodes=2, gpus_per_node=4, days=1, start=date(2026, 6, 1), zone="UTC", seed=5, every_s=300)
        samples, hosts = week.measured(range(2))
        assert ((), (), ()) == (week.faults, week.events, week.states)
        assert samples.seen.all()
        assert hosts.seen.all()
        assert set(np.unique(samples.reasons).tolist()) <= {0x0, 0x1, 0x4}
        for name in ("xid", "ecc_sbe_volatile", "ecc_dbe_volatile", "row_remap_pending", "nvlink_errors"):
            assert 0 == samples.columns[name].max()
        assert 0 == np.diff(samples.pcie_replays, axis=1).max()
        assert samples.temperature_c.max() < 85

    def test_samples_lack_where_labels_say_and_nowhere_else(self, ill):
        """Node down, flapping, exporter outage, and a GPU off the bus with the reboot that ends it."""
        at, lacking = ill.week.grid.moments_s, np.zeros(ill.samples.seen.shape, bool)
        for kind in (kinds.NODE_DOWN, kinds.EXPORTER_OUTAGE, kinds.OFF_THE_BUS):
            lacking[self.rows(ill.by_kind[kind]), self.span(ill, ill.by_kind[kind])] = True
        lost, flapping = ill.by_kind[kinds.OFF_THE_BUS], ill.by_kind[kinds.FLAPPING]
        reboot = (at >= lost.to_s - 600) & (at < lost.to_s)
        lacking[4 * lost.machine : 4 * lost.machine + 4, reboot] = True
        for state in ill.week.states:
            if state.machine == flapping.machine and flapping.from_s <= state.from_s < flapping.to_s:
                lacking[self.rows(flapping), (at >= state.from_s) & (at < state.to_s)] = True
        assert np.array_equal(lacking, ~ill.samples.seen)
        assert 6 == sum(
            state.machine == flapping.machine and flapping.from_s <= state.from_s < flapping.to_s
            for state in ill.week.states
        )

    def test_jobs_die_of_what_kills_them(self, ill):
        """Nobody holds a GPU of a machine that is down, or one that is off the bus."""
        for kind, state in ((kinds.NODE_DOWN, "NODE_FAIL"), (kinds.OFF_THE_BUS, "FAILED"), (kinds.XID_STORM, "FAILED")):
            fault = ill.by_kind[kind]
            met = [
                one
                for one in ill.week.attempts
                if one.ran
                and one.start_s < fault.from_s <= one.until(ill.week.grid)
                and any(fault.covers(gpu // 4, gpu) for gpu in one.gpus)
            ]
            assert met
            assert {state} == {one.state for one in met}
            assert all(one.end_s <= fault.from_s + 40 for one in met)
        down = ill.by_kind[kinds.NODE_DOWN]
        assert 0 == ill.samples.use.held_s[self.rows(down), self.span(ill, down)][:, 1:-1].max()
        again = [one for one in ill.week.attempts if one.number and one.submit_s == down.from_s + 120]
        assert again

    def test_a_hot_gpu_is_throttled_and_a_capped_machine_is_capped(self, ill):
        """For most of the time that something runs there."""
        for kind, bit in ((kinds.THROTTLING, 0x20), (kinds.POWER_CAP, 0x4)):
            fault = ill.by_kind[kind]
            inside = self.span(ill, fault)
            slowed = (ill.samples.reasons & bit) > 0
            assert slowed[self.rows(fault), inside].mean() > 0.2
            if bit == 0x20:
                outside = slowed.copy()
                outside[self.rows(fault), inside] = False
                assert not outside.any()
            else:
                assert (ill.samples.power_limit_w[self.rows(fault), inside] == 385).all()

    def test_ecc_errors_grow_at_the_labelled_rate(self, ill):
        """Single bits by the hour within five of their standard deviations; three double bits with their lines."""
        fault = ill.by_kind[kinds.ECC_STORM]
        counted = ill.samples.ecc_sbe_aggregate[fault.gpu]
        expected = fault.strength * (fault.to_s - fault.from_s) / 3_600
        assert abs(int(counted[-1]) - int(counted[0]) - expected) < 5 * expected**0.5
        others = np.delete(ill.samples.ecc_sbe_aggregate, fault.gpu, axis=0)
        assert 0 == np.diff(others, axis=1).max()
        assert 3 == ill.samples.ecc_dbe_aggregate[fault.gpu, -1] == ill.samples.remapped_uncorrectable[fault.gpu, -1]
        codes = [
            event.code
            for event in ill.week.events
            if event.gpu == fault.gpu and fault.from_s <= event.at_s <= fault.to_s
        ]
        assert 3 == codes.count(48) == codes.count(63)

    def test_an_xid_storm_has_its_lines_and_the_gauge_shows_the_last(self, ill):
        """The gauge changes only where a line was written."""
        fault = ill.by_kind[kinds.XID_STORM]
        lines = [
            event for event in ill.week.events if event.gpu == fault.gpu and fault.from_s <= event.at_s < fault.to_s
        ]
        assert int(fault.strength) == len(lines)
        at = ill.week.grid.moments_s
        for moment in (fault.from_s + 240, fault.to_s):
            slot = int(np.flatnonzero(at >= moment)[0])
            last = [event.code for event in lines if event.at_s <= at[slot]][-1]
            assert last == ill.samples.xid[fault.gpu, slot]

    def test_a_stuck_sensor_repeats_itself_while_energy_goes_on(self, ill):
        """Power and temperature stand still, to the digit; the counter knows better."""
        fault = ill.by_kind[kinds.STUCK_SENSOR]
        inside = self.span(ill, fault)
        for name in ("power_dw", "temperature_c"):
            assert 1 == len(set(ill.samples.columns[name][fault.gpu, inside].tolist()))
            assert 1 < len(set(ill.samples.columns[name][fault.gpu, ~inside].tolist()))
        assert len(set(np.diff(ill.samples.energy_mj[fault.gpu, inside]).tolist())) > 10

    def test_counters_go_back_where_labels_say_and_nowhere_else(self, ill):
        """A reset, a reboot and a return from being down: energy begins anew then; at all other times it grows."""
        at, fell = ill.week.grid.moments_s[1:], np.diff(ill.samples.energy_mj, axis=1) < 0
        expected = np.zeros(fell.shape, bool)
        for fault in ill.week.faults:
            for moment in kinds.reboots(fault):
                expected[4 * fault.machine : 4 * fault.machine + 4, int(np.flatnonzero(at >= moment)[0])] = True
        assert np.array_equal(expected, fell)

    @pytest.mark.parametrize(
        ("changes", "named"),
        [
            ({"faults": "bad_luck"}, "bad_luck"),
            ({"faults": "node_down:x"}, "node_down:x"),
            ({"zone": "Europe/Atlantis"}, "Europe/Atlantis"),
            ({"days": 0}, "days is 0"),
            ({"nodes": 0}, "nodes is 0"),
            ({"gpus_per_node": 99}, "gpus-per-node is 99"),
            ({"every_s": 7}, "7 seconds"),
            ({"seed": -1}, "seed is -1"),
            ({"nodes": 1, "faults": "node_down:9,flapping:9"}, "do not fit"),
        ],
    )
    def test_what_cannot_be_simulated_is_refused(self, changes, named):
        """A typing slip is told as one."""
        with pytest.raises(UsageError, match=named):
            draw(**{**SMALL, "start": LONG_DAY, **changes})

    def test_an_unknown_road_is_refused_before_anything_is_written(self, tmp_path):
        """Nothing is left behind by a slip."""
        with pytest.raises(UsageError, match="carrier_pigeon"):
            simulate(tmp_path / "out", **SMALL, start=LONG_DAY, roads=("carrier_pigeon",))
        assert not (tmp_path / "out").exists()


class TestKernelLog:
    """What matters stands among what does not, with the offset of its moment."""

    def test_every_event_is_one_line_and_times_carry_their_offset(self, tmp_path):
        """Both hours of one name are told apart by the offset."""
        eve = LONG_DAY - timedelta(days=1)
        site = told(
            tmp_path, start=eve, days=2, faults="xid_storm,fallen_off_the_bus", every_s=600, roads=("kernel_log",)
        )
        lines = [
            (path.name.removesuffix(".dmesg.log"), *re.fullmatch(r"kern  :\w+ *: (\S+) (.*)", line).groups())
            for path in (site.out / "kernel_log").iterdir()
            for line in path.read_text().splitlines()
        ]
        shown = sorted(
            (machine, int(datetime.fromisoformat(time.replace(",", ".")).timestamp()), text)
            for machine, time, text in lines
            if re.search("Xid|AER|Linux version|throttled", text)
        )
        events = site.truth.events
        expected = sorted(
            zip(events["machine_id"], events["happened_at"].dt.epoch("s"), events["message"], strict=True)
        )
        assert expected == shown
        assert len(lines) > len(shown)
        assert any("Xid" in text and ": 79, " in text for _, _, text in shown)
        assert {"+02:00", "+01:00"} == {time[-6:] for _, time, _ in lines}
