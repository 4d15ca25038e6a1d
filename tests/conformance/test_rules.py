"""What every rule obeys, found by listing the folder: a new rule is tested by being there."""

from __future__ import annotations

import json
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc
import pytest
import yaml
from jsonschema import Draft202012Validator

from gpulake import config, judging, lake
from gpulake.dbt.warehouse import project
from gpulake.findings import State
from gpulake.judging import asking, examples
from gpulake.judging.statement import sql_of_rule
from gpulake.reading.models import read_models

FOUND = judging.load(config.shipped_rules(), models=read_models(project()), audiences=config.DEFAULT_AUDIENCES)
EACH = pytest.mark.parametrize("rule", FOUND.usable, ids=lambda rule: rule.name)
PEERS_PACK = {
    "anomaly_day", "anomaly_hour", "machine_anomaly", "unused_gpu_hours", "unused_gpu_hours_owner", "low_efficiency", "idle_held",
    "gpu_fragmentation", "over_asked_gpus", "failure_rate", "failure_gpu_hours", "queue_wait", "stale_data", "missing_data",
    "quarantine_growth", "cost_spike", "budget",
}  # fmt: skip


def test_every_shipped_rule_can_be_used():
    """A rule whose column was renamed would fall silent, and nobody would notice."""
    assert () == FOUND.broken
    assert PEERS_PACK <= {rule.name for rule in FOUND.usable}


@EACH
def test_examples_come_out_and_pin_every_threshold(rule):
    """A threshold that no example notices can be changed by accident."""
    tested = examples.try_out(rule)

    assert ((), ()) == (tested.faults, tested.loose)
    assert tested.moved > 0


def test_a_moved_threshold_is_noticed():
    """The proof above must be able to fail."""
    rule = next(rule for rule in FOUND.usable if rule.name == "unused_gpu_hours")
    weaker = replace(rule, examples={**rule.examples, "stays_quiet": rule.examples["stays_quiet"][1:]})

    assert any("24" in what for what in examples.try_out(weaker).loose)
    higher = replace(rule, when=rule.when.with_literal(0, "25"))
    assert any("must fire" in fault for fault in examples.try_out(higher).faults)


@EACH
def test_its_sentences_are_whole(rule):
    """A message says what is wrong and what to do, with no hole and nothing unknown in what its examples show."""
    fires = [finding for example, finding in examples.said_of_examples(rule) if example.must_fire]

    assert fires
    for finding in fires:
        assert finding.state is State.FIRING
        for sentence in (finding.title, finding.message, finding.do):
            assert sentence.strip()
            assert not {"{", "}"} & set(sentence)
        assert finding.message.rstrip().endswith((".", "!", "?"))


@EACH
def test_it_stands_on_what_is_judged_live(rule):
    """The mission's forest sees the whole past at once: what it flags cannot be told on the day."""
    forest = {"anomaly_flag", "gold_detector_days"}

    assert not forest & {rule.table, *(name for each in rule.expressions.values() for name in each.columns)}
    assert rule.table.startswith("gold_")


@EACH
def test_an_example_of_nothing_known_says_nothing(rule):
    """All null: neither alarm nor all-clear. (A `where` that is null does not choose the row at all.)"""
    row = {
        name: value
        for name, value in rule.examples["fires"][-1].items()
        if name in {*rule.per, rule.time, "day", "hour"}
    }
    silent = replace(rule, examples={"beside": [], "fires": [row], "stays_quiet": []}, where=None)
    said = [finding for _, finding in examples.said_of_examples(silent)]

    assert all(finding is None or finding.state is not State.FIRING for finding in said)


@EACH
def test_editors_are_told_of_the_schema(rule):
    """An editor marks a misspelt key while it is typed."""
    first, *_ = rule.file.read_text(encoding="utf-8").splitlines()
    schema = json.loads((config.shipped_rules() / "schema.json").read_text(encoding="utf-8"))

    assert "# yaml-language-server: $schema=schema.json" == first
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(yaml.safe_load(rule.file.read_text(encoding="utf-8")))


@EACH
def test_its_query_is_written_the_same_each_time(rule):
    """Its text is shown to people, and compared."""
    assert sql_of_rule(rule) == rule.sql
    assert 64 == len(rule.digest)


def test_all_rules_together_say_what_each_says_alone():
    """Rules share what was read of a table: one must not see less of it, or more, for the others' sake."""
    rows = {}
    for rule in FOUND.usable:
        laid_out = examples.rows_of(rule, examples.examples_of(rule))
        names = pc.binary_join_element_wise(rule.name, laid_out["cluster_id"], " ")
        own = laid_out.set_column(laid_out.schema.get_field_index("cluster_id"), "cluster_id", names)
        rows.setdefault(rule.table, []).append(own)
    with lake.in_memory({name: pa.concat_tables(tables) for name, tables in rows.items()}) as view:
        alone = [asking.ask(view, [rule])[0] for rule in FOUND.usable]

        assert alone == asking.ask(view, FOUND.usable)
        assert list(reversed(alone)) == asking.ask(view, FOUND.usable[::-1])
    for answer in alone:
        fires = pc.equal(answer.said["_state"], "firing")
        of_its_own = pc.starts_with(answer.said["cluster_id"], f"{answer.rule.name} example")
        assert pc.any(pc.and_(fires, of_its_own)).as_py(), answer.rule.name
