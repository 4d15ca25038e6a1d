"""Sending what waits, and the journal beside the lake that says how far it got.

A receipt lands in the lake only at the end; until then the journal has it. So whoever is killed in between has lost no receipt,
and the next run sends nothing twice that a service has confirmed. What was cut off in the very instant of sending is sent
again under the same name: services that join by it (PagerDuty) drop it, mails have the same Message-ID, and elsewhere the
text says that it may be a repetition.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from gpulake.alert_settings import Channel
from gpulake.config import Config
from gpulake.errors import DeliveryError
from gpulake.incidents.records import Queued
from gpulake.notifiers import Notifier
from gpulake.notify import Address, Receipt, address_of, send

GIVEN_UP_AFTER = timedelta(days=2)
"""What could not be delivered for so long is old news."""

_MAY_BE_TWICE = "This may reach you a second time: the program was cut off while it sent it."


@dataclass(frozen=True)
class Tried:
    """A notice and what came of it in this run."""

    queued: Queued
    receipt: Receipt


@dataclass(frozen=True)
class Refusal:
    """A channel that will not work until somebody mends it; `mark` changes with its address."""

    channel: str
    mark: str
    code: int | None
    words: str


@dataclass(frozen=True)
class Delivery:
    """What one run has tried, which channels refused for good, and which are called but were not there."""

    tried: tuple[Tried, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    unreachable: frozenset[str] = field(default_factory=frozenset)


class Journal:
    """What was begun and what came of it, a line each, on disk before anything else happens."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "outbox.jsonl"
        self._open: IO[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None

    def read(self) -> tuple[Mapping[str, Receipt], frozenset[str]]:
        """The receipts that have not landed yet, and what was cut off while it was sent. A half line counts for nothing."""
        receipts: dict[str, Receipt] = {}
        begun: set[str] = set()
        if not self._file.is_file():
            return receipts, frozenset()
        for line in self._file.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                written = json.loads(line)
            except ValueError:
                continue
            name = str(written["notice_id"])
            if written["state"] == "sending":
                begun.add(name)
                continue
            receipts[name] = Receipt(written["state"], written["attempts"], written["code"], written["words"])
            begun.discard(name)
        return receipts, frozenset(begun)

    def begin(self, notice_id: str) -> None:
        """It is about to be sent."""
        self._write({"notice_id": notice_id, "state": "sending"})

    def end(self, notice_id: str, receipt: Receipt) -> None:
        """What came of it."""
        self._write(
            {
                "notice_id": notice_id,
                "state": receipt.state,
                "attempts": receipt.attempts,
                "code": receipt.code,
                "words": receipt.words,
            }
        )

    def forget(self) -> None:
        """All of it has landed."""
        self.__exit__(None, None, None)
        self._file.unlink(missing_ok=True)

    def _write(self, line: Mapping[str, object]) -> None:
        if self._open is None:
            self._open = self._file.open("a", encoding="utf-8")
            self._open.write("\n" if self._file.stat().st_size else "")  # after a half line
        self._open.write(json.dumps(line) + "\n")
        self._open.flush()
        os.fsync(self._open.fileno())


def deliver(
    waiting: Sequence[Queued],
    *,
    config: Config,
    now: datetime,
    journal: Journal,
    cut_off: frozenset[str],
    disabled: frozenset[tuple[str, str]],
    sleep: Callable[[float], None],
) -> Delivery:
    """Try everything that waits, in its order. A channel that does not answer is left for the next run after one notice."""
    tried: list[Tried] = []
    refusals: dict[str, Refusal] = {}
    unreachable: set[str] = set()
    addresses: dict[str, Address | None] = {}
    for queued in waiting:
        name = queued.channel
        if now - queued.queued_at > GIVEN_UP_AFTER:
            tried.append(Tried(queued, Receipt("failed", 0, None, "given up: not delivered for two days")))
            continue
        if name not in addresses:
            addresses[name] = None
            if name in config.alerts.channels:
                try:
                    addresses[name] = address_of(config.alerts.channels[name], secrets=config.secrets)
                except DeliveryError as error:
                    refusals[name] = Refusal(name, "none", None, f"{error.what} {error.do[:1].upper()}{error.do[1:]}.")
        address = addresses[name]
        if address is None or name in refusals or name in unreachable or (name, address.mark) in disabled:
            continue
        message = queued.message
        if queued.notice_id in cut_off and not address.notifier.joins:
            message = replace(message, text=f"{message.text}\n{_MAY_BE_TWICE}")
        journal.begin(queued.notice_id)
        receipt = send(message, address, sleep=sleep)
        journal.end(queued.notice_id, receipt)
        tried.append(Tried(queued, receipt))
        if receipt.state == "failed":
            refusals[name] = Refusal(name, address.mark, receipt.code, receipt.words)
        elif receipt.state == "retry":
            unreachable.add(name)
    return Delivery(tuple(tried), tuple(refusals.values()), frozenset(unreachable))


def notifier_of(channel: Channel, config: Config) -> Notifier | None:
    """Who serves a channel; None where its address cannot be put together."""
    try:
        return address_of(channel, secrets=config.secrets).notifier
    except DeliveryError:
        return None


def marks(config: Config) -> Mapping[str, str]:
    """The mark of each channel's address as it is now; "none" where it cannot be put together."""
    found = {}
    for name, channel in config.alerts.channels.items():
        try:
            found[name] = address_of(channel, secrets=config.secrets).mark
        except DeliveryError:
            found[name] = "none"
    return found
