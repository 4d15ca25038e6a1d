"""Utilisation of a cluster or a job as others define it, beside ours: the rows of `gold_definition_diff`, read once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from gpulake.errors import GpulakeError, UsageError
from gpulake.reading.rows import Sql


@dataclass(frozen=True)
class Figure:
    """What one definition says; the names are the columns of `gold_definition_diff`."""

    definition: str
    gpu_h: float
    util_pct: float | None
    util_low_pct: float | None
    util_high_pct: float | None
    denominator_gpu_h: float
    left_out_gpu_h: float
    unused_gpu_h: float | None
    note: str


@dataclass(frozen=True)
class Compared:
    """One cluster, or one job of it, under every definition."""

    cluster_id: str
    job_id: str | None
    figures: tuple[Figure, ...]


@dataclass(frozen=True)
class DefinitionDiff:
    """Everything that was asked for, by cluster."""

    compared: tuple[Compared, ...]
    error: GpulakeError | None = None

    def as_json(self) -> dict[str, object]:
        """The facts, with `error` among them."""
        return {"compared": [asdict(one) for one in self.compared], "error": None}


FIGURES = """
    select
        figures.cluster_id,
        figures.definition,
        gpu_h,
        util_pct,
        util_low_pct,
        util_high_pct,
        denominator_gpu_h,
        left_out_gpu_h,
        unused_gpu_h,
        figures.note,
    from {table} as figures
    inner join meta.definition_notes as notes using (definition)
    where (? is null or figures.cluster_id = ?) and {condition}
    order by figures.cluster_id, notes.place
"""
HELD = "select count(*) as clusters from meta.clusters where cluster_id = ?"


def read(publication: Sql, *, cluster: str | None = None, job: str | None = None) -> DefinitionDiff:
    """Every cluster, one, or one job. Raises UsageError for a cluster that is not here and a job that held no GPUs."""
    if cluster is not None and publication.sql(HELD, [cluster]).to_pylist() == [{"clusters": 0}]:
        raise UsageError(f"there is no cluster {cluster!r} here.", where="--cluster", do="gpulake status lists them")
    table, condition = (
        ("gold_definition_diff", "job_id = ?") if job is not None else ("gold_definition_diff_fleet", "true")
    )
    query = FIGURES.format(table=table, condition=condition)
    rows = publication.sql(query, [cluster, cluster, *([] if job is None else [job])]).to_pylist()
    if job is not None and not rows:
        raise UsageError(f"no job {job!r} held GPUs here.", where="--job", do="look for it in silver_jobs")
    figures: dict[str, list[Figure]] = {}
    for row in rows:
        figures.setdefault(row["cluster_id"], []).append(_figure(row))
    return DefinitionDiff(tuple(Compared(name, job, tuple(found)) for name, found in figures.items()))


def _figure(row: Mapping[str, object]) -> Figure:
    return Figure(**{name: value for name, value in row.items() if name != "cluster_id"})  # type: ignore[arg-type]  # columns are fields
