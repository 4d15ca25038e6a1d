"""Times and lengths of time as people type them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_UNITS_S = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_LENGTH = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")


def seconds(text: str) -> float:
    """A length of time, as 30s, 5m, 6h, 7d, or a bare number of seconds. Raises ValueError for what is none, or not above 0."""
    found = _LENGTH.fullmatch(text.strip())
    length_s = float(found[1]) * _UNITS_S[found[2]] if found else _number(text)
    if not 0 < length_s < float("inf"):
        raise ValueError("a length of time is expected, as 30s, 5m, 6h or 7d")
    return length_s


def moment(text: str, *, now: datetime) -> datetime:
    """A time in UTC: ISO 8601 (without an offset it is UTC), or how long ago, as 6h or 7d. Raises ValueError."""
    if text.strip() == "now":
        return now
    if _LENGTH.fullmatch(text.strip()):
        return now - timedelta(seconds=seconds(text))
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError("a time is expected, as 2026-11-30, 2026-11-30T06:00Z, or 6h for six hours ago") from None
    return found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else found


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return -1.0
