"""One job is found wherever it lies: its user is where to look first, and no condition."""

from __future__ import annotations

import pyarrow as pa
import pytest

from gpulake.lake import in_memory
from gpulake.reading.jobs import job_row, verdict_on
from gpulake.reading.scope import Cluster, Scope

CLUSTER = Cluster("c", "pai2020", "UTC", "real", None, None, None, None)
JOBS = {"held": "ann", "moved": "bob", "nobody's": None, "never held": "ann"}
OF_DAYS = {"held": "ann", "moved": "ann", "nobody's": None}
"""By job, whose it is: a day may still say what a later delivery has corrected."""


@pytest.fixture(scope="module")
def scope():
    def table(users):
        named = {"cluster_id": ["c"] * len(users), "job_id": [*users], "user_id": [*users.values()]}
        return pa.table(named, schema=pa.schema([(name, pa.string()) for name in named]))

    judged = table(JOBS)
    for name in ("judgement", "anomaly_reason"):
        judged = judged.append_column(name, pa.array([f"{name} of {job}" for job in JOBS]))
    tables = {"gold_jobs": table(JOBS), "gold_job_efficiency_daily": table(OF_DAYS), "gold_job_anomalies": judged}
    with in_memory(tables) as view:
        yield Scope(view, clusters=(CLUSTER,))


@pytest.mark.parametrize("job", JOBS)
def test_a_job_is_found_whosever_it_is(scope, job):
    row = job_row(scope, job)
    assert row == {"cluster_id": "c", "job_id": job, "user_id": JOBS[job]}
    assert verdict_on(scope, row)["judgement"] == f"judgement of {job}"


def test_there_is_no_row_of_another_name(scope):
    assert job_row(scope, "hel") is None
