"""What NVML says of a GPU or a MIG device, as a row of plain GPU samples: units are the lake's, and what it cannot say is null.

The library is handed in, so that a test needs no GPU. A call that a device does not support costs that value only; one
that says that the device is gone is the caller's to hear.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

_LOST = 15, 16
"""NVML_ERROR_GPU_IS_LOST and NVML_ERROR_RESET_REQUIRED: the device answers nothing any more."""

_NVLINK_ERRORS = (
    "NVML_FI_DEV_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL",
    "NVML_FI_DEV_NVLINK_CRC_DATA_ERROR_COUNT_TOTAL",
    "NVML_FI_DEV_NVLINK_REPLAY_ERROR_COUNT_TOTAL",
    "NVML_FI_DEV_NVLINK_RECOVERY_ERROR_COUNT_TOTAL",
)
_VALUE_PLACES = (
    ("NVML_VALUE_TYPE_DOUBLE", "dVal"),
    ("NVML_VALUE_TYPE_UNSIGNED_INT", "uiVal"),
    ("NVML_VALUE_TYPE_UNSIGNED_LONG", "ulVal"),
    ("NVML_VALUE_TYPE_UNSIGNED_LONG_LONG", "ullVal"),
    ("NVML_VALUE_TYPE_SIGNED_LONG_LONG", "sllVal"),
    ("NVML_VALUE_TYPE_SIGNED_INT", "siVal"),
    ("NVML_VALUE_TYPE_UNSIGNED_SHORT", "usVal"),
)
"""In which member of NVML's union a field's value stands, by its type."""

_PROFILE = re.compile(r"MIG (\S+)$")


class LostError(Exception):
    """The driver says that a device is gone, or does nothing more until it is reset."""


@dataclass(frozen=True)
class Device:
    """One GPU, or one MIG device of it. `handle` is NVML's."""

    index: int
    handle: Any  # a C pointer of NVML's
    uuid: str | None
    facts: Mapping[str, object]
    mig_id: str | None = None
    parts: tuple[Device, ...] = field(default=())


def devices(nvml: Any, index: int) -> Device:  # the module
    """The GPU of an index, with its MIG devices. Raises LostError."""
    handle = _must(nvml, nvml.nvmlDeviceGetHandleByIndex, index)
    read = _Reader(nvml, handle)
    bus = read.value("nvmlDeviceGetPciInfo")
    memory = read.memory()
    facts: dict[str, object] = {
        "gpu_model": _text(read.value("nvmlDeviceGetName")),
        "memory_bytes": float(memory.total) if memory is not None else None,
        "pci_bus_id": _text(getattr(bus, "busId", None)),
        "driver_version": _text(_optional(nvml, nvml.nvmlSystemGetDriverVersion)),
    }
    whole = Device(index, handle, _text(read.value("nvmlDeviceGetUUID")), facts)
    return Device(index, handle, whole.uuid, facts, parts=_parts(nvml, whole))


def sample(nvml: Any, device: Device) -> dict[str, object]:  # the module
    """What a device measures now. Raises LostError. A MIG device measures its memory only."""
    read = _Reader(nvml, device.handle)
    memory = read.memory()
    row: dict[str, object] = {
        "gpu_index": device.index,
        "gpu_uuid": device.uuid,
        "mig_id": device.mig_id,
        "memory_used_bytes": float(memory.used) if memory is not None else None,
        "memory_total_bytes": float(memory.total) if memory is not None else None,
    }
    return row if device.mig_id else {**row, **_of_gpu(nvml, read)}


def _of_gpu(nvml: Any, read: _Reader) -> dict[str, object]:  # the module
    use = read.value("nvmlDeviceGetUtilizationRates")
    rows = read.value("nvmlDeviceGetRemappedRows") or (None,) * 4
    reasons = (
        "nvmlDeviceGetCurrentClocksEventReasons"
        if hasattr(nvml, "nvmlDeviceGetCurrentClocksEventReasons")
        else "nvmlDeviceGetCurrentClocksThrottleReasons"
    )
    return {
        "gpu_util_pct": getattr(use, "gpu", None),
        "mem_copy_util_pct": getattr(use, "memory", None),
        "power_w": _scaled(read.value("nvmlDeviceGetPowerUsage"), 1e-3),
        "power_limit_w": _scaled(read.value("nvmlDeviceGetEnforcedPowerLimit"), 1e-3),
        "energy_j": _scaled(read.value("nvmlDeviceGetTotalEnergyConsumption"), 1e-3),
        "temperature_c": read.value("nvmlDeviceGetTemperature", nvml.NVML_TEMPERATURE_GPU),
        "memory_temperature_c": read.fields("NVML_FI_DEV_MEMORY_TEMP")[0],
        "sm_clock_hz": _scaled(read.value("nvmlDeviceGetClockInfo", nvml.NVML_CLOCK_SM), 1e6),
        "mem_clock_hz": _scaled(read.value("nvmlDeviceGetClockInfo", nvml.NVML_CLOCK_MEM), 1e6),
        "clocks_event_reasons": read.value(reasons),
        "pcie_rx_bytes_per_s": _scaled(read.value("nvmlDeviceGetPcieThroughput", nvml.NVML_PCIE_UTIL_RX_BYTES), 1e3),
        "pcie_tx_bytes_per_s": _scaled(read.value("nvmlDeviceGetPcieThroughput", nvml.NVML_PCIE_UTIL_TX_BYTES), 1e3),
        **{
            f"ecc_{kind}_{life}": read.value("nvmlDeviceGetTotalEccErrors", error, counter)
            for kind, error in (
                ("sbe", nvml.NVML_MEMORY_ERROR_TYPE_CORRECTED),
                ("dbe", nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED),
            )
            for life, counter in (("volatile", nvml.NVML_VOLATILE_ECC), ("aggregate", nvml.NVML_AGGREGATE_ECC))
        },
        "remapped_rows_correctable": rows[0],
        "remapped_rows_uncorrectable": rows[1],
        "row_remap_pending": rows[2],
        "row_remap_failed": rows[3],
        "pcie_replays": read.value("nvmlDeviceGetPcieReplayCounter"),
        "nvlink_errors": _sum(read.fields(*_NVLINK_ERRORS)),
    }


def _parts(nvml: Any, whole: Device) -> tuple[Device, ...]:  # the module
    mode = _optional(nvml, nvml.nvmlDeviceGetMigMode, whole.handle)
    if not mode or not mode[0]:
        return ()
    found = []
    for place in range(int(_optional(nvml, nvml.nvmlDeviceGetMaxMigDeviceCount, whole.handle) or 0)):
        handle = _optional(nvml, nvml.nvmlDeviceGetMigDeviceHandleByIndex, whole.handle, place)
        if handle is None:
            continue
        read = _Reader(nvml, handle)
        instance, compute = read.value("nvmlDeviceGetGpuInstanceId"), read.value("nvmlDeviceGetComputeInstanceId")
        memory = read.memory()
        profile = _PROFILE.search(_text(read.value("nvmlDeviceGetName")) or "")
        facts = {
            **whole.facts,
            "mig_profile": profile[1] if profile else None,
            "memory_bytes": float(memory.total) if memory is not None else None,
        }
        mig_id = f"{instance}/{compute}" if compute else f"{instance}"
        found.append(Device(whole.index, handle, whole.uuid, facts, mig_id=mig_id))
    return tuple(found)


@dataclass(frozen=True)
class _Reader:
    """Calls of NVML for one device: what is not supported is None."""

    nvml: Any  # the module
    handle: Any  # a C pointer of NVML's

    def value(self, name: str, *arguments: Any) -> Any:  # whatever NVML gives
        call = getattr(self.nvml, name, None)
        return None if call is None else _optional(self.nvml, call, self.handle, *arguments)

    def memory(self) -> Any:  # a structure of NVML's
        """Total and used; what the driver keeps for itself is not used, as nvidia-smi counts, where it tells them apart."""
        version = getattr(self.nvml, "nvmlMemory_v2", None)
        apart = self.value("nvmlDeviceGetMemoryInfo", version) if version else None
        return apart if apart is not None else self.value("nvmlDeviceGetMemoryInfo")

    def fields(self, *names: str) -> list[Any]:  # whatever NVML gives
        ids = [getattr(self.nvml, name) for name in names if hasattr(self.nvml, name)]
        values = self.value("nvmlDeviceGetFieldValues", ids) if ids else None
        return [_field(self.nvml, value) for value in values] if values else [None]


def _field(nvml: Any, value: Any) -> Any:  # whatever NVML gives
    if value.nvmlReturn != nvml.NVML_SUCCESS:
        return None
    kind = {getattr(nvml, name, None): place for name, place in _VALUE_PLACES}.get(value.valueType)
    return getattr(value.value, kind) if kind else None


def _must(nvml: Any, call: Callable[..., Any], *arguments: Any) -> Any:  # whatever NVML gives
    try:
        return call(*arguments)
    except nvml.NVMLError as error:
        raise LostError(str(error)) from error


def _optional(nvml: Any, call: Callable[..., Any], *arguments: Any) -> Any:  # whatever NVML gives
    try:
        return call(*arguments)
    except nvml.NVMLError as error:
        if getattr(error, "value", None) in _LOST:
            raise LostError(str(error)) from error
        return None


def _text(value: object) -> str | None:
    """Older versions of the library give bytes."""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    return str(text) if text else None


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def _sum(values: list[Any]) -> Any:  # numbers of NVML's
    known = [value for value in values if value is not None]
    return sum(known) if known else None
