"""Kernel logs: the time of a line in each form, what it says of a GPU, and storms that are folded."""

from __future__ import annotations

import json
import random
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpulake import pipeline
from gpulake.config import Config
from gpulake.landing import recognition
from gpulake.landing import rows as reading
from gpulake.landing.recognition import Recognised
from gpulake.sources.kernel_log import EVENT, is_it, rows

FIXTURES = Path(__file__).parents[2] / "fixtures" / "kernel_log"
LOGS = Path(__file__).parents[4] / "shared" / "data" / "gpu-kernel-logs"

XID79 = "NVRM: Xid (PCI:0000:9b:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus."


def blocks_of(text: str, size: int = 1 << 24) -> list[bytes]:
    """A text in blocks of whole lines, as landing hands them over."""
    left, blocks = text.encode("utf-8", "replace"), []
    while left:
        end = left.find(b"\n", min(size, len(left)) - 1) + 1 or len(left)
        blocks.append(left[:end])
        left = left[end:]
    return blocks


def read(text: str, file_name: str = "n1.dmesg.log", size: int = 1 << 24) -> list[dict]:
    return [
        {key: value for key, value in row.items() if value is not None}
        for frame in rows(blocks_of(text, size), file_name)
        for row in frame.to_dicts()
    ]


def test_an_xid_of_a_real_host():
    """Five lines of one time-out; the driver's long explanations are no events, but name the GPU."""
    first, again, third, fourth = read((FIXTURES / "gpu4.dmesg.log").read_text(), "gpu4.dmesg.log")

    assert {
        "source_row": 3,
        "machine": "gpu4",
        "happened_at": "2025-02-23T16:24:18.000000",
        "last_at": "2025-02-23T16:24:18.000000",
        "kind": "xid",
        "code": 119,
        "pci_bus_id": "00000000:9b:00.0",
        "gpu_uuid": "GPU-509665ad-b600-ac93-3616-d754b23d636d",
        "event_count": 1,
        "message": "Timeout after 6s of waiting for RPC response from GPU4 GSP! Expected function 103 (GSP_RM_ALLOC) "
        "(0x2081 0x4).",
        "process_id": 2024380,
        "process_name": "nvidia-smi",
    } == first
    assert ("2025-02-23T16:24:24.000000", "2025-02-23T16:24:30.000000", 2) == (
        again["happened_at"],
        again["last_at"],
        again["event_count"],
    )
    assert [(42, "cache_mgr_main"), (43, "gpud")] == [
        (row["source_row"], row["process_name"]) for row in (third, fourth)
    ]


def test_a_crash_in_nccl_names_its_process():
    """A training that dies there leaves nothing else."""
    assert [
        ("2025-01-21T04:41:44.285060Z", "2025-01-21T04:42:44.285060Z", "nccl", 2, 2536443, "pt_main_thread", "train7")
    ] == [
        tuple(
            row[name]
            for name in ("happened_at", "last_at", "kind", "event_count", "process_id", "process_name", "machine")
        )
        for row in read((FIXTURES / "train7.dmesg.log").read_text(), "train7.dmesg.log")
    ]


def test_switches_that_are_opened_are_no_events_and_a_switch_that_fails_is_one():
    """The fabric manager gives the SXid without its word."""
    assert [] == read((FIXTURES / "switch1.kmsg.log").read_text())
    (row,) = read((FIXTURES / "switch1.fabricmanager.log").read_text(), "switch1.fabricmanager.log")

    assert ("sxid", 12028, "00000000:86:00.0", "2025-02-27T15:10:02.000000", "switch1") == (
        row["kind"],
        row["code"],
        row["pci_bus_id"],
        row["happened_at"],
        row["machine"],
    )


BOOT = "# boot_at=2026-07-01T02:00:00+02:00 machine=n7\n"


@pytest.mark.parametrize(
    ("line", "at", "machine"),
    [
        (f"[Sun Feb 23 16:24:18 2025] {XID79}", "2025-02-23T16:24:18.000000", "n1"),
        (f"[Sun Feb  2 16:24:18 2025] {XID79}", "2025-02-02T16:24:18.000000", "n1"),
        (f"{BOOT}[171167.620236] {XID79}", "2026-07-02T23:32:47.620236Z", "n7"),
        (f"{BOOT}[    0.000000] {XID79}", "2026-07-01T00:00:00.000000Z", "n7"),
        (f"{BOOT}kern  :warn  : [   12.500000] {XID79}", "2026-07-01T00:00:12.500000Z", "n7"),
        (f"{BOOT}6,3964,206764307,-;{XID79}", "2026-07-01T00:03:26.764307Z", "n7"),
        (f"kern  :warn  : 2025-01-21T04:41:44,285060+00:00 {XID79}", "2025-01-21T04:41:44.285060Z", "n1"),
        (f"2025-01-21T04:41:44,285060+09:00 {XID79}", "2025-01-20T19:41:44.285060Z", "n1"),
        (f"2025-01-21T04:41:44+0100 gpu9 kernel: {XID79}", "2025-01-21T03:41:44.000000Z", "gpu9"),
        (f"2025-01-21T04:41:44.5Z gpu9.example.org kernel: [88.5] {XID79}", "2025-01-21T04:41:44.500000Z", "gpu9"),
        (
            json.dumps({"__REALTIME_TIMESTAMP": "1737434504285060", "_HOSTNAME": "gpu9", "MESSAGE": XID79}),
            "2025-01-21T04:41:44.285060Z",
            "gpu9",
        ),
        (
            json.dumps(
                {"MESSAGE": list(XID79.encode()), "__REALTIME_TIMESTAMP": "1737434504285060"}, separators=(",", ":")
            ),
            "2025-01-21T04:41:44.285060Z",
            "n1",
        ),
    ],
)
def test_a_time_in_each_form(line, at, machine):
    """The same message, dated by whichever tool wrote it: local where it names no zone, else UTC."""
    assert is_it(line.encode())
    (row,) = read(line + "\n")

    assert (at, machine, 79, "GPU has fallen off the bus.") == (
        row["happened_at"],
        row["machine"],
        row["code"],
        row["message"],
    )
    assert {"process_id", "process_name"}.isdisjoint(row)


@pytest.mark.parametrize(
    ("text", "name", "reason"),
    [
        (f"[171167.620236] {XID79}\n", "n1.log", "its time counts from a boot that nothing dates"),
        (f"6,3964,206764307,-;{XID79}\n", "n1.log", "its time counts from a boot that nothing dates"),
        (f"{XID79}\n", "n1.log", "no time that can be read"),
        (f"[Feb23 16:24] {XID79}\n", "n1.log", "no time that can be read"),
        (f"[Sun Feb 23 16:24:18 2025] {XID79}\n", "dmesg.log", "name it <machine>.<anything>"),
    ],
)
def test_an_event_that_cannot_be_placed_is_refused(text, name, reason):
    """An event at the wrong time would be blamed on the wrong job."""
    (row,) = read(text, name)

    assert reason in row["reason"]
    assert text.rstrip("\n") == row["raw_text"]


def test_a_second_boot_dates_the_lines_behind_it():
    """A collector that appends must not move last week's events into this week."""
    later = BOOT.replace("07-01", "07-09")

    assert ["2026-07-01T00:00:05.000000Z", "2026-07-09T00:00:05.000000Z"] == [
        row["happened_at"] for row in read(f"{BOOT}[5.0] {XID79}\n{later}[5.0] {XID79}\n")
    ]


SAYS = [
    (
        "nvidia-nvswitch0: SXid (PCI:0000:86:00.0): 12028, Non-fatal, Link 32 egress non-posted PRIV error",
        "sxid",
        12028,
    ),
    ("NVRM: Xid (PCI:0000:04:00): 69", "xid", 69),
    ("NVRM: Xid (0000:04:00): 13, Graphics Exception", "xid", 13),
    ("NVRM: Xid (PCI:0000:97:00 GPU-I:05): 43, pid=7, name=python3, Ch 00000008", "xid", 43),
    ("NVRM: GPU 0000:9b:00.0: GPU has fallen off the bus.", "gpu_lost", None),
    ("nvidia 0000:9b:00.0: PCIe Bus Error: severity=Corrected, type=Physical Layer, (Receiver ID)", "pcie", None),
    ("nvidia 0000:9b:00.0: AER: can't recover (no error_detected callback)", "pcie", None),
    ("NVRM: knvlinkUpdateLinkState: NVLink 3 of GPU 0000:9b:00.0 failed to train", "nvlink", None),
    ("amdgpu 0000:83:00.0: amdgpu: ERROR: GPU over temperature range(SW CTF) detected!", "thermal", None),
    ("amdgpu 0000:83:00.0: amdgpu: GPU reset begin!", "gpu_reset", None),
    ("amdgpu 0000:83:00.0: amdgpu: 3 correctable hardware errors detected in umc block", "ecc_sbe", None),
    ("amdgpu 0000:83:00.0: amdgpu: 1 uncorrectable hardware errors detected in umc block", "ecc_dbe", None),
    ("NVRM: GPU 0000:41:00.0: GPU does not have the necessary power cables connected.", "power", None),
    ("Memory cgroup out of memory: Killed process 1234 (python3) total-vm:12345kB, anon-rss:2kB", "oom", None),
    ("Linux version 5.15.0-112-generic (buildd@lcy02) #122-Ubuntu SMP", "reboot", None),
    ("nvidia-nvlink: Nvlink Core is being initialized, major device number 510", None, None),
    ("pcieport 0000:00:01.0: AER: Corrected error received: 0000:17:00.0", None, None),
    ("mlx5_core 0000:17:00.0: PCIe Bus Error: severity=Corrected, type=Physical Layer", None, None),
    ("CPU3: Core temperature above threshold, cpu clock throttled", None, None),
    ("NVRM: loading NVIDIA UNIX x86_64 Kernel Module  535.54.03", None, None),
    ("python3[77]: segfault at 0 ip 00007f7c sp 00007f7c error 4 in libc.so.6[7f7c7ac00000+d3d3000]", None, None),
]


@pytest.mark.parametrize(("says", "kind", "code"), SAYS, ids=[says[:40] for says, _, _ in SAYS])
def test_what_a_line_says(says, kind, code):
    """A line about a network card or a processor is none of ours."""
    found = read(f"[Sun Feb 23 16:24:18 2025] {says}\n")

    assert [(kind, code)] * bool(kind) == [(row["kind"], row.get("code")) for row in found]


def test_a_killed_process_is_counted_once_and_names_its_job():
    """The kernel says whom it chose, and then that it has killed it."""
    (row,) = read(
        "2025-02-23T16:24:18+00:00 n5 kernel: oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=job_77,mems_allowed=0,"
        "oom_memcg=/system.slice/slurmstepd.scope/job_77,task_memcg=/system.slice/slurmstepd.scope/job_77/step_0,"
        "task=python3,pid=1234,uid=1000\n"
        "2025-02-23T16:24:18+00:00 n5 kernel: Memory cgroup out of memory: Killed process 1234 (python3) total-vm:9kB\n"
    )

    assert ("oom", "77", 1234, "python3", 1) == tuple(
        row[name] for name in ("kind", "job_id", "process_id", "process_name", "event_count")
    )


def test_a_break_of_more_than_three_minutes_begins_another_burst():
    """180 s apart is one burst, 181 s is two."""

    def at(*minutes_and_seconds: str) -> list[int]:
        lines = "".join(f"[Sun Feb 23 16:{time} 2025] {XID79}\n" for time in minutes_and_seconds)
        return [row["event_count"] for row in read(lines)]

    assert [3] == at("00:00", "03:00", "06:00")
    assert [1, 2] == at("00:00", "03:01", "06:01")
    assert [2, 1] == at("00:00", "09:00", "00:01"), "the order of lines is irrelevant"


def test_lines_differ_in_what_is_not_volatile():
    """Another GPU, code, link or program is another event; another address or process number is not."""
    base = (
        "NVRM: Xid (PCI:0000:9b:00): 31, pid=77, name=python3, Ch 00000010, intr 10000000. MMU Fault @ 0x7f17_00001000"
    )
    same = base.replace("pid=77", "pid=12345").replace("Ch 00000010", "Ch 0000001f")
    others = [base.replace(*change) for change in (("9b", "9c"), ("31,", "32,"), ("python3", "train"), ("MMU", "PTE"))]
    found = read("".join(f"[Sun Feb 23 16:24:18 2025] {line}\n" for line in [base, same, *others]))

    assert [2, 1, 1, 1, 1] == [row["event_count"] for row in found]


def storm(lines: int, distinct: int = 29) -> str:
    """As many lines of so many messages, each with a process number and addresses of its own, within minutes."""
    dice = random.Random(7)
    rows = [
        f"[{1000 + number / 1000:.6f}] NVRM: Xid (PCI:0000:{number % distinct:02x}:00): {13 + number % distinct}, "
        f"pid={dice.randrange(1, 99999)}, name=python3, Ch {dice.getrandbits(32):08x}, fault at 0x{dice.getrandbits(40):x}"
        for number in range(lines)
    ]
    return BOOT + "\n".join(rows) + "\n"


@pytest.mark.parametrize("size", [1 << 24, 4096])
def test_a_storm_is_as_many_events_as_it_has_messages(size):
    """However it is cut into blocks, nothing is counted twice and nothing lost."""
    found = read(storm(2900), size=size)

    assert [100] * 29 == [row["event_count"] for row in found]
    assert list(range(2, 31)) == [row["source_row"] for row in found]
    assert ("2026-07-01T00:16:40.000000Z", "2026-07-01T00:16:42.871000Z") == (
        found[0]["happened_at"],
        found[0]["last_at"],
    )


@pytest.mark.slow
def test_eight_hundred_thousand_lines_are_twenty_nine_events():
    """A storm of a night must neither fill the lake nor hold up the landing."""
    found = read(storm(800_000))

    assert 29 == len(found)
    assert 800_000 == sum(row["event_count"] for row in found)


@pytest.mark.skipif(not LOGS.is_dir(), reason="the logs are not beside this checkout")
def test_every_line_with_an_xid_is_read():
    """103 lines, 101 of them distinct (their README says 102), some of them cut short or made up for tests."""
    text = (LOGS / "nvrm_xid_line_samples.txt").read_text()
    lines = [line for line in text.split("\n") if "NVRM: Xid (PCI:" in line]
    assert (103, 101) == (len(lines), len(set(lines)))
    dated = "".join(f"[Sun Feb 23 16:24:18 2025] {line[line.index('NVRM') :]}\n" for line in lines)
    found = read(dated)

    assert len(lines) == sum(row["event_count"] for row in found)
    assert {"xid"} == {row["kind"] for row in found}
    assert {int(line.split("): ")[1].split(",")[0]) for line in lines} == {row["code"] for row in found}
    assert all("pci_bus_id" in row for row in found)


@pytest.mark.skipif(not LOGS.is_dir(), reason="the logs are not beside this checkout")
@pytest.mark.parametrize(
    ("name", "kept", "refused"),
    [
        ("dmesg-with-xid-119.log", 4, 0),
        ("kmsg.1.log", 0, 0),
        ("nccl-segfault-dmesg.log", 1, 0),
        ("fabricmanager.log", 1, 0),
        ("nvrm_xid_line_samples.txt", 0, 92),
    ],
)
def test_every_log_is_recognised_and_lands(tmp_path, name, kept, refused):
    """The samples have no times: each message is refused once, not once per line."""
    file = tmp_path / f"n1.{name}"
    file.write_bytes((LOGS / name).read_bytes())
    found = recognition.recognise(file, [EVENT])
    assert isinstance(found, Recognised)
    converted = reading.convert(found, landing_id="0" * 64, folder=tmp_path / "out", time_zone="Europe/Berlin")

    assert (kept, refused) == (converted.rows_kept, converted.refused.num_rows)


def test_a_log_without_an_event_lands_as_one(tmp_path):
    """Of a healthy machine nothing is told: that must not be an error every night."""
    quiet = tmp_path / "delivered" / "n1.dmesg.log"
    quiet.parent.mkdir()
    quiet.write_text("[Sun Feb 23 16:24:18 2025] usb 1-1: new high-speed USB device\n")

    step = pipeline.land(Config(lake=tmp_path / "lake"), data=quiet.parent, source="kernel_log")

    assert step.error is None
    assert [("landed", 0, 0)] == [
        (landing.status, landing.rows_kept, landing.rows_refused)
        for landing in step.land.landings
        if landing.source == "kernel_log"
    ]


@pytest.mark.parametrize(
    "text",
    [
        "timestamp, uuid, power.draw [W]\n2026/07/14 09:00:44.579, GPU-1, 433.78 W\n",
        "123|COMPLETED|2026-07-14T09:00:44\n",
        '{"job_id": 1, "message": "NVRM"}\n',
        "The line `NVRM: Xid (PCI:...): N` is written by the driver.\n",
        "",
    ],
)
def test_what_is_somebody_elses_is_left_alone(text):
    """A page about logs is no log."""
    assert not is_it(text.encode())


@settings(max_examples=25, deadline=None)
@given(
    lines=st.lists(
        st.tuples(
            st.sampled_from(
                [
                    "",
                    BOOT,
                    "[1.5] ",
                    "[Sun Feb 23 16:24:18 2025] ",
                    "6,1,99999999999999999,-;",
                    "[Sun Feb 31 99:24:18 2025] ",
                    "kern  :warn  : 2025-01-21T04:41:44,285060+00:00 ",
                    "2025-13-21T04:41:44+0100 n kernel: ",
                    "# boot_at=x\n[1] ",
                ]
            ),
            st.sampled_from([XID79, *(says for says, _, _ in SAYS)]) | st.text(max_size=20).map("NVRM: Xid ".__add__),
        ).map("".join)
        | st.sampled_from(
            ['{"MESSAGE":[1,2', '{"MESSAGE":[300],"__REALTIME_TIMESTAMP":"x"}', '{"MESSAGE":"NVRM: Xid \\ud800"}']
        ),
        max_size=20,
    ),
    size=st.integers(1, 200),
)
def test_no_text_breaks_it_and_every_row_is_kept_or_refused(lines, size):
    """What a machine writes while it dies is read too."""
    text = "\n".join(lines)
    is_it(text.encode("utf-8", "replace"))
    whole, cut = (
        pl.concat(frames) if (frames := list(rows(blocks_of(text, at), "n1.log"))) else None for at in (1 << 24, size)
    )

    assert (whole is None) == (cut is None)
    if whole is not None:
        assert whole.equals(cut), "the size of blocks decides nothing"
        good = whole.filter(pl.col("reason").is_null())
        assert not good.select(pl.any_horizontal(pl.col("machine", "happened_at", "kind").is_null()).any()).item()
        assert 0 == whole.filter(pl.col("reason").is_not_null())["raw_text"].null_count()
        assert whole["source_row"].n_unique() == whole.height
