"""Incidents: one page for one trouble, none for what is known, none lost; whatever the order, and however often."""

from __future__ import annotations

import random
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpulake.alert import Cluster, History, Kind, Maintenance, Policy, Request, Told, act, replay, step
from gpulake.findings import Finding, Severity, State

H = timedelta(hours=1)
D = timedelta(days=1)
T0 = datetime(2026, 3, 2, tzinfo=UTC).replace(tzinfo=None)
SEVERITIES = {"p": Severity.PAGE, "t": Severity.TICKET, "i": Severity.INFO}


def found(state="firing", *, at=T0, rule="hot", machine="m1", cluster="c", severity=Severity.PAGE, since=None, machines=None,
          jobs=(), audience="operators", key=None, **more):  # fmt: skip
    key = key or (("cluster_id", cluster), ("machine_id", machine))
    machines = (machine,) if machines is None else machines
    return Finding(rule, key, State(state), at, since, severity, audience, machines=machines, jobs=jobs, **more)


class Lake:
    """Steps one after another, as a lake does: the facts of each are all that the next one knows."""

    def __init__(self, policy=None):
        self.policy = policy or Policy()
        self.events, self.notices = [], []

    @property
    def incidents(self):
        return replay(self.events)

    def step(self, *findings, now=None, clusters=None):
        now = now or max(finding.at for finding in findings)
        done = step(self.incidents, findings, now, policy=self.policy, clusters=clusters)
        return self._take(done)

    def act(self, kind, incident_id, *, now, until=None, by="ann"):
        request = Request(f"r{now}", kind, incident_id, by, now, until)
        return self._take(act(self.incidents, [request], now, policy=self.policy))

    def _take(self, done):
        self.events += done.events
        self.notices += done.notices
        assert done.incidents == self.incidents
        return [str(notice.told) for notice in done.notices]

    def only(self):
        (incident,) = self.incidents.values()
        return incident


# --- the life of one incident ----------------------------------------------------------------------------------------


def test_one_trouble_is_told_once_and_once_when_it_is_over():
    """Somebody is woken once, and learns that it is over."""
    told = Lake()

    assert ["opened"] == told.step(found())
    assert [] == told.step(found(at=T0 + H))
    assert [] == told.step(found("clear", at=T0 + 2 * H))
    assert ["resolved"] == told.step(found("clear", at=T0 + 7 * H))
    assert [Kind.OPEN, Kind.UPDATE, Kind.UPDATE, Kind.RESOLVE] == [event.kind for event in told.events]
    assert 1 == len({notice.group for notice in told.notices})


@pytest.mark.parametrize(
    ("clear", "is_open"),
    [
        ([(1, 0), (5, 0)], True),  # five hours
        ([(6, 0)], False),
        ([(6, 3)], True),  # clear since the fourth hour only: those before had no data
        ([(3, 0), (12, 10)], True),  # 3 + 2 covered hours
        ([(3, 0), (12, 9)], False),  # 3 + 3
        ([(24, None)], False),  # a clear day
    ],
)
def test_it_closes_after_six_clear_covered_hours(clear, is_open):
    """Missing hours are no sign of health."""
    told = Lake()
    told.step(found())
    for at, since in clear:
        told.step(found("clear", at=T0 + at * H, since=None if since is None else T0 + since * H))

    assert is_open == told.only().is_open


def test_what_fires_in_between_begins_the_clear_hours_anew():
    """Five hours, an alarm, five hours: it is not over."""
    told = Lake()
    for hour, state in enumerate(["firing", *["clear"] * 5, "firing", *["clear"] * 5]):
        told.step(found(state, at=T0 + hour * H))

    assert told.only().is_open


def test_unknown_changes_nothing():
    """A null neither opens nor closes nor counts as a clear hour."""
    told = Lake()
    told.step(found("unknown"))
    assert [] == told.events

    told.step(found())
    before = told.only()
    told.step(found("unknown", at=T0 + 9 * H))
    assert before == told.only()


def test_reopened_within_a_day_it_is_the_same_incident():
    """A trouble that comes back next morning has one history; next week it is another."""
    told = Lake()
    told.step(found())
    told.step(found("clear", at=T0 + 6 * H))
    assert ["opened"] == told.step(found(at=T0 + 29 * H))
    first = told.only()
    assert [Kind.OPEN, Kind.RESOLVE, Kind.REOPEN] == [event.kind for event in told.events]

    told.step(found("clear", at=T0 + 110 * H))
    told.step(found(at=T0 + 135 * H))
    assert first.incident_id != told.only().incident_id


def test_what_flaps_is_not_told_until_it_is_calm():
    """Four openings and closings are enough; then there is silence until it has stood still for a day."""
    told = Lake()
    heard = [
        told.step(found(state, at=T0 + hour * H))
        for hour, state in [(0, "firing"), (6, "clear"), (12, "firing"), (18, "clear"), (24, "firing"), (30, "clear")]
    ]
    assert [["opened"], ["resolved"], ["opened"], [], [], []] == heard
    assert told.only().is_flapping

    # Somebody still believes that it is open: the end is told when it has lasted.
    assert [] == told.step(found("clear", at=T0 + 53 * H))
    assert ["resolved"] == told.step(
        found("clear", machine="m2"), now=T0 + 60 * H, clusters={"c": Cluster(T0 + 54 * H)}
    )


def test_a_reminder_waits_for_its_window_by_both_clocks():
    """A build that makes up for a week pages once, and so do seven builds of one day."""
    told = Lake()
    told.step(found(), now=T0)

    assert [] == told.step(found(at=T0 + 3 * H), now=T0 + 3 * H)
    assert [] == told.step(found(at=T0 + 30 * H), now=T0 + 3.5 * H)
    assert [] == told.step(found(at=T0 + 30 * H), now=T0 + 40 * H)  # seen before
    assert ["reminded"] == told.step(found(at=T0 + 31 * H), now=T0 + 40 * H)


def test_what_got_worse_is_told_at_once():
    """A ticket that becomes a page must not wait for tomorrow's reminder."""
    told = Lake()
    told.step(found(severity=Severity.TICKET))

    assert ["worse"] == told.step(found(at=T0 + H))
    assert Severity.PAGE == told.notices[-1].severity


def test_info_stands_in_the_digest_only():
    """Nobody is interrupted by what may be read tomorrow."""
    told = Lake()

    assert [] == told.step(found(severity=Severity.INFO))
    assert told.only().is_open


def test_what_is_of_the_lake_itself_closes_at_once():
    """A refresh that works again needs no six clear hours."""
    told = Lake()
    told.step(found(key=(("lake", "x"),), machines=()))
    assert ["resolved"] == told.step(found("clear", at=T0 + H / 60, key=(("lake", "x"),), machines=()))


def test_what_was_over_by_morning_is_told_once():
    """An outage of the night is known in the morning: in one notice that says that it is over, and never again."""
    night = [found(at=T0 + 2 * H, since=T0 + H), found("clear", at=T0 + 9 * H, since=T0 + 2 * H)]
    told = Lake()
    assert ["resolved"] == told.step(*night)
    assert [] == told.step(*night)

    assert [] == Lake().step(*night, now=T0 + 99 * H, clusters={"c": Cluster(T0 + 99 * H)})
    assert [] == Lake(Policy(maintenance=(Maintenance("c", T0, T0 + 5 * H, "switches"),))).step(*night)


def test_a_corrected_hour_counts():
    """Late data that shows another state of the same hour are believed; older news are not."""
    told = Lake()
    told.step(found(at=T0 + 8 * H))
    told.step(found("clear", at=T0 + 2 * H))
    assert State.FIRING is told.only().last_finding.state
    told.step(found("clear", at=T0 + 8 * H, since=T0))
    assert not told.only().is_open


# --- people ----------------------------------------------------------------------------------------------------------


def test_acknowledged_is_not_reminded_until_it_comes_back():
    """Who has it in hand is left alone."""
    told = Lake()
    told.step(found())
    name = told.only().incident_id
    assert ["acknowledged"] == told.act(Kind.ACKNOWLEDGE, name, now=T0 + H)
    assert [] == told.act(Kind.ACKNOWLEDGE, name, now=T0 + 2 * H)
    assert "ann" == told.only().acknowledged_by

    assert [] == told.step(found(at=T0 + 9 * H))
    assert ["resolved"] == told.step(found("clear", at=T0 + 15 * H))
    assert ["opened"] == told.step(found(at=T0 + 16 * H))


def test_silenced_it_is_told_when_the_silence_ends_and_it_is_still_so():
    """A silence ends by itself; it outlives the incident that it was asked for."""
    told = Lake()
    told.step(found())
    told.act(Kind.SILENCE, told.only().incident_id, now=T0, until=T0 + 3 * D)
    told.step(found("clear", at=T0 + 6 * H))

    assert [] == told.step(found(at=T0 + 2 * D))
    assert ["opened"] == told.step(found(at=T0 + 3 * D + H))


def test_resolved_by_hand_it_comes_back_only_with_news():
    """The same findings again must not undo what a person did."""
    told = Lake()
    told.step(found())
    assert ["resolved"] == told.act(Kind.RESOLVE, told.only().incident_id, now=T0 + H)
    assert [] == told.step(found())
    assert ["opened"] == told.step(found(at=T0 + 5 * H))


def test_maintenance_holds_back_what_it_explains():
    """A machine that is worked on pages nobody; what begins afterwards does, and what outlasts it by a day."""
    window = Maintenance("c", T0, T0 + 7 * D, "new switches")
    told = Lake(Policy(maintenance=(window,)))

    assert [] == told.step(found(at=T0 + H, since=T0 + H))
    assert [] == told.step(found(at=T0 + 7 * D + H, since=T0 + H))
    assert ["opened"] == told.step(found(machine="m2", at=T0 + 7 * D + 2 * H, since=T0 + 7 * D + H))
    assert ["opened"] == told.step(found(at=T0 + 8 * D + H, since=T0 + H))


def test_history_is_recorded_and_not_told():
    """The first judgement of a cluster, and what lies two days back, wake nobody; what lasts until today does."""
    told = Lake()
    assert [] == told.step(found(), clusters={"c": Cluster(T0, is_first=True)})
    assert History.FIRST is told.only().history
    assert [] == told.step(found(at=T0 + 9 * H))
    assert [] == told.step(found("clear", at=T0 + 15 * H))
    assert ["opened"] == told.step(found(at=T0 + 16 * H))

    late = Lake()
    assert [] == late.step(found(), clusters={"c": Cluster(T0 + 49 * H)})
    assert ["opened"] == late.step(found(at=T0 + 48 * H), clusters={"c": Cluster(T0 + 49 * H)})


# --- what belongs together -------------------------------------------------------------------------------------------


def test_a_machine_down_is_one_page():
    """Not eight GPUs and forty jobs."""
    gpus = [found(rule="gpu_silent", key=(("cluster_id", "c"), ("gpu_id", f"g{n}"))) for n in range(8)]
    jobs = [
        found(rule="job_failed", key=(("cluster_id", "c"), ("job_id", f"j{n}")), machines=(), jobs=(f"j{n}",))
        for n in range(40)
    ]
    down = found(rule="machine_down", jobs=tuple(f"j{n}" for n in range(40)))
    told = Lake()
    told.step(*gpus, *jobs, down)

    (notice,) = told.notices
    assert "machine_down" == notice.finding.rule
    assert (("gpu_silent", 8), ("job_failed", 40), ("machine_down", 1)) == notice.counts

    assert [] == told.step(found(rule="fan", at=T0 + H))
    assert ["reminded"] == told.step(replace(down, state=State.CLEAR, at=T0 + 6 * H), found(rule="fan", at=T0 + 6 * H))
    over = [replace(finding, state=State.CLEAR, at=T0 + 12 * H) for finding in (*gpus, *jobs)]
    assert [] == told.step(*over)
    assert ["resolved"] == told.step(found("clear", rule="fan", at=T0 + 18 * H))
    assert 1 == len({notice.group for notice in told.notices})


def test_the_whole_cluster_swallows_its_machines():
    """One outage, not a hundred; but a machine that fell ill the day before is another trouble."""
    whole = found(rule="outage", key=(("cluster_id", "c"),), machines=("*",), since=T0 - H)
    told = Lake()
    told.step(whole, *(found(machine=f"m{n}", since=T0 - H) for n in range(3)), found(machine="ill", since=T0 - D))

    assert ["outage", "hot"] == [notice.finding.rule for notice in told.notices]
    assert [("hot", 3), ("outage", 1)] == list(told.notices[0].counts)


@pytest.mark.parametrize(("machines", "fleet", "pages"), [(4, 10, 4), (5, 10, 1), (9, 200, 9), (10, 200, 1)])
def test_many_machines_at_once_are_one_incident(machines, fleet, pages):
    """Five, or one in twenty of a large cluster, within two hours."""
    told = Lake()
    told.step(
        *(found(machine=f"m{n}", since=T0 - H + n * timedelta(minutes=5)) for n in range(machines)),
        clusters={"c": Cluster(T0, machines=fleet)},
    )

    assert pages == len(told.notices)


def test_other_clusters_and_audiences_are_told_apart():
    """A machine called m1 in two clusters is two machines; a manager does not read the operators' page."""
    told = Lake()
    told.step(found(), found(cluster="d"), found(rule="waste", audience="managers", severity=Severity.TICKET))

    assert 3 == len(told.notices)


def test_ten_thousand_findings_are_one_notice():
    """A misspelt threshold must not send ten thousand mails, nor take minutes."""
    began = time.process_time()
    many = [found(machine="", machines=(), key=(("cluster_id", "c"), ("user_id", f"u{n}")),
                  severity=Severity.TICKET, gpu_h=float(n)) for n in range(10_000)]  # fmt: skip
    done = step({}, [*many, found()], T0)

    assert [("hot", 1), ("hot", 10_000)] == [notice.counts[0] for notice in done.notices]
    assert 9_999.0 == done.notices[1].finding.gpu_h
    assert 20 == len(done.notices[1].parts)
    assert 10_001 == len(done.open_now)
    assert [] == list(step(done.incidents, many, T0).events)
    assert time.process_time() - began < 10


# --- laws ------------------------------------------------------------------------------------------------------------


@st.composite
def histories(draw):
    """Steps of an hour or a day, with a few machines, rules, severities, gaps and corrections."""
    steps, at = [], T0
    for _ in range(draw(st.integers(1, 12))):
        at += draw(st.sampled_from([H, 3 * H, 7 * H, D]))
        steps.append((
            at,
            [
                found(state, at=at - late * H, rule=rule, machine=f"m{m}", severity=SEVERITIES[s], jobs=("j",) * job)
                for state, late, rule, m, s, job in draw(st.lists(
                    st.tuples(
                        st.sampled_from(["firing", "firing", "clear", "unknown"]), st.sampled_from([0, 0, 0, 5, 60]),
                        st.sampled_from(["hot", "slow"]), st.integers(0, 3), st.sampled_from("ppti"), st.integers(0, 1),
                    ),
                    max_size=6,
                ))
            ],
        ))  # fmt: skip
    return steps


SMALL = Policy(most_at_once=2, machines_together=3)


@given(histories(), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_laws(steps, rnd: random.Random):
    """Order is irrelevant, twice is once, the facts are all there is, nobody is told twice inside a window, none is lost."""
    told = Lake(SMALL)
    last: dict = {}
    believed: dict = {}
    for at, findings in steps:
        shuffled = rnd.sample(findings, len(findings))
        before = told.incidents
        done = step(before, findings, at, policy=SMALL)
        again = step(before, shuffled, at, policy=SMALL)
        assert (done.events, done.notices) == (again.events, again.notices)
        told._take(done)
        twice = step(told.incidents, shuffled + shuffled, at, policy=SMALL)
        assert ((), ()) == (twice.events, twice.notices)
        assert told.incidents == replay(rnd.sample(told.events, len(told.events)))
        for notice in done.notices:
            if notice.told is Told.RESOLVED:
                passed = {event.kind for event in done.events if event.incident_id == notice.group} >= {Kind.RESOLVE}
                assert believed.pop(notice.group, None) is not None or passed
                continue
            if notice.told is not Told.WORSE and notice.group in last:
                severity, when = last[notice.group]
                assert at - when >= SMALL.repeat[notice.severity] or severity < notice.severity
            last[notice.group] = (notice.severity, at)
            believed[notice.group] = at
        # Whoever believes that something is wrong is right, or will be told when it has stopped to flap.
        for incident in told.incidents.values():
            still = [other for other in told.incidents.values() if other.is_open and other.group == incident.group]
            if incident.is_believed_open and not still:
                assert incident.is_flapping
    stated = {incident.incident_id for incident in step(told.incidents, [], steps[-1][0]).open_now}
    ended = {event.incident_id for event in told.events if event.kind is Kind.RESOLVE}
    assert {event.incident_id for event in told.events} <= stated | ended
