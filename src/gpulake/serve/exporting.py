"""A listing as a file: CSV for people, Parquet for programs; every row, in the order that is shown."""

from __future__ import annotations

import io
from collections.abc import Mapping

from fastapi.responses import Response

from gpulake.errors import UsageError
from gpulake.serve.listing import Listing

KINDS = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}


def file_of(asked: str, filled: Mapping[str, object]) -> Response:
    """The file `<listing>.<kind>` of a page. Raises UsageError where the page has none of that name."""
    name, _, kind = asked.rpartition(".")
    listings = {value.name: value for value in filled.values() if isinstance(value, Listing)}
    if name not in listings or kind not in KINDS:
        offered = ", ".join(f"{each}.{ending}" for each in listings for ending in KINDS) or "none"
        raise UsageError(f"this page has no file {asked[:60]!r}.", where="export", do=f"it has: {offered}")
    rows = listings[name].whole()
    sink = io.BytesIO()
    if kind == "csv":
        from pyarrow import csv

        csv.write_csv(rows, sink)
    else:
        import pyarrow.parquet as pq

        pq.write_table(rows, sink)
    return Response(
        sink.getvalue(),
        media_type=KINDS[kind],
        headers={"Content-Disposition": f'attachment; filename="{name}.{kind}"', "Cache-Control": "no-store"},
    )
