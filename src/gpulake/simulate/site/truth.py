"""The truth of a site beside its telemetry: what every job and GPU really did, and what was broken; Parquet, and CSV for labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from gpulake.simulate.site.faults import Fault
from gpulake.simulate.site.fleet import Grid, Site
from gpulake.simulate.site.incidents import Event, State
from gpulake.simulate.site.jobs import Job
from gpulake.simulate.site.kernel_log import line_of
from gpulake.simulate.site.scheduling import Attempt
from gpulake.simulate.site.signal import HW_THERMAL, POWER_CAP, SW_THERMAL, Samples
from gpulake.simulate.truth import save

Did = tuple[int, int]
"""Of an attempt on one GPU: percent x seconds in which a kernel ran, and thousandths x seconds of busy multiprocessors."""


def utc(seconds: Sequence[int | None]) -> pl.Series:
    """Whole seconds since 1970 as UTC moments; null stays null."""
    return (pl.Series(seconds, dtype=pl.Int64) * 1_000).cast(pl.Datetime("ms")).dt.replace_time_zone("UTC")


def hours_frame(samples: Samples, site: Site, grid: Grid) -> pl.DataFrame:
    """One row per GPU and UTC hour: what it really did, and what its samples show. A sample's time belongs to the hour that it begins in."""
    every = grid.every_s
    hour = grid.moments_s // 3_600
    first = np.flatnonzero(np.diff(hour, prepend=hour[0] - 1))
    use, seen = samples.use, samples.seen

    def summed(
        values: np.ndarray[tuple[int, ...], np.dtype[np.generic]],
    ) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
        return np.add.reduceat(values, first, axis=1, dtype=np.int64).ravel()

    rows = len(seen)
    gpus = np.repeat(np.arange(use.first_gpu, use.first_gpu + rows), len(first))
    machine = pl.Series(site.machines).gather(gpus // site.gpus_per_node)
    return pl.DataFrame(
        {
            "machine_id": machine,
            "gpu_index": gpus % site.gpus_per_node,
            "gpu_uuid": pl.Series(site.uuids).gather(gpus),
            "hour_start_at": utc(np.tile(hour[first] * 3_600, rows).tolist()),
            "held_s": summed(use.held_s),
            "busy_pct_s": summed(use.use_pct_s),
            "active_milli_s": summed(samples.sm_active_milli) * every,
            "samples": summed(seen),
            "seen_util_pct_s": summed(np.where(seen, samples.gpu_util_pct, 0)) * every,
            "seen_active_milli_s": summed(np.where(seen, samples.sm_active_milli, 0)) * every,
            "energy_mj": summed(samples.true_power_dw) * (100 * every),
            "thermal_s": summed((samples.reasons & (SW_THERMAL | HW_THERMAL)) > 0) * every,
            "power_cap_s": summed((samples.reasons & POWER_CAP) > 0) * every,
            "hottest_c": np.maximum.reduceat(samples.temperature_c, first, axis=1).ravel().astype(np.int64),
            "most_memory_mib": np.maximum.reduceat(samples.memory_used_mib, first, axis=1).ravel().astype(np.int64),
        }
    )


def attempts_frame(
    attempts: Sequence[Attempt], did: Mapping[tuple[int, int], Did], site: Site, grid: Grid
) -> pl.DataFrame:
    """One row per attempt and GPU that it held: from when to when within the window, and what it did there."""
    rows = [
        (
            one.job.shown_id,
            one.job.job_id,
            one.number,
            site.machine_of(gpu),
            gpu % site.gpus_per_node,
            site.uuids[gpu],
            one.start_s,
            one.until(grid),
            one.until(grid) - one.start_s,
            *did.get((number, gpu), (0, 0)),
        )
        for number, one in enumerate(attempts)
        for gpu in one.gpus
    ]
    names = (
        "job_id",
        "job_id_raw",
        "attempt",
        "machine_id",
        "gpu_index",
        "gpu_uuid",
        "from_at",
        "to_at",
        "held_s",
        "busy_pct_s",
        "active_milli_s",
    )
    frame = _frame(rows, names, texts={"job_id", "machine_id", "gpu_uuid"})
    return frame.with_columns(
        utc(frame["from_at"].to_list()).alias("from_at"), utc(frame["to_at"].to_list()).alias("to_at")
    )


def jobs_frame(
    jobs: Sequence[Job], attempts: Sequence[Attempt], did: Mapping[tuple[int, int], Did], grid: Grid
) -> pl.DataFrame:
    """One row per job that was submitted: GPU-seconds within the window, over all its attempts.

    Of what was allocated, a kernel ran in `busy`; times the share of the multiprocessors that were at work it is `active`, and the rest is idle.
    """
    of_job: dict[int, list[tuple[int, Attempt]]] = {}
    for number, one in enumerate(attempts):
        of_job.setdefault(one.job.number, []).append((number, one))
    rows = []
    for job in jobs:
        mine = of_job.get(job.number, [])
        if not mine:
            continue
        last = mine[-1][1]
        started = [one.start_s for _, one in mine if one.ran]
        held = sum(len(one.gpus) * (one.until(grid) - one.start_s) for _, one in mine if one.ran)
        busy, active = (
            sum(did.get((number, gpu), (0, 0))[which] for number, one in mine for gpu in one.gpus) for which in (0, 1)
        )
        rows.append(
            (
                *(job.shown_id, job.job_id, job.kind.name, job.user, job.account, last.state, job.submit_s),
                *(
                    min(started) if started else None,
                    last.end_s if last.end_s >= 0 else None,
                    len(mine),
                    job.nodes,
                    job.gpus,
                ),
                *(held, busy / 100, active / 1_000, held - active / 1_000),
            )
        )
    names = (
        *("job_id", "job_id_raw", "kind", "user_id", "group_id", "state", "submitted_at", "started_at", "ended_at"),
        *("attempts", "nodes", "gpus", "allocated_gpu_s", "busy_gpu_s", "active_gpu_s", "idle_gpu_s"),
    )
    frame = _frame(
        rows,
        names,
        texts={"job_id", "kind", "user_id", "group_id", "state"},
        floats={"busy_gpu_s", "active_gpu_s", "idle_gpu_s"},
    )
    return frame.with_columns(
        utc(frame[name].to_list()).alias(name) for name in ("submitted_at", "started_at", "ended_at")
    )


def faults_frame(
    faults: Sequence[Fault], attempts: Sequence[Attempt], felt_s: dict[int, int], site: Site, grid: Grid
) -> pl.DataFrame:
    """One row per fault: where, from when to when, how strong, for how long its GPUs felt it, and which jobs it met."""
    per_node = site.gpus_per_node
    rows = []
    for number, fault in enumerate(faults):
        met = [
            one.job.shown_id
            for one in attempts
            if one.ran
            and one.start_s < fault.to_s
            and one.until(grid) >= fault.from_s
            and any(fault.covers(gpu // per_node, gpu) for gpu in one.gpus)
        ]
        rows.append(
            (
                *(fault.kind, site.machines[fault.machine], fault.gpu % per_node if fault.gpu >= 0 else None),
                *(site.uuids[fault.gpu] if fault.gpu >= 0 else None, fault.from_s, fault.to_s, fault.strength),
                *(felt_s.get(number), " ".join(dict.fromkeys(met))),
            )
        )
    names = ("kind", "machine_id", "gpu_index", "gpu_uuid", "from_at", "to_at", "strength", "felt_s", "job_ids")
    frame = _frame(rows, names, texts={"kind", "machine_id", "gpu_uuid", "job_ids"}, floats={"strength"})
    return frame.with_columns(
        utc(frame["from_at"].to_list()).alias("from_at"), utc(frame["to_at"].to_list()).alias("to_at")
    )


def states_frame(states: Sequence[State], site: Site, grid: Grid) -> pl.DataFrame:
    """One row per span in which a machine took no jobs; null where it lasts beyond the window."""
    rows = [
        (site.machines[one.machine], one.state, one.reason, one.from_s, one.to_s if one.to_s < grid.end_s else None)
        for one in states
    ]
    frame = _frame(
        rows, ("machine_id", "state", "state_reason", "from_at", "to_at"), texts={"machine_id", "state", "state_reason"}
    )
    return frame.with_columns(
        utc(frame["from_at"].to_list()).alias("from_at"), utc(frame["to_at"].to_list()).alias("to_at")
    )


def events_frame(events: Sequence[Event], site: Site) -> pl.DataFrame:
    """One row per line of a kernel log that matters."""
    rows = [
        (
            *(site.machines[one.machine], one.at_s, one.kind, one.code if one.code >= 0 else None),
            one.gpu % site.gpus_per_node if one.gpu >= 0 else None,
            site.uuids[one.gpu] if one.gpu >= 0 else None,
            site.bus(one.gpu % site.gpus_per_node).lower() if one.gpu >= 0 else None,
            *(one.process_id if one.process_id >= 0 else None, one.process_name or None, line_of(one, site)),
        )
        for one in events
    ]
    names = (
        *("machine_id", "happened_at", "kind", "code", "gpu_index", "gpu_uuid", "pci_bus_id"),
        *("process_id", "process_name", "message"),
    )
    texts = {"machine_id", "kind", "gpu_uuid", "pci_bus_id", "process_name", "message"}
    frame = _frame(rows, names, texts=texts)
    return frame.with_columns(utc(frame["happened_at"].to_list()).alias("happened_at"))


def _frame(
    rows: Sequence[tuple[object, ...]],
    names: Sequence[str],
    *,
    texts: set[str],
    floats: frozenset[str] | set[str] = frozenset(),
) -> pl.DataFrame:
    kinds = {name: pl.String if name in texts else pl.Float64 if name in floats else pl.Int64 for name in names}
    return pl.DataFrame(rows, schema=kinds, orient="row")


def save_labels(frame: pl.DataFrame, folder: Path, name: str) -> None:
    """Write a small table of labels twice: for programs and for eyes."""
    save(frame, folder / f"{name}.parquet")
    frame.write_csv(folder / f"{name}.csv", datetime_format="%Y-%m-%dT%H:%M:%SZ")
