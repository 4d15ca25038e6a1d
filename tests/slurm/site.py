"""A Slurm of our own on loopback: one machine that plays two nodes of four made-up GPUs each, with its accounting."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

COMMANDS = (
    "munged", "mariadb-install-db", "mariadbd", "mariadb", "slurmdbd", "slurmctld", "slurmd", "sacct", "sacctmgr",
    "scontrol", "sbatch", "scancel", "sinfo", "squeue",
)  # fmt: skip
PACKAGES = "slurmctld slurmd slurmdbd slurm-client munge mariadb-server"
GPUS_PER_NODE = 4


class NoSlurmError(Exception):
    """Why there is none here."""


def lacking() -> str:
    """Why no Slurm can be started here; nothing where one can."""
    missing = [name for name in COMMANDS if shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None]
    if missing:
        return f"not installed: {', '.join(missing)} (Debian: apt-get install {PACKAGES})"
    return "" if os.geteuid() == 0 else "slurmd and made-up devices want root"


class Site:
    """Started by `start`, ended by `stop`, by the ids of its own processes; everything lies in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.conf = folder / "etc" / "slurm.conf"
        self.environ = {
            **os.environ, "SLURM_CONF": str(self.conf), "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin", "TZ": "UTC",
        }  # fmt: skip
        self._ports = {name: _free_port() for name in ("db", "dbd", "ctl", "gpu1", "gpu2")}
        self._started: list[tuple[str, subprocess.Popen[bytes]]] = []

    def start(self) -> None:
        """Raises NoSlurmError, with the last words of what did not start."""
        for name in ("etc", "log", "state", "db", "dev", "run"):
            (self.folder / name).mkdir(parents=True)
        for number in range(2 * GPUS_PER_NODE):
            os.mknod(self.folder / "dev" / f"nvidia{number}", 0o020666, os.makedev(1, 3))
        key = self.folder / "etc" / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        run = self.folder / "run"
        self._daemon(
            "munged", "munged", "--foreground", "--force", f"--key-file={key}", f"--socket={run}/munge.socket",
            f"--pid-file={run}/munged.pid", f"--log-file={self.folder}/log/munged.log", f"--seed-file={run}/munge.seed",
        )  # fmt: skip
        self._database()
        self._configure()
        self._daemon("slurmdbd", "slurmdbd", "-D")
        self._listens("slurmdbd", "dbd")
        for words in (
            "add cluster lab",
            "add account ml",
            "add account bio",
            "add user root account=ml,bio defaultaccount=ml",
        ):
            self.run("sacctmgr", "-i", *words.split())
        self._daemon("slurmctld", "slurmctld", "-D", "-f", str(self.conf))
        self._listens("slurmctld", "ctl")
        for node in ("gpu1", "gpu2"):
            self._daemon(f"slurmd-{node}", "slurmd", "-D", "-f", str(self.conf), "-N", node)
        self.until(
            lambda: self.run("sinfo", "-h", "-N", "-o", "%T").split() == ["idle", "idle"], "the nodes are idle", 60
        )

    def stop(self) -> None:
        """End the jobs, then each process that was started, the last first."""
        subprocess.run(
            ["scancel", "--full", "--user=root"], env=self.environ, capture_output=True, check=False, timeout=30
        )
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            left = subprocess.run(["squeue", "-h"], env=self.environ, capture_output=True, check=False, timeout=30)
            if not left.stdout.strip():
                break
            time.sleep(0.3)
        for _, process in reversed(self._started):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def run(self, *command: str) -> str:
        """What a command prints; fails where it fails."""
        done = subprocess.run(command, env=self.environ, capture_output=True, check=False, timeout=60)
        printed = done.stdout.decode("utf-8", "replace")
        assert done.returncode == 0, f"{command}: {printed}{done.stderr.decode('utf-8', 'replace')}"
        return printed

    def submit(self, name: str, script: str, *options: str) -> str:
        """The number of a job that runs a script."""
        words = ["sbatch", "--parsable", f"--job-name={name}", "--output=/dev/null", *options, "--wrap", script]
        return self.run(*words).strip()

    def state(self, job: str) -> str:
        """The controller's word for a job."""
        return self.run("squeue", "-h", "--states=all", f"--jobs={job}", "-o", "%T").strip()

    @staticmethod
    def until(is_so, what: str, patience_s: float = 30) -> None:
        """Wait; fails with what was waited for."""
        deadline = time.monotonic() + patience_s
        while not is_so():
            assert time.monotonic() < deadline, f"after {patience_s} s it is still not so: {what}"
            time.sleep(0.2)

    def _database(self) -> None:
        folder, run = self.folder / "db", self.folder / "run"
        install = ["mariadb-install-db", "--no-defaults", f"--datadir={folder}", "--skip-test-db", "--user=root"]
        made = subprocess.run(
            [*install, "--auth-root-authentication-method=normal"], env=self.environ, capture_output=True, check=False
        )
        if made.returncode:
            raise NoSlurmError(f"mariadb-install-db: {made.stderr.decode('utf-8', 'replace')[-300:]}")
        self._daemon(
            "mariadbd", "mariadbd", "--no-defaults", f"--datadir={folder}", f"--socket={run}/db.sock",
            f"--port={self._ports['db']}", "--bind-address=127.0.0.1", "--user=root", f"--pid-file={run}/db.pid",
            "--innodb-buffer-pool-size=64M", "--innodb-lock-wait-timeout=900", "--innodb-flush-log-at-trx-commit=0",
        )  # fmt: skip
        users = "".join(
            f"create user 'slurm'@'{host}' identified by 'slurm'; grant all on slurm_acct.* to 'slurm'@'{host}';"
            for host in ("127.0.0.1", "localhost")
        )
        asked = ["mariadb", "--no-defaults", f"--socket={run}/db.sock", "-uroot", "-e", users]
        deadline = time.monotonic() + 30
        while subprocess.run(asked, env=self.environ, capture_output=True, check=False).returncode:
            if time.monotonic() > deadline:
                raise NoSlurmError(f"mariadbd: {self._last_words('mariadbd')}")
            time.sleep(0.2)

    def _configure(self) -> None:
        host, etc, run, ports = (
            socket.gethostname().split(".")[0],
            self.folder / "etc",
            self.folder / "run",
            self._ports,
        )
        munge = f"AuthType=auth/munge\nAuthInfo=socket={run}/munge.socket\n"
        dbd = etc / "slurmdbd.conf"
        dbd.write_text(
            f"{munge}DbdHost=localhost\nDbdAddr=127.0.0.1\nDbdPort={ports['dbd']}\nSlurmUser=root\n"
            f"StorageType=accounting_storage/mysql\nStorageHost=127.0.0.1\nStoragePort={ports['db']}\n"
            f"StorageUser=slurm\nStoragePass=slurm\nStorageLoc=slurm_acct\nLogFile={self.folder}/log/slurmdbd.log\n"
            f"PidFile={run}/slurmdbd.pid\n"
        )
        dbd.chmod(0o600)
        devices = self.folder / "dev" / "nvidia"
        (etc / "gres.conf").write_text(
            f"NodeName=gpu1 Name=gpu Type=h100 File={devices}[0-3]\nNodeName=gpu2 Name=gpu Type=h100 File={devices}[4-7]\n"
        )
        nodes = "".join(
            f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[node]} CPUs=8 RealMemory=4000 "
            f"Gres=gpu:h100:{GPUS_PER_NODE} State=UNKNOWN\n"
            for node in ("gpu1", "gpu2")
        )
        self.conf.write_text(
            f"ClusterName=lab\nSlurmctldHost={host}(127.0.0.1)\nSlurmctldPort={ports['ctl']}\nSlurmUser=root\n"
            f"SlurmdUser=root\n{munge}StateSaveLocation={self.folder}/state\nSlurmdSpoolDir={self.folder}/spool-%n\n"
            f"SlurmctldPidFile={run}/slurmctld.pid\nSlurmdPidFile={run}/slurmd-%n.pid\n"
            f"SlurmctldLogFile={self.folder}/log/slurmctld.log\nSlurmdLogFile={self.folder}/log/slurmd-%n.log\n"
            "ProctrackType=proctrack/linuxproc\nTaskPlugin=task/none\nMpiDefault=none\nReturnToService=2\nKillWait=1\n"
            "SelectType=select/cons_tres\nSelectTypeParameters=CR_Core\nMinJobAge=600\nJobRequeue=1\n"
            "SchedulerType=sched/backfill\nSchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0\n"
            "AccountingStorageType=accounting_storage/slurmdbd\nAccountingStorageHost=127.0.0.1\n"
            f"AccountingStoragePass={run}/munge.socket\nAccountingStoragePort={ports['dbd']}\n"
            "AccountingStorageTRES=gres/gpu,gres/gpu:h100\nJobAcctGatherType=jobacct_gather/none\n"
            "SlurmdParameters=config_overrides\nGresTypes=gpu\n"
            f"{nodes}PartitionName=train Nodes=gpu1,gpu2 Default=YES MaxTime=60 State=UP\n"
        )

    def _daemon(self, name: str, *command: str) -> None:
        with (self.folder / "log" / f"{name}.out").open("wb") as out:
            process = subprocess.Popen(
                command, env=self.environ, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
            )
        self._started.append((name, process))

    def _listens(self, name: str, port: str) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self._ports[port]), 0.5).close()
            except OSError:
                time.sleep(0.1)
            else:
                return
        raise NoSlurmError(f"{name}: {self._last_words(name)}")

    def _last_words(self, name: str) -> str:
        return (self.folder / "log" / f"{name}.out").read_text(errors="replace")[-300:]


def _free_port() -> int:
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return asked.getsockname()[1]
