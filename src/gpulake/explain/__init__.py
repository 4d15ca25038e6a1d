"""Figures explained: where one comes from, what it was in an older build, and which of them differ between two builds.

What a figure means stands in the models' yml, beside the SQL that makes it; what it is stands in the Publication.
"""

from gpulake.explain.differences import Difference, GroupChange, difference, last_two
from gpulake.explain.figures import Explanation, FedBy, Figure, Move, figure
from gpulake.explain.models import read_models

__all__ = [
    "Difference",
    "Explanation",
    "FedBy",
    "Figure",
    "GroupChange",
    "Move",
    "difference",
    "figure",
    "last_two",
    "read_models",
]
