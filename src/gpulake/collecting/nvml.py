"""Measure the GPUs of this machine through NVIDIA's library, every few seconds, for as long as it is left running.

Samples are kept for some minutes and land together, as plain data. A GPU that falls off the bus is an event, and the
others are measured on; it is asked again each time, and measured again once it is back.
"""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

from gpulake import clock
from gpulake.collecting import Asked, Collector, Fetched, Option
from gpulake.collecting.kernel import machine_name
from gpulake.collecting.nvml_devices import Device, LostError, devices, sample
from gpulake.collecting.periods import seconds
from gpulake.errors import SourceError, UsageError

DEFAULT_EVERY_S, DEFAULT_ROTATE_S = 10.0, 300.0
_LEAST_EVERY_S = 0.1

SAMPLE_NUMBERS = (
    "gpu_index",
    "gpu_util_pct",
    "mem_copy_util_pct",
    "memory_used_bytes",
    "memory_total_bytes",
    "power_w",
    "power_limit_w",
    "energy_j",
    "temperature_c",
    "memory_temperature_c",
    "sm_clock_hz",
    "mem_clock_hz",
    "clocks_event_reasons",
    "pcie_rx_bytes_per_s",
    "pcie_tx_bytes_per_s",
    "ecc_sbe_volatile",
    "ecc_dbe_volatile",
    "ecc_sbe_aggregate",
    "ecc_dbe_aggregate",
    "remapped_rows_correctable",
    "remapped_rows_uncorrectable",
    "row_remap_pending",
    "row_remap_failed",
    "pcie_replays",
    "nvlink_errors",
)
_TABLES: Mapping[str, tuple[str, ...]] = {
    "gpu_samples": ("machine_id", "sampled_at", "interval_s", "sample_kind", "gpu_uuid", "mig_id", *SAMPLE_NUMBERS),
    "gpus": (
        "machine_id",
        "gpu_index",
        "gpu_uuid",
        "mig_id",
        "mig_profile",
        "gpu_model",
        "memory_bytes",
        "pci_bus_id",
        "driver_version",
        "seen_at",
    ),
    "events": ("machine_id", "happened_at", "kind", "gpu_index", "gpu_uuid", "pci_bus_id", "message"),
}
_NUMBERS = {*SAMPLE_NUMBERS, "interval_s", "memory_bytes"}
_TIMES = {"sampled_at", "seen_at", "happened_at"}


@dataclass(frozen=True)
class Watch:
    """The time, and how it is waited for."""

    now: Callable[[], datetime] = clock.now
    sleep: Callable[[float], None] = time.sleep


def collect(asked: Asked, *, nvml: Any = None, watch: Watch | None = None) -> Iterator[Fetched]:  # the module
    """Files of samples, sightings and events, until the time asked for is over or somebody stops it.

    Raises SourceError without a driver, a GPU or the library.
    """
    with opened(nvml) as library:
        yield from _Run(asked, library, watch or Watch()).files()


@contextmanager
def opened(nvml: Any = None) -> Iterator[Any]:  # the module
    """NVML, ready to be asked. Raises UsageError without the library, SourceError without a driver."""
    nvml = nvml or _library()
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        raise SourceError(
            f"NVIDIA's driver does not answer: {error}.",
            where="NVML",
            do="run it on a machine with NVIDIA GPUs: nvidia-smi",
        ) from error
    try:
        yield nvml
    finally:
        nvml.nvmlShutdown()


def plan(asked: Asked) -> Sequence[str]:
    """What would be measured."""
    every_s, for_s = _every_s(asked), _for_s(asked)
    ends = f"for {for_s:g} s" if for_s else "until it is stopped"
    return (
        f"all GPUs of {_machine(asked)} every {every_s:g} s, {ends}; what was measured lands every {_rotate_s(asked):g} s",
    )


@dataclass
class _Run:
    """What has been measured and not yet handed out."""

    asked: Asked
    nvml: Any  # the module
    watch: Watch
    rows: dict[str, list[dict[str, object]]] = field(default_factory=lambda: {name: [] for name in _TABLES})
    known: dict[int, Device] = field(default_factory=dict)
    lost: set[int] = field(default_factory=set)

    def files(self) -> Iterator[Fetched]:
        every_s, started = _every_s(self.asked), self.watch.now()
        ends_s = _for_s(self.asked) or float("inf")
        rotated = started
        tick = 0
        try:
            while tick * every_s < ends_s:
                self.wait(started + timedelta(seconds=tick * every_s))
                self.measure()
                now = self.watch.now()
                if (now - rotated).total_seconds() >= _rotate_s(self.asked):
                    yield from self.handed_out()
                    rotated = now
                    self.known.clear()  # a MIG device may have been made or removed
                tick = max(tick + 1, int((now - started).total_seconds() // every_s) + 1)
        except KeyboardInterrupt:
            yield from self.handed_out()
            raise
        yield from self.handed_out()

    def wait(self, moment: datetime) -> None:
        rest_s = (moment - self.watch.now()).total_seconds()
        if rest_s > 0:
            self.watch.sleep(rest_s)

    def measure(self) -> None:
        for index in range(self.count()):
            try:
                device = self.known.get(index) or self.found(index)
                measured = [(self.watch.now(), sample(self.nvml, one)) for one in (device, *device.parts)]
            except LostError as error:
                self.is_lost(index, str(error))
                continue
            self.lost.discard(index)
            self.rows["gpu_samples"] += [
                self.row(sampled_at=at, interval_s=_every_s(self.asked), sample_kind="instant", **row)
                for at, row in measured
            ]

    def count(self) -> int:
        """How many GPUs there are; those that were there before are asked too."""
        try:
            now = int(self.nvml.nvmlDeviceGetCount())
        except self.nvml.NVMLError as error:
            if not self.known and not self.lost:
                raise SourceError(f"NVML does not count its GPUs: {error}.", where=_machine(self.asked)) from error
            now = 0
        if not now and not self.known and not self.lost:
            raise SourceError("NVML sees no GPU.", where=_machine(self.asked), do="nvidia-smi -L")
        return max([now, *(index + 1 for index in (*self.known, *self.lost))])

    def found(self, index: int) -> Device:
        device = self.known[index] = devices(self.nvml, index)
        at = self.watch.now()
        self.rows["gpus"] += [
            self.row(seen_at=at, gpu_index=one.index, gpu_uuid=one.uuid, mig_id=one.mig_id, **one.facts)
            for one in (device, *device.parts)
        ]
        return device

    def is_lost(self, index: int, message: str) -> None:
        """Tell it once, until it is back."""
        device = self.known.pop(index, None)
        if index in self.lost:
            return
        self.lost.add(index)
        self.asked.tell(f"GPU {index} of {_machine(self.asked)} does not answer: {message}")
        self.rows["events"].append(
            self.row(
                happened_at=self.watch.now(),
                kind="gpu_lost",
                gpu_index=index,
                gpu_uuid=device.uuid if device else None,
                pci_bus_id=device.facts.get("pci_bus_id") if device else None,
                message=message,
            )
        )

    def row(self, **values: object) -> dict[str, object]:
        return {"machine_id": _machine(self.asked), **values}

    def handed_out(self) -> Iterator[Fetched]:
        now = self.watch.now()
        for name, rows in self.rows.items():
            if rows:
                times = [at for row in rows for key in _TIMES if isinstance(at := row.get(key), datetime)]
                # The file's name begins with the table's, which is how landing knows it.
                file_name = f"plain_{name}.{_machine(self.asked)}.{min(times):%Y%m%dT%H%M%S%fZ}.parquet"
                content = _parquet(rows, _TABLES[name])
                yield Fetched(
                    {"until": f"{now:%Y-%m-%dT%H:%M:%SZ}"}, file_name, content, len(rows), min(times), max(times)
                )
                rows.clear()


def _parquet(rows: Sequence[Mapping[str, object]], columns: Sequence[str]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    def kind(name: str) -> pa.DataType:
        return pa.float64() if name in _NUMBERS else pa.timestamp("us", "UTC") if name in _TIMES else pa.string()

    def value(row: Mapping[str, object], name: str) -> object:
        found = row.get(name)
        return found.replace(tzinfo=UTC) if isinstance(found, datetime) else found

    table = pa.table({name: pa.array([value(row, name) for row in rows], kind(name)) for name in columns})
    out = io.BytesIO()
    pq.write_table(table, out, compression="zstd", compression_level=1)
    return out.getvalue()


def _library() -> Any:  # the module has no types
    try:
        return import_module("pynvml")
    except ImportError as error:
        raise UsageError(
            "NVIDIA's library for Python is not installed.", do="install gpulake with its extra: gpulake[nvml]"
        ) from error


def _machine(asked: Asked) -> str:
    return str(asked.options.get("machine") or socket.gethostname().split(".")[0])


def _every_s(asked: Asked) -> float:
    return float(str(asked.options.get("every") or DEFAULT_EVERY_S))


def _for_s(asked: Asked) -> float:
    return float(str(asked.options.get("for_") or 0.0))


def _rotate_s(asked: Asked) -> float:
    return float(str(asked.options.get("rotate") or DEFAULT_ROTATE_S))


def _often(text: str) -> float:
    length_s = seconds(text)
    if length_s < _LEAST_EVERY_S:
        raise ValueError(f"at least {_LEAST_EVERY_S:g} s are expected")
    return length_s


COLLECTOR = Collector(
    name="nvml",
    source="plain",
    help="Measure this machine's NVIDIA GPUs and MIG devices every few seconds. Run it on each machine.",
    collect=collect,
    plan=plan,
    options=(
        Option("every", "How often to measure. [default: 10s]", "TIME", _often, DEFAULT_EVERY_S),
        Option("for", "For how long. [default: until it is stopped]", "TIME", seconds),
        Option("rotate", "How often what was measured lands. [default: 5m]", "TIME", seconds, DEFAULT_ROTATE_S),
        Option("machine", "The machine's name. [default: its host name, without a domain]", "NAME", machine_name),
    ),
    has_past=False,
    is_endless=True,
)
