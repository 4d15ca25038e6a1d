"""A parsed expression, which can be kept in a file: only who looks at its tree needs the parser.

To import the parser takes a fifth of a second, and a kept rule has its SQL already.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlglot import exp


@dataclass(frozen=True)
class Expression:
    """Its own words, and its tree with the names of `let` put in."""

    text: str
    tree: exp.Expression

    @property
    def columns(self) -> frozenset[str]:
        """The columns that it reads."""
        from sqlglot import exp

        return frozenset(column.name for column in self.tree.find_all(exp.Column))

    @property
    def bare_columns(self) -> frozenset[str]:
        """Of them those outside of every sum: one value a row is needed."""
        from sqlglot import exp

        from gpulake.judging.expression import is_inside_a_sum

        return frozenset(column.name for column in self.tree.find_all(exp.Column) if not is_inside_a_sum(column))

    @property
    def sums(self) -> tuple[exp.Expression, ...]:
        """The sums over a key's rows, outermost, in the order in which they stand."""
        from gpulake.judging.expression import is_sum

        return tuple(filter(is_sum, self._nodes()))

    @property
    def totals(self) -> tuple[exp.Expression, ...]:
        """The sums over the cluster."""
        from gpulake.judging.expression import is_total

        return tuple(filter(is_total, self._nodes()))

    def literals(self) -> tuple[exp.Literal, ...]:
        """Every number and text that is compared with something, a number with its sign, as it stands in the tree."""
        from sqlglot import exp

        return tuple(self.tree.find_all(exp.Literal))

    def with_literal(self, index: int, value: str) -> Expression:
        """The same with another number or text in one place."""
        from sqlglot import exp

        tree = self.tree.copy()
        literal = list(tree.find_all(exp.Literal))[index]
        literal.set("this", value)
        return Expression(self.text, tree)

    def _nodes(self) -> tuple[exp.Expression, ...]:
        from sqlglot import exp

        return tuple(self.tree.find_all(exp.Expression, bfs=False))

    def __getstate__(self) -> dict[str, Any]:
        return {"text": self.text, "_kept": pickle.dumps(self.tree)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    def __getattr__(self, name: str) -> Any:
        if name != "tree" or "_kept" not in self.__dict__:
            raise AttributeError(name)
        self.__dict__["tree"] = pickle.loads(self.__dict__["_kept"])  # noqa: S301  as it was kept
        return self.__dict__["tree"]
