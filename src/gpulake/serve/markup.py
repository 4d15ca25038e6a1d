"""Filled pages as HTML: the templates, and what all of them may use."""

from __future__ import annotations

import re
from shlex import quote

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from gpulake.charts import Chart
from gpulake.serve.listing import Listing
from gpulake.serve.look import Look
from gpulake.serve.page import Filled, Page, menu
from gpulake.telling import figures
from gpulake.telling.words import span

_FIGURE = re.compile(r"\d[\d,.]*(?: (?:d|h|min) \d+)? (?:GPU-h|%|USD|d|h|min|s)(?!\w)")


def templates(*, instead: str | None = None) -> Environment:
    """The templates; those of the folder `instead` stand in place of others of their name."""
    folders = [f"templates/{instead}"] if instead else []
    environment = Environment(
        loader=ChoiceLoader([PackageLoader("gpulake.serve", folder) for folder in (*folders, "templates")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["kept_together"] = kept_together
    environment.globals |= {"text_of": figures.text_of, "label_of": figures.label_of, "unit_of": figures.unit_of}
    environment.filters["shell"] = quote
    environment.filters["span"] = span
    environment.tests["listing"] = lambda value: isinstance(value, Listing)
    return environment


def rendered(page: Page, *, filled: Filled, look: Look, by: Environment, **besides: object) -> str:
    """A page as its template lays it out."""
    has_charts = any(isinstance(value, Chart) for value in filled.values())
    shown = {"page": page, "look": look, "pages": menu(), "has_charts": has_charts, **besides, **filled}
    return by.get_template(page.template).render(shown)


def kept_together(text: str) -> Markup:
    """A sentence for a page, in which no figure is parted from its unit at the end of a line."""
    return Markup(_FIGURE.sub(r'<span class="figure">\g<0></span>', str(escape(text))))  # noqa: S704 - escaped first
