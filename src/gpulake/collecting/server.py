"""One question to a server over HTTP: its whole answer, or in a sentence why there is none.

What may pass is tried again; what will not is told at once. An address and a secret never meet in what is told.
"""

from __future__ import annotations

import base64
import gzip
import http.client
import json
import re
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import Message
from email.utils import parsedate_to_datetime

from gpulake.errors import SourceError, UsageError

_TRANSIENT_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
_LONGEST_PAUSE_S = 60.0
_MOST_ERROR_BYTES = 4_096


@dataclass(frozen=True)
class Patience:
    """How patiently a server is asked: how long for an answer, how often, and the first pause, which doubles."""

    timeout_s: float = 120.0
    attempts: int = 5
    first_pause_s: float = 1.0
    pause: Callable[[float], None] = time.sleep


@dataclass(frozen=True)
class Answer:
    """What a server answered, and its clock then (UTC without a zone), if it showed it."""

    status: int
    body: bytes
    is_page: bool = False
    """HTML: meant for people."""
    at: datetime | None = None
    is_measured: bool = True
    """Its length was told, or it came in pieces that tell their own: then all of it has come."""

    def is_whole(self) -> bool:
        """Whether all of a JSON answer has come: where nobody told how much it is, it must be one."""
        try:
            return self.is_measured or json.loads(self.body) is not None
        except (ValueError, RecursionError):
            return False

    def error(self) -> tuple[str, str]:
        """The kind of error and its words, as Prometheus tells them; empty where it does not."""
        try:
            found = json.loads(self.body)
        except (ValueError, RecursionError):
            return "", ""
        if not isinstance(found, dict):
            return "", ""
        return str(found.get("errorType", "")), str(found.get("error", ""))


class _BrokenError(Exception):
    """It may go better the next time."""

    def __init__(self, why: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(why)
        self.retry_after_s = retry_after_s


class _Stays(urllib.request.HTTPRedirectHandler):
    """Whoever is sent elsewhere would take the secret there."""

    def redirect_request(self, *_args: object, **_more: object) -> None:
        """Follow nowhere."""


@dataclass(frozen=True)
class Server:
    """A server by its address, with what it wants to see before it answers."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    patience: Patience = Patience()
    tell: Callable[[str], None] = lambda _sentence: None

    def ask(self, path: str, asked: Mapping[str, object] | None = None) -> Answer:
        """Its whole answer to a GET, whatever the status, but for those that may pass: they are tried again.

        Raises SourceError when there is none, or none that is whole, after all tries.
        """
        query = f"?{urllib.parse.urlencode(asked)}" if asked else ""
        request = urllib.request.Request(  # noqa: S310  # the scheme is checked where the address is read
            f"{self.url}{path}{query}",
            headers={"User-Agent": "gpulake", "Accept-Encoding": "gzip", **self.headers},
        )
        for attempt in range(1, self.patience.attempts + 1):
            try:
                return self._once(request)
            except _BrokenError as error:
                if attempt == self.patience.attempts:
                    raise SourceError(
                        f"the server gives no answer: {error} ({attempt} tries).",
                        where=self.url,
                        do="see whether it runs and can be reached, then run it again: it goes on from there",
                    ) from error
                wait_s = min(error.retry_after_s or self.patience.first_pause_s * 2 ** (attempt - 1), _LONGEST_PAUSE_S)
                self.tell(f"{self.url}: {error}; asking again in {wait_s:.0f} s")
                self.patience.pause(wait_s)
        raise AssertionError

    def _once(self, request: urllib.request.Request) -> Answer:
        opener = urllib.request.build_opener(_Stays())
        try:
            with opener.open(request, timeout=self.patience.timeout_s) as response:
                return _answer(response.status, response.headers, response.read())
        except urllib.error.HTTPError as error:
            with error:
                answer = _answer(error.code, error.headers, error.read(_MOST_ERROR_BYTES))
            if error.code in _TRANSIENT_STATUS and answer.error()[0] != "timeout":
                raise _BrokenError(
                    f"it answers {error.code}", retry_after_s=_seconds(error.headers.get("Retry-After"))
                ) from error
            return answer
        except http.client.IncompleteRead as error:
            raise _BrokenError("the answer broke off half-way") from error
        except (OSError, http.client.HTTPException) as error:
            raise _BrokenError(_why(error, self.patience.timeout_s)) from error
        except (ValueError, UnicodeError) as error:
            raise UsageError("the address is none.", where=self.url, do="write it as http://host:9090") from error


def server_of(url: str, environ: Mapping[str, str], *, prefix: str, patience: Patience) -> Server:
    """The server at an address, its secret taken from the environment: `<prefix>_TOKEN`, or `<prefix>_USER` and `_PASSWORD`.

    Raises UsageError for an address that is none, or that holds a secret itself.
    """
    try:
        parts = urllib.parse.urlsplit(url)
        is_known = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        parts, is_known = urllib.parse.urlsplit(""), False
    if parts.username or parts.password or "@" in parts.netloc:
        raise UsageError(
            "the address holds a name or a password, which others can see on the command line.",
            where=f"{parts.scheme}://{parts.hostname}",
            do=f"leave them out, and set {prefix}_USER and {prefix}_PASSWORD, or {prefix}_TOKEN",
        )
    if not is_known or parts.query or parts.fragment:
        raise UsageError("the address is none of a server.", where="--url", do="write it as http://host:9090")
    headers = {}
    if token := environ.get(f"{prefix}_TOKEN"):
        headers["Authorization"] = f"Bearer {token}"
    elif (user := environ.get(f"{prefix}_USER")) is not None:
        pair = f"{user}:{environ.get(f'{prefix}_PASSWORD', '')}"
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    if any(not value.isprintable() or not value.isascii() for value in headers.values()):
        raise UsageError(
            "the secret holds a character that no header can carry.", where=f"{prefix}_TOKEN", do="set it anew"
        )
    return Server(url.rstrip("/"), headers, patience)


def _answer(status: int, headers: Message, body: bytes) -> Answer:
    if headers.get("Content-Encoding", "").strip().lower() == "gzip":
        try:
            body = gzip.decompress(body)
        except (OSError, EOFError, zlib.error) as error:
            raise _BrokenError("the answer broke off half-way") from error
    kind = headers.get("Content-Type", "").lower()
    is_page = "html" in kind or body[:200].lstrip().lower().startswith((b"<!doctype", b"<html"))
    is_measured = "Content-Length" in headers or "chunked" in headers.get("Transfer-Encoding", "").lower()
    return Answer(status, body, is_page, _moment(headers.get("Date")), is_measured)


def _moment(text: str | None) -> datetime | None:
    try:
        found = parsedate_to_datetime(text) if text else None
    except (ValueError, TypeError, IndexError):
        return None
    return found.astimezone(UTC).replace(tzinfo=None) if found else None


def _seconds(text: str | None) -> float | None:
    return float(text) if text and re.fullmatch(r"\d{1,5}", text.strip()) else None


def _why(error: Exception, timeout_s: float) -> str:
    """What went wrong, in words of ours: libraries put addresses into theirs."""
    reason = getattr(error, "reason", error)
    for kind, words in (
        (TimeoutError, f"no answer within {timeout_s:.0f} s"),
        (ConnectionRefusedError, "nobody listens there"),
        (ssl.SSLError, "its certificate is not trusted, or it speaks no TLS"),
        (ConnectionError, "the connection broke"),
        (http.client.HTTPException, "what comes back is no HTTP"),
    ):
        if isinstance(reason, kind):
            return words
    return "the host cannot be reached"
