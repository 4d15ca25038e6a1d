"""The dashboards as files: they name what there is, say what the models' yml says, and colour by meaning."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from gpulake.charts import colours
from gpulake.dbt.warehouse import project
from gpulake.reading.dashboards import PUBLICATION
from gpulake.reading.models import read_models
from gpulake.superset import bundle

ROOT = Path(__file__).parents[3]
REQUIREMENTS = (ROOT / "src/gpulake/superset/requirements.txt").read_text(encoding="utf-8")
CHARTS = bundle.charts()


@pytest.fixture(scope="module")
def models():
    return read_models(project())


@pytest.fixture(scope="module")
def imported(models):
    """What Superset is given, by file."""
    return {name: yaml.safe_load(text) for name, text in bundle.files(models).items()}


def words(text):
    return re.findall(r"[^\s().]+", text)


def measures(chart):
    return [*chart.params.get("metrics", []), *chart.params.get("metrics_b", []), *(
        [chart.params["metric"]] if "metric" in chart.params else []
    )]  # fmt: skip


def test_every_column_is_described_as_in_the_models_yml(imported):
    """A second wording of a definition would drift from the first."""
    written = {}
    for file in sorted((project() / "models").rglob("*.yml")):
        for model in (yaml.safe_load(file.read_text(encoding="utf-8")) or {}).get("models", []):
            written[model["name"]] = {each["name"]: words(each["description"]) for each in model.get("columns", [])}
    for name in bundle.tables():
        told = imported[f"datasets/gpulake/{name}.yaml"]["columns"]
        assert written[name] == {
            each["column_name"]: words(each["description"]) for each in told if "expression" not in each
        }


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.name)
def test_a_chart_names_columns_that_there_are(chart, models, imported):
    """A renamed column must fail here, not in somebody's browser."""
    told = imported[f"datasets/gpulake/{chart.dataset}.yaml"]
    known = {column["column_name"] for column in told["columns"]}
    functions = {"max", "sum", "count", "filter", "where", "case", "when", "then", "end", "and", "is", "not", "null"}
    named = set(chart.params.get("all_columns", [])) | {chart.params[key] for key in ("x_axis",) if key in chart.params}
    sqls = [measure["sql"] for measure in measures(chart)]
    sqls += [each["sqlExpression"] for each in chart.params.get("adhoc_filters", [])]
    for sql in sqls:
        named |= set(re.findall(r"[a-z_]\w*", re.sub(r"'[^']*'", "", sql))) - functions
    named |= set(chart.params.get("column_config", {}))

    assert named - known == set()
    assert chart.title.strip()


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.name)
def test_every_label_has_its_colour(chart):
    """Else Superset chooses one, and idle is blue in one picture and orange in the next."""
    if "metric" in chart.params:
        return
    assert {measure["label"] for measure in measures(chart)} <= set(bundle.labels())


def test_the_colours_are_those_of_every_other_picture():
    light = colours.LIGHT

    labels = bundle.labels()
    assert (light.active, light.idle_held, light.unknown) == (
        labels["in use"],
        labels["held, idle"],
        labels["held, not measured"],
    )
    assert (light.unallocated, light.down, light.anomaly) == (
        labels["held by nobody"],
        labels["down"],
        labels["flagged day"],
    )


def test_every_chart_is_shown_once_and_every_table_is_read():
    shown = [name for dashboard in bundle.dashboards() for name in dashboard.charts]
    assert sorted(chart.name for chart in CHARTS) == sorted(shown)
    for dashboard in bundle.dashboards():
        assert all(sum(widths.values()) == 12 for _, widths in dashboard.rows)
    assert {chart.dataset for chart in CHARTS} <= {*bundle.tables(), PUBLICATION}


def test_three_dashboards_answer_the_three_questions():
    assert ["anomalous-days", "daily-utilisation", "waits-and-run-times"] == [each.name for each in bundle.dashboards()]


def test_the_same_project_gives_the_same_import(models, imported):
    """Else each start would lay everything out again, and each import would make second copies."""
    assert bundle.as_json(models) == bundle.as_json(read_models(project()))
    identifiers = [told["uuid"] for told in imported.values() if "uuid" in told]
    assert len(identifiers) == len(set(identifiers))


def test_no_credentials_and_no_place_stand_in_the_import(models):
    """The file is found when a connection is opened: a lake may be moved."""
    database = bundle.files(models)["databases/gpulake.yaml"]
    assert "sqlalchemy_uri: duckdb:///publication.duckdb" in database
    assert "read_only: true" in database
    assert "password" not in "".join(bundle.files(models).values())


def test_the_list_of_libraries_is_exact_and_names_no_host():
    """Superset does not start with whatever is newest."""
    lines = [line for line in REQUIREMENTS.splitlines() if line.strip() and not line.startswith("#")]
    assert all(re.match(r"^[\w.\[\]-]+==[\w.]+(\s|$)", line) for line in lines)
    assert "://" not in REQUIREMENTS
    own = re.search(r'"duckdb==([\d.]+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert own
    assert f"duckdb=={own[1]} " in REQUIREMENTS
