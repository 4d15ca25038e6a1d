"""The command line as a user or a program meets it: streams, exit codes, and one JSON value in every case."""

import csv
import io
import json
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from gpulake.cli import main
from gpulake.errors import UsageError
from gpulake.lake import open_newest, open_publication


def object_of(done):
    """The one JSON value on standard output."""
    assert 1 == done.stdout.count("\n")
    return json.loads(done.stdout)


def test_a_refresh_answers_with_one_object(refreshed):
    """A scheduler reads what landed, what was refused, what was built and published, without parsing prose."""
    _, answer, done = refreshed

    kept = {landing["table"]: (landing["rows_kept"], landing["rows_refused"]) for landing in answer["landings"]}
    assert (2, 0) == kept["pai_machine_spec"]
    assert (20, 1) == kept["pai_machine_metric"]
    assert ["notes.csv"] == [file["file"].rpartition("/")[2] for file in answer["unrecognised"]]
    assert 10 == answer["build"]["rows"]["gold_cluster_util_daily"]
    assert answer["published"]
    assert answer["build_id"] == answer["publication"]["build_id"]
    assert answer["error"] is None
    assert 1 == done.stdout.count("\n")
    assert "landing pai_machine_metric.csv" in done.stderr


@pytest.mark.slow
def test_tables_that_a_later_build_left_half_done_are_not_published(refreshed, cli, tmp_path):
    """They would be published under the number of the build before, whose tables they are not."""
    lake = shutil.copytree(refreshed[0] / "lake", tmp_path / "lake")
    assert 0 == cli("dbt", "--lake", lake, "--", "run", "--select", "silver_days").returncode

    for step in ("detect", "publish"):
        done = cli(step, "--lake", lake, "--json")
        assert 2 == done.returncode, done.stdout
        assert "run: gpulake build --full" == object_of(done)["error"]["do"]
    # Merging files changes no figure, so it forbids nothing.
    shutil.rmtree(lake)
    shutil.copytree(refreshed[0] / "lake", lake)
    assert 0 == cli("compact", "--lake", lake).returncode
    assert "is published already" in object_of(cli("publish", "--lake", lake, "--json"))["why"]


@pytest.mark.parametrize("command", ["status", "report", "verify"])
def test_what_reads_the_lake_answers_in_json_too(refreshed, gpulake_json, command):
    """One object each, with `error` in it."""
    folder, _, _ = refreshed
    code, told = gpulake_json(command, "--lake", folder / "lake")

    assert (0, None) == (code, told["error"])


@pytest.mark.slow
def test_a_deep_look_tests_every_row(refreshed, cli):
    """A refresh tests what it made again, and leaves the slowest tests out: somebody must be able to run them all."""
    folder, answer, _ = refreshed
    done = cli("verify", "--deep", "--lake", folder / "lake", "--json")

    found = json.loads(done.stdout)
    assert 0 == done.returncode, found
    assert found["tests_passed"] > answer["tests"]["passed"]
    assert [] == found["faults"]


def test_the_report_draws_and_tells(refreshed, cli):
    """One command gives the text, the pictures and the page; a picture is a PNG whatever its name."""
    folder, answer, _ = refreshed
    drawn = ["--png", folder / "out/days", "--waterfall", folder / "out/hours.picture", "--html", folder / "out/a.html"]
    done = cli("report", "--lake", folder / "lake", *drawn)

    assert 0 == done.returncode, done.stderr
    assert f"build {answer['build_id']}" in done.stdout
    assert "10 days of GPU use" in done.stdout
    assert "2 machines with 4 GPUs" in done.stdout
    assert "refused: 1 × machine_gpu is not a number: 'many' (pai_machine_metric)" in done.stdout
    for name in ("days", "hours.picture"):
        assert (folder / "out" / name).read_bytes().startswith(b"\x89PNG")
    assert f"gpulake build {answer['build_id']}," in (folder / "out/a.html").read_text()


def test_a_lake_can_be_named_by_the_environment(refreshed, cli, tmp_path):
    """A server sets GPULAKE_LAKE once."""
    folder, _, _ = refreshed
    done = cli(
        "sql", "--json", "select 1 as one", cwd=tmp_path, env={**os.environ, "GPULAKE_LAKE": str(folder / "lake")}
    )

    assert [{"one": 1}] == object_of(done)


def test_rows_come_as_json_csv_or_a_table(refreshed, cli):
    """The same rows for a program, a spreadsheet and a person; null stays null."""
    folder, _, _ = refreshed
    query = "select dt, avg_gpu_util, null as nothing from gold_cluster_util_daily order by dt limit 2"
    rows = object_of(cli("sql", "--lake", folder / "lake", "--json", query))
    table = cli("sql", "--lake", folder / "lake", query).stdout.splitlines()
    lines = list(csv.reader(io.StringIO(cli("sql", "--lake", folder / "lake", "--csv", query).stdout)))

    assert ["1970-01-21", "1970-01-22"] == [row["dt"] for row in rows]
    assert [None, None] == [row["nothing"] for row in rows]
    assert ["dt", "avg_gpu_util", "nothing"] == lines[0]
    assert [str(row["avg_gpu_util"]) for row in rows] == [line[1] for line in lines[1:]]
    assert [""] * 2 == [line[2] for line in lines[1:]]
    assert 4 == len(table)
    assert table[2].endswith("null")


def test_no_rows_are_an_empty_array(refreshed, cli):
    """A program needs no special case."""
    folder, _, _ = refreshed

    assert [] == object_of(cli("sql", "--lake", folder / "lake", "--json", "select 1 where false"))


@pytest.fixture
def elsewhere(tmp_path):
    """A SQLite file that is none of the lake's business."""
    file = tmp_path / "elsewhere.sqlite"
    with sqlite3.connect(file) as connection:
        connection.execute("create table secret (word)")
    return file


@pytest.mark.parametrize(
    "query",
    [
        "create table t as select 1",
        "insert into silver_jobs (job_id) values ('x')",
        "delete from gold_cluster_util_daily",
        "drop view gold_cluster_util_daily_scored",
        "copy (select 1) to '{lake}/data/written.csv'",
        "explain analyze copy (select 1) to '{lake}/data/written.csv'",
        "export database '{lake}/data/written'",
        "copy (select 1) to '{folder}/written.csv'",
        "select * from read_text('{lake}/data/../publication.json')",
        "select * from read_csv('/etc/passwd')",
        "select * from '/etc/passwd'",
        "select * from glob('/etc/*')",
        "select * from sqlite_scan('{elsewhere}', 'secret')",
        "with a as (from system.main.SQLITE_SCAN('{elsewhere}', 'secret')) from a",
        "select (select count(*) from sqlite_scan('{elsewhere}', 'secret'))",
        "from query('from sqlite_scan(''{elsewhere}'', ''secret'')')",
        "from query_table(['silver_jobs'])",
        "attach '{elsewhere}' as e (type sqlite)",
        "attach 'ducklake:{lake}/catalog.duckdb' as again",
        "call ducklake_delete_orphaned_files('lake', cleanup_all => true)",
        "set enable_external_access = true",
        "install httpfs",
        "pragma database_list",
        "select 1; select 2",
        "",
    ],
)
def test_sql_only_reads_and_only_this_lake(refreshed, tmp_path, elsewhere, query):
    """What a person types can neither change the lake nor read or write any other file of the machine."""
    folder, _, _ = refreshed
    lake = folder / "lake"
    before = sorted(path.name for path in (lake / "data").iterdir())
    with open_publication(lake) as publication, pytest.raises(UsageError):
        publication.ask(query.format(lake=lake, folder=tmp_path, elsewhere=elsewhere))

    assert before == sorted(path.name for path in (lake / "data").iterdir())
    assert [elsewhere] == list(tmp_path.iterdir())


def test_the_command_asks_through_that_guard(refreshed, cli, elsewhere):
    """The limits hold on the command line, not only in the library."""
    folder, _, _ = refreshed
    done = cli("sql", "--lake", folder / "lake", "--json", f"select * from sqlite_scan('{elsewhere}', 'secret')")

    assert 2 == done.returncode
    assert "the table function sqlite_scan is not allowed here." == object_of(done)["error"]["what"]


@pytest.mark.parametrize(
    "query",
    [
        "describe gold_cluster_util_daily",
        "summarize silver_machines",
        "show tables",
        "from silver_machines limit 1",
        "values (1)",
        "explain select 1",
        "with days as (select * from gold_cluster_util_daily) select count(*) from days",
        "pivot silver_machines on gpu_model in ('T4') using count(*)",
        "select * from range(3)",
        "select 1;",
    ],
)
def test_sql_reads_in_every_form(refreshed, query):
    """DuckDB's short forms are part of the comfort."""
    folder, _, _ = refreshed
    with open_publication(folder / "lake") as publication:
        assert publication.ask(query).num_rows > 0


def test_a_wrong_name_is_answered_with_the_near_one(refreshed, cli):
    """A typo costs one look, not a search."""
    folder, _, _ = refreshed
    done = cli("sql", "--lake", folder / "lake", "select * from gold_cluster_util_dayly")

    assert 2 == done.returncode
    assert "gold_cluster_util_daily" in done.stderr
    assert "" == done.stdout
    assert "Traceback" not in done.stderr


def test_the_export_is_one_duckdb_file_with_the_tables_names(refreshed, gpulake_json, tmp_path):
    """The queries that people type into the DuckDB shell work on it."""
    import duckdb

    folder, answer, _ = refreshed
    file = tmp_path / "telemetry.db"
    (code, told), (again, _) = [gpulake_json("export", "--lake", folder / "lake", "--duckdb", file) for _ in range(2)]

    assert (0, 0) == (code, again)
    assert answer["build_id"] == told["build_id"]
    assert [file] == list(tmp_path.iterdir())
    with duckdb.connect(str(file), read_only=True) as connection:
        flagged, days = connection.execute(
            "select sum(anomaly_flag) as num_anomalies, count(*) as total_days from gold_cluster_util_daily_scored"
        ).fetchone()
        tables = dict(connection.execute("select table_name, table_type from information_schema.tables").fetchall())
    assert (None, 10) == (flagged, days)  # ten days are too few to judge one
    assert {"silver_jobs", "silver_gpu_timeseries", "gold_cluster_util_daily"} <= set(tables)
    assert {"BASE TABLE"} == set(tables.values())
    assert not any(name.startswith("bronze") for name in tables)


def test_the_export_takes_bronze_along_if_asked(refreshed, gpulake_json, tmp_path):
    """Raw rows are large, so they come on request."""
    folder, _, _ = refreshed
    _, told = gpulake_json("export", "--lake", folder / "lake", "--duckdb", tmp_path / "t.db", "--bronze")

    assert 20 == told["tables"]["bronze_machine_metrics"]


def test_the_export_overwrites_nothing_but_an_export(refreshed, cli, tmp_path):
    """A typing slip must not cost somebody a file."""
    folder, _, _ = refreshed
    (tmp_path / "thesis.txt").write_text("years of work")
    done = cli("export", "--lake", folder / "lake", "--duckdb", tmp_path / "thesis.txt")

    assert 2 == done.returncode
    assert "no DuckDB file" in done.stderr
    assert "years of work" == (tmp_path / "thesis.txt").read_text()


def test_without_the_duckdb_shell_the_exact_line_is_printed(refreshed, cli):
    """Whoever installs it later can paste the line."""
    folder, _, _ = refreshed
    done = cli("shell", "--lake", folder / "lake", env={"PATH": "/nowhere"})

    assert 0 == done.returncode, done.stderr
    assert "duckdb -cmd" in done.stdout
    assert "READ_ONLY, SNAPSHOT_VERSION" in done.stdout


@pytest.mark.parametrize(
    ("args", "code", "kind"),
    [
        (["refresh", "--json"], 2, "UsageError"),
        (["refresh", "--data", "nowhere", "--json"], 10, "SourceError"),
        (["refresh", "--data", ".", "--source", "pai2021", "--json"], 2, "UsageError"),
        (["land", "--data", ".", "--json"], 10, "SourceError"),
        (["land", "--data", ".", "--cluster", "../../evil", "--json"], 2, "UsageError"),
        (["refresh", "--data", ".", "--cluster", "", "--json"], 2, "UsageError"),
        (["sql", "select 1", "--json"], 2, "UsageError"),
        (["status", "--json"], 2, "UsageError"),
        (["land", "--data", ".", "--lake", "", "--json"], 2, "UsageError"),
        (["report", "--json"], 2, "UsageError"),
        (["verify", "--json"], 2, "UsageError"),
        (["export", "--duckdb", "t.db", "--json"], 2, "UsageError"),
        (["fetch", "pai2021", "--out", "x", "--json"], 2, "UsageError"),
        (["simulate", "pai2021", "--out", "x", "--json"], 2, "UsageError"),
        (["nonsense", "--json"], 2, "UsageError"),
        (["status", "--jsonn", "--json"], 2, "UsageError"),
        (["simulate", "pai2020", "--out", "x", "--scale", "much", "--json"], 2, "UsageError"),
    ],
)
def test_every_failure_is_one_json_object_with_its_exit_code(monkeypatch, tmp_path, capsys, args, code, kind):
    """A program that asked for JSON gets JSON, also when the call itself was wrong; nothing is left behind."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)

    assert code == main(args)
    told = capsys.readouterr()
    error = json.loads(told.out)["error"]
    assert (kind, code) == (error["kind"], error["exit_code"])
    assert error["what"]
    assert "" == told.err
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("args", "named"),
    [
        (["report", "--png", "{file}/days.png"], "{file}"),
        (["report", "--png", "{folder}"], "{folder}"),
        (["report", "--html", "{folder}"], "{folder}"),
        (["export", "--duckdb", "{device}"], "{device}"),
        (["export", "--duckdb", "{folder}"], "{folder}"),
        (["export", "--duckdb", "{folder}/nowhere/t.db"], "{folder}/nowhere"),
        (["simulate", "pai2020", "--days", "1", "--scale", "0.001", "--out", "{file}"], "{file}"),
        (["docs", "--out", "{file}"], "{file}"),
    ],
)
def test_a_place_that_cannot_be_written_to_is_no_bug(refreshed, gpulake_json, tmp_path, args, named):
    """A typing slip in a path is told as one; as root it must not cost the machine its /dev/null."""
    places = {"file": tmp_path / "file", "folder": tmp_path / "folder", "device": tmp_path / "device"}
    places["device"].symlink_to("/dev/null")  # a link, lest a fault of ours costs this machine the real one
    places["file"].write_text("mine")
    places["folder"].mkdir()
    lake = [] if args[0] in {"simulate", "docs"} else ["--lake", refreshed[0] / "lake"]
    code, told = gpulake_json(*(word.format(**places) for word in args), *lake)

    assert (2, "UsageError") == (code, told["error"]["kind"])
    assert told["error"]["where"].startswith(named.format(**places))
    assert "mine" == places["file"].read_text()
    assert places["device"].is_char_device()


@pytest.mark.parametrize("flag", ["--png", "--html"])
def test_what_cannot_be_written_to_its_end_leaves_the_old_file(refreshed, gpulake_json, tmp_path, flag):
    """Whoever mails last night's page must not find half of one there because the disk filled up."""
    file = tmp_path / "kept"
    file.write_text("the old one")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_096, before[1]))
    try:
        code, told = gpulake_json("report", "--lake", refreshed[0] / "lake", flag, file)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert (2, "this cannot be written: File too large.") == (code, told["error"]["what"])
    assert str(file) == told["error"]["where"]
    assert "the old one" == file.read_text()
    assert [file] == list(tmp_path.iterdir())


def test_no_permission_is_no_bug(refreshed, mortal_gpulake, tmp_path):
    """A file that somebody else owns is told with its name, and the command that cannot read it says so."""
    lake = tmp_path / "lake"
    shutil.copytree(refreshed[0] / "lake", lake)
    gold = lake / "data" / "main" / "gold_cluster_util_daily"
    told = []
    for place, command in [(lake / "publication.json", "report"), (gold, "verify")]:
        mode = place.stat().st_mode
        place.chmod(0)
        done = mortal_gpulake(command, "--lake", lake, "--json")
        told.append((done.returncode, object_of(done)["error"]["what"]))
        place.chmod(mode)
    (tmp_path / "gpulake.toml").write_text("")
    (tmp_path / "gpulake.toml").chmod(0)
    settings = mortal_gpulake("status", "--json", cwd=tmp_path)

    (pointer, what), (data, fault) = told
    assert (15, 15) == (pointer, data)
    assert "the publication pointer cannot be read: Permission denied" in what
    assert "gold_cluster_util_daily" in fault
    assert "Permission denied" in fault
    assert (2, "UsageError") == (settings.returncode, object_of(settings)["error"]["kind"])


def test_columns_of_one_name_are_told_apart_in_json(refreshed, gpulake_json):
    """`select * from a join b` must not lose b's columns without a word."""
    query = "select 1 as dt, 2 as dt, 3 as dt_1, 4 as dt"

    assert (0, [{"dt": 1, "dt_2": 2, "dt_1": 3, "dt_3": 4}]) == gpulake_json(
        "sql", "--lake", refreshed[0] / "lake", query
    )


def test_what_was_delivered_cannot_steer_the_terminal(refreshed, cli):
    """A job may be named with the codes that clear a screen or rename a window; they are shown, not obeyed."""
    query = "select chr(27) || '[2J' as name, 'a' || chr(10) || 'b' as lines, 'ü – ok' as words"
    text = cli("sql", "--lake", refreshed[0] / "lake", query).stdout

    assert ["\\x1b[2J  a\\nb   ü – ok"] == text.splitlines()[2:]


@pytest.mark.parametrize(
    "args",
    [["status", "--lake"], ["export", "--duckdb"], ["simulate", "pai2020", "--days", "1", "--scale", "0.001", "--out"]],
)
def test_a_path_of_another_encoding_is_no_bug(refreshed, tmp_path, args):
    """DuckDB and Arrow take UTF-8 only; whoever has another name on the disk is told so."""
    place = os.fsencode(tmp_path) + b"/caf\xe9"
    asked = [sys.executable, "-m", "gpulake", *args, place, "--json"]
    environment = {**os.environ, "GPULAKE_LAKE": str(refreshed[0] / "lake")}
    done = subprocess.run(asked, capture_output=True, text=True, check=False, env=environment)

    assert (2, "UsageError") == (done.returncode, object_of(done)["error"]["kind"])
    assert "not valid UTF-8" in object_of(done)["error"]["what"]


def test_a_query_is_read_as_utf_8_whatever_the_language_setting(refreshed):
    """In a container without a language `select 'é'` must still be that."""
    plain = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    asked = [sys.executable, "-m", "gpulake", "sql", "--lake", refreshed[0] / "lake", "--json"]
    found = [
        subprocess.run([*asked, query], capture_output=True, check=True, env=plain).stdout
        for query in (b"select ascii('\xc3\xa9') as n", b"select ascii('\xff') as n")
    ]

    assert [[{"n": 0xE9}], [{"n": 0xFFFD}]] == [json.loads(text) for text in found]


INTERRUPTIBLE = """
import os, signal, sys, threading
from importlib import import_module
from gpulake.cli import main

owner = import_module("gpulake.{module}")
real = owner.{name}
def and_be_stopped(*args, **options):
    os.kill(os.getpid(), signal.{by})
    return real(*args, **options)
owner.{name} = and_be_stopped
sys.exit(main(sys.argv[1:]))
"""


def land_and_stop(folder, where, by, *, as_json):
    """A landing that gets a signal in front of a call."""
    data = Path(__file__).parents[1] / "fixtures" / "worksheet"
    code = INTERRUPTIBLE.format(by=by, **dict(zip(("module", "name"), where.rsplit(".", 1), strict=True)))
    asked = ["land", "--data", data, "--lake", folder / "lake", *(["--json"] if as_json else [])]
    return subprocess.run([sys.executable, "-c", code, *asked], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("where", ["lake.writer.connect", "landing.landings._land_one"])
def test_a_command_that_is_told_to_end_answers_in_json(tmp_path, where):
    """A scheduler that takes its time back still gets the object it waits for; the shell knows 143 for it."""
    done = land_and_stop(tmp_path, where, "SIGTERM", as_json=True)

    assert 143 == done.returncode, done.stderr
    assert ("EndedError", 143) == tuple(object_of(done)["error"][key] for key in ("kind", "exit_code"))
    assert "Traceback" not in done.stderr


def test_a_command_that_is_told_to_end_without_json_ends_at_once(tmp_path):
    """As every process does: there is nobody to answer."""
    done = land_and_stop(tmp_path, "lake.writer.connect", "SIGTERM", as_json=False)

    assert (-signal.SIGTERM, "", "") == (done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize(
    ("where", "as_json"),
    [
        ("lake.writer.connect", True),
        ("lake.writer.connect", False),
        ("landing.survey", False),
        ("landing.landings._land_one", True),
    ],
)
def test_ctrl_c_is_no_bug(tmp_path, where, as_json):
    """It is told in one line, or one object, with the shell's own code; the next call goes on from there."""
    done = land_and_stop(tmp_path, where, "SIGINT", as_json=as_json)

    assert 130 == done.returncode, done.stderr
    assert "Traceback" not in done.stderr
    if as_json:
        assert "StoppedError" == object_of(done)["error"]["kind"]
    else:
        assert "gpulake: stopped by Ctrl-C.\n" in done.stderr
        assert "" == done.stdout


@pytest.mark.parametrize(
    "args",
    [
        ["status", "--lake", "{lake}"],
        ["status", "--lake", "{lake}", "--json"],
        ["sql", "--lake", "{lake}", "--csv", "from range(90000)"],
    ],
)
@pytest.mark.parametrize(
    ("redirect", "why"), [("> /dev/full", "No space left on device"), (">&-", "standard output is closed")]
)
def test_a_result_that_cannot_be_written_is_told(refreshed, args, redirect, why):
    """`gpulake sql … > file` on a full disk must not look like success, nor like a bug of ours."""
    words = [word.format(lake=refreshed[0] / "lake") for word in args]
    done = subprocess.run(
        ["bash", "-c", f'"$@" {redirect}', "bash", sys.executable, "-m", "gpulake", *words],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert (1, f"gpulake: the result cannot be written: {why}.\n") == (done.returncode, done.stderr)


def test_a_failure_into_a_full_disk_keeps_its_exit_code(tmp_path):
    """The code is all that is left to tell."""
    asked = ["bash", "-c", '"$@" > /dev/full', "bash", sys.executable, "-m", "gpulake", "status", "--json"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False, cwd=tmp_path)

    assert (2, "gpulake: the result cannot be written: No space left on device.\n") == (done.returncode, done.stderr)


def test_closed_streams_take_no_file_of_the_lake(tmp_path):
    """A scheduler may start us with nothing open: a file of the lake must not become the next "standard error"."""
    data = Path(__file__).parents[1] / "fixtures" / "worksheet"
    asked = [sys.executable, "-m", "gpulake", "land", "--data", data, "--lake", tmp_path / "lake"]
    done = subprocess.run(["bash", "-c", '"$@" <&- >&- 2>&-', "bash", *asked], check=False)

    assert 1 == done.returncode, "it could not tell its result"
    with open_newest(tmp_path / "lake") as view:
        assert 3 == view.sql("SELECT count(*) AS n FROM lake.meta.landings")["n"][0].as_py()


def test_a_failure_says_what_where_and_what_to_do(cli, tmp_path):
    """One look at the terminal is enough."""
    done = cli("report", cwd=tmp_path)

    assert 2 == done.returncode
    assert "" == done.stdout
    assert [
        "gpulake: there is no such folder.",
        f"  where: {tmp_path / 'lake'}",
        "  do:    check --lake, or run: gpulake refresh --data DIR",
    ] == done.stderr.splitlines()


BROKEN = """
import sys
from gpulake import cli

@cli.app.command()
def broken(as_json: cli.edge.JsonOption = False) -> None:
    1 / 0

sys.exit(cli.main(["broken", "--json"]))
"""


def test_a_bug_keeps_its_traceback_and_still_answers_in_json(tmp_path):
    """Our own faults are told as such, and programs are not left waiting for an object."""
    done = subprocess.run([sys.executable, "-c", BROKEN], capture_output=True, text=True, check=False, cwd=tmp_path)

    assert 1 == done.returncode
    assert "ZeroDivisionError" == object_of(done)["error"]["kind"]
    assert "Traceback" in done.stderr
    assert "ZeroDivisionError: division by zero" in done.stderr


def test_every_command_takes_the_lake_or_needs_none(capsys, monkeypatch):
    """--lake is where people look for it."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)

    def help_of(*command):
        assert 0 == main([*command, "--help"])
        return capsys.readouterr().out

    def commands_of(*group):
        listed = help_of(*group)
        return [line.split()[0] for line in listed[listed.index("Commands:") :].splitlines()[1:] if line.strip()]

    groups = {"alerts", "collect", "rules", "superset"}
    names = commands_of()
    assert {"refresh", "land", "build", "detect", "publish", "status", "verify", "sql", "export", "shell"} <= set(names)
    for name in set(names) - {"check", "docs", "fetch", "simulate", "template"} - groups:
        assert "--lake DIR" in help_of(name)
    for group in groups:
        assert any("--lake DIR" in help_of(group, name) for name in commands_of(group))


def test_the_module_is_the_command(tmp_path):
    """Where the script is not on PATH, `python -m gpulake` does the same, exit code included."""
    module = [sys.executable, "-m", "gpulake"]
    helped = subprocess.run([*module, "--help"], capture_output=True, text=True, check=True, cwd=tmp_path)
    failed = subprocess.run([*module, "status", "--json"], capture_output=True, text=True, check=False, cwd=tmp_path)

    assert helped.stdout.startswith("Usage: gpulake ")
    assert 2 == failed.returncode
    assert "UsageError" == object_of(failed)["error"]["kind"]


def test_help_loads_no_heavy_library(tmp_path):
    """Asking for help takes a moment, not seconds."""
    code = (
        "import sys; from gpulake.cli import main; main(['refresh', '--help']); "
        "print(sorted({'duckdb', 'pyarrow', 'polars', 'numpy', 'sklearn', 'vl_convert', 'dbt', 'prefect', 'rich'}"
        " & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)

    assert "[]" == done.stderr.strip()


def test_a_closed_pipe_is_no_error(refreshed):
    """`gpulake sql … | head` ends quietly."""
    folder, _, _ = refreshed
    code = "import sys; from gpulake.cli import main; sys.exit(main())"
    done = subprocess.run(
        f"{sys.executable} -c '{code}' sql --lake {folder}/lake 'select * from range(200000)' | head -n 3",
        shell=True,
        capture_output=True,
        text=True,
        check=False,
    )

    assert 3 == done.stdout.count("\n")
    assert "" == done.stderr
