"""The dbt project as files, and the digest under which what was made of it is kept."""

from __future__ import annotations

import hashlib
import os
import sys
from importlib.metadata import version
from pathlib import Path

_KINDS = (".sql", ".yml", ".csv", ".md")


def files_of(folder: Path) -> list[tuple[str, Path]]:
    """Every file of the project by its name inside it, in order."""
    top = str(folder)
    found = [
        os.path.join(inside, name)  # noqa: PTH118  hundreds of files at each start: texts take a tenth of the time
        for inside, _, names in os.walk(top)
        for name in names
        if name.endswith(_KINDS)
    ]
    return [(file[len(top) + 1 :].replace(os.sep, "/"), Path(file)) for file in sorted(found)]


def digest(folder: Path) -> str:
    """Of every file of the project, where it lies (a parsed seed names its file), and of what reads it."""
    folder = folder.resolve()
    found = hashlib.sha256(f"{sys.version}\0{folder}\0".encode())
    for name in ("dbt-core", "dbt-duckdb"):
        found.update(f"{name}=={version(name)}\n".encode())
    ours = [(file.name, file) for file in sorted(Path(__file__).parent.glob("*.py"))]
    for name, file in [*files_of(folder), *ours]:
        found.update(f"{name}\0".encode())
        found.update(file.read_bytes())
    return found.hexdigest()
