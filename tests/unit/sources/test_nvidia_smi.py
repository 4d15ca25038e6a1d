"""nvidia-smi's XML, CSV and text, from real machines: what each reading becomes, and what is refused."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpulake.landing import recognition
from gpulake.landing import rows as reading
from gpulake.landing.recognition import Recognised
from gpulake.sources.nvidia_smi import SNAPSHOT, is_it, rows

FIXTURES = Path(__file__).parents[2] / "fixtures" / "nvidia_smi"
CAPTURES = Path(__file__).parents[4] / "shared" / "data" / "nvidia-smi-captures"
MIB = 1 << 20


def read(text: str | bytes, file_name: str = "n1.nvidia-smi.out") -> list[dict]:
    """Every row that the parser finds, without what is null."""
    blocks = [text.encode() if isinstance(text, str) else text]
    frames = list(rows(blocks, file_name))
    return [{key: value for key, value in row.items() if value is not None} for f in frames for row in f.to_dicts()]


def fixture(name: str) -> list[dict]:
    return read((FIXTURES / name).read_bytes(), name)


def test_an_xml_of_one_gpu_becomes_one_row():
    """Each value was read off the file by eye."""
    assert [
        {
            "source_row": 8,
            "machine": "a10g",
            "sampled_at": "2023-04-24T16:11:51",
            "driver_version": "515.105.01",
            "attached_gpus": 1,
            "gpu_index": 0,
            "gpu_uuid": "GPU-9a9a6c50-2a47-2f51-a902-b82c3b127e94",
            "pci_bus_id": "00000000:00:1e.0",
            "product_name": "NVIDIA A10G",
            "memory_total_mib": 23028,
            "memory_used_mib": 22,
            "gpu_util_pct": 0,
            "memory_util_pct": 0,
            "power_draw_w": 25.58,
            "power_limit_w": 300,
            "temperature_c": 17,
            "temperature_slowdown_c": 95,
            "sm_clock_mhz": 210,
            "mem_clock_mhz": 405,
            "clocks_event_reasons": 0x1,
            "pcie_rx_kb_per_s": 0,
            "pcie_tx_kb_per_s": 0,
            "pcie_replays": 0,
            "ecc_sbe_volatile": 0,
            "ecc_dbe_volatile": 0,
            "ecc_sbe_aggregate": 0,
            "ecc_dbe_aggregate": 0,
            "remapped_rows_correctable": 0,
            "remapped_rows_uncorrectable": 0,
            "row_remap_pending": 0,
            "row_remap_failed": 0,
        }
    ] == fixture("a10g.nvidia-smi.xml")


def test_mig_devices_are_rows_of_their_own():
    """What a MIG device used of its memory must not be taken for what its GPU did, nor the GPU's power for its own."""
    gpu, *parts = fixture("a100.nvidia-smi.xml")

    assert {"mig_gpu_instance", "gpu_util_pct", "gpu_index"}.isdisjoint(gpu), (
        "MIG measures no use; three GPUs are missing"
    )
    assert (81920, 50, 67.03) == (gpu["memory_total_mib"], gpu["memory_used_mib"], gpu["power_draw_w"])
    assert [("3", 19968, 12), ("4", 19968, 12), ("5", 19968, 12), ("6", 19968, 12)] == [
        (part["mig_gpu_instance"], part["memory_total_mib"], part["memory_used_mib"]) for part in parts
    ]
    assert {gpu["gpu_uuid"]} == {part["gpu_uuid"] for part in parts}
    assert not any("power_draw_w" in part or "temperature_c" in part for part in parts)


def test_a_capture_holds_a_query_its_csv_and_the_profiles_of_mig_devices():
    """One moment, told three times: nothing of it may be mixed up, and processes are no GPUs."""
    gpu, *parts, csv = fixture("h100mig.capture.txt")

    assert [("2", "3g.40gb", 11091), ("3", "2g.20gb", 17), ("9", "1g.10gb", 9), ("10", "1g.10gb", 9)] == [
        (part["mig_gpu_instance"], part["mig_profile"], part["memory_used_mib"]) for part in parts
    ]
    assert ("2026-07-14T09:00:44", 432.21, 444.72, 58, 9) == (
        gpu["sampled_at"],
        gpu["power_draw_w"],
        gpu["power_draw_instant_w"],
        gpu["memory_temperature_c"],
        gpu["pcie_replays"],
    )
    assert ("2026-07-14T09:00:44.579", 433.78, 447.35, 59) == (
        csv["sampled_at"],
        csv["power_draw_w"],
        csv["power_draw_instant_w"],
        csv["memory_temperature_c"],
    )
    assert (19191, 9139) == (gpu["pcie_rx_kb_per_s"], gpu["pcie_tx_kb_per_s"])
    assert (24, 0, 0) == (gpu["temperature_margin_c"], gpu["clocks_event_reasons"], csv["clocks_event_reasons"])
    assert "gpu_util_pct" not in gpu
    assert "gpu_util_pct" not in csv


def test_a_gpu_without_ecc_has_no_errors_rather_than_none():
    """Null is not known; 0 would say that memory was checked and found good."""
    (gtx,) = fixture("gtx1660.nvidia-smi.xml")
    (ada,) = fixture("ada.nvidia-smi.xml")

    assert not any(name.startswith("ecc_") for row in (gtx, ada) for name in row)
    assert ("2019-03-29T19:19:44", "418.43", 8.93) == (gtx["sampled_at"], gtx["driver_version"], gtx["power_draw_w"])
    assert (8.81, 8.44, 70, 49) == (
        ada["power_draw_w"],
        ada["power_draw_instant_w"],
        ada["power_limit_w"],
        ada["temperature_margin_c"],
    )


@pytest.mark.skipif(not CAPTURES.is_dir(), reason="the captures are not beside this checkout")
@pytest.mark.parametrize(
    ("name", "gpus", "parts"),
    [
        ("xml/a100-sxm4-v12.xml", 1, 4),
        ("xml/a10g.xml", 1, 0),
        ("xml/gtx-1660-ti.xml", 1, 0),
        ("xml/rtx-3080-v13.xml", 1, 0),
        ("xml/rtx-4000-sff-ada-v13.xml", 1, 0),
        ("xml/tesla-t4.xml", 1, 0),
        # idle and under load, each by -q and by --query-gpu
        ("text/linux-x86_64__nvidia-h100-80gb-hbm3__590.48.01.txt", 4, 0),
        ("text/linux-x86_64__nvidia-h100-mig__590.48.01.txt", 4, 8),
        ("text/linux-x86_64__nvidia-h200__590.48.01.txt", 4, 0),
    ],
)
def test_every_capture_is_read_whole(tmp_path, name, gpus, parts):
    """Nine real files, from drivers 418 to 595: each is recognised, and none of its rows refused."""
    found = recognition.recognise(CAPTURES / name, [SNAPSHOT])
    assert isinstance(found, Recognised)
    converted = reading.convert(found, landing_id="0" * 64, folder=tmp_path, time_zone="UTC")
    frame = pl.concat([pl.read_parquet(part) for part in converted.files])

    assert [] == converted.refused.to_pylist()
    assert (gpus, parts) == (
        frame["mig_gpu_instance"].null_count(),
        frame.height - frame["mig_gpu_instance"].null_count(),
    )
    assert (
        0
        == frame.filter(pl.col("mig_gpu_instance").is_null())
        .select("power_draw_w", "temperature_c")
        .null_count()
        .sum_horizontal()
        .item()
    )


WITH_UNITS = """\
timestamp, index, uuid, power.draw [W], memory.used [MiB], utilization.gpu [%], clocks_throttle_reasons.active
2026/07/14 09:00:44.579, 0, GPU-1, 433.78 W, 11125 MiB, 97 %, 0x0000000000000044
2026/07/14 09:00:44.601, 1, GPU-2, [Not Supported], [N/A], [Requested functionality has been deprecated], [N/A]
"""
WITHOUT_UNITS = """\
timestamp, index, uuid, power.draw [W], memory.used [MiB], utilization.gpu [%], clocks_throttle_reasons.active
2026/07/14 09:00:44.579, 0, GPU-1, 433.78, 11125, 97, 0x0000000000000044
2026/07/14 09:00:44.601, 1, GPU-2, [Not Supported], [N/A], [N/A], [N/A]
"""
WITHOUT_HEADER = """\
# nvidia-smi --query-gpu=timestamp,index,uuid,power.draw,memory.used,utilization.gpu,clocks_throttle_reasons.active --format=csv,noheader,nounits
2026/07/14 09:00:44.579, 0, GPU-1, 433.78, 11125, 97, 0x0000000000000044
2026/07/14 09:00:44.601, 1, GPU-2, [N/A], [N/A], [N/A], [N/A]
"""


@pytest.mark.parametrize("text", [WITH_UNITS, WITHOUT_UNITS, WITHOUT_HEADER, WITH_UNITS.replace("\n", "\r\n")])
def test_units_and_headers_make_no_difference(text):
    """The same moment, in each way that --format offers."""
    assert is_it(text.encode())
    one, other = read(text)

    assert {
        "source_row": 2,
        "machine": "n1",
        "sampled_at": "2026-07-14T09:00:44.579",
        "gpu_index": 0,
        "gpu_uuid": "GPU-1",
        "power_draw_w": 433.78,
        "memory_used_mib": 11125,
        "gpu_util_pct": 97,
        "clocks_event_reasons": 0x44,
    } == one
    assert {"source_row", "machine", "sampled_at", "gpu_index", "gpu_uuid"} == set(other)


def test_runs_that_are_appended_to_one_file_each_have_their_header():
    """cron appends; an upgrade in between changes the columns."""
    later = "uuid, timestamp, temperature.gpu\nGPU-1, 2026/07/15 00:00:00.000, 61\n"
    found = read(WITH_UNITS + WITH_UNITS + later)

    assert [(2, 433.78, None), (3, None, None), (5, 433.78, None), (6, None, None), (8, None, 61)] == [
        (row["source_row"], row.get("power_draw_w"), row.get("temperature_c")) for row in found
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("2026/07/14 09:00:44.579, 0, GPU-1, 433.78, 97\n", "no header says which columns these are"),
        ("index, uuid, power.draw [W]\n0, GPU-1, 433.78 W\n", "it has no timestamp"),
        ("timestamp, power.draw [W]\n2026/07/14 09:00:44.579, 433.78 W\n", "it names no GPU"),
        ("timestamp, uuid, power.draw [W]\n2026/07/14 09:00:44.579, GPU-1\n", "2 fields where 3 are expected"),
        (
            "timestamp, uuid, power.draw [W]\nUnable to determine the device handle for GPU0000:41:00.0: GPU is lost.\n",
            "1 fields where 3 are expected",
        ),
    ],
)
def test_a_line_that_cannot_be_told_is_refused_with_its_reason(text, reason):
    """What cannot be placed in time or on a GPU helps nobody, and whoever wrote it must learn what to do."""
    assert is_it(text.encode())
    (row,) = read(text)

    assert reason in row["reason"]
    assert text.rstrip("\n").split("\n")[-1] == row["raw_text"]


XML = """<?xml version="1.0" ?>
<!DOCTYPE nvidia_smi_log SYSTEM "nvsmi_device_v12.dtd">
<nvidia_smi_log>
  <timestamp>Fri Aug  4 11:44:30 2023</timestamp>
  <attached_gpus>1</attached_gpus>
  <gpu id="00000000:01:00.0"><uuid>GPU-1</uuid></gpu>
</nvidia_smi_log>
"""


def test_a_loop_writes_one_document_after_another():
    """`-q -x -l 10` for an hour is one file of many documents, and a driver's warnings stand between them."""
    text = "WARNING: infoROM is corrupted\n" + XML + "\n\n" + XML.replace(":30", ":40") + "WARNING: again\n"

    assert [(7, "2023-08-04T11:44:30"), (16, "2023-08-04T11:44:40")] == [
        (row["source_row"], row["sampled_at"]) for row in read(text)
    ]


def test_a_name_that_is_a_tools_names_no_machine():
    """`nvidia-smi.xml` of every node would all be one machine."""
    (row,) = read(XML, "nvidia-smi.xml")

    assert "name it <machine>.<anything>" in row["reason"]


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (XML.replace("  <timestamp>Fri Aug  4 11:44:30 2023</timestamp>\n", ""), "it has no timestamp"),
        (XML.replace("Aug", "August"), "its timestamp cannot be read"),
        (XML[: XML.index("</uuid>")], "it is no well-formed XML"),
        (XML.replace("  <gpu", "  <board").replace("</gpu>", "</board>"), "it describes no GPU"),
        (XML.replace('SYSTEM "nvsmi_device_v12.dtd"', '[<!ENTITY a "b">]'), "declares entities"),
        (
            XML.replace(
                'SYSTEM "nvsmi_device_v12.dtd"',
                '[<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]',
            ).replace("GPU-1", "&b;"),
            "declares entities",
        ),
        (
            XML.replace('SYSTEM "nvsmi_device_v12.dtd"', '[<!ENTITY x SYSTEM "file:///etc/hostname">]').replace(
                "GPU-1", "&x;"
            ),
            "declares entities",
        ),
        (XML.replace("GPU-1", "<a>" * 40 + "</a>" * 40), "deeper than"),
        *(
            (XML.replace('version="1.0"', f'version="1.0" encoding="{code}"'), "encoding that cannot be read")
            for code in ("WTF-8", "hex", "shift_jis", "idna")
        ),
    ],
)
def test_a_document_that_is_wrong_or_hostile_is_refused_and_nothing_is_opened(wrong, reason):
    """A file from elsewhere may try to read ours, or to fill the memory."""
    (row,) = read(wrong)

    assert reason in row["reason"]
    assert row["raw_text"]


def test_an_entity_that_nothing_declares_stands_for_nothing():
    """The outside DTD is never fetched."""
    (row,) = read(XML.replace("GPU-1", "GPU-1&nbsp;"))

    assert row["gpu_uuid"] == "GPU-1"


def test_what_was_read_before_a_break_stands():
    """A disk that fills while eight GPUs are written costs those that are missing."""
    torn = XML.replace("</gpu>\n</nvidia_smi_log>\n", '</gpu>\n  <gpu id="00000000:02:00.0"><uuid>GPU')
    whole, fault = read(torn)

    assert ("GPU-1", None) == (whole["gpu_uuid"], whole.get("gpu_index")), "how many there are is not known"
    assert "it is no well-formed XML" in fault["reason"]


@pytest.mark.parametrize(
    "text",
    [
        "machine_id,gpu_index,sampled_at,gpu_uuid,gpu_util_pct\nn1,0,2026-07-14T09:00:44Z,GPU-1,5\n",
        "timestamp,gpu_index,utilization_gpu_pct\n1.0,0,5\n",
        "timestamp, gpu_name, gpu_bus_id, gpu_serial, gpu_uuid, pid, process_name, used_gpu_memory [MiB]\n",
        "<html><body>502 Bad Gateway</body></html>",
        '{"card0": {}}',
        "",
    ],
)
def test_what_is_somebody_elses_is_left_alone(text):
    """A file with a column in common is not nvidia-smi's."""
    assert not is_it(text.encode())


PIECES = st.sampled_from(
    [
        *WITH_UNITS.split("\n"),
        *XML.split("\n"),
        *WITHOUT_HEADER.split("\n"),
        "==============NVSMI LOG==============",
        "Timestamp                                              : Tue Jul 14 09:00:44 2026",
        "GPU 00000000:00:09.0",
        "    MIG Device",
        "        Index                                          : 0",
        "    FB Memory Usage",
        "        Total                                          : 81559 MiB",
        "################",
        "# $ nvidia-smi -q",
        " : ",
        ",,,",
    ]
)


@settings(max_examples=60, deadline=None)
@given(
    lines=st.lists(PIECES | st.text(max_size=30), max_size=30),
    head=st.sampled_from(["", "<nvidia_smi_log>", "==NVSMI LOG==\n", "timestamp, uuid, power.draw [W]\n"]),
)
def test_no_text_breaks_it_and_every_row_is_kept_or_refused(lines, head):
    """A parser that fails on one line of a week's file costs the week."""
    text = (head + "\n".join(lines)).encode("utf-8", "replace")
    is_it(text)
    frames = list(rows([text], "n1.txt"))

    for frame in frames:
        good = frame.filter(pl.col("reason").is_null())
        assert not good.select(pl.any_horizontal(pl.col("machine", "sampled_at").is_null()).any()).item()
        assert frame.filter(pl.col("reason").is_not_null())["raw_text"].null_count() == 0
    numbers = [number for frame in frames for number in frame["source_row"]]
    assert len(numbers) == len(set(numbers))
