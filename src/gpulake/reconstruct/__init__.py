"""Hours out of the means of overlapping windows, each with its error: numbers in, numbers out.

A window says that a machine's mean use was so much over one worker's life. Which hours lie behind many such means is a
linear problem, one per machine and day; `reconstruct` solves it. See docs/explanation/hours-from-windows.md.
"""

from gpulake.reconstruct.bearing import bearing
from gpulake.reconstruct.values import (
    LENGTH_CLASSES,
    PARAMETERS,
    Bearing,
    Days,
    Hours,
    LeftOut,
    Parameters,
    Windows,
    class_of_length,
)
from gpulake.reconstruct.whole import reconstruct, reconstruct_columns

__all__ = [
    "LENGTH_CLASSES",
    "PARAMETERS",
    "Bearing",
    "Days",
    "Hours",
    "LeftOut",
    "Parameters",
    "Windows",
    "bearing",
    "class_of_length",
    "reconstruct",
    "reconstruct_columns",
]
