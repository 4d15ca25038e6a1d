"""Where each cluster's GPU-hours went: from all there were to what was put to use, one falling bar per class."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from gpulake.reading.report import ClusterReport, Report
from gpulake.telling.pictures.days import DPI, PALETTE, SIZE_IN, look
from gpulake.telling.words import beside_waste, gpu_hours, ratio_pct, waste_headline, waste_steps

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROW_IN = 0.46
"""Height of one bar with its space, in inches."""

LEFT_PAD_PT = 174
LEFT, WIDTH = 0.235, 0.585
COLOURS = {
    "total": PALETTE.hair,
    "down": PALETTE.coverage,
    "unallocated": PALETTE.hatch,
    "unknown": PALETTE.coverage,
    "idle_held": PALETTE.odd,
    "failed": PALETTE.tail,
    "productive": PALETTE.use,
}


def write_waterfall(report: Report, file: Path) -> None:
    """Draw every cluster whose GPU-hours are told, one below the other, as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    clusters = [cluster for cluster in report.clusters if cluster.waste is not None]
    heights = [_height_in(cluster) for cluster in clusters] or [1.5]
    with look():
        figure = Figure(figsize=(SIZE_IN[0], sum(heights)), facecolor=PALETTE.paper)
        FigureCanvasAgg(figure)
        if not clusters:
            figure.text(0.03, 0.7, "no cluster's GPU-hours can be told", size=17, weight="bold", va="top")
        parts = figure.subfigures(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
        for part, cluster, height in zip(parts, clusters, heights, strict=False):
            part.set_facecolor(PALETTE.paper)
            part.text(0.03, 1 - 0.28 / height, waste_headline(cluster), size=17, weight="bold", va="top")
            part.text(0.03, 1 - 0.68 / height, _subtitle(cluster), size=10.5, color=PALETTE.soft, va="top")
            _draw(part, cluster, top=1 - 1.1 / height, bottom=0.5 / height)
            part.text(0.03, 0.16 / height, _footnote(report, cluster), size=8.5, color=PALETTE.soft)
        file.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(file, format="png", dpi=DPI, metadata={"Description": f"gpulake build {report.build_id}"})


def waterfall_svg(cluster: ClusterReport) -> str:
    """The bars of one cluster as an SVG element; no title, the page has its own."""
    assert cluster.waste is not None
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    text = StringIO()
    with look():
        figure = Figure(figsize=(SIZE_IN[0], ROW_IN * len(waste_steps(cluster.waste))), facecolor="none")
        FigureCanvasSVG(figure)
        _draw(figure, cluster, top=0.98, bottom=0.02)
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()


def _height_in(cluster: ClusterReport) -> float:
    assert cluster.waste is not None
    return 1.6 + ROW_IN * len(waste_steps(cluster.waste))


def _subtitle(cluster: ClusterReport) -> str:
    assert cluster.waste is not None
    window = cluster.window
    span = f"{cluster.day_name(window.first_day)} to {cluster.day_name(window.last_day)} · " if window else ""
    return f"cluster {cluster.cluster_id}, {span}{cluster.provenance}"


def _footnote(report: Report, cluster: ClusterReport) -> str:
    assert cluster.waste is not None
    beside = beside_waste(cluster.waste)[:1]  # the first is the one of attempts, where there are any
    return " · ".join([f"gpulake build {report.build_id}", f"source {cluster.source}", *beside])


def _draw(part: Figure, cluster: ClusterReport, *, top: float, bottom: float) -> None:
    assert cluster.waste is not None
    axes = part.add_axes((LEFT, bottom, WIDTH, top - bottom))
    steps = waste_steps(cluster.waste)
    total = steps[0].gpu_h or 1.0
    left_over = total
    for row, step in enumerate(steps):
        start = 0.0 if step.kind == "total" else left_over - step.gpu_h
        axes.barh(row, step.gpu_h, left=start, height=0.66, color=COLOURS[step.kind], linewidth=0, zorder=2)
        told = [gpu_hours(step.gpu_h), ratio_pct(step.ratio), *([step.lacks] if step.lacks else [])]
        _write_beside(axes, row, start + step.gpu_h, total, " · ".join(told))
        if step.kind != "total":
            left_over = start
        if row + 1 < len(steps):
            axes.plot([left_over, left_over], [row - 0.33, row + 1.33], color=PALETTE.soft, linewidth=0.7, zorder=3)
    axes.set_xlim(0, total)
    axes.set_ylim(len(steps) - 0.5, -0.5)
    axes.set_xticks([])
    axes.set_yticks(range(len(steps)), [step.words for step in steps])
    axes.tick_params(axis="y", labelcolor=PALETTE.ink, pad=LEFT_PAD_PT)
    for label in axes.get_yticklabels():
        label.set_horizontalalignment("left")
    axes.spines["bottom"].set_visible(False)


def _write_beside(axes: Axes, row: int, end: float, total: float, text: str) -> None:
    axes.annotate(text, (min(end, total), row), xytext=(8, 0), textcoords="offset points", va="center", size=10,
                  color=PALETTE.ink, annotation_clip=False)  # fmt: skip
