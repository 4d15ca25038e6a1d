"""Small tables that a script reads again and again: held in memory, from when none of its statements writes them any more.

To read a table of the lake, however small, is to ask the catalog for its files and to open them: some milliseconds, and what a
delivery touches is read a hundred times. Views of the lake that read such a table are held too, and read the copy.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any  # DuckDB's cursors

from gpulake.dbt.standing import Standing

_A_NAME = re.compile(r'(?:"lake"|\{DUCKLAKE_CATALOG\})\."?(\w+)"?\."?(\w+)"?')
_A_CHANGE = re.compile(r'\s*(?:delete\s+from|insert\s+into)\s+"lake"\."(\w+)"\."(\w+)"', re.IGNORECASE)
_ASKED = re.compile(r"/\*asked first\*/.*?/\*:asked first\*/", re.DOTALL)
"""Asked once for all statements: what it reads is read once."""
_WORTH = 4
"""A table that is read so many times more is worth a copy."""
_MOST_ROWS = 1_000
_MOST_NOTES = 20_000
"""Of the schema `meta`, whose tables are narrow."""


class Near:
    """Puts the names of copies in the place of tables and views of the lake.

    `steps`: the statements that will be run, in their order. `run` runs one where they are run, and gives its cursor.
    """

    def __init__(self, steps: Sequence[Sequence[str]], standing: Standing, *, run: Callable[[str], Any]) -> None:
        self._rows = standing.rows
        self._views = standing.views
        self._run = run
        self._of_views: dict[str, Counter[str]] = {}
        self._last_change: dict[str, int] = {}
        self._to_come: Counter[str] = Counter()
        self._held: dict[str, bool] = {}
        for number, statements in enumerate(steps):
            for statement in statements:
                if target := _A_CHANGE.match(statement):
                    self._last_change[_name(target)] = number
                self._to_come += self._read_by(_ASKED.sub("", statement))

    def within(self, statement: str, *, step: int) -> str:
        """A statement of a step, reading copies where it can; they are made as they are needed."""
        change = _A_CHANGE.match(statement)
        start = change.end() if change else 0
        read = statement[start:]
        self._to_come -= self._read_by(_ASKED.sub("", read))
        return statement[:start] + self._put(read, step)

    def drop(self) -> None:
        """Drop the copies."""
        for name, is_held in reversed(self._held.items()):
            if is_held:
                kind = "VIEW" if name in self._views else "TABLE"
                self._run(f"DROP {kind} IF EXISTS {_copy_of(name)}")
        self._held = {}

    def _put(self, text: str, step: int) -> str:
        return _A_NAME.sub(
            lambda found: _copy_of(_name(found)) if self._has(_name(found), step) else _of_lake(found), text
        )

    def _has(self, name: str, step: int) -> bool:
        """Whether there is a copy; a statement may be run for it."""
        if self._last_change.get(name, -1) >= step:
            return False
        if name not in self._held:
            if self._to_come[name] + 1 < _WORTH:
                return False
            made = self._made(name, step)
            if made or name not in self._views:  # a view may read a copy later
                self._held[name] = made
        return self._held.get(name, False)

    def _made(self, name: str, step: int) -> bool:
        if name in self._views:
            text = self._put(self._views[name], step)
            if "temp.main." not in text:
                return False
            self._run(f"CREATE OR REPLACE TEMP VIEW {_copy_of(name)} AS {text}")
            return True
        schema, _, table = name.partition(".")
        most = _MOST_NOTES if schema == "meta" else _MOST_ROWS
        if self._rows.get(name, 0) > most:
            return False
        of_lake = f'"lake"."{schema}"."{table}"'
        ((held,),) = self._run(
            f"CREATE OR REPLACE TEMP TABLE {_copy_of(name)} AS FROM {of_lake} LIMIT {most + 1}"
        ).fetchall()
        if held > most:
            self._run(f"DROP TABLE {_copy_of(name)}")
        return bool(held <= most)

    def _read_by(self, text: str) -> Counter[str]:
        """How many times each table and view is read by a text, also through views."""
        found = Counter(_name(each) for each in _A_NAME.finditer(text))
        for name, times in list(found.items()):
            if name in self._views:
                if name not in self._of_views:
                    self._of_views[name] = self._read_by(self._views[name])
                for inner, inner_times in self._of_views[name].items():
                    found[inner] += times * inner_times
        return found


def _name(found: re.Match[str]) -> str:
    return f"{found[1]}.{found[2]}"


def _of_lake(found: re.Match[str]) -> str:
    return f'"lake"."{found[1]}"."{found[2]}"'


def _copy_of(name: str) -> str:
    """Of the same last name, by which statements may call its columns."""
    return f'temp.main."{name.partition(".")[2]}"'
