{{ config(materialized='ephemeral') }}

-- What windows say of their machine's hour, by the method that the day's windows choose; and what the sweep alone says.
with

swept as (
    select * from {{ ref('int_swept_hours') }}
),

reconstructed as (
    select * from {{ ref('int_shifted_hours') }}
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
        reconstructed.{{ quantity }}_shift,
        reconstructed.{{ quantity }}_noise,
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
        {%- for quantity, sums in {'gpu': ['gpu_pct_us', 'gpu_pct_weighted_us'], 'cpu': ['cpu_pct_us']}.items() %}
        {%- for sum in sums %}
        case chosen.{{ quantity }}_method
            when 'reconstructed' then chosen.{{ quantity }}_micro_pct * chosen.{{ quantity }}_covered_s
            else chosen.{{ sum }}
        end as {{ sum }},
        {%- endfor %}
        {%- for figure in ['micro_variance', 'micro_share'] %}
        case when chosen.{{ quantity }}_method = 'reconstructed' then chosen.{{ quantity }}_{{ figure }} end
            as {{ quantity }}_{{ figure }}{{ '' if loop.last and quantity == 'cpu' else ',' }}
        {%- endfor %}
        {%- endfor %}
    ),
    chosen.gpu_pct_us as gpu_swept_pct_us,
    {{ one_row({
        'gpu_shift': "case when chosen.gpu_method = 'reconstructed' then chosen.gpu_shift end",
        'gpu_window_variance': "case when chosen.gpu_method = 'reconstructed' then chosen.gpu_noise end",
        'cpu_shift': "case when chosen.cpu_method = 'reconstructed' then chosen.cpu_shift end",
        'cpu_window_variance': "case when chosen.cpu_method = 'reconstructed' then chosen.cpu_noise end",
        'gpu_left_out_s': 'chosen.gpu_left_out_s',
        'gpu_left_out_pct': points('chosen.gpu_left_out_micro_pct'),
        'gpu_left_out_reconstructed_pct': points('chosen.gpu_left_out_reconstructed_micro_pct'),
        'gpu_left_out_swept_pct': points('chosen.gpu_left_out_swept_micro_pct'),
        'cpu_left_out_s': 'chosen.cpu_left_out_s',
        'cpu_left_out_pct': points('chosen.cpu_left_out_micro_pct'),
        'cpu_left_out_reconstructed_pct': points('chosen.cpu_left_out_reconstructed_micro_pct'),
        'cpu_left_out_swept_pct': points('chosen.cpu_left_out_swept_micro_pct'),
    }) }} as solution
from chosen
inner join measured_machines
    on chosen.machine_no = measured_machines.machine_no
inner join days
    on chosen.day_no = days.day_no
