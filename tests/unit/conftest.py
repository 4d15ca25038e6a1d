"""A small publication made of plain tables, for tests of what reads one."""

import math
from datetime import UTC, date, datetime, timedelta

import pytest
from jinja2 import Template

from gpulake.dbt.warehouse import project

GOLD_COLUMNS = """
    cluster_id varchar, dt date, avg_gpu_util double, p95_gpu_util double, avg_cpu_util double, coverage_ratio double,
    covered_gpu_s double, capacity_gpu_s double, covered_core_s double, capacity_core_s double, gpu_pct_s double,
    core_pct_s double, covered_machines bigint, gpu_pct_h_variance double, avg_gpu_util_low double,
    avg_gpu_util_high double, p95_gpu_util_low double, p95_gpu_util_high double, avg_cpu_util_low double,
    avg_cpu_util_high double, core_pct_h_variance double, gpu_shared_variance double, core_shared_variance double,
    machine_hours bigint, avg_gpu_util_unweighted double, p95_gpu_util_unweighted double,
    avg_cpu_util_unweighted double, windows bigint, gpu_pct_windows double, gpu_windows bigint,
    over_capacity_windows bigint, anomaly_flag integer,
    anomaly_score double, expected_gpu_util double, expected_low double, expected_high double, anomaly_p_value double,
    allocated_gpu_util double, expected_allocated_gpu_util double, expected_allocated_low double,
    expected_allocated_high double, typical_job_gpu_util double, expected_typical_gpu_util double, expected_typical_low double,
    expected_typical_high double,
    anomaly_driver varchar, anomaly_reason varchar, judgement varchar
"""
TABLES = f"""
    create schema meta;
    create table meta.clusters (cluster_id varchar, source varchar, time_zone varchar, time_basis varchar, pools varchar);
    create table meta.landings (
        landing_id varchar, cluster_id varchar, table_name varchar, layout varchar, rows_in bigint, rows_kept bigint,
        rows_refused bigint, published_bytes boolean
    );
    create table meta.quarantine (landing_id varchar, source_row bigint, reason varchar, raw_text varchar);
    create table meta.implausible_values (landing_id varchar, source_row bigint, reason varchar);
    create table gold_detector_days (
        detector varchar, cluster_id varchar, dt date, anomaly_flag integer, anomaly_score double, expected_gpu_util double,
        expected_low double, expected_high double, expected_allocated_gpu_util double, expected_allocated_low double,
        expected_allocated_high double, expected_typical_gpu_util double, expected_typical_low double,
        expected_typical_high double, anomaly_driver varchar, anomaly_reason varchar, judgement varchar
    );
    create view gold_detectors as select
        detector, cluster_id, 'cluster_day' as level, detector = 'forest' as is_shown, detector || ' flags what it flags.' as note,
        '4 a year' as false_alarms,
        count(*) as scored_rows, count(*) filter (where judgement = 'anomaly') as flagged_rows,
        count(*) filter (where judgement = 'not_judged' and anomaly_flag = 1) as flagged_not_judged_rows,
        count(*) filter (where judgement = 'not_judged') as not_judged_rows
    from gold_detector_days group by all;
    create table silver_machines (cluster_id varchar, machine_id varchar, gpu_count bigint, valid_to timestamp);
    create table silver_jobs (cluster_id varchar, job_id varchar, job_status varchar);
    create table gold_cluster_util_daily_scored ({GOLD_COLUMNS});
    create table gold_availability (
        cluster_id varchar, table_name varchar, column_name varchar, available boolean, missing_table varchar,
        reason varchar
    );
    create table gold_waste_daily (
        cluster_id varchar, dt date, pool varchar, total_gpu_h double, over_allocated_gpu_h double, down_gpu_h double,
        unallocated_gpu_h double, unknown_gpu_h double, idle_held_gpu_h double, failed_active_gpu_h double,
        productive_gpu_h double
    );
    create table gold_capacity_daily (
        cluster_id varchar, dt date, pool varchar, allocated_gpu_h double, active_gpu_h double, unknown_gpu_h double
    );
    create table int_unbounded_totals (
        cluster_id varchar, spans bigint, failed_spans bigint, failed_limit_gpu_h double
    );
"""


WINDOW_MODELS = ("gold_cluster_util_window", "gold_waste_window", "gold_fleet", "gold_job_status")


def as_dbt_does(model):
    """The SQL of a model that needs nothing of dbt but its references and our units."""
    sql = next((project() / "models").rglob(f"{model}.sql")).read_text(encoding="utf-8")
    units = (project() / "macros" / "units.sql").read_text(encoding="utf-8")
    return Template(units + sql).render(config=lambda **_: "", ref=str, source=lambda *names: ".".join(names))


class MadePublication:
    """Answers SQL over plain tables, as a Publication does over a lake."""

    build_id = 41
    published_at = datetime(2026, 11, 25, 16, 2, tzinfo=UTC).replace(tzinfo=None)

    def __init__(self):
        import duckdb

        self.connection = duckdb.connect()
        self.connection.execute(TABLES)
        for model in WINDOW_MODELS:
            self.connection.execute(f"create view {model} as {as_dbt_does(model)}")

    def sql(self, query, params=()):
        return self.connection.execute(query, list(params)).to_arrow_table()

    def add_cluster(self, cluster_id="pai2020", *, time_zone="Asia/Shanghai", time_basis="offset", pools="gpu_model"):
        self.connection.execute(
            "insert into meta.clusters values (?, 'pai2020', ?, ?, ?)", [cluster_id, time_zone, time_basis, pools]
        )

    def add_waste(self, *, free=60.0, unknown=20.0, idle=10.0, failed=4.0, productive=6.0, over=0.0, unbounded=0,
                  failed_unbounded=0, limit=0.0, dt=date(1970, 1, 13), cluster_id="pai2020"):  # fmt: skip
        held = unknown + idle + failed + productive
        total = held + free if free is not None else held
        self.connection.execute(
            "insert into gold_waste_daily values (?, ?, 'T4', ?, ?, null, ?, ?, ?, ?, ?)",
            [cluster_id, dt, total, over, free, unknown, idle, failed, productive],
        )
        self.connection.execute(
            "insert into gold_capacity_daily values (?, ?, 'T4', ?, ?, ?)",
            [cluster_id, dt, held, failed + productive, unknown],
        )
        if unbounded:
            self.connection.execute(
                "insert into int_unbounded_totals values (?, ?, ?, ?)", [cluster_id, unbounded, failed_unbounded, limit]
            )

    def add_landing(self, table_name, *, kept, refused=0, published=False, cluster_id="pai2020", reason="end before"):
        landing_id = f"{cluster_id}-{table_name}"
        self.connection.execute(
            "insert into meta.landings values (?, ?, ?, 'headerless', ?, ?, ?, ?)",
            [landing_id, cluster_id, table_name, kept + refused, kept, refused, published],
        )
        self.connection.execute(
            "insert into meta.quarantine select ?, range, ?, 'x,y' from range(?)", [landing_id, reason, refused]
        )

    def add_implausible(self, table_name, *, reason, values=1, cluster_id="pai2020"):
        self.connection.execute(
            "insert into meta.implausible_values select ?, range, ? from range(?)",
            [f"{cluster_id}-{table_name}", reason, values],
        )

    def add_day(self, dt, *, avg, p95=90.0, cpu=30.0, covered=50.0, capacity=100.0, unweighted=140.0, windows=10,
                judgement="normal", driver=None, reason=None, cluster_id="pai2020", over=0):  # fmt: skip
        self.connection.execute(
            "insert into gold_cluster_util_daily_scored by name select * from (select "
            "? as cluster_id, ?::date as dt, ?::double as avg_gpu_util, ?::double as p95_gpu_util, "
            "?::double as avg_cpu_util, ?::double as covered_gpu_s, ?::double as capacity_gpu_s, "
            "?::double as covered_core_s, ?::double as avg_gpu_util_unweighted, ? as windows, ? as judgement, "
            "? as anomaly_driver, ? as anomaly_reason, covered_gpu_s / capacity_gpu_s as coverage_ratio, "
            "avg_gpu_util_unweighted * windows as gpu_pct_windows, windows as gpu_windows, "
            "avg_gpu_util * covered_gpu_s as gpu_pct_s, avg_cpu_util * covered_core_s as core_pct_s, "
            "? as over_capacity_windows, ? as anomaly_flag)",
            [cluster_id, dt, avg, p95, cpu, covered, capacity, covered, unweighted, windows, judgement, driver, reason,
             over, None if judgement == "not_judged" else int(judgement == "anomaly")],
        )  # fmt: skip
        self.judge(dt, "forest", judgement, driver=driver, reason=reason, cluster_id=cluster_id)

    def judge(self, dt, detector, judgement, *, driver=None, reason=None, cluster_id="pai2020"):
        """What a detector says of a day; the forest's words stand beside the day's figures too."""
        self.connection.execute(
            "insert into gold_detector_days by name select ? as detector, ? as cluster_id, ?::date as dt, "
            "? as anomaly_flag, ? as anomaly_driver, ? as anomaly_reason, ? as judgement",
            [detector, cluster_id, dt, None if judgement == "not_judged" else int(judgement == "anomaly"), driver,
             reason, judgement],
        )  # fmt: skip

    def add_gap(self, column_name, *, missing_table=None, reason=None, cluster_id="pai2020"):
        self.connection.execute(
            "insert into gold_availability values (?, 'gold_cluster_util_daily', ?, false, ?, ?)",
            [cluster_id, column_name, missing_table, reason],
        )


@pytest.fixture
def empty_publication():
    return MadePublication()


@pytest.fixture
def two_months():
    """62 days of a weekly rhythm: sparse first days, three odd days, one of them a Monday."""
    made = MadePublication()
    made.add_cluster()
    made.connection.execute("insert into silver_machines select 'pai2020', 'm' || range, 4, null from range(95)")
    made.connection.execute(
        "insert into silver_jobs select 'pai2020', 'j' || range, if(range % 3 = 0, 'failed', 'completed') from range(900)"
    )
    made.add_landing("pai_machine_metric", kept=100_471, refused=3, reason="machine_gpu is not a number")
    made.add_landing("pai_instance_table", kept=376_100)
    made.add_implausible(
        "pai_machine_metric", reason="gpu_util_pct is implausible: above 110 % of the GPUs of its machine", values=1_007
    )
    made.add_landing("pai_machine_spec", kept=95, published=True)
    odd = {31: (14.2, "avg_gpu_util"), 44: (41.8, "avg_gpu_util"), 47: (38.5, "p95_gpu_util")}
    first = date(1970, 1, 13)
    for offset in range(62):
        dt = first + timedelta(days=offset)
        weekend = dt.weekday() >= 5
        avg = 24 + 4 * math.sin(offset / 8) - (5 if weekend else 0) + 1.5 * math.sin(offset * 2.3)
        covered = min(0.55, 0.06 + offset * 0.09) * 335 * 86400
        judgement, driver = ("not_judged", None) if offset < 3 else ("normal", None)
        reason = "only 6.0 % of the GPU time was observed, less than half of the usual 55.0 %" if offset < 3 else None
        if offset in odd:
            avg, driver = odd[offset]
            judgement = "anomaly"
            reason = f"{driver} of {avg:.1f} % is 3.1 standard deviations off the 62-day mean of 23.5 %"
        made.add_day(dt, avg=avg, p95=avg * 2.4 + 6, cpu=33 + avg / 5, covered=covered, capacity=335 * 86400,
                     unweighted=avg * 4.1 + 30 * math.sin(offset), windows=1600, judgement=judgement, driver=driver, reason=reason,
                     over=offset % 29 == 5)  # fmt: skip
    return made
