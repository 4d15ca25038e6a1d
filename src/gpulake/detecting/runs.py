"""Detection: every detector over every cluster's days, its scores landed, its models kept with what made them.

Days that are as they were when they were last scored are not scored again: the scores of then stand.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gpulake import detectors as shipped
from gpulake.detectors import Detector, Matrix, Verdicts
from gpulake.errors import LakeError
from gpulake.lake import Writer
from gpulake.tables import SCORES, SCORINGS

LOW_COVERAGE = 0.5
"""A day is not judged when less than this share of the cluster's median coverage was observed."""

_LIBRARIES = ("scikit-learn", "numpy", "joblib")
"""What a score may depend on beside the days and the detector."""


@dataclass(frozen=True)
class Judged:
    """One detector's verdicts over all clusters. `is_as_before`: no day of any had changed."""

    detector: str
    days: int
    flagged_days: tuple[str, ...]
    not_judged: int
    is_as_before: bool


@dataclass(frozen=True)
class Detected:
    """What one run found, by detector. A flagged day was judged, and found to be an anomaly."""

    build_id: int
    judged: tuple[Judged, ...]
    landed: bool

    def as_json(self) -> dict[str, object]:
        """For machines."""
        return asdict(self)


class Sql(Protocol):
    """As much of a Writer as reading needs."""

    def sql(self, query: str, params: Sequence[object] = ..., /) -> pa.Table:
        """The rows of a query."""
        ...


def load_ahead(writer: Sql) -> None:
    """Start to import what detectors need while the caller waits for dbt, if the last build had days to score.

    Most often this one has too, and the import takes a second; where it has not, it would be a second of work for nothing.
    """
    last = _newest_scorings(writer)
    if not last or any(row["scored_build_id"] == row["build_id"] for row in last.values()):
        shipped.load_ahead()


def run(
    writer: Writer, detectors: Sequence[Detector], *, build_id: int, now: datetime, dry_run: bool = False
) -> Detected:
    """Score what changed of the newest build and land it in one commit, replacing what a cut-off run of the same left."""
    standing = _newest_scorings(writer, before=build_id)
    features = dict.fromkeys(name for detector in detectors for name in detector.features)
    gold = writer.sql(
        f"SELECT {', '.join(['cluster_id', 'dt', 'coverage_ratio', *features])} "
        "FROM lake.main.gold_cluster_util_daily ORDER BY cluster_id, dt"
    )
    scorings: list[tuple[object, ...]] = []
    fresh: list[pa.Table] = []
    for detector in detectors:
        for cluster_id, days in _by_cluster(gold):
            digest, last = _digest(detector, days), standing.get((detector.name, cluster_id))
            is_as_before = last is not None and last["digest"] == digest
            if not is_as_before:
                folder = None if dry_run else writer.layout.artefacts / str(build_id) / detector.name / cluster_id
                fresh.append(_score(detector, days, build_id=build_id, folder=folder, now=now))
            scored_build_id = last["scored_build_id"] if last and is_as_before else build_id
            scorings.append((build_id, detector.name, cluster_id, scored_build_id, digest, detector.note))
        if (
            not gold.num_rows
        ):  # no day to judge is known too: without a row there would be no commit to test and publish
            scorings.append((build_id, detector.name, None, build_id, None, detector.note))
    verdicts = [*fresh, *_kept_scores(writer, scorings, build_id)]
    if not dry_run:
        _land(writer, fresh, scorings, build_id=build_id)
    return Detected(
        build_id,
        tuple(
            _judged(detector, verdicts, is_as_before=bool(gold.num_rows) and not _has(fresh, detector))
            for detector in detectors
        ),
        landed=not dry_run,
    )


def _land(writer: Writer, fresh: Sequence[pa.Table], scorings: Sequence[Sequence[object]], *, build_id: int) -> None:
    is_again = writer.sql(f"SELECT 1 FROM {SCORINGS.qualified} WHERE build_id = ? LIMIT 1", [build_id]).num_rows
    with writer.transaction("detect", build_id=build_id):
        if is_again:
            writer.delete(SCORES, "build_id = ?", [build_id])
            writer.delete(SCORINGS, "build_id = ?", [build_id])
        if fresh:
            writer.insert(SCORES, pa.concat_tables(fresh))
        writer.insert(SCORINGS, scorings)


def _newest_scorings(writer: Sql, *, before: int | None = None) -> dict[tuple[str, str], dict[str, Any]]:
    """The scorings of the newest build that was scored, or of the newest before one, by detector and cluster."""
    earlier = "" if before is None else f"WHERE build_id < {int(before)}"
    rows: list[dict[str, Any]] = writer.sql(
        f"SELECT * FROM {SCORINGS.qualified} WHERE build_id = (SELECT max(build_id) FROM {SCORINGS.qualified} {earlier})"
    ).to_pylist()
    return {(row["detector"], row["cluster_id"]): row for row in rows}


def _by_cluster(gold: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    """The days of each cluster, which lie together."""
    first = 0
    for cluster_id, days in groupby(gold["cluster_id"].to_pylist()):
        count = len(list(days))
        yield cluster_id, gold.slice(first, count)
        first += count


def _digest(detector: Detector, days: pa.Table) -> str:
    """Of all that the scores depend on: the days as the detector sees them, its code and ours, the libraries."""
    digest = hashlib.sha256(repr([version(name) for name in _LIBRARIES]).encode())
    for module in (__name__, detector.fit.__module__, detector.score.__module__):
        digest.update(Path(sys.modules[module].__file__ or "").read_bytes())
    shown = days.select(["dt", "coverage_ratio", *detector.features])
    digest.update(repr((detector.name, detector.needs_days, shown.to_pydict())).encode())
    return digest.hexdigest()


def _kept_scores(writer: Sql, scorings: Sequence[Sequence[object]], build_id: int) -> Iterator[pa.Table]:
    """The scores of earlier builds that stand for this one."""
    kept = {(scored, detector, cluster) for _, detector, cluster, scored, *_ in scorings if scored != build_id}
    for scored in sorted({scored for scored, _, _ in kept}, key=str):
        scores = writer.sql(
            f"SELECT * FROM {SCORES.qualified} WHERE build_id = ? ORDER BY detector, cluster_id, dt", [scored]
        )
        pairs = zip(scores["detector"].to_pylist(), scores["cluster_id"].to_pylist(), strict=True)
        yield scores.filter(pa.array([(scored, *pair) in kept for pair in pairs], pa.bool_()))


def _judged(detector: Detector, verdicts: Sequence[pa.Table], *, is_as_before: bool) -> Judged:
    found = [
        (cluster_id, dt, judgement)
        for scores in verdicts
        for name, cluster_id, dt, judgement in zip(
            *(scores[column].to_pylist() for column in ("detector", "cluster_id", "dt", "judgement")), strict=True
        )
        if name == detector.name
    ]
    return Judged(
        detector=detector.name,
        days=len(found),
        flagged_days=tuple(str(dt) for _, dt, judgement in sorted(found) if judgement == "anomaly"),
        not_judged=sum(judgement == "not_judged" for *_, judgement in found),
        is_as_before=is_as_before,
    )


def _has(fresh: Sequence[pa.Table], detector: Detector) -> bool:
    return any(detector.name in scores["detector"].to_pylist() for scores in fresh)


def _score(detector: Detector, days: pa.Table, *, build_id: int, folder: Path | None, now: datetime) -> pa.Table:
    features = np.column_stack([_floats(days[name]) for name in detector.features])
    whole: NDArray[np.bool_] = ~np.asarray(np.isnan(features).any(axis=1))
    scored = np.flatnonzero(whole)
    if len(scored) < detector.needs_days:
        verdicts = None
    elif detector.retrospective:
        model = detector.fit(features[scored])
        verdicts = detector.score(model, features[scored])
        if folder:
            try:
                _keep(detector, model, folder, days=days["dt"].to_pylist(), scored=scored, build_id=build_id, now=now)
            except OSError as error:
                raise LakeError(
                    f"a model cannot be kept: {error.strerror}.",
                    where=str(error.filename or folder),
                    do="free some space, check the folder's rights, and run it again",
                ) from error
    else:
        scored = scored[detector.needs_days :]
        verdicts = _each_from_its_past(detector, features, whole, scored)
    coverage = _floats(days["coverage_ratio"])
    low = (
        ~(coverage >= LOW_COVERAGE * np.nanmedian(coverage))
        if np.isfinite(coverage).any()
        else np.ones(len(days), bool)
    )
    return _table(detector, days, verdicts, scored, whole=whole, low=low, coverage=coverage, build_id=build_id)


def _each_from_its_past(
    detector: Detector,
    features: Matrix,
    whole: NDArray[np.bool_],
    scored: NDArray[np.int64],
) -> Verdicts:
    """Fit on the days before, score the day: nothing later can change a verdict."""
    each = [detector.score(detector.fit(features[:day][whole[:day]]), features[day : day + 1]) for day in scored]
    stacked = {
        name: np.concatenate([getattr(one, name) for one in each])
        for name in ("flag", "score", "expected", "low", "high", "p_value")
        if each and getattr(each[0], name) is not None
    }
    return Verdicts(
        **{"flag": np.empty(0, np.int64), "score": np.empty(0), **stacked},
        driver=tuple(one.driver[0] for one in each),
        reason=tuple(one.reason[0] for one in each),
    )


def _table(
    detector: Detector,
    days: pa.Table,
    verdicts: Verdicts | None,
    scored: NDArray[np.int64],
    *,
    whole: NDArray[np.bool_],
    low: NDArray[np.bool_],
    coverage: Matrix,
    build_id: int,
) -> pa.Table:
    rows: list[dict[str, object]] = []
    position = {int(day): i for i, day in enumerate(scored)} if verdicts else {}
    for day, dt in enumerate(days["dt"].to_pylist()):
        i = position.get(day)
        row: dict[str, object] = {
            "build_id": build_id,
            "detector": detector.name,
            "cluster_id": days["cluster_id"][day].as_py(),
            "dt": dt,
            "judgement": "not_judged",
        }
        if verdicts is None or i is None:
            row["anomaly_reason"] = _why_unscored(detector, whole, day)
        else:
            flag = int(verdicts.flag[i])
            row |= {
                "anomaly_flag": flag,
                "anomaly_score": float(verdicts.score[i]),
                "anomaly_driver": verdicts.driver[i],
                "anomaly_reason": verdicts.reason[i],
                "judgement": "anomaly" if flag else "normal",
                "expected_gpu_util": _at(verdicts.expected, i),
                "expected_low": _at(verdicts.low, i),
                "expected_high": _at(verdicts.high, i),
                "anomaly_p_value": _at(verdicts.p_value, i),
            }
            if low[day]:
                row["judgement"] = "not_judged"
                row["anomaly_reason"] = (
                    f"only {coverage[day] * 100:.1f} % of the GPU time was observed, "
                    f"less than half of the usual {np.nanmedian(coverage) * 100:.1f} %"
                )
        rows.append(row)
    return pa.Table.from_pylist(rows, schema=_scores_schema())


def _why_unscored(detector: Detector, whole: NDArray[np.bool_], day: int) -> str:
    """Too little history, as a whole or before this day, comes first: no value of the day itself would help."""
    needed = f"of the {detector.needs_days} that {detector.name} needs"
    if whole.sum() < detector.needs_days:
        return f"too few whole days are known: {whole.sum()} {needed}"
    before = whole[:day].sum()
    if not detector.retrospective and before < detector.needs_days:
        return f"too few whole days lie before this one: {before} {needed}"
    return "a feature is not known on this day"


def _scores_schema() -> pa.Schema:
    kinds = {
        "bigint": pa.int64(),
        "integer": pa.int32(),
        "varchar": pa.string(),
        "double": pa.float64(),
        "date": pa.date32(),
    }
    return pa.schema([(name, kinds[kind]) for name, kind in SCORES.columns])


def _floats(column: pa.ChunkedArray) -> Matrix:
    return np.asarray(column.cast(pa.float64()).to_numpy(), dtype=np.float64)


def _at(values: Matrix | None, i: int) -> float | None:
    return None if values is None or np.isnan(values[i]) else float(values[i])


def _keep(
    detector: Detector,
    model: object,
    folder: Path,
    *,
    days: Sequence[date],
    scored: NDArray[np.int64],
    build_id: int,
    now: datetime,
) -> None:
    """Save the model's parts, and beside them what they were trained on, with which library, and their hashes."""
    import joblib

    folder.mkdir(parents=True, exist_ok=True)
    hashes = {}
    for name, part in detector.artefacts(model).items():
        file = folder / f"{name}.joblib"
        joblib.dump(part, file)
        hashes[file.name] = hashlib.sha256(file.read_bytes()).hexdigest()
    card = {
        "detector": detector.name,
        "features": list(detector.features),
        "training_snapshot": build_id,
        "training_days": [str(days[day]) for day in scored.tolist()],
        "libraries": {name: version(name) for name in _LIBRARIES},
        "sha256": hashes,
        "made_at": now.isoformat(),
    }
    (folder / "card.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
