"""Each machine's kernel log as `dmesg --decode --time-format iso` prints it: what matters, among lines that do not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gpulake.simulate.dice import Dice
from gpulake.simulate.site.fleet import Grid, Site
from gpulake.simulate.site.incidents import Event

_NOISE_PER_DAY = 12
_NOISE = (
    ("info", "IPv6: ADDRCONF(NETDEV_CHANGE): eth0: link becomes ready"),
    ("info", "docker0: port 1(veth3b1c) entered forwarding state"),
    ("info", "nvidia-nvswitch2: open (major=510)"),
    ("info", "wireguard: WireGuard 1.0.0 loaded. See www.wireguard.com for information."),
    ("warn", "clocksource: Long readout interval, skipping watchdog check: cs_nsec: 1584036171 wd_nsec: 1584036160"),
    ("info", "usb 1-2.4: new high-speed USB device number 7 using xhci_hcd"),
    ("notice", 'audit: type=1400 audit(0.0:77): apparmor="STATUS" operation="profile_replace" name="snap.lxd.hook"'),
    ("info", "perf: interrupt took too long (2511 > 2500), lowering kernel.perf_event_max_sample_rate to 79500"),
    ("info", "nvidia-uvm: Loaded the UVM driver, major device number 508."),
    ("notice", "EXT4-fs (nvme1n1p1): re-mounted. Opts: errors=remount-ro"),
)
_LEVELS = {"xid": "err", "pcie": "err", "thermal": "crit", "reboot": "notice"}


def line_of(event: Event, site: Site) -> str:
    """What the kernel writes of an event, after the time."""
    if event.gpu < 0:
        return event.text
    bus = site.bus(event.gpu % site.gpus_per_node)[4:].lower()
    if event.kind == "pcie":
        return f"pcieport 0000:{int(bus[5:7], 16) - 1:02x}:01.0: {event.text}: {bus}"
    process = f"pid={event.process_id}, name={event.process_name}, " if event.process_id >= 0 else ""
    if event.code == 79:
        process = "pid='<unknown>', name=<unknown>, "
    return f"NVRM: Xid (PCI:{bus[:-2]}): {event.code}, {process}{event.text}"


def write_logs(folder: Path, events: Sequence[Event], site: Site, grid: Grid, dice: Dice) -> int:
    """Write one log per machine; returns the lines of all."""
    of_machine: dict[int, list[Event]] = {}
    for event in events:
        of_machine.setdefault(event.machine, []).append(event)
    total = 0
    for machine, name in enumerate(site.machines):
        rng = dice.on(f"kernel noise of machine {machine}")
        count = int(rng.poisson(_NOISE_PER_DAY * grid.days))
        at = rng.integers(grid.start_s, grid.end_s, count).tolist()
        which = rng.integers(0, len(_NOISE), count).tolist()
        lines = [(moment, 0, *_NOISE[one]) for moment, one in zip(at, which, strict=True)]
        lines += [
            (event.at_s, number + 1, _LEVELS[event.kind], line_of(event, site))
            for number, event in enumerate(of_machine.get(machine, ()))
        ]
        text = "".join(f"kern  :{level:<6}: {_time(moment, grid)} {line}\n" for moment, _, level, line in sorted(lines))
        (folder / f"{name}.dmesg.log").write_text(text, encoding="utf-8")
        total += len(lines)
    return total


def _time(at_s: int, grid: Grid) -> str:
    """ISO with a comma and the zone's offset, as dmesg writes it."""
    local = grid.local(at_s)
    offset = local.strftime("%z")
    return f"{local:%Y-%m-%dT%H:%M:%S},000000{offset[:3]}:{offset[3:]}"
