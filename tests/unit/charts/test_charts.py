"""Pictures as specifications: what they map, what they refuse, and that nothing in a name can hurt a page."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from xml.etree import ElementTree as ET

import pyarrow as pa
import pytest

from gpulake import charts
from gpulake.charts import Calendar, Chart, Seen
from gpulake.charts.calendar import day_ms
from gpulake.charts.chart import MOST_TABLE_ROWS
from gpulake.charts.colours import LIGHT
from gpulake.charts.rows import MOST_ROWS, packed, safe_json
from gpulake.errors import UsageError

DAYS = [date(2020, 7, 6) + timedelta(days=i) for i in (0, 1, 2, 4)]  # the tenth is missing
HOURS = [datetime(2020, 7, 6, 22, tzinfo=UTC).replace(tzinfo=None) + timedelta(hours=i) for i in range(4)]

ARABIC = "\u0633\u0644\u0627\u0645"

HOSTILE = [
    "</script><script>alert(1)</script>",
    "\"' onmouseover=alert(1) `${x}`",
    "line\u2028break\nand\u2029another",
    "<!--",
    "\u202egnp.exe",
    ARABIC,
    "x" * 1_000_000,
    "x" * 1_000_000 + "y",
    "colour:ink",
    "\x00\x1b[31mred",
    "",
    "😀",
]

WASTE = pa.table({
    "starts_at_capacity": [True],
    "starts_at_gpu_h": [96.0],
    "down_gpu_h": pa.array([None], pa.float64()), "unallocated_gpu_h": [48.0], "unknown_gpu_h": [24.0],
    "idle_held_gpu_h": [12.0], "failed_active_gpu_h": [4.0], "productive_gpu_h": [8.0],
    "down_ratio": pa.array([None], pa.float64()), "unallocated_ratio": [0.5], "unknown_ratio": [0.25],
    "idle_held_ratio": [0.125], "failed_active_ratio": [0.0416667], "productive_ratio": [0.0833333],
})  # fmt: skip

WASTE_IN_MONEY = WASTE.append_column("starts_at_usd", pa.array([192.0])).append_column(
    "idle_held_usd", pa.array([24.0])
)

PARTS = {
    "active_gpu_h": [1.0, 2.0, 3.0, 4.0],
    "idle_held_gpu_h": [5.0, 6.0, 7.0, 8.0],
    "unknown_gpu_h": [9.0, 10.0, None, 12.0],
    "unallocated_gpu_h": [33.0, 30.0, 38.0, 24.0],
    "down_gpu_h": pa.array([None] * 4, pa.float64()),
}
DAY_PARTS = pa.table({"dt": DAYS, **PARTS})
HOUR_PARTS = pa.table({"hour_start_at": HOURS, **PARTS})

USE = pa.table({
    "dt": DAYS,
    "avg_gpu_util": [20.5, None, 3.25, 21.0], "expected_gpu_util": [19.5, 19.0, 18.5, 18.0],
    "expected_low": [10.0, 11.0, 12.0, 13.0], "expected_high": [30.0, 31.0, 32.0, 33.0],
    "avg_gpu_util_low": [19.5, None, 2.25, 20.0], "avg_gpu_util_high": [21.5, None, 4.5, 22.0],
    "coverage_ratio": [0.875, 0.0, 0.0625, 0.75],
    "judgement": ["normal", "not_judged", "anomaly", "normal"],
    "anomaly_driver": [None, None, "avg_gpu_util", None], "anomaly_reason": [None, None, HOSTILE[0], None],
})  # fmt: skip

MACHINES = pa.table({
    "machine_id": [HOSTILE[0], HOSTILE[0], "b", "b"],
    "hour_start_at": HOURS[:2] * 2,
    "gpu_util_pct": [5.0, None, 55.0, 95.0],
})  # fmt: skip
FLEET = pa.table({"hour_start_at": HOURS[:2], "gpu_util_pct": [30.0, 31.0]})
WEEK = pa.table({"weekday": [1, 7], "hour_no": [0, 23], "use_pct": [11.0, 60.0]})
PEOPLE = pa.table({
    "user_id": HOSTILE, "idle_held_gpu_h": [float(len(HOSTILE) - i) for i in range(len(HOSTILE))],
    "active_gpu_h": [None, *[1.5] * (len(HOSTILE) - 1)],
})  # fmt: skip
BINS = pa.table({"low_s": [0.0, 9.0], "high_s": [9.0, 99.0], "jobs": [7, 3]})
SPANS = pa.table({"size_class": ["1", "8"], "p05": [1.0, 2.0], "p50": [60.0, 70.0], "p95": [3600.0, 7200.0]})

FLAGGED_DAYS = pa.table({"dt": [DAYS[1], DAYS[3], date(2020, 8, 1)], "why": [HOSTILE[0], None, "beside the picture"]})
BEGUN_HOURS = pa.table({"hour_start_at": [HOURS[1]] * 5, "title": ["a", "b", "c", "d", HOSTILE[6]]})
FLAGS = charts.Mark(charts.FLAGGED, "diamond: unusual", FLAGGED_DAYS, "dt", "why")

MADE: dict[str, tuple[Callable[[], Chart], list[pa.Table]]] = {
    "waterfall": (lambda: charts.capacity_waterfall(WASTE, title="Where?"), [WASTE]),
    "money": (lambda: charts.capacity_waterfall(WASTE_IN_MONEY, title="Which money?"), [WASTE_IN_MONEY]),
    "days": (lambda: charts.parts_by_day(DAY_PARTS, title="Which days?"), [DAY_PARTS]),
    "marked": (lambda: charts.parts_by_day(DAY_PARTS, title="When?", marks=(FLAGS,)), [DAY_PARTS, FLAGGED_DAYS]),
    "hours": (lambda: charts.parts_by_hour(HOUR_PARTS, title="Which hours?"), [HOUR_PARTS]),
    "use": (lambda: charts.use_by_day(USE, title="Unusual?"), [USE]),
    "series": (
        lambda: charts.series(USE, title="A machine?", seen=charts.CLUSTER_USE, at="dt", step=timedelta(days=1), mark="judgement", why="anomaly_reason"),
        [USE],
    ),
    "machines": (lambda: charts.machines_by_hour(MACHINES, title="Idle?", value="gpu_util_pct", unit="use, %", fleet=FLEET), [MACHINES, FLEET]),
    "week": (lambda: charts.week(WEEK, title="When?", value="use_pct", unit="use, %"), [WEEK]),
    "ranking": (lambda: charts.ranking(PEOPLE, title="Who?", name="user_id", parts=("idle_held_gpu_h", "active_gpu_h")), [PEOPLE]),
    "histogram": (lambda: charts.histogram(BINS, title="Wait?", low="low_s", high="high_s", count="jobs", noun="wait", marks=(("median", 9.0),)), [BINS]),
    "spread": (lambda: charts.spread(SPANS, title="Run?", name="size_class", low="p05", middle="p50", high="p95", noun="run time"), [SPANS]),
}  # fmt: skip

every_chart = pytest.mark.parametrize("name", MADE)


def parts_of(spec: object) -> Iterator[dict[str, Any]]:
    """Every object of a specification."""
    if isinstance(spec, dict):
        yield spec
        for value in spec.values():
            yield from parts_of(value)
    elif isinstance(spec, list | tuple):
        for value in spec:
            yield from parts_of(value)


@every_chart
def test_a_picture_shows_columns_and_computes_none(name: str) -> None:
    """A figure that a picture works out for itself is a second definition of it."""
    make, tables = MADE[name]
    chart = make()
    given = {column for table in tables for column in table.column_names}
    # What a specification may add: which part a row is of, words, and where a bar is put.
    layout = {
        "part",
        "gpu_h",
        "usd",
        "from_ground",
        "from_axis",
        "called",
        "when",
        "words",
        "share",
        "step",
        "kind",
        "ratio",
        "from",
        "to",
        "day",
        "at_s",
        "at",
        "told",
    }
    encoded = {
        channel["field"]
        for part in parts_of(chart.spec)
        if "encoding" in part
        for channel in parts_of(part["encoding"])
        if "field" in channel
    }
    figures = {round(float(value), 5) for table in tables for column in table.columns
               if pa.types.is_floating(column.type) or pa.types.is_integer(column.type) for value in column.to_pylist() if value is not None}  # fmt: skip
    times = {"dt", "hour_start_at", "at", "below", "at_s"}
    shown = {round(float(value), 5) for rows in chart.rows.values() for row in rows for key, value in row.items()
             if key not in times and isinstance(value, int | float) and not isinstance(value, bool)}  # fmt: skip

    assert encoded <= given | layout
    assert shown <= figures


@every_chart
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_picture_is_drawn_and_says_what_it_is(name: str, dark: bool) -> None:
    """A screen reader, and a person who gets the file by mail, need the title in it."""
    chart = MADE[name][0]()
    drawn = ET.fromstring(chart.svg(dark=dark))
    space = "{http://www.w3.org/2000/svg}"

    assert chart.title == drawn.findtext(f"{space}title")
    assert chart.description.split(HOSTILE[0][:9])[0][:60] in (drawn.findtext(f"{space}desc") or "")
    assert "colour:" not in ET.tostring(drawn, encoding="unicode").replace("colour:ink", "")
    assert drawn.findall(f".//{space}path") or drawn.findall(f".//{space}rect")


@every_chart
def test_the_same_data_give_the_same_bytes(name: str) -> None:
    """A report that is made twice must not differ, or nobody can compare two of them."""
    make, _ = MADE[name]

    assert make().svg() == make().svg()
    assert make().html(element_id="x") == make().html(element_id="x")


def test_a_png_has_the_width_that_was_asked_for() -> None:
    """Twice the pixels for a sharp screen."""
    png = MADE["week"][0]().png(width=640, scale=2)
    width, _ = struct.unpack(">II", png[16:24])

    assert png.startswith(b"\x89PNG")
    assert abs(width - 2 * 640) <= 40
    assert png == MADE["week"][0]().png(width=640, scale=2)


@every_chart
def test_nothing_in_a_name_ends_the_element_that_holds_it(name: str) -> None:
    """A user may be called `</script>`; the page must stay a page, and one page's worth of bytes."""
    text = MADE[name][0]().html(element_id='x"y')
    held = re.findall(r'<script type="application/json">(.*?)</script>', text, flags=re.DOTALL)

    assert len(held) == 1
    assert {"spec", "rows", "besides"} == set(json.loads(held[0])) - {"narrow"}
    assert held[0].isascii()
    assert "<" not in held[0]
    assert "<script>" not in text
    assert "onmouseover=alert" not in re.sub(r">[^<]*<", "><", text)
    assert len(text) < 40_000
    assert 'id="x&quot;y"' in text


def test_hostile_names_stay_as_many_as_they_are() -> None:
    """Two names that are cut to the same letters are two users, and neither turns the line around."""
    names = [row["user_id"] for row in MADE["ranking"][0]().rows["names"]]

    assert len(HOSTILE) == len(set(names))
    assert max(map(len, names)) <= 62
    assert f"\u2068{ARABIC}\u2069" in names
    assert not re.search("[\u2028\u2029\u202e\n]", "".join(names))


def test_an_unknown_figure_is_a_gap_and_never_zero() -> None:
    """A day that was not measured, and one that is not there at all, are not days of no use."""
    rows = MADE["use"][0]().rows["days"]

    assert [20.5, None, 3.25, None, 21] == [row["avg_gpu_util"] for row in rows]
    assert 3 == sum(each["type"] == "line" or each["type"] == "area" for part in parts_of(MADE["use"][0]().spec)
                    if isinstance(each := part.get("mark"), dict) and each.get("invalid") == "break-paths-show-domains")  # fmt: skip


def test_a_day_that_was_not_judged_stands_on_grey_from_top_to_bottom() -> None:
    """Else its figure would be read as one that was found normal."""
    grounds = re.findall(rf'<path d="([^"]*)"[^>]*fill="{LIGHT.shade}"', MADE["use"][0]().svg())

    assert 1 == len(grounds)
    assert "v190" in grounds[0]


def test_nan_and_infinity_are_not_known() -> None:
    """JSON has no word for them, and a page with one would not be read at all."""
    table = pa.table({"weekday": [1, 2, 3], "hour_no": [0, 1, 2], "v": [float("nan"), float("inf"), 1.5]})

    assert [None, None, 1.5] == [row["v"] for row in charts.week(table, title="t", value="v", unit="u").rows["cells"]]


def test_what_is_not_recorded_is_said_beside_what_holds_it() -> None:
    """Where a source tells of no down time, what nobody held may have been down."""
    steps = {row["step"]: row["gpu_h"] for row in MADE["waterfall"][0]().rows["steps"]}

    assert {"capacity": 96, "held by nobody, or down": 48, "held, use not measured": 24, "held, measured, idle": 12,
            "in use by jobs that failed": 4, "in use otherwise": 8} == steps  # fmt: skip


def test_times_are_those_of_the_clusters_clocks() -> None:
    """22:00 in UTC is 06:00 of the next day in Shanghai; a trace that hides its dates shows numbers of days."""
    shanghai = charts.parts_by_hour(HOUR_PARTS, title="t", calendar=Calendar("Asia/Shanghai"))
    hidden = charts.parts_by_day(DAY_PARTS, title="t", calendar=Calendar("UTC", hides_dates=True))

    assert "2020-07-07 06:00" in shanghai.html(element_id="x")
    assert "time in Asia/Shanghai" in shanghai.svg()
    assert "day 18449, Mon" in hidden.html(element_id="x")  # 2020-07-06
    assert "2020" not in hidden.svg()


def test_a_page_can_be_had_whole() -> None:
    """A page that is sent by mail holds the picture itself, in the colours of whoever reads it."""
    text = MADE["days"][0]().html(element_id="x", live=False)

    assert "<script" not in text
    assert "var(--chart-idle-held, #df6f05)" in text
    assert text.count("<title>") == 2, "one of a screen's width, one of a phone's"


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: charts.parts_by_day(pa.concat_tables([DAY_PARTS, DAY_PARTS]), title="t"), "two rows have the same dt"),
        (lambda: charts.capacity_waterfall(WASTE.slice(0, 0), title="t"), "wants one row, not 0"),
        (lambda: charts.week(WEEK, title="t", value="nothing", unit="u"), "no column nothing"),
        (lambda: charts.week(pa.concat_tables([WEEK] * MOST_ROWS), title="t", value="use_pct", unit="u"), "too many for a picture"),
    ],
)  # fmt: skip
def test_a_table_that_makes_no_picture_is_refused_with_what_to_do(call: Callable[[], Chart], said: str) -> None:
    """A picture of half the pools, or of a million cells, would be believed."""
    with pytest.raises(UsageError, match=re.escape(said)) as refused:
        call()

    assert refused.value.do


@pytest.mark.parametrize("rows", [0, 1])
def test_little_data_makes_a_small_picture(rows: int) -> None:
    """A lake of a day, and one in which nobody ran a thing."""
    for chart in (
        charts.parts_by_day(DAY_PARTS.slice(0, rows), title="t"),
        charts.use_by_day(USE.slice(0, rows), title="t"),
        charts.machines_by_hour(MACHINES.slice(0, rows), title="t", value="gpu_util_pct", unit="u"),
        charts.ranking(PEOPLE.slice(0, rows), title="t", name="user_id", parts=("idle_held_gpu_h",)),
        charts.series(USE.slice(0, rows), title="t", seen=Seen("avg_gpu_util", "%"), at="dt", step=timedelta(days=1)),
    ):
        assert ET.fromstring(chart.svg()) is not None


def test_two_thousand_machines_are_forty_rows_and_a_sentence() -> None:
    """Nobody reads 2,000 rows; those that hurt most come first, and the rest is counted."""
    table = pa.table(
        {"machine_id": [f"m{i}" for i in range(2_000)], "hour_start_at": [HOURS[0]] * 2_000, "use_pct": [1.0] * 2_000}
    )
    chart = charts.machines_by_hour(
        table, title="t", value="use_pct", unit="u", fleet=FLEET.rename_columns(["hour_start_at", "use_pct"])
    )

    assert "40 of 2,000 machines" in chart.subtitle
    assert ["all machines", "m0", "m39"] == [
        list(dict.fromkeys(row["machine_id"] for row in chart.rows["cells"]))[i] for i in (0, 1, -1)
    ]


def test_a_long_table_below_a_picture_says_that_it_is_cut() -> None:
    """A page is not an export."""
    chart = MADE["week"][0]()
    long = replace(chart, rows={"cells": [chart.rows["cells"][0]] * (MOST_TABLE_ROWS + 1)})

    assert f"The first {MOST_TABLE_ROWS} of {MOST_TABLE_ROWS + 1} rows." in long.html(element_id="x")


def test_packed_rows_unpack_to_themselves() -> None:
    """The page's script turns columns back into rows: `of` and `at` must say the same."""
    rows = [{"name": "a" if i % 3 else "b", "v": i} for i in range(9)]
    columns = json.loads(safe_json(packed(rows)))
    unpacked = [columns["name"]["of"][i] for i in columns["name"]["at"]]

    assert [row["name"] for row in rows] == unpacked
    assert list(range(9)) == columns["v"]


def test_the_page_needs_no_inline_script_or_style() -> None:
    """A strict content policy forbids both."""
    text = MADE["days"][0]().html(element_id="x")

    assert not re.search(r"<style|style=|\son\w+=|javascript:", text)
    assert ["vega.js", "charts.js"] == list(charts.SCRIPTS)
    assert len(charts.static_file("vega.js")) < 1_000_000
    assert b"ast: true" in charts.static_file("charts.js")


def test_marks_stand_on_their_day_and_say_what_they_are() -> None:
    """A picture of what was lost answers "and did anybody notice" without another page."""
    none = charts.Mark(charts.URGENT, "never said", FLAGGED_DAYS.slice(0, 0), "dt", "why")

    made = charts.parts_by_day(DAY_PARTS, title="t", marks=(FLAGS, none))

    assert [day_ms(DAYS[1]), day_ms(DAYS[3])] == [row["at"] for row in made.rows["marks"]]
    told = {row["dt"]: row["told"] for row in made.rows["parts"]}
    assert {day_ms(DAYS[1]): HOSTILE[0], day_ms(DAYS[3]): "(no name)"} == {at: why for at, why in told.items() if why}
    assert made.subtitle == "diamond: unusual"
    assert "&lt;script&gt;" in made.html(element_id="x"), "a finger finds it in the table"
    assert made.svg() != charts.parts_by_day(DAY_PARTS, title="t").svg()


def test_many_incidents_of_an_hour_are_counted() -> None:
    """A storm of incidents must not become a text of a megabyte, nor hide behind three names."""
    mark = charts.Mark(charts.NOTED, "n", BEGUN_HOURS, "hour_start_at", "title")

    (row,) = charts.parts_by_hour(HOUR_PARTS, title="t", marks=(mark,)).rows["marks"]

    assert "a; b; c; and 2 more" == row["told"]


@pytest.mark.parametrize(
    ("low", "high", "steps"),
    [(16.2, 23.9, (18, 20, 22, 24)), (0, 100, (20, 40, 60, 80)), (3, 3, None), (0.0, 0.05, (0.01, 0.02, 0.03, 0.04))],
)
def test_steps_part_what_was_seen(low: float, high: float, steps: tuple[float, ...] | None) -> None:
    """A week between 16 and 24 percent has a shape that steps of 25 would hide."""
    found = charts.even_steps(pa.chunked_array([pa.array([low, high, None])]))

    assert len(found) == 4
    assert list(found) == sorted(set(found))
    assert steps is None or found == pytest.approx(steps)
