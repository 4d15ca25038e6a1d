{#
    What tells one job of Slurm from another: its number as people know it, the year of its submission, and whose it is, as
    `123_4@2026-alice`. Numbers are used again, so the number alone is several jobs. The submission alone cannot stand for it:
    when a job is requeued Slurm gives it a new one, under the same number. All of it stands in each record, so the name of
    a job does not depend on what else has landed. `of` names a relation with the columns of the accounting.
#}
{% macro slurm_job_id(of) -%}
    concat(
        {{ of }}.jobid,
        '@' || extract(year from coalesce({{ of }}.submit, {{ of }}.eligible, {{ of }}.start, {{ of }}."end")),
        '-' || {{ of }}."user"
    )
{%- endmacro %}

{# One attempt of a job: its number, and the second of its submission; where that cannot be told, of its start. #}
{% macro slurm_attempt_id(of) -%}
    coalesce(
        {{ of }}.jobid || '@' || {{ utc_to_epoch(of ~ '.submit') }},
        {{ of }}.jobid || '@start ' || {{ utc_to_epoch(of ~ '.start') }},
        {{ of }}.jobid
    )
{%- endmacro %}

{# The name of what is on the further nodes of an attempt: the first node has the attempt's own. #}
{% macro slurm_on_node(name, place) -%}
    {{ name }} || case when {{ place }} > 1 then '/' || cast({{ place }} as bigint) else '' end
{%- endmacro %}

{# A state as one word, `CANCELLED by 1000` and `COMPLETED+` too. #}
{% macro slurm_state(state) -%}
    {{ text_part(text_part(state, ' ', 1), '+', 1) }}
{%- endmacro %}

{#
    The common word for the state of a node, in any of Slurm's spellings: DOWN*, IDLE+DRAIN, drained*, MIXED+NOT_RESPONDING.
    A node that was switched off to save power is up: it is started when a job needs it.
#}
{% macro slurm_node_state(state) -%}
    {%- set word = "replace(replace(replace(upper(" ~ state ~ "), 'POWERED_DOWN', ''), 'POWERING_DOWN', ''), 'POWER_DOWN', '')" -%}
    case
        when {{ word }} like '%DOWN%' or {{ word }} like '%FAIL%' then 'down'
        when {{ word }} like '%DRAIN%' or {{ word }} like '%DRNG%' then 'drained'
        when {{ word }} like '%MAINT%' or {{ word }} like '%INVAL%' or {{ word }} like '%REBOOT%' then 'drained'
        when {{ word }} like '%*%' or {{ word }} like '%NOT_RESPONDING%' then 'down'
        when {{ word }} not in ('FUTURE', 'UNKNOWN', 'N/A') then 'up'
    end
{%- endmacro %}
