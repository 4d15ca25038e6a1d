"""Delivery as a whole: killed processes, a hundred thousand findings, and the chain from a fault to the word that it is over."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gpulake import config as configs
from gpulake import incidents
from gpulake.findings import Finding, Severity, State
from gpulake.incidents import records
from gpulake.lake import writing
from gpulake.tables import CLUSTERS

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))
from receivers import Receiver, smtp  # beside the unit tests

H = timedelta(hours=1)
T0 = datetime(2026, 3, 2, tzinfo=UTC).replace(tzinfo=None)

TELL = """
import json, sys
from datetime import datetime, timedelta
from pathlib import Path
from gpulake import config, incidents
from gpulake.findings import Finding, Severity, State
from gpulake.lake import writing
folder, hours = Path(sys.argv[1]), int(sys.argv[2])
now = datetime(2026, 3, 2) + timedelta(hours=hours)
findings = [
    Finding("hot", (("cluster_id", "c"), ("machine_id", f"m{n}")), State.FIRING, now, now - timedelta(hours=3 * n),
            Severity.PAGE, title=f"m{n} is hot", machines=(f"m{n}",))
    for n in range(12)
]
with writing(folder / "lake", purpose="test", wait_s=10) as writer:
    print("begun", flush=True)
    told = incidents.tell(writer, findings, config=config.load({}, lake=folder / "lake", folder=folder), now=now)
print(json.dumps(told.as_json()), flush=True)
"""


def set_up(folder, settings):
    (folder / "gpulake.toml").write_text(settings)
    with writing(folder / "lake", purpose="test") as writer:
        writer.insert(CLUSTERS, [("c", "pai2020", "UTC", "real", "gpu_model", T0)])
        clear = Finding("hot", (("cluster_id", "c"), ("machine_id", "m")), State.CLEAR, T0)
        incidents.tell(writer, [clear], config=configs.load({}, lake=folder / "lake", folder=folder), now=T0)


def start(folder, hours=1):
    return subprocess.Popen([sys.executable, "-c", TELL, str(folder), str(hours)], stdout=subprocess.PIPE, text=True)


def waiting(folder):
    with writing(folder / "lake", purpose="test", wait_s=10) as writer:
        return len(records.waiting(writer))


@pytest.mark.slow
def test_killed_anywhere_no_page_is_lost_and_none_is_doubled(tmp_path):
    """SIGKILL at random moments: what a service confirmed is never sent again, and at the end everything was sent."""
    dice = random.Random(int(os.environ.get("SEED", "7")))
    with Receiver() as service:
        set_up(tmp_path, f'[channels.duty]\nurl = "http://127.0.0.1:{service.port}/"\n'
                         '[audiences.operators]\nchannels = ["duty"]\n')  # fmt: skip
        kills = 0
        for _ in range(12):
            child = start(tmp_path)
            child.stdout.readline()
            time.sleep(dice.uniform(0.0, 0.7))
            if child.poll() is None:
                child.send_signal(signal.SIGKILL)
                kills += 1
            child.communicate()
        last = start(tmp_path)
        told = json.loads(last.communicate(timeout=60)[0].splitlines()[-1])
        assert (0, 0) == (told["queued"], told["failed"])

    times = Counter(body["notice_id"] for body in service.bodies)
    assert 12 == len(times)
    assert kills > 3
    doubled = {name for name, count in times.items() if count > 1}
    repeated = {body["notice_id"] for body in service.bodies if "second time" in body["text"]}
    # Only what was in flight when the process was killed may come twice, and then it says so.
    assert doubled <= repeated
    assert len(repeated) <= kills
    assert 0 == waiting(tmp_path)


@pytest.mark.slow
def test_killed_in_flight_a_page_meets_its_first_try(tmp_path):
    """PagerDuty joins both under one key: one incident there, whichever of the two arrived."""
    with Receiver("hang") as service:
        set_up(tmp_path, f'[channels.duty]\nurl = "pagerduty://KEY@127.0.0.1:{service.port}/v2/enqueue"\n'
                         '[audiences.operators]\nchannels = ["duty"]\n')  # fmt: skip
        child = start(tmp_path)
        deadline = time.monotonic() + 30
        while not service.got and time.monotonic() < deadline:
            time.sleep(0.02)
        child.kill()
        child.communicate()
        start(tmp_path).communicate(timeout=60)

    keys = Counter(body["dedup_key"] for body in service.bodies)
    assert (12, [2]) == (len(keys), [count for count in keys.values() if count > 1])
    assert not any("second time" in json.dumps(body) for body in service.bodies)


@pytest.mark.slow
def test_a_hundred_thousand_findings_are_one_mail(tmp_path):
    """A misspelt threshold: calm, in seconds, in one notice; and the next run over the same is as calm."""
    many = [
        Finding("waste", (("cluster_id", "c"), ("user_id", f"u{n}")), State.FIRING, T0 + H, T0, Severity.TICKET,
                title=f"u{n} wastes GPUs", gpu_h=float(n))
        for n in range(100_000)
    ]  # fmt: skip
    with smtp() as box:
        set_up(tmp_path, f'[channels.mail]\nurl = "mailto://127.0.0.1:{box.port}?from=a@example.org&to=b@example.org&mode=insecure"\n'
                         '[audiences.operators]\nchannels = ["mail"]\n')  # fmt: skip
        config = configs.load({}, lake=tmp_path / "lake", folder=tmp_path)
        began = time.monotonic()
        with writing(tmp_path / "lake", purpose="test") as writer:
            told = incidents.tell(writer, many, config=config, now=T0 + H)
            first_s = time.monotonic() - began
            again = incidents.tell(writer, many, config=config, now=T0 + H)
    print(f"100,000 findings: {first_s:.1f} s, again {time.monotonic() - began - first_s:.1f} s")

    assert (100_000, 1, 100_000) == (told.opened, told.sent, told.open_now)
    assert (0, 0, 0) == (again.opened, again.updated, again.sent)
    (letter,) = box.letters
    assert "u99999 wastes GPUs" in letter[2]
    assert "99,999 more" in letter[2]
    assert len(letter[2]) < 50_000
    assert first_s < 120


@pytest.mark.slow
def test_the_inbox_from_the_command_line(refreshed, cli, tmp_path):
    """Open, acknowledged while somebody else may be writing, done by the next writer, silenced, over."""
    import shutil

    folder, _, _ = refreshed
    shutil.copytree(folder / "lake", tmp_path / "lake")
    at = datetime.now(UTC).replace(tzinfo=None)
    with Receiver() as service:
        (tmp_path / "gpulake.toml").write_text(
            f'[channels.duty]\nurl = "pagerduty://${{KEY}}@127.0.0.1:{service.port}/v2/enqueue"\n'
            '[audiences.operators]\nchannels = ["duty"]\n'
        )
        environ = {**os.environ, "KEY": "S3cr3tKey"}

        def run(*args):
            return cli(*args, "--lake", tmp_path / "lake", cwd=tmp_path, env=environ)

        assert "nothing is open\n" == run("alerts", "list").stdout
        config = configs.load({"KEY": "S3cr3tKey"}, lake=tmp_path / "lake", folder=tmp_path)
        with writing(tmp_path / "lake", purpose="test") as writer:
            fault = Finding("stale", (("table_name", "t"),), State.FIRING, at, at, title="t has stopped coming")
            incidents.tell(writer, [fault], config=config, now=at)
        (incident,) = json.loads(run("alerts", "list", "--json").stdout)["incidents"]
        name = incident["incident_id"]

        asked = run("alerts", "ack", name[:6], "--by", "ann", "--note", "on it")
        assert asked.stdout.startswith(f"queued: acknowledge {name}, by ann.")
        assert "acknowledge queued" in run("alerts", "list").stdout
        assert "did what was asked: 1 request" in run("alerts", "send").stdout
        shown = run("alerts", "show", name).stdout
        assert "acknowledge by ann on it · told: acknowledged" in shown
        assert 0 == run("alerts", "silence", name, "--for", "2h").returncode
        assert 0 == run("alerts", "resolve", name).returncode
        assert "1 resolved" in run("alerts", "send").stdout
        assert "nothing is open\n" == run("alerts", "list").stdout
        assert name[:8] in run("alerts", "list", "--all").stdout
        digest = run("alerts", "digest")
        assert "Nothing is open any more." in digest.stdout

        for wrong, code in (("zzz", 2), (name, 2)):
            refused = run("alerts", "ack", wrong)
            assert (code, "") == (refused.returncode, refused.stdout)
            assert "gpulake alerts list" in refused.stderr
        assert 2 == run("alerts", "silence", name, "--for", "soon").returncode
        for told in (asked, digest, run("alerts", "show", name, "--json")):
            assert "S3cr3tKey" not in told.stdout + told.stderr
    assert ["trigger", "acknowledge", "resolve"] == [body["event_action"] for body in service.bodies]


def test_alerts_of_no_lake(gpulake_json, tmp_path):
    """A wrong folder is a usage error with a next step, not a traceback."""
    for command in (["list"], ["show", "x"], ["ack", "x"], ["send"]):
        code, told = gpulake_json("alerts", *command, "--lake", tmp_path / "none")
        assert (2, "there is no such folder.") == (code, told["error"]["what"])
