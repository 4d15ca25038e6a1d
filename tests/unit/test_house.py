"""What holds for the whole tree: the lock file's hosts, sizes, links between pages, and what a plain import loads."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
    if not path.is_relative_to(ROOT / "docs" / "reference")
)
HEAVY = {
    "duckdb",
    "dbt",
    "prefect",
    "sklearn",
    "pandas",
    "polars",
    "pyarrow",
    "numpy",
    "kaggle",
    "vl_convert",
}


def test_the_lock_file_names_the_public_index_only() -> None:
    """A private host in the lock would break everybody else's install."""
    hosts = set(re.findall(r"https?://[^/\" ]+", (ROOT / "uv.lock").read_text(encoding="utf-8")))

    assert {"https://pypi.org", "https://files.pythonhosted.org"} == hosts


@pytest.mark.parametrize("program", ["import gpulake", "from gpulake.cli import main; main(['--help'])"])
def test_a_plain_start_loads_no_heavy_library(program: str) -> None:
    """`gpulake --help` must answer at once, and a library user pays only for what is used."""
    started = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", program], capture_output=True, text=True, check=True
    )

    loaded = {line.rpartition("|")[2].strip().split(".")[0] for line in started.stderr.splitlines()}
    assert set() == loaded & HEAVY


@pytest.mark.parametrize("module", sorted(ROOT.glob("src/**/*.py")), ids=lambda path: path.stem)
def test_no_module_outgrows_its_reader(module: Path) -> None:
    """Past 700 lines a module has two subjects."""
    assert len(module.read_text(encoding="utf-8").splitlines()) <= 700


@pytest.mark.parametrize("model", sorted(ROOT.glob("warehouse/models/**/*.sql")), ids=lambda path: path.stem)
def test_no_model_outgrows_its_reader(model: Path) -> None:
    """A model is read once, from top to bottom: past 90 lines it is two."""
    assert len(model.read_text(encoding="utf-8").splitlines()) <= 90


@pytest.mark.parametrize("macros", sorted(ROOT.glob("warehouse/macros/*.sql")), ids=lambda path: path.stem)
def test_a_macro_holds_no_select(macros: Path) -> None:
    """A select in a macro is a model in disguise: without lineage, documentation or unit tests."""
    text = re.sub(r"{#.*?#}", "", macros.read_text(encoding="utf-8"), flags=re.DOTALL)
    bodies = re.findall(r"{% macro (\w+)\((.*?){%-? endmacro", text, flags=re.DOTALL)

    assert bodies
    selecting = {name for name, body in bodies if re.search(r"\bselect\b", body)}
    assert selecting <= {"duckdb__sums_before"}, "only an engine's word for a running sum is a select"


def test_only_what_full_builds_make_asks_which_sources_have_landed() -> None:
    """A delivery's build is one script for every lake: a model of it that asked would leave out the next lake's source."""
    asking = {
        file.stem: text
        for file in ROOT.glob("warehouse/models/**/*.sql")
        if "staging_models(" in (text := file.read_text(encoding="utf-8"))
    }

    assert len(asking) > 10
    only_full = ("materialized='view'", "tags=['full_builds_only']")
    assert set() == {name for name, text in asking.items() if not any(word in text for word in only_full)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    """A reader who follows a link must not end at a missing file."""
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))

    missing = [target for target in targets if "://" not in target and not (page.parent / target).exists()]
    assert [] == missing


def test_contributing_names_no_path_that_does_not_exist() -> None:
    """Who adds a thing copies the paths from there."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = [name for name in re.findall(r"`([\w./-]+/[\w./-]*)`", text) if "<" not in name]

    assert len(named) > 10
    starts = (ROOT, ROOT / "src" / "gpulake")
    assert [] == [name for name in named if not any((start / name).exists() for start in starts)]


def test_the_index_lists_every_page() -> None:
    """A page that nothing leads to is not read."""
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")

    pages = [str(path.relative_to(ROOT / "docs")) for path in sorted(ROOT.glob("docs/*/*.md"))]
    assert [] == [page for page in pages if page not in index]


def test_docs_name_no_command_that_does_not_exist() -> None:
    """Commands in the pages are typed as they stand."""
    from gpulake.cli import app

    commands = [command for command in app.registered_commands if command.callback]
    known = {command.name or command.callback.__name__.replace("_", "-") for command in commands}
    known |= {group.name for group in app.registered_groups}
    named = {
        (page.name, word)
        for page in PAGES
        for code in re.findall(r"^```.*?^```|`[^`\n]+`", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
        for word in re.findall(r"\bgpulake ([a-z]+(?:-[a-z]+)*)\b", code)
    }
    assert set() == {(page, word) for page, word in named if word not in known}


def test_the_models_overview_names_each_gold_table() -> None:
    """Who opens the models' pages begins there: a table it leaves out is not found."""
    folder = ROOT / "warehouse" / "models"
    text = (folder / "overview.md").read_text(encoding="utf-8")
    assert set(re.findall(r"`(gold_\w+)`", text)) == {file.stem for file in folder.rglob("gold_*.sql")}
