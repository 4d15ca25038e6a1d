"""Following: a round that fails, or finds the lake busy, is not the last; how fresh each publication is, is measured."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from gpulake import follow, meta, pipeline
from gpulake.config import Config
from gpulake.errors import DataTestError, LockError
from gpulake.lake import Publication, writing
from gpulake.pipeline import StepResult
from gpulake.tables import CLUSTERS, LANDINGS, PUBLISHED_LANDINGS


def rounds(lake, outcomes, *, tell=lambda _sentence: None):
    """Follow for as many rounds as there are outcomes; an error is raised, the rest is what a refresh did."""
    left = list(outcomes)
    at = [0.0]

    def refresh():
        outcome = left.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome() if callable(outcome) else outcome

    return follow.follow(
        Config(lake=lake), every_s=10, stopping=lambda: not left, tell=tell, refresh=refresh,
        sleep=lambda length_s: at.__setitem__(0, at[0] + length_s + 0.01), monotonic=lambda: at[0],
    )  # fmt: skip


def test_a_failed_round_is_told_and_the_next_one_is_tried(tmp_path):
    """A night's stream must not stop at a quarter past two because one test failed, nor while somebody else refreshes."""
    told = []
    done = rounds(
        tmp_path,
        [LockError("busy."), DataTestError("1 of 40 data tests failed."), StepResult(why="nothing is new")],
        tell=told.append,
    )
    assert (3, 0, 1) == (done.cycles, done.publications, done.failures)
    assert ["not published: 1 of 40 data tests failed."] == told


def published(waited_s, event_age_s=None):
    made = Publication(7, 7, 8, "copy", "2026-11-30T00:00:00", waited_s=waited_s, event_age_s=event_age_s)
    return StepResult(why="", published=True, publication=made)


def test_the_last_publication_tells_how_fresh_it_was_and_the_worst_is_kept(tmp_path):
    """Who sees only the last would think that a night was fresh which was not."""
    told = []
    done = rounds(tmp_path, [published(40.25, 55.0), published(None), published(3.0)], tell=told.append)
    assert (3, 3.0, 40.25, None, 7) == (
        done.publications, done.freshness_s, done.slowest_s, done.event_age_s, done.last_build
    )  # fmt: skip
    assert "published build 7, 40.2 s after the first of it landed" == told[0]


def test_freshness_counts_from_the_oldest_landing_that_waits(tmp_path):
    """What waited longest says how stale a figure could be; what an earlier build told of says nothing, nor do hidden dates."""
    now = datetime(2026, 11, 30, 12)  # noqa: DTZ001  # the lake keeps UTC without a zone
    waits = [  # landing, cluster, landed and newest event so many seconds ago
        (1, "old", "site", 500, 400),
        (2, "first", "site", 40, 60),
        (3, "second", "site", 20, 30),
        (4, "hidden", "pai", 10, 1),
        (5, "later", "site", 5, 2),
    ]
    with writing(tmp_path / "lake", purpose="test") as writer, writer.transaction("land"):
        for number, name, cluster, landed_s, event_s in waits:
            record = {"landing_id": name, "landing_no": number, "cluster_id": cluster,
                      "landed_at": now - timedelta(seconds=landed_s),
                      "max_event_at": now - timedelta(seconds=event_s)}  # fmt: skip
            writer.insert(LANDINGS, [[record.get(column) for column, _ in LANDINGS.columns]])
        for cluster, basis in (("site", "real"), ("pai", "offset")):
            record = {"cluster_id": cluster, "time_basis": basis}
            writer.insert(CLUSTERS, [[record.get(column) for column, _ in CLUSTERS.columns]])
        writer.insert(PUBLISHED_LANDINGS, [[0, "old"]])
        assert (40.0, 30.0) == meta.freshness(writer, through=4, now=now)
        assert (None, None) == meta.freshness(writer, through=1, now=now)


def test_a_build_that_fails_is_told_also_where_it_is_the_first_step():
    """A stream's rounds land nothing by themselves: nobody would hear that nothing is published any more."""
    told = []

    def do(step, asked):
        if step is pipeline.BUILD:
            raise DataTestError("the build failed: gold_jobs.")
        told.append((step.name, asked.failure.what))
        return StepResult(why="judged by the rules")

    with pytest.raises(DataTestError):
        pipeline.walk(do, pipeline.Asked(), steps=(pipeline.BUILD, pipeline.DETECT, pipeline.PUBLISH, pipeline.ALERT))
    assert [("alert", "the build failed: gold_jobs.")] == told


def test_a_refresh_that_takes_longer_than_its_cadence_lets_others_in(tmp_path):
    """A stream that never gets the lock lands nothing, however often is refreshed."""
    at, begun = [0.0], []

    def refresh():
        begun.append(at[0])
        at[0] += 30.0
        return StepResult(why="nothing is new")

    follow.follow(
        Config(lake=tmp_path), every_s=10, stopping=lambda: len(begun) == 3, refresh=refresh,
        sleep=lambda length_s: at.__setitem__(0, at[0] + length_s + 0.01), monotonic=lambda: at[0],
    )  # fmt: skip
    assert all(37.5 <= later - earlier < 39 for earlier, later in pairwise(begun))
