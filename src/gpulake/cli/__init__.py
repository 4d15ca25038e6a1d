"""The command line: `gpulake COMMAND`. Each group of commands is one file; importing this loads no heavy library."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import nullcontext

import typer
from typer.exceptions import TyperException

from gpulake.cli import (
    alerts,
    boards,
    collect,
    data,
    doctor,
    edge,
    init,
    look,
    own,
    reports,
    rules,
    simulating,
    steps,
    streams,
    tend,
    web,
)
from gpulake.cli.little import load_little
from gpulake.errors import GpulakeError, StoppedError, UsageError

app = typer.Typer(
    name="gpulake",
    help="A lakehouse for GPU training clusters: figures that add up.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
for group in (
    init,
    doctor,
    data,
    simulating,
    own,
    collect,
    streams,
    steps,
    reports,
    look,
    web,
    boards,
    rules,
    alerts,
    tend,
):
    group.register(app)


@app.callback()
def _root(
    ctx: typer.Context,
    version: bool = typer.Option(False, "--version", help="Print the version."),
) -> None:
    if version:
        from importlib.metadata import version as version_of

        edge.put(f"gpulake {version_of('gpulake')}")
        raise typer.Exit
    if ctx.invoked_subcommand is None:
        edge.put(ctx.get_help())


def main(args: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; an exception that leaves here is a bug of ours."""
    load_little()
    words = list(sys.argv[1:] if args is None else args)
    as_json = "--json" in (words[: words.index("--")] if "--" in words else words)
    if as_json:
        sys.excepthook = edge.show_bug_as_json
    edge.open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        # A terminal without UTF-8 gets "?" for a bar or a rule, not a crash.
        getattr(stream, "reconfigure", lambda **_: None)(errors="replace")
    try:
        with edge.ended_as_by_ctrl_c() if as_json else nullcontext():
            return _run(words)
    except TyperException as error:
        return edge.show_error(_usage_error(error), as_json=as_json)
    except GpulakeError as error:
        return edge.show_error(error, as_json=as_json)


def _run(words: list[str]) -> int:
    """The command's exit code. Raises StoppedError after Ctrl-C, which Typer and DuckDB tell in ways of their own."""
    try:
        code: int = typer.main.get_command(app).main(args=words, prog_name="gpulake", standalone_mode=False) or 0
    except KeyboardInterrupt:
        code = StoppedError.exit_code
    except RuntimeError as error:
        if str(error) != "Query interrupted":  # so DuckDB tells of Ctrl-C
            raise
        code = StoppedError.exit_code
    if code == StoppedError.exit_code:
        raise StoppedError("stopped by Ctrl-C.", do="run it again: it goes on from there")
    return code


def _usage_error(error: TyperException) -> UsageError:
    context = getattr(error, "ctx", None)  # only usage errors carry one
    command = context.command_path if context is not None else "gpulake"
    return UsageError(error.format_message(), where=command, do=f"{command} --help")
