{{ config(materialized='ephemeral') }}

-- The hours behind the windows of a machine, moved by what the fleet's day tells, and put between 0 and the most that is.
with

hours as (
    select * from {{ ref('int_reconstructed_hours') }}
),

shifts as (
    select * from {{ ref('int_fleet_shifts') }}
),

noise as (
    select * from {{ ref('int_window_noise') }}
)

select
    hours.* replace (
        {%- for quantity in ['gpu', 'cpu'] %}
        {{ shifted(
            'hours.' ~ quantity ~ '_micro_pct', 'shifts.' ~ quantity ~ '_shift',
            'hours.' ~ quantity ~ '_micro_per_shift', 'hours.' ~ quantity ~ '_most_micro_pct'
        ) }} as {{ quantity }}_micro_pct,
        {{ shifted(
            'hours.' ~ quantity ~ '_left_out_reconstructed_micro_pct', 'shifts.' ~ quantity ~ '_shift',
            'hours.' ~ quantity ~ '_left_out_micro_per_shift', 'hours.' ~ quantity ~ '_left_out_most_micro_pct'
        ) }} as {{ quantity }}_left_out_reconstructed_micro_pct{{ '' if loop.last else ',' }}
        {%- endfor %}
    ),
    shifts.gpu_shift,
    shifts.cpu_shift,
    coalesce(noise.gpu_noise, 0) as gpu_noise,
    coalesce(noise.cpu_noise, 0) as cpu_noise
from hours
inner join shifts
    on hours.machine_no = shifts.machine_no
        and hours.day_no = shifts.day_no
left join noise
    on hours.day_no = noise.day_no
