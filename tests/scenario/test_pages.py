"""The pages' commands, typed as they stand and in their order; the figures that a page shows are what comes."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from decimal import Decimal
from html import unescape
from pathlib import Path

import pytest

from gpulake.lake import open_publication

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
COSTS = "select pool, usd_per_gpu_h, price_label, price_reason from gold_cost_daily"
NOT_RUN = {
    "make ": "its recipe is compared with the commands that the page names",
    "python3 -m pip ": "needs a package index",
    "uv pip ": "needs a package index",
    "python3 -m venv ": "tests/scenario/test_wheel.py makes one, without an index",
    "~/gpulake/": "as the line before",
    "duckdb ": "needs the program of the package duckdb-cli",
    "gpulake collect ": "needs a cluster; tests/slurm and tests/prometheus have one",
    ".venv/bin/gpulake fetch ": "needs the publisher",
    ".venv/bin/gpulake refresh --data data_raw ": "needs the publisher's trace",
    ".venv/bin/gpulake report --lake lake --html out/report.html": "the tutorial's, but for a name",
}


def blocks(page, language=""):
    """The fenced blocks of a page in one language, each a list of lines."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [block.splitlines() for spoken, block in found if spoken == language]


def commands(page):
    """What a reader of a page types, without what cannot be typed here."""
    lines = [line for block in blocks(page) for line in block if line.strip()]
    return [line for line in lines if not line.startswith(tuple(NOT_RUN))]


class Workplace:
    """A clone as a reader has it: the environment and the docs are there, and nothing else."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        (folder / ".venv").symlink_to(sys.prefix)
        (folder / "docs").symlink_to(DOCS)
        (folder / "examples").symlink_to(ROOT / "examples")
        places = f"{sys.prefix}/bin:{os.environ['PATH']}"
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("GPULAKE_")}
        self.environment |= {"PATH": places, "COLUMNS": "100"}

    def run(self, line):
        return subprocess.run(
            ["bash", "-c", line],
            cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def type(self, line):
        done = self.run(line)
        assert 0 == done.returncode, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    return Workplace(tmp_path_factory.mktemp("pages") / "clone")


@pytest.fixture(scope="module")
def tutorial(workplace):
    """The whole tutorial, typed: each line with what it printed."""
    return [(line, workplace.type(line)) for line in commands(DOCS / "tutorial" / "first-lake.md")]


def printed(transcript, start):
    return [text for line, text in transcript if line.startswith(start)]


def test_the_demo_is_the_six_commands_that_the_tutorial_names():
    """A reader who types them must get what `make demo` gives."""
    recipe = re.search(r"^demo:\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    made = [line.strip().replace("$(BIN)", ".venv/bin") for line in recipe[1].splitlines() if "$(BIN)" in line]

    assert blocks(DOCS / "tutorial" / "first-lake.md")[1] == made


def test_the_tutorial_works_as_it_is_typed(tutorial, workplace):
    """The first five minutes decide whether anybody comes back."""
    assert 21 == len(tutorial)
    (simulated,) = printed(tutorial, ".venv/bin/gpulake simulate pai2020")
    assert "62 days of 95 machines" in simulated, "the page says: a fleet of 95 machines and two months of jobs"
    assert 7 == len(list((workplace.folder / "out" / "trace").glob("*.csv"))), "the page says: seven tables"
    assert (workplace.folder / "out" / "demo.png").read_bytes().startswith(b"\x89PNG")
    assert (workplace.folder / "out" / "demo.html").stat().st_size > 0
    assert (workplace.folder / "telemetry.db").stat().st_size > 0
    for line, text in tutorial:
        if "gpulake sql" in line:
            assert len(text.splitlines()) > 2, line


def test_the_tutorials_second_refresh_does_nothing(tutorial, workplace):
    """The page says: same lake version, nothing is done."""
    first, again = printed(tutorial, ".venv/bin/gpulake refresh")
    published = re.search(r"published build (\d+)", first)[1]

    assert f"build {published} stays published" in again
    assert "already here" in again
    with open_publication(workplace.folder / "lake") as reader:
        assert int(published) == reader.build_id


def test_what_the_tutorial_shows_is_what_comes(tutorial):
    """Who sees other days flagged than the page says does not know which of the two is wrong."""
    came = {line for _, text in tutorial for line in text.splitlines()}
    shown = [line for block in blocks(DOCS / "tutorial" / "first-lake.md", "text") for line in block]

    assert len(shown) > 10
    assert [] == [line for line in shown if line not in came]


def test_report_page_and_query_show_one_count(tutorial, workplace):
    """Two counts of flagged days, and nobody believes either."""
    (report,) = printed(tutorial, ".venv/bin/gpulake report")
    page = unescape((workplace.folder / "out" / "demo.html").read_text(encoding="utf-8"))
    ask = "select {} as n from {} where judgement = 'anomaly' and cluster_id = 'pai2020'"
    with open_publication(workplace.folder / "lake") as reader:

        def count(table, of="count(*)"):
            return reader.sql(ask.format(of, table))["n"].to_pylist()[0]

        days, hours = count("gold_cluster_util_daily_scored"), count("gold_cluster_hours_scored")
        machine_hours, jobs = count("gold_machine_anomalies"), count("gold_job_anomalies")
        sums = reader.sql("select sum(hours)::bigint as hours, count(*) as runs from gold_anomaly_runs").to_pylist()[0]
        said = dict(zip(*reader.sql("select level, flagged_rows from gold_detectors where is_shown and "
                                    "cluster_id = 'pai2020'").to_pydict().values(), strict=True))  # fmt: skip
        open_now = reader.sql("select count(distinct group_id) as n from ops.main.gold_incidents where is_open "
                              "and cluster_id = 'pai2020'")["n"].to_pylist()[0]  # fmt: skip
    told = [
        f"{days} days flagged",
        f"ours that stand out: {hours} of the whole cluster, {machine_hours} of machines, in {sums['runs']} runs",
        f"obs that stand out: {jobs} of ",
        f"hat needs someone: {open_now} open incidents",
    ]
    shown = {"Flagged days": days, "Jobs unlike their user's earlier ones": jobs, "What needs someone": open_now}

    assert {"cluster_day": days, "cluster_hour": hours, "machine_hour": machine_hours, "job": jobs} == said
    assert hours + machine_hours == sums["hours"]
    assert [] == [each for each in told if each not in report]
    for title, count_of in shown.items():
        assert f'{title} <span class="count">{count_of:,}</span>' in page


def test_the_figures_against_the_truth_are_those_of_the_page(tutorial, workplace):
    """The tables of "The plain mean" are the case for this project: they must be what the command gives."""
    (told,) = printed(tutorial, ".venv/bin/python docs/tutorial/compare_with_truth.py")
    page = (DOCS / "explanation" / "plain-mean-over-rows.md").read_text(encoding="utf-8")
    figures = re.compile(r"[+-]?\d+\.\d")
    off = [figures.findall(line) for line in told.splitlines() if re.match(r"mean of the rows|ours ", line)]
    shown = [figures.findall(line) for line in page.splitlines() if re.match(r"\| (mean of|ours)", line)]

    assert [4, 8, 8] == [len(row) for row in off]
    assert shown == off
    plain, ours = re.search(r"correlation .* rows (\S+), ours (\S+)", told).groups()
    assert f"by a correlation of {plain}, ours by {ours}" in page
    mean, spread = re.search(r"true mean is (\S+) %, give or take (\S+)", told).groups()
    assert f"a mean of {mean} % and differ from each other by {spread} points" in page
    (coverage_off,) = re.findall(r"coverage_ratio: off by (\S+) at most", told)
    assert f"those make it less by up to {float(coverage_off) * 100:.1f} points" in page
    with open_publication(workplace.folder / "lake") as reader:
        (share,) = reader.sql(
            "select sum(covered_gpu_s) / sum(capacity_gpu_s) as share from gold_cluster_util_daily "
            "where cluster_id = 'pai2020'"
        ).to_pylist()
    assert f"(here {share['share']:.0%})".replace("%", " %") in page


def test_asking_the_lake_works_as_it_is_typed(tutorial, workplace):
    """Each way in that the page offers must be open."""
    for line in commands(DOCS / "how-to" / "ask-the-lake.md"):
        workplace.type(line)

    assert (workplace.folder / "out" / "days.png").is_file()
    assert (workplace.folder / "missing.csv").read_text().startswith("cluster_id,table_name")
    for program in blocks(DOCS / "how-to" / "ask-the-lake.md", "python"):
        workplace.type(shlex.join([sys.executable, "-c", "\n".join([*program, "assert len(days) > 0"])]))
    export = workplace.folder / "telemetry.db"
    (query,) = re.findall(
        r'^duckdb telemetry\.db "(.*)"$', (DOCS / "how-to" / "ask-the-lake.md").read_text(), re.MULTILINE
    )
    program = f"import duckdb; print(duckdb.connect({str(export)!r}, read_only=True).execute({query!r}).fetchone()[0])"
    assert int(workplace.type(shlex.join([sys.executable, "-c", program]))) > 0


def test_the_reports_of_the_page_are_what_comes(tutorial, workplace):
    """Who types what the page names must read what it shows."""
    page = DOCS / "how-to" / "read-a-report.md"
    came = {line for command in commands(page) for line in workplace.type(command).splitlines()}
    shown = [line for block in blocks(page, "text") for line in block]

    assert len(shown) > 20
    assert [] == [line for line in shown if line not in came]
    assert (workplace.folder / "out" / "user.html").is_file()


def test_a_stream_lands_as_it_is_typed(tmp_path):
    """Without a broker, in a minute: what was told lands, and the audit closes. Building it is every other page's matter."""
    place = Workplace(tmp_path / "clone")
    typed = commands(DOCS / "how-to" / "streams.md")
    built = ("gpulake build", "gpulake detect", "gpulake publish")

    told = [(line, place.type(line)) for line in typed if not line.startswith(built)]

    assert [*built] == [" ".join(line.split()[:2]) for line in typed if line.startswith(built)]
    (audit,) = printed(told, "gpulake stream pai2020 --audit")
    assert 7 == audit.count("  yes\n")
    assert "NO" not in audit
    (status,) = printed(told, "gpulake status")
    assert "stream events.pai_machine_metric: " in status


def test_ones_own_data_works_as_it_is_typed(tmp_path):
    """From an empty folder to one's own figures: what the page shows is what comes."""
    page = DOCS / "how-to" / "your-own-data.md"
    place = Workplace(tmp_path / "clone")
    (jobs,) = blocks(page, "csv")
    (place.folder / "mine").mkdir()
    (place.folder / "mine" / "jobs.csv").write_text("\n".join(jobs) + "\n")
    came = {line for command in commands(page) for line in place.type(command).splitlines()}
    shown = [line for block in blocks(page, "text") for line in block]

    assert len(shown) > 8
    assert [] == [line for line in shown if line not in came]
    for program in blocks(page, "python"):
        place.type(
            shlex.join([sys.executable, "-c", "\n".join([*program, "assert len(held) == 2 and mine.num_rows == 1"])])
        )
    assert (place.folder / "mine" / "tables" / "gold_jobs" / "gold_jobs.parquet").is_file()
    assert "next: gpulake check" in place.type(".venv/bin/gpulake template --out again")


def test_a_figure_is_explained_as_it_is_typed(tutorial, workplace, tmp_path):
    """The page's correction must move day 40, and the page's commands must say so."""
    place = Workplace(tmp_path / "clone")
    shutil.copytree(workplace.folder / "lake", place.folder / "lake")
    shutil.copytree(workplace.folder / "out" / "trace", place.folder / "out" / "trace")
    with open_publication(place.folder / "lake") as reader:
        first = reader.build_id
    told = [
        (line, place.type(line.replace("BUILD", str(first))))
        for line in commands(DOCS / "how-to" / "explain-a-figure.md")
    ]
    (figure, as_of), (changes, _) = printed(told, ".venv/bin/gpulake explain"), printed(told, ".venv/bin/gpulake diff")

    assert re.search(r"^numerator +gpu_pct_s = [\d,]+", figure, re.MULTILINE), figure
    assert re.search(r"^gold_cluster_util_daily$.*?^  pai2020  day 40, Tuesday", changes, re.MULTILINE | re.DOTALL), (
        changes
    )
    assert re.search(r"^value +\S+ +\S+ +[+-]\d", as_of, re.MULTILINE), as_of
    assert "included since, and reaching it: 1" in as_of


def test_the_readmes_commands_work_as_they_are_typed(tutorial, workplace):
    """It is the first thing that anybody copies."""
    lines = commands(ROOT / "README.md")

    assert [line for line in lines if "gpulake sql" in line]
    for line in lines:
        workplace.type(line)


def test_the_settings_of_the_page_take_effect(tmp_path):
    """A cluster of its own, in its own zone, at its own prices, as the page shows it; a changed price counts by itself."""
    (settings,) = blocks(DOCS / "how-to" / "configure.md", "toml")
    (prices,) = blocks(DOCS / "how-to" / "configure.md", "csv")
    place = Workplace(tmp_path / "clone")
    (place.folder / "gpulake.toml").write_text("\n".join(settings))
    (place.folder / "prices.csv").write_text("\n".join(prices) + "\n")
    place.type(".venv/bin/gpulake template --out template")
    (place.folder / "template" / "example").rename(place.folder / "DIR")
    (command,) = re.findall(
        r"^`(\S*gpulake refresh .*?)`", (DOCS / "how-to" / "configure.md").read_text(), re.MULTILINE
    )
    assert "warned: own_prices_name_known_models" in place.type(command), "nobody here has the page's own card"

    with open_publication(place.folder / tomllib.loads("\n".join(settings))["lake"]) as reader:
        found = reader.sql("select time_zone, time_basis from meta.clusters where cluster_id = 'berlin'").to_pylist()
        before = {tuple(row.values()) for row in reader.sql(COSTS).to_pylist()}
    assert [{"time_zone": "Europe/Berlin", "time_basis": "real"}] == found
    # The cluster's own price stands before the one of all, and no example counts.
    a100, v100 = "NVIDIA A100-SXM4-80GB", "Tesla V100-SXM2-16GB"
    own = (a100, Decimal("1.2"), "written off", None)
    assert {own, (v100, None, None, "the price book has no price for this pool")} == before

    with (place.folder / "prices.csv").open("a") as file:
        file.write(f"{v100},2,,,,contract\n")
    place.type(command)
    with open_publication(place.folder / "lake") as reader:
        after = {tuple(row.values()) for row in reader.sql(COSTS).to_pylist()}
    assert {own, (v100, Decimal(2), "contract", None)} == after
    looked = place.run(".venv/bin/gpulake doctor")
    assert 10 == looked.returncode, "nobody listens at the page's address"
    assert re.search(r"^ok +build \d+ is published, \d+ s ago$", looked.stdout, re.MULTILINE), looked.stdout
    assert "a price is of 'our own card', which no machine here is" in looked.stdout
    with (place.folder / "prices.csv").open("a") as file:
        file.write(f"{v100},-2,,,,contract\n")
    refused = place.run(command)
    assert (2, "prices.csv:9" in refused.stderr) == (refused.returncode, True), refused.stderr


@pytest.mark.parametrize("page", sorted(DOCS.glob("how-to/*.md")), ids=lambda page: page.stem)
def test_what_cannot_be_typed_here_is_known(page):
    """A new command in a page must be run by a test, or be on the list of those that cannot."""
    # tests/scenario/test_flow.py and tests/unit/serve, tests/superset, tests/slurm and tests/prometheus, with servers of their own; test_one_new_thing.py, in a copy of the tree
    run_elsewhere = {
        "schedule-with-prefect",
        "open-the-pages",
        "superset",
        "your-cluster",
        "add-a-source",
        "add-a-model",
        "add-a-detector",
        "add-a-report-section",
    }
    run_here = {"ask-the-lake", "explain-a-figure", "read-a-report", "streams", "your-own-data"}

    assert page.stem in run_elsewhere | run_here or [] == commands(page)
