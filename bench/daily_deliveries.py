"""620 daily deliveries of some 170 jobs into one lake: what a day costs as the lake grows, beside the floor on that lake.

A delivery is one `gpulake refresh` of one day's folder, as a user would run it. It takes hours: a run that was cut off
goes on where it stopped, as long as the code stays as it is. Where the time goes is read from the lines that a refresh
writes as each step begins, and from the seconds in its answer.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

from bench.deliveries import daily
from bench.measure import GPULAKE, PYTHON, Cost, Target, cpu_below, cpu_of, run, run_script, verdict
from bench.traces import kept, trace

FLEET_SCALE, FLEET_DAYS = 0.01, 620
"""25 machines with 98 GPUs; 170 jobs, 1,200 instances and 320 windows a day."""
DAYS = min(int(os.environ.get("GPULAKE_BENCH_DAYS", "620")), FLEET_DAYS)
SHOWN = sorted({day for day in (10, 30, 60, 300) if day < DAYS} | {DAYS})
YOUNG, OLD = 30, FLEET_DAYS
DAY_TO_FLOOR, OLD_TO_YOUNG, NOTHING_TO_FLOOR, PEAK_MIB = Target(2.5), Target(1.3), Target(0.5), Target(400)
ROUNDS = 3
WAKE_DBT = "from gpulake.dbt.child import Runner; Runner()"
"""A process that has imported dbt and read the parsed project, as the last refresh kept it."""


@dataclass(frozen=True)
class Delivery:
    """One day's refresh. `steps`: CPU seconds from each step's first line to the next one's, our own and dbt's."""

    day: int
    rows: int
    whole: bool
    wall: float
    cpu: float
    rss: float
    load: float
    steps: dict[str, tuple[float, float]]
    seconds: dict[str, float]


@dataclass(frozen=True)
class Look:
    """The lake after a day: what the floor and a refresh with nothing new cost on it (CPU), and how large it is."""

    day: int
    open_lake: float
    wake_dbt: float
    nothing_new: float
    nothing_new_wall: float
    catalog_mib: float
    lake_mib: float
    files: int
    most_files: int
    most_files_table: str

    @property
    def floor(self) -> float:
        """A Python that opens the lake, and a dbt that is awake."""
        return self.open_lake + self.wake_dbt


def open_lake(lake: str) -> None:
    """Read one count, as a reader."""
    from gpulake.lake import open_publication

    with open_publication(Path(lake)) as reader:
        reader.sql("SELECT count(*) FROM lake.main.silver_jobs")


# ---------------------------------------------------------------------------------------------- measuring


def deliver(folder: Path, lake: Path, *, day: int) -> Delivery:
    """Refresh one day's folder into the lake; it is not `whole` where an earlier run had begun it."""
    marks: list[tuple[str, float, float]] = [("starting", 0.0, 0.0)]

    def told(line: str, pid: int) -> None:
        step = line.partition(" ")[0]
        if step != marks[-1][0]:
            marks.append((step, cpu_of(pid), cpu_below(pid)))

    answered = lake.parent / "answer.json"
    cost = run(_refresh(folder, lake), answer=answered, told=told)
    answer = json.loads(answered.read_text())
    # The other landings are of the table that gpulake ships.
    ours = [landing for landing in answer["landings"] if landing["source"] == "pai2020"]
    whole = answer["published"] and all(landing["status"] == "landed" for landing in ours)
    marks.append(("ended", cost.cpu - marks[-1][2], marks[-1][2]))
    steps: dict[str, tuple[float, float]] = {}
    for (step, own, dbt), (_, own_then, dbt_then) in pairwise(marks):
        before = steps.get(step, (0.0, 0.0))
        steps[step] = (before[0] + own_then - own, before[1] + dbt_then - dbt)
    return Delivery(
        day=day,
        rows=sum(landing["rows_in"] or 0 for landing in ours),
        whole=whole,
        wall=cost.wall,
        cpu=cost.cpu,
        rss=cost.rss,
        load=os.getloadavg()[0],
        steps=steps,
        seconds=_seconds(answer),
    )


def _seconds(answer: dict) -> dict[str, float]:
    """Every figure called seconds in a refresh's answer, by the step that it stands in."""
    found = answer.get("seconds")
    seconds = dict(found) if isinstance(found, dict) else {}
    return seconds | {
        step: part["seconds"] for step, part in answer.items() if isinstance(part, dict) and "seconds" in part
    }


def _refresh(folder: Path, lake: Path) -> list[str]:
    return [GPULAKE, "refresh", "--data", str(folder), "--lake", str(lake), "--json"]


def look(folder: Path, lake: Path, *, day: int) -> Look:
    """Measure the floor, and the same delivery once more, on the lake as it is; nothing is changed."""
    from gpulake.dbt import warehouse
    from gpulake.lake import Layout

    environment = warehouse.environment(Layout(lake.resolve()))
    opened = [run_script(open_lake, lake)[0] for _ in range(ROUNDS)]
    awake = [run([PYTHON, "-P", "-c", WAKE_DBT], env=environment) for _ in range(ROUNDS)]
    nothing = [run(_refresh(folder, lake)) for _ in range(ROUNDS)]
    answered = lake.parent / "answer.json"
    run([GPULAKE, "status", "--lake", str(lake), "--json"], answer=answered)
    tables = json.loads(answered.read_text())["tables"]
    most = max(tables, key=lambda table: table["files"])
    return Look(
        day=day,
        open_lake=_median(opened, "cpu"),
        wake_dbt=_median(awake, "cpu"),
        nothing_new=_median(nothing, "cpu"),
        nothing_new_wall=_median(nothing, "wall"),
        catalog_mib=_mib(file for file in lake.glob("catalog*") if file.is_file()),
        lake_mib=_mib(file for file in lake.rglob("*") if file.is_file()),
        files=sum(table["files"] for table in tables),
        most_files=most["files"],
        most_files_table=most["name"],
    )


def _median(costs: list[Cost] | list[Delivery], what: str) -> float:
    return median(getattr(cost, what) for cost in costs)


def _mib(files) -> float:
    return sum(file.stat().st_size for file in files) / 2**20


# --------------------------------------------------------------------------------------------- the record


class Record:
    """What was measured so far, one JSON line each, beside the lake that it was measured on."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.deliveries: dict[int, Delivery] = {}
        self.looks: dict[int, Look] = {}
        # A last line that was cut off is that of a day which has landed: it is delivered again, and is not whole.
        for line in file.read_text().split("\n")[:-1] if file.exists() else ():
            self._take(json.loads(line))
        file.write_text("".join(self._lines()))

    def add(self, measured: Delivery | Look) -> None:
        """Keep one figure, also if the next is never reached."""
        self._take(asdict(measured))
        with self._file.open("a") as file:
            file.write(json.dumps(asdict(measured)) + "\n")

    def around(self, day: int) -> list[Delivery]:
        """The three days around a day, or the last three of all; without those that were cut off."""
        first = min(day - 1, DAYS - 2)
        days = [self.deliveries.get(each) for each in range(first, first + 3)]
        return [delivery for delivery in days if delivery and delivery.whole]

    def _take(self, facts: dict) -> None:
        if "wake_dbt" in facts:
            self.looks[facts["day"]] = Look(**facts)
        else:
            steps = {step: (own, dbt) for step, (own, dbt) in facts["steps"].items()}
            self.deliveries[facts["day"]] = Delivery(**{**facts, "steps": steps})

    def _lines(self) -> list[str]:
        return [json.dumps(asdict(each)) + "\n" for each in (*self.deliveries.values(), *self.looks.values())]


# ------------------------------------------------------------------------------------------------ telling


def tell(record: Record) -> None:
    """A line for each shown day, where its time went, and the verdicts."""
    print(
        f"\n{DAYS} daily deliveries into one lake (scale {FLEET_SCALE:g}); medians of three days and of {ROUNDS} runs"
    )
    print(
        "   day   rows   cpu s  wall s  MiB peak  load | floor cpu s = lake + dbt | nothing new cpu s, wall s |"
        " catalog MiB, lake MiB | live files, most in one table"
    )
    for day in SHOWN:
        around, seen = record.around(day), record.looks.get(day)
        if not around or not seen:
            print(f"  {day:4}   not measured: the run was cut off there")
            continue
        print(
            f"  {day:4} {_median(around, 'rows'):6.0f} {_median(around, 'cpu'):7.2f} {_median(around, 'wall'):7.2f} "
            f"{max(each.rss for each in around):9.0f} {_median(around, 'load'):5.1f} |"
            f" {seen.floor:6.2f} = {seen.open_lake:.2f} + {seen.wake_dbt:.2f} |"
            f" {seen.nothing_new:6.2f}, {seen.nothing_new_wall:.2f} | {seen.catalog_mib:7.1f}, {seen.lake_mib:.0f} |"
            f" {seen.files:6}, {seen.most_files} in {seen.most_files_table}"
        )
    print("  where the CPU goes, own + dbt's; dbt wakes while files land")
    for day in SHOWN:
        if around := record.around(day):
            print(f"  {day:4} {_where(around)}")
            print(f"       seconds in its answer: {_answered(around)}")
    _tell_verdicts(record)
    sys.stdout.flush()


def _where(around: list[Delivery]) -> str:
    steps = dict.fromkeys(step for each in around for step in each.steps)
    shares = {
        step: [median(each.steps.get(step, (0.0, 0.0))[part] for each in around) for part in (0, 1)] for step in steps
    }
    return ", ".join(f"{step} {own:.1f} + {dbt:.1f}" for step, (own, dbt) in shares.items())


def _answered(around: list[Delivery]) -> str:
    names = dict.fromkeys(name for each in around for name in each.seconds)
    return ", ".join(f"{name} {median(each.seconds.get(name, 0.0) for each in around):.1f}" for name in names) or "none"


def _tell_verdicts(record: Record) -> None:
    cpu = {day: _median(around, "cpu") for day in SHOWN if (around := record.around(day))}
    if YOUNG in cpu and YOUNG in record.looks:
        _say(f"cpu of day {YOUNG} / floor", cpu[YOUNG] / record.looks[YOUNG].floor, DAY_TO_FLOOR)
    for day in (day for day in cpu if day > YOUNG and YOUNG in cpu):
        # Only the oldest has a target; the others tell how it grows.
        _say(f"cpu of day {day} / day {YOUNG}", cpu[day] / cpu[YOUNG], OLD_TO_YOUNG if day == OLD else None)
    for day, seen in sorted(record.looks.items()):
        _say(f"cpu of nothing new / floor, day {day}", seen.nothing_new / seen.floor, NOTHING_TO_FLOOR)
    # The first delivery makes the lake and builds all of it.
    peaks = {day: each.rss for day, each in record.deliveries.items() if 1 < day <= DAYS}
    if peaks:
        worst = max(peaks, key=lambda day: peaks[day])
        _say(f"peak MiB of a process, at worst (day {worst})", peaks[worst], PEAK_MIB)


def _say(what: str, value: float, target: Target | None) -> None:
    print(f"  {what:42} {value:7.2f}{verdict(value, target)}")


def main() -> None:
    """Deliver the days that this state of the code has not yet delivered, and tell all of them."""
    split = daily(trace(scale=FLEET_SCALE, days=FLEET_DAYS), days=FLEET_DAYS)
    home = kept("daily")
    lake, record = home / "lake", Record(home / "measured.jsonl")
    done = max(record.deliveries, default=0)
    print(f"\n{DAYS} daily deliveries into {lake}" + (f", of which {done} have been made" if done else ""), flush=True)
    for day in range(max(done, 1), DAYS + 1):
        folder = split / f"{day:03}"
        if day not in record.deliveries:
            record.add(deliver(folder, lake, day=day))
        if day in SHOWN and day not in record.looks:
            record.add(look(folder, lake, day=day))
        if day % 10 == 0:
            last = [record.deliveries[each] for each in range(max(day - 9, 1), day + 1) if each in record.deliveries]
            print(
                f"  day {day}: {_median(last, 'cpu'):.1f} cpu, {_median(last, 'wall'):.1f} s, "
                f"load {os.getloadavg()[0]:.1f}",
                flush=True,
            )
    tell(record)


if __name__ == "__main__":
    main()
