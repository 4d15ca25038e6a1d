"""The five steps, one process each: python run.py DATA HOME."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROJECT = HERE / "dbt_project" / "gpu_telemetry"


def main(data: str, home: str) -> None:
    """Run all of it, stopping at the first step that fails."""
    folder = Path(home).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    env = {
        **os.environ,
        "MISSION_DATA_RAW": str(Path(data).absolute()),
        "MISSION_HOME": str(folder),
        "DUCKDB_PATH": str(folder / "telemetry.db"),
        "DBT_PROFILES_DIR": str(PROJECT),
        "DBT_TARGET_PATH": str(folder / "target"),
        "DBT_LOG_PATH": str(folder / "logs"),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }
    dbt = str(Path(sys.executable).with_name("dbt"))
    for command, where in (
        ([sys.executable, "pipelines/ingest_bronze.py"], HERE),
        ([dbt, "--no-version-check", "run"], PROJECT),
        ([dbt, "--no-version-check", "test"], PROJECT),
        ([sys.executable, "ml/train_cluster_anomaly_model.py"], HERE),
        ([sys.executable, "ml/score_cluster_anomalies.py"], HERE),
    ):
        subprocess.run(command, cwd=where, env=env, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main(*sys.argv[1:])
