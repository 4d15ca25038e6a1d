"""Downloads against a real server on loopback that misbehaves the way real ones do."""

from __future__ import annotations

import errno
import hashlib
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from gpulake.contract import Download, Source
from gpulake.errors import SourceError, UsageError
from gpulake.fetch import Line, fetch, fetch_from_kaggle

BODY = bytes(range(256)) * 4096  # 1 MiB
HALF = len(BODY) // 2

Answer = Callable[[BaseHTTPRequestHandler], None]


def whole(handler: BaseHTTPRequestHandler, *, body: bytes = BODY, drop_at: int | None = None) -> None:
    """200 with the whole file, whatever was asked."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body[:drop_at])


def ranged(handler: BaseHTTPRequestHandler, *, body: bytes = BODY, drop_at: int | None = None, etag: str = "") -> None:
    """What was asked for, as a good server does it: with If-Range, the whole file when it has changed."""
    asked = handler.headers.get("Range")
    changed = handler.headers.get("If-Range", etag) != etag
    start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and not changed else 0
    handler.send_response(206 if start else 200)
    if start:
        handler.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
    if etag:
        handler.send_header("ETag", etag)
    handler.send_header("Content-Length", str(len(body) - start))
    handler.end_headers()
    handler.wfile.write(body[start:drop_at])


def status(code: int, **headers: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def dropping(answer: Callable[..., None], **how: object) -> Answer:
    return lambda handler: answer(handler, **how)


@dataclass
class Server:
    url: str
    answers: list[Answer] = field(default_factory=list)
    asked: list[tuple[str, str | None]] = field(default_factory=list)

    def download(self, table: str = "pai_machine_spec", *, body: bytes = BODY) -> Download:
        return Download(
            table=table,
            file_name=f"{table}.tar.gz",
            url=f"{self.url}/{table}.tar.gz",
            bytes=len(body),
            sha256=hashlib.sha256(body).hexdigest(),
        )

    def source(self, *downloads: Download) -> Source:
        return Source(
            name="pai2020",
            title="",
            licence="",
            tables=(),
            downloads=downloads or (self.download(),),
            kaggle_dataset="a/b",
        )


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Answers each request with the next of `answers`, the last one again and again."""
    monkeypatch.setenv("no_proxy", "*")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.0"

        def do_GET(self) -> None:
            found.asked.append((self.path, self.headers.get("Range")))
            answer = found.answers.pop(0) if len(found.answers) > 1 else found.answers[0]
            answer(self)

        def log_message(self, *_: object) -> None: ...

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = Server(f"http://127.0.0.1:{http.server_address[1]}")
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield found
    http.shutdown()
    http.server_close()
    thread.join()


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def line(pauses: list[float]) -> Line:
    return Line(timeout_s=5, attempts=4, pause=pauses.append)


def test_a_file_is_whole_checked_and_alone_in_the_folder(server: Server, tmp_path: Path, line: Line) -> None:
    """Whoever sees the file under its name may trust it; nothing else is left behind."""
    server.answers = [ranged]
    told: list[tuple[str, int, int]] = []

    (fetched,) = fetch(server.source(), into=tmp_path, line=line, progress=lambda *step: told.append(step))

    assert BODY == fetched.path.read_bytes()
    assert ["pai_machine_spec.tar.gz"] == [path.name for path in tmp_path.iterdir()]
    assert ("pai_machine_spec.tar.gz", len(BODY), len(BODY)) == told[-1]


def test_a_second_call_downloads_nothing(server: Server, tmp_path: Path, line: Line) -> None:
    """A repeated command on a metered line must cost nothing."""
    server.answers = [ranged]
    fetch(server.source(), into=tmp_path, line=line)

    (again,) = fetch(server.source(), into=tmp_path, line=line)

    assert not again.fresh
    assert 1 == len(server.asked)


def test_a_dropped_line_goes_on_where_it_stopped(
    server: Server, tmp_path: Path, line: Line, pauses: list[float]
) -> None:
    """700 MB over a poor line would otherwise never arrive."""
    server.answers = [dropping(ranged, drop_at=HALF), ranged]

    (fetched,) = fetch(server.source(), into=tmp_path, line=line)

    assert BODY == fetched.path.read_bytes()
    assert [None, f"bytes={HALF}-"] == [asked for _, asked in server.asked]
    assert [1.0] == pauses


def test_a_later_call_goes_on_where_an_earlier_one_gave_up(server: Server, tmp_path: Path, line: Line) -> None:
    """Closing the lid must not cost what was downloaded."""
    server.answers = [dropping(ranged, drop_at=HALF), status(503)]
    with pytest.raises(SourceError, match="the server answers 503"):
        fetch(server.source(), into=tmp_path, line=line)
    server.answers = [ranged]

    (fetched,) = fetch(server.source(), into=tmp_path, line=line)

    assert BODY == fetched.path.read_bytes()
    assert f"bytes={HALF}-" == server.asked[-1][1]


def test_many_drops_are_borne_while_bytes_arrive(server: Server, tmp_path: Path, line: Line) -> None:
    """The bound is on tries that bring nothing, not on the size of the file."""
    steps = range(len(BODY) // 16, len(BODY) + 1, len(BODY) // 16)
    server.answers = [dropping(ranged, drop_at=step) for step in steps]

    (fetched,) = fetch(server.source(), into=tmp_path, line=line)

    assert BODY == fetched.path.read_bytes()
    assert 16 == len(server.asked)


def test_a_server_that_ignores_range_starts_over(server: Server, tmp_path: Path, line: Line) -> None:
    """Appending a whole file to its own first half would be silent damage."""
    server.answers = [dropping(whole, drop_at=HALF), whole]

    (fetched,) = fetch(server.source(), into=tmp_path, line=line)

    assert BODY == fetched.path.read_bytes()


def test_a_server_that_ignores_range_and_drops_is_given_up(server: Server, tmp_path: Path, line: Line) -> None:
    """Downloading the same half for ever would look like work."""
    server.answers = [dropping(whole, drop_at=HALF)]

    with pytest.raises(SourceError, match="dropped half-way") as error:
        fetch(server.source(), into=tmp_path, line=line)

    assert 10 == error.value.exit_code
    assert f"{HALF:,} of {len(BODY):,} bytes kept" in error.value.where


def test_a_range_answered_with_another_range_starts_over(server: Server, tmp_path: Path, line: Line) -> None:
    """A cache that answers with another piece must not shift the bytes."""

    def shifted(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes {HALF - 1}-{len(BODY) - 1}/{len(BODY)}")
        handler.end_headers()
        handler.wfile.write(BODY[HALF - 1 :])

    server.answers = [dropping(ranged, drop_at=HALF), shifted, ranged]

    (fetched,) = fetch(server.source(), into=tmp_path, line=line)

    assert BODY == fetched.path.read_bytes()


def test_other_bytes_of_the_same_size_are_refused(server: Server, tmp_path: Path, line: Line) -> None:
    """A tampered or broken file never gets the publisher's name."""
    other = BODY[:-1] + b"x"
    server.answers = [dropping(ranged, body=other)]

    with pytest.raises(SourceError, match="has other bytes than published") as error:
        fetch(server.source(), into=tmp_path, line=line)

    assert 10 == error.value.exit_code
    assert ["pai_machine_spec.tar.gz.bad"] == [path.name for path in tmp_path.iterdir()]
    assert other == (tmp_path / "pai_machine_spec.tar.gz.bad").read_bytes()


@pytest.mark.parametrize("body", [b"<html>please sign in</html>", BODY + b"more"])
def test_a_file_of_another_size_is_refused_unread(server: Server, tmp_path: Path, line: Line, body: bytes) -> None:
    """A proxy's sign-in page is told apart before a byte is kept."""
    server.answers = [dropping(whole, body=body)]

    with pytest.raises(SourceError, match=f"the server offers {len(body)} bytes"):
        fetch(server.source(), into=tmp_path, line=line)

    assert [] == list(tmp_path.iterdir())


def test_halves_of_two_versions_are_noticed_and_mended(server: Server, tmp_path: Path, line: Line) -> None:
    """A file replaced between two tries gives a mixture that one more download mends."""
    older = bytes(len(BODY))
    server.answers = [dropping(ranged, body=older, drop_at=HALF), ranged]

    (fetched,) = fetch(server.source(), into=tmp_path, line=line)

    assert BODY == fetched.path.read_bytes()
    assert [None, f"bytes={HALF}-", None] == [asked for _, asked in server.asked]


def test_if_range_saves_the_mixture(server: Server, tmp_path: Path, line: Line) -> None:
    """Where the server names its version, a changed file is sent whole at once."""
    server.answers = [dropping(ranged, body=bytes(len(BODY)), drop_at=HALF, etag='"1"'), dropping(ranged, etag='"2"')]

    (fetched,) = fetch(server.source(), into=tmp_path, line=line)

    assert BODY == fetched.path.read_bytes()
    assert 2 == len(server.asked)
    assert [fetched.path] == list(tmp_path.iterdir())


def test_a_range_past_the_end_starts_over(server: Server, tmp_path: Path, line: Line) -> None:
    """416 means that what is held is of no use."""
    server.answers = [dropping(ranged, drop_at=HALF), status(416), ranged]

    (fetched,) = fetch(server.source(), into=tmp_path, line=line)

    assert BODY == fetched.path.read_bytes()


def test_a_part_file_longer_than_the_file_starts_over(server: Server, tmp_path: Path, line: Line) -> None:
    """Rubbish under the part file's name must not end a download for ever."""
    (tmp_path / "pai_machine_spec.tar.gz.part").write_bytes(BODY + b"rubbish")
    server.answers = [ranged]

    (fetched,) = fetch(server.source(), into=tmp_path, line=line)

    assert BODY == fetched.path.read_bytes()


def test_a_missing_file_is_not_asked_for_again(server: Server, tmp_path: Path, line: Line, pauses: list[float]) -> None:
    """404 is an answer, not a fault of the line."""
    server.answers = [status(404)]

    with pytest.raises(SourceError, match="answers 404"):
        fetch(server.source(), into=tmp_path, line=line)

    assert 1 == len(server.asked)
    assert [] == pauses
    assert [] == list(tmp_path.iterdir())


def test_a_busy_server_is_waited_for_as_long_as_it_says(
    server: Server, tmp_path: Path, line: Line, pauses: list[float]
) -> None:
    """Polite, and bounded: an hour is not waited for."""
    server.answers = [status(503, Retry_After="7"), status(503, Retry_After="3600"), status(503), ranged]

    (fetched,) = fetch(server.source(), into=tmp_path, line=line)

    assert fetched.fresh
    assert [7.0, 60.0, 4.0] == pauses


def test_a_server_that_is_away_is_given_up_in_the_end(tmp_path: Path, line: Line, pauses: list[float]) -> None:
    """Bounded tries, then one sentence that says what to do."""
    nobody = Download("t", "t.tar.gz", "http://127.0.0.1:9/t.tar.gz", 10, "0" * 64)

    with pytest.raises(SourceError, match="4 tries in a row") as error:
        fetch(Source("s", "", "", (), downloads=(nobody,)), into=tmp_path, line=line)

    assert "fetch again" in error.value.do
    assert [1.0, 2.0, 4.0] == pauses


def test_one_refused_file_does_not_hold_up_the_others(server: Server, tmp_path: Path, line: Line) -> None:
    """Six good tables out of seven are worth having."""
    server.answers = [status(404), ranged]
    source = server.source(server.download("pai_job_table"), server.download("pai_machine_spec"))

    with pytest.raises(SourceError, match=r"1 of 2 files failed"):
        fetch(source, into=tmp_path, line=line)

    assert ["pai_machine_spec.tar.gz"] == [path.name for path in tmp_path.iterdir()]


def test_somebodys_own_file_is_never_overwritten(server: Server, tmp_path: Path, line: Line) -> None:
    """A file with that name may be the only copy of something."""
    mine = tmp_path / "pai_machine_spec.tar.gz"
    mine.write_bytes(b"mine")
    server.answers = [ranged]

    with pytest.raises(SourceError, match="stands there already and is not the publisher's"):
        fetch(server.source(), into=tmp_path, line=line)

    assert b"mine" == mine.read_bytes()
    assert [] == server.asked


def test_two_fetches_at_once_do_not_mix(server: Server, tmp_path: Path, line: Line) -> None:
    """The second says who is at work instead of writing into the first one's file."""

    def fetch_meanwhile(handler: BaseHTTPRequestHandler) -> None:
        with pytest.raises(SourceError, match="Another fetch is downloading"):
            fetch(server.source(), into=tmp_path, line=line)
        ranged(handler)

    server.answers = [fetch_meanwhile]

    (fetched,) = fetch(server.source(), into=tmp_path, line=line)

    assert BODY == fetched.path.read_bytes()


def test_a_full_disk_is_said_before_the_download(
    server: Server, tmp_path: Path, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An hour of download must not end in a message about space that was known at the start."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=100))
    server.answers = [ranged]

    with pytest.raises(SourceError, match="needs 1,048,576 bytes more, the disk has 100"):
        fetch(server.source(), into=tmp_path, line=line)


def test_a_disk_that_fills_up_keeps_what_it_has(
    server: Server, tmp_path: Path, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else may fill the disk meanwhile."""

    def full(_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    server.answers = [ranged]
    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", full)
        with pytest.raises(SourceError, match="the disk is full") as error:
            fetch(server.source(), into=tmp_path, line=line)
    assert "free some space" in error.value.do

    (fetched,) = fetch(server.source(), into=tmp_path, line=line)

    assert BODY == fetched.path.read_bytes()
    assert 1 == len(server.asked)


def test_tables_are_chosen_by_name(server: Server, tmp_path: Path, line: Line) -> None:
    """Whoever needs the machine table need not load two gigabytes."""
    server.answers = [ranged]
    source = server.source(server.download("pai_job_table"), server.download("pai_machine_spec"))

    fetch(source, into=tmp_path, tables=["pai_machine_spec"], line=line)

    assert ["pai_machine_spec.tar.gz"] == [path.name for path in tmp_path.iterdir()]
    with pytest.raises(UsageError, match='no table "pai_jobs"'):
        fetch(source, into=tmp_path, tables=["pai_jobs"], line=line)


def test_a_source_without_addresses_says_so(tmp_path: Path) -> None:
    """There is nothing to download, and something to do about it."""
    with pytest.raises(UsageError, match="--from kaggle"):
        fetch(Source("gpu_specs", "", "", (), kaggle_dataset="a/b"), into=tmp_path)


def test_other_schemes_are_refused(tmp_path: Path) -> None:
    """An address from a table must not read this machine's files."""
    local = Download("t", "t.tar.gz", "file:///etc/hostname", 10, "0" * 64)

    with pytest.raises(SourceError, match="Only http and https"):
        fetch(Source("s", "", "", (), downloads=(local,)), into=tmp_path)


class FakeKaggle:
    """Stands for the kaggle package: signs in if it may, and unpacks what the dataset holds."""

    def __init__(self, *, signs_in: bool = True, fails: bool = False) -> None:
        self.signs_in = signs_in
        self.fails = fails

    def authenticate(self) -> None:
        if not self.signs_in:
            raise SystemExit(1)

    def dataset_download_files(self, dataset: str, *, path: str, quiet: bool, unzip: bool) -> None:
        print("Dataset URL: ...")
        if self.fails:
            raise OSError("403 Client Error: Forbidden")
        assert ("a/b", False, True) == (dataset, quiet, unzip)
        (Path(path) / "pai_job_table.csv").write_text("1,2\n")
        (Path(path) / "pai_machine_spec.csv").write_text("3,4\n")


@pytest.fixture
def kaggle(monkeypatch: pytest.MonkeyPatch) -> Callable[[FakeKaggle], None]:
    def use(api: FakeKaggle) -> None:
        module = ModuleType("kaggle")
        module.api = api  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "kaggle", module)

    return use


KAGGLE_SOURCE = Source("pai2020", "", "", (), kaggle_dataset="a/b")


def test_kaggle_files_arrive_and_stdout_stays_clean(
    kaggle: Callable[[FakeKaggle], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Results go to standard output; the client's chatter would break whoever reads it."""
    kaggle(FakeKaggle())

    fetched = fetch_from_kaggle(KAGGLE_SOURCE, into=tmp_path)

    assert ["pai_job_table", "pai_machine_spec"] == [file.name for file in fetched]
    assert ["pai_job_table.csv", "pai_machine_spec.csv"] == sorted(path.name for path in tmp_path.iterdir())
    assert "" == capsys.readouterr().out


def test_kaggle_never_overwrites(kaggle: Callable[[FakeKaggle], None], tmp_path: Path) -> None:
    """As with the publisher's files: what stands there may be somebody's own."""
    (tmp_path / "pai_job_table.csv").write_text("mine\n")
    kaggle(FakeKaggle())

    fetched = fetch_from_kaggle(KAGGLE_SOURCE, into=tmp_path)

    assert [False, True] == [file.fresh for file in fetched]
    assert "mine\n" == (tmp_path / "pai_job_table.csv").read_text()


def test_without_the_kaggle_client_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The core does not install the client, so this is the first thing many will meet."""
    monkeypatch.setitem(sys.modules, "kaggle", None)

    with pytest.raises(UsageError) as error:
        fetch_from_kaggle(KAGGLE_SOURCE, into=tmp_path)

    assert "gpulake[kaggle]" in error.value.do


def test_without_credentials_the_file_is_named(kaggle: Callable[[FakeKaggle], None], tmp_path: Path) -> None:
    """The client itself just ends the process."""
    kaggle(FakeKaggle(signs_in=False))

    with pytest.raises(UsageError, match="no credentials") as error:
        fetch_from_kaggle(KAGGLE_SOURCE, into=tmp_path)

    assert "kaggle.json" in error.value.do


def test_a_failing_kaggle_client_is_a_source_error(kaggle: Callable[[FakeKaggle], None], tmp_path: Path) -> None:
    """Terms not accepted, dataset gone, line dropped: one error with the client's own words."""
    kaggle(FakeKaggle(fails=True))

    with pytest.raises(SourceError, match="403 Client Error"):
        fetch_from_kaggle(KAGGLE_SOURCE, into=tmp_path)


def test_a_source_without_a_kaggle_copy_says_so(tmp_path: Path) -> None:
    """Nobody should look for a copy that does not exist."""
    with pytest.raises(UsageError, match="no known Kaggle copy"):
        fetch_from_kaggle(replace(KAGGLE_SOURCE, kaggle_dataset=""), into=tmp_path)
