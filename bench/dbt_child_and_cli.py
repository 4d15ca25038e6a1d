"""dbt in our child process, beside dbt's command line: the same project, selection and lake, its parse cache warm."""

from __future__ import annotations

import os
from pathlib import Path

from bench.measure import GPULAKE, Cost, Target, compare, run, run_script
from bench.traces import fresh, trace

SMALL = 0.005
"""So small that the models' SQL hardly counts."""


def build_in_child(lake: str, *words: str) -> None:
    """Start the child, and ask it for each command."""
    from gpulake.warehouse import Warehouse

    with Warehouse(Path(lake), lock_fd=None) as dbt:
        for word in words:
            result = dbt.dbt([word, "--quiet", "--no-write-json"])
            if not result.ok:
                raise SystemExit(result.why())


def build_by_command(lake: str, *words: str) -> None:
    """dbt's own command line, once per command."""
    from gpulake import warehouse

    descriptor = os.open("/dev/null", os.O_RDONLY)
    for word in words:
        code = warehouse.run_by_hand(Path(lake), ["--quiet", word, "--target", "write"], lock_fd=descriptor)
        if code:
            raise SystemExit(code)


def main() -> None:
    """One build; and a run and a test, which a refresh needs in this order."""
    lake = fresh("dbt")
    run([GPULAKE, "refresh", "--data", str(trace(scale=SMALL)), "--lake", str(lake), "--json"])
    run_script(build_by_command, lake, "run")  # warms the parse cache of both

    def by(script: object, *words: str) -> Cost:
        return run_script(script, lake, *words)[0]

    for words in (("run",), ("run", "test")):
        compare(
            f"dbt {' and '.join(words)}: child process / command line, warm",
            ("child process", lambda words=words: by(build_in_child, *words)),
            ("dbt command line", lambda words=words: by(build_by_command, *words)),
            cpu=Target(0.7, 0.56),
        )


if __name__ == "__main__":
    main()
