"""Landing the seven tables, beside DuckDB's bare COPY of them to Parquet at the same compression."""

from __future__ import annotations

from pathlib import Path

from bench.measure import GPULAKE, Cost, Target, compare, run, run_script
from bench.traces import SCALE, fresh, trace


def copy_each(data: str, out: str) -> None:
    """CSV to Parquet, nothing else: no hash, no contract, no row numbers, no lake."""
    import duckdb

    Path(out).mkdir(parents=True)
    with duckdb.connect() as connection:
        for file in sorted(Path(data).glob("*.csv")):
            connection.execute(
                f"COPY (FROM read_csv('{file}', header = true, quote = '')) TO '{out}/{file.stem}.parquet' "
                "(FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)"
            )


def main() -> None:
    """Ours: hash, contract, source_row, quarantine, one transaction per table."""
    data = trace()

    def ours() -> Cost:
        return run([GPULAKE, "land", "--data", str(data), "--lake", str(fresh("land")), "--json"])

    def theirs() -> Cost:
        return run_script(copy_each, data, fresh("copy"))[0]

    compare(
        f"Land seven CSV / COPY at zstd 1 (scale {SCALE:g})",
        ("gpulake land", ours),
        ("duckdb COPY", theirs),
        wall=Target(1.3, 0.96),
        cpu=Target(1.4),
        limit_rss=Target(1024),
    )


if __name__ == "__main__":
    main()
