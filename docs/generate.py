"""Writes the reference pages from the code: python docs/generate.py [--check]. With --check, only says what is stale."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
WAREHOUSE = ROOT / "warehouse"
CASES = "<!-- cases: written by docs/generate.py from tests/spec/accounting_cases.py -->\n"
NOTE = "<!-- Written by docs/generate.py (make docs). Edit the code instead. -->\n"


def pages() -> Mapping[str, str]:
    """Every page that is written here, wholly or in part: its place in docs to its text."""
    return {
        "reference/cli.md": cli(),
        "reference/tables.md": tables(),
        "explanation/accounting.md": with_cases(DOCS / "explanation" / "accounting.md"),
    }


def with_cases(page: Path) -> str:
    """The page by hand up to its mark, then the accounting's spec cases as the tests run them."""
    sys.path[:0] = [str(ROOT / "tests" / "spec")]
    from accounting_cases import page_part

    by_hand, _, _ = page.read_text(encoding="utf-8").partition(CASES)
    return f"{by_hand}{CASES}\n" + "\n".join(page_part())


def cli() -> str:
    """Each command's help as a user sees it, and the exit codes."""
    import typer

    from gpulake.cli import app, main

    def help_of(*words: str) -> str:
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            main([*words, "--help"])
        return f"```\n{printed.getvalue().strip()}\n```\n"

    command = typer.main.get_command(app)
    parts = [f"# Commands\n{NOTE}", help_of()]
    for name, one in getattr(command, "commands", {}).items():
        parts.append(f"## gpulake {name}\n{help_of(name)}")
        parts += [f"### gpulake {name} {inner}\n{help_of(name, inner)}" for inner in getattr(one, "commands", {})]
    parts.append(f"## Exit codes\n{exit_codes()}")
    return "\n".join(parts)


def exit_codes() -> str:
    """One row per family of errors."""
    from gpulake import errors

    rows = [
        "| code | family | meaning |",
        "|---|---|---|",
        "| 0 | | everything recognised has landed and is published |",
    ]
    families = sorted(errors.GpulakeError.__subclasses__(), key=lambda family: family.exit_code)
    rows += [f"| {family.exit_code} | {family.__name__} | {first_line(family.__doc__)} |" for family in families]
    return "\n".join(rows) + "\n"


def tables() -> str:
    """Models from their yml, gold first and by subject; bronze from the sources' contracts, operations from their declarations."""
    layers = {layer: list(described(layer)) for layer in ("gold", "silver", "touched")}
    parts = [f"# Tables\n{NOTE}", "## Gold\n", index(layers["gold"]), *map(section, layers["gold"])]
    parts += ["## Silver\n", index(layers["silver"]), *map(section, layers["silver"])]
    parts += ["## Bronze\n", *bronze_sections()]
    parts += ["## What a build reads again (schema `meta`)\n", *map(section, layers["touched"])]
    parts += ["## Operations (schema `meta`)\n", *meta_sections()]
    parts += ["## Private parts\nWritten into the models that read them; no table has their names.\n", private_parts()]
    return "\n".join(parts)


def described(layer: str, *, private: bool = False) -> Iterator[tuple[str, dict[str, Any]]]:
    """Subject and description of each model of a layer, or of its private parts; by subject, as the folders are."""
    for file in sorted((WAREHOUSE / "models" / layer).rglob("*.yml")):
        models = (yaml.safe_load(file.read_text(encoding="utf-8")) or {}).get("models", [])
        for model in sorted(models, key=lambda model: str(model["name"])):
            if model["name"].startswith("int_") == private and not model["name"].startswith("stg_"):
                yield file.parent.name, model


def index(models: Iterable[tuple[str, dict[str, Any]]]) -> str:
    """One line per model: its subject, its name, and the first line of what it says, which is its grain."""
    rows = [
        f"| {subject.replace('_', ' ')} | [{model['name']}](#{model['name']}) | {cell(first_line(model['description']))} |"
        for subject, model in models
    ]
    return "\n".join(["| subject | table | what |", "|---|---|---|", *rows, ""])


def section(of_subject: tuple[str, dict[str, Any]]) -> str:
    """One model and its columns."""
    _, model = of_subject
    rows = ["| column | type | meaning |", "|---|---|---|"]
    rows += [
        f"| `{column['name']}` | {column.get('data_type', '')} | {cell(column.get('description', ''))} |"
        for column in model.get("columns", [])
    ]
    table = "\n".join(rows) + "\n" if model.get("columns") else ""
    return f"### {model['name']}\n{str(model.get('description', '')).strip()}\n\n{table}"


def private_parts() -> str:
    """One line each, by layer."""
    found = [model for layer in ("gold", "silver", "staging", "touched") for _, model in described(layer, private=True)]
    rows = [f"| {model['name']} | {cell(model.get('description', ''))} |" for model in found]
    return "\n".join(["| part | what |", "|---|---|", *rows, ""])


def bronze_sections() -> Iterator[str]:
    from gpulake.sources import all_sources

    for source in all_sources():
        for table in source.tables:
            rows = ["| column | type | unit or meaning |", "|---|---|---|"]
            rows += [f"| `{column.name}` | {column.sql_type} | {cell(column.unit)} |" for column in table.columns]
            key = ", ".join(f"`{name}`" for name in table.key)
            yield f"### {table.bronze}, from `{table.name}` of {source.name}\nKey: {key}.\n\n" + "\n".join(rows) + "\n"


def meta_sections() -> Iterator[str]:
    from gpulake.tables import META_TABLES

    for table in META_TABLES:
        rows = ["| column | type |", "|---|---|", *(f"| `{name}` | {kind} |" for name, kind in table.columns)]
        yield f"### meta.{table.name}\n" + "\n".join(rows) + "\n"


def first_line(text: str | None) -> str:
    return (text or "").strip().split("\n")[0]


def cell(text: str) -> str:
    return " ".join(str(text).split()).replace("|", "\\|")


def main(arguments: list[str]) -> int:
    """Write the pages, or with --check say which are stale."""
    # Help texts are laid out for the terminal; here it is always the same one.
    os.environ.update(COLUMNS="100", NO_COLOR="1")
    stale = []
    for name, text in pages().items():
        file = DOCS / name
        if file.exists() and file.read_text(encoding="utf-8") == text:
            continue
        stale.append(file.relative_to(ROOT))
        if "--check" not in arguments:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
            print(f"wrote {stale[-1]}")
    if stale and "--check" in arguments:
        print("stale: " + ", ".join(map(str, stale)) + ". Do: make docs", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
