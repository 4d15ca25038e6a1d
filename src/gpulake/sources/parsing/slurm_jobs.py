"""Jobs as Slurm tells them: the parsable text of `sacct`, and the JSON of `sacct`, `squeue`, `scontrol` and slurmrestd."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from gpulake.sources.parsing import slurm_records, slurm_words
from gpulake.sources.parsing.slurm_documents import document, number, text, utc
from gpulake.sources.parsing.slurm_records import Kind

if TYPE_CHECKING:
    import polars as pl

NEEDED = ("jobid", "user", "state", "submit", "start", "end")
"""Without one of them a job could not be told from another, or not when it ran."""

_JOB_ID = re.compile(r"[0-9]+(?:_(?:[0-9]+|\[[^\]\n]*\]))?(?:\+[0-9]+)?(?:\.[0-9A-Za-z_+]+)?")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{8,}(?:Z|[+-][0-9:]{4,6})?|[0-9]{1,11}|Unknown|None|N/A|NONE")
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_LENGTH = re.compile(r"[0-9:.-]+|UNLIMITED|Partition_Limit|INVALID")
_TRES = re.compile(r"[A-Za-z0-9/_.:-]+=[^,=]*(?:,[A-Za-z0-9/_.:-]+=[^,=]*)*")
_STATE = re.compile(r"[A-Z][A-Z_+]+(?: by [0-9A-Za-z._-]+)?")
_EXIT = re.compile(r"[0-9]+:[0-9]+")

_KINDS = {
    _TIME: "submit eligible start end",
    _NUMBER: "alloccpus allocnodes nnodes ncpus reqcpus reqnodes elapsedraw cputimeraw dbindex associd uid gid qosraw "
    "consumedenergyraw resvcpuraw ntasks wckeyid",
    _LENGTH: "timelimitraw elapsed suspended cputime timelimit usercpu systemcpu totalcpu avecpu mincpu resvcpu",
    _TRES: "alloctres reqtres tresusageinave tresusageinmax tresusageintot tresusageinmin tresusageoutave tresusageouttot",
    _EXIT: "exitcode derivedexitcode",
    _JOB_ID: "jobid jobidraw",
    _STATE: "state",
}
_FREE = (
    "submitline", "comment", "admincomment", "systemcomment", "jobname", "constraints", "workdir", "extra", "wckey",
    "container", "licenses", "stdout", "stderr", "stdin",
)  # fmt: skip
"""What people write in words of their own, the likeliest to hold a delimiter first."""

_NAMES = """
    account admincomment alloccpus allocgres allocnodes alloctres associd avecpu avecpufreq avediskread avediskwrite
    avepages averss avevmsize blockid cluster comment constraints consumedenergy consumedenergyraw container cputime
    cputimeraw dbindex derivedexitcode elapsed elapsedraw eligible end exitcode extra failednode flags gid group
    jobid jobidraw jobname layout licenses maxdiskread maxdiskreadnode maxdiskreadtask maxdiskwrite maxdiskwritenode
    maxdiskwritetask maxpages maxpagesnode maxpagestask maxrss maxrssnode maxrsstask maxvmsize maxvmsizenode
    maxvmsizetask mcslabel mincpu mincpunode mincputask ncpus nnodes nodelist ntasks partition planned plannedcpu
    plannedcpuraw priority qos qosraw qosreq reason reqcpufreq reqcpufreqgov reqcpufreqmax reqcpufreqmin reqcpus
    reqgres reqmem reqnodes reqtres reservation reservationid reserved restarts resvcpu resvcpuraw segment sluid
    start state stderr stdin stdout submit submitline suspended systemcomment systemcpu timelimit timelimitraw
    totalcpu uid user usercpu wckey wckeyid workdir
"""
_KNOWN = frozenset(_NAMES.split())
"""The fields that sacct has, or had."""

_PREFIX = ("tresusage",)

_TAKEN_NAMES = """
    jobid jobidraw user uid account partition qos jobname state exitcode submit eligible start end elapsedraw elapsed
    suspended timelimitraw nnodes allocnodes nodelist reqtres alloctres allocgres reqgres cluster dbindex
"""
_TAKEN = {name: name for name in _TAKEN_NAMES.split()} | {"reason": "state_reason"}


def _header(line: str) -> str:
    """The delimiter of a header of sacct: what stands between its first two names."""
    found = re.match(r" *([A-Za-z]+)([^A-Za-z0-9 \r\n]+)[A-Za-z]+", line)
    if not found:
        return ""
    names = [name.strip().lower() for name in line.split(found[2])]
    if names[-1] == "":  # --parsable ends each line with a delimiter
        names.pop()
    is_known = all(name in _KNOWN or name.startswith(_PREFIX) for name in names)
    return found[2] if is_known and {"jobid", "state"} <= set(names) else ""


def _lacks(names: tuple[str, ...]) -> str:
    missing = [name for name in NEEDED if name not in names]
    if not missing:
        return ""
    return f"the file lacks {', '.join(missing)}: without it a job cannot be told from another, or not when it ran"


SACCT = Kind(
    header=_header,
    names=_TAKEN,
    checks={name: check for check, names in _KINDS.items() for name in names.split()},
    free=_FREE,
    starts="jobid",
    lacks=_lacks,
)


def is_sacct(head: bytes) -> bool:
    """Whether a file is what `sacct --parsable2` or `--parsable` writes, with any delimiter, also behind a warning."""
    return slurm_records.is_one(head, SACCT)


def sacct_rows(blocks: Iterable[bytes], _file_name: str) -> Iterator[pl.DataFrame]:
    """One row per record: job, step, and each attempt of a job that was requeued."""
    import polars as pl

    for records in slurm_records.records(blocks, SACCT):
        frame = records.with_columns(
            pl.lit(None, dtype=pl.String).alias(name) for name in _TAKEN.values() if name not in records.columns
        )
        yield with_amounts(_in_seconds(frame))


def _in_seconds(frame: pl.DataFrame) -> pl.DataFrame:
    import polars as pl

    unknown = list(slurm_words.UNKNOWN_WORDS)
    frame = frame.with_columns(
        pl.when(~pl.col(name).is_in(unknown)).then(pl.col(name)).alias(name)
        for name in ("submit", "eligible", "start", "end", "nodelist", "elapsedraw", "timelimitraw", "state_reason")
    )
    # TimelimitRaw may be a word, and no number of these is worth a job.
    numbers = pl.col("elapsedraw", "timelimitraw", "nnodes", "allocnodes").cast(pl.Float64, strict=False)
    frame = frame.with_columns(numbers)
    frame = frame.with_columns(elapsed=pl.when(pl.col("elapsedraw").is_null()).then(pl.col("elapsed")))
    for name in ("elapsed", "suspended"):
        frame = slurm_words.with_read(frame, name, lambda text: (slurm_words.seconds(text),), {f"{name}_s": pl.Float64})
    frame = slurm_words.with_times(frame, ("submit", "eligible", "start", "end"))
    return frame.with_columns(elapsedraw=pl.coalesce("elapsedraw", "elapsed_s"))


def with_amounts(frame: pl.DataFrame) -> pl.DataFrame:
    """What the fields of resources and nodes say, as numbers and names."""
    import polars as pl

    for kind, of_node in (("alloc", "allocgres"), ("req", "reqgres")):
        frame = slurm_words.with_amounts(frame, f"{kind}tres", prefix=f"{kind}_")
        # Where the site does not account for GPUs, older Slurm tells them per node.
        frame = slurm_words.with_read(
            frame, of_node, slurm_words.gres, {"node_gpus": pl.Float64, "node_model": pl.String}
        )
        nodes = pl.coalesce(
            f"{kind}_nodes",
            pl.col("allocnodes").cast(pl.Float64, strict=False),
            pl.col("nnodes").cast(pl.Float64, strict=False),
        )
        frame = frame.with_columns(
            pl.coalesce(f"{kind}_gpus", pl.col("node_gpus") * nodes).alias(f"{kind}_gpus"),
            pl.coalesce(f"{kind}_gpu_model", "node_model").alias(f"{kind}_gpu_model"),
        ).drop("node_gpus", "node_model")
    frame = slurm_words.with_read(frame, "nodelist", _nodes, {"nodes": pl.String, "nodes_named": pl.Float64})
    names = [name for name in frame.columns if name not in _HELPERS]
    return frame.select(names)


_HELPERS = {"elapsed", "elapsed_s", "suspended", "allocgres", "reqgres", "allocnodes", "alloc_nodes", "req_nodes"}


def _nodes(hostlist: str) -> tuple[str | None, int]:
    names = slurm_words.hosts(hostlist)
    return ",".join(names) or None, len(names)


def is_json(head: bytes) -> bool:
    """Whether a file is the JSON of jobs by Slurm, also behind a warning."""
    start = head.decode("utf-8", "replace")
    return (
        bool(re.search(r"^\s*\{", start, re.MULTILINE))
        and bool(re.search(r'"jobs"\s*:\s*\[', start))
        and '"job_id"' in start
        and any(word in start for word in ('"job_state"', '"derived_exit_code"', '"tres"', '"association"'))
    )


def json_rows(blocks: Iterable[bytes], file_name: str) -> Iterator[pl.DataFrame]:
    """One row per job of the document, its attempts too. Raises SourceError where it is damaged as a whole."""
    import polars as pl

    found = document(blocks, file_name).get("jobs")
    jobs = found if isinstance(found, list) else []
    rows = [_job(job) if isinstance(job, dict) else _refused(job, "it is no object") for job in jobs]
    schema: dict[str, pl.DataType | type[pl.DataType]] = dict.fromkeys(_TAKEN.values(), pl.String)
    schema |= dict.fromkeys(("submit", "eligible", "start", "end"), pl.Datetime("us", "UTC"))
    schema |= dict.fromkeys(("elapsedraw", "suspended_s"), pl.Float64)
    schema |= dict.fromkeys(("reason", "raw_text"), pl.String)
    columns = {name: pl.Series([row.get(name) for row in rows], dtype=kind) for name, kind in schema.items()}
    numbers = pl.Series(range(1, len(rows) + 1), dtype=pl.Int64)
    yield with_amounts(pl.DataFrame({"source_row": numbers, **columns}))


def _refused(what: object, why: str) -> dict[str, object]:
    return {"reason": why, "raw_text": json.dumps(what)}


def _job(job: Mapping[str, Any]) -> dict[str, object]:
    """A job of sacct's document, or of the controller's (squeue, scontrol, slurmrestd)."""
    times = job.get("time") if isinstance(job.get("time"), dict) else None
    return _accounted(job, times) if times is not None else _controlled(job)


def _accounted(job: Mapping[str, Any], times: Mapping[str, Any]) -> dict[str, object]:
    state = job.get("state") or {}
    array, tres = job.get("array") or {}, job.get("tres") or {}
    association = job.get("association") or {}
    exit_code = job.get("exit_code") or {}
    limit = number(times.get("limit"))
    return {
        "jobid": _job_id(job, array.get("job_id"), array.get("task_id"), array.get("task")),
        "jobidraw": text(job.get("job_id")),
        "user": text(job.get("user")) or text(association.get("user")),
        "account": text(job.get("account")) or text(association.get("account")),
        "partition": text(job.get("partition")),
        "qos": text(job.get("qos")),
        "jobname": text(job.get("name")),
        "state": _state(state.get("current") if isinstance(state, dict) else state),
        "exitcode": _exit_code(exit_code),
        "submit": utc(times.get("submission")),
        "eligible": utc(times.get("eligible")),
        "start": utc(times.get("start")),
        "end": utc(times.get("end")),
        "elapsedraw": number(times.get("elapsed")),
        "suspended_s": number(times.get("suspended")),
        "timelimitraw": None if limit is None else f"{limit:.0f}",
        "nnodes": text(number(job.get("allocation_nodes"))),
        "nodelist": _known(job.get("nodes")),
        "reqtres": _tres(tres.get("requested")),
        "alloctres": _tres(tres.get("allocated")),
        "state_reason": _known(state.get("reason")) if isinstance(state, dict) else None,
        "cluster": text(job.get("cluster")),
        "dbindex": text(number(job.get("db_index"))),
    }


def _controlled(job: Mapping[str, Any]) -> dict[str, object]:
    state = _state(job.get("job_state"))
    has_started = state not in {"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD"}
    has_ended = has_started and state not in {"RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT"}
    limit = number(job.get("time_limit"))
    return {
        "jobid": _job_id(job, job.get("array_job_id"), job.get("array_task_id"), job.get("array_task_string")),
        "jobidraw": text(job.get("job_id")),
        "user": text(job.get("user_name")),
        "uid": text(number(job.get("user_id"))),
        "account": text(job.get("account")),
        "partition": text(job.get("partition")),
        "qos": text(job.get("qos")),
        "jobname": text(job.get("name")),
        "state": state,
        "exitcode": _exit_code(job.get("exit_code")),
        "submit": utc(job.get("submit_time")),
        "eligible": utc(job.get("eligible_time")),
        # Of what has not started or ended the controller says when it will.
        "start": utc(job.get("start_time")) if has_started else None,
        "end": utc(job.get("end_time")) if has_ended else None,
        "timelimitraw": None if limit is None else f"{limit:.0f}",
        "nnodes": text(number(job.get("node_count"))),
        "nodelist": _known(job.get("nodes")),
        "reqtres": text(job.get("tres_req_str")),
        "alloctres": text(job.get("tres_alloc_str")),
        "state_reason": _known(job.get("state_reason")),
        "cluster": text(job.get("cluster")),
    }


def _job_id(job: Mapping[str, Any], array: object, task: object, tasks: object) -> str | None:
    """The number as sacct prints it: of a task of an array, of tasks that have not started, of a part of several."""
    array_id, task_no, own = number(array), number(task), number(job.get("job_id"))
    if array_id and task_no is not None:
        return f"{array_id:.0f}_{task_no:.0f}"
    if array_id and text(tasks):
        return f"{array_id:.0f}_[{text(tasks)}]"
    het = job.get("het") if isinstance(job.get("het"), dict) else {}
    het_id = number((het or {}).get("job_id")) or number(job.get("het_job_id"))
    offset = number((het or {}).get("job_offset"))
    offset = number(job.get("het_job_offset")) if offset is None else offset
    if het_id and offset is not None:
        return f"{het_id:.0f}+{offset:.0f}"
    return None if own is None else f"{own:.0f}"


def _state(state: object) -> str | None:
    """The first word: later Slurm gives a list, the state and its flags."""
    first = state[0] if isinstance(state, list) and state else state
    return text(first)


def _exit_code(code: object) -> str | None:
    if isinstance(code, dict) and "return_code" in code:
        returned = number(code.get("return_code"))
        signal = code.get("signal") or {}
        by = number(signal.get("signal_id") or signal.get("id")) if isinstance(signal, dict) else None
        return None if returned is None else f"{returned:.0f}:{by or 0:.0f}"
    status = number(code)  # as wait(2) gives it
    return None if status is None else f"{int(status) >> 8}:{int(status) & 127}"


def _tres(entries: object) -> str | None:
    """A list of resources as sacct's text says them; memory is in MiB."""
    if isinstance(entries, str):
        return entries or None
    parts = []
    for entry in entries if isinstance(entries, list) else []:
        count = number(entry.get("count")) if isinstance(entry, dict) else None
        if count is None:
            continue
        name = f"{entry.get('type')}/{entry['name']}" if entry.get("name") else str(entry.get("type"))
        parts.append(f"{name}={count:.0f}{'M' if name == 'mem' else ''}")
    return ",".join(parts) or None


def _known(value: object) -> str | None:
    found = text(value)
    return None if found in slurm_words.UNKNOWN_WORDS else found
