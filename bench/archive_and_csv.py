"""The instance table from its .tar.gz, beside the same bytes as CSV."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Self

from bench.measure import GPULAKE, Cost, Target, compare, run
from bench.traces import SCALE, archive, fresh, trace

TABLE = "pai_instance_table"


def main() -> None:
    """Nothing may be unpacked to a temporary file on the way."""
    packed, plain = archive(TABLE), trace() / f"{TABLE}.csv"
    largest_temporary = 0

    def from_archive() -> Cost:
        nonlocal largest_temporary
        scratch = fresh("scratch")
        scratch.mkdir(parents=True)
        with _Watch(scratch) as watch:
            cost = run(
                [GPULAKE, "land", "--data", str(packed), "--lake", str(fresh("archive")), "--json"],
                env={"TMPDIR": str(scratch)},
            )
        largest_temporary = max(largest_temporary, watch.most_bytes)
        return cost

    def from_csv() -> Cost:
        return run([GPULAKE, "land", "--data", str(plain), "--lake", str(fresh("csv")), "--json"])

    compare(
        f"Instance table from .tar.gz / from CSV (scale {SCALE:g})",
        ("from .tar.gz", from_archive),
        ("from CSV", from_csv),
        wall=Target(1.8, 1.7),
        limit_rss=Target(768),
    )
    print(f"  most bytes seen in the temporary folder: {largest_temporary}")


class _Watch:
    """Looks at a folder ten times a second."""

    def __init__(self, folder: Path) -> None:
        self.most_bytes = 0
        self._folder = folder
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def _look(self) -> None:
        while not self._stop.wait(0.1):
            try:
                size = sum(file.stat().st_size for file in self._folder.rglob("*"))
            except FileNotFoundError:
                continue
            self.most_bytes = max(self.most_bytes, size)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


if __name__ == "__main__":
    main()
