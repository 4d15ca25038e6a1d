"""The oracles themselves, against values worked out by hand: what they say is what the SQL is measured by.

Day 1970-01-02 of Asia/Shanghai is 57,600 s to 144,000 s of the trace; 100,800 s is its noon.
"""

from __future__ import annotations

import random
from datetime import date
from fractions import Fraction

import pai2020 as oracle
import pytest
from per_second import Machine, Sample, Span, count

FRIDAY, SATURDAY = date(1970, 1, 2), date(1970, 1, 3)
NOON = 100_800
T4, P100 = "Tesla T4", "Tesla P100-PCIE-16GB"


@pytest.fixture
def trace(tmp_path, pai):
    """A trace folder of lines; machine 1 is a T4 with two GPUs, machine 2 a P100 with two, the window Friday and Saturday."""

    def make(*, jobs=(), tasks=(), instances=(), sensors=(), metrics=(), machines=None):
        shown = metrics or [pai.metric(900, start=57_600, end=144_000)]
        machines = machines or [pai.spec(1), pai.spec(2, gpu_type="P100")]
        tables = {"pai_job_table": jobs, "pai_task_table": tasks, "pai_instance_table": instances,
                  "pai_sensor_table": sensors, "pai_machine_spec": machines, "pai_machine_metric": shown}  # fmt: skip
        for name, lines in tables.items():
            if lines:
                pai.write(tmp_path / f"{name}.csv", lines)
        return oracle.read(tmp_path)

    return make


def used(line, percent):
    """A sensor line with another gpu_wrk_util."""
    assert 1 == line.count(",31.5,")
    return line.replace(",31.5,", f",{percent},")


def test_a_run_over_midnight_is_cut_there(trace, pai):
    """A night's run would stand on the wrong day."""
    name = pai.name24(1)
    ledger = oracle.account(
        trace(
            jobs=[pai.job(1)],
            tasks=[pai.task(1, gpu="50.0")],
            # an hour before midnight to half an hour after it
            instances=[pai.instance(1, start="140400.0", end="145800.0")],
            sensors=[pai.sensor(1)],  # uses 31.5 % of a GPU
        )
    )

    # 500 mGPU x 3,600 s; 0.315 x 3,600 s x 1,000
    friday = oracle.Amounts(1_800_000, 1_134_000, 666_000, 0, 0, 0, 1)
    # half of it
    saturday = oracle.Amounts(900_000, 567_000, 333_000, 0, 0, 0, 1)
    assert {(name, FRIDAY, T4): friday, (name, SATURDAY, T4): saturday} == ledger.job_days
    assert {(name, FRIDAY): friday, (name, SATURDAY): saturday} == ledger.machine_days
    assert {(name, FRIDAY, 23), (name, SATURDAY, 0)} == set(ledger.machine_hours)
    assert 1_134_000 == ledger.machine_hours[name, FRIDAY, 23].active
    assert {"000000000007"} == {user for user, _ in ledger.user_days}
    job = ledger.jobs[name]
    # 2 x 86,400 s x 2 GPUs are there on two days; 2.7 million of it held
    assert 172_800_000 == ledger.pool_days[T4, SATURDAY].capacity
    assert 172_800_000 - 900_000 == ledger.pool_days[T4, SATURDAY].unallocated
    assert 7_200_000 == ledger.pool_hours[P100, SATURDAY, 23].unallocated
    assert (Fraction(1), Fraction(63, 100), Fraction(63, 100)) == (job.coverage, job.efficiency_low, job.efficiency)


@pytest.mark.parametrize(
    ("plan", "percent", "seconds", "expected"),
    [
        # 0.00123 x 3 s x 1,000 = 3.69
        ("50.0", "0.123", 3, oracle.Amounts(1_500, 4, 1_496, 0, 0, 0, 1)),
        # 0.0005 x 1 s x 1,000 = 0.5, away from zero
        ("10.0", "0.05", 1, oracle.Amounts(100, 1, 99, 0, 0, 0, 1)),
        # twice the plan: 0.25 x 10 s are active, 0.25 x 10 s are beyond it
        ("25.0", "50.0", 10, oracle.Amounts(2_500, 2_500, 0, 0, 2_500, 0, 1)),
        # four GPUs
        ("400.0", "31.5", 10, oracle.Amounts(40_000, 3_150, 36_850, 0, 0, 0, 1)),
        # measured, and nothing used
        ("10.0", "0.0", 7, oracle.Amounts(700, 0, 700, 0, 0, 700, 1)),
        # a sensor row without the GPU column is no measurement
        ("10.0", "", 7, oracle.Amounts(700, 0, 0, 700, 0, 0, 1)),
    ],
)
def test_a_share_of_a_gpu_is_counted_as_such(trace, pai, plan, percent, seconds, expected):
    """Whole-GPU counting inflates GPU-hours; a rounding of its own would end the equality to the last digit."""
    ledger = oracle.account(
        trace(
            jobs=[pai.job(1)],
            tasks=[pai.task(1, gpu=plan)],
            instances=[pai.instance(1, start=f"{NOON}.0", end=f"{NOON + seconds}.0")],
            sensors=[used(pai.sensor(1), percent)],
        )
    )

    assert expected == ledger.job_days[pai.name24(1), FRIDAY, T4]


@pytest.mark.parametrize(
    "instance",
    [
        {"start": f"{NOON}.0", "end": f"{NOON}.0"},  # no length
        {"start": f"{NOON + 1}.0", "end": f"{NOON}.0"},  # refused
        {"status": "Waiting", "start": "", "end": "", "machine": None, "attempt": ""},
    ],
)
def test_what_holds_nothing_counts_nothing(trace, pai, instance):
    """A job that never ran would be billed."""
    ledger = oracle.account(
        trace(jobs=[pai.job(1)], tasks=[pai.task(1)], instances=[pai.instance(1, **instance)], sensors=[pai.sensor(1)])
    )

    assert ({}, {}, 0) == (ledger.job_days, ledger.unbounded, ledger.jobs[pai.name24(1)].unbounded_spans)


def test_a_cpu_only_task_holds_no_gpu(trace, pai):
    """A null plan_gpu is CPU-only, neither unknown nor a whole GPU."""
    ledger = oracle.account(
        trace(jobs=[pai.job(1)], tasks=[pai.task(1, gpu="", gpu_type="")], instances=[pai.instance(1)])
    )

    assert {} == ledger.job_days
    assert ("cpu", None) == (ledger.jobs[pai.name24(1)].size_class, ledger.jobs[pai.name24(1)].gpu_type)
    assert 3_540 == ledger.jobs[pai.name24(1)].run_s  # 100,060 to 103,600


@pytest.mark.parametrize(
    ("first", "second", "known"),
    [
        # 60 s against 40 s: the longest
        ((NOON, NOON + 60), (NOON + 100, NOON + 140), NOON),
        # 60 s each: the latest
        ((NOON, NOON + 60), (NOON + 100, NOON + 160), NOON + 100),
    ],
)
def test_of_rows_that_share_a_worker_one_is_measured(trace, pai, first, second, known):
    """One sensor row would count as the use of two spans; both hold their GPUs all the same."""
    rows = [pai.instance(1, start=f"{start}.0", end=f"{end}.0", machine=machine)
            for machine, (start, end) in enumerate((first, second), start=1)]  # fmt: skip
    found = trace(jobs=[pai.job(1)], tasks=[pai.task(1, gpu="100.0")], instances=rows, sensors=[pai.sensor(1)])
    ledger = oracle.account(found)

    spans = {1: first, 2: second}
    for machine, (start, end) in spans.items():
        amounts = ledger.machine_days[pai.name24(machine), FRIDAY]
        assert (end - start) * 1_000 == amounts.allocated
        assert (0 if start == known else amounts.allocated) == amounts.unknown
    job = ledger.jobs[pai.name24(1)]
    length = {start: end - start for start, end in spans.values()}
    # 31.5 % of the measured seconds
    assert Fraction(315 * length[known], 1_000 * sum(length.values())) == job.efficiency_low
    assert Fraction(length[known], sum(length.values())) == job.coverage
    assert {pai.name24(1), pai.name24(2)} == job.machines


def test_rows_of_one_key_count_once(trace, pai):
    """A row delivered twice would hold its GPU twice; of two versions the greatest text stands."""
    row = pai.instance(1, start=f"{NOON}.0", end=f"{NOON + 10}.0", machine=1)
    other = pai.instance(1, start=f"{NOON}.0", end=f"{NOON + 10}.0", machine=2)
    ledger = oracle.account(trace(jobs=[pai.job(1)], tasks=[pai.task(1)], instances=[row, other, row]))

    assert {(pai.name24(2), FRIDAY)} == set(ledger.machine_days)
    assert 5_000 == ledger.machine_days[pai.name24(2), FRIDAY].allocated


def test_over_allocation_is_counted_by_the_hour(trace, pai):
    """Held beyond what is there must show, and the day must close all the same."""
    rows = [
        # three GPUs of two for an hour, and for half of the next
        *(pai.instance(1, attempt=n, start=f"{NOON}.0", end=f"{NOON + 5_400}.0") for n in (1, 2, 3)),
        # on a machine that nobody lists
        pai.instance(1, attempt=4, start=f"{NOON}.0", end=f"{NOON + 10}.0", machine=99),
    ]
    ledger = oracle.account(trace(jobs=[pai.job(1)], tasks=[pai.task(1, gpu="100.0")], instances=rows))

    machine = pai.name24(1)
    # 3 x 3,600,000 - 7,200,000
    assert 3_600_000 == ledger.machine_hours[machine, FRIDAY, 12].over_allocated
    # 3 x 1,800,000 are fewer than the hour has
    assert 0 == ledger.machine_hours[machine, FRIDAY, 13].over_allocated
    day = ledger.pool_days[T4, FRIDAY]
    assert (172_800_000, 3_600_000, 16_200_000) == (day.capacity, day.over_allocated, day.allocated)
    assert 160_200_000 == day.unallocated
    stray = ledger.pool_days[oracle.UNKNOWN_MACHINE, FRIDAY]
    assert (0, 10_000, 10_000, 0) == (stray.capacity, stray.over_allocated, stray.allocated, stray.unallocated)


def test_waste_tells_failed_work_apart(trace, pai):
    """Work that a failure destroyed would look productive."""
    ledger = oracle.account(
        trace(
            jobs=[pai.job(1), pai.job(2, status="Failed", end="")],
            tasks=[pai.task(1, gpu="100.0"), pai.task(2, gpu="100.0")],
            instances=[pai.instance(n, start=f"{NOON}.0", end=f"{NOON + 100}.0") for n in (1, 2)],
            sensors=[pai.sensor(1), used(pai.sensor(2), "60.0")],
        )
    )

    expected = {
        "unallocated": 172_800_000 - 200_000,
        "unknown": 0,
        "idle_held": 68_500 + 40_000,
        "failed_active": 60_000,  # 60 % of 100 s
        "productive": 31_500,
    }
    assert expected == ledger.pool_days[T4, FRIDAY].waste
    assert {FRIDAY: (200_000, 100_000)} == oracle.failed_by_day(ledger)
    cohort = oracle.cohorts(ledger)[FRIDAY]
    assert (2, 1, 1, 0) == (cohort.submitted, cohort.failed, cohort.succeeded, cohort.unfinished)
    assert (Fraction(1, 2), Fraction(1, 2)) == (cohort.failed_ratio, cohort.failed_gpu_ratio)


def test_spans_without_an_end_stand_beside(trace, pai):
    """A guessed end would be published as a fact."""
    rows = [
        pai.instance(1, attempt=1, status="Failed", start="150000.0", end=""),
        pai.instance(1, attempt=2, status="Interrupted", start="", end="120000.0"),
        pai.instance(1, attempt=3, status="Running", start="", end=""),
    ]
    ledger = oracle.account(trace(jobs=[pai.job(1, status="Failed", end="")], tasks=[pai.task(1)], instances=rows))

    assert {
        (SATURDAY, T4): {"started_only": 1},
        (FRIDAY, T4): {"ended_only": 1},
        (None, T4): {"neither": 1},
    } == ledger.unbounded
    job = ledger.jobs[pai.name24(1)]
    assert (3, 0, set(), {pai.name24(1)}) == (job.unbounded_spans, job.allocated, job.machines, job.machines_named)
    assert (None, None) == (job.wait_s, job.efficiency)


def test_who_never_started_is_censored(trace, pai):
    """Waits of the started alone flatter the queue."""
    nothing = {"status": "Waiting", "start": "", "end": "", "machine": None, "attempt": ""}
    ledger = oracle.account(
        trace(
            jobs=[
                pai.job(1),  # starts after 60 s
                pai.job(2),  # of its two instances the first starts after 30 s
                pai.job(3, status="Running", end=""),  # started nobody knows when
                pai.job(4, status="Failed", end="100500.0"),  # given up after 500 s
                pai.job(5, status="Waiting", end=""),  # waits at the window's end
                pai.job(6, status="Waiting", start="", end=""),  # submitted nobody knows when
            ],
            tasks=[pai.task(n) for n in range(1, 7)],
            instances=[
                pai.instance(1),
                pai.instance(2, attempt=20, start="100030.0"),
                pai.instance(2, attempt=21, start="100090.0"),
                pai.instance(3, attempt=30, start="100010.0", end=""),
                pai.instance(3, attempt=31, status="Running", start="", end=""),
                *(pai.instance(n, **nothing) for n in (4, 5, 6)),
            ],
        )
    )

    waits = oracle.waits(ledger)
    assert {FRIDAY} == set(waits)
    # the window ends with Saturday at 230,400 s, as the metric row's last second opens it
    assert ([60, 30], [500, 130_400], 1) == (waits[FRIDAY].started, waits[FRIDAY].censored, waits[FRIDAY].unknown)
    # ranks 0.5, 0.9 and 0.99 between 30 and 60
    naive = {"count": 2, "p50": 45, "p90": 57, "p99": Fraction(597, 10), "mean": 45}
    assert naive == waits[FRIDAY].naive
    # S(30) = 3/4, S(60) = 1/2, and no further start
    assert {"p50": 60, "p90": None, "p99": None} == waits[FRIDAY].kaplan_meier
    cohorts = oracle.cohorts(ledger)
    assert (5, 1, 2) == (cohorts[FRIDAY].submitted, cohorts[FRIDAY].failed, cohorts[FRIDAY].unfinished)
    assert (1, 1) == (cohorts[None].submitted, cohorts[None].unfinished)
    assert {"000000000007"} == {user for user, _ in oracle.user_cohorts(ledger)}


def test_the_product_limit_is_the_textbooks():
    """Remission in weeks under 6-MP (Freireich et al. 1963; Kleinbaum and Klein, Survival Analysis, chapter 2)."""
    ended = [6, 6, 6, 7, 10, 13, 16, 22, 23]
    lasted = [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]  # 6+ 9+ 10+ and so on
    curve = oracle.survival([*((week, True) for week in ended), *((week, False) for week in lasted)])

    printed = {6: 0.8571, 7: 0.8067, 10: 0.7529, 13: 0.6902, 16: 0.6275, 22: 0.5378, 23: 0.4482}
    assert printed == {week: round(float(left), 4) for week, left in curve}
    assert (6, Fraction(18, 21)) == curve[0]
    assert 23 == oracle.survival_quantile(curve, Fraction(1, 2))  # the median that the book gives
    assert 13 == oracle.survival_quantile(curve, Fraction(1, 4))
    assert oracle.survival_quantile(curve, Fraction(9, 10)) is None


def test_a_quantile_lies_between_its_neighbours():
    """Another rule of interpolation would never agree with the SQL's."""
    # rank 0.9 x 3 = 2.7 steps: 30 + 0.7 x 10
    assert 37 == oracle.quantile([10, 20, 30, 40], Fraction(9, 10))
    assert 7 == oracle.quantile([7], Fraction(99, 100))
    assert oracle.quantile([], Fraction(1, 2)) is None


@pytest.mark.parametrize(
    ("instances", "plan", "expected"),
    [
        ("1.0", "25.0", "<1"),
        ("4.0", "25.0", "1"),
        ("3.0", "50.0", ">1, <8"),
        ("1.0", "800.0", "8"),
        ("2.0", "800.0", ">8"),
    ],
)
def test_a_job_is_as_large_as_all_it_asks_for(trace, pai, instances, plan, expected):
    """A plan is per instance: 3 × 50 % are 1.5 GPUs."""
    ledger = oracle.account(trace(jobs=[pai.job(1)], tasks=[pai.task(1, inst_num=instances, gpu=plan)]))

    assert expected == ledger.jobs[pai.name24(1)].size_class


def test_seconds_are_counted_one_by_one():
    """Two days, the second an hour short; a machine of one GPU holds 1.5 for ten seconds over the border."""
    borders = [0, 7_200, 7_200 + 5_400]
    spans = [
        Span("whole", "m", 7_195, 7_205, 1.0, 0.4),
        Span("half", "m", 7_195, 7_205, 0.5, None),
        Span("sampled", "m", 12_000, 12_100, 1.0, [Sample(12_000, 12_060, 2.0), Sample(12_030, 12_050, 0.0)]),
        Span("elsewhere", None, 0, 1, 1.0, 0.5),
    ]
    fleet = count([Machine("m", 1)], spans, borders=borders)

    whole = fleet.unit_days["whole", 0]
    # 5 s x 1,000; 0.4 of it used
    assert (5_000, 2_000, 3_000, 0) == (whole.allocated, whole.active, whole.idle_held, whole.unknown)
    assert 2_500 == fleet.unit_days["half", 1].unknown
    sampled = fleet.unit_days["sampled", 1]
    # 30 s at twice the GPU, then 20 s unused, then 50 s that nothing measured
    assert (100_000, 30_000, 20_000, 50_000) == (
        sampled.allocated, sampled.active, sampled.idle_held, sampled.unknown,
    )  # fmt: skip
    assert (30_000, 20_000) == (sampled.over_use, sampled.zero_util)
    # 5 s x 1.5 GPUs are fewer than the hour has, so nothing is over; elsewhere nothing is there
    assert (0, 1_000) == (fleet.machine_days["m", 0].over_allocated, fleet.machine_days[None, 0].over_allocated)
    assert 7_200_000 + 1_000 - 7_500 - 1_000 == fleet.days[0].unallocated
    # 5,400 s: an hour and a half
    assert {0: 3_600_000, 1: 1_800_000} == {hour: fleet.hours[1, hour].capacity for hour in (0, 1)}


@pytest.mark.parametrize("seed", [1, 2])
def test_the_two_oracles_agree(trace, pai, seed):
    """Two ways agree: seconds one by one, and spans cut at borders."""
    dice = random.Random(seed)
    machines = {1: 2, 2: 1, 3: 0}
    tasks, rows, sensors, spans, failed = [], [], [], [], set()
    for number in range(1, 13):
        plan, percent = dice.choice([10, 25, 50, 100, 200]), dice.choice([None, 0.0, 3.125, 12.5, 88.8, 250.0])
        start = dice.randrange(57_600, 224_000)
        end = min(start + int(dice.choice([0, dice.randrange(90), dice.lognormvariate(9, 2)])), 230_399)
        machine = dice.choice([1, 1, 2, 2, 3, None])
        tasks.append(pai.task(number, gpu=f"{plan}.0"))
        rows.append(pai.instance(number, start=f"{start}.0", end=f"{end}.0", machine=machine))
        if percent is not None:
            sensors.append(used(pai.sensor(number), percent))
        if dice.random() < 0.3:
            failed.add(number)
        use = None if percent is None else percent / 100
        spans.append(Span(pai.name24(number), machine and pai.name24(machine), start, end, plan / 100, use))
    ledger = oracle.account(
        trace(
            jobs=[pai.job(number, status="Failed" if number in failed else "Terminated") for number in range(1, 13)],
            tasks=tasks,
            instances=rows,
            sensors=sensors,
            machines=[pai.spec(number, gpus=f"{gpus}.0") for number, gpus in machines.items()],
        )
    )
    fleet = count(
        [Machine(pai.name24(number), gpus) for number, gpus in machines.items()],
        spans,
        borders=[57_600, 144_000, 230_400],
    )

    names = ("allocated", "active", "idle_held", "unknown", "over_use", "zero_util")

    def table(figures, also=()):
        return {
            key: tuple(getattr(one, name) for name in (*names, *also)) for key, one in figures.items() if one.allocated
        }

    days = {FRIDAY: 0, SATURDAY: 1}
    assert table(fleet.unit_days) == table({(job, days[dt]): one for (job, dt, _), one in ledger.job_days.items()})
    assert table(fleet.machine_days) == table(
        {(name, days[dt]): one for (name, dt), one in ledger.machine_days.items()}
    )
    assert table(fleet.machine_hours, ["capacity", "over_allocated"]) == table(
        {(name, days[dt], hour): one for (name, dt, hour), one in ledger.machine_hours.items()},
        ["capacity", "over_allocated"],
    )
    for dt, day in days.items():
        pools = [pool for (_, other), pool in ledger.pool_days.items() if other == dt]
        for name in (*names, "capacity", "over_allocated", "unallocated"):
            assert getattr(fleet.days[day], name) == sum(getattr(pool, name) for pool in pools), name
        for pool in pools:
            assert pool.capacity + pool.over_allocated == sum(pool.waste.values())
        for hour in range(24):
            there = [pool for (_, other, n), pool in ledger.pool_hours.items() if (other, n) == (dt, hour)]
            assert fleet.hours[day, hour].unallocated == sum(pool.unallocated for pool in there)
