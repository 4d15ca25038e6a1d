"""Which devices a job holds: `scontrol show job --details`, which Slurm tells of jobs that run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

from gpulake.sources.parsing import slurm_words
from gpulake.sources.parsing.slurm_nodes import pairs

if TYPE_CHECKING:
    import polars as pl

_JOB = re.compile(r"^JobId=\d+\b.*\b(?:UserId|JobName)=", re.MULTILINE)
_ON_NODES = re.compile(r"(?:^|\s)Nodes=(\S+) CPU_IDs=\S* Mem=\S* GRES=(\S*)")
_TEXTS = ("jobid", "user", "state", "submit", "start", "end", "nodelist", "node", "gres", "gpu_model")


def is_jobs(head: bytes) -> bool:
    """Whether a file is what `scontrol show job` writes, with or without `--oneliner`."""
    return bool(_JOB.search(head.decode("utf-8", "replace")))


def job_rows(blocks: Iterable[bytes], _file_name: str) -> Iterator[pl.DataFrame]:
    """One row per device that a job holds on a node, or per node where none is told; source_row counts these."""
    import polars as pl

    lines = b"".join(blocks).decode("utf-8", "replace").split("\n")
    starts = [at for at, line in enumerate(lines) if re.match(r"JobId=\d+\b", line)]
    rows: list[dict[str, object]] = []
    for at, end in pairwise([*starts, len(lines)]):
        rows += _of_job(lines[at:end])
    columns = {name: pl.Series([row.get(name) for row in rows], dtype=pl.String) for name in _TEXTS}
    numbers = {
        name: pl.Series([row.get(name) for row in rows], dtype=pl.Float64) for name in ("node_place", "gpu_index")
    }
    yield pl.DataFrame({"source_row": pl.Series(range(1, len(rows) + 1), dtype=pl.Int64), **columns, **numbers})


def _of_job(lines: list[str]) -> Iterator[dict[str, object]]:
    said = {key: value for key, value in pairs(lines).items() if value not in slurm_words.UNKNOWN_WORDS}
    names = slurm_words.hosts(said.get("NodeList", ""))
    places = {name: place for place, name in enumerate(names, start=1)}
    is_running = said.get("JobState") in {"RUNNING", "COMPLETING", "SUSPENDED"}
    job: dict[str, object] = {
        "jobid": _job_id(said),
        "user": re.sub(r"\([0-9]+\)$", "", said.get("UserId", "")) or None,
        "state": said.get("JobState"),
        "submit": said.get("SubmitTime"),
        # Before a job has started the controller says when it will, and so with its end.
        "start": said.get("StartTime") if said.get("JobState") != "PENDING" else None,
        "end": None if is_running or said.get("JobState") == "PENDING" else said.get("EndTime"),
        "nodelist": said.get("NodeList"),
    }
    told = [found for line in lines for found in _ON_NODES.findall(line)]
    if not told:
        yield job
    for hostlist, gres in told:
        of_gpus = [entry for entry in re.findall(r"[^,(]+(?:\([^)]*\))?", gres) if entry.startswith("gpu")]
        for node in slurm_words.hosts(hostlist):
            on_node = job | {"node": node, "node_place": places.get(node), "gres": gres or None}
            held = [
                on_node | {"gres": entry, "gpu_index": index, "gpu_model": slurm_words.gres(entry)[1]}
                for entry in of_gpus
                for index in slurm_words.indices(entry)
            ]
            yield from held or [on_node]


def _job_id(said: dict[str, str]) -> str | None:
    if "ArrayJobId" in said and "ArrayTaskId" in said:
        task = said["ArrayTaskId"]
        return f"{said['ArrayJobId']}_{task}" if task.isdigit() else f"{said['ArrayJobId']}_[{task}]"
    if "HetJobId" in said and "HetJobOffset" in said:
        return f"{said['HetJobId']}+{said['HetJobOffset']}"
    return said.get("JobId")
