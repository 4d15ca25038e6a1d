"""Score the daily table with the saved model and write gold_cluster_util_daily_scored."""

from __future__ import annotations

import os
from pathlib import Path

import duckdb
import joblib

FEATURES = ["avg_gpu_util", "p95_gpu_util", "avg_cpu_util"]


def main() -> None:
    """Score every day and replace the table."""
    home = Path(os.environ["MISSION_HOME"])
    model = joblib.load(home / "cluster_anomaly_iforest.joblib")
    scaler = joblib.load(home / "cluster_anomaly_scaler.joblib")
    with duckdb.connect(os.environ["DUCKDB_PATH"]) as connection:
        days = connection.execute("select * from gold_cluster_util_daily order by dt").df().dropna(subset=FEATURES)
        scaled = scaler.transform(days[FEATURES])
        days["anomaly_flag"] = (model.predict(scaled) == -1).astype(int)
        days["anomaly_score"] = model.decision_function(scaled)
        connection.register("scored", days)
        connection.execute("create or replace table gold_cluster_util_daily_scored as select * from scored")


if __name__ == "__main__":
    main()
