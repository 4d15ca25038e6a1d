"""Your cluster in ten minutes: the page's commands, typed as they stand in an empty folder, at a real Slurm and a real Prometheus.

It comes after the other tests of this Slurm by its name: they count its jobs.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import UTC
from pathlib import Path

import pytest
from tests.prometheus.conftest import prometheus, prometheus_binary, promtool

from gpulake import clock
from gpulake.lake import open_publication

__all__ = ["prometheus", "prometheus_binary", "promtool"]  # fixtures of another folder

pytestmark = [pytest.mark.slow, pytest.mark.slurm]

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "your-cluster.md"
ADDRESS = "http://prometheus:9090"
GAUGES = {
    "DCGM_FI_DEV_GPU_UTIL": 50, "DCGM_FI_DEV_FB_USED": 1000, "DCGM_FI_DEV_FB_FREE": 80_000,
    "DCGM_FI_DEV_POWER_USAGE": 300, "DCGM_FI_DEV_GPU_TEMP": 60, "DCGM_FI_DEV_CLOCK_THROTTLE_REASONS": 0,
    "DCGM_FI_DEV_ECC_DBE_VOL_TOTAL": 0, "DCGM_FI_DEV_XID_ERRORS": 0,
}  # fmt: skip


def blocks(language):
    found = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [line for spoken, block in found if spoken == language for line in block.splitlines() if line.strip()]


@pytest.fixture
def server(tmp_path, prometheus, promtool):
    """A Prometheus that knows a GPU of each node, for an hour and until now."""
    until = int(clock.now().replace(tzinfo=UTC).timestamp())
    folder = tmp_path / "server"
    folder.mkdir()
    with (folder / "history.om").open("w") as file:
        for name, value in {**GAUGES, "node_load1": 1}.items():
            for node in ("gpu1", "gpu2"):
                labels = f'Hostname="{node}",UUID="GPU-{node}",gpu="0",modelName="NVIDIA H100 80GB HBM3"'
                told = labels if name.startswith("DCGM") else f'instance="{node}:9100",nodename="{node}"'
                file.writelines(f"{name}{{{told}}} {value} {at}\n" for at in range(until - 3600, until + 1, 30))
        file.write("# EOF\n")
    made = [promtool, "tsdb", "create-blocks-from", "openmetrics", folder / "history.om", folder / "data"]
    subprocess.run(made, check=True, capture_output=True, timeout=60)
    with prometheus(folder) as url:
        yield url


class Reader:
    """Somebody in an empty folder, who types."""

    def __init__(self, folder, environ):
        self.folder = folder
        folder.mkdir()
        self.environ = {name: value for name, value in environ.items() if not name.startswith("GPULAKE_")}
        self.environ |= {"PATH": f"{sys.prefix}/bin:{environ['PATH']}", "TZ": "Europe/Berlin"}

    def type(self, line):
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=self.folder, env=self.environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert 0 == done.returncode, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout

    def answer(self, line, answers):
        """Type a line at a terminal, and answer what is asked."""
        here, there = os.openpty()
        os.write(here, "".join(f"{each}\n" for each in answers).encode())
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=self.folder,
            env=self.environ,
            stdin=there,
            capture_output=True,
            text=True,
            check=False,
        )
        os.close(here)
        os.close(there)
        assert 0 == done.returncode, f"{line}\n{done.stdout}{done.stderr}"


def test_the_page_works_as_it_is_typed(site, server, tmp_path):
    """The first ten minutes of somebody with a cluster: what the page says is all that is needed."""
    job = site.submit("first", "sleep 1", "--gres=gpu:h100:1")
    asks, says, looks, *reads = blocks("")
    (every_five_minutes,) = blocks("text")
    reader = Reader(tmp_path / "mine", site.environ)
    site.until(lambda: site.state(job) == "COMPLETED", "the job has ended", 60)

    reader.answer(asks, ["site", "", "y", "", server, "prices.csv"])
    answered = (reader.folder / "gpulake.toml").read_text()
    (reader.folder / "gpulake.toml").unlink()
    reader.type(says.replace(ADDRESS, server))
    assert answered == (reader.folder / "gpulake.toml").read_text(), "the page says: in a script say the same"

    looked = reader.type(looks)
    assert ["nothing has been collected from it yet"] * 2 == re.findall(
        r"^warn +(?:\w+  )?(.*)", looked, re.MULTILINE
    ), looked
    printed = {line: reader.type(line) for line in reads if line != "gpulake serve"}
    assert len(reads) == len(printed) + 1
    reader.type(every_five_minutes.partition("&& ")[2])

    assert "2 machines, as gpu1" in looked
    assert "site" in printed["gpulake report"]
    assert "GPU health" in printed["gpulake report health"]
    assert "all is well" in reader.type(looks)
    with open_publication(reader.folder / "lake") as lake:
        (run,) = lake.sql("select job_status from silver_jobs where recurrence_id = 'root/first'").to_pylist()
        gpus = lake.sql(
            "select distinct machine_id, gpu_model from silver_gpus where gpu_uuid like 'GPU-gpu_'"
        ).to_pylist()
    assert "succeeded" == run["job_status"]
    assert {("gpu1", "NVIDIA H100-SXM5-80GB"), ("gpu2", "NVIDIA H100-SXM5-80GB")} == {
        tuple(gpu.values()) for gpu in gpus
    }
