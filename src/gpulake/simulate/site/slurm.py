"""The site as Slurm tells it: sacct, scontrol and sacctmgr, with local times that have no zone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path

from gpulake.simulate.site.fleet import CLUSTER, Grid, Site
from gpulake.simulate.site.incidents import State
from gpulake.simulate.site.scheduling import DOWN, Attempt

SACCT_FIELDS = (
    *("JobID", "JobIDRaw", "JobName", "User", "UID", "Account", "Partition", "QOS", "Cluster", "State", "ExitCode"),
    *("DerivedExitCode", "Submit", "Eligible", "Start", "End", "Elapsed", "ElapsedRaw", "Timelimit", "TimelimitRaw"),
    *("NNodes", "NCPUS", "ReqTRES", "AllocTRES", "ReqMem", "NodeList", "Reason", "TotalCPU", "MaxRSS"),
    *("ConsumedEnergyRaw", "SubmitLine", "WorkDir"),
)
_STEPS = ("batch", "extern", "0")


class _Teller:
    """Words that depend on the site and its zone."""

    def __init__(self, site: Site, grid: Grid) -> None:
        self.site, self.grid = site, grid

    def time(self, at_s: int, *, missing: str = "Unknown") -> str:
        """A moment by the site's clocks: an hour that they show twice cannot be told."""
        return self.grid.local(at_s).strftime("%Y-%m-%dT%H:%M:%S") if at_s >= 0 else missing

    def nodes(self, gpus: Iterable[int]) -> list[int]:
        """Machines of some GPUs, in order."""
        return sorted({gpu // self.site.gpus_per_node for gpu in gpus})

    def node_list(self, machines: Sequence[int]) -> str:
        """Names as Slurm folds them: gpu[001-003,007]."""
        if not machines:
            return "None assigned"
        if len(machines) == 1:
            return self.site.machines[machines[0]]
        width = len(self.site.machines[0]) - 3
        return f"gpu[{folded([machine + 1 for machine in machines], width=width)}]"

    def tres(self, one: Attempt, *, billing: bool) -> str:
        """What an attempt holds, in the order of sacct."""
        job = one.job
        each = self.site.cores_per_node // self.site.gpus_per_node
        cores, memory = job.gpus * each, job.gpus * (self.site.memory_mib_per_node // self.site.gpus_per_node)
        model = self.site.models[one.gpus[0] // self.site.gpus_per_node].slurm_type if one.gpus else ""
        typed = f"gres/gpu:{model}={job.gpus}," if model else ""
        paid = f"billing={cores}," if billing else ""
        return f"{paid}cpu={cores},{typed}gres/gpu={job.gpus},mem={memory}M,node={job.nodes}"


def folded(numbers: Sequence[int], *, width: int = 0) -> str:
    """Numbers in ascending order as Slurm folds them: 0-3,6."""
    parts = []
    for _, run in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        values = [value for _, value in run]
        first, last = (f"{value:0{width}d}" for value in (values[0], values[-1]))
        parts.append(first if first == last else f"{first}-{last}")
    return ",".join(parts)


def duration(seconds: int) -> str:
    """[D-]HH:MM:SS."""
    days, rest = divmod(seconds, 86_400)
    text = f"{rest // 3_600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}"
    return f"{days}-{text}" if days else text


def write_slurm(
    folder: Path, attempts: Sequence[Attempt], states: Sequence[State], site: Site, grid: Grid
) -> dict[str, int]:
    """Write the four answers of Slurm, asked at the end of the window; returns the lines, or blocks, of each."""
    teller = _Teller(site, grid)
    files = {
        "sacct.txt": ["|".join(SACCT_FIELDS), *(line for one in attempts for line in _sacct_lines(one, teller))],
        "scontrol_show_node.txt": [
            _node_block(machine, attempts, states, teller) for machine in range(len(site.machines))
        ],
        "scontrol_show_job.txt": [_job_block(one, teller) for one in attempts],
        "sacctmgr_show_event.txt": [
            "Cluster|NodeName|TimeStart|TimeEnd|State|Reason|User",
            *(_event_line(state, teller) for state in states),
        ],
    }
    for name, parts in files.items():
        (folder / name).write_text("\n".join(parts) + "\n", encoding="utf-8")
    return {name: len(parts) - name.startswith("sacct") for name, parts in files.items()}


def _sacct_lines(one: Attempt, teller: _Teller) -> list[str]:
    """The job's line and its steps'; what never started has none."""
    job, grid = one.job, teller.grid
    elapsed = one.until(grid) - one.start_s if one.ran else 0
    state = one.state
    if state == "CANCELLED":
        state = f"CANCELLED by {0 if one.by == 'root' else job.uid}"
    cpu_s = int(elapsed * job.gpus * job.kind.cores_busy * 0.7)
    machines = teller.nodes(one.gpus)
    common = {
        "JobID": job.shown_id,
        "JobIDRaw": str(job.job_id),
        "JobName": job.name,
        "User": job.user,
        "UID": str(job.uid),
        "Account": job.account,
        "Partition": partition_of(one, teller.site),
        "QOS": "high" if job.kind.name == "train" and job.nodes > 1 else "normal",
        "Cluster": CLUSTER,
        "State": state,
        "ExitCode": one.exit_code,
        "DerivedExitCode": one.exit_code if one.exit_code.endswith(":0") else "0:0",
        "Submit": teller.time(one.submit_s),
        "Eligible": teller.time(one.submit_s),
        "Start": teller.time(one.start_s, missing="Unknown" if one.end_s < 0 else "None"),
        "End": teller.time(one.end_s),
        "Elapsed": duration(elapsed),
        "ElapsedRaw": str(elapsed),
        "Timelimit": duration(job.limit_s),
        "TimelimitRaw": str(job.limit_s // 60),
        "NNodes": str(job.nodes),
        "NCPUS": str(job.gpus * (teller.site.cores_per_node // teller.site.gpus_per_node)),
        "ReqTRES": teller.tres(Attempt(job, 0, 0, 0, 0, "", "", "", ()), billing=True),
        "AllocTRES": teller.tres(one, billing=True) if one.ran else "",
        "ReqMem": f"{job.gpus * (teller.site.memory_mib_per_node // teller.site.gpus_per_node)}M",
        "NodeList": teller.node_list(machines),
        "Reason": "None" if one.ran else "Resources",
        "TotalCPU": duration(cpu_s),
        "MaxRSS": "",
        "ConsumedEnergyRaw": "0",
        "SubmitLine": f"sbatch --array=0-19 {job.name}.sh" if job.array_index >= 0 else f"sbatch {job.name}.sh",
        "WorkDir": f"/home/{job.user}/runs",
    }
    lines = ["|".join(common[name] for name in SACCT_FIELDS)]
    if not one.ran:
        return lines
    of_step = {
        **dict.fromkeys(
            ("User", "UID", "Partition", "QOS", "DerivedExitCode", "Timelimit", "TimelimitRaw", "ReqTRES"), ""
        ),
        **dict.fromkeys(("ReqMem", "Reason", "SubmitLine", "WorkDir"), ""),
        "Submit": common["Start"],
        "Eligible": common["Start"],
    }
    for step in _STEPS:
        ended = "COMPLETED" if step == "extern" and one.state not in {"RUNNING", "NODE_FAIL"} else one.state
        mine = common | of_step
        mine |= {
            "JobID": f"{job.shown_id}.{step}",
            "JobIDRaw": f"{job.job_id}.{step}",
            "JobName": step if step != "0" else "python3",
            "State": ended,
            "ExitCode": "0:0" if ended == "COMPLETED" else one.exit_code,
            "NNodes": "1" if step == "batch" else str(job.nodes),
            "NodeList": teller.node_list(machines[:1]) if step == "batch" else common["NodeList"],
            "AllocTRES": teller.tres(one, billing=step == "extern"),
            "TotalCPU": common["TotalCPU"] if step == "0" else "00:00:00",
            "MaxRSS": f"{(8_000 + job.number % 4_000) * 1_024}K" if step == "0" and one.end_s >= 0 else "",
        }
        lines.append("|".join(mine[name] for name in SACCT_FIELDS))
    return lines


def partition_of(one: Attempt, site: Site) -> str:
    """The partition that a job was sent to."""
    return one.job.kind.partition if one.job.kind.partition in site.partitions else site.partitions[0]


def _job_block(one: Attempt, teller: _Teller) -> str:
    """One job as `scontrol show job -d` has it, with the indices of its GPUs."""
    job, site, grid = one.job, teller.site, teller.grid
    each = site.cores_per_node // site.gpus_per_node
    machines = teller.nodes(one.gpus)
    run = duration(one.until(grid) - one.start_s) if one.ran else "00:00:00"
    ends = one.end_s if one.end_s >= 0 else one.start_s + job.limit_s if one.ran else -1
    array = f"   ArrayJobId={job.array_id} ArrayTaskId={job.array_index}\n" if job.array_index >= 0 else ""
    held = []
    for machine in machines:
        index = [gpu % site.gpus_per_node for gpu in one.gpus if gpu // site.gpus_per_node == machine]
        memory = len(index) * (site.memory_mib_per_node // site.gpus_per_node)
        cores = folded([core for gpu in index for core in range(gpu * each, (gpu + 1) * each)])
        gres = f"gpu:{site.models[machine].slurm_type}:{len(index)}(IDX:{folded(index)})"
        held.append(f"     Nodes={site.machines[machine]} CPU_IDs={cores} Mem={memory} GRES={gres}\n")
    kind = site.models[machines[0]].slurm_type if machines else ""
    return (
        f"JobId={job.job_id} JobName={job.name}\n{array}"
        f"   UserId={job.user}({job.uid}) GroupId={job.account}({30_000 + len(job.account)}) MCS_label=N/A\n"
        f"   Priority={4_000_000 - job.number} Nice=0 Account={job.account} QOS=normal\n"
        f"   JobState={one.state} Reason={'None' if one.ran else 'Resources'} Dependency=(null)\n"
        f"   Requeue=1 Restarts={one.number} BatchFlag=1 Reboot=0 ExitCode={one.exit_code}\n"
        "   DerivedExitCode=0:0\n"
        f"   RunTime={run} TimeLimit={duration(job.limit_s)} TimeMin=N/A\n"
        f"   SubmitTime={teller.time(one.submit_s)} EligibleTime={teller.time(one.submit_s)}\n"
        f"   AccrueTime={teller.time(one.submit_s)}\n"
        f"   StartTime={teller.time(one.start_s)} EndTime={teller.time(ends)} Deadline=N/A\n"
        f"   SuspendTime=None SecsPreSuspend=0 LastSchedEval={teller.time(max(one.start_s, one.submit_s))} Scheduler=Main\n"
        f"   Partition={partition_of(one, site)} AllocNode:Sid=login1:{4_000 + job.number % 60_000}\n"
        f"   ReqNodeList=(null) ExcNodeList=(null)\n"
        f"   NodeList={teller.node_list(machines) if machines else ''}\n"
        + (f"   BatchHost={site.machines[machines[0]]}\n" if machines else "")
        + f"   NumNodes={job.nodes} NumCPUs={job.gpus * each} NumTasks={job.nodes} CPUs/Task={job.gpus_per_node * each} "
        "ReqB:S:C:T=0:0:*:*\n"
        f"   ReqTRES={_scontrol_tres(teller.tres(Attempt(job, 0, 0, 0, 0, '', '', '', ()), billing=True))}\n"
        f"   AllocTRES={_scontrol_tres(teller.tres(one, billing=True)) if one.ran else '(null)'}\n"
        "   Socks/Node=* NtasksPerN:B:S:C=0:0:*:* CoreSpec=*\n"
        + (f"   JOB_GRES=gpu:{kind}:{job.gpus}\n{''.join(held)}" if held else "")
        + f"   MinCPUsNode={job.gpus_per_node * each} MinMemoryNode=0 MinTmpDiskNode=0\n"
        "   Features=(null) DelayBoot=00:00:00\n"
        "   OverSubscribe=OK Contiguous=0 Licenses=(null) Network=(null)\n"
        f"   Command=/home/{job.user}/runs/{job.name}.sh\n"
        f"   WorkDir=/home/{job.user}/runs\n"
        f"   TresPerNode=gres/gpu:{job.gpus_per_node}\n"
    )


def _scontrol_tres(tres: str) -> str:
    """The same amounts in the order of scontrol."""
    parts = dict(part.split("=") for part in tres.split(","))
    order = ("cpu", "mem", "node", "billing", *sorted(name for name in parts if name.startswith("gres")))
    return ",".join(f"{name}={parts[name]}" for name in order if name in parts)


def _node_block(machine: int, attempts: Sequence[Attempt], states: Sequence[State], teller: _Teller) -> str:
    """One machine as `scontrol show node` has it at the end of the window."""
    site, grid = teller.site, teller.grid
    each = site.cores_per_node // site.gpus_per_node
    held = [
        gpu for one in attempts if one.state == "RUNNING" for gpu in one.gpus if gpu // site.gpus_per_node == machine
    ]
    away = [one for one in states if one.machine == machine and one.from_s < grid.end_s <= one.to_s]
    state = "MIXED" if held and len(held) < site.gpus_per_node else "ALLOCATED" if held else "IDLE"
    if away:
        state = "DOWN" if away[0].state == DOWN else f"{state}+DRAIN"
    booted = max(
        [
            int(site.boot_s[machine]),
            *(one.to_s for one in states if one.machine == machine and one.to_s < grid.end_s and one.state == DOWN),
        ]
    )
    memory = len(held) * (site.memory_mib_per_node // site.gpus_per_node)
    model = site.models[machine].slurm_type
    partition = site.partitions[machine]
    taken = f"cpu={len(held) * each},mem={memory}M,gres/gpu={len(held)},gres/gpu:{model}={len(held)}" if held else ""
    name = site.machines[machine]
    reason = f"   Reason={away[0].reason} [{away[0].by}@{teller.time(away[0].from_s)}]\n" if away else ""
    return (
        f"NodeName={name} Arch=x86_64 CoresPerSocket={site.cores_per_node // 2 or 1} \n"
        f"   CPUAlloc={len(held) * each} CPUEfctv={site.cores_per_node} CPUTot={site.cores_per_node} CPULoad={0.7 * len(held) * 3:.2f}\n"
        f"   AvailableFeatures={model}\n   ActiveFeatures={model}\n"
        f"   Gres=gpu:{model}:{site.gpus_per_node}(S:0-1)\n"
        f"   NodeAddr={name} NodeHostName={name} Version=23.11.4\n"
        "   OS=Linux 5.15.0-112-generic #122-Ubuntu SMP Thu May 23 07:48:21 UTC 2024 \n"
        f"   RealMemory={site.memory_mib_per_node} AllocMem={memory} FreeMem={site.memory_mib_per_node - 12_288 - memory // 2} "
        "Sockets=2 Boards=1\n"
        f"   State={state} ThreadsPerCore=1 TmpDisk=0 Weight=1 Owner=N/A MCS_label=N/A\n"
        f"   Partitions={partition} \n"
        f"   BootTime={teller.time(booted)} SlurmdStartTime={teller.time(booted + 40)}\n"
        f"   LastBusyTime={teller.time(grid.end_s)} ResumeAfterTime=None\n"
        f"   CfgTRES=cpu={site.cores_per_node},mem={site.memory_mib_per_node}M,billing={site.cores_per_node},"
        f"gres/gpu={site.gpus_per_node},gres/gpu:{model}={site.gpus_per_node}\n"
        f"   AllocTRES={taken}\n"
        "   CurrentWatts=0 AveWatts=0\n   ExtSensorsJoules=n/a ExtSensorsWatts=0 ExtSensorsTemp=n/a\n"
        f"{reason}"
    )


def _event_line(state: State, teller: _Teller) -> str:
    ends = state.to_s if state.to_s < teller.grid.end_s else -1
    user = "root(0)" if state.by == "root" else "slurm(64030)"
    word = "DOWN" if state.state == DOWN else "DRAIN"
    name = teller.site.machines[state.machine]
    return "|".join((CLUSTER, name, teller.time(state.from_s), teller.time(ends), word, state.reason, user))
