"""rocm-smi's JSON, from real machines: what each reading becomes, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpulake.sources.rocm_smi import is_it, rows

FIXTURES = Path(__file__).parents[2] / "fixtures" / "rocm_smi"
CAPTURES = Path(__file__).parents[4] / "shared" / "data" / "amd-rocm-smi-captures"


def read(text: str | bytes, file_name: str = "n1.20260714T081238Z.json") -> list[dict]:
    blocks = [text.encode() if isinstance(text, str) else text]
    return [
        {key: value for key, value in row.items() if value is not None}
        for frame in rows(blocks, file_name)
        for row in frame.to_dicts()
    ]


def test_a_card_becomes_one_row():
    """Each value was read off the file by eye."""
    assert [
        {
            "source_row": 1,
            "machine": "vega",
            "sampled_at": "2026-07-14T08:12:38Z",
            "driver_version": "5.9.17",
            "gpu_index": 0,
            "gpu_uuid": "0x2f048617326b1ea",
            "pci_bus_id": "00000000:63:00.0",
            "product_name": "Radeon Instinct MI50 32GB",
            "memory_total_bytes": 34342961152,
            "memory_used_bytes": 10850304,
            "gpu_util_pct": 0,
            "memory_util_pct": 0,
            "power_w": 26,
            "power_limit_w": 225,
            "temperature_edge_c": 36,
            "temperature_junction_c": 38,
            "memory_temperature_c": 35,
            "sclk_mhz": 1725,
            "mclk_mhz": 1000,
            "pcie_replays": 0,
        }
    ] == read((FIXTURES / "vega.20260714T081238Z.json").read_bytes(), "vega.20260714T081238Z.json")


def test_a_later_version_names_its_keys_otherwise():
    """`Card Series` was `Card series`, and what was memory use is two figures."""
    (navi,) = read((FIXTURES / "navi.20260714T081238Z.json").read_bytes(), "navi.20260714T081238Z.json")

    assert ("Navi 22 [Radeon RX 6700/6700 XT / 6800M]", 6, 211, 0, 96) == (
        navi["product_name"],
        navi["power_w"],
        navi["power_limit_w"],
        navi["memory_util_pct"],
        navi["mclk_mhz"],
    )
    assert "gpu_uuid" not in navi


@pytest.mark.skipif(not CAPTURES.is_dir(), reason="the captures are not beside this checkout")
@pytest.mark.parametrize(
    ("name", "cards"), [("mi100_rocm602.json", 4), ("rx6700xt_rocm612.json", 1), ("vega-20-WKS-GL-XE.json", 1)]
)
def test_every_capture_is_read_whole(name, cards):
    """Each card has a row; under a name without a time each is refused."""
    text = (CAPTURES / name).read_bytes()
    assert is_it(text)

    assert list(range(cards)) == [row["gpu_index"] for row in read(text)]
    assert not any("reason" in row for row in read(text))
    assert cards == sum("says when it was taken" in row["reason"] for row in read(text, name))


CARD = {"card0": {"Unique ID": "0x1", "GPU use (%)": "93", "Temperature (Sensor edge) (C)": "N/A"}}


@pytest.mark.parametrize(
    ("name", "at"),
    [
        ("n1.20260714T081238Z.json", "2026-07-14T08:12:38Z"),
        ("n1.2026-07-14T08:12:38+02:00.json", "2026-07-14T08:12:38+02:00"),
        ("n1.2026-07-14T08-12-38.json", "2026-07-14T08:12:38"),
        ("n1.20260714T0812Z.rocm-smi.json", "2026-07-14T08:12:00Z"),
    ],
)
def test_the_time_stands_in_the_files_name(name, at):
    """A local time stays one: landing knows the cluster's zone."""
    assert at == read(json.dumps(CARD), name)[0]["sampled_at"]


def test_a_time_may_stand_in_the_object():
    """A wrapper that adds one needs no names of files, and may write many objects into one."""
    lines = "".join(json.dumps({"timestamp": f"2026-07-14T08:12:{s}Z", **CARD}) + "\n" for s in (10, 20))
    assert is_it(lines.encode())

    assert [(1, "2026-07-14T08:12:10Z", 93), (2, "2026-07-14T08:12:20Z", 93)] == [
        (row["source_row"], row["sampled_at"], row["gpu_util_pct"]) for row in read(lines, "n1.json")
    ]


@pytest.mark.parametrize(
    ("text", "name", "reason"),
    [
        (json.dumps(CARD), "rocm-smi.20260714T081238Z.json", "name it <machine>.<anything>"),
        (json.dumps(CARD), "n1.json", "name it <machine>.<time>.json"),
        ('{"card0": {"Unique ID": "0x1"', "n1.20260714T081238Z.json", "no JSON object"),
        ('{"card0": [1]}', "n1.20260714T081238Z.json", "no JSON object"),
        ('{"system": {}}', "n1.20260714T081238Z.json", "describes no card"),
    ],
)
def test_what_cannot_be_told_is_refused_with_its_reason(text, name, reason):
    """A row without a time or a machine is no measurement."""
    (row,) = read(text, name)

    assert reason in row["reason"]
    assert row["raw_text"]


@settings(max_examples=60, deadline=None)
@given(
    value=st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["card0", "card1", "system", "timestamp", "GPU use (%)", "x"]), inner, max_size=4
            )
        ),
        max_leaves=12,
    ),
    cut=st.integers(0, 400),
)
def test_no_text_breaks_it_and_every_row_is_kept_or_refused(value, cut):
    """Half a file, or another program's, is told and not fatal."""
    text = json.dumps(value).encode("utf-8", "replace")[:cut] + b"\n"
    is_it(text)

    for frame in rows([text], "n1.20260714T081238Z.json"):
        good = frame.filter(pl.col("reason").is_null())
        assert not good.select(pl.any_horizontal(pl.col("machine", "sampled_at").is_null()).any()).item()
        assert 0 == frame.filter(pl.col("reason").is_not_null())["raw_text"].null_count()
