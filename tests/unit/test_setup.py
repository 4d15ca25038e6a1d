"""scripts/setup on machines that lack this and that: interpreters and uv are small fakes, nothing is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = ("sh", "env", "cat", "cksum", "tr", "cut", "head", "awk", "dirname", "sed", "rm", "mkdir", "chmod", "ln")

FAKE_UV = """
case "$1" in
--version) echo "uv 0.9.1" ;;
sync)
    echo "$@" >> uv.log
    mkdir -p "${UV_PROJECT_ENVIRONMENT:?}/bin"
    ln -sf "$4" "${UV_PROJECT_ENVIRONMENT:?}/bin/python" ;;
esac
"""


@dataclass
class Machine:
    """A clone of the project, and a PATH that holds the usual small tools and what a test puts there."""

    clone: Path
    bin: Path

    def put(self, name: str, script: str, *, where: Path | None = None) -> Path:
        file = (where or self.bin) / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)
        return file

    def put_python(self, name: str, version: str, *, has_pip: bool = True, where: Path | None = None) -> Path:
        """An interpreter that claims a version; its pip "installs" a uv that writes down how it was called."""
        self.put("uv", FAKE_UV, where=self.clone / "package")
        return self.put(
            name,
            f'case "$*" in\n"-I -") echo "{version} $0" ;;\n'
            f'"-m pip --version") {"echo pip 23" if has_pip else "exit 1"} ;;\n'
            '"-m pip install"*) echo "$@" >> pip.log; mkdir -p .tools/bin; ln -s ../../package/uv .tools/bin/uv ;;\n'
            f'"-c"*) echo {version} ;;\nesac',
            where=where,
        )

    def setup(self, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["scripts/setup", *words],
            cwd=self.clone,
            env={"PATH": f"{self.clone / 'shims'}:{self.bin}", "HOME": str(self.clone), **environ},
            capture_output=True,
            text=True,
            check=False,
        )

    def log(self, name: str) -> str:
        file = self.clone / name
        return file.read_text() if file.exists() else ""


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    clone, folder = tmp_path / "clone", tmp_path / "bin"
    (clone / "scripts").mkdir(parents=True)
    folder.mkdir()
    shutil.copy(ROOT / "scripts" / "setup", clone / "scripts" / "setup")
    for name in ("pyproject.toml", "uv.lock"):
        (clone / name).write_text(name)
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found, tool
        (folder / tool).symlink_to(os.path.realpath(found) if tool != "sh" else found)
    return Machine(clone, folder)


def test_uv_comes_from_pip_into_the_folder(machine: Machine) -> None:
    """No venv module and PEP 668: only --target is allowed and changes nothing of the system."""
    python = machine.put_python("python3", "3.12")

    done = machine.setup("core")

    assert 0 == done.returncode, done.stderr
    assert "-m pip install --upgrade --target .tools uv\n" == machine.log("pip.log")
    assert f"sync --locked --python {python} --no-dev --inexact" in machine.log("uv.log")
    assert "installing uv into .tools" in done.stderr
    assert ".venv is ready" in done.stderr


def test_an_existing_uv_is_used(machine: Machine) -> None:
    """Whoever has uv needs no pip at all."""
    machine.put_python("python3", "3.12", has_pip=False)
    machine.put("uv", FAKE_UV)

    done = machine.setup("core")

    assert 0 == done.returncode, done.stderr
    assert "sync --locked" in machine.log("uv.log")
    assert "" == machine.log("pip.log")


def test_a_uv_too_old_for_the_lock_file_is_passed_over(machine: Machine) -> None:
    """Its own message would be about a lock file the reader never touched."""
    machine.put_python("python3", "3.12")
    machine.put("uv", 'echo "uv 0.4.30"')

    done = machine.setup("core")

    assert 0 == done.returncode, done.stderr
    assert "older than 0.8" in done.stderr
    assert "sync --locked" in machine.log("uv.log")


def test_a_second_call_does_nothing(machine: Machine) -> None:
    """`make demo` should not sync again each time."""
    machine.put_python("python3", "3.12")
    machine.setup("core")
    before = machine.log("uv.log")

    again = machine.setup("core")

    assert (0, "") == (again.returncode, again.stderr)
    assert before == machine.log("uv.log")


def test_a_changed_lock_file_is_installed(machine: Machine) -> None:
    """After a pull the environment must follow."""
    machine.put_python("python3", "3.12")
    machine.setup("core")
    (machine.clone / "uv.lock").write_text("another")

    machine.setup("core")

    assert 2 == machine.log("uv.log").count("sync --locked")


def test_a_changed_lock_file_leaves_out_nothing_that_is_asked_for(machine: Machine) -> None:
    """What was made for less must not pass for more: who then asks for a browser's driver would be told that it is there."""
    machine.put_python("python3", "3.12")
    machine.setup("all")
    (machine.clone / "uv.lock").write_text("another")
    machine.setup("all")

    done = machine.setup("browser")

    assert 0 == done.returncode, done.stderr
    assert machine.log("uv.log").splitlines()[-1].endswith("--all-extras --group browser")


def test_what_setup_installed_is_enough_for_the_demo(machine: Machine) -> None:
    """The demo must not remove the developers' tools."""
    machine.put_python("python3", "3.12")
    machine.setup("all")

    machine.setup("core")

    assert 1 == machine.log("uv.log").count("sync --locked")
    assert "--all-extras" in machine.log("uv.log")


def test_a_shim_that_refuses_to_run_is_passed_over(machine: Machine) -> None:
    """Version managers leave names on PATH that answer "command not found"."""
    machine.put("python3", "echo 'pyenv: python3: command not found' >&2; exit 127", where=machine.clone / "shims")
    good = machine.put_python("python3", "3.11")

    done = machine.setup("core")

    assert 0 == done.returncode, done.stderr
    assert f"--python {good}" in machine.log("uv.log")


def test_a_python_out_of_range_is_passed_over(machine: Machine) -> None:
    """The system's python3 may be older than what we support."""
    machine.put("python3", "exit 0")
    good = machine.put_python("python3.13", "3.13")

    done = machine.setup("core")

    assert 0 == done.returncode, done.stderr
    assert f"--python {good}" in machine.log("uv.log")


def test_without_a_python_the_message_says_what_to_do(machine: Machine) -> None:
    """The first thing a newcomer may see."""
    done = machine.setup("core")

    assert 1 == done.returncode
    assert "no Python 3.11, 3.12 or 3.13" in done.stderr
    assert "apt install python3" in done.stderr


def test_without_uv_and_pip_the_message_says_what_to_do(machine: Machine) -> None:
    """Debian's python3 comes without pip."""
    machine.put_python("python3", "3.12", has_pip=False)

    done = machine.setup("core")

    assert 1 == done.returncode
    assert "apt install python3-pip" in done.stderr


def test_the_interpreter_can_be_chosen(machine: Machine) -> None:
    """And a wrong choice is said, not silently replaced."""
    machine.put_python("python3", "3.12")
    chosen = machine.put_python("mine", "3.13", where=machine.clone / "opt")

    assert 0 == machine.setup("core", PYTHON=str(chosen)).returncode
    assert f"--python {chosen}" in machine.log("uv.log")
    wrong = machine.setup("core", PYTHON="/bin/false")
    assert 1 == wrong.returncode
    assert "PYTHON=/bin/false is no Python" in wrong.stderr


def test_further_interpreters_get_environments_of_their_own(machine: Machine) -> None:
    """Each Python that the machine has is tested."""
    machine.put_python("python3", "3.12")
    machine.put_python("python3.12", "3.12")
    machine.put_python("python3.13", "3.13")
    machine.setup("all")

    done = machine.setup("others")

    assert "3.13 .tools/venv-3.13\n" == done.stdout, done.stderr
    assert "--no-dev --group test" in machine.log("uv.log")


def test_the_real_interpreter_is_recognised() -> None:
    """The fakes above answer for themselves; this one is asked as the script asks."""
    script = (ROOT / "scripts" / "setup").read_text().split("<<'PYTHON'\n")[1].split("\nPYTHON\n")[0]

    asked = subprocess.run([sys.executable, "-I", "-"], input=script, capture_output=True, text=True, check=True)

    version, _, path = asked.stdout.strip().partition(" ")
    assert "{}.{}".format(*sys.version_info) == version
    assert Path(path).is_file()
