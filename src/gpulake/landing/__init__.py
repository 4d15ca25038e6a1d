"""Landing: whatever a folder delivers becomes bronze rows and quarantined rows, each delivery once and whole.

A delivery is one table of one source, named by the hash of its uncompressed bytes: the .csv and the .tar.gz of a table
are the same delivery. Each is one transaction of the lake. A delivery that cannot be read is refused as a whole, with
its reason; the others land.
"""

from gpulake.landing.clusters import settle_clusters
from gpulake.landing.landings import Landing, LandReport, foresee, land
from gpulake.landing.memory import Memory
from gpulake.landing.replays import replay
from gpulake.landing.surveys import Refused, Survey, survey

__all__ = [
    "LandReport",
    "Landing",
    "Memory",
    "Refused",
    "Survey",
    "foresee",
    "land",
    "replay",
    "settle_clusters",
    "survey",
]
