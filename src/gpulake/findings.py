"""What a rule says: the value that rules hand out, and that incidents and back-tests read."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Severity(StrEnum):
    """How soon a person must look: now, in working hours, or when reading the digest."""

    PAGE = "page"
    TICKET = "ticket"
    INFO = "info"


class State(StrEnum):
    """What a rule knows of one thing. UNKNOWN (a null, a missing row, thin data) neither opens nor closes anything."""

    FIRING = "firing"
    CLEAR = "clear"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Finding:
    """What a rule says of one thing at one moment of its cluster's time.

    `key` names the thing: the rule's `per` columns with their values, the cluster among them. `at` is the end of the last
    hour or day that was judged, `since` the first moment at which it held, or was over, without a break; both are the
    cluster's own time (`definitions`, time basis). `machines` and `jobs` are what it stands on, so that what has one cause can
    be told once; a machine "*" is every machine of the cluster. A CLEAR finding may say in `since` for how long it has been clear. `message`, `do` and `link` are what a person reads; `value` and `expected` are in `unit`.
    """

    rule: str
    key: tuple[tuple[str, str], ...]
    state: State
    at: datetime
    since: datetime | None = None
    severity: Severity = Severity.TICKET
    audience: str = "operators"
    title: str = ""
    message: str = ""
    do: str = ""
    link: str = ""
    value: float | None = None
    expected: float | None = None
    unit: str = ""
    gpu_h: float | None = None
    machines: tuple[str, ...] = ()
    jobs: tuple[str, ...] = ()
    values: tuple[tuple[str, object], ...] = field(default=(), repr=False)

    @property
    def cluster_id(self) -> str:
        """The cluster it is about, or "" for the lake itself."""
        return dict(self.key).get("cluster_id", "")
