"""What a visitor may ask to be changed: acknowledge, silence, resolve. A request in the lake's inbox, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from gpulake import clock
from gpulake.alert import Kind, Request
from gpulake.config import Config
from gpulake.errors import UsageError
from gpulake.incidents import inbox

_KINDS = {"acknowledge": Kind.ACKNOWLEDGE, "silence": Kind.SILENCE, "resolve": Kind.RESOLVE}
_LONGEST_H = 24 * 31


def ask(config: Config, given: Mapping[str, str]) -> str:
    """Put one request into the inbox; the address to go on at. Raises UsageError, LakeError."""
    kind = _KINDS.get(given.get("do", ""))
    incident = given.get("incident_id", "")
    if kind is None or not incident or len(incident) > 200:
        raise UsageError("the request is not complete.", do="use the buttons of an incident's page")
    by = given.get("by", "").strip()
    if not by:
        raise UsageError("nobody is named.", where="by", do="write your name: others see who has taken it")
    now = clock.now()
    until = None
    if kind is Kind.SILENCE:
        hours = given.get("hours", "")
        if not hours.isascii() or not hours.isdigit() or not 1 <= int(hours[:6]) <= _LONGEST_H:
            raise UsageError(f"{hours[:20]!r} is no number of hours.", where="hours", do=f"write 1 to {_LONGEST_H}")
        until = now + timedelta(hours=int(hours))
    request = Request(
        request_id=inbox.new_id(now),
        kind=kind,
        incident_id=incident,
        by=by,
        at=now,
        until=until,
        note=given.get("note", ""),
    )
    inbox.ask(config.lake, request)
    back = given.get("back", "")
    return back if back.startswith("/") and not back.startswith(("//", "/\\")) else "/alerts"
