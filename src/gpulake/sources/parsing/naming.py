"""Names of machines and places on a bus, as all sources of GPUs write them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

_NO_MACHINE = re.compile(
    r"(?:nvidia|rocm)[_-]?smi|smi|gpus?|gpu[_-]?samples?|dmesg|kmsg|kern(?:el)?(?:[_-]?log)?|syslog|messages|journal(?:ctl)?|"
    r"log|out|output|capture|snapshots?|fabricmanager",
    re.IGNORECASE,
)

NO_MACHINE = "the file's name does not say which machine it is of: name it <machine>.<anything>"
"""Why rows are refused whose machine is not known."""


def machine_of(file_name: str) -> str:
    """The machine that a file's name begins with, up to the first dot; empty where that is a tool's name."""
    name = file_name.split(".", maxsplit=1)[0].strip()
    return "" if _NO_MACHINE.fullmatch(name) else name


_BUS_ID = r"^(?:([0-9a-f]{4,8}):)?([0-9a-f]{2}:[0-9a-f]{2})(?:\.([0-7]))?$"


def bus_id(text: str | None) -> str | None:
    """`0000:9B:00` as `00000000:9b:00.0`: a domain of eight digits, and the function. Another text is left as it is."""
    found = re.fullmatch(_BUS_ID, (text or "").strip().lower())
    return f"{found[1] or '':0>8}:{found[2]}.{found[3] or '0'}" if found else text


def bus_ids(column: pl.Expr) -> pl.Expr:
    """The same of a column."""
    import polars as pl

    text = column.str.strip_chars().str.to_lowercase()
    part = text.str.extract_groups(_BUS_ID).struct.field
    domain = part("1").fill_null("").str.zfill(8)
    whole = pl.concat_str(domain, pl.lit(":"), part("2"), pl.lit("."), part("3").fill_null("0"))
    return pl.coalesce(whole, column)
