"""The pages of nvidia-smi, rocm-smi and kernel logs name what the code reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpulake.sources import kernel_log, nvidia_smi, rocm_smi
from gpulake.sources.parsing.kernel_events import RULES

PAGES = Path(__file__).parents[3] / "docs" / "reference" / "sources"


@pytest.mark.parametrize(
    "source", [nvidia_smi.SOURCE, rocm_smi.SOURCE, kernel_log.SOURCE], ids=lambda source: source.name
)
def test_each_column_stands_there_with_its_unit(source):
    """Who writes SQL on bronze reads the page."""
    page = (PAGES / f"{source.name}.md").read_text(encoding="utf-8")
    rows = [
        f"| {column.name} | {column.kind}{', needed' if column.required else ''} | {column.unit} |"
        for column in source.tables[0].columns
    ]

    assert rows == [line for line in page.splitlines() if line in rows]


def test_each_kind_of_event_stands_there():
    """A kind that nobody can look up is not understood at night."""
    page = (PAGES / "kernel_log.md").read_text(encoding="utf-8")
    told = {
        word.strip() for line in page.splitlines() if line.startswith("| ") for word in line.split("|")[1].split(",")
    }

    assert {kind for kind, _ in RULES} <= told
