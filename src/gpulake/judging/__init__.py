"""Rules: which rows of the published tables a person should hear of, and what they say of a Publication."""

from gpulake.judging.judge import Judged, Moment, judge, replay
from gpulake.judging.rule import Broken, Rule, Rules, folder, load, read

__all__ = ["Broken", "Judged", "Moment", "Rule", "Rules", "folder", "judge", "load", "read", "replay"]
