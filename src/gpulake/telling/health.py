"""Sentences about the health of GPUs, for a page and a report alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gpulake.reading.health import Health, JobHealth
from gpulake.telling.words import counted, gpu_hours


def health_sentence(found: Health) -> str:
    """How many GPUs were sick, need a look or could not be judged, and what their failures cost jobs."""
    gpus = sum(found.counts.values())
    if not gpus:
        return "Of no GPU is it known whether it was well: no samples of single GPUs have landed for these days."
    sick, look, unknown = (found.counts.get(verdict, 0) for verdict in ("sick", "look", "unknown"))
    if not sick:
        told = [f"None of {counted(gpus, 'GPU')} was found sick"]
    elif found.still == sick:
        told = [f"{sick:,} of {counted(gpus, 'GPU')} {'is' if sick == 1 else 'are'} sick"]
    elif found.still:
        told = [
            f"{found.still:,} of {counted(gpus, 'GPU')} {'is' if found.still == 1 else 'are'} sick, {sick - found.still:,} more were"
        ]
    else:
        told = [f"{sick:,} of {counted(gpus, 'GPU')} {'was' if sick == 1 else 'were'} sick, none on the last day"]
    told += [f"{look:,} {'needs' if look == 1 else 'need'} a look"] if look else []
    told += [f"{unknown:,} could not be judged for a day or more"] if unknown else []
    said = f"{', '.join(told)}."
    if not found.critical["incidents"]:
        return said
    failed = found.critical["jobs_failed"]
    said += (
        f" There were {counted(found.critical['incidents'], 'critical incident')}"
        if found.critical["incidents"] > 1
        else " There was 1 critical incident"
    )
    return said + (
        f", which ended {counted(failed, 'attempt')} of jobs."
        if failed
        else "; no job is known to have failed by them."
    )


def moved_words(row: Mapping[str, Any], when: str) -> str:
    """From where GPUs came, and since when; a node that was renamed looks the same."""
    are = "is" if row["gpus"] == 1 else "are"
    return (
        f"{counted(row['gpus'], 'GPU')} of {row['from_machine_id']} {are} found in {row['machine_id']} since {when} "
        f"({row['gpu_devices']} there): moved, or the machine was renamed."
    )


def lost_words(lost_gpu_h: float | None) -> str:
    """What jobs lost, in words."""
    return "an unknown number of GPU-h lost" if lost_gpu_h is None else f"{gpu_hours(lost_gpu_h)} lost"


def job_health_sentence(found: JobHealth) -> str:
    """Whether a job's GPUs were well on its days, whether they are known to be its own, and what hit it."""
    gpus = counted(found.gpus, "GPU")
    if not found.gpus:
        said = "Of its GPUs no samples are known."
    elif found.is_its_own and found.unwell:
        said = f"Of its {gpus} {_by_verdict(found.unwell)} on its days."
    elif found.is_its_own:
        said = f"Nothing was found on its {gpus} on its days."
    else:
        unwell = _by_verdict(found.unwell) if found.unwell else "none was found to be other than well"
        said = f"Which GPUs it held nobody tells: of the {gpus} of its machines {unwell} on its days."
    if not found.incidents:
        return said
    lost = sum(bool(row["is_lost"]) for row in found.incidents)
    hit = f"{said} {counted(len(found.incidents), 'incident')} hit it"
    if not lost:
        return f"{hit}, and it went on."
    return (
        f"{hit}, and it failed then." if lost == len(found.incidents) else f"{hit}, and it failed at {lost:,} of them."
    )


def machine_health_sentence(gpus: Sequence[Mapping[str, Any]], incidents: Sequence[Mapping[str, Any]]) -> str:
    """How a machine's GPUs were at their worst, and what its errors did."""
    unwell = [row for row in gpus if row["verdict"] != "well"]
    if not gpus:
        said = "Of its GPUs nobody tells samples."
    elif not unwell:
        said = f"Nothing was found on its {counted(len(gpus), 'GPU')}."
    else:
        said = f"Of its {counted(len(gpus), 'GPU')} {_by_verdict(unwell)}."
    critical = [row for row in incidents if row["severity"] == "critical"]
    if not critical:
        return said
    failed = sum(row["jobs_failed"] for row in critical)
    ended = (
        f", which ended {counted(failed, 'attempt')} of jobs" if failed else "; no job is known to have failed by them"
    )
    return f"{said} It had {counted(len(critical), 'critical incident')}{ended}."


def _by_verdict(rows: Sequence[Mapping[str, Any]]) -> str:
    sick, look, unknown = (sum(row["verdict"] == verdict for row in rows) for verdict in ("sick", "look", "unknown"))
    told = [
        *([f"{sick:,} {'was' if sick == 1 else 'were'} sick"] if sick else []),
        *([f"{look:,} needed a look"] if look else []),
        *([f"{unknown:,} could not be judged"] if unknown else []),
    ]
    return ", ".join(told)
