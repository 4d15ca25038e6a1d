"""One drawn site, written by each road that was asked for, a few machines at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from gpulake.errors import UsageError
from gpulake.simulate.dice import Dice
from gpulake.simulate.site import kernel_log, plain, prometheus, slurm, truth
from gpulake.simulate.site.faults import POWER_CAP, THROTTLING, Fault, asked, blind_spans, plan_faults
from gpulake.simulate.site.fleet import Grid, Site, build_site
from gpulake.simulate.site.hosts import HostSamples, host_samples
from gpulake.simulate.site.incidents import Event, State, events_of, states_of
from gpulake.simulate.site.jobs import Job, draw_jobs
from gpulake.simulate.site.scheduling import Attempt
from gpulake.simulate.site.signal import POWER_CAP as CAPPED
from gpulake.simulate.site.signal import SW_THERMAL, Samples, active_milli_s, measure, traits_of
from gpulake.simulate.site.use import draw_use
from gpulake.simulate.truth import Growing, save

Progress = Callable[[str, float], None]

ROADS = ("slurm", "prometheus", "kernel_log", "plain")
_SAMPLES_AT_A_TIME = 650_000


@dataclass(frozen=True)
class Summary:
    """What was simulated and where it is."""

    out: Path
    truth: Path
    days: float
    seed: int
    zone: str
    start_s: int
    end_s: int
    machines: int
    gpus: int
    jobs: int
    faults: int
    rows: dict[str, int]


@dataclass(frozen=True)
class Week:
    """A site and all that happened there, before anybody has looked at it."""

    site: Site
    grid: Grid
    dice: Dice
    jobs: tuple[Job, ...]
    attempts: tuple[Attempt, ...]
    faults: tuple[Fault, ...]
    states: tuple[State, ...]
    events: tuple[Event, ...]

    def blocks(self, machines_at_a_time: int | None = None) -> Sequence[range]:
        """Machines in runs that fit into memory together."""
        fit = max(1, _SAMPLES_AT_A_TIME // (self.site.gpus_per_node * len(self.grid)))
        step, count = machines_at_a_time or fit, len(self.site.machines)
        return [range(first, min(first + step, count)) for first in range(0, count, step)]

    def measured(self, machines: range) -> tuple[Samples, HostSamples]:
        """What some machines' sensors show, however the machines are taken together."""
        use = draw_use(self.attempts, self.site, self.grid, self.dice, machines=machines)
        traits = traits_of(self.attempts, use.doer)
        samples = measure(use, traits, self.faults, self.events, self.site, self.grid, self.dice)
        hosts = host_samples(use, self.attempts, self.faults, self.site, self.grid, self.dice, machines=machines)
        return samples, hosts


def draw(
    *,
    nodes: int,
    gpus_per_node: int,
    days: int,
    start: date,
    zone: str,
    seed: int,
    faults: str = "",
    every_s: int = 30,
) -> Week:
    """A site, its jobs, where they ran, and what broke. Raises UsageError for a size, zone, seed or fault that there is not."""
    if seed < 0:
        raise UsageError(f"seed is {seed}, but a seed is zero or more", do="give --seed 42")
    kinds = asked(faults)
    dice = Dice(seed)
    grid = Grid.of(start=start, days=days, zone=zone, every_s=every_s)
    site = build_site(nodes=nodes, gpus_per_node=gpus_per_node, grid=grid, dice=dice)
    jobs = draw_jobs(site, grid, dice)
    placed, attempts = plan_faults(kinds, jobs, site, grid, dice)
    return Week(
        site=site,
        grid=grid,
        dice=dice,
        jobs=jobs,
        attempts=attempts,
        faults=placed,
        states=states_of(placed),
        events=events_of(placed, attempts, grid, dice),
    )


def simulate(
    out: Path,
    *,
    nodes: int,
    gpus_per_node: int,
    days: int,
    start: date,
    zone: str,
    seed: int,
    faults: str = "",
    every_s: int = 30,
    roads: Sequence[str] = ROADS,
    progress: Progress | None = None,
) -> Summary:
    """Write a site's week by each road, and `truth/`, under `out`: the same arguments give the same bytes, and every road the same week.

    Raises UsageError for a road that there is not, and as `draw` does.
    """
    unknown = [road for road in roads if road not in ROADS]
    if unknown:
        raise UsageError(f"there is no road {unknown[0]!r}", do=f"choose from {', '.join(ROADS)}")
    tell = progress or _silent
    tell("drawing jobs", 0.02)
    week = draw(
        nodes=nodes,
        gpus_per_node=gpus_per_node,
        days=days,
        start=start,
        zone=zone,
        seed=seed,
        faults=faults,
        every_s=every_s,
    )
    for folder in (*roads, "truth"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    rows: dict[str, int] = {}
    if "slurm" in roads:
        rows |= slurm.write_slurm(out / "slurm", week.attempts, week.states, week.site, week.grid)
    if "kernel_log" in roads:
        rows["kernel_log"] = kernel_log.write_logs(out / "kernel_log", week.events, week.site, week.grid, week.dice)
    if "plain" in roads:
        rows |= plain.write_tables(
            out / "plain", week.jobs, week.attempts, week.states, week.events, week.site, week.grid
        )
    rows |= _write_samples(week, out, roads, tell)
    tell("simulated", 1.0)
    return Summary(
        out=out,
        truth=out / "truth",
        days=week.grid.days,
        seed=seed,
        zone=zone,
        start_s=week.grid.start_s,
        end_s=week.grid.end_s,
        machines=len(week.site.machines),
        gpus=week.site.gpus,
        jobs=len({one.job.number for one in week.attempts}),
        faults=len(week.faults),
        rows=rows,
    )


def _silent(_what: str, _share: float) -> None:
    return


def _write_samples(week: Week, out: Path, roads: Sequence[str], tell: Progress) -> dict[str, int]:
    """The samples and the truth, block by block."""
    hours = Growing(out / "truth" / "gpu_hours.parquet")
    files = plain.SampleFiles(out / "plain") if "plain" in roads else None
    chunks = prometheus.Chunks(out / "prometheus", week.grid) if "prometheus" in roads else None
    did: dict[tuple[int, int], truth.Did] = {}
    felt: dict[int, int] = {}
    blocks = week.blocks()
    for number, machines in enumerate(blocks):
        tell("measuring", 0.1 + 0.85 * number / len(blocks))
        samples, hosts = week.measured(machines)
        active = active_milli_s(samples, week.grid)
        did |= {key: (piece.use_pct_s, active[key]) for key, piece in samples.use.pieces.items()}
        felt |= _felt(week, samples)
        hours.add(truth.hours_frame(samples, week.site, week.grid))
        if files:
            files.add(samples, hosts, week.attempts, week.site, week.grid)
        if chunks:
            chunks.add(samples, hosts, week.attempts, week.site)
    hours.close()
    rows: dict[str, int] = {}
    if files:
        files.close()
        rows |= files.rows
    if chunks:
        rows["prometheus"] = chunks.close()
    _write_truth(week, out / "truth", did, felt)
    return rows


def _felt(week: Week, samples: Samples) -> dict[int, int]:
    """For each fault of a block: seconds x GPUs in which it could be seen to slow or to blind."""
    found = {}
    per_node, use, moments = week.site.gpus_per_node, samples.use, week.grid.moments_s
    last = use.first_gpu + len(samples.seen)
    for number, fault in enumerate(week.faults):
        first = fault.machine * per_node if fault.gpu < 0 else fault.gpu
        if not use.first_gpu <= first < last:
            continue
        rows = slice(first - use.first_gpu, first - use.first_gpu + (per_node if fault.gpu < 0 else 1))
        inside = (moments >= fault.from_s) & (moments < fault.to_s)
        if fault.kind in {THROTTLING, POWER_CAP}:
            bit = SW_THERMAL if fault.kind == THROTTLING else CAPPED
            slowed = (samples.reasons[rows, inside] & bit) > 0
            found[number] = int(slowed.sum()) * week.grid.every_s
        elif blind_spans(fault):
            found[number] = int((~samples.seen[rows, inside]).sum()) * week.grid.every_s
    return found


def _write_truth(week: Week, folder: Path, did: dict[tuple[int, int], truth.Did], felt: dict[int, int]) -> None:
    save(truth.jobs_frame(week.jobs, week.attempts, did, week.grid), folder / "jobs.parquet")
    save(truth.attempts_frame(week.attempts, did, week.site, week.grid), folder / "holds.parquet")
    save(truth.events_frame(week.events, week.site), folder / "events.parquet")
    faults = truth.faults_frame(week.faults, week.attempts, felt, week.site, week.grid)
    truth.save_labels(faults, folder, "faults")
    truth.save_labels(truth.states_frame(week.states, week.site, week.grid), folder, "machine_states")
