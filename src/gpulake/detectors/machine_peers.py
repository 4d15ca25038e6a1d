"""Machines judged by their other metrics, by their job-mates in the same hour, and by three rules.

Being busy is no anomaly; being hot for this power is, and so is being slower than the machines of the same job. A deviation
is averaged with its sign over hours, so that noise cancels and a lasting small one shows.

An hour without a row is a gap, never an anomaly; a thin hour weighs less, and opens nothing below 60 of 240 samples.
Means over a job's life are held against the rules only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from gpulake.detectors import Block, Columns, Detector, Level, Verdicts, blocks
from gpulake.detectors.levels import HOURS_PER_WEEK
from gpulake.detectors.machine_rows import (
    BUSY_PCT,
    LOG_FACTOR,
    METRICS,
    TEMP,
    UNITS,
    UTIL,
    VISIBLE,
    WORDS,
    Fleet,
    Rules,
    fleet_of,
    rules_of,
)

SENSORS = ("power", "temp", "clock")
DRIVERS = (*METRICS, VISIBLE, "unchanged_hours")
_VISIBLE, _UNCHANGED = len(METRICS), len(METRICS) + 1
HALF_LIFE_ROWS = 3.0
RULE_POINTS, ZERO_POINTS = 6.0, 1.5
MATES_WEIGHT, MATES_WEIGHT_BLIND = 1.0, 2.0
"""Without power, temperature and clock the metrics say little of each other, and the mates count double."""
CONTRADICTION_Z = -3.0
IDLE_JOBS = 3
"""A job that does nothing is its own fault. Where as many in a row do nothing it is the machine's."""
WEEKS_PER_ALARM = 100.0
WARM_UP_HOURS = 48
LEAST_SHARING = 3
"""Machines that a common mode needs: of two, the one would hide the other."""
OFTEN = 0.05
"""Where more hours than this are unchanged, an unchanged hour says nothing about a machine."""

JUDGED, OUTSIDE, NO_ALLOC, TOO_LITTLE_PAST, NO_METRIC = range(5)
WHY_NOT = {
    OUTSIDE: "it lies outside the hours that are scored",
    NO_ALLOC: "it is not known how many of its GPUs are allocated",
    TOO_LITTLE_PAST: f"fewer than {blocks.LEAST_FIT_ROWS} earlier hours of machines of its kind are known",
    NO_METRIC: "none of its metrics is known",
}


@dataclass(frozen=True)
class _Found:
    """What is found of each row of the fleet, filled block by block. `expected` and `band` are as the detector sees them."""

    score: NDArray[np.float64]
    flag: blocks.Bools
    is_judged: blocks.Bools
    why_not: blocks.Ints
    rule: blocks.Ints  # the driver by rule; -1: none
    driver: blocks.Ints
    by_mates: blocks.Bools
    expected: blocks.Floats
    band: blocks.Floats
    standing_h: blocks.Ints


@dataclass(frozen=True)
class _Residuals:
    """How far each metric lies from what is expected of it, in widths of its spread in the cohort; and the scales of that."""

    apart: tuple[blocks.Floats, blocks.Floats]  # by the other metrics, by the job's mates
    width: blocks.Floats  # cohorts × metrics
    usable: blocks.Bools  # metrics that could be learned


def judge(columns: Columns, schedule: Sequence[Block]) -> Verdicts:
    """Score each hour of each machine in the blocks' score windows; what earlier blocks flagged is not learned from."""
    fleet = fleet_of(columns)
    rules = rules_of(fleet)
    rows = len(fleet.hour)
    found = _Found(
        score=np.full(rows, np.nan),
        flag=np.zeros(rows, np.bool_),
        is_judged=np.zeros(rows, np.bool_),
        why_not=np.full(rows, OUTSIDE),
        rule=np.full(rows, -1),
        driver=np.full(rows, -1),
        by_mates=np.zeros(rows, np.bool_),
        expected=np.full(rows, np.nan, np.float32),
        band=np.full(rows, np.nan, np.float32),
        standing_h=np.zeros(rows, np.int64),
    )
    for block in schedule:
        _judge_block(fleet, rules, block, found)
    return _verdicts(fleet, rules, found)


def terms(inputs: blocks.Floats) -> tuple[blocks.Floats, blocks.Bools]:
    """1, a, b, a², x, xa, xb, x² and all products of two metrics; a = share of GPUs allocated, b = whether any is."""
    metrics = inputs.shape[1] - 2
    x, a, b = inputs[:, :metrics], inputs[:, metrics : metrics + 1], inputs[:, metrics + 1 :]
    i, k = np.triu_indices(metrics, k=1)
    one = np.eye(metrics, dtype=np.bool_)
    matrix = np.hstack([np.ones_like(a), a, b, a * a, x, x * a, x * b, x * x, x[:, i] * x[:, k]])
    uses = np.hstack([np.zeros((metrics, 4), np.bool_), one, one, one, one, one[:, i] | one[:, k]])
    return matrix, uses


def _inputs(apart: blocks.Floats, part: Fleet, at: blocks.Ints) -> blocks.Floats:
    x = np.clip(np.nan_to_num(apart, nan=0.0), -blocks.CLIP_INPUT, blocks.CLIP_INPUT)
    return np.column_stack([x, part.alloc[at] / part.gpus[at], part.busy[at]]).astype(np.float64)


def _residuals(part: Fleet, *, fit: blocks.Bools) -> _Residuals:
    conditional = np.full(part.values.shape, np.nan, np.float32)
    apart = np.full(part.values.shape, np.nan, np.float32)
    width = np.full((int(part.cohort.max()) + 1, len(METRICS)), np.nan, np.float32)
    told = np.flatnonzero(~np.isnan(part.values).all(axis=0))  # many fleets tell half of the metrics
    for cohort in range(len(width)):
        mine = np.flatnonzero((part.cohort == cohort) & ~np.isnan(part.alloc))
        rows = mine[fit[mine]]
        if len(rows) < blocks.LEAST_FIT_ROWS:
            continue
        spread = blocks.spread_of(part.values[rows])
        width[cohort] = spread.width
        for at in blocks.chunks(mine):
            apart[at] = spread.apart(part.values[at])
        rows = rows[blocks.fewer(part.hour[rows])]
        some = apart[np.ix_(rows, told)]
        learned = blocks.learn(some, _inputs(some, part, rows), terms=terms)
        for at in blocks.chunks(mine):
            some = apart[np.ix_(at, told)]
            conditional[np.ix_(at, told)] = some - learned.expected(_inputs(some, part, at), terms=terms)
    # What all machines of a kind share in an hour is the room, not the machine.
    if TEMP in told:
        shared = blocks.coded(part.cohort, part.hour, part.busy)
        room = blocks.median_of_group(conditional[:, TEMP], shared, least=LEAST_SHARING)
        conditional[:, TEMP] -= np.nan_to_num(room, nan=0.0)
    mates = np.full(part.values.shape, np.nan, np.float32)
    whole = np.flatnonzero(part.whole)
    if len(whole):
        key = blocks.coded(part.hour[whole], part.job[whole])
        for j in told:
            mates[whole, j] = apart[whole, j] - blocks.median_of_others(apart[whole, j], key)
    for residual in (conditional, mates):
        for j in told:
            residual[:, j] = blocks.without_own_bias(residual[:, j], part.machine * 2 + part.busy, past=fit)
    return _Residuals((conditional, mates), width, np.asarray(~np.isnan(conditional).all(axis=0)))


def _judge_block(fleet: Fleet, rules: Rules, block: Block, found: _Found) -> None:
    since = min(block.calibrate[0], block.score[0] - WARM_UP_HOURS)
    at = np.flatnonzero((fleet.hour >= min(block.fit[0], since)) & (fleet.hour < block.score[1]))
    if not len(at):
        return
    part = fleet.take(at)
    good = (part.samples >= blocks.THIN_SAMPLES) & ~np.isnan(part.alloc) & ~found.flag[at] & ~part.flagged
    calibrate = good & blocks.within(part.hour, block.calibrate)
    residuals = _residuals(part, fit=good & blocks.within(part.hour, block.fit))
    state = part.cohort * 2 + part.busy
    scales = [
        blocks.robust_scales(residual, state, past=calibrate, groups=2 * len(residuals.width))
        for residual in residuals.apart
    ]
    late = np.flatnonzero(part.hour >= since)
    look = _look(part, residuals, scales, late)
    part, at, calibrate = part.take(late), at[late], calibrate[late]
    why_not = _why_not(part, residuals)
    judged = (why_not == JUDGED) & (part.samples >= blocks.THIN_SAMPLES)
    in_calibration = blocks.within(part.hour, block.calibrate)
    rules = rules.take(at)
    often = np.mean(rules.unchanged[in_calibration]) if in_calibration.any() else 0.0
    frozen = rules.unchanged & bool(often <= OFTEN)
    stuck = rules.zero & (
        rules.was_busy
        | (rules.idle_jobs >= IDLE_JOBS)
        | (rules.mates_pct > part.values[:, UTIL] + BUSY_PCT)
        | (look.z_util < CONTRADICTION_Z)
    )
    by_rule = np.select([rules.visible, frozen, stuck], [_VISIBLE, _UNCHANGED, UTIL], -1)
    rule = judged & (by_rule >= 0)
    threshold = blocks.threshold_for(
        np.where(calibrate, look.statistic, 0)[in_calibration],
        part.machine[in_calibration],
        part.hour[in_calibration],
        entity_weeks=np.count_nonzero(calibrate) / HOURS_PER_WEEK,
        rate=1 / WEEKS_PER_ALARM,
    )
    starts = blocks.runs(part.machine, part.hour)
    flag = judged & blocks.opened(np.where(judged, look.statistic, 0), starts, threshold=threshold, rule=rule)
    standing_h = blocks.hours_standing(flag, part.machine, part.hour)

    now = np.flatnonzero(blocks.within(part.hour, block.score))
    rows = at[now]
    score = look.statistic + RULE_POINTS * rule + ZERO_POINTS * rules.zero
    found.score[rows] = np.where(why_not == JUDGED, score, np.nan)[now]
    found.flag[rows], found.is_judged[rows], found.why_not[rows] = flag[now], judged[now], why_not[now]
    found.rule[rows], found.standing_h[rows] = np.where(rule, by_rule, -1)[now], standing_h[now]
    # A machine stuck at zero is told by its use, beside its mates where it has some.
    is_stuck = rule & (by_rule == UTIL)
    for name, values, when_stuck in (
        ("driver", look.driver, UTIL),
        ("by_mates", look.by_mates, look.stuck_by_mates),
        ("expected", look.expected, look.expected_util),
        ("band", look.band, look.band_util),
    ):
        getattr(found, name)[rows] = np.where(is_stuck, when_stuck, values)[now]


@dataclass(frozen=True)
class _Look:
    """What the means over hours say of each row; of the driver and of the use: by what, expected and band, as the detector sees it."""

    statistic: blocks.Floats
    z_util: blocks.Floats
    driver: blocks.Ints
    by_mates: blocks.Bools
    expected: blocks.Floats
    band: blocks.Floats
    stuck_by_mates: blocks.Bools
    expected_util: blocks.Floats
    band_util: blocks.Floats


def _look(part: Fleet, residuals: _Residuals, scales: Sequence[blocks.Floats], late: blocks.Ints) -> _Look:
    """Machine by machine, some at a time: all deviations of a large fleet at once would not fit in memory."""
    cuts = blocks.cuts(part.machine[late])
    looks = [_look_at(part, residuals, scales, late[cut]) for cut in cuts]
    return _Look(**{each.name: np.concatenate([getattr(look, each.name) for look in looks]) for each in fields(_Look)})


def _look_at(part: Fleet, residuals: _Residuals, scales: Sequence[blocks.Floats], at: blocks.Ints) -> _Look:
    cohort, busy, machine, hour = part.cohort[at], part.alloc[at] > 0, part.machine[at], part.hour[at]
    state = cohort * 2 + busy
    usable, starts = residuals.usable, blocks.runs(machine, hour)
    weight = blocks.thin_weight(part.samples[at])[:, np.newaxis]
    apart = [residual[at] for residual in residuals.apart]
    # Means over a job's life differ as its attempts do, and stand as long as it runs: of the machine they do not speak.
    telling = [np.where(part.sampled[at][:, np.newaxis], residual, np.float32(np.nan)) for residual in apart]
    smooth = [
        blocks.ewma(blocks.clipped(residual / scale[state]) * weight, starts, half_life=HALF_LIFE_ROWS)
        for residual, scale in zip(telling, scales, strict=True)
    ]
    sensed = any(usable[METRICS.index(name)] for name in SENSORS)
    statistic = blocks.rms(smooth[0][:, usable])
    statistic += (MATES_WEIGHT if sensed else MATES_WEIGHT_BLIND) * blocks.rms(smooth[1][:, usable])
    # The driver is the metric whose mean deviation is the largest, be it by the other metrics or by the mates.
    each = np.arange(len(at))
    best = [np.abs(one).argmax(axis=1) for one in smooth]
    sizes = [np.abs(one[each, j]) for one, j in zip(smooth, best, strict=True)]
    by_mates = sizes[1] > sizes[0]
    stuck_by_mates = ~np.isnan(apart[1][:, UTIL])

    def expectation(j: blocks.Ints, mates: blocks.Bools) -> tuple[blocks.Floats, blocks.Floats]:
        unit = residuals.width[cohort, j]
        residual = np.where(mates, apart[1][each, j], apart[0][each, j])
        scale = np.where(mates, scales[1][state, j], scales[0][state, j])
        return part.values[at, j] - residual * unit, np.float32(blocks.BAND) * scale * unit

    driver = np.where(by_mates, best[1], best[0])
    expected, band = expectation(driver, by_mates)
    expected_util, band_util = expectation(np.full(len(at), UTIL), stuck_by_mates)
    return _Look(
        statistic=statistic,
        z_util=apart[0][:, UTIL] / scales[0][state, UTIL],
        driver=np.where(np.maximum(*sizes) > 0, driver, -1),
        by_mates=by_mates,
        expected=expected,
        band=band,
        stuck_by_mates=stuck_by_mates,
        expected_util=expected_util,
        band_util=band_util,
    )


def _why_not(part: Fleet, residuals: _Residuals) -> blocks.Ints:
    learned = np.asarray(~np.isnan(residuals.width).all(axis=1))
    nothing = np.asarray(np.isnan(part.values).all(axis=1))
    why_not = np.full(len(part.hour), JUDGED)
    why_not[nothing] = NO_METRIC
    why_not[~learned[part.cohort]] = TOO_LITTLE_PAST
    why_not[np.isnan(part.alloc)] = NO_ALLOC
    return why_not


def _verdicts(fleet: Fleet, rules: Rules, found: _Found) -> Verdicts:
    rows = np.arange(len(fleet.hour))
    metric = np.maximum(found.driver, 0)
    seen = _undone(fleet.values[rows, metric], metric)
    # What is learned may reach beyond what a percentage can be.
    most = np.array([100.0 if unit == "%" else np.inf for unit in UNITS])[metric]
    expected, low, high = (np.minimum(_undone(found.expected + side * found.band, metric), most) for side in (0, -1, 1))
    driver = np.where(np.isnan(found.score), -1, found.driver)
    for value, which, normal in (
        (fleet.visible, _VISIBLE, fleet.gpus),
        (rules.unchanged_hours.astype(np.float32), _UNCHANGED, np.zeros(len(rows), np.float32)),
    ):
        mine = found.rule == which
        driver[mine], seen[mine] = which, value[mine]
        for side in (expected, low, high):
            side[mine] = normal[mine]
    for values in (seen, expected, low, high):
        values[driver < 0] = np.nan
    back = fleet.order.back
    said = _Said(fleet, rules, found, driver, seen, expected, (high - low) / 2)
    return Verdicts(
        score=found.score[back],
        flag=found.flag[back],
        metrics=DRIVERS,
        driver=driver[back].astype(np.int64),
        reasons=lambda at: [said.sentence(int(row)) for row in back[np.asarray(at, np.int64)]],
        seen=seen[back],
        expected=expected[back],
        low=low[back],
        high=high[back],
        p_value=np.full(len(back), np.nan),
        is_judged=found.is_judged[back],
    )


def _undone(values: blocks.Floats, metric: blocks.Ints) -> NDArray[np.float64]:
    """Values of each row's metric in its own unit."""
    out = values.astype(np.float64)
    for j, factor in LOG_FACTOR.items():
        mine = metric == j
        out[mine] = np.expm1(out[mine]) / factor
    return np.maximum(out, 0)


@dataclass(frozen=True)
class _Said:
    """What people read of a row."""

    fleet: Fleet
    rules: Rules
    found: _Found
    driver: blocks.Ints
    seen: NDArray[np.float64]
    expected: NDArray[np.float64]
    band: NDArray[np.float64]

    def sentence(self, row: int) -> str:
        """{machine}: {metric} {seen}, expected {expected} ± {band} given {what}, for {h} h."""
        found = self.found
        machine, driver = self.fleet.names[self.fleet.machine[row]], int(self.driver[row])
        if found.why_not[row] != JUDGED:
            return f"{machine}: not judged: {WHY_NOT[int(found.why_not[row])]}"
        hours = f", for {found.standing_h[row]} h" if found.standing_h[row] else ""
        if driver < 0 and not self.fleet.sampled[row]:
            return f"{machine}: no sign of a fault, as far as means over whole jobs tell"
        if driver < 0:
            return f"{machine}: nothing differs from what is expected"
        if driver == _VISIBLE:
            return f"{machine}: {self.seen[row]:.0f} GPUs visible, expected {self.expected[row]:.0f}{hours}"
        if driver == _UNCHANGED:
            return (
                f"{machine}: all metrics stand still for {self.seen[row]:.0f} h, as if its exporter were frozen{hours}"
            )
        unit = f" {UNITS[driver]}" if UNITS[driver] else ""
        text = f"{machine}: {WORDS[driver]} {blocks.said(self.seen[row])}{unit}"
        if not np.isnan(self.expected[row]):
            given = blocks.mates_in_words(int(self.rules.mates[row])) if found.by_mates[row] else "its other metrics"
            text += f", expected {blocks.said(self.expected[row])} ± {blocks.said(self.band[row])}{unit} given {given}"
        if found.rule[row] == UTIL:
            jobs = int(self.rules.idle_jobs[row])
            held = f", to {jobs} jobs one after another" if jobs >= IDLE_JOBS else ""
            text += f", stuck at zero while GPUs are allocated{held}"
        return text + hours


DETECTOR = Detector(
    name="machine_peers",
    level=Level.MACHINE_HOUR,
    note="A machine is compared with its own other metrics and with the machines of the same job; a fault that changes neither is not seen.",
    needs=("hour_idx", "machine", "cohort", "gpu_util", "alloc", "main_job"),
    uses=("gpu_count", *METRICS[1:], VISIBLE, "n_samples", "coverage_ratio", "flagged", "is_sampled", "machine_name"),
    judge=judge,
    false_alarms="1 per 100 machine-weeks",
    false_alarms_per_1000=1000 / (WEEKS_PER_ALARM * HOURS_PER_WEEK),
)
