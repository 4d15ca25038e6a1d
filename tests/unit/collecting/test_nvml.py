# ruff: noqa: N802  # the fake has the names of NVIDIA's library
"""The collector of NVML, against a library that answers as NVIDIA's does: no GPU is needed, and none was at hand."""

from __future__ import annotations

import io
from datetime import datetime, timedelta
from itertools import islice
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest

from gpulake.collecting import Asked
from gpulake.collecting.nvml import COLLECTOR, Watch, collect, plan
from gpulake.collecting.running import collect as run
from gpulake.config import Config
from gpulake.errors import SourceError
from gpulake.sources.plain import EVENTS, GPU_SAMPLES, GPUS

START = datetime(2026, 7, 1)  # noqa: DTZ001  # UTC, as the lake keeps it
MIB = 1 << 20


WORDS = {3: "Not Supported", 9: "Driver Not Loaded", 15: "GPU is lost"}


class NVMLError(Exception):
    """As the library's: the number of the error stands in `value`."""

    def __init__(self, value):
        super().__init__(WORDS[value])
        self.value = value


class FakeNvml:
    """The calls and the constants of pynvml that the collector uses. `lost` are GPUs that answer no more."""

    NVMLError = NVMLError
    NVML_SUCCESS = 0
    NVML_TEMPERATURE_GPU, NVML_CLOCK_SM, NVML_CLOCK_MEM = 0, 1, 2
    NVML_PCIE_UTIL_TX_BYTES, NVML_PCIE_UTIL_RX_BYTES = 0, 1
    NVML_MEMORY_ERROR_TYPE_CORRECTED, NVML_MEMORY_ERROR_TYPE_UNCORRECTED = 0, 1
    NVML_VOLATILE_ECC, NVML_AGGREGATE_ECC = 0, 1
    NVML_FI_DEV_MEMORY_TEMP = 82
    NVML_FI_DEV_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL = 38
    NVML_FI_DEV_NVLINK_CRC_DATA_ERROR_COUNT_TOTAL = 45
    NVML_FI_DEV_NVLINK_REPLAY_ERROR_COUNT_TOTAL = 52
    NVML_FI_DEV_NVLINK_RECOVERY_ERROR_COUNT_TOTAL = 59
    NVML_VALUE_TYPE_DOUBLE, NVML_VALUE_TYPE_UNSIGNED_INT = 0, 1
    NVML_VALUE_TYPE_UNSIGNED_LONG, NVML_VALUE_TYPE_UNSIGNED_LONG_LONG = 2, 3

    def __init__(self, gpus=2, *, lost=(), mig=(), unsupported=(), driver=True):
        self.gpus, self.lost, self.mig, self.unsupported = gpus, set(lost), set(mig), set(unsupported)
        self.driver, self.is_open = driver, False

    def answer(self, name, handle, value):
        if handle[0] in self.lost:
            raise NVMLError(15)
        if name in self.unsupported:
            raise NVMLError(3)
        return value

    def nvmlInit(self):
        if not self.driver:
            raise NVMLError(9)
        self.is_open = True

    def nvmlShutdown(self):
        self.is_open = False

    def nvmlDeviceGetCount(self):
        return self.gpus

    def nvmlSystemGetDriverVersion(self):
        return b"590.48.01"

    def nvmlDeviceGetHandleByIndex(self, index):
        return self.answer("handle", (index, None), (index, None))

    def nvmlDeviceGetUUID(self, handle):
        return self.answer("uuid", handle, f"GPU-{handle[0]}" if handle[1] is None else f"MIG-{handle[0]}-{handle[1]}")

    def nvmlDeviceGetName(self, handle):
        return self.answer("name", handle, "NVIDIA H100 80GB HBM3" + ("" if handle[1] is None else " MIG 3g.40gb"))

    def nvmlDeviceGetPciInfo(self, handle):
        return self.answer("pci", handle, SimpleNamespace(busId=f"00000000:{handle[0] + 1:02X}:00.0"))

    def nvmlDeviceGetMemoryInfo(self, handle):
        total = 80 * 1024 * MIB if handle[1] is None else 40 * 1024 * MIB
        return self.answer("memory", handle, SimpleNamespace(total=total, used=1024 * MIB, free=total - 1024 * MIB))

    def nvmlDeviceGetUtilizationRates(self, handle):
        return self.answer(
            "use" if handle[0] not in self.mig else "use of MIG", handle, SimpleNamespace(gpu=97, memory=11)
        )

    def nvmlDeviceGetPowerUsage(self, handle):
        return self.answer("power", handle, 433_780)

    def nvmlDeviceGetEnforcedPowerLimit(self, handle):
        return self.answer("limit", handle, 700_000)

    def nvmlDeviceGetTotalEnergyConsumption(self, handle):
        return self.answer("energy", handle, 12_345_678)

    def nvmlDeviceGetTemperature(self, handle, _sensor):
        return self.answer("temperature", handle, 53)

    def nvmlDeviceGetClockInfo(self, handle, clock):
        return self.answer("clock", handle, {1: 1980, 2: 2619}[clock])

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle):
        return self.answer("reasons", handle, 0x44)

    def nvmlDeviceGetPcieThroughput(self, handle, counter):
        return self.answer("pcie", handle, {0: 9139, 1: 19191}[counter])

    def nvmlDeviceGetTotalEccErrors(self, handle, error, counter):
        return self.answer("ecc", handle, {(0, 0): 1, (0, 1): 2, (1, 0): 3, (1, 1): 4}[error, counter])

    def nvmlDeviceGetRemappedRows(self, handle):
        return self.answer("rows", handle, (5, 6, 1, 0))

    def nvmlDeviceGetPcieReplayCounter(self, handle):
        return self.answer("replays", handle, 9)

    def nvmlDeviceGetFieldValues(self, handle, ids):
        def value(number):
            missing = number == 59
            return SimpleNamespace(
                nvmlReturn=3 if missing else 0, valueType=1, value=SimpleNamespace(uiVal=58 if number == 82 else 7)
            )

        return self.answer("fields", handle, [value(number) for number in ids])

    def nvmlDeviceGetMigMode(self, handle):
        return self.answer("mig", handle, [int(handle[0] in self.mig)] * 2)

    def nvmlDeviceGetMaxMigDeviceCount(self, handle):
        return self.answer("mig", handle, 7)

    def nvmlDeviceGetMigDeviceHandleByIndex(self, handle, place):
        if place > 1:
            raise NVMLError(3)
        return (handle[0], place)

    def nvmlDeviceGetGpuInstanceId(self, handle):
        return self.answer("instance", handle, handle[1] + 1)

    def nvmlDeviceGetComputeInstanceId(self, handle):
        return self.answer("instance", handle, handle[1])


class FakeWatch:
    """A clock that stands still but while somebody sleeps; `then` happens at a tick."""

    def __init__(self, then=None):
        self.at, self.then, self.sleeps = START, then or {}, 0

    def now(self):
        return self.at

    def sleep(self, rest_s):
        self.sleeps += 1
        self.at += timedelta(seconds=rest_s)
        if self.sleeps in self.then:
            self.then[self.sleeps]()


def asked(told=None, **options):
    values = {"every": 10.0, "for_": 30.0, "rotate": 300.0, "machine": "n1", **options}
    return Asked("c", START, {}, values, {}, tell=(told if told is not None else []).append)


def measured(nvml, *, watch=None, told=None, **options):
    """What is handed out, by table: the rows, without what is null."""
    watch = watch or FakeWatch()
    tables: dict[str, list[dict]] = {}
    for fetched in collect(asked(told, **options), nvml=nvml, watch=Watch(watch.now, watch.sleep)):
        rows = pq.read_table(io.BytesIO(fetched.content)).to_pylist()
        assert len(rows) == fetched.rows
        known = [{key: value for key, value in row.items() if value is not None} for row in rows]
        tables.setdefault(fetched.file_name.split(".")[0], []).extend(known)
    return tables


def test_every_reading_in_the_lakes_units():
    """Milliwatts, MHz, kB/s and millijoules are NVML's own; a figure a thousand times too large would be believed."""
    (first, *_) = measured(FakeNvml(1))["plain_gpu_samples"]

    assert START.isoformat() == first.pop("sampled_at").replace(tzinfo=None).isoformat()
    assert {
        "machine_id": "n1",
        "interval_s": 10,
        "sample_kind": "instant",
        "gpu_uuid": "GPU-0",
        "gpu_index": 0,
        "gpu_util_pct": 97,
        "mem_copy_util_pct": 11,
        "memory_used_bytes": 1024 * MIB,
        "memory_total_bytes": 80 * 1024 * MIB,
        "power_w": pytest.approx(433.78),
        "power_limit_w": 700,
        "energy_j": pytest.approx(12345.678),
        "temperature_c": 53,
        "memory_temperature_c": 58,
        "sm_clock_hz": 1.98e9,
        "mem_clock_hz": 2.619e9,
        "clocks_event_reasons": 0x44,
        "pcie_rx_bytes_per_s": 19_191_000,
        "pcie_tx_bytes_per_s": 9_139_000,
        "ecc_sbe_volatile": 1,
        "ecc_sbe_aggregate": 2,
        "ecc_dbe_volatile": 3,
        "ecc_dbe_aggregate": 4,
        "remapped_rows_correctable": 5,
        "remapped_rows_uncorrectable": 6,
        "row_remap_pending": 1,
        "row_remap_failed": 0,
        "pcie_replays": 9,
        "nvlink_errors": 21,
    } == first


def test_each_gpu_is_measured_at_each_tick_and_seen_once():
    """For 30 s every 10 s is three times: what is measured at the end belongs to the next span."""
    tables = measured(FakeNvml(2))

    assert [(second, gpu) for second in (0, 10, 20) for gpu in (0, 1)] == [
        (row["sampled_at"].second, row["gpu_index"]) for row in tables["plain_gpu_samples"]
    ]
    assert [("GPU-0", "00000000:01:00.0"), ("GPU-1", "00000000:02:00.0")] == [
        (row["gpu_uuid"], row["pci_bus_id"]) for row in tables["plain_gpus"]
    ]
    assert {"NVIDIA H100 80GB HBM3"} == {row["gpu_model"] for row in tables["plain_gpus"]}
    assert {"590.48.01"} == {row["driver_version"] for row in tables["plain_gpus"]}
    assert "plain_events" not in tables


def test_mig_devices_have_memory_and_a_profile_of_their_own():
    """A whole GPU's power must not be counted once for each of its parts."""
    tables = measured(FakeNvml(1, mig=[0], unsupported=["use of MIG"]), for_=10.0)
    gpu, one, other = tables["plain_gpu_samples"]

    assert "gpu_util_pct" not in gpu
    assert [("1", 40 * 1024 * MIB), ("2/1", 40 * 1024 * MIB)] == [
        (part["mig_id"], part["memory_total_bytes"]) for part in (one, other)
    ]
    assert {"GPU-0"} == {part["gpu_uuid"] for part in (gpu, one, other)}
    assert not {"power_w", "temperature_c"} & (one.keys() | other.keys())
    assert [None, "3g.40gb", "3g.40gb"] == [row.get("mig_profile") for row in tables["plain_gpus"]]


def test_what_a_device_does_not_support_is_null_and_the_rest_stands():
    """An older card has no ECC; that must cost neither its power nor the others."""
    nvml = FakeNvml(1, unsupported=["ecc", "rows", "fields", "use", "memory", "energy", "pci", "name"])
    (row, *_) = measured(nvml)["plain_gpu_samples"]

    assert (pytest.approx(433.78), 53) == (row["power_w"], row["temperature_c"])
    assert not [
        name for name in row if name.startswith(("ecc", "remap", "row_", "nvlink", "memory", "gpu_util", "energy"))
    ]


def test_a_gpu_that_falls_off_the_bus_is_told_once_and_the_others_go_on():
    """One dead card must not blind us to seven, nor fill the lake with its death."""
    nvml, told = FakeNvml(3), []
    watch = FakeWatch({2: lambda: nvml.lost.add(1), 4: lambda: nvml.lost.discard(1)})
    tables = measured(nvml, watch=watch, told=told, for_=60.0)

    assert [
        {
            "machine_id": "n1",
            "kind": "gpu_lost",
            "gpu_index": 1,
            "gpu_uuid": "GPU-1",
            "pci_bus_id": "00000000:02:00.0",
            "message": "GPU is lost",
        }
    ] == [{key: value for key, value in row.items() if key != "happened_at"} for row in tables["plain_events"]]
    assert {0: 6, 1: 4, 2: 6} == {
        gpu: sum(row["gpu_index"] == gpu for row in tables["plain_gpu_samples"]) for gpu in (0, 1, 2)
    }
    assert ["GPU 1 of n1 does not answer: GPU is lost"] == told
    assert 2 == sum(row["gpu_uuid"] == "GPU-1" for row in tables["plain_gpus"]), "it is seen again when it is back"


def test_a_gpu_that_is_gone_from_the_start_is_an_event_too():
    """Its uuid is not known, its place is."""
    tables = measured(FakeNvml(2, lost=[0]))

    assert [(0, None)] == [(row["gpu_index"], row.get("gpu_uuid")) for row in tables["plain_events"]]
    assert {1} == {row["gpu_index"] for row in tables["plain_gpu_samples"]}


@pytest.mark.parametrize("nvml", [FakeNvml(0), FakeNvml(driver=False)], ids=["no GPU", "no driver"])
def test_a_machine_without_gpus_is_told(nvml):
    """A service that measures nothing for a month and says nothing would be worse."""
    with pytest.raises(SourceError):
        measured(nvml)
    assert not nvml.is_open


def test_files_rotate_and_an_interrupt_loses_nothing():
    """Ctrl-C after seven minutes: five of them have landed, the other two are handed out at the end."""

    def stop():
        raise KeyboardInterrupt

    nvml, watch = FakeNvml(1), FakeWatch({42: stop})
    files = collect(asked(for_=None), nvml=nvml, watch=Watch(watch.now, watch.sleep))
    names = [(fetched.file_name, fetched.rows) for fetched in islice(files, 4)]
    with pytest.raises(KeyboardInterrupt):
        next(files)

    assert [
        ("plain_gpu_samples.n1.20260701T000000000000Z.parquet", 31),
        ("plain_gpus.n1.20260701T000000000000Z.parquet", 1),
        ("plain_gpu_samples.n1.20260701T000510000000Z.parquet", 11),
        ("plain_gpus.n1.20260701T000510000000Z.parquet", 1),
    ] == names
    assert not nvml.is_open


def test_a_slow_tick_is_left_out_and_not_caught_up():
    """A machine that hung for a minute must not be asked six times in a row."""
    watch = FakeWatch()
    watch.then = {1: lambda: setattr(watch, "at", watch.at + timedelta(seconds=35))}
    rows = measured(FakeNvml(1), watch=watch, for_=70.0)["plain_gpu_samples"]

    assert [0, 45, 50, 60] == [(row["sampled_at"].replace(tzinfo=None) - START).seconds for row in rows]


def test_what_it_writes_lands_as_plain_data(tmp_path, monkeypatch):
    """The road is that of any file: nothing is refused, and a second run adds what is new."""
    nvml = FakeNvml(2, lost=[1])
    ours = COLLECTOR.__class__(
        **{
            **{name: getattr(COLLECTOR, name) for name in COLLECTOR.__dataclass_fields__},
            "collect": lambda asked: collect(asked, nvml=nvml, watch=Watch((watch := FakeWatch()).now, watch.sleep)),
        }
    )
    options = {"every": 10.0, "for_": 30.0, "rotate": 300.0, "machine": "n1"}
    done = run(Config(lake=tmp_path / "lake"), ours, options=options, environ={}, cluster="c")

    assert done.error is None
    kept = {landing.table: landing.rows_kept for landing in done.land.landings if landing.source == "plain"}
    assert {GPU_SAMPLES.name: 3, GPUS.name: 1, EVENTS.name: 1} == kept
    assert {0} == {landing.rows_refused for landing in done.land.landings}


def test_a_plan_says_what_would_be_measured():
    """--dry-run needs no GPU."""
    assert ("all GPUs of n1 every 10 s, for 30 s; what was measured lands every 300 s",) == plan(asked())


def test_the_library_has_what_the_fake_has():
    """A fake that answers to other names than NVIDIA's library proves nothing."""
    pynvml = pytest.importorskip("pynvml", reason="the extra nvml is not installed")
    used = [name for name in dir(FakeNvml) if name.startswith(("nvml", "NVML"))]

    assert [] == [name for name in used if not hasattr(pynvml, name)]
    assert [] == [
        name for name in used if isinstance(ours := getattr(FakeNvml, name), int) and ours != getattr(pynvml, name)
    ]
    lost = pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)
    assert (15, "GPU is lost") == (lost.value, str(lost))
