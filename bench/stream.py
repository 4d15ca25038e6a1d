"""What landing a stream costs: beside the bare parse and commit, after many commits, and to whoever reads afterwards.

Messages are windows of machines, some 440 bytes each, out of a queue in memory: no broker's time is counted.
GPULAKE_BENCH_BATCHES (1000; a week of ten seconds each is 60480).
"""

from __future__ import annotations

import gc
import io
import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.measure import ROUNDS, Cost, Target, run_script, tell, verdict
from bench.traces import fresh

if TYPE_CHECKING:
    from gpulake.contract import Table
    from gpulake.lake import Writer

BATCHES = int(os.environ.get("GPULAKE_BENCH_BATCHES", "1000"))
_SOURCE, _TABLE = "pai2020", "pai_machine_metric"
_TOPIC = f"bench.{_TABLE}"
_BATCH = 10_000
_READ = "SELECT machine, avg(machine_gpu), count(*) FROM lake.main.bronze_machine_metrics GROUP BY ALL"


def main() -> None:
    """Rows a CPU second, later commits, reads, a batch that comes alone, one field more, one poison message."""
    streamed, bare = [], []
    for _ in range(ROUNDS):
        _, said = run_script(land_stream, fresh("stream"), 20, "plain")
        streamed.append(Cost(said["wall"], said["cpu"]))
        _, said = run_script(land_bare, fresh("stream-bare"), 20)
        bare.append(Cost(said["wall"], said["cpu"]))
    tell(
        f"200,000 messages, {_BATCH:,} a commit / polars.read_ndjson and a bare commit with one row of offsets",
        "gpulake stream",
        streamed,
        "bare",
        bare,
        cpu=Target(2.0),
    )
    for name, costs in (("stream", streamed), ("bare", bare)):
        print(f"  {name}: {200_000 / min(cost.cpu for cost in costs):,.0f} rows a CPU second")
    for kind, words in (("further", "a field that no column takes"), ("poison", "one poison message a batch")):
        _, said = run_script(land_stream, fresh("stream"), 20, kind)
        print(f"  with {words}: {200_000 / said['cpu']:,.0f} rows a CPU second")
    _, said = run_script(land_many, fresh("stream-many"), fresh("stream-bulk"), BATCHES)
    print(f"\n{BATCHES:,} commits of 100 rows")
    for what, value, most in (
        ("last 500 / first 100, CPU", said["later"], 1.4),
        ("merging and forgetting / landing, CPU", said["tending"], 0.1),
        ("reading all afterwards / one bulk landing, CPU", said["reading"], 1.3),
    ):
        print(f"  {what} {value:.3f}{verdict(value, Target(most))}")
    print(
        f"  a commit {said['commit_ms']:.1f} ms; live files {said['files']:.0f}, versions {said['versions']:.0f}, "
        f"catalog {said['catalog_mib']:.1f} MiB, files on disk {said['on_disk']:.0f}"
    )
    _, said = run_script(land_alone, fresh("stream-alone"))
    print(f"  a batch of 1,000 rows that comes alone, lock and all: {said['alone_ms']:.0f} ms of CPU")


def land_stream(lake: str, batches: str, kind: str) -> dict[str, float]:
    """Land all of a queue. The first batch makes the lake, and is not counted, as the bare work's lake is not."""
    from gpulake import stream
    from gpulake.transports.memory import Queue

    values = _messages((int(batches) + 1) * _BATCH, kind=kind)
    queue = Queue(partitions=1)
    consumer = _consumer(Path(lake), values[:_BATCH], stream.Batch(messages=_BATCH), queue=queue)

    def land(until: int) -> None:
        while consumer.done.messages < until:
            consumer.step(flush=True)

    land(_BATCH)
    for value in values[_BATCH:]:
        queue.put(_TOPIC, 0, value)
    return _timed(lambda: land(len(values)))[1]


def land_bare(lake: str, batches: str) -> dict[str, float]:
    """The same rows with as little as will do: no key is looked at, nothing is checked, nothing can be refused."""
    import polars as pl

    from gpulake.lake.connection import attach, connect

    values, table = _messages(int(batches) * _BATCH), _table()
    kinds = {"text": pl.String(), "number": pl.Float64(), "time": pl.String()}
    schema = {column.name: kinds[column.kind] for column in table.columns}
    folder = Path(lake)
    folder.mkdir()
    connection = connect()
    connection.execute("SET threads = 1")
    attach(connection, folder / "catalog.duckdb", folder / "data", alias="lake")
    connection.execute("CALL lake.set_option('data_inlining_row_limit', 0)")
    columns = ", ".join(f'"{name}" {"double" if kind == pl.Float64() else "varchar"}' for name, kind in schema.items())
    connection.execute(f"CREATE TABLE lake.t ({columns}); CREATE TABLE lake.o (partition bigint, next_offset bigint)")

    def land() -> None:
        for start in range(0, len(values), _BATCH):
            text = b"\n".join(values[start : start + _BATCH])
            arriving = pl.read_ndjson(io.BytesIO(text), schema=schema).to_arrow()
            connection.register("arriving", arriving)
            connection.execute("BEGIN; INSERT INTO lake.t FROM arriving")
            connection.execute("INSERT INTO lake.o VALUES (0, ?)", [start])
            connection.execute("COMMIT")

    return _timed(land)[1]


def land_many(lake: str, bulk: str, batches: str) -> dict[str, float]:
    """Many small commits, and the same rows landed at once: what commits, tending and reading cost."""
    from gpulake import stream, upkeep
    from gpulake.lake import writing
    from gpulake.landing import StretchLander

    commits: list[float] = []
    tending: list[float] = []
    _count(StretchLander, "land", commits)
    _count(upkeep, "tend", tending)
    values = _messages(int(batches) * 100)
    _consumer(Path(lake), values, stream.Batch(messages=100)).run(stopping=lambda: False, once=True)
    with writing(Path(lake), purpose="bench") as writer:
        shape = _shape(writer)
    landed = list(commits)
    _consumer(Path(bulk), values, stream.Batch(messages=len(values), bytes=1 << 40)).run(
        stopping=lambda: False, once=True
    )
    return {
        "later": _mean(landed[-500:]) / _mean(landed[:100]),
        "tending": sum(tending) / sum(landed),
        "reading": _read(Path(lake)) / _read(Path(bulk)),
        "commit_ms": 1000 * _mean(landed),
        "on_disk": len(list(Path(lake).rglob("*.parquet"))),
        **shape,
    }


def land_alone(lake: str) -> dict[str, float]:
    """Batches so far apart that each takes the lock by itself."""
    from gpulake import stream
    from gpulake.transports.memory import Queue

    values = _messages(21_000)
    queue = Queue(partitions=1)
    queue.make(_TOPIC)
    consumer = _consumer(Path(lake), [], stream.Batch(messages=1000), queue=queue)

    def land(start: int) -> None:
        for value in values[start : start + 1000]:
            queue.put(_TOPIC, 0, value)
        consumer.step()

    land(0)
    consumer.step(flush=True)
    _, cost = _timed(lambda: [land(start) for start in range(1000, 21_000, 1000)])
    assert consumer.done.messages == 21_000, consumer.done
    return {"alone_ms": 1000 * cost["cpu"] / 20}


def _consumer(lake: Path, values: Sequence[bytes], batch: Any, queue: Any = None) -> Any:
    from gpulake import stream
    from gpulake.config import Config
    from gpulake.sources import all_sources
    from gpulake.transports import address
    from gpulake.transports.memory import Queue

    queue = queue or Queue(partitions=1)
    for value in values:
        queue.put(_TOPIC, 0, value)
    (source,) = (each for each in all_sources() if each.name == _SOURCE)
    topics = stream.topics_of(address(f"kafka://nobody:1/{_TOPIC}"), [source])

    class Consumer(stream.Consumer):
        def _land_shipped(self, writer: Writer) -> None:
            """What comes with gpulake lands in every lake, once: it is no part of a stream."""

    return Consumer(Config(lake=lake), queue.consumer([_TOPIC]), topics, batch=batch)


def _messages(number: int, *, kind: str = "plain") -> list[bytes]:
    table = _table()
    numbers = [column.name for column in table.columns if column.kind == "number"]
    further = {"driver": "550.54"} if kind == "further" else {}
    made = []
    for at in range(number):
        start = 600.0 * (at // 500)
        row = {
            **{name: round((at * 7919 + place * 104_729) % 100_003 / 1000, 4) for place, name in enumerate(numbers)},
            "worker_name": f"{at:060x}",
            "machine": f"{at % 500:024x}",
            "start_time": start,
            "end_time": start + 600,
            **further,
        }
        made.append(json.dumps(row).encode())
    if kind == "poison":
        made[_BATCH // 2 :: _BATCH] = [b"{"] * len(made[_BATCH // 2 :: _BATCH])
    return made


def _table() -> Table:
    from gpulake.sources import all_sources

    (found,) = (table for source in all_sources() for table in source.tables if table.name == _TABLE)
    return found


def _timed(work: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    gc.set_threshold(100_000)  # as the command does
    wall, cpu = time.perf_counter(), time.process_time()
    done = work()
    return done, {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


def _count(owner: Any, name: str, into: list[float]) -> None:
    real = getattr(owner, name)

    def counted(*given: Any, **options: Any) -> Any:
        started = time.process_time()
        try:
            return real(*given, **options)
        finally:
            into.append(time.process_time() - started)

    setattr(owner, name, counted)


def _shape(writer: Writer) -> dict[str, float]:
    files = writer.sql("SELECT sum(file_count)::bigint AS n FROM ducklake_table_info('lake')")["n"][0].as_py()
    size = writer.layout.catalog.stat().st_size
    return {"files": files, "versions": writer.count_versions(), "catalog_mib": size / 2**20}


def _read(lake: Path) -> float:
    """CPU seconds of the same question asked ten times, the first one left out."""
    from gpulake.lake import open_newest

    with open_newest(lake) as view:
        assert view is not None
        view.sql(_READ)
        return _timed(lambda: [view.sql(_READ) for _ in range(10)])[1]["cpu"]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


if __name__ == "__main__":
    main()
