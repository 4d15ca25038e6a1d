"""Small pipe tables in, one lake with a cluster per case, one dbt build, and a brute-force oracle beside it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from tiny_lake import TinyLake


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """All cases of this folder in one lake, built and tested once."""
    import test_definitions
    import test_random_fleets

    lake = TinyLake(tmp_path_factory.mktemp("spec") / "lake")
    lake.add(*test_definitions.CASES, *test_random_fleets.FLEETS)
    lake.build(full=True)
    yield lake
    lake.close()
