"""Ten readers of `gpulake serve`, alone and while refreshes deliver and publish: how long each page lets them wait.

Each asks for a page, reads it for a second, and goes on to another: of jobs, users, machines and days not always the same, and
in each phase others. How long the first visitors after the server's start wait is told apart.
At GPULAKE_BENCH_SCALE=1 the lake is of the real trace's size, and takes a quarter of an hour to make.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import socket
import subprocess
import threading
import time
from collections import defaultdict
from itertools import chain
from pathlib import Path
from statistics import quantiles
from urllib.parse import quote

from bench.deliveries import held_back
from bench.measure import GPULAKE, PYTHON, Target, run, verdict
from bench.traces import SCALE, kept, trace

DAYS, DAY, ROWS, DELIVERIES = 62, 40, 1_000, 8
READERS, READS_FOR_S, SECONDS = 10, 1.0, float(os.environ.get("GPULAKE_BENCH_SECONDS", "60"))
THINGS = 200
P50_MS, P99_MS, WITH_WRITER, FIRST_PAGE_KB = Target(100), Target(300), Target(2), Target(300)
PAGES = ("/", "/anomalies", "/jobs", "/users", "/machines", "/queue", "/cost", "/alerts", "/data")
NAMED = {
    "/jobs/": "select job_id as name from gold_jobs order by idle_held_gpu_h desc nulls last",
    "/users/": "select user_id as name from gold_user_gpu_usage_daily group by all order by sum(allocated_gpu_h) desc",
    "/machines/": "select machine_id as name from gold_machine_util_daily group by all order by sum(allocated_gpu_h) desc nulls last",
    "/days/": "select date_diff('day', date '1970-01-01', dt)::varchar as name from gold_cluster_util_daily order by dt",
}

Waits = dict[str, list[float]]
ALONE, BESIDE = range(2)
"""Which pages are asked for, and when, is drawn anew in each phase: what was asked for in one is no visit before in the other."""


def main() -> None:
    """What readers wait, alone and beside a writer; and how large the first page is."""
    whole, _, late = held_back(trace(), days=DAYS, day=DAY, rows=ROWS, parts=DELIVERIES)
    home = kept("pages")
    lake = home / "lake"
    if not (home / "complete").exists():
        print(f"making a lake in {home}", flush=True)
        run([GPULAKE, "refresh", "--data", str(whole), "--lake", str(lake), "--json"])
        (home / "complete").touch()
    names = {path: _names(lake, query) for path, query in NAMED.items()}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [GPULAKE, "serve", "--lake", str(lake), "--port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(port)
        first_kb, first = _first_visits(port)
        alone = _read(port, names, phase=ALONE)
        writer = threading.Thread(target=_deliver, args=(lake, late), daemon=True)
        writer.start()
        beside = _read(port, names, phase=BESIDE)
        writer.join()
    finally:
        server.terminate()
        server.wait()
    print(f"\nfirst visits after the server's start: ms (scale {SCALE:g})")
    print("  " + ", ".join(f"{path} {ms:.0f}" for path, ms in first.items()))
    _tell(alone, beside)
    print(f"  the first page has {first_kb:.0f} KB{verdict(first_kb, FIRST_PAGE_KB)}", flush=True)


def _names(lake: Path, query: str) -> list[str]:
    answer = lake.with_name("names.json")
    run([GPULAKE, "sql", f"from ({query}) limit {THINGS}", "--lake", str(lake), "--json"], answer=answer)
    return [quote(row["name"], safe="") for row in json.loads(answer.read_text())]


def _wait_for(port: int) -> None:
    until = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=60).close()
        except ConnectionRefusedError:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)
        else:
            return


def _answered(port: int, path: str) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path)
        reply = connection.getresponse()
        body = reply.read()
    finally:
        connection.close()
    if reply.status != http.client.OK:
        raise RuntimeError(f"{path}: {reply.status}")
    return body


def _first_visits(port: int) -> tuple[float, dict[str, float]]:
    """How large the first page is, in KB, and how long each page takes that has not been asked for; in ms."""
    waits = {}
    first_kb = 0.0
    for path in PAGES:
        asked = time.monotonic()
        body = _answered(port, path)
        waits[path] = (time.monotonic() - asked) * 1_000
        first_kb = first_kb or len(body) / 1024
    return first_kb, waits


READ = """
import json, sys
from bench.pages_with_readers import read_for
print(json.dumps(read_for(*json.loads(sys.argv[1]))))
"""


def _read(port: int, names: dict[str, list[str]], *, phase: int) -> Waits:
    """In a process of its own: readers and writer must not wait for one another's interpreter."""
    given = json.dumps([port, names, phase])
    found = subprocess.run([PYTHON, "-c", READ, given], capture_output=True, text=True, check=True)
    return dict(json.loads(found.stdout))


def read_for(port: int, names: dict[str, list[str]], phase: int) -> Waits:
    """All readers for some seconds: milliseconds that each page took, from the first byte asked to the last one come."""
    waits: Waits = defaultdict(list)
    until = time.monotonic() + SECONDS

    def go(reader: int) -> None:
        dice = random.Random(phase * READERS + reader)
        time.sleep(dice.random() * READS_FOR_S)
        while time.monotonic() < until:
            kind = dice.choice([*PAGES, *names])
            path = kind + dice.choice(names[kind]) if kind in names else kind
            asked = time.monotonic()
            _answered(port, path)
            waits[kind].append((time.monotonic() - asked) * 1_000)
            time.sleep(READS_FOR_S * dice.uniform(0.5, 1.5))

    readers = [threading.Thread(target=go, args=(reader,)) for reader in range(READERS)]
    for each in readers:
        each.start()
    for each in readers:
        each.join()
    return waits


def _deliver(lake: Path, late: list[Path]) -> None:
    until = time.monotonic() + SECONDS
    for delivery in late:
        if time.monotonic() < until:
            run([GPULAKE, "refresh", "--data", str(delivery), "--lake", str(lake), "--json"])


def _percentiles(waits: list[float]) -> tuple[float, float]:
    cuts = quantiles(waits, n=100) if len(waits) > 1 else [waits[0]] * 99
    return cuts[49], cuts[98]


def _tell(alone: Waits, beside: Waits) -> None:
    print(f"\n{READERS} readers for {SECONDS:.0f} s, a page each second: ms (scale {SCALE:g})")
    print(f"  {'':14} {'alone':>13}  {'beside refreshes':>18}")
    print(f"  {'page':14} {'p50':>6} {'p99':>6}  {'p50':>8} {'p99':>9}")
    for kind in [*PAGES, *NAMED]:
        parts = [_percentiles(waits[kind]) for waits in (alone, beside) if waits.get(kind)]
        print(f"  {kind:14} " + "  ".join(f"{p50:8.0f} {p99:9.0f}" for p50, p99 in parts))
    (p50, p99), (_, beside_p99) = (_percentiles([*chain(*waits.values())]) for waits in (alone, beside))
    print(f"  all pages: p50 {p50:.0f}{verdict(p50, P50_MS)}, p99 {p99:.0f}{verdict(p99, P99_MS)}")
    print(
        f"  p99 beside refreshes / alone {beside_p99 / p99:.1f}{verdict(beside_p99 / p99, WITH_WRITER)}, {beside_p99:.0f} ms"
    )


if __name__ == "__main__":
    main()
