"""Slurm's commands, asked: what is new is handed out once, and what goes wrong is said in one line."""

from __future__ import annotations

import shutil
import stat
import time
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest

from gpulake.collecting import Asked, read_options
from gpulake.collecting.slurm import COLLECTOR, FIELDS
from gpulake.errors import SourceError, UsageError
from gpulake.sources.parsing import slurm_jobs, slurm_nodes, slurm_placements

NOW = datetime(2026, 3, 2, 12)  # noqa: DTZ001
UNIT = "\x1f"
EVENTS = "Cluster|NodeName|TimeStart|TimeEnd|State|Reason|User\nc||1772000000|Unknown||Cluster Registered TRES|\n"
DOWN = "c|n1|1772359200|1772362800|DOWN*|Not responding|slurm(0)\n"
NODES = "NodeName=n2 CPUTot=8 CPULoad=1.0 Gres=gpu:h100:4 RealMemory=4000 State=IDLE CfgTRES=cpu=8,gres/gpu=4\nNodeName=n1 CPUTot=8 CPULoad=2.0 Gres=gpu:h100:4 RealMemory=4000 State=DOWN\n"
RUNNING = """JobId=7 JobName=train
   UserId=ada(1000) GroupId=ml(1)
   JobState=RUNNING Reason=None
   SubmitTime=1772359200 EligibleTime=1772359200
   StartTime=1772359210 EndTime=1772445610 Deadline=N/A
   Comment=secret
   NodeList=n1
     Nodes=n1 CPU_IDs=0-3 Mem=0 GRES=gpu:h100:2(IDX:0-1)

JobId=8 JobName=done
   UserId=ada(1000) GroupId=ml(1)
   JobState=COMPLETED Reason=None
   SubmitTime=1772359200 EligibleTime=1772359200
     Nodes=n1 CPU_IDs=0-3 Mem=0 GRES=
"""


def record(**values) -> str:
    known = {
        "JobID": "7", "JobIDRaw": values.get("JobID", "7"), "User": "ada", "State": "COMPLETED", "Submit": "1772359200",
        "Eligible": values.get("Submit", "1772359200"), "Start": "1772359210", "End": "1772362800", "ElapsedRaw": "3590",
        "NodeList": "n1", "AllocTRES": "cpu=4,gres/gpu=2,node=1", "Cluster": "c",
    }  # fmt: skip
    return UNIT.join((known | values).get(name, "") for name in FIELDS)


HEADER = UNIT.join(FIELDS)


class Site:
    """A folder of commands that answer as they are told, and note how they were called."""

    def __init__(self, folder):
        self.folder = folder
        self.calls = folder / "calls"
        self.path = f"{folder}:{folder / 'tools'}"
        (folder / "tools").mkdir()
        for tool in ("cat", "env", "sh", "sleep"):  # without the Slurm that this machine may have
            (folder / "tools" / tool).symlink_to(shutil.which(tool))
        self.says("sacct", HEADER + "\n")
        self.says("sacctmgr", EVENTS)
        self.script("scontrol", f'case "$2" in node) cat {folder}/nodes;; job) cat {folder}/jobs;; esac')
        (folder / "nodes").write_text(NODES)
        (folder / "jobs").write_text(RUNNING)

    def script(self, name, body):
        file = self.folder / name
        file.write_text(f'#!/bin/sh\necho "{name} $SLURM_TIME_FORMAT $*" >> {self.calls}\n{body}\n')
        file.chmod(file.stat().st_mode | stat.S_IXUSR)

    def says(self, name, text, *, also="", code=0):
        (self.folder / f"{name}.text").write_bytes(text if isinstance(text, bytes) else text.encode())
        self.script(name, f"{also}\ncat {self.folder}/{name}.text\nexit {code}")

    def called(self, name):
        return (
            [line for line in self.calls.read_text().splitlines() if line.startswith(name)]
            if self.calls.exists()
            else []
        )

    def asked(self, cursor=None, **more):
        options = read_options(COLLECTOR, more.pop("options", {"timeout": "20"}))
        environ = {"PATH": self.path}
        return Asked(cluster="c", now=NOW, cursor=cursor or {}, options=options, environ=environ, **more)

    def run(self, cursor=None, **more):
        """What was handed out, by its beginning; the last cursor; and the error."""
        told, error = [], None
        handed = COLLECTOR.collect(self.asked(cursor, **more))
        try:
            while True:
                told.append(next(handed))
        except StopIteration:
            pass
        except SourceError as failed:
            error = failed
        files = {each.file_name.partition("-")[0]: each.content for each in told if each.content is not None}
        return files, (told[-1].cursor if told else cursor), error


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


def jobs(content):
    frame = pl.concat(slurm_jobs.sacct_rows([content], "f"))
    assert [None] == frame["reason"].unique().to_list()
    return frame


def test_everything_is_handed_out_once(site):
    """A run every ten minutes must not land the same jobs again."""
    site.says("sacct", f"{HEADER}\n{record()}\n{record(JobID='8', State='RUNNING', End='Unknown', ElapsedRaw='60')}\n")
    files, cursor, error = site.run(since=NOW - timedelta(hours=6))

    assert error is None
    assert ["sacct", "sacctmgr_show_event", "scontrol_show_job", "scontrol_show_node"] == sorted(files)
    assert ["7", "8"] == jobs(files["sacct"])["jobid"].to_list()
    site.says("sacct", f"{HEADER}\n{record()}\n{record(JobID='8', State='RUNNING', End='Unknown', ElapsedRaw='660')}\n")
    (site.folder / "nodes").write_text(NODES.replace("2.0", "7.5").replace("IDLE", "MIXED"))
    again, cursor, error = site.run(cursor)
    assert ({}, None) == (again, error)

    site.says("sacct", f"{HEADER}\n{record()}\n{record(JobID='8', End='1772365000', ElapsedRaw='700')}\n")
    site.says("sacctmgr", EVENTS + DOWN)
    (site.folder / "nodes").write_text(NODES.replace("gpu:h100:4", "gpu:h100:3"))
    more, _, _ = site.run(cursor)
    assert ["8"] == jobs(more["sacct"])["jobid"].to_list()
    outages = pl.concat(slurm_nodes.event_rows([more["sacctmgr_show_event"]], "f"))
    assert [("n1", "DOWN*", "1772359200", "1772362800")] == outages.select("node", "state", "from_at", "to_at").rows()
    (nodes,) = slurm_nodes.scontrol_rows([more["scontrol_show_node"]], "f")
    assert [("n1", 3.0), ("n2", 3.0)] == nodes.select("node", "gpus").rows()
    assert "scontrol_show_job" not in more


def test_what_is_asked_is_told_by_no_clock_of_ours(site):
    """A clock two hours off, or a site in another zone, must not move the window; seconds since 1970 are no local times."""
    site.run(since=NOW - timedelta(hours=6))
    (call,) = site.called("sacct ")

    assert call.startswith("sacct %s ")
    assert "--starttime=now-21600seconds --endtime=now+365days" in call
    assert "--duplicates" in call
    assert "--allusers" in call


def test_a_long_time_is_asked_for_in_parts(site):
    """A year in one answer would be neither resumed nor shown to go on."""
    handed = list(COLLECTOR.collect(site.asked(since=NOW - timedelta(days=10))))
    windows = [(each.since, each.until) for each in handed if each.since]

    assert 8 == len(windows) == len(site.called("sacct "))
    assert (NOW - timedelta(days=10), NOW) == (windows[0][0], windows[-1][1])
    assert all(end == start for (_, end), (start, _) in pairwise(windows))
    assert [end.isoformat() for _, end in windows] == [each.cursor["until"] for each in handed if each.since]


def test_the_earlier_attempts_of_a_requeued_job_come_with_it(site):
    """The submission of a job is that of its first attempt, which may lie before what is asked for."""
    second = record(JobID="9", Submit="1772362800", Eligible="1772362921", Start="1772363000", End="1772364000")
    first = record(JobID="9", State="REQUEUED", End="1772362800")
    site.script(
        "sacct",
        f"printf '%s\\n' '{HEADER}'\ncase \"$*\" in *--jobs=9*) printf '%s\\n' '{first}';; esac\nprintf '%s\\n' '{second}'",
    )
    files, _, _ = site.run(since=NOW - timedelta(hours=6))

    assert [("9", "COMPLETED"), ("9", "REQUEUED")] == sorted(jobs(files["sacct"]).select("jobid", "state").rows())


def test_devices_are_told_of_what_runs_and_nothing_else_of_it(site):
    """What people write into comments is not ours to keep."""
    files, _, _ = site.run(since=NOW - timedelta(hours=6))
    (frame,) = slurm_placements.job_rows([files["scontrol_show_job"]], "f")

    assert b"secret" not in files["scontrol_show_job"]
    assert [("7", "ada", "n1", 0.0), ("7", "ada", "n1", 1.0)] == frame.select(
        "jobid", "user", "node", "gpu_index"
    ).rows()
    assert [None, None] == frame["end"].to_list()


def test_a_warning_before_the_table_is_no_row(site):
    """Some sites' sacct complains first, and on the wrong channel."""
    site.says("sacct", f"sacct: warning: slurmdbd is slow\n{HEADER}\n{record()}\n", also="echo 'and here' >&2")
    files, _, error = site.run(since=NOW - timedelta(hours=6))

    assert error is None
    assert ["7"] == jobs(files["sacct"])["jobid"].to_list()


def test_line_breaks_and_bytes_of_any_kind_stay_in_their_record(site):
    """A job's name is what its user typed."""
    odd = record(JobName="two\nlines | of it").encode() + b"\n" + record(JobID="8", JobName="caf\xe9").encode("latin1")
    site.says("sacct", HEADER.encode() + b"\n" + odd + b"\n")
    files, _, _ = site.run(since=NOW - timedelta(hours=6))

    assert [("7", "two\nlines | of it"), ("8", "caf\ufffd")] == jobs(files["sacct"]).select("jobid", "jobname").rows()


def test_a_field_that_this_slurm_does_not_know_is_left_out(site):
    """Fields come and go with Slurm's versions."""
    without = [name for name in FIELDS if name != "DBIndex"]
    fields = UNIT.join(without)
    row = UNIT.join(value for name, value in zip(FIELDS, record().split(UNIT), strict=True) if name != "DBIndex")
    site.script(
        "sacct",
        'case "$*" in *DBIndex*) echo \'sacct: error: Invalid field requested: "DBIndex"\' >&2; exit 1;; esac\n'
        f"printf '%s\\n' '{fields}' '{row}'",
    )
    files, _, error = site.run(since=NOW - timedelta(hours=6))

    assert error is None
    assert ["7"] == jobs(files["sacct"])["jobid"].to_list()


@pytest.mark.parametrize(
    ("body", "what", "do"),
    [
        (
            "echo 'sacct: error: Access denied' >&2; exit 1",
            "sacct failed with code 1: sacct: error: Access denied",
            "Operator",
        ),
        (
            "echo 'Slurm accounting storage is disabled' >&2; exit 1",
            "accounting storage is disabled",
            "AccountingStorageType",
        ),
        (
            "echo 'sacct: error: slurm_persist_conn_open: Connection refused' >&2; exit 1",
            "Connection refused",
            "slurmdbd",
        ),
        ("echo 'command not found' >&2; exit 127", "sacct is not found", "--via"),
        ("exit 3", "sacct failed with code 3: it said nothing", "by hand"),
        ("echo '<html>proxy</html>'", "sacct printed no table, but '<html>proxy</html>'", "by hand"),
        ("true", "sacct printed nothing, not even a header", "by hand"),
    ],
)
def test_what_goes_wrong_is_one_clear_line(site, body, what, do):
    """Whoever is called at night reads one line, and what to do."""
    site.script("sacct", body)
    files, _, error = site.run(since=NOW - timedelta(hours=6))

    assert 10 == error.exit_code
    assert what in error.what
    assert do in error.do
    assert error.where.startswith("sacct")
    assert {} == files


def test_a_command_that_is_not_there(site):
    """On a machine without Slurm: say where to go."""
    (site.folder / "sacct").unlink()
    _, _, error = site.run(since=NOW - timedelta(hours=6))

    assert ("sacct is not found.", 10) == (error.what, error.exit_code)


def test_a_command_that_may_not_be_started(site):
    """Some sites give sacct to administrators only."""
    (site.folder / "sacct").chmod(0o644)
    _, _, error = site.run(since=NOW - timedelta(hours=6))

    assert ("sacct cannot be started: Permission denied.", 10) == (error.what, error.exit_code)
    assert "--via" in error.do


def test_a_command_that_hangs_is_ended_with_its_children(site):
    """A run that waits for ever is a run that nobody looks at."""
    site.script("sacct", f"sleep 60 & echo $! > {site.folder}/child\nwait")
    began = time.monotonic()
    _, _, error = site.run(since=NOW - timedelta(hours=6), options={"timeout": "0.3"})

    assert "sacct did not answer within 0 s." == error.what
    assert time.monotonic() - began < 5
    child = int((site.folder / "child").read_text())
    told = Path(f"/proc/{child}/stat")
    for _ in range(100):
        if not told.exists() or told.read_text().split()[2] == "Z":
            break
        time.sleep(0.02)
    else:
        pytest.fail("the child of the command goes on")


def test_jobs_land_where_only_the_rest_is_denied(site):
    """A user without rights to outages still gets his jobs, and the line that says what is missing."""
    site.says("sacct", f"{HEADER}\n{record()}\n")
    site.script("sacctmgr", "echo 'sacctmgr: error: Access/permission denied' >&2; exit 1")
    files, cursor, error = site.run(since=NOW - timedelta(hours=6))

    assert ["sacct", "scontrol_show_job", "scontrol_show_node"] == sorted(files)
    assert "sacctmgr failed" in error.what
    assert NOW.isoformat() == cursor["until"]


def test_commands_can_be_run_through_another(site):
    """Where sacct is on a login node only."""
    site.script("through", 'shift\nexec "$@"')
    site.script("ssh", 'shift\nexec sh -c "$*"')
    for via in ("through there", "ssh login1"):
        site.says("sacct", f"{HEADER}\n{record(JobName='it is')}\n")
        files, _, error = site.run(since=NOW - timedelta(hours=6), options={"via": via})

        assert error is None
        assert ["7"] == jobs(files["sacct"])["jobid"].to_list()
    assert all(call.startswith("sacct %s ") for call in site.called("sacct "))
    with pytest.raises(UsageError, match="a command is expected"):
        read_options(COLLECTOR, {"via": " "})


def test_the_plan_asks_nothing(site):
    """--dry-run is what people try first."""
    told = COLLECTOR.plan(site.asked(since=NOW - timedelta(hours=6)))

    assert 4 == len(told)
    assert told[0].startswith("run sacct --duplicates")
    assert [] == site.called("s")


def test_all_is_fetched_once_more_when_it_is_asked_for(site):
    """A lake that was lost is filled again."""
    site.says("sacct", f"{HEADER}\n{record()}\n")
    _, cursor, _ = site.run(since=NOW - timedelta(hours=6))
    files, _, _ = site.run(cursor, since=NOW - timedelta(hours=6), again=True)

    assert ["sacct", "sacctmgr_show_event", "scontrol_show_job", "scontrol_show_node"] == sorted(files)


def test_what_is_known_does_not_grow_for_ever(site):
    """A note of every job there ever was would be read at each run."""
    rows = "\n".join(record(JobID=str(number)) for number in range(1, 50))
    site.says("sacct", f"{HEADER}\n{rows}\n")
    _, cursor, _ = site.run(since=NOW - timedelta(hours=6))
    assert 49 == len(cursor["records"])
    site.says("sacct", f"{HEADER}\n{record(JobID='50')}\n")
    later = Asked("c", NOW + timedelta(days=2), cursor, read_options(COLLECTOR, {}), {"PATH": site.path})
    *_, last = COLLECTOR.collect(later)

    assert 1 == len(last.cursor["records"])
