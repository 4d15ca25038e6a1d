"""What is doubtful in plain data before it lands: names that nothing bears, times that run backwards, amounts in other units."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from gpulake.contract import Doubt

if TYPE_CHECKING:
    import polars as pl

Tables = Mapping[str, "pl.LazyFrame"]

STATES = frozenset(
    [
        "up",
        "ready",
        "online",
        "idle",
        "mixed",
        "allocated",
        "down",
        "offline",
        "notready",
        "failed",
        "lost",
        "drained",
        "draining",
        "drain",
        "cordoned",
        "maintenance",
    ]
)
"""The words for a machine's state that have a common word."""

KINDS = frozenset(
    [
        "xid",
        "sxid",
        "ecc_sbe",
        "ecc_dbe",
        "row_remap",
        "nvlink",
        "pcie",
        "thermal",
        "power",
        "gpu_lost",
        "gpu_reset",
        "oom",
        "nccl",
        "node_down",
        "node_up",
        "reboot",
    ]
)
"""The kinds of events that are told apart."""

_SKEW = timedelta(minutes=5)
_OLDEST = datetime(2000, 1, 1)  # noqa: DTZ001  # the lake keeps UTC without a zone
_LIST = r"^\s*\[?\s*\d{1,4}(\s*[,; ]\s*\d{1,4})*\s*\]?\s*$"

_REFERENCES = (
    ("plain_allocations", "job_id", "plain_jobs"),
    ("plain_allocations", "machine_id", "plain_machines"),
    ("plain_jobs", "machine_id", "plain_machines"),
    ("plain_gpus", "machine_id", "plain_machines"),
    ("plain_gpu_samples", "machine_id", "plain_machines"),
    ("plain_machine_samples", "machine_id", "plain_machines"),
    ("plain_events", "machine_id", "plain_machines"),
    ("plain_machine_states", "machine_id", "plain_machines"),
)

_ORDER = (
    ("plain_jobs", "submitted_at", "started_at"),
    ("plain_jobs", "started_at", "ended_at"),
    ("plain_machines", "valid_from_at", "valid_to_at"),
)


@dataclass(frozen=True)
class _Bound:
    """What the largest value of a column shows: above `above`, or above 0 and below `below`, it is in another unit."""

    columns: tuple[str, ...]
    unit: str
    likely: str
    above: float = float("inf")
    below: float = 0.0


_UNITS = (
    _Bound(("gpu_util_pct", "mem_copy_util_pct", "cpu_util_pct"), "percent, 0 to 100", "ratios", below=1.000001),
    _Bound(
        ("gr_engine_active_ratio", "sm_active_ratio", "sm_occupancy_ratio", "tensor_active_ratio", "dram_active_ratio", "gpu_share_ratio"),
        "ratios, 0 to 1", "percent", above=1.5,
    ),
    _Bound(("memory_bytes", "memory_total_bytes", "memory_request_bytes"), "bytes", "MiB or GiB", below=2.0**27),
    _Bound(("memory_used_bytes",), "bytes", "MiB or GiB", below=2.0**22),
    _Bound(("sm_clock_hz", "mem_clock_hz"), "Hz", "MHz", below=1e7),
    _Bound(("power_w", "power_limit_w"), "W", "mW", above=20_000),
    _Bound(("temperature_c", "memory_temperature_c"), "degrees Celsius", "Fahrenheit or Kelvin", above=130),
)  # fmt: skip


def doubts(tables: Tables, /, *, now: datetime, status_words: frozenset[str]) -> Iterator[Doubt]:
    """Everything that is doubtful in the tables that are there, the plainest first."""
    for table, column, of in _REFERENCES:
        if table in tables and of in tables:
            yield from _unknown(tables[table], table, column, tables[of], of)
    for table, first, second in _ORDER:
        if table in tables:
            yield from _backwards(tables[table], table, first, second)
    for table, rows in tables.items():
        yield from _of_another_age(rows, table, now)
        yield from _in_other_units(rows, table)
    yield from _words(tables, status_words)
    if "plain_allocations" in tables:
        yield from _parted(tables["plain_allocations"])
        yield from _lists(tables["plain_allocations"])
        if "plain_machines" in tables:
            yield from _beyond_machines(tables["plain_allocations"], tables["plain_machines"], now)


def _unknown(rows: pl.LazyFrame, table: str, column: str, others: pl.LazyFrame, of: str) -> Iterator[Doubt]:
    import polars as pl

    key = "job_id" if column == "job_id" else "machine_id"
    known = others.select(pl.col(key).alias(column)).unique()
    lost = rows.filter(pl.col(column).is_not_null()).join(known, on=column, how="anti")
    yield from _doubt(
        lost, table, f"a {column} that {of} does not have", shown=column, do=f"add it to {of}, or mend its name"
    )


def _backwards(rows: pl.LazyFrame, table: str, first: str, second: str) -> Iterator[Doubt]:
    import polars as pl

    wrong = rows.filter(pl.col(second) < pl.col(first))
    do = "compare the clocks, and the zones, of who writes them"
    yield from _doubt(wrong, table, f"{second} is before {first}", shown=second, do=do)


def _of_another_age(rows: pl.LazyFrame, table: str, now: datetime) -> Iterator[Doubt]:
    import polars as pl

    for name, dtype in rows.collect_schema().items():
        if dtype.is_temporal():
            late = rows.filter(pl.col(name) > now + _SKEW)
            do = "check the zone: a time without an offset is read as local time of the cluster's zone"
            yield from _doubt(late, table, f"{name} is in the future", shown=name, do=do)
            early = rows.filter(pl.col(name) < _OLDEST)
            do = "write a date with dashes: digits alone are seconds since 1970"
            yield from _doubt(early, table, f"{name} is before the year 2000", shown=name, do=do)


def _in_other_units(rows: pl.LazyFrame, table: str) -> Iterator[Doubt]:
    import polars as pl

    there = rows.collect_schema().names()
    for bound in _UNITS:
        columns = [name for name in bound.columns if name in there]
        if not columns:
            continue
        found = rows.select(
            *(pl.col(name).max().alias(f"{name} max") for name in columns),
            *((pl.col(name) > 0).sum().alias(f"{name} count") for name in columns),
        ).collect()
        for name in columns:
            most, count = found[f"{name} max"][0], found[f"{name} count"][0]
            if most is not None and (most > bound.above or 0 < most < bound.below):
                what = f"{name} goes up to {most:.6g}: it is meant in {bound.unit}, and these look like {bound.likely}"
                yield Doubt(table, what, int(count), do=f"write it in {bound.unit}, or leave the column out")


def _words(tables: Tables, status_words: frozenset[str]) -> Iterator[Doubt]:
    import polars as pl

    if status_words:
        for table in ("plain_jobs", "plain_allocations"):
            if table in tables:
                strange = tables[table].filter(
                    pl.col("status").is_not_null() & ~pl.col("status").is_in(list(status_words))
                )
                yield from _doubt(
                    strange, table, "a status that no common word is known for: it is read as unknown", shown="status",
                    do="use a word of the reference",
                )  # fmt: skip
    for table, column, words in (("plain_machine_states", "state", STATES), ("plain_events", "kind", KINDS)):
        if table in tables:
            word = pl.col(column).str.strip_chars().str.to_lowercase()
            strange = tables[table].filter(~word.is_in(list(words)))
            what = f"a {column} that is none of those known"
            yield from _doubt(strange, table, what, shown=column, do="use a word of the reference")


def _parted(allocations: pl.LazyFrame) -> Iterator[Doubt]:
    """Whole devices of one attempt on one machine in several rows: only one of them would stand."""
    import polars as pl

    attempt = pl.coalesce(pl.col("attempt_id"), pl.col("started_at").cast(pl.String))
    whole = allocations.filter(pl.col("mig_id").is_null())
    again = whole.filter(~pl.struct("job_id", "machine_id", attempt=attempt).is_first_distinct())
    what = "an earlier row is of the same attempt on the same machine: one of them stands"
    yield from _doubt(again, "plain_allocations", what, shown="job_id", do="write all devices of it into one row")


def _lists(allocations: pl.LazyFrame) -> Iterator[Doubt]:
    import polars as pl

    unread = allocations.filter(pl.col("gpu_indices").is_not_null() & ~pl.col("gpu_indices").str.contains(_LIST))
    what = "gpu_indices is no list of numbers, so nobody knows which devices are meant"
    yield from _doubt(unread, "plain_allocations", what, shown="gpu_indices", do="write them as 0,1,2")


def _beyond_machines(allocations: pl.LazyFrame, machines: pl.LazyFrame, now: datetime) -> Iterator[Doubt]:
    """More held at once than a machine has, and devices that are held twice at once, or that it does not have."""
    import polars as pl

    listed = pl.when(pl.col("gpu_indices").str.contains(_LIST)).then(pl.col("gpu_indices").str.extract_all(r"\d+"))
    share = pl.col("gpu_share_ratio").fill_null(1.0)
    held = (
        allocations.filter(pl.col("started_at").is_not_null())
        .unique(["job_id", "machine_id", "started_at", "gpu_indices", "mig_id"], keep="last", maintain_order=True)
        .with_columns(indices=listed, share=share, ended_at=pl.col("ended_at").fill_null(pl.lit(now)))
        .with_columns(gpus=pl.coalesce(pl.col("gpu_count"), pl.col("indices").list.len() * share).fill_null(0.0))
        .filter(pl.col("ended_at") > pl.col("started_at"))
    )
    has = machines.group_by("machine_id").agg(has=pl.col("gpu_count").max())
    table = "plain_allocations"
    over = (
        _levels(held, "gpus", ["machine_id"]).join(has, on="machine_id").filter(pl.col("level") > pl.col("has") + 1e-6)
    )
    do = "compare gpu_count of the machines and of the allocations, and their times"
    yield from _doubt(over, table, "more GPUs held at once than the machine has", shown="machine_id", do=do)
    devices = held.filter(pl.col("mig_id").is_null()).explode("indices").filter(pl.col("indices").is_not_null())
    devices = devices.with_columns(gpu_index=pl.col("indices").cast(pl.Int64))
    beyond = devices.join(has, on="machine_id").filter(pl.col("gpu_index") >= pl.col("has"))
    what = "a GPU index that the machine does not have (they are counted from 0)"
    yield from _doubt(beyond, table, what, shown="gpu_indices", do="count them from 0")
    twice = _levels(devices, "share", ["machine_id", "gpu_index"]).filter(pl.col("level") > 1 + 1e-6)
    do = "write gpu_share_ratio where a device is shared"
    yield from _doubt(twice, table, "a device held twice at once", shown="machine_id", do=do)


def _levels(held: pl.LazyFrame, amount: str, keys: list[str]) -> pl.LazyFrame:
    """The starts, each with what is held from then on: an end at the same moment comes first."""
    import polars as pl

    begins = held.select(*keys, "file", "source_row", at="started_at", change=pl.col(amount), is_start=pl.lit(1))
    ends = held.select(*keys, "file", "source_row", at="ended_at", change=-pl.col(amount), is_start=pl.lit(0))
    moves = pl.concat([begins, ends]).sort(*keys, "at", "is_start", "file", "source_row")
    return moves.with_columns(level=pl.col("change").cum_sum().over(keys)).filter(pl.col("is_start") == 1)


def _doubt(rows: pl.LazyFrame, table: str, what: str, *, shown: str, do: str) -> Iterator[Doubt]:
    """A doubt of these rows, with the value of the first of them."""
    import polars as pl

    found = (
        rows.select(pl.len().alias("rows"), pl.col("file", "source_row", shown).first()).collect().row(0, named=True)
    )
    if found["rows"]:
        yield Doubt(table, f"{what}, as '{found[shown]}'", found["rows"], f"{found['file']}:{found['source_row']}", do)
