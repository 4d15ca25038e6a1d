"""Back-tests: what would have been told, on which day, and how much of it was right."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pytest
from pyarrow import parquet

from gpulake import backtest, judging
from gpulake.alert import Policy
from gpulake.backtest import Fault
from gpulake.errors import UsageError
from gpulake.findings import Severity
from gpulake.lake import View
from gpulake.reading.models import Column, Model

FIRST = date(2026, 11, 1)
ONCE = Policy(repeat=dict.fromkeys(Severity))
TYPES = {"cluster_id": "varchar", "machine_id": "varchar", "dt": "date", "x": "double"}
MODELS = {
    "gold_days": Model(
        "gold_days",
        "",
        ("cluster_id", "machine_id", "dt"),
        {name: Column(name, "", None, {}, None, kind) for name, kind in TYPES.items()},
        "",
        "",
    )
}
RULE = """
title: "{machine_id} is high"
why: Because.
from: gold_days
time: dt
per: machine_id
when: x >= 10
severity: page
say: "x is {x:.0f}."
do: Look.
finds: [hot]
examples: {fires: [{machine_id: a, x: 10}], stays_quiet: [{machine_id: b, x: 9}]}
"""


def at(day, hour=0):
    """An hour of a day of November 2026."""
    return datetime(2026, 11, day, hour, tzinfo=UTC).replace(tzinfo=None)


class Published(View):
    build_id = 7

    def __init__(self, **machines):
        import duckdb

        self.connection = duckdb.connect()
        super().__init__(self.connection)
        self.connection.execute(
            "create schema meta; create table meta.clusters (cluster_id varchar, time_zone varchar, time_basis varchar, "
            "noted_at timestamp); insert into meta.clusters values ('c', 'UTC', 'real', '2026-01-01'); "
            "create table gold_cluster_util_daily (cluster_id varchar, dt date); "
            "create table gold_fleet (cluster_id varchar, machines bigint); insert into gold_fleet values ('c', 100); "
            "create table gold_days (cluster_id varchar, machine_id varchar, dt date, x double)"
        )
        for machine, values in machines.items():
            for no, x in enumerate(values):
                day = FIRST + timedelta(days=no)
                self.connection.execute("insert into gold_days values ('c', ?, ?, ?)", [machine, day, x])
                self.connection.execute("insert into gold_cluster_util_daily values ('c', ?)", [day])


@pytest.fixture
def rule(tmp_path):
    (tmp_path / "high.yml").write_text(RULE, encoding="utf-8")
    return judging.read(tmp_path / "high.yml", models=MODELS, audiences=("operators",))


def test_each_day_has_what_would_have_been_sent_on_it(rule):
    """An incident of three days is one page on its first day, and one all-clear."""
    published = Published(a=[1, 10, 10, 10, 1, 1, 1, 10], b=[1, 1, 1, 10, None, 1, 1, 1])
    found = backtest.backtest(published, [rule], policy=ONCE)

    assert [0, 1, 0, 1, 0, 0, 0, 1] == [day.sent[Severity.PAGE] for day in found.days]
    assert {"operators": 3} == found.audiences
    assert [("a", None), ("b", at(7))] == [(each.entity, each.resolved_at) for each in found.incidents[1:]][::-1]
    (score,) = found.scores
    assert (3, 3, 1, 1) == (score.incidents, score.notices, score.open_at_the_end, score.busiest)
    assert (None, None, None) == (score.faults, score.precision, score.recall)


def test_hits_misses_and_delay_by_hand(rule):
    """Whoever reads "precision 1 of 2" must be able to count it."""
    published = Published(a=[1, 10, 10, 1, 1, 1], b=[1, 1, 1, 1, 10, 1], d=[1, 1, 1, 1, 1, 1])
    faults = [
        Fault("hot", "a", at(2, 6), at(3, 6)),  # told when day 2 was over: 18 hours after
        Fault("hot", "d", at(4), at(5)),  # never told
        Fault("hot", "b", at(1), at(2)),  # over before anything was told of b
        Fault("cold", "a", at(5), at(6)),  # no rule looks for it
        Fault("hot", "a", at(20), at(21)),  # outside of the days
    ]
    found = backtest.backtest(published, [rule], faults=faults)
    (score,) = found.scores

    assert (3, 1, 2, 1) == (score.faults, score.faults_found, score.incidents, score.hits)
    assert (0.5, pytest.approx(1 / 3), 18.0) == (score.precision, score.recall, score.delay_h)
    assert {"cold": {"faults": 1, "found": 0}, "hot": {"faults": 3, "found": 1, "high": 1}} == found.confusion
    assert ({"high": 18.0}, {}, {}, {}) == found.found_by
    json.dumps(found.as_json(), default=str)


def test_what_was_told_before_a_fault_did_not_find_it(rule):
    """An alarm that never ends would else find everything."""
    found = backtest.backtest(Published(a=[10] * 6), [rule], faults=[Fault("hot", "a", at(4), at(5))])

    assert 0 == found.scores[0].faults_found


def test_days_before_since_count_as_past(rule):
    """What began before the first day was told before it: it is no news of that day, but it was open."""
    published = Published(a=[10, 10, 10, 1], b=[1, 1, 10, 1])
    found = backtest.backtest(published, [rule], since=date(2026, 11, 3), until=date(2026, 11, 5))

    assert [date(2026, 11, 3), date(2026, 11, 4)] == [day.day for day in found.days]
    assert [("b", at(4))] == [(each.entity, each.known_at) for each in found.incidents]
    with pytest.raises(UsageError, match="2026-11-01 to 2026-11-04"):
        backtest.backtest(published, [rule], since=date(2027, 1, 1))


def test_a_longer_history_leaves_what_was_told(rule):
    """A replay sees nothing of the days to come."""
    short = backtest.backtest(Published(a=[1, 10, 1, 10]), [rule])
    longer = backtest.backtest(Published(a=[1, 10, 1, 10, 1, 10]), [rule], until=FIRST + timedelta(days=4))

    assert short.incidents == longer.incidents
    assert short.sent == longer.sent
    assert short.days == longer.days


def test_labelled_faults_are_read_as_the_simulator_writes_them(tmp_path):
    """Seconds since 1970; a fault of the whole fleet has neither machine nor user."""
    rows = {
        "kind": ["hot", "cold"],
        "machine": ["a", None],
        "user": [None, None],
        "start_s": [0, 60],
        "end_s": [60, 90],
    }
    table = pa.table({**rows, "user": pa.array([None, None], pa.string()), "magnitude": [0.0, 1.0]})
    parquet.write_table(table, tmp_path / "faults.parquet")
    first = datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None)
    minute = timedelta(seconds=60)

    assert (
        Fault("hot", "a", first, first + minute, 0.0),
        Fault("cold", backtest.FLEET, first + minute, first + 1.5 * minute, 1.0),
    ) == backtest.read_faults(tmp_path / "faults.parquet")
    (tmp_path / "other.csv").write_text("kind,place\nhot,a\n", encoding="utf-8")
    with pytest.raises(UsageError, match="cannot be read"):
        backtest.read_faults(tmp_path / "other.csv")
