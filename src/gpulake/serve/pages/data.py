"""Data: what landed, what was left out and why, how fresh it is, what was built and tested, and what cannot be computed."""

from __future__ import annotations

from gpulake.serve.listing import Column, Listing
from gpulake.serve.look import Look
from gpulake.serve.page import Filled, Page
from gpulake.telling.sentences import data_sentence

_LANDINGS = """
    select landing_no, table_name, file_name, layout, rows_in, rows_kept, rows_refused, values_missing, file_bytes,
        published_bytes, landed_at
    from ops.meta.landings
    where cluster_id = ?
"""
_FRESHNESS = """
    select table_name, landings, rows_kept, rows_refused, first_event_at, last_event_at, behind_window_h, last_landed_at
    from gold_data_freshness
    where cluster_id = ?
"""
_LEFT_OUT = """
    select landed_day, table_name, reason, {amount}, example_file_name, first_source_row
    from gold_quarantine_daily
    where cluster_id = ? and {amount} > 0
"""
_UNAVAILABLE = """
    select table_name, column_name, coalesce(missing_table, '') as missing_table, coalesce(reason, '') as reason
    from gold_availability
    where cluster_id = ? and not available
"""
_BUILDS = "select build_id, built_at, full_build, through_landing_no from ops.meta.builds"
_PUBLICATIONS = """
    select build_id, published_at, waited_s, event_age_s, full_build, tested_everything
    from ops.meta.publications
"""
_COUNTED = """
    select
        (select sum(rows_kept) from gold_data_freshness where cluster_id = ?1)::bigint as rows_kept,
        (select sum(rows_refused) from gold_data_freshness where cluster_id = ?1)::bigint as rows_refused,
        (select count(*) from gold_data_freshness where cluster_id = ?1) as tables,
        (select sum(values_implausible) from gold_quarantine_daily where cluster_id = ?1)::bigint as values_implausible,
        (select count(*) from gold_availability where cluster_id = ?1 and not available) as columns_empty,
        (
            select count(*) from ops.meta.landings
            anti join ops.meta.published_landings using (landing_id)
            where cluster_id = ?1
        ) as pending
"""


def _fill(look: Look) -> Filled:
    cluster = look.cluster.cluster_id
    counted = look.row(_COUNTED, cluster)
    assert counted is not None

    def left_out(name: str, title: str, amount: str, empty: str) -> Listing:
        return Listing(
            look,
            name=name,
            title=title,
            table="gold_quarantine_daily",
            query=_LEFT_OUT.format(amount=amount),
            params=(cluster,),
            columns=(
                Column(amount, "rows" if amount == "rows_refused" else "values"),
                Column("reason", "why"),
                Column("table_name", "table"),
                Column("landed_day", "landed on"),
                Column("example_file_name", "for example in"),
                Column("first_source_row", "row"),
            ),
            order=f"-{amount}",
            rows_a_page=10,
            empty=empty,
        )

    return {
        "sentence": data_sentence(cluster, counted),
        "counted": counted,
        "freshness": Listing(
            look,
            name="tables",
            title="How far each table reaches",
            table="gold_data_freshness",
            query=_FRESHNESS,
            params=(cluster,),
            columns=(
                Column("table_name", "table"),
                Column("behind_window_h", "short of the last day's end"),
                Column("last_event_at", "last event"),
                Column("first_event_at", "first event"),
                Column("rows_kept", "rows kept"),
                Column("rows_refused", "rows refused"),
                Column("landings", "landings"),
                Column("last_landed_at", "last landed"),
            ),
            order="-behind_window_h",
            empty="Nothing of this cluster has landed: gpulake refresh --data DIR.",
        ),
        "refused": left_out("refused", "Rows refused", "rows_refused", "No row was refused."),
        "implausible": left_out(
            "implausible",
            "Values not believed, so not known",
            "values_implausible",
            "No value was implausible.",
        ),
        "landings": Listing(
            look,
            name="landings",
            title="Landings",
            table="",
            query=_LANDINGS,
            params=(cluster,),
            columns=(
                Column("landing_no", "no."),
                Column("landed_at", "landed"),
                Column("table_name", "table"),
                Column("file_name", "file"),
                Column("rows_in", "rows"),
                Column("rows_kept", "kept"),
                Column("rows_refused", "refused"),
                Column("values_missing", "values missing"),
                Column("file_bytes", "size"),
                Column("layout"),
                Column("published_bytes", "publisher's checksum"),
            ),
            order="-landing_no",
            empty="Nothing has landed.",
        ),
        "publications": Listing(
            look,
            name="publications",
            title="Publications: what passed its tests",
            table="",
            query=_PUBLICATIONS,
            params=(),
            columns=(
                Column("build_id", "build"),
                Column("published_at", "published"),
                Column("waited_s", "after its first landing"),
                Column("event_age_s", "its newest event's age"),
                Column("full_build", "everything built anew"),
                Column("tested_everything", "everything tested anew"),
            ),
            order="-published_at",
            rows_a_page=10,
        ),
        "builds": Listing(
            look,
            name="builds",
            title="Builds",
            table="",
            query=_BUILDS,
            params=(),
            columns=(
                Column("build_id", "build"),
                Column("built_at", "built"),
                Column("full_build", "everything built anew"),
                Column("through_landing_no", "up to landing no."),
            ),
            order="-built_at",
            rows_a_page=10,
        ),
        "unavailable": Listing(
            look,
            name="unavailable",
            title="Columns that stay empty",
            table="gold_availability",
            query=_UNAVAILABLE,
            params=(cluster,),
            columns=(
                Column("table_name", "table"),
                Column(
                    "column_name",
                    "column",
                    link=lambda _look, row: f"/definition/{row['table_name']}/{row['column_name']}",
                ),
                Column("missing_table", "not delivered"),
                Column("reason", "why"),
            ),
            order="table_name",
            empty="Every column can be computed.",
        ),
    }


PAGE = Page(
    path="/data",
    title="Data",
    answers="What landed, what was left out and why, how fresh is it, and what cannot be computed?",
    template="data.html",
    fill=_fill,
    place=90,
    has_range=False,
)
