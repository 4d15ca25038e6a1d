with

days as (
    select * from {{ ref('int_error_days') }}
),

intervals as (
    select * from {{ ref('poisson_intervals') }}
),

-- What was before: at most 28 days, and no fewer than three to expect anything.
pasts as (
    select
        *,
        count(*) over before as past_days,
        coalesce(sum(errors) over before, 0) as past_errors
    from days
    window before as (partition by cluster_id, event_class order by dt rows between 28 preceding and 1 preceding)
),

-- The mean of a day, as high and as low as the past lets it be.
means as (
    select
        pasts.*,
        {{ poisson_mean_high_of('pasts.past_errors', 'intervals') }} / pasts.past_days as mean_high,
        {{ poisson_mean_low_of('pasts.past_errors', 'intervals') }} / pasts.past_days as mean_low
    from pasts
    left join intervals
        on pasts.past_errors = intervals.events
),

-- The largest count that a mean makes no surprise, and the smallest: those whose own intervals reach it.
ranges as (
    select
        means.cluster_id,
        means.dt,
        means.event_class,
        max(case when intervals.mean_low <= means.mean_high then intervals.events end) as high,
        min(case when intervals.mean_high >= means.mean_low then intervals.events end) as low
    from means
    cross join intervals
    where means.past_days >= 3
    group by means.cluster_id, means.dt, means.event_class
),

expected as (
    select
        means.*,
        case when means.mean_high < 70 then ranges.high else {{ poisson_highest('means.mean_high') }} end as expected_high,
        case when means.mean_low < 70 then ranges.low else {{ poisson_lowest('means.mean_low') }} end as expected_low
    from means
    inner join ranges
        on means.cluster_id = ranges.cluster_id
            and means.dt = ranges.dt
            and means.event_class = ranges.event_class
)

select
    means.cluster_id,
    means.dt,
    means.event_class,
    cast(means.errors as bigint) as errors,
    cast(expected.expected_low as bigint) as expected_low,
    cast(expected.expected_high as bigint) as expected_high,
    means.errors > expected.expected_high as is_spike,
    case
        when expected.expected_high is not null
            then {{ ratio('greatest(means.errors - expected.expected_high, 0)', 'means.errors') }}
    end as spike_ratio,
    cast(means.past_days as bigint) as past_days,
    cast(means.past_errors as bigint) as past_errors,
    means.main_machine_id,
    {{ ratio('means.most_of_a_machine', 'means.errors') }} as main_machine_ratio
from means
left join expected
    on means.cluster_id = expected.cluster_id
        and means.dt = expected.dt
        and means.event_class = expected.event_class
