"""Sentences about the health of GPUs, for a page and a report alike."""

from __future__ import annotations

from gpulake.reading.health import Health
from gpulake.telling.words import counted, gpu_hours


def health_sentence(found: Health) -> str:
    """How many GPUs were sick, need a look or could not be judged, and what their failures cost jobs."""
    gpus = sum(found.counts.values())
    if not gpus:
        return "Of no GPU is it known whether it was well: no samples of single GPUs have landed for these days."
    sick, look, unknown = (found.counts.get(verdict, 0) for verdict in ("sick", "look", "unknown"))
    told = [
        f"{sick:,} of {counted(gpus, 'GPU')} {'was' if sick == 1 else 'were'} sick"
        if sick
        else f"None of {counted(gpus, 'GPU')} was found sick",
        *([f"{look:,} {'needs' if look == 1 else 'need'} a look"] if look else []),
        *([f"{unknown:,} could not be judged for a day or more"] if unknown else []),
    ]
    said = f"{', '.join(told)}."
    critical = [row for row in found.incidents if row["severity"] == "critical"]
    if not critical:
        return said
    failed = sum(row["jobs_failed"] for row in critical)
    said += f" There were {counted(len(critical), 'critical incident')}"
    return said + (
        f", which ended {counted(failed, 'attempt')} of jobs."
        if failed
        else "; no job is known to have failed by them."
    )


def lost_words(lost_gpu_h: float | None) -> str:
    """What jobs lost, in words."""
    return "an unknown number of GPU-h lost" if lost_gpu_h is None else f"{gpu_hours(lost_gpu_h)} lost"
