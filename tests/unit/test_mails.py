"""What people read: a notice says what, where, since when, what was expected, who is hit and what to do; nothing breaks the page."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser

import pytest

from gpulake.alert import Maintenance, Told, step
from gpulake.findings import Finding, Severity, State
from gpulake.telling.mails import digest, notice
from gpulake.telling.mails.digest import Digest, Entry
from gpulake.telling.mails.layout import Clock, amount, lasted, moment

H = timedelta(hours=1)
T0 = datetime(2026, 3, 2, tzinfo=UTC).replace(tzinfo=None)
CLOCKS = {"c": Clock("Europe/Berlin")}


def found(n=0, **more):
    known = {
        "rule": "hot", "key": (("cluster_id", "c"), ("machine_id", f"m{n}")), "state": State.FIRING, "at": T0 + 6 * H,
        "since": T0, "severity": Severity.PAGE, "title": f"m{n} runs hot", "message": f"m{n}: 83 C, expected 71 ± 3 C, for 6 h.",
        "do": "look at the fan", "link": "https://lake.example/m", "value": 83.0, "expected": 71.0, "unit": "C",
        "gpu_h": 48.0, "machines": (f"m{n}",), "jobs": ("j1", "j2"),
    }  # fmt: skip
    return Finding(**{**known, **more})


class Balanced(HTMLParser):
    """Fails where a tag is not closed in its turn."""

    def __init__(self, text):
        super().__init__()
        self.open, self.text = [], []
        self.feed(text)
        assert [] == self.open

    def handle_starttag(self, tag, attrs):
        if tag not in {"meta", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert tag == self.open.pop()

    def handle_data(self, data):
        self.text.append(data)


def told(*findings, **more):
    (one,) = step({}, findings, T0 + 6 * H).notices
    return notice.message_of(replace(one, **more), notice_id="n1", clocks=CLOCKS)


def test_a_notice_says_all_that_a_person_needs():
    """What, where, since when, seen and expected, who is hit, what to do, where to look, and how to take it."""
    message = told(found())

    for words in (
        "m0: 83 C, expected 71 ± 3 C, for 6 h.", "where     c, machine m0", "since     2026-03-02, Monday, 01:00, for 6 h",
        "seen      83 C", "expected  71 C", "hit       machine m0; 2 jobs (j1, j2); 48.0 GPU-h", "do        look at the fan",
        "page      https://lake.example/m", "gpulake alerts ack ",
    ):  # fmt: skip
        assert words in message.text
        assert words.split("  ")[-1].strip() in " ".join(Balanced(message.html).text)
    assert "c: m0 runs hot" == message.subject


@pytest.mark.parametrize(
    ("kind", "subject"), [(Told.RESOLVED, "Over: c: m0 runs hot"), (Told.REMINDED, "Still: c: m0 runs hot")]
)
def test_the_subject_says_what_has_changed(kind, subject):
    """A phone shows no more than that."""
    message = told(found(), told=kind)

    assert subject == message.subject
    assert ("do" in dict(message.facts)) == (kind is not Told.RESOLVED)


def test_what_is_told_together_is_counted_and_the_worst_named():
    """Thirty machines: the first are named, all are counted."""
    message = told(*(found(n) for n in range(30)))

    assert message.subject.endswith(" (and 29 more)")
    assert "in all: 30 × hot" in message.text
    assert "and 9 more: gpulake alerts show" in message.text


def test_names_of_users_cannot_break_a_page():
    """A job's name is somebody else's text."""
    evil = '<script>alert("x")</script>'
    message = told(found(title=evil, message=evil, do=evil, link=f"javascript:{evil}", jobs=(evil,)))

    assert "<script" not in message.html
    assert "href" not in message.html
    assert evil in " ".join(Balanced(message.html).text)


def entries(*findings):
    return tuple(Entry(incident, 1, incident.finding.gpu_h) for incident in step({}, findings, T0).incidents.values())


def test_the_digest_begins_with_what_is_open():
    """Read from the top, one can stop when one has had enough."""
    still = (*entries(found()), *entries(found(1, severity=Severity.TICKET)))
    taken = (still[0], replace(still[1], incident=replace(still[1].incident, acknowledged_by="ann")))
    window = Maintenance("c", T0, T0 + 30 * H, "new switches")
    message = digest.message_of(
        Digest(date(2026, 3, 3), T0 + 30 * H, T0, taken, taken[:1], entries(found(2)), 96.0, ("duty",), (window,)),
        notice_id="d", clocks=CLOCKS,
    )  # fmt: skip

    assert "gpulake, Tuesday 03 March: 2 things open, 1 of them urgent" == message.subject
    lines = message.text.splitlines()
    assert (
        "Since the last digest 1 began and 1 ended. What is open concerns up to 96.0 GPU-h. Still to be taken: 1."
        == lines[2]
    )
    assert "In maintenance: c until 2026-03-03, Tuesday, 07:00 (new switches)." == lines[3]
    assert "channel duty" in lines[4]
    assert lines.index("Open (2)") < lines.index("Over since the last digest (1)")
    assert "m0 runs hot, new" in message.text
    assert "taken by ann" in message.text
    assert {"2", "new", "→ look at the fan"} <= {text.strip() for text in Balanced(message.html).text}
    assert "http" not in message.html.replace("https://lake.example/m", "")


def test_a_calm_day_has_a_calm_digest():
    """No news is told in a sentence: a digest that does not come looks the same as one that is lost."""
    message = digest.message_of(Digest(date(2026, 3, 3), T0, T0, (), (), ()), notice_id="d", clocks={})

    assert "gpulake, Tuesday 03 March: all is calm" == message.subject
    assert "Nobody needs to do anything." in message.text
    assert len(message.html) < 4000


def test_a_long_list_is_cut_and_counted():
    """A hundred open things are twelve lines and a number."""
    many = tuple(entry for n in range(100) for entry in entries(found(n)))
    message = digest.message_of(Digest(date(2026, 3, 3), T0, T0, many, (), ()), notice_id="d", clocks={})

    assert "and 88 more: gpulake alerts list" in message.text
    assert len(message.html) < 40_000


@pytest.mark.parametrize(
    ("at", "clock", "words"),
    [
        (T0, Clock(), "2026-03-01, Sunday, 24:00 UTC"),
        (T0 + H, Clock(), "2026-03-02, Monday, 01:00 UTC"),
        (datetime(1970, 1, 12, 16), Clock("Asia/Shanghai", "offset"), "day 11, Monday, 24:00"),  # noqa: DTZ001  # as the lake stores it
        (T0 + H, Clock("UTC", "real", has_weekdays=False), "2026-03-02, 01:00 UTC"),
    ],
)
def test_times_are_said_as_people_of_the_cluster_say_them(at, clock, words):
    """The end of a day belongs to it; nobody sees 1970."""
    assert words == moment(at, clock)


def test_figures_have_the_digits_that_they_need():
    """1,410 MHz, not 1410.0; 0.05, not 0."""
    assert ["1,410 MHz", "83.5 C", "1.4 h", "0.0512", "0"] == [
        amount(value, unit) for value, unit in [(1410.2, "MHz"), (83.5, "C"), (1.4, "h"), (0.0512, ""), (0.0, "")]
    ]
    assert ["5 min", "6 h", "3 days"] == [lasted(T0, T0 + timedelta(minutes=m)) for m in (5, 360, 4320)]
