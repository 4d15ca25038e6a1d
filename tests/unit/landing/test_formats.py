"""The formats that a contract may name: each gives the same rows, refusals and times, whatever the file looks like."""

from __future__ import annotations

import gzip
import json
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from math import inf
from zoneinfo import ZoneInfo

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpulake.contract import Column, Delimited, JsonLines, Parquet, Span, Table
from gpulake.errors import ContractError, SourceError
from gpulake.landing import lines, parquet, recognition, rows
from gpulake.landing.recognition import Recognised, Unrecognised
from gpulake.landing.times import moment

BERLIN = "Europe/Berlin"
TABS = Delimited("\t", suffixes=(".tsv", ".txt"))


def jobs(form, *, when="iso8601", name="job"):
    """Who ran from when to when, on how many GPUs."""
    return Table(
        name=name,
        bronze=f"bronze_{name}",
        key=("job",),
        stems=(name,),
        format=form,
        span=Span("start", "end"),
        columns=(
            Column("job", "text", required=True, pattern="[a-z]+"),
            Column("start", "time", form=when),
            Column("end", "time", form=when),
            Column("gpus", "number"),
        ),
    )


def read(file, folder, *tables, time_zone=BERLIN):
    """The kept rows with their numbers, the refusals, and what is known of the whole."""
    found = recognition.recognise(file, tables)
    assert isinstance(found, Recognised), found
    converted = rows.convert(found, landing_id="f" * 64, folder=folder, time_zone=time_zone)
    frames = [pl.read_parquet(part) for part in converted.files]
    kept = pl.concat(frames).select("source_row", *found.table.column_names).rows() if frames else []
    refused = [tuple(row.values()) for row in converted.refused.to_pylist()]
    return kept, refused, converted


def at(text):
    return datetime.fromisoformat(text)


# ------------------------------------------------------------------------------------------------- tabs


def test_gzipped_tabs_with_local_times(tmp_path):
    """Times of Berlin land as UTC by summer and winter; what its clocks show twice or never is unknown, and counted."""
    lines_ = [
        "job\tstart\tend\tgpus",
        "a\t2026-07-01T02:00:00\t2026-07-01 04:30\t1",  # summer: two hours ahead of UTC
        "b\t2026-12-01T02:00:00\t2026-12-01T02:00:00.250\t2.5",  # winter: one hour
        "c\t2026-10-25T02:30:00\t2026-10-25T03:30:00\t1",  # shown twice that night
        "d\t2026-03-29T02:30:00\t2026-03-29T03:30:00\t",  # skipped that night
        "e\t2026-10-25T02:30:00+02:00\t2026-10-25T02:30:00+01\t1",  # the two of them, told apart
        "f\t2026-10-25T00:30:00Z\t\t1",
        "g\tsoon\t2026-10-25T03:30:00\t1",
        "h\t2026-02-30T00:00:00\t2026-10-25T03:30:00\t1",
        "i\t2026-07-01T02:00:00\t2026-07-01T01:00:00\t1",
        '"j"\t2026-07-02\t"2026-07-03"\t1',
        "\t\t\t",
        "k\t2026-07-01T02:00:00",
    ]
    file = tmp_path / "deliv.tsv.gz"
    file.write_bytes(gzip.compress("\n".join(lines_).encode()))
    kept, refused, whole = read(file, tmp_path / "out", jobs(TABS))

    assert [
        (2, "a", at("2026-07-01T00:00"), at("2026-07-01T02:30"), 1.0),
        (3, "b", at("2026-12-01T01:00"), at("2026-12-01T01:00:00.250"), 2.5),
        (4, "c", None, at("2026-10-25T02:30"), 1.0),
        (5, "d", None, at("2026-03-29T01:30"), None),
        (6, "e", at("2026-10-25T00:30"), at("2026-10-25T01:30"), 1.0),
        (7, "f", at("2026-10-25T00:30"), None, 1.0),
        (11, "j", at("2026-07-01T22:00"), at("2026-07-02T22:00"), 1.0),
    ] == kept
    assert [
        (8, "start is not a time (iso8601): 'soon'", lines_[7]),
        (9, "start is not a time (iso8601): '2026-02-30T00:00:00'", lines_[8]),
        (10, "end is before start", lines_[9]),
        (12, "job is missing", lines_[11]),
        (13, "2 fields where 4 are expected", lines_[12]),
    ] == refused
    assert (2, 12) == (whole.times_unknown, whole.rows_in)
    # From 03:30 of a March night in Berlin to 01:00:00.25 of a December one.
    assert (1774747800.0, 1796086800.25) == (whole.min_event_s, whole.max_event_s)


@pytest.mark.parametrize("faulty", ["", "z\tnever\t\t1\n"])
def test_times_do_not_depend_on_a_neighbours_fault(tmp_path, faulty):
    """A chunk that is looked at closely gives the rows that it gives at full speed."""
    file = tmp_path / "job.tsv"
    file.write_text(faulty + "a\t2026-07-01T02:00:00\t2026-10-25T02:30:00\t1e3\n")
    kept, refused, whole = read(file, tmp_path / "out", jobs(TABS))

    assert [("a", at("2026-07-01T00:00"), None, 1000.0)] == [row[1:] for row in kept]
    assert (1, bool(faulty)) == (whole.times_unknown, bool(refused))


@pytest.mark.parametrize("delimiter", ["|", ";", "\t", ","])
def test_any_delimiter_and_its_quotes(tmp_path, delimiter):
    """A delimiter inside quotes is text, and another format's delimiter is nothing."""
    table = jobs(Delimited(delimiter, suffixes=(".psv",)))
    fields = [[f'"a,b|c;d{delimiter}e"', "", "", "1"], ["plain", "", "", "2"]]
    file = tmp_path / "job.psv"
    file.write_text("\n".join(map(delimiter.join, fields)))
    kept, refused, _ = read(file, tmp_path / "out", table)

    assert [(1, f"a,b|c;d{delimiter}e", None, None, 1.0), (2, "plain", None, None, 2.0)] == kept
    assert [] == refused


@pytest.mark.parametrize("rows_", [["\t", "a\t1"], ["a\t1", "\t"]])
def test_a_line_of_tabs_is_a_row_of_nulls(tmp_path, rows_):
    """Tabs are blanks to Python: such a line must count as a row on either way, or rows in are not rows out."""
    table = Table(
        name="t", bronze="b", key=(), stems=("t",), format=TABS, columns=(Column("a", "text"), Column("b", "number"))
    )
    for number, ending in enumerate(["\n", '\n"x"\t2\n']):  # at full speed, and closely
        file = tmp_path / f"{number}" / "t.tsv"
        file.parent.mkdir()
        file.write_text("\n".join(rows_) + ending)
        kept, refused, _ = read(file, tmp_path / f"out {number}", table)

        assert [(n, *(("a", 1.0) if row != "\t" else (None, None))) for n, row in enumerate(rows_, 1)] == kept[:2]
        assert [] == refused


# ------------------------------------------------------------------------------------------- JSON lines


def test_json_lines_with_a_broken_line(tmp_path):
    """One line that was cut off costs one line, and it is kept as it came; an absent key is null."""
    lines_ = [
        '{"job": "a", "start": "2026-07-01T00:00:00Z", "end": null, "gpus": 0.30000000000000004}',
        '{"job": "b", "start": "2026-07',
        '{"gpus": "8", "JOB": "c"}',
        "",
        '["d", 1]',
        '{"job": "e", "gpus": "many"}',
        '{"job": "f", "gpus": true}',
        '{"job": "g", "rack": 7}',
        '{"start": "2026-07-01T00:00:00Z"}',
        '{"job": "h\\ud800", "gpus": 1}',
        '{"job": "ü", "end": "2026-07-02T00:00:00+02:00", "gpus": NaN}',
        '{"job": "k", "end": "2026-07-02T00:00:00+02:00", "gpus": 1e400}',
        '{"job": "é", "start": "", "gpus": -1.5E2}',
        '{"job": {"id": 1.50, "of": ["x"]}, "gpus": 12345678901234567890}',
    ]
    file = tmp_path / "today.jsonl"
    file.write_bytes("\n".join(lines_).encode() + b'\n{"job": "caf\xe9"}')
    table = jobs(JsonLines(), name="today")
    kept, refused, whole = read(file, tmp_path / "out", table)

    assert [
        (1, "a", at("2026-07-01T00:00"), None, 0.30000000000000004),
        (3, "c", None, None, 8.0),
        (11, "ü", None, at("2026-07-01T22:00"), None),
        (12, "k", None, at("2026-07-01T22:00"), inf),
        (13, "é", None, None, -150.0),
        (14, '{"id": 1.5, "of": ["x"]}', None, None, 12345678901234567890.0),
    ] == kept
    assert [
        (2, "not valid JSON", lines_[1]),
        (5, "not a JSON object", lines_[4]),
        (6, "gpus is not a number: 'many'", lines_[5]),
        (7, "gpus is not a number: 'true'", lines_[6]),
        (8, "it has a key of no column: 'rack'", lines_[7]),
        (9, "job is missing", lines_[8]),
        (10, "a text holds half a character", lines_[9]),
        (15, "not valid UTF-8", '{"job": "caf\ufffd"}'),
    ] == refused
    assert 14 == whole.rows_in


def test_json_texts_keep_their_digits(tmp_path):
    """An id that is written as a number is a name: a double would round it."""
    table = Table(
        name="t", bronze="b", key=(), stems=("t",), format=JsonLines(), columns=(Column("a", "text", required=True),)
    )
    file = tmp_path / "t.ndjson"
    file.write_text('{"a": 12345678901234567890}\n{"a": 1.10}\n{"a": false}\n')
    kept, _, _ = read(file, tmp_path / "out", table)

    assert ["12345678901234567890", "1.10", "false"] == [row[1] for row in kept]


# --------------------------------------------------------------------------------------------- Parquet


def parquet_file(file, columns, **options):
    pq.write_table(pa.table(columns), file, **options)
    return file


def test_parquet_with_nulls(tmp_path):
    """Null stays null in every type, a refused row is kept as JSON with its number, and no line is invented."""
    file = parquet_file(
        tmp_path / "job.parquet",
        {
            "gpus": pa.array([1, None, 3, 4], pa.int32()),
            "job": pa.array(["a", "b", None, "d"]),
            "end": pa.array([None, at("2026-07-02T12:00"), None, at("2026-06-01T00:00")], pa.timestamp("ms")),
            "start": pa.array([at("2026-07-01T12:00")] * 4, pa.timestamp("ns", "Asia/Tokyo")),
        },
    )
    kept, refused, whole = read(file, tmp_path / "out", jobs(Parquet()))

    assert [
        (1, "a", at("2026-07-01T12:00"), None, 1.0),
        (2, "b", at("2026-07-01T12:00"), at("2026-07-02T10:00"), None),
    ] == kept
    told = {"gpus": 3, "job": None, "end": None, "start": "2026-07-01 21:00:00+09:00"}
    assert [(3, "job is missing"), (4, "end is before start")] == [row[:2] for row in refused]
    assert told == json.loads(refused[0][2])
    assert 4 == whole.rows_in
    assert (at("2026-07-01T12:00"), at("2026-07-02T10:00")) == tuple(
        at("1970-01-01") + timedelta(seconds=seconds) for seconds in (whole.min_event_s, whole.max_event_s)
    )


def test_parquet_times_that_no_calendar_has_are_refused_alone(tmp_path):
    """Garbage where a time belongs would end a refresh; and a refused row is kept with all its digits."""
    fine = pa.array([1782907200_000000001] * 3).cast(pa.timestamp("ns", "Asia/Tokyo"))
    file = parquet_file(
        tmp_path / "job.parquet",
        {
            "job": pa.array(["a", "b", "c"]),
            "start": fine,
            "end": pa.array([2**63 - 1, None, None], pa.timestamp("us")),
            "gpus": pa.array([1.0] * 3),
            "day": pa.array([-(2**31), 0, 2**31 - 1], pa.int32()).cast(pa.date32()),
        },
    )
    kept, refused, _ = read(file, tmp_path / "out", jobs(Parquet()))

    assert [2, 3] == [row[0] for row in kept]
    ((number, why, text),) = refused
    assert (1, "a time that no calendar has") == (number, why)
    told = json.loads(text)
    assert (str(2**63 - 1), str(-(2**31))) == (told["end"], told["day"])
    assert "000000001" in told["start"]


@pytest.mark.parametrize("kind", [pa.time64("us"), pa.duration("s"), pa.binary(2), pa.decimal256(60, 0)], ids=str)
def test_a_parquet_column_of_no_plain_value_is_refused_in_words(tmp_path, kind):
    table = Table(name="t", bronze="b", key=(), stems=("t",), format=Parquet(), columns=(Column("a", "text"),))
    file = parquet_file(tmp_path / "t.parquet", {"a": pa.nulls(1, kind)})
    with pytest.raises(SourceError, match="text, numbers or times are expected"):
        read(file, tmp_path / "out", table)


def test_further_parquet_columns_may_share_a_name(tmp_path):
    """A join that kept both sides' columns would end a refresh by an error of a library."""
    table = Table(name="t", bronze="b", key=(), stems=("t",), format=Parquet(), columns=(Column("a", "text"),))
    columns = pa.Table.from_arrays([pa.array([value]) for value in ("x", "y", "z")], names=["b", "a", "b"])
    pq.write_table(columns, tmp_path / "t.parquet")
    kept, refused, _ = read(tmp_path / "t.parquet", tmp_path / "out", table)

    assert ([(1, "y")], []) == (kept, refused)


def mislabelled(*values):
    """Bytes that a file calls text, as some writers do: nobody looks at them while they are written."""
    return pa.Array.from_buffers(pa.string(), len(values), pa.array(values, pa.binary()).buffers())


def test_parquet_text_that_is_no_text_is_refused_alone(tmp_path):
    """Landed as it is, no reader could read its table any more; and the row after it is a row."""
    file = parquet_file(
        tmp_path / "job.parquet",
        {
            "note": mislabelled(b"", b"\xff", b"", b""),
            "nested": pa.ListArray.from_arrays([0, 1, 2, 3, 4], mislabelled(b"\xff", b"", b"", b"")),
            "job": mislabelled(b"caf\xe9", "café".encode(), None, "\ufffd".encode()),
            "start": pa.array([at("2026-07-01T12:00")] * 4, pa.timestamp("us")),
            "end": pa.array([at("2026-07-01T13:00")] * 4, pa.timestamp("us")),
            "gpus": pa.array([1.0] * 4),
        },
    )
    kept, refused, whole = read(file, tmp_path / "out", jobs(Parquet()))

    assert [(2, "café"), (4, "\ufffd")] == [row[:2] for row in kept]
    assert [(1, "not valid UTF-8"), (3, "job is missing")] == [row[:2] for row in refused]
    assert "caf\ufffd" == json.loads(refused[0][2])["job"]
    assert 4 == whole.rows_in


@pytest.mark.parametrize(
    ("given", "kind", "form", "expected"),
    [
        (pa.array(["7"]), "number", "", 7.0),
        (pa.array([Decimal("7.25")]), "number", "", 7.25),
        (pa.array([""]), "text", "", None),
        (pa.array(["x"]).dictionary_encode(), "text", "", "x"),
        (pa.array([7], pa.int64()), "text", "", "7"),
        (pa.array([date(2026, 7, 1)]), "time", "iso8601", at("2026-06-30T22:00")),
        (pa.array([at("2026-07-01T00:00")], pa.timestamp("us", "+05:30")), "time", "iso8601", at("2026-07-01T00:00")),
        (pa.array(["2026-07-01T00:00"]), "time", "iso8601", at("2026-06-30T22:00")),
        (pa.array([1782864000], pa.int64()), "time", "epoch_s", at("2026-07-01")),
        (pa.array([1782864000], pa.int64()), "time", "iso8601_or_epoch", at("2026-07-01")),
        (pa.array(["2026-07-01T00:00"]), "time", "iso8601_or_epoch", at("2026-06-30T22:00")),
        (pa.array([1782864000123.0]), "time", "epoch_ms", at("2026-07-01T00:00:00.123")),
        (pa.array([20260701], pa.int64()), "time", "%Y%m%d", at("2026-06-30T22:00")),
    ],
)
def test_the_contract_decides_what_a_parquet_column_is(tmp_path, given, kind, form, expected):
    """Writers choose their types freely: an id as a number, a time as text, a count as a decimal."""
    column = Column("a", kind, form=form) if form else Column("a", kind)
    table = Table(name="t", bronze="b", key=(), stems=("t",), format=Parquet(), columns=(column,))
    kept, refused, _ = read(parquet_file(tmp_path / "t.parquet", {"a": given}), tmp_path / "out", table)

    assert ([(1, expected)], []) == (kept, refused)


@pytest.mark.parametrize("form", [JsonLines(), Parquet()])
def test_chunk_borders_do_not_show(tmp_path, monkeypatch, form):
    """A large file is read in pieces: rows, numbers and refusals must not depend on where they are cut."""
    made = [{"job": f"{chr(97 + n % 26)}", "gpus": n if n % 7 else None} for n in range(1, 60)]
    made[30]["job"] = None
    file = tmp_path / f"job{form.suffixes[0]}"
    if isinstance(form, Parquet):
        blank = pa.nulls(len(made), pa.timestamp("us"))
        table = {**{key: [row[key] for row in made] for key in made[0]}, "start": blank, "end": blank}
        parquet_file(file, table, row_group_size=25)
    else:
        file.write_text("".join(json.dumps(row) + "\n" for row in made))
    whole = read(file, tmp_path / "whole", jobs(form))
    monkeypatch.setattr(lines, "CHUNK_BYTES", 100)
    monkeypatch.setattr(parquet, "BATCH_ROWS", 4)
    pieces = read(file, tmp_path / "pieces", jobs(form))

    assert whole[:2] == pieces[:2]
    assert [31] == [row[0] for row in whole[1]]
    assert 1 == len(whole[2].files) < 10 < len(pieces[2].files)


# ------------------------------------------------------------------------------------------------ times


@pytest.mark.parametrize(
    ("form", "text", "expected"),
    [
        ("epoch_s", "1782864000", "2026-07-01"),
        ("epoch_s", " 1782864000.5 ", "2026-07-01T00:00:00.500"),
        ("epoch_s", "1", "1970-01-01T00:00:01"),
        ("epoch_s", "1782864000000", None),
        ("epoch_ms", "1782864000123", "2026-07-01T00:00:00.123"),
        ("iso8601", "2026-07-01T00:00:00,5-0230", "2026-07-01T02:30:00.500"),
        ("iso8601", "2026-07-01 00:00z", "2026-07-01"),
        ("iso8601", "1782864000", None),
        ("iso8601", "2026-07-01T24:00:00", None),
        ("iso8601", "2026-07-01T00:00:00 CEST", None),
        ("iso8601_or_epoch", "1782864000", "2026-07-01"),
        ("iso8601_or_epoch", " 1782864000.25 ", "2026-07-01T00:00:00.250"),
        ("iso8601_or_epoch", "2026-07-01T02:00:00", "2026-07-01"),
        ("iso8601_or_epoch", "2026-07-01T00:00:00-02:30", "2026-07-01T02:30"),
        ("iso8601_or_epoch", "1782864000000", None),
        ("iso8601_or_epoch", "1.782864E+09", None),
        ("iso8601_or_epoch", "yesterday", None),
        ("%d/%m/%Y %H:%M:%S", "01/07/2026 02:00:00", "2026-07-01"),
        ("%d/%m/%Y %H:%M:%S", "2026-07-01", None),
        ("%d %b %Y %I:%M %p %z", "01 Jul 2026 12:30 AM -0100", "2026-07-01T01:30"),
    ],
)
def test_the_form_of_a_time_is_its_contracts(tmp_path, form, text, expected):
    """A time that is read another way is off by hours or by a thousand, and looks right."""
    table = jobs(Delimited(";", suffixes=(".txt",)), when=form)
    file = tmp_path / "job.txt"
    file.write_text(f"a;{text};;1\nb;;;1\n")
    kept, refused, _ = read(file, tmp_path / "out", table)

    if expected is None:
        assert [(1, f"start is not a time ({form}): '{text.strip()}'")] == [row[:2] for row in refused]
    else:
        assert [at(expected), None] == [row[2] for row in kept]


def test_a_time_of_another_age_is_refused(tmp_path):
    """9999-12-31 for "never" would open a calendar of eight thousand years."""
    file = tmp_path / "job.jsonl"
    file.write_text('{"job": "a", "end": "9999-12-31T00:00:00Z"}\n')
    _, refused, _ = read(file, tmp_path / "out", jobs(JsonLines()))

    assert ["end is later than the year 2100"] == [row[1] for row in refused]


@settings(max_examples=150, deadline=None)
@given(
    zone=st.sampled_from(["UTC", BERLIN, "America/New_York", "Australia/Lord_Howe", "Asia/Shanghai"]),
    local=st.datetimes(datetime(1980, 1, 1), datetime(2037, 1, 1)),  # noqa: DTZ001
    near=st.sampled_from([None, (3, 29), (10, 25), (3, 8), (11, 1), (4, 5), (10, 4)]),
)
def test_local_times_are_those_of_the_zone_database(zone, local, near):
    """By Python's own reckoning: one instant, or none where the clocks jump."""
    if near:
        local = local.replace(year=2026, month=near[0], day=near[1])
    instants = {
        local.replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(timezone.utc).replace(tzinfo=None)  # noqa: UP017
        for fold in (0, 1)
    }
    expected = instants.pop() if len(instants) == 1 else None
    time = moment(pl.col("t"), dtype=pl.String(), form="iso8601", time_zone=zone)
    found = pl.DataFrame({"t": [local.isoformat()]}).select(utc=time.utc, written=time.written).row(0)

    assert (expected, local) == found


# ------------------------------------------------------------------------------------------ recognition


def test_a_files_suffix_says_which_tables_it_may_be(tmp_path):
    """Two formats of one thing: each file is read by its own, and archives by what is in them."""
    tables = [jobs(TABS, name="tabs"), jobs(JsonLines(), name="json"), jobs(Parquet(), name="parquet")]
    (tmp_path / "x.tsv").write_text("job\tstart\tend\tgpus\na\t\t\t1\n")
    (tmp_path / "x.jsonl").write_text('{"job": "a", "gpus": 1}\n')
    parquet_file(tmp_path / "x.parquet", {name: pa.array(["1"]) for name in ("gpus", "end", "start", "job", "id")})
    found = {
        suffix: recognition.recognise(tmp_path / f"x{suffix}", tables) for suffix in (".tsv", ".jsonl", ".parquet")
    }

    assert {".tsv": "tabs", ".jsonl": "json", ".parquet": "parquet"} == {
        s: each.table.name for s, each in found.items()
    }
    assert ["header", "keys", "columns"] == [each.layout.name for each in found.values()]
    assert (".tsv", ".txt", ".jsonl", ".ndjson", ".json", ".parquet", ".gz", ".bz2", ".xz", ".zst", ".lz4", ".zip", ".tar",
            ".tgz", ".tbz2", ".txz", ".tzst") == recognition.endings(tables)  # fmt: skip


def test_formats_are_told_apart_in_an_archive(tmp_path, pai):
    """An export is packed with its read-me: the table is found by its lines, and Parquet is told to be unpacked."""
    tables = [jobs(TABS, name="tabs"), jobs(JsonLines(), name="json")]
    members = [("README.md", b"# jobs\n"), ("data/part-1.json", b'{"job": "a"}\n{"job": "b"}\n')]
    file = pai.tar(tmp_path / "export.tar.gz", members)
    kept, _, _ = read(file, tmp_path / "out", *tables)
    packed = pai.tar(tmp_path / "p.tgz", [("x.parquet", b"PAR1" + bytes(50))])

    assert ["a", "b"] == [row[1] for row in kept]
    assert "unpack it" in recognition.recognise(packed, [*tables, jobs(Parquet())]).reason


@pytest.mark.parametrize("content", [b"", b"job,start\n1,2\n", b"PAR1 and no more", b"\x1f\x8b\x08\x00cut"])
def test_a_named_parquet_that_is_none_is_an_error(tmp_path, content):
    """A failed download must not be left alone."""
    (tmp_path / "job.parquet").write_bytes(content)
    (tmp_path / "other.parquet").write_bytes(content)

    with pytest.raises(SourceError) as told:
        recognition.recognise(tmp_path / "job.parquet", [jobs(Parquet())])
    assert str(tmp_path / "job.parquet") == told.value.where
    assert isinstance(recognition.recognise(tmp_path / "other.parquet", [jobs(Parquet())]), Unrecognised)


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ({"job": ["a"], "start": [None], "END": [None], "end": [None], "gpus": [1]}, "it has end twice"),
        ({"job": ["a"], "start": [None], "end": [None]}, "its header is not job's: it lacks gpus"),
        ({"job": [["a"]], "start": [None], "end": [None], "gpus": [1]}, "its column job is of type list"),
        ({"job": [b"a"], "start": [None], "end": [None], "gpus": [1]}, "its column job is of type binary"),
    ],
)
def test_a_parquet_with_other_columns_is_told(tmp_path, columns, why):
    """Half-read, it would be a table of nulls."""
    with pytest.raises((SourceError, ContractError), match=why):
        recognition.recognise(parquet_file(tmp_path / "job.parquet", columns), [jobs(Parquet())])


def test_a_parquet_that_breaks_off_is_a_source_error(tmp_path):
    """Damage inside a file shows only while it is read."""
    file = parquet_file(tmp_path / "job.parquet", {n: ["1"] * 5000 for n in ("job", "start", "end", "gpus")})
    found = recognition.recognise(file, [jobs(Parquet())])
    content = bytearray(file.read_bytes())
    content[4:200] = bytes(196)
    file.write_bytes(content)

    with pytest.raises(SourceError, match="cannot be read to its end"):
        rows.convert(found, landing_id="f" * 64, folder=tmp_path / "out", time_zone="UTC")
