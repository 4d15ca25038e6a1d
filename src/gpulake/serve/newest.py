"""The Publication, held open for requests: a page pays neither for opening it nor for what was asked before, and never waits for a writer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Event, Lock, Thread

from gpulake import clock
from gpulake.errors import GpulakeError, UsageError
from gpulake.lake import Answers, Layout, Publication, Reader, open_publication
from gpulake.reading.scope import Cluster, clusters_of

LOOKS_EVERY_S = 1.0
MOST_BEHIND = timedelta(seconds=10)
"""How long the one before may still be shown, while a newer one is made ready."""

_OPERATIONS = "ops."
"""What a query says that reads operations, which change without new data."""

Visit = Callable[[Reader, tuple[Cluster, ...]], Iterator[None]]
"""Asks what most visitors will ask, piece by piece, so that it can be left off between two."""


class _Copy:
    """One publication and how many look at it. It closes when it is no longer the newest and nobody looks."""

    def __init__(self, folder: Path, *, before: Sequence[_Copy]) -> None:
        self._stack = ExitStack()
        self.answers = Answers()
        # Many look at once: a second thread for one of them is one less for another, and costs both a third more.
        self.reader = self._stack.enter_context(open_publication(folder, threads=1, answers=self.answers))
        for copy in before:
            if copy.reader.data_version == self.reader.data_version:
                self.answers.take(copy.answers, but=_OPERATIONS)
        try:
            self.clusters = clusters_of(self.reader)
        except GpulakeError:
            self._stack.close()
            raise
        self.looking = 0
        self.is_old = False

    def close_if_done(self) -> None:
        if self.is_old and not self.looking:
            self._stack.close()


class Newest:
    """Looks at the newest Publication of one lake, for many threads at once."""

    def __init__(self, folder: Path) -> None:
        self._layout = Layout(folder)
        self._lock = Lock()
        self._opening = Lock()
        self._shown: _Copy | None = None
        self._coming: _Copy | None = None
        self._is_watched = False
        self._was_visited = Event()

    @contextmanager
    def open(self) -> Iterator[tuple[Reader, tuple[Cluster, ...]]]:
        """The newest Publication and its clusters; who has begun to look goes on looking at the same one.

        While it is watched, a newer one is shown once it is ready, or after `MOST_BEHIND`. Raises UsageError where nothing is
        published, LakeError where it cannot be read.
        """
        copy = self._taken()
        try:
            with copy.reader.beside() as reader:
                yield reader, copy.clusters
        finally:
            self._left(copy)
            self._was_visited.set()

    @contextmanager
    def watched(self, visit: Visit) -> Iterator[None]:
        """While it lasts, a thread looks for newer publications, from the first visitor on, and makes `visit` before they are shown."""
        stopped = Event()
        watcher = Thread(target=self._watch, args=(visit, stopped), name="newest")
        self._is_watched = True
        watcher.start()
        try:
            yield
        finally:
            self._is_watched = False
            stopped.set()
            self._was_visited.set()
            watcher.join()

    def close(self) -> None:
        """Close what is open once nobody looks at it."""
        with self._lock:
            for copy in (self._shown, self._coming):
                self._retire(copy)
            self._shown = self._coming = None

    # --- who looks ---

    def _taken(self) -> _Copy:
        newest = self._published()
        may_wait = self._is_watched and clock.now() - self._layout.pointed_at() < MOST_BEHIND
        with self._lock:
            shown = self._shown
            if shown is not None and (shown.reader.publication == newest or may_wait):
                shown.looking += 1
                return shown
        copy = self._opened(newest)
        self._show(copy)
        return copy

    def _published(self) -> Publication:
        newest = self._layout.publication()
        if newest is None:
            if not self._layout.is_there():
                raise self._layout.no_lake()
            raise UsageError(
                "nothing is published here yet.",
                where=str(self._layout.folder),
                do="run: gpulake refresh --data DIR",
            )
        return newest

    def _opened(self, newest: Publication) -> _Copy:
        """The copy of a publication, or of a still newer one: that which is open, else a fresh one. The caller looks at it."""
        with self._opening:
            with self._lock:
                known = [copy for copy in (self._shown, self._coming) if copy is not None]
                for copy in known:
                    if copy.reader.publication == newest:
                        copy.looking += 1
                        return copy
            fresh = _Copy(self._layout.folder, before=known)
            with self._lock:
                self._retire(self._coming)
                self._coming = fresh
                fresh.looking += 1
                return fresh

    def _show(self, copy: _Copy) -> None:
        with self._lock:
            if copy is self._coming:
                self._retire(self._shown)
                self._shown, self._coming = copy, None

    def _left(self, copy: _Copy) -> None:
        with self._lock:
            copy.looking -= 1
            copy.close_if_done()

    def _retire(self, copy: _Copy | None) -> None:
        if copy is not None:
            copy.is_old = True
            copy.close_if_done()

    # --- who watches ---

    def _watch(self, visit: Visit, stopped: Event) -> None:
        self._was_visited.wait()
        ready: Publication | None = None
        while not stopped.is_set():
            try:
                newest = self._published()
                if newest != ready:
                    self._make_ready(newest, visit, stopped)
                    ready = newest
            except GpulakeError:
                ready = None  # who comes is told
            stopped.wait(LOOKS_EVERY_S)

    def _make_ready(self, newest: Publication, visit: Visit, stopped: Event) -> None:
        copy = self._opened(newest)
        try:
            with copy.reader.beside() as reader:
                for _ in visit(reader, copy.clusters):
                    if stopped.is_set() or copy.is_old:
                        return
            self._show(copy)
        finally:
            self._left(copy)
