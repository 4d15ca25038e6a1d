"""Lines of terminal reports: they fit, whatever names hold; bars add up; colours mean what they mean on the pages."""

import ast
import re
import shlex
import subprocess
from collections import defaultdict
from datetime import date, datetime
from pathlib import Path

import pytest

from gpulake.charts.colours import DARK, LIGHT
from gpulake.reading.health import JobHealth
from gpulake.reading.scope import Cluster, Scope
from gpulake.telling import reports
from gpulake.telling.cells import cut, filled, shown, visible, width, wrapped
from gpulake.telling.ink import MEANINGS, inks, written
from gpulake.telling.lines import (
    COLUMNS,
    GLYPHS,
    Col,
    Part,
    Span,
    bar,
    facts,
    heading,
    legend,
    line,
    meter,
    notes,
    table,
)
from gpulake.telling.reports import Kind, Teller, kind_of, words
from gpulake.telling.reports.job import Told

CLUSTER = Cluster("c", "s", "Asia/Tokyo", "offset", date(1970, 1, 6), date(1970, 1, 9), None, None)
HOSTILE = {
    "Chinese": "漢字" * 60,
    "full width": "\N{FULLWIDTH LATIN CAPITAL LETTER A}" * 90,
    "emoji": "💩👨‍👩‍👧❤️🇩🇪" * 20,
    "Hebrew": "שלום עולם " * 20,
    "other direction": "\u202egnp.exe",
    "marks on marks": "e" + "\u0301" * 5_000,
    "a terminal's code": "\x1b[31;1m\x1b]0;title\x07red",
    "lines": "one\ntwo\r\nthree\ttab",
    "a megabyte": "x" * 1_000_000,
    "a wide megabyte": "語" * 1_000_000,
    "nothing": "",
    "a blank": "\u00a0\u2003",
    "Korean parts": "\u1112\u1161\u11ab" * 60,
    "half of a pair": "\ud800",
}
NAMES = pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


def text_of(lines, **settings):
    return written(lines, **{"inks": {}, "encoding": "utf-8", **settings})


def teller(**asked):
    return Teller(Scope(None, clusters=(CLUSTER,), asked=asked))


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("abc", 3),
        ("漢字", 4),
        ("ｶ", 1),
        ("é", 1),
        ("e\u0301", 1),
        ("💩", 2),
        ("שלום", 4),
        ("…", 1),
        ("\u1112\u1161", 2),
    ],
)
def test_a_text_takes_as_many_columns_as_a_terminal_gives_it(text, columns):
    """A column that is counted wrong pushes every figure after it to another place."""
    assert columns == width(text)


@NAMES
@pytest.mark.parametrize("columns", [1, 2, 7, 24, 80])
def test_a_cell_is_never_wider_than_it_says(name, columns):
    """One name would break the whole table."""
    assert width(cut(name, columns)) <= columns
    assert columns == width(filled(name, columns)) == width(filled(name, columns, right=True))
    assert all(width(each) <= max(columns, 2) for each in wrapped(name[:2_000], columns))


@NAMES
def test_nothing_delivered_steers_the_terminal(name):
    """A job may be called by a code that clears the screen or turns the text round."""
    told = text_of([line(name), *heading(name, name), *facts([(name, name)]), *notes([(name, None)])])

    assert "\x1b" not in told
    assert all(c == "\n" or c.isprintable() or c in " \u00a0" for c in told), repr(told)[:200]
    assert {True} == {width(each) <= COLUMNS for each in told.splitlines()}


def test_a_text_that_fits_is_told_whole():
    """What is cut cannot be copied."""
    assert "漢字" == cut("漢字", 4)
    assert "漢…" == cut("漢字", 3)
    assert ["a b", "c"] == wrapped("a b c", 3)
    assert ["* a", "  bb", "  cc"] == wrapped("a bbcc", 4, first="* ", rest="  ")
    assert r"\u202egnp" == shown("\u202egnp") == visible("\u202egnp")


def test_a_figure_stays_on_one_line_with_its_unit():
    """ "30" at the end of a line and "%" at the next beginning are read as another sentence."""
    assert ["used", "30 % of", "it"] == wrapped("used 30 % of it", 8)


@pytest.mark.parametrize(
    "amounts", [(0, 0, 0), (1, 1, 1), (0.2, 0.7, 0.1), (5, 5, 90), (None, 1, None), (99, 3, 0), (1e-9, 0, 0)]
)
@pytest.mark.parametrize("columns", [1, 8, 36, 78])
def test_the_parts_of_a_bar_add_up(amounts, columns):
    """A bar that is longer than its parts, or than its frame, says something else than the figures beside it."""
    total = 100.0
    parts = [Part(means, amount) for means, amount in zip(("active", "idle_held", "unknown"), amounts, strict=True)]

    spans = bar(parts, of=total, columns=columns)

    assert columns == sum(len(each.text) for each in spans)
    painted = sum(len(each.text) for each in spans if each.means)
    assert abs(painted - min(1.0, sum(each or 0.0 for each in amounts) / total) * columns) <= 0.5


def test_a_bar_can_be_read_without_colours():
    """On paper, in a mail, and for whoever does not see a colour."""
    kinds = ("active", "failed", "idle_held", "unknown", "unallocated", "down")

    assert len(kinds) == len({GLYPHS[each] for each in kinds})
    plain = text_of([line(Span("".join(GLYPHS[each] for each in kinds)))], encoding="ascii").strip()
    assert plain.isascii()
    assert len(kinds) == len(set(plain))


@NAMES
def test_a_table_fits_and_never_cuts_a_number(name):
    """Half of a number is another number."""
    rows = [
        {"job_id": name, "user_id": name, "idle_held_gpu_h": 1234567.0, "allocated_gpu_h": 99999.0, "cost_usd": 1e9, "run_s": 1e6, "status": name}
    ] * 2  # fmt: skip
    columns = [Col("job_id", "job"), Col("user_id", "user"), Col("idle_held_gpu_h", "idle", bar="idle_held"),
               Col("allocated_gpu_h", "held"), Col("cost_usd"), Col("run_s", "ran"), Col("status")]  # fmt: skip

    told = text_of(table(rows, columns, cluster=CLUSTER)).splitlines()

    assert {True} == {width(each) <= COLUMNS for each in told}
    assert all("1,234,567" in each for each in told[-2:])
    for number in ("99,999", "1,000,000,000.00"):  # whole, or its column is not there
        assert not any(number[:3] in each.replace(number, "") for each in told[-2:])


def test_a_table_says_what_it_lacks():
    """Nothing under a heading reads as a fault."""
    assert ["no job"] == text_of(table([], [Col("job_id")], cluster=CLUSTER, otherwise="no job")).splitlines()
    (head, row) = text_of(
        table([{"a": None, "b_gpu_h": None}], [Col("a"), Col("b_gpu_h")], cluster=CLUSTER, lacks=("a",))
    ).splitlines()[-2:]
    assert ("GPU-h", "    —") == (head, row)


def test_a_meter_has_its_figure_and_its_words():
    """The bar is for the eye, the figure for the argument."""
    (only,) = text_of(meter("GPU use", [Part("active", 0.5)], figure="50.0 %", note="of measured")).splitlines()

    assert f"GPU use      [{'█' * 18}{' ' * 18}]    50.0 %  of measured" == only
    assert width(only) <= COLUMNS
    assert {True} == {
        width(each) <= COLUMNS for each in text_of(meter("m", [], figure="1", note="word " * 30)).splitlines()
    }
    many = [
        ("active", "in use", "1,234,567,890"),
        ("idle_held", "held, idle", "1,234,567,890"),
        ("unknown", "not measured", "1"),
    ]
    assert {True} == {width(each) <= COLUMNS for each in text_of(legend(many)).splitlines()}


def test_colours_are_for_terminals_only():
    """In a file or a pipe they are noise; who asks for none gets none."""
    known = {"TERM": "xterm-256color"}

    assert {} == inks(known, is_terminal=False)
    assert {} == inks({**known, "NO_COLOR": "1"}, is_terminal=True)
    assert {} == inks({"TERM": "dumb"}, is_terminal=True) == inks({}, is_terminal=True)
    assert {} != inks({**known, "NO_COLOR": ""}, is_terminal=True)


@pytest.mark.parametrize(
    ("environ", "colours"), [({}, DARK), ({"COLORFGBG": "0;15"}, LIGHT), ({"COLORFGBG": "15;0"}, DARK)]
)
def test_colours_are_those_of_the_pages(environ, colours):
    """Orange is idle in every picture, the terminal included, on light and dark ground."""
    found = inks({"TERM": "xterm", "COLORTERM": "truecolor", **environ}, is_terminal=True)

    for name in MEANINGS:
        hexadecimal = getattr(colours, name)
        assert "38;2;" + ";".join(str(int(hexadecimal[at : at + 2], 16)) for at in (1, 3, 5)) == found[name]


@pytest.mark.parametrize("environ", [{}, {"COLORFGBG": "0;15"}], ids=["dark", "light"])
def test_few_colours_keep_the_parts_apart(environ):
    """A terminal of 256 colours must not make two parts of a bar the same."""
    found = inks({"TERM": "xterm-256color", **environ}, is_terminal=True)

    parts = [found[name] for name in ("active", "failed", "idle_held", "unknown", "unallocated", "down")]
    assert len(parts) == len(set(parts))


def test_colours_change_no_letter():
    """What is copied from a terminal is what stands in a file."""
    lines = [
        *heading("What", "beside"),
        *meter("use", [Part("active", 0.3), Part("unknown", 0.2)], figure="3"),
        line(Span("x", "soft")),
    ]

    coloured = text_of(lines, inks=inks({"TERM": "xterm"}, is_terminal=True))

    assert "\x1b[" in coloured
    bare = [each.rstrip() for each in ESCAPE.sub("", coloured).splitlines()]
    assert text_of(lines).splitlines() == bare


@pytest.mark.parametrize(
    "name",
    ["plain", "two words", "it's", "$HOME `id` \\", "漢字", "a\nb", "\x1b[31m", "\u202eabc", "-x", "'; rm -rf /"],
)
def test_a_command_can_be_copied(name):
    """Whoever copies it runs what it says, on that thing, whatever it is called."""
    command = teller().command("report", "user", name)

    assert {True} == {width(each) <= COLUMNS and each.isprintable() for each in command.splitlines()}
    said = subprocess.run(
        ["bash", "-c", f"gpulake() {{ printf '%s\\0' \"$@\"; }}\n{command}"], capture_output=True, check=True
    ).stdout.decode().split("\0")[:-1]  # fmt: skip
    assert ["report", "user", name] == [each for each in said if each != "--"]


def test_a_name_that_fits_no_line_has_no_command():
    """A command that a terminal breaks is not the command."""
    assert teller().command("report", "user", "x" * 1_000_000) is None
    assert teller().command("report", "user", "語" * 70) is None


def test_a_command_goes_on_where_the_report_stands():
    """The next report is of the same cluster, lake and days, or the figures do not fit together."""
    two = (CLUSTER, Cluster("d", "s", "UTC", "real", None, None, None, None))
    told = Teller(Scope(None, clusters=two, asked={"cluster": "c", "since": "6"}), lake="my lake")

    command = told.command("report", "waste", keeps_range=True)

    assert ["gpulake", "report", "waste", "--lake", "my", "lake", "--cluster", "c", "--since", "6"] == shlex.split(command.replace("\\\n", ""))[:1] + [
        word for each in shlex.split(command.replace("\\\n", ""))[1:] for word in each.split()
    ]  # fmt: skip


def test_every_file_of_the_folder_is_a_report():
    """A report is one file, found by where it stands."""
    kinds = [kind_of(word) for word in words()]

    assert ["anomalies", "fleet", "health", "job", "queue", "user", "waste"] == [kind.name for kind in kinds]
    assert {True} == {isinstance(kind, Kind) and bool(kind.answers and kind.title) for kind in kinds}
    assert {kind.name for kind in kinds if kind.takes} == {"job", "user"}


@pytest.mark.parametrize("word", words())
def test_a_report_asks_for_nothing_by_itself(word):
    """A query in a teller would be a figure that the page does not have."""
    tree = ast.parse((Path(reports.__file__).parent / f"{word}.py").read_text(encoding="utf-8"))
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]

    assert [] == [
        each
        for each in texts
        if re.match(r"\s*(select|with|from)\s", each.lower()) and "gpulake" not in each and " * from gold" not in each
    ]


def test_a_jobs_report_tells_whether_its_gpus_were_well():
    """Who lost a job to a GPU must learn it where they look first, and that ten more were not well either."""
    unwell = [
        {"machine_id": "n1", "gpu_device": str(index), "verdict": "sick", "verdict_reason": "Xid 79", "gravest": 3}
        for index in range(10)
    ]
    hit = {
        "started_at": datetime(1970, 1, 6, 3),  # noqa: DTZ001  # as the lake keeps it
        "machine_id": "n1", "gpu_devices": "0", "severity": "critical",
        "event_names": "Xid 79", "to_do": "Reset the GPU.", "is_lost": True,
    }  # fmt: skip
    job = {"gpu_h_reason": None, "cost_reason": None, "wait_s": None, "user_id": None, "job_id": "j"}
    job = defaultdict(lambda: None, job, job_status="failed", size_class="cpu", allocated_gpu_h=0.0)

    def of(health):
        told = Told(job=job, verdict=None, days=(), attempts=(), attempts_all=0, costs=(), lacks={}, health=health)
        kind = kind_of("job")
        return text_of(kind.lines(told, teller())), [words for words, _ in kind.notes(told, teller())]

    text, said = of(JobHealth(gpus=12, is_its_own=True, unwell=unwell, incidents=[hit]))
    quiet, _ = of(JobHealth(gpus=0, is_its_own=True, unwell=(), incidents=()))

    assert "Of its 12 GPUs 10 were sick on its days. 1 incident hit it, and it failed then." in " ".join(text.split())
    assert "And 2 more GPUs." in text
    assert any("Reset the GPU." in each for each in said)
    assert "health" not in quiet
