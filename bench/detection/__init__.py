"""Every detector on labelled series, each beside its bar: python -m bench detection, or python -m bench.detection [PART …]."""

from __future__ import annotations

import time
from collections.abc import Sequence
from importlib import import_module

PARTS = ("fleet", "series", "simulated")


def main(parts: Sequence[str] = PARTS) -> None:
    """Each part tells its own tables."""
    for part in parts:
        started = time.monotonic()
        import_module(f"bench.detection.{part}").tell()
        print(f"\n{part}: {time.monotonic() - started:.0f} s", flush=True)
