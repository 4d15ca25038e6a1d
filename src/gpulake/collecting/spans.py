"""Spans of seconds, half-open: what was asked for, less what is covered."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Span = tuple[float, float]
"""From, and up to but not including."""


def less(asked: Span, covered: Iterable[Span]) -> list[Span]:
    """The parts of a span that no other covers, in order."""
    left: list[Span] = []
    at, end = asked
    for start, stop in sorted(covered):
        if start >= end:
            break
        if start > at:
            left.append((at, start))
        at = max(at, stop)
    if at < end:
        left.append((at, end))
    return left


def united(spans: Iterable[Span]) -> list[Span]:
    """The same time in as few spans as there can be."""
    found: list[Span] = []
    for start, stop in sorted(span for span in spans if span[0] < span[1]):
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], stop)
        else:
            found.append((start, stop))
    return found


def read(noted: object) -> list[Span]:
    """Spans as JSON has them; what is none is left out."""
    if not isinstance(noted, Sequence) or isinstance(noted, str):
        return []
    return united(
        (float(each[0]), float(each[1]))
        for each in noted
        if isinstance(each, Sequence) and len(each) == 2 and all(isinstance(at, int | float) for at in each)
    )
