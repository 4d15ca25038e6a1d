"""Files that are there as a whole or not at all. What must outlast a power cut is written by `lake`, which waits for the disk."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path


def write_whole(file: Path, content: bytes) -> None:
    """Put a file in the place of the one that stands there; who reads it sees the old one or the new. Raises OSError, and leaves nothing."""
    unfinished = file.with_name(f"{file.name}.{os.getpid()}.unfinished")
    try:
        unfinished.write_bytes(content)
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)  # a full disk is no fuller for it


def keep_newest(files: Iterable[Path], most: int) -> None:
    """Remove all of some files but those that were used last. Raises OSError."""
    newest_first = sorted(files, key=lambda file: file.stat().st_mtime, reverse=True)
    for old in newest_first[most:]:
        old.unlink(missing_ok=True)
