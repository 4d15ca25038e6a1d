"""Rules asked of published tables: each table is read once, each rule is one query, and what it says is worked out by step."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from gpulake.errors import ContractError, UsageError
from gpulake.judging import steps
from gpulake.judging.names import quoted
from gpulake.judging.rule import CLUSTER, Rule

if TYPE_CHECKING:
    import pyarrow as pa

_MOST_CELLS = 2_000_000
"""For so many things and steps at once it is worked out what is said."""
_STATES = np.array(["unknown", "clear", "firing"])
_OF_STEPS = frozenset({"_thing", "_first", "_t", "_when", "_until"})
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  UTC, as the lake stores it
_NO_TIME = np.iinfo(np.int64).min
_NOTHING: NDArray[np.int64] = np.zeros((6, 0), np.int64)


class Published(Protocol):
    """As much of a Publication as rules need."""

    def sql(self, query: str, params: Sequence[object] = ..., /) -> pa.Table:
        """The rows of a query."""
        ...

    def read_once(self, table: str, query: str, params: Sequence[object] = ..., /) -> AbstractContextManager[None]:
        """While it lasts, the name of a table means the rows of a query, which are in memory."""
        ...


Steps = Mapping[str | None, steps.Positions]
"""By cluster, the starts of the steps at which a table has rows (µs since 1970), in order."""
Limits = Mapping[str | None, datetime]
"""By cluster, the last step that may be seen."""


@dataclass(frozen=True)
class Wanted:
    """The steps that somebody wants to know of: the last one of each cluster, and those from a moment of the cluster on (None:
    none) at which a thing fires, or has until so long `after`.
    """

    last: bool = True
    since: Callable[[str | None], datetime | None] = lambda _cluster: None
    after: timedelta = timedelta()


@dataclass(frozen=True)
class Answer:
    """What a rule says, in the order of steps and things; or why it cannot be asked.

    The columns are `_t`, `_state`, `_since`, `_is_last`, and by its name each that names the thing or is shown.
    """

    rule: Rule
    said: pa.Table | UsageError | ContractError


def ask(
    published: Published,
    rules: Sequence[Rule],
    *,
    wanted: Callable[[Rule], Wanted] = lambda _rule: Wanted(),
    limits: Callable[[Rule], Limits] | None = None,
) -> list[Answer]:
    """What each rule says, in their order. A table that several rules are about is read once."""
    by_table: dict[tuple[str, str | None], list[Rule]] = defaultdict(list)
    for rule in rules:
        by_table[rule.table, rule.time].append(rule)
    answers = [each for some in by_table.values() for each in _asked(published, some, wanted=wanted, limits=limits)]
    order = {rule.name: no for no, rule in enumerate(rules)}
    return sorted(answers, key=lambda answer: order[answer.rule.name])


def _asked(
    published: Published,
    rules: Sequence[Rule],
    *,
    wanted: Callable[[Rule], Wanted],
    limits: Callable[[Rule], Limits] | None,
) -> list[Answer]:
    """What some rules over one table say."""
    table = rules[0].table
    try:
        with published.read_once(table, *_reading(rules, limits and limits(rules[0]))):
            there = steps_of(published, rules[0])
            return [_answer(published, rule, there, wanted=wanted(rule)) for rule in rules]
    except (UsageError, ContractError) as error:
        if len(rules) == 1:
            return [Answer(rules[0], error)]
    # A column that one of them needs may be missing: the others are not at fault.
    return [each for rule in rules for each in _asked(published, [rule], wanted=wanted, limits=limits)]


def _answer(published: Published, rule: Rule, there: Steps, *, wanted: Wanted) -> Answer:
    try:
        return Answer(rule, answer_of(published, rule, there, wanted=wanted))
    except (UsageError, ContractError) as error:
        return Answer(rule, error)


def _reading(rules: Sequence[Rule], limits: Limits | None) -> tuple[str, list[object]]:
    """The query for all that some rules over one table see."""
    time = rules[0].time and quoted(rules[0].time)
    columns = sorted({name for rule in rules for name in rule.columns})
    query = f"select {', '.join(map(quoted, columns))} from {quoted(rules[0].table)}"
    if limits is not None:
        query += " inner join (select unnest(?) as _cluster, unnest(?)::timestamp as _until) as limits"
        query += f" on {quoted(CLUSTER)} is not distinct from _cluster and {time}::timestamp <= _until"
    return (
        f"{query} where {time} is not null" if time else query,
        [] if limits is None else [list(limits), list(limits.values())],
    )


def steps_of(published: Published, rule: Rule) -> Steps:
    """The steps of a rule's table; where it has no time, one."""
    time = f"{quoted(rule.time)}::timestamp" if rule.time else "timestamp '1970-01-01'"
    rows = published.sql(f"select distinct {quoted(CLUSTER)} as _cluster, {time} as _t from {quoted(rule.table)}")
    names, name = _encoded(rows["_cluster"])
    starts = _numbers(rows["_t"])
    return {each: np.sort(starts[name == no]) for no, each in enumerate(names)}


def answer_of(published: Published, rule: Rule, there: Steps, *, wanted: Wanted = Wanted()) -> pa.Table:
    """What one rule says, as `Answer` has it. Raises UsageError where the query is at fault."""
    import pyarrow as pa

    rows = published.sql(rule.sql)
    seen = _Seen.of(rows)
    told = [each for name, starts in there.items() for each in _told(rule, seen, name, starts, wanted)]
    thing, row, start, state, since, is_last = np.concatenate([_NOTHING, *told], axis=1)
    keys = {name: rows[name].take(pa.array(seen.row_of[thing])) for name in rule.per}
    shown = [name for name in rows.column_names if name not in {*keys, *_OF_STEPS}]
    steps_ = {
        "_t": pa.array(start).cast(pa.timestamp("us")),
        "_state": pa.array(_STATES[state]),
        "_since": pa.array(since, mask=since == _NO_TIME).cast(pa.timestamp("us")),
        "_is_last": pa.array(is_last.astype(np.bool_)),
    }
    at_row = pa.array(row, mask=row < 0)
    found = pa.table({**steps_, **keys, **{name: rows[name].take(at_row) for name in shown}})
    return found.sort_by([("_t", "ascending"), *((name, "ascending") for name in rule.per)])


@dataclass(frozen=True)
class _Seen:
    """The rows of a rule's query in numbers: of each row its thing, step and condition; of each thing one row, its first
    step, whether its condition was ever true, and its cluster.
    """

    thing: steps.Positions
    start: steps.Positions
    condition: steps.Conditions
    row_of: steps.Positions
    first: steps.Positions
    ever: steps.Flags
    cluster: steps.Positions
    clusters: Sequence[str | None]

    @classmethod
    def of(cls, rows: pa.Table) -> _Seen:
        import pyarrow as pa
        import pyarrow.compute as pc

        false = pa.scalar(value=False)
        thing = rows["_thing"].to_numpy() - 1
        things = int(thing.max(initial=-1)) + 1
        when, until = (rows[name].fill_null(false).to_numpy() for name in ("_when", "_until"))
        not_known = pc.or_(pc.is_null(rows["_when"]), pc.is_null(rows["_until"])).to_numpy()
        row_of = np.zeros(things, np.int64)
        row_of[thing] = np.arange(len(thing))  # each thing has a row
        ever = np.zeros(things, np.bool_)
        ever[thing[when]] = True
        clusters, cluster = _encoded(rows[CLUSTER])
        return cls(
            thing=thing,
            start=_numbers(rows["_t"]),
            condition=steps.conditions(when, not_known, until),
            row_of=row_of,
            first=_numbers(rows["_first"])[row_of],
            ever=ever,
            cluster=cluster[row_of],
            clusters=clusters,
        )


def _told(
    rule: Rule, seen: _Seen, name: str | None, starts: steps.Positions, wanted: Wanted
) -> Iterator[NDArray[np.int64]]:
    """What is told of one cluster: thing, row (-1: none), start of the step, state, since when, and whether it is the last step."""
    settled = starts[starts <= starts[-1] - _us(timedelta(seconds=rule.settle_steps * (rule.step_s or 0)))]
    if name not in seen.clusters or not len(settled):
        return
    own = (seen.cluster == seen.clusters.index(name)) & (seen.first <= settled[-1])
    # Of a thing whose condition was never true, the last step says all.
    for some, at in ((own & seen.ever, settled), (own & ~seen.ever, settled[-1:])):
        things = np.flatnonzero(some)
        for few in np.array_split(things, 1 + len(things) * len(at) // _MOST_CELLS):
            yield _told_of(rule, seen, few, at, wanted=wanted, since=wanted.since(name))


def _told_of(
    rule: Rule,
    seen: _Seen,
    things: steps.Positions,
    at: steps.Positions,
    *,
    wanted: Wanted,
    since: datetime | None,
) -> NDArray[np.int64]:
    """What is told of some things of a cluster at the steps `at`: a line for each thing, a column for each step."""
    line = np.full(len(seen.row_of), -1)
    line[things] = np.arange(len(things))
    column = np.searchsorted(at, seen.start).clip(max=len(at) - 1)
    here = (line[seen.thing] >= 0) & (at[column] == seen.start)
    row = np.full((len(things), len(at)), -1)
    row[line[seen.thing[here]], column[here]] = np.flatnonzero(here)
    is_there = at >= seen.first[things][:, None]
    without = np.where(is_there & rule.missing_is_clear, steps.OVER, steps.UNKNOWN)
    found = np.where(row >= 0, seen.condition[row], without)
    said = steps.said(found, for_steps=rule.for_steps, clear_steps=rule.clear_steps)
    is_last = np.broadcast_to(np.arange(len(at)) == len(at) - 1, row.shape)
    told = is_last & wanted.last
    if since is not None:
        told_until = np.where(said.fired_last >= 0, at[said.fired_last] + _us(wanted.after), _NO_TIME)
        told = told | (at >= _us(since - _EPOCH)) & (at <= told_until)
    cells = np.nonzero(told & is_there)
    which, when = cells
    state = said.known.astype(np.int64) + said.fires
    begun = np.where(said.since >= 0, at[said.since], _NO_TIME)
    return np.stack([things[which], row[cells], at[when], state[cells], begun[cells], is_last[cells]])


def _encoded(column: pa.ChunkedArray) -> tuple[list[str | None], steps.Positions]:
    """The texts of a column, and which of them each row has."""
    encoded = column.combine_chunks().dictionary_encode(null_encoding="encode")
    return encoded.dictionary.to_pylist(), encoded.indices.to_numpy().astype(np.int64)


def _numbers(times: pa.ChunkedArray) -> steps.Positions:
    found: steps.Positions = times.cast("timestamp[us]").cast("int64").to_numpy()
    return found


def _us(length: timedelta) -> int:
    return length // timedelta(microseconds=1)
