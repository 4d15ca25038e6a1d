"""Alibaba PAI 2020 (cluster-trace-gpu-v2020): jobs, tasks, instances, sensors and machines of two months.

The publisher ships data and header apart: the files have no header row, empty means null, numbers are float text.
Times are seconds since an unknown day; read as Unix time in Asia/Shanghai their hour and weekday are right, their
date is not. A time at or below 0 is "not known". Licence and columns: the trace's own README.
"""

from __future__ import annotations

from gpulake.contract import Column, Download, Source, Span, Table

_HEX12, _HEX24, _HEX60 = "[0-9a-f]{12}", "[0-9a-f]{24}", "[0-9a-f]{60}"
_WORD = "[A-Za-z][A-Za-z0-9_]*"
_ADDRESS = "https://aliopentrace.oss-cn-beijing.aliyuncs.com/v2020GPUTraces"
_SPAN = Span("start_time", "end_time", null_at_or_below=0.0)


def _text(name: str, pattern: str = "", *, required: bool = False) -> Column:
    return Column(name, "text", required=required, pattern=pattern)


def _number(name: str, unit: str) -> Column:
    return Column(name, "number", unit=unit)


def _download(table: str, size: int, sha256: str) -> Download:
    return Download(table, f"{table}.tar.gz", f"{_ADDRESS}/{table}.tar.gz", size, sha256)


JOB = Table(
    name="pai_job_table",
    bronze="bronze_job_events",
    stems=("pai_job_table",),
    key=("job_name",),
    span=_SPAN,
    published_sha256="379ecb3becaba347f44a53bf7eb53e54b185221b2a0338a3f828828d269ba96c",
    columns=(
        _text("job_name", _HEX24, required=True),
        _text("inst_id", _HEX60),
        _text("user", _HEX12),
        _text("status", _WORD),
        _number("start_time", "s, submission"),
        _number("end_time", "s"),
    ),
)

TASK = Table(
    name="pai_task_table",
    bronze="bronze_task_table",
    stems=("pai_task_table",),
    key=("job_name", "task_name"),
    span=_SPAN,
    published_sha256="6954802b457305f8a9e480ef97c40060baee59649fd3adc62c5a1e048aa058de",
    columns=(
        _text("job_name", _HEX24, required=True),
        _text("task_name", _WORD, required=True),
        _number("inst_num", "instances"),
        _text("status", _WORD),
        _number("start_time", "s"),
        _number("end_time", "s"),
        _number("plan_cpu", "percent of a core, per instance"),
        _number("plan_mem", "GiB, per instance"),
        _number("plan_gpu", "percent of a GPU, per instance; null is CPU-only"),
        _text("gpu_type", _WORD),
    ),
)

INSTANCE = Table(
    name="pai_instance_table",
    bronze="bronze_instance_table",
    stems=("pai_instance_table",),
    key=("job_name", "task_name", "inst_name", "worker_name", "start_time"),
    span=_SPAN,
    published_sha256="b179f7d7e0927a6663d719b728c92640447c5a0fc3c6e4edff31e7207ab9dd17",
    columns=(
        _text("job_name", _HEX24, required=True),
        _text("task_name", _WORD),
        _text("inst_name", _HEX60),
        _text("worker_name", _HEX60),
        _text("inst_id", _HEX60),
        _text("status", _WORD),
        _number("start_time", "s"),
        _number("end_time", "s"),
        _text("machine", _HEX24),
    ),
)

SENSOR = Table(
    name="pai_sensor_table",
    bronze="bronze_sensor_table",
    stems=("pai_sensor_table",),
    key=("job_name", "worker_name"),
    published_sha256="12dd9929b70f3efe18d1279d9873e3a519c64f431613b23b059ed8c46a376dd7",
    columns=(
        _text("job_name", _HEX24, required=True),
        _text("task_name", _WORD),
        _text("worker_name", _HEX60, required=True),
        _text("inst_id", _HEX60),
        _text("machine", _HEX24),
        _text("gpu_name"),
        _number("cpu_usage", "percent of a core, mean of the worker's life"),
        _number("gpu_wrk_util", "percent of a GPU, mean of the worker's life"),
        _number("avg_mem", "GiB"),
        _number("max_mem", "GiB"),
        _number("avg_gpu_wrk_mem", "GiB"),
        _number("max_gpu_wrk_mem", "GiB"),
        _number("read", "bytes per second in practice"),
        _number("write", "bytes per second in practice"),
        _number("read_count", "operations"),
        _number("write_count", "operations"),
    ),
)

GROUP_TAG = Table(
    name="pai_group_tag_table",
    bronze="bronze_group_tag_table",
    stems=("pai_group_tag_table",),
    key=("inst_id",),
    published_sha256="d23fcb56d88b2976fda4a62708d77b2a8c98635c4b443f100ed5553d4cd07fbe",
    columns=(
        _text("inst_id", _HEX60, required=True),
        _text("user", _HEX12),
        _text("gpu_type_spec", _WORD),
        _text("group", "[0-9a-f]+"),
        _text("workload", _WORD),
    ),
)

MACHINE_SPEC = Table(
    name="pai_machine_spec",
    bronze="bronze_machine_spec",
    stems=("pai_machine_spec",),
    key=("machine",),
    shapes_history=True,
    published_sha256="251e9e33649155a6a935fdc1dc0e90cd4698206936b60bd8fce60ff2ccd51439",
    columns=(
        _text("machine", _HEX24, required=True),
        _text("gpu_type", _WORD),
        _number("cap_cpu", "logical cores"),
        _number("cap_mem", "GiB"),
        _number("cap_gpu", "GPUs"),
    ),
)

MACHINE_METRIC = Table(
    name="pai_machine_metric",
    bronze="bronze_machine_metrics",
    stems=("pai_machine_metric",),
    key=("worker_name", "machine", "start_time", "end_time"),
    span=_SPAN,
    published_sha256="8b6592daab0373ef7fec730198b4df5891b1722c2ab4c7016249166e131402d3",
    columns=(
        _text("worker_name", _HEX60),
        _text("machine", _HEX24, required=True),
        _number("start_time", "s"),
        _number("end_time", "s"),
        _number("machine_cpu_iowait", "percent of the machine"),
        _number("machine_cpu_kernel", "percent of the machine"),
        _number("machine_cpu_usr", "percent of the machine"),
        _number("machine_gpu", "percent, summed over the machine's GPUs"),
        _number("machine_load_1", "processes"),
        _number("machine_net_receive", "bytes per second"),
        _number("machine_num_worker", "workers, mean"),
        _number("machine_cpu", "percent of the machine"),
    ),
)

SOURCE = Source(
    name="pai2020",
    title="Alibaba PAI 2020 GPU trace (cluster-trace-gpu-v2020)",
    licence="CC-BY-4.0",
    time_zone="Asia/Shanghai",
    time_basis="offset",
    has_lifetime_means=True,
    tables=(JOB, TASK, INSTANCE, SENSOR, GROUP_TAG, MACHINE_SPEC, MACHINE_METRIC),
    kaggle_dataset="derrickmwiti/cluster-trace-gpu-v2020",
    downloads=(
        _download("pai_job_table", 62065432, "5aad7f7caac501136d14ed6a48e40546f825d7b0617a3a4f337e2348fe0a6cb0"),
        _download("pai_task_table", 35514117, "cd1d6dc3215d2a8607ccf6b6dd952b5db776df86926c73259fea7c1499ac40e5"),
        _download("pai_instance_table", 694839139, "1bf1e423a7ce3f8d086699801c362fd56a7182abdb234139e5ebbed97995ca06"),
        _download("pai_sensor_table", 406119947, "9a0b82e8bdf3949281e4ba1423d9b4b34847e52799eecb138966de46da69c7a0"),
        _download("pai_group_tag_table", 55064781, "722fef30b7fb7aa50dabd79155614b5423a9d65cf45a9b26c590d57725423a14"),
        _download("pai_machine_spec", 30449, "cc0d38a4045af1b1af8179de8b1b54b1ddd995e6160d6d061a6b1000f1276c2d"),
        _download("pai_machine_metric", 206596175, "53ad917193d3b1dd0f3055e723148b1f36c2f81789b014ea2930a7875892eef5"),
    ),
)
