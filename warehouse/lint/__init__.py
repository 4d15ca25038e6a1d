"""What the SQL linter sees instead of the project's macros and dbt's own names: short texts of the right kind, no lake."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

_CONDITION = re.compile(r"(in|of|within|not|delivered_of|is)_\w+|pending_only")
"""Macros that stand for a condition are named so; any other stands for a value."""


def _stub(name: str) -> Callable[..., object]:
    text = "true" if _CONDITION.fullmatch(name) else f"{name}(1)"
    return lambda *_, **__: text


for file in sorted((Path(__file__).parents[1] / "macros").rglob("*.sql")):
    for macro in re.findall(r"{% macro (\w+)\(", file.read_text(encoding="utf-8")):
        globals()[macro] = _stub(macro)

flags = SimpleNamespace(FULL_REFRESH=False)
graph = SimpleNamespace(
    sources={n: SimpleNamespace(source_name="bronze", name=n, relation_name=f"main.{n}") for n in ("a", "b")}
)


class _Config:
    """`config(...)` says nothing to the linter; `config.get` gives the lists that models are made of."""

    def __call__(self, **_: object) -> str:
        return ""

    def get(self, _: str) -> SimpleNamespace:
        needs = [SimpleNamespace(table=None, reason="", figures={"gold": ["a", "b"]})]
        return SimpleNamespace(needs=needs, words={"failed": ["a", "b"]})


config = _Config()


def is_full_build() -> bool:
    """What a build reads again is linted; a full build reads less."""
    return False


def as_it_was(name: str, schema: str = "main") -> str:
    """A table of the lake."""
    return f"{schema}.{name}"


def staging_models(entity: str) -> list[SimpleNamespace]:
    """Any two: the linter needs to see the loop's border."""
    return [SimpleNamespace(relation=f"stg_{source}__{entity}", rows="true") for source in ("a", "b")]


def need_rows(_: object) -> str:
    """Any row."""
    return "('table_name', 'column_name', 'needs_table', 'reason')"


def entity_keys() -> dict[str, SimpleNamespace]:
    """Any two."""
    keys = SimpleNamespace(key=["cluster_id", "job_id"], narrow=["job_id"], again="true", get=lambda _, other: other)
    return {"job": keys, "task": keys}


def measured_amounts() -> dict[str, dict[str, SimpleNamespace]]:
    """Two amounts of every entity."""
    amounts = {"a": SimpleNamespace(above="1", mean=""), "b": SimpleNamespace(above="2", mean="a")}
    return dict.fromkeys(
        ("task", "usage", "machine_window", "machine", "gpu_model", "gpu_sample", "machine_sample"), amounts
    )


def gpu_means() -> dict[str, int]:
    """Any two."""
    return {"power_w": 12, "temperature_c": 12}


def gpu_counters() -> list[str]:
    """Any two."""
    return ["energy_j", "pcie_replays"]


def gpu_hour_columns() -> list[str]:
    """Any two."""
    return ["cluster_id", "power_w"]


def clocks_event_bits() -> dict[str, int]:
    """Any two."""
    return {"sw_thermal": 32, "hw_thermal": 64}


def sparse_tables() -> list[str]:
    """Any two."""
    return ["'a'", "'b'"]


def entity_times() -> dict[str, list[str]]:
    """Any one."""
    return {"job": ["submitted_at", "ended_at"]}


def sums_before(relation: str, *_: object, **__: object) -> str:
    """The one engine's word that is a whole select."""
    return f"select staged.* from {relation} as staged"


def inlined() -> str:
    """No word."""
    return ""


def text_literal(_: object) -> str:
    """A text."""
    return "'a'"
