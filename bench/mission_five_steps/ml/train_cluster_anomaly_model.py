"""Fit the scaler and the forest on the daily table and save both."""

from __future__ import annotations

import os
from pathlib import Path

import duckdb
import joblib
from sklearn.ensemble import IsolationForest
from sklearn.preprocessing import StandardScaler

FEATURES = ["avg_gpu_util", "p95_gpu_util", "avg_cpu_util"]


def main() -> None:
    """Train on every day."""
    home = Path(os.environ["MISSION_HOME"])
    with duckdb.connect(os.environ["DUCKDB_PATH"], read_only=True) as connection:
        days = connection.execute("select * from gold_cluster_util_daily order by dt").df().dropna(subset=FEATURES)
    scaler = StandardScaler()
    scaled = scaler.fit_transform(days[FEATURES])
    model = IsolationForest(n_estimators=100, contamination=0.05, random_state=42)
    model.fit(scaled)
    joblib.dump(model, home / "cluster_anomaly_iforest.joblib")
    joblib.dump(scaler, home / "cluster_anomaly_scaler.joblib")


if __name__ == "__main__":
    main()
