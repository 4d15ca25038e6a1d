"""Landing: whatever a folder delivers becomes bronze rows and quarantined rows, each delivery once and whole.

A delivery is one table of one source, named by the hash of its uncompressed bytes: the .csv and the .tar.gz of a table
are the same delivery. Each is one transaction of the lake. A delivery that cannot be read is refused as a whole, with
its reason; the others land.
"""

from gpulake.landing.checking import Checked, FileChecked, Reason, check
from gpulake.landing.clusters import settle_clusters
from gpulake.landing.events import Events, of_delivery, of_lake
from gpulake.landing.landings import Landing, LandReport, foresee, land
from gpulake.landing.memory import Memory
from gpulake.landing.messages import json_schema, open_end
from gpulake.landing.replays import replay
from gpulake.landing.stretches import Stretch, StretchLanded, StretchLander
from gpulake.landing.surveys import Refused, Survey, look, nothing_known, survey

__all__ = [
    "Checked",
    "Events",
    "FileChecked",
    "LandReport",
    "Landing",
    "Memory",
    "Reason",
    "Refused",
    "Stretch",
    "StretchLanded",
    "StretchLander",
    "Survey",
    "check",
    "foresee",
    "json_schema",
    "land",
    "look",
    "nothing_known",
    "of_delivery",
    "of_lake",
    "open_end",
    "replay",
    "settle_clusters",
    "survey",
]
