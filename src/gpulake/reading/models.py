"""What the models' yml says of every table and column: grain, definition, unit, and the parts of a rate.

In a column's `config: meta:` stand its `numerator`, `denominator` and `coverage`: columns of the same table or arithmetic
with them, whose values are then shown, or words; and `no_parts` says why a rate has none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

PARTS = ("numerator", "denominator", "coverage")
# The C loader is six times as fast, and as safe; not every build of PyYAML has it.
_YAML: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_SIGNS = str.maketrans("\N{MINUS SIGN}×", "-*")
_ARITHMETIC = re.compile(r"[\w\s.,()+*/-]+")
_WORDS = frozenset({"case", "when", "then", "end", "coalesce"})
_UNIT = re.compile(r"\s*\(([^()]+)\)\.?$")


@dataclass(frozen=True)
class Column:
    """What the yml says of one column; `parts` are formulas by what they are, `no_parts` says why there are none."""

    name: str
    definition: str
    unit: str | None
    parts: Mapping[str, str]
    no_parts: str | None
    data_type: str | None = None


@dataclass(frozen=True)
class Model:
    """What the project says of one table: its grain is what tells its rows apart, () where no test says."""

    name: str
    description: str
    grain: tuple[str, ...]
    columns: Mapping[str, Column]
    sql_file: str
    sql: str


def read_models(project: Path) -> dict[str, Model]:
    """Every model of a dbt project that its yml describes, by name."""
    models = project / "models"
    texts = {file.stem: file for file in models.rglob("*.sql")}
    described = [model for file in sorted(models.rglob("*.yml")) for model in read_yml(file).get("models", [])]
    return {model["name"]: _model(model, project, texts[model["name"]]) for model in described}


def read_yml(file: Path) -> dict[str, Any]:
    """What stands in a file of the project; nothing where it is empty."""
    return yaml.load(file.read_text(encoding="utf-8"), _YAML) or {}  # noqa: S506  # a safe loader, see there


def _model(told: Mapping[str, Any], project: Path, sql: Path) -> Model:
    laws = [test["holds"]["arguments"] for test in told.get("data_tests", []) if "holds" in test]
    return Model(
        name=told["name"],
        description=" ".join(str(told.get("description", "")).split()),
        grain=tuple(next((law["grain"] for law in laws if law.get("grain")), ())),
        columns={column["name"]: column_of(column) for column in told.get("columns", [])},
        sql_file=sql.relative_to(project).as_posix(),
        sql=sql.read_text(encoding="utf-8"),
    )


def column_of(told: Mapping[str, Any]) -> Column:
    """A column as the yml tells it; its unit stands in brackets at the end of its description."""
    description = " ".join(str(told.get("description", "")).split())
    unit = _UNIT.search(description)
    meta = told.get("config", {}).get("meta", {})
    return Column(
        name=told["name"],
        definition=_UNIT.sub("", description),
        unit=unit[1] if unit else None,
        parts={part: str(meta[part]) for part in PARTS if part in meta},
        no_parts=meta.get("no_parts"),
        data_type=told.get("data_type"),
    )


def computable(formula: str, columns: Iterable[str]) -> str | None:
    """A formula as SQL over a table's columns; None where it is words, or needs what the table does not have."""
    sql = formula.translate(_SIGNS)
    names = set(re.findall(r"[^\W\d]\w*", sql)) - _WORDS
    return sql if _ARITHMETIC.fullmatch(sql) and names and names <= set(columns) else None
