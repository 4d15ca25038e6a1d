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
    select dt, avg_gpu_util, avg_gpu_util_swept, avg_cpu_util, avg_gpu_util_unweighted, avg_cpu_util_unweighted, coverage_ratio,
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


def bias(estimate: pa.ChunkedArray, truth: pa.ChunkedArray) -> float:
    """The mean difference, in percentage points: above 0 where the estimate is too high."""
    return float(np.nanmean(estimate.to_numpy() - truth.to_numpy()))


def correlation(estimate: pa.ChunkedArray, truth: pa.ChunkedArray) -> float:
    """Whether high days are high and low days low: 1 where they are so exactly."""
    return float(np.corrcoef(estimate.to_numpy(), truth.to_numpy())[0, 1])


def main(trace: Path, lake: Path) -> None:
    """Each way of computing a day against the same truth: that of all seconds, and that of the covered ones."""
    with open_publication(lake) as publication:
        days = publication.sql(DAYS)
    truth = pq.read_table(trace / "truth" / "days.parquet").sort_by("dt")
    days = days.filter(pc.is_in(days["dt"], truth["dt"]))
    gpu = truth["avg_gpu_util"]
    per_gpu = pc.divide(days["avg_gpu_util_unweighted"], days["gpus_per_machine"])
    spread = float(np.std(gpu.to_numpy()))
    print(f"{truth.num_rows} days; their true mean is {pc.mean(gpu).as_py():.1f} %, give or take {spread:.1f}")
    print("                                        against all seconds          against covered seconds")
    print("in percentage points (RMSE, bias)       GPU          CPU             GPU          CPU      ")
    for name, gpu_days, cpu_days in (
        ("mean of the rows, as delivered", days["avg_gpu_util_unweighted"], None),
        ("mean of the rows, per GPU", per_gpu, days["avg_cpu_util_unweighted"]),
        ("the sweep", days["avg_gpu_util_swept"], None),
        ("ours", days["avg_gpu_util"], days["avg_cpu_util"]),
    ):
        told = [
            "" if found is None else f"{rmse(found, truth[column]):4.1f} {bias(found, truth[column]):+5.1f}"
            for part in ("", "_covered")
            for found, column in ((gpu_days, f"avg_gpu_util{part}"), (cpu_days, f"avg_cpu_util{part}"))
        ]
        print(f"{name:36} {told[0]:12} {told[1]:15} {told[2]:12} {told[3]}".rstrip())
    print(
        f"correlation with the true days, GPU: mean of the rows {correlation(per_gpu, gpu):.2f}, "
        f"ours {correlation(days['avg_gpu_util'], gpu):.2f}"
    )
    coverage_off = pc.max(pc.abs(pc.subtract(days["coverage_ratio"], truth["coverage_ratio"]))).as_py()
    print(f"coverage_ratio: off by {coverage_off:.6f} at most")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
