"""Every module loads on every interpreter that is supported, whatever else a test of it needs."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pkgutil import walk_packages

import gpulake

_OF_AN_EXTRA = {"gpulake.flows": "prefect"}
"""What needs a library that not every environment has."""


def test_every_module_loads():
    """A word of a later Python, or a name that its library lost, would be met by whoever runs the one command that needs it."""
    names = [module.name for module in walk_packages(gpulake.__path__, "gpulake.") if "__main__" not in module.name]
    for name in names:
        if name not in _OF_AN_EXTRA or find_spec(_OF_AN_EXTRA[name]):
            import_module(name)

    assert len(names) > 200
