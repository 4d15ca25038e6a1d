"""Every day with its figures, on the page."""

from __future__ import annotations

from gpulake.reading.report import ClusterReport
from gpulake.telling.day_table import day_table
from gpulake.telling.sections import Section


def _html(cluster: ClusterReport) -> str:
    if not cluster.has_gpu_use:
        return ""
    return f"<details>\n<summary>All {len(cluster.days)} days</summary>\n{day_table(cluster, cluster.days)}\n</details>"


SECTION = Section(name="days", place=90, html=_html)
