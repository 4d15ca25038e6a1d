{#
    The accounting core: who held which part of which machine's GPUs, when, and how much of it was used.
    One definition, one macro. Amounts are whole milli-GPU-seconds, so every sum is the same in any order.
#}

{# A status that says the work came to nothing. #}
{% macro is_failed(status) -%}
    {{ status }} in ('{{ job_outcomes().failed | join("', '") }}')
{%- endmacro %}

{# A number of GPUs that can be: not below 0, no NaN, no counter gone wild. Another one is no measurement, and no request. #}
{% macro is_a_count(gpus) -%}
    {{ gpus }} between 0 and 1000000
{%- endmacro %}

{# Milli-GPU-seconds of `gpus` GPUs over whole seconds: rounded once, half away from zero. #}
{% macro mgpu_s(gpus, seconds) -%}
    cast(round({{ gpus }} * {{ seconds }} * 1000) as bigint)
{%- endmacro %}

{# What is published: GPU-hours from whole milli-GPU-seconds. #}
{% macro gpu_h(mgpu_s) -%}
    {{ mgpu_s }} / 3600000.0
{%- endmacro %}

{# Tasks that hold GPUs, by a short key: milli-GPUs of each instance. #}
{% macro gpu_tasks(only) -%}
    select
        {{ row_key(['cluster_id', 'job_id', 'task_id']) }} as task_key,
        cast(round(gpu_request_count * 1000) as bigint) as held_mgpu
    from ({{ winning_rows('task', ['cluster_id', 'job_id', 'task_id', 'gpu_request_count'],
                          only ~ ' and gpu_request_count > 0 and ' ~ is_a_count('gpu_request_count')) }}) as tasks
    where round(gpu_request_count * 1000) > 0
{%- endmacro %}

{#
    GPU-holding attempts, as CTEs that end in `spans`: one row per attempt with a start, a later end and GPUs.
    A sensor that names an attempt measures one row of it: the longest, then the one that started last; a second row of the
    same attempt holds its GPUs too, and is not measured.
    Rows of one key, and rows of one attempt, are looked for by a hash first: few attempts have several.
#}
{% macro gpu_spans() -%}
    {%- set timed = 'started_at is not null and ended_at is not null' -%}
    {%- set attempt_hash = row_hash(['job_id', 'attempt_id']) -%}
gpu_tasks as (
    {{ gpu_tasks(touched_jobs_only()) }}
),

repeated_attempts as (
    select {{ attempt_hash }} as attempt_hash
    from ({{ union_staging('instance', ['job_id', 'attempt_id'], timed, touched=true) }}) as instances
    group by attempt_hash
    having count(*) > 1
),

rows_of_repeated_attempts as (
    select
        instances.cluster_id,
        instances.job_id,
        instances.attempt_id,
        instances.started_at,
        instances.ended_at,
        instances.landing_no,
        instances.source_row,
        instances.row_text,
        row_number() over (
            partition by {{ entity_keys().instance.key | join(', ') }}
            order by landing_no desc, row_text desc, source_row desc
        ) as place_in_key
    from ({{ union_staging('instance', entity_keys().instance.key + ['row_text'],
                           timed ~ ' and ' ~ attempt_hash ~ ' in (select attempt_hash from repeated_attempts)',
                           touched=true) }}) as instances
),

judged_rows as (
    select
        landing_no,
        source_row,
        place_in_key = 1 as is_kept,
        place_in_key = 1 and row_number() over (
            partition by cluster_id, job_id, attempt_id, place_in_key
            order by ended_at - started_at desc, started_at desc, row_text desc, landing_no asc, source_row asc
        ) = 1 as is_measured
    from rows_of_repeated_attempts
),

spans as (
    select
        instances.cluster_id,
        instances.job_id,
        instances.task_id,
        instances.attempt_id,
        {{ row_hash(['instances.task_id', 'instances.instance_id']) }} as instance_hash,
        instances.machine_id,
        {{ utc_to_epoch('instances.started_at') }} as start_s,
        {{ utc_to_epoch('instances.ended_at') }} as end_s,
        gpu_tasks.held_mgpu,
        case when coalesce(judged_rows.is_measured, true)
            then {{ row_key(['instances.cluster_id', 'instances.job_id', 'instances.attempt_id']) }}
        end as measured_key,
        instances.landing_no,
        instances.source_row
    from ({{ union_staging('instance', [
        'cluster_id', 'job_id', 'task_id', 'instance_id', 'attempt_id', 'machine_id', 'started_at', 'ended_at',
    ], timed, touched=true) }}) as instances
    inner join gpu_tasks
        on {{ row_key(['instances.cluster_id', 'instances.job_id', 'instances.task_id']) }} = gpu_tasks.task_key
    left join judged_rows
        on instances.landing_no = judged_rows.landing_no
            and instances.source_row = judged_rows.source_row
    where
        {{ utc_to_epoch('instances.ended_at') }} > {{ utc_to_epoch('instances.started_at') }}
        and coalesce(judged_rows.is_kept, true)
)
{%- endmacro %}

{#
    What was measured of attempts, by a short key, as pieces that part all of time: over a piece one measurement holds, or none.
    A lifetime mean is one piece without borders. A sample ends where the next of its attempt begins, at the latest; before,
    between and after samples are pieces without a measurement. Of repeated rows the last landing's stands.
#}
{% macro usage_pieces(only) -%}
    {%- set columns = ['cluster_id', 'job_id', 'attempt_id', 'sample_kind', 'gpu_used_count', 'measured_from', 'measured_to',
                       'gpu_mem_used_bytes_mean', 'gpu_mem_used_bytes_max'] -%}
    {%- set measured_key = row_key(['cluster_id', 'job_id', 'attempt_id']) -%}
lifetime_means as (
    select
        {{ measured_key }} as measured_key,
        sample_kind,
        gpu_used_count,
        gpu_mem_used_bytes_mean,
        gpu_mem_used_bytes_max
    from ({{ winning_rows('usage', columns, only ~ " and sample_kind = 'lifetime_mean' and " ~ is_a_count('gpu_used_count'), only) }}) as means
),

samples as (
    select
        {{ measured_key }} as measured_key,
        sample_kind,
        gpu_used_count,
        gpu_mem_used_bytes_mean,
        gpu_mem_used_bytes_max,
        {{ utc_to_epoch('measured_from') }} as from_s,
        {{ utc_to_epoch('measured_to') }} as to_s
    from ({{ winning_rows('usage', columns, only ~ " and sample_kind != 'lifetime_mean' and " ~ is_a_count('gpu_used_count'), only) }}) as sampled
),

followed_samples as (
    select
        *,
        lead(from_s) over (partition by measured_key order by from_s) as next_from_s,
        row_number() over (partition by measured_key order by from_s) as place
    from samples
),

usage_pieces as (
    select
        measured_key,
        sample_kind,
        gpu_used_count,
        gpu_mem_used_bytes_mean,
        gpu_mem_used_bytes_max,
        cast(null as bigint) as from_s,
        cast(null as bigint) as to_s
    from lifetime_means
    union all
    select
        measured_key,
        sample_kind,
        gpu_used_count,
        gpu_mem_used_bytes_mean,
        gpu_mem_used_bytes_max,
        from_s,
        least(to_s, coalesce(next_from_s, to_s)) as to_s
    from followed_samples
    union all
    select
        measured_key,
        cast(null as varchar) as sample_kind,
        cast(null as double) as gpu_used_count,
        cast(null as bigint) as gpu_mem_used_bytes_mean,
        cast(null as bigint) as gpu_mem_used_bytes_max,
        least(to_s, coalesce(next_from_s, to_s)) as from_s,
        next_from_s as to_s
    from followed_samples
    union all
    select
        measured_key,
        cast(null as varchar) as sample_kind,
        cast(null as double) as gpu_used_count,
        cast(null as bigint) as gpu_mem_used_bytes_mean,
        cast(null as bigint) as gpu_mem_used_bytes_max,
        cast(null as bigint) as from_s,
        from_s as to_s
    from followed_samples
    where place = 1
)
{%- endmacro %}

{# The amounts of parts, summed. #}
{% macro amounts() -%}
    {{ return(['allocated', 'active', 'idle_held', 'unknown', 'over_use', 'zero_util']) }}
{%- endmacro %}

{% macro amount_sums() -%}
    {% for name in amounts() -%}
    cast(sum({{ name }}_mgpu_s) as bigint) as {{ name }}_mgpu_s{{ ',' if not loop.last }}
    {% endfor -%}
{%- endmacro %}

{#
    What capacity is counted by: a machine; in a cluster of one pool, which names no machines, the pool; and machines that hold
    work but are not described, whose capacity is none that we know of: all that they hold is over-allocated.
#}
{% macro accounting_units(parts) -%}
    select
        *,
        cast(row_number() over (order by cluster_id, machine_id, pool) as integer) as unit_no
    from (
        select
            cluster_id,
            machine_id,
            pool,
            cast(max(gpu_count) as bigint) as gpu_count
        from (
            select
                cluster_id,
                case when pool != 'all' then machine_id end as machine_id,
                pool,
                cast(sum(gpu_count) as bigint) as gpu_count
            from {{ ref('silver_machines') }}
            where pool is not null
            group by all
            union all
            select distinct
                cluster_id,
                machine_id,
                pool,
                case when pool = 'unknown machine' then 0 end as gpu_count
            from {{ parts }}
        ) as described_and_used
        group by cluster_id, machine_id, pool
    ) as units
{%- endmacro %}

{#
    Machine-hours from day parts, by a difference array: a part of g GPUs from s to e adds g at s and takes it away at e. Per
    unit and hour, P = Σ signed g × seconds left in that hour, D = Σ signed g; with O = Σ D of the day's earlier hours an hour
    of n seconds holds P + n × O. The cost grows with the parts and the hours they touch, not with their length; no sum crosses
    a day. Use is counted in billionths of a GPU, so a sum of hours differs from the parts' own rounding by half a
    milli-GPU-second per part at the most. Gives the CTE allocated_hours.
#}
{% macro allocated_hours(parts, units, days) -%}
    {%- set amounts = ['held', 'measured', 'used', 'zero'] -%}
numbered_parts as (
    select
        units.unit_no,
        days.day_no,
        cast(days.day_s as integer) as day_s,
        cast(parts.start_s - days.starts_s as integer) as start_s,
        cast(parts.end_s - days.starts_s as integer) as end_s,
        parts.held_mgpu as held,
        case when parts.gpu_used_count is not null then parts.held_mgpu else 0 end as measured,
        case when parts.gpu_used_count is not null
            then {{ whole('least(parts.gpu_used_count, parts.held_mgpu / 1000.0) * 1000000000') }}
            else 0
        end as used,
        case when parts.gpu_used_count = 0 then parts.held_mgpu else 0 end as zero
    from {{ parts }} as parts
    inner join {{ units }} as units
        on parts.cluster_id = units.cluster_id
            and parts.pool = units.pool
            and coalesce(parts.machine_id, '') = coalesce(units.machine_id, '')
    inner join {{ days }} as days
        on parts.cluster_id = days.cluster_id
            and parts.dt = days.dt
),

-- An end on the last border belongs to the last hour.
part_hours as (
    select
        *,
        start_s // 3600 as start_hour_no,
        least(end_s, day_s - 1) // 3600 as end_hour_no
    from numbered_parts
),

-- A part within one hour is whole there: it has no second border.
borders as (
    select
        part_hours.unit_no,
        part_hours.day_no,
        part_hours.day_s,
        case when signs.sign = 1 then part_hours.start_hour_no else part_hours.end_hour_no end as hour_no,
        case when part_hours.start_hour_no = part_hours.end_hour_no then 0 else signs.sign end as step,
        case
            when part_hours.start_hour_no = part_hours.end_hour_no then part_hours.end_s - part_hours.start_s
            when signs.sign = 1 then least((part_hours.start_hour_no + 1) * 3600, part_hours.day_s) - part_hours.start_s
            else part_hours.end_s - least((part_hours.end_hour_no + 1) * 3600, part_hours.day_s)
        end as seconds,
        {% for amount in amounts -%}
        part_hours.{{ amount }}{{ ',' if not loop.last }}
        {% endfor %}
    from part_hours
    cross join (values (1), (-1)) as signs (sign)
    where signs.sign = 1 or part_hours.start_hour_no != part_hours.end_hour_no
),

border_hours as (
    select
        unit_no,
        day_no,
        day_s,
        hour_no,
        {% for amount in amounts -%}
        cast(sum({{ amount }} * step) as bigint) as {{ amount }}_step,
        cast(sum({{ amount }} * seconds) as bigint) as {{ amount }}_part{{ ',' if not loop.last }}
        {% endfor %}
    from borders
    group by unit_no, day_no, day_s, hour_no
),

-- A day gives back all that it held.
running_hours as (
    {% set sums = {} -%}
    {% for amount in amounts %}{% do sums.update({amount ~ '_before': amount ~ '_step'}) %}{% endfor -%}
    {{ sums_before('border_hours', ['unit_no', 'day_no', 'hour_no'], sums, previous='previous_hour_no') }}
),

-- Hours without a border hold what stood before the next one.
filled_hours as (
    select
        *,
        {{ each_number('case when held_before > 0 then previous_hour_no + 1 else hour_no end', 'hour_no') }} as filled_hour_no
    from running_hours
),

hour_amounts as (
    select
        unit_no,
        day_no,
        filled_hour_no as hour_no,
        least(3600, day_s - filled_hour_no * 3600) as hour_s,
        {% for amount in amounts -%}
        cast(
            {{ amount }}_before * least(3600, day_s - filled_hour_no * 3600)
            + case when filled_hour_no = hour_no then {{ amount }}_part else 0 end
            as bigint
        ) as {{ amount }}{{ ',' if not loop.last }}
        {% endfor %}
    from filled_hours
),

allocated_hours as (
    select
        unit_no,
        day_no,
        hour_no,
        hour_s,
        held as allocated_mgpu_s,
        measured as measured_mgpu_s,
        cast(round(used / 1000000) as bigint) as active_mgpu_s,
        zero as zero_util_mgpu_s
    from hour_amounts
    where held > 0
)
{%- endmacro %}

{#
    Clusters whose holdings can be told: every table that they are read from has landed. Elsewhere amounts are null, not 0.
    `is_measured`: whether anything of their use is; where nothing is, active and idle are null too, and all is unknown.
#}
{% macro accounted_clusters() -%}
    select
        cluster_id,
        max(case when column_name = 'active_mgpu_s' and not available then 1 else 0 end) = 0 as is_measured
    from {{ ref('gold_availability') }}
    where table_name = 'silver_allocation_days'
    group by cluster_id
    having max(case when column_name = 'allocated_mgpu_s' and not available then 1 else 0 end) = 0
{%- endmacro %}

{# Amounts that say something of use. #}
{% macro use_amounts() -%}
    {{ return(['active', 'idle_held', 'over_use', 'zero_util']) }}
{%- endmacro %}

{# An amount as it is published: null where the cluster's use is not measured at all. #}
{% macro published_gpu_h(name, relation='') -%}
    {%- if name in use_amounts() -%}
    case when {{ relation }}is_measured then {{ gpu_h(relation ~ name ~ '_mgpu_s') }} end as {{ name }}_gpu_h
    {%- else -%}
    {{ gpu_h(relation ~ name ~ '_mgpu_s') }} as {{ name }}_gpu_h
    {%- endif -%}
{%- endmacro %}

{#
    Pools and days: every day of the window for every pool of described machines, with its capacity, and the pools in which
    anything was held. A machine without validity counts for the whole window.
#}
{% macro pool_days(held) -%}
machine_groups as (
    select
        cluster_id,
        pool,
        gpu_model,
        valid_from,
        valid_to,
        cast(sum(gpu_count) as bigint) as gpus
    from {{ ref('silver_machines') }}
    where pool is not null
    group by cluster_id, pool, gpu_model, valid_from, valid_to
),

pools as (
    select
        cluster_id,
        pool,
        case when count(distinct gpu_model) = 1 then max(gpu_model) end as gpu_model,
        true as is_described
    from machine_groups
    group by cluster_id, pool
    union all
    select distinct
        cluster_id,
        pool,
        cast(null as varchar) as gpu_model,
        false as is_described
    from {{ held }}
    where (cluster_id, pool) not in (select (cluster_id, pool) from machine_groups)
),

capacity_days as (
    {{ pool_capacities(ref('silver_days'), ref('silver_machines')) }}
),

pool_days as (
    select
        days.cluster_id,
        days.dt,
        days.starts_at,
        days.ends_at,
        days.day_s,
        pools.pool,
        pools.gpu_model,
        case when pools.is_described or pools.pool = 'unknown machine' then coalesce(capacity_days.capacity_mgpu_s, 0) end
            as capacity_mgpu_s
    from {{ ref('silver_days') }} as days
    inner join pools
        on days.cluster_id = pools.cluster_id
    left join capacity_days
        on days.cluster_id = capacity_days.cluster_id
            and days.dt = capacity_days.dt
            and pools.pool = capacity_days.pool
)
{%- endmacro %}

{# Seconds of a span in which a row with valid_from and valid_to is valid. #}
{% macro valid_seconds(start, end) -%}
    greatest(
        {{ utc_to_epoch('least(' ~ end ~ ', coalesce(valid_to, ' ~ end ~ '))') }}
        - {{ utc_to_epoch('greatest(' ~ start ~ ', coalesce(valid_from, ' ~ start ~ '))') }},
        0
    )
{%- endmacro %}

{# Efficiency with its bounds, and coverage: shares of what was allocated; the unknown part lies between the bounds. #}
{% macro efficiency(prefix='') -%}
    {{ prefix }}active_mgpu_s / cast(nullif({{ prefix }}allocated_mgpu_s - {{ prefix }}unknown_mgpu_s, 0) as double) as efficiency_ratio,
    {{ prefix }}active_mgpu_s / cast(nullif({{ prefix }}allocated_mgpu_s, 0) as double) as efficiency_low,
    ({{ prefix }}active_mgpu_s + {{ prefix }}unknown_mgpu_s) / cast(nullif({{ prefix }}allocated_mgpu_s, 0) as double) as efficiency_high,
    ({{ prefix }}allocated_mgpu_s - {{ prefix }}unknown_mgpu_s) / cast(nullif({{ prefix }}allocated_mgpu_s, 0) as double) as coverage_ratio
{%- endmacro %}
