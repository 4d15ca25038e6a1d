"""Incidents in the lake: what findings change is decided, recorded, told and receipted, each once.

Facts and the notices that they call for are one transaction, so a notice is never sent of what was not recorded, and never
forgotten of what was. Sending comes afterwards; what is not sent waits for the next run.
"""

from gpulake.incidents.standing import Listed, Shown, ask, digest, listed, shown, state_of
from gpulake.incidents.telling import Told, land_requests, tell

__all__ = ["Listed", "Shown", "Told", "ask", "digest", "land_requests", "listed", "shown", "state_of", "tell"]
