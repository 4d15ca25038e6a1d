"""Which open incidents are told together: one cause, one notice.

Together go, within a cluster and an audience, what stands on the same machine or job; what stands on every machine of the
cluster with what began meanwhile; many machines that began to fail at once; and, last, what is more than people can read.
A group keeps its name, that of the incident which led it when it was made, until all of it is over.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from math import ceil

from gpulake.alert.facts import RANK, Incident
from gpulake.alert.policy import Cluster, Policy
from gpulake.findings import Severity

EVERY_MACHINE = "*"


def worst_first(incidents: Iterable[Incident]) -> list[Incident]:
    """The most urgent first; of equals what stands on most, then what began first."""
    return sorted(
        incidents,
        key=lambda incident: (
            -RANK[incident.finding.severity],
            EVERY_MACHINE not in incident.finding.machines,
            -len(incident.finding.machines) - len(incident.finding.jobs),
            -(incident.finding.gpu_h or 0.0),
            began(incident),
            incident.incident_id,
        ),
    )


def began(incident: Incident) -> datetime:
    """When the condition began, as far as it is known."""
    return incident.finding.since or incident.opened_at


def groups(
    fresh: Iterable[Incident], standing: Iterable[Incident], *, policy: Policy, clusters: Mapping[str, Cluster]
) -> Mapping[str, str]:
    """The group of each incident that has just opened, by its id: a standing one's, or one that the worst of them leads."""
    lots: dict[tuple[str, str, bool], tuple[list[Incident], list[Incident]]] = defaultdict(lambda: ([], []))
    for place, some in enumerate((fresh, standing)):
        for incident in some:
            finding = incident.finding
            lots[finding.cluster_id, finding.audience, bool(incident.history)][place].append(incident)
    found: dict[str, str] = {}
    for (cluster_id, _, is_history), (new, old) in lots.items():
        if new:
            machines = clusters[cluster_id].machines if cluster_id in clusters else 0
            found |= _of_one_audience(new, old, policy, machines, is_told=not is_history)
    return found


def _of_one_audience(
    new: Sequence[Incident], old: Sequence[Incident], policy: Policy, machines: int, *, is_told: bool
) -> dict[str, str]:
    joined = _Joined()
    for incident in (*new, *old):
        for machine in set(incident.finding.machines) - {EVERY_MACHINE}:
            joined.join(f"machine {machine}", incident.incident_id)
        for job in incident.finding.jobs:
            joined.join(f"job {job}", incident.incident_id)
    for incident in old:
        joined.join(f"group {incident.group}", incident.incident_id)
    _join_what_all_machines_explain(joined, (*new, *old), policy)
    _join_machines_that_fail_at_once(joined, (*new, *old), policy, machines)
    if is_told:
        _join_what_nobody_reads(joined, new, old, policy)
    standing: dict[str, str] = {}
    for incident in worst_first(old):
        standing.setdefault(joined.find(incident.incident_id), incident.group)
    found = {}
    for incident in worst_first(new):
        found[incident.incident_id] = standing.setdefault(joined.find(incident.incident_id), incident.incident_id)
    return found


def _join_what_all_machines_explain(joined: _Joined, incidents: Sequence[Incident], policy: Policy) -> None:
    for whole in incidents:
        if EVERY_MACHINE not in whole.finding.machines:
            continue
        for part in incidents:
            if (
                part.finding.machines
                and RANK[part.finding.severity] <= RANK[whole.finding.severity]
                and began(whole) - policy.together_within <= began(part) <= whole.last_at + policy.together_within
            ):
                joined.join(whole.incident_id, part.incident_id)


def _join_machines_that_fail_at_once(
    joined: _Joined, incidents: Sequence[Incident], policy: Policy, machines: int
) -> None:
    least = max(policy.machines_together, ceil(policy.machines_together_ratio * machines))
    single = sorted(
        (incident for incident in incidents if len(set(incident.finding.machines) - {EVERY_MACHINE}) == 1),
        key=lambda incident: (began(incident), incident.incident_id),
    )
    first, within = 0, Counter[str]()
    for last, incident in enumerate(single):
        within[_only_machine(incident)] += 1
        while began(incident) - began(single[first]) > policy.together_within:
            left = _only_machine(single[first])
            within[left] -= 1
            if not within[left]:
                del within[left]
            first += 1
        if len(within) >= least:
            # Those between were joined when they came, unless this is the first time that they are enough.
            for other in single[first:last] if len(within) == least else single[last - 1 : last]:
                joined.join(other.incident_id, incident.incident_id)


def _only_machine(incident: Incident) -> str:
    return next(machine for machine in incident.finding.machines if machine != EVERY_MACHINE)


def _join_what_nobody_reads(joined: _Joined, new: Sequence[Incident], old: Sequence[Incident], policy: Policy) -> None:
    known = {joined.find(incident.incident_id) for incident in old}
    leaders: dict[str, Incident] = {}
    for incident in worst_first(new):
        if (root := joined.find(incident.incident_id)) not in known:
            leaders.setdefault(root, incident)
    by_severity: dict[Severity, list[Incident]] = defaultdict(list)
    for leader in leaders.values():
        by_severity[leader.finding.severity].append(leader)
    for severity, some in by_severity.items():
        if len(some) > policy.most_at_once and RANK[severity] >= RANK[policy.told_from]:
            for leader in some[1:]:
                joined.join(some[0].incident_id, leader.incident_id)


class _Joined:
    """Names of which some are found to belong together."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}

    def find(self, name: str) -> str:
        """The name that stands for all that go with this one."""
        root = name
        while self._parent.setdefault(root, root) != root:
            root = self._parent[root]
        while self._parent[name] != root:
            self._parent[name], name = root, self._parent[name]
        return root

    def join(self, one: str, other: str) -> None:
        """These two belong together."""
        self._parent[self.find(other)] = self.find(one)
