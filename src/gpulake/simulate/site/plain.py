"""The site as the tables of source `plain`: CSV of what is small, Parquet of samples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from gpulake.simulate.site.fleet import DRIVER, Grid, Site
from gpulake.simulate.site.hosts import HostSamples
from gpulake.simulate.site.incidents import Event, State
from gpulake.simulate.site.jobs import Job
from gpulake.simulate.site.scheduling import Attempt
from gpulake.simulate.site.signal import Samples
from gpulake.simulate.site.truth import events_frame, states_frame, utc
from gpulake.simulate.truth import Growing

MIB = 1 << 20


def write_tables(
    folder: Path,
    jobs: Sequence[Job],
    attempts: Sequence[Attempt],
    states: Sequence[State],
    events: Sequence[Event],
    site: Site,
    grid: Grid,
) -> dict[str, int]:
    """Write all tables but the samples; returns the rows of each."""
    frames = {
        "plain_jobs": _jobs(jobs, attempts, site),
        "plain_allocations": _allocations(attempts, site),
        "plain_machines": _machines(site),
        "plain_gpus": _gpus(site, grid),
        "plain_events": events_frame(events, site),
        "plain_machine_states": states_frame(states, site, grid),
    }
    for name, frame in frames.items():
        frame.write_csv(folder / f"{name}.csv", datetime_format="%Y-%m-%dT%H:%M:%SZ")
    return {name: frame.height for name, frame in frames.items()}


def _jobs(jobs: Sequence[Job], attempts: Sequence[Attempt], site: Site) -> pl.DataFrame:
    of_job: dict[int, list[Attempt]] = {}
    for one in attempts:
        of_job.setdefault(one.job.number, []).append(one)
    told = [(job, of_job[job.number]) for job in jobs if job.number in of_job]
    started = [[one.start_s for one in mine if one.ran] for _, mine in told]
    return pl.DataFrame(
        {
            "job_id": [job.shown_id for job, _ in told],
            "submitted_at": utc([job.submit_s for job, _ in told]),
            "started_at": utc([min(starts) if starts else None for starts in started]),
            "ended_at": utc([mine[-1].end_s if mine[-1].end_s >= 0 else None for _, mine in told]),
            "status": [mine[-1].state for _, mine in told],
            "user_id": [job.user for job, _ in told],
            "group_id": [job.account for job, _ in told],
            "queue": [_queue(job, site) for job, _ in told],
            "gpu_request_count": [job.gpus for job, _ in told],
            "cpu_request_cores": [job.gpus * (site.cores_per_node // site.gpus_per_node) for job, _ in told],
            "memory_request_bytes": [
                job.gpus * (site.memory_mib_per_node // site.gpus_per_node) * MIB for job, _ in told
            ],
        }
    )


def _queue(job: Job, site: Site) -> str:
    return job.kind.partition if job.kind.partition in site.partitions else site.partitions[0]


def _allocations(attempts: Sequence[Attempt], site: Site) -> pl.DataFrame:
    per_node = site.gpus_per_node
    rows = []
    for one in attempts:
        for machine in dict.fromkeys(gpu // per_node for gpu in one.gpus):
            held = [gpu for gpu in one.gpus if gpu // per_node == machine]
            rows.append(
                (
                    *(one.job.shown_id, site.machines[machine], one.start_s, one.end_s if one.end_s >= 0 else None),
                    *(str(one.number), one.state, len(held)),
                    " ".join(str(gpu % per_node) for gpu in held),
                    " ".join(site.uuids[gpu] for gpu in held),
                )
            )
    names = (
        "job_id",
        "machine_id",
        "started_at",
        "ended_at",
        "attempt_id",
        "status",
        "gpu_count",
        "gpu_indices",
        "gpu_uuids",
    )
    numbers = {"started_at", "ended_at", "gpu_count"}
    schema = {name: pl.Int64 if name in numbers else pl.String for name in names}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    return frame.with_columns(utc(frame[name].to_list()).alias(name) for name in ("started_at", "ended_at"))


def _machines(site: Site) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "machine_id": list(site.machines),
            "gpu_count": [site.gpus_per_node] * len(site.machines),
            "gpu_model": [model.name for model in site.models],
            "cpu_cores": [site.cores_per_node] * len(site.machines),
            "memory_bytes": [site.memory_mib_per_node * MIB] * len(site.machines),
        }
    )


def _gpus(site: Site, grid: Grid) -> pl.DataFrame:
    machine = [gpu // site.gpus_per_node for gpu in range(site.gpus)]
    return pl.DataFrame(
        {
            "machine_id": [site.machines[one] for one in machine],
            "gpu_index": [gpu % site.gpus_per_node for gpu in range(site.gpus)],
            "gpu_uuid": list(site.uuids),
            "gpu_model": [site.models[one].name for one in machine],
            "memory_bytes": [site.models[one].memory_mib * MIB for one in machine],
            "pci_bus_id": [site.bus(gpu % site.gpus_per_node).lower() for gpu in range(site.gpus)],
            "driver_version": [DRIVER] * site.gpus,
            "seen_at": utc([grid.start_s] * site.gpus),
        }
    )


def samples_frame(samples: Samples, attempts: Sequence[Attempt], site: Site, grid: Grid) -> pl.DataFrame:
    """One row per GPU and moment at which it was seen, in the units of `plain`."""
    row, moment = np.nonzero(samples.seen)
    gpu = row + samples.use.first_gpu
    machine = gpu // site.gpus_per_node

    def of(name: str, factor: float = 1, divisor: float = 1) -> np.ndarray[tuple[int], np.dtype[np.generic]]:
        values = samples.columns[name][row, moment]
        if divisor != 1:
            return values / divisor
        return values.astype(np.int64) * int(factor)

    def of_model(name: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        return np.array([getattr(model, name) for model in site.models], np.int64)[machine]

    ids = pl.Series([one.job.shown_id for one in attempts] + [None], dtype=pl.String)
    holder = samples.use.holder[row, moment]
    return pl.DataFrame(
        {
            "machine_id": pl.Series(site.machines).gather(machine),
            "gpu_index": gpu % site.gpus_per_node,
            "sampled_at": pl.Series(grid.moments_s[moment] * 1_000).cast(pl.Datetime("ms")).dt.replace_time_zone("UTC"),
            "gpu_uuid": pl.Series(site.uuids).gather(gpu),
            "sample_kind": pl.Series(["instant"]).new_from_index(0, len(row)),
            "gpu_util_pct": of("gpu_util_pct"),
            "gr_engine_active_ratio": of("gr_engine_milli", divisor=1_000),
            "sm_active_ratio": of("sm_active_milli", divisor=1_000),
            "sm_occupancy_ratio": of("sm_occupancy_milli", divisor=1_000),
            "tensor_active_ratio": of("tensor_milli", divisor=1_000),
            "dram_active_ratio": of("dram_milli", divisor=1_000),
            "mem_copy_util_pct": of("mem_copy_util_pct"),
            "memory_used_bytes": of("memory_used_mib", MIB),
            "memory_total_bytes": of_model("memory_mib") * MIB,
            "power_w": of("power_dw", divisor=10),
            "power_limit_w": of("power_limit_w"),
            "energy_j": of("energy_mj", divisor=1_000),
            "temperature_c": of("temperature_c"),
            "memory_temperature_c": of("memory_temperature_c"),
            "sm_clock_hz": of("sm_clock_mhz", 1_000_000),
            "mem_clock_hz": of_model("memory_clock_mhz") * 1_000_000,
            "clocks_event_reasons": of("reasons"),
            "pcie_rx_bytes_per_s": of("pcie_rx_kb_per_s", 1_000),
            "pcie_tx_bytes_per_s": of("pcie_tx_kb_per_s", 1_000),
            "nvlink_rx_bytes_per_s": of("nvlink_rx_kb_per_s", 1_000),
            "nvlink_tx_bytes_per_s": of("nvlink_tx_kb_per_s", 1_000),
            "ecc_sbe_volatile": of("ecc_sbe_volatile"),
            "ecc_dbe_volatile": of("ecc_dbe_volatile"),
            "ecc_sbe_aggregate": of("ecc_sbe_aggregate"),
            "ecc_dbe_aggregate": of("ecc_dbe_aggregate"),
            "remapped_rows_correctable": of("remapped_correctable"),
            "remapped_rows_uncorrectable": of("remapped_uncorrectable"),
            "row_remap_pending": of("row_remap_pending"),
            "row_remap_failed": of("row_remap_failed"),
            "pcie_replays": of("pcie_replays"),
            "nvlink_errors": of("nvlink_errors"),
            "xid": of("xid"),
            "job_id": ids.gather(np.where(holder < 0, len(ids) - 1, holder)),
        }
    )


def host_frame(hosts: HostSamples, site: Site, grid: Grid) -> pl.DataFrame:
    """One row per machine and moment at which it was seen."""
    row, moment = np.nonzero(hosts.seen)
    machine = row + hosts.first_machine
    return pl.DataFrame(
        {
            "machine_id": pl.Series(site.machines).gather(machine),
            "sampled_at": pl.Series(grid.moments_s[moment] * 1_000).cast(pl.Datetime("ms")).dt.replace_time_zone("UTC"),
            "cpu_util_pct": hosts.cpu_pct[row, moment].astype(np.int64),
            "load_1": hosts.load_centi[row, moment] / 100,
            "memory_used_bytes": hosts.memory_used_mib[row, moment].astype(np.int64) * MIB,
            "memory_total_bytes": np.full(len(row), site.memory_mib_per_node * MIB, np.int64),
            "net_rx_bytes_per_s": hosts.net_rx_kb_per_s[row, moment].astype(np.int64) * 1_000,
            "net_tx_bytes_per_s": hosts.net_tx_kb_per_s[row, moment].astype(np.int64) * 1_000,
        }
    )


class SampleFiles:
    """The two tables of samples, which grow block by block."""

    def __init__(self, folder: Path) -> None:
        self._gpus = Growing(folder / "plain_gpu_samples.parquet")
        self._hosts = Growing(folder / "plain_machine_samples.parquet")
        self.rows = {"plain_gpu_samples": 0, "plain_machine_samples": 0}

    def add(self, samples: Samples, hosts: HostSamples, attempts: Sequence[Attempt], site: Site, grid: Grid) -> None:
        """Append a block of machines."""
        for name, file, frame in (
            ("plain_gpu_samples", self._gpus, samples_frame(samples, attempts, site, grid)),
            ("plain_machine_samples", self._hosts, host_frame(hosts, site, grid)),
        ):
            file.add(frame)
            self.rows[name] += frame.height

    def close(self) -> None:
        """Finish both files."""
        self._gpus.close()
        self._hosts.close()
