"""The collector of kernel messages, against programs that write what journalctl and dmesg write."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from datetime import datetime

import pytest

from gpulake.collecting import Asked
from gpulake.collecting.kernel import COLLECTOR, Host, collect, machine_name, plan, this_host
from gpulake.collecting.running import collect as run
from gpulake.config import Config
from gpulake.errors import SourceError
from gpulake.sources.kernel_log import is_it, rows

BOOT = datetime(2026, 7, 1)  # noqa: DTZ001  # UTC, as the lake keeps it
NOW = datetime(2026, 7, 1, 12)  # noqa: DTZ001  # UTC, as the lake keeps it
XID = "NVRM: Xid (PCI:0000:9b:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus."


def entry(number, says=XID):
    fields = {"__CURSOR": f"s=a;i={number}", "__REALTIME_TIMESTAMP": f"{1782864000 + number * 600}000000"}
    return (json.dumps({**fields, "_HOSTNAME": "n1", "MESSAGE": says}, separators=(",", ":")) + "\n").encode()


class Machine:
    """A machine with a journal of some entries, or a ring of kernel lines; None: it has no such program."""

    def __init__(self, *, journal=None, ring=None, booted_at=BOOT):
        self.journal, self.ring, self.booted_at, self.asked = journal, ring, booted_at, []

    def lines(self, command):
        self.asked.append(command)
        found = self.journal if command[0] == "journalctl" else self.ring
        if found is None:
            raise FileNotFoundError(command[0])
        if isinstance(found, SourceError):
            raise found
        after = next((part.split("=", 1)[1].encode() for part in command if part.startswith("--after-cursor=")), None)
        cut = next((at + 1 for at, line in enumerate(found) if after and b'"' + after + b'"' in line), 0)
        return iter(found[cut:])

    @property
    def host(self):
        return Host("n1", lambda: self.booted_at, self.lines)


def ask(machine, *, cursor=None, told=None, **more):
    options = {"machine": None, "from_": more.pop("way", None)}
    asked = Asked("c", NOW, cursor or {}, options, {}, tell=(told if told is not None else []).append)
    return list(collect(replace(asked, **more), host=machine.host))


def events(fetched):
    return [row for frame in rows([fetched.content], fetched.file_name) for row in frame.to_dicts()]


def test_the_journal_is_read_once_and_then_from_where_it_ended():
    """A run every five minutes must neither read the year again nor miss a line between two runs."""
    machine = Machine(journal=[entry(1), entry(2)])
    (first,) = ask(machine)
    machine.journal.append(entry(3, XID.replace("79", "48")))
    (second,) = ask(machine, cursor=first.cursor)

    assert (2, "n1.1782864600000000.journal.json") == (first.rows, first.file_name)
    assert "--after-cursor=s=a;i=2" in machine.asked[1]
    assert [48] == [row["code"] for row in events(second)]
    assert [] == ask(machine, cursor=second.cursor)


def test_the_journal_is_asked_for_all_boots_and_for_no_more_than_it_needs():
    """journalctl -k alone forgets what was said before the crash."""
    machine = Machine(journal=[entry(1)])
    ask(machine, since=BOOT, until=NOW, cursor={"journal": "s=a;i=1"})
    (command,) = machine.asked

    assert {"_TRANSPORT=kernel", "--output-fields=MESSAGE,_HOSTNAME"} < set(command)
    assert "-k" not in command
    assert ["--since=@1782864000.000000", "--until=@1782907200.000000"] == command[-2:]


def test_what_was_collected_is_what_the_source_reads():
    """The two halves of one road, from the journal and from dmesg."""
    (journal,) = ask(Machine(journal=[entry(1)]))
    (ring,) = ask(Machine(ring=[f"[ 600.500000] {XID}\n".encode()]))

    assert is_it(journal.content)
    assert is_it(ring.content)
    assert b"# boot_at=2026-07-01T00:00:00Z machine=n1\n" == ring.content.splitlines(keepends=True)[0]
    assert [("n1", "2026-07-01T00:10:00.000000Z", 79), ("n1", "2026-07-01T00:10:00.500000Z", 79)] == [
        (row["machine"], row["happened_at"], row["code"]) for fetched in (journal, ring) for row in events(fetched)
    ]


def test_dmesg_goes_on_behind_the_last_line_and_begins_anew_after_a_boot():
    """Times begin again at 0; last week's must not hide today's."""
    machine = Machine(ring=[f"[{at}.000000] {XID}\n".encode() for at in (5, 9)])
    (first,) = ask(machine)
    machine.ring.append(f"[12.000000] {XID}\n".encode())
    (second,) = ask(machine, cursor=first.cursor)
    machine.booted_at, machine.ring = datetime(2026, 7, 2), [f"[6.000000] {XID}\n".encode()]  # noqa: DTZ001  # UTC
    (third,) = ask(machine, cursor=second.cursor)

    assert [2, 1, 1] == [first.rows, second.rows, third.rows]
    assert [] == ask(machine, cursor=third.cursor)
    assert b"boot_at=2026-07-02T00:00:00Z" in third.content


def test_lines_that_the_kernel_has_overwritten_are_told():
    """A gap is nobody's fault, but somebody must know of it."""
    told = []
    cursor = {"dmesg": {"boot_at": "2026-07-01T00:00:00Z", "uptime_s": 9.0}}
    ask(Machine(ring=[f"[500.000000] {XID}\n".encode()]), cursor=cursor, told=told)

    assert ["the kernel has overwritten what it said between 9 and 500 s after its boot."] == told


def test_a_machine_without_either_program_is_told_what_to_do():
    """In a container there is no kernel to ask."""
    with pytest.raises(SourceError, match="neither a journalctl nor a dmesg"):
        ask(Machine())
    with pytest.raises(SourceError, match="no journalctl"):
        ask(Machine(ring=[]), way="journal")
    assert [] == ask(Machine(ring=[], journal=[entry(1)]), way="dmesg")


def test_a_denied_journal_is_an_error_and_not_a_quiet_machine():
    """Without the right to read, nothing ever seems to happen."""
    with pytest.raises(SourceError, match="denied"):
        ask(Machine(journal=SourceError("denied."), ring=[]))


def test_a_program_that_fails_is_told_in_its_own_words():
    """What it says stands in the error; what it wrote before is kept."""
    script = (
        "import sys; print('{}'); sys.stderr.write('read kernel buffer failed: Operation not permitted'); sys.exit(1)"
    )
    lines = this_host().lines([sys.executable, "-c", script])

    assert b"{}\n" == next(lines)
    with pytest.raises(SourceError, match="Operation not permitted"):
        next(lines)


def test_a_journal_that_hides_other_peoples_messages_is_an_error():
    """journalctl then ends well, and shows nothing of the kernel."""
    script = (
        "import sys; sys.stderr.write('Hint: You are currently not seeing messages from other users and the system.')"
    )
    with pytest.raises(SourceError, match="not seeing messages"):
        list(this_host().lines([sys.executable, "-c", script]))


def test_it_lands_and_a_quiet_log_too(tmp_path):
    """A healthy machine has nothing to tell, every five minutes."""
    machine = Machine(journal=[entry(1, "usb 1-1: new device")])
    collector = replace(COLLECTOR, collect=lambda asked: collect(asked, host=machine.host))

    def once():
        return run(Config(lake=tmp_path / "lake"), collector, options={}, environ={}, cluster="c")

    quiet = once()
    machine.journal.append(entry(2))
    loud = once()

    assert (None, 1) == (quiet.error, quiet.deliveries)
    assert (None, 1) == (loud.error, loud.deliveries)
    kept = [landing.rows_kept for landing in loud.land.landings if landing.source == "kernel_log"]
    assert [1] == kept


def test_a_plan_runs_nothing():
    """--dry-run is for looking first."""
    asked = Asked("c", NOW, {}, {"machine": None, "from_": None}, {})

    assert plan(asked)[0].startswith("journalctl _TRANSPORT=kernel")


def test_a_machines_name_may_not_lead_elsewhere():
    """It becomes part of a file's name."""
    assert "node-01" == machine_name("node-01")
    with pytest.raises(ValueError, match="letters"):
        machine_name("../n1")
