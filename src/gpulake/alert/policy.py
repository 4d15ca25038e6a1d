"""What decides when people are told: windows, limits, maintenance. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from gpulake.findings import Finding, Severity

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Maintenance:
    """A time in which a cluster, or some of its machines, is worked on. `since` and `until` are the cluster's own time, UTC."""

    cluster_id: str
    since: datetime
    until: datetime
    why: str
    machines: tuple[str, ...] = ()

    def covers(self, finding: Finding) -> bool:
        """Whether it explains what was found: they overlap, and it is over for less than a day.

        A day that had maintenance in it is judged when it ends; what began afterwards is no part of it.
        """
        return (
            self.cluster_id == finding.cluster_id
            and (not self.machines or bool(set(self.machines) & set(finding.machines)))
            and (finding.since or finding.at) < self.until
            and finding.at > self.since
            and finding.at < self.until + DAY
        )


@dataclass(frozen=True)
class Policy:
    """When people are told. The defaults are those of the settings' page."""

    repeat: Mapping[Severity, timedelta | None] = field(
        default_factory=lambda: {Severity.PAGE: 4 * HOUR, Severity.TICKET: DAY, Severity.INFO: None}
    )
    """How long to wait before what is still so is told again; None: never."""
    told_from: Severity = Severity.TICKET
    """What is less urgent stands in the digest only."""
    reopens_within: timedelta = DAY
    closes_after: timedelta = 6 * HOUR
    """So long must a condition have been clear, in hours with enough data."""
    history_after: timedelta = 2 * DAY
    """What lies further back from the cluster's now is recorded, not told."""
    flips: int = 4
    flips_within: timedelta = 3 * DAY
    """So many openings and closings in so long are a flapping incident."""
    calm: timedelta = DAY
    """A flapping one is told of again when it has not changed for so long."""
    most_at_once: int = 20
    """So many groups of one cluster and audience are told apart; more are told in one notice."""
    together_within: timedelta = 2 * HOUR
    machines_together: int = 5
    machines_together_ratio: float = 0.05
    """Machines that begin to fail within this time are one incident, from this number and share of the cluster on."""
    maintenance: tuple[Maintenance, ...] = ()


@dataclass(frozen=True)
class Cluster:
    """What a step must know of a cluster: its own now, how many machines it has, whether it is judged for the first time."""

    now: datetime
    machines: int = 0
    is_first: bool = False
