"""Detection: which rows detectors are shown, when, and where their verdicts go. Detectors themselves are pure."""

from __future__ import annotations

from gpulake.detecting.files import SCHEMAS, VARIANTS, FileScored, score_file
from gpulake.detecting.runs import LEVELS, Detected, Judged, load_ahead, run, shown_detectors

__all__ = [
    "LEVELS",
    "SCHEMAS",
    "VARIANTS",
    "Detected",
    "FileScored",
    "Judged",
    "load_ahead",
    "run",
    "score_file",
    "shown_detectors",
]
