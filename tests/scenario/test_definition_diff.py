"""Utilisation as others define it: the SQL and a few lines of Python, written from their formulas, say the same."""

from __future__ import annotations

import random
from dataclasses import dataclass
from math import ceil

import pytest

from gpulake import pipeline
from gpulake.cli.words import text_of
from gpulake.config import Config
from gpulake.errors import UsageError
from gpulake.lake import open_publication
from gpulake.reading import definitions

pytestmark = pytest.mark.slow  # it refreshes a lake of two sources

DAY_S = 86_400
STEP_S = 57


@dataclass(frozen=True)
class Worker:
    """What holds GPUs from one moment to another: readings are (GPUs used, seconds that they speak for)."""

    start: int
    end: int
    held: float
    readings: tuple[tuple[float, float], ...]

    @property
    def held_s(self):
        return self.end - self.start

    @property
    def devices(self):
        return ceil(self.held)

    @property
    def utils(self):
        """Readings of each of its devices."""
        return [used / self.devices for used, _ in self.readings]


def mean(values):
    values = list(values)
    return sum(values) / len(values) if values else None


def percent(ratio):
    return None if ratio is None else 100 * ratio


def ours(workers):
    allocated = sum(worker.held * worker.held_s for worker in workers)
    measured = sum(worker.held * seconds for worker in workers for _, seconds in worker.readings)
    active = sum(min(used, worker.held) * seconds for worker in workers for used, seconds in worker.readings)
    return (
        percent(active / measured if measured else None),
        percent(active / allocated),
        percent((active + allocated - measured) / allocated),
    )


def plain_mean(workers):
    return percent(mean(util for worker in workers for util in worker.utils * worker.devices))


def jobstats(workers):
    """avg_over_time of each GPU that answers; their mean; 100 where none does."""
    by_gpu = [mean(worker.utils) for worker in workers if worker.readings for _ in range(worker.devices)]
    return percent(mean(by_gpu)) if by_gpu else 100


def job_defense_shield(workers):
    total = total_used = 0.0
    for worker in workers:
        for _ in range(worker.devices if worker.readings else 0):
            total += worker.held_s
            total_used += worker.held_s * mean(worker.utils)
    return None if not total or total_used > total else 100 * total_used / total


def shield_unused_h(workers):
    """GPUs whose mean is 0 times the hours that they were held; its min_run_time is 0 unless a site sets another."""
    if not any(worker.readings for worker in workers):
        return None
    return sum(w.devices * w.held_s for w in workers if w.readings and mean(w.utils) == 0) / 3_600


def gcm(workers):
    gpu_utils = list(filter(None, (util for worker in workers for util in worker.utils * worker.devices)))
    return 100 * sum(gpu_utils) / len(gpu_utils) if gpu_utils else 0.0


def opencost(workers):
    """GPUUsageAverage / GPURequestAverage: a worker's usage is the mean over its devices, so never above 1."""
    request = sum(worker.devices * worker.held_s for worker in workers)
    usage = sum((mean(worker.utils) or 0) * worker.held_s for worker in workers)
    return 100 * usage / request


def pai_jobs(dice, pai, folder):
    """Jobs of several workers that live for minutes to days, some silent, some at 0: lifetime means of shares and of whole GPUs."""
    lines = {name: [] for name in ("job", "task", "instance", "sensor")}
    jobs, worker_no = {}, 0
    for number in range(1, 41):
        held = dice.choice([0.1, 0.25, 0.5, 1, 2, 8])
        workers = []
        lines["job"].append(pai.job(number))
        lines["task"].append(pai.task(number, gpu=f"{held * 100}"))
        for _ in range(dice.choice([1, 2, 5])):
            worker_no += 1
            start = 3 * DAY_S + dice.randrange(2 * DAY_S)
            end = start + dice.choice([600, 1_799, 1_800, 7_200, 3 * DAY_S])
            above = min(dice.uniform(0, 1.3 * held), 8.8)  # more than 110 % of the machine's 8 GPUs is not believed
            use = dice.choice([None, 0, 0, round(dice.uniform(0, held), 4), round(above, 4)])
            workers.append(Worker(start, end, held, () if use is None else ((use, end - start),)))
            lines["instance"].append(pai.instance(number, attempt=worker_no, start=f"{start}.0", end=f"{end}.0"))
            if use is not None:
                cells = pai.sensor(number, worker=worker_no).split(",")
                lines["sensor"].append(",".join([*cells[:7], repr(use * 100), *cells[8:]]))
        jobs[pai.name24(number)] = workers
    for name, rows in lines.items():
        pai.write(folder / f"pai_{name}_table.csv", rows)
    pai.write(folder / "pai_machine_spec.csv", [pai.spec(1, gpus="8.0")])
    return jobs


def genai_jobs(dice, pai, folder):
    """Containers on one grid of samples that has one at midnight, each with gaps: those that midnight cuts are one sample."""
    jobs = {}
    lines = {"pod_gpu_duty_cycle_anon": [], "pod_gpu_memory_used_bytes_anon": []}
    for number, shift in enumerate([0, 0, 0, 20, 30, 56], start=1):
        name = f"10.0.0.{number}"
        first = 11_574 * DAY_S - 40 * STEP_S + shift
        at = sorted(dice.sample(range(80), 60))
        busy = dice.choice([0.0, 0.3, 1.0])
        duty = {first + place * STEP_S: round(100 * dice.random(), 2) * (dice.random() < busy) for place in at}
        silent = number == 6
        for moment, value in duty.items():
            lines["pod_gpu_memory_used_bytes_anon"].append(f"{moment},2000000000,{name}")
            lines["pod_gpu_duty_cycle_anon"] += [] if silent else [f"{value},{moment},{name}"]
        readings = () if silent else tuple((value / 100, STEP_S) for value in duty.values())
        jobs[name] = [Worker(min(duty), max(duty) + STEP_S, 1, readings)]
    pai.write(
        folder / "pod_gpu_duty_cycle_anon.csv", ["value,timestamp_anon,container_ip", *lines["pod_gpu_duty_cycle_anon"]]
    )
    pai.write(
        folder / "pod_gpu_memory_used_bytes_anon.csv",
        ["timestamp_anon,value,container_ip", *lines["pod_gpu_memory_used_bytes_anon"]],
    )
    return jobs


@pytest.fixture(scope="module")
def compared(tmp_path_factory, pai):
    """Made-up jobs of both kinds, by cluster, and the publication of them."""
    folder = tmp_path_factory.mktemp("definitions")
    dice = random.Random(7)
    jobs = {"pai2020": pai_jobs(dice, pai, folder / "data"), "genai2026": genai_jobs(dice, pai, folder / "data")}
    result = pipeline.refresh(Config(lake=folder / "lake"), data=folder / "data")
    assert result.published, result.why
    with open_publication(folder / "lake") as publication:
        yield jobs, publication, folder / "lake"


def near(value, rel=1e-7):
    return None if value is None else pytest.approx(value, rel=rel, abs=1e-7)


def figures(one):
    return {figure.definition: figure for figure in one.figures}


def check(workers, found, *, one_job):
    """All figures of one job, or of a fleet, against the functions above."""
    devices_h = sum(worker.devices * worker.held_s for worker in workers) / 3_600
    held_h = sum(worker.held * worker.held_s for worker in workers) / 3_600
    util, low, high = ours(workers)
    # Amounts of a part are rounded to a thousandth of a GPU-second.
    assert (near(util, 1e-4), near(low, 1e-4), near(high, 1e-4)) == (
        found["ours"].util_pct, found["ours"].util_low_pct, found["ours"].util_high_pct,
    )  # fmt: skip
    assert near(plain_mean(workers)) == found["plain_mean"].util_pct
    assert near(jobstats(workers)) == found["jobstats"].util_pct
    assert near(gcm(workers)) == found["gcm"].util_pct
    assert near(opencost(workers)) == found["opencost"].util_pct
    if one_job:
        assert near(job_defense_shield(workers)) == found["job_defense_shield"].util_pct
        assert near(shield_unused_h(workers)) == found["job_defense_shield"].unused_gpu_h
    assert near(held_h) == found["ours"].gpu_h
    assert all(near(devices_h) == figure.gpu_h for name, figure in found.items() if name != "ours")
    assert all(near(figure.gpu_h) == figure.denominator_gpu_h + figure.left_out_gpu_h for figure in found.values())


def test_each_definition_is_its_authors_formula(compared):
    """A figure that we ascribe to a tool, and that the tool would not print, is slander."""
    jobs, publication, _ = compared
    for cluster, by_name in jobs.items():
        for name, workers in by_name.items():
            (one,) = definitions.read(publication, cluster=cluster, job=name).compared
            check(workers, figures(one), one_job=True)


def test_a_fleet_is_its_jobs_together(compared):
    """The mean of the jobs' means would be another figure; Job Defense Shield sums over the jobs that it does not drop."""
    jobs, publication, _ = compared
    for one in definitions.read(publication).compared:
        by_name = jobs[one.cluster_id]
        found = figures(one)
        check([worker for workers in by_name.values() for worker in workers], found, one_job=False)
        kept = [w for workers in by_name.values() if job_defense_shield(workers) is not None for w in workers]
        assert near(job_defense_shield(kept)) == found["job_defense_shield"].util_pct
        unused = sum(shield_unused_h(workers) or 0 for workers in by_name.values())
        assert near(unused) == found["job_defense_shield"].unused_gpu_h


def test_the_table_stands_beside_its_sentences(compared):
    """Figures without what they hide would only add five numbers to argue about."""
    _, publication, _ = compared
    found = definitions.read(publication, cluster="genai2026")
    text = text_of(found)

    assert ["ours", "plain_mean", "jobstats", "job_defense_shield", "gcm", "opencost"] == [
        figure.definition for figure in found.compared[0].figures
    ]
    assert all(f"{figure.definition}: {figure.note[:40]}" in text for figure in found.compared[0].figures)
    assert max(map(len, text.splitlines())) <= 100


def test_the_command_says_the_same_in_json(compared, gpulake_json):
    """Scripts compare definitions too."""
    _, _, lake = compared
    code, told = gpulake_json("diff-definitions", "--lake", lake, "--job", "10.0.0.6")
    ((one,), error) = told.values()

    assert (0, None, "10.0.0.6") == (code, error, one["job_id"])
    assert {"ours": None, "plain_mean": None, "jobstats": 100, "job_defense_shield": None, "gcm": 0, "opencost": 0} == {
        figure["definition"]: figure["util_pct"] for figure in one["figures"]
    }


@pytest.mark.parametrize(
    ("asked", "where"), [({"cluster": "nowhere"}, "--cluster"), ({"job": "nobody"}, "--job"), ({"job": ""}, "--job")]
)
def test_what_is_not_here_is_said(compared, asked, where):
    """An empty table would look like an idle cluster."""
    _, publication, _ = compared
    with pytest.raises(UsageError) as caught:
        definitions.read(publication, **asked)
    assert where == caught.value.where
