"""The figures of a report, read once: every one is a column of a gold table, none is computed here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import date, datetime
from typing import Any, Protocol

from gpulake.errors import UsageError
from gpulake.reading.rows import Rows, Sql
from gpulake.sources import all_sources


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
class Implausible:
    """Values of one table that no machine or device can show: they are not known, and their rows stand."""

    table_name: str
    reason: str
    values: int


@dataclass(frozen=True)
class Day:
    """One row of `gold_cluster_util_daily_scored`; the names are its columns."""

    dt: date
    avg_gpu_util: float | None
    p95_gpu_util: float | None
    avg_gpu_util_low: float | None
    avg_gpu_util_high: float | None
    p95_gpu_util_low: float | None
    p95_gpu_util_high: float | None
    avg_cpu_util: float | None
    avg_cpu_util_low: float | None
    avg_cpu_util_high: float | None
    coverage_ratio: float | None
    avg_gpu_util_unweighted: float | None
    expected_gpu_util: float | None
    expected_low: float | None
    expected_high: float | None
    allocated_gpu_util: float | None
    expected_allocated_gpu_util: float | None
    expected_allocated_low: float | None
    expected_allocated_high: float | None
    typical_job_gpu_util: float | None
    expected_typical_gpu_util: float | None
    expected_typical_low: float | None
    expected_typical_high: float | None
    anomaly_flag: int | None
    anomaly_score: float | None
    anomaly_driver: str | None
    anomaly_reason: str | None
    judgement: str | None


@dataclass(frozen=True)
class Verdict:
    """One row of `gold_detector_days`: what one detector says of one day."""

    detector: str
    dt: date
    anomaly_flag: int | None
    anomaly_score: float | None
    expected_gpu_util: float | None
    expected_low: float | None
    expected_high: float | None
    expected_allocated_gpu_util: float | None
    expected_allocated_low: float | None
    expected_allocated_high: float | None
    expected_typical_gpu_util: float | None
    expected_typical_low: float | None
    expected_typical_high: float | None
    anomaly_driver: str | None
    anomaly_reason: str | None
    judgement: str


@dataclass(frozen=True)
class Counted:
    """One row of `gold_detectors`: a detector, and how many rows (days, hours) of a cluster it flags."""

    detector: str
    level: str
    is_shown: bool
    note: str
    false_alarms: str
    scored_rows: int
    flagged_rows: int
    flagged_not_judged_rows: int
    not_judged_rows: int


@dataclass(frozen=True)
class Judge:
    """One detector, and each day of a cluster as it judges it."""

    counted: Counted
    days: tuple[Day, ...]

    @property
    def name(self) -> str:
        """How it is called."""
        return self.counted.detector

    @property
    def flagged(self) -> tuple[Day, ...]:
        """The days that it calls unusual."""
        return tuple(day for day in self.days if day.judgement == "anomaly")

    @property
    def not_judged(self) -> tuple[Day, ...]:
        """The days that it may not judge, because too little was measured."""
        return tuple(day for day in self.days if day.judgement == "not_judged")


@dataclass(frozen=True)
class Window:
    """One row of `gold_cluster_util_window`: all days of a cluster."""

    window_days: int
    first_day: date
    last_day: date
    avg_gpu_util: float | None
    avg_gpu_util_low: float | None
    avg_gpu_util_high: float | None
    avg_cpu_util: float | None
    avg_cpu_util_low: float | None
    avg_cpu_util_high: float | None
    coverage_ratio: float | None
    lowest_day: date | None
    lowest_avg_gpu_util: float | None
    highest_day: date | None
    highest_avg_gpu_util: float | None
    lowest_p95_gpu_util: float | None
    highest_p95_gpu_util: float | None
    lowest_coverage_day: date | None
    lowest_coverage_ratio: float | None
    avg_gpu_util_unweighted: float | None
    flagged_days: int
    not_judged_days: int
    over_capacity_windows: int


@dataclass(frozen=True)
class Waste:
    """One row of `gold_waste_window`: where a cluster's GPU-hours went; null = not recorded. A range has no bound of failed attempts."""

    starts_at_capacity: bool
    starts_at_gpu_h: float
    total_gpu_h: float
    allocated_gpu_h: float
    over_allocated_gpu_h: float | None
    down_gpu_h: float | None
    down_ratio: float | None
    unallocated_gpu_h: float | None
    unallocated_ratio: float | None
    unknown_gpu_h: float
    unknown_ratio: float | None
    idle_held_gpu_h: float | None
    idle_held_ratio: float | None
    failed_active_gpu_h: float | None
    failed_active_ratio: float | None
    productive_gpu_h: float | None
    productive_ratio: float | None
    active_gpu_h: float | None
    measured_gpu_h: float
    efficiency_ratio: float | None
    allocation_coverage_ratio: float | None
    unbounded_spans: int
    failed_unbounded_spans: int
    failed_unbounded_gpu_h_high: float | None = None


@dataclass(frozen=True)
class Fleet:
    """One row of `gold_fleet`: the machines that a cluster has now."""

    machines: int
    gpus: int


@dataclass(frozen=True)
class JobStatus:
    """One row of `gold_job_status`: how many of a cluster's jobs ended so."""

    job_status: str
    jobs: int
    all_jobs: int


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
class Need:
    """One group of open incidents as `gpulake alerts list` lists it: what is wrong, how urgent it is, what to do."""

    incident_id: str
    cluster_id: str
    severity: str
    state: str
    title: str
    message: str
    advice: str
    audience: str
    since: datetime
    size: int


@dataclass(frozen=True)
class ClusterReport:
    """One cluster of the publication. `window` is None when no daily figure could be published.

    `days` are as the first of the `judges` sees them: the one that is shown, whose flags stand in
    `gold_cluster_util_daily_scored`; the others are there to compare. `needs` are as of now, not of the build.
    """

    cluster_id: str
    source: str
    time_zone: str
    time_basis: str
    judges: tuple[Judge, ...]
    detectors: tuple[Counted, ...]
    fleet: Fleet | None
    jobs: tuple[JobStatus, ...]
    landed: tuple[Landed, ...]
    refused: tuple[Refused, ...]
    implausible: tuple[Implausible, ...]
    window: Window | None
    days: tuple[Day, ...]
    unavailable: tuple[Unavailable, ...]
    waste: Waste | None
    needs: tuple[Need, ...] = ()
    further: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)  # rows that a section reads, of its own kind

    @property
    def shown(self) -> Judge | None:
        """The detector whose verdicts people are shown."""
        return self.judges[0] if self.judges else None

    def shown_of(self, level: str) -> Counted | None:
        """The detector whose verdicts people are shown of a level, with what it flags there."""
        return next((each for each in self.detectors if each.is_shown and each.level == level), None)

    @property
    def has_gpu_use(self) -> bool:
        """Whether any day has a GPU utilisation to show."""
        return any(day.avg_gpu_util is not None for day in self.days)

    @property
    def has_weekdays(self) -> bool:
        """Whether its source knows the day of the week."""
        return all(source.has_weekdays for source in all_sources() if source.name == self.source)

    def day_name(self, dt: date) -> str:
        """How people see a day of this cluster: "day 12, Tuesday", "2026-11-24, Tuesday"; "day 12" where no weekday is known."""
        return day_name(dt, self.time_basis) if self.has_weekdays else self.day_label(dt)

    def day_label(self, dt: date) -> str:
        """The same without its weekday."""
        return day_label(dt, self.time_basis)

    @property
    def provenance(self) -> str:
        """Whose bytes these are: a simulated trace never carries the publisher's checksums, and one's own data has none."""
        files = sum(table.files for table in self.landed)
        if not _is_published(self.source):
            return f"own data, in {files} file{'s' if files != 1 else ''}"
        publishers_files = sum(table.publishers_files for table in self.landed)
        if publishers_files == files:
            return "the publisher's own files, by checksum"
        if publishers_files == 0:
            return "simulated or altered data: no file carries the publisher's checksum"
        return f"{publishers_files} of {files} files carry the publisher's checksum"


def _is_published(name: str) -> bool:
    """Whether a source's files are those of a publisher, whose checksums are known."""
    return any(table.published_sha256 for source in all_sources() if source.name == name for table in source.tables)


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


WINDOW = Rows(Window, "gold_cluster_util_window")
DAYS = Rows(Day, "gold_cluster_util_daily_scored", order_by=("dt",))
DETECTORS = Rows(Counted, "gold_detectors", order_by=("is_shown desc", "detector"))
VERDICTS = Rows(Verdict, "gold_detector_days", order_by=("dt",))
WASTE = Rows(Waste, "gold_waste_window")
FLEET = Rows(Fleet, "gold_fleet")
JOBS = Rows(JobStatus, "gold_job_status", order_by=("jobs desc", "job_status"))

VERDICT_FIELDS = tuple(each.name for each in fields(Verdict) if each.name not in {"detector", "dt"})

CLUSTERS = """
    select
        cluster_id,
        source,
        time_zone,
        time_basis,
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

IMPLAUSIBLE = """
    select
        landings.table_name,
        implausible.reason,
        count(*) as values,
    from meta.implausible_values as implausible
    inner join meta.landings as landings using (landing_id)
    where landings.cluster_id = ?
    group by all
    order by count(*) desc, table_name, reason
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


def read(
    publication: Readable, *, further: Mapping[str, Rows[Any]] | None = None, needs: Sequence[Need] = ()
) -> Report:
    """Read every figure of the publication that a report shows, and what `further` asks for, by name.

    Clusters with a measured GPU use come first; the first also tells what the lake itself `needs`. Raises UsageError where an earlier gpulake published without such tables.
    """
    further = further or {}
    asked: list[Rows[Any]] = [WINDOW, DAYS, DETECTORS, VERDICTS, WASTE, FLEET, JOBS, *further.values()]  # of many kinds
    _check_tables(publication, [*(each.table for each in asked), "implausible_values"])
    found = [_read_cluster(publication, cluster, further) for cluster in publication.sql(CLUSTERS).to_pylist()]
    clusters = sorted(found, key=lambda cluster: not cluster.has_gpu_use)
    names = {cluster.cluster_id for cluster in clusters}
    return Report(
        build_id=publication.build_id,
        published_at=publication.published_at,
        clusters=tuple(
            replace(cluster, needs=tuple(need for need in needs if need.cluster_id == cluster.cluster_id
                                         or (cluster is clusters[0] and need.cluster_id not in names)))
            for cluster in clusters
        ),
    )  # fmt: skip


def _check_tables(publication: Readable, needed: Sequence[str]) -> None:
    found = publication.sql(
        "select table_name from information_schema.tables "
        "where table_catalog = current_database() and table_schema in ('main', 'meta')"
    )["table_name"].to_pylist()
    missing = [table for table in needed if table not in found]
    if missing:
        raise UsageError(
            f"build {publication.build_id} has no {missing[0]}: an earlier version of gpulake published it.",
            do="run gpulake refresh: it builds everything again and publishes it",
        )


def _read_cluster(publication: Readable, cluster: Mapping[str, Any], further: Mapping[str, Rows[Any]]) -> ClusterReport:
    name = cluster["cluster_id"]
    days = DAYS.of(publication, name)
    detectors = DETECTORS.of(publication, name)

    def rows(query: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = publication.sql(query, [name]).to_pylist()
        return found

    return ClusterReport(
        cluster_id=name,
        source=cluster["source"],
        time_zone=cluster["time_zone"],
        time_basis=cluster["time_basis"],
        judges=_judges(publication, name, days, detectors),
        detectors=detectors,
        fleet=next(iter(FLEET.of(publication, name)), None),
        jobs=JOBS.of(publication, name),
        landed=tuple(Landed(**row) for row in rows(LANDED)),
        refused=tuple(Refused(**row) for row in rows(REFUSED)),
        implausible=tuple(Implausible(**row) for row in rows(IMPLAUSIBLE)),
        window=next(iter(WINDOW.of(publication, name)), None),
        days=days,
        unavailable=tuple(
            Unavailable(row["missing_table"], row["table_name"], tuple(row["columns"]), tuple(row["reasons"] or ()))
            for row in rows(UNAVAILABLE)
        ),
        waste=next(iter(WASTE.of(publication, name)), None),
        further={asking: asked.of(publication, name) for asking, asked in further.items()},
    )


def _judges(
    publication: Readable, cluster_id: str, days: Sequence[Day], detectors: Sequence[Counted]
) -> tuple[Judge, ...]:
    verdicts = {(verdict.detector, verdict.dt): verdict for verdict in VERDICTS.of(publication, cluster_id)}
    return tuple(
        Judge(counted, tuple(_as_judged(day, verdicts.get((counted.detector, day.dt))) for day in days))
        for counted in detectors
        if counted.level == "cluster_day"
    )


def _as_judged(day: Day, verdict: Verdict | None) -> Day:
    said: dict[str, Any] = {name: getattr(verdict, name, None) for name in VERDICT_FIELDS}  # of many kinds
    return replace(day, **{**said, "judgement": verdict.judgement if verdict else "not_judged"})
