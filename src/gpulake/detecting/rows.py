"""The rows that detectors are shown of a lake: gold of the newest version, as the columns of each level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from gpulake.detectors import Columns, Level
from gpulake.sources import all_sources
from gpulake.tables import CLUSTERS, HOUR_SCORES, JOB_SCORES

HOURS_OF_A_DAY = 25
"""A day on which clocks are set back."""


class Sql(Protocol):
    """As much of a Writer as reading needs."""

    def sql(self, query: str, params: Sequence[object] = ..., /) -> pa.Table:
        """The rows of a query."""
        ...


@dataclass(frozen=True)
class Cluster:
    """A cluster with days to judge. `until`: hours from the start of its first day to the end of its last."""

    cluster_id: str
    first_day: date
    starts_at: datetime
    until: float
    has_weekdays: bool
    has_lifetime_means: bool


@dataclass(frozen=True)
class Shown:
    """Rows as a detector sees them, and beside them their keys in the lake: `dt`, and of hours `hour_start_at` and `machine_id`."""

    columns: Columns
    keys: pa.Table

    def __len__(self) -> int:
        return int(self.keys.num_rows)


def clusters(view: Sql) -> tuple[Cluster, ...]:
    """Every cluster that has a day."""
    kinds = {source.name: source for source in all_sources()}
    found = view.sql(
        "SELECT days.cluster_id, min(dt) AS first_day, min(starts_at) AS starts_at, "
        "date_diff('second', min(starts_at), max(ends_at)) / 3600 AS until, any_value(named.source) AS source "
        f"FROM lake.main.silver_days AS days LEFT JOIN {CLUSTERS.qualified} AS named USING (cluster_id) "
        "GROUP BY days.cluster_id ORDER BY days.cluster_id"
    ).to_pylist()
    return tuple(
        Cluster(
            has_weekdays=source.has_weekdays if (source := kinds.get(row.pop("source"))) else True,
            has_lifetime_means=source.has_lifetime_means if source else False,
            **row,
        )
        for row in found
    )


def first_due_days(view: Sql) -> dict[str, date]:
    """The first day of each cluster whose figures the newest build has renewed."""
    found = view.sql("SELECT cluster_id, min(dt) AS dt FROM lake.meta.due_days GROUP BY cluster_id")
    return dict(zip(found["cluster_id"].to_pylist(), found["dt"].to_pylist(), strict=True))


def rows_of(
    view: Sql, cluster: Cluster, *, level: Level, since: float, until: float, detector: str, known_at: float = 0
) -> Shown:
    """The rows of a level in [since, until), in hours from the start of the cluster's first day; of days, all.

    `known_at`: of jobs that started before it those are shown that had ended by then, so that what is learned from them stays.
    """
    if level is Level.CLUSTER_DAY:
        return _days(view, cluster)
    if level is Level.CLUSTER_HOUR:
        return _hours(view, cluster, since=since, until=until)
    if level is Level.MACHINE_HOUR:
        return _machine_hours(view, cluster, since=since, until=until, detector=detector)
    assert level is Level.JOB, f"a lake has no rows of {level}"
    return _jobs(view, cluster, since=since, until=until, detector=detector, known_at=known_at)


def _days(view: Sql, cluster: Cluster) -> Shown:
    days = view.sql(
        "SELECT dt, avg_gpu_util, p95_gpu_util, avg_cpu_util, coverage_ratio, typical_job_gpu_util, measured_jobs_ratio "
        "FROM lake.main.gold_cluster_util_daily LEFT JOIN lake.main.gold_typical_job_daily USING (cluster_id, dt) "
        "WHERE cluster_id = ? ORDER BY dt",
        [cluster.cluster_id],
    )
    hours = view.sql(
        "SELECT date_diff('day', ?, dt) AS day, hour_no, avg_gpu_util, coverage_ratio, allocated_gpu_util, "
        "allocation_coverage_ratio, active_gpu_h, measured_gpu_h "
        "FROM lake.main.gold_cluster_util_hourly WHERE cluster_id = ? ORDER BY ALL",
        [cluster.first_day, cluster.cluster_id],
    )
    day = np.array([(dt - cluster.first_day).days for dt in days["dt"].to_pylist()], np.int64)
    line = np.searchsorted(day, _numbers(hours["day"]))
    table = {}
    for name, column in {
        "hour_gpu_util": "avg_gpu_util",
        "hour_coverage_ratio": "coverage_ratio",
        "hour_allocated_gpu_util": "allocated_gpu_util",
        "hour_allocation_coverage_ratio": "allocation_coverage_ratio",
    }.items():
        table[name] = np.full((len(day), HOURS_OF_A_DAY), np.nan)
        table[name][line, _numbers(hours["hour_no"]).astype(np.int64)] = _numbers(hours[column])
    active, measured = (
        np.bincount(line, np.nan_to_num(_numbers(hours[name])), len(day)) for name in ("active_gpu_h", "measured_gpu_h")
    )
    table["allocated_gpu_util"] = 100 * np.divide(active, measured, out=np.full(len(day), np.nan), where=measured > 0)
    weekday = [dt.weekday() if cluster.has_weekdays else -1 for dt in days["dt"].to_pylist()]
    figures = {name: _numbers(days[name]) for name in days.column_names[1:]}
    return Shown({"day": day, "weekday": np.array(weekday, np.int64), **figures, **table}, days.select(["dt"]))


def _hours(view: Sql, cluster: Cluster, *, since: float, until: float) -> Shown:
    found = view.sql(
        "SELECT dt, hour_start_at, date_diff('second', ?, hour_start_at) / 3600 AS hour_idx, hour_no AS hour_of_day, "
        "allocated_gpu_util AS alloc_gpu_util, allocation_coverage_ratio AS coverage_ratio "
        "FROM lake.main.gold_cluster_util_hourly WHERE cluster_id = ? AND hour_start_at >= ? AND hour_start_at < ? "
        "ORDER BY hour_start_at",
        [cluster.starts_at, cluster.cluster_id, *_span(cluster, since, until)],
    )
    return _shown(found, keys=("dt", "hour_start_at"))


_SENSORS = """
    SELECT
        machine_id,
        hour_start_at,
        avg(power_w::decimal(18, 6)) AS power,
        max(temperature_c) AS temp,
        avg((sm_clock_hz / 1e6)::decimal(18, 6)) AS clock,
        count(DISTINCT split_part(gpu_device, '/', 1)) FILTER (WHERE 2 * sampled_s >= most_sampled_s) AS gpus_visible
    FROM (
        SELECT *, max(sampled_s) OVER (PARTITION BY machine_id, hour_start_at) AS most_sampled_s
        FROM lake.main.silver_gpu_hours
        WHERE cluster_id = ? AND hour_start_at >= ? AND hour_start_at < ?
    )
    GROUP BY machine_id, hour_start_at
"""
"""What the GPUs of a machine show of an hour; one that is sampled for less than half as long as another of its machine is not there."""


def _machine_hours(view: Sql, cluster: Cluster, *, since: float, until: float, detector: str) -> Shown:
    """Machines with GPUs. Names are numbers here: a detector needs to tell them apart, and texts are slow.

    Their use is the sweep's: an hour worked out of windows may well be 0 where none of them is, and that is no fault.
    """
    span = _span(cluster, since, until)
    found = view.sql(
        "SELECT hours.dt, hours.hour_start_at, hours.machine_id, "
        "date_diff('second', ?, hours.hour_start_at) / 3600 AS hour_idx, "
        "concat_ws(' × ', hours.gpu_count, hours.pool) AS cohort, "
        "hours.gpu_count, hours.gpu_util_swept_pct AS gpu_util, hours.gpus_allocated AS alloc, "
        "hours.cpu_util_pct AS cpu_util, hours.net_rx_bytes_per_s * 8e-9 AS net, hours.load_1m AS load1, "
        "hours.coverage_ratio * 240 AS n_samples, sensors.power, sensors.temp, sensors.clock, sensors.gpus_visible, "
        "CASE WHEN hours.main_job_id IS NULL THEN -1 ELSE (hash(hours.main_job_id) >> 2)::bigint END AS main_job, "
        "coalesce(earlier.judgement = 'anomaly', false) AS flagged "
        "FROM lake.main.gold_machine_util_hourly AS hours "
        f"LEFT JOIN {HOUR_SCORES.qualified} AS earlier ON earlier.detector = ? "
        "AND earlier.cluster_id = hours.cluster_id AND earlier.machine_id = hours.machine_id "
        "AND earlier.hour_start_at = hours.hour_start_at "
        f"LEFT JOIN ({_SENSORS}) AS sensors ON sensors.machine_id = hours.machine_id "
        "AND sensors.hour_start_at = hours.hour_start_at "
        "WHERE hours.cluster_id = ? AND hours.hour_start_at >= ? AND hours.hour_start_at < ? AND hours.gpu_count > 0 "
        "AND hours.gpu_covered_s > 0 ORDER BY hour_idx, hours.machine_id",
        [cluster.starts_at, detector, cluster.cluster_id, *span, cluster.cluster_id, *span],
    )
    shown = _shown(found, keys=("dt", "hour_start_at", "machine_id"))
    is_sampled = np.full(len(shown), not cluster.has_lifetime_means)
    encoded = shown.keys["machine_id"].combine_chunks().dictionary_encode()
    names, machine = np.unique(np.asarray(encoded.dictionary.to_pylist(), np.object_), return_inverse=True)
    machine = machine[encoded.indices.to_numpy()]
    named = {"machine": machine, "machine_name": names[machine]}
    return Shown({**shown.columns, "is_sampled": is_sampled, **named}, shown.keys)


def _jobs(view: Sql, cluster: Cluster, *, since: float, until: float, detector: str, known_at: float) -> Shown:
    """Finished jobs with GPUs of which some use was measured."""
    found = view.sql(
        "SELECT days.dt, jobs.job_id, date_diff('second', ?, jobs.started_at) / 3600 AS start, jobs.run_s / 3600 AS dur, "
        "(hash(jobs.job_id) >> 2)::bigint AS job, coalesce(jobs.user_id, '') AS user, "
        "coalesce(jobs.gpu_model, '') AS cohort, jobs.gpu_request_count AS size, "
        "100 * jobs.efficiency_ratio AS gpu_util, coalesce(earlier.judgement = 'anomaly', false) AS flagged "
        "FROM lake.main.gold_jobs AS jobs INNER JOIN lake.main.silver_days AS days "
        "ON days.cluster_id = jobs.cluster_id AND jobs.started_at >= days.starts_at AND jobs.started_at < days.ends_at "
        f"LEFT JOIN {JOB_SCORES.qualified} AS earlier ON earlier.detector = ? "
        "AND earlier.cluster_id = jobs.cluster_id AND earlier.job_id = jobs.job_id "
        "WHERE jobs.cluster_id = ? AND jobs.started_at >= ? AND jobs.started_at < ? AND jobs.run_s > 0 AND jobs.gpu_request_count > 0 "
        "AND jobs.efficiency_ratio IS NOT NULL AND (start >= ? OR start + dur <= ?) ORDER BY start, jobs.job_id",
        [cluster.starts_at, detector, cluster.cluster_id, *_span(cluster, since, until), known_at, known_at],
    )
    return _shown(found, keys=("dt", "job_id"))


def _span(cluster: Cluster, since: float, until: float) -> tuple[datetime, datetime]:
    """Hours of a cluster as moments: on a column as it is stored, the files of other days are not read."""
    return cluster.starts_at + timedelta(hours=since), cluster.starts_at + timedelta(hours=until)


def _shown(found: pa.Table, *, keys: Sequence[str]) -> Shown:
    columns = {name: _values(found[name]) for name in found.column_names if name not in keys}
    return Shown(columns, found.select(keys))


def _values(column: pa.ChunkedArray) -> Any:  # an array of numbers, of truths or of texts
    if pa.types.is_string(column.type):
        return np.asarray(column.fill_null("").to_pylist(), np.str_)
    if pa.types.is_boolean(column.type):
        return np.asarray(column.to_numpy(), np.bool_)
    return column.to_numpy() if pa.types.is_integer(column.type) and not column.null_count else _numbers(column)


def _numbers(column: pa.ChunkedArray) -> Any:
    return np.asarray(column.cast(pa.float64()).to_numpy(), np.float64)
