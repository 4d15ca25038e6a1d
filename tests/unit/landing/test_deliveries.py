"""Files as people deliver them: packed, renamed, saved by other programs. Each is landed, refused or told, by name."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import tarfile
import zipfile

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gpulake import landing
from gpulake.contract import Column, Delimited, JsonLines, Parquet, Source, Span, Table
from gpulake.errors import ContractError, SourceError
from gpulake.landing import recognition
from gpulake.landing import rows as reading
from gpulake.landing.recognition import Recognised, Unrecognised
from gpulake.sources import all_sources, openb2023

RUN = Table(
    name="run",
    bronze="bronze_run",
    key=("job",),
    stems=("run",),
    span=Span("start", "end", null_at_or_below=0.0),
    columns=(
        Column("job", "text", required=True),
        Column("start", "number"),
        Column("end", "number"),
        Column("user", "text"),
    ),
)
RUNS = Source(name="runs", title="Runs", licence="none: written for this test", tables=(RUN,))
TEXT = "job,start,end,user\na,10,20.5,u\nb,30,,\n"
ROWS = [("a", 10.0, 20.5, "u"), ("b", 30.0, None, None)]


def read(file, folder, *tables):
    """The rows that a file gives, its refusals, and the whole."""
    found = recognition.recognise(file, tables or [RUN])
    assert isinstance(found, Recognised), found
    converted = reading.convert(found, landing_id="f" * 64, folder=folder, time_zone="UTC")
    frames = [pl.read_parquet(part) for part in converted.files]
    kept = pl.concat(frames).select(found.table.column_names).rows() if frames else []
    return kept, [(row["source_row"], row["reason"]) for row in converted.refused.to_pylist()], converted


# ------------------------------------------------------------------------------------------------ packings


def zipped(*members, method=zipfile.ZIP_DEFLATED):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return made.getvalue()


def tarred(*members, mode="w"):
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode=mode) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return made.getvalue()


def by_arrow(kind):
    def packed(content):
        made = pa.BufferOutputStream()
        with pa.CompressedOutputStream(made, kind) as stream:
            stream.write(content)
        return made.getvalue().to_pybytes()

    return packed


INSIDE = ("export/x.csv", TEXT.encode())
zstd, lz4 = by_arrow("zstd"), by_arrow("lz4")
PACKED = {
    "run.CSV": TEXT.encode(),
    "Run.Csv.GZ": gzip.compress(TEXT.encode()),
    "run.gz": gzip.compress(TEXT.encode()),
    "run.csv.bz2": bz2.compress(TEXT.encode()[:20]) + bz2.compress(TEXT.encode()[20:]),
    "RUN.csv.XZ": lzma.compress(TEXT.encode()),
    "run.csv.zst": zstd(TEXT.encode()),
    "two frames.csv.zst": zstd(TEXT.encode()[:20]) + zstd(TEXT.encode()[20:]),
    "run.csv.lz4": lz4(TEXT.encode()),
    "run.zip": zipped(INSIDE),
    "stored.ZIP": zipped(("__MACOSX/export/._x.csv", b"\0\5\x16\7"), ("README", b"read me"), INSIDE, method=0),
    "bzip2.zip": zipped(INSIDE, method=zipfile.ZIP_BZIP2),
    "run.tar": tarred(INSIDE),
    "run.tar.bz2": tarred(INSIDE, mode="w:bz2"),
    "run.TXZ": tarred(INSIDE, mode="w:xz"),
    "run.tar.zst": zstd(tarred(INSIDE)),
    "named as another.csv.gz": bz2.compress(TEXT.encode()),
}


@pytest.mark.parametrize("name", PACKED)
def test_every_packing_is_one_delivery_of_the_same_rows(tmp_path, name):
    """What a file is packed with is not what it says: passed over, its GPU-hours would lack without a word."""
    (tmp_path / "run.csv").write_text(TEXT)
    (tmp_path / name).write_bytes(PACKED[name])
    plain, packed = (recognition.digest(recognition.recognise(tmp_path / file, [RUN])) for file in ("run.csv", name))

    assert (plain.sha256, plain.size) == (packed.sha256, packed.size)
    assert (ROWS, []) == read(tmp_path / name, tmp_path / "out")[:2]
    assert [tmp_path / name] == [each.path for each in landing.survey(tmp_path / name, [RUNS]).delivered]


@pytest.mark.parametrize("name", [name for name in PACKED if name not in {"run.CSV", "run.tar"}])
def test_a_packing_that_is_cut_off_is_refused(tmp_path, name):
    """Half a download lands nowhere, and the reason is not one of its rows."""
    whole = PACKED[name]
    file = tmp_path / f"run.csv{name.lower()[name.index('.') :]}"
    file.write_bytes(whole[: len(whole) * 3 // 4])

    with pytest.raises(SourceError, match="cannot be read to its end"):
        recognition.digest(recognition.recognise(file, [RUN]))


def test_a_flipped_bit_in_a_zip_is_noticed(tmp_path):
    """Its checksum is at the member's end: it must be read to there."""
    content = bytearray(zipped(INSIDE, method=0))
    content[content.index(b"20.5")] ^= 1
    (tmp_path / "run.zip").write_bytes(content)

    with pytest.raises(SourceError, match="cannot be read to its end"):
        recognition.digest(recognition.recognise(tmp_path / "run.zip", [RUN]))


def test_a_zip_of_two_tables_and_a_locked_one_are_refused(tmp_path):
    """The second table would be lost, and nobody can look into the locked one."""
    (tmp_path / "run.zip").write_bytes(zipped(("a.csv", TEXT), ("b.csv", TEXT)))
    locked = bytearray(zipped(INSIDE))
    for start in (locked.index(b"PK\1\2") + 8, locked.index(b"PK\3\4") + 6):
        locked[start] |= 1
    (tmp_path / "locked.zip").write_bytes(locked)

    with pytest.raises(SourceError, match="more than one table"):
        recognition.digest(recognition.recognise(tmp_path / "run.zip", [RUN]))
    assert "locked with a password" in recognition.recognise(tmp_path / "locked.zip", [RUN]).reason


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("run.csv.gz", gzip.compress(gzip.compress(TEXT.encode())), "it holds a compressed file"),
        ("run.zip", zipped(("x.csv.gz", gzip.compress(TEXT.encode()))), "it holds a compressed file"),
        ("run.csv", b"", "the file is empty"),
        ("run.csv", b"\xef\xbb\xbf", "no row|no line|empty"),
        ("run.zip", zipped(), "the archive holds no table"),
        ("run.csv.zst", zstd(b""), "the file is empty"),
        ("run.json", json.dumps([{"job": "a"}]).encode(), "it is one JSON array"),
    ],
    ids=["twice", "packed in a zip", "empty", "a mark alone", "an empty zip", "nothing packed", "array"],
)
def test_a_named_file_that_cannot_be_read_says_why(tmp_path, name, content, why):
    """It was meant to be read: it sets the exit code, and its reason is its own."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises((SourceError, ContractError), match=why):
        read_or_raise(tmp_path / name, tmp_path / "out")


def read_or_raise(file, folder):
    found = recognition.recognise(file, [RUN])
    if isinstance(found, Unrecognised) or not read(file, folder)[0]:
        raise ContractError(f"no row: {found}")


# ---------------------------------------------------------------------------------- as other programs save

FOREIGN = {
    "semicolons": "job;start;end;user\na;10,5;20,5;u\nb;30,5;;\n",
    "semicolons, and no header": "a;10,5;20,5;u\nb;30,5;;\n",
    "semicolons, with a mark": "\ufeffjob;start;end;user\r\na;10;20;u\r\n",
    "tabs": "job\tstart\tend\tuser\na\t10\t20\tu\n",
    "bars": "a|10|20|u\nb|30|40|u\n",
}


@pytest.mark.parametrize("name", ["run.csv", "run.txt", "export.csv"])
@pytest.mark.parametrize("kind", FOREIGN)
def test_another_separator_is_told_by_name(tmp_path, kind, name):
    """A spreadsheet saved it: the message names the separator, not some later step."""
    (tmp_path / name).write_text(FOREIGN[kind])
    if name == "export.csv" and not FOREIGN[kind].lstrip("\ufeff").startswith("job"):
        assert isinstance(recognition.recognise(tmp_path / name, [RUN]), Unrecognised), "nothing announces a table"
        return
    with pytest.raises(
        SourceError, match=f"its fields are parted by {kind.split(',', maxsplit=1)[0]}, where run has commas"
    ):
        recognition.recognise(tmp_path / name, [RUN])


def test_a_renamed_table_of_semicolons_is_known_by_its_values(tmp_path, pai):
    """Without name and header there is the pattern of its ids."""
    pai.write(tmp_path / "export.csv", [pai.metric(n).replace(",", ";").replace(".", ",") for n in range(3)])
    sources = all_sources()

    with pytest.raises(SourceError, match="parted by semicolons, where pai_machine_metric has commas"):
        recognition.recognise(tmp_path / "export.csv", [table for source in sources for table in source.tables])


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("name", ["run.csv", "export.csv"])
def test_another_encoding_is_told_by_name(tmp_path, encoding, name):
    """Windows calls it "Unicode"; line by line it would be nonsense."""
    (tmp_path / name).write_bytes(TEXT.encode(encoding))
    with pytest.raises(SourceError, match=f"it is in {encoding[:6].upper()}, where UTF-8 is expected"):
        recognition.recognise(tmp_path / name, [RUN])


def test_decimal_commas_are_told(tmp_path):
    """Quoted, they fit between commas; read without their comma they would be ten times too large."""
    (tmp_path / "run.csv").write_text('job,start,end,user\na,10,"20,5",u\n')
    with pytest.raises(SourceError, match="its numbers have decimal commas, as '20,5', where points are expected"):
        recognition.recognise(tmp_path / "run.csv", [RUN])
    (tmp_path / "run.csv").write_text('job,start,end,user\na,10,"20,5",u\nb,30.5,40.5,u\n')
    kept, refused, _ = read(tmp_path / "run.csv", tmp_path / "out")

    assert ([("b", 30.5, 40.5, "u")], [(2, "end is not a number: '20,5'")]) == (kept, refused)


# ------------------------------------------------------------------------------------------ further columns


def further(form, file, columns):
    match form:
        case Delimited():
            file.write_text("\n".join([",".join(columns), *map(",".join, zip(*columns.values(), strict=True))]) + "\n")
        case JsonLines():
            rows = (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))
            file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        case Parquet():
            pq.write_table(pa.table({**columns, "nested": [[1]] * 2}), file)


@pytest.mark.parametrize("form", [Delimited(), JsonLines(), Parquet()], ids=lambda form: type(form).__name__)
@pytest.mark.parametrize("stem", ["run", "export"])
def test_further_columns_are_named_and_left(tmp_path, form, stem):
    """Left out with its table, the table's GPU-hours lack; and what is passed over must be said."""
    columns = {"rack": ["r1", "r2"], "end": ["20.5", ""], "Start": ["10", "30"], "job": ["a", "b"], "user": ["u", ""]}
    file = tmp_path / f"{stem}{form.suffixes[0]}"
    further(form, file, columns)
    kept, refused, whole = read(file, tmp_path / "out")

    assert (ROWS, []) == (kept, refused)
    assert {"rack", "nested"} & set(whole.left) == set(whole.left) != set()


def test_a_further_key_of_a_row_that_lacks_one_is_a_fault(tmp_path):
    """It may be the one that lacks, misspelt: the value would be lost without a word."""
    lines = [{"job": "a", "start": 1, "end": 2, "user": "u", "rack": "r"}, {"job": "b", "strat": 1, "end": 2}]
    (tmp_path / "run.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    kept, refused, whole = read(tmp_path / "run.jsonl", tmp_path / "out")

    assert [("a", 1.0, 2.0, "u")] == kept
    assert [(2, "it has a key of no column: 'strat'")] == refused
    assert ("rack",) == whole.left


def test_a_named_table_that_lacks_a_column_is_refused(tmp_path):
    """It would be left out and the exit code 0; a renamed one is a stranger and listed."""
    for name in ("run.csv", "other.csv"):
        (tmp_path / name).write_text("job,start,user\na,1,u\n")

    with pytest.raises(ContractError, match="its header is not run's: it lacks end"):
        recognition.recognise(tmp_path / "run.csv", [RUN])
    assert "it lacks end" in recognition.recognise(tmp_path / "other.csv", [RUN]).reason


def test_the_table_with_the_most_columns_is_meant(tmp_path):
    """A joined export names two tables; the smaller one would lose half of it."""
    small = Table(name="small", bronze="b", key=(), columns=RUN.columns[:2])
    (tmp_path / "x.csv").write_text(TEXT)

    assert "run" == recognition.recognise(tmp_path / "x.csv", [small, RUN]).table.name


# ----------------------------------------------------------------------------------- missing and broken


@pytest.mark.parametrize(
    "word", ["", " ", "NaN", "nan", "NULL", "null", "None", "NA", "N/A", "\\N", "-", "none", " NA "]
)
def test_a_word_for_missing_is_no_number_and_no_fault(tmp_path, word):
    """Refused, such rows vanish from the counts; as text it is a user's name and stays."""
    (tmp_path / "run.csv").write_text(f"job,start,end,user\na,10,{word},u\nb,{word},20,{word}\nc,1,2,u\n")
    kept, refused, whole = read(tmp_path / "run.csv", tmp_path / "out")

    assert [("a", 10.0, None, "u"), ("b", None, 20.0, word or None), ("c", 1.0, 2.0, "u")] == kept
    assert ([], {"start": 1, "end": 1}) == (refused, dict(whole.missing))


def test_not_a_number_is_missing_in_every_format(tmp_path):
    """A data frame writes what it lacks as NaN, or as null, or leaves it out."""
    made = [{"job": "a", "start": 1.0, "end": float("nan"), "user": None}, {"job": "b", "start": None, "end": 2.0}]
    (tmp_path / "run.jsonl").write_text("".join(json.dumps(row) + "\n" for row in made))
    single = pa.array([row["end"] for row in made], pa.float32())
    columns = {name: [row.get(name) for row in made] for name in ("job", "start", "user")}
    pq.write_table(pa.table({**columns, "end": single}), tmp_path / "run.parquet")
    for name in ("run.jsonl", "run.parquet"):
        kept, refused, whole = read(tmp_path / name, tmp_path / name.replace(".", "-"))

        assert [("a", 1.0, None, None), ("b", None, 2.0, None)] == kept
        assert ([], {"end": 1, "start": 1}) == (refused, dict(whole.missing))


@pytest.mark.parametrize("chunk", [1, 40, 1 << 20])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_line_break_in_quotes_belongs_to_the_field(tmp_path, monkeypatch, chunk, end):
    """Cut in two, both halves are refused and the job loses its GPU-hours; the next row keeps its line's number."""
    monkeypatch.setattr("gpulake.landing.lines.CHUNK_BYTES", chunk)
    lines = ["job,start,end,user", 'a,10,20,"two', "", 'lines, ""said""', '"', "b,1,2,u", '"c', 'd",3,4,', "e,5,6,v"]
    (tmp_path / "run.csv").write_bytes(end.join(lines).encode())
    kept, refused, whole = read(tmp_path / "run.csv", tmp_path / "out")

    said = end.join(["two", "", 'lines, "said"', ""])
    assert [("a", 10.0, 20.0, said), ("b", 1.0, 2.0, "u"), (f"c{end}d", 3.0, 4.0, None), ("e", 5.0, 6.0, "v")] == kept
    assert ([], 4) == (refused, whole.rows_in)
    numbers = pl.concat([pl.read_parquet(part) for part in whole.files])["source_row"].to_list()
    assert [2, 6, 7, 9] == numbers


def test_a_quote_that_nobody_closes_costs_one_line(tmp_path, monkeypatch):
    """It must not swallow the rest of the file, in whatever pieces that is read."""
    monkeypatch.setattr("gpulake.landing.delimited.LONGEST_ROW", 100)
    lines = ["a,1,2,u", 'b,3,4,"open', *(f"c{n},1,2,u" for n in range(30)), 'd,5,6,"x', 'y"']
    (tmp_path / "run.csv").write_text("\n".join(lines))
    for chunk in (1, 1 << 20):
        monkeypatch.setattr("gpulake.landing.lines.CHUNK_BYTES", chunk)
        kept, refused, _ = read(tmp_path / "run.csv", tmp_path / f"out {chunk}")

        assert ["a", *(f"c{n}" for n in range(30)), "d"] == [row[0] for row in kept]
        assert [(2, "1 fields where 4 are expected")] == refused


# ----------------------------------------------------------------------------------------------- the folder


def test_every_file_of_a_folder_is_told(tmp_path):
    """What is passed over without a word is missed by nobody, until the figures are wrong."""
    for name in ("sub/run.csv", "b/run.pdf", "notes.md", ".git/config", ".DS_Store", "other.csv", "lake/catalog.duckdb",
                 "lake/data/run.csv", "run.header"):  # fmt: skip
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text(TEXT if name.endswith("run.csv") else "x")
    (tmp_path / "linked").symlink_to(tmp_path / "sub")
    found = landing.survey(tmp_path, [RUNS])
    left = {str(each.path.relative_to(tmp_path)): each.reason for each in found.unrecognised}

    assert [tmp_path / "sub" / "run.csv"] == [each.path for each in found.delivered]
    assert {"b/run.pdf", "notes.md", ".git", ".DS_Store", "other.csv", "lake", "run.header", "linked"} == set(left)
    assert left["run.header"].startswith("named as run, but its name does not end as a table's: .csv, ")
    assert ("a lake of gpulake, and no delivery", "its name begins with a dot") == (left["lake"], left[".git"])
    assert "a link to a folder: deliver that folder" == left["linked"]


def test_a_lake_is_no_delivery(tmp_path):
    """Its own Parquet files name the columns of its tables: landed, all would be there twice."""
    (tmp_path / "catalog.duckdb").write_text("x")
    with pytest.raises(SourceError, match="a lake of gpulake, and no delivery"):
        landing.survey(tmp_path, [RUNS])


PODS = ",".join(openb2023.POD.column_names) + "\np1,1000,1024,1,500,,LS,Running,10,20,15\n"


def test_a_look_alike_lands_as_a_cluster_of_its_own(tmp_path):
    """The publisher's variants are worth a look, and must never mix with the trace that they were drawn from."""
    file = tmp_path / "openb_pod_list_gpushare40.csv"
    file.write_text(PODS)
    own = landing.survey(file, [openb2023.SOURCE], cluster="share40")

    assert ["openb_pod_list"] == [each.table.name for each in own.delivered]
    for cluster in (None, "openb2023"):
        with pytest.raises(SourceError, match="with --cluster NAME it lands as a cluster of its own"):
            landing.survey(file, [openb2023.SOURCE], cluster=cluster)
    (tmp_path / "openb_pod_list_default.csv").write_text(PODS)
    both = landing.survey(tmp_path, [openb2023.SOURCE], cluster="share40")
    assert ["openb_pod_list_default.csv"] == [each.path.name for each in both.delivered]
    assert "one of several files that are named as openb_pod_list" in both.unrecognised[0].reason
