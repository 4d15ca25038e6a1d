"""What is asked for and is not there."""

from __future__ import annotations

from difflib import get_close_matches
from urllib.parse import quote

from gpulake.errors import UsageError
from gpulake.serve.look import Look

LONGEST_ADDRESS = 4_000
"""Characters of a quoted name; browsers and servers refuse much longer addresses."""


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


def url_of(look: Look, kind: str, name: str | None) -> str | None:
    """The page of one thing, `/<kind>/<name>`, whatever its name holds; None for no name, or one too long for an address."""
    if not name or len(name) > LONGEST_ADDRESS or len(quoted := quote(name, safe="")) > LONGEST_ADDRESS:
        return None
    return look.url(f"/{kind}/{quoted}")
