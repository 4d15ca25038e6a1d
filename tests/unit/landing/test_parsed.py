"""Text that its source takes apart by itself, and files that lack columns which they may lack."""

from __future__ import annotations

import json

import polars as pl
import pytest

from gpulake.contract import Column, Parsed, Span, Table
from gpulake.errors import ContractError
from gpulake.landing import jsonlines, recognition
from gpulake.landing import rows as reading
from gpulake.landing.recognition import Recognised


def rows(blocks, file_name):
    """`time gpu heat` on each line behind a banner; the machine is the file's name up to its first dot."""
    first = 1
    for block in blocks:
        lines = pl.DataFrame({"line": block.decode().removesuffix("\n").split("\n")}).with_row_index(
            "source_row", first
        )
        first += lines.height
        fields = pl.col("line").str.splitn(" ", 3).struct
        is_row = fields[2].is_not_null()
        yield lines.filter(~pl.col("line").str.starts_with("==")).select(
            "source_row",
            at=fields[0],
            gpu=fields[1],
            heat_c=fields[2],
            machine=pl.lit(file_name.split(".")[0]),
            reason=pl.when(~is_row).then(pl.lit("it has no heat")),
            raw_text=pl.when(~is_row).then("line"),
        )


HEAT = Parsed(is_it=lambda head: head.startswith(b"== heat =="), rows=rows)
TABLE = Table(
    name="heats",
    bronze="bronze_toy_heat",
    stems=("heats",),
    key=("machine", "gpu", "at"),
    span=Span("at", "at", lasts_s=10),
    format=HEAT,
    columns=(
        Column("machine", "text", required=True),
        Column("gpu", "text", required=True),
        Column("at", "time", required=True),
        Column("heat_c", "number", unit="C"),
        Column("fan", "text", may_lack=True),
    ),
)


def convert(file, tmp_path, table=TABLE):
    found = recognition.recognise(file, [table])
    assert isinstance(found, Recognised), found
    converted = reading.convert(found, landing_id="0" * 64, folder=tmp_path / "out", time_zone="Europe/Berlin")
    return found, pl.concat([pl.read_parquet(part) for part in converted.files]), converted


def test_its_own_reader_finds_the_rows_and_landing_types_them(tmp_path):
    """A log is no table: what the source makes of it is held to the same contract as any other file."""
    file = tmp_path / "n1.heat.log"
    file.write_text(
        "== heat ==\n2026-07-01T12:00:00 0 61\n2026-07-01T12:00:00Z 1 N/A\n2026-07-01T12:00:05 1 hot\nbroken\n"
    )

    found, frame, converted = convert(file, tmp_path)

    assert "parsed" == found.layout.name
    assert [
        {"machine": "n1", "gpu": "0", "at": "2026-07-01 10:00:00.000000", "heat_c": 61.0, "fan": None, "source_row": 2},
        {"machine": "n1", "gpu": "1", "at": "2026-07-01 12:00:00.000000", "heat_c": None, "fan": None, "source_row": 3},
    ] == frame.drop("landing_id").with_columns(pl.col("at").dt.to_string("%F %T%.6f")).to_dicts()
    assert {"heat_c": 1} == converted.missing
    assert [(4, "heat_c is not a number: 'hot'"), (5, "it has no heat")] == [
        (row["source_row"], row["reason"]) for row in converted.refused.to_pylist()
    ]
    assert "broken" == converted.refused["raw_text"][1].as_py()


def test_a_row_that_only_its_contract_refused_can_be_read_once_more(tmp_path):
    """A contract that is mended takes back what it had refused: the row is kept as the keys that its reader gave it."""
    file = tmp_path / "n1.heat.log"
    file.write_text("== heat ==\n2026-07-01T12:00:05 1 hot\n2026-07-01T12:00:00 0 61\n")
    _, _, converted = convert(file, tmp_path)
    (kept,) = converted.refused["raw_text"].to_pylist()

    assert {"machine": "n1", "gpu": "1", "at": "2026-07-01T12:00:05", "heat_c": "hot"} == json.loads(kept)
    frame = pl.DataFrame({"source_row": [2], "raw_text": [kept], "broken": [False]})
    again = jsonlines.taken_apart(frame, TABLE.column_names, needed=TABLE.needed_names)
    assert "hot" == again["heat_c"][0]
    assert again["reason"][0] is None


def test_a_text_without_its_mark_is_none_of_the_table(tmp_path):
    """A log of something else with a table's name must be told, not read as garbage."""
    file = tmp_path / "heats.log"
    file.write_text("something else\nentirely\n")

    with pytest.raises(ContractError, match="none of the texts that heats is read from"):
        recognition.recognise(file, [TABLE])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "machine,gpu,at,heat_c\nn1,0,2026-07-01T12:00:00,61\n"),
        ("a.jsonl", '{"machine": "n1", "gpu": "0", "at": "2026-07-01T12:00:00", "heat_c": 61, "more": 1}\n'),
    ],
)
def test_a_file_by_names_may_lack_what_it_may_lack(tmp_path, name, content):
    """A column that most people do not have must not cost them the table."""
    from dataclasses import replace

    from gpulake.contract import Delimited

    file = tmp_path / name
    file.write_text(content)

    _, frame, converted = convert(file, tmp_path, replace(TABLE, format=Delimited()))

    assert 0 == converted.refused.num_rows
    assert [("n1", "0", 61.0, None)] == frame.select("machine", "gpu", "heat_c", "fan").rows()


def test_a_header_that_shares_few_names_is_another_tables(tmp_path):
    """Who needs little must not take every file for its own."""
    from dataclasses import replace

    from gpulake.contract import Delimited

    few = tuple(replace(column, may_lack=not column.required) for column in TABLE.columns)
    file = tmp_path / "a.csv"
    file.write_text("machine,gpu,at,b,c,d,e\nn1,0,2026-07-01T12:00:00,1,2,3,4\n")
    table = replace(TABLE, format=Delimited(), columns=few)

    assert not isinstance(recognition.recognise(file, [table]), Recognised)
    file = file.rename(tmp_path / "heats.csv")
    assert isinstance(recognition.recognise(file, [table]), Recognised)
