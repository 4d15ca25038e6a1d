"""Colours on a terminal: the pages' own, as near as the terminal comes; lines come out as text, with or without them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache

from gpulake.telling.lines import Line

_PLAIN = str.maketrans("█▓▒░·×─—–…→▲’‘“”▁▂▃▄▅▆▇", "#%=:.x---~>^''\"\"_.,-=+*")  # noqa: RUF001
"""What stands for a sign where a terminal has none of it; each as wide as the sign."""
_STYLES = {"strong": "1", "soft": "2"}
_CUBE = (0, 95, 135, 175, 215, 255)
MEANINGS = ("total", "active", "failed", "idle_held", "unknown", "unallocated", "down", "anomaly", "expected")


def inks(environ: Mapping[str, str], *, is_terminal: bool) -> Mapping[str, str]:
    """By meaning, the code that a terminal takes for its colour; none where nobody looks, or wants no colour.

    NO_COLOR and TERM=dumb are heeded, COLORTERM says whether it knows all colours, and COLORFGBG whether it is light.
    """
    if not is_terminal or environ.get("NO_COLOR") or environ.get("TERM", "dumb") == "dumb":
        return {}
    light = environ.get("COLORFGBG", "").rpartition(";")[2] in {"7", "15"}
    return _inks(is_light=light, has_all=environ.get("COLORTERM") in {"truecolor", "24bit"})


@cache
def _inks(*, is_light: bool, has_all: bool) -> Mapping[str, str]:
    from gpulake.charts.colours import DARK, LIGHT  # loads what draws pictures: a tenth of a second

    colours = LIGHT if is_light else DARK
    rgb = {name: _rgb(getattr(colours, name)) for name in MEANINGS}
    return {
        **_STYLES,
        **{name: f"38;2;{r};{g};{b}" if has_all else f"38;5;{nearest(r, g, b)}" for name, (r, g, b) in rgb.items()},
    }


def _rgb(colour: str) -> tuple[int, int, int]:
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return red, green, blue


def nearest(red: int, green: int, blue: int) -> int:
    """The number of the most similar of the 256 colours that most terminals know."""
    cube = [
        (16 + 36 * r + 6 * g + b, (_CUBE[r], _CUBE[g], _CUBE[b])) for r in range(6) for g in range(6) for b in range(6)
    ]
    greys = [(232 + step, (8 + 10 * step,) * 3) for step in range(24)]
    wanted = (red, green, blue)
    number, _ = min([*cube, *greys], key=lambda each: sum((a - b) ** 2 for a, b in zip(wanted, each[1], strict=True)))
    return number


def written(lines: Iterable[Line], *, inks: Mapping[str, str], encoding: str) -> str:
    """The lines as text for a terminal of this encoding. No delivered text brings a code of its own: lines hold none."""
    has_signs = _knows(encoding, "█▒░─…")
    told = []
    for each in lines:
        pieces = []
        for span in each:
            text = span.text if has_signs else span.text.translate(_PLAIN)
            code = inks.get(span.means) if text.strip() else None
            pieces.append(f"\x1b[{code}m{text}\x1b[0m" if code else text)
        told.append("".join(pieces).rstrip(" "))
    return "\n".join(told) + "\n"


def _knows(encoding: str, signs: str) -> bool:
    try:
        signs.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True
