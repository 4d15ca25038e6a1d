"""A report as pictures for a mail or a slide: the days with what was expected of them, and where the GPU-hours went."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path

import pyarrow as pa

from gpulake.charts import (
    CLUSTER_USE,
    HELD_USE,
    LEGEND,
    TYPICAL_USE,
    Calendar,
    Chart,
    capacity_waterfall,
    sentence,
    sheet,
    use_by_day,
)
from gpulake.reading.report import ClusterReport, Day, Report
from gpulake.telling.words import beside_waste, driver_words, headline, measured_by, waste_headline

MOST_DAYS = 400
"""Days in a picture: the last ones, where there are more."""

MOST_TOLD = 12
"""Flagged days whose reason stands below the picture."""


def write_days(report: Report, file: Path) -> None:
    """Draw the days of every cluster as PNG, one below the other: what was seen, the expected band, flags and their reasons.

    Where some have a measured GPU use those without are left out: nothing of them could be drawn.
    """
    measured = [cluster for cluster in report.clusters if cluster.has_gpu_use]
    _write(report, file, measured or report.clusters, days_of)


def write_waterfall(report: Report, file: Path) -> None:
    """Draw where every cluster's GPU-hours went as PNG, one below the other, for those of which it is told."""
    _write(report, file, [cluster for cluster in report.clusters if cluster.waste is not None], waterfall_of)


def _write(
    report: Report, file: Path, clusters: Sequence[ClusterReport], draw: Callable[[ClusterReport], Chart]
) -> None:
    charts = [
        replace(chart, notes=(*chart.notes, f"gpulake build {report.build_id} · source {cluster.source}"))
        for cluster in clusters
        for chart in [draw(cluster)]
    ]
    if not charts:
        title = "; ".join(waste_headline(cluster) for cluster in report.clusters) or "Nothing has landed yet"
        charts = [sentence(title, subtitle=f"gpulake build {report.build_id}")]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(sheet(charts))


def days_of(cluster: ClusterReport) -> Chart:
    """The days of one cluster, and below them why some are flagged; a sentence where nothing was measured."""
    table = _table(cluster.days[-MOST_DAYS:])
    seen = [each for each in (CLUSTER_USE, HELD_USE, TYPICAL_USE) if table[each.value].null_count < table.num_rows]
    if not seen:
        return sentence(headline(cluster), subtitle=_subtitle(cluster))
    flagged = [day for day in cluster.days[-MOST_DAYS:] if day.judgement == "anomaly"]
    told = [f"{cluster.day_name(day.dt)}: {day.anomaly_reason or driver_words(day)}" for day in flagged[:MOST_TOLD]]
    more = len(flagged) - len(told)
    drawn = use_by_day(
        table, title=headline(cluster), seen=seen, subtitle=_subtitle(cluster), calendar=_calendar(cluster)
    )
    return replace(drawn, notes=(LEGEND, *told, *([f"and {more:,} more flagged days"] if more else [])))


def waterfall_of(cluster: ClusterReport) -> Chart:
    """Where the GPU-hours of one cluster went, of which that is told, and below it what the bars leave out."""
    waste = cluster.waste
    assert waste is not None
    drawn = capacity_waterfall(
        pa.Table.from_pylist([asdict(waste)]),
        title=waste_headline(cluster),
        subtitle=_subtitle(cluster),
        calendar=_calendar(cluster),
    )
    return replace(drawn, notes=(*measured_by(waste), *beside_waste(waste)))


def _calendar(cluster: ClusterReport) -> Calendar:
    return Calendar.of(cluster.time_zone, time_basis=cluster.time_basis, has_weekdays=cluster.has_weekdays)


def _subtitle(cluster: ClusterReport) -> str:
    window = cluster.window
    span = f"{cluster.day_name(window.first_day)} to {cluster.day_name(window.last_day)} · " if window else ""
    return f"cluster {cluster.cluster_id}, {span}{cluster.provenance}"


def _table(days: Sequence[Day]) -> pa.Table:
    kinds = {"date": pa.date32(), "str | None": pa.string(), "int | None": pa.int64(), "float | None": pa.float64()}
    schema = pa.schema([(field.name, kinds[str(field.type)]) for field in fields(Day)])
    return pa.Table.from_pylist([asdict(day) for day in days], schema=schema)
