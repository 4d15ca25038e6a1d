"""What Slurm writes inside one field: trackable resources, generic resources, lists of hosts, sizes, lengths of time."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

UNKNOWN_WORDS = ("", "Unknown", "None", "None assigned", "(null)", "N/A", "n/a", "INVALID", "NONE", "UNLIMITED")
"""What stands where nothing is known, or nothing is meant."""

MOST_HOSTS = 65_536
"""A list of more hosts than this is no list of a job's hosts."""

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40, "P": 1 << 50}
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)([KMGTP]?)i?B?", re.IGNORECASE)
_MIG = re.compile(r"(?:^|[^0-9a-z])(\d+)g\.(\d+)gb")
_SLICES_OF_FOUR = {(1, 6), (2, 12), (4, 24), (2, 48), (4, 96)}
"""MIG profiles (slices, GB) of GPUs that have four slices: A30 and RTX PRO 6000. All others have seven."""


def with_amounts(frame: pl.DataFrame, column: str, *, prefix: str) -> pl.DataFrame:
    """Read `cpu=2,mem=64G,node=1,gres/gpu=1,gres/gpu:a100=1`: cpus, memory_bytes, nodes, gpus and gpu_model over all nodes.

    What a text does not say is null; memory of 0 is "not said". GPUs are whole ones: a MIG device is its share of one.
    """
    import polars as pl

    # Each text is read once, however many rows have it.
    text = pl.col(column).str.replace_all(" ", "", literal=True)
    memory = _amount_of(text, "mem", plain=1 << 20)
    # GPUs are told in few ways, whatever else differs.
    gpus = text.str.extract_all(r"(?:^|,)gres/(?:gpu|mps)\b[^,]*").list.join("").alias("of_gpus")
    texts = (
        frame.select(column)
        .unique()
        .with_columns(
            gpus,
            _amount_of(text, "cpu").alias(f"{prefix}cpus"),
            pl.when(memory > 0).then(memory).alias(f"{prefix}memory_bytes"),
            _amount_of(text, "node").alias(f"{prefix}nodes"),
        )
    )
    schema = {f"{prefix}gpus": pl.Float64, f"{prefix}gpu_model": pl.String}
    known = with_read(texts, "of_gpus", gpus_of, schema).drop("of_gpus")
    return frame.join(known, on=column, how="left", nulls_equal=True, maintain_order="left")


def _amount_of(text: pl.Expr, name: str, *, plain: int = 1) -> pl.Expr:
    import polars as pl

    found = text.str.extract_groups(
        rf"(?:^|,){name}=(?P<number>[0-9]{{1,18}}(?:\.[0-9]+)?)(?P<unit>[KMGTP]?)(?:i?B)?(?:,|$)"
    )
    units = {unit: float(size) for unit, size in _UNITS.items()} | {"": float(plain)}
    factor = found.struct.field("unit").replace_strict(units, default=None, return_dtype=pl.Float64)
    return found.struct.field("number").cast(pl.Float64) * factor


def gpus_of(tres: str) -> tuple[float | None, str | None]:
    """How many whole GPUs a field of trackable resources tells of, and of which model.

    `gres/gpu` counts all GPUs and `gres/gpu:TYPE` some of the same, so each counts once. Without the first they add up.
    """
    said: dict[str, float] = {}
    for entry in tres.split(","):
        name, _, text = entry.strip().partition("=")
        amount = _amount(text)
        if amount is not None:
            said[name.lower()] = amount
    typed = {name.removeprefix("gres/gpu:"): amount for name, amount in said.items() if name.startswith("gres/gpu:")}
    gpus, model = _gpus(said.get("gres/gpu"), typed)
    if not gpus and "gres/mps" in said:
        gpus = said["gres/mps"] / 100  # percent of a GPU
    return gpus or None, model


def gres(text: str) -> tuple[float | None, str | None]:
    """The GPUs of one node and their model: `gpu:a100:4(S:0-1),gpu:1g.10gb:7`, also as a job writes it, `gpu:h100:2(IDX:0-1)`."""
    untyped, typed = None, dict[str, float]()
    for entry in re.sub(r"\([^()]*\)", "", text).split(","):
        bare = re.sub(r"^(?:PER_NODE:|gres[:/])", "", entry.strip()).replace("=", ":")
        name, _, rest = bare.partition(":")
        if name.lower() != "gpu":
            continue
        kind, _, count = rest.rpartition(":")
        amount = _amount(count or "1")
        if amount is None:  # a type without a count
            kind, amount = rest, 1.0
        if kind:
            typed[kind.lower()] = typed.get(kind.lower(), 0.0) + amount
        else:
            untyped = (untyped or 0.0) + amount
    # Of a node the two are different GPUs.
    gpus, model = _gpus(None if untyped is None else untyped + sum(typed.values()), typed)
    return gpus, model


def indices(text: str) -> tuple[int, ...]:
    """The numbers of `(IDX:0-1,3)`; none for `(IDX:N/A)`, and none where Slurm tells devices apart otherwise."""
    found: list[int] = []
    for inside in re.findall(r"\(IDX:([0-9,-]*)\)", text):
        for part in filter(None, inside.split(",")):
            first, _, last = part.partition("-")
            if first and len(first) < 6 and len(last) < 6:
                found += range(int(first), min(int(last or first), int(first) + 1024) + 1)
    return tuple(found)


@cache
def is_mig(kind: str) -> bool:
    """Whether a type of GPU is a MIG device: `1g.10gb`, `a100_3g.20gb`."""
    return bool(_MIG.search(kind.lower()))


def hosts(text: str) -> tuple[str, ...]:
    """The names in `node[01-03,7],gpu1`, in their order. None where it is no such list, or one of too many."""
    found: list[str] = []
    for entry in _entries(text):
        names = [""]
        for part in re.split(r"(\[[^\[\]]*\])", entry):
            choices = _numbers(part[1:-1]) if part.startswith("[") else [part]
            if not choices or "[" in choices[0] or "]" in choices[0] or len(names) * len(choices) > MOST_HOSTS:
                return ()
            names = [name + choice for name in names for choice in choices]
        found += names
        if len(found) > MOST_HOSTS:
            return ()
    return tuple(found)


def seconds(text: str) -> float | None:
    """A length of time as `[days-]hours:minutes:seconds`, `minutes:seconds.fraction`; null where it is none."""
    found = re.fullmatch(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+(?:\.\d+)?)", text)
    if not found:
        return None
    days, hours, minutes, rest = found.groups(default="0")
    return int(days) * 86_400 + int(hours) * 3600 + int(minutes) * 60 + float(rest)


def with_times(frame: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """Local times as such, where a whole column is written in Slurm's standard way; any other stays the text that it is."""
    import polars as pl

    standard = frame.select(pl.col(names).str.to_datetime("%Y-%m-%dT%H:%M:%S", time_unit="us", strict=False))
    return frame.with_columns(
        standard[name] for name in names if standard[name].null_count() == frame[name].null_count() < frame.height
    )


def with_read(
    frame: pl.DataFrame,
    column: str,
    read: Callable[[str], Sequence[object]],
    schema: Mapping[str, pl.DataType | type[pl.DataType]],
) -> pl.DataFrame:
    """Add what `read` finds in a column of texts; each text is read once, however many rows have it. Null gives null."""
    import polars as pl

    if frame[column].null_count() == frame.height:
        return frame.with_columns(pl.lit(None, dtype=kind).alias(name) for name, kind in schema.items())
    texts = frame[column].drop_nulls().unique().sort()
    found = [read(text) for text in texts]
    known = pl.DataFrame(
        {column: texts}
        | {name: pl.Series([each[at] for each in found], dtype=kind) for at, (name, kind) in enumerate(schema.items())}
    )
    return frame.join(known, on=column, how="left", maintain_order="left")


def _gpus(total: float | None, typed: Mapping[str, float]) -> tuple[float | None, str | None]:
    """How many whole GPUs, and of which model where it is one."""
    if total is None and not typed:
        return None, None
    rest = max((total or 0.0) - sum(typed.values()), 0.0)
    gpus = rest + sum(amount * _share(kind) for kind, amount in typed.items())
    models = {_model(kind) for kind, amount in typed.items() if amount}
    return gpus, models.pop() if len(models) == 1 and not rest else None


def _share(kind: str) -> float:
    found = _MIG.search(kind)
    if not found:
        return 1.0
    slices, memory_gb = int(found[1]), int(found[2])
    whole = 4 if (slices, memory_gb) in _SLICES_OF_FOUR else 7
    return min(slices / whole, 1.0)


def _model(kind: str) -> str | None:
    """The model that a type names; a MIG device's type may hold it before its profile."""
    found = _MIG.search(kind)
    return (kind[: found.start()].strip("_-. ") or None) if found else kind


def _amount(text: str) -> float | None:
    found = _AMOUNT.fullmatch(text.strip())
    if not found or len(found[1]) > 18:
        return None
    return float(found[1]) * _UNITS[found[2].upper()]


def _entries(text: str) -> list[str]:
    """The parts of a list, which commas part outside brackets."""
    return [entry.strip() for entry in re.findall(r"(?:[^,\[]|\[[^\]]*\]?)+", text) if entry.strip()]


def _numbers(text: str) -> list[str]:
    found: list[str] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        last = last if dash else first
        if not (re.fullmatch(r"\d{1,9}", first) and re.fullmatch(r"\d{1,9}", last)):
            return []
        if int(last) - int(first) + len(found) >= MOST_HOSTS:
            return []
        found += [f"{number:0{len(first)}}" for number in range(int(first), int(last) + 1)]
    return found
