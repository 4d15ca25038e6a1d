"""What a publication says, read once and told in plain text.

`read` turns the Publication into a `Report`: every figure in it was computed by SQL over gold, none afterwards.
`render` lays a report out for a terminal; `pictures` draws the same report. Both only format.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby
from textwrap import wrap
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import pyarrow as pa

WIDTH = 100
"""Columns the terminal report is laid out for."""

SPARKS = "▁▂▃▄▅▆▇█"
RULE = "─" * 64
MOST_DAYS = 6
"""Days listed one by one in a terminal; a page lists them all."""

FOREST_NOTE = "The isolation forest flags about 5 % of the days whatever happens: a ranking, not an alarm."


class Readable(Protocol):
    """As much of a Publication as a report needs."""

    @property
    def build_id(self) -> int:
        """Which build it is."""
        ...

    @property
    def published_at(self) -> datetime:
        """When it was published, UTC."""
        ...

    def sql(self, query: str, params: Sequence[object] = ..., /) -> pa.Table:
        """The rows of a query."""
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


def read(publication: Readable) -> Report:
    """Read every figure of the publication that a report shows; clusters with a measured GPU use come first."""
    clusters = [_read_cluster(publication, cluster) for cluster in publication.sql(CLUSTERS).to_pylist()]
    return Report(
        build_id=publication.build_id,
        published_at=publication.published_at,
        clusters=tuple(sorted(clusters, key=lambda cluster: not cluster.has_gpu_use)),
    )


def _read_cluster(publication: Readable, cluster: Mapping[str, Any]) -> ClusterReport:
    def rows(query: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = publication.sql(query, [cluster["cluster_id"]]).to_pylist()
        return found

    window = rows(WINDOW)
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
    )


# --- words -----------------------------------------------------------------------------------------------------------


def headline(cluster: ClusterReport) -> str:
    """The finding in one line: the title of the report, the picture and the page."""
    window = cluster.window
    if window is None or not cluster.has_gpu_use:
        return f"{cluster.cluster_id}: GPU use was not measured"
    return (
        f"{counted(window.days, 'day')} of GPU use: mean {pct(window.mean_gpu_util, digits=0)} of measured time, "
        + (f"{counted(window.flagged_days, 'day')} flagged" if window.flagged_days else "no day flagged")
    )


def counted(number: int, noun: str) -> str:
    """A number with its noun, in the plural where it needs one."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def pct(value: float | None, *, digits: int = 1) -> str:
    """A percentage, or a dash: unknown is never 0."""
    return "—" if value is None else f"{value:.{digits}f} %"


def ratio_pct(ratio: float | None, *, digits: int = 1) -> str:
    """A 0–1 ratio in percent; a small one that is not zero never reads "0.0 %"."""
    if ratio is not None and 0 < ratio * 100 < 10**-digits / 2:
        return f"< {10**-digits:.{digits}f} %"
    return pct(None if ratio is None else ratio * 100, digits=digits)


DRIVERS = {
    "avg_gpu_util": "mean GPU use",
    "p95_gpu_util": "95th percentile of GPU use",
    "avg_cpu_util": "mean CPU use",
}


def driver_words(day: Day) -> str:
    """The figure that made a day unusual, with its value; one we have no word for keeps its column name."""
    if day.anomaly_driver is None:
        return "no single figure stands out"
    name = DRIVERS.get(day.anomaly_driver, day.anomaly_driver)
    value: float | None = getattr(day, day.anomaly_driver, None)
    return name if value is None else f"{name} {pct(value)}"


def shared_reason(days: Sequence[Day]) -> str | None:
    """The reason that all these days share, if they do."""
    reasons = {day.anomaly_reason for day in days}
    return reasons.pop() if len(reasons) == 1 else None


# --- the terminal report ---------------------------------------------------------------------------------------------


def render(report: Report, *, lake: str = "./lake") -> str:
    """The report as text, at most WIDTH columns wide."""
    parts = [
        f"gpulake report   build {report.build_id}, published {report.published_at:%Y-%m-%d %H:%M} UTC",
        *("\n".join(_cluster_lines(cluster)) for cluster in report.clusters),
        "\n".join(_further_lines(lake)),
    ]
    return "\n\n".join(parts) + "\n"


def _cluster_lines(cluster: ClusterReport) -> list[str]:
    sections = [
        _title_lines(cluster),
        _landed_lines(cluster),
        _use_lines(cluster),
        _flagged_lines(cluster),
        _not_judged_lines(cluster),
        _unavailable_lines(cluster),
    ]
    return "\n\n".join("\n".join(lines) for lines in sections if lines).splitlines()


def _title_lines(cluster: ClusterReport) -> list[str]:
    title = headline(cluster)
    lines = [title, "═" * min(len(title), WIDTH)]
    window = cluster.window
    if window is not None:
        lines.append(
            f"cluster {cluster.cluster_id}, {cluster.day_name(window.first_day)} to "
            f"{cluster.day_name(window.last_day)}, {cluster.time_zone} time"
        )
    if cluster.machines:
        lines.append(f"{counted(cluster.machines, 'machine')} with {counted(cluster.gpus, 'GPU')}")
    lines.append(cluster.provenance)
    return lines


def _landed_lines(cluster: ClusterReport) -> list[str]:
    table = text_table(
        ["what landed", "files", "rows", "kept", "refused", "layout"],
        [
            [
                landed.table_name,
                f"{landed.files:,}",
                f"{landed.rows_in:,}",
                f"{landed.rows_kept:,}",
                f"{landed.rows_refused:,}",
                landed.layouts,
            ]
            for landed in cluster.landed
        ],
        right={1, 2, 3, 4},
    )
    shown = cluster.refused[:5]
    table += [f"  refused: {refused.rows:,} × {refused.reason} ({refused.table_name})" for refused in shown]
    hidden_rows = sum(refused.rows for refused in cluster.refused[len(shown) :])
    if hidden_rows:
        table.append(f"  refused: {hidden_rows:,} more for other reasons (select * from meta.quarantine)")
    return table


def _use_lines(cluster: ClusterReport) -> list[str]:
    window = cluster.window
    if window is None:
        return []
    lines: list[str] = []
    if cluster.has_gpu_use:
        extremes = [
            f"{word} {pct(value)} on {cluster.day_name(dt)}"
            for word, dt, value in (
                ("lowest", window.lowest_day, window.lowest_gpu_util),
                ("highest", window.highest_day, window.highest_gpu_util),
            )
            if dt is not None
        ]
        low, high = pct(window.lowest_p95_gpu_util), pct(window.highest_p95_gpu_util)
        lines += [
            f"GPU use    mean {pct(window.mean_gpu_util)}   {', '.join(extremes)}".rstrip(),
            f"           95th percentile of machine-hours between {low} and {high} from day to day",
        ]
    coverage = f"{ratio_pct(window.coverage_ratio)} of all GPU time was measured"
    if window.lowest_coverage_day is not None and cluster.has_gpu_use:
        least = ratio_pct(window.lowest_coverage_ratio)
        coverage += f"; least on {cluster.day_name(window.lowest_coverage_day)}: {least}"
    if window.mean_cpu_util is not None:
        lines.append(f"CPU use    mean {pct(window.mean_cpu_util)}")
    lines += [f"coverage   {coverage}", *_spark_lines(cluster.days)]
    if window.mean_gpu_util_unweighted is not None:
        lines.append(
            f"unweighted {window.mean_gpu_util_unweighted:.1f}: the plain mean of the raw column, which adds up the GPUs "
            "of a machine"
        )
    if window.over_capacity_windows:
        lines.append(
            f"above 100  {counted(window.over_capacity_windows, 'measurement')} above what the machine's GPUs can do, "
            "kept and counted"
        )
    if cluster.jobs:
        statuses = ", ".join(f"{jobs:,} {status}" for status, jobs in cluster.jobs.items())
        lines.append(f"jobs       {sum(cluster.jobs.values()):,}: {statuses}")
    return lines


def _spark_lines(days: Sequence[Day]) -> list[str]:
    """Daily GPU use as one line of bars from zero, with marks below; the newest days when there are too many."""
    shown = days[-(WIDTH - 20) :]
    top = max((day.avg_gpu_util for day in shown if day.avg_gpu_util is not None), default=0.0)
    if top <= 0:
        return []
    bars = "".join(
        " " if day.avg_gpu_util is None else SPARKS[round(max(day.avg_gpu_util, 0.0) / top * (len(SPARKS) - 1))]
        for day in shown
    )
    marks = "".join({"anomaly": "▲", "not_judged": "·"}.get(day.judgement or "", " ") for day in shown)
    lines = [f"by day     {bars}  0–{top:.0f} %"]
    if marks.strip():
        words = [word for mark, word in (("▲", "▲ flagged"), ("·", "· not judged")) if mark in marks]
        lines.append(f"           {marks}  {'  '.join(words)}"[:WIDTH])
    if len(shown) < len(days):
        lines.append(f"           the last {len(shown)} of {len(days)} days")
    return lines


def _flagged_lines(cluster: ClusterReport) -> list[str]:
    if not cluster.flagged:
        return []
    shown = cluster.flagged[-MOST_DAYS:]
    names = [cluster.day_name(day.dt) for day in shown]
    lines = ["flagged days", RULE]
    for name, day in zip(names, shown, strict=True):
        figures = [
            name.ljust(max(map(len, names))),
            f"GPU {pct(day.avg_gpu_util)}",
            f"95th percentile {pct(day.p95_gpu_util)}",
            f"CPU {pct(day.avg_cpu_util)}",
            f"measured {ratio_pct(day.coverage_ratio, digits=0)}",
        ]
        lines += ["   ".join(figures), f"    {day.anomaly_reason or driver_words(day)}"]
    if len(shown) < len(cluster.flagged):
        lines.append(f"    and {len(cluster.flagged) - len(shown)} earlier ones")
    if "iforest" in cluster.detectors:
        lines.append(FOREST_NOTE)
    return lines


def _not_judged_lines(cluster: ClusterReport) -> list[str]:
    days = cluster.not_judged
    if not days:
        return []
    lines = [f"not judged: {counted(len(days), 'day')}", RULE]
    shared = shared_reason(days)
    if shared is not None:
        return [*lines, f"all of them: {shared}"]
    names = [f"{cluster.day_name(day.dt)}{forest_flag(day)}" for day in days[:MOST_DAYS]]
    for name, day in zip(names, days, strict=False):
        lines += wrap(f"{name.ljust(max(map(len, names)))}   {day.anomaly_reason or 'no reason was given'}", WIDTH,
                      subsequent_indent="    ", break_on_hyphens=False)  # fmt: skip
    if len(days) > MOST_DAYS:
        lines.append(f"    and {len(days) - MOST_DAYS} more")
    return lines


def forest_flag(day: Day) -> str:
    """A day that is not judged may still carry the mission's flag: say so, beside its name."""
    return " (flagged all the same)" if day.anomaly_flag else ""


def _unavailable_lines(cluster: ClusterReport) -> list[str]:
    lines: list[str] = []
    for why, gaps in groupby(cluster.unavailable, key=lambda gap: gap.why):
        lines += wrap(f"{why.removesuffix('.')}, so these are empty", WIDTH, break_on_hyphens=False)
        for gap in gaps:
            lines += wrap(f"{gap.table_name}: {', '.join(gap.columns)}", WIDTH, initial_indent="  ",
                          subsequent_indent="    ", break_on_hyphens=False)  # fmt: skip
    return ["cannot be computed", RULE, *lines] if lines else []


def _further_lines(lake: str) -> list[str]:
    return [
        "look further",
        f'  gpulake sql --lake {lake} "select * from gold_cluster_util_daily_scored"',
        f"  gpulake report --lake {lake} --png days.png --html days.html",
        f"  gpulake export --lake {lake} --duckdb telemetry.db",
    ]


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]], *, right: set[int]) -> list[str]:
    """Lines of a table whose columns are as wide as their widest cell; the last column is cut at WIDTH."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        text = "  ".join(padded).rstrip()
        return text if len(text) <= WIDTH else text[: WIDTH - 1] + "…"

    return [line(header), RULE, *(line(row) for row in rows)]
