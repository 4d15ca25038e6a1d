"""What a GPU-hour of capacity costs, from a file of one's own: CSV with a header, a row per model and stretch of days.

Strict, since a slip here is money: a price that is none, a day that is none, or two prices for one day are refused with
their line. Which models a fleet has is not known here: names that no machine has are told by a data test.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from pathlib import Path

from gpulake.errors import UsageError

COLUMNS = ("gpu_model", "usd_per_gpu_h", "valid_from", "valid_to", "cluster", "label")
_NEEDED = COLUMNS[:2]
_ALSO = {"pool": "gpu_model", "cluster_id": "cluster"}
"""The names of the shipped price book."""

_LABEL = "own"
_CURRENCY = re.compile(r"(?!usd)[a-z]{3}_per_gpu_h(our)?")
_MOST = Decimal(1_000_000)
_FIRST_DAY, _LAST_DAY = date(1, 1, 1), date(9999, 12, 31)


@dataclass(frozen=True)
class Price:
    """The price of a model (or pool) from a day on, up to but not including another; None: from ever, for ever.

    `cluster` None: in every cluster that has no price of its own for it.
    """

    gpu_model: str
    usd_per_gpu_h: Decimal
    valid_from: date | None = None
    valid_to: date | None = None
    cluster: str | None = None
    label: str = _LABEL
    line: int = 0

    def row(self) -> tuple[object, ...]:
        """As the lake keeps it."""
        return self.cluster, self.gpu_model, self.valid_from, self.valid_to, self.usd_per_gpu_h, self.label


def read(file: Path) -> tuple[Price, ...]:
    """The prices of a file, in the order of its lines. Raises UsageError, with the line, for what is wrong."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise UsageError(
            "there is no file of prices.", where=str(file), do="mend `prices` in gpulake.toml, or write the file"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UsageError(f"the prices cannot be read: {why}.", where=str(file), do="mend the file") from error
    prices = tuple(_prices(text, file))
    if not prices:
        raise UsageError(
            "the file of prices holds no price.",
            where=str(file),
            do="write a row, as NVIDIA H100-SXM5-80GB,2.95, or take `prices` out of gpulake.toml",
        )
    _refuse_overlaps(prices, file)
    return prices


def _prices(text: str, file: Path) -> Iterator[Price]:
    # Lines of comment are kept, as empty ones, so that the lines are those of the file.
    lines = ["" if line.lstrip().startswith("#") else line for line in text.splitlines()]
    first = next((line for line in lines if line.strip()), "")
    rows = csv.reader(lines, delimiter=";" if first.count(";") > first.count(",") else ",", strict=True)
    header: tuple[str, ...] = ()
    try:
        for cells in rows:
            values = [cell.strip() for cell in cells]
            if not any(values):
                continue
            if not header:
                header = _header(values, f"{file}:{rows.line_num}")
            elif len(values) > len(header):
                raise UsageError(
                    f"{len(values)} values stand under {len(header)} columns.",
                    where=f"{file}:{rows.line_num}",
                    do="a decimal point is a '.', and a text with a ',' in it stands in quotes",
                )
            else:
                yield _price(dict(zip(header, values, strict=False)), rows.line_num, file)
    except csv.Error as error:
        raise UsageError(
            f"this is no CSV: {error}.", where=f"{file}:{rows.line_num}", do="close the quotes, or mend the line"
        ) from error


def _header(names: list[str], where: str) -> tuple[str, ...]:
    written = [name.lower() for name in names]
    header = tuple(_ALSO.get(name, name) for name in written)
    for name in header:
        if _CURRENCY.fullmatch(name):
            raise UsageError(
                f"prices are in US dollars, and {name} says another currency.",
                where=where,
                do="convert them, and call the column usd_per_gpu_h",
            )
        if name not in COLUMNS:
            near = get_close_matches(name, COLUMNS, n=1)
            raise UsageError(
                f"no column takes {name!r}.", where=where, do=f"use {near[0] if near else ', '.join(COLUMNS)}"
            )
    missing = [name for name in _NEEDED if name not in header]
    if missing or len(set(header)) < len(header):
        what = f"the column {missing[0]} is missing" if missing else "a column stands twice"
        raise UsageError(f"{what}.", where=where, do=f"write a header of: {', '.join(COLUMNS)}")
    return header


def _price(row: Mapping[str, str], line: int, file: Path) -> Price:
    where = f"{file}:{line}"
    model = row["gpu_model"]
    if not model:
        raise UsageError(
            "a price names no GPU model.", where=where, do="name it as gold_capacity_daily.pool does, or `all`"
        )
    price = Price(
        gpu_model=model,
        usd_per_gpu_h=_amount(row.get("usd_per_gpu_h", ""), where),
        valid_from=_day(row, "valid_from", where),
        valid_to=_day(row, "valid_to", where),
        cluster=row.get("cluster") or None,
        label=row.get("label") or _LABEL,
        line=line,
    )
    if price.valid_from and price.valid_to and price.valid_to <= price.valid_from:
        raise UsageError(
            f"the price of {model} ends before it begins.",
            where=where,
            do="valid_to is the first day on which it is no longer valid",
        )
    return price


def _amount(text: str, where: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation as error:
        raise UsageError(
            f"{text!r} is no price." if text else "the price is missing.",
            where=where,
            do="write dollars for an hour of one GPU, as 2.95; leave the row out where there is none",
        ) from error
    if not amount.is_finite() or amount < 0 or amount >= _MOST:
        raise UsageError(
            f"{text} is no price of a GPU-hour.", where=where, do=f"a price is from 0 to less than {_MOST:,} dollars"
        )
    return amount.quantize(Decimal("0.000001"))


def _day(row: Mapping[str, str], name: str, where: str) -> date | None:
    text = row.get(name, "")
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise UsageError(f"{name} {text!r} is no day.", where=where, do="write it as 2026-11-30") from error


def _refuse_overlaps(prices: Iterable[Price], file: Path) -> None:
    last: dict[tuple[str, str | None], Price] = {}
    for price in sorted(prices, key=lambda price: price.valid_from or _FIRST_DAY):
        key = price.gpu_model, price.cluster
        before = last.get(key)
        if before and (price.valid_from or _FIRST_DAY) < (before.valid_to or _LAST_DAY):
            raise UsageError(
                f"{price.gpu_model} has two prices from {price.valid_from or 'ever'} on"
                + (f" in {price.cluster}" if price.cluster else "")
                + f": in the lines {before.line} and {price.line}.",
                where=f"{file}:{max(before.line, price.line)}",
                do="end the older one: its valid_to is the first day of the newer one",
            )
        last[key] = price
