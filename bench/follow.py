"""Following a stream in one process: what a round costs beside the floor, whether memory grows, and how fresh figures are.

A round lands 1,000 windows out of a queue in memory, and builds, judges and publishes them.
GPULAKE_BENCH_CYCLES (500), GPULAKE_BENCH_SECONDS (120, of the stream of 2,000 rows a second), GPULAKE_BENCH_SCALE.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from bench.daily_deliveries import FLEET_SCALE, WAKE_DBT, open_lake
from bench.measure import GPULAKE, PYTHON, ROUNDS, Target, run, run_script, verdict
from bench.traces import HOME, fresh, trace

if TYPE_CHECKING:
    from gpulake.config import Config

CYCLES = int(os.environ.get("GPULAKE_BENCH_CYCLES", "500"))
SECONDS = float(os.environ.get("GPULAKE_BENCH_SECONDS", "120"))
ROWS, ROWS_A_SECOND = 1_000, 2_000
DAYS = 10
SHOWN = (50, 250, 500)
GROWN, FRESH_S, TO_FLOOR = Target(1.05), Target(30), 1.5
_TOPIC = "events.pai_machine_metric"
_WARM = (
    "from gpulake import incidents, judging, pipeline, session, stream; from gpulake.cli import main; "
    "from gpulake.dbt.warehouse import Warehouse; from gpulake.detecting import runs; from gpulake.detectors import all_detectors; "
    "all_detectors(); import duckdb, polars, pyarrow, sklearn.ensemble, sqlglot"
)
"""What a process that has gone round once has loaded, and need not load again."""


def main() -> None:
    """Memory over many rounds, a round beside the floor, and how fresh figures are at 2,000 rows a second."""
    lake = _lake("follow")
    opened = [run_script(open_lake, lake)[0].cpu for _ in range(ROUNDS)]
    awake = [run([PYTHON, "-P", "-c", WAKE_DBT], env=_environment(lake)).cpu for _ in range(ROUNDS)]
    saved = [run([PYTHON, "-P", "-c", _WARM]).cpu for _ in range(ROUNDS)]
    floor, warm = median(opened) + median(awake), median(saved)
    log = fresh("follow-log")
    log.mkdir(parents=True)
    log /= "rounds.jsonl"
    run_script(go_round, lake, CYCLES, log)
    _tell_rounds([json.loads(line) for line in log.read_text().splitlines()], floor=floor, warm=warm)
    _tell_freshness(how_fresh(_lake("follow-fresh")))


def _lake(name: str) -> Path:
    """A lake of ten days of 25 machines."""
    lake = fresh(name)
    data = trace(scale=FLEET_SCALE, days=DAYS)
    run([GPULAKE, "refresh", "--data", str(data), "--lake", str(lake), "--json"])
    return lake


def _environment(lake: Path) -> dict[str, str]:
    from gpulake.dbt import warehouse
    from gpulake.lake import Layout

    return warehouse.environment(Layout(lake.resolve()))


# ------------------------------------------------------------------------------------------------- rounds


def go_round(lake: str, cycles: str, log: str) -> None:
    """Land and publish, again and again in this process; a line for each round, and for what one with nothing new costs."""
    from gpulake import pipeline
    from gpulake import stream as streams
    from gpulake.config import Config
    from gpulake.sources import all_sources
    from gpulake.transports import address
    from gpulake.transports.memory import Queue

    config = Config(lake=Path(lake))
    sources = [source for source in all_sources() if source.name == "pai2020"]
    queue = Queue(partitions=2)
    topics = streams.topics_of(address("events"), sources, ["pai_machine_metric"])
    coming = _windows(config)
    with Path(log).open("w") as told:
        for cycle in range(1, int(cycles) + 1):
            queue.send(_TOPIC, [next(coming) for _ in range(ROWS)])
            began, wall = _cpu(), time.monotonic()
            consumer = streams.Consumer(config, queue.consumer([_TOPIC]), topics)
            assert consumer.run(stopping=lambda: False, once=True).rows_kept == ROWS
            landed = _cpu()
            assert pipeline.catch_up(config).published
            published, seconds = _cpu(), time.monotonic() - wall
            assert not pipeline.catch_up(config).published
            line = {
                "cycle": cycle, "land": landed - began, "publish": published - landed, "nothing": _cpu() - published,
                "wall": seconds, "rss_mib": _rss_mib(),
            }  # fmt: skip
            told.write(json.dumps(line) + "\n")
            told.flush()


def _windows(config: Config) -> Iterator[tuple[bytes, bytes]]:
    """Windows of ten minutes on the lake's machines, each a little later than the one before: 144,000 a day."""
    from gpulake.lake import open_publication

    with open_publication(config.lake) as reader:
        machines = reader.sql("SELECT DISTINCT machine FROM bronze_machine_spec")["machine"].to_pylist()
        last = reader.sql("SELECT max(end_time) AS t FROM bronze_machine_metrics")["t"][0].as_py()
    number = 0
    while True:
        machine, start = machines[number % len(machines)], last + number * 0.6
        row = {
            "worker_name": f"{number:060x}", "machine": machine, "start_time": start, "end_time": start + 600.0,
            "machine_gpu": 20.0 + number % 50, "machine_cpu": 24.0, "machine_load_1": 3.0,
        }  # fmt: skip
        yield machine.encode(), json.dumps(row).encode()
        number += 1


def _cpu() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _rss_mib() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def _tell_rounds(lines: list[dict[str, float]], *, floor: float, warm: float) -> None:
    print(f"\n{len(lines)} rounds of {ROWS:,} rows in one process (scale {FLEET_SCALE:g}, {DAYS} days before)")
    print("  round  RSS MiB   cpu s = landing + publishing | nothing new | wall s   (medians of ten rounds)")
    for cycle in sorted({*(each for each in SHOWN if each < len(lines)), len(lines)}):
        around = lines[max(0, cycle - 10) : cycle]
        land, publish, nothing, wall = (
            median(each[what] for each in around) for what in ("land", "publish", "nothing", "wall")
        )
        print(
            f"  {cycle:5} {lines[cycle - 1]['rss_mib']:8.0f} {land + publish:7.2f} = {land:.2f} + {publish:.2f}"
            f" | {nothing:.2f} | {wall:.1f}"
        )
    first = lines[min(SHOWN[0], len(lines)) - 1]
    grown = lines[-1]["rss_mib"] / first["rss_mib"]
    print(f"  RSS of round {lines[-1]['cycle']} / {first['cycle']} {grown:.3f}{verdict(grown, GROWN)}")
    cost = median(each["land"] + each["publish"] for each in lines[1:31])
    most = TO_FLOOR * floor - warm
    print(
        f"  a round {cost:.2f} cpu s; floor {floor:.2f}, a warm process saves {warm:.2f}; "
        f"{TO_FLOOR:g} floors less that {most:.2f}{verdict(cost, Target(most))}",
        flush=True,
    )


# -------------------------------------------------------------------------------------------------- fresh


def how_fresh(lake: Path) -> list[dict[str, float]]:
    """Stream 2,000 rows a second through a folder beside a server with one visitor: for each publication, when which rows came."""
    from gpulake.config import Config
    from gpulake.lake import Layout

    spool = fresh("follow-spool")
    config = Config(lake=lake)
    before = _visible(lake)
    made_at: list[float] = []
    stopped = threading.Event()
    producer = threading.Thread(target=_produce, args=(spool, config, made_at, stopped))
    producer.start()
    while not made_at:
        time.sleep(0.05)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    commands = (
        ("stream", "pai2020", "--from", str(spool), "--table", "pai_machine_metric", "--batch-seconds", "2"),
        ("refresh", "--follow", "2"),
        ("serve", "--port", str(port)),
    )
    running = [
        subprocess.Popen([GPULAKE, *words, "--lake", str(lake)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for words in commands
    ]
    visitor = threading.Thread(target=_visit, args=(f"http://127.0.0.1:{port}/machines", stopped))
    visitor.start()
    seen: list[dict[str, float]] = []
    began, known = time.monotonic(), Layout(lake).publication()
    try:
        while time.monotonic() - began < SECONDS:
            if (published := Layout(lake).publication()) != known:
                known, rows, at = published, _visible(lake) - before, time.monotonic()
                if rows > (seen[-1]["rows"] if seen else 0):
                    seen.append({"rows": rows, "at": at})
            time.sleep(0.1)
    finally:
        stopped.set()
        for process in running:
            process.terminate()
        for process in running:
            process.wait()
        producer.join()
        visitor.join()
    waited, shown = [], 0
    for each in seen:
        first, last = made_at[shown], made_at[int(each["rows"]) - 1]
        waited.append({"rows": each["rows"] - shown, "oldest_s": each["at"] - first, "newest_s": each["at"] - last})
        shown = int(each["rows"])
    return waited


def _visible(lake: Path) -> int:
    """The rows that whoever opens the lake is told of."""
    from gpulake.lake import open_publication

    with open_publication(lake) as reader:
        return int(reader.sql("SELECT count(*) AS n FROM lake.main.bronze_machine_metrics")["n"][0].as_py())


def _produce(spool: Path, config: Config, made_at: list[float], stopped: threading.Event) -> None:
    from gpulake.transports.spool import SpoolOutlet

    outlet, coming, began = SpoolOutlet(spool, partitions=2), _windows(config), time.monotonic()
    while not stopped.is_set():
        due = int((time.monotonic() - began) * ROWS_A_SECOND) - len(made_at)
        if due > 0:
            outlet.send(_TOPIC, [next(coming) for _ in range(due)])
            outlet.flush()
            made_at += [time.monotonic()] * due
        time.sleep(0.25)


def _visit(address: str, stopped: threading.Event) -> None:
    while not stopped.wait(1.0):
        try:
            urllib.request.urlopen(address, timeout=30).read()
        except OSError:
            continue


def _tell_freshness(waited: list[dict[str, Any]]) -> None:
    print(
        f"\n{ROWS_A_SECOND:,} rows a second for {SECONDS:.0f} s, followed, one visitor, load {os.getloadavg()[0]:.1f}"
    )
    if len(waited) < 2:
        print("  fewer than two publications: the run is too short", flush=True)
        return
    # The first publication waits for the commands to start.
    oldest = [each["oldest_s"] for each in waited[1:]]
    between = [later["rows"] / ROWS_A_SECOND for _, later in pairwise(waited)]
    print(
        f"  {len(waited)} publications, {median(between):.1f} s of rows in each; the newest row of one is "
        f"{median(each['newest_s'] for each in waited[1:]):.1f} s old when it can be read"
    )
    print(f"  the oldest row of one, produced to readable: median {median(oldest):.1f} s, at worst {max(oldest):.1f} s"
          f"{verdict(max(oldest), FRESH_S)}")  # fmt: skip
    sys.stdout.flush()


if __name__ == "__main__":
    print(HOME)
    main()
