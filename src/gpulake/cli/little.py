"""A command asks of the libraries that it loads no more than it uses: the process is its own."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any  # whatever scipy.stats holds

_OBJECTS_BETWEEN_COLLECTIONS = 100_000
"""Loading a library makes a hundred thousand objects and no garbage: looking through them each 700 is a tenth of the work."""


def load_little() -> None:
    """Make it so, for the whole process and for good."""
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    # Python looks for garbage among all of its objects once more before it ends, and takes an eighth of a second: the machine does it for nothing.
    atexit.register(gc.freeze)
    # A pool of threads for linear algebra on a few hundred rows costs a quarter of a second to start.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    for finder in (_WithoutPandas, _StatsLater):
        if not any(isinstance(known, finder) for known in sys.meta_path):
            sys.meta_path.insert(0, finder())


class _WithoutPandas(MetaPathFinder):
    """DuckDB looks for pandas at every value that it binds, and loads it where it is installed; nothing here uses it."""

    def find_spec(self, fullname: str, _path: object, _target: object = None) -> None:
        if fullname == "pandas":
            raise ModuleNotFoundError("No module named 'pandas'", name=fullname)


# ------------------------------------------------------------------------------------------- scipy.stats, later

_STATS = "scipy.stats"


class _StatsLater(MetaPathFinder, Loader):
    """scikit-learn imports scipy.stats for a few names that no forest asks for: it takes half a second and 70 MiB.

    Whoever imports it is given a module whose names load the real one when they are used. A module inside it loads it at once.
    """

    def find_spec(self, fullname: str, _path: Sequence[str] | None, _target: object = None) -> ModuleSpec | None:
        if fullname == _STATS and _STATS not in sys.modules:
            return ModuleSpec(fullname, self, is_package=True)
        if fullname.startswith(f"{_STATS}.") and isinstance(sys.modules.get(_STATS), _Later):
            _real_stats()
            return find_spec(fullname)
        return None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Later(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing is run."""


class _Later(ModuleType):
    """Stands for scipy.stats until one of its names is used."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Name(name)


class _Name:
    """Stands for one of its names: a function that is called, or an object that is asked for something."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return getattr(_real_stats(), self._name)(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(getattr(_real_stats(), self._name), name)


def _real_stats() -> ModuleType:
    """The module itself, in its place from here on."""
    if isinstance(sys.modules.get(_STATS), _Later):
        sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _StatsLater)]
        del sys.modules[_STATS]
    return import_module(_STATS)
