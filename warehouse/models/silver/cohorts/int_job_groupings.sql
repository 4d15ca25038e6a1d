{{ config(materialized='ephemeral') }}

-- The ways in which the marts of waits, failures and run times group jobs. A row of theirs stands once in each.
select groupings.grouped_by
from (values ('all'), ('needs_gpu'), ('gpu_model'), ('size_class'), ('user')) as groupings (grouped_by)
