"""A lake's Superset before it runs: its secrets, its lock, its environment. The installer is a fake on PATH."""

from __future__ import annotations

import os
import re
import socket
import stat
import sys

import pytest

from gpulake.config import Config
from gpulake.errors import LockError, UsageError
from gpulake.superset import environment, starting
from gpulake.superset.places import Places, hold, made

RUNS_SUPERSET = sys.version_info[:2] <= (3, 12)

FAKE_UV = """#!/bin/sh
echo "$@" >>"$UV_TOLD"
case "$1" in
    venv) for last; do :; done; mkdir -p "$last/bin" ;;
    pip) exit "${UV_FAILS:-0}" ;;
esac
"""


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine whose uv only writes down what it is asked."""
    uv = tmp_path / "bin" / "uv"
    uv.parent.mkdir()
    uv.write_text(FAKE_UV)
    uv.chmod(0o755)
    monkeypatch.setenv("PATH", f"{uv.parent}:{os.environ['PATH']}")
    return {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache"), "UV_TOLD": str(tmp_path / "told")}


def asked(machine):
    with open(machine["UV_TOLD"], encoding="utf-8") as told:  # noqa: PTH123
        return [line.split()[0] for line in told]


def test_secrets_are_made_once_and_are_nobody_elses(tmp_path):
    places = made(Places(tmp_path))
    first = (places.secret_key.read_text(), places.password.read_text())
    places.password.chmod(0o644)  # somebody was careless
    made(places)

    assert first == (places.secret_key.read_text(), places.password.read_text())
    assert first[0] != first[1]
    assert all(len(secret.strip()) >= 40 for secret in first)
    assert {0o600} == {stat.S_IMODE(file.stat().st_mode) for file in (places.secret_key, places.password)}
    assert 0o700 == stat.S_IMODE(places.home.stat().st_mode)


def test_a_password_that_was_thrown_away_is_made_anew(tmp_path):
    places = made(Places(tmp_path))
    before = places.password.read_text()
    places.password.write_text("")  # as a process leaves it that was killed while it wrote

    assert before != made(places).password.read_text() != ""


def test_a_second_superset_of_a_lake_is_refused(tmp_path):
    """Two would lay out one set of records at once."""
    places = made(Places(tmp_path))
    first = hold(places)
    os.pwrite(first, b"pid 7, http://127.0.0.1:8088/\n", 0)
    with pytest.raises(LockError, match=re.escape("http://127.0.0.1:8088/")):
        hold(places)
    os.close(first)

    os.close(hold(places))


@pytest.mark.skipif(not RUNS_SUPERSET, reason="Superset's libraries need Python 3.11 or 3.12")
def test_the_environment_is_made_once(machine):
    said = []
    folder = environment.ready(machine, say=said.append)

    assert ["venv", "pip"] == asked(machine)
    assert folder == environment.ready(machine, say=said.append)
    assert ["venv", "pip"] == asked(machine)
    assert 1 == len(said)


@pytest.mark.skipif(not RUNS_SUPERSET, reason="Superset's libraries need Python 3.11 or 3.12")
def test_a_half_made_environment_is_made_again(machine):
    """An installation that was killed must not be what Superset is started from."""
    folder = environment.ready(machine, say=lambda _line: None)
    (folder / "made-by-gpulake").unlink()
    (folder / "half").write_text("of a library")

    environment.ready(machine, say=lambda _line: None)

    assert ["venv", "pip", "venv", "pip"] == asked(machine)
    assert not (folder / "half").exists()


@pytest.mark.skipif(not RUNS_SUPERSET, reason="Superset's libraries need Python 3.11 or 3.12")
def test_an_installation_that_fails_says_so_and_is_tried_again(machine):
    with pytest.raises(UsageError, match="could not be installed") as told:
        environment.ready({**machine, "UV_FAILS": "1"}, say=lambda _line: None)
    assert "package index" in told.value.do

    environment.ready(machine, say=lambda _line: None)
    assert ["venv", "pip", "venv", "pip"] == asked(machine)


FAKE_PYTHON = "#!/bin/sh\necho {}\n"


def on_313(folder, monkeypatch, **programs):
    """As if Python 3.13 ran this, with these interpreters on PATH, each with what it says of itself."""
    monkeypatch.setattr(environment, "_running", lambda: (3, 13))
    folder.mkdir()
    for name, says in programs.items():
        (folder / name.replace("_", ".")).write_text(FAKE_PYTHON.format(says))
        (folder / name.replace("_", ".")).chmod(0o755)
    return {"PATH": f"{folder}:/bin", "HOME": str(folder), "XDG_CACHE_HOME": str(folder / "cache")}


def test_a_python_that_cannot_run_superset_looks_for_one_that_can(tmp_path, monkeypatch):
    """Superset has no wheels for 3.13; a shim of a version manager may stand for nothing."""
    environ = on_313(tmp_path / "a", monkeypatch, python3_12="pyenv: 3.12 is not installed; false", python3_11="3.11")
    found = environment._python(environ)

    assert (str(tmp_path / "a" / "python3.11"), "3.11") == (found.program, found.version)
    assert "superset-3.11-" in environment._folder(environ, found).name
    assert found.program in environment._commands(tmp_path / "new", found.program)[0]


def test_without_one_it_says_which_python_is_needed(tmp_path, monkeypatch):
    """Superset up is refused with what to install, and nothing has been begun."""
    environ = on_313(tmp_path / "a", monkeypatch)
    with pytest.raises(UsageError, match=r"this is 3\.13, and there is no python3\.12 or python3\.11 on PATH") as told:
        environment.ready({**environ, "PATH": str(tmp_path / "a")}, say=print)

    assert "apt install python3.12" in told.value.do
    assert not (tmp_path / "a" / "cache").exists()


def test_a_pythons_own_settings_do_not_reach_superset(tmp_path):
    """PYTHONPATH of a developer's shell would mix two sets of libraries."""
    environ = {"PYTHONPATH": "/x", "VIRTUAL_ENV": "/y", "FLASK_APP": "other", "HOME": "/home/me"}
    given = starting._variables(environ, Places(tmp_path), 8088)

    assert "/home/me" == given["HOME"]
    assert not {"PYTHONPATH", "VIRTUAL_ENV", "FLASK_APP"} & set(given)
    assert not any(name.lower().endswith(("password", "secret_key")) for name in given)


def test_what_is_no_lake_and_what_is_unpublished_is_told(tmp_path):
    with pytest.raises(UsageError, match="there is no"):
        starting.up(Config(lake=tmp_path / "none"), port=1, environ={}, models={}, say=print)
    assert not (tmp_path / "none").exists()


def test_a_port_that_is_taken_is_told_before_anything_is_installed():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(UsageError, match="choose another --port"):
            starting._check_free(taken.getsockname()[1])
