"""The lake: DuckLake behind its lock, its transactions and its publications. Nobody else opens DuckDB or the catalog.

A lake is one folder. Writers take turns at `catalog.duckdb` under one file lock; readers attach a copy of the catalog
that is made at each publication, read-only and pinned, so they never wait and never see a mix. The settings are needed
for right answers, not for speed: each stands beside the fault it prevents.
"""

from gpulake.lake.answers import Answers
from gpulake.lake.connection import (
    EXTENSIONS,
    SETTINGS,
    Connection,
    QueryError,
    attach_options,
    connect,
    extension_file,
    first_line,
    lent,
)
from gpulake.lake.layout import Layout, Publication
from gpulake.lake.reader import (
    Reader,
    View,
    in_memory,
    open_newest,
    open_operations,
    open_publication,
    write_duckdb,
    write_parquet,
)
from gpulake.lake.writer import Writer, writing

__all__ = [
    "EXTENSIONS",
    "SETTINGS",
    "Answers",
    "Connection",
    "Layout",
    "Publication",
    "QueryError",
    "Reader",
    "View",
    "Writer",
    "attach_options",
    "connect",
    "extension_file",
    "first_line",
    "in_memory",
    "lent",
    "open_newest",
    "open_operations",
    "open_publication",
    "write_duckdb",
    "write_parquet",
    "writing",
]
