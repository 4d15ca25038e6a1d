"""One Slurm for all tests here; where it cannot be started they are skipped, unless it must be there."""

from __future__ import annotations

import os

import pytest
from tests.slurm.site import NoSlurmError, Site, lacking


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """A Slurm that runs. GPULAKE_MUST_SLURM=1 makes its lack a failure."""
    if why := lacking():
        _without(why)
    # Its own folder, since the paths of sockets have an end.
    site = Site(tmp_path_factory.mktemp("slurm") / "s")
    try:
        site.start()
    except (NoSlurmError, AssertionError) as error:
        site.stop()
        _without(str(error))
    yield site
    site.stop()


def _without(why: str) -> None:
    if os.environ.get("GPULAKE_MUST_SLURM"):
        pytest.fail(f"no Slurm could be started: {why}")
    pytest.skip(f"no Slurm could be started: {why}")
