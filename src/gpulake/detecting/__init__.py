"""Detection: which rows detectors are shown, when, and where their verdicts go. Detectors themselves are pure."""

from __future__ import annotations

from gpulake.detecting.runs import LEVELS, Detected, Judged, load_ahead, run, shown_detectors

__all__ = ["LEVELS", "Detected", "Judged", "load_ahead", "run", "shown_detectors"]
