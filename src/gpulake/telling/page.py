"""A report as one HTML file: nothing is fetched, so it opens from a disk, a mail or an archive, years later."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from html import escape
from importlib.resources import files
from pathlib import Path

from gpulake.reading.report import ClusterReport, Day, Report
from gpulake.telling.pictures.days import PALETTE, day_sentence, days_svg, unweighted_svg
from gpulake.telling.pictures.waterfall import waterfall_svg
from gpulake.telling.words import (
    FOREST_NOTE,
    counted,
    driver_words,
    forest_flag,
    gpu_hours,
    headline,
    pct,
    ratio_pct,
    shared_reason,
    waste_headline,
)

Cell = str
NUMBER = "n"
WORDS = "words"


def write_html(report: Report, file: Path) -> None:
    """Write the page. It needs no other file, no script and no network."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(page(report), encoding="utf-8")


def page(report: Report) -> str:
    """The whole page as text."""
    style = files("gpulake.telling").joinpath("page.css").read_text(encoding="utf-8")
    titles = "; ".join(headline(cluster) for cluster in report.clusters) or "nothing landed yet"
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(titles)}</title>",
            f"<style>\n{style}</style>",
            "</head>",
            "<body>",
            *([_section(cluster) for cluster in report.clusters] or ["<h1>Nothing has landed yet</h1>"]),
            _footer(report),
            "</body>",
            "</html>",
            "",
        ]
    )


def _footer(report: Report) -> str:
    return (
        f"<footer>gpulake build {report.build_id}, published {report.published_at:%Y-%m-%d %H:%M} UTC. "
        "Every figure here comes from that build: <code>gpulake sql</code> shows it.</footer>"
    )


def _section(cluster: ClusterReport) -> str:
    parts = [
        _head(cluster),
        _tiles(cluster),
        _picture(cluster),
        _waste(cluster),
        _flagged(cluster),
        _not_judged(cluster),
        _unavailable(cluster),
        _landed(cluster),
        _unweighted(cluster),
        _all_days(cluster),
    ]
    return "<section>\n" + "\n".join(part for part in parts if part) + "\n</section>"


def _head(cluster: ClusterReport) -> str:
    window = cluster.window
    span = f"{cluster.day_name(window.first_day)} to {cluster.day_name(window.last_day)}, " if window else ""
    return (
        f"<h1>{escape(headline(cluster))}</h1>\n"
        f'<p class="soft">Cluster {escape(cluster.cluster_id)}, {escape(span)}{escape(cluster.time_zone)} time.</p>\n'
        f'<span class="note">{escape(cluster.provenance)}</span>'
    )


def _tiles(cluster: ClusterReport) -> str:
    window = cluster.window
    if window is None or not cluster.has_gpu_use:
        return ""
    tiles = [
        ("", pct(window.mean_gpu_util), "mean GPU use of measured time"),
        ("", pct(window.mean_cpu_util), "mean CPU use of measured time"),
        ("", ratio_pct(window.coverage_ratio, digits=0), "of all GPU time was measured"),
        ("", f"{cluster.gpus:,}", f"GPUs in {counted(cluster.machines, 'machine')}"),
        ("odd" if window.flagged_days else "", f"{window.flagged_days}", f"of {counted(window.days, 'day')} flagged"),
        ("", f"{window.not_judged_days}", "days not judged"),
    ]
    items = "\n".join(
        f'<li class="{kind}"><b>{escape(value)}</b><span>{escape(label)}</span></li>' for kind, value, label in tiles
    )
    return f'<ul class="tiles">\n{items}\n</ul>'


def _picture(cluster: ClusterReport) -> str:
    if not cluster.has_gpu_use:
        return ""
    svg = _themed(days_svg(cluster), label=headline(cluster))
    for day in cluster.days:
        svg = svg.replace(
            f'<g id="day-{day.dt.isoformat()}">', f'<g class="day"><title>{escape(day_sentence(cluster, day))}</title>'
        )
    return (
        f"<figure>\n{svg}\n<figcaption>Point at a day for its figures. Shaded columns are weekends, hatched "
        "days are not judged.</figcaption>\n</figure>"
    )


def _waste(cluster: ClusterReport) -> str:
    waste = cluster.waste
    if waste is None:
        return ""
    beside = []
    if waste.unbounded_spans:
        beside.append(
            f"{counted(waste.unbounded_spans, 'attempt')} with GPUs lack a start or an end and are not counted."
        )
    if waste.over_allocated_gpu_h:
        beside.append(
            f"{gpu_hours(waste.over_allocated_gpu_h)} were held above what machines have: a fault of the data."
        )
    svg = _themed(waterfall_svg(cluster), label=waste_headline(cluster))
    return (
        "<h2>Where the GPU-hours went</h2>\n"
        f"<figure>\n{svg}\n<figcaption>The classes do not overlap and add up to the first bar. "
        f"{escape(' '.join(beside))}</figcaption>\n</figure>"
    )


def _flagged(cluster: ClusterReport) -> str:
    if not cluster.flagged:
        return ""
    note = f'\n<p class="soft">{FOREST_NOTE}</p>' if "iforest" in cluster.detectors else ""
    return "<h2>Flagged days</h2>\n" + _day_table(cluster, cluster.flagged, has_reason=True) + note


def _not_judged(cluster: ClusterReport) -> str:
    days = cluster.not_judged
    if not days:
        return ""
    shared = shared_reason(days)
    if shared is not None:
        return f"<h2>Not judged</h2>\n<p>{counted(len(days), 'day')}: {escape(shared)}.</p>"
    rows = [[cluster.day_name(day.dt) + forest_flag(day), day.anomaly_reason or ""] for day in days]
    return "<h2>Not judged</h2>\n" + _table([("day", ""), ("why", WORDS)], rows)


def _unavailable(cluster: ClusterReport) -> str:
    if not cluster.unavailable:
        return ""
    rows = [[gap.table_name, ", ".join(gap.columns), gap.why] for gap in cluster.unavailable]
    return "<h2>Cannot be computed</h2>\n" + _table([("table", ""), ("columns", WORDS), ("why", WORDS)], rows)


def _landed(cluster: ClusterReport) -> str:
    rows = [
        [
            landed.table_name,
            f"{landed.files:,}",
            f"{landed.rows_in:,}",
            f"{landed.rows_kept:,}",
            f"{landed.rows_refused:,}",
            landed.layouts,
            {landed.files: "yes", 0: "no"}.get(landed.publishers_files, f"{landed.publishers_files} of {landed.files}"),
        ]
        for landed in cluster.landed
    ]
    header = [("table", ""), *((name, NUMBER) for name in ("files", "rows", "kept", "refused")), ("layout", ""),
              ("publisher's checksum", "")]  # fmt: skip
    refused = "".join(
        f"<li>{refused.rows:,} × {escape(refused.reason)} ({escape(refused.table_name)})</li>"
        for refused in cluster.refused
    )
    return "<h2>What landed</h2>\n" + _table(header, rows) + (f"\n<p>Refused:</p><ul>{refused}</ul>" if refused else "")


def _unweighted(cluster: ClusterReport) -> str:
    if all(day.avg_gpu_util_unweighted is None for day in cluster.days):
        return ""
    svg = _themed(unweighted_svg(cluster), label="The plain mean of the raw column beside the weighted mean per GPU")
    return (
        "<details>\n<summary>The plain mean of the raw column, for comparison</summary>\n"
        f"<figure>\n{svg}\n<figcaption>The raw column adds up the GPUs of a machine and counts shared machine time "
        "once per worker, so its plain mean is no percentage. Both are columns of "
        "<code>gold_cluster_util_daily</code>.</figcaption>\n</figure>\n</details>"
    )


def _all_days(cluster: ClusterReport) -> str:
    if not cluster.has_gpu_use:
        return ""
    return (
        f"<details>\n<summary>All {len(cluster.days)} days</summary>\n{_day_table(cluster, cluster.days)}\n</details>"
    )


def _day_table(cluster: ClusterReport, days: Sequence[Day], *, has_reason: bool = False) -> str:
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
    return _table(header, rows, kinds=kinds)


def _table(header: Sequence[tuple[str, str]], rows: Sequence[Sequence[Cell]], *, kinds: Sequence[str] = ()) -> str:
    def cells(tag: str, texts: Iterable[str]) -> str:
        return "".join(
            f'<{tag} class="{kind}">{escape(text)}</{tag}>' if kind else f"<{tag}>{escape(text)}</{tag}>"
            for text, (_, kind) in zip(texts, header, strict=True)
        )

    body = "\n".join(
        f'<tr class="{kind}">{cells("td", row)}</tr>' if kind else f"<tr>{cells('td', row)}</tr>"
        for row, kind in zip(rows, kinds or [""] * len(rows), strict=True)
    )
    head = cells("th", [name for name, _ in header])
    return f'<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table></div>'


def _themed(svg: str, *, label: str) -> str:
    """An SVG file's text as an inline element whose colours are the page's variables."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<svg [^>]*viewBox="([^"]*)"[^>]*>', _opening_tag(label), svg, count=1)
    for colour in fields(PALETTE):
        svg = svg.replace(getattr(PALETTE, colour.name), f"var(--{colour.name.replace('_', '-')})")
    return re.sub(r"font: ([^;\"]*?) 'DejaVu Sans'[^;\"]*", r"font: \1 'DejaVu Sans', Verdana, sans-serif", svg)


def _opening_tag(label: str) -> Callable[[re.Match[str]], str]:
    return lambda found: (
        f'<svg viewBox="{found[1]}" role="img" aria-label="{escape(label)}" xmlns:xlink="http://www.w3.org/1999/xlink">'
    )
