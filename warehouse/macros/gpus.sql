{# What silver reads of GPU samples: how a device is called, which amounts are means over time, which count, which bits are which. #}

{# A device in its machine: its place where that is known, else its uuid, and which part of it where it is parted (MIG). #}
{% macro gpu_device(index, uuid, mig_id) -%}
    concat(coalesce(cast({{ index }} as varchar), {{ uuid }}), case when {{ mig_id }} is not null then concat('/', {{ mig_id }}) else '' end)
{%- endmacro %}

{#
    Amounts that hold while a sample speaks: of an hour their mean over the seconds in which they are known is told. Each with
    the digits that its millionths need at the most: those that 64 bits hold are summed in a fraction of the time.
#}
{% macro gpu_means() -%}
    {{ return({
        'gpu_util_pct': 12, 'gr_engine_active_ratio': 12, 'sm_active_ratio': 12, 'sm_occupancy_ratio': 12,
        'tensor_active_ratio': 12, 'dram_active_ratio': 12, 'mem_copy_util_pct': 12, 'memory_used_bytes': 18, 'power_w': 12,
        'temperature_c': 12, 'sm_clock_hz': 18, 'mem_clock_hz': 18, 'pcie_rx_bytes_per_s': 26, 'pcie_tx_bytes_per_s': 26,
        'nvlink_rx_bytes_per_s': 26, 'nvlink_tx_bytes_per_s': 26,
    }) }}
{%- endmacro %}

{# An amount in whole millionths: sums of them are the same in any order of rows. #}
{% macro in_millionths(amount, digits) -%}
    {%- if digits > 18 -%}
    cast(round({{ amount }} * 1000000) as decimal(26, 0))
    {%- else -%}
    {{ whole(amount ~ ' * 1000000') }}
    {%- endif -%}
{%- endmacro %}

{# What a sum of millionths is, digit by digit. #}
{% macro of_millionths(micro) -%}
    cast({{ micro }} as decimal(32, 0)) * cast(0.000001 as decimal(6, 6))
{%- endmacro %}

{# Counters that only grow, until a driver is loaded anew: of an hour what they grew by is told. #}
{% macro gpu_counters() -%}
    {{ return([
        'energy_j', 'ecc_sbe_volatile', 'ecc_dbe_volatile', 'ecc_sbe_aggregate', 'ecc_dbe_aggregate', 'pcie_replays',
        'nvlink_errors',
    ]) }}
{%- endmacro %}

{# Each under its own name: the fields of a row (one_row). #}
{% macro gpu_counters_as_they_are() -%}
    {%- set columns = {} -%}
    {%- for counter in gpu_counters() -%}
        {%- do columns.update({counter: counter}) -%}
    {%- endfor -%}
    {{ return(columns) }}
{%- endmacro %}

{# NVIDIA's bits of clocks_event_reasons (nvml.h) that slow a GPU down. #}
{% macro clocks_event_bits() -%}
    {{ return({
        'sw_power_cap': 4, 'hw_slowdown': 8, 'sw_thermal': 32, 'hw_thermal': 64, 'hw_power_brake': 128,
    }) }}
{%- endmacro %}

{# What of a sample its hour is made of. #}
{% macro gpu_hour_columns() -%}
    {{ return([
        'cluster_id', 'machine_id', 'gpu_device', 'gpu_index', 'gpu_uuid', 'mig_id', 'used_ratio', 'gpu_signal',
        'memory_total_bytes', 'power_limit_w', 'memory_temperature_c', 'clocks_event_reasons', 'remapped_rows_correctable',
        'remapped_rows_uncorrectable', 'row_remap_pending', 'row_remap_failed', 'implausible_amounts',
    ] + gpu_means().keys() | list) }}
{%- endmacro %}

{# The mean of an amount over seconds, in whole millionths first: the same in any order of rows. #}
{% macro mean_over_seconds(amount, seconds, digits=26) -%}
    cast(
        sum(cast({{ amount }} as decimal({{ digits }}, 6)) * {{ seconds }})
        / nullif(sum(case when {{ amount }} is not null then {{ seconds }} end), 0) as double
    )
{%- endmacro %}

{# Of how many seconds pieces of one length each speak, summed over lengths. #}
{% macro seconds_of(pieces) -%}
    cast(sum({{ pieces }} * piece_s) as bigint)
{%- endmacro %}

{#
    What a counter grew by since the sample before of the same GPU: where it fell it began anew at 0. After a day without a
    sample, and at a GPU's first in its place, nobody knows.
#}
{% macro counted_since(counter, previous, gap_s) -%}
    case when {{ gap_s }} <= 86400 then case when {{ counter }} >= {{ previous }} then {{ counter }} - {{ previous }} when {{ previous }} is not null then {{ counter }} end end
{%- endmacro %}

{#
    Of which seconds a sample speaks: an instant one of those from its time on, a mean of those up to it; at the most its step,
    and none that its neighbour speaks of.
#}
{% macro speaks_from() -%}
    case when is_mean then greatest(at_s - step_s, coalesce(previous_s, at_s - step_s)) else at_s end
{%- endmacro %}
{% macro speaks_to() -%}
    case when is_mean then at_s else least(at_s + step_s, greatest(at_s, coalesce(next_from_s, at_s + step_s))) end
{%- endmacro %}

{# From when on a sample speaks at the most: all before a mean that tells no interval may be its own. #}
{% macro speaks_since() -%}
    case when is_mean then coalesce(at_s - interval_s, 0) else at_s end
{%- endmacro %}

{# Whether two samples of one place are of one GPU: where either does not tell its uuid, the place says so. #}
{% macro is_same_gpu(uuid, previous_uuid) -%}
    coalesce({{ uuid }} = {{ previous_uuid }}, true)
{%- endmacro %}

{% macro counters_fell() -%}
    (
        {%- for counter in gpu_counters() %}
        {{ 'or ' if not loop.first }}coalesce({{ counter }} < previous.{{ counter }}, false)
        {%- endfor %}
    )
{%- endmacro %}

{# What stays the same of a device when it moves: its uuid; where none is told its place. And which part of it. #}
{% macro device_key(uuid, machine, device, mig_id) -%}
    concat(coalesce({{ uuid }}, concat({{ machine }}, '/', {{ whole_device(device) }})), case when {{ mig_id }} is not null then concat('/', {{ mig_id }}) else '' end)
{%- endmacro %}

{#
    A number that stands for a device beside millions of samples. Two of a hundred thousand devices share one by a chance of one
    in four billion.
#}
{% macro device_hash(of) -%}
    {{ row_hash([of ~ '.cluster_id', of ~ '.machine_id', of ~ '.gpu_device']) }}
{%- endmacro %}

{# The whole GPU that a device is, or is a part of. #}
{% macro whole_device(device) -%}
    {{ text_part(device, '/', 1) }}
{%- endmacro %}

{# From here on a GPU is hot (°C): most models of data centres are slowed down at 87 to 95. #}
{% macro hot_c() -%}
    85
{%- endmacro %}
