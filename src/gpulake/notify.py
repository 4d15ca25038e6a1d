"""Delivery of one message to one channel: HTTP, SMTP and the Apprise library, with tries, waits and limits.

A channel's address is a secret as a whole. It is put together here, from the environment or a file, and nothing that leaves
this module has a part of it: what libraries say in their errors and logs is never passed on, and replies are scrubbed.
"""

from __future__ import annotations

import http.client
import json
import logging
import re
import smtplib
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import formataddr
from hashlib import sha256
from typing import Any
from urllib.parse import unquote

from gpulake.alert_settings import VARIABLE, Channel
from gpulake.errors import DeliveryError, UsageError
from gpulake.notifiers import Letter, Mail, Message, Notifier, Post, Reply, host, notifier_for, scheme

TIMEOUT_S = 10.0
"""For each thing that a service does: connect, read, answer."""
WAITS_S = (1.0, 4.0)
"""Before the second and the third try."""
LONGEST_WAIT_S = 30.0
"""A service that asks for more is tried again by the next run."""
_MOST_REPLY_BYTES = 400
_SHORTEST_SECRET = 4


@dataclass(frozen=True)
class Receipt:
    """What came of a message: sent, failed (for good) or retry (by the next run). `words` have no secret in them."""

    state: str
    attempts: int
    code: int | None = None
    words: str = ""


@dataclass(frozen=True)
class Address:
    """A channel's whole address and whose it is. `mark` changes with it, and tells nothing of it."""

    url: str = field(repr=False)
    notifier: Notifier

    @property
    def shown(self) -> str:
        """As much of it as people may see."""
        place = host(self.url) if scheme(self.url) in {"http", "https"} else ""
        return f"{scheme(self.url)}://{place}{'/' if place else ''}…"

    @property
    def mark(self) -> str:
        """Another for another address."""
        return sha256(self.url.encode()).hexdigest()[:8]


def address_of(channel: Channel, *, secrets: Mapping[str, str]) -> Address:
    """The address with its secrets in it. Raises DeliveryError where one is missing, or where it is no address."""
    where = f"channel {channel.name}"
    url = channel.url
    if channel.url_file is not None:
        try:
            url = channel.url_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no text"
            raise DeliveryError(
                f"its address cannot be read from {channel.url_file}: {why}.", where=where, do="write it into that file"
            ) from error
    missing = sorted(name for name in set(VARIABLE.findall(channel.url)) if not secrets.get(name))
    if missing:
        raise DeliveryError(
            f"the environment has no {missing[0]}.", where=where, do=f"set {missing[0]}, or write url_file = FILE"
        )
    if channel.url_file is None:
        url = VARIABLE.sub(lambda found: secrets[found[1]], url)
    if not scheme(url) or any(c.isspace() or not c.isprintable() for c in url):
        raise DeliveryError(
            "its address is none: it has no scheme, or blanks in it.", where=where, do="write it as SCHEME://…"
        )
    try:
        return Address(url, notifier_for(url, kind=channel.kind))
    except UsageError as error:
        raise DeliveryError(error.what, where=where, do=error.do) from error


def send(
    message: Message,
    address: Address,
    *,
    sleep: Callable[[float], None] = time.sleep,
    timeout_s: float = TIMEOUT_S,
    waits_s: Sequence[float] = WAITS_S,
) -> Receipt:
    """Give it to the service; try again what may pass. The first refusal for good ends it."""
    request = address.notifier.render(message, address.url)
    reply = Reply(None)
    for attempt, wait_s in enumerate((*waits_s, None), start=1):
        with _quiet():
            reply = _once(request, address, timeout_s=timeout_s)
        words = _scrubbed(reply.words, address.url)
        if reply.is_ok:
            return Receipt("sent", attempt, reply.status, words)
        if address.notifier.is_permanent(reply):
            return Receipt("failed", attempt, reply.status, words)
        asked_s = reply.retry_after_s or 0.0
        if wait_s is None or asked_s > LONGEST_WAIT_S:
            return Receipt("retry", attempt, reply.status, words)
        sleep(max(wait_s, asked_s))
    raise AssertionError


def _once(request: Post | Mail | Letter, address: Address, *, timeout_s: float) -> Reply:
    match request:
        case Post():
            return _post(request, timeout_s)
        case Mail():
            return _mail(request, address.url, timeout_s)
        case Letter():
            return _letter(request, address.url)


# --- HTTP ------------------------------------------------------------------------------------------------------------


class _Stays(urllib.request.HTTPRedirectHandler):
    """A POST that is sent elsewhere would arrive as an empty GET, with the secret in another's log."""

    def redirect_request(self, *_args: object, **_more: object) -> None:
        """Follow nowhere."""


def _post(request: Post, timeout_s: float) -> Reply:
    body = json.dumps(request.body, ensure_ascii=False).encode()
    headers = {"Content-Type": "application/json", "User-Agent": "gpulake", **request.headers}
    opener = urllib.request.build_opener(_Stays())
    try:
        asked = urllib.request.Request(request.url, body, headers, method="POST")  # noqa: S310  # the owner's own address
        with opener.open(asked, timeout=timeout_s) as response:
            return Reply(response.status, _words(response))
    except urllib.error.HTTPError as error:
        with error:
            return Reply(error.code, _words(error), _retry_after_s(error.headers.get("Retry-After")))
    except (OSError, http.client.HTTPException) as error:
        return Reply(None, _why(error))
    except (ValueError, UnicodeError):  # urllib's word for an address that is none
        return Reply(400, "the address of the channel is none")


def _words(response: Any) -> str:  # a response, or an HTTPError, which urllib types differently
    try:
        return str(response.read(_MOST_REPLY_BYTES).decode("utf-8", "replace"))
    except (OSError, http.client.HTTPException):
        return ""


def _retry_after_s(text: str | None) -> float | None:
    """Seconds; a date there is rare, and the usual wait will do."""
    return float(text) if text and re.fullmatch(r"\d{1,6}", text.strip()) else None


def _why(error: Exception) -> str:
    """What went wrong, in words of ours: libraries put addresses into theirs."""
    reason = getattr(error, "reason", error)
    for kind, words in (
        (TimeoutError, "no answer in time"),
        (ConnectionRefusedError, "nobody listens there"),
        (ssl.SSLError, "the certificate is not trusted, or it speaks no TLS"),
        (ConnectionError, "the connection broke"),
        (http.client.HTTPException, "the answer is no HTTP"),
    ):
        if isinstance(reason, kind):
            return words
    return "the host cannot be reached"


# --- mail ------------------------------------------------------------------------------------------------------------


def _mail(mail: Mail, url: str, timeout_s: float) -> Reply:
    """Apprise reads the address; we speak SMTP, to give a second delivery the same Message-ID and to hear the server's code."""
    import apprise

    to: Any = apprise.Apprise.instantiate(url)  # its object for mail has no types
    targets = getattr(to, "targets", None)
    if not targets:
        return Reply(501, "the address of the channel names nobody")
    letter = _email(mail, to)
    everybody = [target for _, target in targets] + sorted({*to.cc, *to.bcc})
    is_ssl = str(getattr(to.secure_mode, "value", to.secure_mode)) == "ssl"
    context = ssl.create_default_context()
    try:
        server = (
            smtplib.SMTP_SSL(to.smtp_host, to.port, timeout=timeout_s, context=context)
            if is_ssl
            else smtplib.SMTP(to.smtp_host, to.port, timeout=timeout_s)
        )
        with _ended(server):
            if str(getattr(to.secure_mode, "value", to.secure_mode)) == "starttls":
                server.starttls(context=context)
            if to.user and to.password:
                server.login(to.user, to.password)
            refused = server.send_message(letter, to.from_addr[1], everybody)
            return Reply(250, f"{len(refused)} of {len(everybody)} refused" if refused else "")
    except smtplib.SMTPRecipientsRefused as error:
        return Reply(max(code for code, _ in error.recipients.values()), "nobody there is known")
    except smtplib.SMTPResponseException as error:
        words = error.smtp_error
        return Reply(error.smtp_code, words.decode("utf-8", "replace") if isinstance(words, bytes) else str(words))
    except smtplib.SMTPServerDisconnected:
        return Reply(None, "the connection broke")
    except smtplib.SMTPException:
        return Reply(502, "the server does not offer what the address asks for")
    except OSError as error:
        return Reply(None, _why(error))


def _email(mail: Mail, to: Any) -> EmailMessage:  # Apprise's object for mail has no types
    letter = EmailMessage()
    letter["Subject"] = " ".join(mail.subject.split())
    name, sender = to.from_addr
    letter["From"] = formataddr((name or "gpulake", sender))
    letter["To"] = ", ".join(formataddr((name or "", address)) for name, address in to.targets)
    if to.cc:
        letter["Cc"] = ", ".join(sorted(to.cc))
    if to.reply_to:
        letter["Reply-To"] = ", ".join(sorted(to.reply_to))
    letter["Message-ID"] = mail.message_id
    if mail.thread_id != mail.message_id:
        letter["References"] = mail.thread_id
    letter["Auto-Submitted"] = "auto-generated"
    letter.set_content(mail.text)
    letter.add_alternative(mail.html, subtype="html")
    return letter


@contextmanager
def _ended(server: smtplib.SMTP) -> Iterator[None]:
    """Say goodbye, if it still listens: what was taken stays taken."""
    try:
        yield
    finally:
        with suppress(OSError, smtplib.SMTPException):
            server.quit()
        server.close()


# --- everything else -------------------------------------------------------------------------------------------------


def _letter(letter: Letter, url: str) -> Reply:
    """Apprise says yes or no; the code of a refusal stands in its log only."""
    import apprise

    told = apprise.Apprise()
    if not told.add(url):
        return Reply(400, "the address of the channel is none that Apprise knows")
    with apprise.LogCapture(level=logging.DEBUG) as log:  # type: ignore[no-untyped-call]
        ok = told.notify(
            body=letter.text, title=letter.title, notify_type=letter.kind, body_format=apprise.NotifyFormat.TEXT
        )
        text = log.getvalue()
    if ok:
        return Reply(200)
    code = re.search(r"error[ =:]+(\d{3})\b", text)
    return Reply(int(code[1]), "refused") if code else Reply(None, "the service could not be reached")


# --- secrets ---------------------------------------------------------------------------------------------------------


@contextmanager
def _quiet() -> Iterator[None]:
    """Libraries log addresses when something goes wrong: nobody hears it."""
    loggers = [logging.getLogger(name) for name in ("apprise", "urllib3", "requests")]
    before = [(logger.propagate, list(logger.handlers)) for logger in loggers]
    for logger in loggers:
        logger.propagate, logger.handlers = False, [logging.NullHandler()]
    try:
        yield
    finally:
        for logger, (propagate, handlers) in zip(loggers, before, strict=True):
            logger.propagate, logger.handlers = propagate, handlers


def _scrubbed(text: str, url: str) -> str:
    """A service's words on one line, without any part of its address."""
    parts = {part for raw in (url, unquote(url)) for part in (raw, *re.split(r"[/:@?&=#,;\s]+", raw))}
    text = " ".join(text.split())
    for part in sorted(parts, key=len, reverse=True):
        if len(part) >= _SHORTEST_SECRET:
            text = text.replace(part, "…")
    return "".join(c for c in text if c.isprintable())[:200]
