"""The plain mean of the raw column beside the day's mean, on the page, for who looks for it."""

from __future__ import annotations

from gpulake.reading.report import ClusterReport
from gpulake.telling.markup import themed
from gpulake.telling.pictures.days import unweighted_svg
from gpulake.telling.sections import Section


def _html(cluster: ClusterReport) -> str:
    if all(day.avg_gpu_util_unweighted is None for day in cluster.days):
        return ""
    svg = themed(unweighted_svg(cluster), label="The plain mean of the raw column beside the weighted mean per GPU")
    return (
        "<details>\n<summary>The plain mean of the raw column, for comparison</summary>\n"
        f"<figure>\n{svg}\n<figcaption>The raw column adds up the GPUs of a machine and counts shared machine time "
        "once per worker, so its plain mean is no percentage. Both are columns of "
        "<code>gold_cluster_util_daily</code>.</figcaption>\n</figure>\n</details>"
    )


SECTION = Section(name="unweighted", place=80, html=_html)
