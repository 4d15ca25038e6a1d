"""Following: a round that fails, or finds the lake busy, is not the last; how fresh each publication is, is measured."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

from gpulake import clock, follow
from gpulake.config import Config
from gpulake.errors import DataTestError, LockError
from gpulake.pipeline import StepResult
from gpulake.tables import LANDINGS, PUBLISHED_LANDINGS


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


def test_freshness_counts_from_the_oldest_landing_that_was_told_first(tmp_path):
    """What waited longest says how stale a figure could be; what an earlier build told of says nothing."""
    from gpulake.lake import writing

    def published():
        now = clock.now()
        with writing(tmp_path / "lake", purpose="test") as writer:
            with writer.transaction("land"):
                for name, age_s in (("old", 500), ("first", 40), ("last", 5)):
                    record = {"landing_id": name, "landed_at": now - timedelta(seconds=age_s), "landing_no": 1}
                    writer.insert(LANDINGS, [[record.get(column) for column, _ in LANDINGS.columns]])
                writer.insert(PUBLISHED_LANDINGS, [[0, "old"]])
            build = writer.version()
            made = {"fingerprint": "x", "full_build": True, "rows": {}, "now": now}
            writer.publish(build_id=build, data_version=build, landing_ids=["first", "last"], **made)
        return SimpleNamespace(published=True, error=None, build_id=build)

    done = rounds(tmp_path / "lake", [published])
    assert 1 == done.publications
    assert 40 <= done.freshness_s < 70
    assert done.event_age_s is None
