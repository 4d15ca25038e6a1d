-- The common word for each of status_words.yml, in small letters, in capitals, and with one capital. One that is not there
-- is `unknown`. A changed mind is a new row with its day: the last one stands.
{%- set rows = [] %}
{%- for job_status, words in config.get('meta').words.items() %}
    {%- for word in words %}
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
