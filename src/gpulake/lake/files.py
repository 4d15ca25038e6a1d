"""Files that are whole or absent, and the lock beside them."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gpulake.errors import LakeError, LockError
from gpulake.lake.layout import Layout

_POLL_S = 0.05
_LONGEST_LOOK_S = 1.0
"""How long somebody who only looks may hold the lock, to copy a catalog at rest."""


def lock(layout: Layout, purpose: str, wait_s: float) -> int:
    """Take the write lock; the descriptor holds it. Raises LockError, naming the holder, when it stays taken."""
    try:
        descriptor = os.open(layout.lock, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise LakeError(
            f"the lake cannot be written: {error.strerror}.", where=str(layout.lock), do="check the folder's rights"
        ) from error
    deadline = time.monotonic() + max(wait_s, _LONGEST_LOOK_S)
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() < deadline:
                time.sleep(_POLL_S)
                continue
            told = busy(layout)
            os.close(descriptor)
            raise told from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"pid {os.getpid()}: {purpose}\n".encode(), 0)
        return descriptor


def busy(layout: Layout) -> LockError:
    """What to tell whoever finds the lock taken."""
    holder = layout.lock.read_text(encoding="utf-8", errors="replace").strip()
    return LockError(
        f"another process is writing this lake ({holder or 'it does not say who'}).",
        where=str(layout.lock),
        do="try again when it has finished, or wait for it with --wait SECONDS",
    )


@contextmanager
def at_rest(layout: Layout) -> Iterator[bool]:
    """Keep writers out for a moment; False where one is at work."""
    try:
        descriptor = os.open(layout.lock, os.O_RDONLY)
    except FileNotFoundError:  # a copy of a lake that nobody has written to
        yield True
        return
    except OSError as error:
        raise LakeError(
            f"the lake cannot be read: {error.strerror}.", where=str(layout.lock), do="check its rights"
        ) from error
    try:
        yield _shares(descriptor)
    finally:
        os.close(descriptor)


def _shares(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks, where no writer gets one either
        return True
    return True


def copy_whole(file: Path, copy: Path) -> None:
    """Copy a file so that the copy is there as a whole, or not at all."""
    unfinished = copy.with_suffix(".unfinished")
    try:
        shutil.copyfile(file, unfinished)
    except OSError:
        unfinished.unlink(missing_ok=True)  # a full disk is no fuller for it
        raise
    put(unfinished, copy)


def replace(file: Path, content: bytes) -> None:
    """Write a file so that whoever reads it sees the old content or the new one."""
    unfinished = file.with_suffix(".unfinished")
    unfinished.write_bytes(content)
    put(unfinished, file)


def put(unfinished: Path, file: Path) -> None:
    """Give a finished file its name, also if the power goes."""
    _sync(unfinished)
    unfinished.replace(file)
    _sync(file.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
