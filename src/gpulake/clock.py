"""The only clock: every other module is handed the time."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> datetime:
    """The present moment, in UTC, without a zone attached (as the lake stores it)."""
    return datetime.now(UTC).replace(tzinfo=None)
