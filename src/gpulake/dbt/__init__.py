"""Everything that runs dbt: `warehouse` starts a child process, `child` is that process, `connection` its DuckDB."""
