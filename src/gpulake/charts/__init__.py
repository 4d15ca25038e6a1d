"""One grammar of pictures with three ways out: a live page, a self-contained SVG, and a PNG drawn without a browser.

A picture is a specification of Vega-Lite over rows of gold; it maps columns and computes no figure.
"""

from gpulake.charts.calendar import Calendar
from gpulake.charts.chart import Chart
from gpulake.charts.heat import even_steps, machines_by_hour, week
from gpulake.charts.lines import CLUSTER_USE, HELD_USE, LEGEND, TYPICAL_USE, Seen, series, use_by_day
from gpulake.charts.lists import histogram, ranking, spread
from gpulake.charts.marks import FLAGGED, NOTED, URGENT, Mark
from gpulake.charts.parts import capacity_waterfall, parts_by_day, parts_by_hour
from gpulake.charts.saying import sentence
from gpulake.charts.sheet import sheet
from gpulake.charts.style import SCRIPTS, page_style, static_file

__all__ = [
    "CLUSTER_USE",
    "FLAGGED",
    "HELD_USE",
    "LEGEND",
    "NOTED",
    "SCRIPTS",
    "TYPICAL_USE",
    "URGENT",
    "Calendar",
    "Chart",
    "Mark",
    "Seen",
    "capacity_waterfall",
    "even_steps",
    "histogram",
    "machines_by_hour",
    "page_style",
    "parts_by_day",
    "parts_by_hour",
    "ranking",
    "sentence",
    "series",
    "sheet",
    "spread",
    "static_file",
    "use_by_day",
    "week",
]
