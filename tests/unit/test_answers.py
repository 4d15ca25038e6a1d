"""What was answered is given again, as long as there is room for it."""

from __future__ import annotations

import duckdb
import pyarrow as pa
import pytest

from gpulake.errors import UsageError
from gpulake.lake import Answers


def _rows(number: int) -> pa.Table:
    return pa.table({"n": [number] * 100})  # 800 bytes


def _refuse() -> pa.Table:
    raise UsageError("asked again")


def test_a_question_is_asked_once() -> None:
    answers = Answers()
    assert answers.of("q", [1], lambda: _rows(1)) == _rows(1)
    assert answers.of("q", [1], _refuse) == _rows(1)
    assert answers.of("q", ["1"], lambda: _rows(2)) == _rows(2), "another value is another question"
    assert answers.of("p", [1], lambda: _rows(3)) == _rows(3)


def test_a_failure_is_no_answer() -> None:
    answers = Answers()
    with pytest.raises(UsageError):
        answers.of("q", [], _refuse)
    assert answers.of("q", [], lambda: _rows(1)) == _rows(1)


def test_those_asked_for_last_stay() -> None:
    answers = Answers(room_b=2_500)  # 800 bytes of numbers each, and what tells a reader what they are
    for query in "abac":
        answers.of(query, [], lambda: _rows(0))
    assert answers.of("a", [], _refuse) == _rows(0)
    with pytest.raises(UsageError):
        answers.of("b", [], _refuse)


def test_a_question_without_rows_takes_room_too() -> None:
    answers = Answers(room_b=10_000)
    empty = pa.table({"n": pa.array([], pa.int64())})
    for length in (6_000, 5_000):
        answers.of("q" * length, [], lambda: empty)
    with pytest.raises(UsageError):
        answers.of("q" * 6_000, [], _refuse)
    assert answers.of("q" * 5_000, [], _refuse) == empty


def test_an_answer_takes_the_room_of_its_rows() -> None:
    """DuckDB's own answer of one row holds room for two thousand, which no count of its bytes tells."""
    columns = ", ".join(f"range * {n} AS n{n}" for n in range(40))
    answers, before = Answers(), pa.total_allocated_bytes()
    with duckdb.connect() as lake:
        for n in range(100):
            rows = answers.of(
                f"q{n}", [], lambda n=n: lake.execute(f"SELECT {columns} FROM range({n}, {n} + 1)").to_arrow_table()
            )
            assert rows["n1"].to_pylist() == [n]
    del rows
    assert answers.of("q7", [], _refuse)["n2"].to_pylist() == [14]
    assert sum(map(len, answers._kept.values())) < 100 * 20_000
    assert all(type(kept) is bytes for kept in answers._kept.values())
    assert pa.total_allocated_bytes() - before < 1_000_000


def test_a_file_somebody_fetches_is_not_kept() -> None:
    answers = Answers()
    large = pa.table({"n": pa.array(range(600_000))})  # 4.8 MB
    answers.of("q", [], lambda: large)
    with pytest.raises(UsageError):
        answers.of("q", [], _refuse)
