"""How the cluster was used: means, extremes, coverage, and each day as a bar or a point."""

from __future__ import annotations

from gpulake.reading.report import ClusterReport
from gpulake.telling.cells import wrapped
from gpulake.telling.lines import COLUMNS as WIDTH
from gpulake.telling.sections import Section
from gpulake.telling.text import RULE
from gpulake.telling.words import counted, pct, ratio_pct

SPARKS = "▁▂▃▄▅▆▇█"


def _lines(cluster: ClusterReport) -> list[str]:
    window = cluster.window
    if window is None:
        return []
    lines: list[str] = []
    if cluster.has_gpu_use:
        extremes = [
            f"{word} {pct(value)} on {cluster.day_name(dt)}"
            for word, dt, value in (
                ("lowest", window.lowest_day, window.lowest_avg_gpu_util),
                ("highest", window.highest_day, window.highest_avg_gpu_util),
            )
            if dt is not None
        ]
        mean = _mean(window.avg_gpu_util, window.avg_gpu_util_low, window.avg_gpu_util_high)
        lines += _told("GPU use", "; ".join([mean, *([", ".join(extremes)] if extremes else [])]))
        if window.lowest_p95_gpu_util is not None:
            low, high = pct(window.lowest_p95_gpu_util), pct(window.highest_p95_gpu_util)
            lines += _told("", f"95th percentile of machine-hours between {low} and {high} from day to day")
    coverage = f"{ratio_pct(window.coverage_ratio)} of all GPU time, by the machines' windows"
    if window.lowest_coverage_day is not None and cluster.has_gpu_use:
        least = ratio_pct(window.lowest_coverage_ratio)
        coverage += f"; least on {cluster.day_name(window.lowest_coverage_day)}: {least}"
    if window.avg_cpu_util is not None:
        lines += _told("CPU use", _mean(window.avg_cpu_util, window.avg_cpu_util_low, window.avg_cpu_util_high))
    lines += [*_told("coverage", coverage), *_spark_lines(cluster)]
    if window.avg_gpu_util_unweighted is not None:
        plain = "the plain mean of the raw column, which adds up the GPUs of a machine"
        lines += _told("unweighted", f"{window.avg_gpu_util_unweighted:.1f}: {plain}")
    if window.over_capacity_windows:
        above = counted(window.over_capacity_windows, "measurement")
        lines += _told("above 100", f"{above} above what the machine's GPUs can do, kept and counted")
    if cluster.jobs:
        statuses = ", ".join(f"{each.jobs:,} {each.job_status}" for each in cluster.jobs)
        lines += _told("jobs", f"{cluster.jobs[0].all_jobs:,}: {statuses}")
    return ["how GPUs were used", RULE, *lines]


def _mean(mean: float | None, low: float | None, high: float | None) -> str:
    """A mean, with the range that holds it where one is known."""
    return f"mean {pct(mean)}" + (f" ({pct(low)} to {pct(high)}, nine times in ten)" if low is not None else "")


def _told(label: str, words: str) -> list[str]:
    return wrapped(words, WIDTH, first=label.ljust(11), rest=" " * 11)


def _spark_lines(cluster: ClusterReport) -> list[str]:
    """Daily GPU use as one line of bars from zero, what is flagged below; the newest days when there are too many."""
    days = cluster.days
    shown = days[-(WIDTH - 20) :]
    top = max((day.avg_gpu_util for day in shown if day.avg_gpu_util is not None), default=0.0)
    if top <= 0:
        return []
    bars = "".join(
        " " if day.avg_gpu_util is None else SPARKS[round(max(day.avg_gpu_util, 0.0) / top * (len(SPARKS) - 1))]
        for day in shown
    )
    lines = [f"by day     {bars}  0–{top:.0f} %"]
    for judge in cluster.judges[:1]:
        judged = judge.days[-(WIDTH - 20) :]
        marks = "".join({"anomaly": "▲", "not_judged": "·"}.get(day.judgement or "", " ") for day in judged)
        if marks.strip():
            told = (("▲", "▲ flagged"), ("·", "· not judged"))
            words = [word for mark, word in told if mark in marks]
            lines += [f"           {marks}", f"           {'  '.join(words)}"]
    if len(shown) < len(days):
        lines.append(f"           the last {len(shown)} of {len(days)} days")
    return lines


SECTION = Section(name="use", place=20, lines=_lines)
