"""What has happened is told again: everything, in the order of its times, as late and as often as asked."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from gpulake import replay
from gpulake.config import Config
from gpulake.errors import UsageError
from gpulake.replay import Pace, plan, wall_s
from gpulake.sources import all_sources
from gpulake.transports import address
from gpulake.transports.memory import Queue

(PAI,) = (source for source in all_sources() if source.name == "pai2020")
AT_S = np.array([50.0, np.nan, 10.0, 30.0, 20.0, 40.0])


def test_without_disorder_events_come_in_the_order_of_their_times():
    """What has no time comes first: a machine's facts before what it measures."""
    which, when_s = plan(AT_S, Pace())
    assert {1, 2} == set(which[:2].tolist())
    assert [4, 3, 5, 0] == which[2:].tolist()
    assert [10.0, 10.0, 20.0, 30.0, 40.0, 50.0] == when_s.tolist()


@pytest.mark.parametrize("seed", range(5))
def test_nothing_is_lost_and_nobody_comes_early(seed):
    """Disorder only delays; a duplicate is told beside its event, never instead of it."""
    at_s = np.arange(2_000.0)
    which, when_s = plan(at_s, Pace(disorder_s=30, duplicates=0.1, late=0.05, late_by_s=600, seed=seed))
    delay_s = when_s - at_s[which]
    assert set(range(2_000)) == set(which.tolist())
    assert 140 < len(which) - 2_000 < 260
    assert delay_s.min() >= 0
    assert delay_s.max() <= 30 + 600 + 30
    assert 40 < (delay_s > 60).sum() < 200
    assert (np.diff(when_s) >= 0).all()


def test_what_is_told_in_pieces_is_delayed_and_doubled_as_one():
    """A scrape whose metrics come minutes apart is no scrape: no exporter tells so."""
    at_s = np.repeat(np.arange(200.0), 3)
    together = np.repeat(np.arange(200) * 3, 3)
    dice = np.random.default_rng(1)
    order = dice.permutation(600)  # as a server lists them: by metric
    first = {number: int(np.flatnonzero(together[order] == number)[0]) for number in np.unique(together)}
    labels = np.array([first[number] for number in together[order]])
    which, when_s = plan(at_s[order], Pace(disorder_s=60, duplicates=0.1, seed=3), together=labels)
    told = labels[which].reshape(-1, 3)
    assert (told == told[:, :1]).all()
    assert (when_s.reshape(-1, 3) == when_s.reshape(-1, 3)[:, :1]).all()
    assert 205 < len(told) < 240
    assert all(3 == len(set(rows)) for rows in which.reshape(-1, 3))


def test_the_same_seed_gives_the_same_order():
    """A run that went wrong must be made again."""
    pace = Pace(disorder_s=30, duplicates=0.1, seed=7)
    assert all(
        (one == other).all() for one, other in zip(plan(AT_S, pace), plan(AT_S, pace), strict=True) if one.dtype == int
    )


def test_a_hundred_times_as_fast_with_a_pause_each_day():
    """Two days at 100x are 1,728 seconds, and two pauses of 30."""
    waited = wall_s(np.array([0.0, 86_399.0, 86_400.0, 172_800.0]), Pace(speed=100, pause_every_s=86_400, pause_s=30))
    assert [0.0, 863.99, 894.0, 1788.0] == pytest.approx(waited.tolist())


@pytest.fixture
def delivered(tmp_path, pai):
    lines = [
        pai.metric(number, machine=number % 3, start=100_000 + 60 * number, end=100_060 + 60 * number)
        for number in range(30)
    ]
    pai.write(tmp_path / "data" / "pai_machine_metric.csv", lines)
    pai.write(tmp_path / "data" / "pai_machine_spec.csv", [pai.spec(number) for number in range(3)])
    return tmp_path / "data"


def events(tmp_path, data, *tables):
    return replay.events_of(Config(lake=tmp_path / "none"), [PAI], data=data, cluster=None, tables=tables)


def test_files_are_told_as_messages_keyed_by_machine(tmp_path, delivered):
    """What one machine says stays in its order, since its messages share a partition."""
    queue = Queue(partitions=4)
    done = replay.replay(events(tmp_path, delivered), queue, to=address("kafka://here:1/site"), pace=Pace(speed=0))

    assert {"site.pai_machine_metric": 30, "site.pai_machine_spec": 3} == done.topics
    assert (33, 33, 0) == (done.events, done.messages, done.duplicates)
    places = [("site.pai_machine_metric", partition) for partition in range(4)]
    held = [[record.value for record in queue.read(place, 0, 99)] for place in places]
    assert 30 == sum(map(len, held))
    for machine in range(3):
        assert 1 == sum(any(pai_name(machine) in value for value in values) for values in held)


def pai_name(number):
    return f'"machine":"{number:024x}"'.encode()


def test_start_and_until_are_lengths_after_the_first_event(tmp_path, delivered):
    """A trace whose dates nobody knows is asked for by its days."""
    chosen = events(tmp_path, delivered, "pai_machine_metric")
    done = replay.replay(
        chosen, Queue(), to=address("queue"), pace=Pace(), since=timedelta(minutes=10), until=timedelta(minutes=20)
    )
    assert 10 == done.events


def test_it_stops_between_two_messages_when_told_to(tmp_path, delivered):
    """Ctrl-C must not leave half of what it says that it sent."""
    clock = [0.0]
    queue = Queue(partitions=1)
    done = replay.replay(
        events(tmp_path, delivered, "pai_machine_metric"),
        queue,
        to=address("queue"),
        pace=Pace(speed=60),
        stopping=lambda: clock[0] > 10.2,
        sleep=lambda length_s: clock.__setitem__(0, clock[0] + length_s + 0.01),
        monotonic=lambda: clock[0],
    )
    assert (11, 11) == (done.messages, queue.bounds(("queue.pai_machine_metric", 0)).end)


def test_several_sources_are_told_together_each_when_it_was_known(tmp_path):
    """A site's jobs and samples are one stream: a job that still waits is known since it was handed in, not before all."""
    plain, kernel_log = (source for name in ("plain", "kernel_log") for source in all_sources() if source.name == name)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "plain_jobs.csv").write_text(
        "job_id,submitted_at,started_at,ended_at,status\n"
        "waits,2026-03-02T00:03:00Z,,,PENDING\n"
        "ran,2026-03-02T00:00:00Z,2026-03-02T00:01:00Z,2026-03-02T00:05:00Z,COMPLETED\n"
    )
    (tmp_path / "data" / "n1.dmesg.log").write_text(
        "2026-03-02T00:04:00,000000+00:00 NVRM: Xid (PCI:0000:07:00): 79, pid=1, GPU has fallen off the bus.\n"
    )
    queue = Queue(partitions=1)
    found = replay.events_of(
        Config(lake=tmp_path / "none"), [plain, kernel_log], data=tmp_path / "data", cluster="site", tables=()
    )
    done = replay.replay(found, queue, to=address("kafka://here:1/site"), pace=Pace(speed=0))

    at_s = sorted(second for each in found for second in each.at_s)
    assert [0.0, 60.0, 120.0] == [second - at_s[0] for second in at_s]
    assert {"plain", "kernel_log"} == set(done.source.split(","))
    assert {"site.plain_jobs": 2, "site.kernel_log": 1} == done.topics
    assert [b"waits", b"ran"] == [
        name
        for record in queue.read(("site.plain_jobs", 0), 0, 9)
        for name in (b"waits", b"ran")
        if name in record.value
    ]


def test_an_empty_replay_is_no_success(tmp_path, delivered):
    """A slip in --table would else look like a quiet cluster."""
    with pytest.raises(UsageError, match="nothing of pai2020 to replay"):
        events(tmp_path, delivered, "pai_job_table")
