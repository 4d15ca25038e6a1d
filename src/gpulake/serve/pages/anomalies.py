"""Anomalies: which days, hours, machines and jobs are unusual, against what was expected of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gpulake.charts import CLUSTER_USE, HELD_USE, TYPICAL_USE, Chart, use_by_day
from gpulake.errors import UsageError
from gpulake.reading import ranges, unusual
from gpulake.serve.listing import Column, Link, Listing
from gpulake.serve.look import Look
from gpulake.serve.page import Filled, Page
from gpulake.serve.things import url_of
from gpulake.telling.sentences import days_sentence

JUDGEMENTS = {"anomaly": "flagged", "not_judged": "not judged", "normal": "as usual"}

_DAYS = """
    select
        dt, avg_gpu_util, expected_gpu_util, expected_low as expected_low_pct, expected_high as expected_high_pct,
        p95_gpu_util, avg_cpu_util, allocated_gpu_util, coverage_ratio, judgement, anomaly_reason, avg_gpu_util_low,
        avg_gpu_util_high, p95_gpu_util_low, p95_gpu_util_high, avg_cpu_util_low, avg_cpu_util_high
    from gold_cluster_util_daily_scored
    where cluster_id = ? and dt between ? and ? and (? is null or judgement = ?)
"""
_DETECTORS = """
    select detector, level, is_shown, scored_rows, flagged_rows, not_judged_rows, false_alarms, note
    from gold_detectors
    where cluster_id = ?
"""


MOST_DRAWN_DAYS = 400
"""Days in the picture: the last ones of the range, where it is longer."""

_DRAWN = f"""
    select * from (
        select
            dt, coverage_ratio, judgement, anomaly_driver, anomaly_reason,
            {", ".join(name for each in (CLUSTER_USE, HELD_USE, TYPICAL_USE) for name in each.columns)}
        from gold_cluster_util_daily_scored
        where cluster_id = ? and dt between ? and ?
        order by dt desc
        limit {MOST_DRAWN_DAYS}
    )
    order by dt
"""


def _picture(look: Look, days: tuple[object, ...]) -> Chart | None:
    """Every day with what was expected of it, in a panel per figure that was measured; None where none was."""
    rows = look.table(_DRAWN, *days)
    seen = [each for each in (CLUSTER_USE, HELD_USE, TYPICAL_USE) if rows[each.value].null_count < rows.num_rows]
    if not seen:
        return None
    return use_by_day(rows, title="Were GPUs used as expected?", seen=seen, calendar=look.calendar)


def day_link(look: Look, row: Mapping[str, Any]) -> str:
    """The page of a row's day."""
    return look.url(f"/days/{look.cluster.written(row['dt'])}")


def named_link(place: str, column: str) -> Link:
    """The page of what a row names in a column."""

    def link(look: Look, row: Mapping[str, Any]) -> str | None:
        return url_of(look, place, row[column])

    return link


def _kind(row: Mapping[str, Any]) -> str:
    return {"anomaly": "odd", "not_judged": "dim"}.get(row["judgement"], "")


def _fill(look: Look) -> Filled:
    days = (look.cluster.cluster_id, look.since, look.until)
    wanted = look.asked.get("judgement")
    if wanted and wanted not in JUDGEMENTS:
        raise UsageError(
            f"{wanted[:40]!r} is no judgement.", where="judgement", do=f"use one of {', '.join(JUDGEMENTS)}"
        )
    judged = look.row(ranges.judged_query(), *days)
    flagged = Listing(
        look,
        name="flagged",
        title="Flagged days",
        table="gold_cluster_util_daily_scored",
        query=unusual.DAYS,
        params=days,
        columns=(
            Column("dt", link=day_link),
            Column("anomaly_reason", "why"),
            Column("seen_pct", "seen", of="seen"),
            Column("expected_pct", "expected", of="expected"),
            Column("expected_low_pct", "at least", of="expected_low"),
            Column("expected_high_pct", "at most", of="expected_high"),
            Column("coverage_ratio", "measured"),
            Column("anomaly_score", "score"),
        ),
        order="-anomaly_score",
        rows_a_page=10,
        is_small=True,
        empty="No day of this range is flagged.",
    )
    every = Listing(
        look,
        name="days",
        title=f"Days: {JUDGEMENTS[wanted]}" if wanted else "Every day",
        table="gold_cluster_util_daily_scored",
        query=_DAYS,
        params=(*days, wanted, wanted),
        columns=(
            Column("dt", link=day_link),
            Column("avg_gpu_util", "mean GPU use", between=("avg_gpu_util_low", "avg_gpu_util_high")),
            Column("expected_gpu_util", "expected"),
            Column("expected_low_pct", "at least", of="expected_low"),
            Column("expected_high_pct", "at most", of="expected_high"),
            Column("p95_gpu_util", "95th percentile", between=("p95_gpu_util_low", "p95_gpu_util_high")),
            Column("allocated_gpu_util", "use of held GPUs"),
            Column("avg_cpu_util", "CPU use", between=("avg_cpu_util_low", "avg_cpu_util_high")),
            Column("coverage_ratio", "measured"),
            Column("judgement"),
            Column("anomaly_reason", "why"),
        ),
        order="-dt",
        rows_a_page=31,
        empty="No day of this range has a figure: choose other days.",
        kind_of_row=_kind,
    )
    machines = Listing(
        look,
        name="machines",
        title="Machines that went another way than the others",
        table="gold_anomaly_runs",
        query=unusual.MACHINES,
        params=days,
        columns=(
            Column("machine_id", "machine", link=named_link("machines", "machine_id")),
            Column("dt", link=day_link),
            Column("start_at", "from"),
            Column("end_at", "to"),
            Column("hours", "hours, h"),
            Column("anomaly_score", "score"),
            Column("anomaly_reason", "why"),
        ),
        order="-anomaly_score",
        rows_a_page=5,
        is_small=True,
        empty="No machine is flagged in this range.",
    )
    hours = Listing(
        look,
        name="hours",
        title="Hours in which the whole fleet made a step",
        table="gold_anomaly_runs",
        query=unusual.HOURS,
        params=days,
        columns=(
            Column("start_at", "from"),
            Column("end_at", "to"),
            Column("dt", link=day_link),
            Column("hours", "hours, h"),
            Column("anomaly_score", "score"),
            Column("anomaly_reason", "why"),
        ),
        order="-anomaly_score",
        rows_a_page=5,
        is_small=True,
        empty="No hour of this range is flagged.",
    )
    jobs = Listing(
        look,
        name="jobs",
        title="Jobs unlike their user's earlier ones",
        table="gold_job_anomalies",
        query=unusual.JOBS,
        params=days,
        columns=(
            Column("job_id", "job", link=named_link("jobs", "job_id")),
            Column("user_id", "user", link=named_link("users", "user_id")),
            Column("dt", "started", link=day_link),
            Column("allocated_gpu_h", "held"),
            Column("anomaly_score", "score"),
            Column("anomaly_reason", "why"),
        ),
        order="-anomaly_score",
        rows_a_page=5,
        is_small=True,
        empty="No job that started in this range is flagged.",
    )
    detectors = Listing(
        look,
        name="detectors",
        title="Who judges",
        table="gold_detectors",
        query=_DETECTORS,
        params=(look.cluster.cluster_id,),
        columns=(
            Column("detector"),
            Column("level", "judges"),
            Column("is_shown", "shown"),
            Column("scored_rows", "scored"),
            Column("flagged_rows", "flagged"),
            Column("not_judged_rows", "not judged"),
            Column("false_alarms", "false alarms to expect"),
            Column("note", "what it sees"),
        ),
        order="-is_shown",
        is_small=True,
        empty="Nothing has judged this cluster yet: gpulake refresh does.",
    )
    judges = [row for row in detectors.rows if row["is_shown"] and row["level"] == "cluster_day"]
    strangest = look.cluster.day(judged["strangest_day"]) if judged and judged["strangest_day"] else None
    return {
        "sentence": days_sentence(judged, strangest=strangest),
        "judge": next(iter(judges), None),
        "picture": _picture(look, days),
        "wanted": wanted,
        "judgements": JUDGEMENTS,
        "flagged": flagged,
        "days": every,
        "hours": hours,
        "machines": machines,
        "jobs": jobs,
        "detectors": detectors,
    }


PAGE = Page(
    path="/anomalies",
    title="Anomalies",
    answers="Which days were unusual, against what was expected, and what could not be judged?",
    template="anomalies.html",
    fill=_fill,
    place=20,
)
