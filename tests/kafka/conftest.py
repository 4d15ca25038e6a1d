"""A real Apache Kafka of one node, on loopback, with a folder and an end of its own. Maven fetches it once per clone."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"
_SMALL = ("-Xms64m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")


def _lacking(why):
    if os.environ.get("GPULAKE_MUST_KAFKA"):
        pytest.fail(why)
    pytest.skip(why)


def _found(name):
    path = shutil.which(name)
    if path is None:
        _lacking(
            f"no {name} on this machine (Debian: apt-get install --no-install-recommends maven default-jre-headless)"
        )
    return path


@pytest.fixture(scope="session")
def kafka_jars():
    """The folder of Kafka's libraries, fetched where they are not here yet."""
    _found("java")
    pom = HERE / "pom.xml"
    folder = ROOT / ".tools" / "kafka" / hashlib.sha256(pom.read_bytes()).hexdigest()[:16]
    if not folder.is_dir():
        unfinished = folder.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        command = [_found("mvn"), "-q", "-B", "-ntp", "-f", str(pom), PLUGIN, f"-DoutputDirectory={unfinished}"]
        for attempt in range(3):  # a registry that does not answer may do so the next time
            try:
                done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
            except subprocess.TimeoutExpired:
                continue
            if done.returncode == 0:
                unfinished.rename(folder)
                break
            time.sleep(5 * attempt)
        else:
            _lacking("Maven could not fetch Apache Kafka")
    return folder


def free_ports(count):
    taken = [socket.socket() for _ in range(count)]
    try:
        for each in taken:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in taken]
    finally:
        for each in taken:
            each.close()


class Broker:
    """One node that is broker and controller. It can be stopped and started again."""

    def __init__(self, folder: Path, jars: Path) -> None:
        self._folder = folder
        self._java = ["java", *_SMALL, "-cp", f"{jars}/*"]
        self._process = None
        port, guarded, controller = free_ports(3)
        self.address = f"127.0.0.1:{port}"
        self.guarded_address = f"127.0.0.1:{guarded}"
        """Where it lets in nobody but the user `reader` with the password `right`."""
        self._settings = folder / "server.properties"
        self._settings.write_text(
            "process.roles=broker,controller\nnode.id=1\ncontroller.listener.names=CONTROLLER\n"
            f"listeners=PLAINTEXT://{self.address},SASL_PLAINTEXT://{self.guarded_address},"
            f"CONTROLLER://127.0.0.1:{controller}\n"
            "listener.security.protocol.map="
            "PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT\n"
            "sasl.enabled.mechanisms=PLAIN\nlistener.name.sasl_plaintext.plain.sasl.jaas.config="
            'org.apache.kafka.common.security.plain.PlainLoginModule required user_reader="right";\n'
            f"controller.quorum.bootstrap.servers=127.0.0.1:{controller}\nlog.dirs={folder / 'data'}\n"
            "offsets.topic.replication.factor=1\noffsets.topic.num.partitions=1\ngroup.initial.rebalance.delay.ms=0\n"
            "transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n"
            "message.max.bytes=12000000\nreplica.fetch.max.bytes=12000000\nauto.create.topics.enable=false\n"
        )
        name = subprocess.run(
            [*self._java, "kafka.tools.StorageTool", "random-uuid"], capture_output=True, text=True, check=True
        ).stdout.strip()
        subprocess.run(
            [*self._java, "kafka.tools.StorageTool", "format", "--standalone", "-t", name, "-c", str(self._settings)],
            capture_output=True,
            check=True,
        )

    def start(self) -> None:
        """Start it and wait until it answers."""
        with (self._folder / "kafka.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._java, "kafka.Kafka", str(self._settings)], stdout=log, stderr=log, cwd=self._folder
            )
        from confluent_kafka.admin import AdminClient

        asked = AdminClient({"bootstrap.servers": self.address, "log_level": 0, "error_cb": lambda _error: None})
        for _ in range(240):
            if self._process.poll() is not None:
                break
            try:
                asked.list_topics(timeout=0.5)
            except Exception:  # noqa: BLE001  # whatever it says: it does not answer yet
                time.sleep(0.25)
            else:
                return
        pytest.fail(f"Kafka did not start: {(self._folder / 'kafka.log').read_text()[-2000:]}")

    def stop(self) -> None:
        """Let it end, or end it."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None


@pytest.fixture(scope="session")
def broker(tmp_path_factory, kafka_jars):
    """A broker that runs for all tests of this folder."""
    one = Broker(tmp_path_factory.mktemp("kafka"), kafka_jars)
    one.start()
    yield one
    one.stop()
