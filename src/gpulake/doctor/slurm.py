"""Whether Slurm's commands answer, and show all jobs, with their GPUs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC

from gpulake import clock
from gpulake.collecting import Asked
from gpulake.collecting.commands import Runner
from gpulake.collecting.slurm import FIELDS, NEEDED, runner_of
from gpulake.doctor import Check, Found, fail, ok, warn
from gpulake.errors import GpulakeError, SourceError
from gpulake.telling.words import counted

_LONGEST_S = 20.0
_MOST_SKEW_S = 5.0


def look(asked: Asked) -> Iterator[Found]:
    """Ask each of Slurm's commands for little. Raises SourceError where there is none, or nobody behind it."""
    runner = replace(runner_of(asked), timeout_s=_LONGEST_S)
    version = _text(runner, ["sacct", "--version"]).strip()
    yield ok(f"sacct is there ({version})")
    yield from _clock(runner)
    yield from _fields(runner)
    yield from _settings(runner)
    yield from _jobs(runner)
    yield from _nodes(runner)
    try:
        runner.output(["sacctmgr", "--parsable2", "--noheader", "show", "event", "start=now-1hours", "format=NodeName"])
    except GpulakeError as error:
        yield warn(f"when nodes were down is not told: {error.what.removesuffix('.')}", do=error.do)


def _clock(runner: Runner) -> Iterator[Found]:
    if not runner.via:
        return  # the same machine's
    told = _text(runner, ["date", "+%s"]).strip()
    if not re.fullmatch(r"\d{9,11}", told):
        raise SourceError(
            f"date says {told[:80]!r} there, and not a time.",
            where=runner.shown(["date", "+%s"]),
            do="see that no greeting is printed before what is asked for",
        )
    yield _skew(int(told) - clock.now().replace(tzinfo=UTC).timestamp())


def _skew(skew_s: float) -> Found:
    if abs(skew_s) <= _MOST_SKEW_S:
        return ok("its clock agrees with this machine's")
    which = "ahead of" if skew_s > 0 else "behind"
    return warn(
        f"its clock is {abs(skew_s):,.0f} s {which} this machine's",
        do="see that NTP runs on both; jobs have Slurm's time, and samples that of their server",
    )


def _fields(runner: Runner) -> Iterator[Found]:
    known = {word.lower() for word in _text(runner, ["sacct", "--helpformat"]).split()}
    missing = [field for field in FIELDS if field.lower() not in known]
    needed = sorted(NEEDED & set(missing))
    if needed:
        yield fail(
            SourceError(
                f"this sacct does not know {', '.join(needed)}.",
                where="sacct --helpformat",
                do="Slurm 20.11 and later do",
            )
        )
    elif missing:
        yield warn(f"this sacct does not know {', '.join(missing)}: they stay null", do="a newer Slurm has them")
    else:
        yield ok(f"all {len(FIELDS)} fields that are asked for are known")


def _settings(runner: Runner) -> Iterator[Found]:
    said = dict(re.findall(r"^(\w+)\s*=\s*(.*?)\s*$", _text(runner, ["scontrol", "show", "config"]), re.MULTILINE))
    if "none" in said.get("AccountingStorageType", "slurmdbd").lower():
        yield fail(
            SourceError(
                "Slurm keeps no accounting.",
                where="AccountingStorageType",
                do="let it: AccountingStorageType=accounting_storage/slurmdbd, and a slurmdbd",
            )
        )
    if "gres/gpu" not in said.get("AccountingStorageTRES", ""):
        yield warn(
            "Slurm does not account GPUs: how many a job held is only known where its nodes tell",
            do="AccountingStorageTRES=gres/gpu in slurm.conf, for jobs from then on",
        )
    if "jobs" in said.get("PrivateData", "").split(","):
        yield warn(
            "Slurm shows jobs to their owners only (PrivateData)",
            do="have the user of these runs made an operator: sacctmgr modify user NAME set AdminLevel=Operator",
        )


def _jobs(runner: Runner) -> Iterator[Found]:
    command = [
        "sacct",
        "--allusers",
        "--allocations",
        "--parsable2",
        "--noheader",
        "--starttime=now-1days",
        "--format=User",
    ]
    users = _text(runner, command).split("\n")
    jobs = [user for user in users if user.strip()]
    if jobs:
        yield ok(f"{counted(len(jobs), 'job')} of {counted(len(set(jobs)), 'user')} in the last day")
    else:
        yield warn(
            "no job in the last day", do="if there were some, ask for the right to see all: sacctmgr show user NAME"
        )


def _nodes(runner: Runner) -> Iterator[Found]:
    nodes = [
        line for line in _text(runner, ["scontrol", "show", "node", "--oneliner"]).splitlines() if "NodeName=" in line
    ]
    with_gpus = [line for line in nodes if re.search(r"\b(Gres=\S*gpu|CfgTRES=\S*gres/gpu)", line)]
    if with_gpus:
        yield ok(f"{len(with_gpus):,} of {len(nodes):,} nodes have GPUs")
    else:
        yield warn(
            f"none of {len(nodes):,} nodes has a GPU that Slurm knows of",
            do="GresTypes=gpu, and Gres= for each node, in slurm.conf",
        )


def _text(runner: Runner, command: list[str]) -> str:
    return runner.output(command).decode("utf-8", "replace")


CHECK = Check("slurm", look)
