"""Incidents: from findings to what people are told. Pure: facts in, facts out; no lake, clock or network."""

from gpulake.alert.facts import RANK, Event, History, Incident, Kind, Told, apply, key_of, replay
from gpulake.alert.policy import Cluster, Maintenance, Policy
from gpulake.alert.stepping import Notice, Request, Stepped, act, step

__all__ = [
    "RANK",
    "Cluster",
    "Event",
    "History",
    "Incident",
    "Kind",
    "Maintenance",
    "Notice",
    "Policy",
    "Request",
    "Stepped",
    "Told",
    "act",
    "apply",
    "key_of",
    "replay",
    "step",
]
