"""Commands that read: status, quarantine, verify, explain, diff, diff-definitions, sql, export, shell, docs.

None of them changes the lake, but for `quarantine --replay`.
"""

from __future__ import annotations

import csv
import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gpulake.cli import edge
from gpulake.errors import UsageError
from gpulake.telling.cells import visible

if TYPE_CHECKING:
    import pyarrow as pa


def register(app: typer.Typer) -> None:
    """Add this group's commands, in the order that --help lists them."""
    for command in (status, quarantine, explain, diff, diff_definitions, sql, export, shell, verify, docs):
        app.command()(command)


def status(lake: edge.LakeOption = None, as_json: edge.JsonOption = False) -> None:
    """Show what the lake holds: tables, rows, bytes, days, last landing, last build, publication."""
    from gpulake import pipeline

    edge.answer(pipeline.status(edge.config_of(lake)), as_json=as_json)


def quarantine(
    lake: edge.LakeOption = None,
    lines: Annotated[
        int, typer.Option("--lines", metavar="N", min=0, help="How many lines to show of each reason.")
    ] = 3,
    replay: Annotated[
        bool, typer.Option("--replay", help="Read refused rows once more, as the source says today, and publish.")
    ] = False,
    wait_s: edge.WaitOption = 0.0,
    as_json: edge.JsonOption = False,
) -> None:
    """List refused rows and implausible values by reason, each with its line as delivered."""
    from gpulake import pipeline

    config = edge.config_of(lake)
    if not replay:
        edge.answer(pipeline.quarantine(config, lines=lines), as_json=as_json)
        return
    with edge.Screen().closing() as screen:
        result = pipeline.replay(config, wait_s=wait_s, progress=screen.step)
    edge.answer(result, as_json=as_json)


def verify(
    lake: edge.LakeOption = None,
    deep: Annotated[bool, typer.Option("--deep", help="Also run every data test over every published row.")] = False,
    wait: edge.WaitOption = 0.0,
    as_json: edge.JsonOption = False,
) -> None:
    """Check the catalog against the files, row counts against landings, and every kept publication."""
    from gpulake import pipeline

    edge.answer(pipeline.verify(edge.config_of(lake), deep=deep, wait_s=wait), as_json=as_json)


def explain(
    table: Annotated[str, typer.Argument(metavar="TABLE", help="A gold or silver table.")],
    column: Annotated[str, typer.Argument(metavar="COLUMN", help="The figure.")],
    key: Annotated[
        list[str], typer.Option("--key", metavar="COLUMN=VALUE", help="Whose figure; once per key column.")
    ] = [],  # noqa: B006  # Typer copies it
    as_of: Annotated[
        int | None, typer.Option("--as-of", metavar="BUILD", help="Also what this build showed, and what moved it.")
    ] = None,
    lake: edge.LakeOption = None,
    as_json: edge.JsonOption = False,
) -> None:
    """Say where a published figure comes from: definition, parts, coverage, build, landings, SQL."""
    from gpulake import pipeline

    explained = pipeline.explain(edge.config_of(lake), table=table, column=column, key=key, as_of=as_of)
    edge.answer(explained, as_json=as_json)


def diff(
    first: Annotated[int | None, typer.Argument(metavar="BUILD", help="The older build.")] = None,
    second: Annotated[int | None, typer.Argument(metavar="BUILD", help="The newer one. [default: today's]")] = None,
    lake: edge.LakeOption = None,
    as_json: edge.JsonOption = False,
) -> None:
    """List which published figures differ between two builds; of none given, the last two."""
    from gpulake import pipeline

    edge.answer(pipeline.diff(edge.config_of(lake), first=first, second=second), as_json=as_json)


def diff_definitions(
    cluster: Annotated[str | None, typer.Option("--cluster", metavar="NAME", help="This cluster only.")] = None,
    job: Annotated[
        str | None, typer.Option("--job", metavar="ID", help="One job instead of the whole cluster.")
    ] = None,
    lake: edge.LakeOption = None,
    as_json: edge.JsonOption = False,
) -> None:
    """Show utilisation as other tools define it, beside ours, and what each definition hides."""
    from gpulake.lake import open_publication
    from gpulake.reading import definitions

    with open_publication(edge.config_of(lake).lake) as publication:
        found = definitions.read(publication, cluster=cluster, job=job)
    edge.answer(found, as_json=as_json)


def sql(
    query: Annotated[str, typer.Argument(metavar="QUERY", help="One SQL query, as: select * from silver_jobs limit 5")],
    lake: edge.LakeOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array of rows.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV with a header row.")] = False,
) -> None:
    """Ask the publication, read-only: files outside the lake cannot be reached."""
    from gpulake.lake import open_publication

    if as_json and as_csv:
        raise UsageError("--json and --csv exclude each other.", where="gpulake sql", do="choose one")
    with open_publication(edge.config_of(lake).lake) as publication:
        # Bytes that this machine's language setting cannot read arrive as half characters.
        table = publication.ask(os.fsencode(query).decode("utf-8", "replace"))
    if as_json:
        edge.put_json(_distinctly_named(table).to_pylist())
    elif as_csv:
        _write_csv(table)
    else:
        edge.put("\n".join(_text_lines(table)))


def _distinctly_named(table: pa.Table) -> pa.Table:
    """A join's second `dt` becomes `dt_1`, as DuckDB names it: a JSON object holds each name once."""
    names: list[str] = []
    for name in table.column_names:
        free = (f"{name}_{number}" for number in count(1) if f"{name}_{number}" not in table.column_names)
        names.append(next(other for other in chain([name], free) if other not in names))
    return table.rename_columns(names)


def _write_csv(table: pa.Table) -> None:
    with edge.standard_output() as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(table.column_names)
        for batch in table.to_batches():
            columns = [column.to_pylist() for column in batch.columns]
            writer.writerows([edge.plain(value) for value in row] for row in zip(*columns, strict=True))


def _text_lines(table: pa.Table) -> list[str]:
    columns = [column.to_pylist() for column in table.columns]
    is_number = [all(isinstance(value, int | float | None) for value in column) for column in columns]
    cells = [[_cell(value) for value in column] for column in columns]
    widths = [max(len(name), *map(len, column), 0) for name, column in zip(table.column_names, cells, strict=True)]

    def line(texts: Sequence[str]) -> str:
        padded = (
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(texts, widths, is_number, strict=True)
        )
        return "  ".join(padded).rstrip()

    rule = "  ".join("─" * width for width in widths)
    return [line(table.column_names), rule, *(line(row) for row in zip(*cells, strict=True))]


def _cell(value: object) -> str:
    return "null" if value is None else visible(str(edge.plain(value)), keep="")


def export(
    duckdb: Annotated[Path | None, typer.Option("--duckdb", metavar="FILE", help="The DuckDB file to write.")] = None,
    parquet: Annotated[
        Path | None, typer.Option("--parquet", metavar="DIR", help="The folder of Parquet files to write.")
    ] = None,
    bronze: Annotated[bool, typer.Option("--bronze", help="The bronze tables too.")] = False,
    lake: edge.LakeOption = None,
    as_json: edge.JsonOption = False,
) -> None:
    """Write the publication into one DuckDB file, or as Parquet files that any engine reads."""
    from gpulake.reading import export as exporting

    config = edge.config_of(lake)
    match duckdb, parquet:
        case Path() as file, None:
            with edge.writing_to(file):
                exported = exporting.to_duckdb(config.lake, file, with_bronze=bronze)
        case None, Path() as folder:
            with edge.writing_to(folder):
                exported = exporting.to_parquet(config.lake, folder, with_bronze=bronze)
        case _:
            raise UsageError(
                "one thing is written at a time.", where="gpulake export", do="choose --duckdb FILE or --parquet DIR"
            )
    edge.answer(exported, as_json=as_json)


def shell(lake: edge.LakeOption = None) -> None:
    """Open the publication in the DuckDB shell, read-only; without that program, say how to get it and run it."""
    from gpulake.reading.export import shell_setup

    setup = shell_setup(edge.config_of(lake).lake)
    program = _duckdb_program()
    if program is None:
        edge.put(
            "The DuckDB shell is not installed: python3 -m pip install duckdb-cli==1.5.5, then\n"
            + (shlex.join(["duckdb", "-cmd", setup]) if set(setup) & set('"$`\\!') else f'duckdb -cmd "{setup}"')
        )
        return
    sys.stdout.flush()
    os.execv(program, [program, "-cmd", setup])  # noqa: S606  found on PATH or beside this Python


def _duckdb_program() -> str | None:
    """The shell on PATH, or the one that the package duckdb-cli put beside this Python."""
    return shutil.which("duckdb") or shutil.which("duckdb", path=str(Path(sys.executable).parent))


def docs(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder to write into.")] = Path("docs-site"),
    as_json: edge.JsonOption = False,
) -> None:
    """Write the tables' documentation as a static site that opens without a server."""
    from gpulake.dbt import warehouse

    with edge.writing_to(out):
        index = warehouse.docs(out)
    if as_json:
        edge.put_json({"index": str(index), "error": None})
    else:
        edge.put(f"open {index}")
