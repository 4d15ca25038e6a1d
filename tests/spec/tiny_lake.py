"""A lake of hand-written rows: what a landing leaves behind, without files."""

from __future__ import annotations

from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pyarrow as pa

from gpulake import lake, meta
from gpulake.dbt.warehouse import Warehouse
from gpulake.sources import all_sources
from gpulake.tables import CLUSTERS, LANDINGS, META_TABLES, PUBLISHED_LANDINGS, bronze_tables

BRONZE = {table.name: table for table in bronze_tables(all_sources())}
TABLES = {table.name: table for source in all_sources() for table in source.tables}
SHORT = {
    "jobs": ("pai_job_table", {"job": "job_name", "id": "inst_id", "start": "start_time", "end": "end_time"}),
    "tasks": (
        "pai_task_table",
        {"job": "job_name", "task": "task_name", "n": "inst_num", "cpu": "plan_cpu", "mem": "plan_mem", "gpu": "plan_gpu"},
    ),
    "instances": (
        "pai_instance_table",
        {"job": "job_name", "task": "task_name", "instance": "inst_name", "worker": "worker_name", "start": "start_time",
         "end": "end_time"},
    ),
    "sensors": ("pai_sensor_table", {"job": "job_name", "task": "task_name", "worker": "worker_name", "gpu": "gpu_wrk_util"}),
    "tags": ("pai_group_tag_table", {"id": "inst_id"}),
    "machines": ("pai_machine_spec", {"gpus": "cap_gpu", "cores": "cap_cpu"}),
    "windows": (
        "pai_machine_metric",
        {"worker": "worker_name", "start": "start_time", "end": "end_time", "gpu": "machine_gpu", "cpu": "machine_cpu"},
    ),
    "duty": ("genai_pod_gpu_duty_cycle", {"container": "container_ip", "at": "timestamp_anon"}),
    "memory": ("genai_pod_gpu_memory_used_bytes", {"container": "container_ip", "at": "timestamp_anon"}),
    "pods": (
        "openb_pod_list",
        {"pod": "name", "gpus": "num_gpu", "milli": "gpu_milli", "phase": "pod_phase", "created": "creation_time",
         "scheduled": "scheduled_time", "deleted": "deletion_time"},
    ),
    "nodes": ("openb_node_list", {"node": "sn", "gpus": "gpu"}),
}  # fmt: skip
TIMES = {"start_time", "end_time", "timestamp_anon", "creation_time", "scheduled_time", "deletion_time"}
SOURCE_OF = {table.name: source for source in all_sources() for table in source.tables}
LANDED_AT = datetime(2026, 1, 1)  # noqa: DTZ001  # the lake's times are UTC, without a zone


def table(text: str) -> list[dict[str, str | None]]:
    """Rows of a pipe table; an empty cell is null."""
    lines = [[cell.strip() for cell in line.split("|")] for line in text.strip().splitlines() if line.strip()]
    return [dict(zip(lines[0], [cell or None for cell in line], strict=True)) for line in lines[1:]]


@dataclass(frozen=True)
class Case:
    """One cluster: its zone, its rows as pipe tables (`landing` column: which delivery), and what must come out.

    `corrects` are the deliveries that were landed with --corrects. Times are source seconds, or `day hh:mm[:ss]` of the cluster's zone, day 1 being 1970-01-01.
    """

    name: str
    breaks: str = ""
    zone: str = "UTC"
    pools: str = "gpu_model"
    source: str = "pai2020"
    first_year: str = "1970-01-01"
    corrects: frozenset[int] = frozenset()
    rows: dict[str, str | list[dict[str, object]]] = field(default_factory=dict)
    expect: dict[str, str] = field(default_factory=dict)
    shown: dict[str, str] = field(default_factory=dict)

    def seconds(self, cell: object) -> float | None:
        if not isinstance(cell, str) or " " not in cell:
            return None if cell is None else float(cell)
        local = datetime.fromisoformat(cell).replace(tzinfo=ZoneInfo(self.zone))
        return local.timestamp()

    def source_rows(self, short: str) -> list[dict[str, object]]:
        """The rows of one table under the source's own column names."""
        given = self.rows.get(short, [])
        name, names = SHORT[short]
        kinds = {column.name: column.kind for column in TABLES[name].columns}
        found = []
        for row in table(given) if isinstance(given, str) else given:
            full: dict[str, object] = {"landing": int(row.get("landing") or 1)}
            for key, cell in row.items():
                column = names.get(key, key)
                if column in TIMES:
                    full[column] = self.seconds(cell)
                elif column in kinds:
                    full[column] = cell if cell is None or kinds[column] == "text" else float(cell)
            found.append(full)
        return found


class TinyLake:
    """Adds rows, builds, reads. `order` of landings is the order of `add`."""

    def __init__(self, folder) -> None:
        self.folder = folder
        self.tables = (*META_TABLES, *BRONZE.values())
        self._landing_no = 0
        self._clusters: set[str] = set()
        self._open: ExitStack | None = None
        with self.writing():
            pass

    def writing(self):
        return lake.writing(self.folder, purpose="test", tables=self.tables)

    def add(self, *cases: Case, only_landing: int | None = None) -> None:
        """Land the rows of some cases, each table and delivery number as one landing."""
        self.close()
        with self.writing() as writer, writer.transaction("land"):
            for case in cases:
                self._add(writer, case, only_landing)

    def _add(self, writer, case: Case, only_landing: int | None) -> None:
        if case.name not in self._clusters:
            self._clusters.add(case.name)
            writer.insert(CLUSTERS, [(case.name, case.source, case.zone, "offset", case.pools, LANDED_AT)])
        for short, (name, _) in SHORT.items():
            deliveries = defaultdict(list)
            for row in case.source_rows(short):
                deliveries[row["landing"]].append(row)
            for number, rows in sorted(deliveries.items()):
                if only_landing in {None, number}:
                    landed_at = LANDED_AT + timedelta(minutes=number)
                    self._land(writer, case.name, name, rows, landed_at, corrects=number in case.corrects)

    def add_rows(self, cluster: str, name: str, rows: list[dict[str, object]]) -> None:
        """Land rows of one table as they are in bronze, as one landing; times are UTC."""
        self.close()
        with self.writing() as writer, writer.transaction("land"):
            if cluster not in self._clusters:
                self._clusters.add(cluster)
                writer.insert(CLUSTERS, [(cluster, SOURCE_OF[name].name, "UTC", "offset", "gpu_model", LANDED_AT)])
            self._land(writer, cluster, name, rows, LANDED_AT + timedelta(minutes=self._landing_no), corrects=False)

    def _land(self, writer, cluster: str, name: str, rows, landed_at: datetime, *, corrects: bool) -> None:
        self._landing_no += 1
        landing_id = f"{cluster}/{name}/{self._landing_no}"
        bronze = BRONZE[TABLES[name].bronze]
        numbered = [{**row, "landing_id": landing_id, "source_row": number} for number, row in enumerate(rows, start=1)]
        kinds = {"varchar": pa.string(), "double": pa.float64(), "bigint": pa.int64(), "timestamp": pa.timestamp("us")}
        columns = {key: pa.array([row.get(key) for row in numbered], kinds[kind]) for key, kind in bronze.columns}
        writer.insert(bronze, pa.table(columns))
        times = list(_times(TABLES[name].span, rows))
        writer.insert(LANDINGS, [(
            landing_id, self._landing_no, SOURCE_OF[name].name, cluster, name, bronze.name, f"{name}.csv", "", 0, "headerless",
            len(rows), len(rows), 0, 0, False, _moment(min(times, default=None)), _moment(max(times, default=None)),
            landed_at, 0, None, corrects,
        )])  # fmt: skip

    def build(self, *, full: bool, publish: bool = True) -> None:
        """Build and test; then count every landing as published."""
        with Warehouse(self.folder) as warehouse:
            self.build_with(warehouse, full=full, publish=publish)

    def build_with(self, warehouse: Warehouse, *, full: bool, publish: bool = True) -> None:
        self.close()
        with self.writing() as writer:
            sources = meta.landed_sources(writer)
        made = warehouse.build(full=full, sources=sources)
        assert made.ok, made.why()
        with self.writing() as writer:
            version = writer.version()
        tested = warehouse.test(version=version)
        assert tested.ok, tested.why()
        if publish:
            with self.writing() as writer, writer.transaction("publish"):
                writer.insert(PUBLISHED_LANDINGS, [(1, one) for one in self._pending(writer)])

    @staticmethod
    def _pending(writer) -> list[str]:
        return writer.sql(
            f"SELECT landing_id FROM {LANDINGS.qualified} "
            f"WHERE landing_id NOT IN (SELECT landing_id FROM {PUBLISHED_LANDINGS.qualified})"
        )["landing_id"].to_pylist()

    def rows(self, query: str, *params: object) -> list[dict[str, object]]:
        """Rows at the newest version; the lake stays open for the next question."""
        if self._open is None:
            self._open = ExitStack()
            self._writer = self._open.enter_context(self.writing())
        return self._writer.sql(query, list(params)).to_pylist()

    def close(self) -> None:
        """Let others write."""
        if self._open is not None:
            self._open.close()
            self._open = None


def _times(span, rows):
    """The times that a landing has a record of, as its source means them."""
    for row in rows if span else []:
        for key, later in ((span.start, 0.0), (span.end, span.lasts_s)):
            time = row.get(key)
            time = time.replace(tzinfo=ZoneInfo("UTC")).timestamp() if isinstance(time, datetime) else time
            if time is not None and (span.null_at_or_below is None or time > span.null_at_or_below):
                yield time + later


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, ZoneInfo("UTC")).replace(tzinfo=None)
