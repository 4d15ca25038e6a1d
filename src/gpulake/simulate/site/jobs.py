"""Who asks a site for GPUs, when, for how long, and what the job would do with them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from gpulake.simulate.dice import Dice
from gpulake.simulate.site.fleet import BATCH, DEV, Grid, Site

LOAD = {BATCH: 0.8, DEV: 0.5}
"""GPU-hours asked for over those there are, by partition."""

_ACCOUNTS = ("vision", "speech", "language", "robotics")
_USERS = (
    *("ada", "ben", "chen", "dalia", "emil", "fatima", "goran", "hana"),
    *("ines", "jonas", "kofi", "lena", "marek", "nadia", "omar", "priya"),
)
FIRST_UID = 20_001

# By local hour, over the mean: few at night, a dip at noon
_HOURLY = (
    0.35,
    0.25,
    0.2,
    0.2,
    0.2,
    0.25,
    0.4,
    0.7,
    1.3,
    1.8,
    2.0,
    1.9,
    1.3,
    1.6,
    1.9,
    1.9,
    1.8,
    1.5,
    1.1,
    0.9,
    0.8,
    0.7,
    0.6,
    0.45,
)
_WEEKEND = 0.45
_FIRST_RUSH = 0.3
"""Share of batch jobs that people hand in within the first two hours: the site opens after maintenance."""
_FIRST_JOB_ID = 48_201
_LIMITS_H = (1, 2, 4, 8, 12, 24, 48)


@dataclass(frozen=True)
class Kind:
    """One kind of job: how common it is, how long it runs, and how its GPUs are used."""

    name: str
    partition: str
    gpu_hours_share: float
    median_hours: float
    spread: float
    use_pct: tuple[int, int]
    intensity: tuple[float, float]
    memory_share: tuple[float, float]
    sm_share: float
    tensor_share: float
    dram_share: float
    pcie_mb_per_s: float
    nvlink_mb_per_s: float
    cores_busy: float
    limit_hours: int


KINDS = (
    Kind("train", BATCH, 0.625, 7.0, 0.8, (86, 99), (0.80, 1.02), (0.7, 0.95), 0.93, 0.62, 0.42, 900, 60_000, 3.0, 48),
    Kind("finetune", BATCH, 0.16, 2.5, 0.7, (70, 96), (0.65, 0.9), (0.5, 0.9), 0.88, 0.50, 0.38, 600, 25_000, 2.5, 12),
    Kind("eval", BATCH, 0.10, 0.7, 0.7, (30, 75), (0.45, 0.75), (0.3, 0.8), 0.80, 0.30, 0.50, 1_500, 0, 4.0, 4),
    Kind("sweep", BATCH, 0.07, 0.35, 0.6, (45, 92), (0.4, 0.8), (0.1, 0.4), 0.75, 0.25, 0.30, 400, 0, 3.0, 2),
    Kind("notebook", DEV, 0.04, 5.0, 0.5, (20, 70), (0.3, 0.7), (0.1, 0.5), 0.70, 0.20, 0.25, 200, 0, 0.6, 12),
    Kind("debug", DEV, 0.005, 0.15, 0.7, (10, 80), (0.3, 0.8), (0.1, 0.6), 0.70, 0.25, 0.25, 300, 0, 1.5, 1),
)
NOTEBOOK = "notebook"
_OUTCOMES = {  # completed, failed, timeout, cancelled, out of memory
    "train": (0.70, 0.12, 0.07, 0.09, 0.02),
    "finetune": (0.80, 0.10, 0.03, 0.05, 0.02),
    "eval": (0.90, 0.06, 0.01, 0.02, 0.01),
    "sweep": (0.88, 0.08, 0.01, 0.02, 0.01),
    "notebook": (0.25, 0.02, 0.33, 0.40, 0.0),
    "debug": (0.60, 0.32, 0.03, 0.03, 0.02),
}
STATES = ("COMPLETED", "FAILED", "TIMEOUT", "CANCELLED", "OUT_OF_MEMORY")


@dataclass(frozen=True)
class Job:
    """One job as it was asked for; `run_s` is how long it would run undisturbed, and `state` how it would end."""

    number: int
    job_id: int
    array_id: int
    array_index: int
    name: str
    kind: Kind
    user: str
    uid: int
    account: str
    submit_s: int
    run_s: int
    limit_s: int
    nodes: int
    gpus_per_node: int
    state: str
    patience_s: int
    use_pct: int
    intensity: float
    memory_share: float

    @property
    def shown_id(self) -> str:
        """The id as sacct shows it."""
        return f"{self.array_id}_{self.array_index}" if self.array_index >= 0 else str(self.job_id)

    @property
    def gpus(self) -> int:
        """All GPUs that it asks for."""
        return self.nodes * self.gpus_per_node


def draw_jobs(site: Site, grid: Grid, dice: Dice) -> tuple[Job, ...]:
    """Jobs in order of submission, asking for about `LOAD` of each partition's GPU-hours; those of an array stand together."""
    drawn: list[Job] = []
    for number, kind in enumerate(KINDS):
        machines = site.of_partition(kind.partition)
        partition = kind.partition if machines else BATCH
        there = len(site.of_partition(partition)) * site.gpus_per_node
        of_partition = sum(one.gpu_hours_share for one in KINDS if one.partition == kind.partition)
        share = kind.gpu_hours_share / of_partition if machines else kind.gpu_hours_share
        wanted_h = LOAD[partition] * share * there * grid.days * 24
        drawn += _of_kind(kind, number, wanted_h, len(site.of_partition(partition)), site, grid, dice)
    drawn.sort(key=lambda job: (job.submit_s, KINDS.index(job.kind), job.array_id))
    jobs: list[Job] = []
    for number, job in enumerate(drawn):
        follows = job.array_index > 0 and jobs[-1].array_index == job.array_index - 1
        job_id = _FIRST_JOB_ID + number
        jobs.append(replace(job, number=number, job_id=job_id, array_id=jobs[-1].array_id if follows else job_id))
    return tuple(jobs)


def _of_kind(
    kind: Kind, kind_number: int, wanted_h: float, machines: int, site: Site, grid: Grid, dice: Dice
) -> list[Job]:
    """Jobs of one kind, until they ask for enough; `array_id` counts who was handed in together, and numbers come later."""
    rng = dice.on(f"jobs of kind {kind.name}")
    weights, hours_s = _arrivals(grid)
    jobs: list[Job] = []
    asked_h, group = 0.0, 0
    while asked_h < wanted_h:
        group += 1
        nodes, gpus = _shape(kind, machines, site.gpus_per_node, rng)
        user = _user_of(kind_number, rng)
        rush = kind.name == "train" and rng.random() < _FIRST_RUSH and asked_h < _FIRST_RUSH * wanted_h * 1.5
        hour = int(rng.choice(len(weights), p=weights))
        submit_s = grid.start_s + int(rng.integers(0, 7_200)) if rush else int(hours_s[hour] + rng.integers(0, 3_600))
        members = int(rng.integers(4, 21)) if kind.name == "sweep" else 1
        use, intensity = int(rng.integers(kind.use_pct[0], kind.use_pct[1] + 1)), float(rng.uniform(*kind.intensity))
        memory = float(rng.uniform(*kind.memory_share))
        for member in range(members):
            run_s, limit_s, state = _course(kind, rng)
            asked_h += nodes * gpus * run_s / 3_600
            jobs.append(
                Job(
                    number=-1,
                    job_id=-1,
                    array_id=group,
                    array_index=member if members > 1 else -1,
                    name=f"{kind.name}_{group % 40:02d}",
                    kind=kind,
                    user=_USERS[user],
                    uid=FIRST_UID + user,
                    account=_ACCOUNTS[user % len(_ACCOUNTS)],
                    submit_s=submit_s,
                    run_s=run_s,
                    limit_s=limit_s,
                    nodes=nodes,
                    gpus_per_node=gpus,
                    state=state,
                    patience_s=int(3_600 * rng.uniform(4, 30)) if rng.random() < 0.05 else -1,
                    use_pct=use,
                    intensity=intensity,
                    memory_share=memory,
                )
            )
    return jobs


def _course(kind: Kind, rng: np.random.Generator) -> tuple[int, int, str]:
    """How long a job would run, how long it may, and how it would end."""
    wanted_s = max(20, int(3_600 * kind.median_hours * np.exp(kind.spread * rng.standard_normal())))
    state = str(rng.choice(STATES, p=_OUTCOMES[kind.name]))
    # People ask for one to three times what they need, and some for less
    careful = rng.uniform(1.05, 3.0) if state != "TIMEOUT" else 0.8
    hours = [hours for hours in _LIMITS_H if hours <= kind.limit_hours]
    limit_s = 3_600 * next((one for one in hours if one * 3_600 >= careful * wanted_s), hours[-1])
    if wanted_s >= limit_s or state == "TIMEOUT":
        return limit_s + int(rng.integers(0, 30)), limit_s, "TIMEOUT"  # Slurm looks every half minute
    if state in {"FAILED", "OUT_OF_MEMORY"}:
        wanted_s = max(5, int(wanted_s * rng.beta(0.6, 1.6)))
    return wanted_s, limit_s, state


def _shape(kind: Kind, machines: int, per_node: int, rng: np.random.Generator) -> tuple[int, int]:
    """Machines and GPUs on each. Only training takes several machines, and it takes them whole."""
    if kind.name == "train":
        most = max(1, machines // 2)
        nodes = int(rng.choice((1, 1, 2, 4), p=(0.45, 0.2, 0.25, 0.1)))
        if nodes > 1 and most > 1:
            return min(nodes, most), per_node
        return 1, min(per_node, int(rng.choice((2, 4, 8), p=(0.2, 0.4, 0.4))))
    if kind.name == "finetune":
        return 1, min(per_node, int(rng.choice((1, 2, 4), p=(0.5, 0.3, 0.2))))
    return 1, min(per_node, int(rng.choice((1, 2), p=(0.9, 0.1))))


def _user_of(kind_number: int, rng: np.random.Generator) -> int:
    """Users have their habits: each is fond of two kinds."""
    while True:
        user = int(len(_USERS) * rng.random() ** 1.4)
        if (user + kind_number) % 3 or rng.random() < 0.3:
            return user


def _arrivals(grid: Grid) -> tuple[np.ndarray[tuple[int], np.dtype[np.float64]], list[int]]:
    """The hours of the window with their shares of all submissions, by local time of day and day of the week."""
    hours_s = list(range(grid.start_s, grid.end_s, 3_600))
    local = [grid.local(at) for at in hours_s]
    weights = np.array([_HOURLY[at.hour] * (_WEEKEND if at.weekday() >= 5 else 1.0) for at in local])
    return weights / weights.sum(), hours_s
