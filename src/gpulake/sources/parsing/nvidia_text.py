"""`nvidia-smi -q` as text for people, alone or in a capture: a file of several outputs, each behind a banner of `####`.

A reading stands in a line of its own, `Name : value`; those that it holds stand deeper. Of a capture the sections of
`-q` and of `--query-gpu` are read, and from `-L` the profile of each MIG device; all others are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from gpulake.sources.parsing.devices import Device, Snapshot

LOG = "NVSMI LOG"
BANNER = "####"
COMMAND = re.compile(r"^#.*?--query-gpu=(\S+)")
"""A comment that says which columns were asked for."""

_GPU = re.compile(r"GPU ([0-9A-Fa-f]{4,8}:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}\.[0-9A-Fa-f])\s*")
_LISTED_GPU = re.compile(r"GPU (\d+): .*\(UUID: .*\)\s*")
_LISTED_PART = re.compile(r"  MIG (\S+)\s+Device\s+(\d+): \(UUID: .*\)\s*")
_UNREAD = ("processes", "supported_clocks", "accounted_processes")


@dataclass(frozen=True)
class Sections:
    """What a text holds: the snapshots of `-q`, and the numbered lines of `--query-gpu` under their commands."""

    snapshots: tuple[Snapshot, ...]
    tables: tuple[tuple[int, str], ...]


def sections(text: str) -> Sections:
    """Every part of a text that is read."""
    snapshots: list[Snapshot] = []
    tables: list[tuple[int, str]] = []
    profiles: dict[tuple[int, int], str] = {}
    reading, listed, is_table = _Query(), -1, False
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.rstrip("\r")
        if LOG in line or line.startswith(BANNER):
            snapshots += reading.snapshot(profiles)
            reading = _Query(is_open=LOG in line)
            is_table = is_table and LOG not in line and bool(COMMAND.match(tables[-1][1]))
        elif reading.is_open:
            reading.read(number, line)
        elif found := _LISTED_GPU.fullmatch(line):
            listed = int(found[1])
        elif found := _LISTED_PART.fullmatch(line):
            profiles[listed, int(found[2])] = found[1]
        elif COMMAND.match(line):
            is_table = True
            tables.append((number, line))
        elif is_table and not line.startswith("#"):
            is_table = bool(line.strip())
            tables.append((number, line))
    snapshots += reading.snapshot(profiles)
    return Sections(tuple(snapshots), tuple(tables))


@dataclass
class _Open:
    line: int
    readings: dict[str, str] = field(default_factory=dict)
    mig: list[_Open] = field(default_factory=list)

    def closed(self) -> Device:
        return Device(self.line, self.readings, tuple(part.closed() for part in self.mig))


@dataclass
class _Query:
    """One output of `-q` while it is read."""

    is_open: bool = False
    readings: dict[str, str] = field(default_factory=dict)
    devices: list[_Open] = field(default_factory=list)
    above: list[tuple[int, str]] = field(default_factory=list)

    def snapshot(self, profiles: dict[tuple[int, int], str]) -> Iterator[Snapshot]:
        if self.devices:
            yield Snapshot(self.readings, tuple(device.closed() for device in self.devices), profiles=dict(profiles))

    def read(self, number: int, line: str) -> None:
        if found := _GPU.fullmatch(line):
            self.devices.append(_Open(number, {"id": found[1]}))
            self.above = []
            return
        label, colon, value = line.partition(" : ")
        name = _name(label)
        if not name:
            return
        depth = len(line) - len(line.lstrip())
        self.above = [(at, part) for at, part in self.above if at < depth]
        if not self.devices:
            if colon:
                self.readings.setdefault(_name(label), value.strip())
            return
        if name == "mig_device" and not colon:
            self.devices[-1].mig.append(_Open(number))
        self.above.append((depth, name))
        path = [part for _, part in self.above]
        if colon and path[0] not in _UNREAD:
            self._keep(path, value.strip())

    def _keep(self, path: Sequence[str], value: str) -> None:
        device = self.devices[-1]
        if path[0] == "mig_device" and device.mig:
            device.mig[-1].readings["/".join(path[1:])] = value
        else:
            device.readings["/".join(path)] = value


def _name(label: str) -> str:
    return re.sub(r"\s+", "_", label.strip().lower()).removesuffix(":")
