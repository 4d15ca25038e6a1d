"""A refreshed lake of a tiny hand-made trace, shared by the tests that only read it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

DAY_S = 86_400
MACHINES = ("0123456789abcdef01234567", "89abcdef0123456789abcdef")


def gpulake(*args, cwd=None, env=None):
    """Run the command as a user does: a process of its own."""
    code = "import sys; from gpulake.cli import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, args)], capture_output=True, text=True, cwd=cwd, env=env, check=False
    )


def write_trace(folder: Path, *, days=10):
    """Two machines of two GPUs, measured for ten hours of each day, twice as busy on the last one; one bad line."""
    folder.mkdir(parents=True)
    (folder / "pai_machine_spec.csv").write_text("".join(f"{machine},T4,96,512,2\n" for machine in MACHINES))
    lines = []
    for day in range(20, 20 + days):
        for number, machine in enumerate(MACHINES):
            start = day * DAY_S + number * 3_600
            gpu = 40 + day % 7 + number + (60 if day == 19 + days else 0)
            worker = f"{day:02d}{number}".ljust(60, "a")
            lines.append(f"{worker},{machine},{start},{start + 36_000},0.01,4.0,20.0,{gpu}.0,12.5,1000.0,3.0,24.01")
    lines.append(f"{'b' * 60},{MACHINES[0]},{20 * DAY_S},{20 * DAY_S + 60},0.01,4.0,20.0,many,12.5,1000.0,3.0,24.01")
    (folder / "pai_machine_metric.csv").write_text("\n".join(lines) + "\n")
    (folder / "notes.csv").write_text("shopping,list\n1,2\n")


@pytest.fixture(scope="session")
def cli():
    """The command line."""
    return gpulake


@pytest.fixture(scope="session")
def tiny_trace():
    """Writes the trace of two machines into a folder."""
    return write_trace


@pytest.fixture(scope="session")
def refreshed(tmp_path_factory):
    """The folder with the trace and its refreshed lake, and what the refresh answered."""
    folder = tmp_path_factory.mktemp("refreshed")
    write_trace(folder / "trace")
    done = gpulake("refresh", "--data", folder / "trace", "--lake", folder / "lake", "--json")
    assert 0 == done.returncode, done.stderr
    return folder, json.loads(done.stdout), done
