{{ config(materialized='ephemeral') }}

-- What windows say of their machine's hour, by the method that the day's windows choose; and what the sweep alone says.
with

swept as (
    select * from {{ ref('int_swept_hours') }}
),

reconstructed as (
    select * from {{ ref('int_reconstructed_hours') }}
),

methods as (
    select * from {{ ref('int_hour_methods') }}
),

measured_machines as (
    select * from {{ ref('int_measured_machines') }}
),

days as (
    select * from {{ ref('int_days') }}
),

chosen as (
    select
        swept.*,
        case when reconstructed.gpu_micro_pct is null then 'swept' else methods.gpu_method end as gpu_method,
        case when reconstructed.cpu_micro_pct is null then 'swept' else methods.cpu_method end as cpu_method,
        {%- for quantity in ['gpu', 'cpu'] %}
        reconstructed.{{ quantity }}_micro_pct,
        reconstructed.{{ quantity }}_micro_variance,
        reconstructed.{{ quantity }}_micro_share,
        reconstructed.{{ quantity }}_left_out_s,
        reconstructed.{{ quantity }}_left_out_micro_pct,
        reconstructed.{{ quantity }}_left_out_reconstructed_micro_pct,
        reconstructed.{{ quantity }}_left_out_swept_micro_pct{{ '' if loop.last else ',' }}
        {%- endfor %}
    from swept
    left join reconstructed
        on swept.machine_no = reconstructed.machine_no
            and swept.day_no = reconstructed.day_no
            and swept.hour_no = reconstructed.hour_no
    left join methods
        on swept.day_no = methods.day_no
)

select
    measured_machines.cluster_id,
    measured_machines.machine_id,
    days.dt,
    days.starts_at + chosen.hour_no * interval 1 hour as hour_start_at,
    least(3600, days.day_s - chosen.hour_no * 3600) as hour_s,
    chosen.* replace (
        case chosen.gpu_method
            when 'reconstructed' then chosen.gpu_micro_pct * chosen.gpu_covered_s
            else chosen.gpu_pct_us
        end as gpu_pct_us,
        case chosen.gpu_method
            when 'reconstructed' then chosen.gpu_micro_pct * chosen.gpu_covered_s
            else chosen.gpu_pct_weighted_us
        end as gpu_pct_weighted_us,
        case chosen.cpu_method
            when 'reconstructed' then chosen.cpu_micro_pct * chosen.cpu_covered_s
            else chosen.cpu_pct_us
        end as cpu_pct_us,
        case when chosen.gpu_method = 'reconstructed' then chosen.gpu_micro_variance end as gpu_micro_variance,
        case when chosen.gpu_method = 'reconstructed' then chosen.gpu_micro_share end as gpu_micro_share,
        case when chosen.cpu_method = 'reconstructed' then chosen.cpu_micro_variance end as cpu_micro_variance,
        case when chosen.cpu_method = 'reconstructed' then chosen.cpu_micro_share end as cpu_micro_share
    ),
    chosen.gpu_pct_us as gpu_swept_pct_us,
    {{ one_row({
        'gpu_left_out_s': 'chosen.gpu_left_out_s',
        'gpu_left_out_pct': points('chosen.gpu_left_out_micro_pct'),
        'gpu_left_out_reconstructed_pct': points('chosen.gpu_left_out_reconstructed_micro_pct'),
        'gpu_left_out_swept_pct': points('chosen.gpu_left_out_swept_micro_pct'),
        'cpu_left_out_s': 'chosen.cpu_left_out_s',
        'cpu_left_out_pct': points('chosen.cpu_left_out_micro_pct'),
        'cpu_left_out_reconstructed_pct': points('chosen.cpu_left_out_reconstructed_micro_pct'),
        'cpu_left_out_swept_pct': points('chosen.cpu_left_out_swept_micro_pct'),
    }) }} as left_out
from chosen
inner join measured_machines
    on chosen.machine_no = measured_machines.machine_no
inner join days
    on chosen.day_no = days.day_no
