"""One published lake for all pages' tests, with names that nobody should trust, and the pages of it on loopback."""

from __future__ import annotations

import socket
import threading
import time

import httpx
import pytest

from gpulake.cli import main
from gpulake.config import load
from gpulake.lake import open_publication
from gpulake.serve import create_app

HOSTILE = (
    '<script>alert("x")</script>',
    "' OR 1=1 --",
    "a/b?c=d&e#f%20g",
    "\N{RIGHT-TO-LEFT OVERRIDE}gnp.exe",
    "\N{PILE OF POO} line",
)
"""Users whose names are markup, SQL, an address, and text that runs the other way."""


def _make(folder, pai):
    simulate = [
        "simulate",
        "pai2020",
        "--scale",
        "0.006",
        "--days",
        "16",
        "--seed",
        "5",
        "--out",
        str(folder / "trace"),
    ]
    assert main(simulate) == 0
    jobs = (folder / "trace" / "pai_job_table.csv").read_text().splitlines()
    # Their jobs stand in no other table: they asked, and nothing is known of what they held.
    first = min(float(line.split(",")[4]) for line in jobs if line.split(",")[4])
    with (folder / "trace" / "pai_job_table.csv").open("a") as file:
        for no, name in enumerate(HOSTILE):
            quoted = '"' + name.replace('"', '""') + '"'
            file.write(
                f"{pai.name24(900 + no)},{pai.name60(900 + no)},{quoted},Failed,{first + 3600 * no},{first + 3600 * (no + 1)}\n"
            )
    assert main(["refresh", "--data", str(folder / "trace"), "--lake", str(folder / "lake")]) == 0


@pytest.fixture(scope="session")
def lake(made_once, pai):
    """The lake's folder; nobody writes to it."""
    return made_once("pages", lambda folder: _make(folder, pai)) / "lake"


@pytest.fixture(scope="session")
def sql(lake):
    """Rows of the lake, as dictionaries: what pages are compared with."""
    with open_publication(lake) as reader:
        yield lambda query, *params: reader.sql(query, params).to_pylist()


class Server:
    """The pages of one lake on a free port of loopback, until it is stopped."""

    def __init__(self, folder, **settings):
        import uvicorn

        self.socket = socket.create_server(("127.0.0.1", 0))
        app = create_app(load({}, lake=folder), **settings)
        self.newest = app.state.newest
        self.server = uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False))
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.socket]}, daemon=True)
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)
        self.address = "http://{}:{}".format(*self.socket.getsockname())

    def stop(self):
        self.server.should_exit = True
        self.thread.join(10)
        self.newest.close()
        self.socket.close()


@pytest.fixture(scope="session")
def served():
    """Starts servers over any lake; all end with the tests."""
    servers = []

    def start(folder, **settings):
        servers.append(Server(folder, **settings))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(scope="session")
def site(lake, served):
    """A visitor of the shared lake's pages."""
    with httpx.Client(base_url=served(lake).address, timeout=30) as client:
        yield client
