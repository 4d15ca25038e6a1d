-- The common word for each of the source's own. A changed mind is a new row with its day: the last one stands.
select
    'prometheus' as source,
    words.status_source,
    words.job_status,
    words.decided_on
from (
    values
    ('Pending', 'waiting', date '2026-11-30'),
    ('Running', 'running', date '2026-11-30'),
    ('Succeeded', 'succeeded', date '2026-11-30'),
    ('Failed', 'failed', date '2026-11-30'),
    ('Evicted', 'preempted', date '2026-11-30'),
    ('Preempting', 'preempted', date '2026-11-30'),
    ('NodeLost', 'node_fail', date '2026-11-30'),
    ('NodeAffinity', 'failed', date '2026-11-30'),
    ('Shutdown', 'node_fail', date '2026-11-30'),
    ('UnexpectedAdmissionError', 'failed', date '2026-11-30'),
    ('Deleted', 'cancelled', date '2026-11-30')
) as words (status_source, job_status, decided_on)
