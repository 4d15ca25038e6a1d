"""A report as one HTML file: nothing is fetched, so it opens from a disk, a mail or an archive, years later."""

from __future__ import annotations

from html import escape
from importlib.resources import files
from pathlib import Path

from gpulake.reading.report import ClusterReport, Report
from gpulake.telling.sections import page_sections
from gpulake.telling.words import headline


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
    parts = [section.html(cluster) for section in page_sections() if section.html]
    return "<section>\n" + "\n".join(part for part in parts if part) + "\n</section>"
