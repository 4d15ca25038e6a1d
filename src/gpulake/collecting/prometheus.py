"""Ask a Prometheus server for what it has kept since the last time, in spans that it can answer; or an exporter for its page.

A span's answers are one file, so that what was true at one time stands in one delivery. A server that says that a span is
too much is asked for half of it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from gpulake import clock
from gpulake.collecting import Asked, Collector, Cursor, Fetched, Option
from gpulake.collecting.periods import seconds
from gpulake.collecting.promql import CLOSED_OR_NOT, Query, queries
from gpulake.collecting.server import Answer, Patience, Server, server_of
from gpulake.collecting.spans import Span, less, read, united
from gpulake.errors import SourceError, UsageError

SECRETS = "GPULAKE_PROMETHEUS"
DEFAULT_STEP_S = 30.0
_FIRST_CHUNK_S = 3_600.0
_LONGEST_CHUNK_S = 6 * 3_600.0
_BODY_BYTES = 8 << 20, 64 << 20
"""With less than this in a span's answers the next is twice as long, with more half."""

_MOST_SKEW_S = 5.0
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  # the lake keeps UTC without a zone


def collect(asked: Asked, *, patience: Patience | None = None) -> Iterator[Fetched]:
    """The files of every span that is not covered, oldest first. Raises SourceError where the server can give no more."""
    server = replace(server_of_call(asked, patience or Patience()), tell=asked.tell)
    if is_page(server.url):
        yield _page(server, asked)
        return
    covered = _covered(asked.cursor, server.url)
    _check(asked, covered)
    skew_s, is_closed = _known_of(server, asked)
    wanted = _wanted(asked, covered, skew_s=skew_s)
    if not wanted:
        return
    yield from _Run(server, asked, covered, wanted, is_closed=is_closed).spans()


def plan(asked: Asked) -> Sequence[str]:
    """What would be asked, if this machine's clock is right."""
    server = server_of_call(asked, Patience())
    if is_page(server.url):
        return (f"{server.url} once",)
    covered = _covered(asked.cursor, server.url)
    _check(asked, covered)
    return tuple(
        f"{server.url}: {len(_queries(asked))} queries from {_text(since)} to {_text(until)} UTC, every {_step_s(asked):g} s"
        for since, until in _wanted(asked, covered, skew_s=0.0)
    )


# ----------------------------------------------------------------------------------------------------- what to ask


def server_of_call(asked: Asked, patience: Patience) -> Server:
    """The server that a call names. Raises UsageError."""
    return server_of(str(asked.options["url"]), asked.environ, prefix=SECRETS, patience=patience)


def _step_s(asked: Asked) -> float:
    step_s = asked.options.get("step")
    return float(step_s) if isinstance(step_s, int | float) else DEFAULT_STEP_S


def _queries(asked: Asked) -> tuple[Query, ...]:
    more = asked.options.get("match")
    return queries([str(more)] if more else [])


def _covered(cursor: Cursor, url: str) -> list[Span]:
    servers = cursor.get("servers")
    return read(servers.get(url)) if isinstance(servers, Mapping) else []


def _check(asked: Asked, covered: Sequence[Span]) -> None:
    """Raise UsageError for a period that is none, before anything is asked."""
    if asked.since is None and not covered:
        raise UsageError(
            "nothing has been collected from this server yet, so it is not known from when on.",
            where="--since",
            do="say from when on, as --since 7d",
        )
    if asked.since and asked.until and asked.since >= asked.until:
        raise UsageError("the period ends before it begins.", where="--since, --until", do="say from when until when")


def _wanted(asked: Asked, covered: Sequence[Span], *, skew_s: float) -> list[Span]:
    """The spans to ask for, on the grid of the step. The last two steps are left: the server may not have scraped yet."""
    step_s = _step_s(asked)
    latest_s = _seconds(asked.now) + skew_s - 2 * step_s
    since_s = _seconds(asked.since) if asked.since else covered[-1][1]
    until_s = min(_seconds(asked.until) if asked.until else latest_s, latest_s)
    whole = math.ceil(since_s / step_s) * step_s, math.floor(until_s / step_s) * step_s
    return less(whole, [] if asked.again else covered)


# ------------------------------------------------------------------------------------------------------- the spans


def answer_of(server: Server, answer: Answer) -> bytes:
    """The reply to a small question as the server wrote it. Raises SourceError where it is none."""
    try:
        return _body(server, answer)
    except _TooMuchError as error:
        raise SourceError(
            f"the server cannot answer: {error}.", where=server.url, do="see whether it is overloaded"
        ) from error


class _TooMuchError(Exception):
    """The server can answer a shorter span."""


@dataclass
class _Run:
    """How far a run has come, and how much the server can take at once."""

    server: Server
    asked: Asked
    covered: list[Span]
    wanted: list[Span]
    is_closed: bool
    chunk_s: float = _FIRST_CHUNK_S

    def spans(self) -> Iterator[Fetched]:
        """Every span's file, with the cursor after it."""
        total_s = sum(until - since for since, until in self.wanted)
        done_s = 0.0
        for since_s, until_s in self.wanted:
            at_s = since_s
            while at_s < until_s:
                self.asked.progress(f"asking {self.server.url}", done_s / total_s)
                end_s = min(at_s + max(self._whole_steps(self.chunk_s), _step_s(self.asked)), until_s)
                try:
                    content, rows, size = self._answers(at_s, end_s)
                except _TooMuchError as error:
                    self._shorten(end_s - at_s, error)
                    continue
                self._lengthen(size)
                self.covered = united([*self.covered, (at_s, end_s)])
                yield self._fetched(at_s, end_s, content, rows)
                done_s += end_s - at_s
                at_s = end_s
        self.asked.progress(f"asking {self.server.url}", 1.0)

    def _whole_steps(self, length_s: float) -> float:
        step_s = _step_s(self.asked)
        return math.floor(length_s / step_s) * step_s

    def _shorten(self, length_s: float, why: _TooMuchError) -> None:
        if length_s <= _step_s(self.asked):
            raise SourceError(
                f"the server cannot answer for a single step: {why}.",
                where=self.server.url,
                do="raise its --query.max-samples or --query.timeout",
            )
        self.chunk_s = max(length_s / 2, _step_s(self.asked))
        self.asked.tell(f"{self.server.url}: too much at once ({why}); asking for {self.chunk_s:,.0f} s")

    def _lengthen(self, size: int) -> None:
        few, many = _BODY_BYTES
        if size < few:
            self.chunk_s = min(self.chunk_s * 2, _LONGEST_CHUNK_S)
        elif size > many:
            self.chunk_s = max(self.chunk_s / 2, _step_s(self.asked))

    def _fetched(self, since_s: float, until_s: float, content: bytes | None, rows: int) -> Fetched:
        servers = self.asked.cursor.get("servers")
        noted = dict(servers) if isinstance(servers, Mapping) else {}
        return Fetched(
            cursor={"servers": {**noted, self.server.url: self.covered}},
            file_name=f"prometheus_{_stamp(since_s)}_{_stamp(until_s)}.json",
            content=content,
            rows=rows,
            since=_moment(since_s),
            until=_moment(until_s),
        )

    def _answers(self, since_s: float, until_s: float) -> tuple[bytes | None, int, int]:
        """Every query's reply behind a line that says what was asked; how many points; how many bytes. None without a point."""
        lines: list[bytes] = []
        rows = size = 0
        for query in _queries(self.asked):
            asked = self._question(query, since_s, until_s)
            if asked is None:
                continue
            path, question, told = asked
            try:
                body = _body(self.server, self.server.ask(path, question))
            except _TooMuchError:
                if not query.instead:
                    raise
                body = _body(self.server, self.server.ask(path, {**question, "query": query.instead}))
            size += len(body)
            points = body.count(b"],[") + body.count(b'"values":[[') + body.count(b'"value":[')
            if points and not (query.is_before and not rows):
                lines += [json.dumps({"gpulake_query": told}).encode(), body.strip().replace(b"\n", b"")]
                rows += 0 if query.is_before else points
        return (b"\n".join([*lines, b""]) if rows else None), rows, size

    def _question(
        self, query: Query, since_s: float, until_s: float
    ) -> tuple[str, dict[str, object], dict[str, object]] | None:
        step_s = query.step_s or _step_s(self.asked)
        text = query.text(step_s, is_closed=self.is_closed)
        told: dict[str, object] = {"server": self.server.url, "query": text}
        if query.metric:
            told["metric"] = query.metric
        if query.is_before:
            at = _number(since_s - step_s)
            return "/api/v1/query", {"query": text, "time": at}, told | {"time": at}
        steps = query.steps(since_s, until_s, step_s)
        if steps is None:
            return None
        span = {"start": _number(steps[0]), "end": _number(steps[1])}
        return (
            "/api/v1/query_range",
            {"query": text, **span, "step": _number(step_s)},
            told | span | {"step_s": step_s},
        )


def _body(server: Server, answer: Answer) -> bytes:
    """The reply as the server wrote it. Raises _TooMuchError, or SourceError where it is none."""
    kind, words = answer.error()
    if answer.status in {400, 422, 503} and (
        kind == "timeout"
        or "too many samples" in words
        or "exceeded maximum resolution" in words
        or answer.status == 422
    ):
        raise _TooMuchError(words or f"it answers {answer.status}")
    _refuse(server, answer, f"{kind}: {words}" if kind else "")
    text = answer.body.strip()
    if not (text.startswith(b"{") and text.endswith(b"}") and b'"success"' in text[:200] and answer.is_whole()):
        raise SourceError(
            "the answer is no reply of Prometheus, or the half of one.",
            where=server.url,
            do="see what answers at that address: curl URL/api/v1/query?query=up",
        )
    return text


def _refuse(server: Server, answer: Answer, words: str) -> None:
    """Raise SourceError for an answer that is no success."""
    if answer.status in {401, 403}:
        raise SourceError(
            f"the server refuses us ({answer.status}).",
            where=server.url,
            do=f"set {SECRETS}_TOKEN, or {SECRETS}_USER and {SECRETS}_PASSWORD, in the environment",
        )
    if 300 <= answer.status < 400:
        raise SourceError(
            f"the server sends us elsewhere ({answer.status}).", where=server.url, do="ask at the address it names"
        )
    if answer.is_page:
        raise SourceError(
            f"the server answers with a page for people ({answer.status}), not with data.",
            where=server.url,
            do="see whether a login or a proxy stands before it, and whether the address has a path, as /prometheus",
        )
    if answer.status != 200:
        raise SourceError(
            f"the server answers {answer.status}{f' ({words})' if words else ''}.",
            where=server.url,
            do="see whether it is a Prometheus, and whether the address has a path, as /prometheus",
        )


# ------------------------------------------------------------------------------------------------- clocks, and pages


def _known_of(server: Server, asked: Asked) -> tuple[float, bool]:
    """By how much the server's clock is ahead of ours, and whether its spans of time hold both of their ends.

    A clock that is off is told: the server's is that of its samples.
    """
    before = clock.now()
    answer = server.ask("/api/v1/query", {"query": CLOSED_OR_NOT, "time": math.floor(_seconds(before) / 10) * 10})
    is_closed = b',"1"]' not in _body(server, answer)
    if answer.at is None:
        return 0.0, is_closed
    # The clock that an answer shows has no parts of a second: half of one is what it lacks.
    skew_s = (answer.at - before).total_seconds() + 0.5
    if abs(skew_s) <= _MOST_SKEW_S:
        return 0.0, is_closed
    which = "ahead of" if skew_s > 0 else "behind"
    asked.tell(
        f"{server.url}: its clock is {timedelta(seconds=5 * round(abs(skew_s) / 5))} {which} this machine's; "
        "its samples have its time, and 'now' is its now"
    )
    return skew_s, is_closed


def is_page(url: str) -> bool:
    """Whether an address is that of an exporter's page, and not of a server."""
    return urlsplit(url).path.endswith("/metrics")


def page_of(server: Server) -> bytes:
    """What an exporter shows. Raises SourceError where it is no such page."""
    answer = server.ask("")
    _refuse(server, answer, "")
    return answer.body


def _page(server: Server, asked: Asked) -> Fetched:
    """What an exporter shows at this moment, behind a line that says when that was."""
    text = page_of(server).strip()
    at = clock.now()
    host = (urlsplit(server.url).hostname or "page").replace(":", "-")
    # The name of a page's file up to its first dot is the machine; an address is one name.
    machine = host.replace(".", "-") if host.replace(".", "").isdigit() or "-" in host[:1] else host.split(".")[0]
    rows = sum(1 for line in text.split(b"\n") if line.strip() and not line.startswith(b"#"))
    return Fetched(
        cursor=asked.cursor,
        file_name=f"{machine}.{at:%Y%m%dT%H%M%S%f}Z.prom",
        content=b"# scraped_at " + at.isoformat(timespec="milliseconds").encode() + b"Z\n" + text + b"\n"
        if rows
        else None,
        rows=rows,
        since=at,
        until=at,
    )


def _seconds(moment: datetime) -> float:
    return (moment - _EPOCH).total_seconds()


def _moment(seconds_: float) -> datetime:
    return _EPOCH + timedelta(seconds=seconds_)


def _stamp(seconds_: float) -> str:
    return f"{datetime.fromtimestamp(seconds_, UTC):%Y%m%dT%H%M%SZ}"


def _text(seconds_: float) -> str:
    return f"{_moment(seconds_):%Y-%m-%d %H:%M:%S}"


def _number(seconds_: float) -> float | int:
    return int(seconds_) if seconds_ == int(seconds_) else round(seconds_, 3)


COLLECTOR = Collector(
    name="prometheus",
    source="prometheus",
    help="Ask a Prometheus server for GPUs, machines and pods, or an exporter for its page. "
    f"[env: {SECRETS}_TOKEN, or {SECRETS}_USER and {SECRETS}_PASSWORD]",
    collect=collect,
    plan=plan,
    options=(
        Option(
            "url",
            "The server, as http://prometheus:9090, or a page, as http://node01:9400/metrics.",
            "URL",
            is_required=True,
        ),
        Option("step", "Time between two samples: how often exporters are scraped. (default: 30s)", "LENGTH", seconds),
        Option("match", 'A selector of further metrics, as up{job="dcgm"}.', "SELECTOR"),
    ),
)
