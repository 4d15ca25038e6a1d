{# Quantities: what a number is, in which unit, and how one becomes another. Each is one expression. #}

{# ---------------------------------------------------------------------- sources' units #}

{# A PAI time: zero and below mean "not known" (its own tools blank them), never the first second of 1970. #}
{% macro pai_seconds(column) -%}
    case when {{ column }} > 0 then {{ column }} end
{%- endmacro %}

{# PAI's "GB" are GiB: its commonest request, 29.296875, is 30,000 MiB. #}
{% macro gib_to_bytes(column) -%}
    round({{ column }} * 1073741824)
{%- endmacro %}

{% macro mib_to_bytes(column) -%}
    round({{ column }} * 1048576)
{%- endmacro %}

{# '16 GB, HBM2, 4096 bit' as bytes; the scrape's GB and MB are binary. #}
{% macro memory_text_to_bytes(text) -%}
    round({{ leading_number(text) }} * case
        when {{ text }} like '%GB%' then 1073741824
        when {{ text }} like '%MB%' then 1048576
    end)
{%- endmacro %}

{# Seconds that a sample of the GenAI trace speaks for: the trace's step. #}
{% macro genai_sample_s() -%}
    57
{%- endmacro %}

{# ---------------------------------------------------------------------- amounts #}

{# Milli-GPU-seconds of `gpus` GPUs over whole seconds: rounded once, half away from zero. #}
{% macro mgpu_s(gpus, seconds) -%}
    cast(round({{ gpus }} * {{ seconds }} * 1000) as bigint)
{%- endmacro %}

{# What is published: GPU-hours from whole milli-GPU-seconds. #}
{% macro gpu_h(mgpu_s) -%}
    {{ mgpu_s }} / 3600000.0
{%- endmacro %}

{# Seconds of a span in which a machine with valid_from and valid_to is valid; without them it always is. #}
{% macro valid_seconds(start, end) -%}
    greatest(
        {{ utc_to_epoch('least(' ~ end ~ ', coalesce(valid_to, ' ~ end ~ '))') }}
        - {{ utc_to_epoch('greatest(' ~ start ~ ', coalesce(valid_from, ' ~ start ~ '))') }},
        0
    )
{%- endmacro %}

{#
    Whether a row of `machines` says what a machine was at a moment; where that is unknown, only a row that always does. By comparisons
    alone: with an OR an outer join would try each row with each.
#}
{% macro is_valid_at(machines, moment) -%}
    coalesce({{ machines }}.valid_from, cast('-infinity' as timestamp)) <= coalesce({{ moment }}, cast('-infinity' as timestamp))
    and coalesce({{ machines }}.valid_to, cast('infinity' as timestamp))
    > coalesce({{ moment }}, cast('294247-01-10 04:00:54.775806' as timestamp))
{%- endmacro %}

{# What is said of a machine, as one value to compare. #}
{% macro machine_facts(of) -%}
    {{ row_text([of ~ '.gpu_model_source', of ~ '.gpu_count', of ~ '.cpu_cores', of ~ '.memory_bytes', of ~ '.valid_from', of ~ '.valid_to']) }}
{%- endmacro %}

{# Whole cents of milli-GPU-seconds at a price: half a cent counts as one. #}
{% macro bill_cents(mgpu_s, usd_per_gpu_h) -%}
    (2 * {{ wide_integer(mgpu_s) }} * cast({{ usd_per_gpu_h }} * 1000000 as bigint) + 36000000000) // 72000000000
{%- endmacro %}

{# Percent from whole millionths of one. #}
{% macro points(micro_pct) -%}
    cast({{ micro_pct }} / 1000000 as decimal(18, 6))
{%- endmacro %}

{# What a whole number misses another by. #}
{% macro missed_by(said, measured) -%}
    abs({{ said }} - {{ measured }})
{%- endmacro %}

{#
    An end of the range that holds the truth nine times in ten: `sign` 1 or -1, of a mean in percent with its error's variance.
    Where there is no variance, nothing is said; no bound is negative, or beyond what can be.
#}
{% macro bound(mean, variance, sign, most=100) -%}
    {% if sign > 0 -%}
    case when {{ variance }} is not null then greatest({{ mean }}, least({{ most }}, {{ mean }} + 1.645 * sqrt(greatest(0, {{ variance }})))) end
    {%- else -%}
    case when {{ variance }} is not null then greatest(0, {{ mean }} - 1.645 * sqrt(greatest(0, {{ variance }}))) end
    {%- endif %}
{%- endmacro %}

{#
    What makes a day's machine-hours: the reconstruction, unless it misses the windows that were left out by no less than the sweep.
    Fewer than thirty windows decide nothing.
#}
{% macro chosen_method(windows, reconstructed, swept) -%}
    case when {{ windows }} >= 30 and {{ reconstructed }} >= {{ swept }} then 'swept' else 'reconstructed' end
{%- endmacro %}

{#
    By what part of their level machines' day is higher, of sums in millionths of what each knows of it: pull / weight is the
    estimate that is right on average, 1 / weight its variance. Drawn to none by what may be chance, never beyond none.
#}
{% macro shift_of(pull, weight) -%}
    case when {{ weight }} > 0 and power({{ pull }} / 1e6, 2) > {{ weight }} / 1e6
        then cast({{ pull }} as double) / {{ weight }} - 1e6 / {{ pull }} else 0.0 end
{%- endmacro %}

{# A figure in whole millionths, moved by a shift, and put between 0 and the most that is. #}
{% macro shifted(said, shift, per_shift, most) -%}
    case when {{ said }} is not null
        then least(greatest({{ said }} + {{ whole(shift ~ ' * ' ~ per_shift) }}, 0), {{ most }}) end
{%- endmacro %}

{# The variance of one window's own error, from differences of two that tell the same; 0 where fewer than ten pairs are known. #}
{% macro noise_of_pairs(difference) -%}
    case when count({{ difference }}) >= 10
        then coalesce({{ exact_quantile('power(' ~ difference ~ ', 2)', 0.5) }}, 0) / 2 / 0.455
        else 0
    end
{%- endmacro %}

{# Of machine-hours: the variance of a sum, as a double, where each hour that has a value was reconstructed; else null. #}
{% macro summed_variance(variance, where) -%}
    case when count(case when {{ where }} then {{ variance }} end) = count(case when {{ where }} then 1 end)
        then cast(sum(case when {{ where }} then {{ variance }} end) as double) end
{%- endmacro %}

{# The same of days: where each that has its figure has its error. #}
{% macro variance_of_days(variance, figure) -%}
    case when count({{ variance }}) = count({{ figure }}) then cast(sum(cast({{ variance }} as decimal(38, 6))) as double) end
{%- endmacro %}

{#
    Of machine-hours of a day: the variance of what all machines err by together, a twentieth of what left-out windows were missed by.
    Five windows that say 0.4 points count beside those of the day: where none was left out it is that, and never none.
#}
{% macro shared_variance(said, measured) -%}
    (5 * 0.16 + coalesce(cast(sum(({{ said }} - {{ measured }}) * ({{ said }} - {{ measured }})) as double), 0) / 400)
    / (5 + count({{ said }} - {{ measured }}))
{%- endmacro %}

{# The same of days: no number of days makes less of it. #}
{% macro shared_variance_of_days(variance, covered_s) -%}
    {{ ratio('sum(cast(' ~ variance ~ ' * ' ~ covered_s ~ ' as decimal(38, 6)))', 'sum(' ~ covered_s ~ ')') }}
{%- endmacro %}

{#
    The variance of a fleet's mean, of GPUs or cores, from that of its (percent × h) and from what all machines err by together, which
    does not become less with their number. `of` and `shared_of` name the relations with the sums and with that.
#}
{% macro fleet_variance(what, of='', shared_of=none) -%}
    ({{ of }}{{ what }}_pct_h_variance * 12960000.0 / nullif({{ of }}covered_{{ what }}_s, 0) / nullif({{ of }}covered_{{ what }}_s, 0)
        + {{ of if shared_of is none else shared_of }}{{ what }}_shared_variance)
{%- endmacro %}

{# An end of the range of a fleet's mean, from its sums. #}
{% macro mean_bound(what, sign, of='', shared_of=none) -%}
    {{ bound(ratio(of ~ what ~ '_pct_s', of ~ 'covered_' ~ what ~ '_s'), fleet_variance(what, of, shared_of), sign) }}
{%- endmacro %}

{# An end of the range of one machine's mean, from its sums. #}
{% macro machine_bound(pct_s, covered_s, pct_h_variance, sign) -%}
    {{ bound(ratio(pct_s, covered_s), pct_h_variance ~ ' * 12960000.0 / power(nullif(' ~ covered_s ~ ', 0), 2)', sign) }}
{%- endmacro %}

{# Of the three figures by which a day is judged, that which made it unusual. #}
{% macro of_driver(of_all, of_held, of_typical) -%}
    case scores.anomaly_driver
        when 'avg_gpu_util' then {{ of_all }}
        when 'allocated_gpu_util' then {{ of_held }}
        when 'typical_job_gpu_util' then {{ of_typical }}
    end
{%- endmacro %}

{# ---------------------------------------------------------------------- ratios #}

{# A ratio of sums; null where there is nothing to divide by. #}
{% macro ratio(part, whole) -%}
    {{ part }} / cast(nullif({{ whole }}, 0) as double)
{%- endmacro %}

{# Of what was measured the part in use; null where nothing was. `of` names the relation with the amounts. #}
{% macro efficiency_ratio(of='') -%}
    {{ ratio(of ~ 'active_mgpu_s', of ~ 'allocated_mgpu_s - ' ~ of ~ 'unknown_mgpu_s') }}
{%- endmacro %}

{# The bounds of the efficiency: as if nothing that is unknown were in use, and as if all of it were. #}
{% macro efficiency_low(of='') -%}
    {{ ratio(of ~ 'active_mgpu_s', of ~ 'allocated_mgpu_s') }}
{%- endmacro %}
{% macro efficiency_high(of='') -%}
    {{ ratio('(' ~ of ~ 'active_mgpu_s + ' ~ of ~ 'unknown_mgpu_s)', of ~ 'allocated_mgpu_s') }}
{%- endmacro %}

{# How much of what was allocated was measured. #}
{% macro allocation_coverage(of='') -%}
    {{ ratio('(' ~ of ~ 'allocated_mgpu_s - ' ~ of ~ 'unknown_mgpu_s)', of ~ 'allocated_mgpu_s') }}
{%- endmacro %}

{# A part of a whole; null where the whole is all unknown, so nothing is known of any part. #}
{% macro part_of_known(part, unknown, whole) -%}
    case when {{ unknown }} < {{ whole }} or {{ whole }} = 0 then {{ part }} end
{%- endmacro %}

{# ---------------------------------------------------------------------- times #}

{# How long something lasted; null where it ended before it began: two clocks disagree, and nobody knows. #}
{% macro lasted_s(start, end) -%}
    case when {{ start }} <= {{ end }} then {{ seconds_between(start, end) }} end
{%- endmacro %}

{# ---------------------------------------------------------------------- words #}

{# A status that says the work came to nothing. #}
{% macro is_failed(job_status) -%}
    {{ job_status }} in ('failed', 'timeout', 'node_fail')
{%- endmacro %}

{#
    Whether a job has started; `starts` names its row of int_job_starts. Null where nobody knows: it has finished or runs, and
    of its instances none has landed, or none that was placed.
#}
{% macro was_placed(starts, job_status) -%}
    case
        when {{ starts }}.was_placed then true
        when {{ job_status }} = 'waiting' then false
        when {{ starts }}.job_id is not null and {{ job_status }} not in ('running', 'succeeded') then false
    end
{%- endmacro %}

{# How large a job is, by the GPUs it asks for; null where no task of it is known. #}
{% macro size_class(gpus, n_tasks) -%}
    case
        when {{ n_tasks }} is null then null
        when coalesce({{ gpus }}, 0) = 0 then 'cpu'
        when {{ gpus }} < 1 then '<1'
        when {{ gpus }} = 1 then '1'
        when {{ gpus }} < 8 then '>1, <8'
        when {{ gpus }} = 8 then '8'
        else '>8'
    end
{%- endmacro %}

{#
    The value of a job in one way of grouping jobs (see int_job_groupings). A null value is what the source does not record; a
    job without GPUs has no GPU model, so it stands as `cpu` there too.
#}
{% macro group_value(grouped_by, job) -%}
    case {{ grouped_by }}
        when 'all' then 'all'
        when 'needs_gpu'
            then case when {{ job }}.size_class = 'cpu' then 'cpu' when {{ job }}.size_class is not null then 'gpu' end
        when 'gpu_model' then case when {{ job }}.size_class = 'cpu' then 'cpu' else {{ job }}.gpu_model end
        when 'size_class' then {{ job }}.size_class
        else {{ job }}.user_id
    end
{%- endmacro %}
