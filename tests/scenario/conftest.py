"""Two refreshed lakes, of a tiny hand-made trace and of a simulated fleet, shared by the tests that only read them."""

import json
import random
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from gpulake import pipeline
from gpulake.config import Config
from gpulake.simulate import pai2020

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


def refresh_trace(folder):
    """The trace, its refreshed lake, and what the refresh said on each stream."""
    write_trace(folder / "trace")
    done = gpulake("refresh", "--data", folder / "trace", "--lake", folder / "lake", "--json")
    assert 0 == done.returncode, done.stderr
    (folder / "said.json").write_text(json.dumps({"stdout": done.stdout, "stderr": done.stderr}))


@pytest.fixture(scope="session")
def refreshed(made_once, tmp_path_factory):
    """A folder of this process's own with the trace and its refreshed lake, and what the refresh answered."""
    made = made_once("refreshed", refresh_trace)
    folder = shutil.copytree(made, tmp_path_factory.mktemp("refreshed") / "own")
    done = SimpleNamespace(**json.loads((folder / "said.json").read_text()))
    return folder, json.loads(done.stdout), done


def simulate_fleet(folder):
    """A fleet of ten days by a fresh seed, refreshed."""
    seed = random.SystemRandom().randrange(2**31)
    pai2020.simulate(folder / "trace", scale=0.02, days=10, seed=seed)
    result = pipeline.refresh(Config(lake=folder / "lake"), data=folder / "trace")
    assert result.published, result.why
    (folder / "seed").write_text(str(seed))


@pytest.fixture(scope="session")
def simulated(made_once):
    """The folder of a simulated trace and its lake, and the seed that makes the trace again."""
    folder = made_once("simulated", simulate_fleet)
    seed = int((folder / "seed").read_text())
    print(f"scale 0.02, 10 days, seed {seed}")
    return folder, seed
