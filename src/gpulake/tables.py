"""Every table that Python writes, declared once. All of them are made when the lake is made."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gpulake.contract import LINEAGE_COLUMNS, Source


@dataclass(frozen=True)
class LakeTable:
    """A table of the lake: `schema.name` and its columns with their DuckDB types, in order."""

    schema: str
    name: str
    columns: tuple[tuple[str, str], ...]

    @property
    def qualified(self) -> str:
        """The name as SQL writes it inside the attached lake."""
        return f"lake.{self.schema}.{self.name}"


def _meta(name: str, **columns: str) -> LakeTable:
    return LakeTable("meta", name, tuple(columns.items()))


LANDINGS = _meta(
    "landings",
    landing_id="varchar",
    landing_no="bigint",
    source="varchar",
    cluster_id="varchar",
    table_name="varchar",
    bronze_table="varchar",
    file_name="varchar",
    file_sha256="varchar",
    file_bytes="bigint",
    layout="varchar",
    rows_in="bigint",
    rows_kept="bigint",
    rows_refused="bigint",
    times_unknown="bigint",
    published_bytes="boolean",
    min_event_at="timestamp",
    max_event_at="timestamp",
    landed_at="timestamp",
    values_missing="bigint",
    fields="varchar",
    corrects="boolean",
)
"""One row per accepted delivery of one table: rows_in = rows_kept + rows_refused.

`times_unknown` counts local times that the clocks of the cluster's zone show twice or never: they are null in bronze.
`values_missing` counts the numbers and times that the kept rows lack; `fields` is the header as a JSON list, if there is one.
`corrects`: its facts of machines have always been so, whatever was said before.
"""

QUARANTINE = _meta(
    "quarantine",
    landing_id="varchar",
    file_name="varchar",
    source_row="bigint",
    reason="varchar",
    raw_text="varchar",
)
"""One row per refused line, whole, with its reason."""

OFFSETS = _meta(
    "offsets",
    stream="varchar",
    topic="varchar",
    partition="bigint",
    generation="bigint",
    topic_uid="varchar",
    from_offset="bigint",
    next_offset="bigint",
    messages="bigint",
    lost="bigint",
    landing_id="varchar",
    max_event_at="timestamp",
    landed_at="timestamp",
)
"""One row per landing of messages of one partition: `from_offset` is where the one before ended, `next_offset` where the next begins.

`stream` names the broker, folder or queue. Where a topic is made anew its `generation` rises, and offsets begin again. `lost`:
offsets that were gone when somebody let it go on without them. A row is written in the transaction of its messages.
"""

CLUSTERS = _meta(
    "clusters",
    cluster_id="varchar",
    source="varchar",
    time_zone="varchar",
    time_basis="varchar",
    pools="varchar",
    noted_at="timestamp",
)
"""One row per cluster: the zone of its reporting day, what its stamps mean, and how its capacity is told apart."""

PRICES = _meta(
    "prices",
    cluster_id="varchar",
    pool="varchar",
    valid_from="date",
    valid_to="date",
    usd_per_gpu_h="decimal(18,6)",
    label="varchar",
)
"""One row per price of a file of one's own, as the last build found it. Empty: the shipped examples count."""

BUILDS = _meta(
    "builds",
    build_id="bigint",
    built_at="timestamp",
    fingerprint="varchar",
    full_build="boolean",
    through_landing_no="bigint",
    rows_json="varchar",
)
"""One row per finished build: the lake version it made, and the last landing it saw."""

FULL_BUILD_STARTS = _meta("full_build_starts", from_version="bigint", begun_at="timestamp", fingerprint="varchar")
"""One row per full build as it begins, finished or not: the lake version that it found, and its definitions."""

PUBLICATIONS = _meta(
    "publications",
    build_id="bigint",
    data_version="bigint",
    published_at="timestamp",
    fingerprint="varchar",
    full_build="boolean",
    rows_json="varchar",
    tested_everything="boolean",
    waited_s="double",
    event_age_s="double",
)
"""One row per publication, append-only: the record that the pointer file follows. `tested_everything` null: of a version that always did.

How fresh it was, of the landings of which it was the first to tell: `waited_s` is for how long the earliest of them had
waited, `event_age_s` how old their newest event was, in clusters whose clock is ours. Null where there is none.
"""

PUBLISHED_LANDINGS = _meta("published_landings", build_id="bigint", landing_id="varchar")
"""Which build first published a landing; a landing that is not here is pending."""

SCORES = _meta(
    "scores",
    build_id="bigint",
    detector="varchar",
    cluster_id="varchar",
    dt="date",
    anomaly_flag="integer",
    anomaly_score="double",
    expected_gpu_util="double",
    expected_low="double",
    expected_high="double",
    anomaly_p_value="double",
    anomaly_driver="varchar",
    anomaly_reason="varchar",
    judgement="varchar",
    expected_allocated_gpu_util="double",
    expected_allocated_low="double",
    expected_allocated_high="double",
    expected_typical_gpu_util="double",
    expected_typical_low="double",
    expected_typical_high="double",
)
"""One row per detector of days, cluster and day. `build_id` is the build whose day was scored: a day whose verdict stays keeps its row."""

_VERDICT = {
    "anomaly_score": "double",
    "anomaly_driver": "varchar",
    "seen": "double",
    "expected": "double",
    "expected_low": "double",
    "expected_high": "double",
    "anomaly_p_value": "double",
    "anomaly_reason": "varchar",
    "judgement": "varchar",
}
"""What is said of an hour or a job; `seen` and what follows are in the driver's own unit."""

HOUR_SCORES = _meta(
    "hour_scores",
    build_id="bigint",
    detector="varchar",
    cluster_id="varchar",
    machine_id="varchar",
    dt="date",
    hour_start_at="timestamp",
    **_VERDICT,
)
"""One row per detector of hours, cluster, machine (null: the whole cluster) and hour; the reason only of an anomaly, and of what was not judged."""

JOB_SCORES = _meta(
    "job_scores",
    build_id="bigint",
    detector="varchar",
    cluster_id="varchar",
    job_id="varchar",
    dt="date",
    **_VERDICT,
)
"""One row per detector of jobs, cluster and finished job that was judged, on the day it started; the reason only of an anomaly."""

SCORINGS = _meta(
    "scorings",
    build_id="bigint",
    detector="varchar",
    cluster_id="varchar",
    scored_build_id="bigint",
    digest="varchar",
    note="varchar",
    level="varchar",
    is_shown="boolean",
    false_alarms="varchar",
)
"""One row per build, detector and cluster: what the detector is, and the build at which it last scored anything there.

`is_shown`: its verdicts are those that reports, pages and rules read of its level. A build without a day to judge has one row per
detector, of no cluster.
"""

MODELS = _meta(
    "models",
    fingerprint="varchar",
    model="varchar",
    file="varchar",
    depends_on="varchar",
    depends_on_files="varchar",
    compiled_sql="varchar",
)
"""One row per model of a full build's definitions: the SQL that ran, and what it stands on, a name and its file a line."""

BACKTESTS = _meta(
    "backtests",
    rule="varchar",
    digest="varchar",
    build_id="bigint",
    since_day="date",
    until_day="date",
    days="bigint",
    incidents="bigint",
    notices="bigint",
    faults="bigint",
    faults_found="bigint",
    hits="bigint",
    recorded_at="timestamp",
)
"""One row per replay of a rule over history: `digest` is of its file as it was then.

`notices` are those that would have been sent. `faults`, `faults_found` and `hits` (incidents that touch a fault) are null where no
labelled faults were given, or the rule claims to find none of their kinds.
"""

ALERT_EVENTS = _meta(
    "alert_events",
    event_id="varchar",
    incident_id="varchar",
    seq="bigint",
    kind="varchar",
    happened_at="timestamp",
    recorded_at="timestamp",
    cluster_id="varchar",
    rule="varchar",
    key_json="varchar",
    state="varchar",
    judged_at="timestamp",
    since="timestamp",
    severity="varchar",
    audience="varchar",
    title="varchar",
    message="varchar",
    advice="varchar",
    link="varchar",
    value="double",
    expected="double",
    unit="varchar",
    gpu_h="double",
    machines_json="varchar",
    jobs_json="varchar",
    group_id="varchar",
    clear_s="double",
    history="varchar",
    is_flapping="boolean",
    told="varchar",
    told_severity="varchar",
    silenced_until="timestamp",
    done_by="varchar",
    note="varchar",
    request_id="varchar",
)
"""One row per thing that happened to an incident; incidents are what these rows add up to.

`happened_at`, `judged_at` and `since` are the cluster's own time, `recorded_at` and `silenced_until` the wall clock's. `told`: what the notice that
belongs to the event says. `group_id`: the incident under whose name this one is told. `history`: why it is not told.
"""

NOTICES = _meta(
    "notices",
    notice_id="varchar",
    seq="bigint",
    state="varchar",
    happened_at="timestamp",
    event_id="varchar",
    group_id="varchar",
    told="varchar",
    severity="varchar",
    audience="varchar",
    channel="varchar",
    attempts="bigint",
    reply_code="bigint",
    reply="varchar",
    message_json="varchar",
)
"""One row per step of a notice to one channel: queued, then sent, failed or put off (retry). The last one counts.

`notice_id` is the same however often it is tried. In shadow mode the state is shadow: recorded, never sent.
"""

JUDGINGS = _meta(
    "judgings",
    build_id="bigint",
    cluster_id="varchar",
    cluster_now="timestamp",
    judged_at="timestamp",
    findings="bigint",
    firing="bigint",
    judged_until="timestamp",
)
"""One row per cluster (empty: the lake itself) and time that rules judged it, with the end of the data that they saw. The first one makes history and tells nobody."""

META_TABLES = (
    LANDINGS,
    QUARANTINE,
    OFFSETS,
    CLUSTERS,
    PRICES,
    BUILDS,
    FULL_BUILD_STARTS,
    PUBLICATIONS,
    PUBLISHED_LANDINGS,
    SCORES,
    HOUR_SCORES,
    JOB_SCORES,
    SCORINGS,
    MODELS,
    BACKTESTS,
    ALERT_EVENTS,
    NOTICES,
    JUDGINGS,
)


def bronze_tables(sources: Iterable[Source]) -> tuple[LakeTable, ...]:
    """The bronze tables of some sources: as delivered, plus lineage. Tables that share one bronze table are united."""
    columns: dict[str, dict[str, str]] = {}
    for source in sources:
        for table in source.tables:
            united = columns.setdefault(table.bronze, {})
            for column in table.columns:
                united.setdefault(column.name, column.sql_type)
    return tuple(
        LakeTable("main", name, (*united.items(), *LINEAGE_COLUMNS)) for name, united in sorted(columns.items())
    )
