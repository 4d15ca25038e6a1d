"""A stream lands, and a refresh follows it: what is new is published, judged and told, with its age; killed or ended, the lake is whole."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from types import SimpleNamespace

import httpx
import pytest

from gpulake import upkeep
from gpulake.cli.words import text_of
from gpulake.clock import now
from gpulake.config import load
from gpulake.lake import open_publication
from gpulake.serve import create_app
from gpulake.transports.spool import SpoolOutlet

pytestmark = pytest.mark.slow

_MAIN = "import sys; from gpulake.cli import main; sys.exit(main())"
_DAY_S = 86_400
_TOPIC = "events.pai_machine_metric"
_POISON = 100
"""As many as the rule about a growing quarantine asks for."""


@contextmanager
def running(*words):
    """A command in a process of its own; it is killed if it still runs in the end."""
    process = subprocess.Popen(
        [sys.executable, "-c", _MAIN, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def ended(process):
    """What a command answers that is asked to end."""
    process.send_signal(signal.SIGTERM)
    out, errors = process.communicate(timeout=120)
    assert 0 == process.returncode, errors
    return json.loads(out)


def until(what, *running_ones):
    deadline = time.monotonic() + 240
    while not (found := what()):
        for one in running_ones:
            assert one.poll() is None, one.communicate()
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
    return found


def days_of(lake):
    with open_publication(lake) as reader:
        return [row["day"] for row in reader.sql("SELECT dt::varchar AS day FROM gold_cluster_util_daily").to_pylist()]


@pytest.fixture
def followed(refreshed, tmp_path):
    """A copy of a lake of ten days, and a folder that stands for a broker."""
    lake = tmp_path / "lake"
    shutil.copytree(refreshed[0] / "lake", lake)
    outlet = SpoolOutlet(tmp_path / "spool", partitions=2)

    def send(day, *, poison=0):
        """Ten hours of both machines on one more day."""
        for machine in ("0123456789abcdef01234567", "89abcdef0123456789abcdef"):
            start = day * _DAY_S
            row = {"worker_name": f"{day:02d}{machine}".ljust(60, "c"), "machine": machine, "start_time": start,
                   "end_time": start + 36_000, "machine_gpu": 45.0, "machine_cpu": 24.0}  # fmt: skip
            outlet.send(_TOPIC, [(machine.encode(), json.dumps(row).encode())])
        outlet.send(_TOPIC, [(b"", b"{broken %d" % number) for number in range(poison)])
        outlet.flush()

    stream = ("stream", "pai2020", "--from", tmp_path / "spool", "--lake", lake, "--batch-seconds", "0.2",
              "--wait", "60", "--json")  # fmt: skip
    follow = ("refresh", "--follow", "1", "--lake", lake, "--json")
    return SimpleNamespace(lake=lake, send=send, stream=stream, follow=follow)


def test_what_streams_in_is_published_judged_and_told_and_a_kill_leaves_it_whole(followed):
    """The figures minutes after the fact: without this, following is a promise that nothing holds to."""
    lake = followed.lake
    with running(*followed.stream) as streaming:
        with running(*followed.follow) as following:
            for day, date in ((30, "1970-01-31"), (31, "1970-02-01")):
                followed.send(day, poison=_POISON if day == 31 else 0)
                until(lambda date=date: date in days_of(lake), streaming, following)
            until(lambda: _told(lake), streaming, following)
            status = upkeep.status(lake)
            done = ended(following)
        assert done["publications"] >= 2
        assert (0, None) == (done["failures"], done["error"])
        assert done["last_build"] == status.publication.build_id
        # The worst of them is what people waited for: from the landing to the publication
        assert 0 < done["freshness_s"] <= done["slowest_s"] < 120
        assert status.publication.waited_s == done["freshness_s"]
        assert " after the first of it landed" in text_of(status)
        assert ["pai_machine_metric is refused"] == [title[-29:] for title in _told(lake)]
        assert " after the first of what it adds had landed" in _page(lake)

        with running(*followed.follow) as following:
            followed.send(32)
            # In the middle of a round: the lock says who holds it, and nothing of that day is published yet
            until(lambda: f"pid {following.pid}: refresh" in (lake / "catalog.lock").read_text(), following)
            until(lambda: upkeep.status(lake).pending_landings, following)
            until(lambda: f"pid {following.pid}: refresh" in (lake / "catalog.lock").read_text(), following)
            os.kill(following.pid, signal.SIGKILL)
        assert () == upkeep.verify(lake, now=now()).faults
        with running(*followed.follow) as following:
            until(lambda: "1970-02-02" in days_of(lake), streaming, following)
            ended(following)
        landed = ended(streaming)
    assert (6, _POISON, 0) == (landed["rows_kept"], landed["rows_refused"], landed["lag"])
    assert () == upkeep.verify(lake, now=now()).faults


def _told(lake):
    """The titles of what people were told of the quarantine."""
    with open_publication(lake) as reader:
        asked = "SELECT title FROM ops.meta.alert_events WHERE rule = 'quarantine_growth' AND kind = 'open'"
        return [row["title"] for row in reader.sql(asked).to_pylist()]


def _page(lake):
    async def visit():
        app = httpx.ASGITransport(app=create_app(load({}, lake=lake)))
        async with httpx.AsyncClient(transport=app, base_url="http://localhost") as visitor:
            return (await visitor.get("/data")).text

    return asyncio.run(visit())
