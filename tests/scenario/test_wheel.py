"""The wheel alone: what is built is all that is needed, in an environment outside the tree, with an empty PATH and home."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import urllib.request
from pathlib import Path

import pytest

from gpulake.lake import open_publication

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def uv():
    """The program that makes wheels and environments without asking an index."""
    found = next(filter(None, [shutil.which("uv"), shutil.which("uv", path=str(ROOT / ".tools" / "bin"))]), None)
    if found is None:
        pytest.skip("there is no uv, on PATH or in .tools: scripts/setup puts one there")
    return found


@pytest.fixture(scope="module")
def installed(tmp_path_factory, uv):
    """An environment with the wheel in it. The libraries that the wheel names are lent by the environment of the tests."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [uv, "build", "--quiet", "--wheel", "--out-dir", str(folder / "dist"), str(ROOT)]
    if subprocess.run([*build, "--offline"], capture_output=True, check=False).returncode:
        subprocess.run(build, check=True)
    (wheel,) = (folder / "dist").glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "env")], check=True)
    python = folder / "env" / "bin" / "python"
    subprocess.run(
        [uv, "pip", "install", "--quiet", "--offline", "--no-deps", "--python", str(python), str(wheel)], check=True
    )
    (packages,) = (folder / "env" / "lib").glob("python*/site-packages")
    # A path of its own, whose .pth files (our own tree's among them) are not followed; what the wheel brings stands before it.
    (packages / "lent.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return folder, packages


def run(folder, *words):
    home = folder / "home"
    home.mkdir(exist_ok=True)
    done = subprocess.run(
        [folder / "env" / "bin" / "gpulake", *words],
        cwd=home, env={"PATH": "/nowhere", "HOME": str(home)}, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert 0 == done.returncode, f"{words}\n{done.stdout}{done.stderr}"
    return done.stdout


def test_the_wheel_is_all_that_is_needed(installed):
    """A model, a template or a rule that is not packed is missed on somebody else's machine only."""
    folder, packages = installed
    before = written_beside(packages)
    where = "import gpulake, gpulake.dbt.warehouse as w; print(gpulake.__file__, w.project())"
    said = subprocess.run([folder / "env" / "bin" / "python", "-c", where], capture_output=True, text=True, check=True)
    assert [str(packages / "gpulake")] * 2 == [str(Path(each).parent) for each in said.stdout.split()]

    assert run(folder, "--version").startswith("gpulake ")
    run(folder, "simulate", "pai2020", "--scale", "0.01", "--days", "3", "--out", "trace")
    assert "published build" in run(folder, "refresh", "--data", "trace")
    assert "build" in run(folder, "doctor")
    with open_publication(folder / "home" / "lake") as reader:
        (held,) = reader.sql("select count(*) as n from gold_jobs where allocated_gpu_h > 0").to_pylist()
    assert held["n"] > 0
    for name, page in served(folder, ["", "queue", "data"]).items():
        assert "pai2020" in page, name
    assert before == written_beside(packages)


def written_beside(packages):
    """What lies in the installed package, but for what Python compiles."""
    return {file for file in (packages / "gpulake").rglob("*") if file.suffix != ".pyc" and file.name != "__pycache__"}


def served(folder, names):
    """Pages of `gpulake serve`, by their names."""
    serving = subprocess.Popen(
        [folder / "env" / "bin" / "gpulake", "serve", "--port", "0"],
        cwd=folder / "home", env={"PATH": "/nowhere", "HOME": str(folder / "home")}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        address = serving.stdout.readline().split()[1].rstrip("/")
        pages = {}
        for name in names:
            with urllib.request.urlopen(f"{address}/{name}", timeout=20) as answer:
                pages[name] = answer.read().decode()
        return pages
    finally:
        serving.terminate()
        serving.wait(10)
        serving.stdout.close()
