{#
    Utilisation of the same jobs as others define it, beside ours. One definition, one macro; the sums that they share are
    counted once, in job_measures.

    A peer sees devices, not shares of them: an attempt that holds 0.25 GPUs sits on one whole GPU, one that holds 1.5 on two.
    A reading is one sample, or the one lifetime mean of an attempt that has no samples; of an attempt on several GPUs it is one
    reading of each, the mean of theirs. Whose clock is meant: an attempt's GPUs are held from its start to its end.
#}

{#
    Per job, as CTEs that end in `job_measures`. GPU-seconds are of whole GPUs, but for the amounts in mgpu_s, which are those of
    the accounting; used GPUs are counted in billionths, so that a sum is the same in any order.
    A sample that a day's border cuts is one reading: it counts where it begins.
#}
{% macro job_measures(parts) -%}
attempts as (
    select
        cluster_id,
        job_id,
        max((held_mgpu + 999) // 1000) as gpus,
        min(start_s) as start_s,
        max(end_s) as end_s,
        cast(sum(end_s - start_s) as bigint) as held_s,
        cast(sum(case when gpu_used_count is not null then end_s - start_s else 0 end) as bigint) as measured_s,
        cast(sum(case when gpu_used_count != 0 then end_s - start_s else 0 end) as bigint) as busy_s,
        count(case when is_start then gpu_used_count end) as readings,
        count(case when is_start and gpu_used_count != 0 then 1 end) as busy_readings,
        coalesce(sum(case when is_start then {{ whole('gpu_used_count * 1000000000') }} end), 0) as used_ngpu,
        {% for name in ['allocated', 'active', 'unknown', 'zero_util'] -%}
        cast(sum({{ name }}_mgpu_s) as bigint) as {{ name }}_mgpu_s{{ ',' if not loop.last }}
        {% endfor %}
    from {{ parts }}
    group by cluster_id, job_id, landing_no, source_row
),

summed_attempts as (
    select
        cluster_id,
        job_id,
        max(end_s) - min(start_s) as elapsed_s,
        {% for name in ['allocated', 'active', 'unknown', 'zero_util'] -%}
        cast(sum({{ name }}_mgpu_s) as bigint) as {{ name }}_mgpu_s,
        {% endfor -%}
        cast(sum(gpus * held_s) as bigint) as gpu_s,
        cast(sum(gpus * measured_s) as bigint) as measured_gpu_s,
        cast(sum(gpus * busy_s) as bigint) as busy_gpu_s,
        cast(sum(gpus * readings) as bigint) as readings,
        cast(sum(gpus * busy_readings) as bigint) as busy_readings,
        sum(used_ngpu) as readings_ngpu,
        cast(sum(case when readings > 0 then gpus else 0 end) as bigint) as reporting_gpus,
        cast(sum(case when readings > 0 then gpus * held_s else 0 end) as bigint) as reporting_gpu_s,
        sum(case when readings > 0 then {{ whole('used_ngpu / readings') }} else 0 end) as mean_ngpu,
        sum(case when readings > 0 then {{ whole('used_ngpu / readings * held_s') }} else 0 end) as used_ngpu_s,
        cast(sum(case when readings > 0 and used_ngpu = 0 then gpus * held_s else 0 end) as bigint) as unused_gpu_s
    from attempts
    group by cluster_id, job_id
),

-- Job Defense Shield leaves out a job that uses more than all of its GPUs, and looks for unused GPUs in jobs of half an hour.
job_measures as (
    select
        *,
        case when used_ngpu_s <= reporting_gpu_s * 1000000000 then reporting_gpu_s else 0 end as shield_gpu_s,
        case when used_ngpu_s <= reporting_gpu_s * 1000000000 then used_ngpu_s else 0 end as shield_ngpu_s,
        case when elapsed_s >= 1800 then unused_gpu_s else 0 end as shield_unused_gpu_s
    from summed_attempts
)
{%- endmacro %}

{# Measures of several jobs. #}
{% macro measure_sums() -%}
    {% for measure in [
        'allocated_mgpu_s', 'active_mgpu_s', 'unknown_mgpu_s', 'zero_util_mgpu_s', 'gpu_s', 'measured_gpu_s', 'busy_gpu_s',
        'readings', 'busy_readings', 'readings_ngpu', 'reporting_gpus', 'reporting_gpu_s', 'mean_ngpu', 'used_ngpu_s',
        'shield_gpu_s', 'shield_ngpu_s', 'shield_unused_gpu_s',
    ] -%}
    sum({{ measure }}) as {{ measure }}{{ ',' if not loop.last }}
    {% endfor -%}
{%- endmacro %}

{# Of a definition: the GPU-hours that it counts, what it prints, the GPU-hours it speaks for, and those that it calls unused. #}
{% macro definitions() -%}
    {{ return({
        'ours': definition_ours(),
        'plain_mean': definition_plain_mean(),
        'jobstats': definition_jobstats(),
        'job_defense_shield': definition_job_defense_shield(),
        'gcm': definition_gcm(),
        'opencost': definition_opencost(),
    }) }}
{%- endmacro %}

{# Active over measured time of the share that was held; null where nothing was measured. #}
{% macro definition_ours() -%}
    {{ return({
        'gpu_h': gpu_h('allocated_mgpu_s'),
        'util_pct': '100.0 * active_mgpu_s / nullif(allocated_mgpu_s - unknown_mgpu_s, 0)',
        'util_low_pct': '100.0 * active_mgpu_s / nullif(allocated_mgpu_s, 0)',
        'util_high_pct': '100.0 * (active_mgpu_s + unknown_mgpu_s) / nullif(allocated_mgpu_s, 0)',
        'denominator_gpu_h': gpu_h('(allocated_mgpu_s - unknown_mgpu_s)'),
        'left_out_gpu_h': gpu_h('unknown_mgpu_s'),
        'unused_gpu_h': 'case when unknown_mgpu_s < allocated_mgpu_s then ' ~ gpu_h('zero_util_mgpu_s') ~ ' end',
    }) }}
{%- endmacro %}

{# The mean of all readings, zeros too: what is written first, and what gcm's would be without its filter. #}
{% macro definition_plain_mean() -%}
    {{ return({
        'gpu_h': 'gpu_s / 3600.0',
        'util_pct': 'readings_ngpu / nullif(readings, 0) / 10000000.0',
        'denominator_gpu_h': 'measured_gpu_s / 3600.0',
        'left_out_gpu_h': '(gpu_s - measured_gpu_s) / 3600.0',
    }) }}
{%- endmacro %}

{#
    jobstats: the mean over the GPUs that report of each one's mean reading (avg_over_time of its duty cycle), unweighted; 100 where
    no GPU reports (output_formatters.py: "to avoid triggering low utilization notes"). It rounds each GPU to 0.1 and prints whole
    percents; here nothing is rounded. It has no figure of a fleet: there, every GPU of every job counts alike.
#}
{% macro definition_jobstats() -%}
    {{ return({
        'gpu_h': 'gpu_s / 3600.0',
        'util_pct': 'coalesce(mean_ngpu / nullif(reporting_gpus, 0) / 10000000.0, 100)',
        'denominator_gpu_h': 'reporting_gpu_s / 3600.0',
        'left_out_gpu_h': '(gpu_s - reporting_gpu_s) / 3600.0',
    }) }}
{%- endmacro %}

{#
    Job Defense Shield: Σ elapsed × mean use of a GPU / Σ elapsed, over the GPUs in the job's summary (efficiency.py); a job that
    uses more than it has is an error and left out. GPU-hours at 0 %: GPUs whose mean is 0 × elapsed hours, of jobs of half an hour
    and more (zero_util_gpu_hours.py). It reads means that jobstats has rounded to 0.1 %, so there 0.04 % is 0 too.
#}
{% macro definition_job_defense_shield() -%}
    {{ return({
        'gpu_h': 'gpu_s / 3600.0',
        'util_pct': 'shield_ngpu_s / nullif(shield_gpu_s, 0) / 10000000.0',
        'denominator_gpu_h': 'shield_gpu_s / 3600.0',
        'left_out_gpu_h': '(gpu_s - shield_gpu_s) / 3600.0',
        'unused_gpu_h': 'case when reporting_gpu_s > 0 then shield_unused_gpu_s / 3600.0 end',
    }) }}
{%- endmacro %}

{#
    gcm: the mean of the readings that are not 0, and 0 where there is none (nvml_monitor.py: `filter(None, …)`). Its readings are
    the highest of six samples in a minute, and half a minute of each 90 s is not looked at; a trace's samples cannot show that.
#}
{% macro definition_gcm() -%}
    {{ return({
        'gpu_h': 'gpu_s / 3600.0',
        'util_pct': 'coalesce(readings_ngpu / nullif(busy_readings, 0) / 10000000.0, 0)',
        'denominator_gpu_h': 'busy_gpu_s / 3600.0',
        'left_out_gpu_h': '(gpu_s - busy_gpu_s) / 3600.0',
    }) }}
{%- endmacro %}

{# OpenCost: the GPUs used on average over the GPUs asked for, whole ones; a use that is not known is 0 (a float that nobody set). #}
{% macro definition_opencost() -%}
    {{ return({
        'gpu_h': 'gpu_s / 3600.0',
        'util_pct': 'used_ngpu_s / nullif(gpu_s, 0) / 10000000.0',
        'denominator_gpu_h': 'gpu_s / 3600.0',
        'left_out_gpu_h': '0',
    }) }}
{%- endmacro %}

{# The figures of a row, by the definition that it names. #}
{% macro definition_figures() -%}
    {%- set columns = ['gpu_h', 'util_pct', 'util_low_pct', 'util_high_pct', 'denominator_gpu_h', 'left_out_gpu_h', 'unused_gpu_h'] -%}
    {% for column in columns -%}
    case definitions.definition
        {% for name, figures in definitions().items() if column in figures -%}
        when '{{ name }}' then cast({{ figures[column] }} as double)
        {% endfor -%}
    end as {{ column }}{{ ',' if not loop.last }}
    {% endfor %}
{%- endmacro %}
