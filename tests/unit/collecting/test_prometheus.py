"""Asking a Prometheus: every point once, whatever the server can take; and a line for each way in which it can go wrong."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpulake import clock
from gpulake.collecting import Asked
from gpulake.collecting.prometheus import COLLECTOR, collect, plan
from gpulake.collecting.promql import Query, queries
from gpulake.collecting.server import Patience
from gpulake.collecting.spans import less, united
from gpulake.errors import SourceError, UsageError
from gpulake.sources.parsing import prometheus_pages, prometheus_replies

EPOCH = datetime.fromisoformat("1970-01-01")
NOW_S = (clock.now() - EPOCH).total_seconds() // 300 * 300
"""Now, on a border of five minutes: the server and we have one clock unless a test says otherwise."""


@dataclass
class Prometheus:
    """A server on loopback with one gauge that shows the second; `most_points` is what it answers at once.

    `answers` come first, one per request: a status, (status, headers, body), "half", "hang" or "close".
    """

    most_points: int = 10_000
    answers: list = field(default_factory=list)
    ahead_s: float = 0.0
    silent: tuple[float, float] = (0.0, 0.0)
    version: int = 2
    asked: list = field(default_factory=list)
    spans: list = field(default_factory=list)
    url: str = ""

    def reply(self, path, question):
        if path.endswith("/metrics"):
            return 200, {"Content-Type": "text/plain"}, "# TYPE up gauge\nup 1\n"
        if question["query"].startswith("count_over_time(vector(1)"):
            return (
                200,
                {},
                success([{"metric": {}, "value": [float(question["time"]), "2" if self.version < 3 else "1"]}]),
            )
        if not path.endswith("query_range"):
            return 200, {}, success([])
        if "DCGM_FI_.+" not in question["query"]:
            return 200, {}, success([])
        start, end, step = (float(question[name]) for name in ("start", "end", "step"))
        times = [start + at * step for at in range(int((end - start) / step) + 1)]
        if len(times) > self.most_points:
            words = "query processing would load too many samples into memory in query execution"
            return 422, {}, json.dumps({"status": "error", "errorType": "execution", "error": words})
        self.spans.append((start, end + step))
        quiet_from, quiet_to = self.silent
        points = [[at, f"{at:.0f}"] for at in times if not quiet_from <= at < quiet_to]
        metric = {"__name__": "DCGM_FI_DEV_POWER_USAGE", "UUID": "GPU-a", "gpu": "0", "Hostname": "n1"}
        return 200, {}, success([{"metric": metric, "values": points}] if points else [])


def success(result):
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}}, separators=(",", ":"))


@contextmanager
def serving(fake):
    let_go = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            parts = urlsplit(self.path)
            question = {name: values[0] for name, values in parse_qs(parts.query).items()}
            fake.asked.append((parts.path, question, dict(self.headers)))
            answer = fake.answers.pop(0) if fake.answers else None
            if answer == "hang":
                let_go.wait(20)
                return
            if answer == "close":
                self.close_connection = True
                return
            half = answer == "half"
            if answer is None or half:
                answer = fake.reply(parts.path, question)
            status, headers, text = answer if isinstance(answer, tuple) else (answer, {}, "")
            body = text.encode()
            self.send_response_only(status)
            shown = clock.now() + timedelta(seconds=fake.ahead_s)
            told = {
                "Content-Type": "application/json",
                "Content-Length": str(len(body)),
                "Date": date(shown),
                **headers,
            }
            for name, value in told.items():
                if value is not None:
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if half else body)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    fake.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield fake
    finally:
        let_go.set()
        server.shutdown()
        server.server_close()


def date(moment):
    return format_datetime(moment).replace("-0000", "GMT")


def asking(fake, *, hours=2.0, cursor=None, told=None, environ=None, **more):
    more.setdefault("since", EPOCH + timedelta(seconds=NOW_S - hours * 3600))
    more.setdefault("until", EPOCH + timedelta(seconds=NOW_S - 300))
    options = {"url": fake.url, "step": more.pop("step", 30.0), "match": None}
    tell = (told if told is not None else []).append
    return Asked("c", clock.now(), cursor or {}, options, environ or {}, tell=tell, **more)


def patience(*, timeout_s=5.0, attempts=3):
    waited = []
    return Patience(timeout_s=timeout_s, attempts=attempts, pause=waited.append), waited


def run(fake, **more):
    impatient = more.pop("patience", patience()[0])
    return list(collect(asking(fake, **more), patience=impatient))


def points(fetched):
    """The seconds at which the gauge was seen, in the order of the files."""
    frames = [frame for each in fetched if each.content for frame in prometheus_replies.rows([each.content], "x.json")]
    frame = pl.concat(frames)
    assert (frame["sampled_at"].dt.epoch("s") == frame["value"]).all()
    assert {30.0} == set(frame["interval_s"])
    return [int(value) for value in frame["value"]]


def every_30_s(since_s, until_s):
    return list(range(int(since_s), int(until_s), 30))


def test_every_point_comes_once_with_its_time_and_the_step():
    """A point at the border of two files that came twice would be counted twice by whoever reads the files alone."""
    with serving(Prometheus()) as fake:
        fetched = run(fake)

    assert every_30_s(NOW_S - 7200, NOW_S - 300) == points(fetched)
    assert (EPOCH + timedelta(seconds=NOW_S - 300)) == fetched[-1].until
    assert [120, 110] == [each.rows for each in fetched]
    assert len({each.file_name for each in fetched}) == len(fetched)


@pytest.mark.parametrize(("version", "span"), [(2, "29999ms"), (3, "30s")])
def test_a_step_does_not_hold_the_one_before(version, span):
    """Up to version 2 a span of time holds both of its ends: the last value before a gap would be shown once more in it."""
    with serving(Prometheus(version=version)) as fake:
        run(fake)

    assert {f'last_over_time({{__name__=~"DCGM_FI_.+"}}[{span}])'} == {
        question["query"] for _, question, _ in fake.asked if "DCGM_FI_.+" in question["query"]
    }


def test_a_server_for_which_it_is_too_much_is_asked_for_half():
    """A server that has a limit must not make a day impossible to collect."""
    told = []
    with serving(Prometheus(most_points=50)) as fake:
        fetched = run(fake, told=told)

    assert every_30_s(NOW_S - 7200, NOW_S - 300) == points(fetched)
    assert any("too much at once" in sentence for sentence in told)
    assert max(until - since for since, until in fake.spans) <= 50 * 30


def test_a_server_that_cannot_answer_one_step_says_so():
    """Halving for ever would never end."""
    with serving(Prometheus(most_points=0)) as fake, pytest.raises(SourceError, match="for a single step: query proc"):
        run(fake)


def test_a_query_that_times_out_there_is_asked_for_half():
    """Prometheus answers 503 for a query that takes too long: the same again would take as long."""
    timeout = (503, {}, json.dumps({"status": "error", "errorType": "timeout", "error": "query timed out"}))
    with serving(Prometheus(answers=[(200, {}, success([])), timeout])) as fake:
        fetched = run(fake)

    assert every_30_s(NOW_S - 7200, NOW_S - 300) == points(fetched)
    assert 1800 == fake.spans[0][1] - fake.spans[0][0]


@pytest.mark.parametrize("trouble", [503, (503, {"Retry-After": "7"}, ""), 500, "half", "close"])
def test_what_may_pass_is_asked_again(trouble):
    """A restart of the server in the middle of a night must not cost the night."""
    impatient, waited = patience()
    with serving(Prometheus(answers=[None, trouble, trouble])) as fake:
        fetched = run(fake, patience=impatient)

    assert every_30_s(NOW_S - 7200, NOW_S - 300) == points(fetched)
    assert ([7.0, 7.0] if isinstance(trouble, tuple) else [1.0, 2.0]) == waited


@pytest.mark.parametrize(
    ("trouble", "what"),
    [
        (503, "the server gives no answer: it answers 503 (3 tries)."),
        ("half", "the server gives no answer: the answer broke off half-way (3 tries)."),
        ("close", "the server gives no answer: the connection broke (3 tries)."),
        ((200, {"Content-Type": "text/html"}, "<html>please log in"), "a page for people (200)"),
        ((401, {}, ""), "the server refuses us (401)."),
        ((302, {"Location": "http://elsewhere/"}, ""), "the server sends us elsewhere (302)."),
        ((404, {"Content-Type": "text/plain"}, "404 page not found"), "the server answers 404."),
        ((400, {}, '{"status":"error","errorType":"bad_data","error":"parse error"}'), "answers 400 (bad_data: parse"),
        ((200, {}, "[1, 2"), "no reply of Prometheus, or the half of one"),
        ((200, {"Content-Length": None}, '{"status":"success","data":{"result":[}'), "or the half of one"),
        ((200, {"Content-Encoding": "gzip"}, "no gzip"), "the answer broke off half-way (3 tries)."),
    ],
)
def test_what_does_not_pass_is_one_clear_line_and_what_came_before_stays(trouble, what):
    """Whoever is on call must see what to do, and find the first hour collected."""
    with serving(Prometheus()) as fake:
        generator = collect(asking(fake), patience=patience()[0])
        first = next(generator)
        fake.answers += [trouble] * 3
        with pytest.raises(SourceError) as told:
            next(generator)

    assert what in told.value.what
    assert 10 == told.value.exit_code
    assert fake.url == told.value.where
    assert told.value.do
    assert 120 == first.rows


def test_a_server_that_never_answers_is_not_waited_for_for_ever():
    """A run of a timer that hangs would keep all later runs out."""
    impatient, _ = patience(timeout_s=0.2, attempts=2)
    with (
        serving(Prometheus(answers=["hang", "hang"])) as fake,
        pytest.raises(SourceError, match="no answer within 0 s"),
    ):
        run(fake, patience=impatient)


def test_nobody_there():
    """A typing error in the port is the commonest of all."""
    fake = Prometheus(url="http://127.0.0.1:9")
    with pytest.raises(SourceError, match="nobody listens there"):
        run(fake)


def test_the_next_run_asks_for_what_is_new_and_an_earlier_since_for_what_is_older():
    """A run every five minutes, and one day the wish for last month too."""
    with serving(Prometheus()) as fake:
        first = run(fake, hours=2)
        again = run(fake, hours=2, cursor=first[-1].cursor)
        later = run(fake, since=None, until=EPOCH + timedelta(seconds=NOW_S - 150), cursor=first[-1].cursor)
        earlier = run(fake, hours=3, cursor=later[-1].cursor)
        anew = run(fake, hours=2, cursor=earlier[-1].cursor, again=True)

    assert [] == again
    assert every_30_s(NOW_S - 300, NOW_S - 150) == points(later)
    assert every_30_s(NOW_S - 10_800, NOW_S - 7200) == points(earlier)
    assert points(first) == points(anew)
    assert {fake.url: [(NOW_S - 10_800, NOW_S - 150)]} == earlier[-1].cursor["servers"]


def test_a_gap_stays_a_gap_and_is_not_asked_for_again():
    """Six hours without a sample are no file, and not six hours of the last value."""
    with serving(Prometheus(silent=(NOW_S - 20 * 3600, NOW_S - 14 * 3600))) as fake:
        fetched = run(fake, hours=24)

    quiet = set(every_30_s(NOW_S - 20 * 3600, NOW_S - 14 * 3600))
    assert [at for at in every_30_s(NOW_S - 86_400, NOW_S - 300) if at not in quiet] == points(fetched)
    assert [(NOW_S - 86_400, NOW_S - 300)] == fetched[-1].cursor["servers"][fake.url]


def test_two_servers_of_one_cluster_are_collected_each_by_its_own():
    """What one has kept says nothing of the other."""
    with serving(Prometheus()) as one, serving(Prometheus()) as other:
        first = run(one)
        second = run(other, cursor=first[-1].cursor)

    assert points(first) == points(second)
    assert {one.url, other.url} == second[-1].cursor["servers"].keys()


@pytest.mark.parametrize(("ahead_s", "words"), [(7200, "2:00:00 ahead of"), (-7200, "2:00:00 behind"), (2, "")])
def test_a_clock_that_is_off_is_told_and_now_is_the_servers(ahead_s, words):
    """Asked up to our own now, two hours that the server has not written yet would count as collected for ever."""
    told = []
    with serving(Prometheus(ahead_s=ahead_s)) as fake:
        fetched = run(fake, hours=4, until=None, told=told)

    assert bool(words) == any(words in sentence for sentence in told if words)
    end_s = fetched[-1].cursor["servers"][fake.url][-1][1]
    assert 45 <= (clock.now() - EPOCH).total_seconds() + (ahead_s if words else 0) - end_s <= 110


def test_a_secret_goes_to_the_server_and_nowhere_else():
    """A token in a log is a token that must be changed."""
    told = []
    with serving(Prometheus(answers=[None, 503, 503, 503])) as fake:
        with pytest.raises(SourceError) as failed:
            run(fake, told=told, environ={"GPULAKE_PROMETHEUS_TOKEN": "s3cr3t"})
        run(fake, environ={"GPULAKE_PROMETHEUS_USER": "ada", "GPULAKE_PROMETHEUS_PASSWORD": "pass"})

    assert "Bearer s3cr3t" == fake.asked[0][2]["Authorization"]
    assert "Basic YWRhOnBhc3M=" == fake.asked[-1][2]["Authorization"]
    assert "s3cr3t" not in f"{failed.value} {failed.value.as_json()} {told} {asking(fake, environ={'X': 's3cr3t'})!r}"


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("http://ada:pass@host:9090", "the address holds a name or a password"),
        ("host:9090", "none of a server"),
        ("ftp://host", "none of a server"),
        ("http://[::1", "none of a server"),
        ("http://host/?query=up", "none of a server"),
    ],
)
def test_an_address_that_is_none_is_told_before_anything_is_asked(url, what):
    """The password must not stand in what is told either."""
    with pytest.raises(UsageError, match=what) as told:
        run(Prometheus(url=url))
    assert "pass@" not in str(told.value)


def test_the_first_run_must_say_from_when_on():
    """All of a server's history, or none of it, would be two bad guesses."""
    with serving(Prometheus()) as fake, pytest.raises(UsageError, match="not known from when on"):
        run(fake, since=None)


def test_the_plan_says_what_would_be_asked_and_asks_nothing():
    """--dry-run is for looking."""
    with serving(Prometheus()) as fake:
        (sentence,) = plan(asking(fake, hours=2))

    assert [] == fake.asked
    assert f"{fake.url}: {len(queries())} queries from {EPOCH + timedelta(seconds=NOW_S - 7200)}" in sentence


def test_a_page_is_kept_with_the_time_at_which_it_was_asked_for():
    """Where there is no Prometheus, an exporter's page is all there is; it does not say when it was true."""
    with serving(Prometheus()) as fake:
        fake.url += "/metrics"
        (fetched,) = run(fake)
    kept = pl.concat(prometheus_pages.rows([fetched.content], fetched.file_name))

    assert [("up", 1.0, "127-0-0-1")] == kept.select("metric", "value", "machine").rows()
    assert abs((clock.now() - kept["sampled_at"][0].replace(tzinfo=None)).total_seconds()) < 60


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 2_000), st.sampled_from([1, 15, 30, 60, 300]))
def test_the_steps_of_neighbouring_spans_are_those_of_the_whole(since, steps, step):
    """Each time is asked for once, however the period is cut, and at its own step where a query has one."""
    query, slow = Query("x"), Query("x", step_s=300)
    since_s = since * step
    until_s = since_s + steps * step
    middle_s = since_s + steps // 2 * step

    for each, own in ((query, step), (slow, 300)):
        found = [each.steps(*span, step) for span in ((since_s, middle_s), (middle_s, until_s))]
        times = [at for span in found if span for at in range(int(span[0]), int(span[1]) + 1, own)]
        assert [at for at in range(since_s, until_s) if at % own == 0] == times


SPANS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)).map(sorted).map(tuple), max_size=5)


@settings(deadline=None)
@given(st.tuples(st.integers(0, 30), st.integers(0, 30)).map(sorted).map(tuple), SPANS)
def test_what_is_left_of_a_span_is_what_nothing_covers(asked, covered):
    """Second by second: neither asked for twice, nor left out."""

    def seconds(spans):
        return sorted(at for since, until in spans for at in range(int(since), int(until)))

    assert sorted(set(seconds([asked])) - set(seconds(covered))) == seconds(less(asked, covered))
    assert sorted(set(seconds(covered))) == seconds(united(covered))


def test_it_is_found_by_its_folder():
    """The command is there because the file is."""
    from gpulake.collecting import all_collectors

    assert COLLECTOR in all_collectors()
