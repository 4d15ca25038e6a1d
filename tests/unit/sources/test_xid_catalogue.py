"""The catalogue of Xids: what the driver means by each, and what is to be done."""

from __future__ import annotations

import csv
from datetime import date
from pathlib import Path

import pytest

SEED = Path(__file__).parents[3] / "warehouse" / "seeds" / "xid_catalogue.csv"
HEADER = Path(__file__).parents[4] / "shared" / "data" / "reference" / "nvidia_xid_codes.csv"
ROWS = list(csv.DictReader(SEED.read_text(encoding="utf-8").splitlines()))
STANDING = {int(row["code"]): row for row in sorted(ROWS, key=lambda row: row["decided_on"])}


def test_each_decision_stands_once_and_in_the_common_words():
    """Two rows of a day would contradict each other."""
    assert len(ROWS) == len({(row["code"], row["decided_on"]) for row in ROWS})
    assert {"application", "memory", "link", "bus", "firmware", "other"} == {row["class"] for row in ROWS}
    assert {"info", "warning", "critical", "unknown"} == {row["severity"] for row in ROWS}
    assert all((row["severity"] == "unknown") == (row["action"] == "") for row in ROWS)
    assert all(date.fromisoformat(row["decided_on"]) for row in ROWS)


@pytest.mark.parametrize(
    ("action", "codes"),
    [
        ("RESTART_APP", [13, 31, 32, 39, 40, 41, 68, 69, 70, 71, 72, 94]),
        ("IGNORE", [37, 38, 43, 44, 63, 66, 67, 92, 93, 121]),
        ("RESET_GPU", [46, 62, 64, 95, 109, 110, 119, 120, 136, 140, 143, 155, 156, 158]),
        ("RESTART_BM", [79]),
        ("WORKFLOW", [45, 48, 74, 144, 145, 146, 147, 148, 149, 150]),
        ("CHECK_MECHANICALS", [54]),
        ("UPDATE_SWFW", [78]),
    ],
)
def test_the_action_is_nvidias(action, codes):
    """Someone on call does what stands here."""
    assert [] == [code for code in codes if not STANDING[code]["action"].startswith(action)]


@pytest.mark.parametrize(
    ("group", "codes"),
    [
        ("application", [13, 31, 43, 45, 68]),
        ("memory", [48, 63, 64, 92, 94, 95]),
        ("link", [74, 149]),
        ("bus", [79]),
        ("firmware", [62, 119, 120, 122, 123]),
    ],
)
def test_the_class_says_what_it_is_about(group, codes):
    """Errors of a day are counted by it."""
    assert [group] * len(codes) == [STANDING[code]["class"] for code in codes]


def test_what_needs_a_hand_is_critical():
    """A fallen GPU must not be told like a faulty program, nor a faulty program like a fallen GPU."""
    assert {"critical"} == {STANDING[code]["severity"] for code in (48, 64, 74, 79, 95, 119)}
    assert {"warning"} == {STANDING[code]["severity"] for code in (13, 31, 45, 94)}
    assert {"info"} == {STANDING[code]["severity"] for code in (43, 63, 92)}


@pytest.mark.parametrize("code", [13, 31, 38, 43, 44, 45, 63, 68, 94, 109, 121])
def test_where_others_judge_otherwise_a_note_says_so(code):
    """Who compares tools must see that it was known."""
    assert "others differ" in STANDING[code]["note"]


@pytest.mark.skipif(not HEADER.is_file(), reason="the driver's header is not beside this checkout")
def test_symbols_are_the_drivers():
    """A name that was typed wrongly is not found again in anybody's documentation."""
    of_header = {int(row["xid"]): row["symbol"] for row in csv.DictReader(HEADER.read_text().splitlines())}

    assert of_header == {code: row["symbol"] for code, row in STANDING.items() if row["symbol"]}
