"""Contracts: what a table of a source is."""

from __future__ import annotations

import dataclasses

import pytest

from gpulake.contract import LINEAGE_COLUMNS, Column, Source, Table
from gpulake.tables import META_TABLES, bronze_tables


def table(name, bronze, *columns):
    return Table(name=name, bronze=bronze, key=(), columns=columns)


def test_a_number_is_kept_as_a_double_a_time_as_a_timestamp_and_a_text_as_text():
    """Bronze is as delivered: no digit is lost to a narrower type."""
    kinds = ("text", "number", "time")
    assert ["varchar", "double", "timestamp"] == [Column("a", kind).sql_type for kind in kinds]


def test_columns_keep_the_sources_order():
    """A headerless file has nothing but the order."""
    assert ("b", "a") == table("t", "b", Column("b", "text"), Column("a", "number")).column_names


def test_a_source_finds_its_tables_by_name():
    """An unknown name is a mistake of ours, and says so."""
    source = Source(name="s", title="S", licence="none", tables=(table("t", "b"),))

    assert "t" == source.table("t").name
    with pytest.raises(KeyError, match="other"):
        source.table("other")


def test_contracts_are_values():
    """A plugin cannot be changed by who uses it."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        Column("a", "text").name = "b"


def test_tables_that_share_a_bronze_table_are_united():
    """Two formats of one thing land side by side; columns a delivery lacks are null."""
    one = table("one", "bronze_x", Column("a", "text"), Column("b", "number"))
    two = table("two", "bronze_x", Column("b", "number"), Column("c", "text"))
    (united,) = bronze_tables([Source(name="s", title="S", licence="none", tables=(one, two))])

    assert (("a", "varchar"), ("b", "double"), ("c", "varchar"), *LINEAGE_COLUMNS) == united.columns
    assert "lake.main.bronze_x" == united.qualified


def test_no_two_declared_tables_share_a_name():
    """One writer per table begins with one declaration per table."""
    from gpulake.sources import all_sources

    names = [declared.qualified for declared in (*META_TABLES, *bronze_tables(all_sources()))]
    assert len(set(names)) == len(names)
