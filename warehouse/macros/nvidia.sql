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
