"""What walks through the pages: `gpulake serve` as a process of its own, and a Chromium of this machine in front of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

MAIN = "import sys; from gpulake.cli import main; sys.exit(main())"
NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
WIDTHS_PX = {1280: 900, 390: 844}
"""A desk's and a phone's width, each with its height."""


def browser_there() -> str | None:
    """The Chromium of this machine, `CHROMIUM` if that is set; None where there is none."""
    named = os.environ.get("CHROMIUM")
    return named or next((found for name in NAMES if (found := shutil.which(name))), None)


@contextmanager
def serving(lake: Path, *, cwd: Path | None = None, before: object = None) -> Iterator[str]:
    """The address of `gpulake serve` over a lake, on a free port of loopback; the process ends with the block.

    `before` is called in the process before it starts: limits that the server must live with.
    """
    settings = {name: value for name, value in os.environ.items() if not name.startswith("GPULAKE_")}
    process = subprocess.Popen(
        [sys.executable, "-c", MAIN, "serve", "--lake", str(lake), "--port", "0"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=cwd, env=settings, preexec_fn=before,  # noqa: PLW1509 - a limit of the process, and no thread holds a lock
    )  # fmt: skip
    assert process.stdout is not None
    try:
        said = process.stdout.readline()
        assert said.startswith("open http://127.0.0.1:"), said + process.stdout.read()
        yield said.split()[1].rstrip("/")
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()


@contextmanager
def browsing() -> Iterator[object]:
    """A browser without a window. Raises RuntimeError where this machine has none."""
    from playwright.sync_api import sync_playwright

    program = browser_there()
    if program is None:
        raise RuntimeError("no Chromium is here. Do: apt-get install chromium, or name one: CHROMIUM=/path/to/chromium")
    with sync_playwright() as play:
        # Root has no sandbox to give, and containers little shared memory.
        browser = play.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()


class Witness:
    """All that a page did which no page may do: errors, dialogs, failed requests, requests to another host."""

    def __init__(self, page, address: str) -> None:
        self.page, self.address = page, address
        self.seen: list[str] = []
        self.expected_status: set[int] = set()
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.seen.append(f"script error: {error}"))
        page.on("dialog", self._dialog)
        page.on("request", self._request)
        page.on("requestfailed", self._failed)
        page.on("response", self._response)

    def _console(self, message) -> None:
        # What the browser says of a status code stands in `_response` too, with its address.
        if message.type in {"error", "warning"} and "the server responded with a status of" not in message.text:
            self.seen.append(f"{message.type} in the console of {self.page.url}: {message.text}")

    def _dialog(self, dialog) -> None:
        self.seen.append(f"a dialog: {dialog.message}")
        dialog.dismiss()

    def _request(self, request) -> None:
        there = urlsplit(request.url)
        if there.scheme != "data" and f"{there.scheme}://{there.netloc}" != self.address:
            self.seen.append(f"a request to another host: {request.url}")

    def _failed(self, request) -> None:
        if "ERR_ABORTED" not in (request.failure or ""):  # left behind, or a file that was saved
            self.seen.append(f"a request failed: {request.url}: {request.failure}")

    def _response(self, response) -> None:
        if response.status >= 400 and response.status not in self.expected_status:
            self.seen.append(f"{response.status} for {response.url}")


def settled(page) -> None:
    """Wait until every picture of the page is drawn."""
    page.wait_for_function(
        "() => [...document.querySelectorAll('figure.chart > .picture')].every("
        "each => !each.matches('[hidden]') && each.querySelector('svg'))"
    )


def addresses(sql) -> Mapping[str, str]:
    """An address for every kind of page, with things that have much to show; `sql` gives rows of a Publication."""
    from urllib.parse import quote

    first_cluster, *_ = found = sql(
        "select cluster_id, idle_held_gpu_h from gold_waste_window order by allocated_gpu_h desc nulls last"
    )
    cluster = next((each["cluster_id"] for each in found if each["idle_held_gpu_h"]), first_cluster["cluster_id"])
    asked = "" if cluster == first_cluster["cluster_id"] else f"?cluster={quote(cluster, safe='')}"

    def first(query):
        found = sql(query, cluster)
        return None if not found else next(iter(found[0].values()))

    day = first(
        "select date_diff('day', date '1970-01-01', dt) from gold_cluster_util_daily_scored where cluster_id = ? "
        "order by judgement = 'anomaly' desc, anomaly_score desc nulls last, dt limit 1"
    )
    user = first("select user_id from gold_user_gpu_usage_daily where cluster_id = ? and user_id is not null "
                 "group by 1 order by sum(idle_held_gpu_h) desc nulls last, 1 limit 1")  # fmt: skip
    job = first("select job_id from gold_jobs where cluster_id = ? order by idle_held_gpu_h desc nulls last, 1 limit 1")
    machine = first("select machine_id from gold_machine_util_daily where cluster_id = ? "
                    "group by 1 order by sum(idle_held_gpu_h) desc nulls last, 1 limit 1")  # fmt: skip
    incident = first("select incident_id from ops.main.gold_incidents where is_open and cluster_id = ? "
                     "order by group_id = incident_id desc, gpu_h desc nulls last, 1 limit 1")  # fmt: skip
    found = {
        "fleet": "/", "anomalies": "/anomalies", "day": f"/days/{day}", "jobs": "/jobs", "job": f"/jobs/{quote(job)}",
        "users": "/users", "user": f"/users/{quote(user)}", "groups": "/groups", "machines": "/machines",
        "machine": f"/machines/{quote(machine)}", "queue": "/queue", "cost": "/cost", "alerts": "/alerts",
        "incident": f"/alerts/{quote(incident, safe='')}" if incident else None, "data": "/data",
        "definition": "/definition/gold_jobs/efficiency_ratio",
    }  # fmt: skip
    return {name: address + asked for name, address in found.items() if address}
