"""What tests of every kind share: lines of a PAI delivery from small numbers, and where the real pieces lie."""

from __future__ import annotations

import ctypes
import fcntl
import gzip
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parents[1]
REAL = ROOT.parent / "shared" / "data" / "alibaba-pai-2020"
REAL_GENAI = REAL.with_name("alibaba-genai-2026")
FIXTURES = Path(__file__).parent / "fixtures" / "pai2020"
sys.path.insert(0, str(Path(__file__).parent / "oracle"))

# A shell that starts the tests in the background has Ctrl-C ignored: a test that presses it would wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_MAIN = "import sys; from gpulake.cli import main; sys.exit(main())"
_PR_CAPBSET_DROP, _CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 24, 1, 2


def name24(number):
    return f"{number:024x}"


def name60(number):
    return f"{number:060x}"


def job(number, *, status="Terminated", start="100000.0", end="103600.0", user=7):
    return f"{name24(number)},{name60(number)},{user:012x},{status},{start},{end}"


def task(number, *, name="worker", inst_num="1.0", status="Terminated", start="100000.0", end="103600.0",
         cpu="600.0", mem="29.296875", gpu="50.0", gpu_type="T4"):  # fmt: skip
    return f"{name24(number)},{name},{inst_num},{status},{start},{end},{cpu},{mem},{gpu},{gpu_type}"


def instance(number, *, attempt=None, name="worker", status="Terminated", start="100060.0", end="103600.0", machine=1):
    worker = "" if attempt == "" else name60(1000 + (number if attempt is None else attempt))
    where = "" if machine is None else name24(machine)
    return f"{name24(number)},{name},{name60(2000 + number)},{worker},{name60(number)},{status},{start},{end},{where}"


def metric(worker, *, machine=1, start=100000, end=103600, gpu="50.0", cpu="20.0,4.0,0.0", total="24.0"):
    usr, kernel, iowait = cpu.split(",")
    where = "" if machine is None else name24(machine)
    return f"{name60(worker)},{where},{start},{end},{iowait},{kernel},{usr},{gpu},12.5,1000.0,3.0,{total}"


def spec(machine, *, gpu_type="T4", gpus="2.0", cores="96.0"):
    return f"{name24(machine)},{gpu_type},{cores},512.0,{gpus}"


def sensor(number, *, worker=None, machine=1):
    worker = name60(1000 + (number if worker is None else worker))
    return (
        f"{name24(number)},worker,{worker},{name60(number)},{name24(machine)},/dev/nvidia0,"
        "250.0,31.5,4.5,6.0,2.25,3.0,1000.0,2000.0,10.0,20.0"
    )


def group_tag(number, *, user=7, wish="", group="ab12", workload=""):
    return f"{name60(number)},{user:012x},{wish},{group},{workload}"


def write(file, lines, *, end="\n"):
    """Write lines as a delivery and give its path."""
    file = Path(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes((end.join(lines) + end).encode())
    return file


def tar(file, members):
    """Write a .tar.gz of (name, bytes) and give its path."""
    with tarfile.open(file, "w:gz") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return Path(file)


def gz(file, content):
    """Write a gzipped file and give its path."""
    Path(file).write_bytes(gzip.compress(content))
    return Path(file)


@pytest.fixture(scope="session")
def pai():
    """Builders of lines and files: numbers in, the publisher's exact text out."""
    return SimpleNamespace(
        name24=name24, name60=name60, job=job, task=task, instance=instance, metric=metric, spec=spec, sensor=sensor,
        group_tag=group_tag, write=write, tar=tar, gz=gz,
    )  # fmt: skip


@pytest.fixture(scope="session")
def real_trace():
    """The real pieces of the trace, where this machine has them beside the repository."""
    if not REAL.is_dir():
        pytest.skip(f"the real pieces of the trace are not here: {REAL}")
    return REAL


@pytest.fixture(scope="session")
def real_genai():
    """The real samples of the GenAI serving trace, where this machine has them beside the repository."""
    if not REAL_GENAI.is_dir():
        pytest.skip(f"the real samples of the GenAI trace are not here: {REAL_GENAI}")
    return REAL_GENAI


@pytest.fixture(scope="session")
def pai_fixtures():
    """The fifty licensed rows and the hand-written oddities, in git."""
    return FIXTURES


@pytest.fixture(scope="session")
def made_once(tmp_path_factory):
    """Gives a folder that a function fills: once for all processes of a test run, by whichever comes first. Nobody writes to it."""
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own

    def make(name, fill):
        folder = shared / name
        folder.mkdir(exist_ok=True)
        with (shared / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (shared / f"{name}.complete").exists():
                fill(folder)
                (shared / f"{name}.complete").touch()
        return folder

    return make


_TELL_OF_LANDINGS = {"gold_data_freshness", "gold_quarantine_daily"}


@pytest.fixture(scope="session")
def published_rows():
    """Every row of every silver and gold table, by a function that gives a query's rows: what must be the same however the
    lake came to be. Lineage is left out, and so are the tables that tell when something landed.
    """

    def read(sql):
        names = sql(
            "SELECT table_name FROM information_schema.tables WHERE table_catalog = 'lake' AND table_schema = 'main' "
            "AND regexp_matches(table_name, '^(silver|gold)_')"
        )
        columns = "COLUMNS(name -> name NOT IN ('build_id', 'landing_id', 'landing_no', 'source_row'))"
        found = {
            name: sorted(map(repr, sql(f'SELECT {columns} FROM lake.main."{name}"')))
            for name in sorted({row["table_name"] for row in names} - _TELL_OF_LANDINGS)
        }
        assert len(found) > 30
        return found

    return read


def _without_superpowers():
    """Make root obey permissions, as everybody else must; others cannot and need not drop anything."""
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in (_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH):
        libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)


@pytest.fixture(scope="session")
def mortal_gpulake():
    """The command line in a process that file permissions bind, also where the tests run as root."""

    def run(*args, cwd=None):
        return subprocess.run(
            [sys.executable, "-c", _MAIN, *map(str, args)],
            capture_output=True, text=True, check=False, preexec_fn=_without_superpowers, cwd=cwd,
        )  # fmt: skip

    return run


@pytest.fixture
def gpulake_json(capsys):
    """The command line in this process, with --json: its exit code and the one object it printed."""

    def run(*args):
        from gpulake.cli import main

        hook = sys.excepthook
        try:
            code = main([*map(str, args), "--json"])
        finally:
            sys.excepthook = hook
        printed = capsys.readouterr().out
        assert 1 == printed.count("\n"), printed
        return code, json.loads(printed)

    return run
