{{ config(materialized='ephemeral') }}

-- What was measured of attempts, by a short key, as pieces that part all of time: over a piece one measurement holds, or
-- none. A lifetime mean is one piece without borders. A sample ends where the next of its attempt begins, at the latest;
-- before, between and after samples are pieces without a measurement.
with

measurements as (
    select * from {{ ref('int_attempt_usage') }}
),

-- A sample of memory alone stands where no sample of use speaks.
reached as (
    select
        *,
        max(case when gpu_used_count is not null then to_s end) over (
            partition by measured_key
            order by from_s
            rows between unbounded preceding and 1 preceding
        ) as used_until_s
    from measurements
    where sample_kind != 'lifetime_mean'
),

samples as (
    select
        *,
        least(to_s, coalesce(lead(from_s) over in_time, to_s)) as until_s,
        lead(from_s) over in_time as next_from_s,
        row_number() over in_time as place
    from reached
    where gpu_used_count is not null or from_s >= coalesce(used_until_s, from_s)
    window in_time as (partition by measured_key order by from_s)
),

borders as (
    select
        measured_key,
        until_s as from_s,
        next_from_s as to_s
    from samples
    union all
    select
        measured_key,
        cast(null as bigint) as from_s,
        from_s as to_s
    from samples
    where place = 1
)

select
    measured_key,
    sample_kind,
    gpu_used_count,
    gpu_mem_used_bytes_mean,
    gpu_mem_used_bytes_max,
    cast(null as bigint) as from_s,
    cast(null as bigint) as to_s
from measurements
where sample_kind = 'lifetime_mean'
union all
select
    measured_key,
    sample_kind,
    gpu_used_count,
    gpu_mem_used_bytes_mean,
    gpu_mem_used_bytes_max,
    from_s,
    until_s as to_s
from samples
union all
select
    measured_key,
    cast(null as varchar) as sample_kind,
    cast(null as double) as gpu_used_count,
    cast(null as bigint) as gpu_mem_used_bytes_mean,
    cast(null as bigint) as gpu_mem_used_bytes_max,
    from_s,
    to_s
from borders
