"""The dashboards as files: what `bundle/` says in short, in the words that Superset's import understands.

A dataset is a table of the publication. What its columns mean is read from the models' yml, and from nowhere else.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import yaml

from gpulake.charts import colours
from gpulake.reading.dashboards import PUBLICATION, words_of
from gpulake.reading.models import Model

FOLDER = Path(__file__).parent / "bundle"
SCHEME = "gpulake"
_VERSION = "1.0.0"
_CLUSTER_OF = "gold_cluster_util_daily_scored"
_MOST_MEASURED_FIRST = "days_measured"
_IS_TIME = ("date", "timestamp")


@dataclass(frozen=True)
class Chart:
    """One picture of one table; `params` are Superset's, but for measures and columns, which are said in short."""

    name: str
    title: str
    dataset: str
    viz_type: str
    description: str
    params: Mapping[str, Any]


@dataclass(frozen=True)
class Dashboard:
    """One page of pictures: rows of charts by their width in twelfths, and the row's height."""

    name: str
    title: str
    rows: tuple[tuple[int, Mapping[str, int]], ...]

    @property
    def charts(self) -> tuple[str, ...]:
        """The names of its charts, in reading order."""
        return tuple(chart for _, charts in self.rows for chart in charts)


def dashboards() -> tuple[Dashboard, ...]:
    """The dashboards of the project."""
    return tuple(
        Dashboard(
            name=name,
            title=told["title"],
            rows=tuple((row["height"], row["charts"]) for row in told["rows"]),
        )
        for name, told in _read("dashboards")
    )


def charts() -> tuple[Chart, ...]:
    """The charts of the project."""
    return tuple(
        Chart(
            name=name,
            title=told["title"],
            dataset=told["dataset"],
            viz_type=told["viz_type"],
            description=" ".join(told.get("description", "").split()),
            params=told["params"],
        )
        for name, told in _read("charts")
    )


def tables() -> tuple[str, ...]:
    """The tables of the publication that the dashboards read."""
    return tuple(name for name, _ in _read("datasets") if name != PUBLICATION)


def scheme() -> tuple[str, ...]:
    """The colours of whatever has no meaning of its own, in their order: no two that mean different things elsewhere."""
    light = colours.LIGHT
    return (light.active, light.idle_held, light.unknown, light.unallocated, light.total, light.use_2, light.waste_2)


def labels() -> Mapping[str, str]:
    """The colour of each label of a picture."""
    named: Mapping[str, str] = yaml.safe_load((FOLDER / "labels.yaml").read_text(encoding="utf-8"))
    light = colours.hexadecimal(dark=False)
    return {label: light[colours.colour(name)] for label, name in named.items()}


def files(models: Mapping[str, Model]) -> dict[str, str]:
    """Every file of the import, its text by its name. The same each time for the same project."""
    by_name = {chart.name: chart for chart in charts()}
    told: dict[str, object] = {
        "metadata.yaml": {"version": _VERSION, "type": "assets", "timestamp": "2026-01-01T00:00:00+00:00"},
        "databases/gpulake.yaml": {
            **yaml.safe_load((FOLDER / "database.yaml").read_text(encoding="utf-8")),
            "uuid": _uuid("database", "gpulake"),
        },
    }
    for name, dataset in _read("datasets"):
        told[f"datasets/gpulake/{name}.yaml"] = _dataset(name, dataset, models)
    for chart in by_name.values():
        told[f"charts/{chart.name}.yaml"] = _chart(chart)
    for dashboard in dashboards():
        told[f"dashboards/{dashboard.name}.yaml"] = _dashboard(dashboard, by_name)
    return {name: yaml.safe_dump(value, sort_keys=False, allow_unicode=True) for name, value in told.items()}


def _read(kind: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for file in sorted((FOLDER / kind).glob("*.yaml")):
        yield file.stem, yaml.safe_load(file.read_text(encoding="utf-8"))


def _uuid(kind: str, name: str) -> str:
    return str(uuid5(NAMESPACE_URL, f"gpulake/superset/{kind}/{name}"))


# ------------------------------------------------------------------------------------------------ datasets


def _dataset(name: str, told: Mapping[str, Any], models: Mapping[str, Model]) -> Mapping[str, object]:
    if name in models:
        model = models[name]
        description = model.description
        columns = [(each.name, each.data_type or "varchar", words_of(each)) for each in model.columns.values()]
    else:
        description = told["description"]
        columns = [(column, each["type"], each["description"]) for column, each in told["columns"].items()]
    names = told.get("names", {})
    # A click on a date would ask for its number of milliseconds, which DuckDB refuses to compare; on its text it works.
    texts = {"date_text": f"strftime({told['time']}, '%Y-%m-%d')"} if told.get("clickable") else {}
    return {
        "table_name": name,
        "main_dttm_col": told.get("time"),
        "description": description,
        "schema": "main",
        "catalog": None,
        "sql": None,
        "filter_select_enabled": True,
        "uuid": _uuid("dataset", name),
        "database_uuid": _uuid("database", "gpulake"),
        "columns": [
            {
                "column_name": column,
                "verbose_name": names.get(column),
                "type": kind.upper(),
                "is_dttm": kind.lower().startswith(_IS_TIME),
                "is_active": True,
                "groupby": True,
                "filterable": True,
                "description": words,
            }
            for column, kind, words in columns
        ]
        + [
            {
                "column_name": column,
                "verbose_name": "date",
                "type": "VARCHAR",
                "expression": expression,
                "is_dttm": False,
                "is_active": True,
                "groupby": True,
                "filterable": True,
                "description": "The day as text, to be clicked.",
            }
            for column, expression in texts.items()
        ],
        "metrics": [dict(metric) for metric in told.get("metrics", [])],
        "version": _VERSION,
    }


# -------------------------------------------------------------------------------------------------- charts


def _chart(chart: Chart) -> Mapping[str, object]:
    params = {key: _in_full(value) for key, value in chart.params.items()}
    return {
        "slice_name": chart.title,
        "description": chart.description or None,
        "viz_type": chart.viz_type,
        "params": {"viz_type": chart.viz_type, "color_scheme": SCHEME, "adhoc_filters": [], **params},
        "query_context": None,
        "cache_timeout": None,
        "uuid": _uuid("chart", chart.name),
        "dataset_uuid": _uuid("dataset", chart.dataset),
        "version": _VERSION,
    }


def _in_full(value: object) -> object:
    """`{label, sql}` as a measure of Superset's; lists part by part."""
    if isinstance(value, list):
        return [_in_full(part) for part in value]
    if isinstance(value, dict) and value.keys() == {"label", "sql"}:
        return {
            "expressionType": "SQL",
            "sqlExpression": value["sql"],
            "label": value["label"],
            "hasCustomLabel": True,
            "optionName": f"metric_{_uuid('metric', value['label'])[:8]}",
        }
    return value


# ---------------------------------------------------------------------------------------------- dashboards


def _dashboard(dashboard: Dashboard, by_name: Mapping[str, Chart]) -> Mapping[str, object]:
    return {
        "dashboard_title": dashboard.title,
        "description": None,
        "css": "",
        "slug": dashboard.name,
        "published": True,
        "uuid": _uuid("dashboard", dashboard.name),
        "position": _position(dashboard, by_name),
        "metadata": {
            "color_scheme": SCHEME,
            "label_colors": dict(labels()),
            "shared_label_colors": [],
            "cross_filters_enabled": True,
            "refresh_frequency": 0,
            "expanded_slices": {},
            "timed_refresh_immune_slices": [],
            "native_filter_configuration": [_cluster_filter()],
        },
        "version": _VERSION,
    }


def _position(dashboard: Dashboard, by_name: Mapping[str, Chart]) -> Mapping[str, object]:
    rows = [f"ROW-{number}" for number in range(len(dashboard.rows))]
    grid = ["ROOT_ID", "GRID_ID"]
    found: dict[str, object] = {
        "DASHBOARD_VERSION_KEY": "v2",
        "ROOT_ID": {"type": "ROOT", "id": "ROOT_ID", "children": ["GRID_ID"]},
        "GRID_ID": {"type": "GRID", "id": "GRID_ID", "children": rows, "parents": ["ROOT_ID"]},
        "HEADER_ID": {"type": "HEADER", "id": "HEADER_ID", "meta": {"text": dashboard.title}},
    }
    number = 0
    for row, (height, widths) in zip(rows, dashboard.rows, strict=True):
        found[row] = {
            "type": "ROW",
            "id": row,
            "children": [f"CHART-{name}" for name in widths],
            "parents": grid,
            "meta": {"background": "BACKGROUND_TRANSPARENT"},
        }
        for name, width in widths.items():
            number += 1
            found[f"CHART-{name}"] = {
                "type": "CHART",
                "id": f"CHART-{name}",
                "children": [],
                "parents": [*grid, row],
                "meta": {
                    "chartId": number,
                    "uuid": _uuid("chart", name),
                    "sliceName": by_name[name].title,
                    "width": width,
                    "height": height,
                },
            }
    return found


def _cluster_filter() -> Mapping[str, object]:
    """One cluster at a time, at first the one of which most was measured: figures of two clusters add up to nothing."""
    return {
        "id": "NATIVE_FILTER-cluster",
        "name": "cluster",
        "description": "Figures are of one cluster.",
        "type": "NATIVE_FILTER",
        "filterType": "filter_select",
        "targets": [{"column": {"name": "cluster_id"}, "datasetUuid": _uuid("dataset", _CLUSTER_OF)}],
        "controlValues": {
            "enableEmptyFilter": True,
            "defaultToFirstItem": True,
            "multiSelect": False,
            "sortAscending": False,
            "inverseSelection": False,
            "searchAllOptions": False,
        },
        "requiredFirst": True,  # pictures wait for it
        "sortMetric": _MOST_MEASURED_FIRST,
        "defaultDataMask": {"extraFormData": {}, "filterState": {}, "ownState": {}},
        "cascadeParentIds": [],
        "scope": {"rootPath": ["ROOT_ID"], "excluded": []},
    }


def as_json(models: Mapping[str, Model]) -> str:
    """Everything that decides what is imported, as one text."""
    return json.dumps([files(models), dict(labels()), scheme()], sort_keys=True)
