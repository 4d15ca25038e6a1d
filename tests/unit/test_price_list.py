"""Prices from a file of one's own: what is read, and what is refused with its line, since a slip here is money."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from gpulake import price_list
from gpulake.errors import UsageError

HEADER = "gpu_model,usd_per_gpu_h,valid_from,valid_to,cluster,label\n"


def read(folder, text, encoding="utf-8"):
    file = folder / "prices.csv"
    file.write_text(text, encoding=encoding)
    return price_list.read(file)


def test_a_row_is_a_price_and_what_is_empty_is_open(tmp_path):
    """A contract that changes on a day is two rows; a price of one cluster names it; comments and blank lines are none."""
    prices = read(
        tmp_path,
        HEADER
        + "# the first year\nH100,2.95,2026-01-01,2027-01-01,,contract\n\nH100,2.5,2027-01-01,,,contract\nL40S,0.9,,,lab,\n",
    )

    assert [
        (None, "H100", date(2026, 1, 1), date(2027, 1, 1), Decimal("2.95"), "contract"),
        (None, "H100", date(2027, 1, 1), None, Decimal("2.5"), "contract"),
        ("lab", "L40S", None, None, Decimal("0.9"), "own"),
    ] == [price.row() for price in prices]
    assert [3, 5, 6] == [price.line for price in prices]


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("usd_per_gpu_h;gpu_model\n1.50;A100\n", "utf-8-sig"),
        ("pool,usd_per_gpu_h\r\n A100 , 1.50 \r\n", "utf-8"),
        ('USD_per_GPU_h,GPU_model\n1.50,"A100"\n', "utf-8"),
    ],
)
def test_a_spreadsheets_way_of_writing_is_read(tmp_path, text, encoding):
    """Spreadsheets add a mark of bytes, semicolons, line ends of their own; columns are known by name in any order."""
    assert [(None, "A100", None, None, Decimal("1.5"), "own")] == [
        price.row() for price in read(tmp_path, text, encoding)
    ]


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        (HEADER + "H100,-1,,,,\n", 2, "-1 is no price"),
        (HEADER + "H100,NaN,,,,\n", 2, "NaN is no price"),
        (HEADER + "H100,1e9,,,,\n", 2, "1e9 is no price"),
        (HEADER + "H100,,,,,\n", 2, "the price is missing"),
        (HEADER + "H100,cheap,,,,\n", 2, "'cheap' is no price"),
        (HEADER + ",1,,,,\n", 2, "names no GPU model"),
        (HEADER + "H100,1,30.11.2026,,,\n", 2, "valid_from '30.11.2026' is no day"),
        (HEADER + "H100,1,2026-02-01,2026-02-01,,\n", 2, "ends before it begins"),
        (HEADER + "H100,1,,,,\nH100,2,2026-01-01,,,\n", 3, "two prices from 2026-01-01 on: in the lines 2 and 3"),
        (HEADER + "H100,1,,,,\n# no\nH100,1,,,,\n", 4, "two prices from ever on"),
        (HEADER + "H100,1,2026-01-02,,c,\nH100,2,2026-01-01,2026-01-03,c,\n", 3, "two prices from 2026-01-02 on in c"),
        (HEADER + "H100,2,95,,,,\n", 2, "7 values stand under 6 columns"),
        (HEADER + '"H100,1,,,,\n', 2, "this is no CSV"),
        ("gpu_model,price\nH100,1\n", 1, "no column takes 'price'"),
        ("gpu_model,eur_per_gpu_h\nH100,1\n", 1, "another currency"),
        ("gpu_model\nH100\n", 1, "the column usd_per_gpu_h is missing"),
        ("gpu_model,pool,usd_per_gpu_h\nH100,H100,1\n", 1, "a column stands twice"),
    ],
)
def test_what_is_wrong_is_told_with_its_line_and_what_to_do(tmp_path, text, line, what):
    """A price list that is half understood would make a wrong bill that looks right."""
    with pytest.raises(UsageError) as caught:
        read(tmp_path, text)

    assert what in caught.value.what
    assert f"{tmp_path / 'prices.csv'}:{line}" == caught.value.where
    assert caught.value.do


@pytest.mark.parametrize("text", ["", HEADER, "# nothing\n"])
def test_a_file_without_a_price_is_refused(tmp_path, text):
    """An empty file must not price the fleet by the shipped examples."""
    with pytest.raises(UsageError, match="holds no price"):
        read(tmp_path, text)


def test_a_missing_file_and_one_that_is_no_text_are_told(tmp_path):
    """A path that was mistyped in gpulake.toml is named."""
    with pytest.raises(UsageError, match="there is no file of prices"):
        price_list.read(tmp_path / "none.csv")
    with pytest.raises(UsageError, match="it is not UTF-8"):
        read(tmp_path, HEADER + "Kölner Karte,1,,,,\n", "latin-1")


def test_prices_of_different_clusters_do_not_overlap(tmp_path):
    """One's own price of a cluster stands before the one of all."""
    assert 3 == len(read(tmp_path, HEADER + "H100,1,,,,\nH100,2,,,a,\nH100,3,,,b,\n"))
