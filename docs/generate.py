"""Writes the reference pages from the code: python docs/generate.py [--check]. With --check, only says what is stale."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

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
    """Bronze from the sources' contracts, models from their yml, operations from their declarations."""
    parts = [f"# Tables\n{NOTE}", "## Models\n", *model_sections(), "## Bronze\n", *bronze_sections()]
    parts += ["## Operations (schema `meta`)\n", *meta_sections()]
    return "\n".join(parts)


def model_sections() -> Iterator[str]:
    described = [
        model
        for file in sorted((WAREHOUSE / "models").rglob("*.yml"))
        for model in (yaml.safe_load(file.read_text(encoding="utf-8")) or {}).get("models", [])
        if not model["name"].startswith("stg_")
    ]
    for model in sorted(described, key=lambda model: model["name"]):
        rows = ["| column | type | meaning |", "|---|---|---|"]
        rows += [
            f"| `{column['name']}` | {column.get('data_type', '')} | {cell(column.get('description', ''))} |"
            for column in model.get("columns", [])
        ]
        table = "\n".join(rows) + "\n" if model.get("columns") else ""
        yield f"### {model['name']}\n{str(model.get('description', '')).strip()}\n\n{table}"


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
