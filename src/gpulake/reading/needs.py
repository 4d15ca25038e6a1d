"""What a source's staging folder says of it: which figures need which of its tables, and which words it knows."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpulake.reading.models import read_yml


@dataclass(frozen=True)
class Need:
    """What some published columns need: a table, one column of it (`table.column`), or any of several (`… or …`).

    `unlocks` says in words what becomes known with it; it is empty where nothing new does.
    """

    needs: str
    reason: str
    unlocks: str
    figures: Mapping[str, tuple[str, ...]]

    def is_met(self, given: Collection[str]) -> bool:
        """Whether one of what it asks for is among the tables, and the columns as `table.column`, that are there."""
        return any(each in given for each in self.needs.split(" or "))


def read_needs(project: Path, source: str) -> tuple[Need, ...]:
    """What the figures of a source need, and what no table of it can give left out."""
    return tuple(
        Need(
            needs=need["table"],
            reason=need["reason"],
            unlocks=need.get("unlocks", ""),
            figures={table: tuple(columns) for table, columns in need["figures"].items()},
        )
        for need in _meta_of(project, source, "figure_needs").get("needs", [])
        if need["table"]
    )


def read_status_words(project: Path, source: str) -> frozenset[str]:
    """The words of a source that have a common word, where its staging folder lists them in a yml."""
    words = _meta_of(project, source, "status_word").get("words", {})
    return frozenset(spelled for each in words.values() for word in each for spelled in _spellings(word))


def _spellings(word: str) -> Iterator[str]:
    """As stg_<source>__status_word spells them."""
    yield from (word, word.upper(), word.capitalize())


def _meta_of(project: Path, source: str, entity: str) -> Mapping[str, Any]:
    for file in sorted((project / "models" / "staging" / source).glob("*.yml")):
        for model in read_yml(file).get("models", []):
            if model["name"] == f"stg_{source}__{entity}":
                found: Mapping[str, Any] = model.get("config", {}).get("meta", {})
                if found:
                    return found
    return {}
