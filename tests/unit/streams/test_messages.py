"""Messages are read as rows: quickly and closely alike, and what gpulake writes is read as what it was."""

from __future__ import annotations

import json
from datetime import datetime

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpulake.contract import Column, Source, Span, Table
from gpulake.landing import json_schema
from gpulake.landing.messages import Messages, as_messages, key_columns, keys, written
from gpulake.landing.rows import read_chunk
from gpulake.sources import all_sources

TABLE = Table(
    name="samples",
    bronze="bronze_samples",
    key=("machine_id", "sampled_at"),
    span=Span("sampled_at", "sampled_at"),
    columns=(
        Column("machine_id", "text", required=True),
        Column("sampled_at", "time", required=True, form="%d.%m.%Y %H:%M"),
        Column("power_w", "number", unit="W"),
        Column("note", "text", may_lack=True),
    ),
)
READ = as_messages(TABLE)


def rows(*values):
    return read_chunk(Messages(values, READ), READ, None, "UTC")


def one(**fields):
    return json.dumps({"machine_id": "m1", "sampled_at": "2026-11-30T06:00:00Z", "power_w": 250.5, **fields}).encode()


def test_a_plain_message_is_read_at_full_speed():
    """A million rows a second are not read one by one."""
    chunk = Messages([one(), one(power_w=None)], READ)
    assert chunk.quick() is not None
    found = rows(*chunk.values)
    assert [250.5, None] == found.frame["power_w"].to_list()
    assert [datetime(2026, 11, 30, 6)] * 2 == found.frame["sampled_at"].to_list()  # noqa: DTZ001


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "the message is empty"),
        (b"{", "not valid JSON"),
        (b"\xc3(", "not valid UTF-8"),
        (one(machine_id="?").replace(b"?", b"\xff"), "not valid UTF-8"),
        (b"[]", "not a JSON object"),
        (one(power_w="much"), "power_w is not a number: 'much'"),
        (one(sampled_at="2262-04-11T23:47:16Z"), "sampled_at is later than the year 2100"),
        (one(sampled_at=9214646400000000), "sampled_at is not a time (iso8601_or_epoch): '9214646400000000'"),
        (one(machine_id=None), "machine_id is missing"),
        (b'{"machine_id": "m", "sampled_at": 5, "pover_w": 3}', "it has a key of no column: 'pover_w'"),
        (b'{"machine_id": "%s"}' % (b"x" * (1 << 20)), "the message is longer than 1 MiB"),
    ],
)
def test_poison_is_refused_alone_and_whole(value, reason):
    """One bad message must not take its neighbours with it, nor be lost."""
    found = rows(one(), value, one())
    assert [0, 2] == found.frame["source_row"].to_list()
    ((number, why, text),) = found.refused.rows()
    assert (1, reason) == (number, why)
    assert value.decode("utf-8", "replace") == text


def test_a_further_field_is_left_out():
    """A producer that sends more than the table has is no fault."""
    found = rows(one(note="x", firmware="9"))
    assert (1, frozenset({"firmware"})) == (found.frame.height, found.left)


@pytest.mark.parametrize(
    ("further", "is_quick"),
    [
        ({"firmware": "9"}, True),
        ({"firmware": {"a": [1, None]}}, True),
        ({"firmware": "9", "power_w": None}, False),  # it may be what lacks, misspelt
        ({"Note": "x"}, False),  # a column's own key
        ({"firmware": "9", "Firmware": "8"}, False),
    ],
)
def test_a_further_field_is_read_quickly_where_it_cannot_be_a_columns(further, is_quick):
    """A field that every message of a producer has would else slow down all of them, for good."""
    values = [one(note="x"), one(note="x", **further)]
    quick = Messages(values, READ).quick()
    assert is_quick == (quick is not None)
    found, alone = rows(*values), read_chunk(_Closely(Messages(values[1:], READ)), READ, None, "UTC")
    assert found.frame.select(READ.column_names).rows()[1:] == alone.frame.select(READ.column_names).rows()
    assert found.left == alone.left


@pytest.mark.parametrize(
    "further",
    [b'"x":' + b"[" * 400_000 + b"]" * 400_000, b'"x":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
     b",".join(b'"k%d":1' % number for number in range(60_000))],
)  # fmt: skip
def test_a_further_field_of_any_size_ends_nothing(further):
    """Made a type of a hundred thousand levels, or as many columns, one message would stop a stream for good."""
    odd = one()[:-1] + b"," + further + b"}"
    assert Messages([one(), odd], READ).quick() is None
    assert 0 in rows(one(), odd).frame["source_row"].to_list()


@pytest.mark.parametrize("pair", [(b'{"machine_id":"a"}{"machine_id":"b"}', b""), (one() + b"\n" + one(), b"\n")])
def test_two_objects_in_one_message_are_no_two_rows(pair):
    """Counted as rows they would give every later message a wrong offset."""
    assert Messages([one(), *pair], READ).quick() is None
    assert [0] == rows(one(), *pair).frame["source_row"].to_list()


_VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.sampled_from(["1.5", "nan", "inf", "-"]),
    st.lists(st.integers(), max_size=2),
)  # fmt: skip


def test_a_message_is_keyed_by_the_first_that_its_row_knows():
    """A job that ran on no machine yet would else share its partition with all others of its kind."""
    (plain,) = (source for source in all_sources() if source.name == "plain")
    frame = pl.DataFrame(
        {"machine_id": ["m1", None, None], "job_id": ["a", "b", None]}, schema_overrides={"job_id": pl.String}
    )
    assert ["m1", "b", ""] == keys(frame, plain.table("plain_jobs")).to_list()


@pytest.mark.parametrize(
    ("labels", "machine"),
    [
        ('{"Hostname":"n1","instance":"10.0.0.1:9400"}', "n1"),
        ('{"instance":"n2:9100","job":"node"}', "n2"),
        ('{"instance":"n2","not_node":"n9"}', "n2"),
        ('{"instance":"[fe80::1]:9100"}', "[fe80::1]"),
        ('{"pod":"\\"instance\\":\\"n9\\""}', "file"),
        (None, "file"),
    ],
)
def test_a_sample_is_keyed_by_the_machine_in_its_labels(labels, machine):
    """Prometheus has no column for it: by the metric alone all machines' samples would come in one row."""
    (prometheus,) = (source for source in all_sources() if source.name == "prometheus")
    frame = pl.DataFrame({"labels": [labels], "machine": ["file"]}, schema_overrides={"labels": pl.String})
    assert [machine] == keys(frame, prometheus.tables[0]).to_list()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.dictionaries(st.sampled_from(["machine_id", "sampled_at", "power_w", "note", "else"]), _VALUES), max_size=4
    )
)
def test_reading_quickly_is_reading_closely(objects):
    """How a message is read must not depend on its neighbours in a batch: batches differ from run to run."""
    values = [json.dumps(each).encode() for each in objects]
    together = read_chunk(Messages(values, READ), READ, None, "UTC") if values else None
    alone = [read_chunk(Messages([value], READ), READ, None, "UTC") for value in values]
    closely = [Messages([value], READ) for value in values]
    kept = [each.frame.select(READ.column_names).rows() for each in alone]
    for chunk, expected in zip(closely, kept, strict=True):
        slow = read_chunk(_Closely(chunk), READ, None, "UTC")
        assert expected == slow.frame.select(READ.column_names).rows()
    if together is not None:
        assert [row for each in kept for row in each] == together.frame.select(READ.column_names).rows()
        assert len(values) == together.frame.height + together.refused.height


class _Closely:
    def __init__(self, chunk):
        self.chunk = chunk
        self.size = chunk.size

    def quick(self):
        return None

    def closely(self):
        return self.chunk.closely()


def test_what_is_written_is_read_as_what_it_was():
    """A replayed row must land as the row it was, to the last digit and the last microsecond."""
    moment = datetime(2026, 3, 29, 1, 30, 0, 123457)  # noqa: DTZ001  # a local time that Berlin does not have
    frame = pl.DataFrame(
        {
            "machine_id": ['m\n1"', "ü"],
            "sampled_at": [moment, moment],
            "power_w": [0.1 + 0.2, float("inf")],
            "note": ["007", None],
        }
    )
    values = [text.encode() for text in written(frame, TABLE)]
    found = read_chunk(Messages(values, READ), READ, None, "Europe/Berlin")
    assert frame.rows() == found.frame.select(frame.columns).rows()


def test_the_published_schema_says_what_is_accepted():
    """Producers check against it before they send."""
    import jsonschema

    source = Source(name="site", title="a site", licence="", tables=(TABLE,))
    schema = json_schema(source, TABLE)
    jsonschema.validate(json.loads(one()), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"machine_id": None, "sampled_at": 5}, schema)
    assert ("machine_id",) == key_columns(TABLE)
