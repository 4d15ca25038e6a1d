"""Two refreshes of one lake at once, as real processes."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROWS = Path(__file__).parents[1] / "fixtures" / "worksheet"


def start(lake, *more):
    program = "import sys; from gpulake.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "refresh", "--data", str(ROWS), "--lake", str(lake), "--json", *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


@pytest.mark.slow
def test_a_second_refresh_says_who_writes_or_waits_for_it(tmp_path):
    """Two cron jobs at once must neither mix their rows nor leave one of them guessing."""
    lake = tmp_path / "lake"
    first = start(lake)
    lock = lake / "catalog.lock"
    for _ in range(200):
        if lock.exists() and lock.read_text().strip():
            break
        time.sleep(0.05)

    hasty, patient = start(lake), start(lake, "--wait", "120")
    told = json.loads(hasty.communicate()[0])
    waited = json.loads(patient.communicate()[0])
    done = json.loads(first.communicate()[0])

    assert (13, 0, 0) == (hasty.returncode, patient.returncode, first.returncode)
    assert f"pid {first.pid}: refresh" in told["error"]["what"]
    assert done["published"]
    assert not waited["published"]
    assert "already" == {landing["status"] for landing in waited["landings"]}.pop()
    assert done["publication"] == waited["publication"]
