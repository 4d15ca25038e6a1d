"""How far the published days are from a simulated fleet's truth: python docs/tutorial/compare_with_truth.py TRACE LAKE"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gpulake.lake import open_publication

DAYS = """
    select dt, avg_gpu_util, avg_cpu_util, avg_gpu_util_unweighted, avg_cpu_util_unweighted, coverage_ratio,
        (
            select sum(gpu_count) / count(*) from silver_machines where cluster_id = 'pai2020' and gpu_count > 0
        ) as gpus_per_machine
    from gold_cluster_util_daily
    where cluster_id = 'pai2020'
    order by dt
"""


def rmse(estimate: pa.ChunkedArray, truth: pa.ChunkedArray) -> float:
    """Root of the mean squared difference, in percentage points."""
    return float(np.sqrt(np.nanmean((estimate.to_numpy() - truth.to_numpy()) ** 2)))


def main(trace: Path, lake: Path) -> None:
    """Print one line per way of computing a day."""
    with open_publication(lake) as publication:
        days = publication.sql(DAYS)
    truth = pq.read_table(trace / "truth" / "days.parquet").sort_by("dt")
    days = days.filter(pc.is_in(days["dt"], truth["dt"]))
    gpu, cpu = truth["avg_gpu_util"], truth["avg_cpu_util"]
    per_gpu = pc.divide(days["avg_gpu_util_unweighted"], days["gpus_per_machine"])
    spread = float(np.std(gpu.to_numpy()))
    print(f"{truth.num_rows} days; their true mean is {pc.mean(gpu).as_py():.1f} %, give or take {spread:.1f}")
    print("off by, in percentage points (RMSE)        GPU    CPU")
    for name, gpu_off, cpu_off in (
        ("mean of the rows, as delivered", rmse(days["avg_gpu_util_unweighted"], gpu), None),
        ("mean of the rows, per GPU", rmse(per_gpu, gpu), rmse(days["avg_cpu_util_unweighted"], cpu)),
        ("ours, against all seconds", rmse(days["avg_gpu_util"], gpu), rmse(days["avg_cpu_util"], cpu)),
        (
            "ours, against covered seconds",
            rmse(days["avg_gpu_util"], truth["avg_gpu_util_covered"]),
            rmse(days["avg_cpu_util"], truth["avg_cpu_util_covered"]),
        ),
    ):
        print(f"{name:38} {gpu_off:7.1f} {'' if cpu_off is None else format(cpu_off, '6.1f')}")
    coverage_off = pc.max(pc.abs(pc.subtract(days["coverage_ratio"], truth["coverage_ratio"]))).as_py()
    print(f"coverage_ratio: off by {coverage_off:.6f} at most")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
