"""Reading deliveries: every line is kept or refused, once, with its number, whatever the chunks and the layout."""

from __future__ import annotations

import csv
import gzip
import math
import re
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpulake.contract import Column, Span, Table
from gpulake.errors import LakeError, SourceError
from gpulake.landing import delimited, recognition
from gpulake.landing import lines as lines_module
from gpulake.landing import rows as reading
from gpulake.landing.recognition import Recognised, Unrecognised
from gpulake.sources import pai2020

SMALL = Table(
    name="small",
    bronze="bronze_small",
    key=("name",),
    stems=("small",),
    span=Span("start", "end", null_at_or_below=0.0),
    columns=(
        Column("name", "text", required=True, pattern="[a-z]+"),
        Column("start", "number"),
        Column("end", "number"),
        Column("note", "text"),
    ),
)
EMPTY = {"", "NaN", "nan", "NULL", "null", "None", "NA", "N/A", "\\N", "-"}
DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def convert(file, folder, *, table=SMALL, tables=None):
    """Recognise and convert one file: the kept rows as tuples, and the refusals."""
    found = recognition.recognise(file, tables or [table])
    assert isinstance(found, Recognised), found
    converted = reading.convert(found, landing_id="f" * 64, folder=folder, time_zone="UTC")
    kept = [row for part in converted.files for row in pl.read_parquet(part).iter_rows(named=True)]
    assert len(kept) == converted.rows_kept
    return kept, converted.refused.to_pylist(), converted


def both_ways(text, table):
    """One chunk at full speed and looked at closely, both typed."""
    fields = delimited.Fields(dict(enumerate(table.columns)), len(table.columns), ",")
    (chunk,) = delimited.chunks(BytesIO(text.encode()), fields, header=False)
    assert chunk.quick() is not None
    return [reading._typed(frame, table, "UTC", says_why=True) for frame in (chunk.quick(), chunk.closely())]


def values(row, table=SMALL):
    return tuple(row[name] for name in table.column_names)


def fields_of(text):
    """By RFC 4180, or None."""
    try:
        return next(csv.reader([text], strict=True))
    except csv.Error:
        return None


def rows_of(lines):
    """Numbered raw rows: a line, or several where a quoted field goes on until a whole row of four fields ends."""
    rows, number = {}, 1
    while number <= len(lines):
        last = number
        text = lines[number - 1].decode("utf-8", "replace").rstrip("\r")
        if fields_of(text) is None and len(fields_of(text + '"') or [0] * 5) <= 4:
            for end in range(number + 1, len(lines) + 1):
                if lines[end - 1].count(b'"') % 2:
                    whole = b"\n".join(lines[number - 1 : end]).decode("utf-8", "replace").rstrip("\r")
                    last = end if len(fields_of(whole) or []) == 4 else number
                    break
        rows[number] = b"\n".join(lines[number - 1 : last])
        number = last + 1
    return rows


def judge(line):
    """A slow, obvious reading of one raw row of SMALL: its values, or None where it must be refused."""
    try:
        fields = fields_of(line.decode("utf-8").rstrip("\r"))
    except UnicodeDecodeError:
        return None
    if fields is None or len(fields) != 4:
        return None
    read = []
    for field, column in zip(fields, SMALL.columns, strict=True):
        empty = {""} if column.kind == "text" else EMPTY
        if (field if column.kind == "text" else field.strip()) in empty:
            read.append(None)
        elif column.kind == "text":
            read.append(field)
        elif not DECIMAL.fullmatch(field.strip()) or math.isinf(float(field)):
            return None
        else:
            read.append(float(field))
    name, start, end, _ = read
    times = [time for time in (start, end) if time is not None]
    if name is None or any(time > 1e10 for time in times):
        return None
    if len(times) == 2 and start > 0 and end > 0 and end < start:
        return None
    return tuple(read)


# ------------------------------------------------------------------------------------------------- laws

numbers = st.one_of(
    st.integers(-5, 200).map(str),
    # What lies years from the other times of its file has a rule, and tests, of its own.
    st.floats(allow_nan=False, allow_infinity=False).filter(lambda time: not 1e8 < time <= 1e10).map(repr),
    st.sampled_from(
        [
            "",
            " ",
            "\t",
            " 7",
            "7 ",
            "1e400",
            "nan",
            " NULL ",
            "\\N",
            "-",
            "inf",
            "-inf",
            "0x10",
            "1_0",
            "many",
            "4550879.0",
            "+1",
            ".5",
            "5.",
        ]
    ),
)
words = st.sampled_from(["a", "bc", "", " ", "ü", "a b", "#", "null", "NA", "\\N"])
clean_lines = st.tuples(
    st.sampled_from(["a", "bc"]), st.integers(1, 99).map(str), st.integers(100, 999).map(str), words
).map(",".join)
any_lines = st.one_of(
    clean_lines,
    st.tuples(words, numbers, numbers, words).map(",".join),
    st.lists(words, min_size=1, max_size=7).map(",".join),
    st.sampled_from(["", "  ", '"a",1,2,x', 'a,1,2,"x,y"', 'a,1,2,"x', 'a,1,2,x"', 'a,1,2,"say ""hi"""', "a,1,2,x\r"]),
    st.sampled_from(['a,1,2,"two', 'lines"', '"b', 'b",1,2,x', '"a"",1', 'a,1,2,5"', 'a,1,2,"cr\r', '"']),
).map(str.encode)
broken_lines = st.sampled_from([b"a,1,2,\xff", b"\xc3,1,2,x", b"a,1,\xe2\x82,x", b"a,1,2,\xef\xbf\xbd"])
endings = st.sampled_from([b"\n", b""])


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.lists(st.one_of(any_lines, any_lines, broken_lines), max_size=25),
    chunk_bytes=st.sampled_from([1, 7, 30, 1 << 20]),
    ending=endings,
    header=st.sampled_from(
        [b"", b"name,start,end,note\n", b"\xef\xbb\xbfname,start,end,note\r\n", b"\n \nname,start,end,note\n"]
    ),
)
def test_every_line_is_kept_or_refused_once_with_its_number(tmp_path, monkeypatch, body, chunk_bytes, ending, header):
    """A row that is lost, doubled, misread or misnumbered is a wrong figure that nobody can trace back."""
    content = header + b"\n".join([b"good,1,2,first", *body]) + ending
    file = tmp_path / "small.csv"
    file.write_bytes(content)
    monkeypatch.setattr(lines_module, "CHUNK_BYTES", chunk_bytes)
    kept, refused, converted = convert(file, tmp_path / "out")

    lines = {
        number: row for number, row in rows_of(content.split(b"\n")).items() if row.decode("utf-8", "replace").strip()
    }
    if header:
        del lines[min(lines)]
    expected = {number: judge(line) for number, line in lines.items()}
    assert len(lines) == converted.rows_in
    assert {number: read for number, read in expected.items() if read is not None} == {
        row["source_row"]: values(row) for row in kept
    }
    assert sorted(number for number, read in expected.items() if read is None) == [row["source_row"] for row in refused]
    for row in refused:
        assert row["reason"]
        assert lines[row["source_row"]].decode("utf-8", "replace").rstrip("\r") == row["raw_text"]


def test_lines_of_one_row_are_told_from_a_stray_quote():
    """The oracle itself, by hand: a field of two lines is a row; a quote that nobody closed costs its own line only."""
    whole = {1: b'a,1,2,"two\n\nlines"', 4: b"b,1,2,x"}

    assert whole == rows_of([b'a,1,2,"two', b"", b'lines"', b"b,1,2,x"])
    assert {1: b'a,1,2,"x', 2: b'b,1,2,"y"', 3: b'c,1,"z'} == rows_of([b'a,1,2,"x', b'b,1,2,"y"', b'c,1,"z'])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.lists(clean_lines, min_size=1, max_size=20))
def test_the_fast_path_and_the_careful_path_agree(tmp_path, body):
    """Which path a chunk takes must never be visible: else equal rows differ because of a neighbour's fault."""
    fast, careful = both_ways("".join(f"{line}\n" for line in body), SMALL)

    names = [*SMALL.column_names, "source_row"]
    assert careful.select(names).rows() == fast.select(names).rows()
    assert body == careful["raw_text"].to_list()


@pytest.mark.parametrize(
    "field",
    ["1", "1.0", "-1", "+1", ".5", "5.", "1e3", "1E+3", "1e-400", "1.7976931348623157e308", "4.9e-324", "00012",
     "0.1", "0.30000000000000004", "123456789.123456789", "1234567890123456789", "4550879.0"],
)  # fmt: skip
def test_numbers_keep_every_digit_on_either_path(tmp_path, field):
    """Bronze is as delivered: the nearest double of the text, as Python reads it, and no other."""
    table = Table(name="t", bronze="b", key=(), columns=(Column("a", "number"), Column("b", "text")))
    fast, careful = both_ways(f"{field},x\n", table)

    assert [float(field)] == fast["a"].to_list() == careful["a"].to_list()


def test_chunk_borders_do_not_show(tmp_path, monkeypatch):
    """A file of one chunk and of many are the same rows, across clean and faulty chunks."""
    lines = [f"a,{n},{n + 100},x" if n % 7 else f"a,{n},no,x" for n in range(1, 60)]
    file = tmp_path / "small.csv"
    file.write_text("\n".join(lines) + "\n")
    whole = convert(file, tmp_path / "whole")
    monkeypatch.setattr(lines_module, "CHUNK_BYTES", 40)
    parts = convert(file, tmp_path / "parts")

    assert (whole[0], whole[1]) == (parts[0], parts[1])
    assert len(whole[2].files) == 1 < len(parts[2].files)
    assert (1.0, 159.0) == (parts[2].min_event_s, parts[2].max_event_s)


# ---------------------------------------------------------------------------------------------- layouts

BODY = ["ab,10,20,x", "cd,30,40,"]
READ = [("ab", 10.0, 20.0, "x"), ("cd", 30.0, 40.0, None)]


@pytest.mark.parametrize(
    ("content", "layout", "rows"),
    [
        ("ab,10,20,x\ncd,30,40,\n", "headerless", [1, 2]),
        ("ab,10,20,x\ncd,30,40,", "headerless", [1, 2]),
        ("ab,10,20,x\r\ncd,30,40,\r\n", "headerless", [1, 2]),
        ("\ufeffab,10,20,x\ncd,30,40,\n", "headerless", [1, 2]),
        ("ab,10,20,x\n\n   \ncd,30,40,\n\n", "headerless", [1, 4]),
        ("name,start,end,note\nab,10,20,x\ncd,30,40,\n", "header", [2, 3]),
        ("\ufeffName, Start ,END,note\r\nab,10,20,x\r\ncd,30,40,\r\n", "header", [2, 3]),
        ('"name","start","end","note"\nab,10,20,x\ncd,30,40,\n', "header", [2, 3]),
        ("\n\nname,start,end,note\nab,10,20,x\ncd,30,40,\n", "header", [4, 5]),
        ("end,note,name,start\n20,x,ab,10\n40,,cd,30\n", "header", [2, 3]),
        ("0,ab,10,20,x\n1,cd,30,40,\n", "index", [1, 2]),
        (",name,start,end,note\n0,ab,10,20,x\n1,cd,30,40,\n", "header+index", [2, 3]),
        ("Unnamed: 0,name,start,end,note\n0,ab,10,20,x\n1,cd,30,40,\n", "header+index", [2, 3]),
        ("name,start,end,note,index\nab,10,20,x,0\ncd,30,40,,1\n", "header+index", [2, 3]),
        ('ab,10,20,"x"\n"cd",30,40,""\n', "headerless", [1, 2]),
    ],
)  # fmt: skip
def test_every_layout_gives_the_same_rows(tmp_path, content, layout, rows):
    """A copy with a header, an index, another order or other line ends is the same table, and no header is a row."""
    file = tmp_path / "copy.csv"
    file.write_bytes(content.encode())
    kept, refused, _ = convert(file, tmp_path / "out")

    assert READ == [values(row) for row in kept]
    assert rows == [row["source_row"] for row in kept]
    assert [] == refused
    assert layout == recognition.recognise(file, [SMALL]).layout.name


def test_a_header_of_a_table_of_texts_is_no_row(tmp_path, pai):
    """The group tags are all text, so a header taken for a row would land as a job named "inst_id"."""
    header = "inst_id,user,gpu_type_spec,group,workload"
    for start in ("", "\n", " \r\n\n"):
        file = tmp_path / "pai_group_tag_table.csv"
        file.write_text(start + header + "\n" + pai.group_tag(1) + "\n")
        kept, refused, _ = convert(file, tmp_path / "out", tables=pai2020.SOURCE.tables)

        assert [pai.name60(1)] == [row["inst_id"] for row in kept]
        assert [] == refused


def test_a_header_alone_is_no_row(tmp_path):
    """A delivery of nothing must not become a delivery of its header."""
    for end in ("", "\n"):
        file = tmp_path / "small.csv"
        file.write_text("name,start,end,note" + end)
        kept, refused, _ = convert(file, tmp_path / "out")

        assert ([], []) == (kept, refused)


def test_lineage_columns_come_last_and_name_the_landing(tmp_path):
    """Every bronze row can be traced to its delivery and line."""
    file = tmp_path / "small.csv"
    file.write_text("ab,1,2,x\n")
    kept, _, converted = convert(file, tmp_path / "out")

    assert [*SMALL.column_names, "landing_id", "source_row"] == list(kept[0])
    assert "f" * 64 == kept[0]["landing_id"]
    schema = pl.read_parquet_schema(converted.files[0])
    assert [pl.String, pl.Float64, pl.Float64, pl.String, pl.String, pl.Int64] == list(schema.values())


# ------------------------------------------------------------------------------------------- bad rows


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("ab,10,20", "3 fields where 4 are expected"),
        ("ab,10,20,x,y", "5 fields where 4 are expected"),
        ('ab,10,20,"x', "1 fields where 4 are expected"),
        ("ab,ten,20,x", "start is not a number: 'ten'"),
        ("ab,1_0,20,x", "start is not a number: '1_0'"),
        ("ab,10,inf,x", "end is not a finite number"),
        ("ab,10,1e400,x", "end is not a finite number"),
        (",10,20,x", "name is missing"),
        ("ab,20,10,x", "end is before start"),
        ("ab,10,1594000000000,x", "end is later than the year 2100: seconds are expected"),
        ("ab,1594000000000,1594000003600,x", "start is later than the year 2100: seconds are expected"),
        ("ab,10,4294967295,x", "end is later than the year 2100: seconds are expected"),
        ("ab,10,2147483648,x", "end is more than ten years from start"),
        ("ab,2147483648,2147483649,x", "start is more than ten years from the other times of the file"),
        ("ab,,1e9,x", "end is more than ten years from the other times of the file"),
    ],
)  # fmt: skip
def test_a_bad_row_is_refused_whole_with_its_reason(tmp_path, line, reason):
    """Whoever repairs the source needs the line, its number and what is wrong with it; its neighbours land."""
    file = tmp_path / "small.csv"
    file.write_text(f"ab,1,2,first\n{line}\ncd,3,4,last\n")
    kept, refused, _ = convert(file, tmp_path / "out")

    assert [("ab", 1.0, 2.0, "first"), ("cd", 3.0, 4.0, "last")] == [values(row) for row in kept]
    assert [{"source_row": 2, "reason": reason, "raw_text": line}] == refused


AMOUNTS = replace(SMALL, columns=(*SMALL.columns, Column("gpus", "number"), Column("seen", "number")))
AGES = replace(AMOUNTS, span=Span("start", "end", between=("seen",)))


@pytest.mark.parametrize("amount", ["inf", "-inf", "1e400", "-5", "1e300", "18446744073709551616", "9" * 400])
def test_an_amount_that_cannot_be_refuses_nothing(tmp_path, amount):
    """Who delivers one wild reading must not lose the times, names and other readings of its row."""
    file = tmp_path / "small.csv"
    file.write_text(f"ab,1,2,first,{amount},3\n")
    kept, refused, _ = convert(file, tmp_path / "out", table=AMOUNTS)

    assert [float(amount)] == [row["gpus"] for row in kept]
    assert [] == refused


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("ab,10,20,x,1,-1", "seen is before 1970"),
        ("ab,10,20,x,1,inf", "seen is not a finite number"),
        ("ab,10,20,x,1,1e300", "seen is later than the year 2100: seconds are expected"),
        ("ab,10,20,x,1,1e9", "seen is more than ten years from start"),
    ],
)
def test_a_time_between_is_a_time(tmp_path, line, reason):
    """A start far out makes one job wait for decades, and the mean of all waits with it."""
    file = tmp_path / "small.csv"
    file.write_text(f"ab,1,2,first,1,1\n{line}\n")
    kept, refused, _ = convert(file, tmp_path / "out", table=AGES)

    assert ["first"] == [row["note"] for row in kept]
    assert [(2, reason)] == [(row["source_row"], row["reason"]) for row in refused]


def test_the_body_of_a_deliverys_times_is_where_most_are(tmp_path, monkeypatch):
    """Whichever rows come first, in one chunk or many: what is far out is what the others are far from. A history of
    fifteen years lands whole.
    """
    monkeypatch.setattr(lines_module, "CHUNK_BYTES", 40)
    year = 31_557_600
    history = [f"ab,{n * year},{n * year + 10},h" for n in range(30, 46, 5)]
    strange = [f"ab,{1000 + n},{1010 + n},s" for n in range(1, 4)]
    for number, lines in enumerate([strange + history, history + strange]):
        file = tmp_path / "small.csv"
        file.write_text("\n".join(lines) + "\n")
        kept, refused, whole = convert(file, tmp_path / f"out{number}")

        assert ["h"] * 4 == [row["note"] for row in kept]
        assert 3 == len(refused)
        assert (30.0 * year, 45.0 * year + 10) == (whole.min_event_s, whole.max_event_s)
        assert 4 == sum(
            pl.scan_parquet(path).select(pl.len()).collect().item() for path in (tmp_path / f"out{number}").iterdir()
        )


def test_two_wrong_widths_that_add_up_are_both_refused(tmp_path):
    """A lost comma in one line and a spare one in the next must not shift values from row to row."""
    file = tmp_path / "small.csv"
    file.write_text("ab,1,2,first\nab,10,20\ncd,30,40,x,y\nef,5,6,last\n")
    kept, refused, _ = convert(file, tmp_path / "out")

    assert [1, 4] == [row["source_row"] for row in kept]
    assert [2, 3] == [row["source_row"] for row in refused]


def test_bytes_that_are_no_utf8_are_refused_but_a_replacement_sign_is_text(tmp_path):
    """A line of another encoding must not land with its letters replaced, and a real U+FFFD is a character."""
    file = tmp_path / "small.csv"
    file.write_bytes(b"ab,1,2,first\nab,1,2,caf\xe9\n" + "ab,1,2,\ufffd\n".encode())
    kept, refused, _ = convert(file, tmp_path / "out")

    assert [("ab", 1.0, 2.0, "first"), ("ab", 1.0, 2.0, "\ufffd")] == [values(row) for row in kept]
    assert [(2, "not valid UTF-8")] == [(row["source_row"], row["reason"]) for row in refused]


@pytest.mark.parametrize("times", ["0,50", "50,0", "-3,50", "50,-3", "0,0", ",50", "50,", ","])
def test_an_unknown_time_refuses_nothing(tmp_path, times):
    """PAI writes 0 or nothing for "not known": no such row is before its start, and bronze keeps what was written."""
    file = tmp_path / "small.csv"
    file.write_text(f"ab,{times},x\n")
    kept, refused, converted = convert(file, tmp_path / "out")

    assert [] == refused
    assert [float(time) if time else None for time in times.split(",")] == [kept[0]["start"], kept[0]["end"]]
    expected = 50.0 if "50" in times else None
    assert (expected, expected) == (converted.min_event_s, converted.max_event_s)


def test_a_refused_row_does_not_stretch_the_event_times(tmp_path):
    """One row in milliseconds would open a calendar of 50,000 years."""
    file = tmp_path / "small.csv"
    file.write_text("ab,100,200,x\nab,100,1594000000000,x\n")
    _, refused, converted = convert(file, tmp_path / "out")

    assert 1 == len(refused)
    assert (100.0, 200.0) == (converted.min_event_s, converted.max_event_s)


# ------------------------------------------------------------------------------------------- packings


@pytest.fixture
def plain_text(pai):
    return ("\n".join(pai.spec(number) for number in range(300)) + "\n").encode()


def packed(kind, folder, content, pai):
    match kind:
        case "csv":
            (folder / "a.csv").write_bytes(content)
            return folder / "a.csv"
        case "csv.gz":
            return pai.gz(folder / "a.csv.gz", content)
        case "two gzip members":
            half = len(content) // 2
            (folder / "a2.csv.gz").write_bytes(gzip.compress(content[:half]) + gzip.compress(content[half:]))
            return folder / "a2.csv.gz"
        case "tar.gz":
            return pai.tar(folder / "a.tar.gz", [("pai/a.csv", content)])
        case "tar.gz with AppleDouble":
            return pai.tar(
                folder / "b.tar.gz", [("._a.csv", b"\0\5\x16\7" * 40), ("a.csv", content), ("._b", b"\0" * 9)]
            )
    raise AssertionError(kind)


KINDS = ["csv", "csv.gz", "two gzip members", "tar.gz", "tar.gz with AppleDouble"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_packing_has_one_digest_and_one_set_of_rows(tmp_path, pai, plain_text, kind):
    """The .csv and the .tar.gz of a table are one delivery: it must not land twice, nor differently."""
    import hashlib

    file = packed(kind, tmp_path, plain_text, pai)
    told = []
    digest = recognition.digest(recognition.recognise(file, pai2020.SOURCE.tables), progress=told.append)
    kept, refused, _ = convert(file, tmp_path / "out", tables=pai2020.SOURCE.tables)

    assert (hashlib.sha256(plain_text).hexdigest(), len(plain_text)) == (digest.sha256, digest.size)
    assert len(plain_text) == sum(told)
    assert list(range(1, 301)) == [row["source_row"] for row in kept]
    assert [pai.name24(number) for number in range(300)] == [row["machine"] for row in kept]
    assert [] == refused


def test_an_archive_of_two_tables_is_refused(tmp_path, pai, plain_text):
    """Landing the first only would lose the second without a word."""
    file = pai.tar(tmp_path / "two.tar.gz", [("a.csv", plain_text), ("b.csv", plain_text)])

    with pytest.raises(SourceError, match="more than one table"):
        recognition.digest(recognition.recognise(file, pai2020.SOURCE.tables))
    with pytest.raises(SourceError, match="more than one table"):
        convert(file, tmp_path / "out", tables=pai2020.SOURCE.tables)


README = "# The trace\n\nSee pai_machine_spec, its columns: machine, gpu_type, ...\n" * 40


@pytest.mark.parametrize("order", [0, 1, 2])
def test_a_licence_beside_the_table_is_no_second_table(tmp_path, pai, plain_text, order):
    """Publishers pack their terms along; the table must land all the same, wherever it stands in the archive."""
    members = [("LICENSE", b"CC-BY 4.0\n"), ("pai/README.md", README.encode()), ("pai_machine_spec.md", b"a,b\n1,2\n")]
    members.insert(order, ("pai/a.csv", plain_text))
    file = pai.tar(tmp_path / "pai_machine_spec.tar.gz", members)
    found = recognition.recognise(file, pai2020.SOURCE.tables)
    kept, refused, _ = convert(file, tmp_path / "out", tables=pai2020.SOURCE.tables)

    assert ("pai_machine_spec", order) == (found.table.name, found.member)
    digest = recognition.digest(found)
    assert (len(plain_text), ("LICENSE", "pai/README.md", "pai_machine_spec.md")) == (digest.size, digest.beside)
    assert (300, []) == (len(kept), refused)


def test_a_look_alike_beside_its_table_is_left_alone(tmp_path, pai):
    """A publisher packs the table and its variants together; only the table lands."""
    table = replace(SMALL, look_alikes=(("small_", "drawn from small"),))
    text = b"name,start,end,note\na,1,2,x\n"
    file = pai.tar(tmp_path / "all.tar.gz", [("small_half.csv", text), ("small.csv", text), ("small_twice.csv", text)])
    found = recognition.recognise(file, [table])

    assert 1 == found.member
    assert ("small_half.csv", "small_twice.csv") == recognition.digest(found).beside


def test_an_archive_named_as_a_table_is_read_as_it_and_not_its_read_me(tmp_path, pai):
    """Foreign lines are refused with their reasons, and the reason must be about the table."""
    members = [("README", README.encode()), ("x.csv", b"what,is,this\n" * 3)]
    found = recognition.recognise(pai.tar(tmp_path / "pai_machine_spec.tar.gz", members), pai2020.SOURCE.tables)

    assert ("pai_machine_spec", 1) == (found.table.name, found.member)


def test_a_huge_archive_of_other_things_is_not_read_at_each_look(tmp_path, pai, plain_text, monkeypatch):
    """A backup that lies in the folder must not cost minutes each night."""
    monkeypatch.setattr(recognition, "_SEARCHED_BYTES", 100_000)
    file = pai.tar(tmp_path / "backup.tar.gz", [("film", b"\0" * 200_000), ("a.csv", plain_text)])

    assert isinstance(recognition.recognise(file, pai2020.SOURCE.tables), Unrecognised)


def test_an_archive_whose_files_moved_since_it_was_recognised_is_refused(tmp_path, pai, plain_text):
    """Another file must not land under the name of the one that was looked at."""
    file = pai.tar(tmp_path / "spec.tar.gz", [("LICENSE", b"x"), ("a.csv", plain_text)])
    found = recognition.recognise(file, pai2020.SOURCE.tables)
    pai.tar(file, [("LICENSE", b"x")])

    with pytest.raises(SourceError, match="changed while it was read"):
        recognition.digest(found)


def test_an_archive_without_a_table_is_no_table(tmp_path, pai):
    """An archive of nothing but attributes of a Mac holds no delivery."""
    file = pai.tar(tmp_path / "none.tar.gz", [("._a.csv", b"\0\5\x16\7")])

    assert "the archive holds no table." == recognition.recognise(file, pai2020.SOURCE.tables).reason


def damaged(kind, good):
    match kind:
        case "cut off":
            return good[: len(good) // 2]
        case "cut off in its trailer":
            return good[:-5]
        case "another checksum":
            return good[:-8] + bytes([good[-8] ^ 1]) + good[-7:]
        case "flipped in the middle":
            middle = len(good) // 2
            return good[:middle] + bytes([good[middle] ^ 0xFF]) + good[middle + 1 :]
        case "garbage behind":
            return good + b"garbage"
    raise AssertionError(kind)


@pytest.mark.parametrize("packing", ["csv.gz", "tar.gz"])
@pytest.mark.parametrize(
    "kind", ["cut off", "cut off in its trailer", "another checksum", "flipped in the middle", "garbage behind"]
)
def test_a_damaged_archive_is_a_source_error_with_its_file(tmp_path, pai, plain_text, packing, kind):
    """Half a download must be told as one, never landed as a short table, and never end in a traceback."""
    file = packed(packing, tmp_path, plain_text, pai)
    found = recognition.recognise(file, pai2020.SOURCE.tables)
    file.write_bytes(damaged(kind, file.read_bytes()))

    with pytest.raises(SourceError, match="cannot be read to its end") as told:
        recognition.digest(found)
    assert str(file) == told.value.where
    assert "fetch the file again" in told.value.do


def test_a_full_disk_is_not_taken_for_a_damaged_delivery(tmp_path):
    """Told to fetch the file again, somebody with a full disk would fetch for ever."""
    file = tmp_path / "small.csv"
    file.write_text("ab,1,2,x\n")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / f"ducklake-{'f' * 24}-00000.parquet").symlink_to("/dev/full")

    with pytest.raises(LakeError, match="cannot be written"):
        convert(file, tmp_path / "out")


@pytest.mark.parametrize(("taken", "options"), [(1, [-3, -1]), (0, [-3])])
def test_malloc_is_left_alone_where_it_takes_no_such_threshold(tmp_path, monkeypatch, taken, options):
    """The second setting alone would fix an older glibc's threshold of mapping at its lowest: slower than neither."""
    asked = []
    glibc = SimpleNamespace(mallopt=lambda option, _value: asked.append(option) or taken)
    monkeypatch.setattr(reading, "ctypes", SimpleNamespace(CDLL=lambda _name: glibc))
    file = tmp_path / "small.csv"
    file.write_text("ab,1,2,x\n")
    convert(file, tmp_path / "out")

    assert options == asked


# ---------------------------------------------------------------------------------------- recognition


@pytest.mark.parametrize("table", pai2020.SOURCE.tables, ids=lambda table: table.name)
@pytest.mark.parametrize("name", ["as published", "renamed", "named as another"])
def test_a_table_is_known_by_its_lines_whatever_its_name(tmp_path, pai, table, name):
    """A renamed file, or a misleading name, must not land in another table."""
    line = {
        "pai_job_table": pai.job(1), "pai_task_table": pai.task(1), "pai_instance_table": pai.instance(1),
        "pai_sensor_table": pai.sensor(1), "pai_group_tag_table": pai.group_tag(1, wish="V100", workload="bert"),
        "pai_machine_spec": pai.spec(1), "pai_machine_metric": pai.metric(1),
    }[table.name]  # fmt: skip
    other = "pai_job_table" if table.name != "pai_job_table" else "pai_machine_metric"
    stem = {"as published": table.name, "renamed": "part-0001", "named as another": other}[name]
    file = pai.write(tmp_path / f"{stem}.csv", [line] * 3)

    assert table.name == recognition.recognise(file, pai2020.SOURCE.tables).table.name


@pytest.mark.parametrize("table", pai2020.SOURCE.tables, ids=lambda table: table.name)
def test_a_table_is_known_by_its_header_alone(tmp_path, table):
    """A third party's copy with a header row is known, also where it holds no row yet."""
    file = tmp_path / "export.csv"
    file.write_text(",".join(table.column_names) + "\n")

    assert table.name == recognition.recognise(file, pai2020.SOURCE.tables).table.name


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("list.csv", b"shopping,list\n1,2\n", "neither its header row nor its lines"),
        ("empty.csv", b"", "the file is empty"),
        ("blank.csv", b"\n\n  \n", "the file is empty"),
        ("mac.csv", b"a,b\rc,d\r", "neither its header row nor its lines"),
        ("zeros.csv", b"\0" * 500, "neither its header row nor its lines"),
        ("long.csv", b"a" * 70_000, "no line ends within its first"),
        ("half.csv.gz", gzip.compress(b"a,b\n" * 9, mtime=0)[:-9], "cannot be read to its end"),
        ("lacks.csv", b"machine,gpu_type,cap_cpu,cap_mem\n", "it lacks cap_gpu"),
        ("twice.csv", b"machine,gpu_type,cap_cpu,cap_mem,cap_gpu,CAP_GPU\n", "it has cap_gpu twice"),
        ("joined.csv", b"machine_gpu,machine_cpu,gpu_type,cap_gpu,duration_sec\n1,2,T4,2,3\n", "it lacks"),
    ],
)  # fmt: skip
def test_what_is_no_table_is_left_alone_with_a_reason(tmp_path, name, content, reason):
    """A file that is none of ours is listed and never half-read."""
    file = tmp_path / name
    file.write_bytes(content)
    found = recognition.recognise(file, pai2020.SOURCE.tables)

    assert isinstance(found, Unrecognised)
    assert reason in found.reason


@pytest.mark.parametrize(
    "content", [b"", b"\n", gzip.compress(b"", mtime=0), gzip.compress(b"a,b\n" * 9, mtime=0)[:-9]]
)
def test_a_named_table_that_cannot_be_read_is_an_error(tmp_path, content):
    """The user meant to deliver it: leaving it alone would hide a failed download."""
    file = tmp_path / "pai_job_table.csv"
    file.write_bytes(content)

    with pytest.raises(SourceError) as told:
        recognition.recognise(file, pai2020.SOURCE.tables)
    assert str(file) == told.value.where


def test_a_named_table_of_foreign_lines_is_read_as_that_table(tmp_path):
    """Its lines are then refused one by one with reasons, which says more than "not a table"."""
    file = tmp_path / "pai_machine_spec.csv"
    file.write_text("what,is,this\n" * 3)
    kept, refused, _ = convert(file, tmp_path / "out", tables=pai2020.SOURCE.tables)

    assert [] == kept
    assert ["3 fields where 5 are expected"] * 3 == [row["reason"] for row in refused]


def test_a_few_bad_lines_do_not_hide_a_table(tmp_path, pai):
    """Up to a fifth of the first lines may be faulty in a file whose name says nothing."""
    file = pai.write(tmp_path / "x.csv", [*[pai.spec(n) for n in range(8)], "bad", "worse"])

    assert "pai_machine_spec" == recognition.recognise(file, pai2020.SOURCE.tables).table.name


def _sampled(name, *, lasts_s=0.0):
    columns = (Column("who", "text", required=True), Column("at", "number"), Column("value", "number"))
    span = Span("at", "at", lasts_s=lasts_s)
    return Table(
        name=name, bronze=name, key=("who", "at"), stems=(name,), columns=columns, span=span, only_by_name=True
    )


def test_tables_of_one_header_are_told_by_name_and_read_by_header(tmp_path, pai):
    """Long-format measures differ in nothing else: read as the first that fits, memory would be a duty cycle."""
    tables = [_sampled("duty"), _sampled("memory")]
    pai.write(tmp_path / "memory.csv", ["value,who,at", "7,a,3"])
    kept, _, _ = convert(tmp_path / "memory.csv", tmp_path / "out", tables=tables)
    content = (tmp_path / "memory.csv").read_bytes()
    packed = pai.tar(tmp_path / "memory.tar.gz", [("export.csv", content)])
    (tmp_path / "latency.csv").write_bytes(content)
    other = recognition.recognise(tmp_path / "latency.csv", tables)

    assert [("a", 3.0, 7.0)] == [values(row, tables[1]) for row in kept]
    assert {"memory"} == {recognition.recognise(file, tables).table.name for file in (tmp_path / "memory.csv", packed)}
    assert "its header is that of duty, memory, which are known by their file names" == other.reason


def test_a_sample_lasts_beyond_its_time(tmp_path, pai):
    """The last sample before midnight speaks for seconds of the next day: that day is in the window too."""
    table = _sampled("duty", lasts_s=57.0)
    pai.write(tmp_path / "duty.csv", ["value,who,at", "7,a,100", "7,a,86390", ",b,200"])
    _, refused, converted = convert(tmp_path / "duty.csv", tmp_path / "out", table=table)

    assert [] == refused
    assert (100.0, 86_447.0) == (converted.min_event_s, converted.max_event_s)


EXPECTED_OF_REAL = {
    "pai_machine_spec.csv": "pai_machine_spec",
    "pai_instance_table.tail_sample.csv": "pai_instance_table",
    "pai_machine_metric_join_spec.first_half_sample.csv": None,
    "pai_task_table_requests_sample.csv": None,
    "pai_reference_counts.csv": None,
    "pai_reference_quantiles.csv": None,
    "downloads.csv": None,
    "mini_batch_time/job_1_norm.csv": None,
    "mini_batch_time/job_4_norm.csv": None,
    "mini_batch_time/coefficient_variation.csv": None,
}


@pytest.mark.parametrize(("name", "table"), EXPECTED_OF_REAL.items())
def test_real_files_are_told_apart(real_trace, name, table):
    """The third party's samples lack machines and times: half-read, they would be wrong figures."""
    found = recognition.recognise(real_trace / name, pai2020.SOURCE.tables)

    assert table == (found.table.name if isinstance(found, Recognised) else None)
    if table is None:
        assert found.reason


def test_no_real_file_is_left_out_of_that_list(real_trace):
    """A new piece of the trace must be judged by a person once."""
    there = {str(path.relative_to(real_trace)) for path in real_trace.rglob("*.csv")}

    assert set(EXPECTED_OF_REAL) == there


def test_opening_a_missing_file_is_a_source_error(tmp_path):
    """A dangling link is an unreadable delivery, not a crash."""
    (tmp_path / "pai_job_table.csv").symlink_to(tmp_path / "gone")

    with pytest.raises(SourceError, match="No such file"):
        recognition.recognise(tmp_path / "pai_job_table.csv", pai2020.SOURCE.tables)
    assert isinstance(recognition.recognise(_dangling(tmp_path), pai2020.SOURCE.tables), Unrecognised)


def _dangling(folder: Path) -> Path:
    link = folder / "other.csv"
    link.symlink_to(folder / "gone")
    return link


def test_no_text_holds_a_nul(tmp_path):
    """DuckLake's own SQL ends at one: a single name with it, and no version could be published."""
    frame = pl.DataFrame({"name": ["a\0b", "c", None], "place": ["\0", "", "d"], "amount": [0.0, 1.0, 2.0]})
    reading.write(frame, tmp_path / "rows.parquet")

    found = pl.read_parquet(tmp_path / "rows.parquet").rows()
    assert [("a\ufffdb", "\ufffd", 0.0), ("c", "", 1.0), (None, "d", 2.0)] == found
    assert reading._without_nul(frame[1:]).equals(frame[1:])
    assert reading._without_nul(frame.select("amount")).equals(frame.select("amount"))
