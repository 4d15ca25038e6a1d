"""A finished job against what its user's jobs of that size usually are.

The template of a job is the median of earlier jobs: all, then the user's, then the user's of that size, each pulled towards the one
before it when it stands on few. What deviates is judged signed, with a scale for either side: much more host processors, memory,
network or time than usual, or the patterns of two faults: low use of GPUs and host for long (a zombie), low use of GPUs and network
for long (a slow job). Users' durations vary threefold by themselves, so that a job which is only too long seldom stands out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from gpulake.detectors import Block, Columns, Detector, Level, Matrix, Verdicts
from gpulake.detectors.rows import codes_of, of_columns, once

METRICS = ("gpu_util", "cpu_per_gpu", "net_per_gpu", "mem_gb", "dur")
WORDS = ("GPU use", "host processors", "network", "host memory", "run time")
UNITS = ("%", "cores a GPU", "Gbit/s a GPU", "GB", "h")
LEAST_VALUE = np.array([0.5, 1e-3, 1e-4, 1e-3, 1e-3])
PATTERNS = (
    ("more host processors than usual", {"cpu_per_gpu": 1}),
    ("more host memory than usual", {"mem_gb": 1}),
    ("more network than usual", {"net_per_gpu": 1}),
    ("longer than usual", {"dur": 1}),
    ("held on while its GPUs and its host did little", {"gpu_util": -1, "cpu_per_gpu": -1, "dur": 1}),
    ("slow: its GPUs and its network did little for long", {"gpu_util": -1, "net_per_gpu": -1, "dur": 1}),
)
HIGHEST = np.array([100.0, np.inf, np.inf, np.inf, np.inf])
LEAST_JOBS = 100
FOLDS = 5
PULL_OF_PARENT = 3
PULL_OF_ALL_USERS = 30
CLIP = 8.0
LEAST_SCALE = 0.05
FALSE_SHARE = 0.001


@dataclass(frozen=True)
class _Jobs:
    logs: Matrix
    user: NDArray[np.int64]
    kind: NDArray[np.int64]
    """A code for each user and size."""

    @cached_property
    def orders(self) -> Sequence[Mapping[str, NDArray[np.intp]]]:
        """Of each metric the jobs by user and value, and by kind and value: a part of them, learned from, is in order too."""
        return [
            {name: np.lexsort((logs, codes)) for name, codes in (("user", self.user), ("kind", self.kind))}
            for logs in self.logs.T
        ]


@dataclass(frozen=True)
class _Learned:
    """`low` and `high` are the scales of either side, per metric; those of gpu_util per user."""

    template: Matrix
    of_kind: NDArray[np.int64]
    low: Matrix
    high: Matrix


def _judge(jobs: Columns, blocks: Sequence[Block]) -> Verdicts:
    start = np.asarray(jobs["start"], np.float64)
    count = len(start)
    values = np.column_stack(
        [np.asarray(jobs.get(name, np.full(count, np.nan)), np.float64).reshape(count) for name in METRICS]
    )
    shown = once([np.asarray(jobs["job"])], values=[start, *of_columns(jobs, METRICS)])
    start, values = start[shown.rows], values[shown.rows]
    with np.errstate(invalid="ignore"):
        logs = np.log(np.maximum(values, LEAST_VALUE))
    user = codes_of(shown.column(np.asarray(jobs["user"])))
    size = codes_of(shown.column(np.asarray(jobs["size"])))
    all_jobs = _Jobs(logs, user, codes_of(user * (size.max(initial=0) + 1) + size))
    names = shown.column(np.asarray(jobs["user"]))
    sizes = shown.column(np.asarray(jobs["size"]))

    found = len(start)
    score, flag, winner = np.full(found, np.nan), np.zeros(found, np.bool_), np.full(found, -1)
    driver, earlier, counted = np.full(found, -1), np.zeros(found, np.int64), np.zeros(found, np.int64)
    z, expected, low, high = (np.full((found, len(METRICS)), np.nan) for _ in range(4))
    for block in blocks:
        past = (start >= block.fit[0]) & (start < block.score[0])
        rows = np.flatnonzero((start >= block.score[0]) & (start < block.score[1]))
        counted[rows] = past.sum()
        if past.sum() < LEAST_JOBS or not len(rows):
            continue
        learned = _learn(all_jobs, past)
        z[rows] = _residuals(all_jobs, rows, learned)
        score[rows], winner[rows] = _scores(z[rows])
        limit = _limit(all_jobs, past, start)
        flag[rows] = np.nan_to_num(score[rows], nan=-np.inf) > limit
        template = learned.template[rows]
        expected[rows] = np.exp(template)
        low[rows] = np.exp(template - limit * learned.low[rows])
        high[rows] = np.minimum(np.exp(template + limit * learned.high[rows]), HIGHEST)
        earlier[rows] = learned.of_kind[rows]
    parts = np.array([[pattern.get(name, 0) for name in METRICS] for _, pattern in PATTERNS])
    is_judged = winner >= 0
    pushed = np.where(is_judged[:, np.newaxis], np.nan_to_num(z) * parts[winner], -np.inf)
    pushed = np.where(parts[winner] == 0, -np.inf, pushed)
    driver[is_judged] = pushed[is_judged].argmax(axis=1)

    def reason(row: int) -> str:
        job = int(shown.place[row])
        if not is_judged[job]:
            if counted[job] < LEAST_JOBS:
                return f"too few earlier jobs: {counted[job]} of the {LEAST_JOBS} that a template needs"
            return "nothing of this job was measured"
        of = driver[job]
        return (
            f"{PATTERNS[winner[job]][0]}: {WORDS[of]} {_said(values[job, of], of)}, "
            f"expected {_said(expected[job, of], of)} ({_said(low[job, of], of)} to {_said(high[job, of], of)}) "
            f"for user {names[job]} on {sizes[job]:g} GPU{'' if sizes[job] == 1 else 's'} "
            f"({earlier[job]} earlier jobs of that size), {abs(z[job, of]):.1f} times the usual deviation"
        )

    def of_driver(figures: Matrix) -> Matrix:
        return shown.spread(np.where(is_judged, figures[np.arange(found), driver], np.nan))

    return Verdicts(
        score=shown.spread(score),
        flag=shown.spread(flag),
        metrics=METRICS,
        driver=shown.spread(driver),
        reasons=lambda rows: [reason(row) for row in rows],
        seen=of_driver(values),
        expected=of_driver(expected),
        low=of_driver(low),
        high=of_driver(high),
        p_value=np.full(count, np.nan),
    )


def _limit(jobs: _Jobs, past: NDArray[np.bool_], start: Matrix) -> float:
    """The score that one of a thousand past jobs exceeds, each judged by a template that did not see it or its neighbours in time."""
    rows = np.flatnonzero(past)
    rows = rows[np.argsort(start[rows], kind="stable")]
    scores = []
    for fold in np.array_split(rows, FOLDS):
        others = past.copy()
        others[fold] = False
        scores.append(_scores(_residuals(jobs, fold, _learn(jobs, others)))[0])
    known = np.concatenate(scores)
    known = known[~np.isnan(known)]
    return float(np.quantile(known, 1 - FALSE_SHARE)) if len(known) else np.inf


def _learn(jobs: _Jobs, past: NDArray[np.bool_]) -> _Learned:
    """Templates of all jobs shown, and the scales around them, from those of the past."""
    template = np.column_stack([_template(jobs, i, past) for i in range(len(METRICS))])
    residual = jobs.logs - template
    low, high = np.empty_like(residual), np.empty_like(residual)
    for i, name in enumerate(METRICS):
        for side, scales in ((-1, low), (1, high)):
            of_past = side * residual[past, i]
            scales[:, i] = _scale(of_past[of_past > 0])
            if name == "gpu_util":
                scales[:, i] = _scales_of_users(side * residual[:, i], jobs.user, past, of_all=scales[0, i])
    return _Learned(template, np.bincount(jobs.kind[past], minlength=jobs.kind.max() + 1)[jobs.kind], low, high)


def _template(jobs: _Jobs, metric: int, past: NDArray[np.bool_]) -> Matrix:
    logs = jobs.logs[:, metric]
    known = past & ~np.isnan(logs)
    found = np.full(len(logs), np.median(logs[known]) if known.any() else np.nan)
    for name, codes in (("user", jobs.user), ("kind", jobs.kind)):
        order = jobs.orders[metric][name]
        number = np.bincount(codes[known], minlength=codes.max() + 1)
        median = _medians(logs[order[known[order]]], number)
        found = (number[codes] * np.nan_to_num(median[codes]) + PULL_OF_PARENT * found) / (
            number[codes] + PULL_OF_PARENT
        )
    return found


def _medians(ordered: Matrix, number: NDArray[np.int64]) -> Matrix:
    """The median of each group, NaN of one without values: they are in order, group after group."""
    padded, first, last = np.append(ordered, np.nan), np.cumsum(number) - number, len(ordered)
    lower = np.where(number > 0, first + np.maximum(number - 1, 0) // 2, last)
    upper = np.where(number > 0, first + number // 2, last)
    return np.asarray((padded[lower] + padded[upper]) / 2)


def _said(value: float, metric: int) -> str:
    """A value with its unit; a short time in minutes or seconds."""
    if METRICS[metric] == "dur" and value < 1:
        return f"{value * 3600:.2g} s" if value < 1 / 60 else f"{value * 60:.2g} min"
    return f"{value:.3g} {UNITS[metric]}"


def _scale(sizes: Matrix) -> float:
    """A spread that far values do not widen, but many of them do; the least one of no values."""
    return float(_scales(np.sort(sizes), np.array([len(sizes)]))[0])


def _scales(ordered: Matrix, number: NDArray[np.int64]) -> Matrix:
    """The scale of each group, the least one without values: they are in order, group after group."""
    first, last, padded = np.cumsum(number) - number, np.maximum(number - 1, 0), np.append(ordered, 0.0)
    at = 0.99 * last
    lower, share = np.floor(at).astype(np.int64), at % 1
    a, b = padded[first + lower], padded[first + np.minimum(lower + 1, last)]
    high = np.where(share >= 0.5, b - (b - a) * (1 - share), a + (b - a) * share)
    spread = np.maximum(_medians(ordered, number) / 0.6745, high / 2.576)
    return np.where(number > 0, np.maximum(spread, LEAST_SCALE), LEAST_SCALE)


def _scales_of_users(sizes: Matrix, user: NDArray[np.int64], past: NDArray[np.bool_], *, of_all: float) -> Matrix:
    here = np.flatnonzero(past & (sizes > 0))
    here = here[np.lexsort((sizes[here], user[here]))]
    number = np.bincount(user[here], minlength=user.max() + 1)
    own = _scales(sizes[here], number)
    scales = np.sqrt((number * own**2 + PULL_OF_ALL_USERS * of_all**2) / (number + PULL_OF_ALL_USERS))
    return np.asarray(np.where(number > 0, scales, of_all)[user])


def _residuals(jobs: _Jobs, rows: NDArray[np.intp], learned: _Learned) -> Matrix:
    residual = jobs.logs[rows] - learned.template[rows]
    scale = np.where(residual < 0, learned.low[rows], learned.high[rows])
    return np.asarray(np.clip(residual / scale, -CLIP, CLIP))


def _scores(z: Matrix) -> tuple[Matrix, NDArray[np.int64]]:
    """The strongest pattern's score, and which it is: -1 where none can be told. A part that is not known says nothing."""
    each = []
    for _, pattern in PATTERNS:
        at = [METRICS.index(name) for name in pattern]
        parts = z[:, at] * np.array(list(pattern.values()))
        total = np.nansum(parts, axis=1) / np.sqrt(len(at))
        each.append(np.where(np.isnan(parts[:, 0]), -np.inf, total))
    table = np.column_stack(each)
    winner = np.where(np.isfinite(table).any(axis=1), table.argmax(axis=1), -1)
    return np.where(winner >= 0, table.max(axis=1), np.nan), winner


DETECTOR = Detector(
    name="job_template",
    level=Level.JOB,
    note=(
        "A job against its user's earlier jobs of that size. A job that is only too long is seldom found: "
        "how long a user's jobs take varies threefold by itself."
    ),
    needs=("job", "user", "size", "start", "dur", "gpu_util"),
    uses=("cpu_per_gpu", "net_per_gpu", "mem_gb"),
    judge=_judge,
    false_alarms="1 job of 1,000",
    false_alarms_per_1000=1,
)
