"""One lake with much to see and a server over it, a browser, and pages that report what no page may do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.browser.walker import MAIN, Witness, addresses, browser_there, browsing, serving, settled

from gpulake.lake import open_publication

SIMULATE = ("--scale", "0.015", "--days", "46", "--seed", "42", "--faults")
"""More than a month of a small fleet whose faults are flagged."""


def gpulake(*args, check=True):
    """The command line, as a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", MAIN, *map(str, args)], capture_output=True, text=True, check=False
    )  # fmt: skip
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="session")
def typed():
    """Runs the command line."""
    return gpulake


@pytest.fixture(scope="session")
def lake(tmp_path_factory):
    """The lake's folder; GPULAKE_BROWSER_LAKE names one that is there already, to try things out. Nobody writes to it."""
    if named := os.environ.get("GPULAKE_BROWSER_LAKE"):
        return Path(named)
    folder = tmp_path_factory.mktemp("walked")
    gpulake("simulate", "pai2020", *SIMULATE, "--out", folder / "trace")
    gpulake("refresh", "--data", folder / "trace", "--lake", folder / "lake")
    return folder / "lake"


@pytest.fixture(scope="session")
def sql(lake):
    """Rows of the lake, as dictionaries: what pages are compared with."""
    with open_publication(lake) as reader:
        yield lambda query, *params: reader.sql(query, params).to_pylist()


@pytest.fixture(scope="session")
def shown_pages(sql):
    """An address for every kind of page, by its name."""
    return addresses(sql)


@pytest.fixture(scope="session")
def site(lake):
    """The address of the server over the shared lake."""
    with serving(lake) as address:
        yield address


@pytest.fixture(scope="session")
def browser():
    """The browser; the build server must have one, elsewhere these tests are skipped without it."""
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        reason = "Playwright is not installed. Do: scripts/setup browser"
    else:
        reason = "" if browser_there() else "no Chromium is here. Do: apt-get install chromium, or set CHROMIUM"
    if reason:
        (pytest.fail if os.environ.get("GPULAKE_MUST_BROWSE") else pytest.skip)(reason)
    with browsing() as found:
        yield found


@pytest.fixture
def tab(browser, site):
    """Opens pages of a size and a colour scheme; each is watched, and what it may not do fails the test at its end."""
    opened = []

    def open_tab(*, width=1280, height=900, address=site, **settings):
        context = browser.new_context(viewport={"width": width, "height": height}, **settings)
        context.set_default_timeout(20_000)
        page = context.new_page()
        opened.append((context, Witness(page, address)))
        page.witness = opened[-1][1]
        page.visit = lambda path: (page.goto(address + path), settled(page))[0]
        return page

    yield open_tab
    seen = [each for _, witness in opened for each in witness.seen]
    for context, _ in opened:
        context.close()
    assert not seen
