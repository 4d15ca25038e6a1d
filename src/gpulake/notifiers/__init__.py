"""The notifiers, found by listing this folder: every module here that defines NOTIFIER is one.

A notifier is a pure value: it says which addresses are its own, lays a message out as its service wants it, and says which
replies are final. Sending, waiting, trying again and keeping the secret are `gpulake.notify`'s work.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from urllib.parse import urlsplit

from gpulake.errors import UsageError


@dataclass(frozen=True)
class Message:
    """What is told, laid out already. `dedup_key` is the same in every message about one trouble, `notice_id` in every try.

    `told`: opened, worse, reminded, acknowledged, resolved; or digest. `facts` are names and texts: what, where, since…
    """

    notice_id: str
    dedup_key: str
    told: str
    severity: str
    subject: str
    text: str
    html: str
    link: str = ""
    cluster_id: str = ""
    rule: str = ""
    at: str = ""
    facts: tuple[tuple[str, str], ...] = ()

    @property
    def is_over(self) -> bool:
        """Whether it says that the trouble is over."""
        return self.told == "resolved"


@dataclass(frozen=True)
class Post:
    """An HTTP request with a JSON body. Its address is a secret."""

    url: str = field(repr=False)
    body: Mapping[str, object]
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Mail:
    """A mail in text and HTML; who gets it stands in the channel's address."""

    subject: str
    text: str
    html: str
    message_id: str
    thread_id: str


@dataclass(frozen=True)
class Letter:
    """A title and a text, for whatever service the Apprise library knows by the channel's address."""

    title: str
    text: str
    kind: str


@dataclass(frozen=True)
class Reply:
    """What came back: a status of HTTP or SMTP, or none; a few words without any secret; how long to wait, if it said so."""

    status: int | None
    words: str = ""
    retry_after_s: float | None = None

    @property
    def is_ok(self) -> bool:
        """Whether the service has taken it."""
        return self.status is not None and 200 <= self.status < 300


@dataclass(frozen=True)
class Notifier:
    """How one kind of service is told.

    `render` gets the message and the whole address. `joins`: a second delivery under the same key is dropped or joined by the
    service; else people may see it twice if we are cut off in the instant of sending. `acknowledges`: it wants to be told
    that somebody has taken a trouble in hand.
    """

    name: str
    claims: Callable[[str], bool]
    render: Callable[[Message, str], Post | Mail | Letter]
    is_permanent: Callable[[Reply], bool]
    joins: bool = False
    acknowledges: bool = False
    reads_digests: bool = True
    """Else every message is an alarm there."""
    is_last: bool = False
    """It claims what no other does."""


REFUSED = frozenset({400, 401, 403, 404, 405, 410, 413, 422})
"""HTTP: to send the same again would be answered in the same way."""


def is_refusal(reply: Reply) -> bool:
    """Whether an HTTP service will not take this, however often it is tried; a moved address is one too."""
    return reply.status is not None and (reply.status in REFUSED or 300 <= reply.status < 400)


def scheme(url: str) -> str:
    """The part before "://", in small letters; "" where there is none."""
    return url.partition("://")[0].lower() if "://" in url else ""


def host(url: str) -> str:
    """The host of an address; "" where it cannot be read."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


@cache
def all_notifiers() -> tuple[Notifier, ...]:
    """Every known notifier, by name; the one that claims what is left comes last."""
    modules = (import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__))
    found = (module.NOTIFIER for module in modules if hasattr(module, "NOTIFIER"))
    return tuple(sorted(found, key=lambda notifier: (notifier.is_last, notifier.name)))


def notifier_for(url: str, *, kind: str | None = None) -> Notifier:
    """Whose address this is. Raises UsageError for a kind that is not known."""
    for notifier in all_notifiers():
        if notifier.name == kind or (kind is None and notifier.claims(url)):
            return notifier
    names = ", ".join(notifier.name for notifier in all_notifiers())
    raise UsageError(f"unknown kind of channel {kind!r}.", do=f"use: {names}")
