"""A refresh that finds nothing new, beside the full one before it."""

from __future__ import annotations

import sys

from bench.measure import GPULAKE, ROUNDS, Target, run, run_script, tell
from bench.traces import SCALE, fresh, trace

HEAVY = ("dbt", "sklearn", "polars", "pandas", "prefect", "vl_convert")


def again(data: str, lake: str) -> dict[str, float]:
    """The same command; which heavy libraries it loaded."""
    from gpulake.cli import main as gpulake

    code = gpulake(["refresh", "--data", data, "--lake", lake])
    return {"exit_code": code, **{name: float(name in sys.modules) for name in HEAVY}}


def main() -> None:
    """Files of known size and time are not read again; dbt and scikit-learn are not loaded."""
    data = trace()
    full, nothing = [], []
    loaded: dict[str, float] = {}
    for _ in range(ROUNDS):
        lake = fresh("nothing-new")
        full.append(run([GPULAKE, "refresh", "--data", str(data), "--lake", str(lake), "--json"]))
        cost, loaded = run_script(again, data, lake)
        nothing.append(cost)
    tell(
        f"Refresh with nothing new / full refresh (scale {SCALE:g})",
        "nothing new",
        nothing,
        "full",
        full,
        wall=Target(0.05),
        cpu=Target(0.05),
    )
    print(f"  loaded: {', '.join(name for name in HEAVY if loaded[name]) or 'no heavy library'}")


if __name__ == "__main__":
    main()
