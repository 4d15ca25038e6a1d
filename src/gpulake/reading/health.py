"""Whether GPUs were well in a range: each with its gravest day, incidents with the jobs that they hit, spikes, and failures; and
of one job, or one machine, the same of what it held and had.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gpulake.reading.scope import Scope

OF_ALL = "select * from gold_gpu_health_daily where cluster_id = ? and dt between ? and ?"
OF_MACHINE = f"{OF_ALL} and machine_id = ?"
"""The days of GPUs. Parameters: the cluster, the first and the last day, and the machine."""


_GRAVITY = "case verdict when 'sick' then 3 when 'look' then 2 when 'unknown' then 1 else 0 end"


def gpus_query(days: str = OF_ALL) -> str:
    """Each GPU with its gravest day, the last of several, and the parameters of `days`.

    By its verdicts first: no row of the days is sorted, or kept.
    """
    return f"""
    select
        machine_id,
        gpu_device,
        arg_max(gpu_model, model_dt) as gpu_model,
        arg_max(verdict, place) as verdict,
        arg_max(first_dt, place) as first_dt,
        arg_max(last_dt, place) as dt,
        arg_max(days, place) as days,
        arg_max(verdict_reason, place) as verdict_reason,
        arg_max(to_do, place) as to_do,
        arg_max(sampled_s, place) as sampled_s,
        arg_max(expected_s, place) as expected_s,
        arg_max(verdict, last_dt) as last_verdict,
        max(temperature_c_max) as temperature_c_max,
        max(place) as gravest
    from (
        select
            machine_id,
            gpu_device,
            verdict,
            {_GRAVITY} as place,
            min(dt) as first_dt,
            max(dt) as last_dt,
            max(dt) filter (where gpu_model is not null) as model_dt,
            count(*) as days,
            arg_max(gpu_model, dt) as gpu_model,
            arg_max(verdict_reason, dt) as verdict_reason,
            arg_max(to_do, dt) as to_do,
            arg_max(sampled_s, dt) as sampled_s,
            arg_max(expected_s, dt) as expected_s,
            max(temperature_c_max) as temperature_c_max
        from ({days})
        group by machine_id, gpu_device, verdict
    )
    group by machine_id, gpu_device
"""


INCIDENTS = """
    select
        started_at, machine_id, gpu_devices, severity, worst_event, event_names, events, jobs_hit, job_ids, jobs_failed,
        failed_job_ids, lost_gpu_h, message, to_do, event_class
    from gold_gpu_incidents
    where cluster_id = ? and dt between ? and ?
"""
ALIKE = f"""
    select
        machine_id, gpu_devices, event_names,
        min(started_at) as first_at, max(started_at) as started_at, count(*) as times,
        sum(jobs_failed) as jobs_failed, string_agg(failed_job_ids, ', ' order by started_at) as failed_job_ids,
        string_agg(job_ids, ', ' order by started_at) as job_ids,
        case when count(lost_gpu_h) = count(*) then sum(lost_gpu_h) end as lost_gpu_h
    from ({INCIDENTS} and severity = 'critical')
    group by machine_id, gpu_devices, event_names
"""
"""Critical incidents of one place that tell the same. Parameters as those of OF_ALL, and of the others by day."""
SPIKES = """
    select dt, event_class, errors, expected_low, expected_high, main_machine_id, main_machine_ratio
    from gold_error_spikes_daily
    where cluster_id = ? and dt between ? and ? and is_spike
"""
RELIABILITY = """
    select grouped_by, value, machines, node_days, failures, mtbf_h, mtbf_low_h, mtbf_high_h
    from gold_reliability
    where cluster_id = ?
"""
"""Of the whole window. Parameter: the cluster."""


JOB_GPUS = f"""
    with attempts as (
        select attempt_id, machine_id, started_at, ended_at from silver_instances
        where cluster_id = ?1 and job_id = ?2 and started_at is not null
    ),
    devices as (
        select * from gold_job_gpus where cluster_id = ?1 and job_id = ?2
    ),
    held as (
        select attempts.machine_id, devices.gpu_device, attempts.started_at, attempts.ended_at
        from attempts
        left join devices on attempts.attempt_id = devices.attempt_id and attempts.machine_id = devices.machine_id
        where devices.gpu_device is not null or not exists (select 1 from devices)
    ),
    days as (
        select distinct health.*, held.gpu_device is not null as is_its_own, {_GRAVITY} as gravest
        from held
        inner join silver_days as days
            on days.cluster_id = ?1 and days.ends_at > held.started_at
                and days.starts_at < coalesce(held.ended_at, days.ends_at)
        inner join gold_gpu_health_daily as health
            on health.cluster_id = ?1 and health.dt = days.dt and health.machine_id = held.machine_id
                and health.gpu_device = coalesce(held.gpu_device, health.gpu_device)
    )
    select
        machine_id,
        gpu_device,
        bool_or(is_its_own) as is_its_own,
        max(gravest) as gravest,
        arg_max(verdict, (gravest, dt)) as verdict,
        arg_max(verdict_reason, (gravest, dt)) as verdict_reason,
        arg_max(dt, (gravest, dt)) as dt,
        max(temperature_c_max) as temperature_c_max
    from days
    group by machine_id, gpu_device
"""
"""Each GPU that a job held, or where nobody names them each of its machines, by its gravest day of the job. Parameters: the
cluster and the job.
"""
JOB_INCIDENTS = """
    select
        started_at, machine_id, gpu_devices, severity, event_names, to_do,
        list_contains(string_split(failed_job_ids, ', '), ?2) as is_lost
    from gold_gpu_incidents as incidents
    where cluster_id = ?1 and exists (
        select 1 from silver_event_jobs as hits
        where hits.cluster_id = ?1 and hits.job_id = ?2 and hits.machine_id = incidents.machine_id
            and hits.happened_at between incidents.started_at and incidents.ended_at
    )
"""
"""The incidents that hit a job. Parameters: the cluster and the job."""
MACHINE_INCIDENTS = f"{INCIDENTS} and machine_id = ?"
"""Parameters: as of `INCIDENTS`, and the machine."""


TOLD = """
    select true as is_told
    where exists (select 1 from gold_gpu_health_daily where cluster_id = ?1)
        or exists (select 1 from gold_gpu_incidents where cluster_id = ?1)
"""
"""A row where anything is told of a cluster's GPUs: a trace's attempts are not looked through for nothing. Parameter: the cluster."""


@dataclass(frozen=True)
class JobHealth:
    """The GPUs of a job that were not well on its days, of how many; and the incidents that hit it.

    `is_its_own` is false where nobody tells which GPUs it held: then all of its machines' are meant.
    """

    gpus: int
    is_its_own: bool
    unwell: Sequence[Mapping[str, Any]]
    incidents: Sequence[Mapping[str, Any]]


def read_job_health(scope: Scope, job_id: str) -> JobHealth:
    """How a job's GPUs were while it held them: those that were not well, the gravest first."""
    key = (scope.cluster.cluster_id, job_id)
    if scope.row(TOLD, key[0]) is None:
        return JobHealth(gpus=0, is_its_own=True, unwell=(), incidents=())
    gpus = scope.rows(f"{JOB_GPUS} order by gravest desc, machine_id, gpu_device", *key)
    return JobHealth(
        gpus=len(gpus),
        is_its_own=all(row["is_its_own"] for row in gpus),
        unwell=[row for row in gpus if row["gravest"]],
        incidents=scope.rows(f"{JOB_INCIDENTS} order by started_at, machine_id", *key),
    )


MOST = 40
"""Rows of each kind that are read; how many there are is counted."""


def groups_query() -> str:
    """GPUs of one machine of which the same is said, in one row; those that are so on the last day first. Parameters as of OF_ALL."""
    return f"""
    select
        machine_id,
        string_agg(gpu_device, ', ' order by try_cast(gpu_device as integer), gpu_device) as gpu_devices,
        count(*) as gpus,
        verdict,
        last_verdict = verdict as is_so_still,
        first_dt,
        dt,
        days,
        last_verdict,
        verdict_reason,
        to_do,
        sum(sampled_s) as sampled_s,
        sum(expected_s) as expected_s,
        min(gravest) as gravest
    from ({gpus_query()})
    where gravest > 1
    group by machine_id, verdict, first_dt, dt, days, last_verdict, verdict_reason, to_do
    """


HELD_BY = """
    with attempts as (
        select job_id, attempt_id, machine_id, started_at, ended_at from silver_instances
        where cluster_id = ?1 and machine_id = ?2 and started_at is not null
    )
    select distinct attempts.job_id, jobs.user_id, attempts.started_at
    from attempts
    inner join gold_job_gpus as devices
        on devices.cluster_id = ?1 and devices.job_id = attempts.job_id and devices.attempt_id = attempts.attempt_id
            and devices.machine_id = attempts.machine_id
    inner join silver_days as days
        on days.cluster_id = ?1 and days.dt between ?4 and ?5 and days.ends_at > attempts.started_at
            and days.starts_at < coalesce(attempts.ended_at, days.ends_at)
    left join silver_jobs as jobs on jobs.cluster_id = ?1 and jobs.job_id = attempts.job_id
    where list_contains(string_split(?3, ', '), devices.gpu_device)
    order by attempts.started_at desc, attempts.job_id
    limit 40
"""
"""Who held some GPUs of a machine on some days. Parameters: the cluster, the machine, the GPUs apart by commas, the days."""


MOVES = """
    with stays as (
        select
            gpu_uuid, machine_id, gpu_device, valid_from,
            lag(machine_id) over (partition by gpu_uuid, mig_id order by valid_from nulls first) as from_machine_id
        from silver_gpus
        where cluster_id = ?1 and gpu_uuid is not null and mig_id is null
    )
    select
        from_machine_id, machine_id, min(valid_from) as moved_at, count(*) as gpus,
        string_agg(gpu_device, ', ' order by try_cast(gpu_device as integer), gpu_device) as gpu_devices
    from stays
    inner join silver_days as days
        on days.cluster_id = ?1 and days.dt between ?2 and ?3
            and stays.valid_from >= days.starts_at and stays.valid_from < days.ends_at
    where from_machine_id <> machine_id
    group by from_machine_id, machine_id, days.dt
"""
"""GPUs that came from another machine, or another name of theirs. Parameters: the cluster, the first and the last day."""


@dataclass(frozen=True)
class Health:
    """What is known of a scope's GPUs; of each kind MOST rows at most, and `there` counts them all.

    `counts` has how many GPUs by their gravest verdict, and of how many there are days at all; `still` how many of the sick are so
    on the last day. `groups` are those that are sick or want a look. `critical` sums the critical incidents. `moves` are GPUs
    that are found in another machine, or by another name of theirs.
    """

    counts: Mapping[str, int]
    still: int
    groups: Sequence[Mapping[str, Any]]
    critical: Mapping[str, Any]
    alike: Sequence[Mapping[str, Any]]
    spikes: Sequence[Mapping[str, Any]]
    reliability: Sequence[Mapping[str, Any]]
    moves: Sequence[Mapping[str, Any]]
    there: Mapping[str, int]


MOST_HELD = 20
"""Groups of GPUs of which it is read who held them."""


def read_health(scope: Scope, *, with_holders: bool = False) -> Health:
    """Whether the GPUs of a scope were well: those that were not, the gravest first, and of them those that still are not.

    `with_holders`: the first groups tell in `holders` which jobs held them on their days, the latest first, and whose those are.
    """
    days = (scope.cluster.cluster_id, scope.since, scope.until)
    counted = scope.rows(
        f"select verdict, count(*) as gpus, count(*) filter (where last_verdict = verdict) as still "
        f"from ({gpus_query()}) group by verdict",
        *days,
    )
    there: dict[str, int] = {}

    def first(kind: str, query: str, order: str) -> list[dict[str, Any]]:
        rows = scope.rows(f"select *, count(*) over () as there from ({query}) order by {order} limit {MOST:d}", *days)
        there[kind] = rows[0]["there"] if rows else 0
        return [{name: value for name, value in row.items() if name != "there"} for row in rows]

    critical = scope.row(
        f"select count(*) as incidents, coalesce(sum(jobs_failed), 0)::bigint as jobs_failed, "
        f"arg_max(failed_job_ids, started_at) filter (where jobs_failed > 0) as last_failed_job_ids "
        f"from ({INCIDENTS}) where severity = 'critical'",
        *days,
    )
    assert critical is not None
    groups = first("groups", groups_query(), "gravest desc, is_so_still desc, dt desc, machine_id, gpu_devices")
    for group in groups[:MOST_HELD] if with_holders else ():
        of = (group["machine_id"], group["gpu_devices"], group["first_dt"], group["dt"])
        group["holders"] = scope.rows(HELD_BY, days[0], *of)
    return Health(
        counts={row["verdict"]: row["gpus"] for row in counted},
        still=sum(row["still"] for row in counted if row["verdict"] == "sick"),
        groups=groups,
        critical=critical,
        alike=first("alike", ALIKE, "started_at desc, machine_id, gpu_devices"),
        spikes=first("spikes", SPIKES, "dt desc, event_class"),
        reliability=scope.rows(
            f"{RELIABILITY} and grouped_by in ('all', 'gpu_model') order by grouped_by, failures desc, value", days[0]
        ),
        moves=first("moves", MOVES, "moved_at desc, machine_id, from_machine_id"),
        there=there,
    )
