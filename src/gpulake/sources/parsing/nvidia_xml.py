"""`nvidia-smi -q -x`: XML of drivers since 2019, one document after another where it ran in a loop.

Nothing outside the file is opened, and a document that declares anything of its own is refused before it is read:
without declarations there is no entity to expand.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

from gpulake.sources.parsing.devices import Device, Fault, Snapshot

_START = re.compile(rb"<\?xml|<!DOCTYPE|<nvidia_smi_log")
_ROOT = b"<nvidia_smi_log"
_END = b"</nvidia_smi_log>"
_DEEPEST = 32
_LONGEST = 4096
_UNREAD = ("supported_clocks", "processes", "accounted_processes")
"""Long lists that say nothing of a device's state."""


def snapshots(blocks: Iterable[bytes]) -> Iterator[Snapshot]:
    """Each document of a file. What stands before, between and after them is a driver's warnings, and is left out."""
    rest, line = b"", 1
    for block in blocks:
        rest, at = rest + block, 0
        while (end := rest.find(_END, at)) >= 0:
            document, at = rest[at : end + len(_END)], end + len(_END)
            yield _read(document, line)
            line += document.count(b"\n")
        rest = rest[at:]
    if _ROOT in rest:
        yield _read(rest, line)


class _RefusedError(Exception):
    """What a document says before its first element shows that it is not to be read."""


@dataclass
class _Open:
    """A device while its readings are collected."""

    line: int
    depth: int
    readings: dict[str, str] = field(default_factory=dict)
    mig: list[Device] = field(default_factory=list)

    def closed(self) -> Device:
        return Device(self.line, self.readings, tuple(self.mig))


class _Collector:
    """What has been read of a document; stays as it was when the reading broke off."""

    def __init__(self, parser: expat.XMLParserType, first_line: int) -> None:
        self.parser, self.first_line = parser, first_line
        self.path: list[str] = []
        self.text: list[str] = []
        self.readings: dict[str, str] = {}
        self.devices: list[Device] = []
        self.open: list[_Open] = []
        parser.StartDoctypeDeclHandler = self.doctype
        parser.StartElementHandler = self.start
        parser.EndElementHandler = self.end
        parser.CharacterDataHandler = self.text.append

    @property
    def line(self) -> int:
        return self.first_line + self.parser.CurrentLineNumber - 1

    def doctype(self, _name: str, _system: str | None, _public: str | None, has_subset: int) -> None:
        if has_subset:
            raise _RefusedError("its DOCTYPE declares entities of its own: such a document is not read")

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self.path) >= _DEEPEST:
            raise _RefusedError(f"its elements lie deeper than {_DEEPEST}")
        self.path.append(name)
        self.text.clear()
        if self.path == ["nvidia_smi_log", "gpu"]:
            self.open = [_Open(self.line, len(self.path), {"id": attributes.get("id", "")})]
        elif name == "mig_device" and len(self.open) == 1:
            self.open.append(_Open(self.line, len(self.path)))

    def end(self, _name: str) -> None:
        text = "".join(self.text).strip()[:_LONGEST]
        self.text.clear()
        if self.open and len(self.path) == self.open[-1].depth:
            done = self.open.pop().closed()
            (self.open[-1].mig if self.open else self.devices).append(done)
        elif self.open:
            within = self.path[self.open[-1].depth :]
            if within[0] not in _UNREAD:
                self.open[-1].readings["/".join(within)] = text
        elif len(self.path) == 2:  # below the root
            self.readings[self.path[1]] = text
        self.path.pop()


def _read(document: bytes, line: int) -> Snapshot:
    found = _START.search(document)
    start = found.start() if found else 0
    line += document.count(b"\n", 0, start)
    parser = expat.ParserCreate()
    parser.buffer_text = True
    collector = _Collector(parser, line)
    try:
        parser.Parse(document[start:], True)  # noqa: FBT003  # takes no keywords
    except _RefusedError as refused:
        return Snapshot({}, (), (Fault(line, str(refused), _start_of(document[start:])),))
    except (
        LookupError,
        ValueError,
    ):  # asked of Python's codecs, and of those only what maps a byte to a letter is read
        why = "it declares an encoding that cannot be read"
        return Snapshot({}, (), (Fault(line, why, _start_of(document[start:])),))
    except expat.ExpatError as error:
        why = f"it is no well-formed XML: {expat.ErrorString(error.code)}"
        # A device that was read to its end stands; its line is its own, so the fault's is the one after.
        at = max([line, *(device.line + 1 for device in collector.devices), line + error.lineno - 1])
        fault = Fault(at, why, _start_of(b"\n".join(document[start:].split(b"\n")[at - line :])))
        return Snapshot(collector.readings, tuple(collector.devices), (fault,))
    return Snapshot(collector.readings, tuple(collector.devices), _emptiness(collector, line, document[start:]))


def _emptiness(collector: _Collector, line: int, document: bytes) -> tuple[Fault, ...]:
    return () if collector.devices else (Fault(line, "it describes no GPU", _start_of(document)),)


def _start_of(text: bytes) -> str:
    return text[:1000].decode("utf-8", "replace")
