{# How a GPU is judged: what its day shows, from which bound on, and the words for it. #}

{# A duration in words for a reason: minutes, from two hours on hours. #}
{% macro minutes_text(seconds) -%}
    case
        when {{ seconds }} < 7200 then concat(cast(cast(round({{ seconds }} / 60.0) as bigint) as varchar), ' min')
        else concat(cast(cast({{ seconds }} / 3600.0 as decimal(12, 1)) as varchar), ' h')
    end
{%- endmacro %}

{# A whole number and what it counts, with an s where it is not one. #}
{% macro counted_text(number, thing) -%}
    concat(cast(cast({{ number }} as bigint) as varchar), ' {{ thing }}', case when {{ number }} = 1 then '' else 's' end)
{%- endmacro %}

{# Texts in one, those that are not null, apart by semicolons; null where all are. #}
{% macro joined_texts(texts) -%}
    nullif(concat_ws('; ', {{ texts | join(', ') }}), '')
{%- endmacro %}

{# Memory rows that were replaced, for whichever errors, in a GPU's life. #}
{% macro remapped_rows() -%}
    coalesce(remapped_rows_correctable + remapped_rows_uncorrectable, remapped_rows_correctable, remapped_rows_uncorrectable)
{%- endmacro %}

{# How an event is called in a reason: its Xid, else its kind. #}
{% macro event_name(kind, code) -%}
    case when {{ kind }} = 'xid' then concat('Xid ', cast({{ code }} as varchar)) else replace({{ kind }}, '_', ' ') end
{%- endmacro %}

{# How grave a severity is, as a number; what nobody has judged is as grave as a warning. #}
{% macro severity_rank(severity) -%}
    case {{ severity }} when 'critical' then 3 when 'info' then 1 else 2 end
{%- endmacro %}

{#
    Bounds of the mean of a Poisson count, 95 %: exact for up to 100 events (poisson_intervals); above by Wilson and Hilferty's
    cube, which is off by less than 0.002 there.
#}
{% macro poisson_mean_low(events) -%}
    {{ events }} * power(1 - 1 / (9.0 * {{ events }}) - 1.959964 / (3 * sqrt({{ events }})), 3)
{%- endmacro %}
{% macro poisson_mean_high(events) -%}
    ({{ events }} + 1) * power(1 - 1 / (9.0 * ({{ events }} + 1)) + 1.959964 / (3 * sqrt({{ events }} + 1)), 3)
{%- endmacro %}

{# The same bounds, of a relation joined with `intervals`: by its row, above 100 events by the approximation. #}
{% macro poisson_mean_low_of(events, intervals) -%}
    coalesce({{ intervals }}.mean_low, {{ poisson_mean_low(events) }})
{%- endmacro %}
{% macro poisson_mean_high_of(events, intervals) -%}
    coalesce({{ intervals }}.mean_high, {{ poisson_mean_high(events) }})
{%- endmacro %}

{# The largest and the smallest count that a mean of 70 or more makes no surprise, 2.5 % on each side; off by at most 1. #}
{% macro poisson_highest(mean) -%}
    ceil({{ mean }} + 1.959964 * sqrt({{ mean }}) + 0.473577 - 0.5)
{%- endmacro %}
{% macro poisson_lowest(mean) -%}
    floor({{ mean }} - 1.959964 * sqrt({{ mean }}) + 0.473577 + 0.5)
{%- endmacro %}

{# Whether a GPU's sensors said the same all through an hour in which it worked: no load is that even. #}
{% macro stands_still() -%}
    samples >= 10 and used_us >= 50000 * use_covered_s and use_covered_s > 0
        and abs(temperature_c_max - temperature_c) < 1e-6 and abs(power_w_max - power_w) < 1e-6
{%- endmacro %}

{# ---------------------------------------------------------------------- signs #}

{# What says that a GPU is sick: somebody has to take it out. #}
{% macro sick_words() -%}
    {{ return(joined_texts([
        said_when('critical_events > 0', counted_text('critical_events', 'critical error'), "' ('", 'critical_names', "')'"),
        said_when('ecc_uncorrected > 0', counted_text('ecc_uncorrected', 'uncorrected memory error')),
        said_when('row_remap_failed > 0', "'a memory row could not be replaced'"),
        said_when('thermal_s >= 1800', "'slowed down for heat for '", minutes_text('thermal_s')),
        said_when(
            'missing_alone_s >= 900', "'not seen for '", minutes_text('missing_alone_s'), "' while others of its machine were'"
        ),
    ])) }}
{%- endmacro %}

{# What says that somebody should look at it. #}
{% macro look_words() -%}
    {{ return(joined_texts([
        said_when('warning_events > 0', counted_text('warning_events', 'error'), "' ('", 'warning_names', "')'"),
        said_when(
            'application_lines >= 10',
            counted_text('application_lines', 'error'), "' of the kind that jobs cause ('", 'application_names', "')'"
        ),
        said_when('thermal_s >= 60 and thermal_s < 1800', "'slowed down for heat for '", minutes_text('thermal_s')),
        said_when('hot_s >= 600', "'at " ~ hot_c() ~ " °C or more for '", minutes_text('hot_s')),
        said_when(
            'slowdown_c - temperature_c_max <= 3',
            "'came to '", whole_text('temperature_c_max'), "' °C, and is slowed down at '", whole_text('slowdown_c')
        ),
        said_when('hw_power_brake_s >= 60', "'braked by its power supply for '", minutes_text('hw_power_brake_s')),
        said_when(
            'hw_slowdown_s >= 60 and thermal_s < 60 and hw_power_brake_s < 60',
            "'slowed down by the hardware for '", minutes_text('hw_slowdown_s')
        ),
        said_when('ecc_corrected >= 100', counted_text('ecc_corrected', 'corrected memory error')),
        said_when('new_remapped_rows > 0', counted_text('new_remapped_rows', 'memory row'), "' replaced'"),
        said_when('row_remap_pending > 0', "'a memory row waits for a reset to be replaced'"),
        said_when('pcie_replays >= 100', counted_text('pcie_replays', 'PCIe replay')),
        said_when('nvlink_errors >= 100', counted_text('nvlink_errors', 'NVLink error')),
        said_when(
            'busy_clock_hz < 0.85 * peers_clock_hz',
            "'its clock at work was '", whole_text('100 * busy_clock_hz / peers_clock_hz'), "' % of its peers'"
        ),
        said_when(
            'power_limit_w < 0.9 * peers_power_limit_w',
            "'may draw '", whole_text('power_limit_w'), "' W, its peers '", whole_text('peers_power_limit_w')
        ),
        said_when(
            'still_hours >= 2',
            "'its power and temperature stood still for '", counted_text('still_hours', 'hour'), "' of work'"
        ),
    ])) }}
{%- endmacro %}

{# What to do about the gravest sign: what the catalogue says of a critical error, if there was one. #}
{% macro health_to_do() -%}
    case
        when critical_to_do is not null then critical_to_do
        when critical_events > 0 or ecc_uncorrected > 0 or row_remap_failed > 0
            then 'Drain the machine and reset the GPU; replace it if it comes again.'
        when thermal_s >= 1800 then 'Look at fans, air inlet and cold plate; drain the machine if it stays hot.'
        when missing_alone_s >= 900 then 'Look for it (nvidia-smi -L, dmesg); drain and restart the machine if it is gone.'
        when hot_s >= 600 or thermal_s >= 60 or slowdown_c - temperature_c_max <= 3 then 'Look at fans and the air inlet.'
        when power_limit_w < 0.9 * peers_power_limit_w then 'Ask who lowered its power limit (nvidia-smi -q -d POWER).'
        when row_remap_pending > 0 then 'Reset the GPU when it is free.'
        when still_hours >= 2 then 'Believe neither its power nor its temperature; restart the exporter, then the driver.'
        when warning_events > 0 then 'Look at its incidents.'
        when application_lines >= 10 then 'Ask whose job it was: its code is the likely cause.'
        when look_words is not null then 'Compare it with its neighbours (dcgmi diag -r 3).'
        when missing_s > 0.1 * expected_s then 'See whether the exporter and the machine answer.'
    end
{%- endmacro %}

{# What of its day nobody knows: without nine tenths of it, or without any sign to judge by, a GPU is not called well. #}
{% macro unseen_words() -%}
    {{ return(joined_texts([
        said_when(
            'missing_s > 0.1 * expected_s', "'not sampled for '", minutes_text('missing_s'), "' of '", minutes_text('expected_s')
        ),
        said_when(
            'missing_s <= 0.1 * expected_s and temperature_c_max is null and ecc_uncorrected is null and thermal_s is null',
            "'its samples tell no temperature, no slowing down and no memory errors'"
        ),
    ])) }}
{%- endmacro %}

{# By which signs a GPU was found well. #}
{% macro well_words() -%}
    {{ return("concat('nothing found in its ', concat_ws(', ', " ~ [
        said_when('temperature_c_max is not null', "'temperature'"),
        said_when('reasons_covered_s > 0', "'clocks'"),
        said_when('ecc_uncorrected is not null', "'memory errors'"),
        said_when('knows_events', "'events'"),
    ] | join(', ') ~ "))") }}
{%- endmacro %}

{# A text where a condition holds, else null. #}
{% macro said_when(condition) -%}
    case when {{ condition }} then concat({{ varargs | join(', ') }}) end
{%- endmacro %}

{# A number without its fraction. #}
{% macro whole_text(number) -%}
    cast(cast(round({{ number }}) as bigint) as varchar)
{%- endmacro %}
