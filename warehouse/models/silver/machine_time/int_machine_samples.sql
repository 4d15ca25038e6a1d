{{ config(materialized='ephemeral') }}

-- It speaks of the seconds up to its time: at the most its interval, and that a day, and none that the sample before has
-- spoken of. Where no interval is told, it is its machine's usual step then. Counters say what they have grown by since the
-- sample before, whichever delivery has it: unknown after a restart or a day, and where another number of series was summed.
with

neighbours as (
    select
        *,
        lag(at_s) over machine as previous_s,
        {%- for counted in [
            'cpu_busy_us', 'cpu_total_us', 'cpu_series', 'cpu_at', 'rx_counted', 'rx_series', 'rx_at', 'tx_counted', 'tx_series',
            'tx_at',
        ] %}
        lag({{ counted }} ignore nulls) over machine as {{ counted }}_before{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ ref('int_told_machine_samples') }}
    window machine as (partition by cluster_no, machine_id order by at_s)
),

grown as (
    select
        *,
        {%- for kind, counter in {
            'busy': 'cpu_busy_us', 'total': 'cpu_total_us', 'rx': 'rx_counted', 'tx': 'tx_counted',
        }.items() %}
            {%- set series = 'cpu' if kind in ['busy', 'total'] else kind %}
        case
            when {{ series }}_series = {{ series }}_series_before
                and {{ seconds_between(series ~ '_at_before', series ~ '_at') }} <= 86400
                then {{ counter }} - {{ counter }}_before
        end as {{ kind }}_growth{{ ',' if not loop.last }}
        {%- endfor %}
    from neighbours
),

rates as (
    select
        *,
        case
            when busy_growth between 0 and total_growth then 100.0 * busy_growth / nullif(total_growth, 0)
        end as cpu_util_pct,
        {%- for way in ['rx', 'tx'] %}
        case
            when {{ way }}_growth >= 0
                then {{ way }}_growth / {{ seconds_between(way ~ '_at_before', way ~ '_at') }}
        end as net_{{ way }}_bytes_per_s{{ ',' if not loop.last }}
        {%- endfor %}
    from grown
),

usual_steps as (
    select
        cluster_no,
        machine_id,
        at_s // 86400 as utc_day,
        {{ whole(exact_quantile('at_s - previous_s', 0.5)) }} as usual_s
    from neighbours
    where interval_s is null
    group by cluster_no, machine_id, utc_day
),

steps as (
    select
        rates.*,
        coalesce(rates.interval_s, usual_steps.usual_s) as step_s
    from rates
    left join usual_steps
        on rates.cluster_no = usual_steps.cluster_no
            and rates.machine_id = usual_steps.machine_id
            and rates.at_s // 86400 = usual_steps.utc_day
)

select
    *,
    coalesce(told_cpu_micro_pct, {{ whole(plausible('machine_sample', 'cpu_util_pct') ~ ' * 1000000') }}) as cpu_micro_pct,
    coalesce(told_rx_bytes, {{ whole(plausible('machine_sample', 'net_rx_bytes_per_s')) }}) as net_bytes,
    coalesce(told_tx_bytes, {{ whole(plausible('machine_sample', 'net_tx_bytes_per_s')) }}) as sent_bytes,
    greatest(at_s - least(step_s, 86400), previous_s, first_s) as from_s,
    at_s as to_s
from steps
where step_s > 0
