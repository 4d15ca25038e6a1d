"""A site of real dates, told by every road that gpulake reads: Slurm, Prometheus, kernel logs, and plain tables."""

from __future__ import annotations

from gpulake.simulate.site.telling import Summary, simulate

__all__ = ["Summary", "simulate"]
