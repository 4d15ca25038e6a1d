"""Pieces of the page's markup: tables, and drawings that follow the page's colours. Every text is escaped here."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from html import escape

from gpulake.telling.pictures.days import PALETTE

NUMBER = "n"
WORDS = "words"
"""Kinds of columns, as the style knows them."""


def table(header: Sequence[tuple[str, str]], rows: Sequence[Sequence[str]], *, kinds: Sequence[str] = ()) -> str:
    """A table whose columns are (name, kind), and whose rows may have a kind each; on a narrow screen each cell bears its name."""

    def cells(tag: str, texts: Iterable[str]) -> str:
        return "".join(
            f"<{tag}{_attributes(tag, name, kind)}>{escape(text)}</{tag}>"
            for text, (name, kind) in zip(texts, header, strict=True)
        )

    body = "\n".join(
        f'<tr class="{kind}">{cells("td", row)}</tr>' if kind else f"<tr>{cells('td', row)}</tr>"
        for row, kind in zip(rows, kinds or [""] * len(rows), strict=True)
    )
    head = cells("th", [name for name, _ in header])
    return f'<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table></div>'


def _attributes(tag: str, name: str, kind: str) -> str:
    return (f' class="{kind}"' if kind else "") + (f' data-name="{escape(name)}"' if tag == "td" else "")


def themed(svg: str, *, label: str) -> str:
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
