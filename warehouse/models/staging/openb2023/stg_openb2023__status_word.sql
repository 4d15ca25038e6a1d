-- The common word for each of the source's own. A changed mind is a new row with its day: the last one stands.
select
    'openb2023' as source,
    words.status_source,
    words.job_status,
    words.decided_on
from (
    values
    ('Pending', 'waiting', date '2026-11-26'),
    ('Running', 'running', date '2026-11-26'),
    ('Succeeded', 'succeeded', date '2026-11-26'),
    ('Failed', 'failed', date '2026-11-26')
) as words (status_source, job_status, decided_on)
