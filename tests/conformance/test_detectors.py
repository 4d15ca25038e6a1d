"""What every detector obeys, found by listing the folder: a new detector is tested by being there."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sys
from datetime import date, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

import joblib
import numpy as np
import pyarrow as pa
import pytest

from gpulake import detect
from gpulake.dbt import warehouse
from gpulake.detectors import all_detectors
from gpulake.lake import writing
from gpulake.reading.models import read_models
from gpulake.tables import META_TABLES, LakeTable

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 25, 12)  # noqa: DTZ001  # as the lake keeps it
FIRST = date(1970, 1, 5)
DAYS, UNKNOWN = 40, 23
DETECTORS = all_detectors()
EACH = pytest.mark.parametrize("detector", DETECTORS, ids=lambda detector: detector.name)


def days_of(detector, count=DAYS, *, seed=1):
    """Days with a weekly rhythm: one row per day, one column per feature."""
    dice = np.random.default_rng(seed)
    rhythm = np.where(np.arange(count) % 7 < 5, 30.0, 18.0)[:, np.newaxis]
    return rhythm + dice.normal(0, 3, (count, len(detector.features)))


def fields_of(verdicts):
    """Every part of a verdict by name, as lists that can be compared."""
    found = {field.name: getattr(verdicts, field.name) for field in dataclasses.fields(verdicts)}
    return {name: repr(part.tolist() if isinstance(part, np.ndarray) else part) for name, part in found.items()}


def run(detector, folder, order, *, build_id=7):
    """Score a lake whose gold rows lie in this order: the landed scores by day, and the artefacts' folder."""
    gold = LakeTable(
        "main",
        "gold_cluster_util_daily",
        (
            ("cluster_id", "varchar"),
            ("dt", "date"),
            ("coverage_ratio", "double"),
            *((name, "double") for name in detector.features),
        ),
    )
    values = days_of(detector)
    rows = [
        (
            "c",
            FIRST + timedelta(days=int(day)),
            0.5,
            *([None] * len(values[day]) if day == UNKNOWN else values[day].tolist()),
        )
        for day in order
    ]
    with writing(folder, purpose="test", tables=(*META_TABLES, gold)) as writer:
        kinds = {"varchar": pa.string(), "date": pa.date32(), "double": pa.float64()}
        table = pa.table(
            {
                name: pa.array(column, kinds[kind])
                for (name, kind), column in zip(gold.columns, zip(*rows, strict=True), strict=True)
            }
        )
        with writer.transaction("gold"):
            writer.insert(gold, table)
        found = detect.run(writer, [detector], build_id=build_id, now=NOW)
        scores = writer.sql("FROM lake.meta.scores ORDER BY dt").to_pylist()
    assert [detector.name] == [judged.detector for judged in found.judged]
    return scores, folder / "artefacts" / str(build_id) / detector.name / "c"


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """Each detector's scores over forty days, one of them unknown, and where its artefacts are."""
    return {
        detector.name: run(detector, tmp_path_factory.mktemp(detector.name) / "lake", range(DAYS))
        for detector in DETECTORS
    }


@EACH
def test_it_says_what_it_needs(detector):
    """A detector whose name, features or history are wrong would be found out in the middle of a refresh."""
    columns = read_models(warehouse.project())["gold_cluster_util_daily"].columns

    assert detector.name.isidentifier()
    assert detector.features
    assert len(set(detector.features)) == len(detector.features)
    assert set(detector.features) <= set(columns)
    assert detector.needs_days > 0
    assert detector.note.endswith(".")


@EACH
@pytest.mark.parametrize("count", [1, 5])
def test_one_verdict_per_day_shown(detector, count):
    """A row too many or too few would move every later verdict to another day."""
    days = days_of(detector)
    verdicts = detector.score(detector.fit(days), days[:count])

    for field in dataclasses.fields(verdicts):
        part = getattr(verdicts, field.name)
        assert part is None or count == len(part), field.name
    assert set(verdicts.flag.tolist()) <= {0, 1}
    assert np.isfinite(verdicts.score).all()
    assert set(verdicts.driver) <= set(detector.features)
    assert all(verdicts.reason)


@EACH
def test_chance_is_seeded(detector):
    """Two builds of the same days must not disagree, whatever ran before them in the process."""
    days = days_of(detector)
    told = []
    for seed in (1, 2):
        np.random.seed(seed)  # noqa: NPY002  # what a careless library would draw from
        told.append(fields_of(detector.score(detector.fit(days), days)))

    assert told[0] == told[1]


@EACH
def test_what_it_is_shown_stays_as_it_was(detector):
    """A detector that scales in place would hand the next one other figures."""
    days = days_of(detector)
    before = days.copy()
    detector.score(detector.fit(days), days)

    assert np.array_equal(before, days)


@EACH
def test_an_unknown_feature_gives_a_null_score_and_its_reason(detector, judged):
    """Missing is never 0, and a blank needs a reason."""
    scores, _ = judged[detector.name]
    unknown = scores[UNKNOWN]

    assert DAYS == len(scores)
    assert (None, None, "not_judged") == (
        unknown["anomaly_flag"],
        unknown["anomaly_score"],
        unknown["judgement"],
    )
    assert "a feature is not known on this day" == unknown["anomaly_reason"]
    judged_days = [row for row in scores if row["anomaly_score"] is not None]
    assert judged_days
    assert all(row["anomaly_reason"] and row["anomaly_driver"] for row in judged_days)


@EACH
def test_every_blank_has_a_reason(detector, judged):
    """ "Not judged" without a why sends people to the logs."""
    scores, _ = judged[detector.name]

    assert [] == [row["dt"] for row in scores if row["anomaly_flag"] is None and not row["anomaly_reason"]]


@EACH
def test_the_order_of_the_rows_is_irrelevant(detector, judged, tmp_path):
    """How gold happens to lie in its files after a compaction must not change a score."""
    order = np.random.default_rng(3).permutation(DAYS)
    scores, _ = run(detector, tmp_path / "lake", order.tolist())

    assert judged[detector.name][0] == scores


@EACH
def test_only_a_retrospective_one_sees_the_future(detector, tmp_path):
    """Whatever rules read must be reproducible on the day itself; the exception is named."""
    days = days_of(detector)
    changed = days.copy()
    changed[-1] += 50

    def first_scores(values):
        table = pa.table(
            {
                "cluster_id": ["c"] * len(values),
                "dt": [FIRST + timedelta(days=n) for n in range(len(values))],
                "coverage_ratio": [0.5] * len(values),
                **{name: values[:, i] for i, name in enumerate(detector.features)},
            }
        ).cast(_gold_schema(detector))
        scored = detect._score(detector, table, build_id=7, folder=None, now=NOW)
        return scored["anomaly_score"].to_pylist()[:-1]

    assert detector.retrospective or first_scores(days) == first_scores(changed)


def _gold_schema(detector):
    floats = [(name, pa.float64()) for name in ("coverage_ratio", *detector.features)]
    return pa.schema([("cluster_id", pa.string()), ("dt", pa.date32()), *floats])


# --------------------------------------------------------------------------------------------- artefacts


def card_of(folder):
    return json.loads((folder / "card.json").read_text(encoding="utf-8"))


def skip_without_artefacts(detector):
    if not detector.retrospective:
        pytest.skip("one model per day, fitted anew from the days before: nothing to keep")


@EACH
def test_its_artefacts_say_what_they_were_made_of(detector, judged):
    """A flag can be explained a year later: which snapshot, days, features and libraries, and that nothing changed."""
    skip_without_artefacts(detector)
    _, folder = judged[detector.name]
    card = card_of(folder)
    files = sorted(folder.glob("*.joblib"))

    assert files
    assert {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files} == card["sha256"]
    assert (detector.name, list(detector.features), 7) == (
        card["detector"],
        card["features"],
        card["training_snapshot"],
    )
    assert [str(FIRST + timedelta(days=day)) for day in range(DAYS) if day != UNKNOWN] == card["training_days"]
    assert {name: version(name) for name in ("scikit-learn", "numpy", "joblib")} == card["libraries"]


@EACH
def test_its_artefacts_score_as_the_model_did(detector, judged):
    """What is kept must be the model that scored, not something like it."""
    skip_without_artefacts(detector)
    scores, folder = judged[detector.name]
    days = np.delete(days_of(detector), UNKNOWN, axis=0)
    model = detector.fit(days)
    parts = detector.artefacts(model)
    kept = {name: joblib.load(folder / f"{name}.joblib") for name in parts}
    place = {
        field.name: kept[name]
        for field in dataclasses.fields(model)
        for name, part in parts.items()
        if getattr(model, field.name) is part
    }
    verdicts = detector.score(dataclasses.replace(model, **place), days)

    assert len(parts) == len(place), "each part is a field of the model"
    assert [row["anomaly_score"] for row in scores if row["anomaly_score"] is not None] == verdicts.score.tolist()


@EACH
def test_a_quota_is_told(detector):
    """A detector that flags a fixed share whatever happens must say so, in its own words and to readers of the docs."""
    parts = detector.artefacts(detector.fit(days_of(detector))).values()
    quotas = [
        part.get_params()["contamination"] for part in parts if "contamination" in getattr(part, "get_params", dict)()
    ]
    promise = sys.modules[detector.fit.__module__].__doc__
    pages = [page.read_text(encoding="utf-8") for page in ROOT.glob("docs/**/*.md")]

    for quota in quotas:
        assert f"contamination = {quota}" in promise
        assert any(f"contamination = {quota}" in page and detector.name in page for page in pages)
