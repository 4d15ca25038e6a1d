"""What detection says of itself, for people and machines."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

from gpulake.errors import GpulakeError


@dataclass(frozen=True)
class Judged:
    """One detector's verdicts over all clusters, as they stand. `is_as_before`: nothing was judged anew."""

    detector: str
    level: str
    rows: int
    flagged: int
    not_judged: int
    is_shown: bool
    is_as_before: bool
    flagged_days: tuple[str, ...] = ()


@dataclass(frozen=True)
class Detected:
    """What one run found, by detector. What is flagged was judged, and found to be an anomaly."""

    build_id: int
    judged: tuple[Judged, ...]
    landed: bool

    def as_json(self) -> dict[str, object]:
        """For machines."""
        return asdict(self)


@dataclass(frozen=True)
class FileScored:
    """What was scored: `scored` rows have a score, `flagged` ones are anomalies. `out` is None where nothing was written."""

    schema: str
    variant: str | None
    detector: str
    rows: int
    scored: int
    flagged: int
    out: str | None
    error: GpulakeError | None = field(default=None, repr=False)

    def as_json(self) -> dict[str, object]:
        """For machines."""
        return asdict(self)
