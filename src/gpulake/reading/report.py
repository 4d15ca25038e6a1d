"""The figures of a report, read once: every one was computed by SQL over gold, none afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Protocol

from gpulake.reading.rows import Rows, Sql


class Readable(Sql, Protocol):
    """As much of a Publication as a report needs."""

    @property
    def build_id(self) -> int:
        """Which build it is."""
        ...

    @property
    def published_at(self) -> datetime:
        """When it was published, UTC."""
        ...


@dataclass(frozen=True)
class Landed:
    """One source table of a cluster, all its landings together."""

    table_name: str
    files: int
    rows_in: int
    rows_kept: int
    rows_refused: int
    publishers_files: int
    layouts: str


@dataclass(frozen=True)
class Refused:
    """Quarantined rows of one table that share a reason."""

    table_name: str
    reason: str
    rows: int


@dataclass(frozen=True)
class Day:
    """One row of `gold_cluster_util_daily_scored`; the names are its columns."""

    dt: date
    avg_gpu_util: float | None
    p95_gpu_util: float | None
    avg_cpu_util: float | None
    coverage_ratio: float | None
    avg_gpu_util_unweighted: float | None
    expected_gpu_util: float | None
    expected_low: float | None
    expected_high: float | None
    anomaly_flag: int | None
    anomaly_score: float | None
    anomaly_driver: str | None
    anomaly_reason: str | None
    judgement: str | None


@dataclass(frozen=True)
class Window:
    """All days of a cluster in one row; means come from sums, extremes from the days that could be judged."""

    days: int
    first_day: date
    last_day: date
    mean_gpu_util: float | None
    mean_cpu_util: float | None
    coverage_ratio: float | None
    lowest_day: date | None
    lowest_gpu_util: float | None
    highest_day: date | None
    highest_gpu_util: float | None
    lowest_p95_gpu_util: float | None
    highest_p95_gpu_util: float | None
    lowest_coverage_day: date | None
    lowest_coverage_ratio: float | None
    mean_gpu_util_unweighted: float | None
    flagged_days: int
    not_judged_days: int
    over_capacity_windows: int


@dataclass(frozen=True)
class Step:
    """One class of the waterfall: GPU-hours that went one way."""

    kind: str
    words: str
    gpu_h: float


@dataclass(frozen=True)
class Waste:
    """Sums of `gold_waste_daily` over a cluster's window, whose classes add up to the total; null = not recorded."""

    total_gpu_h: float
    allocated_gpu_h: float
    over_allocated_gpu_h: float | None
    down_gpu_h: float | None
    unallocated_gpu_h: float | None
    unknown_gpu_h: float
    idle_held_gpu_h: float | None
    failed_active_gpu_h: float | None
    productive_gpu_h: float | None
    active_gpu_h: float | None
    measured_gpu_h: float
    unbounded_spans: int
    starts_at_allocated: bool

    @property
    def steps(self) -> tuple[Step, ...]:
        """The total, then the classes in order; a trace that is a sample of the load starts at what it holds."""
        free = "unallocated" if self.down_gpu_h is not None else "unallocated or down"
        steps = [
            Step("total", "capacity and over-held" if self.over_allocated_gpu_h else "capacity", self.total_gpu_h),
            Step("down", "down", self.down_gpu_h or 0.0),
            Step("unallocated", free, self.unallocated_gpu_h or 0.0),
        ]
        if self.starts_at_allocated or self.unallocated_gpu_h is None:
            steps = [Step("total", "held by jobs", self.allocated_gpu_h)]
        steps += [
            Step("unknown", "held, use not measured", self.unknown_gpu_h),
            Step("idle_held", "held, measured, idle", self.idle_held_gpu_h or 0.0),
            Step("failed", "in use by jobs that failed", self.failed_active_gpu_h or 0.0),
            Step("productive", "in use otherwise", self.productive_gpu_h or 0.0),
        ]
        shown = {"total", "unknown", *(["productive"] if self.measured_gpu_h else [])}
        return tuple(step for step in steps if step.gpu_h or step.kind in shown)


@dataclass(frozen=True)
class Unavailable:
    """Columns of one table that cannot be computed, because one source table was not delivered or for another reason."""

    missing_table: str | None
    table_name: str
    columns: tuple[str, ...]
    reasons: tuple[str, ...]

    @property
    def why(self) -> str:
        """What is missing, in words."""
        if self.missing_table:
            return f"{self.missing_table} was not delivered"
        return " ".join(self.reasons).removesuffix(".")


@dataclass(frozen=True)
class ClusterReport:
    """One cluster of the publication. `window` is None when no daily figure could be published."""

    cluster_id: str
    source: str
    time_zone: str
    time_basis: str
    detectors: tuple[str, ...]
    machines: int
    gpus: int
    jobs: Mapping[str, int]
    landed: tuple[Landed, ...]
    refused: tuple[Refused, ...]
    window: Window | None
    days: tuple[Day, ...]
    unavailable: tuple[Unavailable, ...]
    waste: Waste | None
    further: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)  # rows that a section reads, of its own kind

    @property
    def has_gpu_use(self) -> bool:
        """Whether any day has a GPU utilisation to show."""
        return any(day.avg_gpu_util is not None for day in self.days)

    @property
    def flagged(self) -> tuple[Day, ...]:
        """The days a detector calls unusual."""
        return tuple(day for day in self.days if day.judgement == "anomaly")

    @property
    def not_judged(self) -> tuple[Day, ...]:
        """The days no detector may judge, because too little was measured."""
        return tuple(day for day in self.days if day.judgement == "not_judged")

    def day_name(self, dt: date) -> str:
        """How people see a day of this cluster: "day 12, Tuesday", or "2026-11-24, Tuesday"."""
        return day_name(dt, self.time_basis)

    def day_label(self, dt: date) -> str:
        """The same without its weekday."""
        return day_label(dt, self.time_basis)

    @property
    def provenance(self) -> str:
        """Whose bytes these are: a simulated trace never carries the publisher's checksums."""
        files = sum(table.files for table in self.landed)
        publishers_files = sum(table.publishers_files for table in self.landed)
        if publishers_files == files:
            return "the publisher's own files, by checksum"
        if publishers_files == 0:
            return "simulated or altered data: no file carries the publisher's checksum"
        return f"{publishers_files} of {files} files carry the publisher's checksum"


@dataclass(frozen=True)
class Report:
    """Everything the terminal report, the picture and the page show."""

    build_id: int
    published_at: datetime
    clusters: tuple[ClusterReport, ...]


def day_number(dt: date) -> int:
    """Days since the origin of an offset clock."""
    return (dt - date(1970, 1, 1)).days


def day_label(dt: date, time_basis: str) -> str:
    """The day without its weekday: a number where the source hides its dates."""
    return dt.isoformat() if time_basis == "real" else f"day {day_number(dt)}"


def day_name(dt: date, time_basis: str) -> str:
    """How people see a day. The weekday of an offset clock is right, its date is not, so it is never shown."""
    return f"{day_label(dt, time_basis)}, {dt:%A}"


CLUSTERS = """
    select
        cluster_id,
        source,
        time_zone,
        time_basis,
        pools,
    from meta.clusters
    order by cluster_id
"""

LANDED = """
    select
        table_name,
        count(*) as files,
        sum(rows_in)::bigint as rows_in,
        sum(rows_kept)::bigint as rows_kept,
        sum(rows_refused)::bigint as rows_refused,
        count(*) filter (where published_bytes) as publishers_files,
        string_agg(distinct layout, ', ' order by layout) as layouts,
    from meta.landings
    where cluster_id = ?
    group by table_name
    order by table_name
"""

REFUSED = """
    select
        landings.table_name,
        quarantine.reason,
        count(*) as rows,
    from meta.quarantine as quarantine
    inner join meta.landings as landings using (landing_id)
    where landings.cluster_id = ?
    group by all
    order by count(*) desc, table_name, reason
"""

DAYS = """
    select
        dt,
        avg_gpu_util,
        p95_gpu_util,
        avg_cpu_util,
        coverage_ratio,
        avg_gpu_util_unweighted,
        expected_gpu_util,
        expected_low,
        expected_high,
        anomaly_flag,
        anomaly_score,
        anomaly_driver,
        anomaly_reason,
        judgement,
    from gold_cluster_util_daily_scored
    where cluster_id = ?
    order by dt
"""

# Ratios come from sums: a day's mean times its weight gives back the day's numerator.
WINDOW = """
    with days as (
        select
            *,
            judgement is distinct from 'not_judged' as is_judged,
        from gold_cluster_util_daily_scored
        where cluster_id = ?
    )
    select
        count(*) as days,
        min(dt) as first_day,
        max(dt) as last_day,
        sum(avg_gpu_util * covered_gpu_s) / nullif(sum(covered_gpu_s), 0) as mean_gpu_util,
        sum(avg_cpu_util * covered_core_s) / nullif(sum(covered_core_s), 0) as mean_cpu_util,
        sum(covered_gpu_s) / nullif(sum(capacity_gpu_s), 0) as coverage_ratio,
        arg_min(dt, avg_gpu_util) filter (where is_judged) as lowest_day,
        min(avg_gpu_util) filter (where is_judged) as lowest_gpu_util,
        arg_max(dt, avg_gpu_util) filter (where is_judged) as highest_day,
        max(avg_gpu_util) filter (where is_judged) as highest_gpu_util,
        min(p95_gpu_util) filter (where is_judged) as lowest_p95_gpu_util,
        max(p95_gpu_util) filter (where is_judged) as highest_p95_gpu_util,
        arg_min(dt, coverage_ratio) as lowest_coverage_day,
        min(coverage_ratio) as lowest_coverage_ratio,
        sum(avg_gpu_util_unweighted * windows) / nullif(sum(windows), 0) as mean_gpu_util_unweighted,
        count(*) filter (where judgement = 'anomaly') as flagged_days,
        count(*) filter (where judgement = 'not_judged') as not_judged_days,
        coalesce(sum(over_capacity_windows), 0)::bigint as over_capacity_windows,
    from days
    having count(*) > 0
"""

WASTE = """
    select
        sum(waste.total_gpu_h) as total_gpu_h,
        sum(capacity.allocated_gpu_h) as allocated_gpu_h,
        sum(waste.over_allocated_gpu_h) as over_allocated_gpu_h,
        sum(waste.down_gpu_h) as down_gpu_h,
        sum(waste.unallocated_gpu_h) as unallocated_gpu_h,
        sum(waste.unknown_gpu_h) as unknown_gpu_h,
        sum(waste.idle_held_gpu_h) as idle_held_gpu_h,
        sum(waste.failed_active_gpu_h) as failed_active_gpu_h,
        sum(waste.productive_gpu_h) as productive_gpu_h,
        sum(capacity.active_gpu_h) as active_gpu_h,
        sum(capacity.allocated_gpu_h - capacity.unknown_gpu_h) as measured_gpu_h,
        sum(capacity.unbounded_spans)::bigint as unbounded_spans,
    from gold_waste_daily as waste
    inner join gold_capacity_daily as capacity using (cluster_id, dt, pool)
    where waste.cluster_id = ?
    having sum(capacity.allocated_gpu_h) is not null
"""

FLEET = """
    select
        count(distinct machine_id) as machines,
        coalesce(sum(gpu_count), 0)::bigint as gpus,
    from silver_machines
    where cluster_id = ? and valid_to is null
"""

JOBS = """
    select
        job_status,
        count(*) as jobs,
    from silver_jobs
    where cluster_id = ?
    group by job_status
    order by count(*) desc, job_status
"""

DETECTORS = """
    select distinct detector
    from meta.scores
    where cluster_id = ?
    order by detector
"""

UNAVAILABLE = """
    select
        missing_table,
        table_name,
        list(distinct column_name order by column_name) as columns,
        list(distinct reason order by reason) filter (where reason is not null) as reasons,
    from gold_availability
    where cluster_id = ? and not available
    group by missing_table, case when missing_table is null then reason end, table_name
    order by missing_table, case when missing_table is null then any_value(reason) end, table_name
"""


def read(publication: Readable, *, further: Mapping[str, Rows[Any]] | None = None) -> Report:
    """Read every figure of the publication that a report shows, and what `further` asks for, by name.

    Clusters with a measured GPU use come first.
    """
    clusters = [_read_cluster(publication, cluster, further or {}) for cluster in publication.sql(CLUSTERS).to_pylist()]
    return Report(
        build_id=publication.build_id,
        published_at=publication.published_at,
        clusters=tuple(sorted(clusters, key=lambda cluster: not cluster.has_gpu_use)),
    )


def _read_cluster(publication: Readable, cluster: Mapping[str, Any], further: Mapping[str, Rows[Any]]) -> ClusterReport:
    def rows(query: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = publication.sql(query, [cluster["cluster_id"]]).to_pylist()
        return found

    window, waste = rows(WINDOW), rows(WASTE)
    (fleet,) = rows(FLEET)
    return ClusterReport(
        cluster_id=cluster["cluster_id"],
        source=cluster["source"],
        time_zone=cluster["time_zone"],
        time_basis=cluster["time_basis"],
        detectors=tuple(row["detector"] for row in rows(DETECTORS)),
        machines=fleet["machines"],
        gpus=fleet["gpus"],
        jobs={row["job_status"]: row["jobs"] for row in rows(JOBS)},
        landed=tuple(Landed(**row) for row in rows(LANDED)),
        refused=tuple(Refused(**row) for row in rows(REFUSED)),
        window=Window(**window[0]) if window else None,
        days=tuple(Day(**row) for row in rows(DAYS)),
        unavailable=tuple(
            Unavailable(row["missing_table"], row["table_name"], tuple(row["columns"]), tuple(row["reasons"] or ()))
            for row in rows(UNAVAILABLE)
        ),
        waste=Waste(**waste[0], starts_at_allocated=cluster["pools"] == "all") if waste else None,
        further={name: asked.of(publication, cluster["cluster_id"]) for name, asked in further.items()},
    )
