"""What a page shows, read back: tables, tiles and facts as text, and whether a text is a figure of SQL, as it was rounded."""

from __future__ import annotations

import re
from decimal import Decimal

SECONDS = {"d": 86_400, "h": 3_600, "min": 60, "s": 1}
BYTES = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_READ = """
() => {
  const text = each => each.textContent.replaceAll('\\u2011', '-').replace(/\\s+/g, ' ').trim();
  const tables = {};
  for (const section of document.querySelectorAll('main section.listing')) {
    const head = [...section.querySelectorAll('thead th .sort')].map(text);
    tables[section.id] = [...section.querySelectorAll('tbody tr')].map(row => Object.fromEntries(
      [...row.children].map((cell, at) => [head[at], [...cell.querySelectorAll('bdi')].map(text).join(' / ')])));
  }
  const tiles = [...document.querySelectorAll('main .tiles li')].map(tile => {
    const said = tile.querySelector('a.def');
    return [said.getAttribute('href').split('?')[0].replace('/definition/', '').replace('/', '.') + ' ' + text(said), text(tile.querySelector('b')), text(tile)];
  });
  const facts = [...document.querySelectorAll('main dl > dt')].map(each => [text(each), text(each.nextElementSibling)]);
  return {tables, tiles, facts, sentence: text(document.querySelector('h1'))};
}
"""


def read(page):
    """The tables by id, a list of dictionaries by heading; tiles as (definition and words, figure, all); facts; the sentence."""
    return page.evaluate(_READ)


def seconds_of(text):
    """A length of time as seconds, and the smallest unit that it was written in."""
    parts = re.findall(r"([\d,]+) (min|d|h|s)\b", text)
    assert parts, text
    return sum(int(number.replace(",", "")) * SECONDS[unit] for number, unit in parts), SECONDS[parts[-1][1]]


def says(text, value):
    """Whether a text is that value as people write it: rounded to the last digit shown, cut to the last unit of time, a dash for nothing.

    The value is in the unit that the text is in: percent for percent.
    """
    if value is None:
        return text == "—"
    if isinstance(value, str):
        return text == value or (text.endswith("…") and value.startswith(text[:-1]))
    value = float(value)
    text = re.sub(r" (GPU-h|%|USD)$", "", text)
    if text == "< 1 s":
        return 0 < value < 1
    if text.startswith("< "):
        return 0 < value < float(text[2:])
    if found := re.fullmatch(r"([\d,.]+) ([KMGT]?i?B)(?:/s)?", text):
        value, text = value / BYTES[found[2]], found[1]
    if re.search(r"\d (d|h|min|s)$", text):
        seconds, unit = seconds_of(text)
        return seconds - 0.5 <= value < seconds + unit + 0.5
    shown = text.replace(",", "")
    if not re.fullmatch(r"-?\d+(\.\d+)?(e[+-]?\d+)?", shown):
        return False
    last = Decimal(1).scaleb(int(Decimal(shown).as_tuple().exponent)) if "e" in shown else None
    step = float(last) if last is not None else 10.0 ** -len(shown.partition(".")[2])
    # Numbers of four digits and more may be written with four that count.
    return abs(float(shown) - value) <= step / 2 * (1 + 1e-9) + 1e-9 or f"{value:.4g}" == f"{float(shown):.4g}" != "0"


def compare(shown, expected, *, key, columns, where):
    """Every cell of a table: its rows are the first of `expected`, each found by the heading `key`; `columns` leads from headings to columns."""
    assert shown, f"{where}: no row"
    assert set(shown[0]) == set(columns), f"{where}: {set(shown[0]) ^ set(columns)}"
    keys = [key] if isinstance(key, str) else key
    rows = {tuple(str(row[columns[each]]) for each in keys): row for row in expected}
    for cells in shown:
        row = rows[tuple(cells[each] for each in keys)]
        wrong = {
            words: (text, row[columns[words]]) for words, text in cells.items() if not says(text, row[columns[words]])
        }
        assert not wrong, f"{where}, {[cells[each] for each in keys]}: {wrong}"
    return len(shown) * len(columns)
