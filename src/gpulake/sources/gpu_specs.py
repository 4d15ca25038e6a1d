"""GPU models: our own cited table, shipped beside this file, and a scraped list, `tpu_gpus.csv`.

Both land in `bronze_gpu_specs`. Text of the scrape stays text: its "8 GB, GDDR6, 128 bit" is read in silver.
"""

from __future__ import annotations

from pathlib import Path

from gpulake.contract import Column, Source, Table

SHIPPED = Path(__file__).with_suffix(".csv")
"""The cited table that every lake starts with."""

CITED = Table(
    name="gpu_specs",
    bronze="bronze_gpu_specs",
    stems=("gpu_specs",),
    key=("gpu_model",),
    shapes_history=True,
    columns=(
        Column("gpu_model", "text", required=True),
        Column("architecture", "text"),
        Column("launch_year", "number", unit="year"),
        Column("memory_gib", "number", unit="GiB"),
        Column("memory_type", "text"),
        Column("memory_bandwidth_gb_per_s", "number", unit="GB/s"),
        Column("tdp_w", "number", unit="W"),
        Column("fp32_tflops", "number", unit="TFLOPS"),
        Column("fp16_tensor_tflops", "number", unit="TFLOPS, dense"),
        Column("interconnect", "text"),
        Column("source_url", "text"),
        Column("note", "text"),
    ),
)

SCRAPED = Table(
    name="tpu_gpus",
    bronze="bronze_gpu_specs",
    stems=("tpu_gpus",),
    key=("product_name", "gpu_chip"),
    shapes_history=True,
    columns=(
        Column("product_name", "text", required=True),
        Column("gpu_chip", "text"),
        Column("released", "text"),
        Column("bus", "text"),
        Column("memory", "text"),
        Column("gpu_clock", "text"),
        Column("memory_clock", "text"),
        Column("shaders_tmus_rops", "text"),
    ),
)

SOURCE = Source(
    name="gpu_specs",
    title="GPU model specifications",
    licence="facts from vendors' data sheets; the scrape carries its own terms and is never shipped",
    tables=(CITED, SCRAPED),
    kaggle_dataset="baraazaid/cpu-and-gpu-stats",
    shipped=(SHIPPED,),
    describes_cluster=False,
)
