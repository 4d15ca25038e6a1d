{{ config(materialized='ephemeral') }}

-- Which method makes a day's machine-hours: what each misses the windows by that were left out decides, on the mean. Its
-- square would hang on one or two windows of a day.
with

errors as (
    select
        day_no,
        count(gpu_left_out_s) as gpu_windows,
        sum({{ missed_by('gpu_left_out_reconstructed_micro_pct', 'gpu_left_out_micro_pct') }}) as gpu_reconstructed,
        sum({{ missed_by('gpu_left_out_swept_micro_pct', 'gpu_left_out_micro_pct') }}) as gpu_swept,
        count(cpu_left_out_s) as cpu_windows,
        sum({{ missed_by('cpu_left_out_reconstructed_micro_pct', 'cpu_left_out_micro_pct') }}) as cpu_reconstructed,
        sum({{ missed_by('cpu_left_out_swept_micro_pct', 'cpu_left_out_micro_pct') }}) as cpu_swept
    from {{ ref('int_shifted_hours') }}
    group by day_no
)

select
    day_no,
    {{ chosen_method('gpu_windows', 'gpu_reconstructed', 'gpu_swept') }} as gpu_method,
    {{ chosen_method('cpu_windows', 'cpu_reconstructed', 'cpu_swept') }} as cpu_method
from errors
