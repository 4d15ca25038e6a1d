"""Superset as code: a Superset of a lake's own on this machine, its dashboards from files, its data from each publication.

Superset needs older libraries than gpulake, so it lives in an environment of its own and only `inside/` runs there.
What is remembered between two starts lies in the lake's folder under `superset/`: the file that dashboards read, and
`home/`, which nobody else may read.
"""

from gpulake.superset.bundle import Dashboard, dashboards, tables
from gpulake.superset.starting import up

__all__ = ["Dashboard", "dashboards", "tables", "up"]
