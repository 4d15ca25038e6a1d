"""Landing: each delivery once and whole, refusals with their reasons, and nothing that depends on names or order."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
from contextlib import closing, suppress
from datetime import datetime
from threading import Thread

import pytest

from gpulake import landing, meta
from gpulake.config import ClusterSettings, Config
from gpulake.contract import Column, Delimited, Source, Span, Table
from gpulake.errors import ContractError, LakeError, SourceError
from gpulake.lake import Layout, Writer, writing
from gpulake.lake.connection import connect
from gpulake.landing import recognition
from gpulake.sources import all_sources, gpu_specs, pai2020
from gpulake.tables import META_TABLES, bronze_tables

NOW = datetime(2026, 11, 25, 12)  # noqa: DTZ001  # as the lake keeps it
SOURCES = all_sources()
TABLES = (*META_TABLES, *bronze_tables(SOURCES))


class OpenLake:
    """A new lake with its writer open, as a step has it."""

    def __init__(self, writer):
        self.writer = writer
        self.folder = writer.layout.folder

    def land(self, data, *, clusters=None, **options):
        config = Config(lake=self.folder, clusters=clusters or {})
        return landing.land(self.writer, landing.survey(data, SOURCES), config=config, now=NOW, **options)

    def rows(self, query):
        return self.writer.sql(query).to_pylist()

    def bronze(self, table):
        """Every bronze row as text, without its landing: what must not depend on how it came."""
        return sorted(repr(row) for row in self.rows(f"SELECT * EXCLUDE landing_id FROM lake.main.{table}"))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared")
    with writing(folder, purpose="test", tables=TABLES):
        pass
    return folder


@pytest.fixture(scope="module")
def connection():
    """One DuckDB for all: loading its extensions takes longer than most tests."""
    with closing(connect()) as connection:
        yield connection


@pytest.fixture
def lake(connection, prepared, tmp_path):
    layout = Layout(shutil.copytree(prepared, tmp_path / "lake"))
    writer = Writer(layout, lock_fd=-1)
    writer._duckdb = connection
    yield OpenLake(writer)
    writer._detach()


@pytest.fixture
def data(tmp_path, pai):
    """A job, two good metric windows with a bad one between them, and two machines."""
    folder = tmp_path / "data"
    pai.write(folder / "pai_job_table.csv", [pai.job(1)])
    pai.write(folder / "pai_machine_metric.csv", [pai.metric(1), pai.metric(2, gpu="many"), pai.metric(3)])
    pai.write(folder / "pai_machine_spec.csv", [pai.spec(1), pai.spec(2)])
    return folder


# -------------------------------------------------------------------------------------------- once, whole


def test_rows_in_are_rows_kept_and_refused(lake, data):
    """A row that is in neither count has vanished."""
    report = lake.land(data)

    counts = {landing.table: (landing.rows_in, landing.rows_kept, landing.rows_refused) for landing in report.landings}
    assert {"pai_job_table": (1, 1, 0), "pai_machine_metric": (3, 2, 1), "pai_machine_spec": (2, 2, 0)} == counts
    recorded = lake.rows("SELECT table_name, rows_in, rows_kept, rows_refused FROM lake.meta.landings")
    assert counts == {row["table_name"]: (row["rows_in"], row["rows_kept"], row["rows_refused"]) for row in recorded}
    assert [1, 3] == [
        row["source_row"] for row in lake.rows("FROM lake.main.bronze_machine_metrics ORDER BY source_row")
    ]


def test_the_same_bytes_land_once(lake, data):
    """A folder that is delivered again adds no row and makes no version."""
    first = lake.land(data)
    before = lake.rows("SELECT max(snapshot_id) AS v FROM lake.snapshots()")
    again = lake.land(data)

    assert ["already"] * 3 == [landing.status for landing in again.landings]
    assert () == again.landed
    assert before == lake.rows("SELECT max(snapshot_id) AS v FROM lake.snapshots()")
    kept = {landing.landing_id: landing.rows_kept for landing in first.landings}
    assert kept == {landing.landing_id: landing.rows_kept for landing in again.landings}


def test_a_table_as_csv_and_as_archives_is_one_landing(lake, tmp_path, pai):
    """Somebody who unpacks the archive beside it must not double the cluster."""
    text = (pai.spec(1) + "\n" + pai.spec(2) + "\n").encode()
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "pai_machine_spec.csv").write_bytes(text)
    pai.gz(folder / "renamed.csv.gz", text)
    pai.tar(folder / "pai_machine_spec.tar.gz", [("pai_machine_spec.csv", text)])
    pai.tar(folder / "mac.tgz", [("._pai_machine_spec.csv", b"\0\5\x16\7"), ("pai_machine_spec.csv", text)])
    report = lake.land(folder)

    assert ["already", "already", "already", "landed"] == sorted(landing.status for landing in report.landings)
    assert 1 == len({landing.landing_id for landing in report.landings})
    assert 2 == len(lake.bronze("bronze_machine_spec"))


def test_what_lies_beside_the_table_in_its_archive_is_listed(lake, tmp_path, pai):
    """Nothing of a delivery vanishes without a word: also when its bytes are known, remembered, or only foreseen."""
    file = pai.tar(tmp_path / "spec.tar.gz", [("doc/LICENSE", b"CC-BY 4.0"), ("a.csv", (pai.spec(1) + "\n").encode())])
    memory = landing.Memory(tmp_path / "files.json")
    foreseen = landing.foresee(landing.survey(file, SOURCES), cluster=None, landed=frozenset())
    reports = [lake.land(file, memory=memory), lake.land(file, memory=memory)]

    assert ["landed", "already"] == [report.landings[0].status for report in reports]
    for report in (foreseen, *reports):
        assert [(file / "doc" / "LICENSE", "not a table of this source")] == [
            (other.path, other.reason) for other in report.unrecognised
        ]


def test_the_landing_id_is_the_written_down_one(lake, data):
    """It names deliveries in decisions, logs and other tools: it must not drift."""
    report = lake.land(data)
    sha256 = hashlib.sha256((data / "pai_job_table.csv").read_bytes()).hexdigest()
    named = hashlib.sha256(f"pai2020\0pai2020\0pai_job_table\0{sha256}".encode()).hexdigest()

    assert [named] == [landing.landing_id for landing in report.landings if landing.table == "pai_job_table"]


def test_another_cluster_is_another_landing(lake, data):
    """Two clusters may well deliver equal files; a reference table belongs to neither."""
    lake.land(data)
    lake.land(data, cluster="ours")
    lake.land(gpu_specs.SHIPPED, cluster="ours")

    found = lake.rows("SELECT cluster_id, count(*) AS n FROM lake.meta.landings GROUP BY ALL ORDER BY ALL")
    assert {"gpu_specs": 1, "ours": 3, "pai2020": 3} == {row["cluster_id"]: row["n"] for row in found}
    clusters = lake.rows("SELECT cluster_id FROM lake.meta.clusters ORDER BY ALL")
    assert ["ours", "pai2020"] == [row["cluster_id"] for row in clusters]


def test_the_order_of_landings_is_irrelevant(tmp_path, pai):
    """Deliveries come late and out of order; bronze must not show it."""
    files = [
        pai.write(tmp_path / "data" / f"{n}" / "pai_machine_metric.csv", [pai.metric(n * 10 + m) for m in range(3)])
        for n in range(3)
    ]
    landed = []
    for order in [(0, 1, 2), (0, 2, 1), (2, 1, 0)]:
        with writing(tmp_path / f"lake {order}", purpose="test", tables=TABLES) as writer:
            for number in order:
                OpenLake(writer).land(files[number])
            landed.append(OpenLake(writer).bronze("bronze_machine_metrics"))

    assert 9 == len(landed[0])
    assert [landed[0]] * 3 == landed


def test_landings_are_numbered_in_their_order(lake, tmp_path, pai):
    """The later landing wins over an equal key, so "later" must be a fact."""
    for number in range(3):
        lake.land(pai.write(tmp_path / f"pai_job_table.{number}.csv", [pai.job(number)]))

    found = lake.rows("SELECT landing_no, file_name FROM lake.meta.landings ORDER BY landing_no")
    assert [(n + 1, f"pai_job_table.{n}.csv") for n in range(3)] == [(r["landing_no"], r["file_name"]) for r in found]


def test_recordings_of_a_server_land_in_order_of_time(lake, tmp_path):
    """A machine has what it had from the first recording on: a long recording of Monday is no news after a short one of Sunday."""
    point = '[%d,"1"]'
    series = '{"metric":{"__name__":"up"},"values":[%s]}'
    reply = '{"status":"success","data":{"resultType":"matrix","result":[%s]}}'
    for name, start, points in (("a", 1_782_972_000, 1), ("b", 1_782_885_600, 2), ("c", 1_782_799_200, 3)):
        values = ",".join(point % (start + 30 * step) for step in range(points))
        (tmp_path / f"{name}.json").write_text(reply % (series % values))
    (tmp_path / "page.prom").write_text('# scraped_at 2026-07-01T12:00:00Z\nup 1\nup{a="b"} 1\n')

    landed = lake.land(tmp_path, cluster="c").landings

    # by size a, b, c; the page was shown at noon of the day of b, which began at six
    assert ["c.json", "b.json", "page.prom", "a.json"] == [each.file_name for each in landed]


def test_one_landing_is_one_transaction_that_carries_its_id(lake, data):
    """Afterwards it can be said which commit brought which rows."""
    report = lake.land(data)

    commits = lake.rows("SELECT commit_extra_info->>'landing_id' AS id FROM lake.snapshots()")
    ids = [row["id"] for row in commits if row["id"]]
    assert sorted(landing.landing_id for landing in report.landings) == sorted(ids)


def test_event_times_are_utc_of_the_rows_kept(lake, tmp_path, pai):
    """The calendar of a cluster comes from here: a refused row must not open a day."""
    metrics = [
        pai.metric(1, start=86_400, end=90_000),
        pai.metric(2, start=0, end=172_800),
        pai.metric(3, start=9, end=5),
    ]
    lake.land(pai.write(tmp_path / "pai_machine_metric.csv", metrics))

    (found,) = lake.rows("SELECT min_event_at, max_event_at FROM lake.meta.landings")
    assert datetime(1970, 1, 2) == found["min_event_at"]  # noqa: DTZ001
    assert datetime(1970, 1, 3) == found["max_event_at"]  # noqa: DTZ001


def test_bronze_is_as_delivered(lake, tmp_path, pai):
    """Zero stays zero, nothing stays nothing, floats keep every digit; meaning is given later and can be mended."""
    lines = [pai.task(1, start="0.0", gpu="", mem="29.296875"), pai.task(2, cpu="0.1", end="")]
    lake.land(pai.write(tmp_path / "pai_task_table.csv", lines))

    one, two = lake.rows("FROM lake.main.bronze_task_table ORDER BY source_row")
    assert (0.0, None, 29.296875) == (one["start_time"], one["plan_gpu"], one["plan_mem"])
    assert (0.1, None) == (two["plan_cpu"], two["end_time"])


# ---------------------------------------------------------------------------------------------- quarantine


def test_a_refused_row_is_kept_whole_with_file_line_and_reason(lake, data, pai):
    """What is needed to repair it at its source."""
    report = lake.land(data)

    (metrics,) = (landing for landing in report.landings if landing.table == "pai_machine_metric")
    assert [
        {
            "landing_id": metrics.landing_id,
            "file_name": "pai_machine_metric.csv",
            "source_row": 2,
            "reason": "machine_gpu is not a number: 'many'",
            "raw_text": pai.metric(2, gpu="many"),
        }
    ] == lake.rows("FROM lake.meta.quarantine")
    assert {"machine_gpu is not a number": 1} == metrics.reasons


def test_a_delivery_of_bad_rows_only_is_refused_and_leaves_nothing(lake, tmp_path, pai, data):
    """It says which line to look at first; what else was delivered lands."""
    pai.write(data / "pai_sensor_table.csv", ["", "bad", "worse"])
    report = lake.land(data)

    (refused,) = report.refused
    assert isinstance(refused.error, ContractError)
    assert "no row of 2 is a row of pai_sensor_table" in refused.error.what
    assert f"{data / 'pai_sensor_table.csv'}:2" == refused.error.where
    assert 3 == len(report.landings)
    assert [] == lake.rows("SELECT * FROM lake.meta.landings WHERE table_name = 'pai_sensor_table'")
    assert [] == list((lake.folder / "data").rglob("*sensor*/*.parquet"))


def test_an_unknown_status_or_machine_is_never_refused(lake, tmp_path, pai):
    """The world knows words that we do not."""
    lines = [pai.instance(1, status="Vanished"), pai.instance(2, machine=99)]
    report = lake.land(pai.write(tmp_path / "pai_instance_table.csv", lines))

    assert [2] == [landing.rows_kept for landing in report.landings]


# -------------------------------------------------------------------------------------------- local time

SHIFTS = Source(
    name="shifts",
    title="Local times without a zone",
    licence="none: written for this test",
    tables=(
        Table(
            name="shift",
            bronze="bronze_shift",
            key=("who",),
            stems=("shift",),
            format=Delimited("\t", suffixes=(".tsv",)),
            span=Span("start", "end"),
            columns=(Column("who", "text", required=True), Column("start", "time"), Column("end", "time")),
        ),
    ),
)


def test_local_times_are_those_of_the_clusters_zone(tmp_path):
    """Each cluster writes its own clock: the same bytes are other hours in Berlin than in New York."""
    (tmp_path / "shift.tsv").write_text("who\tstart\tend\na\t2026-10-25T02:30:00\t2026-10-25T09:00:00\n")
    zones = {"berlin": "Europe/Berlin", "york": "America/New_York"}
    config = Config(lake=tmp_path / "lake", clusters={name: ClusterSettings(zone) for name, zone in zones.items()})
    with writing(tmp_path / "lake", purpose="test", tables=(*META_TABLES, *bronze_tables([SHIFTS]))) as writer:
        for cluster in zones:
            surveyed = landing.survey(tmp_path, [SHIFTS])
            (landed,) = landing.land(writer, surveyed, config=config, now=NOW, cluster=cluster).landings
        found = writer.sql(
            'SELECT cluster_id, start, "end", times_unknown, max_event_at FROM lake.main.bronze_shift '
            "JOIN lake.meta.landings USING (landing_id) ORDER BY ALL"
        ).to_pylist()

    eight, thirteen = datetime(2026, 10, 25, 8), datetime(2026, 10, 25, 13)  # noqa: DTZ001
    assert [
        ("berlin", None, eight, 1, eight),
        ("york", datetime(2026, 10, 25, 6, 30), thirteen, 0, thirteen),  # noqa: DTZ001
    ] == [tuple(row.values()) for row in found]
    assert 0 == landed.times_unknown


# ----------------------------------------------------------------------------------------- refused files


@pytest.mark.parametrize("content", [b"", b"\x1f\x8b\x08\x00cut", b"\n"])
def test_a_file_that_cannot_be_read_is_refused_and_the_rest_lands(lake, data, content):
    """One bad download must not hold up the others."""
    (data / "pai_task_table.csv").write_bytes(content)
    report = lake.land(data)

    assert ["pai_task_table.csv"] == [refused.path.name for refused in report.refused]
    assert isinstance(report.refused[0].error, SourceError)
    assert 3 == len(report.landed)


def test_a_truncated_archive_is_refused_and_lands_when_it_is_whole(lake, tmp_path, pai):
    """The half lands nowhere, and is not remembered."""
    lines = "".join(f"{pai.spec(number)}\n" for number in range(2000)).encode()
    file = pai.gz(tmp_path / "pai_machine_spec.csv.gz", lines)
    whole = file.read_bytes()
    file.write_bytes(whole[:-20])
    memory = landing.Memory(tmp_path / "files.json")
    refused = lake.land(file, memory=memory)
    version = lake.rows("SELECT max(snapshot_id) AS v FROM lake.snapshots()")
    again = lake.land(file, memory=memory)

    assert [1, 1] == [len(refused.refused), len(again.refused)]
    assert version == lake.rows("SELECT max(snapshot_id) AS v FROM lake.snapshots()")
    file.write_bytes(whole)
    assert [2000] == [landing.rows_kept for landing in lake.land(file, memory=memory).landings]


def test_a_file_that_changes_while_it_is_read_is_refused(lake, data, monkeypatch, pai):
    """What was hashed and what was parsed would be two things under one name."""
    victim = data / "pai_job_table.csv"
    real = recognition.digest

    def digest_then_append(delivery, **options):
        digested = real(delivery, **options)
        if delivery.path == victim:
            with victim.open("a") as file:
                file.write(pai.job(2) + "\n")
        return digested

    monkeypatch.setattr(recognition, "digest", digest_then_append)
    report = lake.land(data)

    (refused,) = report.refused
    assert "changed while it was read" in refused.error.what
    assert str(victim) == refused.error.where
    assert [] == list((lake.folder / "data").rglob("bronze_job_events/*.parquet"))
    assert 2 == len(report.landed)
    monkeypatch.undo()
    assert [2] == [landing.rows_kept for landing in lake.land(victim).landings]


def test_a_file_that_vanishes_is_refused(lake, data, pai):
    """Somebody tidied the folder meanwhile: that is an error of the delivery, not a crash of ours."""
    surveyed = landing.survey(data, SOURCES)
    (data / "pai_job_table.csv").unlink()
    memory = landing.Memory(data.parent / "files.json")
    report = landing.land(lake.writer, surveyed, config=Config(lake=lake.folder), now=NOW, memory=memory)

    (refused,) = report.refused
    assert isinstance(refused.error, SourceError)
    assert 2 == len(report.landed)


def test_links_and_pipes(lake, data):
    """A dangling link that is named as a table is refused; a pipe would block for ever and is no file."""
    (data / "pai_sensor_table.csv").symlink_to(data / "gone")
    (data / "other.csv").symlink_to(data / "gone")
    os.mkfifo(data / "pai_task_table.csv")
    (data / "folder.csv").mkdir()
    (data / ".hidden.csv").write_text("x")
    (data / "._pai_job_table.csv").write_bytes(b"\0\5\x16\7")
    report = lake.land(data)

    assert ["pai_sensor_table.csv"] == [refused.path.name for refused in report.refused]
    left = {other.path.name: other.reason for other in report.unrecognised}
    assert {"other.csv", "pai_task_table.csv", ".hidden.csv", "._pai_job_table.csv"} == set(left)
    assert "named as pai_task_table, but neither a file nor a folder" == left["pai_task_table.csv"]
    assert 3 == len(report.landed)


def test_a_full_disk_is_an_error_of_the_lake(lake, data, pai):
    """Exit code 15, not 10: no fetching again helps; the version stays as it was."""
    lake.land(data)
    job = pai.write(data.parent / "pai_job_table.2.csv", [pai.job(2)])
    sha256 = hashlib.sha256(job.read_bytes()).hexdigest()
    landing_id = hashlib.sha256(f"pai2020\0pai2020\0pai_job_table\0{sha256}".encode()).hexdigest()
    part = lake.folder / "data" / "main" / "bronze_job_events" / f"ducklake-{landing_id[:24]}-00000.parquet"
    part.symlink_to("/dev/full")
    before = lake.rows("SELECT max(snapshot_id) AS v FROM lake.snapshots()")

    with pytest.raises(LakeError, match="cannot be written"):
        lake.land(job)
    assert before == lake.rows("SELECT max(snapshot_id) AS v FROM lake.snapshots()")
    part.unlink()
    assert 1 == len(lake.land(job).landed)


def test_a_wrong_checksum_refuses_nothing(lake, tmp_path, pai):
    """Only `fetch` may insist on the publisher's bytes: people land extracts and corrections."""
    report = lake.land(pai.write(tmp_path / "pai_machine_spec.csv", [pai.spec(1)]))

    assert [(1, False)] == [(landing.rows_kept, landing.published_bytes) for landing in report.landings]


def test_ctrl_c_does_not_wait_for_a_file_to_be_hashed(lake, data):
    """Somebody who stops a landing of a hundred GB must not sit through the hash of its largest file."""
    surveyed = landing.survey(data / "pai_job_table.csv", SOURCES)
    (data / "pai_job_table.csv").unlink()
    os.mkfifo(data / "pai_job_table.csv")  # a file without end
    written = []

    def write_and_press_ctrl_c():
        with suppress(BrokenPipeError), (data / "pai_job_table.csv").open("wb", buffering=0) as pipe:
            for number in range(2_000):
                written.append(pipe.write(bytes(1 << 20)))
                if number == 5:
                    os.kill(os.getpid(), signal.SIGINT)

    writer = Thread(target=write_and_press_ctrl_c)
    writer.start()
    with pytest.raises(KeyboardInterrupt):
        landing.land(lake.writer, surveyed, config=Config(lake=lake.folder), now=NOW)
    writer.join()

    assert len(written) < 2_000


# ------------------------------------------------------------------------------------------------ survey


@pytest.mark.parametrize(
    ("made", "what"),
    [
        (None, "there is no such file or folder"),
        ({}, "none of its 0 files"),
        ({"notes.csv": "a,b\n1,2\n", "readme.md": "x"}, "none of its 2 files"),
        ({"openb_pod_list_gpushare40.csv": "name\nx\n"}, "the same pod names, other pods behind them."),
    ],
)
def test_a_delivery_without_tables_is_an_error(tmp_path, made, what):
    """A typing slip in --data must not look like "nothing new"."""
    folder = tmp_path / "data"
    if made is not None:
        folder.mkdir()
        for name, content in made.items():
            (folder / name).write_text(content)

    with pytest.raises(SourceError, match=what) as told:
        landing.survey(folder, SOURCES)
    assert str(folder) == told.value.where
    assert told.value.do


def test_tables_are_found_below_folders(lake, tmp_path, pai):
    """Deliveries by month come in folders."""
    pai.write(tmp_path / "data" / "july" / "week 1" / "pai_job_table.csv", [pai.job(1)])
    pai.write(tmp_path / "data" / "august" / "pai_job_table.csv", [pai.job(2)])

    assert 2 == len(lake.land(tmp_path / "data").landed)


def test_what_would_land_is_foreseen_without_a_lake(lake, data):
    """--dry-run tells the truth: the same names, and "already" for what is there."""
    surveyed = landing.survey(data, SOURCES)
    foreseen = landing.foresee(surveyed, cluster=None, landed=frozenset())
    report = lake.land(data)
    there = meta.landed_bytes(lake.writer)
    then = landing.foresee(surveyed, cluster=None, landed=there)

    assert {"would land"} == {landing.status for landing in foreseen.landings}
    assert {"already"} == {landing.status for landing in then.landings}
    assert {landing.landing_id for landing in report.landings} == {landing.landing_id for landing in foreseen.landings}


# ----------------------------------------------------------------------------------------- there and back


@pytest.fixture
def corrected(lake, tmp_path, pai):
    """A day's windows, delivered and then corrected: the first file, and the landing reports."""
    first = pai.write(tmp_path / "1" / "pai_machine_metric.csv", [pai.metric(1, gpu="50.0"), pai.metric(2)])
    second = pai.write(tmp_path / "2" / "pai_machine_metric.csv", [pai.metric(1, gpu="80.0")])
    reports = lake.land(first), lake.land(second)
    assert ["", ""] == [report.landings[0].note for report in reports]
    return first


def test_what_stands_for_a_file_is_told(lake, corrected):
    """Delivered again it changes nothing; without a word, people would look for the old figures in vain."""
    (again,) = lake.land(corrected).landings

    assert "already" == again.status
    assert "landing 2 (pai_machine_metric.csv, 2026-11-25 12:00 UTC) stands for 1 of its rows" in again.note
    both = lake.land(corrected.parents[1])
    assert ["already"] * 2 == [landing.status for landing in both.landings]
    assert {""} == {landing.note for landing in both.landings}, "who delivers both means the later one"


def test_again_lands_once_more_as_the_latest(lake, corrected):
    """A mistaken correction is taken back; once, also where the call is tried again."""
    surveyed = landing.survey(corrected, SOURCES)
    there, latest = meta.landed_bytes(lake.writer), meta.landed_bytes(lake.writer, latest_only=True)
    (foreseen,) = landing.foresee(surveyed, cluster=None, landed=there, latest=latest).landings
    (once,), (twice,) = (lake.land(corrected, again=True).landings for _ in range(2))

    assert ["would land", "landed", "already"] == [each.status for each in (foreseen, once, twice)]
    assert once.landing_id == twice.landing_id
    found = lake.rows(
        "SELECT landing_no, machine_gpu FROM lake.main.bronze_machine_metrics JOIN lake.meta.landings USING (landing_id) "
        "WHERE worker_name LIKE '%1' ORDER BY ALL"
    )
    assert [(1, 50.0), (2, 80.0), (3, 50.0)] == [tuple(row.values()) for row in found]


def test_what_corrects_is_noted_and_lands_once_more_for_it(lake, tmp_path, pai):
    """A table of machines that has landed as a change could not be declared to have been so always."""
    folder = tmp_path / "machines"
    pai.write(folder / "pai_machine_spec.csv", [pai.spec(1)])
    statuses = [
        lake.land(folder, **said).landings[0].status for said in ({}, {"corrects": True}, {"corrects": True}, {})
    ]

    assert ["landed", "landed", "already", "already"] == statuses
    found = lake.rows("SELECT landing_no, corrects FROM lake.meta.landings ORDER BY ALL")
    assert [(1, False), (2, True)] == [tuple(row.values()) for row in found]


def test_a_later_landing_of_other_times_or_keys_stands_for_nothing(lake, tmp_path, pai):
    """Daily files follow each other, and none of them takes another's place."""
    day = [pai.write(tmp_path / f"{n}" / "pai_machine_metric.csv",
                     [pai.metric(1, start=n * 86_400 + 60, end=n * 86_400 + 120)]) for n in (1, 2)]  # fmt: skip
    specs = [pai.write(tmp_path / f"{n}" / "pai_machine_spec.csv", [pai.spec(n)]) for n in (1, 2)]
    for file in (*day, *specs):
        lake.land(file)

    assert ["", ""] == [lake.land(file).landings[0].note for file in (day[0], specs[0])]


# ------------------------------------------------------------------------------------------------ memory


def test_a_remembered_file_is_not_hashed_again_unless_asked(lake, data, monkeypatch):
    """Two GB are not read each night to learn that nothing is new; --rehash reads them."""
    memory = landing.Memory(data.parent / "files.json")
    lake.land(data, memory=memory)
    memory.save()
    hashed = []
    real = recognition.digest
    monkeypatch.setattr(
        recognition, "digest", lambda delivery, **_: hashed.append(delivery.path.name) or real(delivery)
    )

    lake.land(data, memory=landing.Memory(data.parent / "files.json"))
    assert [] == hashed
    lake.land(data, memory=memory, rehash=True)
    assert 3 == len(hashed)


def test_a_file_name_of_another_encoding_lands(lake, tmp_path, pai):
    """Whoever unpacked it on another machine must not have to rename it."""
    (tmp_path / "data").mkdir()
    name = os.fsencode(tmp_path / "data") + b"/pai_job_table.\xe9t\xe9.csv"
    with open(name, "w") as file:  # noqa: PTH123  # a path of bytes
        file.write(pai.job(1) + "\n" + "bad\n")
    lake.land(tmp_path / "data")

    assert [{"file_name": "pai_job_table.\ufffdt\ufffd.csv"}] == lake.rows("SELECT file_name FROM lake.meta.landings")
    assert [{"file_name": "pai_job_table.\ufffdt\ufffd.csv"}] == lake.rows("SELECT file_name FROM lake.meta.quarantine")


def test_what_cannot_be_remembered_is_read_again(lake, data):
    """Memory spares work and never decides, so a full disk there must not undo a landing."""
    memory = landing.Memory(data.parent / "files.json")
    lake.land(data, memory=memory)
    (data.parent / "files.json").mkdir()
    memory.save()

    assert 3 == len(lake.land(data, memory=landing.Memory(data.parent / "files.json")).landings)


@pytest.mark.parametrize("change", ["content", "same size", "touched", "replaced"])
def test_a_changed_file_is_hashed_again(lake, data, monkeypatch, change, pai):
    """Memory spares work and never decides: size, time and inode must all be as they were."""
    memory = landing.Memory(data.parent / "files.json")
    lake.land(data, memory=memory)
    file = data / "pai_job_table.csv"
    match change:
        case "content":
            pai.write(file, [pai.job(1), pai.job(2)])
        case "same size":
            pai.write(file, [pai.job(3)])
        case "touched":
            os.utime(file, ns=(1, 1))
        case "replaced":
            stat = file.stat()
            file.rename(data.parent / "old.csv")
            pai.write(file, [pai.job(1)])
            os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    hashed = []
    real = recognition.digest
    monkeypatch.setattr(
        recognition, "digest", lambda delivery, **_: hashed.append(delivery.path.name) or real(delivery)
    )
    report = lake.land(data, memory=memory)

    assert ["pai_job_table.csv"] == hashed
    assert (1 if change in {"content", "same size"} else 0) == len(report.landed)


def test_an_archive_that_is_taken_for_another_table_is_hashed_again(lake, tmp_path, pai):
    """With another --source another file of it is the table: the first one's bytes must not name its landing."""
    texts = {"pai_job_table.csv": (pai.job(1) + "\n").encode(), "gpu_specs.csv": gpu_specs.SHIPPED.read_bytes()}
    file = pai.tar(tmp_path / "both.tar.gz", list(texts.items()))
    memory = landing.Memory(tmp_path / "files.json")
    for source in (pai2020.SOURCE, gpu_specs.SOURCE):
        surveyed = landing.survey(file, [source])
        landing.land(lake.writer, surveyed, config=Config(lake=lake.folder), now=NOW, memory=memory)

    found = lake.rows("SELECT table_name, file_sha256 FROM lake.meta.landings")
    assert {name.removesuffix(".csv"): hashlib.sha256(text).hexdigest() for name, text in texts.items()} == {
        row["table_name"]: row["file_sha256"] for row in found
    }


@pytest.mark.parametrize("text", ["", "{", "[]", '{"x": 3}', "null", "\0"])
def test_a_damaged_memory_is_forgotten(lake, data, text):
    """It is a cache: whatever it holds, the landing is right."""
    file = data.parent / "files.json"
    file.write_text(text)

    assert 3 == len(lake.land(data, memory=landing.Memory(file)).landed)


# ---------------------------------------------------------------------------------------------- clusters


def test_a_cluster_is_noted_with_its_zone_once(lake, data):
    """Days of one cluster are days of one zone; a second landing changes nothing."""
    lake.land(data)
    lake.land(data, cluster="ours", clusters={"ours": ClusterSettings("Europe/Berlin", "real")})

    found = lake.rows("SELECT cluster_id, source, time_zone, time_basis FROM lake.meta.clusters ORDER BY ALL")
    assert [
        ("ours", "pai2020", "Europe/Berlin", "real"),
        ("pai2020", "pai2020", "Asia/Shanghai", "offset"),
    ] == [tuple(row.values()) for row in found]


def test_changed_settings_of_a_cluster_are_noted(lake, data):
    """Else a corrected zone in gpulake.toml would do nothing; unchanged ones make no version."""
    lake.land(data)
    versions = []
    for zone in ("UTC", "UTC"):
        config = Config(lake=lake.folder, clusters={"pai2020": ClusterSettings(zone)})
        landing.settle_clusters(lake.writer, SOURCES, config=config, now=NOW)
        versions.append(lake.writer.version())

    assert versions[0] == versions[1]
    assert [{"time_zone": "UTC"}] == lake.rows("SELECT time_zone FROM lake.meta.clusters")


# --------------------------------------------------------------------------------------------- real bytes


def test_the_publishers_bytes_are_known_as_such(lake, real_trace):
    """A figure can say that it stands on the published table."""
    report = lake.land(real_trace / "pai_machine_spec.csv")

    assert [(1897, True)] == [(landing.rows_kept, landing.published_bytes) for landing in report.landings]
