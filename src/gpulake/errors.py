"""The error tree: every failure a user can meet, with the exit code of its family.

GpulakeError
├── UsageError      2   the call itself is wrong: an option, a name, a missing lake
├── SourceError    10   what was delivered cannot be read: truncated, empty, unreadable, changed while read
├── ContractError  11   it can be read, but is not what the table promises
├── DataTestError  12   a build failed, or failed its tests: nothing was published
├── LockError      13   another process is writing this lake
├── DeliveryError  14   a channel cannot be used: its secret is missing, or its address is none
├── LakeError      15   the lake itself: damaged, disk full, written by another version
├── StoppedError  130   somebody pressed Ctrl-C
└── EndedError    143   the process was told to end, by kill or a scheduler
"""

from __future__ import annotations


class GpulakeError(Exception):
    """What happened, where, and what to do about it; `exit_code` is the family's."""

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", do: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.do = do

    def __str__(self) -> str:
        parts = [self.what]
        if self.where:
            parts.append(f"Where: {self.where}.")
        if self.do:
            parts.append(f"Do: {self.do}.")
        return " ".join(parts)

    def as_json(self) -> dict[str, object]:
        """The same four facts for machines."""
        return {
            "kind": type(self).__name__,
            "exit_code": self.exit_code,
            "what": self.what,
            "where": self.where,
            "do": self.do,
        }


class UsageError(GpulakeError):
    """The call is wrong, whatever the data."""

    exit_code = 2


class SourceError(GpulakeError):
    """A delivery cannot be read to its end."""

    exit_code = 10


class ContractError(GpulakeError):
    """A delivery can be read, but no row of it meets the table's contract."""

    exit_code = 11


class DataTestError(GpulakeError):
    """A build did not pass, so nothing was published."""

    exit_code = 12


class LockError(GpulakeError):
    """Another process holds the lake's write lock."""

    exit_code = 13


class DeliveryError(GpulakeError):
    """A notice cannot be given to anybody: a channel's secret is missing, or its address is none."""

    exit_code = 14


class LakeError(GpulakeError):
    """The lake is damaged, full, or of another version."""

    exit_code = 15


class StoppedError(GpulakeError):
    """Somebody pressed Ctrl-C: whole deliveries have landed, and what was published stays."""

    exit_code = 130


class EndedError(GpulakeError):
    """The process was told to end (SIGTERM): the lake is as after Ctrl-C. Without --json the signal itself ends it."""

    exit_code = 143
