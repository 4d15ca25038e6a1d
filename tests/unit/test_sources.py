"""The sources' declarations against what their publishers print."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from gpulake import sources
from gpulake.sources import all_sources, gpu_specs, openb2023, pai2020


def test_the_folder_is_the_registry():
    """A new source is one new file: nothing else names it."""
    files = sorted(file.stem for file in Path(sources.__file__).parent.glob("[!_]*.py"))

    assert files == [source.name for source in all_sources()]


@pytest.mark.parametrize("table", pai2020.SOURCE.tables, ids=lambda table: table.name)
def test_columns_are_the_publishers_header(real_trace, table):
    """Headerless files have nothing but the order: one column off, and every figure is another's."""
    header = (real_trace / "headers" / f"{table.name}.header").read_text().strip().split(",")

    assert tuple(header) == table.column_names


@pytest.mark.parametrize("table", pai2020.SOURCE.tables, ids=lambda table: table.name)
def test_downloads_and_checksums_are_the_publishers(real_trace, table):
    """A wrong checksum refuses the right file for ever."""
    with (real_trace / "downloads.csv").open(newline="") as file:
        (printed,) = (row for row in csv.DictReader(file) if row["url"].endswith(f"/{table.name}.tar.gz"))
    (download,) = (download for download in pai2020.SOURCE.downloads if download.table == table.name)
    hashes = sorted(value for value in printed.values() if re.fullmatch("[0-9a-f]{64}", value))

    assert printed["url"] == download.url
    assert hashes == sorted([download.sha256, table.published_sha256])
    assert str(download.bytes) in printed.values()


def test_units_are_stated_for_every_number():
    """A number without a unit invites a factor of 100."""
    for source in all_sources():
        for table in source.tables:
            assert [] == [column.name for column in table.columns if column.kind == "number" and not column.unit]


def test_pai_days_are_days_of_shanghai_and_its_dates_are_no_dates():
    """In UTC its midnight peak would fall into the afternoon, and 1970 would be taken for a year."""
    assert ("Asia/Shanghai", "offset") == (pai2020.SOURCE.time_zone, pai2020.SOURCE.time_basis)


def test_only_a_machine_spec_reshapes_history():
    """A new spec changes capacity on every day; any other table touches the days it speaks of."""
    assert ["pai_machine_spec"] == [table.name for table in pai2020.SOURCE.tables if table.shapes_history]


def test_a_pai_time_of_zero_is_unknown_in_every_table_with_times():
    """Read as a time it stretches a job over the whole trace."""
    spans = {table.name: table.span for table in pai2020.SOURCE.tables if "start_time" in table.column_names}

    assert {"pai_job_table", "pai_task_table", "pai_instance_table", "pai_machine_metric"} == set(spans)
    assert {0.0} == {span.null_at_or_below for span in spans.values()}


def test_an_openb_time_of_zero_is_a_time():
    """Its clock starts with the trace: read as "not known", the first pod would vanish."""
    assert ("UTC", "offset") == (openb2023.SOURCE.time_zone, openb2023.SOURCE.time_basis)
    assert openb2023.POD.span.null_at_or_below is None


def test_openb_is_one_pool():
    """No pod names its node, so nothing can be said of one GPU model's nodes."""
    assert "all" == openb2023.SOURCE.pools


def test_the_scrape_of_gpu_specs_is_never_shipped():
    """Its terms do not allow it."""
    assert (gpu_specs.SHIPPED,) == gpu_specs.SOURCE.shipped
    assert gpu_specs.SHIPPED.is_file()
    assert "tpu_gpus" not in gpu_specs.SHIPPED.name
