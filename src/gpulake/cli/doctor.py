"""The command that says what is wrong: doctor."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from gpulake.cli import edge

if TYPE_CHECKING:
    from gpulake.doctor.examining import Diagnosis


def register(app: typer.Typer) -> None:
    """Add this group's command."""
    app.command()(doctor)


def doctor(lake: edge.LakeOption = None, as_json: edge.JsonOption = False) -> None:
    """Look at the settings, the lake and each source that they name: what does not work, and what to do. Changes nothing."""
    from gpulake.doctor import examining

    with edge.Screen().closing() as screen:
        diagnosis = examining.examine(lambda: edge.config_of(lake), environ=os.environ, tell=screen.live)
    if as_json:
        edge.put_json(diagnosis.as_json())
    else:
        edge.put("\n".join(_lines(diagnosis)))
    if diagnosis.error is not None:
        raise typer.Exit(diagnosis.error.exit_code)


def _lines(diagnosis: Diagnosis) -> Iterator[str]:
    from textwrap import wrap

    from gpulake.doctor import State
    from gpulake.telling.text import WIDTH
    from gpulake.telling.words import counted

    width = max(len(of) for of, _ in diagnosis.found)
    indent = " " * (width + 8)
    last = ""
    for of, found in diagnosis.found:
        head = f"{found.state.value.upper() if found.state is State.FAIL else found.state.value:<4}  "
        name = of if of != last else ""
        last = of
        yield from wrap(found.what, WIDTH, initial_indent=f"{head}{name:<{width}}  ", subsequent_indent=indent)
        if found.do:
            yield from wrap(f"do: {found.do}", WIDTH, initial_indent=indent, subsequent_indent=f"{indent}    ")
    states = [found.state for _, found in diagnosis.found]
    failures, warnings = states.count(State.FAIL), states.count(State.WARN)
    if failures or warnings:
        yield f"{counted(failures, 'failure')}, {counted(warnings, 'warning')}"
    else:
        yield "all is well"
