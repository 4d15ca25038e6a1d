"""Replies of a Prometheus server and pages of an exporter, row by row; and whatever else somebody delivers in their name."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from gpulake.errors import SourceError
from gpulake.landing import recognition
from gpulake.landing import rows as reading
from gpulake.landing.recognition import Recognised
from gpulake.sources.parsing import prometheus_pages as pages
from gpulake.sources.parsing import prometheus_replies as replies
from gpulake.sources.parsing.prometheus import BLANKS
from gpulake.sources.prometheus import SAMPLE

FIXTURES = Path(__file__).parents[2] / "fixtures" / "prometheus"
NODE01 = '{"Hostname":"node01","UUID":"GPU-aaaa","gpu":"0","instance":"10.0.0.1:9400"}'
A = '{"UUID":"GPU-aaaa","gpu":"0","modelName":"NVIDIA H100 80GB HBM3","pci_bus_id":"00000000:07:00.0"}'


def land(file, tmp_path):
    found = recognition.recognise(file, [SAMPLE])
    assert isinstance(found, Recognised), found
    converted = reading.convert(found, landing_id="0" * 64, folder=tmp_path / "out", time_zone="Europe/Berlin")
    kept = pl.concat([pl.read_parquet(part) for part in converted.files]) if converted.files else pl.DataFrame()
    return kept, converted


def short(kept):
    """Rows as tuples: line or number, metric, labels, time of day, value, interval, blank, machine."""
    columns = ("source_row", "metric", "labels", "sampled_at", "value", "interval_s", "blank", "machine")
    rows = kept.with_columns(pl.col("sampled_at").dt.strftime("%H:%M:%S%.3f")).select(columns)
    return [tuple(row) for row in rows.rows()]


def test_a_range_reply(tmp_path):
    """Each point is a row at its own time, with the step that was asked for; a gap is no row, a blank no value."""
    kept, converted = land(FIXTURES / "range.json", tmp_path)

    util, heat, memory = "DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_MEMORY_TEMP", "node_memory_MemTotal_bytes"
    node = '{"instance":"node01:9100"}'
    assert [
        (1, util, NODE01, "06:00:00.000", 97.0, 30.0, None, None),
        (2, util, NODE01, "06:00:30.000", 98.0, 30.0, None, None),
        (3, util, NODE01, "06:02:00.500", 3.0, 30.0, None, None),
        (4, heat, NODE01, "06:00:00.000", None, 30.0, "blank", None),
        (5, heat, NODE01, "06:00:30.000", None, 30.0, "not supported", None),
        (6, memory, node, "06:00:00.000", 2147483634.0, 30.0, None, None),
        (7, memory, node, "06:00:30.000", None, 30.0, None, None),
        (8, memory, node, "06:01:00.000", float("inf"), 30.0, None, None),
    ] == short(kept)
    assert {"value": 3} == {name: n for name, n in converted.missing.items() if name == "value"}
    assert 0 == converted.refused.num_rows


def test_a_page(tmp_path):
    """A sample has its own time, or that of its page; the machine is the file's name, and lines that are cut are kept aside."""
    kept, converted = land(FIXTURES / "node01.prom", tmp_path)

    temp, active = "DCGM_FI_DEV_GPU_TEMP", "DCGM_FI_PROF_GR_ENGINE_ACTIVE"
    mig = '{"GPU_I_ID":"7","GPU_I_PROFILE":"1g.10gb","UUID":"GPU-aaaa","gpu":"0"}'
    path = json.dumps({"code": "200", "path": 'a\\b"c\nd, e}'}, separators=(",", ":"))
    assert [
        (4, temp, A, "06:00:00.000", 41.0, None, None, "node01"),
        (5, active, mig, "06:00:00.000", 0.25, None, None, "node01"),
        (7, temp, A, "06:00:30.500", 42.0, None, None, "node01"),
        (8, "node_load1", "{}", "06:01:00.000", 3.5, None, None, "node01"),
        (9, "http_requests_total", path, "06:01:00.250", 1500.0, None, None, "node01"),
    ] == short(kept)
    assert [(10, "it is no sample"), (11, "its value is not a number: 'fast'")] == [
        (row["source_row"], row["reason"]) for row in converted.refused.to_pylist()
    ]
    assert 'DCGM_FI_DEV_GPU_TEMP{gpu="1",UUID="GPU-b' == converted.refused["raw_text"][0].as_py()


def test_replies_over_many_lines_and_an_error(tmp_path):
    """What somebody saved by hand reads as what a server wrote; what is no number is told, not guessed."""
    kept, converted = land(FIXTURES / "pretty.json", tmp_path)

    labels = json.dumps({"instance": "a", "job": 'dcgm "x", [1]'}, separators=(",", ":"))
    assert [(1, "up", labels, "06:00:00.123", 1.0, None, None, None)] == short(kept)
    assert [
        (2, "its value is not a number: 'yes'"),
        (3, "it is no series with numbers"),
        (4, "the server answered: bad_data: parse error"),
    ] == [(row["source_row"], row["reason"]) for row in converted.refused.to_pylist()]


@pytest.mark.parametrize("name", ["bare", "kubernetes_labels"])
def test_the_pages_of_dcgm_exporters_own_readme(tmp_path, name):
    """They show no time: nobody knows when they were true. With one they are two clocks, and a heat that nobody measures."""
    text = (FIXTURES / f"{name}.prom").read_text()
    alone = list(pages.rows([text.encode()], f"{name}.prom"))
    timed = tmp_path / f"{name}.prom"
    timed.write_text(f"# scraped_at 2026-07-01T06:00:00Z\n{text}")
    kept, converted = land(timed, tmp_path)

    assert [7, 8, 9] == pl.concat(alone)["source_row"].to_list()
    assert {"it has no time, and no line '# scraped_at' stands before it"} == set(pl.concat(alone)["reason"])
    labels = '{"UUID":"GPU-604ac76c-d9cf-fef3-62e9-d92044ab6e52","gpu":"0"}'
    assert [
        (8, "DCGM_FI_DEV_SM_CLOCK", labels, "06:00:00.000", 139.0, None, None, name),
        (9, "DCGM_FI_DEV_MEM_CLOCK", labels, "06:00:00.000", 405.0, None, None, name),
        (10, "DCGM_FI_DEV_MEMORY_TEMP", labels, "06:00:00.000", None, None, "not supported", name),
    ] == short(kept)
    assert 0 == converted.refused.num_rows


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("2147483632", "blank"),
        ("2147483633", "not found"),
        ("2147483635", "not permitted"),
        ("9223372036854775792", "blank"),
        ("9223372036854775793", "not found"),
        ("9223372036854775794", "not supported"),
        ("9223372036854775795", "not permitted"),
        ("9.223372036854775794e+18", "blank"),
        ("140737488355328", "blank"),
        ("140737488355330.0", "not supported"),
        ("2147483631", None),
        ("140737488355332", None),
    ],
)
def test_a_blank_of_dcgm_is_no_value(text, word):
    """A memory of nine quintillion degrees would be the hottest of the fleet for ever."""
    page = f"# scraped_at 2026-07-01T06:00:00Z\nDCGM_FI_X 1\nDCGM_FI_X {text}\nother {text}\n"
    (frame,) = pages.rows([page.encode()], "n.prom")

    assert [None, word, None] == frame["blank"].to_list()
    assert [False, word is not None, False] == frame["value"].is_null().to_list()


def test_the_blanks_are_those_of_dcgms_header():
    """dcgm_structs.h: INT32 0x7ffffff0, INT64 0x7ffffffffffffff0, FP64 140737488355328.0, and what follows each."""
    assert {2147483632.0 + at for at in range(4)} <= BLANKS.keys()
    assert {140737488355328.0 + at for at in range(4)} <= BLANKS.keys()
    assert float(0x7FFFFFFFFFFFFFF0) in BLANKS
    assert 9 == len(BLANKS)


@pytest.mark.parametrize(
    ("head", "reply", "page"),
    [
        (b'{"status":"success","data":{"resultType":"matrix","result":[', True, False),
        (b'{"status":"success","isPartial":false,"data":{"resultType":"vector"', True, False),
        (b'{\n "status": "error",\n "errorType": "bad_data"', True, False),
        (b'{"data":{"result":[{"metric":', True, False),
        (b'{"gpulake_query":{"step_s":30}}\n', True, False),
        (b'{"status":"success","data":["a","b"]}', False, False),
        (b'{"jobs":[{"job_id":1}],"meta":{}}', False, False),
        (b"# HELP up x\n# TYPE up gauge\nup 1\n", False, True),
        (b'up{instance="a"} 1\nup{instance="b"} 0\n', False, True),
        (b"# scraped_at 2026-07-01T06:00:00Z\nup 1\n", False, True),
        (b"one 1\ntwo 2\n", False, False),
        (b"[   12.5] NVRM: Xid (PCI:0000:07:00): 79, pid=1\n", False, False),
        (b"JobID|State\n1|COMPLETED\n", False, False),
        (b"job,gpus\n1,2\n", False, False),
        (b"", False, False),
    ],
)
def test_it_knows_its_own(head, reply, page):
    """A log of a kernel or a list of jobs that is read as metrics would be refused line by line."""
    assert (reply, page) == (replies.is_reply(head), pages.is_page(head))


@pytest.mark.parametrize(
    "text",
    [
        '{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"up"},"values":[[1782885600,"1"],[178',
        '{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"up"},"values":[[1,"1"]]}',
        '{"status":"success","data":{"resultType":"matrix"',
    ],
)
def test_half_a_reply_is_refused_as_a_whole(text):
    """Nobody can tell which series the other half would have had."""
    with pytest.raises(SourceError, match="no whole JSON"):
        list(replies.rows([text.encode()], "x.json"))


def test_without_a_word_of_the_step_it_is_the_smallest_distance():
    """A range is answered at equal steps, so that two neighbours without a gap between them tell it."""
    series = [
        {"metric": {"__name__": "a"}, "values": [[0, "1"], [60, "1"], [75, "1"]]},
        {"metric": {"__name__": "b"}, "values": [[0, "1"]]},
    ]
    text = json.dumps({"status": "success", "data": {"resultType": "matrix", "result": series}})
    (frame,) = replies.rows([text.encode()], "x.json")

    assert [15.0] * 4 == frame["interval_s"].to_list()


def test_a_series_without_a_name_has_that_of_its_query():
    """Whatever is computed loses its name in the server."""
    asked = {"gpulake_query": {"step_s": 30, "metric": "node_cpu_cores"}}
    reply = {"status": "success", "data": {"resultType": "matrix", "result": [{"metric": {}, "values": [[0, "64"]]}]}}
    text = "\n".join(json.dumps(each) for each in (asked, reply, reply))
    kept, refused = replies.rows([text.encode()], "x.json")

    assert ["node_cpu_cores"] == kept["metric"].to_list()
    assert ["it names no metric"] == refused["reason"].to_list(), "what was asked holds for the next reply only"


# --- whatever is delivered ---------------------------------------------------------------------------------------------

NAMES = st.sampled_from(["up", "DCGM_FI_DEV_GPU_TEMP", "a:b", 'we"ird\\', ""])
TEXTS = st.text(max_size=6) | st.sampled_from(
    ['],["', '{"metric":', "]]}]", ',"values":[[', '"__name__":"x"', "\ud800"]
)
LABELS = st.dictionaries(st.sampled_from(["gpu", "UUID", "pod", "__x"]) | TEXTS, TEXTS, max_size=3)
NUMBERS = st.integers(0, 2_000_000_000) | st.floats(0, 2e9, allow_nan=False)
POINTS = st.lists(
    st.tuples(NUMBERS, st.floats().map(str) | st.sampled_from(["+Inf", "NaN", "x"])), min_size=1, max_size=4
)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(NAMES, LABELS, POINTS), min_size=1, max_size=4))
def test_a_reply_as_servers_write_it_reads_as_any_json_of_that_meaning(series):
    """The quick way through millions of points must not take a label for a point."""
    result = [
        {"metric": {**labels, "__name__": name}, "values": [list(point) for point in points]}
        for name, labels, points in series
    ]
    reply = {"status": "success", "data": {"resultType": "matrix", "result": result}}
    compact = json.dumps(reply, separators=(",", ":"))
    quick = list(replies.rows([compact.encode()], "x.json"))
    slow = list(replies.rows([json.dumps(reply, indent=1).encode()], "x.json"))

    assert sum(len(points) for _, _, points in series) == sum(frame.height for frame in quick)
    for one, other in zip(quick, slow, strict=True):
        assert_frame_equal(one, other)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.text(max_size=30)
        | st.sampled_from(['up{a="b"} 1 2', "up 1", "# scraped_at 2026-07-01T06:00:00Z", 'x{a="\\"} 1'])
    )
)
@example(["\x1f", "\x1e# TYPE a gauge"])
def test_any_text_is_a_page_of_rows_kept_and_refused(lines):
    """No line may be lost, nor stop the others."""
    text = "\n".join(line.replace("\n", " ").replace("\r", " ") for line in lines)
    blocks = [part.encode("utf-8", "surrogatepass") for part in text.splitlines(keepends=True) if part] or [b""]
    whole = list(pages.rows([b"".join(blocks)], "n.prom"))
    frames = list(pages.rows(_of_whole_lines(b"".join(blocks)), "n.prom"))

    rows_in = [
        line
        for line in b"".join(blocks).decode("utf-8", "replace").split("\n")
        if line.strip(_WHITE) and line.strip(_WHITE)[0] != "#"
    ]
    assert len(rows_in) == sum(frame.height for frame in whole) == sum(frame.height for frame in frames)
    assert (
        sorted(pl.concat([f.select("source_row") for f in whole])["source_row"])
        == sorted(pl.concat([f.select("source_row") for f in frames])["source_row"])
        if whole
        else not frames
    )


_WHITE = "".join(char for char in map(chr, range(0x3001)) if char.isspace() and not "\x1c" <= char <= "\x1f")
"""Unicode's white space. Python counts four separators of ASCII as such too; a line of those is no empty one."""


def _of_whole_lines(text):
    """Blocks as landing hands them out, each as short as can be."""
    return [line + b"\n" for line in text.split(b"\n")[:-1]] + [last for last in text.split(b"\n")[-1:] if last]


@settings(max_examples=60, deadline=None)
@given(
    st.binary(max_size=80)
    | st.text(max_size=60).map(lambda text: ('{"status":"success","data":' + text).encode("utf-8", "replace"))
)
def test_any_bytes_are_replies_or_refused_as_a_whole(content):
    """A parser that raises anything else would end a landing of other files too."""
    try:
        frames = list(replies.rows([content], "x.json"))
    except SourceError:
        return
    assert all(frame.height for frame in frames)


# ---------------------------------------------------------------------- when a file begins


@pytest.mark.parametrize(
    ("begins_s", "head", "at"),
    [
        (
            replies.begins_s,
            b'{"values":[[1782885630,"1"],[1782885660,"1"]]},{"values":[[1782885600.5,"1"]]}',
            1782885600.5,
        ),
        (replies.begins_s, b'{"status":"success","data":{"resultType":"matrix","result":[]}}', None),
        (pages.begins_s, b"# scraped_at 2026-07-01T06:00:00Z\nup 1782885000\n", 1782885600.0),
        (pages.begins_s, b'up{a="b"} 2 1782885600500\ndown 3 1782885700\n', 1782885600.5),
        (pages.begins_s, b"# scraped_at 2026-13-01T06:00:00Z\nup 1782885000\n", None),
    ],
)
def test_when_what_a_file_tells_begins_is_seen_at_a_glance(begins_s, head, at):
    """Files land in that order: a number that is no time would put one before all others."""
    assert at == begins_s(head)
