"""What stands in a field: the words for a missing number, and how a number is not written."""

from __future__ import annotations

import re

MISSING = ("nan", "null", "none", "na", "n/a", "\\n", "-")
"""What exports write where a number is not known, in any case; so does nothing at all."""

DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")


def is_missing(text: str) -> bool:
    """Whether a text says that a number is missing."""
    return text.strip().lower() in {"", *MISSING}
