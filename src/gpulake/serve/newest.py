"""The Publication, held open for requests: a page pays neither for opening it nor for what was asked before, and never waits for a writer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Lock

from gpulake.errors import UsageError
from gpulake.lake import Answers, Layout, Reader, open_publication
from gpulake.reading.scope import Cluster, clusters_of


class _Copy:
    """One publication and how many look at it. It closes when it is no longer the newest and nobody looks."""

    def __init__(self, folder: Path) -> None:
        self._stack = ExitStack()
        # Many look at once: a second thread for one of them is one less for another, and costs both a third more.
        self.reader = self._stack.enter_context(open_publication(folder, threads=1, answers=Answers()))
        self.clusters = clusters_of(self.reader)
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
        self._newest: _Copy | None = None

    @contextmanager
    def open(self) -> Iterator[tuple[Reader, tuple[Cluster, ...]]]:
        """The newest Publication and its clusters; who has begun to look goes on looking at the same one.

        Raises UsageError where nothing is published, LakeError where it cannot be read.
        """
        copy = self._taken()
        try:
            with copy.reader.beside() as reader:
                yield reader, copy.clusters
        finally:
            with self._lock:
                copy.looking -= 1
                copy.close_if_done()

    def close(self) -> None:
        """Close what is open once nobody looks at it."""
        with self._lock:
            self._retire()

    def _taken(self) -> _Copy:
        with self._lock:
            newest = self._layout.publication()
            if newest is None:
                if not self._layout.is_there():
                    raise self._layout.no_lake()
                raise UsageError(
                    "nothing is published here yet.",
                    where=str(self._layout.folder),
                    do="run: gpulake refresh --data DIR",
                )
            if self._newest is None or self._newest.reader.publication != newest:
                fresh = _Copy(self._layout.folder)
                self._retire()
                self._newest = fresh
            self._newest.looking += 1
            return self._newest

    def _retire(self) -> None:
        if self._newest:
            self._newest.is_old = True
            self._newest.close_if_done()
            self._newest = None
