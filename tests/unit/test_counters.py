"""Counters of errors: restarts and samples that are missing neither make an error nor hide one that could be seen."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jinja2 import Environment

from gpulake.lake import in_memory

DAY_S = 86_400
MACROS = (Path(__file__).parents[2] / "warehouse" / "macros" / "gpus.sql").read_text(encoding="utf-8")


def macro(name: str, *arguments: str) -> str:
    """What a macro makes of its arguments; it must call no other."""
    body = re.search(rf"{{% macro {name}\(.*?endmacro %}}", MACROS, re.DOTALL)
    assert body
    return str(getattr(Environment().from_string(body[0]).module, name)(*arguments))


GROWN = f"""
    select device, {macro("counted_since", "counter", "previous", "at_s - previous_s")} as grown
    from (
        select *, lag(counter) over in_time as previous, lag(at_s) over in_time as previous_s
        from samples
        window in_time as (partition by device order by at_s)
    )
    order by device, at_s
"""


@dataclass(frozen=True)
class Step:
    """What happens between two moments: time passes, errors come, the driver starts anew, more errors come; is the second seen?"""

    passes_s: int
    errors: int
    restarts: bool
    errors_after: int
    is_seen: bool


steps = st.lists(
    st.builds(
        Step,
        passes_s=st.sampled_from([1, 30, 3_600, DAY_S, DAY_S + 1]),
        errors=st.integers(0, 3),
        restarts=st.booleans(),
        errors_after=st.integers(0, 3),
        is_seen=st.booleans(),
    ),
    max_size=12,
)


@dataclass(frozen=True)
class Told:
    """A step between two samples that were seen: what the counter grew by, what came, and what of that no counter can show."""

    grown: float | None
    came: int
    lost: int
    gap_s: int
    restarts: bool


START = 5
"""What a device's counter has had at its first sample."""


def lived(history: list[Step]) -> tuple[list[tuple[int, int]], list[Told]]:
    """The samples of a device that are seen, and what is true between each and the next."""
    at_s, counter = 0, START
    samples, truths = [(at_s, counter)], []
    came = lost = gap_s = since_seen = 0
    restarts = False
    for step in history:
        after = step.errors_after if step.restarts else 0
        at_s, gap_s = at_s + step.passes_s, gap_s + step.passes_s
        came += step.errors + after
        if step.restarts:
            lost, since_seen, counter, restarts = lost + since_seen + step.errors, after, after, True
        else:
            since_seen, counter = since_seen + step.errors, counter + step.errors
        if step.is_seen:
            samples.append((at_s, counter))
            truths.append(Told(None, came, lost, gap_s, restarts))
            came = lost = gap_s = since_seen = 0
            restarts = False
    return samples, truths


def told(fleet: list[list[Step]]) -> list[list[Told]]:
    """Each device's steps by the warehouse's own expression, beside what was true."""
    lives = [lived(history) for history in fleet]
    rows = [(device, *sample) for device, (samples, _) in enumerate(lives) for sample in samples]
    columns = {
        name: pa.array(values)
        for name, values in zip(("device", "at_s", "counter"), zip(*rows, strict=True), strict=True)
    }
    with in_memory({"samples": pa.table(columns)}) as duck:
        grown = [row["grown"] for row in duck.sql(GROWN).to_pylist()]
    found = []
    for samples, truths in lives:
        mine, grown = grown[: len(samples)], grown[len(samples) :]
        assert mine[0] is None, "what was before the first sample is not known"
        found.append([replace(truth, grown=value) for value, truth in zip(mine[1:], truths, strict=True)])
    return found


@settings(max_examples=12, deadline=None)
@given(st.lists(steps, min_size=1, max_size=8))
@example([[Step(30, 0, True, 3, True)], [Step(30, 3, True, 0, True)], [Step(30, 9, True, 9, True)]])
@example([[Step(30, 1, False, 0, False), Step(30, 2, False, 0, True)]])
@example([[Step(DAY_S, 1, False, 0, True), Step(DAY_S + 1, 1, False, 0, True)]])
def test_no_error_is_made_and_none_that_a_counter_shows_is_hidden(fleet):
    """A restart that looks like errors pages somebody at night; errors that a restart swallows ruin a job a day later.

    Lost are errors between the last sample and a restart: no counter ever shows them. A restart that nobody can see, since
    as many errors came after it as the counter had before, takes those away, and no more.
    """
    for device in told(fleet):
        before = START
        for each in device:
            shown = each.came - each.lost
            if each.gap_s > DAY_S:
                assert each.grown is None, "after a day without a sample nobody knows"
            elif not each.restarts:
                assert each.grown == each.came, "samples that are missing between two that are there hide nothing"
            else:
                assert each.grown == (shown if shown < before else shown - before)
                assert 0 <= each.grown <= each.came
            before = shown if each.restarts else before + each.came


@settings(max_examples=5, deadline=None)
@given(st.lists(steps, min_size=1, max_size=8))
def test_a_fleet_without_errors_has_none(fleet):
    """Whatever restarts and goes missing."""
    quiet = [[replace(step, errors=0, errors_after=0) for step in history] for history in fleet]
    assert {0, None} >= {each.grown for device in told(quiet) for each in device}
