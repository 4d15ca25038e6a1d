"""The cited GPU table and its aliases, which machines are joined to for memory, power and peak rates."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from gpulake.sources import gpu_specs

ALIASES = Path(__file__).parents[2] / "warehouse" / "seeds" / "gpu_model_aliases.csv"

SPECS = list(csv.DictReader(gpu_specs.SHIPPED.read_text(encoding="utf-8").splitlines()))
MODEL_OF = {row["alias"]: row["gpu_model"] for row in csv.DictReader(ALIASES.read_text(encoding="utf-8").splitlines())}


def test_the_file_has_the_columns_that_the_source_declares() -> None:
    """A renamed column would land as an unknown file."""
    assert gpu_specs.CITED.column_names == tuple(SPECS[0])


def test_each_model_stands_once_and_is_its_own_alias() -> None:
    """A model twice would double every machine that is joined to it; machines are joined by alias alone."""
    models = [row["gpu_model"] for row in SPECS]

    assert sorted(set(models)) == sorted(models)
    assert models == [MODEL_OF[model] for model in models]


def test_aliases_are_unambiguous_whatever_their_case() -> None:
    """Exporters differ in case; one name must not mean two models."""
    aliases = [line.split(",")[0].lower() for line in ALIASES.read_text(encoding="utf-8").splitlines()]

    assert sorted(set(aliases)) == sorted(aliases)


def test_every_alias_leads_to_a_cited_model() -> None:
    """An alias into nothing would silently drop a machine's memory and power."""
    assert set() == set(MODEL_OF.values()) - {row["gpu_model"] for row in SPECS}


@pytest.mark.parametrize("row", SPECS, ids=lambda row: row["gpu_model"])
def test_each_figure_is_cited_and_plausible(row: dict[str, str]) -> None:
    """Slips of a digit or a unit: no data-centre GPU lies outside these ranges."""
    assert row["source_url"]
    assert 2013 <= int(row["launch_year"]) <= 2026
    assert 8 <= float(row["memory_gib"]) <= 288
    assert 150 <= float(row["memory_bandwidth_gb_per_s"]) <= 8000
    assert 60 <= float(row["tdp_w"]) <= 1400
    tensor = float(row["fp16_tensor_tflops"] or "nan")
    single = float(row["fp32_tflops"] or "nan")
    assert not tensor < 1.9 * single, "a dense tensor rate is at least twice the FP32 rate"
    assert not tensor > 17 * single, "a rate with sparsity has slipped in"


@pytest.mark.parametrize(
    ("alias", "gpu_model"),
    [
        ("T4", "Tesla T4"),
        ("P100", "Tesla P100-PCIE-16GB"),
        ("V100", "Tesla V100-SXM2-16GB"),
        ("V100M32", "Tesla V100-SXM2-32GB"),
        ("NVIDIA H100 80GB HBM3", "NVIDIA H100-SXM5-80GB"),
        ("NVIDIA A100-SXM4-80GB", "NVIDIA A100-SXM4-80GB"),
        ("NVIDIA A100 80GB PCIe", "NVIDIA A100-PCIE-80GB"),
    ],
)
def test_names_in_the_wild_are_known(alias: str, gpu_model: str) -> None:
    """The words that PAI and exporters use."""
    assert gpu_model == MODEL_OF[alias]


@pytest.mark.parametrize("alias", ["MISC", "CPU", "A100", "NVIDIA A10G"])
def test_names_that_would_be_a_guess_stay_unknown(alias: str) -> None:
    """MISC is a mix of K40m, K80 and M60, a bare A100 has 40 or 80 GiB, an A10G is no A10."""
    assert alias not in MODEL_OF
