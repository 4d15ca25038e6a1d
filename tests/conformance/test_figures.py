"""Every published rate says what it divides: a numerator and a denominator in the yml, or why there are none."""

from __future__ import annotations

import re

import pytest

from gpulake.dbt import warehouse
from gpulake.reading.models import computable, read_models

MODELS = read_models(warehouse.project())
GOLD = {name: model for name, model in MODELS.items() if name.startswith("gold_")}
RATES = [
    (name, column)
    for name, model in GOLD.items()
    for column in model.columns
    if re.search(r"^(efficiency|avg)_|_(ratio|pct)$", column)
]


@pytest.mark.parametrize(("table", "column"), RATES)
def test_a_rate_names_its_numerator_and_its_denominator(table, column):
    """A rate without its denominator cannot be checked, nor added up."""
    told = GOLD[table].columns[column]
    divided = [computable(told.parts.get(part, ""), GOLD[table].columns) for part in ("numerator", "denominator")]

    assert all(divided) or (told.no_parts and not any(divided))


@pytest.mark.parametrize("table", GOLD)
def test_a_gold_table_tells_its_grain_and_every_columns_meaning(table):
    """`gpulake explain` and `gpulake diff` read both."""
    model = GOLD[table]

    assert model.grain
    assert set(model.grain) <= set(model.columns)
    assert [] == [name for name, column in model.columns.items() if not column.definition]
