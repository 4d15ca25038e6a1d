{# How NVIDIA's tools name parts of a GPU. #}

{#
    A MIG device by its GPU instance, as DCGM's label has it; by its compute instance too where that is not the only one.
    Null where the row is of a whole GPU.
#}
{% macro nvidia_mig_id(gpu_instance, compute_instance) -%}
    case
        when coalesce({{ compute_instance }}, '0') = '0' then {{ gpu_instance }}
        else {{ gpu_instance }} || '/' || {{ compute_instance }}
    end
{%- endmacro %}

{#
    Thousandths of a GPU that a MIG device of a profile is: `1g.10gb` is a seventh, of a GPU with four slices (A30, RTX PRO 6000) a
    quarter. As sources/parsing/slurm_words has it for what jobs are given.
#}
{% macro mig_mgpu(profile) %}{{ return(adapter.dispatch('mig_mgpu', 'gpulake')(profile)) }}{% endmacro %}
{% macro duckdb__mig_mgpu(profile) -%}
    {%- set slices = "try_cast(nullif(regexp_extract(lower(" ~ profile ~ "), '(?:^|[^0-9a-z])([0-9]+)g[.][0-9]+gb', 1), '') as bigint)" -%}
    {%- set size = "regexp_extract(lower(" ~ profile ~ "), '(?:^|[^0-9a-z])([0-9]+g[.][0-9]+gb)', 1)" -%}
    least(
        {{ slices }} * 1000
        // case when {{ size }} in ('1g.6gb', '2g.12gb', '4g.24gb', '2g.48gb', '4g.96gb') then 4 else 7 end,
        case when {{ slices }} > 0 then 1000 end
    )
{%- endmacro %}
