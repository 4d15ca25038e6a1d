"""A report laid out for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from textwrap import wrap

from gpulake.reading.report import ClusterReport, Day, Report
from gpulake.telling.words import (
    FOREST_NOTE,
    counted,
    driver_words,
    forest_flag,
    gpu_hours,
    headline,
    pct,
    ratio_pct,
    share_pct,
    shared_reason,
)

WIDTH = 100
"""Columns the terminal report is laid out for."""

SPARKS = "▁▂▃▄▅▆▇█"
RULE = "─" * 64
MOST_DAYS = 6
"""Days listed one by one in a terminal; a page lists them all."""

MOST_REASONS = 3
"""Things a source never records that are listed with their columns."""


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
        _waste_lines(cluster),
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


def _waste_lines(cluster: ClusterReport) -> list[str]:
    waste = cluster.waste
    if waste is None:
        return []
    rows = [
        [step.words, gpu_hours(step.gpu_h), share_pct(step.gpu_h, waste.steps[0].gpu_h),
         "█" * round(step.gpu_h / (waste.steps[0].gpu_h or 1) * 40)]
        for step in waste.steps
    ]  # fmt: skip
    lines = text_table(["where the GPU-hours went", "", "", ""], rows, right={1, 2})
    if waste.unbounded_spans:
        lines.append(
            f"beside it  {counted(waste.unbounded_spans, 'attempt')} with GPUs lack a start or an end: not counted"
        )
    if waste.over_allocated_gpu_h:
        lines.append(
            f"beyond it  {gpu_hours(waste.over_allocated_gpu_h)} were held above what machines have: a fault of the data"
        )
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


def _unavailable_lines(cluster: ClusterReport) -> list[str]:
    lines: list[str] = []
    shown = list(cluster.unavailable)
    reasons = dict.fromkeys(gap.why for gap in shown if gap.missing_table is None)
    if len(reasons) > MOST_REASONS:
        shown = [gap for gap in shown if gap.missing_table]
        lines += [line for why in reasons for line in wrap(f"{why}.", WIDTH, subsequent_indent="    ")]
        lines.append("Which columns each of these empties: select * from gold_availability where not available")
    for why, gaps in groupby(shown, key=lambda gap: gap.why):
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
