"""Replaying refused rows after a mapping is mended: each joins its own landing, once, and the rest stays refused."""

from __future__ import annotations

import json
from datetime import datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gpulake import landing, meta, upkeep
from gpulake.config import Config
from gpulake.contract import Column, Delimited, JsonLines, Parquet, Source, Span, Table
from gpulake.lake import writing
from gpulake.tables import BUILDS, META_TABLES, PUBLISHED_LANDINGS, bronze_tables

NOW = datetime(2026, 11, 25, 12)  # noqa: DTZ001  # as the lake keeps it


def source(form, *, when):
    """A table of shifts whose times are written in one way."""
    columns = (Column("who", "text", required=True), Column("start", "time", form=when), Column("gpus", "number"))
    table = Table(name="shift", bronze="bronze_shift", key=("who",), stems=("shift",), format=form, columns=columns,
                  span=Span("start", "start"))  # fmt: skip
    return Source(name="shifts", title="Shifts", licence="none: written for this test", tables=(table,))


ROWS = [("a", "01/07/2026", "1"), ("b", "2026-07-02", "2"), ("c", "2026-07-03", "many"), ('d, "e"\nf', "2026-07-04", "NA"),
        ("", "2026-07-05", "5"), ("z", "2056-07-05", "5")]  # fmt: skip


def deliver(form, folder, *, header):
    names = ["gpus", "rack", "who", "start"] if header else ["who", "start", "gpus"]
    made = [dict(zip(["who", "start", "gpus"], row, strict=True)) | {"rack": "r"} for row in ROWS]
    file = folder / f"shift{form.suffixes[0]}"
    match form:
        case Delimited():
            quoted = (",".join('"' + row[name].replace('"', '""') + '"' for name in names) for row in made)
            file.write_text("\n".join([*([",".join(names)] if header else []), *quoted]) + "\n")
        case JsonLines():
            file.write_text("".join(json.dumps({**row, "who": row["who"] or None}) + "\n" for row in made))
        case Parquet():
            pq.write_table(pa.table({name: [row[name] for row in made] for name in names}), file)
    return file


@pytest.mark.parametrize(
    ("form", "header"),
    [(Delimited(), False), (Delimited(), True), (JsonLines(), True), (Parquet(), True)],
    ids=["without header", "with header", "keys", "Parquet"],
)
def test_refused_rows_join_their_landing_when_the_mapping_is_mended(tmp_path, form, header):
    """With --again a whole file would come once more, above all that has been corrected since; a replay fills the gaps."""
    wrong, right = source(form, when="%d/%m/%Y"), source(form, when="iso8601")
    file = deliver(form, tmp_path, header=header)
    config = Config(lake=tmp_path / "lake")
    with writing(tmp_path / "lake", purpose="test", tables=(*META_TABLES, *bronze_tables([wrong]))) as writer:
        (landed,) = landing.land(writer, landing.survey(file, [wrong]), config=config, now=NOW).landings
        assert (1, 5) == (landed.rows_kept, landed.rows_refused)
        with writer.transaction("publish"):
            writer.insert(PUBLISHED_LANDINGS, [[1, landed.landing_id]])
            writer.insert(BUILDS, [[writer.version(), NOW, "these", True, 1, "{}"]])
        built = writer.version()
        (replayed,) = landing.replay(writer, [right], config=config, now=NOW).landings
        (again,) = landing.replay(writer, [right], config=config, now=NOW).landings
        rows = writer.sql("SELECT * FROM lake.main.bronze_shift ORDER BY source_row").to_pylist()
        (record,) = meta.landings_of(writer, ("shifts", "shifts", "shift", landed_sha(writer)))
        refused = meta.refused_by_reason(writer, lines=9)
        due = meta.is_changed_since(writer, built), meta.must_be_full(writer, "these", shaping=frozenset())
        waiting = [each.landing_id for each in meta.pending(writer)]

    first = 1 + (isinstance(form, Delimited) and header)
    assert ("replayed", 2, 3, {"gpus": 1}) == (
        replayed.status, replayed.rows_kept, replayed.rows_refused, dict(replayed.missing)
    )  # fmt: skip
    assert (0, 3) == (again.rows_kept, again.rows_refused)
    assert [(first, "a", 1.0), (first + 1, "b", 2.0), (first + 3, 'd, "e"\nf', None)] == [
        (row["source_row"], row["who"], row["gpus"]) for row in rows
    ]
    assert [landed.landing_id] * 3 == [row["landing_id"] for row in rows]
    assert (3, 3, datetime(2026, 7, 1), datetime(2026, 7, 4), 1) == tuple(  # noqa: DTZ001
        record[name] for name in ("rows_kept", "rows_refused", "min_event_at", "max_event_at", "landing_no")
    )
    assert 3 == sum(each.count for each in refused)
    assert (True, True) == due, "half of what stands on it would be of before"
    assert [landed.landing_id] == waiting
    assert () == upkeep.verify(tmp_path / "lake", now=NOW).faults


def landed_sha(writer):
    return writer.sql("SELECT file_sha256 FROM lake.meta.landings")["file_sha256"][0].as_py()


def test_refused_rows_are_listed_by_reason_with_their_lines(tmp_path, pai):
    """Whoever mends the source reads what stood there; a value in a reason makes no reason of its own."""
    file = pai.write(
        tmp_path / "pai_machine_spec.csv", [pai.spec(1), *(pai.spec(2, gpus=g) for g in ("x", "y", "z")), "bad"]
    )
    from gpulake.sources import all_sources

    with writing(tmp_path / "lake", purpose="test", tables=(*META_TABLES, *bronze_tables(all_sources()))) as writer:
        surveyed = landing.survey(file, all_sources())
        landing.land(writer, surveyed, config=Config(lake=tmp_path / "lake"), now=NOW)
    found = upkeep.quarantine(tmp_path / "lake", lines=2)
    without = upkeep.quarantine(tmp_path / "lake", lines=0)

    assert [("cap_gpu is not a number", 3, [2, 3]), ("1 fields where 5 are expected", 1, [5])] == [
        (each.reason, each.count, [line["source_row"] for line in each.lines]) for each in found.refused
    ]
    assert pai.spec(2, gpus="x") == found.refused[0].lines[0]["line"]
    assert ("cap_gpu is not a number: 'x'", "pai_machine_spec.csv") == tuple(
        found.refused[0].lines[0][name] for name in ("whole_reason", "file_name")
    )
    assert [3, 1] == [each.count for each in without.refused]
    assert {()} == {each.lines for each in without.refused}


def test_implausible_values_are_listed_with_their_rows(tmp_path, pai):
    """The row lies in its landing, not in the quarantine: what was delivered is shown all the same."""
    from gpulake.sources import all_sources

    file = pai.write(tmp_path / "pai_machine_metric.csv", [pai.metric(1, gpu="50"), pai.metric(2, gpu="808334905")])
    with writing(tmp_path / "lake", purpose="test", tables=(*META_TABLES, *bronze_tables(all_sources()))) as writer:
        landing.land(writer, landing.survey(file, all_sources()), config=Config(lake=tmp_path / "lake"), now=NOW)
        assert () == meta.implausible_by_reason(writer, lines=1)
        writer._execute(
            "CREATE TABLE lake.meta.implausible_values AS SELECT 'machine_window' AS entity, 'gpu_util_pct' AS column_name, "
            "808334905::double AS delivered_value, 'gpu_util_pct is implausible: above 110 %' AS reason, landing_id, "
            "2::bigint AS source_row FROM lake.meta.landings"
        )
        (found,) = meta.implausible_by_reason(writer, lines=1)

    assert ("pai_machine_metric", "gpu_util_pct is implausible: above 110 %", 1) == (
        found.table_name, found.reason, found.count
    )  # fmt: skip
    assert "gpu_util_pct = 808334905" in found.lines[0]["whole_reason"]
    assert pai.name60(2) in found.lines[0]["line"]
    assert "'machine_cpu': 24.0" in found.lines[0]["line"]
