"""The refresh under Prefect: against a real server that the test starts, and with none."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("prefect")
pytestmark = pytest.mark.slow

QUIET = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "240",
}
STEPS = ["alert", "build", "detect", "land", "publish"]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """The environment of a Prefect of the test's own, with its database laid out."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    env |= QUIET | {"PREFECT_HOME": str(tmp_path_factory.mktemp("prefect"))}
    subprocess.run([prefect(), "server", "database", "upgrade", "-y"], env=env, check=True, capture_output=True)
    return env


@contextmanager
def serving(env):
    """A server on a free port of loopback; ended by its process group."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [prefect(), "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    server = subprocess.Popen(
        command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    api = f"http://127.0.0.1:{port}/api"
    try:
        for _ in range(480):
            try:
                urllib.request.urlopen(f"{api}/health", timeout=5).close()
                break
            except OSError:
                assert server.poll() is None, "the server ended"
                time.sleep(0.25)
        yield api
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def prefect():
    return str(Path(sys.executable).with_name("prefect"))


def ask(api, path, **body):
    """The answer to one POST of Prefect's API."""
    request = urllib.request.Request(
        f"{api}/{path}", data=json.dumps(body).encode(), headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as reply:
        return json.load(reply)


def runs_of(api):
    return ask(api, "flow_runs/filter", sort="EXPECTED_START_TIME_ASC")


def rows_by(cli, lake):
    """What gives the rows of a query, by the command line."""

    def sql(query):
        done = cli("sql", "--lake", lake, "--json", query)
        assert 0 == done.returncode, done.stderr or done.stdout
        return json.loads(done.stdout)

    return sql


def test_a_flow_run_is_on_record_and_equals_a_refresh(refreshed, cli, home, tmp_path, published_rows):
    """The UI shows the run with a task and a table per step, and people read the same figures either way."""
    folder, answer, _ = refreshed
    with serving(home) as api:
        done = cli("flow", "--data", folder / "trace", "--lake", tmp_path / "lake", "--json",
                   env=home | {"PREFECT_API_URL": api})  # fmt: skip
        assert 0 == done.returncode, done.stderr
        again = cli("flow", "--data", folder / "trace", "--lake", tmp_path / "lake", "--json",
                    env=home | {"PREFECT_API_URL": api})  # fmt: skip
        first, second = runs_of(api)
        flow = ask(api, "flows/filter")
        tasks = ask(api, "task_runs/filter", flow_runs={"id": {"any_": [first["id"]]}})
        later_tasks = ask(api, "task_runs/filter", flow_runs={"id": {"any_": [second["id"]]}})
        artifacts = ask(api, "artifacts/filter", artifacts={"flow_run_id": {"any_": [first["id"]]}})

    result = json.loads(done.stdout)
    assert ["gpu_telemetry_full_refresh"] == [each["name"] for each in flow]
    assert ("COMPLETED", "every data test passed") == (first["state"]["type"], first["state"]["message"])
    assert STEPS == sorted(task["name"].partition("-")[0] for task in tasks)
    assert {"COMPLETED"} == {task["state"]["type"] for task in tasks}
    tables = {artifact["key"]: json.loads(artifact["data"]) for artifact in artifacts}
    assert ["gpulake-alerts", "gpulake-built", "gpulake-judged", "gpulake-landed", "gpulake-published"] == sorted(
        tables
    )
    kept = {row["table"]: row["kept"] for row in tables["gpulake-landed"] if row["outcome"] == "landed"}
    assert (2, 20) == (kept["pai_machine_spec"], kept["pai_machine_metric"])
    assert answer["build"]["rows"] == {row["table"]: row["rows"] for row in tables["gpulake-built"]}

    assert answer.keys() == result.keys()
    expected, found = (published_rows(rows_by(cli, lake)) for lake in (folder / "lake", tmp_path / "lake"))
    assert expected == found

    nothing = json.loads(again.stdout)
    assert ("nothing is new since the last publication", None) == (nothing["why"], nothing["build"])
    assert "nothing is new since the last publication" == second["state"]["message"]
    assert ["alert", "build", "land"] == sorted(task["name"].partition("-")[0] for task in later_tasks)


def test_a_schedule_runs_the_flow(refreshed, home, tmp_path):
    """A schedule that makes no run, or runs that cannot start, would wait for ever, and nobody would hear of it."""
    folder, _, _ = refreshed
    script = tmp_path / "refresh_on_schedule.py"
    script.write_text(SCHEDULED.format(data=folder / "trace", lake=tmp_path / "lake"))
    with serving(home) as api, (tmp_path / "log").open("wb") as log:
        served = subprocess.Popen(
            [sys.executable, script], env=home | {"PREFECT_API_URL": api}, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            deadline = time.monotonic() + 240
            while not (ended := ended_runs(api)) and time.monotonic() < deadline:
                time.sleep(1)
        finally:
            served.terminate()
            served.wait(60)

    assert {"every data test passed"} == {run["state"]["message"] for run in ended}, (tmp_path / "log").read_text()


SCHEDULED = """
from gpulake.flows import gpu_telemetry_full_refresh

if __name__ == "__main__":
    gpu_telemetry_full_refresh.serve(
        name="each-minute", cron="* * * * *", parameters={{"data": "{data}", "lake": "{lake}"}}
    )
"""


def ended_runs(api):
    kinds = ["COMPLETED", "FAILED", "CRASHED"]
    served = {"state": {"type": {"any_": kinds}}, "deployment_id": {"is_null_": False}}
    return ask(api, "flow_runs/filter", flow_runs=served)


def test_a_flow_needs_no_server(refreshed, cli, home, tmp_path):
    """With nothing running, the flow starts what it needs, ends it, and prints one JSON object."""
    folder, answer, _ = refreshed
    done = cli("flow", "--data", folder / "trace", "--lake", tmp_path / "lake", "--json", env=home)

    assert 0 == done.returncode, done.stderr
    assert 1 == done.stdout.count("\n")
    assert answer["build"]["rows"] == json.loads(done.stdout)["build"]["rows"]


def test_a_refused_file_fails_the_run_and_the_rest_is_published(refreshed, cli, home, tmp_path):
    """Whoever watches the UI sees the run red, with the words and the exit code of a refresh."""
    folder, _, _ = refreshed
    data = tmp_path / "trace"
    data.mkdir()
    for name in ("pai_machine_spec.csv", "pai_machine_metric.csv"):
        (data / name).write_bytes((folder / "trace" / name).read_bytes())
    (data / "pai_job_table.csv").touch()
    done = cli("flow", "--data", data, "--lake", tmp_path / "lake", "--json", env=home)

    result = json.loads(done.stdout)
    assert (10, True) == (done.returncode, result["published"])
    assert "SourceError" == result["error"]["kind"]
    assert "Failed('the file is empty." in done.stderr or 'Failed("the file is empty.' in done.stderr
