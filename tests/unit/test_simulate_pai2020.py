"""The simulated PAI fleet: its text is the publisher's, its shares are the real trace's, its truth is what its machines did.

Checks of population shares run at scale 0.05 (52,775 jobs, 95 machines); each tolerance says what that size allows.
"""

from __future__ import annotations

import hashlib
import re
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from gpulake.errors import UsageError
from gpulake.simulate import reference
from gpulake.simulate.activity import Activity
from gpulake.simulate.curves import Curve, apportion, deal, fit_table
from gpulake.simulate.dice import Dice
from gpulake.simulate.fleet import Machines, build_machines
from gpulake.simulate.instances import Rows
from gpulake.simulate.pai2020 import simulate
from gpulake.simulate.population import Window, arrival_weights
from gpulake.simulate.signal import Host, sweep
from gpulake.simulate.usage import PER_PERCENT, Usage

SCALE, DAYS, SEED = 0.05, 62, 20200701
START_S = 5 * 86_400 - 8 * 3_600

COLUMNS = {
    "pai_job_table": "job_name inst_id user status start_time end_time",
    "pai_task_table": "job_name task_name inst_num status start_time end_time plan_cpu plan_mem plan_gpu gpu_type",
    "pai_instance_table": "job_name task_name inst_name worker_name inst_id status start_time end_time machine",
    "pai_sensor_table": "job_name task_name worker_name inst_id machine gpu_name cpu_usage gpu_wrk_util avg_mem max_mem "
    "avg_gpu_wrk_mem max_gpu_wrk_mem read write read_count write_count",
    "pai_group_tag_table": "inst_id user gpu_type_spec group workload",
    "pai_machine_spec": "machine gpu_type cap_cpu cap_mem cap_gpu",
    "pai_machine_metric": "worker_name machine start_time end_time machine_cpu_iowait machine_cpu_kernel machine_cpu_usr "
    "machine_gpu machine_load_1 machine_net_receive machine_num_worker machine_cpu",
}
TEXT = {
    "job_name",
    "inst_id",
    "user",
    "status",
    "task_name",
    "gpu_type",
    "inst_name",
    "worker_name",
    "machine",
    "gpu_name",
}
TEXT |= {"gpu_type_spec", "group", "workload"}
TYPES = ("T4", "MISC", "P100", "V100", "V100M32")
QUARTILES = (0.25, 0.5, 0.75)


def read(folder, table):
    names = COLUMNS[table].split()
    schema = {name: pl.String if name in TEXT else pl.Float64 for name in names}
    return pl.read_csv(folder / f"{table}.csv", has_header=False, schema=schema)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    """One fleet at the demo's size, read back from its files only."""
    out = tmp_path_factory.mktemp("pai") / "fleet"
    summary = simulate(out, scale=SCALE, days=DAYS, seed=SEED)
    tables = {table.removeprefix("pai_"): read(out, table) for table in COLUMNS}
    truth = {path.stem: pl.read_parquet(path) for path in (out / "truth").glob("*.parquet")}
    return SimpleNamespace(out=out, summary=summary, truth=SimpleNamespace(**truth), **tables)


@pytest.fixture(scope="module")
def tasks(fleet):
    """Every task with what the publisher derives from its instances: first start, mean run time, wait."""
    shown = fleet.instance_table.filter(pl.col("start_time").is_not_null())
    starts = shown.group_by("job_name", "task_name").agg(
        pl.col("start_time").min().alias("first_start"),
        (pl.col("end_time") - pl.col("start_time")).mean().alias("run_s"),
    )
    found = fleet.task_table.join(starts, on=["job_name", "task_name"], how="left")
    return found.with_columns((pl.col("first_start") - pl.col("start_time")).alias("wait_s"))


@pytest.fixture(scope="module")
def grouped(fleet):
    """Every job with its group, the group's size, and whether it was submitted in the last quarter of the window."""
    jobs = fleet.job_table.join(fleet.group_tag_table.select("inst_id", "group", "workload"), on="inst_id", how="left")
    sizes = jobs.group_by("group").len().rename({"len": "members"})
    late = pl.col("start_time") >= START_S + 0.75 * DAYS * 86_400
    return jobs.join(sizes, on="group", how="left").with_columns(late.alias("late"))


def real(table, statistic):
    return reference.count_of(table, statistic)


def off_by(expected, actual):
    return abs(actual / expected - 1)


def worst_distance(values, points):
    """Largest distance between the values' distribution and a digitised curve, beyond the reading error of 5 % in value."""
    ordered = np.sort(np.asarray(values))
    share, value = np.array(points).T
    below = np.searchsorted(ordered, value * 1.05 + 0.5, side="right") / len(ordered)
    above = np.searchsorted(ordered, value * 0.95 - 0.5, side="left") / len(ordered)
    return max(float((share - below).max()), float((above - share).max()), 0.0)


class TestText:
    """A lakehouse that reads these files reads the publisher's."""

    HEX = "[0-9a-f]"
    LINES = {  # noqa: RUF012
        "pai_job_table": rf"{HEX}{{24}},{HEX}{{60}},{HEX}{{12}},[A-Z][a-z]+,(\d+\.0)?,(\d+\.0)?",
        "pai_task_table": rf"{HEX}{{24}},[A-Za-z]+,\d+\.0,[A-Z][a-z]+,(\d+\.0)?,(\d+\.0)?,\d+\.\d+,\d+\.\d+,(\d+\.0)?,\w*",
        "pai_instance_table": rf"{HEX}{{24}},[A-Za-z]+,{HEX}{{60}},({HEX}{{60}})?,{HEX}{{60}},[A-Z][a-z]+,(\d+\.0)?,(\d+\.0)?,({HEX}{{24}})?",
        "pai_sensor_table": rf"{HEX}{{24}},[A-Za-z]+,{HEX}{{60}},{HEX}{{60}},{HEX}{{24}},(/dev/nvidia[0-7])?(,[-+.e\d]*){{10}}",
        "pai_group_tag_table": rf"{HEX}{{60}},{HEX}{{12}},\w*,({HEX}{{32}})?,\w*",
        "pai_machine_spec": rf"{HEX}{{24}},(CPU|MISC|P100|T4|V100|V100M32),\d+,\d+,\d+",
        "pai_machine_metric": rf"{HEX}{{60}},{HEX}{{24}},\d+,\d+(,[-+.e\d]*){{8}}",
    }

    @pytest.mark.parametrize("table", COLUMNS)
    def test_lines_look_like_the_publishers(self, fleet, table):
        """No header, comma, no quotes, LF, empty for null, float text for times but whole seconds in the metric table."""
        data = (fleet.out / f"{table}.csv").read_bytes()
        assert data.endswith(b"\n")
        assert not {b'"', b"\r", b" "} & {data[at : at + 1] for at in range(min(len(data), 1_000_000))}
        line = re.compile(self.LINES[table])
        lines = data[: len(data) // 2 if len(data) > 3_000_000 else None].decode().splitlines()[:3_000]
        assert [] == [one for one in lines[:-1] if not line.fullmatch(one)]

    def test_every_name_is_used_once(self, fleet):
        """Jobs, instances' job ids and machines are keys."""
        assert fleet.job_table["job_name"].is_unique().all()
        assert fleet.job_table["inst_id"].is_unique().all()
        assert fleet.machine_spec["machine"].is_unique().all()
        assert fleet.task_table.select("job_name", "task_name").is_unique().all()
        assert fleet.sensor_table.select("job_name", "worker_name").is_unique().all()
        assert fleet.machine_metric["worker_name"].is_unique().all()


class TestSameInputSameBytes:
    """A demo, a bug report and a bench speak of the same data."""

    @staticmethod
    def hashes(folder):
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    def test_the_seed_decides_everything(self, tmp_path):
        """Twice the same call gives the same bytes in every table and every truth."""
        for name, seed in (("one", 5), ("two", 5), ("other", 6)):
            simulate(tmp_path / name, scale=0.002, days=5, seed=seed)
        one, two, other = (self.hashes(tmp_path / name) for name in ("one", "two", "other"))
        assert one == two
        assert 14 == len(one)
        assert not set(one.values()) & set(other.values()) - {one["truth/faults.parquet"]}

    def test_wrong_arguments_are_named(self, tmp_path):
        """A typo must not start a run of minutes, nor leave an empty folder."""
        for wrong in ({"scale": 0.0}, {"scale": 1.5}, {"scale": float("nan")}, {"days": 0}, {"seed": -1}):
            with pytest.raises(UsageError, match=next(iter(wrong))):
                simulate(tmp_path / "out", **{"scale": 0.01, "days": 3, "seed": 1, **wrong})
        assert not (tmp_path / "out").exists()

    def test_progress_moves_forward_to_the_end(self, tmp_path):
        """People watch this while it works."""
        told = []
        simulate(tmp_path, scale=0.001, days=1, seed=3, progress=lambda what, share: told.append((share, what)))
        assert sorted(told) == told
        assert 1.0 == told[-1][0]


class TestCountsAndShares:
    """D5.1: sizes and shares of the real trace."""

    @pytest.mark.parametrize("table", ["job_table", "task_table", "instance_table", "sensor_table", "group_tag_table"])
    def test_rows(self, fleet, table):
        """Tables have the real trace's rows, in proportion; 1 %."""
        expected = real(f"pai_{table}", "rows") * SCALE
        assert off_by(expected, getattr(fleet, table).height) < 0.01
        assert fleet.summary.rows[f"pai_{table}"] == getattr(fleet, table).height

    def test_metric_rows(self, fleet):
        """One machine_metric row for 27 % of the instances; 2 %."""
        assert off_by(real("pai_machine_metric", "rows") * SCALE, fleet.machine_metric.height) < 0.02

    def test_the_truth_counts_what_was_written(self, fleet):
        """Row counts in the truth are those of the files."""
        counted = {(row["table_name"], row["statistic"]): row["value"] for row in fleet.truth.counts.to_dicts()}
        assert fleet.job_table.height == counted["pai_job_table", "rows"]
        for status, count in fleet.instance_table["status"].value_counts().iter_rows():
            assert count == counted["pai_instance_table", f"status={status}"]

    def test_job_statuses(self, fleet):
        """Terminated, Failed, Running: 1 %, or twenty rows that the window's end cuts; Waiting exactly."""
        found = dict(fleet.job_table["status"].value_counts().iter_rows())
        for status in ("Terminated", "Failed", "Running", "Waiting"):
            expected = real("pai_job_table", f"status={status} rows") * SCALE
            assert abs(found[status] - expected) < (1 if status == "Waiting" else max(0.01 * expected, 20)), status

    def test_task_statuses(self, fleet):
        """As for jobs; twenty tasks of the waiting too."""
        found = dict(fleet.task_table["status"].value_counts().iter_rows())
        for status in ("Terminated", "Failed", "Running", "Waiting"):
            expected = real("pai_task_table", f"status={status}") * SCALE
            assert abs(found[status] - expected) < max(0.01 * expected, 20), status

    def test_job_ends_by_status(self, fleet):
        """Every Terminated job has an end, a tenth of the failed ones, 1.7 % of the running, 1.2 % of the waiting."""
        ends = fleet.job_table.group_by("status").agg(
            pl.col("end_time").is_not_null().sum(), pl.col("start_time").is_null().sum()
        )
        found = {status: (ended, unbegun) for status, ended, unbegun in ends.iter_rows()}
        for status in ("Terminated", "Failed", "Running", "Waiting"):
            expected = real("pai_job_table", f"status={status} with end_time") * SCALE
            assert abs(found[status][0] - expected) < max(0.02 * expected, 3), status
        jobs = fleet.job_table
        assert (
            found["Waiting"][1] == jobs["start_time"].null_count() == jobs.filter(pl.col("status") == "Waiting").height
        )

    @pytest.mark.parametrize(
        ("plan", "statistic"), [(plan, f"plan_gpu={plan}") for plan in (100, 25, 50, 10, 200, 800)]
    )
    def test_plan_gpu_spikes(self, fleet, plan, statistic):
        """D5.3: requests stand on a few values; 1 %, or six tasks."""
        expected = real("pai_task_table", statistic) * SCALE
        assert abs((fleet.task_table["plan_gpu"] == plan).sum() - expected) < max(0.01 * expected, 6)

    def test_cpu_only_tasks(self, fleet):
        """17.8 % ask for no GPU and say so by an empty field; 1 %."""
        assert (
            off_by(real("pai_task_table", "plan_gpu empty") * SCALE, fleet.task_table["plan_gpu"].null_count()) < 0.01
        )
        assert 0 == (fleet.task_table["plan_gpu"] <= 0).sum()

    def test_gpu_types_of_tasks(self, fleet):
        """1.5 %: the real counts are known to the thousand; CPU-only tasks with a type lie on top."""
        found = dict(fleet.task_table["gpu_type"].value_counts().iter_rows())
        for gpu_type in TYPES:
            expected = real("pai_task_table", f"gpu_type={gpu_type}") * SCALE
            assert abs(found[gpu_type] - expected) < max(0.015 * expected, 10), gpu_type

    def test_requests_of_the_host(self, fleet):
        """D5.3: 600 percent of a core and 29.296875 GB are the site's defaults; three points, from 500 real rows."""
        assert 0.68 == pytest.approx((fleet.task_table["plan_cpu"] == 600).mean(), abs=0.03)
        assert 0.79 == pytest.approx((fleet.task_table["plan_mem"] == 29.296875).mean(), abs=0.06)
        assert 1 <= (fleet.task_table["plan_cpu"] == 0).sum() <= 3

    def test_single_instance_tasks(self, fleet):
        """76.4 % of tasks have one instance; 1 %."""
        assert off_by(real("pai_task_table", "inst_num=1") * SCALE, (fleet.task_table["inst_num"] == 1).sum()) < 0.01

    def test_machine_classes_at_full_scale(self):
        """The real fleet exactly: 1,897 machines, 6,742 GPUs, 156,576 cores."""
        machines = build_machines(1.0)
        names = [reference.MACHINE_TYPES[number] for number in machines.gpu_type]
        expected = {"CPU": 83, "MISC": 280, "P100": 798, "T4": 497, "V100": 104, "V100M32": 135}
        assert expected == {name: names.count(name) for name in expected}
        assert (6_742, 156_576) == (machines.gpus.sum(), machines.cores.sum())

    def test_machine_classes_in_proportion(self, fleet):
        """A smaller fleet keeps the mixture, and three machines of each class at least."""
        found = dict(fleet.machine_spec["gpu_type"].value_counts().iter_rows())
        assert {"CPU": 4, "MISC": 14, "P100": 40, "T4": 25, "V100": 5, "V100M32": 7} == found


class TestTimes:
    """D5.2: run times and waits of each class, on the curves digitised from the publisher's figures."""

    @pytest.mark.parametrize("gpu_type", TYPES)
    def test_run_times(self, tasks, gpu_type):
        """Distance at most 0.05, and what sampling adds to that."""
        runs = tasks.filter((pl.col("status") == "Terminated") & (pl.col("gpu_type") == gpu_type))["run_s"].drop_nulls()
        limit = 0.05 + 1 / len(runs) ** 0.5
        assert worst_distance(runs, reference.quantiles()["task_runtime_mean_of_instances", gpu_type]) <= limit

    def test_run_times_of_all(self, tasks):
        """The same over every task."""
        points = reference.quantiles()["task_runtime_mean_of_instances", "all tasks with timed instances"]
        assert worst_distance(tasks.filter(pl.col("status") == "Terminated")["run_s"].drop_nulls(), points) <= 0.05

    def test_short_runs_end_at_a_poll(self, fleet):
        """Short run times cluster one to three seconds after each ten."""
        both = fleet.instance_table.filter(pl.col("status") == "Terminated")
        runs = (both["end_time"] - both["start_time"]).to_numpy()
        last_digit = runs[(runs >= 10) & (runs < 100)] % 10
        assert (last_digit <= 4).mean() > 0.75

    @pytest.mark.parametrize("gpu_type", TYPES)
    def test_waits_by_type(self, tasks, gpu_type):
        """Distance at most 0.05, and what sampling adds to that."""
        waits = tasks.filter((pl.col("gpu_type") == gpu_type) & pl.col("plan_gpu").is_not_null())["wait_s"].drop_nulls()
        limit = 0.05 + 1 / len(waits) ** 0.5
        assert worst_distance(waits, reference.quantiles()["task_wait_time", gpu_type]) <= limit

    @pytest.mark.parametrize("share", reference.SHARE_CLASSES)
    def test_waits_by_share(self, tasks, share):
        """Distance at most 0.05; the figures by type and by share contradict each other by as much in the smallest class."""
        low, high = {
            "plan_gpu<25": (0, 25),
            "25<=plan_gpu<50": (25, 50),
            "50<=plan_gpu<100": (50, 100),
            "plan_gpu=100": (100, 101),
            "plan_gpu>100": (101, 9_999),
        }[share]
        waits = tasks.filter((pl.col("plan_gpu") >= low) & (pl.col("plan_gpu") < high))["wait_s"].drop_nulls()
        assert worst_distance(waits, reference.quantiles()["task_wait_time", share]) <= 0.05 + 0.02 * (
            share == "plan_gpu>100"
        )

    def test_strong_cards_are_waited_for(self, tasks):
        """D5.4: V100 waits a minute and a half in the middle, T4 seconds."""
        middle = dict(tasks.group_by("gpu_type").agg(pl.col("wait_s").median()).iter_rows())
        assert middle["T4"] <= 4
        assert 8 <= middle["MISC"] <= 12
        assert middle["V100"] > 60

    def test_hours_of_the_day(self, fleet):
        """Local hours (UTC+8) have the published medians: peaks at ten, fifteen and midnight, a trough at three."""
        started = fleet.job_table["start_time"].drop_nulls().to_numpy() + 8 * 3_600
        day, hour = started // 86_400, (started % 86_400 // 3_600).astype(int)
        counts = np.array([[((day == one) & (hour == h)).sum() for h in range(24)] for one in np.unique(day)])
        found, expected = counts.mean(axis=0), reference.median_tasks_by_hour()
        found, expected = found / found.mean(), expected / expected.mean()
        assert np.corrcoef(found, expected)[0, 1] > 0.95
        assert np.abs(found - expected).max() < 0.2
        assert 3 == int(found.argmin())

    def test_quartiles_of_the_hours(self):
        """Over the days, each hour's quartiles stand to its median as published: growth and weekends pull them apart; a fifth."""
        published = reference.quantiles()
        quartiles = np.array(
            [[dict(published["tasks_submitted_per_hour", f"{hour:02d}"])[q] for hour in range(24)] for q in QUARTILES]
        )
        expected = quartiles / quartiles[1]
        # Over several seeds: a quartile of 62 days stands on one of them
        hourly = [arrival_weights(Window(DAYS), Dice(SEED + number)).reshape(DAYS, 24) for number in range(8)]
        found = np.mean([np.quantile(one, QUARTILES, axis=0) for one in hourly], axis=0)
        found = found / found[1]
        assert found == pytest.approx(expected, rel=0.2)
        by_day, by_night = ((found / expected)[0, hours].mean() for hours in (slice(9, 22), [*range(9), 22, 23]))
        assert (1.0, 1.0) == pytest.approx((by_day, by_night), abs=0.05)

    def test_no_task_fills_its_type_for_days(self, fleet):
        """No task takes a larger share of its GPU type than the largest real one could: 400 GPUs for the 98th percentile.

        A seventh more for retries, for gangs that end apart, and for the P100 machines with more GPUs than they list.
        """
        rows = fleet.instance_table.select("job_name", "task_name").with_row_index("instance_row", offset=1)
        held = fleet.truth.instances.filter(pl.col("held_mgpu") > 0).join(
            rows.with_columns(pl.col("instance_row").cast(pl.Int64)), on="instance_row"
        )
        gpu_s = (pl.col("end_s") - pl.col("start_s")) * pl.col("held_mgpu") / 1_000
        by_task = (
            held.join(fleet.machine_spec, on="machine").group_by("job_name", "task_name", "gpu_type").agg(gpu_s.sum())
        )
        most = dict(by_task.group_by("gpu_type").agg(pl.col("end_s").max()).iter_rows())
        gpus = dict(fleet.machine_spec.group_by("gpu_type").agg(pl.col("cap_gpu").sum()).iter_rows())
        for gpu_type in TYPES:
            p98_s = dict(reference.quantiles()["task_runtime_mean_of_instances", gpu_type])[0.98]
            largest = 400 * p98_s / reference.gpus_of_type(gpu_type)
            assert most[gpu_type] / gpus[gpu_type] <= 8 / 7 * largest, gpu_type

    def test_the_load_grows(self, fleet):
        """Jobs arrive as they did: 9 % in the first fifth of the span, 30 % in the last; two points."""
        submitted = np.sort(fleet.truth.jobs["submitted_s"].to_numpy())
        for share, arrived in reference.ARRIVALS:
            before = np.searchsorted(submitted, START_S + share * DAYS * 86_400) / len(submitted)
            assert arrived / 1_055_501 == pytest.approx(before, abs=0.02)

    def test_weekends_are_quiet(self, fleet):
        """1970-01-01 was a Thursday, so weekdays can be told on the offset clock."""
        local = (fleet.job_table["start_time"].drop_nulls().to_numpy() + 8 * 3_600) // 86_400
        weekday = (local + 3) % 7
        per_day = np.array([(weekday == one).sum() / len(np.unique(local[weekday == one])) for one in range(7)])
        assert per_day[5:].max() < 0.9 * per_day[:5].min()


class TestPeople:
    """D5.3 and D5.4: who submits, what repeats, what fails."""

    def test_few_users_own_most(self, fleet):
        """Tasks per user at the published quantiles, within a third (71 users); the top twentieth owns 77 % of instances."""
        owned = fleet.task_table.join(fleet.job_table.select("job_name", "user"), on="job_name")
        per_user = owned.group_by("user").agg(pl.len(), pl.col("inst_num").sum())
        assert 65 <= per_user.height <= 77
        points = dict(reference.tasks_per_user())
        for share in (0.25, 0.5, 0.75, 0.9):
            assert points[share] == pytest.approx(per_user["len"].quantile(share), rel=0.35), share
        top = per_user["inst_num"].sort(descending=True)
        assert 0.77 == pytest.approx(top[: len(top) // 20].sum() / top.sum(), abs=0.12)

    def test_tasks_recur(self, fleet, grouped):
        """65 % of tasks belong to groups of five or more; six points, since few groups carry much."""
        of_task = fleet.task_table.join(grouped.select("job_name", "members", "group"), on="job_name")
        recurring = of_task.filter(pl.col("group").is_not_null())["members"] >= 5
        assert 0.65 == pytest.approx(recurring.mean(), abs=0.06)

    def test_jobs_of_a_group_are_alike(self, fleet, grouped):
        """Recurring jobs ask for the same: else a group would mean nothing."""
        of_task = fleet.task_table.join(grouped.select("job_name", "members", "group"), on="job_name")
        big = of_task.filter(
            (pl.col("members") >= 10) & pl.col("plan_gpu").is_not_null() & pl.col("group").is_not_null()
        )
        modes = (
            big.group_by("group", "gpu_type", "plan_gpu")
            .len()
            .group_by("group")
            .agg(pl.col("len").max(), pl.col("len").sum().alias("all"))
        )
        assert modes["len"].sum() / modes["all"].sum() > 0.7

    def test_failures_gather_in_repeated_groups(self, grouped):
        """52.6 % of failed jobs belong to groups submitted fifty times; three points (some jobs show no group)."""
        failed = grouped.filter((pl.col("status") == "Failed") & pl.col("group").is_not_null())
        assert 0.526 == pytest.approx((failed["members"] >= 50).mean(), abs=0.03)

    def test_failures_gather_in_the_last_quarter(self, grouped):
        """Failed 2.16 times as often as before; within a fifth."""
        early, late = (
            grouped.filter((pl.col("late") == one) & pl.col("start_time").is_not_null())["status"].eq("Failed").mean()
            for one in (False, True)
        )
        assert 43.4 / 20.1 == pytest.approx(late / early, rel=0.2)

    def test_gpu_tasks_fail_and_cpu_tasks_do_not(self, fleet):
        """24.4 % against 1.8 %; half a point."""
        rate = fleet.task_table.group_by(pl.col("plan_gpu").is_null().alias("cpu")).agg(
            pl.col("status").eq("Failed").mean()
        )
        found = dict(rate.iter_rows())
        assert 0.244 == pytest.approx(found[False], abs=0.005)
        assert 0.018 == pytest.approx(found[True], abs=0.005)

    def test_failed_work_is_short(self, fleet):
        """Median 220 s against 663 s, in the truth: the trace shows few ends of failed jobs."""
        told = fleet.truth.jobs.join(fleet.job_table.select("job_name", "status"), on="job_name")
        middle = dict(told.group_by("status").agg(pl.col("run_s").median()).iter_rows())
        assert 0.2 < middle["Failed"] / middle["Terminated"] < 0.55

    def test_workload_tags(self, fleet):
        """Filled in 9.78 % of the group rows; one point."""
        assert 0.0978 == pytest.approx(fleet.group_tag_table["workload"].is_not_null().mean(), abs=0.01)


class TestOddities:
    """D5.5: everything a pipeline must survive is there, at its real rate."""

    def test_times_shown_by_status(self, fleet):
        """Terminated shows both times, Interrupted its end, Waiting none; Failed and Running as counted in real rows."""
        shape = fleet.instance_table.with_columns(
            start=pl.col("start_time").is_not_null(), end=pl.col("end_time").is_not_null()
        )
        counted = {
            (status, start, end): rows
            for status, start, end, rows in shape.group_by("status", "start", "end").len().iter_rows()
        }
        total = dict(fleet.instance_table["status"].value_counts().iter_rows())
        assert {("Terminated", True, True)} == {key for key in counted if key[0] == "Terminated"}
        assert {("Interrupted", False, True)} == {key for key in counted if key[0] == "Interrupted"}
        assert {("Waiting", False, False)} == {key for key in counted if key[0] == "Waiting"}
        for status, start, end, of, expected in (
            ("Failed", True, False, 2_405, 1_839),
            ("Failed", False, True, 2_405, 565),
            ("Running", True, False, 2_485, 718),
            ("Running", False, False, 2_485, 1_767),
        ):
            assert expected / of == pytest.approx(counted[status, start, end] / total[status], abs=0.005)

    def test_waiting_instances_have_no_worker_and_no_machine(self, fleet):
        """And nothing else lacks them."""
        waiting = fleet.instance_table["status"] == "Waiting"
        assert (waiting == fleet.instance_table["worker_name"].is_null()).all()
        assert (waiting == fleet.instance_table["machine"].is_null()).all()
        assert waiting.any()

    def test_every_status_is_common(self, fleet):
        """Shares of the statuses near those of the real rows, which are no random sample: within half or double."""
        share = dict(fleet.instance_table["status"].value_counts(normalize=True).iter_rows())
        for status, real_rows in (
            ("Terminated", 17_504),
            ("Failed", 2_405),
            ("Running", 2_485),
            ("Interrupted", 2_169),
        ):
            assert 0.5 < share[status] / (real_rows / 25_541) < 2, status

    def test_the_instance_id_is_the_jobs(self, fleet):
        """Joining instances on inst_id multiplies rows, as in the real trace; rows of one job are contiguous."""
        pairs = fleet.instance_table.select("job_name", "inst_id").unique()
        assert pairs.height == pairs["job_name"].n_unique()
        joined = pairs.join(fleet.job_table.select("job_name", "inst_id"), on=["job_name", "inst_id"])
        assert pairs.height == joined.height == fleet.job_table.height
        assert pairs.height == fleet.instance_table["job_name"].rle_id().n_unique()

    def test_task_and_job_start_together(self, fleet):
        """start_time of a job is its submission, and equals its tasks'."""
        both = fleet.task_table.join(fleet.job_table, on="job_name", suffix="_of_job").drop_nulls(
            ["start_time", "start_time_of_job"]
        )
        assert (both["start_time"] == both["start_time_of_job"]).all()

    def test_shared_worker_names(self, fleet):
        """0.24 % of rows share a worker_name with another row, on the same machine; a fifth."""
        shared = fleet.instance_table.filter(
            pl.col("worker_name").is_not_null() & pl.col("worker_name").is_duplicated()
        )
        assert 61 / 25_541 == pytest.approx(shared.height / fleet.instance_table.height, rel=0.2)
        assert 1 == shared.group_by("worker_name").agg(pl.col("machine").n_unique())["machine"].max()

    def test_rows_without_length(self, fleet):
        """7 of 25,541 real rows end in the second in which they start, none earlier; a tenth, for those that come to wait."""
        length = (fleet.instance_table["end_time"] - fleet.instance_table["start_time"]).drop_nulls()
        assert 7 / 25_541 * fleet.instance_table.height == pytest.approx((length == 0).sum(), rel=0.1)
        assert 0 == length.min()

    def test_no_time_lies_outside_the_window(self, fleet):
        """A record after the last day would make days of nothing."""
        for table in (fleet.job_table, fleet.task_table, fleet.instance_table, fleet.machine_metric):
            assert table["start_time"].min() >= START_S
            assert table["end_time"].max() <= START_S + DAYS * 86_400
        assert fleet.truth.jobs["submitted_s"].is_between(START_S, START_S + DAYS * 86_400, closed="left").all()

    def test_every_published_role_is_there(self, fleet):
        """The 17 task names that are published, of the 24 that the real table has."""
        known = "worker tensorflow ps PyTorchWorker DecoderWorker xComputeWorker evaluator TensorboardTask MWorker JupyterTask"
        known += " ReduceTask chief OpenmpiWorker OpenmpiTracker OssToVolumeWorker TVMTuneMain LeadingWorker"
        assert set(known.split()) == set(fleet.task_table["task_name"])

    def test_retries(self, fleet):
        """D5.6: about 3 % of instances were tried again, under another worker name, up to twelve times."""
        tries = fleet.instance_table.group_by("job_name", "inst_name").agg(pl.len(), pl.col("worker_name").n_unique())
        assert 0.031 == pytest.approx((tries["len"] > 1).mean(), abs=0.004)
        assert 12 == tries["len"].max()

    def test_rows_per_job_have_a_heavy_tail(self, fleet):
        """D5.6: the real rows have p90 13, p99 69, most 224 in a sample a twelfth of this size."""
        rows = fleet.instance_table.group_by("job_name").len()["len"]
        assert 1 == rows.median()
        assert 13 == pytest.approx(rows.quantile(0.9), rel=0.35)
        assert 69 == pytest.approx(rows.quantile(0.99), rel=0.6)
        assert rows.max() > 224

    def test_instances_sit_in_large_tasks(self, fleet):
        """Shares of instances in tasks of at least n; three points."""
        sizes = fleet.task_table["inst_num"].to_numpy()
        for size, share in ((8, 0.82), (20, 0.65), (40, 0.48), (64, 0.30)):
            assert share == pytest.approx(sizes[sizes >= size].sum() / sizes.sum(), abs=0.03), size

    def test_unknown_machines_and_unknown_jobs(self, fleet):
        """Nine sensor rows and 1,061 group rows of the real trace lead nowhere; here as many by scale, at least one."""
        strange = fleet.sensor_table.join(fleet.machine_spec, on="machine", how="anti")
        assert max(1, round(9 * SCALE)) == strange.height
        lost = fleet.group_tag_table.join(fleet.job_table, on="inst_id", how="anti")
        assert round(1_061 * SCALE) == lost.height
        assert 0 == fleet.task_table.join(fleet.job_table, on="job_name", how="anti").height

    def test_sensor_gaps(self, fleet):
        """5,829 and 1,217 of three million rows miss cpu_usage and avg_mem; half, at this size."""
        nulls = fleet.sensor_table.null_count().row(0, named=True)
        assert 5_829 * SCALE == pytest.approx(nulls["cpu_usage"], rel=0.25)
        assert 1_217 * SCALE == pytest.approx(nulls["avg_mem"], rel=0.5)
        assert nulls["read"] == nulls["write_count"] <= 2

    def test_metric_gaps(self, fleet):
        """1.2 % miss the network column, 2.1 % the number of workers; a quarter of a point."""
        assert 0.012 == pytest.approx(fleet.machine_metric["machine_net_receive"].is_null().mean(), abs=0.0025)
        assert 0.021 == pytest.approx(fleet.machine_metric["machine_num_worker"].is_null().mean(), abs=0.0025)

    def test_over_a_hundred_per_gpu_only_on_p100(self, fleet):
        """About 0.2 % of real rows, all on P100 machines that have more GPUs than they list; between a quarter and four times."""
        rows = fleet.machine_metric.join(fleet.machine_spec, on="machine").filter(pl.col("cap_gpu") > 0)
        over = rows.filter(pl.col("machine_gpu") > 100 * pl.col("cap_gpu"))
        assert {"P100"} == set(over["gpu_type"])
        assert 10 / 4_500 / 4 < over.height / rows.height < 10 / 4_500 * 4

    def test_all_strange_types_are_there(self, fleet):
        """MISC and CPU are types; an empty asked type means any."""
        assert {*TYPES, "CPU"} == set(fleet.task_table["gpu_type"].drop_nulls())
        assert fleet.group_tag_table["gpu_type_spec"].is_null().mean() > 0.5
        assert 0 < fleet.group_tag_table["group"].is_null().mean() < 0.05


class TestUse:
    """D5.4: what is used is far less than what is asked, and the two measurement tables agree."""

    def test_sensor_distribution(self, fleet):
        """Median 1.5, a third exactly zero, three quarters under ten, a twentieth over fifty; one point.

        Mean 10.5; up to 1.5 are lost where a draw exceeds what was asked.
        """
        use = fleet.sensor_table["gpu_wrk_util"].drop_nulls()
        assert 10.5 == pytest.approx(use.mean(), abs=1.5)
        assert 1.5 == pytest.approx(use.median(), abs=0.1)
        for expected, found in ((0.345, use == 0), (0.754, use < 10), (0.05, use >= 50)):
            assert expected == pytest.approx(found.mean(), abs=0.01)

    def test_use_stays_below_the_request(self, fleet):
        """In 97.9 % of rows for GPUs (a fifth of a point), in 74 to 92 % for cores, in 92 to 99 % for memory."""
        asked = fleet.task_table.select("job_name", "task_name", "plan_gpu", "plan_cpu", "plan_mem")
        rows = fleet.sensor_table.join(asked, on=["job_name", "task_name"]).filter(pl.col("plan_gpu").is_not_null())
        assert 0.979 == pytest.approx((rows["gpu_wrk_util"] < rows["plan_gpu"]).mean(), abs=0.002)
        assert 0.74 < (rows["cpu_usage"] < rows["plan_cpu"]).mean() < 0.92
        assert 0.92 < (rows["avg_mem"] < rows["plan_mem"]).mean() < 0.99

    def test_the_parts_of_the_cpu_add_up(self, fleet):
        """machine_cpu = usr + kernel + iowait, as in the real rows."""
        metric = fleet.machine_metric
        total = metric["machine_cpu_usr"] + metric["machine_cpu_kernel"] + metric["machine_cpu_iowait"]
        assert (total - metric["machine_cpu"]).abs().max() < 1e-9
        assert metric["machine_cpu"].max() <= 100

    def test_a_machine_uses_at_least_what_its_worker_uses(self, fleet):
        """A worker's own mean is part of its machine's mean over the same span."""
        both = fleet.machine_metric.join(fleet.sensor_table, on="worker_name").drop_nulls("gpu_wrk_util")
        assert both.height > 10_000
        assert (both["gpu_wrk_util"] - both["machine_gpu"]).max() < 1e-6

    def test_the_middle_of_the_machines(self, fleet):
        """Machine use per GPU has medians around the real rows' 21 to 45; workers present are counted in fractions."""
        rows = fleet.machine_metric.join(fleet.machine_spec, on="machine").filter(pl.col("cap_gpu") > 0)
        middle = rows.group_by("gpu_type").agg((pl.col("machine_gpu") / pl.col("cap_gpu")).median()).iter_rows()
        assert all(2 < median < 60 for _, median in middle)
        workers = rows["machine_num_worker"].drop_nulls()
        assert 3 < workers.median() < 16
        assert (workers % 1 != 0).mean() > 0.3


class TestTruth:
    """The truth is the simulated fleet, whichever way it is added up."""

    def test_no_gpu_is_ever_overfull(self, fleet):
        """Sweep over every GPU's instances: what is held never exceeds 100 %."""
        held = fleet.truth.instances.filter(pl.col("held_mgpu") > 0)
        held = held.filter(pl.col("end_s") > pl.col("start_s"))
        gpus = held.select(
            "machine",
            pl.int_ranges("first_gpu", pl.col("first_gpu") + pl.col("gpu_count")).alias("gpu"),
            (pl.col("held_mgpu") // pl.col("gpu_count")).alias("share"),
            "start_s",
            "end_s",
        ).explode("gpu")
        steps = (
            pl.concat(
                [
                    gpus.select("machine", "gpu", pl.col("start_s").alias("at"), pl.col("share").alias("step")),
                    gpus.select("machine", "gpu", pl.col("end_s").alias("at"), (-pl.col("share")).alias("step")),
                ]
            )
            .group_by("machine", "gpu", "at")
            .agg(pl.col("step").sum())
        )
        levels = steps.sort("machine", "gpu", "at").with_columns(
            pl.col("step").cum_sum().over("machine", "gpu").alias("level")
        )
        assert levels["level"].max() <= 1_000
        assert 0 == levels["level"].min()
        listed = dict(fleet.machine_spec.select("machine", "cap_gpu").iter_rows())
        types = dict(fleet.machine_spec.select("machine", "gpu_type").iter_rows())
        beyond = {
            machine for machine, gpu in gpus.select("machine", "gpu").unique().iter_rows() if gpu >= listed[machine]
        }
        assert {"P100"} == {types[machine] for machine in beyond}

    def test_every_sum_is_the_same(self, fleet):
        """Per job, per user and day, per machine and hour, per day: one allocated total, to the last integer."""
        truth = fleet.truth
        held = truth.jobs["allocated_mgpu_s"].sum()
        assert held == truth.user_days["allocated_mgpu_s"].sum() == truth.machine_hours["allocated_mgpu_s"].sum()
        used = truth.jobs["active_mgpu_s"].sum()
        assert used == pytest.approx(truth.user_days["active_mgpu_s"].sum(), rel=1e-7)
        assert used == pytest.approx(truth.machine_hours["active_mgpu_s"].sum(), rel=1e-7)
        for table in (truth.jobs, truth.user_days, truth.machine_hours):
            assert (table["allocated_mgpu_s"] == table["active_mgpu_s"] + table["idle_mgpu_s"]).all()
            assert table["idle_mgpu_s"].min() >= 0

    def test_what_the_trace_shows_is_true(self, fleet):
        """Times of Terminated instances are the placements; the wait and the end of a Terminated job are the truth's."""
        rows = fleet.instance_table.with_row_index("instance_row", offset=1).with_columns(
            pl.col("instance_row").cast(pl.Int64)
        )
        both = rows.join(fleet.truth.instances, on="instance_row", suffix="_true")
        for shown, true in (("start_time", "start_s"), ("end_time", "end_s"), ("machine", "machine_true")):
            known = both.drop_nulls(shown)
            assert (known[shown] == known[true]).all(), shown
        jobs = fleet.truth.jobs.join(fleet.job_table, on="job_name")
        done = jobs.filter(pl.col("status") == "Terminated")
        assert (done["end_time"] == done["ended_s"]).all()
        assert (done["start_time"] == done["submitted_s"]).all()
        assert (jobs["wait_s"].drop_nulls() >= 0).all()
        waiting = jobs.filter(pl.col("status") == "Waiting")
        assert waiting["started_s"].null_count() == waiting.height

    def test_metric_windows_cover_what_the_truth_says(self, fleet):
        """Covered machine-seconds, recounted second by second from the metric table for a few machines."""
        for machine in fleet.machine_spec["machine"].to_list()[::19]:
            seen = np.zeros(DAYS * 86_400, dtype=bool)
            for start, end in (
                fleet.machine_metric.filter(pl.col("machine") == machine).select("start_time", "end_time").iter_rows()
            ):
                seen[int(start) - START_S : int(end) - START_S] = True
            told = fleet.truth.machine_hours.filter(pl.col("machine") == machine).sort("hour_start_s")["covered_s"]
            assert np.array_equal(seen.reshape(-1, 3_600).sum(axis=1), told.to_numpy())

    def test_days_close(self, fleet):
        """Capacity of every day is the listed GPUs times its seconds; coverage is a share of it."""
        days = fleet.truth.days
        assert {fleet.summary.gpus * 86_400} == set(days["capacity_gpu_s"])
        assert days["coverage_ratio"].is_between(0, 1).all()
        assert DAYS == days.height
        assert "1970-01-06" == str(days["dt"][0])

    def test_the_naive_mean_misses_and_the_right_one_does_not(self, fleet):
        """Mean over covering windows, second by second and by GPU: within 0.016 of the truth where days vary by 0.03 or more."""
        rows = fleet.machine_metric.join(fleet.machine_spec, on="machine").filter(pl.col("cap_gpu") > 0)
        truth = fleet.truth.days["avg_gpu_util_covered"].to_numpy() / 100
        right = _mean_over_windows(rows)
        assert np.sqrt(np.mean((right - truth) ** 2)) < 0.016
        assert truth.std() > 0.03
        by_end = (
            rows.group_by(((pl.col("end_time") - START_S) // 86_400).alias("day"))
            .agg(pl.col("machine_gpu").mean())
            .sort("day")
        )
        assert np.sqrt(np.mean((by_end["machine_gpu"].to_numpy() / 100 - truth) ** 2)) > 0.14


def _mean_over_windows(rows):
    """Each machine-second once, as the plain mean of the windows that cover it; days weighted by GPU-seconds."""
    used, covered = np.zeros(DAYS), np.zeros(DAYS)
    for _, machine in rows.group_by("machine"):
        start, end = (machine[name].to_numpy().astype(int) - START_S for name in ("start_time", "end_time"))
        value = machine["machine_gpu"].to_numpy()
        days = np.arange(DAYS + 1) * 86_400
        at = np.concatenate((start, end, days))
        order = np.argsort(at, kind="stable")
        windows = np.cumsum(np.concatenate((np.ones(len(start)), -np.ones(len(end)), days * 0))[order])[:-1]
        total = np.cumsum(np.concatenate((value, -value, days * 0))[order])[:-1]
        seconds, day = np.diff(at[order]), at[order][:-1] // 86_400
        on = (windows > 0.5) & (seconds > 0)
        used += np.bincount(day[on], weights=total[on] / windows[on] * seconds[on], minlength=DAYS)
        covered += np.bincount(day[on], weights=seconds[on] * machine["cap_gpu"][0], minlength=DAYS)
    return used / covered / 100


class TestSecondBySecond:
    """The integrals equal a slow loop over seconds."""

    WINDOW = Window(1)
    SPANS = (
        (0, 100, 4_000, 50, 20.0, 0.0),
        (0, 3_600, 7_200, 25, 10.0, 0.0),
        (1, 50, 86_400, 100, 90.0, 0.0),
        (0, 7_000, 7_001, 25, 0.0, 40.0),
    )
    """(machine, start, end, plan_gpu, swinging use, steady use) of four instances; the last uses more than it asked for."""

    def world(self):
        machine, start, end, plan, swinging, steady = (np.array(column) for column in zip(*self.SPANS, strict=True))
        number = len(machine)
        zero = np.zeros(number, dtype=np.int64)
        rows = Rows(
            task=np.arange(number),
            instance=np.arange(number),
            opens_task=zero == 0,
            status=zero,
            wish_s=start,
            run_s=end - start,
            start_s=(start + START_S).astype(np.int32),
            end_s=(end + START_S).astype(np.int32),
            machine=machine.astype(np.int16),
            first_gpu=zero,
        )
        factor = np.random.default_rng(1).random((2, 24))
        integral = np.concatenate((np.zeros((2, 1)), np.cumsum(factor * 3_600, axis=1)), axis=1)
        whole = (steady * PER_PERCENT).astype(np.int64)
        usage = Usage(
            (swinging * PER_PERCENT).astype(np.int64),
            whole,
            np.minimum(whole, plan * PER_PERCENT),
            np.full(number, 200.0),
        )
        machines = Machines(*(np.array(column) for column in ([1, 0], [96, 96], [512, 512], [8, 2], [8, 2])))
        hosts = Host(np.array([10.0, 5.0]), np.array([0.2, 0.3]), np.array([0.003, 0.004]))
        return SimpleNamespace(
            rows=rows,
            usage=usage,
            machines=machines,
            hosts=hosts,
            plan=plan,
            activity=Activity(self.WINDOW, factor, integral),
        )

    def test_hours_and_means(self):
        """Allocated, active, used and covered per machine-hour, and the mean over each observed span."""
        world = self.world()
        observed = np.array([True, False, True, True])
        seconds = 86_400
        held, used, active, seen = (np.zeros((2, seconds)) for _ in range(4))
        for number, (machine, start, end, plan, swinging, steady) in enumerate(self.SPANS):
            for at in range(start, end):
                use = swinging * world.activity.factor[machine, at // 3_600] + steady
                held[machine, at] += plan * 10
                used[machine, at] += use
                active[machine, at] += min(use, plan) * 10
                seen[machine, at] += observed[number]
        tasks = SimpleNamespace(plan_gpu=world.plan)
        [(hours, means)] = sweep(
            world.rows,
            tasks,
            world.usage,
            observed,
            machines=world.machines,
            hosts=world.hosts,
            activity=world.activity,
        )

        def by_hour(values):
            return values.reshape(2, 24, 3_600).sum(axis=2).ravel()

        assert np.array_equal(by_hour(held), hours.allocated_mgpu_s)
        assert np.array_equal(by_hour(seen > 0), hours.covered_s)
        assert by_hour(active) == pytest.approx(hours.active_mgpu_s, abs=0.5)
        assert by_hour(used) == pytest.approx(hours.gpu_pct_s, rel=1e-9)
        assert by_hour(used * (seen > 0)) == pytest.approx(hours.covered_gpu_pct_s, rel=1e-9)
        for row, mean in zip(means.row, means.gpu_pct, strict=True):
            machine, start, end = self.SPANS[row][:3]
            assert used[machine, start:end].mean() == pytest.approx(mean, rel=1e-9)

    def test_a_whole_tiny_fleet(self, tmp_path):
        """Allocated seconds of every machine-hour of a simulated fleet, recounted from its placements."""
        simulate(tmp_path, scale=0.001, days=2, seed=8)
        instances = pl.read_parquet(tmp_path / "truth" / "instances.parquet")
        hours = pl.read_parquet(tmp_path / "truth" / "machine_hours.parquet")
        for (machine,), placed in instances.group_by("machine"):
            held = np.zeros(2 * 86_400, dtype=np.int64)
            for start, end, share in placed.select("start_s", "end_s", "held_mgpu").iter_rows():
                held[start - START_S : end - START_S] += share
            told = hours.filter(pl.col("machine") == machine).sort("hour_start_s")["allocated_mgpu_s"].to_numpy()
            assert np.array_equal(held.reshape(-1, 3_600).sum(axis=1), told)


class TestFaults:
    """Injected faults stand in the truth with their hours, and show in the data."""

    @pytest.fixture(scope="class")
    def faulty(self, tmp_path_factory):
        out = tmp_path_factory.mktemp("faulty")
        simulate(out, scale=0.02, days=28, seed=4, faults=True)
        truth = {path.stem: pl.read_parquet(path) for path in (out / "truth").glob("*.parquet")}
        return SimpleNamespace(job_table=read(out, "pai_job_table"), **truth)

    def test_low_days_stand_out(self, faulty):
        """On a day of low use the whole fleet does less than half of what the days around it do."""
        days = faulty.days["avg_gpu_util"].to_numpy()
        low = faulty.faults.filter(pl.col("kind") == "fleet_low_use")
        assert 2 == low.height
        for start, end in low.select("start_s", "end_s").iter_rows():
            day = (start - START_S) // 86_400
            assert 86_400 == end - start
            assert days[day] < 0.65 * np.median(days[max(0, day - 4) : day + 5])

    def test_dead_machines_do_nothing(self, faulty):
        """A machine with a fault reports no use in its hours, whatever it has allocated."""
        dead = faulty.faults.filter(pl.col("kind") == "machine_zero_use")
        assert dead.height >= 3
        for machine, start, end in dead.select("machine", "start_s", "end_s").iter_rows():
            inside = (pl.col("machine") == machine) & pl.col("hour_start_s").is_between(start, end, closed="left")
            assert 0.0 == faulty.machine_hours.filter(inside)["gpu_pct_s"].sum()

    def test_a_burst_is_one_users(self, faulty):
        """One user's hundreds of jobs within five hours."""
        user, start, end, jobs = (
            faulty.faults.filter(pl.col("kind") == "user_burst").select("user", "start_s", "end_s", "magnitude").row(0)
        )
        assert end - start <= 5 * 3_600
        assert jobs >= 30
        mine = faulty.jobs.filter((pl.col("user") == user) & (pl.col("submitted_s") >= start))
        assert mine.height >= jobs

    def test_a_burst_shows_in_the_raw_table(self, faulty):
        """In those hours half more jobs start than in the same hours of any of the three days before and after, most of them his."""
        user, start, end = (
            faulty.faults.filter(pl.col("kind") == "user_burst").select("user", "start_s", "end_s").row(0)
        )

        def begun(day):
            inside = pl.col("start_time").is_between(start + day * 86_400, end + day * 86_400, closed="left")
            return faulty.job_table.filter(inside)

        around = [begun(day).height for day in (-3, -2, -1, 1, 2, 3)]
        assert begun(0).height > 1.5 * max(around)
        assert (begun(0)["user"] == user).mean() > 0.5

    def test_a_healthy_fleet_has_none(self, fleet):
        """Without the option nothing is injected."""
        assert 0 == fleet.truth.faults.height


class TestManyFaults:
    """Two dozen faults for back-tests: each is where the truth says, and as strong."""

    DAYS = 40

    @pytest.fixture(scope="class")
    def faulty(self, tmp_path_factory):
        out = tmp_path_factory.mktemp("many")
        summary = simulate(out, scale=0.02, days=self.DAYS, seed=4, many_faults=True)
        truth = {path.stem: pl.read_parquet(path) for path in (out / "truth").glob("*.parquet")}
        tables = {table.removeprefix("pai_"): read(out, table) for table in COLUMNS}
        return SimpleNamespace(out=out, summary=summary, **tables, **truth)

    @staticmethod
    def of(faulty, kind):
        return faulty.faults.filter(pl.col("kind") == kind).to_dicts()

    def test_they_are_many_of_many_kinds(self, faulty):
        """A matrix of two kinds and three faults says little; faults of the whole fleet never share a day."""
        assert faulty.summary.faults == faulty.faults.height >= 20
        assert faulty.faults["kind"].n_unique() >= 5
        early = faulty.faults.filter(pl.col("start_s") < START_S + 14 * 86_400)
        assert set(early["kind"]) <= {"user_burst", "user_idle_hold"}
        whole = faulty.faults.filter(pl.col("machine").is_null() & pl.col("user").is_null())
        days = (whole["start_s"] - START_S) // 86_400
        assert 12 == days.n_unique() == whole.height
        assert (whole["end_s"] <= START_S + self.DAYS * 86_400).all()

    def test_nothing_runs_in_an_outage(self, faulty):
        """What ran is cut off, what was asked for starts later; before and after, machines are busy."""
        outages = self.of(faulty, "outage")
        assert {6 * 3_600, 86_400} == {fault["end_s"] - fault["start_s"] for fault in outages}
        for start, end in ((fault["start_s"], fault["end_s"]) for fault in outages):
            meets = (pl.col("start_s") < end) & (pl.col("end_s") > start)
            assert 0 == faulty.instances.filter(meets & (pl.col("end_s") > pl.col("start_s"))).height
            held = faulty.machine_hours.group_by("hour_start_s").agg(pl.col("allocated_mgpu_s").sum())
            inside = pl.col("hour_start_s").is_between(start, end, closed="left")
            around = pl.col("hour_start_s").is_between(start - 6 * 3_600, end + 6 * 3_600, closed="left") & ~inside
            assert 0 == held.filter(inside)["allocated_mgpu_s"].sum()
            assert (held.filter(around)["allocated_mgpu_s"] > 0).all()
            shown = faulty.instance_table.filter(pl.col("start_time").is_between(start, end, closed="left"))
            assert 0 == shown.height
            killed = faulty.instances.filter(pl.col("end_s") == start)
            lines = faulty.instance_table[killed["instance_row"].to_numpy() - 1]
            assert killed.height > 10
            assert (lines["status"] == "Failed").mean() > 0.9

    def test_nothing_is_measured_in_a_gap(self, faulty):
        """The fleet works on, and no row of what ran through the gap has a measurement."""
        for start, end in ((fault["start_s"], fault["end_s"]) for fault in self.of(faulty, "telemetry_gap")):
            windows = faulty.machine_metric.filter((pl.col("start_time") < end) & (pl.col("end_time") > start))
            assert 0 == windows.height
            met = faulty.instances.filter((pl.col("start_s") < end) & (pl.col("end_s") > start))
            workers = faulty.instance_table[met["instance_row"].to_numpy() - 1]["worker_name"]
            assert met.height > 100
            assert 0 == faulty.sensor_table.filter(pl.col("worker_name").is_in(workers.drop_nulls().implode())).height

    def test_so_many_jobs_fail(self, faulty):
        """Of what succeeds on other days, a share of the magnitude fails; three standard errors of a day's jobs are allowed."""
        day = (pl.col("start_time") - START_S) // 86_400
        jobs = faulty.job_table.filter(pl.col("start_time").is_not_null()).with_columns(day.alias("day"))
        by_day = jobs.group_by("day").agg((pl.col("status") == "Failed").mean().alias("failed"), pl.len().alias("jobs"))
        usual = by_day["failed"].median()
        for fault in self.of(faulty, "failing_jobs"):
            number = (fault["start_s"] - START_S) // 86_400
            failed, count = by_day.filter(pl.col("day") == number).select("failed", "jobs").row(0)
            expected = usual + (1 - usual) * fault["magnitude"]
            # Days differ by themselves, and a job's submission moves by its queueing.
            assert abs(failed - expected) < 0.1 + 3 * (0.25 / count) ** 0.5

    def test_held_gpus_do_nothing(self, faulty):
        """One job of one user holds so many GPUs for four days; every sensor of it reads 0."""
        holds = self.of(faulty, "user_idle_hold")
        assert [2.0, 4.0, 8.0] == [fault["magnitude"] for fault in holds]
        assert 3 == len({fault["user"] for fault in holds})
        for fault in holds:
            span_s = fault["end_s"] - fault["start_s"]
            inside = (pl.col("user") == fault["user"]) & (pl.col("started_s") == fault["start_s"])
            (job,) = faulty.jobs.filter(inside).filter(pl.col("allocated_mgpu_s") > 86_400_000).to_dicts()
            assert 0 == job["active_mgpu_s"]
            assert span_s > 2 * 86_400
            assert 0.7 * fault["magnitude"] * span_s < job["allocated_mgpu_s"] / 1000 <= fault["magnitude"] * span_s
            sensors = faulty.sensor_table.filter(pl.col("job_name") == job["job_name"])
            assert sensors.height >= fault["magnitude"]
            assert 0.0 == sensors["gpu_wrk_util"].sum()

    def test_machines_do_nothing_or_little(self, faulty):
        """In those hours, and while jobs hold their GPUs; no machine has two faults."""
        for kind, number in (("machine_zero_use", 6), ("machine_low_use", 2)):
            faults = self.of(faulty, kind)
            assert number == len(faults)
            for fault in faults:
                own = faulty.machine_hours.filter(pl.col("machine") == fault["machine"])
                hours = own.filter(pl.col("hour_start_s").is_between(fault["start_s"], fault["end_s"], closed="left"))
                assert hours["allocated_mgpu_s"].sum() > 0
                assert hours["active_mgpu_s"].sum() <= fault["magnitude"] * hours["allocated_mgpu_s"].sum()
        machines = faulty.faults["machine"].drop_nulls()
        assert machines.is_unique().all()

    def test_bursts_are_of_different_users(self, faulty):
        """Three, each smaller than the one before it."""
        bursts = self.of(faulty, "user_burst")
        assert 3 == len({fault["user"] for fault in bursts})
        assert [fault["magnitude"] for fault in bursts] == sorted(
            (fault["magnitude"] for fault in bursts), reverse=True
        )

    def test_the_machines_are_those_of_the_healthy_fleet(self, faulty, tmp_path):
        """Faults befall a fleet; they do not make another one."""
        simulate(tmp_path, scale=0.02, days=1, seed=4)
        assert (faulty.out / "pai_machine_spec.csv").read_bytes() == (tmp_path / "pai_machine_spec.csv").read_bytes()

    def test_the_seed_decides_everything(self, faulty, tmp_path):
        """The same call gives the same bytes."""
        simulate(tmp_path, scale=0.02, days=self.DAYS, seed=4, many_faults=True)
        assert TestSameInputSameBytes.hashes(faulty.out) == TestSameInputSameBytes.hashes(tmp_path)

    def test_too_few_days_are_refused(self, tmp_path):
        """Faults on each other's heels would make a matrix that nobody can read."""
        with pytest.raises(UsageError, match="do not fit into 33 days"):
            simulate(tmp_path / "out", scale=0.01, days=33, seed=1, many_faults=True)
        assert not (tmp_path / "out").exists()


class TestDealing:
    """Shares become rows exactly."""

    def test_parts_sum_to_the_whole(self):
        """Largest remainder: no row is lost to rounding."""
        assert [3, 3, 4] == sorted(apportion(np.array([1.0, 1.0, 1.0]), 10))
        assert [0, 0] == list(apportion(np.array([0.0, 0.0]), 5))

    def test_categories_follow_the_score(self):
        """Neighbouring scores get the same category, in exactly the asked numbers."""
        assert [0, 1, 1, 0] == list(deal(np.array([0.1, 0.9, 0.5, 0.2]), np.array([1.0, 1.0])))

    def test_curves_invert(self):
        """Quantile and share of a curve are each other's inverse."""
        curve = Curve.through(((0.2, 3.0), (0.8, 300.0)), least=1.0, most=1_000.0)
        shares = np.linspace(0.05, 0.95, 7)
        assert shares == pytest.approx(curve.cdf(curve.quantile(shares)))

    def test_tables_meet_their_margins(self):
        """Both margins, when they agree."""
        fitted = fit_table(np.ones((2, 2)), (((0,), np.array([3.0, 1.0])), ((1,), np.array([2.0, 2.0]))))
        assert [3.0, 1.0] == pytest.approx(list(fitted.sum(axis=1)))
        assert [2.0, 2.0] == pytest.approx(list(fitted.sum(axis=0)))
