"""`gpulake doctor`: each thing that keeps figures away is one line with what to do, and one that fails sets the exit code."""

from __future__ import annotations

import json
import shutil
import threading
from contextlib import contextmanager
from datetime import timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.unit.collecting.test_kernel import Machine
from tests.unit.collecting.test_nvml import FakeNvml

from gpulake import clock
from gpulake.cli import main
from gpulake.collecting import Asked, all_collectors
from gpulake.collecting.slurm import FIELDS
from gpulake.config import ClusterSettings, Config
from gpulake.doctor import State, all_checks, kernel, nvml
from gpulake.doctor.examining import examine
from gpulake.errors import SourceError

CONFIG = "AccountingStorageType = accounting_storage/slurmdbd\nAccountingStorageTRES   = cpu,mem,gres/gpu\nPrivateData             = none\n"
NODES = "NodeName=n1 CPUTot=8 Gres=gpu:h100:4\nNodeName=n2 CPUTot=8 Gres=(null)\n"
ALL_METRICS = (
    "DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_FB_USED", "DCGM_FI_DEV_POWER_USAGE", "DCGM_FI_DEV_GPU_TEMP",
    "DCGM_FI_DEV_CLOCK_THROTTLE_REASONS", "DCGM_FI_DEV_ECC_DBE_VOL_TOTAL", "DCGM_FI_DEV_XID_ERRORS", "node_load1",
)  # fmt: skip


def slurm(folder, **changed):
    """A folder of Slurm's commands; `changed` are bodies that stand for those of a healthy site."""
    folder.mkdir()
    for tool in ("cat", "env", "sh"):
        (folder / tool).symlink_to(shutil.which(tool))
    for name, text in (("config", CONFIG), ("nodes", NODES), ("fields", " ".join(FIELDS))):
        (folder / f"{name}.text").write_text(changed.get(name, text))
    bodies = {
        "sacct": f'case "$*" in *version*) echo slurm 23.11.4;; *helpformat*) cat {folder}/fields.text;; *) {changed.get("jobs", "echo ada; echo bob; echo ada")};; esac',
        "scontrol": f'case "$2" in config) cat {folder}/config.text;; *) cat {folder}/nodes.text;; esac',
        "sacctmgr": "true",
        "through": 'shift; exec "$@"',
        "date": f"echo {changed.get('seconds', 0)}",
    }
    for name, body in bodies.items():
        if name not in changed.get("without", ()):
            (folder / name).write_text(f"#!/bin/sh\n{changed.get(name, body)}\n")
            (folder / name).chmod(0o755)
    return {"PATH": str(folder)}


@contextmanager
def prometheus(*, metrics=ALL_METRICS, host="n1", age_s=10, ahead_s=0.0, body=None, status=200):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            query = parse_qs(urlsplit(self.path).query).get("query", [""])[0]
            if "__name__)" in query:
                rows = [({"__name__": name}, 1) for name in metrics]
            elif "Hostname" in query:
                rows = [({"Hostname": host} if host else {}, 8)]
            else:
                rows = [({}, age_s)]
            result = [{"metric": labels, "value": [0, str(value)]} for labels, value in rows]
            reply = body if body is not None else json.dumps({"status": "success", "data": {"result": result}})
            self.send_response_only(status)
            shown = clock.now() + timedelta(seconds=ahead_s)
            self.send_header("Date", format_datetime(shown).replace("-0000", "GMT"))
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply.encode())

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def found(folder, collect, environ=None):
    """What is said of the sources alone, and the exit code."""
    config = Config(lake=folder / "lake", clusters={"c": ClusterSettings("UTC")}, collect=collect)
    diagnosis = examine(lambda: config, environ=environ or {"PATH": ""})
    told = [each for of, each in diagnosis.found if of in collect]
    return {
        each.what: (each.state.value, each.do) for each in told
    }, diagnosis.error.exit_code if diagnosis.error else 0


def told(found, words):
    (what,) = [what for what in found if words in what]
    return found[what]


def test_every_collector_has_its_checks():
    """A source that nobody can look at fails at night."""
    assert {collector.name for collector in all_collectors()} == set(all_checks())


def test_a_healthy_slurm_has_nothing_to_do_but_to_be_collected(tmp_path):
    """A doctor that warns of a healthy site is not asked again."""
    environ = slurm(tmp_path / "bin")
    lines, code = found(tmp_path, {"slurm": {"cluster": "c"}}, environ)

    assert 0 == code
    assert ["nothing has been collected from it yet"] == [what for what, (state, _) in lines.items() if state != "ok"]
    assert {"sacct is there (slurm 23.11.4)", "3 jobs of 2 users in the last day", "1 of 2 nodes have GPUs"} <= set(
        lines
    )


@pytest.mark.parametrize(
    ("changed", "words", "state", "do"),
    [
        ({"without": ["sacct"]}, "sacct is not found", "fail", "--via"),
        ({"sacct": "echo 'Could not establish a configuration source' >&2; exit 1"}, "configuration source", "fail", "slurm.conf"),
        ({"sacctmgr": "echo 'Access denied' >&2; exit 1"}, "when nodes were down is not told", "warn", "Operator"),
        ({"fields": " ".join(FIELDS).replace("State", "")}, "does not know State", "fail", "20.11"),
        ({"fields": " ".join(FIELDS).replace("DBIndex", "")}, "does not know DBIndex: they stay null", "warn", "newer"),
        ({"config": CONFIG.replace("slurmdbd", "none")}, "keeps no accounting", "fail", "slurmdbd"),
        ({"config": CONFIG.replace(",gres/gpu", "")}, "does not account GPUs", "warn", "AccountingStorageTRES=gres/gpu"),
        ({"config": CONFIG.replace("= none", "= usage,jobs")}, "jobs to their owners only", "warn", "AdminLevel=Operator"),
        ({"jobs": "true"}, "no job in the last day", "warn", "right to see all"),
        ({"nodes": "NodeName=n2 CPUTot=8 Gres=(null)\n"}, "none of 1 nodes has a GPU", "warn", "GresTypes=gpu"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_slurm_is_told_with_what_to_do(tmp_path, changed, words, state, do):
    """Each of these leaves figures out without an error."""
    lines, code = found(tmp_path, {"slurm": {"cluster": "c"}}, slurm(tmp_path / "bin", **changed))

    assert (state, 10 if state == "fail" else 0) == (told(lines, words)[0], code)
    assert do in told(lines, words)[1]


def test_a_slurm_whose_clock_is_two_hours_off_is_told(tmp_path):
    """Jobs and samples would meet two hours apart."""
    seconds = int((clock.now() - clock.now().replace(1970, 1, 1, 0, 0, 0, 0)).total_seconds()) + 7200
    collect = {"slurm": {"cluster": "c", "via": "through it"}}
    lines, _ = found(tmp_path, collect, slurm(tmp_path / "bin", seconds=seconds))
    state, do = told(lines, "its clock is 7,")
    assert ("warn", True) == (state, "NTP" in do)

    lines, code = found(tmp_path, collect, slurm(tmp_path / "other", seconds="welcome"))
    assert (10, "fail") == (code, told(lines, "date says 'welcome' there")[0])


def test_a_healthy_prometheus_has_nothing_to_do(tmp_path):
    """As for Slurm."""
    with prometheus() as url:
        lines, code = found(tmp_path, {"prometheus": {"cluster": "c", "url": url}})

    assert 0 == code
    assert ["nothing has been collected from it yet"] == [what for what, (state, _) in lines.items() if state != "ok"]
    assert {"1 machine, as n1", "its newest sample is 10 s old"} <= set(lines)


@pytest.mark.parametrize(
    ("server", "words", "state", "do"),
    [
        ({"ahead_s": 7200}, "its clock is 7,", "warn", "NTP"),
        ({"metrics": ("node_load1",)}, "nothing of dcgm-exporter", "fail", "dcgm-exporter"),
        ({"metrics": ALL_METRICS[1:]}, "it has no use of GPUs", "warn", "DCGM_FI_PROF_GR_ENGINE_ACTIVE"),
        ({"metrics": ALL_METRICS[:-1]}, "nothing of node_exporter", "warn", "node_exporter"),
        ({"host": None}, "name no machine", "warn", "NODE_NAME"),
        ({"age_s": 7200}, "its newest sample is 120 min old", "warn", "up"),
        ({"age_s": "NaN"}, "how new its samples are is not known", "warn", "timestamp"),
        ({"body": "<html>login</html>"}, "a page for people", "fail", "login"),
        ({"status": 401}, "refuses us (401)", "fail", "GPULAKE_PROMETHEUS_TOKEN"),
        ({"body": '{"status":"success","data":{"result":[1]}}'}, "no reply of Prometheus", "fail", "what answers"),
        ({"body": '{"status":"success","da'}, "or the half of one", "fail", "what answers"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_prometheus_is_told_with_what_to_do(tmp_path, server, words, state, do):
    """A figure that is missing must be missed before it is asked for."""
    with prometheus(**server) as url:
        lines, code = found(tmp_path, {"prometheus": {"cluster": "c", "url": url}})

    assert (state, 10 if state == "fail" else 0) == (told(lines, words)[0], code)
    assert do in told(lines, words)[1]


def test_gpus_of_this_machine():
    """A GPU that has fallen off the bus is a failure, what a card has none of is said once."""
    asked = Asked("c", clock.now(), {}, {}, {})

    assert [(State.OK, "2 GPUs")] == [(each.state, each.what) for each in nvml.look(asked, nvml=FakeNvml())]
    (_, lost) = nvml.look(asked, nvml=FakeNvml(lost=[1]))
    assert (State.FAIL, 10) == (lost.state, lost.error.exit_code)
    assert "GPU 1 does not answer" in lost.what
    with pytest.raises(SourceError, match="driver does not answer"):
        list(nvml.look(asked, nvml=FakeNvml(driver=False)))
    with pytest.raises(SourceError, match="sees no GPU"):
        list(nvml.look(asked, nvml=FakeNvml(gpus=0)))


def test_the_kernel_of_this_machine():
    """Who may not read it would find a quiet machine."""
    asked = Asked("c", clock.now(), {}, {}, {})

    def looked(**has):
        return [each.what for each in kernel.look(asked, host=Machine(**has).host)]

    assert ["the journal may be read"] == looked(journal=[b"{}"])
    assert ["the journal may be read, and holds nothing of the kernel"] == looked(journal=[])
    assert looked(ring=[b"[    1.0] a", b"[    2.0] b"])[0].startswith("dmesg may be read: 2 lines")
    for has, words in (({}, "neither a journalctl nor a dmesg"), ({"journal": SourceError("denied")}, "denied")):
        with pytest.raises(SourceError, match=words):
            looked(**has)


def test_settings_that_cannot_be_meant_are_told_of_their_source(tmp_path):
    """A slip in the settings must not be an exception, nor hide the other sources."""
    lines, code = found(tmp_path, {"prometheus": {"urk": "x"}, "slrum": {}})

    assert 2 == code
    assert "use: cluster, match, step, url" == told(lines, "urk is no setting of this collector")[1]
    assert "slurm" in told(lines, "there is no collector 'slrum'")[1]


def test_a_bad_file_of_settings_or_prices_and_a_lake_that_cannot_be_are_told(tmp_path, monkeypatch, capsys):
    """One JSON object, whatever is broken, and the exit code of the first failure."""
    monkeypatch.chdir(tmp_path)
    settings = tmp_path / "gpulake.toml"

    def diagnosed():
        code = main(["doctor", "--json"])
        told = json.loads(capsys.readouterr().out)
        return code, [(each["of"], each["what"]) for each in told["checks"] if each["state"] == "fail"]

    assert (0, []) == diagnosed()
    settings.write_text("laek = 1\n")
    assert (2, [("settings", f"unknown setting 'laek' ({settings})")]) == diagnosed()
    settings.write_text('prices = "p.csv"\n')
    (tmp_path / "p.csv").write_text("gpu_model,usd_per_gpu_h\nH100,-1\n")
    assert (2, [("settings", f"-1 is no price of a GPU-hour ({tmp_path / 'p.csv'}:2)")]) == diagnosed()
    settings.write_text('lake = "file/lake"\n')
    (tmp_path / "file").write_text("")
    assert (15, [("lake", f"the lake's folder cannot be written ({tmp_path / 'file'})")]) == diagnosed()
    assert 15 == main(["doctor"])
    assert "FAIL  lake" in capsys.readouterr().out
    assert not (tmp_path / "lake").exists()
