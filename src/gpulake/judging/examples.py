"""The examples of a rule, run through the same SQL as the lake, and the proof that they pin its thresholds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from gpulake import lake
from gpulake.errors import ContractError
from gpulake.findings import Finding, State
from gpulake.judging.asking import answer_of, steps_of
from gpulake.judging.judge import findings_of
from gpulake.judging.parsed import Expression
from gpulake.judging.rule import CLUSTER, DAY_S, Rule

if TYPE_CHECKING:
    import pyarrow as pa

_FIRST_DAY = date(2026, 1, 1)
_SHARE = 0.05
"""A threshold is moved by a twentieth; one that is written as a whole number by at least 1."""
_MUST_PIN = ("when", "until", "where")


@dataclass(frozen=True)
class Example:
    """One thing of a rule's examples, by its key as the file writes it, and whether it must fire."""

    key: tuple[tuple[str, object], ...]
    must_fire: bool
    rows: tuple[Mapping[str, object], ...]

    @property
    def words(self) -> str:
        """The thing, for people."""
        return ", ".join(f"{name} {value}" for name, value in self.key)


@dataclass(frozen=True)
class Tested:
    """What the examples say of one rule: `faults` are those that come out otherwise, `loose` the numbers that none pins."""

    rule: str
    examples: int
    moved: int
    faults: tuple[str, ...]
    loose: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether every example comes out as it must, and each threshold is pinned."""
        return not self.faults and not self.loose


def examples_of(rule: Rule) -> tuple[Example, ...]:
    """The things of a rule's examples, in order. Rows of one key are one thing."""
    found = []
    for kind in ("fires", "stays_quiet"):
        by_key: dict[tuple[tuple[str, object], ...], list[Mapping[str, object]]] = {}
        for row in rule.examples[kind]:
            by_key.setdefault(tuple((name, row.get(name)) for name in rule.per), []).append(row)
        found += [Example(key, kind == "fires", tuple(rows)) for key, rows in by_key.items()]
    return tuple(found)


def said_of_examples(rule: Rule) -> tuple[tuple[Example, Finding | None], ...]:
    """What the rule says of each of its examples, each judged alone, with the rows that lie beside it."""
    examples = examples_of(rule)
    with _laid_out(rule, examples) as view:
        found = {finding.key: finding for finding in findings_of(rule, answer_of(view, rule, steps_of(view, rule)), {})}
    return tuple((example, found.get(_key(example, no))) for no, example in enumerate(examples))


def try_out(rule: Rule) -> Tested:
    """Run the examples, then once more for each threshold moved up and moved down: one of them must come out otherwise.

    Raises ContractError where a row of an example is not what its table holds.
    """
    examples = examples_of(rule)
    with _laid_out(rule, examples) as view:
        said = _states(rule, view, examples)
        faults = [
            f"{example.words}: must {'fire' if example.must_fire else 'stay quiet'}, and is {state}"
            for example, state in zip(examples, said, strict=True)
            if example.must_fire != (state is State.FIRING)
        ]
        moved = list(moved_rules(rule))
        loose = [] if faults else [what for what, other in moved if _states(other, view, examples) == said]
    return Tested(rule.name, len(examples), len(moved), tuple(faults), tuple(loose))


def moved_rules(rule: Rule) -> Iterator[tuple[str, Rule]]:
    """The rule with one threshold, text or length of time moved, and what was moved, in words."""
    for name in _MUST_PIN:
        each: Expression | None = getattr(rule, name)
        for no, literal in enumerate(each.literals() if each else ()):
            assert each is not None
            for other in _moved(literal.this, is_text=literal.is_string):
                yield f"{name}: {literal.this} as {other}", _with(rule, name, each.with_literal(no, other))
    lengths = {"for": "for_steps", "clear_for": "clear_steps", "over": "over_steps"}
    for word, field in lengths.items():
        steps = getattr(rule, field)
        if steps > 1:
            for other_steps in (steps - 1, steps + 1):
                yield f"{word}: {steps} steps as {other_steps}", _with(rule, field, other_steps)
    if rule.settle_steps:
        yield f"settle: {rule.settle_steps} steps as 0", replace(rule, settle_steps=0)


def _with(rule: Rule, field: str, value: Expression | int) -> Rule:
    changed: dict[str, Any] = {field: value}  # its kind is that of the field
    return replace(rule, **changed)


def _moved(written: str, *, is_text: bool) -> tuple[str, ...]:
    if is_text:
        return (f"not {written}",)
    by = max(abs(float(written)) * _SHARE, 1.0 if written.isdigit() else 0.0)
    return tuple(f"{float(written) + way * (by or _SHARE):.9g}" for way in (-1, 1))


def rows_of(rule: Rule, examples: Sequence[Example]) -> pa.Table:
    """The rule's table with each example in a cluster of its own, where it meets no other.

    Raises ContractError where a row of an example is not what its table holds.
    """
    rows = []
    for no, example in enumerate(examples):
        lying = (*rule.examples["beside"], *example.rows)
        rows += [{**_with_time(rule, row), CLUSTER: f"example {no}"} for row in lying]
    return _table(rule, rows)


@contextmanager
def _laid_out(rule: Rule, examples: Sequence[Example]) -> Iterator[lake.View]:
    with lake.in_memory({rule.table: rows_of(rule, examples)}) as view:
        yield view


def _states(rule: Rule, view: lake.View, examples: Sequence[Example]) -> list[State]:
    rows = answer_of(view, rule, steps_of(view, rule))
    keys = zip(*(rows[name].to_pylist() for name in rule.per), strict=True)
    said = dict(zip(keys, rows["_state"].to_pylist(), strict=True))
    wanted = [
        tuple(f"example {no}" if name == CLUSTER else value for name, value in each.key)
        for no, each in enumerate(examples)
    ]
    return [State(said.get(key, State.UNKNOWN)) for key in wanted]


def _key(example: Example, no: int) -> tuple[tuple[str, str], ...]:
    return tuple(
        (name, f"example {no}" if name == CLUSTER else "" if value is None else str(value))
        for name, value in example.key
    )


def _with_time(rule: Rule, row: Mapping[str, object]) -> dict[str, object]:
    """A row whose `day: 2` or `hour: 5` has become its table's time."""
    told = {name: value for name, value in row.items() if name not in {"day", "hour"}}
    if rule.time and rule.time not in told:
        step = row.get("day" if rule.step_s == DAY_S else "hour", 1)
        if not isinstance(step, int):
            raise ContractError(f"{step!r} is no number of a day or hour.", where=str(rule.file), do="write day: 1")
        start = datetime.combine(_FIRST_DAY, datetime.min.time())
        told[rule.time] = _FIRST_DAY + timedelta(days=step) if rule.step_s == DAY_S else start + timedelta(hours=step)
    return told


def _table(rule: Rule, rows: Sequence[Mapping[str, object]]) -> pa.Table:
    import pyarrow as pa

    kinds = {
        "varchar": pa.string(), "bigint": pa.int64(), "integer": pa.int32(), "double": pa.float64(), "boolean": pa.bool_(),
        "date": pa.date32(), "timestamp": pa.timestamp("us"), "decimal": pa.decimal128(18, 6),
    }  # fmt: skip
    columns = {}
    for name, written in rule.types.items():
        kind = kinds.get(written.split("(")[0])
        if kind is None:
            continue
        values = [row.get(name) for row in rows]
        try:
            columns[name] = pa.array(values, type=kind, from_pandas=False)
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise ContractError(
                f"an example's {name} is no {written}: {error}.", where=f"{rule.file}, examples", do="mend the example"
            ) from error
    return pa.table(columns)
