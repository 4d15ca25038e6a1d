"""Deliveries on which something wrong was told once, or might be, each with what is right: tests/cases/README.md."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

CASES = Path(__file__).parents[1] / "cases"
NULL = "null"  # TOML has none: this word in an expected row is one


@pytest.mark.parametrize("name", sorted(file.parent.name for file in CASES.glob("*/case.toml")))
def test_a_case_of_a_found_fault(name, tmp_path):
    """Its deliveries lie in a folder that does not name the case, so that no message speaks of it by chance."""
    case, work = CASES / name, tmp_path / "work"
    told = tomllib.loads((case / "case.toml").read_text(encoding="utf-8"))
    shutil.copytree(case / "deliver", work / "deliver")
    if (case / "gpulake.toml").is_file():
        shutil.copy(case / "gpulake.toml", work)

    for step in told["deliver"]:
        folder = f"deliver/{step['folder']}"
        code, said = _gpulake(work, "refresh", "--json", "--lake", "lake", "--data", folder, *step.get("args", []))
        assert code in step.get("exit", [0]), said
        assert [] == [words for words in step.get("says", []) if not re.search(words, said)], said
        assert [] == [words for words in step.get("says_not", []) if re.search(words, said)], said
    for check in told.get("check", []):
        code, answered = _gpulake(work, "sql", "--json", "--lake", "lake", check["sql"])
        assert code == 0, answered
        seen = [list(row.values()) for row in json.loads(answered)]
        for row in check["expect"]:
            found = next((other for other in seen if _is_same(other, row, check.get("tol", 1e-6))), None)
            assert found is not None, f"{check['because']}: {row} is not among {seen}"
            seen.remove(found)
        assert [] == seen, check["because"]


def _gpulake(work, *words):
    settings = {name: value for name, value in os.environ.items() if not name.startswith("GPULAKE_")}
    done = subprocess.run(
        [sys.executable, "-m", "gpulake", *words], cwd=work, env=settings, capture_output=True, check=False
    )
    said = done.stdout.decode("utf-8", "replace")
    return done.returncode, said if words[0] == "sql" and not done.returncode else said + done.stderr.decode(
        "utf-8", "replace"
    )


def _is_same(seen, right, tolerance):
    return len(seen) == len(right) and all(_is_equal(*pair, tolerance) for pair in zip(seen, right, strict=True))


def _is_equal(seen, right, tolerance):
    if right == NULL:
        return seen is None
    if isinstance(right, int | float) and not isinstance(right, bool):
        is_number = isinstance(seen, int | float) and not isinstance(seen, bool)
        return is_number and math.isclose(seen, right, rel_tol=tolerance, abs_tol=tolerance)
    return type(seen) is type(right) and seen == right
