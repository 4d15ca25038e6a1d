"""The site as a Prometheus that scrapes dcgm-exporter and node_exporter tells it: range answers, and an exporter's page at a moment.

Names and labels are dcgm-exporter's; values have the digits of their sensor. A series ends where its labels change, as when the job does
that `hpc_job` names (the raw id, as Slurm's prolog hands it over). node_exporter's processors are told as one, `cpu="0"`.
Its counters grow by what the later of two samples shows, so that `rate` finds that again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl

from gpulake.simulate.curves import Flags, Ints
from gpulake.simulate.site.fleet import DRIVER, Grid, Site
from gpulake.simulate.site.hosts import HostSamples
from gpulake.simulate.site.scheduling import Attempt
from gpulake.simulate.site.signal import Samples

HOURS_PER_FILE = 1


@dataclass(frozen=True)
class Metric:
    """One metric of an exporter: the column it shows, by how much that is divided, and what its help says."""

    name: str
    column: str
    divisor: int
    kind: str
    help: str


GPU_METRICS = (
    Metric("DCGM_FI_DEV_SM_CLOCK", "sm_clock_mhz", 1, "gauge", "SM clock frequency (in MHz)."),
    Metric("DCGM_FI_DEV_MEM_CLOCK", "memory_clock_mhz", 1, "gauge", "Memory clock frequency (in MHz)."),
    Metric("DCGM_FI_DEV_MEMORY_TEMP", "memory_temperature_c", 1, "gauge", "Memory temperature (in C)."),
    Metric("DCGM_FI_DEV_GPU_TEMP", "temperature_c", 1, "gauge", "GPU temperature (in C)."),
    Metric("DCGM_FI_DEV_POWER_USAGE", "power_dw", 10, "gauge", "Power draw (in W)."),
    Metric("DCGM_FI_DEV_POWER_MGMT_LIMIT", "power_limit_w", 1, "gauge", "Power management limit (in W)."),
    Metric(
        "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION",
        "energy_mj",
        1,
        "counter",
        "Total energy consumption since boot (in mJ).",
    ),
    Metric("DCGM_FI_DEV_CLOCKS_EVENT_REASONS", "reasons", 1, "gauge", "Current clock event reasons (bitmask)."),
    Metric("DCGM_FI_DEV_PCIE_REPLAY_COUNTER", "pcie_replays", 1, "counter", "Total number of PCIe retries."),
    Metric("DCGM_FI_DEV_GPU_UTIL", "gpu_util_pct", 1, "gauge", "GPU utilization (in %)."),
    Metric("DCGM_FI_DEV_MEM_COPY_UTIL", "mem_copy_util_pct", 1, "gauge", "Memory utilization (in %)."),
    Metric("DCGM_FI_DEV_XID_ERRORS", "xid", 1, "gauge", "Value of the last XID error encountered."),
    Metric("DCGM_FI_DEV_FB_TOTAL", "memory_total_mib", 1, "gauge", "Total framebuffer memory (in MiB)."),
    Metric("DCGM_FI_DEV_FB_FREE", "memory_free_mib", 1, "gauge", "Framebuffer memory free (in MiB)."),
    Metric("DCGM_FI_DEV_FB_USED", "memory_used_mib", 1, "gauge", "Framebuffer memory used (in MiB)."),
    Metric(
        "DCGM_FI_DEV_ECC_SBE_VOL_TOTAL",
        "ecc_sbe_volatile",
        1,
        "counter",
        "Total number of single-bit volatile ECC errors.",
    ),
    Metric(
        "DCGM_FI_DEV_ECC_DBE_VOL_TOTAL",
        "ecc_dbe_volatile",
        1,
        "counter",
        "Total number of double-bit volatile ECC errors.",
    ),
    Metric(
        "DCGM_FI_DEV_ECC_SBE_AGG_TOTAL",
        "ecc_sbe_aggregate",
        1,
        "counter",
        "Total number of single-bit persistent ECC errors.",
    ),
    Metric(
        "DCGM_FI_DEV_ECC_DBE_AGG_TOTAL",
        "ecc_dbe_aggregate",
        1,
        "counter",
        "Total number of double-bit persistent ECC errors.",
    ),
    Metric(
        "DCGM_FI_DEV_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL",
        "nvlink_errors",
        1,
        "counter",
        "Total number of NVLink flow-control CRC errors.",
    ),
    Metric(
        "DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS",
        "remapped_uncorrectable",
        1,
        "counter",
        "Number of remapped rows for uncorrectable errors",
    ),
    Metric(
        "DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS",
        "remapped_correctable",
        1,
        "counter",
        "Number of remapped rows for correctable errors",
    ),
    Metric("DCGM_FI_DEV_ROW_REMAP_PENDING", "row_remap_pending", 1, "gauge", "Whether remapping of rows is pending"),
    Metric("DCGM_FI_DEV_ROW_REMAP_FAILURE", "row_remap_failed", 1, "gauge", "Whether remapping of rows has failed"),
    Metric(
        "DCGM_FI_PROF_GR_ENGINE_ACTIVE",
        "gr_engine_milli",
        1_000,
        "gauge",
        "Ratio of time the graphics engine is active.",
    ),
    Metric(
        "DCGM_FI_PROF_SM_ACTIVE",
        "sm_active_milli",
        1_000,
        "gauge",
        "The ratio of cycles an SM has at least 1 warp assigned.",
    ),
    Metric(
        "DCGM_FI_PROF_SM_OCCUPANCY",
        "sm_occupancy_milli",
        1_000,
        "gauge",
        "The ratio of number of warps resident on an SM.",
    ),
    Metric(
        "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE",
        "tensor_milli",
        1_000,
        "gauge",
        "Ratio of cycles the tensor (HMMA) pipe is active.",
    ),
    Metric(
        "DCGM_FI_PROF_DRAM_ACTIVE",
        "dram_milli",
        1_000,
        "gauge",
        "Ratio of cycles the device memory interface is active sending or receiving data.",
    ),
    Metric(
        "DCGM_FI_PROF_PCIE_TX_BYTES",
        "pcie_tx_b_per_s",
        1,
        "gauge",
        "The rate of data transmitted over the PCIe bus (in bytes per second).",
    ),
    Metric(
        "DCGM_FI_PROF_PCIE_RX_BYTES",
        "pcie_rx_b_per_s",
        1,
        "gauge",
        "The rate of data received over the PCIe bus (in bytes per second).",
    ),
    Metric(
        "DCGM_FI_PROF_NVLINK_TX_BYTES",
        "nvlink_tx_b_per_s",
        1,
        "gauge",
        "The rate of data transmitted over NVLink (in bytes per second).",
    ),
    Metric(
        "DCGM_FI_PROF_NVLINK_RX_BYTES",
        "nvlink_rx_b_per_s",
        1,
        "gauge",
        "The rate of data received over NVLink (in bytes per second).",
    ),
)


def gpu_columns(samples: Samples, site: Site) -> dict[str, Ints]:
    """The samples' columns with those that only DCGM has."""
    first, rows = samples.use.first_gpu, len(samples.seen)
    models = [site.models[gpu // site.gpus_per_node] for gpu in range(first, first + rows)]
    shape = samples.seen.shape
    total = np.array([[model.memory_mib] for model in models], np.int32)
    reserved = np.array([[model.reserved_mib] for model in models], np.int32)
    clock = np.array([[model.memory_clock_mhz] for model in models], np.int32)
    bytes_of = {
        name.replace("_kb_", "_b_"): samples.columns[name].astype(np.int64) * 1_000
        for name in samples.columns
        if name.endswith("_kb_per_s")
    }
    return {
        **samples.columns,
        **bytes_of,
        "memory_total_mib": np.broadcast_to(total, shape),
        "memory_free_mib": total - reserved - samples.memory_used_mib,
        "memory_clock_mhz": np.broadcast_to(clock, shape),
    }


def gpu_labels(gpu: int, site: Site) -> dict[str, str]:
    """What dcgm-exporter and Prometheus say of a GPU."""
    index, machine = gpu % site.gpus_per_node, site.machine_of(gpu)
    return {
        "DCGM_FI_DRIVER_VERSION": DRIVER,
        "Hostname": machine,
        "UUID": site.uuids[gpu],
        "device": f"nvidia{index}",
        "gpu": str(index),
        "instance": f"{machine}:9400",
        "job": "dcgm",
        "modelName": site.models[gpu // site.gpus_per_node].name,
        "pci_bus_id": site.bus(index),
    }


def _host_metrics(hosts: HostSamples, site: Site, grid: Grid) -> Iterator[tuple[dict[str, str], Ints, int]]:
    """Every metric of node_exporter: its name and own labels, its values by machine, and by how much they are divided."""
    step = grid.every_s
    total = site.memory_mib_per_node << 20
    available = total - (hosts.memory_used_mib.astype(np.int64) << 20)
    yield {"__name__": "node_load1"}, hosts.load_centi, 100
    yield {"__name__": "node_memory_MemTotal_bytes"}, np.broadcast_to(np.int64(total), available.shape), 1
    yield {"__name__": "node_memory_MemAvailable_bytes"}, available, 1
    for mode, percent in (("idle", 100 - hosts.cpu_pct), ("user", hosts.cpu_pct)):
        seconds = np.cumsum(percent, axis=1, dtype=np.int64) * step
        yield {"__name__": "node_cpu_seconds_total", "cpu": "0", "mode": mode}, seconds, 100
    for way, rate in (("receive", hosts.net_rx_kb_per_s), ("transmit", hosts.net_tx_kb_per_s)):
        sent = np.cumsum(rate, axis=1, dtype=np.int64) * (1_000 * step)
        yield {"__name__": f"node_network_{way}_bytes_total", "device": "eth0"}, sent, 1


def number_text(values: Ints, divisor: int) -> pl.Series:
    """Numbers as Prometheus writes them: no exponent, no zeros at the end."""
    if divisor == 1:
        return pl.Series(values.astype(np.int64)).cast(pl.String)
    digits = len(str(divisor)) - 1
    whole, part = np.divmod(values.astype(np.int64), divisor)
    return pl.select(
        pl.concat_str(pl.Series(whole).cast(pl.String), pl.lit("."), pl.Series(part).cast(pl.String).str.zfill(digits))
        .str.strip_chars_end("0")
        .str.strip_chars_end(".")
    ).to_series()


class Chunks:
    """Files of range answers, an hour each, that grow machine by machine."""

    def __init__(self, folder: Path, grid: Grid) -> None:
        self._grid = grid
        hour = grid.moments_s // (3_600 * HOURS_PER_FILE)
        edges = [0, *(np.flatnonzero(np.diff(hour) > 0) + 1).tolist(), len(hour)]
        self._parts = list(pairwise(edges))
        self._files = [folder / f"range_{_hour_text(int(grid.moments_s[begin]))}.json" for begin, _ in self._parts]
        self._times = pl.Series(grid.moments_s).cast(pl.String)
        self._begun: set[Path] = set()
        self._values = 0

    def add(self, samples: Samples, hosts: HostSamples, attempts: Sequence[Attempt], site: Site) -> None:
        """Append a block of machines to every hour."""
        columns, first = gpu_columns(samples, site), samples.use.first_gpu
        runs = self._runs(samples.seen, samples.use.holder)
        jobs = [{"hpc_job": str(one.job.job_id)} for one in attempts] + [{}]
        gpus = [gpu_labels(first + row, site) for row in range(len(samples.seen))]
        for metric in GPU_METRICS:
            named = [{"__name__": metric.name, **labels} for labels in gpus]
            self._append(columns[metric.column], metric.divisor, runs, named, jobs)
        runs = self._runs(hosts.seen, np.full(hosts.seen.shape, -1))
        for labels, values, divisor in _host_metrics(hosts, site, self._grid):
            machines = site.machines[hosts.first_machine : hosts.first_machine + len(hosts.seen)]
            named = [labels | {"instance": f"{machine}:9100", "job": "node"} for machine in machines]
            self._append(values, divisor, runs, named, [{}])

    def _runs(self, seen: Flags, holder: Ints) -> list[dict[tuple[int, int], list[tuple[int, int]]]]:
        """For each file: by row and holder, the stretches of samples that one series shows."""
        found: list[dict[tuple[int, int], list[tuple[int, int]]]] = [{} for _ in self._parts]
        shown = np.where(seen, holder, -2)
        borders = np.array([begin for begin, _ in self._parts])
        for row, values in enumerate(shown):
            changes = np.flatnonzero(np.diff(values)) + 1
            edges = np.union1d(np.union1d(changes, borders), [len(values)]).tolist()
            parts = np.searchsorted(borders, edges, side="right") - 1
            for (begin, end), part in zip(pairwise(edges), parts.tolist(), strict=False):
                if values[begin] > -2:
                    found[part].setdefault((row, int(values[begin])), []).append((begin, end))
        return found

    def _append(
        self,
        values: Ints,
        divisor: int,
        runs: list[dict[tuple[int, int], list[tuple[int, int]]]],
        named: list[dict[str, str]],
        jobs: list[dict[str, str]],
    ) -> None:
        """Append one metric of a block to every file."""
        rows, moments = values.shape
        times = pl.concat([self._times] * rows, rechunk=True)
        pairs = (
            pl.select(
                pl.concat_str(pl.lit("["), times, pl.lit(',"'), number_text(values.ravel(), divisor), pl.lit('"]'))
            )
            .to_series()
            .to_list()
        )
        for path, of_file in zip(self._files, runs, strict=True):
            texts = []
            for (row, one), stretches in of_file.items():
                told = ",".join(
                    ",".join(pairs[row * moments + begin : row * moments + end]) for begin, end in stretches
                )
                texts.append(f'{{"metric":{json.dumps(named[row] | jobs[one])},"values":[{told}]}}')
                self._values += sum(end - begin for begin, end in stretches)
            if texts:
                begun = path in self._begun
                with path.open("a" if begun else "w", encoding="utf-8") as file:
                    file.write(",\n" if begun else _HEAD)
                    file.write(",\n".join(texts))
                self._begun.add(path)

    def close(self) -> int:
        """Finish every file; returns how many values stand in all."""
        for path in self._files:
            begun = path in self._begun
            with path.open("a" if begun else "w", encoding="utf-8") as file:
                file.write(_TAIL if begun else _HEAD + _TAIL)
        return self._values


_HEAD, _TAIL = '{"status":"success","data":{"resultType":"matrix","result":[', "]}}\n"


def _hour_text(at_s: int) -> str:
    return f"{datetime.fromtimestamp(at_s - at_s % (3_600 * HOURS_PER_FILE), UTC):%Y%m%dT%H%MZ}"


def exporter_page(samples: Samples, attempts: Sequence[Attempt], site: Site, moment: int, *, machine: str) -> str:
    """What a machine's dcgm-exporter answers at the moment of a sample, without times; empty where it does not answer."""
    columns, first = gpu_columns(samples, site), samples.use.first_gpu
    rows = [
        row for row in range(len(samples.seen)) if samples.seen[row, moment] and site.machine_of(first + row) == machine
    ]
    lines = []
    for metric in GPU_METRICS if rows else ():
        lines += [f"# HELP {metric.name} {metric.help}", f"# TYPE {metric.name} {metric.kind}"]
        for row in rows:
            labels = gpu_labels(first + row, site)
            if (one := int(samples.use.holder[row, moment])) >= 0:
                labels["hpc_job"] = str(attempts[one].job.job_id)
            shown = ",".join(f'{name}="{value}"' for name, value in labels.items() if name not in {"instance", "job"})
            value = int(columns[metric.column][row, moment])
            text = f"{value / metric.divisor:.6f}" if metric.divisor > 1 else str(value)
            lines.append(f"{metric.name}{{{shown}}} {text}")
    return "".join(f"{line}\n" for line in lines)
