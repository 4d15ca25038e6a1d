"""A detector's verdicts as rows of the lake."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gpulake.detecting.rows import Shown
from gpulake.detectors import Level, Verdicts
from gpulake.tables import HOUR_SCORES, JOB_SCORES, SCORES, LakeTable

_ARROW = {
    "bigint": pa.int64(),
    "integer": pa.int32(),
    "varchar": pa.string(),
    "double": pa.float64(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
}


_BANDS = {
    "avg_gpu_util": ("expected_gpu_util", "expected_low", "expected_high"),
    "allocated_gpu_util": ("expected_allocated_gpu_util", "expected_allocated_low", "expected_allocated_high"),
    "typical_job_gpu_util": ("expected_typical_gpu_util", "expected_typical_low", "expected_typical_high"),
}


def table_of(level: Level) -> LakeTable:
    """Where the scores of a level stand."""
    return {Level.CLUSTER_DAY: SCORES, Level.JOB: JOB_SCORES}.get(level, HOUR_SCORES)


def rows_to_land(
    verdicts: Verdicts,
    shown: Shown,
    *,
    of: NDArray[np.bool_],
    level: Level,
    build_id: int,
    detector: str,
    cluster_id: str,
) -> pa.Table:
    """The rows chosen by `of`, with a sentence for each anomaly and, of days and hours of a cluster, for each that was not judged."""
    table = table_of(level)
    chosen = np.flatnonzero(of)
    if level is Level.MACHINE_HOUR:  # who asks for one machine reads its place, not the table
        chosen = chosen[np.argsort(shown.columns["machine"][chosen], kind="stable")]
    scored = ~np.isnan(verdicts.score[chosen])
    judged = scored if verdicts.is_judged is None else verdicts.is_judged[chosen]
    flag = verdicts.flag[chosen]
    judgement = np.where(judged, np.where(flag, "anomaly", "normal"), "not_judged")
    told = np.ones(len(chosen), np.bool_) if level is Level.CLUSTER_DAY else judgement == "anomaly"
    if level is Level.CLUSTER_HOUR:
        told |= ~judged
    reasons = np.full(len(chosen), None, np.object_)
    reasons[told] = verdicts.reasons(chosen[told].tolist())
    names = np.array([*verdicts.metrics, None], np.object_)
    keys = shown.keys.take(pa.array(chosen))
    columns = {
        "build_id": np.full(len(chosen), build_id),
        "detector": [detector] * len(chosen),
        "cluster_id": [cluster_id] * len(chosen),
        "anomaly_flag": np.ma.MaskedArray(flag.astype(np.int32), mask=~scored),
        "anomaly_score": verdicts.score[chosen],
        "anomaly_driver": names[verdicts.driver[chosen]],
        "anomaly_reason": reasons,
        "judgement": judgement.tolist(),
        "seen": verdicts.seen[chosen],
        "expected": verdicts.expected[chosen],
        "expected_low": verdicts.low[chosen],
        "expected_high": verdicts.high[chosen],
        "anomaly_p_value": verdicts.p_value[chosen],
    }
    if level is Level.CLUSTER_DAY:  # what was expected of utilisation, whatever drives the day
        for metric, published in _BANDS.items():
            band = verdicts.bands.get(metric, (np.full(len(shown), np.nan),) * 3)
            columns |= {name: values[chosen] for name, values in zip(published, band, strict=True)}
    arrays = {
        name: keys[name].combine_chunks().cast(_ARROW[kind])
        if name in keys.column_names
        else _array(columns.get(name, [None] * len(chosen)), _ARROW[kind])
        for name, kind in table.columns
    }
    return pa.table(arrays)


def _array(values: object, kind: pa.DataType) -> pa.Array:
    """Unknown is null: NaN is none of our values."""
    if isinstance(values, np.ma.MaskedArray):
        return pa.array(values.data, kind, mask=np.ma.getmaskarray(values))
    return pa.array(values, kind, from_pandas=isinstance(values, np.ndarray))
