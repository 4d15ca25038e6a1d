-- The common word for each of Slurm's own. A changed mind is a new row with its day: the last one stands.
select
    'slurm' as source,
    words.status_source,
    words.job_status,
    words.decided_on
from (
    values
    ('PENDING', 'waiting', date '2026-11-30'),
    ('CONFIGURING', 'waiting', date '2026-11-30'),
    ('REQUEUED', 'waiting', date '2026-11-30'),
    ('REQUEUE_HOLD', 'waiting', date '2026-11-30'),
    ('REQUEUE_FED', 'waiting', date '2026-11-30'),
    ('RESV_DEL_HOLD', 'waiting', date '2026-11-30'),
    ('SPECIAL_EXIT', 'waiting', date '2026-11-30'),
    ('SUSPENDED', 'waiting', date '2026-11-30'),
    ('STOPPED', 'running', date '2026-11-30'),
    ('RUNNING', 'running', date '2026-11-30'),
    ('COMPLETING', 'running', date '2026-11-30'),
    ('RESIZING', 'running', date '2026-11-30'),
    ('SIGNALING', 'running', date '2026-11-30'),
    ('STAGE_OUT', 'running', date '2026-11-30'),
    ('COMPLETED', 'succeeded', date '2026-11-30'),
    ('FAILED', 'failed', date '2026-11-30'),
    ('OUT_OF_MEMORY', 'failed', date '2026-11-30'),
    ('BOOT_FAIL', 'failed', date '2026-11-30'),
    ('LAUNCH_FAILED', 'failed', date '2026-11-30'),
    ('RECONFIG_FAIL', 'failed', date '2026-11-30'),
    ('DEADLINE', 'failed', date '2026-11-30'),
    ('CANCELLED', 'cancelled', date '2026-11-30'),
    ('REVOKED', 'cancelled', date '2026-11-30'),
    ('TIMEOUT', 'timeout', date '2026-11-30'),
    ('PREEMPTED', 'preempted', date '2026-11-30'),
    ('NODE_FAIL', 'node_fail', date '2026-11-30')
) as words (status_source, job_status, decided_on)
