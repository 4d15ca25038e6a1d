"""What a kernel line says of a GPU: the kind of event, its number, the device, and the process that it names.

Rules are asked in their order, and the first that fits decides. A line that none fits is no event.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpulake.sources.parsing.naming import NO_MACHINE, bus_ids

if TYPE_CHECKING:
    import polars as pl

WORDS = (
    "NVRM",
    "nvidia",
    "amdgpu",
    "NVSwitch",
    "libnccl",
    "oom-kill:",
    "Killed process",
    "Linux version",
    '"MESSAGE":[',  # how the journal writes a message that is no plain text
)
"""A line with none of them is no event, whatever its case."""

_DRIVER = r"(?:NVRM:|\bnvidia(?:-\w+)?\b[^:]*|\bamdgpu\b)"
_XID = r"NVRM: Xid \((?:PCI:)?(?P<bus>[0-9A-Fa-f:.]+)[^)]*\): (?P<code>\d{1,9})(?:, (?P<detail>.*))?$"
_SXID = r"SXid \((?:PCI:)?(?P<bus>[0-9A-Fa-f:.]+)\): (?P<code>\d{1,9}), (?P<detail>.*)$"
_FABRIC = r"NVSwitch (?:non-)?fatal error (?P<code>\d{1,9}) .*pci bus id (?P<bus>[0-9A-Fa-f:.]+)"
_PROCESS = (
    r"^(?:pid='?(?:(?P<pid>\d{1,10})|<unknown>)'?(?:, name='?(?:<unknown>|(?P<name>[^,']*))'?)?(?:, |$))?(?P<rest>.*)$"
)
_BUS = r"\b([0-9A-Fa-f]{4,8}:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}(?:\.[0-7])?)\b"
_IDENTITY = r"NVRM: GPU at PCI:([0-9A-Fa-f:.]+): (GPU-[0-9a-f-]{36})"

RULES = (
    ("xid", _XID),
    ("sxid", _SXID),
    ("sxid", _FABRIC),
    ("nccl", r"segfault at .* in libnccl"),
    ("oom", r"\boom-kill:|\bKilled process \d+"),
    ("reboot", r"^Linux version \d"),
    ("ecc_dbe", r"(?i)amdgpu.*\d+ (?:new )?uncorrectable hardware errors"),
    ("ecc_sbe", r"(?i)amdgpu.*\d+ (?:new )?correctable hardware errors"),
    ("gpu_lost", rf"{_DRIVER}.*(?i:fallen off the bus|GPU is lost)"),
    ("pcie", rf"{_DRIVER}.*(?:PCIe Bus Error|AER:)"),
    ("row_remap", rf"{_DRIVER}.*(?i:row[- ]?remap)"),
    ("nvlink", rf"{_DRIVER}.*(?i:nvlink).*(?i:error|fail|fatal|\bdown\b|degrad|time[d -]*out|inactive|\blost\b)"),
    ("thermal", rf"{_DRIVER}.*(?i:thermal|over-?temp|temperature|overheat|slowdown)"),
    ("power", rf"{_DRIVER}.*(?i:power (?:cable|brake|connector)|insufficient power|not have .* power)"),
    ("gpu_reset", rf"{_DRIVER}.*(?i:\bGPU reset\b)"),
)

NO_BOOT = "its time counts from a boot that nothing dates: put the line '# boot_at=<ISO time with offset> machine=<name>' above it"
NO_TIME = "it has no time that can be read"


def events(bursts: pl.DataFrame) -> pl.DataFrame:
    """The bursts that say something of a GPU, as rows of the table; without a time or a machine with the reason."""
    import polars as pl

    says = pl.col("says")
    kind = pl.coalesce(*(pl.when(says.str.contains(pattern)).then(pl.lit(name)) for name, pattern in RULES))
    found = _with_details(bursts.with_columns(kind=kind).filter(pl.col("kind").is_not_null()))
    known = _identities(bursts)
    found = _one_per_kill(found).join(known, on=["machine", "pci_bus_id"], how="left", nulls_equal=True)
    stamp = pl.when(pl.col("clock") == "utc").then(pl.lit("Z")).otherwise(pl.lit(""))
    reason = (
        pl.when(pl.col("clock") == "boot")
        .then(pl.lit(NO_BOOT))
        .when(pl.col("first_at").is_null())
        .then(pl.lit(NO_TIME))
        .when(pl.col("machine").is_null())
        .then(pl.lit(NO_MACHINE))
    )
    return found.sort("source_row").select(
        "source_row",
        "machine",
        *(
            (pl.col(name).dt.to_string("%Y-%m-%dT%H:%M:%S%.6f") + stamp).alias(column)
            for name, column in (("first_at", "happened_at"), ("last_at", "last_at"))
        ),
        "kind",
        "code",
        "pci_bus_id",
        "gpu_uuid",
        "event_count",
        "message",
        "process_id",
        "process_name",
        "job_id",
        reason=reason,
        raw_text=pl.when(reason.is_not_null()).then("text"),
    )


def _with_details(found: pl.DataFrame) -> pl.DataFrame:
    import polars as pl

    says = pl.col("says")
    xid, sxid, fabric = (says.str.extract_groups(pattern).struct.field for pattern in (_XID, _SXID, _FABRIC))
    is_xid = pl.col("kind") == "xid"
    process = pl.when(is_xid).then(xid("detail")).str.extract_groups(_PROCESS).struct.field
    faulted = says.str.extract_groups(r"^(?P<name>.+?)\[(?P<pid>\d{1,10})\]: segfault at").struct.field
    killed = says.str.extract_groups(r"Killed process (?P<pid>\d{1,10}) \((?P<name>[^)]*)\)").struct.field
    chosen = says.str.extract_groups(r",task=(?P<name>.*),pid=(?P<pid>\d{1,10}),uid=").struct.field
    bus = pl.coalesce(
        xid("bus"),
        sxid("bus"),
        fabric("bus"),
        pl.when(~pl.col("kind").is_in(["oom", "nccl", "reboot"])).then(says.str.extract(_BUS)),
    )
    return found.with_columns(
        code=pl.coalesce(xid("code"), sxid("code"), fabric("code")).cast(pl.Float64),
        pci_bus_id=bus_ids(bus),
        message=pl.when(is_xid).then(process("rest")).otherwise(pl.coalesce(sxid("detail"), says)).replace("", None),
        process_id=pl.coalesce(process("pid"), faulted("pid"), killed("pid"), chosen("pid")).cast(pl.Float64),
        process_name=pl.coalesce(process("name"), faulted("name"), killed("name"), chosen("name")).replace("", None),
        job_id=pl.when(pl.col("kind") == "oom").then(says.str.extract(r"/job_(\d+)(?:/|,|$)")),
        is_kill=says.str.contains(r"\bKilled process \d+"),
        is_choice=says.str.contains(r"\boom-kill:"),
    )


def _one_per_kill(found: pl.DataFrame) -> pl.DataFrame:
    """A kernel that names its choice (`oom-kill:`) says the same once more when it has killed it."""
    import polars as pl

    chooses = pl.col("is_choice").any().over("machine")
    return found.filter(~(pl.col("is_kill") & ~pl.col("is_choice") & chooses))


def _identities(bursts: pl.DataFrame) -> pl.DataFrame:
    """The uuid of each place on a machine's bus, where the driver says it once."""
    import polars as pl

    part = pl.col("says").str.extract_groups(_IDENTITY).struct.field
    named = bursts.filter(pl.col("says").str.contains(_IDENTITY))
    return (
        named.select("machine", "source_row", pci_bus_id=bus_ids(part("1")), gpu_uuid=part("2"))
        .sort("source_row")
        .group_by("machine", "pci_bus_id", maintain_order=True)
        .agg(pl.col("gpu_uuid").last())
    )
