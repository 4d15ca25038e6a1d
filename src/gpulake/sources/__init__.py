"""The sources, found by listing this folder: every module here that defines SOURCE is one."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from gpulake.contract import Source


@cache
def all_sources() -> tuple[Source, ...]:
    """Every known source, by name."""
    modules = (module.name for module in iter_modules(__path__) if not module.ispkg)
    found = (import_module(f"{__name__}.{name}").SOURCE for name in modules)
    return tuple(sorted(found, key=lambda source: source.name))
