"""What plain data looks like: an empty file and a JSON schema of each table, and one filled day that is read whole.

The example's figures can be told by hand: two machines of four GPUs have 192 GPU-hours in a day, its three jobs hold 24, 4
and 24 of them, wait 10, 60 and 120 minutes, and one of them fails.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from io import StringIO
from pathlib import Path

from gpulake.contract import Column, Table
from gpulake.sources import plain
from gpulake.whole import write_whole

_DAY = datetime(2026, 1, 15)  # noqa: DTZ001  # UTC, as everything here
_STEP = timedelta(minutes=10)
_GIB = 2**30
_GPUS = 4

Rows = Sequence[Mapping[str, object]]


@dataclass(frozen=True)
class Written:
    """The files that a template is made of, by what they are."""

    empty: tuple[Path, ...]
    schema: tuple[Path, ...]
    example: tuple[Path, ...]

    def as_json(self) -> dict[str, object]:
        """For machines."""
        return {name: [str(file) for file in getattr(self, name)] for name in ("empty", "schema", "example")}


def write(out: Path) -> Written:
    """Write `empty`, `schema` and `example` below a folder, each file whole. Raises OSError where it cannot be written."""
    tables = {table.name: table for table in plain.SOURCE.tables}
    empty = {f"{name}.csv": _csv(table.column_names, []) for name, table in tables.items()}
    schema = {f"{name}.schema.json": json.dumps(schema_of(table), indent=2) + "\n" for name, table in tables.items()}
    filled = {f"{name}.csv": _csv(tuple(rows[0]), rows) for name, rows in example().items()}
    return Written(*(tuple(_files(out / name, texts)) for name, texts in zip(
        ("empty", "schema", "example"), (empty, schema, filled), strict=True
    )))  # fmt: skip


def _files(folder: Path, texts: Mapping[str, str]) -> Iterator[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        write_whole(folder / name, text.encode())
        yield folder / name


def _csv(names: Sequence[str], rows: Rows) -> str:
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([_written(row[name]) for name in names] for row in rows)
    return text.getvalue()


def _written(value: object) -> object:
    match value:
        case datetime():
            return f"{value.isoformat()}Z"
        case None:
            return ""
        case _:
            return value


# ------------------------------------------------------------------------------------------------ schema


def schema_of(table: Table) -> dict[str, object]:
    """The JSON schema of one row: an object of a file of JSON lines. Further keys are allowed, and left out."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": table.name,
        "type": "object",
        "properties": {column.name: _schema_of(column) for column in table.columns},
        "required": list(table.needed_names),
    }


_TEXT: dict[str, object] = {"type": ["string", "number"]}
_NUMBER: dict[str, object] = {"type": "number"}
_TIME: tuple[dict[str, object], ...] = (
    {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}([.,]\d{1,9})?)?([Zz]|[+-]\d{2}(:?\d{2})?)?)?$"},
    {"type": ["string", "number"], "description": "seconds since 1970", "pattern": r"^\d{1,11}(\.\d*)?$"},
)  # fmt: skip


def _schema_of(column: Column) -> dict[str, object]:
    described: dict[str, object] = {"description": column.unit} if column.unit else {}
    ways: dict[str, tuple[dict[str, object], ...]] = {"text": (_TEXT,), "number": (_NUMBER,), "time": _TIME}
    kinds = ways[column.kind] if column.required else (*ways[column.kind], {"type": "null"})
    return {**described, **kinds[0]} if len(kinds) == 1 else {**described, "anyOf": list(kinds)}


# ----------------------------------------------------------------------------------------------- example


@dataclass(frozen=True)
class _Held:
    """What a job holds on one machine; on the GPUs of `idle` nothing runs."""

    job_id: str
    machine_id: str
    gpus: tuple[int, ...]
    start: datetime
    end: datetime
    idle: tuple[int, ...] = ()


def _at(hour: int, minute: int = 0) -> datetime:
    return _DAY + timedelta(hours=hour, minutes=minute)


_A100, _V100 = "NVIDIA A100-SXM4-80GB", "Tesla V100-SXM2-16GB"
_MACHINES = {"node01": _A100, "node02": _V100}
_MEMORY = {_A100: 80 * _GIB, _V100: 16 * _GIB}
_POWER = {_A100: 400, _V100: 300}
_HELD = (
    _Held("1001", "node01", (0, 1, 2, 3), _at(8, 10), _at(14, 10)),
    _Held("1002", "node02", (0, 1), _at(10), _at(12), idle=(1,)),
    _Held("1003", "node01", (0, 1, 2, 3), _at(15), _at(18)),
    _Held("1003", "node02", (0, 1, 2, 3), _at(15), _at(18)),
)


def example() -> dict[str, Rows]:
    """The rows of one day, by table."""
    return {
        "plain_jobs": _jobs(),
        "plain_allocations": [
            {
                "job_id": held.job_id,
                "machine_id": held.machine_id,
                "started_at": held.start,
                "ended_at": held.end,
                "gpu_count": len(held.gpus),
                "gpu_indices": ",".join(map(str, held.gpus)),
            }
            for held in _HELD
        ],
        "plain_machines": [
            {"machine_id": name, "gpu_model": model, "gpu_count": _GPUS, "cpu_cores": 64, "memory_bytes": 512 * _GIB}
            for name, model in _MACHINES.items()
        ],
        "plain_gpus": [
            {
                "machine_id": machine,
                "gpu_index": index,
                "gpu_uuid": _uuid(machine, index),
                "gpu_model": model,
                "memory_bytes": _MEMORY[model],
                "pci_bus_id": f"00000000:{0x10 + 0x20 * index:02x}:00.0",
                "driver_version": "570.86.15",
                "seen_at": _DAY,
            }
            for machine, model in _MACHINES.items()
            for index in range(_GPUS)
        ],
        "plain_gpu_samples": [
            _gpu_sample(machine, index, at)
            for at in _times()
            for machine in _MACHINES
            for index in range(_GPUS)
        ],
        "plain_machine_samples": [_machine_sample(machine, at) for at in _times() for machine in _MACHINES],
        "plain_events": [
            {
                "machine_id": "node02",
                "happened_at": _at(11, 59),
                "kind": "xid",
                "code": 31,
                "gpu_index": 0,
                "gpu_uuid": _uuid("node02", 0),
                "event_count": 1,
                "message": "MMU fault",
                "job_id": "1002",
            }
        ],
        "plain_machine_states": [
            {"machine_id": "node02", "state": "down", "from_at": _at(20), "to_at": _at(20, 30), "state_reason": "new kernel"}
        ],
    }  # fmt: skip


def _jobs() -> Rows:
    names = (
        "job_id", "submitted_at", "started_at", "ended_at", "status", "user_id", "group_id", "queue", "gpu_request_count",
        "cpu_request_cores", "memory_request_bytes", "gpu_model_request", "recurrence_id", "workload_tag",
    )  # fmt: skip
    rows = (
        ("1001", _at(8), _at(8, 10), _at(14, 10), "COMPLETED", "ada", "vision", "batch", 4, 32, 256 * _GIB, _A100, "resnet", "training"),
        ("1002", _at(9), _at(10), _at(12), "FAILED", "bob", "language", "batch", 2, 16, 64 * _GIB, _V100, "tuning", "training"),
        ("1003", _at(13), _at(15), _at(18), "COMPLETED", "bob", "language", "large", 8, 64, 512 * _GIB, None, None, "training"),
    )  # fmt: skip
    return [dict(zip(names, row, strict=True)) for row in rows]


def _times() -> Iterator[datetime]:
    """Every ten minutes of the day."""
    yield from (_DAY + _STEP * number for number in range(timedelta(days=1) // _STEP))


def _uuid(machine: str, index: int) -> str:
    return f"GPU-00000000-0000-0000-0000-{int(machine[-2:]):06d}{index:06d}"


def _ripple(machine: str, index: int, at: datetime) -> int:
    """From 0 to 10, and never the same for long: what is measured is not flat."""
    return (at.hour * 6 + at.minute // 10 + 7 * index + 5 * int(machine[-2:])) * 7 % 11


def _holder(machine: str, index: int, at: datetime) -> _Held | None:
    found = (h for h in _HELD if h.machine_id == machine and index in h.gpus and h.start <= at < h.end)
    return next(found, None)


def _gpu_sample(machine: str, index: int, at: datetime) -> dict[str, object]:
    model, held, ripple = _MACHINES[machine], _holder(machine, index, at), _ripple(machine, index, at)
    busy = held is not None and index not in held.idle
    return {
        "machine_id": machine,
        "gpu_index": index,
        "gpu_uuid": _uuid(machine, index),
        "sampled_at": at,
        "interval_s": int(_STEP.total_seconds()),
        "sample_kind": "instant",
        "gpu_util_pct": 85 + ripple if busy else 0,
        "memory_used_bytes": (_MEMORY[model] * 3 // 4 if busy else _GIB if held else 0),
        "memory_total_bytes": _MEMORY[model],
        "power_w": _POWER[model] * 8 // 10 + ripple if busy else 55 + ripple // 2,
        "power_limit_w": _POWER[model],
        "temperature_c": 58 + ripple if busy else 31 + ripple // 5,
        "sm_clock_hz": 1_400_000_000 + 1_000_000 * ripple if busy else 210_000_000,
        "clocks_event_reasons": 0 if busy else 1,
        "ecc_sbe_volatile": 0,
        "ecc_dbe_volatile": 0,
        "remapped_rows_correctable": 0,
        "pcie_replays": 0,
        "nvlink_errors": 0,
    }


def _machine_sample(machine: str, at: datetime) -> dict[str, object]:
    busy = sum(_holder(machine, index, at) is not None for index in range(_GPUS))
    return {
        "machine_id": machine,
        "sampled_at": at,
        "interval_s": int(_STEP.total_seconds()),
        "cpu_util_pct": 2 + 11 * busy + _ripple(machine, 0, at) / 10,
        "memory_used_bytes": (16 + 60 * busy) * _GIB,
        "memory_total_bytes": 512 * _GIB,
        "load_1": 1 + 8 * busy,
        "net_rx_bytes_per_s": 2_000_000 + 90_000_000 * busy,
    }
