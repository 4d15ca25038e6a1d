"""The days of a cluster, drawn: what all GPUs and what a typical job did, each with what was expected, and how much was measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import date, timedelta
from io import StringIO
from math import nan
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from gpulake.reading.report import ClusterReport, Day, Report, day_number
from gpulake.telling.words import EXPECTED, driver_words, expected_words, headline, pct, ratio_pct

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZE_IN = (12.0, 9.6)
DPI = 200
CHARACTER_SHARE = 0.0074
"""Width of a small letter as a share of the panels' width."""

MOST_NAMES = 8
"""Flagged days that get a name; more would be a wall of text."""

NAME_HEIGHT_IN, MOST_ROWS = 0.5, 3
"""How high the three lines of a name are, and how many rows of names may stand above the lines."""

FOOT, NOTE = 0.02, 0.024
"""Where the last line stands, and the height of one above it, as shares of the picture's height."""


@dataclass(frozen=True)
class Palette:
    """Colours that stay apart for colour-blind eyes (Okabe and Ito) and in grey; each is named in the page's style."""

    paper: str = "#ffffff"
    ink: str = "#1c2733"
    soft: str = "#5b6876"
    hair: str = "#d5dbe1"
    weekend: str = "#f1f4f7"
    use: str = "#0072b2"
    use_fill: str = "#cfe3f1"
    tail: str = "#6aa5cf"
    tail_ink: str = "#3c7fae"
    use_band: str = "#dcebf6"
    held: str = "#00795a"
    held_band: str = "#d8ede5"
    typical: str = "#8a4f8f"
    typical_band: str = "#efe3f0"
    odd: str = "#d55e00"
    coverage: str = "#8a97a5"
    hatch: str = "#b9c2cb"


PALETTE = Palette()


def write_png(report: Report, file: Path) -> None:
    """Draw every cluster of the report, one below the other, as PNG.

    Where some have a measured GPU use those without are left out: nothing of them could be drawn.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    with look():
        figure = _figure(report)
        FigureCanvasAgg(figure)
        file.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(file, format="png", dpi=DPI, metadata={"Description": f"gpulake build {report.build_id}"})


def days_svg(cluster: ClusterReport) -> str:
    """The drawing of one cluster as an SVG element whose days answer the pointer; no title, the page has its own."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    text = StringIO()
    with look():
        figure = Figure(figsize=(SIZE_IN[0], 8.2), facecolor="none")
        FigureCanvasSVG(figure)
        _draw_days(figure, cluster, top=0.95, bottom=0.09, is_touchable=True)
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()


def unweighted_svg(cluster: ClusterReport) -> str:
    """The plain mean over rows beside the day's mean, on one axis, as an SVG element."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    text = StringIO()
    with look():
        figure = Figure(figsize=(SIZE_IN[0], 3.0), facecolor="none")
        FigureCanvasSVG(figure)
        axes = figure.add_axes((0.055, 0.14, 0.825, 0.8))
        days = list(_every_day(cluster.days))
        _draw_calendar(axes, cluster, days)
        unweighted = [day.avg_gpu_util_unweighted for day in days]
        average = [day.avg_gpu_util for day in days]
        _draw_line(axes, days, unweighted, PALETTE.soft, 1.4)
        _draw_line(axes, days, average, PALETTE.use, 2.0)
        axes.set_ylim(bottom=0)
        _label_ends(axes, days, [
            ("plain mean of\nthe raw column", unweighted, PALETTE.soft),
            ("mean of the day", average, PALETTE.use),
        ])  # fmt: skip
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()


@contextmanager
def look() -> Iterator[None]:
    """The house's look, while it draws."""
    from matplotlib import rc_context

    settings: dict[Any, Any] = {  # the stubs spell out every known key
        "font.family": ["DejaVu Sans"],
        "font.size": 10,
        "text.color": PALETTE.ink,
        "text.parse_math": False,
        "axes.edgecolor": PALETTE.hair,
        "axes.labelcolor": PALETTE.soft,
        "axes.facecolor": "none",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.spines.left": False,
        "axes.axisbelow": True,
        "xtick.color": PALETTE.soft,
        "ytick.color": PALETTE.soft,
        "ytick.major.size": 0,
        "hatch.linewidth": 0.6,
        "svg.fonttype": "none",
        "svg.hashsalt": "gpulake",
    }
    with rc_context(settings):
        yield


def _figure(report: Report) -> Figure:
    from matplotlib.figure import Figure

    clusters = [cluster for cluster in report.clusters if cluster.has_gpu_use] or report.clusters
    rows = max(1, len(clusters))
    figure = Figure(figsize=(SIZE_IN[0], SIZE_IN[1] * rows), facecolor=PALETTE.paper)
    if not clusters:
        figure.text(0.055, 0.955, "nothing has landed yet", size=17, weight="bold", va="top")
    parts = figure.subfigures(rows, 1, squeeze=False)[:, 0]
    for part, cluster in zip(parts, clusters, strict=False):
        part.set_facecolor(PALETTE.paper)
        _write_around(part, report, cluster)
        if cluster.has_gpu_use:
            _draw_days(part, cluster, top=0.825, bottom=FOOT + 0.075 + NOTE * len(_notes(cluster)))
    return figure


def _write_around(part: Figure, report: Report, cluster: ClusterReport) -> None:
    part.text(0.055, 0.955, headline(cluster), size=17, weight="bold", va="top")
    part.text(0.055, 0.905, _subtitle(cluster), size=10.5, color=PALETTE.soft, va="top", linespacing=1.4)
    for line, note in enumerate(reversed(_notes(cluster))):
        part.text(0.055, FOOT + NOTE * (line + 1), note, size=8.5, color=PALETTE.soft)
    part.text(0.055, FOOT, f"gpulake build {report.build_id}, published {report.published_at:%Y-%m-%d %H:%M} UTC · source {cluster.source}",
              size=8.5, color=PALETTE.soft)  # fmt: skip


def _notes(cluster: ClusterReport) -> list[str]:
    """What to know of the flags, in lines that fit."""
    return wrap(cluster.shown.counted.note, 150) if cluster.shown and cluster.shown.flagged else []


def _subtitle(cluster: ClusterReport) -> str:
    window = cluster.window
    if window is None or not cluster.has_gpu_use:
        missing = sorted({gap.missing_table for gap in cluster.unavailable if gap.missing_table})
        return f"not delivered: {', '.join(missing)}" if missing else "nothing was measured"
    return (
        f"cluster {cluster.cluster_id}, {cluster.day_name(window.first_day)} to {cluster.day_name(window.last_day)} · "
        f"{ratio_pct(window.coverage_ratio, digits=0)} of all GPU time was measured\n{cluster.provenance}"
    )


# --- the panels ------------------------------------------------------------------------------------------------------

GAP = 0.047


@dataclass(frozen=True)
class Line:
    """A further figure that days are judged by: its column, its title, its name at the line's end, its colour."""

    metric: str
    title: str
    label: str
    colour: str


LINES = (
    Line("allocated_gpu_util", "use of the GPUs that jobs held", "of the GPUs\nthat jobs held", "held"),
    Line("typical_job_gpu_util", "what a typical job does with the GPUs that it holds", "of a typical job", "typical"),
)


def _draw_days(part: Figure, cluster: ClusterReport, *, top: float, bottom: float, is_touchable: bool = False) -> None:
    days = list(_every_day(cluster.days))
    lines = [line for line in LINES if any(getattr(day, line.metric) is not None for day in days)]
    shares = [2.2, *[1.1] * len(lines), 0.6]
    height = (top - bottom - GAP * (len(shares) - 1)) / sum(shares)
    panels: list[Axes] = []
    for share in shares:
        top -= height * share
        panels.append(part.add_axes((0.055, top, 0.825, height * share), sharex=panels[0] if panels else None))
        top -= GAP
    for axes in panels:
        _draw_calendar(axes, cluster, days)
        _hatch_not_judged(axes, days)
    for axes in panels[:-1]:
        axes.tick_params(labelbottom=False, bottom=False)
    _draw_use(panels[0], cluster, days)
    for axes, line in zip(panels[1:], lines, strict=False):
        _draw_judged(axes, days, line)
    _draw_coverage(panels[-1], days)
    if is_touchable:
        _draw_touch_bands(panels[0], days)


def _draw_use(axes: Axes, cluster: ClusterReport, days: Sequence[Day]) -> None:
    numbers = [day_number(day.dt) for day in days]
    average = [day.avg_gpu_util for day in days]
    p95 = [day.p95_gpu_util for day in days]
    highest = max((value for value in (*average, *p95) if value is not None), default=1.0)
    names = placed(days, cluster)
    name_share = NAME_HEIGHT_IN / _height_in(axes)
    rows = max((name.row + 1 for name in names), default=0)
    axes.set_ylim(0, highest / max(0.95 - rows * name_share, 0.3))
    bands = [(day.expected_gpu_util, day.expected_low, day.expected_high) for day in days]
    if not _draw_band(axes, days, bands, PALETTE.use_band):
        axes.fill_between(
            numbers, 0, [_or_nan(value) for value in average], color=PALETTE.use_fill, linewidth=0, zorder=1.5
        )
    _draw_line(axes, days, p95, PALETTE.tail, 1.2)
    _draw_line(axes, days, average, PALETTE.use, 2.0)
    _label_ends(axes, days, [
        ("mean of the day", average, PALETTE.use),
        ("95th percentile of\nmachine-hours", p95, PALETTE.tail_ink),
    ])  # fmt: skip
    axes.set_yticks([tick for tick in axes.get_yticks() if tick <= highest * 1.05])
    _say(axes, "use of all GPUs that were measured", has_band=any(day.expected_low is not None for day in days))
    _mark_flagged(axes, days, names, name_share=name_share)


def _draw_judged(axes: Axes, days: Sequence[Day], line: Line) -> None:
    values = [getattr(day, line.metric) for day in days]
    bands = [tuple(getattr(day, name) for name in EXPECTED[line.metric]) for day in days]
    has_band = _draw_band(axes, days, bands, getattr(PALETTE, f"{line.colour}_band"))
    _draw_line(axes, days, values, getattr(PALETTE, line.colour), 2.0)
    _label_ends(axes, days, [(line.label, values, getattr(PALETTE, line.colour))])
    axes.set_ylim(bottom=0)
    _say(axes, line.title, has_band=has_band)
    for day in days:
        if day.judgement == "anomaly" and day.anomaly_driver == line.metric:
            _ring(axes, day, getattr(day, line.metric))


def _draw_band(axes: Axes, days: Sequence[Day], bands: Sequence[tuple[float | None, ...]], colour: str) -> bool:
    """What was expected, where anything was."""
    if all(band[1] is None for band in bands):
        return False
    numbers = [day_number(day.dt) for day in days]
    expected, low, high = ([_or_nan(value) for value in values] for values in zip(*bands, strict=True))
    axes.fill_between(numbers, low, high, color=colour, linewidth=0, zorder=1.5)
    axes.plot(numbers, expected, color=PALETTE.coverage, linewidth=1.0, linestyle=(0, (4, 3)), zorder=3)
    return True


def _say(axes: Axes, what: str, *, has_band: bool) -> None:
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0f} %")
    told = f"{what}   (band: what its own past lets expect)" if has_band else what
    axes.set_title(told, loc="left", size=10, color=PALETTE.soft, pad=6)


def _ring(axes: Axes, day: Day, value: float | None, *, is_driver: bool = True) -> None:
    """Filled where this is the figure that made the day unusual."""
    ink, edge = (PALETTE.odd, PALETTE.paper) if is_driver else (PALETTE.paper, PALETTE.odd)
    axes.plot([day_number(day.dt)], [_or_nan(value)], "o", color=ink, markersize=7, markeredgecolor=edge,
              markeredgewidth=1.2, zorder=5)  # fmt: skip


@dataclass(frozen=True)
class Name:
    """What is written about a flagged day: on which side of its line, in which row from the top, over which days."""

    day: Day
    text: str
    row: int
    is_left: bool
    first: float
    last: float


def placed(days: Sequence[Day], cluster: ClusterReport) -> list[Name]:
    """The names of the most unusual days, each right or left of its line, in the first row where it touches no other.

    Where no place is left a day has no name: its ring stays.
    """
    flagged = [day for day in days if day.judgement == "anomaly" and day.avg_gpu_util is not None]
    first, last = day_number(days[0].dt) - 0.7, day_number(days[-1].dt) + len(days) * 0.14
    placed: list[Name] = []
    for day in sorted(flagged, key=lambda day: -abs(day.anomaly_score or 0.0))[:MOST_NAMES]:
        expected = expected_words(day)
        text = f"{cluster.day_name(day.dt)}\n{driver_words(day)}" + (f",\n{expected}" if expected else "")
        width = max(map(len, text.split("\n"))) * len(days) * CHARACTER_SHARE
        number = day_number(day.dt)
        for row in range(MOST_ROWS):
            places = [
                Name(day, text, row, is_left=False, first=number, last=number + width),
                Name(day, text, row, is_left=True, first=number - width, last=number),
            ]
            free = [
                place
                for place in places
                if first <= place.first
                and place.last <= last
                and not any(
                    other.row == row and place.first < other.last and other.first < place.last for other in placed
                )
                and not any(_crosses(place, other) or _crosses(other, place) for other in placed)
            ]
            if free:
                placed.append(free[0])
                break
    return placed


def _crosses(name: Name, other: Name) -> bool:
    """Whether the line that goes up to a name passes through another name in a row below."""
    return other.row > name.row and other.first < day_number(name.day.dt) < other.last


def _height_in(axes: Axes) -> float:
    box = axes.get_window_extent()
    return float(box.height) / float(axes.figure.dpi)


def _mark_flagged(axes: Axes, days: Sequence[Day], names: Sequence[Name], *, name_share: float) -> None:
    """A ring on each flagged day; the most unusual also get their name, driver and expectation above the lines."""
    for day in days:
        if day.judgement == "anomaly" and day.avg_gpu_util is not None:
            _ring(axes, day, day.avg_gpu_util, is_driver=day.anomaly_driver not in {line.metric for line in LINES})
    top = axes.get_ylim()[1]
    for name in names:
        number = day_number(name.day.dt)
        height = top * (1 - name_share * (name.row + 0.5))
        axes.plot(
            [number, number], [_or_nan(name.day.avg_gpu_util), height], color=PALETTE.odd, linewidth=0.8, zorder=3
        )
        axes.annotate(name.text, (number, height), xytext=(-4 if name.is_left else 4, 0), textcoords="offset points",
                      ha="right" if name.is_left else "left", va="center", size=8.5, color=PALETTE.odd, zorder=6,
                      bbox={"facecolor": PALETTE.paper, "edgecolor": "none", "pad": 1.0})  # fmt: skip


def _draw_coverage(axes: Axes, days: Sequence[Day]) -> None:
    numbers = [day_number(day.dt) for day in days]
    heights = [_or_nan(day.coverage_ratio) * 100 for day in days]
    axes.bar(numbers, heights, width=0.8, color=PALETTE.coverage, linewidth=0, zorder=2)
    axes.set_ylim(0, 100)
    axes.set_yticks([0, 50, 100])
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0f} %")
    axes.set_title("measured share of all GPU time", loc="left", size=10, color=PALETTE.soft, pad=6)
    silent = next((day for day in days if day.judgement == "not_judged"), None)
    if silent is not None:
        axes.text(day_number(silent.dt) - 0.4, 84, "hatched: not judged", size=8.5, color=PALETTE.soft, va="center",
                  bbox={"facecolor": PALETTE.paper, "edgecolor": "none", "pad": 1.0})  # fmt: skip


def _hatch_not_judged(axes: Axes, days: Sequence[Day]) -> None:
    for first, last in _runs([day_number(day.dt) for day in days if day.judgement == "not_judged"]):
        axes.axvspan(
            first - 0.5, last + 0.5, facecolor="none", edgecolor=PALETTE.hatch, hatch="////", linewidth=0, zorder=1
        )


# --- parts -----------------------------------------------------------------------------------------------------------


def _draw_calendar(axes: Axes, cluster: ClusterReport, days: Sequence[Day]) -> None:
    """Shade weekends and name Mondays, thinned so that names do not touch."""
    numbers = [day_number(day.dt) for day in days]
    axes.set_xlim(numbers[0] - 0.7, numbers[-1] + 0.7)
    for first, last in _runs([day_number(day.dt) for day in days if day.dt.weekday() >= 5]):
        axes.axvspan(first - 0.5, last + 0.5, facecolor=PALETTE.weekend, linewidth=0, zorder=0)
    mondays = [day.dt for day in days if day.dt.weekday() == 0] or [days[0].dt]
    shown = mondays[:: max(1, -(-len(mondays) // 11))]
    axes.set_xticks([day_number(dt) for dt in shown], [f"{cluster.day_label(dt)}\n{dt:%A}" for dt in shown])
    axes.grid(axis="y", color=PALETTE.hair, linewidth=0.6)


def _draw_line(axes: Axes, days: Sequence[Day], values: Sequence[float | None], colour: str, width: float) -> None:
    axes.plot([day_number(day.dt) for day in days], [_or_nan(value) for value in values], color=colour,
              linewidth=width, solid_joinstyle="round", zorder=4)  # fmt: skip


def _label_ends(axes: Axes, days: Sequence[Day], lines: Sequence[tuple[str, Sequence[float | None], str]]) -> None:
    """Name each line where it ends, lowest first; a name that would touch the one below it moves up."""
    ends = [
        (next(value for value in reversed(values) if value is not None), text, colour)
        for text, values, colour in lines
        if any(value is not None for value in values)
    ]
    floor = float("-inf")
    for value, text, colour in sorted(ends):
        height = max(value, floor)
        axes.annotate(text, (day_number(days[-1].dt), height), xytext=(8, 0), textcoords="offset points", va="center",
                      size=9, color=colour, annotation_clip=False)  # fmt: skip
        floor = height + axes.get_ylim()[1] * 0.09


def _draw_touch_bands(axes: Axes, days: Sequence[Day]) -> None:
    """An unseen band per day, over both panels, that carries the day's figures for the pointer."""
    for day in days:
        number = day_number(day.dt)
        axes.axvspan(number - 0.5, number + 0.5, ymin=-0.4, clip_on=False, facecolor=PALETTE.ink, alpha=0.0, linewidth=0,
                     zorder=9, gid=f"day-{day.dt.isoformat()}")  # fmt: skip


def day_sentence(cluster: ClusterReport, day: Day) -> str:
    """The figures of one day in a line."""
    judgement = {"anomaly": ", flagged", "not_judged": ", not judged"}.get(day.judgement or "", "")
    judgement += f": {day.anomaly_reason}" if judgement and day.anomaly_reason else ""
    return (
        f"{cluster.day_name(day.dt)}: mean {pct(day.avg_gpu_util)}, 95th percentile {pct(day.p95_gpu_util)}, "
        f"CPU {pct(day.avg_cpu_util)}, {ratio_pct(day.coverage_ratio, digits=0)} measured{judgement}"
    )


def _every_day(days: Sequence[Day]) -> Iterator[Day]:
    """The days, with an empty one for each date that gold has no row for: a gap is drawn as a gap."""
    expected: date | None = None
    for day in days:
        while expected is not None and expected < day.dt:
            yield Day(expected, *[None] * (len(fields(Day)) - 1))
            expected += timedelta(days=1)
        yield day
        expected = day.dt + timedelta(days=1)


def _runs(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """First and last of each unbroken run."""
    start: int | None = None
    for i, number in enumerate(numbers):
        start = number if start is None else start
        if i + 1 == len(numbers) or numbers[i + 1] != number + 1:
            yield start, number
            start = None


def _or_nan(value: float | None) -> float:
    return nan if value is None else value
