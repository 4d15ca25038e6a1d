"""What the rules say of a Publication: today, as of a day, and at every step of the past."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from gpulake.errors import ContractError, UsageError
from gpulake.findings import Finding, State
from gpulake.judging.asking import Answer, Limits, Published, Wanted, ask
from gpulake.judging.rule import CLUSTER, DAY_S, Broken, Rule
from gpulake.reading.report import day_label

if TYPE_CHECKING:
    import pyarrow as pa


_UTC = ZoneInfo("UTC")
_AFTER = timedelta(days=3)


@dataclass(frozen=True)
class Clock:
    """How a cluster tells the time: the zone of its reporting day, what its stamps mean, and where its window ends (UTC)."""

    zone: ZoneInfo = _UTC
    time_basis: str = "real"
    now: datetime | None = None

    def day(self, day: date) -> str:
        """A day as people see it: a date, or the number of the day where the source hides its dates."""
        return day_label(day, self.time_basis)

    def midnight(self, day: date) -> datetime:
        """The first instant that bears a date (UTC)."""
        return datetime.combine(day, time(), self.zone).astimezone(UTC).replace(tzinfo=None)

    def local(self, at: datetime) -> datetime:
        """A moment (UTC) by the cluster's own clocks."""
        return at.replace(tzinfo=UTC).astimezone(self.zone).replace(tzinfo=None)


Clocks = Mapping[str, Clock]
"""By cluster; one that is not here counts in UTC."""

_NOBODYS = Clock()


def clocks_of(reader: Published) -> Clocks:
    """The clocks of a Publication's clusters."""
    rows = reader.sql(
        "select cluster_id, arg_max(time_zone, noted_at) as zone, arg_max(time_basis, noted_at) as basis, max(dt) as day "
        "from meta.clusters left join gold_cluster_util_daily using (cluster_id) group by all"
    ).to_pylist()
    clocks = {}
    for row in rows:
        clock = Clock(ZoneInfo(row["zone"] or "UTC"), row["basis"] or "real")
        ended = None if row["day"] is None else clock.midnight(row["day"] + timedelta(days=1))
        clocks[row["cluster_id"]] = replace(clock, now=ended)
    return clocks


@dataclass(frozen=True)
class Judged:
    """What the rules said: the findings, and the rules that could not be asked."""

    findings: tuple[Finding, ...]
    broken: tuple[Broken, ...] = ()


@dataclass(frozen=True)
class Moment:
    """What the rules said when a step of some cluster was over: of every thing that fires, or has until lately."""

    at: datetime
    findings: tuple[Finding, ...]


def judge(reader: Published, rules: Iterable[Rule], *, at: date | datetime | None = None) -> Judged:
    """One finding per thing and rule, as of the last step of its cluster. A rule whose table is not published is broken.

    `at`: as if this day of each cluster, or this moment (UTC), were its end. Rows after it are not seen; rules over tables
    without a time are left out then, for nobody knows what they were.
    """
    clocks = clocks_of(reader)
    limits = None
    if at is not None:
        end = at
        rules = [rule for rule in rules if rule.time is not None]

        def limits(rule: Rule) -> Limits:
            return {name: _last_step(rule, clocks.get(name or "", _NOBODYS), end) for name in (*clocks, None)}

    said, broken = _said(ask(reader, list(rules), limits=limits), clocks)
    return Judged(tuple(each.finding for each in said), broken)


def replay(
    reader: Published,
    rules: Iterable[Rule],
    *,
    since: date | Mapping[str, date],
    until: date | None = None,
    after: timedelta = _AFTER,
) -> tuple[list[Moment], list[Broken]]:
    """What would have been said at the end of each hour and day since `since`, in their order: as `judge` at each of them.

    By cluster it may be another day; a cluster that is not named is left out.

    Of each thing it is what was said while it fired, and for so long `after`. Rules over tables without a time are left out.
    """
    clocks = clocks_of(reader)
    timed = [rule for rule in rules if rule.time is not None]
    answers = ask(reader, timed, wanted=lambda rule: _wanted(rule, since, after, last=False))
    said, broken = _said(answers, clocks)
    return _moments(said, clocks, since=since, until=until), list(broken)


def catch_up(reader: Published, rules: Sequence[Rule], *, since: Mapping[str, datetime]) -> Judged:
    """What `judge` says, and before it what would have been said at each step after the ends that were judged last, by cluster (UTC).

    A build may make up for many hours at once: an outage of the night that was over by morning is told all the same. Each rule
    is asked once.
    """
    clocks = clocks_of(reader)
    ends = {name: clock.now for name, clock in clocks.items()}
    lags = [timedelta.max if (end := ends[name]) is None else end - at for name, at in since.items() if name in ends]
    behind = max(lags, default=timedelta())
    days = {name: clocks.get(name, _NOBODYS).local(at).date() for name, at in since.items()}

    def wanted(rule: Rule) -> Wanted:
        has_steps_between = rule.step_s is not None and behind > timedelta(seconds=rule.step_s)
        return _wanted(rule, days, _AFTER) if has_steps_between else Wanted()

    said, broken = _said(ask(reader, rules, wanted=wanted), clocks)
    past = _moments([each for each in said if not each.is_last], clocks, since=days)
    today = (each.finding for each in said if each.is_last)
    return Judged((*(finding for moment in past for finding in moment.findings), *today), broken)


def _wanted(rule: Rule, since: date | Mapping[str, date], after: timedelta, *, last: bool = True) -> Wanted:
    """The last step, and those of the past that may be said on `since` or later: two days make up for zones and the step itself."""
    earlier = timedelta(days=2, seconds=rule.settle_steps * (rule.step_s or 0))

    def first(cluster: str | None) -> datetime | None:
        day = _first_day(since, cluster or "")
        return None if day is None else datetime.combine(day, time()) - earlier

    return Wanted(last=last, since=first, after=after)


def _first_day(since: date | Mapping[str, date], cluster: str) -> date | None:
    return since if isinstance(since, date) else since.get(cluster)


@dataclass(frozen=True)
class _Said:
    """A finding, when it is said, and whether that is the last step of its cluster."""

    at: datetime
    finding: Finding
    is_last: bool


def _said(answers: Iterable[Answer], clocks: Clocks) -> tuple[list[_Said], tuple[Broken, ...]]:
    said: list[_Said] = []
    broken: list[Broken] = []
    for answer in answers:
        rule, rows = answer.rule, answer.said
        if isinstance(rows, UsageError | ContractError):
            broken.append(_broken(rule, rows))
            continue
        # A step that must settle is judged when the one that lets it has ended.
        settling = timedelta(seconds=rule.settle_steps * (rule.step_s or 0))
        findings = findings_of(rule, rows, clocks)
        lasts = rows["_is_last"].to_pylist()
        said += [_Said(each.at + settling, each, is_last) for each, is_last in zip(findings, lasts, strict=True)]
    return said, tuple(broken)


def _moments(
    said: Iterable[_Said], clocks: Clocks, *, since: date | Mapping[str, date], until: date | None = None
) -> list[Moment]:
    """What was said at each moment of some days, in the order of moments; rules stay in theirs."""
    told = []
    for each in said:
        cluster = each.finding.cluster_id
        day = clocks.get(cluster, _NOBODYS).local(each.at - timedelta(seconds=1)).date()
        first = _first_day(since, cluster)
        if first is not None and day >= first and (until is None or day < until):
            told.append(each)
    told.sort(key=lambda each: each.at)
    return [Moment(at, tuple(each.finding for each in some)) for at, some in groupby(told, key=lambda each: each.at)]


def _last_step(rule: Rule, clock: Clock, at: date | datetime) -> datetime:
    """The start of the last step that is over by then."""
    if isinstance(at, datetime):
        if rule.step_s == DAY_S:
            return datetime.combine(clock.local(at).date(), time()) - timedelta(days=1)
        return at - timedelta(hours=1)
    if rule.step_s == DAY_S:
        return datetime.combine(at, time())
    return clock.midnight(at + timedelta(days=1)) - timedelta(seconds=1)


def findings_of(rule: Rule, rows: pa.Table, clocks: Clocks) -> Iterator[Finding]:
    """The rows of a rule's query as findings; sentences are written for what fires."""
    times: dict[tuple[str, datetime, datetime | None], tuple[datetime, datetime | None, dict[str, object]]] = {}
    named = (*rule.let, *rule.shown_columns)
    for row in zip(*(rows[name].to_pylist() for name in rows.column_names), strict=True):
        told = dict(zip(rows.column_names, row, strict=True))
        key = tuple((name, "" if told[name] is None else str(told[name])) for name in rule.per)
        moment = (told[CLUSTER] or "", told["_t"], told["_since"])
        clock = clocks.get(moment[0], _NOBODYS)
        if moment not in times:
            times[moment] = _times(rule, clock, *moment[1:])
        end, begun, of_time = times[moment]
        state = State(told["_state"])
        values: dict[str, object] = {name: told[name] for name in named}
        sentence = {**{name: told[name] for name in rule.per}, **values, **of_time}
        fires = state is State.FIRING
        yield Finding(
            rule=rule.name,
            key=key,
            state=state,
            at=end,
            since=begun,
            severity=rule.severity,
            audience=rule.audience,
            title=rule.title.filled(sentence, day=clock.day),
            message=rule.say.filled(sentence, day=clock.day) if fires else "",
            do=rule.do.to_copy(sentence) if fires else "",
            link=rule.link.to_copy(sentence),
            value=told["_value"],
            expected=told["_expected"],
            unit=rule.unit,
            gpu_h=told["_gpu_h"],
            machines=() if told["_machine"] is None else (told["_machine"],),
            jobs=() if told["_job"] is None else (told["_job"],),
            values=tuple(values.items()),
        )


def _times(
    rule: Rule, clock: Clock, step: datetime, since: datetime | None
) -> tuple[datetime, datetime | None, dict[str, object]]:
    """The end of a step and the begin of what holds (UTC), and what sentences say of them, by the cluster's own clocks."""
    if rule.step_s is None or rule.time is None:
        return clock.now or step, None, {}
    if rule.step_s == DAY_S:
        end, begun = clock.midnight(step.date() + timedelta(days=1)), since and clock.midnight(since.date())
        said: dict[str, object] = {rule.time: step.date(), "at": step.date(), "since": since and since.date()}
    else:
        end, begun = step + timedelta(hours=1), since
        said = {rule.time: clock.local(step), "at": clock.local(end), "since": since and clock.local(since)}
    return end, begun, {**said, "lasting": _lasting(begun, end)}


def _lasting(since: datetime | None, end: datetime) -> str | None:
    if since is None:
        return None
    hours = round((end - since).total_seconds() / 3_600)
    return f"{hours} h" if hours < 48 else f"{round(hours / 24)} days"


def _broken(rule: Rule, error: UsageError | ContractError) -> Broken:
    return Broken(
        rule.name,
        ContractError(
            f"the rule {rule.name} cannot be asked of this publication: {error.what}",
            where=f"{rule.file}, from: {rule.table}",
            do="build again, or mend the rule",
        ),
    )
