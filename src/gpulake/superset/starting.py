"""Bringing a lake's Superset up: what is missing is made, what is stale is renewed, then this process becomes it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path

from gpulake.config import Config
from gpulake.errors import LakeError, UsageError
from gpulake.reading import dashboards
from gpulake.reading.models import Model
from gpulake.superset import bundle, environment
from gpulake.superset.places import Places, Say, hold, made, tail
from gpulake.whole import write_whole

_INSIDE = Path(__file__).parent / "inside"


def up(config: Config, *, port: int, environ: Mapping[str, str], models: Mapping[str, Model], say: Say) -> None:
    """Serve the lake's dashboards on this machine until the process is ended; does not return.

    Each step is done again only where its result is not there, so a start that was cut off is finished by the next one.
    Raises UsageError where nothing is published, the port is taken or Superset cannot be installed; LockError where one
    of this lake runs already; LakeError where the file for it cannot be written.
    """
    places = _ordered(config.lake)
    _check_free(port)
    descriptor = hold(made(places))
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"pid {os.getpid()}, http://127.0.0.1:{port}/\n".encode(), 0)
    python = environment.ready(environ, say=say) / "bin" / "python"
    say("writing the publication's tables for the dashboards")
    renewed = dashboards.renew(config.lake, models=models)
    if renewed is not None and renewed.error is not None:
        if not places.publication.is_file():
            raise renewed.error
        say(str(renewed.error))
    variables = _variables(environ, places, port)
    try:
        _prepare(python, places, models, variables, say, lock=descriptor)
    except OSError as error:
        raise LakeError(
            f"Superset could not be laid out: {error.strerror or error}.", where=str(places.home), do="free some space"
        ) from error
    say("starting Superset")
    os.execve(  # noqa: S606  # signals reach it directly, and nobody is left to mind two processes
        python,
        [str(python), "-m", "gunicorn", "--config", str(_INSIDE / "gunicorn_config.py"), "superset.app:create_app()"],
        variables,
    )


def _ordered(lake: Path) -> Places:
    from gpulake.lake import Layout

    layout = Layout(lake)
    if not layout.is_there():
        raise layout.no_lake()
    if layout.publication() is None:
        raise UsageError("nothing is published here yet.", where=str(lake), do="run: gpulake refresh --data DIR")
    dashboards.order(lake, tables=bundle.tables())
    return Places(lake)


def _check_free(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("127.0.0.1", port))
        except OSError as error:
            raise UsageError(
                f"127.0.0.1:{port} cannot be served: {error.strerror}.", do="choose another --port"
            ) from error


def _variables(environ: Mapping[str, str], places: Places, port: int) -> dict[str, str]:
    """What the processes inside see of ours: nothing of another Python or Superset."""
    known = {name: value for name, value in environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV", "FLASK_"))}
    return known | {
        "SUPERSET_HOME": str(places.home),
        "SUPERSET_CONFIG_PATH": str(_INSIDE / "superset_config.py"),
        "GPULAKE_PUBLICATION": str(places.publication),
        "GPULAKE_COLOURS": json.dumps(bundle.scheme()),
        "GPULAKE_PORT": str(port),
        "GPULAKE_TOLD": (
            f"open http://127.0.0.1:{port}/dashboard/list/ (user admin, password in {places.password}; Ctrl-C ends it)"
        ),
    }


def _prepare(
    python: Path, places: Places, models: Mapping[str, Model], variables: Mapping[str, str], say: Say, *, lock: int
) -> None:
    """Lay out Superset's records, user and dashboards, unless that was done for just these."""
    wanted = {
        "made_for": _digest(
            environment.REQUIREMENTS.read_bytes(),
            *(file.read_bytes() for file in sorted(_INSIDE.glob("*.py"))),
            bundle.as_json(models).encode(),
        ),
        "password": _digest(places.password.read_bytes()),
    }
    before = _read(places.prepared)
    if before == wanted and places.records.is_file():
        return
    _begin(places)
    _write_bundle(places.bundle, bundle.files(models))
    is_new = before.get("password") != wanted["password"]
    command = [str(python), str(_INSIDE / "prepare.py"), str(places.bundle), str(places.password)]
    command.append("renew" if is_new else "keep")
    with places.log.open("w", encoding="utf-8") as log:
        child = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=log,
            stdin=subprocess.DEVNULL,
            env=dict(variables),
            text=True,
            pass_fds=(lock,),  # should this process be killed, nobody else begins while the child is at work
        )
        assert child.stdout is not None
        with child, child.stdout:
            for line in child.stdout:
                if line.startswith("stage: "):
                    say(line.removeprefix("stage: ").strip())
    if child.returncode:
        raise LakeError(
            f"Superset could not be laid out: {tail(places.log)}",
            where=str(places.log),
            do=f"look there and run it again; to begin anew, delete {places.home}",
        )
    write_whole(places.prepared, json.dumps(wanted).encode())
    places.records_before.unlink(missing_ok=True)


def _begin(places: Places) -> None:
    """Have the records as they were when all was laid out last, and keep them so: Superset cannot go on with half a step."""
    if places.prepared.is_file():
        if places.records.is_file():
            unfinished = places.records_before.with_suffix(".unfinished")
            shutil.copyfile(places.records, unfinished)
            unfinished.replace(places.records_before)
        places.prepared.unlink()
        return
    for file in places.home.glob(f"{places.records.name}*"):
        if file != places.records_before:
            file.unlink()
    if places.records_before.is_file():
        shutil.copyfile(places.records_before, places.records)


def _write_bundle(folder: Path, files: Mapping[str, str]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for name, text in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


def _read(file: Path) -> dict[str, str]:
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError):
        return {}


def _digest(*parts: bytes) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()
