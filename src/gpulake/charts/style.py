"""What a page needs beside its figures: a style, and two scripts of its own address."""

from __future__ import annotations

from importlib.resources import files

from gpulake.charts.colours import stylesheet
from gpulake.charts.drawing import script

SCRIPTS = ("vega.js", "charts.js")
"""In this order, each with `defer`, or as the last things of the page."""


def page_style() -> str:
    """The style of figures, with the colours as variables: light, and dark where the reader's system is."""
    return stylesheet() + static_file("charts.css").decode("utf-8")


def static_file(name: str) -> bytes:
    """One of the files that a page asks for by name; `vega.js` is put together by the library, once in a process."""
    if name == "vega.js":
        return script().encode("utf-8")
    return files("gpulake.charts").joinpath("static", name).read_bytes()
