"""Where a lake's Superset keeps its things, and its secrets, which are made once."""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gpulake.errors import LockError, UsageError
from gpulake.reading import dashboards

Say = Callable[[str], None]
"""Told a line of progress."""


@dataclass(frozen=True)
class Places:
    """The folder of one lake's Superset; only its owner may look into `home`."""

    lake: Path

    @property
    def publication(self) -> Path:
        """The link to the file that the dashboards read."""
        return dashboards.link(self.lake)

    @property
    def home(self) -> Path:
        """What Superset itself keeps."""
        return dashboards.folder(self.lake) / "home"

    @property
    def password(self) -> Path:
        """The password of its user admin."""
        return self.home / "admin_password"

    @property
    def secret_key(self) -> Path:
        """The key by which it signs cookies."""
        return self.home / "secret_key"

    @property
    def bundle(self) -> Path:
        """The files that it imports."""
        return self.home / "bundle"

    @property
    def prepared(self) -> Path:
        """The last thing that is written when all is laid out: for what."""
        return self.home / "prepared.json"

    @property
    def records(self) -> Path:
        """Superset's own database: users, charts, dashboards."""
        return self.home / "superset.db"

    @property
    def records_before(self) -> Path:
        """The same as it was before it is laid out again, until that has succeeded."""
        return self.home / "superset.db.before"

    @property
    def log(self) -> Path:
        """What Superset said while it was laid out."""
        return self.home / "prepare.log"

    @property
    def lock(self) -> Path:
        """Held for as long as it runs."""
        return self.home / "lock"


def made(places: Places) -> Places:
    """The folder with its two secrets in it. Raises UsageError where it cannot be written."""
    try:
        places.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        places.home.chmod(0o700)
        for file in (places.secret_key, places.password):
            _make_secret(file)
    except OSError as error:
        raise UsageError(
            f"Superset's folder cannot be written: {error.strerror}.", where=str(places.home), do="check its rights"
        ) from error
    return places


def _make_secret(file: Path) -> None:
    if file.is_file() and file.stat().st_size:
        file.chmod(0o600)
        return
    unfinished = file.with_suffix(".unfinished")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        opened.write(secrets.token_urlsafe(32) + "\n")
    unfinished.replace(file)


def hold(places: Places) -> int:
    """Take the lock, which whoever this process becomes keeps. Raises LockError while another Superset of this lake runs."""
    descriptor = os.open(places.lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(descriptor, 200, 0).decode("utf-8", errors="replace").strip()
        os.close(descriptor)
        raise LockError(
            f"a Superset of this lake runs already ({holder or 'it does not say where'}).",
            where=str(places.lock),
            do="open that one, or end its process first",
        ) from None
    os.set_inheritable(descriptor, True)  # noqa: FBT003  # the function takes nothing else
    return descriptor


def tail(log: Path, *, most: int = 300) -> str:
    """The last line of a log that says something."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1][:most] if lines else "it gave no reason"
