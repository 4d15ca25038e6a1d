"""What was answered is given again, as long as there is room for it."""

from __future__ import annotations

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
    answers = Answers(room_b=2_000)
    for query in "abac":
        answers.of(query, [], lambda: _rows(0))
    assert answers.of("a", [], _refuse) == _rows(0)
    with pytest.raises(UsageError):
        answers.of("b", [], _refuse)


def test_a_question_without_rows_takes_room_too() -> None:
    answers = Answers(room_b=1_000)
    empty = pa.table({"n": pa.array([], pa.int64())})
    for length in (600, 500):
        answers.of("q" * length, [], lambda: empty)
    with pytest.raises(UsageError):
        answers.of("q" * 600, [], _refuse)
    assert answers.of("q" * 500, [], _refuse) == empty


def test_a_file_somebody_fetches_is_not_kept() -> None:
    answers = Answers()
    large = pa.table({"n": pa.array(range(600_000))})  # 4.8 MB
    answers.of("q", [], lambda: large)
    with pytest.raises(UsageError):
        answers.of("q", [], _refuse)
