"""The figures of the detection bench beside a slow, obvious count: wrong ones would crown the wrong detector."""

from __future__ import annotations

import numpy as np
import pytest
from bench.detection import fleet as fleet_bench
from bench.detection.measures import (
    Labelled,
    alarms,
    at_budget,
    auc_pr,
    average_precision,
    event_f1,
    labelled,
    vus_pr,
)


def fleet(seed):
    """Three machines with gaps, two of them with events, some rows to ignore; scores that repeat."""
    dice = np.random.default_rng(seed)
    entity, step, event = [], [], []
    for machine in range(3):
        steps = np.flatnonzero(dice.random(60) < 0.9)
        entity += [machine] * len(steps)
        step += steps.tolist()
        ours = np.where((steps >= 20) & (steps < 26), machine + 1, 0) if machine < 2 else np.zeros(len(steps), int)
        event += ours.tolist()
    event = np.array(event)
    ignore = (dice.random(len(event)) < 0.05) & (event == 0)
    order = dice.permutation(len(event))
    score = np.round(dice.normal(0, 1, len(event)) + 1.5 * (event > 0), 1)
    score[dice.random(len(event)) < 0.03] = np.nan
    rows = Labelled(np.array(entity)[order], np.array(step)[order], event[order], ignore[order])
    return rows, score[order]


def slow_average_precision(hits, score):
    score = [-np.inf if np.isnan(s) else s for s in score]
    total, before, found = sum(hits), 0.0, 0.0
    for threshold in sorted(set(score), reverse=True):
        flagged = [hit for hit, s in zip(hits, score, strict=True) if s >= threshold]
        found += (sum(flagged) / total - before) * sum(flagged) / len(flagged)
        before = sum(flagged) / total
    return found


def slow_vus(rows, score, widest):
    score = [-np.inf if np.isnan(s) else s for s in score]
    events = {}
    for e, m, t in zip(rows.event, rows.entity, rows.step, strict=True):
        if e:
            low, high = events.get(e, (m, t, t))[1:]
            events[e] = (m, min(low, t), max(high, t))
    kept = [i for i in range(len(score)) if not rows.ignore[i]]
    found = []
    for w in range(widest + 1):
        weight, touches = dict.fromkeys(kept, 0.0), {i: set() for i in kept}
        for e, (machine, low, high) in events.items():
            for i in kept:
                away = max(low - rows.step[i], rows.step[i] - high, 0)
                if rows.entity[i] == machine and away <= w // 2:
                    weight[i] = min(1, weight[i] + (np.sqrt(1 - away / w) if w else 1))
                    touches[i].add(e)
        whole = sum(rows.event[i] > 0 for i in kept)
        area = before = 0.0
        for threshold in sorted({score[i] for i in kept}, reverse=True):
            flagged = [i for i in kept if score[i] >= threshold]
            mass = sum(weight[i] for i in flagged)
            recall = min(mass / whole, 1) * len(set().union(*(touches[i] for i in flagged))) / len(events)
            area += (recall - before) * mass / len(flagged)
            before = recall
        found.append(area)
    return np.mean(found)


def slow_alarms(rows, flag):
    """Hits, false alarms and events found."""
    hits = false = 0
    found = set()
    for machine in set(rows.entity):
        flagged = sorted((rows.step[i], i) for i in np.flatnonzero(flag) if rows.entity[i] == machine)
        groups = []
        for step, i in flagged:
            if groups and step - groups[-1][-1][0] <= 6:
                groups[-1].append((step, i))
            else:
                groups.append([(step, i)])
        for group in groups:
            touched = {rows.event[i] for _, i in group} - {0}
            found |= touched
            hits += bool(touched)
            false += not touched and not any(rows.ignore[i] for _, i in group)
    return hits, false, len(found)


@pytest.mark.parametrize("seed", range(4))
def test_every_figure_is_the_obvious_one(seed):
    """Areas, alarms, the best F1 and the alarms at a budget, on small fleets with ties, gaps and unknown scores."""
    rows, score = fleet(seed)
    kept = ~rows.ignore
    by_threshold = [slow_alarms(rows, score >= t) for t in sorted({s for s in score if not np.isnan(s)}, reverse=True)]
    best = 0.0
    for t, (hits, false, found) in zip(sorted({s for s in score if s == s}, reverse=True), by_threshold, strict=True):  # noqa: PLR0124  NaN
        if np.sum(score >= t) <= int(0.1 * len(score)) and hits:
            precision, recall = hits / (hits + false), found / 2
            best = max(best, 2 * precision * recall / (precision + recall))
    within = []
    for each in by_threshold:
        if each[1] > 2:
            break
        within.append(each)
    budget = at_budget(rows, score, false_alarms=2)

    assert auc_pr(rows, score) == pytest.approx(slow_average_precision(rows.event[kept] > 0, score[kept]))
    assert vus_pr(rows, score, widest=9) == pytest.approx(slow_vus(rows, score, 9))
    found = alarms(rows, score > 1)
    assert slow_alarms(rows, score > 1) == (found.hits, found.false, found.found)
    assert event_f1(rows, score) == pytest.approx(best)
    assert (within or [(0, 0, 0)])[-1] == (budget.hits, budget.false, budget.found)


def test_by_hand():
    """Four rows: the hit is second among three, after a tie of two."""
    assert average_precision(np.array([1, 0, 0, 0]), np.array([2.0, 2.0, 1.0, np.nan])) == pytest.approx(1 / 2)
    assert average_precision(np.array([1, 1, 0]), np.array([np.nan, 3.0, 1.0])) == pytest.approx(1 / 2 + 1 / 2 * 2 / 3)
    perfect = np.array([0, 0, 1, 1, 0, 0])
    assert vus_pr(labelled(perfect), perfect.astype(float), widest=0) == pytest.approx(1)
    assert [0, 0, 1, 1, 0, 0] == labelled(perfect).event.tolist()


def test_an_alarm_beside_rows_to_ignore_is_neither():
    """A healthy machine of a job that another machine slowed is no false alarm, and no hit."""
    rows = Labelled(np.zeros(20, int), np.arange(20), np.zeros(20, int), np.arange(20) < 3)

    assert (0, 0) == (alarms(rows, np.arange(20) < 4).hits, alarms(rows, np.arange(20) < 4).false)
    assert 1 == alarms(rows, np.arange(20) > 12).false
    assert np.isnan(alarms(rows, np.zeros(20, bool)).precision)


@pytest.mark.slow
@pytest.mark.skipif(not fleet_bench.DATA.is_dir(), reason="the labelled fleet is not beside this checkout")
@pytest.mark.parametrize("kind", ["machines", "machines, utilisation only", "gpus"])
def test_the_labelled_fleet_meets_its_bars(kind):
    """Whoever changes a detector learns at once what it costs."""
    task = fleet_bench.gpus() if kind == "gpus" else fleet_bench.machines(blind=kind != "machines")
    figures = fleet_bench.of_detector(task)

    assert {} == {name: figures[name] for name, least in task.bars.items() if figures[name] < least}
