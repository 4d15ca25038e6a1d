"""Slurm's JSON documents: numbers as plain values or as {set, infinite, number}, times as seconds since 1970."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from gpulake.errors import SourceError

_LATEST_S = 4_102_444_800
"""The year 2100: what Slurm writes for "never" lies behind it."""


def document(blocks: Iterable[bytes], file_name: str) -> dict[str, Any]:
    """The object that a file holds, behind whatever was printed before it. Raises SourceError where it is damaged.

    Slurm itself writes names that are no UTF-8, and control characters: they stand for what they are, or are replaced.
    """
    whole = b"".join(blocks).decode("utf-8", "replace")
    decoder = json.JSONDecoder(strict=False)
    at = 0
    for line in whole.splitlines(keepends=True):
        if line.lstrip().startswith("{"):
            break
        at += len(line)
    try:
        found, _ = decoder.raw_decode(whole[at:].lstrip())
    except (ValueError, RecursionError) as error:
        raise SourceError(
            f"the JSON document is damaged: {error}.", where=file_name, do="write it again, and wait until it is whole"
        ) from error
    return found if isinstance(found, dict) else {}


def number(value: object) -> float | None:
    """A number as Slurm of any version writes it; null where it is not set, or none."""
    if isinstance(value, dict):
        value = value.get("number") if value.get("set", True) and not value.get("infinite") else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < 1 << 63 else None


def utc(value: object) -> datetime | None:
    """A time; 0, and what lies beyond the year 2100, means that there is none."""
    seconds = number(value)
    if seconds is None or not 0 < seconds < _LATEST_S:
        return None
    return datetime.fromtimestamp(seconds, UTC)


def text(value: object) -> str | None:
    """A text, or a whole number as one; null where there is none."""
    if isinstance(value, float):
        return f"{value:.0f}"
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return str(value).strip() or None
