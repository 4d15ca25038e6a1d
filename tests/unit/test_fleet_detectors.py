"""Machines and GPUs beside their peers: what may not change a verdict, what must be seen, and what stays calm."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from gpulake.detectors import Block, blocks, gpu_peers, machine_peers
from gpulake.detectors.levels import weekly
from gpulake.detectors.machine_rows import fleet_of, rules_of

MACHINE_BLOCK = Block((0, 72), (72, 120), (120, 168))
GPU_BLOCK = Block((0, 60), (60, 96), (96, 132))
DETECTORS = pytest.mark.parametrize("level", ["machine", "gpu"])


def machine_hours(*, machines=12, hours=168, seed=1):
    """Machines whose power, temperature and CPU follow their GPUs, four to a job; every third is idle half of the time."""
    dice = np.random.default_rng(seed)
    machine = np.repeat(np.arange(machines), hours)
    hour = np.tile(np.arange(hours), machines)
    job = machine // 4 * 1000 + hour // 24
    busy = (machine % 3 > 0) | (hour // 12 % 2 == 0)
    of_job = dice.uniform(30, 90, (machines // 4 + 1, hours // 24 + 1))
    util = np.where(busy, of_job[machine // 4, hour // 24] + dice.normal(0, 1.5, len(hour)), 0.0)
    room = 2 * np.sin(hour / 24 * 2 * np.pi)
    power = 300 + 20 * util + dice.normal(0, 15, len(hour))
    return {
        "hour_idx": hour,
        "machine": np.array([f"m{number:02}" for number in machine]),
        "cohort": np.where(machine % 2, "A100", "V100"),
        "gpu_util": util,
        "cpu_util": 5 + 0.4 * util + dice.normal(0, 1, len(hour)),
        "mem": 20 + dice.normal(0, 1, len(hour)),
        "net": np.exp(dice.normal(0, 0.1, len(hour))) * (0.1 + util / 50),
        "power": power,
        "temp": 30 + power / 100 + room + dice.normal(0, 0.3, len(hour)),
        "clock": np.where(busy, 1400 + dice.normal(0, 8, len(hour)), np.nan),
        "alloc": np.where(busy, 8.0, 0.0),
        "gpus_visible": np.full(len(hour), 8.0),
        "n_samples": np.full(len(hour), 240.0),
        "main_job": np.where(busy, job, -1),
    }


def gpu_hours(*, machines=4, hours=132, seed=1):
    """GPUs of one kind, sixteen to a job."""
    dice = np.random.default_rng(seed)
    gpu = np.repeat(np.arange(machines * 8), hours)
    hour = np.tile(np.arange(hours), machines * 8)
    util = dice.uniform(30, 90, (machines, hours // 24 + 1))[gpu // 16, hour // 24] + dice.normal(0, 1.5, len(hour))
    power = 60 + 2.5 * util + dice.normal(0, 3, len(hour))
    return {
        "hour_idx": hour,
        "machine": gpu // 8,
        "gpu": gpu % 8,
        "cohort": np.zeros(len(hour), np.int64),
        "util": util,
        "power": power,
        "temp": 28 + power / 15 + 2 * np.sin(hour / 24 * 2 * np.pi) + dice.normal(0, 0.3, len(hour)),
        "clock": 1400 + dice.normal(0, 8, len(hour)),
        "alloc": np.ones(len(hour), np.bool_),
        "job": gpu // 16 * 100 + hour // 24,
    }


def fleet(level):
    return machine_hours() if level == "machine" else gpu_hours()


def judge(level, columns, schedule=None):
    detector = machine_peers.DETECTOR if level == "machine" else gpu_peers.DETECTOR
    return detector.judge(columns, schedule or [MACHINE_BLOCK if level == "machine" else GPU_BLOCK])


@cache
def judged(level):
    """The verdicts on the fleet as it is; nobody changes them."""
    return judge(level, fleet(level))


def taken(columns, at):
    return {name: values[at] for name, values in columns.items()}


def at_of(columns, machine, hours):
    return np.flatnonzero((columns["machine"] == machine) & np.isin(columns["hour_idx"], hours))


def same(one, other):
    """Every part of two verdicts, row for row."""
    for name in ("score", "flag", "driver", "seen", "expected", "low", "high"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


def parts_of(verdicts, at):
    """Some rows of verdicts, in another order."""
    names = ("score", "flag", "driver", "seen", "expected", "low", "high")
    return replace(verdicts, **{name: getattr(verdicts, name)[at] for name in names})


@DETECTORS
def test_the_order_of_rows_changes_nothing(level):
    """A query without an order would give other alarms on another day."""
    columns = fleet(level)
    order = np.random.default_rng(3).permutation(len(columns["hour_idx"]))

    same(parts_of(judged(level), order), judge(level, taken(columns, order)))


@DETECTORS
def test_rows_twice_change_nothing(level):
    """A landing that repeats rows would count hours double."""
    columns = fleet(level)
    rows = len(columns["hour_idx"])
    twice = np.r_[np.arange(rows), np.arange(0, rows, 3)]

    same(parts_of(judged(level), twice), judge(level, taken(columns, twice)))


@DETECTORS
def test_later_rows_leave_old_verdicts_as_they_were(level):
    """An alarm that was sent would vanish, or another appear in the past."""
    columns = fleet(level)
    whole = MACHINE_BLOCK if level == "machine" else GPU_BLOCK
    until = whole.score[0] + 20
    early = np.flatnonzero(columns["hour_idx"] < until)
    cut = Block(whole.fit, whole.calibrate, (whole.score[0], until))

    same(parts_of(judged(level), early), judge(level, taken(columns, early), [cut]))
    same(parts_of(judged(level), early), judge(level, taken(columns, early)))


@DETECTORS
def test_labels_are_not_read(level):
    """A detector that reads its labels is measured for nothing."""
    columns = fleet(level)
    rows = len(columns["hour_idx"])
    labels = {
        "event_id": np.arange(rows),
        "ignore": np.arange(rows) % 2 == 0,
        "label": np.ones(rows),
        "kind": np.full(rows, "x"),
    }

    same(judged(level), judge(level, columns | labels))


@DETECTORS
def test_a_clean_fleet_stays_quiet(level):
    """People would be called for noise."""
    verdicts = judged(level)

    assert verdicts.flag.mean() < 0.005
    assert np.isfinite(verdicts.score[fleet(level)["hour_idx"] >= 132 - 12 * (level == "gpu")]).all()


def test_a_hot_machine_is_named_with_its_temperature():
    """A fan that fails is not seen in any threshold: it is too hot for this power."""
    columns = machine_hours()
    hot = at_of(columns, "m04", range(130, 142))
    truly = columns["temp"].copy()
    columns["temp"][hot] += 8
    verdicts = judge("machine", columns)

    assert verdicts.flag[hot[2:]].all()
    last = hot[-1]
    assert "m04" == columns["machine"][np.nanargmax(verdicts.score)]
    assert "temp" == verdicts.metrics[verdicts.driver[last]]
    assert verdicts.seen[last] == pytest.approx(columns["temp"][last], abs=1e-4)
    assert abs(verdicts.expected[last] - truly[last]) < 2
    assert verdicts.low[last] < verdicts.expected[last] < verdicts.high[last] < verdicts.seen[last]
    (reason,) = verdicts.reasons([last])
    assert reason.startswith(f"m04: temperature {columns['temp'][last]:.1f} °C, expected ")
    assert " given " in reason
    assert reason.endswith(" h")


def test_a_machine_slower_than_its_mates_is_seen_from_use_alone():
    """Traces with nothing but use still tell a machine that does not follow its job."""
    columns = machine_hours()
    slow = at_of(columns, "m05", range(130, 142))
    for name in ("gpu_util", "net"):
        columns[name][slow] *= 0.5
    columns["cpu_util"][slow] = 5 + (columns["cpu_util"][slow] - 5) * 0.5
    blind = {name: values for name, values in columns.items() if name not in {"power", "temp", "clock", "gpus_visible"}}
    verdicts = judge("machine", blind)

    assert verdicts.flag[slow[3:]].all()
    assert "job-mate" in verdicts.reasons([slow[-1]])[0]


def test_a_lost_gpu_is_an_alarm_at_once_and_over_at_once():
    """A rule needs no second hour."""
    columns = machine_hours()
    lost = at_of(columns, "m07", [140])
    columns["gpus_visible"][lost] = 7
    verdicts = judge("machine", columns)

    assert [True] == verdicts.flag[lost].tolist()
    assert (7, 8) == (verdicts.seen[lost][0], verdicts.expected[lost][0])
    assert ["m07: 7 GPUs visible, expected 8, for 1 h"] == verdicts.reasons(lost)
    assert not verdicts.flag[at_of(columns, "m07", [139, 141])].any()


def test_an_exporter_that_repeats_itself_is_found():
    """A frozen exporter looks like a healthy machine in every figure."""
    columns = machine_hours()
    frozen = at_of(columns, "m02", range(144, 150))
    for name in ("gpu_util", "cpu_util", "mem", "net", "power", "temp"):
        columns[name][frozen] = columns[name][frozen[0]]
    verdicts = judge("machine", columns)

    assert verdicts.flag[frozen[1:]].all()
    assert [1, 2, 3, 4, 5] == verdicts.seen[frozen[1:]].tolist()
    assert {"unchanged_hours"} == {verdicts.metrics[each] for each in verdicts.driver[frozen[1:]]}


def test_zero_use_is_a_fault_only_when_something_contradicts_it():
    """A job that holds idle GPUs is no sick machine: its mates are idle too."""
    columns = machine_hours()
    mates = np.isin(columns["machine"], ["m08", "m09", "m10", "m11"]) & (columns["hour_idx"] >= 72)
    columns["main_job"][mates] = 77
    idle = np.flatnonzero(mates)
    columns["alloc"][idle] = 8.0
    for name, value in (("gpu_util", 0.0), ("cpu_util", 5.0), ("power", 300.0), ("temp", 33.0), ("net", 0.1)):
        columns[name][idle] = value + np.random.default_rng(5).uniform(0, 0.01, len(idle)) * (name != "gpu_util")
    held = judge("machine", columns)
    rules = machine_peers.rules_of(machine_peers.fleet_of(columns))
    stuck = machine_hours()
    at = at_of(stuck, "m09", range(150, 160))
    stuck["gpu_util"][at] = 0.0
    found = judge("machine", stuck)

    assert rules.zero.any()
    assert not rules.was_busy[rules.zero].any()
    assert not np.any(rules.mates_pct[rules.zero] > 5)
    assert "stuck" not in " ".join(held.reasons(idle))
    assert found.flag[at].all()
    assert "stuck at zero while GPUs are allocated" in found.reasons(at[:1])[0]


def test_a_gpu_beside_its_mates():
    """One slow GPU of sixteen holds up the whole job."""
    columns = gpu_hours()
    slow = np.flatnonzero((columns["machine"] == 2) & (columns["gpu"] == 3) & (columns["hour_idx"] >= 110))
    columns["clock"][slow] -= 300
    verdicts = judge("gpu", columns)

    assert verdicts.flag[slow[2:]].all()
    assert "clock" == verdicts.metrics[verdicts.driver[slow[-1]]]
    assert verdicts.reasons([slow[-1]])[0].startswith(
        f"2 GPU 3: clock {columns['clock'][slow[-1]]:.0f} MHz, expected 1"
    )


def test_thin_hours_open_nothing():
    """Three samples of an hour are not an hour, be they ever so strange."""
    columns = machine_hours()
    thin = at_of(columns, "m04", range(130, 140))
    columns["n_samples"][thin] = 3
    columns["temp"][thin] += 20
    columns["gpu_util"][thin] = 0.0
    columns["gpus_visible"][thin] = 6
    verdicts = judge("machine", columns)

    assert not verdicts.flag[thin].any()
    assert not verdicts.is_judged[thin].any()


def test_the_later_blocks_learn_nothing_from_what_was_flagged():
    """A fault that lasts into the weeks learned from would become the normal state."""
    columns = machine_hours(hours=240)
    hot = at_of(columns, "m04", range(130, 240))
    columns["temp"][hot] += 8
    schedule = [MACHINE_BLOCK, Block((0, 120), (120, 168), (168, 240))]
    verdicts = judge("machine", columns, schedule)

    assert verdicts.flag[hot[3:]].all()


@DETECTORS
@pytest.mark.parametrize(
    "change",
    ["one row", "no rows", "constant", "all missing", "unknown allocation", "no mates", "gaps", "new machine"],
)
def test_poor_input_is_calm(level, change):
    """A detector that breaks on one odd machine would leave all others unwatched."""
    columns = fleet(level)
    rows = len(columns["hour_idx"])
    metrics = [name for name in ("gpu_util", "cpu_util", "util", "power", "temp") if name in columns]
    if change in {"one row", "no rows"}:
        columns = taken(columns, np.arange(1 if change == "one row" else 0))
    elif change == "constant":
        columns |= {name: np.full(rows, 5.0) for name in metrics}
    elif change == "all missing":
        columns |= {name: np.full(rows, np.nan) for name in metrics}
    elif change == "unknown allocation":
        columns["alloc"] = np.full(rows, np.nan)
    elif change == "no mates":
        columns["main_job" if level == "machine" else "job"] = np.full(rows, "")
    elif change == "gaps":
        columns = taken(columns, np.flatnonzero(columns["hour_idx"] % 24 > 9))
    else:
        last = columns["machine"] == columns["machine"][-1]
        columns = taken(columns, np.flatnonzero(~last | (columns["hour_idx"] >= 128)))
    verdicts = judge(level, columns)
    at = np.arange(len(columns["hour_idx"]))

    assert verdicts.flag.mean() < 0.01 if len(at) else not len(verdicts.score)
    assert len(at) == len(verdicts.reasons(at))
    assert all(verdicts.reasons(at))
    if change in {"one row", "unknown allocation"}:
        assert np.isnan(verdicts.score).all()
        assert all("not judged" in reason for reason in verdicts.reasons(at))


def test_infinite_and_negative_values_break_nothing():
    """What an exporter writes at a counter's reset is not a number to average."""
    columns = machine_hours()
    columns["net"][::50] = -1
    columns["power"][::70] = np.inf
    columns["temp"][::90] = 1e30

    assert np.isfinite(judge("machine", columns).score[columns["hour_idx"] >= 120]).all()


def test_leave_one_out_medians_are_exact():
    """By hand and by brute force, groups of one and unknown values among them."""
    dice = np.random.default_rng(2)
    group = dice.integers(0, 40, 300)
    values = np.where(dice.random(300) < 0.1, np.nan, dice.integers(0, 9, 300)).astype(float)
    expected = []
    for row in range(300):
        others = [v for i, v in enumerate(values) if i != row and group[i] == group[row] and not np.isnan(v)]
        expected.append(np.nan if np.isnan(values[row]) or not others else np.median(others))

    np.testing.assert_array_equal(expected, blocks.median_of_others(values, group))


def test_ewma_starts_again_after_a_gap():
    """By hand: half-life 1 is half of the way to each value; unknown counts as 0."""
    hour = np.array([0, 1, 7, 14])
    starts = blocks.runs(np.zeros(4, np.int64), hour)

    assert [0, 3] == starts.tolist()
    found = blocks.ewma(np.array([[8.0], [8.0], [np.nan], [8.0]]), starts, half_life=1)
    assert [4, 6, 3, 4] == found[:, 0].tolist()


def test_an_alarm_opens_after_two_hours_and_holds_at_seven_tenths():
    """By hand, with a rule that opens at once, and a run that starts again."""
    statistic = np.array([0, 10, 10, 8, 7, 6.9, 10, 0, 0, 8, 10.0])
    starts = np.array([0, 10])
    rule = np.zeros(11, np.bool_)
    rule[8] = True

    found = blocks.opened(statistic, starts, threshold=10.0, rule=rule)
    assert [0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 0] == found.astype(int).tolist()


def test_alarms_of_many_machines_at_once_do_not_raise_the_threshold():
    """An outage of the cluster in the week that sets the threshold would deafen it for a week."""
    dice = np.random.default_rng(4)
    machine, hour = np.repeat(np.arange(60), 168), np.tile(np.arange(168), 60)
    quiet = dice.gamma(2, 0.2, len(hour))
    outage = np.where((hour >= 50) & (hour < 60) & (machine < 40), 9, quiet)
    calm, after = (
        blocks.threshold_for(statistic, machine, hour, entity_weeks=60, rate=0.01) for statistic in (quiet, outage)
    )

    assert after == pytest.approx(calm, rel=0.1)


def _lake_rows(weeks=4, machines=12):
    """A fleet as a lake shows it: machines by number, with names beside."""
    dice = np.random.default_rng(5)
    hour, machine = (g.ravel() for g in np.meshgrid(np.arange(weeks * 168), np.arange(machines), indexing="ij"))
    util = 50 + 8 * np.sin(hour / 9 + machine) + dice.normal(0, 3, len(hour))
    return {
        "hour_idx": hour.astype(float), "machine": machine, "machine_name": np.char.add("host-", machine.astype(str)).astype(object),
        "cohort": np.full(len(hour), "T4"), "gpu_util": util, "cpu_util": util / 2 + dice.normal(0, 1, len(hour)),
        "load1": util / 5 + dice.normal(0, 1, len(hour)),
        "alloc": np.full(len(hour), 8.0), "main_job": hour // 24 * 100 + machine // 4, "n_samples": np.full(len(hour), 240.0),
    }  # fmt: skip


def test_what_an_earlier_run_flagged_is_not_learned_from():
    """A fault of last week must not be this week's usual."""
    columns = _lake_rows()
    odd = (columns["machine"] == 3) & (columns["hour_idx"] >= 168) & (columns["hour_idx"] < 336)
    columns["gpu_util"] = np.where(odd, columns["gpu_util"] + 35, columns["gpu_util"])
    (_, block) = weekly(first=0, until=4 * 168)
    blind, told = (machine_peers.DETECTOR.judge({**columns, "flagged": flags}, [block]) for flags in (odd & False, odd))
    clean = machine_peers.DETECTOR.judge({**_lake_rows(), "flagged": odd & False}, [block])
    late = columns["hour_idx"] >= 504

    def distance(verdicts):
        return np.nanmean(np.abs(verdicts.score - clean.score)[late & (columns["machine"] == 3)])

    assert distance(told) < distance(blind) / 3


def test_means_over_a_jobs_life_are_not_taken_for_a_frozen_exporter():
    """Where a source has one mean per job, the hours of a job are alike; where it samples, they never are."""
    columns = _lake_rows()
    still = (columns["machine"] == 2) & (columns["hour_idx"] >= 520) & (columns["hour_idx"] < 530)
    for name, value in (("gpu_util", 50.0), ("cpu_util", 25.0), ("load1", 10.0)):
        columns[name] = np.where(still, value, columns[name])
    blocks = weekly(first=0, until=4 * 168)
    sampled, means = (
        machine_peers.DETECTOR.judge({**columns, "is_sampled": np.full(len(still), value)}, blocks)
        for value in (True, False)
    )
    later = still & (columns["hour_idx"] > 521)

    assert sampled.flag[later].all()
    assert "host-2: all metrics stand still" in sampled.reasons(np.flatnonzero(later)[:1].tolist())[0]
    assert not any("stand still" in said for said in means.reasons(np.flatnonzero(later).tolist()))


def test_jobs_that_do_nothing_one_after_another_are_counted_by_hand():
    """From the hour in which a machine was last seen doing anything; an hour without a row is no evidence either way."""
    told = [  # machine, hour, use, job; the hour 3 of machine 0 is not there
        (0, 0, 40.0, 1), (0, 1, 0.0, 1), (0, 2, 0.0, 1), (0, 4, 0.0, 2), (0, 5, 0.0, 1), (0, 6, 0.0, 3), (0, 7, 9.0, 3), (0, 8, 0.0, 4),
        (1, 0, 0.0, 3), (1, 1, 0.0, -1), (1, 2, 0.0, 5),
    ]  # fmt: skip
    machine, hour, util, job = (np.array(each) for each in zip(*told, strict=True))
    rows = {"hour_idx": hour.astype(float), "machine": machine, "cohort": np.full(len(hour), "T4"), "gpu_util": util,
            "alloc": np.full(len(hour), 8.0), "main_job": job}  # fmt: skip
    assert rules_of(fleet_of(rows)).idle_jobs.tolist() == [0, 1, 1, 2, 2, 3, 0, 1, 1, 1, 2]
    assert rules_of(fleet_of({name: values[:0] for name, values in rows.items()})).idle_jobs.tolist() == []


def test_means_over_a_jobs_life_are_held_against_the_rules_only():
    """One attempt of a job does less than its mates for as long as it runs: that is the job. Nothing at all is the machine."""
    columns = _lake_rows()
    apart = (columns["machine"] == 1) & (columns["hour_idx"] >= 520) & (columns["hour_idx"] < 530)
    stuck = (columns["machine"] == 6) & (columns["hour_idx"] >= 528) & (columns["hour_idx"] < 540)
    columns["gpu_util"] = np.select([apart, stuck], [columns["gpu_util"] - 30, 0.0], columns["gpu_util"])
    sampled, means = (
        machine_peers.DETECTOR.judge(
            {**columns, "is_sampled": np.full(len(apart), value)}, weekly(first=0, until=4 * 168)
        )
        for value in (True, False)
    )

    assert sampled.flag[apart].any()
    assert sampled.flag[stuck].any()
    assert means.flag[stuck].sum() > 6
    assert means.is_judged[apart].all()
    assert not means.flag[~stuck].any()
    reasons = means.reasons([*np.flatnonzero(stuck)[-1:], *np.flatnonzero(apart)[-1:]])
    assert "stuck at zero while GPUs are allocated" in reasons[0]
    assert reasons[1] == "host-1: no sign of a fault, as far as means over whole jobs tell"
