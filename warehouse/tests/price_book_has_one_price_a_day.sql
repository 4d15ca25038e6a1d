-- Rows of the price book that overlap, or that no day can use. Such days have no price and say so (price_reason): a slip of
-- the pen here is told, and keeps no figure from being published.
{{ config(severity='warn') }}

with

book as (
    select
        *,
        row_number() over (order by pool, cluster_id, valid_from, valid_to, usd_per_gpu_h, label) as row_no
    from {{ ref('price_list') }}
)

select
    first_row.pool,
    first_row.cluster_id,
    first_row.valid_from,
    first_row.valid_to,
    first_row.usd_per_gpu_h,
    'overlaps the row from ' || coalesce(cast(second_row.valid_from as varchar), 'ever') as fault
from book as first_row
inner join book as second_row
    on first_row.pool = second_row.pool
        and coalesce(first_row.cluster_id, '') = coalesce(second_row.cluster_id, '')
where
    first_row.row_no != second_row.row_no
    and coalesce(first_row.valid_from, date '0001-01-01') < coalesce(second_row.valid_to, date '9999-12-31')
    and coalesce(second_row.valid_from, date '0001-01-01') < coalesce(first_row.valid_to, date '9999-12-31')
union all
select
    pool,
    cluster_id,
    valid_from,
    valid_to,
    usd_per_gpu_h,
    'has no pool, no price of 0 or more, or ends before it begins' as fault
from book
where pool is null or coalesce(usd_per_gpu_h, -1) < 0 or valid_to <= valid_from
