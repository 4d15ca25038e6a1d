"""What `gpulake template` writes: it is what the tables are, and its example is right to the last figure."""

from __future__ import annotations

import csv
import json
from datetime import datetime, timedelta

import jsonschema
import pytest

from gpulake import templates
from gpulake.config import Config
from gpulake.landing import check, look
from gpulake.sources import all_sources, plain


@pytest.fixture
def written(tmp_path):
    return templates.write(tmp_path / "own")


def rows_of(written, table):
    (file,) = (file for file in written.example if file.stem == table)
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))


def test_every_table_has_an_empty_file_a_schema_and_an_example(written):
    """A table without a template is a table that nobody fills."""
    names = sorted(table.name for table in plain.SOURCE.tables)

    assert names == sorted(file.stem for file in written.empty)
    assert names == sorted(file.name.removesuffix(".schema.json") for file in written.schema)
    assert names == sorted(file.stem for file in written.example)
    for table in plain.SOURCE.tables:
        (empty,) = (file for file in written.empty if file.stem == table.name)
        assert ",".join(table.column_names) + "\n" == empty.read_text()


def test_the_example_is_whole_and_without_a_doubt(written, tmp_path):
    """An example that its own check doubts teaches nobody."""
    folder = written.example[0].parent
    found = check(
        look(folder, all_sources()), config=Config(lake=tmp_path / "lake"), cluster=None, now=datetime(2026, 2, 1), status_words={}  # noqa: DTZ001
    )  # fmt: skip

    assert () == (*found.doubts, *found.refused, *found.unrecognised)
    assert {0} == {each.rows_refused for each in found.files}
    assert [{}] * 8 == [each.left for each in found.files]


def test_the_example_agrees_with_itself(written):
    """A sample that shows use where nothing is held, or none where it is, would be a riddle."""
    allocations, samples = rows_of(written, "plain_allocations"), rows_of(written, "plain_gpu_samples")
    held = {
        (row["machine_id"], index, at)
        for row in allocations
        for index in row["gpu_indices"].split(",")
        for at in moments(row["started_at"], row["ended_at"])
    }
    busy = {
        (row["machine_id"], row["gpu_index"], row["sampled_at"]) for row in samples if float(row["gpu_util_pct"]) > 0
    }

    assert (52 - 2) * 6 == len(busy), "52 GPU-hours are held, of which one GPU does nothing for two"
    assert 52 * 6 == len(held)
    assert busy < held
    assert 2 * 4 * 144 == len(samples)


def moments(start, end):
    first, last = (datetime.fromisoformat(text) for text in (start, end))
    while first < last:
        yield f"{first:%Y-%m-%dT%H:%M:%SZ}"
        first += timedelta(minutes=10)


def test_the_schemas_take_the_examples_rows_and_refuse_bad_ones(written):
    """Who validates before sending must not be told otherwise by us."""
    for file in written.schema:
        schema = json.loads(file.read_text())
        jsonschema.Draft202012Validator.check_schema(schema)
        validator = jsonschema.Draft202012Validator(schema)
        table = plain.SOURCE.table(schema["title"])
        kinds = {column.name: column.kind for column in table.columns}
        row = {
            name: float(value) if kinds[name] == "number" and value else value or None
            for name, value in rows_of(written, table.name)[0].items()
        }
        required = next(column.name for column in table.columns if column.required)

        assert [] == [error.message for error in validator.iter_errors(row)]
        assert [] == list(validator.iter_errors({**row, "further": 1}))
        assert list(validator.iter_errors({**row, required: None}))
        assert list(
            validator.iter_errors({name: value for name, value in row.items() if name != table.needed_names[-1]})
        )
        time = next((name for name, kind in kinds.items() if kind == "time"), None)
        assert list(validator.iter_errors({**row, time: "yesterday"}))
        assert [] == list(validator.iter_errors({**row, time: 1768464000.5}))


def test_writing_again_replaces_what_was_written(written):
    """A second try must not leave half of the first."""
    before = {file: file.read_bytes() for file in written.example}
    written.example[0].write_text("mine\n")
    again = templates.write(written.example[0].parents[1])

    assert before == {file: file.read_bytes() for file in again.example}
