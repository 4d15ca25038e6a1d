"""Detection: every detector over every cluster's days, its scores landed, its models kept with what made them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gpulake.detectors import Detector, Matrix, Verdicts
from gpulake.errors import LakeError
from gpulake.lake import Writer
from gpulake.tables import SCORES

LOW_COVERAGE = 0.5
"""A day is not judged when less than this share of the cluster's median coverage was observed."""


@dataclass(frozen=True)
class Detected:
    """What one run found. `flagged_days` are anomalies that were judged; `not_judged` the days that were not."""

    build_id: int
    detectors: tuple[str, ...]
    days: int
    flagged_days: tuple[str, ...]
    not_judged: int
    landed: bool

    def as_json(self) -> dict[str, object]:
        """For machines."""
        return asdict(self)


def run(
    writer: Writer, detectors: Sequence[Detector], *, build_id: int, now: datetime, dry_run: bool = False
) -> Detected:
    """Score the newest build and land the scores in one commit, replacing those of a cut-off run of the same build."""
    gold = writer.sql("SELECT * FROM lake.main.gold_cluster_util_daily ORDER BY cluster_id, dt")
    parts = []
    for detector in detectors:
        for cluster_id in gold["cluster_id"].unique().to_pylist():
            days = gold.filter(pc.equal(gold["cluster_id"], cluster_id))
            folder = None if dry_run else writer.layout.artefacts / str(build_id) / detector.name / cluster_id
            parts.append(_score(detector, days, build_id=build_id, folder=folder, now=now))
    scores = pa.concat_tables(parts) if parts else _scores_schema().empty_table()
    if not dry_run:
        with writer.transaction("detect", build_id=build_id):
            writer.delete(SCORES, "build_id = ?", [build_id])
            writer.insert(SCORES, scores)
    anomalies = scores.filter(pc.equal(scores["judgement"], "anomaly"))
    return Detected(
        build_id=build_id,
        detectors=tuple(detector.name for detector in detectors),
        days=scores.num_rows,
        flagged_days=tuple(str(day) for day in anomalies["dt"].to_pylist()),
        not_judged=int(pc.sum(pc.equal(scores["judgement"], "not_judged")).as_py() or 0),
        landed=not dry_run,
    )


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
        "libraries": {name: version(name) for name in ("scikit-learn", "numpy", "joblib")},
        "sha256": hashes,
        "made_at": now.isoformat(),
    }
    (folder / "card.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
