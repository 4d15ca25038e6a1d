"""Days of a cluster as a table of the page."""

from __future__ import annotations

from collections.abc import Sequence

from gpulake.reading.report import ClusterReport, Day
from gpulake.telling.markup import NUMBER, WORDS, table
from gpulake.telling.words import driver_words, pct, ratio_pct


def day_table(cluster: ClusterReport, days: Sequence[Day], *, has_reason: bool = False) -> str:
    """One row per day with its figures, and what stands out where that is asked for."""
    header = [("day", ""), *((name, NUMBER) for name in ("GPU use", "95th percentile", "CPU use", "measured"))]
    if has_reason:
        header.append(("what stands out", WORDS))
    rows = [
        [
            cluster.day_name(day.dt),
            pct(day.avg_gpu_util),
            pct(day.p95_gpu_util),
            pct(day.avg_cpu_util),
            ratio_pct(day.coverage_ratio, digits=0),
            *([day.anomaly_reason or driver_words(day)] if has_reason else []),
        ]
        for day in days
    ]
    kinds = [{"anomaly": "odd", "not_judged": "dim"}.get(day.judgement or "", "") for day in days]
    return table(header, rows, kinds=kinds)
