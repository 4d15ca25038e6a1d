{{ config(
    materialized='incremental',
    partitioned_by=['year(dt)', 'month(dt)'],
    pre_hook="{{ delete_due_days() }}",
) }}

-- One window of each machine and day is left out and told from the others, by both methods: what each misses it by.
with

hours as (
    select * from {{ ref('silver_machine_hours') }}
    where {{ of_due_days() }}
),

left_out as (
    select
        cluster_id,
        dt,
        'gpu' as quantity,
        case when gpu_method <> 'sampled' then gpu_method end as used_method,
        gpu_left_out_s as window_s,
        gpu_left_out_reconstructed_pct - gpu_left_out_pct as reconstructed_error,
        gpu_left_out_swept_pct - gpu_left_out_pct as swept_error
    from hours
    where gpu_left_out_s is not null
    union all
    select
        cluster_id,
        dt,
        'cpu' as quantity,
        case when cpu_method <> 'sampled' then cpu_method end as used_method,
        cpu_left_out_s as window_s,
        cpu_left_out_reconstructed_pct - cpu_left_out_pct as reconstructed_error,
        cpu_left_out_swept_pct - cpu_left_out_pct as swept_error
    from hours
    where cpu_left_out_s is not null
),

classed as (
    select
        *,
        case
            when window_s < 3600 then 'under 1 h'
            when window_s <= 21600 then '1 to 6 h'
            else 'over 6 h'
        end as window_length
    from left_out
)

select
    cluster_id,
    dt,
    quantity,
    window_length,
    max(used_method) as used_method,
    count(*) as windows,
    sqrt({{ ratio('sum(reconstructed_error * reconstructed_error)', 'count(*)') }}) as reconstructed_rmse,
    sqrt({{ ratio('sum(swept_error * swept_error)', 'count(*)') }}) as swept_rmse,
    {{ ratio('sum(abs(reconstructed_error))', 'count(*)') }} as reconstructed_mae,
    {{ ratio('sum(abs(swept_error))', 'count(*)') }} as swept_mae,
    {{ ratio('sum(reconstructed_error)', 'count(*)') }} as reconstructed_bias,
    {{ ratio('sum(swept_error)', 'count(*)') }} as swept_bias,
    cast(sum(reconstructed_error * reconstructed_error) as double) as reconstructed_squares,
    cast(sum(swept_error * swept_error) as double) as swept_squares,
    cast(sum(abs(reconstructed_error)) as double) as reconstructed_misses,
    cast(sum(abs(swept_error)) as double) as swept_misses,
    cast(sum(reconstructed_error) as double) as reconstructed_errors,
    cast(sum(swept_error) as double) as swept_errors
from classed
group by cluster_id, dt, quantity, window_length
