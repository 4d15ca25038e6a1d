"""Downloading a source from its publisher: every byte is checked before a file gets its name."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import http.client
import importlib
import json
import os
import re
import shutil
import sys
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from gpulake.contract import Download, Source
from gpulake.errors import SourceError, UsageError

Progress = Callable[[str, int, int], None]
"""Told often: file name, bytes held so far, bytes in all."""

Tell = Callable[[str], None]
"""Told now and then: one sentence for the person who waits."""

CHUNK_BYTES = 1 << 20
TRANSIENT_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
LONGEST_PAUSE_S = 60.0


@dataclass(frozen=True)
class Fetched:
    """One file that now stands in the folder; `fresh` is false if it stood there already."""

    name: str
    path: Path
    bytes: int
    fresh: bool


@dataclass(frozen=True)
class Line:
    """How patiently a server is asked."""

    timeout_s: float = 60.0
    attempts: int = 6
    first_pause_s: float = 1.0
    pause: Callable[[float], None] = time.sleep

    def pause_s(self, *, failures: int, asked_for_s: float | None) -> float:
        """Doubling from the first pause, or what the server asked for; never longer than a minute."""
        doubling_s = self.first_pause_s * 2 ** (failures - 1)
        return min(doubling_s if asked_for_s is None else asked_for_s, LONGEST_PAUSE_S)


class _DroppedLineError(Exception):
    """The line failed in a way that another try may mend."""

    def __init__(self, why: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(why)
        self.retry_after_s = retry_after_s


class _CannotGoOnError(Exception):
    """What is held cannot be continued."""


def _no_progress(_name: str, _held: int, _total: int) -> None: ...


def _no_words(_sentence: str) -> None: ...


def fetch(
    source: Source,
    *,
    into: Path,
    tables: Sequence[str] = (),
    progress: Progress = _no_progress,
    tell: Tell = _no_words,
    line: Line | None = None,
) -> tuple[Fetched, ...]:
    """Bring the source's files into the folder, each whole and with the publisher's sha256, or not at all.

    A broken download goes on where it stopped, now or in a later call; a file that stands there already is checked and
    left alone. Raises SourceError when a file cannot be had or is not the publisher's, after trying the others.
    """
    line = line or Line()
    downloads = _chosen(source, tables)
    _make_folder(into)
    done: list[Fetched] = []
    refused: list[SourceError] = []
    for download in downloads:
        try:
            done.append(_fetch_one(download, into=into, progress=progress, tell=tell, line=line))
        except SourceError as error:
            refused.append(error)
            tell(str(error))
    if refused:
        first = refused[0]
        others = f" ({len(refused)} of {len(downloads)} files failed)" if len(downloads) > 1 else ""
        raise SourceError(first.what + others, where=first.where, do=first.do) from first
    return tuple(done)


def fetch_from_kaggle(source: Source, *, into: Path, tell: Tell = _no_words) -> tuple[Fetched, ...]:
    """Bring the source's Kaggle copy into the folder, through the Kaggle client and the user's own credentials.

    Files that stand there already are left alone. A copy is a third party's: landing says whether its bytes are the
    publisher's. Raises UsageError without the client, credentials or a known copy, SourceError if the client fails.
    """
    if not source.kaggle_dataset:
        raise UsageError(f'The source "{source.name}" has no known Kaggle copy.', do="leave out --from kaggle")
    client = _kaggle_client()
    _make_folder(into)
    # Kept between calls, so that the client can go on with a broken download.
    waiting = into / f".{source.name}.kaggle"
    waiting.mkdir(exist_ok=True)
    tell(f"asking Kaggle for {source.kaggle_dataset}")
    try:
        # The client prints; standard output belongs to results.
        with contextlib.redirect_stdout(sys.stderr):
            client.dataset_download_files(source.kaggle_dataset, path=str(waiting), quiet=False, unzip=True)
    except (OSError, ValueError, zipfile.BadZipFile, SystemExit) as error:
        raise SourceError(
            f"The Kaggle client failed: {error}",
            where=f"{source.kaggle_dataset}, part kept in {waiting}",
            do="look at the dataset's page on kaggle.com (its terms may need accepting), then fetch again to go on",
        ) from error
    return tuple(_moved(waiting, into=into, tell=tell))


def _chosen(source: Source, tables: Sequence[str]) -> tuple[Download, ...]:
    offered = [download.table for download in source.downloads]
    if not offered:
        elsewhere = " (it has a Kaggle copy: --from kaggle)" if source.kaggle_dataset else ""
        raise UsageError(f'The source "{source.name}" states no address to download from{elsewhere}.')
    unknown = [table for table in tables if table not in offered]
    if unknown:
        raise UsageError(
            f'The source "{source.name}" has no table "{unknown[0]}".', do=f"choose from {', '.join(offered)}"
        )
    return tuple(download for download in source.downloads if not tables or download.table in tables)


def _make_folder(into: Path) -> None:
    try:
        into.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"The folder cannot be made: {error.strerror}", where=str(into), do="choose another"
        ) from error


def _fetch_one(download: Download, *, into: Path, progress: Progress, tell: Tell, line: Line) -> Fetched:
    target = into / download.file_name
    if target.exists():
        _check_standing(target, download)
        tell(f"{download.file_name}: already there, sha256 as published")
        return Fetched(download.table, target, download.bytes, fresh=False)
    part = into / f"{download.file_name}.part"
    with _disk_errors(into, download), _alone(part, download) as file:
        transfer = _Transfer(download, part, file=file, progress=progress, tell=tell, line=line)
        transfer.run()
        file.flush()
        os.fsync(file.fileno())
        part.replace(target)
        transfer.note.unlink(missing_ok=True)
    tell(f"{download.file_name}: {download.bytes:,} bytes, sha256 as published")
    return Fetched(download.table, target, download.bytes, fresh=True)


def _check_standing(target: Path, download: Download) -> None:
    """A file with this name but other bytes may be somebody's own: it is never overwritten."""
    size = target.stat().st_size
    if size == download.bytes and _sha256(target) == download.sha256:
        return
    raise SourceError(
        f"{download.file_name} stands there already and is not the publisher's file"
        f" ({size:,} bytes; published: {download.bytes:,} bytes, sha256 {download.sha256[:12]}…).",
        where=str(target),
        do="move it away or delete it, then fetch again",
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def _alone(part: Path, download: Download) -> Iterator[BinaryIO]:
    """The part file, open for reading and writing, which no other fetch may write meanwhile."""
    descriptor = os.open(part, os.O_RDWR | os.O_CREAT, 0o666)
    with os.fdopen(descriptor, "r+b", buffering=0) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SourceError(
                f"Another fetch is downloading {download.file_name}.", where=str(part), do="wait for it, or stop it"
            ) from error
        try:
            yield file
        finally:
            if not os.fstat(file.fileno()).st_size:
                part.unlink(missing_ok=True)


@contextlib.contextmanager
def _disk_errors(into: Path, download: Download) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        raise SourceError(
            f"{download.file_name} cannot be written: {'the disk is full' if full else error.strerror or error}.",
            where=str(into),
            do=f"{'free some space' if full else 'mend the folder'}, then fetch again: it goes on where it stopped",
        ) from error


class _Transfer:
    """One file on its way: what is held, and how often the line failed without bringing a new byte."""

    def __init__(
        self, download: Download, part: Path, *, file: BinaryIO, progress: Progress, tell: Tell, line: Line
    ) -> None:
        self.download = download
        self.part = part
        self.note = part.with_name(part.name + ".json")
        self.file = file
        self.progress = progress
        self.tell = tell
        self.line = line
        self.resumed = False

    def run(self) -> None:
        """Return when the part file holds the publisher's bytes; raise SourceError when it never will."""
        self.resumed = self._held() > 0
        self._bring()
        if self._is_published():
            return
        if self.resumed:
            # The two halves may be of different versions: one whole download tells.
            self.tell(f"{self.download.file_name}: the pieces do not fit together, starting over")
            self._empty()
            self._bring()
            if self._is_published():
                return
        bad = self.part.with_suffix(".bad")
        found = _sha256(self.part)
        self.part.replace(bad)
        self.note.unlink(missing_ok=True)
        raise SourceError(
            f"{self.download.file_name} has other bytes than published"
            f" (sha256 {found[:12]}…, published {self.download.sha256[:12]}…).",
            where=f"{self.download.url}, kept as {bad}",
            do="look at what the server sent (a proxy's page?), or ask the publisher; delete the .bad file afterwards",
        )

    def _bring(self) -> None:
        """Hold as many bytes as published, trying again as long as the line brings new ones."""
        failures, most = 0, self._held()
        while self._held() != self.download.bytes:
            try:
                self._ask()
            except _CannotGoOnError:
                self._empty()
                failures += 1
                dropped = None
            except _DroppedLineError as error:
                dropped = error
                failures = 1 if self._held() > most else failures + 1
            else:
                continue
            most = max(most, self._held())
            if failures >= self.line.attempts:
                raise self._gave_up(failures, dropped)
            if dropped is not None:
                self._wait(failures, dropped)

    def _gave_up(self, failures: int, dropped: _DroppedLineError | None) -> SourceError:
        return SourceError(
            f"{self.download.file_name} cannot be had: {dropped or 'the server contradicts itself'}"
            f" ({failures} tries in a row brought nothing new).",
            where=f"{self.download.url}, {self._held():,} of {self.download.bytes:,} bytes kept in {self.part}",
            do="look at the network, then fetch again: it goes on where it stopped",
        )

    def _wait(self, failures: int, dropped: _DroppedLineError) -> None:
        seconds = self.line.pause_s(failures=failures, asked_for_s=dropped.retry_after_s)
        self.tell(
            f"{self.download.file_name}: {dropped}; trying again in {seconds:.0f} s"
            f" from byte {self._held():,} (try {failures + 1} of {self.line.attempts})"
        )
        self.line.pause(seconds)

    def _ask(self) -> None:
        """One request, and what it brings goes to the end of the part file."""
        held = self._held()
        if held > self.download.bytes:
            raise _CannotGoOnError
        request = urllib.request.Request(self.download.url, headers=self._headers(held))  # noqa: S310  checked below
        if request.type not in {"http", "https"}:
            raise SourceError("Only http and https addresses are downloaded.", where=self.download.url)
        try:
            with urllib.request.urlopen(request, timeout=self.line.timeout_s) as response:  # noqa: S310
                if held and response.status != http.HTTPStatus.PARTIAL_CONTENT:
                    self.tell(f"{self.download.file_name}: the server cannot go on in the middle, starting over")
                    self._empty()
                elif held:
                    self._check_range(response, held)
                    self.resumed = True
                self._check_length(response)
                self._keep_note(response)
                self._store(response)
        except urllib.error.HTTPError as error:
            error.close()
            raise self._of_status(error) from error
        except urllib.error.URLError as error:
            raise _DroppedLineError(f"the server does not answer ({error.reason})") from error
        except (http.client.HTTPException, ConnectionError, TimeoutError) as error:
            raise _DroppedLineError(f"the line failed ({error!r})") from error
        if self._held() < self.download.bytes:
            raise _DroppedLineError("the line was dropped half-way")

    def _headers(self, held: int) -> dict[str, str]:
        headers = {"User-Agent": "gpulake", "Accept-Encoding": "identity"}
        if held:
            headers["Range"] = f"bytes={held}-"
            etag = self._noted_etag()
            if etag:
                headers["If-Range"] = etag
        return headers

    def _check_range(self, response: http.client.HTTPResponse, held: int) -> None:
        stated = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
        if stated is None or int(stated[1]) != held:
            raise _CannotGoOnError
        if stated[2] not in {"*", str(self.download.bytes)}:
            raise self._other_file(stated[2])

    def _check_length(self, response: http.client.HTTPResponse) -> None:
        """A file of another size need not be downloaded to know that it is another file."""
        length = response.headers.get("Content-Length", "")
        if length.isdigit() and self._held() + int(length) != self.download.bytes:
            raise self._other_file(str(self._held() + int(length)))

    def _other_file(self, offered_bytes: str) -> SourceError:
        return SourceError(
            f"{self.download.file_name} is another file than published:"
            f" the server offers {offered_bytes} bytes, published are {self.download.bytes}.",
            where=self.download.url,
            do="look at what the server sends (a proxy's page?), or ask the publisher",
        )

    def _of_status(self, error: urllib.error.HTTPError) -> Exception:
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return _CannotGoOnError()
        if error.code in TRANSIENT_STATUS:
            asked_for = error.headers.get("Retry-After", "")
            return _DroppedLineError(
                f"the server answers {error.code}", retry_after_s=float(asked_for) if asked_for.isdigit() else None
            )
        return SourceError(
            f"{self.download.file_name} cannot be had: the server answers {error.code} {error.reason}.",
            where=self.download.url,
            do="see whether the publisher moved the file; a copy from elsewhere lands all the same",
        )

    def _store(self, response: http.client.HTTPResponse) -> None:
        self.file.seek(0, os.SEEK_END)
        missing = self.download.bytes - self._held()
        free = shutil.disk_usage(self.part.parent).free
        if free < missing:
            raise SourceError(
                f"{self.download.file_name} needs {missing:,} bytes more, the disk has {free:,}.",
                where=str(self.part.parent),
                do="free some space or choose another folder, then fetch again",
            )
        while missing > 0:
            try:
                chunk = response.read(min(CHUNK_BYTES, missing))
            except (OSError, http.client.HTTPException) as error:
                raise _DroppedLineError(f"the line failed ({error!r})") from error
            if not chunk:
                return
            self.file.write(chunk)
            missing -= len(chunk)
            self.progress(self.download.file_name, self.download.bytes - missing, self.download.bytes)

    def _held(self) -> int:
        return os.fstat(self.file.fileno()).st_size

    def _empty(self) -> None:
        self.file.truncate(0)
        self.resumed = False

    def _is_published(self) -> bool:
        return _sha256(self.part) == self.download.sha256

    def _keep_note(self, response: http.client.HTTPResponse) -> None:
        """Remember the version that the held bytes are of, for If-Range; a weak tag cannot promise equal bytes."""
        etag = response.headers.get("ETag", "")
        if etag and not etag.startswith("W/"):
            self.note.write_text(json.dumps({"url": self.download.url, "etag": etag}), encoding="utf-8")
        else:
            self.note.unlink(missing_ok=True)

    def _noted_etag(self) -> str:
        try:
            note = json.loads(self.note.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return ""
        return str(note.get("etag", "")) if isinstance(note, dict) and note.get("url") == self.download.url else ""


def _kaggle_client() -> Any:  # the client has no types
    """The Kaggle client, signed in."""
    try:
        # Importing the client signs in and prints when it cannot.
        with contextlib.redirect_stdout(sys.stderr):
            client = importlib.import_module("kaggle").api
            client.authenticate()
    except ImportError as error:
        raise UsageError("The Kaggle client is not installed.", do="install the extra: gpulake[kaggle]") from error
    except (OSError, SystemExit) as error:
        raise UsageError(
            "The Kaggle client has no credentials.",
            do="make an API token on your kaggle.com account page and save it as ~/.kaggle/kaggle.json",
        ) from error
    return client


def _moved(waiting: Path, *, into: Path, tell: Tell) -> Iterator[Fetched]:
    for path in sorted(path for path in waiting.rglob("*") if path.is_file()):
        target = into / path.relative_to(waiting)
        fresh = not target.exists()
        if fresh:
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)
        else:
            tell(f"{target.name}: already there, left alone")
        yield Fetched(target.stem, target, target.stat().st_size, fresh=fresh)
    shutil.rmtree(waiting)
