"""The few colours, each with one meaning that is the same in every picture, light and dark.

They were chosen so that any two parts of the GPU-hours stay apart for red-green and blue-yellow blind readers too,
and so that every mark has a contrast of 3:1 or more on its ground. A test measures both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Colours:
    """One colour per meaning, as a hexadecimal number."""

    paper: str
    ink: str
    soft: str  # words that may be read second
    hair: str  # grid and frame
    shade: str  # ground of what is not judged, and of what is missing in a heat map
    total: str  # all there is, before it is parted
    active: str  # in use, and any value that was seen
    failed: str  # in use by jobs that failed
    idle_held: str  # held, measured, not in use
    unknown: str  # held, not measured
    unallocated: str  # held by nobody
    down: str  # could not be held
    anomaly: str  # a mark on what is unusual
    expected: str  # what was expected, and the band around it
    use_1: str  # steps of a heat map of use, low to high
    use_2: str
    use_3: str
    use_4: str
    use_5: str
    waste_1: str  # steps of a heat map of what was held and idle, low to high
    waste_2: str
    waste_3: str
    waste_4: str
    waste_5: str


LIGHT = Colours(
    paper="#ffffff", ink="#1c2733", soft="#5b6876", hair="#d5dbe1", shade="#ebeef1", total="#66717c",
    active="#1163b9", failed="#1691d1", idle_held="#df6f05", unknown="#5a4c7b", unallocated="#8f9092", down="#1e2328",
    anomaly="#ab1838", expected="#5f7d96",
    use_1="#c3dcf3", use_2="#8fbce5", use_3="#5293d0", use_4="#2268b2", use_5="#0a3c78",
    waste_1="#fbdcbb", waste_2="#f5b877", waste_3="#e68a30", waste_4="#b85a05", waste_5="#743602",
)  # fmt: skip

DARK = Colours(
    paper="#12181f", ink="#e6ebf0", soft="#9aa7b4", hair="#2c3742", shade="#1c252e", total="#8e99a4",
    active="#3aa2f3", failed="#3079af", idle_held="#faa23f", unknown="#dfbdfd", unallocated="#656668", down="#dfeffc",
    anomaly="#ff5d7a", expected="#86a3ba",
    use_1="#173a5a", use_2="#1c588a", use_3="#2577b5", use_4="#4fa8e6", use_5="#b9defb",
    waste_1="#432d17", waste_2="#6b4316", waste_3="#a9661a", waste_4="#ec9a3c", waste_5="#fdd9ab",
)  # fmt: skip

USE = ("use_1", "use_2", "use_3", "use_4", "use_5")
WASTE = ("waste_1", "waste_2", "waste_3", "waste_4", "waste_5")

NAMES = tuple(each.name for each in fields(Colours))

_MARK = "colour:"


def colour(name: str) -> str:
    """The colour of that name in a specification; which colour it is, is settled when the picture is made."""
    assert name in NAMES, name
    return _MARK + name


def hexadecimal(*, dark: bool) -> Mapping[str, str]:
    """By what `colour` says, the colour itself."""
    colours = DARK if dark else LIGHT
    return {colour(name): getattr(colours, name) for name in NAMES}


def variables() -> Mapping[str, str]:
    """By what `colour` says, the variable of the page's style that holds it, with its light colour should there be none."""
    return {colour(name): f"var({_variable(name)}, {getattr(LIGHT, name)})" for name in NAMES}


def stylesheet() -> str:
    """The colours as variables of a page's style: light, and dark where the reader's system is."""
    light = " ".join(f"{_variable(name)}: {getattr(LIGHT, name)};" for name in NAMES)
    dark = " ".join(f"{_variable(name)}: {getattr(DARK, name)};" for name in NAMES)
    return f":root {{ {light} }}\n@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n"


def _variable(name: str) -> str:
    return f"--chart-{name.replace('_', '-')}"
