"""A picture, said once as a specification of Vega-Lite, and its three ways out: a live page, an SVG and a PNG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from textwrap import wrap
from typing import Any

from gpulake.charts.calendar import Calendar
from gpulake.charts.colours import colour, hexadecimal, variables
from gpulake.charts.drawing import png_of, svg_of
from gpulake.charts.rows import Column, Row, packed, safe_json
from gpulake.charts.theme import DRAWN_FONT, FONT, LEFT_PX, RIGHT_PX
from gpulake.charts.words import shown

PLOT_WIDTH = "width:plot"
"""In a specification: the width that is left for the plot, whatever stands beside it."""

LEGEND_COLUMNS = "columns:legend"
NARROW_PX, LETTER_PX, PADDING_PX = 560, 7.6, 16
NOTE_LETTER_PX, NOTE_LINE_PX = 5.9, 16

ALONE_PX = {"on-screen": 1_200, "on-phone": 350}
"""Widths of a picture that no script fits to its page; the style shows one of them."""

MOST_TABLE_ROWS = 200
"""Rows that the table below a picture shows; the export of the figures has all."""


@dataclass(frozen=True)
class Chart:
    """A picture and what it says without eyes.

    `title` is the question that it answers, `description` a sentence for readers of the screen. `spec` is Vega-Lite with colours
    by name (`colours.colour`); `rows` are its data, by the names that it uses. `columns` are those of the table below it;
    `notes` are sentences that stand below the picture where it stands for itself: a page has words of its own.
    `narrow` is what stands in its place on a live page as wide as a phone, where words beside a bar would leave it no room.
    """

    title: str
    description: str
    spec: Mapping[str, Any]
    rows: Mapping[str, Sequence[Row]]
    columns: Sequence[Column] = ()
    subtitle: str = ""
    notes: Sequence[str] = ()
    left_px: int = LEFT_PX
    right_px: int = RIGHT_PX
    narrow: Mapping[str, Any] | None = None
    calendar: Calendar = field(default_factory=Calendar)

    def html(self, *, element_id: str, live: bool = True) -> str:
        """A figure of a page: the picture, and its figures as a folded table; a sentence where there is nothing to draw.

        A live one is drawn by `static/charts.js` in the reader's colours and width; without scripts the table stands there.
        One that is not live holds the picture itself, once for a screen and once for a phone, in the colours of the page, and
        needs no other file but its style.
        """
        picture = (
            f'<div class="picture" role="img" aria-label="{_attribute(f"{self.title}. {self.description}")}" hidden></div>\n'
            f'<script type="application/json">{safe_json(self._page_data())}</script>'
            if live
            else "\n".join(
                f'<div class="picture {name}">{self._svg(variables(), width=width, is_titled=False)}</div>'
                for name, width in ALONE_PX.items()
            )
        )
        if not any(self.rows.values()):
            picture = '<p class="soft">Nothing was found to draw.</p>'
        subtitle = f' <span class="soft">{_text(self.subtitle)}</span>' if self.subtitle else ""
        return (
            f'<figure class="chart" id="{escape(element_id)}">\n'
            f"<figcaption><strong>{_text(self.title)}</strong>{subtitle}</figcaption>\n"
            f"{picture}\n{self._table()}\n</figure>"
        )

    def svg(self, *, dark: bool = False, width: int = 880) -> str:
        """A picture that stands for itself: its title is in it, and nothing is fetched. The same data give the same bytes."""
        return self._svg(hexadecimal(dark=dark), width=width, is_titled=True)

    def png(self, *, dark: bool = False, scale: float = 2, width: int = 880) -> bytes:
        """The same as a PNG, drawn in process, without a browser."""
        return png_of(self.specification(hexadecimal(dark=dark), width=width, is_titled=True), scale=scale)

    def specification(self, colours: Mapping[str, str], *, width: int, is_titled: bool) -> dict[str, Any]:
        """The whole specification, data inside, for a picture of that width."""
        spec: dict[str, Any] = _settled(
            self.spec, {**colours, FONT: DRAWN_FONT, **self._sizes(width - 2 * PADDING_PX * is_titled)}
        )
        if is_titled:
            title = wrap(shown(self.title, most=400), max(20, int((width - 20) / LETTER_PX)))
            subtitle = wrap(shown(self.subtitle, most=400), max(20, int((width - 20) / 6))) if self.subtitle else []
            spec["title"] = {"text": title, **({"subtitle": subtitle} if subtitle else {})}
            if self.notes:
                spec = _with_notes(spec, self._note_lines(width), ink=colours[colour("ink")], left_px=self.left_px)
            spec["padding"] = PADDING_PX
        return {**spec, "datasets": {name: list(rows) for name, rows in self.rows.items()}}

    def _note_lines(self, width: int) -> list[str]:
        most = max(20, int((width - 20) / NOTE_LETTER_PX))
        return [line for note in self.notes for line in wrap(shown(note, most=600), most, subsequent_indent="    ")]

    def _svg(self, colours: Mapping[str, str], *, width: int, is_titled: bool) -> str:
        is_themed = colours != hexadecimal(dark=False) and colours != hexadecimal(dark=True)
        # The library checks colours, so a page's variables are put in afterwards, in place of the light ones.
        drawn = svg_of(
            self.specification(hexadecimal(dark=False) if is_themed else colours, width=width, is_titled=is_titled)
        )
        if is_themed:
            for name, light in hexadecimal(dark=False).items():
                drawn = drawn.replace(f'"{light}"', f'"{colours[name]}"')
        start = drawn.index(">") + 1
        head = drawn[4 : start - 1].replace('class="marks"', "")
        return (
            f'<svg role="img" aria-label="{_attribute(self.title)}"{head}>'
            f"<title>{_text(self.title)}</title><desc>{_text(self.description)}</desc>{drawn[start:]}"
        )

    def _sizes(self, width: int) -> dict[str, Any]:
        return {
            PLOT_WIDTH: max(80, width - self.left_px - self.right_px),
            LEGEND_COLUMNS: 2 if width < NARROW_PX else 0,
        }

    def _page_data(self) -> dict[str, Any]:
        return {
            "spec": self.spec,
            "rows": {name: packed(rows) for name, rows in self.rows.items()},
            "besides": self.left_px + self.right_px,
            **({"narrow": self.narrow} if self.narrow else {}),
        }

    def _table(self) -> str:
        rows = next(iter(self.rows.values()), ())
        digits = {column.name: int(any(isinstance(row[column.name], float) for row in rows)) for column in self.columns}
        head = "".join(f'<th scope="col"{_kind(column)}>{_text(column.words)}</th>' for column in self.columns)
        body = "\n".join(
            "<tr>"
            + "".join(
                f"<td{_kind(column)}>{_text(self._cell(row[column.name], column, digits[column.name]))}</td>"
                for column in self.columns
            )
            + "</tr>"
            for row in rows[:MOST_TABLE_ROWS]
        )
        rest = f"<p>The first {MOST_TABLE_ROWS} of {len(rows):,} rows.</p>" if len(rows) > MOST_TABLE_ROWS else ""
        return (
            '<details class="figures"><summary>The figures as a table</summary>\n'
            f'<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table></div>{rest}</details>'
        )

    def _cell(self, value: Any, column: Column, digits: int) -> str:
        if value is None:
            return "—"
        if column.kind == "day":
            return self.calendar.day_words(value)
        if column.kind == "instant":
            return self.calendar.instant_words(value)
        if column.kind == "ratio":
            return f"{value * 100:.1f} %"
        return f"{value:,.{digits}f}" if type(value) in {int, float} else str(value)


def _with_notes(spec: Mapping[str, Any], lines: Sequence[str], *, ink: str, left_px: int) -> dict[str, Any]:
    """The picture with lines of text below it."""
    of_all = {name: spec[name] for name in ("config", "title") if name in spec}
    notes = {
        "width": spec["vconcat"][0]["width"] if "vconcat" in spec else spec["width"],
        "height": NOTE_LINE_PX * len(lines),
        "data": {"values": [{}]},
        "mark": {
            "type": "text", "text": list(lines), "x": -left_px, "y": 0, "align": "left", "baseline": "top",
            "fontSize": 11, "lineHeight": NOTE_LINE_PX, "color": ink,
        },
    }  # fmt: skip
    return {**of_all, "vconcat": [{name: part for name, part in spec.items() if name not in of_all}, notes]}


def _settled(part: Any, chosen: Mapping[str, Any]) -> Any:
    """The specification with each name replaced by what was chosen for it."""
    if isinstance(part, Mapping):
        return {key: _settled(value, chosen) for key, value in part.items()}
    if isinstance(part, list | tuple):
        return [_settled(value, chosen) for value in part]
    return chosen.get(part, part) if isinstance(part, str) else part


def _kind(column: Column) -> str:
    return ' class="n"' if column.kind in {"figure", "ratio"} else ""


def _text(text: str) -> str:
    return escape(shown(text, most=1_000), quote=False)


def _attribute(text: str) -> str:
    return escape(shown(text, most=1_000))
