"""NVIDIA devices as `nvidia-smi -q` describes them, in XML or as text: from named readings to a table's columns.

A reading's path joins the names that it stands under. Those of the text, in lower case and with underscores, are mostly
the XML's; where a driver renamed one, the names stand here in the order in which they are asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from gpulake.sources.parsing.naming import bus_id

MONTHS = {name: number for number, name in enumerate("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), 1)}  # noqa: SIM905
_WRITTEN = re.compile(r"\w{3} (\w{3}) +(\d{1,2}) (\d{2}:\d{2}:\d{2}) (\d{4})")
_NUMBER = re.compile(r"(-?\d+(?:\.\d+)?)(?: ?[A-Za-z%/]+)?")

ABSENT = frozenset(
    {
        "",
        "n/a",
        "not supported",
        "not available",
        "not active",
        "unknown error",
        "insufficient permissions",
        "err!",
        "requested functionality has been deprecated",
        "gpu requires reset",
        "gpu is lost",
        "none",
    }
)
"""What nvidia-smi writes in place of a reading, also in brackets. "Not Active" is one of a reason for slow clocks alone."""

TEXTS: Mapping[str, tuple[str, ...]] = {
    "gpu_uuid": ("uuid", "gpu_uuid"),
    "product_name": ("product_name",),
}

NUMBERS: Mapping[str, tuple[str, ...]] = {
    "memory_total_mib": ("fb_memory_usage/total",),
    "memory_used_mib": ("fb_memory_usage/used",),
    "gpu_util_pct": ("utilization/gpu_util", "utilization/gpu"),
    "memory_util_pct": ("utilization/memory_util", "utilization/memory"),
    "power_draw_w": (
        "gpu_power_readings/power_draw",
        "gpu_power_readings/average_power_draw",
        "power_readings/power_draw",
        "power_readings/average_power_draw",
    ),
    "power_draw_instant_w": (
        "gpu_power_readings/instant_power_draw",
        "gpu_power_readings/instantaneous_power_draw",
    ),
    "power_limit_w": (
        "gpu_power_readings/current_power_limit",
        "power_readings/enforced_power_limit",
        "power_readings/power_limit",
    ),
    "temperature_c": ("temperature/gpu_temp", "temperature/gpu_current_temp"),
    "temperature_slowdown_c": ("temperature/gpu_temp_slow_threshold", "temperature/gpu_slowdown_temp"),
    "temperature_margin_c": ("temperature/gpu_temp_tlimit", "temperature/gpu_t.limit_temp"),
    "memory_temperature_c": ("temperature/memory_temp", "temperature/memory_current_temp"),
    "sm_clock_mhz": ("clocks/sm_clock", "clocks/sm"),
    "mem_clock_mhz": ("clocks/mem_clock", "clocks/memory"),
    "pcie_rx_kb_per_s": ("pci/rx_util", "pci/rx_throughput"),
    "pcie_tx_kb_per_s": ("pci/tx_util", "pci/tx_throughput"),
    "pcie_replays": ("pci/replay_counter", "pci/replays_since_reset"),
    "remapped_rows_correctable": ("remapped_rows/remapped_row_corr", "remapped_rows/correctable_error"),
    "remapped_rows_uncorrectable": ("remapped_rows/remapped_row_unc", "remapped_rows/uncorrectable_error"),
    "row_remap_pending": ("remapped_rows/remapped_row_pending", "remapped_rows/pending"),
    "row_remap_failed": ("remapped_rows/remapped_row_failure", "remapped_rows/remapping_failure_occurred"),
}

_CORRECTED = ("sram_correctable", "dram_correctable")
_UNCORRECTED = (
    "sram_uncorrectable",
    "sram_uncorrectable_parity",
    "sram_uncorrectable_secded",
    "sram_uncorrectable_sec-ded",
    "dram_uncorrectable",
)
SUMS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    f"ecc_{kind}_{life}": (f"ecc_errors/{life}/{old}/total", tuple(f"ecc_errors/{life}/{part}" for part in parts))
    for life in ("volatile", "aggregate")
    for kind, old, parts in (("sbe", "single_bit", _CORRECTED), ("dbe", "double_bit", _UNCORRECTED))
}
"""Counts of errors: older drivers give a total, later ones its parts, of which a device has some."""

REASONS: Mapping[str, int] = {
    "gpu_idle": 0x1,
    "idle": 0x1,
    "applications_clocks_setting": 0x2,
    "sw_power_cap": 0x4,
    "hw_slowdown": 0x8,
    "sync_boost": 0x10,
    "sw_thermal_slowdown": 0x20,
    "hw_thermal_slowdown": 0x40,
    "hw_power_brake_slowdown": 0x80,
    "display_clocks_setting": 0x100,
    "display_clock_setting": 0x100,
}
"""Why clocks are lower than they could be: NVML's bit of each reason, by its names."""

_REASON = re.compile(r"clocks_(?:event|throttle)_reasons/(?:.*/)?(?:clocks_(?:event|throttle)_reason_)?(\w+)")


@dataclass(frozen=True)
class Device:
    """One device of a snapshot, the line at which it begins, and its readings by path; a MIG device has those of its GPU's."""

    line: int
    readings: Mapping[str, str]
    mig: tuple[Device, ...] = ()


@dataclass(frozen=True)
class Fault:
    """What could not be read: the line at which it begins, why, and what stands there."""

    line: int
    reason: str
    text: str


@dataclass(frozen=True)
class Snapshot:
    """What one run of nvidia-smi said. `profiles` are MIG profiles by place of the GPU and of the device on it."""

    readings: Mapping[str, str]
    devices: tuple[Device, ...]
    faults: tuple[Fault, ...] = ()
    profiles: Mapping[tuple[int, int], str] = field(default_factory=dict)


def rows_of(snapshot: Snapshot, *, machine: str, no_machine: str) -> Iterator[dict[str, object]]:
    """One row per GPU and per MIG device of a snapshot, and one per fault."""
    at, why = moment_of(snapshot.readings.get("timestamp"))
    why = why or ("" if machine else no_machine)
    is_whole = known(snapshot.readings.get("attached_gpus")) == str(len(snapshot.devices)) and not snapshot.faults
    for place, device in enumerate(snapshot.devices):
        whole = {
            "machine": machine,
            "sampled_at": at,
            "driver_version": known(snapshot.readings.get("driver_version")),
            "attached_gpus": number_of(snapshot.readings.get("attached_gpus")),
            "gpu_index": float(place) if is_whole else None,
            "pci_bus_id": bus_id(known(first_of(device.readings, ("pci/pci_bus_id", "pci/bus_id", "id")))),
            **{column: known(first_of(device.readings, paths)) for column, paths in TEXTS.items()},
        }
        reason = why or ("" if whole["gpu_uuid"] or whole["pci_bus_id"] else "it names no GPU")
        shown = {"reason": reason or None, "raw_text": text_of(device.readings) if reason else None}
        yield {"source_row": device.line, **whole, **_measured(device.readings), **shown}
        for part in device.mig:
            yield {
                "source_row": part.line,
                **whole,
                **_of_instance(part.readings),
                "mig_profile": _profile(snapshot, place, part),
                **shown,
            }
    for fault in snapshot.faults:
        yield {"source_row": fault.line, "reason": fault.reason, "raw_text": fault.text}


def moment_of(written: str | None) -> tuple[str | None, str]:
    """`Fri Aug  4 11:44:30 2023` as ISO 8601 without an offset, or why it is none."""
    if not known(written):
        return None, "it has no timestamp: nothing says when it was taken"
    found = _WRITTEN.fullmatch((written or "").strip())
    if not found or found[1] not in MONTHS:
        return None, "its timestamp cannot be read"
    return f"{found[4]}-{MONTHS[found[1]]:02}-{int(found[2]):02}T{found[3]}", ""


def known(text: str | None) -> str | None:
    """A reading's text, or None where nvidia-smi says that there is none."""
    stripped = (text or "").strip().removeprefix("[").removesuffix("]")
    return None if stripped.lower() in ABSENT else (text or "").strip()


def number_of(text: str | None) -> float | None:
    """The number at the start of a reading, whatever its unit; Yes is 1 and No is 0."""
    written = known(text)
    if written in {"Yes", "No"}:
        return float(written == "Yes")
    found = _NUMBER.fullmatch(written or "")
    return float(found[1]) if found else None


def first_of(readings: Mapping[str, str], paths: Iterable[str]) -> str | None:
    """The first reading that is there, of several names for one."""
    return next((readings[path] for path in paths if known(readings.get(path)) is not None), None)


def text_of(readings: Mapping[str, str]) -> str:
    """Readings as text, for a row that is refused."""
    return "; ".join(f"{path} {text}" for path, text in readings.items())[:2000]


def _measured(readings: Mapping[str, str]) -> dict[str, object]:
    return {
        **{column: number_of(first_of(readings, paths)) for column, paths in NUMBERS.items()},
        **{column: _sum_of(readings, total, parts) for column, (total, parts) in SUMS.items()},
        "clocks_event_reasons": _reasons(readings),
    }


def _sum_of(readings: Mapping[str, str], total: str, parts: Sequence[str]) -> float | None:
    whole = number_of(readings.get(total))
    counts = [count for part in parts if (count := number_of(readings.get(part))) is not None]
    return whole if whole is not None else sum(counts) if counts else None


def _reasons(readings: Mapping[str, str]) -> float | None:
    """The bit mask, where the driver says of any reason whether it holds."""
    states = {
        REASONS[found[1]]: text.strip()
        for path, text in readings.items()
        if (found := _REASON.fullmatch(path)) and found[1] in REASONS
    }
    if not {"Active", "Not Active"} & set(states.values()):
        return None
    return float(sum(bit for bit, state in states.items() if state == "Active"))


def _of_instance(readings: Mapping[str, str]) -> dict[str, object]:
    return {
        "mig_gpu_instance": known(readings.get("gpu_instance_id")),
        "mig_compute_instance": known(readings.get("compute_instance_id")),
        "memory_total_mib": number_of(first_of(readings, ("fb_memory_usage/total", "shared_fb_memory_usage/total"))),
        "memory_used_mib": number_of(first_of(readings, ("fb_memory_usage/used", "shared_fb_memory_usage/used"))),
    }


def _profile(snapshot: Snapshot, place: int, part: Device) -> str | None:
    index = known(part.readings.get("index"))
    return snapshot.profiles.get((place, int(index))) if index and index.isdigit() else None
