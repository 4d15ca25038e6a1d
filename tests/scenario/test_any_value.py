"""No delivered value stops a publication or bends the figures of other rows: any number in any column of any table.

Each lake takes many bad rows at once. Beside a fixed list of values there are drawn ones, by a fresh seed each time: a
failing run prints it, and GPULAKE_SEED=… repeats it.
"""

from __future__ import annotations

import os
import random
from dataclasses import dataclass, replace

import pytest

from gpulake import pipeline
from gpulake.config import Config
from gpulake.contract import Table
from gpulake.lake import open_publication
from gpulake.sources import genai2026, gpu_specs, openb2023, pai2020

pytestmark = pytest.mark.slow  # thousands of rows, each with a wild value

SEED = int(os.environ.get("GPULAKE_SEED") or random.SystemRandom().randrange(2**32))
VALUES = ("0", "-0", "-5", "1e9", "2147483648", "4294967296", "1e17", "1e300", "-1e300", "NaN", "inf", "-inf", "9" * 400,
          "1e400", "text", "")  # fmt: skip
WILD = ("-5", "1e17", "1e300", "-1e300", "inf", "-inf", "9" * 400)
"""No amount can be such a one, whatever it is of."""
NOON = 1_700_000_000


@dataclass(frozen=True)
class Row:
    """One line of a table, by column."""

    table: Table
    fields: dict[str, str]

    def but(self, column: str, value: str) -> Row:
        return replace(self, fields={**self.fields, column: value})

    @property
    def text(self) -> str:
        return ",".join(self.fields.get(name, "") for name in self.table.column_names)


def _row(table: Table, **fields: object) -> Row:
    return Row(table, {name.removesuffix("_"): str(value) for name, value in fields.items()})


def thing(name: str, gpu_type: str = "P100") -> list[Row]:
    """One of everything that has a name: a PAI job on its own machine, a pod, a node, a container, a GPU model."""
    job, machine, worker = f"j-{name}", f"m-{name}", f"w-{name}"
    return [
        _row(pai2020.JOB, job_name=job, inst_id=f"i-{name}", user=f"u-{name}", status="Terminated", start_time=57_540,
             end_time=64_800),
        _row(pai2020.TASK, job_name=job, task_name="worker", inst_num=1.0, status="Terminated", start_time=57_540,
             end_time=64_800, plan_cpu=600.0, plan_mem=29.0, plan_gpu=100.0, gpu_type=gpu_type),
        _row(pai2020.INSTANCE, job_name=job, task_name="worker", inst_name=f"n-{name}", worker_name=worker,
             inst_id=f"i-{name}", status="Terminated", start_time=57_600, end_time=64_800, machine=machine),
        _row(pai2020.SENSOR, job_name=job, task_name="worker", worker_name=worker, inst_id=f"i-{name}", machine=machine,
             gpu_name="/dev/nvidia0", cpu_usage=100.0, gpu_wrk_util=50.0, avg_mem=1.0, max_mem=2.0, avg_gpu_wrk_mem=1.0,
             max_gpu_wrk_mem=2.0, read=1.0, write=1.0, read_count=1.0, write_count=1.0),
        _row(pai2020.GROUP_TAG, inst_id=f"i-{name}", user=f"u-{name}", group="ab12"),
        _row(pai2020.MACHINE_SPEC, machine=machine, gpu_type=gpu_type, cap_cpu=96, cap_mem=512, cap_gpu=2),
        _row(pai2020.MACHINE_METRIC, worker_name=worker, machine=machine, start_time=57_600, end_time=64_800,
             machine_cpu_iowait=0.0, machine_cpu_kernel=1.0, machine_cpu_usr=9.0, machine_gpu=50.0, machine_load_1=1.0,
             machine_net_receive=1_000.0, machine_num_worker=1.0, machine_cpu=10.0),
        _row(openb2023.NODE, sn=f"s-{name}", cpu_milli=96_000, memory_mib=393_216, gpu=2, model="T4"),
        _row(openb2023.POD, name=f"p-{name}", cpu_milli=1_000, memory_mib=1_024, num_gpu=1, gpu_milli=500, qos="LS",
             pod_phase="Succeeded", creation_time=0, deletion_time=90_000, scheduled_time=60),
        _row(genai2026.DUTY_CYCLE, container_ip=f"c-{name}", timestamp_anon=NOON, value=50.0),
        _row(genai2026.MEMORY, container_ip=f"c-{name}", timestamp_anon=NOON, value=2e9),
        _row(gpu_specs.CITED, gpu_model=f"g-{name}", architecture="a", launch_year=2020, memory_gib=16,
             memory_bandwidth_gb_per_s=900, tdp_w=300, fp32_tflops=15, fp16_tensor_tflops=120),
    ]  # fmt: skip


def numbers(table: Table) -> list[str]:
    return [column.name for column in table.columns if column.kind == "number"]


def drawn(dice: random.Random) -> str:
    """Any number: of any size and sign, whole or not."""
    return dice.choice(["-", ""]) + dice.choice([
        str(dice.randrange(10 ** dice.randrange(1, 40))),
        repr(10.0 ** dice.uniform(-320, 308)),
        f"{dice.random():.6f}e{dice.randrange(-400, 400)}",
        str(dice.getrandbits(dice.choice([16, 31, 32, 33, 63, 64, 128]))),
    ])  # fmt: skip


GOOD = [row for n in range(4) for row in thing(f"good{n}", "T4")]


def victims(dice: random.Random) -> list[Row]:
    """Whole things of their own, each with a bad value in one place; then some with several."""
    rows, kinds = [], thing("")
    for place, kind in enumerate(kinds):
        for column in numbers(kind.table):
            for number, value in enumerate((*VALUES, drawn(dice), drawn(dice))):
                made = thing(f"bad{place}-{column}-{number}")
                made[place] = made[place].but(column, value)
                rows += made
    for number in range(40):
        made = thing(f"worse{number}")
        for place in dice.sample(range(len(made)), 4):
            for column in dice.sample(numbers(made[place].table), min(2, len(numbers(made[place].table)))):
                made[place] = made[place].but(column, dice.choice([*VALUES, drawn(dice)]))
        rows += made
    return rows


def intruders(dice: random.Random) -> list[Row]:
    """Rows of the good things' own keys, or beside them, that say nothing else than a wild value."""
    rows = []
    for row in GOOD:
        times = row.table.span.names if row.table.span else ()
        for column in numbers(row.table):
            rows += [row.but(column, dice.choice(WILD))] if column not in times else []
        if row.table is pai2020.MACHINE_METRIC:
            silent = replace(row, fields={name: row.fields[name] for name in ("machine", *times)})
            rows += [
                silent.but("worker_name", f"x-{number}-{column}").but(column, dice.choice(WILD))
                for number in range(3)
                for column in numbers(row.table)
                if column not in times
            ]
    return rows


def refreshed(folder, rows: list[Row]):
    """What a refresh of these rows does, and the lake."""
    data = folder / "data"
    data.mkdir(parents=True)
    for table in {row.table.name: row.table for row in rows}.values():
        lines = [",".join(table.column_names), *(row.text for row in rows if row.table is table)]
        (data / f"{table.stems[0]}.csv").write_text("\n".join(lines) + "\n")
    return pipeline.refresh(Config(lake=folder / "lake"), data=data), folder / "lake"


OF_ONE_THING = {
    "silver_jobs": "job_id",
    "silver_instances": "job_id",
    "silver_tasks": "job_id",
    "silver_usage": "job_id",
    "silver_allocation_days": "job_id",
    "silver_job_days": "job_id",
    "silver_machines": "machine_id",
    "silver_gpu_specs": "gpu_model",
    "gold_jobs": "job_id",
    "gold_machine_util_daily": "machine_id",
    "gold_machine_util_hourly": "machine_id",
}
OF_ALL = ("gold_cluster_util_daily", "gold_capacity_daily", "gold_waste_daily", "gold_job_efficiency_daily",
          "gold_user_gpu_usage_daily", "gold_cost_daily", "gold_failures_daily", "gold_queue_wait_daily",
          "gold_runtime_distribution", "gold_definition_diff_fleet", "gold_cluster_util_window")  # fmt: skip
LEFT_OUT = {"landing_id", "landing_no", "source_row", "build_id", "instance_hash", "windows"}
"""Lineage, and what counts rows."""


def figures(lake, *, whole: bool) -> dict[str, list[str]]:
    """The rows of good things, by table, or of the whole; without lineage."""
    found = {}
    with open_publication(lake) as publication:
        for table in (*OF_ONE_THING, *(OF_ALL if whole else ())):
            only = f" where contains({OF_ONE_THING[table]}, '-good')" if table in OF_ONE_THING else ""
            rows = publication.sql(f"select * from {table}{only}").to_pylist()
            found[table] = sorted(
                repr({name: value for name, value in row.items() if name not in LEFT_OUT}) for row in rows
            )
    return found


@pytest.fixture(scope="module")
def without(tmp_path_factory):
    """A lake of good rows alone."""
    result, lake = refreshed(tmp_path_factory.mktemp("good"), GOOD)
    assert result.published, result.why
    return lake


@pytest.mark.parametrize(("whole", "bad"), [(False, victims), (True, intruders)], ids=["victims", "intruders"])
def test_no_value_stops_or_bends_the_rest(without, tmp_path, whole, bad):
    """One wild counter, or one slip of a pen, must not keep everybody's figures from being published, or move them."""
    rows = [*bad(random.Random(SEED)), *GOOD]
    result, lake = refreshed(tmp_path, rows)

    assert (None, True) == (result.error, result.published), f"GPULAKE_SEED={SEED}: {result.why}"
    told = {landing.table: landing for landing in result.land.landings if landing.file_name != "gpu_specs.csv"}
    for landing in told.values():
        assert (
            sum(row.table.name == landing.table for row in rows)
            == landing.rows_in
            == sum((landing.rows_kept, *landing.reasons.values()))
        ), f"GPULAKE_SEED={SEED}: {landing}"
    before, after = figures(without, whole=whole), figures(lake, whole=whole)
    for table in before:
        assert before[table] == after[table], f"GPULAKE_SEED={SEED}: {table}"
    assert result.build.implausible
