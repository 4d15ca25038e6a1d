"""What every source obeys, found by listing the folder: a new source is tested by being there."""

from __future__ import annotations

import random
from zoneinfo import ZoneInfo

import polars as pl
import pytest
import yaml

from gpulake import warehouse
from gpulake.contract import Column, Table
from gpulake.landing import recognition
from gpulake.landing import rows as reading
from gpulake.landing.recognition import Recognised, Unrecognised
from gpulake.sources import all_sources

SOURCES = all_sources()
TABLES = [(source, table) for source in SOURCES for table in source.tables]

# Texts that a pattern may ask for; a source with another pattern adds one here.
SAMPLES = ("ab", "0123456789ab", "0123456789abcdef01234567", "0123456789abcdef" * 3 + "0123456789ab", "T4")


def ids(value):
    return getattr(value, "name", None)


def value_of(column: Column, row: int) -> str:
    import re

    if column.kind == "number":
        return f"{1000 + row}.5" if "time" not in column.name else f"{1000 + row}.0"
    if not column.pattern:
        return f"text {row}"
    return next(sample for sample in SAMPLES if re.fullmatch(column.pattern, sample))


def lines_of(table: Table, count: int = 6) -> list[str]:
    lines = [",".join(value_of(column, row) for column in table.columns) for row in range(count)]
    optional = [not column.required for column in table.columns]
    bare = [",".join("" if free else value_of(c, 9) for c, free in zip(table.columns, optional, strict=True))]
    return lines + bare


def read(file, table, folder):
    found = recognition.recognise(file, [table])
    assert isinstance(found, Recognised), found
    converted = reading.convert(found, landing_id="0" * 64, folder=folder)
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
    assert {"landing_id", "source_row"}.isdisjoint(names)
    assert names == tuple(name.lower() for name in names)
    if table.span:
        kinds = {column.name: column.kind for column in table.columns}
        assert ["number", "number"] == [kinds[table.span.start], kinds[table.span.end]]
    assert source.table(table.name) is table


@pytest.mark.parametrize(("source", "table"), TABLES, ids=ids)
def test_the_same_bytes_give_the_same_rows(tmp_path, source, table):
    """A landing repeated elsewhere must be the same landing."""
    file = tmp_path / f"{table.stems[0]}.csv"
    file.write_text(",".join(table.column_names) + "\n" + "\n".join(lines_of(table)) + "\n")
    first, _ = read(file, table, tmp_path / "first")
    again, _ = read(file, table, tmp_path / "again")

    assert first.equals(again)
    assert len(lines_of(table)) == first.height


@pytest.mark.parametrize(("source", "table"), TABLES, ids=ids)
def test_the_order_of_rows_and_columns_is_irrelevant(tmp_path, source, table):
    """A publisher who sorts anew delivers the same facts."""
    lines = lines_of(table)
    names = list(table.column_names)
    file = tmp_path / f"{table.stems[0]}.csv"
    file.write_text(",".join(names) + "\n" + "\n".join(lines) + "\n")
    straight, _ = read(file, table, tmp_path / "straight")
    order = list(range(len(names)))
    random.Random(1).shuffle(order)
    turned = [[names[i] for i in order], *([line.split(",")[i] for i in order] for line in reversed(lines))]
    file.write_text("\n".join(",".join(fields) for fields in turned) + "\n")
    shuffled, _ = read(file, table, tmp_path / "shuffled")

    assert sorted(straight.select(names).rows(), key=repr) == sorted(shuffled.select(names).rows(), key=repr)


@pytest.mark.parametrize(("source", "table"), TABLES, ids=ids)
def test_a_bad_row_is_quarantined_with_a_reason_and_the_rest_lands(tmp_path, source, table):
    """One torn line must cost one line."""
    lines = lines_of(table)
    file = tmp_path / f"{table.stems[0]}.csv"
    file.write_text(",".join(table.column_names) + "\n" + lines[0] + "\n" + "torn,line\n" + "\n".join(lines[1:]) + "\n")
    rows, converted = read(file, table, tmp_path / "out")

    assert len(lines) == rows.height
    (refused,) = converted.refused.to_pylist()
    assert (3, "torn,line") == (refused["source_row"], refused["raw_text"])
    assert refused["reason"] == f"2 fields where {len(table.columns)} are expected"


@pytest.mark.parametrize(("source", "table"), TABLES, ids=ids)
def test_a_missing_required_value_refuses_the_row(tmp_path, source, table):
    """A row without its key cannot be told from another."""
    for column in (column for column in table.columns if column.required):
        good = lines_of(table)[0]
        fields = good.split(",")
        fields[table.column_names.index(column.name)] = ""
        file = tmp_path / f"{table.stems[0]}.csv"
        file.write_text(",".join(table.column_names) + "\n" + good + "\n" + ",".join(fields) + "\n")
        _, converted = read(file, table, tmp_path / column.name)

        assert [f"{column.name} is missing"] == converted.refused["reason"].to_pylist()


@pytest.mark.parametrize("source", SOURCES, ids=ids)
def test_what_it_ships_is_recognised_and_whole(tmp_path, source):
    """A shipped table with a refused row would be our own fault in everybody's lake."""
    for number, file in enumerate(source.shipped):
        found = recognition.recognise(file, source.tables)
        _, converted = read(file, found.table, tmp_path / str(number))

        assert [] == converted.refused.to_pylist()


@pytest.mark.parametrize("packing", ["csv", "tar"])
@pytest.mark.parametrize(("source", "table"), [(s, t) for s, t in TABLES if t.look_alikes], ids=ids)
def test_a_look_alike_is_told_with_its_reason_and_never_read(tmp_path, pai, source, table, packing):
    """Other facts under the same keys would take the place of the table's own."""
    text = ",".join(table.column_names) + "\n" + "\n".join(lines_of(table)) + "\n"
    for start, why in table.look_alikes:
        file = tmp_path / f"{start}other.csv"
        if packing == "csv":
            file.write_text(text)
        else:
            file = pai.tar(tmp_path / "anything.tar.gz", [("README", b"read me\n"), (file.name, text.encode())])

        assert Unrecognised(file, why) == recognition.recognise(file, source.tables)


@pytest.mark.parametrize("source", SOURCES, ids=ids)
def test_dbt_knows_its_bronze_tables(source):
    """What dbt does not know is neither tested nor documented."""
    known = {
        table["name"]
        for file in (warehouse.project() / "models").rglob("*.yml")
        for declared in yaml.safe_load(file.read_text(encoding="utf-8")).get("sources", [])
        if declared["name"] == "bronze"
        for table in declared["tables"]
    }

    assert {table.bronze for table in source.tables} <= known


def test_no_two_tables_claim_one_file(tmp_path):
    """The header of one table must not be read as another's."""
    tables = [table for _, table in TABLES]
    for table in tables:
        file = tmp_path / (f"{table.stems[0]}.csv" if table.only_by_name else "anything.csv")
        file.write_text(",".join(table.column_names) + "\n")

        assert table is recognition.recognise(file, tables).table


@pytest.mark.parametrize("table", [table for _, table in TABLES if table.only_by_name], ids=ids)
def test_a_table_known_by_its_name_claims_no_other_file(tmp_path, table):
    """Its header is another table's too, and without a header its columns may stand in any order."""
    for name, text in [
        ("anything.csv", ",".join(table.column_names) + "\n" + lines_of(table)[0] + "\n"),
        ("anything.csv", "\n".join(lines_of(table)) + "\n"),
        (f"{table.stems[0]}.csv", "\n".join(lines_of(table)) + "\n"),
    ]:
        file = tmp_path / name
        file.write_text(text)
        found = recognition.recognise(file, [table])

        assert isinstance(found, Unrecognised)
        assert found.reason
