"""A report as a picture (PNG) and as one self-contained page (HTML). The only owner of matplotlib.

The page holds the same drawing as SVG: its colours are handed to the page's style, so it follows a dark screen.
"""

from __future__ import annotations

from gpulake.pictures.days import write_png
from gpulake.pictures.page import write_html
from gpulake.pictures.waterfall import write_waterfall

__all__ = ["write_html", "write_png", "write_waterfall"]
