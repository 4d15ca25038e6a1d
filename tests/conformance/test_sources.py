"""What every source obeys, found by listing the folder: a new source is tested by being there."""

from __future__ import annotations

import json
import random
from datetime import datetime
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

import jsonschema
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import find, settings
from hypothesis import strategies as st

from gpulake.contract import Column, Delimited, JsonLines, Parquet, Parsed, Table
from gpulake.dbt import warehouse
from gpulake.errors import ContractError
from gpulake.landing import json_schema, recognition
from gpulake.landing import rows as reading
from gpulake.landing.messages import Messages, as_messages, key_columns, keys, written
from gpulake.landing.recognition import Recognised, Unrecognised
from gpulake.sources import all_sources

SOURCES = all_sources()
TABLES = [(source, table) for source in SOURCES for table in source.tables]


def ids(value):
    return getattr(value, "name", None)


@cache
def text_like(pattern: str) -> str:
    """The simplest text that matches a pattern and needs no quotes in any format."""
    plain = settings(database=None, derandomize=True)
    return find(st.from_regex(pattern, fullmatch=True), lambda text: text.isprintable() and text != "", settings=plain)


TIMES = {
    "iso8601": "2026-07-01T00:00:0{}",
    "iso8601_or_epoch": "2026-07-01T00:00:0{}Z",
    "epoch_s": "178286400{}",
    "epoch_ms": "178286400{}000",
}


def value_of(column: Column, row: int) -> str:
    if column.kind == "time":
        return TIMES.get(column.form, "").format(row) or datetime(2026, 7, 1, 0, 0, row).strftime(column.form)  # noqa: DTZ001
    if column.kind == "number":
        return f"{1000 + row}.5" if "time" not in column.name else f"{1000 + row}.0"
    if not column.pattern:
        return f"text {row}"
    return text_like(column.pattern)


def rows_of(table: Table, count: int = 6) -> list[dict[str, str]]:
    """Full rows, and one of nothing but what is required."""
    full = [{column.name: value_of(column, row) for column in table.columns} for row in range(count)]
    return [*full, {column.name: value_of(column, 9) if column.required else "" for column in table.columns}]


def deliver(file: Path, table: Table, rows: list[dict[str, str]], *, torn_at: int | None = None, header: bool = True):
    """Write a file in the table's own format, its columns in the rows' order; a torn line, if asked, after some.

    What its source takes apart by itself is written as JSON lines: its own texts have tests of their own.
    """
    names = list(rows[0]) if rows else list(table.column_names)
    match table.format:
        case Delimited(delimiter=delimiter):
            lines = [delimiter.join(row.values()) for row in rows]
            torn, top = delimiter.join(["torn", "line"]), [delimiter.join(names)] if header else []
        case JsonLines() | Parsed():
            lines = [json.dumps({name: value or None for name, value in row.items()}) for row in rows]
            torn, top = '{"torn":', []
        case Parquet():
            texts = {name: pa.array([row[name] for row in rows], pa.string()) for name in names}
            pq.write_table(pa.table(texts), file)
            return file
    if torn_at is not None:
        lines.insert(torn_at, torn)
    file.write_text("\n".join([*top, *lines]) + "\n")
    return file


def named(table: Table, stem: str = "") -> str:
    suffix = ".jsonl" if isinstance(table.format, Parsed) else table.format.suffixes[0]
    return f"{stem or table.stems[0]}{suffix}"


def read(file, table, folder):
    found = recognition.recognise(file, [table])
    assert isinstance(found, Recognised), found
    converted = reading.convert(found, landing_id="0" * 64, folder=folder, time_zone="UTC")
    frames = [pl.read_parquet(part) for part in converted.files]
    rows = pl.concat(frames) if frames else pl.DataFrame()
    return rows, converted


@pytest.mark.parametrize("source", SOURCES, ids=ids)
def test_it_says_what_it_is_and_may_be_used_for(source):
    """Nobody should publish figures from data whose terms are unknown."""
    assert source.title
    assert source.licence
    assert ZoneInfo(source.time_zone)
    assert source.time_basis in {"real", "offset", "shifted"}
    assert source.pools in {"gpu_model", "all"}


@pytest.mark.parametrize(("source", "table"), TABLES, ids=ids)
def test_its_contract_is_sound(source, table):
    """A key or span that names no column would be found out in the middle of a landing."""
    names = table.column_names
    assert len(set(names)) == len(names)
    assert set(table.key) <= set(names)
    assert {"landing_id", "source_row", "reason", "raw_text", "left", "times_unknown"}.isdisjoint(names)
    assert names == tuple(name.lower() for name in names)
    if table.span:
        kinds = {column.name: column.kind for column in table.columns}
        assert {kinds[table.span.start], kinds[table.span.end]} in ({"number"}, {"time"})
    assert source.table(table.name) is table


@pytest.mark.parametrize(("source", "table"), TABLES, ids=ids)
def test_the_same_bytes_give_the_same_rows(tmp_path, source, table):
    """A landing repeated elsewhere must be the same landing."""
    file = deliver(tmp_path / named(table), table, rows_of(table))
    first, _ = read(file, table, tmp_path / "first")
    again, _ = read(file, table, tmp_path / "again")

    assert first.equals(again)
    assert len(rows_of(table)) == first.height


@pytest.mark.parametrize(("source", "table"), TABLES, ids=ids)
def test_the_order_of_rows_and_columns_is_irrelevant(tmp_path, source, table):
    """A publisher who sorts anew delivers the same facts."""
    names = list(table.column_names)
    straight, _ = read(deliver(tmp_path / named(table), table, rows_of(table)), table, tmp_path / "straight")
    order = list(names)
    random.Random(1).shuffle(order)
    turned = [{name: row[name] for name in order} for row in reversed(rows_of(table))]
    shuffled, _ = read(deliver(tmp_path / named(table), table, turned), table, tmp_path / "shuffled")

    assert sorted(straight.select(names).rows(), key=repr) == sorted(shuffled.select(names).rows(), key=repr)


@pytest.mark.parametrize(("source", "table"), [(s, t) for s, t in TABLES if not isinstance(t.format, Parquet)], ids=ids)
def test_a_bad_row_is_quarantined_with_a_reason_and_the_rest_lands(tmp_path, source, table):
    """One torn line must cost one line."""
    file = deliver(tmp_path / named(table), table, rows_of(table), torn_at=1)
    rows, converted = read(file, table, tmp_path / "out")
    lines = file.read_text().splitlines()

    assert len(rows_of(table)) == rows.height
    (refused,) = converted.refused.to_pylist()
    assert "torn" in refused["raw_text"]
    assert lines[refused["source_row"] - 1] == refused["raw_text"]
    assert refused["reason"] in {f"2 fields where {len(table.columns)} are expected", "not valid JSON"}


@pytest.mark.parametrize(("source", "table"), TABLES, ids=ids)
def test_a_missing_required_value_refuses_the_row(tmp_path, source, table):
    """A row without its key cannot be told from another."""
    for column in (column for column in table.columns if column.required):
        good = rows_of(table)[0]
        file = deliver(tmp_path / named(table), table, [good, {**good, column.name: ""}])
        _, converted = read(file, table, tmp_path / column.name)

        assert [f"{column.name} is missing"] == converted.refused["reason"].to_pylist()


@pytest.mark.parametrize(("source", "table"), TABLES, ids=ids)
def test_its_rows_told_as_messages_are_the_same_rows(tmp_path, source, table):
    """Batch = stream begins here: what is replayed obeys the published schema, names whose it is, and lands as it was."""
    straight, _ = read(deliver(tmp_path / named(table), table, rows_of(table)), table, tmp_path / "out")
    told = written(straight, table)
    for each in told:
        jsonschema.validate(json.loads(each), json_schema(source, table))
    told_as = as_messages(table)
    found = reading.read_chunk(Messages([each.encode() for each in told], told_as), told_as, None, "America/New_York")

    assert 0 == found.refused.height
    assert straight.select(table.column_names).rows() == found.frame.select(table.column_names).rows()
    whose = [
        next((row[name] for name in key_columns(table) if row[name] is not None), "") for row in straight.to_dicts()
    ]
    if "labels" not in key_columns(table):
        assert list(map(str, whose)) == keys(straight, table).to_list()


@pytest.mark.parametrize("source", SOURCES, ids=ids)
def test_what_it_ships_is_recognised_and_whole(tmp_path, source):
    """A shipped table with a refused row would be our own fault in everybody's lake."""
    for number, file in enumerate(source.shipped):
        found = recognition.recognise(file, source.tables)
        _, converted = read(file, found.table, tmp_path / str(number))

        assert [] == converted.refused.to_pylist()


@pytest.mark.parametrize("packing", ["plain", "tar"])
@pytest.mark.parametrize(("source", "table"), [(s, t) for s, t in TABLES if t.look_alikes], ids=ids)
def test_a_look_alike_is_told_with_its_reason_and_never_read(tmp_path, pai, source, table, packing):
    """Other facts under the same keys would take the place of the table's own."""
    for start, why in table.look_alikes:
        file = deliver(tmp_path / named(table, f"{start}other"), table, rows_of(table))
        if packing == "tar":
            file = pai.tar(tmp_path / "anything.tar.gz", [("README", b"read me\n"), (file.name, file.read_bytes())])

        assert Unrecognised(file, why) == recognition.recognise(file, source.tables)


@pytest.fixture(scope="module")
def known_to_dbt():
    """The bronze tables that any of the project's files declares."""
    return {
        table["name"]
        for file in (warehouse.project() / "models").rglob("*.yml")
        if "sources:" in (text := file.read_text(encoding="utf-8"))
        for declared in yaml.safe_load(text).get("sources", [])
        if declared["name"] == "bronze"
        for table in declared["tables"]
    }


@pytest.mark.parametrize("source", SOURCES, ids=ids)
def test_dbt_knows_its_bronze_tables(source, known_to_dbt):
    """What dbt does not know is neither tested nor documented."""
    assert {table.bronze for table in source.tables} <= known_to_dbt


def test_no_two_tables_claim_one_file(tmp_path):
    """The rows of one table must not be read as another's."""
    tables = [table for _, table in TABLES]
    for table in tables:
        stem = table.stems[0] if table.only_by_name else "anything"
        file = deliver(tmp_path / named(table, stem), table, rows_of(table))

        found = recognition.recognise(file, tables).table
        # What a source takes apart by itself is written as JSON lines here, which is no format of its own.
        assert table.name == found.name if isinstance(table.format, Parsed) else table is found


@pytest.mark.parametrize("table", [table for _, table in TABLES if table.only_by_name], ids=ids)
def test_a_table_known_by_its_name_claims_no_other_file(tmp_path, table):
    """Its header is another table's too, and without a header its columns may stand in any order."""
    for header in (True, False):
        file = deliver(tmp_path / named(table, "anything"), table, rows_of(table), header=header)
        found = recognition.recognise(file, [table])

        assert isinstance(found, Unrecognised)
        assert found.reason
    with pytest.raises(ContractError, match="it has no header row"):
        recognition.recognise(deliver(tmp_path / named(table), table, rows_of(table), header=False), [table])
