"""What is said of those who land streams."""

from __future__ import annotations

from datetime import datetime

from gpulake.reading.streams import Consumer
from gpulake.telling.words import counted


def consumer_sentence(consumer: Consumer, *, now: datetime) -> str:
    """How one is getting on, and whether it keeps up with what comes."""
    name = f"Consumer {consumer.pid}"
    when = f"{consumer.noted_at:%Y-%m-%d %H:%M:%S} UTC"
    match consumer.state:
        case "failed":
            return f"{name} failed at {when}: {consumer.error or 'it does not say why'}"
        case "stopped":
            return f"{name} ended at {when}{_behind(consumer, 'when it did')}."
    if not consumer.is_heard(now=now):
        return f"{name} has said nothing since {when}: it was killed, or hangs."
    if consumer.waiting_since is not None:
        since = f"{consumer.waiting_since:%H:%M:%S} UTC"
        return f"{name} reads nothing since {since}, because another writer is at work{_behind(consumer)}."
    return f"{name} is {consumer.state}{_behind(consumer)}."


def _behind(consumer: Consumer, when: str = "") -> str:
    if consumer.lag is None:
        return ", and how far it is behind is not known"
    said = f"{counted(consumer.lag, 'message')} behind" if consumer.lag else "with nothing behind it"
    return f", {said}{f' {when}' if when else ''}"
