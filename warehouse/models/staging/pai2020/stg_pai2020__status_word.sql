-- The common word for each of the source's own. A changed mind is a new row with its day: the last one stands.
select
    'pai2020' as source,
    words.status_source,
    words.job_status,
    words.decided_on
from (
    values
    ('Waiting', 'waiting', date '2026-11-25'),
    ('Running', 'running', date '2026-11-25'),
    ('Terminated', 'succeeded', date '2026-11-25'),
    ('Failed', 'failed', date '2026-11-25'),
    ('Interrupted', 'preempted', date '2026-11-25')
) as words (status_source, job_status, decided_on)
