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


def gpus_query(days: str = OF_ALL) -> str:
    """Each GPU with its gravest day, the last of several, and the parameters of `days`."""
    return f"""
    select
        machine_id,
        gpu_device,
        arg_max(gpu_model, dt) as gpu_model,
        arg_max(verdict, (place, dt)) as verdict,
        min(dt) filter (where place = gravest) as first_dt,
        max(dt) filter (where place = gravest) as dt,
        count(*) filter (where place = gravest) as days,
        arg_max(verdict_reason, (place, dt)) as verdict_reason,
        arg_max(to_do, (place, dt)) as to_do,
        arg_max(sampled_s, (place, dt)) as sampled_s,
        arg_max(expected_s, (place, dt)) as expected_s,
        arg_max(verdict, dt) as last_verdict,
        max(temperature_c_max) as temperature_c_max,
        any_value(gravest) as gravest
    from (
        select *, max(place) over (partition by machine_id, gpu_device) as gravest
        from (
            select *, case verdict when 'sick' then 3 when 'look' then 2 when 'unknown' then 1 else 0 end as place
            from ({days})
        )
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
    order by started_at desc, machine_id
"""
"""Critical incidents of one place that tell the same, the latest first. Parameters as those of OF_ALL, and of the others by day."""
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


_GRAVITY = "case verdict when 'sick' then 3 when 'look' then 2 when 'unknown' then 1 else 0 end"
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
    gpus = scope.rows(f"{JOB_GPUS} order by gravest desc, machine_id, gpu_device", *key)
    return JobHealth(
        gpus=len(gpus),
        is_its_own=all(row["is_its_own"] for row in gpus),
        unwell=[row for row in gpus if row["gravest"]],
        incidents=scope.rows(f"{JOB_INCIDENTS} order by started_at, machine_id", *key),
    )


@dataclass(frozen=True)
class Health:
    """What is known of a scope's GPUs; `counts` has how many by their gravest verdict, and of how many there are days at all."""

    counts: Mapping[str, int]
    gpus: Sequence[Mapping[str, Any]]
    incidents: Sequence[Mapping[str, Any]]
    alike: Sequence[Mapping[str, Any]]
    spikes: Sequence[Mapping[str, Any]]
    reliability: Sequence[Mapping[str, Any]]


def read_health(scope: Scope) -> Health:
    """Whether the GPUs of a scope were well: those that were not, the gravest first."""
    days = (scope.cluster.cluster_id, scope.since, scope.until)
    counted = scope.rows(f"select verdict, count(*) as gpus from ({gpus_query()}) group by verdict", *days)
    return Health(
        counts={row["verdict"]: row["gpus"] for row in counted},
        gpus=scope.rows(
            f"select * from ({gpus_query()}) where gravest > 0 order by gravest desc, dt desc, machine_id, gpu_device",
            *days,
        ),
        incidents=scope.rows(
            f"select * from ({INCIDENTS}) order by severity = 'critical' desc, started_at desc, machine_id", *days
        ),
        alike=scope.rows(ALIKE, *days),
        spikes=scope.rows(f"{SPIKES} order by dt desc, event_class", *days),
        reliability=scope.rows(f"{RELIABILITY} order by grouped_by, failures desc, value", days[0]),
    )
