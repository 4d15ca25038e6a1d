"""Detection over a lake: every detector over the rows of its level, its scores landed, its models kept with what made them.

Days are judged anew for a cluster of which any day has changed, hours from the first day that the build renewed; rows whose
verdict is as it was stay as they are.
"""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from gpulake import detectors as shipped
from gpulake.detecting.outcomes import Detected, Judged
from gpulake.detecting.rows import Cluster, Shown, Sql, clusters, first_due_days, rows_of
from gpulake.detecting.verdicts import rows_to_land, table_of
from gpulake.detectors import Block, Detector, Level, Verdicts
from gpulake.detectors.levels import weekly, whole
from gpulake.errors import LakeError
from gpulake.lake import Writer
from gpulake.tables import SCORES, SCORINGS

LEVELS = (Level.CLUSTER_DAY, Level.CLUSTER_HOUR, Level.MACHINE_HOUR, Level.JOB)
"""The levels that a lake has rows of, coarsest first."""

_LIBRARIES = ("scikit-learn", "numpy", "joblib")
"""What a score may depend on beside the rows and the detector."""


@dataclass(frozen=True)
class _Scoring:
    """What a detector did for one cluster: whether all of it stands as it was, and of which rows it was said."""

    detector: Detector
    cluster_id: str
    is_as_before: bool
    digest: str | None = None


class _DryRunError(Exception):
    """Ends a transaction of which nothing is to stay."""


def load_ahead(writer: Sql) -> None:
    """Start to import what detectors need while the caller waits for dbt, if the last build had days to score.

    Most often this one has too, and the import takes a second; where it has not, it would be a second of work for nothing.
    """
    last = _standing(writer)
    if not last or any(row["scored_build_id"] == row["build_id"] for row in last.values()):
        shipped.load_ahead()


def run(
    writer: Writer,
    detectors: Sequence[Detector],
    *,
    build_id: int,
    now: datetime,
    shown: Mapping[Level, str] | None = None,
    dry_run: bool = False,
) -> Detected:
    """Score what changed of the newest build and land it in one commit.

    `shown` names per level the detector whose verdicts are read by reports, pages and rules.
    """
    chosen = shown_detectors(detectors, shown or {})
    standing = _standing(writer, before=build_id)
    due = first_due_days(writer)
    found: list[_Scoring] = []
    detectors = [detector for level in LEVELS for detector in detectors if detector.level is level]
    judged: tuple[Judged, ...] = ()
    with _landing(writer, build_id=build_id, dry_run=dry_run):
        for cluster in clusters(writer):
            for detector in detectors:
                last = standing.get((detector.name, cluster.cluster_id))
                if detector.level is Level.CLUSTER_DAY:
                    folder = None if dry_run else _artefacts(writer, detector, cluster, build_id)
                    found.append(_days(writer, detector, cluster, last=last, build_id=build_id, folder=folder, now=now))
                else:
                    first = due.get(cluster.cluster_id) if last else cluster.first_day
                    found.append(_hours(writer, detector, cluster, first_due=first, build_id=build_id))
        _note(writer, detectors, found, standing=standing, build_id=build_id, chosen=chosen)
        fresh = {scoring.detector.name for scoring in found if not scoring.is_as_before}
        counted = _counted(writer)
        judged = tuple(
            _judged(
                detector,
                counted.get(detector.name, {}),
                is_shown=chosen.get(detector.level) == detector.name,
                is_fresh=detector.name in fresh,
            )
            for detector in detectors
        )
        if dry_run:
            raise _DryRunError
    return Detected(build_id, judged, landed=not dry_run)


def shown_detectors(detectors: Sequence[Detector], chosen: Mapping[Level, str]) -> dict[Level, str]:
    """Per level the detector that people are shown: the one that the settings choose, else the first that only sees the past."""
    first: dict[Level, str] = {}
    for detector in sorted(detectors, key=lambda each: (each.retrospective, each.name)):
        first.setdefault(detector.level, detector.name)
    return {**first, **chosen}


# ------------------------------------------------------------------------------------------------ judging


def _days(
    writer: Writer,
    detector: Detector,
    cluster: Cluster,
    *,
    last: Mapping[str, Any] | None,
    build_id: int,
    folder: Path | None,
    now: datetime,
) -> _Scoring:
    days = rows_of(writer, cluster, level=detector.level, since=0, until=cluster.until, detector=detector.name)
    digest = _digest(detector, days)
    if not len(days) or (last and last["digest"] == digest):
        return _Scoring(detector, cluster.cluster_id, is_as_before=bool(last), digest=digest)
    verdicts = detector.judge(days.columns, whole(first=0, until=float(days.columns["day"].max()) + 1))
    if folder and verdicts.learned:
        _keep(detector, verdicts, folder, days=days, build_id=build_id, now=now)
    rows = _rows(verdicts, days, of=np.ones(len(days), np.bool_), scoring=(detector, cluster, build_id))
    writer.replace(SCORES, rows, of=("detector", "cluster_id"), key=("dt",), but=("build_id",))
    return _Scoring(detector, cluster.cluster_id, is_as_before=False, digest=digest)


def _hours(writer: Writer, detector: Detector, cluster: Cluster, *, first_due: date | None, build_id: int) -> _Scoring:
    """Replace what stands from the first due day on, block by block: each learns from the verdicts of those before it."""
    if first_due is None:
        return _Scoring(detector, cluster.cluster_id, is_as_before=True)
    writer.delete(
        table_of(detector.level),
        "detector = ? AND cluster_id = ? AND dt >= ?",
        [detector.name, cluster.cluster_id, first_due],
    )
    since = max(0.0, (first_due - cluster.first_day).days * 24.0 - 1)  # a day of 23 hours lies before some
    for block in _due_blocks(detector, cluster, since=since):
        shown = rows_of(
            writer,
            cluster,
            level=detector.level,
            since=block.fit[0],
            until=block.score[1],
            detector=detector.name,
            known_at=block.score[0],
        )
        of = shown.columns["start" if detector.level is Level.JOB else "hour_idx"] >= block.score[0]
        of &= np.asarray(shown.keys["dt"].to_numpy(), "datetime64[D]") >= np.datetime64(first_due)
        if of.any():
            verdicts = detector.judge(shown.columns, [block])
            if detector.level is not Level.CLUSTER_HOUR:  # a machine's hour or a job that is not judged has no row
                of &= ~np.isnan(verdicts.score)
            writer.insert(
                table_of(detector.level), _rows(verdicts, shown, of=of, scoring=(detector, cluster, build_id))
            )
    return _Scoring(detector, cluster.cluster_id, is_as_before=False)


def _due_blocks(detector: Detector, cluster: Cluster, *, since: float) -> tuple[Block, ...]:
    """What is judged together. A detector that looks back on a fixed stretch is shown that; the others learn by the week."""
    if detector.looks_back is None:
        return tuple(block for block in weekly(first=0, until=cluster.until) if block.score[1] > since)
    first = max(0.0, since - detector.looks_back)
    return (Block((first, since), (first, since), (since, cluster.until + 1)),)


def _rows(verdicts: Verdicts, shown: Shown, *, of: Any, scoring: tuple[Detector, Cluster, int]) -> pa.Table:
    detector, cluster, build_id = scoring
    return rows_to_land(
        verdicts,
        shown,
        of=of,
        level=detector.level,
        build_id=build_id,
        detector=detector.name,
        cluster_id=cluster.cluster_id,
    )


def _digest(detector: Detector, days: Shown) -> str:
    """Of all that the verdicts depend on: the rows as the detector sees them, every detector's code and ours, the libraries."""
    digest = hashlib.sha256(repr([version(name) for name in _LIBRARIES]).encode())
    for file in sorted([*Path(shipped.__file__).parent.glob("*.py"), *Path(__file__).parent.glob("*.py")]):
        digest.update(file.read_bytes())
    for name in sorted({*detector.needs, *detector.uses} & set(days.columns)):
        digest.update(name.encode() + np.ascontiguousarray(days.columns[name]).tobytes())
    digest.update(repr((detector.name, days.keys["dt"].to_pylist())).encode())
    return digest.hexdigest()


# ------------------------------------------------------------------------------------------------ landing


@contextmanager
def _landing(writer: Writer, *, build_id: int, dry_run: bool) -> Iterator[None]:
    try:
        with writer.transaction("detect", build_id=build_id):
            yield
    except _DryRunError:
        assert dry_run


def _note(
    writer: Writer,
    detectors: Sequence[Detector],
    found: Sequence[_Scoring],
    *,
    standing: Mapping[tuple[str, str], Mapping[str, Any]],
    build_id: int,
    chosen: Mapping[Level, str],
) -> None:
    """One record per detector and cluster, also where nothing was judged: the commit that tests and publication look for."""
    said = {(scoring.detector.name, scoring.cluster_id): scoring for scoring in found}
    records: list[tuple[object, ...]] = []
    for detector in detectors:
        told = (detector.note, str(detector.level), chosen.get(detector.level) == detector.name, detector.false_alarms)
        ours = [scoring for (name, _), scoring in said.items() if name == detector.name]
        for scoring in ours:
            last = standing.get((detector.name, scoring.cluster_id))
            scored = last["scored_build_id"] if last and scoring.is_as_before else build_id
            records.append((build_id, detector.name, scoring.cluster_id, scored, scoring.digest, *told))
        if not ours:
            records.append((build_id, detector.name, None, build_id, None, *told))
    writer.delete(SCORINGS, "build_id = ?", [build_id])
    names = [name for name, _ in SCORINGS.columns]
    writer.insert(SCORINGS, pa.table(dict(zip(names, (pa.array(c) for c in zip(*records, strict=True)), strict=True))))


def _standing(writer: Sql, *, before: int | None = None) -> dict[tuple[str, str], dict[str, Any]]:
    """The scorings of the newest build that was scored, or of the newest before one, by detector and cluster."""
    earlier = "" if before is None else f"WHERE build_id < {int(before)}"
    rows: list[dict[str, Any]] = writer.sql(
        f"SELECT * FROM {SCORINGS.qualified} WHERE build_id = (SELECT max(build_id) FROM {SCORINGS.qualified} {earlier})"
    ).to_pylist()
    return {(row["detector"], row["cluster_id"]): row for row in rows}


def _counted(writer: Writer) -> dict[str, dict[str, Any]]:
    """By detector the verdicts that stand, and the days that one of days has flagged."""
    days = "list(DISTINCT dt ORDER BY dt) FILTER (judgement = 'anomaly')"
    tables = {table_of(level): days if level is Level.CLUSTER_DAY else "NULL" for level in LEVELS}
    of_each = (
        "SELECT detector, count(*) AS n, count(*) FILTER (judgement = 'not_judged') AS not_judged, "
        "count(*) FILTER (judgement = 'anomaly') AS flagged, "
        f"{days_told} AS days FROM {table.qualified} GROUP BY detector"
        for table, days_told in tables.items()
    )
    return {row["detector"]: row for row in writer.sql(" UNION ALL ".join(of_each)).to_pylist()}


def _judged(detector: Detector, counted: Mapping[str, Any], *, is_shown: bool, is_fresh: bool) -> Judged:
    rows = counted.get("n", 0)
    return Judged(
        detector=detector.name,
        level=str(detector.level),
        rows=rows,
        flagged=counted.get("flagged", 0),
        not_judged=counted.get("not_judged", 0),
        is_shown=is_shown,
        is_as_before=not is_fresh and bool(rows),
        flagged_days=tuple(map(str, counted.get("days") or ())),
    )


# ------------------------------------------------------------------------------------------------ models kept


def _artefacts(writer: Writer, detector: Detector, cluster: Cluster, build_id: int) -> Path:
    return writer.layout.artefacts / str(build_id) / detector.name / cluster.cluster_id


def _keep(detector: Detector, verdicts: Verdicts, folder: Path, *, days: Shown, build_id: int, now: datetime) -> None:
    """Save the model's parts, and beside them what they were trained on, with which library, and their hashes.

    Raises LakeError where the disk does not take them.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        hashes = {}
        for name, part in verdicts.learned.items():
            file = folder / f"{name}.joblib"
            # What joblib reads: it writes the same object by object in Python, in ten times the time.
            whole_part = pickle.dumps(part)
            file.write_bytes(whole_part)
            hashes[file.name] = hashlib.sha256(whole_part).hexdigest()
        dts = days.keys["dt"].to_pylist()
        card = {
            "detector": detector.name,
            "features": list(verdicts.metrics),
            "training_snapshot": build_id,
            "training_days": [str(dts[day]) for day in np.flatnonzero(~np.isnan(verdicts.score)).tolist()],
            "libraries": {name: version(name) for name in _LIBRARIES},
            "sha256": hashes,
            "made_at": now.isoformat(),
        }
        (folder / "card.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise LakeError(
            f"a model cannot be kept: {error.strerror}.",
            where=str(error.filename or folder),
            do="free some space, check the folder's rights, and run it again",
        ) from error
