{# Labels of a metric, kept as JSON text. #}

{# The value of one label; null where there is none, or an empty one. #}
{% macro label(labels, name) %}{{ return(adapter.dispatch('label', 'gpulake')(labels, name)) }}{% endmacro %}
{% macro duckdb__label(labels, name) -%}
    nullif(json_extract_string({{ labels }}, '$."{{ name }}"'), '')
{%- endmacro %}

{# The same of a label that is a whole number. #}
{% macro whole_label(labels, name) %}{{ return(adapter.dispatch('whole_label', 'gpulake')(labels, name)) }}{% endmacro %}
{% macro duckdb__whole_label(labels, name) -%}
    try_cast({{ label(labels, name) }} as bigint)
{%- endmacro %}

{#
    The machine that a series is of: as dcgm-exporter names it, or Kubernetes, else where it was scraped, without the port; a page
    names none, so the name of its file does.
#}
{% macro machine_of_series(labels, file_machine) -%}
    coalesce(
        {{ label(labels, 'Hostname') }},
        {{ label(labels, 'node') }},
        {{ label(labels, 'kubernetes_node') }},
        {{ without_port(label(labels, 'instance')) }},
        {{ file_machine }}
    )
{%- endmacro %}

{# An address without its port. #}
{% macro without_port(address) %}{{ return(adapter.dispatch('without_port', 'gpulake')(address)) }}{% endmacro %}
{% macro duckdb__without_port(address) -%}
    regexp_replace({{ address }}, ':[0-9]+$', '')
{%- endmacro %}

{# A PCI address as the driver's own tools now write it: eight digits of domain, small letters. #}
{% macro pci_address(text) %}{{ return(adapter.dispatch('pci_address', 'gpulake')(text)) }}{% endmacro %}
{% macro duckdb__pci_address(text) -%}
    lower(case
        when regexp_matches({{ text }}, '^[0-9a-fA-F]{8}:[0-9a-fA-F]{2}:[0-9a-fA-F]{2}[.][0-9]$') then {{ text }}
        when regexp_matches({{ text }}, '^[0-9a-fA-F]{4}:[0-9a-fA-F]{2}:[0-9a-fA-F]{2}[.][0-9]$') then '0000' || {{ text }}
        when regexp_matches({{ text }}, '^[0-9a-fA-F]{2}:[0-9a-fA-F]{2}[.][0-9]$') then '00000000:' || {{ text }}
    end)
{%- endmacro %}

{#
    The job that a series of a GPU is of: Slurm's, as dcgm-exporter's hpc_job names it, else the pod. Prometheus calls a pod
    exported_pod where the exporter is a pod too; the exporter's own is no job.
#}
{% macro job_of_series(labels) -%}
    coalesce({{ label(labels, 'hpc_job') }}, {{ pod_of_series(labels) }})
{%- endmacro %}
{% macro pod_of_series(labels) -%}
    case
        when {{ label(labels, 'exported_pod') }} is not null
            then coalesce({{ label(labels, 'exported_namespace') }} || '/', '') || {{ label(labels, 'exported_pod') }}
        when {{ label(labels, 'pod') }} not like '%dcgm-exporter%'
            then coalesce({{ label(labels, 'namespace') }} || '/', '') || {{ label(labels, 'pod') }}
    end
{%- endmacro %}

{# Whether a network device is none that moves bytes out of the machine by itself. #}
{% macro is_no_card(device) %}{{ return(adapter.dispatch('is_no_card', 'gpulake')(device)) }}{% endmacro %}
{% macro duckdb__is_no_card(device) -%}
    regexp_matches(coalesce({{ device }}, ''), '^(lo|bond.*|br-.*|cali.*|cilium.*|cni.*|docker.*|flannel.*|lxc.*|podman.*|tap.*|tun.*|veth.*|virbr.*|vxlan.*)$')
{%- endmacro %}

{# ---------------------------------------------------------------------- pods of kube-state-metrics #}

{# How a pod stands: why it failed, if that is told; that it was deleted before it ended; else its phase. #}
{% macro pod_status(pods) -%}
    case
        when {{ pods }}.phase = 'Failed' then coalesce({{ pods }}.reason, {{ pods }}.phase)
        when {{ pods }}.phase in ('Pending', 'Running') and {{ pods }}.is_gone then 'Deleted'
        else {{ pods }}.phase
    end
{%- endmacro %}

{# When a pod ended, in seconds since 1970: as its last container did, else when a pod that is gone was last seen. #}
{% macro pod_end_s(pods) -%}
    coalesce({{ pods }}.completed_s, case when {{ pods }}.is_gone then {{ utc_to_epoch(pods ~ '.seen_at') }} end)
{%- endmacro %}

{# What is known of a pod, as one value. #}
{% macro pod_row(pods) -%}
    {{ row_text([
        pods ~ '.pod_id', pods ~ '.node', pods ~ '.phase', pods ~ '.reason', pods ~ '.priority_class', pods ~ '.created_s',
        pods ~ '.scheduled_s', pods ~ '.completed_s', pods ~ '.seen_at', pods ~ '.gpus', pods ~ '.mig_devices',
        pods ~ '.cpu_cores', pods ~ '.memory_bytes',
    ]) }}
{%- endmacro %}
