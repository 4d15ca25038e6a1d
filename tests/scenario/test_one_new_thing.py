"""One new thing is one new file: each is added to a copy of the tree by the files that CONTRIBUTING names, and published.

The files are the worked examples of the how-to pages, so that a page which leaves one out is found here.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
from datetime import date
from fnmatch import fnmatch
from html import unescape
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PAGES = {
    "a source": "add-a-source.md",
    "a model": "add-a-model.md",
    "a detector": "add-a-detector.md",
    "a rule": "add-a-rule.md",
    "a section of the report": "add-a-report-section.md",
}
"""Kinds of things, as CONTRIBUTING calls them, and the page whose example adds one."""

BUSY_DAY = date(1970, 1, 30)
NOTE = "A record is flagged from a hundredth of a point on: on a fleet that grows it is no news."
REASON = "50.7 % against at most 23.2 % before"


def examples(page):
    """The files that a page spells out: each block that stands under a path."""
    text = (ROOT / "docs" / "how-to" / page).read_text(encoding="utf-8")
    found = re.findall(r"^`([^`\n]+)`[^`\n]*:\n```\w*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return dict(found)


def places(kind):
    """Where CONTRIBUTING says that a thing's files stand, as patterns."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (row,) = (line for line in text.splitlines() if line.startswith(f"| {kind} |"))
    return [re.sub("<[a-z_]+>", "*", path) for path in re.findall(r"`([^`]*/[^`]*)`", row.split("|")[2])]


class Copy:
    """The package and its dbt project in another folder, and a command line that runs them."""

    def __init__(self, folder):
        self.folder = folder
        litter = shutil.ignore_patterns("__pycache__", "target", "logs", "dbt_packages")
        for part in ("src/gpulake", "warehouse", "rules", "tests/conformance", "tests/unit"):
            shutil.copytree(ROOT / part, folder / part, ignore=litter)
        for file in ("pyproject.toml", "tests/conftest.py"):
            shutil.copy(ROOT / file, folder / file)

    def add(self, kind):
        """Add a thing by new files alone; what the page delivers stands under `data`."""
        for name, text in examples(PAGES[kind]).items():
            inside = any(fnmatch(name, place) for place in places(kind))
            file = self.folder / (name if inside else f"data/{name}")
            assert inside or not name.startswith(("src/", "warehouse/")), f"CONTRIBUTING does not name {name}"
            assert not file.exists(), f"{name} is there already"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())

    def gpulake(self, *arguments):
        """Run the copy's own command; the object that it prints."""
        return json.loads(self.python("-m", "gpulake", *arguments, "--lake", "lake", "--json"))

    def python(self, *arguments):
        """Run this interpreter on the copy; what it printed."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GPULAKE_")}
        environment |= {"PYTHONPATH": str(self.folder / "src"), "XDG_CACHE_HOME": str(self.folder / "cache")}
        done = subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=self.folder, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert 0 == done.returncode, done.stdout + done.stderr
        return done.stdout

    def rows(self, query):
        return [list(row.values()) for row in self.gpulake("sql", query)]


@pytest.fixture(scope="module")
def published(tmp_path_factory, tiny_trace):
    """A copy of the tree with one new thing of each kind, refreshed once; beside the toy's rows ten days of PAI, the last
    twice as busy.
    """
    copy = Copy(tmp_path_factory.mktemp("copy"))
    for kind in PAGES:
        copy.add(kind)
    tiny_trace(copy.folder / "data" / "pai")
    return copy, copy.gpulake("refresh", "--data", "data")


def test_a_new_source_lands(published):
    """Who must read a format that we do not know writes its contract, and edits nothing of ours."""
    copy, report = published
    (landing,) = (landing for landing in report["landings"] if landing["source"] == "toy")

    assert ("jobs.tsv.gz", "header", 4, 3, 1, 1) == tuple(
        landing[name] for name in ("file_name", "layout", "rows_in", "rows_kept", "rows_refused", "times_unknown")
    )
    assert {"gpus is not a number": 1} == landing["reasons"]
    assert [
        ["1001", 2.0, "2026-10-24T19:30:00", "2026-10-24T20:00:00", "2026-10-25T05:00:00", 2],
        ["1002", 1.0, "2026-10-24T21:00:00", None, "2026-10-25T03:00:00", 3],
        ["1003", 4.0, "2026-10-25T07:00:00", None, None, 4],
    ] == copy.rows("select job, gpus, submitted, started, ended, source_row from bronze_toy_job order by job")


def test_a_new_sources_jobs_are_published(published):
    """Silver finds its rows by the models' names: the jobs stand beside those of every other source."""
    copy, report = published

    assert report["published"]
    assert [
        ["toy", "1001", "ada", "succeeded", 1800],
        ["toy", "1002", "bob", "failed", None],
        ["toy", "1003", "ada", "waiting", None],
    ] == copy.rows("select cluster_id, job_id, user_id, job_status, wait_s from silver_jobs order by job_id")
    assert [["gold_jobs", "active_gpu_h", "The toy measures no use."]] == copy.rows(
        "select table_name, column_name, reason from gold_availability where not available and cluster_id = 'toy'"
        " and table_name = 'gold_jobs'"
    )


def test_a_new_source_keeps_the_promises_of_all(published):
    """The conformance suite finds it by its file, and no list of ours has to name it."""
    copy, _ = published

    assert " passed" in copy.python("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/conformance", "-k", "toy")


def test_a_new_table_is_published_and_explained(published):
    """Who writes a mart need not know how builds, publications or `explain` work."""
    copy, _ = published

    assert [["pai2020", 10, 1, 0.1]] == copy.rows("from gold_busy_days")
    told = copy.gpulake("explain", "gold_busy_days", "busy_ratio", "--key", "cluster_id=pai2020")
    folder = "warehouse/models/gold/utilisation"
    assert (0.1, 1, 10, f"{folder}/gold_busy_days.sql") == (
        told["value"], told["numerator"]["value"], told["denominator"]["value"], told["sql_file"],
    )  # fmt: skip
    assert [{"name": "gold_cluster_util_daily", "file": f"{folder}/gold_cluster_util_daily.sql"}] == told["stands_on"]


def test_a_new_detectors_flags_are_published_beside_the_others(published):
    """Scores that only stand in a table of operations are seen by nobody."""
    copy, report = published
    judged = {each["detector"]: each for each in report["detect"]["judged"]}
    flagged = copy.rows(
        "select cluster_id, dt, anomaly_reason from gold_detector_days where detector = 'record' and judgement = 'anomaly'"
    )

    assert [str(BUSY_DAY)] == judged["record"]["flagged_days"]
    assert [["pai2020", str(BUSY_DAY), REASON]] == flagged
    assert len(judged) > 1
    assert [["cluster_day"]] == copy.rows(
        "select level from gold_detectors where cluster_id = 'pai2020' and detector = 'record' and not is_shown"
    )


def test_report_picture_and_page_show_the_new_things(published):
    """They are told without a line of ours that names them."""
    copy, _ = published
    text = copy.python("-m", "gpulake", "report", "--lake", "lake", "--png", "days.png", "--html", "days.html")
    page = unescape((copy.folder / "days.html").read_text(encoding="utf-8"))

    for told in (text, page):
        assert NOTE in " ".join(told.split())
    assert "busy on 1 of 10 measured days: 10.0 %" in text
    assert "to compare: record flags 1 day" in " ".join(text.split())
    assert (copy.folder / "days.png").stat().st_size > 20_000


def test_a_new_rule_is_tried_out_and_replayed(published):
    """Whoever writes a rule sees what it would have told before anybody is told by it."""
    copy, _ = published

    assert [True] == [
        each["ok"]
        for each in json.loads(copy.python("-m", "gpulake", "rules", "test", "idle_machine", "--json"))["rules"]
    ]
    replayed = copy.gpulake("rules", "backtest", "--rule", "idle_machine")
    assert (copy.rows("select count(distinct dt) from gold_cluster_util_daily"), 1) == (
        [[replayed["days"]]],
        replayed["recorded"],
    )
    listed = {each["name"]: each for each in copy.gpulake("rules", "list")["rules"]}
    assert [True, False] == [listed[name]["replayed_as_it_is"] for name in ("idle_machine", "anomaly_day")]


@pytest.mark.parametrize(
    ("suite", "name"),
    [
        ("tests/conformance/test_detectors.py", "record"),
        ("tests/conformance/test_figures.py", "gold_busy_days"),
        ("tests/conformance/test_rules.py", "idle_machine"),
        ("tests/unit/test_sections.py", "busy"),
    ],
)
def test_a_new_thing_keeps_the_promises_of_its_kind(published, suite, name):
    """The suites find it by its file, and no list of ours has to name it."""
    copy, _ = published

    assert " passed" in copy.python("-m", "pytest", "-q", "-p", "no:cacheprovider", suite, "-k", name)
