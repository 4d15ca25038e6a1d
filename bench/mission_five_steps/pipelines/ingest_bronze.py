"""CSV to Parquet with pandas, a whole table at a time."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd

DATASETS = {
    "pai_job_table.csv": "bronze_job_events.parquet",
    "pai_instance_table.csv": "bronze_instance_table.parquet",
    "pai_machine_metric.csv": "bronze_machine_metrics.parquet",
    "pai_machine_spec.csv": "bronze_machine_spec.parquet",
    "tpu_gpus.csv": "bronze_gpu_specs.parquet",
}


def main() -> None:
    """Convert each file and log its rows."""
    raw = Path(os.environ["MISSION_DATA_RAW"])
    bronze = Path(os.environ["MISSION_HOME"]) / "data_lake" / "bronze"
    bronze.mkdir(parents=True, exist_ok=True)
    for source, target in DATASETS.items():
        table = pd.read_csv(raw / source)
        table.to_parquet(bronze / target, index=False)
        print(f"{target}: {len(table):,} rows")


if __name__ == "__main__":
    main()
