"""Rules: what is said at a step depends on that step and the ones before, and nothing unknown says anything."""

from __future__ import annotations

import pickle
import random
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import duckdb
import numpy as np
import pytest

from gpulake import config, judging
from gpulake.errors import ContractError, UsageError
from gpulake.findings import Severity, State
from gpulake.judging import expression, steps, template
from gpulake.lake import View
from gpulake.reading.models import Column, Model

FIRST = date(2026, 11, 1)
AUDIENCES = ("operators", "managers", "owners")
COLUMNS = {
    "cluster_id": "varchar", "machine_id": "varchar", "dt": "date", "hour_start_at": "timestamp", "x": "double",
    "y": "bigint", "word": "varchar",
}  # fmt: skip


def utc(*parts):
    """A moment as the lake stores it: without a zone."""
    return datetime(*parts, tzinfo=UTC).replace(tzinfo=None)


def model(name, grain):
    columns = {name: Column(name, "", None, {}, None, kind) for name, kind in COLUMNS.items()}
    return Model(name, "", grain, columns, "", "")


MODELS = {
    "gold_days": model("gold_days", ("cluster_id", "machine_id", "dt")),
    "gold_hours": model("gold_hours", ("cluster_id", "machine_id", "hour_start_at")),
    "gold_now": model("gold_now", ("cluster_id", "machine_id")),
}
WHOLE = """
title: "{machine_id} is high"
why: Because.
from: gold_days
time: dt
per: machine_id
when: x >= 10
severity: ticket
say: "x is {x:.1f} since {since}, for {lasting}."
do: "Look at {machine_id} on {dt}."
examples: {fires: [{machine_id: a, x: 10}], stays_quiet: [{machine_id: b, x: 9.9}]}
"""


@pytest.fixture
def read(tmp_path):
    """A rule of some text, with lines put in place of others of the same key."""

    def made(*lines, name="high"):
        keys = {line.split(":")[0] for line in lines}
        kept = [line for line in WHOLE.strip().splitlines() if line.split(":")[0] not in keys]
        file = tmp_path / f"{name}.yml"
        file.write_text("\n".join([*kept, *(line for line in lines if not line.endswith(":"))]), encoding="utf-8")
        return judging.read(file, models=MODELS, audiences=AUDIENCES)

    return made


class Published(View):
    """Plain tables that answer SQL as a Publication does."""

    published_at = utc(2026, 11, 30)

    def __init__(self, rows=(), *, zone="UTC", basis="real", table="gold_days"):
        self.connection = duckdb.connect()
        super().__init__(self.connection)
        self.connection.execute("create schema meta; create table meta.clusters (cluster_id varchar, time_zone varchar, "
                                "time_basis varchar, noted_at timestamp)")  # fmt: skip
        self.connection.execute("create table gold_cluster_util_daily (cluster_id varchar, dt date)")
        for name in MODELS:
            columns = ", ".join(f"{column} {kind}" for column, kind in COLUMNS.items())
            self.connection.execute(f"create table {name} ({columns})")
        self.connection.execute("insert into meta.clusters values ('c', ?, ?, '2026-01-01')", [zone, basis])
        self.add(rows, table)

    def add(self, rows, table="gold_days"):
        for row in rows:
            names = ", ".join(row)
            self.connection.execute(
                f"insert into {table} ({names}) values ({', '.join('?' for _ in row)})", list(row.values())
            )


def days(values, *, machine="m", cluster="c", first=FIRST):
    """One row a day; "-" is a day without a row."""
    return [
        {"cluster_id": cluster, "machine_id": machine, "dt": first + timedelta(days=no), "x": value}
        for no, value in enumerate(values)
        if value != "-"
    ]


def states(rule, values, *, beside=()):
    """What is said of one machine at the end of each day: F, c or ? each."""
    published = Published([*days(values), *days(["-" if v != "-" else 0 for v in values], machine="other"), *beside])
    said = []
    for no in range(len(values)):
        found = judging.judge(published, [rule], at=FIRST + timedelta(days=no)).findings
        of_m = [each for each in found if dict(each.key)["machine_id"] == "m"]
        said.append({State.FIRING: "F", State.CLEAR: "c", State.UNKNOWN: "?"}[of_m[0].state] if of_m else " ")
    return "".join(said)


# ------------------------------------------------------------------------------------------------ durations and nulls


@pytest.mark.parametrize(
    ("lines", "values", "expected"),
    [
        ((), [9, 10, 9], "cFc"),
        ((), [10, None, 10, 9, None], "F?Fc?"),
        (("for: 2 days",), [10, 10, 9, 10, 9, 10], "cFcccc"),
        # A null counts for no duration, and breaks none.
        (("for: 2 days",), [10, None, 10, None, 9], "c?F?c"),
        (("for: 2 days",), [10, "-", 10], "c?F"),
        (("for: 3 days",), [10, None, None, None, 10], "c???c"),
        # Between the two thresholds what fires goes on, and what does not fire does not begin.
        (("until: x < 5",), [7, 10, 7, 5, 4.9, 7, 10], "cFFFccF"),
        (("until: x < 5", "for: 2 days"), [10, 7, 10, 10, 7], "cccFF"),
        (("clear_for: 2 days",), [10, 9, 10, 9, 9, 10], "FFFFcF"),
        (("clear_for: 2 days",), [10, 9, None, 9], "FF?c"),
        # A day without a row is not known, unless the rule says that nothing was there.
        ((), [10, "-", 10], "F?F"),
        (("missing: clear",), [10, "-", 10], "FcF"),
        (("missing: clear", "for: 2 days"), [10, "-", 10, 10], "cccF"),
        (("settle: 1 day",), [10, 9, 9], " Fc"),
    ],
)  # fmt: skip
def test_what_is_said_day_by_day(read, lines, values, expected):
    """Somebody is told too early, twice, or never where a duration or a gap counts otherwise."""
    assert expected == states(read(*lines), values)


@pytest.mark.parametrize(
    ("lines", "values", "expected"),
    [
        (("over: 3 days", "when: sum(x) >= 10", "say: s"), [5, 5, 0, 0, 9], "cFFcc"),
        # A part of a sum is no sum.
        (("over: 3 days", "when: sum(x) >= 10", "say: s"), [5, None, 20, 0, 0], "c???F"),
        (("over: 2 days", "when: sum(x) >= 10", "say: s", "missing: clear"), [10, "-", "-", 1], "FFcc"),
        (("over: 3 days", "when: count_if(x > 1) >= 2", "say: s"), [5, 5, 0, 0], "cFFc"),
        (("over: 3 days", "when: latest(x) > 2 * (sum(x) - latest(x))", "say: s"), [1, 1, 4.1, 4.1], "FcFc"),
    ],
)  # fmt: skip
def test_sums_over_days(read, lines, values, expected):
    """ "100 GPU-hours in 7 days" must count seven days, whatever the table lacks."""
    assert expected == states(read(*lines), values)


def oracle(rule, codes):
    """The same by going through the days one at a time; codes are T, C, H or None."""
    firing, true_days, clear_days, said = False, 0, 0, []
    for code in codes:
        if code is None:
            said.append("?")
            continue
        true_days = true_days + 1 if code == "T" else 0
        clear_days = clear_days + 1 if code == "C" else 0
        if true_days >= rule.for_steps:
            firing = True
        if clear_days >= rule.clear_steps:
            firing = False
        said.append("F" if firing else "c")
    return "".join(said)


@pytest.mark.parametrize("seed", range(6))
def test_any_history_is_told_as_by_going_through_it(read, seed):
    """The SQL that judges all days at once must say what somebody says who sees them one by one."""
    dice = random.Random(seed)
    rule = replace(read("until: x < 5"), for_steps=dice.randint(1, 3), clear_steps=dice.randint(1, 3))
    codes = [dice.choice(["T", "T", "C", "C", "H", None]) for _ in range(40)]
    values = [{"T": 12, "C": 1, "H": 7, None: None}[code] for code in codes]
    published = Published(days(values))
    moments, _ = judging.replay(published, [rule], since=FIRST, after=timedelta(days=99))
    replayed = "".join({"firing": "F", "clear": "c", "unknown": "?"}[m.findings[0].state] for m in moments)

    # Before a thing fires for the first time nothing is told of it.
    assert oracle(rule, codes).lstrip("c?") == replayed
    for no in (0, 7, 19, 39):
        (found,) = judging.judge(published, [rule], at=FIRST + timedelta(days=no)).findings
        told = next((m.findings[0] for m in moments if m.at == found.at), None)
        assert found == told or (told is None and found.state is not State.FIRING)


def by_going_through(codes, for_steps, clear_steps):
    """What is known, fires, since which step, and when it fired last: of one thing, one step at a time."""
    fires, opened, true_row, over_row, fired_last, said = False, -1, [], [], -1, []
    for no, code in enumerate(codes):
        if code == steps.UNKNOWN:
            said.append((False, False, -1, fired_last))
            continue
        true_row = [*true_row, no] if code == steps.TRUE else []
        over_row = [*over_row, no] if code == steps.OVER else []
        if not fires and len(true_row) >= for_steps:
            fires, opened = True, true_row[0]
        if len(over_row) >= clear_steps:
            fires = False
        fired_last = no if fires else fired_last
        said.append((True, fires, opened if fires else over_row[0] if over_row else -1, fired_last))
    return said


@pytest.mark.parametrize(("for_steps", "clear_steps"), [(1, 1), (1, 3), (2, 1), (3, 2)])
def test_many_things_are_told_as_each_by_going_through_it(for_steps, clear_steps):
    """ "Since when" must be right for every thing of the fleet, whatever the others do."""
    kinds = [steps.UNKNOWN, steps.TRUE, steps.TRUE, steps.OVER, steps.OVER, steps.BETWEEN]
    codes = np.random.default_rng(3).choice(kinds, size=(200, 30)).astype(np.int8)
    said = steps.said(codes, for_steps=for_steps, clear_steps=clear_steps)

    expected = [by_going_through(line, for_steps, clear_steps) for line in codes.tolist()]
    columns = (said.known, said.fires, said.since, said.fired_last)
    assert expected == [list(zip(*(each[no].tolist() for each in columns), strict=True)) for no in range(len(codes))]


@pytest.mark.parametrize("seed", range(3))
def test_a_null_never_makes_anything_begin_or_end(read, seed):
    """What nobody measured must not page anybody, nor send them home."""
    dice = random.Random(seed)
    rule = read("until: x < 5", "for: 2 days", "clear_for: 2 days")
    values = [dice.choice([12, 7, 1]) for _ in range(12)]
    with_gaps = [v for value in values for v in ([value, None] if dice.random() < 0.5 else [value])]

    assert states(rule, values) == states(rule, with_gaps).replace("?", "")


def test_later_rows_change_nothing_of_what_was_said(read):
    """A replay that peeks would promise what no operator ever gets."""
    rule = read("until: x < 5", "for: 2 days")
    values = [10, 10, 7, 4, 10]

    before = judging.judge(Published(days(values)), [rule]).findings
    after = judging.judge(Published(days([*values, 99, 99, 0])), [rule], at=FIRST + timedelta(days=4)).findings

    assert before == after


def test_the_order_of_rows_is_irrelevant(read):
    """The same lake must tell the same, however it came to be."""
    rows = [row for no in range(5) for row in days([12, 3, 12, 12], machine=f"m{no}")]
    shuffled = random.Random(1).sample(rows, len(rows))
    rule = read("for: 2 days")

    assert judging.judge(Published(rows), [rule]) == judging.judge(Published(shuffled), [rule])


def test_since_is_when_it_began_and_not_when_it_was_told(read):
    """ "Since when" is the first question of whoever is paged."""
    rule = read("for: 2 days", "until: x < 5")
    (found,) = judging.judge(Published(days([1, 10, 11, 7, None, 12])), [rule]).findings

    assert utc(2026, 11, 2) == found.since
    assert utc(2026, 11, 7) == found.at
    assert "x is 12.0 since 2026-11-02, for 5 days." == found.message
    assert (Severity.TICKET, "operators", "m is high") == (found.severity, found.audience, found.title)


def test_a_clusters_days_end_by_its_own_clock(read):
    """A day of Shanghai is over at 16:00 UTC, and a trace without dates has numbered days."""
    published = Published(days([10], first=date(1970, 1, 13)), zone="Asia/Shanghai", basis="offset")
    (found,) = judging.judge(published, [read()]).findings

    assert utc(1970, 1, 13, 16) == found.at
    assert "x is 10.0 since day 12, for 24 h." == found.message
    assert not judging.judge(published, [read()], at=utc(1970, 1, 13, 15)).findings
    assert judging.judge(published, [read()], at=utc(1970, 1, 13, 16)).findings


def test_hours_are_judged_as_they_end(read):
    """An outage of the night must be told in the night's replay, not at midnight."""
    rule = read("from: gold_hours", "time: hour_start_at", "clear_for: 2 hours", "do: Look.")
    start = utc(2026, 11, 1)
    rows = [
        {"cluster_id": "c", "machine_id": "m", "hour_start_at": start + timedelta(hours=no), "x": x}
        for no, x in enumerate([1, 10, 1, 1])
    ]
    moments, broken = judging.replay(Published(rows, table="gold_hours"), [rule], since=date(2026, 11, 1))

    assert [] == broken
    told = [(moment.at.hour, str(finding.state)) for moment in moments for finding in moment.findings]
    assert [(2, "firing"), (3, "firing"), (4, "clear")] == told


def test_a_table_without_a_time_is_as_of_now(read):
    """Nobody knows what it said last week, so a replay leaves it out."""
    rule = read("from: gold_now", "time:", "say: s", "do: d")
    published = Published([{"cluster_id": "c", "machine_id": "m", "x": 10}], table="gold_now")
    published.connection.execute("insert into gold_cluster_util_daily values ('c', '2026-11-20')")
    (found,) = judging.judge(published, [rule]).findings

    assert (State.FIRING, utc(2026, 11, 21)) == (found.state, found.at)
    assert () == judging.judge(published, [rule], at=FIRST).findings
    assert [] == judging.replay(published, [rule], since=FIRST)[0]


def test_what_a_build_makes_up_for_is_told_step_by_step(read):
    """An outage that was over before the refresh came was one all the same."""
    rule = read()
    now = read("from: gold_now", "time:", "say: s", "do: d", name="now")
    published = Published(days([1, 10, 1, 1]))
    published.add([{"cluster_id": "c", "machine_id": "n", "x": 10}], "gold_now")
    since = {"c": utc(2026, 11, 2)}
    found = judging.catch_up(published, [rule, now], since=since).findings
    told = [(each.rule, each.at.day, str(each.state)) for each in found if each.rule == "high"]

    assert [("high", 3, "firing"), ("high", 4, "clear"), ("high", 5, "clear")] == told
    long_after = judging.replay(Published(days([10, *[1] * 30])), [rule], since=FIRST)[0]
    assert [2, 3, 4, 5] == [moment.at.day for moment in long_after]
    assert [State.FIRING] == [each.state for each in found if each.rule == "now"]
    assert {utc(2026, 11, 3)} == {each.since for each in found if each.state is State.CLEAR}


def test_a_share_of_the_cluster_is_of_the_same_days(read):
    """ "2 % of the cluster" is of what all held, in the same days and in this cluster alone."""
    rule = read("over: 2 days", "when: sum(x) >= 0.5 * total(x)", "say: s")
    rows = [*days([1, 1], machine="a"), *days([1, 0.9], machine="b"), *days([9, 9], machine="z", cluster="other")]
    found = {dict(each.key)["machine_id"]: each.state for each in judging.judge(Published(rows), [rule]).findings}

    assert {"a": State.FIRING, "b": State.CLEAR, "z": State.FIRING} == found


# ------------------------------------------------------------------------------------------------ what is not allowed


@pytest.mark.parametrize(
    ("line", "error", "words"),
    [
        ("when: xx >= 10", ContractError, ["'xx'", "when", ".yml:"]),
        ("when: lenght(word) > 3", ContractError, ["lenght"]),
        ("when: read_csv('/etc/passwd') > 3", ContractError, ["function"]),
        ("when: x > (select 1)", ContractError, ["not allowed"]),
        ("when: x > 1; drop table gold_days", ContractError, ["not allowed"]),
        ("when: x::varchar = 'a'", ContractError, ["no function 'cast'"]),
        ("when: sum(x) over () > 1", ContractError, ["not allowed"]),
        ("when: meta.clusters.x > 1", ContractError, ["names a table"]),
        ("when: coalesce(x, 0) < 5", ContractError, ["what is not known for one"]),
        ("when: x >=", ContractError, ["is no expression"]),
        ("when: sum(sum(x)) > 1", ContractError, ["sum inside a sum"]),
        ("when: sum(x) > 1 and y > 1", ContractError, ["y has one value a row"]),
        ("where: sum(x) > 1", ContractError, ["where judges a row"]),
        ("over: 7 days", ContractError, ["over needs a sum"]),
        ("from: gold_dayz", ContractError, ['write "gold_days"', ".yml:", ", from"]),
        ("from: bronze_days", ContractError, ["no table"]),
        ("per: []", ContractError, ["several rows for one key", "machine_id"]),
        ("per: machine", ContractError, ['write "machine_id"']),
        ("time: word", ContractError, ["is no day and no hour"]),
        ('say: "{xx} is high"', ContractError, ["no value 'xx'"]),
        ('say: "{x is high"', ContractError, ["is no template"]),
        ('say: "{x.__class__} is high"', ContractError, ["no name of a value"]),
        ('say: "{word:.1f} is high"', ContractError, ["is no number"]),
        ('say: "{x:>900000000}"', ContractError, ["no format"]),
        ("for: 2 weeks", ContractError, ["does not match"]),
        ("for: 2 hours", ContractError, ["no whole number of days"]),
        ("severity: urgent", ContractError, ["urgent"]),
        ("wenn: x > 1", ContractError, ['write "when"']),
        ("let: {x: y + 1}", ContractError, ["a column already"]),
        ("tell: operatorz", UsageError, ['write "operators"', "[audiences.operatorz]"]),
        ("examples: {fires: [{machine_id: a, xx: 3}], stays_quiet: [{machine_id: a}]}", ContractError, ["'xx'"]),
        ("title: [", ContractError, ["cannot be read", ".yml:"]),
    ],
)  # fmt: skip
def test_a_rule_at_fault_is_told_with_its_place(read, line, error, words):
    """Whoever writes a rule must learn what is wrong with it where it stands, before it is ever run."""
    with pytest.raises(error) as caught:
        read(line)
    for word in words:
        assert word in str(caught.value)


def test_rules_at_fault_leave_the_others(read, tmp_path):
    """One broken file must not silence a fleet."""
    read(name="good")
    (tmp_path / "text.yml").write_text("- no rule", encoding="utf-8")
    (tmp_path / "bytes.yml").write_bytes(b"\xff\xfe\x00")
    found = judging.load(tmp_path, models=MODELS, audiences=AUDIENCES)

    assert ["good"] == [rule.name for rule in found.usable]
    assert ["bytes", "text"] == [each.name for each in found.broken]
    with pytest.raises(UsageError, match="good"):
        found.only(["god"])


def test_a_table_that_is_not_published_breaks_its_rule_alone(read):
    """An older publication lacks a table: what it has is judged all the same."""
    published = Published(days([10]))
    published.connection.execute("drop table gold_hours")
    missing = read("from: gold_hours", "time: hour_start_at", name="hours")
    found = judging.judge(published, [missing, read()])

    assert ["high"] == [finding.rule for finding in found.findings]
    assert ["hours"] == [each.name for each in found.broken]


def test_a_column_that_is_not_published_breaks_its_rule_alone(read):
    """Rules over one table share what was read of it, and not their faults."""
    published = Published(days([10]))
    published.connection.execute("alter table gold_days drop column word")
    other = read("when: word = 'a'", name="words")
    found = judging.judge(published, [other, read()])

    assert ["high"] == [finding.rule for finding in found.findings]
    assert ["words"] == [each.name for each in found.broken]


def test_a_table_is_read_once_for_all_its_rules(read):
    """A view may cost more than all that is asked of it."""
    published = Published(days([10, 9]))
    told = []
    read_once = published.read_once
    published.read_once = lambda table, *query: told.append(table) or read_once(table, *query)
    rules = [read(name="a"), read("from: gold_hours", "time: hour_start_at", name="b"), read("when: y > 1", name="c")]
    judging.catch_up(published, rules, since={"c": utc(2026, 11, 1)})

    assert ["gold_days", "gold_hours"] == told
    assert 0 == published.sql("select table_name from duckdb_tables() where temporary").num_rows


def test_a_thing_is_told_of_though_it_has_no_row_any_more(read):
    """A machine that is gone must not keep its incident open for ever, nor vanish from what was judged."""
    rows = [*days([9, "-"], machine="calm"), *days([10, "-"], machine="bad"), *days([9, 9], machine="there")]
    found = judging.judge(Published(rows), [read("missing: clear")]).findings

    assert {"calm", "bad", "there"} == {dict(each.key)["machine_id"] for each in found}
    assert {State.CLEAR} == {each.state for each in found}


def test_rows_without_a_cluster_are_things_of_their_own(read):
    """What nobody can place must neither vanish nor count for a cluster."""
    rows = [*days([10], cluster=None), *days([9])]
    found = judging.judge(Published(rows), [read()]).findings

    assert [("", State.FIRING), ("c", State.CLEAR)] == sorted((each.cluster_id, each.state) for each in found)


def test_an_own_rule_stands_for_the_shipped_one_of_its_name(read, tmp_path):
    """Who wants another threshold changes nothing of what was installed."""
    read(name="same")
    own = tmp_path / "own"
    own.mkdir()
    (own / "same.yml").write_text(WHOLE.replace("x >= 10", "x >= 20"), encoding="utf-8")
    found = judging.load(tmp_path, own, models=MODELS, audiences=AUDIENCES)

    assert ["x >= 20"] == [rule.when.text for rule in found.usable]


@pytest.mark.parametrize("evil", ["'; drop table gold_days; --", '"x"', "{x}", "\a", "%s", "\\'"])
def test_texts_of_a_rule_and_of_the_data_stay_texts(read, evil):
    """A user's name that looks like SQL or like a template is a name."""
    quoted = evil.replace("\\", "\\\\").replace('"', '\\"').replace("\a", "\\a")
    sql_text = quoted.replace("'", "''")
    rule = read(f"when: \"word = '{sql_text}'\"", 'say: "{word}"')
    published = Published([{"cluster_id": "c", "machine_id": evil, "dt": FIRST, "word": evil}])
    (found,) = judging.judge(published, [rule]).findings

    assert State.FIRING is found.state
    assert (evil, f"{evil} is high") == (found.message, found.title)
    assert 1 == len(judging.judge(published, [rule]).findings)


def test_nothing_divided_by_nothing_is_not_known(read):
    """DuckDB says infinity, which is above every threshold."""
    rule = read("when: x / y > 1", "say: s")
    rows = [{"cluster_id": "c", "machine_id": "m", "dt": FIRST, "x": 5, "y": 0}]

    assert [State.UNKNOWN] == [each.state for each in judging.judge(Published(rows), [rule]).findings]


def test_every_sign_means_what_it_means_in_sql():
    """Precedence must survive being taken apart and written anew."""
    columns, answers = {"x", "y"}, {}
    for text in ("x + y * 2 > 7 and not y = 2 or x is null", "x in (1, 3) and y between 1 and 3", "abs(x - y) <= 2",
                 "-x < -1", "x not in (2) and y <> 2", "least(x, y) >= 2", "(x > 1) is true"):  # fmt: skip
        ours = expression.sql_of(expression.parse(text, columns=columns, let={}, where="").tree)
        rows = duckdb.sql(
            f"select bool_and(({ours}) is not distinct from ({text})) from range(1, 5) as a (x), range(1, 5) as b (y)"
        )
        answers[text] = rows.fetchone()[0]

    assert all(answers.values()), answers


def test_a_hundred_thousand_findings_are_calm(read):
    """A fault of the whole fleet must not take the judge down with it."""
    published = Published()
    published.connection.execute(
        "insert into gold_days (cluster_id, machine_id, dt, x) "
        "select 'c', 'm' || range, date '2026-11-01', 10 from range(100_000)"
    )
    started = time.process_time()
    found = judging.judge(published, [read()])

    assert 100_000 == len(found.findings)
    assert time.process_time() - started < 30


def test_the_sql_holds_no_text_of_the_rule_but_names_and_literals(read):
    """What a rule file says is parsed and written anew; comments and odd spaces are gone."""
    sql = read("when: x   >= /* now() */ 10").sql

    assert "now(" not in sql
    assert '("x" >= 10)' in sql


def test_amounts_are_shown_as_amounts(read):
    """Costs come as decimals; a reader wants no more digits than the rule asks for."""
    made = template.parse(
        "{cost:,.0f} USD, {n} jobs, {x}", known={"cost", "n", "x"}, numbers={"cost", "n", "x"}, where=""
    )

    assert "1,235 USD, 1,200 jobs, unknown" == made.filled({"cost": Decimal("1234.56"), "n": 1200, "x": None})


def test_a_moment_has_no_zone(read):
    """Times are UTC without a zone, as the lake stores them."""
    (found,) = judging.judge(Published(days([10])), [read()]).findings

    assert found.at.tzinfo is None
    assert found.at.replace(tzinfo=UTC) == datetime(2026, 11, 2, tzinfo=UTC)


def test_rules_are_read_anew_where_anything_that_they_are_read_from_has_changed(tmp_path):
    """Half a second at each delivery; but a changed rule, column or audience must count at once, and a torn file harm nobody."""
    own = tmp_path / "own"
    own.mkdir()
    shutil.copy(config.shipped_rules() / "idle_held.yml", own / "mine.yml")
    settings = config.Config(lake=tmp_path, rules=own)
    first = judging.load_kept(settings, folder=tmp_path, key="a")
    (own / "mine.yml").unlink()

    def names(key):
        return {rule.name for rule in judging.load_kept(settings, folder=tmp_path, key=key).usable}

    assert "mine" in {rule.name for rule in first.usable} & names("a")
    assert "mine" not in names("b")
    for file in tmp_path.glob("*.kept"):
        file.write_bytes(file.read_bytes()[:100])
    assert names("b") == {rule.name for rule in first.usable} - {"mine"}


def test_kept_rules_need_no_parser(tmp_path):
    """A fifth of a second at each delivery, for rules whose queries were written long ago."""
    settings = f"config.Config(lake=Path({str(tmp_path)!r}))"
    program = (
        "import sys; from pathlib import Path; from gpulake import config, judging\n"
        f"rules = judging.load_kept({settings}, folder=Path({str(tmp_path)!r}), key='a').usable\n"
        "assert all(rule.sql and rule.columns for rule in rules)\n"
        "print(len(rules), 'sqlglot' in sys.modules)"
    )
    first = judging.load_kept(config.Config(lake=tmp_path), folder=tmp_path, key="a")
    again = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True)

    assert f"{len(first.usable)} False" in again.stdout
    kept = pickle.loads(pickle.dumps(first)).usable[0]
    assert (kept.when.tree, kept.columns) == (first.usable[0].when.tree, first.usable[0].columns)


@pytest.mark.parametrize(
    "name", ["x' or 1=1 --", '"; rm -rf ~; "', "$(reboot)", "`id`", "a\nb", "javascript:alert(1)//<b>"]
)
def test_a_command_to_copy_holds_no_text_that_could_end_its_quotes(read, name):
    """Names come from whoever submits jobs; people paste these lines into a shell."""
    rule = read("say: '{machine_id} is high'", """do: 'gpulake sql "from t where m = ''{machine_id}''"'""")
    rows = [{**row, "machine_id": name} for row in days([10])]
    (found,) = judging.judge(Published(rows), [rule]).findings

    assert name in found.message
    assert "gpulake sql \"from t where m = '<machine_id>'\"" == found.do
