"""GPUs judged by their own other metrics and by the other GPUs of their job in the same hour.

Three things count: the temperature beyond what use, power and clock explain and what the cohort shares in that hour; use, power and
clock beside the job's other GPUs; and, for less, the same three beside each other. An hour without a row is a gap, never an anomaly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpulake.detectors import Block, Columns, Detector, Level, Verdicts, blocks
from gpulake.detectors.levels import HOURS_PER_WEEK
from gpulake.detectors.machine_rows import jobs_by_number, known

METRICS = ("util", "power", "temp", "clock")
UNITS = ("%", "W", "°C", "MHz")
TEMP = METRICS.index("temp")
OTHERS = [j for j in range(len(METRICS)) if j != TEMP]
TEMP_HALF_LIFE_ROWS, HALF_LIFE_ROWS = 2.0, 1.0
CONDITIONAL_WEIGHT = 0.5
WEEKS_PER_ALARM = 100.0
WARM_UP_HOURS = 48
LEAST_SHARING = 3
JUDGED, OUTSIDE, NO_ALLOC, TOO_LITTLE_PAST, NO_METRIC = range(5)
WHY_NOT = {
    OUTSIDE: "it lies outside the hours that are scored",
    NO_ALLOC: "it is not known whether it is allocated",
    TOO_LITTLE_PAST: f"fewer than {blocks.LEAST_FIT_ROWS} earlier hours of GPUs of its kind are known",
    NO_METRIC: "none of its metrics is known",
}


@dataclass(frozen=True)
class _Gpus:
    """Rows once each, by GPU and hour."""

    order: blocks.Order
    hour: NDArray[Any]
    gpu: blocks.Ints
    machine_names: NDArray[Any]
    machine: blocks.Ints
    index: NDArray[Any]
    cohort: blocks.Ints
    values: blocks.Floats  # rows × METRICS, float32
    alloc: blocks.Floats  # 0, 1, or NaN where it is not known
    job: blocks.Ints
    mates: blocks.Ints  # other GPUs of its job in that hour


@dataclass(frozen=True)
class _Found:
    """What is found of each row, filled block by block."""

    score: NDArray[np.float64]
    flag: blocks.Bools
    why_not: blocks.Ints
    driver: blocks.Ints
    by_mates: blocks.Bools
    expected: blocks.Floats
    band: blocks.Floats
    standing_h: blocks.Ints


def judge(columns: Columns, schedule: Sequence[Block]) -> Verdicts:
    """Score each hour of each GPU in the blocks' score windows; what earlier blocks flagged is not learned from."""
    gpus = _gpus(columns)
    rows = len(gpus.hour)
    found = _Found(
        score=np.full(rows, np.nan),
        flag=np.zeros(rows, np.bool_),
        why_not=np.full(rows, OUTSIDE),
        driver=np.full(rows, -1),
        by_mates=np.zeros(rows, np.bool_),
        expected=np.full(rows, np.nan, np.float32),
        band=np.full(rows, np.nan, np.float32),
        standing_h=np.zeros(rows, np.int64),
    )
    for block in schedule:
        _judge_block(gpus, block, found)
    return _verdicts(gpus, found)


def _gpus(columns: Columns) -> _Gpus:
    hour = np.asarray(columns["hour_idx"], dtype=np.int64)
    names, machine = np.unique(columns["machine"], return_inverse=True)
    machine = machine.astype(np.int64)
    index = np.asarray(columns["gpu"])
    gpu = blocks.coded(machine, index)
    values = np.column_stack([known(columns, name, len(hour)) for name in METRICS])
    alloc = known(columns, "alloc", len(hour))
    alloc = np.where(np.isnan(alloc), alloc, alloc > 0).astype(np.float32)
    job = jobs_by_number(columns["job"])
    order = blocks.once_each(gpu, hour, job, alloc, *values.T)
    at = order.kept
    hour, job = hour[at], job[at]
    mates = np.zeros(len(at), np.int64)
    held = np.flatnonzero(job >= 0)
    if len(held):
        key = blocks.coded(hour[held], job[held])
        mates[held] = np.bincount(key)[key] - 1
    return _Gpus(
        order=order,
        hour=hour,
        gpu=gpu[at],
        machine_names=names,
        machine=machine[at],
        index=index[at],
        cohort=blocks.coded(np.asarray(columns["cohort"])[at]),
        values=values[at],
        alloc=alloc[at],
        job=job,
        mates=mates,
    )


def terms(inputs: blocks.Floats) -> tuple[blocks.Floats, blocks.Bools]:
    """1, x, x², x³ and all products of two metrics."""
    metrics = inputs.shape[1]
    i, k = np.triu_indices(metrics, k=1)
    one = np.eye(metrics, dtype=np.bool_)
    matrix = np.hstack([np.ones((len(inputs), 1)), inputs, inputs**2, inputs**3, inputs[:, i] * inputs[:, k]])
    return matrix, np.hstack([np.zeros((metrics, 1), np.bool_), one, one, one, one[:, i] | one[:, k]])


def _inputs(apart: blocks.Floats) -> blocks.Floats:
    return np.clip(np.nan_to_num(apart, nan=0.0), -blocks.CLIP_INPUT, blocks.CLIP_INPUT).astype(np.float64)


def _residuals(
    gpus: _Gpus,
    part: blocks.Ints,
    *,
    fit: blocks.Bools,
    past: blocks.Bools,
    scored: blocks.Bools,
    state: blocks.Ints,
    states: int,
) -> tuple[blocks.Floats, blocks.Floats, blocks.Floats]:
    """By the other metrics, by the job's other GPUs, and the width of each metric's spread by state.

    A GPU's own bias is taken from all that lies before the row's window, so the calibration shows what scoring will meet.
    """
    values = gpus.values[part]
    conditional, apart = np.full(values.shape, np.nan, np.float32), np.full(values.shape, np.nan, np.float32)
    width = np.full((states, len(METRICS)), np.nan, np.float32)
    for code in range(states):
        mine = np.flatnonzero((state == code) & ~np.isnan(gpus.alloc[part]))
        rows = mine[fit[mine]]
        if len(rows) < blocks.LEAST_FIT_ROWS:
            continue
        spread = blocks.spread_of(values[rows])
        width[code] = spread.width
        apart[mine] = spread.apart(values[mine])
        rows = rows[blocks.fewer(gpus.hour[part[rows]])]
        learned = blocks.learn(apart[rows], _inputs(apart[rows]), terms=terms)
        for at in blocks.chunks(mine):
            conditional[at] = apart[at] - learned.expected(_inputs(apart[at]), terms=terms)
    # What all GPUs of a kind share in an hour is the room, not the GPU.
    room = blocks.median_of_group(conditional[:, TEMP], blocks.coded(state, gpus.hour[part]), least=LEAST_SHARING)
    conditional[:, TEMP] -= np.nan_to_num(room, nan=0.0)
    mates = np.full(values.shape, np.nan, np.float32)
    held = np.flatnonzero(gpus.mates[part] > 0)
    if len(held):
        key = blocks.coded(gpus.hour[part[held]], gpus.job[part[held]], state[held])
        for j in OTHERS:
            mates[held, j] = apart[held, j] - blocks.median_of_others(apart[held, j], key)
    own = gpus.gpu[part] * 2 + (gpus.alloc[part] > 0)
    for residual in (conditional, mates):
        for j in range(len(METRICS)):
            early = blocks.without_own_bias(residual[:, j], own, past=fit)
            late = blocks.without_own_bias(residual[:, j], own, past=past)
            residual[:, j] = np.where(scored, late, early)
    return conditional, mates, width


def _judge_block(gpus: _Gpus, block: Block, found: _Found) -> None:
    since = min(block.calibrate[0], block.score[0] - WARM_UP_HOURS)
    part = np.flatnonzero((gpus.hour >= min(block.fit[0], since)) & (gpus.hour < block.score[1]))
    if not len(part):
        return
    hour = gpus.hour[part]
    good = ~np.isnan(gpus.alloc[part]) & ~found.flag[part]
    calibrate = good & blocks.within(hour, block.calibrate)
    state = gpus.cohort[part] * 2 + (gpus.alloc[part] > 0)
    states = 2 * (int(gpus.cohort[part].max()) + 1)
    fit, scored = good & blocks.within(hour, block.fit), blocks.within(hour, block.score)
    conditional, mates, width = _residuals(
        gpus, part, fit=fit, past=fit | calibrate, scored=scored, state=state, states=states
    )
    scales = [blocks.robust_scales(r, state, past=calibrate, groups=states) for r in (conditional, mates)]
    late = np.flatnonzero(hour >= since)
    part, hour, calibrate, state = part[late], hour[late], calibrate[late], state[late]
    apart = [conditional[late], mates[late]]
    z = [blocks.clipped(residual / scale[state]) for residual, scale in zip(apart, scales, strict=True)]
    gpu = gpus.gpu[part]
    starts = blocks.runs(gpu, hour)
    heat = blocks.ewma(z[0][:, [TEMP]], starts, half_life=TEMP_HALF_LIFE_ROWS)
    beside = blocks.ewma(z[1][:, OTHERS], starts, half_life=HALF_LIFE_ROWS)
    own = blocks.ewma(z[0][:, OTHERS], starts, half_life=HALF_LIFE_ROWS)
    statistic = np.sqrt(heat[:, 0] ** 2 + blocks.rms(beside) ** 2 + (CONDITIONAL_WEIGHT * np.abs(own).max(axis=1)) ** 2)
    learned = np.asarray(~np.isnan(width).all(axis=1))
    why_not = np.full(len(part), JUDGED)
    why_not[np.isnan(gpus.values[part]).all(axis=1)] = NO_METRIC
    why_not[~learned[state]] = TOO_LITTLE_PAST
    why_not[np.isnan(gpus.alloc[part])] = NO_ALLOC
    judged = why_not == JUDGED
    in_calibration = blocks.within(hour, block.calibrate)
    threshold = blocks.threshold_for(
        np.where(calibrate & judged, statistic, 0)[in_calibration],
        gpu[in_calibration],
        hour[in_calibration],
        entity_weeks=np.count_nonzero(calibrate) / HOURS_PER_WEEK,
        rate=1 / WEEKS_PER_ALARM,
    )
    flag = judged & blocks.opened(np.where(judged, statistic, 0), starts, threshold=threshold)
    standing_h = blocks.hours_standing(flag, gpu, hour)

    now = np.flatnonzero(blocks.within(hour, block.score))
    rows, each, state = part[now], np.arange(len(now)), state[now]
    if not len(now):
        return
    found.score[rows] = np.where(judged, statistic, np.nan)[now]
    found.flag[rows], found.why_not[rows], found.standing_h[rows] = flag[now], why_not[now], standing_h[now]
    # The driver is what adds most to the score.
    sizes = np.column_stack([np.abs(heat), np.abs(beside), CONDITIONAL_WEIGHT * np.abs(own)])[now]
    best = sizes.argmax(axis=1)
    driver = np.array([TEMP, *OTHERS, *OTHERS])[best]
    by_mates = (best >= 1) & (best <= len(OTHERS))
    residual = np.where(by_mates, apart[1][now, driver], apart[0][now, driver])
    scale = np.where(by_mates, scales[1][state, driver], scales[0][state, driver])
    found.driver[rows] = np.where(sizes[each, best] > 0, driver, -1)
    found.by_mates[rows] = by_mates
    found.expected[rows] = gpus.values[rows, driver] - residual * width[state, driver]
    found.band[rows] = blocks.BAND * scale * width[state, driver]


def _verdicts(gpus: _Gpus, found: _Found) -> Verdicts:
    rows = np.arange(len(gpus.hour))
    driver = np.where(np.isnan(found.score), -1, found.driver)
    told = driver >= 0
    seen = np.where(told, gpus.values[rows, np.maximum(driver, 0)], np.nan).astype(np.float64)
    expected = np.maximum(np.where(told, found.expected, np.nan).astype(np.float64), 0)
    band = found.band.astype(np.float64)
    back = gpus.order.back

    def sentence(row: int) -> str:
        """{machine} GPU {n}: {metric} {seen}, expected {expected} ± {band} given {what}, for {h} h."""
        who = f"{gpus.machine_names[gpus.machine[row]]} GPU {gpus.index[row]}"
        if found.why_not[row] != JUDGED:
            return f"{who}: not judged: {WHY_NOT[int(found.why_not[row])]}"
        if driver[row] < 0:
            return f"{who}: nothing differs from what is expected"
        unit = UNITS[driver[row]]
        text = f"{who}: {METRICS[driver[row]]} {blocks.said(seen[row])} {unit}"
        if not np.isnan(expected[row]):
            given = blocks.mates_in_words(int(gpus.mates[row])) if found.by_mates[row] else "its other metrics"
            text += f", expected {blocks.said(expected[row])} ± {blocks.said(band[row])} {unit} given {given}"
        return text + (f", for {found.standing_h[row]} h" if found.standing_h[row] else "")

    return Verdicts(
        score=found.score[back],
        flag=found.flag[back],
        metrics=METRICS,
        driver=driver[back].astype(np.int64),
        reasons=lambda at: [sentence(int(row)) for row in back[np.asarray(at, np.int64)]],
        seen=seen[back],
        expected=expected[back],
        low=np.maximum(expected - band, 0)[back],
        high=(expected + band)[back],
        p_value=np.full(len(back), np.nan),
    )


DETECTOR = Detector(
    name="gpu_peers",
    level=Level.GPU_HOUR,
    note="A GPU is compared with its own other metrics and with its job's other GPUs; a hang of one or two hours is not seen.",
    needs=("hour_idx", "machine", "gpu", "cohort", "util", "alloc", "job"),
    uses=("power", "temp", "clock"),
    judge=judge,
    false_alarms="1 per 100 GPU-weeks",
    false_alarms_per_1000=1000 / (WEEKS_PER_ALARM * HOURS_PER_WEEK),
)
