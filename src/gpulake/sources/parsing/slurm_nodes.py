"""Nodes as Slurm tells them: `scontrol show node`, `sinfo` with delimiters, and the JSON of either; and `sacctmgr show event`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from gpulake.sources.parsing import slurm_records, slurm_words
from gpulake.sources.parsing.slurm_documents import document, number, text, utc
from gpulake.sources.parsing.slurm_records import Kind

if TYPE_CHECKING:
    import polars as pl

_KEY = re.compile(r"(?:^|\s)([A-Za-z][A-Za-z0-9_/:&]*)=")
_NODE = re.compile(r"^NodeName=\S+", re.MULTILINE)
_REASON = re.compile(r"(?s)(.*?)\s*\[([^\[\]]*)@([0-9T:.+-]+)\]\s*")
_SINFO = re.compile(r"[A-Z][A-Z0-9_:/() ]*|S:C:T")
_GRES = re.compile(r"(?:gpu|shard|mps|\(null\))[^|]*")


# ---------------------------------------------------------------------- scontrol show node


def is_scontrol(head: bytes) -> bool:
    """Whether a file is what `scontrol show node` writes, with or without `--oneliner`."""
    return bool(_NODE.search(head.decode("utf-8", "replace")))


def scontrol_rows(blocks: Iterable[bytes], _file_name: str) -> Iterator[pl.DataFrame]:
    """One row per node."""
    lines = b"".join(blocks).decode("utf-8", "replace").split("\n")
    starts = [at for at, line in enumerate(lines) if line.startswith("NodeName=")]
    rows: list[dict[str, object]] = []
    for at, end in pairwise([*starts, len(lines)]):
        said = pairs(lines[at:end])
        reason, since = _reason(said.get("Reason"))
        rows.append(
            {
                "source_row": at + 1,
                "node": said.get("NodeName"),
                "cpus": said.get("CPUTot"),
                "memory_mib": said.get("RealMemory"),
                "gres": said.get("Gres"),
                "cfgtres": said.get("CfgTRES"),
                "state": said.get("State"),
                "state_reason": reason,
                "reason_at": since,
                "partitions": said.get("Partitions"),
            }
        )
    yield _nodes(rows, is_local=True)


def pairs(lines: Iterable[str]) -> dict[str, str]:
    """Key and value, as `scontrol` writes them: a value ends before the next key, one of free text with its line."""
    said: dict[str, str] = {}
    for line in lines:
        found = list(_KEY.finditer(line))
        for at, key in enumerate(found):
            is_free = key[1] in {"Reason", "Comment", "AdminComment", "SystemComment", "OS"}
            if key[1] in said:
                continue
            last = key[1] == "Reason" or at + 1 == len(found)
            value = line[key.end() :] if last or is_free else line[key.end() : found[at + 1].start()]
            said[key[1]] = value.strip()
            if key[1] in {"Reason", "Comment", "AdminComment", "SystemComment"}:
                break
    return {key: value for key, value in said.items() if value not in {"(null)", "N/A", ""}}


def _reason(said: str | None) -> tuple[str | None, str | None]:
    """A reason, and since when: `fan failed [root@2026-03-01T10:00:00]`."""
    found = _REASON.match(said or "")
    return (found[1] or None, found[3]) if found else (said, None)


# ---------------------------------------------------------------------- sinfo


def _sinfo_header(line: str) -> str:
    found = re.match(r"[A-Z][A-Z0-9_:/()]*(\s*[^A-Za-z0-9\s_:/().,-]+\s*?)[A-Z]", line)
    if not found:
        return ""
    delimiter = found[1].strip()
    names = {name.strip() for name in line.split(delimiter)}
    is_known = all(_SINFO.fullmatch(name) for name in names if name)
    return delimiter if is_known and names & {"NODELIST", "HOSTNAMES"} and {"STATE"} <= names else ""


SINFO = Kind(
    header=_sinfo_header,
    names={
        "nodelist": "nodelist",
        "hostnames": "hostnames",
        "cpus": "cpus",
        "memory": "memory_mib",
        "gres": "gres",
        "state": "state",
        "reason": "state_reason",
        "timestamp": "reason_at",
        "partition": "partitions",
    },
    checks={
        "cpus": re.compile(r"[0-9]+\+?"),
        "memory": re.compile(r"[0-9]+\+?"),
        "timestamp": re.compile(r"[0-9T:-]{19}|[0-9]{1,11}|Unknown|N/A"),
        "nodelist": re.compile(r"[^\s|]+"),
        "hostnames": re.compile(r"[^\s|]+"),
        "state": re.compile(r"[a-z_]+[*~#!%$@^+-]?|n/a"),
    },
    free=("reason",),
    starts="state",
)

_STRUCTURED = ("nodelist", "gres", "gresused", "cpus", "cpusstate", "state", "partition")


def is_sinfo(head: bytes) -> bool:
    """Whether a file is what `sinfo` writes with delimiters (`-o '%N|%G|%c|%m|%T|%E|%H|%P'`), or with fields of its own width."""
    return slurm_records.is_one(head, SINFO) or _is_structured(head.decode("utf-8", "replace").split("\n")[0])


def _is_structured(line: str) -> bool:
    """Whether a line is of `sinfo --noheader -O 'nodehost:|,gres:|,gresused:|,cpus:|,cpusstate:|,statelong:|,partition:|'`."""
    fields = [field.strip() for field in line.split("|")]
    return (
        len(fields) == len(_STRUCTURED)
        and bool(_GRES.fullmatch(fields[1]))
        and fields[3].isdigit()
        and bool(re.fullmatch(r"\d+/\d+/\d+/\d+", fields[4]))
    )


def sinfo_rows(blocks: Iterable[bytes], _file_name: str) -> Iterator[pl.DataFrame]:
    """One row per node; a line that tells of several is as many."""
    whole = b"".join(blocks)
    first = whole.decode("utf-8", "replace").split("\n")[0]
    if _is_structured(first):
        header = b"|".join(name.upper().encode() for name in _STRUCTURED)
        frames = list(slurm_records.records([header + b"\n", whole], SINFO))
        before = 1
    else:
        frames, before = list(slurm_records.records([whole], SINFO)), 0
    rows: list[dict[str, object]] = []
    for frame in frames:
        for row in frame.iter_rows(named=True):
            said: dict[str, Any] = {  # texts, and the number of the row
                key: value.strip() if isinstance(value, str) else value for key, value in row.items()
            }
            names = slurm_words.hosts(said.get("nodelist") or said.get("hostnames") or "")
            if said["reason"] is None and not names:
                said |= {"reason": "it names no node", "raw_text": str(row)}
            said["source_row"] -= before
            if said["reason"] is not None or len(names) == 1:
                rows.append(_of_sinfo(said, names[0] if names else None))
            else:
                rows += [_of_sinfo(said, name) for name in names]
    if len({row["source_row"] for row in rows}) < len(rows):
        for place, row in enumerate(rows, start=1):
            row["source_row"] = place
    yield _nodes(rows, is_local=True)


def _of_sinfo(said: Mapping[str, Any], name: str | None) -> dict[str, object]:
    known = {key: value for key, value in said.items() if value not in slurm_words.UNKNOWN_WORDS and value != "none"}
    taken = ("source_row", "reason", "raw_text", "gres", "state", "state_reason", "reason_at", "partitions")
    row = {key: known.get(key) for key in taken} | {"node": name, "gres": said.get("gres")}
    return row | {key: str(known.get(key) or "").rstrip("+") or None for key in ("cpus", "memory_mib")}


# ---------------------------------------------------------------------- JSON


def is_json(head: bytes) -> bool:
    """Whether a file is the JSON of nodes by Slurm, also behind a warning."""
    start = head.decode("utf-8", "replace")
    return bool(re.search(r'"nodes"\s*:\s*\[\s*\{', start)) and '"real_memory"' in start and '"slurmd_version"' in start


def json_rows(blocks: Iterable[bytes], file_name: str) -> Iterator[pl.DataFrame]:
    """One row per node of the document. Raises SourceError where it is damaged as a whole."""
    found = document(blocks, file_name).get("nodes")
    rows: list[dict[str, object]] = []
    for place, node in enumerate(found if isinstance(found, list) else [], start=1):
        if not isinstance(node, dict):
            rows.append({"source_row": place, "reason": "it is no object", "raw_text": str(node)})
            continue
        rows.append(
            {
                "source_row": place,
                "node": text(node.get("name")),
                "cpus": text(number(node.get("cpus"))),
                "memory_mib": text(number(node.get("real_memory"))),
                "gres": text(node.get("gres")),
                "cfgtres": text(node.get("tres")),
                "state": _state(node),
                "state_reason": text(node.get("reason")),
                "reason_at": utc(node.get("reason_changed_at")),
                "partitions": _names(node.get("partitions")),
            }
        )
    yield _nodes(rows, is_local=False)


def _names(value: object) -> str | None:
    """Names apart by commas, where they are a list or one."""
    return ",".join(map(str, value)) or None if isinstance(value, list) else text(value)


def _state(node: Mapping[str, Any]) -> str | None:
    """State and flags in one word, as `scontrol` joins them: IDLE+DRAIN."""
    state, flags = node.get("state"), node.get("state_flags") or []
    words = [*(state if isinstance(state, list) else [state]), *(flags if isinstance(flags, list) else [])]
    return "+".join(str(word).strip().upper() for word in words if word) or None


def _nodes(rows: list[dict[str, object]], *, is_local: bool) -> pl.DataFrame:
    import polars as pl

    texts = (
        "node", "cpus", "memory_mib", "gres", "cfgtres", "state", "state_reason", "partitions", "reason", "raw_text",
    )  # fmt: skip
    columns = {name: pl.Series([row.get(name) for row in rows], dtype=pl.String, strict=False) for name in texts}
    columns["reason_at"] = pl.Series(
        [row.get("reason_at") for row in rows], dtype=pl.String if is_local else pl.Datetime("us", "UTC")
    )
    columns["source_row"] = pl.Series([row["source_row"] for row in rows], dtype=pl.Int64)
    frame = pl.DataFrame(columns)
    of_node = {"node_gpus": pl.Float64, "node_model": pl.String}
    frame = slurm_words.with_read(frame, "gres", slurm_words.gres, of_node)
    of_tres = {"tres_gpus": pl.Float64, "tres_model": pl.String}
    frame = slurm_words.with_read(frame, "cfgtres", slurm_words.gpus_of, of_tres)
    # A node whose generic resources are told has no GPUs where they are none.
    is_told = pl.col("gres").is_not_null() | pl.col("cfgtres").is_not_null()
    return frame.select(
        "source_row", "node", "cpus", "memory_mib", "gres", "state", "state_reason", "reason_at", "partitions",
        "reason", "raw_text",
        gpus=pl.coalesce("node_gpus", "tres_gpus", pl.when(is_told).then(0.0)),
        gpu_model=pl.coalesce("node_model", "tres_model"),
    )  # fmt: skip


# ---------------------------------------------------------------------- sacctmgr show event


def _event_header(line: str) -> str:
    found = re.match(r"\s*[A-Za-z ]+?([^A-Za-z0-9\s]+|\t)[A-Za-z]", line)
    names = [name.strip().lower() for name in line.split(found[1])] if found else []
    return found[1] if found and {"nodename", "timestart", "state"} <= set(names) else ""


EVENT = Kind(
    header=_event_header,
    names={
        "cluster": "cluster",
        "nodename": "node",
        "timestart": "from_at",
        "timeend": "to_at",
        "state": "state",
        "reason": "state_reason",
        "user": "by_user",
    },
    checks={
        "timestart": re.compile(r"[0-9T:-]{19}|[0-9]{1,11}|Unknown"),
        "timeend": re.compile(r"[0-9T:-]{19}|[0-9]{1,11}|Unknown|N/A"),
        "state": re.compile(r"[A-Z_+]+[*~#!%$@^+-]?"),
        "nodename": re.compile(r"[^\s|]+"),
        "cluster": re.compile(r"[^\s|]+"),
        "user": re.compile(r"[^()|]*\([0-9]+\)"),
    },
    free=("reason",),
    starts="timestart",
)


def is_event(head: bytes) -> bool:
    """Whether a file is what `sacctmgr --parsable2 show event` writes."""
    return slurm_records.is_one(head, EVENT)


def event_rows(blocks: Iterable[bytes], _file_name: str) -> Iterator[pl.DataFrame]:
    """One row per event: a node that was down or drained, or the cluster's own."""
    import polars as pl

    for records in slurm_records.records(blocks, EVENT):
        names = [name for name in EVENT.names.values() if name in records.columns]
        words = {name: pl.col(name).str.strip_chars() for name in names}
        unknown = list(slurm_words.UNKNOWN_WORDS)
        yield records.with_columns(pl.when(~word.is_in(unknown)).then(word).alias(name) for name, word in words.items())
