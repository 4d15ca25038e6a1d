"""What jobs do with the GPUs that they hold, in whole percent of each sample's time, and in exact percent-seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpulake.simulate.curves import Floats, Ints
from gpulake.simulate.dice import Dice
from gpulake.simulate.site.fleet import Grid, Site
from gpulake.simulate.site.jobs import NOTEBOOK, Job
from gpulake.simulate.site.scheduling import Attempt

Small = NDArray[np.float32]

_LOADING_S, _CHECKPOINT_S = 180, 60
_NOISE_PCT = 2
_ON_OFF = (0.004, 0.03)
"""A notebook's chances, per half minute, to begin and to end a bout of work: busy an eighth of the time."""


class Piece(NamedTuple):
    """An attempt on one GPU: samples [begin, end), percent-seconds of all of them, and of the first and the last."""

    begin: int
    end: int
    use_pct_s: int
    first_pct_s: int
    last_pct_s: int


@dataclass(frozen=True)
class Use:
    """One row per GPU of some machines, one column per sample.

    `holder` is the attempt that holds the GPU at the sample's moment, `doer` the last one that held it in the sample's time, -1 for none;
    `use_pct_s` sums percent x seconds over what was held, `activity` says how much of the GPU's power above idle that wants.
    """

    first_gpu: int
    holder: Ints
    doer: Ints
    held_s: Ints
    use_pct_s: Ints
    activity: Small
    memory_mib: Ints
    pieces: dict[tuple[int, int], Piece] = field(default_factory=dict)
    """By attempt and GPU: the samples that it ran in, and what it used there."""


def draw_use(attempts: Sequence[Attempt], site: Site, grid: Grid, dice: Dice, *, machines: range) -> Use:
    """The use of some machines' GPUs; it is the same however machines are taken together."""
    per_node = site.gpus_per_node
    first, rows = machines.start * per_node, len(machines) * per_node
    shape = (rows, len(grid))
    noise = np.empty(shape, np.int8)
    for number, machine in enumerate(machines):
        rng = dice.on(f"noise of machine {machine}")
        noise[number * per_node : (number + 1) * per_node] = rng.integers(
            -_NOISE_PCT, _NOISE_PCT + 1, (per_node, len(grid)), dtype=np.int8
        )
    use = Use(
        first_gpu=first,
        holder=np.full(shape, -1, np.int32),
        doer=np.full(shape, -1, np.int32),
        held_s=np.zeros(shape, np.int32),
        use_pct_s=np.zeros(shape, np.int32),
        activity=np.zeros(shape, np.float32),
        memory_mib=np.zeros(shape, np.int32),
    )
    for number, attempt in enumerate(attempts):
        mine = np.array([gpu - first for gpu in attempt.gpus if first <= gpu < first + rows])
        if attempt.ran and len(mine):
            _add(use, mine, number, attempt, noise, site, grid, dice)
    return use


def _add(
    use: Use,
    mine: Ints,
    number: int,
    attempt: Attempt,
    noise: NDArray[np.int8],
    site: Site,
    grid: Grid,
    dice: Dice,
) -> None:
    every, end_s = grid.every_s, attempt.until(grid)
    begin, end = grid.slot(attempt.start_s), grid.slot(end_s - 1) + 1
    cells = slice(begin, end)
    since = grid.start_s + np.arange(begin, end) * every
    seconds = np.minimum(since + every, end_s) - np.maximum(since, attempt.start_s)
    job = attempt.job
    common = _pattern(job, attempt, end - begin, every, dice)
    wished = np.where(common > 0, np.clip(common + noise[mine, cells], 0, 100), 0).astype(np.int32)
    used = wished * seconds.astype(np.int32)
    use.use_pct_s[mine, cells] += used
    use.held_s[mine, cells] += seconds.astype(np.int32)
    use.activity[mine, cells] += (used * (job.intensity / (100 * every))).astype(np.float32)
    there = since >= attempt.start_s
    use.holder[mine, cells] = np.where(there, number, use.holder[mine, cells])
    use.doer[mine, cells] = number
    model = site.models[attempt.gpus[0] // site.gpus_per_node]
    plateau = job.memory_share * (model.memory_mib - model.reserved_mib)
    age = np.maximum(since - attempt.start_s, 0)
    filled = np.rint(plateau * np.minimum(0.3 + 0.7 * age / 120, 1)).astype(np.int32)
    use.memory_mib[mine, cells] = np.where(there, filled, use.memory_mib[mine, cells])
    sums = (used.sum(axis=1, dtype=np.int64), used[:, 0], used[:, -1])
    for row, *told in zip(mine.tolist(), *(values.tolist() for values in sums), strict=True):
        use.pieces[number, use.first_gpu + row] = Piece(begin, end, *told)


def _pattern(job: Job, attempt: Attempt, cells: int, every: int, dice: Dice) -> Ints:
    """Percent of each sample that a job's kernels run, the same on all of its GPUs."""
    rng = dice.on(f"use of job {job.number} attempt {attempt.number}")
    if job.kind.name == NOTEBOOK:
        return np.where(_bouts(rng, cells, every), job.use_pct + rng.integers(-10, 11, cells), 0).clip(0, 100)
    swing = rng.integers(-3, 4, cells) if job.kind.name in {"train", "finetune"} else rng.integers(-8, 9, cells)
    use = np.clip(job.use_pct + swing, 1, 100)
    if job.kind.name == "train":
        period = max(2, int(rng.integers(1_800, 5_400)) // every)
        stopped = np.arange(cells) % period >= period - max(1, _CHECKPOINT_S // every)
        use[stopped] = rng.integers(3, 15, int(stopped.sum()))
    loading = _LOADING_S if job.kind.name == "train" else 60
    use[: loading // every] = 0
    return use


def _bouts(rng: np.random.Generator, cells: int, every: int) -> NDArray[np.bool_]:
    """Whether somebody is at work, cell by cell: bouts and pauses of random lengths."""
    begins, ends = (1 / min(chance * every / 30, 1.0) for chance in _ON_OFF)
    lengths: Floats = np.empty(0)
    while lengths.sum() < cells:
        pairs = np.stack((rng.exponential(ends, 64), rng.exponential(begins, 64)), axis=1)
        lengths = np.concatenate((lengths, np.ceil(pairs.ravel())))
    work = np.tile([True, False], len(lengths) // 2)
    return np.repeat(work, lengths.astype(np.int64))[:cells]
