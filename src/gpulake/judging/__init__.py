"""Rules: which rows of the published tables a person should hear of, and what they say of a Publication."""

from gpulake.judging.judge import Clock, Judged, Moment, catch_up, clocks_of, judge, replay
from gpulake.judging.rule import Broken, Rule, Rules, load, load_configured, load_kept, read

__all__ = [
    "Broken",
    "Clock",
    "Judged",
    "Moment",
    "Rule",
    "Rules",
    "catch_up",
    "clocks_of",
    "judge",
    "load",
    "load_configured",
    "load_kept",
    "read",
    "replay",
]
