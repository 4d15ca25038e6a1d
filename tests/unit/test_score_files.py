"""`gpulake detect --input`: what it reads of a file, what it writes, and what it says of a bad one."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gpulake.cli import main
from gpulake.detecting.files import SCHEMAS, score_file
from gpulake.detectors import Level, all_detectors
from gpulake.errors import ContractError, SourceError, UsageError

TRUTH = ("label", "event_id", "ignore", "kind", "sev", "aux", "window_id")
KEYS = {"fleet_jobs": ["job"], "several": ["entity", "split", "step"], "one": ["series", "ts"]}


def jobs():
    dice = np.random.default_rng(1)
    count = 1500
    return pa.table(
        {
            "job": np.arange(count),
            "user": dice.integers(0, 9, count),
            "cohort": np.zeros(count, np.int64),
            "size": dice.choice([1, 8], count),
            "start": np.sort(dice.integers(0, 1000, count)),
            "dur": np.exp(dice.normal(1, 1, count)),
            "gpu_util": dice.uniform(20, 80, count),
            "cpu_per_gpu": np.exp(dice.normal(1, 0.2, count)),
        }
    )


def several():
    dice = np.random.default_rng(2)
    count = 900
    return pa.table(
        {
            "entity": pa.array(np.repeat(["a", "b", "c"], 300), pa.large_string()),
            "split": np.tile(np.repeat(["train", "test"], 150), 3),
            "step": np.tile(np.arange(150, dtype=np.int32), 6),
            **{f"m{n:02}": dice.uniform(0, 1, count).astype(np.float32) for n in range(3)},
        }
    )


def one():
    dice = np.random.default_rng(3)
    start = np.datetime64("2020-01-01T00:00", "us")
    return pa.table(
        {
            "series": np.repeat(["x", "y"], 200),
            "ts": start + np.tile(np.arange(200), 2) * np.timedelta64(300, "s"),
            "value": dice.normal(5, 1, 400),
        }
    )


FILES = {"fleet_jobs": ("fleet_jobs", jobs), "several": ("series", several), "one": ("series", one)}
EACH = pytest.mark.parametrize("kind", FILES)


def scored(folder, table, kind, **options):
    """What is written for a table: the keys, the scores and the flags."""
    source, out = folder / "rows.parquet", folder / "scores.parquet"
    pq.write_table(table, source)
    score_file(source, schema=FILES[kind][0], out=out, **options)
    return pq.read_table(out)


@EACH
def test_the_keys_come_back_in_the_order_of_the_rows_with_a_score_and_a_flag(kind, tmp_path):
    """Whoever joins the scores to their rows must find each of them, and types as delivered."""
    table = FILES[kind][1]()
    found = scored(tmp_path, table, kind)

    assert [*KEYS[kind], "score", "flag"] == found.column_names
    assert table.select(KEYS[kind]).equals(found.select(KEYS[kind]))
    assert (pa.float64(), pa.int8()) == (found.schema.field("score").type, found.schema.field("flag").type)
    assert {0, 1} >= set(found["flag"].to_pylist())
    assert 0 < found["score"].null_count < len(found)
    unscored = [
        flag
        for score, flag in zip(*(found[name].to_pylist() for name in ("score", "flag")), strict=True)
        if score is None
    ]
    assert set(unscored) == {0}


@EACH
def test_what_is_true_of_a_row_is_never_read(kind, tmp_path):
    """Scores with the labels, without them, and with poison in their place must be one and the same."""
    table = FILES[kind][1]()
    expected = scored(tmp_path, table, kind)
    ones, poison = pa.array(np.ones(len(table))), pa.array([{"no": ["number"]}] * len(table))
    for values in (ones, poison):
        with_truth = table
        for name in TRUTH:
            with_truth = with_truth.append_column(name, values)

        assert expected.equals(scored(tmp_path, with_truth, kind))


@EACH
def test_neither_order_nor_repetition_matters(kind, tmp_path):
    """A file written by another engine holds the same rows in another order."""
    table = FILES[kind][1]()
    order = np.random.default_rng(4).permutation(np.concatenate([np.arange(len(table)), np.arange(0, len(table), 5)]))

    assert scored(tmp_path, table, kind).take(order).equals(scored(tmp_path, table.take(order), kind))


@pytest.mark.parametrize(("kind", "time", "until"), [("fleet_jobs", "start", 700), ("several", "step", 100)])
def test_later_rows_leave_old_scores_equal(kind, time, until, tmp_path):
    """The file of a month begins with the scores of its first three weeks."""
    table = FILES[kind][1]()
    early = (table[time].to_numpy() <= until) | (
        table["split"].to_numpy(zero_copy_only=False) == "train" if kind == "several" else np.zeros(len(table), bool)
    )

    assert scored(tmp_path, table, kind).filter(early).equals(scored(tmp_path, table.filter(early), kind))


def test_categories_missing_values_and_infinities_are_no_error(tmp_path):
    """Pandas writes names as dictionaries, and sources write what they like."""
    table = several()
    values = table["m01"].to_numpy().copy()
    values[::7], values[3::50] = np.nan, np.inf
    table = table.set_column(table.column_names.index("m01"), "m01", pa.array(values))
    table = table.set_column(0, "entity", table["entity"].dictionary_encode())
    found = scored(tmp_path, table, "several")

    assert 450 == found["score"].null_count
    assert table["entity"].to_pylist() == found["entity"].to_pylist()


# -------------------------------------------------------------------------------------------------- bad input


def refused(folder, table, schema, *, variant=None):
    source = folder / "rows.parquet"
    pq.write_table(table, source)
    with pytest.raises(ContractError) as error:
        score_file(source, schema=schema, out=folder / "scores.parquet", variant=variant)
    assert not (folder / "scores.parquet").exists()
    assert str(source) == error.value.where
    assert error.value.do
    return error.value.what


@pytest.mark.parametrize(
    ("table", "schema", "what"),
    [
        (jobs().drop_columns(["user", "dur"]), "fleet_jobs", "lacks the columns user, dur"),
        (several().drop_columns(["split"]), "series", "lacks the column split"),
        (one().drop_columns(["ts"]), "series", "lacks the column ts"),
        (one(), "fleet_jobs", "lacks the columns job, user"),
        (jobs().slice(0, 0), "fleet_jobs", "has no row"),
    ],
    ids=["jobs", "split", "ts", "another schema", "no row"],
)
def test_a_file_that_lacks_something_is_told_what(table, schema, what, tmp_path):
    """The message names the columns, so that the next file has them."""
    assert what in refused(tmp_path, table, schema)


def test_a_column_of_the_wrong_type_is_named(tmp_path):
    """Text where a number belongs is no number, and is not read as one."""
    wrong = one().set_column(2, "value", pa.array(["5.0"] * 400))
    no_time = one().set_column(1, "ts", pa.array(["today"] * 400))

    assert "value is of type string: numbers are needed" in refused(tmp_path, wrong, "series")
    assert "ts is of type string: times or numbers are needed" in refused(tmp_path, no_time, "series")


def test_a_row_without_its_key_is_refused(tmp_path):
    """A score that cannot be joined to its row is lost."""
    table = jobs().set_column(0, "job", pa.array([None, *range(1499)]))

    assert "1 rows have no job" in refused(tmp_path, table, "fleet_jobs")


@pytest.mark.parametrize("content", [b"", b"ts,value\n1,2\n", b"PAR1 and then nothing"], ids=["empty", "csv", "cut"])
def test_what_is_no_parquet_is_told(content, tmp_path):
    """An upload that was cut off is the commonest bad file."""
    source = tmp_path / "rows.parquet"
    source.write_bytes(content)
    with pytest.raises(SourceError, match="cannot be read as Parquet"):
        score_file(source, schema="series", out=tmp_path / "scores.parquet")


def test_places_that_cannot_be_read_or_written_are_told(tmp_path):
    """Each says where, and what to do."""
    source = tmp_path / "rows.parquet"
    pq.write_table(jobs(), source)
    (tmp_path / "file").touch()
    for given, out, what in (
        (tmp_path / "absent", tmp_path / "scores", "is not there"),
        (tmp_path, tmp_path / "scores", "is a folder"),
        (source, tmp_path, "is a folder"),
        (source, source, "would replace the file"),
        (source, tmp_path / "file" / "scores", "cannot be written"),
        (source, tmp_path / "absent" / "scores", "cannot be written"),
    ):
        with pytest.raises(UsageError, match=what):
            score_file(given, schema="fleet_jobs", out=out)
    assert ["file", "rows.parquet"] == sorted(path.name for path in tmp_path.iterdir())


def test_a_dry_run_writes_nothing(tmp_path):
    """It says what would be flagged."""
    source = tmp_path / "rows.parquet"
    pq.write_table(jobs(), source)
    found = score_file(source, schema="fleet_jobs", out=tmp_path / "scores.parquet", dry_run=True)

    assert (1500, None) == (found.rows, found.out)
    assert [source] == list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"schema": "fleet_job"}, "no schema 'fleet_job'"),
        ({"schema": "series", "variant": "pai"}, "series has no variant 'pai'"),
        ({"schema": "fleet_machine_hour", "variant": "p"}, "fleet_machine_hour has no variant 'p'"),
    ],
)
def test_a_name_that_there_is_not_is_told(options, what, tmp_path):
    """Before anything is read."""
    with pytest.raises(UsageError, match=what):
        score_file(tmp_path / "absent", out=tmp_path / "scores", **options)


# -------------------------------------------------------------------------------------------------- the fleet


def fleet_machine_hours():
    """Four machines over five weeks, one of which falls out of step with its own figures."""
    dice = np.random.default_rng(5)
    hour, machine = (part.ravel() for part in np.meshgrid(np.arange(840), np.arange(4), indexing="ij"))
    alloc = np.repeat(dice.choice([0.0, 8.0], 840 // 12 * 4, p=[0.3, 0.7]).reshape(-1, 4), 12, axis=0).ravel()
    util = np.where(alloc > 0, dice.uniform(40, 90, len(hour)), 0.0)
    return pa.table(
        {
            "hour_idx": hour.astype(np.int16),
            "machine": machine.astype(np.int16),
            "cohort": np.full(len(hour), "V100"),
            "gpu_util": util.astype(np.float32),
            "gpu_util_p95": np.minimum(util * 1.1, 100).astype(np.float32),
            "cpu_util": (5 + util / 4 + dice.normal(0, 1, len(hour))).astype(np.float32),
            "net": np.full(len(hour), 0.1, np.float32),
            "load1": (1 + util / 10).astype(np.float32),
            "mem": np.full(len(hour), 20, np.float32),
            "alloc": alloc.astype(np.float32),
            "power": (300 + 20 * util + dice.normal(0, 10, len(hour))).astype(np.float32),
            "temp": (30 + util / 3 + dice.normal(0, 0.5, len(hour))).astype(np.float32),
            "clock": np.where(alloc > 0, 1380 + dice.normal(0, 3, len(hour)), np.nan).astype(np.float32),
            "gpus_visible": np.full(len(hour), 8, np.float32),
            "n_samples": np.full(len(hour), 240, np.int16),
            "main_job": np.where(alloc > 0, hour // 12 * 4 + machine, -1).astype(np.int32),
        }
    )


has_machine_detector = pytest.mark.skipif(
    not any(each.level is Level.MACHINE_HOUR for each in all_detectors()), reason="no detector judges machine-hours"
)


@has_machine_detector
@pytest.mark.parametrize("variant", [None, "pai"])
def test_machine_hours_are_scored_from_their_22nd_day(variant, tmp_path):
    """Days 3 to 13 teach, 14 to 20 set the limit; and the pai variant sees utilisation alone."""
    table = fleet_machine_hours()
    source, out = tmp_path / "rows.parquet", tmp_path / "scores.parquet"
    pq.write_table(table, source)
    score_file(source, schema="fleet_machine_hour", out=out, variant=variant)
    found = pq.read_table(out)
    is_scored = ~np.isnan(found["score"].to_numpy())

    assert ["hour_idx", "machine", "score", "flag"] == found.column_names
    assert 504 <= found["hour_idx"].to_numpy()[is_scored].min()
    assert is_scored[found["hour_idx"].to_numpy() >= 504].all()
    if variant:
        pq.write_table(table.drop_columns(["power", "temp", "clock", "gpus_visible"]), source)
        score_file(source, schema="fleet_machine_hour", out=out)
        assert found.equals(pq.read_table(out))


# ------------------------------------------------------------------------------------------------ the command


def run(capsys, *words):
    code = main(["detect", *map(str, words)])
    return code, capsys.readouterr()


def test_the_command_scores_a_file_without_a_lake(tmp_path, capsys, monkeypatch):
    """One JSON object, and no lake is made."""
    monkeypatch.chdir(tmp_path)
    source = tmp_path / "rows.parquet"
    pq.write_table(jobs(), source)
    code, printed = run(capsys, "--input", source, "--schema", "fleet_jobs", "--out", "scores.parquet", "--json")
    told = json.loads(printed.out)

    assert 0 == code
    assert (1500, "job_template", None) == (told["rows"], told["detector"], told["error"])
    assert told["scored"] == 1500 - pq.read_table("scores.parquet")["score"].null_count
    assert {"rows.parquet", "scores.parquet"} == {path.name for path in tmp_path.iterdir()}


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["--input", "x", "--out", "y"], "what the file's rows are is not said"),
        (["--input", "x", "--schema", "series"], "where the scores go is not said"),
        (["--input", "x", "--schema", "series", "--out", "y", "--lake", "l"], "a file is scored without a lake"),
        (["--schema", "series"], "--schema says how a file is scored, and none is named"),
        (["--out", "y"], "--out says how a file is scored, and none is named"),
    ],
)
def test_half_a_call_is_told_what_it_lacks(words, what, capsys):
    """Options that belong together say so."""
    code, printed = run(capsys, *words)

    assert 2 == code
    assert what in printed.err


def test_the_help_names_every_schema(capsys):
    """What can be scored must be readable where it is asked for."""
    _, printed = run(capsys, "--help")

    assert all(schema in printed.out for schema in SCHEMAS)
