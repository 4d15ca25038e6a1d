"""The machines of a site, their GPUs' identities, and the grid of moments at which they are measured."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from gpulake.errors import UsageError
from gpulake.simulate.curves import Floats, Ints
from gpulake.simulate.dice import Dice
from gpulake.simulate.site.models import A100, H100, Model

CLUSTER = "site"
DRIVER = "590.48.01"
BATCH, DEV = "train", "dev"

_CORES_PER_GPU, _MEMORY_MIB_PER_GPU = 16, 257_024
_SPREAD_OF_RESISTANCE, _SPREAD_OF_AMBIENT_C, _WARMER_AT_THE_BACK_C = 0.04, 1.0, 3.0
_BUSES = (0x0F, 0x1B, 0x3B, 0x43, 0x51, 0x5D, 0x8D, 0x9B, 0xA1, 0xAB, 0xBB, 0xC3, 0xCB, 0xD3, 0xDB, 0xE3)


@dataclass(frozen=True)
class Grid:
    """Whole local days of a zone in UTC seconds, and every how many seconds a sample is taken.

    A sample at t speaks for the time from there to the next, [t, t + every): use is its mean, everything else its value.
    """

    zone: str
    start_s: int
    end_s: int
    every_s: int

    @staticmethod
    def of(*, start: date, days: int, zone: str, every_s: int) -> Grid:
        """Days from local midnight to local midnight. Raises UsageError for an unknown zone, no days, or steps that do not fill an hour."""
        if days < 1:
            raise UsageError(f"days is {days}, but a site lives for one day at least", do="give --days 7")
        if every_s < 1 or 3_600 % every_s:
            raise UsageError(
                f"samples every {every_s} seconds do not fill an hour", do="give --every 30, or another part of 3600"
            )
        try:
            local = ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise UsageError(f"there is no time zone {zone!r}", do="give --zone Europe/Berlin") from error
        first, last = (datetime(day.year, day.month, day.day, tzinfo=local) for day in (start, start + timedelta(days)))
        return Grid(zone, int(first.timestamp()), int(last.timestamp()), every_s)

    def __len__(self) -> int:
        """Samples of one GPU."""
        return (self.end_s - self.start_s) // self.every_s

    @property
    def moments_s(self) -> Ints:
        """The moment of every sample."""
        return self.start_s + self.every_s * np.arange(len(self), dtype=np.int64)

    @property
    def days(self) -> float:
        """Length in days of 24 hours."""
        return (self.end_s - self.start_s) / 86_400

    def local(self, at_s: int) -> datetime:
        """A moment by the site's clocks."""
        return datetime.fromtimestamp(at_s, UTC).astimezone(ZoneInfo(self.zone))

    def first_from(self, at_s: int) -> int:
        """The number of the first sample at or after a moment."""
        return min(max(-(-(at_s - self.start_s) // self.every_s), 0), len(self))

    def slot(self, at_s: int) -> int:
        """The number of the sample whose time holds a moment."""
        return min(max((at_s - self.start_s) // self.every_s, 0), len(self))


@dataclass(frozen=True)
class Site:
    """Machines with equally many GPUs. GPU `i` of machine `m` is number `m * gpus_per_node + i` everywhere."""

    machines: tuple[str, ...]
    models: tuple[Model, ...]
    partitions: tuple[str, ...]
    gpus_per_node: int
    uuids: tuple[str, ...]
    ambient_c: Floats
    resistance_c_per_w: Floats
    boot_s: Ints

    @property
    def gpus(self) -> int:
        """All GPUs."""
        return len(self.machines) * self.gpus_per_node

    @property
    def cores_per_node(self) -> int:
        """Processor cores that jobs can get."""
        return self.gpus_per_node * _CORES_PER_GPU

    @property
    def memory_mib_per_node(self) -> int:
        """Main memory."""
        return self.gpus_per_node * _MEMORY_MIB_PER_GPU

    def machine_of(self, gpu: int) -> str:
        """Name of a GPU's machine."""
        return self.machines[gpu // self.gpus_per_node]

    def bus(self, index: int) -> str:
        """PCI address of a machine's GPU, as DCGM writes it."""
        return f"00000000:{_BUSES[index]:02X}:00.0"

    def of_partition(self, partition: str) -> tuple[int, ...]:
        """Machines of a partition."""
        return tuple(number for number, one in enumerate(self.partitions) if one == partition)


def build_site(*, nodes: int, gpus_per_node: int, grid: Grid, dice: Dice) -> Site:
    """Machines of which three quarters have H100 and take batch jobs, the rest A100 and take development; a lone machine does both.

    Raises UsageError for a site without machines, or machines with more GPUs than slots.
    """
    if nodes < 1:
        raise UsageError(f"nodes is {nodes}, but a site has one machine at least", do="give --nodes 4")
    if not 1 <= gpus_per_node <= len(_BUSES):
        raise UsageError(
            f"gpus-per-node is {gpus_per_node}, but a machine has 1 to {len(_BUSES)}", do="give --gpus-per-node 8"
        )
    of_dev = nodes // 4 if nodes > 3 else int(nodes > 1)
    rng = dice.on("site")
    gpus = nodes * gpus_per_node
    words = rng.integers(0, 1 << 32, size=(gpus, 4), dtype=np.uint64)
    models = (H100,) * (nodes - of_dev) + (A100,) * of_dev
    ambient = np.repeat([model.ambient_c for model in models], gpus_per_node)
    resistance = np.repeat([model.resistance_c_per_w for model in models], gpus_per_node)
    back = np.tile(np.arange(gpus_per_node) >= (gpus_per_node + 1) // 2, nodes) * _WARMER_AT_THE_BACK_C
    width = max(3, len(str(nodes)))
    return Site(
        machines=tuple(f"gpu{number + 1:0{width}d}" for number in range(nodes)),
        models=models,
        partitions=(BATCH,) * (nodes - of_dev) + (DEV,) * of_dev,
        gpus_per_node=gpus_per_node,
        uuids=tuple(_uuid(*(int(word) for word in row)) for row in words),
        ambient_c=ambient + back + _SPREAD_OF_AMBIENT_C * rng.standard_normal(gpus),
        resistance_c_per_w=resistance * np.exp(_SPREAD_OF_RESISTANCE * rng.standard_normal(gpus)),
        boot_s=grid.start_s - rng.integers(2 * 86_400, 60 * 86_400, nodes),
    )


def _uuid(first: int, second: int, third: int, fourth: int) -> str:
    return (
        f"GPU-{first:08x}-{second >> 16:04x}-4{second & 0xFFF:03x}-{0x8000 | (third >> 16) & 0x3FFF:04x}"
        f"-{third & 0xFFFF:04x}{fourth:08x}"
    )
