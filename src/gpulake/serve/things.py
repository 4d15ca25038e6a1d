"""What is asked for and is not there."""

from __future__ import annotations

from difflib import get_close_matches

from gpulake.errors import UsageError
from gpulake.serve.look import Look


class NotFoundError(UsageError):
    """There is no thing of that name in the cluster."""


def nothing_called(name: str, *, kind: str, look: Look, near: str | None = None) -> NotFoundError:
    """The error for a thing that is not there."""
    known = [cluster.cluster_id for cluster in look.clusters if cluster != look.cluster]
    do = f"did you mean {near}?" if near else f"look in {' or '.join(known[:3])}" if known else "check its name"
    return NotFoundError(f"{look.cluster.cluster_id} has no {kind} {name[:80]!r}.", where=look.path[:200], do=do)


def near_miss(name: str, names: list[str]) -> str | None:
    """The most similar of these names."""
    return next(iter(get_close_matches(name, names, n=1)), None)
