"""gpulake: a lakehouse for GPU training clusters, whose figures add up.

`gpulake.open(lake)` is the way in for Python programs; everything else is the command line's.
"""

from gpulake.asking import Answer, Lake, open  # noqa: A004  # gpulake.open

__all__ = ["Answer", "Lake", "open"]
