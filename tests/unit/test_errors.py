"""The error tree: programs branch on exit codes, people read what, where and what to do."""

from __future__ import annotations

import inspect

import pytest

from gpulake import errors
from gpulake.errors import GpulakeError

CODES = {
    "UsageError": 2,
    "SourceError": 10,
    "ContractError": 11,
    "DataTestError": 12,
    "LockError": 13,
    "DeliveryError": 14,
    "LakeError": 15,
    "StoppedError": 130,
    "EndedError": 143,
}


def test_every_family_has_its_own_published_exit_code():
    """A scheduler decides by the exit code whether to try again: two families must never share one."""
    families = {
        name: kind.exit_code
        for name, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, GpulakeError) and kind is not GpulakeError
    }

    assert CODES == families


@pytest.mark.parametrize(("name", "code"), CODES.items())
def test_the_drawing_on_top_of_the_module_is_true(name, code):
    """It is the first thing a reader sees."""
    (line,) = (line for line in errors.__doc__.splitlines() if f"{name} " in line)

    assert f" {code} " in line


def test_an_error_says_what_where_and_what_to_do():
    """One look is enough to act; for machines the same facts are apart."""
    error = errors.SourceError("the file is empty.", where="a.csv", do="fetch it again")

    assert "the file is empty. Where: a.csv. Do: fetch it again." == str(error)
    assert {
        "kind": "SourceError",
        "exit_code": 10,
        "what": "the file is empty.",
        "where": "a.csv",
        "do": "fetch it again",
    } == error.as_json()


def test_what_is_not_known_is_left_out():
    """No empty "Where:" for people."""
    assert "it broke." == str(GpulakeError("it broke."))
