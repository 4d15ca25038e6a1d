-- The common word for each that schedulers and people use, in small letters, in capitals, and with one capital. A word that
-- is not here is `unknown`. A changed mind is a new row with its day: the last one stands.
{%- set words = {
    'waiting': [
        'waiting', 'pending', 'queued', 'submitted', 'held', 'suspended', 'configuring', 'requeued',
        'blocked', 'created',
    ],
    'running': [
        'running', 'started', 'completing', 'active',
    ],
    'succeeded': [
        'succeeded', 'success', 'successful', 'completed', 'complete', 'done', 'finished', 'ok', 'pass',
        'passed',
    ],
    'failed': [
        'failed', 'failure', 'fail', 'error', 'errored', 'crashed', 'exit', 'out_of_memory', 'oom',
        'oomkilled', 'boot_fail', 'deadline', 'launch_failed',
    ],
    'cancelled': [
        'cancelled', 'canceled', 'killed', 'deleted', 'stopped', 'aborted', 'revoked',
    ],
    'timeout': [
        'timeout', 'timed_out', 'timedout', 'deadlineexceeded', 'expired',
    ],
    'preempted': [
        'preempted', 'evicted', 'interrupted',
    ],
    'node_fail': [
        'node_fail', 'node_failed', 'nodefail', 'nodelost', 'node_lost',
    ],
} %}
{%- set rows = [] %}
{%- for job_status, spelled in words.items() %}
    {%- for word in spelled %}
        {%- for written in [word, word | upper, word | capitalize] %}
            {%- do rows.append([written, job_status]) %}
        {%- endfor %}
    {%- endfor %}
{%- endfor %}

select
    'plain' as source,
    words.status_source,
    words.job_status,
    words.decided_on
from (
    values
    {%- for row in rows %}
    ({{ text_literal(row[0]) }}, {{ text_literal(row[1]) }}, date '2026-11-30'){{ ',' if not loop.last }}
    {%- endfor %}
) as words (status_source, job_status, decided_on)
