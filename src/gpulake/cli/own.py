"""Commands for data of one's own: template, check."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Annotated

import typer

from gpulake.cli import edge

if TYPE_CHECKING:
    from gpulake.landing import FileChecked
    from gpulake.pipeline import CheckResult


def register(app: typer.Typer) -> None:
    """Add this group's commands, in the order that --help lists them."""
    app.command()(template)
    app.command()(check)


def template(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder to write into.")],
    as_json: edge.JsonOption = False,
) -> None:
    """Write what plain data looks like: empty files, a JSON schema of each table, and one filled day."""
    from gpulake import templates

    with edge.writing_to(out):
        written = templates.write(out)
    if as_json:
        edge.put_json({**written.as_json(), "error": None})
        return
    edge.put(
        f"{len(written.empty)} empty files in {out / 'empty'}, their JSON schemas in {out / 'schema'}\n"
        f"one day of two machines and three jobs in {out / 'example'}\n"
        f"next: gpulake check {out / 'example'}"
    )


def check(
    data: Annotated[Path, typer.Argument(metavar="DIR", help="The folder, or file, to look at.")],
    source: Annotated[
        str | None, typer.Option("--source", metavar="NAME", help="Its format. [default: recognised from the files]")
    ] = None,
    cluster: Annotated[
        str | None, typer.Option("--cluster", metavar="NAME", help="Whose it is. [default: the source's name]")
    ] = None,
    as_json: edge.JsonOption = False,
) -> None:
    """Say what is wrong with a delivery, and what more would tell more, before anything lands."""
    from gpulake import pipeline

    result = pipeline.check(edge.config_of(None), data=data, source=source, cluster=cluster)
    if as_json:
        edge.put_json(result.as_json())
    else:
        edge.put("\n".join(_lines(result)))
        if result.error is not None and not result.checked.refused:
            edge.tell_error(result.error)
    if result.error is not None:
        raise typer.Exit(result.error.exit_code)


def _lines(result: CheckResult) -> Iterator[str]:
    from gpulake.telling.text import text_table
    from gpulake.telling.words import counted

    checked = result.checked
    rows = [
        [each.file, each.table, *(f"{count:,}" for count in (each.rows_in, each.rows_kept, each.rows_refused))]
        for each in checked.files
    ]
    if rows:
        yield from text_table(["file", "table", "rows", "good", "refused"], rows, right={2, 3, 4})
    for each in checked.files:
        yield from _of_file(each)
    if checked.refused:
        yield "\nrefused whole:"
    for refused in checked.refused:
        yield from _wrapped(f"{refused.path.name}: {refused.error.what}")
        if refused.error.do:
            yield from _wrapped(f"do: {refused.error.do}", further=2)
    if checked.unrecognised:
        yield "\nleft alone:"
    for reason, others in groupby(
        sorted(checked.unrecognised, key=lambda other: other.reason), lambda other: other.reason
    ):
        yield from _wrapped(f"{', '.join(other.path.name for other in others)}: {reason}")
    if checked.doubts:
        yield "\ndoubtful, though it would land:"
    for doubt in checked.doubts:
        place = f" (first: {doubt.where})" if doubt.where else ""
        yield from _wrapped(f"{doubt.table}: {counted(doubt.rows, 'row')}{place}: {doubt.what}")
        if doubt.do:
            yield from _wrapped(f"do: {doubt.do}", further=2)
    if result.unlocks:
        yield "\nwhat more would tell:"
    for need in result.unlocks:
        yield from _wrapped(f"{need.needs}: {need.unlocks}")
    yield _verdict(result)


def _of_file(each: FileChecked) -> Iterator[str]:
    from gpulake.telling.words import counted

    for reason in each.reasons:
        yield from _wrapped(f"{each.file}:{reason.first_row}: {counted(reason.rows, 'row')} refused: {reason.what}")
        yield f"      {reason.example[:90]}"
    if each.left:
        names = (f"{name} (is {meant} meant?)" if meant else name for name, meant in each.left.items())
        yield from _wrapped(f"{each.file}: no column takes {', '.join(names)}")
    if each.missing:
        gaps = ", ".join(f"{count:,} × {name}" for name, count in each.missing.items())
        yield from _wrapped(f"{each.file}: not in every row: {gaps}")
    if each.times_unknown:
        told = counted(each.times_unknown, "local time")
        yield from _wrapped(
            f"{each.file}: {told} of {each.time_zone} in the hour that clocks show twice, or skip: not known"
        )


def _verdict(result: CheckResult) -> str:
    from gpulake.telling.words import counted

    checked = result.checked
    good = sum(each.rows_kept for each in checked.files)
    bad = sum(each.rows_refused for each in checked.files)
    told = f"\n{counted(good, 'row')} would land, {bad:,} would be refused"
    if checked.refused:
        told += f", and so would {counted(len(checked.refused), 'file')} whole"
    return f"{told}; {counted(len(checked.doubts), 'doubt')}"


def _wrapped(text: str, *, further: int = 0) -> list[str]:
    from gpulake.telling.text import WIDTH

    return wrap(text, WIDTH, initial_indent=" " * (2 + further), subsequent_indent=" " * (4 + further))
