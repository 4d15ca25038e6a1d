"""The commands of rules, as somebody uses them who wants to know what would be told before it is."""

from __future__ import annotations

import json
import shutil

import pytest

BROKEN = """
title: t
why: w
from: gold_cluster_util_daily
time: dt
when: avg_gpu_utill > 10
severity: info
say: s
do: d
examples: {fires: [{}], stays_quiet: [{}]}
"""


@pytest.fixture(scope="module")
def lake(refreshed, tmp_path_factory):
    """A lake of its own: a back-test writes into it."""
    copy = tmp_path_factory.mktemp("rules") / "lake"
    shutil.copytree(refreshed[0] / "lake", copy)
    return copy


def test_a_rule_that_was_never_replayed_is_warned_of_until_it_was(lake, cli):
    """No rule should tell anybody who has not seen what it would have told."""
    before = cli("rules", "list", "--lake", lake)
    assert 0 == before.returncode, before.stderr
    assert "never replayed as they are" in before.stdout
    done = cli("rules", "backtest", "--since", "22", "--lake", lake, "--json")
    found = json.loads(done.stdout)

    assert (8, [], None) == (found["days"], found["broken"], found["error"])
    assert found["recorded"] == len(found["rules"]) > 10
    assert {"stale_data", "quarantine_growth"} == set(found["not_replayed"])
    after = cli("rules", "list", "--lake", lake)
    assert "never replayed" not in after.stdout


def test_a_back_test_leaves_nothing_to_build(lake, cli, refreshed):
    """What is written down of it is no news of the fleet."""
    assert 0 == cli("rules", "backtest", "--rule", "anomaly_day", "--lake", lake).returncode
    again = cli("refresh", "--data", refreshed[0] / "trace", "--lake", lake, "--json")

    assert None is json.loads(again.stdout)["build"]


def test_a_rule_explains_itself_on_the_lake(lake, cli):
    """In words, in SQL, and what it says today."""
    told = cli("rules", "explain", "missing_data", "--lake", lake)

    assert 0 == told.returncode, told.stderr
    for words in ("begins when", "latest(covered_gpu_s)", "it says now:", "the SQL", "row_number()"):
        assert words in told.stdout
    assert 2 == cli("rules", "explain", "missing_date", "--lake", lake).returncode


def test_an_own_rule_at_fault_is_told_and_the_others_go_on(lake, cli, tmp_path):
    """A typo in one file must neither hide itself nor silence the rest."""
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "mine.yml").write_text(BROKEN, encoding="utf-8")
    (tmp_path / "gpulake.toml").write_text('rules = "own"\n', encoding="utf-8")
    listed = cli("rules", "list", "--lake", lake, cwd=tmp_path)
    tested = cli("rules", "test", "mine", cwd=tmp_path)

    assert 0 == listed.returncode
    assert "anomaly_day" in listed.stdout
    assert 'mine.yml:6, when\n  do:    write "avg_gpu_util"' in listed.stderr
    assert 11 == tested.returncode


def test_days_that_are_none_are_refused(lake, cli):
    """A typing error must not look like a quiet month."""
    for since, words in (("yesterday", "no day"), ("2027-01-01", "no day is left")):
        done = cli("rules", "backtest", "--since", since, "--lake", lake)
        assert 2 == done.returncode
        assert words in done.stderr
