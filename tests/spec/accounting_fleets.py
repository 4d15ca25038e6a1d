"""Random fleets for the accounting, and what a loop over seconds makes of them."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from per_second import Fleet, Machine, Sample, Span, count, mgpu
from tiny_lake import Case

ZONES = [("UTC", "2020-05-01"), ("Asia/Shanghai", "1970-01-03"), ("Europe/Berlin", "2020-03-28"),
         ("America/New_York", "2020-10-31"), ("Australia/Lord_Howe", "2020-10-03"), ("Asia/Kolkata", "2021-02-27"),
         ("America/Havana", "2020-10-31"), ("Pacific/Kiritimati", "1970-01-03"), ("Africa/Monrovia", "1970-01-03")]  # fmt: skip
GPU_PCT = [None, 0.0, 0.04, 1.0, 12.5, 33.3333, 46.0, 99.96, 100.0, 100.0, 250.0, 800.0]
USE_PCT = st.one_of(
    st.sampled_from([None, 0.0, 0.001, 5.0, 33.3333, 100.0, 250.0]), st.floats(0, 900).map(lambda use: round(use, 6))
)
STEP_S = 57
"""Of the GenAI samples."""
TRIALS, SAMPLES, ATTEMPTS = 120, 40, 12


def drawn(strategy: st.SearchStrategy[Case], *, n: int, start: int) -> list[Case]:
    """Many examples at once, named one by one: a build takes a second, however many clusters it has."""
    found: list[Case] = []

    @seed(start)
    @settings(
        max_examples=n, database=None, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
    )
    @given(strategy)
    def collect(case: Case) -> None:
        found.append(case)

    collect()
    for number, case in enumerate(found):
        object.__setattr__(case, "name", f"{case.source}_{start}_{number}")
    return found


def borders(zone: str, first_day: date, days: int) -> list[int]:
    first = datetime(first_day.year, first_day.month, first_day.day)  # noqa: DTZ001  # the zone follows
    return [int((first + timedelta(days=n)).replace(tzinfo=ZoneInfo(zone)).timestamp()) for n in range(days + 1)]


def moments(edges: Sequence[int]) -> st.SearchStrategy[int]:
    """Seconds of the window, often at or next to the border of a day or an hour."""
    near = st.sampled_from([0, 0, -1, 1, 3_600, -3_600, 1_799])
    close = st.builds(lambda edge, by: min(max(edge + by, edges[0]), edges[-1] - 1), st.sampled_from(edges), near)
    return st.one_of(close, st.integers(edges[0], edges[-1] - 1))


@st.composite
def fleets(draw, *, conflicts: bool = True) -> Case:
    """A PAI cluster of a few machines; with `conflicts`, a later delivery may contradict an earlier one."""
    zone, first_day = draw(st.sampled_from(ZONES))
    edges = borders(zone, date.fromisoformat(first_day), draw(st.integers(1, 3)))
    machines = [
        {"machine": f"m{n}", "gpu_type": draw(st.sampled_from(["T4", "P100", "MISC"])),
         "cap_gpu": draw(st.sampled_from([0.0, 1.0, 2.0, 8.0]))}
        for n in range(draw(st.integers(1, 3)))
    ]  # fmt: skip
    jobs = [
        {"job_name": f"j{n}", "user": "u", "status": draw(st.sampled_from(["Terminated", "Failed", "Running"]))}
        for n in range(4)
    ]
    tasks = [
        {"job_name": f"j{n}", "task_name": name, "inst_num": 1.0, "plan_gpu": draw(st.sampled_from(GPU_PCT))}
        for n in range(3)  # j3 has no task: nobody knows what it holds
        for name in ("ps", "worker")
    ]
    instances = []
    for n in range(draw(st.sampled_from([12, 1, 2, 5, 8, 16]))):
        start = draw(moments(edges))
        length = draw(st.one_of(st.sampled_from([0, 1, 59, 1_800, 3_600, 86_400]), st.integers(0, 200_000)))
        row = {
            "job_name": f"j{draw(st.sampled_from([0, 0, 1, 2, 3]))}",
            "task_name": draw(st.sampled_from(["worker", "worker", "ps"])),
            "inst_name": f"i{n:02d}",
            "worker_name": f"w{draw(st.integers(0, 7))}",
            "machine": draw(st.sampled_from([*(row["machine"] for row in machines), "m0", "m9", None])),
            "status": "Terminated",
            "start_time": draw(st.sampled_from([float(start)] * 9 + [None])),
            "end_time": draw(st.sampled_from([float(min(start + length, edges[-1] - 1))] * 9 + [None])),
        }
        instances.append(row)
        again = draw(st.sampled_from([""] * 8 + ["equal", "moved"]))
        if again == "equal" or (again == "moved" and conflicts):
            instances.append({**row, "landing": 2, **({"machine": "m0"} if again == "moved" else {})})
    sensors = []
    for job, worker in draw(st.sets(st.tuples(st.integers(0, 3), st.integers(0, 7)), min_size=4)):
        row = {"job_name": f"j{job}", "worker_name": f"w{worker}", "task_name": "worker", "gpu_wrk_util": draw(USE_PCT)}
        sensors.append(row)
        if conflicts and draw(st.integers(0, 9)) == 0:
            sensors.append({**row, "landing": 2, "gpu_wrk_util": draw(USE_PCT)})
    window = {"worker_name": "w", "machine": "m0", "start_time": float(edges[0]), "end_time": float(edges[-1] - 1)}
    rows = {
        "machines": machines,
        "jobs": jobs,
        "tasks": tasks,
        "instances": instances,
        "sensors": sensors,
        "windows": [window],
    }
    return Case(name="fleet", zone=zone, rows=rows)


@st.composite
def sampled_fleets(draw) -> Case:
    """Containers of a GPU each, sampled with gaps and overlaps."""
    edges = borders("UTC", date(2020, 5, 1), 2)
    duty = []
    for n in range(draw(st.integers(1, 3))):
        at = draw(moments([edges[0], edges[1]]))
        for _ in range(draw(st.integers(1, 30))):
            if at + STEP_S < edges[-1]:
                value = draw(
                    st.one_of(st.sampled_from([0.0, 0.0, 100.0]), st.floats(0, 100).map(lambda pct: round(pct, 3)))
                )
                duty.append({"container_ip": f"c{n}", "timestamp_anon": float(at), "value": value})
            at += draw(st.sampled_from([STEP_S, STEP_S, 1, 30, 58, 200, 3_600]))
    duty.append({"container_ip": "end", "timestamp_anon": float(edges[-1] - STEP_S - 1), "value": 0.0})
    duty.append({"container_ip": "first", "timestamp_anon": float(edges[0]), "value": 1.0})
    return Case(name="fleet", source="genai2026", pools="all", rows={"duty": duty})


def days_of(case: Case) -> tuple[list[date], list[int]]:
    """The days of the window and their borders; every fleet has a record at both of its ends."""
    zone = ZoneInfo(case.zone)
    times = [
        row[key]
        for short in case.rows
        for row in case.source_rows(short)
        for key in ("start_time", "end_time", "timestamp_anon")
        if row.get(key) is not None
    ]
    first, last = (datetime.fromtimestamp(time, zone).date() for time in (min(times), max(times)))
    edges = borders(case.zone, first, (last - first).days + 1)
    return [first + timedelta(days=n) for n in range(len(edges) - 1)], edges


def expected(case: Case) -> Fleet:
    """Second by second."""
    if case.source == "genai2026":
        return count([], list(_containers(case)), borders=days_of(case)[1])
    machines = [Machine(row["machine"], int(row["cap_gpu"])) for row in case.source_rows("machines")]
    return count(machines, list(_spans(case)), borders=days_of(case)[1])


def _last(rows, key: Callable[[dict], tuple]) -> dict[tuple, dict]:
    """Of rows with one key that of the later delivery."""
    kept: dict[tuple, dict] = {}
    for row in sorted(rows, key=lambda row: row["landing"]):
        kept[key(row)] = row
    return kept


def _instances(case: Case) -> list[dict]:
    key = ("job_name", "task_name", "inst_name", "worker_name", "start_time")
    return list(_last(case.source_rows("instances"), lambda row: tuple(row[name] for name in key)).values())


def _held(case: Case) -> dict[tuple, float]:
    """GPUs of each instance, by task; none that round to no milli-GPU."""
    asked = {(row["job_name"], row["task_name"]): (row["plan_gpu"] or 0.0) / 100 for row in case.source_rows("tasks")}
    return {task: gpus for task, gpus in asked.items() if mgpu(Span("", None, 0, 0, gpus))}


def _spans(case: Case) -> Iterator[Span]:
    held, instances = _held(case), _instances(case)
    sensors = _last(case.source_rows("sensors"), lambda row: (row["job_name"], row["worker_name"]))
    timed = [row for row in instances if row["start_time"] is not None and row["end_time"] is not None]
    best: dict[tuple, tuple] = {}
    for row in timed:
        worker = (row["job_name"], row["worker_name"])
        known = row["machine"] is not None  # what else can be missing makes a row untimed
        rank = (row["end_time"] - row["start_time"], row["start_time"], known, row["task_name"], row["inst_name"])
        best[worker] = max(best.get(worker, ()), (*rank, id(row)))
    for row in timed:
        if (row["job_name"], row["task_name"]) not in held:
            continue
        worker = (row["job_name"], row["worker_name"])
        is_measured = best[worker][-1] == id(row) and worker in sensors
        use = sensors[worker]["gpu_wrk_util"] if is_measured else None
        yield Span(
            row["job_name"], row["machine"], int(row["start_time"]), int(row["end_time"]),
            held[row["job_name"], row["task_name"]], None if use is None else use / 100,
        )  # fmt: skip


def _containers(case: Case) -> Iterator[Span]:
    samples: dict[str, list[Sample]] = {}
    for row in case.source_rows("duty"):
        at = int(row["timestamp_anon"])
        samples.setdefault(row["container_ip"], []).append(Sample(at, at + STEP_S, row["value"] / 100))
    for container, taken in samples.items():
        ends = [sample.end for sample in taken]
        yield Span(container, None, min(sample.start for sample in taken), max(ends), 1.0, taken)


def expected_unbounded(case: Case) -> Counter[tuple]:
    """(job, day, which times are known) of GPU rows that lack a time."""
    held, zone, found = _held(case), ZoneInfo(case.zone), Counter[tuple]()
    for row in _instances(case) if case.source == "pai2020" else []:
        start, end = row["start_time"], row["end_time"]
        if (row["job_name"], row["task_name"]) not in held or (start is not None and end is not None):
            continue
        if start is None and end is None and row["machine"] is None:
            continue
        known = end if start is None else start
        kind = "start only" if start is not None else "end only" if end is not None else "neither"
        found[row["job_name"], known and datetime.fromtimestamp(known, zone).date(), kind] += 1
    return found


def delivered(case: Case, *, dice: random.Random, parts: int, first: int) -> Case:
    """The same rows, shuffled, dealt to several deliveries, some to two; machines come with the first, as they shape history."""
    rows: dict[str, list[dict[str, object]]] = {
        "machines": [{**row, "landing": first} for row in case.source_rows("machines")]
    }
    for short in case.rows:
        if short == "machines":
            continue
        dealt = [
            {**row, "landing": number}
            for row in case.source_rows(short)
            for number in dice.sample(range(1, parts + 1), dice.choice([1, 1, 2]))
        ]
        dice.shuffle(dealt)
        rows[short] = dealt
    return Case(name=case.name, zone=case.zone, pools=case.pools, source=case.source, rows=rows)


def thinned() -> list[Case]:
    """Trials: a container that is sampled without a gap, and a job whose attempts are all measured; then k % of it is lost."""
    dice = random.Random(3)
    duty, kept_duty, memory, instances, sensors, kept_sensors = ([] for _ in range(6))
    for trial in range(TRIALS):
        name, lost = f"t{trial:03d}", dice.uniform(0.05, 0.8)
        start = 1_000_000 + dice.randrange(86_400)
        for n in range(SAMPLES):
            at = {"container_ip": name, "timestamp_anon": float(start + n * STEP_S)}
            value = dice.choice([0.0, 0.0, 100.0, round(dice.uniform(0, 100), 3)])
            memory.append({**at, "value": 2e9})
            duty.append({**at, "value": value})
            kept_duty += duty[-1:] if dice.random() > lost else []
        for n in range(ATTEMPTS):
            begin, worker = start + dice.randrange(40_000), f"w{n}"
            who = {"job_name": name, "task_name": "worker", "worker_name": worker}
            instances.append({
                **who, "inst_name": worker, "machine": "m1", "start_time": float(begin),
                "end_time": float(begin + dice.randrange(1, 60_000)), "status": "Terminated",
            })  # fmt: skip
            sensors.append({**who, "gpu_wrk_util": dice.choice([0.0, round(dice.expovariate(0.03), 6)])})
            kept_sensors += sensors[-1:] if dice.random() > lost else []
    tasks = [{"job_name": f"t{trial:03d}", "task_name": "worker", "plan_gpu": 50.0} for trial in range(TRIALS)]
    pai = {"machines": "machine | gpus\n m1 | 8", "tasks": tasks, "instances": instances}
    return [
        Case(name="samples_whole", source="genai2026", pools="all", rows={"duty": duty, "memory": memory}),
        Case(name="samples_thinned", source="genai2026", pools="all", rows={"duty": kept_duty, "memory": memory}),
        Case(name="means_whole", rows={**pai, "sensors": sensors}),
        Case(name="means_thinned", rows={**pai, "sensors": kept_sensors}),
    ]
