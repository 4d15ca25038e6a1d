"""What people ask, until somebody who holds the lock does it: one file per request in `<lake>/inbox`, whole or absent."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import uuid4

from gpulake.alert import Kind, Request
from gpulake.errors import LakeError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
ASKABLE = (Kind.ACKNOWLEDGE, Kind.SILENCE, Kind.RESOLVE)


@dataclass(frozen=True)
class Asked:
    """A request and the file it stands in."""

    request: Request
    file: Path


def ask(folder: Path, request: Request) -> Path:
    """Put a request into the inbox of a lake. Raises LakeError where that cannot be written."""
    inbox = folder / "inbox"
    file = inbox / f"{request.request_id}.json"
    unfinished = file.with_suffix(".unfinished")
    written = {
        "request_id": request.request_id,
        "kind": str(request.kind),
        "incident_id": request.incident_id,
        "by": request.by,
        "at": request.at.isoformat(),
        "until": request.until.isoformat() if request.until else None,
        "note": request.note,
    }
    try:
        inbox.mkdir(exist_ok=True)
        unfinished.write_text(json.dumps(written, ensure_ascii=False) + "\n", encoding="utf-8")
        _sync(unfinished)
        unfinished.replace(file)
        _sync(inbox)
    except OSError as error:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        do = "free some space, then ask again" if error.errno in _FULL else "check the folder's rights"
        raise LakeError(f"the request cannot be written: {error.strerror}.", where=str(inbox), do=do) from error
    return file


def new_id(at: datetime) -> str:
    """A name that sorts by time and that no other request has."""
    return f"{at:%Y%m%dT%H%M%S}-{uuid4().hex[:8]}"


def read(folder: Path) -> tuple[Asked, ...]:
    """What is asked, in its order. A file that is no request is left alone."""
    return tuple(asked for file in sorted((folder / "inbox").glob("*.json")) if (asked := _read(file)) is not None)


def drop(asked: Sequence[Asked]) -> None:
    """Remove what has been done; what cannot be read as a request is set aside, so that people find it."""
    for each in asked:
        each.file.unlink(missing_ok=True)


def set_aside_unreadable(folder: Path) -> int:
    """Give what is no request another name, so that it is looked at once; how many there were."""
    bad = [file for file in sorted((folder / "inbox").glob("*.json")) if _read(file) is None]
    for file in bad:
        file.replace(file.with_suffix(".refused"))
    return len(bad)


def _read(file: Path) -> Asked | None:
    try:
        written = json.loads(file.read_text(encoding="utf-8"))
        request = Request(
            request_id=str(written["request_id"]),
            kind=Kind(written["kind"]),
            incident_id=str(written["incident_id"]),
            by=str(written["by"])[:100],
            at=datetime.fromisoformat(written["at"]),
            until=datetime.fromisoformat(written["until"]) if written.get("until") else None,
            note=str(written.get("note") or "")[:1000],
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    is_naive = request.at.tzinfo is None and (request.until is None or request.until.tzinfo is None)
    return Asked(request, file) if request.kind in ASKABLE and is_naive else None


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
