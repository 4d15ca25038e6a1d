{#
    The rule of what can be: an amount from 0 to the most that there is, else it is not known. It holds for every amount that
    enters, from every source: silver reads them by `plausible_amounts` only, and meta.implausible_values counts the rest.
    `of` is the capacity that a row is held against, a column beside the amount; where that is null, and where there is
    none, `most` stands in: more than any machine has. `share` of it can be shown, and measured a tenth more, since clocks and
    counters are not exact. `mean` is the column that a largest value cannot be below. `whole` numbers are rounded. `above` says
    the bound in words.
#}
{% macro measured_amounts() -%}
    {%- set gpus, cores, bytes, gpu_bytes, processes, bytes_per_s = 1000, 100000, 2 ** 50, 2 ** 42, 2 ** 22, 500000000000 -%}
    {%- set cpu_pct = {'most': 1, 'share': 110, 'above': '110 % of its machine'} -%}
    {%- set machine_memory = {
        'most': bytes, 'share': 1.1, 'of': 'machine_memory_bytes', 'whole': true, 'above': '110 % of the memory of its machine',
    } -%}
    {%- set gpu_memory = {
        'most': gpu_bytes, 'share': 1.1, 'of': 'gpu_memory_bytes', 'whole': true, 'above': '110 % of the memory of its GPUs',
    } -%}
    {%- set network = {'most': bytes_per_s, 'above': '500 GB/s'} -%}
    {%- set device_share = {'most': 1, 'share': 1.1, 'above': '110 %'} -%}
    {%- set counted = {'most': 10 ** 15, 'above': 'what a counter can count'} -%}
    {%- set load = {'most': processes, 'above': 'what a kernel can count'} -%}
    {{ return({
        'machine': {
            'gpu_count': {'most': gpus, 'whole': true, 'above': '1,000 GPUs'},
            'cpu_cores': {'most': cores, 'whole': true, 'above': '100,000 cores'},
            'memory_bytes': {'most': bytes, 'whole': true, 'above': '1 PiB'},
        },
        'task': {
            'instance_count': {'most': 1000000, 'above': '1,000,000 instances'},
            'gpu_request_count': {'most': gpus, 'above': 'the GPUs of any machine'},
            'cpu_request_cores': {'most': cores, 'above': 'the cores of any machine'},
            'memory_request_bytes': {'most': bytes, 'whole': true, 'above': 'the memory of any machine'},
        },
        'machine_window': {
            'gpu_util_pct': {'most': gpus, 'share': 110, 'of': 'gpu_count', 'above': '110 % of the GPUs of its machine'},
            'cpu_util_pct': cpu_pct,
            'machine_load_1': load,
            'machine_net_receive': network,
            'machine_cpu_iowait': cpu_pct,
            'machine_cpu_kernel': cpu_pct,
            'machine_cpu_usr': cpu_pct,
            'machine_num_worker': load,
        },
        'usage': {
            'gpu_used_count': {'most': gpus, 'share': 1.1, 'of': 'gpu_count', 'above': '110 % of the GPUs that it could use'},
            'cpu_used_cores': {'most': cores, 'share': 1.1, 'of': 'cpu_cores', 'above': '110 % of the cores of its machine'},
            'memory_used_bytes_mean': machine_memory,
            'memory_used_bytes_max': dict(machine_memory, mean='memory_used_bytes_mean'),
            'gpu_mem_used_bytes_mean': gpu_memory,
            'gpu_mem_used_bytes_max': dict(gpu_memory, mean='gpu_mem_used_bytes_mean'),
            'net_rx_bytes_per_s': network,
            'net_tx_bytes_per_s': network,
        },
        'gpu_sample': {
            'gpu_util_pct': {'most': 1, 'share': 110, 'above': '110 %'},
            'gr_engine_active_ratio': device_share,
            'sm_active_ratio': device_share,
            'sm_occupancy_ratio': device_share,
            'tensor_active_ratio': device_share,
            'dram_active_ratio': device_share,
            'mem_copy_util_pct': {'most': 1, 'share': 110, 'above': '110 %'},
            'memory_used_bytes': {'most': gpu_bytes, 'above': '4 TiB'},
            'memory_total_bytes': {'most': gpu_bytes, 'above': '4 TiB'},
            'power_w': {'most': 100000, 'above': '100 kW'},
            'power_limit_w': {'most': 100000, 'above': '100 kW'},
            'energy_j': counted,
            'temperature_c': {'most': 200, 'above': '200 °C'},
            'memory_temperature_c': {'most': 200, 'above': '200 °C'},
            'sm_clock_hz': {'most': 10 ** 11, 'above': '100 GHz'},
            'mem_clock_hz': {'most': 10 ** 11, 'above': '100 GHz'},
            'pcie_rx_bytes_per_s': {'most': 10 ** 14, 'above': '100 TB/s'},
            'pcie_tx_bytes_per_s': {'most': 10 ** 14, 'above': '100 TB/s'},
            'nvlink_rx_bytes_per_s': {'most': 10 ** 14, 'above': '100 TB/s'},
            'nvlink_tx_bytes_per_s': {'most': 10 ** 14, 'above': '100 TB/s'},
            'ecc_sbe_volatile': counted,
            'ecc_dbe_volatile': counted,
            'ecc_sbe_aggregate': counted,
            'ecc_dbe_aggregate': counted,
            'remapped_rows_correctable': counted,
            'remapped_rows_uncorrectable': counted,
            'pcie_replays': counted,
            'nvlink_errors': counted,
        },
        'machine_sample': {
            'cpu_util_pct': cpu_pct,
            'load_1': load,
            'memory_used_bytes': {'most': bytes, 'whole': true, 'above': '1 PiB'},
            'memory_total_bytes': {'most': bytes, 'whole': true, 'above': '1 PiB'},
            'net_rx_bytes_per_s': network,
            'net_tx_bytes_per_s': network,
        },
        'gpu_model': {
            'launch_year': {'most': 2100, 'whole': true, 'above': 'the year 2100'},
            'memory_bytes': {'most': gpu_bytes, 'whole': true, 'above': '4 TiB'},
            'memory_bandwidth_bytes_per_s': {'most': 10 ** 15, 'whole': true, 'above': '1 PB/s'},
            'tdp_w': {'most': 100000, 'above': '100 kW'},
            'fp32_tflops': {'most': 1000000, 'above': '1,000,000 TFLOPS'},
            'fp16_tensor_tflops': {'most': 1000000, 'above': '1,000,000 TFLOPS'},
        },
    }) }}
{%- endmacro %}

{# The most that a column can show, by the capacity beside it; where `anywhere`, on the largest machine there is. #}
{% macro most_of(entity, column, anywhere=false) -%}
    {%- set kind = measured_amounts()[entity][column] -%}
    {{ kind.share | default(1) }} * {{ kind.most if anywhere or 'of' not in kind else 'coalesce(' ~ kind.of ~ ', ' ~ kind.most ~ ')' }}
{%- endmacro %}

{# The amount of a column where it can be, else null. -0 is 0. #}
{% macro plausible(entity, column) -%}
    {%- set kind = measured_amounts()[entity][column] -%}
    {%- set least = 'coalesce(' ~ plausible(entity, kind.mean) ~ ', 0)' if kind.mean else 0 -%}
    {%- set amount -%}
    case when {{ column }} between {{ least }} and {{ most_of(entity, column) }} then abs({{ column }}) end
    {%- endset -%}
    {{ whole(amount) if kind.whole else amount }}
{%- endmacro %}

{# The amounts of an entity as columns: what can be under their names, what was delivered as `delivered_…`. #}
{% macro plausible_amounts(entity) -%}
    {%- for column in measured_amounts()[entity] %}
    {{ plausible(entity, column) }} as {{ column }},
    {{ column }} as delivered_{{ column }}{{ ',' if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{# How many amounts of a row of `plausible_amounts` were delivered, and cannot be. #}
{% macro implausible_amounts(entity) -%}
    {%- for column in measured_amounts()[entity] %}
    case when {{ column }} is null and delivered_{{ column }} is not null then 1 else 0 end{{ ' +' if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{# How many amounts of a delivered row no machine can show: no field that is known. #}
{% macro impossible_fields(entity) -%}
    {%- for column in measured_amounts().get(entity, []) -%}
    case when not {{ column }} between 0 and {{ most_of(entity, column, anywhere=true) }} then 1 else 0 end{{ ' + ' if not loop.last }}
    {%- else -%}
    0
    {%- endfor -%}
{%- endmacro %}
