"""The traces that the benches read: simulated once per scale into out/bench, as CSV with header rows."""

from __future__ import annotations

import csv
import hashlib
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

from bench.measure import GPULAKE, ROOT, run

SCALE = float(os.environ.get("GPULAKE_BENCH_SCALE", "0.05"))
HOME = Path(os.environ.get("GPULAKE_BENCH_HOME", ROOT / "out" / "bench"))
MISSION_TABLES = ("pai_job_table", "pai_instance_table", "pai_machine_metric", "pai_machine_spec")
GPU_SPECS = """Product_Name,GPU_Chip,Released,Bus,Memory,GPU_clock,Memory_clock,Shaders_TMUs_ROPs
Tesla T4,TU104,2018,PCIe 3.0 x16,"16 GB, GDDR6, 256 bit",585 MHz,1250 MHz,2560 / 160 / 64
Tesla P100 PCIe 16 GB,GP100,2016,PCIe 3.0 x16,"16 GB, HBM2, 4096 bit",1190 MHz,715 MHz,3584 / 224 / 96
Tesla V100 SXM2 32 GB,GV100,2018,PCIe 3.0 x16,"32 GB, HBM2, 4096 bit",1290 MHz,876 MHz,5120 / 320 / 128
"""


def trace(*, scale: float = SCALE, days: int = 62) -> Path:
    """The seven tables, each with a header row."""
    folder = HOME / f"trace-{scale:g}-{days}"
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        print(f"simulating {days} days at scale {scale:g} into {folder}", flush=True)
        made = folder / "made"
        run([GPULAKE, "simulate", "pai2020", "--scale", f"{scale:g}", "--days", str(days), "--out", str(made)])
        for file in sorted(made.glob("*.csv")):
            with file.open("rb") as plain, (folder / file.name).open("wb") as headed:
                headed.write(",".join(columns(file.stem)).encode() + b"\n")
                shutil.copyfileobj(plain, headed, 1 << 24)
            file.unlink()
        shutil.rmtree(made)
        (folder / "complete").touch()
    return folder


def columns(table: str) -> list[str]:
    """The publisher's column names of a table."""
    from gpulake.sources import all_sources

    (found,) = (t for source in all_sources() for t in source.tables if t.name == table)
    return list(found.column_names)


def mission_trace() -> Path:
    """The five files that the five separate steps read."""
    folder = HOME / f"mission-{SCALE:g}"
    folder.mkdir(parents=True, exist_ok=True)
    for name in MISSION_TABLES:
        link = folder / f"{name}.csv"
        if not link.exists():
            link.hardlink_to(trace() / link.name)
    (folder / "tpu_gpus.csv").write_text(GPU_SPECS)
    return folder


def archive(table: str) -> Path:
    """One table as the publisher ships it: a .tar.gz."""
    file = HOME / f"archive-{SCALE:g}" / f"{table}.tar.gz"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_suffix(".unfinished")
        with tarfile.open(unfinished, "w:gz", compresslevel=6) as packed:
            packed.add(trace() / f"{table}.csv", arcname=f"{table}.csv")
        unfinished.rename(file)
    return file


def split_by_day(source: Path, *, day: int) -> tuple[Path, Path]:
    """The trace without the instances and windows that lie inside one day (UTC+8, counted from 0), and those alone."""
    rest, late = source.with_name(f"{source.name}-without-{day}"), source.with_name(f"{source.name}-only-{day}")
    for folder in (rest, late):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
    first, last = day * 86_400 - 8 * 3_600, (day + 1) * 86_400 - 8 * 3_600
    for file in source.glob("*.csv"):
        if file.stem in {"pai_instance_table", "pai_machine_metric"}:
            _split(file, rest, late, inside=_inside(file.stem, first, last))
        else:
            (rest / file.name).hardlink_to(file)
    return rest, late


def _inside(table: str, first: int, last: int) -> Callable[[list[str]], bool]:
    start, end = (columns(table).index(name) for name in ("start_time", "end_time"))

    def inside(row: list[str]) -> bool:
        return bool(row[start] and row[end]) and first <= float(row[start]) < float(row[end]) <= last

    return inside


def _split(file: Path, rest: Path, late: Path, *, inside: Callable[[list[str]], bool]) -> None:
    with (
        file.open(newline="") as lines,
        (rest / file.name).open("w", newline="") as kept,
        (late / file.name).open("w", newline="") as held,
    ):
        rows = csv.reader(lines)
        header = next(rows)
        writers = [csv.writer(out, lineterminator="\n") for out in (kept, held)]
        for writer in writers:
            writer.writerow(header)
        for row in rows:
            writers[inside(row)].writerow(row)


def stretched(source: Path, *, factor: int) -> Path:
    """The trace with every instance that has both times made `factor` times as long."""
    folder = source.with_name(f"{source.name}-x{factor}")
    if not (folder / "complete").exists():
        import duckdb

        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for file in source.glob("*.csv"):
            if file.stem != "pai_instance_table":
                (folder / file.name).hardlink_to(file)
        longer = (
            "CAST(CAST(start_time AS DOUBLE) + (CAST(end_time AS DOUBLE) - CAST(start_time AS DOUBLE)) * ? AS VARCHAR)"
        )
        rows = duckdb.sql(
            f"SELECT * REPLACE (CASE WHEN start_time IS NULL THEN end_time ELSE {longer} END AS end_time) "
            f"FROM read_csv('{source / 'pai_instance_table.csv'}', all_varchar = true, header = true)",
            params=[factor],
        )
        rows.write_csv(str(folder / "pai_instance_table.csv"), header=True)
        (folder / "complete").touch()
    return folder


def kept(name: str) -> Path:
    """A place for a lake that this state of the code made, and that the next run of the bench may use again."""
    digest = hashlib.sha256()
    for folder in (ROOT / "src", ROOT / "warehouse"):
        for file in sorted(f for f in folder.rglob("*") if f.suffix in {".py", ".sql", ".yml", ".csv"}):
            digest.update(file.relative_to(ROOT).as_posix().encode() + b"\0" + file.read_bytes())
    place = HOME / "kept" / f"{name}-{digest.hexdigest()[:12]}"
    place.mkdir(parents=True, exist_ok=True)
    return place


def fresh(name: str) -> Path:
    """An empty place for one run's lake."""
    folder = HOME / "run" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    return folder
