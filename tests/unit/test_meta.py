"""What the lake's records say: what is pending, what is stale, and when everything must be built again."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime

import duckdb
import pytest

from gpulake import meta
from gpulake.lake import writing
from gpulake.tables import BUILDS, CLUSTERS, FULL_BUILD_STARTS, LANDINGS, PUBLICATIONS, PUBLISHED_LANDINGS

NOW = datetime(2026, 11, 25, 12)  # noqa: DTZ001  # as the lake keeps it


class Records:
    """A lake of nothing but records, written by hand; what a test adds is undone after it."""

    def __init__(self, writer):
        self.writer = writer

    def add(self, table, **given):
        self.writer.insert(table, [[given.get(name) for name, _ in table.columns]])

    def land(self, number, *, source="pai2020", table="pai_job_table", bronze="bronze_job_events"):
        facts = {"source": source, "table_name": table, "bronze_table": bronze}
        self.add(LANDINGS, landing_id=f"landing {number}", landing_no=number, **facts)

    def build(self, build_id, *, of="these", full=False, through=0):
        if full:
            self.add(FULL_BUILD_STARTS, from_version=build_id - 1, fingerprint=of)
        facts = {"fingerprint": of, "full_build": full, "through_landing_no": through, "rows_json": '{"gold_jobs": 2}'}
        self.add(BUILDS, build_id=build_id, built_at=NOW, **facts)

    def publish(self, build_id, *landings, of="these"):
        self.add(PUBLICATIONS, build_id=build_id, data_version=1, published_at=NOW, fingerprint=of)
        for number in landings:
            self.add(PUBLISHED_LANDINGS, build_id=build_id, landing_id=f"landing {number}")


@pytest.fixture(scope="module")
def writer(tmp_path_factory):
    with writing(tmp_path_factory.mktemp("lake"), purpose="test") as writer:
        yield writer


@pytest.fixture
def records(writer):
    class UndoneError(Exception):
        pass

    with pytest.raises(UndoneError), writer.transaction("test"):  # noqa: PT012
        yield Records(writer)
        raise UndoneError


def test_an_empty_lake_answers_every_question(records):
    """The first refresh asks them all before anything is there."""
    view = records.writer

    assert (frozenset(), None, 0, (), [], 0) == (
        meta.landed_bytes(view), meta.last_landing(view), meta.last_landing_no(view), meta.pending(view),
        meta.landed_sources(view), meta.quarantined_rows(view),
    )  # fmt: skip
    assert ({}, [], None, None, ()) == (
        meta.clusters(view), meta.windows(view), meta.last_build(view), meta.scored_version(view, 1),
        meta.publications(view),
    )  # fmt: skip
    assert meta.is_stale(view, "these")
    assert meta.must_be_full(view, "these", shaping=frozenset())
    assert not meta.is_changed_since(view, 0)


def test_a_landing_is_pending_until_a_publication_includes_it(records):
    """What is left out would never be built; what is built twice is a waste."""
    for number in (3, 1, 2, 4):
        records.land(number)
    records.publish(7, 1)

    assert [2, 3, 4] == [waiting.landing_no for waiting in meta.pending(records.writer)]
    # Landing 4 came while build 9 was running: the next publication does not hold it.
    assert [2, 3] == [waiting.landing_no for waiting in meta.pending(records.writer, through=3)]
    assert 4 == meta.last_landing_no(records.writer)


def test_what_landed_is_told_by_source(records):
    """A full build plans for these alone: one left out is a table without its rows."""
    records.land(1)
    records.land(2, source="gpu_specs", table="tpu_gpus", bronze="bronze_gpu_specs")
    records.land(3, source="gpu_specs", table="gpu_specs", bronze="bronze_gpu_specs")

    assert ["gpu_specs", "pai2020"] == meta.landed_sources(records.writer)


@pytest.mark.parametrize(
    ("happened", "stale"),
    [
        (lambda records: None, False),
        (lambda records: records.land(2), True),
        (lambda records: records.build(9), True),  # built, and never published
        (lambda records: records.add(FULL_BUILD_STARTS, from_version=9, fingerprint="these"), True),  # cut off
        (lambda records: (records.build(9, of="others"), records.publish(9, of="others")), True),
    ],
)
def test_a_publication_is_stale_when_it_is_not_what_would_be_published(records, happened, stale):
    """Taken for fresh, people read yesterday's figures; taken for stale, each night builds for nothing."""
    records.land(1)
    records.build(5, full=True, through=1)
    records.publish(5, 1)
    happened(records)

    assert stale == meta.is_stale(records.writer, "these")


@pytest.mark.parametrize(
    ("happened", "full"),
    [
        (lambda records: None, False),
        (lambda records: records.land(2), False),
        (lambda records: records.land(2, table="pai_machine_spec"), True),
        (lambda records: records.land(2, source="slurm", table="slurm_job"), True),
        (lambda records: records.build(9, of="others", full=True), True),
        (lambda records: records.add(FULL_BUILD_STARTS, from_version=9, fingerprint="these"), True),
    ],
)
def test_everything_is_built_again_where_days_of_two_kinds_would_stand_together(records, happened, full):
    """Other definitions, a full build that was cut off, a machine table, a source that was never built: each makes days wrong."""
    records.land(1)
    records.build(5, full=True, through=1)
    records.publish(5, 1)
    happened(records)

    assert full == meta.must_be_full(records.writer, "these", shaping={("pai2020", "pai_machine_spec")})


def test_the_last_build_knows_its_rows(records):
    """The publication carries them, and the flow's artifact shows them."""
    records.build(5)
    records.build(8, full=True, through=3)

    assert meta.Build(8, NOW, "these", True, 3, {"gold_jobs": 2}) == meta.last_build(records.writer)


def test_the_fingerprint_is_of_definitions_settings_and_sources(records):
    """It decides whether all is built again: what shapes a figure must be in it, and when it was noted must not."""
    note = {"cluster_id": "pai2020", "source": "pai2020", "time_basis": "offset", "pools": "gpu_model"}
    records.land(1)
    records.add(CLUSTERS, **note, time_zone="Asia/Shanghai", noted_at=NOW)
    first = meta.fingerprint(records.writer, "models")
    prints = [first, meta.fingerprint(records.writer, "other models")]
    records.writer.delete(CLUSTERS, "true", [])
    records.add(CLUSTERS, **note, time_zone="UTC", noted_at=NOW)
    prints.append(meta.fingerprint(records.writer, "models"))
    records.land(2, source="openb2023")
    prints.append(meta.fingerprint(records.writer, "models"))
    records.land(3)
    later = meta.fingerprint(records.writer, "models")

    assert 4 == len(set(prints))
    assert prints[-1] == later
    assert {"pai2020": ("pai2020", ("UTC", "offset", "gpu_model"))} == meta.clusters(records.writer)


def test_a_publication_that_was_forgotten_is_told_as_such(records):
    """`diff` and `explain --as-of` must not offer a build that can no longer be read."""
    records.publish(5)
    records.add(PUBLICATIONS, build_id=6, data_version=99, published_at=NOW, fingerprint="these")

    assert [(5, True), (6, False)] == [(each.build_id, each.is_kept) for each in meta.publications(records.writer)]


def test_a_full_build_must_be_tested_whole_before_less_is_enough(records):
    """A version that failed its tests was published by the next refresh, which tested only what it had made again: nothing."""
    records.build(5, full=True)
    records.publish(5)
    assert NOW == meta.everything_tested_at(records.writer)
    records.build(7, full=True)  # its tests fail, or are never run
    assert meta.everything_tested_at(records.writer) is None
    records.build(9)  # tried again: a small build
    assert meta.everything_tested_at(records.writer) is None
    records.publish(9)  # of which everything was tested
    assert NOW == meta.everything_tested_at(records.writer)


class View:
    """What a lake answers."""

    def __init__(self, connection):
        self.connection = connection

    def sql(self, query, params=()):
        return self.connection.execute(query, list(params)).to_arrow_table()


@pytest.mark.parametrize(
    ("machine", "gpus", "landing", "is_new"),
    [
        pytest.param("n1", 2, "waiting", False, id="known"),
        pytest.param("n1", 3, "waiting", True, id="one GPU more"),
        pytest.param("n9", 1, "waiting", True, id="new"),
        pytest.param("n9", 1, "published", False, id="built before"),
        pytest.param("n9", 1, "described", False, id="a description builds everything by itself"),
        pytest.param("d1", 8, "waiting", False, id="its description stands"),
        pytest.param("u1", 8, "waiting", False, id="nobody knows how many it has"),
    ],
)
def test_a_machine_that_was_only_seen_has_everything_built(machine, gpus, landing, is_new):
    """Its capacity counts on every day of its cluster; to build all for one that is known would never end."""

    with closing(duckdb.connect()) as connection:
        connection.execute("ATTACH ':memory:' AS lake; CREATE SCHEMA lake.meta")
        for table in (LANDINGS, PUBLISHED_LANDINGS):
            columns = ", ".join(f"{name} {kind}" for name, kind in table.columns)
            connection.execute(f"CREATE TABLE {table.qualified} ({columns})")
        connection.execute(
            "INSERT INTO lake.meta.landings BY NAME FROM (VALUES ('nodes', 1, 'slurm', 'slurm_node'), "
            "('published', 2, 'prometheus', 'prometheus_sample'), ('waiting', 3, 'prometheus', 'prometheus_sample'), "
            "('described', 4, 'slurm', 'slurm_node')) AS landed (landing_id, landing_no, source, table_name)"
        )
        connection.execute(
            "INSERT INTO lake.meta.published_landings BY NAME SELECT landing_id FROM lake.meta.landings WHERE landing_no < 3"
        )
        connection.execute(
            "CREATE TABLE lake.main.silver_machines AS FROM (VALUES ('c', 'n1', 1, 'published'), ('c', 'n1', 2, 'published'), "
            "('c', 'd1', 4, 'nodes'), ('c', 'u1', NULL, 'published'), ('other', 'n9', 1, 'published')) "
            "AS machines (cluster_id, machine_id, gpu_count, landing_id)"
        )
        connection.execute(
            "CREATE TABLE lake.main.int_delivered_machines AS SELECT 'c' AS cluster_id, ? AS machine_id, ? AS gpu_count, "
            "? AS landing_id, ? AS is_seen",
            [machine, gpus, landing, landing != "described"],
        )

        assert is_new == meta.has_new_machines(View(connection), shaping={("slurm", "slurm_node")})


@pytest.mark.parametrize(
    ("uuid", "places", "is_new"),
    [
        pytest.param("GPU-a", [(0, "waiting")], True, id="its samples were named by its uuid"),
        pytest.param("GPU-a", [(0, "published")], False, id="built before"),
        pytest.param("GPU-a", [(0, "published"), (1, "waiting")], False, id="two places are none"),
        pytest.param("GPU-b", [(1, "waiting")], False, id="its place is known"),
        pytest.param("GPU-c", [(2, "waiting")], False, id="never seen before"),
        pytest.param("GPU-a", [(None, "waiting")], False, id="still no place"),
    ],
)
def test_a_gpu_whose_place_is_told_later_has_everything_built(uuid, places, is_new):
    """It would be two devices from then on, and what a job held would meet no sample of before."""
    with closing(duckdb.connect()) as connection:
        connection.execute("ATTACH ':memory:' AS lake; CREATE SCHEMA lake.meta")
        for table in (LANDINGS, PUBLISHED_LANDINGS):
            columns = ", ".join(f"{name} {kind}" for name, kind in table.columns)
            connection.execute(f"CREATE TABLE {table.qualified} ({columns})")
        connection.execute(
            "INSERT INTO lake.meta.landings BY NAME FROM (VALUES ('published', 1), ('waiting', 2)) AS l (landing_id, landing_no); "
            "INSERT INTO lake.meta.published_landings BY NAME SELECT 'published' AS landing_id; "
            "CREATE TABLE lake.main.silver_gpus AS FROM (VALUES ('c', 'n', 'GPU-a', 'GPU-a'), ('c', 'n', 'GPU-b', '1')) "
            "AS gpus (cluster_id, machine_id, gpu_uuid, gpu_device); "
            "CREATE TABLE lake.main.int_delivered_gpus (cluster_id VARCHAR, machine_id VARCHAR, gpu_uuid VARCHAR, "
            "gpu_index INTEGER, mig_id VARCHAR, landing_id VARCHAR)"
        )
        for index, landing in places:
            connection.execute(
                "INSERT INTO lake.main.int_delivered_gpus VALUES ('c', 'n', ?, ?, NULL, ?)", [uuid, index, landing]
            )

        assert is_new == meta.has_new_places(View(connection))


@pytest.mark.parametrize(
    ("seen", "is_moved"),
    [
        pytest.param([("n", "a")], True, id="elsewhere"),
        pytest.param([("m", "a")], False, id="where it was"),
        pytest.param([("n", "a"), ("m", "a")], False, id="by two names, as before"),
        pytest.param([("m", "d")], True, id="back where it was first"),
        pytest.param([("m", "new")], False, id="never seen before"),
    ],
)
def test_a_gpu_that_moved_has_everything_built(seen, is_moved):
    """What its machines have is said of every day; to build all each time would never end."""
    with closing(duckdb.connect()) as connection:
        connection.execute("ATTACH ':memory:' AS lake; CREATE SCHEMA lake.meta")
        for table in (LANDINGS, PUBLISHED_LANDINGS):
            columns = ", ".join(f"{name} {kind}" for name, kind in table.columns)
            connection.execute(f"CREATE TABLE {table.qualified} ({columns})")
        connection.execute("INSERT INTO lake.meta.landings BY NAME SELECT 'waiting' AS landing_id, 1 AS landing_no")
        connection.execute(
            "CREATE TABLE lake.main.silver_gpus AS FROM (VALUES ('c', 'm', 'a', NULL), ('c', 'm', 'd', NULL), "
            "('c', 'n', 'd', TIMESTAMP '2026-03-02'), ('other', 'n', 'a', TIMESTAMP '2026-03-02')) "
            "AS gpus (cluster_id, machine_id, gpu_uuid, valid_from)"
        )
        connection.execute(
            "CREATE TABLE lake.main.int_delivered_gpus "
            "(cluster_id VARCHAR, machine_id VARCHAR, gpu_uuid VARCHAR, landing_id VARCHAR)"
        )
        connection.executemany("INSERT INTO lake.main.int_delivered_gpus VALUES ('c', ?, ?, 'waiting')", seen)

        assert is_moved == meta.has_moved_gpus(View(connection))
