"""A model of the warehouse as SQL, rendered without dbt: a law can be tried on many small inputs in milliseconds."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
from jinja2 import Environment

from gpulake.lake import in_memory

WAREHOUSE = Path(__file__).parents[2] / "warehouse"
_MACRO = re.compile(r"{%-?\s*macro\s+(\w+)\s*\(.*?{%-?\s*endmacro\s*-?%}", re.DOTALL)
_SQL_TYPES = {
    "text": pa.string(), "whole": pa.int64(), "number": pa.float64(), "moment": pa.timestamp("us"), "truth": pa.bool_(),
}  # fmt: skip


class _ReturnedError(Exception):
    """What dbt's `return` hands out of a macro: any value, not a text."""

    def __init__(self, value: object) -> None:
        super().__init__()
        self.value = value


def _return(value: object) -> None:
    raise _ReturnedError(value)


@cache
def _jinja(*, is_full_build: bool) -> Environment:
    """Every macro of the project by its name, and what dbt gives to models."""
    jinja = Environment(extensions=["jinja2.ext.do"])
    bodies = {
        found[1]: found[0]
        for file in (WAREHOUSE / "macros").rglob("*.sql")
        for found in _MACRO.finditer(file.read_text(encoding="utf-8"))
    }

    def called(name: str) -> Callable[..., object]:
        def call(*arguments: object, **named: object) -> object:
            try:
                return getattr(jinja.from_string(bodies[name]).module, name)(*arguments, **named)
            except _ReturnedError as returned:
                return returned.value

        return call

    macros = {name: called(name) for name in bodies}
    jinja.globals.update(macros)
    jinja.globals.update(
        {
            "return": _return,
            "config": lambda *_, **__: "",
            "ref": lambda name: name,
            "source": lambda schema, table: f"{schema}_{table}",
            "adapter": SimpleNamespace(dispatch=lambda name, _: macros[f"duckdb__{name}"]),
            "flags": SimpleNamespace(FULL_REFRESH=is_full_build),
            "as_it_was": lambda name, schema="main": name,
            "execute": True,
        }
    )
    return jinja


@cache
def sql_of(model: str, *, is_full_build: bool = True) -> str:
    """The query of a model; `ref` names tables and views as they are called, a source is schema_table."""
    (file,) = (WAREHOUSE / "models").rglob(f"{model}.sql")
    return _jinja(is_full_build=is_full_build).from_string(file.read_text(encoding="utf-8")).render()


def expression(macro: str, *arguments: object) -> str:
    """What a macro makes of its arguments."""
    made: Any = _jinja(is_full_build=True).globals[macro]
    return str(made(*arguments))


def table(columns: Mapping[str, str], rows: Sequence[Mapping[str, object]]) -> pa.Table:
    """Rows as a table; `columns` says of each whether it is text, whole, number, moment or truth. What a row lacks is null."""
    assert all(row.keys() <= columns.keys() for row in rows), "a row with a column that is not named"
    return pa.table(
        {name: pa.array([row.get(name) for row in rows], _SQL_TYPES[kind]) for name, kind in columns.items()}
    )


@contextmanager
def asking(
    model: str, given: Mapping[str, pa.Table], *, is_full_build: bool = True, views: Mapping[str, str] | None = None
) -> Iterator[Callable[[str], list[dict[str, object]]]]:
    """Ask for rows of a model and of its inputs: tables and views that are given, and models that are made of those."""
    views = views or {}
    made = {**views, **dict(_parts(model, frozenset({*given, *views}), is_full_build=is_full_build))}
    common = ", ".join(f"{name} AS ({text})" for name, text in made.items())
    with in_memory(given) as duck:
        yield lambda query: duck.sql(f"WITH {common} {query}").to_pylist()


@cache
def _parts(model: str, given: frozenset[str], *, is_full_build: bool) -> tuple[tuple[str, str], ...]:
    """The models that one is made of, each after what it reads, itself last."""
    found: dict[str, str] = {}

    def add(name: str) -> None:
        if name in given or name in found:
            return
        text = sql_of(name, is_full_build=is_full_build)
        (file,) = (WAREHOUSE / "models").rglob(f"{name}.sql")
        for read in re.findall(r"ref\('(\w+)'\)", file.read_text(encoding="utf-8")):
            add(read)
        found[name] = text

    add(model)
    return tuple(found.items())
