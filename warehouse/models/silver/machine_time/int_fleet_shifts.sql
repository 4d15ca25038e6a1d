{{ config(materialized='ephemeral') }}

-- By what part of its level a machine's day is higher, as all other machines of the fleet tell together: each knows a little
-- of it from how windows of the day differ from those before and after. Its own windows have told what they know.
with

own as (
    select
        machine_no,
        day_no,
        sum(gpu_micro_pull) as gpu_pull,
        sum(gpu_micro_pull_weight) as gpu_weight,
        sum(cpu_micro_pull) as cpu_pull,
        sum(cpu_micro_pull_weight) as cpu_weight
    from {{ ref('int_reconstructed_hours') }}
    group by machine_no, day_no
),

others as (
    select
        machine_no,
        day_no,
        {%- for name in ['gpu_pull', 'gpu_weight', 'cpu_pull', 'cpu_weight'] %}
        sum({{ name }}) over (partition by day_no) - coalesce({{ name }}, 0) as {{ name }}{{ '' if loop.last else ',' }}
        {%- endfor %}
    from own
)

select
    machine_no,
    day_no,
    {{ shift_of('gpu_pull', 'gpu_weight') }} as gpu_shift,
    {{ shift_of('cpu_pull', 'cpu_weight') }} as cpu_shift
from others
