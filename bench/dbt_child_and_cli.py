"""dbt in our child process, beside dbt's command line: the same project, selection and lake, its parse cache warm."""

from __future__ import annotations

import os
from pathlib import Path

from bench.measure import GPULAKE, Target, compare, run, run_script
from bench.traces import fresh, trace

SMALL = 0.005
"""So small that the models' SQL hardly counts."""


BUILD = ("build", "--full-refresh", "--exclude-resource-type", "test", "unit_test")
TEST = ("test", "--select", "test_type:data", "--exclude", "tag:by_hand")


def build_in_child(lake: str, *, test: bool) -> None:
    """As a refresh does it: start the child, build everything, test that version."""
    from gpulake.dbt.warehouse import Warehouse
    from gpulake.lake import writing

    with (
        writing(Path(lake), purpose="bench") as writer,
        Warehouse(Path(lake), writer=writer) as dbt,
    ):
        results = [dbt.build(full=True)]
        if test:
            results.append(dbt.test(version=writer.version()))
    if not all(result.ok for result in results):
        raise SystemExit([result.why() for result in results])


def build_and_test_in_child(lake: str) -> None:
    """Both, in the same child."""
    build_in_child(lake, test=True)


def only_build_in_child(lake: str) -> None:
    """The build alone."""
    build_in_child(lake, test=False)


def build_by_command(lake: str) -> None:
    """The same by dbt's own command line."""
    _command(lake, BUILD)


def build_and_test_by_command(lake: str) -> None:
    """Once per command."""
    _command(lake, BUILD)
    _command(lake, TEST)


def _command(lake: str, arguments: tuple[str, ...]) -> None:
    from gpulake.dbt import warehouse

    descriptor = os.open("/dev/null", os.O_RDONLY)
    code = warehouse.run_by_hand(Path(lake), [*arguments, "--quiet", "--target", "write"], lock_fd=descriptor)
    if code:
        raise SystemExit(code)


def main() -> None:
    """One build; and a build and a test, which a refresh needs in this order."""
    lake = fresh("dbt")
    run([GPULAKE, "refresh", "--data", str(trace(scale=SMALL)), "--lake", str(lake), "--json"])
    run_script(build_by_command, lake)  # warms the parse cache of both

    for what, child, command in (
        ("build", only_build_in_child, build_by_command),
        ("build and test", build_and_test_in_child, build_and_test_by_command),
    ):
        compare(
            f"dbt {what}: child process / command line, warm",
            ("child process", lambda child=child: run_script(child, lake)[0]),
            ("dbt command line", lambda command=command: run_script(command, lake)[0]),
            cpu=Target(0.7, 0.56),
        )


if __name__ == "__main__":
    main()
