"""Collected from a real Prometheus: what it was given comes back value for value, through outages and limits, and no row twice."""

from __future__ import annotations

import itertools
import json
import subprocess
import threading
import time
from collections import Counter
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from gpulake import clock, lake, session
from gpulake.collecting import all_collectors
from gpulake.collecting.running import collect
from gpulake.config import Config
from gpulake.dbt.warehouse import Warehouse

pytestmark = [pytest.mark.slow, pytest.mark.prometheus]

EPOCH = datetime.fromisoformat("1970-01-01")
(COLLECTOR,) = (each for each in all_collectors() if each.name == "prometheus")
STEP_S = 30
HOUR_S = 3600
DAY_END_S = int((clock.now() - EPOCH).total_seconds() // HOUR_S * HOUR_S) - HOUR_S
DAY_START_S = DAY_END_S - 30 * HOUR_S
TIMES = range(DAY_START_S, DAY_END_S, STEP_S)
GPU_A = {
    "Hostname": "n1",
    "UUID": "GPU-a",
    "gpu": "0",
    "modelName": "NVIDIA H100 80GB HBM3",
    "pci_bus_id": "00000000:07:00.0",
}
GPU_B = {
    "Hostname": "n1",
    "UUID": "GPU-b",
    "gpu": "1",
    "modelName": "NVIDIA H100 80GB HBM3",
    "pci_bus_id": "00000000:0F:00.0",
}
MIG_7 = {**GPU_B, "GPU_I_ID": "7", "GPU_I_PROFILE": "1g.10gb"}
MIG_8 = {**GPU_B, "GPU_I_ID": "8", "GPU_I_PROFILE": "1g.10gb"}
QUIET = range(DAY_START_S + 9 * HOUR_S, DAY_START_S + 15 * HOUR_S)
"""Six hours in which the exporter of the machine n1 does not answer."""


def moment(seconds):
    return EPOCH + timedelta(seconds=seconds)


def at(number):
    """The time of a sample."""
    return DAY_START_S + number * STEP_S


def seen(seconds):
    return seconds not in QUIET


def truth():
    """Every series of thirty hours: name, labels, {second: value}. Functions of time, so that nothing must be kept."""
    dcgm, node = {"instance": "n1:9400", "job": "dcgm"}, {"instance": "10.0.0.1:9100", "job": "node"}
    times = [second for second in TIMES if seen(second)]

    def gpu(name, labels, value, kept=times):
        return name, {**dcgm, **labels}, {second: value(second) for second in kept}

    yield gpu("DCGM_FI_DEV_GPU_UTIL", GPU_A, lambda second: second // 60 % 101)
    yield gpu("DCGM_FI_DEV_POWER_USAGE", GPU_A, lambda second: 100 + second % 600 / 8)
    yield gpu(
        "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", GPU_A, lambda second: (second - DAY_START_S) * 350_000 % 4_000_000_000
    )
    yield gpu("DCGM_FI_DEV_MEMORY_TEMP", GPU_A, lambda _: 9223372036854775794)
    yield gpu("DCGM_FI_DEV_BOARD_POWER_WATTS", GPU_B, lambda second: 90 + second % 7)
    yield gpu("DCGM_FI_PROF_GR_ENGINE_ACTIVE", MIG_7, lambda second: second % 100 / 100)
    yield gpu("DCGM_FI_PROF_GR_ENGINE_ACTIVE", MIG_8, lambda second: 1 - second % 100 / 100)
    # The gauge's labels change with its value. 79 comes while nobody can ask; 48 on the border of an hour.
    for labels, code, span in (
        ({}, 0, (DAY_START_S, DAY_START_S + 5 * HOUR_S)),
        ({"err_code": "31", "err_msg": "page fault"}, 31, (DAY_START_S + 5 * HOUR_S, DAY_START_S + 10 * HOUR_S)),
        ({"err_code": "79", "err_msg": "off the bus"}, 79, (DAY_START_S + 10 * HOUR_S, DAY_START_S + 20 * HOUR_S)),
        ({"err_code": "48", "err_msg": "double bit"}, 48, (DAY_START_S + 20 * HOUR_S, DAY_END_S)),
    ):
        kept = [second for second in times if span[0] <= second < span[1]]
        yield gpu("DCGM_FI_DEV_XID_ERRORS", {**GPU_A, **labels}, lambda _, code=code: code, kept)
    yield "node_uname_info", {**node, "nodename": "n1"}, dict.fromkeys(TIMES, 1)
    yield "node_load1", node, {second: second % 8 for second in TIMES}
    yield "node_memory_MemTotal_bytes", node, dict.fromkeys(TIMES, 2 << 40)
    yield "node_memory_MemAvailable_bytes", node, dict.fromkeys(TIMES, 1 << 40)
    for cpu in "01":
        for mode, share in (("idle", 0.75), ("user", 0.25)):
            yield (
                "node_cpu_seconds_total",
                {**node, "cpu": cpu, "mode": mode},
                {second: (second - DAY_START_S) * share for second in TIMES},
            )
    for device, rate in (("eth0", 1000), ("lo", 5)):
        yield (
            "node_network_receive_bytes_total",
            {**node, "device": device},
            {second: (second - DAY_START_S) * rate for second in TIMES},
        )
    pod = {"instance": "ksm:8080", "job": "kube-state-metrics", "namespace": "ml", "pod": "train-0", "uid": "u0"}
    lives = range(DAY_START_S + 2 * HOUR_S, DAY_START_S + 8 * HOUR_S, STEP_S)
    yield "kube_pod_info", {**pod, "node": "n1"}, dict.fromkeys(lives, 1)
    yield "kube_pod_created", pod, dict.fromkeys(lives, lives[0] - 100)
    yield "kube_pod_status_scheduled_time", pod, dict.fromkeys(lives, lives[0] - 40)
    done = lives[-1] - HOUR_S
    yield "kube_pod_completion_time", pod, {second: done for second in lives if second >= done}
    for phase in ("Pending", "Running", "Succeeded"):
        is_it = {second: int(phase == ("Succeeded" if second >= done else "Running")) for second in lives}
        yield "kube_pod_status_phase", {**pod, "phase": phase}, is_it
    for resource, amount in (("nvidia_com_gpu", 2), ("cpu", 16), ("memory", 64 << 30)):
        asks = {**pod, "node": "n1", "container": "main", "resource": resource}
        yield "kube_pod_container_resource_requests", asks, dict.fromkeys(lives, amount)
    idle = {**pod, "pod": "web-0", "uid": "u1"}
    yield "kube_pod_info", {**idle, "node": "n1"}, dict.fromkeys(TIMES, 1)


def canonical(labels):
    return json.dumps(labels, sort_keys=True, separators=(",", ":"))


@pytest.fixture(scope="module")
def history(tmp_path_factory, promtool):
    """A data folder with the thirty hours, made by Prometheus' own tool."""
    folder = tmp_path_factory.mktemp("history")
    with (folder / "history.om").open("w") as file:
        for name, labels, values in truth():
            told = ",".join(f'{label}="{value}"' for label, value in labels.items())
            file.writelines(f"{name}{{{told}}} {value} {second}\n" for second, value in values.items())
        file.write("# EOF\n")
    subprocess.run(
        [promtool, "tsdb", "create-blocks-from", "openmetrics", folder / "history.om", folder / "data"],
        check=True,
        capture_output=True,
        timeout=300,
    )
    return folder


def run(config, url, **more):
    options = {"url": url, "step": more.pop("step", float(STEP_S)), "match": more.pop("match", None)}
    return collect(config, COLLECTOR, options=options, environ={}, cluster="site", wait_s=10, **more)


def rows(config, query):
    with lake.open_newest(config.lake) as reader:
        return reader.sql(query).to_pylist()


@pytest.fixture(scope="module")
def collected(history, prometheus, tmp_path_factory):
    """A lake with all of it: eleven hours first, then nobody collects for six hours, then the rest in two runs that limits cut."""
    config = Config(lake=tmp_path_factory.mktemp("lake") / "lake")
    runs = []
    with prometheus(history) as url:
        runs.append(run(config, url, since=moment(DAY_START_S), until=moment(DAY_START_S + 11 * HOUR_S)))
    port = int(url.rpartition(":")[2])
    # A server that answers little at once: the same address, so that it goes on where it was.
    with prometheus(history, port=port, more=["--query.max-samples=900"]) as url:
        runs.append(run(config, url, until=moment(DAY_END_S)))
        runs.append(run(config, url, until=moment(DAY_END_S)))
    return config, runs


def test_every_value_comes_back_and_no_row_comes_twice(collected):
    """What a fleet did must not depend on when it was asked for, nor on how much the server can answer."""
    config, runs = collected
    assert [None, None, None] == [each.error for each in runs]
    assert 0 == runs[2].deliveries
    found = Counter(
        (row["metric"], row["labels"], row["at"], row["value"], row["blank"])
        for row in rows(
            config,
            "SELECT metric, labels, epoch(sampled_at)::bigint AS at, value, blank "
            "FROM lake.main.bronze_prometheus_sample WHERE metric LIKE 'DCGM_FI_%' AND metric NOT LIKE '%_BEFORE'",
        )
    )
    expected = Counter(
        (name, canonical(labels), second, None if value > 1e18 else float(value), "blank" if value > 1e18 else None)
        for name, labels, values in truth()
        if name.startswith("DCGM_FI_")
        for second, value in values.items()
    )

    assert expected == found


def test_a_limit_of_the_server_is_met_by_shorter_spans(collected):
    """Nine hundred points at once are less than an hour of this machine."""
    _, runs = collected

    assert runs[0].deliveries < 6
    assert runs[1].deliveries > 19


@pytest.fixture(scope="module")
def staged(collected):
    """The lake with its staging models."""
    config, _ = collected
    with Warehouse(config.lake) as dbt:
        made = dbt.dbt(["run", "--quiet", "--select", "staging.prometheus"])
        assert made.ok, made.why()
    return config


def asked(config, query):
    with lake.writing(config.lake, purpose="test", tables=session.all_tables()) as writer:
        return writer.sql(query).to_pylist()


def test_the_devices_samples_are_those_that_were_given(staged):
    """Thirty hours less six, each half minute, of a GPU, of one in MIG mode and of its two instances."""
    found = asked(
        staged,
        "SELECT gpu_uuid, mig_id, count(*) AS n, count(DISTINCT sampled_at) AS moments, sum(power_w) AS power, "
        "sum(gr_engine_active_ratio) AS active, min(interval_s) AS step, max(epoch(sampled_at))::bigint AS last "
        "FROM lake.main.stg_prometheus__gpu_sample GROUP BY ALL ORDER BY ALL",
    )
    times = [second for second in TIMES if seen(second)]
    assert 24 * 120 == len(times)
    assert [("GPU-a", None), ("GPU-b", "7"), ("GPU-b", "8"), ("GPU-b", None)] == [
        (row["gpu_uuid"], row["mig_id"]) for row in found
    ]
    assert {len(times)} == {row["n"] for row in found} == {row["moments"] for row in found}
    assert [{30.0}, {TIMES[-1]}] == [{row["step"] for row in found}, {row["last"] for row in found}]
    assert sum(100 + second % 600 / 8 for second in times) == pytest.approx(found[0]["power"])
    assert sum(second % 100 / 100 for second in times) == pytest.approx(found[1]["active"])


def test_an_xid_is_an_event_on_the_border_of_a_span_and_after_an_outage_too(staged):
    """31 by day, 79 while the exporter was silent, 48 at a full hour: three events, each at the first sample that shows it."""
    found = asked(
        staged,
        "SELECT code, message, epoch(happened_at)::bigint AS at FROM lake.main.stg_prometheus__event ORDER BY happened_at",
    )

    assert [
        {"code": 31, "message": "page fault", "at": DAY_START_S + 5 * HOUR_S},
        {"code": 79, "message": "off the bus", "at": DAY_START_S + 15 * HOUR_S},
        {"code": 48, "message": "double bit", "at": DAY_START_S + 20 * HOUR_S},
    ] == found


def test_machines_and_pods_come_with_them(staged):
    """Half of two processors' time, a card's bytes without the loopback's, and the one pod that asks for GPUs."""
    machine = asked(
        staged,
        "WITH grown AS (SELECT *, cpu_busy_us - lag(cpu_busy_us) OVER told AS busy_us, cpu_total_us - lag(cpu_total_us) OVER told "
        "AS total_us, (net_rx_bytes - lag(net_rx_bytes) OVER told) / date_diff('second', lag(sampled_at) OVER told, sampled_at) "
        "AS rx FROM lake.main.stg_prometheus__machine_sample WINDOW told AS (PARTITION BY landing_id, machine_id ORDER BY sampled_at)) "
        "SELECT machine_id, count(DISTINCT sampled_at) AS n, min(100.0 * busy_us / total_us) AS low, "
        "max(100.0 * busy_us / total_us) AS high, max(rx) AS rx, max(memory_used_bytes) AS used FROM grown GROUP BY 1",
    )
    pods = asked(
        staged,
        "SELECT DISTINCT ON (job_id) i.job_id, machine_id, i.status_source, epoch(started_at)::bigint AS started, "
        "epoch(i.ended_at)::bigint AS ended, gpu_request_count AS gpus, cpu_request_cores AS cores "
        "FROM lake.main.stg_prometheus__instance AS i INNER JOIN lake.main.stg_prometheus__task AS t USING (landing_id, job_id) "
        "ORDER BY job_id, i.landing_no DESC",
    )
    lives = range(DAY_START_S + 2 * HOUR_S, DAY_START_S + 8 * HOUR_S, STEP_S)

    assert [
        {"machine_id": "n1", "n": len(TIMES), "low": 25.0, "high": 25.0, "rx": 1000.0, "used": float(1 << 40)}
    ] == machine
    assert [
        {"job_id": "ml/train-0", "machine_id": "n1", "status_source": "Succeeded", "started": lives[0] - 40,
         "ended": lives[-1] - HOUR_S, "gpus": 2.0, "cores": 16.0}
    ] == pods  # fmt: skip


# --- a server that scrapes --------------------------------------------------------------------------------------------


class Exporter:
    """An exporter of one GPU that shows the second at which it is asked; it keeps what it has shown."""

    def __init__(self):
        self.shown = []
        self.is_silent = False
        exporter = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                if exporter.is_silent:
                    self.send_error(503)
                    return
                value = time.time()
                exporter.shown.append(value)
                labels = 'gpu="0",UUID="GPU-a",Hostname="n1"'
                body = (
                    "# HELP DCGM_FI_DEV_POWER_USAGE Power draw (in W).\n# TYPE DCGM_FI_DEV_POWER_USAGE gauge\n"
                    f"DCGM_FI_DEV_POWER_USAGE{{{labels}}} {value!r}\nDCGM_FI_DEV_GPU_TEMP{{{labels}}} 9223372036854775794\n"
                ).encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def test_what_an_exporter_shows_is_what_is_collected_through_outages_of_either_side(prometheus, tmp_path):
    """Scraped each second: the exporter is silent for a while, then the server is down; later runs fetch all that was kept."""
    config, data = Config(lake=tmp_path / "lake"), tmp_path / "server"
    data.mkdir()
    with Exporter() as exporter:
        began = clock.now() - timedelta(seconds=1)
        with prometheus(data, targets=[("dcgm", exporter.address)]) as url:
            time.sleep(12)  # it begins to scrape five seconds after its start
            first = run(config, url, since=began, step=1.0)
            exporter.is_silent = True
            time.sleep(5)
            exporter.is_silent = False
            time.sleep(4)
        port = int(url.rpartition(":")[2])
        time.sleep(3)
        with prometheus(data, targets=[("dcgm", exporter.address)], port=port) as url:
            time.sleep(12)
            second = run(config, url, step=1.0)
            third = run(config, url, step=1.0)
    found = rows(
        config,
        "SELECT epoch(sampled_at) AS second, value, blank FROM lake.main.bronze_prometheus_sample "
        "WHERE metric = 'DCGM_FI_DEV_POWER_USAGE' ORDER BY second",
    )
    values = [row["value"] for row in found]

    assert [None, None, None] == [first.error, second.error, third.error]
    assert len(found) == len({row["second"] for row in found})
    assert len(values) == len(set(values)), "a value that is shown twice is older than a step"
    assert set(values) <= set(exporter.shown)
    latest = second.until and (second.until - EPOCH).total_seconds()
    kept_there = {value for value in exporter.shown if value < latest - 2}
    # On a busy machine the server now and then gives a scrape up, or makes two within a second.
    assert len(kept_there - set(values)) <= 0.2 * len(kept_there)
    assert all(-1.5 < row["second"] - row["value"] < 2.5 for row in found)
    gaps = [later - earlier for earlier, later in itertools.pairwise(values)]
    assert 2 == sum(gap > 4 for gap in gaps), gaps
    blank = rows(
        config, "SELECT DISTINCT value, blank FROM lake.main.bronze_prometheus_sample WHERE metric LIKE '%TEMP'"
    )
    assert [{"value": None, "blank": "blank"}] == blank
