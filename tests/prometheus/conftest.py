"""A real Prometheus of this machine, on loopback, with a configuration, a data folder and an end of its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest


def _found(name):
    path = shutil.which(name)
    if path is None:
        why = f"no {name} on this machine (Debian, Ubuntu: apt-get install --no-install-recommends prometheus)"
        if os.environ.get("GPULAKE_MUST_COLLECT"):
            pytest.fail(why)
        pytest.skip(why)
    return path


@pytest.fixture(scope="session")
def prometheus_binary():
    return _found("prometheus")


@pytest.fixture(scope="session")
def promtool():
    return _found("promtool")


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@pytest.fixture(scope="session")
def prometheus(prometheus_binary):
    """Starts a server on a data folder, with what it scrapes; gives its address, and ends it."""

    @contextmanager
    def started(folder: Path, *, targets=(), every_s=1, port=None, more=()):
        port = port or free_port()
        scrapes = "".join(
            f"  - job_name: {job}\n    static_configs:\n      - targets: ['{target}']\n" for job, target in targets
        )
        config = folder / "prometheus.yml"
        config.write_text(
            f"global:\n  scrape_interval: {every_s}s\n  scrape_timeout: {every_s}s\n"
            + (f"scrape_configs:\n{scrapes}" if scrapes else "")
        )
        log = (folder / "prometheus.log").open("ab")
        process = subprocess.Popen(
            [
                prometheus_binary,
                f"--config.file={config}",
                f"--storage.tsdb.path={folder / 'data'}",
                "--storage.tsdb.retention.time=90d",
                f"--web.listen-address=127.0.0.1:{port}",
                *more,
            ],
            stdout=log,
            stderr=log,
        )
        url = f"http://127.0.0.1:{port}"
        try:
            _wait_until_ready(url, process, folder / "prometheus.log")
            yield url
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            log.close()

    return started


def _wait_until_ready(url, process, log):
    for _ in range(300):
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{url}/-/ready", timeout=2) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            pass
        time.sleep(0.1)
    pytest.fail(f"Prometheus did not start: {log.read_text()[-2000:]}")
