"""Twenty thousand rows of sacct: landed, beside a plain Polars parse of the same file into Parquet."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from bench.measure import GPULAKE, Target, compare, run, run_script, verdict
from bench.traces import HOME, fresh

ROWS, READS = 20_000, 5


def accounting() -> Path:
    """A folder with one file of sacct: jobs and steps of a simulated site, every field that the simulator tells."""
    home = HOME / "sacct"
    if not (home / "complete").exists():
        shutil.rmtree(home, ignore_errors=True)
        made = home / "made"
        run([GPULAKE, "simulate", "site", "--nodes", "40", "--days", "28", "--as", "slurm", "--out", str(made)])
        (file,) = (made / "slurm").glob("sacct.*")
        lines = file.read_text(encoding="utf-8").splitlines(keepends=True)[: ROWS + 1]
        if len(lines) <= ROWS:
            raise SystemExit(f"the simulated site has {len(lines) - 1:,} rows of sacct: give it more days")
        (home / "deliver").mkdir()
        (home / "deliver" / file.name).write_text("".join(lines), encoding="utf-8")
        shutil.rmtree(made)
        (home / "complete").touch()
    return home / "deliver"


def parse(folder: str, out: str) -> None:
    """Fields, times and numbers, as a notebook reads them; written as Parquet."""
    import polars as pl

    (file,) = Path(folder).iterdir()
    Path(out).mkdir(parents=True)
    found = pl.read_csv(file, separator="|", quote_char=None, infer_schema=False)
    times = pl.col("Submit", "Eligible", "Start", "End").str.to_datetime("%Y-%m-%dT%H:%M:%S", strict=False)
    numbers = pl.col("ElapsedRaw", "TimelimitRaw", "NNodes", "NCPUS").cast(pl.Float64, strict=False)
    found.with_columns(times, numbers).write_parquet(
        Path(out) / "sacct.parquet", compression="zstd", compression_level=1
    )


def in_one_process(folder: str) -> dict[str, float]:
    """CPU ms of both with everything loaded: of the parse, and of what landing makes of the rows."""
    from gpulake.landing import look, rows
    from gpulake.sources import all_sources

    (delivered,) = look(Path(folder), all_sources()).delivered
    with tempfile.TemporaryDirectory() as place:
        home = Path(place)
        return {
            "parse": _cpu_ms(lambda at: parse(folder, str(home / f"parse-{at}"))),
            "convert": _cpu_ms(
                lambda at: rows.convert(
                    delivered.recognised, landing_id="0" * 64, folder=home / f"rows-{at}", time_zone="Europe/Berlin"
                )
            ),
        }


def _cpu_ms(once: Callable[[int], object]) -> float:
    spent = []
    for at in range(READS + 1):
        before = time.process_time()
        once(at)
        spent.append((time.process_time() - before) * 1_000)
    return median(spent[1:])


def main() -> None:
    """The commands, and the work in them alone."""
    folder = accounting()
    compare(
        f"Land {ROWS:,} rows of sacct / parse them with Polars",
        (
            "gpulake land",
            lambda: run([GPULAKE, "land", "--data", str(folder), "--lake", str(fresh("sacct")), "--json"]),
        ),
        ("polars", lambda: run_script(parse, folder, fresh("sacct-parsed"))[0]),
        cpu=Target(2),
    )
    _, spent = run_script(in_one_process, folder)
    ratio = spent["convert"] / spent["parse"]
    print(
        f"  CPU ms with everything loaded: {spent['convert']:.0f} / {spent['parse']:.0f} = {ratio:.2f}{verdict(ratio, Target(2))}"
    )


if __name__ == "__main__":
    main()
