"""What each job asks for: its tasks with roles, GPU types, shares, sizes, waits and run times."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from gpulake.simulate import reference
from gpulake.simulate.curves import Curve, Flags, Floats, Ints, deal, fit_table, ranks
from gpulake.simulate.dice import Dice
from gpulake.simulate.population import FAILED, RUNNING, TERMINATED, Jobs, Window, status_quotas
from gpulake.simulate.reference import GPU_TYPES, PLAN_GPU, count_of

ROLES = (
    *(
        "tensorflow",
        "worker",
        "ps",
        "PyTorchWorker",
        "DecoderWorker",
        "ReduceTask",
        "evaluator",
        "chief",
        "xComputeWorker",
    ),
    *(
        "TensorboardTask",
        "JupyterTask",
        "OssToVolumeWorker",
        "TVMTuneMain",
        "MWorker",
        "LeadingWorker",
        "OpenmpiWorker",
    ),
    "OpenmpiTracker",
)
_CPU_ROLES = {"ps", "ReduceTask", "OpenmpiTracker"}
_SIZE_BUMP = {
    "worker": 1.5,
    "DecoderWorker": 2.6,
    "MWorker": 1.0,
    "ps": 0.2,
    "tensorflow": -1.3,
    "evaluator": -9.0,
    "chief": -9.0,
}

_GPU_JOBS = (
    (("tensorflow",), 560_000),
    (("PyTorchWorker",), 130_000),
    (("worker",), 129_837),
    (("worker", "chief"), 11_699),
    (("worker", "ps"), 157_000),
    (("worker", "evaluator", "ps"), 16_500),
    (("worker", "chief", "evaluator", "ps"), 300),
    (("DecoderWorker", "ReduceTask"), 2_600),
    (("OpenmpiWorker", "OpenmpiTracker"), 350),
)
_CPU_JOBS = (
    (("xComputeWorker",), 27_000),
    (("TensorboardTask",), 9_000),
    (("OssToVolumeWorker",), 4_000),
    (("JupyterTask",), 3_600),
    (("TVMTuneMain",), 1_500),
    (("MWorker",), 1_400),
    (("LeadingWorker",), 715),
)
"""Tasks of a job, the leading one first, and how many jobs have them: role shares of real rows, sums of the real task table."""

NO_GPU = -1


@dataclass(frozen=True)
class Tasks:
    """One entry per task, those of a job together; times are wishes until the fleet has placed them."""

    job: Ints
    role: Ints
    leads: Flags
    gpu_type: Ints
    plan_gpu: Ints
    plan_cpu: Floats
    plan_mem: Floats
    inst_num: Ints
    status: Ints
    wait_s: Ints
    run_s: Ints

    def __len__(self) -> int:
        """Number of tasks."""
        return len(self.job)

    @property
    def first_of_job(self) -> Ints:
        """Index of each job's first task."""
        return np.flatnonzero(np.concatenate(([True], self.job[1:] != self.job[:-1])))


def draw_tasks(jobs: Jobs, gpus_by_type: Floats, window: Window, dice: Dice) -> tuple[Jobs, Tasks]:
    """Draw every task; jobs that the window's end cuts change places with others, so that the status counts stay exact."""
    job, role, leads, cpu = _expand(jobs, dice)
    gpu_type, plan_gpu = _devices(jobs.group[job], cpu, dice)
    inst_num = _sizes(jobs, job, role, plan_gpu, gpu_type, dice)
    plan_cpu, plan_mem = _host_requests(jobs.group[job], plan_gpu, dice)
    wait_s = _waits(gpu_type, plan_gpu, dice)
    run_s = _run_times(
        jobs,
        job=job,
        leads=leads,
        gpu_type=gpu_type,
        inst_num=inst_num,
        plan_gpu=plan_gpu,
        gpus_by_type=gpus_by_type,
        window_s=window.end_s - window.start_s,
        dice=dice,
    )
    tasks = Tasks(
        job,
        role,
        leads,
        gpu_type,
        plan_gpu,
        plan_cpu,
        plan_mem,
        inst_num,
        np.zeros(len(job), dtype=np.int64),
        wait_s,
        run_s,
    )
    jobs = _settle_ends(jobs, tasks, window, dice)
    return jobs, replace(tasks, status=_task_statuses(jobs, tasks, dice))


def _expand(jobs: Jobs, dice: Dice) -> tuple[Ints, Ints, Flags, Flags]:
    """Tasks of each job: its index, role, whether it leads the job, whether it asks for no GPU."""
    rng = dice.on("templates")
    by_group = rng.standard_normal(int(jobs.group.max()) + 1)
    score = by_group[jobs.group] + 0.25 * rng.standard_normal(len(jobs))
    # Jobs left Running have more tasks than finished ones: 1.5 against 1.2 in real rows
    score = score + np.where((jobs.status == RUNNING) & ~jobs.cpu_only, 0.9, 0.0)
    kind = np.empty(len(jobs), dtype=np.int64)
    for templates, members, first in (
        (_GPU_JOBS, np.flatnonzero(~jobs.cpu_only), 0),
        (_CPU_JOBS, np.flatnonzero(jobs.cpu_only), len(_GPU_JOBS)),
    ):
        kind[members] = first + deal(score[members], np.array([count for _, count in templates], dtype=np.float64))
    names_of = [names for names, _ in (*_GPU_JOBS, *_CPU_JOBS)]
    length = np.array([len(names) for names in names_of])
    roles = np.zeros((len(names_of), int(length.max())), dtype=np.int64)
    for number, names in enumerate(names_of):
        roles[number, : len(names)] = [ROLES.index(name) for name in names]
    lengths = length[kind]
    job = np.repeat(np.arange(len(jobs)), lengths)
    place = np.arange(len(job)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    role = roles[kind[job], place]
    cpu = jobs.cpu_only[job] | np.isin(role, [ROLES.index(name) for name in _CPU_ROLES])
    return job, role, place == 0, cpu


def _devices(group: Ints, cpu: Flags, dice: Dice) -> tuple[Ints, Ints]:
    """GPU type and plan_gpu of each task (NO_GPU and 0 for CPU-only): both margins exact, jobs of a group mostly alike."""
    rng = dice.on("devices")
    asks = np.flatnonzero(~cpu)
    types = np.array(reference.TASKS_BY_GPU_TYPE, dtype=np.float64)
    plans = np.array(reference.TASKS_BY_PLAN_GPU, dtype=np.float64)
    plan_gpu = np.array(PLAN_GPU)
    prior = np.ones((len(types), len(plans)))
    two_gpus = np.array([GPU_TYPES.index("T4"), GPU_TYPES.index("P100")])
    prior[np.ix_(two_gpus, np.flatnonzero(plan_gpu > 200))] = 0.0
    prior[GPU_TYPES.index("P100"), plan_gpu == 100] = 5.0
    for strong, most in (("V100", 10.0), ("V100M32", 40.0)):
        prior[GPU_TYPES.index(strong)] *= np.select(
            [plan_gpu > 200, plan_gpu == 200, plan_gpu == 100], [most, 4.0, 2.0], 0.3
        )
    table = fit_table(prior * plans, (((1,), plans / plans.sum()), ((0,), types / types.sum())))
    by_group = rng.random(int(group.max()) + 1)
    score = by_group[group[asks]] + 0.01 * rng.standard_normal(len(asks))
    cells = deal(score, table.ravel())
    gpu_type = np.full(len(cpu), NO_GPU, dtype=np.int64)
    asked = np.zeros(len(cpu), dtype=np.int64)
    gpu_type[asks] = cells // len(plans)
    asked[asks] = plan_gpu[cells % len(plans)]
    return gpu_type, asked


def _sizes(jobs: Jobs, job: Ints, role: Ints, plan_gpu: Ints, gpu_type: Ints, dice: Dice) -> Ints:
    """Instances of each task: the heavy tail of the notebook, 76.4 % of one."""
    rng = dice.on("sizes")
    real_tasks = count_of("pai_task_table", "rows")
    real_instances = count_of("pai_instance_table", "rows") / reference.ROWS_PER_INSTANCE
    single = count_of("pai_task_table", "inst_num=1")
    grid = [(2, 1 - single / real_instances), *reference.instance_share_by_task_size(), (1_000, 0.0)]
    low = np.array([1, *(size for size, _ in grid[:-1])])
    high = np.array([2, *(size for size, _ in grid[1:])])
    mean = (high - low) / np.log(high / low)
    weights = np.concatenate(
        ([single], np.maximum(-np.diff([share for _, share in grid]), 0.0) * real_instances / mean[1:])
    )
    # The smallest gangs take what the digitised curve leaves over, so that the number of tasks is right
    weights[1] = max(real_tasks - weights[0] - weights[2:].sum(), weights[1] * 0.5)
    by_group = rng.standard_normal(int(jobs.group.max()) + 1)
    bump = np.array([_SIZE_BUMP.get(name, 0.0) for name in ROLES])
    score = 0.75 * by_group[jobs.group[job]] + 0.85 * rng.standard_normal(len(job)) + bump[role]
    score += np.where(gpu_type == GPU_TYPES.index("P100"), 0.7, 0.0) - np.where(plan_gpu > 200, 1.2, 0.0)
    score -= np.where(jobs.status[job] == RUNNING, 0.4, 0.0)
    bucket = deal(score, weights)
    sizes: Ints = np.floor(low[bucket] * (high / low)[bucket] ** rng.random(len(job))).astype(np.int64)
    # One instance in nine sits in a task of exactly 100: the curve falls by eleven points between 98 and 103
    sizes[low[bucket] == 98] = 100
    most = count_of("pai_task_table", "largest inst_num*plan_gpu/100 (Terminated)") * 100 // np.maximum(plan_gpu, 1)
    sizes = np.where(plan_gpu > 0, np.minimum(sizes, np.maximum(most, 1)), sizes)
    missing = round(real_instances * len(job) / real_tasks) - int(sizes.sum())
    middling = rng.permutation(np.flatnonzero((sizes >= 9) & (sizes < 97)))[: abs(missing)]
    sizes[middling] += np.sign(missing)
    return sizes


def _host_requests(group: Ints, plan_gpu: Ints, dice: Dice) -> tuple[Floats, Floats]:
    """plan_cpu and plan_mem: the site's default values as spikes; more GPUs ask for more."""
    rng = dice.on("host requests")
    pairs = np.array(reference.ASKED_CPU_AND_MEMORY)
    pairs = pairs[np.argsort(pairs[:, 0], kind="stable")]
    by_group = rng.standard_normal(int(group.max()) + 1)
    score = by_group[group] + 0.2 * rng.standard_normal(len(group)) + np.where(plan_gpu > 100, 2.5, 0.0)
    pair = deal(score, pairs[:, 2])
    plan_cpu = pairs[pair, 0].copy()
    zero = max(
        1, round(count_of("pai_task_table", "plan_cpu equal to 0") * len(group) / count_of("pai_task_table", "rows"))
    )
    plan_cpu[rng.permutation(len(group))[:zero]] = 0.0
    return plan_cpu, pairs[pair, 1]


def _waits(gpu_type: Ints, plan_gpu: Ints, dice: Dice) -> Ints:
    """Seconds from submission to the first start, meeting the figures by GPU type and by share class at once."""
    rng = dice.on("waits")
    edges: Floats = (
        np.unique(np.round(np.concatenate((np.arange(1, 24), np.geomspace(25, 330_000, 40))))).astype(np.float64) - 0.5
    )
    gpu = gpu_type >= 0
    share_class = np.searchsorted([25, 50, 100, 101], plan_gpu, side="right")
    cell = np.where(gpu, gpu_type * 5 + share_class, 0)
    members = np.bincount(cell[gpu], minlength=25).reshape(5, 5).astype(np.float64)
    by_type = np.array([np.diff(reference.wait_curve(name).cdf(edges)) for name in GPU_TYPES])
    by_share = np.array([np.diff(reference.wait_curve(name).cdf(edges)) for name in reference.SHARE_CLASSES])
    by_type, by_share = (table / table.sum(axis=1, keepdims=True) for table in (by_type, by_share))
    fitted = fit_table(
        members[:, :, None] * np.ones(len(edges) - 1),
        (
            ((1, 2), by_share * members.sum(axis=0)[:, None]),
            ((0, 2), by_type * members.sum(axis=1)[:, None]),
            ((0, 1), members),
        ),
        rounds=60,
    )
    waits = np.zeros(len(plan_gpu), dtype=np.int64)
    for number, shares in enumerate((*fitted.reshape(25, -1), by_share[1])):
        inside = np.flatnonzero(gpu & (cell == number)) if number < 25 else np.flatnonzero(~gpu)
        if not len(inside):
            continue
        bins = rng.permutation(deal(np.arange(len(inside), dtype=np.float64), shares))
        drawn = edges[bins] * (edges[bins + 1] / edges[bins]) ** rng.random(len(inside))
        waits[inside] = np.rint(drawn)
    return np.maximum(waits, 1)


def _run_times(
    jobs: Jobs,
    *,
    job: Ints,
    leads: Flags,
    gpu_type: Ints,
    inst_num: Ints,
    plan_gpu: Ints,
    gpus_by_type: Floats,
    window_s: int,
    dice: Dice,
) -> Ints:
    """Seconds that each task's instances run: the figures by GPU type for what succeeds, a third of it for what fails."""
    rng = dice.on("run times")
    by_group = rng.standard_normal(int(jobs.group.max()) + 1)
    score = 0.7 * by_group[jobs.group[job]] + 0.6 * rng.standard_normal(len(job))
    width, gpus = np.log(inst_num), inst_num * plan_gpu / 100
    most_s = _longest_runs(gpu_type, gpus, gpus_by_type)
    failed = jobs.status[job] == FAILED
    runs = np.zeros(len(job))
    for number, name in enumerate((*GPU_TYPES, "CPU")):
        curve = reference.runtime_curve(name) if name != "CPU" else _CPU_RUN_S
        inside = np.flatnonzero(leads & (gpu_type == (number if name != "CPU" else NO_GPU)))
        if name == "CPU":
            runs[inside] = _ranked_runs(curve, score[inside], failed[inside], most_s[inside])
        else:
            of_type = float(gpus_by_type[number])
            # Few GPUs must idle more to keep queues short, as in any queueing system
            held = _HELD_SHARE[number] * (1 - _SLACK / of_type**0.5) * window_s * of_type
            runs[inside] = _runs_within(
                curve,
                score[inside],
                failed[inside],
                most_s[inside],
                width=width[inside],
                gpus=gpus[inside],
                held_gpu_s=held,
            )
    first = np.flatnonzero(leads)
    runs = np.where(leads, runs, np.minimum(runs[first][job] * (1 - 0.02 * rng.random(len(job))), most_s))
    return _polled(runs, rng)


def _longest_runs(gpu_type: Ints, gpus: Floats, gpus_by_type: Floats) -> Floats:
    """Seconds that each task may run, for it to take no larger a share of its GPU type than the largest real task could.

    That is the largest counted task for as long as the longest fiftieth of its type's tasks run. A small fleet has the real
    run times and numbers of instances, but few of the GPUs: without a limit one task would fill all of a type for a week.
    """
    largest = count_of("pai_task_table", "largest inst_num*plan_gpu/100 (Terminated)")
    most_s = np.full(len(gpu_type), np.inf)
    for number, name in enumerate(GPU_TYPES):
        inside = gpu_type == number
        longest_s = float(reference.runtime_curve(name).quantile(np.array([0.98]))[0])
        share = gpus_by_type[number] / reference.gpus_of_type(name)
        most_s[inside] = largest * longest_s * share / gpus[inside]
    return most_s


def _runs_within(
    curve: Curve, score: Floats, failed: Flags, most_s: Floats, *, width: Floats, gpus: Floats, held_gpu_s: float
) -> Floats:
    """Run times by rank, wide gangs shorter (or longer) as needed for the type's tasks to hold about that many GPU-seconds."""
    low, high = -0.6, 1.2
    runs = _ranked_runs(curve, score, failed, most_s)
    for _ in range(_LOAD_STEPS):
        slope = (low + high) / 2
        runs = _ranked_runs(curve, score - slope * width, failed, most_s)
        low, high = (slope, high) if float(runs @ gpus) > held_gpu_s else (low, slope)
    return runs


def _ranked_runs(curve: Curve, score: Floats, failed: Flags, most_s: Floats) -> Floats:
    """Run times on the curve in order of score; a task that would run beyond its most changes places with lower ones."""
    runs = np.empty(len(score))
    of_failed = reference.FAILED_MEDIAN_RUN_S / reference.TERMINATED_MEDIAN_RUN_S
    for members, factor in ((~failed, 1.0), (failed, of_failed)):
        most = most_s[members] / factor
        share = ranks(score[members])
        for _ in range(_PLACE_CHANGES):
            share = ranks(np.minimum(share, curve.cdf(most)))
        runs[members] = np.minimum(curve.quantile(share), most) * factor
    return runs


_HELD_SHARE = (0.34, 0.41, 0.36, 0.30, 0.30)
"""Share of each type's GPU-seconds (in the order of GPU_TYPES) that its instances hold over the window; two thirds more in the busiest days.
The paper reports 74 % for the weak eight-GPU machines and 49 % for V100; less here, since slots of fixed size queue sooner than a real scheduler."""
_SLACK = 1.2
_LOAD_STEPS = 7
_PLACE_CHANGES = 3

_CPU_RUN_S = Curve.through(
    ((0.1, 12.0), (0.3, 40.0), (0.5, 240.0), (0.75, 2_000.0), (0.9, 9_000.0), (0.98, 40_000.0)),
    least=8.0,
    most=200_000.0,
)


def _polled(seconds: Floats, rng: np.random.Generator) -> Ints:
    """Whole seconds; short runs end when a ten-second poll sees them: 21, 31, 41, 42, 52 are the commonest real values."""
    late = rng.choice(4, size=len(seconds), p=(0.2, 0.38, 0.25, 0.17))
    short = (seconds >= 10) & (seconds < 200)
    return np.maximum(np.where(short, np.rint(seconds / 10) * 10 + late, np.rint(seconds)), 1).astype(np.int64)


def _settle_ends(jobs: Jobs, tasks: Tasks, window: Window, dice: Dice) -> Jobs:
    """Give the status Running to what ends after the window, taking it from jobs elsewhere."""
    end_s = jobs.submit_s[tasks.job] + tasks.wait_s + tasks.run_s
    reached = np.maximum.reduceat(end_s, tasks.first_of_job) >= window.end_s
    status = jobs.status.copy()
    cut = np.flatnonzero(reached & (status != RUNNING))
    spare = dice.on("swaps").permutation(np.flatnonzero((status == RUNNING) & ~reached))[: len(cut)]
    status[spare] = status[cut[: len(spare)]]
    status[cut] = RUNNING
    return replace(jobs, status=status)


def _task_statuses(jobs: Jobs, tasks: Tasks, dice: Dice) -> Ints:
    """Status of each task: the job's for the leading one; what accompanies a failed task is Terminated or still Running."""
    status = jobs.status[tasks.job].copy()
    beside = np.flatnonzero((status == FAILED) & ~tasks.leads)
    share = len(tasks) / count_of("pai_task_table", "rows")
    failed = round(count_of("pai_task_table", "status=Failed") * share) - int((jobs.status == FAILED).sum())
    # Some jobs that are Terminated so far will be found waiting
    *_, waiting = status_quotas(len(jobs))
    terminated = round(count_of("pai_task_table", "status=Terminated") * share) + waiting
    terminated -= int((status == TERMINATED).sum())
    failed = min(max(failed, 0), len(beside))
    terminated = min(max(terminated, 0), len(beside) - failed)
    dealt = np.full(len(beside), RUNNING)
    dealt[:failed] = FAILED
    dealt[failed : failed + terminated] = TERMINATED
    status[beside] = dice.on("tasks beside failures").permutation(dealt)
    return status
