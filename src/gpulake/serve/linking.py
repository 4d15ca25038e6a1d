"""Markup of several pages made fit for one file: their names apart, links that lead inside it, and nothing that needs a server."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from html import escape
from html.parser import HTMLParser

Attributes = Sequence[tuple[str, str | None]]

_VOID = frozenset({
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr",
})  # fmt: skip
_NAMED = ("id", "for", "aria-labelledby", "aria-describedby", "clip-path", "fill", "stroke", "mask")
_IN_URL = re.compile(r"url\(#([^)]+)\)")
SERVED = "data-served"
"""The attribute of what makes sense on a server only, as choices of other views; it is left out, and every form is."""


def within(markup: str, *, name: str, leads: Callable[[str], str | None]) -> str:
    """The markup with every id behind `name`, and each link where `leads` says; one that leads nowhere becomes its text."""
    parser = _Within(name, leads)
    parser.feed(markup)
    parser.close()
    return "".join(parser.parts)


class _Within(HTMLParser):
    def __init__(self, name: str, leads: Callable[[str], str | None]) -> None:
        super().__init__(convert_charrefs=False)
        self.parts: list[str] = []
        self._name = name
        self._leads = leads
        self._links: list[str] = []
        """By open link, the tag that stands in its place."""
        self._left_out = 0
        """How deep in a part that is left out."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._left_out or tag == "form" or any(name == SERVED for name, _ in attrs):
            self._left_out += tag not in _VOID
        elif tag == "a":
            self._open_link(dict(attrs))
        else:
            self.parts.append(self._apart(self.get_starttag_text() or "", tag, attrs))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if not self._left_out:
            self.parts.append(self._apart(self.get_starttag_text() or "", tag, attrs))

    def handle_endtag(self, tag: str) -> None:
        if self._left_out:
            self._left_out -= 1
        elif tag == "a":
            self.parts.append(f"</{self._links.pop()}>")
        else:
            # As it was written: names in SVG keep their capitals.
            self.parts.append(f"</{_CAPITALS.get(tag, tag)}>")

    def handle_data(self, data: str) -> None:
        self._keep(data)

    def handle_entityref(self, name: str) -> None:
        self._keep(f"&{name};")

    def handle_charref(self, name: str) -> None:
        self._keep(f"&#{name};")

    def _keep(self, text: str) -> None:
        if not self._left_out:
            self.parts.append(text)

    def _open_link(self, given: dict[str, str | None]) -> None:
        leads = self._leads(given.pop("href", None) or "")
        tag = "a" if leads else "span"
        kept = given if leads else {name: given[name] for name in ("class",) if name in given}
        self._links.append(tag)
        self.parts.append(_tag(tag, [*([("href", leads)] if leads else []), *kept.items()]))

    def _apart(self, written: str, tag: str, attrs: Attributes) -> str:
        """The tag with its ids, and what points to them, behind the name; the same text where it has none."""
        if not any(name in _NAMED and value and (name in _NAMED[:4] or "url(" in value) for name, value in attrs):
            return written
        ending = "/>" if written.endswith("/>") else ">"
        changed = [(name, self._renamed(name, value)) for name, value in attrs]
        return _tag(_CAPITALS.get(tag, tag), changed, ending=ending)

    def _renamed(self, name: str, value: str | None) -> str | None:
        if value is None or name not in _NAMED:
            return value
        if name in _NAMED[:4]:
            return " ".join(f"{self._name}-{each}" for each in value.split())
        return _IN_URL.sub(lambda found: f"url(#{self._name}-{found[1]})", value)


_CAPITALS = {
    name.lower(): name for name in ("clipPath", "linearGradient", "radialGradient", "textPath", "foreignObject")
}


def _tag(tag: str, attributes: Attributes, *, ending: str = ">") -> str:
    written = "".join(
        f" {name}" if value is None else f' {_CAPITAL_NAMES.get(name, name)}="{escape(value)}"'
        for name, value in attributes
    )
    return f"<{tag}{written}{ending}"


_CAPITAL_NAMES = {
    name.lower(): name
    for name in ("viewBox", "preserveAspectRatio", "gradientUnits", "clipPathUnits", "gradientTransform")
}
