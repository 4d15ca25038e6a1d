"""A report laid out for a terminal."""

from __future__ import annotations

from gpulake.reading.report import ClusterReport, Report
from gpulake.telling.sections import all_sections


def render(report: Report, *, lake: str = "./lake") -> str:
    """The report as text, at most WIDTH columns wide."""
    parts = [
        f"gpulake report   build {report.build_id}, published {report.published_at:%Y-%m-%d %H:%M} UTC",
        *("\n".join(_cluster_lines(cluster)) for cluster in report.clusters),
        "\n".join(_further_lines(lake)),
    ]
    return "\n\n".join(parts) + "\n"


def _cluster_lines(cluster: ClusterReport) -> list[str]:
    sections = [section.lines(cluster) for section in all_sections()]
    return "\n\n".join("\n".join(lines) for lines in sections if lines).splitlines()


def _further_lines(lake: str) -> list[str]:
    return [
        "look further",
        f'  gpulake sql --lake {lake} "select * from gold_cluster_util_daily_scored"',
        f"  gpulake report --lake {lake} --png days.png --html days.html",
        f"  gpulake export --lake {lake} --duckdb telemetry.db",
    ]
