"""Whether this machine's GPUs answer, and what their driver tells of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gpulake.collecting import Asked
from gpulake.collecting.nvml import SAMPLE_NUMBERS, opened
from gpulake.collecting.nvml_devices import LostError, devices, sample
from gpulake.doctor import Check, Found, fail, ok, warn
from gpulake.errors import SourceError
from gpulake.telling.words import counted


def look(_asked: Asked, *, nvml: Any = None) -> Iterator[Found]:  # the module
    """Measure each GPU once. Raises SourceError without a driver, UsageError without its library."""
    with opened(nvml) as library:
        try:
            count = int(library.nvmlDeviceGetCount())
        except library.NVMLError as error:
            raise SourceError(f"NVML does not count its GPUs: {error}.", where="NVML", do="nvidia-smi -L") from error
        if not count:
            raise SourceError("NVML sees no GPU.", where="NVML", do="nvidia-smi -L")
        yield ok(counted(count, "GPU"))
        never = set(SAMPLE_NUMBERS)
        for index in range(count):
            try:
                never -= {name for name, value in sample(library, devices(library, index)).items() if value is not None}
            except LostError as error:
                yield fail(
                    SourceError(
                        f"GPU {index} does not answer: {error}.", where="NVML", do="drain the machine and reset it"
                    )
                )
        if never:
            yield warn(
                f"its driver does not tell {', '.join(sorted(never))}",
                do="nothing, where the card has none of it; they stay null",
            )


CHECK = Check("nvml", look)
