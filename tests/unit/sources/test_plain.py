"""Plain data: what becomes of each row, of any text at all, and which file is which table."""

from __future__ import annotations

import csv
import io
import re
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gpulake.dbt import warehouse
from gpulake.errors import ContractError
from gpulake.landing import recognition
from gpulake.landing import rows as reading
from gpulake.landing.recognition import Recognised, Unrecognised
from gpulake.reading.needs import read_needs, read_status_words
from gpulake.sources import plain
from gpulake.sources.checks.plain import KINDS, STATES

ROOT = Path(__file__).parents[3]
FIXTURES = ROOT / "tests" / "fixtures" / "plain"
STAGING = ROOT / "warehouse" / "models" / "staging" / "plain"
PAGE = ROOT / "docs" / "reference" / "sources" / "plain.md"
HOW_TO = ROOT / "docs" / "how-to" / "your-own-data.md"
TABLES = plain.SOURCE.tables


def read(file, folder, *, time_zone="Europe/Berlin"):
    found = recognition.recognise(file, TABLES)
    assert isinstance(found, Recognised), found
    converted = reading.convert(found, landing_id="0" * 64, folder=folder, time_zone=time_zone)
    frames = [pl.read_parquet(part) for part in converted.files]
    return found.table, pl.concat(frames) if frames else pl.DataFrame(), converted


def at(text):
    return datetime.fromisoformat(text)


def test_jobs_in_every_way_of_writing_a_time(tmp_path):
    """An hour off, and every wait is wrong: offsets, local time and epoch seconds stand side by side."""
    table, rows, converted = read(FIXTURES / "jobs.csv", tmp_path)
    columns = ["job_id", "submitted_at", "started_at", "ended_at", "status", "user_id", "gpu_request_count"]

    assert table.name == "plain_jobs"
    assert [
        ("1", at("2026-01-15T08:00:00"), at("2026-01-15T08:10:00"), at("2026-01-15T14:10:00"), "COMPLETED", "ada", 4.0),
        ("2", at("2026-01-15T08:00:00"), at("2026-01-15T08:05:00"), at("2026-01-15T11:05:00"), "Failed", "bob, the builder", 0.5),
        ("3", at("2026-01-15T08:00:00"), at("2026-01-15T08:01:00.500"), None, "running", "ada", 0.0),
        ("4", at("2026-01-15T07:00:00"), None, None, "PENDING", None, None),
        ("9", None, None, None, "PENDING", "ada", None),
    ] == rows.select(columns).rows()  # fmt: skip
    assert [
        (6, "submitted_at is not a time (iso8601_or_epoch): '1768464000000'"),
        (7, "ended_at is before submitted_at"),
        (8, "job_id is missing"),
        (9, "gpu_request_count is not a number: 'two'"),
    ] == [(row["source_row"], row["reason"]) for row in converted.refused.to_pylist()]
    assert ("colour",) == converted.left
    assert rows["queue"].null_count() == rows.height, "a column that the file lacks is null"
    assert "queue" not in converted.missing
    assert 4 == converted.missing["memory_request_bytes"]


def test_allocations_as_json_lines(tmp_path):
    """Programs write lists and numbers as such; a key that is misspelt must not be taken for one that lacks."""
    table, rows, converted = read(FIXTURES / "plain_allocations.jsonl", tmp_path)

    assert table.name == "plain_allocations"
    assert [
        ("1", "n1", at("2026-01-15T08:10:00"), at("2026-01-15T14:10:00"), None, "[0, 1, 2, 3]", None),
        ("2", "n1", at("2026-01-15T08:05:00"), None, 0.5, None, "GPU-a"),
    ] == rows.select(
        "job_id", "machine_id", "started_at", "ended_at", "gpu_count", "gpu_indices", "gpu_uuids"
    ).rows()  # fmt: skip
    assert [(3, "machine_id is missing"), (4, "it has a key of no column: 'begin'")] == [
        (row["source_row"], row["reason"]) for row in converted.refused.to_pylist()
    ]


def test_samples_from_parquet_with_the_types_of_its_writer(tmp_path):
    """An exporter writes zoned times, small integers and 32-bit floats."""
    file = tmp_path / "anything.parquet"
    frame = pl.DataFrame(
        {
            "machine_id": ["n1", "n1"],
            "gpu_index": pl.Series([0, 1], dtype=pl.UInt8),
            "sampled_at": pl.Series([at("2026-01-15T08:00:00")] * 2).dt.replace_time_zone("Asia/Tokyo"),
            "power_w": pl.Series([301.5, None], dtype=pl.Float32),
            "xid": pl.Series([0, 79], dtype=pl.Int16),
        }
    )
    frame.write_parquet(file)
    table, rows, _ = read(file, tmp_path / "out")

    assert table.name == "plain_gpu_samples"
    assert [
        ("n1", 0.0, at("2026-01-14T23:00:00"), 301.5, 0.0),
        ("n1", 1.0, at("2026-01-14T23:00:00"), None, 79.0),
    ] == rows.select("machine_id", "gpu_index", "sampled_at", "power_w", "xid").rows()


# ------------------------------------------------------------------------------------------- recognition


@pytest.mark.parametrize(
    ("header", "table"),
    [
        ("job_id,submitted_at", "plain_jobs"),
        ("SUBMITTED_AT, job_id ,user_id", "plain_jobs"),
        ("job_id,machine_id,started_at", "plain_allocations"),
        ("machine_id,gpu_count", "plain_machines"),
        ("machine_id,gpu_index,gpu_uuid", "plain_gpus"),
        ("machine_id,gpu_index,sampled_at", "plain_gpu_samples"),
        ("machine_id,gpu_index,gpu_uuid,sampled_at,power_w", "plain_gpu_samples"),
        ("machine_id,sampled_at", "plain_machine_samples"),
        ("machine_id,sampled_at,power_w,cpu_util_pct", "plain_machine_samples"),
        ("machine_id,happened_at,kind,code", "plain_events"),
        ("machine_id,state,from_at", "plain_machine_states"),
    ],
)
def test_a_file_of_any_name_is_known_by_its_header(tmp_path, header, table):
    """Nobody should have to rename what a cron job writes."""
    file = tmp_path / "export_2026.csv"
    file.write_text(f"{header}\n{','.join('1' for _ in header.split(','))}\n")
    found = recognition.recognise(file, TABLES)

    assert isinstance(found, Recognised), found
    assert table == found.table.name


@pytest.mark.parametrize(
    "header",
    ["job_id,name,owner", "id,submitted,started,user", "job_id,submitted_at,a,b,c", "machine_id,when,value", "1,2,3"],
)
def test_a_strangers_file_is_left_alone(tmp_path, header):
    """A `jobs.csv` of something else has its own meaning of each word: read as ours it would be wrong figures."""
    file = tmp_path / "jobs.csv"
    file.write_text(f"{header}\n{header}\n")

    assert isinstance(recognition.recognise(file, TABLES), Unrecognised)


def test_a_file_with_more_strange_columns_than_known_ones_says_how_it_is_read(tmp_path):
    """A wide export with our two names in it may be anything: its owner can say that it is ours."""
    text = "job_id,submitted_at,a,b,c\n1,2026-01-15T08:00:00Z,1,2,3\n"
    for name in ("jobs.csv", "plain_jobs.csv"):
        (tmp_path / name).write_text(text)
    alone = recognition.recognise(tmp_path / "jobs.csv", TABLES)

    assert "most of its columns are none of it: it is read where it is named plain_jobs." in alone.reason
    assert isinstance(recognition.recognise(tmp_path / "plain_jobs.csv", TABLES), Recognised)


def test_a_file_that_is_named_as_a_table_is_held_to_it(tmp_path):
    """Left alone without a word, a misspelt column would be a day of jobs that nobody misses."""
    file = tmp_path / "plain_jobs.csv"
    file.write_text("job_id,submited_at,status\n1,2026-01-15T08:00:00Z,DONE\n")

    with pytest.raises(ContractError, match="it lacks submitted_at"):
        recognition.recognise(file, TABLES)


@pytest.mark.parametrize("text", ["1,2026-01-15T08:00:00Z\n", "job_id,when\n1,2\n"])
def test_a_named_file_without_its_header_is_not_read_by_the_order_of_its_fields(tmp_path, text):
    """A file that may lack columns tells nothing by their order."""
    file = tmp_path / "plain_jobs.csv"
    file.write_text(text)

    with pytest.raises(ContractError, match=r"is read by the names of its columns|lacks submitted_at"):
        recognition.recognise(file, TABLES)


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_a_header_without_rows_says_that_there_was_nothing(tmp_path, ending):
    """A night without events must not stop the morning's refresh."""
    file = tmp_path / f"plain_events{ending}"
    names = plain.EVENTS.column_names
    if ending == ".csv":
        file.write_text(",".join(names) + "\n")
    else:
        pl.DataFrame(schema=dict.fromkeys(names, pl.String)).write_parquet(file)

    assert Unrecognised(file, "it names the columns of plain_events and has no rows") == recognition.recognise(
        file, TABLES
    )


# -------------------------------------------------------------------------------------------- any text


@settings(max_examples=8, deadline=None)
@given(
    table=st.sampled_from(TABLES),
    values=st.lists(
        st.lists(st.sampled_from(["", "1", "-3", "1e400", "nan", "2026-01-15T08:00:00Z", "1768464000", "9" * 30, "x", "é\n'\",;"]) | st.text(max_size=12), min_size=40, max_size=40),
        min_size=1, max_size=6,
    ),
    lacking=st.sets(st.integers(0, 39)),
)  # fmt: skip
def test_whatever_stands_in_a_file_is_kept_or_refused(tmp_path_factory, table, values, lacking):
    """A row in neither count has vanished; a crash loses a whole night's delivery."""
    columns = [c.name for number, c in enumerate(table.columns) if not c.may_lack or number not in lacking]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([value.replace("\r", " ").replace("\0", " ") for value in row[: len(columns)]] for row in values)
    folder = tmp_path_factory.mktemp("any")
    file = folder / f"{table.name}.csv"
    file.write_bytes(text.getvalue().encode("utf-8", "replace"))
    found = recognition.recognise(file, [table])
    if isinstance(found, Unrecognised):  # nothing but blank lines below the header
        assert "has no rows" in found.reason
        return
    converted = reading.convert(found, landing_id="0" * 64, folder=folder / "out", time_zone="Europe/Berlin")

    assert converted.rows_in == converted.rows_kept + converted.refused.num_rows
    assert converted.rows_kept == sum(pl.read_parquet(part).height for part in converted.files)
    assert None not in converted.refused["reason"].to_pylist()


# ------------------------------------------------------------------------------------ one truth, told twice


def test_the_page_tells_every_column():
    """What the page does not name nobody fills."""
    text = PAGE.read_text(encoding="utf-8")
    for table in TABLES:
        (section,) = re.findall(rf"^## {table.name}$(.*?)(?=^## )", text, re.MULTILINE | re.DOTALL)
        told = re.findall(r"^\| (\*\*)?([a-z0-9_]+)(?:\*\*)? \|", section, re.MULTILINE)

        assert [*table.column_names] == [name for _, name in told if name != "column"]
        assert set(table.needed_names) == {name for bold, name in told if bold}
        for column in table.columns:
            assert column.unit in section
        assert f"`{table.bronze}`" in section


def test_the_page_and_the_checks_tell_the_words_that_are_read():
    """A word that the page lists and staging does not know is an unknown status without a reason."""
    text = PAGE.read_text(encoding="utf-8")
    words = yaml.safe_load((STAGING / "status_words.yml").read_text())["models"][0]["config"]["meta"]["words"]
    for job_status, spelled in words.items():
        assert f"| {job_status} | {', '.join(spelled)} |" in text
    states = set(re.findall(r"'(\w+)'(?=[,)])", (STAGING / "stg_plain__machine_state.sql").read_text()))
    assert states >= set(STATES)
    assert all(state in text for state in STATES)
    assert all(f"`{kind}`" in text for kind in KINDS)
    assert {"COMPLETED", "Failed", "done", "OOMKilled", "CANCELLED"} <= read_status_words(warehouse.project(), "plain")


def test_every_need_is_of_a_column_that_there_is():
    """A need of a column that nobody can deliver is never met, and its figure says so for ever."""
    columns = {t.name for t in TABLES} | {f"{t.name}.{name}" for t in TABLES for name in t.column_names}
    needs = read_needs(warehouse.project(), "plain")

    assert len(needs) > 20
    assert [] == [each for need in needs for each in need.needs.split(" or ") if each not in columns]
    assert not needs[1].is_met({"plain_jobs", "plain_jobs.status"})
    assert needs[1].is_met({"plain_jobs.started_at"})
    assert needs[1].is_met({"plain_allocations"})


def test_the_how_to_says_what_each_column_makes_known():
    """Its table is what `gpulake check` prints, column for column."""
    text = HOW_TO.read_text(encoding="utf-8")
    rows = [
        "| {} | {} |".format(" or ".join(f"`{each}`" for each in need.needs.split(" or ")), need.unlocks)
        for need in read_needs(warehouse.project(), "plain")
        if need.unlocks
    ]

    assert [] == [row for row in rows if row not in text]
